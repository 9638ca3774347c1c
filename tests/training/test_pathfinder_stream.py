"""Pathfinder images as a stream: those of the files, whatever is asked for together."""

import pickle

import torch
from hypothesis import given
from hypothesis import strategies as st

from neurocircuit.stimuli import DIFFICULTIES, PathfinderFiles, write_pathfinder
from neurocircuit.training import DatasetSource, pathfinder_stream

SMALL = DIFFICULTIES["small"]


def test_the_stream_has_the_images_of_the_files(tmp_path):
    write_pathfinder(tmp_path / "pf", SMALL, 1, 4, test_fraction=0, progress=False)
    files = DatasetSource(PathfinderFiles(tmp_path / "pf/train_images.txt"), shuffle=False)
    stream = pathfinder_stream(SMALL)
    for drawn, read in zip(stream.batch(1, range(4)), files.batch(1, range(4)), strict=True):
        assert drawn.dtype == read.dtype
        assert torch.equal(drawn, read)


@given(st.data())
def test_a_batch_of_the_stream_depends_on_seed_and_position_only(data):
    whole, labels = pathfinder_stream(SMALL).batch(7, range(20))
    first = data.draw(st.integers(0, 19))
    positions = range(first, data.draw(st.integers(first + 1, 20)))
    images, part = pathfinder_stream(SMALL).batch(7, positions)
    assert images.shape == (len(positions), 1, 32, 32)
    assert float(images.min()) == 0
    assert float(images.max()) <= 1
    assert torch.equal(images, whole[positions.start : positions.stop])
    assert torch.equal(part, labels[positions.start : positions.stop])


def test_the_stream_can_be_sent_to_other_processes():
    stream = pickle.loads(pickle.dumps(pathfinder_stream(SMALL)))
    assert torch.equal(stream.batch(0, range(2))[0], pathfinder_stream(SMALL).batch(0, range(2))[0])
