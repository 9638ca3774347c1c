"""Train image classifiers without weight sharing and without weight transport, beside convolutions.

One layout is built of convolutions, of locally connected layers, of the teaching notebook's dense form of these, and of
locally connected layers whose error travels back through fixed random weights (feedback alignment) or straight from the
output (direct feedback alignment). A run that was killed goes on with ``--resume``.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import tyro
import xarray as xr
from matplotlib.figure import Figure
from numpy.typing import NDArray

from neurocircuit import cli
from neurocircuit.analysis.local_filters import filters_by_position, neighbour_correlation
from neurocircuit.analysis.locally_connected import TrainedSpatial, train_spatial
from neurocircuit.analysis.spatial_recipes import SPATIAL_NETWORKS, SPATIAL_RECIPES, SpatialRecipe, build_spatial
from neurocircuit.cells import LocallyConnected2d
from neurocircuit.plotting import style
from neurocircuit.plotting.local_filters import plot_gradient_angles, plot_local_filters
from neurocircuit.plotting.training import draw_runs
from neurocircuit.simulation import write_netcdf
from neurocircuit.stimuli import DIGITS, IMAGE_SETS, ImageSet, load_image_set
from neurocircuit.tables import Row, print_table, save_tables
from neurocircuit.training import has_run

#: Sets whose images mean something else, or nothing, when they are mirrored.
NOT_MIRRORED = ("mnist", DIGITS)
#: Share by which the parameters of networks that are matched may differ.
MATCHED = 0.02
#: Positions along each axis whose filters are drawn, at most.
SHOWN = 10

Found = dict[str, TrainedSpatial]


@dataclass(frozen=True, kw_only=True)
class Config:
    """Train networks on a set of images and compare them."""

    dataset: Annotated[str, tyro.conf.arg(help=f"{', '.join((*IMAGE_SETS, DIGITS))}.")] = "cifar10"
    data: Path | None = None
    """Folder that holds the set; by default NEUROCIRCUIT_DATA, or what torchvision downloads into the cache folder."""
    networks: Annotated[
        tuple[str, ...], tyro.conf.arg(help="; ".join(f"{name}: {text}" for name, text in SPATIAL_NETWORKS.items()))
    ] = tuple(SPATIAL_NETWORKS)
    recipe: Annotated[
        str | None, tyro.conf.arg(help=f"{', '.join(SPATIAL_RECIPES)}; None is digits for digits, else small.")
    ] = None
    steps: int | None = None
    """Training steps of every network; by default the recipe's. More steps go on with the same runs (--resume)."""
    seed: int = 0
    """Of weights, feedback weights, held-out images, order and augmentation."""
    resume: bool = False
    """Go on with runs that were interrupted, and begin those that were not, instead of refusing their folders."""
    threads: int = 1
    """Threads of a run. Its weights are the same to the bit only for the same number."""
    device: str = "cpu"
    """cpu, cuda or cuda:N, for training; time and memory of a step are measured on the CPU."""
    output: Path = Path("outputs/locally_connected")
    """Folder for all files."""
    tables: Path | None = None
    """Another folder for the tables, such as docs/results."""
    quick: bool = False
    """Seconds instead of minutes, on digits of 8 x 8 pixels; accuracies mean nothing."""

    def chosen(self) -> tuple[str, str, SpatialRecipe]:
        """Return the names of the set and of the folder with the runs, and the recipe."""
        dataset = DIGITS if self.quick else self.dataset
        name = self.recipe or (DIGITS if dataset == DIGITS else "small")
        if name not in SPATIAL_RECIPES:
            raise ValueError(f"`recipe` is {name!r}; it must be one of {', '.join(SPATIAL_RECIPES)}.")
        recipe = SPATIAL_RECIPES[name].with_training(device=self.device)
        if dataset in NOT_MIRRORED:
            recipe = replace(recipe, flip=False)
        if self.quick:
            recipe = recipe.with_training(steps=8, evaluate_every=4, checkpoint_every=4, log_every=2)
        if self.steps is not None:
            recipe = recipe.with_training(steps=self.steps)
        kind = "quick" if self.quick else name
        return dataset, dataset if kind == dataset else f"{dataset}_{kind}", recipe

    def results(self) -> str:
        """Return the name of the results, of their folder and tables: its own for other steps and seeds."""
        _, label, _ = self.chosen()
        steps = "" if self.steps is None else f"_{self.steps}"
        return f"{label}{steps}{f'_seed{self.seed}' if self.seed else ''}"


