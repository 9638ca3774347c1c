"""Spiking counterparts of rate networks: filters, firing rates and readout against what they must be."""

import numpy as np
import pytest
from brian2 import ms
from hypothesis import given, settings
from hypothesis import strategies as st

from neurocircuit.circuits.rate_network import RateNetwork
from neurocircuit.circuits.spiking import LIFParameters, transfer
from neurocircuit.simulation.result import write_netcdf
from neurocircuit.simulation.spiking import SPIKING_STEP, scaling_search, simulate_spiking

QUIET = LIFParameters(sigma=0.0)


def make_rates(units=20, **changes):
    rng = np.random.default_rng(4)
    excitatory = np.arange(units) % 5 != 0
    values = {
        "weights": np.abs(rng.normal(size=(units, units))) * np.where(excitatory, 1.0, -4.0) / np.sqrt(units),
        "input_weights": rng.normal(size=(units, 2)),
        "output_weights": rng.normal(size=(3, units)),
        "output_bias": np.array([0.1, 0.2, 0.3]),
        "tau": rng.uniform(20, 100, units),
        "step": 2.0,
        "bias": rng.normal(size=units),
        "excitatory": excitatory,
    }
    return RateNetwork(**{**values, **changes})


def make_inputs(trials, steps, seed=1):
    return np.random.default_rng(seed).normal(size=(trials, steps, 2))


def transcribed(network, inputs, seed, step):
    """Return outputs and spikes of Euler's method written as one loop over time, apart from the library's equations."""
    source, p = network.source, network.parameters.as_floats()
    ratio = round(source.step / step)
    drive = np.repeat(inputs @ source.input_weights.T + source.bias, ratio, axis=1)
    drive = np.concatenate([drive, drive[:, -1:]], axis=1)
    trials, steps, units = drive.shape
    v = np.random.default_rng(seed).uniform(p["reset"], p["threshold"], trials * units).reshape(trials, units)
    current, onset, trace, rising = (np.zeros((trials, units)) for _ in range(4))
    last = np.full((trials, units), -np.inf)
    jump = 1 / (network.scaling * 1e-3 * p["tau_rise"])
    outputs, spikes = [], []
    for k in range(steps):
        if k % ratio == 0:
            outputs.append(trace @ source.output_weights.T + source.output_bias)
        free = (k - last) * step >= p["refractory"] - 1e-9
        moved = v + step / p["tau_m"] * (-v + p["baseline"] + current + drive[:, k])
        current, onset = current + step / source.tau * (onset - current), onset - step / p["tau_rise"] * onset
        trace, rising = trace + step / source.tau * (rising - trace), rising - step / p["tau_rise"] * rising
        v = np.where(free, moved, v)
        fired = (v >= p["threshold"]) & free
        onset = onset + jump * fired @ source.weights.T
        rising = rising + jump * fired
        v = np.where(fired, p["reset"], v)
        last = np.where(fired, k, last)
        spikes.append(fired)
    return np.stack(outputs, 1), np.stack(spikes[:-1], 1)


def test_without_noise_every_spike_is_that_of_a_transcription():
    network, inputs = transfer(make_rates(), 40.0, QUIET), make_inputs(3, 60)
    run = simulate_spiking(network, inputs, seed=7)
    outputs, spikes = transcribed(network, inputs, 7, SPIKING_STEP)
    np.testing.assert_array_equal(run["spike_count"], spikes.sum(axis=1))
    assert int(run["spike_count"].sum()) > 50
    np.testing.assert_allclose(run["output"], outputs, rtol=0, atol=1e-9)
    trial, step, unit = np.nonzero(spikes)
    order = np.lexsort((unit, trial, step))
    found = np.lexsort((run["spike_unit"], run["spike_trial"], run["spike_time"]))
    np.testing.assert_array_equal(run["spike_unit"].values[found], unit[order])
    np.testing.assert_allclose(run["spike_time"].values[found], step[order] * SPIKING_STEP, atol=1e-9)


def single_units(currents, tau=50.0):
    """Return units without connections, each driven by one current and read out on its own."""
    n = len(currents)
    return RateNetwork(
        weights=np.zeros((n, n)), input_weights=np.zeros((n, 1)), output_weights=np.eye(n), tau=tau, step=5.0,
        bias=currents,
    )  # fmt: skip


def test_unconnected_neurons_fire_at_the_rate_of_a_constant_current():
    currents = np.array([-1.0, 0.5, 2.0, 6.0, 12.0])
    run = simulate_spiking(transfer(single_units(currents), 50.0, QUIET), np.zeros((1, 200, 1)))
    with np.errstate(invalid="ignore"):
        exact = np.where(currents > 0, 1e3 / (2.0 + 10.0 * np.log((25 + currents) / currents)), 0.0)
    np.testing.assert_allclose(run["spike_count"][0], exact * 1.0, atol=1.0, rtol=0.03)


