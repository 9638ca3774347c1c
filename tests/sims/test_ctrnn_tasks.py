import json
import runpy
from pathlib import Path
from types import SimpleNamespace

import pytest
import xarray as xr
from PIL import Image

from neurocircuit.analysis.ctrnn_recipes import CTRNN_RECIPES, FRESH_TRIALS, quick_recipe
from neurocircuit.analysis.ctrnn_training import build_ctrnn
from neurocircuit.circuits.rate_network import RateNetwork


def test_a_quick_run_trains_network_and_control_and_leaves_every_file(script, tmp_path):
    flags = ("--task", "mante", "--quick", "--control", "--output", tmp_path)
    code, output, errors = script("ctrnn_tasks", *flags, "--seed", 0, 1, "--tables", tmp_path / "tables")
    assert (code, errors) == (0, "")
    for run in ("balanced, seed 0", "balanced, seed 1", "control, seed 0"):
        assert f"mante, {run}: 4 steps" in output
    folder = tmp_path / "mante_quick"
    network = RateNetwork.load(folder / "balanced" / "seed1" / "network.safetensors")
    assert network.input_names == ("motion", "colour", "context_motion", "context_colour")
    for name in ("trials", "learning", "curves"):
        Image.open(folder / f"{name}.png").verify()
    with xr.open_dataset(folder / "trials.nc") as data:
        assert data.outputs.dims == ("trial", "time", "output")
        assert data.attrs["task"] == "mante"
    with xr.open_dataset(folder / "curves.nc") as data:
        assert {"reaction_time", "positive_choices", "fitted"} <= set(data)
    made = json.loads((tmp_path / "tables" / "ctrnn_mante.json").read_text())
    assert set(made["tables"]) == {"accuracy", "psychometric", "ideal"}


def test_a_run_is_refused_twice_and_resumed(script, tmp_path):
    flags = ("--quick", "--output", tmp_path)
    assert script("ctrnn_tasks", *flags)[0] == 0
    code, _, errors = script("ctrnn_tasks", *flags)
    assert code == 2
    assert "holds a run" in errors
    # The first run is finished, the second was not yet begun.
    code, output, _ = script("ctrnn_tasks", *flags, "--resume", "--seed", 0, 1)
    assert code == 0
    assert "gonogo, balanced, seed 1: 4 steps" in output
    assert not (tmp_path / "gonogo_quick" / "curves.nc").exists()


def test_the_checks_decide_the_exit_code(script, tmp_path):
    # Far too few steps to learn.
    flags = ("--task", "gonogo-standard", "--steps", 2, "--trials", 50, "--output", tmp_path)
    code, output, _ = script("ctrnn_tasks", *flags)
    assert code == 1
    assert "FAIL  seed 0: accuracy" in output
    assert "from step - of 2" in output


def test_an_accuracy_on_hard_trials_needs_a_hard_trial():
    score = runpy.run_path(str(Path(__file__).parents[2] / "sims" / "ctrnn_tasks.py"))["score"]
    recipe = quick_recipe(CTRNN_RECIPES["mante"])
    training = SimpleNamespace(steps=1, seconds=60.0)
    found = SimpleNamespace(network=build_ctrnn(recipe).network(), criterion_step=None, training=training)
    single = {
        bool(recipe.task.sample(1, FRESH_TRIALS + seed, recipe.network.step).conditions["incongruent"][0]): seed
        for seed in range(20)
    }
    row = score("balanced", single[True], recipe, found, 1)
    assert row["hard_accuracy"] == row["accuracy"]
    with pytest.raises(ValueError, match=r"`trials` is 1, and none of these has the hard {'incongruent': True}"):
        score("balanced", single[False], recipe, found, 1)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--task", "xor"), "`task` is 'xor'; it must be one of mante, dmts, gonogo"),
        (("--resume",), "nothing to resume"),
        (("--threads", "0"), "`threads` is 0; it must be at least 1"),
        (("--trials", "0"), "`trials` is 0; it must be at least 1"),
        (("--control", "--no-balance"), "`control` trains without balance"),
        (("--device", "cuda:7"), "`device` is 'cuda:7'"),
    ],
)
def test_bad_flags_end_with_one_line_and_leave_nothing(script, tmp_path, flags, message):
    folder = tmp_path / "new"
    code, output, errors = script("ctrnn_tasks", *flags, "--quick", "--output", folder)
    assert (code, output) == (2, "")
    assert errors.startswith("error: ")
    assert errors.count("\n") == 1
    assert message in errors
    assert not folder.exists()
