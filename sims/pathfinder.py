"""Pathfinder: are two markers on one path? Data, training, evaluation, and the controls that a network has to beat.

``generate`` writes a data set in the field's layout. ``train`` trains networks on freshly drawn images and can go on
after a crash (``--resume``). ``evaluate`` compares trained networks on fresh images: accuracy, against path length,
against time steps. ``controls``, the default, needs no training: how much the distance of the markers alone gives away,
and the sizes of the networks compared.

The difficulty ``small`` with its recipe is made for two CPU cores; 6, 9 and 14 are the published ones.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import tyro
import xarray as xr
from matplotlib.figure import Figure

from neurocircuit import cli
from neurocircuit.analysis.pathfinder import (
    PATHFINDER_MODELS,
    accuracy_by_path_length,
    accuracy_by_steps,
    build_network,
    distance_baseline,
    evaluate_network,
    load_network,
    train_network,
)
from neurocircuit.analysis.pathfinder_recipes import FRESH_SEED, PATHFINDER_RECIPES, PathfinderRecipe
from neurocircuit.networks import HGRUClassifier, count_parameters
from neurocircuit.plotting import (
    plot_accuracy,
    plot_contact_sheet,
    plot_learning_curves,
    plot_marker_distances,
    style,
)
from neurocircuit.simulation import write_netcdf
from neurocircuit.stimuli import PathfinderSettings, pathfinder_batch, write_pathfinder
from neurocircuit.tables import Row, print_table, save_tables
from neurocircuit.training import has_run, read_log

#: Accuracy that the marker distance alone gave on images of the public generator, and the scored distances behind it.
KNOWN_LEAK = {"6": (0.876, 800), "9": (0.805, 600), "14": (0.595, 400)}
#: Largest accuracy of the marker distance alone on distance-matched images.
MATCHED_LIMIT = 0.52
#: Points by which the hGRU must beat each control.
MARGIN = 0.15


@dataclass(frozen=True, kw_only=True)
class Common:
    """What all commands share."""

    difficulty: str = "small"
    """small, 6, 9 or 14."""
    image_size: int | None = None
    """Side of the images in pixels; by default the difficulty's. Larger ones than are drawn are refused."""
    output: Path = Path("outputs/pathfinder")
    """Folder for all files."""
    quick: bool = False
    """Seconds instead of minutes, to see that everything runs; results mean nothing."""

    def recipe(self) -> PathfinderRecipe:
        """Return the recipe that the flags describe."""
        if self.difficulty not in PATHFINDER_RECIPES:
            raise ValueError(f"`difficulty` is {self.difficulty!r}; it must be one of {', '.join(PATHFINDER_RECIPES)}.")
        recipe = PATHFINDER_RECIPES[self.difficulty]
        if self.image_size is not None:
            recipe = replace(
                recipe,
                settings=replace(recipe.settings, image_size=self.image_size),
                curriculum=tuple(
                    (end, tuple(replace(settings, image_size=self.image_size) for settings in mixture))
                    for end, mixture in recipe.curriculum
                ),
            )
        if not self.quick:
            return recipe
        few = {"steps": 4, "batch_size": 4, "evaluation_samples": 8, "evaluate_every": 2, "checkpoint_every": 2}
        training = replace(recipe.training, **few, log_every=1, warmup_steps=0)
        return replace(recipe, training=training, channels=3, kernel_size=5, steps=2, matched_kernel=3, wide_kernel=5)

    def run_folder(self, model: str, seed: int) -> Path:
        """Return where a run is kept."""
        return self.output / self.difficulty / model / f"seed{seed}"


@dataclass(frozen=True, kw_only=True)
class Generate(Common):
    """Write a data set: PNG images, list files, metadata and a manifest. Called again, it goes on where it stopped."""

    count: int = 10_000
    """Number of images."""
    seed: int = 0
    """Seed of the images."""
    workers: int = 1
    """Processes."""
    negatives: str | None = None
    """published or distance_matched; by default the difficulty's own."""


@dataclass(frozen=True, kw_only=True)
class Train(Common):
    """Train networks on freshly drawn images."""

    model: tuple[str, ...] = ("hgru", "feedforward")
    """One or more networks; see the names that controls prints."""
    seed: tuple[int, ...] = (0,)
    """Seeds of weights and images, each a run of its own."""
    resume: bool = False
    """Go on with runs that were interrupted, and begin those that were not, instead of refusing their folders."""
    device: str = "cpu"
    """cpu, cuda or cuda:N."""
    threads: int = 1
    """Threads of a run. Its weights are the same to the bit only for the same number."""