def train(config: Config, images: ImageSet) -> Found:
    """Train every network, or go on with it."""
    _, label, recipe = config.chosen()
    if not config.networks:
        raise ValueError(f"`networks` is empty; name at least one of {', '.join(SPATIAL_NETWORKS)}.")
    if unknown := [name for name in config.networks if name not in SPATIAL_NETWORKS]:
        raise ValueError(f"`networks` has {unknown}; they must be among {', '.join(SPATIAL_NETWORKS)}.")
    folders = {name: config.output / label / name / f"seed{config.seed}" for name in config.networks}
    if config.resume and not any(map(has_run, folders.values())):
        raise FileNotFoundError(
            f"`resume` is given, but there is nothing to resume in '{config.output / label}'. Check `output`, or leave "
            "it out."
        )
    if config.threads < 1:
        raise ValueError(f"`threads` is {config.threads}; it must be at least 1.")
    torch.set_num_threads(config.threads)
    found = {}
    for name, folder in folders.items():
        found[name] = train_spatial(name, recipe, images, config.seed, folder, resume=config.resume)
        row = found[name].row
        print(
            f"{images.label}, {name}: {row['steps']} steps in {row['minutes']:.1f} minutes, test accuracy "
            f"{row['accuracy']:.3f} ({row['low']:.3f} to {row['high']:.3f})",
            flush=True,
        )
    return found


@dataclass(frozen=True)
class Filters:
    """Filters of the first layer of a network, (y, x, out channel, in channel, window y, window x)."""

    start: NDArray[np.float32]
    trained: NDArray[np.float32]

    @property
    def change(self) -> NDArray[np.float32]:
        """What training added."""
        return self.trained - self.start


def first_filters(found: Found, recipe: SpatialRecipe, images: ImageSet, seed: int) -> dict[str, Filters]:
    """Return the first filters of every network whose hidden layers were trained."""
    return {
        name: Filters(
            filters_by_position(build_spatial(name, recipe, images, seed).chain.layers[0]),
            filters_by_position(one.network.chain.layers[0]),
        )
        for name, one in found.items()
        if name != "local-frozen"
    }


def filter_rows(filters: Mapping[str, Filters]) -> list[Row]:
    """Return how alike filters at neighbouring positions are: at the start, after training, and in their change."""
    return [
        {"network": name}
        | {stage: neighbour_correlation(getattr(one, stage)) for stage in ("start", "trained", "change")}
        for name, one in filters.items()
        if one.start.shape[:2] != (1, 1)
    ]


def plot_filters(filters: Mapping[str, Filters]) -> Figure | None:
    """Draw filters across positions and their change, of the channel that changed most; each panel on its own scale."""
    if not filters:
        return None
    rows = math.ceil(len(filters) / 2)
    figure = Figure(figsize=(7, 2 * rows))
    axes = figure.subplots(rows, 4, squeeze=False)
    for ax in axes.flat:
        ax.set_axis_off()
    for (name, one), (left, right) in zip(filters.items(), axes.reshape(-1, 2), strict=False):
        channel = int(np.square(one.change).sum((0, 1, 3, 4, 5)).argmax())
        # Evenly spaced positions, so few that a filter can be seen.
        apart = math.ceil(max(one.start.shape[:2]) / SHOWN)
        plot_local_filters(one.trained[::apart, ::apart, channel], left)
        plot_local_filters(one.change[::apart, ::apart, channel], right)
        left.set_title(f"{name}, channel {channel + 1}")
        right.set_title("its change")
    return figure


def plot_learning(found: Found, chance: float) -> Figure:
    """Draw the validation accuracy of every network over training."""
    figure = Figure(figsize=(5, 3.2))
    ax = figure.subplots()
    draw_runs({name: [one.log] for name, one in found.items()}, "validation_accuracy", ax)
    ax.axhline(chance, color="0.7", zorder=0)
    ax.set(xlabel="training step", ylabel="validation accuracy", ylim=(0, None))
    ax.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


def plot_all_angles(found: Found) -> Figure | None:
    """Draw the angles of every network that does without weight transport, one panel each."""
    measured = {name: one.angles for name, one in found.items() if one.angles is not None}
    if not measured:
        return None
    figure = Figure(figsize=(3.5 * len(measured), 2.8))
    for (name, angles), ax in zip(measured.items(), figure.subplots(1, len(measured), squeeze=False)[0], strict=True):
        plot_gradient_angles(angles, ax)
        ax.set_title(SPATIAL_NETWORKS[name].partition(", ")[2])
    return figure


def angle_rows(found: Found) -> list[Row]:
    """Return the angles at the start, at the end, and averaged over the second half of training, one row a layer."""
    return [
        {
            "network": name,
            "layer": int(layer),
            "start": float(one.angles.sel(layer=layer)[0]),
            "second_half": float(second_half(one.angles).sel(layer=layer)),
            "end": float(one.angles.sel(layer=layer)[-1]),
        }
        for name, one in found.items()
        if one.angles is not None
        for layer in one.angles["layer"].values
    ]


