"""The CT-RNN against a transcription of its equation in numpy, and the defects of earlier code it must not have."""

import json
from dataclasses import asdict

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from neurocircuit.circuits import Lesion, Pulse, RateNetwork
from neurocircuit.connectivity import DaleWeights
from neurocircuit.errors import NonFiniteError
from neurocircuit.networks import CTRNN, CTRNNSettings, parameter_table, run_network

PHI = {
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "relu": lambda x: np.maximum(x, 0),
    "tanh": np.tanh,
    "softplus": lambda x: np.log1p(np.exp(x)),
}


def settings(**changes):
    return CTRNNSettings(**{"n_inputs": 2, "n_outputs": 1, "n_units": 12, "p_rec": 0.6, **changes})


def transcription(network, inputs, state_noise=None, rate_noise=None):
    """Euler's method for the equation, unit by unit as it is printed, in numpy."""
    trials, steps, _ = inputs.shape
    n, phi = network.n_units, PHI[network.activation]
    state = np.tile(network.start, (trials, 1))
    states, rates, outputs = [state], [], []
    for k in range(steps + 1):
        clean = phi(state) if network.form == "current" else state
        eta = 0 if rate_noise is None else network.rate_noise * np.sqrt(2 / network.alpha) * rate_noise[:, k]
        rates.append(clean + eta)
        if k:
            outputs.append(rates[-1] @ network.output_weights.T + network.output_bias)
        if k == steps:
            break
        new = np.empty_like(state)
        for unit in range(n):
            current = (
                rates[-1] @ network.weights[unit] + inputs[:, k] @ network.input_weights[unit] + network.bias[unit]
            )
            target = current if network.form == "current" else phi(current)
            new[:, unit] = state[:, unit] + network.step / network.tau[unit] * (target - state[:, unit])
            if state_noise is not None:
                new[:, unit] += (
                    network.noise[unit] * np.sqrt(2 * network.step / network.tau[unit]) * state_noise[:, k, unit]
                )
        state = new
        states.append(state)
    return np.stack(states, 1), np.stack(rates, 1), np.stack(outputs, 1)


@given(
    form=st.sampled_from(["current", "rate"]),
    activation=st.sampled_from(sorted(PHI)),
    dale=st.booleans(),
    trials=st.integers(1, 3),
    steps=st.integers(1, 8),
    noisy=st.booleans(),
    seed=st.integers(0, 99),
)
def test_a_run_is_eulers_method_for_the_equation(form, activation, dale, trials, steps, noisy, seed):
    rng = np.random.default_rng(seed)
    model = CTRNN(
        settings(form=form, activation=activation, dale=dale, tau=tuple(rng.uniform(5, 50, 12)), step=2.0, noise=0.3),
        seed,
        {"bias": rng.normal(size=12), "start": rng.normal(size=12), "output_bias": rng.normal(size=1)},
    )
    network = model.network()
    inputs = rng.normal(size=(trials, steps, 2))
    normals = (
        (rng.normal(size=(trials, steps, 12)), rng.normal(size=(trials, steps + 1, 12))) if noisy else (None, None)
    )
    run = run_network(network, inputs, noise_values=normals)
    for found, expected in zip(
        (run.states, run.rates, run.outputs), transcription(network, inputs, *normals), strict=True
    ):
        np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("form", ["current", "rate"])
def test_the_trained_module_and_its_arrays_are_one_network(form, rng):
    model = CTRNN(settings(form=form)).double().eval()
    inputs = torch.from_numpy(rng.normal(size=(3, 20, 2)))
    run = run_network(model.network(), inputs.numpy())
    np.testing.assert_allclose(model(inputs).detach().numpy(), run.outputs, rtol=0, atol=1e-13)
    trajectory = model.trajectory(inputs)
    np.testing.assert_allclose(trajectory.states.detach().numpy(), run.states, rtol=0, atol=1e-13)
    again = CTRNN.from_network(model.network()).double().eval()
    np.testing.assert_allclose(again(inputs).detach().numpy(), run.outputs, rtol=0, atol=1e-6)
    assert again.settings.readout == "excitatory"
    assert CTRNN.from_network(CTRNN(settings(readout="all")).network()).settings.readout == "all"


