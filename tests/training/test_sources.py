"""The data of a step follow from the seed and the step alone."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tiny_training import SOURCE
from torch.utils.data import IterableDataset, TensorDataset

from neurocircuit.training import DatasetSource, TensorSource
from neurocircuit.training.seeding import Purpose, derived_seed, seeded
from neurocircuit.training.sources import load_batches


def numbered(size):
    return TensorDataset(torch.arange(size).float()[:, None], torch.arange(size) % 2)


def noisy(sample, generator):
    value, label = sample
    return value + torch.randn(1, generator=generator), label


@given(size=st.integers(1, 40), batch=st.integers(1, 17), seed=st.integers(0, 2**40), epochs=st.integers(1, 3))
def test_every_epoch_shows_every_sample_once_whatever_the_batch(size, batch, seed, epochs):
    source = DatasetSource(numbered(size))
    total = size * epochs
    ranges = [range(first, min(first + batch, total)) for first in range(0, total, batch)]
    seen = torch.cat([source.batch(seed, positions)[0][:, 0] for positions in ranges]).long().tolist()
    assert seen == [index for positions in ranges for index in source.indices(seed, positions)]
    for epoch in range(epochs):
        assert sorted(seen[epoch * size : (epoch + 1) * size]) == list(range(size))


@given(size=st.integers(1, 40), seed=st.integers(0, 2**40), shuffle=st.booleans(), data=st.data())
def test_tensors_in_memory_give_the_batches_of_the_data_set_that_holds_them(size, seed, shuffle, data):
    dataset = numbered(size)
    first = data.draw(st.integers(0, 3 * size))
    positions = range(first, first + data.draw(st.integers(1, 20)))
    fast, slow = TensorSource(*dataset.tensors, shuffle=shuffle), DatasetSource(dataset, shuffle=shuffle)
    assert fast.size == slow.size
    assert fast.indices(seed, positions) == slow.indices(seed, positions)
    for found, expected in zip(fast.batch(seed, positions), slow.batch(seed, positions), strict=True):
        assert torch.equal(found, expected)


def test_tensors_of_different_lengths_or_none_are_refused():
    with pytest.raises(ValueError, match="`inputs` has 3 samples and `targets` 2"):
        TensorSource(torch.zeros(3, 1), torch.zeros(2))
    with pytest.raises(ValueError, match="is empty"):
        TensorSource(torch.zeros(0, 1), torch.zeros(0))


def test_epochs_and_seeds_have_orders_of_their_own():
    source = DatasetSource(numbered(50))
    orders = {tuple(source.indices(seed, range(e * 50, e * 50 + 50))) for seed in (0, 1) for e in range(3)}
    assert len(orders) == 6


@given(st.data())
def test_augmentation_follows_from_seed_epoch_and_index_only(data):
    source = DatasetSource(numbered(9), augment=noisy)
    whole = source.batch(4, range(27))[0]
    first = data.draw(st.integers(0, 26))
    last = data.draw(st.integers(first + 1, 27))
    assert torch.equal(source.batch(4, range(first, last))[0], whole[first:last])
    noise = whole[:, 0] - torch.tensor(source.indices(4, range(27)))
    assert len(set(noise.tolist())) == 27


def test_without_shuffling_the_order_is_the_data_sets_own():
    source = DatasetSource(numbered(4), shuffle=False)
    assert source.indices(3, range(2, 7)) == [2, 3, 0, 1, 2]


@pytest.mark.parametrize("source", [SOURCE, DatasetSource(numbered(10), augment=noisy)], ids=["stream", "dataset"])
def test_workers_do_not_change_the_batches(source):
    ranges = [range(first, first + 4) for first in range(0, 24, 4)]
    expected = [source.batch(2, positions) for positions in ranges]
    for workers in (0, 2):
        found = list(load_batches(source, 2, ranges, workers=workers))
        assert len(found) == len(expected)
        for (inputs, targets), (other_inputs, other_targets) in zip(found, expected, strict=True):
            assert torch.equal(inputs, other_inputs)
            assert torch.equal(targets, other_targets)


def test_loading_leaves_the_global_generator_alone():
    before = torch.get_rng_state()
    list(load_batches(SOURCE, 0, [range(3)], workers=1))
    assert torch.equal(torch.get_rng_state(), before)


def test_an_empty_or_endless_data_set_is_refused():
    with pytest.raises(ValueError, match="`dataset` is empty"):
        DatasetSource([])

    class Endless(IterableDataset):
        def __iter__(self):
            return iter([])

    with pytest.raises(TypeError, match="a Endless without a length; use StreamSource"):
        DatasetSource(Endless())


def test_seeded_blocks_repeat_and_restore_the_global_generator():
    before = torch.get_rng_state()
    with seeded(1):
        first = torch.rand(3)
    with seeded(1):
        second = torch.rand(3)
    with seeded(2):
        third = torch.rand(3)
    assert torch.equal(first, second)
    assert not torch.equal(first, third)
    assert torch.equal(torch.get_rng_state(), before)


def test_seeds_of_other_purposes_and_places_differ():
    places = [(seed, purpose, *place) for seed in range(3) for purpose in Purpose for place in [(), (0,), (1,), (0, 1)]]
    assert len({derived_seed(*place) for place in places}) == len(places)
