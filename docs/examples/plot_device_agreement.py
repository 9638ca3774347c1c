"""
Do two devices agree?
=====================

Torch and Brian2 run the same circuit, with the same scheme, from the same equation text, but they add up the pools in
another order. At a step of 1 ms the difference stays where rounding puts it. At 3 ms, the step of the published code,
the iteration is chaotic and amplifies it.
"""  # noqa: D205, D400

import numpy as np
from brian2 import ms
from matplotlib import pyplot as plt

from neurocircuit import mely_circuit, simulate
from neurocircuit.analysis import TILT_CHANNELS, tilt_drive
from neurocircuit.plotting import style

# %%
# One display at the published size, the units of the centre column.

circuit = mely_circuit(TILT_CHANNELS)
drive = tilt_drive([10])
units = [(channel, y, 25) for channel in range(TILT_CHANNELS) for y in range(51)]
gaps = {}
for step in (1, 3):
    problem = {"step": step * ms, "steps": 60, "record": "all", "units": units}
    one, other = (simulate(circuit, drive, device=device, **problem) for device in ("torch", "numpy"))
    gaps[step] = np.abs(one.h2 - other.h2).max(["batch", "unit"])

# %%
# The largest difference of any of these units after every step. A difference of exactly zero is not drawn.

with style():
    figure, ax = plt.subplots(figsize=(5, 3.2))
    for step, gap in gaps.items():
        ax.semilogy(gap.step_count, gap.where(gap > 0), label=f"step {step} ms")
    ax.axhline(1e-10, color="0.7", linewidth=0.6)
    ax.set(xlabel="number of steps", ylabel="largest difference of O, torch and Brian2")
    ax.legend()
