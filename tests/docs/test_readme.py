"""What the README promises: its example runs and prints what it says, and its commands and files exist."""

import contextlib
import io
import re
from importlib.metadata import version
from pathlib import Path

import pytest

from neurocircuit import available_devices

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
GUIDES = {name: (ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "CONTRIBUTING.md")}


def blocks(language):
    """Return the fenced blocks of one language."""
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def test_the_example_of_the_readme_prints_what_the_readme_says():
    (example,), (shown,) = blocks("python"), blocks("text")
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(example, "README.md", "exec"), {})
    assert printed.getvalue() == shown


def test_the_example_of_the_readme_has_at_most_ten_lines():
    (example,) = blocks("python")
    assert len(example.splitlines()) <= 10


@pytest.mark.parametrize("guide", GUIDES)
def test_every_make_command_of_a_guide_is_a_target(guide):
    named = set(re.findall(r"\bmake ([a-z][a-z-]*)\b", "\n".join(re.findall(r"`{1,3}[^`]+`{1,3}", GUIDES[guide]))))
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert {"mely", "test"} <= named
    assert named <= targets


@pytest.mark.parametrize("guide", GUIDES)
def test_every_file_that_a_guide_names_exists(guide):
    named = re.findall(r"\b((?:sims|docs|tests|benchmarks)/[\w/]+\.(?:py|rst|md))\b", GUIDES[guide])
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_the_device_table_lists_every_device():
    listed = {name.removesuffix(":0") for name in re.findall(r'^\| `"([\w:]+)"`', README, re.MULTILINE)}
    assert listed == set(available_devices())


def test_the_citation_file_has_the_version_of_the_package():
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert re.search(r"^version: (.+)$", citation, re.MULTILINE)[1] == version("neurocircuit")


def test_the_changelog_has_an_entry_for_the_version_of_the_package():
    assert f"## [{version('neurocircuit')}]" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