def test_the_gradient_is_that_of_finite_differences(rng):
    model = CTRNN(settings(trainable=("input_weights", "input_bias", "weights", "bias", "output_weights", "start")))
    model = model.double().eval()
    inputs = torch.from_numpy(rng.normal(size=(2, 6, 2)))
    model(inputs).pow(2).sum().backward()
    for parameter in model.parameters():
        if not parameter.requires_grad:
            continue
        flat, grad = parameter.data.view(-1), parameter.grad.view(-1)
        place = int(grad.abs().argmax())
        before, h = flat[place].item(), 1e-6
        values = []
        for shift in (h, -h):
            flat[place] = before + shift
            values.append(float(model(inputs).detach().pow(2).sum()))
        flat[place] = before
        assert float(grad[place]) == pytest.approx((values[0] - values[1]) / (2 * h), rel=1e-6)


@pytest.mark.parametrize("parametrisation", ["abs", "softplus"])
def test_no_synapse_dies_and_no_sign_or_connection_changes(parametrisation, rng):
    """Regression: with relu a quarter of the weights ended below zero, without gradient."""
    model = CTRNN(settings(parametrisation=parametrisation))
    before = model.network()
    optimizer = torch.optim.SGD(model.parameters(), 0.3)
    for _ in range(20):
        optimizer.zero_grad()
        inputs = torch.from_numpy(rng.normal(size=(8, 20, 2))).float()
        (model(inputs) - 1).pow(2).mean().backward()
        optimizer.step()
    after = model.network()
    connected = before.weights != 0
    assert np.abs(after.weights - before.weights).max() > 0.01
    assert ((after.weights != 0) == connected).all()
    assert (np.sign(after.weights) == np.sign(before.weights)).all()
    model(inputs).pow(2).sum().backward()
    assert (model.recurrent.raw.grad[torch.from_numpy(connected)] != 0).all()
    assert (model.recurrent.raw.grad[torch.from_numpy(~connected)] == 0).all()


def test_unbalanced_dale_weights_saturate_the_rates_and_balanced_ones_do_not():
    """Regression: with the tutorial's weights nearly every sigmoid unit was above .9, and nothing was learned."""
    inputs = np.zeros((1, 300, 4))
    mean = {}
    for balance in (False, True):
        model = CTRNN(CTRNNSettings(n_inputs=4, n_outputs=1, balance=balance))
        mean[balance] = float(run_network(model.network(), inputs).rates[0, -1].mean())
    assert mean[False] > 0.9
    assert 0.3 < mean[True] < 0.7


@pytest.mark.parametrize("distribution", ["gamma", "lognormal"])
def test_a_network_is_built_and_run_with_every_distribution(distribution):
    """Regression: gamma weights raised a TypeError."""
    outputs = CTRNN(settings(distribution=distribution))(torch.zeros(2, 5, 2))
    assert outputs.shape == (2, 5, 1)
    assert outputs.isfinite().all()


@pytest.mark.parametrize("dale", [True, False])
def test_everything_of_a_network_moves_to_another_device(dale):
    """Regression: noise and mask stayed on the CPU, and the mask was a parameter in one case and lost in the other."""
    model = CTRNN(settings(dale=dale)).to("meta").train()
    tensors = [*model.parameters(), *model.buffers()]
    assert {tensor.device.type for tensor in tensors} == {"meta"}
    assert {"recurrent.mask", "recurrent.sign", "output_mask"} <= dict(model.named_buffers()).keys()
    assert "recurrent.mask" not in dict(model.named_parameters())


def test_relu_loses_synapses_as_in_the_tutorial():
    weights = np.array([[0.0, 0.5], [0.5, 0.0]])
    recurrent = DaleWeights(weights, weights != 0, np.array([True, True]))
    model = CTRNN(settings(n_units=2, parametrisation="relu"), recurrent=recurrent)
    with torch.no_grad():
        model.recurrent.raw[0, 1] = -0.1
    model(torch.ones(1, 5, 2)).sum().backward()
    assert model.recurrent.raw.grad[0, 1] == 0
    assert model.recurrent.raw.grad[1, 0] != 0


def test_without_dales_law_absent_connections_stay_absent():
    """Regression: zeros were trainable without Dale's law, and the sparsity was lost after one step."""
    model = CTRNN(settings(dale=False, p_rec=0.3))
    absent = model.network().weights == 0
    optimizer = torch.optim.Adam(model.parameters(), 0.05)
    for _ in range(5):
        model.zero_grad()
        (model(torch.ones(4, 10, 2)) - 1).pow(2).mean().backward()
        optimizer.step()
    after = model.network().weights
    assert absent.sum() > 50
    assert (after[absent] == 0).all()
    assert "mask" in dict(model.recurrent.named_buffers())


