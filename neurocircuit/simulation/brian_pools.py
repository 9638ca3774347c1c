"""Pools in Brian2: as explicit synapses, or as sums over rows and then columns without any synapse.

The fast form reads neighbours through linked variables with index arrays and adds them up in ordered `run_regularly`
operations before the state update: first along x into the group ``lines``, then along y into the circuit. Its cost per
unit grows with the width of a pool, not its area. Compared with chained `Synapses` (the other separable form) it needs
one index per offset instead of a source, a target and a sum per synapse; ``benchmarks/brian_pools.py`` times them all.

The total over the channels at a pixel is a sum of linked variables too, or of one synapse per channel where there are
many channels: every linked variable takes time to set up.

Beyond the border a unit reads the ghost, one extra unit of ``lines`` that is always zero.

What a pool's function makes of a state is computed once a step into a variable of the circuit, and pooled like a state.

A staggered update runs Brian2's own update text of one state at a time, as an operation among those that compute the
pools: the pools of an equation come just before it, so that they see the states already updated.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any, NamedTuple

import brian2
import numpy as np
from brian2.equations.equations import PARAMETER
from brian2.utils.stringtools import get_identifiers

from neurocircuit.circuits import Circuit, Pool
from neurocircuit.connectivity import Annulus, Box, ChannelMixing, FieldShape, LateralKernel, Mixture
from neurocircuit.connectivity.kernels import axis_sources
from neurocircuit.equations import METHODS

__all__ = ["build_network"]

#: Largest number of channels whose total at a pixel is summed over links.
LINKED_CHANNELS = 64


class _Part(NamedTuple):
    """One elementary kernel of a pool, times a weight."""

    weight: float
    kernel: Box | Annulus | ChannelMixing


@dataclass
class _Group:
    """A Brian2 group in the making: equations, values, links and the operations that fill it."""

    name: str
    size: int
    text: list[str] = field(default_factory=list)
    values: dict[str, Any] = field(default_factory=dict)
    links: dict[str, tuple[str, str, str]] = field(default_factory=dict)

    def index(self, name: str, values: np.ndarray) -> str:
        """Declare an array of indices once and return its name."""
        if name not in self.values:
            self.text.append(f"{name} : integer (constant)")
            self.values[name] = values
        return name

    def variable(self, name: str) -> str:
        """Declare a variable once and return its name."""
        line = f"{name} : 1"
        if line not in self.text:
            self.text.append(line)
        return name

    def link(self, name: str, group: str, variable: str, index: str) -> str:
        """Declare a variable read from another group through an index array, once, and return its name."""
        if name not in self.links:
            self.text.append(f"{name} : 1 (linked)")
            self.links[name] = (group, variable, index)
        return name


def build_network(
    circuit: Circuit,
    shape: FieldShape,
    clock: Any,
    *,
    method: str,
    staggered: bool,
    explicit: bool,
    links_per_pass: int,
) -> tuple[Any, list[Any]]:
    """Build the Brian2 group of a circuit and everything that computes its pools.

    Parameters
    ----------
    circuit : Circuit
        The circuit.
    shape : (channel, y, x)
        Shape of the field; unit i is ``(channel * height + y) * width + x``.
    clock : brian2.Clock
        The clock of all objects.
    method : str
        State updater.
    staggered : bool
        Whether each state is updated from those already updated, in the order of the equations.
    explicit : bool
        Whether every pool is made of synapses. A pool with a `Dense` kernel always is.
    links_per_pass : int
        Largest number of neighbours one operation reads. Index arrays of equal size fall on the same lines of a CPU's
        first-level cache, so reading many at once is slower (``one_pool`` of ``benchmarks/brian_pools.py``).

    Returns
    -------
    group, objects
        The circuit's ``NeuronGroup``, and every object a ``Network`` needs, the group included.

    Raises
    ------
    ValueError
        If a staggered update needs the same synaptic pool before and after its source is updated.
    """
    wiring = _Wiring(circuit, shape, links_per_pass)
    if staggered:
        for state in circuit.system.states:
            used = circuit.system.odes[state].identifiers
            wiring.add([pool for pool in circuit.pools if pool.name in used], explicit)
            wiring.update(state, method)
    else:
        wiring.add(circuit.pools, explicit)
    groups = wiring.create(clock, method, staggered)
    neurons = groups["circuit"]
    synapses = [_synapses(pool, neurons, circuit.namespace(), shape, clock) for pool, _ in wiring.synaptic.values()]
    if staggered:  # otherwise Brian2's own schedule, all sums before the state update, is right
        for made, (pool, turn) in zip(synapses, wiring.synaptic.values(), strict=True):
            summed = made.summed_updaters[f"{pool.name}_post"]
            summed.when, summed.order = "start", turn
    synapses += [_total_synapses(total, groups, clock, *found) for total, found in wiring.synaptic_totals.items()]
    return neurons, [*groups.values(), *synapses]


def _parts(kernel: LateralKernel, weight: float) -> list[_Part] | None:
    """Split a kernel into elementary ones, or None if it has a part that only synapses can do."""
    if isinstance(kernel, Box | Annulus | ChannelMixing):
        return [_Part(weight, kernel)]
    if isinstance(kernel, Mixture):
        split = [_parts(part, weight * factor) for factor, part in kernel.parts]
        if all(parts is not None for parts in split):
            return [part for parts in split for part in parts or ()]
    return None


def _synapses(pool: Pool, neurons: Any, namespace: dict[str, Any], shape: FieldShape, clock: Any) -> Any:
    assert pool.kernel is not None
    table = pool.kernel.as_synapses(shape)
    uniform, summand = len(np.unique(table.weight)) == 1, pool.summand(f"{pool.source}_pre")
    synapses = brian2.Synapses(
        neurons,
        neurons,
        f"w : 1 ({'shared, ' if uniform else ''}constant)\n{pool.name}_post = w*{summand} : 1 (summed)",
        namespace=namespace,
        clock=clock,
        name=f"synapses_{pool.name}",
    )
    synapses.connect(i=table.pre, j=table.post)
    synapses.w = table.weight[0] if uniform else table.weight
    return synapses


def _total_synapses(total: str, groups: dict[str, Any], clock: Any, state: str, turn: int) -> Any:
    """Sum a variable of the circuit over all channels at every pixel, into a variable of ``pixels``."""
    neurons, pixels = groups["circuit"], groups["pixels"]
    made = brian2.Synapses(
        neurons, pixels, f"{total}_post = {state}_pre : 1 (summed)", clock=clock, name=f"synapses_{total}"
    )
    unit = np.arange(len(neurons))
    made.connect(i=unit, j=unit % len(pixels))
    summed = made.summed_updaters[f"{total}_post"]
    summed.when, summed.order = "start", turn
    return made


def _summed_variable(pool: Pool) -> str:
    """Return the name of the circuit's variable that a pool sums: a state, or what its function makes of one."""
    return pool.source if pool.function is None else f"{pool.function}_{pool.source}"


