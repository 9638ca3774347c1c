"""Brunel's balanced network in Brian2, with fixed numbers of inputs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import brian2
import numpy as np
import xarray as xr
from brian2 import Hz, ms

from neurocircuit.circuits.brunel import BRUNEL, BrunelParameters
from neurocircuit.simulation.brian_run import check_seed, check_time, run_once
from neurocircuit.versions import package_versions

__all__ = ["fixed_in_degree", "simulate_brunel"]

#: Width of the bins of the population rate, ms.
BIN = 1.0


def simulate_brunel(
    parameters: BrunelParameters,
    *,
    duration: float = 500.0,
    settle: float = 200.0,
    step: float = 0.1,
    device: str = "numpy",
    seed: int = 0,
) -> xr.Dataset:
    """Run Brunel's network and return its spikes and rates.

    Every neuron gets inputs from exactly ``in_exc`` excitatory and ``in_inh`` inhibitory neurons, drawn without
    replacement: with in-degrees that vary, the mean input varies from neuron to neuron, and theory does not hold.

    Parameters
    ----------
    parameters : BrunelParameters
        The network, such as ``BRUNEL_PANELS["C"]``.
    duration : float
        How long rates are measured, ms.
    settle : float
        How long the network runs before, ms.
    step : float
        Integration step in ms; the delay and the refractory period must be multiples of it.
    device : {"numpy", "cython", "cpp", "cuda"}
        What executes it.
    seed : int
        Of connections, starting potentials and external spikes. Spikes depend on the device too.

    Returns
    -------
    xarray.Dataset
        ``rate`` per ``unit`` in Hz, excitatory units first, and ``population_rate`` per ``time`` in Hz, in bins of
        1 ms, both after `settle`; ``spike_time`` in ms from the start and ``spike_unit`` per ``spike``.

    Raises
    ------
    ValueError
        If a time is not positive, the step does not divide the delay and the refractory period, or the device or the
        seed is unknown.
    BackendUnavailableError
        If the program does not compile here.
    """
    check_time("duration", duration)
    check_time("settle", settle, zero=True)
    check_time("step", step)
    check_seed(seed)
    values = parameters.as_floats()
    _check_step(step, values)
    rng = np.random.default_rng(seed)
    time, unit = run_once(lambda: _build(parameters, step, rng), _read, settle + duration, device, seed)
    attributes = {"seed": seed, "device": device, "step_ms": step, "settle_ms": settle, "duration_ms": duration}
    return _labelled(parameters, time, unit, settle, duration).assign_attrs(
        circuit=BRUNEL.name,
        equations=BRUNEL.text.strip(),
        parameters=json.dumps(values),
        **attributes,
        versions=json.dumps(package_versions()),
    )


def _sizes(parameters: BrunelParameters) -> tuple[int, int]:
    """Return the number of excitatory units, and of all."""
    return int(parameters.n_exc), int(parameters.n_exc + parameters.n_inh)


def _build(parameters: BrunelParameters, step: float, rng: np.random.Generator) -> tuple[Any, Any]:
    """Return the network, and its monitor of spikes."""
    (n_exc, n_units), values = _sizes(parameters), parameters.as_floats()
    neurons = brian2.NeuronGroup(
        n_units,
        BRUNEL.brian(),
        threshold=f"v > {values['threshold']!r}",
        reset=f"v = {values['reset']!r}",
        refractory=parameters.refractory,
        method="exact",
        dt=step * ms,
        name="neurons",
        namespace={},
    )
    neurons.tau_m = parameters.tau_m
    neurons.v = rng.uniform(values["reset"], values["threshold"], n_units)
    external = brian2.PoissonInput(
        neurons, "v", int(parameters.in_exc), parameters.external_rate * Hz, weight=parameters.jump
    )
    wiring = []
    for name, first, size, inputs, jump in (
        ("exc", 0, n_exc, int(parameters.in_exc), parameters.jump),
        ("inh", n_exc, n_units - n_exc, int(parameters.in_inh), -parameters.g * parameters.jump),
    ):
        synapses = brian2.Synapses(
            neurons, neurons, on_pre=f"v_post += {jump!r}", delay=parameters.delay, dt=step * ms, name=name
        )
        source = fixed_in_degree(rng, n_units, size, inputs)
        synapses.connect(i=first + source.ravel(), j=np.repeat(np.arange(n_units), inputs))
        wiring.append(synapses)
    spikes = brian2.SpikeMonitor(neurons, name="spikes")
    return brian2.Network(neurons, external, *wiring, spikes), spikes


def _read(spikes: Any) -> tuple[Any, Any]:
    """Return time in ms and unit of every spike."""
    return np.asarray(spikes.t / ms), np.asarray(spikes.i)


def _labelled(parameters: BrunelParameters, time: Any, unit: Any, settle: float, duration: float) -> xr.Dataset:
    """Return the spikes, and the rates that follow from those after `settle`."""
    n_exc, n_units = _sizes(parameters)
    measured = time >= settle
    bins = np.arange(0.0, duration + BIN / 2, BIN)
    counts, _ = np.histogram(time[measured] - settle, bins)
    rate = np.bincount(unit[measured], minlength=n_units) / duration * 1e3
    return xr.Dataset(
        {
            "rate": ("unit", rate, {"units": "Hz", "long_name": "firing rate"}),
            "population_rate": (
                "time",
                counts / (n_units * BIN) * 1e3,
                {"units": "Hz", "long_name": "population firing rate"},
            ),
            "spike_time": ("spike", time, {"units": "ms", "long_name": "spike time"}),
            "spike_unit": ("spike", unit, {"long_name": "unit that fired"}),
        },
        {"time": ("time", settle + bins[:-1], {"units": "ms"}), "excitatory": ("unit", np.arange(n_units) < n_exc)},
    )


def fixed_in_degree(rng: np.random.Generator, targets: int, sources: int, inputs: int) -> np.ndarray[Any, Any]:
    """Return the sources of every target, drawn without replacement: a ``(targets, inputs)`` array of indices.

    Raises
    ------
    ValueError
        If there are fewer sources than inputs.
    """
    if not 0 < inputs <= sources:
        raise ValueError(f"`inputs` is {inputs}; with {sources} sources it must be from 1 to {sources}.")
    return np.stack([rng.choice(sources, inputs, replace=False, shuffle=False) for _ in range(targets)])


def _check_step(step: float, values: Mapping[str, float]) -> None:
    """Raise ValueError if a delay or refractory period would be rounded to whole steps."""
    for name in ("delay", "refractory"):
        steps = values[name] / step
        if abs(steps - round(steps)) > 1e-9 * steps:
            raise ValueError(
                f"`step` is {step!r} ms, which does not divide `{name}`, {values[name]:g} ms; use one that does, such "
                "as 0.1."
            )
