"""A recurrent rate network on any device: the equation and weights that torch trains, run by Brian2.

Every trial is a copy of the network in one Brian2 group. Excitatory units of all trials come first, so that both
populations are subgroups; each sums its input into a variable of its own, which makes the excitatory and the inhibitory
current observable.
"""

from __future__ import annotations

from typing import Any

import brian2
import numpy as np
import numpy.typing as npt
import xarray as xr
from brian2 import ms

from neurocircuit.circuits.ei import activation_function
from neurocircuit.circuits.rate_network import RateNetwork
from neurocircuit.equations import FUNCTIONS
from neurocircuit.networks import run_network
from neurocircuit.networks.rate_run import check_finite
from neurocircuit.simulation.brian_run import ONE_RUN_DEVICES, generate_once, run_once
from neurocircuit.simulation.rate_problem import NetworkProblem, Noise, label_run, make_problem

__all__ = ["NETWORK_DEVICES", "generate_network_program", "simulate_network"]

#: Devices a rate network runs on.
NETWORK_DEVICES = ("torch", *ONE_RUN_DEVICES)

Array = npt.NDArray[np.float64]

_CURRENTS = {"excitatory": "rec_exc", "inhibitory": "rec_inh"}


def simulate_network(
    network: RateNetwork,
    inputs: npt.ArrayLike,
    *,
    device: str = "torch",
    noise: Noise = False,
    rate_noise: Noise = False,
    seed: int | None = None,
) -> xr.Dataset:
    """Run a rate network on trials and return its states, rates, currents and outputs.

    Parameters
    ----------
    network : RateNetwork
        The network; Euler's method with the step ``network.step``.
    inputs : (trial, time, input) array
        One value a step, held constant within it.
    device : {"torch", "numpy", "cython", "cpp", "cuda"}
        What executes it; all but torch are Brian2's. float64 on each.
    noise, rate_noise : bool, or (trial, time, unit) and (trial, time + 1, unit) array
        Noise of the state, of the size ``network.noise``, and of the rate, of the size ``network.rate_noise``. False:
        none. True: the device's own random numbers. An array: these standard-normal numbers, so that devices can be
        compared. Number k of `noise` enters between samples k and k + 1; `rate_noise` has one more, number k in the
        rate of sample k.
    seed : int, optional
        Of the device's own random numbers; needed for them.

    Returns
    -------
    xarray.Dataset
        The state (``x``, or ``r`` in the rate form), ``rate``, ``current_excitatory`` and ``current_inhibitory`` over
        ``trial``, ``time`` and ``unit``, and ``output`` over ``trial``, ``time`` and ``output_name``. Sample 0 is the
        start, sample k the network after k steps.

    Raises
    ------
    ValueError, TypeError
        If an argument is not as described; the message names it.
    NonFiniteError
        If a state leaves the finite numbers.
    BackendUnavailableError
        If the device cannot run here.

    Examples
    --------
    >>> import numpy as np
    >>> from neurocircuit.circuits import RateNetwork
    >>> from neurocircuit.simulation import simulate_network
    >>> network = RateNetwork(weights=[[0.0]], input_weights=[[1.0]], output_weights=[[1.0]], tau=20.0, step=1.0)
    >>> simulate_network(network, np.ones((1, 50, 1))).x.shape
    (1, 51, 1)
    """
    if device not in NETWORK_DEVICES:
        raise ValueError(f"`device` is {device!r}; it must be one of {', '.join(NETWORK_DEVICES)}.")
    problem = make_problem(network, inputs, noise, rate_noise, seed)
    if device == "torch":
        found = _run_torch(problem)
    else:
        found = run_once(
            lambda: _build(problem), lambda samples: _read(problem, samples), problem.duration, device, problem.seed
        )
    for name, values in found.items():
        check_finite(network, name, values)
    return label_run(problem, found, device)


def generate_network_program(
    network: RateNetwork,
    inputs: npt.ArrayLike,
    directory: str,
    *,
    device: str = "cuda",
    noise: Noise = False,
    rate_noise: Noise = False,
    seed: int | None = None,
    compile: bool = False,
) -> None:
    """Write the C++ or CUDA program that simulates a rate network into a directory; no GPU is needed.

    Parameters
    ----------
    network, inputs, noise, rate_noise, seed
        As for `simulate_network`.
    directory : str
        Where the program goes; it is made if missing.
    device : {"cuda", "cpp"}
        The language.
    compile : bool
        Whether to compile and link it too.

    Raises
    ------
    ValueError, TypeError
        If an argument is not as described.
    BackendUnavailableError
        If brian2cuda is missing or does not match, or there is no toolkit to compile with.
    """
    problem = make_problem(network, inputs, noise, rate_noise, seed)
    generate_once(lambda: _build(problem), problem.duration, directory, device, problem.seed, compile)


