"""A rate network in Brian2 is the network that torch runs; its noise has the moments of the equation."""

import numpy as np
import pytest
from brian2.devices.device import get_device, runtime_device
from generated import code_object
from hypothesis import given, settings
from hypothesis import strategies as st

from neurocircuit.circuits.rate_network import RateNetwork
from neurocircuit.errors import BackendUnavailableError, NonFiniteError
from neurocircuit.simulation import available_devices, cuda
from neurocircuit.simulation.rate_network import generate_network_program, simulate_network
from neurocircuit.simulation.result import write_netcdf

TOLERANCE = 1e-10

needs_compiler = pytest.mark.skipif(bool(available_devices()["cpp"]), reason=available_devices()["cpp"] or "-")


def make_network(units, form="current", activation="sigmoid", *, dale=True, seed=0, **changes):
    """Return a balanced random network whose every constant differs from its default."""
    rng = np.random.default_rng(seed)
    excitatory = np.arange(units) % 5 != 2
    sizes = np.abs(rng.normal(size=(units, units))) * (rng.random((units, units)) < 0.3) / np.sqrt(0.3 * units)
    sign = np.where(excitatory, 1.0, -4.0) if dale else rng.choice([-1.0, 1.0], (units, units))
    values = {
        "weights": sizes * sign,
        "input_weights": rng.normal(size=(units, 3)),
        "output_weights": rng.normal(size=(2, units)),
        "tau": rng.uniform(10, 100, units),
        "step": 1.0,
        "bias": rng.normal(size=units),
        "output_bias": np.array([0.3, -0.2]),
        "excitatory": excitatory if dale else None,
        "form": form,
        "activation": activation,
        "start": 0.1 * rng.normal(size=units),
        "noise": rng.uniform(0.05, 0.1, units),
        "rate_noise": rng.uniform(0.0, 0.02, units),
    }
    return RateNetwork(**{**values, **changes})


def make_inputs(trials, steps, seed=1):
    return np.random.default_rng(seed).normal(size=(trials, steps, 3))


def make_noise(trials, steps, units, seed=2):
    rng = np.random.default_rng(seed)
    shape = (trials, steps, units)
    return {
        "noise": rng.standard_normal(shape),
        "rate_noise": rng.standard_normal((trials, steps + 1, units)),
    }


def transcribed(network, inputs, noise=None, rate_noise=None):
    """Return states and rates step by step, written apart from the library's equation."""
    phi = {
        "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
        "relu": lambda x: np.maximum(x, 0),
        "tanh": np.tanh,
        "softplus": lambda x: np.log1p(np.exp(x)),
    }[network.activation]
    alpha, trials, steps = network.step / network.tau, *inputs.shape[:2]
    state = np.tile(network.start, (trials, 1))
    states, rates = [], []
    for k in range(steps + 1):
        rate = phi(state) if network.form == "current" else state
        if rate_noise is not None:
            rate = rate + network.rate_noise * np.sqrt(2 / alpha) * rate_noise[:, k]
        states.append(state)
        rates.append(rate)
        if k == steps:
            break
        total = rate @ network.weights.T + inputs[:, k] @ network.input_weights.T + network.bias
        state = (1 - alpha) * state + alpha * (total if network.form == "current" else phi(total))
        if noise is not None:
            state = state + network.noise * np.sqrt(2 * alpha) * noise[:, k]
    return np.stack(states, 1), np.stack(rates, 1)


def largest_difference(found, expected):
    assert list(found.data_vars) == list(expected.data_vars)
    assert dict(found.sizes) == dict(expected.sizes)
    return max(float(np.abs(found[name] - expected[name]).max()) for name in found.data_vars)


@pytest.mark.parametrize("form", ["current", "rate"])
@pytest.mark.parametrize("given_noise", [False, True])
def test_brian2_equals_torch_and_a_transcription_for_200_units_and_500_steps(form, given_noise):
    network, inputs = make_network(200, form), make_inputs(2, 500)
    noise = make_noise(2, 500, 200) if given_noise else {}
    torch = simulate_network(network, inputs, **noise)
    brian = simulate_network(network, inputs, device="numpy", **noise)
    assert largest_difference(brian, torch) <= TOLERANCE
    states, rates = transcribed(network, inputs, **noise)
    np.testing.assert_allclose(brian[network.state], states, rtol=0, atol=TOLERANCE)
    np.testing.assert_allclose(brian["rate"], rates, rtol=0, atol=TOLERANCE)
    assert float(np.ptp(rates)) > 0.5, "the network must do something"


