"""Training of hidden units that was interrupted, even by SIGKILL, ends with the same bits as one that was not."""

import dataclasses
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from neurocircuit.plasticity import CentredUnitNorm, RankRule, train_units
from neurocircuit.plasticity.rank_rule import RankLearner

RULE = RankRule(p=3.0, k=3, epochs=12, batch_size=50)


@pytest.fixture(scope="module")
def digits():
    return digit_images()


def digit_images():
    return CentredUnitNorm().fit_transform(load_digits().data)


class CrashError(Exception):
    """The end of a process, as far as a test in one process can have it."""


@pytest.mark.parametrize("at_step", [0, 1, 34, 35, 200, 419])
def test_a_resumed_run_has_the_weights_of_an_uninterrupted_one(at_step, digits, tmp_path, monkeypatch):
    expected = train_units(digits, RULE, 20, 7, folder=tmp_path / "straight", checkpoint_every=3)
    steps, step = iter(range(1000)), RankLearner.step

    def crashing(learner, inputs, step_size):
        if next(steps) == at_step:
            raise CrashError
        return step(learner, inputs, step_size)

    with monkeypatch.context() as patched:
        patched.setattr(RankLearner, "step", crashing)
        with pytest.raises(CrashError):
            train_units(digits, RULE, 20, 7, folder=tmp_path / "broken", checkpoint_every=3)
    torch.rand(3)
    found = train_units(digits, RULE, 20, 7, folder=tmp_path / "broken", checkpoint_every=3, resume=True)
    assert torch.equal(found, expected)
    names = [sorted(os.listdir(tmp_path / folder)) for folder in ("straight", "broken")]
    assert names[0] == names[1] == ["checkpoint_00000009.pt", "checkpoint_00000012.pt"]


def test_numbers_of_numpy_are_taken_and_resumed_from(digits, tmp_path):
    rule = RankRule(p=np.float64(3), k=np.int64(3), epochs=np.int32(12), batch_size=np.int64(50))
    found = train_units(digits, rule, np.int64(20), np.int64(7), folder=tmp_path)
    assert torch.equal(found, train_units(digits, RULE, 20, 7, folder=tmp_path, resume=True))


def test_checkpoints_change_nothing_and_a_finished_run_is_only_read(digits, tmp_path, monkeypatch):
    expected = train_units(digits, RULE, 20, 7)
    assert torch.equal(train_units(torch.from_numpy(digits), RULE, 20, 7, folder=tmp_path), expected)
    monkeypatch.setattr(RankLearner, "step", None)
    assert torch.equal(train_units(digits, RULE, 20, 7, folder=tmp_path, resume=True), expected)


KILLED = """
import sys
from test_unit_training import LONG, digit_images
from neurocircuit.plasticity import train_units
train_units(digit_images(), LONG, 20, 7, folder=sys.argv[1])
"""
LONG = dataclasses.replace(RULE, epochs=60)


@pytest.mark.slow
def test_a_run_killed_by_the_system_resumes_to_the_same_bits(digits, tmp_path):
    folder = tmp_path / "killed"
    environment = os.environ | {
        "PYTHONPATH": str(Path(__file__).parent),
        "OMP_NUM_THREADS": str(torch.get_num_threads()),
    }
    with subprocess.Popen(
        [sys.executable, "-c", KILLED, str(folder)], env=environment, stderr=subprocess.PIPE, text=True
    ) as process:
        end = time.monotonic() + 100
        while not (folder / "checkpoint_00000005.pt").exists():
            assert process.poll() is None, process.stderr.read()
            assert time.monotonic() < end
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
    newest = max(path.name for path in folder.glob("checkpoint_*.pt"))
    assert "checkpoint_00000005.pt" <= newest < "checkpoint_00000060.pt"
    # Warnings are errors: the environment of the killed run is that of this one.
    found = train_units(digits, LONG, 20, 7, folder=folder, resume=True)
    assert torch.equal(found, train_units(digits, LONG, 20, 7))


