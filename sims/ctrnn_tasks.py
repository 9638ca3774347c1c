"""Train continuous-time networks of excitatory and inhibitory units on a cognitive task, and test what they learned.

Training stops at its criterion; a run that was killed goes on with ``--resume``. The trained networks are scored on
fresh trials, and their choices and reaction times are fitted against the evidence. With ``--control`` a network whose
inhibition does not balance its excitation is trained beside: on context-dependent integration (``mante``) it stays at
chance. ``--help`` lists the tasks.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import tyro
import xarray as xr
from matplotlib.figure import Figure

from neurocircuit import cli
from neurocircuit.analysis.ctrnn_outputs import network_outputs
from neurocircuit.analysis.ctrnn_recipes import CTRNN_RECIPES, FRESH_TRIALS, CTRNNRecipe, named_recipe, quick_recipe
from neurocircuit.analysis.ctrnn_training import TrainedTask, train_task
from neurocircuit.analysis.task_curves import TaskCurves, curve_trials, task_curves
from neurocircuit.circuits.rate_network import RateNetwork
from neurocircuit.plotting import plot_learning_curves, style
from neurocircuit.plotting.ctrnn import plot_trial, plot_validation_loss
from neurocircuit.plotting.psychometric import plot_chronometric, plot_psychometric
from neurocircuit.simulation import write_netcdf
from neurocircuit.tables import Row, print_table, save_tables
from neurocircuit.tasks import Scores, Trials
from neurocircuit.training import has_run, masked_mse, read_log

#: The control is at chance if its accuracy is this close to one half and its loss at least this share of the loss of
#: an output that is always zero.
CHANCE_MARGIN, CHANCE_LOSS = 0.06, 0.95
#: Trials in the figure of trials.
SHOWN = 4


@dataclass(frozen=True, kw_only=True)
class Config:
    """Train networks on a task and test them."""

    task: Annotated[str, tyro.conf.arg(help=f"{', '.join(CTRNN_RECIPES)}.")] = "gonogo"
    seed: tuple[int, ...] = (0,)
    """Seeds of weights, trials and noise, each a run of its own."""
    balance: bool = True
    """Whether inhibition balances excitation in the initial weights."""
    control: bool = False
    """Train also without balance, with the first seed and a few steps."""
    control_steps: int = 300
    """Training steps of the control."""
    steps: int | None = None
    """Training steps at most; by default the recipe's."""
    resume: bool = False
    """Go on with runs that were interrupted, and begin those that were not, instead of refusing their folders."""
    trials: int = 2000
    """Fresh trials on which every network is scored."""
    curve_trials: int = 4000
    """Fresh trials behind the psychometric and chronometric curves, of the first seed."""
    resamples: int = 1000
    """Bootstrap resamples behind their intervals."""
    threads: int = 1
    """Threads of a run. Its weights are the same to the bit only for the same number."""
    device: str = "cpu"
    """cpu, cuda or cuda:N, for training."""
    output: Path = Path("outputs/ctrnn_tasks")
    """Folder for all files."""
    tables: Path | None = None
    """Another folder for the tables, such as docs/results."""
    quick: bool = False
    """Seconds instead of minutes, to see that everything runs; results mean nothing."""

    @property
    def folder(self) -> Path:
        """Where the files of the task go."""
        return self.output / f"{self.task}{'_quick' if self.quick else ''}"

    def recipe(self) -> CTRNNRecipe:
        """Return the recipe that the flags describe."""
        recipe = named_recipe(self.task).with_network(balance=self.balance).with_training(device=self.device)
        if self.quick:
            return quick_recipe(recipe)
        return recipe if self.steps is None else recipe.with_training(steps=self.steps)

    def runs(self) -> dict[tuple[str, int], CTRNNRecipe]:
        """Return the recipe of every run by its initial weights and seed; the control is ``control``."""
        recipe = self.recipe()
        runs = {("balanced" if self.balance else "unbalanced", seed): recipe for seed in self.seed}
        if self.control:
            if not self.balance:
                raise ValueError("`control` trains without balance, and so does `no-balance`; use one of them.")
            steps = recipe.training.steps if self.quick else self.control_steps
            # Its weights of lowest loss: the sign of an output that hovers around zero is right in any share of trials.
            unbalanced = recipe.with_network(balance=False).with_training(steps=steps, target=None, best="loss")
            runs["control", self.seed[0]] = unbalanced
        return runs


