"""Sparse recurrent weights ``W[post, pre]`` under Dale's law: drawn, balanced, scaled and measured."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

__all__ = [
    "DaleWeights",
    "WeightDistribution",
    "bulk_radius",
    "check_dale",
    "dale_weights",
    "mean_field_outlier",
    "row_balance",
    "singular_value_entropy",
    "spectral_radius",
]

WeightDistribution = Literal["gaussian", "gamma", "lognormal"]
Array = npt.NDArray[np.float64]

#: Shape of the gamma distribution (Song et al. 2016), and standard deviation of the logarithm of log-normal weights.
GAMMA_SHAPE = 2.0
LOG_DEVIATION = 1.0


@dataclass(frozen=True, eq=False)
class DaleWeights:
    """Recurrent weights and what they are made of.

    Parameters
    ----------
    weights : (unit, unit) array
        Signed weights, ``weights[post, pre]``.
    mask : (unit, unit) array of bool
        Which connections exist; a weight may still be zero.
    excitatory : (unit,) array of bool or None
        Which units are excitatory; None without Dale's law.

    Raises
    ------
    ValueError
        If the weights are not square or not finite, are not zero where there is no connection, or break Dale's law.
    """

    weights: Array
    mask: npt.NDArray[np.bool_]
    excitatory: npt.NDArray[np.bool_] | None

    def __post_init__(self) -> None:
        weights, mask = np.asarray(self.weights, dtype=np.float64), np.asarray(self.mask, dtype=bool)
        if weights.ndim != 2 or weights.shape[0] != weights.shape[1] or not np.isfinite(weights).all():
            raise ValueError(f"`weights` has the shape {weights.shape}; it must be (unit, unit), and finite.")
        if mask.shape != weights.shape or (weights[~mask] != 0).any():
            raise ValueError("`mask` must have the shape of `weights`, which must be zero where it is False.")
        if self.excitatory is not None:
            check_dale(weights, np.asarray(self.excitatory, dtype=bool))


def dale_weights(
    n_units: int,
    rng: np.random.Generator,
    *,
    p_inh: float | None = 0.2,
    p_rec: float = 0.2,
    distribution: WeightDistribution = "gaussian",
    gain: float = 1.5,
    balance: bool = True,
    radius: float | None = None,
    autapses: bool = False,
) -> DaleWeights:
    """Draw recurrent weights.

    Every connection exists with probability `p_rec`; the second moment of its weight is ``gain**2/(n_units*p_rec)``,
    whatever the distribution.

    Parameters
    ----------
    n_units : int
        Number of units, excitatory ones first.
    rng : numpy Generator
        Source of the draws.
    p_inh : float or None
        Fraction of units that are inhibitory, rounded to a whole number of units; None draws weights of either sign,
        without Dale's law.
    p_rec : float
        Probability of a connection.
    distribution : {"gaussian", "gamma", "lognormal"}
        Of a weight's size: the absolute value of a normal number, gamma of shape 2, or log-normal.
    gain : float
        Scale of the weights; without Dale's law it is the radius of the spectrum of large networks.
    balance : bool
        Whether inhibitory weights are multiplied by the number of excitatory units over that of inhibitory ones, so
        that the expected sum of a row is zero, and the whole is scaled to a spectral radius of `gain`. Without it, the
        mean of the weights gives one large eigenvalue, `mean_field_outlier`.
    radius : float, optional
        Spectral radius to scale to instead, measured on the signed weights.
    autapses : bool
        Whether units may connect to themselves.

    Raises
    ------
    ValueError
        If a probability lies outside [0, 1], the scale is not positive, the distribution is unknown, there is no
        inhibitory or no excitatory unit to balance, or a weight matrix without eigenvalues is to be scaled.

    References
    ----------
    Song, Yang and Wang (2016); balance by columns as in the trained networks of the field's tutorials.
    """
    _check(n_units, p_inh, p_rec, distribution, gain, radius)
    mask = rng.random((n_units, n_units)) < p_rec
    sizes = _sizes(distribution, (n_units, n_units), rng)
    weights = np.where(mask, sizes, 0.0) * (gain / math.sqrt(max(n_units * p_rec, 1e-300)))
    if not autapses:
        np.fill_diagonal(mask, False)
        np.fill_diagonal(weights, 0.0)
    excitatory = None
    if p_inh is None:
        weights *= rng.choice([-1.0, 1.0], weights.shape)
    else:
        n_inh = round(p_inh * n_units)
        excitatory = np.arange(n_units) < n_units - n_inh
        weights = np.where(excitatory, weights, -weights)
        if balance:
            if not 0 < n_inh < n_units:
                raise ValueError(
                    f"`balance` is True, but with `p_inh` {p_inh} of {n_units} units {n_inh} are inhibitory; both "
                    "kinds are needed. Change `p_inh` or set balance=False."
                )
            weights[:, ~excitatory] *= (n_units - n_inh) / n_inh
    wanted = radius if radius is not None else gain if balance else None
    if wanted is not None:
        found = spectral_radius(weights)
        # A matrix without a cycle of connections has no eigenvalue but zero, found as rounding noise.
        if not found > 1e-6 * np.abs(weights).max(initial=0.0):
            raise ValueError(
                f"`radius` is {wanted}, but all eigenvalues of the drawn weights are zero ({int(mask.sum())} "
                "connections). Use a larger `p_rec` or more units."
            )
        weights *= wanted / found
    return DaleWeights(weights, mask, excitatory)


def check_dale(weights: Array, excitatory: npt.NDArray[np.bool_]) -> None:
    """Raise ValueError if an outgoing weight has the wrong sign, ``weights[post, pre]``."""
    if excitatory.shape != weights.shape[1:]:
        raise ValueError(f"`excitatory` has the shape {excitatory.shape}; it must be ({weights.shape[1]},).")
    wrong = np.where(excitatory, weights < 0, weights > 0)
    if wrong.any():
        post, pre = np.argwhere(wrong)[0]
        kind = "excitatory" if excitatory[pre] else "inhibitory"
        raise ValueError(
            f"`weights` breaks Dale's law at {int(wrong.sum())} places: weights[{post}, {pre}] is "
            f"{weights[post, pre]:g}, but unit {pre} is {kind}. Check the signs and that rows are postsynaptic, or set "
            "`excitatory` to None."
        )


def spectral_radius(weights: npt.ArrayLike) -> float:
    """Return the largest absolute value of an eigenvalue of the signed weights."""
    return float(np.abs(np.linalg.eigvals(np.asarray(weights, dtype=np.float64))).max())


def mean_field_outlier(n_units: int, gain: float = 1.5, p_rec: float = 0.2, p_inh: float = 0.2) -> float:
    """Return the eigenvalue that unbalanced gaussian Dale weights have through their mean.

    ``gain * sqrt(2/pi) * sqrt(n_units * p_rec) * (1 - 2 p_inh)``: the expected sum of a row.
    """
    return gain * math.sqrt(2 / math.pi) * math.sqrt(n_units * p_rec) * (1 - 2 * p_inh)


def bulk_radius(gain: float = 1.5, p_rec: float = 0.2) -> float:
    """Return the radius of the other eigenvalues of unbalanced gaussian Dale weights in large networks.

    ``gain * sqrt(1 - 2 p_rec/pi)``: the standard deviation of a weight times the root of the number of units.
    """
    return gain * math.sqrt(1 - 2 * p_rec / math.pi)


def row_balance(weights: npt.ArrayLike) -> Array:
    """Return for each unit the sum of its incoming weights over the sum of their sizes.

    0 is balance, 1 only excitation, -1 only inhibition; a unit without incoming weights has 0.
    """
    matrix = np.asarray(weights, dtype=np.float64)
    total = np.abs(matrix).sum(1)
    return np.asarray(np.divide(matrix.sum(1), total, out=np.zeros_like(total), where=total > 0))


def singular_value_entropy(weights: npt.ArrayLike) -> float:
    """Return the entropy of the normalised singular values over its largest value: 0 for rank one, 1 for equal ones.

    Raises
    ------
    ValueError
        If all weights are zero.
    """
    values = np.linalg.svd(np.asarray(weights, dtype=np.float64), compute_uv=False)
    if not values.sum() > 0:
        raise ValueError("`weights` is all zero, which has no singular values to compare.")
    share = values / values.sum()
    share = share[share > 0]
    return float(-(share * np.log(share)).sum() / math.log(max(len(values), 2)))


def _sizes(distribution: str, shape: tuple[int, int], rng: np.random.Generator) -> Array:
    """Draw sizes of weights with a second moment of 1."""
    if distribution == "gaussian":
        return np.abs(rng.standard_normal(shape))
    if distribution == "gamma":
        return rng.gamma(GAMMA_SHAPE, 1 / math.sqrt(GAMMA_SHAPE * (GAMMA_SHAPE + 1)), shape)
    return rng.lognormal(-(LOG_DEVIATION**2), LOG_DEVIATION, shape)


def _check(
    n_units: int, p_inh: float | None, p_rec: float, distribution: str, gain: float, radius: float | None
) -> None:
    if isinstance(n_units, bool) or not isinstance(n_units, int) or n_units < 1:
        raise ValueError(f"`n_units` is {n_units!r}; it must be a whole number of at least 1.")
    for name, value in (("p_inh", p_inh), ("p_rec", p_rec)):
        if value is not None and not 0 <= value <= 1:
            raise ValueError(f"`{name}` is {value!r}; it is a probability and must lie in [0, 1].")
    if distribution not in get_args(WeightDistribution):
        raise ValueError(
            f"`distribution` is {distribution!r}; it must be one of {', '.join(get_args(WeightDistribution))}."
        )
    for name, value in (("gain", gain), ("radius", radius)):
        if value is not None and not (math.isfinite(value) and value > 0):
            raise ValueError(f"`{name}` is {value!r}; it must be a positive number.")
