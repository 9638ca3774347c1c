"""The Pathfinder experiment: the networks compared, and what they are compared on."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import get_args

import torch
import xarray as xr
from torch import nn

from neurocircuit.analysis.marker_distance import DistanceRule, DistanceScore, marker_distance_score
from neurocircuit.analysis.pathfinder_recipes import FRESH_SEED, PathfinderRecipe, run_description
from neurocircuit.networks import (
    FEEDFORWARD_CONTROLS,
    FeedforwardClassifier,
    HGRUClassifier,
    count_parameters,
    matched_feedforward,
)
from neurocircuit.stimuli import PathfinderBatch, PathfinderSettings
from neurocircuit.training import Evaluation, TrainingResult, evaluate, fit, load_weights, pathfinder_stream, seeded

__all__ = [
    "PATHFINDER_MODELS",
    "accuracy_by_path_length",
    "accuracy_by_steps",
    "build_network",
    "distance_baseline",
    "evaluate_network",
    "load_network",
    "train_network",
]

#: Networks of the experiment by name; the last four are feedforward controls of fixed size.
PATHFINDER_MODELS = (
    "hgru",
    "additive-lesion",
    "multiplicative-lesion",
    "feedforward",
    "feedforward-wide",
    *FEEDFORWARD_CONTROLS,
)


def build_network(name: str, recipe: PathfinderRecipe, seed: int = 0) -> nn.Module:
    """Return a network of the experiment, with weights that follow from the seed.

    Parameters
    ----------
    name : str
        One of `PATHFINDER_MODELS`: ``"hgru"``, its two lesions, ``"feedforward"`` and ``"feedforward-wide"`` (at least
        as many parameters as the hGRU, as few more as possible) or a feedforward control of fixed size.
    recipe : PathfinderRecipe
        Sizes.
    seed : int
        Of the weights.

    Raises
    ------
    ValueError
        If there is no such network.
    """
    if name not in PATHFINDER_MODELS:
        raise ValueError(f"`model` is {name!r}; it must be one of {', '.join(PATHFINDER_MODELS)}.")
    front = {"filters": recipe.channels, "filter_size": recipe.filter_size}
    with seeded(seed):
        if name in FEEDFORWARD_CONTROLS:
            width, kernel_size, dilation = FEEDFORWARD_CONTROLS[name]
            return FeedforwardClassifier(width, kernel_size, dilation=dilation, **front)
        hgru = partial(
            HGRUClassifier,
            recipe.channels,
            recipe.kernel_size,
            recipe.steps,
            variant=recipe.variant,
            filter_size=recipe.filter_size,
        )
        if name in ("feedforward", "feedforward-wide"):
            size = recipe.matched_kernel if name == "feedforward" else recipe.wide_kernel
            return matched_feedforward(count_parameters(hgru()), kernel_sizes=(size,), **front)
        return hgru(lesion=name.removesuffix("-lesion") if name.endswith("-lesion") else None)


def train_network(
    name: str, recipe: PathfinderRecipe, seed: int, folder: str | Path, *, resume: bool = False
) -> TrainingResult:
    """Train a network on fresh images; see `neurocircuit.training.fit` for the files, and for what resuming means.

    Parameters
    ----------
    name : str
        One of `PATHFINDER_MODELS`.
    recipe : PathfinderRecipe
        Images and optimisation.
    seed : int
        Of the weights and the images; below a million, where the seeds of fresh images begin.
    folder : str or Path
        Where the run is kept.
    resume : bool
        Whether to go on with the run in the folder.

    Raises
    ------
    ValueError
        If the seed is not below a million, or as `fit` says.
    """
    if not 0 <= seed < FRESH_SEED:
        raise ValueError(f"`seed` is {seed}; it must be from 0 to {FRESH_SEED - 1}.")
    model = build_network(name, recipe, seed)
    description = run_description(name, recipe)
    config = replace(recipe.training, seed=seed)
    validation = pathfinder_stream(recipe.settings)
    return fit(model, recipe.stream(), validation, config, folder, resume=resume, description=description)


def load_network(name: str, recipe: PathfinderRecipe, folder: str | Path) -> nn.Module:
    """Return a trained network with its best weights.

    Raises
    ------
    FileNotFoundError, ValueError
        If the folder holds no weights, or those of another network.
    """
    model = build_network(name, recipe)
    path = Path(folder) / "best.safetensors"
    found, wanted = load_weights(model, path)["description"], run_description(name, recipe)
    if found != wanted:
        differing = [key for key in wanted["recipe"] if found.get("recipe", {}).get(key) != wanted["recipe"][key]]
        raise ValueError(
            f"'{path}' holds {found.get('model')!r} trained by another recipe; they differ in "
            f"{differing or ['model']}. Evaluate with the flags of the training."
        )
    return model.eval()


def evaluate_network(
    model: nn.Module, settings: PathfinderSettings, images: int, *, seed: int = FRESH_SEED
) -> Evaluation:
    """Measure a network on fresh images."""
    return evaluate(model, pathfinder_stream(settings), images, seed=seed)


def accuracy_by_path_length(
    model: nn.Module, settings: PathfinderSettings, lengths: Iterable[int], images: int, *, seed: int = FRESH_SEED
) -> xr.Dataset:
    """Measure a network on paths of several lengths, of which it may have been trained on few.

    Parameters
    ----------
    model : torch module
        From images to logits.
    settings : PathfinderSettings
        Images; their `contour_length` is replaced.
    lengths : iterable of int
        Paddles of a path.
    images : int
        Fresh images of each length.
    seed : int
        Of the images.

    Returns
    -------
    xarray.Dataset
        ``accuracy``, ``low`` and ``high`` (95 % interval) over ``path_length``.
    """
    chosen = list(lengths)
    found = [evaluate_network(model, replace(settings, contour_length=n), images, seed=seed) for n in chosen]
    return _curve(found, "path_length", chosen, "paddles of a path", "paddles")


def accuracy_by_steps(
    model: HGRUClassifier, settings: PathfinderSettings, images: int, *, seed: int = FRESH_SEED
) -> xr.Dataset:
    """Measure an hGRU that is stopped after 1, 2, ... of its time steps.

    Parameters
    ----------
    model : HGRUClassifier
        The network; its read-out is the one it was trained with, after all steps.
    settings : PathfinderSettings
        Images.
    images : int
        Fresh images.
    seed : int
        Of the images.

    Returns
    -------
    xarray.Dataset
        ``accuracy``, ``low`` and ``high`` (95 % interval) over ``time_step``.
    """
    counts = list(range(1, model.cell.steps + 1))
    found = [evaluate_network(_Stopped(model, count), settings, images, seed=seed) for count in counts]
    return _curve(found, "time_step", counts, "time steps before the read-out", "steps")


class _Stopped(nn.Module):
    """An hGRU that is read out after fewer steps."""

    def __init__(self, model: HGRUClassifier, steps: int) -> None:
        super().__init__()
        self.model, self.steps = model, steps

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.model(image, self.steps)
        return logits


def distance_baseline(batch: PathfinderBatch) -> dict[str, DistanceScore]:
    """Return the accuracy of the marker-distance classifiers, by rule; half of the images are scored.

    Parameters
    ----------
    batch : PathfinderBatch
        Images, as `neurocircuit.stimuli.pathfinder_batch` draws them.
    """
    return {rule: marker_distance_score(batch.marker_distance, batch.labels, rule) for rule in get_args(DistanceRule)}


def _curve(found: list[Evaluation], axis: str, values: list[int], meaning: str, unit: str) -> xr.Dataset:
    data = {
        name: (axis, [getattr(evaluation, name) for evaluation in found], {"units": "1"})
        for name in ("accuracy", "low", "high")
    }
    return xr.Dataset(data, coords={axis: (axis, values, {"long_name": meaning, "units": unit})})
