"""Whether a recurrent recogniser uses what its flows carry: those of an altered scene put in the place of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import product
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from neurocircuit.analysis.recogniser_steps import Sweep, answers, next_sweep, sweeps
from neurocircuit.cells.modulated import Flows
from neurocircuit.checks import check_whole
from neurocircuit.networks.recurrent_recogniser import RecurrentRecogniser

__all__ = ["Replacement", "altered_flows", "flow_places", "perturb_flows", "shuffled_difference"]

#: From the natural flows of a batch, those of its altered scenes, and one generator a scene, to what takes their place:
#: all (scene, ...) of one kind, layer and step.
Replacement = Callable[[Tensor, Tensor, Sequence[np.random.Generator]], Tensor]


def altered_flows(natural: Tensor, altered: Tensor, generators: Sequence[np.random.Generator]) -> Tensor:
    """Put the altered scene's flows in the place of the natural ones: the published perturbation."""
    return altered


def shuffled_difference(natural: Tensor, altered: Tensor, generators: Sequence[np.random.Generator]) -> Tensor:
    """Add what the altered scene changes, its elements in random order: the published control.

    Every scene's differences are permuted over all channels and places, so that as much changes, but in no order.
    """
    difference = (altered - natural).flatten(1)
    order = np.stack([generator.permutation(difference.shape[1]) for generator in generators])
    return natural + difference.gather(1, torch.from_numpy(order).to(difference.device)).view_as(natural)


#: The published perturbation and its control, by the names in the result.
PUBLISHED_REPLACEMENTS: Mapping[str, Replacement] = {"perturbed": altered_flows, "control": shuffled_difference}


def perturb_flows(
    network: RecurrentRecogniser,
    images: Tensor,
    labels: Any,
    altered: Mapping[str, Tensor],
    replacements: Mapping[str, Replacement] = PUBLISHED_REPLACEMENTS,
    *,
    places: Sequence[tuple[str, int]] | None = None,
    seed: int = 0,
    batch_size: int = 50,
) -> xr.Dataset:
    """Measure accuracy with the flows into one layer replaced at one step, of all kinds at once.

    The steps before are natural, the other layers get their natural flows at that step, and the steps after follow from
    what happened. Answers are right if they name what the original scene shows. Nothing that is the same in two runs is
    computed twice: the natural and the altered scenes are run once, and each perturbed run begins at its step.

    Parameters
    ----------
    network : RecurrentRecogniser
        The network.
    images : Tensor
        Original scenes, (scene, 1, y, x), from 0 to 1.
    labels : (scene,) array of int
        What they show.
    altered : mapping from name to Tensor
        Altered scenes, each entry of the shape of `images` and in the same order.
    replacements : mapping from name to function
        What takes the flows' place. Default: ``perturbed`` and ``control`` as published. A function of your own gets
        the natural flows, those of the altered scene, both to keep or to change, and a numpy generator for each scene;
        it returns a tensor like the first.
    places : sequence of (layer, step), optional
        Where flows are replaced. Default: everywhere.
    seed : int
        Of the generators. Those of a scene and place do not depend on the other scenes, places, or the batches.
    batch_size : int
        Scenes that are run at once.

    Returns
    -------
    Dataset
        ``original``, the natural accuracy, and one accuracy a replacement, under its name, over ``perturbation``,
        ``layer`` and ``step``; NaN where nothing flows or nothing was replaced.

    Raises
    ------
    ValueError
        If a place does not exist or has no flows (there are none at step 1, nor without recurrence), scenes and altered
        scenes do not match or are none for this network, a label is no class, or a replacement has another shape or
        values that are not finite.
    TypeError
        If a number or a label is no integer, the scenes are of another dtype than the network, or a replacement is no
        tensor of its dtype.

    Examples
    --------
    >>> import torch
    >>> from neurocircuit.analysis import perturb_flows
    >>> from neurocircuit.networks import RecogniserSettings, RecurrentRecogniser
    >>> network = RecurrentRecogniser(RecogniserSettings(input_size=30, hidden=16, classes=3))
    >>> images = torch.rand(8, 1, 30, 30, generator=torch.Generator().manual_seed(0))
    >>> def silence(natural, altered, generators):
    ...     return torch.zeros_like(natural)
    >>> found = perturb_flows(network, images, [0] * 8, {"none": images}, {"silent": silence}, places=[("conv1", 2)])
    >>> found["silent"].dims
    ('perturbation', 'layer', 'step')
    """
    seed, batch_size = check_whole("seed", seed, 0), check_whole("batch_size", batch_size)
    where = _checked_places(network, places)
    truth = _checked_labels(labels, images, network.settings.classes)
    _check_altered(images, altered)
    names = list(altered)
    clash = [name for name in replacements if name in ("original", "perturbation", "layer", "step")]
    if clash or not replacements:
        raise ValueError(f"`replacements` has {clash or 'nothing'}; give functions, by names that the result has free.")
    right: dict[tuple[str, str, str, int], int] = dict.fromkeys(
        ((what, name, *place) for what, name, place in product(replacements, names, where)), 0
    )
    original, device = 0, network.fc2.weight.device
    with torch.no_grad():
        for start in range(0, len(images), batch_size):
            part = slice(start, start + batch_size)
            target, own = truth[part].to(device), images[part].to(device)
            natural, drive = sweeps(network, own), network.conv1(own)
            original += _count(network, natural, target)
            for number, name in enumerate(names):
                other = sweeps(network, altered[name][part].to(device))
                for index, (what, replacement) in enumerate(replacements.items()):
                    for layer, step in where:
                        key = [seed, number, index, network.settings.layers.index(layer), step]
                        scenes = range(start, start + len(own))
                        generators = [np.random.default_rng([*key, scene]) for scene in scenes]
                        flows = _replaced(natural, other, layer, step, replacement, generators)
                        run = _run_on(network, own, drive, natural, layer, step, flows)
                        right[what, name, layer, step] += _count(network, run, target)
    return _result(network, right, original, len(images), list(replacements), names)


