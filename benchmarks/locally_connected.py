"""Time, memory and parameters of locally connected layers, against a teaching notebook's dense form of them.

The layers are the six of the notebook's network, at its batch of 64 images. All sides run in one process on the same
weights and inputs, and are checked to agree before they are timed, in their outputs and in the gradients of input,
weights within the windows and biases: the library; the notebook's form, a product with a dense weight of six axes; and
the usual form, all windows written out and multiplied by ``einsum``, whose weights lie as is fastest for it. The
convolution, which shares its weights and computes something else, is timed for scale.

Tables written:

``parameters``
    Weights of the dense and the local form of every layer, the share of the energy (sum of squares) of the dense
    form's gradient that is outside the windows, for a random input and error, and how much too large it starts.
``layers``
    Forward and backward pass of every layer, gradients of weights, biases and input included. The totals are sums.
``memory``
    By how much such a pass raises the memory of the process at its peak. All sides need the gradient of their weights.
``step``
    A training step with Adam of the notebook's whole network, with either form of its layers or with convolutions.
"""

from __future__ import annotations

import gc
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal

import torch
import torch.nn.functional as F
import tyro
from harness import Row, check_equal, median_times, peak_growth, print_table, save_tables
from torch import Tensor, nn

from neurocircuit import cli
from neurocircuit.cells import LocallyConnected2d
from neurocircuit.networks import SPATIAL_LAYOUTS, SpatialNet, SpatialNetSettings

SEED = 0
#: Relative to the largest value, in float32.
TOLERANCE = 1e-5
#: The notebook's learning rate.
LEARNING_RATE = 3e-4
CLOCKS = {"wall": time.perf_counter, "processor": time.process_time}


@dataclass(frozen=True)
class Config:
    """Options of the benchmark."""

    output: Path = Path("outputs/benchmarks")
    """Folder for the tables."""
    quick: bool = False
    """A small network and few repeats, to see that everything runs; the times mean nothing."""
    repeats: int = 5
    """Timed calls of each side; the median counts."""
    clock: Literal["wall", "processor"] = "wall"
    """What is timed. The processor's time does not count what other programs do, but adds up over threads: use one."""


class UnfoldedLayer(nn.Module):
    """The usual form: all windows written out, (batch, weight of a unit, position), and one ``einsum``."""

    def __init__(self, like: LocallyConnected2d) -> None:
        super().__init__()
        self.geometry = like.geometry
        # (position, weight of a unit, unit): of the orders of these three axes the fastest.
        self.weight = nn.Parameter(like.kernels().detach().flatten(3).flatten(0, 1).mT.contiguous())
        assert like.bias is not None
        self.bias = nn.Parameter(like.bias.detach().clone())

    def forward(self, field: Tensor) -> Tensor:
        """Return the output, (batch, channel, y, x)."""
        windows = F.unfold(field, self.geometry.kernel_size)
        out = torch.einsum("bkp,pkn->bnp", windows, self.weight)
        return out.view(len(field), -1, *self.geometry.output_size) + self.bias

    def kernels(self, values: Tensor) -> Tensor:
        """Return a view of the weights' gradient in the order of `LocallyConnected2d.kernels`."""
        geometry = self.geometry
        units = (*geometry.output_size, geometry.out_channels)
        return values.mT.reshape(*units, geometry.in_channels, *geometry.kernel_size)


Side = LocallyConnected2d | UnfoldedLayer


def main(config: Config) -> None:
    """Run every comparison, print the tables and write them."""
    cli.check_output_folder(config.output)
    settings = SPATIAL_LAYOUTS["small" if config.quick else "spatial-dense"]
    batch, repeats = (4, 1) if config.quick else (64, config.repeats)
    tables: dict[str, list[Row]] = {"parameters": [], "layers": [], "memory": []}
    for number in range(len(settings.spatial)):
        for name, row in layer(settings, number, batch, repeats, CLOCKS[config.clock]).items():
            tables[name].append(row)
    tables["parameters"].append(total_parameters(tables["parameters"]))
    tables["layers"].append(total_times(tables["layers"]))
    tables["step"] = training_step(settings, batch, repeats, CLOCKS[config.clock])
    for name, rows in tables.items():
        print_table(f"{name} ({torch.get_num_threads()} threads)", rows)
    how = {"quick": config.quick, "repeats": repeats, "batch": batch, "tolerance": TOLERANCE, "clock": config.clock}
    save_tables(config.output, "locally_connected", tables, seed=SEED, **how)


