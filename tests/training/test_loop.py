"""The loop takes the steps of a plain loop, keeps the best weights, and stops at numbers that are not finite."""

import dataclasses
import math

import pytest
import torch
from tiny_training import CONFIG, SOURCE, classifier, images, same_bits, weights
from torch import nn
from torch.nn.functional import cross_entropy, mse_loss
from torch.utils.data import TensorDataset

from neurocircuit.errors import BackendUnavailableError, NonFiniteError
from neurocircuit.training import (
    DatasetSource,
    Objective,
    StreamSource,
    evaluate,
    fit,
    load_weights,
    read_log,
)

OPTIMIZERS = {
    "adam": lambda p: torch.optim.Adam(p, 0.01, weight_decay=0.1),
    "adamw": lambda p: torch.optim.AdamW(p, 0.01, weight_decay=0.1),
    "nadam": lambda p: torch.optim.NAdam(p, 0.01, weight_decay=0.1),
    "sgd": lambda p: torch.optim.SGD(p, 0.01, momentum=0.8, weight_decay=0.1),
}


def plain_loop(model, optimizer, clip):
    """Train as one would by hand."""
    scheduler = torch.optim.lr_scheduler.MultiStepLR(optimizer, [10], gamma=0.5)
    for step in range(CONFIG.steps):
        inputs, targets = images(CONFIG.seed, range(step * CONFIG.batch_size, (step + 1) * CONFIG.batch_size))
        optimizer.zero_grad()
        cross_entropy(model(inputs), targets).backward()
        if clip is not None:
            nn.utils.clip_grad_norm_(model.parameters(), clip)
        optimizer.step()
        scheduler.step()


@pytest.mark.parametrize("clip", [None, 0.3])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_fit_takes_the_steps_of_a_plain_loop_to_the_bit(name, clip, tmp_path):
    by_hand = classifier(norm=True)
    plain_loop(by_hand, OPTIMIZERS[name](by_hand.parameters()), clip)
    model = classifier(norm=True)
    config = dataclasses.replace(
        CONFIG,
        optimizer=name,
        learning_rate=0.01,
        weight_decay=0.1,
        momentum=0.8,
        schedule="step",
        milestones=(10,),
        decay_factor=0.5,
        gradient_clip=clip,
    )
    fit(model, SOURCE, SOURCE, config, tmp_path)
    assert same_bits(weights(model), weights(by_hand))
    assert not same_bits(weights(model), weights(classifier(norm=True)))


def test_the_task_is_learned_and_the_best_weights_are_those_reported(tmp_path):
    config = dataclasses.replace(CONFIG, steps=300, batch_size=16, learning_rate=0.01, evaluation_samples=400)
    config = dataclasses.replace(config, evaluate_every=50)
    state = torch.get_rng_state()
    result = fit(classifier(), SOURCE, SOURCE, config, tmp_path, description={"net": "tiny"})
    assert torch.equal(torch.get_rng_state(), state)
    assert result.best.low > 0.8
    evaluations = {line["step"]: line for line in read_log(tmp_path) if "validation_loss" in line}
    assert list(evaluations) == [50, 100, 150, 200, 250, 300]
    best = max(evaluations.values(), key=lambda line: (line["validation_accuracy"], -line["validation_loss"]))
    assert (result.best_step, result.best.accuracy) == (best["step"], best["validation_accuracy"])
    model = classifier(seed=99)
    saved = load_weights(model, result.weights)
    assert saved["step"] == result.best_step
    assert saved["description"] == {"net": "tiny"}
    assert saved["evaluation"] == dataclasses.asdict(result.best)
    fresh = evaluate(model, SOURCE, 2000, seed=12345)
    assert abs(fresh.accuracy - result.best.accuracy) < 0.06


def test_the_log_holds_the_means_since_its_previous_line(tmp_path):
    config = dataclasses.replace(CONFIG, steps=6, log_every=3, evaluate_every=4, learning_rate=0.02)
    model = classifier()
    fit(model, SOURCE, SOURCE, config, tmp_path)
    by_hand, expected = classifier(), []
    optimizer = torch.optim.Adam(by_hand.parameters(), 0.02)
    for step in range(6):
        inputs, targets = images(config.seed, range(step * 6, step * 6 + 6))
        outputs = by_hand(inputs)
        loss = cross_entropy(outputs, targets)
        optimizer.zero_grad()
        loss.backward()
        norm = math.sqrt(sum(float((p.grad**2).sum()) for p in by_hand.parameters()))
        optimizer.step()
        expected.append((loss.item(), (outputs.argmax(1) == targets).double().mean().item(), norm))
    lines = read_log(tmp_path)
    assert [line["step"] for line in lines] == [3, 4, 6]
    assert ["validation_accuracy" in line for line in lines] == [False, True, True]
    for line, steps in zip(lines, (range(3), range(3, 4), range(4, 6)), strict=True):
        assert line["loss"] == pytest.approx(sum(expected[s][0] for s in steps) / len(steps), rel=1e-12)
        assert line["accuracy"] == pytest.approx(sum(expected[s][1] for s in steps) / len(steps), rel=1e-12)
        assert line["gradient_norm"] == pytest.approx(expected[steps[-1]][2], rel=1e-5)
        assert line["learning_rate"] == 0.02


