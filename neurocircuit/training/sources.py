"""Training data addressed by position: which samples step k sees follows from the seed and k alone.

Position p is the p-th sample of a run, counted from 0 over all epochs and processes. Step k of a run with batches of B
samples takes positions k B to (k+1) B - 1, and process r of R its r-th share of them.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence, Sized
from functools import lru_cache
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, TensorDataset, default_collate

from neurocircuit.training.seeding import Purpose, derived_seed, permutation

__all__ = ["Batch", "DatasetSource", "Source", "StreamSource", "TensorSource", "load_batches"]

#: Inputs and targets; targets are whatever the loss takes: a tensor, or a tuple of tensors and of what needs no device.
Batch = tuple[Tensor, Any]


class Source(Protocol):
    """What training data must offer. Both methods are pure: same seed and positions, same result."""

    @property
    def size(self) -> int | None:
        """Number of different samples; None if there are always fresh ones."""

    def indices(self, seed: int, positions: range) -> list[int]:
        """Return the index of the sample at each position: what an error names."""

    def batch(self, seed: int, positions: range) -> Batch:
        """Return inputs and targets, batch axis first, of the samples at these positions."""


class StreamSource:
    """Fresh samples for ever, from a function of a seed and indices; index and position are the same.

    Parameters
    ----------
    function : callable
        ``function(seed, indices)`` with a list of integers returns inputs and targets, batch axis first. Sample i of a
        seed must not depend on the other indices.

    Examples
    --------
    >>> def parity(seed, indices):
    ...     numbers = torch.tensor(indices)
    ...     return numbers[:, None].float(), numbers % 2
    >>> StreamSource(parity).batch(0, range(3, 5))
    (tensor([[3.],
            [4.]]), tensor([1, 0]))
    """

    size: int | None = None

    def __init__(self, function: Callable[[int, list[int]], Batch]) -> None:
        self.function = function

    def indices(self, seed: int, positions: range) -> list[int]:
        """Return the positions themselves."""
        return list(positions)

    def batch(self, seed: int, positions: range) -> Batch:
        """Return inputs and targets, batch axis first, of the samples at these positions."""
        return self.function(seed, list(positions))


class DatasetSource:
    """A finite data set, in a new order each epoch, optionally augmented.

    Epochs follow each other without a gap: a batch may hold the end of one and the beginning of the next, and no sample
    is left out.

    Parameters
    ----------
    dataset : torch Dataset with a length
        ``dataset[i]`` is (input, target).
    augment : callable, optional
        ``augment(sample, generator)`` returns the changed sample; the torch generator is seeded from seed, epoch and
        index. Give it for training, not for validation.
    shuffle : bool
        Whether the order is a permutation that follows from seed and epoch; False keeps the data set's own.

    Raises
    ------
    ValueError
        If the data set is empty.
    TypeError
        If it has no length.
    """

    def __init__(
        self,
        dataset: Dataset[Any] | Sequence[Any],
        *,
        augment: Callable[[Any, torch.Generator], Any] | None = None,
        shuffle: bool = True,
    ) -> None:
        if not isinstance(dataset, Sized):
            raise TypeError(f"`dataset` is a {type(dataset).__name__} without a length; use StreamSource for streams.")
        if len(dataset) == 0:
            raise ValueError("`dataset` is empty; it must hold at least one sample.")
        self.dataset = dataset
        self.augment = augment
        self.shuffle = shuffle
        self.size: int | None = len(dataset)

    def indices(self, seed: int, positions: range) -> list[int]:
        """Return the index in the data set of the sample at each position."""
        return [index for _, index in self._places(seed, positions)]

    def batch(self, seed: int, positions: range) -> Batch:
        """Return inputs and targets, batch axis first, of the samples at these positions."""
        inputs, targets = default_collate([self._sample(seed, *place) for place in self._places(seed, positions)])
        return inputs, targets

    def _places(self, seed: int, positions: range) -> list[tuple[int, int]]:
        size = len(self.dataset)
        places = [divmod(position, size) for position in positions]
        if not self.shuffle:
            return places
        return [(epoch, int(_order(size, seed, epoch)[at])) for epoch, at in places]

    def _sample(self, seed: int, epoch: int, index: int) -> Any:
        sample = self.dataset[index]
        if self.augment is None:
            return sample
        generator = torch.Generator()
        generator.manual_seed(derived_seed(seed, Purpose.AUGMENTATION, epoch, index))
        return self.augment(sample, generator)


class TensorSource(DatasetSource):
    """A finite data set that is two tensors in memory, without augmentation: the batches of `DatasetSource`, faster.

    A batch is one indexing of each tensor, where `DatasetSource` fetches and stacks sample by sample.

    Parameters
    ----------
    inputs, targets : tensor
        Of one length, sample axis first.
    shuffle : bool
        As for `DatasetSource`.

    Raises
    ------
    ValueError
        If the lengths differ, or are zero.
    """

    def __init__(self, inputs: Tensor, targets: Tensor, *, shuffle: bool = True) -> None:
        if len(inputs) != len(targets):
            raise ValueError(f"`inputs` has {len(inputs)} samples and `targets` {len(targets)}; they must be as many.")
        super().__init__(TensorDataset(inputs, targets), shuffle=shuffle)
        self.inputs, self.targets = inputs, targets

    def batch(self, seed: int, positions: range) -> Batch:
        """Return inputs and targets, batch axis first, of the samples at these positions."""
        index = torch.tensor(self.indices(seed, positions))
        return self.inputs.index_select(0, index), self.targets.index_select(0, index)


@lru_cache(maxsize=2)
def _order(size: int, seed: int, epoch: int) -> NDArray[np.int64]:
    # A batch touches at most two epochs unless it is larger than the data set.
    return permutation(size, seed, epoch)


class _Batches(Dataset[Batch]):
    """Batches as a map-style data set, whose keys are ranges of positions."""

    def __init__(self, source: Source, seed: int) -> None:
        self.source = source
        self.seed = seed

    def __getitem__(self, positions: range) -> Batch:
        return self.source.batch(self.seed, positions)


def _as_it_is(batch: Any) -> Any:
    # The loader's default turns tuples into lists.
    return batch


def load_batches(
    source: Source, seed: int, shares: Sequence[range], *, workers: int = 0, pin_memory: bool = False
) -> Generator[Batch, None, None]:
    """Yield the batch of every range of positions, in their order; `workers` processes prepare them."""
    loader: DataLoader[Batch] = DataLoader(
        _Batches(source, seed),
        batch_size=None,
        sampler=shares,
        num_workers=workers,
        pin_memory=pin_memory,
        collate_fn=_as_it_is,
        # Without its own generator the loader draws from torch's global one.
        generator=torch.Generator(),
    )
    yield from loader
