"""Figures of hidden units draw weights and counts where they belong."""

import numpy as np
import pytest
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from neurocircuit.plotting.hidden_units import (
    plot_comparison,
    plot_confusion,
    plot_training_curves,
    plot_weight_mosaic,
    plot_weight_mosaics,
)

LOG = [
    {"step": 5, "accuracy": 0.5, "validation_accuracy": 0.4, "loss": 2.0, "validation_loss": 2.1},
    {"step": 10, "accuracy": 0.8, "validation_accuracy": 0.6, "loss": 1.0, "validation_loss": 1.4},
]


def test_colour_weights_are_drawn_plane_by_plane_with_grey_for_zero():
    # A single unit whose red plane is 2 in one corner and whose blue plane is -1 in another.
    weights = np.zeros((1, 3, 4, 5))
    weights[0, 0, 0, 4] = 2
    weights[0, 2, 3, 0] = -1
    (image,) = plot_weight_mosaic(weights, Figure().subplots(), columns=1).images
    drawn = np.asarray(image.get_array())
    assert drawn.shape == (4, 5, 3)
    np.testing.assert_allclose(drawn[0, 4], [1, 0.5, 0.5])
    np.testing.assert_allclose(drawn[3, 0], [0.5, 0.5, 0.25])
    np.testing.assert_allclose(drawn[1, 1], 0.5)


def test_grey_weights_have_a_map_centred_at_zero_and_each_unit_its_own_scale():
    weights = np.stack([np.full((1, 2, 2), 3.0), np.full((1, 2, 2), -0.01), np.zeros((1, 2, 2))])
    (image,) = plot_weight_mosaic(weights, Figure().subplots(), columns=2).images
    drawn = np.ma.filled(image.get_array(), np.nan)
    assert drawn.shape == (5, 5)
    np.testing.assert_array_equal(drawn[:2, :2], 1)
    np.testing.assert_array_equal(drawn[:2, 3:], -1)
    np.testing.assert_array_equal(drawn[3:, :2], 0)
    assert np.isnan(drawn[2]).all()
    assert np.isnan(drawn[3:, 3:]).all()
    assert isinstance(image.norm, Normalize)
    assert (image.norm.vmin, image.norm.vmax) == (-1, 1)


def test_mosaics_stand_side_by_side_with_the_first_units_of_each(rng):
    weights = {"BIO": rng.standard_normal((30, 1, 4, 4)), "BP": rng.standard_normal((9, 1, 4, 4))}
    figure = plot_weight_mosaics(weights, units=12, columns=4)
    assert [ax.get_title() or ax.get_title(loc="left") for ax in figure.axes] == ["BIO", "BP"]
    (first,) = figure.axes[0].images
    assert first.get_array().shape == (3 * 5 - 1, 4 * 5 - 1)
    expected = weights["BIO"][11, 0] / np.abs(weights["BIO"][11]).max()
    np.testing.assert_allclose(first.get_array()[10:, 15:], expected)


@pytest.mark.parametrize("shape", [(3, 4, 4), (2, 2, 4, 4), (0, 1, 4, 4)])
def test_weights_that_are_no_pictures_are_refused(shape):
    with pytest.raises(ValueError, match="`weights` has the shape"):
        plot_weight_mosaic(np.zeros(shape), Figure().subplots())


def test_a_confusion_matrix_is_coloured_by_share_and_labelled_with_counts():
    ax = plot_confusion([[8, 2], [0, 5]], ("cat", "dog"), Figure().subplots())
    (image,) = ax.images
    np.testing.assert_allclose(image.get_array(), [[0.8, 0.2], [0, 1]])
    found = {(text.get_position()): text.get_text() for text in ax.texts}
    # Columns are answers; a count of zero is left out.
    assert found == {(0, 0): "8", (1, 0): "2", (1, 1): "5"}
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("answer", "true class")


def test_curves_show_training_dashed_and_validation_solid_by_epoch():
    axes = Figure().subplots(1, 2)
    plot_training_curves({"bio": LOG, "bp": LOG[:1]}, axes)
    for ax, quantity in zip(axes, ("accuracy", "loss"), strict=True):
        dashed = [line for line in ax.lines if line.get_linestyle() == "--"]
        solid = [line for line in ax.lines if line.get_linestyle() == "-"]
        np.testing.assert_allclose(dashed[0].get_xydata(), [[n, line[quantity]] for n, line in enumerate(LOG, 1)])
        np.testing.assert_allclose(solid[0].get_ydata(), [line[f"validation_{quantity}"] for line in LOG])
        assert [text.get_text() for text in ax.get_legend().get_texts()] == ["bio", "bp"]
        assert dashed[1].get_color() == solid[1].get_color() != solid[0].get_color()


def test_a_comparison_has_curves_and_matrix():
    figure = plot_comparison({"bio": LOG}, np.eye(3, dtype=int), ("a", "b", "c"), "BIO, images")
    assert [ax.get_xlabel() for ax in figure.axes] == ["epoch", "epoch", "answer"]
