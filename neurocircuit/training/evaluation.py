"""Loss and accuracy over samples: exact means, whatever the sizes of the batches, and a confidence interval."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from neurocircuit.errors import NonFiniteError
from neurocircuit.intervals import accuracy_interval
from neurocircuit.training.config import Precision
from neurocircuit.training.processes import Processes
from neurocircuit.training.seeding import Purpose, derived_seed, seeded
from neurocircuit.training.sources import Batch, Source, load_batches

__all__ = [
    "Evaluation",
    "Meter",
    "Objective",
    "autocast",
    "check_labels",
    "classification_loss",
    "classified",
    "evaluate",
    "evaluating",
    "parameter_place",
    "sample_count",
    "to_place",
]


@dataclass(frozen=True)
class Evaluation:
    """How a model did on some samples."""

    loss: float
    """Mean loss per sample."""
    accuracy: float
    """Fraction of samples answered correctly."""
    samples: int
    """Number of samples."""
    low: float
    """Lower end of the Wilson 95 % interval of the accuracy."""
    high: float
    """Upper end of that interval."""


def classified(outputs: Tensor, targets: Tensor) -> Tensor:
    """Return for each sample whether its largest output, along axis 1, is at its target."""
    return outputs.argmax(1) == targets


def check_labels(outputs: Tensor, targets: Tensor) -> None:
    """Check labels against outputs, (batch, class); torch would pass over -100 silently.

    Raises
    ------
    ValueError
        If a label is not the number of a class.
    """
    wrong = (targets < 0) | (targets >= outputs.shape[1])
    if wrong.any():
        place = int(wrong.nonzero()[0, 0])
        raise ValueError(
            f"`targets` has the label {int(targets[place])} at place {place} of its batch; with {outputs.shape[1]} "
            f"outputs it must be 0 to {outputs.shape[1] - 1}."
        )


def classification_loss(outputs: Tensor, targets: Tensor) -> Tensor:
    """Return the mean cross-entropy of logits, (batch, class), and labels.

    Raises
    ------
    ValueError
        If a label is not the number of a class.
    """
    check_labels(outputs, targets)
    return cross_entropy(outputs, targets)


@dataclass(frozen=True)
class Objective:
    """What is minimised, and what counts as correct."""

    loss: Callable[[Any, Any], Tensor] = classification_loss
    """``loss(outputs, targets)``, the mean over the batch."""
    correct: Callable[[Any, Any], Tensor] = classified
    """``correct(outputs, targets)``, true or false for each sample."""


class Meter:
    """Sums of loss and correct answers, from which exact means follow."""

    def __init__(self, sums: Tensor | None = None) -> None:
        #: Summed loss, correct answers, samples: a float64 tensor, so that it can be saved and added over processes.
        self.sums = torch.zeros(3, dtype=torch.float64) if sums is None else sums.clone()

    def add(self, loss: float, correct: Tensor) -> None:
        """Count one batch, whose mean loss is given."""
        count = correct.numel()
        self.sums += torch.tensor([loss * count, float(correct.sum()), count], dtype=torch.float64)

    def result(self, processes: Processes | None = None) -> Evaluation:
        """Return the means so far, over all processes if they are given."""
        sums = self.sums if processes is None else processes.total(self.sums.clone())
        loss, correct, count = sums.tolist()
        return Evaluation(loss / count, correct / count, int(count), *accuracy_interval(int(correct), int(count)))


def autocast(precision: Precision, device: torch.device) -> contextlib.AbstractContextManager[Any]:
    """Return the block in which a forward pass runs at a precision."""
    if precision in ("bfloat16", "float16"):
        return torch.autocast(device.type, dtype=getattr(torch, precision))
    return contextlib.nullcontext()


def parameter_place(model: nn.Module) -> tuple[torch.device, torch.dtype]:
    """Return the device and type of a model's parameters."""
    parameter = next(model.parameters(), torch.empty(()))
    return parameter.device, parameter.dtype


def to_place(batch: Batch, device: torch.device, dtype: torch.dtype) -> Batch:
    """Return a batch on a device, with floating-point tensors in a type; integers keep theirs, the rest stays."""

    def move(value: Any) -> Any:
        if isinstance(value, Tensor):
            return value.to(device, dtype if value.is_floating_point() else None, non_blocking=True)
        return type(value)(move(item) for item in value) if isinstance(value, (tuple, list)) else value

    inputs, targets = batch
    return move(inputs), move(targets)


def evaluate(
    model: nn.Module,
    source: Source,
    samples: int | None = None,
    *,
    seed: int = 0,
    batch_size: int = 128,
    objective: Objective = Objective(),
    precision: Precision = "float32",
    workers: int = 0,
    processes: Processes | None = None,
) -> Evaluation:
    """Measure a model on the first samples of a source, in evaluation mode and without gradients.

    Parameters
    ----------
    model : torch module
        Used where its parameters are; left in the mode it was in.
    source : Source
        Where the samples come from.
    samples : int, optional
        How many; by default all of a finite source.
    seed : int
        Seed of the samples, and of whatever is random in the model.
    batch_size : int
        Samples per forward pass, over all processes; does not change the result but by rounding, unless something in
        the model is random.
    objective : Objective
        Loss and rule of correctness.
    precision : str
        As in `TrainingConfig`; parameters keep their type.
    workers : int
        Background processes that prepare batches.
    processes : Processes, optional
        Processes that share the work; each gets the result.

    Returns
    -------
    Evaluation
        Means and interval.

    Raises
    ------
    ValueError
        If `samples` is missing for an endless source, below 1, or more than a finite source has.
    NonFiniteError
        If the loss of a batch is NaN or infinite.
    """
    count = sample_count(source, samples)
    if batch_size < 1:
        raise ValueError(f"`batch_size` is {batch_size!r}; it must be at least 1.")
    device, dtype = parameter_place(model)
    ranges = [range(first, min(first + batch_size, count)) for first in range(0, count, batch_size)]
    if processes is not None:
        ranges = [share for share in map(processes.share, ranges) if share]
    meter = Meter()
    with torch.no_grad(), seeded(derived_seed(seed, Purpose.EVALUATION), device), evaluating(model):
        for positions, batch in zip(ranges, load_batches(source, seed, ranges, workers=workers), strict=True):
            inputs, targets = to_place(batch, device, dtype)
            with autocast(precision, device):
                outputs = model(inputs)
                loss = float(objective.loss(outputs, targets))
            if not math.isfinite(loss):
                raise NonFiniteError(
                    f"The loss of the evaluation samples {source.indices(seed, positions)} of seed {seed} is {loss}. "
                    "Check those inputs, or the weights."
                )
            meter.add(loss, objective.correct(outputs, targets))
    return meter.result(processes)


@contextlib.contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Put a model into evaluation mode, and every module back into its own mode afterwards."""
    # Module by module, so that a frozen batch norm of a model in training stays frozen.
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode


def sample_count(source: Source, samples: int | None) -> int:
    """Return how many samples to evaluate, or say why that many cannot be; see `evaluate`."""
    if samples is None:
        if source.size is None:
            raise ValueError("`samples` is None but the source has no end; say how many samples to evaluate.")
        return source.size
    if samples < 1 or (source.size is not None and samples > source.size):
        most = "" if source.size is None else f" and at most {source.size}, the size of the source"
        raise ValueError(f"`samples` is {samples}; it must be at least 1{most}.")
    return samples
