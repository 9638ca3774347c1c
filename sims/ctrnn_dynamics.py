"""What a trained rate network has learned: its state space, fixed points, line attractors, currents and lesions.

For the context-dependent integration task (``--task mante``) the four claims of Mante et al. (2013) are measured: the
relevant stimulus moves the choice and the other does not; either context has a line of slow points; the selection
vector meets the relevant input only, although both lines are parallel; and one eigenvalue is nearly 0 where all others
decay. Without ``--network`` a network made by hand is analysed, for which the claims are exact.

The search for fixed points is first tried on a network of rank one, whose fixed points and eigenvalues are known.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import tyro
import xarray as xr
from matplotlib.figure import Figure

from neurocircuit import cli
from neurocircuit.analysis.chronometric import above_ideal
from neurocircuit.analysis.context import (
    CONTEXTS,
    ContextDynamics,
    context_dynamics,
    context_psychometrics,
    context_rows,
    direction_similarity,
)
from neurocircuit.analysis.ctrnn_outputs import check_channels
from neurocircuit.analysis.ctrnn_recipes import FRESH_TRIALS
from neurocircuit.analysis.currents import ei_balance, ei_currents, paradoxical_effect
from neurocircuit.analysis.exact_networks import context_integrator, rank_one_network
from neurocircuit.analysis.fixed_points import distinct_points, find_fixed_points, sample_starts
from neurocircuit.analysis.lesions import lesion_table, perturbation_table, projection_lesions, score_network
from neurocircuit.analysis.linearisation import linearise
from neurocircuit.analysis.psychometric import PsychometricFit
from neurocircuit.analysis.selectivity import d_prime, mean_weights, sort_units
from neurocircuit.analysis.state_space import StateSpace, condition_averages, state_space
from neurocircuit.analysis.targeted import targeted_axes
from neurocircuit.analysis.task_curves import curve_trials
from neurocircuit.circuits.perturbation import Lesion, Pulse
from neurocircuit.circuits.rate_network import RateNetwork
from neurocircuit.networks import RateTrajectory, run_network
from neurocircuit.plotting import style
from neurocircuit.plotting.psychometric import plot_psychometric
from neurocircuit.plotting.selectivity import plot_connectivity, plot_currents, plot_lesions
from neurocircuit.plotting.state_space import plot_eigenvalues, plot_fixed_points, plot_state_space
from neurocircuit.simulation import write_netcdf
from neurocircuit.tables import Row, print_table, save_tables
from neurocircuit.tasks import Scores, Task, Trials, ideal_accuracy, make_task
from neurocircuit.versions import package_versions

#: Trials, those whose trajectories are kept, starts of the search, its steps of Adam, random lesions: quick and full.
QUICK = {"trials": 300, "shown": 60, "starts": 12, "iterations": 200, "controls": 2}
FULL = {"trials": 2000, "shown": 200, "starts": 64, "iterations": 2000, "controls": 10}

#: Current of a pulse, in units of the drive, and its length in ms.
PULSE, PULSE_LENGTH = 1.0, 100.0

#: Largest error allowed where the answer is known.
EXACT = 1e-10

#: What counts as much greater, as parallel, and as a line.
RATIO, PARALLEL, LINE = 5.0, 0.5, 0.8


@dataclass(frozen=True)
class Config:
    """The dynamics of a trained rate network."""

    network: Path | None = None
    """File of a network, as RateNetwork.save writes it; None is one made by hand for the context task."""
    task: str = "mante"
    """The task the network was trained on."""
    variant: str = "standard"
    """standard or tutorial."""
    output: Path = Path("outputs/ctrnn_dynamics")
    """Folder for results.nc, figure.png and the tables."""
    seed: int = 0
    """Seed of trials, starts and random lesions."""
    tables: Path | None = None
    """Another folder for the tables, such as docs/results."""
    quick: bool = False
    """Fewer trials, starts and lesions."""


@dataclass
class Result:
    """What a run found."""

    network: RateNetwork
    trials: Trials
    """The trials whose trajectories are kept; all trials are scored."""
    scores: Scores
    run: RateTrajectory
    space: StateSpace
    averages: xr.DataArray
    index: np.ndarray
    fits: dict[str, PsychometricFit] = field(default_factory=dict)
    context: dict[str, ContextDynamics] = field(default_factory=dict)
    targeted: xr.DataArray | None = None
    points: dict[str, xr.Dataset] = field(default_factory=dict)
    spectra: dict[str, xr.Dataset] = field(default_factory=dict)
    tables: dict[str, list[Row]] = field(default_factory=dict)
    checks: dict[str, bool] = field(default_factory=dict)


def exact_check(config: Config, size: dict[str, int]) -> dict[str, bool]:
    """Return whether all fixed points and eigenvalues of the network of rank one are found from 16 starts."""
    exact = rank_one_network(seed=config.seed)
    rng = np.random.default_rng(config.seed)
    # Along the line through the three points, and off it.
    along, noise = rng.uniform(-2, 2, (16, 1)) * exact.points[1], rng.standard_normal((16, exact.network.n_units))
    starts = along + 0.5 * noise
    found = find_fixed_points(exact.network, starts, iterations=size["iterations"])
    away = np.abs(found["state"].values[:, None] - exact.points).max(axis=2)
    nearest, error = away.argmin(axis=1), away.min(axis=1)
    # All directions but one only decay, each unit with its time constant.
    expected = np.tile(-1 / exact.network.tau, (len(starts), 1))
    expected[:, 0] = exact.leading[nearest]
    wrong = float(np.abs(linearise(exact.network, found["state"].values).eigenvalues - expected).max())
    reached = len(set(nearest[error <= EXACT].tolist()))
    what = f"rank one: {reached} of {len(exact.points)} fixed points, {(error <= EXACT).sum()} of {len(starts)} starts"
    passed = reached == len(exact.points) and max(float(error.max()), wrong) <= EXACT
    return {f"{what} within {EXACT:g} (points {error.max():.1e}, all eigenvalues {wrong:.1e})": passed}


def run(config: Config) -> Result:
    """Analyse what the flags describe."""
    task, size = make_task(config.task, config.variant), QUICK if config.quick else FULL
    network = load(config, task)
    trials = task.sample(size["trials"], config.seed, network.step)
    scores = score_network(network, task, trials)
    shown = trials.select(np.arange(size["shown"]))
    trajectory = run_network(network, shown.inputs)
    columns = [name for name in ("context", "choice") if name in shown.conditions]
    averages = condition_averages(trajectory.rates, shown.conditions, columns, step=network.step)
    index = d_prime(
        _stimulus_mean(trajectory.rates, shown), shown.conditions["choice"] > shown.conditions["choice"].min()
    )
    result = Result(network, shown, scores, trajectory, state_space(averages), averages, index)
    result.checks |= exact_check(config, size)
    result.checks |= lesion_check(network, task, trials.select(np.arange(20)))
    if config.task == "mante":
        add_context(config, size, task, result)
    else:
        add_points(config, size, result)
    add_tables(config, size, task, trials, result)
    return result


def load(config: Config, task: Task) -> RateNetwork:
    """Return the network of the file, which has to be one for the task, or the one made by hand."""
    if config.network is not None:
        network = RateNetwork.load(config.network)
        check_channels(network, task)
        return network
    if config.task != "mante":
        raise ValueError(f"`network` is not given, and there is none made by hand for the task {config.task!r}.")
    return context_integrator(task)


def lesion_check(network: RateNetwork, task: Task, trials: Trials) -> dict[str, bool]:
    """Return whether nothing but the constant of the readout is left when all units are silent."""
    outputs = run_network(network, trials.inputs, perturbations=(Lesion.of_units(None),)).outputs
    off = float(np.abs(outputs - network.output_bias).max())
    return {f"the readout is constant without units (largest difference {off:.1e})": off <= EXACT}


def add_context(config: Config, size: dict[str, int], task: Any, result: Result) -> None:
    """Measure the claims of Mante et al. (2013)."""
    result.targeted = targeted_averages(task, result)
    found = context_dynamics(
        result.network, task, starts=size["starts"], seed=config.seed, iterations=size["iterations"]
    )
    # At several strengths of evidence, whatever the task has: without them a curve is as good as a step.
    trials = curve_trials(task, size["trials"], FRESH_TRIALS + config.seed, result.network.step)
    scores = score_network(result.network, task, trials)
    fits = context_psychometrics(trials, scores, seed=config.seed)
    result.context, result.fits = found, {f"{c} cued, {s}": fit for (c, s), fit in fits.items()}
    result.points = {name: one.points for name, one in found.items()}
    result.spectra = {name: one.linear.to_dataset() for name, one in found.items()}
    rows, similarity = context_rows(found), direction_similarity(found)
    result.tables["context"] = rows
    result.tables["psychometric"] = [{"curve": name, **fit.row()} for name, fit in result.fits.items()]
    counts = np.where(trials.conditions["context"] == 0, *(trials.conditions[f"coherence_{c}"] for c in CONTEXTS))
    result.tables["ideal"] = above_ideal(counts, scores.correct, lambda level: ideal_accuracy(task, level))
    slopes = [(fits[c, c].slope, max(abs(fits[c, o].slope) for o in CONTEXTS if o != c)) for c in CONTEXTS]
    aligned = [(row["relevant"], row["irrelevant"]) for row in rows]
    result.checks |= {
        f"(i) relevant slopes at least {RATIO:g} times the irrelevant ones {_pairs(slopes)}": _greater(slopes),
        # Newton's method runs slow points into the fixed points at the ends and in the middle of their line.
        f"(ii) a line of points, with a slow mode, in both contexts, line share at least {LINE:g}": all(
            row["integrating"] >= 1 and row["points"] >= 3 and row["line_share"] >= LINE for row in rows
        ),
        f"(iii) selection vector at least {RATIO:g} times as near the relevant input {_pairs(aligned)}": _greater(
            aligned
        ),
        f"(iii) line attractors of both contexts are parallel, cosine {similarity:.2f}": similarity >= PARALLEL,
        "(iv) where one mode is slow, all others decay": all(row["others_growing"] == 0 for row in rows),
        "no accuracy is above the ideal observer's": not any(row["above"] for row in result.tables["ideal"]),
    }


def targeted_averages(task: Any, result: Result) -> xr.DataArray:
    """Return averages over trials of one relevant coherence and context, along the axes of the task's variables."""
    table, step = result.trials.conditions, result.network.step
    variables = {name: table[name] for name in ("choice", *(f"coherence_{c}" for c in CONTEXTS), "context")}
    # With one strength of evidence the choice is a sum of products of the other variables.
    many = len(set(np.abs(task.coherences))) > 1
    axes = targeted_axes(result.run.rates[:, 1:], step, variables, interactions=many)
    relevant = np.where(table["context"] == 0, *(table[f"coherence_{c}"] for c in CONTEXTS))
    averages = condition_averages(
        result.run.rates, {"relevant_coherence": relevant, "context": table["context"]}, step=step
    )
    coords = {**averages.coords, "axis": list(axes.names)}
    return xr.DataArray(axes.project(averages.values), coords, ("condition", "time", "axis"), "targeted")


