"""Data sets on disk: the field's layout, the same bytes however they are written, and nothing half-written."""

import errno
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from PIL import Image

from neurocircuit.stimuli import (
    DIFFICULTIES,
    METADATA_COLUMNS,
    metadata_rows,
    pathfinder_batch,
    pathfinder_files,
    verify_pathfinder,
    write_pathfinder,
)

SMALL = DIFFICULTIES["small"]


def write(folder, count=7, *, settings=SMALL, seed=4, shard_size=3, test_fraction=0.3, **options):
    return write_pathfinder(
        folder, settings, seed, count, shard_size=shard_size, test_fraction=test_fraction, progress=False, **options
    )


def tree(folder):
    """Return every file's bytes by its path in the folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


class InterruptionError(Exception):
    """Stands for whatever stops a program."""


def stop_after(monkeypatch, writes, error):
    """Let the given number of files of shards be written, then raise."""
    written = []
    real = pathfinder_files._write

    def limited(path, data):
        if len(written) == writes:
            # A full disk takes the first bytes of a file.
            path.write_bytes(data[: len(data) // 2])
            raise error
        written.append(path)
        real(path, data)

    monkeypatch.setattr(pathfinder_files, "_write", limited)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A data set of 7 images in 3 shards, written without interruption."""
    folder = tmp_path_factory.mktemp("whole") / "pf"
    assert write(folder) == folder / "manifest.json"
    return folder


def test_the_layout_is_the_fields(whole):
    names = {name for name in tree(whole) if not name.startswith("imgs")}
    shards = (1, 2, 3)
    assert names == {
        *("manifest.json", "train_images.txt", "test_images.txt", "metadata/combined.npy"),
        *(f"metadata/{shard}.npy" for shard in shards),
        *(f"checksums/{shard}.sha256" for shard in shards),
    }
    assert [len(os.listdir(whole / "imgs" / str(shard))) for shard in shards] == [3, 3, 1]


def test_images_are_those_of_the_generator_as_8_bit_grey_png(whole):
    batch = pathfinder_batch(SMALL, 4, range(7))
    for index, expected in enumerate(batch.images):
        shard, number = divmod(index, 3)
        with Image.open(whole / f"imgs/{shard + 1}/sample_{number}.png") as image:
            assert (image.format, image.mode) == ("PNG", "L")
            np.testing.assert_array_equal(np.asarray(image), expected)


def test_lists_name_every_image_with_its_label_and_split_by_index(whole):
    labels = pathfinder_batch(SMALL, 4, range(7)).labels
    places = [divmod(index, 3) for index in range(7)]
    lines = [
        f"pf/imgs/{shard + 1}/sample_{number}.png {label}\n"
        for (shard, number), label in zip(places, labels, strict=True)
    ]
    assert (whole / "train_images.txt").read_text() == "".join(lines[:5])
    assert (whole / "test_images.txt").read_text() == "".join(lines[5:])


def test_metadata_are_the_rows_of_the_public_generator(whole):
    labels = pathfinder_batch(SMALL, 4, range(7)).labels
    tables = [np.load(whole / f"metadata/{shard}.npy") for shard in (1, 2, 3)]
    np.testing.assert_array_equal(tables[1], metadata_rows(SMALL, labels[3:6], subpath="imgs/2"))
    combined = np.load(whole / "metadata/combined.npy")
    assert combined.dtype.kind == "U"
    assert combined.shape == (7, len(METADATA_COLUMNS))
    np.testing.assert_array_equal(combined, np.concatenate(tables))
    np.testing.assert_array_equal(combined[:, 3].astype(int), labels)


def test_rows_of_shards_of_other_widths_combine(tmp_path):
    write(tmp_path / "pf", 12, shard_size=11, test_fraction=0)
    combined = np.load(tmp_path / "pf/metadata/combined.npy")
    assert combined[-2:, :2].tolist() == [["imgs/1", "sample_10.png"], ["imgs/2", "sample_0.png"]]
    assert np.load(tmp_path / "pf/metadata/2.npy").dtype != combined.dtype


def test_the_manifest_has_the_order_the_versions_and_checksums(whole):
    manifest = json.loads((whole / "manifest.json").read_text())
    order = manifest["order"]
    assert {name: order[name] for name in ("seed", "count", "shard_size", "test_fraction")} == {
        "seed": 4,
        "count": 7,
        "shard_size": 3,
        "test_fraction": 0.3,
    }
    assert order["negatives"] == SMALL.negatives
    assert {"neurocircuit", "numpy", "numba", "pillow"} <= manifest["versions"][0].keys()
    for name, digest in manifest["sha256"].items():
        assert hashlib.sha256((whole / name).read_bytes()).hexdigest() == digest