def _build(problem: NetworkProblem) -> tuple[Any, Any]:
    """Return the Brian2 network, and the monitor of its samples."""
    network, order = problem.network, problem.order
    trials = len(problem.inputs)
    namespace: dict[str, Any] = {"external": _timed(problem, network.drive(problem.inputs))}
    lines = ["rec = rec_exc + rec_inh : 1", "rec_exc : 1", "rec_inh : 1", "drive = external(t, i) : 1"]
    lines += ["tau : second (constant)"]
    values: dict[str, Any] = {"tau": network.tau * ms, network.state: network.start}
    system, ode = network.system(noise=problem.noise is not False), {}
    if problem.noise is not False:
        lines += ["sigma : 1 (constant)"]
        values["sigma"] = network.noise
    if not isinstance(problem.noise, bool):
        # The same numbers in the place of Brian2's white noise, whose value over a step is a normal one over sqrt(dt).
        ode = {"xi": "given_noise"}
        lines += ["given_noise = normal(t, i)/sqrt(dt) : second**-0.5"]
        namespace["normal"] = _timed(problem, problem.noise)
    lines += _rate_lines(problem, namespace, values)
    neurons = brian2.NeuronGroup(
        len(order),
        brian2.Equations(system.text, **ode) + brian2.Equations("\n".join(lines)),
        method="euler",
        clock=brian2.Clock(network.step * ms, name="network_clock*"),
        name="neurons",
        namespace={**system.namespace(), **namespace},
    )
    for name, value in values.items():
        setattr(neurons, name, np.tile(value, trials)[order] if np.ndim(value) else value)
    synapses = list(_wiring(problem, neurons))
    # All variables are read in the state at the start of a step, once the sums are up to date.
    variables = [network.state, "rate", *_CURRENTS.values()]
    samples = brian2.StateMonitor(neurons, variables, record=True, when="before_groups", name="samples")
    return brian2.Network(neurons, *synapses, samples), samples


def _rate_lines(problem: NetworkProblem, namespace: dict[str, Any], values: dict[str, Any]) -> list[str]:
    """Return the equations of the firing rate, and add what they need."""
    network = problem.network
    rate = network.state
    if network.form == "current":
        function = activation_function(network.activation)
        namespace[function] = FUNCTIONS[function].brian()
        rate = f"{function}({rate})"
    if problem.rate_noise is False:
        return [f"rate = {rate} : 1 (constant over dt)"]
    values["rate_sigma"] = network.rate_noise
    normal = "randn()"
    if problem.rate_noise is not True:
        normal = "rate_normal(t, i)"
        namespace["rate_normal"] = _timed(problem, problem.rate_noise)
    return [
        f"rate = {rate} + rate_sigma*sqrt(2*tau/dt)*{normal} : 1 (constant over dt)",
        "rate_sigma : 1 (constant)",
    ]


def _timed(problem: NetworkProblem, values: Any) -> Any:
    """Return a (trial, time, unit) array as a function of time and neuron."""
    array = np.asarray(values)
    by_time = array.transpose(1, 0, 2).reshape(array.shape[1], -1)
    return brian2.TimedArray(by_time[:, problem.order], dt=problem.network.step * ms)


def _wiring(problem: NetworkProblem, neurons: Any) -> Any:
    """Yield the synapses of the excitatory and of the inhibitory weights, each of them within its trial."""
    network, trials = problem.network, len(problem.inputs)
    position = np.argsort(problem.order).reshape(trials, -1)  # (trial, unit) -> neuron
    n_exc = None if network.excitatory is None else trials * int(network.excitatory.sum())
    for name, chosen in (("exc", network.weights > 0), ("inh", network.weights < 0)):
        post, pre = np.nonzero(chosen)
        first, last = (0, len(neurons)) if n_exc is None else (0, n_exc) if name == "exc" else (n_exc, len(neurons))
        if not len(post):
            continue
        synapses = brian2.Synapses(
            neurons[first:last],
            neurons,
            f"w : 1 (constant)\nrec_{name}_post = w*rate_pre : 1 (summed)",
            clock=neurons.clock,
            name=f"synapses_{name}",
        )
        synapses.connect(i=position[:, pre].ravel() - first, j=position[:, post].ravel())
        synapses.w = np.tile(network.weights[post, pre], trials)
        synapses.summed_updaters[f"rec_{name}_post"].when = "start"
        yield synapses


def _read(problem: NetworkProblem, samples: Any) -> dict[str, Array]:
    network = problem.network
    shape = (-1, len(problem.inputs), network.n_units)
    names = {network.state: network.state, "rate": "rate"}
    names |= {f"current_{kind}": variable for kind, variable in _CURRENTS.items()}
    back = np.argsort(problem.order)
    return {
        name: np.array(getattr(samples, variable)).T[:, back].reshape(shape).swapaxes(0, 1)
        for name, variable in names.items()
    }


def _run_torch(problem: NetworkProblem) -> dict[str, Array]:
    network = problem.network
    trials, steps, _ = problem.inputs.shape
    rng = np.random.default_rng(problem.seed)
    normals = []
    for wanted, samples in ((problem.noise, steps), (problem.rate_noise, steps + 1)):
        drawn = rng.standard_normal((trials, samples, network.n_units)) if wanted is True else wanted
        normals.append(None if drawn is False else drawn)
    run = run_network(network, problem.inputs, noise_values=(normals[0], normals[1]))
    currents = {
        "current_excitatory": run.rates @ np.maximum(network.weights, 0).T,
        "current_inhibitory": run.rates @ np.minimum(network.weights, 0).T,
    }
    return {network.state: run.states, "rate": run.rates, **currents}
