"""
From the ODE to its recurrence
==============================

Euler's step of size ``eta/epsilon**2`` turns the two-pool circuit into the recurrence that the hGRU comes from. At
the published gains that recurrence does not follow the equation: it cycles, with a period that depends on whether H2 is
updated from the old H1 or the new one.
"""  # noqa: D205, D400

import warnings

from brian2 import ms
from matplotlib import pyplot as plt

from neurocircuit import simulate, two_pool_circuit
from neurocircuit.analysis import tilt_drive
from neurocircuit.circuits import default_excitation, default_inhibition
from neurocircuit.errors import SettlingWarning, StepSizeWarning
from neurocircuit.plotting import style
from neurocircuit.stimuli import CentreSurround

# %%
# One display, and the circuit with kernels like those of the four pools.

channels, display = 6, CentreSurround(field=31, centre=5, surround=21)
circuit = two_pool_circuit(default_inhibition(channels), default_excitation(channels))
drive = tilt_drive([20], display, channels)
limit = circuit.leak_cancelling_step(circuit.parameters)

# %%
# The equation, and both orders of update at the step that cancels the leak. The library warns about that step, and
# about the cycle it ends in.

runs = {"h = 1 ms": simulate(circuit, drive, step=1 * ms, steps=240, record="all")}
with warnings.catch_warnings():
    warnings.simplefilter("ignore", StepSizeWarning)
    warnings.simplefilter("ignore", SettlingWarning)
    for update in ("simultaneous", "staggered"):
        runs[f"h = eta/epsilon², {update}"] = simulate(
            circuit, drive, step=limit, steps=10, record="all", update=update
        )

with style():
    figure, ax = plt.subplots(figsize=(5, 3.2))
    for name, run in runs.items():
        ax.plot(run.time, run.h2.max(["batch", "channel", "y", "x"]), "-" if "1 ms" in name else "o-", label=name)
    ax.set(xlabel="time (ms)", ylabel="field maximum of H2")
    ax.legend()