def test_given_parameters_are_used_and_frozen(rng):
    """Regression: a given readout was ignored, and its bias's flag set that of the input."""
    given_values = {
        "input_weights": rng.normal(size=(12, 2)),
        "input_bias": rng.normal(size=12),
        "bias": rng.normal(size=12),
        "output_weights": rng.normal(size=(1, 12)),
        "output_bias": rng.normal(size=1),
    }
    model = CTRNN(settings(readout="all", trainable=("input_bias",)), given=given_values)
    for name, value in given_values.items():
        np.testing.assert_allclose(getattr(model, name).detach(), value, rtol=1e-6)
    flags = {row["parameter"]: row["trainable"] for row in parameter_table(model)}
    assert [name for name, trained in flags.items() if trained] == ["input_bias"]
    assert set(flags) == {*given_values, "recurrent.raw", "start"}


def test_noise_is_off_in_evaluation_and_repeats_with_a_generator():
    """Regression: the tutorial's model was random in evaluation too, and had no seed."""
    model = CTRNN(settings(noise=0.5))
    inputs = torch.zeros(2, 10, 2)
    model.eval()
    assert torch.equal(model(inputs), model(inputs))
    model.train()
    assert not torch.equal(model(inputs), model(inputs))
    runs = [
        model.trajectory(inputs, noise=True, generator=torch.Generator().manual_seed(seed)).outputs
        for seed in (1, 1, 2)
    ]
    assert torch.equal(runs[0], runs[1])
    assert not torch.equal(runs[0], runs[2])


@pytest.mark.parametrize(("scaling", "step", "expected"), [
    ("sde", 1.0, 1.0127), ("sde", 4.0, 1.0541), ("tutorial", 1.0, 0.1601), ("tutorial", 4.0, 0.3333),
])  # fmt: skip
def test_the_stationary_deviation_of_the_noise_is_the_formulas(scaling, step, expected):
    """Song's scaling gives s/sqrt(1 - a/2), nearly without dt; the tutorial's gives s*sqrt(a/(2 - a))."""
    alpha = step / 20
    formula = 1 / np.sqrt(1 - alpha / 2) if scaling == "sde" else np.sqrt(alpha / (2 - alpha))
    assert formula == pytest.approx(expected, abs=1e-4)
    silent = DaleWeights(np.zeros((50, 50)), np.zeros((50, 50), bool), None)
    model = CTRNN(
        settings(n_units=50, step=step, noise=1.0, rate_noise=0.0, noise_scaling=scaling, dale=False),
        recurrent=silent,
    )
    run = model.trajectory(torch.zeros(20, 400, 2), noise=True, generator=torch.Generator().manual_seed(0))
    assert float(run.states.detach()[:, 200:].std()) == pytest.approx(formula, rel=0.03)


def test_rate_noise_moves_the_state_alike_at_every_step_size():
    """White noise on the rates, through one weight, gives the state the deviation w s sqrt(2)/sqrt(2 - a)."""
    found = {}
    for scaling in ("sde", "tutorial"):
        for step in (1.0, 4.0):
            weights = np.array([[0.0, 0.0], [3.0, 0.0]])
            recurrent = DaleWeights(weights, weights != 0, None)
            model = CTRNN(
                settings(n_units=2, step=step, noise=0.0, rate_noise=0.2, noise_scaling=scaling, dale=False),
                recurrent=recurrent,
            )
            run = model.trajectory(torch.zeros(400, 300, 2), noise=True, generator=torch.Generator().manual_seed(1))
            found[scaling, step] = float(run.states.detach()[:, 200:, 1].std())
            a = step / 20
            expected = 0.6 / np.sqrt(1 - a / 2) if scaling == "sde" else 0.6 * np.sqrt(a / (2 - a))
            assert found[scaling, step] == pytest.approx(expected, rel=0.06)
    assert found["sde", 4.0] == pytest.approx(found["sde", 1.0], rel=0.12)
    assert found["tutorial", 4.0] > 1.8 * found["tutorial", 1.0]


def test_only_excitatory_rates_are_read_out_unless_asked():
    network = CTRNN(settings()).network()
    assert (network.output_weights[:, ~network.excitatory] == 0).all()
    assert (CTRNN(settings(readout="all")).network().output_weights != 0).all()
    assert (CTRNN(settings(dale=False)).network().output_weights != 0).all()


