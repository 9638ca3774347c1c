"""Tables and checks of `neurocircuit.analysis.winners.ode_study`."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import xarray as xr

from neurocircuit.analysis.winners import STARTS, TIMES
from neurocircuit.intervals import accuracy_interval
from neurocircuit.tables import Row, Table

__all__ = ["winner_checks", "winner_tables"]

#: Groups of equal size that images are put in by the margin between their two largest currents.
MARGIN_GROUPS = 4
#: Largest difference allowed between Brian2 and torch.
BRIAN_TOLERANCE = 1e-10
#: Share of the runs that must have come to rest.
SETTLED = 0.95


def winner_tables(study: xr.Dataset) -> dict[str, Table]:
    """Return what `ode_study` found as tables: who wins from each start, when it is decided, and what Eq. 9 assigns.

    Returns
    -------
    dict of tables
        ``winners``: by start and inhibition, the share of images with the rank rule's winner, and its 95 % interval.
        ``margins``: by groups of images with similar margin, at every inhibition above 1; left out if there is none.
        ``assignment``: from rest, how often Eq. 9 changes the units that the rank rule changes.
    """
    tables: dict[str, Table] = {
        "winners": [_winner_row(study, start, w) for w in study["inhibition"].values for start in STARTS],
        "margins": [
            _margin_row(study, w, group)
            for w in study["inhibition"].values
            if w > 1
            for group in np.array_split(np.argsort(study["margin"].values), MARGIN_GROUPS)
        ],
        "assignment": [_assignment_row(study.sel(inhibition=w)) for w in study["inhibition"].values],
    }
    return {name: rows for name, rows in tables.items() if rows}


def winner_checks(study: xr.Dataset) -> Mapping[str, bool]:
    """Return what theory says of the study, each claim with whether the runs bear it out."""
    settled, strength = study["settled"], study["inhibition"]
    rest = study.sel(start="rest")
    alive = rest["settled"] & (study["current"].sel(rank=1) > 0)
    differ = int((alive & (rest["winner_rank"] != 1)).sum())
    miscounted = int((rest["settled"] & (rest["positive"] != rest["predicted"])).sum())
    share = study["winner_current"]
    bound = 1 / np.maximum(strength, 1)
    below = int((settled & (share < bound * (1 - 1e-6))).sum())
    same, difference = study.attrs["brian_same_winner"], study.attrs["brian_max_difference"]
    return {
        f"{int(settled.sum())} of {settled.size} runs came to rest": bool(settled.mean() >= SETTLED),
        f"from rest, {differ} of {int(alive.sum())} winners are not the rank rule's": differ == 0,
        f"from rest, {miscounted} of {int(rest['settled'].sum())} counts of positive units are not those predicted": (
            miscounted == 0
        ),
        f"from any start, {below} of {int((settled & share.notnull()).sum())} winners have a current below the bound "
        "max(I)/max(w_inh, 1)": below == 0,
        f"in Brian2, {same} of {study.attrs['brian_images']} winners from rest are the rank rule's": (
            same == study.attrs["brian_images"]
        ),
        f"Brian2 differs from torch by {difference:.2g}, at most {BRIAN_TOLERANCE:g}": difference <= BRIAN_TOLERANCE,
    }


def _winner_row(study: xr.Dataset, start: str, strength: float) -> Row:
    one = study.sel(start=start, inhibition=strength)
    count, same = one.sizes["image"], int((one["winner_rank"] == 1).sum())
    low, high = accuracy_interval(same, count)
    return {
        "start": start,
        "w_inh": float(strength),
        "images": count,
        "settled": int(one["settled"].sum()),
        "same_winner": same / count,
        "low": low,
        "high": high,
        "no_winner": int((one["winner_rank"] == 0).sum()),
        "lowest_current": float(one["winner_current"].min()),
        "positive_units": float(one["positive"].mean()),
        "decision_ms": float(one["decision_time"].median()),
    }


def _margin_row(study: xr.Dataset, strength: float, group: npt.NDArray[np.int64]) -> Row:
    some = study.isel(image=group).sel(inhibition=strength)
    rest = some.sel(start="rest")
    row: Row = {
        "w_inh": float(strength),
        "margin_from": float(some["margin"].min()),
        "margin_to": float(some["margin"].max()),
        "images": len(group),
        "decision_ms": float(rest["decision_time"].median()),
    }
    for time in (1.0, 5.0, 20.0):
        left = rest["positive_at"].isel(time=TIMES.index(time)) > 1
        row[f"undecided_{time:g}_tau"] = float(left.mean())
    for start in STARTS:
        row[f"differ_{start}"] = float((some.sel(start=start)["winner_rank"] != 1).mean())
    return row


def _assignment_row(one: xr.Dataset) -> Row:
    tested = one.sel(start="rest").isel(image=~one["fitted"].values)
    count, same = tested.sizes["image"], int(tested["same_all"].sum())
    low, high = accuracy_interval(same, count)
    return {
        "w_inh": float(one["inhibition"]),
        "threshold": float(one["threshold"]),
        "images": count,
        "winner_learns": float(tested["winner_learns"].mean()),
        "kth_unlearns": float(tested["kth_unlearns"].mean()),
        "k_positive": float((tested["positive"] == tested.attrs["k"]).mean()),
        "both_as_rule": float(tested["same_units"].mean()),
        "all_as_rule": same / count,
        "low": low,
        "high": high,
        "learning_units": float(tested["learning"].mean()),
        "unlearning_units": float(tested["unlearning"].mean()),
    }
