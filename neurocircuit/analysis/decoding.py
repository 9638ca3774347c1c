"""What can be read out of a recurrent recogniser: of its layers and recurrent flows, beside what random ones tell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path

import xarray as xr

from neurocircuit.analysis.decoders import check_classes
from neurocircuit.analysis.decoding_repeat import decode_repeat
from neurocircuit.analysis.decoding_settings import DecodingSettings
from neurocircuit.analysis.recogniser_repeats import as_networks, measure_repeats
from neurocircuit.checks import check_whole
from neurocircuit.networks.recurrent_recogniser import RecurrentRecogniser
from neurocircuit.stimuli.clutter import clutter_scenes
from neurocircuit.stimuli.clutter_draws import draw_scenes
from neurocircuit.stimuli.clutter_settings import ClutterSettings
from neurocircuit.stimuli.clutter_sources import ObjectSource

__all__ = ["decode"]

_LONG_NAMES = {
    "accuracy": "accuracy of the network",
    "chance": "accuracy of the most frequent class",
    "activations": "decoding accuracy, activations",
    "activations_untrained": "decoding accuracy, activations of an untrained network",
    "flows": "decoding accuracy, recurrent flows",
    "flows_untrained": "decoding accuracy, the same activations through untrained connections",
}
_ORDER = ("network", "repeat", "scenes", "kind", "layer", "step", "variable")


def decode(
    networks: RecurrentRecogniser | Sequence[RecurrentRecogniser],
    source: ObjectSource,
    scenes: ClutterSettings,
    settings: DecodingSettings | None = None,
    *,
    seed: int = 0,
    cache: str | Path | None = None,
    jobs: int = 1,
) -> xr.Dataset:
    """Decode the properties of the target from every layer and every recurrent flow of networks, with controls.

    Each repeat draws scenes of its own, the same for all networks. Beside every accuracy is what the same decoder reads
    out of an untrained network: from its activations, or from what its connections make of the *trained* network's
    activations. That much is decodable without the connections having learned anything.

    Parameters
    ----------
    networks : RecurrentRecogniser or sequence of them
        Networks of the same settings, such as runs of several seeds.
    source : ObjectSource
        Objects of the scenes; those of the test split.
    scenes : ClutterSettings
        The scenes.
    settings : DecodingSettings, optional
        Decoder, numbers and variables. Default: ``DecodingSettings()``.
    seed : int
        Of the scenes of the first repeat; each further repeat adds one.
    cache : str or Path, optional
        Folder in which every network's repeats are kept as they are done, and found again: by the weights, the objects,
        all settings and the seed.
    jobs : int
        Processes, each with one thread.

    Returns
    -------
    Dataset
        Accuracies: ``activations`` and ``activations_untrained`` over ``network``, ``repeat``, ``scenes``, ``layer``,
        ``step`` and ``variable``; ``flows`` and ``flows_untrained`` over ``kind`` too, NaN where nothing flows;
        ``accuracy``, the network's own; and ``chance``, that of the most frequent class. `pool_variables` averages row
        and column, `over_networks` and `over_repeats` give intervals, and the attribute ``tested`` is the number of
        scenes that each accuracy is over.

    Raises
    ------
    ValueError
        If there is no network, networks or scenes do not fit each other, or a class has no scene among those that
        decoders are fitted to.
    TypeError
        If a number is no integer.
    OSError
        If the cache cannot be written to.

    References
    ----------
    Thorat, Aldegheri and Kietzmann (2021), arXiv 2111.07898. :cite:p:`thorat2021`
    """
    settings = DecodingSettings() if settings is None else settings
    seed, jobs = check_whole("seed", seed, 0), check_whole("jobs", jobs)
    chosen = as_networks(networks, source, scenes)
    classes = dict.fromkeys(settings.variables, 2)
    for name, names in (("category", source.class_names), ("domain", source.domain_names)):
        if name in classes:
            classes[name] = len(names)
    for repeat in range(settings.repeats):
        draws = draw_scenes(source, scenes, seed + repeat, range(settings.scenes))
        check_classes(draws.labels(), classes, settings.training)
    result = measure_repeats(
        partial(_measure, source=source, scenes=scenes, settings=settings, classes=classes),
        chosen,
        source,
        scenes,
        # A repeat is the same however many there are, and whatever the batches.
        {name: value for name, value in asdict(settings).items() if name not in ("repeats", "batch_size")},
        name="decoding",
        repeats=settings.repeats,
        seed=seed,
        cache=cache,
        jobs=jobs,
    ).transpose(*_ORDER)
    for name, text in _LONG_NAMES.items():
        result[name].attrs = {"units": "1", "long_name": text}
    return result.assign_attrs(fitted=settings.training, tested=settings.tested)


def _measure(
    network: RecurrentRecogniser,
    seed: int,
    network_seed: int,
    *,
    source: ObjectSource,
    scenes: ClutterSettings,
    settings: DecodingSettings,
    classes: Mapping[str, int],
) -> xr.Dataset:
    batch = clutter_scenes(source, scenes, seed, range(settings.scenes), settings.mode)
    # Of the repeat and of the network, whichever others are decoded beside it.
    untrained = RecurrentRecogniser(network.settings, seed=network_seed).to(network.fc2.weight.device)
    return decode_repeat(network, untrained, batch, classes, settings, seed)
