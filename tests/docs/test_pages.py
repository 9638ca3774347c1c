"""The examples of the documentation's pages run and print what the pages say."""

import doctest
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"
PAGES = sorted(page for page in DOCS.rglob("*.rst") if "_build" not in page.parts and ">>> " in page.read_text())
PAGES = [page for page in PAGES if page.parent.name in ("tutorials", "howto", "explanation")]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_example_of_a_page_prints_what_the_page_says(page):
    failed, tried = doctest.testfile(str(page), module_relative=False)
    assert tried > 0
    assert failed == 0


def test_the_pages_that_promise_to_be_run_are_run():
    assert {"getting_started", "add_a_circuit", "sweep_parameters"} <= {page.stem for page in PAGES}
