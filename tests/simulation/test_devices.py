"""Every device computes the same trajectory, and leaves Brian2 and the random numbers as it found them."""

import brian2
import numpy as np
import pytest
import torch
from brian2 import ms
from brian2.devices.device import get_device, reset_device, runtime_device, set_device
from naive import mely

from neurocircuit import (
    BackendUnavailableError,
    NonFiniteError,
    PoolSizes,
    available_devices,
    mely_circuit,
    simulate,
    two_pool_circuit,
)
from neurocircuit.connectivity import Annulus, Box, Dense, Mixture, circulant_gaussian, gaussian, uniform_channels

SIZES = (1, 3, 7)
STEPS = 60
STATES = ("h1", "h2")
CIRCUIT = mely_circuit(4, sizes=PoolSizes(*SIZES))
SETS = (CIRCUIT.parameters, CIRCUIT.parameters.replace(beta=1.5, zeta=0.3, eta=8 * ms))
# The contract of the project: same scheme, same step, float64, a step at which the circuit is not chaotic.
TOLERANCE = 1e-10

needs_compiler = pytest.mark.skipif(bool(available_devices()["cpp"]), reason=available_devices()["cpp"] or "-")


@pytest.fixture(scope="module")
def drive():
    return np.random.default_rng(7).random((2, 4, 9, 10))


@pytest.fixture(scope="module")
def built(drive):
    """One C++ program, run for two stimuli with two parameter sets."""
    return simulate(CIRCUIT, drive, steps=STEPS, record="all", device="cpp", parameter_sets=SETS)


def assert_equal_runs(found, expected, tolerance=TOLERANCE):
    for name in STATES:
        assert found[name].shape == expected[name].shape
        np.testing.assert_allclose(found[name].values, expected[name].values, rtol=0, atol=tolerance)
    np.testing.assert_allclose(found["residual"].values, expected["residual"].values, rtol=0, atol=tolerance)
    for name in ("time", "step_count", "converged", "period"):
        np.testing.assert_array_equal(found[name].values, expected[name].values)


@pytest.mark.parametrize("boundary", ["zero", "reflect", "periodic"])
@pytest.mark.parametrize("pools", ["fast", "explicit"])
def test_brian2_numpy_equals_torch(pools, boundary, drive):
    circuit = mely_circuit(4, sizes=PoolSizes(*SIZES), boundary=boundary)
    expected = simulate(circuit, drive, steps=STEPS, record="all")
    found = simulate(circuit, drive, steps=STEPS, record="all", device="numpy", pools=pools)
    assert_equal_runs(found, expected)


@pytest.mark.parametrize("pools", ["fast", "explicit"])
@pytest.mark.parametrize("continuous", [True, False])
def test_brian2_numpy_equals_torch_whatever_the_sizes_and_lesions(pools, continuous, drive):
    circuit = mely_circuit(4, sizes=PoolSizes(3, 5, 9), continuous=continuous).lesioned("U")
    expected = simulate(circuit, drive, steps=20, record="all")
    assert_equal_runs(simulate(circuit, drive, steps=20, record="all", device="numpy", pools=pools), expected)


def test_brian2_numpy_runs_a_circuit_without_any_pool_left(drive):
    circuit = CIRCUIT.lesioned("U", "T", "P", "Q")
    found = simulate(circuit, drive, steps=20, device="numpy")
    decay = (1 - 0.25 / 6) ** 20
    np.testing.assert_allclose(found["h2"].values[-1], decay * drive, rtol=1e-12)
    np.testing.assert_allclose(found["h1"].values[-1], 18 * drive + decay * (drive - 18 * drive), rtol=1e-12)


@pytest.mark.parametrize("method", ["rk2", "rk4", "exponential_euler"])
@pytest.mark.filterwarnings("ignore:`method` is:UserWarning")
def test_brian2_numpy_equals_torch_in_the_other_schemes(method, drive):
    runs = [simulate(CIRCUIT, drive, steps=20, record=5, method=method, device=device) for device in ("torch", "numpy")]
    assert_equal_runs(runs[1], runs[0])


def mixture_circuit():
    inhibition = Mixture(((0.25, uniform_channels(4)), (0.5, Annulus(3, 7)), (0.25, Box(3))))
    return two_pool_circuit(inhibition, Mixture(((0.5, Annulus(1, 3)), (0.5, circulant_gaussian(4, 0.15)))))


def dense_circuit():
    weights = np.random.default_rng(1).random((4, 4, 3, 3)) / 36
    return two_pool_circuit(Dense(weights, "reflect"), gaussian(4, 5, 1.0, "periodic"))


def nested_circuit():
    nested = Mixture(((0.5, Mixture(((0.5, Box(3, "reflect")), (0.5, Annulus(3, 5, "reflect"))))), (0.5, Box(1))))
    return two_pool_circuit(nested, Mixture(((0.5, gaussian(4, 3, 1.0)), (0.5, uniform_channels(4)))))


@pytest.mark.parametrize("build", [mixture_circuit, dense_circuit, nested_circuit])
def test_brian2_numpy_equals_torch_for_any_kernel(build, drive):
    expected = simulate(build(), drive, steps=30, record="all")
    for pools in ("fast", "explicit"):
        assert_equal_runs(simulate(build(), drive, steps=30, record="all", device="numpy", pools=pools), expected)


@needs_compiler
def test_cpp_equals_torch_and_a_sweep_re_uses_its_build(built, drive):
    expected = simulate(CIRCUIT, drive, steps=STEPS, record="all", parameter_sets=SETS)
    assert_equal_runs(built, expected)
    assert abs(built["h2"][0] - built["h2"][1]).max() > 0.1


