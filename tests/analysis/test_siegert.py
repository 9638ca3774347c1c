"""Siegert's formula against limits, and the self-consistent rates of Brunel's panels."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neurocircuit.analysis.siegert import brunel_rates, siegert_rate
from neurocircuit.circuits.brunel import BRUNEL_PANELS, BrunelParameters

NEURON = {"tau_m": 20.0, "refractory": 2.0, "threshold": 20.0, "reset": 10.0}
# Solutions of Brunel (2000) eqs. 21 to 25 from an independent program; see the project's reference.
KNOWN = {"B": 55.84, "C": 37.95, "D": 6.52}


@pytest.mark.parametrize("panel", KNOWN)
def test_panels_have_their_known_rate(panel):
    (rate,) = brunel_rates(BRUNEL_PANELS[panel])
    assert rate == pytest.approx(KNOWN[panel], rel=1e-3)


def test_weak_inhibition_fires_near_the_refractory_limit():
    assert brunel_rates(BRUNEL_PANELS["A"])[-1] == pytest.approx(327, rel=2e-3)


@given(st.floats(21, 100))
def test_without_noise_it_is_the_rate_of_a_constant_current(mean):
    exact = 1e3 / (2.0 + 20.0 * np.log((mean - 10.0) / (mean - 20.0)))
    assert siegert_rate(mean, 1e-3, **NEURON) == pytest.approx(exact, rel=1e-3)


@given(st.floats(-50, 40), st.floats(0.5, 20), st.floats(0.1, 5))
def test_rate_rises_with_the_mean_and_stays_below_the_refractory_limit(mean, sd, more):
    low, high = siegert_rate(mean, sd, **NEURON), siegert_rate(mean + more, sd, **NEURON)
    assert 0 <= low <= high < 500
    assert low < high or high == 0 or low > 0


def test_rate_is_that_of_a_simulated_neuron(rng):
    """Euler-Maruyama of many neurons, with the threshold moved by the known discretisation error of a crossing."""
    mean, sd, h, neurons, steps = 18.0, 5.0, 0.02, 2000, 25_000
    correction = 0.5826 * sd * np.sqrt(h / NEURON["tau_m"])
    v = rng.uniform(10, 18, neurons)
    wait = np.zeros(neurons)
    spikes = 0
    for step in range(steps):
        moved = v + h / 20.0 * (mean - v) + sd * np.sqrt(h / 20.0) * rng.standard_normal(neurons)
        v = np.where(wait > 0, v, moved)
        wait -= h
        fired = v >= 20.0 - correction
        v[fired], wait[fired] = 10.0, 2.0
        spikes += fired.sum() if step >= steps // 5 else 0
    measured = spikes / neurons / (steps * 0.8 * h) * 1e3
    assert measured == pytest.approx(siegert_rate(mean, sd, **NEURON), rel=0.03)


def test_far_below_threshold_nothing_fires_and_nothing_overflows():
    assert siegert_rate(-1e6, 1.0, **NEURON) == 0.0
    assert siegert_rate(1e6, 1.0, **NEURON) == pytest.approx(500, rel=1e-3)


@settings(max_examples=20)
@given(st.floats(4.2, 8), st.floats(0.5, 4))
def test_every_root_reproduces_itself(g, external):
    parameters = BrunelParameters(g=g, external=external)
    roots = brunel_rates(parameters)
    for rate in roots:
        assert siegert_rate(*parameters.input_moments(rate), **NEURON) == pytest.approx(rate, rel=1e-6)


def test_weak_recurrent_inhibition_has_three_rates():
    """With g below 4 and little external input a silent, an unstable and a saturated state exist together."""
    roots = brunel_rates(BrunelParameters(g=2.0, external=0.8))
    assert len(roots) == 3
    assert roots[0] < 0.01
    assert roots[2] > 300


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sd": 0.0}, "`sd` is 0.0"),
        ({"sd": float("nan")}, "`sd` is nan; it must be finite"),
        ({"tau_m": -1.0}, "`tau_m` is -1.0"),
        ({"refractory": -1.0}, "`refractory` is -1.0"),
        ({"reset": 20.0}, "`reset` is 20.0; it must be below"),
    ],
)
def test_bad_values_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        siegert_rate(**{"mean": 15.0, "sd": 5.0, **NEURON, **change})


def test_lowest_rate_must_be_possible():
    with pytest.raises(ValueError, match="`lowest` is 0"):
        brunel_rates(BRUNEL_PANELS["C"], lowest=0.0)
