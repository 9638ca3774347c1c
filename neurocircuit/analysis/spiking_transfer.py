"""How well a trained rate network does its task once it spikes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import xarray as xr

from neurocircuit.analysis.ctrnn_outputs import check_channels, network_outputs
from neurocircuit.analysis.ctrnn_recipes import FRESH_TRIALS
from neurocircuit.circuits.rate_network import RateNetwork
from neurocircuit.circuits.spiking import transfer
from neurocircuit.simulation.spiking import SCALINGS, scaling_search, simulate_spiking
from neurocircuit.tasks import Scores, Task, Trials

__all__ = ["TransferResult", "transfer_experiment"]


@dataclass(frozen=True, eq=False)
class TransferResult:
    """A network, spiking, on its task."""

    scaling: float
    """Scaling factor that was chosen, Hz."""
    searched: dict[float, float]
    """Accuracy by scaling factor on the trials it was chosen by."""
    trials: Trials
    """The other trials, which both networks below were scored on."""
    rate: Scores
    """Scores of the rate network, without noise of its own."""
    spiking: Scores
    """Scores of the spiking network."""
    run: xr.Dataset
    """The spiking run; the first trial is recorded."""


def transfer_experiment(
    network: RateNetwork,
    task: Task,
    *,
    trials: int = 100,
    search_trials: int = 50,
    scalings: Sequence[float] = SCALINGS,
    device: str = "numpy",
    seed: int = 0,
) -> TransferResult:
    """Choose the scaling factor of a network on some trials and score it, spiking, on others.

    Parameters
    ----------
    network : RateNetwork
        A trained network with sigmoid rates.
    task : Task
        Its task; trials are drawn at the network's step.
    trials, search_trials : int
        Numbers of trials to score on, and to choose by.
    scalings : sequence of float
        Factors to choose from, Hz; the first of the best is taken.
    device : {"numpy", "cython", "cpp", "cuda"}
        What runs the spiking network.
    seed : int
        Of trials and membrane noise.

    Raises
    ------
    ValueError
        If the network cannot be transferred, or is of another task (see `check_channels`).
    BackendUnavailableError
        If the device cannot run here.
    """
    check_channels(network, task)
    # Trials to choose by and trials to judge by come from different seeds.
    chosen_by, judged_by = (
        task.sample(count, FRESH_TRIALS + 2 * seed + place, step=network.step)
        for place, count in enumerate((search_trials, trials))
    )
    searched = scaling_search(
        network,
        chosen_by.inputs,
        lambda outputs: task.score(outputs, chosen_by).accuracy,
        scalings=scalings,
        device=device,
        seed=seed,
    )
    scaling = max(searched, key=lambda factor: searched[factor])
    run = simulate_spiking(transfer(network, scaling), judged_by.inputs, device=device, seed=seed + 1, record=(0,))
    return TransferResult(
        scaling,
        searched,
        judged_by,
        task.score(network_outputs(network, judged_by), judged_by),
        task.score(run["output"].values[:, 1:], judged_by),
        run,
    )
