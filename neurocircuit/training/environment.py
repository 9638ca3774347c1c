"""What the rounding of a run depends on beside its settings, kept with its checkpoints."""

from __future__ import annotations

import platform
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch

from neurocircuit.versions import package_versions

__all__ = ["one_thread", "run_environment", "warn_of_changes"]

#: Parts of the environment that rounding depends on.
_DECIDE_BITS = {"neurocircuit", "torch", "numpy", "processor", "threads", "processes", "device"}


@contextmanager
def one_thread() -> Iterator[None]:
    """Let torch use one thread, whatever runs beside: rounding depends on their number."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def run_environment(device: torch.device, processes: int = 1) -> dict[str, str]:
    """Return versions, processor, numbers of threads and processes, and device of a run.

    Parameters
    ----------
    device : torch.device
        Where it computes.
    processes : int
        How many take part.
    """
    return package_versions() | {
        "processor": f"{platform.machine()} {torch.backends.cpu.get_cpu_capability()}",
        "threads": str(torch.get_num_threads()),
        "processes": str(processes),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
    }


def warn_of_changes(before: Mapping[str, str], now: Mapping[str, str], *, stacklevel: int) -> None:
    """Warn if a run goes on in an environment that rounds otherwise.

    Parameters
    ----------
    before, now : mapping
        As `run_environment` returns them.
    stacklevel : int
        Of the caller's caller to be named, counted as by `warnings.warn` in this function.
    """
    changed = [
        f"{name} was {old} and is now {now.get(name)}"
        for name, old in before.items()
        if name in _DECIDE_BITS and now.get(name) != old
    ]
    if changed:
        warnings.warn(
            f"The run goes on, but not to the same bits as without interruption: {'; '.join(changed)}.",
            RuntimeWarning,
            stacklevel=stacklevel,
        )
