"""A pool may sum a function of a state: every device computes what loops over the field compute."""

import re
from dataclasses import dataclass

import numpy as np
import pytest
from brian2 import ms
from generated import code_object
from naive import convolve, gaussian_lags, mix_channels, square_annulus

from neurocircuit import BackendUnavailableError, available_devices, generate_program, simulate
from neurocircuit.circuits import Circuit, Pool, competing_units_circuit
from neurocircuit.connectivity import (
    Annulus,
    Box,
    Dense,
    Mixture,
    circulant_gaussian,
    summed_channels,
    uniform_channels,
)
from neurocircuit.equations import OdeSystem, ParameterSet, Symbol, parameter
from neurocircuit.simulation import cuda
from neurocircuit.simulation.brian_pools import LINKED_CHANNELS

STEPS = 30
STATES = ("h1", "h2")
DENSE = np.random.default_rng(3).standard_normal((4, 4, 3, 3)) / 36

needs_compiler = pytest.mark.skipif(bool(available_devices()["cpp"]), reason=available_devices()["cpp"] or "-")

# The equations call no function, so that whatever knows `rectify` and `tanh` knows them from the pools.
TEXT = """
dh1/dt = (-h1 + drive - 0.6*pool_a + 0.5*pool_b - 0.2*pool_c)/eta : 1
dh2/dt = (-h2 + drive - 0.7*pool_d + 0.3*pool_e)/eta : 1
"""


@dataclass(frozen=True, kw_only=True)
class OneTime(ParameterSet):
    eta: object = parameter(6 * ms, latex=r"\eta", meaning="time constant", source="test", low=0.0)


def circuit(kernel_c):
    """Two states whose pools read the same state raw, rectified and squashed."""
    symbols = (
        Symbol("h1", "state", "h_1", "one"),
        Symbol("h2", "state", "h_2", "two"),
        Symbol("drive", "input", "L", "drive"),
        *(Symbol(f"pool_{name}", "pool", name.upper(), "a pool") for name in "abcde"),
        *OneTime.symbols(),
    )
    pools = (
        Pool("pool_a", "h2", Mixture(((0.5, Annulus(1, 5)), (0.5, uniform_channels(4)))), "rectify"),
        Pool("pool_b", "h2", circulant_gaussian(4, 0.15), "tanh"),
        Pool("pool_c", "h1", kernel_c, "rectify"),
        Pool("pool_d", "h1", Mixture(((0.5, Box(3)), (0.5, uniform_channels(4)))), "rectify"),
        Pool("pool_e", "h1", uniform_channels(4)),
    )
    return Circuit(OdeSystem("functions", TEXT, symbols), OneTime(), pools, "krotov2019")


def naive(drive, pool_c, staggered=False):
    """Euler's method with a step of 1 ms, from zero; the states after 0, 1, ... steps."""
    one, two = np.zeros_like(drive), np.zeros_like(drive)
    states = [(one, two)]
    for _ in range(STEPS):
        rate = np.maximum(two, 0)
        a = 0.5 * square_annulus(rate, 1, 5, "zero") + 0.5 * rate.mean(axis=-3, keepdims=True)
        b = mix_channels(np.tanh(two), gaussian_lags(4))
        new = one + (-one + drive - 0.6 * a + 0.5 * b - 0.2 * pool_c(np.maximum(one, 0))) / 6
        source = new if staggered else one
        rate = np.maximum(source, 0)
        box = convolve(np.eye(4)[:, :, None, None] * np.full((3, 3), 1 / 9), rate)
        d = 0.5 * box + 0.5 * rate.mean(axis=-3, keepdims=True)
        e = source.mean(axis=-3, keepdims=True)
        two = two + (-two + drive - 0.7 * d + 0.3 * e) / 6
        one = new
        states.append((one, two))
    return [np.array(values) for values in zip(*states, strict=True)]


CASES = {
    "elementary kernels": (Annulus(1, 3), lambda rate: square_annulus(rate, 1, 3, "zero")),
    "dense kernel": (Dense(DENSE), lambda rate: convolve(DENSE, rate)),
}


@pytest.fixture(params=CASES)
def case(request, rng):
    kernel, pool_c = CASES[request.param]
    return circuit(kernel), rng.standard_normal((2, 4, 7, 8)), pool_c


def assert_close(result, expected, tolerance=1e-12):
    for name, values in zip(STATES, expected, strict=True):
        assert (values < -0.1).any()
        np.testing.assert_allclose(result[name].values, values, rtol=0, atol=tolerance)


@pytest.mark.parametrize("update", ["simultaneous", "staggered"])
@pytest.mark.parametrize(("device", "pools"), [("torch", "fast"), ("numpy", "fast"), ("numpy", "explicit")])
def test_a_pool_sums_what_its_function_makes_of_the_state(case, device, pools, update):
    model, drive, pool_c = case
    options = {"start": "zeros", "steps": STEPS, "record": "all", "update": update}
    found = simulate(model, drive, device=device, pools=pools, **options)
    assert_close(found, naive(drive, pool_c, staggered=update == "staggered"))


