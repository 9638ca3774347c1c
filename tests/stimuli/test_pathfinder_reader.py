"""Reading list files: every image with its label, or an error that names the line."""

import io
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from neurocircuit.stimuli import DIFFICULTIES, PathfinderFiles, pathfinder_batch, random_flip, write_pathfinder
from neurocircuit.training import DatasetSource

SMALL = DIFFICULTIES["small"]


def png(image):
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, format="PNG")
    return buffer.getvalue()


@pytest.fixture
def listed(tmp_path, rng):
    """A function that writes images, and a list of them with labels 0 1 0 1 ..., and returns the list file."""

    def write(*images, folder="data/imgs"):
        (tmp_path / folder).mkdir(parents=True, exist_ok=True)
        lines = []
        for number, image in enumerate(images):
            path = tmp_path / folder / f"sample_{number}.png"
            path.write_bytes(image if isinstance(image, bytes) else png(image))
            lines.append(f"{folder}/{path.name} {number % 2}\n")
        (tmp_path / "data/list.txt").parent.mkdir(exist_ok=True)
        (tmp_path / "data/list.txt").write_text("".join(lines))
        return tmp_path / "data/list.txt"

    return write


@pytest.fixture
def images(rng):
    """Five grey images of 6 x 6 pixels."""
    return rng.integers(0, 256, (5, 6, 6), dtype=np.uint8)


def test_a_written_data_set_is_read_back(tmp_path):
    write_pathfinder(tmp_path / "pf", SMALL, 1, 10, shard_size=4, test_fraction=0.2, progress=False)
    batch = pathfinder_batch(SMALL, 1, range(10))
    train, test = (PathfinderFiles(tmp_path / "pf" / f"{part}_images.txt") for part in ("train", "test"))
    assert (len(train), len(test), train.image_size) == (8, 2, 32)
    assert [*train.labels, *test.labels] == batch.labels.tolist()
    for index, expected in enumerate(batch.images):
        image, label = train[index] if index < 8 else test[index - 8]
        assert (image.shape, image.dtype) == ((1, 32, 32), torch.float32)
        assert type(label) is int
        assert label == batch.labels[index]
        np.testing.assert_array_equal(image[0].numpy(), (expected / 255).astype(np.float32))


def test_paths_start_at_the_root_may_hold_spaces_and_may_be_absolute(tmp_path, images):
    folder = tmp_path / "my images"
    folder.mkdir()
    for number, image in enumerate(images):
        (folder / f"sample {number}.png").write_bytes(png(image))
    relative, absolute = tmp_path / "relative.txt", tmp_path / "absolute.txt"
    relative.write_text("".join(f"my images/sample {n}.png {n % 2}\r\n" for n in range(5)))
    absolute.write_text("".join(f"{folder}/sample {n}.png {n % 2}\n" for n in range(5)) + "\n")
    for files in (PathfinderFiles(relative, tmp_path), PathfinderFiles(absolute)):
        assert len(files) == 5
        assert files.labels.tolist() == [0, 1, 0, 1, 0]
        for index, image in enumerate(images):
            np.testing.assert_allclose(files[index][0][0], image / 255, rtol=1e-6)


def test_indices_are_those_of_a_list(listed, images):
    files = PathfinderFiles(listed(*images))
    assert torch.equal(files[-1][0], files[4][0])
    for index in (5, -6):
        with pytest.raises(IndexError):
            files[index]


def test_colours_become_grey_by_luma_or_by_the_first_channel(listed, rng):
    colours = rng.integers(0, 256, (4, 4, 3), dtype=np.uint8)
    file = listed(colours)
    luma = colours @ [0.299, 0.587, 0.114] / 255
    np.testing.assert_allclose(PathfinderFiles(file)[0][0][0], luma, atol=0.6 / 255)
    np.testing.assert_allclose(PathfinderFiles(file, grey="first")[0][0][0], colours[..., 0] / 255, rtol=1e-6)


