"""The fast rank rule is the rule of the paper, and its standard normal start is what recruits the units."""

import dataclasses
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from literal_rank_rule import literal_currents, literal_step
from sklearn.datasets import load_digits

from neurocircuit.errors import NonFiniteError
from neurocircuit.plasticity import CentredUnitNorm, RankRule, currents, initial_weights, rank_step, unit_norms
from neurocircuit.plasticity.rank_rule import RankLearner


def problem(n_hidden, n_inputs, batch, seed, scale=1.0):
    """Return weights, some of norm near 1 and some longer, and centred images."""
    rng = np.random.default_rng(seed)
    weights = rng.standard_normal((n_hidden, n_inputs)) * rng.uniform(0.1, 1.0, (n_hidden, 1)) * scale
    return torch.from_numpy(weights), torch.from_numpy(rng.standard_normal((batch, n_inputs)))


@given(
    n_hidden=st.integers(2, 12),
    n_inputs=st.integers(1, 15),
    batch=st.integers(1, 20),
    p=st.sampled_from([1.0, 1.3, 2.0, 2.5, 3.0, 4.0]),
    rank=st.floats(0, 1),
    delta=st.floats(0, 2),
    step_size=st.floats(0, 0.5),
    seed=st.integers(0, 1000),
)
def test_an_update_is_that_of_the_equations_written_out(n_hidden, n_inputs, batch, p, rank, delta, step_size, seed):
    rule = RankRule(p=p, k=2 + round(rank * (n_hidden - 2)), delta=delta)
    weights, inputs = problem(n_hidden, n_inputs, batch, seed)
    before = weights.clone()
    found = rank_step(weights, inputs, rule, step_size)
    expected = literal_step(weights.numpy(), inputs.numpy(), rule, step_size)
    np.testing.assert_allclose(found.numpy(), expected, rtol=0, atol=1e-10)
    assert torch.equal(weights, before)


@given(p=st.sampled_from([1.0, 1.5, 2.0, 3.0, 4.5]), seed=st.integers(0, 100))
def test_currents_are_those_of_equation_2(p, seed):
    weights, inputs = problem(5, 7, 4, seed)
    np.testing.assert_allclose(currents(weights, inputs, p), literal_currents(weights.numpy(), inputs.numpy(), p))


@pytest.mark.parametrize("p", [1.0, 2.0, 3.0])
def test_a_zero_weight_gives_no_current_and_no_nan(p):
    assert currents(torch.zeros(2, 3), torch.ones(1, 3), p).tolist() == [[0.0, 0.0]]


@pytest.mark.parametrize("p", [2.0, 3.0, 2.5])
def test_many_updates_in_place_are_those_of_the_equations(p):
    rule = RankRule(p=p, k=3, delta=0.3)
    weights, inputs = problem(15, 20, 300, 1)
    expected = weights.numpy().copy()
    learner = RankLearner(weights, rule)
    for batch in inputs.split(10):
        winners = learner.step(batch, 0.05)
        assert winners.tolist() == literal_currents(expected, batch.numpy(), p).argmax(axis=1).tolist()
        expected = literal_step(expected, batch.numpy(), rule, 0.05)
    np.testing.assert_allclose(weights.numpy(), expected, rtol=0, atol=1e-10)
    assert learner.weights is weights


def test_the_largest_change_is_the_step_size_and_other_rows_do_not_change():
    weights, inputs = problem(30, 10, 3, 0)
    change = rank_step(weights, inputs, RankRule(), 0.02) - weights
    assert float(change.abs().max()) == pytest.approx(0.02, rel=1e-12)
    top = currents(weights, inputs, 2).topk(2).indices.unique()
    untouched = sorted(set(range(30)) - set(top.tolist()))
    assert len(untouched) >= 24
    assert torch.equal(change[untouched], torch.zeros(len(untouched), 10, dtype=torch.float64))


def test_a_unit_alone_with_an_image_converges_to_it_with_norm_one():
    image = torch.tensor([[3.0, 0.0, -4.0]], dtype=torch.float64) / 5
    weights = torch.tensor([[2.0, 1.0, -1.0], [-1.0, 0.0, 0.0]], dtype=torch.float64)
    rule = RankRule(delta=0.0, epochs=500)
    learner = RankLearner(weights, rule)
    for epoch in range(rule.epochs):
        learner.step(image, rule.step_size(epoch))
    np.testing.assert_allclose(weights[0].numpy(), image[0].numpy(), atol=1e-4)
    assert weights[1].tolist() == [-1.0, 0.0, 0.0]


