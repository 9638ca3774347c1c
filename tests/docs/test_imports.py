"""Imports follow the flow that docs/explanation/architecture.rst describes."""

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "neurocircuit"


def imported(file):
    """Yield the parts of the project, such as ``circuits`` or ``files``, that a file imports anywhere in it."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        yield from (name.split(".")[1] for name in names if name.startswith("neurocircuit."))


@pytest.fixture(scope="module")
def imports():
    """What each part imports of the others."""
    found = {}
    for file in sorted(PACKAGE.rglob("*.py")):
        part = file.relative_to(PACKAGE).parts[0].removesuffix(".py")
        found.setdefault(part, set()).update(name for name in imported(file) if name != part)
    return found


def test_no_part_needs_itself_by_way_of_another(imports):
    order = list(TopologicalSorter(imports).static_order())  # or a CycleError, with the cycle
    assert order.index("equations") < order.index("circuits") < order.index("analysis")


def test_equations_and_connectivity_need_nothing_of_the_project(imports):
    assert imports["equations"] == imports["connectivity"] == set()


@pytest.mark.parametrize("part", ["stimuli", "tasks", "circuits", "cells"])
def test_what_is_trained_and_on_what_does_not_know_how(imports, part):
    assert not imports[part] & {"training", "networks", "analysis"}


def test_only_scripts_docs_and_tests_plot(imports):
    assert not [part for part, others in imports.items() if "plotting" in others]