def add_points(config: Config, size: dict[str, int], result: Result) -> None:
    """Find and linearise the fixed and slow points under the input at the start of a trial."""
    held = result.trials.inputs[0, 0]
    starts = sample_starts(result.run.states, size["starts"], spread=0.1, seed=config.seed)
    found = find_fixed_points(result.network, starts, held, iterations=size["iterations"])
    points = distinct_points(found, kinds=("fixed", "slow"))
    kinds, counts = np.unique(found["kind"].values, return_counts=True)
    result.tables["fixed_points"] = [
        {"kind": str(kind), "starts": int(count)} for kind, count in zip(kinds, counts, strict=True)
    ]
    result.points["start of trial"] = points
    result.spectra["start of trial"] = linearise(result.network, points["state"].values, held).to_dataset()


def add_tables(config: Config, size: dict[str, int], task: Task, trials: Trials, result: Result) -> None:
    """Score lesions, and measure currents and connections."""
    network, few = result.network, trials.select(np.arange(min(trials.n_trials, 2 * size["shown"])))
    quarter = max(1, network.n_units // 4)
    strongest = np.argsort(-np.abs(result.index))
    groups = {"most selective": strongest[:quarter], "least selective": strongest[-quarter:]}
    options = {"controls": size["controls"], "seed": config.seed}
    result.tables["lesions"] = lesion_table(network, task, few, groups, **options)
    result.tables["weights"] = mean_weights(network, result.index > 0)
    if network.excitatory is not None and 0 < network.excitatory.sum() < network.n_units:
        perturbations = projection_lesions(network) | pulses(network, few)
        result.tables["perturbations"] = perturbation_table(network, task, few, perturbations)
        result.tables["paradoxical"] = [paradoxical_effect(network)]
        balance = ei_balance(ei_currents(network, result.run.rates))
        result.tables["balance"] = [{name: float(values.median()) for name, values in balance.data_vars.items()}]


def pulses(network: RateNetwork, trials: Trials) -> dict[str, Pulse]:
    """Return a current into all excitatory (E) or all inhibitory (I) units in the middle of a trial, of either sign."""
    middle, kinds = trials.n_steps * trials.step / 2, {"E": network.excitatory, "I": ~network.excitatory}
    return {
        f"{sign * PULSE:+g} into {kind}": Pulse(units, sign * PULSE, middle, middle + PULSE_LENGTH)
        for kind, units in kinds.items()
        for sign in (1, -1)
    }


def to_dataset(config: Config, result: Result) -> xr.Dataset:
    """Return the numbers behind the figure."""
    parts = {
        "averages": result.averages.rename("average_rate"),
        "d_prime": xr.DataArray(result.index, dims="unit", attrs={"units": "1"}),
        "answer": xr.DataArray(result.scores.choice, dims="scored_trial"),
        "correct": xr.DataArray(result.scores.correct.astype("int8"), dims="scored_trial"),
        "explained": xr.DataArray(result.space.explained, dims="component", attrs={"units": "1"}),
    }
    for name, points in result.points.items():
        label = name.replace(" ", "_")
        rows = {part: f"{part}_{label}" for part in ("point", "start", "mode")}
        for source in (points, result.spectra.get(name, xr.Dataset())):
            for variable, values in source.data_vars.items():
                parts[f"{variable}_{label}"] = values.rename({k: v for k, v in rows.items() if k in values.dims})
    attributes = {"config": str(config), "tables": json.dumps(result.tables, default=float)}
    if result.targeted is not None:
        parts["targeted"] = result.targeted.rename(condition="targeted_condition").drop_vars(["context", "n_trials"])
    return xr.Dataset(parts, attrs={**attributes, "seed": config.seed, "versions": json.dumps(package_versions())})


def plot(result: Result) -> Figure:
    """Draw state space, fixed points, eigenvalues, curves, connections, currents and lesions."""
    figure = Figure(figsize=(7, 11.2))
    axes = figure.subplots(4, 2).ravel()
    averages = result.averages
    projected = xr.DataArray(result.space.project(averages.values), averages.coords, ("condition", "time", "component"))
    plot_state_space(projected, axes[0], colour_by="choice")
    for name, points in result.points.items():
        rates = result.network.rates(points["state"].values)
        direction = result.context[name].direction if name in result.context else None
        along = None if direction is None else result.space.project_direction(direction)
        plot_fixed_points(result.space.project(rates), points["kind"].values, axes[0], direction=along)
    axes[0].set_title("State space (dots: fixed points, crosses: slow)")
    plot_eigenvalues(result.spectra, axes[1])
    # Away from the line between decay and growth.
    axes[1].legend(loc="upper left")
    axes[1].set_title("Eigenvalues at the points")
    if result.fits:
        plot_psychometric(result.fits, axes[2])
    axes[2].set_title("Choices")
    kinds = result.network.excitatory
    plot_connectivity(
        result.network.weights,
        sort_units(result.index, kinds),
        axes[3],
        n_excitatory=None if kinds is None else int(kinds.sum()),
    )
    axes[3].set_title("Weights, sorted by preference")
    if "balance" in result.tables:
        plot_currents(ei_currents(result.network, result.run.rates), axes[4], step=result.network.step)
    axes[4].set_title("Currents")
    plot_lesions(result.tables["lesions"], axes[5])
    axes[5].set_title("Lesions")
    if result.targeted is not None:
        chosen = result.targeted.sel(axis=["choice", "coherence_motion"])
        plot_state_space(chosen, axes[6], colour_by="relevant_coherence", labels=("choice axis", "motion axis"))
        axes[6].legend(title="relevant coherence", ncols=3, loc="upper center")
    axes[6].set_title("Targeted dimensions")
    if "perturbations" in result.tables:
        plot_lesions(result.tables["perturbations"], axes[7], name="perturbation")
    axes[7].set_title("Projections cut, and pulses")
    # What reaches from side to side leaves a legend no place: make some above it.
    for ax in axes[[1, 4, 6]]:
        ax.margins(y=0.35)
    return figure


def main() -> int:
    """Run the script and return its exit code."""
    config = tyro.cli(Config, description=__doc__)
    with cli.one_line_errors(), style():
        folder = cli.check_output_folder(config.output)
        result = run(config)
        data = write_netcdf(to_dataset(config, result), folder / "results.nc")
        with matplotlib.rc_context({"legend.fontsize": "x-small", "legend.title_fontsize": "x-small"}):
            figure = cli.save_figure(plot(result), folder / "figure.png")
        for name, rows in result.tables.items():
            print_table(name, rows)
        made = "hand" if config.network is None else f"{config.task}_{config.variant}"
        settings = {"task": config.task, "variant": config.variant, "network": str(config.network)}
        for place in (folder, *([config.tables] if config.tables else [])):
            save_tables(place, f"dynamics_{made}", result.tables, seed=config.seed, **settings)
    print(f"accuracy {result.scores.accuracy:.3f} on {len(result.scores.correct)} trials of {config.task}")
    code = cli.report_checks(result.checks)
    print(f"Wrote {data} and {figure}")
    return code


def _stimulus_mean(rates: np.ndarray, trials: Trials) -> np.ndarray:
    """Return the mean rate of every trial and unit before the response, fixation left out."""
    epochs = [name for name in trials.epochs if name not in ("fixation", "response")] or list(trials.epochs)
    window = np.any([trials.during(name) for name in epochs], axis=0)[:, :, None]
    return (rates[:, 1:] * window).sum(axis=1) / window.sum(axis=1)


def _greater(pairs: list[tuple[float, float]]) -> bool:
    # Two zeros are no difference.
    return all(large > 0 and large >= RATIO * small for large, small in pairs)


def _pairs(pairs: list[tuple[float, float]]) -> str:
    return ", ".join(f"{large:.3g} and {small:.3g}" for large, small in pairs)


if __name__ == "__main__":
    raise SystemExit(main())
