"""Compare competing hidden units, which learn without labels, with backpropagation and two controls.

Four networks are trained on the same prepared images, and scored on the test images at the end: BIO (the rank rule of
Krotov and Hopfield, with a trained read-out), BP (the same architecture end to end), one without hidden units, and one
with random hidden units. A run that was killed goes on with ``--resume``. With ``--ode`` no network is compared: the
units learn, and their slow inhibitory competition is asked, on validation images, for the winners that the fast rule
takes for granted.

MNIST, Fashion-MNIST and CIFAR-10 are read from ``--data`` or the folder in NEUROCIRCUIT_DATA, or else downloaded.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import torch
import tyro

from neurocircuit import cli
from neurocircuit.analysis.hidden_unit_comparison import compare_hidden_units, prepare_images, train_bio_units
from neurocircuit.analysis.hidden_unit_recipes import ComparisonRecipe, comparison_recipe
from neurocircuit.analysis.hidden_unit_results import (
    HIDDEN_UNIT_NETWORKS,
    Comparison,
    comparison_dataset,
    comparison_rows,
)
from neurocircuit.analysis.winner_tables import winner_checks, winner_tables
from neurocircuit.analysis.winners import INHIBITIONS, ode_study
from neurocircuit.checks import check_whole
from neurocircuit.files import sha256_of_file
from neurocircuit.plasticity import load_units, save_units
from neurocircuit.plotting import style
from neurocircuit.plotting.hidden_units import plot_comparison, plot_weight_mosaics
from neurocircuit.plotting.winners import plot_winners
from neurocircuit.simulation import write_netcdf
from neurocircuit.stimuli import DIGITS, ImageSet, load_image_set
from neurocircuit.tables import Row, print_table, save_tables

#: Hidden units of a quick run: few enough that random ones do not do as well.
QUICK_UNITS = 40
#: What BIO must be ahead of random hidden units by, on MNIST with 100 units, and what it must reach there.
SMALL_UNITS, SMALL_MARGIN, SMALL_ACCURACY = 100, 0.04, 0.92
#: Images of the study of slow competition, and of a quick one.
ODE_IMAGES, QUICK_ODE_IMAGES = 200, 20


@dataclass(frozen=True, kw_only=True)
class Config:
    """Compare competing hidden units with backpropagation."""

    dataset: Literal["mnist", "fashion", "cifar10", "digits"] = "mnist"
    """Images; digits are small ones that need no download."""
    hidden: int | None = None
    """Hidden units; None is the recipe's, 2000 (digits: 100, quick: 40)."""
    data: Path | None = None
    """Folder of image sets in their original layouts; None is NEUROCIRCUIT_DATA, or a download."""
    units: Path | None = None
    """File of hidden units that were trained before, .npz, .safetensors or the published .npy; None trains them."""
    epochs: int | None = None
    """Passes of the unsupervised training; None is the recipe's."""
    read_out_epochs: int | None = None
    """Passes of the training of read-outs; None is the recipe's."""
    bp_epochs: int | None = None
    """Passes of the training of BP; None is the recipe's."""
    ode: bool = False
    """Study the slow competition in place of the comparison."""
    images: int | None = None
    """Validation images of that study; None is 200 (quick: 20)."""
    seed: int = 0
    """Of held-out images, starts and orders."""
    device: str = "cpu"
    """cpu, cuda or cuda:N."""
    threads: int = 2
    """Threads of torch; another number rounds differently."""
    output: Path = Path("outputs/competing_hidden_units")
    """Folder for checkpoints, weights, NetCDF and figures; each data set and number of units has its own in it."""
    tables: Path | None = None
    """Folder for small tables as CSV and JSON; None writes none."""
    resume: bool = False
    """Go on with the run in the folder."""
    quick: bool = False
    """Use the digits, and with --ode few of them: seconds."""

    def recipe(self) -> ComparisonRecipe:
        """Return the recipe with what the command line changes."""
        recipe = comparison_recipe(self.name, QUICK_UNITS if self.quick and self.hidden is None else self.hidden)
        if self.epochs is not None:
            recipe = recipe.with_rule(epochs=self.epochs)
        for name, flag in (("read_out", "read_out_epochs"), ("end_to_end", "bp_epochs")):
            if getattr(self, flag) is not None:
                epochs = check_whole(flag, getattr(self, flag))
                recipe = replace(recipe, **{name: replace(getattr(recipe, name), epochs=epochs)})
        return recipe

    @property
    def name(self) -> str:
        """Name of the images."""
        return DIGITS if self.quick else self.dataset

    @property
    def folder(self) -> Path:
        """Folder of this run."""
        hidden = self.recipe().n_hidden
        return self.output / f"{self.name}_{hidden}{'_ode' if self.ode else ''}{'_quick' if self.quick else ''}"


