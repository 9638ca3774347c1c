"""CUDA: generated anywhere, compiled where there is a toolkit, run where there is a GPU."""

import numpy as np
import pytest
import torch
from brian2 import ms
from generated import code_object

from neurocircuit import BackendUnavailableError, PoolSizes, crosscheck, generate_program, mely_circuit, simulate
from neurocircuit.simulation import cuda

# brian2cuda leaves the files it writes to the garbage collector.
pytestmark = [
    pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture
def problem():
    drive = np.random.default_rng(0).random((1, 4, 9, 10))
    return mely_circuit(4, sizes=PoolSizes(1, 3, 7)), drive


def _skip_without_brian2cuda():
    try:
        cuda.require_brian2cuda()
    except BackendUnavailableError as error:
        pytest.skip(str(error))


def test_generated_cuda_holds_the_circuit(problem, tmp_path):
    _skip_without_brian2cuda()
    generate_program(*problem, str(tmp_path), device="cuda", step=1 * ms, steps=20)
    update = code_object(tmp_path, "circuit_stateupdater")
    assert "rectify(" in update
    assert "_ptr_array_circuit_pool_t" in update
    passes = list((tmp_path / "code_objects").glob("*_pass_*.cu"))
    assert len(passes) >= 5, "every pool is computed by kernels of its own"


@pytest.mark.slow
def test_generated_cuda_compiles_and_links(problem, tmp_path):
    _skip_without_brian2cuda()
    if cuda.find_toolkit() is None:
        pytest.skip("no CUDA toolkit; pip install '.[nvcc]'")
    generate_program(*problem, str(tmp_path), device="cuda", step=1 * ms, steps=20, compile=True)
    assert (tmp_path / "main").stat().st_size > 0


@pytest.mark.slow
def test_cuda_equals_torch_where_there_is_a_gpu(problem):
    reason = cuda.cuda_problem()
    if reason:
        pytest.skip(reason)
    report = crosscheck(*problem, ["torch", "cuda"], step=1 * ms, steps=100, tolerance=1e-10)
    assert float(report.max_difference.max()) <= 1e-10


def test_missing_brian2cuda_is_named_with_the_fix(problem, monkeypatch):
    def missing(name):
        raise cuda.PackageNotFoundError(name)

    monkeypatch.setattr(cuda, "version", missing)
    with pytest.raises(BackendUnavailableError, match=r"brian2cuda, not installed.*pip install"):
        simulate(*problem, device="cuda", steps=1)


def test_wrong_pair_names_both_versions(problem, monkeypatch):
    monkeypatch.setattr(cuda, "version", lambda name: "1.0b1")
    monkeypatch.setattr(cuda.brian2, "__version__", "2.8.0")
    with pytest.raises(BackendUnavailableError, match=r"1\.0b1 needs brian2 2\.10\.1; found brian2 2\.8\.0"):
        simulate(*problem, device="cuda", steps=1)


def test_unknown_brian2cuda_release_is_refused(problem, monkeypatch):
    monkeypatch.setattr(cuda, "version", lambda name: "9.9")
    with pytest.raises(BackendUnavailableError, match="not one of the releases known to work"):
        simulate(*problem, device="cuda", steps=1)


def test_missing_toolkit_is_named_with_the_fix(problem, monkeypatch, tmp_path):
    monkeypatch.setattr(cuda, "require_brian2cuda", lambda: None)
    monkeypatch.setenv("CUDA_PATH", str(tmp_path))
    with pytest.raises(BackendUnavailableError, match="no CUDA toolkit"):
        simulate(*problem, device="cuda", steps=1)
    with pytest.raises(BackendUnavailableError, match="no CUDA toolkit"):
        generate_program(*problem, str(tmp_path), device="cuda", compile=True)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_missing_gpu_is_named_with_the_way_round(problem, monkeypatch, tmp_path):
    monkeypatch.setattr(cuda, "require_brian2cuda", lambda: None)
    monkeypatch.setattr(cuda, "require_toolkit", lambda: tmp_path)
    with pytest.raises(BackendUnavailableError, match="no CUDA GPU"):
        simulate(*problem, device="cuda", steps=1)


def test_only_generated_devices_have_programs(problem, tmp_path):
    with pytest.raises(ValueError, match="`device` is 'numpy'"):
        generate_program(*problem, str(tmp_path), device="numpy")


def test_generated_cpp_program_is_written_without_compiling(problem, tmp_path):
    generate_program(*problem, str(tmp_path), device="cpp", steps=20)
    assert (tmp_path / "main.cpp").exists()
    assert not (tmp_path / "main").exists()
