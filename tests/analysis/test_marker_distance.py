import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from neurocircuit.analysis import fit_histogram, fit_window, marker_distance_score
from neurocircuit.training import accuracy_interval


@given(st.lists(st.tuples(st.integers(0, 8), st.integers(0, 1)), min_size=1, max_size=25))
def test_window_is_the_best_of_all_windows(pairs):
    distance, labels = np.array(pairs).T
    places = np.unique(distance)

    def right(low, high):
        return np.sum(((distance >= low) & (distance <= high)) == (labels == 1))

    best = max(right(low, high) for low in places for high in places if low <= high)
    assert right(*fit_window(distance, labels)) == best


def test_score_reaches_the_overlap_of_two_known_distributions(rng):
    labels = rng.integers(0, 2, 40_000)
    distance = rng.normal(0, np.where(labels == 1, 1, 4))
    # The densities are equal at +-x with x**2 (1 - 1/16) = 2 log 4.
    edge = np.sqrt(2 * np.log(4) / (1 - 1 / 16))
    best = 0.5 * (2 * norm.cdf(edge) - 1) + 0.5 * 2 * norm.sf(edge / 4)
    for rule in ("window", "histogram"):
        score = marker_distance_score(distance, labels, rule)
        assert score.low - 0.01 < best < score.high + 0.01
        assert score.images == 20_000


def test_histogram_finds_what_no_window_can(rng):
    distance = rng.uniform(0, 1, 8000)
    labels = (np.floor(8 * distance) % 2).astype(int)
    assert marker_distance_score(distance, labels, "histogram").accuracy > 0.95
    assert marker_distance_score(distance, labels, "window").accuracy < 0.7


def test_labels_without_information_score_at_chance(rng):
    distance, labels = rng.uniform(size=20_000), rng.integers(0, 2, 20_000)
    for rule in ("window", "histogram"):
        assert marker_distance_score(distance, labels, rule).accuracy == pytest.approx(0.5, abs=0.02)


def test_histogram_answers_with_the_majority_of_each_bin():
    decide = fit_histogram([0, 1, 2, 10, 11, 12], [1, 1, 0, 0, 0, 1], 2)
    np.testing.assert_array_equal(decide(np.array([-5.0, 2.0, 11.0, 50.0])), [True, True, False, False])


def test_interval_is_wilsons():
    # By hand for 8 of 10, z = 1.959964.
    z, n, p = 1.959964, 10, 0.8
    centre, half = p + z**2 / (2 * n), z * np.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    expected = np.array([centre - half, centre + half]) / (1 + z**2 / n)
    np.testing.assert_allclose(accuracy_interval(8, 10), expected, 1e-6)


@pytest.mark.parametrize(
    ("distance", "labels", "rule", "message"),
    [
        (np.ones(20), np.ones(19), "window", "one number an image"),
        (np.full(20, np.nan), np.ones(20), "window", "not finite"),
        (np.ones(20), np.full(20, 2), "window", "labels are 0 or 1"),
        (np.ones(20), np.ones(20), "line", "`rule` is 'line'; use 'window' or 'histogram'"),
        (np.ones(15), np.ones(15), "window", "15 images"),
    ],
)
def test_bad_input_is_refused(distance, labels, rule, message):
    with pytest.raises(ValueError, match=message):
        marker_distance_score(distance, labels, rule)
