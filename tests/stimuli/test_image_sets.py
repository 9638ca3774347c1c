import importlib.util
import io
import os
import pickle
import sys
from pathlib import Path
from urllib.error import URLError

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from torchvision.datasets import CIFAR10, MNIST, FashionMNIST, mnist

from neurocircuit.stimuli import IMAGE_SETS, ImageSet, digits_image_set, image_sets, load_image_set

REAL = os.environ.get("NEUROCIRCUIT_DATA")
needs_data = pytest.mark.skipif(REAL is None, reason="no data: NEUROCIRCUIT_DATA names no folder of image sets")


FEW = digits_image_set(n_train=200, n_test=1)


def jpeg_pack():
    """Import the helper that lies beside the benchmarks, outside the package."""
    path = Path(__file__).parents[2] / "benchmarks" / "jpeg_pack.py"
    spec = importlib.util.spec_from_file_location("jpeg_pack", path)
    module = importlib.util.module_from_spec(spec)
    # A dataclass looks its module up there.
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def write_idx(path, array):
    path.parent.mkdir(parents=True, exist_ok=True)
    head = bytes([0, 0, 8, array.ndim]) + b"".join(size.to_bytes(4, "big") for size in array.shape)
    path.write_bytes(head + array.tobytes())


@pytest.fixture
def mnist_folder(tmp_path, rng):
    for part, count in (("train", 6), ("t10k", 3)):
        write_idx(tmp_path / f"MNIST/raw/{part}-images-idx3-ubyte", rng.integers(0, 256, (count, 28, 28), np.uint8))
        write_idx(tmp_path / f"MNIST/raw/{part}-labels-idx1-ubyte", rng.integers(0, 10, count, np.uint8))
    return tmp_path


def dump(content, path, protocol=2):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(pickle.dumps(content, protocol))


@pytest.fixture
def cifar_folder(tmp_path, rng):
    folder = tmp_path / "cifar-10-batches-py"
    # With the protocols that old and new versions of Python write.
    for name, protocol in (("data_batch_1", 2), ("data_batch_3", 4), ("test_batch", 2)):
        data = rng.integers(0, 256, (4, 3072), np.uint8)
        dump({b"data": data, b"labels": [3, 0, 9, 1]}, folder / name, protocol)
    dump({b"label_names": [name.encode() for name in "abcdefghij"]}, folder / "batches.meta")
    return tmp_path


def test_mnist_is_what_torchvision_reads(mnist_folder):
    found = load_image_set("mnist", mnist_folder)
    raw = mnist_folder / "MNIST" / "raw"
    for part, images, labels in (
        ("train", found.train_images, found.train_labels),
        ("t10k", found.test_images, found.test_labels),
    ):
        np.testing.assert_array_equal(images[:, 0], mnist.read_image_file(str(raw / f"{part}-images-idx3-ubyte")))
        np.testing.assert_array_equal(labels, mnist.read_label_file(str(raw / f"{part}-labels-idx1-ubyte")))
    assert found.image_shape == (1, 28, 28)
    assert found.train_images.flags.writeable


def test_cifar_rows_become_planes_of_red_green_and_blue(cifar_folder):
    found = load_image_set("cifar10", cifar_folder)
    batch = pickle.loads((cifar_folder / "cifar-10-batches-py" / "data_batch_3").read_bytes())
    # By the definition of the format: the first 1024 entries are red, row by row.
    assert found.train_images[5, 0, 2, 7] == batch[b"data"][1, 2 * 32 + 7]
    assert found.train_images[5, 2, 31, 0] == batch[b"data"][1, 2 * 1024 + 31 * 32]
    assert found.train_labels.tolist() == [3, 0, 9, 1, 3, 0, 9, 1]
    assert found.class_names == tuple("abcdefghij")


def test_a_part_of_a_set_says_so(cifar_folder, mnist_folder):
    label = "CIFAR-10 (8 of 50,000 training and 4 of 10,000 test images)"
    assert load_image_set("cifar10", cifar_folder).label == label
    assert load_image_set("mnist", mnist_folder).label == "MNIST (6 of 60,000 training and 3 of 10,000 test images)"
    (cifar_folder / "cifar-10-batches-py").rename(cifar_folder / "cifar-10-batches-py-subset")
    assert load_image_set("cifar10", cifar_folder).train_images.shape == (8, 3, 32, 32)


