"""What is asked of a run of a rate network, checked, and what is found in it, labelled; how it is run is elsewhere."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import xarray as xr

from neurocircuit.circuits.rate_network import RateNetwork
from neurocircuit.simulation.brian_run import check_seed
from neurocircuit.versions import package_versions

__all__ = ["NetworkProblem", "Noise", "label_run", "make_problem"]

Array = npt.NDArray[np.float64]
Noise = bool | npt.ArrayLike


class NetworkProblem(NamedTuple):
    """What to simulate, checked."""

    network: RateNetwork
    inputs: Array
    noise: Noise
    rate_noise: Noise
    seed: int | None

    @property
    def duration(self) -> float:
        """Time in ms; one step more than the inputs have, because a step begins with the sample before it."""
        return float((self.inputs.shape[1] + 1) * self.network.step)

    @property
    def order(self) -> npt.NDArray[np.int64]:
        """For every neuron of the Brian2 group its place in (trial, unit): excitatory units of all trials first."""
        places = np.arange(len(self.inputs) * self.network.n_units).reshape(len(self.inputs), -1)
        exc = self.network.excitatory
        return places.ravel() if exc is None else np.concatenate([places[:, exc].ravel(), places[:, ~exc].ravel()])


def make_problem(
    network: RateNetwork, inputs: npt.ArrayLike, noise: Noise, rate_noise: Noise, seed: int | None
) -> NetworkProblem:
    """Return the run that is asked for; the arguments are those of `neurocircuit.simulation.simulate_network`.

    Raises
    ------
    ValueError
        If an argument is not as described there.
    """
    given = network.check_inputs(inputs)
    numbers = {"noise": noise, "rate_noise": rate_noise}
    for extra, (name, value) in enumerate(numbers.items()):
        if isinstance(value, bool):
            continue
        shape = (len(given), given.shape[1] + extra, network.n_units)
        numbers[name] = array = np.asarray(value, dtype=np.float64)
        if array.shape != shape or not np.isfinite(array).all():
            raise ValueError(
                f"`{name}` has the shape {array.shape}; it must be True, False or finite standard-normal numbers of "
                f"the shape {shape}, (trial, time, unit)."
            )
    own = [name for name, value in numbers.items() if value is True]
    check_seed(seed)
    if own and seed is None:
        raise ValueError(
            f"`seed` is None, but `{own[0]}` is drawn; give a whole number, so that the run can be repeated."
        )
    return NetworkProblem(network, given, numbers["noise"], numbers["rate_noise"], seed if own else None)


def label_run(problem: NetworkProblem, found: Mapping[str, Array], device: str) -> xr.Dataset:
    """Return the data set of a run: what was found by name, each (trial, time, unit), with the outputs it gives."""
    network = problem.network
    meanings = {
        network.state: network.system().symbol(network.state).meaning,
        "rate": "firing rate",
        "current_excitatory": "recurrent current from excitatory weights",
        "current_inhibitory": "recurrent current from inhibitory weights",
    }
    data: dict[str, Any] = {
        name: (("trial", "time", "unit"), values, {"units": "1", "long_name": meanings[name]})
        for name, values in found.items()
    }
    output = network.readout(found["rate"])
    data["output"] = (("trial", "time", "output_name"), output, {"units": "1", "long_name": "output"})
    coords: dict[str, Any] = {
        "time": ("time", np.arange(output.shape[1]) * network.step, {"units": "ms"}),
        "output_name": list(network.output_names),
    }
    if network.excitatory is not None:
        coords["excitatory"] = ("unit", network.excitatory)
    kinds = {"noise": problem.noise, "rate_noise": problem.rate_noise}
    attributes = {
        "equations": network.system(noise=problem.noise is not False).text,
        "activation": network.activation,
        "method": "euler",
        "step_ms": network.step,
        "device": device,
        "seed": "none" if problem.seed is None else int(problem.seed),
        **{k: str(v).lower() if isinstance(v, bool) else "given numbers" for k, v in kinds.items()},
        "versions": json.dumps(package_versions()),
    }
    return xr.Dataset(data, coords, attributes)
