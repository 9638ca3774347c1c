"""Networks are trained on tasks to their criterion, kept, read back, and scored on fresh trials."""

import dataclasses
import json

import numpy as np
import pytest
import torch
from small_networks import interrupted

from neurocircuit.analysis.ctrnn_outputs import check_channels, network_outputs
from neurocircuit.analysis.ctrnn_recipes import (
    CTRNN_RECIPES,
    FRESH_TRIALS,
    named_recipe,
    quick_recipe,
    recipe_description,
)
from neurocircuit.analysis.ctrnn_training import build_ctrnn, iterations_to, load_trained, train_task
from neurocircuit.circuits.rate_network import RateNetwork
from neurocircuit.connectivity import spectral_radius
from neurocircuit.networks import CTRNN, CTRNNSettings
from neurocircuit.tasks import make_task
from neurocircuit.training import read_log

#: The tutorial's go/no-go with a step five times as long: learned in a second.
SMALL = (
    CTRNN_RECIPES["gonogo"]
    .with_network(n_units=40, step=5.0)
    .with_training(
        learning_rate=5e-3, steps=400, batch_size=32, evaluate_every=20, evaluation_samples=128, log_every=20
    )
)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A network that has learned go/no-go."""
    return train_task(SMALL, 0, tmp_path_factory.mktemp("trained"))


def test_training_stops_at_the_criterion_and_the_network_holds_on_fresh_trials(trained):
    assert trained.training.stopped_early
    assert trained.training.steps < SMALL.training.steps
    fresh = SMALL.task.sample(400, FRESH_TRIALS, SMALL.network.step)
    scores = SMALL.task.score(network_outputs(trained.network, fresh), fresh)
    (row,) = scores.by(fresh)
    assert row["low"] > 0.95
    # The untrained network does not know.
    before = build_ctrnn(SMALL, 0).network()
    assert SMALL.task.score(network_outputs(before, fresh), fresh).accuracy < 0.7


def test_the_step_of_the_criterion_is_that_of_the_log(trained):
    log = [line for line in read_log(trained.training.folder) if "validation_accuracy" in line]
    above = [line["step"] for line in log if line["validation_accuracy"] >= SMALL.criterion]
    assert trained.criterion_step == above[0] == iterations_to(SMALL.criterion, log)
    assert iterations_to(0.5, [{"step": 3, "validation_accuracy": 0.4}, {"step": 4}]) is None


def test_the_network_is_kept_under_dales_law_with_the_names_of_its_channels(trained):
    network = load_trained(SMALL, trained.training.folder)
    assert (network.input_names, network.output_names) == (("go",), ("choice",))
    np.testing.assert_array_equal(network.weights, trained.network.weights)
    assert (network.weights[:, network.excitatory] >= 0).all()
    assert (network.weights[:, ~network.excitatory] <= 0).all()
    assert not network.output_weights[:, ~network.excitatory].any()


def test_a_finished_run_is_only_reported_and_an_interrupted_one_ends_alike(trained, tmp_path, monkeypatch):
    again = train_task(SMALL, 0, trained.training.folder, resume=True)
    assert again.training == trained.training
    np.testing.assert_array_equal(again.network.weights, trained.network.weights)
    often = SMALL.with_training(checkpoint_every=7)
    interrupted(monkeypatch, SMALL.task, 60, lambda: train_task(often, 0, tmp_path))
    assert not (tmp_path / "network.safetensors").exists()
    resumed = train_task(often, 0, tmp_path, resume=True)
    assert resumed.criterion_step == trained.criterion_step
    np.testing.assert_array_equal(resumed.network.weights, trained.network.weights)
    np.testing.assert_array_equal(resumed.network.output_weights, trained.network.output_weights)


@pytest.mark.parametrize(
    "change",
    [{"n_units": 41}, {"p_inh": 0.3}, {"balance": False}, {"noise": 0.02}],
)
def test_a_run_is_not_resumed_with_another_network(trained, change):
    with pytest.raises(ValueError, match=r"is of another run: `description`"):
        train_task(SMALL.with_network(**change), 0, trained.training.folder, resume=True)


def test_the_weights_follow_from_the_seed():
    first, again, other = (build_ctrnn(SMALL, seed).network().weights for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_a_network_of_another_task_is_refused(trained):
    with pytest.raises(ValueError, match="`network` has 1 inputs and 1 outputs; the task dmts has 2 and 1"):
        load_trained(CTRNN_RECIPES["dmts"], trained.training.folder)
    with pytest.raises(FileNotFoundError):
        load_trained(SMALL, trained.training.folder / "nowhere")


def test_a_network_of_another_task_of_the_same_size_is_refused_unless_it_has_no_names():
    right, wrong = make_task("gonogo"), make_task("memory")
    assert (right.n_inputs, right.n_outputs) == (wrong.n_inputs, wrong.n_outputs)
    settings = CTRNNSettings(n_inputs=right.n_inputs, n_outputs=1, n_units=10, step=right.step)
    named = CTRNN(settings).network(right.input_names, right.output_names)
    for fits in (right, right.sample(2, 0)):
        check_channels(named, fits)
    for other in (wrong, wrong.sample(2, 0)):
        with pytest.raises(
            ValueError, match="the input_names fixation, go, nogo; the task memory has fixation, rising"
        ):
            check_channels(named, other)
        check_channels(named.replace(input_names=()), other)
    with pytest.raises(ValueError, match="`network` has the output_names go; the task gonogo has choice"):
        check_channels(named.replace(output_names=("go",)), right)
    with pytest.raises(ValueError, match="the task memory has fixation, rising, falling"):
        network_outputs(named, wrong.sample(2, 0))


def test_trials_of_another_step_are_refused(trained):
    with pytest.raises(ValueError, match=r"`trials` have a step of 1 ms and `network` was trained with 5 ms"):
        network_outputs(trained.network, SMALL.task.sample(3, 0, 1.0))


def test_outputs_do_not_depend_on_how_many_trials_are_run_at_once(trained, monkeypatch):
    trials = SMALL.task.sample(23, 1, 5.0)
    whole = network_outputs(trained.network, trials)
    monkeypatch.setattr("neurocircuit.analysis.ctrnn_outputs._CHUNK", 4)
    np.testing.assert_allclose(network_outputs(trained.network, trials), whole, rtol=0, atol=1e-12)


@pytest.mark.parametrize(("seed", "message"), [(-1, "`seed` is -1"), (FRESH_TRIALS, "`seed` is 1000000")])
def test_a_seed_of_the_fresh_trials_is_refused(seed, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        train_task(SMALL, seed, tmp_path)


def test_a_network_of_the_wrong_size_is_refused():
    with pytest.raises(ValueError, match=r"`network` has n_inputs=3, but task gonogo needs 1"):
        SMALL.with_network(n_inputs=3)
    with pytest.raises(ValueError, match="`criterion` is 0; it must be above 0"):
        dataclasses.replace(SMALL, criterion=0)
    with pytest.raises(ValueError, match="`task` is 'xor'; it must be one of mante, dmts, gonogo"):
        named_recipe("xor")


@pytest.mark.parametrize("name", CTRNN_RECIPES)
def test_every_recipe_trains_and_its_description_comes_back_from_json(name, tmp_path):
    recipe = quick_recipe(CTRNN_RECIPES[name])
    recipe = recipe.with_training(steps=1, evaluate_every=1)
    found = train_task(recipe, 0, tmp_path)
    assert found.training.steps == 1
    assert isinstance(load_trained(recipe, tmp_path), RateNetwork)
    described = recipe_description(recipe)
    assert json.loads(json.dumps(described)) == described


def test_the_recipes_have_the_tutorials_numbers_and_a_balanced_start():
    recipe = CTRNN_RECIPES["mante"]
    assert recipe.task.variant == "tutorial"
    assert (recipe.network.n_units, recipe.network.tau, recipe.network.step) == (200, 20.0, 1.0)
    assert (recipe.training.optimizer, recipe.training.learning_rate, recipe.training.batch_size) == ("adam", 1e-3, 64)
    assert spectral_radius(build_ctrnn(recipe, 0).network().weights) == pytest.approx(1.5, rel=1e-6)
    # Without balance the mean of the weights is an eigenvalue three times as large.
    assert spectral_radius(build_ctrnn(recipe.with_network(balance=False), 0).network().weights) > 3.5


def test_validation_sees_the_hard_trials_only(tmp_path, monkeypatch):
    recipe = quick_recipe(CTRNN_RECIPES["mante"])
    seen = []
    score = type(recipe.task).score

    def recording(self, outputs, trials):
        seen.append((torch.is_grad_enabled(), trials.conditions["incongruent"]))
        return score(self, outputs, trials)

    monkeypatch.setattr(type(recipe.task), "score", recording)
    train_task(recipe, 0, tmp_path)
    assert all(column.all() for gradient, column in seen if not gradient)
    assert not all(column.all() for gradient, column in seen if gradient)


def test_random_durations_are_told_apart_in_the_description():
    first = recipe_description(CTRNN_RECIPES["perceptual"])
    longer = dataclasses.replace(CTRNN_RECIPES["perceptual"], task=make_task("perceptual", stimulus=400.0))
    assert first["task"]["delay"] == "Uniform(low=100.0, high=300.0)"
    assert recipe_description(longer) != first
