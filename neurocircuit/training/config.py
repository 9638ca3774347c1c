"""What a training run is: every number that decides its result, checked at the door."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields
from typing import Literal, get_args, get_type_hints

import torch
from torch import nn

from neurocircuit.checks import check_whole
from neurocircuit.errors import BackendUnavailableError

__all__ = ["Precision", "TrainingConfig", "build_optimizer", "differing_fields", "learning_rate_at", "resolve_device"]

Precision = Literal["float32", "float64", "bfloat16", "float16"]

_COUNTS = ("steps", "batch_size", "evaluate_every", "checkpoint_every", "log_every")


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """Settings of one run; nothing else decides its numbers, but the model, the data and the machine.

    Raises
    ------
    ValueError
        If a value is not allowed, or two values contradict each other.
    TypeError
        If a count is not an integer.
    """

    steps: int
    """Optimiser steps in all."""
    batch_size: int = 32
    """Samples per step, over all processes together."""
    learning_rate: float = 1e-3
    """Step size of the optimiser before the schedule; the default is the published recipe's."""
    optimizer: Literal["adam", "adamw", "nadam", "sgd"] = "adam"
    """adam, adamw, nadam or sgd."""
    momentum: float = 0.9
    """Momentum of sgd; the other optimisers keep torch's."""
    weight_decay: float = 0.0
    """Weight decay as the optimiser defines it."""
    schedule: Literal["constant", "step", "cosine"] = "constant"
    """constant, step (times `decay_factor` at each milestone) or cosine (from full rate to zero at the last step)."""
    milestones: tuple[int, ...] = ()
    """Steps at which the schedule 'step' decays."""
    decay_factor: float = 0.1
    """Factor at each milestone."""
    warmup_steps: int = 0
    """Steps over which the rate rises linearly to its full value, with any schedule."""
    gradient_clip: float | None = None
    """Largest Euclidean norm of the whole gradient; None does not clip."""
    precision: Precision = "float32"
    """float32, float64 (parameters too), or bfloat16 and float16 (autocast; parameters stay float32)."""
    device: str = "cpu"
    """cpu, cuda or cuda:N. With several processes, cuda is one GPU per process."""
    seed: int = 0
    """Decides training data, validation data and whatever is random in the model."""
    evaluation_samples: int | None = None
    """Validation samples at each evaluation; None is all of a finite validation set."""
    evaluate_every: int = 500
    """Steps between evaluations."""
    checkpoint_every: int = 500
    """Steps between checkpoints."""
    log_every: int = 50
    """Steps between lines of the log."""
    patience: int | None = None
    """Stop after this many evaluations in a row without a new best; None never does."""
    best: Literal["accuracy", "loss"] = "accuracy"
    """The best weights are those of highest validation accuracy (equal: of lower loss), or of lowest loss."""
    target: float | None = None
    """Stop at the first evaluation with this accuracy or more, or, where `best` is loss, this loss or less."""
    workers: int = 0
    """Background processes that prepare batches. Their number does not change the data."""
    tensorboard: bool = False
    """Write the log for TensorBoard as well."""

    def __post_init__(self) -> None:
        for name in _COUNTS:
            self._check_whole(name, 1)
        for name in ("seed", "warmup_steps", "workers"):
            self._check_whole(name, 0)
        for name in ("evaluation_samples", "patience"):
            if getattr(self, name) is not None:
                self._check_whole(name, 1)
        self._check_choices()
        _check_number("learning_rate", self.learning_rate, self.learning_rate > 0, "above 0")
        _check_number("momentum", self.momentum, 0 <= self.momentum < 1, "at least 0 and below 1")
        _check_number("weight_decay", self.weight_decay, self.weight_decay >= 0, "at least 0")
        _check_number("decay_factor", self.decay_factor, 0 < self.decay_factor <= 1, "above 0 and at most 1")
        if self.gradient_clip is not None:
            _check_number("gradient_clip", self.gradient_clip, self.gradient_clip > 0, "above 0, or None")
        if self.target is not None:
            most, text = (
                (1.0, "above 0 and at most 1, or None") if self.best == "accuracy" else (math.inf, "above 0, or None")
            )
            _check_number("target", self.target, 0 < self.target <= most, text)
        self._check_schedule()

    def _check_choices(self) -> None:
        hints = get_type_hints(type(self))
        for name in ("optimizer", "schedule", "precision", "best"):
            allowed = get_args(hints[name])
            if getattr(self, name) not in allowed:
                raise ValueError(f"`{name}` is {getattr(self, name)!r}; it must be one of {', '.join(allowed)}.")

    def _check_whole(self, name: str, least: int) -> None:
        # Python's int, because JSON knows no other.
        object.__setattr__(self, name, check_whole(name, getattr(self, name), least))

    def _check_schedule(self) -> None:
        # A configuration that comes back from a file has lists.
        object.__setattr__(self, "milestones", tuple(self.milestones))
        if bool(self.milestones) != (self.schedule == "step"):
            raise ValueError(
                f"`milestones` is {self.milestones} and `schedule` is {self.schedule!r}; milestones go with the "
                "schedule 'step', which needs at least one."
            )
        if list(self.milestones) != sorted({*self.milestones}) or any(m < 1 for m in self.milestones):
            raise ValueError(f"`milestones` is {self.milestones}; it must be rising steps, each at least 1.")
        if self.warmup_steps >= self.steps:
            raise ValueError(
                f"`warmup_steps` is {self.warmup_steps} but `steps` is {self.steps}; warm-up must end before training."
            )


