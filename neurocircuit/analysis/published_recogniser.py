"""The published results of the recurrent recogniser: the authors' arrays, and the numbers of their tables."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

__all__ = [
    "PublishedArrays",
    "PublishedCell",
    "published_cells",
    "published_summary",
    "read_published",
]

#: Coordinates of the published arrays, in their order.
_COORDS: Mapping[str, tuple[str, ...]] = {
    "layer": ("input", "conv1", "conv2", "fc"),
    # What the authors call x is the column, y the row.
    "variable": ("category", "column", "row", "scale", "rotation", "domain"),
    "scenes": ("cluttered", "target_only"),
    "kind": ("bias", "gain"),
    # Here what they call x is the row: their labels and their swaps differ in this.
    "perturbation": ("y", "x", "orientation", "scale", "category_within", "category_between"),
    "condition": ("perturbed", "control"),
}
_STEPS = 4
#: Dimensions of each array; `flow_step` counts from step 2.
_ARRAYS: Mapping[str, tuple[str, ...]] = {
    "dec_accs": ("network", "layer", "step", "variable", "scenes", "repeat"),
    "out_accs": ("network", "scenes", "repeat"),
    "fbr_accs_all_comb": ("network", "layer", "flow_step", "kind", "variable", "repeat"),
    "original_accuracy": ("network", "repeat", "one"),
    "perturbed_accuracies": ("network", "perturbation", "condition", "layer", "flow_step", "repeat"),
}
_SOURCE = "Thorat, Aldegheri and Kietzmann (2021), arXiv 2111.07898"


@dataclass(frozen=True)
class PublishedArrays:
    """The published results of networks of one configuration, one number a network and repeat."""

    decoding: xr.Dataset
    """As `neurocircuit.analysis.decode` gives it, without chance levels: ``accuracy``, ``activations``, ``flows``, and
    ``flows_untrained``, those of the branch that such networks neither train nor use."""
    perturbation: xr.Dataset
    """As `neurocircuit.analysis.perturbation_experiment` gives it: ``original``, ``perturbed`` and ``control``."""


def read_published(data: str | Path | Mapping[str, Any], flags: str = "0111") -> PublishedArrays:
    """Read the arrays that the authors released, with labels.

    Parameters
    ----------
    data : str, Path or mapping
        An .npz file, or arrays by name: dec_accs, out_accs, fbr_accs_all_comb, original_accuracy and
        perturbed_accuracies, the first dimension of each being the network.
    flags : {"0111", "1011"}
        Which networks they are of: with gain or with bias. It decides which flows are the ones in use.

    Returns
    -------
    PublishedArrays
        What was not measured, such as flows at step 1 or from scenes of the target only, is NaN.

    Raises
    ------
    OSError
        If the file cannot be read.
    ValueError
        If the flags are others, an array is missing or not of the published shape, or a number is no accuracy.
    """
    if flags not in ("0111", "1011"):
        raise ValueError(f"`flags` is {flags!r}; the release has '0111' (gain) and '1011' (bias).")
    if isinstance(data, str | Path):
        with np.load(data, allow_pickle=False) as file:
            data = dict(file)
    arrays = {name: _labelled(name, data) for name in _ARRAYS}
    flows = arrays["fbr_accs_all_comb"].rename(flow_step="step")
    live, unused = ("gain", "bias") if flags[1] == "1" else ("bias", "gain")
    decoding = xr.Dataset({"accuracy": arrays["out_accs"], "activations": arrays["dec_accs"]})
    for name, kind in (("flows", live), ("flows_untrained", unused)):
        # The flows were read out of cluttered scenes alone, and from step 2 on.
        own = flows.sel(kind=[kind]).assign_coords(kind=[live]).expand_dims(scenes=["cluttered"])
        decoding[name] = own.reindex(scenes=list(_COORDS["scenes"]), step=np.arange(1, _STEPS + 1))
    perturbed = arrays["perturbed_accuracies"].rename(flow_step="step")
    perturbation = xr.Dataset(
        {
            "original": arrays["original_accuracy"].isel(one=0),
            **{name: perturbed.sel(condition=name, drop=True) for name in _COORDS["condition"]},
        }
    )
    attrs = {"flags": flags, "source": _SOURCE}
    return PublishedArrays(decoding.assign_attrs(attrs), perturbation.assign_attrs(attrs))


def _labelled(name: str, data: Mapping[str, Any]) -> xr.DataArray:
    """Return an array with its coordinates, or say what is wrong with it."""
    if name not in data:
        raise ValueError(f"`data` holds {', '.join(data) or 'nothing'}; '{name}' is missing.")
    values, dims = np.asarray(data[name], dtype=np.float64), _ARRAYS[name]
    known = {**{dim: len(labels) for dim, labels in _COORDS.items()}, "step": _STEPS, "flow_step": _STEPS - 1, "one": 1}
    expected = tuple(known.get(dim) for dim in dims)
    if values.ndim != len(dims) or any(e not in (None, n) for e, n in zip(expected, values.shape, strict=True)):
        text = ", ".join(f"{dim} {size}" if size else dim for dim, size in zip(dims, expected, strict=True))
        raise ValueError(f"`data['{name}']` has the shape {values.shape}; it must be ({text}).")
    if not ((values >= 0) & (values <= 1)).all():
        raise ValueError(f"`data['{name}']` holds numbers that are no accuracies; they must be from 0 to 1.")
    steps = {"step": np.arange(1, _STEPS + 1), "flow_step": np.arange(2, _STEPS + 1)}
    coords = {dim: list(_COORDS[dim]) if dim in _COORDS else steps[dim] for dim in dims if dim in {**_COORDS, **steps}}
    return xr.DataArray(values, dims=dims, coords=coords)


@dataclass(frozen=True)
class PublishedCell:
    """A number of the published tables; what a quantity does not depend on is None."""

    quantity: str
    """accuracy, activations, flows, auxiliary, importance, perturbed or control."""
    flags: str
    """0111 (gain) or 1011 (bias)."""
    scenes: str
    """cluttered, target_only or, for perturbations, unjittered."""
    kind: str | None
    """Of flows: bias or gain. The kind that the flags turn off is the branch that is neither trained nor used."""
    variable: str | None
    """Variable that is decoded, or perturbation."""
    layer: str | None
    """Layer that is decoded or that the flows go into."""
    step: int | None
    """Time step, from 1."""
    mean: float
    """Mean over 5 networks, as a fraction."""
    half_width: float | None
    """Half the width of the interval, as `over_networks` gives it; None where none is printed."""
    digits: int
    """Decimals of the fraction that are printed."""


@cache
def published_cells() -> tuple[PublishedCell, ...]:
    """Return every number of the published tables, of the gain and of the bias networks."""
    text = files("neurocircuit.analysis").joinpath("published_recogniser.csv").read_text(encoding="utf-8")
    return tuple(_cell(row) for row in csv.DictReader(text.splitlines()))


def _cell(row: Mapping[str, str]) -> PublishedCell:
    return PublishedCell(
        quantity=row["quantity"],
        flags=row["flags"],
        scenes=row["scenes"],
        kind=row["kind"] or None,
        variable=row["variable"] or None,
        layer=row["layer"] or None,
        step=int(row["step"]) if row["step"] else None,
        mean=float(row["mean"]),
        half_width=float(row["half_width"]) if row["half_width"] else None,
        digits=len(row["mean"].partition(".")[2]),
    )


def published_summary(quantity: str, flags: str, *, scenes: str | None = None, kind: str | None = None) -> xr.Dataset:
    """Return a published table of accuracies or importances by variable, layer and step.

    Parameters
    ----------
    quantity : {"activations", "flows", "importance", "perturbed", "control"}
        Which table.
    flags : {"0111", "1011"}
        Of which networks.
    scenes : str, optional
        Of which scenes. Default: cluttered, of perturbations unjittered.
    kind : {"bias", "gain"}, optional
        Which flows. Default: those in use.

    Returns
    -------
    Dataset
        ``mean`` and ``half_width`` over ``variable`` (of importances: ``perturbation``), ``layer`` and ``step``; NaN
        where nothing is printed.

    Raises
    ------
    ValueError
        If nothing of the kind is published.
    """
    dim = "variable" if quantity in ("activations", "flows") else "perturbation"
    scenes = scenes or ("cluttered" if dim == "variable" else "unjittered")
    if quantity == "flows":
        kind = kind or ("gain" if flags == "0111" else "bias")
    wanted = (quantity, flags, scenes, kind)
    cells = [c for c in published_cells() if (c.quantity, c.flags, c.scenes, c.kind) == wanted and c.layer and c.step]
    if not cells:
        raise ValueError(f"no table of {quantity!r}, {flags!r}, {scenes!r}, {kind!r} (quantity, flags, scenes, kind).")
    coords: dict[str, Any] = {
        dim: list(dict.fromkeys(cell.variable for cell in cells)),
        "layer": list(_COORDS["layer"]),
        "step": sorted({cell.step for cell in cells if cell.step}),
    }
    empty = xr.DataArray(np.full([len(labels) for labels in coords.values()], np.nan), coords, tuple(coords))
    found = xr.Dataset({"mean": empty, "half_width": empty.copy()}, attrs={"flags": flags, "source": _SOURCE})
    for cell in cells:
        at = {dim: cell.variable, "layer": cell.layer, "step": cell.step}
        found["mean"].loc[at] = cell.mean
        found["half_width"].loc[at] = np.nan if cell.half_width is None else cell.half_width
    return found
