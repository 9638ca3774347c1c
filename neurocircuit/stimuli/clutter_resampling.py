"""Enlarging and turning small images, compiled: in one step by cubic convolution, or in two by cubic splines.

The two steps are those of ``scipy.ndimage.zoom`` and ``rotate(reshape=False)``. All arithmetic is in float64.

Loops may be reordered by the compiler (``fastmath``): on one machine, equal calls give equal bytes. Array indices that
cannot be negative are unsigned, which spares numba a test of each.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba
import numpy as np

from neurocircuit.stimuli.clutter_settings import KEYS

__all__ = ["EDGE", "compiled", "one_step", "two_steps"]

Function = TypeVar("Function", bound=Callable[..., Any])

# Pole of the cubic spline's prefilter.
POLE = np.sqrt(3.0) - 2.0
# Rows and columns around an image that repeat its edge, or mirror it, so that four taps always fit.
EDGE = 2


def compiled(function: Function) -> Function:
    """Compile with numba, keeping the function's type."""
    return cast(Function, numba.njit(cache=True, nogil=True, fastmath=True)(function))


def strict(function: Function) -> Function:
    """Compile with numba, every operation as it is written."""
    # Said explicitly, because numba passes ``fastmath`` on from callers.
    return cast(Function, numba.njit(cache=True, nogil=True, fastmath=False)(function))


@compiled
def _convolution_weights(t: float) -> Any:
    """Weights of four neighbours for cubic convolution at a fraction t between the middle two."""
    s = 1.0 - t
    return (
        KEYS * t * s * s,
        ((KEYS + 2.0) * t - (KEYS + 3.0)) * t * t + 1.0,
        ((KEYS + 2.0) * s - (KEYS + 3.0)) * s * s + 1.0,
        KEYS * t * t * s,
    )


@compiled
def _spline_weights(t: float) -> Any:
    """Weights of four neighbouring coefficients of a cubic B-spline."""
    s = 1.0 - t
    return (
        s * s * s / 6.0,
        (t * t * (t - 2.0) * 3.0 + 4.0) / 6.0,
        (s * s * (s - 2.0) * 3.0 + 4.0) / 6.0,
        t * t * t / 6.0,
    )


@compiled
def _weighted(edged: Any, top: Any, left: Any, down: Any, right: Any) -> Any:
    """Return the sum over four by four values, the second of which, both ways, is that of (top, left)."""
    one = np.uint32(1)
    i0, j0 = top + np.uint32(EDGE - 1), left + np.uint32(EDGE - 1)
    i1, j1 = i0 + one, j0 + one
    i2, j2 = i1 + one, j1 + one
    i3, j3 = i2 + one, j2 + one
    a, b, c, d = right
    total = down[0] * (a * edged[i0, j0] + b * edged[i0, j1] + c * edged[i0, j2] + d * edged[i0, j3])
    total += down[1] * (a * edged[i1, j0] + b * edged[i1, j1] + c * edged[i1, j2] + d * edged[i1, j3])
    total += down[2] * (a * edged[i2, j0] + b * edged[i2, j1] + c * edged[i2, j2] + d * edged[i2, j3])
    return total + down[3] * (a * edged[i3, j0] + b * edged[i3, j1] + c * edged[i3, j2] + d * edged[i3, j3])


@compiled
def _prefilter_columns(field: Any, rows: int, columns: int) -> None:
    """Filter along the first axis: samples to coefficients of a cubic spline that is mirrored at its ends."""
    last = POLE ** (rows - 1)
    for j in range(columns):
        field[0, j] += last * field[rows - 1, j]
    # The causal filter starts with its sum over the endless mirrored sequence.
    power, other = POLE, last * last / POLE
    for k in range(1, rows - 1):
        for j in range(columns):
            field[0, j] += (power + other) * field[k, j]
        power *= POLE
        other /= POLE
    for j in range(columns):
        field[0, j] /= 1.0 - last * last
    for k in range(1, rows):
        for j in range(columns):
            field[k, j] += POLE * field[k - 1, j]
    for j in range(columns):
        field[rows - 1, j] = (POLE * field[rows - 2, j] + field[rows - 1, j]) * (6.0 * POLE / (POLE * POLE - 1.0))
    for k in range(rows - 2, -1, -1):
        for j in range(columns):
            field[k, j] = POLE * (field[k + 1, j] - 6.0 * field[k, j])


@compiled
def _prefilter(field: Any, spare: Any, n: int) -> None:
    """Turn samples into spline coefficients, in place, along both axes."""
    for _ in range(2):
        _prefilter_columns(field, n, n)
        for i in range(n):
            for j in range(n):
                spare[j, i] = field[i, j]
        for i in range(n):
            for j in range(n):
                field[i, j] = spare[i, j]


@compiled
def _mirror(index: int, n: int) -> Any:
    if index < 0:
        return -index
    return 2 * (n - 1) - index if index >= n else index


