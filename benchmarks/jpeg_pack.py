"""Turn a lossy pack of CIFAR-10, every image a JPEG, into the layout of CIFAR-10's python version.

``python benchmarks/jpeg_pack.py PACK.npz FOLDER`` writes ``FOLDER/cifar-10-batches-py`` with a ``label.txt``, so that
every result says what it was made from. The pack is an npz file with ``jpeg_train``, the files end to end,
``off_train``, where each begins and the last one ends, ``y_train``, the same for ``test``, and ``class_names``.
"""

from __future__ import annotations

import io
import itertools
import pickle
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
import tyro
from PIL import Image
from tqdm import tqdm

from neurocircuit import cli
from neurocircuit.files import atomic

#: Training images in a batch.
BATCH = 10_000
_PARTS = ("train", "test")
_ARRAYS = ("class_names", *(f"{kind}_{part}" for part in _PARTS for kind in ("jpeg", "off", "y")))


@dataclass(frozen=True)
class Config:
    """Convert a pack."""

    pack: Annotated[Path, tyro.conf.Positional]
    """The npz file."""
    folder: Annotated[Path, tyro.conf.Positional]
    """Folder of image sets, which gets cifar-10-batches-py."""
    label: str = "CIFAR-10 (JPEG q75)"
    """What results made from it are to be called."""


def decode(content: npt.NDArray[np.uint8], offsets: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
    """Return images as rows of red, green and blue planes, (n, 3072)."""
    data = memoryview(np.ascontiguousarray(content))
    rows = []
    for first, last in tqdm(itertools.pairwise(offsets), total=len(offsets) - 1, disable=None):
        with Image.open(io.BytesIO(data[first:last])) as image:
            rows.append(np.asarray(image.convert("RGB")).transpose(2, 0, 1).reshape(-1))
    return np.stack(rows)


def read(pack: Path) -> dict[str, npt.NDArray[Any]]:
    """Return the arrays of a pack by name."""
    try:
        # An npz file is a zip file; `np.load` alone would take others for a pickle or an array.
        with zipfile.ZipFile(pack), np.load(pack) as found:
            return {name: found[name] for name in _ARRAYS}
    except (zipfile.BadZipFile, KeyError, ValueError) as error:
        raise ValueError(
            f"'{pack}' is no pack of CIFAR-10: {str(error.args[0]).splitlines()[0]}. It must be an npz file with the "
            f"arrays {', '.join(_ARRAYS)}."
        ) from error


def write_batches(pack: Path, folder: Path, label: str = Config.label, batch: int = BATCH) -> Path:
    """Write the batches of a pack and return their folder.

    Raises
    ------
    ValueError
        If the file is no npz file, or lacks an array.
    """
    target = folder / "cifar-10-batches-py"
    found = read(pack)
    names = [str(name).encode() for name in found["class_names"]]
    parts = {part: (decode(found[f"jpeg_{part}"], found[f"off_{part}"]), found[f"y_{part}"]) for part in _PARTS}
    for part, (data, labels) in parts.items():
        size = len(data) if part == "test" else batch
        for number, first in enumerate(range(0, len(data), size), start=1):
            rows = slice(first, first + size)
            entry = {b"data": data[rows], b"labels": labels[rows].tolist(), b"batch_label": f"{part} {number}".encode()}
            _dump(entry, target / ("test_batch" if part == "test" else f"data_batch_{number}"))
    _dump({b"label_names": names, b"num_vis": data.shape[1], b"num_cases_per_batch": batch}, target / "batches.meta")
    with atomic(target / "label.txt") as partial:
        partial.write_text(f"{label}\n", encoding="utf-8")
    return target


def _dump(content: dict[bytes, Any], path: Path) -> None:
    with atomic(path) as partial:
        partial.write_bytes(pickle.dumps(content, protocol=4))


if __name__ == "__main__":
    config = tyro.cli(Config, description=__doc__)
    with cli.one_line_errors():
        print(f"Wrote {write_batches(config.pack, config.folder, config.label)}")