def _check_number(name: str, value: float, allowed: bool, range_: str) -> None:
    if not (allowed and math.isfinite(value)):
        raise ValueError(f"`{name}` is {value}; it must be {range_}.")


def learning_rate_at(config: TrainingConfig, step: int) -> float:
    """Return the learning rate of one step, the first being step 0; a pure function, so there is no schedule to save.

    Examples
    --------
    >>> config = TrainingConfig(steps=30, learning_rate=0.1, schedule="step", milestones=(10, 20))
    >>> [f"{learning_rate_at(config, step):g}" for step in (9, 10, 20)]
    ['0.1', '0.01', '0.001']
    """
    if step < config.warmup_steps:
        return config.learning_rate * (step + 1) / config.warmup_steps
    if config.schedule == "step":
        return config.learning_rate * config.decay_factor ** sum(step >= m for m in config.milestones)
    if config.schedule == "cosine":
        progress = (step - config.warmup_steps) / (config.steps - config.warmup_steps)
        return config.learning_rate * 0.5 * (1 + math.cos(math.pi * progress))
    return config.learning_rate


def build_optimizer(config: TrainingConfig, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
    """Return the optimiser of a configuration over the parameters that need a gradient."""
    trained = [parameter for parameter in parameters if parameter.requires_grad]
    if not trained:
        raise ValueError("`model` has no parameter that needs a gradient; there is nothing to train.")
    rate, decay = config.learning_rate, config.weight_decay
    make: dict[str, Callable[[], torch.optim.Optimizer]] = {
        "adam": lambda: torch.optim.Adam(trained, rate, weight_decay=decay),
        "adamw": lambda: torch.optim.AdamW(trained, rate, weight_decay=decay),
        "nadam": lambda: torch.optim.NAdam(trained, rate, weight_decay=decay),
        "sgd": lambda: torch.optim.SGD(trained, rate, momentum=config.momentum, weight_decay=decay),
    }
    return make[config.optimizer]()


def resolve_device(name: str, local_rank: int = 0) -> torch.device:
    """Return the device of a name; plain 'cuda' is the GPU of this process.

    Raises
    ------
    ValueError
        If the name is not one torch knows.
    BackendUnavailableError
        If CUDA was asked for and is absent, or that GPU does not exist.
    """
    try:
        device = torch.device(name)
    except RuntimeError:
        device = None
    if device is None or device.type not in ("cpu", "cuda"):
        raise ValueError(f"`device` is {name!r}; it must be 'cpu', 'cuda' or 'cuda:N'.")
    if device.type == "cpu":
        return device
    if not torch.cuda.is_available():
        raise BackendUnavailableError(f"`device` is {name!r}, but torch sees no CUDA GPU here. Use device='cpu'.")
    device = torch.device("cuda", local_rank if device.index is None else device.index)
    if device.index >= torch.cuda.device_count():
        raise BackendUnavailableError(
            f"`device` is '{device}', but torch sees {torch.cuda.device_count()} GPU(s), the first being cuda:0."
        )
    return device


def differing_fields(found: TrainingConfig, asked: TrainingConfig) -> list[str]:
    """Return the names of the fields in which two configurations differ."""
    return [f.name for f in fields(TrainingConfig) if getattr(found, f.name) != getattr(asked, f.name)]
