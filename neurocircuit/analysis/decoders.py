"""Linear read-outs of several variables from the same responses, fitted together."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from neurocircuit.analysis.decoder_basis import ResponseBasis, response_basis
from neurocircuit.analysis.decoder_logistic import fit_logistic

__all__ = [
    "DECODERS",
    "Decoder",
    "check_classes",
    "decode_labels",
    "majority_labels",
    "ridge_scores",
]

Decoder = Literal["ridge", "logistic", "svm"]
#: Names of the read-outs.
DECODERS: tuple[str, ...] = get_args(Decoder)

#: Penalties that are tried, in units of the responses' variance along an average direction of the training samples.
RELATIVE_PENALTIES = tuple(float(10**exponent) for exponent in np.arange(-6, 2.5, 0.5))
#: The logistic read-out is refitted for each penalty, from the largest to the smallest, so it tries fewer.
LOGISTIC_PENALTIES = tuple(10.0**exponent for exponent in range(2, -7, -1))
#: One of so many training samples is held out to compare the penalties of the logistic read-out.
HELD_OUT = 4

Array = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int64]


def ridge_scores(basis: ResponseBasis, targets: Array, penalties: Array) -> tuple[Array, Array]:
    """Fit a linear regression with a penalty on the squared weights, and predict samples that it was not fitted to.

    It minimises the sum of squared errors plus the penalty times the sum of squared weights; the intercept is free.

    Parameters
    ----------
    basis : ResponseBasis
        Responses.
    targets : (sample, column) array
        What is predicted.
    penalties : (penalty,) array
        Penalties, all above 0.

    Returns
    -------
    left_out : (penalty, sample, column) array
        What a fit to all other training samples predicts for each one, in closed form.
    test : (penalty, test sample, column) array
        Predictions of the fit to all.
    """
    mean = targets.mean(axis=0)
    shrinkage = basis.scale**2 / (basis.scale**2 + penalties[:, None])
    weights = shrinkage[:, :, None] * (basis.left.T @ (targets - mean))
    leverage = 1 / len(targets) + shrinkage @ (basis.left**2).T
    residual = targets - mean - basis.left @ weights
    return targets - residual / (1 - leverage)[:, :, None], mean + basis.test @ weights


def check_classes(labels: Mapping[str, Labels], classes: Mapping[str, int], training: int) -> None:
    """Refuse training labels that leave a class without a sample.

    Parameters
    ----------
    labels : mapping from variable to (sample,) array
        Labels of all samples, the training samples first.
    classes : mapping from variable to int
        Number of classes of each.
    training : int
        Number of training samples.

    Raises
    ------
    ValueError
        If there are fewer than two classes, fewer training samples than classes, one of the classes has none, or a
        label is of no class.
    """
    for variable, count in classes.items():
        if count < 2:
            raise ValueError(
                f"`classes['{variable}']` is {count}; with fewer than 2 there is nothing to decode. Leave the variable "
                "out."
            )
        if training < count:
            raise ValueError(
                f"`training` is {training}, fewer samples than '{variable}' has classes ({count}); use more scenes."
            )
        found = labels[variable]
        if found.min() < 0 or found.max() >= count:
            raise ValueError(
                f"`labels['{variable}']` are from {found.min()} to {found.max()}; they must be from 0 to {count - 1}."
            )
        empty = np.flatnonzero(np.bincount(found[:training], minlength=count) == 0)
        if len(empty):
            raise ValueError(
                f"class {empty[0]} of '{variable}' has none of the {training} training samples, so that it cannot be "
                "decoded. Use more scenes, or leave the variable out."
            )


def decode_labels(
    train: Any,
    test: Any,
    labels: Mapping[str, Labels],
    classes: Mapping[str, int],
    decoder: Decoder = "ridge",
    *,
    seed: int = 0,
) -> dict[str, Labels]:
    """Fit a linear read-out for each variable, and return its answers for samples that it was not fitted to.

    Two classes have one read-out and more have one each, of which the largest answers.

    Parameters
    ----------
    train, test : (sample, feature) array
        Responses.
    labels : mapping from variable to (sample,) array
        Classes of the training samples, from 0.
    classes : mapping from variable to int
        Number of classes of each.
    decoder : {"ridge", "logistic", "svm"}
        ridge: linear regression on 1 and -1; the penalty of each variable is the one of the smallest squared error on
        left-out training samples. logistic: logistic regression; the penalty is the one of the smallest loss on a
        quarter of the training samples, held out. svm: scikit-learn's ``LinearSVC`` with its defaults, as published.
    seed : int
        Of the order in which the svm goes through samples; the others draw nothing.

    Returns
    -------
    dict from variable to (test sample,) array
        Answers.

    Raises
    ------
    ValueError
        If shapes do not agree, a class has no training sample, or the decoder is none of these.

    Examples
    --------
    >>> import numpy as np
    >>> from neurocircuit.analysis import decode_labels
    >>> responses = np.array([[0.0, 1.0], [0.1, 1.2], [1.0, 0.1], [1.2, 0.0]])
    >>> answers = decode_labels(responses, [[0.0, 1.1], [1.1, 0.0]], {"side": np.array([0, 0, 1, 1])}, {"side": 2})
    >>> answers["side"].tolist()
    [0, 1]
    """
    if decoder not in DECODERS:
        raise ValueError(f"`decoder` is {decoder!r}; it must be one of {', '.join(DECODERS)}.")
    samples = len(train)
    for variable in classes:
        if len(labels[variable]) != samples:
            raise ValueError(
                f"`labels['{variable}']` has {len(labels[variable])} labels and `train` {samples} samples; give one "
                "label a sample."
            )
    check_classes(labels, classes, samples)
    if decoder == "svm":
        return {variable: _svm(train, test, labels[variable], seed) for variable in classes}
    basis = response_basis(train, test)
    # Responses that do not vary say nothing: any penalty will do.
    size = float(np.sum(basis.scale**2)) / samples or 1.0
    columns = {variable: _signs(labels[variable], count) for variable, count in classes.items()}
    scores = _FITS[decoder](basis, columns, size)
    return {variable: _answers(score) for variable, score in scores.items()}


def majority_labels(labels: Mapping[str, Labels]) -> dict[str, int]:
    """Return the most frequent class of each variable: the answer of a decoder that sees nothing."""
    return {variable: int(np.bincount(found).argmax()) for variable, found in labels.items()}


def _signs(labels: Labels, classes: int) -> Array:
    """Return 1 for a sample's own class and -1 for others, one column a class, or one column if there are two."""
    wanted = np.arange(1, 2) if classes == 2 else np.arange(classes)
    return np.where(labels[:, None] == wanted, 1.0, -1.0)


