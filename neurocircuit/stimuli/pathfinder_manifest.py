"""The manifest of a Pathfinder data set: what was ordered, by which versions it was drawn, and its checksums."""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from neurocircuit.checks import check_whole
from neurocircuit.files import atomic, sha256_of_file
from neurocircuit.stimuli.pathfinder import pathfinder_batch
from neurocircuit.stimuli.pathfinder_settings import PathfinderSettings
from neurocircuit.versions import package_versions

__all__ = ["PathfinderReport", "verify_pathfinder"]

MANIFEST = "manifest.json"
TRAIN_LIST = "train_images.txt"
TEST_LIST = "test_images.txt"
COMBINED = "metadata/combined.npy"
#: Beginning of the names of folders in which shards are made.
PART = ".part-"

_FORMAT = "neurocircuit pathfinder 1"


@dataclass(frozen=True)
class Order:
    """What a data set is: the arguments of `write_pathfinder` that decide its bytes."""

    settings: PathfinderSettings
    seed: int
    count: int
    shard_size: int
    test_fraction: float

    @classmethod
    def checked(
        cls, settings: PathfinderSettings, seed: int, count: int, shard_size: int, test_fraction: float
    ) -> Order:
        """Return the order, or raise TypeError or ValueError if it cannot be carried out."""
        if not isinstance(settings, PathfinderSettings):
            raise TypeError(
                f"`settings` is {settings!r}; it must be PathfinderSettings, as in DIFFICULTIES, for example."
            )
        check_whole("count", count, 1)
        check_whole("shard_size", shard_size, 1)
        if isinstance(test_fraction, bool) or not isinstance(test_fraction, int | float | np.floating):
            raise TypeError(f"`test_fraction` is {test_fraction!r}; it must be a number.")
        if not 0 <= test_fraction < 1:
            raise ValueError(f"`test_fraction` is {test_fraction}; it must be at least 0 and less than 1.")
        # No image is drawn: the generator checks the seed.
        pathfinder_batch(settings, seed, [])
        order = cls(settings, int(seed), int(count), int(shard_size), float(test_fraction))
        if not order.train or (test_fraction > 0 and order.train == count):
            raise ValueError(
                f"`test_fraction` is {test_fraction}, which leaves {order.train} of {count} images for training and "
                f"{count - order.train} for testing. Use a larger `count`, or `test_fraction=0` for no test list."
            )
        return order

    @property
    def train(self) -> int:
        """Number of training images, which are the first."""
        return self.count - round(self.count * self.test_fraction)

    def fields(self) -> dict[str, Any]:
        """Return names and plain values, the settings' among them."""
        values = asdict(self)
        values |= values.pop("settings")
        return {name: value.item() if isinstance(value, np.generic) else value for name, value in values.items()}


def checksums_path(shard: int) -> str:
    """Return where the checksums of a shard's files are, in the folder of the data set."""
    return f"checksums/{shard}.sha256"


