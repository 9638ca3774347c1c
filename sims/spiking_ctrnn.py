"""A trained rate network made to spike (Kim, Li and Sejnowski 2019).

For each seed a sigmoid network that obeys Dale's law, with time constants of 20 to 100 ms drawn for every unit, learns
a task as rates; its weights are then given to integrate-and-fire neurons, divided by a firing rate that is chosen on
other trials than those it is scored on. The script prints accuracy of rates and spikes for every seed, with mean and
standard deviation, and draws spikes, rates against filtered spikes, and outputs. With ``--network`` it takes a trained
network from a file instead.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import tyro
from matplotlib.figure import Figure

from neurocircuit import cli
from neurocircuit.analysis.ctrnn_recipes import CTRNNRecipe
from neurocircuit.analysis.ctrnn_training import train_task
from neurocircuit.analysis.spiking_transfer import TransferResult, transfer_experiment
from neurocircuit.circuits import RateNetwork
from neurocircuit.networks import CTRNNSettings, run_network
from neurocircuit.plotting import style
from neurocircuit.plotting.spiking import plot_raster, plot_rate_and_trace, plot_spiking_output
from neurocircuit.simulation import SCALINGS, write_netcdf
from neurocircuit.tables import Row, print_table, save_tables
from neurocircuit.tasks import Task, make_task
from neurocircuit.training import TrainingConfig, has_run

#: Tasks of the paper, with settings that differ from the standard: one strength of evidence, as there.
TASK_SETTINGS = {"gonogo": {}, "mante": {"coherences": (-0.5, 0.5)}}

#: Loss at which training stops. All choices are right long before, but of outputs too small to be told from the noise
#: of spikes.
WANTED_LOSS = {"gonogo": 0.01, "mante": 0.03}

#: Mean accuracy from spikes that the published networks reach.
WANTED = 0.9

#: Range of time constants in ms, as in the paper.
SHORTEST, LONGEST = 20.0, 100.0


@dataclass(frozen=True)
class Config:
    """Train rate networks and run them as spiking ones."""

    task: str = "gonogo"
    """gonogo or mante."""
    seed: tuple[int, ...] = (0, 1, 2)
    """Seeds of weights, trials and noise; one network is trained for each."""
    network: Path | None = None
    """File of a trained network to use instead, for every seed; see RateNetwork.save."""
    device: str = "numpy"
    """numpy, cython, cpp or cuda (Brian2), for the spiking network."""
    steps: int = 1500
    """Most training steps."""
    trials: int = 100
    """Trials to score on."""
    search_trials: int = 20
    """Trials to choose the scaling factor by."""
    scalings: tuple[float, ...] = SCALINGS
    """Scaling factors to choose from, Hz."""
    output: Path = Path("outputs/spiking_ctrnn")
    """Folder of runs, tables and figures. Runs in it that were interrupted, or are done, are gone on with."""
    tables: Path | None = None
    """Another folder for the tables, such as docs/results."""
    quick: bool = False
    """One small network, few training steps and trials: shows that it runs, not what it can do."""


def recipe(task: Task, steps: int, units: int, seed: int) -> CTRNNRecipe:
    """Return how the rate network of a seed is trained: with more noise than the default, because spikes are noisy."""
    taus = np.random.default_rng([seed, 0]).uniform(SHORTEST, LONGEST, units)
    network = CTRNNSettings(
        n_inputs=task.n_inputs,
        n_outputs=task.n_outputs,
        n_units=units,
        tau=tuple(taus.tolist()),
        step=task.step,
        noise=0.1,
        trainable=("weights", "bias", "output_weights", "output_bias"),
    )
    training = TrainingConfig(
        steps=steps,
        batch_size=64,
        learning_rate=3e-3,
        gradient_clip=1.0,
        evaluate_every=50,
        checkpoint_every=50,
        evaluation_samples=256,
        best="loss",
        target=WANTED_LOSS[task.name],
    )
    return CTRNNRecipe(task=task, network=network, training=training)


def run(config: Config) -> dict[int, tuple[RateNetwork, TransferResult]]:
    """Train, or load, and transfer the network of every seed."""
    if config.task not in TASK_SETTINGS:
        raise ValueError(f"`task` is {config.task!r}; it must be one of {', '.join(TASK_SETTINGS)}.")
    task = make_task(config.task, **TASK_SETTINGS[config.task])
    loaded = None if config.network is None else RateNetwork.load(config.network)
    found = {}
    for seed in config.seed:
        network = loaded
        if network is None:
            trained = recipe(task, config.steps, 40 if config.quick else 200, seed)
            folder = config.output / f"{config.task}{'_quick' if config.quick else ''}_seed{seed}"
            network = train_task(trained, seed, folder, resume=has_run(folder)).network
        result = transfer_experiment(
            network,
            task,
            trials=config.trials,
            search_trials=config.search_trials,
            scalings=config.scalings,
            device=config.device,
            seed=seed,
        )
        found[seed] = network, result
    return found


def table(results: dict[int, tuple[RateNetwork, TransferResult]]) -> list[Row]:
    """Return one row a seed, then mean and standard deviation over seeds."""
    rows: list[Row] = [
        {
            "seed": seed,
            "scaling_hz": result.scaling,
            "accuracy_rates": result.rate.accuracy,
            "accuracy_spikes": result.spiking.accuracy,
            "firing_rate_hz": float(result.run["spike_count"].mean() / result.run["time"].max()) * 1e3,
        }
        for seed, (_, result) in results.items()
    ]
    columns = [name for name in rows[0] if name != "seed"]
    values = {name: np.array([row[name] for row in rows], dtype=float) for name in columns}
    spread = {name: float(column.std(ddof=1)) if len(column) > 1 else float("nan") for name, column in values.items()}
    mean = {name: float(column.mean()) for name, column in values.items()}
    return [*rows, {"seed": "mean", **mean}, {"seed": "sd", **spread}]


def plot(network: RateNetwork, result: TransferResult) -> Figure:
    """Draw one trial's spikes, its rates against filtered spikes, the outputs, and the search."""
    figure = Figure(figsize=(7, 5))
    axes = figure.subplots(2, 2)
    rate = run_network(network, result.trials.inputs[:10])
    plot_raster(result.run, axes[0, 0], trial=0)
    plot_rate_and_trace(rate.rates[0], result.run, axes[0, 1])
    plot_spiking_output(rate.outputs, result.run, result.trials.conditions["choice"], axes[1, 0])
    axes[1, 1].plot(list(result.searched), list(result.searched.values()), "o-", color="C0")
    axes[1, 1].set(xlabel="scaling factor (Hz)", ylabel="accuracy from spikes", ylim=(0, 1.05))
    return figure


