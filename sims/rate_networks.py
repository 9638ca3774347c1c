"""A network of excitatory and inhibitory rate units: its spectrum against theory, and the same network on every device.

The eigenvalues of the first weights, unbalanced as in earlier tutorials and balanced, are compared with what random
matrices predict. Then one network runs on torch and on Brian2 from one equation text, in both forms of the equation,
without noise and with the same random numbers on every device.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
import tyro
import xarray as xr
from matplotlib.figure import Figure
from matplotlib.patches import Circle

from neurocircuit import available_devices, cli
from neurocircuit.connectivity import bulk_radius, dale_weights, mean_field_outlier
from neurocircuit.networks import CTRNN, CTRNNSettings
from neurocircuit.plotting import style
from neurocircuit.simulation import NETWORK_DEVICES, simulate_network, write_netcdf
from neurocircuit.tables import Row, Table, print_table, save_tables

UNITS, STEPS, TRIALS = 200, 500, 2
QUICK_UNITS, QUICK_STEPS = 40, 50
DRAWS = 20
#: Largest difference between devices, and the share by which the mean of the draws may miss a formula.
AGREEMENT, SPECTRUM = 1e-10, 0.1


@dataclass(frozen=True)
class Config:
    """Spectra and devices of a rate network."""

    devices: tuple[str, ...] = ()
    """Devices to compare with torch; by default all that can run here."""
    seed: int = 0
    """Seed of weights, inputs and noise."""
    output: Path = Path("outputs/rate_networks")
    """Folder for the tables, results.nc and figure.png."""
    tables: Path | None = None
    """Another folder for the tables, such as docs/results."""
    quick: bool = False
    """A small network and few steps, on numpy only; the spectrum is not checked."""

    def chosen(self) -> tuple[str, ...]:
        """Return the devices to compare with torch."""
        if self.devices:
            return self.devices
        if self.quick:
            return ("numpy",)
        usable = [name for name, problem in available_devices().items() if not problem]
        return tuple(name for name in NETWORK_DEVICES if name in usable and name != "torch")


def spectra(config: Config) -> tuple[list[Row], dict[str, xr.DataArray]]:
    """Return the spectra of drawn weights against the formulas, and the eigenvalues of the first draws."""
    units, rng = QUICK_UNITS if config.quick else UNITS, np.random.default_rng(config.seed)
    found: dict[str, list[float]] = {"outlier": [], "bulk": [], "balanced": []}
    drawn: dict[str, xr.DataArray] = {}
    for _ in range(DRAWS):
        plain, balanced = (np.linalg.eigvals(dale_weights(units, rng, balance=b).weights) for b in (False, True))
        largest = np.sort(np.abs(plain))[::-1]
        for name, value in (("outlier", largest[0]), ("bulk", largest[1]), ("balanced", np.abs(balanced).max())):
            found[name].append(float(value))
        for name, values in (("unbalanced", plain), ("balanced", balanced)):
            drawn.setdefault(name, xr.DataArray(values, dims="mode"))
    theory = {"outlier": mean_field_outlier(units), "bulk": bulk_radius(), "balanced": 1.5}
    rows: list[Row] = [
        {
            "eigenvalue": name,
            "theory": theory[name],
            "mean": float(np.mean(values)),
            "sd": float(np.std(values, ddof=1)),
            "ratio": float(np.mean(values)) / theory[name],
            "draws": DRAWS,
        }
        for name, values in found.items()
    ]
    return rows, drawn


def agreement(config: Config) -> tuple[list[Row], xr.Dataset]:
    """Return the largest difference of every device from torch, and all differences over time."""
    units, steps = (QUICK_UNITS, QUICK_STEPS) if config.quick else (UNITS, STEPS)
    rng = np.random.default_rng(config.seed)
    inputs = rng.standard_normal((TRIALS, steps, 3))
    noise = {
        "noise": rng.standard_normal((TRIALS, steps, units)),
        "rate_noise": rng.standard_normal((TRIALS, steps + 1, units)),
    }
    rows: list[Row] = []
    over_time = {}
    for form, noisy in product(("current", "rate"), (False, True)):
        settings = CTRNNSettings(n_inputs=3, n_outputs=2, n_units=units, form=form, tau=(20.0, 10.0), noise=0.1)
        network = CTRNN(settings, config.seed).network()
        given = noise if noisy else {}
        reference = simulate_network(network, inputs, **given)
        for device in config.chosen():
            difference = abs(simulate_network(network, inputs, device=device, **given) - reference)
            largest = {name: float(difference[name].max()) for name in (network.state, "output")}
            rows.append(
                {
                    "form": form,
                    "noise": "injected" if noisy else "none",
                    "device": device,
                    "state": largest[network.state],
                    "output": largest["output"],
                }
            )
            label = f"{form}, {'same noise' if noisy else 'no noise'}, {device}"
            over_time[label] = difference[network.state].max(("trial", "unit")).rename("difference").drop_attrs()
    joined = xr.concat(over_time.values(), xr.DataArray(list(over_time), dims="run", name="run"))
    return rows, joined.to_dataset()


def plot(drawn: dict[str, xr.DataArray], differences: xr.Dataset) -> Figure:
    """Draw the eigenvalues and the differences between devices."""
    figure = Figure(figsize=(9.5, 3))
    *left, right = figure.subplots(1, 3)
    for ax, (name, eigenvalues) in zip(left, drawn.items(), strict=True):
        radius = bulk_radius() if name == "unbalanced" else 1.5
        ax.add_patch(Circle((0, 0), radius, fill=False, color="0.5", linestyle="--"))
        ax.plot(eigenvalues.real, eigenvalues.imag, ".", markersize=3)
        ax.set(title=f"{name} weights", xlabel="real part", ylabel="imaginary part", aspect="equal")
    for run in differences["run"].values:
        series = differences["difference"].sel(run=run)
        right.semilogy(series["time"], series.clip(min=1e-18), color="C0" if "current" in str(run) else "C1", alpha=0.5)
    right.axhline(AGREEMENT, color="0.5", linestyle="--")
    right.set(title="Brian2 against torch", xlabel="time (ms)", ylabel="largest difference of a state")
    right.text(5, 2e-14, "current form", color="C0")
    right.text(5, 2e-17, "rate form", color="C1")
    return figure


def check(config: Config, spectrum: Table, devices: Table) -> dict[str, bool]:
    """Return every check by what it says."""
    checks = {
        f"{row['form']} form, noise {row['noise']}: {row['device']} within {AGREEMENT:g} of torch": row["state"]
        <= AGREEMENT
        for row in devices
    }
    if not config.quick:
        checks |= {
            f"{row['eigenvalue']} within {SPECTRUM:.0%} of theory": abs(row["ratio"] - 1) <= SPECTRUM
            for row in spectrum
        }
    return checks


def main() -> int:
    """Run the script and return its exit code."""
    config = tyro.cli(Config, description=__doc__)
    with cli.one_line_errors(), style():
        folder = cli.check_output_folder(config.output)
        (spectrum, drawn), (devices, differences) = spectra(config), agreement(config)
        data = write_netcdf(differences.assign_attrs(seed=config.seed), folder / "results.nc")
        figure = cli.save_figure(plot(drawn, differences), folder / "figure.png")
        tables = {"spectrum": spectrum, "devices": devices}
        for place in (folder, *([config.tables] if config.tables else [])):
            save_tables(place, "rate_networks", tables, seed=config.seed, quick=config.quick)
    for name, rows in tables.items():
        print_table(name, rows)
    exit_code = cli.report_checks(check(config, spectrum, devices))
    print(f"Wrote {data} and {figure}")
    return exit_code


if __name__ == "__main__":
    raise SystemExit(main())
