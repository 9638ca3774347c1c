"""Networks of layers with windows: the notebook's three layouts, their sizes, and what is refused."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from neurocircuit.cells import LocallyConnected2d
from neurocircuit.networks import (
    SPATIAL_LAYOUTS,
    FullLayer,
    SpatialLayer,
    SpatialNet,
    SpatialNetSettings,
    count_parameters,
    match_parameters,
    scale_width,
    spatial_parameters,
)

DENSE_NET, CONV_NET, SIMPLE = (SPATIAL_LAYOUTS[name] for name in ("spatial-dense", "regular-conv", "simple"))
SMALL = SPATIAL_LAYOUTS["small"]

#: Weights of the six layers of the notebook's SpatialDenseNet: within windows, and of its dense form.
LOCAL_WEIGHTS = (243_000, 1_411_200, 829_440, 1_843_200, 524_288, 1_179_648)
DENSE_WEIGHTS = (27_648_000, 141_120_000, 18_063_360, 29_491_200, 3_276_800, 4_718_592)
FULL_PARAMETERS, LOCAL_BIASES, NORM_PARAMETERS = 1_185_290, 40_040, 2 * (10 + 32 + 128)


def spatial_dense_by_hand():
    """The notebook's SpatialDenseNet as one sequence, with layers that keep to their windows."""
    local = LocallyConnected2d
    return nn.Sequential(
        *(local(3, 10, 3, 32), nn.BatchNorm2d(10), nn.ReLU()),
        *(local(10, 20, 3, 30), nn.ReLU(), nn.MaxPool2d(2)),
        *(local(20, 32, 3, 14), nn.BatchNorm2d(32), nn.ReLU()),
        *(local(32, 64, 3, 12), nn.ReLU(), nn.MaxPool2d(2), nn.Dropout2d(0.05)),
        *(local(64, 128, 2, 5), nn.BatchNorm2d(128), nn.ReLU()),
        *(local(128, 256, 2, 4), nn.ReLU()),
        *(nn.Flatten(), nn.Dropout(0.1), nn.Linear(2304, 512), nn.ReLU(), nn.Dropout(0.1), nn.Linear(512, 10)),
    )


def regular_conv_by_hand():
    """The notebook's RegularConvNet as one sequence."""
    return nn.Sequential(
        *(nn.Conv2d(3, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU()),
        *(nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2, 2)),
        *(nn.Conv2d(64, 128, 3, padding=1), nn.BatchNorm2d(128), nn.ReLU()),
        *(nn.Conv2d(128, 128, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2, 2), nn.Dropout2d(0.05)),
        *(nn.Conv2d(128, 256, 3, padding=1), nn.BatchNorm2d(256), nn.ReLU()),
        *(nn.Conv2d(256, 256, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2, 2)),
        *(nn.Flatten(), nn.Dropout(0.1), nn.Linear(4096, 1024), nn.ReLU(), nn.Linear(1024, 512), nn.ReLU()),
        *(nn.Dropout(0.1), nn.Linear(512, 10)),
    )


def simple_by_hand():
    """The notebook's SimpleModel as one sequence."""
    return nn.Sequential(LocallyConnected2d(3, 5, 3, 32), nn.Flatten(), nn.Linear(5 * 30 * 30, 10))


def in_order(network):
    """Layers with weights, then batch norms, each from the input up."""
    found = list(network.modules())
    kinds = ((nn.Conv2d, nn.Linear, LocallyConnected2d), nn.BatchNorm2d)
    return [[module for module in found if isinstance(module, kind)] for kind in kinds]


@pytest.mark.parametrize(
    ("layout", "by_hand"),
    [(DENSE_NET, spatial_dense_by_hand), (CONV_NET, regular_conv_by_hand), (SIMPLE, simple_by_hand)],
    ids=["spatial-dense", "regular-conv", "simple"],
)
def test_the_layouts_are_those_of_the_notebook(layout, by_hand):
    network, reference = SpatialNet(layout), by_hand()
    for own, theirs in zip(in_order(network), in_order(reference), strict=True):
        for one, other in zip(own, theirs, strict=True):
            other.load_state_dict(one.state_dict())
    images = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    # In training, so that dropout and the statistics of the batch take part: the same draws in the same order.
    for module in (network, reference):
        module.train()
    torch.manual_seed(1)
    found = network(images)
    torch.manual_seed(1)
    assert torch.equal(found, reference(images))


def test_the_locally_connected_network_has_the_published_numbers_of_parameters():
    network = SpatialNet(DENSE_NET)
    layers = [layer for layer in network.chain.layers if isinstance(layer, LocallyConnected2d)]
    assert tuple(layer.weight.numel() for layer in layers) == LOCAL_WEIGHTS
    assert sum(layer.bias.numel() for layer in layers) == LOCAL_BIASES
    assert sum(LOCAL_WEIGHTS) == 6_030_776
    total = sum(LOCAL_WEIGHTS) + FULL_PARAMETERS + LOCAL_BIASES + NORM_PARAMETERS
    assert count_parameters(network) == spatial_parameters(DENSE_NET) == total


