"""Seeing through clutter: recurrent networks whose lateral and top-down connections modulate them by bias or gain.

``train`` trains networks on scenes of eight objects of which one, whole and on top of a scrambled one, is the target.
``evaluate`` measures how well they name it. ``decode`` asks what else their activity and their recurrent flows tell:
location, scale, orientation. ``perturb`` asks whether they use it, by giving them the flows of an altered scene.
``all``, the default, does these one after the other. What is in the output folder is not done again, and a run that was
killed goes on.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import tyro
import xarray as xr
from matplotlib.figure import Figure

from neurocircuit import cli
from neurocircuit.analysis.decoding_settings import DecodingSettings
from neurocircuit.analysis.perturbation_experiment import PerturbationSettings
from neurocircuit.analysis.published_recogniser import published_summary
from neurocircuit.analysis.recogniser_answers import name_targets
from neurocircuit.analysis.recogniser_findings import NEUTRALISED, exact_checks, findings, recurrence_checks
from neurocircuit.analysis.recogniser_recipes import (
    RECOGNISER_RECIPES,
    RECOGNISER_VARIANTS,
    RecogniserRecipe,
    objects_of,
)
from neurocircuit.analysis.recogniser_study import RecogniserStudy, scenes_of
from neurocircuit.analysis.recogniser_summary import pool_variables
from neurocircuit.analysis.recogniser_tables import (
    accuracy_rows,
    by_network,
    connection_rows,
    decoding_curves,
    decoding_rows,
    importance_curves,
    perturbation_rows,
    variant_name,
    variant_rows,
)
from neurocircuit.networks import RecurrentRecogniser
from neurocircuit.plotting import style
from neurocircuit.plotting.recogniser import plot_decoding, plot_importance
from neurocircuit.plotting.recogniser_scenes import plot_answer, plot_scene, plot_scene_activity
from neurocircuit.plotting.training import draw_runs
from neurocircuit.simulation import write_netcdf
from neurocircuit.stimuli import SceneBatch
from neurocircuit.tables import Row, print_table, save_tables
from neurocircuit.training import read_log

#: Test scenes among which an example of each answer is looked for, and those on which exact checks are made.
SHOWN_SCENES, CHECKED_SCENES = 50, 16
#: Longer tables are saved only.
PRINTED_ROWS = 60
#: Networks whose results are published; those that are decoded, and those whose flows are perturbed, by default.
PUBLISHED = ("0111", "1011")
DECODED, PERTURBED = (*PUBLISHED, "0000"), PUBLISHED

Variants = Annotated[
    tuple[str, ...], tyro.conf.arg(help="; ".join(f"{flags}: {text}" for flags, text in RECOGNISER_VARIANTS.items()))
]


@dataclass(frozen=True, kw_only=True)
class Common:
    """What all commands share."""

    recipe: Annotated[str, tyro.conf.arg(help=f"{', '.join(RECOGNISER_RECIPES)}.")] = "small"
    data: Path | None = None
    """Folder with the image sets; by default NEUROCIRCUIT_DATA, or what torchvision downloads into the cache folder."""
    variants: Variants = tuple(RECOGNISER_VARIANTS)
    seed: tuple[int, ...] = (0, 1, 2)
    """Seeds, each a network of every variant."""
    steps: int | None = None
    """Training steps of every network; by default the recipe's."""
    jobs: int = 1
    """Networks that are worked on at the same time, each with one thread."""
    device: str = "cpu"
    """Where networks are trained: cpu, cuda or cuda:N. They are measured on the CPU."""
    output: Path = Path("outputs/recurrent_recogniser")
    """Folder for all files."""
    tables: Path | None = None
    """Another folder for the tables, such as docs/results."""
    quick: bool = False
    """Seconds instead of hours, on objects that need no data; results mean nothing."""

    def chosen(self) -> RecogniserRecipe:
        """Return the recipe that the flags describe."""
        name = "embedded" if self.quick else self.recipe
        if name not in RECOGNISER_RECIPES:
            raise ValueError(f"`recipe` is {name!r}; it must be one of {', '.join(RECOGNISER_RECIPES)}.")
        recipe = RECOGNISER_RECIPES[name].with_training(device=self.device)
        if self.quick:
            recipe = replace(
                recipe.with_training(steps=4, batch_size=4, evaluate_every=2, checkpoint_every=2, log_every=1),
                validation_scenes=20,
                test_scenes=50,
                decoding=DecodingSettings(scenes=250, repeats=1, scene_kinds=("cluttered",)),
                perturbation=PerturbationSettings(scenes=10, repeats=1),
            )
        return recipe if self.steps is None else recipe.with_training(steps=self.steps)

    def study(self) -> RecogniserStudy:
        """Return the study that the flags describe; each recipe has a folder of its own."""
        folder = self.output / ("quick" if self.quick else self.recipe)
        return RecogniserStudy(recipe=self.chosen(), folder=folder, data=self.data, jobs=self.jobs)


