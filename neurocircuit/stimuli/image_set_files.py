"""Reading the original files of MNIST (and sets in its format) and CIFAR-10; what is damaged is named."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any, BinaryIO, ClassVar

import numpy as np
import numpy.typing as npt

__all__ = ["cifar_folder", "cifar_is_complete", "read_cifar", "read_mnist", "read_names"]

#: Images, uint8 (n, channel, y, x), and labels, int64 (n,).
Part = tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]

_TRAIN_BATCHES = tuple(f"data_batch_{number}" for number in range(1, 6))
_TEST_BATCH, _META, _LABEL = "test_batch", "batches.meta", "label.txt"
_CIFAR_SHAPE = (3, 32, 32)
#: Classes of MNIST and the sets in its format.
_MNIST_CLASSES = 10
_CIFAR_FOLDERS = ("cifar-10-batches-py", "cifar-10-batches-py-subset")
#: First bytes of a file in the idx format: two zeros, the code of unsigned bytes, the number of dimensions.
_IDX = b"\x00\x00\x08"


def read_mnist(folder: Path, part: str) -> Part:
    """Return the images and labels of one part, ``train`` or ``t10k``, from files in the idx format.

    Raises
    ------
    FileNotFoundError
        If a file is missing.
    ValueError
        If a file is damaged, or images and labels differ in number, or a label is none of the ten classes.
    """
    images = _read_idx(folder / f"{part}-images-idx3-ubyte", 3)
    path = folder / f"{part}-labels-idx1-ubyte"
    labels = _read_idx(path, 1)
    if len(images) != len(labels):
        raise ValueError(
            f"'{folder}' has {len(images)} images of the part {part!r} but {len(labels)} labels; one of the two files "
            "is of another set. Put the original files there."
        )
    _check_labels(path, labels, _MNIST_CLASSES, "the set has")
    return images[:, np.newaxis], labels.astype(np.int64)


def _check_labels(path: Path, labels: npt.NDArray[Any], n_classes: int, source: str) -> None:
    if len(labels) and not 0 <= labels.min() <= labels.max() < n_classes:
        raise ValueError(
            f"'{path}' has labels from {labels.min()} to {labels.max()}, but {source} {n_classes} classes, 0 to "
            f"{n_classes - 1}. Put the original file there."
        )


def _read_idx(path: Path, dimensions: int) -> npt.NDArray[np.uint8]:
    content = _existing(path, f"the idx file of {'images' if dimensions == 3 else 'labels'}").read_bytes()
    head = 4 + 4 * dimensions
    if content[:4] != _IDX + bytes([dimensions]) or len(content) < head:
        raise ValueError(
            f"'{path}' is no idx file of unsigned bytes with {dimensions} dimensions: it begins with "
            f"{content[:4].hex() or 'nothing'}, expected {(_IDX + bytes([dimensions])).hex()}. Put the original file "
            "there, unpacked."
        )
    shape = np.frombuffer(content, ">u4", dimensions, 4).astype(int)
    size = int(np.prod(shape))
    if len(content) != head + size:
        raise ValueError(
            f"'{path}' has {len(content)} bytes, expected {head + size} for the shape {tuple(shape.tolist())} that it "
            "states; it is cut off or damaged. Put the original file there."
        )
    # A copy, because torch refuses arrays that cannot be written to.
    return np.frombuffer(content, np.uint8, size, head).reshape(shape).copy()


def cifar_folder(folder: Path) -> Path:
    """Return the folder of CIFAR-10 batches in a folder of image sets.

    Raises
    ------
    FileNotFoundError
        If there is none.
    """
    for name in _CIFAR_FOLDERS:
        if (folder / name).is_dir():
            return folder / name
    raise FileNotFoundError(
        f"'{folder}' has no folder {' or '.join(map(repr, _CIFAR_FOLDERS))}; it must hold CIFAR-10's python version: "
        f"{_TRAIN_BATCHES[0]} and further, {_TEST_BATCH}, {_META}."
    )


def cifar_is_complete(folder: Path) -> bool:
    """Return whether a folder of image sets holds all files of CIFAR-10."""
    return all((folder / _CIFAR_FOLDERS[0] / name).is_file() for name in (*_TRAIN_BATCHES, _TEST_BATCH, _META))


def read_cifar(folder: Path, n_classes: int) -> tuple[Part, Part]:
    """Return training and test part from the batches that a folder has, at least the first and the test batch.

    Labels must be below the number of classes, that of the names in the same folder.

    Raises
    ------
    FileNotFoundError
        If there is no batch to train or none to test on.
    ValueError
        If a batch is damaged, or has a label that has no name.
    """
    present = [folder / name for name in _TRAIN_BATCHES if (folder / name).is_file()]
    parts = [_read_batch(path, n_classes) for path in present or [folder / _TRAIN_BATCHES[0]]]
    images, labels = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    return (images, labels), _read_batch(folder / _TEST_BATCH, n_classes)


def _read_batch(path: Path, n_classes: int) -> Part:
    found = _unpickle(path, f"a batch of CIFAR-10; at least {_TRAIN_BATCHES[0]} and {_TEST_BATCH} must be there")
    data, labels = found.get(b"data"), found.get(b"labels")
    width = int(np.prod(_CIFAR_SHAPE))
    if not isinstance(data, np.ndarray) or data.dtype != np.uint8 or data.ndim != 2 or data.shape[1] != width:
        what = f"{data.dtype} of shape {data.shape}" if isinstance(data, np.ndarray) else type(data).__name__
        raise ValueError(f"'{path}' has under b'data' {what}, expected uint8 of shape (n, {width}).")
    # A list, or the array that torchvision's own tests write.
    numbers = np.asarray(labels if labels is not None else [])
    if numbers.shape != data.shape[:1] or numbers.dtype.kind not in "iu":
        raise ValueError(
            f"'{path}' has under b'labels' {numbers.dtype} of shape {numbers.shape}, expected {len(data)} integers, "
            "one an image."
        )
    _check_labels(path, numbers, n_classes, f"'{_META}' beside it names")
    return data.reshape(-1, *_CIFAR_SHAPE), numbers.astype(np.int64)


def read_names(folder: Path) -> tuple[tuple[str, ...], str | None]:
    """Return the names of the classes of CIFAR-10, and the text of ``label.txt`` if there is one.

    Raises
    ------
    FileNotFoundError
        If the file of names is missing.
    ValueError
        If it is damaged.
    """
    path = folder / _META
    names = _unpickle(path, "the names of CIFAR-10's classes").get(b"label_names")
    if not isinstance(names, list) or not names or not all(isinstance(name, bytes) for name in names):
        raise ValueError(f"'{path}' has no list of names under b'label_names'. Put the original file there.")
    label = folder / _LABEL
    text = label.read_text(encoding="utf-8").strip() if label.is_file() else None
    return tuple(name.decode() for name in names), text or None


def _existing(path: Path, what: str) -> Path:
    if not path.is_file():
        raise FileNotFoundError(f"There is no file '{path}', {what}. Put it there, or name another folder.")
    return path


def _unpickle(path: Path, what: str) -> dict[bytes, Any]:
    with _existing(path, what).open("rb") as file:
        try:
            found = _Unpickler(file).load()
        # Damaged bytes raise almost anything.
        except Exception as error:
            reason = " ".join(str(error).split()) or type(error).__name__
            raise ValueError(
                f"'{path}' cannot be read ({reason}); expected {what}. It is cut off or damaged: put the original file "
                "there."
            ) from error
    if not isinstance(found, dict):
        raise ValueError(f"'{path}' holds a {type(found).__name__}, expected a dictionary: {what}.")
    return found


def _encode(text: str, encoding: str) -> bytes:
    """Stand for ``codecs.encode`` as a pickle of bytes uses it."""
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"encodes text as {encoding}")
    return text.encode(encoding)


class _Unpickler(pickle.Unpickler):
    """Reads numbers, bytes, lists, dictionaries and arrays, and runs nothing that a file could bring along."""

    _allowed: ClassVar[dict[tuple[str, str], Any]] = {
        **{(f"numpy.{core}.multiarray", "_reconstruct"): np.empty(0).__reduce__()[0] for core in ("core", "_core")},
        ("numpy", "ndarray"): np.ndarray,
        ("numpy", "dtype"): np.dtype,
        ("_codecs", "encode"): _encode,
    }

    def __init__(self, file: BinaryIO) -> None:
        # The originals were written by Python 2, whose text is bytes.
        super().__init__(file, encoding="bytes")

    def find_class(self, module: str, name: str) -> Any:
        """Return one of the few functions that arrays are pickled with."""
        if (module, name) not in self._allowed:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which no batch needs")
        return self._allowed[module, name]
