"""A circuit: equations, parameters, and the pools that couple its units over channel and space."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch

from neurocircuit.connectivity import FieldShape, LateralKernel, as_operator
from neurocircuit.equations import OdeSystem, ParameterSet, compile_rhs

__all__ = ["Circuit", "Pool"]


@dataclass(frozen=True)
class Pool:
    """A weighted sum of one state over the field.

    Parameters
    ----------
    name : str
        Name of the pool in the equations.
    source : str
        State that is pooled.
    kernel : LateralKernel or None
        The weights; None is a lesioned pool, which is zero.
    """

    name: str
    source: str
    kernel: LateralKernel | None


@dataclass(frozen=True)
class Circuit:
    """An ODE system repeated at every channel and pixel of a field, with one input (`drive`) and lateral pools.

    Parameters
    ----------
    system : OdeSystem
        Equations of one unit.
    parameters : ParameterSet
        One value for every parameter of the system.
    pools : tuple of Pool
        One for every pool of the system.
    citation : str
        Key in ``docs/references.bib``.
    leak_cancelling_step : callable, optional
        From the parameters to the step, a time, at which Euler's method cancels the leak (``h = eta/eps**2``).

    Raises
    ------
    ValueError
        If parameters or pools do not match the system's symbols.
    """

    system: OdeSystem
    parameters: ParameterSet
    pools: tuple[Pool, ...]
    citation: str
    leak_cancelling_step: Callable[[Any], Any] | None = None

    def __post_init__(self) -> None:
        _check_same("parameters", set(self.parameters.as_floats()), set(self.system.names("parameter")))
        _check_same("pools", {pool.name for pool in self.pools}, set(self.system.names("pool")))
        _check_same("inputs", {"drive"}, set(self.system.names("input")))
        for pool in self.pools:
            if pool.source not in self.system.states:
                raise ValueError(f"pool `{pool.name}` sums `{pool.source}`, which is not a state of {self.name}.")

    @property
    def name(self) -> str:
        """Name of the equations."""
        return self.system.name

    def with_parameters(self, **changes: Any) -> Circuit:
        """Return the circuit with some parameters changed."""
        return replace(self, parameters=self.parameters.replace(**changes))

    def lesioned(self, *names: str) -> Circuit:
        """Return the circuit with some pools removed (set to zero).

        Parameters
        ----------
        *names : str
            Names of pools, in full (``"pool_t"``) or by their letter (``"T"`` or ``"t"``).

        Raises
        ------
        ValueError
            If there is no such pool.
        """
        wanted = {_pool_name(name) for name in names}
        unknown = wanted - {pool.name for pool in self.pools}
        if unknown:
            letters = ", ".join(pool.name.removeprefix("pool_").upper() for pool in self.pools)
            raise ValueError(f"`lesion` is {', '.join(names)}; {self.name} has the pools {letters}.")
        return replace(self, pools=tuple(replace(p, kernel=None) if p.name in wanted else p for p in self.pools))

    def check_field(self, shape: FieldShape) -> None:
        """Raise ValueError if a pool does not fit a ``(channel, y, x)`` field."""
        for pool in self.pools:
            if pool.kernel is not None:
                pool.kernel.check_field(shape, pool.name)

    def pool_function(
        self, dtype: torch.dtype = torch.float64, device: torch.device | str = "cpu"
    ) -> Callable[[Mapping[str, torch.Tensor]], dict[str, torch.Tensor]]:
        """Return the function from states ``[batch, channel, y, x]`` to pools, in torch."""
        operators = [
            (pool, None if pool.kernel is None else as_operator(pool.kernel, dtype, device)) for pool in self.pools
        ]
        nothing = torch.zeros((1, 1, 1, 1), dtype=dtype, device=device)

        def pools(states: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
            return {pool.name: nothing if op is None else op(states[pool.source]) for pool, op in operators}

        return pools

    def parameter_tensors(
        self, dtype: torch.dtype = torch.float64, device: torch.device | str = "cpu"
    ) -> dict[str, torch.Tensor]:
        """Return the parameters as 0-dimensional tensors, times in ms."""
        values = self.parameters.as_floats()
        return {name: torch.tensor(value, dtype=dtype, device=device) for name, value in values.items()}

    def rhs(
        self, dtype: torch.dtype = torch.float64, device: torch.device | str = "cpu"
    ) -> Callable[[Mapping[str, torch.Tensor], Mapping[str, torch.Tensor]], dict[str, torch.Tensor]]:
        """Return the whole field's right-hand side, pools included, as a pure torch function.

        Returns
        -------
        callable
            ``rhs(states, inputs) -> derivatives`` per ms; every tensor is ``[batch, channel, y, x]``.
        """
        pools, parameters = self.pool_function(dtype, device), self.parameter_tensors(dtype, device)
        derivative = compile_rhs(self.system)

        def rhs(states: Mapping[str, torch.Tensor], inputs: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
            return derivative({**parameters, **inputs, **states, **pools(states)})

        return rhs


def _pool_name(name: str) -> str:
    lower = name.lower()
    return lower if lower.startswith("pool_") else f"pool_{lower}"


def _check_same(argument: str, given: set[str], wanted: set[str]) -> None:
    if given != wanted:
        raise ValueError(f"`{argument}` has {sorted(given)}; the equations need {sorted(wanted)}.")
