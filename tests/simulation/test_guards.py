"""The doors beside `simulate`: trajectory, crosscheck and systems with noise refuse what they cannot mean."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from brian2 import ms

from neurocircuit import Circuit, PoolSizes, SettlingWarning, crosscheck, mely_circuit, simulate, trajectory
from neurocircuit.connectivity import Box, Mixture, box_sum
from neurocircuit.equations import OdeSystem, ParameterSet, Symbol, from_float, parameter, to_float, unit_name

CIRCUIT = mely_circuit(4, sizes=PoolSizes(1, 3, 7))
DRIVE = torch.ones((1, 4, 9, 10), dtype=torch.float64)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"step": 1 * ms}, "`step`.*without a unit"),
        ({"step": -1.0}, "`step`"),
        ({"step": float("nan")}, "`step`"),
        ({"method": "leapfrog"}, "`method` is 'leapfrog'"),
        ({"update": "stagered"}, "`update` is 'stagered'"),
        ({"parameters": {"betta": torch.tensor(1.0)}}, r"`parameters` has \['betta'\]"),
        ({"start": {"h1": DRIVE}}, "`start`.*every state"),
        ({"start": {"h3": DRIVE}}, r"`start` has \['h3'\]"),
        ({"drive": DRIVE[0]}, "`drive`"),
        ({"drive": DRIVE[:, :3]}, "4 channels but the field has 3"),
        ({"drive": DRIVE[..., :3, :3]}, "pool_t"),
    ],
)
def test_trajectory_refuses_at_the_call_what_it_cannot_mean(changes, message):
    arguments = {"drive": DRIVE, "step": 1.0} | changes
    with pytest.raises((TypeError, ValueError), match=message):
        trajectory(CIRCUIT, arguments.pop("drive"), **arguments)


@pytest.mark.parametrize("tolerance", [0.0, -1.0, float("nan")])
def test_crosscheck_refuses_a_tolerance_that_nothing_can_exceed_or_meet(tolerance):
    with pytest.raises(ValueError, match="`tolerance`"):
        crosscheck(CIRCUIT, DRIVE.numpy(), ["torch", "numpy"], steps=2, tolerance=tolerance)


def test_crosscheck_refuses_a_sweep():
    with pytest.raises(ValueError, match="`parameter_sets`"):
        crosscheck(CIRCUIT, DRIVE.numpy(), ["torch", "numpy"], steps=2, parameter_sets=[CIRCUIT.parameters])


def test_the_cycle_warning_of_a_sweep_describes_the_run_that_cycles(rng):
    # The weak recurrence of the first set settles at any step; the published one cycles at 24 ms.
    calm = CIRCUIT.parameters.replace(gamma=0.0, delta=0.0)
    drive = rng.random((1, 4, 9, 10))
    with pytest.warns() as caught:
        simulate(CIRCUIT, drive, step=24 * ms, steps=60, parameter_sets=[calm, CIRCUIT.parameters])
    (message,) = [str(w.message) for w in caught if w.category is SettlingWarning]
    assert "in a cycle of" in message.split(":")[1]


def test_a_system_with_noise_is_refused_before_anything_runs():
    @dataclass(frozen=True, kw_only=True)
    class Parameters(ParameterSet):
        tau: object = parameter(5 * ms, latex="t", meaning="time constant", source="test", low=0, strictly_above=True)

    symbols = (Symbol("r", "state", "r", "rate"), Symbol("drive", "input", "L", "drive"), *Parameters.symbols())
    noisy = OdeSystem("noisy", "dr/dt = (drive - r)/tau + 0.1*xi/tau**0.5 : 1", symbols)
    for device in ("torch", "numpy"):
        with pytest.raises(ValueError, match="`circuit` noisy has a noise term"):
            simulate(Circuit(noisy, Parameters(), (), "none"), np.ones((1, 2, 2)), steps=2, device=device)


@pytest.mark.parametrize(("power", "name"), [(1, "ms"), (-1, "ms^-1"), (-0.5, "ms^-0.5"), (0, "")])
def test_any_power_of_time_converts_to_ms_and_back(power, name):
    value = 3.0 * ms**power if power else 3.0
    assert to_float(value) == pytest.approx(3.0, rel=1e-12)
    assert unit_name(value) == name
    assert to_float(from_float(2.5, value)) == pytest.approx(2.5, rel=1e-12)


def test_numpy_numbers_as_sizes_and_weights_run_on_brian(rng):
    drive = rng.random((1, 4, 9, 10))
    circuit = mely_circuit(4, sizes=PoolSizes(*np.array([1, 3, 7])))
    np.testing.assert_allclose(
        simulate(circuit, drive, steps=3, device="numpy").h2, simulate(CIRCUIT, drive, steps=3).h2, rtol=0, atol=1e-12
    )
    assert Mixture(((np.float64(0.5), Box(3)),)).as_kernel(2).sum() == pytest.approx(1.0)


@pytest.mark.parametrize(("size", "message"), [(4, "`size` is 4"), (0, "`size`"), (21, "reaches 10 pixels")])
def test_box_sum_refuses_a_size_it_cannot_sum(size, message):
    with pytest.raises(ValueError, match=message):
        box_sum(DRIVE, size, "zero")
