"""A sweep runs every point once, goes on after it was killed, and gives the same rows in several processes."""

import math
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
from small_networks import interrupted

from neurocircuit.analysis.ctrnn_recipes import CTRNN_RECIPES
from neurocircuit.analysis.ctrnn_sweep import SweepPoint, run_sweep, sweep_map, sweep_points
from neurocircuit.errors import NonFiniteError
from neurocircuit.training import TrainingConfig

RECIPE = (
    CTRNN_RECIPES["gonogo"]
    .with_network(n_units=20, step=5.0)
    .with_training(learning_rate=5e-3, steps=20, batch_size=8, evaluate_every=10, evaluation_samples=32, log_every=10)
)
POINTS = sweep_points((0.2, 0.5), (1.0,), (0, 1))


def comparable(rows):
    """Return rows in which NaN equals itself."""
    return [{name: repr(value) for name, value in row.items()} for row in rows]


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    """A small sweep that was not interrupted."""
    folder = tmp_path_factory.mktemp("sweep")
    return run_sweep(POINTS, RECIPE, folder, trials=50), folder


def files(folder):
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


def test_every_point_has_a_row_in_order_and_a_folder_with_its_run(swept):
    rows, folder = swept
    assert [(row["p_inh"], row["spectral_radius"], row["seed"]) for row in rows] == [
        (0.2, 1.0, 0),
        (0.2, 1.0, 1),
        (0.5, 1.0, 0),
        (0.5, 1.0, 1),
    ]
    assert all((point.folder(folder) / "network.safetensors").is_file() for point in POINTS)
    assert all(row["low"] <= row["accuracy"] <= row["high"] and row["steps"] == 20 for row in rows)
    assert len({row["loss"] for row in rows}) == 4


def test_points_that_are_done_are_read_and_not_trained_again(swept):
    rows, folder = swept
    before = files(folder)
    assert comparable(run_sweep(POINTS, RECIPE, folder, trials=50)) == comparable(rows)
    assert files(folder) == before


@pytest.mark.slow
def test_two_processes_give_the_rows_of_one(swept, tmp_path):
    assert comparable(run_sweep(POINTS, RECIPE, tmp_path, trials=50, jobs=2)) == comparable(swept[0])


KILLED = """
import sys
sys.path[:0] = sys.argv[2:]
from test_ctrnn_sweep import LONG, POINTS, run_sweep
run_sweep(POINTS, LONG, sys.argv[1], trials=50)
"""
LONG = RECIPE.with_training(steps=300, checkpoint_every=20)


def test_a_sweep_that_was_interrupted_goes_on_to_the_same_rows(swept, tmp_path, monkeypatch):
    interrupted(monkeypatch, RECIPE.task, 50, lambda: run_sweep(POINTS, RECIPE, tmp_path, trials=50))
    done = [point for point in POINTS if (point.folder(tmp_path) / "row.json").exists()]
    assert 0 < len(done) < len(POINTS)
    before = files(done[0].folder(tmp_path))
    assert comparable(run_sweep(POINTS, RECIPE, tmp_path, trials=50)) == comparable(swept[0])
    assert files(done[0].folder(tmp_path)) == before


