"""Pathfinder data sets on disk, in the field's layout: written in shards, resumable, and checked against checksums.

The layout is that of the public generator and of the lists that training code reads::

    pf14/manifest.json                settings, seed, counts, versions, checksums
    pf14/train_images.txt             lines "pf14/imgs/1/sample_0.png 1"
    pf14/test_images.txt
    pf14/imgs/1/sample_0.png          8-bit grey; shards are numbered from 1, images of a shard from 0
    pf14/metadata/1.npy               rows of `METADATA_COLUMNS` as text; combined.npy has those of all shards
    pf14/checksums/1.sha256           SHA-256 of every file of shard 1; ``sha256sum -c`` reads it from within pf14

Image ``n`` of shard ``b`` is image ``(b - 1) * shard_size + n`` of the seed. A shard is drawn into a folder of its own,
whose parts are then renamed into place, the checksums last: a shard with checksums is a finished one. The manifest
holds the checksum of each file of checksums, and so vouches for every byte.
"""

from __future__ import annotations

import errno
import hashlib
import io
import math
import multiprocessing
import os
import shutil
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image
from tqdm import tqdm

from neurocircuit.checks import check_whole
from neurocircuit.files import atomic, sha256_of_file
from neurocircuit.stimuli.pathfinder import METADATA_COLUMNS, metadata_rows, pathfinder_batch
from neurocircuit.stimuli.pathfinder_manifest import (
    COMBINED,
    PART,
    TEST_LIST,
    TRAIN_LIST,
    Order,
    checksums_path,
    open_folder,
    write_manifest,
)
from neurocircuit.stimuli.pathfinder_settings import PathfinderSettings

__all__ = ["write_pathfinder"]

#: Images drawn at a time, which bounds the memory of a process whatever the size of a shard.
_CHUNK = 256
#: Images from which the room that a data set takes is estimated.
_SAMPLE = 16
_LISTED = [METADATA_COLUMNS.index(name) for name in ("subpath", "filename", "label")]


class _Shard(NamedTuple):
    number: int
    first: int
    size: int

    @property
    def subpath(self) -> str:
        return f"imgs/{self.number}"

    @property
    def metadata(self) -> str:
        return f"metadata/{self.number}.npy"

    @property
    def part(self) -> str:
        return f"{PART}{self.number}"


def write_pathfinder(
    folder: str | Path,
    settings: PathfinderSettings,
    seed: int,
    count: int,
    *,
    shard_size: int = 1000,
    test_fraction: float = 0.1,
    workers: int = 1,
    progress: bool = True,
) -> Path:
    """Write a data set to a folder, or go on where an interrupted call with the same arguments stopped.

    The files are the same bytes whatever the number of workers, interrupted or not, with the same versions of the
    packages that the manifest lists. One call at a time may write to a folder.

    Parameters
    ----------
    folder : str or Path
        A new or empty folder, or one that an earlier call wrote to. Its name begins every line of the lists.
    settings : PathfinderSettings
        What is drawn.
    seed : int
        Seed of the data set, 0 to 2**64 - 1.
    count : int
        Number of images.
    shard_size : int
        Images per shard: the unit that is written whole or not at all, and shared among workers.
    test_fraction : float
        The last ``round(count * test_fraction)`` images are the test list and the others the training list. Images are
        independent of each other, so a split by index is a random one. The default is the official code's. With 0
        there is no test list.
    workers : int
        Processes. With more than 1 a script needs ``if __name__ == "__main__":``, as always with Python's processes.
    progress : bool
        Whether to show a progress bar, if the output is a terminal.

    Returns
    -------
    Path
        ``manifest.json``, which is completed last.

    Raises
    ------
    TypeError, ValueError
        If an argument is not of its kind or out of range, or differs from what the folder was begun with.
    FileExistsError, NotADirectoryError
        If the folder holds other data, or is a file.
    OSError
        If the folder cannot be written to. If the disk is full: the interrupted shard is removed, and the message says
        how many images are complete and how much room the others need.
    """
    order = Order.checked(settings, seed, count, shard_size, test_fraction)
    check_whole("workers", workers, 1)
    place = Path(folder)
    versions = open_folder(place, order)
    shards = _shards(order)
    with _disk_full_explained(place, order, shards):
        write_manifest(place, order, versions)
        _write_shards(place, order, shards, workers, progress)
        _write_lists(place, order, shards)
        _write_combined(place, shards)
        summed = [name for name in (TRAIN_LIST, TEST_LIST, COMBINED) if (place / name).exists()]
        summed += [checksums_path(shard.number) for shard in shards]
        return write_manifest(place, order, versions, {name: sha256_of_file(place / name) for name in summed})


def _shards(order: Order) -> list[_Shard]:
    firsts = range(0, order.count, order.shard_size)
    return [_Shard(number, first, min(order.shard_size, order.count - first)) for number, first in enumerate(firsts, 1)]


def _write_shards(folder: Path, order: Order, shards: list[_Shard], workers: int, progress: bool) -> None:
    todo = [shard for shard in shards if not _finished(folder, shard)]
    done = order.count - sum(shard.size for shard in todo)
    write = partial(_write_shard, folder, order.settings, order.seed)
    with tqdm(total=order.count, initial=done, unit="image", desc="write", disable=None if progress else True) as bar:
        for images in map(write, todo) if workers == 1 else _in_processes(write, todo, workers):
            bar.update(images)


def _in_processes(write: partial[int], todo: list[_Shard], workers: int) -> Iterator[int]:
    # A fork of a process that has threads, as torch makes them, can deadlock.
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(workers, max(len(todo), 1)), spawn) as pool:
        try:
            for future in as_completed([pool.submit(write, shard) for shard in todo]):
                yield future.result()
        except BrokenProcessPool as error:
            raise ChildProcessError(
                "a process that wrote images died: it was killed, ran out of memory, or the script has no "
                '`if __name__ == "__main__":`. Finished shards are kept; repeat the same call to go on.'
            ) from error
        finally:
            pool.shutdown(cancel_futures=True)