@dataclass(frozen=True, kw_only=True)
class Train(Common):
    """Train every network that is not yet trained."""


@dataclass(frozen=True, kw_only=True)
class Evaluate(Common):
    """Measure how well every trained network names targets, and check what must hold."""


@dataclass(frozen=True, kw_only=True)
class Decode(Common):
    """Decode category, location, scale, rotation and domain from layers and flows, beside untrained networks."""

    variants: Variants = DECODED


@dataclass(frozen=True, kw_only=True)
class Perturb(Common):
    """Replace flows by those of altered scenes, and measure what it costs."""

    variants: Variants = PERTURBED


@dataclass(frozen=True, kw_only=True)
class All(Common):
    """All of it; networks that are neither gain, bias nor feedforward are trained and evaluated only."""


Command = (
    Annotated[Train, tyro.conf.subcommand("train")]
    | Annotated[Evaluate, tyro.conf.subcommand("evaluate")]
    | Annotated[Decode, tyro.conf.subcommand("decode")]
    | Annotated[Perturb, tyro.conf.subcommand("perturb")]
    | Annotated[All, tyro.conf.subcommand("all")]
)


def train(config: Common) -> dict[str, bool]:
    """Train every network, and print how each ended."""
    study = config.study()
    found = study.each(study.train, config.variants, config.seed)
    rows = [
        {
            "flags": flags,
            "variant": variant_name(flags),
            "seed": seed,
            "steps": result.steps,
            "minutes": result.seconds / 60,
            "best_step": result.best_step,
            "validation_accuracy": result.best.accuracy,
            "low": result.best.low,
            "high": result.best.high,
        }
        for (flags, seed), result in found.items()
    ]
    print_table("training", rows)
    logs = {variant_name(flags): [] for flags in config.variants}
    for flags, seed in found:
        logs[variant_name(flags)].append(read_log(study.place(flags, seed)))
    figure = Figure(figsize=(4.5, 3))
    draw_runs(logs, "validation_accuracy", ax := figure.subplots())
    ax.set(xlabel="training step", ylabel="validation accuracy", ylim=(0, 1))
    ax.legend()
    save({"learning": figure}, study.folder)
    return {}


def evaluate(config: Common) -> dict[str, bool]:
    """Measure every network, and draw scenes with the answers of the first one."""
    study = config.study()
    found = study.each(study.evaluate, config.variants, config.seed)
    networks = {flags: study.load(flags, config.seed[0]) for flags in config.variants}
    tables = {
        "networks": accuracy_rows(found),
        "variants": variant_rows(found),
        "connections": connection_rows(networks),
        "findings": findings(found, {}, {}),
    }
    report(config, "evaluation", tables, {flags: by_network(found, flags) for flags in config.variants})
    scenes = scenes_of(study.recipe, SHOWN_SCENES, config.data)
    names = objects_of(study.recipe, "test", config.data).class_names
    network = networks[config.variants[0]]
    with torch.no_grad():
        run = network.run(scenes.images[:1], ("activations",))
    figures = {
        "answers": plot_answers(network, scenes, names),
        "activity": plot_scene_activity(run, Figure(figsize=(5.5, 5), layout="constrained")),
    }
    save(figures, study.folder)
    checks = exact_checks(networks, scenes.images[:CHECKED_SCENES])
    return checks | ({} if config.quick else recurrence_checks(found))


def decode(config: Common) -> dict[str, bool]:
    """Decode every variant."""
    study = config.study()
    found = {flags: study.decode(flags, config.seed) for flags in config.variants}
    report(config, "decoding", {"accuracy": decoding_rows(found), "findings": findings({}, found, {})}, found)
    figures = {}
    for quantity, name in (("activations", "decoding"), ("flows", "flow_decoding")):
        curves = decoding_curves(found, quantity)
        if curves:
            ghosts = published_curves(config, quantity)
            nulls = decoding_curves(found, f"{quantity}_untrained")
            figures[name] = plot_decoding(curves, nulls=nulls, ghosts=ghosts, chance=chance_levels(found))
    save(figures, study.folder)
    return {}


