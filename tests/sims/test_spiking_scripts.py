"""The scripts of spiking networks, on tasks and networks so short and small that they take seconds."""

import csv
import importlib
import json

import numpy as np
import pytest
import xarray as xr
from PIL import Image

from neurocircuit.circuits import BRUNEL_PANELS, RateNetwork
from neurocircuit.tasks import GoNoGo

#: Tables have four digits.
ROUNDING = 1e-3


def read_table(path):
    """Return the rows of a CSV file; what is a number is one."""

    def number(text):
        try:
            return float(text)
        except ValueError:
            return text

    with path.open(newline="") as file:
        return [{name: number(text) for name, text in row.items()} for row in csv.DictReader(file)]


def save_rates(path, gain):
    """Write a network that goes while its input has lifted it, and return the file; without `gain` it never does."""
    excitatory = np.arange(10) < 8
    network = RateNetwork(
        weights=np.where(excitatory, 0.05, -0.1) * (1 - np.eye(10)),
        input_weights=np.full((10, 1), 20.0),
        output_weights=[np.where(excitatory, gain / 8, 0.0)],
        bias=np.full(10, -8.0),
        start=np.full(10, -8.0),
        tau=40.0,
        step=1.0,
        excitatory=excitatory,
    )
    return network.save(path)


@pytest.fixture
def short_task(monkeypatch):
    """Make every task the shortest that this network can do; each of its milliseconds is twenty steps of Brian2."""
    task = GoNoGo(**{**GoNoGo.tutorial_settings, "fixation": 10.0, "stimulus": 40.0})
    # Recipes of the library are made when it is imported, and must not be made of this task.
    importlib.import_module("neurocircuit.analysis")
    monkeypatch.setattr("neurocircuit.tasks.make_task", lambda name, **settings: task)


def test_a_given_network_is_scored_for_every_seed_and_leaves_every_file(script, tmp_path, short_task):
    network = save_rates(tmp_path / "network.safetensors", gain=2.0)
    flags = ("--network", network, "--seed", 3, 4, "--trials", 12, "--search-trials", 4, "--scalings", 50, 40)
    out = tmp_path / "out"
    code, output, errors = script("spiking_ctrnn", *flags, "--output", out, "--tables", tmp_path / "tables")
    assert (code, errors) == (0, "")
    assert "PASS  mean accuracy from spikes 1.000, at least 0.9" in output
    with xr.open_dataset(out / "gonogo.nc") as run:
        assert run.sizes["trial"] == 12
        assert run.attrs["scaling_hz"] == 50
    Image.open(out / "gonogo.png").verify()
    tables = json.loads((tmp_path / "tables" / "spiking_gonogo.json").read_text())["tables"]
    transferred, search = (read_table(tmp_path / "tables" / tables[name]) for name in ("transfer", "search"))
    rows = {row["seed"]: row for row in transferred}
    assert list(rows) == [3, 4, "mean", "sd"]
    rates = [rows[seed]["firing_rate_hz"] for seed in (3, 4)]
    assert rates[0] != rates[1]
    assert rows["mean"]["firing_rate_hz"] == pytest.approx(np.mean(rates), rel=ROUNDING)
    assert rows["sd"]["firing_rate_hz"] == pytest.approx(np.std(rates, ddof=1), rel=ROUNDING)
    assert [(row["seed"], row["scaling_hz"]) for row in search] == [(3, 50), (3, 40), (4, 50), (4, 40)]


def test_a_network_that_spikes_in_vain_fails(script, tmp_path, short_task):
    network = save_rates(tmp_path / "network.safetensors", gain=0.0)
    flags = ("--network", network, "--seed", 3, "--trials", 12, "--search-trials", 1, "--scalings", 50)
    code, output, errors = script("spiking_ctrnn", *flags, "--output", tmp_path)
    assert (code, errors) == (1, "")
    assert "FAIL  mean accuracy from spikes" in output


def test_a_quick_run_and_a_full_one_do_not_share_a_folder(script, tmp_path, monkeypatch):
    """They have different recipes, so that each would refuse to go on with the other's run."""
    asked = {}

    def train(recipe, seed, folder, *, resume):
        asked[folder.name] = recipe.network.n_units
        raise ValueError("not trained here")

    # Imported first, so that what is put back afterwards is the library's own.
    importlib.import_module("neurocircuit.analysis")
    monkeypatch.setattr("neurocircuit.analysis.ctrnn_training.train_task", train)
    for flags in (("--quick",), ()):
        assert script("spiking_ctrnn", *flags, "--output", tmp_path)[0] == 2
    assert asked == {"gonogo_quick_seed0": 40, "gonogo_seed0": 200}


