"""Tables of the study of recurrent recognisers: one row a network, a variant, a connection, or a place in a network."""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import product
from typing import Any

import numpy as np
import xarray as xr

from neurocircuit.analysis.recogniser_recipes import FEEDFORWARD, RECOGNISER_VARIANTS
from neurocircuit.analysis.recogniser_summary import (
    functional_importance,
    over_networks,
    pool_perturbations,
    pool_variables,
)
from neurocircuit.networks.recurrent_recogniser import RecurrentRecogniser
from neurocircuit.tables import Row

__all__ = [
    "Measured",
    "accuracy_rows",
    "by_network",
    "connection_rows",
    "decoding_curves",
    "decoding_rows",
    "importance",
    "importance_curves",
    "leads",
    "perturbation_rows",
    "variant_name",
    "variant_rows",
]

#: What was measured of each network, by its flags and seed.
Measured = Mapping[tuple[str, int], xr.Dataset]

#: What is decoded at a place in a network.
_ACTIVITY, _FLOWS = ("activations", "activations_untrained"), ("flows", "flows_untrained")


def variant_name(flags: str) -> str:
    """Return what networks with these flags are called."""
    return RECOGNISER_VARIANTS.get(flags, flags)


def by_network(found: Measured, flags: str) -> xr.Dataset:
    """Return the measurements of one variant over ``network``, one a seed.

    Parameters
    ----------
    found : mapping from flags and seed to Dataset
        As `RecogniserStudy.each` returns it.
    flags : str
        The variant.
    """
    own = {seed: one for (variant, seed), one in found.items() if variant == flags}
    joined = xr.concat(list(own.values()), "network", data_vars="all", combine_attrs="drop_conflicts")
    return joined.assign_coords(seed=("network", list(own)))


def accuracy_rows(found: Measured) -> list[Row]:
    """Return one row a network: its size, its training, and its accuracies with their 95 % intervals."""
    rows = []
    for (flags, seed), one in found.items():
        row: Row = {"flags": flags, "variant": variant_name(flags), "seed": seed}
        row |= {name: one[name].item() for name in ("parameters", "steps", "minutes")}
        for shown in one["scenes"].values:
            values = one.sel(scenes=shown)
            row |= {str(shown): float(values["accuracy"])}
            row |= {f"{shown}_{end}": float(values[end]) for end in ("low", "high")}
        rows.append(row)
    return rows


def variant_rows(found: Measured) -> list[Row]:
    """Return one row a variant: mean accuracies over networks with the half widths of their 95 % intervals.

    The lead over the feedforward networks is the mean over seeds, whose networks saw the same scenes.
    """
    rows = []
    for flags in dict.fromkeys(variant for variant, _ in found):
        accuracy = by_network(found, flags)["accuracy"]
        row: Row = {"flags": flags, "variant": variant_name(flags), "networks": accuracy.sizes["network"]}
        for shown in accuracy["scenes"].values:
            summary = over_networks(accuracy.sel(scenes=shown), "student")
            row |= {str(shown): float(summary["mean"]), f"{shown}_half_width": float(summary["half_width"])}
        ahead = leads(found, flags)
        lead = over_networks(ahead, "student") if ahead.size else {"mean": math.nan, "half_width": math.nan}
        row |= {"lead": float(lead["mean"]), "lead_half_width": float(lead["half_width"])}
        rows.append(row)
    return rows


def leads(found: Measured, flags: str) -> xr.DataArray:
    """Return by how much networks of a variant are above the feedforward networks of the same seeds, in the clutter."""
    found_leads = [
        float((one["accuracy"] - found[FEEDFORWARD, seed]["accuracy"]).sel(scenes="cluttered"))
        for (variant, seed), one in found.items()
        if variant == flags and (FEEDFORWARD, seed) in found
    ]
    return xr.DataArray(np.array(found_leads), dims="network")


def connection_rows(networks: Mapping[str, RecurrentRecogniser]) -> list[Row]:
    """Return one row a connection that modulates, of one network a variant."""
    return [{"flags": flags, **row} for flags, network in networks.items() for row in network.connections()]