@settings(max_examples=8)
@given(
    st.integers(1, 3),
    st.integers(1, 6),
    st.integers(3, 9),
    st.sampled_from(["current", "rate"]),
    st.sampled_from(["sigmoid", "relu", "tanh", "softplus"]),
    st.booleans(),
    st.integers(0, 99),
)
def test_brian2_equals_torch_for_any_network(trials, steps, units, form, activation, dale, seed):
    network = make_network(units, form, activation, dale=dale, seed=seed)
    inputs, noise = make_inputs(trials, steps, seed), make_noise(trials, steps, units, seed)
    torch = simulate_network(network, inputs, **noise)
    assert largest_difference(simulate_network(network, inputs, device="numpy", **noise), torch) <= TOLERANCE


def test_currents_add_up_to_the_recurrent_input_and_have_their_signs():
    network = make_network(30)
    run = simulate_network(network, make_inputs(2, 20), device="numpy")
    assert float(run["current_excitatory"].min()) >= 0
    assert float(run["current_inhibitory"].max()) <= 0
    total = run["current_excitatory"] + run["current_inhibitory"]
    np.testing.assert_allclose(total, run["rate"].values @ network.weights.T, rtol=0, atol=1e-12)


def test_output_is_the_readout_of_the_rates_and_sample_0_the_start():
    network = make_network(10)
    run = simulate_network(network, make_inputs(1, 4), device="numpy")
    np.testing.assert_allclose(
        run["output"], run["rate"].values @ network.output_weights.T + network.output_bias, rtol=0, atol=1e-12
    )
    np.testing.assert_array_equal(run["x"].values[0, 0], network.start)
    np.testing.assert_array_equal(run["time"], [0, 1, 2, 3, 4])


@pytest.mark.parametrize("device", ["numpy", "torch"])
def test_own_noise_has_the_moments_of_the_equation(device):
    """Euler's recurrence of the state alone has the variance sigma**2/(1 - alpha/2)."""
    tau, sigma, rate_sigma = 10.0, 0.3, 0.05
    network = RateNetwork(
        weights=np.zeros((500, 500)),
        input_weights=np.zeros((500, 1)),
        output_weights=np.zeros((1, 500)),
        tau=tau,
        step=2.0,
        noise=sigma,
        rate_noise=rate_sigma,
        form="rate",
        activation="tanh",
    )
    run = simulate_network(network, np.zeros((1, 400, 1)), device=device, noise=True, rate_noise=True, seed=5)
    state = run["r"].values[0, 100:]
    assert state.std() == pytest.approx(sigma / np.sqrt(1 - 0.2 / 2), rel=0.03)
    assert abs(state.mean()) < 0.02
    lagged = np.mean(state[1:] * state[:-1]) / np.mean(state**2)
    assert lagged == pytest.approx(1 - 0.2, abs=0.02)
    added = (run["rate"] - run["r"]).values[0]
    assert added.std() == pytest.approx(rate_sigma * np.sqrt(2 * tau / 2.0), rel=0.02)
    assert abs(np.corrcoef(added[1:].ravel(), added[:-1].ravel())[0, 1]) < 0.02


def test_moments_of_a_recurrent_network_agree_between_devices():
    network, inputs = make_network(50), np.repeat(make_inputs(1, 60), 80, axis=0)
    runs = [
        simulate_network(network, inputs, device=device, noise=True, rate_noise=True, seed=seed)
        for device, seed in (("torch", 1), ("numpy", 2))
    ]
    means, spreads = zip(*[(run["x"].mean("trial").values, run["x"].std("trial").values) for run in runs], strict=True)
    error = np.sqrt((spreads[0] ** 2 + spreads[1] ** 2) / 80)[1:]
    z = (means[0] - means[1])[1:] / error
    assert abs(z.mean()) < 0.3
    assert z.std() == pytest.approx(1, abs=0.2)
    assert spreads[0][20:].mean() == pytest.approx(spreads[1][20:].mean(), rel=0.03)