@pytest.mark.parametrize("p", [1.5, 3.0])
def test_the_norm_that_goes_to_one_is_the_lebesgue_norm(p):
    image = torch.tensor([[0.9, -0.3, 0.5]], dtype=torch.float64)
    weights = torch.tensor([[1.0, -1.0, 0.5], [-1.0, 0.0, 0.0]], dtype=torch.float64)
    rule = RankRule(p=p, delta=0.0, epochs=500, learning_rate=0.01)
    learner = RankLearner(weights, rule)
    for epoch in range(rule.epochs):
        learner.step(image, rule.step_size(epoch))
    assert float(unit_norms(weights, p)[0]) == pytest.approx(1, abs=1e-3)
    # At the fixed point W is parallel to v.
    np.testing.assert_allclose(weights[0] / weights[0, 0], image[0] / image[0, 0], atol=1e-3)


@pytest.mark.parametrize("p", [2.0, 2.5, 3.0])
def test_currents_have_the_gradient_of_finite_differences(p):
    """Networks of such units are trained end to end as well."""
    weights, inputs = problem(4, 5, 3, 0)
    weights.requires_grad_()
    assert torch.autograd.gradcheck(lambda w, v: currents(w, v, p), (weights, inputs.requires_grad_()))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA GPU here")
def test_a_gpu_makes_the_same_update_and_twice_the_same_bits():
    weights, inputs = problem(40, 60, 500, 2)
    found = [rank_step(weights.cuda(), inputs.cuda(), RankRule(p=3.0, k=4), 0.02).cpu() for _ in range(2)]
    assert torch.equal(*found)
    np.testing.assert_allclose(found[0], rank_step(weights, inputs, RankRule(p=3.0, k=4), 0.02), rtol=0, atol=1e-10)


def test_units_that_tie_are_interchangeable():
    """Which of two equal rows is first is not defined; the set of rows after the update is."""
    row = torch.tensor([[1.0, 2.0]], dtype=torch.float64)
    weights = torch.cat([row, row, -row])
    found = rank_step(weights, row, RankRule(delta=0.5), 0.1)
    change = (found - weights)[:2]
    literal = torch.from_numpy(literal_step(weights.numpy(), row.numpy(), RankRule(delta=0.5), 0.1)) - weights
    assert sorted(change.tolist()) == sorted(literal[:2].tolist())


def test_an_image_of_zeros_ties_all_units_and_changes_nothing():
    weights, inputs = problem(6, 4, 3, 0)
    with_zeros = torch.cat([inputs, torch.zeros(5, 4, dtype=torch.float64)])
    assert torch.equal(rank_step(weights, with_zeros, RankRule(), 0.1), rank_step(weights, inputs, RankRule(), 0.1))
    assert torch.equal(rank_step(weights, with_zeros[3:], RankRule(), 0.1), weights)


def test_float32_follows_float64():
    weights, inputs = problem(20, 30, 50, 4)
    found = rank_step(weights.float(), inputs.float(), RankRule(p=3.0, k=4), 0.02)
    assert found.dtype == torch.float32
    np.testing.assert_allclose(found, rank_step(weights, inputs, RankRule(p=3.0, k=4), 0.02), atol=1e-6)


def test_annealing_is_linear_and_never_reaches_zero():
    rule = RankRule(learning_rate=0.1, epochs=50)
    sizes = [rule.step_size(epoch) for epoch in range(50)]
    assert sizes[0] == 0.1
    np.testing.assert_allclose(np.diff(sizes), -0.1 / 50, atol=1e-15)
    assert sizes[-1] > 0


def test_the_start_is_standard_normal_and_follows_from_the_seed_alone():
    before = np.random.get_state()[1].copy(), torch.get_rng_state()  # noqa: NPY002
    weights = initial_weights(100, 784, 3)
    assert weights.dtype == torch.float64
    assert torch.equal(weights, initial_weights(100, 784, 3))
    assert not torch.equal(weights, initial_weights(100, 784, 4))
    assert float(weights.mean()) == pytest.approx(0, abs=4 / math.sqrt(78400))
    assert float(unit_norms(weights, 2).mean()) == pytest.approx(28, abs=0.1)
    assert np.array_equal(before[0], np.random.get_state()[1])  # noqa: NPY002
    assert torch.equal(before[1], torch.get_rng_state())


@pytest.fixture(scope="module")
def digits():
    """Handwritten digits that come with scikit-learn, without their mean and of unit norm."""
    return torch.from_numpy(CentredUnitNorm("own mean").fit_transform(load_digits().data))


def winners_after_training(start, images):
    """Return how many units win an image once they have been trained from a start."""
    rule = RankRule(epochs=30, batch_size=20)
    learner = RankLearner(start, rule)
    rng = np.random.default_rng(0)
    for epoch in range(rule.epochs):
        for batch in images[torch.from_numpy(rng.permutation(len(images)))].split(rule.batch_size):
            learner.step(batch, rule.step_size(epoch))
    return len(currents(learner.weights, images, rule.p).argmax(dim=1).unique())


