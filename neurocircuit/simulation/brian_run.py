"""One seeded run of a Brian2 network on one of the devices, for networks that are built, run once and read."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import brian2
import numpy as np
from brian2 import ms
from brian2.devices.device import get_device, runtime_device

from neurocircuit.simulation import cuda
from neurocircuit.simulation.brian import brian_device, compile_program

__all__ = ["ONE_RUN_DEVICES", "check_device", "check_seed", "check_time", "generate_once", "run_once"]

#: Devices that `run_once` knows.
ONE_RUN_DEVICES = ("numpy", "cython", "cpp", "cuda")

Objects = TypeVar("Objects")
Result = TypeVar("Result")
Build = Callable[[], tuple[Any, Objects]]


def run_once(
    build: Build[Objects], read: Callable[[Objects], Result], duration: float, device: str, seed: int | None
) -> Result:
    """Build a network, run it and return what is read from it.

    Parameters
    ----------
    build : callable
        Returns a ``brian2.Network`` and the objects that are to be read. Called once the device is chosen.
    read : callable
        Returns the result from those objects, as arrays of its own.
    duration : float
        In ms.
    device : {"numpy", "cython", "cpp", "cuda"}
        What executes it.
    seed : int or None
        Of Brian2's random numbers; None if the network has none. NumPy's global state is left as it was.

    Raises
    ------
    ValueError
        If the device or the seed is not as described.
    BackendUnavailableError
        If the device cannot run here, or its program does not compile.
    """
    check_device(device)
    check_seed(seed)
    if device == "cuda":
        cuda.require_gpu()
    quiet = np.errstate(all="ignore")  # results are checked where they are read
    folder = tempfile.TemporaryDirectory(prefix="neurocircuit_")
    with folder as directory, quiet, _same_random_numbers(), brian_device(device, directory):
        objects = _prepare(build, duration, seed)
        if device in ("cpp", "cuda"):
            compile_program(device, directory, run=True)
        return read(objects)


def generate_once(
    build: Build[Any], duration: float, directory: str, device: str, seed: int | None, compile: bool
) -> None:
    """Write the C++ or CUDA program of a network into a directory, and compile it if asked; no GPU is needed.

    Raises
    ------
    ValueError
        If the device is not one that is generated, or the seed is not as in `run_once`.
    BackendUnavailableError
        If brian2cuda is missing or does not match, or there is no toolkit to compile with.
    """
    if device not in ("cpp", "cuda"):
        raise ValueError(f"`device` is {device!r}; it must be 'cuda' or 'cpp'.")
    check_seed(seed)
    if device == "cuda" and compile:
        cuda.require_toolkit()
    with _same_random_numbers(), brian_device(device, directory):
        _prepare(build, duration, seed)
        get_device().build(directory=directory, compile=compile, run=False, clean=False)


def check_device(device: str) -> None:
    """Raise ValueError if there is no such device."""
    if device not in ONE_RUN_DEVICES:
        raise ValueError(f"`device` is {device!r}; it must be one of {', '.join(ONE_RUN_DEVICES)}.")


def check_seed(seed: int | None) -> None:
    """Raise ValueError if a seed is neither None nor a whole number that NumPy and Brian2 take."""
    if seed is None:
        return
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or not 0 <= seed < 2**32:
        raise ValueError(f"`seed` is {seed!r}; it must be a whole number from 0 to 2**32 - 1.")


def check_time(name: str, value: float, *, zero: bool = False) -> None:
    """Raise ValueError if a time in ms is not finite and positive (or zero, if that is allowed)."""
    if not (np.isfinite(value) and (value > 0 or (zero and value == 0))):
        raise ValueError(f"`{name}` is {value!r}; it must be a {'non-negative' if zero else 'positive'} time in ms.")


def _prepare(build: Build[Objects], duration: float, seed: int | None) -> Objects:
    if seed is not None:
        brian2.seed(int(seed))
    network, objects = build()
    network.run(duration * ms, namespace={})
    return objects


@contextmanager
def _same_random_numbers() -> Iterator[None]:
    """Restore the random numbers of NumPy and of Brian2's run-time device afterwards."""
    state = runtime_device.get_random_state()
    try:
        yield
    finally:
        runtime_device.set_random_state(state)
