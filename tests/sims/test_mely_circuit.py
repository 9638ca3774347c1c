import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from PIL import Image

SCRIPT = Path(__file__).parents[2] / "sims" / "mely_circuit.py"


def test_quick_run_in_another_folder_exits_0_and_leaves_data_and_figure(tmp_path):
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(SCRIPT), "--quick"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("PASS") == 2
    assert "FAIL" not in done.stdout
    assert "Pearson r" in done.stdout
    assert "RMSE" in done.stdout
    folder = tmp_path / "outputs" / "mely_circuit"
    assert sorted(file.name for file in folder.iterdir()) == ["figure.png", "results.nc"]
    assert (folder / "figure.png").stat().st_size < 200_000
    Image.open(folder / "figure.png").verify()
    with xr.open_dataset(folder / "results.nc") as result:
        np.testing.assert_allclose(result.tilt_shift, [3.2555, 2.3043, -0.3890], atol=2e-3)
        np.testing.assert_allclose(result.human_shift, [1.8141, 2.6835, -0.3965])
        assert result.tilt_shift.dims == ("surround_angle",)
        assert result.surround_angle.attrs["units"] == "degrees"
        assert result.h2.sizes == {"time": 101, "surround_angle": 3, "channel": 25}
        assert json.loads(result.attrs["parameters"])["beta"] == {"value": 3.0, "unit": "1"}
        assert {"brian2", "torch", "neurocircuit"} <= json.loads(result.attrs["versions"]).keys()
        assert result.attrs["seed"] == 0


def test_flags_reach_the_circuit_and_other_parameters_have_no_known_answer(script, tmp_path):
    flags = ("--quick", "--steps", 20, "--step", 0.5, "--tau", 5, "--beta", 2, "--lesion", "T", "u", "--preset", "v2")
    code, output, _ = script("mely_circuit", *flags, "--output", tmp_path)
    # Twenty steps are too few to settle, and that check is the only one.
    assert code == 1
    assert output.count("PASS") == 0
    assert output.count("FAIL") == 1
    with xr.open_dataset(tmp_path / "results.nc") as result:
        parameters = json.loads(result.attrs["parameters"])
        assert parameters["tau"] == {"value": 5.0, "unit": "ms"}
        assert parameters["beta"]["value"] == 2
        assert parameters["nu"]["value"] == 0.45
        assert result.time[-1] == 10
        assert {name for name, kernel in json.loads(result.attrs["pools"]).items() if kernel == "lesioned"} == {
            "pool_t",
            "pool_u",
        }


def test_image_leaves_the_energy_before_and_after_and_the_suppression(script, tmp_path):
    code, output, _ = script("mely_circuit", "--quick", "--image", "sample", "--output", tmp_path / "new" / "folder")
    assert code == 0
    assert "PASS" in output
    folder = tmp_path / "new" / "folder"
    assert sorted(file.name for file in folder.iterdir()) == ["figure.png", "results.nc"]
    with xr.open_dataset(folder / "results.nc") as result:
        assert max(result.photograph.shape) == 48
        for name in ("energy_before", "energy_after", "tuned_suppression"):
            assert result[name].dims == ("channel", "y", "x")
            assert float(result[name].max()) > 0


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--preset", "nope"), "`preset` is 'nope'"),
        (("--lesion", "Z"), "`lesion` is Z"),
        (("--device", "abacus"), "`device` is 'abacus'"),
        (("--image", "missing.png"), "no such file"),
        (("--image", SCRIPT), "cannot be read as an image"),
        (("--image", "/dev/null"), "not a file"),
        (("--steps", 0), "`steps` is 0"),
        (("--step", -1), "`step` is -1"),
        (("--tau", 0), "`tau` is 0"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2_and_leaves_nothing(script, tmp_path, flags, message):
    code, output, errors = script("mely_circuit", "--quick", *flags, "--output", tmp_path / "folder")
    assert code == 2
    assert message in errors
    assert errors.count("\n") == 1
    assert output == ""
    assert not list(tmp_path.iterdir())


def test_output_that_cannot_be_written_is_noticed_before_the_simulation(script, tmp_path):
    (tmp_path / "file").write_text("kept")
    # So many steps would outlast any test.
    flags = ("--steps", 10**9, "--output", tmp_path / "file" / "folder")
    code, output, errors = script("mely_circuit", *flags)
    assert (code, output) == (2, "")
    assert "`output`" in errors
    assert (tmp_path / "file").read_text() == "kept"
