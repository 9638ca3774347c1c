import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from neurocircuit.networks import HiddenLayer, HiddenLayerClassifier, linear_control, new_read_out
from neurocircuit.training import TensorSource, TrainingConfig, fit, load_weights
from neurocircuit.training.checkpoints import save_weights


def reference_activities(weights, inputs, p, power):
    """Eqs. 1 and 2, number by number, in plain Python."""
    found = np.zeros((len(inputs), len(weights)))
    for image, pixels in enumerate(inputs):
        for unit, row in enumerate(weights):
            current = sum(abs(w) ** (p - 2) * w * v for w, v in zip(row, pixels, strict=True))
            found[image, unit] = max(current, 0.0) ** power
    return found


@given(
    st.tuples(st.integers(1, 4), st.integers(1, 5), st.integers(1, 6)),
    st.sampled_from([2.0, 3.0, 2.5]),
    st.floats(1, 5),
    st.integers(0, 99),
)
def test_activities_are_the_rectified_currents_to_a_power(sizes, p, power, seed):
    batch, hidden, size = sizes
    numbers = np.random.default_rng(seed)
    weights, inputs = numbers.standard_normal((hidden, size)), numbers.standard_normal((batch, size))
    layer = HiddenLayer(torch.from_numpy(weights), p=p, power=power, scale=0.5)
    found = layer(torch.from_numpy(inputs))
    np.testing.assert_allclose(found, 0.5 * reference_activities(weights, inputs, p, power), rtol=1e-10, atol=1e-12)


def test_a_scaled_layer_has_activities_of_mean_square_one(rng):
    inputs = torch.from_numpy(rng.standard_normal((70, 9)) * 1e-3)
    layer = HiddenLayer(torch.from_numpy(rng.standard_normal((8, 9))), power=4.5).scaled_to(inputs, chunk=32)
    assert float(layer(inputs).square().mean()) == pytest.approx(1)
    with pytest.raises(ValueError, match="`inputs` give activities whose squares sum up to 0"):
        layer.scaled_to(0 * inputs)


@pytest.mark.parametrize(("p", "power"), [(2.0, 1.0), (2.0, 4.5), (3.0, 1.0)])
def test_gradients_of_a_trained_layer_are_those_of_finite_differences(p, power, rng):
    layer = HiddenLayer(torch.from_numpy(rng.standard_normal((3, 4))), p=p, power=power, trained=True)
    inputs = torch.from_numpy(rng.standard_normal((5, 4)))

    def function(weights):
        return torch.func.functional_call(layer, {"weights": weights}, inputs)

    assert torch.autograd.gradcheck(function, layer.weights)
    assert torch.isfinite(torch.autograd.grad(layer(inputs).sum(), layer.weights)[0]).all()


def test_a_read_out_trained_on_activities_is_that_of_the_whole_model(tmp_path, rng):
    inputs = torch.from_numpy(rng.standard_normal((60, 7))).float()
    labels = torch.from_numpy(rng.integers(0, 3, 60))
    hidden = HiddenLayer(torch.from_numpy(rng.standard_normal((5, 7))).float(), power=2.0)
    config = TrainingConfig(steps=40, batch_size=8, learning_rate=0.05, evaluate_every=40)
    whole, part = HiddenLayerClassifier(hidden, new_read_out(5, 3, 1)), new_read_out(5, 3, 1)
    for model, features, name in ((whole, inputs, "whole"), (part, hidden(inputs), "part")):
        source = TensorSource(features, labels)
        fit(model, source, source, config, tmp_path / name)
    untrained = HiddenLayerClassifier(hidden, new_read_out(5, 3, 1))
    assert not torch.allclose(untrained(inputs), whole(inputs), atol=0.1)
    torch.testing.assert_close(HiddenLayerClassifier(hidden, part)(inputs), whole(inputs), rtol=1e-5, atol=1e-6)


def test_only_a_trained_hidden_layer_has_parameters():
    weights = torch.ones(4, 3)
    assert not list(HiddenLayer(weights).parameters())
    layer = HiddenLayer(weights, trained=True)
    assert [tuple(parameter.shape) for parameter in layer.parameters()] == [(4, 3)]
    with torch.no_grad():
        layer.weights.zero_()
    assert weights.sum() == 12
    assert "3, 4, p=2, power=1" in repr(layer)


