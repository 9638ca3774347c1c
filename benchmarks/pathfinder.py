"""Images per CPU second of the Pathfinder generator, against a plain numpy one and the public one.

Both sides run in this process on one thread and draw images of the same settings, distractors included, with published
negatives. The reference (`pathfinder_reference.py`) follows the same algorithm with whole-canvas arrays. The CPU
seconds an image of the public generator were measured for this project on another machine, so the ratio to them is
rough; it is taken to the smallest of a range.

Tables written:

``published``
    CPU seconds an image of both sides, images a CPU second of the library, and both ratios.
``matched``
    Images a CPU second with distance-matched negatives, and how many layouts each needed.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import tyro
from harness import Row, print_table, save_tables
from pathfinder_reference import draw_image

from neurocircuit import cli
from neurocircuit.stimuli import DIFFICULTIES, PathfinderSettings, pathfinder_batch

SEED = 0
#: CPU seconds an image of the public generator, measured for this project on another machine.
PUBLIC_SECONDS = {"6": 0.26, "9": 0.52, "14": 0.75}


@dataclass(frozen=True)
class Config:
    """Options of the benchmark."""

    output: Path = Path("outputs/benchmarks")
    """Folder for the tables."""
    quick: bool = False
    """A few images, to see that everything runs; the times mean nothing."""


def main(config: Config) -> None:
    """Time every difficulty, print the tables and write them."""
    cli.check_output_folder(config.output)
    images, slow_images = (4, 1) if config.quick else (1000, 5)
    tables = {
        "published": [published(name, images, slow_images) for name in DIFFICULTIES],
        "matched": [matched(name, images) for name in DIFFICULTIES],
    }
    for name, rows in tables.items():
        print_table(f"{name} (one thread)", rows)
    save_tables(config.output, "pathfinder", tables, seed=SEED, quick=config.quick, images=images, slow=slow_images)


def published(name: str, images: int, slow_images: int) -> Row:
    """Compare the library with the reference and the public generator on one difficulty."""
    settings = replace(DIFFICULTIES[name], negatives="published", separate_targets=False)
    fast = library_seconds(settings, images)[0]
    rng = np.random.default_rng(SEED)
    slow = cpu_seconds(lambda: [draw_image(settings, rng) for _ in range(slow_images)]) / slow_images
    public = PUBLIC_SECONDS.get(name, float("nan"))
    return {
        "difficulty": name,
        "images_s": 1 / fast,
        "ms_image": 1e3 * fast,
        "reference_s_image": slow,
        "times_faster": slow / fast,
        "public_s_image": public,
        "times_faster_than_public": public / fast,
    }


def matched(name: str, images: int) -> Row:
    """Return the speed with distance-matched negatives."""
    seconds, redraws = library_seconds(replace(DIFFICULTIES[name], negatives="distance_matched"), images)
    return {"difficulty": name, "images_s": 1 / seconds, "ms_image": 1e3 * seconds, "layouts_thrown_away": redraws}


def library_seconds(settings: PathfinderSettings, images: int) -> tuple[float, float]:
    """Return CPU seconds an image, and layouts thrown away an image; compilation and templates are not counted."""
    pathfinder_batch(settings, SEED, [0])
    batches = []
    seconds = cpu_seconds(lambda: batches.append(pathfinder_batch(settings, SEED, range(images))))
    return seconds / images, float(batches[0].redraws.mean())


def cpu_seconds(function: Callable[[], object]) -> float:
    """Return the CPU seconds of a call."""
    started = time.process_time()
    function()
    return time.process_time() - started


if __name__ == "__main__":
    with cli.one_line_errors():
        main(tyro.cli(Config, description=__doc__))
