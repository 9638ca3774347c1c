"""Running a circuit in Brian2: at run time (numpy, Cython) or as generated C++ or CUDA programs.

A generated program is built once and run again for every stimulus and parameter set, with the drive, the starting
states and the parameters as its arguments.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import brian2
import numpy as np
from brian2 import ms
from brian2.devices.device import get_device, reset_device, set_device
from tqdm import tqdm

from neurocircuit.equations import ParameterSet
from neurocircuit.errors import BackendUnavailableError
from neurocircuit.simulation import cuda
from neurocircuit.simulation.brian_pools import build_network
from neurocircuit.simulation.problem import FloatArray, Problem, Trajectory, non_finite_error

__all__ = ["LINKS_PER_PASS", "brian_device", "compile_program", "compiler_problem", "generate", "run"]

# See build_network: a CPU's cache limits how many index arrays are read at once, a GPU's does not.
LINKS_PER_PASS = {"numpy": 64, "cython": 5, "cpp": 5, "cuda": 32}


@dataclass
class _Model:
    """The Brian2 objects of one problem."""

    network: Any
    neurons: Any
    samples: Any | None


def run(problem: Problem, parameter_sets: Sequence[ParameterSet], device: str, pools: str) -> list[Trajectory]:
    """Run a problem for each parameter set and return the trajectories; see `neurocircuit.simulate`."""
    stimuli = [(parameters, item) for parameters in parameter_sets for item in range(len(problem.drive))]
    with tqdm(total=len(stimuli), unit="stimulus", desc=device, disable=None) as progress:
        runner = _run_standalone if device in ("cpp", "cuda") else _run_runtime
        runs = []
        for trajectory in runner(problem, stimuli, device, pools):
            runs.append(trajectory)
            progress.update()
    batch = len(problem.drive)
    return [Trajectory.join(runs[first : first + batch]) for first in range(0, len(runs), batch)]


def generate(problem: Problem, directory: str, device: str, pools: str, compile: bool) -> None:
    """Write the program of a problem into a directory, and compile it if asked; see `generate_program`."""
    directory = str(Path(directory).resolve())  # the compiler runs inside it
    if device == "cuda" and compile:
        cuda.require_toolkit()
    with brian_device(device, directory):
        _advance(problem, _build(problem, device, pools))
        get_device().build(directory=directory, compile=compile, run=False, clean=False)


def compiler_problem() -> str:
    """Return why C++ cannot be compiled here, or the empty string."""
    missing = [tool for tool in ("g++", "make") if shutil.which(tool) is None]
    return f"{' and '.join(missing)} not found (on Debian: apt install g++ make)" if missing else ""


def _run_runtime(
    problem: Problem, stimuli: Sequence[tuple[ParameterSet, int]], device: str, pools: str
) -> Iterator[Trajectory]:
    quiet = np.errstate(all="ignore")  # overflow is reported by _read, with the state and the time
    with brian_device(device), quiet:
        model = _build(problem, device, pools)
        model.network.store()
        for parameters, item in stimuli:
            model.network.restore()
            for view, value in _arguments(problem, model, parameters, item).items():
                setattr(model.neurons, view.name, value)
            _advance(problem, model)
            yield _read(problem, model)


def _run_standalone(
    problem: Problem, stimuli: Sequence[tuple[ParameterSet, int]], device: str, pools: str
) -> Iterator[Trajectory]:
    if device == "cuda":
        cuda.require_gpu()
    with tempfile.TemporaryDirectory(prefix="neurocircuit_") as directory, brian_device(device, directory):
        model = _build(problem, device, pools)
        _advance(problem, model)
        compile_program(device, directory, run=False)
        for parameters, item in stimuli:
            get_device().run(run_args=_arguments(problem, model, parameters, item))
            yield _read(problem, model)


def _build(problem: Problem, device: str, pools: str) -> _Model:
    clock = brian2.Clock(problem.step * ms, name="circuit_clock*")
    neurons, objects = build_network(
        problem.circuit,
        problem.field_shape,
        clock,
        method=problem.method,
        staggered=problem.update == "staggered",
        explicit=pools == "explicit",
        links_per_pass=LINKS_PER_PASS[device],
    )
    for name, value in problem.circuit.parameters.quantities().items():
        setattr(neurons, name, value)
    samples = None
    if len(problem.sample_steps) > 1:
        every = int(problem.sample_steps[1]) * problem.step * ms
        units = True if problem.units is None else np.ravel_multi_index(tuple(problem.units.T), problem.field_shape)
        # Taken at the start of a step, so that sample k is the state after k steps.
        samples = brian2.StateMonitor(
            neurons, problem.circuit.system.states, record=units, dt=every, when="start", order=-1, name="samples"
        )
        objects.append(samples)
    return _Model(brian2.Network(*objects), neurons, samples)


def _arguments(problem: Problem, model: _Model, parameters: ParameterSet, item: int) -> dict[Any, Any]:
    """Return the values that differ from run to run, by Brian2 variable."""
    values: dict[str, Any] = {**parameters.quantities(), "drive": problem.drive[item].ravel()}
    values |= {name: problem.start[name][item].ravel() for name in problem.circuit.system.states}
    return {getattr(model.neurons, name): value for name, value in values.items()}


def _advance(problem: Problem, model: _Model) -> None:
    model.network.run(problem.steps * problem.step * ms, namespace={})


def _read(problem: Problem, model: _Model) -> Trajectory:
    samples: dict[str, FloatArray] = {}
    final: dict[str, FloatArray] = {}
    for name in problem.circuit.system.states:
        last = np.array(getattr(model.neurons, name)[:]).reshape(problem.field_shape)
        kept = problem.keep(last)
        if model.samples is None:
            samples[name] = kept[None, None]
        else:
            recorded = np.array(getattr(model.samples, name)).T.reshape(-1, *kept.shape)
            # The monitor stops one step before the end, where the group itself has the state.
            whole = np.concatenate([recorded, kept[None]]) if len(recorded) < len(problem.sample_steps) else recorded
            samples[name] = whole[:, None]
            for at_step, values in zip(problem.sample_steps.tolist(), whole, strict=True):
                if not np.isfinite(values).all():
                    raise non_finite_error(problem, name, at_step)
        if not np.isfinite(last).all():
            raise non_finite_error(problem, name, problem.steps)
        final[name] = last[None]
    return Trajectory(samples, final)


def compile_program(device: str, directory: str, *, run: bool) -> None:
    """Compile the program that Brian2 has written into a directory, and run it if asked.

    Raises
    ------
    BackendUnavailableError
        If it does not compile or run.
    """
    try:
        get_device().build(directory=directory, compile=True, run=run, clean=False)
    except (RuntimeError, OSError) as error:
        what = "compile or run" if run else "compile"
        raise BackendUnavailableError(
            f"`device` is {device!r}, but its program did not {what}: {error}. A C++ compiler and make are needed (on "
            "Debian: apt install g++ make)."
        ) from error


@contextmanager
def brian_device(name: str, directory: str = "") -> Iterator[None]:
    """Select one of our Brian2 devices and restore the caller's afterwards, whatever happens.

    Programs of "cpp" and "cuda" are written into the directory.
    """
    preferences = _cpp_flags()
    if name in ("numpy", "cython"):
        with _preferences({**preferences, "codegen.target": name}):
            set_device("runtime")
            try:
                yield
            finally:
                reset_device()
        return
    if name == "cuda":
        preferences |= cuda.preferences(directory)
    with _preferences(preferences):
        set_device(f"{name}_standalone", directory=directory, build_on_run=False)
        try:
            yield
        finally:
            get_device().reinit()
            reset_device()


@contextmanager
def _preferences(values: dict[str, Any]) -> Iterator[None]:
    """Set Brian2 preferences and restore the caller's afterwards."""
    before = {name: brian2.prefs[name] for name in values}
    try:
        for name, value in values.items():
            brian2.prefs[name] = value
        yield
    finally:
        for name, value in before.items():
            brian2.prefs[name] = value


def _cpp_flags() -> dict[str, Any]:
    """Return compiler options without fast-math, which reorders sums and removes NaN tests, and a parallel build."""
    flags = [flag for flag in brian2.prefs["codegen.cpp.extra_compile_args_gcc"] if "math" not in flag]
    return {
        "codegen.cpp.extra_compile_args_gcc": flags,
        "devices.cpp_standalone.extra_make_args_unix": [f"-j{os.cpu_count() or 1}"],
    }