def test_checksums_are_in_the_format_of_sha256sum(whole):
    for line in (whole / "checksums/2.sha256").read_text().splitlines():
        digest, name = line.split("  ")
        assert hashlib.sha256((whole / name).read_bytes()).hexdigest() == digest


def test_without_a_test_fraction_there_is_no_test_list(tmp_path):
    write(tmp_path / "pf", 2, test_fraction=0)
    assert not (tmp_path / "pf/test_images.txt").exists()
    assert len((tmp_path / "pf/train_images.txt").read_text().splitlines()) == 2


@hypothesis_settings(max_examples=15)
@given(count=st.integers(1, 9), shard_size=st.integers(1, 10), seed=st.integers(0, 2**64 - 1))
def test_the_images_do_not_depend_on_the_shards(tmp_path_factory, count, shard_size, seed):
    folder = tmp_path_factory.mktemp("shards") / "pf"
    write(folder, count, shard_size=shard_size, seed=seed, test_fraction=0)
    listed = [line.rpartition(" ") for line in (folder / "train_images.txt").read_text().splitlines()]
    batch = pathfinder_batch(SMALL, seed, range(count))
    assert [int(label) for _, _, label in listed] == batch.labels.tolist()
    for (path, _, _), expected in zip(listed, batch.images, strict=True):
        with Image.open(folder.parent / path) as image:
            np.testing.assert_array_equal(np.asarray(image), expected)
    assert verify_pathfinder(folder, progress=False).intact


def test_images_drawn_in_several_chunks_are_the_same(whole, tmp_path, monkeypatch):
    monkeypatch.setattr(pathfinder_files, "_CHUNK", 2)
    write(tmp_path / "pf")
    assert tree(tmp_path / "pf") == tree(whole)


@pytest.mark.parametrize("writes", range(0, 13))
def test_an_interrupted_call_goes_on_to_the_same_bytes(whole, tmp_path, monkeypatch, writes):
    folder = tmp_path / "pf"
    with monkeypatch.context() as patch:
        stop_after(patch, writes, InterruptionError())
        with pytest.raises(InterruptionError):
            write(folder)
    # Three images, rows and checksums are the five files of a shard.
    assert len(list(folder.glob("checksums/*"))) == writes // 5
    assert len(list(folder.rglob("*.png"))) == writes // 5 * 3
    with pytest.raises(ValueError, match="not complete"):
        verify_pathfinder(folder)
    write(folder)
    assert tree(folder) == tree(whole)


def test_finished_shards_are_not_drawn_again(whole, tmp_path, monkeypatch):
    folder = tmp_path / "pf"
    with monkeypatch.context() as patch:
        stop_after(patch, 10, InterruptionError())
        with pytest.raises(InterruptionError):
            write(folder)
    drawn = []
    real = pathfinder_files.pathfinder_batch
    monkeypatch.setattr(pathfinder_files, "pathfinder_batch", lambda *order: drawn.extend(order[2]) or real(*order))
    write(folder)
    assert drawn == [6]
    write(folder)
    assert drawn == [6]
    assert tree(folder) == tree(whole)


def test_what_a_killed_call_leaves_behind_is_removed(whole, tmp_path):
    folder = tmp_path / "pf"
    write(folder)
    (folder / "checksums/2.sha256").unlink()
    (folder / ".part-2/images").mkdir(parents=True)
    (folder / ".part-2/images/sample_0.png").write_bytes(b"half")
    (folder / ".part-3").mkdir()
    (folder / ".manifest.json.123").write_text("{")
    (folder / "metadata/.combined.npy.123").write_bytes(b"half")
    write(folder)
    assert tree(folder) == tree(whole)
    assert not list(folder.glob(".part*"))


@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: (folder / "imgs/2/sample_1.png").unlink(),
        lambda folder: (folder / "imgs/2/sample_1.png").write_bytes(b""),
        lambda folder: (folder / "metadata/2.npy").unlink(),
        lambda folder: (folder / "metadata/2.npy").write_bytes(b"\x93NUMPY"),
        lambda folder: (folder / "checksums/2.sha256").write_text(""),
        lambda folder: (folder / "imgs/2/extra.png").write_bytes(b"extra"),
    ],
    ids=["image missing", "image empty", "rows missing", "rows cut", "checksums empty", "a file too many"],
)
def test_a_shard_that_is_visibly_damaged_is_written_anew(whole, tmp_path, damage):
    write(tmp_path / "pf")
    damage(tmp_path / "pf")
    write(tmp_path / "pf")
    assert tree(tmp_path / "pf") == tree(whole)


