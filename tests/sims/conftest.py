import importlib.util
import sys
from pathlib import Path

import pytest

SIMS = Path(__file__).parents[2] / "sims"


@pytest.fixture
def script(monkeypatch, capsys):
    """Run a script of ``sims/`` in this process: ``script(name, *arguments)`` is (exit code, output, errors)."""

    def run(name, *arguments):
        spec = importlib.util.spec_from_file_location(name, SIMS / f"{name}.py")
        module = importlib.util.module_from_spec(spec)
        # Dataclasses and tyro look their module up by name.
        monkeypatch.setitem(sys.modules, name, module)
        spec.loader.exec_module(module)
        assert capsys.readouterr() == ("", ""), "importing a script must print nothing"
        monkeypatch.setattr(sys, "argv", [f"{name}.py", *map(str, arguments)])
        try:
            code = module.main()
        except SystemExit as end:
            code = end.code
        return code, *capsys.readouterr()

    return run