def layer(
    settings: SpatialNetSettings, number: int, batch: int, repeats: int, clock: Callable[[], float]
) -> dict[str, Row]:
    """Return one layer's rows of the tables."""
    (channels, height, width), spec = settings.sizes()[number], settings.spatial[number]
    sizes = (channels, spec.channels, spec.kernel_size, (height, width))
    dense = LocallyConnected2d(*sizes, legacy="dense", seed=SEED)
    local = LocallyConnected2d(*sizes, seed=SEED)
    copy_weights(dense, local)
    compared: dict[str, Side] = {"local": local, "dense": dense, "unfold_einsum": UnfoldedLayer(local)}
    generator = torch.Generator().manual_seed(SEED)
    field = torch.randn((batch, channels, height, width), generator=generator, requires_grad=True)
    error = torch.randn((batch, spec.channels, *local.output_size), generator=generator)
    difference = check_sides(compared, field, error)
    outside = outside_energy(dense, field, error)
    sides = {**compared, "conv2d": nn.Conv2d(*sizes[:3])}
    passes = {name: partial(forward_backward, side, field, error) for name, side in sides.items()}
    seconds = median_times(passes, repeats, clock)
    names = {"layer": f"({channels}, {height}, {width}) -> {spec.channels}, {spec.kernel_size} x {spec.kernel_size}"}
    parameters = {
        "dense_weights": dense.weight.numel(),
        "local_weights": local.weight.numel(),
        "times_fewer": dense.weight.numel() / local.weight.numel(),
        "outside_energy": outside,
        "start_too_large": float(dense.kernels().detach().std()) / math.sqrt(2 / local.geometry.fan_in),
    }
    return {
        "parameters": names | parameters,
        "layers": names | times(seconds) | {"difference": difference},
        "memory": names | {f"{name}_MiB": growth(side, field, error) for name, side in sides.items()},
    }


def times(seconds: Mapping[str, float]) -> Row:
    """Return the times of a layer in ms, and how many times faster than others the library is."""
    ratios = {f"times_{name}": seconds[name] / seconds["local"] for name in ("dense", "unfold_einsum")}
    return {f"{name}_ms": 1000 * value for name, value in seconds.items()} | ratios


def total_parameters(rows: list[Row]) -> Row:
    """Return the last row of the table of parameters; what has no total is left empty."""
    dense, local = (sum(row[name] for row in rows) for name in ("dense_weights", "local_weights"))
    found = {"layer": "total", "dense_weights": dense, "local_weights": local, "times_fewer": dense / local}
    return {name: found.get(name, "") for name in rows[0]}


def total_times(rows: list[Row]) -> Row:
    """Return the last row of the table of layers."""
    names = [name.removesuffix("_ms") for name in rows[0] if name.endswith("_ms")]
    seconds = {name: sum(row[f"{name}_ms"] for row in rows) / 1000 for name in names}
    return {"layer": "total"} | times(seconds) | {"difference": max(row["difference"] for row in rows)}


def copy_weights(dense: LocallyConnected2d, local: LocallyConnected2d) -> None:
    """Give the local form the weights and biases of the dense one."""
    with torch.no_grad():
        local.kernels().copy_(dense.kernels())
        if dense.bias is not None and local.bias is not None:
            local.bias.copy_(dense.bias)


def forward_backward(side: nn.Module, field: Tensor, error: Tensor) -> None:
    """Compute the output and all gradients."""
    field.grad = None
    side.zero_grad()
    side(field).backward(error)


