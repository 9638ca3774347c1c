"""From the differential equation to the hGRU: every line of the derivation checked, and where its step is usable.

One stimulus under the differential equation (a fine step), Euler's method at larger steps, the recurrence at the step
eta/epsilon**2 that the hGRU comes from, and the gated cell; below, what each does to the equation. A second figure maps
the spectral radius of one step over the gain of the inhibition and the step, and shows the cycles that the published
parameters fall into at eta/epsilon**2 (Linsley et al. 2018).

It takes some minutes; with ``--quick`` less than one.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
import tyro
import xarray as xr
from brian2 import ms
from matplotlib.figure import Figure

from neurocircuit import Circuit, cli, simulate, two_pool_circuit
from neurocircuit.analysis import TILT_CHANNELS, fixed_point, leading_eigenvalue, stability_map, tilt_drive
from neurocircuit.cells import HGRUCell, HGRUState
from neurocircuit.circuits import (
    LinkCheck,
    TwoPoolParameters,
    check_links,
    default_excitation,
    default_inhibition,
    make_setting,
    shunt_from_h2,
)
from neurocircuit.connectivity import Annulus, LateralKernel, Mixture
from neurocircuit.equations import to_float
from neurocircuit.errors import SettlingWarning, StepSizeWarning
from neurocircuit.plotting import plot_cycles, plot_scheme_residuals, plot_schemes, plot_stability_map, style
from neurocircuit.simulation import write_netcdf
from neurocircuit.stimuli import CentreSurround

ParameterFlags = cli.parameter_flags(TwoPoolParameters)

#: The small problem: 4 channels, the published kernels' weights on smaller annuli.
CHANNELS, DISPLAY, NEAR, FAR = 4, CentreSurround(field=9, centre=3, surround=7), Annulus(1, 3), Annulus(3, 7)
ANGLE = 20.0

#: Steps in ms: of the differential equation, and of Euler's method beside it; and how long in ms.
FINE_STEP, EULER_STEPS, DURATION = 0.1, (1.0, 3.0, 6.0, 12.0), 192.0
GAINS, QUICK_GAINS = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0), (0.003, 1.0)
STEPS, QUICK_STEPS = (0.5, 1.0, 2.0, 3.0, 6.0, 12.0, 24.0, 30.0), (1.0, 24.0)

#: Steps of the comparison of devices, and of the runs that are to cycle; the periods known for the published circuit.
COMPARED_STEPS, CYCLE_STEPS = 50, 64
KNOWN_PERIODS = {"simultaneous": 4, "staggered": 2}
TOLERANCE = 1e-10


@dataclass(frozen=True)
class Config:
    """The derivation of the hGRU from the two-pool circuit, executed."""

    parameters: tyro.conf.OmitArgPrefixes[ParameterFlags] = ParameterFlags()
    """Values that replace the published ones."""
    device: str = "numpy"
    """Brian2 device that the cell is compared with: numpy, cython, cpp or cuda."""
    gain: float = 0.003
    """Factor of alpha and mu at which the recurrence is stable and devices can be compared step by step."""
    output: Path = Path("outputs/ode_vs_hgru")
    """Folder for results.nc, figure.png and stability.png."""
    seed: int = 0
    """Seed of the states at which the lines of the derivation are evaluated."""
    quick: bool = False
    """A coarse stability map."""


def small_circuit(config: Config) -> Circuit:
    """Return the circuit that the flags describe, with kernels for the small display."""

    def shrunk(kernel: Mixture, annulus: Annulus) -> LateralKernel:
        return Mixture(tuple((w, annulus if isinstance(part, Annulus) else part) for w, part in kernel.parts))

    changes = cli.changed(config.parameters, TwoPoolParameters)
    kernels = shrunk(default_inhibition(CHANNELS), FAR), shrunk(default_excitation(CHANNELS), NEAR)
    return two_pool_circuit(*kernels, **changes)


def with_gain(circuit: Circuit, gain: float) -> Circuit:
    """Return the circuit with alpha and mu multiplied."""
    values = circuit.parameters.as_floats()
    return circuit.with_parameters(alpha=gain * values["alpha"], mu=gain * values["mu"])


def hgru_time(circuit: Circuit) -> float:
    """Return the step eta/epsilon**2 in ms."""
    assert circuit.leak_cancelling_step is not None
    return to_float(circuit.leak_cancelling_step(circuit.parameters))


def run_quietly(circuit: Circuit, drive: np.ndarray, step: float, steps: int, **options: object) -> xr.Dataset:
    """Simulate without the warnings about steps and cycles that this script is there to show."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", StepSizeWarning)
        warnings.simplefilter("ignore", SettlingWarning)
        return simulate(circuit, drive, step=step * ms, steps=steps, **{"record": "all", **options})