def test_verifying_reports_every_missing_and_damaged_file(whole, tmp_path):
    folder = tmp_path / "pf"
    write(folder)
    report = verify_pathfinder(folder, progress=False)
    # All but the manifest.
    assert (report.intact, report.files) == (True, len(tree(folder)) - 1)
    image = folder / "imgs/1/sample_2.png"
    data = bytearray(image.read_bytes())
    data[len(data) // 2] ^= 1
    image.write_bytes(data)
    (folder / "metadata/3.npy").unlink()
    (folder / "test_images.txt").write_text("pf/imgs/1/sample_0.png 0\n")
    report = verify_pathfinder(folder, progress=False)
    assert report.missing == ("metadata/3.npy",)
    assert report.damaged == ("test_images.txt", "imgs/1/sample_2.png")
    assert not report.intact
    # The repair that the documentation names.
    image.unlink()
    write(folder)
    assert verify_pathfinder(folder, progress=False).intact
    assert tree(folder) == tree(whole)


def test_damaged_checksums_are_reported_rather_than_trusted(tmp_path):
    write(tmp_path / "pf")
    (tmp_path / "pf/checksums/1.sha256").write_text("0" * 64 + "  imgs/1/sample_0.png\n")
    report = verify_pathfinder(tmp_path / "pf", progress=False)
    assert report.damaged == ("checksums/1.sha256",)


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_says_what_is_complete_and_what_is_needed(whole, tmp_path, monkeypatch, code):
    folder = tmp_path / "pf"
    with monkeypatch.context() as patch:
        stop_after(patch, 7, OSError(code, os.strerror(code)))
        with pytest.raises(
            OSError, match=r"3 of 7 images are complete.* needs about 1 MB more.*repeat the same"
        ) as got:
            write(folder)
    assert got.value.errno == code
    assert not list(folder.glob(".part*"))
    assert sorted(path.name for path in folder.glob("imgs/*")) == ["1"]
    write(folder)
    assert tree(folder) == tree(whole)


def test_the_room_that_is_said_to_be_needed_is_what_the_files_take(tmp_path):
    write(tmp_path / "pf", 60, shard_size=20)
    order = pathfinder_files.Order.checked(SMALL, 4, 60, 20, 0.3)
    files = [path.stat() for path in (tmp_path / "pf").rglob("*") if path.is_file()]
    taken = sum(512 * file.st_blocks for file in files)
    assert pathfinder_files._room(tmp_path, order, 60) == pytest.approx(taken, rel=0.25)


def test_other_errors_of_the_disk_are_passed_on_as_they_are(tmp_path, monkeypatch):
    stop_after(monkeypatch, 1, OSError(errno.EIO, "Input/output error"))
    with pytest.raises(OSError, match="Input/output error") as got:
        write(tmp_path / "pf")
    assert got.value.errno == errno.EIO


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"seed": 5}, ["`seed` was 4 and is now 5"]),
        ({"count": 8}, ["`count` was 7 and is now 8"]),
        ({"shard_size": 2, "test_fraction": 0.5}, ["`shard_size` was 3", "`test_fraction` was 0.3"]),
        (
            {"settings": replace(SMALL, continuity=1.5, distractors=2)},
            [f"`continuity` was {SMALL.continuity}", f"`distractors` was {SMALL.distractors}"],
        ),
    ],
)
def test_going_on_with_other_arguments_is_refused_by_name(whole, change, named):
    before = tree(whole)
    with pytest.raises(ValueError, match="begun with other arguments") as got:
        write(whole, **change)
    message = str(got.value)
    assert all(name in message for name in named)
    assert message.count(" and is now ") == len(named)
    assert tree(whole) == before


def test_other_versions_of_the_packages_are_recorded_beside_the_first(tmp_path):
    path = write(tmp_path / "pf")
    manifest = json.loads(path.read_text())
    today = manifest["versions"][0]
    manifest["versions"] = [today | {"numba": "0.1"}]
    path.write_text(json.dumps(manifest))
    write(tmp_path / "pf")
    assert json.loads(path.read_text())["versions"] == [today | {"numba": "0.1"}, today]


def test_a_folder_with_other_data_is_refused_and_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("precious")
    with pytest.raises(FileExistsError, match=r"`folder` is .*holds other data \(thesis.txt\)"):
        write(tmp_path)
    assert tree(tmp_path) == {"thesis.txt": b"precious"}