def curves(found: Found) -> xr.Dataset:
    """Return validation accuracy and angles over the training step of every network."""
    parts = []
    for name, one in found.items():
        lines = [line for line in one.log if "validation_accuracy" in line]
        part = xr.Dataset(
            {"validation_accuracy": ("step", [line["validation_accuracy"] for line in lines])},
            {"step": ("step", [line["step"] for line in lines], {"long_name": "training step"})},
        )
        if one.angles is not None:
            part = xr.merge([part, one.angles], join="outer")
        parts.append(part.expand_dims(network=[name]))
    return xr.concat(parts, "network", join="outer")


def exact_checks(found: Found) -> dict[str, bool]:
    """Return the checks that hold whatever was learned: weights in windows, matched sizes, the last gradient."""
    checks = {}
    for name, one in found.items():
        settings = one.network.settings
        if settings.kind == "local":
            layers = [layer for layer in one.network.chain.layers if isinstance(layer, LocallyConnected2d)]
            sizes = settings.sizes()
            wanted = 0
            for layer, (channels, height, width) in zip(settings.spatial, sizes, strict=False):
                positions = math.prod(side + 2 * layer.padding - layer.kernel_size + 1 for side in (height, width))
                wanted += positions * layer.channels * channels * layer.kernel_size**2
            held = sum(layer.weight.numel() for layer in layers)
            checks[f"{name}: {held} weights in locally connected layers, those within windows and no others"] = (
                held == wanted
            )
        if one.angles is not None:
            last = float(one.angles.isel(layer=-1).max())
            checks[f"{name}: the last layer's update is the true gradient, {last:.1g} degrees at most"] = last < 1e-3
    if {"local", "conv-matched"} <= found.keys():
        counts = [found[name].row["parameters"] for name in ("local", "conv-matched")]
        checks[f"conv-matched has {counts[1]} parameters, local {counts[0]}"] = (
            abs(counts[1] / counts[0] - 1) <= MATCHED
        )
    return checks


def second_half(angles: xr.DataArray) -> xr.DataArray:
    """Return the angle of each layer averaged over the second half of the measurements: a single one is noisy."""
    return angles.isel(step=slice(angles.sizes["step"] // 2, None)).mean("step")


def learning_checks(found: Found, chance: float) -> dict[str, bool]:
    """Return the checks of what was learned without weight transport."""
    checks = {}
    for name, one in found.items():
        if one.angles is None:
            continue
        row, largest = one.row, float(second_half(one.angles)[:-1].max())
        checks[
            f"{name}: every layer below 90 degrees to the true gradient in the second half of training: on average at "
            f"most {largest:.1f}"
        ] = largest < 90
        checks[f"{name}: test accuracy {row['accuracy']:.3f}, from {row['low']:.3f}, above chance, {chance:.3f}"] = (
            row["low"] > chance
        )
        if "local-frozen" in found:
            frozen = found["local-frozen"].row
            checks[f"{name}: above {frozen['high']:.3f}, which a trained last layer alone reaches at most"] = (
                row["low"] > frozen["high"]
            )
    return checks


def run(config: Config) -> int:
    """Train, compare, draw and check; return the exit code."""
    dataset, _, recipe = config.chosen()
    images = load_image_set(dataset, config.data)
    print(f"Images: {images.label}")
    found = train(config, images)
    chance = float(np.bincount(images.test_labels).max() / len(images.test_labels))
    filters = first_filters(found, recipe, images, config.seed)
    tables = {
        "networks": [one.row for one in found.values()],
        "angles": angle_rows(found),
        "filters": filter_rows(filters),
    }
    tables = {name: rows for name, rows in tables.items() if rows}
    for name, rows in tables.items():
        print_table(f"{images.label}: {name}", rows)
    folder = config.output / config.results()
    figures = {
        "learning": plot_learning(found, chance),
        "angles": plot_all_angles(found),
        "filters": plot_filters(filters),
    }
    written = [write_netcdf(curves(found).assign_attrs(images=images.label, seed=config.seed), folder / "curves.nc")]
    written += [cli.save_figure(one, folder / f"{name}.png") for name, one in figures.items() if one is not None]
    prefix = f"locally_connected_{config.results()}"
    for place in (folder, *([config.tables] if config.tables else [])):
        save_tables(place, prefix, tables, seed=config.seed, images=images.label, width=recipe.width)
    # A quick run has learned nothing that could be checked.
    checks = exact_checks(found) | ({} if config.quick else learning_checks(found, chance))
    exit_code = cli.report_checks(checks)
    print(f"Wrote {', '.join(map(str, written))}")
    return exit_code


def main() -> int:
    """Run the script and return its exit code."""
    config = tyro.cli(Config, description=__doc__, args=sys.argv[1:])
    with cli.one_line_errors(), style():
        cli.check_output_folder(config.output)
        return run(config)


if __name__ == "__main__":
    raise SystemExit(main())
