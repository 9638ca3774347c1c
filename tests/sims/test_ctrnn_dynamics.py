"""The script that analyses a trained network: its checks, its files, and what it refuses."""

import json

import numpy as np
import pytest
import xarray as xr
from PIL import Image

from neurocircuit.analysis.exact_networks import context_integrator, rank_one_network
from neurocircuit.analysis.task_curves import TEST_COHERENCES
from neurocircuit.networks import CTRNN, CTRNNSettings
from neurocircuit.tasks import make_task


@pytest.fixture
def module(import_script):
    """The script, to call its functions."""
    return import_script("sims", "ctrnn_dynamics")


def test_the_network_made_by_hand_passes_every_check_and_leaves_its_files(script, tmp_path):
    folders = ("--output", tmp_path, "--tables", tmp_path / "tables")
    code, output, errors = script("ctrnn_dynamics", "--quick", *folders)
    assert code == 0, output + errors
    assert output.count("PASS") == 8
    assert "FAIL" not in output
    files = {file.name for file in tmp_path.iterdir()}
    assert {"results.nc", "figure.png"} <= files
    tables = {"dynamics_hand.json", "dynamics_hand_lesions.csv", "dynamics_hand_context.csv"}
    assert tables <= files
    assert tables <= {file.name for file in (tmp_path / "tables").iterdir()}
    Image.open(tmp_path / "figure.png").verify()
    with xr.open_dataset(tmp_path / "results.nc") as result:
        assert result["kind_motion"].dims == ("point_motion",)
        assert np.abs(result["eigenvalue_real_colour"].values[:, 0]).max() < 1e-9
        assert result["answer"].sizes == {"scored_trial": 300}
        tables = json.loads(result.attrs["tables"])
        assert tables["context"][0]["irrelevant"] < 1e-9
        # The curves need more strengths of evidence than the task itself has.
        assert [row["level"] for row in tables["ideal"]] == sorted({abs(level) for level in TEST_COHERENCES})
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
        tables = json.loads(result.attrs["tables"])
        assert set(tables) == {"lesions", "perturbations", "paradoxical", "balance", "weights", "fixed_points"}
        names = [row["perturbation"] for row in tables["perturbations"]]
        assert names == ["none", "E->E", "E->I", "I->E", "I->I", "+1 into E", "-1 into E", "+1 into I", "-1 into I"]


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


def test_the_exact_check_needs_all_points_and_all_eigenvalues(module, monkeypatch):
    size = module.QUICK | {"iterations": 50}

    def outcome(find=module.find_fixed_points, linearised=module.linearise):
        monkeypatch.setattr(module, "find_fixed_points", find)
        monkeypatch.setattr(module, "linearise", linearised)
        ((text, passed),) = module.exact_check(module.Config(), size).items()
        return text, passed

    real_find, real_linearise = module.find_fixed_points, module.linearise
    text, passed = outcome()
    assert passed
    assert text.startswith("rank one: 3 of 3 fixed points, 16 of 16 starts within 1e-10")

    def changed(**values):
        return lambda network, starts, **options: real_find(network, starts, **options).assign(
            {name: (("start", "unit"), change(starts)) for name, change in values.items()}
        )

    text, passed = outcome(changed(state=np.zeros_like))
    assert not passed
    assert text.startswith("rank one: 1 of 3 fixed points, 16 of 16 starts")
    text, passed = outcome(changed(state=lambda starts: np.zeros_like(starts) + 1e-3))
    assert not passed
    assert text.startswith("rank one: 0 of 3 fixed points, 0 of 16 starts")

    def last_mode_wrong(network, points):
        linear = real_linearise(network, points)
        linear.eigenvalues[:, -1] *= 1.01
        return linear

    text, passed = outcome(real_find, last_mode_wrong)
    assert not passed
    assert "3 of 3 fixed points, 16 of 16 starts" in text


def test_a_network_without_points_fails_the_claims_and_is_drawn(script, tmp_path):
    task = make_task("mante")
    hand = context_integrator(task, per_group=1)
    # Twice its own rate: what grows comes to rest nowhere, and all choices are alike.
    growing = hand.replace(weights=2 * np.eye(8), bias=np.ones(8), tau=1000.0, excitatory=None)
    growing = growing.replace(output_weights=np.abs(hand.output_weights), output_bias=[1.0])
    path = growing.save(tmp_path / "growing.safetensors")
    code, output, errors = script("ctrnn_dynamics", "--quick", "--network", path, "--output", tmp_path / "out")
    assert code == 1, output + errors
    claims = [line for line in output.splitlines() if line[6:7] == "("]
    assert len(claims) == 5
    assert all(claim.startswith("FAIL") for claim in claims)
    with xr.open_dataset(tmp_path / "out" / "results.nc") as result:
        assert result.sizes["point_motion"] == 0


def test_a_network_of_another_task_of_the_same_size_is_refused(script, tmp_path):
    task = make_task("dmts")
    settings = CTRNNSettings(n_inputs=task.n_inputs, n_outputs=1, n_units=5, step=task.step)
    path = CTRNN(settings).network(task.input_names, task.output_names).save(tmp_path / "network.safetensors")
    flags = ("--task", "gonogo", "--network", path, "--output", tmp_path / "out")
    code, _, errors = script("ctrnn_dynamics", "--quick", *flags)
    assert code == 2
    assert "the task gonogo has fixation, go, nogo" in errors


def test_a_network_of_another_size_is_refused(script, tmp_path):
    path = rank_one_network(5).network.save(tmp_path / "network.safetensors")
    code, _, errors = script("ctrnn_dynamics", "--quick", "--network", path, "--output", tmp_path / "out")
    assert code == 2
    assert "`network` has 1 inputs" in errors