def main() -> int:
    """Run the script and return its exit code."""
    config = tyro.cli(Config, description=__doc__)
    if config.quick:
        config = replace(config, seed=config.seed[:1], steps=50, trials=4, search_trials=2, scalings=(35.0, 45.0))
    with cli.one_line_errors(), style():
        folder = cli.check_output_folder(config.output)
        results = run(config)
        rows = table(results)
        network, result = results[config.seed[0]]
        name = f"{config.task}{'_quick' if config.quick else ''}"
        write_netcdf(result.run, folder / f"{name}.nc")
        cli.save_figure(plot(network, result), folder / f"{name}.png")
        search = [
            {"seed": seed, "scaling_hz": scaling, "accuracy": accuracy}
            for seed, (_, found) in results.items()
            for scaling, accuracy in found.searched.items()
        ]
        settings = {"trials": config.trials, "search_trials": config.search_trials, "device": config.device}
        for place in (folder, *([config.tables] if config.tables else [])):
            tables = {"transfer": rows, "search": search}
            save_tables(place, f"spiking_{name}", tables, seed=None, seeds=config.seed, **settings)
    print_table(f"{config.task}: rate networks and their spiking counterparts", rows)
    if config.quick:
        return 0
    reached = rows[-2]["accuracy_spikes"]
    return cli.report_checks({f"mean accuracy from spikes {reached:.3f}, at least {WANTED}": reached >= WANTED})


if __name__ == "__main__":
    raise SystemExit(main())