@needs_compiler
def test_cpp_equals_the_naive_circuit(built, drive):
    for number, changes in enumerate(({}, {"beta": 1.5, "zeta": 0.3, "eta": 8.0})):
        i, o = mely(drive, 1.0, STEPS, sizes=SIZES, **changes)
        np.testing.assert_allclose(built["h1"].values[number], i, rtol=0, atol=TOLERANCE)
        np.testing.assert_allclose(built["h2"].values[number], o, rtol=0, atol=TOLERANCE)


@needs_compiler
@pytest.mark.slow
def test_cpp_with_explicit_synapses_units_and_every_nth_sample_equals_torch(drive):
    options = {"steps": STEPS, "record": 7, "units": [(3, 8, 0), (0, 0, 9)]}
    expected = simulate(CIRCUIT, drive, **options)
    assert_equal_runs(simulate(CIRCUIT, drive, device="cpp", pools="explicit", **options), expected)


@needs_compiler
@pytest.mark.slow
@pytest.mark.parametrize("build", [mixture_circuit, dense_circuit])
def test_cpp_equals_torch_for_any_kernel(build, drive):
    expected = simulate(build(), drive, steps=30)
    assert_equal_runs(simulate(build(), drive, steps=30, device="cpp"), expected)


@needs_compiler
@pytest.mark.slow
def test_cython_equals_torch(drive):
    expected = simulate(CIRCUIT, drive, steps=STEPS, record="all")
    for pools in ("fast", "explicit"):
        assert_equal_runs(simulate(CIRCUIT, drive, steps=STEPS, record="all", device="cython", pools=pools), expected)


@needs_compiler
@pytest.mark.slow
def test_cpp_names_the_state_and_step_that_left_the_finite_numbers(drive):
    with pytest.raises(NonFiniteError, match="state `h1` of mely is not finite after step 1, at 1 ms"):
        simulate(CIRCUIT, np.full_like(drive[0], 1e308), start="zeros", steps=5, record="all", device="cpp")


def brian2_settings():
    names = ("codegen.target", "codegen.cpp.extra_compile_args_gcc", "devices.cpp_standalone.extra_make_args_unix")
    return get_device(), [brian2.prefs[name] for name in names]


def test_brian2_is_left_as_it_was_after_a_run(drive):
    before = brian2_settings()
    simulate(CIRCUIT, drive, steps=2, device="numpy")
    assert brian2_settings() == before


@pytest.mark.filterwarnings("ignore:(overflow|invalid value) encountered:RuntimeWarning")
def test_brian2_is_left_as_it_was_after_a_failure(drive):
    before = brian2_settings()
    with pytest.raises(NonFiniteError):
        simulate(CIRCUIT, np.full_like(drive, 1e308), start="zeros", steps=5, device="numpy")
    assert brian2_settings() == before


@needs_compiler
def test_brian2_is_left_as_it_was_after_a_build(built):
    # The fixture has built and run a C++ program by now.
    device, (target, flags, _) = brian2_settings()
    assert device is runtime_device
    assert target == brian2.prefs.codegen.target
    assert "-ffast-math" in flags


@needs_compiler
def test_a_program_that_does_not_compile_says_so_and_leaves_brian2_as_it_was(drive, monkeypatch, capfd):
    monkeypatch.setitem(brian2.prefs, "codegen.cpp.headers", ["<no_such_header.h>"])
    before = brian2_settings()
    with pytest.raises(BackendUnavailableError, match=r"`device` is 'cpp', but its program did not compile.*g\+\+"):
        simulate(CIRCUIT, drive, steps=2, device="cpp")
    assert brian2_settings() == before


def test_a_device_the_caller_had_chosen_is_chosen_again(drive):
    set_device("cpp_standalone", build_on_run=False)
    try:
        mine = get_device()
        simulate(CIRCUIT, drive, steps=2, device="numpy")
        assert get_device() is mine
    finally:
        reset_device()


@pytest.mark.parametrize("device", ["torch", "numpy"])
def test_a_run_draws_no_random_numbers(device, drive):
    before = np.random.get_state(), torch.get_rng_state()  # noqa: NPY002 (the global state is the point)
    simulate(CIRCUIT, drive, steps=3, device=device)
    after = np.random.get_state(), torch.get_rng_state()  # noqa: NPY002
    np.testing.assert_array_equal(before[0][1], after[0][1])
    assert before[0][2:] == after[0][2:]
    assert torch.equal(before[1], after[1])


def test_every_device_is_listed_with_the_reason_why_it_cannot_run():
    devices = available_devices()
    assert set(devices) == {"numpy", "cython", "cpp", "cuda", "torch", "torch:cuda"}
    assert devices["numpy"] == devices["torch"] == ""
    assert bool(devices["torch:cuda"]) == (not torch.cuda.is_available())


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here, so torch:cuda runs")
def test_torch_cuda_without_a_gpu_says_so(drive):
    with pytest.raises(BackendUnavailableError, match="`device` is 'torch:cuda', which torch cannot use here"):
        simulate(CIRCUIT, drive, steps=1, device="torch:cuda")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU: torch finds no CUDA device")
def test_torch_cuda_equals_torch_on_the_cpu(drive):
    expected = simulate(CIRCUIT, drive, steps=STEPS, record="all")
    assert_equal_runs(simulate(CIRCUIT, drive, steps=STEPS, record="all", device="torch:cuda"), expected)
