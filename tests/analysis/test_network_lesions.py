"""Lesions take away what they should, and their controls are matched."""

import numpy as np
import pytest

from neurocircuit.analysis.exact_networks import GROUPS, context_integrator
from neurocircuit.analysis.lesions import (
    lesion_table,
    matched_units,
    perturbation_table,
    projection_lesions,
    score_network,
)
from neurocircuit.circuits.perturbation import Lesion, Pulse
from neurocircuit.networks import run_network
from neurocircuit.tasks import make_task

TASK = make_task("mante", stimulus=200.0, delay=100.0)
PER_GROUP = 2


@pytest.fixture(scope="module")
def network():
    return context_integrator(TASK, per_group=PER_GROUP)


@pytest.fixture(scope="module")
def trials():
    strong = np.random.default_rng(0).choice([-0.5, 0.5], (2, 120))
    return TASK.sample(120, 1, coherence_motion=strong[0], coherence_colour=strong[1])


def group(name):
    return PER_GROUP * GROUPS.index(name) + np.arange(PER_GROUP)


def test_without_units_only_the_constant_of_the_readout_is_left(network, trials):
    shifted = network.replace(output_bias=[0.25])
    outputs = run_network(shifted, trials.inputs, perturbations=(Lesion.of_units(None),)).outputs
    np.testing.assert_array_equal(outputs, 0.25)
    scores = score_network(shifted, TASK, trials, (Lesion.of_units(None),))
    assert (scores.choice == 1).all()
    assert scores.accuracy == (trials.conditions["choice"] == 1).mean()


def test_the_score_is_that_of_all_trials_in_one_run(network, trials):
    found = score_network(network, TASK, trials)
    whole = TASK.score(run_network(network, trials.inputs).outputs, trials)
    np.testing.assert_array_equal(found.choice, whole.choice)
    assert found.accuracy > 0.95


def test_lesions_of_the_gates_of_a_stimulus_hurt_its_context_only(network, trials):
    gates = np.concatenate([group("motion_plus"), group("motion_minus")])
    scores = score_network(network, TASK, trials, (Lesion.of_units(gates),))
    motion = trials.conditions["context"] == 0
    assert scores.correct[~motion].mean() > 0.95
    # Nothing of the stimulus is integrated.
    assert scores.correct[motion].mean() < 0.6


def test_a_lesion_after_the_stimulus_leaves_the_choice(network, trials):
    gates = np.concatenate([group(name) for name in GROUPS[:4]])
    early, late = (
        score_network(network, TASK, trials, (Lesion.of_units(gates, start, stop),)).accuracy
        for start, stop in ((0.0, np.inf), (trials.epochs["stimulus"].max() + 200, np.inf))
    )
    assert early == 0
    assert late > 0.95


def test_a_pulse_into_one_pool_makes_its_choice(network, trials):
    rows = perturbation_table(
        network,
        TASK,
        trials,
        {
            "pulse": Pulse(group("integrator_plus"), 2.0, 200.0, 400.0),
            "both": [Pulse(group("integrator_plus"), 2.0), Pulse(group("integrator_minus"), 2.0)],
        },
    )
    assert [row["perturbation"] for row in rows] == ["none", "pulse", "both"]
    accuracy = {row["perturbation"]: row["accuracy"] for row in rows}
    assert accuracy["pulse"] == pytest.approx((trials.conditions["choice"] == 1).mean(), abs=0.05)
    assert accuracy["both"] > 0.95
    assert all(row["low"] <= row["accuracy"] <= row["high"] for row in rows)


def test_the_four_projections_are_cut_as_named(network):
    found = projection_lesions(network, 10.0, 20.0)
    excitatory = network.excitatory
    for name, lesion in found.items():
        pre, post = (excitatory if kind == "E" else ~excitatory for kind in name.split("->"))
        np.testing.assert_array_equal(~lesion.keep(network.n_units), np.outer(post, pre))
        assert (lesion.start, lesion.stop, lesion.readout) == (10, 20, False)
    assert sum((~lesion.keep(network.n_units)).sum() for lesion in found.values()) == network.n_units**2


def test_controls_match_in_number_and_kind_and_are_other_units(network, rng):
    units = np.concatenate([group("motion_plus"), group("inhibitor_plus")[:1]])
    drawn = np.array([matched_units(network, units, rng) for _ in range(50)])
    assert not drawn[:, units].any()
    assert (drawn[:, network.excitatory].sum(axis=1) == PER_GROUP).all()
    assert (drawn[:, ~network.excitatory].sum(axis=1) == 1).all()
    others = np.setdiff1d(np.arange(network.n_units), units)
    assert drawn[:, others].any(axis=0).all()
    np.testing.assert_array_equal(matched_units(network, units, 3), matched_units(network, units, 3))
    free = matched_units(network.replace(excitatory=None), units, 3)
    assert free.sum() == 3
    with pytest.raises(ValueError, match="3 units of one kind and only 1 are left"):
        matched_units(network, np.flatnonzero(~network.excitatory)[:3])


def test_the_table_has_every_group_with_its_controls(network, trials):
    few = trials.select(np.arange(40))
    groups = {"gate": group("motion_plus"), "inhibitory": ~network.excitatory}
    rows = lesion_table(network, TASK, few, groups, controls=3, seed=1)
    assert [row["group"] for row in rows] == ["none", "gate", "inhibitory"]
    assert [(row["units"], row["inhibitory"]) for row in rows] == [
        (0, 0),
        (PER_GROUP, 0),
        (2 * PER_GROUP, 2 * PER_GROUP),
    ]
    assert rows[0]["accuracy"] == score_network(network, TASK, few).accuracy
    assert rows[1]["accuracy"] == score_network(network, TASK, few, (Lesion.of_units(groups["gate"]),)).accuracy
    # A whole population has no other units to compare with.
    assert [np.isnan(row["control"]) for row in rows] == [True, False, True]
    sets = np.random.default_rng(1)
    expected = [
        score_network(network, TASK, few, (Lesion.of_units(matched_units(network, groups["gate"], sets)),)).accuracy
        for _ in range(3)
    ]
    assert rows[1]["control"] == pytest.approx(np.mean(expected))
    assert rows[1]["control_sd"] == pytest.approx(np.std(expected))


def test_networks_and_trials_that_do_not_fit_are_refused(network, trials):
    other = make_task("gonogo")
    with pytest.raises(ValueError, match="`network` has 5 inputs and 1 outputs; the task gonogo has"):
        score_network(network, other, other.sample(2, 0))
    with pytest.raises(ValueError, match=r"`trials` have a step of 5 ms and `network` was trained with 10 ms"):
        score_network(network, TASK, TASK.sample(2, 0, 5.0))
    with pytest.raises(ValueError, match="`controls` is -1"):
        lesion_table(network, TASK, trials, {}, controls=-1)
    with pytest.raises(ValueError, match="no excitatory and inhibitory units"):
        projection_lesions(network.replace(excitatory=None))
    with pytest.raises(ValueError, match="`groups`"):
        lesion_table(network, TASK, trials.select(np.arange(3)), {"far": [999]})
