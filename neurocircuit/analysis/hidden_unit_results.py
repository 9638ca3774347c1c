"""What a comparison of competing hidden units with backpropagation found, as a table and as a data set."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import xarray as xr
from torch import Tensor, nn

from neurocircuit.analysis.hidden_unit_recipes import PUBLISHED_ACCURACY, PUBLISHED_UNITS, ComparisonRecipe
from neurocircuit.intervals import accuracy_interval
from neurocircuit.networks.hidden_layer import HiddenLayerClassifier
from neurocircuit.plasticity import Convergence
from neurocircuit.stimuli import ImageSet
from neurocircuit.tables import Row
from neurocircuit.training import TrainingResult
from neurocircuit.versions import package_versions

__all__ = [
    "HIDDEN_UNIT_NETWORKS",
    "Comparison",
    "TrainedModel",
    "comparison_dataset",
    "comparison_rows",
    "confusion",
    "outputs",
]

#: The networks: hidden units that compete, the same network trained end to end, none, and random ones.
HIDDEN_UNIT_NETWORKS: Mapping[str, str] = MappingProxyType(
    {
        "bio": "competing hidden units",
        "bp": "backpropagation",
        "linear": "no hidden units",
        "random": "random hidden units",
    }
)

#: Images that are computed at a time.
_CHUNK = 1000


@dataclass(frozen=True)
class TrainedModel:
    """One network of a comparison."""

    model: nn.Module
    """With the weights of its best validation; from prepared images to logits."""
    training: TrainingResult
    """How the training went."""
    log: list[dict[str, Any]]
    """Its log, one line an epoch."""
    confusion: npt.NDArray[np.int64]
    """Number of test images by true class and answer."""

    @property
    def accuracy(self) -> float:
        """Share of the test images that were classified correctly."""
        return float(self.confusion.trace() / self.confusion.sum())

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % confidence interval of the accuracy."""
        return accuracy_interval(int(self.confusion.trace()), int(self.confusion.sum()))


@dataclass(frozen=True)
class Comparison:
    """What a comparison found."""

    images: ImageSet
    """The images; results are to be called by their `label`."""
    recipe: ComparisonRecipe
    """All settings."""
    seed: int
    """Of everything random."""
    models: Mapping[str, TrainedModel]
    """Networks by their names in `HIDDEN_UNIT_NETWORKS`."""
    convergence: Convergence
    """Whether BIO's hidden units have converged on the training images."""
    unit_seconds: float | None
    """CPU time in which BIO's hidden units learned; None if they were given, or begun by another call."""
    given_units: bool = False
    """Whether BIO's hidden units were given, and not trained by the recipe's rule."""

    def settings(self) -> dict[str, Any]:
        """Return the settings that made the result, as they can be written as JSON; given units have no rule."""
        return self.recipe.describe(given_units=self.given_units)

    def hidden_weights(self, name: str) -> npt.NDArray[np.float32]:
        """Return the weights of the hidden units of a network as images, (hidden, channel, y, x).

        Parameters
        ----------
        name : str
            bio, bp or random.

        Raises
        ------
        ValueError
            If it is no network with hidden units.
        """
        model = self.models[name].model if name in self.models else None
        if not isinstance(model, HiddenLayerClassifier):
            raise ValueError(f"`name` is {name!r}; it must be a network with hidden units: bio, bp or random.")
        weights = model.hidden.weights.detach().numpy()
        shaped: npt.NDArray[np.float32] = weights.reshape(len(weights), *self.images.image_shape)
        return shaped


def outputs(model: nn.Module, images: Tensor) -> Tensor:
    """Return what a module makes of images, computed a thousand at a time and without gradients.

    Raises
    ------
    ValueError
        If that is not finite.
    """
    with torch.no_grad():
        found = torch.cat([model(chunk) for chunk in torch.split(images, _CHUNK)])
    wrong = ~torch.isfinite(found).flatten(1).all(1)
    if wrong.any():
        raise ValueError(
            f"`images` has {int(wrong.sum())} image(s) whose answers are NaN or infinite, the first in row "
            f"{int(wrong.int().argmax())}. Prepare them with `CentredUnitNorm`, or lower `power`."
        )
    return found


