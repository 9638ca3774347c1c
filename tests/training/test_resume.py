"""A run that was interrupted, even by SIGKILL, ends with the same bits as one that was not."""

import dataclasses
import os
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path

import pytest
import torch
from tiny_training import CONFIG, SOURCE, classifier, images, same_bits, weights
from torch.utils.data import TensorDataset

from neurocircuit.training import DatasetSource, StreamSource, evaluate, fit, has_run, load_weights, read_log
from neurocircuit.training.seeding import Purpose, derived_seed


class CrashError(Exception):
    """The end of a process, as far as a test in one process can have it."""


def crashing(source, at_step, batch_size=CONFIG.batch_size):
    """Return the source, which raises once training reaches a step."""

    def function(seed, indices):
        if seed == CONFIG.seed and indices[0] >= at_step * batch_size:
            raise CrashError
        return source.batch(seed, range(indices[0], indices[-1] + 1))

    return StreamSource(function)


def without_times(folder):
    return [{name: value for name, value in line.items() if name != "seconds"} for line in read_log(folder)]


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def augmented():
    inputs, targets = images(0, range(33))
    return DatasetSource(
        TensorDataset(inputs, targets),
        augment=lambda sample, generator: (sample[0] + torch.randn(1, 6, 6, generator=generator), sample[1]),
    )


NADAM = {"optimizer": "nadam", "gradient_clip": 0.5}


@pytest.mark.parametrize(
    ("source", "at_step", "changes"),
    [
        *((SOURCE, step, {}) for step in (1, 5, 13, 23)),
        (SOURCE, 13, {"precision": "float16"}),
        (augmented(), 13, {"workers": 1}),
        (augmented(), 23, NADAM),
    ],
)
def test_a_resumed_run_has_weights_log_and_best_of_an_uninterrupted_one(source, at_step, changes, tmp_path):
    config = dataclasses.replace(CONFIG, schedule="cosine", warmup_steps=3, learning_rate=0.01, **changes)
    straight = classifier(dropout=0.3, norm=True)
    expected = fit(straight, source, SOURCE, config, tmp_path / "straight")
    with pytest.raises(CrashError):
        fit(classifier(dropout=0.3, norm=True), crashing(source, at_step), SOURCE, config, tmp_path / "broken")
    torch.rand(at_step)
    model = classifier(dropout=0.3, norm=True, seed=1)
    found = fit(model, source, SOURCE, config, tmp_path / "broken", resume=True)
    assert same_bits(weights(model), weights(straight))
    assert without_times(tmp_path / "broken") == without_times(tmp_path / "straight")
    assert names(tmp_path / "broken") == names(tmp_path / "straight")
    assert (found.best, found.best_step, found.last) == (expected.best, expected.best_step, expected.last)
    first, second = (tmp_path / name / "best.safetensors" for name in ("straight", "broken"))
    assert first.read_bytes() == second.read_bytes()


KILLED = """
import sys
from pathlib import Path
from tiny_training import SOURCE, classifier
from test_resume import LONG
from neurocircuit.training import fit
fit(classifier(dropout=0.3, norm=True), SOURCE, SOURCE, LONG, Path(sys.argv[1]))
"""
LONG = dataclasses.replace(CONFIG, steps=150, checkpoint_every=10, evaluate_every=50)


def wait_for(path, process):
    end = time.monotonic() + 100
    while not path.exists():
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < end
        time.sleep(0.002)


def test_a_run_killed_by_the_system_resumes_to_the_same_bits(tmp_path):
    folder = tmp_path / "killed"
    environment = os.environ | {
        "PYTHONPATH": str(Path(__file__).parent),
        "OMP_NUM_THREADS": str(torch.get_num_threads()),
    }
    with subprocess.Popen(
        [sys.executable, "-c", KILLED, str(folder)], env=environment, stderr=subprocess.PIPE, text=True
    ) as process:
        wait_for(folder / "checkpoint_00000030.pt", process)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
    stopped_at = read_log(folder)[-1]["step"]
    assert 28 <= stopped_at < 148
    model, straight = classifier(dropout=0.3, norm=True, seed=1), classifier(dropout=0.3, norm=True)
    # Warnings are errors: the environment of the killed run is that of this one.
    fit(model, SOURCE, SOURCE, LONG, folder, resume=True)
    fit(straight, SOURCE, SOURCE, LONG, tmp_path / "straight")
    assert same_bits(weights(model), weights(straight))
    assert without_times(folder) == without_times(tmp_path / "straight")
    assert names(folder) == names(tmp_path / "straight")