def test_a_trained_layer_stays_trained_when_scaled():
    layer = HiddenLayer(torch.ones(4, 3), trained=True).scaled_to(torch.ones(2, 3))
    assert isinstance(layer.weights, nn.Parameter)


@pytest.mark.parametrize("trained", [False, True])
def test_a_state_carries_all_that_decides_the_activities(trained, tmp_path, rng):
    weights, inputs = torch.from_numpy(rng.standard_normal((4, 3))), torch.from_numpy(rng.standard_normal((5, 3)))
    first = HiddenLayer(weights, p=3.0, power=2.5, trained=trained).scaled_to(10 * inputs)
    save_weights(first, tmp_path / "layer.safetensors", {})
    for fill in (
        lambda layer: layer.load_state_dict(first.state_dict()),
        lambda layer: load_weights(layer, tmp_path / "layer.safetensors"),
    ):
        other = HiddenLayer(torch.ones(4, 3, dtype=torch.float64), trained=trained)
        fill(other)
        assert torch.equal(other(inputs), first(inputs))
    with pytest.raises(RuntimeError, match="scale"):
        HiddenLayer(weights).load_state_dict({"weights": weights})


@pytest.mark.parametrize("trained", [False, True])
@pytest.mark.parametrize("pixel", [math.nan, math.inf, -math.inf, 1e20])
def test_activities_that_are_not_finite_are_refused(pixel, trained):
    layer = HiddenLayer(torch.ones(2, 3), power=4.5, trained=trained).eval()
    inputs = torch.ones(4, 3)
    assert torch.isfinite(layer(inputs)).all()
    inputs[2, 1] = pixel
    with pytest.raises(ValueError, match=r"`inputs` give activities that are NaN or infinite, with the power 4\.5"):
        layer(inputs)


def test_a_model_without_a_read_out_does_not_answer():
    model = HiddenLayerClassifier(HiddenLayer(torch.ones(4, 3)))
    with pytest.raises(ValueError, match=r"no `read_out`.*train one"):
        model(torch.ones(2, 3))
    with pytest.raises(ValueError, match="`read_out` is for 5 hidden units, but `hidden` has 4"):
        HiddenLayerClassifier(model.hidden, new_read_out(5, 2))


def test_images_of_another_size_than_the_weights_are_refused():
    model = HiddenLayerClassifier(HiddenLayer(torch.ones(4, 3)), new_read_out(4, 2))
    with pytest.raises(ValueError, match="`inputs` has images of 5 pixels, but `weights` is for 3"):
        model(torch.ones(2, 5))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"weights": torch.ones(3)}, "`weights` has the shape"),
        ({"weights": torch.ones(0, 3)}, "`weights` has the shape"),
        ({"weights": torch.full((2, 3), math.nan)}, "`weights` has values that are NaN"),
        ({"p": 0.5}, "`p` is 0.5; it must be at least 1"),
        ({"power": 0.5}, "`power` is 0.5; it must be at least 1"),
        ({"power": math.inf}, "`power` is inf"),
        ({"scale": 0.0}, "`scale` is 0.0; it must be above 0"),
        ({"scale": math.nan}, "`scale` is nan"),
    ],
)
def test_impossible_arguments_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        HiddenLayer(**{"weights": torch.ones(2, 3), **changes})


def test_the_linear_control_is_batch_norm_and_a_linear_map(rng):
    model = linear_control(4, 3, seed=2).double()
    inputs = torch.from_numpy(rng.standard_normal((50, 4)) * [1, 10, 100, 0.1] + 5)
    normal = (inputs - inputs.mean(0)) / torch.sqrt(inputs.var(0, unbiased=False) + 1e-5)
    expected = normal @ model[1].weight.T + model[1].bias
    torch.testing.assert_close(model(inputs), expected)


def test_starts_follow_from_the_seed():
    before = torch.get_rng_state()
    first, second, other = new_read_out(6, 2, 1), new_read_out(6, 2, 1), new_read_out(6, 2, 2)
    assert torch.equal(first.weight, second.weight)
    assert not torch.equal(first.weight, other.weight)
    assert torch.equal(torch.get_rng_state(), before)