def test_same_seed_gives_the_same_run_and_the_callers_random_numbers_are_left_alone():
    network, inputs = make_network(10), make_inputs(1, 10)
    np.random.seed(3)  # noqa: NPY002  (the global state is what is tested)
    expected = np.random.random(4)  # noqa: NPY002
    np.random.seed(3)  # noqa: NPY002
    one, same, other = (
        simulate_network(network, inputs, device="numpy", noise=True, seed=seed)["x"].values for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(one, same)
    assert np.abs(one - other).max() > 1e-3
    np.testing.assert_array_equal(np.random.random(4), expected)  # noqa: NPY002
    assert get_device() is runtime_device


@pytest.mark.slow
@needs_compiler
@pytest.mark.parametrize("device", ["cython", "cpp"])
@pytest.mark.parametrize("form", ["current", "rate"])
def test_compiled_devices_equal_torch(device, form):
    network, inputs, noise = make_network(200, form), make_inputs(2, 500), make_noise(2, 500, 200)
    torch = simulate_network(network, inputs, **noise)
    assert largest_difference(simulate_network(network, inputs, device=device, **noise), torch) <= TOLERANCE


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_cuda_equals_torch_where_there_is_a_gpu():
    if cuda.cuda_problem():
        pytest.skip(cuda.cuda_problem())
    network, inputs, noise = make_network(200), make_inputs(2, 500), make_noise(2, 500, 200)
    torch = simulate_network(network, inputs, **noise)
    assert largest_difference(simulate_network(network, inputs, device="cuda", **noise), torch) <= TOLERANCE


# brian2cuda leaves the files it writes to the garbage collector.
@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_generated_cuda_holds_the_network(tmp_path):
    try:
        cuda.require_brian2cuda()
    except BackendUnavailableError as error:
        pytest.skip(str(error))
    generate_network_program(make_network(10), make_inputs(1, 5), str(tmp_path), device="cuda")
    assert "_timedarray" in code_object(tmp_path, "neurons_stateupdater")
    sums = list((tmp_path / "code_objects").glob("synapses_*_summed_variable_*.cu"))
    assert {path.name.split("_")[1] for path in sums} == {"exc", "inh"}


def test_generated_cpp_holds_the_network(tmp_path):
    generate_network_program(make_network(10), make_inputs(1, 5), str(tmp_path), device="cpp")
    assert "sigmoid(" in code_object(tmp_path, "neurons_subexpression_update")
    assert not (tmp_path / "main").exists()


def test_result_can_be_written(tmp_path):
    run = simulate_network(make_network(6), make_inputs(2, 5), device="numpy")
    assert write_netcdf(run, tmp_path / "run.nc").stat().st_size > 0


def test_unbounded_rates_are_reported_with_their_time():
    network = make_network(5, activation="relu", dale=False, weights=np.full((5, 5), 1e200), noise=0.0)
    with pytest.raises(NonFiniteError, match=r"not finite after step \d+, at"):
        simulate_network(network, make_inputs(1, 20), device="numpy")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"device": "gpu"}, "`device` is 'gpu'"),
        ({"noise": True}, "`seed` is None, but `noise` is drawn"),
        ({"rate_noise": True}, "`seed` is None, but `rate_noise` is drawn"),
        ({"noise": True, "seed": -1}, "`seed` is -1"),
        ({"noise": np.zeros((1, 2, 3))}, r"`noise` has the shape \(1, 2, 3\)"),
        ({"rate_noise": np.zeros((1, 4, 5))}, r"must be .* the shape \(1, 5, 5\)"),
        ({"noise": np.full((1, 4, 5), np.nan)}, "`noise`"),
    ],
)
def test_bad_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        simulate_network(make_network(5), make_inputs(1, 4), **options)


@pytest.mark.parametrize(
    "inputs", [np.zeros((1, 4, 2)), np.zeros((4, 3)), np.zeros((0, 4, 3)), np.full((1, 4, 3), np.inf)]
)
def test_inputs_that_do_not_fit_are_refused(inputs):
    with pytest.raises(ValueError, match="`inputs` has"):
        simulate_network(make_network(5), inputs)
