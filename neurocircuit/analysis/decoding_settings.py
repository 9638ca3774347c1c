"""What defines a decoding analysis but the networks and the scenes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import get_args

from neurocircuit.analysis.decoders import DECODERS, Decoder
from neurocircuit.checks import check_whole
from neurocircuit.stimuli.clutter import Mode

__all__ = ["SCENE_KINDS", "VARIABLES", "DecodingSettings", "some_of"]

#: What is decoded, by the names of the scenes' labels.
VARIABLES = ("category", "column", "row", "scale", "rotation", "domain")
#: The scenes, and their targets without clutter.
SCENE_KINDS = ("cluttered", "target_only")
#: Share of the scenes to which decoders are fitted; the others score them.
TRAINING_SHARE = 0.8


@dataclass(frozen=True, kw_only=True)
class DecodingSettings:
    """How information is read out; the defaults are the published ones but for the decoder.

    Raises
    ------
    TypeError, ValueError
        If a setting is not of its kind or not allowed.
    """

    decoder: Decoder = "ridge"
    """ridge, logistic, or svm (scikit-learn's ``LinearSVC``, as published); see `decode_labels`."""
    scenes: int = 1000
    """Scenes of a repeat; decoders are fitted to the first four of five and scored on the others."""
    repeats: int = 10
    """Repeats, each with scenes of its own."""
    variables: tuple[str, ...] = VARIABLES
    """What is decoded."""
    scene_kinds: tuple[str, ...] = SCENE_KINDS
    """cluttered and target_only, or one of them; decoders are fitted to each alone."""
    mode: Mode = "fast"
    """How scenes are rendered; see `neurocircuit.stimuli.render_scenes`."""
    batch_size: int = 100
    """Scenes that a network sees at once."""

    def __post_init__(self) -> None:
        for name, least in (("scenes", 5), ("repeats", 1), ("batch_size", 1)):
            object.__setattr__(self, name, check_whole(name, getattr(self, name), least))
        choices = {"decoder": DECODERS, "mode": get_args(Mode)}
        for name, allowed in choices.items():
            if getattr(self, name) not in allowed:
                raise ValueError(f"`{name}` is {getattr(self, name)!r}; it must be one of {', '.join(allowed)}.")
        for name, known in (("variables", VARIABLES), ("scene_kinds", SCENE_KINDS)):
            object.__setattr__(self, name, some_of(name, getattr(self, name), known))

    @property
    def training(self) -> int:
        """Scenes that decoders are fitted to."""
        return round(TRAINING_SHARE * self.scenes)

    @property
    def tested(self) -> int:
        """Scenes that decoders are scored on."""
        return self.scenes - self.training


def some_of(name: str, value: object, known: Sequence[str]) -> tuple[str, ...]:
    """Return names as a tuple, if they are some of those that are known, each once.

    Raises
    ------
    TypeError
        If the value is no sequence, or text.
    ValueError
        If it is empty, or holds another name or one twice.
    """
    if not isinstance(value, list | tuple):
        raise TypeError(f"`{name}` is {value!r}; it must be a tuple of names.")
    if not value or len(set(value)) < len(value) or set(value) - set(known):
        raise ValueError(f"`{name}` is {value!r}; it must be one or more of {', '.join(known)}, each once.")
    return tuple(value)
