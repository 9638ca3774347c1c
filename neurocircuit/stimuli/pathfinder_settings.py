"""What defines a Pathfinder data set: its settings, checked, and the named difficulties."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, get_args

from neurocircuit.checks import check_number, check_whole
from neurocircuit.stimuli.pathfinder_templates import Geometry

__all__ = ["DIFFICULTIES", "Negatives", "PathfinderSettings"]

Negatives = Literal["published", "distance_matched"]

#: The least each whole-number setting may be. A path of one paddle would have both of its ends in one.
_LEAST = {
    "image_size": 1,
    "canvas_size": 1,
    "padding": 0,
    "contour_length": 2,
    "distractors": 0,
    "distractor_length": 1,
    "seed_border": 0,
    "antialias": 1,
    "paddle_tries": 1,
    "distractor_tries": 1,
    "layout_tries": 1,
}
_POSITIVE = ("paddle_length", "paddle_width", "continuity", "marker_radius", "seed_distance")
_NOT_NEGATIVE = ("margin", "match_tolerance")


@dataclass(frozen=True, kw_only=True)
class PathfinderSettings:
    """Everything that defines a Pathfinder data set but its seed.

    The defaults are those of PF-6 (``curv_baseline``) in the public wrapper ``snakes2_wrapper.py``. Lengths are pixels
    of the canvas that is drawn, unless they say otherwise.

    Parameters
    ----------
    image_size : int
        Side of the delivered image in its own pixels. If smaller than the canvas, every pixel is the mean over the area
        it covers; if equal, the canvas is delivered as drawn.
    canvas_size : int
        Side of the square that is drawn.
    padding : int
        Width of the frame that stays empty.
    contour_length : int
        Paddles of each of the two target snakes.
    distractors, distractor_length : int
        Number of distractor snakes (fewer if there is no room) and paddles of each.
    paddle_length, paddle_width : float
        Size of a paddle; ``paddle_width * antialias`` must be whole.
    margin : float
        Half the gap between paddles.
    continuity : float
        How straight snakes are: a turn of ``pi / (2 * continuity)`` or more is impossible.
    marker_radius : float
        Radius of the discs on two ends.
    seed_distance : float
        Distance of the first ends of the two target snakes.
    seed_border : int
        Distance of the first paddle of the first snake from the border, at least; published is twice `seed_distance`.
    antialias : int
        Paddles and markers are drawn this many times larger and reduced.
    paddle_tries, distractor_tries : int
        How often a paddle is drawn before its snake is given up, and a distractor before it is left out.
    layout_tries : int
        How often the two target snakes are redrawn before an error says that they do not fit. The public generator
        tries for ever.
    separate_targets : bool
        Whether a pair is redrawn if the keep-out masks of its snakes overlap anywhere. The public generator tests a new
        paddle against all but the newest of the other snake, so its targets can cross where both grow at once; that is
        rare on a large canvas and common on a small one.
    negatives : {"published", "distance_matched"}
        With ``published`` negatives the distance of the markers tells much about the label. With ``distance_matched``
        a positive and a negative candidate of equal marker distance are drawn for every image, and its label decides
        which of them it shows.
    match_tolerance : float
        Largest difference of the two candidates' distances; unused with ``published`` negatives.

    Raises
    ------
    TypeError, ValueError
        If a setting is not a number of its kind, is out of range, or the snakes cannot fit on the canvas.
    """

    image_size: int = 150
    canvas_size: int = 300
    padding: int = 22
    contour_length: int = 6
    distractors: int = 15
    distractor_length: int = 2
    paddle_length: float = 5.0
    paddle_width: float = 2.0
    margin: float = 3.0
    continuity: float = 1.8
    marker_radius: float = 5.0
    seed_distance: float = 27.0
    seed_border: int = 54
    antialias: int = 2
    paddle_tries: int = 3
    distractor_tries: int = 5
    layout_tries: int = 100_000
    separate_targets: bool = False
    negatives: Negatives = "published"
    match_tolerance: float = 0.25

    def __post_init__(self) -> None:
        for name, least in _LEAST.items():
            check_whole(name, getattr(self, name), least)
        for name in _POSITIVE:
            check_number(name, getattr(self, name), above=0)
        for name in _NOT_NEGATIVE:
            check_number(name, getattr(self, name), at_least=0)
        if not isinstance(self.separate_targets, bool):
            raise TypeError(f"`separate_targets` is {self.separate_targets!r}; it must be True or False.")
        if self.negatives not in get_args(Negatives):
            allowed = " or ".join(map(repr, get_args(Negatives)))
            raise ValueError(f"`negatives` is {self.negatives!r}; use {allowed}.")
        if self.image_size > self.canvas_size:
            raise ValueError(
                f"`image_size` is {self.image_size}, larger than the canvas of {self.canvas_size} pixels; images are "
                f"never enlarged. Use at most {self.canvas_size}, or raise `canvas_size`."
            )
        width = self.paddle_width * self.antialias
        if width != round(width):
            raise ValueError(
                f"`paddle_width` is {self.paddle_width}, which is {width} pixels when drawn at `antialias` = "
                f"{self.antialias}; their product must be whole."
            )
        self._check_room()

    def _check_room(self) -> None:
        """Refuse layouts that cannot fit; those that hardly ever do are found by `pathfinder_batch`."""
        inner, needed = self.canvas_size - 2 * self.padding, self.paddle_length + 2 * self.margin
        for name, room in (("padding", inner), ("seed_border", self.canvas_size - 2 * self.seed_border)):
            if room < needed:
                raise ValueError(
                    f"`{name}` is {getattr(self, name)}, which leaves {room} pixels of a canvas of {self.canvas_size}; "
                    f"a paddle and its margins need {needed:g}. Use a smaller `{name}` or a larger `canvas_size`."
                )
        paddle = self.paddle_length * (self.paddle_width + 2 * self.margin) + math.pi * self.margin**2
        area = 2 * self.contour_length * paddle
        if area > inner**2:
            raise ValueError(
                f"`contour_length` is {self.contour_length}: two such snakes need {area:.0f} pixels with margins, "
                f"but the canvas has {inner**2} inside its padding. Use a shorter one or a larger `canvas_size`."
            )

    @property
    def geometry(self) -> Geometry:
        """The part that decides how paddles and markers look."""
        return Geometry(**{name: getattr(self, name) for name in Geometry._fields})

    @property
    def scale(self) -> float:
        """Delivered pixels per drawn pixel."""
        return self.image_size / self.canvas_size


#: Settings by name: the three published difficulties, and one small enough to train on two CPU cores.
DIFFICULTIES: Mapping[str, PathfinderSettings] = MappingProxyType(
    {
        "6": PathfinderSettings(),
        "9": PathfinderSettings(contour_length=9, distractor_length=3),
        "14": PathfinderSettings(contour_length=14, distractor_length=4),
        "small": PathfinderSettings(
            image_size=32,
            canvas_size=32,
            padding=1,
            contour_length=7,
            distractors=3,
            distractor_length=2,
            paddle_length=2.0,
            paddle_width=1.0,
            margin=1.0,
            # Sharper turns than the published 1.8, so that the paddles under the markers do not give the label away.
            continuity=1.2,
            marker_radius=1.5,
            seed_distance=8.0,
            seed_border=8,
            separate_targets=True,
            negatives="distance_matched",
            match_tolerance=0.0,
        ),
    }
)