def test_grey_images_are_the_same_by_either_rule_and_as_rgb(listed, images):
    as_rgb = np.repeat(images[0][..., None], 3, axis=2)
    files = listed(images[0], as_rgb)
    for grey in ("luma", "first"):
        read = PathfinderFiles(files, grey=grey)
        assert torch.equal(read[0][0], read[1][0])
        np.testing.assert_allclose(read[0][0][0], images[0] / 255, rtol=1e-6)


def test_a_reduced_image_is_the_mean_over_squares(listed, images):
    files = PathfinderFiles(listed(*images), image_size=3)
    for index, image in enumerate(images):
        expected = image.reshape(3, 2, 3, 2).mean((1, 3)) / 255
        np.testing.assert_allclose(files[index][0][0], expected, atol=1e-6)


def test_300_pixels_reduced_to_150_are_what_the_generator_delivers(tmp_path):
    drawn = replace(DIFFICULTIES["6"], image_size=300)
    write_pathfinder(tmp_path / "pf", drawn, 0, 2, test_fraction=0, progress=False)
    files = PathfinderFiles(tmp_path / "pf/train_images.txt", image_size=150)
    for index, delivered in enumerate(pathfinder_batch(DIFFICULTIES["6"], 0, range(2)).images):
        # The generator rounds to whole levels.
        np.testing.assert_allclose(files[index][0][0] * 255, delivered, atol=0.501)


@pytest.mark.parametrize("label", ["2", "-1", "1.0", "yes", "01"])
def test_a_label_that_is_not_0_or_1_names_its_line(listed, images, label):
    file = listed(*images)
    lines = file.read_text().splitlines()
    lines[3] = f"{lines[3][:-2]} {label}"
    file.write_text("\n".join(lines))
    with pytest.raises(ValueError, match=rf"line 4 of .* has the label '{label}'; it must be 0 or 1"):
        PathfinderFiles(file)


@pytest.mark.parametrize("line", ["", "sample.png", " 1", "1"])
def test_a_line_without_path_and_label_is_named(listed, images, line):
    file = listed(*images)
    lines = file.read_text().splitlines()
    lines[1] = line
    file.write_text("\n".join(lines))
    with pytest.raises(ValueError, match=rf"line 2 of .* is '{line}'; it must be a path, a space and a label"):
        PathfinderFiles(file)


@pytest.mark.parametrize("text", ["", "\n\n", "  \n"])
def test_an_empty_list_is_refused(tmp_path, text):
    (tmp_path / "list.txt").write_text(text)
    with pytest.raises(ValueError, match=r"`list_file` is .*, which is empty"):
        PathfinderFiles(tmp_path / "list.txt")


def test_a_missing_list_and_one_that_is_no_text_are_refused(tmp_path, images):
    with pytest.raises(FileNotFoundError, match=r"`list_file` is .*no such file"):
        PathfinderFiles(tmp_path / "list.txt")
    with pytest.raises(ValueError, match=r"`list_file` is .*cannot be read as text"):
        PathfinderFiles(tmp_path)
    (tmp_path / "image.png").write_bytes(png(images[0]))
    with pytest.raises(ValueError, match=r"`list_file` is .*cannot be read as text"):
        PathfinderFiles(tmp_path / "image.png")


def test_a_missing_image_names_its_line_and_the_root(listed, images, tmp_path):
    file = listed(*images)
    files = PathfinderFiles(file)
    (tmp_path / "data/imgs/sample_2.png").unlink()
    with pytest.raises(FileNotFoundError, match=r"line 3 of .*data/imgs/sample_2.png.*no such file below `root`"):
        files[2]
    assert files[3][1] == 1
    with pytest.raises(FileNotFoundError, match=r"line 1 of .*no such file below `root`"):
        PathfinderFiles(file, tmp_path / "elsewhere")


def test_a_truncated_image_names_its_line(listed, images):
    files = PathfinderFiles(listed(images[0], png(images[1])[:-30]))
    with pytest.raises(ValueError, match=r"line 2 of .*sample_1.png'.* cannot be read as an image"):
        files[1]


