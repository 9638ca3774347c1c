import dataclasses
import warnings

import pytest
from brian2 import ms
from matplotlib.figure import Figure

from neurocircuit import MelyParameters, cli


def test_every_parameter_has_a_flag_that_is_off_by_default():
    flags = cli.parameter_flags(MelyParameters)()
    assert dataclasses.asdict(flags) == dict.fromkeys(MelyParameters().as_floats())
    assert cli.changed(flags, MelyParameters) == {}


def test_flags_give_times_in_ms_and_other_values_as_they_are():
    flags = cli.parameter_flags(MelyParameters)(eta=4.0, alpha=0.0)
    changed = cli.changed(flags, MelyParameters)
    assert changed == {"eta": 4 * ms, "alpha": 0.0}
    assert MelyParameters(**changed).as_floats()["eta"] == pytest.approx(4)


def test_folder_check_leaves_nothing_behind(tmp_path):
    folder = tmp_path / "a" / "b"
    assert cli.check_output_folder(folder) == folder
    assert not list(tmp_path.iterdir())


def test_folder_that_is_a_file_is_refused(tmp_path):
    (tmp_path / "file").touch()
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(OSError, match=r"`output`.*cannot be written to"):
            cli.check_output_folder(folder)


def test_figure_that_cannot_be_drawn_leaves_the_old_file_and_no_other(tmp_path, monkeypatch):
    path = tmp_path / "figure.png"
    cli.save_figure(Figure(figsize=(1, 1)), path)
    before = path.read_bytes()

    def half(self, file, **_):
        file.write_bytes(b"half a picture")
        raise OSError("disk full")

    monkeypatch.setattr(Figure, "savefig", half)
    with pytest.raises(OSError, match="disk full"):
        cli.save_figure(Figure(), path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(("checks", "code"), [({"a": True, "b": True}, 0), ({"a": True, "b": False}, 1)])
def test_exit_code_is_0_only_if_every_check_passed(checks, code, capsys):
    assert cli.report_checks(checks) == code
    assert capsys.readouterr().out.split() == ["PASS", "a", "FAIL" if code else "PASS", "b"]


def test_error_of_the_library_is_one_line_and_exit_code_2(capsys):
    with pytest.raises(SystemExit) as end, cli.one_line_errors():
        raise ValueError("first\n  second")
    assert end.value.code == 2
    assert capsys.readouterr().err == "error: first second\n"


def test_other_errors_keep_their_traceback():
    with pytest.raises(ZeroDivisionError), cli.one_line_errors():
        1 / 0  # noqa: B018


def test_warning_is_one_line(capsys):
    with warnings.catch_warnings(), cli.one_line_errors():
        warnings.simplefilter("default")
        warnings.warn("too\n large", UserWarning, stacklevel=1)
    assert capsys.readouterr().err == "warning: too large\n"
