"""Altered scenes: the same scenes but for one property of the target, to ask which properties a network uses."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from neurocircuit.stimuli.clutter_draws import SceneDraws
from neurocircuit.stimuli.clutter_settings import QUADRANTS

__all__ = ["Alteration", "altered_scenes", "unjittered"]

Alteration = Literal["x", "y", "orientation", "scale", "category_within", "category_between"]


def unjittered(draws: SceneDraws) -> SceneDraws:
    """Return the same scenes with exact properties, as :cite:t:`thorat2021` alter them.

    Small objects have the smallest scale and large ones the largest (0.8 and 1.6 by default), all are turned by the
    largest angle (35 degrees), and lie in the middle of their quadrants.
    """
    return replace(draws, settings=draws.settings.unjittered())


def altered_scenes(draws: SceneDraws, kind: Alteration, legacy: bool = False) -> SceneDraws:
    """Return the same scenes with one property of the target altered; all else, such as the scrambling, is shared.

    Parameters
    ----------
    draws : SceneDraws
        The original scenes, often `unjittered`.
    kind : {"x", "y", "orientation", "scale", "category_within", "category_between"}
        ``x`` and ``y``: the target changes places with the topmost object of the quadrant beside it, or above or below
        it; both keep their jitter. (The published arrays call a change of rows x and one of columns y.)
        ``orientation`` and ``scale``: the target is turned the other way, or is large instead of small or the reverse,
        at the same place within the range. ``category_within``: the target shows an image of another category of its
        domain; ``category_between``: one of another domain. These images too follow from the seed and the index.
    legacy : bool
        As in the published code, which turns the target, already turned, by the opposite angle, so that it stands
        upright, and enlarges it, already enlarged, by the other factor, so that its size is between small and large.
        Its labels remain those of the original. The other kinds are not affected.

    Returns
    -------
    SceneDraws
        To be rendered in either mode.

    Raises
    ------
    ValueError
        If the kind is unknown, there is no image of another category or domain, or an object that is enlarged twice
        would leave its quadrant.
    """
    if kind not in get_args(Alteration):
        raise ValueError(f"`kind` is {kind!r}; use {', '.join(map(repr, get_args(Alteration)))}.")
    if kind in ("x", "y"):
        return _moved(draws, 2 if kind == "x" else 1)
    if kind == "category_within" or kind == "category_between":
        return _of_another_category(draws, within=kind == "category_within")
    if kind == "orientation":
        if legacy:
            back = -draws.of_target(draws.angles)[:, 0]
            return replace(draws, second_angle=_with_target(draws, draws.second_angle, back))
        return replace(draws, rotation=_with_target(draws, draws.rotation, 1 - draws.of_target(draws.rotation)))
    other = replace(draws, scale=_with_target(draws, draws.scale, 1 - draws.of_target(draws.scale)))
    return _enlarged_twice(draws, other.of_target(other.scales)) if legacy else other


def _with_target(draws: SceneDraws, values: npt.NDArray[Any], target: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return values of all objects with those of the target replaced."""
    changed = values.copy()
    changed[np.arange(len(draws)), draws.target] = target
    return changed


def _moved(draws: SceneDraws, bit: int) -> SceneDraws:
    """Exchange the quadrants of the target and of the topmost object in the quadrant that differs in one bit."""
    rows, first = np.arange(len(draws)), draws.quadrant.shape[1] - QUADRANTS
    own = draws.of_target(draws.quadrant)
    neighbour = first + (draws.quadrant[:, first:] == (own ^ bit)[:, np.newaxis]).argmax(1)
    quadrant = _with_target(draws, draws.quadrant, own ^ bit)
    quadrant[rows, neighbour] = own
    return replace(draws, quadrant=quadrant)


def _enlarged_twice(draws: SceneDraws, factor: npt.NDArray[np.float64]) -> SceneDraws:
    twice = replace(draws, second_scale=_with_target(draws, draws.second_scale, factor))
    largest = draws.settings.sizes(draws.settings.scale_large[1])
    if len(draws) and twice.sizes.max() > largest:
        raise ValueError(
            f"`legacy` enlarges targets twice, here to {twice.sizes.max()} pixels, and `settings` have room for "
            f"{largest} only; use `legacy=False`, or a `scale_small` of 1 or less."
        )
    return twice


def _of_another_category(draws: SceneDraws, within: bool) -> SceneDraws:
    """Show another image: of another category of the domain, or of another domain."""
    source, image = draws.source, draws.of_target(draws.image)
    number = draws.alternative[:, 0 if within else 1]
    groups = np.stack([source.labels[image], source.domains[image]], -1) if within else source.domains[image][:, None]
    shown = np.empty_like(image)
    for group in np.unique(groups, axis=0):
        fits = source.domains == group[-1]
        fits = fits & (source.labels != group[0]) if within else ~fits
        found = np.flatnonzero(fits)
        if found.size == 0:
            what = "another category of the same domain" if within else "another domain"
            raise ValueError(
                f"`kind` is 'category_{'within' if within else 'between'}', but {source.label} has no image of {what} "
                f"than {source.domain_names[group[-1]]}{f', {source.class_names[group[0]]}' if within else ''}."
            )
        chosen = (groups == group).all(-1)
        shown[chosen] = found[(number[chosen] * found.size).astype(np.int64)]
    return replace(draws, image=_with_target(draws, draws.image, shown))
