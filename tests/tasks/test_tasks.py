"""What holds for every task, whatever the number of trials, the step and the seed."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neurocircuit.tasks import TASKS, OneOf, ReactionTimeDecision, Uniform, make_task

NAMES = sorted(TASKS)
TWO_CHOICES = [name for name in NAMES if name != "gonogo"]
every_task = pytest.mark.parametrize("name", NAMES)
some_trials = given(n=st.integers(1, 12), step=st.sampled_from([5.0, 10.0, 20.0]), seed=st.integers(0, 2**32))


def in_epoch(trials, epoch):
    start, stop = (trials.epochs[epoch] / trials.step).round().astype(int).T
    return np.array([[a <= k < b for k in range(trials.n_steps)] for a, b in zip(start, stop, strict=True)])


@every_task
@some_trials
@settings(max_examples=15)
def test_trials_have_the_promised_shapes_epochs_and_mask(name, n, step, seed):
    task = make_task(name)
    trials = task.sample(n, seed, step)
    assert trials.inputs.shape == (n, trials.n_steps, task.n_inputs)
    assert trials.targets.shape == (n, trials.n_steps, task.n_outputs)
    assert {array.dtype for array in (trials.inputs, trials.targets, trials.mask)} == {np.dtype(np.float32)}
    assert list(trials.epochs) == list(task.durations)
    end = np.zeros(n)
    for times in trials.epochs.values():
        np.testing.assert_array_equal(times[:, 0], end)
        assert (times[:, 1] > times[:, 0]).all()
        end = times[:, 1]
    assert end.max() <= trials.n_steps * step
    after = trials.time >= end[:, None] - 1e-6
    assert not trials.mask[after].any()
    assert not trials.inputs[after].any()
    response = in_epoch(trials, task.response_epoch)
    counted = in_epoch(trials, task.response_epoch) & (
        trials.time >= trials.epochs[task.response_epoch][:, :1] + task.grace
    )
    np.testing.assert_array_equal(trials.mask == 1, ~after & (~response | counted))
    choice = trials.conditions["choice"][:, None]
    np.testing.assert_array_equal(trials.targets[..., 0], np.where(response, choice, 0))


@every_task
@some_trials
@settings(max_examples=15)
def test_the_fixation_cue_ends_where_the_response_begins(name, n, step, seed):
    trials = make_task(name).sample(n, seed, step)
    go = trials.epochs[make_task(name).response_epoch][:, :1]
    np.testing.assert_array_equal(trials.inputs[..., 0], trials.time < go - 1e-6)


@every_task
@some_trials
@settings(max_examples=10)
def test_targets_score_1_and_reversed_targets_do_not(name, n, step, seed):
    task = make_task(name)
    trials = task.sample(n, seed, step)
    right = task.score(trials.targets, trials)
    assert right.accuracy == 1.0
    np.testing.assert_array_equal(right.choice, trials.conditions["choice"])
    np.testing.assert_array_equal(right.reaction_time, np.where(trials.conditions["choice"] == 0, np.nan, step))
    reversed_answers = task.score(-trials.targets, trials)
    np.testing.assert_array_equal(reversed_answers.correct, trials.conditions["choice"] == 0)


@every_task
@some_trials
@settings(max_examples=10)
def test_the_same_seed_gives_the_same_bytes(name, n, step, seed):
    task = make_task(name)
    one, other = task.sample(n, seed, step), task.sample(n, np.random.default_rng(seed), step)
    assert one.inputs.tobytes() == other.inputs.tobytes()
    assert one.targets.tobytes() == other.targets.tobytes()
    for column in one.conditions:
        np.testing.assert_array_equal(one.conditions[column], other.conditions[column])
    assert task.sample(n, seed + 1, step).inputs.tobytes() != one.inputs.tobytes()


@pytest.mark.parametrize("name", [name for name in NAMES if name != "memory"])
@given(seed=st.integers(0, 2**32), data=st.data())
@settings(max_examples=10)
def test_a_condition_that_is_given_is_fixed_and_the_others_stay_as_they_were(name, seed, data):
    task = make_task(name)
    fixed = data.draw(st.sampled_from(task.condition_names))
    value = data.draw(st.sampled_from(task.conditions[fixed].values))
    free, given_ = task.sample(9, seed), task.sample(9, seed, **{fixed: value})
    assert (given_.conditions[fixed] == value).all()
    for other in task.condition_names:
        if other != fixed:
            np.testing.assert_array_equal(given_.conditions[other], free.conditions[other])
    np.testing.assert_array_equal(list(given_.epochs.values()), list(free.epochs.values()))
    column = free.conditions[fixed]
    again = task.sample(9, seed, **{fixed: column})
    assert again.inputs.tobytes() == free.inputs.tobytes()


@every_task
def test_conditions_and_choices_are_balanced(name):
    task = make_task(name)
    n = 6000
    trials = task.sample(n, 4)
    for column, condition in task.conditions.items():
        if name == "memory":
            continue
        for value in condition.values:
            p = 1 / len(condition.values)
            count = (trials.conditions[column] == value).sum()
            assert abs(count - n * p) < 5 * np.sqrt(n * p * (1 - p))
    values, counts = np.unique(trials.conditions["choice"], return_counts=True)
    assert tuple(values) == task.choices
    assert (abs(counts - n / 2) < 5 * np.sqrt(n / 4)).all()


@every_task
def test_a_network_that_always_answers_the_same_is_at_chance_or_below(name):
    task = make_task(name)
    trials = task.sample(2000, 1)
    for constant in (-1.0, 0.0, 1.0):
        assert task.score(np.full_like(trials.targets, constant), trials).accuracy < 0.56


@pytest.mark.parametrize("name", [name for name in NAMES if isinstance(make_task(name).fixation, Uniform)])
def test_random_epochs_differ_between_trials_and_reach_both_bounds(name):
    trials = make_task(name).sample(500, 0, 20.0)
    lengths = np.unique(np.diff(trials.epochs["fixation"]))
    np.testing.assert_allclose(lengths, np.arange(200, 401, 20))


def test_arrays_can_be_longer_than_the_trials():
    trials = make_task("dmts", length=5000.0).sample(3, 0)
    assert trials.n_steps == 500
    assert not trials.mask[:, 200:].any()


def test_the_duration_of_a_stimulus_can_be_drawn_from_a_list():
    trials = make_task("perceptual", stimulus=OneOf((200.0, 400.0, 1600.0))).sample(300, 0)
    values, counts = np.unique(np.diff(trials.epochs["stimulus"]), return_counts=True)
    np.testing.assert_array_equal(values, [200, 400, 1600])
    assert counts.min() > 60


def test_a_no_go_trial_has_a_stimulus_of_its_own_or_none():
    shown = make_task("gonogo", noise=0.0).sample(4, 0, go=[1, 0, 1, 0])
    assert shown.input_names == ("fixation", "go", "nogo")
    np.testing.assert_array_equal(shown.inputs[..., 1:].any(1), [[1, 0], [0, 1], [1, 0], [0, 1]])
    absent = make_task("gonogo", noise=0.0, nogo_stimulus=False).sample(2, 0, go=[1, 0])
    assert absent.input_names == ("fixation", "go")
    np.testing.assert_array_equal(absent.inputs[..., 1].any(1), [1, 0])


def test_sample_and_match_share_their_channels():
    trials = make_task("dmts", noise=0.0).sample(4, 0, first=[-1, -1, 1, 1], second=[-1, 1, -1, 1])
    np.testing.assert_array_equal(trials.conditions["match"], [True, False, False, True])
    for epoch, column in (("first", [0, 0, 1, 1]), ("second", [0, 1, 0, 1])):
        shown = np.array([trials.inputs[k, in_epoch(trials, epoch)[k], 1:].mean(0) for k in range(4)])
        np.testing.assert_array_equal(shown, np.eye(2)[column])


def test_context_says_which_modality_counts_and_whether_the_other_agrees():
    motion, colour = [0.5, -0.5, 0.5, 0.0, 0.5], [0.5, 0.5, -0.5, 0.5, 0.0]
    trials = make_task("mante").sample(5, 3, context=[0, 0, 1, 1, 0], coherence_motion=motion, coherence_colour=colour)
    np.testing.assert_array_equal(trials.conditions["choice"], [1, -1, -1, 1, 1])
    np.testing.assert_array_equal(trials.conditions["congruent"], [True, False, False, False, False])
    np.testing.assert_array_equal(trials.conditions["incongruent"], [False, True, True, False, False])
    context = trials.inputs[:, 0, [trials.input_names.index(f"context_{m}") for m in ("motion", "colour")]]
    np.testing.assert_array_equal(context, [[1, 0], [1, 0], [0, 1], [0, 1], [1, 0]])


@pytest.mark.parametrize(("name", "column"), [("perceptual", "coherence"), ("mante", "coherence_motion")])
def test_coherence_0_has_a_random_right_choice(name, column):
    given_ = {column: 0.0} | ({"context": 0} if name == "mante" else {})
    choice = make_task(name).sample(4000, 2, **given_).conditions["choice"]
    assert set(np.unique(choice)) == {-1, 1}
    assert abs(choice.mean()) < 5 / np.sqrt(4000)


def test_coherences_may_be_an_array():
    task = make_task("mante", coherences=np.linspace(-0.5, 0.5, 5))
    assert task == make_task("mante", coherences=[-0.5, -0.25, 0.0, 0.25, 0.5])
    assert task.variant == "standard"
    assert len({task, make_task("mante")}) == 2
    assert set(task.sample(200, 0).conditions["coherence_motion"]) == {-0.5, -0.25, 0.0, 0.25, 0.5}


def test_memory_pairs_differ_by_the_difference_and_a_single_one_is_completed():
    task = make_task("memory")
    drawn = task.sample(4000, 0).conditions
    np.testing.assert_array_equal(np.abs(drawn["first"] - drawn["second"]), 8)
    _, counts = np.unique([drawn["first"], drawn["second"]], axis=1, return_counts=True)
    assert len(counts) == 10
    assert abs(counts - 400).max() < 5 * np.sqrt(360)
    for given_, other in (("first", "second"), ("second", "first")):
        completed = task.sample(200, 0, **{given_: 22.0}).conditions
        assert set(completed[other]) == {14.0, 30.0}
        assert set(task.sample(50, 0, **{given_: 10.0}).conditions[other]) == {18.0}
    both = task.sample(2, 0, first=[11.0, 20.0], second=[12.0, 19.0]).conditions
    np.testing.assert_array_equal(both["choice"], [-1, 1])


def test_memory_channels_rise_and_fall_from_a_fifth_to_one():
    trials = make_task("memory", noise=0.0).sample(2, 0, first=[10.0, 34.0], second=[34.0, 22.0])
    for epoch, expected in (("first", [[0.2, 1.0], [1.0, 0.2]]), ("second", [[1.0, 0.2], [0.6, 0.6]])):
        shown = [trials.inputs[k, in_epoch(trials, epoch)[k], 1:].mean(0) for k in range(2)]
        np.testing.assert_allclose(shown, expected, rtol=1e-6)


def test_a_sense_that_is_not_stimulated_is_silent():
    trials = make_task("multisensory").sample(3, 0, modality=[0, 1, 2])
    active = trials.inputs[..., 1:].any(1)
    np.testing.assert_array_equal(active, [[1, 1, 0, 0], [0, 0, 1, 1], [1, 1, 1, 1]])


def answer(trials, onset, value, before=0.0):
    """Return outputs that are `value` from `onset` ms after the start of the stimulus on, and `before` until then."""
    start = trials.epochs["stimulus"][:, :1] + onset
    return np.where(trials.time >= start - 1e-6, value, before)[..., None]


def test_reaction_time_and_choice_come_from_the_first_crossing():
    task = ReactionTimeDecision()
    trials = task.sample(3, 0, coherence=[0.5, 0.5, -0.5])
    outputs = answer(trials, 250.0, 0.6)
    late = outputs.copy()
    late[:, -5:] = -1.0
    for shown in (outputs, late):
        scores = task.score(shown, trials)
        # The output of a step is there at its end.
        np.testing.assert_allclose(scores.reaction_time, 250 + trials.step)
        np.testing.assert_array_equal(scores.choice, 1)
        np.testing.assert_array_equal(scores.correct, [True, True, False])


@pytest.mark.parametrize("outputs", [(100.0, 0.49, 0.0), (0.0, 1.0, 0.7)])
def test_too_weak_or_too_early_is_no_reaction(outputs):
    task = ReactionTimeDecision()
    trials = task.sample(4, 0, coherence=0.5)
    scores = task.score(answer(trials, *outputs), trials)
    assert np.isnan(scores.reaction_time).all()
    assert not scores.choice.any()
    assert scores.accuracy == 0.0


@pytest.mark.parametrize("name", [name for name in TWO_CHOICES if name != "perceptual_reaction_time"])
def test_choice_is_the_sign_of_the_mean_after_the_grace(name):
    task = make_task(name)
    trials = task.sample(6, 0)
    start = trials.epochs["response"][:, :1]
    grace = (trials.time >= start - 1e-6) & (trials.time < start + task.grace - 1e-6)
    after = (trials.time >= start + task.grace - 1e-6) & (trials.mask == 1)
    weak_but_right = 0.1 * trials.conditions["choice"][:, None] * after
    misleading = -100.0 * trials.conditions["choice"][:, None] * grace
    scores = task.score((weak_but_right + misleading)[..., None], trials)
    assert scores.accuracy == 1.0


@pytest.mark.parametrize("name", ["gonogo", "dmts", "mante"])
def test_trials_are_scored_with_their_own_grace(name):
    drew, other = make_task(name), make_task(name, response=600.0, grace=500.0)
    trials = drew.sample(40, 0)
    np.testing.assert_array_equal(trials.scored("response"), in_epoch(trials, "response") & (trials.mask == 1))
    assert other.score(trials.targets, trials).accuracy == 1.0
    # Only the first half of what the trials ask for: gone if the other grace were taken.
    half = trials.targets * (trials.time < trials.epochs["response"][:, :1] + 200.0)[..., None]
    np.testing.assert_array_equal(other.score(1.2 * half, trials).choice, drew.score(1.2 * half, trials).choice)
    late = other.sample(40, 0)
    assert late.select([3, 1]).grace == 500.0
    np.testing.assert_array_equal(drew.score(late.targets, late).choice, late.conditions["choice"])
    misleading = np.where(late.scored("response")[..., None], late.targets, -late.targets)
    assert drew.score(misleading, late).accuracy == 1.0


@every_task
def test_numpy_durations_are_those_of_the_numbers_that_they_equal(name):
    response = {"stimulus" if name == "perceptual_reaction_time" else "response": 600}
    plain = make_task(name, **response, fixation=200, step=20.0, grace=40.0, length=6000.0)
    for kind in (np.int64, np.float32, np.float64):
        numbers = {"fixation": 200, "step": 20, "grace": 40, "length": 6000} | response
        task = make_task(name, **{key: kind(value) for key, value in numbers.items()})
        assert task == plain
        assert hash(task) == hash(plain)
        assert repr(task).replace(".0", "") == repr(plain).replace(".0", "")
        assert task.sample(5, 1).inputs.tobytes() == plain.sample(5, 1).inputs.tobytes()
