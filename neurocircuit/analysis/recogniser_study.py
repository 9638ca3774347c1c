"""The study of recurrent recognisers, network by network: trained on cluttered scenes, then measured, once each."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import joblib
import xarray as xr

from neurocircuit.analysis.decoding import decode
from neurocircuit.analysis.perturbation_experiment import perturbation_experiment
from neurocircuit.analysis.recogniser_answers import name_targets
from neurocircuit.analysis.recogniser_recipes import (
    SCENE_SEEDS,
    RecogniserRecipe,
    objects_of,
    recogniser_description,
    variant_settings,
)
from neurocircuit.checks import check_whole
from neurocircuit.files import sha256_of_file
from neurocircuit.networks import count_parameters
from neurocircuit.networks.recurrent_recogniser import RecurrentRecogniser
from neurocircuit.simulation import write_netcdf
from neurocircuit.stimuli.clutter import SceneBatch, clutter_scenes
from neurocircuit.stimuli.clutter_settings import ClutterSettings
from neurocircuit.stimuli.clutter_sources import ObjectSource
from neurocircuit.training import TrainingResult, fit, has_run, load_weights, read_log
from neurocircuit.training.clutter import SCENE_OBJECTIVE, clutter_set, clutter_stream
from neurocircuit.training.environment import one_thread

__all__ = ["RecogniserStudy", "scenes_of", "train_recogniser"]


def train_recogniser(
    flags: str, recipe: RecogniserRecipe, seed: int, folder: str | Path, data: str | Path | None = None
) -> TrainingResult:
    """Train a network on fresh scenes, or go on with it; see `neurocircuit.training.fit` for the files.

    Networks of one seed see the same scenes, whatever their flags, and all networks are validated on the same ones.

    Parameters
    ----------
    flags : str
        Four digits b, g, l, t, such as those of `RECOGNISER_VARIANTS`.
    recipe : RecogniserRecipe
        Scenes, size and optimisation.
    seed : int
        Of the weights and the scenes; below a million, where the seeds of other scenes begin.
    folder : str or Path
        Where the run is kept. A run that it holds goes on, a finished one is only reported.
    data : str or Path, optional
        Folder with the image sets.

    Raises
    ------
    ValueError
        If the seed is too large, or as `fit` says.
    """
    seed = check_whole("seed", seed, 0)
    if seed >= min(SCENE_SEEDS.values()):
        raise ValueError(f"`seed` is {seed}; it must be below {min(SCENE_SEEDS.values())}.")
    objects = objects_of(recipe, "train", data)
    network = RecurrentRecogniser(variant_settings(flags, recipe, len(objects.class_names)), seed=seed)
    held = objects_of(recipe, "validation", data)
    validation = clutter_set(held, recipe.scenes, SCENE_SEEDS["validation"], recipe.validation_scenes)
    return fit(
        network,
        clutter_stream(objects, recipe.scenes, easy=recipe.easy_scenes),
        validation,
        replace(recipe.training, seed=seed),
        folder,
        resume=has_run(folder),
        objective=SCENE_OBJECTIVE,
        description=recogniser_description(flags, recipe),
    )


Result = TypeVar("Result")

#: What networks are shown.
SHOWN = ("cluttered", "target_only")


@dataclass(frozen=True, kw_only=True)
class RecogniserStudy:
    """Networks of several variants and seeds, and where they and what is measured of them are kept.

    What is in the folder is not done again; what was interrupted goes on.
    """

    recipe: RecogniserRecipe
    """Scenes, networks, optimisation."""
    folder: Path
    """Where runs and results are kept, each network in a folder of its own."""
    data: str | Path | None = None
    """Folder with the image sets, as `neurocircuit.stimuli.load_image_set` takes it."""
    jobs: int = 1
    """Networks that are worked on at the same time, each with one thread."""

    def __post_init__(self) -> None:
        check_whole("jobs", self.jobs)

    def place(self, flags: str, seed: int) -> Path:
        """Return where a network is kept."""
        return Path(self.folder) / flags / f"seed{seed}"

    def train(self, flags: str, seed: int) -> TrainingResult:
        """Train a network, or go on with it; see `train_recogniser`."""
        return train_recogniser(flags, self.recipe, seed, self.place(flags, seed), self.data)

    def load(self, flags: str, seed: int) -> RecurrentRecogniser:
        """Return a trained network with its best weights.

        Raises
        ------
        FileNotFoundError, ValueError
            If it is not trained, not to the end, or was by another recipe.
        """
        objects = objects_of(self.recipe, "test", self.data)
        network = RecurrentRecogniser(variant_settings(flags, self.recipe, len(objects.class_names)))
        path = self.place(flags, seed) / "best.safetensors"
        found, wanted = load_weights(network, path)["description"], recogniser_description(flags, self.recipe)
        if found != wanted:
            differing = [name for name in wanted if found.get(name) != wanted[name]]
            raise ValueError(
                f"'{path}' was trained by another recipe; they differ in {', '.join(differing)}. Use the flags of the "
                "training, or another folder."
            )
        training, last = self.recipe.training, read_log(path.parent)[-1]["step"]
        if last < training.steps and training.patience is None and training.target is None:
            raise ValueError(
                f"'{path}' is of step {last} of {training.steps}: the training has not ended. Train it to its end, or "
                "use the number of steps it was trained for."
            )
        return network.eval()

    def evaluate(self, flags: str, seed: int) -> xr.Dataset:
        """Measure how well a network names targets, with and without clutter.

        Returns
        -------
        xarray.Dataset
            Over ``scenes`` (cluttered, target_only): ``accuracy`` with its 95 % interval, ``low`` to ``high``. Over
            ``scene``: ``category`` of the target and the network's ``answer`` in the clutter. Numbers of
            ``parameters``, training ``steps`` and ``minutes``.
        """
        return self._kept(flags, seed, "evaluation", {"scenes": self.recipe.test_scenes}, self._evaluated)

    def _evaluated(self, network: RecurrentRecogniser, place: Path) -> xr.Dataset:
        scenes = scenes_of(self.recipe, self.recipe.test_scenes, self.data)
        answers = {name: name_targets(network, scenes, target_only=name == "target_only") for name in SHOWN}
        log = read_log(place)
        return xr.Dataset(
            {
                "accuracy": ("scenes", [found.accuracy for found in answers.values()], {"units": "1"}),
                "low": ("scenes", [found.interval[0] for found in answers.values()], {"units": "1"}),
                "high": ("scenes", [found.interval[1] for found in answers.values()], {"units": "1"}),
                "category": ("scene", answers["cluttered"].categories),
                "answer": ("scene", answers["cluttered"].answers),
                "parameters": ((), count_parameters(network)),
                "steps": ((), log[-1]["step"]),
                "minutes": ((), log[-1]["seconds"] / 60, {"units": "min"}),
            },
            {"scenes": list(SHOWN)},
        )

    def decode(self, flags: str, seeds: Sequence[int]) -> xr.Dataset:
        """Decode what activity and flows of a variant's networks tell; see `neurocircuit.analysis.decode`."""
        return decode(*self._measured(flags, seeds), self.recipe.decoding, **self._how("decode"))

    def perturb(self, flags: str, seeds: Sequence[int]) -> xr.Dataset:
        """Perturb the flows of a variant's networks; see `neurocircuit.analysis.perturbation_experiment`."""
        settings = self.recipe.perturbation
        return perturbation_experiment(*self._measured(flags, seeds), settings, **self._how("perturb"))

    def _measured(self, flags: str, seeds: Sequence[int]) -> tuple[Any, ObjectSource, ClutterSettings]:
        """Return networks of a variant, and the objects and the settings of the scenes they are measured on."""
        networks = [self.load(flags, seed) for seed in seeds]
        return networks, objects_of(self.recipe, "test", self.data), self.recipe.scenes

    def _how(self, purpose: str) -> dict[str, Any]:
        return {"seed": SCENE_SEEDS[purpose], "cache": Path(self.folder) / "cache", "jobs": self.jobs}

    def _kept(
        self,
        flags: str,
        seed: int,
        name: str,
        settings: Mapping[str, Any],
        measure: Callable[[RecurrentRecogniser, Path], xr.Dataset],
    ) -> xr.Dataset:
        """Return a measurement of a network: from its file, unless weights, scenes or settings have changed since."""
        place = self.place(flags, seed)
        network, path = self.load(flags, seed), place / f"{name}.nc"
        made_by = json.dumps(
            {
                "weights": sha256_of_file(place / "best.safetensors"),
                "network": recogniser_description(flags, self.recipe),
                **settings,
            }
        )
        if path.exists():
            with xr.open_dataset(path) as file:
                if file.attrs.get("made_by") == made_by:
                    return file.load()
        found = measure(network, place).assign_attrs(made_by=made_by, flags=flags, seed=seed)
        write_netcdf(found, path)
        return found

    def each(
        self, work: Callable[[str, int], Result], variants: Sequence[str], seeds: Sequence[int]
    ) -> dict[tuple[str, int], Result]:
        """Return what one of the study's methods makes of every network, by flags and seed.

        Parameters
        ----------
        work : callable
            Such as ``study.train`` or ``study.evaluate``.
        variants : sequence of str
            Flags of the networks.
        seeds : sequence of int
            Seeds, each a network of every variant.

        Raises
        ------
        ValueError
            If there is no network.
        """
        for name, given in (("variants", variants), ("seeds", seeds)):
            if not given:
                raise ValueError(f"`{name}` is empty; give at least one.")
        places = [(flags, seed) for seed in seeds for flags in variants]
        found = joblib.Parallel(n_jobs=self.jobs)(joblib.delayed(_alone)(work, *place) for place in places)
        return dict(zip(places, found, strict=True))


def _alone(work: Callable[[str, int], Result], flags: str, seed: int) -> Result:
    with one_thread():
        return work(flags, seed)


def scenes_of(recipe: RecogniserRecipe, count: int, data: str | Path | None = None, **chosen: Any) -> SceneBatch:
    """Return test scenes of a recipe, the same at every call.

    Parameters
    ----------
    recipe : RecogniserRecipe
        What they are.
    count : int
        How many.
    data : str or Path, optional
        Folder with the image sets.
    **chosen
        Labels of the targets, as `neurocircuit.stimuli.clutter_scenes` takes them.
    """
    objects = objects_of(recipe, "test", data)
    return clutter_scenes(objects, recipe.scenes, SCENE_SEEDS["test"], range(count), **chosen)