def test_the_label_file_names_a_changed_set(cifar_folder):
    (cifar_folder / "cifar-10-batches-py" / "label.txt").write_text("CIFAR-10 (blurred)\n")
    label = "CIFAR-10 (blurred) (8 of 50,000 training and 4 of 10,000 test images)"
    assert load_image_set("cifar10", cifar_folder).label == label


@pytest.mark.parametrize(
    ("counts", "label"),
    [
        ((60_000, 10_000), "MNIST"),
        ((60_000, 9_000), "MNIST (9,000 of 10,000 test images)"),
        ((50_000, 10_000), "MNIST (50,000 of 60,000 training images)"),
    ],
)
def test_only_the_part_that_is_not_whole_is_counted(tmp_path, counts, label):
    # The size of an image is not asked for.
    for part, count in zip(("train", "t10k"), counts, strict=True):
        write_idx(tmp_path / f"MNIST/raw/{part}-images-idx3-ubyte", np.zeros((count, 1, 1), np.uint8))
        write_idx(tmp_path / f"MNIST/raw/{part}-labels-idx1-ubyte", np.zeros(count, np.uint8))
    assert load_image_set("mnist", tmp_path).label == label


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda path: path.unlink(), FileNotFoundError, "no file .*train-images-idx3-ubyte"),
        (lambda path: path.write_bytes(path.read_bytes()[:-1]), ValueError, "train-images.* 4719 bytes, expected 4720"),
        (lambda path: path.write_bytes(path.read_bytes() + b"x"), ValueError, "4721 bytes, expected 4720"),
        (lambda path: path.write_bytes(path.read_bytes()[:9]), ValueError, "train-images.*is no idx file"),
        (lambda path: path.write_bytes(b""), ValueError, "begins with nothing, expected 00000803"),
        (lambda path: path.write_bytes(b"\x1f\x8b" + path.read_bytes()), ValueError, "begins with 1f8b0000.*unpacked"),
        (lambda path: write_idx(path, np.zeros((5, 28, 28), np.uint8)), ValueError, "5 images .* but 6 labels"),
    ],
)
def test_damaged_mnist_is_named(mnist_folder, change, error, message):
    change(mnist_folder / "MNIST" / "raw" / "train-images-idx3-ubyte")
    with pytest.raises(error, match=message):
        load_image_set("mnist", mnist_folder)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([1, 2], "holds a list, expected a dictionary"),
        ({b"labels": [1]}, "NoneType, expected uint8 of shape"),
        ({b"data": np.zeros((2, 3072), np.float32), b"labels": [1, 2]}, "float32 of shape"),
        ({b"data": np.zeros((2, 9), np.uint8), b"labels": [1, 2]}, r"shape \(2, 9\), expected uint8"),
        ({b"data": np.zeros((2, 3072), np.uint8), b"labels": [1]}, "expected 2 integers"),
        ({b"data": np.zeros((2, 3072), np.uint8), b"labels": [1.5, 2.0]}, "float64.*expected 2 integers"),
    ],
)
def test_a_batch_of_another_kind_is_named(cifar_folder, content, message):
    dump(content, cifar_folder / "cifar-10-batches-py" / "data_batch_1")
    with pytest.raises(ValueError, match=rf"data_batch_1.*{message}"):
        load_image_set("cifar10", cifar_folder)


def test_a_cut_or_missing_batch_is_named(cifar_folder):
    folder = cifar_folder / "cifar-10-batches-py"
    path = folder / "test_batch"
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(ValueError, match=r"test_batch' cannot be read.*cut off or damaged"):
        load_image_set("cifar10", cifar_folder)
    path.unlink()
    with pytest.raises(FileNotFoundError, match="test_batch"):
        load_image_set("cifar10", cifar_folder)
    (folder / "data_batch_1").unlink()
    (folder / "data_batch_3").unlink()
    with pytest.raises(FileNotFoundError, match="data_batch_1"):
        load_image_set("cifar10", cifar_folder)


