"""A slow Pathfinder generator in plain numpy, for `pathfinder.py` and the tests: no tables, no compiled code.

It follows the published algorithm with whole-canvas arrays, as the public generator does, and shares nothing with the
library but the settings. Only published negatives are drawn.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw
from scipy import ndimage

from neurocircuit.stimuli import PathfinderSettings

__all__ = ["Drawing", "draw_image", "draw_pair"]

Place = tuple[int, int]


class Drawing(NamedTuple):
    """An image of the canvas (0 to 1), its label, the distance of its markers and how many pairs were thrown away."""

    image: np.ndarray
    label: int
    distance: float
    redraws: int


class Pair(NamedTuple):
    """Two target snakes: brightness, keep-out mask, and the first and last tip of each."""

    image: np.ndarray
    mask: np.ndarray
    origins: list[Place]
    terminals: list[Place]


class Snake:
    """A growing snake."""

    def __init__(self, tip: Place, angle: float, settings: PathfinderSettings) -> None:
        length, margin = settings.paddle_length, settings.margin
        self.settings = settings
        self.head, self.angle = tip, angle
        self.pivot = moved(moved(tip, angle, length), angle + np.pi, length + margin)
        self.image, self.last_mask = paddle(tip, angle, settings)

    def extend(self, mask: np.ndarray, rng: np.random.Generator) -> np.ndarray | None:
        """Add a paddle and return the mask with the paddle before it; None if there is no room."""
        settings = self.settings
        length, margin = settings.paddle_length, settings.margin
        pivot = moved(self.pivot, self.angle, length + 2 * margin)
        heads, angles, weights = candidates(pivot, self.angle, dilated(mask, disc(margin)), settings)
        if weights.sum() < 1e-4:
            return None
        cumulative = np.cumsum(weights / weights.sum())
        for _ in range(settings.paddle_tries):
            chosen = int(np.argmax(cumulative > rng.random()))
            head = int(heads[chosen, 0]), int(heads[chosen, 1])
            line, covered = paddle(head, angles[chosen] + np.pi, settings)
            if np.max(mask + covered) < 1.8:
                mask = np.maximum(mask, self.last_mask)
                self.pivot, self.angle, self.head, self.last_mask = pivot, angles[chosen], head, covered
                self.image = np.maximum(self.image, line)
                return mask
        return None


def draw_image(settings: PathfinderSettings, rng: np.random.Generator) -> Drawing:
    """Draw one image of the canvas."""
    label = int(rng.integers(2))
    pair, redraws = None, -1
    while pair is None:
        pair, redraws = draw_pair(settings, rng), redraws + 1
    image, mask = pair.image, pair.mask
    for _ in range(settings.distractors):
        for _ in range(settings.distractor_tries):
            grown = draw_distractor(mask, settings, rng)
            if grown is not None:
                image, mask = np.maximum(image, grown[0]), grown[1]
                break
    origin = int(rng.integers(2))
    ends = pair.origins[origin], pair.terminals[origin if label else 1 - origin]
    for end in ends:
        image = np.maximum(image, marker(end, settings))
    return Drawing(image / image.max(), label, float(np.hypot(*np.subtract(*ends))), redraws)


def draw_pair(settings: PathfinderSettings, rng: np.random.Generator) -> Pair | None:
    """Grow two target snakes alternately; None if one of them could not be completed."""
    side, border = settings.canvas_size, settings.seed_border
    mask = framed(np.zeros((side, side)), settings.padding)
    angle = random_angle(rng)
    free = np.argwhere(~blocked(framed(mask, border), angle, settings))
    first = tuple(int(place) for place in free[rng.integers(len(free))])
    bearing = random_angle(rng)
    second = tuple(
        round(place + settings.seed_distance * part)
        for place, part in zip(first, (np.sin(bearing), np.cos(bearing)), strict=True)
    )
    snakes = [Snake(first, angle, settings), Snake(second, random_angle(rng), settings)]
    for _ in range(settings.contour_length - 1):
        for snake in snakes:
            extended = snake.extend(mask, rng)
            if extended is None:
                return None
            mask = extended
    image = np.maximum(snakes[0].image, snakes[1].image)
    mask = np.maximum(mask, np.maximum(snakes[0].last_mask, snakes[1].last_mask))
    return Pair(image, mask, [first, second], [snake.head for snake in snakes])


def draw_distractor(
    mask: np.ndarray, settings: PathfinderSettings, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray] | None:
    """Return the brightness of a distractor and the mask with it; None if it could not be completed."""
    angle = random_angle(rng)
    free = np.argwhere(~blocked(framed(mask, 1), angle, settings))
    if len(free) == 0 or np.mean(mask <= 0.3) < 0.01:
        return None
    snake = Snake(tuple(int(place) for place in free[rng.integers(len(free))]), angle, settings)
    for _ in range(settings.distractor_length - 1):
        extended = snake.extend(mask, rng)
        if extended is None:
            return None
        mask = extended
    return snake.image, np.maximum(mask, snake.last_mask)


def candidates(
    pivot: Place, angle: float, occupied: np.ndarray, settings: PathfinderSettings
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return places where the next paddle may end, its angles and their weights."""
    radius = settings.paddle_length + settings.margin
    around = np.arange(0, 2 * np.pi, 1 / radius)
    places = np.stack([pivot[0] + radius * np.sin(around), pivot[1] + radius * np.cos(around)], axis=1)
    inside = np.all((places >= 0) & (places < settings.canvas_size), axis=1)
    heads = np.unique(places[inside].astype(int), axis=0)
    dy, dx = (heads - pivot).T
    angles = np.arctan2(dy, dx)
    turn = np.abs((angles - angle + np.pi) % (2 * np.pi) - np.pi)
    straight = np.maximum(np.cos(np.minimum(settings.continuity * turn, np.pi / 2)), 0) ** 2
    return heads, angles, (1 - occupied[tuple(heads.T)]) * straight