def test_a_finished_run_can_be_resumed_and_extended(tmp_path):
    model = classifier()
    first = fit(model, SOURCE, SOURCE, CONFIG, tmp_path / "extended")
    assert fit(classifier(seed=1), SOURCE, SOURCE, CONFIG, tmp_path / "extended", resume=True) == first
    longer = dataclasses.replace(CONFIG, steps=40)
    fit(model, SOURCE, SOURCE, longer, tmp_path / "extended", resume=True)
    straight = classifier()
    fit(straight, SOURCE, SOURCE, longer, tmp_path / "straight")
    assert same_bits(weights(model), weights(straight))
    with pytest.raises(ValueError, match=r"`steps` is 24, but the run in .* is already at step 40"):
        fit(classifier(), SOURCE, SOURCE, CONFIG, tmp_path / "extended", resume=True)


@pytest.mark.parametrize("damage", [None, "missing", "cut"])
def test_best_weights_later_than_the_checkpoint_become_those_of_the_checkpoint_again(damage, tmp_path):
    # With this learning rate the evaluation at step 16 is better than that at step 8; the crash comes before the
    # checkpoint of step 20.
    config = dataclasses.replace(CONFIG, learning_rate=0.03, evaluation_samples=200)
    best = tmp_path / "best.safetensors"
    with pytest.raises(CrashError):
        fit(classifier(), crashing(SOURCE, 17), SOURCE, config, tmp_path)
    assert load_weights(classifier(), best)["step"] == 16
    assert max(tmp_path.glob("checkpoint_*.pt")).name == "checkpoint_00000015.pt"
    if damage == "missing":
        best.unlink()
    elif damage == "cut":
        best.write_bytes(best.read_bytes()[:-1])
    model = classifier()
    # All that the resumed run is asked for is done: it is only reported.
    found = fit(model, SOURCE, SOURCE, dataclasses.replace(config, steps=15), tmp_path, resume=True)
    saved = load_weights(model, found.weights)
    assert saved["step"] == found.best_step == 8
    seed = derived_seed(config.seed, Purpose.VALIDATION)
    assert evaluate(model, SOURCE, 200, seed=seed, batch_size=config.batch_size) == found.best