def test_names_that_are_missing_or_damaged_are_named(cifar_folder):
    path = cifar_folder / "cifar-10-batches-py" / "batches.meta"
    dump({b"label_names": 3}, path)
    with pytest.raises(ValueError, match=r"batches\.meta' has no list of names"):
        load_image_set("cifar10", cifar_folder)
    path.unlink()
    with pytest.raises(FileNotFoundError, match=r"batches\.meta"):
        load_image_set("cifar10", cifar_folder)


@pytest.mark.parametrize(("labels", "names"), [([3, 0, 12, 1], 10), ([3, -2, 1, 0], 10), ([3, 0, 9, 1], 9)])
@pytest.mark.parametrize("batch", ["data_batch_3", "test_batch"])
def test_a_batch_with_labels_without_a_name_is_named(cifar_folder, batch, labels, names):
    folder = cifar_folder / "cifar-10-batches-py"
    good = [0, 1, 2, 3]
    for path in (folder / name for name in ("data_batch_1", "data_batch_3", "test_batch")):
        dump({b"data": np.zeros((4, 3072), np.uint8), b"labels": labels if path.name == batch else good}, path)
    dump({b"label_names": [b"name"] * names}, folder / "batches.meta")
    message = rf"{batch}' has labels from {min(labels)} to {max(labels)}, but 'batches\.meta' .* names {names} classes"
    with pytest.raises(ValueError, match=message):
        load_image_set("cifar10", cifar_folder)


def test_a_label_that_is_no_class_of_mnist_is_named_with_its_file(mnist_folder):
    write_idx(mnist_folder / "MNIST/raw/t10k-labels-idx1-ubyte", np.array([0, 10, 3], np.uint8))
    with pytest.raises(ValueError, match="t10k-labels-idx1-ubyte' has labels from 0 to 10, but the set has 10 classes"):
        load_image_set("mnist", mnist_folder)


class Harmful:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (Path.touch, (self.path,))


class Encoded:
    def __reduce__(self):
        import codecs

        return (codecs.encode, ("text", "rot13"))


def test_a_batch_cannot_run_code(cifar_folder, tmp_path):
    batch = cifar_folder / "cifar-10-batches-py" / "data_batch_1"
    dump(Harmful(tmp_path / "touched"), batch)
    with pytest.raises(ValueError, match=r"data_batch_1' cannot be read \(it asks for .*which no batch needs"):
        load_image_set("cifar10", cifar_folder)
    assert not (tmp_path / "touched").exists()
    dump(Encoded(), batch)
    with pytest.raises(ValueError, match="encodes text as rot13"):
        load_image_set("cifar10", cifar_folder)


def test_a_folder_without_the_set_is_refused(tmp_path, monkeypatch):
    with pytest.raises(FileNotFoundError, match="no folder 'cifar-10-batches-py' or"):
        load_image_set("cifar10", tmp_path)
    with pytest.raises(FileNotFoundError, match=r"`data` is .*nowhere"):
        load_image_set("mnist", tmp_path / "nowhere")
    monkeypatch.setenv("NEUROCIRCUIT_DATA", str(tmp_path / "nowhere"))
    with pytest.raises(FileNotFoundError, match=r"`NEUROCIRCUIT_DATA` is .*nowhere"):
        load_image_set("mnist")
    with pytest.raises(ValueError, match="`name` is 'imagenet'; it must be one of mnist, fashion, cifar10, digits"):
        load_image_set("imagenet")


