"""Time of reading six variables out of a layer, together and one after another as published.

All sides run in one process on the same responses: those of an untrained recurrent recogniser to cluttered scenes of 50
pixels a side, from the embedded objects. ``LinearSVC`` with its defaults is how the public code decodes. scikit-learn's
ridge classifier with the same penalties is the same read-out as the library's default, one variable at a time; the two
are checked to give the same answers.

Table written:

``layers``
    Seconds of each side for 1000 scenes of which 800 are fitted, and their mean accuracies over the variables.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import tyro
from harness import Row, check_equal, median_times, print_table, save_tables
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import RidgeClassifierCV
from sklearn.svm import LinearSVC

from neurocircuit import cli
from neurocircuit.analysis.decoders import RELATIVE_PENALTIES, Decoder, decode_labels
from neurocircuit.analysis.decoding_settings import VARIABLES
from neurocircuit.networks import RecogniserSettings, RecurrentRecogniser
from neurocircuit.stimuli import ClutterSettings, clutter_scenes, embedded_source

SEED = 0
#: Share of the test scenes for which the two ridge read-outs may differ: those on the border, by rounding.
TOLERANCE = 0.01

Answers = dict[str, npt.NDArray[np.int64]]


@dataclass(frozen=True)
class Config:
    """Options of the benchmark."""

    output: Path = Path("outputs/benchmarks")
    """Folder for the tables."""
    quick: bool = False
    """Few scenes and one repeat, to see that everything runs; the times mean nothing."""
    repeats: int = 3
    """Timed calls of each side; the median counts."""


def main(config: Config) -> None:
    """Compare all sides, print the table and write it."""
    cli.check_output_folder(config.output)
    scenes, repeats = (200, 1) if config.quick else (1000, config.repeats)
    side = 50
    batch = clutter_scenes(embedded_source("test"), ClutterSettings().resized(side), SEED, range(scenes))
    network = RecurrentRecogniser(RecogniserSettings(input_size=side, compat=False), seed=SEED)
    with torch.no_grad():
        run = network.run(batch.images)
    responses = {layer: steps[2].flatten(1).numpy() for layer, steps in run.activations.items()}
    responses["flow into conv1"] = run.flows["conv1"][2]["gain"].flatten(1).numpy()
    labels = {name: batch.labels[name] for name in VARIABLES}
    rows = [compare(layer, features, labels, repeats) for layer, features in responses.items()]
    print_table(f"layers ({torch.get_num_threads()} threads)", rows)
    settings = {"quick": config.quick, "repeats": repeats, "scenes": scenes, "tolerance": TOLERANCE}
    save_tables(config.output, "decoding", {"layers": rows}, seed=SEED, **settings)


def compare(layer: str, features: npt.NDArray[np.float32], labels: Mapping[str, Any], repeats: int) -> Row:
    """Return times and accuracies of all sides on the responses of a layer."""
    fitted = round(0.8 * len(features))
    train, test = features[:fitted], features[fitted:]
    known = {name: values[:fitted] for name, values in labels.items()}
    held = {name: values[fitted:] for name, values in labels.items()}
    classes = {name: int(values.max()) + 1 for name, values in labels.items()}

    def library(decoder: Decoder) -> Answers:
        return decode_labels(train, test, known, classes, decoder)

    def in_turn(fit: Callable[[], Any]) -> Answers:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            return {name: fit().fit(train, known[name]).predict(test) for name in classes}

    size = float(((train - train.mean(axis=0)) ** 2).sum()) / fitted
    # In float64, as the library's: sums of squares of float32 lose the small penalties.
    train, test = train.astype(np.float64), test.astype(np.float64)
    sides: dict[str, Callable[[], Answers]] = {
        "ridge": partial(library, "ridge"),
        "logistic": partial(library, "logistic"),
        "sklearn_ridge": partial(in_turn, partial(RidgeClassifierCV, alphas=size * np.array(RELATIVE_PENALTIES))),
        "svm": partial(in_turn, partial(LinearSVC, random_state=SEED)),
    }
    answers = {name: side() for name, side in sides.items()}
    differing = [np.mean(answers["ridge"][name] != answers["sklearn_ridge"][name]) for name in classes]
    check_equal(f"ridge read-outs of {layer}", np.max(differing), 0, TOLERANCE)
    right = {side: np.mean([np.mean(own[name] == held[name]) for name in classes]) for side, own in answers.items()}
    seconds = median_times(sides, repeats)
    return {
        "layer": layer,
        "features": features.shape[1],
        **{f"{name}_s": value for name, value in seconds.items()},
        "ridge_times_svm": seconds["svm"] / seconds["ridge"],
        "logistic_times_svm": seconds["svm"] / seconds["logistic"],
        **{f"{name}_accuracy": float(right[name]) for name in ("ridge", "logistic", "svm")},
    }


if __name__ == "__main__":
    with cli.one_line_errors():
        main(tyro.cli(Config, description=__doc__))
