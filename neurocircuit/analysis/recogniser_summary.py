"""Averages and intervals of decoding and perturbation results, of our own networks and of the published ones alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Literal, get_args

import numpy as np
import xarray as xr
from scipy.stats import t as student

from neurocircuit.intervals import accuracy_interval

__all__ = [
    "AUXILIARY",
    "auxiliary_averages",
    "functional_importance",
    "over_networks",
    "over_repeats",
    "pool_perturbations",
    "pool_variables",
]

Interval = Literal["published", "student"]

#: Variables that say nothing about the category; the published averages are over these.
AUXILIARY = ("location", "scale", "rotation")

_VARIABLES = {"location": ("row", "column")}
#: Perturbations that are reported together.
POOLED_PERTURBATIONS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {"location": ("x", "y"), "category": ("category_within", "category_between")}
)


def pool_variables(accuracy: xr.DataArray) -> xr.DataArray:
    """Return accuracies with `row` and `column` replaced by their mean, `location`.

    Parameters
    ----------
    accuracy : DataArray
        Accuracies over ``variable`` and any other dimensions.
    """
    return _pool(accuracy, "variable", _VARIABLES, keep=False)


def pool_perturbations(values: xr.DataArray) -> xr.DataArray:
    """Return values over ``perturbation`` with the means `location` (of x and y) and `category` (of both) added."""
    return _pool(values, "perturbation", POOLED_PERTURBATIONS, keep=True)


def _pool(values: xr.DataArray, dim: str, groups: Mapping[str, Sequence[str]], *, keep: bool) -> xr.DataArray:
    """Add means of groups along a dimension; the members stay or go. A group that is not complete is left out."""
    names = [str(name) for name in values[dim].values]
    complete = {group: list(members) for group, members in groups.items() if set(members) <= set(names)}
    # A single member could be mistaken for the mean of the group.
    gone = set() if keep else {member for members in complete.values() for member in members}
    means = [values.sel({dim: members}).mean(dim).expand_dims({dim: [group]}) for group, members in complete.items()]
    rest = values.sel({dim: [name for name in names if name not in gone]})
    pooled = xr.concat([rest, *means], dim, coords="minimal", compat="override")
    # The category comes first in every table, then the variables that are no category.
    order = [name for name in ("category", "location") if name in pooled[dim].values]
    return pooled.sel({dim: [*order, *(n for n in pooled[dim].values if n not in order)]})


def over_networks(values: xr.DataArray, interval: Interval = "published") -> xr.Dataset:
    """Return mean and half the width of the 95 % interval over networks, repeats of one network averaged first.

    Parameters
    ----------
    values : DataArray
        Over ``network``, perhaps ``repeat``, and any other dimensions.
    interval : {"published", "student"}
        published: 1.96 times the standard deviation (that of the sample, not the estimate for the population) over
        the root of the number of networks. It is too narrow for few networks: with 3 it is 0.37 times the other.
        student: Student's t interval, which holds for any number; NaN with one network.

    Returns
    -------
    Dataset
        ``mean`` and ``half_width`` over the other dimensions.

    Raises
    ------
    ValueError
        If there is no network, or the interval is none of these.
    """
    if interval not in get_args(Interval):
        raise ValueError(f"`interval` is {interval!r}; it must be one of {', '.join(get_args(Interval))}.")
    networks = values.sizes.get("network", 0)
    if not networks:
        raise ValueError(f"`values` has the dimensions {values.dims}; one must be `network`, and not empty.")
    each = values.mean("repeat") if "repeat" in values.dims else values
    # NaN is what was not measured, and stays so.
    mean = each.mean("network", skipna=False)
    if interval == "published":
        half = 1.96 * each.std("network", ddof=0, skipna=False) / np.sqrt(networks)
    elif networks == 1:
        half = xr.full_like(mean, np.nan)
    else:
        half = student.ppf(0.975, networks - 1) * each.std("network", ddof=1, skipna=False) / np.sqrt(networks)
    return xr.Dataset({"mean": mean, "half_width": half})


def over_repeats(accuracy: xr.DataArray, samples: int) -> xr.Dataset:
    """Return mean and Wilson's 95 % interval of the accuracies of one network, the answers of all repeats counted.

    Parameters
    ----------
    accuracy : DataArray
        Over ``repeat``, and any other dimensions.
    samples : int
        Scenes that were scored in each repeat.

    Returns
    -------
    Dataset
        ``mean``, ``low`` and ``high`` over the other dimensions.
    """
    total = samples * accuracy.sizes["repeat"]
    mean = accuracy.mean("repeat", skipna=False)
    bounds = np.full((2, mean.size), np.nan)
    for at, value in enumerate(mean.values.ravel()):
        if np.isfinite(value):
            bounds[:, at] = accuracy_interval(round(float(value) * total), total)
    low, high = (mean.copy(data=bound.reshape(mean.shape)) for bound in bounds)
    return xr.Dataset({"mean": mean, "low": low, "high": high})


def auxiliary_averages(activations: xr.DataArray) -> xr.Dataset:
    """Average how well the auxiliary variables are decoded: the published measure of information over time and depth.

    Parameters
    ----------
    activations : DataArray
        Accuracies of one kind of scenes over ``network``, ``layer``, ``step``, ``variable``, perhaps ``repeat``.

    Returns
    -------
    Dataset
        ``over_time`` by network and step, and ``over_depth`` by network and layer; average them with `over_networks`.
    """
    pooled = pool_variables(activations).sel(variable=list(AUXILIARY)).mean("variable")
    if "repeat" in pooled.dims:
        pooled = pooled.mean("repeat")
    return xr.Dataset({"over_time": pooled.mean("layer"), "over_depth": pooled.mean("step")})


def functional_importance(perturbed: xr.DataArray, control: xr.DataArray, original: xr.DataArray) -> xr.DataArray:
    """Return how much accuracy the altered flows cost, over the accuracy of the natural network.

    Each network is divided by its own accuracy. (The published notebook divides those of all networks by those of all,
    and averages the square table.)

    Parameters
    ----------
    perturbed, control : DataArray
        Accuracies with altered flows, and with flows shuffled by as much, over ``network`` and any other dimensions.
    original : DataArray
        Accuracies of the same networks left alone.

    Returns
    -------
    DataArray
        ``(control - perturbed) / original``, the repeats averaged first; NaN for a network that is never right.
    """
    means = [values.mean("repeat") if "repeat" in values.dims else values for values in (perturbed, control, original)]
    return (means[1] - means[0]) / means[2].where(means[2] > 0)
