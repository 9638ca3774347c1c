"""What CUDA code generation needs: the right pair of packages, a toolkit, a GPU; and the preferences that fit."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sysconfig
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import brian2
import torch

from neurocircuit.errors import BackendUnavailableError

__all__ = ["cuda_problem", "find_toolkit", "preferences", "require_brian2cuda", "require_gpu", "require_toolkit"]

#: The brian2 that each brian2cuda release works with.
_PAIRS = {"1.0b1": "2.10.1", "1.0a7": "2.9.0"}

_ROUTE = (
    "In a clone of neurocircuit, on Python 3.12: pip install '.[cuda]'; on Python 3.11: pip install --no-deps "
    "brian2cuda==1.0a7 (with brian2 2.9.0). Or run with device='cpp' or 'torch'."
)

#: Compute capability that code is generated for when there is no GPU to ask (Hopper).
_DEFAULT_CAPABILITY = 9.0
_DEFAULT_RUNTIME = 13.0


def require_brian2cuda() -> None:
    """Import brian2cuda, or say which version is missing or does not match.

    Raises
    ------
    BackendUnavailableError
        If brian2cuda is missing or its release does not work with the installed brian2.
    """
    try:
        found = version("brian2cuda")
    except PackageNotFoundError:
        raise BackendUnavailableError(
            f"`device` is 'cuda', which needs brian2cuda, not installed here. {_ROUTE}"
        ) from None
    wanted = _PAIRS.get(found)
    if wanted != brian2.__version__:
        needs = (
            f"needs brian2 {wanted}" if wanted else f"is not one of the releases known to work ({', '.join(_PAIRS)})"
        )
        raise BackendUnavailableError(
            f"`device` is 'cuda', but brian2cuda {found} {needs}; found brian2 {brian2.__version__}. {_ROUTE}"
        )
    import brian2cuda  # noqa: F401  (registers the device)


def require_toolkit() -> Path:
    """Return the CUDA toolkit's folder, or say where one comes from.

    Raises
    ------
    BackendUnavailableError
        If no folder with ``bin/nvcc`` is found.
    """
    toolkit = find_toolkit()
    if toolkit is None:
        raise BackendUnavailableError(
            "`device` is 'cuda', but no CUDA toolkit was found"
            + (f" in CUDA_PATH={os.environ['CUDA_PATH']!r}" if "CUDA_PATH" in os.environ else "")
            + ": set CUDA_PATH to the folder that holds bin/nvcc and include/cuda_runtime.h, put nvcc on PATH, or "
            "install the compiler as wheels: pip install '.[nvcc]' in a clone of neurocircuit."
        )
    return toolkit


def require_gpu() -> None:
    """Check everything a run on a GPU needs: the pair of packages, a toolkit and a GPU.

    Raises
    ------
    BackendUnavailableError
        If one of them is missing.
    """
    require_brian2cuda()
    require_toolkit()
    if not torch.cuda.is_available():
        raise BackendUnavailableError(
            "`device` is 'cuda', but no CUDA GPU is visible. `generate_program` writes and compiles the program "
            "without one; to simulate here use device='cpp' or 'torch'."
        )


def cuda_problem() -> str:
    """Return why the device 'cuda' cannot run here, or the empty string."""
    try:
        require_gpu()
    except BackendUnavailableError as error:
        return str(error)
    return ""


def find_toolkit() -> Path | None:
    """Return the folder of a CUDA toolkit: that of CUDA_PATH, of the wheels, of the nvcc on PATH, or the usual one."""
    if "CUDA_PATH" in os.environ:
        candidates = [Path(os.environ["CUDA_PATH"])]
    else:
        on_path = shutil.which("nvcc")
        found = [Path(on_path).resolve().parent.parent] if on_path else []
        candidates = [*_wheel_folders(), *found, Path("/usr/local/cuda")]
    needed = ("bin/nvcc", "include/cuda_runtime.h")
    return next((folder for folder in candidates if all((folder / name).exists() for name in needed)), None)


def preferences(directory: str) -> dict[str, Any]:
    """Return Brian2 preferences to generate, and if a toolkit is found compile, a CUDA program in a folder.

    No GPU is needed: the compute capability is that of the GPU torch sees, or a default.
    """
    require_brian2cuda()
    capability = torch.cuda.get_device_capability() if torch.cuda.is_available() else None
    toolkit = find_toolkit()
    backend = "devices.cuda_standalone.cuda_backend"
    values: dict[str, Any] = {
        f"{backend}.detect_gpus": False,
        f"{backend}.gpu_id": 0,
        f"{backend}.compute_capability": float("{}.{}".format(*capability)) if capability else _DEFAULT_CAPABILITY,
        f"{backend}.detect_cuda": False,
        f"{backend}.cuda_runtime_version": _runtime_version(toolkit),
        # The headers of CUDA 13 need C++17, which brian2cuda's own "-std=c++11" precedes; no fast-math, as in C++.
        f"{backend}.extra_compile_args_nvcc": ["-w", "-std=c++17"],
        "codegen.cpp.extra_compile_args_gcc": ["-w", "-O2", "-std=c++17"],
    }
    if toolkit is not None:
        values[f"{backend}.cuda_path"] = str(toolkit)
        if toolkit in _wheel_folders():
            folders = [_link_libraries(toolkit, directory), str(toolkit / "lib")]
            values["codegen.cpp.library_dirs"] = [*brian2.prefs["codegen.cpp.library_dirs"], *folders]
    return values


def _wheel_folders() -> list[Path]:
    packages = {sysconfig.get_paths()[kind] for kind in ("purelib", "platlib")}
    return [folder for package in packages for folder in sorted(Path(package, "nvidia").glob("cu*"))]


def _link_libraries(toolkit: Path, directory: str) -> str:
    """Give the wheels' libraries, which carry only their version number, the names the linker looks for."""
    links = Path(directory, "lib")
    links.mkdir(parents=True, exist_ok=True)
    for library in (toolkit / "lib").glob("lib*.so.*"):
        link = links / f"{library.name.split('.so.')[0]}.so"
        if not link.exists():
            link.symlink_to(library)
    return str(links)


def _runtime_version(toolkit: Path | None) -> float:
    if toolkit is None:
        return _DEFAULT_RUNTIME
    printed = subprocess.run(
        [toolkit / "bin" / "nvcc", "--version"], capture_output=True, text=True, check=False
    ).stdout
    found = re.search(r"release (\d+\.\d+)", printed)
    return float(found[1]) if found else _DEFAULT_RUNTIME