def test_a_start_of_unit_norm_collapses_to_one_winner_of_50_and_the_normal_start_recruits_them(digits):
    start = initial_weights(50, digits.shape[1], 0)
    assert winners_after_training(start / unit_norms(start, 2)[:, None], digits) == 1
    assert winners_after_training(start, digits) >= 45


BAD_RULES = [
    ({"p": 0.9}, ValueError, "`p` is 0.9; it must be finite and at least 1"),
    ({"p": math.nan}, ValueError, "`p` is nan"),
    ({"p": math.inf}, ValueError, "`p` is inf"),
    ({"p": "2"}, TypeError, "`p` is '2'; it must be a number"),
    ({"k": 1}, ValueError, "`k` is 1; it must be at least 2"),
    ({"k": 2.0}, TypeError, "`k` is 2.0; it must be an integer"),
    ({"k": True}, TypeError, "`k` is True; it must be an integer"),
    ({"delta": -0.1}, ValueError, "`delta` is -0.1; it must be finite and at least 0"),
    ({"learning_rate": 0.0}, ValueError, "`learning_rate` is 0.0; it must be finite and above 0"),
    ({"learning_rate": math.inf}, ValueError, "`learning_rate` is inf"),
    ({"epochs": 0}, ValueError, "`epochs` is 0; it must be at least 1"),
    ({"batch_size": 0}, ValueError, "`batch_size` is 0; it must be at least 1"),
    ({"floor": 0.0}, ValueError, "`floor` is 0.0; it must be finite and above 0"),
]


@pytest.mark.parametrize(("change", "error", "message"), BAD_RULES)
def test_a_rule_that_is_not_allowed_is_refused(change, error, message):
    with pytest.raises(error, match=message):
        RankRule(**change)


def test_a_rule_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        RankRule().k = 3


@pytest.mark.parametrize(
    ("p", "error"), [(0.2, ValueError), (math.nan, ValueError), (math.inf, ValueError), ("2", TypeError)]
)
def test_a_norm_that_is_not_allowed_gives_no_currents_and_no_norms(p, error):
    weights, inputs = problem(3, 4, 2, 0)
    for function in (lambda: currents(weights, inputs, p), lambda: unit_norms(weights, p)):
        with pytest.raises(error, match="`p` is "):
            function()


NAN = torch.tensor([[0.0, math.nan]], dtype=torch.float64)


@pytest.mark.parametrize(
    ("inputs", "rule", "message"),
    [
        (torch.ones(2, 2, dtype=torch.float64), RankRule(k=4), "`k` is 4, but there are 3 hidden units; .*Lower `k`"),
        (torch.ones(2, 5, dtype=torch.float64), RankRule(), "`inputs` has images of 5 pixels, but `weights` is for 2"),
        (torch.ones(2, dtype=torch.float64), RankRule(), r"`inputs` \(2,\); they must be .*Flatten images first"),
        (torch.ones(0, 2, dtype=torch.float64), RankRule(), "`inputs` has no images"),
        (torch.ones(2, 2), RankRule(), "`inputs` has the dtype torch.float32, but `weights` has torch.float64"),
        (NAN, RankRule(), "`inputs` has values that are NaN or infinite"),
    ],
)
def test_inputs_that_do_not_fit_are_refused(inputs, rule, message):
    with pytest.raises(ValueError, match=message):
        rank_step(initial_weights(3, 2, 0), inputs, rule, 0.1)


def test_weights_and_step_sizes_that_are_not_finite_are_refused():
    inputs = torch.ones(2, 2, dtype=torch.float64)
    with pytest.raises(ValueError, match="`weights` has values that are NaN or infinite"):
        rank_step(NAN.repeat(2, 1), inputs, RankRule(), 0.1)
    with pytest.raises(ValueError, match="`step_size` is -1"):
        rank_step(initial_weights(3, 2, 0), inputs, RankRule(), -1)


def test_an_update_that_overflows_is_refused_and_changes_nothing():
    weights = torch.ones(3, 2) * torch.tensor([[3e38], [1.0], [2.0]])
    before = weights.clone()
    with pytest.raises(NonFiniteError, match=r"too large for torch.float32.*Scale the images"):
        RankLearner(weights, RankRule()).step(torch.full((1, 2), 10.0), 0.1)
    assert torch.equal(weights, before)


@pytest.mark.parametrize(
    ("sizes", "error", "message"),
    [
        ((1, 5, 0), ValueError, "`n_hidden` is 1; it must be at least 2"),
        ((5, 0, 0), ValueError, "`n_inputs` is 0; it must be at least 1"),
        ((5, 5, -1), ValueError, "`seed` is -1; it must be at least 0"),
        ((5, 5, None), TypeError, "`seed` is None; it must be an integer"),
    ],
)
def test_a_start_that_cannot_be_drawn_is_refused(sizes, error, message):
    with pytest.raises(error, match=message):
        initial_weights(*sizes)
