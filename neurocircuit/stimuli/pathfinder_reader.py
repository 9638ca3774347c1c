"""Pathfinder images for training: read from list files, and flipped.

A list file has a line ``path label`` for every image. `write_pathfinder` writes such lists, and so do the published
training codes: with paths below a root folder, or with absolute paths.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor
from torch.utils.data import Dataset

from neurocircuit.checks import check_whole

__all__ = ["WHITE", "Grey", "PathfinderFiles", "random_flip"]

Grey = Literal["luma", "first"]

#: Grey level of white in 8 bits, which becomes 1.
WHITE = np.float32(np.iinfo(np.uint8).max)
_LABELS = ("0", "1")


class PathfinderFiles(Dataset[tuple[Tensor, int]]):
    """The images that a list file names, each read when it is asked for.

    Item ``i`` is the image of line ``i + 1``, a (1, y, x) float32 tensor from 0 to 1, and its label, 0 or 1. Nothing is
    skipped: an image that is missing or damaged is an error that names its line. `DatasetSource` shuffles and augments.

    Parameters
    ----------
    list_file : str or Path
        Text file of lines ``path label``, split at the last space; paths may hold spaces.
    root : str or Path, optional
        Folder that relative paths start from. By default the one that holds the list file's folder, which is right for
        a data set that `write_pathfinder` wrote. Absolute paths need none.
    image_size : int, optional
        Side in pixels of the images returned, which are square. Larger ones are reduced by averaging over the area of
        each new pixel, as the generator does. The official code instead reduces 300 to 150 by bicubic interpolation
        with corners aligned, which does not average; ``docs/howto/pathfinder.rst`` shows how to get that. By default
        images keep their size, which must be that of the first.
    grey : {"luma", "first"}
        How an RGB image becomes grey: by Pillow's weights, or by its first channel, as in the official code. Grey
        images are the same either way.

    Raises
    ------
    FileNotFoundError
        If the list file, or an image when it is asked for, does not exist.
    TypeError, ValueError
        If the list is empty or a line malformed, a label is not 0 or 1, an option is not one of those allowed, or an
        image is damaged, neither 8-bit grey nor RGB, not square, or of another size than it should be.
    """

    def __init__(
        self,
        list_file: str | Path,
        root: str | Path | None = None,
        *,
        image_size: int | None = None,
        grey: Grey = "luma",
    ) -> None:
        if image_size is not None:
            check_whole("image_size", image_size, 1)
        if grey not in get_args(Grey):
            raise ValueError(f"`grey` is {grey!r}; use {' or '.join(map(repr, get_args(Grey)))}.")
        self.list_file = Path(list_file)
        self.root = self.list_file.absolute().parent.parent if root is None else Path(root)
        self.grey = grey
        lines = _lines(self.list_file)
        self._paths = [path for path, _ in lines]
        #: Label of every image, an (image,) array of int64.
        self.labels: npt.NDArray[np.int64] = np.array([label for _, label in lines], dtype=np.int64)
        first = self._read(0)
        self._resizes = image_size is not None
        self.image_size = len(first) if image_size is None else int(image_size)
        self._resized(first, 0)

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self._paths)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        """Return the image of one line, a (1, y, x) float32 tensor from 0 to 1, and its label."""
        levels = self._resized(self._read(index), index)
        return torch.from_numpy(levels)[None], int(self.labels[index])

    def _named(self, index: int) -> str:
        return f"line {range(len(self))[index] + 1} of '{self.list_file}' names '{self._paths[index]}'"

    def _read(self, index: int) -> npt.NDArray[np.float32]:
        """Return the grey levels of an image, a (y, x) array from 0 to 1."""
        try:
            with Image.open(self.root / self._paths[index]) as image:
                image.load()
        except FileNotFoundError:
            raise FileNotFoundError(
                f"{self._named(index)}, but there is no such file below `root` = '{self.root}'. Give the folder that "
                "the paths of the list start from."
            ) from None
        except (UnidentifiedImageError, OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
            # Pillow raises each of these for one kind of damaged file or another.
            reason = " ".join(str(error).split())
            raise ValueError(
                f"{self._named(index)}, which cannot be read as an image: {reason}. Restore the file from a copy, or "
                "take its line out of the list."
            ) from error
        if image.mode not in ("L", "RGB"):
            raise ValueError(
                f"{self._named(index)}, an image of the mode {image.mode!r}; it must be 8-bit grey ('L') or 'RGB'. "
                "Convert the file."
            )
        if image.width != image.height:
            raise ValueError(
                f"{self._named(index)}, an image of {image.height} x {image.width} pixels; it must be square. Crop it."
            )
        grey = image.convert("L") if self.grey == "luma" else image.getchannel(0)
        return np.asarray(grey, dtype=np.float32) / WHITE

    def _resized(self, levels: npt.NDArray[np.float32], index: int) -> npt.NDArray[np.float32]:
        side = len(levels)
        if side == self.image_size:
            return levels
        found = f"{self._named(index)}, an image of {side} x {side} pixels"
        if not self._resizes:
            raise ValueError(
                f"{found}, but the first one has {self.image_size} x {self.image_size}. Give `image_size` to make all "
                "images the same size."
            )
        if side < self.image_size:
            raise ValueError(
                f"{found}, smaller than `image_size` = {self.image_size}; images are never enlarged. Use at most "
                f"{side}."
            )
        size = (self.image_size, self.image_size)
        return np.array(Image.fromarray(levels).resize(size, Image.Resampling.BOX))


def _lines(list_file: Path) -> list[tuple[str, int]]:
    """Return path and label of every line."""
    try:
        text = list_file.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise FileNotFoundError(
            f"`list_file` is '{list_file}', but there is no such file. It must be a text file of lines 'path label'."
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(
            f"`list_file` is '{list_file}', which cannot be read as text: {error}. It must hold lines 'path label'."
        ) from error
    if not text.strip():
        raise ValueError(f"`list_file` is '{list_file}', which is empty; it must hold a line 'path label' per image.")
    return [_path_and_label(line, f"line {n} of '{list_file}'") for n, line in enumerate(text.rstrip().split("\n"), 1)]


def _path_and_label(line: str, where: str) -> tuple[str, int]:
    path, _, label = line.rstrip().rpartition(" ")
    if not path:
        raise ValueError(f"{where} is {line!r}; it must be a path, a space and a label, as in 'imgs/1/sample_0.png 1'.")
    if label not in _LABELS:
        raise ValueError(f"{where} has the label {label!r}; it must be {' or '.join(_LABELS)}.")
    return path.rstrip(), int(label)


def random_flip(sample: tuple[Tensor, int], generator: torch.Generator) -> tuple[Tensor, int]:
    """Flip an image left to right and upside down, each with probability one half; the label stays.

    It is the ``augment`` of a `DatasetSource` for training; validation takes none.

    Parameters
    ----------
    sample : ((channel, y, x) tensor, int)
        An image and its label.
    generator : torch.Generator
        Where the two random numbers come from.

    Returns
    -------
    ((channel, y, x) tensor, int)
        The flipped image and the same label.
    """
    image, label = sample
    axes = [axis for axis, flipped in zip((-1, -2), torch.rand(2, generator=generator) < 0.5, strict=True) if flipped]
    return image.flip(axes), label
