"""Options and fixtures of the whole test suite."""

import importlib.util
import os
import sys
from pathlib import Path

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


@pytest.fixture(scope="session")
def import_script():
    """Import a script by its folder and name, under a module name of its own: some names stand in two folders."""

    def load(folder, name):
        path, qualified = Path(__file__).parents[1] / folder / f"{name}.py", f"{folder}_{name}"
        if qualified not in sys.modules:
            spec = importlib.util.spec_from_file_location(qualified, path)
            # Dataclasses look their module up by name; benchmarks import what lies beside them.
            sys.modules[qualified] = importlib.util.module_from_spec(spec)
            with pytest.MonkeyPatch.context() as patch:
                patch.syspath_prepend(str(path.parent))
                spec.loader.exec_module(sys.modules[qualified])
        return sys.modules[qualified]

    return load
