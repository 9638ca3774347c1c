"""The benchmark of locally connected layers measures what it says, and its tables say what they should."""

from __future__ import annotations

import csv
import gc
import math
import time
from functools import partial

import pytest
import torch
from torch import nn

from neurocircuit.cells import LocallyConnected2d
from neurocircuit.networks import SPATIAL_LAYOUTS, SpatialNet


@pytest.fixture(scope="module")
def benchmark(import_script):
    """Import the script, which lies outside the package."""
    return import_script("benchmarks", "locally_connected")


@pytest.fixture(autouse=True)
def nothing_old_to_collect():
    """Take what is imported out of the garbage collection before each measurement of memory, most of its time."""
    gc.freeze()
    yield
    gc.unfreeze()


def field_and_error(like, batch=64):
    """Random input and error."""
    rng = torch.Generator().manual_seed(1)
    geometry = like.geometry
    field = torch.randn((batch, geometry.in_channels, *geometry.input_size), generator=rng, requires_grad=True)
    return field, torch.randn((batch, geometry.out_channels, *geometry.output_size), generator=rng)


def three_sides(benchmark):
    dense = LocallyConnected2d(2, 3, (2, 3), (5, 6), legacy="dense", seed=0)
    local = LocallyConnected2d(2, 3, (2, 3), (5, 6), seed=1)
    benchmark.copy_weights(dense, local)
    return {"local": local, "dense": dense, "unfold_einsum": benchmark.UnfoldedLayer(local)}


def test_a_quick_benchmark_writes_its_tables(benchmark, tmp_path):
    benchmark.main(benchmark.Config(quick=True, output=tmp_path))

    def table(name):
        with (tmp_path / f"locally_connected_{name}.csv").open() as file:
            return list(csv.DictReader(file))

    *layers, total = table("parameters")
    assert [row["local_weights"] for row in layers] == ["2592", "18432"]
    assert int(total["dense_weights"]) == sum(int(row["dense_weights"]) for row in layers)
    # Of 64 and 36 inputs a channel, 9 are in a window; 1 and 8 channels are left out of the fan in.
    assert [float(row["outside_energy"]) for row in layers] == pytest.approx([1 - 9 / 64, 1 - 9 / 36], rel=0.02)
    assert [float(row["start_too_large"]) for row in layers] == pytest.approx([1, math.sqrt(8)], rel=0.02)
    *layers, total = table("layers")
    # Four digits are written.
    assert float(total["local_ms"]) == pytest.approx(sum(float(row["local_ms"]) for row in layers), rel=2e-3)
    ratio = float(total["dense_ms"]) / float(total["local_ms"])
    assert float(total["times_dense"]) == pytest.approx(ratio, rel=2e-3)
    assert len(table("memory")) == 2
    assert [row["form"] for row in table("step")] == ["local", "dense", "conv"]


def test_the_share_outside_the_windows_is_that_of_their_weights(benchmark):
    dense = LocallyConnected2d(3, 4, 2, 5, legacy="dense", seed=0)
    assert benchmark.outside_energy(dense, *field_and_error(dense)) == pytest.approx(1 - 4 / 25, rel=0.02)


def test_what_is_timed_computes_the_output_and_all_gradients_anew(benchmark):
    layer = LocallyConnected2d(2, 3, 2, 4, seed=0)
    field, error = torch.ones((5, 2, 4, 4), requires_grad=True), torch.ones((5, 3, 3, 3))
    for _ in range(2):
        benchmark.forward_backward(layer, field, error)
        # For inputs and errors of one, a gradient of a weight or a bias is the number of images.
        assert (layer.weight.grad == 5).all()
        assert (layer.bias.grad == 5).all()
        # And that of a pixel is the sum over the weights that see it; a corner is seen from one position.
        corner = layer.kernels()[0, 0, :, :, 0, 0].detach().sum(0)
        assert torch.allclose(field.grad[:, :, 0, 0], corner.expand(5, 2))


