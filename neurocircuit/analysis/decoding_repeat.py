"""One repeat of a decoding analysis: the responses of one network to fresh scenes, and what can be read out of them."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
import xarray as xr
from torch import Tensor

from neurocircuit.analysis.decoders import decode_labels, majority_labels
from neurocircuit.analysis.decoding_settings import DecodingSettings
from neurocircuit.analysis.recogniser_steps import Sweep, sweeps
from neurocircuit.cells.modulated_settings import FULL, Modulation
from neurocircuit.networks.recurrent_recogniser import RecurrentRecogniser
from neurocircuit.stimuli.clutter import SceneBatch

__all__ = ["decode_repeat", "modulation_kinds"]

Features = npt.NDArray[np.float32]
#: Tensors of a batch by where they are from.
Gathered = Mapping["Place", Tensor]


class Place(NamedTuple):
    """Where responses are from."""

    quantity: str
    """Variable of the result."""
    layer: str
    step: int
    kind: Modulation | None = None
    """Of flows."""


def modulation_kinds(network: RecurrentRecogniser) -> tuple[Modulation, ...]:
    """Return the kinds of flows that a network has: those that its flags turn on and any of its layers receives."""
    kinds = {kind: None for layer in network.settings.layers for kind in network.modulations(layer)}
    return tuple(kinds)


def decode_repeat(
    network: RecurrentRecogniser,
    untrained: RecurrentRecogniser,
    scenes: SceneBatch,
    classes: Mapping[str, int],
    settings: DecodingSettings,
    seed: int,
) -> xr.Dataset:
    """Decode all variables from one network's responses to one set of scenes.

    Parameters
    ----------
    network, untrained : RecurrentRecogniser
        The network, and one of the same settings with weights that are not trained.
    scenes : SceneBatch
        The scenes, those that decoders are fitted to first.
    classes : mapping from variable to int
        Number of classes of each variable.
    settings : DecodingSettings
        How.
    seed : int
        Of the svm.

    Returns
    -------
    Dataset
        As `decode` returns, of one network and repeat.
    """
    labels = {name: scenes.labels[name] for name in settings.variables}
    fitted = {name: values[: settings.training] for name, values in labels.items()}
    result = _empty(network, settings)
    for name, label in majority_labels(fitted).items():
        result["chance"].loc[name] = np.mean(labels[name][settings.training :] == label)

    def score(features: Features) -> npt.NDArray[np.float64]:
        parts = (features[: settings.training], features[settings.training :])
        found = decode_labels(*parts, fitted, classes, settings.decoder, seed=seed)
        return np.array([np.mean(found[name] == labels[name][settings.training :]) for name in settings.variables])

    for scene_kind in settings.scene_kinds:
        images = scenes.images if scene_kind == "cluttered" else scenes.target_images
        for gather in (_trained(network, untrained), _untrained(untrained)):
            responses = _responses(gather, images, settings.batch_size)
            if any(place.quantity == "activations" for place in responses):
                result["accuracy"].loc[scene_kind] = _accuracy(network, responses, scenes.labels["category"])
            for place, accuracies in _scores(responses, score):
                _cell(result, place, scene_kind)[:] = accuracies
    return result


def _accuracy(network: RecurrentRecogniser, responses: Mapping[Place, Features], labels: Any) -> float:
    """Return how often the network itself names the category."""
    steps = range(1, network.settings.time_steps + 1)
    full = np.hstack([responses[Place("activations", FULL, step)] for step in steps])
    with torch.no_grad():
        found = network.fc2(torch.from_numpy(full).to(network.fc2.weight.device)).argmax(1).cpu().numpy()
    return float(np.mean(found == labels))


def _empty(network: RecurrentRecogniser, settings: DecodingSettings) -> xr.Dataset:
    """Return the result with nothing in it: NaN stays where a layer has no flow."""
    coords: dict[str, Any] = {
        "scenes": list(settings.scene_kinds),
        "layer": list(network.settings.layers),
        "step": np.arange(1, network.settings.time_steps + 1),
        "variable": list(settings.variables),
        "kind": list(modulation_kinds(network)),
    }
    dims = {
        "accuracy": ("scenes",),
        "chance": ("variable",),
        **dict.fromkeys(("activations", "activations_untrained"), ("scenes", "layer", "step", "variable")),
        **dict.fromkeys(("flows", "flows_untrained"), ("scenes", "kind", "layer", "step", "variable")),
    }
    return xr.Dataset(
        {name: (own, np.full([len(coords[dim]) for dim in own], np.nan)) for name, own in dims.items()}, coords
    )


def _cell(result: xr.Dataset, place: Place, scene_kind: str) -> npt.NDArray[np.float64]:
    """Return the part of a result that a place's accuracies go to."""
    at = {"scenes": scene_kind, "layer": place.layer, "step": place.step}
    if place.kind is not None:
        at["kind"] = place.kind
    indexers = {dim: result.get_index(dim).get_loc(label) for dim, label in at.items()}
    cell: npt.NDArray[np.float64] = result[place.quantity].isel(indexers).values
    return cell