def test_the_notebooks_dense_form_has_the_published_numbers_of_parameters():
    dense = sum(DENSE_WEIGHTS) + FULL_PARAMETERS + LOCAL_BIASES + NORM_PARAMETERS
    assert spatial_parameters(replace(DENSE_NET, kind="dense")) == dense
    with torch.device("meta"):
        network = SpatialNet(replace(DENSE_NET, kind="dense"))
    assert tuple(layer.weight.numel() for layer in network.chain.layers[:6]) == DENSE_WEIGHTS


def test_feedback_weights_are_no_parameters():
    network = SpatialNet(replace(SMALL, feedback="random"))
    assert count_parameters(network) == spatial_parameters(SMALL) == spatial_parameters(network.settings)


def test_the_simple_model_is_affine():
    network = SpatialNet(SIMPLE).double()
    images = torch.randn(3, 3, 32, 32, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    origin = network(torch.zeros(1, 3, 32, 32, dtype=torch.float64))
    torch.testing.assert_close(
        network(2 * images[:1] - images[1:2]) - origin, 2 * network(images[:1]) - network(images[1:2]) - origin
    )


@pytest.mark.parametrize("feedback", ["transpose", "random", "direct"])
@pytest.mark.parametrize("kind", ["conv", "local"])
def test_weights_follow_from_the_seed_whatever_the_feedback_and_differ_from_the_feedbacks(kind, feedback):
    chosen = replace(SMALL, kind=kind, feedback=feedback)
    state = torch.get_rng_state()
    network, again, other = SpatialNet(chosen, seed=4), SpatialNet(chosen, seed=4), SpatialNet(chosen, seed=5)
    assert torch.equal(torch.get_rng_state(), state)
    plain = SpatialNet(replace(SMALL, kind=kind), seed=4)
    for name, weight in plain.named_parameters():
        assert torch.equal(network.get_parameter(name), weight)
    for name, value in network.state_dict().items():
        assert torch.equal(again.state_dict()[name], value)
        if (name.endswith("weight") and "layers" in name) or "feedback" in name:
            assert not torch.equal(other.state_dict()[name], value)
    if feedback == "random":
        weight = network.chain.layers[2].weight.detach().flatten()
        correlation = np.corrcoef(weight, network.chain.feedback_weight(2).flatten())[0, 1]
        assert abs(correlation) < 4 / math.sqrt(len(weight))


@settings(max_examples=25)
@given(
    kind=st.sampled_from(["conv", "local", "dense"]),
    shape=st.tuples(st.integers(1, 3), st.integers(7, 12), st.integers(7, 12)),
    classes=st.integers(2, 5),
    pool=st.booleans(),
    norm=st.booleans(),
    hidden=st.booleans(),
)
def test_any_image_goes_through_with_the_sizes_foretold(kind, shape, classes, pool, norm, hidden):
    spatial = (SpatialLayer(channels=3, norm=norm), SpatialLayer(channels=2, kernel_size=2, pool=pool, map_dropout=0.1))
    full = (FullLayer(units=6, dropout=0.2),) if hidden else ()
    chosen = SpatialNetSettings(spatial=spatial, full=full, kind=kind, image_shape=shape, classes=classes)
    network = SpatialNet(chosen)
    seen = []
    for layer in network.chain.layers[:2]:
        layer.register_forward_pre_hook(lambda module, given: seen.append(tuple(given[0].shape[1:])))
    assert network(torch.zeros(3, *shape)).shape == (3, classes)
    assert tuple(seen) == chosen.sizes()[:2]
    assert network.chain.layers[2].in_features == math.prod(chosen.sizes()[2])
    assert count_parameters(network) == spatial_parameters(chosen)


@pytest.mark.parametrize("layout", [DENSE_NET, SMALL], ids=["spatial-dense", "small"])
def test_convolutions_are_widened_to_the_parameters_of_local_layers(layout):
    wanted = spatial_parameters(layout)
    matched = match_parameters(replace(layout, kind="conv"), wanted)
    assert matched.kind == "conv"
    assert spatial_parameters(matched) == pytest.approx(wanted, rel=0.02)
    # No network one channel wider or narrower in all layers is nearer.
    for step in (-1, 1):
        spatial = tuple(replace(layer, channels=layer.channels + step) for layer in matched.spatial)
        other = spatial_parameters(replace(matched, spatial=spatial))
        assert abs(other - wanted) >= abs(spatial_parameters(matched) - wanted)


def test_layers_that_are_not_built_are_not_drawn(monkeypatch):
    drawn, uniform = [], torch.Tensor.uniform_

    def count(values, *arguments, **named):
        if not values.is_meta:
            drawn.append(values.numel())
        return uniform(values, *arguments, **named)

    monkeypatch.setattr(torch.Tensor, "uniform_", count)
    wanted = spatial_parameters(replace(SMALL, spatial=tuple(replace(layer, channels=12) for layer in SMALL.spatial)))
    matched = match_parameters(SMALL, wanted)
    assert (matched.kind, drawn) == ("local", [])
    assert spatial_parameters(matched) == pytest.approx(wanted, rel=0.1)
    assert count_parameters(SpatialNet(matched)) == spatial_parameters(matched)
    assert sum(drawn) > 0


def test_sizes_may_be_numpys_and_are_kept_as_pythons():
    one = SpatialLayer(channels=np.int64(2), kernel_size=np.int32(3))
    chosen = SpatialNetSettings(spatial=(one,), image_shape=tuple(np.array([1, 8, 8])), classes=np.int64(3))
    kept = (one.channels, one.kernel_size, *chosen.image_shape, chosen.classes)
    assert kept == (2, 3, 1, 8, 8, 3)
    assert {type(size) for size in kept} == {int}


def test_one_description_may_stand_for_several_layers():
    chosen = SpatialNetSettings(spatial=(SpatialLayer(channels=2),) * 3, image_shape=(1, 8, 8))
    assert SpatialNet(chosen)(torch.zeros(2, 1, 8, 8)).shape == (2, 10)


def test_widths_are_scaled_and_keep_one_channel():
    assert [layer.channels for layer in scale_width(DENSE_NET, 0.5).spatial] == [5, 10, 16, 32, 64, 128]
    assert [layer.channels for layer in scale_width(DENSE_NET, 0.0).spatial] == [1] * 6
    assert scale_width(DENSE_NET, 1.0) == DENSE_NET


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: replace(SMALL, kind="shared"), ValueError, "`kind` is 'shared'; it must be one of conv, local, dense"),
        (lambda: replace(SMALL, feedback="sign"), ValueError, "`feedback` is 'sign'"),
        (lambda: replace(SMALL, kind="dense", feedback="random"), ValueError, "Use kind='local'"),
        (lambda: replace(SMALL, spatial=()), ValueError, "`spatial` is empty"),
        (lambda: replace(SMALL, classes=1), ValueError, "`classes` is 1; it must be at least 2"),
        (lambda: replace(SMALL, image_shape=(0, 8, 8)), ValueError, "`image_shape` is 0; it must be at least 1"),
        (lambda: replace(SMALL, image_shape=(1, 8.0, 8)), TypeError, "`image_shape` is 8.0; it must be an integer"),
        (
            lambda: replace(SMALL, image_shape=(8, 8)),
            ValueError,
            r"`image_shape` is \(8, 8\); it must be \(channel, y, x",
        ),
        (lambda: scale_width(SMALL, math.inf), ValueError, "`factor` is inf; it must be at least 0 and finite"),
        (lambda: scale_width(SMALL, -1.0), ValueError, "`factor` is -1.0"),
        (lambda: SpatialNet(SMALL, seed=1.5), TypeError, "`seed` is 1.5; it must be an integer of at least 0"),
        (lambda: SpatialNet(SMALL, seed=-1), ValueError, "`seed` is -1; it must be at least 0"),
        (
            lambda: replace(DENSE_NET, image_shape=(1, 8, 8)),
            ValueError,
            "too small for spatial layer 2: its input is 2 x",
        ),
        (
            lambda: replace(SMALL, image_shape=(1, 5, 5)),
            ValueError,
            "spatial layer 1: its input is 3 x 3 .*then halved",
        ),
        (lambda: SpatialLayer(channels=0), ValueError, "`channels` is 0; it must be at least 1"),
        (lambda: SpatialLayer(channels=2.5), TypeError, "`channels` is 2.5; it must be an integer"),
        (lambda: SpatialLayer(channels=2, padding=-1), ValueError, "`padding` is -1"),
        (
            lambda: SpatialLayer(channels=2, map_dropout=1.0),
            ValueError,
            "`map_dropout` is 1.0; it must be at least 0 and",
        ),
        (lambda: FullLayer(units=0), ValueError, "`units` is 0"),
        (lambda: FullLayer(units=4, dropout=-0.1), ValueError, "`dropout` is -0.1"),
        (lambda: SpatialNet(replace(CONV_NET, kind="dense")), ValueError, "`padding` is"),
        (lambda: SpatialNet(SMALL)(torch.zeros(2, 3, 8, 8)), ValueError, r"`images` has the shape \(2, 3, 8, 8\)"),
        (lambda: SpatialNet(SMALL)(torch.zeros(1, 8, 8)), ValueError, r"`images` has the shape \(1, 8, 8\)"),
        (
            lambda: match_parameters(replace(SMALL, kind="conv"), 10),
            ValueError,
            "`parameters` is 10, but networks of this layout have from",
        ),
        (lambda: match_parameters(replace(SMALL, kind="conv"), 10**9), ValueError, "64 times the width"),
    ],
)
def test_what_is_no_network_is_refused(make, error, message):
    with pytest.raises(error, match=message):
        make()
