"""The generated torch step is the scheme it is named after, and the one Brian2 runs."""

import brian2
import numpy as np
import pytest
import torch
from brian2 import ms, second

from neurocircuit.equations import METHODS, OdeSystem, Symbol, compile_rhs, compile_step, step_text

X, Y = Symbol("x", "state", "X", "first state"), Symbol("y", "state", "Y", "second state")
DRIVE = Symbol("drive", "input", "L", "the input")
TAU = Symbol("tau", "parameter", r"\tau", "time constant of x", unit=second)
THETA = Symbol("theta", "parameter", r"\theta", "time constant of y", unit=second)
GAIN = Symbol("gain", "parameter", "g", "gain")
SIGMA = Symbol("sigma", "parameter", r"\sigma", "size of the noise")

# Each equation is linear in its own state, which is what exponential Euler asks for, but not in the other's.
PAIR = OdeSystem(
    "pair",
    "dx/dt = (-x*(1 + abs(y)) + tanh(gain*y) + drive)/tau : 1\ndy/dt = (-y + rectify(x - 0.2)**2)/theta : 1",
    (X, Y, DRIVE, GAIN, TAU, THETA),
)
DECAY = OdeSystem("decay", "dx/dt = -x/tau : 1", (X, TAU))
NOISE = OdeSystem("noise", "dx/dt = (drive - x)/tau + sigma*sqrt(2/tau)*xi : 1", (X, DRIVE, SIGMA, TAU))


def doubles(**values):
    return {name: torch.as_tensor(value, dtype=torch.float64) for name, value in values.items()}


def pair_values(rng, count=20):
    fields = {name: rng.standard_normal(count) for name in ("x", "y", "drive")}
    return fields, {"gain": 1.7, "tau": 5.0, "theta": 3.0}


@pytest.mark.parametrize("method", METHODS)
def test_the_step_is_the_one_brian2_runs(method, rng):
    fields, constants = pair_values(rng)
    group = brian2.NeuronGroup(20, PAIR.brian(), method=method, namespace=PAIR.namespace(), dt=0.5 * ms, name="pair*")
    for name, value in fields.items():
        setattr(group, name, value)
    group.gain, group.tau, group.theta = constants["gain"], constants["tau"] * ms, constants["theta"] * ms
    # A monitor at the end of a step holds the states after it.
    monitor = brian2.StateMonitor(group, ("x", "y"), record=True, when="end", name="pair_monitor*")
    before = brian2.prefs.codegen.target
    brian2.prefs.codegen.target = "numpy"
    try:
        brian2.Network(group, monitor).run(15 * ms, namespace={})
    finally:
        brian2.prefs.codegen.target = before
    step = compile_step(PAIR, method)
    values = doubles(**fields, **constants)
    for count in range(30):
        values.update(step(values, torch.tensor(0.5, dtype=torch.float64)))
        for name in ("x", "y"):
            np.testing.assert_allclose(values[name].numpy(), getattr(monitor, name)[:, count], rtol=0, atol=1e-14)


def right_hand_side(x, y, drive, gain, tau, theta):
    return (
        (-x * (1 + np.abs(y)) + np.tanh(gain * y) + drive) / tau,
        (-y + np.maximum(x - 0.2, 0) ** 2) / theta,
    )


def textbook_step(method, x, y, h, *rest):
    def f(x, y):
        return right_hand_side(x, y, *rest)

    k1 = f(x, y)
    if method == "euler":
        return x + h * k1[0], y + h * k1[1]
    k2 = f(x + h / 2 * k1[0], y + h / 2 * k1[1])
    if method == "rk2":
        return x + h * k2[0], y + h * k2[1]
    k3 = f(x + h / 2 * k2[0], y + h / 2 * k2[1])
    k4 = f(x + h * k3[0], y + h * k3[1])
    return tuple(s + h / 6 * (a + 2 * b + 2 * c + d) for s, a, b, c, d in zip((x, y), k1, k2, k3, k4, strict=True))


@pytest.mark.parametrize("method", ["euler", "rk2", "rk4"])
def test_the_step_is_the_textbooks(method, rng):
    fields, constants = pair_values(rng)
    expected = textbook_step(method, fields["x"], fields["y"], 0.5, fields["drive"], *constants.values())
    found = compile_step(PAIR, method)(doubles(**fields, **constants), torch.tensor(0.5, dtype=torch.float64))
    np.testing.assert_allclose(found["x"].numpy(), expected[0], rtol=0, atol=1e-14)
    np.testing.assert_allclose(found["y"].numpy(), expected[1], rtol=0, atol=1e-14)


def test_the_right_hand_side_is_the_text(rng):
    fields, constants = pair_values(rng)
    expected = right_hand_side(fields["x"], fields["y"], fields["drive"], *constants.values())
    found = compile_rhs(PAIR)(doubles(**fields, **constants))
    np.testing.assert_allclose(found["x"].numpy(), expected[0], rtol=1e-14)
    np.testing.assert_allclose(found["y"].numpy(), expected[1], rtol=1e-14)