def cell_states(cell: HGRUCell, drive: np.ndarray, steps: int) -> dict[str, np.ndarray]:
    """Return the states of a cell after 0, 1, ... steps from the drive, ``[time, batch, channel, y, x]``."""
    field = torch.from_numpy(drive)
    states = [HGRUState(field, field)]
    with torch.no_grad():
        for _ in range(steps):
            states.append(cell(field, states[-1]))
    return {name: np.stack([getattr(state, name).numpy() for state in states]) for name in ("h1", "h2")}


def check_derivation(config: Config, circuit: Circuit, drive: np.ndarray) -> list[LinkCheck]:
    """Evaluate every line of the derivation at random states."""
    h1, h2 = np.random.default_rng(config.seed).random((2, *drive.shape))
    states = {"h1": torch.from_numpy(h1), "h2": torch.from_numpy(h2)}
    return check_links(make_setting(circuit, torch.from_numpy(drive), states))


def compare_cell(config: Config, circuit: Circuit, drive: np.ndarray) -> xr.DataArray:
    """Return the largest difference between the ungated cell and the circuit, by shunt, update and device."""
    shunted = {"h1": circuit, "h2": shunt_from_h2(circuit)}
    devices = ("torch", config.device)
    found = np.zeros((len(shunted), len(KNOWN_PERIODS), len(devices)))
    for row, (shunt, reference) in enumerate(shunted.items()):
        for column, update in enumerate(KNOWN_PERIODS):
            cell = HGRUCell.from_circuit(circuit, channels=CHANNELS, shunt=shunt, update=update)
            states = cell_states(cell, drive, COMPARED_STEPS)
            for place, device in enumerate(devices):
                options = {"update": update, "device": device}
                result = run_quietly(reference, drive, hgru_time(circuit), COMPARED_STEPS, **options)
                found[row, column, place] = max(np.abs(result[name] - states[name]).max() for name in states)
    coords = {"shunt": list(shunted), "order": list(KNOWN_PERIODS), "device": list(devices)}
    return xr.DataArray(found, coords, name="cell_difference")


def traces(circuit: Circuit, drive: np.ndarray) -> xr.Dataset:
    """Run every scheme and return H2 at the centre's best channel over time, and its difference from the ODE."""
    limit = hgru_time(circuit)
    unit = (0, int(drive[0, :, DISPLAY.readout[0], DISPLAY.readout[1]].argmax()), *DISPLAY.readout)
    found: dict[str, tuple[float, np.ndarray]] = {}
    for step in (FINE_STEP, *EULER_STEPS, limit):
        name = {FINE_STEP: f"ODE (Euler, h = {FINE_STEP:g} ms)", limit: f"recurrence, h = {limit:g} ms"}
        result = run_quietly(circuit, drive, step, round(DURATION / step))
        found[name.get(step, f"Euler, h = {step:g} ms")] = step, result["h2"].values[(slice(None), *unit)]
    share = EULER_STEPS[0] / limit
    cell = HGRUCell.from_circuit(circuit, channels=CHANNELS, update="staggered", mix_gate=share)
    gated = cell_states(cell, drive, round(DURATION / EULER_STEPS[0]))["h2"]
    found[f"cell, gate of H2 {share:.3f}"] = EULER_STEPS[0], gated[(slice(None), *unit)]
    length = max(len(values) for _, values in found.values())
    time, h2 = np.full((2, len(found), length), np.nan)
    for row, (step, values) in enumerate(found.values()):
        time[row, : len(values)], h2[row, : len(values)] = step * np.arange(len(values)), values
    over = ("scheme", "sample")
    residual = h2 - np.interp(time, time[0], h2[0])
    attrs = {"units": "1"}
    data = {"h2": (over, h2, attrs), "residual": (over, residual, attrs)}
    return xr.Dataset(data, {"scheme": list(found), "time": (over, time, {"units": "ms"})})


def published_cycles(config: Config) -> xr.DataArray:
    """Return the field maximum of H2 over the last steps of the published-size circuit at eta/epsilon**2."""
    changes = cli.changed(config.parameters, TwoPoolParameters)
    circuit = two_pool_circuit(default_inhibition(TILT_CHANNELS), default_excitation(TILT_CHANNELS), **changes)
    drive, tail = tilt_drive([ANGLE]), 9
    largest, periods = [], []
    for update in KNOWN_PERIODS:
        result = run_quietly(circuit, drive, hgru_time(circuit), CYCLE_STEPS, update=update)
        largest.append(result["h2"].values[-tail:].max(axis=(1, 2, 3, 4)))
        periods.append(int(result["period"].item()))
    count = np.arange(CYCLE_STEPS + 1)[-tail:]
    coords = {"update": list(KNOWN_PERIODS), "step_count": count, "period_of_cycle": ("update", periods)}
    return xr.DataArray(np.stack(largest), coords, ("update", "step_count"), name="cycle", attrs={"units": "1"})


