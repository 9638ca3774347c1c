"""How the error travels back: against formulas worked out by hand, and against backpropagation where it must agree."""

import copy
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn.functional import cross_entropy

from neurocircuit.cells import FeedbackChain, LocallyConnected2d
from neurocircuit.cells.feedback import through_fixed_weights

BATCH, INPUTS, CLASSES = 5, 4, 3


def dense_chain(feedback, seed=0):
    torch.manual_seed(seed)
    layers = [nn.Linear(*pair) for pair in pairwise([INPUTS, 6, 5, CLASSES])]
    after = [nn.ReLU(), nn.ReLU(), nn.Identity()]
    return FeedbackChain(layers, after, sample_shape=(INPUTS,), feedback=feedback, seed=seed).double()


def local_chain(feedback, seed=0):
    """Layers with windows: unshared ones and a convolution, with everything that may follow a layer."""
    torch.manual_seed(seed)
    layers = [
        LocallyConnected2d(2, 3, 3, (8, 8), seed=seed),
        nn.Conv2d(3, 4, 2),
        LocallyConnected2d(4, 4, 2, (2, 2), seed=seed + 1),
        nn.Linear(4, CLASSES),
    ]
    after = [
        nn.Sequential(nn.BatchNorm2d(3), nn.ReLU()),
        nn.Sequential(nn.ReLU(), nn.MaxPool2d(2), nn.Dropout2d(0.3)),
        nn.Sequential(nn.Tanh(), nn.Flatten()),
        nn.Identity(),
    ]
    return FeedbackChain(layers, after, sample_shape=(2, 8, 8), feedback=feedback, seed=seed).double()


def batch(shape=(INPUTS,), seed=3):
    generator = torch.Generator().manual_seed(seed)
    inputs = torch.randn(BATCH, *shape, generator=generator, dtype=torch.float64)
    return inputs, torch.randint(CLASSES, (BATCH,), generator=generator)


def gradients(chain, inputs, labels):
    chain.zero_grad()
    torch.manual_seed(11)
    cross_entropy(chain(inputs), labels).backward()
    return {name: parameter.grad.clone() for name, parameter in chain.named_parameters()}


def layer_arrays(chain):
    return [(layer.weight.detach().numpy(), layer.bias.detach().numpy()) for layer in chain.layers]


def error_by_hand(logits, labels):
    """The gradient of the mean cross-entropy at the logits."""
    exponential = np.exp(logits - logits.max(1, keepdims=True))
    return (exponential / exponential.sum(1, keepdims=True) - np.eye(CLASSES)[labels]) / len(logits)


def test_a_linear_network_of_two_layers_has_the_gradients_worked_out_by_hand():
    # L = |W2 W1 x - t|^2 / 2 with two hidden units: e = W2 W1 x - t = 1, dL/dW2 = e W1 x, dL/dW1 = e (W2 or B) x.
    layers = [nn.Linear(1, 2, bias=False), nn.Linear(2, 1, bias=False)]
    with torch.no_grad():
        layers[0].weight.copy_(torch.tensor([[2.0], [1.0]]))
        layers[1].weight.copy_(torch.tensor([[3.0, 4.0]]))
    x, target = torch.tensor([[5.0]]), 49.0
    for feedback, back in (("transpose", (3.0, 4.0)), ("random", (-7.0, 6.0)), ("direct", (-7.0, 6.0))):
        chain = FeedbackChain(layers, [nn.Identity()] * 2, sample_shape=(1,), feedback=feedback)
        if feedback != "transpose":
            chain.feedback_weight(1 if feedback == "random" else 0).copy_(torch.tensor([back]))
        chain.zero_grad()
        ((chain(x) - target) ** 2 / 2).sum().backward()
        assert layers[1].weight.grad.tolist() == [[1.0 * 2.0 * 5.0, 1.0 * 1.0 * 5.0]]
        assert layers[0].weight.grad.tolist() == [[1.0 * unit * 5.0] for unit in back]