@needs_compiler
@pytest.mark.slow
@pytest.mark.parametrize("device", ["cython", "cpp"])
@pytest.mark.parametrize("pools", ["fast", "explicit"])
def test_compiled_devices_sum_it_too(case, device, pools):
    model, drive, pool_c = case
    found = simulate(model, drive, start="zeros", steps=STEPS, record="all", device=device, pools=pools)
    assert_close(found, naive(drive, pool_c), 1e-10)


# brian2cuda leaves the files it writes to the garbage collector.
@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_cuda_program_rectifies_before_it_sums(rng, tmp_path):
    try:
        cuda.require_brian2cuda()
    except BackendUnavailableError as error:
        pytest.skip(str(error))
    generate_program(circuit(Box(3)), rng.standard_normal((4, 7, 8)), str(tmp_path), device="cuda", steps=3)
    assert "rectify(" not in code_object(tmp_path, "circuit_stateupdater")
    passes = [path.read_text() for path in (tmp_path / "code_objects").glob("circuit_pass_*.cu")]
    assert any("_ptr_array_circuit_rectify_h2" in text and "rectify(" in text for text in passes)


@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_cuda_program_sums_the_total_between_the_passes_before_and_after_it(tmp_path):
    try:
        cuda.require_brian2cuda()
    except BackendUnavailableError as error:
        pytest.skip(str(error))
    hidden = LINKED_CHANNELS + 1
    generate_program(competing_units_circuit(hidden), np.ones((hidden, 1, 1)), str(tmp_path), device="cuda", steps=3)
    added = re.findall(r"network\.add\(&\w+, _run_(\w+?)_codeobject", (tmp_path / "main.cu").read_text())
    order = [name for name in added if "random" not in name]
    assert order[0] == "circuit_pass_0"
    assert order[1].startswith("synapses_total_rectify_h")
    assert order[2:] == ["circuit_pass_2", "circuit_stateupdater"]


def totals(channels, update="simultaneous"):
    """A circuit whose two equations both read the total of one state, which a staggered update then needs twice."""
    text = "dh1/dt = (-h1 + drive - pool_a)/eta : 1\ndh2/dt = (-h2 + drive - pool_a)/eta : 1"
    symbols = (
        Symbol("h1", "state", "h_1", "one"),
        Symbol("h2", "state", "h_2", "two"),
        Symbol("drive", "input", "L", "drive"),
        Symbol("pool_a", "pool", "A", "of one"),
        *OneTime.symbols(),
    )
    kernel = Mixture(((0.01, summed_channels(channels)),))
    model = Circuit(OdeSystem("totals", text, symbols), OneTime(), (Pool("pool_a", "h1", kernel, "rectify"),), "x")
    drive = np.random.default_rng(5).standard_normal((2, channels, 2, 3))
    return [
        simulate(model, drive, start="zeros", steps=STEPS, record="all", update=update, device=device)
        for device in ("torch", "numpy")
    ]


@pytest.mark.parametrize("channels", [LINKED_CHANNELS, LINKED_CHANNELS + 1])
def test_the_total_over_channels_is_the_same_by_links_and_by_synapses(channels):
    torch_run, brian_run = totals(channels)
    for name in STATES:
        np.testing.assert_allclose(brian_run[name].values, torch_run[name].values, rtol=0, atol=1e-12)


def test_a_total_that_synapses_would_sum_twice_a_step_is_refused_rather_than_stale():
    torch_run, brian_run = totals(LINKED_CHANNELS, "staggered")
    np.testing.assert_allclose(brian_run["h2"].values, torch_run["h2"].values, rtol=0, atol=1e-12)
    with pytest.raises(
        ValueError, match=r"total of `rectify_h1` over more than 64 channels is needed before and after"
    ):
        totals(LINKED_CHANNELS + 1, "staggered")


def test_the_description_of_a_result_names_the_function(rng):
    found = simulate(circuit(Box(3)), rng.standard_normal((4, 7, 8)), steps=1)
    assert "of rectify(h1)" in found.attrs["pools"]
    assert "of h1" in found.attrs["pools"]


@pytest.mark.parametrize("function", ["relu", "no_such", ""])
def test_an_unknown_function_of_a_pool_is_refused(function):
    with pytest.raises(
        ValueError, match=f"`function` of the pool `pool_a` is '{function}'; it must be None or one of rectify"
    ):
        Pool("pool_a", "h", Box(3), function)


def test_the_function_is_typeset_inside_the_sum():
    assert Pool("pool_a", "h", Box(3), "tanh").latex("h").endswith(r"\left(\tanh\left(h\right)\right)_{x'y'k}")
    assert Pool("pool_a", "h", Box(3)).latex("h") == Box(3).latex("h")
    assert Pool("pool_a", "h", None, "tanh").latex("h") == "0"