def run(config: Config) -> tuple[xr.Dataset, list[LinkCheck]]:
    """Compute everything that the figures and checks need."""
    if not 0 < config.gain < float("inf"):
        raise ValueError(f"`gain` is {config.gain!r}; it must be positive and finite, such as 0.003.")
    circuit = small_circuit(config)
    stable = with_gain(circuit, config.gain)
    drive = tilt_drive([ANGLE], DISPLAY, CHANNELS)
    links = check_derivation(config, circuit, drive)
    cell_difference = compare_cell(config, stable, drive)
    point = fixed_point(stable, drive)
    radii = [
        abs(leading_eigenvalue(stable, drive, point.states, step=hgru_time(stable), update=update))
        for update in KNOWN_PERIODS
    ]
    gains, steps = (QUICK_GAINS, QUICK_STEPS) if config.quick else (GAINS, STEPS)
    stability = stability_map(circuit, drive, gains, steps, updates=tuple(KNOWN_PERIODS))
    both = [traces(chosen, drive) for chosen in (stable, circuit)]
    result = xr.merge([stability, xr.concat(both, "shown_gain", combine_attrs="drop")], combine_attrs="no_conflicts")
    result = result.assign_coords(shown_gain=[config.gain, 1.0]).assign(
        cell_difference=cell_difference,
        stable_radius=("update", radii),
        cycle=published_cycles(config),
        link_difference=("link", [link.difference for link in links]),
        link_departure=("link", [link.departure for link in links]),
    )
    return result.assign_coords(link=[link.name for link in links]).assign_attrs(seed=config.seed), links


def check(config: Config, result: xr.Dataset) -> dict[str, bool]:
    """Return every check of a result by what it says."""
    worst = float(result["link_difference"].max())
    checks = {
        f"both sides of every line agree within {TOLERANCE:g} (largest difference {worst:.1e})": worst <= TOLERANCE
    }
    radius = float(result["stable_radius"].max())
    checks[f"the recurrence is stable at gain {config.gain:g} (spectral radius {radius:.3f})"] = radius < 1
    for device in result["device"].values:
        off = float(result["cell_difference"].sel(device=device).max())
        what = f"the ungated cell equals the circuit on {device} within {TOLERANCE:g} over {COMPARED_STEPS} steps"
        checks[f"{what}, shunt h1 and h2, both updates (largest difference {off:.1e})"] = off <= TOLERANCE
    if all(value is None for value in asdict(config.parameters).values()):
        for update, period in KNOWN_PERIODS.items():
            found = int(result["period_of_cycle"].sel(update=update))
            what = f"at eta/epsilon**2 the published parameters cycle, {update} update: period {found}"
            checks[what] = found == period
    return checks


def plot_traces(result: xr.Dataset) -> Figure:
    """Draw every scheme at both gains, residuals below."""
    figure = Figure(figsize=(7, 4.6))
    axes = figure.subplots(2, 2, sharex=True, height_ratios=(3, 2))
    for column, gain in enumerate(result["shown_gain"].values):
        chosen = result.sel(shown_gain=gain)
        plot_schemes(chosen["h2"], axes[0, column], title=f"Gain of inhibition {gain:g}")
        plot_scheme_residuals(chosen["residual"], axes[1, column])
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
    return figure


def plot_stability(result: xr.Dataset) -> Figure:
    """Draw the stability map of both orders of update, and the cycles of the published parameters."""
    figure = Figure(figsize=(7, 5))
    grid = figure.add_gridspec(2, 2, height_ratios=(3, 2))
    for column, update in enumerate(KNOWN_PERIODS):
        plot_stability_map(result, update, figure.add_subplot(grid[0, column]))
    plot_cycles(
        result["cycle"], figure.add_subplot(grid[1, :]), title="Published parameters and size at the step eta/epsilon²"
    )
    return figure


def main() -> int:
    """Run the script and return its exit code."""
    config = tyro.cli(Config, description=__doc__)
    with cli.one_line_errors(), style():
        folder = cli.check_output_folder(config.output)
        result, links = run(config)
        data = write_netcdf(result, folder / "results.nc")
        figures: Sequence[Path] = [
            cli.save_figure(draw(result), folder / name)
            for name, draw in (("figure.png", plot_traces), ("stability.png", plot_stability))
        ]
    print(f"{'line':<20} {'two sides differ by':>20} {'departs by':>11}  what changed")
    for link in links:
        print(f"{link.name:<20} {link.difference:>20.1e} {link.departure:>11.3g}  {link.change}")
    exit_code = cli.report_checks(check(config, result))
    print(f"Wrote {data}, {' and '.join(map(str, figures))}")
    return exit_code


if __name__ == "__main__":
    raise SystemExit(main())
