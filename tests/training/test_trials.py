"""Trials reach the training loop as a stream addressed by position, and a loss that broadcasts nothing."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from neurocircuit.tasks.trials import Scores, Trials
from neurocircuit.training import TrainingConfig, draw_trials, evaluate, fit, masked_mse, trial_objective, trial_stream
from neurocircuit.training.processes import Processes

STEPS = 6
NOISE = 2.0


class SignTask:
    """Is the mean of the input positive? Answered at the last step."""

    name = "sign"

    def sample(self, n, seed, step=2.0):
        rng = np.random.default_rng(seed)
        choice = rng.choice([-1, 1], n)
        inputs = choice[:, None, None] + NOISE * rng.standard_normal((n, STEPS, 1))
        window = np.tile([0.0, STEPS * step], (n, 1))
        return Trials(
            inputs=inputs,
            targets=np.broadcast_to(choice[:, None, None], (n, STEPS, 1)),
            mask=np.broadcast_to(np.arange(STEPS) == STEPS - 1, (n, STEPS)),
            conditions={"choice": choice},
            epochs={"stimulus": window},
            step=step,
            input_names=("evidence",),
            output_names=("choice",),
            task="sign",
        )

    def score(self, outputs, trials):
        assert outputs.dtype == np.float64
        choice = np.sign(outputs[:, -1, 0]).astype(int)
        return Scores(choice, choice == trials.conditions["choice"], np.full(len(choice), np.nan))


class Integrator(nn.Module):
    """The mean of the input so far, times a gain."""

    def __init__(self, gain=0.1):
        super().__init__()
        self.gain = nn.Parameter(torch.tensor(gain))

    def forward(self, inputs):
        return self.gain * inputs.cumsum(1) / STEPS


TASK = SignTask()


def stream(**changes):
    return trial_stream(TASK, **({"step": 2.0, "block": 8} | changes))


@given(
    shape=st.tuples(st.integers(1, 5), st.integers(1, 7), st.integers(1, 3)), seed=st.integers(0, 99), data=st.data()
)
def test_the_loss_is_the_mean_over_trials_of_the_weighted_mean_over_steps(shape, seed, data):
    rng = np.random.default_rng(seed)
    outputs, targets = rng.standard_normal((2, *shape))
    mask = rng.random(shape[:2]) * (rng.random(shape[:2]) < 0.7)
    mask[:, data.draw(st.integers(0, shape[1] - 1))] = 1.0
    expected = np.mean(
        [np.average(((o - t) ** 2).mean(1), weights=m) for o, t, m in zip(outputs, targets, mask, strict=True)]
    )
    found = masked_mse(*map(torch.from_numpy, (outputs, targets, mask)))
    assert found.item() == pytest.approx(expected, rel=1e-12)


def test_with_weight_everywhere_the_loss_is_the_plain_mean_square():
    outputs, targets = torch.randn(2, 4, 5, 2, generator=torch.Generator().manual_seed(0))
    assert masked_mse(outputs, targets, torch.ones(4, 5)) == pytest.approx(
        torch.nn.functional.mse_loss(outputs, targets).item(), rel=1e-6
    )


# Reference A5.10: squeezing let [T] broadcast against [T, 1] in a batch of one trial, and failed with two outputs.
def test_a_batch_of_one_and_two_outputs_are_not_squeezed():
    outputs, targets = torch.randn(2, 1, 5, 2, generator=torch.Generator().manual_seed(1))
    by_hand = sum((float(outputs[0, t, k]) - float(targets[0, t, k])) ** 2 for t in range(5) for k in range(2)) / 10
    assert masked_mse(outputs, targets, torch.ones(1, 5)).item() == pytest.approx(by_hand, rel=1e-6)


@pytest.mark.parametrize(
    ("outputs", "targets", "mask", "message"),
    [
        ((1, 5), (1, 5, 1), (1, 5), r"`outputs` has shape \(1, 5\) and `targets` \(1, 5, 1\)"),
        ((4, 5, 1), (4, 5, 2), (4, 5), r"both must be \(trial, time, output\)"),
        ((5,), (5,), (5,), r"both must be \(trial, time, output\)"),
        ((4, 5, 1), (4, 5, 1), (5,), r"`mask` has shape \(5,\); it must be \(trial, time\), \(4, 5\)"),
        ((4, 5, 1), (4, 5, 1), (4, 5, 1), r"`mask` has shape \(4, 5, 1\)"),
    ],
)
def test_shapes_that_do_not_fit_exactly_are_refused(outputs, targets, mask, message):
    with pytest.raises(ValueError, match=message):
        masked_mse(torch.zeros(outputs), torch.zeros(targets), torch.ones(mask))


def test_a_trial_without_weight_is_refused():
    mask = torch.ones(3, 4)
    mask[1] = 0
    with pytest.raises(ValueError, match="`mask` has no weight in trial 1"):
        masked_mse(torch.zeros(3, 4, 1), torch.zeros(3, 4, 1), mask)


@given(first=st.integers(0, 40), count=st.integers(1, 30), block=st.integers(1, 12), seed=st.integers(0, 5))
def test_a_trial_does_not_depend_on_the_others_that_are_asked_for(first, count, block, seed):
    source = stream(block=block)
    inputs, (targets, mask, trials) = source.batch(seed, range(first, first + count))
    assert trials.n_trials == len(inputs) == count
    for place in {0, count // 2, count - 1}:
        one, (target, weight, alone) = source.batch(seed, range(first + place, first + place + 1))
        assert torch.equal(one[0], inputs[place])
        assert torch.equal(target[0], targets[place])
        assert torch.equal(weight[0], mask[place])
        assert alone.conditions["choice"][0] == trials.conditions["choice"][place]
        np.testing.assert_array_equal(alone.epochs["stimulus"][0], trials.epochs["stimulus"][place])


def test_blocks_and_seeds_give_different_trials():
    inputs = stream().batch(0, range(16))[0]
    assert not torch.equal(inputs[:8], inputs[8:])
    assert not torch.equal(inputs, stream().batch(1, range(16))[0])


def test_only_trials_with_the_wanted_conditions_are_kept_and_they_are_the_first_of_those_drawn():
    _, (_, _, trials) = stream(keep={"choice": -1}).batch(0, range(20))
    assert set(trials.conditions["choice"]) == {-1}
    rng = np.random.default_rng(5)
    drawn = [TASK.sample(8, rng) for _ in range(6)]
    expected = np.concatenate([one.inputs[one.conditions["choice"] == -1] for one in drawn])[:8]
    np.testing.assert_array_equal(draw_trials(TASK, 8, 5, 2.0, {"choice": -1}).inputs, expected)


def test_conditions_that_do_not_exist_or_never_hold_are_refused():
    with pytest.raises(ValueError, match=r"`keep` has \['colour'\], which task sign does not have; .* choice"):
        draw_trials(TASK, 4, 0, 2.0, {"colour": 1})
    with pytest.raises(ValueError, match=r"`keep` is {'choice': 3}, but hardly any trials of task sign are such: 0 of"):
        draw_trials(TASK, 4, 0, 2.0, {"choice": 3})


def test_a_block_below_1_is_refused():
    with pytest.raises(ValueError, match="`block` is 0; it must be at least 1"):
        stream(block=0)


def test_correct_is_what_the_score_says():
    outputs, targets = Integrator()(stream().batch(3, range(40))[0]), stream().batch(3, range(40))[1]
    expected = np.sign(outputs.detach().numpy()[:, -1, 0]) == targets[2].conditions["choice"]
    found = trial_objective(TASK).correct(outputs, targets)
    assert found.dtype == torch.bool
    assert 0 < found.sum() < 40
    np.testing.assert_array_equal(found.numpy(), expected)


def test_processes_that_share_a_batch_measure_what_one_would():
    whole = evaluate(Integrator(), stream(), 40, objective=trial_objective(TASK), batch_size=8)
    parts = [
        evaluate(
            Integrator(),
            stream(),
            40,
            objective=trial_objective(TASK),
            batch_size=8,
            processes=_Alone(rank, 2, torch.device("cpu")),
        )
        for rank in (0, 1)
    ]
    assert sum(part.samples for part in parts) == whole.samples == 40
    assert sum(part.accuracy * part.samples for part in parts) == pytest.approx(whole.accuracy * 40)
    assert sum(part.loss * part.samples for part in parts) == pytest.approx(whole.loss * 40, rel=1e-6)


class _Alone(Processes):
    """A process that counts its own share only."""

    def total(self, values):
        return values


def test_the_loop_trains_on_trials_with_or_without_workers(tmp_path):
    config = TrainingConfig(steps=60, batch_size=8, learning_rate=0.05, evaluation_samples=40, evaluate_every=20)
    models = []
    for workers in (0, 1):
        model = Integrator()
        result = fit(
            model,
            stream(),
            stream(),
            replace(config, workers=workers),
            tmp_path / str(workers),
            objective=trial_objective(TASK),
        )
        models.append(model)
    assert torch.equal(models[0].gain, models[1].gain)
    # The gain that predicts the sign with least squared error: E[m] / E[m^2] of a mean m of six steps.
    assert model.gain.item() == pytest.approx(1 / (1 + NOISE**2 / STEPS), abs=0.1)
    assert result.last.loss < 0.5


@pytest.mark.parametrize("seed", [0, 7])
@pytest.mark.parametrize("keep", [None, {"choice": 1}])
def test_training_and_validation_of_a_run_share_no_trial(tmp_path, seed, keep):
    seen = {True: [], False: []}

    class Recording(Integrator):
        def forward(self, inputs):
            seen[self.training] += [trial.numpy().tobytes() for trial in inputs]
            return super().forward(inputs)

    config = TrainingConfig(steps=20, batch_size=8, evaluation_samples=40, evaluate_every=10, seed=seed)
    fit(Recording(), stream(), stream(keep=keep), config, tmp_path, objective=trial_objective(TASK))
    trained, validated = map(set, (seen[True], seen[False]))
    assert len(trained) == len(seen[True]) == 20 * 8
    # Every validation of a run is on the same trials.
    assert len(validated) == 40
    assert len(seen[False]) == 2 * 40
    assert not trained & validated
