"""The two published files of weights of the recurrent recogniser."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import replace
from http.client import HTTPException
from pathlib import Path
from types import MappingProxyType
from typing import IO
from urllib.request import urlopen

from tqdm import tqdm

from neurocircuit.files import atomic, cache_folder, sha256_of_file
from neurocircuit.networks.recogniser_files import published_name
from neurocircuit.networks.recurrent_recogniser import PUBLISHED_RECOGNISER

__all__ = ["PRETRAINED", "PRETRAINED_BYTES", "fetch_pretrained"]

#: Places of the published weights on the Open Science Framework, by their flags; each is network 1.
PRETRAINED: Mapping[str, str] = MappingProxyType({"0111": "wxmkv", "1011": "98tgk"})
#: Size of each of these files in bytes.
PRETRAINED_BYTES = 100_598_907

_SECONDS = 30


def fetch_pretrained(flags: str, folder: str | Path | None = None, *, download: bool = True) -> Path:
    """Return the path of one of the two published files of weights, which is downloaded once.

    The size of the file is known beforehand. Its SHA-256 is not published: it is written beside the file when that is
    first there, and compared from then on, so that later damage is found, but a wrong first download of the right size
    is not.

    Parameters
    ----------
    flags : {"0111", "1011"}
        Gain, or bias modulation; either from lateral and top-down connections.
    folder : str or Path, optional
        Where the file is, or is put; by default ``recogniser`` in the cache folder, ``$XDG_CACHE_HOME/neurocircuit`` or
        ``~/.cache/neurocircuit``.
    download : bool
        Whether it may be downloaded if it is not there.

    Raises
    ------
    ValueError
        If there are no published weights with these flags, or the file that is there is not the one that was there
        first.
    FileNotFoundError
        If it is not there and may not be downloaded.
    OSError
        If the download fails, or sends a file of another size.

    References
    ----------
    Thorat, Aldegheri and Kietzmann (2021); the files are at https://osf.io/pf4u5. :cite:p:`thorat2021`
    """
    if flags not in PRETRAINED:
        raise ValueError(f"`flags` is {flags!r}; weights are published for {' and '.join(PRETRAINED)} only.")
    name = published_name(replace(PUBLISHED_RECOGNISER, flags=flags))
    path = (cache_folder() / "recogniser" if folder is None else Path(folder)) / name
    if not path.is_file():
        if not download:
            raise FileNotFoundError(f"There is no file '{path}', and `download` is False.")
        _download(f"https://osf.io/download/{PRETRAINED[flags]}/", path)
    _check_content(path)
    return path


def _check_content(path: Path) -> None:
    """Raise ValueError if a file is not the one that was there first; note its SHA-256 if it is that."""
    note = path.with_name(f"{path.name}.sha256")
    size = path.stat().st_size
    found = sha256_of_file(path) if size == PRETRAINED_BYTES else f"not looked at, as it has {size} bytes"
    expected = note.read_text(encoding="utf-8").strip() if note.is_file() else None
    if size != PRETRAINED_BYTES or expected not in (None, found):
        raise ValueError(
            f"'{path}' is damaged, or another file: its SHA-256 is {found}, expected {expected or 'any'} and "
            f"{PRETRAINED_BYTES} bytes. Delete it, to have it downloaded again, and '{note.name}' beside it, if what "
            "was there first was the wrong one."
        )
    if expected is None:
        with atomic(note) as partial:
            partial.write_text(f"{found}\n", encoding="utf-8")


def _download(url: str, path: Path) -> None:
    try:
        with atomic(path) as partial:
            with urlopen(url, timeout=_SECONDS) as answer, partial.open("wb") as file:
                _copy(answer, file, path.name)
            size = partial.stat().st_size
            if size != PRETRAINED_BYTES:
                raise OSError(f"it sent {size} bytes, expected {PRETRAINED_BYTES}")
    # A connection that breaks between two chunks is none of the system's errors.
    except (OSError, HTTPException) as error:
        raise OSError(
            f"{path.name} could not be downloaded from {url}: {' '.join(str(error).split())}. Check the network, or "
            f"put the file at '{path}'."
        ) from error


def _copy(answer: IO[bytes], file: IO[bytes], name: str) -> None:
    with tqdm.wrapattr(file, "write", total=PRETRAINED_BYTES, desc=name, disable=None, leave=False) as counted:
        shutil.copyfileobj(answer, counted)
