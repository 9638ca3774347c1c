"""Two processes started by torchrun take the steps of one."""

import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tiny_training import CONFIG, SOURCE, classifier

from neurocircuit.training import evaluate, fit, load_weights, read_log
from neurocircuit.training.processes import Processes, join_processes
from neurocircuit.training.seeding import Purpose, derived_seed

TOGETHER = dataclasses.replace(CONFIG, precision="float64", steps=20, learning_rate=0.05, gradient_clip=0.5)
#: One step of gradient descent with rate 1: the weights change by the gradient.
ONE_STEP = dataclasses.replace(CONFIG, precision="float64", steps=1, optimizer="sgd", learning_rate=1.0)

SCRIPT = """
import dataclasses, os, sys, warnings
from pathlib import Path
import torch
from tiny_training import SOURCE, classifier
from test_processes import ONE_STEP, TOGETHER, frozen
from neurocircuit.training import fit

folder, rank = Path(sys.argv[1]), os.environ["RANK"]
with warnings.catch_warnings():
    warnings.simplefilter("error")
    model = frozen()
    fit(model, SOURCE, SOURCE, ONE_STEP, folder / "step")
    torch.save(model.state_dict(), folder / f"step_{rank}.pt")
    fit(classifier(), SOURCE, SOURCE, dataclasses.replace(TOGETHER, steps=7), folder / "run")
    fit(classifier(seed=int(rank)), SOURCE, SOURCE, TOGETHER, folder / "run", resume=True)
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    fit(classifier(norm=True), SOURCE, SOURCE, TOGETHER, folder / "norm")
# One write a line: the lines of both processes go through one pipe.
said = " ".join(str(w.message) for w in caught if w.category is RuntimeWarning)
sys.stdout.write(f"rank {rank} warned: {said}\\n")
try:
    fit(classifier(), SOURCE, SOURCE, dataclasses.replace(TOGETHER, batch_size=7), folder / "odd")
except ValueError as error:
    sys.stdout.write(f"rank {rank} refused: {error}\\n")
"""


def frozen():
    """Return a model whose batch norm is frozen, at statistics that are not the batch's."""
    model = classifier(norm=True)
    model[1].running_mean += 0.1
    model[1].running_var *= 2
    model[1].eval()
    return model


@given(length=st.integers(0, 50), count=st.integers(1, 7), first=st.integers(0, 1000))
def test_shares_follow_each_other_and_differ_by_at_most_one(length, count, first):
    positions = range(first, first + length)
    shares = [Processes(rank, count, torch.device("cpu")).share(positions) for rank in range(count)]
    assert [position for share in shares for position in share] == list(positions)
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


@pytest.fixture(scope="module")
def two_processes(tmp_path_factory):
    """Run the script in two processes; return their folder and what they printed."""
    folder = tmp_path_factory.mktemp("processes")
    script = folder / "train.py"
    script.write_text(SCRIPT)
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parent), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    done = subprocess.run(
        [*command, str(script), str(folder)], env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    return folder, done.stdout


@pytest.mark.slow
def test_gradients_of_two_processes_are_those_of_one(two_processes, tmp_path):
    folder, _ = two_processes
    model = frozen()
    start = {name: tensor.double() for name, tensor in model.state_dict().items()}
    fit(model, SOURCE, SOURCE, ONE_STEP, tmp_path)
    for rank in (0, 1):
        found = torch.load(folder / f"step_{rank}.pt", weights_only=True)
        for name, parameter in model.named_parameters():
            assert (parameter - start[name]).abs().max() > 1e-3
            assert (found[name] - parameter).abs().max() <= 1e-10


@pytest.mark.slow
def test_a_run_of_two_processes_is_that_of_one_also_resumed(two_processes, tmp_path):
    folder, _ = two_processes
    result = fit(classifier(), SOURCE, SOURCE, TOGETHER, tmp_path)
    together, alone = classifier().double(), classifier().double()
    load_weights(together, folder / "run" / "best.safetensors")
    load_weights(alone, result.weights)
    for first, second in zip(together.parameters(), alone.parameters(), strict=True):
        assert (first - second).abs().max() <= 1e-10
    lines = {line["step"]: line for line in read_log(folder / "run")}
    expected = {line["step"]: line for line in read_log(tmp_path)}
    # Step 7, the last of the first part, has a line of its own.
    assert lines.keys() == expected.keys() | {7}
    for step in (4, 12, 16, 20):
        for name in expected[step].keys() - {"seconds"}:
            assert lines[step][name] == pytest.approx(expected[step][name], abs=1e-10)


@pytest.mark.slow
def test_batch_norm_per_process_is_announced_once(two_processes):
    _, printed = two_processes
    assert "rank 0 warned: Batch norm on the CPU takes its statistics per process, here from 1/2" in printed
    assert "rank 1 warned: \n" in printed


@pytest.mark.slow
def test_the_saved_weights_of_two_processes_with_batch_norm_are_the_ones_that_were_measured(two_processes):
    folder, _ = two_processes
    model = classifier(norm=True).double()
    reported = load_weights(model, folder / "norm" / "best.safetensors")["evaluation"]
    seed = derived_seed(TOGETHER.seed, Purpose.VALIDATION)
    found = evaluate(model, SOURCE, TOGETHER.evaluation_samples, seed=seed)
    assert found.loss == pytest.approx(reported["loss"], abs=1e-12)


@pytest.mark.slow
def test_a_batch_that_cannot_be_shared_equally_is_refused(two_processes):
    folder, printed = two_processes
    for rank in (0, 1):
        text = f"rank {rank} refused: `batch_size` is 7, which 2 processes cannot share equally; use a multiple."
        assert text in printed
    assert not (folder / "odd").exists()


def test_one_gpu_for_several_processes_is_refused(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    message = "`device` is 'cuda:1' for 2 processes; use 'cuda'"
    with pytest.raises(ValueError, match=message):
        join_processes("cuda:1")


def test_batch_norm_becomes_synchronous_on_gpus(monkeypatch):
    wrapped = {}

    def record(model, **options):
        wrapped.update(model=model, **options)
        return model

    monkeypatch.setattr("neurocircuit.training.processes.DistributedDataParallel", record)
    model = Processes(0, 2, torch.device("cuda:1")).wrap(classifier(norm=True))
    assert isinstance(model[1], torch.nn.SyncBatchNorm)
    assert wrapped["device_ids"] == [1]
