"""The claims of Mante et al. (2013) are exact in a network made for them, and absent in one that is not."""

import numpy as np
import pytest
import torch

from neurocircuit.analysis.context import (
    CONTEXTS,
    context_dynamics,
    context_psychometrics,
    context_rows,
    direction_similarity,
)
from neurocircuit.analysis.exact_networks import GROUPS, context_integrator, rank_one_network
from neurocircuit.analysis.fixed_points import rate_of_change
from neurocircuit.analysis.lesions import score_network
from neurocircuit.tasks import make_task

TASK = make_task("mante")
QUICK = {"trials": 10, "starts": 8, "iterations": 50}


@pytest.fixture(scope="module")
def found():
    return context_dynamics(context_integrator(TASK, per_group=2), TASK, **QUICK)


def test_either_context_has_a_line_of_fixed_points_along_the_difference_of_the_pools(found):
    network = context_integrator(TASK, per_group=2)
    sign = np.repeat([{"plus": 1, "minus": -1}[name.split("_")[1]] for name in GROUPS], 2)
    integrating = np.repeat([name.startswith(("integrator", "inhibitor")) for name in GROUPS], 2)
    line = sign * integrating / np.sqrt(integrating.sum())
    for one in found.values():
        assert set(one.found["kind"].values) == {"fixed"}
        assert one.integrating.all()
        assert len(one.integrating) == 8
        assert one.line_share == pytest.approx(1)
        np.testing.assert_allclose(np.abs(one.line.direction @ line), 1, atol=1e-9)
        np.testing.assert_allclose(one.line.eigenvalues, 0, atol=1e-12)
        # All other modes decay.
        assert (one.linear.eigenvalues[:, 1:].real < -0.01 / network.tau[0]).all()
    assert direction_similarity(found) == pytest.approx(1)


def test_the_selection_vector_takes_the_relevant_stimulus_only(found):
    for value, context in enumerate(CONTEXTS):
        one = found[context]
        own, other = (TASK.input_names.index(name) for name in (context, CONTEXTS[1 - value]))
        np.testing.assert_allclose(one.irrelevant, 0, atol=1e-12)
        assert (one.relevant > 0.05).all()
        assert (np.abs(one.line.input_gain[:, own]) > 1e-4).all()
        np.testing.assert_allclose(one.line.input_gain[:, other], 0, atol=1e-12)
        # The cue itself does not push along the line.
        np.testing.assert_allclose(one.line.input_gain[:, TASK.input_names.index(f"context_{context}")], 0, atol=1e-12)


def test_the_rows_sum_the_starts_up(found):
    for row in context_rows(found):
        assert row["fixed"] + row["slow"] + row["none"] == 8
        assert row["points"] == row["integrating"] == 8
        assert row["time_constant"] > 1e6
        assert row["next_time_constant"] < 100
        assert row["others_growing"] == 0
        assert row["irrelevant"] < 1e-9 < row["relevant"]


def test_a_network_that_integrates_nothing_has_no_line():
    network = context_integrator(TASK, per_group=2)
    weak = network.replace(weights=0.5 * network.weights)
    found = context_dynamics(weak, TASK, **QUICK)
    for row in context_rows(found):
        assert (row["integrating"], row["points"]) == (0, 1)
        assert np.isnan(row["relevant"])
        assert row["others_growing"] == -1
        assert np.isnan(row["line_share"])
    assert np.isnan(direction_similarity(found))


def test_a_network_that_comes_to_rest_nowhere_has_no_points():
    network = context_integrator(TASK, per_group=1)
    growing = network.replace(
        weights=2 * np.eye(8), bias=np.ones(8), tau=1000.0, excitatory=None, input_weights=0 * network.input_weights
    )
    found = context_dynamics(growing, TASK, trials=4, starts=4, iterations=5)
    for row in context_rows(found):
        assert (row["none"], row["points"], row["integrating"], row["others_growing"]) == (4, 0, 0, -1)
        assert np.isnan([row["line_share"], row["relevant"], row["time_constant"]]).all()
    assert np.isnan(direction_similarity(found))


def test_the_choice_follows_the_cued_stimulus():
    trials = TASK.sample(600, 3)
    scores = score_network(context_integrator(TASK, per_group=1), TASK, trials)
    assert scores.correct[trials.conditions["incongruent"]].mean() > 0.95
    fits = context_psychometrics(trials, scores, resamples=200)
    assert list(fits) == [(context, stimulus) for context in CONTEXTS for stimulus in CONTEXTS]
    for (context, stimulus), fit in fits.items():
        low, high = fit.intervals["slope"]
        assert fit.trials.sum() == (trials.conditions["context"] == CONTEXTS.index(context)).sum()
        if context == stimulus:
            assert low > 10
        else:
            assert low < 0 < high


@pytest.mark.parametrize("size", [1, 3])
def test_the_network_made_by_hand_obeys_dales_law_and_starts_at_rest(size):
    network = context_integrator(TASK, per_group=size)
    assert network.n_units == 8 * size
    assert network.excitatory.sum() == 6 * size
    # At its start and without any input only the integrating pools are on, and stay.
    change = rate_of_change(network)(torch.as_tensor(network.start), torch.zeros(5, dtype=torch.float64))
    integrating = np.repeat([name.startswith(("integrator", "inhibitor")) for name in GROUPS], size)
    np.testing.assert_allclose(change.numpy()[integrating], 0, atol=1e-12)


def test_wrong_arguments_are_refused():
    with pytest.raises(ValueError, match="`network` has 1 inputs and 1 outputs; the task mante has 5"):
        context_dynamics(rank_one_network(5).network, TASK)
    mixed = context_integrator(TASK).replace(input_names=TASK.input_names[::-1])
    with pytest.raises(ValueError, match=r"`network` has the input_names context_colour, .*; the task mante has fix"):
        context_dynamics(mixed, TASK)
    with pytest.raises(ValueError, match="`per_group` is 0"):
        context_integrator(TASK, per_group=0)
    with pytest.raises(ValueError, match="`n_units` is 1"):
        rank_one_network(1)
    with pytest.raises(ValueError, match=r"`strength` 1\.0"):
        rank_one_network(10, 1.0)
    other = make_task("gonogo")
    trials = other.sample(3, 0)
    with pytest.raises(ValueError, match="`trials` are of the task 'gonogo'"):
        context_psychometrics(trials, other.score(trials.targets, trials))
