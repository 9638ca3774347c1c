"""What the scripts in ``sims/`` share: flags from parameters, an output folder, checks and one-line errors."""

from __future__ import annotations

import contextlib
import dataclasses
import sys
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import tyro
from matplotlib.figure import Figure

from neurocircuit.equations import ParameterSet, from_float, unit_name
from neurocircuit.errors import BackendUnavailableError, ConvergenceError, NonFiniteError
from neurocircuit.files import atomic

__all__ = [
    "changed",
    "check_output_folder",
    "one_line_errors",
    "parameter_flags",
    "report_checks",
    "save_figure",
]


def parameter_flags(parameters: type[ParameterSet]) -> Any:
    """Return a frozen dataclass with one optional number per parameter, for tyro; times are in ms.

    Meaning and unit of every flag come from the parameters themselves. A flag that is not given is None.
    """
    flags = []
    for symbol in parameters.symbols():
        unit = unit_name(symbol.unit)
        text = f"{symbol.meaning}, {f'in {unit}' if unit else 'dimensionless'}; None is the preset's"
        flags.append((symbol.name, Annotated[float | None, tyro.conf.arg(help=text)], dataclasses.field(default=None)))
    return dataclasses.make_dataclass(f"{parameters.__name__}Flags", flags, frozen=True, kw_only=True)


def changed(flags: Any, parameters: type[ParameterSet]) -> dict[str, Any]:
    """Return the parameters that were given on the command line, with their units."""
    found = {}
    for symbol in parameters.symbols():
        value = getattr(flags, symbol.name)
        if value is not None:
            found[symbol.name] = from_float(value, symbol.unit)
    return found


def check_output_folder(folder: Path) -> Path:
    """Return the folder if files can be written there, and leave nothing behind.

    The folder itself is made by whoever writes the first file, so that a run that fails leaves none.

    Raises
    ------
    OSError
        If the folder, or the nearest folder above it that exists, cannot be written to.
    """
    nearest = folder.absolute()
    while not nearest.exists() and nearest != nearest.parent:
        nearest = nearest.parent
    try:
        tempfile.TemporaryDirectory(dir=nearest).cleanup()
    except OSError as error:
        raise OSError(
            f"`output` is '{folder}', which cannot be written to: {error.strerror or error}. Use another folder."
        ) from error
    return folder


def save_figure(figure: Figure, path: Path) -> Path:
    """Write a figure to a PNG file atomically: the file appears whole or not at all.

    Raises
    ------
    OSError
        If the folder cannot be made or written to.
    """
    with atomic(path) as partial:
        figure.savefig(partial, format="png")
    return path


def report_checks(checks: Mapping[str, bool]) -> int:
    """Print every check with its outcome, and return the exit code: 0 if all passed, otherwise 1."""
    for name, passed in checks.items():
        print(f"{'PASS' if passed else 'FAIL'}  {name}")
    return 0 if all(checks.values()) else 1


@contextlib.contextmanager
def one_line_errors() -> Iterator[None]:
    """Print the library's own errors and warnings as one line each; an error ends the program with exit code 2."""

    def show(message: Warning | str, *_: Any, **__: Any) -> None:
        print(f"warning: {_one_line(message)}", file=sys.stderr)

    try:
        with warnings.catch_warnings():
            warnings.showwarning = show
            yield
    except (ValueError, TypeError, OSError, BackendUnavailableError, ConvergenceError, NonFiniteError) as error:
        print(f"error: {_one_line(error)}", file=sys.stderr)
        raise SystemExit(2) from None


def _one_line(message: object) -> str:
    return " ".join(str(message).split())
