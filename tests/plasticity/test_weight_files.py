"""Weights of hidden units come back from every format as they were, and what is no such file is refused by name."""

import os

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

from neurocircuit.plasticity import load_units, save_units

FORMATS = [".npz", ".safetensors", ".npy"]


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("order", ["C", "F"])
def test_weights_come_back_to_the_bit(suffix, dtype, order, tmp_path, rng):
    weights = np.asarray(rng.standard_normal((5, 7)), dtype=dtype, order=order)
    path = tmp_path / "folder" / f"units{suffix}"
    metadata = {} if suffix == ".npy" else {"p": 3.0, "dataset": "MNIST", "planes": [1, 28, 28]}
    save_units(path, weights, **metadata)
    found, said = load_units(str(path))
    assert found.dtype == dtype
    assert np.array_equal(found, weights)
    assert said == metadata
    assert os.listdir(path.parent) == [path.name]


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_tensor_with_a_gradient_is_saved_as_its_numbers(suffix, tmp_path):
    weights = torch.randn(3, 4, requires_grad=True)
    save_units(tmp_path / f"units{suffix}", weights.T)
    assert np.array_equal(load_units(tmp_path / f"units{suffix}")[0], weights.detach().numpy().T)


def test_the_published_layout_is_a_bare_array_of_units_by_pixels(tmp_path, rng):
    published = rng.standard_normal((4, 3072))
    np.save(tmp_path / "weights.npy", published)
    found, metadata = load_units(tmp_path / "weights.npy")
    assert np.array_equal(found, published)
    assert metadata == {}
    save_units(tmp_path / "ours.npy", published)
    assert np.array_equal(np.load(tmp_path / "ours.npy"), published)


def test_the_note_on_published_rows_of_colour_images_puts_the_planes_right():
    """The line in the docstring of `load_units`, on numbers that say where they belong."""
    y, x, channel = np.meshgrid(range(32), range(32), range(3), indexing="ij")
    weights = (10_000 * channel + 100 * y + x).reshape(1, -1)
    line = next(text for text in load_units.__doc__.splitlines() if "transpose" in text)
    planes = eval(line, {"weights": weights, "len": len}).reshape(3, 32, 32)
    assert planes[2, 5, 7] == 20_507


def test_an_archive_without_metadata_is_read(tmp_path):
    np.savez(tmp_path / "units.npz", weights=np.ones((2, 3)))
    assert load_units(tmp_path / "units.npz")[1] == {}


def test_a_write_that_fails_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "units.npz"
    save_units(path, np.ones((2, 3)))
    before = path.read_bytes()

    def failing(file, **arrays):
        file.write(b"half")
        raise OSError("the disk is full")

    monkeypatch.setattr(np, "savez", failing)
    with pytest.raises(OSError, match="the disk is full"):
        save_units(path, np.zeros((2, 3)))
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["units.npz"]


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_missing_file_is_named(suffix, tmp_path):
    with pytest.raises(FileNotFoundError, match=f"no file of weights '.*units{suffix}'"):
        load_units(tmp_path / f"units{suffix}")


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("content", [b"", b"not a file of numbers", "half"])
def test_a_damaged_file_is_named(suffix, content, tmp_path):
    path = tmp_path / f"units{suffix}"
    save_units(path, np.ones((20, 30)))
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2] if content == "half" else content)
    with pytest.raises(ValueError, match=rf"'.*units{suffix}' is damaged, or no {suffix} file of hidden units"):
        load_units(path)


def test_changed_bytes_in_an_archive_are_found(tmp_path):
    path = tmp_path / "units.npz"
    save_units(path, np.ones((20, 30)))
    content = bytearray(path.read_bytes())
    content[1000] ^= 1
    path.write_bytes(content)
    with pytest.raises(ValueError, match="is damaged"):
        load_units(path)


def test_files_of_other_arrays_are_refused(tmp_path):
    np.savez(tmp_path / "other.npz", images=np.ones((2, 3)))
    save_file({"images": np.ones((2, 3))}, tmp_path / "other.safetensors")
    for suffix in (".npz", ".safetensors"):
        with pytest.raises(ValueError, match=f"no {suffix} file of hidden units: .*weights"):
            load_units(tmp_path / f"other{suffix}")
    np.save(tmp_path / "pickle.npy", np.array([{}], dtype=object))
    with pytest.raises(ValueError, match=r"'.*pickle.npy' is damaged, or no .npy file"):
        load_units(tmp_path / "pickle.npy")


BAD = [
    (np.ones(3), r"has the shape \(3,\); it must be \(hidden, input\)"),
    (np.ones((2, 3, 4)), r"has the shape \(2, 3, 4\)"),
    (np.ones((0, 4)), r"has the shape \(0, 4\)"),
    (
        np.array([[1.0, 2.0], [np.nan, 0.0]]),
        r"has 1 unit\(s\) with weights that are NaN or infinite, the first in row 1",
    ),
    (np.ones((2, 3), dtype=int), "has numbers of type int64; they must be float32 or float64"),
]


@pytest.mark.parametrize(("array", "message"), BAD)
def test_arrays_that_are_no_weights_are_neither_saved_nor_loaded(array, message, tmp_path):
    with pytest.raises(ValueError, match=f"`weights` {message}"):
        save_units(tmp_path / "units.npz", array)
    assert os.listdir(tmp_path) == []
    np.save(tmp_path / "units.npy", array)
    with pytest.raises(ValueError, match=f"units.npy' {message}"):
        load_units(tmp_path / "units.npy")


def test_other_endings_and_metadata_without_a_place_are_refused(tmp_path):
    for call in (lambda path: save_units(path, np.ones((2, 3))), load_units):
        with pytest.raises(ValueError, match=r"must end in one of .npz, .safetensors, .npy"):
            call(tmp_path / "units.pt")
    with pytest.raises(ValueError, match=r"a .npy file has no place for metadata \(p, k\)"):
        save_units(tmp_path / "units.npy", np.ones((2, 3)), p=2, k=2)
    with pytest.raises(TypeError, match="not JSON serializable"):
        save_units(tmp_path / "units.npz", np.ones((2, 3)), rule=object())
