"""The script that analyses a trained network: its checks, its files, and what it refuses."""

import json

import numpy as np
import pytest
import xarray as xr
from PIL import Image

from neurocircuit.analysis.exact_networks import context_integrator, rank_one_network
from neurocircuit.networks.ctrnn import CTRNN, CTRNNSettings
from neurocircuit.tasks import make_task


def test_the_network_made_by_hand_passes_every_check_and_leaves_its_files(script, tmp_path):
    code, output, errors = script("ctrnn_dynamics", "--quick", "--output", tmp_path)
    assert code == 0, output + errors
    assert output.count("PASS") == 8
    assert "FAIL" not in output
    files = {file.name for file in tmp_path.iterdir()}
    assert {"results.nc", "figure.png", "dynamics.json", "dynamics_lesions.csv", "dynamics_context.csv"} <= files
    Image.open(tmp_path / "figure.png").verify()
    with xr.open_dataset(tmp_path / "results.nc") as result:
        assert result["kind_motion"].dims == ("point_motion",)
        assert np.abs(result["eigenvalue_real_colour"].values[:, 0]).max() < 1e-9
        assert result["answer"].sizes == {"scored_trial": 300}
        tables = json.loads(result.attrs["tables"])
        assert tables["context"][0]["irrelevant"] < 1e-9
        assert {"torch", "neurocircuit"} <= json.loads(result.attrs["versions"]).keys()


def test_a_network_that_has_learned_nothing_fails_the_claims_and_not_the_exact_checks(script, tmp_path):
    task = make_task("mante")
    hand = context_integrator(task, per_group=1)
    path = hand.replace(weights=0.5 * hand.weights).save(tmp_path / "weak.safetensors")
    code, output, _ = script("ctrnn_dynamics", "--quick", "--network", path, "--output", tmp_path / "out")
    assert code == 1
    outcome = {line[6:]: line[:4] for line in output.splitlines() if line.startswith(("PASS", "FAIL"))}
    assert next(value for name, value in outcome.items() if name.startswith("rank one")) == "PASS"
    assert next(value for name, value in outcome.items() if name.startswith("(ii) a line")) == "FAIL"
    assert next(value for name, value in outcome.items() if name.startswith("(iv)")) == "FAIL"


def test_other_tasks_have_fixed_points_lesions_and_currents(script, tmp_path):
    task = make_task("gonogo")
    settings = CTRNNSettings(n_inputs=task.n_inputs, n_outputs=1, n_units=20, step=task.step)
    path = CTRNN(settings).network().save(tmp_path / "network.safetensors")
    flags = ("--task", "gonogo", "--network", path, "--output", tmp_path / "out")
    code, output, _ = script("ctrnn_dynamics", "--quick", *flags)
    assert code == 0
    assert output.count("PASS") == 2
    with xr.open_dataset(tmp_path / "out" / "results.nc") as result:
        assert {"lesions", "projections", "balance", "weights", "fixed_points"} == set(
            json.loads(result.attrs["tables"])
        )


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--network", "missing.safetensors"), "There is no file 'missing.safetensors'"),
        (("--task", "gonogo"), "none made by hand for the task 'gonogo'"),
        (("--task", "chess"), "chess"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2_and_leaves_nothing(script, tmp_path, flags, message):
    code, output, errors = script("ctrnn_dynamics", "--quick", *flags, "--output", tmp_path / "folder")
    assert (code, output) == (2, "")
    assert message in errors
    assert errors.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_a_network_of_another_size_is_refused(script, tmp_path):
    path = rank_one_network(5).network.save(tmp_path / "network.safetensors")
    code, _, errors = script("ctrnn_dynamics", "--quick", "--network", path, "--output", tmp_path / "out")
    assert code == 2
    assert "`network` has 1 inputs" in errors
