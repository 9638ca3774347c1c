"""Measuring several recurrent recognisers again and again on fresh scenes: in parallel, and kept as it goes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol

import joblib
import numpy as np
import torch
import xarray as xr
from tqdm import tqdm

from neurocircuit.networks.recurrent_recogniser import RecurrentRecogniser
from neurocircuit.simulation.result import write_netcdf
from neurocircuit.stimuli.clutter_settings import ClutterSettings
from neurocircuit.stimuli.clutter_sources import ObjectSource
from neurocircuit.training.environment import one_thread
from neurocircuit.versions import package_versions

__all__ = ["Measure", "as_networks", "measure_repeats", "weights_sha256"]

#: Raised whenever the same description comes to stand for other numbers, so that no cached file is mistaken.
_FORMAT = 1


class Measure(Protocol):
    """One repeat of a measurement of one network; a function that other processes can be given."""

    def __call__(self, network: RecurrentRecogniser, seed: int, network_seed: int) -> xr.Dataset:
        """Return the results for the scenes of a seed; `network_seed` differs between networks too."""


def as_networks(
    networks: RecurrentRecogniser | Sequence[RecurrentRecogniser], source: ObjectSource, scenes: ClutterSettings
) -> list[RecurrentRecogniser]:
    """Return the networks as a list, if they are alike and fit the scenes.

    Raises
    ------
    ValueError
        If there is none, they differ in their settings, or scenes or objects are not of their size.
    """
    chosen = [networks] if isinstance(networks, RecurrentRecogniser) else list(networks)
    if not chosen:
        raise ValueError("`networks` is empty; give one or more networks.")
    settings = chosen[0].settings
    for network in chosen[1:]:
        if network.settings != settings:
            raise ValueError(
                f"`networks` differ in their settings: {settings} and {network.settings}. Measure them in turn."
            )
    if scenes.canvas != settings.input_size:
        raise ValueError(
            f"`scenes` have {scenes.canvas} pixels a side and the networks' input {settings.input_size}; use "
            f"`ClutterSettings().resized({settings.input_size})`."
        )
    if len(source.class_names) != settings.classes:
        raise ValueError(
            f"`source` has {len(source.class_names)} classes and the networks tell {settings.classes} apart; use the "
            "objects that the networks were trained on."
        )
    return chosen


def measure_repeats(
    measure: Measure,
    networks: Sequence[RecurrentRecogniser],
    source: ObjectSource,
    scenes: ClutterSettings,
    settings: Mapping[str, Any],
    *,
    name: str,
    repeats: int,
    seed: int,
    cache: str | Path | None,
    jobs: int,
) -> xr.Dataset:
    """Return the measurements of all networks and repeats, those that are in the cache from there.

    Parameters
    ----------
    measure : Measure
        What is measured.
    networks : sequence of RecurrentRecogniser
        Of the same settings.
    source, scenes : ObjectSource, ClutterSettings
        What defines the scenes.
    settings : mapping
        What else defines a repeat.
    name : str
        Of the measurement: first part of the file names.
    repeats, seed : int
        Number of repeats, and seed of the first; each further one adds one.
    cache : str or Path, optional
        Folder in which every repeat is kept as it is done.
    jobs : int
        Processes, each with one thread.

    Returns
    -------
    Dataset
        Over ``network`` and ``repeat``, with what defines the run as attributes.
    """
    common = {
        "format": _FORMAT,
        "source": _source_sha256(source),
        "scenes": asdict(scenes),
        "settings": dict(settings),
        "network": asdict(networks[0].settings),
    }
    work = (
        joblib.delayed(_kept)(measure, network, {**common, "weights": sha, "seed": seed + repeat}, name, cache)
        for network, sha in zip(networks, map(weights_sha256, networks), strict=True)
        for repeat in range(repeats)
    )
    # Its processes do not share the threads of this one.
    with joblib.parallel_config(backend="loky", inner_max_num_threads=1):
        done = joblib.Parallel(n_jobs=jobs, return_as="generator")(work)
        found = list(tqdm(done, total=len(networks) * repeats, desc=name, unit="repeat", disable=None))
    rows = [xr.concat(found[at : at + repeats], "repeat") for at in range(0, len(found), repeats)]
    result: xr.Dataset = xr.concat(rows, "network").assign_coords(
        network=np.arange(len(networks)),
        repeat=("repeat", seed + np.arange(repeats), {"long_name": "seed of the scenes"}),
    )
    result["step"].attrs["long_name"] = "time step"
    result.attrs = {
        "flags": networks[0].settings.flags,
        "objects": source.label,
        "seed": seed,
        # NetCDF knows no truth values.
        **{k: int(v) if isinstance(v, bool) else v for k, v in settings.items() if isinstance(v, str | int | float)},
        "scene_settings": json.dumps(asdict(scenes)),
        "network_settings": json.dumps(asdict(networks[0].settings)),
        "versions": json.dumps(package_versions()),
    }
    return result


def _kept(
    measure: Measure, network: RecurrentRecogniser, description: Mapping[str, Any], name: str, cache: str | Path | None
) -> xr.Dataset:
    """Return one repeat of one network: from the cache, or measured now and kept there."""
    text = json.dumps(description, sort_keys=True)
    key = hashlib.sha256(text.encode()).hexdigest()
    path = None if cache is None else Path(cache) / f"{name}-{key[:24]}.nc"
    if path is not None and path.exists():
        with xr.open_dataset(path, engine="h5netcdf") as file:
            loaded: xr.Dataset = file.load().drop_attrs(deep=False)
            return loaded
    with one_thread():
        result = measure(network, seed=description["seed"], network_seed=int(key[-8:], 16))
    if path is not None:
        write_netcdf(result.assign_attrs(description=text), path)
    return result


def weights_sha256(network: torch.nn.Module) -> str:
    """Return the SHA-256 of all weights with their names, as text: networks that do the same have the same one."""
    digest = hashlib.sha256()
    for name, weights in sorted(network.state_dict().items()):
        digest.update(f"{name} {weights.dtype} {tuple(weights.shape)}".encode())
        digest.update(weights.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def _source_sha256(source: ObjectSource) -> str:
    digest = hashlib.sha256(json.dumps([source.class_names, source.domain_names]).encode())
    for array in (source.images, source.labels, source.domains):
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()