def _group_equations(circuit: Circuit, staggered: bool) -> Any:
    """Return the circuit's equations; a staggered update declares the states only, and updates them by operations."""
    equations = circuit.system.brian()
    if not staggered:
        return equations
    states = "\n".join(f"{state} : {circuit.system.symbol(state).brian_unit}" for state in circuit.system.states)
    return brian2.Equations([line for line in equations.values() if line.type == PARAMETER]) + states


def _update_text(circuit: Circuit, state: str, method: str) -> str:
    """Return those statements of Brian2's state updater that the new value of one state depends on."""
    needed, kept = {state}, []
    for line in reversed(METHODS[method](circuit.system.odes).strip().splitlines()):
        target, expression = line.split(" = ", 1)
        if target in needed:
            kept.append(line)
            needed |= get_identifiers(expression)
    return "\n".join(reversed(kept))


def _ring(inner: int, outer: int) -> list[int]:
    """Return the distances further than `inner` and not further than `outer`, on both sides."""
    return [distance for distance in range(-outer, outer + 1) if abs(distance) > inner]


class _Wiring:
    """Collects the groups, links and operations of all fast pools of a circuit, then creates them in Brian2."""

    def __init__(self, circuit: Circuit, shape: FieldShape, links_per_pass: int) -> None:
        self.circuit, self.shape, self.links_per_pass = circuit, shape, links_per_pass
        channels, height, width = shape
        self.units, self.pixels = channels * height * width, height * width
        self.unit = np.arange(self.units).reshape(shape)
        self.groups = {
            "circuit": _Group("circuit", self.units),
            "lines": _Group("lines", self.units + 1),
            "pixels": _Group("pixels", self.pixels),
        }
        self.operations: list[tuple[int, str, str]] = []
        self.synaptic: dict[str, tuple[Pool, int]] = {}
        self.synaptic_totals: dict[str, tuple[str, int]] = {}
        self.turns = count()
        # Variables that were computed from the states as they are at this point of a step.
        self.current: set[str] = set()

    def add(self, pools: Sequence[Pool], explicit: bool) -> None:
        """Add what computes some pools, unless it has been computed since their source was last updated."""
        for pool in pools:
            if pool.kernel is None or pool.name in self.current:
                continue
            self.current.add(pool.name)
            parts = None if explicit else _parts(pool.kernel, 1.0)
            if parts is not None:
                terms = [term for number, part in enumerate(parts) for term in self._terms(pool, number, part)]
                self._accumulate("circuit", pool.name, terms)
            elif pool.name in self.synaptic:
                raise ValueError(
                    f"`update` is 'staggered', and `{pool.name}` is needed before and after `{pool.source}` is updated,"
                    " but its synapses are summed once in a step. Use pools='fast' with a kernel that is not Dense, or "
                    "device='torch'."
                )
            else:
                self.synaptic[pool.name] = pool, next(self.turns)

    def update(self, state: str, method: str) -> None:
        """Add the update of one state."""
        self._operation("circuit", _update_text(self.circuit, state, method))
        stale = [pool for pool in self.circuit.pools if pool.source == state]
        summed = {state, *map(_summed_variable, stale)}
        self.current -= {f"{word}_{name}" for word in ("copy", "total") for name in summed}
        self.current -= {pool.name for pool in stale} | summed

    def create(self, clock: Any, method: str, staggered: bool) -> dict[str, Any]:
        """Create the Brian2 groups, link them and register the operations in order."""
        used = {name: group for name, group in self.groups.items() if name == "circuit" or group.text}
        made = {}
        for name, group in used.items():
            text = "\n".join(group.text)
            equations = _group_equations(self.circuit, staggered) + text if name == "circuit" else text
            made[name] = brian2.NeuronGroup(
                group.size,
                equations,
                method=method,
                namespace=self.circuit.namespace(),
                clock=clock,
                name=name,
            )
            for variable, values in group.values.items():
                setattr(made[name], variable, values)
        for name, group in used.items():
            for variable, (source, target, index) in group.links.items():
                setattr(made[name], variable, brian2.linked_var(made[source], target, index=index))
        for order, name, code in self.operations:
            made[name].run_regularly(code, clock=clock, when="start", order=order, name=f"{name}_pass_{order}")
        return made

    def _terms(self, pool: Pool, number: int, part: _Part) -> Iterator[str]:
        """Yield the summands of a part of a pool, as expressions in the variables of the circuit's group."""
        summed = _summed_variable(pool)
        if pool.function is not None and summed not in self.current:
            self.current.add(summed)
            self._operation("circuit", f"{self.groups['circuit'].variable(summed)} = {pool.summand(pool.source)}")
        if isinstance(part.kernel, ChannelMixing):
            yield from self._channel_terms(summed, part.weight, part.kernel)
        else:
            yield from self._square_terms(f"{pool.name}_{number}", summed, part.weight, part.kernel)

    def _square_terms(self, name: str, state: str, weight: float, kernel: Box | Annulus) -> Iterator[str]:
        """Yield one summand per row of a kernel made of nested squares.

        The sum along x grows from the smallest square to the largest. A row then reads one variable only: the weighted
        sum of those lines whose squares reach it.
        """
        lines, line, reach = self.groups["lines"], self._ghosted_copy(state), 0
        found: list[tuple[int, str]] = []
        for square in sorted(kernel.terms):
            half = square.size // 2
            indices = [self._neighbour("lines", "right", -1, kernel, distance) for distance in _ring(reach, half)]
            if indices:
                links = [lines.link(f"{state}_{index}", "lines", f"copy_{state}", index) for index in indices]
                grown = lines.variable(f"line_{name}_{square.size}")
                self._accumulate("lines", grown, [line, *links])
                line = grown
            found.append((half, f"{float(weight * square.weight)!r}*{line}"))
            reach = half
        rows = [lines.variable(f"row_{name}_{rank}") for rank in range(len(found))]
        sums = [" + ".join(text for _, text in found[rank:]) for rank in range(len(found))]
        self._operation("lines", "\n".join(f"{row} = {total}" for row, total in zip(rows, sums, strict=True)))
        reach = -1
        for row, (half, _) in zip(rows, found, strict=True):
            for distance in _ring(reach, half):
                index = self._neighbour("circuit", "down", -2, kernel, distance)
                yield self.groups["circuit"].link(f"{row}_{index}", "lines", row, index)
            reach = half

    def _ghosted_copy(self, state: str) -> str:
        """Copy a state into ``lines``, whose last unit, the ghost, stays zero, and return the copy's name."""
        lines, copy = self.groups["lines"], f"copy_{state}"
        if copy not in self.current:
            self.current.add(copy)
            own = lines.index("own", np.append(np.arange(self.units), 0))
            lines.link(f"own_{state}", "circuit", state, own)
            self._operation("lines", f"{lines.variable(copy)} = own_{state}*int(i < {self.units})")
        return copy

    def _channel_total(self, state: str, channels: int) -> str:
        """Sum all channels at every pixel into a variable of ``pixels``, and return its name."""
        pixels, total = self.groups["pixels"], f"total_{state}"
        if total not in self.current:
            self.current.add(total)
            if channels > LINKED_CHANNELS:
                self._synaptic_total(total, state)
                return total
            terms = [
                pixels.link(f"{state}_{c}", "circuit", state, pixels.index(f"channel_{c}", self.unit[c].ravel()))
                for c in range(channels)
            ]
            self._accumulate("pixels", pixels.variable(total), terms)
        return total

    def _synaptic_total(self, total: str, state: str) -> None:
        if total in self.synaptic_totals:
            raise ValueError(
                f"`update` is 'staggered', and the total of `{state}` over more than {LINKED_CHANNELS} channels is "
                "needed before and after it is updated, but its synapses are summed once in a step. Use device='torch'."
            )
        self.groups["pixels"].variable(total)
        self.synaptic_totals[total] = state, next(self.turns)

    def _neighbour(self, group: str, word: str, axis: int, kernel: Box | Annulus, distance: int) -> str:
        """Declare the index of every unit's neighbour at a distance along an axis, and return its name."""
        name = f"{word}_{kernel.boundary}_{'p' if distance >= 0 else 'm'}{abs(distance)}"
        if name not in self.groups[group].values:
            source = axis_sources(self.shape[axis], abs(distance), kernel.boundary)[:, 0 if distance < 0 else -1]
            # One more slab, of ghosts, at the end: that is where the index -1 of a neighbour outside the field points.
            with_ghosts = np.insert(self.unit, self.shape[axis], self.units, axis=axis)
            flat = np.take(with_ghosts, source, axis=axis).ravel()
            self.groups[group].index(name, np.append(flat, self.units) if group == "lines" else flat)
        return name

    def _channel_terms(self, state: str, weight: float, kernel: ChannelMixing) -> Iterator[str]:
        neurons = self.groups["circuit"]
        if kernel.is_uniform:
            total = self._channel_total(state, len(kernel.by_lag))
            pixel = neurons.index("pixel", np.arange(self.units) % self.pixels)
            yield f"{float(weight * kernel.by_lag[0])!r}*{neurons.link(f'pixel_{total}', 'pixels', total, pixel)}"
            return
        yield f"{float(weight * kernel.by_lag[0])!r}*{state}"
        for lag, value in list(enumerate(kernel.by_lag))[1:]:
            index = neurons.index(f"lag_{lag}", np.roll(self.unit, -lag, axis=0).ravel())
            yield f"{float(weight * value)!r}*{neurons.link(f'{state}_lag_{lag}', 'circuit', state, index)}"

    def _accumulate(self, group: str, target: str, terms: Sequence[str]) -> None:
        for first in range(0, len(terms), self.links_per_pass):
            some = " + ".join(terms[first : first + self.links_per_pass])
            self._operation(group, f"{target} = {f'{target} + ' if first else ''}{some}")

    def _operation(self, group: str, code: str) -> None:
        self.operations.append((next(self.turns), group, code))
