"""The cross-check reports how far devices are apart, and fails loudly where they are too far."""

import sys

import numpy as np
import pytest

from neurocircuit import PoolSizes, crosscheck, mely_circuit, simulate
from neurocircuit.simulation import CrosscheckError

CIRCUIT = mely_circuit(4, sizes=PoolSizes(1, 3, 7))


@pytest.fixture
def drive(rng):
    return rng.random((2, 4, 9, 10))


def test_agreement_is_a_table_of_the_differences(drive):
    report = crosscheck(CIRCUIT, drive, ["torch", "numpy"], steps=30)
    runs = [simulate(CIRCUIT, drive, steps=30, record="all", device=device) for device in ("torch", "numpy")]
    for state in ("h1", "h2"):
        gap = np.abs(runs[1][state].values - runs[0][state].values)
        row = report.sel(device="numpy", state=state)
        assert row["max_difference"].item() == gap.max()
        assert row["rms_difference"].item() == pytest.approx(np.sqrt((gap**2).mean()), rel=1e-12, abs=1e-300)
        assert row["first_step_out"].item() == -1
        assert gap.max() < 1e-10
    np.testing.assert_array_equal(report["every_device"].values, ["torch", "numpy"])
    assert (report["seconds"] > 0).all()
    assert (report.attrs["reference"], report.attrs["tolerance"]) == ("torch", 1e-10)


@pytest.mark.parametrize("record", ["all", 5])
def test_disagreement_names_the_first_step_out_of_tolerance(record, drive, monkeypatch):
    """A device that is wrong by 1e-3 in one unit of h2 from step 11 on."""

    def broken(circuit, field, *, device, **options):
        result = simulate(circuit, field, device="torch", **options)
        if device == "numpy":
            result["h2"].values[result["step_count"].values >= 11, 1, 2, 3, 4] += 1e-3
        return result

    # The package's attribute of this name is the function, so the module is found where Python keeps it.
    monkeypatch.setattr(sys.modules[crosscheck.__module__], "simulate", broken)
    first = 11 if record == "all" else 15
    message = (
        f"`h2` on 'numpy' differs from 'torch' by up to 0.001, more than the tolerance 1e-10; first at step {first}"
    )
    with pytest.raises(CrosscheckError, match=message) as caught:
        crosscheck(CIRCUIT, drive, ["torch", "numpy"], steps=30, record=record)
    row = caught.value.report.sel(device="numpy")
    assert row["max_difference"].sel(state="h2").item() == pytest.approx(1e-3)
    assert row["max_difference"].sel(state="h1").item() == 0
    np.testing.assert_array_equal(row["first_step_out"].values, [-1, first])


def test_rounding_is_enough_to_fail_a_tolerance_below_it(drive):
    with pytest.raises(CrosscheckError, match="more than the tolerance 1e-18; first at step"):
        crosscheck(CIRCUIT, drive, ["torch", "numpy"], steps=30, tolerance=1e-18)


@pytest.mark.parametrize("devices", [[], ["torch"]])
def test_a_comparison_needs_two_devices(devices, drive):
    with pytest.raises(ValueError, match=r"`devices` is .*; a comparison needs at least two"):
        crosscheck(CIRCUIT, drive, devices)
