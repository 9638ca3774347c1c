"""The rank rule a second time, written out from its equations: every unit is sorted, every product is dense."""

import numpy as np


def literal_currents(weights, inputs, p):
    """Return Eq. 2 as a sum over pixels, [batch, hidden]."""
    return np.einsum("hi,bi->bh", np.sign(weights) * np.abs(weights) ** (p - 1), inputs)


def literal_step(weights, inputs, rule, step_size):
    """Return the weights after an update: g of every unit for every image, then the sum of g (v - I W)."""
    current = literal_currents(weights, inputs, rule.p)
    rising = np.argsort(current, axis=1)
    g = np.zeros_like(current)
    each = np.arange(len(inputs))
    g[each, rising[:, -1]] = 1.0
    g[each, rising[:, -rule.k]] = -rule.delta
    change = np.zeros_like(weights)
    for image, row, drive in zip(inputs, g, current, strict=True):
        change += row[:, None] * (image[None, :] - drive[:, None] * weights)
    return weights + step_size * change / max(np.abs(change).max(), rule.floor)
