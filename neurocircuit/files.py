"""Writing files so that they appear whole or not at all, and telling them apart."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["atomic", "cache_folder", "sha256_of_file"]


@contextmanager
def atomic(path: str | Path) -> Iterator[Path]:
    """Give a temporary path to write to, which becomes `path` if nothing fails; the folder is made if missing.

    Raises
    ------
    OSError
        If the folder cannot be made or written to.
    """
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        yield partial
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)


def cache_folder() -> Path:
    """Return the folder of what is downloaded, ``$XDG_CACHE_HOME/neurocircuit`` or ``~/.cache/neurocircuit``."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "neurocircuit"


def sha256_of_file(path: str | Path) -> str:
    """Return the SHA-256 of a file's bytes, as text.

    Raises
    ------
    OSError
        If the file cannot be read.
    """
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
