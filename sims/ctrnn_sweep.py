"""Sweep the initial network: inhibitory fractions and spectral radii, and whether the network then learns a task.

Every point of the grid is a training run in a folder of its own. All cores work on them; a sweep that was killed goes
on where it stopped when the same command is given again. With ``--dask`` the points go to the workers of a Dask
cluster, which must see the output folder. The result is one table and one heat map.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import joblib
import tyro
import xarray as xr
from matplotlib.figure import Figure

from neurocircuit import cli
from neurocircuit.analysis.ctrnn_recipes import CTRNNRecipe, named_recipe, quick_recipe
from neurocircuit.analysis.ctrnn_sweep import run_sweep, sweep_map, sweep_points
from neurocircuit.errors import BackendUnavailableError
from neurocircuit.plotting import style
from neurocircuit.plotting.ctrnn import plot_sweep
from neurocircuit.simulation import write_netcdf
from neurocircuit.tables import print_table, save_tables


@dataclass(frozen=True, kw_only=True)
class Config:
    """Sweep p_inh, spectral radius and seed."""

    task: str = "gonogo"
    """A recipe; see sims/ctrnn_tasks.py."""
    p_inh: tuple[float, ...] = (0.1, 0.2, 0.35, 0.5)
    """Fractions of inhibitory units."""
    spectral_radius: tuple[float, ...] = (0.5, 1.0, 1.5, 2.0)
    """Spectral radii of the initial effective weights."""
    seed: tuple[int, ...] = (0, 1, 2)
    """Seeds of weights, trials and noise."""
    steps: int | None = None
    """Training steps at most; by default the recipe's."""
    trials: int = 1000
    """Fresh trials on which each trained network is scored."""
    jobs: int = -1
    """Processes; -1 is one a core. Without effect on a Dask cluster."""
    dask: str | None = None
    """Address of a Dask scheduler, such as tcp://host:8786."""
    output: Path = Path("outputs/ctrnn_sweep")
    """Folder for all files."""
    tables: Path | None = None
    """Another folder for the table, such as docs/results."""
    quick: bool = False
    """Seconds instead of an hour, to see that everything runs; results mean nothing."""

    def recipe(self) -> CTRNNRecipe:
        """Return the recipe that the flags describe."""
        recipe = named_recipe(self.task)
        if self.quick:
            return quick_recipe(recipe)
        return recipe if self.steps is None else recipe.with_training(steps=self.steps)


@contextlib.contextmanager
def workers(config: Config) -> Iterator[None]:
    """Let joblib use the cores of this machine, or the Dask cluster."""
    if config.dask is None:
        with joblib.parallel_config(n_jobs=config.jobs):
            yield
        return
    try:
        from distributed import Client
    except ImportError as error:
        raise BackendUnavailableError(
            "`dask` is given, but the package distributed is not installed. In a clone of neurocircuit: "
            "pip install '.[dask]'."
        ) from error
    with Client(config.dask), joblib.parallel_config(backend="dask"):
        yield


def plot(sweep: xr.Dataset) -> Figure:
    """Draw accuracy, fraction of seeds that learned, steps to criterion and loss."""
    figure = Figure(figsize=(7, 5.6))
    names = {"accuracy": (0.5, 1.0), "learned": (0.0, 1.0), "criterion_step": None, "loss": None}
    for ax, (name, limits) in zip(figure.subplots(2, 2).flat, names.items(), strict=True):
        plot_sweep(sweep, name, ax, limits=limits)
    return figure


def run(config: Config) -> int:
    """Run the sweep and return the exit code."""
    points = sweep_points(config.p_inh, config.spectral_radius, config.seed)
    recipe, trials = config.recipe(), min(64, config.trials) if config.quick else config.trials
    folder = config.output / f"{config.task}{'_quick' if config.quick else ''}"
    with workers(config):
        rows = run_sweep(points, recipe, folder, trials=trials)
    print_table(f"{config.task}: {len(points)} networks on {trials} fresh trials each", rows)
    sweep = sweep_map(rows).assign_attrs(task=config.task, seeds=str(config.seed), trials=trials)
    data = write_netcdf(sweep, folder / "sweep.nc")
    figure = cli.save_figure(plot(sweep), folder / "sweep.png")
    for place in (folder, *([config.tables] if config.tables else [])):
        settings = {"trials": trials, "steps": recipe.training.steps}
        save_tables(place, f"ctrnn_sweep_{config.task}", {"points": rows}, seed=None, **settings)
    exit_code = cli.report_checks({"no network diverged": all(row["outcome"] != "diverged" for row in rows)})
    print(f"Wrote {data} and {figure}")
    return exit_code


def main() -> int:
    """Run the script and return its exit code."""
    config = tyro.cli(Config, description=__doc__, args=sys.argv[1:])
    with cli.one_line_errors(), style():
        cli.check_output_folder(config.output)
        return run(config)


if __name__ == "__main__":
    raise SystemExit(main())
