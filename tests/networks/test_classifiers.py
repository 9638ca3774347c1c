"""The hGRU classifier and its feedforward controls: sizes, parameter counts, image sizes and refusals."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from neurocircuit.networks import (
    FEEDFORWARD_CONTROLS,
    FeedforwardClassifier,
    FilterBank,
    HGRUClassifier,
    ReadOut,
    count_parameters,
    gabor_bank,
    matched_feedforward,
)

SMALL = {"channels": 4, "kernel_size": 5, "steps": 3}


def networks():
    return {
        "paper": HGRUClassifier(**SMALL, variant="paper"),
        "batchnorm": HGRUClassifier(**SMALL),
        "feedforward": FeedforwardClassifier(3, 4, layers=2, filters=4),
        "dilated": FeedforwardClassifier(3, 3, layers=2, dilation=2, filters=4),
    }


@pytest.fixture(params=["paper", "batchnorm", "feedforward", "dilated"])
def network(request):
    torch.manual_seed(0)
    return networks()[request.param]


@pytest.mark.parametrize(
    ("count", "make"),
    [
        (143_418, lambda: HGRUClassifier(variant="paper")),
        (285_637, HGRUClassifier),
        (143_368, lambda: HGRUClassifier(variant="paper", lesion="additive")),
        (143_368, lambda: HGRUClassifier(variant="paper", lesion="multiplicative")),
        (610_092, lambda: FeedforwardClassifier(*FEEDFORWARD_CONTROLS["36x10x10"][:2])),
        (321_852, lambda: FeedforwardClassifier(*FEEDFORWARD_CONTROLS["16x15x15"][:2])),
        (220_968, lambda: FeedforwardClassifier(*FEEDFORWARD_CONTROLS["9x20x20"][:2])),
    ],
)
def test_parameter_counts_are_the_published_ones(count, make):
    assert count_parameters(make()) == count


def test_frozen_parameters_are_not_counted():
    network = HGRUClassifier(**SMALL)
    whole = count_parameters(network)
    network.filters.requires_grad_(False)
    assert count_parameters(network) == whole - 4 * 49 - 4


@settings(max_examples=15)
@given(shape=st.tuples(st.integers(2, 3), st.integers(7, 20), st.integers(7, 20)), training=st.booleans())
@pytest.mark.parametrize("name", ["paper", "batchnorm", "feedforward", "dilated"])
def test_images_of_any_size_give_two_logits_and_gradients_everywhere(name, shape, training):
    torch.manual_seed(0)
    network = networks()[name].train(training)
    logits = network(torch.rand(shape[0], 1, *shape[1:]))
    assert logits.shape == (shape[0], 2)
    F.cross_entropy(logits, torch.arange(shape[0]) % 2).backward()
    assert all(parameter.grad is not None and parameter.grad.isfinite().all() for parameter in network.parameters())


def test_the_classifier_is_filters_squared_then_cell_then_read_out():
    network = HGRUClassifier(**SMALL).double().eval()
    image = torch.rand(2, 1, 9, 9, dtype=torch.float64)
    drive = F.conv2d(image, gabor_bank(4).double(), padding=3) ** 2
    *_, last = network.cell.unroll(drive)
    maps = F.batch_norm(last.h2, torch.zeros(4).double(), torch.ones(4).double(), eps=1e-3)
    maps = F.leaky_relu(F.conv2d(maps, network.read_out.conv.weight, network.read_out.conv.bias), 0.01)
    pooled = maps.amax((2, 3)) / (1 + 1e-3) ** 0.5
    expected = F.linear(pooled, network.read_out.dense.weight, network.read_out.dense.bias)
    torch.testing.assert_close(network(image), expected, atol=1e-12, rtol=0)


def test_states_are_those_of_the_cell_and_may_be_cut_short():
    network = HGRUClassifier(**SMALL).eval()
    image = torch.rand(1, 1, 9, 9)
    states = list(network.states(image))
    assert len(states) == 3
    assert torch.equal(network(image, steps=2), network.read_out(states[1].h2))
    with pytest.raises(ValueError, match="`steps` is 4"):
        network(image, steps=4)


def test_the_papers_read_out_has_neither_bias_nor_rectification():
    paper, notebook = HGRUClassifier(**SMALL, variant="paper").read_out, HGRUClassifier(**SMALL).read_out
    assert paper.conv.bias is None
    assert not paper.leaky
    assert notebook.conv.bias is not None
    assert notebook.leaky


def test_options_reach_the_cell():
    network = HGRUClassifier(**SMALL, lesion="additive", initial_state="learned", symmetric=True, boundary="periodic")
    cell = network.cell
    assert (cell.lesion, cell.initial_state) == ("additive", "learned")
    assert (cell.inhibition.symmetric, cell.inhibition.boundary) == (True, "periodic")


@pytest.mark.parametrize("variant", ["paper", "batchnorm"])
@pytest.mark.parametrize("lesion", ["additive", "multiplicative"])
def test_a_lesioned_classifier_trains_and_keeps_its_lesion(variant, lesion):
    torch.manual_seed(0)
    network = HGRUClassifier(**SMALL, variant=variant, lesion=lesion)
    optimiser, image = torch.optim.Adam(network.parameters(), lr=0.01), torch.rand(4, 1, 9, 9)
    losses = []
    for _ in range(40):
        optimiser.zero_grad()
        loss = F.cross_entropy(network(image), torch.tensor([0, 1, 0, 1]))
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.7 * losses[0]
    held = {"additive": ("mu", "kappa"), "multiplicative": ("alpha", "omega")}[lesion]
    assert not any(getattr(network.cell, name).any() for name in held)


def counted_by_hand(width, size):
    """Filters, five convolutions and their batch norms, a 1 x 1 convolution, a batch norm, a dense layer."""
    return 25 * 50 + size**2 * width * (25 + 4 * width) + 10 * width + 2 * width + 4 + 6


@pytest.mark.parametrize(("parameters", "sizes"), [(143_418, (9, 15, 20)), (285_637, (3, 10)), (5_000, (3, 4))])
def test_the_matched_control_is_the_nearest_that_is_not_smaller(parameters, sizes):
    network = matched_feedforward(parameters, kernel_sizes=sizes)
    count = count_parameters(network)
    assert count >= parameters
    width, _, size, _ = network.convs[-1].weight.shape
    assert count == counted_by_hand(width, size)
    every = [counted_by_hand(w, s) for s in sizes for w in range(1, 200)]
    assert count == min(total for total in every if total >= parameters)


def test_a_control_that_cannot_be_matched_is_refused():
    least = count_parameters(FeedforwardClassifier(1, 20))
    with pytest.raises(ValueError, match=rf"`parameters` is 1000; .* the smallest network has {least}\."):
        matched_feedforward(1000, kernel_sizes=(20,))
    with pytest.raises(ValueError, match="`kernel_sizes` is empty"):
        matched_feedforward(1000, kernel_sizes=())


def test_a_dilated_control_reaches_twice_as_far():
    near, far = (
        FeedforwardClassifier(2, 3, layers=1, filters=2),
        FeedforwardClassifier(2, 3, layers=1, dilation=2, filters=2),
    )
    reach = []
    for network in (near, far):
        image = torch.zeros(1, 2, 15, 15)
        image[..., 7, 7] = 1
        answered = F.pad(image, network.margins)
        places = network.convs[0](answered).abs().amax(1)[0].nonzero()
        reach.append((places - 7).abs().max().item())
    assert reach == [1, 2]
    assert far.convs[0].weight.shape == near.convs[0].weight.shape


def test_a_published_even_kernel_keeps_the_size_of_the_image():
    width, size, dilation = FEEDFORWARD_CONTROLS["36x10x10"]
    network = FeedforwardClassifier(width, size, dilation=dilation, layers=1)
    assert network.convs[0](F.pad(torch.zeros(1, 25, 31, 17), network.margins)).shape[-2:] == (31, 17)


# ---- what is refused


def test_a_batch_of_one_is_refused_in_training_only(network):
    image = torch.rand(1, 1, 12, 12)
    with pytest.raises(ValueError, match="batch of 1"):
        network.train()(image)
    assert network.eval()(image).shape == (1, 2)


@pytest.mark.parametrize("shape", [(2, 3, 12, 12), (1, 12, 12), (12, 12)])
def test_images_of_another_shape_are_refused(network, shape):
    with pytest.raises(ValueError, match=r"`image` has the shape .*expected grey images"):
        network(torch.zeros(shape))


def test_a_kernel_too_large_for_the_image_is_refused():
    with pytest.raises(ValueError, match="`kernel_size` is 15"):
        HGRUClassifier(4, 15, 2).eval()(torch.zeros(1, 1, 7, 30))


@pytest.mark.parametrize("variant", ["circuit", "lstm"])
def test_a_variant_that_is_no_classifier_is_refused(variant):
    with pytest.raises(ValueError, match=f"`variant` is '{variant}'"):
        HGRUClassifier(variant=variant)


@pytest.mark.parametrize("argument", ["width", "kernel_size", "layers", "dilation"])
@pytest.mark.parametrize("value", [0, 2.0, True])
def test_feedforward_sizes_are_whole_and_positive(argument, value):
    options = {"width": 2, "kernel_size": 3, argument: value}
    with pytest.raises((TypeError, ValueError), match=f"`{argument}` is {value}"):
        FeedforwardClassifier(**options)


def test_the_filter_bank_starts_as_the_gabor_bank_without_bias_and_is_trained():
    bank = FilterBank(6)
    assert torch.equal(bank.conv.weight, gabor_bank(6))
    assert not bank.conv.bias.any()
    assert bank.conv.weight.requires_grad


def test_the_read_out_gives_as_many_logits_as_there_are_classes():
    read_out = ReadOut(5, 3).eval()
    assert read_out(torch.rand(2, 5, 4, 6)).shape == (2, 3)
