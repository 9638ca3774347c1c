"""A circuit: equations, parameters, and the pools that couple its units over channel and space."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch

from neurocircuit.connectivity import FieldShape, LateralKernel, as_operator
from neurocircuit.equations import FUNCTIONS, OdeSystem, ParameterSet, compile_rhs

__all__ = ["Circuit", "Pool"]


@dataclass(frozen=True)
class Pool:
    """A weighted sum over the field of one state, or of a function of it.

    Parameters
    ----------
    name : str
        Name of the pool in the equations.
    source : str
        State that is pooled.
    kernel : LateralKernel or None
        The weights; None is a lesioned pool, which is zero.
    function : str or None
        Function of one argument, by its name in `neurocircuit.equations.FUNCTIONS`, that turns the state into what is
        summed, as in a sum of firing rates ``rectify(h)``; None sums the state itself.

    Raises
    ------
    ValueError
        If there is no such function, or it does not take one argument.
    """

    name: str
    source: str
    kernel: LateralKernel | None
    function: str | None = None

    def __post_init__(self) -> None:
        known = [name for name, function in FUNCTIONS.items() if function.latex.count("{}") == 1]
        if self.function is not None and self.function not in known:
            raise ValueError(
                f"`function` of the pool `{self.name}` is {self.function!r}; it must be None or one of "
                f"{', '.join(known)}."
            )

    def summand(self, variable: str) -> str:
        """Return the text of what is summed, given the name of a variable that holds the state."""
        return variable if self.function is None else f"{self.function}({variable})"

    def latex(self, source: str) -> str:
        """Return the pool of the state typeset as `source` in LaTeX."""
        if self.kernel is None:
            return "0"
        if self.function is None:
            return self.kernel.latex(source)
        return self.kernel.latex(rf"\left({FUNCTIONS[self.function].latex.format(source)}\right)")


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

        def pooled(pool: Pool, states: Mapping[str, torch.Tensor]) -> torch.Tensor:
            state = states[pool.source]
            return state if pool.function is None else FUNCTIONS[pool.function].torch(state)

        def pools(states: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
            return {pool.name: nothing if op is None else op(pooled(pool, states)) for pool, op in operators}

        return pools

    def namespace(self) -> dict[str, Any]:
        """Return the Brian2 namespace: the registered functions that the equations and the pools call."""
        of_pools = {pool.function for pool in self.pools if pool.function is not None}
        return self.system.namespace() | {name: FUNCTIONS[name].brian() for name in sorted(of_pools)}

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