def results(side: Side, field: Tensor, error: Tensor) -> dict[str, Tensor]:
    """Return the output and all gradients of a side, that of the weights within the windows only."""
    forward_backward(side, field, error)
    weight, bias = side.weight.grad, None if side.bias is None else side.bias.grad
    assert field.grad is not None
    assert weight is not None
    assert bias is not None
    return {
        "outputs": side(field).detach(),
        "gradients of the input": field.grad,
        "gradients of the weights": side.kernels(weight),
        "gradients of the biases": bias,
    }


def check_sides(sides: Mapping[str, Side], field: Tensor, error: Tensor) -> float:
    """Return the largest relative difference between the first side and any other in what `results` gives."""
    found = {name: results(side, field, error) for name, side in sides.items()}
    expected, *_ = found.values()
    return max(
        check_equal(f"{what} of {name}", ours / ours.abs().max(), found[name][what] / ours.abs().max(), TOLERANCE)
        for name in list(found)[1:]
        for what, ours in expected.items()
    )


def outside_energy(dense: LocallyConnected2d, field: Tensor, error: Tensor) -> float:
    """Return the share of the energy of the dense form's gradient that is outside the windows."""
    forward_backward(dense, field, error)
    gradient = dense.weight.grad
    assert gradient is not None
    inside = dense.kernels(gradient).double().square().sum()
    # In float64, but without a copy of the whole gradient.
    energy = sum(part.double().square().sum() for part in gradient.flatten(1).split(1))
    dense.zero_grad()
    return 1 - float(inside / energy)


def growth(side: nn.Module, field: Tensor, error: Tensor) -> float:
    """Return the peak growth of a forward and backward pass in MiB, from no gradients on."""
    field.grad = None
    side.zero_grad()
    found = peak_growth(partial(forward_backward, side, field, error))
    side.zero_grad()
    return found


def training_step(settings: SpatialNetSettings, batch: int, repeats: int, clock: Callable[[], float]) -> list[Row]:
    """Return the time and memory of a training step of the whole network in every form."""
    generator = torch.Generator().manual_seed(SEED)
    images = torch.randn((batch, *settings.image_shape), generator=generator)
    labels = torch.randint(settings.classes, (batch,), generator=generator)
    networks = {kind: SpatialNet(replace(settings, kind=kind), seed=SEED) for kind in ("local", "dense", "conv")}
    check_networks(networks["local"], networks["dense"], images)
    steps: dict[str, Callable[[], object]] = {}
    rows: dict[str, Row] = {}
    for kind, network in networks.items():
        optimizer = torch.optim.Adam(network.parameters(), LEARNING_RATE)
        steps[kind] = partial(step, network.train(), optimizer, images, labels)
        parameters = sum(parameter.numel() for parameter in network.parameters())
        # The first step makes gradients and moments, which stay.
        rows[kind] = {"form": kind, "parameters": parameters, "first_step_MiB": peak_growth(steps[kind])}
        gc.collect()
    seconds = median_times(steps, repeats, clock)
    return [
        row | {"step_ms": 1000 * seconds[kind], "times_local": seconds[kind] / seconds["local"]}
        for kind, row in rows.items()
    ]


def check_networks(local: SpatialNet, dense: SpatialNet, images: Tensor) -> None:
    """Give both networks the same weights, and stop if their outputs differ."""
    for ours, theirs in zip(local.chain.layers, dense.chain.layers, strict=True):
        if isinstance(ours, LocallyConnected2d) and isinstance(theirs, LocallyConnected2d):
            copy_weights(theirs, ours)
        else:
            ours.load_state_dict(theirs.state_dict())
    with torch.no_grad():
        expected = dense.eval()(images)
        check_equal("networks", local.eval()(images) / expected.abs().max(), expected / expected.abs().max(), TOLERANCE)


def step(network: nn.Module, optimizer: torch.optim.Optimizer, images: Tensor, labels: Tensor) -> None:
    """Train one step."""
    optimizer.zero_grad()
    F.cross_entropy(network(images), labels).backward()
    optimizer.step()


if __name__ == "__main__":
    with cli.one_line_errors():
        main(tyro.cli(Config, description=__doc__))
