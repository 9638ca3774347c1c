"""Files of hidden units' weights: NumPy's two formats and safetensors."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from neurocircuit.files import atomic
from neurocircuit.training.checkpoints import read_weights, write_weights

__all__ = ["load_units", "save_units"]

Array = NDArray[np.floating[Any]]

#: Names of the array and of the text in the files that have names.
_WEIGHTS, _METADATA = "weights", "json"
_SUFFIXES = (".npz", ".safetensors", ".npy")


def save_units(path: str | Path, weights: ArrayLike | Tensor, **metadata: Any) -> None:
    """Write the weights of hidden units to a file, atomically.

    Parameters
    ----------
    path : str or Path
        Its ending decides the format: ``.npz`` and ``.safetensors`` hold the array ``weights`` and the metadata;
        ``.npy`` is the bare array, the layout of published weights, and has no place for metadata.
    weights : (hidden, input) array or tensor
        ``weights[post, pre]``, float32 or float64, which is kept.
    **metadata
        What can be written as JSON, such as ``p=3.0, power=4.5, dataset="MNIST"``.

    Raises
    ------
    ValueError
        If the ending is another, the weights are not a finite (hidden, input) array of float32 or float64, or there are
        metadata for a ``.npy`` file.
    TypeError
        If the metadata cannot be written as JSON.
    """
    path = Path(path)
    found = weights.detach().cpu().numpy() if isinstance(weights, Tensor) else np.asarray(weights)
    array = _checked(found, "`weights`")
    suffix = _suffix(path)
    if suffix == ".npy" and metadata:
        raise ValueError(
            f"`path` is '{path}', but a .npy file has no place for metadata ({', '.join(metadata)}). Use .npz or "
            ".safetensors."
        )
    if suffix == ".safetensors":
        write_weights({_WEIGHTS: torch.tensor(np.ascontiguousarray(array))}, path, metadata)
        return
    text = np.array(json.dumps(metadata))
    # Through an open file, because NumPy adds an ending of its own to a path.
    with atomic(path) as partial, partial.open("wb") as file:
        if suffix == ".npz":
            np.savez(file, **{_WEIGHTS: array, _METADATA: text})  # type: ignore[arg-type]
        else:
            np.save(file, array)


def load_units(path: str | Path) -> tuple[Array, dict[str, Any]]:
    """Read the weights of hidden units, and what was saved with them.

    Parameters
    ----------
    path : str or Path
        A ``.npz`` or ``.safetensors`` file of `save_units`, or a ``.npy`` file with a bare (hidden, input) array.

    Returns
    -------
    weights : (hidden, input) array
        float32 or float64, as in the file.
    metadata : dict
        Empty for a ``.npy`` file.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the ending is another, or the file is damaged, of another kind, or holds anything but a finite (hidden,
        input) array.

    Notes
    -----
    No file says how an image was flattened. This library flattens (channel, y, x); weights published for CIFAR-10 were
    trained on rows of (y, x, channel), which are put right by::

        weights.reshape(-1, 32, 32, 3).transpose(0, 3, 1, 2).reshape(len(weights), -1)
    """
    path = Path(path)
    suffix = _suffix(path)
    if not path.is_file():
        raise FileNotFoundError(f"There is no file of weights '{path}'.")
    try:
        array, metadata = _read(path, suffix)
    except (zipfile.BadZipFile, ValueError, EOFError, KeyError) as error:
        raise ValueError(
            f"'{path}' is damaged, or no {suffix} file of hidden units: {str(error).splitlines()[0]}. Write it anew "
            "with `save_units`, or fetch it again."
        ) from error
    return _checked(array, f"'{path}'"), metadata


def _read(path: Path, suffix: str) -> tuple[NDArray[Any], dict[str, Any]]:
    if suffix == ".safetensors":
        tensors, metadata = read_weights(path)
        return tensors[_WEIGHTS].numpy(), metadata
    with path.open("rb") as file:
        if suffix == ".npy":
            # Not `np.load`, which takes any other file for a pickle, and says so.
            array: NDArray[Any] = np.lib.format.read_array(file, allow_pickle=False)  # type: ignore[no-untyped-call]
            return array, {}
        with zipfile.ZipFile(file), np.load(file, allow_pickle=False) as archive:
            text = str(archive[_METADATA]) if _METADATA in archive else "{}"
            return archive[_WEIGHTS], json.loads(text)


def _suffix(path: Path) -> str:
    if path.suffix not in _SUFFIXES:
        raise ValueError(f"`path` is '{path}'; it must end in one of {', '.join(_SUFFIXES)}.")
    return path.suffix


def _checked(array: NDArray[Any], what: str) -> Array:
    if array.dtype not in (np.float32, np.float64):
        raise ValueError(f"{what} has numbers of type {array.dtype}; they must be float32 or float64.")
    if array.ndim != 2 or not array.size:
        raise ValueError(
            f"{what} has the shape {array.shape}; it must be (hidden, input), a row per unit. Flatten each "
            "unit's weights."
        )
    wrong = np.flatnonzero(~np.isfinite(array).all(axis=1))
    if len(wrong):
        raise ValueError(
            f"{what} has {len(wrong)} unit(s) with weights that are NaN or infinite, the first in row {wrong[0]}; "
            "train them again or leave them out."
        )
    return array
