"""Do all devices compute the same circuit? The tilt problem on each of them, compared state by state.

The first device is the reference. At a step of 1 ms all devices agree to rounding error. At 2 ms and more the circuit
is chaotic, so that rounding grows until the trajectories part: ``--step 3 --steps 100`` shows it, and fails its check.

With every device that needs no GPU it takes some minutes, much of it for compiling; ``--devices torch cpp`` is quicker.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import tyro
import xarray as xr
from brian2 import ms
from matplotlib.figure import Figure

from neurocircuit import PoolSizes, available_devices, cli, crosscheck, mely_circuit
from neurocircuit.analysis import TILT_CHANNELS, tilt_drive
from neurocircuit.plotting import plot_device_differences, plot_device_times, style
from neurocircuit.simulation import CrosscheckError, write_netcdf
from neurocircuit.stimuli import CentreSurround

#: Surround angles in degrees: the first --stimuli of them are used.
ANGLES = (20.0, 50.0, 10.0, 70.0)

#: The quick problem: a small display for small pools.
QUICK_SIZES = PoolSizes(1, 3, 7)
QUICK_DISPLAY = CentreSurround(field=13, centre=3, surround=9)
QUICK_STEPS = 20
QUICK_DEVICES = ("torch", "numpy")


@dataclass(frozen=True)
class Config:
    """The tilt problem on every device: differences from the first, and times."""

    devices: tuple[str, ...] = ()
    """Two or more of numpy, cython, cpp, cuda (Brian2), torch and torch:cuda, the reference first. By default torch and
    every other device available here; with --quick torch and numpy."""
    preset: str = "code"
    """Published parameter set: code, archived, v2 or ucircuits."""
    stimuli: int = 2
    """Number of stimuli, 1 to 4."""
    step: float = 1.0
    """Integration step in ms. From 2 ms on the circuit is chaotic."""
    steps: int | None = None
    """Number of steps; None is 400, or 20 with --quick."""
    every: int | None = None
    """Compare every n-th step. None compares about 100 samples: memory grows with their number, by 1 MB a sample,
    stimulus and device at the full size."""
    tolerance: float = 1e-10
    """Largest absolute difference allowed, dimensionless."""
    output: Path = Path("outputs/crosscheck_devices")
    """Folder for results.nc and figure.png."""
    seed: int = 0
    """Recorded only, as for every script: this run has no randomness."""
    quick: bool = False
    """A small display and few steps."""


def choose_devices(config: Config) -> tuple[str, ...]:
    """Return the devices to compare, the reference first."""
    if config.devices:
        return config.devices
    usable = [name for name, problem in available_devices().items() if not problem]
    return QUICK_DEVICES if config.quick else ("torch", *(name for name in usable if name != "torch"))


def run(config: Config, devices: Sequence[str]) -> xr.Dataset:
    """Compare the devices; a disagreement is part of the report."""
    if not 1 <= config.stimuli <= len(ANGLES):
        raise ValueError(f"`stimuli` is {config.stimuli}; it must be a number from 1 to {len(ANGLES)}.")
    if not config.tolerance > 0:
        raise ValueError(f"`tolerance` is {config.tolerance}; it must be greater than 0, such as 1e-10.")
    steps = config.steps if config.steps is not None else QUICK_STEPS if config.quick else 400
    every = config.every if config.every is not None else max(1, steps // 100)
    drive = tilt_drive(ANGLES[: config.stimuli], QUICK_DISPLAY if config.quick else None)
    circuit = mely_circuit(TILT_CHANNELS, config.preset, sizes=QUICK_SIZES if config.quick else None)
    numerics = {"step": config.step * ms, "steps": steps, "record": every, "tolerance": config.tolerance}
    try:
        report = crosscheck(circuit, drive, devices, **numerics)
    except CrosscheckError as error:
        report = error.report
    return report.assign_attrs(preset=config.preset, record=every, seed=config.seed, stimuli=config.stimuli)


def print_table(report: xr.Dataset, unavailable: dict[str, str]) -> None:
    """Print the differences and times, and the devices that cannot run here with the reason."""
    numerics = f"{report.attrs['steps']} steps of {report.attrs['step_ms']:g} ms"
    print(f"Reference {report.attrs['reference']}; {numerics}, every {report.attrs['record']} compared, float64\n")
    print(f"{'device':<12} {'state':<6} {'largest':>9} {'RMS':>9}  first step out of tolerance")
    for device in report["device"].values:
        for state in report["state"].values:
            cell = report.sel(device=device, state=state)
            out = int(cell["first_step_out"])
            largest, rms = float(cell["max_difference"]), float(cell["rms_difference"])
            print(f"{device:<12} {state:<6} {largest:9.2e} {rms:9.2e}  {'none' if out < 0 else out}")
    print(f"\n{'device':<12} seconds, builds included")
    for device, seconds in zip(report["every_device"].values, report["seconds"].values, strict=True):
        print(f"{device:<12} {seconds:.2f}")
    for device, problem in unavailable.items():
        print(f"{device:<12} not here: {problem}")
    print()


def check(report: xr.Dataset) -> dict[str, bool]:
    """Return every check of a report by what it says."""
    tolerance, reference = report.attrs["tolerance"], report.attrs["reference"]
    return {
        f"{device} within {tolerance:g} of {reference}": bool((report["first_step_out"].sel(device=device) < 0).all())
        for device in report["device"].values
    }


def plot(report: xr.Dataset) -> Figure:
    """Draw differences and times."""
    figure = Figure(figsize=(7, 2.4 + 0.2 * report.sizes["every_device"]))
    left, right = figure.subplots(1, 2, width_ratios=(3, 2))
    plot_device_differences(report, left)
    plot_device_times(report, right)
    return figure


def main() -> int:
    """Run the script and return its exit code."""
    config = tyro.cli(Config, description=__doc__)
    with cli.one_line_errors(), style():
        folder = cli.check_output_folder(config.output)
        report = run(config, choose_devices(config))
        data = write_netcdf(report, folder / "results.nc")
        figure = cli.save_figure(plot(report), folder / "figure.png")
    print_table(report, {name: problem for name, problem in available_devices().items() if problem})
    exit_code = cli.report_checks(check(report))
    print(f"Wrote {data} and {figure}")
    return exit_code


if __name__ == "__main__":
    raise SystemExit(main())
