"""Training continuous-time networks on cognitive tasks: recipes, runs, and what a trained network scores."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from neurocircuit.circuits.perturbation import Perturbation
from neurocircuit.circuits.rate_network import RateNetwork
from neurocircuit.networks import CTRNN, CTRNNSettings, run_network
from neurocircuit.tasks import Task, Trials, make_task
from neurocircuit.training import (
    TrainingConfig,
    TrainingResult,
    fit,
    load_weights,
    read_log,
    trial_objective,
    trial_stream,
)

__all__ = [
    "CTRNN_RECIPES",
    "FRESH_TRIALS",
    "CTRNNRecipe",
    "TrainedTask",
    "build_ctrnn",
    "check_channels",
    "iterations_to",
    "load_trained",
    "named_recipe",
    "network_outputs",
    "quick_recipe",
    "recipe_description",
    "train_task",
]

#: Fresh trials are drawn under seeds from here on, which no training run uses.
FRESH_TRIALS = 1_000_000

#: Trials that are run through a network at once when it is scored; bounds the memory, not the result.
_CHUNK = 100


@dataclass(frozen=True, kw_only=True)
class CTRNNRecipe:
    """Everything that defines a training run but the seed.

    Raises
    ------
    ValueError
        If the network is not of the task's size, or the criterion is no accuracy.
    """

    task: Task
    """The task."""
    network: CTRNNSettings
    """The network, and the time step of the trials."""
    training: TrainingConfig
    """The optimisation; its seed is replaced by the run's."""
    hard: Mapping[str, Any] = field(default_factory=dict)
    """Conditions of the trials on which training is validated; empty validates on all trials."""
    criterion: float = 0.95
    """Accuracy on these trials from which the task counts as learned."""

    def __post_init__(self) -> None:
        for name in ("n_inputs", "n_outputs"):
            found, wanted = getattr(self.network, name), getattr(self.task, name)
            if found != wanted:
                raise ValueError(
                    f"`network` has {name}={found}, but task {self.task.name} needs {wanted}; use network="
                    f"replace(network, {name}={wanted})."
                )
        if not 0 < self.criterion <= 1:
            raise ValueError(f"`criterion` is {self.criterion}; it must be above 0 and at most 1.")

    def with_network(self, **changes: Any) -> CTRNNRecipe:
        """Return the recipe with some settings of the network changed."""
        return replace(self, network=replace(self.network, **changes))

    def with_training(self, **changes: Any) -> CTRNNRecipe:
        """Return the recipe with some settings of the optimisation changed."""
        return replace(self, training=replace(self.training, **changes))


def _recipe(task: Task, network: Mapping[str, Any], training: TrainingConfig, **settings: Any) -> CTRNNRecipe:
    sized = CTRNNSettings(n_inputs=task.n_inputs, n_outputs=task.n_outputs, **network)
    return CTRNNRecipe(task=task, network=sized, training=training, **settings)


# The tutorial's optimisation: Adam at 1e-3 in batches of 64. It stops on validation trials and somewhat above the
# criterion, so that fresh trials do not fall below it by chance.
_TUTORIAL = TrainingConfig(
    steps=1500,
    batch_size=64,
    learning_rate=1e-3,
    evaluation_samples=512,
    evaluate_every=50,
    checkpoint_every=50,
    log_every=50,
    target=0.98,
)
# Noisy evidence bounds the accuracy: pycog (Song et al. 2016) stops at 0.85, averaged over its coherences.
_NOISY = {"criterion": 0.85}
# Ten times the tutorial's step, with time constants that hold evidence for longer.
_SLOWER = {"n_units": 100, "tau": 50.0, "step": 10.0}

#: Recipes by name: the tutorial's three tasks and network sizes, then the tasks in their standard form.
CTRNN_RECIPES: Mapping[str, CTRNNRecipe] = MappingProxyType(
    {
        "mante": _recipe(make_task("mante", "tutorial"), {}, _TUTORIAL, hard={"incongruent": True}),
        # In these two all signs are right while the output is still tiny, so that training goes on until the loss is
        # well below that of no output (1/3), and to the tutorial's loss.
        "dmts": _recipe(make_task("dmts", "tutorial"), {}, replace(_TUTORIAL, steps=3000, best="loss", target=0.2)),
        "gonogo": _recipe(make_task("gonogo", "tutorial"), {}, replace(_TUTORIAL, best="loss", target=0.01)),
        **{
            f"{name}-standard": _recipe(make_task(name), _SLOWER, replace(_TUTORIAL, steps=3000))
            for name in ("dmts", "gonogo")
        },
        "memory": _recipe(make_task("memory"), _SLOWER, replace(_TUTORIAL, steps=3000)),
        **{
            name: _recipe(make_task(task), _SLOWER, replace(_TUTORIAL, steps=3000, target=0.88), **settings)
            for name, task, settings in (
                ("mante-standard", "mante", _NOISY | {"hard": {"incongruent": True}}),
                ("perceptual", "perceptual", _NOISY),
                ("perceptual-variable", "perceptual_variable", _NOISY),
                ("perceptual-reaction-time", "perceptual_reaction_time", _NOISY),
                ("multisensory", "multisensory", _NOISY),
            )
        },
    }
)


