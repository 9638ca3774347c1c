"""Angles between updates and the true gradient: by hand where they are known, and over training."""

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from neurocircuit.analysis.feedback_alignment import gradient_angles
from neurocircuit.analysis.locally_connected import train_spatial
from neurocircuit.analysis.spatial_recipes import SPATIAL_RECIPES
from neurocircuit.cells import FeedbackChain
from neurocircuit.errors import NonFiniteError
from neurocircuit.networks import SPATIAL_LAYOUTS, SpatialNet
from neurocircuit.stimuli import load_image_set


def squared_error(outputs, targets):
    return ((outputs - targets) ** 2).sum() / 2


@pytest.mark.parametrize("feedback", ["random", "direct"])
def test_the_angle_of_a_linear_layer_is_that_of_its_error_vectors(feedback):
    # One sample: the gradient of the first weights is the outer product of the error that arrives and the input, so
    # its angle is that between W2^T e and B^T e.
    torch.manual_seed(0)
    layers = [nn.Linear(3, 4, bias=False), nn.Linear(4, 2, bias=False)]
    chain = FeedbackChain(layers, [nn.Identity()] * 2, sample_shape=(3,), feedback=feedback, seed=1).double()
    x, target = torch.randn(1, 3).double(), torch.randn(1, 2).double()
    w1, w2 = (layer.weight.detach().numpy() for layer in chain.layers)
    e = x.numpy() @ w1.T @ w2.T - target.numpy()
    b = chain.feedback_weight(1 if feedback == "random" else 0).numpy()
    true, update = (e @ w2).ravel(), (e @ b).ravel()
    wanted = np.degrees(np.arccos(true @ update / np.linalg.norm(true) / np.linalg.norm(update)))
    first, last = gradient_angles(chain, x, target, loss=squared_error)
    assert first == pytest.approx(wanted, abs=1e-9)
    assert last == 0


@pytest.mark.parametrize(("sign", "wanted"), [(1.0, 0.0), (-1.0, 180.0)])
def test_angles_reach_from_the_same_direction_to_the_opposite_one(sign, wanted):
    layers = [nn.Linear(3, 4), nn.Linear(4, 2)]
    chain = FeedbackChain(layers, [nn.Tanh(), nn.Identity()], sample_shape=(3,), feedback="random")
    chain.feedback_weight(1).copy_(sign * 3 * layers[1].weight.detach())
    angles = gradient_angles(chain, torch.randn(5, 3), torch.tensor([0, 1, 1, 0, 1]))
    assert angles == pytest.approx((wanted, 0.0), abs=1e-3)


def test_backpropagation_has_no_angle_and_a_random_direction_has_a_right_one():
    images, labels = torch.randn(16, 1, 8, 8), torch.arange(16) % 10
    settings = SPATIAL_LAYOUTS["small"]
    assert gradient_angles(SpatialNet(settings), images, labels) == (0.0,) * 4
    starts = [
        gradient_angles(SpatialNet(replace(settings, feedback="random"), seed=seed), images, labels)[:-1]
        for seed in range(20)
    ]
    assert np.mean(starts) == pytest.approx(90, abs=3)


def test_the_network_is_not_changed():
    network = SpatialNet(replace(SPATIAL_LAYOUTS["small"], feedback="direct"))
    before = copy.deepcopy(network.state_dict())
    state = torch.get_rng_state()
    images, labels = torch.randn(8, 1, 8, 8), torch.arange(8)
    torch.set_rng_state(state)
    gradient_angles(network, images, labels)
    assert torch.equal(torch.get_rng_state(), state)
    for name, value in network.state_dict().items():
        assert torch.equal(value, before[name]), name
    assert all(parameter.grad is None for parameter in network.parameters())
    assert network.chain.feedback == "direct"


def test_dropout_is_the_same_for_update_and_gradient():
    layers = [nn.Linear(6, 8), nn.Linear(8, 3)]
    after = [nn.Sequential(nn.ReLU(), nn.Dropout(0.5)), nn.Identity()]
    chain = FeedbackChain(layers, after, sample_shape=(6,), feedback="random")
    chain.feedback_weight(1).copy_(layers[1].weight.detach())
    assert gradient_angles(chain, torch.randn(9, 6), torch.arange(9) % 3) == (0.0, 0.0)


def test_an_angle_that_does_not_exist_is_no_number():
    layers = [nn.Linear(2, 2), nn.Linear(2, 2)]
    with torch.no_grad():
        layers[0].bias.fill_(-100.0)
    chain = FeedbackChain(layers, [nn.ReLU(), nn.Identity()], sample_shape=(2,), feedback="random")
    # All hidden units are silent.
    first, last = gradient_angles(chain, torch.randn(4, 2), torch.tensor([0, 1, 0, 1]))
    assert np.isnan(first)
    assert np.isnan(last)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_gradients_that_are_not_finite_have_no_angle(value):
    layers = [nn.Linear(2, 3), nn.Linear(3, 2)]
    chain = FeedbackChain(layers, [nn.Identity()] * 2, sample_shape=(2,), feedback="random")
    with pytest.raises(NonFiniteError, match=r"Layer 1, counted from 1, has an update of norm (nan|inf)"):
        gradient_angles(chain, torch.full((1, 2), value), torch.zeros(1, 2), loss=squared_error)


def test_a_frozen_layer_has_no_angle():
    layers = [nn.Linear(2, 3), nn.Linear(3, 2)]
    chain = FeedbackChain(layers, [nn.Identity()] * 2, sample_shape=(2,), feedback="random")
    layers[0].requires_grad_(False)
    with pytest.raises(ValueError, match=r"`network` does not train its layers \[1\], counted from 1"):
        gradient_angles(chain, torch.ones(1, 2), torch.zeros(1, 2), loss=squared_error)


def test_a_network_without_a_choice_of_feedback_is_refused():
    with pytest.raises(ValueError, match="`network` contains 0 chains"):
        gradient_angles(nn.Linear(2, 2), torch.zeros(1, 2), torch.zeros(1, dtype=torch.int64))


@pytest.mark.parametrize("name", ["local-random", "local-direct"])
def test_angles_fall_below_90_degrees_during_training(name, tmp_path):
    recipe = SPATIAL_RECIPES["digits"].with_training(steps=200, evaluate_every=100)
    found = train_spatial(name, recipe, load_image_set("digits"), 0, tmp_path)
    hidden = found.angles.isel(layer=slice(None, -1))
    assert hidden.sel(step=0).max() > 90
    assert hidden.sel(step=200).max() < 90
    assert hidden.sel(step=200).mean() < hidden.sel(step=0).mean() - 15
    # And the network has learned: digits have ten classes.
    assert found.row["low"] > 0.5
