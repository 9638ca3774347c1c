"""Every line of the derivation equals what the library computes from the circuit's equation text."""

from itertools import islice

import numpy as np
import pytest
import torch
from brian2 import ms
from hypothesis import given, settings
from hypothesis import strategies as st

from neurocircuit import mely_circuit, simulate, two_pool_circuit
from neurocircuit.circuits.derivation import LINKS, Link, check_links, hgru_step, make_setting, shunt_from_h2
from neurocircuit.connectivity import Annulus, Mixture, circulant_gaussian, gaussian, uniform_channels
from neurocircuit.simulation import trajectory

TOLERANCE = 1e-10
NAMES = [link.name for link in LINKS]
#: Links that say something other than the line before them.
CHANGES = {"staggered", "H1 instantaneous", "shunt"}


def circuit(channels=4, boundary="zero", **changes):
    inhibition = Mixture(((0.25, uniform_channels(channels)), (0.75, Annulus(3, 7, boundary))))
    excitation = Mixture(((0.5, Annulus(1, 3, boundary)), (0.5, circulant_gaussian(channels, 0.15))))
    return two_pool_circuit(inhibition, excitation, **changes)


def fields(rng, shape=(2, 4, 9, 10)):
    drive, h1, h2 = torch.from_numpy(rng.random((3, *shape)))
    return drive, {"h1": h1, "h2": h2}


@pytest.mark.parametrize("name", NAMES)
def test_both_sides_of_every_link_agree(name, rng):
    setting = make_setting(circuit(gamma=0.7, alpha=1.3, mu=0.4), *fields(rng), step=1.0)
    link = LINKS[NAMES.index(name)]
    assert link.difference(setting) <= TOLERANCE
    departure = link.departure(setting)
    if name in CHANGES:
        assert departure > 1e-3
    else:
        assert departure == 0


@settings(max_examples=25)
@given(
    seed=st.integers(0, 2**16),
    channels=st.integers(2, 5),
    height=st.integers(8, 11),
    width=st.integers(8, 11),
    gains=st.tuples(*4 * [st.floats(-3, 3)]),
    epsilon=st.floats(0.2, 2.0),
    eta=st.floats(1.0, 30.0),
    step=st.floats(0.01, 20.0),
)
def test_the_links_hold_for_any_parameters_field_and_step(seed, channels, height, width, gains, epsilon, eta, step):
    rng = np.random.default_rng(seed)
    names = ("drive_gain", "alpha", "mu", "gamma")
    # A leak of H2 that is not that of H1, cancelled by the same step.
    changes = {**dict(zip(names, gains, strict=True)), "epsilon": epsilon, "eta": eta * ms}
    chosen = circuit(channels, sigma=2 * epsilon, tau=4 * eta * ms, **changes)
    setting = make_setting(chosen, *fields(rng, (1, channels, height, width)), step=step)
    for found in check_links(setting):
        # Rounding grows with the values: up to (gains / epsilon**2)**2 times the fields.
        assert found.difference <= TOLERANCE * (1 + 1 / epsilon**4), found.name


def test_a_wrong_line_does_not_pass(rng):
    # The shunted recurrence against the circuit's own, and the simultaneous one against the staggered.
    setting = make_setting(circuit(), *fields(rng))
    sides = {link.name: link.sides(setting) for link in LINKS}
    wrong = Link("wrong", "", lambda _: (sides["staggered"][0], sides["shunt"][1]))
    assert wrong.difference(setting) > 0.1
    wrong = Link("wrong", "", lambda _: (sides["h = eta/epsilon**2"][0], sides["staggered"][1]))
    assert wrong.difference(setting) > 0.1


@pytest.mark.parametrize(("link", "update"), [("h = eta/epsilon**2", "simultaneous"), ("staggered", "staggered")])
def test_the_recurrent_line_is_the_step_that_simulations_take(link, update, rng):
    drive, states = fields(rng)
    setting = make_setting(circuit(), drive, states)
    taken = trajectory(circuit(), drive, step=setting.leak_cancelling_step, start=states, update=update)
    compiled, written = LINKS[NAMES.index(link)].sides(setting)
    after = next(islice(taken, 1, None))
    for name, one, other in zip(("h1", "h2"), compiled, written, strict=True):
        torch.testing.assert_close(after[name], one, rtol=0, atol=0)
        torch.testing.assert_close(after[name], other, rtol=0, atol=TOLERANCE)