def named_recipe(name: str) -> CTRNNRecipe:
    """Return a recipe of `CTRNN_RECIPES`.

    Raises
    ------
    ValueError
        If there is no such recipe.
    """
    if name not in CTRNN_RECIPES:
        raise ValueError(f"`task` is {name!r}; it must be one of {', '.join(CTRNN_RECIPES)}.")
    return CTRNN_RECIPES[name]


def quick_recipe(recipe: CTRNNRecipe) -> CTRNNRecipe:
    """Return a recipe that runs in seconds and learns nothing, to see that everything works."""
    few = {"steps": 4, "batch_size": 4, "evaluation_samples": 8, "evaluate_every": 2, "checkpoint_every": 2}
    return recipe.with_network(n_units=20).with_training(**few, log_every=1, target=None)


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


def check_channels(network: RateNetwork, task: Task | Trials) -> None:
    """Refuse a network whose inputs and outputs are not those of a task, or of its trials.

    Parameters
    ----------
    network : RateNetwork
        The network. Names that it was not given are not compared.
    task : Task or Trials
        The task, or trials of it.

    Raises
    ------
    ValueError
        If the numbers or the names differ.
    """
    name = task.task if isinstance(task, Trials) else task.name
    sizes = (len(task.input_names), len(task.output_names))
    if sizes != (network.n_inputs, network.n_outputs):
        raise ValueError(
            f"`network` has {network.n_inputs} inputs and {network.n_outputs} outputs; the task {name} has {sizes[0]} "
            f"and {sizes[1]}. Do they belong together?"
        )
    unnamed = network.replace(input_names=(), output_names=())
    for names in ("input_names", "output_names"):
        found, wanted = getattr(network, names), getattr(task, names)
        if found not in (wanted, getattr(unnamed, names)):
            raise ValueError(
                f"`network` has the {names} {', '.join(found)}; the task {name} has {', '.join(wanted)}. Take a "
                "network that was trained on the task, in the same variant."
            )


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


def network_outputs(
    network: RateNetwork, trials: Trials, perturbations: Sequence[Perturbation] = ()
) -> npt.NDArray[np.float64]:
    """Return what a network answers without noise of its own, (trial, time, output).

    Parameters
    ----------
    network : RateNetwork
        The network.
    trials : Trials
        Trials at the network's time step.
    perturbations : sequence of Lesion or Pulse
        What is done to the network meanwhile.

    Raises
    ------
    ValueError
        If the trials have another time step, or are of another task (see `check_channels`).
    """
    check_channels(network, trials)
    if not np.isclose(trials.step, network.step):
        raise ValueError(
            f"`trials` have a step of {trials.step:g} ms and `network` was trained with {network.step:g} ms; draw the "
            "trials with step=network.step."
        )
    parts = [trials.inputs[at : at + _CHUNK] for at in range(0, trials.n_trials, _CHUNK)]
    return np.concatenate([run_network(network, part, perturbations=perturbations).outputs for part in parts])


def recipe_description(recipe: CTRNNRecipe) -> dict[str, Any]:
    """Return what a network and its trials are, as JSON gives it back; the training's own settings are kept apart."""
    found = {
        "task": {"name": recipe.task.name, **_described(recipe.task)},
        "network": asdict(recipe.network),
        "hard": dict(recipe.hard),
        "criterion": recipe.criterion,
    }
    described: dict[str, Any] = json.loads(json.dumps(found))
    return described


def _described(task: Task) -> dict[str, Any]:
    """Return the settings of a task; a random duration as text, which tells the kinds of distribution apart."""
    plain = (int, float, str, tuple, type(None))
    values = {setting.name: getattr(task, setting.name) for setting in fields(task)}
    return {name: value if isinstance(value, plain) else repr(value) for name, value in values.items()}