def given_units(config: Config, recipe: ComparisonRecipe) -> tuple[Any, dict[str, Any]]:
    """Return the weights of the file of units, and what results say of it; None and nothing without a file.

    What the file itself says must fit the recipe: with another norm the units would have other currents, and otherwise
    prepared images would be other images to them.
    """
    if config.units is None:
        return None, {}
    weights, about = load_units(config.units)
    # As this script writes them, or by themselves.
    stated = about["recipe"] if isinstance(about.get("recipe"), dict) else {}
    found = {**about, **stated, **stated.get("rule", {})}
    for name, here in (("p", recipe.rule.p), ("centre", recipe.centre)):
        if found.get(name, here) != here:
            raise ValueError(
                f"`units` is '{config.units}', whose units were trained with the {name} {found[name]!r}, but here it "
                f"is {here!r}. Use others, or leave `units` out to train them."
            )
    if len(weights) != recipe.n_hidden:
        raise ValueError(
            f"`units` is '{config.units}' with {len(weights)} units, but `hidden` is {recipe.n_hidden}; set it to "
            f"{len(weights)}."
        )
    return weights, {"units": {"file": config.units.name, "sha256": sha256_of_file(config.units)}}


def as_text(source: dict[str, Any]) -> dict[str, str]:
    """Return what is said of a file of units as attributes of a data set."""
    return {name: json.dumps(value) for name, value in source.items()}


def claims(comparison: Comparison, rows: list[Row]) -> dict[str, bool]:
    """Return the checks: competing units are better than random ones, and on CIFAR-10 than none."""
    accuracy = {row["network"]: row["test_accuracy"] for row in rows}
    bio, name = accuracy["bio"], comparison.images.name
    small = name == "mnist" and comparison.recipe.n_hidden == SMALL_UNITS
    checks = {f"BIO {bio:.2%}, above {SMALL_ACCURACY:.0%}": bio > SMALL_ACCURACY} if small else {}
    least = SMALL_MARGIN if small else 0.0
    for control in ("random", "linear") if name == "cifar10" else ("random",):
        gap = bio - accuracy[control]
        text = f"BIO {gap:+.2%} to {HIDDEN_UNIT_NETWORKS[control]} ({accuracy[control]:.2%}), more than {least:.0%}"
        checks[text] = gap > least
    return checks