def test_patience_stops_after_so_many_evaluations_without_a_new_best(tmp_path):
    # A rate at which no weight moves: the first evaluation is the best for ever.
    config = dataclasses.replace(CONFIG, steps=100, learning_rate=1e-30, patience=3)
    result = fit(classifier(), SOURCE, SOURCE, config, tmp_path)
    assert result.stopped_early
    assert (result.best_step, result.steps) == (8, 32)
    resumed = fit(classifier(), SOURCE, SOURCE, config, tmp_path, resume=True)
    assert (resumed.stopped_early, resumed.steps) == (True, 32)


def test_best_can_be_the_lowest_loss_for_a_task_without_accuracy(tmp_path):
    def line(seed, indices):
        x = images(seed, indices)[0].flatten(1)[:, :1]
        return x, 3 * x + 1

    objective = Objective(mse_loss, lambda outputs, targets: (outputs - targets).abs()[:, 0] < 0.1)
    config = dataclasses.replace(CONFIG, steps=200, optimizer="sgd", learning_rate=0.05, best="loss")
    source, model = StreamSource(line), nn.Linear(1, 1)
    result = fit(model, source, source, config, tmp_path, objective=objective)
    assert model.weight.item() == pytest.approx(3, abs=1e-3)
    assert model.bias.item() == pytest.approx(1, abs=1e-3)
    losses = [entry["validation_loss"] for entry in read_log(tmp_path) if "validation_loss" in entry]
    assert result.best.loss == min(losses)


def test_a_frozen_batch_norm_stays_frozen(tmp_path):
    model = classifier(norm=True)
    model[1].eval()
    fit(model, SOURCE, SOURCE, CONFIG, tmp_path)
    assert torch.equal(model[1].running_mean, torch.zeros(3))
    assert model[1].num_batches_tracked == 0
    assert model.training
    assert not model[1].training


