"""Sizes of the teaching notebook's network, whose dense layers were measured from its own code."""

from __future__ import annotations

import pytest

from neurocircuit.cells import LocallyConnected2d

#: Input channels, input size, output channels, kernel size, weights of the notebook's dense form.
NOTEBOOK_LAYERS = (
    (3, 32, 10, 3, 27_648_000),
    (10, 30, 20, 3, 141_120_000),
    (20, 14, 32, 3, 18_063_360),
    (32, 12, 64, 3, 29_491_200),
    (64, 5, 128, 2, 3_276_800),
    (128, 4, 256, 2, 4_718_592),
)


def layers(legacy=None):
    return [
        LocallyConnected2d(channels, units, kernel, size, legacy=legacy, device="meta")
        for channels, size, units, kernel, _ in NOTEBOOK_LAYERS
    ]


def test_the_dense_form_has_the_notebooks_224_million_weights():
    assert [layer.weight.numel() for layer in layers("dense")] == [row[-1] for row in NOTEBOOK_LAYERS]
    assert sum(layer.bias.numel() for layer in layers("dense")) == 40_040


def test_the_local_form_has_37_times_fewer():
    local = [layer.weight.numel() for layer in layers()]
    assert local == [243_000, 1_411_200, 829_440, 1_843_200, 524_288, 1_179_648]
    dense = sum(layer.weight.numel() for layer in layers("dense"))
    assert dense / sum(local) == pytest.approx(37.2, abs=0.05)