def chance_levels(found: Mapping[str, xr.Dataset]) -> dict[str, float]:
    """Return the accuracy of guessing the most frequent class of each variable, the same for all variants."""
    chance = pool_variables(next(iter(found.values()))["chance"]).mean(["network", "repeat"])
    return dict(zip(chance["variable"].values.tolist(), chance.values.tolist(), strict=True))


def published_curves(config: Common, quantity: str) -> dict[str, xr.Dataset]:
    """Return the published curves of those variants that are compared, by name."""
    return {variant_name(flags): published_summary(quantity, flags) for flags in PUBLISHED if flags in config.variants}


def importance_ghosts(config: Common) -> dict[str, xr.Dataset]:
    """Return the published importances, but for those of another experiment than ours."""
    ghosts = published_curves(config, "importance")
    if config.chosen().perturbation.legacy:
        return ghosts
    return {name: curves.drop_sel(perturbation=list(NEUTRALISED)) for name, curves in ghosts.items()}


def perturb(config: Common) -> dict[str, bool]:
    """Perturb every variant."""
    study = config.study()
    found = {flags: study.perturb(flags, config.seed) for flags in config.variants}
    report(config, "perturbation", {"importance": perturbation_rows(found), "findings": findings({}, {}, found)}, found)
    # Importance is a share of the accuracy, so that there is none where a network names no target.
    curves = {name: own for name, own in importance_curves(found).items() if own["mean"].notnull().any()}
    if not curves:
        print("No figure of importance: no variant names a target with all its networks.")
        return {}
    perturbations = ("location", "orientation", "scale", "category")
    figure = plot_importance(curves, ghosts=importance_ghosts(config), perturbations=perturbations)
    save({"importance": figure}, study.folder)
    return {}


def everything(config: Common) -> dict[str, bool]:
    """Train, evaluate, decode and perturb."""
    checks = train(config) | evaluate(config)
    for stage, variants in ((decode, DECODED), (perturb, PERTURBED)):
        chosen = tuple(flags for flags in config.variants if flags in variants)
        if chosen:
            checks |= stage(replace(config, variants=chosen))
    return checks


def plot_answers(network: RecurrentRecogniser, scenes: SceneBatch, names: Sequence[str]) -> Figure:
    """Draw the surest right and the surest wrong answer of a network."""
    answers = name_targets(network, scenes)
    sureness = answers.probabilities.max(1)
    right = np.flatnonzero(answers.right)
    shown = [*right[np.argsort(-sureness[right])][:1], *answers.mistakes[:1]]
    figure = Figure(figsize=(5.5, 2.2 * len(shown)), layout="constrained")
    for (left, bars), number in zip(figure.subplots(len(shown), 2, squeeze=False), shown, strict=True):
        category = int(answers.categories[number])
        box = scenes.boxes[number, scenes.target[number]]
        plot_scene(scenes.images[number], left, title=f"target: {names[category]}", box=box)
        plot_answer(answers.probabilities[number], category, names, bars)
        bars.set_title("right" if answers.right[number] else "wrong")
    return figure


def report(config: Common, name: str, tables: Mapping[str, list[Row]], results: Mapping[str, xr.Dataset]) -> None:
    """Print the short tables of a stage, save all of them, and save its results, one file a variant."""
    folder = config.study().folder
    tables = {title: rows for title, rows in tables.items() if rows}
    for title, rows in tables.items():
        if len(rows) <= PRINTED_ROWS:
            print_table(f"{name}: {title}", rows)
    for place in (folder, *([config.tables] if config.tables else [])):
        save_tables(place, f"recogniser_{folder.name}_{name}", tables, seed=None, seeds=config.seed)
    for flags, result in results.items():
        print(f"Wrote {write_netcdf(result, folder / f'{name}_{flags}.nc')}")


def save(figures: Mapping[str, Figure], folder: Path) -> None:
    """Save figures under their names."""
    for name, figure in figures.items():
        print(f"Wrote {cli.save_figure(figure, folder / f'{name}.png')}")


def main() -> int:
    """Run the script and return its exit code."""
    arguments = sys.argv[1:]
    if not arguments or (arguments[0].startswith("-") and arguments[0] not in ("-h", "--help")):
        arguments = ["all", *arguments]
    config: Any = tyro.cli(Command, description=__doc__, args=arguments)  # type: ignore[arg-type]
    stages: dict[type, Callable[[Any], dict[str, bool]]] = {
        Train: train,
        Evaluate: evaluate,
        Decode: decode,
        Perturb: perturb,
        All: everything,
    }
    with cli.one_line_errors(), style():
        cli.check_output_folder(config.output)
        return cli.report_checks(stages[type(config)](config))


if __name__ == "__main__":
    raise SystemExit(main())
