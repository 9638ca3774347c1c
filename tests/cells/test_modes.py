"""The cell under mixed precision, compilation and distributed training."""

from __future__ import annotations

import pytest
import torch

from neurocircuit.cells import HGRUCell, LateralConv2d, lateral_conv2d


@pytest.mark.parametrize("variant", ["paper", "batchnorm"])
@pytest.mark.parametrize("method", ["direct", "fft"])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("recompute", [False, True])
def test_mixed_precision_follows_float32_and_has_finite_gradients(variant, method, dtype, recompute):
    torch.manual_seed(0)
    cell = HGRUCell(4, 5, 3, variant=variant, method=method, recompute=recompute)
    drive = torch.rand(2, 4, 12, 12)
    *_, exact = cell.unroll(drive)
    with torch.autocast("cpu", dtype):
        *_, found = cell.unroll(drive)
    # Three steps of numbers with 8 or 11 significant bits.
    assert (found.h2.float() - exact.h2).abs().max() <= 0.1 * exact.h2.abs().max()
    found.h2.float().square().sum().backward()
    assert all(parameter.grad.isfinite().all() for parameter in cell.parameters() if parameter.grad is not None)


@pytest.mark.parametrize("method", ["direct", "fft"])
def test_a_compiled_convolution_has_the_values_and_gradients_of_a_plain_one(method):
    torch.manual_seed(0)
    lateral, field = LateralConv2d(3, 5, method=method).double(), torch.randn(2, 3, 12, 12, dtype=torch.float64)
    torch.nn.init.normal_(lateral.weight)
    results = []
    for call in (lateral, torch.compile(lateral, backend="aot_eager")):
        out = call(field)
        results.append((out, torch.autograd.grad(out.square().sum(), lateral.weight)[0]))
    for plain, compiled in zip(*results, strict=True):
        assert (plain - compiled).abs().max() <= 1e-11 * plain.abs().max()


def test_a_gradient_after_an_interrupted_pass_is_that_of_a_fresh_one():
    torch.manual_seed(0)
    weight = torch.randn(2, 2, 3, 3, dtype=torch.float64, requires_grad=True)
    field = torch.randn(1, 2, 8, 8, dtype=torch.float64)
    convolve = lateral_conv2d(weight, (1, 8, 8), method="fft")
    middle = convolve(field)
    loss = convolve(middle).square().sum()
    (expected,) = torch.autograd.grad(loss, weight, retain_graph=True)

    def interrupt(_):
        raise KeyboardInterrupt

    handle = middle.register_hook(interrupt)
    with pytest.raises(KeyboardInterrupt):
        torch.autograd.grad(loss, weight, retain_graph=True)
    handle.remove()
    (found,) = torch.autograd.grad(loss, weight)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=0)


@pytest.mark.parametrize("method", ["direct", "fft"])
@pytest.mark.parametrize("shape", [(1, 2, 9, 8), (1, 2, 10, 10), (1, 3, 8, 8)])
def test_a_prepared_convolution_refuses_fields_of_another_size(method, shape):
    convolve = lateral_conv2d(torch.zeros(2, 2, 3, 3), (1, 8, 8), method=method)
    with pytest.raises(ValueError, match=r"`field` has the shape .* prepared for"):
        convolve(torch.zeros(shape))
