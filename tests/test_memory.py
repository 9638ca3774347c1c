"""Peak memory counts what a call took and gave back."""

import ctypes
import sys
from pathlib import Path

import numpy as np
import pytest

from neurocircuit.memory import peak_growth

linux = pytest.mark.skipif(sys.platform != "linux", reason="other systems do not tell the peak")


@linux
@pytest.mark.parametrize("mebibytes", [64, 128])
def test_memory_that_is_freed_within_a_call_counts_each_time(mebibytes):
    def take():
        np.ones(mebibytes * 2**20, dtype=np.uint8)

    for _ in range(2):
        assert peak_growth(take) == pytest.approx(mebibytes, abs=8)


@linux
def test_a_call_that_takes_nothing_raises_nothing():
    assert 0 <= peak_growth(lambda: None) < 8


def another_system(monkeypatch):
    """Windows, where ctypes does not open the program itself."""

    def refuse(name):
        raise TypeError("LoadLibrary() argument 1 must be str, not None")

    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setattr(ctypes, "CDLL", refuse)


def another_library(monkeypatch):
    monkeypatch.setattr(ctypes, "CDLL", lambda name: object())


def a_peak_that_may_not_be_forgotten(monkeypatch):
    def refuse(self, text):
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "write_text", refuse)


def a_peak_that_is_not_told(monkeypatch):
    plain = Path.read_text
    monkeypatch.setattr(Path, "read_text", lambda self: plain(self).replace("VmHWM", "Other"))


def no_status(monkeypatch):
    def refuse(self):
        raise FileNotFoundError(2, "No such file or directory", str(self))

    monkeypatch.setattr(Path, "read_text", refuse)


@pytest.mark.parametrize(
    "lacking",
    [
        another_system,
        pytest.param(another_library, marks=linux),
        pytest.param(a_peak_that_may_not_be_forgotten, marks=linux),
        pytest.param(a_peak_that_is_not_told, marks=linux),
        pytest.param(no_status, marks=linux),
    ],
)
def test_the_function_is_called_once_where_the_system_does_not_tell(monkeypatch, lacking):
    calls = []
    lacking(monkeypatch)
    assert np.isnan(peak_growth(lambda: calls.append(1)))
    assert calls == [1]