def decoding_rows(decoded: Mapping[str, xr.Dataset]) -> list[Row]:
    """Return one row a variant, kind of scenes, variable, layer, step and kind of flows: means over networks.

    Beside what is decoded from activations and flows is what is from those of untrained networks. The half width is
    that of the 95 % interval over networks, Student's.

    Parameters
    ----------
    decoded : mapping from flags to Dataset
        As `neurocircuit.analysis.decode` returns it.
    """
    rows = []
    for flags, found in decoded.items():
        # Without recurrence there is no kind of flows, but there is activity.
        for kind in found["kind"].values.tolist() or [None]:
            own = {name: found[name] for name in _ACTIVITY}
            if kind is not None:
                own |= {name: found[name].sel(kind=kind) for name in _FLOWS}
            parts = {name: over_networks(pool_variables(values), "student") for name, values in own.items()}
            for place in _places(parts["activations"]["mean"]):
                row: Row = {"flags": flags, "variant": variant_name(flags), **place, "kind": kind or "none"}
                for name in (*_ACTIVITY, *_FLOWS):
                    numbers = parts[name].sel(place) if name in parts else {"mean": math.nan, "half_width": math.nan}
                    row |= {name: float(numbers["mean"]), f"{name}_half_width": float(numbers["half_width"])}
                rows.append(row)
    return rows


def decoding_curves(
    decoded: Mapping[str, xr.Dataset], quantity: str, scenes: str = "cluttered"
) -> dict[str, xr.Dataset]:
    """Return means and intervals over networks of one quantity of a decoding, by the variant's name, to be drawn.

    Parameters
    ----------
    decoded : mapping from flags to Dataset
        As `neurocircuit.analysis.decode` returns it.
    quantity : str
        activations, flows, or one of them with _untrained; flows of two kinds are averaged. Variants that have none are
        left out.
    scenes : str
        cluttered or target_only.
    """
    curves = {}
    for flags, found in decoded.items():
        values = found[quantity].sel(scenes=scenes)
        if values.sizes.get("kind", 1):
            values = values.mean("kind") if "kind" in values.dims else values
            curves[variant_name(flags)] = over_networks(pool_variables(values), "student")
    return curves


def importance_curves(perturbed: Mapping[str, xr.Dataset]) -> dict[str, xr.Dataset]:
    """Return means and intervals over networks of functional importance, by the variant's name, to be drawn."""
    return {variant_name(flags): over_networks(importance(found), "student") for flags, found in perturbed.items()}


def importance(found: xr.Dataset) -> xr.DataArray:
    """Return the functional importance of a variant's networks, with location and category as means of their parts."""
    return pool_perturbations(functional_importance(found["perturbed"], found["control"], found["original"]))


def perturbation_rows(perturbed: Mapping[str, xr.Dataset]) -> list[Row]:
    """Return one row a variant, perturbation, layer and step: what altered flows cost, means over networks.

    Parameters
    ----------
    perturbed : mapping from flags to Dataset
        As `neurocircuit.analysis.perturbation_experiment` returns it.
    """
    rows = []
    for flags, found in perturbed.items():
        summary = over_networks(importance(found), "student")
        raw = {name: over_networks(pool_perturbations(found[name]))["mean"] for name in ("perturbed", "control")}
        for place in _places(summary["mean"]):
            mean, half = (float(summary[name].sel(place)) for name in ("mean", "half_width"))
            # Nothing flows there.
            if math.isnan(mean):
                continue
            row: Row = {"flags": flags, "variant": variant_name(flags), **place, "importance": mean, "half_width": half}
            rows.append(row | {name: float(values.sel(place)) for name, values in raw.items()})
    return rows


def _places(values: xr.DataArray) -> list[dict[str, Any]]:
    """Return the labels of every number of an array."""
    names = [str(dim) for dim in values.dims]
    return [
        dict(zip(names, labels, strict=True)) for labels in product(*(values[name].values.tolist() for name in names))
    ]