def test_a_model_in_evaluation_mode_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"`model` is in evaluation mode; call model.train\(\) before fit"):
        fit(classifier().eval(), SOURCE, SOURCE, CONFIG, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_random_layers_repeat_and_follow_the_seed(tmp_path):
    runs = []
    for number, seed in enumerate((5, 5, 6)):
        model = classifier(dropout=0.5)
        torch.rand(number)
        config = dataclasses.replace(CONFIG, seed=seed)
        fit(model, StreamSource(lambda _, i: images(0, i)), SOURCE, config, tmp_path / str(number))
        runs.append(weights(model))
    assert same_bits(runs[0], runs[1])
    assert not same_bits(runs[0], runs[2])


def test_how_often_one_looks_does_not_change_the_weights(tmp_path):
    runs = []
    for number, changes in enumerate(
        [{}, {"evaluate_every": 1, "log_every": 1, "checkpoint_every": 1}, {"workers": 2, "evaluation_samples": 7}]
    ):
        model = classifier(dropout=0.5, norm=True)
        fit(model, SOURCE, SOURCE, dataclasses.replace(CONFIG, **changes), tmp_path / str(number))
        runs.append(weights(model))
    assert same_bits(runs[0], runs[1])
    assert same_bits(runs[0], runs[2])


def last_weights(precision, folder):
    model = classifier()
    config = dataclasses.replace(CONFIG, optimizer="sgd", learning_rate=0.01, precision=precision)
    fit(model, SOURCE, SOURCE, config, folder)
    assert {p.dtype for p in model.parameters()} == {torch.float64 if precision == "float64" else torch.float32}
    return torch.cat([p.detach().double().flatten() for p in model.parameters()])


# Products of the forward pass keep 24, 11 and 8 binary digits; half precision also skips its first steps that overflow.
@pytest.mark.parametrize(("precision", "digits"), [("float32", 24), ("float16", 11), ("bfloat16", 8)])
def test_a_precision_follows_float64_as_closely_as_its_digits_allow(precision, digits, tmp_path):
    difference = last_weights(precision, tmp_path / "low") - last_weights("float64", tmp_path / "high")
    assert 0 < difference.abs().max() < 2.0**-digits * 16


def holed(position):
    """Return the task with one sample that is not a number."""

    def function(seed, indices):
        inputs, targets = images(seed, indices)
        if seed == CONFIG.seed:
            inputs[[index == position for index in indices]] = math.nan
        return inputs, targets

    return StreamSource(function)


def test_a_loss_that_is_not_finite_names_step_samples_and_last_checkpoint(tmp_path):
    with pytest.raises(NonFiniteError, match="the loss is nan") as caught:
        fit(classifier(), holed(13 * 6 + 2), SOURCE, CONFIG, tmp_path)
    text = str(caught.value)
    assert "Training stopped at step 14:" in text
    assert "[78, 79, 80, 81, 82, 83] of seed 5" in text
    assert f"Last good checkpoint: '{tmp_path / 'checkpoint_00000010.pt'}'" in text
    # It is good: from there the run goes on with a source that is mended, as if nothing had happened.
    model, straight = classifier(), classifier()
    fit(model, SOURCE, SOURCE, CONFIG, tmp_path, resume=True)
    fit(straight, SOURCE, SOURCE, CONFIG, tmp_path / "straight")
    assert same_bits(weights(model), weights(straight))


def test_the_samples_of_a_shuffled_data_set_are_named_by_their_index(tmp_path):
    inputs, targets = images(0, range(48))
    inputs[31] = math.inf
    source = DatasetSource(TensorDataset(inputs, targets))
    with pytest.raises(NonFiniteError) as caught:
        fit(classifier(), source, SOURCE, CONFIG, tmp_path)
    order = source.indices(CONFIG.seed, range(48))
    step = order.index(31) // 6
    assert f"at step {step + 1}:" in str(caught.value)
    assert str(order[step * 6 : step * 6 + 6]) in str(caught.value)


class _SquareRoot(nn.Linear):
    """Finite for an input of zero, with an infinite gradient."""

    def forward(self, x):
        return (super().forward(x.flatten(1)) * 0).sqrt()


def test_a_gradient_that_is_not_finite_stops_before_it_reaches_the_weights(tmp_path):
    model = _SquareRoot(36, 2)
    before = weights(model)
    with pytest.raises(NonFiniteError, match="step 1: the norm of the gradient is nan"):
        fit(model, SOURCE, SOURCE, CONFIG, tmp_path)
    assert same_bits(before, weights(model))


def test_weights_that_overflow_are_not_checkpointed(tmp_path):
    config = dataclasses.replace(CONFIG, optimizer="sgd", learning_rate=3e38, checkpoint_every=1)
    steep = Objective(lambda outputs, targets: 1000 * cross_entropy(outputs, targets))
    with pytest.raises(NonFiniteError, match=r"after step 1: the weights .*weight.* are NaN or infinite") as caught:
        fit(classifier(), SOURCE, SOURCE, config, tmp_path, objective=steep)
    assert "checkpoint_00000000.pt" in str(caught.value)


def test_half_precision_skips_an_overflowing_step_and_lowers_its_scale(tmp_path):
    def huge(outputs, targets):
        return 20.0 * cross_entropy(outputs, targets)

    config = dataclasses.replace(CONFIG, precision="float16", log_every=1, learning_rate=1e-3)
    fit(classifier(), SOURCE, SOURCE, config, tmp_path, objective=Objective(loss=huge))
    norms = [line["gradient_norm"] for line in read_log(tmp_path)]
    assert norms[0] is None
    assert norms[-1] is not None


def test_tensorboard_that_is_not_installed_is_named_before_anything_is_written(tmp_path, monkeypatch):
    import builtins

    real = builtins.__import__

    def without(name, *args, **kwargs):
        if name.startswith("torch.utils.tensorboard"):
            raise ImportError("No module named 'tensorboard'")
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    config = dataclasses.replace(CONFIG, tensorboard=True)
    with pytest.raises(BackendUnavailableError, match=r"`tensorboard` is True, .*pip install '.\[tensorboard\]'"):
        fit(classifier(), SOURCE, SOURCE, config, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_tensorboard_gets_the_numbers_of_the_log(tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    fit(classifier(), SOURCE, SOURCE, dataclasses.replace(CONFIG, tensorboard=True), tmp_path)
    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    found = [(event.step, event.value) for event in events.Scalars("loss")]
    assert found == [(line["step"], pytest.approx(line["loss"], rel=1e-6)) for line in read_log(tmp_path)]


def test_cuda_asked_for_and_absent_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(BackendUnavailableError, match="`device` is 'cuda', but torch sees no CUDA GPU here"):
        fit(classifier(), SOURCE, SOURCE, dataclasses.replace(CONFIG, device="cuda"), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_printed_off_the_terminal(tmp_path, capfd):
    fit(classifier(), SOURCE, SOURCE, CONFIG, tmp_path)
    assert capfd.readouterr() == ("", "")