def test_without_the_shunt_it_does_not_matter_which_state_is_shunted(rng):
    setting = make_setting(circuit(alpha=0.0), *fields(rng))
    assert LINKS[NAMES.index("shunt")].departure(setting) == 0


def test_a_circuit_with_the_shunt_from_h2_runs_on_both_devices(rng):
    moved, drive = shunt_from_h2(circuit()), rng.random((4, 9, 10))
    runs = [simulate(moved, drive, steps=20, device=device, update="staggered") for device in ("torch", "numpy")]
    unmoved = simulate(circuit(), drive, steps=20, update="staggered")
    for name in ("h1", "h2"):
        np.testing.assert_allclose(runs[0][name], runs[1][name], rtol=0, atol=TOLERANCE)
        assert np.abs(runs[0][name] - unmoved[name]).max() > 1e-3


def test_the_full_step_is_the_papers_equations_on_one_unit():
    x, h2, w, g1, g2 = 0.8, 0.3, 0.6, 0.2, 0.7
    alpha, mu, kappa, beta, omega = 0.5, 0.4, 0.9, 1.1, -0.3
    c1 = w * g1 * h2
    h1 = np.tanh(x - c1 * (alpha * h2 + mu))
    c2 = w * h1
    expected = 1.3 * ((1 - g2) * h2 + g2 * np.tanh(kappa * h1 + beta * c2 + omega * h1 * c2))

    def one(value):
        return torch.full((1, 1, 1, 1), value, dtype=torch.float64)

    found = hgru_step(
        one(x),
        one(h2),
        inhibition=lambda field: w * field,
        excitation=lambda field: w * field,
        alpha=one(alpha),
        mu=one(mu),
        kappa=one(kappa),
        beta=one(beta),
        omega=one(omega),
        gain_gate=lambda _: one(g1),
        mix_gate=lambda _: one(g2),
        time_gain=1.3,
    )
    assert found.h1.item() == pytest.approx(h1, rel=1e-14)
    assert found.h2.item() == pytest.approx(expected, rel=1e-14)


def test_every_link_says_in_one_sentence_what_changed():
    assert len(set(NAMES)) == len(NAMES)
    for link in LINKS:
        assert link.change[0].isalpha()
        assert link.change.endswith(".")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"epsilon": 0.0}, r"epsilon\*\*2/eta = 0 .* needs them equal"),
        ({"tau": 7 * ms}, "`circuit` has .* needs them equal and above 0"),
    ],
)
def test_leaks_that_no_single_step_cancels_are_refused(changes, message, rng):
    with pytest.raises(ValueError, match=message):
        make_setting(circuit(**changes), *fields(rng))


def test_bad_input_is_refused_by_name(rng):
    drive, states = fields(rng)
    for bad in (mely_circuit(4), shunt_from_h2(circuit())):
        with pytest.raises(ValueError, match=r"`circuit` is mely.*two_pool_circuit"):
            make_setting(bad, drive, states)
        with pytest.raises(ValueError, match=r"`circuit` is mely.*two_pool_circuit"):
            shunt_from_h2(bad)
    with pytest.raises(ValueError, match=r"`states\['h2'\]` is torch.float64 of shape \(2, 4, 9, 9\)"):
        make_setting(circuit(), drive, {**states, "h2": states["h2"][..., :9]})
    with pytest.raises(ValueError, match=r"`drive` is torch.float32"):
        make_setting(circuit(), drive.float(), states)
    with pytest.raises(ValueError, match="`step` is 0"):
        make_setting(circuit(), drive, states, step=0)
    with pytest.raises(ValueError, match="channels"):
        make_setting(two_pool_circuit(uniform_channels(3), gaussian(4, 3, 1.0)), drive, states)
