"""Photographs as grey levels."""

from __future__ import annotations

from pathlib import Path

import matplotlib.cbook
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, UnidentifiedImageError

__all__ = ["SAMPLE", "load_photograph"]

#: Name of the photograph that needs no file: a portrait of Grace Hopper (public domain) that ships with matplotlib.
SAMPLE = "sample"


def load_photograph(path: str | Path, longest_side: int = 128) -> npt.NDArray[np.float64]:
    """Read a photograph as grey levels, made smaller if need be.

    Parameters
    ----------
    path : str or Path
        File in any format that Pillow reads, or ``"sample"``.
    longest_side : int
        Largest height or width, in pixels; a smaller photograph keeps its size.

    Returns
    -------
    (y, x) array
        Grey levels from 0 to 1.

    Raises
    ------
    ValueError
        If the longest side is not a positive whole number, or the file is not a readable image.
    FileNotFoundError
        If there is no such file.
    """
    if isinstance(longest_side, bool) or not isinstance(longest_side, int | np.integer) or longest_side < 1:
        raise ValueError(f"`longest_side` is {longest_side!r}; it must be a positive whole number of pixels.")
    file = sample_path() if str(path) == SAMPLE else Path(path)
    if not file.exists():
        raise FileNotFoundError(f"`image` is {str(path)!r}, but there is no such file. Use a path, or {SAMPLE!r}.")
    if not file.is_file() or file.stat().st_size == 0:
        what = "an empty file" if file.is_file() else "not a file"
        raise ValueError(f"`image` is {str(path)!r}, which is {what}; it must be an image, such as a PNG or JPEG.")
    try:
        with Image.open(file) as image:
            grey = _grey(ImageOps.exif_transpose(image))
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        # Pillow raises each of these for one kind of damaged file or another.
        reason = " ".join(str(error).split())
        raise ValueError(f"`image` is {str(path)!r}, which cannot be read as an image: {reason}.") from error
    scale = longest_side / max(grey.size)
    if scale < 1:
        width, height = (max(1, round(side * scale)) for side in grey.size)
        grey = grey.resize((width, height), Image.Resampling.LANCZOS)
    # The filter that makes a picture smaller overshoots a little at sharp edges.
    return np.clip(np.asarray(grey, dtype=np.float64), 0, 1)


def sample_path() -> Path:
    """Return the path of the sample photograph in matplotlib's installation."""
    return Path(matplotlib.cbook.get_sample_data("grace_hopper.jpg", asfileobj=False))


def _grey(image: Image.Image) -> Image.Image:
    """Return an image of 32-bit floats from 0 to 1."""
    if image.mode in ("I", "F"):
        raise ValueError(
            f"its pixels are of the mode {image.mode!r} (32 bits), whose white is not known; use 8 or 16 bits"
        )
    if image.mode.startswith("I;16"):
        levels = np.asarray(image, dtype=np.float32) / np.iinfo(np.uint16).max
    else:
        levels = np.asarray(image.convert("L"), dtype=np.float32) / np.iinfo(np.uint8).max
    return Image.fromarray(levels)
