"""Brunel's parameters, and the moments of the input."""

import numpy as np
import pytest
from brian2 import ms

from neurocircuit.circuits.brunel import BRUNEL_PANELS, SMALL_BRUNEL, BrunelParameters


def test_threshold_rate_is_the_published_one():
    assert BrunelParameters().threshold_rate == pytest.approx(10.0)
    assert BRUNEL_PANELS["D"].external_rate == pytest.approx(9.0)


def test_external_input_alone_at_threshold_rate_brings_the_mean_to_threshold():
    assert BrunelParameters(external=1.0).input_moments(0.0).mean == pytest.approx(20.0)


def test_moments_are_those_of_poisson_inputs(rng):
    """Mean and variance of the shot noise of the membrane without threshold, counted in bins."""
    parameters = BrunelParameters(g=4.5, external=0.9)
    rate, h, steps = 20.0, 1e-4, 200_000
    exc = rng.poisson(1000 * (parameters.external_rate + rate) * h, steps) * 0.1
    inh = rng.poisson(250 * rate * h, steps) * 0.1 * 4.5
    moments = parameters.input_moments(rate)
    per_tau = (exc - inh).reshape(-1, 200).sum(axis=1)  # the input of one time constant, 20 ms
    assert per_tau.mean() == pytest.approx(moments.mean, rel=0.02)
    assert per_tau.std() == pytest.approx(moments.sd, rel=0.05)


def test_small_network_keeps_the_mean_and_changes_the_spread():
    for parameters in BRUNEL_PANELS.values():
        small = parameters.replace(**SMALL_BRUNEL)
        assert small.input_moments(30.0).mean == pytest.approx(parameters.input_moments(30.0).mean)
        assert small.input_moments(30.0).sd == pytest.approx(np.sqrt(10) * parameters.input_moments(30.0).sd)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"n_exc": 100.5}, "`n_exc` is 100.5; it counts neurons"),
        ({"in_exc": 20_000}, "`in_exc` is 20000, more than the 10000 neurons"),
        ({"reset": 30.0}, "`reset` is 30.0; it must be below"),
        ({"tau_m": 0 * ms}, "`tau_m`"),
        ({"external": 0.0}, "`external`"),
        ({"g": -1.0}, "`g`"),
    ],
)
def test_bad_values_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        BrunelParameters(**change)
