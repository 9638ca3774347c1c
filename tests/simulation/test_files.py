"""A result survives its file, and a file is whole or absent."""

import os

import numpy as np
import pytest
import xarray as xr
from brian2 import ms

from neurocircuit import PoolSizes, mely_circuit, simulate
from neurocircuit.simulation import write_netcdf

CIRCUIT = mely_circuit(4, sizes=PoolSizes(1, 3, 7))


@pytest.fixture(scope="module")
def result():
    drive = np.random.default_rng(3).random((2, 4, 9, 10))
    return simulate(CIRCUIT, drive, step=0.5 * ms, steps=6, record=2, units=[(0, 1, 2), (3, 8, 9)])


@pytest.fixture(scope="module")
def sweep():
    drive = np.random.default_rng(3).random((4, 9, 10))
    sets = [CIRCUIT.parameters.replace(beta=b) for b in (1.0, 2.0)]
    return simulate(CIRCUIT, drive, steps=3, parameter_sets=sets)


@pytest.mark.parametrize("name", ["result", "sweep"])
def test_a_file_gives_back_what_was_written(name, request, tmp_path):
    dataset = request.getfixturevalue(name)
    path = write_netcdf(dataset, tmp_path / "new" / "folder" / "results.nc")
    assert path == tmp_path / "new" / "folder" / "results.nc"
    assert [entry.name for entry in path.parent.iterdir()] == ["results.nc"]
    with xr.open_dataset(path, engine="h5netcdf") as found:
        xr.testing.assert_identical(found.load(), dataset)


def test_times_keep_their_unit_and_stay_numbers(result, tmp_path):
    with xr.open_dataset(write_netcdf(result, tmp_path / "results.nc"), engine="h5netcdf") as found:
        np.testing.assert_array_equal(found["time"].values, [0, 1, 2, 3])
        assert found["time"].dtype == np.float64
        assert found["time"].attrs["units"] == "ms"


def test_a_path_may_be_text(result, tmp_path):
    write_netcdf(result, str(tmp_path / "results.nc"))
    assert (tmp_path / "results.nc").exists()


def test_a_failed_write_leaves_nothing(result, tmp_path, monkeypatch):
    def fail(self, path, **options):
        with open(path, "wb") as file:
            file.write(b"half a file")
        raise OSError("disk full")

    monkeypatch.setattr(xr.Dataset, "to_netcdf", fail)
    with pytest.raises(OSError, match="disk full"):
        write_netcdf(result, tmp_path / "results.nc")
    assert list(tmp_path.iterdir()) == []


def test_a_failed_write_leaves_the_file_that_was_there(result, tmp_path, monkeypatch):
    path = write_netcdf(result, tmp_path / "results.nc")
    before = path.read_bytes()

    def fail(self, path, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(xr.Dataset, "to_netcdf", fail)
    with pytest.raises(KeyboardInterrupt):
        write_netcdf(result, path)
    assert [entry.name for entry in tmp_path.iterdir()] == ["results.nc"]
    assert path.read_bytes() == before


def test_a_second_write_replaces_the_first(result, sweep, tmp_path):
    path = tmp_path / "results.nc"
    write_netcdf(sweep, path)
    write_netcdf(result, path)
    with xr.open_dataset(path, engine="h5netcdf") as found:
        xr.testing.assert_identical(found.load(), result)


def test_a_file_where_the_folder_should_be_is_an_error(result, tmp_path):
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(OSError, match="taken"):
        write_netcdf(result, tmp_path / "taken" / "results.nc")
    assert (tmp_path / "taken").read_text() == "a file"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write to any folder")
def test_a_folder_without_permission_is_an_error(result, tmp_path):
    locked = tmp_path / "locked"
    locked.mkdir()
    locked.chmod(0o500)
    with pytest.raises(PermissionError, match="locked"):
        write_netcdf(result, locked / "results.nc")
    assert list(locked.iterdir()) == []
    locked.chmod(0o700)


def test_a_new_file_can_be_read_by_others_as_the_users_mask_says(result, tmp_path):
    before = os.umask(0o022)
    try:
        path = write_netcdf(result, tmp_path / "results.nc")
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o777 == 0o644