@pytest.mark.parametrize("feedback", ["random", "direct"])
@pytest.mark.parametrize("seed", range(3))
def test_feedback_alignment_follows_its_formula(feedback, seed):
    chain = dense_chain(feedback, seed)
    inputs, labels = batch(seed=seed)
    found = gradients(chain, inputs, labels)
    (w0, b0), (w1, b1), (w2, b2) = layer_arrays(chain)
    x = inputs.numpy()
    h0 = np.maximum(x @ w0.T + b0, 0)
    h1 = np.maximum(h0 @ w1.T + b1, 0)
    e2 = error_by_hand(h1 @ w2.T + b2, labels)
    if feedback == "random":
        # The error goes down layer by layer.
        e1 = e2 @ chain.feedback_weight(2).numpy() * (h1 > 0)
        e0 = e1 @ chain.feedback_weight(1).numpy() * (h0 > 0)
    else:
        # Every layer gets the error of the output.
        e1 = e2 @ chain.feedback_weight(1).numpy() * (h1 > 0)
        e0 = e2 @ chain.feedback_weight(0).numpy() * (h0 > 0)
    for number, (error, activity) in enumerate(((e0, x), (e1, h0), (e2, h1))):
        np.testing.assert_allclose(found[f"layers.{number}.weight"], error.T @ activity, rtol=0, atol=1e-13)
        np.testing.assert_allclose(found[f"layers.{number}.bias"], error.sum(0), rtol=0, atol=1e-13)


def test_direct_feedback_reaches_maps_as_a_projection_of_the_error():
    chain = local_chain("direct").eval()
    inputs, labels = batch((2, 8, 8))
    inside = []

    def keep(module, given, out):
        out.retain_grad()
        inside.append(out)

    for number in range(3):
        chain.after[number].register_forward_hook(keep)
    logits = chain(inputs)
    cross_entropy(logits, labels).backward()
    error = error_by_hand(logits.detach().numpy(), labels)
    for number, hidden in enumerate(inside):
        wanted = np.einsum("bk,k...->b...", error, chain.feedback_weight(number).numpy())
        np.testing.assert_allclose(hidden.grad, wanted, rtol=0, atol=1e-14)


@pytest.mark.parametrize("make", [dense_chain, local_chain])
def test_feedback_through_a_copy_of_the_weights_is_backpropagation(make):
    chain = make("random")
    for number in range(1, len(chain.layers)):
        chain.feedback_weight(number).copy_(chain.layers[number].weight.detach())
    inputs, labels = batch((INPUTS,) if make is dense_chain else (2, 8, 8))
    found = gradients(copy.deepcopy(chain), inputs, labels)
    with chain.transposed():
        true = gradients(chain, inputs, labels)
    assert chain.feedback == "random"
    for name, gradient in true.items():
        assert torch.equal(found[name], gradient), name


@pytest.mark.parametrize("feedback", ["random", "direct"])
@pytest.mark.parametrize("make", [dense_chain, local_chain])
def test_only_the_last_layers_gradient_is_the_true_one(make, feedback):
    chain = make(feedback)
    inputs, labels = batch((INPUTS,) if make is dense_chain else (2, 8, 8))
    found = gradients(copy.deepcopy(chain), inputs, labels)
    with chain.transposed():
        true = gradients(chain, inputs, labels)
    last = f"layers.{len(chain.layers) - 1}."
    for name, gradient in true.items():
        assert torch.equal(found[name], gradient) == name.startswith(last), name


@settings(max_examples=30)
@given(
    channels=st.tuples(st.integers(1, 2), st.integers(1, 3)),
    groups=st.integers(1, 2),
    size=st.tuples(st.integers(3, 6), st.integers(3, 6)),
    kernel=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    stride=st.integers(1, 2),
    padding=st.integers(0, 1),
    shared=st.booleans(),
)
def test_the_error_goes_down_through_the_fixed_weights_of_any_window(
    channels, groups, size, kernel, stride, padding, shared
):
    pre, post = (count * groups for count in channels)
    torch.manual_seed(0)
    options = {"stride": stride, "padding": padding, "groups": groups}

    def make():
        if shared:
            return nn.Conv2d(pre, post, kernel, **options).double()
        return LocallyConnected2d(pre, post, kernel, size, **options).double()

    layer, other = make(), make()
    field = torch.randn(2, pre, *size, dtype=torch.float64, requires_grad=True)
    output = through_fixed_weights(layer, field, other.weight.detach())
    assert torch.equal(output, layer(field))
    error = torch.randn(output.shape, dtype=torch.float64)
    output.backward(error)
    # As matrices: the error times the other layer's matrix, each of whose columns is its answer to one pixel.
    pixels = torch.eye(pre * size[0] * size[1], dtype=torch.float64).view(-1, pre, *size)
    with torch.no_grad():
        matrix = (other(pixels) - other(torch.zeros_like(pixels[:1]))).flatten(1)
    torch.testing.assert_close(field.grad.flatten(1), error.flatten(1) @ matrix.T)
    assert other.weight.grad is None
    own = torch.autograd.grad(layer(field.detach()), list(layer.parameters()), error)
    for parameter, gradient in zip(layer.parameters(), own, strict=True):
        assert torch.equal(parameter.grad, gradient)