def train(config: Config) -> dict[tuple[str, int], TrainedTask]:
    """Train every network, or go on with it."""
    runs = config.runs()
    folders = {key: config.folder / key[0] / f"seed{key[1]}" for key in runs}
    if config.resume and not any(map(has_run, folders.values())):
        raise FileNotFoundError(
            f"`resume` is given, but there is nothing to resume in '{config.folder}'. Check `output`, or leave it out."
        )
    for name in ("threads", "trials", "curve_trials", "control_steps"):
        if getattr(config, name) < 1:
            raise ValueError(f"`{name}` is {getattr(config, name)}; it must be at least 1.")
    torch.set_num_threads(config.threads)
    found = {}
    for key, recipe in runs.items():
        # With --resume, runs that were not yet begun are begun.
        found[key] = train_task(recipe, key[1], folders[key], resume=config.resume and has_run(folders[key]))
        result = found[key].training
        print(
            f"{config.task}, {key[0]}, seed {key[1]}: {result.steps} steps in {result.seconds / 60:.1f} minutes, best "
            f"validation accuracy {result.best.accuracy:.3f}; wrote {found[key].path}"
        )
    return found


def score(label: str, seed: int, recipe: CTRNNRecipe, found: TrainedTask, count: int) -> Row:
    """Score a network on fresh trials; one row of the table."""
    trials = recipe.task.sample(count, FRESH_TRIALS + seed, recipe.network.step)
    outputs = network_outputs(found.network, trials)
    scores = recipe.task.score(outputs, trials)
    (row,) = scores.by(trials)
    answered = {f"{name}": row[name] for name in ("accuracy", "low", "high")}
    hard = hard_row(scores, trials, recipe.hard)
    answered |= {f"hard_{name}": hard[name] for name in ("accuracy", "low", "high")}
    return {
        "weights": label,
        "seed": seed,
        "steps": found.training.steps,
        "criterion_step": "-" if found.criterion_step is None else found.criterion_step,
        **answered,
        "loss": mean_loss(outputs, trials),
        "zero_loss": mean_loss(np.zeros_like(outputs), trials),
        "tutorial_rule": tutorial_accuracy(recipe, outputs, trials),
        "minutes": found.training.seconds / 60,
    }


def hard_row(scores: Scores, trials: Trials, hard: Mapping[str, Any]) -> Row:
    """Return the score of the trials with the hard conditions, or of all trials if there are no such conditions."""
    for row in scores.by(trials, *hard):
        if all(row[name] == value for name, value in hard.items()):
            return row
    raise ValueError(f"`trials` is {trials.n_trials}, and none of these has the hard {dict(hard)}; draw more.")


def mean_loss(outputs: Any, trials: Trials) -> float:
    """Return the loss that training minimises."""
    return float(masked_mse(*(torch.as_tensor(value) for value in (outputs, trials.targets, trials.mask))))


def tutorial_accuracy(recipe: CTRNNRecipe, outputs: Any, trials: Trials) -> object:
    """Return the accuracy by the tutorial's rule, where it has one."""
    if recipe.task.variant != "tutorial" or recipe.task.name == "mante":
        return "-"
    return float(recipe.task.tutorial_score(outputs, trials).mean())


def plot_trials(recipe: CTRNNRecipe, network: RateNetwork, seed: int) -> tuple[Figure, xr.Dataset]:
    """Draw trials that differ in their choice and conditions, and return them."""
    trials = recipe.task.sample(64, FRESH_TRIALS + seed, recipe.network.step)
    discrete = [name for name, condition in recipe.task.conditions.items() if condition.low is None]
    columns = np.stack([trials.conditions[name] for name in ("choice", *discrete)], 1)
    _, first = np.unique(columns, axis=0, return_index=True)
    trials = trials.select(first[:SHOWN])
    outputs = network_outputs(network, trials)
    figure = Figure(figsize=(2.4 * trials.n_trials, 3.2))
    axes = figure.subplots(2, trials.n_trials, sharex=True, sharey="row", squeeze=False)
    for trial in range(trials.n_trials):
        plot_trial(trials, outputs, trial, axes[:, trial])
        axes[0, trial].set_title(", ".join(f"{name} {trials.conditions[name][trial]:g}" for name in discrete))
    for ax in axes[:, -1]:
        ax.legend(fontsize="x-small")
    data = trials.to_dataset()
    return figure, data.assign(outputs=(("trial", "time", "output"), outputs, {"long_name": "at the end of a step"}))