def _answers(scores: Array) -> Labels:
    found = scores[:, 0] > 0 if scores.shape[1] == 1 else scores.argmax(axis=1)
    return np.asarray(found, dtype=np.int64)


def _ridge(basis: ResponseBasis, columns: Mapping[str, Array], size: float) -> dict[str, Array]:
    targets = np.concatenate(list(columns.values()), axis=1)
    left_out, test = ridge_scores(basis, targets, size * np.array(RELATIVE_PENALTIES))
    errors = ((left_out - targets) ** 2).mean(axis=1)
    parts = _parts(columns)
    return {variable: test[errors[:, own].mean(axis=1).argmin()][:, own] for variable, own in parts.items()}


def _logistic(basis: ResponseBasis, columns: Mapping[str, Array], size: float) -> dict[str, Array]:
    scores = {}
    for variable, targets in columns.items():
        penalties = np.full(targets.shape[1], _logistic_penalty(basis, targets, size))
        scores[variable] = fit_logistic(basis, targets, penalties).logits(basis.test)
    return scores


def _logistic_penalty(basis: ResponseBasis, targets: Array, size: float) -> float:
    """Return the penalty of the smallest loss on training samples that are held out."""
    held = np.arange(len(targets)) % HELD_OUT == HELD_OUT - 1
    fit, least, best = None, np.inf, np.nan
    for penalty in (size * relative for relative in LOGISTIC_PENALTIES):
        penalties = np.full(targets.shape[1], penalty)
        fit = fit_logistic(basis, targets, penalties, (~held).astype(np.float64), start=fit)
        margins = targets[held] * fit.logits(basis.left[held])
        loss = float(np.logaddexp(0, -margins).mean())
        # The loss has one minimum along the path, and smaller penalties are the slow ones.
        if loss >= least:
            break
        least, best = loss, penalty
        # Nothing is left to get right: smaller penalties would only make the weights larger.
        if margins.min() > 0:
            break
    return best


def _parts(columns: Mapping[str, Array]) -> dict[str, slice]:
    """Return which of all columns are those of a variable."""
    ends = np.cumsum([column.shape[1] for column in columns.values()])
    return {name: slice(end - column.shape[1], end) for (name, column), end in zip(columns.items(), ends, strict=True)}


_FITS: Mapping[str, Callable[[ResponseBasis, Mapping[str, Array], float], dict[str, Array]]] = MappingProxyType(
    {"ridge": _ridge, "logistic": _logistic}
)


def _svm(train: Any, test: Any, labels: Labels, seed: int) -> Labels:
    # Imported when it is asked for, because it takes a second.
    from sklearn.svm import LinearSVC

    return np.asarray(LinearSVC(random_state=seed).fit(train, labels).predict(test), dtype=np.int64)