def _write_shard(folder: Path, settings: PathfinderSettings, seed: int, shard: _Shard) -> int:
    """Write one shard, whole or not at all, and return its number of images."""
    _discard(folder, shard)
    part = folder / shard.part
    moves = {"images": shard.subpath, "metadata": shard.metadata, "sums": checksums_path(shard.number)}
    try:
        (part / "images").mkdir(parents=True)
        labels, sums = _write_images(part / "images", settings, seed, shard)
        rows = io.BytesIO()
        np.save(rows, metadata_rows(settings, labels, subpath=shard.subpath))
        _write(part / "metadata", rows.getvalue())
        sums.append(_sum_line(rows.getvalue(), shard.metadata))
        _write(part / "sums", "".join(sums).encode())
        for made, final in moves.items():
            (folder / final).parent.mkdir(exist_ok=True)
            (part / made).rename(folder / final)
        part.rmdir()
    except BaseException:
        _discard(folder, shard)
        raise
    return shard.size


def _write_images(folder: Path, settings: PathfinderSettings, seed: int, shard: _Shard) -> tuple[list[int], list[str]]:
    labels: list[int] = []
    sums: list[str] = []
    last = shard.first + shard.size
    for first in range(shard.first, last, _CHUNK):
        batch = pathfinder_batch(settings, seed, range(first, min(first + _CHUNK, last)))
        for number, image in enumerate(batch.images, len(labels)):
            png = _png(image)
            _write(folder / f"sample_{number}.png", png)
            sums.append(_sum_line(png, f"{shard.subpath}/sample_{number}.png"))
        labels.extend(batch.labels)
    return labels, sums


def _png(image: npt.NDArray[np.uint8]) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, format="PNG")
    return buffer.getvalue()


def _sum_line(data: bytes, name: str) -> str:
    return f"{hashlib.sha256(data).hexdigest()}  {name}\n"


def _write(path: Path, data: bytes) -> None:
    path.write_bytes(data)


def _discard(folder: Path, shard: _Shard) -> None:
    """Remove whatever there is of a shard, the mark that it is finished first."""
    for name in (checksums_path(shard.number), shard.metadata):
        (folder / name).unlink(missing_ok=True)
    for path in (folder / shard.subpath, folder / shard.part):
        shutil.rmtree(path, ignore_errors=True)


def _finished(folder: Path, shard: _Shard) -> bool:
    """Return whether a shard has its checksums, rows and non-empty images; their bytes are left to `verify_pathfinder`.

    Emptiness is looked at because a machine that loses power can leave empty files behind.
    """
    try:
        sums = (folder / checksums_path(shard.number)).read_bytes().count(b"\n")
        shape = np.load(folder / shard.metadata, mmap_mode="r").shape
        with os.scandir(folder / shard.subpath) as entries:
            sizes = [entry.stat().st_size for entry in entries]
    except (OSError, ValueError, EOFError):
        return False
    expected = (shard.size + 1, (shard.size, len(METADATA_COLUMNS)), shard.size)
    return (sums, shape, len(sizes)) == expected and min(sizes) > 0


def _write_lists(folder: Path, order: Order, shards: list[_Shard]) -> None:
    lines: list[str] = []
    name = folder.resolve().name
    for shard in shards:
        rows = np.load(folder / shard.metadata)
        lines += [f"{name}/{subpath}/{file} {label}\n" for subpath, file, label in rows[:, _LISTED]]
    for listed, part in ((TRAIN_LIST, lines[: order.train]), (TEST_LIST, lines[order.train :])):
        if part:
            with atomic(folder / listed) as temporary:
                temporary.write_text("".join(part), encoding="utf-8")


def _write_combined(folder: Path, shards: list[_Shard]) -> None:
    """Write the rows of all shards to one array, a shard at a time: all in memory they can be a gigabyte."""
    tables = [np.load(folder / shard.metadata, mmap_mode="r") for shard in shards]
    widest = max((table.dtype for table in tables), key=lambda dtype: dtype.itemsize)
    header = {"descr": widest.str, "fortran_order": False, "shape": (sum(map(len, tables)), len(METADATA_COLUMNS))}
    with atomic(folder / COMBINED) as temporary, temporary.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)  # type: ignore[no-untyped-call]
        for table in tables:
            file.write(table.astype(widest).tobytes())


@contextmanager
def _disk_full_explained(folder: Path, order: Order, shards: list[_Shard]) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        done = sum(shard.size for shard in shards if _finished(folder, shard))
        room = _room(folder, order, order.count - done)
        raise OSError(
            error.errno,
            f"no room is left for '{folder}': {done} of {order.count} images are complete, and what was unfinished has "
            f"been removed. The rest needs about {math.ceil(room / 1e6)} MB more. Make room, then repeat the same call "
            "to go on, or use another `folder` or a smaller `count`",
        ) from error


def _room(folder: Path, order: Order, images: int) -> int:
    """Return about how many bytes of disk a number of images takes, with the rows and lists of the whole data set."""
    drawn = pathfinder_batch(order.settings, order.seed, range(min(_SAMPLE, order.count))).images
    block = getattr(folder.stat(), "st_blksize", 4096)
    image = sum(math.ceil(len(_png(each)) / block) * block for each in drawn) / len(drawn)
    row = metadata_rows(order.settings, [0], subpath="imgs/1000").nbytes
    # A line of a list and one of checksums are together shorter than 200 bytes.
    return math.ceil(images * (image + row) + order.count * (row + 200))
