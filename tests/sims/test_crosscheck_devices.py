import pytest
import xarray as xr


def test_quick_run_compares_torch_and_numpy_and_leaves_data_and_figure(script, tmp_path):
    code, output, _ = script("crosscheck_devices", "--quick", "--output", tmp_path)
    assert code == 0
    assert "PASS  numpy within 1e-10 of torch" in output
    assert sorted(file.name for file in tmp_path.iterdir()) == ["figure.png", "results.nc"]
    with xr.open_dataset(tmp_path / "results.nc") as report:
        assert report.max_difference.dims == ("device", "state")
        assert float(report.max_difference.max()) <= 1e-10
        assert list(report.every_device.values) == ["torch", "numpy"]
        assert report.attrs["steps"] == 20


def test_difference_above_the_tolerance_fails_and_names_the_first_step_out(script, tmp_path):
    flags = ("--quick", "--tolerance", 1e-300, "--output", tmp_path)
    code, output, _ = script("crosscheck_devices", *flags)
    assert code == 1
    assert "FAIL  numpy within 1e-300 of torch" in output
    with xr.open_dataset(tmp_path / "results.nc") as report:
        first = report.first_step_out.sel(device="numpy", state="h2").item()
    assert 1 <= first <= 20
    row = next(line.split() for line in output.splitlines() if line.startswith("numpy") and "h2" in line)
    assert row[-1] == str(first)


def test_devices_that_cannot_run_here_are_listed_with_the_reason(script, tmp_path, monkeypatch):
    monkeypatch.setattr("neurocircuit.available_devices", lambda: {"numpy": "", "torch": "", "cuda": "no GPU today"})
    code, output, _ = script("crosscheck_devices", "--quick", "--output", tmp_path)
    assert code == 0
    assert "not here: no GPU today" in output


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--devices", "torch"), "at least two"),
        (("--devices", "torch", "abacus"), "`device` is 'abacus'"),
        (("--stimuli", 0), "`stimuli` is 0"),
        (("--tolerance", -1), "`tolerance` is -1"),
        (("--every", 0), "`record` is 0"),
        (("--preset", "nope"), "`preset` is 'nope'"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2_and_leaves_nothing(script, tmp_path, flags, message):
    code, output, errors = script("crosscheck_devices", "--quick", *flags, "--output", tmp_path / "folder")
    assert code == 2
    assert message in errors
    assert errors.count("\n") == 1
    assert output == ""
    assert not list(tmp_path.iterdir())