def test_a_lesion_of_all_units_leaves_the_constant_of_the_readout(rng):
    network = CTRNN(settings(), given={"output_bias": [0.7]}).network()
    inputs = rng.normal(size=(2, 30, 2))
    run = run_network(network, inputs, perturbations=[Lesion.of_units(None)])
    np.testing.assert_allclose(run.outputs, 0.7, rtol=1e-6)
    alone = run_network(network.replace(weights=np.zeros((12, 12))), inputs)
    np.testing.assert_allclose(run.states, alone.states, atol=1e-14)


def test_lesions_and_pulses_act_in_their_window_only(rng):
    network = CTRNN(settings()).network()
    inputs = rng.normal(size=(2, 30, 2))
    plain = run_network(network, inputs)
    cut = run_network(network, inputs, perturbations=[Lesion(post=[0], pre=network.excitatory, start=10, stop=12)])
    np.testing.assert_array_equal(cut.states[:, :11], plain.states[:, :11])
    assert (cut.states[:, 11, 0] != plain.states[:, 11, 0]).all()
    np.testing.assert_array_equal(cut.states[:, 11, 1:], plain.states[:, 11, 1:])
    without = plain.states[:, 10, 0] - network.alpha[0] * (
        plain.rates[:, 10, network.excitatory] @ network.weights[0, network.excitatory]
    )
    moved = plain.states[:, 11, 0] - plain.states[:, 10, 0]
    np.testing.assert_allclose(cut.states[:, 11, 0], without + moved, atol=1e-14)
    pulsed = run_network(network, inputs, perturbations=[Pulse([3], 2.0, 10, 11)])
    np.testing.assert_array_equal(pulsed.states[:, :11], plain.states[:, :11])
    np.testing.assert_allclose(pulsed.states[:, 11, 3] - plain.states[:, 11, 3], 2.0 * network.alpha[3], atol=1e-14)


def test_time_constants_of_populations_and_units():
    model = CTRNN(settings(tau=(20.0, 10.0)))
    np.testing.assert_array_equal(model.network().tau, np.where(model.excitatory, 20.0, 10.0))
    each = tuple(float(t) for t in range(5, 17))
    np.testing.assert_array_equal(CTRNN(settings(tau=each)).network().tau, each)
    assert settings(tau=np.array(each)) == settings(tau=each)


def test_settings_survive_json_and_the_seed_decides_the_weights():
    chosen = settings(tau=(20.0, 10.0))
    assert CTRNNSettings(**json.loads(json.dumps(asdict(chosen)))) == chosen
    weights = [CTRNN(chosen, seed).network().weights for seed in (1, 1, 2)]
    np.testing.assert_array_equal(weights[0], weights[1])
    assert (weights[0] != weights[2]).any()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"step": 21.0}, "`step` is 21.0 ms and the smallest `tau` 20 ms"),
        ({"step": -1.0}, "`step` is -1.0"),
        ({"tau": (20.0, 0.0)}, "`tau` is"),
        ({"tau": ()}, "`tau` is"),
        ({"n_units": 0}, "`n_units` is 0"),
        ({"n_inputs": 1.5}, "`n_inputs` is 1.5"),
        ({"noise": -1.0}, "`noise` is -1.0"),
        ({"noise_scaling": "song"}, "`noise_scaling` is 'song'"),
        ({"readout": "inhibitory"}, "`readout` is 'inhibitory'"),
        ({"trainable": ("w",)}, r"`trainable` has \['w'\]"),
        ({"form": "both"}, "`form` is 'both'"),
        ({"activation": "step"}, "`activation` is 'step'"),
        ({"p_rec": 2.0}, "`p_rec` is 2.0"),
        ({"p_inh": -0.2}, "`p_inh` is -0.2"),
        ({"p_inh": 0.0}, "`balance` is True, but"),
        ({"parametrisation": "square"}, "`parametrisation` is 'square'"),
        ({"tau": (20.0, 20.0, 20.0)}, "`tau` has 3 values"),
        ({"tau": (20.0, 10.0), "dale": False}, "without Dale's law there are none"),
    ],
)
def test_what_is_no_ctrnn_is_refused(changes, message):
    with pytest.raises((TypeError, ValueError), match=message):
        CTRNN(settings(**changes))