@pytest.mark.parametrize("scaling", [25.0, 60.0])
def test_readout_is_the_firing_rate_over_the_scaling_factor(scaling):
    currents = np.array([2.0, 6.0, 12.0])
    run = simulate_spiking(transfer(single_units(currents, tau=100.0), scaling, QUIET), np.zeros((1, 200, 1)))
    mean = run["output"][0, 100:].mean("time")
    late = run["spike_time"].values > 500
    rate = np.bincount(run["spike_unit"].values[late], minlength=3) / 0.5
    np.testing.assert_allclose(mean, rate / scaling, rtol=0.03)


def test_recurrent_current_has_the_mean_of_the_rate_equation():
    """A neuron that fires at a known rate sends w*rate/scaling: its target fires as with that constant current."""
    rates = RateNetwork(
        weights=[[0.0, 0.0], [20.0, 0.0]], input_weights=np.zeros((2, 1)), output_weights=np.eye(2), tau=100.0,
        step=5.0, bias=[6.0, 0.0],
    )  # fmt: skip
    run = simulate_spiking(transfer(rates, 50.0, QUIET), np.zeros((1, 300, 1)))
    late = run["spike_time"].values > 500
    first, second = np.bincount(run["spike_unit"].values[late]) / 1.0
    current = 20.0 * first / 50.0
    assert second == pytest.approx(1e3 / (2 + 10 * np.log((25 + current) / current)), rel=0.03)


def test_membrane_noise_has_its_standard_deviation():
    far = LIFParameters(sigma=1.5, baseline=-60.0)
    run = simulate_spiking(transfer(single_units(np.zeros(3)), 50.0, far), np.zeros((2, 40, 1)), seed=3)
    assert int(run["spike_count"].sum()) == 0
    near = LIFParameters(sigma=3.0, baseline=-46.0)
    noisy = simulate_spiking(transfer(single_units(np.zeros(50)), 50.0, near), np.zeros((4, 40, 1)), seed=3)
    assert int(noisy["spike_count"].sum()) > 20, "threshold two standard deviations away must be crossed"


def test_recorded_trace_is_what_the_readout_sees():
    source = make_rates()
    run = simulate_spiking(transfer(source, 40.0), make_inputs(3, 30), seed=1, record=(2, 0))
    assert run["trace"].shape == (2, 31, 20)
    expected = run["output"].values[[2, 0]] - source.output_bias
    np.testing.assert_allclose(run["trace"].values @ source.output_weights.T, expected, rtol=0, atol=1e-10)


def test_same_seed_gives_the_same_spikes():
    network, inputs = transfer(make_rates(), 40.0), make_inputs(2, 20)
    one, same, other = (simulate_spiking(network, inputs, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one["spike_time"], same["spike_time"])
    assert not np.array_equal(one["output"], other["output"])


@settings(max_examples=4)
@given(st.integers(1, 3), st.integers(2, 6), st.integers(1, 8))
def test_shapes(trials, units, steps):
    run = simulate_spiking(transfer(make_rates(units), 40.0), make_inputs(trials, steps))
    assert run["output"].shape == (trials, steps + 1, 3)
    assert run["spike_count"].shape == (trials, units)
    assert int(run["spike_count"].sum()) == run.sizes["spike"]


def test_search_scores_each_factor_as_a_run_of_its_own_does():
    """Without noise or spread of the starting potentials, a copy in a search is the network run alone."""
    rates, inputs = make_rates(tau=20.0, bias=np.full(20, 8.0)), make_inputs(2, 100)
    scores = scaling_search(
        rates, inputs, lambda outputs: outputs[:, 50:].mean(), scalings=(30.0, 60.0), parameters=QUIET
    )
    for scaling, score in scores.items():
        alone = simulate_spiking(transfer(rates, scaling, QUIET), inputs)["output"].values[:, 1:]
        assert score == pytest.approx(alone[:, 50:].mean(), abs=0.1)
    assert abs(scores[30.0] - scores[60.0]) > 0.2


def test_result_can_be_written(tmp_path):
    run = simulate_spiking(transfer(make_rates(), 40.0), make_inputs(1, 4), record=(0,))
    assert write_netcdf(run, tmp_path / "run.nc").stat().st_size > 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"step": 0.3}, "`step` is 0.3 ms; it must divide"),
        ({"step": 4.0}, "`step` is 4.0 ms; it must divide"),
        ({"step": 0.0}, "`step` is 0.0"),
        ({"seed": 1.5}, "`seed` is 1.5"),
        ({"device": "gpu"}, "`device` is 'gpu'"),
        ({"record": (2,)}, "trials are numbered from 0 to 1"),
    ],
)
def test_bad_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        simulate_spiking(transfer(make_rates(), 40.0), make_inputs(2, 3), **options)


def test_inputs_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match=r"`inputs` has the shape \(2, 3, 1\)"):
        simulate_spiking(transfer(make_rates(), 40.0), np.zeros((2, 3, 1)))


def test_search_needs_factors():
    with pytest.raises(ValueError, match="`scalings` is empty"):
        scaling_search(make_rates(), make_inputs(1, 2), np.mean, scalings=())


def test_refractory_period_bounds_the_rate():
    fast = LIFParameters(sigma=0.0, refractory=10 * ms)
    run = simulate_spiking(transfer(single_units(np.array([1e4])), 50.0, fast), np.zeros((1, 100, 1)))
    assert int(run["spike_count"][0, 0]) in (49, 50)
