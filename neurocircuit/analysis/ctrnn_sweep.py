"""Sweeps over initial networks: every point a training run in a folder of its own, shared out by joblib."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from threading import Lock
from typing import Any

import joblib
import xarray as xr

from neurocircuit.analysis.ctrnn_outputs import network_outputs
from neurocircuit.analysis.ctrnn_recipes import FRESH_TRIALS, CTRNNRecipe, recipe_description
from neurocircuit.analysis.ctrnn_training import build_ctrnn, train_task
from neurocircuit.errors import NonFiniteError
from neurocircuit.files import atomic
from neurocircuit.tables import Row
from neurocircuit.training import draw_trials, has_run
from neurocircuit.training.environment import one_thread

__all__ = ["SweepPoint", "run_point", "run_sweep", "sweep_map", "sweep_points"]

#: Trained one after the other within a process: torch's global generator, which training seeds, is one for all threads.
_ONE_AT_A_TIME = Lock()


@dataclass(frozen=True, kw_only=True)
class SweepPoint:
    """What differs between the runs of a sweep."""

    p_inh: float
    """Fraction of inhibitory units."""
    spectral_radius: float
    """Spectral radius of the initial weights."""
    seed: int
    """Seed of the run."""

    def recipe(self, recipe: CTRNNRecipe) -> CTRNNRecipe:
        """Return the recipe of the run."""
        return recipe.with_network(p_inh=self.p_inh, spectral_radius=self.spectral_radius)

    def folder(self, folder: Path) -> Path:
        """Return where the run is kept."""
        return folder / f"p_inh{self.p_inh!r}_radius{self.spectral_radius!r}_seed{self.seed}"


def sweep_points(p_inh: Iterable[float], spectral_radius: Iterable[float], seed: Iterable[int]) -> list[SweepPoint]:
    """Return the points of a grid, each once.

    Raises
    ------
    ValueError
        If there is none.
    """
    grid = dict.fromkeys(product(p_inh, spectral_radius, seed))
    points = [SweepPoint(p_inh=p, spectral_radius=radius, seed=number) for p, radius, number in grid]
    if not points:
        raise ValueError("The sweep has no point; give at least one p_inh, one spectral radius and one seed.")
    return points


def run_point(point: SweepPoint, recipe: CTRNNRecipe, folder: str | Path, trials: int) -> Row:
    """Train and score one point, or go on with it, or only read its row if it is done.

    Parameters
    ----------
    point : SweepPoint
        What to train.
    recipe : CTRNNRecipe
        Everything else.
    folder : str or Path
        Folder of the sweep; the point has a folder in it, with the run and, once it is done, ``row.json``.
    trials : int
        Fresh trials on which the trained network is scored.

    Returns
    -------
    dict
        The point; ``criterion_step``, the first validation at the recipe's criterion (NaN if none); ``steps`` trained;
        ``accuracy`` on fresh trials with its 95 % interval; ``loss`` of the best validation; ``outcome``: ``learned``,
        ``not learned`` or ``diverged`` (then without accuracy).

    Raises
    ------
    ValueError
        If the folder holds the point of another recipe, or a number of the point is not allowed.
    """
    changed, place = point.recipe(recipe), point.folder(Path(folder))
    made_by = {"recipe": recipe_description(changed), "training": asdict(recipe.training), "trials": trials}
    made_by = json.loads(json.dumps(made_by))
    done = place / "row.json"
    if done.exists():
        found = json.loads(done.read_text())
        if found["made_by"] != made_by:
            raise ValueError(
                f"'{place}' holds a point of another recipe; use the flags it was made with, or another folder."
            )
        return _read_row(found["row"])
    with _ONE_AT_A_TIME:
        row = _train_and_score(point, changed, place, trials)
    with atomic(done) as partial:
        partial.write_text(json.dumps({"made_by": made_by, "row": _as_json(row)}, indent=2) + "\n")
    return row


def _train_and_score(point: SweepPoint, recipe: CTRNNRecipe, place: Path, trials: int) -> Row:
    try:
        # The sweep itself is what runs in parallel.
        with one_thread():
            found = train_task(recipe, point.seed, place, resume=has_run(place))
            fresh = draw_trials(recipe.task, trials, FRESH_TRIALS + point.seed, recipe.network.step, recipe.hard)
            (score,) = recipe.task.score(network_outputs(found.network, fresh), fresh).by(fresh)
    except NonFiniteError:
        missing = dict.fromkeys(("criterion_step", "accuracy", "low", "high", "loss"), math.nan)
        return asdict(point) | missing | {"steps": 0, "outcome": "diverged"}
    learned = found.criterion_step is not None
    return asdict(point) | {
        "criterion_step": float(found.criterion_step) if found.criterion_step is not None else math.nan,
        "accuracy": score["accuracy"],
        "low": score["low"],
        "high": score["high"],
        "loss": found.training.best.loss,
        "steps": found.training.steps,
        "outcome": "learned" if learned else "not learned",
    }


def _as_json(row: Row) -> dict[str, Any]:
    return {name: None if isinstance(value, float) and math.isnan(value) else value for name, value in row.items()}


def _read_row(row: dict[str, Any]) -> Row:
    return {name: math.nan if value is None else value for name, value in row.items()}


def run_sweep(
    points: Sequence[SweepPoint],
    recipe: CTRNNRecipe,
    folder: str | Path,
    *,
    trials: int = 1000,
    jobs: int | None = None,
) -> list[Row]:
    """Run every point, in parallel where joblib is told to, and return their rows in the order of the points.

    A sweep that was killed goes on when it is called again: points that are done are read, a point that was in training
    resumes at its last checkpoint to the same numbers.

    Parameters
    ----------
    points : sequence of SweepPoint
        See `sweep_points`.
    recipe : CTRNNRecipe
        Task, network and optimisation.
    folder : str or Path
        Where the runs are kept; on a cluster a folder that all workers see.
    trials : int
        Fresh trials on which each trained network is scored.
    jobs : int, optional
        As `joblib.Parallel` takes it: -1 is all cores. By default what `joblib.parallel_config` says, and one after
        the other if it says nothing. Within ``parallel_config(backend="dask")`` the points go to the Dask cluster.

    Returns
    -------
    list of dict
        See `run_point`.

    Raises
    ------
    ValueError
        If `trials` is below 1, a point is not allowed, or a folder holds the point of another recipe.
    """
    if trials < 1:
        raise ValueError(f"`trials` is {trials}; it must be at least 1.")
    # Every network is built once before any is trained, so that a point that is not allowed ends the sweep at once.
    for changed in {(point.p_inh, point.spectral_radius): point.recipe(recipe) for point in points}.values():
        build_ctrnn(changed)
    work = (joblib.delayed(run_point)(point, recipe, Path(folder).absolute(), trials) for point in points)
    return list(joblib.Parallel(n_jobs=jobs)(work))


def sweep_map(rows: Sequence[Row]) -> xr.Dataset:
    """Return the rows of a sweep as means over seeds on the grid.

    Returns
    -------
    xarray.Dataset
        Over ``p_inh`` and ``spectral_radius``: ``accuracy`` and ``loss`` (means over the seeds that did not diverge),
        ``learned`` (fraction of the seeds) and ``criterion_step`` (median over the seeds that learned; NaN where none
        did).
    """
    axes = ("p_inh", "spectral_radius", "seed")
    flat = xr.Dataset(
        {
            "accuracy": ("point", [row["accuracy"] for row in rows]),
            "loss": ("point", [row["loss"] for row in rows]),
            "criterion_step": ("point", [row["criterion_step"] for row in rows]),
            "learned": ("point", [float(row["outcome"] == "learned") for row in rows]),
        },
        coords={axis: ("point", [row[axis] for row in rows]) for axis in axes},
    )
    grid = flat.set_index(point=axes).unstack("point")
    return xr.Dataset(
        {
            "accuracy": grid["accuracy"].mean("seed").assign_attrs(units="1", long_name="accuracy on fresh trials"),
            "loss": grid["loss"].mean("seed").assign_attrs(long_name="loss of the best validation"),
            "learned": grid["learned"].mean("seed").assign_attrs(units="1", long_name="fraction of seeds that learned"),
            "criterion_step": grid["criterion_step"]
            .median("seed")
            .assign_attrs(long_name="training steps to criterion"),
        }
    )
