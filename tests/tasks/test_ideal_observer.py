"""The noise of a stimulus does not depend on the step, and nobody does better than the ideal observer."""

import numpy as np
import pytest
from scipy.stats import norm

from neurocircuit.tasks import ideal_accuracy, make_task

N = 8000


def integrated(trials, plus, minus=None):
    """Return the sum of a channel, or of a difference of channels, over the trial."""
    total = trials.inputs[..., trials.input_names.index(plus)].sum(1, dtype=np.float64)
    return total if minus is None else total - trials.inputs[..., trials.input_names.index(minus)].sum(1, dtype=float)


def assert_equals_ideal(right, ideal):
    deviation = np.sqrt(ideal * (1 - ideal) / len(right))
    assert abs(right.mean() - ideal) < 4 * deviation


@pytest.mark.parametrize("step", [2.0, 10.0, 20.0])
@pytest.mark.parametrize("coherence", [0.032, -0.064])
def test_integrating_a_perceptual_stimulus_is_as_good_as_the_ideal_observer_at_every_step(step, coherence):
    task = make_task("perceptual", stimulus=400.0, delay=0.0, fixation=100.0, grace=0.0)
    trials = task.sample(N, 0, step, coherence=coherence)
    right = np.sign(integrated(trials, "right", "left")) == trials.conditions["choice"]
    ideal = ideal_accuracy(task, coherence)
    # The formula, written once more: mean over noise of the difference of two channels in a millisecond.
    assert ideal == pytest.approx(norm.cdf(abs(coherence) / np.sqrt(2) * np.sqrt(400)))
    assert_equals_ideal(right, ideal)


def test_integrating_the_stimulus_that_counts_is_as_good_as_the_ideal_observer():
    task = make_task("mante", stimulus=400.0)
    for context, name in enumerate(("motion", "colour")):
        trials = task.sample(N, 1, context=context, **{f"coherence_{name}": 0.05})
        right = np.sign(integrated(trials, name)) == trials.conditions["choice"]
        assert_equals_ideal(right, ideal_accuracy(task, 0.05))


def test_two_senses_are_as_good_as_root_two_times_one():
    task = make_task("multisensory", noise=1.5)
    trials = task.sample(3 * N, 2, frequency=13.0, modality=np.repeat([0, 1, 2], N))
    evidence = sum(integrated(trials, f"{s}_rising", f"{s}_falling") for s in ("visual", "auditory"))
    right = np.sign(evidence) == trials.conditions["choice"]
    ideals = [float(ideal_accuracy(task, 13.0, modality=modality)) for modality in range(3)]
    assert norm.ppf(ideals[2]) == pytest.approx(np.sqrt(2) * norm.ppf(ideals[0]))
    for k, ideal in enumerate(ideals):
        assert_equals_ideal(right[k * N : (k + 1) * N], ideal)


def test_longer_stimuli_are_easier_as_the_ideal_observer_says():
    task = make_task("perceptual_variable")
    trials = task.sample(N, 3, coherence=0.064)
    right = np.sign(integrated(trials, "right", "left")) == trials.conditions["choice"]
    duration = np.diff(trials.epochs["stimulus"])[:, 0]
    ideal = np.array([ideal_accuracy(task, 0.064, d) for d in duration])
    for chosen in (duration < 250, duration >= 250):
        assert_equals_ideal(right[chosen], ideal[chosen].mean())
    assert ideal[duration >= 250].mean() > ideal[duration < 250].mean() + 0.1


def test_a_worse_observer_stays_below_and_no_evidence_is_chance():
    task = make_task("perceptual", stimulus=800.0)
    trials = task.sample(N, 4, coherence=0.032)
    half = trials.during("stimulus", 400.0)[..., None] * trials.inputs
    right = np.sign((half[..., 2] - half[..., 1]).sum(1)) == trials.conditions["choice"]
    assert right.mean() < ideal_accuracy(task, 0.032) - 0.04
    np.testing.assert_array_equal(ideal_accuracy(task, [0.0, 1.0]), [0.5, 1.0])
    np.testing.assert_array_equal(ideal_accuracy(make_task("mante", noise=0.0), [0.0, 0.001]), [0.5, 1.0])


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("dmts", (0.1,), "task dmts has no ideal observer here"),
        ("perceptual", (np.nan,), "must be finite"),
        ("perceptual_variable", (0.1,), "`duration` must be given"),
        ("perceptual", (0.1, -5.0), "`duration` is -5.0 ms"),
        ("perceptual", (0.1, np.inf), "`duration` is inf ms"),
        ("multisensory", (13.0,), "`modality` must be given"),
    ],
)
def test_impossible_questions_are_refused(name, arguments, message):
    with pytest.raises(ValueError, match=message):
        ideal_accuracy(make_task(name), *arguments)


def test_unknown_conditions_of_the_ideal_observer_are_refused():
    with pytest.raises(ValueError, match="takes no `modality`"):
        ideal_accuracy(make_task("mante"), 0.1, modality=0)
    with pytest.raises(ValueError, match="`modality` holds 3"):
        ideal_accuracy(make_task("multisensory"), 13.0, modality=3)
