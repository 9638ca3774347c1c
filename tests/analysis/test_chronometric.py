"""Reaction times by the strength of the evidence, and accuracies beside the ideal observer's."""

import numpy as np
import pytest

from neurocircuit.analysis.chronometric import above_ideal, chronometric
from neurocircuit.tasks import ideal_accuracy, make_task


def test_means_are_those_of_right_and_wrong_trials_of_either_sign(rng):
    evidence = rng.choice([-0.5, -0.1, 0.1, 0.5], 400)
    correct = rng.random(400) < 0.8
    times = 300 - 200 * np.abs(evidence) + 20 * rng.standard_normal(400)
    times[::10] = np.nan
    found = chronometric(evidence, times, correct, seed=1)
    assert found.level.values.tolist() == [0.1, 0.5]
    for answer, chosen in (("correct", correct), ("wrong", ~correct)):
        for level in (0.1, 0.5):
            own = times[chosen & (np.abs(evidence) == level) & ~np.isnan(times)]
            one = found.sel(answer=answer, level=level)
            assert one.reaction_time.item() == pytest.approx(own.mean())
            assert one.n_trials == len(own)
            # A bootstrap interval of a mean is about two standard errors wide to either side.
            width = (one.high - one.low).item() / (2 * 1.96 * own.std() / np.sqrt(len(own)))
            assert 0.75 < width < 1.25
            assert one.low < one.reaction_time < one.high
    assert found.n_missing.sum() == 40


def test_a_level_without_trials_of_a_kind_is_nan_and_the_rest_is_not():
    found = chronometric([0.1, 0.1, -0.5], [100.0, 200.0, np.nan], np.array([True, True, False]))
    np.testing.assert_array_equal(found.reaction_time, [[150, np.nan], [np.nan, np.nan]])
    assert found.n_missing.values.tolist() == [0, 1]


def test_only_an_accuracy_that_is_surely_above_the_ideal_is_called_so(rng):
    task = make_task("mante", stimulus=100.0)
    evidence = rng.choice([-0.05, -0.15, 0.05, 0.15], 2000)

    def ideal(level):
        return ideal_accuracy(task, level)

    fair = above_ideal(evidence, rng.random(2000) < ideal(np.abs(evidence)), ideal)
    assert [row["above"] for row in fair] == [False, False]
    for row in fair:
        assert row["ideal"] == pytest.approx(float(ideal(row["level"])))
        assert row["low"] < row["accuracy"] < row["high"]
        assert row["trials"] == (np.abs(evidence) == row["level"]).sum()
    leak = above_ideal(evidence, np.ones(2000, dtype=bool), ideal)
    assert [row["above"] for row in leak] == [True, True]


@pytest.mark.parametrize(
    ("evidence", "times", "correct", "options", "message"),
    [
        ([0.1], [1.0, 2.0], [True], {}, "`reaction_times` has the shape"),
        ([0.1], [np.inf], [True], {}, "finite or NaN"),
        ([0.1], [1.0], [1], {}, "one bool a trial"),
        ([np.nan], [1.0], [True], {}, "must be finite"),
        ([0.1], [1.0], [True], {"resamples": 0}, "`resamples` is 0"),
        ([], [], [], {}, "of float64|different levels"),
    ],
)
def test_wrong_trials_are_refused(evidence, times, correct, options, message):
    with pytest.raises(ValueError, match=message):
        chronometric(evidence, times, np.array(correct), **options)