def paddle(start: Place, angle: float, settings: PathfinderSettings) -> tuple[np.ndarray, np.ndarray]:
    """Return brightness and keep-out mask of a paddle on the canvas."""
    scale = settings.antialias
    half = int(sum(np.ceil((settings.paddle_length, settings.paddle_width, settings.margin))))
    blown = Image.new("L", (2 * half * scale + 1,) * 2)
    end = moved((half * scale, half * scale), angle, settings.paddle_length * scale)
    width = round(settings.paddle_width * scale)
    ImageDraw.Draw(blown).line([(half * scale, half * scale), end[::-1]], fill=255, width=width)
    covered = ndimage.grey_dilation(np.asarray(blown), footprint=disc(settings.margin * scale), mode="constant")
    return tuple(
        placed(reduced(np.asarray(picture), 2 * half + 1), start, settings.canvas_size) for picture in (blown, covered)
    )


def marker(place: Place, settings: PathfinderSettings) -> np.ndarray:
    """Return the brightness of a marker on the canvas."""
    scale, side = settings.antialias, settings.canvas_size
    rows, columns = (np.arange(side * scale) - scale * centre for centre in place)
    inside = rows[:, None] ** 2 + columns**2 <= (settings.marker_radius * scale) ** 2
    return reduced(np.where(inside, 255, 0).astype(np.uint8), side)


def blocked(mask: np.ndarray, angle: float, settings: PathfinderSettings) -> np.ndarray:
    """Return where a first paddle's mask would touch the mask."""
    side, middle = settings.canvas_size, settings.canvas_size // 2
    core = np.argwhere(paddle((middle, middle), angle, settings)[1] == 1) - middle
    outside = 1 + int(np.abs(core).max())
    padded = np.pad(mask > 0.3, outside, constant_values=True)
    return np.any([padded[outside + y : outside + y + side, outside + x : outside + x + side] for y, x in core], axis=0)


def framed(mask: np.ndarray, width: int) -> np.ndarray:
    """Return the mask with an occupied frame."""
    inner = mask[width : len(mask) - width, width : len(mask) - width]
    return np.pad(inner, width, constant_values=1.0)


def dilated(mask: np.ndarray, footprint: np.ndarray) -> np.ndarray:
    """Return the largest value under a footprint about every pixel."""
    return ndimage.grey_dilation(mask, footprint=footprint, mode="constant")


def disc(radius: float) -> np.ndarray:
    """Return a filled disc."""
    place = np.arange(-int(radius), int(radius) + 1)
    return place[:, None] ** 2 + place**2 <= radius**2


def reduced(picture: np.ndarray, side: int) -> np.ndarray:
    """Return a picture of bytes at another size, from 0 to 1."""
    return np.asarray(Image.fromarray(picture).resize((side, side), Image.Resampling.LANCZOS)) / 255


def placed(template: np.ndarray, centre: Place, side: int) -> np.ndarray:
    """Return a canvas with a template about a pixel; what sticks out is cut off."""
    half = len(template) // 2
    canvas = np.zeros((side + 2 * half, side + 2 * half))
    canvas[centre[0] : centre[0] + 2 * half + 1, centre[1] : centre[1] + 2 * half + 1] = template
    return canvas[half : half + side, half : half + side]


def moved(place: Place, angle: float, distance: float) -> Place:
    """Return a place some distance away, rounded up to whole pixels."""
    return (
        int(np.ceil(round(place[0] + distance * np.sin(angle), 9))),
        int(np.ceil(round(place[1] + distance * np.cos(angle), 9))),
    )


def random_angle(rng: np.random.Generator) -> float:
    """Return a whole number of degrees, in radians."""
    return float(np.radians(rng.integers(-180, 180)))
