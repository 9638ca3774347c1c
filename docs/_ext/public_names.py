"""The names of the top-level package: listed, and linked to the subpackage where each is described once."""

from __future__ import annotations

import importlib
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

import neurocircuit

SUBPACKAGES = (
    "circuits",
    "equations",
    "connectivity",
    "simulation",
    "cells",
    "networks",
    "plasticity",
    "tasks",
    "training",
    "stimuli",
    "analysis",
    "plotting",
    "cli",
    "checks",
    "errors",
    "files",
    "intervals",
    "memory",
    "tables",
    "versions",
)


def homes() -> dict[str, str]:
    """Return where every top-level name is described, by its full name ``neurocircuit.NAME``."""
    found: dict[str, str] = {}
    for package in SUBPACKAGES:
        for name in importlib.import_module(f"neurocircuit.{package}").__all__:
            found.setdefault(f"neurocircuit.{name}", f"neurocircuit.{package}.{name}")
    return {name: home for name, home in found.items() if name.removeprefix("neurocircuit.") in neurocircuit.__all__}


class PublicNamesDirective(SphinxDirective):
    """``.. public-names::``: the names that can be imported from ``neurocircuit``."""

    def run(self) -> list[nodes.Node]:
        """Return one paragraph of links."""
        return self.parse_text_to_nodes(", ".join(f"`~{name}`" for name in homes()) + ".")


def resolve(app: Sphinx, env: Any, node: Any, content: Any) -> Any:
    """Resolve a reference to ``neurocircuit.NAME`` as one to the page of its subpackage."""
    home = homes().get(node.get("reftarget", ""))
    if home is None or node.get("refdomain") != "py":
        return None
    python = env.get_domain("py")
    return python.resolve_xref(env, node["refdoc"], app.builder, node["reftype"], home, node, content)


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the directive and the resolver."""
    app.add_directive("public-names", PublicNamesDirective)
    app.connect("missing-reference", resolve)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
