import numpy as np
import pytest
from PIL import Image

from neurocircuit.stimuli import SAMPLE, load_photograph


def test_sample_is_a_grey_picture_with_contrast():
    grey = load_photograph(SAMPLE, 64)
    assert max(grey.shape) == 64
    assert grey.dtype == np.float64
    assert grey.min() >= 0
    assert grey.max() <= 1
    assert np.ptp(grey) > 0.8


def test_grey_levels_are_8_bit_levels_over_255(tmp_path):
    levels = np.arange(12, dtype=np.uint8).reshape(3, 4) * 20
    Image.fromarray(levels).save(tmp_path / "grey.png")
    np.testing.assert_allclose(load_photograph(tmp_path / "grey.png"), levels / 255, atol=1e-7)


def test_grey_levels_are_16_bit_levels_over_65535(tmp_path):
    levels = np.arange(12, dtype=np.uint16).reshape(3, 4) * 5000
    Image.fromarray(levels).save(tmp_path / "grey.png")
    np.testing.assert_allclose(load_photograph(tmp_path / "grey.png"), levels / 65535, atol=1e-7)


def test_colours_become_their_luma(tmp_path):
    colours = np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255]]], dtype=np.uint8)
    Image.fromarray(colours).save(tmp_path / "colour.png")
    np.testing.assert_allclose(load_photograph(tmp_path / "colour.png"), [[0.299, 0.587, 0.114]], atol=0.002)


def test_only_larger_pictures_are_scaled_and_keep_their_shape(tmp_path):
    Image.fromarray(np.zeros((60, 120), dtype=np.uint8)).save(tmp_path / "wide.png")
    assert load_photograph(tmp_path / "wide.png", 40).shape == (20, 40)
    assert load_photograph(tmp_path / "wide.png", 500).shape == (60, 120)


def test_what_is_no_image_is_refused(tmp_path):
    (tmp_path / "empty.png").touch()
    (tmp_path / "text.png").write_text("not an image")
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64), dtype=np.uint8)).save(tmp_path / "whole.png")
    (tmp_path / "cut.png").write_bytes((tmp_path / "whole.png").read_bytes()[:300])
    for name, message in (("empty", "an empty file"), ("text", "cannot be read"), ("cut", "cannot be read")):
        with pytest.raises(ValueError, match=message):
            load_photograph(tmp_path / f"{name}.png")
    with pytest.raises(ValueError, match="not a file"):
        load_photograph(tmp_path)
    with pytest.raises(FileNotFoundError, match="no such file"):
        load_photograph(tmp_path / "missing.png")


@pytest.mark.parametrize("side", [0, -1, 2.5, True])
def test_impossible_side_is_refused(side):
    with pytest.raises(ValueError, match="`longest_side`"):
        load_photograph(SAMPLE, side)


@pytest.mark.parametrize("dtype", [np.float32, np.int32])
def test_an_image_of_32_bit_pixels_is_refused_rather_than_clipped(dtype, tmp_path):
    path = tmp_path / "wide.tiff"
    Image.fromarray(np.linspace(0, 1000, 64).reshape(8, 8).astype(dtype)).save(path)
    with pytest.raises(ValueError, match="32 bits"):
        load_photograph(path, 8)
