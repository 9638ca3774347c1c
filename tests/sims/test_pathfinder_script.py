import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import xarray as xr
from PIL import Image

from neurocircuit.analysis.pathfinder_recipes import FRESH_SEED

SCRIPT = Path(__file__).parents[2] / "sims" / "pathfinder.py"


def test_quick_run_without_a_command_measures_the_controls(tmp_path):
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(SCRIPT), "--quick"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert "accuracy from the distance of the markers alone" in done.stdout
    folder = tmp_path / "outputs" / "pathfinder" / "small"
    assert {"controls.nc", "controls.png", "pathfinder_controls_small.json"} <= {file.name for file in folder.iterdir()}
    Image.open(folder / "controls.png").verify()
    with xr.open_dataset(folder / "controls.nc") as result:
        assert result.marker_distance.dims == ("negatives", "image")
        assert result.attrs["seed"] == 0


def test_controls_pass_their_checks_and_say_what_they_measured(script, tmp_path):
    code, output, _ = script("pathfinder", "controls", "--images", 10_000, "--output", tmp_path)
    assert code == 0
    assert output.count("PASS") == 1
    assert "matched negatives" in output


def test_training_is_refused_twice_resumed_and_evaluated(script, tmp_path):
    flags = ("--quick", "--output", tmp_path)
    code, output, _ = script("pathfinder", "train", *flags)
    assert code == 0
    assert "hgru, seed 0: 4 steps" in output
    code, _, errors = script("pathfinder", "train", *flags)
    assert code == 2
    assert "holds a run" in errors
    # The first run is finished, the second was not yet begun.
    code, output, _ = script("pathfinder", "train", "--resume", "--seed", 0, 1, "--model", "feedforward", *flags)
    assert code == 0
    assert "feedforward, seed 1: 4 steps" in output
    code, output, errors = script("pathfinder", "evaluate", *flags, "--seed", 0, 1, "--tables", tmp_path / "tables")
    assert code == 0
    assert errors == ""
    assert "hgru: no run with the seeds 1; left out" in output
    assert "feedforward: no run" not in output
    assert "marker distance" in output
    made = json.loads((tmp_path / "tables" / "pathfinder_small.json").read_text())
    assert set(made["tables"]) == {"accuracy", "curves"}
    assert made["seed"] == FRESH_SEED
    assert made["settings"] == {"images": 64, "curve_images": 32, "seeds": [0, 1]}
    with xr.open_dataset(tmp_path / "small" / "evaluation.nc") as result:
        assert result.attrs["seed"] == FRESH_SEED
        assert {"accuracy_by_path_length", "accuracy_by_time_step"} <= set(result)


def test_generate_writes_a_data_set_and_its_contact_sheet(script, tmp_path):
    code, output, _ = script("pathfinder", "generate", "--quick", "--output", tmp_path)
    assert code == 0
    assert "24 images" in output
    assert len(list((tmp_path / "pathfinder_small_quick" / "imgs").rglob("*.png"))) == 24
    Image.open(tmp_path / "pathfinder_small_quick.png").verify()


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("controls", "--difficulty", "7"), "`difficulty` is '7'; it must be one of"),
        (("controls", "--image-size", "64"), "`image_size` is 64, larger than the canvas of 32"),
        (("train", "--resume"), "nothing to resume"),
        (("train", "--threads", "0"), "`threads` is 0"),
        (("train", "--model", "resnet"), "`model` is 'resnet'; it must be one of"),
        (("train", "--device", "cuda:7"), "`device` is 'cuda:7'"),
        (("evaluate",), "best.safetensors"),
    ],
)
def test_bad_flags_end_with_one_line_and_leave_nothing(script, tmp_path, flags, message):
    folder = tmp_path / "new"
    code, output, errors = script("pathfinder", *flags, "--quick", "--output", folder)
    assert code == 2
    assert output == ""
    assert errors.startswith("error: ")
    assert errors.count("\n") == 1
    assert message in errors
    assert not folder.exists()
