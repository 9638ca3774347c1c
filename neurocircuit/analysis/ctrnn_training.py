"""Training continuous-time networks on cognitive tasks, until a criterion."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from neurocircuit.analysis.ctrnn_outputs import check_channels
from neurocircuit.analysis.ctrnn_recipes import FRESH_TRIALS, CTRNNRecipe, recipe_description
from neurocircuit.circuits.rate_network import RateNetwork
from neurocircuit.networks import CTRNN
from neurocircuit.training import TrainingResult, fit, load_weights, read_log, trial_objective, trial_stream

__all__ = ["TrainedTask", "build_ctrnn", "iterations_to", "load_trained", "train_task"]


@dataclass(frozen=True)
class TrainedTask:
    """A run that has ended."""

    training: TrainingResult
    """How it went."""
    network: RateNetwork
    """The network with its best weights."""
    path: Path
    """File of that network; `RateNetwork.load` reads it."""
    criterion_step: int | None
    """Training step of the first validation at the criterion; None if there was none."""


def build_ctrnn(recipe: CTRNNRecipe, seed: int = 0) -> CTRNN:
    """Return the network of a recipe, with weights that follow from the seed."""
    return CTRNN(recipe.network, seed=seed)


def train_task(recipe: CTRNNRecipe, seed: int, folder: str | Path, *, resume: bool = False) -> TrainedTask:
    """Train a network on fresh trials of a task, until its criterion or its last step.

    The folder gets the files of `neurocircuit.training.fit` and ``network.safetensors``, the network with its best
    weights as `RateNetwork.load` reads it.

    Parameters
    ----------
    recipe : CTRNNRecipe
        Task, network and optimisation.
    seed : int
        Of the weights, the trials and the noise; below a million, where the seeds of fresh trials begin.
    folder : str or Path
        Where the run is kept.
    resume : bool
        Whether to go on with the run in the folder; a run that has ended is only reported.

    Returns
    -------
    TrainedTask
        The trained network and how training went.

    Raises
    ------
    ValueError
        If the seed is not below a million, or as `fit` says.
    """
    if not 0 <= seed < FRESH_TRIALS:
        raise ValueError(f"`seed` is {seed}; it must be from 0 to {FRESH_TRIALS - 1}.")
    task, model = recipe.task, build_ctrnn(recipe, seed)
    config = replace(recipe.training, seed=seed)
    stream = partial(trial_stream, task, step=recipe.network.step, block=config.batch_size)
    result = fit(
        model,
        stream(),
        stream(keep=recipe.hard),
        config,
        folder,
        resume=resume,
        objective=trial_objective(task),
        description=recipe_description(recipe),
    )
    load_weights(model, result.weights)
    network = model.network(task.input_names, task.output_names)
    path = network.save(result.folder / "network.safetensors")
    return TrainedTask(result, network, path, iterations_to(recipe.criterion, read_log(result.folder)))


def load_trained(recipe: CTRNNRecipe, folder: str | Path) -> RateNetwork:
    """Return the network that `train_task` kept in a folder.

    Raises
    ------
    FileNotFoundError
        If the folder holds no finished run.
    ValueError
        If the network is of another task (see `check_channels`), or breaks Dale's law.
    """
    network = RateNetwork.load(Path(folder) / "network.safetensors")
    check_channels(network, recipe.task)
    return network


def iterations_to(criterion: float, log: Sequence[Mapping[str, Any]]) -> int | None:
    """Return the step of the first validation whose accuracy is at least the criterion, or None.

    Parameters
    ----------
    criterion : float
        Accuracy.
    log : sequence of lines
        See `neurocircuit.training.read_log`.
    """
    return next((line["step"] for line in log if line.get("validation_accuracy", -1.0) >= criterion), None)
