"""The tutorial's variants, against a transcription of its description one trial and one step at a time."""

from dataclasses import replace

import numpy as np
import pytest

from neurocircuit.tasks import make_task

STEPS = {"gonogo": 100, "dmts": 300, "mante": 500}


def by_hand(name, row):
    """Return noise-free inputs and targets of one tutorial trial."""
    inputs, target = [], []
    for t in range(STEPS[name]):
        if name == "gonogo":
            inputs.append([1.0 if row["go"] == 1 and 50 <= t < 75 else 0.0])
            target.append(1.0 if row["go"] == 1 and t >= 75 else 0.0)
        elif name == "dmts":
            inputs.append([row["first"] if 50 <= t < 100 else 0.0, row["second"] if 110 <= t < 160 else 0.0])
            target.append((1.0 if row["first"] == row["second"] else -1.0) if 170 <= t < 270 else 0.0)
        else:
            evidence = [row["coherence_motion"], row["coherence_colour"]]
            shown = [value if 50 <= t < 250 else 0.0 for value in evidence]
            inputs.append([*shown, float(row["context"] == 0), float(row["context"] == 1)])
            target.append(np.sign(evidence[row["context"]]) if t >= 250 else 0.0)
    return np.array(inputs), np.array(target)


@pytest.mark.parametrize("name", STEPS)
def test_tutorial_variant_is_the_tutorial(name):
    task = make_task(name, "tutorial")
    assert task.variant == "tutorial"
    assert make_task(name).variant == "standard"
    trials = task.sample(40, 0)
    assert trials.step == 1.0
    rows = [{key: column[k] for key, column in trials.conditions.items()} for k in range(40)]
    inputs, targets = (np.array(part) for part in zip(*(by_hand(name, row) for row in rows), strict=True))
    np.testing.assert_array_equal(trials.targets[..., 0], targets)
    assert (trials.mask == 1).all()
    if name != "mante":
        np.testing.assert_array_equal(trials.inputs, inputs)
        return
    np.testing.assert_array_equal(trials.inputs[..., 2:], inputs[..., 2:])
    noise = (trials.inputs - inputs)[..., :2]
    assert not noise[:, :50].any()
    assert not noise[:, 250:].any()
    shown = noise[:, 50:250]
    assert abs(shown.mean()) < 5 / np.sqrt(shown.size)
    assert abs(shown.std() - 1) < 5 / np.sqrt(2 * shown.size)
    np.testing.assert_array_equal(np.unique(trials.conditions["coherence_motion"]), [-0.5, 0.5])


@pytest.mark.parametrize("name", STEPS)
@pytest.mark.parametrize("change", [{"length": 1000.0}, {"step": 0.5}, {"noise": 0.3}, {"fixation_cue": True}])
def test_a_changed_tutorial_is_no_tutorial(name, change):
    task = make_task(name, "tutorial")
    changed = replace(task, **change)
    assert changed.variant == "standard"
    assert replace(changed, **{key: getattr(task, key) for key in change}).variant == "tutorial"


@pytest.mark.parametrize(("name", "error"), [("gonogo", 0.125), ("dmts", 1 / 3), ("mante", 0.5)])
def test_the_zero_output_has_the_published_error(name, error):
    squared = make_task(name, "tutorial").sample(4000, 0).targets ** 2
    # Only the fraction of go trials is random.
    assert abs(squared.mean() - error) < (5 * 0.25 * 0.5 / np.sqrt(4000) if name == "gonogo" else 1e-6)


def test_tutorial_dmts_rule_passes_a_constant_and_a_reversed_answer_and_ours_does_not():
    task = make_task("dmts", "tutorial")
    trials = task.sample(400, 0)
    for wrong in (np.ones_like(trials.targets), -trials.targets):
        assert task.tutorial_score(wrong, trials).mean() == 1.0
        assert task.score(wrong, trials).accuracy < 0.6
    assert task.tutorial_score(trials.targets, trials).mean() == 1.0
    assert task.tutorial_score(0.79 * trials.targets, trials).mean() == 0.0
    assert task.score(0.79 * trials.targets, trials).accuracy == 1.0


def test_tutorial_go_nogo_rule_calls_a_perfect_answer_of_079_wrong_and_ours_does_not():
    task = make_task("gonogo", "tutorial")
    trials = task.sample(400, 0)
    go = trials.conditions["go"] == 1
    scaled = 0.79 * trials.targets
    np.testing.assert_array_equal(task.tutorial_score(scaled, trials), ~go)
    np.testing.assert_array_equal(task.tutorial_score(trials.targets, trials), True)
    np.testing.assert_array_equal(task.tutorial_score(trials.targets + 0.3, trials), go)
    assert task.score(scaled, trials).accuracy == 1.0
    np.testing.assert_array_equal(task.score(np.ones_like(scaled), trials).correct, go)


def test_the_tutorial_has_no_rule_for_mante_and_none_for_standard_variants():
    task = make_task("mante", "tutorial")
    trials = task.sample(3, 0)
    assert task.score(trials.targets, trials).accuracy == 1.0
    with pytest.raises(ValueError, match="no rule for task mante"):
        task.tutorial_score(trials.targets, trials)
    standard = make_task("dmts")
    trials = standard.sample(3, 0)
    with pytest.raises(ValueError, match="not the tutorial's variant"):
        standard.tutorial_score(trials.targets, trials)


def test_scores_of_one_trial_equal_those_of_the_batch():
    # The tutorial squeezes its arrays, and goes wrong for a single trial.
    task = make_task("dmts", "tutorial")
    trials = task.sample(8, 0)
    outputs = np.random.default_rng(0).normal(size=trials.targets.shape)
    whole = task.score(outputs, trials)
    for k in range(8):
        single = task.score(outputs[k : k + 1], trials.select([k]))
        assert single.choice[0] == whole.choice[k]
        np.testing.assert_array_equal(single.reaction_time, whole.reaction_time[k : k + 1])