@pytest.mark.parametrize("feedback", ["random", "direct"])
def test_outputs_do_not_depend_on_the_feedback(feedback):
    inputs, _ = batch((2, 8, 8))
    chain = local_chain(feedback).eval()
    with chain.transposed():
        expected = chain(inputs)
    assert torch.equal(chain(inputs), expected)
    with torch.no_grad():
        assert torch.equal(chain(inputs), expected)


def test_feedback_weights_are_fixed_local_and_scaled_as_the_weights_they_stand_for():
    torch.manual_seed(0)
    layers = [LocallyConnected2d(3, 8, 3, (12, 12), seed=0), LocallyConnected2d(8, 8, 3, (10, 10), seed=1)]
    layers.append(nn.Linear(512, 10))
    after = [nn.ReLU(), nn.Sequential(nn.ReLU(), nn.Flatten()), nn.Identity()]
    random = FeedbackChain(layers, after, sample_shape=(3, 12, 12), feedback="random")
    for number in (1, 2):
        weight, feedback = layers[number].weight.detach(), random.feedback_weight(number)
        # In-window weights only, and none shared.
        assert feedback.shape == weight.shape
        assert feedback.unique().numel() > 0.99 * feedback.numel()
        assert float(feedback.std() / weight.std()) == pytest.approx(1, abs=0.03)
        # Independent of the weights, although the seed is the same: within 5 standard deviations of no correlation.
        correlation = np.corrcoef(feedback.flatten(), weight.flatten())[0, 1]
        assert abs(correlation) < 5 / np.sqrt(weight.numel())
    direct = FeedbackChain(layers, after, sample_shape=(3, 12, 12), feedback="direct")
    assert [tuple(direct.feedback_weight(number).shape) for number in (0, 1)] == [(10, 8, 10, 10), (10, 512)]
    assert float(direct.feedback_weight(0).std() / layers[2].weight.detach().std()) == pytest.approx(1, abs=0.03)
    before = random.feedback_weight(1).clone()
    optimiser = torch.optim.SGD(random.parameters(), 0.1)
    random(torch.randn(4, 3, 12, 12)).square().sum().backward()
    optimiser.step()
    assert torch.equal(random.feedback_weight(1), before)
    assert {"feedback_1", "feedback_2"} <= random.state_dict().keys()
    assert not any("feedback" in name for name, _ in random.named_parameters())


@given(seed=st.integers(0, 2**32 - 1))
def test_the_same_seed_gives_the_same_feedback_and_leaves_the_global_generator_alone(seed):
    layers = [nn.Linear(3, 4), nn.Linear(4, 2)]
    state = torch.get_rng_state()
    chains = [
        FeedbackChain(layers, [nn.Identity()] * 2, sample_shape=(3,), feedback="random", seed=number)
        for number in (seed, seed, seed + 1)
    ]
    assert torch.equal(torch.get_rng_state(), state)
    first, second, third = (chain.feedback_weight(1) for chain in chains)
    assert torch.equal(first, second)
    assert not torch.equal(first, third)


def test_shapes_are_found_without_a_trace_in_the_batch_norm():
    norms = [local_chain("direct").after[0][0]]
    layers = [nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2)]
    norms.append(FeedbackChain(layers, [nn.Identity()] * 3, sample_shape=(3,), feedback="direct").layers[1])
    for norm in norms:
        assert int(norm.num_batches_tracked) == 0
        assert norm.training


@pytest.mark.parametrize("feedback", ["random", "direct"])
def test_half_precision_training_goes_through(feedback):
    chain = dense_chain(feedback).float()
    inputs, labels = batch()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = cross_entropy(chain(inputs.float()), labels)
    loss.backward()
    assert all(torch.isfinite(parameter.grad).all() for parameter in chain.parameters())


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"feedback": "sign"}, ValueError, "`feedback` is 'sign'; it must be one of transpose, random, direct"),
        ({"after": [nn.ReLU()]}, ValueError, "`layers` has 2 modules and `after` 1"),
        ({"layers": [], "after": []}, ValueError, "there must be at least one layer"),
        ({"layers": [nn.Linear(2, 2), nn.ReLU()]}, TypeError, "`layers` has at place 1 a ReLU without a parameter"),
    ],
)
def test_what_is_no_chain_is_refused(change, error, message):
    given = {"layers": [nn.Linear(2, 2), nn.Linear(2, 2)], "after": [nn.ReLU(), nn.Identity()], "sample_shape": (2,)}
    given |= change
    with pytest.raises(error, match=message):
        FeedbackChain(given.pop("layers"), given.pop("after"), **given)