@compiled
def _to_levels(field: Any, n: int) -> None:
    """Round to whole levels of 0 to 255, as scipy's conversion to uint8 does."""
    for i in range(n):
        for j in range(n):
            field[i, j] = min(max(np.floor(field[i, j] + 0.5), 0.0), 255.0)


@strict
def _zoom_position(k: int, n: int, size: int) -> Any:
    """Return where among n samples sample k of `size` lies, and -1 beyond the last one, where scipy has zeros.

    Rounding places the last sample of some sizes there, so the order of these operations is scipy's.
    """
    at = k * ((n - 1) / (size - 1))
    return at if at <= n - 1 else -1.0


@compiled
def _zoom(field: Any, spare: Any, n: int, size: int) -> None:
    """Resample n x n samples at size x size, ends on ends, by cubic splines: ``scipy.ndimage.zoom``."""
    _prefilter(field, spare, n)
    for _ in range(2):
        # Along the first axis, written transposed: twice, so along both.
        for k in range(size):
            at = _zoom_position(k, n, size)
            first = max(int(at), 0)
            a, b, c, d = _spline_weights(at - first) if at >= 0 else (0.0, 0.0, 0.0, 0.0)
            i0, i1, i2, i3 = (
                _mirror(first - 1, n),
                _mirror(first, n),
                _mirror(first + 1, n),
                _mirror(first + 2, n),
            )
            for j in range(max(n, size)):
                spare[k, j] = a * field[i0, j] + b * field[i1, j] + c * field[i2, j] + d * field[i3, j]
        for i in range(size):
            for j in range(max(n, size)):
                field[j, i] = spare[i, j]


@compiled
def _turn(field: Any, spare: Any, turned: Any, n: int, degrees: float) -> None:
    """Turn n x n samples about their middle by cubic splines, zero outside: ``scipy.ndimage.rotate(reshape=False)``."""
    _prefilter(field, spare, n)
    for i in range(-1, n + 2):
        for j in range(-1, n + 2):
            spare[i + EDGE, j + EDGE] = field[_mirror(i, n), _mirror(j, n)]
    radians = np.deg2rad(degrees)
    cosine, sine, middle = np.cos(radians), np.sin(radians), (n - 1) / 2
    for r in range(n):
        y_start, x_start = (
            (r - middle) * cosine - middle * sine + middle,
            middle - middle * cosine - (r - middle) * sine,
        )
        for c in range(n):
            y, x = y_start + sine * c, x_start + cosine * c
            value = 0.0
            if y >= 0 and x >= 0 and y <= n - 1 and x <= n - 1:
                top, left = np.uint32(y), np.uint32(x)
                value = _weighted(spare, top, left, _spline_weights(y - top), _spline_weights(x - left))
            turned[r, c] = value


@compiled
def one_step(image: Any, edged: Any, turned: Any, size: int, degrees: float) -> None:
    """Write an image into ``turned``, enlarged and turned in one step by cubic convolution, zero outside."""
    n = image.shape[0]
    for i in range(n + 2 * EDGE):
        for j in range(n + 2 * EDGE):
            edged[i, j] = image[min(max(i - EDGE, 0), n - 1), min(max(j - EDGE, 0), n - 1)]
    radians, middle, step, far = np.deg2rad(degrees), (size - 1) / 2, (n - 1) / (size - 1), float(n - 1)
    cosine, sine = np.cos(radians) * step, np.sin(radians) * step
    for r in range(size):
        y_start, x_start = (
            (r - middle) * cosine - middle * sine + far / 2,
            far / 2 - middle * cosine - (r - middle) * sine,
        )
        for c in range(size):
            y, x = y_start + sine * c, x_start + cosine * c
            value = 0.0
            if y >= 0 and x >= 0 and y <= far and x <= far:
                top, left = np.uint32(y), np.uint32(x)
                value = _weighted(edged, top, left, _convolution_weights(y - top), _convolution_weights(x - left))
            turned[r, c] = value


@compiled
def two_steps(image: Any, field: Any, spare: Any, turned: Any, sizes: Any, angles: Any, levels: bool) -> Any:
    """Write an image into ``turned``, enlarged and then turned, each once or twice; return its side."""
    n = image.shape[0]
    for r in range(n):
        for c in range(n):
            field[r, c] = np.rint(image[r, c] * 255.0) if levels else image[r, c]
    for step in range(2):
        if step == 0 or sizes[step] != n:
            _zoom(field, spare, n, sizes[step])
            n = sizes[step]
            if levels:
                _to_levels(field, n)
    for step in range(2):
        if step == 0 or angles[step] != 0:
            if step == 1:
                field[:n, :n] = turned[:n, :n]
            _turn(field, spare, turned, n, angles[step])
            if levels:
                _to_levels(turned, n)
    return n
