"""Balanced networks of spiking neurons against theory (Brunel 2000, figure 8).

Neurons are integrate-and-fire and each has the same number of inputs. For panels B, C and D the script prints the rate
that Siegert's formula predicts, the rate measured in Brian2 and their ratio, and draws spikes and population rate. The
published networks have 12,500 neurons and 15.6 million synapses; with ``--quick`` they have a fifth of the neurons
and a tenth of the inputs, for which theory is solved again; their slow oscillation in panel D makes its rate uncertain.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import tyro
import xarray as xr
from matplotlib.figure import Figure

from neurocircuit import cli
from neurocircuit.analysis.siegert import brunel_rates
from neurocircuit.circuits.brunel import BRUNEL_PANELS, SMALL_BRUNEL
from neurocircuit.plotting import style
from neurocircuit.plotting.spiking import plot_population_rate, plot_raster
from neurocircuit.simulation import simulate_brunel, write_netcdf
from neurocircuit.tables import Row, print_table, save_tables

PANELS = ("B", "C", "D")

#: How far the rate may be from theory, and the panel that is reported but not checked: its population rate swings
#: slowly and widely, while theory assumes that it stays the same.
TOLERANCE = 0.2
NOT_CHECKED = "D"


@dataclass(frozen=True)
class Config:
    """Balanced networks of spiking neurons, measured and predicted."""

    device: str = "cython"
    """numpy, cython, cpp or cuda (Brian2)."""
    duration: float = 500.0
    """How long rates are measured, ms."""
    settle: float = 200.0
    """How long the network runs before, ms."""
    step: float = 0.1
    """Integration step in ms."""
    seed: int = 0
    """Seed of connections, starting potentials and external spikes."""
    output: Path = Path("outputs/brunel")
    """Folder for the table, the runs and figure.png."""
    tables: Path | None = None
    """Another folder for the table, such as docs/results."""
    quick: bool = False
    """Small networks, on NumPy."""


def run(config: Config) -> dict[str, xr.Dataset]:
    """Run every panel; its theoretical rate becomes the attribute ``theory_hz``."""
    found = {}
    for panel in PANELS:
        parameters = BRUNEL_PANELS[panel].replace(**(SMALL_BRUNEL if config.quick else {}))
        (theory,) = brunel_rates(parameters)
        measured = simulate_brunel(
            parameters,
            duration=config.duration,
            settle=config.settle,
            step=config.step,
            device="numpy" if config.quick else config.device,
            seed=config.seed,
        )
        found[panel] = measured.assign_attrs(panel=panel, theory_hz=theory)
    return found


def table(runs: dict[str, xr.Dataset]) -> list[Row]:
    """Return one row a panel."""
    rows = []
    for panel, result in runs.items():
        theory, measured = result.attrs["theory_hz"], float(result["rate"].mean())
        rows.append({"panel": panel, "theory_hz": theory, "measured_hz": measured, "ratio": measured / theory})
    return rows


def plot(runs: dict[str, xr.Dataset]) -> Figure:
    """Draw spikes and population rate of every panel."""
    figure = Figure(figsize=(7, 4))
    axes = figure.subplots(2, len(runs), sharex="col")
    for column, (panel, result) in enumerate(runs.items()):
        plot_raster(result, axes[0, column], units=100).set(title=panel, xlabel="")
        plot_population_rate(result, axes[1, column])
        start = result.attrs["settle_ms"]
        axes[1, column].set_xlim(start, start + min(200.0, result.attrs["duration_ms"]))
    return figure


def main() -> int:
    """Run the script and return its exit code."""
    config = tyro.cli(Config, description=__doc__)
    with cli.one_line_errors(), style():
        folder = cli.check_output_folder(config.output)
        runs = run(config)
        rows = table(runs)
        for panel, result in runs.items():
            write_netcdf(result, folder / f"panel_{panel}.nc")
        cli.save_figure(plot(runs), folder / "figure.png")
        settings = {"quick": config.quick, "duration_ms": config.duration, "device": runs[PANELS[0]].attrs["device"]}
        for place in (folder, *([config.tables] if config.tables else [])):
            save_tables(place, "brunel", {"rates": rows}, seed=config.seed, **settings)
    print_table("firing rates (Hz)", rows)
    checks = {
        f"panel {row['panel']}: measured rate within {TOLERANCE:.0%} of theory": abs(row["ratio"] - 1) <= TOLERANCE
        for row in rows
        if row["panel"] != NOT_CHECKED
    }
    return cli.report_checks(checks)


if __name__ == "__main__":
    raise SystemExit(main())
