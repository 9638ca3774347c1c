"""A configuration is checked at the door, and its schedule is the textbook's."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from neurocircuit.errors import BackendUnavailableError
from neurocircuit.training import TrainingConfig, learning_rate_at
from neurocircuit.training.config import build_optimizer, resolve_device


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"steps": 0}, ValueError, "`steps` is 0; it must be at least 1"),
        ({"batch_size": 2.5}, TypeError, "`batch_size` is 2.5; it must be an integer"),
        ({"workers": True}, TypeError, "`workers` is True; it must be an integer"),
        ({"seed": -1}, ValueError, "`seed` is -1; it must be at least 0"),
        ({"patience": 0}, ValueError, "`patience` is 0; it must be at least 1"),
        ({"evaluation_samples": 0}, ValueError, "`evaluation_samples` is 0; it must be at least 1"),
        ({"learning_rate": 0.0}, ValueError, "`learning_rate` is 0.0; it must be above 0"),
        ({"learning_rate": math.nan}, ValueError, "`learning_rate` is nan"),
        ({"learning_rate": math.inf}, ValueError, "`learning_rate` is inf"),
        ({"momentum": 1.0}, ValueError, "`momentum` is 1.0"),
        ({"weight_decay": -1.0}, ValueError, "`weight_decay` is -1.0; it must be at least 0"),
        ({"gradient_clip": 0.0}, ValueError, "`gradient_clip` is 0.0; it must be above 0, or None"),
        ({"optimizer": "lion"}, ValueError, "`optimizer` is 'lion'; it must be one of adam, adamw, nadam, sgd"),
        ({"precision": "half"}, ValueError, "`precision` is 'half'; it must be one of float32"),
        ({"schedule": "linear"}, ValueError, "`schedule` is 'linear'"),
        ({"best": "f1"}, ValueError, "`best` is 'f1'; it must be one of accuracy, loss"),
        ({"schedule": "step"}, ValueError, "which needs at least one"),
        ({"milestones": (5,)}, ValueError, "milestones go with the schedule 'step'"),
        ({"schedule": "step", "milestones": (5, 5)}, ValueError, "it must be rising steps"),
        ({"schedule": "step", "milestones": (5,), "decay_factor": 0.0}, ValueError, "`decay_factor` is 0.0"),
        ({"warmup_steps": 100}, ValueError, "`warmup_steps` is 100 but `steps` is 100"),
    ],
)
def test_a_value_that_is_not_allowed_is_refused_by_name(change, error, message):
    with pytest.raises(error, match=message):
        TrainingConfig(**({"steps": 100} | change))


@given(steps=st.integers(2, 500), warmup=st.integers(0, 400))
def test_the_rate_rises_to_full_and_cosine_falls_to_zero(steps, warmup):
    warmup %= steps
    config = TrainingConfig(steps=steps, learning_rate=0.5, schedule="cosine", warmup_steps=warmup)
    rates = [learning_rate_at(config, step) for step in range(steps)]
    assert max(rates) == rates[warmup] == 0.5
    assert rates[:warmup] == sorted(rates[:warmup])
    assert rates[warmup:] == sorted(rates[warmup:], reverse=True)
    assert min(rates) > 0
    assert learning_rate_at(config, steps) == pytest.approx(0, abs=1e-16)


def test_cosine_is_half_way_down_in_the_middle():
    config = TrainingConfig(steps=30, learning_rate=0.2, schedule="cosine", warmup_steps=10)
    assert learning_rate_at(config, 20) == pytest.approx(0.1)


def test_step_decay_is_that_of_torch():
    config = TrainingConfig(steps=12, learning_rate=0.3, schedule="step", milestones=(3, 7), decay_factor=0.2)
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], 0.3)
    scheduler = torch.optim.lr_scheduler.MultiStepLR(optimizer, [3, 7], gamma=0.2)
    for step in range(12):
        assert learning_rate_at(config, step) == pytest.approx(scheduler.get_last_lr()[0], rel=1e-15)
        optimizer.step()
        scheduler.step()


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("adam", torch.optim.Adam),
        ("adamw", torch.optim.AdamW),
        ("nadam", torch.optim.NAdam),
        ("sgd", torch.optim.SGD),
    ],
)
def test_the_optimiser_is_the_named_one_over_what_needs_a_gradient(name, kind):
    model = torch.nn.Linear(2, 2)
    model.bias.requires_grad_(False)
    optimizer = build_optimizer(TrainingConfig(steps=1, optimizer=name, weight_decay=0.25), model.parameters())
    assert type(optimizer) is kind
    assert optimizer.param_groups[0]["weight_decay"] == 0.25
    assert [id(p) for p in optimizer.param_groups[0]["params"]] == [id(model.weight)]


def test_a_model_with_nothing_to_train_is_refused():
    with pytest.raises(ValueError, match="`model` has no parameter that needs a gradient"):
        build_optimizer(TrainingConfig(steps=1), torch.nn.ReLU().parameters())


@pytest.mark.parametrize("name", ["gpu", "mps", "cuda:x"])
def test_an_unknown_device_is_refused(name):
    with pytest.raises(ValueError, match=f"`device` is '{name}'; it must be 'cpu', 'cuda' or 'cuda:N'"):
        resolve_device(name)


def test_cuda_asked_for_and_absent_says_so(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(BackendUnavailableError, match="`device` is 'cuda', but torch sees no CUDA GPU here"):
        resolve_device("cuda")


def test_a_gpu_that_does_not_exist_is_refused_and_plain_cuda_is_that_of_the_process(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert resolve_device("cuda", 1) == torch.device("cuda:1")
    assert resolve_device("cuda:0", 1) == torch.device("cuda:0")
    with pytest.raises(BackendUnavailableError, match=r"`device` is 'cuda:2', but torch sees 2 GPU\(s\)"):
        resolve_device("cuda:2")
