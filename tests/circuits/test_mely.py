"""The circuits have their published values, and refuse values that make no sense."""

import dataclasses

import numpy as np
import pytest
import torch
from brian2 import ms, second, volt

from neurocircuit.circuits import (
    PRESETS,
    Circuit,
    MelyParameters,
    Pool,
    PoolSizes,
    TwoPoolParameters,
    default_excitation,
    default_inhibition,
    mely_circuit,
    two_pool_circuit,
)
from neurocircuit.connectivity import Annulus, Box, circulant_gaussian, discontinuous, uniform_channels

#: What all four published sets share (see the references of `mely_circuit`).
SHARED = {
    "drive_gain": 4.5,
    "alpha": 1,
    "mu": 1,
    "gamma": 1,
    "delta": 1,
    "epsilon": 0.5,
    "sigma": 0.5,
    "eta": 6,
    "tau": 6,
}


@pytest.mark.parametrize(
    ("preset", "beta", "nu", "zeta", "sizes"),
    [
        ("code", 3, 0.3, 0, (1, 9, 29)),
        ("archived", 4.5, 0.45, 0, (1, 9, 29)),
        ("v2", 4.5, 0.45, 0, (3, 9, 21)),
        ("ucircuits", 3, 0.3, 1, (1, 9, 29)),
    ],
)
def test_the_presets_have_the_published_values(preset, beta, nu, zeta, sizes):
    assert PRESETS[preset].parameters.as_floats() == pytest.approx({**SHARED, "beta": beta, "nu": nu, "zeta": zeta})
    assert dataclasses.astuple(PRESETS[preset].sizes) == sizes
    circuit = mely_circuit(25, preset)
    assert circuit.parameters == PRESETS[preset].parameters
    kernels = {pool.name: (pool.source, pool.kernel) for pool in circuit.pools}
    centre, near, far = sizes
    assert kernels == {
        "pool_u": ("h2", uniform_channels(25)),
        "pool_t": ("h2", Annulus(near, far)),
        "pool_p": ("h1", Annulus(centre, near)),
        "pool_q": ("h1", circulant_gaussian(25, 0.15)),
    }


def test_there_are_four_presets_each_with_its_source():
    assert set(PRESETS) == {"code", "archived", "v2", "ucircuits"}
    assert all(preset.source for preset in PRESETS.values())


def test_the_default_preset_is_the_authors_code():
    assert mely_circuit(5) == mely_circuit(5, "code")


def test_options_reach_the_pools():
    circuit = mely_circuit(6, sizes=PoolSizes(3, 5, 9), omega=0.3, continuous=False, boundary="reflect", beta=2.0)
    kernels = {pool.name: pool.kernel for pool in circuit.pools}
    assert kernels["pool_t"] == Annulus(5, 9, "reflect")
    assert kernels["pool_p"] == Annulus(3, 5, "reflect")
    assert kernels["pool_q"] == discontinuous(6, 0.3)
    assert circuit.parameters.as_floats()["beta"] == 2.0


@pytest.mark.parametrize("name", ["T", "t", "pool_t", "POOL_T"])
def test_a_lesion_removes_one_pool_by_any_of_its_names(name):
    circuit = mely_circuit(4)
    lesioned = circuit.lesioned(name)
    assert {pool.name for pool in lesioned.pools if pool.kernel is None} == {"pool_t"}
    assert all(pool.kernel is not None for pool in circuit.pools)
    field = torch.ones(1, 4, 30, 30, dtype=torch.float64)
    pools = lesioned.pool_function()({"h1": field, "h2": field})
    assert pools["pool_t"].abs().max() == 0
    assert all(pools[other].max() > 0 for other in ("pool_u", "pool_p", "pool_q"))


def test_several_pools_can_be_lesioned():
    removed = {pool.name for pool in mely_circuit(4).lesioned("U", "q").pools if pool.kernel is None}
    assert removed == {"pool_u", "pool_q"}


@pytest.mark.parametrize("name", ["Z", "pool_z", "", "TU"])
def test_an_unknown_lesion_is_refused(name):
    with pytest.raises(ValueError, match=f"`lesion` is {name}; mely has the pools U, T, P, Q"):
        mely_circuit(4).lesioned(name)


def test_an_unknown_preset_is_refused():
    with pytest.raises(ValueError, match="`preset` is 'paper'; it must be one of code, archived, v2, ucircuits"):
        mely_circuit(4, "paper")


def test_with_parameters_changes_a_copy():
    circuit = mely_circuit(4)
    changed = circuit.with_parameters(beta=1.5, eta=12 * ms)
    assert changed.parameters.as_floats() == pytest.approx({**circuit.parameters.as_floats(), "beta": 1.5, "eta": 12})
    assert circuit.parameters.as_floats()["beta"] == 3
    assert changed.pools == circuit.pools


