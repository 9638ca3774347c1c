"""Scenes per CPU second of the clutter generator, against the public one, written down in `clutter_reference.py`.

Both sides run in this process on one thread, in turn, and draw and paint scenes of the same kind, each with its own
random numbers. Beforehand they are given the same draws, and exact scenes are checked to be equal.

Tables written:

``speed``
    CPU milliseconds a scene, medians over repeats, and how many times faster than the public generator the library is.
``agreement``
    Largest difference of exact scenes from the public arithmetic, given the same draws; correlation of fast scenes, and
    of their targets alone, with exact ones.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
import tyro
from clutter_reference import as_levels, draw_things, paint_things, things_of
from harness import Row, check_equal, median_times, print_table, save_tables

from neurocircuit import cli
from neurocircuit.stimuli import (
    ClutterSettings,
    ObjectSource,
    clutter_scenes,
    draw_scenes,
    embedded_source,
    published_source,
    render_scenes,
)

SEED = 0
TOLERANCE = 1e-6
#: Times faster than the public generator that are aimed at.
AIMS = {"exact": 3, "fast": 15}


@dataclass(frozen=True)
class Config:
    """Options of the benchmark."""

    output: Path = Path("outputs/benchmarks")
    """Folder for the tables."""
    quick: bool = False
    """A few scenes, to see that everything runs; the times mean nothing."""
    repeats: int = 5
    """Timed calls of each side; the median counts."""
    source: Literal["embedded", "published"] = "embedded"
    """Objects: small digits and printed letters, or MNIST and Fashion-MNIST."""


def main(config: Config) -> None:
    """Run the comparison, print the tables and write them."""
    cli.check_output_folder(config.output)
    torch.set_num_threads(1)
    scenes, slow_scenes, repeats = (8, 4, 1) if config.quick else (960, 40, config.repeats)
    source = embedded_source("train") if config.source == "embedded" else published_source("train")
    tables = {"agreement": agreement(source, scenes, slow_scenes), "speed": speed(source, scenes, slow_scenes, repeats)}
    for name, rows in tables.items():
        print_table(f"{name} ({source.label}, one thread)", rows)
    how = {"quick": config.quick, "repeats": repeats, "scenes": scenes, "slow": slow_scenes, "source": source.label}
    save_tables(config.output, "clutter", tables, seed=SEED, tolerance=TOLERANCE, **how)


def speed(source: ObjectSource, scenes: int, slow_scenes: int, repeats: int) -> list[Row]:
    """Time the public generator and the library's modes, with float pixels and with bytes."""
    settings, batch = ClutterSettings(), min(scenes, 32)
    sides: dict[str, tuple[Callable[[], object], int]] = {
        "public, float": (public(source, slow_scenes, levels=False), slow_scenes),
        "public, uint8": (public(source, slow_scenes, levels=True), slow_scenes),
        "exact, float": (lambda: clutter_scenes(source, settings, SEED, range(scenes), "exact"), scenes),
        "exact, uint8": (
            lambda: clutter_scenes(source, settings, SEED, range(scenes), "exact", pixels="uint8"),
            scenes,
        ),
        "fast": (lambda: clutter_scenes(source, settings, SEED, range(scenes)), scenes),
        f"fast, batches of {batch}": (
            lambda: [
                clutter_scenes(source, settings, SEED, range(first, first + batch)) for first in range(0, scenes, batch)
            ],
            scenes,
        ),
    }
    times = median_times({name: side for name, (side, _) in sides.items()}, repeats, time.process_time)
    each = {name: times[name] / count for name, (_, count) in sides.items()}
    rows = []
    for name, seconds in each.items():
        mode, pixels = name.split(",")[0], "uint8" if "uint8" in name else "float"
        rows.append(
            {
                "side": name,
                "ms_scene": 1e3 * seconds,
                "scenes_s": 1 / seconds,
                "times_faster": each[f"public, {pixels}"] / seconds,
                "aim": AIMS.get(mode, ""),
            }
        )
    return rows


def agreement(source: ObjectSource, scenes: int, slow_scenes: int) -> list[Row]:
    """Check exact scenes against the public arithmetic, and compare fast scenes with exact ones."""
    draws = draw_scenes(source, ClutterSettings(), SEED, range(scenes))
    fast, exact = render_scenes(draws), render_scenes(draws, "exact")
    differences = {}
    for levels in (False, True):
        rendered = render_scenes(draws, "exact", pixels="uint8") if levels else exact
        found = torch.cat([rendered.images, rendered.target_images], 1)[:slow_scenes].numpy()
        public_scenes = [paint_things(things_of(draws, scene, levels=levels)) for scene in range(slow_scenes)]
        name = "uint8" if levels else "float"
        differences[name] = check_equal(f"exact scenes, {name}", found, np.stack(public_scenes), TOLERANCE)
    rows: list[Row] = []
    for name in ("images", "target_images"):
        values = correlation(getattr(fast, name).numpy(), getattr(exact, name).numpy())
        rows.append(
            {
                "compared": name,
                "scenes": scenes,
                "r_median": float(np.median(values)),
                "r_least": float(values.min()),
                "exact_difference_float": differences["float"],
                "exact_difference_uint8": differences["uint8"],
            }
        )
    return rows


def public(source: ObjectSource, scenes: int, *, levels: bool) -> Callable[[], object]:
    """Return a call that draws and paints scenes as the public generator does."""
    images = as_levels(source.images) if levels else source.images
    sets = [images[source.find(domain=domain)] for domain in range(2)]
    numbers, shuffler = np.random.RandomState(SEED), random.Random(SEED)
    return lambda: [paint_things(draw_things(sets, numbers, shuffler)) for _ in range(scenes)]


def correlation(first: npt.NDArray[np.float32], second: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """Return the correlation over pixels of every pair of images."""
    one, two = (part.reshape(len(part), -1).astype(np.float64) for part in (first, second))
    one, two = one - one.mean(1, keepdims=True), two - two.mean(1, keepdims=True)
    r: npt.NDArray[np.float64] = (one * two).sum(1) / np.sqrt((one**2).sum(1) * (two**2).sum(1))
    return r


if __name__ == "__main__":
    with cli.one_line_errors():
        main(tyro.cli(Config, description=__doc__))
