"""Figures of locally connected networks draw the numbers they are given."""

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure

from neurocircuit.plotting.local_filters import filter_mosaic, plot_gradient_angles, plot_local_filters


@given(sizes=st.tuples(*[st.integers(1, 4)] * 5))
def test_every_filter_is_at_its_place_in_the_mosaic(sizes):
    height, width, channels, rows, columns = sizes
    filters = np.arange(np.prod(sizes), dtype=float).reshape(sizes)
    mosaic = filter_mosaic(filters)
    assert mosaic.shape == (height * (rows + 1) - 1, width * (columns + 1) - 1, channels)
    for y in range(height):
        for x in range(width):
            top, left = y * (rows + 1), x * (columns + 1)
            for channel in range(channels):
                tile = mosaic[top : top + rows, left : left + columns, channel]
                np.testing.assert_array_equal(tile, filters[y, x, channel])
    # All else is empty.
    assert np.isfinite(mosaic).sum() == filters.size


def test_filters_of_three_channels_are_colours_around_grey_and_white_between_them():
    filters = np.zeros((1, 2, 3, 1, 1))
    filters[0, 0, :, 0, 0] = (2.0, 0.0, -2.0)
    ax = plot_local_filters(filters, Figure().subplots())
    np.testing.assert_allclose(ax.images[0].get_array(), [[[1, 0.5, 0], [1, 1, 1], [0.5, 0.5, 0.5]]])


def test_filters_of_other_numbers_of_channels_show_the_first_one_on_a_scale_around_zero():
    filters = np.zeros((2, 2, 2, 1, 1))
    filters[1, 0, 0], filters[1, 1, 1] = -3.0, 5.0
    ax = plot_local_filters(filters, Figure().subplots(), bound=6.0)
    (image,) = ax.images
    assert image.get_clim() == (-6.0, 6.0)
    assert image.get_array()[2, 0] == -3.0
    assert image.get_array()[2, 2] == 0.0


def test_filters_that_are_all_zero_can_be_drawn():
    (image,) = plot_local_filters(np.zeros((2, 2, 1, 2, 2)), Figure().subplots()).images
    assert image.get_clim() == (-1.0, 1.0)


def test_filters_of_several_units_are_refused():
    with pytest.raises(ValueError, match=r"`filters` has the shape \(2, 2, 4, 3, 3, 3\); expected .*choose one output"):
        filter_mosaic(np.zeros((2, 2, 4, 3, 3, 3)))


def test_angles_have_a_line_for_every_layer_but_the_last():
    step = ("step", [0, 10, 20], {"long_name": "training step"})
    values = np.array([[90.0, 95.0, 0.0], [70.0, 60.0, 0.0], [50.0, 40.0, 0.0]])
    angles = xr.DataArray(values, dims=("step", "layer"), coords={"step": step, "layer": [1, 2, 3]})
    ax = plot_gradient_angles(angles, Figure().subplots())
    *curves, right_angle = ax.lines
    assert [line.get_label() for line in curves] == ["layer 1", "layer 2"]
    for number, line in enumerate(curves):
        np.testing.assert_array_equal(line.get_xydata(), np.stack([[0, 10, 20], values[:, number]], 1))
    assert list(right_angle.get_ydata()) == [90, 90]
    assert ax.get_xlabel() == "training step"
