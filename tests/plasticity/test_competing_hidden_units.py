"""The transformer is a scikit-learn estimator, trains as the rule says, and reports whether it has converged."""

import numpy as np
import pytest
import torch
from literal_rank_rule import literal_currents, literal_step
from scikit_learn_checks import outcomes, reason_zero_images
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from neurocircuit.errors import BackendUnavailableError
from neurocircuit.plasticity import (
    CentredUnitNorm,
    CompetingHiddenUnits,
    Convergence,
    RankRule,
    competing_hidden_units,
    initial_weights,
    measure_convergence,
)
from neurocircuit.training.seeding import permutation


@pytest.fixture(scope="module")
def digits():
    """Handwritten digits that come with scikit-learn, with labels, prepared."""
    images, labels = load_digits(return_X_y=True)
    return CentredUnitNorm().fit_transform(images), labels


def small(**changes):
    return CompetingHiddenUnits(**({"n_hidden": 12, "epochs": 3, "batch_size": 50} | changes))


def test_it_is_a_scikit_learn_transformer():
    """All of scikit-learn's checks pass, but the one whose images are zero in one row."""
    assert outcomes(CompetingHiddenUnits()) == {"check_estimators_dtypes": reason_zero_images}


@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "uint8"])
def test_images_of_every_type_are_taken(dtype, rng):
    images = rng.integers(1, 200, (60, 5)).astype(dtype)
    found = small().fit_transform(images)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, small().fit_transform(images.astype(float)))


@pytest.mark.parametrize("p", [2.0, 3.0])
def test_fit_is_the_written_out_rule_over_shuffled_epochs(p, digits):
    images = digits[0][:230]
    found = small(p=p, k=4, dtype="float64", random_state=5).fit(images)
    rule = RankRule(p=p, k=4, epochs=3, batch_size=50)
    expected = initial_weights(12, 64, 5).numpy()
    for epoch in range(3):
        order = permutation(230, 5, epoch)
        for at in range(0, 200, 50):
            expected = literal_step(expected, images[order[at : at + 50]], rule, 0.02 * (1 - epoch / 3))
    np.testing.assert_allclose(found.components_, expected, rtol=0, atol=1e-10)
    assert found.n_steps_ == 12


def test_partial_fit_is_one_update_by_all_images_at_the_full_rate(digits):
    first, second = digits[0][:30], digits[0][30:37]
    found = small(dtype="float64").partial_fit(first).partial_fit(second)
    rule = RankRule()
    expected = literal_step(initial_weights(12, 64, 0).numpy(), first, rule, rule.learning_rate)
    expected = literal_step(expected, second, rule, rule.learning_rate)
    np.testing.assert_allclose(found.components_, expected, rtol=0, atol=1e-10)
    assert found.n_steps_ == 2


def test_partial_fit_reports_the_winners_at_its_update_and_the_norms_after_it(digits, monkeypatch):
    monkeypatch.setattr(competing_hidden_units, "measure_convergence", None)
    units = small(p=3.0, dtype="float64").partial_fit(digits[0][:30])
    winners = literal_currents(units.components_, digits[0][30:50], 3.0).argmax(axis=1)
    units.partial_fit(digits[0][30:50])
    assert units.convergence_.wins.tolist() == np.bincount(winners, minlength=12).tolist()
    np.testing.assert_allclose(units.convergence_.norms, (np.abs(units.components_) ** 3).sum(1) ** (1 / 3))


def test_partial_fit_goes_on_from_fit_and_fit_starts_anew(digits):
    fitted = small().fit(digits[0])
    before = fitted.components_.copy()
    fitted.partial_fit(digits[0][:20])
    assert 0 < np.abs(fitted.components_ - before).max() <= 0.02 * (1 + 1e-5)
    assert fitted.n_steps_ == 3 * 35 + 1
    np.testing.assert_array_equal(fitted.fit(digits[0]).components_, before)


