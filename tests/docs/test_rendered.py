"""What the pages render from the code: equations, pools, presets, citations and the API are complete."""

import csv
import importlib
import pkgutil
import re
import sys
from pathlib import Path

import pytest

import neurocircuit
from neurocircuit.circuits import PRESETS
from neurocircuit.equations import equations_latex

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
#: Folders of pages that are made when the docs are built.
BUILT = {"_build", "generated", "gallery", "lessons"}


@pytest.fixture(scope="module")
def extensions():
    """The Sphinx extensions of the docs, by name; skipped where Sphinx is not installed."""
    pytest.importorskip("sphinx")
    sys.path.insert(0, str(DOCS / "_ext"))
    try:
        yield {name: importlib.import_module(name) for name in ("circuit_directive", "public_names")}
    finally:
        sys.path.remove(str(DOCS / "_ext"))


@pytest.mark.parametrize("name", ["mely", "two-pool", "competing-units"])
def test_a_circuit_page_shows_every_equation_symbol_parameter_and_pool(extensions, name):
    directive = extensions["circuit_directive"]
    circuit = directive.CIRCUITS[name]()
    lines = [line for section in directive.SYSTEM_SECTIONS.values() for line in section(circuit.system)]
    lines += [line for section in directive.CIRCUIT_SECTIONS.values() for line in section(circuit)]
    shown = "\n".join(lines)
    for line in equations_latex(circuit.system).splitlines():
        assert line in shown
    for symbol in circuit.system.symbols:
        assert f"``{symbol.name}``" in shown
        assert symbol.meaning in shown
    for pool in circuit.pools:
        assert pool.latex(circuit.system.symbol(pool.source).latex) in shown


@pytest.mark.parametrize("name", ["ei-current", "ei-rate"])
def test_a_page_of_a_system_shows_its_equations_and_symbols(extensions, name):
    directive = extensions["circuit_directive"]
    system = directive.SYSTEMS[name]()
    shown = "\n".join(line for section in directive.SYSTEM_SECTIONS.values() for line in section(system))
    assert equations_latex(system) in shown.replace("   ", "")
    assert r"\xi" in shown
    assert all(symbol.meaning in shown for symbol in system.symbols)


def test_a_lesioned_pool_is_shown_as_zero(extensions):
    directive = extensions["circuit_directive"]
    assert "   T_{xyk} = 0" in directive.pools(directive.CIRCUITS["mely"]().lesioned("T"))


def test_the_preset_table_shows_every_value_in_which_presets_differ(extensions):
    rows = "\n".join(extensions["circuit_directive"].presets())
    for name, preset in PRESETS.items():
        assert f"``{name}``" in rows
        assert preset.source in rows
    floats = [preset.parameters.as_floats() for preset in PRESETS.values()]
    differing = {key for key in floats[0] if len({values[key] for values in floats}) > 1}
    assert differing == set(re.findall(r"\(``(\w+)``\)", rows))


def test_every_circuit_of_the_docs_is_in_the_bibliography(extensions):
    keys = set(re.findall(r"^@\w+\{(\w+),", (DOCS / "references.bib").read_text(encoding="utf-8"), re.MULTILINE))
    assert {make().citation for make in extensions["circuit_directive"].CIRCUITS.values()} <= keys


def test_every_citation_of_a_page_or_docstring_is_in_the_bibliography():
    keys = set(re.findall(r"^@\w+\{(\w+),", (DOCS / "references.bib").read_text(encoding="utf-8"), re.MULTILINE))
    pages = [page for page in DOCS.rglob("*.rst") if not BUILT & set(page.parts)]
    texts = [*pages, *(ROOT / "neurocircuit").rglob("*.py"), *(DOCS / "examples").glob("*.py")]
    cited = {key for text in texts for key in re.findall(r":cite:\w:`(\w+)`", text.read_text(encoding="utf-8"))}
    assert cited
    assert cited <= keys


def test_the_reference_lists_every_subpackage(extensions):
    listed = set(re.findall(r"^   neurocircuit\.(\w+)$", (DOCS / "reference" / "index.rst").read_text(), re.MULTILINE))
    assert listed == {module.name for module in pkgutil.iter_modules(neurocircuit.__path__)}
    assert listed == set(extensions["public_names"].SUBPACKAGES)


def test_every_top_level_name_has_a_page(extensions):
    assert set(extensions["public_names"].homes()) == {f"neurocircuit.{name}" for name in neurocircuit.__all__}


def test_every_row_of_the_committed_reproductions_passed():
    with (DOCS / "results" / "reproductions.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows
    assert list(rows[0]) == ["quantity", "published", "source", "ours", "tolerance", "passed", "command"]
    assert [row["quantity"] for row in rows if row["passed"] != "yes"] == []


def test_every_table_that_a_page_reads_is_committed():
    pages = [page for page in DOCS.rglob("*.rst") if not BUILT & set(page.parts)]
    read = [
        page.parent / name for page in pages for name in re.findall(r":file: (\S+)", page.read_text(encoding="utf-8"))
    ]
    assert read
    assert [str(file) for file in read if not file.exists()] == []
