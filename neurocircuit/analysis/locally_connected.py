"""Training on images with convolutions, with locally connected layers, and without weight transport."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
import xarray as xr
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import Dataset

from neurocircuit.analysis.feedback_alignment import gradient_angles
from neurocircuit.analysis.spatial_cost import training_cost
from neurocircuit.analysis.spatial_recipes import SpatialRecipe, build_spatial
from neurocircuit.checks import check_whole
from neurocircuit.files import atomic
from neurocircuit.networks import SpatialNet, spatial_parameters
from neurocircuit.stimuli import ImageSet
from neurocircuit.tables import Row
from neurocircuit.training import DatasetSource, TrainingResult, evaluate, fit, has_run, load_weights, read_log
from neurocircuit.training.evaluation import parameter_place, to_place

__all__ = ["CropAndFlip", "TrainedSpatial", "train_spatial"]

#: Mean and standard deviation of each colour by which the notebook normalises CIFAR-10, levels from 0 to 1. (These
#: standard deviations are means over the images of those within an image.)
CIFAR10_NORMALISATION = ((0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010))


class _Normalised(Dataset[tuple[Tensor, int]]):
    """Images of 8 bits as tensors with mean and standard deviation taken out, and their labels."""

    def __init__(self, images: NDArray[np.uint8], labels: NDArray[np.int64], scale: tuple[Tensor, Tensor]) -> None:
        self.images, self.labels = torch.from_numpy(images), labels
        self.mean, self.deviation = scale

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return (self.images[index] / 255 - self.mean) / self.deviation, int(self.labels[index])


@dataclass(frozen=True)
class CropAndFlip:
    """Moves an image by a random number of pixels and mirrors it or not: ``augment`` of a `DatasetSource`."""

    margin: int
    """Largest movement along each axis, in pixels."""
    flip: bool
    """Whether half of the images are mirrored."""
    black: Tensor = field(default_factory=lambda: torch.zeros(1, 1, 1))
    """Value of each channel beyond the border, (channel, 1, 1)."""

    def __call__(self, sample: tuple[Tensor, int], generator: torch.Generator) -> tuple[Tensor, int]:
        """Return the sample with its image, (channel, y, x), changed."""
        image, label = sample
        if self.margin:
            height, width = image.shape[-2:]
            wide = F.pad(image - self.black, [self.margin] * 4) + self.black
            y, x = torch.randint(2 * self.margin + 1, (2,), generator=generator).tolist()
            image = wide[:, y : y + height, x : x + width]
        if self.flip and bool(torch.randint(2, (), generator=generator)):
            image = image.flip(-1)
        return image, label


@dataclass(frozen=True)
class _Sources:
    training: DatasetSource
    validation: DatasetSource
    test: DatasetSource
    probe: tuple[Tensor, Tensor]


def _sources(images: ImageSet, recipe: SpatialRecipe, seed: int) -> _Sources:
    """Split the training images, normalise all by the same numbers, and augment those that are trained on."""
    kept, held = images.split(seed=seed)
    training = images.train_images[kept]
    if images.name == "cifar10":
        mean, deviation = map(torch.tensor, CIFAR10_NORMALISATION)
    else:
        levels = training / np.float32(255)
        mean, deviation = (torch.from_numpy(f(levels, axis=(0, 2, 3))) for f in (np.mean, np.std))
    scale = (mean[:, None, None], deviation[:, None, None])
    trained = _Normalised(training, images.train_labels[kept], scale)
    augment = CropAndFlip(recipe.crop_margin, recipe.flip, -scale[0] / scale[1])
    return _Sources(
        training=DatasetSource(trained, augment=augment),
        validation=DatasetSource(_Normalised(images.train_images[held], images.train_labels[held], scale)),
        test=DatasetSource(_Normalised(images.test_images, images.test_labels, scale), shuffle=False),
        probe=DatasetSource(trained).batch(seed, range(min(recipe.probe, len(trained)))),
    )


@dataclass(frozen=True)
class TrainedSpatial:
    """A network that has been trained and tested."""

    row: Row
    """One row of the table of results."""
    network: SpatialNet
    """The network with its best weights."""
    log: list[dict[str, Any]]
    """See `neurocircuit.training.read_log`."""
    angles: xr.DataArray | None
    """Angle between update and gradient, (step, layer), in degrees; None where backpropagation makes them the same."""


def train_spatial(
    name: str, recipe: SpatialRecipe, images: ImageSet, seed: int, folder: str | Path, *, resume: bool = False
) -> TrainedSpatial:
    """Train a network, measure its angles meanwhile, and test the weights that were best on validation images once.

    The folder gets the files of `neurocircuit.training.fit`, ``angles.json`` and, when all is done, ``result.json``.

    Parameters
    ----------
    name : str
        One of `SPATIAL_NETWORKS`.
    recipe : SpatialRecipe
        Sizes and optimisation.
    images : ImageSet
        Training and test images; a tenth of the training images is held out for validation.
    seed : int
        Of weights, feedback weights, the held-out images, order and augmentation.
    folder : str or Path
        Where the run is kept.
    resume : bool
        Whether to go on with the run in the folder; a finished one is only reported, and not tested again.

    Returns
    -------
    TrainedSpatial
        Result, network and curves.

    Raises
    ------
    ValueError
        As `build_spatial` and `neurocircuit.training.fit` say.
    TypeError
        If the seed is no whole number.
    """
    folder, seed = Path(folder), check_whole("seed", seed, 0)
    sources = _sources(images, recipe, seed)
    network = build_spatial(name, recipe, images, seed)
    held, asked = len(sources.validation.dataset), recipe.training.evaluation_samples
    # A small set holds out fewer images than a recipe for a large one validates on.
    recipe = recipe.with_training(seed=seed, evaluation_samples=asked and min(asked, held))
    description = {
        "network": name,
        "settings": asdict(network.settings),
        "images": images.label,
        "crop_margin": recipe.crop_margin,
        "flip": recipe.flip,
        "probe": recipe.probe,
    }
    train = partial(fit, network, sources.training, sources.validation, folder=folder, description=description)
    resume = resume and has_run(folder)
    angles: dict[int, list[float]] = {}
    if network.settings.feedback != "transpose":
        angles = _train_in_parts(train, network, recipe, sources.probe, folder, resume=resume)
    result = train(config=recipe.training, resume=resume or bool(angles))
    load_weights(network, result.weights)
    done = folder / "result.json"
    row = json.loads(done.read_text()) if resume and done.exists() else {}
    # A finished run may have been given more steps.
    if row.get("steps") != result.steps:
        row = {"network": name, **_row(network, result, sources.test), **training_cost(name, recipe, images)}
        _write(done, row)
    return TrainedSpatial(row, network, read_log(folder), _angle_array(angles) if angles else None)


def _train_in_parts(
    train: partial[TrainingResult],
    network: SpatialNet,
    recipe: SpatialRecipe,
    probe: tuple[Tensor, Tensor],
    folder: Path,
    *,
    resume: bool,
) -> dict[int, list[float]]:
    """Train from one validation to the next, and return the angles at each: those that are not yet in the folder."""
    config, path = recipe.training, folder / "angles.json"
    saved = json.loads(path.read_text()) if resume and path.exists() else {}
    angles = {int(step): values for step, values in saved.items()}
    for step in (0, *range(config.evaluate_every, config.steps, config.evaluate_every), config.steps):
        if step in angles:
            continue
        if step:
            train(config=replace(config, steps=step), resume=resume)
            resume = True
        angles[step] = list(gradient_angles(network, *to_place(probe, *parameter_place(network)), seed=config.seed))
        # Not before the first part, which refuses a folder that holds another run.
        if step:
            _write(path, angles)
    return angles


def _angle_array(angles: Mapping[int, list[float]]) -> xr.DataArray:
    values = np.array(list(angles.values()))
    return xr.DataArray(
        values,
        dims=("step", "layer"),
        coords={
            "step": ("step", list(angles), {"long_name": "training step"}),
            "layer": ("layer", np.arange(1, values.shape[1] + 1), {"long_name": "layer, from the image up"}),
        },
        name="angle",
        attrs={"units": "degree", "long_name": "angle between update and true gradient"},
    )


def _row(network: SpatialNet, result: TrainingResult, test: DatasetSource) -> Row:
    tested = evaluate(network, test)
    settings = network.settings
    return {
        "kind": settings.kind,
        "feedback": settings.feedback,
        "parameters": spatial_parameters(settings),
        "steps": result.steps,
        "validation": result.best.accuracy,
        "accuracy": tested.accuracy,
        "low": tested.low,
        "high": tested.high,
        "minutes": result.seconds / 60,
    }


def _write(path: Path, value: Mapping[Any, Any]) -> None:
    with atomic(path) as partial:
        partial.write_text(json.dumps(value) + "\n")