@pytest.mark.slow
def test_a_sweep_that_was_killed_goes_on_to_the_same_rows(tmp_path):
    straight = run_sweep(POINTS[:2], LONG, tmp_path / "straight", trials=50)
    folder = tmp_path / "killed"
    command = [sys.executable, "-c", KILLED, str(folder), os.path.dirname(__file__)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        under_way = POINTS[1].folder(folder)
        # Past the checkpoint before the first step.
        while not (under_way / "checkpoint_00000020.pt").exists():
            assert process.poll() is None, "the sweep ended before it was killed"
            time.sleep(0.005)
        os.kill(process.pid, signal.SIGKILL)
    finally:
        process.kill()
        process.wait()
    done = POINTS[0].folder(folder)
    assert (done / "row.json").exists()
    assert not (under_way / "row.json").exists()
    before = files(done)
    assert comparable(run_sweep(POINTS[:2], LONG, folder, trials=50)) == comparable(straight)
    assert files(done) == before


def test_a_folder_of_another_sweep_is_refused(swept):
    for changed, trials in ((RECIPE.with_network(noise=0.1), 50), (RECIPE.with_training(steps=30), 50), (RECIPE, 51)):
        with pytest.raises(ValueError, match="holds a point of another recipe"):
            run_sweep(POINTS[:1], changed, swept[1], trials=trials)


def test_a_point_that_is_not_allowed_ends_the_sweep_before_anything_is_trained(tmp_path):
    points = sweep_points((0.2, 0.0), (1.0,), (0,))
    with pytest.raises(ValueError, match="`balance` is True, but with `p_inh` 0"):
        run_sweep(points, RECIPE, tmp_path)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ValueError, match="The sweep has no point"):
        sweep_points((0.2,), (), (0,))


def test_a_network_that_diverges_has_a_row_without_accuracy_and_the_others_go_on(tmp_path, monkeypatch):
    import neurocircuit.analysis.ctrnn_sweep as module

    real = module.train_task

    def diverging(recipe, seed, folder, **kwargs):
        if seed == 1:
            raise NonFiniteError("the loss is nan")
        return real(recipe, seed, folder, **kwargs)

    monkeypatch.setattr(module, "train_task", diverging)
    rows = run_sweep(POINTS[:2], RECIPE, tmp_path, trials=50)
    assert [row["outcome"] for row in rows] == ["not learned", "diverged"]
    assert math.isnan(rows[1]["accuracy"])
    assert comparable(run_sweep(POINTS[:2], RECIPE, tmp_path, trials=50)) == comparable(rows)


def test_the_number_of_threads_is_as_before(swept):
    before = torch.get_num_threads()
    run_sweep(POINTS[:1], RECIPE, swept[1], trials=50)
    assert torch.get_num_threads() == before


def test_points_are_listed_once_and_close_numbers_have_their_own_folders(tmp_path):
    assert len(sweep_points((0.2, 0.2), (1.0,), (0, 0))) == 1
    close = [SweepPoint(p_inh=0.2, spectral_radius=radius, seed=0) for radius in (1.0, 1.0000001)]
    assert close[0].folder(tmp_path) != close[1].folder(tmp_path)


def test_the_map_has_means_over_seeds_and_no_number_where_no_seed_learned():
    def row(p_inh, radius, seed, accuracy, step):
        outcome = "diverged" if math.isnan(accuracy) else "not learned" if math.isnan(step) else "learned"
        point = {"p_inh": p_inh, "spectral_radius": radius, "seed": seed}
        return point | {"accuracy": accuracy, "loss": 1 - accuracy, "criterion_step": step, "outcome": outcome}

    rows = [row(0.5, 1.0, 0, 0.9, 100.0), row(0.5, 1.0, 1, 0.7, 300.0), row(0.5, 1.0, 2, math.nan, math.nan)]
    rows += [row(0.2, 1.0, seed, 0.5, math.nan) for seed in range(3)]
    found = sweep_map(rows)
    learner, other = (found.sel(p_inh=p, spectral_radius=1.0) for p in (0.5, 0.2))
    assert float(learner["accuracy"]) == pytest.approx(0.8)
    assert float(learner["loss"]) == pytest.approx(0.2)
    assert float(learner["learned"]) == pytest.approx(2 / 3)
    assert float(learner["criterion_step"]) == 200
    assert (float(other["accuracy"]), float(other["learned"])) == (0.5, 0)
    assert np.isnan(other["criterion_step"])


def test_the_sweep_keeps_the_recipe_but_for_its_point():
    changed = SweepPoint(p_inh=0.35, spectral_radius=0.7, seed=3).recipe(RECIPE)
    assert (changed.network.p_inh, changed.network.spectral_radius) == (0.35, 0.7)
    assert changed.training == RECIPE.training
    assert isinstance(changed.training, TrainingConfig)
