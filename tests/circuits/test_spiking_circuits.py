"""The equations and parameters of spiking neurons, and the transfer of a rate network."""

import numpy as np
import pytest
from brian2 import ms
from hypothesis import given
from hypothesis import strategies as st

from neurocircuit.circuits.rate_network import RateNetwork
from neurocircuit.circuits.spiking import LIF, LIFParameters, transfer
from neurocircuit.equations import equations_latex


def make_rates(**changes):
    values = {
        "weights": [[0.0, -2.0], [1.0, 0.0]],
        "input_weights": [[1.0], [0.5]],
        "output_weights": [[1.0, 0.0]],
        "tau": [20.0, 100.0],
        "step": 5.0,
        "excitatory": [True, False],
    }
    return RateNetwork(**{**values, **changes})


@given(st.floats(1, 500))
def test_weights_are_divided_by_the_scaling_factor(scaling):
    network = transfer(make_rates(), scaling)
    np.testing.assert_allclose(network.weights * scaling * 1e-3, network.source.weights)
    assert network.per_ms == pytest.approx(scaling / 1e3)


def test_published_parameters():
    values = LIFParameters().as_floats()
    assert (values["tau_m"], values["tau_rise"], values["refractory"]) == (10, 2, 2)
    assert (values["threshold"], values["reset"], values["baseline"]) == (-40, -65, -40)
    # The published code adds normal numbers over 10 to the potential in every step of 0.05 ms.
    assert values["sigma"] * np.sqrt(2 * 0.05 / values["tau_m"]) == pytest.approx(0.1)


def test_equations_are_typeset():
    assert r"\tau_m" in equations_latex(LIF)


@pytest.mark.parametrize("changes", [{"activation": "relu"}, {"form": "rate"}])
def test_only_sigmoid_networks_in_the_current_form_transfer(changes):
    with pytest.raises(ValueError, match="form='current' and activation='sigmoid'"):
        transfer(make_rates(**changes), 50.0)
    with pytest.raises(ValueError, match="form='current' and activation='sigmoid'"):
        transfer(make_rates(), 50.0).replace(source=make_rates(**changes))


@pytest.mark.parametrize("scaling", [0.0, -5.0, float("nan"), float("inf"), True])
def test_scaling_factor_must_be_a_rate(scaling):
    with pytest.raises(ValueError, match="`scaling` is"):
        transfer(make_rates(), scaling)
    with pytest.raises(ValueError, match="`scaling` is"):
        transfer(make_rates(), 50.0).replace(scaling=scaling)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"reset": -40.0}, "`reset` is -40.0; it must be below"),
        ({"tau_rise": 0 * ms}, "`tau_rise`"),
        ({"sigma": -1.0}, "`sigma`"),
    ],
)
def test_bad_parameters_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        LIFParameters(**change)
