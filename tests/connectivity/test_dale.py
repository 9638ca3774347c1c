"""Dale weights: counts, signs, moments, spectra against formulas, and what is refused."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from neurocircuit.connectivity import (
    bulk_radius,
    dale_weights,
    mean_field_outlier,
    row_balance,
    singular_value_entropy,
    spectral_radius,
)

DISTRIBUTIONS = ("gaussian", "gamma", "lognormal")


@given(
    n_units=st.integers(5, 60),
    p_inh=st.floats(0.1, 0.9),
    p_rec=st.floats(0.3, 1.0),
    distribution=st.sampled_from(DISTRIBUTIONS),
    autapses=st.booleans(),
    seed=st.integers(0, 9),
)
def test_signs_and_connections_are_as_asked(n_units, p_inh, p_rec, distribution, autapses, seed):
    drawn = dale_weights(
        n_units, np.random.default_rng(seed), p_inh=p_inh, p_rec=p_rec, distribution=distribution, autapses=autapses,
        balance=False,
    )  # fmt: skip
    inhibitory = ~drawn.excitatory
    assert inhibitory.sum() == round(p_inh * n_units)
    assert drawn.excitatory[: n_units - inhibitory.sum()].all()
    assert (drawn.weights[:, drawn.excitatory] >= 0).all()
    assert (drawn.weights[:, inhibitory] <= 0).all()
    assert (drawn.weights[~drawn.mask] == 0).all()
    assert autapses or not drawn.mask.diagonal().any()


@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
def test_the_second_moment_of_a_weight_does_not_depend_on_the_distribution(distribution, rng):
    n, gain, p = 600, 1.5, 0.5
    drawn = dale_weights(n, rng, gain=gain, p_rec=p, distribution=distribution, balance=False)
    second = (drawn.weights[drawn.mask] ** 2).mean()
    # The fourth moment of a log-normal number is e^4 times its second squared, so 180,000 draws scatter by about 2 %.
    assert second == pytest.approx(gain**2 / (n * p), rel=0.08)


def test_unbalanced_weights_have_the_spectrum_of_the_formulas(rng):
    outliers, bulks = [], []
    for _ in range(20):
        size = np.sort(np.abs(np.linalg.eigvals(dale_weights(200, rng, balance=False, autapses=True).weights)))
        outliers.append(size[-1])
        bulks.append(size[-2])
    assert mean_field_outlier(200) == pytest.approx(4.54, abs=0.005)
    assert np.mean(outliers) == pytest.approx(mean_field_outlier(200), rel=0.1)
    assert np.mean(bulks) == pytest.approx(bulk_radius(), rel=0.1)


def test_weights_without_dales_law_have_the_radius_of_the_circular_law(rng):
    radii = [spectral_radius(dale_weights(200, rng, p_inh=None, balance=False).weights) for _ in range(20)]
    assert np.mean(radii) == pytest.approx(1.5, rel=0.1)


@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
@pytest.mark.parametrize("p_inh", [0.1, 0.2, 0.5])
def test_balanced_weights_have_the_radius_asked_for_and_cancel(distribution, p_inh, rng):
    drawn = dale_weights(200, rng, p_inh=p_inh, distribution=distribution)
    assert spectral_radius(drawn.weights) == pytest.approx(1.5, rel=1e-9)
    assert spectral_radius(dale_weights(50, rng, radius=0.7).weights) == pytest.approx(0.7, rel=1e-9)
    shares = []
    for _ in range(5):
        weights = dale_weights(200, rng, p_inh=p_inh, distribution=distribution).weights
        shares.append(weights.sum() / np.abs(weights).sum())
    assert np.mean(shares) == pytest.approx(0, abs=0.05)
    assert row_balance(dale_weights(200, rng, balance=False).weights).mean() == pytest.approx(0.6, abs=0.05)


def test_row_balance_and_entropy_of_known_matrices():
    np.testing.assert_array_equal(row_balance([[1, 1, 0], [1, -1, 0], [0, 0, 0], [0, 0, -2]]), [1, 0, 0, -1])
    assert singular_value_entropy(np.eye(7)) == pytest.approx(1)
    assert singular_value_entropy(np.outer([1, 2], [3, 4])) == pytest.approx(0, abs=1e-12)
    assert singular_value_entropy(np.diag([3, 1])) == pytest.approx(
        -(0.75 * math.log(0.75) + 0.25 * math.log(0.25)) / math.log(2)
    )
    with pytest.raises(ValueError, match="all zero"):
        singular_value_entropy(np.zeros((2, 2)))


def test_the_same_seed_gives_the_same_weights():
    first, second = (dale_weights(20, np.random.default_rng(3)).weights for _ in range(2))
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"p_inh": 1.5}, "`p_inh` is 1.5"),
        ({"p_rec": -0.1}, "`p_rec` is -0.1"),
        ({"p_rec": float("nan")}, "`p_rec` is nan"),
        ({"distribution": "uniform"}, "`distribution` is 'uniform'"),
        ({"gain": 0.0}, "`gain` is 0.0"),
        ({"radius": float("inf")}, "`radius` is inf"),
        ({"p_inh": 0.0}, "0 are inhibitory"),
        ({"p_inh": 1.0}, "10 are inhibitory"),
        ({"p_rec": 0.0}, "all eigenvalues"),
        ({"n_units": 0}, "`n_units` is 0"),
    ],
)
def test_what_cannot_be_drawn_is_refused(changes, message, rng):
    with pytest.raises(ValueError, match=message):
        dale_weights(**{"n_units": 10, "rng": rng, **changes})
