"""A run stops at the first evaluation that reaches its target, also when it was interrupted before."""

import dataclasses
import math

import pytest
from tiny_training import CONFIG, SOURCE, classifier, images, same_bits, weights

from neurocircuit.training import StreamSource, TrainingConfig, fit, load_weights, read_log

LONG = dataclasses.replace(CONFIG, steps=400, batch_size=16, learning_rate=0.01, evaluation_samples=200)


def evaluations(folder):
    """Return the validation accuracy by step."""
    lines = [line for line in read_log(folder) if "validation_accuracy" in line]
    return {line["step"]: line["validation_accuracy"] for line in lines}


@pytest.fixture(scope="module")
def reached(tmp_path_factory):
    """A run that was told to stop at 0.8."""
    folder = tmp_path_factory.mktemp("reached")
    model = classifier()
    return fit(model, SOURCE, SOURCE, dataclasses.replace(LONG, target=0.8), folder), model


def test_training_stops_at_the_first_evaluation_that_reaches_the_target(reached):
    result, model = reached
    found = evaluations(result.folder)
    assert result.stopped_early
    assert result.steps == max(found) < LONG.steps
    assert found.pop(result.steps) == result.last.accuracy >= 0.8
    assert found
    assert max(found.values()) < 0.8
    best = classifier(seed=3)
    load_weights(best, result.weights)
    assert same_bits(weights(best), weights(model))


def test_until_then_the_run_is_the_one_without_a_target(reached, tmp_path):
    result, model = reached
    plain = classifier()
    config = dataclasses.replace(LONG, steps=result.steps)
    without = fit(plain, SOURCE, SOURCE, config, tmp_path)
    assert not without.stopped_early
    assert same_bits(weights(plain), weights(model))
    assert evaluations(tmp_path) == evaluations(result.folder)


def test_an_interrupted_run_stops_at_the_same_step_with_the_same_bits(reached, tmp_path):
    result, model = reached

    def function(seed, indices):
        if seed == LONG.seed and indices[0] >= (result.steps - 3) * LONG.batch_size:
            raise KeyboardInterrupt
        return images(seed, indices)

    config = dataclasses.replace(LONG, target=0.8)
    with pytest.raises(KeyboardInterrupt):
        fit(classifier(), StreamSource(function), SOURCE, config, tmp_path)
    resumed = classifier(seed=4)
    again = fit(resumed, SOURCE, SOURCE, config, tmp_path, resume=True)
    assert (again.steps, again.last) == (result.steps, result.last)
    assert same_bits(weights(resumed), weights(model))


def test_a_run_at_its_target_is_only_reported_and_goes_on_to_a_higher_one(reached, tmp_path):
    result, _ = reached
    config = dataclasses.replace(LONG, target=0.8)
    fit(classifier(), SOURCE, SOURCE, config, tmp_path)
    before = (tmp_path / "log.jsonl").read_bytes()
    again = fit(classifier(), SOURCE, SOURCE, config, tmp_path, resume=True)
    assert (again.steps, again.stopped_early) == (result.steps, True)
    assert (tmp_path / "log.jsonl").read_bytes() == before
    higher = dataclasses.replace(config, steps=result.steps + 8, target=1.0)
    on = fit(classifier(), SOURCE, SOURCE, higher, tmp_path, resume=True)
    assert on.steps == result.steps + 8


def test_the_target_is_a_loss_if_the_best_is_the_lowest_loss(tmp_path):
    config = dataclasses.replace(LONG, best="loss", target=0.6)
    result = fit(classifier(), SOURCE, SOURCE, config, tmp_path)
    losses = [line["validation_loss"] for line in read_log(tmp_path) if "validation_loss" in line]
    assert result.stopped_early
    assert losses[-1] <= 0.6 < min(losses[:-1])


@pytest.mark.parametrize("target", [0.0, 1.01, -0.5, math.nan])
def test_a_target_that_no_accuracy_can_be_is_refused(target):
    with pytest.raises(ValueError, match=r"`target` is .*; it must be above 0 and at most 1, or None"):
        TrainingConfig(steps=1, target=target)


def test_a_target_of_the_loss_may_be_above_1_but_not_0():
    assert TrainingConfig(steps=1, best="loss", target=1.5).target == 1.5
    with pytest.raises(ValueError, match=r"`target` is 0.0; it must be above 0, or None"):
        TrainingConfig(steps=1, best="loss", target=0.0)