@pytest.mark.slow
def test_a_quick_run_trains_a_network_and_takes_it_up_again(script, tmp_path):
    flags = ("--quick", "--output", tmp_path)
    first = script("spiking_ctrnn", *flags)
    assert first[0] == 0
    trained = tmp_path / "gonogo_quick_seed0" / "network.safetensors"
    network = RateNetwork.load(trained)
    assert network.n_units == 40
    assert 20 <= network.tau.min() < network.tau.max() <= 100
    log = tmp_path / "gonogo_quick_seed0" / "log.jsonl"
    before = log.read_bytes()
    assert script("spiking_ctrnn", *flags) == first
    assert log.read_bytes() == before, "a run that has ended must not be trained on"
    np.testing.assert_array_equal(RateNetwork.load(trained).weights, network.weights)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--task", "dmts"), "`task` is 'dmts'; it must be one of gonogo, mante"),
        (("--network", "missing.safetensors"), "missing.safetensors"),
        (("--network", "{network}"), "`network` has 1 inputs and 1 outputs; the task gonogo has 3 and 1"),
        (("--network", "{network}", "--task", "mante"), "the task mante has 5 and 1"),
    ],
)
def test_bad_flags_end_with_one_line_and_leave_nothing(script, tmp_path, flags, message):
    network = save_rates(tmp_path / "network.safetensors", gain=2.0)
    flags = [flag.format(network=network) for flag in flags]
    code, output, errors = script("spiking_ctrnn", *flags, "--output", tmp_path / "new")
    assert (code, output) == (2, "")
    assert errors.startswith("error: ")
    assert errors.count("\n") == 1
    assert message in errors
    assert not (tmp_path / "new").exists()


@pytest.fixture
def tiny_brunel(monkeypatch):
    """Let a quick run have 100 neurons with 25 inputs each."""
    tiny = {"n_exc": 80, "n_inh": 20, "in_exc": 20, "in_inh": 5, "jump": 5.0}
    monkeypatch.setattr("neurocircuit.circuits.brunel.SMALL_BRUNEL", tiny)
    return tiny


def test_brunel_prints_and_draws_every_panel_and_the_rates_decide_the_exit_code(script, tmp_path, tiny_brunel):
    flags = ("--quick", "--duration", 30, "--settle", 10, "--output", tmp_path, "--tables", tmp_path / "tables")
    code, output, errors = script("brunel", *flags)
    assert errors == ""
    rows = read_table(tmp_path / "tables" / "brunel_rates.csv")
    assert [row["panel"] for row in rows] == ["B", "C", "D"]
    passed = {}
    for row in rows:
        with xr.open_dataset(tmp_path / f"panel_{row['panel']}.nc") as run:
            assert run.sizes["unit"] == 100
            measured, theory = float(run["rate"].mean()), run.attrs["theory_hz"]
            parameters = json.loads(run.attrs["parameters"])
        assert parameters["g"] == BRUNEL_PANELS[row["panel"]].g
        assert parameters["in_exc"] == tiny_brunel["in_exc"]
        expected = [measured, theory, measured / theory]
        assert [row[name] for name in ("measured_hz", "theory_hz", "ratio")] == pytest.approx(expected, rel=ROUNDING)
        passed[row["panel"]] = abs(measured / theory - 1) <= 0.2
    # A small panel D oscillates too slowly to be checked.
    del passed["D"]
    for panel, good in passed.items():
        assert f"{'PASS' if good else 'FAIL'}  panel {panel}: measured rate within 20% of theory" in output
    assert "panel D" not in output
    assert code == (0 if all(passed.values()) else 1)
    Image.open(tmp_path / "figure.png").verify()


@pytest.mark.slow
def test_small_balanced_networks_fire_at_the_rates_of_theory(script, tmp_path):
    code, output, _ = script("brunel", "--quick", "--output", tmp_path)
    assert code == 0
    assert output.count("PASS") == 2


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--duration", "0"), "`duration` is 0.0; it must be a positive time in ms"),
        (("--settle", "-1"), "`settle` is -1.0; it must be a non-negative time in ms"),
        (("--step", "nan"), "`step` is nan"),
        (("--seed", "-1"), "`seed` is -1"),
    ],
)
def test_bad_flags_of_brunel_end_with_one_line_and_leave_nothing(script, tmp_path, tiny_brunel, flags, message):
    code, output, errors = script("brunel", "--quick", *flags, "--output", tmp_path / "new")
    assert (code, output) == (2, "")
    assert errors.startswith("error: ")
    assert errors.count("\n") == 1
    assert message in errors
    assert not (tmp_path / "new").exists()
