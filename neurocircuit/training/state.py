"""The state of a run: what a checkpoint holds, how a run begins and how it goes on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from neurocircuit.errors import NonFiniteError
from neurocircuit.training import checkpoints
from neurocircuit.training.config import TrainingConfig, build_optimizer, differing_fields
from neurocircuit.training.environment import run_environment, warn_of_changes
from neurocircuit.training.evaluation import Evaluation, Meter, Objective
from neurocircuit.training.processes import Processes

__all__ = ["Progress", "Run", "begin", "identity", "prepare", "resume_run", "save", "save_best"]

#: Fields that a resumed run may change: they alter what is reported and how, not what a step computes.
_MAY_CHANGE = {
    "steps",
    "evaluate_every",
    "checkpoint_every",
    "log_every",
    "patience",
    "target",
    "workers",
    "tensorboard",
    "device",
}


@dataclass
class Progress:
    """The counters and the best weights of a run: with model, optimiser and scaler all that changes from step to step.

    Only the process that writes files has the weights; checkpoints of before they were kept have none.
    """

    step: int = 0
    seconds: float = 0.0
    stale: int = 0
    best_step: int = 0
    best: Evaluation | None = None
    best_weights: dict[str, Tensor] | None = None
    last: Evaluation | None = None
    meter: Meter = field(default_factory=Meter)

    def state(self) -> dict[str, Any]:
        """Return what a checkpoint holds of it."""
        evaluations = {name: value and asdict(value) for name, value in (("best", self.best), ("last", self.last))}
        return {**vars(self), **evaluations, "meter": self.meter.sums.clone()}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Progress:
        """Return the progress that a checkpoint holds."""
        evaluations = {name: state[name] and Evaluation(**state[name]) for name in ("best", "last")}
        return cls(**{**state, **evaluations, "meter": Meter(state["meter"])})


@dataclass
class Run:
    """Everything one call of `fit` works on."""

    model: nn.Module
    wrapped: nn.Module
    optimizer: torch.optim.Optimizer
    scaler: torch.amp.GradScaler
    config: TrainingConfig
    objective: Objective
    processes: Processes
    folder: Path
    description: dict[str, Any]
    environment: dict[str, str]
    progress: Progress

    @property
    def weights_file(self) -> Path:
        """Where the best weights are."""
        return self.folder / "best.safetensors"


def prepare(
    model: nn.Module,
    config: TrainingConfig,
    folder: Path,
    processes: Processes,
    objective: Objective,
    description: dict[str, Any],
) -> Run:
    """Move the model to its device and type, and make what belongs to it."""
    if config.batch_size % processes.count:
        raise ValueError(
            f"`batch_size` is {config.batch_size}, which {processes.count} processes cannot share equally; "
            "use a multiple."
        )
    model.to(processes.device, torch.float64 if config.precision == "float64" else torch.float32)
    optimizer = build_optimizer(config, model.parameters())
    scaler = torch.amp.GradScaler(processes.device.type, enabled=config.precision == "float16")
    environment = run_environment(processes.device, processes.count)
    return Run(
        model, model, optimizer, scaler, config, objective, processes, folder, description, environment, Progress()
    )


def begin(run: Run) -> None:
    """Start a run in a folder that holds none."""
    if checkpoints.has_run(run.folder):
        raise FileExistsError(
            f"`folder` is '{run.folder}', which already holds a run. Go on with resume=True, or use another folder."
        )
    # Everyone has looked before the first process writes.
    run.processes.wait()
    # A run killed before its first interval is over can be resumed too.
    save(run)


def resume_run(run: Run) -> None:
    """Put model, optimiser, scaler and counters back to where the newest checkpoint has them."""
    state = checkpoints.load_newest(run.folder)
    _check_same_run(run, state)
    step = state["progress"]["step"]
    if run.config.steps < step:
        raise ValueError(f"`steps` is {run.config.steps}, but the run in '{run.folder}' is already at step {step}.")
    # Everyone has read before the first process renames anything.
    run.processes.wait()
    checkpoints.load_state(run.model, state["model"], f"{run.folder}, step {step}")
    run.optimizer.load_state_dict(state["optimizer"])
    run.scaler.load_state_dict(state["scaler"])
    run.progress = Progress.from_state(state["progress"])
    if run.processes.writes:
        checkpoints.tidy(run.folder, step)
        _restore_best(run)


def _check_same_run(run: Run, state: Mapping[str, Any]) -> None:
    try:
        found = TrainingConfig(**state["config"])
    except TypeError as error:
        raise ValueError(f"The checkpoint in '{run.folder}' is of another version of this library: {error}.") from error
    differing = [name for name in differing_fields(found, run.config) if name not in _MAY_CHANGE]
    if found.steps != run.config.steps and run.config.schedule == "cosine":
        differing.append("steps")
    pairs = [(f"`{name}`", getattr(found, name), getattr(run.config, name)) for name in differing]
    if state["description"] != run.description:
        pairs.append(("`description`", state["description"], run.description))
    if pairs:
        text = "; ".join(f"{name} was {old!r} and is now {new!r}" for name, old, new in pairs)
        raise ValueError(f"The checkpoint in '{run.folder}' is of another run: {text}. Use these, or another folder.")
    if run.processes.writes:
        warn_of_changes(state["environment"], run.environment, stacklevel=5)


def save(run: Run) -> None:
    """Write a checkpoint, if this process writes and the weights are finite; see `neurocircuit.training.fit`."""
    if not run.processes.writes:
        return
    wrong = [name for name, parameter in run.model.named_parameters() if not _finite(parameter)]
    if wrong:
        raise NonFiniteError(
            f"Training stopped after step {run.progress.step}: the weights {', '.join(wrong)} are NaN or infinite. "
            f"Last good checkpoint: {checkpoints.newest_name(run.folder)}. "
            "Lower `learning_rate` or set `gradient_clip`."
        )
    state = {
        "step": run.progress.step,
        "progress": run.progress.state(),
        "model": run.model.state_dict(),
        "optimizer": run.optimizer.state_dict(),
        "scaler": run.scaler.state_dict(),
        **identity(run),
    }
    checkpoints.save_checkpoint(run.folder, state)


def save_best(run: Run) -> None:
    """Write the best weights and what is known of them."""
    progress = run.progress
    if progress.best is not None and progress.best_weights is not None:
        metadata = {"step": progress.best_step, "evaluation": asdict(progress.best), **identity(run)}
        checkpoints.write_weights(progress.best_weights, run.weights_file, metadata)


def _restore_best(run: Run) -> None:
    """Write the best weights anew if their file is of another step: of an evaluation later than the checkpoint."""
    try:
        step = checkpoints.read_weights(run.weights_file)[1].get("step")
    except (FileNotFoundError, ValueError):
        step = None
    if step != run.progress.best_step:
        save_best(run)


def _finite(tensor: Tensor) -> bool:
    return bool(torch.isfinite(tensor).all())


def identity(run: Run) -> dict[str, Any]:
    """Return what tells one run from another, as JSON."""
    return {"config": asdict(run.config), "description": run.description, "environment": run.environment}