def open_folder(folder: Path, order: Order) -> list[dict[str, str]]:
    """Make a folder ready for a data set; return the versions that have written to it, today's last.

    Raises
    ------
    ValueError
        If the folder was begun with another order.
    FileExistsError, NotADirectoryError
        If it holds other data, or is a file.
    OSError
        If it cannot be made or written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        names = sorted(path.name for path in folder.iterdir())
        if not os.access(folder, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except FileExistsError:
        raise NotADirectoryError(f"`folder` is '{folder}', which is a file. Use another folder.") from None
    except OSError as error:
        raise OSError(error.errno, f"`folder` is '{folder}', which cannot be used: {error.strerror}") from error
    today = package_versions()
    if MANIFEST not in names:
        # Hidden files are what a system, or a call that was killed at once, leaves in a folder.
        if others := [name for name in names if not name.startswith(".")]:
            raise FileExistsError(
                f"`folder` is '{folder}', which holds other data ({', '.join(others[:3])}) and no {MANIFEST}. "
                "Use a new folder."
            )
        return [today]
    found = read_manifest(folder)
    _check_same(folder, found["order"], order.fields())
    _tidy(folder)
    return [*(each for each in found["versions"] if each != today), today]


def _check_same(folder: Path, begun: Mapping[str, Any], asked: Mapping[str, Any]) -> None:
    names = [*asked, *(name for name in begun if name not in asked)]
    differing = [
        f"`{name}` was {begun.get(name)!r} and is now {asked.get(name)!r}"
        for name in names
        if begun.get(name) != asked.get(name)
    ]
    if differing:
        raise ValueError(
            f"`folder` is '{folder}', a data set that was begun with other arguments: {'; '.join(differing)}. Repeat "
            "them to go on, or use a new folder."
        )


def _tidy(folder: Path) -> None:
    """Remove the temporary files of a call that was killed."""
    for part in folder.glob(f"{PART}*"):
        shutil.rmtree(part)
    for name in (MANIFEST, TRAIN_LIST, TEST_LIST, COMBINED):
        path = folder / name
        for stray in path.parent.glob(f".{path.name}.*"):
            stray.unlink()


def write_manifest(
    folder: Path, order: Order, versions: Sequence[Mapping[str, str]], sums: Mapping[str, str] | None = None
) -> Path:
    """Write the manifest atomically; without `sums` it is that of a data set that is not complete."""
    content = {"format": _FORMAT, "order": order.fields(), "versions": versions, "sha256": sums or {}}
    path = folder / MANIFEST
    with atomic(path) as partial:
        partial.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    return path


def read_manifest(folder: Path) -> dict[str, Any]:
    """Return the content of a folder's manifest.

    Raises
    ------
    FileNotFoundError
        If there is none.
    ValueError
        If it is not a manifest of this format.
    """
    path = folder / MANIFEST
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise FileNotFoundError(
            f"`folder` is '{folder}', which has no {MANIFEST}. Use a folder that write_pathfinder wrote."
        ) from None
    except ValueError as error:
        raise ValueError(f"'{path}' is damaged: {error}. Restore it from a copy, or write the data set anew.") from None
    if not isinstance(content, dict) or content.get("format") != _FORMAT:
        found = content.get("format") if isinstance(content, dict) else content
        raise ValueError(f"'{path}' has the format {found!r}; this version reads {_FORMAT!r}.")
    return content


@dataclass(frozen=True)
class PathfinderReport:
    """What a check of a data set on disk found."""

    files: int
    """Files that were looked for."""
    missing: tuple[str, ...]
    """Those that are not there, by their paths in the folder."""
    damaged: tuple[str, ...]
    """Those whose bytes are not the ones that were written."""

    @property
    def intact(self) -> bool:
        """Whether every file is as it was written."""
        return not self.missing and not self.damaged


def verify_pathfinder(folder: str | Path, *, progress: bool = True) -> PathfinderReport:
    """Read every file of a complete data set, and compare it with its checksum.

    To repair a data set delete the files that are damaged, and repeat the call of `write_pathfinder`: it draws the
    shards with missing files anew.

    Parameters
    ----------
    folder : str or Path
        Folder that `write_pathfinder` wrote.
    progress : bool
        Whether to show a progress bar, if the output is a terminal.

    Returns
    -------
    PathfinderReport
        Files that are missing or damaged. The files of a shard whose file of checksums is itself missing or damaged
        cannot be compared, and are not counted.

    Raises
    ------
    FileNotFoundError
        If the folder has no manifest.
    ValueError
        If the manifest is damaged, or the data set not complete.
    """
    place = Path(folder)
    sums = read_manifest(place)["sha256"]
    if not sums:
        raise ValueError(
            f"`folder` is '{place}', whose data set is not complete. Repeat the call that began it, then verify."
        )
    missing: list[str] = []
    damaged: list[str] = []
    queue = list(sums.items())
    with tqdm(total=len(queue), unit="file", desc="verify", disable=None if progress else True) as bar:
        for name, expected in queue:
            path = place / name
            if not path.is_file():
                missing.append(name)
            elif sha256_of_file(path) != expected:
                damaged.append(name)
            elif path.suffix == ".sha256":
                lines = [line.split("  ", 1) for line in path.read_text(encoding="utf-8").splitlines()]
                # The list grows while it is gone through.
                queue += [(listed, digest) for digest, listed in lines]
                bar.total = len(queue)
            bar.update()
    return PathfinderReport(len(queue), tuple(missing), tuple(damaged))
