"""Figures of networks trained on tasks: trials, validation losses, and maps of sweeps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr
from matplotlib.axes import Axes

from neurocircuit.plotting.style import COLOURS
from neurocircuit.plotting.training import draw_runs
from neurocircuit.tasks import Trials

__all__ = ["plot_sweep", "plot_trial", "plot_validation_loss"]


def plot_trial(trials: Trials, outputs: npt.ArrayLike, trial: int, axes: Sequence[Axes]) -> Sequence[Axes]:
    """Draw one trial: its inputs above, its targets and the network's outputs below.

    Parameters
    ----------
    trials : Trials
        The trials.
    outputs : (trial, time, output) array
        What the network answered.
    trial : int
        Which one is drawn.
    axes : two Axes
        For the inputs, and for targets and outputs. Targets are drawn where they count in the loss; steps that do not
        count are left out.
    """
    above, below = axes
    answered = np.asarray(outputs)[trial]
    counts = trials.mask[trial] > 0
    for number, name in enumerate(trials.input_names):
        above.plot(trials.time, trials.inputs[trial, :, number], color=f"C{number}", linewidth=0.8, label=name)
    for number, name in enumerate(trials.output_names):
        wanted = np.where(counts, trials.targets[trial, :, number], np.nan)
        below.plot(trials.time, wanted, color=COLOURS["limit"], linestyle="--", label=f"{name}, target")
        # An output belongs to the end of its step.
        below.plot(trials.time + trials.step, answered[:, number], color=f"C{number}", label=name)
    for start, stop in (times[trial] for times in trials.epochs.values()):
        if stop > start:
            for ax in axes:
                ax.axvline(start, color="0.85", linewidth=0.6, zorder=0)
    above.set(ylabel="input")
    below.set(xlabel="time (ms)", ylabel="output")
    return axes


def plot_validation_loss(logs: Mapping[str, Sequence[Sequence[Mapping[str, Any]]]], ax: Axes) -> Axes:
    """Draw the validation loss of every run against its steps, one colour a label.

    Parameters
    ----------
    logs : mapping from label to its runs
        Each run as the lines of its log; see `neurocircuit.training.read_log`.
    ax : Axes
        Where to draw.
    """
    draw_runs(logs, "validation_loss", ax)
    ax.set(xlabel="training step", ylabel="validation loss")
    ax.set_ylim(bottom=0)
    ax.legend()
    return ax


def plot_sweep(sweep: xr.Dataset, name: str, ax: Axes, *, limits: tuple[float, float] | None = None) -> Axes:
    """Draw one quantity of a sweep as a map, with its numbers; points without one stay white.

    Parameters
    ----------
    sweep : Dataset
        As `neurocircuit.analysis.sweep_map` returns it.
    name : str
        Variable to draw.
    ax : Axes
        Where to draw.
    limits : (float, float), optional
        Ends of the colour scale; by default those of the values.
    """
    values = sweep[name].transpose("p_inh", "spectral_radius")
    low, high = limits or (float(values.min()), float(values.max()))
    image = ax.imshow(values, origin="lower", aspect="auto", vmin=low, vmax=high, cmap="viridis")
    for (row, column), value in np.ndenumerate(values.values):
        if np.isfinite(value):
            dark = value < (low + high) / 2
            ax.text(column, row, f"{value:.3g}", ha="center", va="center", color="white" if dark else "black")
    ax.set_xticks(range(values.sizes["spectral_radius"]), [f"{value:g}" for value in values["spectral_radius"].values])
    ax.set_yticks(range(values.sizes["p_inh"]), [f"{value:g}" for value in values["p_inh"].values])
    ax.set(xlabel="spectral radius of the initial weights", ylabel="fraction of inhibitory units")
    if ax.figure is not None:
        ax.figure.colorbar(image, ax=ax, label=values.attrs.get("long_name", name))
    return ax
