"""Recipes of the study of recurrent recognisers: scenes, size of the networks, optimisation, and what is measured."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, get_args

from neurocircuit.analysis.decoding_settings import DecodingSettings
from neurocircuit.analysis.perturbation_experiment import PerturbationSettings
from neurocircuit.checks import check_whole
from neurocircuit.networks.recurrent_recogniser import RecogniserSettings
from neurocircuit.stimuli.clutter_settings import ClutterSettings
from neurocircuit.stimuli.clutter_sources import ObjectSource, Split, embedded_source, published_source
from neurocircuit.training import TrainingConfig

__all__ = [
    "FEEDFORWARD",
    "RECOGNISER_RECIPES",
    "RECOGNISER_VARIANTS",
    "SCENE_SEEDS",
    "RecogniserRecipe",
    "objects_of",
    "recogniser_description",
    "variant_settings",
]

#: Networks that are compared, by their flags b, g, l, t.
RECOGNISER_VARIANTS: Mapping[str, str] = MappingProxyType(
    {
        "0111": "gain",
        "1011": "bias",
        "1110": "lateral only",
        "1101": "top-down only",
        "0000": "feedforward",
    }
)

#: The flags of the network without recurrence.
FEEDFORWARD = "0000"

#: Seeds of the scenes that are no training scenes, by what they are for; a repeat adds its number. Training runs have
#: seeds below all of these.
SCENE_SEEDS: Mapping[str, int] = MappingProxyType(
    {"validation": 1_000_000, "test": 2_000_000, "decode": 3_000_000, "perturb": 4_000_000}
)

Objects = Literal["published", "embedded"]


@dataclass(frozen=True, kw_only=True)
class RecogniserRecipe:
    """Everything that defines the study but the flags and the seeds of the networks.

    Raises
    ------
    ValueError
        If a value is not allowed, or the scenes do not fit the network.
    TypeError
        If a count is not an integer.
    """

    objects: Objects = "published"
    """published (MNIST and Fashion-MNIST) or embedded (digits and letters that need no data)."""
    scenes: ClutterSettings
    """The scenes."""
    network: RecogniserSettings
    """The network; its flags are the variant's, and it has as many classes as the objects."""
    training: TrainingConfig
    """The optimisation, with the run's seed in place of its own."""
    easy_scenes: int = 0
    """Training scenes at the beginning that show the target only; the published training has none."""
    validation_scenes: int = 5000
    """Scenes on which every network is validated, always the same."""
    test_scenes: int = 5000
    """Scenes of the test set on which accuracies are measured, cluttered and with the target only."""
    decoding: DecodingSettings = DecodingSettings()
    """What is decoded from test scenes, and how."""
    perturbation: PerturbationSettings = PerturbationSettings()
    """How flows are perturbed."""

    def __post_init__(self) -> None:
        if self.objects not in get_args(Objects):
            raise ValueError(f"`objects` is {self.objects!r}; it must be one of {', '.join(get_args(Objects))}.")
        if self.scenes.canvas != self.network.input_size:
            raise ValueError(
                f"`scenes` are of {self.scenes.canvas} pixels and `network` takes {self.network.input_size}; "
                "make them equal."
            )
        object.__setattr__(self, "easy_scenes", check_whole("easy_scenes", self.easy_scenes, 0))
        for name in _COUNTS:
            # Python's int, because JSON knows no other.
            object.__setattr__(self, name, check_whole(name, getattr(self, name)))

    def with_training(self, **changes: Any) -> RecogniserRecipe:
        """Return the recipe with some settings of the optimisation changed."""
        return replace(self, training=replace(self.training, **changes))


_COUNTS = ("validation_scenes", "test_scenes")

# The published training; 300,000 steps at full size are days of a GPU for each network.
_PUBLISHED = TrainingConfig(
    steps=300_000,
    batch_size=32,
    learning_rate=1e-4,
    evaluate_every=1000,
    checkpoint_every=1000,
    log_every=100,
)

# Sides of reduced scenes, in pixels; everything in them shrinks with it.
_SMALL_CANVAS = 40
_EMBEDDED_CANVAS = 32

#: Recipes by name: the published one, one for two CPU cores, and an easier one that needs no data.
RECOGNISER_RECIPES: Mapping[str, RecogniserRecipe] = MappingProxyType(
    {
        "published": RecogniserRecipe(scenes=ClutterSettings(), network=RecogniserSettings(), training=_PUBLISHED),
        "small": RecogniserRecipe(
            scenes=ClutterSettings().resized(_SMALL_CANVAS),
            network=RecogniserSettings(input_size=_SMALL_CANVAS, pools=(2, 2)),
            training=replace(
                _PUBLISHED,
                steps=2500,
                learning_rate=1.5e-3,
                schedule="cosine",
                gradient_clip=5.0,
                evaluate_every=250,
                checkpoint_every=250,
                log_every=50,
            ),
            easy_scenes=9600,
            validation_scenes=1000,
            decoding=DecodingSettings(repeats=3),
            perturbation=PerturbationSettings(scenes=500, repeats=2),
        ),
        # Four objects of two sizes at four places, which are learned in minutes.
        "embedded": RecogniserRecipe(
            objects="embedded",
            scenes=ClutterSettings(objects=4).resized(_EMBEDDED_CANVAS).unjittered(),
            network=RecogniserSettings(input_size=_EMBEDDED_CANVAS, pools=(2, 2), hidden=32),
            training=replace(
                _PUBLISHED,
                steps=1200,
                learning_rate=4e-3,
                schedule="cosine",
                gradient_clip=5.0,
                evaluate_every=200,
                checkpoint_every=200,
                log_every=50,
            ),
            easy_scenes=4800,
            validation_scenes=200,
            test_scenes=500,
            decoding=DecodingSettings(scenes=500, repeats=2),
            perturbation=PerturbationSettings(scenes=200, repeats=2),
        ),
    }
)


def objects_of(recipe: RecogniserRecipe, split: Split, data: str | Path | None = None) -> ObjectSource:
    """Return the objects of a recipe's scenes.

    Parameters
    ----------
    recipe : RecogniserRecipe
        Which objects.
    split : {"train", "validation", "test"}
        Which of them; no object is in two splits.
    data : str or Path, optional
        Folder with the image sets, as `neurocircuit.stimuli.load_image_set` takes it.
    """
    return published_source(split, data) if recipe.objects == "published" else embedded_source(split)


def variant_settings(flags: str, recipe: RecogniserRecipe, classes: int) -> RecogniserSettings:
    """Return what a network of the study is.

    Parameters
    ----------
    flags : str
        Four digits b, g, l, t, such as those of `RECOGNISER_VARIANTS`.
    recipe : RecogniserRecipe
        Everything else.
    classes : int
        Number of classes of the objects.

    Raises
    ------
    ValueError
        If the flags are not allowed.
    """
    return replace(recipe.network, flags=flags, classes=classes)


def recogniser_description(flags: str, recipe: RecogniserRecipe) -> dict[str, Any]:
    """Return what a network and its scenes are, as JSON gives it back; the training's own settings are kept apart."""
    found = {
        "flags": flags,
        "objects": recipe.objects,
        "scenes": asdict(recipe.scenes),
        "easy_scenes": recipe.easy_scenes,
        "validation_scenes": recipe.validation_scenes,
        "network": {name: value for name, value in asdict(recipe.network).items() if name not in ("flags", "classes")},
    }
    described: dict[str, Any] = json.loads(json.dumps(found))
    return described
