"""Wall time of the tilt problem on every device that is available here.

The whole of it: ten stimuli, 400 steps of 1 ms, from the call to the labelled result, once. On the C++ and CUDA
devices that includes writing and compiling the program, and on Cython compiling what is not in Brian2's cache; what a
device takes once, and what it takes a stimulus more, are told apart by a run of one stimulus. The results must agree
with those of torch. With numpy it takes several minutes; ``--devices`` leaves devices out.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import torch
import tyro
from brian2 import ms
from harness import Row, check_equal, print_table, save_tables

from neurocircuit import PoolSizes, available_devices, cli, mely_circuit, simulate
from neurocircuit.analysis import SURROUND_ANGLES, TILT_CHANNELS, tilt_drive
from neurocircuit.stimuli import CentreSurround

TOLERANCE = 1e-10


@dataclass(frozen=True)
class Config:
    """Options of the benchmark."""

    output: Path = Path("outputs/benchmarks")
    """Folder for the table."""
    devices: tuple[str, ...] = ()
    """Devices to time; by default all that are available, or torch and numpy with --quick."""
    quick: bool = False
    """A small display and few steps, to see that everything runs; the times mean nothing."""


def main(config: Config) -> None:
    """Time every device, print the table and write it."""
    cli.check_output_folder(config.output)
    usable = [name for name, problem in available_devices().items() if not problem]
    devices = config.devices or (("torch", "numpy") if config.quick else tuple(usable))
    steps = 20 if config.quick else 400
    circuit = mely_circuit(TILT_CHANNELS, sizes=PoolSizes(1, 3, 7) if config.quick else None)
    drive = tilt_drive(SURROUND_ANGLES, CentreSurround(field=13, centre=3, surround=9) if config.quick else None)
    expected = simulate(circuit, drive, step=1 * ms, steps=steps)
    rows: list[Row] = []
    for device in devices:
        seconds = []
        for stimuli in (drive[:1], drive):
            started = time.perf_counter()
            result = simulate(circuit, stimuli, step=1 * ms, steps=steps, device=device)
            seconds.append(time.perf_counter() - started)
        differences = [check_equal(f"{device}, {s}", result[s], expected[s], TOLERANCE) for s in circuit.system.states]
        each = (seconds[1] - seconds[0]) / (len(drive) - 1)
        rows.append(
            {
                "device": device,
                "seconds": seconds[1],
                "seconds_one_stimulus": seconds[0],
                "seconds_each_more": each,
                "largest_difference": max(differences),
            }
        )
    print_table(
        f"tilt problem, {len(drive)} stimuli, {steps} steps ({torch.get_num_threads()} threads for torch)", rows
    )
    for device, problem in available_devices().items():
        if problem:
            print(f"  not here: {device}: {problem}")
    # The stimuli are fixed: there is no seed.
    save_tables(config.output, "devices", {"tilt": rows}, seed=None, quick=config.quick, steps=steps)


if __name__ == "__main__":
    with cli.one_line_errors():
        main(tyro.cli(Config, description=__doc__))
