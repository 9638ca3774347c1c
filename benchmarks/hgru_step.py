"""Time and memory of a training step of the hGRU, against the same network written out with ``conv2d``.

Both sides run in one process on the same weights and images, and are checked to agree before they are timed.

Table written:

``step``
    Forward pass, backward pass and optimiser step of the network at the published size (150 x 150, 25 channels, kernels
    of 15 x 15, 8 time steps, batch 4), for each variant. ``channels_last`` is the reference in that memory format.
    Memory is the growth of the resident memory at its peak during one step; ``recompute`` is the library computing each
    time step anew in the backward pass.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
import torch.nn.functional as F
import tyro
from harness import Row, check_equal, median_times, peak_growth, print_table, save_tables

from neurocircuit import cli
from neurocircuit.networks import HGRUClassifier

SEED = 0
# Relative to the largest value; float32 sums of thousands of products differ by their order.
TOLERANCE = 2e-3


@dataclass(frozen=True)
class Config:
    """Options of the benchmark."""

    output: Path = Path("outputs/benchmarks")
    """Folder for the tables."""
    quick: bool = False
    """Small fields and few repeats, to see that everything runs; the times mean nothing."""
    repeats: int = 3
    """Timed calls of each side; the median counts."""


def main(config: Config) -> None:
    """Compare both variants, print the table and write it."""
    cli.check_output_folder(config.output)
    size = {"channels": 4, "kernel_size": 5, "steps": 2} if config.quick else {}
    batch, field = (2, 16) if config.quick else (4, 150)
    repeats = 1 if config.quick else config.repeats
    tables = {"step": [training_step(variant, size, batch, field, repeats) for variant in ("batchnorm", "paper")]}
    for name, rows in tables.items():
        print_table(f"{name} ({torch.get_num_threads()} threads)", rows)
    save_tables(config.output, "hgru_step", tables, seed=SEED, quick=config.quick, repeats=repeats, tolerance=TOLERANCE)


def training_step(variant: str, size: dict[str, int], batch: int, field: int, repeats: int) -> Row:
    """Return time and memory of a training step of the library and of the reference."""
    torch.manual_seed(SEED)
    network = HGRUClassifier(variant=variant, **size)
    image, target = torch.rand(batch, 1, field, field), torch.arange(batch) % 2
    optimizer = torch.optim.Adam(network.parameters())

    def step(forward: Callable[[torch.Tensor], torch.Tensor]) -> torch.Tensor:
        optimizer.zero_grad()
        logits = forward(image)
        F.cross_entropy(logits, target).backward()
        optimizer.step()
        return logits.detach()

    plain, channels_last = partial(reference, network), partial(reference, network, layout=torch.channels_last)
    found, expected = network(image).detach().numpy(), plain(image).detach().numpy()
    scale = float(abs(expected).max())
    difference = check_equal(f"logits, {variant}", found / scale, expected / scale, TOLERANCE)
    sides = {"library": network, "reference": plain, "channels_last": channels_last}
    seconds = median_times({name: partial(step, forward) for name, forward in sides.items()}, repeats)
    memory = {name: peak_growth(partial(step, forward)) for name, forward in sides.items()}
    network.cell.recompute = True
    seconds |= median_times({"recompute": partial(step, network)}, repeats)
    memory["recompute"] = peak_growth(partial(step, network))
    return {
        "variant": variant,
        "library_s": seconds["library"],
        "recompute_s": seconds["recompute"],
        "reference_s": seconds["reference"],
        "channels_last_s": seconds["channels_last"],
        "times_faster": seconds["reference"] / seconds["library"],
        "times_faster_channels_last": seconds["channels_last"] / seconds["library"],
        "library_MiB": memory["library"],
        "recompute_MiB": memory["recompute"],
        "reference_MiB": memory["reference"],
        "memory_share": memory["library"] / memory["reference"],
        "memory_share_recompute": memory["recompute"] / memory["reference"],
        "difference": difference,
    }


def reference(
    network: HGRUClassifier, image: torch.Tensor, layout: torch.memory_format = torch.contiguous_format
) -> torch.Tensor:
    """Return the logits of a network by its published equations, with plain convolutions."""
    cell, batchnorm = network.cell, network.cell.variant == "batchnorm"
    w_inhibition, w_excitation = cell.inhibition.kernel(), cell.excitation.kernel()
    half = w_inhibition.shape[-1] // 2
    zeta = torch.relu if batchnorm else torch.tanh
    x = network.filters(image.contiguous(memory_format=layout)).contiguous(memory_format=layout)
    h2 = torch.zeros_like(x)
    for t in range(cell.steps):
        norms = cell.norms[4 * t : 4 * t + 4] if batchnorm else [torch.nn.Identity()] * 4
        g1 = torch.sigmoid(norms[0](F.conv2d(h2, cell.gain_gate.weight, cell.gain_gate.bias)))
        c1 = norms[1](F.conv2d(h2 * g1, w_inhibition, padding=half))
        inhibition = c1 * (cell.alpha * h2 + cell.mu)
        h1 = zeta(x - torch.relu(inhibition)) if batchnorm else zeta(x - inhibition)
        g2 = torch.sigmoid(norms[2](F.conv2d(h1, cell.mix_gate.weight, cell.mix_gate.bias)))
        c2 = norms[3](F.conv2d(h1, w_excitation, padding=half))
        candidate = zeta(cell.kappa * h1 + cell.gamma * c2 + cell.omega * h1 * c2)
        h2 = (1 - g2) * h2 + g2 * candidate
        if not batchnorm:
            h2 = cell.time_gains[t] * h2
    logits: torch.Tensor = network.read_out(h2)
    return logits


if __name__ == "__main__":
    with cli.one_line_errors():
        main(tyro.cli(Config, description=__doc__))