@pytest.mark.parametrize("thing", [MelyParameters(), PoolSizes(), mely_circuit(4), mely_circuit(4).pools[0]])
def test_circuits_and_their_parts_are_frozen(thing):
    name = dataclasses.fields(thing)[0].name
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(thing, name, 0)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"alpha": float("nan")}, ValueError, "`alpha` is nan; it must be finite"),
        ({"beta": float("inf")}, ValueError, "`beta` is inf; it must be finite"),
        ({"eta": float("inf") * ms}, ValueError, "`eta` is .*; it must be finite"),
        ({"eta": float("nan") * ms}, ValueError, "`eta` is .*; it must be finite"),
        ({"tau": -6 * ms}, ValueError, "`tau` is .*; it must be greater than 0 ms"),
        ({"eta": 0 * ms}, ValueError, "`eta` is .*; it must be greater than 0 ms"),
        ({"tau": 6}, ValueError, r"`tau` is 6; it must be a quantity in units of time, such as 6\*ms"),
        ({"tau": 6 * volt}, ValueError, "`tau` is .*; it must be a quantity in units of time"),
        ({"gamma": 1 * ms}, ValueError, "`gamma` is .*; it must be a number without unit"),
        ({"epsilon": -0.5}, ValueError, "`epsilon` is -0.5; it must be at least 0"),
        ({"sigma": -0.1}, ValueError, "`sigma` is -0.1; it must be at least 0"),
        ({"mu": [1.0, 2.0]}, TypeError, "`mu` is .*; it must be one number"),
        ({"mu": np.ones(1)}, TypeError, "`mu` is .*; it must be one number"),
        ({"nu": "0.3"}, TypeError, "`nu` is '0.3'; it must be one number"),
        ({"nu": None}, TypeError, "`nu` is None; it must be one number"),
        ({"zeta": True}, TypeError, "`zeta` is True; it must be one number"),
        ({"delta": 1j}, TypeError, "`delta` is .*; it must be one number"),
        ({"kappa": 1}, ValueError, "`kappa` is not a parameter of MelyParameters; it has drive_gain, alpha"),
    ],
)
def test_bad_parameters_are_refused_by_name(change, error, message):
    with pytest.raises(error, match=message):
        mely_circuit(4, **change)
    if "kappa" not in change:
        with pytest.raises(error, match=message):
            MelyParameters(**change)


@pytest.mark.parametrize("sizes", [(1, 9, 9), (9, 9, 29), (9, 1, 29), (1, 29, 9), (11, 9, 29), (3, 1, 5)])
def test_pool_sizes_must_be_nested(sizes):
    message = "`sizes` are centre {}, near {} and far {} pixels; each must be larger".format(*sizes)
    with pytest.raises(ValueError, match=message):
        PoolSizes(*sizes)


@pytest.mark.parametrize(
    ("sizes", "error"),
    [((1, 8, 29), ValueError), ((2, 9, 29), ValueError), ((1, 9, 28), ValueError), ((1, 9.0, 29), TypeError)],
)
def test_pool_sizes_must_be_odd_whole_numbers(sizes, error):
    with pytest.raises(error, match="it must be an odd"):
        PoolSizes(*sizes)


def test_a_negative_or_zero_pool_size_is_refused():
    for sizes in ((-1, 9, 29), (0, 9, 29), (1, -9, 29)):
        with pytest.raises(ValueError, match=r"odd number of pixels, at least 1|each must be larger"):
            PoolSizes(*sizes)


def test_pools_and_parameters_must_match_the_equations():
    circuit = mely_circuit(4)
    with pytest.raises(ValueError, match=r"`pools` has .*; the equations need"):
        dataclasses.replace(circuit, pools=circuit.pools[:3])
    with pytest.raises(ValueError, match=r"`parameters` has .*; the equations need"):
        dataclasses.replace(circuit, parameters=TwoPoolParameters())
    with pytest.raises(ValueError, match="pool `pool_q` sums `h3`, which is not a state of mely"):
        dataclasses.replace(circuit, pools=(*circuit.pools[:3], Pool("pool_q", "h3", Box(3))))


def test_the_leak_cancelling_step_is_eta_over_epsilon_squared():
    circuit = mely_circuit(4)
    assert circuit.leak_cancelling_step(circuit.parameters) / ms == pytest.approx(24)
    changed = MelyParameters(eta=0.01 * second, epsilon=0.2)
    assert circuit.leak_cancelling_step(changed) / ms == pytest.approx(250)
    assert np.isinf(circuit.leak_cancelling_step(MelyParameters(epsilon=0.0)) / ms)


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("build", [default_inhibition, default_excitation])
def test_the_default_kernels_of_the_two_pools_sum_to_one_and_say_whose_they_are(build, preset):
    kernel = build(7, preset)
    np.testing.assert_allclose(kernel.as_kernel(7).sum(axis=(1, 2, 3)), 1, rtol=1e-13)
    assert "not a published kernel" in build.__doc__


def test_the_default_inhibition_is_u_plus_beta_t():
    weights = default_inhibition(5).as_kernel(5)
    untuned, tuned = weights[0, 1, 14, 14], weights[0, 0, 0, 0]
    assert untuned * 5 == pytest.approx(1 / 4)
    assert tuned * (29**2 - 9**2) == pytest.approx(3 / 4)


def test_the_two_pool_circuit_takes_any_kernels_and_values():
    circuit = two_pool_circuit(default_inhibition(5), default_excitation(5), gamma=2.0)
    assert isinstance(circuit, Circuit)
    assert circuit.parameters.as_floats()["gamma"] == 2.0
    assert {pool.source for pool in circuit.pools} == {"h1", "h2"}
    with pytest.raises(ValueError, match="`beta` is not a parameter of TwoPoolParameters"):
        two_pool_circuit(Box(3), Box(3), beta=1.0)
    with pytest.raises(ValueError, match="`lesion` is T; mely_two_pool has the pools C1, C2"):
        circuit.lesioned("T")
