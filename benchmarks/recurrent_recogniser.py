"""Time and memory of the recurrent recogniser, against its published equations written out.

All sides run in one process, on the same images and weights of the published size, and are checked to agree before they
are timed. *Published* is the reference with all connections, of which, as in the published code, those without effect
are computed too and multiplied by zero; *live* is the same reference with those only that have an effect. With the
flags 1111 the two are one.

Tables written:

``time``
    Forward pass without gradients, and training step (forward, backward, Adam) of a batch.
``memory``
    By how much a forward pass without gradients raises the memory of the process at its peak: of the network's output
    alone, with activations and flows of all layers and steps recorded, and of the reference, which keeps all of them;
    and a training step. All start with the gradients and Adam's numbers in place.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal

import torch
import tyro
from harness import Row, check_equal, median_times, peak_growth, print_table, save_tables
from recogniser_reference import reference
from torch import Tensor, nn
from torch.nn import functional as F

from neurocircuit import cli
from neurocircuit.networks import (
    PUBLISHED_RECOGNISER,
    RecogniserSettings,
    RecurrentRecogniser,
    convert_recogniser,
    count_parameters,
)

SEED = 0
#: Of log-probabilities in float32.
TOLERANCE = 1e-5
#: Of the gradients of a few images in float64, relative to the largest of each parameter. In float32 they are sums over
#: so many pixels that cancel that nothing smaller than a per mille is told from rounding.
GRADIENT_TOLERANCE, _GRADIENT_IMAGES = 1e-9, 2
#: The published one.
LEARNING_RATE = 1e-4
FLAGS = ("0111", "1011", "1111")
CLOCKS = {"wall": time.perf_counter, "processor": time.process_time}


@dataclass(frozen=True)
class Config:
    """Options of the benchmark."""

    output: Path = Path("outputs/benchmarks")
    """Folder for the tables."""
    quick: bool = False
    """Small images and few repeats, to see that everything runs; the times mean nothing."""
    repeats: int = 7
    """Timed calls of each side; the median counts."""
    batch: int = 32
    """Images of a call."""
    clock: Literal["wall", "processor"] = "wall"
    """What is timed. The processor's time does not count what other programs do, but adds up over threads: use one."""


class Reference(nn.Module):
    """The equations written out, with the weights of a network."""

    def __init__(self, network: RecurrentRecogniser) -> None:
        super().__init__()
        self.network = network
        self.weights = dict(network.named_parameters())

    def forward(self, images: Tensor) -> Tensor:
        """Return the log-probabilities."""
        settings = self.network.settings
        return reference(self.weights, images, settings.flags, settings.pools, settings.time_steps).log_probabilities


def main(config: Config) -> None:
    """Compare every flag setting, print the tables and write them."""
    cli.check_output_folder(config.output)
    settings = replace(PUBLISHED_RECOGNISER, compat=False)
    batch, repeats = config.batch, config.repeats
    if config.quick:
        settings, batch, repeats = replace(settings, input_size=40, hidden=16), 4, 1
    tables: dict[str, list[Row]] = {"time": [], "memory": []}
    for flags in FLAGS:
        sides = prepare(replace(settings, flags=flags))
        images, labels = scenes(settings, batch)
        differences = check_sides(sides, images, labels)
        tables["time"].append(times(flags, sides, images, labels, repeats, CLOCKS[config.clock]) | differences)
        tables["memory"].append(memory(flags, sides, images, labels))
    for name, rows in tables.items():
        print_table(f"{name} ({torch.get_num_threads()} threads)", rows)
    how = {"quick": config.quick, "repeats": repeats, "batch": batch, "clock": config.clock, "tolerance": TOLERANCE}
    save_tables(config.output, "recurrent_recogniser", tables, seed=SEED, **how)


def prepare(settings: RecogniserSettings) -> dict[str, nn.Module]:
    """Return the sides of the comparison, which do the same."""
    network = RecurrentRecogniser(settings, seed=SEED)
    # Copies, because every side is trained.
    live, published = (convert_recogniser(network, compat=compat) for compat in (False, True))
    return {"library": network, "published": Reference(published), "live": Reference(live)}


