"""Centring and unit norm: what is done to images before competing hidden units see them."""

from __future__ import annotations

from typing import Any, Literal, Self, cast, get_args

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from neurocircuit.plasticity.images import check_images

__all__ = ["Centre", "CentredUnitNorm"]

Centre = Literal["mean image", "own mean", "none"]
Array = NDArray[np.floating[Any]]

#: What is left of an image is no more than rounding if its norm is below this many times the image's own rounding.
_ROUNDING = 10


class CentredUnitNorm(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Centre images and divide each by its Euclidean norm.

    Units are trained on images and asked for their currents on others; both must be prepared alike, and by what the
    training images say: published code centres test images with the test set's mean, or trains on plain pixels and
    tests on centred ones, and loses most of what was learned.

    Parameters
    ----------
    centre : {"mean image", "own mean", "none"}
        What is subtracted: the mean of the training images, pixel by pixel; of every image the mean of its own pixels;
        or nothing.

    Attributes
    ----------
    mean_ : (input,) array
        Mean of the training images; only with ``centre="mean image"``.
    n_features_in_ : int
        Pixels of an image.

    Notes
    -----
    An image whose pixels are all equal, all zero among them, has no pattern and is refused, with its row; so is one
    that equals the mean image. The type of the images is kept if it is float32 or float64, otherwise it is float64.

    Examples
    --------
    >>> CentredUnitNorm(centre="own mean").fit_transform([[0.0, 6.0, 3.0, 3.0]]).round(3)
    array([[-0.707,  0.707,  0.   ,  0.   ]])
    """

    def __init__(self, centre: Centre = "mean image") -> None:
        self.centre = centre

    def fit(self, X: ArrayLike, y: object = None) -> Self:
        """Store the mean of the training images.

        Parameters
        ----------
        X : (image, input) array
            Flat training images, without those used for validation or testing.
        y : ignored
            For scikit-learn's pipelines.

        Raises
        ------
        ValueError
            If `centre` is unknown, a value is not finite, or there are images that `transform` could not prepare.
        """
        if self.centre not in get_args(Centre):
            raise ValueError(f"`centre` is {self.centre!r}; it must be one of {', '.join(get_args(Centre))}.")
        images = self._images(X, reset=True)
        if self.centre == "mean image":
            if len(images) == 1:
                raise ValueError(
                    "`X` has one image (n_samples=1), which is its own mean; give more, or use centre='own mean'."
                )
            # Summed in float64: the mean of many float32 numbers is not exact enough.
            self.mean_ = images.mean(axis=0, dtype=np.float64).astype(images.dtype)
        self._prepare(images)
        return self

    def transform(self, X: ArrayLike) -> Array:
        """Return the images, centred and of unit norm.

        Parameters
        ----------
        X : (image, input) array
            Flat images, of as many pixels as the training images.

        Returns
        -------
        (image, input) array

        Raises
        ------
        NotFittedError
            If `fit` was not called.
        ValueError
            If an image has another size, a value that is not finite, pixels that are all equal, or equals the mean.
        """
        check_is_fitted(self, "n_features_in_")
        return self._prepare(self._images(X, reset=False))

    def _images(self, images: ArrayLike, *, reset: bool) -> Array:
        found: Array = validate_data(self, images, dtype=(np.float64, np.float32), reset=reset)
        # Torch shares no read-only memory.
        check_images(torch.from_numpy(np.require(found, requirements=["C", "W"])), "X")
        return found

    def _prepare(self, images: Array) -> Array:
        centred = images - self._subtracted(images)
        norms = np.linalg.norm(centred, axis=1, keepdims=True)
        rounding = _ROUNDING * np.finfo(images.dtype).eps * np.linalg.norm(images, axis=1, keepdims=True)
        empty = np.flatnonzero(norms <= rounding)
        if len(empty):
            raise ValueError(
                f"`X` has {len(empty)} image(s) that equal what is subtracted (centre={self.centre!r}), the first in "
                f"row {empty[0]}; nothing is left of them. Remove them, or use another `centre`."
            )
        centred /= norms
        return centred

    def _subtracted(self, images: Array) -> Array | float:
        if self.centre == "none":
            return 0.0
        found = self.mean_.astype(images.dtype) if self.centre == "mean image" else images.mean(axis=1, keepdims=True)
        return cast(Array, found)
