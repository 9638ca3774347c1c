"""The two public PyTorch networks: random weights in their layouts, and their forward passes from the equations."""

import torch
import torch.nn.functional as F

NORM_EPSILON = 1e-3


def norm_entries(name, channels, generator):
    def uniform(low):
        return low + torch.rand(channels, generator=generator)

    return {
        f"{name}.weight": uniform(0.5),
        f"{name}.bias": uniform(-0.5),
        f"{name}.running_mean": uniform(-0.5),
        f"{name}.running_var": uniform(0.5),
        f"{name}.num_batches_tracked": torch.tensor(7),
    }


def _normal(generator):
    return lambda *shape, scale=0.3: scale * torch.randn(*shape, generator=generator)


def notebook_state(channels=25, kernel=15, steps=8, seed=0):
    generator = torch.Generator().manual_seed(seed)
    normal = _normal(generator)
    state = {"conv0.weight": normal(channels, 1, 7, 7), "conv0.bias": normal(channels)}
    for gate in ("u1_gate", "u2_gate"):
        state |= {f"unit1.{gate}.weight": normal(channels, channels, 1, 1), f"unit1.{gate}.bias": normal(channels)}
    for kernel_name in ("w_gate_inh", "w_gate_exc"):
        state[f"unit1.{kernel_name}"] = normal(channels, channels, kernel, kernel, scale=1 / (kernel * channels**0.5))
    for name in ("alpha", "gamma", "kappa", "w", "mu"):
        state[f"unit1.{name}"] = normal(channels, 1, 1)
    for index in range(4 * steps):
        state |= norm_entries(f"unit1.bn.{index}", channels, generator)
    state |= norm_entries("bn", channels, generator)
    state |= {"conv6.weight": normal(2, channels, 1, 1), "conv6.bias": normal(2)}
    return state | norm_entries("bn2", 2, generator) | {"fc.weight": normal(2, 2), "fc.bias": normal(2)}


def sg_state(channels=25, kernel=15, steps=8, seed=0):
    generator = torch.Generator().manual_seed(seed)
    normal = _normal(generator)
    state = {
        "conv_feature_extractor.weight": normal(channels, 1, 7, 7),
        "conv_feature_extractor.bias": normal(channels),
        "hgru_unit.w_gate": normal(channels, channels, kernel, kernel, scale=1 / (kernel * channels**0.5)),
        "hgru_unit.n": normal(1, steps, scale=1.0),
    }
    for name in ("gain", "mix"):
        state[f"hgru_unit.{name}_kernel.weight"] = normal(channels, channels, 1, 1)
        state[f"hgru_unit.{name}_bias"] = normal(1, channels, 1, 1, scale=1.0)
    for name in ("alpha", "mu", "gamma", "kappa", "omega"):
        state[f"hgru_unit.{name}"] = normal(1, channels, 1, 1)
    state |= norm_entries("bn2_1", channels, generator) | norm_entries("bn2_2", 2, generator)
    state |= {"conv_readout.weight": normal(2, channels, 1, 1), "conv_readout.bias": normal(2)}
    return state | {"fc.weight": normal(2, 2), "fc.bias": normal(2)}


def norm(state, name, field):
    """Batch norm with running statistics, from its definition; for fields and for vectors."""
    weight, bias, mean, variance = (
        state[f"{name}.{part}"].view(1, -1, *[1] * (field.ndim - 2))
        for part in ("weight", "bias", "running_mean", "running_var")
    )
    return weight * (field - mean) / torch.sqrt(variance + NORM_EPSILON) + bias


def notebook(state, image, steps):
    def unit(name, field):
        return F.conv2d(field, state[f"unit1.{name}.weight"], state[f"unit1.{name}.bias"])

    def lateral(name, field):
        weight = state[f"unit1.{name}"]
        return F.conv2d(field, weight, padding=weight.shape[-1] // 2)

    alpha, gamma, kappa, omega, mu = (state[f"unit1.{name}"] for name in ("alpha", "gamma", "kappa", "w", "mu"))
    x = F.conv2d(image, state["conv0.weight"], state["conv0.bias"], padding=3) ** 2
    h2 = torch.zeros_like(x)
    for t in range(steps):
        bn = [f"unit1.bn.{4 * t + place}" for place in range(4)]
        g1 = torch.sigmoid(norm(state, bn[0], unit("u1_gate", h2)))
        c1 = norm(state, bn[1], lateral("w_gate_inh", h2 * g1))
        h1 = F.relu(x - F.relu(c1 * (alpha * h2 + mu)))
        g2 = torch.sigmoid(norm(state, bn[2], unit("u2_gate", h1)))
        c2 = norm(state, bn[3], lateral("w_gate_exc", h1))
        h2 = (1 - g2) * h2 + g2 * F.relu(kappa * h1 + gamma * c2 + omega * h1 * c2)
    maps = F.leaky_relu(F.conv2d(norm(state, "bn", h2), state["conv6.weight"], state["conv6.bias"]))
    return F.linear(norm(state, "bn2", maps.flatten(2).max(2).values), state["fc.weight"], state["fc.bias"])


def sg(state, image, steps, h2=None):
    s = {key.removeprefix("hgru_unit."): value for key, value in state.items()}
    x = F.conv2d(image, s["conv_feature_extractor.weight"], s["conv_feature_extractor.bias"], padding=3) ** 2
    h2 = torch.zeros_like(x) if h2 is None else h2
    half = s["w_gate"].shape[-1] // 2
    for t in range(steps):
        g1 = torch.sigmoid(F.conv2d(h2, s["gain_kernel.weight"]) + s["gain_bias"])
        c1 = F.conv2d(h2 * g1, s["w_gate"], padding=half)
        h1 = torch.tanh(x - (s["alpha"] * h2 + s["mu"]) * c1)
        g2 = torch.sigmoid(F.conv2d(h1, s["mix_kernel.weight"]) + s["mix_bias"])
        c2 = F.conv2d(h1, s["w_gate"], padding=half)
        new = torch.tanh(s["kappa"] * h1 + s["gamma"] * c2 + s["omega"] * h1 * c2)
        h2 = s["n"][0, t] * ((1 - g2) * h2 + g2 * new)
    maps = F.conv2d(norm(s, "bn2_1", h2), s["conv_readout.weight"], s["conv_readout.bias"])
    return F.linear(norm(s, "bn2_2", maps.flatten(2).max(2).values), s["fc.weight"], s["fc.bias"])