def _replaced(
    natural: Sequence[Sweep],
    altered: Sequence[Sweep],
    layer: str,
    step: int,
    replacement: Replacement,
    generators: Sequence[np.random.Generator],
) -> Flows:
    found = {}
    for kind, own in natural[step - 1].flows[layer].items():
        # Copies, because the same flows are needed again.
        flow = replacement(own.clone(), altered[step - 1].flows[layer][kind].clone(), generators)
        _check_replacement(flow, own, f"for the {kind} of '{layer}' at step {step}")
        found[kind] = flow
    return found


def _check_replacement(flow: object, own: Tensor, where: str) -> None:
    if not isinstance(flow, Tensor) or flow.dtype != own.dtype:
        kind = f"a tensor of {flow.dtype}" if isinstance(flow, Tensor) else repr(flow)
        raise TypeError(f"a replacement returned {kind} {where}; it must be a tensor of {own.dtype}.")
    if flow.shape != own.shape:
        raise ValueError(
            f"a replacement returned the shape {tuple(flow.shape)} {where}; it must be that of the natural flow, "
            f"{tuple(own.shape)}."
        )
    if not flow.isfinite().all():
        raise ValueError(f"a replacement returned values {where} that are not finite; they must be numbers.")


def _run_on(
    network: RecurrentRecogniser,
    images: Tensor,
    drive: Tensor,
    natural: Sequence[Sweep],
    layer: str,
    step: int,
    flows: Flows,
) -> list[Sweep]:
    """Return all steps of a run in which the flows into a layer are others at a step."""
    run = list(natural[: step - 1])
    # The other layers' flows come from the step before, which is natural, so that theirs are the natural ones.
    given = {**natural[step - 1].flows, layer: flows}
    run.append(next_sweep(network, images, drive, run[-1].state, given))
    while len(run) < len(natural):
        run.append(next_sweep(network, images, drive, run[-1].state))
    return run


