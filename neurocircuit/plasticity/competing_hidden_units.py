"""Competing hidden units as a scikit-learn transformer."""

from __future__ import annotations

from typing import Any, Self, cast, get_args

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted, validate_data
from torch import Tensor

from neurocircuit.checks import check_number, check_whole
from neurocircuit.plasticity.convergence import Convergence, count_winners, measure_convergence
from neurocircuit.plasticity.images import check_images
from neurocircuit.plasticity.rank_rule import RankLearner, RankRule, currents, initial_weights
from neurocircuit.plasticity.unit_training import Precision, train_units
from neurocircuit.training.config import resolve_device

__all__ = ["CompetingHiddenUnits"]

Array = NDArray[np.floating[Any]]


class CompetingHiddenUnits(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):  # type: ignore[misc]
    r"""Features that hidden units learn from images by competition, without labels and without backpropagation.

    The rule is that of Krotov and Hopfield [1]_; see `RankRule`. What is asked of the units afterwards is their
    rectified current to a power, :math:`h_\mu = [\langle W_\mu, v\rangle]_+^n` (Eq. 1 of the paper).

    Parameters
    ----------
    n_hidden : int
        Number of units.
    p, k, delta, learning_rate, epochs
        See `RankRule`, which also has the sources of the defaults.
    batch_size : int, optional
        Images per update. None is the default of `RankRule`, or all images if there are fewer; a number greater than
        the number of images is refused.
    power : float
        The power *n* of the output; above 0. The published networks use 4.5; large powers need images of unit norm.
    random_state : int
        Seed of the start and of the order of the images; at least 0. Global state is neither read nor changed.
    device : str
        cpu, cuda or cuda:N.
    dtype : {"float32", "float64"}
        Type of the weights; images are converted to it.

    Attributes
    ----------
    components_ : (hidden, input) array
        Weights, ``components_[post, pre]``.
    convergence_ : Convergence
        Share of the units with a norm near 1, shares of winners and number of units that won nothing: after `fit` over
        all training images; after `partial_fit` the winners are those that the last call's images had at its update.
    n_steps_ : int
        Updates so far.
    n_features_in_ : int
        Pixels of an image.

    Notes
    -----
    Prepare the images with `CentredUnitNorm`, in a pipeline. The start is part of the rule; see `initial_weights`. For
    checkpoints use `train_units`.

    References
    ----------
    .. [1] D. Krotov and J. J. Hopfield, "Unsupervised learning by competing hidden units", PNAS 116, 7723 (2019).

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.pipeline import make_pipeline
    >>> from neurocircuit.plasticity import CentredUnitNorm
    >>> images = load_digits().data
    >>> units = CompetingHiddenUnits(20, epochs=30, batch_size=20)
    >>> make_pipeline(CentredUnitNorm(), units).fit_transform(images).shape
    (1797, 20)
    >>> units.convergence_.dead
    0
    """

    components_: Array
    convergence_: Convergence
    n_steps_: int

    def __init__(
        self,
        n_hidden: int = 100,
        *,
        p: float = RankRule.p,
        k: int = RankRule.k,
        delta: float = RankRule.delta,
        learning_rate: float = RankRule.learning_rate,
        epochs: int = RankRule.epochs,
        batch_size: int | None = None,
        power: float = 1.0,
        random_state: int = 0,
        device: str = "cpu",
        dtype: Precision = "float32",
    ) -> None:
        self.n_hidden = n_hidden
        self.p = p
        self.k = k
        self.delta = delta
        self.learning_rate = learning_rate
        self.epochs = epochs
        self.batch_size = batch_size
        self.power = power
        self.random_state = random_state
        self.device = device
        self.dtype = dtype

    def __sklearn_tags__(self) -> Any:
        """Say that the type of the output is that of the weights, whatever the type of the images."""
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = []
        return tags

    def fit(self, X: ArrayLike, y: object = None) -> Self:
        """Train the units from their start, for all epochs.

        Parameters
        ----------
        X : (image, input) array
            Flat images.
        y : ignored
            For scikit-learn's pipelines.

        Raises
        ------
        ValueError
            If a parameter is not allowed, there are fewer images than `batch_size`, or an image is not finite or its
            pixels are all equal.
        BackendUnavailableError
            If CUDA was asked for and is absent.
        NonFiniteError
            If an update is too large for `dtype`.
        """
        images = self._images(X, reset=True)
        rule = self._rule(len(images))
        weights = train_units(images, rule, self.n_hidden, self.random_state, device=self.device, dtype=self.dtype)
        self.n_steps_ = rule.epochs * (len(images) // rule.batch_size)
        return self._keep(weights, measure_convergence(weights, self._tensor(images), rule.p))

    def partial_fit(self, X: ArrayLike, y: object = None) -> Self:
        """Update the units once, by all given images as one batch and at the full learning rate.

        The first call makes the start. There is no end to anneal to; lower ``learning_rate`` with ``set_params``.

        Parameters
        ----------
        X : (image, input) array
            Flat images, the same number of pixels in every call.
        y : ignored
            For scikit-learn's pipelines.

        Raises
        ------
        ValueError
            If a parameter is not allowed or `n_hidden` was changed, or an image has another size, is not finite or its
            pixels are all equal.
        """
        first = not hasattr(self, "components_")
        images = self._images(X, reset=first)
        check_images(torch.from_numpy(images))
        rule = self._rule(len(images))
        if first:
            start = initial_weights(self.n_hidden, images.shape[1], self.random_state)
            self.n_steps_ = 0
        else:
            self._check_same_units()
            start = torch.tensor(self.components_)
        learner = RankLearner(start.to(resolve_device(self.device), getattr(torch, self.dtype)), rule)
        winners = learner.step(self._tensor(images), rule.learning_rate)
        self.n_steps_ += 1
        return self._keep(learner.weights, count_winners(learner.weights, winners, rule.p))

    def transform(self, X: ArrayLike) -> Array:
        """Return the rectified currents of the units to the power ``power``.

        Parameters
        ----------
        X : (image, input) array
            Flat images of the size of the training images, prepared like them.

        Returns
        -------
        (image, hidden) array

        Raises
        ------
        NotFittedError
            If neither `fit` nor `partial_fit` was called.
        ValueError
            If `p` or `power` is not allowed, an image has another size, a value that is not finite or pixels that are
            all equal, or an output is too large for `dtype`.
        """
        check_is_fitted(self, "components_")
        images = self._images(X, reset=False)
        check_images(torch.from_numpy(images))
        power = check_number("power", self.power, above=0)
        weights = self._tensor(self.components_)
        hidden = currents(weights, self._tensor(images), self.p).relu_().pow_(power)
        if not torch.isfinite(hidden).all():
            raise ValueError(
                f"`power` is {self.power}, with which an output is too large for {self.dtype}. Scale the images to "
                "unit norm, or lower it."
            )
        return cast(Array, hidden.cpu().numpy())

    @property
    def _n_features_out(self) -> int:
        return len(self.components_)

    def _images(self, images: ArrayLike, *, reset: bool) -> Array:
        if self.dtype not in get_args(Precision):
            raise ValueError(f"`dtype` is {self.dtype!r}; it must be one of {', '.join(get_args(Precision))}.")
        # What is too large for float32 is refused after the conversion, which need not warn of it as well.
        with np.errstate(over="ignore"):
            found = validate_data(self, images, dtype=self.dtype, reset=reset)
        # Torch shares no read-only memory.
        return np.require(found, requirements=["C", "W"])

    def _rule(self, n_images: int) -> RankRule:
        check_number("power", self.power, above=0)
        check_whole("random_state", self.random_state, 0)
        size = min(RankRule.batch_size, n_images) if self.batch_size is None else self.batch_size
        names = ("p", "k", "delta", "learning_rate", "epochs")
        return RankRule(batch_size=size, **{name: getattr(self, name) for name in names})

    def _tensor(self, array: Array) -> Tensor:
        return torch.as_tensor(array, dtype=getattr(torch, self.dtype), device=resolve_device(self.device))

    def _check_same_units(self) -> None:
        if self.n_hidden != len(self.components_):
            raise ValueError(
                f"`n_hidden` is {self.n_hidden}, but there are {len(self.components_)} trained units. Set it back to "
                "go on with them, or start anew with `fit`."
            )

    def _keep(self, weights: Tensor, convergence: Convergence) -> Self:
        self.convergence_ = convergence
        self.components_ = weights.cpu().numpy()
        return self