@given(kept=st.integers(0, 500))
def test_an_image_cut_anywhere_is_refused_or_whole(tmp_path_factory, kept):
    folder = tmp_path_factory.mktemp("cut")
    data = png(pathfinder_batch(SMALL, 0, [0]).images[0])
    (folder / "list.txt").write_text("cut.png 1")
    (folder / "cut.png").write_bytes(data[:kept])
    try:
        files = PathfinderFiles(folder / "list.txt", folder)
    except ValueError as error:
        refusal = str(error)
    else:
        np.testing.assert_array_equal(files[0][0][0] * 255, pathfinder_batch(SMALL, 0, [0]).images[0])
        return
    assert "line 1 of" in refusal
    assert kept < len(data)


@pytest.mark.parametrize("mode", ["I;16", "RGBA", "P", "1", "LA"])
def test_images_of_another_mode_are_refused(listed, images, mode):
    buffer = io.BytesIO()
    other = Image.new(mode, (6, 6))
    other.save(buffer, format="PNG")
    files = PathfinderFiles(listed(images[0], buffer.getvalue()))
    with pytest.raises(ValueError, match=rf"line 2 of .*of the mode '{mode}'; it must be 8-bit grey"):
        files[1]


def test_images_of_another_size_are_refused_unless_resizing_is_asked(listed, images):
    file = listed(images[0], np.tile(images[1], (2, 2)))
    with pytest.raises(ValueError, match=r"line 2 of .*12 x 12 pixels, but the first one has 6 x 6.*Give `image_size`"):
        PathfinderFiles(file)[1]
    assert PathfinderFiles(file, image_size=3)[1][0].shape == (1, 3, 3)
    with pytest.raises(ValueError, match=r"line 1 of .*6 x 6 pixels, smaller than `image_size` = 9"):
        PathfinderFiles(file, image_size=9)


def test_images_that_are_not_square_are_refused(listed, images):
    for options in ({}, {"image_size": 4}):
        with pytest.raises(ValueError, match=r"line 1 of .*6 x 4 pixels; it must be square"):
            PathfinderFiles(listed(images[0][:, :4]), **options)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"image_size": 0}, ValueError, "`image_size` is 0"),
        ({"image_size": 150.0}, TypeError, "`image_size` is 150.0"),
        ({"grey": "mean"}, ValueError, "`grey` is 'mean'; use 'luma' or 'first'"),
    ],
)
def test_bad_options_are_refused(listed, images, options, error, message):
    with pytest.raises(error, match=message):
        PathfinderFiles(listed(*images), **options)


def test_flips_are_left_right_and_upside_down_each_half_of_the_time():
    image = torch.arange(12.0).reshape(1, 3, 4)
    expected = [image, image.flip(-1), image.flip(-2), image.flip(-1, -2)]
    generator = torch.Generator().manual_seed(0)
    counts = [0] * 4
    for _ in range(400):
        flipped, label = random_flip((image, 1), generator)
        (which,) = [number for number, each in enumerate(expected) if torch.equal(flipped, each)]
        counts[which] += 1
        assert label == 1
    # Binomial(400, 1/4) is within 4.6 standard deviations.
    assert all(60 <= count <= 140 for count in counts)


def test_training_flips_differ_by_epoch_and_repeat_by_seed(listed, rng):
    files = PathfinderFiles(listed(*rng.integers(0, 256, (5, 6, 6), dtype=np.uint8)))
    plain, flipping = DatasetSource(files), DatasetSource(files, augment=random_flip)
    positions = range(60)
    images, labels = flipping.batch(3, positions)
    unflipped, same_labels = plain.batch(3, positions)
    assert torch.equal(images, flipping.batch(3, positions)[0])
    assert torch.equal(labels, same_labels)
    changed = (images != unflipped).flatten(1).any(1)
    assert 0 < int(changed.sum()) < 60
    assert torch.equal(images[~changed], unflipped[~changed])
