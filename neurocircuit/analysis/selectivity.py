"""What single units respond to, how that relates to their connections, and which tasks they vary with."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from neurocircuit.circuits.rate_network import RateNetwork
from neurocircuit.tables import Row

__all__ = ["cluster_units", "d_prime", "fractional_variance", "mean_weights", "sort_units", "task_variance"]

Array = npt.NDArray[np.float64]


def d_prime(values: Any, second: Any) -> Array:
    """Return how well each unit tells two groups of trials apart, ``(m1 - m0)/sqrt((v1 + v0)/2)``.

    Parameters
    ----------
    values : (trial, unit) array
        One number a trial and unit, such as the mean rate during the stimulus.
    second : (trial,) bool array
        Which trials are of the group that positive values prefer.

    Returns
    -------
    (unit,) array
        0 where nothing differs; infinite where the means differ and the trials of a group do not.

    Raises
    ------
    ValueError
        If shapes do not agree, a value is not finite, or a group has fewer than two trials.
    """
    array, group = np.asarray(values, dtype=np.float64), np.asarray(second)
    if array.ndim != 2 or group.shape != array.shape[:1] or group.dtype != bool or not np.isfinite(array).all():
        raise ValueError(
            f"`values` has the shape {array.shape} and `second` {group.shape} of {group.dtype}; they must be finite "
            "(trial, unit), and one bool a trial."
        )
    if min(group.sum(), (~group).sum()) < 2:
        raise ValueError(f"`second` has {int(group.sum())} of {len(group)} trials; each group needs at least two.")
    means, variances = zip(
        *((array[own].mean(axis=0), array[own].var(axis=0, ddof=1)) for own in (group, ~group)), strict=True
    )
    difference, spread = means[0] - means[1], np.sqrt((variances[0] + variances[1]) / 2)
    with np.errstate(divide="ignore"):
        scaled = np.divide(difference, spread, out=np.zeros_like(difference), where=(difference != 0) | (spread > 0))
    return np.asarray(scaled)


def sort_units(index: Any, excitatory: Any = None) -> npt.NDArray[np.int64]:
    """Return the order of units by falling index, excitatory ones first.

    Parameters
    ----------
    index : (unit,) array
        For example from `d_prime`.
    excitatory : (unit,) bool array, optional
        Default: all.

    Raises
    ------
    ValueError
        If shapes do not agree or an index is NaN.
    """
    values = np.asarray(index, dtype=np.float64)
    first = np.ones(values.shape, dtype=bool) if excitatory is None else np.asarray(excitatory, dtype=bool)
    if values.ndim != 1 or first.shape != values.shape or np.isnan(values).any():
        raise ValueError(
            f"`index` has the shape {values.shape} and `excitatory` {first.shape}; one number a unit each."
        )
    return np.asarray(np.lexsort((-values, ~first)))


def mean_weights(network: RateNetwork, preference: Any = None) -> list[Row]:
    """Average the weights between populations: excitatory and inhibitory, and of which preference.

    Parameters
    ----------
    network : RateNetwork
        The network.
    preference : (unit,) bool array, optional
        Pool of each unit, such as ``d_prime(...) > 0``. Default: one pool.

    Returns
    -------
    list of rows
        ``projection``, such as "E->I" ("all->all" without Dale's law); ``pools``, "within" or "between" the pools, or
        "all"; ``pairs``, the possible connections, autapses left out; ``connected``, the share of them that is not 0;
        ``mean``, the mean weight over all pairs; and ``mean_connected``, over those that are not 0 (NaN if none).

    Raises
    ------
    ValueError
        If `preference` is not one bool a unit.
    """
    units = network.n_units
    kinds = {"all": np.ones(units, dtype=bool)}
    if network.excitatory is not None:
        kinds = {"E": network.excitatory, "I": ~network.excitatory}
    different = ~np.eye(units, dtype=bool)
    groups = {"all": different}
    if preference is not None:
        pool = np.asarray(preference)
        if pool.shape != (units,) or pool.dtype != bool:
            raise ValueError(f"`preference` has the shape {pool.shape} of {pool.dtype}; it must be ({units},) of bool.")
        same = pool[:, None] == pool[None, :]
        groups = {"within": same & different, "between": ~same}
    rows = []
    for pre, senders in kinds.items():
        for post, receivers in kinds.items():
            for name, group in groups.items():
                weights = network.weights[np.outer(receivers, senders) & group]
                present = weights[weights != 0]
                rows.append(
                    {
                        "projection": f"{pre}->{post}",
                        "pools": name,
                        "pairs": weights.size,
                        "connected": float(np.mean(weights != 0)) if weights.size else np.nan,
                        "mean": float(weights.mean()) if weights.size else np.nan,
                        "mean_connected": float(present.mean()) if present.size else np.nan,
                    }
                )
    return rows


def task_variance(averages: Mapping[str, Any]) -> xr.DataArray:
    """Return the variance of every unit over the conditions of every task, averaged over time (Yang et al. 2019).

    Parameters
    ----------
    averages : mapping from task to (condition, time, unit) array
        Rates by condition without noise, such as `condition_averages`; leave the fixation out.

    Returns
    -------
    (task, unit) DataArray

    Raises
    ------
    ValueError
        If there is no task, tasks have different units, or a value is not finite.
    """
    arrays = {task: np.asarray(values, dtype=np.float64) for task, values in averages.items()}
    shapes = {task: array.shape for task, array in arrays.items()}
    same = len({shape[-1] for shape in shapes.values()}) == 1
    if not same or any(len(shape) != 3 for shape in shapes.values()) or not all(map(_finite, arrays.values())):
        raise ValueError(
            f"`averages` has the shapes {shapes}; all must be finite (condition, time, unit), units alike."
        )
    variances = np.stack([array.var(axis=0).mean(axis=0) for array in arrays.values()])
    return xr.DataArray(variances, {"task": list(arrays)}, ("task", "unit"), attrs={"units": "1"})


def fractional_variance(variance: xr.DataArray, first: str, second: str) -> Array:
    """Return ``(A - B)/(A + B)`` of every unit for two tasks: 1 if it varies in the first only; NaN if in neither.

    Parameters
    ----------
    variance : (task, unit) DataArray
        From `task_variance`.
    first, second : str
        Names of tasks.

    Raises
    ------
    ValueError
        If there is no such task.
    """
    known = variance["task"].values.tolist()
    if first not in known or second not in known:
        raise ValueError(f"`first` is {first!r} and `second` {second!r}; the tasks are {', '.join(known)}.")
    a, b = variance.sel(task=first).values, variance.sel(task=second).values
    return np.asarray(np.divide(a - b, a + b, out=np.full_like(a, np.nan), where=a + b > 0))


def cluster_units(
    variance: xr.DataArray,
    counts: Iterable[int] = range(2, 30),
    *,
    quiet: float = 1e-3,
    starts: int = 20,
    seed: int = 0,
) -> xr.Dataset:
    """Cluster units by the tasks they vary in, with the number of clusters of the best silhouette (Yang et al. 2019).

    Parameters
    ----------
    variance : (task, unit) DataArray
        From `task_variance`; each unit is divided by its largest.
    counts : iterable of int
        Numbers of clusters to try; those of at least the number of units are passed over.
    quiet : float
        Units whose variances sum to less than this are left out.
    starts : int
        Random starts of k-means.
    seed : int
        Where the starts come from.

    Returns
    -------
    xarray.Dataset
        ``cluster`` over ``unit``, largest cluster first and -1 for a quiet unit; ``silhouette`` over ``count``;
        ``profile`` (cluster_number, task), the mean normalised variance.

    Raises
    ------
    ValueError
        If fewer than three units are left, or no number of clusters.
    """
    # Slow to import, and only needed here.
    from sklearn.cluster import KMeans
    from sklearn.metrics import silhouette_score

    values = variance.transpose("unit", "task").values
    active = values.sum(axis=1) >= quiet
    tried = sorted({int(count) for count in counts if 2 <= count < active.sum()})
    if not tried:
        raise ValueError(
            f"`counts` has no number from 2 to {int(active.sum()) - 1}; {int(active.sum())} of {len(values)} units "
            f"vary by at least `quiet`={quiet:g}."
        )
    features = values[active] / values[active].max(axis=1, keepdims=True)
    labels = {k: KMeans(k, n_init=starts, random_state=seed).fit_predict(features) for k in tried}
    scores = [float(silhouette_score(features, found)) if len(set(found)) > 1 else -1.0 for found in labels.values()]
    best = labels[tried[int(np.argmax(scores))]]
    largest = np.argsort(-np.bincount(best), kind="stable")
    rank = np.empty_like(largest)
    rank[largest] = np.arange(len(largest))
    cluster = np.full(len(values), -1)
    cluster[active] = rank[best]
    profile = np.stack([features[rank[best] == k].mean(axis=0) for k in range(len(largest))])
    return xr.Dataset(
        {
            "cluster": ("unit", cluster),
            "silhouette": ("count", scores),
            "profile": (("cluster_number", "task"), profile, {"units": "1"}),
        },
        {"count": tried, "task": variance["task"].values},
        {"quiet": quiet, "seed": seed},
    )


def _finite(array: Array) -> bool:
    return bool(array.size) and bool(np.isfinite(array).all())
