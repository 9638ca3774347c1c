"""The script that studies recurrent recognisers: its stages, its files, what it skips and what it refuses."""

import csv
import json

import pytest
import xarray as xr
from PIL import Image

QUICK = ("--quick", "--seed", "0", "--variants")


@pytest.fixture(autouse=True)
def no_data(monkeypatch, tmp_path):
    """No image set is on disk, and none can be downloaded."""
    monkeypatch.delenv("NEUROCIRCUIT_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def rows(path):
    with path.open() as file:
        return list(csv.DictReader(file))


def test_a_quick_run_of_everything_needs_no_data_and_leaves_every_file(script, tmp_path):
    flags = (*QUICK, "0111", "0000", "--output", tmp_path / "out", "--tables", tmp_path / "tables")
    code, output, errors = script("recurrent_recogniser", *flags)
    assert (code, errors) == (0, "")
    assert "PASS  feedforward: the last layer is the same at every step" in output
    assert "PASS  gain: its own flows given back at each of 12 places leave its answers bit-equal" in output
    folder = tmp_path / "out" / "quick"
    for name in ("learning", "answers", "activity", "decoding", "flow_decoding", "importance"):
        Image.open(folder / f"{name}.png").verify()
    tables = {path.stem.removeprefix("recogniser_quick_"): rows(path) for path in (tmp_path / "tables").glob("*.csv")}
    assert set(tables) == {
        "evaluation_networks",
        "evaluation_variants",
        "evaluation_connections",
        "evaluation_findings",
        "decoding_accuracy",
        "decoding_findings",
        "perturbation_importance",
        "perturbation_findings",
    }
    assert [row["flags"] for row in tables["evaluation_networks"]] == ["0111", "0000"]
    assert len(tables["evaluation_connections"]) == 9
    # Five variables in four layers at four steps, and no flows without recurrence.
    assert len(tables["decoding_accuracy"]) == 2 * 5 * 4 * 4
    assert {row["flows"] for row in tables["decoding_accuracy"] if row["flags"] == "0000"} == {"nan"}
    # Six perturbations and two means, into four layers at three steps.
    assert len(tables["perturbation_importance"]) == 8 * 4 * 3
    assert {row["flags"] for row in tables["perturbation_importance"]} == {"0111"}
    assert any("neutralised, ours altered" in row["published"] for row in tables["perturbation_findings"])
    with xr.open_dataset(folder / "decoding_0111.nc") as data:
        assert data.attrs["flags"] == "0111"
        assert data["flows"].sel(step=1).isnull().all()
    header = json.loads((tmp_path / "tables" / "recogniser_quick_evaluation.json").read_text())
    assert header["settings"]["seeds"] == [0]


def test_a_stage_goes_on_from_what_is_there(script, tmp_path):
    flags = ("train", "--output", tmp_path, *QUICK, "0000")
    code, output, _ = script("recurrent_recogniser", *flags)
    assert code == 0
    run = tmp_path / "quick" / "0000" / "seed0" / "best.safetensors"
    written = run.stat().st_mtime_ns
    (row,) = (line for line in output.splitlines() if "feedforward" in line)
    code, output, _ = script("recurrent_recogniser", *flags, "1110")
    assert code == 0
    assert row.split() in [line.split() for line in output.splitlines()]
    assert "lateral only" in output
    assert run.stat().st_mtime_ns == written


def test_published_importances_of_neutralised_targets_are_not_drawn_behind_those_of_altered_ones(import_script):
    module = import_script("sims", "recurrent_recogniser")
    ghosts = module.importance_ghosts(module.Perturb(variants=("0111", "1110")))
    assert list(ghosts) == ["gain"]
    assert not {"orientation", "scale"} & set(ghosts["gain"]["perturbation"].values)
    assert {"location", "category"} <= set(ghosts["gain"]["perturbation"].values)


def test_networks_that_are_not_trained_are_named(script, tmp_path):
    code, _, errors = script("recurrent_recogniser", "evaluate", *QUICK, "1110", "--output", tmp_path)
    assert code == 2
    assert "1110/seed0/best.safetensors" in errors


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--recipe", "huge"), "`recipe` is 'huge'; it must be one of published, small, embedded"),
        (("--quick", "--variants", "0211"), "`flags` is '0211'; it must be four of 0 and 1"),
        (("--quick", "--seed", "-1"), "`seed` is -1; it must be at least 0"),
        (("--quick", "--jobs", "0"), "`jobs` is 0; it must be at least 1"),
        (("--quick", "--seed"), "`seeds` is empty"),
        (("--recipe", "small", "--data", "nowhere"), "nowhere"),
    ],
)
def test_what_is_not_allowed_is_said_in_one_line(script, tmp_path, flags, message):
    code, _, errors = script("recurrent_recogniser", "train", *flags, "--output", tmp_path)
    assert code == 2
    assert message in errors
    assert len(errors.splitlines()) == 1


def test_without_a_target_named_there_is_no_importance_to_draw(script, tmp_path):
    # Of the networks of --quick, which have learned nothing, at least one is right in none of ten scenes.
    for stage in ("train", "perturb"):
        code, output, errors = script(
            "recurrent_recogniser", stage, "--quick", "--variants", "0111", "--output", tmp_path
        )
        assert (code, errors) == (0, "")
    assert "No figure of importance" in output
    assert "inf" not in output.split()
    assert not (tmp_path / "quick" / "importance.png").exists()
