"""Versions of the packages that a result depends on, to be kept with it."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version

__all__ = ["package_versions"]

_PACKAGES = ("neurocircuit", "brian2", "brian2cuda", "torch", "numpy", "scipy", "xarray", "numba", "pillow")


def package_versions() -> dict[str, str]:
    """Return the versions of Python and of the packages a result depends on."""
    found = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