def zero(layer):
    nn.init.zeros_(layer.weight)
    return layer


@pytest.mark.parametrize(
    ("feedback", "layers", "sample_shape", "message"),
    [
        ("direct", [nn.Conv2d(1, 2, 3), nn.Conv2d(2, 2, 3)], (1, 6, 6), r"end in the shape \(2, 2, 2\) .*nn.Flatten"),
        ("random", [nn.Linear(3, 4), nn.PReLU()], (3,), "has at place 1 a PReLU, which is not linear in its input"),
        ("random", [nn.Linear(3, 4), nn.LayerNorm(4)], (3,), "has at place 1 a LayerNorm, which is not linear"),
        ("random", [nn.Linear(3, 4), nn.BatchNorm1d(4)], (3,), "has at place 1 a BatchNorm1d, which is not linear"),
        (
            "random",
            [nn.Linear(3, 4), zero(nn.Linear(4, 2))],
            (3,),
            "has at place 1 a Linear whose weights are all equal",
        ),
        (
            "direct",
            [nn.Linear(3, 4), zero(nn.Linear(4, 2))],
            (3,),
            "has at place 1 a Linear whose weights are all equal",
        ),
        (
            "random",
            [nn.Linear(3, 4), nn.Linear(4, 2)],
            (5,),
            r"`sample_shape` is \(5,\), with which the Linear at place 0",
        ),
        (
            "direct",
            [nn.Linear(3, 4), nn.Linear(5, 2)],
            (3,),
            r"the Linear at place 1 of `layers`.* is given \(4,\) without",
        ),
        (
            "direct",
            [LocallyConnected2d(1, 2, 3, 6), nn.Linear(4, 2)],
            (1, 8, 8),
            r"`sample_shape` is \(1, 8, 8\), with which the LocallyConnected2d at place 0",
        ),
    ],
)
def test_layers_that_no_feedback_weights_can_serve_are_refused(feedback, layers, sample_shape, message):
    with pytest.raises(ValueError, match=message):
        FeedbackChain(layers, [nn.Identity()] * 2, sample_shape=sample_shape, feedback=feedback)
    # Without feedback weights nothing is asked of them.
    FeedbackChain(layers, [nn.Identity()] * 2, sample_shape=sample_shape)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_layers_that_are_linear_up_to_rounding_are_taken(dtype):
    # A batch norm in evaluation is linear apart from a bias, and counts none of the samples it is tried with.
    norm = nn.BatchNorm2d(4).eval()
    nn.init.normal_(norm.weight, generator=torch.Generator().manual_seed(0))
    layers = [nn.Conv2d(1, 3, 3), LocallyConnected2d(3, 4, 2, 6, seed=0), norm, nn.Linear(100, 2)]
    layers = [layer.to(dtype) for layer in layers]
    before = copy.deepcopy(norm.state_dict())
    after = [nn.Identity(), nn.ReLU(), nn.Flatten(), nn.Identity()]
    chain = FeedbackChain(layers, after, sample_shape=(1, 8, 8), feedback="random")
    assert all(float(chain.feedback_weight(number).float().std()) > 0 for number in (1, 2, 3))
    assert all(torch.equal(value, before[name]) for name, value in norm.state_dict().items())


@pytest.mark.parametrize(("seed", "error"), [(1.5, TypeError), (-1, ValueError)])
def test_what_is_no_seed_is_refused(seed, error):
    with pytest.raises(error, match=f"`seed` is {seed}"):
        FeedbackChain([nn.Linear(2, 2)], [nn.Identity()], sample_shape=(2,), feedback="random", seed=seed)


@pytest.mark.parametrize(("feedback", "number"), [("transpose", 0), ("random", 0), ("direct", 2)])
def test_feedback_weights_that_do_not_exist_are_not_made_up(feedback, number):
    with pytest.raises(ValueError, match=f"`number` is {number}"):
        dense_chain(feedback).feedback_weight(number)
