"""Recipes for training continuous-time networks on cognitive tasks: task, network, optimisation, criterion."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from types import MappingProxyType
from typing import Any

from neurocircuit.networks import CTRNNSettings
from neurocircuit.tasks import Task, make_task
from neurocircuit.training import TrainingConfig

__all__ = ["CTRNN_RECIPES", "FRESH_TRIALS", "CTRNNRecipe", "named_recipe", "quick_recipe", "recipe_description"]

#: Fresh trials are drawn under seeds from here on, which no training run uses.
FRESH_TRIALS = 1_000_000


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
