"""The psychometric fit against another optimiser, known parameters, and the promise of its intervals."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.stats import norm

from neurocircuit.analysis.psychometric import count_answers, cumulative_gaussian, fit_psychometric

LEVELS = np.array([-0.5, -0.2, -0.1, -0.05, 0.05, 0.1, 0.2, 0.5])


def drawn(rng, bias, threshold, lapse, trials=200):
    evidence = np.repeat(LEVELS, trials)
    return evidence, rng.random(len(evidence)) < cumulative_gaussian(evidence, bias, threshold, lapse)


@settings(deadline=None, max_examples=25)
@given(st.floats(-0.2, 0.2), st.floats(0.03, 1), st.floats(0, 0.15), st.sampled_from([-1, 1]), st.integers(0, 10_000))
def test_no_other_optimiser_finds_a_larger_likelihood(bias, threshold, lapse, sign, seed):
    evidence, choices = drawn(np.random.default_rng(seed), bias, sign * threshold, lapse, trials=60)
    found = fit_psychometric(evidence, choices, resamples=1)
    level, positive, trials = count_answers(evidence, choices)

    def loss(x):
        p = np.clip(x[2] + (1 - 2 * x[2]) * norm.cdf(x[0] + x[1] * level), 1e-12, 1 - 1e-12)
        return -(positive * np.log(p) + (trials - positive) * np.log1p(-p)).sum()

    starts = [(0, sign * slope, start) for slope in (2, 10, 30) for start in (0.01, 0.1)]
    bounds = [(-50, 50), (-80, 80), (0, 0.2)]
    best = min(minimize(loss, start, bounds=bounds).fun for start in starts)
    assert found.log_likelihood >= -best - 1e-5
    assert loss((found.intercept, found.slope, found.lapse)) == pytest.approx(-found.log_likelihood, abs=1e-6)


@pytest.mark.parametrize(("bias", "threshold", "lapse"), [(0.03, 0.1, 0.02), (0.0, 0.3, 0.0), (-0.05, 0.15, 0.08)])
def test_many_trials_give_back_the_parameters(rng, bias, threshold, lapse):
    found = fit_psychometric(*drawn(rng, bias, threshold, lapse, trials=20_000), resamples=200)
    assert found.bias == pytest.approx(bias, abs=0.01)
    assert found.threshold == pytest.approx(threshold, rel=0.05)
    assert found.lapse == pytest.approx(lapse, abs=0.01)
    assert found.slope == pytest.approx(1 / found.threshold)
    np.testing.assert_allclose(found.curve(LEVELS), cumulative_gaussian(LEVELS, bias, threshold, lapse), atol=0.01)
    for name, (low, high) in found.intervals.items():
        assert low <= getattr(found, name) <= high
        assert high - low < 0.5


def test_the_intervals_hold_what_they_promise(rng):
    truth, inside = (0.02, 0.12, 0.03), []
    for seed in range(100):
        found = fit_psychometric(*drawn(rng, *truth, trials=150), resamples=100, confidence=0.9, seed=seed)
        ends = [found.intervals[name] for name in ("bias", "threshold")]
        low, high = found.band(LEVELS)
        curve = cumulative_gaussian(LEVELS, *truth)
        inside.append(
            [*(a <= b <= c for b, (a, c) in zip(truth[:2], ends, strict=True)), *(low <= curve) & (curve <= high)]
        )
    coverage = np.mean(inside, axis=0)
    # Three standard errors of 100 draws at 0.9; at the ends the curve is so near 1 that some bands are narrow.
    assert (coverage[:2] > 0.8).all()
    assert (coverage[:2] < 0.99).all()
    assert coverage[2:].mean() > 0.8


def test_evidence_that_is_ignored_has_a_slope_around_zero(rng):
    evidence = np.repeat(LEVELS, 200)
    found = fit_psychometric(evidence, rng.random(len(evidence)) < 0.5, resamples=300)
    low, high = found.intervals["slope"]
    assert low < 0 < high
    assert high < 3
    reverse = fit_psychometric(*drawn(rng, 0.0, -0.1, 0.0), resamples=100)
    assert reverse.intervals["slope"][1] < 0
    assert reverse.threshold > 0


def test_a_step_stops_at_the_steepest_slope_that_can_be_told(rng):
    evidence = np.repeat(LEVELS, 20)
    found = fit_psychometric(evidence, evidence > 0)
    assert found.at_bound == ("slope",)
    assert found.threshold == pytest.approx(0.05 / 4)
    assert found.deviance == pytest.approx(0, abs=0.1)
    np.testing.assert_allclose(found.curve(LEVELS), LEVELS > 0, atol=1e-3)


def test_a_lapse_beyond_what_is_allowed_is_said(rng):
    found = fit_psychometric(*drawn(rng, 0.0, 0.05, 0.3), largest_lapse=0.1, resamples=10)
    assert "lapse" in found.at_bound
    none = fit_psychometric(*drawn(rng, 0.0, 0.05, 0.1), largest_lapse=0.0, resamples=10)
    assert (none.lapse, none.at_bound) == (0.0, ())


def test_a_flat_curve_has_no_bias():
    evidence, choices = np.array([-1.0, -1.0, 1.0, 1.0]), np.array([True, False, True, False])
    found = fit_psychometric(evidence, choices, resamples=50)
    assert abs(found.slope) < 1e-6
    np.testing.assert_allclose(found.curve(evidence), 0.5, atol=1e-6)


@pytest.mark.parametrize("positive", [True, False])
@pytest.mark.parametrize("largest_lapse", [0.0, 0.2])
def test_choices_that_are_all_alike_have_neither_bias_nor_intervals(positive, largest_lapse):
    evidence = np.repeat([-1.0, 1.0], 50)
    found = fit_psychometric(evidence, np.full(100, positive), largest_lapse=largest_lapse, resamples=20)
    assert found.at_bound == ("intercept",)
    assert np.isnan(found.bias)
    assert (found.threshold, found.slope, found.lapse, found.deviance) == (np.inf, 0, 0, 0)
    np.testing.assert_array_equal(found.curve(LEVELS), float(positive))
    assert all(np.isnan(ends).all() for ends in found.intervals.values())
    assert np.isnan(found.band(LEVELS)).all()


def test_a_single_other_choice_that_passes_for_a_lapse_gives_no_bias_far_away():
    evidence, choices = np.repeat([-1.0, 0.0, 1.0], 50), np.ones(150, dtype=bool)
    choices[70] = False
    found = fit_psychometric(evidence, choices, resamples=50)
    assert found.lapse == pytest.approx(1 / 150)
    assert np.isnan(found.bias)
    assert (found.threshold, found.slope) == (np.inf, 0)


def test_resamples_that_are_all_alike_have_no_bias_in_the_intervals():
    evidence, choices = np.repeat([-1.0, 1.0], 50), np.ones(100, dtype=bool)
    # Without lapses; every third resample misses the one other choice.
    choices[10] = False
    found = fit_psychometric(evidence, choices, largest_lapse=0.0, resamples=200)
    alike = np.isinf(found.samples[:, 0])
    assert 0.25 < alike.mean() < 0.5
    assert not found.samples[alike, 1:].any()
    assert -3 < found.intervals["bias"][0] < found.intervals["bias"][1] < -1


def test_the_same_seed_gives_the_same_intervals(rng):
    trials = drawn(rng, 0.0, 0.1, 0.02, trials=30)
    first, again, other = (fit_psychometric(*trials, resamples=40, seed=seed) for seed in (1, 1, 2))
    assert first.intervals == again.intervals
    assert first.intervals != other.intervals
    assert {"bias", "slope_low", "threshold_high", "deviance", "trials"} <= first.row().keys()
    assert first.row()["trials"] == 240


@pytest.mark.parametrize(
    ("evidence", "choices", "options", "message"),
    [
        ([0.1, 0.2], [1, 0], {}, "one bool a trial"),
        ([0.1, np.nan], [True, False], {}, "must be finite"),
        ([0.1], [True, False], {}, "`evidence` has the shape"),
        ([0.1, 0.1], [True, False], {}, "1 different levels; at least 2"),
        ([0.1, 0.2], [True, False], {"largest_lapse": 0.5}, "`largest_lapse` is 0.5"),
        ([0.1, 0.2], [True, False], {"resamples": 0}, "`resamples` 0"),
        ([0.1, 0.2], [True, False], {"confidence": 1.0}, "`confidence` 1.0"),
    ],
)
def test_wrong_trials_are_refused(evidence, choices, options, message):
    with pytest.raises(ValueError, match=message):
        fit_psychometric(np.array(evidence), np.array(choices), **options)
