"""The perturbation experiment: which properties of the target recurrent recognisers use, where and when."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import get_args

import xarray as xr
from torch import Tensor

from neurocircuit.analysis.decoding_settings import some_of
from neurocircuit.analysis.flow_perturbation import flow_places, perturb_flows
from neurocircuit.analysis.recogniser_repeats import as_networks, measure_repeats
from neurocircuit.checks import check_whole
from neurocircuit.networks.recurrent_recogniser import RecurrentRecogniser
from neurocircuit.stimuli.clutter import Mode, render_scenes
from neurocircuit.stimuli.clutter_altered import Alteration, altered_scenes, unjittered
from neurocircuit.stimuli.clutter_draws import draw_scenes
from neurocircuit.stimuli.clutter_settings import ClutterSettings
from neurocircuit.stimuli.clutter_sources import ObjectSource

__all__ = ["PerturbationSettings", "perturbation_experiment"]

_LONG_NAMES = {
    "original": "accuracy of the network",
    "perturbed": "accuracy with the flows of the altered scene",
    "control": "accuracy with flows shuffled by as much",
}
_ORDER = ("network", "repeat", "perturbation", "layer", "step")


@dataclass(frozen=True, kw_only=True)
class PerturbationSettings:
    """How flows are perturbed; the defaults are the published ones, but for true alterations.

    Raises
    ------
    TypeError, ValueError
        If a setting is not of its kind or not allowed.
    """

    kinds: tuple[Alteration, ...] = get_args(Alteration)
    """Which property of the target is altered; see `neurocircuit.stimuli.altered_scenes`."""
    legacy: bool = False
    """Whether orientation and scale are neutralised, as published, rather than altered."""
    scenes: int = 1000
    """Scenes of a repeat."""
    repeats: int = 5
    """Repeats, each with scenes of its own."""
    mode: Mode = "fast"
    """How scenes are rendered; see `neurocircuit.stimuli.render_scenes`."""
    batch_size: int = 50
    """Scenes that a network sees at once."""

    def __post_init__(self) -> None:
        for name in ("scenes", "repeats", "batch_size"):
            object.__setattr__(self, name, check_whole(name, getattr(self, name)))
        if not isinstance(self.legacy, bool):
            raise TypeError(f"`legacy` is {self.legacy!r}; it must be True or False.")
        object.__setattr__(self, "kinds", some_of("kinds", self.kinds, get_args(Alteration)))
        if self.mode not in get_args(Mode):
            raise ValueError(f"`mode` is {self.mode!r}; it must be one of {', '.join(get_args(Mode))}.")


def perturbation_experiment(
    networks: RecurrentRecogniser | Sequence[RecurrentRecogniser],
    source: ObjectSource,
    scenes: ClutterSettings,
    settings: PerturbationSettings | None = None,
    *,
    seed: int = 0,
    cache: str | Path | None = None,
    jobs: int = 1,
) -> xr.Dataset:
    """Replace the flows into each layer at each step by those of altered scenes, and measure what it costs.

    The scenes are those of `neurocircuit.stimuli.unjittered`, the same for all networks. `functional_importance` turns
    the accuracies into the published measure.

    Parameters
    ----------
    networks : RecurrentRecogniser or sequence of them
        Networks of the same settings, such as runs of several seeds, with recurrence.
    source : ObjectSource
        Objects of the scenes; those of the test split.
    scenes : ClutterSettings
        The scenes.
    settings : PerturbationSettings, optional
        Kinds and numbers. Default: ``PerturbationSettings()``.
    seed : int
        Of the scenes and the shuffles of the first repeat; each further repeat adds one.
    cache : str or Path, optional
        Folder in which every network's repeats are kept as they are done, and found again: by the weights, the objects,
        all settings and the seed.
    jobs : int
        Processes, each with one thread.

    Returns
    -------
    Dataset
        Accuracies: ``original`` over ``network`` and ``repeat``; ``perturbed`` and ``control`` over ``perturbation``,
        ``layer`` and ``step`` too, NaN where nothing flows.

    Raises
    ------
    ValueError
        If there is no network, networks or scenes do not fit each other, or the networks have no recurrence.
    TypeError
        If a number is no integer.
    OSError
        If the cache cannot be written to.

    References
    ----------
    Thorat, Aldegheri and Kietzmann (2021), arXiv 2111.07898. :cite:p:`thorat2021`
    """
    settings = PerturbationSettings() if settings is None else settings
    seed, jobs = check_whole("seed", seed, 0), check_whole("jobs", jobs)
    chosen = as_networks(networks, source, scenes)
    # Without flows it fails here, and not in another process.
    flow_places(chosen[0])
    result = measure_repeats(
        partial(_measure, source=source, scenes=scenes, settings=settings),
        chosen,
        source,
        scenes,
        # A repeat is the same however many there are, and whatever the batches.
        {name: value for name, value in asdict(settings).items() if name not in ("repeats", "batch_size")},
        name="perturbation",
        repeats=settings.repeats,
        seed=seed,
        cache=cache,
        jobs=jobs,
    ).transpose(*_ORDER)
    for name, text in _LONG_NAMES.items():
        result[name].attrs = {"units": "1", "long_name": text}
    return result


def _measure(
    network: RecurrentRecogniser,
    seed: int,
    network_seed: int,
    *,
    source: ObjectSource,
    scenes: ClutterSettings,
    settings: PerturbationSettings,
) -> xr.Dataset:
    draws = unjittered(draw_scenes(source, scenes, seed, range(settings.scenes)))
    original = render_scenes(draws, settings.mode)
    altered: dict[str, Tensor] = {
        kind: render_scenes(altered_scenes(draws, kind, settings.legacy), settings.mode).images
        for kind in settings.kinds
    }
    return perturb_flows(
        network, original.images, original.labels["category"], altered, seed=seed, batch_size=settings.batch_size
    )