@pytest.mark.parametrize(("p", "power"), [(2.0, 1.0), (2.0, 4.5), (3.0, 2.0)])
def test_the_output_is_the_rectified_current_to_a_power(p, power, digits):
    units = small(p=p, power=power, dtype="float64").fit(digits[0][:200])
    current = literal_currents(units.components_, digits[0][200:220], p)
    assert (current < 0).any()
    np.testing.assert_allclose(units.transform(digits[0][200:220]), np.where(current > 0, current, 0) ** power)


def test_the_seed_decides_and_global_state_does_not(digits):
    torch.manual_seed(1)
    first = small().fit(digits[0]).components_
    torch.manual_seed(2)
    state = torch.get_rng_state()
    np.testing.assert_array_equal(first, small().fit(digits[0]).components_)
    assert torch.equal(state, torch.get_rng_state())
    assert not np.array_equal(first, small(random_state=1).fit(digits[0]).components_)


def test_in_a_pipeline_its_features_beat_random_ones(digits):
    """Read out by the same classifier, on images that none of the steps was fitted on."""
    images, labels = load_digits(return_X_y=True)

    def accuracy(units):
        model = make_pipeline(CentredUnitNorm(), units, LogisticRegression(C=10, max_iter=2000))
        return model.fit(images[:1200], labels[:1200]).score(images[1200:], labels[1200:])

    trained = CompetingHiddenUnits(40, epochs=60, batch_size=20)
    assert accuracy(trained) > accuracy(RandomUnits(40)) + 0.04
    assert trained.convergence_.dead == 0
    assert trained.get_feature_names_out()[39] == "competinghiddenunits39"
    assert clone(trained).get_params() == trained.get_params()


class RandomUnits(CompetingHiddenUnits):
    """The same units at their start, of unit norm: what the rule must beat."""

    def fit(self, X, y=None):
        super().partial_fit(X)
        start = initial_weights(self.n_hidden, X.shape[1], self.random_state).numpy()
        self.components_ = (start / np.linalg.norm(start, axis=1, keepdims=True)).astype(self.dtype)
        return self


def test_the_report_on_convergence_counts_norms_and_wins():
    weights = torch.tensor([[1.0, 0.0], [0.0, 1.04], [-3.0, 4.0], [-0.1, 0.0]], dtype=torch.float64)
    images = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 2.0], [0.0, 1.0]], dtype=torch.float64)
    report = measure_convergence(weights, images, 2.0)
    np.testing.assert_allclose(report.norms, [1, 1.04, 5, 0.1])
    assert report.wins.tolist() == [2, 0, 2, 0]
    assert report.converged == 0.5
    assert report.dead == 2
    assert report.largest_share == 0.5
    assert report.evenness == 0.5
    assert str(report) == (
        "50.0% of 4 units have a norm within 0.05 of 1, the largest is 5; the most frequent winner won 50.00% of the "
        "images, evenness 0.50, 2 units won none"
    )


WEIGHTS, IMAGES = torch.eye(3, 4), torch.arange(8.0).reshape(2, 4)


@pytest.mark.parametrize(
    ("weights", "images", "p", "message"),
    [
        (WEIGHTS, IMAGES, 0.2, "`p` is 0.2; it must be finite and at least 1"),
        (WEIGHTS, IMAGES * torch.nan, 2.0, r"`images` has 2 image\(s\) that are not finite, the first in row 0"),
        (WEIGHTS, IMAGES * 0, 2.0, r"`images` has 2 image\(s\) whose pixels are all equal"),
        (WEIGHTS * torch.inf, IMAGES, 2.0, "`weights` has values that are NaN or infinite"),
        (WEIGHTS, IMAGES[:, :3], 2.0, "images of 3 pixels, but `weights` is for 4"),
        (WEIGHTS, IMAGES[:0], 2.0, "has no images"),
    ],
)
def test_a_report_on_what_is_no_number_is_refused(weights, images, p, message):
    with pytest.raises(ValueError, match=message):
        measure_convergence(weights, images, p)


