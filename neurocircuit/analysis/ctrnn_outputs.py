"""What a network answers to the trials of a task, whole or perturbed; and whether the two belong together."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from neurocircuit.circuits.perturbation import Perturbation
from neurocircuit.circuits.rate_network import RateNetwork
from neurocircuit.networks import run_network
from neurocircuit.tasks import Task, Trials

__all__ = ["check_channels", "network_outputs"]

#: Trials that are run through a network at once when it is scored; bounds the memory, not the result.
_CHUNK = 100


def check_channels(network: RateNetwork, task: Task | Trials) -> None:
    """Refuse a network whose inputs and outputs are not those of a task, or of its trials.

    Parameters
    ----------
    network : RateNetwork
        The network. Names that it was not given are not compared.
    task : Task or Trials
        The task, or trials of it.

    Raises
    ------
    ValueError
        If the numbers or the names differ.
    """
    name = task.task if isinstance(task, Trials) else task.name
    sizes = (len(task.input_names), len(task.output_names))
    if sizes != (network.n_inputs, network.n_outputs):
        raise ValueError(
            f"`network` has {network.n_inputs} inputs and {network.n_outputs} outputs; the task {name} has {sizes[0]} "
            f"and {sizes[1]}. Do they belong together?"
        )
    unnamed = network.replace(input_names=(), output_names=())
    for names in ("input_names", "output_names"):
        found, wanted = getattr(network, names), getattr(task, names)
        if found not in (wanted, getattr(unnamed, names)):
            raise ValueError(
                f"`network` has the {names} {', '.join(found)}; the task {name} has {', '.join(wanted)}. Take a "
                "network that was trained on the task, in the same variant."
            )


def network_outputs(
    network: RateNetwork, trials: Trials, perturbations: Sequence[Perturbation] = ()
) -> npt.NDArray[np.float64]:
    """Return what a network answers without noise of its own, (trial, time, output).

    Parameters
    ----------
    network : RateNetwork
        The network.
    trials : Trials
        Trials at the network's time step.
    perturbations : sequence of Lesion or Pulse
        What is done to the network meanwhile.

    Raises
    ------
    ValueError
        If the trials have another time step, or are of another task (see `check_channels`).
    """
    check_channels(network, trials)
    if not np.isclose(trials.step, network.step):
        raise ValueError(
            f"`trials` have a step of {trials.step:g} ms and `network` was trained with {network.step:g} ms; draw the "
            "trials with step=network.step."
        )
    parts = [trials.inputs[at : at + _CHUNK] for at in range(0, trials.n_trials, _CHUNK)]
    return np.concatenate([run_network(network, part, perturbations=perturbations).outputs for part in parts])
