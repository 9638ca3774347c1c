"""Cluttered scenes as training data: the same whatever is asked for together; and their loss."""

import math
import pickle

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from neurocircuit.stimuli import ClutterSettings, clutter_scenes, embedded_source
from neurocircuit.training.clutter import SCENE_OBJECTIVE, clutter_set, clutter_stream, log_probability_loss

SOURCE = embedded_source("validation")
SCENES = ClutterSettings().resized(40)


@given(st.data())
def test_a_batch_has_the_scenes_and_categories_of_its_positions(data):
    first = data.draw(st.integers(0, 2**40))
    count = data.draw(st.integers(1, 5))
    images, categories = clutter_stream(SOURCE, SCENES).batch(7, range(first, first + count))
    for place in range(count):
        alone = clutter_scenes(SOURCE, SCENES, 7, [first + place])
        assert torch.equal(images[place], alone.images[0])
        assert categories[place] == alone.labels["category"][0]
    assert (images.dtype, categories.dtype) == (torch.float32, torch.int64)


def test_easy_scenes_at_the_beginning_show_the_target_only():
    images, categories = clutter_stream(SOURCE, SCENES, easy=5).batch(7, range(3, 7))
    whole = clutter_scenes(SOURCE, SCENES, 7, range(3, 7))
    assert torch.equal(images, torch.cat([whole.target_images[:2], whole.images[2:]]))
    assert categories.tolist() == whole.labels["category"].tolist()


def test_other_seeds_have_other_scenes():
    one, other = (clutter_stream(SOURCE, SCENES).batch(seed, range(8))[0] for seed in (0, 1))
    assert not torch.equal(one, other)


def test_a_set_has_the_first_scenes_of_its_seed_whatever_the_run(monkeypatch):
    monkeypatch.setattr("neurocircuit.training.clutter._AT_ONCE", 4)
    found = clutter_set(SOURCE, SCENES, 3, 10)
    images, categories = clutter_stream(SOURCE, SCENES).batch(3, range(10))
    assert found.size == 10
    for run_seed in (0, 5):
        drawn, labels = found.batch(run_seed, range(10))
        assert torch.equal(drawn, images)
        assert torch.equal(labels, categories)


def test_a_set_without_scenes_is_refused():
    with pytest.raises(ValueError, match="`count` is 0; it must be at least 1"):
        clutter_set(SOURCE, SCENES, 3, 0)


def test_the_stream_can_be_sent_to_other_processes():
    stream = clutter_stream(SOURCE, SCENES)
    copy = pickle.loads(pickle.dumps(stream))
    assert torch.equal(copy.batch(0, range(2))[0], stream.batch(0, range(2))[0])


@given(st.integers(0, 100))
def test_the_loss_is_the_mean_of_what_each_target_was_given(seed):
    rng = np.random.default_rng(seed)
    probabilities = rng.dirichlet(np.ones(6), 4)
    targets = rng.integers(6, size=4)
    loss = SCENE_OBJECTIVE.loss(torch.tensor(probabilities).log(), torch.tensor(targets))
    assert float(loss) == pytest.approx(-math.fsum(np.log(probabilities[range(4), targets])) / 4, rel=1e-12)
    right = SCENE_OBJECTIVE.correct(torch.tensor(probabilities).log(), torch.tensor(targets))
    assert right.tolist() == (probabilities.argmax(1) == targets).tolist()


@pytest.mark.parametrize("label", [-100, 3])
def test_a_label_that_is_no_class_is_refused(label):
    with pytest.raises(ValueError, match=f"`targets` has the label {label} at place 1 of its batch; with 3 outputs"):
        log_probability_loss(torch.zeros(2, 3), torch.tensor([0, label]))
