"""Impossible tasks, conditions and outputs are refused with the argument, its value and what is allowed."""

from dataclasses import replace

import numpy as np
import pytest

from neurocircuit.tasks import TASKS, ContextIntegration, OneOf, Uniform, make_task


@pytest.mark.parametrize(
    ("arguments", "settings", "error", "message"),
    [
        (("stroop",), {}, ValueError, "`name` is 'stroop'; the tasks are gonogo"),
        (("mante", "advanced"), {}, ValueError, "`variant` is 'advanced'"),
        (("memory", "tutorial"), {}, ValueError, "the tutorial has no memory; it has gonogo, dmts, mante"),
        (("mante", "tutorial"), {"noise": 2.0}, ValueError, "fixes every setting, but noise is given"),
        (("mante",), {"sound": 1}, ValueError, "`sound` is not a setting of task mante; those are .*coherences"),
        (("mante",), {"step": 0.0}, ValueError, "`step` is 0.0"),
        (("mante",), {"step": "1 ms"}, TypeError, "`step` is '1 ms'"),
        (("mante",), {"noise": -1.0}, ValueError, "`noise` is -1.0; it must be finite and at least 0"),
        (("mante",), {"noise": np.nan}, ValueError, "`noise` is nan"),
        (("mante",), {"stimulus": -100.0}, ValueError, "`stimulus` is -100.0 ms"),
        (("mante",), {"stimulus": "long"}, TypeError, "`stimulus` is 'long'"),
        (("mante",), {"response": 0.0}, ValueError, "`response` is 0 ms; task mante cannot do without it"),
        (("mante",), {"stimulus": 0.0}, ValueError, "`stimulus` is 0 ms"),
        (("dmts",), {"second": 0.0}, ValueError, "`second` is 0 ms"),
        (("mante",), {"grace": 300.0}, ValueError, "`grace` is 300 ms, but `response` can be as short as 300 ms"),
        (("mante",), {"response": OneOf((50.0, 300.0))}, ValueError, "can be as short as 50 ms"),
        (("mante",), {"length": -5.0}, ValueError, "`length` is -5.0"),
        (("mante",), {"coherences": ()}, ValueError, "no values to draw `coherence_motion` from"),
        (("mante",), {"coherences": (0.1, np.nan)}, ValueError, "`coherence_motion` is .* must be finite"),
        (("mante",), {"coherences": (0.1, 1.5)}, ValueError, "`coherence_motion` holds 1.5; it must lie between -1"),
        (("memory",), {"difference": 0.0}, ValueError, "`difference` is 0.0 Hz"),
        (("memory",), {"difference": 30.0}, ValueError, "at most the span of `frequencies`, 24 Hz"),
        (("memory",), {"difference": 5.0}, ValueError, "no two `frequencies`"),
        (("memory",), {"frequencies": ()}, ValueError, "`difference` is 8.0 Hz"),
        (("multisensory",), {"boundary": 13.0}, ValueError, "equals the `boundary` of 13 Hz"),
        (("multisensory",), {"frequencies": (9.0,)}, ValueError, "at least two different"),
    ],
)
def test_impossible_settings_are_refused(arguments, settings, error, message):
    with pytest.raises(error, match=message):
        make_task(*arguments, **settings)


@pytest.mark.parametrize("n", [0, -1])
@pytest.mark.parametrize("name", sorted(TASKS))
def test_less_than_one_trial_is_refused(name, n):
    with pytest.raises(ValueError, match=f"`n` is {n}; at least 1 trial"):
        make_task(name).sample(n, 0)