@pytest.mark.parametrize(("method", "order"), [("euler", 1), ("heun", 1), ("rk2", 2), ("rk4", 4)])
def test_order_of_convergence_on_a_decay(method, order):
    # Brian2's heun is the stochastic scheme: it corrects the noise only, so without noise it is Euler's.
    step, tau, errors = compile_step(DECAY, method), 5.0, []
    for h in (1.0, 0.5, 0.25):
        values = doubles(x=1.0, tau=tau)
        for _ in range(round(20 / h)):
            values.update(step(values, torch.tensor(h, dtype=torch.float64)))
        errors.append(abs(values["x"].item() - np.exp(-20 / tau)))
    assert np.log2(errors[0] / errors[1]) == pytest.approx(order, abs=0.2)
    assert np.log2(errors[1] / errors[2]) == pytest.approx(order, abs=0.2)


def test_exponential_euler_is_exact_on_a_decay():
    step = compile_step(DECAY, "exponential_euler")
    values = doubles(x=1.0, tau=5.0)
    for _ in range(4):
        values.update(step(values, torch.tensor(5.0, dtype=torch.float64)))
    assert values["x"].item() == pytest.approx(np.exp(-4), rel=1e-14)


@pytest.mark.parametrize("method", METHODS)
def test_the_step_is_differentiable(method, rng):
    step = compile_step(PAIR, method)
    names = ("x", "y", "drive", "gain", "tau", "theta")
    # Away from the corners of abs and rectify, where finite differences mean nothing.
    inputs = [torch.tensor(v, dtype=torch.float64, requires_grad=True) for v in ([0.9, -0.5], [0.6, -0.8], [0.4, 1.1])]
    inputs += [torch.tensor(v, dtype=torch.float64, requires_grad=True) for v in (1.7, 5.0, 3.0)]
    h = torch.tensor(0.5, dtype=torch.float64)

    def function(*values):
        return tuple(step(dict(zip(names, values, strict=True)), h).values())

    assert torch.autograd.gradcheck(function, inputs, atol=1e-8)


def test_the_step_changes_nothing_it_is_given():
    values = doubles(x=[1.0, 2.0], tau=5.0)
    copy = {name: value.clone() for name, value in values.items()}
    compile_step(DECAY)(values, torch.tensor(1.0, dtype=torch.float64))
    assert set(values) == set(copy)
    assert all(torch.equal(values[name], copy[name]) for name in copy)


def test_noise_enters_as_an_argument(rng):
    x, noise, tau, sigma, drive, h = rng.standard_normal(50), rng.standard_normal(50), 5.0, 0.7, 0.3, 0.5
    values = doubles(x=x, tau=tau, sigma=sigma, drive=drive)
    found = compile_step(NOISE)(values, torch.tensor(h, dtype=torch.float64), {"xi": torch.as_tensor(noise)})
    expected = x + h * (drive - x) / tau + sigma * np.sqrt(2 / tau) * np.sqrt(h) * noise
    np.testing.assert_allclose(found["x"].numpy(), expected, rtol=0, atol=1e-15)


def test_the_noise_gives_the_stationary_variance_of_its_scheme():
    tau, sigma, h, count = 5.0, 0.7, 0.5, 20_000
    generator = torch.Generator().manual_seed(3)
    step, values = compile_step(NOISE), doubles(x=np.zeros(count), tau=tau, sigma=sigma, drive=0.3)
    for _ in range(100):
        noise = torch.randn(count, generator=generator, dtype=torch.float64)
        values.update(step(values, torch.tensor(h, dtype=torch.float64), {"xi": noise}))
    variance = sigma**2 / (1 - h / (2 * tau))
    # A sample variance of n normal numbers has the relative standard deviation sqrt(2/n), here 1 %.
    assert values["x"].var().item() == pytest.approx(variance, rel=0.04)
    assert values["x"].mean().item() == pytest.approx(0.3, abs=4 * sigma / np.sqrt(count) + 1e-3)


@pytest.mark.parametrize("noise", [None, {}, {"xi_2": torch.zeros(1)}, {"xi": torch.zeros(1), "eta": torch.zeros(1)}])
def test_missing_or_wrong_noise_is_refused(noise):
    values = doubles(x=[0.0], tau=5.0, sigma=1.0, drive=0.0)
    with pytest.raises(ValueError, match=r"`noise` has .* needs standard-normal numbers for \['xi'\]"):
        compile_step(NOISE)(values, torch.tensor(0.5), noise)


def test_noise_for_a_system_without_any_is_refused():
    with pytest.raises(ValueError, match=r"`noise` has \['xi'\]; decay needs standard-normal numbers for \[\]"):
        compile_step(DECAY)(doubles(x=[0.0], tau=5.0), torch.tensor(0.5), {"xi": torch.zeros(1)})


def test_a_noisy_system_has_no_right_hand_side():
    with pytest.raises(ValueError, match="`system` noise has a noise term"):
        compile_rhs(NOISE)


def test_an_unknown_method_is_refused():
    with pytest.raises(ValueError, match="`method` is 'leapfrog'; it must be one of euler, rk2"):
        compile_step(PAIR, "leapfrog")


@pytest.mark.parametrize("method", ["rk2", "rk4", "exponential_euler"])
def test_a_method_that_does_not_fit_the_equations_is_refused(method):
    with pytest.raises(ValueError, match=f"`method` is '{method}', which cannot integrate noise"):
        step_text(NOISE, method)


def test_exponential_euler_is_refused_where_a_state_enters_its_own_equation_nonlinearly():
    square = OdeSystem("square", "dx/dt = -x**2/tau : 1", (X, TAU))
    with pytest.raises(ValueError, match="which cannot integrate square"):
        step_text(square, "exponential_euler")
