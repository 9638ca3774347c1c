"""Time of an epoch of the rank rule, against transcriptions of a teaching notebook's NumPy and torch code.

All sides run in one process on the same weights and images, of the shape of CIFAR-10, and are checked to agree before
they are timed. The notebook's NumPy code multiplies float64 weights with float32 images; its torch code is in float32,
as the library is unless asked otherwise. Both sort the currents of all units, and sum the images with a dense matrix.
The units have norms of 1 and the images are centred, of unit norm and at random: then most units are touched in every
batch of 1000, a hard case for the library, which works on these alone. ``--clock processor`` leaves out what other
programs do meanwhile; it adds up over threads, so use one (``OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1``).

Tables written:

``epoch``
    Time of one epoch, of as many images as the row says, of each side, and of the library in float64.
``parts``
    Time of one update of the library, and of what can be timed alone: gathering the batch, which comes before it, and
    the product of images and weights and the search for the largest currents, which are parts of it. The product is
    needed to rank the units, so its share is the next limit: with everything else free, an update would take as long
    as it alone.
``memory``
    By how much one epoch and several epochs raise the memory of the process at its peak.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
import tyro
from harness import Row, check_equal, median_times, peak_growth, print_table, save_tables

from neurocircuit import cli
from neurocircuit.plasticity import CentredUnitNorm, RankRule, currents, initial_weights
from neurocircuit.plasticity.rank_rule import RankLearner

SEED = 0
# Largest difference of two updates: of NumPy's float64 and the library's, and of both in float32.
TOLERANCE, TOLERANCE_FLOAT32 = 1e-10, 1e-5
CLOCKS = {"wall": time.perf_counter, "processor": time.process_time}


@dataclass(frozen=True)
class Config:
    """Options of the benchmark."""

    output: Path = Path("outputs/benchmarks")
    """Folder for the tables."""
    quick: bool = False
    """Few units, small images and few repeats, to see that everything runs; the times mean nothing."""
    repeats: int = 3
    """Timed calls of each side, and five times as many of the parts; the median counts."""
    clock: Literal["wall", "processor"] = "wall"
    """What is timed. The processor's time does not count what other programs do, but adds up over threads: use one."""


