"""Winners of slow competition beside those of the fast rank rule.

A script needs five lines::

    from neurocircuit.analysis.winner_tables import winner_checks, winner_tables
    from neurocircuit.analysis.winners import ode_study
    from neurocircuit.plotting.winners import plot_winners

    study = ode_study(weights, inputs, p=2.0, k=2, delta=0.4, n_images=200, seed=0)  # xarray.Dataset, for write_netcdf
    tables = winner_tables(study)  # three tables by name, for print_table and save_tables
    figure = plot_winners(study)  # Figure, for save_figure
    exit_code = report_checks(winner_checks(study))

`weights` is (hidden, feature), from `train_units`; `inputs` is (image, feature), prepared as for the training, of which
`n_images` are drawn with `seed`. With ``inhibitions=(0.5, 1.5)`` and 20 images it takes seconds.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import xarray as xr
from brian2 import ms

from neurocircuit.analysis.slow_competition import Competition, compete
from neurocircuit.checks import check_whole
from neurocircuit.circuits import CompetingUnitsParameters, competing_units_circuit, learning_activation, survivors
from neurocircuit.equations import to_float
from neurocircuit.simulation import simulate
from neurocircuit.versions import package_versions

__all__ = ["INHIBITIONS", "RANKS", "STARTS", "TIMES", "ode_study"]

FloatArray = npt.NDArray[np.float64]

#: Strengths of inhibition that are compared.
INHIBITIONS = (0.3, 0.5, 0.7, 0.9, 1.1, 1.5, 3.0)
#: Where the units begin: all at 0; where they end from rest for the image before, and for the first image where they
#: end for the last; each uniformly between 0 and the largest current.
STARTS = ("rest", "carried", "random")
#: Times at which positive units are counted, in time constants.
TIMES = (0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0)
#: The units with the largest currents whose activity is kept.
RANKS = 10
# Runs in Brian2: images, duration in time constants, steps at most, and the step as a share of the shortest one.
_BRIAN_IMAGES, _BRIAN_DURATION, _BRIAN_STEPS, _BRIAN_SHARE = 4, 20.0, 4000, 0.5


def ode_study(
    weights: Any,
    inputs: Any,
    *,
    p: float = 2.0,
    k: int = 2,
    delta: float = 0.4,
    n_images: int = 200,
    seed: int = 0,
    inhibitions: Sequence[float] = INHIBITIONS,
) -> xr.Dataset:
    """Let the slow competition (Eq. 8) choose winners for images, and compare it with the rank rule.

    The rank rule gives g = 1 to the unit with the largest current, ``-delta`` to the one of rank k and 0 to all others.
    The slow competition runs to its fixed point, and Eq. 9 turns each activity into g. Eq. 9's threshold is chosen for
    each strength of inhibition, on every other image, such that as often as possible both units that the rank rule
    changes get the same g from both; agreement is counted on the other images.

    Parameters
    ----------
    weights : (hidden, feature) array or tensor
        Weights of the hidden units; 2 units or more.
    inputs : (image, feature) array or tensor
        Images, prepared as for the training.
    p, k, delta
        As in `neurocircuit.plasticity.RankRule`.
    n_images : int
        How many images are drawn, without replacement; at least 4.
    seed : int
        Of the choice of images and of the random starts.
    inhibitions : sequence of float
        Strengths of the inhibition; not negative.

    Returns
    -------
    xarray.Dataset
        Over ``image`` (its row in `inputs`), ``inhibition``, ``start`` (``rest``, all units at 0; ``carried``, where
        they end from rest for the image before, and for the first image where they end for the last, which is no chain
        of images; ``random``, each uniformly between 0 and the largest current), ``time`` (ms) and ``rank`` (of the
        current, 1 is the largest): ``current``; ``margin``, the gap between the two largest currents as a share of the
        larger; ``winner_rank``, the rank of the most active unit at the end, 0 if none is positive;
        ``winner_current``, its current as a share of the largest; ``positive``, the units positive at the end, and
        ``predicted``, their number by `neurocircuit.circuits.survivors`; ``positive_at``; ``activity``;
        ``decision_time`` (ms) and ``settled``. From rest only: ``threshold``; ``fitted``, whether an image served to
        choose it; ``winner_learns``, ``kth_unlearns`` and ``same_units``, whether g is that of the rank rule at the
        first unit, at the k-th and at both, and ``same_all``, at all units; ``learning`` and ``unlearning``, the number
        of units with g = 1 and ``g = -delta``. Settings and the run in Brian2 are attributes.

    Raises
    ------
    ValueError, TypeError
        If an argument is not as described.

    References
    ----------
    Krotov and Hopfield (2019), PNAS 116, 7723. :cite:p:`krotov2019`
    """
    # The package of the learning rules takes long to import, because of scikit-learn.
    from neurocircuit.plasticity.images import check_images
    from neurocircuit.plasticity.rank_rule import RankRule, currents

    rule = RankRule(p=p, k=k, delta=delta)
    check_whole("n_images", n_images, 4)
    check_whole("seed", seed, 0)
    if not len(inhibitions):
        raise ValueError("`inhibitions` is empty; it must hold at least one strength, such as 1.5.")
    images = torch.as_tensor(inputs)
    check_images(images, "inputs")
    if n_images > len(images):
        raise ValueError(f"`n_images` is {n_images}, but `inputs` has {len(images)} images. Draw fewer.")
    rng = np.random.default_rng(seed)
    chosen = np.sort(rng.choice(len(images), n_images, replace=False))
    drawn = images[chosen].to("cpu", torch.float64)
    drive = currents(torch.as_tensor(weights).to("cpu", torch.float64), drawn, p).numpy()
    rule.check_units(drive.shape[1])
    order = np.argsort(-drive, axis=1, kind="stable")
    ranked = np.take_along_axis(drive, order, axis=1)
    tau = to_float(CompetingUnitsParameters().tau)
    begin = rng.random(drive.shape) * np.maximum(ranked[:, :1], 0)
    parts = []
    for strength in inhibitions:
        rest = _compete(drive, None, strength, tau)
        ends = [rest, _compete(drive, np.roll(rest.activity, 1, axis=0), strength, tau)]
        ends.append(_compete(drive, begin, strength, tau))
        found = xr.concat([_ending(end, order, ranked) for end in ends], xr.DataArray(list(STARTS), dims="start"))
        activity = np.take_along_axis(rest.activity, order, axis=1)
        parts.append(found.merge(_assignment(activity, k, delta)))
        parts[-1]["predicted"] = ("image", survivors(drive, strength))
    study = xr.concat(parts, xr.DataArray(list(inhibitions), dims="inhibition"))
    kept = slice(0, RANKS)
    margin = (ranked[:, 0] - ranked[:, 1]) / np.abs(ranked[:, 0])
    study = study.assign(
        current=(("image", "rank"), ranked[:, kept], {"units": "1", "long_name": "current of a hidden unit"}),
        margin=("image", margin, {"units": "1", "long_name": "gap between the two largest currents, relative"}),
    )
    study = study.assign_coords(image=chosen, rank=np.arange(1, ranked[:, kept].shape[1] + 1))
    study = study.assign_coords(time=("time", tau * np.array(TIMES), {"units": "ms"}))
    settings = {"p": p, "k": k, "delta": delta, "seed": seed, "hidden": drive.shape[1], "tau_ms": tau}
    return study.assign_attrs(**settings, **_brian_run(drive[:_BRIAN_IMAGES]), versions=json.dumps(package_versions()))


def _compete(drive: FloatArray, start: FloatArray | None, strength: float, tau: float) -> Competition:
    return compete(drive, start=start, times=[tau * time for time in TIMES], w_inh=strength)


def _ending(end: Competition, order: npt.NDArray[np.int64], ranked: FloatArray) -> xr.Dataset:
    """Return how the units ended, in the order of their currents."""
    activity = np.take_along_axis(end.activity, order, axis=1)
    positive, winner = (activity > 0).sum(1), activity.argmax(1)
    share = ranked[np.arange(len(ranked)), winner] / ranked[:, 0]
    return xr.Dataset(
        {
            "winner_rank": ("image", np.where(positive > 0, winner + 1, 0)),
            "winner_current": ("image", np.where(positive > 0, share, np.nan), {"units": "1"}),
            "positive": ("image", positive),
            "positive_at": (("time", "image"), end.positive_at),
            "activity": (("image", "rank"), activity[:, :RANKS], {"units": "1"}),
            "decision_time": ("image", end.decision_time, {"units": "ms"}),
            "settled": ("image", end.settled),
        }
    )


def _assignment(activity: FloatArray, k: int, delta: float) -> xr.Dataset:
    """Return what Eq. 9 makes of the activity of units in the order of their currents, (image, hidden)."""
    fitted = np.arange(len(activity)) % 2 == 0
    threshold = _best_threshold(activity[fitted, 0], activity[fitted, k - 1])
    g = learning_activation(activity, threshold=threshold, delta=delta)
    wanted = np.zeros_like(g)
    wanted[:, 0], wanted[:, k - 1] = 1, -delta
    of_two = [0, k - 1]
    return xr.Dataset(
        {
            "threshold": ((), threshold, {"units": "1", "long_name": "h* of Eq. 9"}),
            "fitted": ("image", fitted),
            "winner_learns": ("image", g[:, 0] == 1),
            "kth_unlearns": ("image", (activity[:, k - 1] >= 0) & (activity[:, k - 1] <= threshold)),
            "same_units": ("image", (g[:, of_two] == wanted[:, of_two]).all(1)),
            "same_all": ("image", (g == wanted).all(1)),
            "learning": ("image", (g > 0).sum(1)),
            "unlearning": ("image", ((activity >= 0) & (activity <= threshold)).sum(1)),
        }
    )


def _best_threshold(winner: FloatArray, kth: FloatArray) -> float:
    """Return the threshold that is above the k-th activity and below the winner's in most images; 0 if in none."""
    low, high = kth[kth >= 0], winner[kth >= 0]
    if not len(low):
        return 0.0
    # The best threshold can be moved down to the highest of the k-th activities below it.
    inside = (low[None, :] <= low[:, None]) & (low[:, None] < high[None, :])
    return float(low[inside.sum(1).argmax()])


def _brian_run(drive: FloatArray) -> dict[str, Any]:
    """Run some images in Brian2 and in torch at one step, and return who won and how far they are apart."""
    circuit = competing_units_circuit(drive.shape[1])
    values = circuit.parameters.as_floats()
    most = max(int((drive > 0).sum(1).max()), 1)
    step = _BRIAN_SHARE * values["tau"] / (1 + values["w_inh"] * (most - 1))
    steps = min(int(np.ceil(_BRIAN_DURATION * values["tau"] / step)), _BRIAN_STEPS)
    brian, torch_run = (
        simulate(
            circuit,
            drive[:, :, None, None],
            start="zeros",
            step=step * ms,
            steps=steps,
            record=max(steps // 10, 1),
            device=device,
        )["h"].values
        for device in ("numpy", "torch")
    )
    winner = brian[-1, :, :, 0, 0].argmax(1)
    return {
        "brian_images": len(drive),
        "brian_inhibition": values["w_inh"],
        "brian_step_ms": step,
        "brian_steps": steps,
        "brian_same_winner": int((winner == drive.argmax(1)).sum()),
        "brian_max_difference": float(np.abs(brian - torch_run).max()),
    }