def test_the_environment_names_the_folder(mnist_folder, monkeypatch):
    monkeypatch.setenv("NEUROCIRCUIT_DATA", str(mnist_folder))
    assert len(load_image_set("mnist").train_labels) == 6


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.delenv("NEUROCIRCUIT_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "neurocircuit"


@pytest.mark.parametrize("name", IMAGE_SETS)
def test_without_a_network_the_error_says_what_to_do(name, cache, monkeypatch):
    def offline(*_, **__):
        raise URLError("no network")

    monkeypatch.setattr("urllib.request.urlopen", offline)
    with pytest.raises(
        OSError, match=r"could not be downloaded into .*cache/neurocircuit'.*NEUROCIRCUIT_DATA"
    ) as found:
        load_image_set(name)
    assert {"mnist": "MNIST", "fashion": "Fashion-MNIST", "cifar10": "CIFAR-10"}[name] in str(found.value)


def test_what_the_network_sends_must_have_torchvisions_checksum(cache, monkeypatch):
    class Answer(io.BytesIO):
        url, length = "https://example.org/x", 5

    monkeypatch.setattr("urllib.request.urlopen", lambda *_, **__: Answer(b"wrong"))
    for name in ("fashion", "cifar10"):
        with pytest.raises(OSError, match=r"could not be downloaded.*not found or corrupted"):
            load_image_set(name)


def test_a_missing_set_is_downloaded_once_and_then_read_from_the_cache(cache, monkeypatch, rng):
    asked = []

    def fetch(url, download_root, filename, md5):
        asked.append((filename, md5))
        shape = (5, 28, 28) if "images" in filename else (5,)
        write_idx(Path(download_root) / filename.removesuffix(".gz"), rng.integers(0, 10, shape, np.uint8))

    monkeypatch.setattr(mnist, "download_and_extract_archive", fetch)
    first = load_image_set("fashion")
    assert asked == FashionMNIST.resources
    assert (cache / "FashionMNIST" / "raw" / "train-images-idx3-ubyte").is_file()
    np.testing.assert_array_equal(load_image_set("fashion").train_images, first.train_images)
    assert len(asked) == 4


def test_a_download_can_be_forbidden(cache):
    with pytest.raises(FileNotFoundError, match="train-images-idx3-ubyte"):
        load_image_set("mnist", download=False)


def test_a_partial_set_in_the_cache_is_downloaded_again(cache, cifar_folder, monkeypatch):
    asked = []
    monkeypatch.setattr(CIFAR10, "__init__", lambda self, root, download: asked.append((root, download)))
    cache.mkdir(parents=True)
    (cifar_folder / "cifar-10-batches-py").rename(cache / "cifar-10-batches-py")
    load_image_set("cifar10")
    assert asked == [(cache, True)]


def test_class_names_are_torchvisions():
    assert list(image_sets._CLOTHES) == FashionMNIST.classes
    assert [name[0] for name in MNIST.classes] == list(image_sets._DIGIT_NAMES)


def test_digits_are_scikit_learns_and_drawn_without_repeats():
    from sklearn.datasets import load_digits

    found = digits_image_set(seed=3, n_train=1000, n_test=797)
    images = np.concatenate([found.train_images, found.test_images])[:, 0]
    labels = np.concatenate([found.train_labels, found.test_labels])
    original = load_digits()

    def rows(pictures, numbers):
        return sorted(map(tuple, np.column_stack([pictures.reshape(len(pictures), -1), numbers])))

    assert rows(np.rint(images * (16 / 255)).astype(int), labels) == rows(original.images.astype(int), original.target)
    assert images.max() == 255
    same, other = digits_image_set(3, 1000, 797), digits_image_set(4, 1000, 797)
    np.testing.assert_array_equal(same.train_images, found.train_images)
    assert not np.array_equal(other.train_labels, found.train_labels)
    assert load_image_set("digits").image_shape == (1, 8, 8)
    for sizes in ((0, 5), (5, 0), (1700, 98)):
        with pytest.raises(ValueError, match="`n_train`"):
            digits_image_set(0, *sizes)


@given(st.floats(0.01, 0.99), st.integers(0, 99))
def test_a_split_shares_all_images_between_its_parts(fraction, seed):
    images = FEW
    train, held = images.split(fraction, seed)
    assert sorted([*train, *held]) == list(range(200))
    assert abs(len(held) - 200 * fraction) <= 0.5
    np.testing.assert_array_equal(images.split(fraction, seed)[1], held)


@pytest.mark.parametrize("fraction", [0, 1, -0.1, 0.001, 0.999, float("nan")])
def test_an_impossible_split_is_refused(fraction):
    with pytest.raises(ValueError, match="`fraction` is"):
        digits_image_set(n_train=20, n_test=1).split(fraction)


def test_an_impossible_seed_is_named():
    with pytest.raises(ValueError, match="`seed` is -1; it must be at least 0"):
        FEW.split(seed=-1)
    with pytest.raises(TypeError, match=r"`seed` is 0\.5; it must be an integer"):
        FEW.split(seed=0.5)
    with pytest.raises(ValueError, match="`seed` is -1; it must be at least 0"):
        digits_image_set(-1)


def test_images_and_labels_that_do_not_belong_together_are_refused():
    good = digits_image_set(n_train=4, n_test=2)
    parts = [good.train_images, good.train_labels, good.test_images, good.test_labels]

    def made(**changes):
        named = dict(zip(("train_images", "train_labels", "test_images", "test_labels"), parts, strict=True))
        return ImageSet("digits", "digits", **{**named, "class_names": good.class_names, **changes})

    with pytest.raises(TypeError, match="`train_images` is of float32"):
        made(train_images=good.train_images.astype(np.float32))
    with pytest.raises(ValueError, match="`test_images` has the shape"):
        made(test_images=good.test_images[..., :5])
    with pytest.raises(ValueError, match="`train_images` has the shape"):
        made(train_images=good.train_images[:0], train_labels=good.train_labels[:0])
    with pytest.raises(ValueError, match="`test_labels` has the shape"):
        made(test_labels=good.test_labels[:1])
    with pytest.raises(ValueError, match="`train_labels` go from -1"):
        made(train_labels=good.train_labels * 0 - 1)
    with pytest.raises(ValueError, match=r"`test_labels` go from .* with 1 classes"):
        made(class_names=("0",), train_labels=good.train_labels * 0, test_labels=good.test_labels * 0 + 3)


def test_a_pack_of_jpegs_becomes_labelled_batches(tmp_path):
    colours = np.array([[200, 30, 40], [20, 180, 60], [10, 20, 220]], dtype=np.uint8)
    files = []
    for colour in colours:
        file = io.BytesIO()
        Image.fromarray(np.broadcast_to(colour, (32, 32, 3)).copy()).save(file, "JPEG", quality=75)
        files.append(file.getvalue())
    packed = {"class_names": np.array(["red", "green", "blue"])}
    for part, chosen in (("train", files), ("test", files[:1])):
        packed[f"jpeg_{part}"] = np.frombuffer(b"".join(chosen), np.uint8)
        packed[f"off_{part}"] = np.cumsum([0, *map(len, chosen)])
        packed[f"y_{part}"] = np.arange(len(chosen), dtype=np.uint8)
    np.savez(tmp_path / "pack.npz", **packed)
    folder = jpeg_pack().write_batches(tmp_path / "pack.npz", tmp_path, batch=2)
    assert sorted(path.name for path in folder.iterdir()) == [
        *("batches.meta", "data_batch_1", "data_batch_2", "label.txt", "test_batch"),
    ]
    found = load_image_set("cifar10", tmp_path)
    np.testing.assert_allclose(found.train_images.mean((2, 3)), colours, atol=3)
    assert found.train_labels.tolist() == [0, 1, 2]
    assert found.class_names == ("red", "green", "blue")
    assert found.label == "CIFAR-10 (JPEG q75) (3 of 50,000 training and 1 of 10,000 test images)"


@needs_data
@pytest.mark.parametrize(("name", "maker"), [("mnist", MNIST), ("fashion", FashionMNIST)])
def test_the_real_files_are_read_as_torchvision_reads_them(name, maker):
    found, original = load_image_set(name, REAL), maker(REAL, train=False)
    np.testing.assert_array_equal(found.test_images[:, 0], original.data)
    np.testing.assert_array_equal(found.test_labels, original.targets)
    assert found.train_images.shape == (60_000, 1, 28, 28)
    assert "of" not in found.label


@needs_data
def test_the_real_part_of_cifar_has_its_known_first_images():
    found = load_image_set("cifar10", REAL)
    assert [found.class_names[label] for label in found.train_labels[:3]] == ["frog", "truck", "truck"]
    # Upper left pixel of the first training image.
    assert found.train_images[0, :, 0, 0].tolist() == [59, 62, 63]


def test_importing_the_module_loads_neither_scikit_learn_nor_torchvision():
    # Each costs a second or more; they are imported where they are needed.
    top = [line for line in Path(image_sets.__file__).read_text().splitlines() if line.startswith(("import", "from"))]
    assert len(top) > 5
    assert not [line for line in top if "sklearn" in line or "torchvision" in line]
