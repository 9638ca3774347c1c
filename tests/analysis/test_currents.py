"""Currents of either sign add up, balance is measured as defined, and the paradoxical effect is where theory has it."""

import numpy as np
import pytest

from neurocircuit.analysis.currents import ei_balance, ei_currents, paradoxical_effect
from neurocircuit.circuits.rate_network import RateNetwork


def pair(ee, ei, ie, ii, drive=(8.0, 1.0)):
    """One excitatory and one inhibitory rectified-linear unit."""
    return RateNetwork(
        weights=[[ee, -ei], [ie, -ii]],
        input_weights=[[1.0], [0.0]],
        output_weights=[[1.0, 0.0]],
        bias=list(drive),
        tau=[20.0, 10.0],
        step=1.0,
        activation="relu",
        excitatory=[True, False],
    )


def random_dale(rng, n=20):
    excitatory = np.arange(n) < 15
    return RateNetwork(
        weights=np.abs(rng.standard_normal((n, n))) * np.where(excitatory, 1, -3),
        input_weights=np.zeros((n, 1)),
        output_weights=np.zeros((1, n)),
        tau=20.0,
        step=1.0,
        excitatory=excitatory,
    )


def test_the_currents_are_of_one_sign_each_and_add_up_to_the_recurrent_current(rng):
    network, rates = random_dale(rng), rng.random((3, 7, 20))
    found = ei_currents(network, rates)
    np.testing.assert_allclose(found.excitatory + found.inhibitory, rates @ network.weights.T, atol=1e-12)
    assert (found.excitatory >= 0).all()
    assert (found.inhibitory <= 0).all()
    by_hand = sum(network.weights[2, j] * rates[1, 4, j] for j in range(15))
    assert found.excitatory[1, 4, 2].item() == pytest.approx(by_hand)


def test_balance_is_as_defined(rng):
    excitation = rng.random((5, 40, 3)) + 1
    scale, follow = np.array([1.0, 0.5, 0.9]), np.array([1.0, 1.0, 0.0])
    inhibition = -(scale * (follow * excitation + (1 - follow) * excitation.mean() * (0.5 + rng.random((5, 40, 3)))))
    found = ei_balance(
        ei_currents(random_dale(rng), np.zeros((5, 40, 20))).isel(unit=[0, 1, 2]).assign(
            excitatory=(("trial", "time", "unit"), excitation), inhibitory=(("trial", "time", "unit"), inhibition)
        )
    )  # fmt: skip
    np.testing.assert_allclose(found.residual[:2], [0, 0.5], atol=1e-12)
    np.testing.assert_allclose(found.tracking[:2], 1)
    np.testing.assert_allclose(found.gain[:2], [1, 0.5])
    assert abs(found.tracking[2]) < 0.25
    silent = ei_balance(ei_currents(random_dale(rng), np.zeros((2, 5, 20))))
    assert np.isnan(silent.residual).all()


def test_samples_before_the_start_do_not_count(rng):
    currents = ei_currents(random_dale(rng), rng.random((2, 30, 20)))
    np.testing.assert_allclose(
        ei_balance(currents, 10).tracking, ei_balance(currents.isel(time=slice(10, None))).tracking
    )
    with pytest.raises(ValueError, match="`start` is 30"):
        ei_balance(currents, 30)


@pytest.mark.parametrize(("ee", "paradoxical"), [(0.5, False), (0.9, False), (1.5, True), (2.0, True)])
def test_the_paradoxical_effect_begins_where_excitation_alone_would_run_away(ee, paradoxical):
    ei, ie, ii = 2.0, 2.0, 0.5
    found = paradoxical_effect(pair(ee, ei, ie, ii), amplitude=0.1)
    # Steady state: rates solve (1 - W) r = drive, as all units are above threshold.
    system = np.array([[1 - ee, ei], [-ie, 1 + ii]])
    for when, extra in (("before", 0.0), ("after", 0.1)):
        rates = np.linalg.solve(system, [8.0, 1.0 + extra])
        assert (rates > 0).all()
        assert found[f"excitatory_{when}"] == pytest.approx(rates[0], abs=1e-8)
        assert found[f"inhibitory_{when}"] == pytest.approx(rates[1], abs=1e-8)
    assert found["paradoxical"] == paradoxical
    assert found["drift"] < 1e-8
    assert paradoxical_effect(pair(ee, ei, ie, ii), amplitude=-0.1)["paradoxical"] == paradoxical


def test_the_held_input_counts():
    found = paradoxical_effect(pair(0.5, 2.0, 2.0, 0.5), [1.0])
    rates = np.linalg.solve([[0.5, 2.0], [-2.0, 1.5]], [9.0, 1.0])
    assert found["excitatory_before"] == pytest.approx(rates[0], abs=1e-8)


def test_wrong_arguments_are_refused(rng):
    network = pair(0.5, 2.0, 2.0, 0.5)
    with pytest.raises(ValueError, match="not both excitatory and inhibitory"):
        ei_currents(network.replace(excitatory=None), np.zeros((1, 2, 2)))
    with pytest.raises(ValueError, match="not both excitatory and inhibitory"):
        paradoxical_effect(network.replace(weights=[[1.0, 0.0], [1.0, 0.0]], excitatory=[True, True]))
    with pytest.raises(ValueError, match=r"`rates` has the shape \(1, 2, 3\)"):
        ei_currents(network, np.zeros((1, 2, 3)))
    for change in ({"amplitude": 0.0}, {"amplitude": np.nan}, {"settle": 5.0}, {"settle": np.inf}):
        with pytest.raises(ValueError, match="`amplitude` is"):
            paradoxical_effect(network, **change)
    with pytest.raises(ValueError, match="`inputs` has the shape"):
        paradoxical_effect(network, [1.0, 2.0])