@pytest.mark.parametrize(
    ("arguments", "conditions", "error", "message"),
    [
        ((2.0, 0), {}, TypeError, "`n` is 2.0"),
        ((True, 0), {}, TypeError, "`n` is True"),
        ((3, -1), {}, ValueError, "`seed` is -1"),
        ((3, "x"), {}, TypeError, "`seed` is 'x'"),
        ((3, None), {}, TypeError, "`seed` is None"),
        ((3, 0, 0.0), {}, ValueError, "`step` is 0.0"),
        ((3, 0, np.nan), {}, ValueError, "`step` is nan"),
        ((3, 0, 30.0), {}, ValueError, "`step` is 30 ms, no divisor of"),
        ((3, 0, 5000.0), {}, ValueError, "`step` is 5000 ms, longer than"),
        ((3, 0), {"coherance": 0.1}, ValueError, "`coherance` is not a condition of task mante.*those are context"),
        ((3, 0), {"choice": 1}, ValueError, "`choice` is not a condition .* follow from them"),
        ((3, 0), {"coherence_motion": np.nan}, ValueError, "`coherence_motion` is nan; it must be finite"),
        ((3, 0), {"coherence_motion": [0.1, np.inf, 0]}, ValueError, "must be finite"),
        ((3, 0), {"coherence_motion": [0.1, 0.1]}, ValueError, "give one number, or an array of the n=3 trials"),
        ((3, 0), {"coherence_motion": "strong"}, ValueError, "`coherence_motion` is 'strong'"),
        ((3, 0), {"coherence_motion": -1.01}, ValueError, "holds -1.01; it must lie between -1 and 1"),
        ((3, 0), {"context": 2}, ValueError, "`context` holds 2; it must be one of 0, 1"),
        ((3, 0), {"context": 0.5}, ValueError, "`context` holds 0.5"),
    ],
)
def test_impossible_trials_are_refused(arguments, conditions, error, message):
    with pytest.raises(error, match=message):
        make_task("mante").sample(*arguments, **conditions)


@pytest.mark.parametrize(
    ("name", "conditions", "message"),
    [
        ("memory", {"first": 20.0, "second": 20.0}, "`first` and `second` are both 20 Hz in 3 trials"),
        ("memory", {"first": 40.0}, "`first` holds 40; it must lie between 10 and 34"),
        ("multisensory", {"frequency": 12.5}, "equals the `boundary`"),
        ("gonogo", {"go": 2}, "`go` holds 2"),
        ("dmts", {"first": 0}, "`first` holds 0; it must be one of -1, 1"),
    ],
)
def test_conditions_without_a_right_choice_are_refused(name, conditions, message):
    with pytest.raises(ValueError, match=message):
        make_task(name).sample(3, 0, **conditions)


def test_a_frequency_without_a_partner_is_refused():
    task = make_task("memory", frequencies=(10.0, 15.0, 22.0), difference=12.0)
    with pytest.raises(ValueError, match="no frequency from 10 to 22 Hz is 12 Hz from 15 Hz"):
        task.sample(2, 0, first=15.0)


def test_epochs_that_exceed_the_trial_are_refused():
    task = ContextIntegration(length=1000.0, delay=Uniform(100.0, 200.0))
    with pytest.raises(ValueError, match=r"`length` is 1000 ms, but the epochs .* can last 1700 ms"):
        task.sample(1, 0)


@pytest.mark.parametrize("name", sorted(TASKS))
def test_outputs_that_do_not_fit_are_refused(name):
    task = make_task(name)
    trials = task.sample(3, 0)
    good = trials.targets
    for bad in (good[:2], good[..., 0], good[:, :-1], np.concatenate([good, good], 2)):
        with pytest.raises(ValueError, match=r"`outputs` has shape .*trial, time, output"):
            task.score(bad, trials)
    for value in (np.nan, np.inf):
        broken = good.copy()
        broken[1, 2, 0] = value
        with pytest.raises(ValueError, match="not finite in 1 of 3 trials"):
            task.score(broken, trials)


def test_trials_of_another_task_are_refused():
    trials = make_task("mante").sample(2, 0)
    with pytest.raises(ValueError, match=r"`trials` are of task mante with inputs fixation, .* but this is dmts with"):
        make_task("dmts").score(trials.targets, trials)


@pytest.mark.parametrize("name", ["dmts", "gonogo", "mante"])
def test_trials_of_another_variants_inputs_are_refused(name):
    standard, tutorial = make_task(name), make_task(name, "tutorial")
    for task, other in ((standard, tutorial), (tutorial, standard)):
        trials = other.sample(4, 0)
        inputs = f"with inputs {', '.join(other.input_names)}, but this is {name} with {', '.join(task.input_names)};"
        with pytest.raises(ValueError, match=inputs):
            task.score(trials.targets, trials)
    trials = standard.sample(4, 0)
    with pytest.raises(ValueError, match="with inputs fixation"):
        tutorial.tutorial_score(trials.targets, trials)


@pytest.mark.parametrize("name", sorted(TASKS))
def test_trials_without_a_step_to_read_the_answer_from_are_refused(name):
    task = make_task(name)
    trials = task.sample(3, 0)
    window = trials.epochs[task.response_epoch].copy()
    window[1, 1] = window[1, 0] + task.grace
    short = replace(trials, epochs={task.response_epoch: window})
    with pytest.raises(ValueError, match=f"no step of epoch '{task.response_epoch}' .* grace of 100 ms in 1 of 3"):
        task.score(short.targets, short)
