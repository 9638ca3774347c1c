import csv
import sys

import pytest
import xarray as xr
from PIL import Image

QUICK = ("--quick", "--jobs", 1, "--p-inh", 0.2, 0.5, "--spectral-radius", 1.0, 1.5, "--seed", 0)


def test_a_quick_sweep_writes_one_table_and_a_map_and_goes_on_when_repeated(script, tmp_path):
    code, output, errors = script("ctrnn_sweep", *QUICK, "--output", tmp_path, "--tables", tmp_path / "tables")
    assert (code, errors) == (0, "")
    assert "PASS  no network diverged" in output
    folder = tmp_path / "gonogo_quick"
    Image.open(folder / "sweep.png").verify()
    with xr.open_dataset(folder / "sweep.nc") as data:
        assert data.accuracy.dims == ("p_inh", "spectral_radius")
        assert data.accuracy.shape == (2, 2)
    with (tmp_path / "tables" / "ctrnn_sweep_gonogo_points.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["p_inh"], row["spectral_radius"]) for row in rows] == [
        ("0.2", "1"),
        ("0.2", "1.5"),
        ("0.5", "1"),
        ("0.5", "1.5"),
    ]
    # A third seed is trained, the rest is read.
    logs = {path: path.stat().st_mtime_ns for path in folder.rglob("log.jsonl")}
    code, output, _ = script("ctrnn_sweep", *QUICK, 1, "--output", tmp_path)
    assert code == 0
    assert "8 networks" in output
    assert len(logs) == 4
    assert all(path.stat().st_mtime_ns == time for path, time in logs.items())


@pytest.mark.slow
# distributed's own threads and sockets are not this project's to silence.
@pytest.mark.filterwarnings("ignore")
def test_a_dask_cluster_of_two_workers_gives_the_table_of_this_machine(script, tmp_path):
    distributed = pytest.importorskip("distributed")
    assert script("ctrnn_sweep", *QUICK, "--output", tmp_path / "here")[0] == 0
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster:
        address = cluster.scheduler_address
        code, output, errors = script("ctrnn_sweep", *QUICK, "--output", tmp_path / "there", "--dask", address)
    assert code == 0, errors
    assert "4 networks" in output
    here, there = (
        (tmp_path / place / "gonogo_quick" / "ctrnn_sweep_gonogo_points.csv").read_text() for place in ("here", "there")
    )
    assert there == here


def test_dask_that_is_not_installed_is_named(script, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    code, _, errors = script("ctrnn_sweep", *QUICK, "--output", tmp_path, "--dask", "tcp://127.0.0.1:1")
    assert code == 2
    assert "`dask` is given, but the package distributed is not installed" in errors


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--task", "xor"), "`task` is 'xor'; it must be one of mante"),
        (("--p-inh", "1.5"), "`p_inh` is 1.5; it is a probability"),
        (("--p-inh", "0"), "`balance` is True, but with `p_inh` 0"),
        (("--spectral-radius", "-1"), "`radius` is -1.0; it must be a positive number"),
        (("--trials", "0"), "`trials` is 0; it must be at least 1"),
    ],
)
def test_bad_flags_end_with_one_line_and_leave_nothing(script, tmp_path, flags, message):
    folder = tmp_path / "new"
    code, output, errors = script("ctrnn_sweep", *QUICK, *flags, "--output", folder)
    assert (code, output) == (2, "")
    assert errors.startswith("error: ")
    assert errors.count("\n") == 1
    assert message in errors
    assert not folder.exists()
