import hashlib
import json
import os

import numpy as np
import pytest
import xarray as xr
from PIL import Image

from neurocircuit.analysis.hidden_unit_comparison import prepare_images
from neurocircuit.analysis.hidden_unit_recipes import comparison_recipe
from neurocircuit.plasticity import currents, load_units, save_units, train_units
from neurocircuit.stimuli import digits_image_set

FAST = ("--quick", "--threads", 1, "--epochs", 20, "--read-out-epochs", 20, "--bp-epochs", 10)


def test_a_quick_run_compares_four_networks_and_leaves_every_file(script, tmp_path, monkeypatch):
    # Needs no data on disk, even if a folder is named.
    monkeypatch.setenv("NEUROCIRCUIT_DATA", str(tmp_path / "nowhere"))
    code, output, errors = script(
        "competing_hidden_units", "--quick", "--threads", 1, "--output", tmp_path, "--tables", tmp_path / "tables"
    )
    assert (code, errors) == (0, "")
    assert "PASS  BIO" in output
    assert "units have a norm within 0.05 of 1" in output
    assert "digits of 8 x 8 pixels: 360 test images, scored after all training" in output
    folder = tmp_path / "digits_40_quick"
    for name in ("weights", "learning"):
        Image.open(folder / f"{name}.png").verify()
    with xr.open_dataset(folder / "comparison.nc") as data:
        assert data["network"].values.tolist() == ["bio", "bp", "linear", "random"]
        # By a wide margin better than guessing.
        assert float(data["accuracy"].min()) > 0.7
    first, about = load_units(folder / "units.npz")
    second, _ = load_units(folder / "units.safetensors")
    np.testing.assert_array_equal(first, second)
    assert first.shape == (40, 64)
    assert about["images"] == "digits of 8 x 8 pixels"
    made = json.loads((tmp_path / "tables" / "hidden_units_digits_40.json").read_text())
    assert set(made["tables"]) == {"accuracy", "units"}


def test_a_run_is_refused_twice_resumed_and_started_from_published_weights(script, tmp_path):
    assert script("competing_hidden_units", *FAST, "--output", tmp_path)[0] in (0, 1)
    code, _, errors = script("competing_hidden_units", *FAST, "--output", tmp_path)
    assert code == 2
    assert "already holds a run" in errors
    code, output, errors = script("competing_hidden_units", *FAST, "--output", tmp_path, "--resume")
    assert (code in (0, 1), errors) == (True, "")
    assert "minutes of CPU time" not in output
    units = tmp_path / "units.npy"
    save_units(units, load_units(tmp_path / "digits_40_quick" / "units.npz")[0])
    flags = (*FAST, "--output", tmp_path / "other", "--units", units, "--tables", tmp_path / "tables")
    _, again, errors = script("competing_hidden_units", *flags)
    assert errors == ""
    assert bio_row(again) == bio_row(output)
    # The file is all that is known of them: not how, or how long, they learned.
    about = {"file": "units.npy", "sha256": hashlib.sha256(units.read_bytes()).hexdigest()}
    settings = json.loads((tmp_path / "tables" / "hidden_units_digits_40.json").read_text())["settings"]
    assert (settings["units"], settings["recipe"]["rule"]) == (about, {"p": 2.0})
    with xr.open_dataset(tmp_path / "other" / "digits_40_quick" / "comparison.nc") as data:
        assert json.loads(data.attrs["units"]) == about
        assert json.loads(data.attrs["recipe"])["rule"] == {"p": 2.0}
    assert load_units(tmp_path / "other" / "digits_40_quick" / "units.npz")[1]["units"] == about
    # What the script itself has written fits too, and the slow competition takes it.
    own = ("--units", tmp_path / "digits_40_quick" / "units.npz", "--output", tmp_path / "slow")
    flags = ("--quick", "--ode", "--threads", 1, *own, "--tables", tmp_path / "tables")
    assert script("competing_hidden_units", *flags)[::2] == (0, "")
    settings = json.loads((tmp_path / "tables" / "slow_competition_digits.json").read_text())["settings"]
    assert settings["units"]["file"] == "units.npz"
    assert settings["recipe"]["rule"] == {"p": 2.0}


