"""Sphinx directives that typeset a circuit from the code that simulates it, so that no equation is typed twice."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from neurocircuit.analysis import TILT_CHANNELS
from neurocircuit.circuits import (
    PRESETS,
    Circuit,
    competing_units_circuit,
    default_excitation,
    default_inhibition,
    ei_system,
    mely_circuit,
    two_pool_circuit,
)
from neurocircuit.circuits.mely import OMEGA
from neurocircuit.equations import FUNCTIONS, OdeSystem, equations_latex, parameter_rows, to_float, unit_name

CIRCUITS: Mapping[str, Callable[[], Circuit]] = {
    "mely": lambda: mely_circuit(TILT_CHANNELS),
    "two-pool": lambda: two_pool_circuit(default_inhibition(TILT_CHANNELS), default_excitation(TILT_CHANNELS)),
    "competing-units": lambda: competing_units_circuit(100),
}

#: Equations that are no field of units, by name: they have no pools of pixels and no parameter set.
SYSTEMS: Mapping[str, Callable[[], OdeSystem]] = {
    "ei-current": lambda: ei_system("current", noise=True),
    "ei-rate": lambda: ei_system("rate", noise=True),
}


def list_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Return the lines of a reStructuredText list-table."""
    lines = [".. list-table::", "   :header-rows: 1", ""]
    for row in [header, *rows]:
        for column, cell in enumerate(row):
            lines.append(f"   {'* -' if column == 0 else '  -'} {cell}".rstrip())
    return [*lines, ""]


def math_block(latex: str) -> list[str]:
    """Return the lines of a displayed equation."""
    return [".. math::", "", *(f"   {line}" for line in latex.splitlines()), ""]


def equations(system: OdeSystem) -> list[str]:
    """Return the equations and the functions they call."""
    called = [f":math:`{FUNCTIONS[f].latex.format('x')}` is {FUNCTIONS[f].meaning}" for f in system.functions()]
    note = ["where " + "; ".join(called) + ".", ""] if called else []
    return [*math_block(equations_latex(system)), *note]


def source_text(system: OdeSystem) -> list[str]:
    """Return the text that is simulated, as it stands in the code."""
    return [".. code-block:: text", "", *(f"   {line}" for line in system.text.strip().splitlines()), ""]


def symbols(system: OdeSystem) -> list[str]:
    """Return the table of states, inputs, pools and constants of a unit."""
    fields = [s for s in system.symbols if s.role != "parameter"]
    rows = [(f":math:`{s.latex}`", f"``{s.name}``", s.role, s.meaning) for s in fields]
    return list_table(("Symbol", "Name in the code", "Role", "Meaning"), rows)


def parameters(circuit: Circuit) -> list[str]:
    """Return the table of parameters with values, units and sources."""
    rows = [
        (f":math:`{latex}`", f"``{name}``", value, unit or "1", meaning, source)
        for latex, name, value, unit, meaning, source in parameter_rows(circuit.parameters)
    ]
    return list_table(("Symbol", "Name in the code", "Value", "Unit", "Meaning", "Source"), rows)


def pools(circuit: Circuit) -> list[str]:
    """Return every pool's definition as an equation."""
    lines = []
    for pool in circuit.pools:
        symbol, source = circuit.system.symbol(pool.name), circuit.system.symbol(pool.source)
        definition = pool.latex(source.latex)
        lines += [f"``{pool.name}``, {symbol.meaning}:", "", *math_block(rf"{symbol.latex}_{{xyk}} = {definition}")]
    return lines


def presets() -> list[str]:
    """Return the table of the presets: every parameter and pool size that differs between them, and the sources."""
    values = {name: _preset_values(name) for name in PRESETS}
    labels = list(next(iter(values.values())))
    differing = [label for label in labels if len({chosen[label] for chosen in values.values()}) > 1]
    rows = [(label, *(values[name][label] for name in PRESETS)) for label in differing]
    rows.append(("source", *(PRESETS[name].source for name in PRESETS)))
    return list_table(("", *(f"``{name}``" for name in PRESETS)), rows)


def _preset_values(name: str) -> dict[str, str]:
    chosen = PRESETS[name]
    found = {}
    for latex, key, number, unit, _, _ in parameter_rows(chosen.parameters):
        found[f":math:`{latex}` (``{key}``)"] = f"{number} {unit}".strip()
    for field in dataclasses.fields(chosen.sizes):
        found[f"``sizes.{field.name}`` (pixels)"] = str(getattr(chosen.sizes, field.name))
    return found


def shared_values() -> list[str]:
    """Return one sentence with the constants that no preset changes and that are not circuit parameters."""
    step = mely_circuit(TILT_CHANNELS)
    limit: Any = step.leak_cancelling_step(step.parameters) if step.leak_cancelling_step else None
    return [
        rf"Every preset has :math:`\omega = {OMEGA:g}` (the width of Q's Gaussian, as a fraction of the feature range)"
        rf" and :math:`\eta/\epsilon^2 = {to_float(limit):g}` {unit_name(limit)}.",
        "",
    ]


SYSTEM_SECTIONS: Mapping[str, Callable[[OdeSystem], list[str]]] = {
    "equations": equations,
    "source": source_text,
    "symbols": symbols,
}
CIRCUIT_SECTIONS: Mapping[str, Callable[[Circuit], list[str]]] = {"parameters": parameters, "pools": pools}


class CircuitDirective(SphinxDirective):
    """``.. circuit:: NAME`` with ``:show: SECTION``: one part of a circuit or system, rendered from the code."""

    required_arguments = 1
    option_spec = {  # noqa: RUF012
        "show": lambda value: directives.choice(value, (*SYSTEM_SECTIONS, *CIRCUIT_SECTIONS))
    }

    def run(self) -> list[nodes.Node]:
        """Return the section's nodes."""
        name, section = self.arguments[0], self.options["show"]
        if name not in CIRCUITS and (name not in SYSTEMS or section in CIRCUIT_SECTIONS):
            raise self.error(f"`circuit` is {name!r}; it must be one of {', '.join((*CIRCUITS, *SYSTEMS))}.")
        if section in CIRCUIT_SECTIONS:
            lines = CIRCUIT_SECTIONS[section](CIRCUITS[name]())
        else:
            lines = SYSTEM_SECTIONS[section](SYSTEMS[name]() if name in SYSTEMS else CIRCUITS[name]().system)
        return self.parse_text_to_nodes("\n".join(lines))


class PresetsDirective(SphinxDirective):
    """``.. circuit-presets::``: the published parameter sets side by side."""

    def run(self) -> list[nodes.Node]:
        """Return the table's nodes."""
        return self.parse_text_to_nodes("\n".join([*presets(), *shared_values()]))


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the directives."""
    app.add_directive("circuit", CircuitDirective)
    app.add_directive("circuit-presets", PresetsDirective)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