def test_a_damaged_checkpoint_is_passed_over(digits, tmp_path):
    expected = train_units(digits, RULE, 20, 7, folder=tmp_path)
    (tmp_path / "checkpoint_00000012.pt").write_bytes(b"half")
    with pytest.warns(RuntimeWarning, match="checkpoint_00000012.pt' is damaged and passed over"):
        found = train_units(digits, RULE, 20, 7, folder=tmp_path, resume=True)
    assert torch.equal(found, expected)


OTHERS = [
    ({"rule": dataclasses.replace(RULE, delta=0.1)}, "`delta` was 0.4 and is now 0.1"),
    ({"rule": dataclasses.replace(RULE, epochs=13)}, "`epochs` was 12 and is now 13"),
    ({"n_hidden": 21}, "`n_hidden` was 20 and is now 21"),
    ({"seed": 8}, "`seed` was 7 and is now 8"),
    ({"dtype": "float64"}, "`dtype` was 'torch.float32' and is now 'torch.float64'"),
    ({"images": None}, r"`images` was '\(1797, 64\), SHA-256"),
]


@pytest.mark.parametrize(("changes", "message"), OTHERS)
def test_a_checkpoint_of_another_run_is_refused(changes, message, digits, tmp_path):
    run = {"images": digits, "rule": RULE, "n_hidden": 20, "seed": 7}
    train_units(**run, folder=tmp_path)
    if "images" in changes:
        changes = {"images": digits + 1e-3}
    with pytest.raises(ValueError, match=f"is of another run: {message}"):
        train_units(**run | changes, folder=tmp_path, resume=True)


def test_a_changed_environment_is_warned_of(digits, tmp_path, monkeypatch):
    train_units(digits, RULE, 20, 7, folder=tmp_path)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 64)
    with pytest.warns(RuntimeWarning, match=r"not to the same bits .*: threads was \d+ and is now 64"):
        train_units(digits, RULE, 20, 7, folder=tmp_path, resume=True)


def test_folders_that_hold_no_run_or_another_are_refused(digits, tmp_path):
    with pytest.raises(FileNotFoundError, match="`resume` is True, but there is nothing to resume"):
        train_units(digits, RULE, 20, 7, folder=tmp_path, resume=True)
    with pytest.raises(ValueError, match="`resume` is True, but `folder` is None"):
        train_units(digits, RULE, 20, 7, resume=True)
    train_units(digits, RULE, 20, 7, folder=tmp_path)
    with pytest.raises(FileExistsError, match=r"already holds a run\. Go on with resume=True"):
        train_units(digits, RULE, 20, 7, folder=tmp_path)


def test_nothing_is_written_for_a_run_that_cannot_start(tmp_path, rng):
    good = rng.standard_normal((60, 4))
    for images, message in (
        (good[:49], "`batch_size` is 50, but there are 49 images; lower it"),
        (good.reshape(60, 2, 2), r"`images` has the shape \(60, 2, 2\); it must be \(image, input\). Flatten"),
        (good[:0], "`batch_size` is 50, but there are 0 images"),
        (good[:, :1], r"`images` has images of one pixel \(n_features=1\), which have no pattern"),
        (np.concatenate([good, np.full((1, 4), np.inf)]), r"1 image\(s\) that are not finite, the first in row 60;"),
        (np.concatenate([good, np.zeros((2, 4))]), r"2 image\(s\) .* all equal, the first in row 60 with the value 0"),
        (np.concatenate([np.full((1, 4), -3.0), good]), r"1 image\(s\) .* all equal, the first in row 0 with .* -3;"),
    ):
        with pytest.raises(ValueError, match=message):
            train_units(images, RULE, 20, 7, folder=tmp_path / "run")
    with pytest.raises(ValueError, match="`checkpoint_every` is 0"):
        train_units(good, RULE, 20, 7, folder=tmp_path / "run", checkpoint_every=0)
    assert os.listdir(tmp_path) == []


def test_the_progress_bar_shows_convergence_on_a_terminal_and_nothing_elsewhere(digits, capfd, monkeypatch):
    train_units(digits, RULE, 20, 7)
    assert capfd.readouterr() == ("", "")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    train_units(digits, RULE, 20, 7)
    assert "norm near 1: " in capfd.readouterr().err