@pytest.mark.parametrize("study", [(), ("--ode",)])
@pytest.mark.parametrize(
    ("shape", "about", "message"),
    [
        ((40, 64), {"p": 3.0}, "trained with the p 3.0, but here it is 2.0"),
        ((40, 64), {"recipe": {"rule": {"p": 3.0}}}, "trained with the p 3.0, but here it is 2.0"),
        ((40, 64), {"recipe": {"centre": "image"}}, "trained with the centre 'image', but here it is 'mean image'"),
        ((40, 64), {"recipe": "mine", "centre": "image"}, "trained with the centre 'image'"),
        ((30, 64), {}, "with 30 units, but `hidden` is 40; set it to 30"),
    ],
)
def test_units_that_were_made_otherwise_are_refused(script, tmp_path, shape, about, message, study):
    save_units(tmp_path / "units.npz", np.ones(shape), **about)
    flags = ("--units", tmp_path / "units.npz", *study, "--output", tmp_path / "out")
    code, _, errors = script("competing_hidden_units", "--quick", "--threads", 1, *flags)
    assert code == 2
    assert message in errors


def bio_row(output):
    # Without the last column, which is a time.
    return next(line.split()[:-1] for line in output.splitlines() if line.split()[:1] == ["bio"])


def test_the_checks_decide_the_exit_code(script, tmp_path):
    # Two epochs from a normal start do not make features.
    flags = ("--quick", "--threads", 1, "--epochs", 2, "--bp-epochs", 1, "--output", tmp_path)
    code, output, _ = script("competing_hidden_units", *flags)
    assert code == 1
    assert "FAIL  BIO" in output


def test_the_slow_competition_is_studied_in_seconds(script, tmp_path):
    flags = ("--quick", "--ode", "--threads", 1, "--epochs", 20, "--output", tmp_path, "--images", 30)
    code, output, errors = script("competing_hidden_units", *flags, "--tables", tmp_path / "tables")
    assert (code, errors) == (0, "")
    assert "from rest, 0 of" in output
    folder = tmp_path / "digits_40_ode_quick"
    recipe = comparison_recipe("digits", 40).with_rule(epochs=20)
    prepared = prepare_images(digits_image_set(), recipe, 0)
    Image.open(folder / "winners.png").verify()
    with xr.open_dataset(folder / "winners.nc") as data:
        assert data.attrs["images"] == "digits of 8 x 8 pixels"
        assert data.attrs["part"] == "validation"
        assert data.sizes["image"] == 30
        # Currents of validation images, and of no other.
        units = train_units(prepared.train[0], recipe.rule, 40, 0)
        drive = currents(units, prepared.validation[0], recipe.rule.p).sort(descending=True).values.numpy()
        np.testing.assert_allclose(data["current"], drive[data["image"].values][:, : data.sizes["rank"]], atol=1e-5)
    assert (tmp_path / "tables" / "slow_competition_digits.json").exists()


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--dataset", "mnist", "--data", "nowhere"), "`data` is 'nowhere', which is not a folder"),
        (("--quick", "--threads", "0"), "`threads` is 0; it must be at least 1"),
        (("--quick", "--resume"), "there is nothing to resume: there is no folder"),
        (("--quick", "--hidden", "1"), "`k` is 2, but there are 1 hidden units"),
        (("--quick", "--epochs", "0"), "`epochs` is 0; it must be at least 1"),
        (("--quick", "--read-out-epochs", "0"), "`read_out_epochs` is 0; it must be at least 1"),
        (("--quick", "--bp-epochs", "0"), "`bp_epochs` is 0; it must be at least 1"),
        (("--quick", "--seed", "-1"), "`seed` is -1; it must be at least 0"),
        (("--quick", "--ode", "--epochs", "1", "--images", "145"), "`n_images` is 145, but `inputs` has 144 images"),
        (("--quick", "--units", "weights.npz"), "weights.npz"),
        (("--quick", "--device", "cuda:7"), "`device` is 'cuda:7'"),
    ],
)
def test_bad_flags_end_with_one_line(script, tmp_path, flags, message):
    # The number of threads is that of the whole process, and would stay for the tests that follow.
    threads = () if "--threads" in flags else ("--threads", 1)
    code, _, errors = script("competing_hidden_units", *flags, *threads, "--output", tmp_path)
    assert code == 2
    assert message in errors
    assert len(errors.strip().splitlines()) == 1


@pytest.mark.skipif("NEUROCIRCUIT_DATA" not in os.environ, reason="no data: NEUROCIRCUIT_DATA names no folder")
def test_a_partial_cifar_is_called_by_its_name(script, tmp_path):
    flags = ("--dataset", "cifar10", "--hidden", 10, "--epochs", 1, "--read-out-epochs", 1, "--bp-epochs", 1)
    code, output, errors = script("competing_hidden_units", *flags, "--threads", 1, "--output", tmp_path)
    assert (code in (0, 1), errors) == (True, "")
    assert "CIFAR-10 (4,000 of 50,000 training and 1,000 of 10,000 test images)" in output
    # Colour: three planes a unit.
    assert load_units(tmp_path / "cifar10_10" / "units.npz")[0].shape == (10, 3072)
