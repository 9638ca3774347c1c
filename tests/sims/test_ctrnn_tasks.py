import json

import pytest
import xarray as xr
from PIL import Image

from neurocircuit.circuits.ei import RateNetwork


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
