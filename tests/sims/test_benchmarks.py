"""The benchmarks run; their timings are for a machine that does nothing else."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "benchmarks"
# What has a quick run is a benchmark; the others are helpers of them.
SCRIPTS = sorted(path.stem for path in FOLDER.glob("*.py") if "quick: bool" in path.read_text())


def test_the_benchmarks_are_found():
    assert {"brian_pools", "torch_step", "hgru_step"} <= set(SCRIPTS)


@pytest.mark.slow
@pytest.mark.parametrize("name", SCRIPTS)
def test_a_benchmark_runs_and_writes_its_tables(name, tmp_path):
    command = [sys.executable, str(FOLDER / f"{name}.py"), "--quick", "--output", str(tmp_path)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / f"{name}.json").exists()
    assert list(tmp_path.glob(f"{name}_*.csv"))
