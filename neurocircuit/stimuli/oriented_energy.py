"""Oriented energy: from a grey photograph to the drive of orientation channels, by pairs of Gabor filters."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.signal import oaconvolve

__all__ = ["filter_orientations", "gabor_pair", "oriented_energy"]

FloatArray = npt.NDArray[np.float64]

#: Standard deviation of a filter's envelope in wavelengths, so that about two stripes count; a choice of this library.
ENVELOPE = 0.4

#: Half the width of a filter, in standard deviations of its envelope.
_REACH = 3.0

#: Largest energy, for grey levels from 0 to 1, that still counts as rounding error of a photograph without contrast.
_NO_CONTRAST = 1e-9


def filter_orientations(channels: int) -> FloatArray:
    """Return the preferred orientation of every filter in degrees, from 0 up to but without 180.

    Every orientation is covered once. The population code of the tilt displays (`neurocircuit.stimuli.encode`) includes
    both ends instead, as published, so that its first and last channel agree.

    Raises
    ------
    ValueError
        If there are fewer than 2 channels.
    """
    if isinstance(channels, bool) or not isinstance(channels, int | np.integer) or channels < 2:
        raise ValueError(f"`channels` is {channels!r}; it must be a whole number, at least 2.")
    return np.linspace(0, 180, channels, endpoint=False)


def gabor_pair(orientation: float, wavelength: float) -> tuple[FloatArray, FloatArray]:
    """Return an even and an odd Gabor filter, both with zero mean.

    Parameters
    ----------
    orientation : float
        Orientation of the preferred contour in degrees, anticlockwise from horizontal as the picture is seen.
    wavelength : float
        Preferred wavelength in pixels, at least 2.

    Returns
    -------
    even, odd : (y, x) array
        Square filters of odd side.

    Raises
    ------
    ValueError
        If the wavelength is not finite or is below 2 pixels.
    """
    if not (np.isfinite(wavelength) and wavelength >= 2):
        raise ValueError(f"`wavelength` is {wavelength!r}; it must be at least 2 pixels, two samples a period.")
    spread = ENVELOPE * wavelength
    half = int(np.ceil(_REACH * spread))
    y, x = np.mgrid[-half : half + 1, -half : half + 1]
    angle = np.deg2rad(orientation)
    # Rows count downwards, so a contour at `angle` points along (x, y) = (cos, -sin), and (sin, cos) is across it.
    phase = 2 * np.pi / wavelength * (x * np.sin(angle) + y * np.cos(angle))
    envelope = np.exp(-(x**2 + y**2) / (2 * spread**2))
    envelope /= envelope.sum()
    # Without its mean the even filter is blind to uniform grey, as the odd one is by symmetry.
    even = envelope * (np.cos(phase) - (envelope * np.cos(phase)).sum())
    return even, envelope * np.sin(phase)


def oriented_energy(photograph: Any, channels: int = 16, wavelength: float = 6.0) -> FloatArray:
    """Return the drive that a photograph gives to orientation channels.

    Parameters
    ----------
    photograph : (y, x) array
        Grey levels from 0 to 1.
    channels : int
        Number of orientations; see `filter_orientations`.
    wavelength : float
        Preferred wavelength of the filters in pixels. The default resolves the contours of a photograph of about a
        hundred pixels; it is a choice of this library.

    Returns
    -------
    (channel, y, x) array
        ``sqrt(even**2 + odd**2)`` of each quadrature pair, divided by its largest value over the photograph. Beyond
        the border the photograph is mirrored.

    Raises
    ------
    ValueError
        If the photograph is not a finite grey picture, is smaller than a filter, or has no contrast.

    References
    ----------
    Adelson and Bergen (1985), Journal of the Optical Society of America A 2, 284.
    """
    grey = np.asarray(photograph, dtype=np.float64)
    if grey.ndim != 2 or 0 in grey.shape:
        raise ValueError(f"`photograph` has the shape {grey.shape}; expected (y, x), one grey level per pixel.")
    if not np.all((grey >= 0) & (grey <= 1)):
        raise ValueError("`photograph` has grey levels that are NaN or outside 0 to 1; divide 8-bit levels by 255.")
    pairs = [gabor_pair(orientation, wavelength) for orientation in filter_orientations(channels)]
    half = len(pairs[0][0]) // 2
    if half >= min(grey.shape):
        raise ValueError(
            f"`photograph` has {grey.shape[0]} x {grey.shape[1]} pixels, but a filter of `wavelength` {wavelength:g} "
            f"reaches {half} to each side. Use a larger photograph or a shorter wavelength."
        )
    # Only differences of grey matter; without the mean, rounding is relative to the contrast.
    mirrored = np.pad(grey - grey.mean(), half, mode="reflect")
    energy = np.stack(
        [np.hypot(*(oaconvolve(mirrored, part[::-1, ::-1], mode="valid") for part in pair)) for pair in pairs]
    )
    largest = energy.max()
    if largest < _NO_CONTRAST:
        raise ValueError("`photograph` has no contrast: every pixel has the same grey level.")
    return np.asarray(energy / largest)