def _count(network: RecurrentRecogniser, run: Sequence[Sweep], target: Tensor) -> int:
    return int((answers(network, [sweep.state for sweep in run]) == target).sum())


def _result(
    network: RecurrentRecogniser,
    right: Mapping[tuple[str, str, str, int], int],
    original: int,
    scenes: int,
    replacements: Sequence[str],
    names: Sequence[str],
) -> xr.Dataset:
    coords: dict[str, Any] = {
        "perturbation": list(names),
        "layer": list(network.settings.layers),
        "step": np.arange(2, network.settings.time_steps + 1),
    }
    empty = xr.DataArray(np.full([len(labels) for labels in coords.values()], np.nan), coords, tuple(coords))
    result = xr.Dataset({"original": original / scenes, **{what: empty.copy() for what in replacements}})
    for (what, name, layer, step), count in right.items():
        result[what].loc[{"perturbation": name, "layer": layer, "step": step}] = count / scenes
    return result


def flow_places(network: RecurrentRecogniser) -> list[tuple[str, int]]:
    """Return the layers that are modulated, each with every step from the second.

    Raises
    ------
    ValueError
        If there is none.
    """
    settings = network.settings
    steps = range(2, settings.time_steps + 1)
    found = [(layer, step) for layer in settings.layers if network.modulations(layer) for step in steps]
    if not found:
        raise ValueError(
            f"`network` has the flags {settings.flags} and {settings.time_steps} time steps: nothing flows that could "
            "be perturbed. Use one with bias or gain, and with lateral or top-down connections."
        )
    return found


def _checked_places(network: RecurrentRecogniser, places: Sequence[tuple[str, int]] | None) -> list[tuple[str, int]]:
    known, settings = flow_places(network), network.settings
    if places is None:
        return known
    if not places or not all(isinstance(place, tuple | list) and len(place) == 2 for place in places):
        raise ValueError(f"`places` is {places!r}; give pairs of a layer and a step, such as [('conv1', 2)].")
    for layer, step in places:
        check_whole("places", step, 0)
        if layer not in settings.layers:
            raise ValueError(f"`places` has the layer {layer!r}; this network has {', '.join(settings.layers)}.")
        if not 2 <= step <= settings.time_steps:
            raise ValueError(
                f"`places` has step {step} for {layer!r}; flows come from the step before, so that they can be "
                f"replaced at steps 2 to {settings.time_steps}."
            )
        if (layer, step) not in known:
            raise ValueError(f"`places` has {layer!r}, which nothing modulates under the flags {settings.flags}.")
    return [(layer, int(step)) for layer, step in places]


def _checked_labels(labels: Any, images: Tensor, classes: int) -> Tensor:
    found = np.asarray(labels)
    if found.shape != (len(images),) or not len(images):
        raise ValueError(f"`labels` has the shape {found.shape} for {len(images)} scenes; give one a scene.")
    if found.dtype.kind not in "iu":
        raise TypeError(f"`labels` holds {found.dtype}; it must hold whole numbers, the classes that the scenes show.")
    if found.min() < 0 or found.max() >= classes:
        raise ValueError(
            f"`labels` are from {found.min()} to {found.max()}; this network tells the classes 0 to {classes - 1} "
            "apart."
        )
    return torch.from_numpy(found.astype(np.int64))


def _check_altered(images: Tensor, altered: Mapping[str, Tensor]) -> None:
    if not altered:
        raise ValueError("`altered` is empty; give one or more sets of altered scenes.")
    for name, others in altered.items():
        if others.shape != images.shape:
            raise ValueError(
                f"`altered[{name!r}]` has the shape {tuple(others.shape)} and `images` {tuple(images.shape)}; an "
                "altered scene belongs to each original, in the same order."
            )
