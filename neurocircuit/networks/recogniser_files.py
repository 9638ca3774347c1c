"""Files of recurrent recognisers: the library's own, and those of the published layout."""

from __future__ import annotations

import re
import zipfile
from dataclasses import asdict, replace
from pathlib import Path

import torch

from neurocircuit.files import atomic
from neurocircuit.networks.converters import WeightsError, check_layout, read_state
from neurocircuit.networks.recurrent_recogniser import PUBLISHED_RECOGNISER, RecogniserSettings, RecurrentRecogniser
from neurocircuit.training.checkpoints import copied_weights, load_state, read_weights, save_weights

__all__ = [
    "convert_recogniser",
    "load_published",
    "load_recogniser",
    "published_name",
    "save_published",
    "save_recogniser",
]

_NAME = re.compile(r"rnn_bglt_([01]{4})_t_(\d+)_num_(\d+)\.pth")
_SETTINGS = "recogniser"


def published_name(settings: RecogniserSettings, number: int = 1) -> str:
    """Return the published name of the file of network `number` with these settings."""
    return f"rnn_bglt_{settings.flags}_t_{settings.time_steps}_num_{number}.pth"


def convert_recogniser(network: RecurrentRecogniser, *, compat: bool, seed: int = 0) -> RecurrentRecogniser:
    """Return a network that does the same with all the published parameters, or with live ones only.

    It has the device, the dtype and the mode of the given one, and shares no memory with it.

    Parameters
    ----------
    network : RecurrentRecogniser
        Its weights are copied, whichever form it has.
    compat : bool
        Whether connections without effect are there; see `RecogniserSettings`.
    seed : int
        Of connections without effect that the network lacks; at least 0.
    """
    found = RecurrentRecogniser(replace(network.settings, compat=compat), seed=seed).to(network.fc2.weight)
    given = network.state_dict()
    found.load_state_dict({name: given.get(name, own) for name, own in found.state_dict().items()})
    return found.train(network.training)


def save_recogniser(network: RecurrentRecogniser, path: str | Path) -> None:
    """Write weights and settings to a safetensors file, atomically; see `load_recogniser`."""
    save_weights(network, path, {_SETTINGS: asdict(network.settings)})


def load_recogniser(path: str | Path) -> RecurrentRecogniser:
    """Return the network of a file that `save_recogniser` wrote, in evaluation mode.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is damaged, of another kind, or its weights do not fit its settings.
    """
    state, metadata = read_weights(path)
    if _SETTINGS not in metadata:
        raise ValueError(
            f"'{path}' has no settings of a recurrent recogniser. For the weights of a training run, build the network "
            "and use `neurocircuit.training.load_weights`; for the published layout use `load_published`."
        )
    try:
        settings = RecogniserSettings(**metadata[_SETTINGS])
    except TypeError as error:
        raise ValueError(
            f"'{path}' has settings of no recurrent recogniser: {error}. Read it with the release that wrote it."
        ) from error
    network = RecurrentRecogniser(settings)
    load_state(network, state, path)
    return network.to(state["fc2.weight"].dtype).eval()


def save_published(network: RecurrentRecogniser, path: str | Path) -> None:
    """Write weights in the published layout, a file of ``torch.save``, atomically.

    A network with live connections only has to be given the others first, as the layout has them all:
    ``convert_recogniser(network, compat=True)``.

    Raises
    ------
    ValueError
        If the network has live connections only, or the name of the file follows the published pattern but says other
        flags or another number of steps.
    """
    if not network.settings.compat:
        raise ValueError(
            "`network` has live connections only, and the published layout has all. Write "
            "convert_recogniser(network, compat=True)."
        )
    _check_name(Path(path), network.settings)
    with atomic(path) as partial:
        torch.save(copied_weights(network), partial)


def load_published(
    path: str | Path, settings: RecogniserSettings | None = None, *, compat: bool = True
) -> RecurrentRecogniser:
    """Return the network of a file in the published layout, in evaluation mode.

    Parameters
    ----------
    path : str or Path
        Such as ``rnn_bglt_0111_t_4_num_1.pth``; see `fetch_pretrained`.
    settings : RecogniserSettings, optional
        Of the network, by default the published ones with the flags and the number of steps that the name of the file
        says. Their own `compat` does not count.
    compat : bool
        Whether the network has connections without effect too, as the file does; without them it does the same with
        half the parameters, if it has one kind of modulation.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the name of the file does not say its flags and there are no settings, or says others; if the file is
        damaged, or has weights of another configuration, whose names and shapes are listed.
    """
    path = Path(path)
    if settings is None:
        found = _NAME.fullmatch(path.name)
        if found is None:
            example = published_name(PUBLISHED_RECOGNISER)
            raise ValueError(
                f"`path` is '{path}', whose name does not say flags and steps as {example} does. Give `settings`."
            )
        settings = replace(PUBLISHED_RECOGNISER, flags=found[1], time_steps=int(found[2]))
    _check_name(path, settings)
    if not path.is_file():
        raise FileNotFoundError(f"There is no file of weights '{path}'. Two are published: see `fetch_pretrained`.")
    _check_sums(path)
    state = read_state(path, "state_dict")
    network = RecurrentRecogniser(replace(settings, compat=True))
    check_layout(state, {name: tuple(weights.shape) for name, weights in network.state_dict().items()})
    network.to(state["fc2.weight"].dtype).load_state_dict(dict(state))
    return (network if compat else convert_recogniser(network, compat=False)).eval()


def _check_sums(path: Path) -> None:
    """Raise WeightsError if a part of an archive is not that of its check sum, which torch does not compare."""
    # Before release 1.6 torch wrote none.
    if not zipfile.is_zipfile(path):
        return
    try:
        with zipfile.ZipFile(path) as archive:
            wrong = archive.testzip()
    except (zipfile.BadZipFile, UnicodeError, RuntimeError) as error:
        raise WeightsError(f"'{path}' is damaged: {error}.") from error
    if wrong is not None:
        raise WeightsError(f"'{path}' is damaged: the check sum of its part {wrong} is wrong.")


def _check_name(path: Path, settings: RecogniserSettings) -> None:
    """Raise ValueError if a name in the published pattern says another configuration."""
    found = _NAME.fullmatch(path.name)
    if found and (found[1], int(found[2])) != (settings.flags, settings.time_steps):
        raise ValueError(
            f"`path` is '{path}', which by its name has the flags {found[1]} and {found[2]} steps; the settings have "
            f"{settings.flags} and {settings.time_steps}. Use the settings of the file."
        )
