"""What inspection reports is what the network does, and the network is left as it was."""

import copy

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from neurocircuit.analysis import gradient_flow, hgru_activity, hgru_gates, kernel_summary
from neurocircuit.cells import HGRUCell
from neurocircuit.circuits import two_pool_circuit
from neurocircuit.connectivity import Box
from neurocircuit.networks import HGRUClassifier

SIZES = {"channels": 4, "kernel_size": 5, "steps": 3}


@pytest.fixture(params=["paper", "batchnorm"])
def network(request):
    torch.manual_seed(1)
    return HGRUClassifier(**SIZES, variant=request.param).double()


@pytest.fixture
def image():
    return torch.rand(2, 1, 9, 10, dtype=torch.float64, generator=torch.Generator().manual_seed(3))


def test_activity_is_that_of_unrolling_after_the_initial_state(network, image):
    found = hgru_activity(network, image)
    assert found.h2.dims == ("step", "batch", "channel", "y", "x")
    assert found.step.values.tolist() == [0, 1, 2, 3]
    assert not found.h2.sel(step=0).any()
    with torch.no_grad():
        expected = list(network.eval().states(image))
        np.testing.assert_array_equal(found.drive, network.filters(image))
    for step, state in enumerate(expected, start=1):
        np.testing.assert_array_equal(found.h1.sel(step=step), state.h1)
        np.testing.assert_array_equal(found.h2.sel(step=step), state.h2)


def test_activity_may_be_cut_short(network, image):
    assert hgru_activity(network, image, steps=2).sizes["step"] == 3


def test_a_learned_start_is_the_first_sample(image):
    network = HGRUClassifier(**SIZES, initial_state="learned").double()
    torch.nn.init.constant_(network.cell.start, 0.3)
    assert (hgru_activity(network, image).h2.sel(step=0) == 0.3).all()


@pytest.mark.parametrize("update", ["staggered", "simultaneous"])
def test_gates_are_those_that_explain_the_activity(network, image, update):
    network.cell.update = update
    activity, gates = hgru_activity(network, image), hgru_gates(network, image)
    assert gates.step.values.tolist() == [1, 2, 3]
    assert gates.gain.min() > 0
    assert gates.mixing.max() < 1
    cell = network.cell
    with torch.no_grad():
        for step in (1, 2, 3):
            # The first gate, from the bilinear form of its definition; the second, from what it mixes.
            h2, h1 = (torch.from_numpy(activity[name].sel(step=step - 1).values) for name in ("h2", "h1"))
            new = torch.from_numpy(activity.h1.sel(step=step).values)
            raw = F.conv2d(h2, cell.gain_gate.weight, cell.gain_gate.bias)
            source = new if update == "staggered" else h1
            c2 = F.conv2d(source, cell.excitation.kernel(), padding=2)
            if cell.variant == "batchnorm":
                raw, c2 = (
                    torch.nn.functional.batch_norm(f, n.running_mean, n.running_var, n.weight, n.bias, eps=1e-3)
                    for f, n in zip((raw, c2), (cell.norms[4 * step - 4], cell.norms[4 * step - 1]), strict=True)
                )
            np.testing.assert_allclose(gates.gain.sel(step=step), torch.sigmoid(raw), atol=1e-12)
            zeta = torch.tanh if cell.variant == "paper" else torch.relu
            candidate = zeta(cell.kappa * source + cell.gamma * c2 + cell.omega * source * c2)
            mixing = torch.from_numpy(gates.mixing.sel(step=step).values)
            mixed = (1 - mixing) * h2 + mixing * candidate
            scale = cell.time_gains[step - 1] if cell.variant == "paper" else 1
            np.testing.assert_allclose(activity.h2.sel(step=step), scale * mixed, atol=1e-12)
    assert candidate.abs().max() > 1e-3


def test_kernels_are_shown_with_their_means_sums_and_strength(network):
    found = kernel_summary(network.cell)
    names = {"paper": ["shared"], "batchnorm": ["inhibition", "excitation"]}[network.cell.variant]
    assert found.kernel.values.tolist() == names
    assert found.x.values.tolist() == [-2, -1, 0, 1, 2]
    for name in names:
        lateral = network.cell.inhibition if name == "shared" else getattr(network.cell, name)
        weight, one = lateral.kernel().detach().numpy(), found.sel(kernel=name)
        np.testing.assert_array_equal(one.weight, weight)
        same = [weight[k, k] for k in range(4)]
        other = [weight[k, m] for k in range(4) for m in range(4) if k != m]
        np.testing.assert_allclose(one.within, np.mean(same, 0), atol=1e-15)
        np.testing.assert_allclose(one.between, np.mean(other, 0), atol=1e-15)
        np.testing.assert_allclose(one.net, weight.sum((2, 3)), atol=1e-14)
        np.testing.assert_allclose(one.strength, np.sqrt((weight**2).sum((0, 1))))


def test_kernels_of_different_sizes_share_their_centre():
    cell = HGRUCell.from_circuit(two_pool_circuit(Box(3), Box(7)), channels=1)
    found = kernel_summary(cell)
    assert found.sizes["x"] == 7
    assert found.within.sel(kernel="inhibition").sum() == pytest.approx(1)
    assert (found.within.sel(kernel="inhibition", x=[-3, -2, 2, 3]) == 0).all()
    assert found.between.isnull().all()


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("recompute", [True, False])
def test_gradient_flow_is_autograds(network, image, training, recompute):
    label = torch.tensor([0, 1])
    network.train(training).cell.recompute = recompute
    found = gradient_flow(network, image, label)
    other = copy.deepcopy(network)
    other.cell.recompute = False
    states = list(other.states(image))
    for state in states:
        state.h1.retain_grad()
        state.h2.retain_grad()
    loss = F.cross_entropy(other.read_out(states[-1].h2), label)
    loss.backward()
    np.testing.assert_allclose(found.h1, [state.h1.grad.norm() for state in states], rtol=1e-10)
    np.testing.assert_allclose(found.h2, [state.h2.grad.norm() for state in states], rtol=1e-10)
    for name, parameter in other.named_parameters():
        expected = parameter.grad.norm().item()
        assert found.parameter_gradient.sel(parameter=name).item() == pytest.approx(expected, rel=1e-8, abs=1e-14)
    assert found.attrs["loss"] == pytest.approx(loss.item())


def test_frozen_parameters_have_no_gradient_to_show(network, image):
    network.filters.requires_grad_(False)
    found = gradient_flow(network, image, torch.tensor([0, 1]))
    assert not any(name.startswith("filters") for name in found.parameter.values)


def test_inspection_leaves_the_network_as_it_was(network, image):
    network.train()
    network.read_out.eval()
    before, modes = copy.deepcopy(network.state_dict()), [module.training for module in network.modules()]
    hgru_activity(network, image)
    hgru_gates(network, image)
    kernel_summary(network.cell)
    gradient_flow(network, image, torch.tensor([0, 1]))
    assert [module.training for module in network.modules()] == modes
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert all(parameter.grad is None for parameter in network.parameters())


def test_labels_that_do_not_match_the_images_are_refused(network, image):
    with pytest.raises(ValueError, match=r"`label` has the shape \(3,\); 2 images need \(2,\)"):
        gradient_flow(network, image, torch.tensor([0, 1, 1]))
