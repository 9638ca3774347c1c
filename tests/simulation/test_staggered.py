"""The staggered update, in which every state sees those already updated, is the same on every device."""

import re
from dataclasses import dataclass

import numpy as np
import pytest
from brian2 import ms
from naive import mely

from neurocircuit import (
    BackendUnavailableError,
    Circuit,
    PoolSizes,
    available_devices,
    generate_program,
    mely_circuit,
    simulate,
    two_pool_circuit,
)
from neurocircuit.circuits import Pool
from neurocircuit.connectivity import Annulus, Box, Dense, Mixture, circulant_gaussian, uniform_channels
from neurocircuit.equations import OdeSystem, ParameterSet, Symbol, parameter
from neurocircuit.simulation import cuda

SIZES = (1, 3, 7)
STEPS = 40
STATES = ("h1", "h2")
# The contract of the project: same scheme, same step, float64, a step at which the circuit is not chaotic.
TOLERANCE = 1e-10

needs_compiler = pytest.mark.skipif(bool(available_devices()["cpp"]), reason=available_devices()["cpp"] or "-")


@pytest.fixture(scope="module")
def drive():
    return np.random.default_rng(7).random((2, 4, 9, 10))


def four_pools():
    # With zeta, the equation of h2 has the new h1 in it beside the pools.
    return mely_circuit(4, sizes=PoolSizes(*SIZES), zeta=0.5)


def two_pools():
    inhibition = Mixture(((0.25, uniform_channels(4)), (0.5, Annulus(3, 7)), (0.25, Box(3))))
    return two_pool_circuit(inhibition, Mixture(((0.5, Annulus(1, 3)), (0.5, circulant_gaussian(4, 0.15)))))


def dense_pools():
    weights = np.random.default_rng(1).random((2, 4, 4, 3, 3)) / 36
    return two_pool_circuit(Dense(weights[0], "reflect"), Dense(weights[1]))


@dataclass(frozen=True, kw_only=True)
class OneTime(ParameterSet):
    eta: object = parameter(6 * ms, latex=r"\eta", meaning="time constant", source="test", low=0.0)


def shared_pools(kernel):
    """A circuit in which both equations read a pool of either state, so that both must be computed twice a step."""
    text = """
    dh1/dt = (-h1 + rectify(drive + 0.5*pool_a - pool_b))/eta : 1
    dh2/dt = (-h2 + rectify(pool_a - 0.5*pool_b))/eta : 1
    """
    symbols = (
        Symbol("h1", "state", "h_1", "one"),
        Symbol("h2", "state", "h_2", "two"),
        Symbol("drive", "input", "L", "drive"),
        Symbol("pool_a", "pool", "A", "of one"),
        Symbol("pool_b", "pool", "B", "of two"),
        *OneTime.symbols(),
    )
    pools = (Pool("pool_a", "h1", kernel), Pool("pool_b", "h2", kernel))
    return Circuit(OdeSystem("shared", text, symbols), OneTime(), pools, "linsley2018")


def largest_difference(one, other):
    return max(float(np.abs(one[name].values - other[name].values).max()) for name in STATES)


@pytest.mark.parametrize("pools", ["fast", "explicit"])
@pytest.mark.parametrize("build", [four_pools, two_pools, dense_pools])
def test_brian2_numpy_equals_torch(build, pools, drive):
    options = {"steps": STEPS, "record": "all", "update": "staggered"}
    expected = simulate(build(), drive, **options)
    found = simulate(build(), drive, device="numpy", pools=pools, **options)
    assert largest_difference(found, expected) <= TOLERANCE
    at_once = simulate(build(), drive, steps=STEPS, record="all")
    assert largest_difference(at_once, expected) > 1e-3


def test_brian2_numpy_equals_the_naive_circuit(drive):
    found = simulate(four_pools(), drive, steps=STEPS, record="all", update="staggered", device="numpy")
    i, o = mely(drive, 1.0, STEPS, sizes=SIZES, zeta=0.5, staggered=True)
    np.testing.assert_allclose(found["h1"].values, i, rtol=0, atol=TOLERANCE)
    np.testing.assert_allclose(found["h2"].values, o, rtol=0, atol=TOLERANCE)


def test_a_pool_that_both_equations_read_is_computed_anew_after_its_source(drive):
    circuit = shared_pools(Mixture(((0.5, Annulus(1, 3)), (0.5, uniform_channels(4)))))
    options = {"steps": STEPS, "record": "all", "update": "staggered"}
    expected = simulate(circuit, drive, **options)
    assert largest_difference(simulate(circuit, drive, device="numpy", **options), expected) <= TOLERANCE


def test_synapses_that_would_be_summed_twice_a_step_are_refused_rather_than_stale(drive):
    circuit = shared_pools(Box(3))
    with pytest.raises(ValueError, match=r"`pool_a` is needed before and after `h1` is updated.*pools='fast'"):
        simulate(circuit, drive, steps=2, update="staggered", device="numpy", pools="explicit")


@pytest.mark.filterwarnings("ignore:`method` is:UserWarning")
@pytest.mark.parametrize("method", ["rk4", "exponential_euler"])
def test_brian2_numpy_equals_torch_in_the_other_schemes(method, drive):
    options = {"steps": 20, "method": method, "update": "staggered"}
    expected = simulate(four_pools(), drive, **options)
    assert largest_difference(simulate(four_pools(), drive, device="numpy", **options), expected) <= TOLERANCE


@needs_compiler
@pytest.mark.slow
@pytest.mark.parametrize("device", ["cpp", "cython"])
@pytest.mark.parametrize("build", [four_pools, two_pools, dense_pools])
def test_compiled_devices_equal_torch(build, device, drive):
    options = {"steps": STEPS, "record": "all", "update": "staggered"}
    expected = simulate(build(), drive, **options)
    assert largest_difference(simulate(build(), drive, device=device, **options), expected) <= TOLERANCE


# brian2cuda leaves the files it writes to the garbage collector.
@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_cuda_program_updates_h1_before_the_pools_that_h2_reads(drive, tmp_path):
    try:
        cuda.require_brian2cuda()
    except BackendUnavailableError as error:
        pytest.skip(str(error))
    generate_program(two_pools(), drive, str(tmp_path), device="cuda", steps=3, update="staggered")
    added = re.findall(r"network\.add\(&\w+, _run_(\w+)_pass_(\d+)_codeobject", (tmp_path / "main.cu").read_text())
    order = [int(number) for _, number in added]
    assert order == sorted(order) == list(range(len(order)))
    folder = tmp_path / "code_objects"
    kernels = [next(folder.glob(f"{name}_pass_{k}_codeobject*.cu")).read_text() for name, k in added]
    # An update is a kernel that rectifies: of h1 first, of h2 last, with the pools of the new h1 in between.
    updates = [k for k, kernel in enumerate(kernels) if "rectify(" in kernel]
    assert len(updates) == 2
    assert updates[1] == len(kernels) - 1
    writes = [f"_ptr_array_circuit_{state}[_idx] = {state}" for state in STATES]
    assert [write in kernels[k] for k, write in zip(updates, writes, strict=True)] == [True, True]
    assert writes[1] not in kernels[updates[0]]
