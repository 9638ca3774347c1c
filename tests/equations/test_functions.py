"""Every function of the registry exists, and means the same, in every language."""

import ctypes
import shutil
import subprocess

import brian2
import numpy as np
import pytest
import torch

from neurocircuit.equations import (
    FUNCTIONS,
    CircuitFunction,
    OdeSystem,
    Symbol,
    compile_rhs,
    functions,
    register_function,
)

VALUES = np.array([-np.inf, -710.0, -3.5, -1e-300, -0.0, 0.0, 1e-300, 0.25, 1.0, 3.5, 40.0, np.inf, np.nan])
OURS = [name for name, function in FUNCTIONS.items() if not function.known_to_brian]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_has_every_form(name):
    function = FUNCTIONS[name]
    assert function.name == name
    assert function.meaning
    assert callable(function.numpy)
    assert callable(function.torch)
    assert "{}" in function.latex
    assert function.latex.format("x") != function.latex
    if function.known_to_brian:
        assert name in brian2.DEFAULT_FUNCTIONS
    else:
        for language in ("cpp", "cuda", "cython"):
            assert f"{name}(double x)" in getattr(function, language), language


def test_three_functions_are_ours_and_the_others_are_brian2s():
    assert OURS == ["rectify", "sigmoid", "softplus"]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_numpy_and_torch_agree_and_propagate_nan(name):
    function = FUNCTIONS[name]
    with np.errstate(all="ignore"):
        ours = function.numpy(VALUES)
    theirs = function.torch(torch.from_numpy(VALUES)).numpy()
    np.testing.assert_allclose(theirs, ours, rtol=4e-16, atol=1e-300)
    assert np.isnan(ours[-1])
    assert np.isnan(theirs[-1])


def test_rectify_is_max_of_x_and_zero():
    expected = [0, 0, 0, 0, 0, 0, 1e-300, 0.25, 1, 3.5, 40, np.inf, np.nan]
    np.testing.assert_array_equal(FUNCTIONS["rectify"].numpy(VALUES), expected)


def test_sigmoid_and_softplus_are_their_definitions():
    x = np.linspace(-30, 30, 61)
    np.testing.assert_allclose(FUNCTIONS["sigmoid"].numpy(x), 1 / (1 + np.exp(-x)), rtol=1e-15)
    np.testing.assert_allclose(FUNCTIONS["softplus"].numpy(x), np.log1p(np.exp(x)), rtol=1e-15)


@pytest.mark.parametrize("name", [name for name in FUNCTIONS if name not in OURS])
def test_an_elementary_function_is_the_one_brian2_means(name):
    positive = VALUES[5:-2]
    np.testing.assert_array_equal(FUNCTIONS[name].numpy(positive[1:]), brian2.DEFAULT_FUNCTIONS[name](positive[1:]))


@pytest.mark.skipif(shutil.which("g++") is None, reason="no g++ to compile the source with")
@pytest.mark.parametrize("language", ["cpp", "cuda"])
@pytest.mark.parametrize("name", OURS)
def test_the_compiled_source_agrees_with_numpy(name, language, tmp_path):
    source = tmp_path / "function.cpp"
    # The qualifiers of CUDA mean nothing to a host compiler.
    source.write_text(
        "#include <math.h>\n#define __host__\n#define __device__\n"
        + getattr(FUNCTIONS[name], language)
        + f'extern "C" double call(double x) {{ return {name}(x); }}\n'
    )
    library = tmp_path / "function.so"
    subprocess.run(["g++", "-O2", "-shared", "-fPIC", str(source), "-o", str(library)], check=True)
    call = ctypes.CDLL(str(library)).call
    call.argtypes, call.restype = [ctypes.c_double], ctypes.c_double
    with np.errstate(invalid="ignore"):
        expected = FUNCTIONS[name].numpy(VALUES)
    np.testing.assert_allclose([call(x) for x in VALUES], expected, rtol=4e-16, atol=1e-300)


def test_the_registry_cannot_be_changed_by_accident():
    with pytest.raises(TypeError):
        FUNCTIONS["exp"] = FUNCTIONS["tanh"]


@pytest.fixture
def registry():
    """The registry, as it was before when the test is over."""
    before = dict(functions._REGISTERED)
    yield
    functions._REGISTERED.clear()
    functions._REGISTERED.update(before)


@pytest.mark.usefixtures("registry")
def test_a_registered_function_can_be_called_from_an_equation():
    name = "cubed_for_this_test"
    source = "static inline double cubed_for_this_test(double x) { return x * x * x; }"
    cube = CircuitFunction(
        name=name,
        meaning="third power",
        torch=lambda x: x**3,
        latex=r"{}^3",
        numpy=lambda x: x**3,
        cpp=source,
        cuda=source,
        cython="cdef double cubed_for_this_test(double x):\n    return x * x * x\n",
    )
    register_function(cube)
    x, tau = Symbol("x", "state", "x", "activity"), Symbol("tau", "parameter", r"\tau", "time", unit=brian2.second)
    system = OdeSystem("cubic", f"dx/dt = -{name}(x)/tau : 1", (x, tau))
    slope = compile_rhs(system)({"x": torch.tensor(2.0), "tau": torch.tensor(4.0)})["x"]
    assert float(slope) == -2.0
    with pytest.raises(ValueError, match="which is taken"):
        register_function(cube)


@pytest.mark.usefixtures("registry")
def test_a_function_that_brian2_does_not_know_needs_its_sources():
    with pytest.raises(ValueError, match="has no source for cpp, cuda, cython"):
        register_function(CircuitFunction(name="unheard_of", meaning="m", torch=torch.relu, latex="{}", numpy=np.abs))
    sinh = CircuitFunction(
        name="sinh", meaning="hyperbolic sine", torch=torch.sinh, latex=r"\sinh\left({}\right)", numpy=np.sinh
    )
    register_function(sinh)
    assert FUNCTIONS["sinh"].brian() is brian2.DEFAULT_FUNCTIONS["sinh"]


@pytest.mark.parametrize("name", ["Swish", "exp", "pi", "not a name"])
def test_a_function_needs_a_new_lower_case_name(name):
    with pytest.raises(ValueError, match="`name` of the function"):
        register_function(CircuitFunction(name=name, meaning="m", torch=torch.relu, latex="{}", numpy=np.abs))
