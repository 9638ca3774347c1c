"""A rate network near a point: its Jacobian, eigenvalues and time constants, line attractor and selection vector.

Derivatives are taken from the circuit's own equations. Near a fixed point a small deviation changes at the rate
``jacobian @ deviation``; a right eigenvector is a direction that keeps its shape, and the left eigenvector of the same
eigenvalue says how much of any deviation falls into it. Where one eigenvalue is nearly 0, the right vector is the line
attractor and the left vector the selection vector: what of an input is integrated (Mante et al. 2013).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.linalg
import torch
import xarray as xr

from neurocircuit.analysis.fixed_points import rate_of_change
from neurocircuit.circuits.rate_network import RateNetwork

__all__ = ["LineAttractor", "Linearisation", "line_attractor", "linearise"]

Array = npt.NDArray[np.float64]
ComplexArray = npt.NDArray[np.complex128]

# Smallest product of a left and a right unit vector that counts as different from 0, and largest imaginary part of an
# eigenvalue, as a share of the largest modulus, that counts as none: both are rounding.
_PARALLEL, _REAL = 1e-12, 1e-9


@dataclass(frozen=True, eq=False)
class Linearisation:
    """The linear systems near some points of one network; modes are sorted from the slowest decay on.

    Parameters
    ----------
    points : (point, unit) array
        States.
    jacobian : (point, unit, unit) array
        Change of every unit's rate of change, first unit axis, with every state, second; per ms.
    input_jacobian : (point, unit, input) array
        Change of every unit's rate of change with every input; per ms.
    eigenvalues : (point, mode) complex array
        Of `jacobian`, by falling real part; per ms.
    right : (point, unit, mode) complex array
        Right eigenvectors, of unit length.
    left : (point, mode, unit) complex array
        Left eigenvectors, scaled so that ``left[p, k] @ right[p, :, k]`` is 1; NaN where no such vector exists, which
        needs a repeated eigenvalue.
    step : float
        Euler step of the network in ms.
    """

    points: Array
    jacobian: Array
    input_jacobian: Array
    eigenvalues: ComplexArray
    right: ComplexArray
    left: ComplexArray
    step: float

    @property
    def time_constants(self) -> Array:
        """Time constant of every mode in ms, ``-1/Re``; negative where it grows, infinite where it does neither."""
        with np.errstate(divide="ignore"):
            return np.asarray(-1.0 / self.eigenvalues.real)

    @property
    def frequencies(self) -> Array:
        """Rotations of every mode per second."""
        return np.asarray(1000.0 * self.eigenvalues.imag / (2 * np.pi))

    @property
    def map_eigenvalues(self) -> ComplexArray:
        """Eigenvalues of one Euler step; a modulus above 1 leaves the point."""
        return np.asarray(1.0 + self.step * self.eigenvalues)

    def to_dataset(self) -> xr.Dataset:
        """Return points and spectra with labelled axes; complex numbers as real and imaginary part."""
        over, per_ms = ("point", "mode"), {"units": "1/ms"}
        return xr.Dataset(
            {
                "state": (("point", "unit"), self.points, {"units": "1"}),
                "eigenvalue_real": (over, self.eigenvalues.real, per_ms),
                "eigenvalue_imaginary": (over, self.eigenvalues.imag, per_ms),
                "time_constant": (over, self.time_constants, {"units": "ms"}),
                "frequency": (over, self.frequencies, {"units": "Hz"}),
                "map_modulus": (over, np.abs(self.map_eigenvalues), {"units": "1"}),
            },
            attrs={"step_ms": self.step},
        )


@dataclass(frozen=True, eq=False)
class LineAttractor:
    """The mode of each point whose eigenvalue is real and nearest to 0; NaN at a point that has none.

    Parameters
    ----------
    eigenvalues : (point,) array
        Per ms.
    direction : (point, unit) array
        Right vector, of unit length: along the line attractor. All points have the sign of the first.
    selection : (point, unit) array
        Left vector, ``selection @ direction`` = 1.
    input_gain : (point, input) array
        ``selection @ input_jacobian``: how fast each input moves the state along the line, per ms.
    input_alignment : (point, input) array
        Cosine of the angle between the selection vector and the effect of each input; 0 for an input without effect.
    """

    eigenvalues: Array
    direction: Array
    selection: Array
    input_gain: Array
    input_alignment: Array


def linearise(network: RateNetwork, points: Any, inputs: Any = None) -> Linearisation:
    """Linearise a rate network at some points, fixed or not, with its input held constant.

    Parameters
    ----------
    network : RateNetwork
        The network; its noise is ignored.
    points : (point, unit) array
        States, usually ``distinct_points(...)["state"]``; there may be none.
    inputs : (input,) array, optional
        The input. Default: zeros.

    Returns
    -------
    Linearisation

    Raises
    ------
    ValueError
        If shapes do not agree or a value is not finite.
    """
    states = np.asarray(points, dtype=np.float64)
    held = np.asarray(np.zeros(network.n_inputs) if inputs is None else inputs, dtype=np.float64)
    for name, array, wanted in (("points", states, (len(states), network.n_units)), ("inputs", held, network.n_inputs)):
        if array.shape != (wanted if isinstance(wanted, tuple) else (wanted,)) or not np.isfinite(array).all():
            raise ValueError(f"`{name}` has the shape {array.shape}; it must be finite and of the shape {wanted}.")
    if not len(states):
        # What maps over the points needs at least one.
        square, effect = (0, network.n_units, network.n_units), np.zeros((0, *network.input_weights.shape))
        vectors = np.zeros(square, np.complex128)
        return Linearisation(states, np.zeros(square), effect, vectors[:, 0], vectors, vectors, network.step)
    velocity = rate_of_change(network)
    derivatives = torch.func.vmap(torch.func.jacrev(velocity, argnums=(0, 1)), in_dims=(0, None))
    by_state, by_input = derivatives(torch.as_tensor(states), torch.as_tensor(held))
    jacobian = by_state.numpy()
    modes = [_modes(one) for one in jacobian]
    eigenvalues, right, left = (np.array([mode[part] for mode in modes]) for part in range(3))
    return Linearisation(states, jacobian, by_input.numpy(), eigenvalues, right, left, network.step)


def line_attractor(linear: Linearisation) -> LineAttractor:
    """Return the slowest real mode of every point, and how the inputs move the state along it.

    Parameters
    ----------
    linear : Linearisation
        From `linearise`.

    Returns
    -------
    LineAttractor
        NaN at a point with no real eigenvalue that has a left vector: it only rotates, and there is no line.
    """
    scale = np.abs(linear.eigenvalues).max(axis=1, keepdims=True)
    usable = (np.abs(linear.eigenvalues.imag) <= _REAL * scale) & np.isfinite(linear.left).all(axis=2)
    chosen = np.where(usable, np.abs(linear.eigenvalues), np.inf).argmin(axis=1)
    index = np.arange(len(chosen))
    direction, selection = linear.right[index, :, chosen].real, linear.left[index, chosen].real
    exists = usable.any(axis=1)
    # A vector and its opposite are one direction; let all points show the same.
    first = direction[int(exists.argmax())] if len(direction) else np.zeros(direction.shape[1])
    sign = np.where(exists, np.where(direction @ first < 0, -1.0, 1.0), np.nan)[:, None]
    direction, selection = sign * direction, sign * selection
    gain = np.einsum("pu,pui->pi", selection, linear.input_jacobian)
    lengths = np.linalg.norm(selection, axis=1)[:, None] * np.linalg.norm(linear.input_jacobian, axis=1)
    alignment = np.divide(gain, lengths, out=np.zeros_like(gain), where=lengths != 0)
    eigenvalues = np.where(exists, linear.eigenvalues[index, chosen].real, np.nan)
    return LineAttractor(eigenvalues, direction, selection, gain, alignment)


def _modes(jacobian: Array) -> tuple[ComplexArray, ComplexArray, ComplexArray]:
    """Return eigenvalues by falling real part, right vectors as columns, and left vectors as rows, scaled."""
    values, left, right = scipy.linalg.eig(jacobian, left=True, right=True)
    # Conjugate pairs stay together; the one that turns forwards comes first.
    order = np.lexsort((-values.imag, -values.real))
    values, right, rows = values[order], right[:, order], left[:, order].conj().T
    product = np.einsum("ku,uk->k", rows, right)
    exists = np.abs(product) > _PARALLEL
    scaled = np.full(rows.shape, complex(np.nan, np.nan))
    scaled[exists] = rows[exists] / product[exists, None]
    return values.astype(np.complex128), right.astype(np.complex128), scaled
