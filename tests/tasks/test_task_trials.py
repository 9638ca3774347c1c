import math
from dataclasses import replace

import numpy as np
import pytest
import xarray as xr

from neurocircuit.simulation.result import write_netcdf
from neurocircuit.tasks import TASKS, Scores, Trials, make_task


@pytest.fixture
def trials():
    """Three trials of five steps of 10 ms."""
    return Trials(
        inputs=np.arange(30.0).reshape(3, 5, 2),
        targets=np.ones((3, 5, 1)),
        mask=np.ones((3, 5)),
        conditions={"choice": np.array([1, -1, 1]), "coherence": np.array([0.1, -0.1, 0.2])},
        epochs={"fixation": np.array([[0, 20.0]] * 3), "response": np.array([[20.0, 50], [20, 40], [30, 50]])},
        step=10.0,
        input_names=("a", "b"),
        output_names=("choice",),
        task="made up",
    )


def test_sizes_times_and_epochs(trials):
    assert (trials.n_trials, trials.n_steps) == (3, 5)
    np.testing.assert_array_equal(trials.time, [0, 10, 20, 30, 40])
    assert trials.inputs.dtype == np.float32
    np.testing.assert_array_equal(
        trials.during("response"), np.array([[0, 0, 1, 1, 1], [0, 0, 1, 1, 0], [0, 0, 0, 1, 1]], bool)
    )
    np.testing.assert_array_equal(trials.during("response", 10.0).sum(1), [2, 1, 1])
    graced = replace(trials, grace=10.0)
    np.testing.assert_array_equal(graced.scored("response"), trials.during("response", 10.0))
    with pytest.raises(ValueError, match="no step of epoch 'response' is left after the grace of 20 ms in 2 of 3"):
        replace(trials, grace=20.0).scored("response")
    with pytest.raises(ValueError, match="`epoch` is 'delay'; the epochs of made up are fixation, response"):
        trials.during("delay")


@pytest.mark.parametrize("index", [[2, 0], slice(0, 2), np.array([True, False, True])])
def test_selected_trials_keep_what_belongs_to_them(trials, index):
    rows = np.arange(3)[index]
    chosen = trials.select(index)
    np.testing.assert_array_equal(chosen.inputs, trials.inputs[rows])
    np.testing.assert_array_equal(chosen.conditions["coherence"], trials.conditions["coherence"][rows])
    np.testing.assert_array_equal(chosen.epochs["response"], trials.epochs["response"][rows])


def test_a_selection_that_drops_the_trial_axis_or_every_trial_is_refused(trials):
    with pytest.raises(ValueError, match="must keep the trial axis"):
        trials.select(1)
    with pytest.raises(ValueError, match="at least one trial"):
        trials.select([])


@pytest.mark.parametrize("name", sorted(TASKS))
def test_data_set_survives_a_file(name, tmp_path):
    trials = make_task(name).sample(4, 0)
    read = xr.load_dataset(write_netcdf(trials.to_dataset(), tmp_path / "trials.nc"))
    assert read.inputs.dims == ("trial", "time", "input")
    assert tuple(read.input.values) == trials.input_names
    np.testing.assert_array_equal(read.inputs, trials.inputs)
    np.testing.assert_array_equal(read.choice, trials.conditions["choice"])
    response = make_task(name).response_epoch
    np.testing.assert_array_equal(read.epoch_times.sel(epoch=response), trials.epochs[response])
    assert read.attrs["task"] == name
    assert read.attrs["grace_ms"] == trials.grace == 100.0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"targets": np.ones((3, 4, 1))}, r"`targets` has shape \(3, 4, 1\).*\(3, 5, 1\)"),
        ({"mask": np.ones((3, 5, 1))}, r"`mask` has shape"),
        ({"inputs": np.ones((3, 5))}, r"must be \(trial, time, input\)"),
        ({"input_names": ("a",)}, "`inputs` has shape"),
        ({"inputs": np.full((3, 5, 2), np.nan)}, "`inputs` holds 30 numbers that are not finite"),
        ({"targets": np.full((3, 5, 1), np.inf)}, "`targets` holds 15"),
        ({"conditions": {"choice": np.ones(2)}}, "conditions.*has shape"),
        ({"conditions": {"choice": np.array([1, np.nan, 1])}}, "conditions.*not finite"),
        ({"step": 0.0}, "`step` is 0.0 ms"),
        ({"grace": -10.0}, "`grace` is -10.0 ms; it must be finite and at least 0"),
        ({"grace": np.nan}, "`grace` is nan ms"),
        ({"step": np.nan}, "`step` is nan ms"),
    ],
)
def test_inconsistent_trials_are_refused(trials, change, message):
    with pytest.raises(ValueError, match=message):
        replace(trials, **change)


@pytest.mark.parametrize(
    ("fixation", "response", "message"),
    [
        (
            (0, 20),
            (10, 50),
            "'response'.*starts at 10 ms in trial 0 and overlaps epoch 'fixation', which stops at 20",
        ),
        ((-10, 20), (20, 50), "'fixation'.*overlaps the start of the trial"),
        ((0, 20), (20, 60), "epoch 'response' stops at 60 ms in trial 0, after the trial's end at 50 ms"),
        ((20, 10), (20, 50), "'fixation'.*stops before it starts"),
        ((0, np.nan), (20, 50), "'fixation'.*not finite"),
    ],
)
def test_epochs_that_overlap_or_exceed_the_trial_are_refused(trials, fixation, response, message):
    with pytest.raises(ValueError, match=message):
        replace(trials, epochs={"fixation": np.array([fixation] * 3), "response": np.array([response] * 3)})


def test_scores_by_condition(trials):
    scores = Scores(np.array([1, 1, 1]), np.array([True, False, True]), np.array([10.0, math.nan, 20.0]))
    assert scores.accuracy == pytest.approx(2 / 3)
    (overall,) = scores.by(trials)
    assert overall["n"] == 3
    assert overall["reaction_time"] == 15.0
    assert overall["low"] < overall["accuracy"] < overall["high"]
    wrong, right = scores.by(trials, "choice")
    assert (wrong["choice"], wrong["n"], wrong["accuracy"]) == (-1, 1, 0.0)
    assert math.isnan(wrong["reaction_time"])
    assert (right["choice"], right["n"], right["accuracy"], right["reaction_time"]) == (1, 2, 1.0, 15.0)
    rows = scores.by(trials, "choice", "coherence")
    assert [(row["choice"], row["coherence"]) for row in rows] == [(-1, -0.1), (1, 0.1), (1, 0.2)]
    with pytest.raises(ValueError, match="`names` has context; the conditions of made up are choice, coherence"):
        scores.by(trials, "context")
    with pytest.raises(ValueError, match="`trials` holds 2 trials, but 3 were scored"):
        scores.by(trials.select([0, 1]))