def scenes(settings: RecogniserSettings, batch: int) -> tuple[Tensor, Tensor]:
    """Return random images and labels."""
    generator = torch.Generator().manual_seed(SEED)
    images = torch.rand(batch, 1, settings.input_size, settings.input_size, generator=generator)
    return images, torch.randint(settings.classes, (batch,), generator=generator)


def check_sides(sides: Mapping[str, nn.Module], images: Tensor, labels: Tensor) -> Row:
    """Return the largest differences of outputs and gradients between the library and the other sides."""
    outputs = {name: forward(side, images) for name, side in sides.items()}
    expected = outputs.pop("library")
    difference = max(
        check_equal(f"log-probabilities of {name}", found, expected, TOLERANCE) for name, found in outputs.items()
    )
    found = {
        name: gradients(side, images[:_GRADIENT_IMAGES], labels[:_GRADIENT_IMAGES]) for name, side in sides.items()
    }
    library = found.pop("library")
    largest = {name: gradient.abs().max() for name, gradient in library.items()}
    gradient_difference = max(
        check_equal(
            f"gradient of {name} of {side}", gradient / largest[name], theirs[name] / largest[name], GRADIENT_TOLERANCE
        )
        for side, theirs in found.items()
        for name, gradient in library.items()
    )
    return {"difference": difference, "gradient_difference": gradient_difference}


def gradients(side: nn.Module, images: Tensor, labels: Tensor) -> dict[str, Tensor]:
    """Return the gradients of the loss by parameter in float64, in which float32 weights are exact."""
    side.double()
    F.nll_loss(side(images.double()), labels).backward()
    network = side.network if isinstance(side, Reference) else side
    found = {name: weights.grad for name, weights in network.named_parameters() if weights.grad is not None}
    side.zero_grad()
    side.float()
    return found


def times(
    flags: str,
    sides: Mapping[str, nn.Module],
    images: Tensor,
    labels: Tensor,
    repeats: int,
    clock: Callable[[], float],
) -> Row:
    """Return the row of times of all sides, and how many times faster the library is."""
    row: Row = {"flags": flags, "parameters": count_parameters(sides["library"])}
    forwards = {name: partial(forward, side, images) for name, side in sides.items()}
    steps = {name: training_step(side, images, labels) for name, side in sides.items()}
    for what, functions in (("forward", forwards), ("step", steps)):
        seconds = median_times(functions, repeats, clock)
        row |= {f"{what}_{name}_s": value for name, value in seconds.items()}
        row |= {f"{what}_times_{name}": seconds[name] / seconds["library"] for name in ("published", "live")}
    return row


def forward(side: nn.Module, images: Tensor) -> Tensor:
    """Compute the output alone."""
    with torch.no_grad():
        out: Tensor = side(images)
    return out


def training_step(side: nn.Module, images: Tensor, labels: Tensor) -> Callable[[], None]:
    """Return a function that trains a side one step."""
    optimizer = torch.optim.Adam(side.parameters(), LEARNING_RATE)

    def step() -> None:
        optimizer.zero_grad()
        F.nll_loss(side(images), labels).backward()
        optimizer.step()

    return step


def memory(flags: str, sides: Mapping[str, nn.Module], images: Tensor, labels: Tensor) -> Row:
    """Return the row of peak growths in MiB."""
    network = sides["library"]
    assert isinstance(network, RecurrentRecogniser)
    found: Row = {"flags": flags}
    with torch.no_grad():
        # The first call keeps things for later ones.
        network(images)
        found["forward_MiB"] = peak_growth(partial(network, images))
        found["recorded_MiB"] = peak_growth(partial(network.run, images))
        found["published_MiB"] = peak_growth(partial(sides["published"], images))
    for name, side in sides.items():
        step = training_step(side, images, labels)
        step()
        found[f"step_{name}_MiB"] = peak_growth(step)
        side.zero_grad()
    return found


if __name__ == "__main__":
    with cli.one_line_errors():
        main(tyro.cli(Config, description=__doc__))
