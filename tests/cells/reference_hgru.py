"""The hGRU's published equations once more, written out plainly to check the library against; nothing is imported."""

import torch
import torch.nn.functional as F

EPSILON = 1e-3


def normalise(field, weight, bias, mean, variance, training):
    """Batch norm from its definition, per channel over batch and space."""
    if training:
        mean = field.mean((0, 2, 3))
        variance = ((field - mean[:, None, None]) ** 2).mean((0, 2, 3))
    scaled = (field - mean[:, None, None]) / torch.sqrt(variance[:, None, None] + EPSILON)
    return scaled * weight[:, None, None] + bias[:, None, None]


def convolve(field, weight, boundary="zero"):
    half = weight.shape[-1] // 2
    mode = {"zero": "constant", "reflect": "reflect", "periodic": "circular"}[boundary]
    return F.conv2d(F.pad(field, (half,) * 4, mode=mode), weight)


def linear(field, weight, bias):
    return torch.einsum("kc,ncyx->nkyx", weight[:, :, 0, 0], field) + bias[:, None, None]


def paper(drive, h2, steps, w, boundary="zero"):
    """Yield the states of the tanh hGRU; `w` holds the weights by the names of the equations."""
    for t in range(steps):
        g1 = 1 / (1 + torch.exp(-linear(h2, w["U1"], w["b1"])))
        c1 = convolve(g1 * h2, w["W"], boundary)
        h1 = torch.tanh(drive - c1 * (w["alpha"] * h2 + w["mu"]))
        g2 = 1 / (1 + torch.exp(-linear(h1, w["U2"], w["b2"])))
        c2 = convolve(h1, w["W"], boundary)
        candidate = torch.tanh(w["kappa"] * h1 + w["gamma"] * c2 + w["omega"] * h1 * c2)
        h2 = w["eta"][t] * (h2 * (1 - g2) + candidate * g2)
        yield h1, h2


def batchnorm(drive, h2, steps, w, training, boundary="zero"):
    """Yield the states of the notebook's hGRU; `w["bn"]` lists (weight, bias, mean, variance), four per step."""
    for t in range(steps):
        bn = w["bn"][4 * t : 4 * t + 4]
        g1 = torch.sigmoid(normalise(linear(h2, w["U1"], w["b1"]), *bn[0], training))
        c1 = normalise(convolve(h2 * g1, w["W_I"], boundary), *bn[1], training)
        h1 = torch.clamp(drive - torch.clamp(c1 * (w["alpha"] * h2 + w["mu"]), min=0), min=0)
        g2 = torch.sigmoid(normalise(linear(h1, w["U2"], w["b2"]), *bn[2], training))
        c2 = normalise(convolve(h1, w["W_E"], boundary), *bn[3], training)
        candidate = torch.clamp(w["kappa"] * h1 + w["gamma"] * c2 + w["omega"] * h1 * c2, min=0)
        h2 = (1 - g2) * h2 + g2 * candidate
        yield h1, h2
