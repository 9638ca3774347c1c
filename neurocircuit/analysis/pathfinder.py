"""The Pathfinder experiment: recipes, the networks compared, and what they are compared on."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any, get_args

import torch
import xarray as xr
from torch import nn

from neurocircuit.analysis.marker_distance import DistanceRule, DistanceScore, marker_distance_score
from neurocircuit.networks import (
    FEEDFORWARD_CONTROLS,
    FeedforwardClassifier,
    HGRUClassifier,
    count_parameters,
    matched_feedforward,
)
from neurocircuit.stimuli import DIFFICULTIES, PathfinderBatch, PathfinderSettings
from neurocircuit.training import (
    Batch,
    Evaluation,
    StreamSource,
    TrainingConfig,
    TrainingResult,
    evaluate,
    fit,
    load_weights,
    pathfinder_stream,
    seeded,
)

__all__ = [
    "FRESH_SEED",
    "PATHFINDER_MODELS",
    "PATHFINDER_RECIPES",
    "PathfinderRecipe",
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

#: Fresh images are drawn under seeds from here on, which no training run uses.
FRESH_SEED = 1_000_000


Curriculum = tuple[tuple[int, tuple[PathfinderSettings, ...]], ...]


@dataclass(frozen=True, kw_only=True)
class PathfinderRecipe:
    """Everything that defines a training run but the model's name and the seed.

    Parameters
    ----------
    settings : PathfinderSettings
        The images.
    training : TrainingConfig
        The optimisation; its seed is replaced by the run's.
    curriculum : tuple of (int, tuple of PathfinderSettings)
        Easier images to begin with: each pair holds until that many images have been seen, and its settings take turns.
    variant : {"batchnorm", "paper"}
        Form of the hGRU.
    channels, kernel_size, steps, filter_size : int
        Size of the hGRU; see `neurocircuit.networks.HGRUClassifier`.
    matched_kernel, wide_kernel : int
        Kernel sizes of the two feedforward controls of equal parameters. The first sees about the share of the field
        that the published controls see, the second the whole field.
    """

    settings: PathfinderSettings
    training: TrainingConfig
    curriculum: Curriculum = ()
    variant: str = "batchnorm"
    channels: int = 25
    kernel_size: int = 15
    steps: int = 8
    filter_size: int = 7
    matched_kernel: int = 15
    wide_kernel: int = 31

    def __post_init__(self) -> None:
        easier = [settings for _, mixture in self.curriculum for settings in mixture]
        sizes = {settings.image_size for settings in (self.settings, *easier)}
        ends = [end for end, _ in self.curriculum]
        if len(sizes) > 1:
            raise ValueError(f"`curriculum` has images of {sorted(sizes)} pixels; all must be of one size.")
        if ends != sorted(set(ends)):
            raise ValueError(f"`curriculum` ends its phases at {ends} images; these numbers must rise.")

    def stream(self) -> StreamSource:
        """Return the training images."""
        return StreamSource(partial(_curriculum_batch, self.curriculum, self.settings))


def _curriculum_batch(curriculum: Curriculum, settings: PathfinderSettings, seed: int, indices: list[int]) -> Batch:
    """Return the images at these places of a run, each drawn by the settings whose turn it is."""
    turns = []
    for index in indices:
        mixture = next((mixture for end, mixture in curriculum if index < end), (settings,))
        turns.append(mixture[index % len(mixture)])
    places: list[int] = []
    parts = []
    for drawn in dict.fromkeys(turns):
        chosen = [place for place, turn in enumerate(turns) if turn == drawn]
        places += chosen
        parts.append(pathfinder_stream(drawn).function(seed, [indices[place] for place in chosen]))
    order = torch.tensor(places).argsort()
    return torch.cat([inputs for inputs, _ in parts])[order], torch.cat([targets for _, targets in parts])[order]


_SMALL = DIFFICULTIES["small"]
# Images seen until the mixture changes, and the paddles of its paths. Short paths, which are learned first, stay among
# the longer ones until these are learned too; the last mixture lasts to the end.
_SMALL_CURRICULUM = (
    (6_400, (3,)),
    (16_000, (3, 4, 5)),
    (64_000, (3, 4, 5, 6, 7)),
    (96_000, (4, 5, 6, 7)),
    (144_000, (5, 6, 7)),
)
_PUBLISHED = TrainingConfig(
    # The official code: 2 epochs in batches of 32, Nadam at 1e-3. Its epochs are of at most 225,000 images; 900,000 is
    # the size with which an independent run of the network learned difficulty 14.
    steps=56_250,
    batch_size=32,
    learning_rate=1e-3,
    optimizer="nadam",
    evaluation_samples=1600,
    evaluate_every=1000,
    checkpoint_every=1000,
    patience=None,
)

#: Recipes by difficulty.
PATHFINDER_RECIPES: Mapping[str, PathfinderRecipe] = MappingProxyType(
    {
        "small": PathfinderRecipe(
            settings=_SMALL,
            curriculum=tuple(
                (end, tuple(replace(_SMALL, contour_length=length) for length in lengths))
                for end, lengths in _SMALL_CURRICULUM
            ),
            training=TrainingConfig(
                steps=4500,
                batch_size=32,
                learning_rate=3e-3,
                schedule="cosine",
                warmup_steps=100,
                gradient_clip=1.0,
                evaluation_samples=1000,
                evaluate_every=250,
                checkpoint_every=100,
                log_every=50,
            ),
            channels=7,
            kernel_size=9,
            steps=6,
            filter_size=5,
            matched_kernel=3,
            wide_kernel=7,
        ),
        **{
            name: PathfinderRecipe(settings=DIFFICULTIES[name], training=_PUBLISHED, variant="paper")
            for name in ("6", "9", "14")
        },
    }
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
    description = _description(name, recipe)
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
    found, wanted = load_weights(model, path)["description"], _description(name, recipe)
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


def _description(name: str, recipe: PathfinderRecipe) -> dict[str, Any]:
    """Return what a network and its data are, as JSON gives it back; the training's own settings are kept apart."""
    found = {key: value for key, value in asdict(recipe).items() if key != "training"}
    described: dict[str, Any] = json.loads(json.dumps({"model": name, "recipe": found}))
    return described