@dataclass(frozen=True, kw_only=True)
class Evaluate(Common):
    """Compare trained networks on fresh images."""

    model: tuple[str, ...] = ("hgru", "feedforward")
    """The networks compared; the first must beat the others and the marker distance."""
    seed: tuple[int, ...] = (0,)
    """Seeds of the runs."""
    images: int = 10_000
    """Fresh images for the accuracy; half of them are scored by the marker distance, whose rule needs the others."""
    curve_images: int = 2000
    """Fresh images for each point of a curve."""
    tables: Path | None = None
    """Another folder for the tables, such as docs/results."""


@dataclass(frozen=True, kw_only=True)
class Controls(Common):
    """Measure what the distance of the markers alone gives away, and list the networks."""

    seed: int = 0
    """Seed of the images."""
    images: int = 20_000
    """Images; half fit the rule and half are scored."""
    tables: Path | None = None
    """Another folder for the tables, such as docs/results."""


Command = (
    Annotated[Controls, tyro.conf.subcommand("controls")]
    | Annotated[Generate, tyro.conf.subcommand("generate")]
    | Annotated[Train, tyro.conf.subcommand("train")]
    | Annotated[Evaluate, tyro.conf.subcommand("evaluate")]
)


def generate(config: Generate) -> int:
    """Write a data set and a contact sheet of its first images."""
    settings = config.recipe().settings
    if config.negatives is not None:
        settings = replace(settings, negatives=config.negatives)  # type: ignore[arg-type]  (checked by the settings)
    count = 24 if config.quick else config.count
    folder = config.output / f"pathfinder_{config.difficulty}{'_quick' if config.quick else ''}"
    manifest = write_pathfinder(folder, settings, config.seed, count, workers=config.workers)
    figure = cli.save_figure(contact_sheet(settings, config.seed), config.output / f"{folder.name}.png")
    print(f"Wrote {count} images, {manifest} and {figure}")
    return 0


def contact_sheet(settings: PathfinderSettings, seed: int) -> Figure:
    """Draw the first 24 images of a seed."""
    figure = Figure(figsize=(7, 4.8))
    plot_contact_sheet(pathfinder_batch(settings, seed, range(24)), figure.subplots())
    return figure


def train(config: Train) -> int:
    """Train every model with every seed."""
    recipe = config.recipe()
    recipe = replace(recipe, training=replace(recipe.training, device=config.device))
    folders = {(model, seed): config.run_folder(model, seed) for seed in config.seed for model in config.model}
    if config.resume and not any(map(has_run, folders.values())):
        raise FileNotFoundError(
            f"`resume` is given, but there is nothing to resume in '{config.output}'. Check `output`, or leave it out."
        )
    if config.threads < 1:
        raise ValueError(f"`threads` is {config.threads}; it must be at least 1.")
    torch.set_num_threads(config.threads)
    for (model, seed), folder in folders.items():
        # With --resume, runs that were not yet begun are begun.
        result = train_network(model, recipe, seed, folder, resume=config.resume and has_run(folder))
        print(
            f"{model}, seed {seed}: {result.steps} steps in {result.seconds / 60:.1f} minutes, best validation "
            f"accuracy {result.best.accuracy:.3f} after step {result.best_step}; wrote {result.weights.parent}"
        )
    return 0


