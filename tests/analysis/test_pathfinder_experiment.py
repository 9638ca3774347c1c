"""The Pathfinder experiment: its curriculum, its networks and its curves."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from neurocircuit.analysis import (
    PATHFINDER_MODELS,
    PATHFINDER_RECIPES,
    PathfinderRecipe,
    accuracy_by_path_length,
    accuracy_by_steps,
    build_network,
    distance_baseline,
    evaluate_network,
    load_network,
    train_network,
)
from neurocircuit.networks import count_parameters
from neurocircuit.stimuli import DIFFICULTIES, pathfinder_batch
from neurocircuit.training import StreamSource, TrainingConfig

SMALL = DIFFICULTIES["small"]
EASY = replace(SMALL, contour_length=2)


def tiny(**changes) -> PathfinderRecipe:
    training = TrainingConfig(
        steps=3, batch_size=4, evaluation_samples=8, evaluate_every=3, checkpoint_every=3, log_every=1
    )
    return PathfinderRecipe(
        settings=SMALL,
        training=training,
        channels=3,
        kernel_size=3,
        steps=2,
        matched_kernel=3,
        wide_kernel=5,
        **changes,
    )


def test_the_curriculum_draws_each_image_by_the_settings_of_its_phase():
    images, labels = tiny(curriculum=((2, (EASY,)), (5, (SMALL, EASY)))).stream().batch(5, range(7))
    drawn = [EASY, EASY, SMALL, EASY, SMALL, SMALL, SMALL]
    expected = [pathfinder_batch(settings, 5, [index]) for index, settings in enumerate(drawn)]
    np.testing.assert_array_equal(255 * images[:, 0].numpy(), np.concatenate([one.images for one in expected]))
    np.testing.assert_array_equal(labels, np.concatenate([one.labels for one in expected]))


def test_a_curriculum_of_unequal_images_or_falling_ends_is_refused():
    with pytest.raises(ValueError, match=r"`curriculum` has images of \[32, 40\] pixels"):
        tiny(curriculum=((3, (replace(EASY, image_size=40, canvas_size=40),)),))
    with pytest.raises(ValueError, match=r"`curriculum` ends its phases at \[5, 3\]"):
        tiny(curriculum=((5, (EASY,)), (3, (SMALL,))))


def test_the_matched_control_has_at_least_the_parameters_of_the_hgru_and_few_more():
    for name in ("small", "6"):
        recipe = PATHFINDER_RECIPES[name]
        hgru, *controls = (
            count_parameters(build_network(n, recipe)) for n in ("hgru", "feedforward", "feedforward-wide")
        )
        assert all(hgru <= control <= 1.2 * hgru for control in controls)


def test_every_model_answers_and_its_weights_follow_from_the_seed():
    image = torch.rand(2, 1, 32, 32)
    for name in PATHFINDER_MODELS[:5]:
        first, again, other = (build_network(name, tiny(), seed) for seed in (0, 0, 1))
        assert first(image).shape == (2, 2)
        assert all(torch.equal(a, b) for a, b in zip(first.parameters(), again.parameters(), strict=True))
        assert not all(torch.equal(a, b) for a, b in zip(first.parameters(), other.parameters(), strict=True))


def test_an_unknown_model_or_a_seed_of_the_fresh_images_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"`model` is 'resnet'; it must be one of hgru"):
        build_network("resnet", tiny())
    with pytest.raises(ValueError, match=r"`seed` is 1000000"):
        train_network("hgru", tiny(), 1_000_000, tmp_path)


def test_a_trained_network_comes_back_with_its_weights_and_its_accuracy(tmp_path):
    result = train_network("hgru", tiny(), 3, tmp_path)
    network = load_network("hgru", tiny(), tmp_path)
    found = evaluate_network(network, SMALL, 40)
    assert result.steps == 3
    assert found.samples == 40
    # The same images one by one, without the library's evaluation.
    batch = pathfinder_batch(SMALL, 1_000_000, range(40))
    with torch.no_grad():
        answers = network(torch.from_numpy(batch.images[:, None] / np.float32(255))).argmax(1)
    assert found.accuracy == pytest.approx(np.mean(answers.numpy() == batch.labels))


def test_weights_of_another_network_are_refused(tmp_path):
    train_network("hgru", tiny(), 0, tmp_path)
    with pytest.raises(ValueError, match=r"best\.safetensors"):
        load_network("feedforward", tiny(), tmp_path)


def test_weights_trained_on_other_images_are_refused(tmp_path):
    train_network("hgru", tiny(), 0, tmp_path)
    with pytest.raises(ValueError, match=r"another recipe; they differ in \['settings'\]"):
        load_network("hgru", replace(tiny(), settings=replace(SMALL, contour_length=3)), tmp_path)


def test_an_interrupted_hgru_resumes_to_the_same_bits(tmp_path, monkeypatch):
    recipe = tiny(curriculum=((6, (EASY,)),))
    recipe = replace(recipe, training=replace(recipe.training, steps=5, checkpoint_every=2, schedule="cosine"))
    train_network("hgru", recipe, 0, tmp_path / "whole")
    stream, calls = recipe.stream().function, 0

    def interrupted(self):
        def function(seed, indices):
            nonlocal calls
            calls += 1
            if calls == 4:
                raise KeyboardInterrupt
            return stream(seed, indices)

        return StreamSource(function)

    with monkeypatch.context() as patch:
        patch.setattr(PathfinderRecipe, "stream", interrupted)
        with pytest.raises(KeyboardInterrupt):
            train_network("hgru", recipe, 0, tmp_path / "cut")
    train_network("hgru", recipe, 0, tmp_path / "cut", resume=True)
    whole, cut = (
        torch.load(tmp_path / name / "checkpoint_00000005.pt", weights_only=True) for name in ("whole", "cut")
    )
    assert whole["model"].keys() == cut["model"].keys()
    assert all(torch.equal(values, cut["model"][name]) for name, values in whole["model"].items())


def test_a_run_is_not_resumed_with_another_recipe(tmp_path):
    train_network("hgru", tiny(), 0, tmp_path)
    with pytest.raises(ValueError, match="recipe"):
        train_network("hgru", tiny(filter_size=5), 0, tmp_path, resume=True)


def test_curves_have_an_accuracy_with_its_interval_for_every_length_and_step():
    network = build_network("hgru", tiny()).eval()
    lengths = accuracy_by_path_length(network, SMALL, (2, 3), 20)
    steps = accuracy_by_steps(network, SMALL, 20)
    assert lengths["path_length"].values.tolist() == [2, 3]
    assert steps["time_step"].values.tolist() == [1, 2]
    for curve in (lengths, steps):
        assert ((curve["low"] <= curve["accuracy"]) & (curve["accuracy"] <= curve["high"])).all()
    # After all of its steps the network is the network.
    assert float(steps["accuracy"][-1]) == evaluate_network(network, SMALL, 20).accuracy


def test_the_distance_baseline_scores_half_of_the_images():
    found = distance_baseline(pathfinder_batch(replace(SMALL, negatives="published"), 0, range(200)))
    assert set(found) == {"window", "histogram"}
    assert all(score.images == 100 for score in found.values())
