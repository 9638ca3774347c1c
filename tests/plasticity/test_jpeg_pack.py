"""A file that is no pack of lossy images is refused by name, with what was expected."""

import io

import numpy as np
import pytest
from PIL import Image

EXPECTED = (
    r"must be an npz file with the arrays class_names, jpeg_train, off_train, y_train, jpeg_test, off_test, y_test"
)


@pytest.fixture(scope="module")
def jpeg_pack(import_script):
    """Import the script, which lies outside the package."""
    return import_script("benchmarks", "jpeg_pack")


def arrays():
    """Return what a pack of one image a part holds."""
    file = io.BytesIO()
    Image.new("RGB", (2, 2)).save(file, "JPEG")
    content = np.frombuffer(file.getvalue(), np.uint8)
    parts = {"jpeg": content, "off": np.array([0, len(content)]), "y": np.array([0])}
    named = {f"{kind}_{part}": values for part in ("train", "test") for kind, values in parts.items()}
    return named | {"class_names": np.array(["one"])}


@pytest.mark.parametrize("name", sorted(arrays()))
def test_a_pack_without_one_of_its_arrays_is_refused(jpeg_pack, name, tmp_path):
    found = arrays()
    np.savez(tmp_path / "good.npz", **found)
    jpeg_pack.write_batches(tmp_path / "good.npz", tmp_path)
    del found[name]
    np.savez(tmp_path / "pack.npz", **found)
    with pytest.raises(ValueError, match=rf"pack.npz' is no pack of CIFAR-10: .*{name}.*\. It {EXPECTED}"):
        jpeg_pack.write_batches(tmp_path / "pack.npz", tmp_path / "none")
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("content", ["array", "text", "nothing", "objects", "half"])
def test_a_file_that_is_no_pack_is_refused(jpeg_pack, content, tmp_path):
    path = tmp_path / "pack.npy"
    with path.open("wb") as file:
        if content == "array":
            np.save(file, np.ones(3))
        elif content == "text":
            file.write(b"some text")
        elif content != "nothing":
            # An object is stored as a pickle, which is not read.
            np.savez(file, **arrays() | {"class_names": np.array([None if content == "objects" else "one"])})
    if content == "half":
        path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ValueError, match=rf"pack.npy' is no pack of CIFAR-10: .+\. It {EXPECTED}"):
        jpeg_pack.write_batches(path, tmp_path)


def test_a_pack_that_is_absent_is_named(jpeg_pack, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"absent\.npz"):
        jpeg_pack.write_batches(tmp_path / "absent.npz", tmp_path)