def confusion(model: nn.Module, images: Tensor, labels: Tensor, n_classes: int) -> npt.NDArray[np.int64]:
    """Return the number of images by true class and answer, (class, class).

    Parameters
    ----------
    model : torch module
        From images to logits, in evaluation mode.
    images : tensor
        Image axis first.
    labels : (image,) tensor
        True classes.
    n_classes : int
        Number of classes.
    """
    answers = outputs(model, images).argmax(1)
    counts: npt.NDArray[np.int64] = torch.bincount(labels * n_classes + answers, minlength=n_classes**2).numpy()
    return counts.reshape(n_classes, n_classes)


def comparison_rows(comparison: Comparison) -> list[Row]:
    """Return one row a network: accuracies on test and validation images.

    Beside them is the published accuracy, if there is any, with its number of hidden units, whatever is their number
    here.
    """
    published = PUBLISHED_ACCURACY.get(comparison.images.name, {})
    rows = []
    for name, one in comparison.models.items():
        low, high = one.interval
        powers = {"bio": comparison.recipe.power, "bp": 1.0, "random": comparison.recipe.random_power}
        rows.append(
            {
                "network": name,
                "images": comparison.images.label,
                "hidden": 0 if name == "linear" else comparison.recipe.n_hidden,
                "power": f"{powers[name]:g}" if name in powers else "-",
                "test_accuracy": one.accuracy,
                "low": low,
                "high": high,
                "published": published.get(name, "-"),
                "published_units": PUBLISHED_UNITS if name in published else "-",
                "validation_accuracy": one.training.best.accuracy,
                "best_epoch": _epochs(one)[one.training.best_step],
                "minutes": one.training.seconds / 60,
            }
        )
    return rows


def _epochs(one: TrainedModel) -> dict[int, int]:
    """Return the number of the epoch that ends with each step of the log."""
    return {line["step"]: number for number, line in enumerate(one.log, start=1)}


def comparison_dataset(comparison: Comparison) -> xr.Dataset:
    """Return what a comparison found, over ``network``, ``hidden`` unit, ``epoch``, and true class and answer.

    Parameters
    ----------
    comparison : Comparison
        The comparison.

    Returns
    -------
    xarray.Dataset
        ``accuracy`` with ``low`` and ``high``, ``confusion``; ``loss``, ``training_accuracy``, ``validation_loss`` and
        ``validation_accuracy`` by epoch, missing after a network's last; ``norm`` and ``wins`` of BIO's hidden units.
    """
    models = comparison.models
    lengths = [len(one.log) for one in models.values()]
    curves = {}
    for name, key in (
        ("loss", "loss"),
        ("training_accuracy", "accuracy"),
        ("validation_loss", "validation_loss"),
        ("validation_accuracy", "validation_accuracy"),
    ):
        values = np.full((len(models), max(lengths)), np.nan)
        for row, one in zip(values, models.values(), strict=True):
            row[: len(one.log)] = [line[key] for line in one.log]
        curves[name] = (("network", "epoch"), values, {"units": "1"})
    low, high = np.transpose([one.interval for one in models.values()])
    convergence = comparison.convergence
    return xr.Dataset(
        {
            "accuracy": ("network", [one.accuracy for one in models.values()], {"units": "1"}),
            "low": ("network", low, {"units": "1"}),
            "high": ("network", high, {"units": "1"}),
            "confusion": (("network", "true", "answer"), np.stack([one.confusion for one in models.values()])),
            **curves,
            "norm": ("hidden", convergence.norms, {"units": "1", "long_name": "Lebesgue norm of the weights"}),
            "wins": ("hidden", convergence.wins, {"long_name": "training images with the largest current"}),
        },
        {
            "network": list(models),
            "true": list(comparison.images.class_names),
            "answer": list(comparison.images.class_names),
            "epoch": ("epoch", np.arange(1, max(lengths) + 1)),
        },
        {
            "images": comparison.images.label,
            "seed": comparison.seed,
            "recipe": json.dumps(comparison.settings()),
            "convergence": str(convergence),
            "versions": json.dumps(package_versions()),
        },
    )
