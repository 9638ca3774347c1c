"""A task and a model small enough to train in a test, in files of their own so that other processes can import them."""

import torch
from torch import nn

from neurocircuit.training import StreamSource, TrainingConfig, seeded

CONFIG = TrainingConfig(
    steps=24, batch_size=6, seed=5, evaluation_samples=20, evaluate_every=8, checkpoint_every=5, log_every=4
)


def images(seed, indices):
    """Return noise images, and whether each is lighter on the left than on the right."""
    generators = [torch.Generator().manual_seed(seed * 1_000_003 + index) for index in indices]
    inputs = torch.stack([torch.randn(1, 6, 6, generator=generator) for generator in generators])
    return inputs, (inputs[..., :3].mean((1, 2, 3)) > inputs[..., 3:].mean((1, 2, 3))).long()


SOURCE = StreamSource(images)


def classifier(*, dropout=0.0, norm=False, seed=11):
    """Return a convolutional net with a read-out for two classes."""
    with seeded(seed):
        middle = [nn.BatchNorm2d(3)] if norm else []
        parts = [nn.Conv2d(1, 3, 3), *middle, nn.ReLU(), nn.Dropout(dropout), nn.Flatten(), nn.Linear(48, 2)]
        return nn.Sequential(*parts)


def weights(model):
    """Return a copy of a model's weights and buffers."""
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def same_bits(first, second):
    """Return whether two sets of weights are equal bit for bit."""
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)
