"""Options and fixtures of the whole test suite."""

import os

# Figures are drawn without a screen.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MPLBACKEND", "Agg")

import numpy as np
import pytest
from hypothesis import settings

# Machines differ in speed and the first call of a compiled operator is slow, so no example has a deadline; the same
# examples are drawn in every run, so that a failure can be repeated.
settings.register_profile("neurocircuit", deadline=None, derandomize=True)
settings.load_profile("neurocircuit")


def pytest_addoption(parser):
    parser.addoption("--slow", action="store_true", help="run also the tests marked slow, which take minutes")


def pytest_collection_modifyitems(config, items):
    if config.getoption("--slow") or "slow" in (config.getoption("markexpr") or ""):
        return
    slow = [item for item in items if item.get_closest_marker("slow")]
    if slow:
        config.hook.pytest_deselected(items=slow)
        items[:] = [item for item in items if not item.get_closest_marker("slow")]


@pytest.fixture
def rng():
    """A generator with the same numbers in every test."""
    return np.random.default_rng(2018)
