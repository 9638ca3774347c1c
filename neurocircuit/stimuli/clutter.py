"""Cluttered scenes: one intact object among scrambled ones. A fast, repeatable form of a public generator.

The scenes are those of :cite:t:`thorat2021`. Every quadrant of the canvas holds a stack of objects. Each is enlarged,
turned, and, unless it is the target, scrambled: cut into cells that change places. Its values are stretched to 0 to 1
and are then both its opacity and what it shows: it turns the canvas ``c`` into ``(1 - o) c + o^2``. In the end the
canvas is stretched to 0 to 1. The target lies on top and no object leaves its quadrant, so it is never covered.

``mode="exact"`` is the published arithmetic: enlarged by cubic splines, then turned by cubic splines.
``mode="fast"`` enlarges and turns in one step, by cubic convolution, and runs on graphics processors too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from neurocircuit.stimuli.clutter_draws import SceneDraws, draw_scenes
from neurocircuit.stimuli.clutter_settings import ClutterSettings
from neurocircuit.stimuli.clutter_sources import ObjectSource

__all__ = ["Mode", "Pixels", "SceneBatch", "clutter_scenes", "render_scenes"]

Mode = Literal["fast", "exact"]
Pixels = Literal["float", "uint8"]


@dataclass(frozen=True, eq=False, kw_only=True)
class SceneBatch:
    """Cluttered scenes, their targets alone, and what is known about them."""

    images: Tensor
    """(scene, 1, y, x), float32, 0 to 1."""
    target_images: Tensor
    """(scene, 1, y, x), float32, 0 to 1: the target without clutter."""
    labels: dict[str, npt.NDArray[np.int64]]
    """(scene,) each: category, domain, row and column of the quadrant (row 0 on top, column 0 on the left), scale
    (0 small), rotation (0 counter-clockwise)."""
    geometry: dict[str, npt.NDArray[np.float64]]
    """(scene,) each: the target's side (size_px), angle (degrees counter-clockwise), jitter_y, jitter_x (pixels)."""
    boxes: npt.NDArray[np.int64]
    """(scene, object, 4): first and last-plus-one row, first and last-plus-one column of every object."""
    target: npt.NDArray[np.int64]
    """(scene,), which object is the target."""

    def __len__(self) -> int:
        return len(self.images)


def clutter_scenes(
    source: ObjectSource,
    settings: ClutterSettings,
    seed: int,
    indices: Sequence[int] | npt.ArrayLike,
    mode: Mode = "fast",
    *,
    device: str | torch.device = "cpu",
    pixels: Pixels = "float",
    **chosen: int | npt.ArrayLike,
) -> SceneBatch:
    """Return the scenes of a seed that have the given indices: `draw_scenes` and `render_scenes` in one.

    Examples
    --------
    >>> from neurocircuit.stimuli import ClutterSettings, clutter_scenes, embedded_source
    >>> scenes = clutter_scenes(embedded_source("test"), ClutterSettings(), 0, range(4), row=0, category=[3, 3, 12, 12])
    >>> scenes.images.shape
    torch.Size([4, 1, 100, 100])
    >>> scenes.labels["domain"]
    array([0, 0, 1, 1])
    """
    return render_scenes(draw_scenes(source, settings, seed, indices, **chosen), mode, device, pixels)


def render_scenes(
    draws: SceneDraws, mode: Mode = "fast", device: str | torch.device = "cpu", pixels: Pixels = "float"
) -> SceneBatch:
    """Render scenes.

    Parameters
    ----------
    draws : SceneDraws
        What `draw_scenes` returns.
    mode : {"fast", "exact"}
        One step of cubic convolution an object, or the published two steps of cubic splines.
    device : str or torch.device
        Where the result is; fast scenes are also computed there.
    pixels : {"float", "uint8"}
        What exact scenes are computed with. The published networks saw scenes of numbers from 0 to 1. The public
        generator was later fed bytes, so that scipy rounds and clips to 256 levels after either step.

    Returns
    -------
    SceneBatch
        One entry a scene.

    Raises
    ------
    ValueError
        If a mode or a kind of pixels is unknown, or fast scenes of bytes are asked for.
    """
    for name, value, kind in (("mode", mode, Mode), ("pixels", pixels, Pixels)):
        if value not in get_args(kind):
            raise ValueError(f"`{name}` is {value!r}; use {' or '.join(map(repr, get_args(kind)))}.")
    if mode == "fast" and pixels != "float":
        raise ValueError(f"`pixels` is {pixels!r}, which only exact scenes can be made of; use `mode='exact'`.")
    place = torch.device(device)
    if mode == "fast" and place.type != "cpu":
        from neurocircuit.stimuli.clutter_device import paint_on

        scenes, alone = paint_on(draws, place)
    else:
        scenes, alone = (part.to(place) for part in _painted(draws, mode, pixels == "uint8"))
    return SceneBatch(
        images=scenes[:, None],
        target_images=alone[:, None],
        labels=draws.labels(),
        geometry=draws.geometry(),
        boxes=draws.boxes,
        target=draws.target.copy(),
    )


def _painted(draws: SceneDraws, mode: Mode, levels: bool) -> tuple[Tensor, Tensor]:
    """Return scenes and their targets alone, (scene, y, x)."""
    from neurocircuit.stimuli.clutter_kernel import paint_exact, paint_fast

    side = draws.settings.canvas
    scenes, alone = (np.empty((len(draws), side, side), np.float32) for _ in range(2))
    if len(draws):
        what = (draws.source.images, draws.image, draws.sizes, draws.angles, draws.boxes, draws.target)
        how = (draws.scramble, draws.settings.scramble_grid, scenes, alone)
        if mode == "exact":
            paint_exact(*what, *how, levels)
        else:
            paint_fast(*what, *how)
    return torch.from_numpy(scenes), torch.from_numpy(alone)
