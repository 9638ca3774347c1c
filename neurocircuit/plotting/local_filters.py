"""Figures of locally connected networks: filters across positions, and angles between updates and gradients."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from numpy.typing import ArrayLike, NDArray

__all__ = ["filter_mosaic", "plot_gradient_angles", "plot_local_filters"]


def filter_mosaic(filters: ArrayLike) -> NDArray[np.float64]:
    """Lay the filters of one channel side by side at the positions where they are, with an empty pixel between them.

    Parameters
    ----------
    filters : (y, x, channel, window y, window x) array
        One filter a position.

    Returns
    -------
    (y, x, channel) array
        NaN between the filters.

    Raises
    ------
    ValueError
        If the array has other dimensions.

    Examples
    --------
    >>> filter_mosaic(np.ones((30, 30, 3, 2, 2))).shape
    (89, 89, 3)
    """
    tiles = np.asarray(filters, dtype=np.float64)
    if tiles.ndim != 5:
        raise ValueError(
            f"`filters` has the shape {tiles.shape}; expected (y, x, channel, window y, window x): choose one output "
            "channel of `neurocircuit.analysis.filters_by_position`."
        )
    height, width, channels, rows, columns = tiles.shape
    apart = np.full((height, rows + 1, width, columns + 1, channels), np.nan)
    apart[:, :rows, :, :columns] = tiles.transpose(0, 3, 1, 4, 2)
    return apart.reshape(height * (rows + 1), width * (columns + 1), channels)[:-1, :-1]


def plot_local_filters(filters: ArrayLike, ax: Axes, *, bound: float | None = None) -> Axes:
    """Draw the filters of one channel at every position of the image.

    Filters of three channels are drawn in red, green and blue, zero being grey; of filters of any other number of
    channels the first one is drawn, blue below zero and red above.

    Parameters
    ----------
    filters : (y, x, channel, window y, window x) array
        One filter a position.
    ax : Axes
        Where to draw.
    bound : float, optional
        Weight that is drawn in full colour; by default the largest there is.
    """
    mosaic = filter_mosaic(filters)
    largest = bound or float(np.nanmax(np.abs(mosaic))) or 1.0
    if mosaic.shape[2] == 3:
        # White between the filters.
        ax.imshow(np.where(np.isnan(mosaic), 1.0, np.clip(0.5 + 0.5 * mosaic / largest, 0, 1)))
    else:
        ax.imshow(mosaic[..., 0], cmap="RdBu_r", vmin=-largest, vmax=largest)
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set_visible(False)
    return ax


def plot_gradient_angles(angles: xr.DataArray, ax: Axes) -> Axes:
    """Draw the angle between update and gradient over training, a line for every layer but the last.

    Parameters
    ----------
    angles : (step, layer) array
        From `neurocircuit.analysis.train_spatial`, in degrees.
    ax : Axes
        Where to draw.
    """
    hidden = angles.isel(layer=slice(None, -1))
    colours = mpl.colormaps["viridis"](np.linspace(0, 0.9, hidden.sizes["layer"]))
    for colour, (layer, curve) in zip(colours, hidden.groupby("layer"), strict=True):
        ax.plot(curve["step"].values, curve.values.ravel(), color=colour, label=f"layer {layer}")
    ax.axhline(90, color="0.7", zorder=0)
    ax.set(xlabel=angles["step"].attrs["long_name"], ylabel="angle to the true gradient (degrees)", ylim=(0, None))
    ax.legend()
    return ax