@dataclass(frozen=True)
class Case:
    """One size of the problem."""

    units: int
    pixels: int
    images: int
    rule: RankRule

    def problem(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Return float32 weights of norm 1 and prepared images."""
        weights = initial_weights(self.units, self.pixels, SEED).float()
        images = np.random.default_rng(SEED).random((self.images, self.pixels), dtype=np.float32)
        prepared = torch.from_numpy(CentredUnitNorm().fit_transform(images))
        return weights / weights.norm(dim=1, keepdim=True), prepared


def main(config: Config) -> None:
    """Run every comparison, print the tables and write them."""
    cli.check_output_folder(config.output)
    repeats = 1 if config.quick else config.repeats
    units, pixels, images, batch = (20, 48, 200, 50) if config.quick else (1000, 3072, 45_000, 1000)
    # The notebook's settings; then another norm and the published rank; then the small batches of the authors' code.
    usual = Case(units, pixels, images, RankRule(p=2, k=2, delta=0.1, batch_size=batch))
    cubic = Case(units, pixels, images // 5, RankRule(p=3, k=7, delta=0.4, batch_size=batch))
    small = Case(units, pixels, images // 25, RankRule(p=2, k=2, delta=0.4, batch_size=batch // 10))
    clock = CLOCKS[config.clock]
    tables = {
        "epoch": [epoch(case, repeats, clock) for case in (usual, cubic, small)],
        "parts": [parts(case, 5 * repeats, clock) for case in (usual, cubic, small)],
        "memory": memory(replace(cubic, images=3 * batch), 10),
    }
    for name, rows in tables.items():
        print_table(f"{name} ({torch.get_num_threads()} threads)", rows)
    how = {"quick": config.quick, "repeats": repeats, "tolerance": TOLERANCE, "clock": config.clock}
    save_tables(config.output, "rank_rule", tables, seed=SEED, **how)


def size(case: Case) -> Row:
    """Return what a row says of its problem."""
    rule = case.rule
    return {"units": case.units, "pixels": case.pixels, "p": rule.p, "k": rule.k, "batch": rule.batch_size}


def epoch(case: Case, repeats: int, clock: Callable[[], float]) -> Row:
    """Return the times of one epoch of all sides."""
    weights, images = case.problem()
    difference = agreement(case.rule, weights, images[: case.rule.batch_size])
    seconds = median_times(sides(case.rule, weights, images), repeats, clock)
    return {
        **size(case),
        "images": case.images,
        "numpy_s": seconds["numpy"],
        "torch_s": seconds["torch"],
        "library_s": seconds["library"],
        "library_float64_s": seconds["library_float64"],
        "times_numpy": seconds["numpy"] / seconds["library"],
        "times_torch": seconds["torch"] / seconds["library"],
        "difference": difference,
    }


def agreement(rule: RankRule, weights: torch.Tensor, batch: torch.Tensor) -> float:
    """Return the difference of an update from NumPy's in float64; stop if either side differs from the library."""
    size = rule.learning_rate
    double = RankLearner(weights.double(), rule)
    double.step(batch.double(), size)
    expected = numpy_step(weights.double().numpy(), batch.numpy(), rule, size)
    difference = check_equal("NumPy and the library, float64", double.weights, expected, TOLERANCE)
    single = RankLearner(weights.clone(), rule)
    single.step(batch, size)
    check_equal("torch and the library", single.weights, torch_step(weights, batch, rule, size), TOLERANCE_FLOAT32)
    return difference


def sides(rule: RankRule, weights: torch.Tensor, images: torch.Tensor) -> dict[str, Callable[[], Any]]:
    """Return a function for every side that starts from the weights and takes all batches of images in turn."""
    batches = [slice(at, at + rule.batch_size) for at in range(0, len(images), rule.batch_size)]
    arrays, doubles, order = images.numpy(), weights.double(), torch.arange(len(images))

    def by_numpy() -> np.ndarray:
        found = doubles.numpy()
        for batch in batches:
            found = numpy_step(found, arrays[batch], rule, rule.learning_rate)
        return found

    def by_torch() -> torch.Tensor:
        found = weights
        for batch in batches:
            found = torch_step(found, images[batch], rule, rule.learning_rate)
        return found

    def by_library(start: torch.Tensor) -> torch.Tensor:
        learner = RankLearner(start.clone(), rule)
        for batch in batches:
            # As in training, where the batch is gathered from images in a new order.
            inputs = images.index_select(0, order[batch]).to(start.dtype)
            learner.step(inputs, rule.learning_rate)
        return learner.weights

    return {
        "numpy": by_numpy,
        "torch": by_torch,
        "library": partial(by_library, weights),
        "library_float64": partial(by_library, doubles),
    }


def numpy_step(synapses: np.ndarray, batch: np.ndarray, rule: RankRule, step_size: float) -> np.ndarray:
    """Return the weights after an update, as the notebook's NumPy code computes it."""
    units, pixels = synapses.shape
    inputs, each = batch.T, np.arange(len(batch))
    total = np.dot(np.sign(synapses) * np.absolute(synapses) ** (rule.p - 1), inputs)
    order = np.argsort(total, axis=0)
    yl = np.zeros((units, len(batch)))
    yl[order[units - 1], each] = 1.0
    yl[order[units - rule.k], each] = -rule.delta
    xx = np.sum(np.multiply(yl, total), 1)
    ds = np.dot(yl, inputs.T) - np.multiply(np.tile(xx.reshape(-1, 1), (1, pixels)), synapses)
    largest = max(np.amax(np.absolute(ds)), rule.floor)
    return synapses + step_size * np.true_divide(ds, largest)


def torch_step(synapses: torch.Tensor, batch: torch.Tensor, rule: RankRule, step_size: float) -> torch.Tensor:
    """Return the weights after an update, as the notebook's torch code computes it."""
    units, pixels = synapses.shape
    inputs, each = batch.T, torch.arange(len(batch))
    total = torch.matmul(torch.sign(synapses) * torch.abs(synapses) ** (rule.p - 1), inputs)
    order = torch.argsort(total, dim=0)
    yl = torch.zeros((units, len(batch)))
    yl[order[units - 1], each] = 1.0
    yl[order[units - rule.k], each] = -rule.delta
    xx = torch.sum(yl * total, 1)
    ds = torch.matmul(yl, inputs.T) - xx.reshape(-1, 1).repeat(1, pixels) * synapses
    largest = max(float(torch.max(torch.abs(ds))), rule.floor)
    return synapses + step_size * ds / largest


def parts(case: Case, repeats: int, clock: Callable[[], float]) -> Row:
    """Return the time of one update of the library, and of what can be timed alone."""
    weights, images = case.problem()
    rule, batch = case.rule, images[: case.rule.batch_size].clone()
    learner = RankLearner(weights.clone(), rule)
    current = currents(weights, batch, rule.p)
    touched = current.topk(rule.k, dim=1).indices[:, [0, -1]].unique()
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(SEED))[: len(batch)]
    sides: dict[str, Callable[[], Any]] = {
        "gather": lambda: images.index_select(0, order),
        # So small that the same units win at every call.
        "step": lambda: learner.step(batch, 1e-9),
        "product": lambda: batch @ weights.T,
        "topk": lambda: current.topk(rule.k, dim=1),
    }
    seconds = median_times(sides, repeats, clock)
    return {
        **size(case),
        "touched_units": len(touched),
        "gather_batch_ms": 1e3 * seconds["gather"],
        "step_ms": 1e3 * seconds["step"],
        "product_ms": 1e3 * seconds["product"],
        "topk_ms": 1e3 * seconds["topk"],
        "product_share": seconds["product"] / seconds["step"],
        "product_gflop_per_s": 2e-9 * len(batch) * weights.numel() / seconds["product"],
    }


def memory(case: Case, epochs: int) -> list[Row]:
    """Return by how much the memory of the process grows at its peak, in one epoch and in several."""
    weights, images = case.problem()
    rows = []
    for name, function in sides(case.rule, weights, images).items():
        function()
        growth = [peak_growth(partial(repeat, function, times)) for times in (1, epochs)]
        rows.append({"side": name, "one_epoch_mib": growth[0], f"{epochs}_epochs_mib": growth[1]})
    return rows


def repeat(function: Callable[[], Any], times: int) -> None:
    """Call a function several times."""
    for _ in range(times):
        function()


if __name__ == "__main__":
    with cli.one_line_errors():
        main(tyro.cli(Config, description=__doc__))
