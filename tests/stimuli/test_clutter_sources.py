import os
import struct

import numpy as np
import pytest

from neurocircuit.stimuli import embedded_source, load_image_set, published_source

REAL = os.environ.get("NEUROCIRCUIT_DATA")
needs_data = pytest.mark.skipif(REAL is None, reason="no data: NEUROCIRCUIT_DATA names no folder of image sets")
SPLITS = ("train", "validation", "test")


def test_embedded_splits_share_no_image_and_have_all_categories():
    parts = [embedded_source(split) for split in SPLITS]
    seen = [{image.tobytes() for image in part.images} for part in parts]
    assert len(set.union(*seen)) == sum(len(part.images) for part in parts)
    for part in parts:
        assert np.unique(part.labels).tolist() == list(range(20))
        np.testing.assert_array_equal(part.domains, part.labels >= 10)
        assert part.images.shape[1:] == (28, 28)
        assert part.images.max(axis=(1, 2)).min() > 0.5
        # Within a frame: nothing of an object touches the edge.
        assert part.images[:, [0, -1]].max() < 0.1
    assert min(np.bincount(parts[0].labels)) > 80
    assert (parts[0].class_names[3], parts[0].class_names[12]) == ("3", "C")


def test_embedded_digits_are_scikit_learns_and_letters_differ():
    from sklearn.datasets import load_digits

    part = embedded_source("test")
    small = load_digits()
    shrunk = part.images[:, 4:24, 4:24].reshape(-1, 4, 5, 4, 5).mean((2, 4))
    for image, label in list(zip(shrunk, part.labels, strict=True))[:60]:
        if label < 10:
            originals = small.images.reshape(-1, 4, 2, 4, 2).mean((2, 4)) / 16
            nearest = np.abs(originals - image).sum((1, 2)).argmin()
            assert small.target[nearest] == label
    means = np.stack([part.images[part.labels == label].mean(0).ravel() for label in range(10, 20)])
    r = np.corrcoef(means)
    assert r[~np.eye(10, dtype=bool)].max() < 0.95


def test_a_source_finds_its_images():
    source = embedded_source("test")
    np.testing.assert_array_equal(source.find(category=13), np.flatnonzero(source.labels == 13))
    np.testing.assert_array_equal(source.find(domain=1), np.flatnonzero(source.labels >= 10))
    assert source.find(category=13, domain=0).size == 0
    assert source.find().size == len(source.labels)


def test_unknown_splits_are_named():
    for maker in (embedded_source, published_source):
        with pytest.raises(ValueError, match="`split` is 'all'; use 'train', 'validation', 'test'"):
            maker("all")


def write_sets(folder, count):
    rng = np.random.default_rng(0)
    for name in ("MNIST", "FashionMNIST"):
        raw = folder / name / "raw"
        raw.mkdir(parents=True)
        for part, n in (("train", count), ("t10k", 20)):
            images = rng.integers(0, 256, (n, 28, 28), np.uint8)
            labels = (np.arange(n) % 10).astype(np.uint8)
            (raw / f"{part}-images-idx3-ubyte").write_bytes(
                struct.pack(">4B3i", 0, 0, 8, 3, *images.shape) + images.tobytes()
            )
            (raw / f"{part}-labels-idx1-ubyte").write_bytes(struct.pack(">4Bi", 0, 0, 8, 1, n) + labels.tobytes())


def test_the_published_validation_images_are_the_first_5000(tmp_path):
    write_sets(tmp_path, 5010)
    train, validation, test = (published_source(split, tmp_path) for split in SPLITS)
    assert [len(part.images) for part in (train, validation, test)] == [20, 10_000, 40]
    for number, name in enumerate(("mnist", "fashion")):
        found = load_image_set(name, tmp_path)
        expected = found.train_images[:, 0] / np.float32(255)
        np.testing.assert_allclose(validation.images[validation.domains == number], expected[:5000], atol=1e-7)
        np.testing.assert_allclose(train.images[train.domains == number], expected[5000:], atol=1e-7)
        np.testing.assert_array_equal(train.labels[train.domains == number], found.train_labels[5000:] + 10 * number)
        np.testing.assert_array_equal(test.labels[test.domains == number], found.test_labels + 10 * number)
    assert validation.class_names[9:12] == ("9", "T-shirt/top", "Trouser")


def test_too_few_training_images_are_refused(tmp_path):
    write_sets(tmp_path, 40)
    with pytest.raises(ValueError, match=r"`split` is 'train', but MNIST .* has only 40 images"):
        published_source("train", tmp_path)


@needs_data
def test_the_published_sets_have_their_sizes():
    sizes = {split: published_source(split, REAL) for split in SPLITS}
    assert [len(part.images) for part in sizes.values()] == [110_000, 10_000, 20_000]
    # Fashion-MNIST is balanced, MNIST is not quite.
    counts = np.bincount(sizes["test"].labels)
    assert counts[10:].tolist() == [1000] * 10
    assert counts[:10].tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
