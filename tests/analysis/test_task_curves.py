"""Curves of a network on a task: what the evidence is, what bounds them, and what an ideal network gives."""

import numpy as np
import pytest

from neurocircuit.analysis.task_curves import TEST_COHERENCES, curve_trials, evidence_series, task_curves
from neurocircuit.tasks import ContextIntegration, MultisensoryIntegration, Scores, make_task

WITH_EVIDENCE = ("mante", "perceptual", "perceptual_variable", "perceptual_reaction_time", "multisensory", "memory")


def answered(trials, choice, time=100.0):
    return Scores(choice, choice == trials.conditions["choice"], np.full(trials.n_trials, time))


def integrator(task, trials):
    """Answer by the sum of the evidence that counts: what the best network could do."""
    motion, colour = (trials.inputs[..., trials.input_names.index(name)].sum(1) for name in ("motion", "colour"))
    return np.sign(np.where(trials.conditions["context"] == 0, motion, colour)).astype(int)


@pytest.mark.parametrize("name", WITH_EVIDENCE)
def test_the_sign_of_the_evidence_that_counts_is_the_right_choice(name):
    task = make_task(name)
    trials = curve_trials(task, 200, 0, task.step)
    series = evidence_series(task, trials)
    counted = np.zeros(200, int)
    for one in series:
        if one.counts:
            np.testing.assert_array_equal(np.sign(one.evidence[one.shown]), trials.conditions["choice"][one.shown])
            counted += one.shown
    assert (counted == 1).all()
    assert len({one.label for one in series}) == len(series)


@pytest.mark.parametrize("name", ["gonogo", "dmts"])
def test_a_task_without_graded_evidence_has_no_curves(name):
    task = make_task(name)
    trials = curve_trials(task, 20, 0, task.step)
    found = task_curves(task, trials, answered(trials, trials.conditions["choice"]))
    assert (dict(found.psychometric), dict(found.chronometric), found.ideal) == ({}, {}, ())


def test_context_integration_is_tested_at_weak_coherences_also_in_the_tutorials_form():
    trials = curve_trials(make_task("mante", "tutorial"), 500, 3, 1.0)
    for modality in ("motion", "colour"):
        assert set(trials.conditions[f"coherence_{modality}"]) == set(TEST_COHERENCES)


def test_an_ideal_integrator_follows_what_counts_ignores_the_rest_and_reaches_the_bound():
    task = make_task("mante", "tutorial")
    trials = curve_trials(task, 4000, 1, 1.0)
    curves = task_curves(task, trials, answered(trials, integrator(task, trials)), resamples=200)
    slopes = {label: fit.intervals["slope"] for label, fit in curves.psychometric.items()}
    for modality in ("motion", "colour"):
        other = "colour" if modality == "motion" else "motion"
        # Evidence c over 200 samples of deviation 1: Phi(c*sqrt(200)).
        low, high = slopes[f"{modality}, {modality} counts"]
        assert low < np.sqrt(200) < high
        low, high = slopes[f"{modality}, {other} counts"]
        assert max(abs(low), abs(high)) < 1
    accuracy, ideal = (np.array([row[name] for row in curves.ideal]) for name in ("accuracy", "ideal"))
    np.testing.assert_allclose(accuracy, ideal, atol=0.06)


def test_a_network_that_knows_the_answer_is_found_above_the_ideal():
    task = make_task("mante", "tutorial")
    trials = curve_trials(task, 2000, 1, 1.0)
    curves = task_curves(task, trials, answered(trials, trials.conditions["choice"]), resamples=20)
    assert {row["level"] for row in curves.ideal if row["above"]} >= {0.05, 0.1}


def test_both_senses_allow_more_than_one():
    task = MultisensoryIntegration()
    series = {one.label: one for one in evidence_series(task, curve_trials(task, 90, 0, task.step))}
    one, both = (series[name].ideal(np.array([0.5, 1.5])) for name in ("visual", "both"))
    assert (both > one).all()
    assert (one > 0.5).all()


def test_a_random_stimulus_is_bounded_by_its_longest():
    fixed, variable = make_task("perceptual", stimulus=1500.0), make_task("perceptual_variable")
    levels = np.array([0.032, 0.128])
    bounds = [evidence_series(task, curve_trials(task, 5, 0, 10.0))[0].ideal(levels) for task in (fixed, variable)]
    np.testing.assert_allclose(*bounds, rtol=1e-12)


def test_a_network_that_never_answers_has_no_psychometric_curve():
    task = ContextIntegration()
    trials = curve_trials(task, 200, 0, task.step)
    curves = task_curves(task, trials, answered(trials, np.zeros(200, int), np.nan), resamples=5)
    assert dict(curves.psychometric) == {}
    assert all(row["accuracy"] == 0 for row in curves.ideal)


def test_the_same_seed_draws_the_same_trials():
    task = make_task("perceptual")
    first, again, other = (curve_trials(task, 5, seed, task.step).inputs for seed in (4, 4, 5))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
