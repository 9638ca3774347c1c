"""Read-outs against scikit-learn's at equal penalties, leaving out for real, and what no decoder may do."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from sklearn.linear_model import LogisticRegression, Ridge, RidgeClassifier, RidgeClassifierCV
from sklearn.svm import LinearSVC

from neurocircuit.analysis.decoder_basis import response_basis
from neurocircuit.analysis.decoder_logistic import fit_logistic
from neurocircuit.analysis.decoders import (
    DECODERS,
    RELATIVE_PENALTIES,
    decode_labels,
    majority_labels,
    ridge_scores,
)

SHAPES = pytest.mark.parametrize(("samples", "features"), [(60, 200), (60, 12), (60, 60)])


def problem(samples=60, features=200, classes=5, seed=0, tested=40):
    """Return responses in which each class has a direction of its own, with offsets and scales, and all labels."""
    rng = np.random.default_rng(seed)
    labels = {
        "category": np.concatenate([np.arange(classes), rng.integers(0, classes, samples + tested - classes)]),
        "side": np.concatenate([[0, 1], rng.integers(0, 2, samples + tested - 2)]),
    }
    directions = rng.standard_normal((classes + 2, features))
    responses = directions[labels["category"]] + directions[classes + labels["side"]]
    responses = 3 + (responses + 1.5 * rng.standard_normal(responses.shape)) * rng.uniform(0.1, 2, features)
    return responses, labels, {"category": classes, "side": 2}


def split(responses, labels, samples=60):
    train, test = responses[:samples], responses[samples:]
    return (
        train,
        test,
        *({name: own[part] for name, own in labels.items()} for part in (slice(samples), slice(samples, None))),
    )


@SHAPES
def test_ridge_is_that_of_scikit_learn_at_equal_penalties(samples, features):
    responses, labels, _ = problem(samples, features)
    train, test, fitted, _ = split(responses, labels)
    targets = np.where(fitted["category"][:, None] == np.arange(5), 1.0, -1.0)
    penalties = np.array([1e-2, 1.0, 50.0])
    _, found = ridge_scores(response_basis(train, test), targets, penalties)
    for penalty, own in zip(penalties, found, strict=True):
        theirs = Ridge(alpha=penalty, solver="cholesky").fit(train, targets).predict(test)
        np.testing.assert_allclose(own, theirs, atol=1e-8)
        classes = RidgeClassifier(alpha=penalty, solver="cholesky").fit(train, fitted["category"]).predict(test)
        np.testing.assert_array_equal(own.argmax(axis=1), classes)


@SHAPES
def test_left_out_predictions_are_those_of_fits_without_the_sample(samples, features):
    responses, labels, _ = problem(samples, features)
    train, test, fitted, _ = split(responses, labels)
    targets = np.where(fitted["side"] == 1, 1.0, -1.0)[:, None]
    found, _ = ridge_scores(response_basis(train, test), targets, np.array([2.0]))
    for sample in (0, 17, 59):
        kept = np.arange(samples) != sample
        alone = Ridge(alpha=2.0, solver="cholesky").fit(train[kept], targets[kept]).predict(train[[sample]])
        np.testing.assert_allclose(found[0, sample], np.ravel(alone), atol=1e-8)


@SHAPES
def test_the_penalty_is_the_one_that_scikit_learn_chooses(samples, features):
    responses, labels, classes = problem(samples, features)
    train, test, fitted, _ = split(responses, labels)
    found = decode_labels(train, test, fitted, classes)
    size = ((train - train.mean(axis=0)) ** 2).sum() / samples
    for variable in classes:
        theirs = RidgeClassifierCV(alphas=size * np.array(RELATIVE_PENALTIES)).fit(train, fitted[variable])
        np.testing.assert_array_equal(found[variable], theirs.predict(test))


@SHAPES
def test_logistic_is_that_of_scikit_learn_at_equal_penalties(samples, features):
    responses, labels, _ = problem(samples, features)
    train, test, fitted, _ = split(responses, labels)
    targets = np.where(fitted["category"][:, None] == np.arange(5), 1.0, -1.0)
    penalties = np.array([0.5, 5.0, 50.0, 5.0, 0.5])
    basis = response_basis(train, test)
    found = fit_logistic(basis, targets, penalties, tolerance=1e-9).logits(basis.test)
    for column, penalty in enumerate(penalties):
        theirs = LogisticRegression(C=1 / penalty, tol=1e-10, max_iter=10_000).fit(train, targets[:, column])
        np.testing.assert_allclose(found[:, column], theirs.decision_function(test), rtol=1e-4, atol=1e-4)


def test_logistic_leaves_out_samples_of_no_weight():
    """Against a general optimiser on the loss as it is written."""
    responses, labels, _ = problem(60, 8)
    train, test, fitted, _ = split(responses, labels)
    targets = np.where(fitted["side"] == 1, 1.0, -1.0)
    kept = np.arange(60) % 4 != 3
    basis = response_basis(train, test)
    start = fit_logistic(basis, targets[:, None], np.array([30.0]))
    found = fit_logistic(basis, targets[:, None], np.array([3.0]), kept.astype(float), start=start, tolerance=1e-9)

    def loss(weights):
        margins = targets * ((train - train.mean(axis=0)) @ weights[:-1] + weights[-1])
        return np.logaddexp(0, -margins[kept]).sum() + 1.5 * (weights[:-1] ** 2).sum()

    best = minimize(loss, np.zeros(9), tol=1e-12, options={"gtol": 1e-8, "maxiter": 10_000}).x
    theirs = (test - train.mean(axis=0)) @ best[:-1] + best[-1]
    np.testing.assert_allclose(found.logits(basis.test)[:, 0], theirs, atol=1e-4)


def test_svm_is_scikit_learns_with_its_defaults():
    responses, labels, classes = problem()
    train, test, fitted, _ = split(responses, labels)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = decode_labels(train, test, fitted, classes, "svm", seed=3)
        for variable in classes:
            theirs = LinearSVC(random_state=3).fit(train, fitted[variable]).predict(test)
            np.testing.assert_array_equal(found[variable], theirs)


@pytest.mark.parametrize("decoder", DECODERS)
def test_what_is_there_is_decoded_and_what_is_not_is_not(decoder):
    responses, labels, classes = problem(200, 100, tested=200)
    labels["noise"] = np.random.default_rng(9).integers(0, 2, 400)
    train, test, fitted, held = split(responses, labels, 200)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = decode_labels(train, test, fitted, {**classes, "noise": 2}, decoder)
    right = {name: np.mean(found[name] == held[name]) for name in found}
    assert min(right["category"], right["side"]) > 0.9
    assert 0.35 < right["noise"] < 0.65


@pytest.mark.parametrize("decoder", ["ridge", "logistic"])
@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 1000), scale=st.floats(1e-3, 1e3), offset=st.floats(-10, 10))
def test_scale_offset_and_rotation_of_responses_do_not_matter(decoder, seed, scale, offset):
    responses, labels, classes = problem(40, 10, seed=seed)
    turn = np.linalg.qr(np.random.default_rng(seed).standard_normal((10, 10)))[0]
    train, test, fitted, _ = split(responses, labels, 40)
    found = decode_labels(train, test, fitted, classes, decoder)
    moved = decode_labels(*((scale * (part @ turn) + offset) for part in (train, test)), fitted, classes, decoder)
    for variable in classes:
        # Answers on the border may turn.
        assert np.mean(found[variable] == moved[variable]) > 0.95


@pytest.mark.parametrize("decoder", ["ridge", "logistic"])
def test_responses_that_do_not_vary_give_the_most_frequent_class(decoder):
    labels = {"category": np.array([0, 1, 1, 2, 1, 0, 1, 1])}
    found = decode_labels(np.full((8, 5), 0.3), np.full((3, 5), 0.3), labels, {"category": 3}, decoder)
    assert found["category"].tolist() == [1, 1, 1]
    assert majority_labels(labels) == {"category": 1}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"classes": {"category": 70, "side": 2}}, "60, fewer samples than 'category' has classes .70."),
        ({"classes": {"category": 6, "side": 2}}, "class 5 of 'category' has none of the 60 training samples"),
        ({"classes": {"category": 4, "side": 2}}, "are from 0 to 4; they must be from 0 to 3"),
        ({"classes": {"category": 5, "side": 1}}, r"`classes\['side'\]` is 1; with fewer than 2"),
        ({"decoder": "forest"}, "`decoder` is 'forest'; it must be one of ridge, logistic, svm"),
        ({"train": np.ones((60, 3))}, r"`train` has the shape \(60, 3\) and `test` \(40, 200\)"),
        ({"train": np.full((60, 200), np.nan)}, "not finite"),
        ({"test": np.full((40, 200), np.inf)}, "not finite"),
        ({"train": np.ones((50, 200))}, "has 60 labels and `train` 50 samples"),
    ],
)
def test_bad_problems_are_refused(change, message):
    responses, labels, classes = problem()
    train, test, fitted, _ = split(responses, labels)
    given_ = {"train": train, "test": test, "labels": fitted, "classes": classes, **change}
    with pytest.raises(ValueError, match=message):
        decode_labels(**given_)
