"""The rank rule in Brian2, one image at a time, is the torch rule at a batch size of 1."""

import brian2
import numpy as np
import pytest
import torch

from neurocircuit import NonFiniteError, available_devices
from neurocircuit.plasticity import RankRule, currents, initial_weights, rank_step, train_units
from neurocircuit.simulation.online_learning import learn_online

# The contract of the project: float64, whatever executes it.
TOLERANCE = 1e-10
HIDDEN, PIXELS, IMAGES = 12, 20, 250

needs_compiler = pytest.mark.skipif(bool(available_devices()["cython"]), reason=available_devices()["cython"] or "-")


@pytest.fixture(scope="module")
def images():
    found = np.random.default_rng(1).standard_normal((IMAGES, PIXELS))
    return found / np.linalg.norm(found, axis=1, keepdims=True)


def replay(start, images, rule, order):
    """Return the weights and winners after the torch rule took the same images, one a batch."""
    weights, winners = start.clone(), []
    for number, row in enumerate(order):
        image = torch.from_numpy(images[[row]])
        winners.append(int(currents(weights, image, rule.p).argmax()))
        weights = rank_step(weights, image, rule, rule.step_size(number // IMAGES))
    return weights.numpy(), winners


@pytest.mark.parametrize(("p", "k", "delta"), [(2.0, 2, 0.4), (3.0, 7, 0.4), (1.5, 3, 0.0)])
def test_a_thousand_presentations_change_the_weights_as_the_torch_rule_at_batch_1(images, p, k, delta):
    rule, start = RankRule(p=p, k=k, delta=delta, epochs=4), initial_weights(HIDDEN, PIXELS, 3)
    found = learn_online(start, images, rule, presentations=1000, seed=5)
    expected, winners = replay(start, images, rule, found.images)
    assert len(found.images) == 1000
    assert np.abs(expected - start.numpy()).max() > 0.1
    np.testing.assert_allclose(found.weights, expected, rtol=0, atol=TOLERANCE)
    assert found.winners.tolist() == winners
    assert len(set(winners)) > HIDDEN / 2


def test_whole_passes_are_train_units_at_batch_1(images):
    rule = RankRule(epochs=2, batch_size=1)
    found = learn_online(initial_weights(HIDDEN, PIXELS, 8), images, rule, presentations=2 * IMAGES, seed=8)
    expected = train_units(images, rule, HIDDEN, 8, dtype="float64")
    np.testing.assert_allclose(found.weights, expected.numpy(), rtol=0, atol=TOLERANCE)


def test_one_presentation_is_the_rule_written_out(images):
    """W += step * dW / max|dW| with dW = g (v - I W), unit by unit and pixel by pixel."""
    rule, start = RankRule(p=3.0, k=2, delta=0.3, learning_rate=0.05), initial_weights(3, PIXELS, 0).numpy()
    found = learn_online(start, images, rule, presentations=1, seed=2)
    v = images[found.images[0]]
    current = [sum(np.sign(w) * abs(w) ** 2 * x for w, x in zip(row, v, strict=True)) for row in start]
    first, second, _ = np.argsort(current)[::-1]
    change = np.zeros_like(start)
    for unit, g in ((first, 1.0), (second, -0.3)):
        for pixel in range(PIXELS):
            change[unit, pixel] = g * (v[pixel] - current[unit] * start[unit, pixel])
    np.testing.assert_allclose(found.weights, start + 0.05 * change / np.abs(change).max(), rtol=0, atol=1e-14)
    assert found.winners.tolist() == [first]


def test_the_seed_alone_sets_the_order_and_the_result(images):
    rule, start = RankRule(epochs=3), initial_weights(HIDDEN, PIXELS, 3)
    runs = [learn_online(start, images, rule, presentations=300, seed=seed) for seed in (1, 1, 2)]
    assert runs[0].weights.tobytes() == runs[1].weights.tobytes()
    assert runs[0].images.tolist() == runs[1].images.tolist() != runs[2].images.tolist()
    assert sorted(runs[0].images[:IMAGES].tolist()) == list(range(IMAGES))


def test_the_start_brian2_and_the_random_numbers_are_left_as_they_were(images):
    start, target = initial_weights(HIDDEN, PIXELS, 3), brian2.prefs.codegen.target
    before = start.clone(), np.random.get_state()[1].copy()  # noqa: NPY002 (the global state is the point)
    learn_online(start, images, RankRule(), presentations=3)
    assert torch.equal(start, before[0])
    np.testing.assert_array_equal(np.random.get_state()[1], before[1])  # noqa: NPY002
    assert brian2.prefs.codegen.target == target


@needs_compiler
@pytest.mark.slow
def test_cython_learns_the_same(images):
    rule, start = RankRule(epochs=4), initial_weights(HIDDEN, PIXELS, 3)
    found = learn_online(start, images, rule, seed=5, device="cython")
    np.testing.assert_allclose(found.weights, replay(start, images, rule, found.images)[0], rtol=0, atol=TOLERANCE)


def bad(**changes):
    """Call with one argument replaced."""
    arguments = {
        "weights": np.ones((4, 3)),
        "inputs": np.arange(15.0).reshape(5, 3),
        "rule": RankRule(epochs=2),
    } | changes
    return learn_online(arguments.pop("weights"), arguments.pop("inputs"), arguments.pop("rule"), **arguments)


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"presentations": 0}, ValueError, "`presentations` is 0; it must be at least 1"),
        ({"presentations": 2.5}, TypeError, "`presentations` is 2.5; it must be an integer"),
        (
            {"presentations": 11},
            ValueError,
            "`presentations` is 11, which takes 3 passes through 5 images, but .* is 2",
        ),
        ({"presentations": 3, "seed": -1}, ValueError, "`seed` is -1; it must be at least 0"),
        ({"presentations": 3, "device": "cpp"}, ValueError, "`device` is 'cpp'; it must be one of numpy, cython"),
        ({"presentations": 3, "weights": np.ones((4, 2))}, ValueError, "`inputs` has images of 3 pixels"),
        ({"presentations": 3, "weights": np.full((4, 3), np.nan)}, ValueError, "`weights` has values that are NaN"),
        ({"presentations": 3, "weights": np.ones((1, 3))}, ValueError, "`k` is 2, but there are 1 hidden units"),
        (
            {"presentations": 3, "inputs": np.zeros((5, 3))},
            ValueError,
            r"`images` has 5 image\(s\) whose pixels are all equal",
        ),
        ({"presentations": 3, "inputs": np.full((5, 3), np.inf)}, ValueError, "`inputs` has values that are NaN"),
    ],
)
def test_bad_input_is_refused_by_name(changes, error, message):
    with pytest.raises(error, match=message):
        bad(**changes)


def test_an_update_that_is_not_finite_names_its_presentation(images):
    huge = images.copy()
    huge[1:] *= 4e307 / np.abs(huge[1:]).max(axis=1, keepdims=True)
    with pytest.raises(NonFiniteError, match=r"the update of presentation \d+ is (nan|inf): the images or the weights"):
        learn_online(initial_weights(HIDDEN, PIXELS, 3), huge, RankRule(epochs=4), presentations=100)