def test_the_sides_agree(benchmark):
    sides = three_sides(benchmark)
    assert 0 < benchmark.check_sides(sides, *field_and_error(sides["local"])) < benchmark.TOLERANCE


class WrongGradient(torch.autograd.Function):
    """Leaves numbers as they are, and doubles their gradient."""

    @staticmethod
    def forward(ctx, values):
        return values.clone()

    @staticmethod
    def backward(ctx, error):
        return 2 * error


@pytest.mark.parametrize("side", ["dense", "unfold_einsum"])
@pytest.mark.parametrize(
    ("wrong", "match"),
    [("out", "outputs"), ("field", "gradients of the input"), ("weight", "weights"), ("bias", "biases")],
)
def test_a_side_with_another_output_or_any_other_gradient_stops_the_benchmark(benchmark, side, wrong, match):
    sides = three_sides(benchmark)
    field, error = field_and_error(sides["local"])
    layer, plain = sides[side], sides[side].forward
    if wrong == "out":
        layer.forward = lambda field: 1.01 * plain(field)
    elif wrong == "field":
        layer.forward = lambda field: plain(WrongGradient.apply(field))
    else:
        getattr(layer, wrong).register_hook(lambda gradient: 2 * gradient)
    with pytest.raises(SystemExit, match=rf"{match} of {side}: the two sides differ"):
        benchmark.check_sides(sides, field, error)


def test_a_step_is_one_of_the_optimizer_with_the_gradients_of_this_batch_only(benchmark):
    network = nn.Sequential(nn.Flatten(), nn.Linear(4, 3))
    optimizer = torch.optim.SGD(network.parameters(), lr=1.0)
    images, labels = torch.ones((2, 1, 2, 2)), torch.tensor([0, 2])
    for _ in range(2):
        start, found = (network[1].bias.detach().clone(), network(images).detach().softmax(1))
        benchmark.step(network, optimizer, images, labels)
        # The gradient of a bias is the mean of the softmax less the label.
        expected = (found - nn.functional.one_hot(labels, 3)).mean(0)
        assert torch.allclose(start - network[1].bias, expected, atol=1e-6)


def test_every_form_is_trained_with_adam(benchmark, monkeypatch):
    moved = {}

    def measured_once(steps, repeats, clock):
        for kind, step in steps.items():
            network = step.args[0]
            before = [parameter.detach().clone() for parameter in network.parameters()]
            step()
            after = [parameter.detach() for parameter in network.parameters()]
            moved[kind] = max(float((b - a).abs().max()) for a, b in zip(before, after, strict=True))
        return dict.fromkeys(steps, 1.0)

    monkeypatch.setattr(benchmark, "median_times", measured_once)
    # What measures the memory takes the first step; here the second is to be the first.
    monkeypatch.setattr(benchmark, "peak_growth", lambda step: 0.0)
    rows = benchmark.training_step(SPATIAL_LAYOUTS["small"], 4, 1, time.perf_counter)
    # Adam's first step is the learning rate, whatever the gradient.
    assert moved == pytest.approx(dict.fromkeys(("local", "dense", "conv"), benchmark.LEARNING_RATE), rel=1e-3)
    network = SpatialNet(SPATIAL_LAYOUTS["small"])
    assert rows[0]["parameters"] == sum(parameter.numel() for parameter in network.parameters())


def test_memory_is_measured_from_no_gradients_on(benchmark, monkeypatch):
    layer = LocallyConnected2d(2, 3, 2, 4, seed=0)
    field, error = field_and_error(layer)
    benchmark.forward_backward(layer, field, error)
    seen = []

    def measure(function):
        assert isinstance(function, partial)
        seen.append([tensor.grad for tensor in (field, layer.weight, layer.bias)])
        function()
        assert layer.weight.grad is not None
        return 1.5

    monkeypatch.setattr(benchmark, "peak_growth", measure)
    assert benchmark.growth(layer, field, error) == 1.5
    assert seen == [[None, None, None]]
    assert layer.weight.grad is None
