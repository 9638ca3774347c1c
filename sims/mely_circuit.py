"""The contextual circuit of Mély, Linsley and Serre (2018): the tilt illusion, or a photograph.

A surround of another orientation turns the orientation that the circuit reads at the centre of a display: away from
the surround when the two are close (repulsion), towards it when they are far apart (attraction). By default the script
draws that curve beside the one of human observers (O'Toole and Wenderoth 1977). With ``--image`` it shows the oriented
energy of a photograph before and after the circuit instead, and where the far surround suppresses.

With ``--quick`` it takes some seconds.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import tyro
import xarray as xr
from brian2 import ms
from matplotlib.figure import Figure

from neurocircuit import Circuit, MelyParameters, cli, mely_circuit
from neurocircuit.analysis import (
    FIXED_POINT_TILT,
    SURROUND_ANGLES,
    TILT_CHANNELS,
    photograph_experiment,
    tilt_displays,
    tilt_experiment,
)
from neurocircuit.plotting import (
    plot_convergence,
    plot_display,
    plot_map,
    plot_orientation_map,
    plot_tilt_curve,
    plot_trajectories,
    style,
)
from neurocircuit.simulation import describe_settling, write_netcdf
from neurocircuit.stimuli import load_photograph

ParameterFlags = cli.parameter_flags(MelyParameters)

#: Angles in degrees of the quick run, and the one whose display and trajectories are drawn.
QUICK_ANGLES = (10.0, 20.0, 50.0)
SHOWN_ANGLE = 20.0

#: Orientation channels, and longest side in pixels, of a photograph: quick and full.
QUICK_PHOTOGRAPH = (8, 48)
PHOTOGRAPH = (16, 128)

#: The run whose fixed point is known, and how far in degrees a run may be from it.
KNOWN_STEP, KNOWN_STEPS, KNOWN_TOLERANCE = 1.0, 400, 2e-3


@dataclass(frozen=True)
class Config:
    """The contextual circuit: the tilt illusion curve, or with --image the oriented energy of a photograph."""

    parameters: tyro.conf.OmitArgPrefixes[ParameterFlags] = ParameterFlags()
    """Values that replace the preset's."""
    device: str = "torch"
    """numpy, cython, cpp or cuda (Brian2), or torch, torch:cuda:0, ..."""
    preset: str = "code"
    """Published parameter set: code, archived, v2 or ucircuits."""
    lesion: tuple[str, ...] = ()
    """Pools to remove: any of U, T, P, Q."""
    step: float = 1.0
    """Integration step in ms. From 2 ms on the circuit is chaotic."""
    steps: int = 400
    """Number of steps."""
    image: str | None = None
    """Path of a photograph, or 'sample' for one that ships with matplotlib."""
    output: Path = Path("outputs/mely_circuit")
    """Folder for results.nc and figure.png."""
    seed: int = 0
    """Recorded only, as for every script: this run has no randomness."""
    quick: bool = False
    """Fewer surround angles, or a smaller photograph with fewer channels."""


def build_circuit(config: Config, channels: int) -> Circuit:
    """Return the circuit that the flags describe."""
    changes = cli.changed(config.parameters, MelyParameters)
    return mely_circuit(channels, config.preset, **changes).lesioned(*config.lesion)


def run(config: Config) -> xr.Dataset:
    """Simulate what the flags describe; only a photograph's result has the variable ``photograph``."""
    options = {"device": config.device, "step": config.step * ms, "steps": config.steps}
    if config.image is not None:
        channels, longest_side = QUICK_PHOTOGRAPH if config.quick else PHOTOGRAPH
        photograph = load_photograph(config.image, longest_side)
        result = photograph_experiment(build_circuit(config, channels), photograph, channels=channels, **options)
    else:
        angles = QUICK_ANGLES if config.quick else SURROUND_ANGLES
        result = tilt_experiment(build_circuit(config, TILT_CHANNELS), angles, **options)
    return result.assign_attrs(preset=config.preset, lesion=" ".join(config.lesion), seed=config.seed)


def check(config: Config, result: xr.Dataset) -> dict[str, bool]:
    """Return every check of a result by what it says."""
    checks = {f"the run settled: {describe_settling(result)}": bool(result["converged"].all())}
    given = any(value is not None for value in asdict(config.parameters).values())
    known = (config.step, config.steps) == (KNOWN_STEP, KNOWN_STEPS) and not (config.lesion or given)
    if config.image is None and known and config.preset in FIXED_POINT_TILT:
        reference = FIXED_POINT_TILT[config.preset].at(result["surround_angle"].values)
        off = float(np.abs(result["tilt_shift"].values - reference).max())
        what = f"tilt shifts within {KNOWN_TOLERANCE:g} degrees of the known fixed point (largest difference {off:.1e})"
        checks[what] = off <= KNOWN_TOLERANCE
    return checks


def plot_tilt(result: xr.Dataset) -> Figure:
    """Draw display, curve, trajectories and convergence."""
    figure = Figure()
    axes = figure.subplots(2, 2)
    plot_display(tilt_displays([SHOWN_ANGLE])[0], axes[0, 0])
    plot_tilt_curve(result, axes[0, 1])
    plot_trajectories(result, axes[1, 0], SHOWN_ANGLE)
    plot_convergence(result, axes[1, 1])
    return figure


def plot_photograph(result: xr.Dataset) -> Figure:
    """Draw a photograph, its energy and orientation before and after the circuit, and the tuned suppression."""
    figure = Figure(figsize=(5.5, 5.1))
    axes = figure.subplots(2, 3)
    total = "channel sum (dimensionless)"
    plot_map(result["photograph"], axes[0, 0], title="Photograph", label="grey level (dimensionless)", cmap="gray")
    for when, ax, below in zip(("before", "after"), axes[0, 1:], axes[1, 1:], strict=True):
        energy = result[f"energy_{when}_total"]
        plot_map(energy, ax, title=f"Energy {when}", label=total)
        plot_orientation_map(result[f"orientation_{when}"], energy, below, title=f"Orientation {when}")
    plot_map(result["tuned_suppression_total"], axes[1, 0], title="Tuned suppression, T", label=total)
    return figure


def main() -> int:
    """Run the script and return its exit code."""
    config = tyro.cli(Config, description=__doc__)
    with cli.one_line_errors(), style():
        folder = cli.check_output_folder(config.output)
        result = run(config)
        data = write_netcdf(result, folder / "results.nc")
        draw = plot_tilt if config.image is None else plot_photograph
        figure = cli.save_figure(draw(result), folder / "figure.png")
    if config.image is None:
        r, error = result.attrs["pearson_r"], result.attrs["rms_error"]
        print(f"Pearson r {r:.4f}, RMSE {error:.4f} degrees, against human observers")
    exit_code = cli.report_checks(check(config, result))
    print(f"Wrote {data} and {figure}")
    return exit_code


if __name__ == "__main__":
    raise SystemExit(main())