def evaluate(config: Evaluate) -> int:
    """Compare trained networks on fresh images, in a table and a figure."""
    recipe, images = config.recipe(), 64 if config.quick else config.images
    curve_images = 32 if config.quick else config.curve_images
    length = recipe.settings.contour_length
    rows, curves, logs = [], {}, {name: [] for name in config.model}
    for name in config.model:
        for seed in trained_seeds(config, name):
            folder = config.run_folder(name, seed)
            model = load_network(name, recipe, folder)
            found = evaluate_network(model, recipe.settings, images)
            log = read_log(folder)
            logs[name].append(log)
            rows.append(row(name, seed, found) | run_facts(log, model))
            curves[name, seed] = accuracy_by_path_length(
                model, recipe.settings, range(max(2, length - 2), length + 2), curve_images
            )
            if isinstance(model, HGRUClassifier):
                curves[f"{name} by time steps", seed] = accuracy_by_steps(model, recipe.settings, curve_images)
    distance = distance_baseline(pathfinder_batch(recipe.settings, FRESH_SEED, range(images)))["histogram"]
    rows.append(row("marker distance", "-", distance) | {"parameters": "-", "steps": "-", "minutes": "-"})
    print_table("accuracy on fresh images", rows)
    drawn = {"seed": FRESH_SEED, "images": images, "curve_images": curve_images}
    result = xr.merge(
        [
            curve.expand_dims(model=[name], seed=[seed]).rename({v: f"{v}_by_{next(iter(curve.dims))}" for v in curve})
            for (name, seed), curve in curves.items()
        ],
        join="outer",
        compat="no_conflicts",
    ).assign_attrs(difficulty=config.difficulty, **drawn)
    data = write_netcdf(result, config.output / config.difficulty / "evaluation.nc")
    figure = cli.save_figure(plot_evaluation(curves, logs, config.seed), data.with_suffix(".png"))
    for folder in (data.parent, *([config.tables] if config.tables else [])):
        flat = [point for (name, seed), curve in curves.items() for point in points(name, seed, curve)]
        tables = {"accuracy": rows, "curves": flat}
        save_tables(folder, f"pathfinder_{config.difficulty}", tables, **drawn, seeds=config.seed)
    # A quick run has learned nothing that could be checked.
    exit_code = cli.report_checks({} if config.quick else margins(rows, config.model))
    print(f"Wrote {data} and {figure}")
    return exit_code


def trained_seeds(config: Evaluate, name: str) -> tuple[int, ...]:
    """Return the seeds with which a network was trained, and say which are left out; all of them if none was."""
    found = tuple(seed for seed in config.seed if has_run(config.run_folder(name, seed)))
    if found and found != tuple(config.seed):
        print(f"{name}: no run with the seeds {', '.join(str(s) for s in config.seed if s not in found)}; left out")
    return found or tuple(config.seed)


def row(name: str, seed: object, found: Any) -> Row:
    """Return one line of the table."""
    return {"model": name, "seed": seed, "accuracy": found.accuracy, "low": found.low, "high": found.high}


def run_facts(log: list[dict[str, Any]], model: torch.nn.Module) -> Row:
    """Return the size of a network and how long it was trained."""
    return {"parameters": count_parameters(model), "steps": log[-1]["step"], "minutes": log[-1]["seconds"] / 60}


def points(name: str, seed: int, curve: xr.Dataset) -> list[Row]:
    """Return a curve as rows."""
    (axis,) = curve["accuracy"].dims
    values = zip(*(curve[v].values.tolist() for v in (axis, "accuracy", "low", "high")), strict=True)
    return [
        {"model": name, "seed": seed, "axis": axis, "value": at, "accuracy": accuracy, "low": low, "high": high}
        for at, accuracy, low, high in values
    ]


def margins(rows: list[Row], models: tuple[str, ...]) -> dict[str, bool]:
    """Return the checks: in every seed the first network beats the others by the margin, with intervals apart."""
    first = [row for row in rows if row["model"] == models[0]]
    checks = {}
    for other in (*models[1:], "marker distance"):
        theirs = [row for row in rows if row["model"] == other]
        # The worst of ours against the best of theirs, whatever their seeds.
        worst, best = min(first, key=lambda r: r["accuracy"]), max(theirs, key=lambda r: r["accuracy"])
        gap = worst["accuracy"] - best["accuracy"]
        what = f"{models[0]} is {100 * gap:.1f} points above {other}, at least {100 * MARGIN:.0f}, 95 % intervals apart"
        checks[what] = gap >= MARGIN and worst["low"] > best["high"]
    return checks


def plot_evaluation(curves: dict[Any, xr.Dataset], logs: dict[str, Any], seeds: tuple[int, ...]) -> Figure:
    """Draw learning curves, accuracy against path length, and against time steps."""
    figure = Figure(figsize=(7.5, 2.6))
    left, middle, right = figure.subplots(1, 3)
    plot_learning_curves(logs, left)
    mean = {
        name: xr.concat([curves[name, seed] for seed in seeds if (name, seed) in curves], "seed").mean(
            "seed", keep_attrs=True
        )
        for name in dict.fromkeys(name for name, _ in curves)
    }
    plot_accuracy({name: curve for name, curve in mean.items() if "path_length" in curve.dims}, middle)
    plot_accuracy({name: curve for name, curve in mean.items() if "time_step" in curve.dims}, right)
    return figure


