"""Checkpoints from which a killed run goes on, and files of weights."""

from __future__ import annotations

import json
import pickle
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from neurocircuit.files import atomic

__all__ = [
    "copied_weights",
    "has_run",
    "load_newest",
    "load_state",
    "load_weights",
    "newest_name",
    "read_weights",
    "save_checkpoint",
    "save_weights",
    "tidy",
    "write_weights",
]

#: How many checkpoints are kept.
_KEPT = 2
#: What a checkpoint holds at least.
_PARTS = {"step", "model", "optimizer", "scaler", "progress", "config", "description", "environment"}


def has_run(folder: str | Path) -> bool:
    """Return whether a folder holds a training run that can be resumed."""
    return bool(_checkpoints(Path(folder)))


def newest_name(folder: Path) -> str:
    """Return the path of the newest checkpoint as text, or that there is none."""
    found = _checkpoints(folder)
    return f"'{found[-1]}'" if found else "none"


def save_checkpoint(folder: Path, state: Mapping[str, Any]) -> None:
    """Write a checkpoint of ``state["step"]`` atomically, then remove all but the last two."""
    with atomic(folder / _name(state["step"])) as partial:
        torch.save(dict(state), partial)
    for path in _checkpoints(folder)[:-_KEPT]:
        path.unlink()


def load_newest(folder: Path) -> dict[str, Any]:
    """Return the newest checkpoint that can be read, with a warning if that is not the newest of all.

    Raises
    ------
    FileNotFoundError
        If the folder holds no checkpoint.
    ValueError
        If none of them can be read.
    """
    found = _checkpoints(folder)
    if not found:
        raise FileNotFoundError(
            f"`resume` is True, but there is nothing to resume: '{folder}' holds no checkpoint. Check the folder, or "
            "start with resume=False."
        )
    for path in reversed(found):
        try:
            return _load(path)
        except _DamagedError as error:
            warnings.warn(f"Checkpoint '{path}' is damaged and passed over: {error}", RuntimeWarning, stacklevel=3)
    raise ValueError(f"None of the checkpoints in '{folder}' can be read. Start again in another folder.")


def tidy(folder: Path, step: int) -> None:
    """Rename checkpoints later than a step, which could not be read, and remove what a killed write left behind."""
    for path in _checkpoints(folder):
        if path.name > _name(step):
            path.rename(path.with_suffix(".damaged"))
    for target in ("checkpoint_*.pt", "best.safetensors", "config.json", "log.jsonl"):
        for path in folder.glob(f".{target}.*"):
            path.unlink()


def load_state(model: nn.Module, state: Mapping[str, Tensor], path: str | Path) -> None:
    """Load weights strictly, or say what does not fit.

    Raises
    ------
    ValueError
        If names or shapes differ.
    """
    own = model.state_dict()
    problems = [
        *(f"the model's {name} is not in the file" for name in own if name not in state),
        *(f"the file's {name} is not in the model" for name in state if name not in own),
        *(
            f"{name} is {tuple(own[name].shape)} in the model and {tuple(state[name].shape)} in the file"
            for name in own
            if name in state and own[name].shape != state[name].shape
        ),
    ]
    if problems:
        more = f", and {len(problems) - 5} more" if len(problems) > 5 else ""
        raise ValueError(f"The weights in '{path}' are of another model: {'; '.join(problems[:5])}{more}.")
    model.load_state_dict(dict(state))


def copied_weights(model: nn.Module) -> dict[str, Tensor]:
    """Return copies of a model's weights and buffers in main memory, none of which shares memory with another."""
    return {name: tensor.detach().cpu().clone().contiguous() for name, tensor in model.state_dict().items()}


def save_weights(model: nn.Module, path: str | Path, metadata: Mapping[str, Any]) -> None:
    """Write a model's weights and JSON metadata to a safetensors file atomically."""
    write_weights(copied_weights(model), path, metadata)


def write_weights(weights: Mapping[str, Tensor], path: str | Path, metadata: Mapping[str, Any]) -> None:
    """Write weights and JSON metadata to a safetensors file atomically; no two tensors may share memory."""
    with atomic(path) as partial:
        # One entry, because the format writes several in an order that differs from run to run.
        save_file(dict(weights), partial, {"json": json.dumps(dict(metadata))})


def load_weights(model: nn.Module, path: str | Path) -> dict[str, Any]:
    """Load a file of weights into a model, strictly, and return the file's metadata.

    Parameters
    ----------
    model : torch module
        Changed in place; its parameters keep their device and type.
    path : str or Path
        Such as ``best.safetensors`` of a run.

    Returns
    -------
    dict
        ``step``, ``evaluation``, ``config``, ``description`` and ``environment`` of the run.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is damaged, or its weights are of another model.
    """
    state, metadata = read_weights(path)
    load_state(model, state, path)
    return metadata


def read_weights(path: str | Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return the weights and the metadata of a file; see `load_weights`."""
    if not Path(path).is_file():
        raise FileNotFoundError(f"There is no file of weights '{path}'.")
    try:
        with safe_open(path, framework="pt") as file:
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  (not a mapping)
            metadata: dict[str, Any] = json.loads((file.metadata() or {}).get("json", "{}"))
    except SafetensorError as error:
        raise ValueError(f"'{path}' is damaged or no safetensors file: {error}") from error
    return state, metadata


class _DamagedError(Exception):
    """A checkpoint that cannot be read."""


def _load(path: Path) -> dict[str, Any]:
    try:
        # The archive's check sums also find changed bytes in the middle of a tensor, which torch does not.
        with zipfile.ZipFile(path) as archive:
            wrong = archive.testzip()
        if wrong is not None:
            raise _DamagedError(f"the check sum of its part {wrong} is wrong")
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except (zipfile.BadZipFile, pickle.UnpicklingError, RuntimeError, EOFError, KeyError) as error:
        raise _DamagedError(str(error).splitlines()[0]) from error
    if not isinstance(state, dict) or not state.keys() >= _PARTS:
        raise _DamagedError("it is no checkpoint of this library")
    return state


def _name(step: int) -> str:
    return f"checkpoint_{step:08d}.pt"


def _checkpoints(folder: Path) -> list[Path]:
    return sorted(folder.glob("checkpoint_*.pt"))
