"""The log of a run: one JSON object a line, and the same numbers for TensorBoard if wanted."""

from __future__ import annotations

import json
from pathlib import Path
from types import TracebackType
from typing import Any

from neurocircuit.errors import BackendUnavailableError
from neurocircuit.files import atomic

__all__ = ["RunLog", "read_log", "require_tensorboard"]

_NAME = "log.jsonl"


def read_log(folder: str | Path) -> list[dict[str, Any]]:
    """Return the lines of a run's log, in order of their steps; a last line cut off by a killed process is left out.

    Raises
    ------
    FileNotFoundError
        If the folder holds no log.
    """
    lines = []
    for text in (Path(folder) / _NAME).read_text().splitlines():
        try:
            lines.append(json.loads(text))
        except json.JSONDecodeError:
            break
    return lines


class RunLog:
    """Append to the log of a run, from a step on: later lines, of a process that was killed, are dropped.

    Raises
    ------
    BackendUnavailableError
        If TensorBoard is asked for and not installed.
    """

    def __init__(self, folder: Path, step: int, *, tensorboard: bool) -> None:
        self._writer = require_tensorboard()(folder / "tensorboard", purge_step=step + 1) if tensorboard else None
        path = folder / _NAME
        kept = [line for line in read_log(folder) if line["step"] <= step] if path.exists() else []
        with atomic(path) as partial:
            partial.write_text("".join(map(_to_text, kept)))
        self._file = path.open("a")

    def write(self, line: dict[str, Any]) -> None:
        """Append one line; it is in the file when this returns."""
        self._file.write(_to_text(line))
        self._file.flush()
        if self._writer is not None:
            for name, value in line.items():
                if name != "step" and value is not None:
                    self._writer.add_scalar(name, value, line["step"])

    def __enter__(self) -> RunLog:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
        if self._writer is not None:
            self._writer.close()


def _to_text(line: dict[str, Any]) -> str:
    return json.dumps(line, allow_nan=False) + "\n"


def require_tensorboard() -> Any:
    """Return TensorBoard's writer class, or say how to install it.

    Raises
    ------
    BackendUnavailableError
        If the package is missing.
    """
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise BackendUnavailableError(
            "`tensorboard` is True, but the package is not installed. In a clone of neurocircuit: "
            "pip install '.[tensorboard]'. The log is in log.jsonl in any case."
        ) from error
    return SummaryWriter
