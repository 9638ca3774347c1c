"""Population codes: from a feature value to the responses of tuned channels, and back."""

from __future__ import annotations

from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt
from scipy.stats import norm, vonmises

__all__ = ["Code", "Decoder", "decode", "encode", "preferred_values"]

#: Tuning width of the circular code in the tilt experiment of the authors' public code (contextual_model, f3a).
CIRCULAR_SCALE = 0.4

FloatArray = npt.NDArray[np.float64]
Code = Literal["circular", "gaussian"]
Decoder = Literal["vector_average", "mean", "argmax"]


def preferred_values(channels: int) -> FloatArray:
    """Return the preferred feature value of every channel, from 0 to 1, both ends included.

    On the circle the first and the last channel therefore prefer the same value, as in the published code.
    """
    if isinstance(channels, bool) or not isinstance(channels, int | np.integer) or channels < 2:
        raise ValueError(f"`channels` is {channels!r}; it must be a whole number, at least 2.")
    return np.linspace(0, 1, channels)


def encode(display: Any, channels: int, code: Code = "circular", scale: float = CIRCULAR_SCALE) -> FloatArray:
    """Return the drive that a display of feature values gives to tuned channels.

    Parameters
    ----------
    display : (..., y, x) array
        Feature value from 0 to 1 at every pixel (an orientation is ``value * 180`` degrees); NaN is an empty pixel.
    channels : int
        Number of channels.
    code : {"circular", "gaussian"}
        Tuning: a von Mises density of concentration ``1 / scale**2`` on the circle, or a normal density of standard
        deviation `scale` on the line.
    scale : float
        Width of the tuning: radians on the circle of values (``circular``), or a fraction of the range
        (``gaussian``; 0.1 in the published code).

    Returns
    -------
    (..., channel, y, x) array
        Responses divided by their largest value over the whole display; zero at empty pixels.

    Raises
    ------
    ValueError
        If a value is outside 0 to 1, every pixel is empty, the scale is not positive or the code is unknown.
    """
    values = np.asarray(display, dtype=np.float64)
    if values.ndim < 2:
        raise ValueError(f"`display` has the shape {values.shape}; expected (y, x) or (batch, y, x).")
    filled = ~np.isnan(values)
    if not filled.any():
        raise ValueError("`display` is empty: every pixel is NaN.")
    if values[filled].min() < 0 or values[filled].max() > 1:
        low, high = values[filled].min(), values[filled].max()
        raise ValueError(f"`display` has values from {low:g} to {high:g}; they must lie between 0 and 1.")
    if not (np.isfinite(scale) and scale > 0):
        raise ValueError(f"`scale` is {scale!r}; it must be positive and finite.")
    preferred = preferred_values(channels)[:, None, None]
    given = np.where(filled, values, 0.0)[..., None, :, :]
    if code == "circular":
        response = vonmises.pdf(2 * np.pi * (given - preferred), kappa=1 / scale**2)
    elif code == "gaussian":
        response = norm.pdf(given - preferred, scale=scale)
    else:
        raise ValueError(f"`code` is {code!r}; it must be one of {', '.join(get_args(Code))}.")
    response = np.where(filled[..., None, :, :], response, 0.0)
    return np.asarray(response / response.max())


def decode(responses: Any, decoder: Decoder = "vector_average", axis: int = -1) -> FloatArray:
    """Return the feature value, 0 to 1, that a population of channels signals.

    Parameters
    ----------
    responses : array
        Non-negative responses; the channels lie along `axis`.
    decoder : {"vector_average", "mean", "argmax"}
        Direction of the sum of the channels' vectors on the circle, mean of the preferred values weighted by the
        responses (for features on a line), or the preferred value of the strongest channel.
    axis : int
        Axis of the channels.

    Returns
    -------
    array
        One value per population.

    Raises
    ------
    ValueError
        If a population is silent or not finite, or the decoder is unknown.
    """
    activity = np.moveaxis(np.asarray(responses, dtype=np.float64), axis, -1)
    if not np.all(np.isfinite(activity)):
        raise ValueError("`responses` has values that are NaN or infinite; a population code needs finite responses.")
    if not np.all(activity.max(-1) > 0):
        raise ValueError("`responses` has a population without any response, which signals no value.")
    preferred = preferred_values(activity.shape[-1])
    if decoder == "vector_average":
        angle = 2 * np.pi * preferred
        return np.asarray(np.arctan2(activity @ np.sin(angle), activity @ np.cos(angle)) / (2 * np.pi) % 1)
    if decoder == "mean":
        return np.asarray(activity @ preferred / activity.sum(-1))
    if decoder == "argmax":
        return np.asarray(preferred[activity.argmax(-1)])
    raise ValueError(f"`decoder` is {decoder!r}; it must be one of {', '.join(get_args(Decoder))}.")