def test_a_folder_that_cannot_be_used_is_refused(tmp_path):
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(NotADirectoryError, match=r"`folder` is .*which is a file"):
        write(file)
    with pytest.raises(OSError, match=r"`folder` is .*which cannot be used"):
        write(file / "below")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_may_not_be_written_to_is_refused(tmp_path):
    tmp_path.chmod(0o500)
    for folder in (tmp_path, tmp_path / "pf"):
        with pytest.raises(OSError, match=r"`folder` is .*which cannot be used"):
            write(folder)


def test_a_folder_on_a_read_only_disk_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: not (mode & os.W_OK and Path(path) == tmp_path))
    with pytest.raises(OSError, match=r"`folder` is .*which cannot be used: Permission denied"):
        write(tmp_path)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"count": 0}, ValueError, "`count` is 0"),
        ({"count": 2.0}, TypeError, "`count` is 2.0"),
        ({"shard_size": 0}, ValueError, "`shard_size` is 0"),
        ({"workers": 0}, ValueError, "`workers` is 0"),
        ({"seed": -1}, ValueError, "`seed` is -1"),
        ({"seed": 2**64}, ValueError, "less than"),
        ({"settings": "6"}, TypeError, "`settings` is '6'"),
        ({"test_fraction": 1.0}, ValueError, "`test_fraction` is 1.0"),
        ({"test_fraction": -0.1}, ValueError, "`test_fraction` is -0.1"),
        ({"test_fraction": float("nan")}, ValueError, "`test_fraction` is nan"),
        ({"test_fraction": "0.1"}, TypeError, "`test_fraction` is '0.1'"),
        ({"count": 3, "test_fraction": 0.1}, ValueError, "leaves 3 of 3 images for training and 0 for testing"),
        ({"count": 1, "test_fraction": 0.9}, ValueError, "leaves 0 of 1 images for training"),
    ],
)
def test_bad_arguments_are_refused_before_anything_is_written(tmp_path, options, error, message):
    with pytest.raises(error, match=message):
        write(tmp_path / "pf", **options)
    assert not (tmp_path / "pf").exists()


def test_a_layout_that_does_not_fit_leaves_no_shard(tmp_path):
    impossible = replace(SMALL, contour_length=9, layout_tries=1)
    with pytest.raises(ValueError, match="found no layout"):
        write(tmp_path / "pf", settings=impossible)
    assert not list((tmp_path / "pf").rglob("*.png"))


def test_numbers_of_numpy_are_taken(tmp_path, whole):
    order = {"seed": np.int64(4), "count": np.int64(7), "shard_size": np.int32(3), "test_fraction": np.float64(0.3)}
    write(tmp_path / "pf", settings=replace(SMALL, image_size=np.int64(32)), **order)
    assert tree(tmp_path / "pf") == tree(whole)


def test_a_folder_without_a_readable_manifest_is_not_verified(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"has no manifest.json"):
        verify_pathfinder(tmp_path)
    (tmp_path / "manifest.json").write_text('{"format": "neuro')
    with pytest.raises(ValueError, match="is damaged"):
        verify_pathfinder(tmp_path)
    (tmp_path / "manifest.json").write_text('{"format": "another"}')
    with pytest.raises(ValueError, match="has the format 'another'"):
        verify_pathfinder(tmp_path)


def test_a_process_that_dies_is_reported_with_what_to_do():
    with pytest.raises(ChildProcessError, match=r"ran out of memory, or the script has no .*repeat the same call"):
        list(pathfinder_files._in_processes(partial(os._exit), [1, 2], 2))


@pytest.mark.slow
def test_processes_write_the_same_bytes_and_pass_errors_on(whole, tmp_path):
    write(tmp_path / "pf", workers=2)
    assert tree(tmp_path / "pf") == tree(whole)
    impossible = replace(SMALL, contour_length=9, layout_tries=1)
    with pytest.raises(ValueError, match="found no layout"):
        write(tmp_path / "other", settings=impossible, workers=2)


SCRIPT = """
from neurocircuit.stimuli import DIFFICULTIES, write_pathfinder
write_pathfinder({folder!r}, DIFFICULTIES["small"], 4, 3000, shard_size=50, test_fraction=0.3)
"""


@pytest.mark.slow
def test_a_call_that_was_killed_goes_on_to_the_same_bytes(tmp_path):
    folder = tmp_path / "killed/pf"
    process = subprocess.Popen([sys.executable, "-c", SCRIPT.format(folder=str(folder))])
    while not (folder / "checksums/5.sha256").exists():
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert len(list(folder.glob("checksums/*"))) < 60
    for name in ("killed", "straight"):
        write(tmp_path / name / "pf", 3000, shard_size=50)
    assert tree(folder) == tree(Path(tmp_path, "straight/pf"))
