import numpy as np
import pytest
import xarray as xr


def test_quick_run_checks_every_line_the_cell_and_the_cycles(script, tmp_path):
    code, output, _ = script("ode_vs_hgru", "--quick", "--output", tmp_path)
    assert code == 0, output
    assert output.count("PASS") == 6
    assert "FAIL" not in output
    assert sorted(file.name for file in tmp_path.iterdir()) == ["figure.png", "results.nc", "stability.png"]
    with xr.open_dataset(tmp_path / "results.nc") as result:
        assert float(result.link_difference.max()) <= 1e-10
        assert result.cell_difference.sizes == {"shunt": 2, "order": 2, "device": 2}
        assert float(result.cell_difference.max()) <= 1e-10
        assert dict(zip(result["update"].values, result["period_of_cycle"].values, strict=True)) == {
            "simultaneous": 4,
            "staggered": 2,
        }
        # The reference differs from itself by nothing, and a larger step of Euler's method by more.
        largest = np.abs(result.residual.sel(shown_gain=1.0)).max("sample").values
        assert largest[0] == 0
        assert 0 < largest[1] < largest[2] < largest[3]
        assert {"update", "gain", "step"} == set(result.radius.dims)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--gain", 0), "`gain` is 0"),
        (("--device", "abacus"), "`device` is 'abacus'"),
        (("--tau", 7), "the derivation needs them equal"),
        (("--eta", -1), "`eta` is -1"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2_and_leaves_nothing(script, tmp_path, flags, message):
    code, output, errors = script("ode_vs_hgru", "--quick", *flags, "--output", tmp_path / "folder")
    assert code == 2
    assert message in errors
    assert errors.count("\n") == 1
    assert output == ""
    assert not list(tmp_path.iterdir())