def compare(config: Config, images: ImageSet, recipe: ComparisonRecipe) -> int:
    """Train and score the networks, draw and save; return the exit code."""
    units, source = given_units(config, recipe)
    found = compare_hidden_units(
        images, recipe, config.seed, config.folder, resume=config.resume, device=config.device, units=units
    )
    rows = comparison_rows(found)
    print_table(f"{images.label}: {len(images.test_labels):,} test images, scored after all training", rows)
    print(f"\nBIO's hidden units: {found.convergence}")
    if found.unit_seconds is not None:
        print(f"They learned in {found.unit_seconds / 60:.1f} minutes of CPU time, {recipe.rule.epochs} epochs.")
    weights = {"BIO": found.hidden_weights("bio"), "BP": found.hidden_weights("bp")}
    logs = {name: one.log for name, one in found.models.items()}
    title = f"BIO, {images.label}"
    figures = {
        "weights": plot_weight_mosaics(weights),
        "learning": plot_comparison(logs, found.models["bio"].confusion, images.class_names, title),
    }
    data = comparison_dataset(found).assign_attrs(as_text(source))
    written = [write_netcdf(data, config.folder / "comparison.nc")]
    written += [cli.save_figure(figure, config.folder / f"{name}.png") for name, figure in figures.items()]
    about = {"images": images.label, "recipe": found.settings(), "seed": config.seed, **source}
    for suffix in ("npz", "safetensors"):
        written.append(config.folder / f"units.{suffix}")
        save_units(written[-1], found.models["bio"].model.hidden.weights, **about)
    converged = {
        "converged": found.convergence.converged,
        "largest_norm": float(found.convergence.norms.max()),
        "largest_share": found.convergence.largest_share,
        "evenness": found.convergence.evenness,
        "dead": found.convergence.dead,
        "cpu_minutes": "-" if found.unit_seconds is None else found.unit_seconds / 60,
    }
    tables = {"accuracy": rows, "units": [converged]}
    if config.tables:
        save_tables(config.tables, f"hidden_units_{config.name}_{recipe.n_hidden}", tables, **about)
    code = cli.report_checks(claims(found, rows))
    print(f"Wrote {', '.join(map(str, written))}")
    return code


def compete(config: Config, images: ImageSet, recipe: ComparisonRecipe) -> int:
    """Train units, ask the slow competition for its winners, draw and save; return the exit code."""
    weights, source = given_units(config, recipe)
    data = prepare_images(images, recipe, config.seed)
    if weights is None:
        folder = config.folder / "units"
        weights = train_bio_units(data, recipe, config.seed, folder, resume=config.resume, device=config.device)
    rule = recipe.rule
    several = QUICK_ODE_IMAGES if config.quick else ODE_IMAGES
    study = ode_study(
        weights,
        # No test images: the study fits a threshold.
        data.validation[0],
        p=rule.p,
        k=rule.k,
        delta=rule.delta,
        n_images=several if config.images is None else config.images,
        seed=config.seed,
        inhibitions=(0.5, 1.5) if config.quick else INHIBITIONS,
    ).assign_attrs(images=images.label, part="validation", **as_text(source))
    tables = winner_tables(study)
    for name, rows in tables.items():
        print_table(f"{images.label}, {recipe.n_hidden} units: {name}", rows)
    written = [
        write_netcdf(study, config.folder / "winners.nc"),
        cli.save_figure(plot_winners(study), config.folder / "winners.png"),
    ]
    if config.tables:
        settings = {
            "images": images.label,
            "part": "validation",
            "recipe": recipe.describe(given_units=config.units is not None),
            "compared": {"p": rule.p, "k": rule.k, "delta": rule.delta},
            **source,
        }
        save_tables(config.tables, f"slow_competition_{config.name}", tables, seed=config.seed, **settings)
    code = cli.report_checks(winner_checks(study))
    print(f"Wrote {', '.join(map(str, written))}")
    return code


def run(config: Config) -> int:
    """Load images and do what was asked; return the exit code."""
    if config.threads < 1:
        raise ValueError(f"`threads` is {config.threads}; it must be at least 1.")
    if config.resume and not config.folder.is_dir():
        raise FileNotFoundError(
            f"`resume` is given, but there is nothing to resume: there is no folder '{config.folder}'. Check `output`, "
            "or leave it out."
        )
    torch.set_num_threads(config.threads)
    recipe = config.recipe()
    images = load_image_set(config.name, config.data)
    return compete(config, images, recipe) if config.ode else compare(config, images, recipe)


def main() -> int:
    """Run the script and return its exit code."""
    config = tyro.cli(Config, description=__doc__, args=sys.argv[1:])
    with cli.one_line_errors(), style():
        cli.check_output_folder(config.output)
        return run(config)


if __name__ == "__main__":
    raise SystemExit(main())
