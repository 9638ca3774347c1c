"""Numbers are told from what only looks like them."""

import json

import numpy as np
import pytest

from neurocircuit.checks import check_number, check_whole
from neurocircuit.training import TrainingConfig


@pytest.mark.parametrize("value", [3, np.int64(3), np.uint8(3)])
def test_a_whole_number_is_returned_as_pythons_int(value):
    assert check_whole("count", value, 3) == 3
    assert type(check_whole("count", value)) is int


@pytest.mark.parametrize("value", [2.0, True, np.float64(2), np.bool_(True), "2", None])
def test_what_is_no_whole_number_is_refused(value):
    with pytest.raises(TypeError, match=r"`count` is .*; it must be an integer of at least 1"):
        check_whole("count", value)


def test_a_smaller_number_is_refused():
    with pytest.raises(ValueError, match="`count` is 2; it must be at least 3"):
        check_whole("count", 2, 3)


def test_a_training_configuration_from_numpy_numbers_can_be_written_as_json():
    config = TrainingConfig(steps=np.int64(5), seed=np.int64(3))
    assert json.dumps([config.steps, config.seed]) == "[5, 3]"


@pytest.mark.parametrize("value", [1.5, 2, np.float32(1.5), np.int64(2)])
def test_a_number_is_returned_as_pythons_float(value):
    assert check_number("rate", value, above=1) == value
    assert type(check_number("rate", value)) is float


@pytest.mark.parametrize("value", ["2", True, None, 1j])
def test_what_is_no_number_is_refused(value):
    with pytest.raises(TypeError, match=r"`rate` is .*; it must be a number"):
        check_number("rate", value)


@pytest.mark.parametrize(
    ("value", "range_", "allowed"),
    [
        (0.0, {"above": 0}, "above 0"),
        (-0.5, {"at_least": 0}, "at least 0"),
        (np.inf, {"at_least": 0}, "at least 0"),
        (np.nan, {"above": 0}, "above 0"),
    ],
)
def test_a_number_out_of_range_is_refused(value, range_, allowed):
    with pytest.raises(ValueError, match=f"`rate` is {value}; it must be finite and {allowed}"):
        check_number("rate", value, **range_)