def test_resume_with_nothing_to_resume_says_so(tmp_path):
    for folder in (tmp_path, tmp_path / "missing"):
        assert not has_run(folder)
        with pytest.raises(FileNotFoundError, match=r"there is nothing to resume: '.*' holds no checkpoint"):
            fit(classifier(), SOURCE, SOURCE, CONFIG, folder, resume=True)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_holds_a_run_is_not_overwritten(tmp_path):
    fit(classifier(), SOURCE, SOURCE, CONFIG, tmp_path)
    assert has_run(tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(FileExistsError, match=r"already holds a run. Go on with resume=True, or use another folder"):
        fit(classifier(), SOURCE, SOURCE, CONFIG, tmp_path)
    assert before == {path: path.read_bytes() for path in tmp_path.iterdir()}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"learning_rate": 0.5}, "`learning_rate` was 0.001 and is now 0.5"),
        ({"seed": 6, "batch_size": 12}, "`batch_size` was 6 and is now 12; `seed` was 5 and is now 6"),
        ({"precision": "float64"}, "`precision` was 'float32' and is now 'float64'"),
        ({"evaluation_samples": 21}, "`evaluation_samples` was 20 and is now 21"),
    ],
)
def test_a_checkpoint_of_another_configuration_names_what_differs(changes, message, tmp_path):
    fit(classifier(), SOURCE, SOURCE, CONFIG, tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(ValueError, match=f"is of another run: {message}"):
        fit(classifier(), SOURCE, SOURCE, dataclasses.replace(CONFIG, **changes), tmp_path, resume=True)
    assert before == {path: path.read_bytes() for path in tmp_path.iterdir()}


def test_steps_of_a_cosine_schedule_cannot_change(tmp_path):
    config = dataclasses.replace(CONFIG, schedule="cosine")
    fit(classifier(), SOURCE, SOURCE, config, tmp_path)
    with pytest.raises(ValueError, match="`steps` was 24 and is now 48"):
        fit(classifier(), SOURCE, SOURCE, dataclasses.replace(config, steps=48), tmp_path, resume=True)


def test_a_checkpoint_of_another_model_or_description_says_what_does_not_fit(tmp_path):
    fit(classifier(), SOURCE, SOURCE, CONFIG, tmp_path, description={"net": "tiny", "channels": 3})
    with pytest.raises(ValueError, match=r"`description` was .*'tiny'.* and is now .*'large'"):
        fit(classifier(), SOURCE, SOURCE, CONFIG, tmp_path, resume=True, description={"net": "large", "channels": 3})
    options = {"resume": True, "description": {"net": "tiny", "channels": 3}}
    with pytest.raises(ValueError, match=r"are of another model: the model's 1.weight is not in the file"):
        fit(classifier(norm=True), SOURCE, SOURCE, CONFIG, tmp_path, **options)
    other = torch.nn.Sequential(torch.nn.Conv2d(1, 4, 3), *list(classifier())[1:])
    with pytest.raises(ValueError, match=r"0.weight is \(4, 1, 3, 3\) in the model and \(3, 1, 3, 3\) in the file"):
        fit(other, SOURCE, SOURCE, CONFIG, tmp_path, **options)


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty", "text"])
def test_a_damaged_newest_checkpoint_falls_back_to_the_one_before(damage, tmp_path):
    straight = classifier(dropout=0.3)
    fit(straight, SOURCE, SOURCE, CONFIG, tmp_path / "straight")
    folder = tmp_path / "damaged"
    with pytest.raises(CrashError):
        fit(classifier(dropout=0.3), crashing(SOURCE, 17), SOURCE, CONFIG, folder)
    newest = folder / "checkpoint_00000015.pt"
    content = newest.read_bytes()
    middle = content.index(classifier_bytes(newest))
    changed = {
        "cut": content[: len(content) // 2],
        "flipped": content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :],
        "empty": b"",
        "text": b"not a checkpoint",
    }
    newest.write_bytes(changed[damage])
    for name in (".checkpoint_00000020.pt.12345", ".best.safetensors.12345"):
        (folder / name).write_bytes(b"left behind by a killed process")
    model = classifier(dropout=0.3, seed=1)
    with pytest.warns(RuntimeWarning, match=r"Checkpoint '.*checkpoint_00000015.pt' is damaged and passed over: "):
        fit(model, SOURCE, SOURCE, CONFIG, folder, resume=True)
    assert same_bits(weights(model), weights(straight))
    assert names(folder) == sorted([*names(tmp_path / "straight"), "checkpoint_00000015.damaged"])


def classifier_bytes(path):
    """Return the bytes of one weight tensor of a checkpoint."""
    return torch.load(path, weights_only=True)["model"]["4.weight"].numpy().tobytes()


def test_only_damaged_checkpoints_is_an_error(tmp_path):
    fit(classifier(), SOURCE, SOURCE, CONFIG, tmp_path)
    for path in tmp_path.glob("checkpoint_*.pt"):
        path.write_bytes(b"")
    with (
        pytest.warns(RuntimeWarning, match="is damaged"),
        pytest.raises(ValueError, match=r"None of the checkpoints in .* can be read"),
    ):
        fit(classifier(), SOURCE, SOURCE, CONFIG, tmp_path, resume=True)


def test_a_checkpoint_never_runs_code(tmp_path):
    fit(classifier(), SOURCE, SOURCE, CONFIG, tmp_path)
    for path in tmp_path.glob("checkpoint_*.pt"):
        torch.save({"progress": Path("x")}, path)
    with pytest.warns(RuntimeWarning, match="is damaged"), pytest.raises(ValueError, match="None of the checkpoints"):
        fit(classifier(), SOURCE, SOURCE, CONFIG, tmp_path, resume=True)


def test_another_environment_is_named(tmp_path, monkeypatch):
    with pytest.raises(CrashError):
        fit(classifier(), crashing(SOURCE, 9), SOURCE, CONFIG, tmp_path)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 64)
    with pytest.warns(RuntimeWarning, match=r"not to the same bits as without interruption: threads was .* is now 64"):
        fit(classifier(), SOURCE, SOURCE, CONFIG, tmp_path, resume=True)


def test_the_last_two_checkpoints_are_kept_and_a_torn_log_line_is_dropped(tmp_path):
    with pytest.raises(CrashError):
        fit(classifier(), crashing(SOURCE, 22), SOURCE, CONFIG, tmp_path)
    assert sorted(path.name for path in tmp_path.glob("*.pt")) == ["checkpoint_00000015.pt", "checkpoint_00000020.pt"]
    with (tmp_path / "log.jsonl").open("a") as file:
        file.write('{"step": 24, "lo')
    assert read_log(tmp_path)[-1]["step"] == 20
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fit(classifier(), SOURCE, SOURCE, CONFIG, tmp_path, resume=True)
    assert [line["step"] for line in read_log(tmp_path)] == [4, 8, 12, 16, 20, 24]