def plot_curves(curves: TaskCurves) -> Figure | None:
    """Draw choices and reaction times against the evidence, if the task has any."""
    if not curves.psychometric:
        return None
    figure = Figure(figsize=(3.5 * (1 + len(curves.chronometric)), 2.8))
    left, *right = figure.subplots(1, 1 + len(curves.chronometric), squeeze=False)[0]
    plot_psychometric(curves.psychometric, left, label="evidence")
    for ax, (label, times) in zip(right, curves.chronometric.items(), strict=True):
        plot_chronometric(times, ax)
        ax.set_title(label)
    return figure


def plot_learning(found: Mapping[tuple[str, int], TrainedTask], hard: bool) -> Figure:
    """Draw validation accuracy and loss of all runs, with the control beside the trained networks."""
    logs: dict[str, list[Any]] = {}
    for (label, _), one in found.items():
        logs.setdefault("unbalanced" if label == "control" else label, []).append(read_log(one.training.folder))
    figure = Figure(figsize=(6.5, 2.6))
    left, right = figure.subplots(1, 2)
    plot_learning_curves(logs, left)
    if hard:
        left.set_ylabel("validation accuracy, hard trials")
    # An accuracy below one half is no less informative here.
    left.set_ylim(0, 1.02)
    plot_validation_loss(logs, right)
    return figure


def verdicts(rows: list[Row], recipe: CTRNNRecipe, curves: TaskCurves) -> dict[str, bool]:
    """Return the checks: every network learned, the control did not, and none beats the ideal observer."""
    checks, hard = {}, " on hard trials" if recipe.hard else ""
    for row in rows:
        if row["weights"] == "control":
            at_chance = (
                abs(row["hard_accuracy"] - 0.5) <= CHANCE_MARGIN and row["loss"] >= CHANCE_LOSS * row["zero_loss"]
            )
            checks[
                f"control at chance, at its lowest loss of {row['steps']} steps: accuracy "
                f"{row['hard_accuracy']:.3f}{hard}, loss {row['loss']:.3f} where zero has {row['zero_loss']:.3f}"
            ] = at_chance
            continue
        learned = row["criterion_step"] != "-" and row["hard_accuracy"] >= recipe.criterion
        checks[
            f"seed {row['seed']}: accuracy {row['hard_accuracy']:.3f}{hard}, at least {recipe.criterion}, from step "
            f"{row['criterion_step']} of {recipe.training.steps}"
        ] = learned
    if curves.ideal:
        above = [row for row in curves.ideal if row["above"]]
        checks[f"{len(above)} of {len(curves.ideal)} accuracies above the ideal observer"] = not above
    return checks


def run(config: Config) -> int:
    """Train, test, draw and check; return the exit code."""
    recipe, seed = config.recipe(), config.seed[0]
    found = train(config)
    count = 64 if config.quick else config.trials
    rows = [score(label, number, recipe, one, count) for (label, number), one in found.items()]
    print_table(f"{config.task}: {count} fresh trials{f', hard: {dict(recipe.hard)}' if recipe.hard else ''}", rows)
    network = next(iter(found.values())).network
    many = curve_trials(recipe.task, 200 if config.quick else config.curve_trials, FRESH_TRIALS + seed, network.step)
    scores = recipe.task.score(network_outputs(network, many), many)
    curves = task_curves(recipe.task, many, scores, resamples=20 if config.quick else config.resamples, seed=seed)
    figure, shown = plot_trials(recipe, network, seed)
    figures = {"trials": figure, "learning": plot_learning(found, bool(recipe.hard)), "curves": plot_curves(curves)}
    written = [write_netcdf(shown.assign_attrs(seed=seed), config.folder / "trials.nc")]
    if curves.psychometric:
        written.append(write_netcdf(curves.to_dataset().assign_attrs(seed=seed), config.folder / "curves.nc"))
    written += [cli.save_figure(one, config.folder / f"{name}.png") for name, one in figures.items() if one is not None]
    tables = {"accuracy": rows} | curves.tables()
    for place in (config.folder, *([config.tables] if config.tables else [])):
        save_tables(place, f"ctrnn_{config.task}", tables, seed=None, trials=count, seeds=config.seed)
    # A quick run has learned nothing that could be checked.
    exit_code = cli.report_checks({} if config.quick else verdicts(rows, recipe, curves))
    print(f"Wrote {', '.join(map(str, written))}")
    return exit_code


def main() -> int:
    """Run the script and return its exit code."""
    config = tyro.cli(Config, description=__doc__, args=sys.argv[1:])
    with cli.one_line_errors(), style():
        cli.check_output_folder(config.output)
        return run(config)


if __name__ == "__main__":
    raise SystemExit(main())