def _run(network: RecurrentRecogniser, images: Tensor) -> list[Sweep]:
    with torch.no_grad():
        return sweeps(network, images.to(network.fc2.weight.device))


def _trained(network: RecurrentRecogniser, untrained: RecurrentRecogniser) -> Callable[[Tensor], Gathered]:
    """Gather activations, flows, and what untrained connections would bring from the same activations."""

    def gather(images: Tensor) -> Gathered:
        steps = _run(network, images)
        found = _activations("activations", steps)
        for step, (before, sweep) in enumerate(itertools.pairwise(steps), 2):
            for layer, flows in sweep.flows.items():
                for kind, flow in flows.items():
                    found[Place("flows", layer, step, kind)] = flow
                    with torch.no_grad():
                        projected = untrained.flow(before.state, layer, kind)
                    found[Place("flows_untrained", layer, step, kind)] = projected
        return found

    return gather


def _untrained(untrained: RecurrentRecogniser) -> Callable[[Tensor], Gathered]:
    return lambda images: _activations("activations_untrained", _run(untrained, images))


def _activations(quantity: str, steps: list[Sweep]) -> dict[Place, Tensor]:
    return {
        Place(quantity, layer, step): activation
        for step, sweep in enumerate(steps, 1)
        for layer, activation in sweep.state.activations().items()
    }


def _responses(gather: Callable[[Tensor], Gathered], images: Tensor, batch_size: int) -> dict[Place, Features]:
    """Return the responses to all images, (image, feature) at every place."""
    found: dict[Place, Features] = {}
    for start in range(0, len(images), batch_size):
        for place, part in gather(images[start : start + batch_size]).items():
            flat = part.flatten(1).cpu().numpy()
            # Filled in place, because a list of batches would need twice the memory in the end.
            rows = found.setdefault(place, np.empty((len(images), flat.shape[1]), dtype=np.float32))
            rows[start : start + len(flat)] = flat
    return found


def _scores(
    responses: dict[Place, Features], score: Callable[[Features], npt.NDArray[np.float64]]
) -> Iterable[tuple[Place, npt.NDArray[np.float64]]]:
    """Yield the accuracies of every place; responses are given up as they are done with."""
    done: dict[Place, tuple[Features, npt.NDArray[np.float64]]] = {}
    for place in sorted(responses, key=lambda place: place.step):
        features = responses.pop(place)
        same = place._replace(step=0)
        before = done.get(same)
        # A network without recurrence does the same at every step, and lateral flows do not reach the image.
        if before is not None and np.array_equal(before[0], features):
            accuracies = before[1]
        else:
            accuracies = score(features)
        done[same] = features, accuracies
        yield place, accuracies
