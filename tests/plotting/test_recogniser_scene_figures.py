"""Figures of cluttered scenes, answers and activity: what is drawn is what was given."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure

from neurocircuit.plotting import plot_answer, plot_scene, plot_scene_activity


def test_a_scene_is_drawn_from_black_to_white_with_its_frame():
    image = torch.linspace(0, 0.5, 30).reshape(1, 5, 6)
    ax = plot_scene(image, Figure().subplots(), title="target: 3", box=[1, 4, 2, 6])
    (shown,) = ax.images
    assert np.array_equal(shown.get_array(), image[0])
    assert shown.get_clim() == (0, 1)
    (frame,) = ax.patches
    # Around the pixels of rows 1 to 3 and columns 2 to 5.
    assert (frame.get_xy(), frame.get_width(), frame.get_height()) == ((1.5, 0.5), 4, 3)
    assert ax.get_title() == "target: 3"


def test_the_most_probable_classes_are_drawn_and_the_right_one_stands_out():
    probabilities = np.array([0.05, 0.4, 0.02, 0.3, 0.1, 0.13])
    ax = plot_answer(probabilities, 3, "abcdef", Figure().subplots())
    assert [bar.get_width() for bar in ax.patches] == [0.4, 0.3, 0.13, 0.1, 0.05]
    assert [text.get_text() for text in ax.get_yticklabels()] == ["b", "d", "f", "e", "a"]
    colours = [bar.get_facecolor() for bar in ax.patches]
    assert colours[1] == to_rgba("C2")
    assert set(colours[:1] + colours[2:]) == {to_rgba("0.6")}


def run():
    """A run of two scenes and two steps."""
    rng = torch.Generator().manual_seed(0)
    shapes = {"input": (2, 1, 6, 6), "conv1": (2, 3, 4, 4), "fc": (2, 12)}
    activations = {name: {step: torch.rand(shape, generator=rng) for step in (1, 2)} for name, shape in shapes.items()}
    return SimpleNamespace(activations=activations)


def test_activity_has_a_row_a_layer_and_a_column_a_step_on_one_scale():
    found = run()
    axes = plot_scene_activity(found, Figure(), scene=1).axes
    assert len(axes) == 3 * 2
    assert [ax.get_title() for ax in axes[:2]] == ["step 1", "step 2"]
    assert [axes[place].get_ylabel() for place in (0, 2, 4)] == ["input", "conv1", "fc"]
    drawn = [ax.images[0] for ax in axes]
    assert np.array_equal(drawn[1].get_array(), found.activations["input"][2][1, 0])
    assert np.allclose(drawn[2].get_array(), found.activations["conv1"][1][1].mean(0))
    assert np.array_equal(drawn[5].get_array(), found.activations["fc"][2][1].reshape(3, 4))
    assert drawn[2].get_clim() == drawn[3].get_clim()
    assert drawn[0].get_clim() == (0, 1)


def test_a_run_without_activations_is_refused():
    with pytest.raises(ValueError, match="`run` has no activations; make it with record="):
        plot_scene_activity(SimpleNamespace(activations={}), Figure())
