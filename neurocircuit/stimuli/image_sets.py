"""Sets of labelled images: MNIST, Fashion-MNIST and CIFAR-10, and the small digits that need no download."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from neurocircuit.checks import check_whole
from neurocircuit.files import cache_folder
from neurocircuit.stimuli.image_set_files import (
    cifar_folder,
    cifar_is_complete,
    read_cifar,
    read_mnist,
    read_names,
)

__all__ = ["DIGITS", "IMAGE_SETS", "ImageSet", "digits_image_set", "load_image_set"]

#: Names of the sets that are downloaded, or read from a folder.
IMAGE_SETS = ("mnist", "fashion", "cifar10")
#: Name of the set that is always there: the 8 x 8 digits that scikit-learn ships.
DIGITS = "digits"
#: Environment variable with the folder of image sets, where none is given.
DATA_VARIABLE = "NEUROCIRCUIT_DATA"

_DIGIT_NAMES = tuple("0123456789")
_CLOTHES = ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot")


@dataclass(frozen=True)
class _Original:
    """What a complete set is."""

    label: str
    torchvision: str
    train: int
    test: int


_ORIGINALS: Mapping[str, _Original] = MappingProxyType(
    {
        "mnist": _Original("MNIST", "MNIST", 60_000, 10_000),
        "fashion": _Original("Fashion-MNIST", "FashionMNIST", 60_000, 10_000),
        "cifar10": _Original("CIFAR-10", "CIFAR10", 50_000, 10_000),
    }
)


@dataclass(frozen=True, eq=False)
class ImageSet:
    """Labelled images for training and test.

    Raises
    ------
    ValueError
        If images and labels do not belong together, or a part is empty.
    TypeError
        If images are not of 8 bits.
    """

    name: str
    """One of `IMAGE_SETS`, or digits."""
    label: str
    """What a result must call it: says where the set is not the whole original, or lossy."""
    train_images: npt.NDArray[np.uint8]
    """(n, channel, y, x); colour is red, green, blue."""
    train_labels: npt.NDArray[np.int64]
    """(n,)"""
    test_images: npt.NDArray[np.uint8]
    """(n, channel, y, x)"""
    test_labels: npt.NDArray[np.int64]
    """(n,)"""
    class_names: tuple[str, ...]
    """Name of each label."""

    def __post_init__(self) -> None:
        for part in ("train", "test"):
            images, labels = getattr(self, f"{part}_images"), getattr(self, f"{part}_labels")
            if images.dtype != np.uint8:
                raise TypeError(f"`{part}_images` is of {images.dtype}; it must be uint8, levels from 0 to 255.")
            if images.ndim != 4 or images.size == 0 or images.shape[1:] != self.train_images.shape[1:]:
                raise ValueError(
                    f"`{part}_images` has the shape {images.shape}; it must be (n, channel, y, x) with at least one "
                    "image, and training and test images must be of one size."
                )
            if labels.shape != images.shape[:1]:
                raise ValueError(f"`{part}_labels` has the shape {labels.shape}; there are {len(images)} images.")
            if labels.min() < 0 or labels.max() >= len(self.class_names):
                raise ValueError(
                    f"`{part}_labels` go from {labels.min()} to {labels.max()}; with {len(self.class_names)} classes "
                    f"they must be 0 to {len(self.class_names) - 1}."
                )

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Channels, height and width of an image."""
        channel, y, x = self.train_images.shape[1:]
        return channel, y, x

    def split(self, fraction: float = 0.1, seed: int = 0) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Return the indices of training images to train on, and of those held out for validation, both rising.

        Parameters
        ----------
        fraction : float
            Share of the training images that is held out.
        seed : int
            Of the draw; at least 0.

        Raises
        ------
        ValueError
            If a part would be empty, or the seed is negative.
        TypeError
            If the seed is no integer.
        """
        check_whole("seed", seed, 0)
        count = len(self.train_labels)
        held = round(fraction * count) if 0 < fraction < 1 else 0
        if not 0 < held < count:
            raise ValueError(
                f"`fraction` is {fraction}; of {count} training images it must hold out at least one and leave one."
            )
        order = np.random.default_rng(seed).permutation(count)
        return np.sort(order[held:]), np.sort(order[:held])


def load_image_set(name: str, data: str | Path | None = None, *, download: bool = True) -> ImageSet:
    """Return a set of images, from a folder if there is one, otherwise downloaded by torchvision with its checksums.

    Parameters
    ----------
    name : str
        mnist, fashion, cifar10, or digits, which needs no folder.
    data : str or Path, optional
        Folder with the original files: ``MNIST/raw``, ``FashionMNIST/raw``, ``cifar-10-batches-py``. A part of CIFAR-10
        will do (fewer batches, or shorter ones; the folder may be called ``cifar-10-batches-py-subset``), and a file
        ``label.txt`` beside the batches says what else the set is to be called. Nothing is downloaded into it. By
        default the folder that the environment variable NEUROCIRCUIT_DATA names; if it is not set, the cache
        folder, ``$XDG_CACHE_HOME/neurocircuit`` or ``~/.cache/neurocircuit``.
    download : bool
        Whether a set that is missing in the cache folder may be downloaded.

    Raises
    ------
    ValueError
        If there is no such set, or a file is damaged; the file is named.
    FileNotFoundError
        If a file is missing and may not be downloaded.
    OSError
        If the download fails.

    References
    ----------
    LeCun, Cortes, Burges, MNIST; Xiao, Rasul, Vollgraf (2017), arXiv 1708.07747; Krizhevsky (2009), CIFAR-10.
    """
    if name == DIGITS:
        return digits_image_set()
    if name not in _ORIGINALS:
        raise ValueError(f"`name` is {name!r}; it must be one of {', '.join((*IMAGE_SETS, DIGITS))}.")
    given = data or os.environ.get(DATA_VARIABLE)
    if given:
        folder = Path(given).expanduser()
        if not folder.is_dir():
            source = "data" if data else DATA_VARIABLE
            raise FileNotFoundError(f"`{source}` is '{given}', which is not a folder; it must hold image sets.")
        return _read(name, folder)
    folder = cache_folder()
    if not _is_complete(name, folder) and download:
        _download(name, folder)
    return _read(name, folder)


def digits_image_set(seed: int = 0, n_train: int = 1437, n_test: int = 360) -> ImageSet:
    """Return handwritten digits of 8 x 8 pixels, which scikit-learn ships: for quick runs and examples.

    Parameters
    ----------
    seed : int
        Decides which of the 1797 images are drawn for training and for test; at least 0.
    n_train, n_test : int
        Numbers of images.

    Raises
    ------
    ValueError
        If there are not so many images, or the seed is negative.
    TypeError
        If the seed is no integer.

    References
    ----------
    Alpaydin and Kaynak (1998), Optical Recognition of Handwritten Digits, UCI repository.
    """
    check_whole("seed", seed, 0)
    # Costs more than a second, and few who import this module need it.
    from sklearn.datasets import load_digits

    found = load_digits()
    count = len(found.target)
    if n_train < 1 or n_test < 1 or n_train + n_test > count:
        raise ValueError(
            f"`n_train` is {n_train} and `n_test` is {n_test}; each must be at least 1, and both together at most "
            f"{count}."
        )
    # Sixteen levels of grey above black.
    images = np.rint(found.images * (255 / 16)).astype(np.uint8)[:, np.newaxis]
    labels = found.target.astype(np.int64)
    order = np.random.default_rng(seed).permutation(count)
    train, test = order[:n_train], order[n_train : n_train + n_test]
    return ImageSet(
        DIGITS, "digits of 8 x 8 pixels", images[train], labels[train], images[test], labels[test], _DIGIT_NAMES
    )


def _read(name: str, folder: Path) -> ImageSet:
    original = _ORIGINALS[name]
    label: str | None = None
    if name == "cifar10":
        batches = cifar_folder(folder)
        names, label = read_names(batches)
        train, test = read_cifar(batches, len(names))
    else:
        raw = folder / original.torchvision / "raw"
        train, test = read_mnist(raw, "train"), read_mnist(raw, "t10k")
        names = _CLOTHES if name == "fashion" else _DIGIT_NAMES
    label = _label(label or original.label, original, len(train[1]), len(test[1]))
    return ImageSet(name, label, *train, *test, names)


def _label(label: str, original: _Original, train: int, test: int) -> str:
    """Return the label, which also says how many images there are where training or test set is not the whole one."""
    counts = ((train, original.train, "training"), (test, original.test, "test"))
    parts = [f"{found:,} of {whole:,} {part}" for found, whole, part in counts if found != whole]
    return f"{label} ({' and '.join(parts)} images)" if parts else label


def _is_complete(name: str, folder: Path) -> bool:
    """Return whether all files of a set are there: what torchvision has downloaded it has also checked."""
    if name == "cifar10":
        return cifar_is_complete(folder)
    raw = folder / _ORIGINALS[name].torchvision / "raw"
    parts = (f"{part}-{kind}-ubyte" for part in ("train", "t10k") for kind in ("images-idx3", "labels-idx1"))
    return all((raw / part).is_file() for part in parts)


def _download(name: str, folder: Path) -> None:
    # Costs seconds, and what is on disk is read without it.
    from torchvision import datasets

    original = _ORIGINALS[name]
    maker: Any = getattr(datasets, original.torchvision)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        maker(root=folder, download=True)
    except (OSError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        raise OSError(
            f"{original.label} could not be downloaded into '{folder}': {reason}. Check the network, or point "
            f"`data` or the environment variable {DATA_VARIABLE} at a folder that holds the set."
        ) from error
