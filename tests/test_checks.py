"""A whole number is told from what only looks like one."""

import json

import numpy as np
import pytest

from neurocircuit.checks import check_whole
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
