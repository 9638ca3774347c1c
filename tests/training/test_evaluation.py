"""Evaluation is the exact mean over its samples, and leaves everything as it was."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_training import SOURCE, classifier, images
from torch import nn
from torch.nn.functional import cross_entropy
from torch.utils.data import TensorDataset

from neurocircuit.errors import NonFiniteError
from neurocircuit.training import DatasetSource, Objective, StreamSource, evaluate
from neurocircuit.training.evaluation import classification_loss


@settings(max_examples=20)
@given(samples=st.integers(1, 40), batch=st.integers(1, 50))
def test_means_are_exact_over_uneven_batches(samples, batch):
    model = classifier().double()
    inputs, targets = images(3, range(samples))
    with torch.no_grad():
        outputs = model(inputs.double())
    found = evaluate(model, SOURCE, samples, seed=3, batch_size=batch)
    assert found.loss == pytest.approx(float(cross_entropy(outputs, targets)), rel=1e-12)
    assert found.accuracy == (outputs.argmax(1) == targets).double().mean()
    assert found.samples == samples


@pytest.mark.parametrize(("right", "count"), [(0, 10), (45, 50), (50, 50)])
def test_the_interval_is_wilsons(right, count):
    targets = (torch.arange(count) < right).long()
    always_one = nn.Linear(1, 2)
    with torch.no_grad():
        always_one.weight.zero_()
        always_one.bias.copy_(torch.tensor([0.0, 1.0]))
    found = evaluate(always_one, DatasetSource(TensorDataset(torch.zeros(count, 1), targets)))
    z, p = 1.959963984540054, right / count
    centre = (p + z * z / (2 * count)) / (1 + z * z / count)
    half = z * math.sqrt(p * (1 - p) / count + z * z / (4 * count * count)) / (1 + z * z / count)
    assert found.accuracy == p
    assert found.low == pytest.approx(max(centre - half, 0), abs=1e-12)
    assert found.high == pytest.approx(min(centre + half, 1), abs=1e-12)


def test_modes_weights_and_the_global_generator_are_left_as_they_were():
    model = classifier(dropout=0.5, norm=True)
    model[1].eval()
    modes = [module.training for module in model.modules()]
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    state = torch.get_rng_state()
    first = evaluate(model, SOURCE, 30)
    assert first == evaluate(model, SOURCE, 30, workers=1)
    assert [module.training for module in model.modules()] == modes
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    assert torch.equal(torch.get_rng_state(), state)


def test_a_model_that_draws_random_numbers_repeats():
    class Noisy(nn.Linear):
        def forward(self, x):
            return super().forward(x.flatten(1)) + torch.randn(len(x), 2)

    model = Noisy(36, 2)
    assert evaluate(model, SOURCE, 25) == evaluate(model, SOURCE, 25)
    assert evaluate(model, SOURCE, 25) != evaluate(model, SOURCE, 25, seed=1)


def test_targets_may_be_several_tensors():
    def masked(seed, indices):
        inputs, targets = images(seed, indices)
        return inputs, (targets, torch.tensor(indices) % 2 == 0)

    def loss(outputs, targets):
        return cross_entropy(outputs[targets[1]], targets[0][targets[1]])

    def correct(outputs, targets):
        return (outputs.argmax(1) == targets[0])[targets[1]]

    found = evaluate(classifier(), StreamSource(masked), 20, batch_size=4, objective=Objective(loss, correct))
    assert found.samples == 10
    inputs, targets = images(0, range(0, 20, 2))
    assert found.loss == pytest.approx(cross_entropy(classifier()(inputs), targets).item(), rel=1e-6)


def test_the_number_of_samples_is_checked():
    with pytest.raises(ValueError, match="`samples` is None but the source has no end"):
        evaluate(classifier(), SOURCE)
    with pytest.raises(ValueError, match="`samples` is 0; it must be at least 1"):
        evaluate(classifier(), SOURCE, 0)
    finite = DatasetSource(TensorDataset(*images(0, range(5))))
    with pytest.raises(ValueError, match="`samples` is 6; it must be at least 1 and at most 5"):
        evaluate(classifier(), finite, 6)


def test_a_loss_that_is_not_finite_names_the_samples():
    def holed(seed, indices):
        inputs, targets = images(seed, indices)
        inputs[[index == 7 for index in indices]] = math.nan
        return inputs, targets

    with pytest.raises(NonFiniteError, match=r"The loss of the evaluation samples \[6, 7, 8\] of seed 2 is nan"):
        evaluate(classifier(), StreamSource(holed), 12, seed=2, batch_size=3)


@pytest.mark.parametrize("label", [-100, -1, 2])
def test_a_label_that_is_no_class_is_refused(label):
    targets = torch.tensor([0, label, 1])
    with pytest.raises(ValueError, match=rf"label {label} at place 1 .* must be 0 to 1"):
        classification_loss(torch.zeros(3, 2), targets)


def test_the_classification_loss_is_the_mean_negative_log_probability():
    logits, targets = torch.tensor([[0.0, 1.0], [2.0, -1.0]], dtype=torch.float64), torch.tensor([0, 1])
    expected = np.mean([np.log(1 + np.exp(1.0)), np.log(1 + np.exp(3.0))])
    assert float(classification_loss(logits, targets)) == pytest.approx(expected)
