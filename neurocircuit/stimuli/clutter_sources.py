"""Objects for cluttered scenes: small grey images with a category and a domain, such as MNIST and Fashion-MNIST."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from neurocircuit.stimuli.image_sets import digits_image_set, load_image_set

__all__ = ["ObjectSource", "Split", "embedded_source", "published_source"]

Split = Literal["train", "validation", "test"]

#: Training images that the published networks were not trained on: the first ones of both sets.
PUBLISHED_VALIDATION = 5_000
#: Side of an object's image in pixels, as in MNIST.
SIDE = 28
#: Width of the empty frame around an embedded object, as in MNIST.
FRAME = 4
LETTERS = "ABCDEFGHIJ"
#: Styles of the fonts that matplotlib ships.
FONTS = ("DejaVuSans", "DejaVuSans-Bold", "DejaVuSans-Oblique", "DejaVuSansMono", "DejaVuSerif", "DejaVuSerif-Bold")
#: Renderings of each letter in each font.
RENDERINGS = 30
#: Of the embedded images: shares for validation and for test.
HELD_OUT = (0.15, 0.15)


@dataclass(frozen=True, eq=False, kw_only=True)
class ObjectSource:
    """Images of objects, from which scenes are put together.

    Raises
    ------
    TypeError
        If images are not float32, or labels or domains are not int64.
    ValueError
        If images are not square or not within 0 and 1, one shows nothing, or labels or domains do not fit them.
    """

    label: str
    """What a result must call it."""
    images: npt.NDArray[np.float32]
    """(image, y, x), square, 0 to 1, bright objects on black."""
    labels: npt.NDArray[np.int64]
    """(image,), category of each."""
    domains: npt.NDArray[np.int64]
    """(image,), domain of each."""
    class_names: tuple[str, ...]
    """Name of each category."""
    domain_names: tuple[str, ...]
    """Name of each domain."""
    _found: dict[tuple[int | None, int | None], npt.NDArray[np.int64]] = field(
        default_factory=dict, init=False, repr=False
    )

    def __post_init__(self) -> None:
        shape = self.images.shape
        if self.images.dtype != np.float32:
            raise TypeError(f"`images` is of {self.images.dtype}; it must be float32, 0 (black) to 1.")
        if len(shape) != 3 or shape[1] != shape[2] or shape[1] < 2 or shape[0] == 0:
            raise ValueError(f"`images` has the shape {shape}; it must be (image, y, x), square and not empty.")
        lowest, highest = self.images.min((1, 2)), self.images.max((1, 2))
        if not (lowest.min() >= 0 and highest.max() <= 1):
            raise ValueError(f"`images` go from {lowest.min()} to {highest.max()}; they must be within 0 and 1.")
        flat = np.flatnonzero(lowest == highest)
        if flat.size:
            raise ValueError(f"`images` holds {flat.size} that show nothing, the first at {flat[0]}; leave them out.")
        for name, names in (("labels", self.class_names), ("domains", self.domain_names)):
            _check_numbers(name, getattr(self, name), shape[0], len(names))

    @property
    def side(self) -> int:
        """Height and width of an image in pixels."""
        return int(self.images.shape[1])

    def find(self, *, category: int | None = None, domain: int | None = None) -> npt.NDArray[np.int64]:
        """Return the indices of all images of a category, of a domain, or of both; there may be none."""
        key = (category, domain)
        if key not in self._found:
            fits = np.ones(len(self.labels), np.bool_)
            for values, wanted in ((self.labels, category), (self.domains, domain)):
                if wanted is not None:
                    fits &= values == wanted
            self._found[key] = np.flatnonzero(fits)
        return self._found[key]


def published_source(split: Split, data: str | Path | None = None) -> ObjectSource:
    """Return MNIST (domain 0, categories 0 to 9) and Fashion-MNIST (domain 1, categories 10 to 19).

    Parameters
    ----------
    split : {"train", "validation", "test"}
        The validation images are the first 5,000 of either training set, which the published networks were not trained
        on. (The public code was changed later to hold out the last 5,000, which those networks have seen.)
    data : str or Path, optional
        Folder of the sets, as in `load_image_set`.

    Raises
    ------
    ValueError, OSError
        If there is no such split, or a set cannot be read; the file is named.

    References
    ----------
    LeCun, Cortes, Burges, MNIST; Xiao, Rasul, Vollgraf (2017), arXiv 1708.07747.
    """
    _check_split(split)
    images: list[npt.NDArray[np.float32]] = []
    labels: list[npt.NDArray[np.int64]] = []
    names: list[str] = []
    for name in ("mnist", "fashion"):
        found = load_image_set(name, data)
        if split == "test":
            chosen, categories = found.test_images, found.test_labels
        else:
            part = slice(None, PUBLISHED_VALIDATION) if split == "validation" else slice(PUBLISHED_VALIDATION, None)
            chosen, categories = found.train_images[part], found.train_labels[part]
        if len(chosen) == 0:
            raise ValueError(f"`split` is '{split}', but {found.label} has only {len(found.train_labels)} images.")
        images.append(np.multiply(chosen[:, 0], np.float32(1 / 255), dtype=np.float32))
        labels.append(categories + len(names))
        names.extend(found.class_names)
    return ObjectSource(
        label=f"MNIST and Fashion-MNIST ({split})",
        images=np.concatenate(images),
        labels=np.concatenate(labels),
        domains=np.repeat([0, 1], [len(part) for part in images]),
        class_names=tuple(names),
        domain_names=("MNIST", "Fashion-MNIST"),
    )


def embedded_source(split: Split) -> ObjectSource:
    """Return handwritten digits (domain 0, categories 0 to 9) and printed letters (domain 1, 10 to 19); no data needed.

    The digits of 8 x 8 pixels that scikit-learn ships are enlarged to 20 x 20 pixels in a frame of 28 x 28, as MNIST's
    are. The letters A to J are set in the six fonts that matplotlib ships, each leaning, stretched and turned a little.

    Parameters
    ----------
    split : {"train", "validation", "test"}
        No image is in two of them.

    Raises
    ------
    ValueError
        If there is no such split.

    References
    ----------
    Alpaydin and Kaynak (1998), Optical Recognition of Handwritten Digits, UCI repository.
    """
    _check_split(split)
    images, labels = _embedded()
    # The order is random already, and the same in every process.
    count = len(labels)
    bounds = np.cumsum(
        [0, count - sum(round(share * count) for share in HELD_OUT), *(round(s * count) for s in HELD_OUT)]
    )
    part = get_args(Split).index(split)
    chosen = slice(bounds[part], bounds[part + 1])
    return ObjectSource(
        label=f"small digits and printed letters ({split})",
        images=images[chosen].copy(),
        labels=labels[chosen].copy(),
        domains=(labels[chosen] >= 10).astype(np.int64),
        class_names=(*"0123456789", *LETTERS),
        domain_names=("digits", "letters"),
    )


@lru_cache(maxsize=1)
def _embedded() -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
    """Return all embedded images and their categories, in random order."""
    rng = np.random.default_rng(0)
    digits = digits_image_set()
    small = np.concatenate([digits.train_images, digits.test_images])[:, 0]
    letters, categories = _letters(rng)
    images = np.concatenate([_enlarged(small), letters])
    labels = np.concatenate([digits.train_labels, digits.test_labels, 10 + categories])
    order = rng.permutation(len(labels))
    return images[order], labels[order]


def _enlarged(small: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """Enlarge images by cubic interpolation, and frame them."""
    from scipy.ndimage import zoom

    inner = (SIDE - 2 * FRAME) / small.shape[1]
    large = np.clip(zoom(small.astype(np.float32) / 255, (1, inner, inner)), 0, 1)
    return np.pad(large, ((0, 0), (FRAME, FRAME), (FRAME, FRAME))).astype(np.float32)


def _letters(rng: np.random.Generator) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
    from matplotlib import get_data_path
    from PIL import ImageFont

    folder = Path(get_data_path()) / "fonts" / "ttf"
    images, labels = [], []
    for font in (ImageFont.truetype(folder / f"{name}.ttf", 3 * SIDE) for name in FONTS):
        for category, letter in enumerate(LETTERS):
            for _ in range(RENDERINGS):
                images.append(_letter(letter, font, rng))
                labels.append(category)
    return np.stack(images), np.array(labels, np.int64)


def _letter(letter: str, font: Any, rng: np.random.Generator) -> npt.NDArray[np.float32]:
    """Draw a letter large, through a random affine map, and reduce it."""
    from PIL import Image, ImageDraw

    size = 4 * SIDE
    large = Image.new("L", (size, size))
    left, top, right, bottom = font.getbbox(letter)
    ImageDraw.Draw(large).text(((size - left - right) / 2, (size - top - bottom) / 2), letter, fill=255, font=font)
    turn, lean = rng.uniform(-0.15, 0.15), rng.uniform(-0.2, 0.2)
    width, height = rng.uniform(0.9, 1.3, 2)
    shift = rng.uniform(-0.03, 0.03, 2) * size
    matrix = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]]) @ [[width, lean], [0, height]]
    offset = size / 2 - matrix @ (size / 2 + shift)
    numbers = (*matrix[0], offset[0], *matrix[1], offset[1])
    moved = large.transform(large.size, Image.Transform.AFFINE, numbers, Image.Resampling.BILINEAR)
    return np.asarray(moved.resize((SIDE, SIDE), Image.Resampling.BOX), np.float32) / np.float32(255)


def _check_split(split: object) -> None:
    if split not in get_args(Split):
        raise ValueError(f"`split` is {split!r}; use {', '.join(map(repr, get_args(Split)))}.")


def _check_numbers(name: str, values: npt.NDArray[Any], count: int, names: int) -> None:
    if values.dtype != np.int64:
        raise TypeError(f"`{name}` is of {values.dtype}; it must be int64.")
    if values.shape != (count,):
        raise ValueError(f"`{name}` has the shape {values.shape}; there are {count} images.")
    if values.min() < 0 or values.max() >= names:
        raise ValueError(
            f"`{name}` go from {values.min()} to {values.max()}; with {names} names they must be 0 to {names - 1}."
        )
