"""Running spiking networks on tasks: every trial is a copy of the network in one Brian2 group."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import brian2
import numpy as np
import numpy.typing as npt
import xarray as xr
from brian2 import ms

from neurocircuit.circuits.rate_network import RateNetwork
from neurocircuit.circuits.spiking import LIF, LIFParameters, SpikingNetwork, transfer
from neurocircuit.simulation.brian_run import check_seed, check_time, run_once
from neurocircuit.versions import package_versions

__all__ = ["SCALINGS", "SPIKING_STEP", "scaling_search", "simulate_spiking"]

#: Step in ms, and scaling factors in Hz to search; Kim, Li and Sejnowski (2019), published code.
SPIKING_STEP = 0.05
SCALINGS = tuple(float(rate) for rate in range(20, 80, 5))

Array = npt.NDArray[np.float64]


def simulate_spiking(
    network: SpikingNetwork,
    inputs: npt.ArrayLike,
    *,
    step: float = SPIKING_STEP,
    device: str = "numpy",
    seed: int = 0,
    record: Sequence[int] = (),
) -> xr.Dataset:
    """Run a spiking network on trials and return its outputs and spikes.

    Parameters
    ----------
    network : SpikingNetwork
        See `neurocircuit.circuits.transfer`.
    inputs : (trial, time, input) array
        As for the rate network: one value a step of the rate network, held constant within it.
    step : float
        Integration step in ms; a whole fraction of the rate network's step.
    device : {"numpy", "cython", "cpp", "cuda"}
        What executes it.
    seed : int
        Of starting potentials and membrane noise. Spikes depend on the device too.
    record : sequence of int
        Trials whose filtered spikes are kept at every step of the rate network.

    Returns
    -------
    xarray.Dataset
        ``output`` over ``trial``, ``time`` and ``output_name``, with sample k after k steps of the rate network;
        ``spike_count`` over ``trial`` and ``unit``; ``spike_time`` (ms), ``spike_trial`` and ``spike_unit`` over
        ``spike``; and if trials are recorded their ``trace`` over ``recorded``, ``time`` and ``unit``: the firing rate,
        filtered as by a synapse, over the scaling factor.

    Raises
    ------
    ValueError, TypeError
        If an argument is not as described.
    BackendUnavailableError
        If the device cannot run here.
    """
    given = network.source.check_inputs(inputs)
    recorded = np.asarray(tuple(record), dtype=np.int64)
    if len(recorded) and not (recorded.min() >= 0 and recorded.max() < len(given)):
        raise ValueError(f"`record` is {record!r}; trials are numbered from 0 to {len(given) - 1}.")
    problem = _Problem(network, given, np.full(len(given), network.per_ms), step, seed, recorded)
    return _label(problem, _run(problem, device), device)


def scaling_search(
    network: RateNetwork,
    inputs: npt.ArrayLike,
    score: Callable[[Array], float],
    *,
    scalings: Sequence[float] = SCALINGS,
    parameters: LIFParameters | None = None,
    step: float = SPIKING_STEP,
    device: str = "numpy",
    seed: int = 0,
) -> dict[float, float]:
    """Return the score of a network's spiking counterpart for each of several scaling factors, all run at once.

    Parameters
    ----------
    network : RateNetwork
        The network.
    inputs : (trial, time, input) array
        Trials to choose by, which should not be those that the choice is judged by.
    score : callable
        From outputs (trial, time, output), sample k after step k + 1, to a number; greater is better.
    scalings : sequence of float
        Factors to try, Hz.
    parameters, step, device, seed
        As for `transfer` and `simulate_spiking`.

    Returns
    -------
    dict from float to float
        Score by scaling factor, in the order given.

    Raises
    ------
    ValueError, TypeError
        If an argument is not as described.
    BackendUnavailableError
        If the device cannot run here.
    """
    if not len(scalings):
        raise ValueError("`scalings` is empty; give one or more firing rates in Hz.")
    networks = [transfer(network, scaling, parameters) for scaling in scalings]
    given = network.check_inputs(inputs)
    trials = len(given)
    per_ms = np.repeat([spiking.per_ms for spiking in networks], trials)
    outputs = _run(_Problem(networks[0], given, per_ms, step, seed, np.zeros(0, np.int64)), device).output[:, 1:]
    return {
        float(scaling): float(score(outputs[place * trials : (place + 1) * trials]))
        for place, scaling in enumerate(scalings)
    }


class _Problem(NamedTuple):
    """What to simulate, checked: the trials, once for every scaling factor (per ms, one a copy of the network)."""

    network: SpikingNetwork
    inputs: Array
    per_ms: Array
    step: float
    seed: int
    record: npt.NDArray[np.int64]


class _Spikes(NamedTuple):
    output: Array
    time: Array
    neuron: npt.NDArray[np.int64]
    trace: Array


def _run(problem: _Problem, device: str) -> _Spikes:
    source = problem.network.source
    check_time("step", problem.step)
    check_seed(problem.seed)
    ratio = source.step / problem.step
    if ratio < 1 or abs(ratio - round(ratio)) > 1e-9 * ratio:
        raise ValueError(
            f"`step` is {problem.step!r} ms; it must divide the rate network's step of {source.step:g} ms, so that "
            "inputs change and outputs are read at the start of a step."
        )
    # One step more than the trial has, at whose start the last sample is taken.
    duration = problem.inputs.shape[1] * source.step + problem.step
    return run_once(lambda: _build(problem), lambda objects: _read(problem, objects), duration, device, problem.seed)


def _build(problem: _Problem) -> tuple[Any, dict[str, Any]]:
    neurons = _neurons(problem)
    outputs, readout = _readout(problem, neurons)
    objects = {
        "spikes": brian2.SpikeMonitor(neurons, name="spikes"),
        "output": brian2.StateMonitor(
            outputs, "output", record=True, clock=outputs.clock, when="before_groups", name="output_samples"
        ),
    }
    if len(problem.record):
        units = problem.network.source.n_units
        kept = (problem.record[:, None] * units + np.arange(units)).ravel()
        objects["trace"] = brian2.StateMonitor(
            neurons, "trace", record=kept, clock=outputs.clock, when="before_groups", name="trace_samples"
        )
    recurrence = _recurrence(problem, neurons)
    return brian2.Network(neurons, *recurrence, outputs, *readout, *objects.values()), objects


def _neurons(problem: _Problem) -> Any:
    network, source = problem.network, problem.network.source
    values, copies = network.parameters.as_floats(), len(problem.per_ms)
    shared = [symbol for symbol in LIF.symbols if symbol.role == "parameter"]
    lines = [f"{symbol.name} : {symbol.brian_unit} (shared, constant)" for symbol in shared]
    lines += ["tau : second (constant)", "drive = external(t, column) : 1", "column : integer (constant)"]
    lines += ["trace_jump : 1 (constant)"]
    drive = source.drive(problem.inputs).transpose(1, 0, 2).reshape(problem.inputs.shape[1], -1)
    neurons = brian2.NeuronGroup(
        copies * source.n_units,
        LIF.odes + brian2.Equations("\n".join(lines)),
        threshold=f"v >= {values['threshold']!r}",
        reset=f"v = {values['reset']!r}\ntrace_onset += trace_jump",
        refractory=network.parameters.refractory,
        method="euler",
        clock=brian2.Clock(problem.step * ms, name="spiking_clock*"),
        name="neurons",
        namespace={"external": brian2.TimedArray(drive, dt=source.step * ms)},
    )
    for symbol in shared:
        setattr(neurons, symbol.name, network.parameters.quantities()[symbol.name])
    neurons.tau = np.tile(source.tau, copies) * ms
    neurons.column = np.arange(len(neurons)) % drive.shape[1]
    neurons.trace_jump = np.repeat(_jump(problem), source.n_units)
    start = np.random.default_rng(problem.seed).uniform(values["reset"], values["threshold"], len(neurons))
    neurons.v = start
    return neurons


def _jump(problem: _Problem) -> Array:
    """Return by how much a spike raises the onset of a synapse of weight 1, for every copy."""
    return np.asarray(1 / (problem.per_ms * problem.network.parameters.as_floats()["tau_rise"]))


def _recurrence(problem: _Problem, neurons: Any) -> list[Any]:
    source, copies = problem.network.source, len(problem.per_ms)
    post, pre = np.nonzero(source.weights)
    if not len(post):
        return []
    synapses = brian2.Synapses(
        neurons, neurons, "w : 1 (constant)", on_pre="current_onset_post += w", clock=neurons.clock, name="recurrence"
    )
    first = np.arange(copies)[:, None] * source.n_units
    synapses.connect(i=(first + pre).ravel(), j=(first + post).ravel())
    synapses.w = np.outer(_jump(problem), source.weights[post, pre]).ravel()
    return [synapses]


def _readout(problem: _Problem, neurons: Any) -> tuple[Any, list[Any]]:
    """Return the output units, and the synapses that sum filtered spikes at every step of the rate network."""
    source, copies = problem.network.source, len(problem.per_ms)
    clock = brian2.Clock(source.step * ms, name="output_clock*")
    outputs = brian2.NeuronGroup(copies * source.n_outputs, "output : 1", clock=clock, name="outputs", namespace={})
    output, unit = np.nonzero(source.output_weights)
    if not len(output):
        return outputs, []
    synapses = brian2.Synapses(
        neurons, outputs, "w : 1 (constant)\noutput_post = w*trace_pre : 1 (summed)", clock=clock, name="readout"
    )
    copy = np.arange(copies)[:, None]
    synapses.connect(i=(copy * source.n_units + unit).ravel(), j=(copy * source.n_outputs + output).ravel())
    synapses.w = np.tile(source.output_weights[output, unit], copies)
    synapses.summed_updaters["output_post"].when = "start"
    return outputs, [synapses]


def _read(problem: _Problem, objects: dict[str, Any]) -> _Spikes:
    source, copies = problem.network.source, len(problem.per_ms)
    samples = np.array(objects["output"].output).reshape(copies, source.n_outputs, -1).swapaxes(1, 2)
    trace = np.zeros((0, samples.shape[1], source.n_units))
    if "trace" in objects:
        trace = np.array(objects["trace"].trace).reshape(len(problem.record), source.n_units, -1).swapaxes(1, 2)
    time, neuron = np.array(objects["spikes"].t / ms), np.array(objects["spikes"].i)
    within = time < problem.inputs.shape[1] * source.step - problem.step / 2
    return _Spikes(samples + source.output_bias, time[within], neuron[within], trace)


def _label(problem: _Problem, found: _Spikes, device: str) -> xr.Dataset:
    network, source = problem.network, problem.network.source
    trials = len(problem.inputs)
    counts = np.bincount(found.neuron, minlength=trials * source.n_units).reshape(trials, source.n_units)
    data: dict[str, Any] = {
        "output": (("trial", "time", "output_name"), found.output, {"units": "1", "long_name": "output"}),
        "spike_count": (("trial", "unit"), counts, {"units": "1", "long_name": "spikes of a trial"}),
        "spike_time": ("spike", found.time, {"units": "ms", "long_name": "spike time"}),
        "spike_trial": ("spike", found.neuron // source.n_units, {"long_name": "trial of the spike"}),
        "spike_unit": ("spike", found.neuron % source.n_units, {"long_name": "unit that fired"}),
    }
    coords: dict[str, Any] = {
        "time": ("time", np.arange(found.output.shape[1]) * source.step, {"units": "ms"}),
        "output_name": list(source.output_names),
    }
    if source.excitatory is not None:
        coords["excitatory"] = ("unit", source.excitatory)
    if len(problem.record):
        data["trace"] = (("recorded", "time", "unit"), found.trace, {"units": "1", "long_name": "filtered firing rate"})
        coords["recorded"] = ("recorded", problem.record)
    attributes = {
        "circuit": LIF.name,
        "equations": LIF.text.strip(),
        "parameters": json.dumps(network.parameters.as_floats()),
        "scaling_hz": network.scaling,
        "method": "euler",
        "step_ms": problem.step,
        "device": device,
        "seed": problem.seed,
        "versions": json.dumps(package_versions()),
    }
    return xr.Dataset(data, coords, attributes)