def test_evenness_is_one_if_all_win_equally_often_and_one_over_their_number_if_one_wins_all():
    norms = np.ones(4)
    assert Convergence(norms, np.array([5, 5, 5, 5])).evenness == 1
    assert Convergence(norms, np.array([0, 20, 0, 0])).evenness == 0.25


def test_more_updates_bring_more_norms_near_one(digits):
    reports = [small(n_hidden=50, epochs=epochs, batch_size=20).fit(digits[0]).convergence_ for epochs in (2, 70)]
    assert reports[0].converged < 0.5 < 0.95 < reports[1].converged
    assert reports[0].norms.max() > 2


BAD = [
    ({"p": 0.5}, ValueError, "`p` is 0.5"),
    ({"k": 1}, ValueError, "`k` is 1; it must be at least 2"),
    ({"k": 13}, ValueError, "`k` is 13, but there are 12 hidden units"),
    ({"delta": -1.0}, ValueError, "`delta` is -1.0"),
    ({"n_hidden": 1, "k": 2}, ValueError, "`k` is 2, but there are 1 hidden units"),
    ({"n_hidden": 12.0}, TypeError, "`n_hidden` is 12.0; it must be an integer"),
    ({"batch_size": 101}, ValueError, "`batch_size` is 101, but there are 100 images; lower it"),
    ({"power": 0.0}, ValueError, "`power` is 0.0; it must be finite and above 0"),
    ({"random_state": None}, TypeError, "`random_state` is None; it must be an integer"),
    ({"dtype": "float16"}, ValueError, "`dtype` is 'float16'; it must be one of float32, float64"),
    ({"device": "tpu"}, ValueError, "`device` is 'tpu'"),
]


@pytest.mark.parametrize(("changes", "error", "message"), BAD)
def test_parameters_that_are_not_allowed_are_refused_by_fit(changes, error, message, digits):
    with pytest.raises(error, match=message):
        small(**changes).fit(digits[0][:100])


def test_cuda_that_is_absent_says_so(digits, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(BackendUnavailableError, match="`device` is 'cuda', but torch sees no CUDA GPU here"):
        small(device="cuda").fit(digits[0])


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (np.zeros(64), r"1 image\(s\) whose pixels are all equal, the first in row 3 with the value 0"),
        (np.full(64, 7.0), r"1 image\(s\) whose pixels are all equal, the first in row 3 with the value 7"),
        (np.full(64, np.nan), "contains NaN"),
        (np.full(64, 1e300), "infinity or a value too large"),
    ],
)
@pytest.mark.parametrize("method", ["fit", "partial_fit", "transform"])
def test_images_that_cannot_be_learned_are_refused(method, row, message, digits):
    images = digits[0][:60].copy()
    units = small().fit(images)
    images[3] = row
    with pytest.raises(ValueError, match=message):
        getattr(units, method)(images)


def test_parameters_that_no_longer_fit_the_units_are_refused(digits):
    units = small().fit(digits[0])
    with pytest.raises(ValueError, match=r"`n_hidden` is 9, but there are 12 trained units\. Set it back"):
        units.set_params(n_hidden=9).partial_fit(digits[0][:20])
    with pytest.raises(ValueError, match=r"`p` is 0\.2; it must be finite and at least 1"):
        units.set_params(p=0.2).transform(digits[0])
    assert units.set_params(p=2.0).fit(digits[0]).components_.shape == (9, 64)


def test_images_of_another_size_and_units_without_training_are_refused(digits):
    with pytest.raises(NotFittedError, match="not fitted yet"):
        small().transform(digits[0])
    units = small().fit(digits[0])
    for method in (units.transform, units.partial_fit):
        with pytest.raises(ValueError, match="X has 63 features, but CompetingHiddenUnits is expecting 64 features"):
            method(digits[0][:, :63])


def test_an_output_that_overflows_is_refused(digits):
    units = small(power=30.0).fit(digits[0])
    with pytest.raises(ValueError, match=r"`power` is 30.0, with which an output is too large for float32.*unit norm"):
        units.transform(1000 * digits[0])