def controls(config: Controls) -> int:
    """Measure the marker-distance classifiers on both kinds of negatives, and count the networks' parameters."""
    recipe, images = config.recipe(), 400 if config.quick else config.images
    batches = {
        kind: pathfinder_batch(replace(recipe.settings, negatives=kind), config.seed, range(images))  # type: ignore[arg-type]
        for kind in ("published", "distance_matched")
    }
    rows = []
    for kind, batch in batches.items():
        for rule, score in distance_baseline(batch).items():
            rows.append(
                {
                    "negatives": kind,
                    "classifier": rule,
                    "accuracy": score.accuracy,
                    "low": score.low,
                    "high": score.high,
                    "images": score.images,
                    "rule": score.rule,
                }
            )
    print_table(f"accuracy from the distance of the markers alone, difficulty {config.difficulty}", rows)
    networks = [
        {"model": name, "parameters": count_parameters(build_network(name, recipe))} for name in PATHFINDER_MODELS
    ]
    print_table("networks", networks)
    folder = config.output / config.difficulty
    result = xr.Dataset(
        {
            name: (("negatives", "image"), np.stack([getattr(batch, name) for batch in batches.values()]), attributes)
            for name, attributes in (
                ("marker_distance", {"units": "delivered pixels", "long_name": "distance of the markers"}),
                ("labels", {"long_name": "1 if the markers are on one path"}),
            )
        },
        coords={"negatives": list(batches)},
    ).assign_attrs(difficulty=config.difficulty, seed=config.seed)
    data = write_netcdf(result, folder / "controls.nc")
    figure = cli.save_figure(plot_controls(batches), folder / "controls.png")
    tables = {"distance": rows, "networks": networks}
    for place in (folder, *([config.tables] if config.tables else [])):
        save_tables(place, f"pathfinder_controls_{config.difficulty}", tables, seed=config.seed, images=images)
    exit_code = cli.report_checks({} if config.quick else leak_checks(config.difficulty, rows))
    print(f"Wrote {data} and {figure}")
    return exit_code


def leak_checks(difficulty: str, rows: list[Row]) -> dict[str, bool]:
    """Return the checks of the marker distance: the published leak is there, and matching takes it away."""
    score = {(row["negatives"], row["classifier"]): row for row in rows}
    checks = {}
    if difficulty in KNOWN_LEAK:
        known, count = KNOWN_LEAK[difficulty]
        ours = score["published", "window"]
        # Both figures are estimates: three standard errors of their difference.
        allowed = 3 * float(np.sqrt(known * (1 - known) * (1 / count + 1 / ours["images"])))
        what = f"published negatives: {100 * ours['accuracy']:.1f} %, with the public generator {100 * known:.1f} %"
        checks[f"{what} (within {100 * allowed:.1f} points)"] = abs(ours["accuracy"] - known) <= allowed
    best = max(score["distance_matched", rule]["accuracy"] for rule in ("window", "histogram"))
    checks[f"matched negatives: {100 * best:.1f} % from the distance, at most {100 * MATCHED_LIMIT:.0f} %"] = (
        best <= MATCHED_LIMIT
    )
    return checks


def plot_controls(batches: dict[str, Any]) -> Figure:
    """Draw the distances of both kinds of negatives."""
    figure = Figure(figsize=(6.5, 2.6))
    for (kind, batch), ax in zip(batches.items(), figure.subplots(1, 2), strict=True):
        plot_marker_distances(batch, ax)
        ax.set_title(kind.replace("_", " "))
    return figure


def main() -> int:
    """Run the script and return its exit code."""
    arguments = sys.argv[1:]
    if not arguments or (arguments[0].startswith("-") and arguments[0] not in ("-h", "--help")):
        arguments = ["controls", *arguments]
    config: Any = tyro.cli(Command, description=__doc__, args=arguments)  # type: ignore[arg-type]
    commands: dict[type, Callable[[Any], int]] = {
        Generate: generate,
        Train: train,
        Evaluate: evaluate,
        Controls: controls,
    }
    with cli.one_line_errors(), style():
        cli.check_output_folder(config.output)
        return commands[type(config)](config)


if __name__ == "__main__":
    raise SystemExit(main())