@pytest.mark.parametrize(
    ("given_values", "message"),
    [
        ({"weights": -np.ones((12, 12))}, "breaks Dale's law"),
        ({"weights": np.ones((3, 3))}, r"`weights` has the shape \(3, 3\)"),
        ({"bias": np.full(12, np.nan)}, "`bias` has NaN"),
        ({"w_out": 0}, "`given` has 'w_out'"),
    ],
)
def test_given_values_that_do_not_fit_are_refused(given_values, message):
    with pytest.raises(ValueError, match=message):
        CTRNN(settings(), given=given_values)


def test_inputs_of_another_task_are_refused():
    model = CTRNN(settings())
    with pytest.raises(ValueError, match=r"needs \(trial, time, 2\). Do the task and the network belong together"):
        model(torch.zeros(1, 5, 4))
    with pytest.raises(ValueError, match="`inputs` has NaN"):
        model(torch.full((1, 5, 2), torch.nan))
    with pytest.raises(ValueError, match="`inputs` has the shape"):
        run_network(model.network(), np.zeros((5, 2)))
    with pytest.raises(ValueError, match="`noise_values` has the shape"):
        run_network(model.network(), np.zeros((1, 5, 2)), noise_values=(np.zeros((1, 4, 12)), None))


def test_connections_that_do_not_fit_are_refused():
    mask = np.ones((12, 12), bool)
    inhibitory = np.zeros(12, bool)
    with pytest.raises(ValueError, match="breaks Dale's law"):
        DaleWeights(np.ones((12, 12)), mask, inhibitory)
    with pytest.raises(ValueError, match="and finite"):
        DaleWeights(np.full((12, 12), np.nan), mask, None)
    with pytest.raises(ValueError, match="`mask` must have the shape"):
        DaleWeights(np.ones((12, 12)), ~mask, None)
    small = DaleWeights(np.ones((2, 2)), mask[:2, :2], None)
    with pytest.raises(ValueError, match="`recurrent` has 2 units and no Dale's law; the settings say n_units=12"):
        CTRNN(settings(), recurrent=small)


def test_perturbations_that_would_do_nothing_are_refused():
    network = CTRNN(settings()).network()
    inputs = np.zeros((1, 5, 2))
    with pytest.raises(TypeError, match="each must be a Lesion or a Pulse"):
        run_network(network, inputs, perturbations=({"pre": [0]},))
    with pytest.raises(ValueError, match="starts at 5 ms, but the run ends at 5 ms"):
        run_network(network, inputs, perturbations=(Pulse(None, 1.0, 5.0, 6.0),))


def test_a_network_that_diverges_gives_an_error_and_not_infinity():
    network = RateNetwork(
        weights=[[500.0]], input_weights=[[1.0]], output_weights=[[1.0]], tau=20.0, step=1.0, activation="relu"
    )
    with pytest.raises(NonFiniteError, match=r"`x` of the network is not finite after step \d+, at \d+ ms"):
        run_network(network, np.ones((1, 500, 1)))


def test_noise_is_on_or_off():
    network = CTRNN(settings()).network()
    with pytest.raises(TypeError, match="`noise` is 'off'"):
        run_network(network, np.zeros((1, 5, 2)), noise="off")
    with pytest.raises(ValueError, match="`noise_values` has 1 parts"):
        run_network(network, np.zeros((1, 5, 2)), noise_values=(np.zeros((1, 5, 12)),))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Lesion(start=5.0, stop=5.0), "stop must come after start"),
        (lambda: Lesion(start=float("nan")), "`start` is nan"),
        (lambda: Pulse(None, float("inf")), "`amplitude` is inf"),
        (lambda: Lesion(pre=[12]).keep(12), "`pre` is"),
        (lambda: Lesion(pre=[True]).keep(12), r"`pre` is a mask of the shape \(1,\)"),
        (lambda: Lesion(post=[0.5]).keep(12), "`post` is"),
    ],
)
def test_perturbations_that_cannot_be_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_noise_that_differs_between_units_is_not_a_ctrnns():
    network = RateNetwork(
        weights=np.zeros((2, 2)), input_weights=np.ones((2, 1)), output_weights=np.ones((1, 2)), tau=20.0, step=1.0,
        noise=[0.1, 0.2],
    )  # fmt: skip
    with pytest.raises(ValueError, match="`noise` of the network differs"):
        CTRNN.from_network(network)
    with pytest.raises(ValueError, match="`noise_scaling` cannot be changed"):
        CTRNN.from_network(CTRNN(settings()).network(), noise_scaling="tutorial")
