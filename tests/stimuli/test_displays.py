import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from neurocircuit.stimuli import CentreSurround, centre_surround_display, patch_display


def by_hand(field, squares):
    """Draw squares one pixel at a time, each in the published half-open window."""
    display = [[math.nan] * field for _ in range(field)]
    for side, value in squares:
        first, end = field // 2 - math.floor(side / 2), field // 2 + math.ceil(side / 2)
        for y in range(first, end):
            for x in range(first, end):
                display[y][x] = value
    return np.array(display)


def test_default_display_is_the_published_one():
    assert CentreSurround() == CentreSurround(field=51, centre=8, surround=32)
    np.testing.assert_array_equal(centre_surround_display(0.3), by_hand(51, [(32, 0.3), (8, 0.5)]))


@given(st.integers(3, 24), st.integers(1, 24), st.integers(1, 24), st.floats(0, 1), st.floats(0, 1))
def test_display_equals_squares_drawn_pixel_by_pixel(field, centre, surround, outer, inner):
    assume(centre < surround <= field)
    geometry = CentreSurround(field=field, centre=centre, surround=surround)
    display = centre_surround_display(outer, inner, geometry)
    np.testing.assert_array_equal(display, by_hand(field, [(surround, outer), (centre, inner)]))
    assert display[geometry.readout] == inner


def test_even_square_has_one_more_pixel_before_the_readout_than_after():
    y, _ = CentreSurround().readout
    rows = np.flatnonzero((centre_surround_display(0.1) == 0.5).any(1))
    assert (y - rows[0], rows[-1] - y) == (4, 3)


@given(st.integers(1, 20), st.integers(1, 20), st.floats(0, 1))
def test_patch_equals_a_square_drawn_pixel_by_pixel(size, field, value):
    assume(size <= field)
    np.testing.assert_array_equal(patch_display(size, value, field), by_hand(field, [(size, value)]))


@pytest.mark.parametrize(
    ("sides", "error", "message"),
    [
        ({"centre": 32}, ValueError, "centre 32, surround 32"),
        ({"centre": 40}, ValueError, "smaller than the surround"),
        ({"surround": 52}, ValueError, "fit the field"),
        ({"centre": 0}, ValueError, "`centre` is 0"),
        ({"field": -51}, ValueError, "`field` is -51"),
        ({"surround": 32.0}, TypeError, "`surround` is 32.0"),
        ({"centre": True}, TypeError, "`centre` is True"),
    ],
)
def test_impossible_geometry_is_refused(sides, error, message):
    with pytest.raises(error, match=message):
        CentreSurround(**sides)


@pytest.mark.parametrize("value", [-0.01, 1.01, math.nan, math.inf])
def test_value_outside_0_to_1_is_refused(value):
    with pytest.raises(ValueError, match="`surround_value`"):
        centre_surround_display(value)
    with pytest.raises(ValueError, match="`centre_value`"):
        centre_surround_display(0.5, value)
    with pytest.raises(ValueError, match="`value`"):
        patch_display(3, value)


def test_patch_larger_than_the_field_is_refused():
    with pytest.raises(ValueError, match="`size` is 52 pixels, but the field is only 51"):
        patch_display(52)
    with pytest.raises(ValueError, match="`size` is 0"):
        patch_display(0)
