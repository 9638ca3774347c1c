"""Competing hidden units against backpropagation: four networks, trained alike and scored at the end on test images."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from neurocircuit.analysis.hidden_unit_recipes import ComparisonRecipe, Passes
from neurocircuit.analysis.hidden_unit_results import Comparison, TrainedModel, confusion, outputs
from neurocircuit.networks.hidden_layer import HiddenLayer, HiddenLayerClassifier, linear_control, new_read_out
from neurocircuit.plasticity import (
    CentredUnitNorm,
    initial_weights,
    measure_convergence,
    train_units,
    unit_norms,
)
from neurocircuit.stimuli import ImageSet
from neurocircuit.training import (
    TensorSource,
    TrainingResult,
    fit,
    has_run,
    load_weights,
    read_log,
)

__all__ = ["PreparedImages", "compare_hidden_units", "prepare_images", "train_bio_units"]

Part = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class PreparedImages:
    """Flat images of unit norm and their labels; all three parts are prepared by what the training images say."""

    train: Part
    validation: Part
    test: Part
    n_classes: int


def prepare_images(images: ImageSet, recipe: ComparisonRecipe, seed: int) -> PreparedImages:
    """Hold out validation images, and centre and scale all images by what the rest of the training images say.

    Parameters
    ----------
    images : ImageSet
        The images.
    recipe : ComparisonRecipe
        Its `centre` and `validation` are used.
    seed : int
        Of the choice of validation images.
    """
    train, held = images.split(recipe.validation, seed)
    preparer = CentredUnitNorm(recipe.centre).fit(_flat(images.train_images[train]))

    def part(pictures: npt.NDArray[np.uint8], labels: npt.NDArray[np.int64]) -> Part:
        return torch.from_numpy(preparer.transform(_flat(pictures))), torch.from_numpy(labels)

    return PreparedImages(
        part(images.train_images[train], images.train_labels[train]),
        part(images.train_images[held], images.train_labels[held]),
        part(images.test_images, images.test_labels),
        len(images.class_names),
    )


def _flat(images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    return (images.reshape(len(images), -1) / np.float32(255)).astype(np.float32)


def compare_hidden_units(
    images: ImageSet,
    recipe: ComparisonRecipe,
    seed: int,
    folder: str | Path,
    *,
    resume: bool = False,
    device: str = "cpu",
    units: npt.ArrayLike | None = None,
) -> Comparison:
    """Train BIO, BP, the linear control and the one with random weights, then score all of them on the test images.

    BIO's hidden units learn without labels; its read-out, and the read-out of random units, is trained on activities
    that are computed once. BP has the same architecture, with rectified units, trained end to end. All are trained on
    the cross-entropy, and each has the weights of its best validation. The test images are used at the end only.

    Parameters
    ----------
    images : ImageSet
        The images.
    recipe : ComparisonRecipe
        All settings.
    seed : int
        Of validation images, start and order.
    folder : str or Path
        Gets a folder for the units and one for each network.
    resume : bool
        Whether to go on with what the folder holds; what is finished is not run again.
    device : str
        cpu, cuda or cuda:N.
    units : (hidden, input) array, optional
        Weights of hidden units that were trained before, for images prepared in the same way; they are not trained
        again.

    Returns
    -------
    Comparison

    Raises
    ------
    ValueError
        If units were given that do not fit the images or the recipe, or there are fewer images than a batch has.
    FileExistsError
        If the folder holds a run and `resume` is False.
    """
    folder = Path(folder)
    data = prepare_images(images, recipe, seed)
    for passes in (recipe.read_out, recipe.end_to_end, recipe.linear):
        # Refuses what does not fit now, and not when the units have learned for an hour.
        passes.config(len(data.train[1]), seed, device)
    timed = units is None and not has_run(folder / "units")
    started = time.process_time()
    weights = (
        train_bio_units(data, recipe, seed, folder / "units", resume=resume, device=device)
        if units is None
        else _given_units(units, recipe, data.train[0].shape[1])
    )
    seconds = time.process_time() - started if timed else None
    about = {"label": images.label, "centre": recipe.centre, "validation": recipe.validation}
    stages = _Stages(data, folder, seed, resume, device, about)
    random = initial_weights(recipe.n_hidden, data.train[0].shape[1], seed).float()
    found = {
        "bio": stages.read_out("bio", HiddenLayer(weights, p=recipe.rule.p, power=recipe.power), recipe.read_out),
        "bp": stages.end_to_end("bp", random / random.shape[1] ** 0.5, recipe.end_to_end),
        "linear": stages.fit("linear", linear_control(random.shape[1], data.n_classes, seed), recipe.linear),
        "random": stages.read_out(
            "random", HiddenLayer(random / unit_norms(random, 2.0)[:, None], power=recipe.random_power), recipe.read_out
        ),
    }
    models = {
        name: TrainedModel(model, result, read_log(result.folder), confusion(model, *data.test, data.n_classes))
        for name, (model, result) in found.items()
    }
    convergence = measure_convergence(weights, data.train[0], recipe.rule.p)
    return Comparison(images, recipe, seed, models, convergence, seconds, given_units=units is not None)


def train_bio_units(
    data: PreparedImages,
    recipe: ComparisonRecipe,
    seed: int,
    folder: str | Path,
    *,
    resume: bool = False,
    device: str = "cpu",
) -> Tensor:
    """Train competing hidden units on the training images, or go on with them; a stage not yet begun is begun.

    Parameters
    ----------
    data : PreparedImages
        Images.
    recipe : ComparisonRecipe
        Number of units and rule.
    seed : int
        Of start and order.
    folder : str or Path
        Of the checkpoints.
    resume : bool
        Whether to go on with what the folder holds.
    device : str
        cpu, cuda or cuda:N.

    Returns
    -------
    (hidden, input) tensor
        On the CPU.
    """
    going_on = resume and has_run(folder)
    return train_units(
        data.train[0], recipe.rule, recipe.n_hidden, seed, folder=folder, resume=going_on, device=device
    ).cpu()


def _given_units(units: npt.ArrayLike, recipe: ComparisonRecipe, n_inputs: int) -> Tensor:
    weights = torch.as_tensor(units, dtype=torch.float32)
    if weights.shape != (recipe.n_hidden, n_inputs):
        raise ValueError(
            f"`units` has the shape {tuple(weights.shape)}, but with {recipe.n_hidden} hidden units and images of "
            f"{n_inputs} pixels it must be {(recipe.n_hidden, n_inputs)}."
        )
    return weights


@dataclass(frozen=True)
class _Stages:
    """Trains network after network, each in a folder of its own."""

    data: PreparedImages
    folder: Path
    seed: int
    resume: bool
    device: str
    about: dict[str, Any]

    def fit(
        self,
        name: str,
        model: nn.Module,
        passes: Passes,
        parts: tuple[Part, Part] | None = None,
        **description: Any,
    ) -> tuple[nn.Module, TrainingResult]:
        """Train a network, or go on with it, and return it with its best weights, in evaluation mode."""
        train, held = parts or (self.data.train, self.data.validation)
        folder = self.folder / name
        result = fit(
            model,
            TensorSource(*train),
            TensorSource(*held, shuffle=False),
            passes.config(len(train[1]), self.seed, self.device),
            folder,
            resume=self.resume and has_run(folder),
            description={"model": name, **self.about, **description},
        )
        load_weights(model, result.weights)
        return model.cpu().eval(), result

    def read_out(self, name: str, hidden: HiddenLayer, passes: Passes) -> tuple[nn.Module, TrainingResult]:
        """Train a read-out on the activities of hidden units, and return both as one network."""
        hidden = hidden.scaled_to(self.data.train[0])
        parts = [(outputs(hidden, images), labels) for images, labels in (self.data.train, self.data.validation)]
        read_out = new_read_out(len(hidden.weights), self.data.n_classes, self.seed)
        # With the settings of its training all that decides it; what other networks have may change before a resume.
        decisive = {"p": hidden.p, "power": hidden.power, "weights": _fingerprint(hidden.weights)}
        _, result = self.fit(name, read_out, passes, (parts[0], parts[1]), **decisive)
        return HiddenLayerClassifier(hidden, read_out).eval(), result

    def end_to_end(self, name: str, start: Tensor, passes: Passes) -> tuple[nn.Module, TrainingResult]:
        """Train hidden units and read-out together."""
        hidden = HiddenLayer(start, trained=True).scaled_to(self.data.train[0])
        model = HiddenLayerClassifier(hidden, new_read_out(len(start), self.data.n_classes, self.seed))
        return self.fit(name, model, passes, n_hidden=len(start))


def _fingerprint(weights: Tensor) -> list[float]:
    """Return sums that tell weights apart, so that a read-out is not resumed with other hidden units."""
    return [float(weights.double().sum()), float(weights.double().square().sum())]
