"""
Lesions
=======

Each pool does one thing. Without the tuned suppression of the far surround (T) the repulsion is gone; without the
untuned suppression at the same pixel (U) the attraction is gone.
"""  # noqa: D205, D400

from brian2 import ms
from matplotlib import pyplot as plt

from neurocircuit import mely_circuit
from neurocircuit.analysis import TILT_CHANNELS, tilt_experiment
from neurocircuit.plotting import style

# %%
# A lesion is a circuit with a pool that is zero; equations and parameters stay as they are.

intact = mely_circuit(TILT_CHANNELS)
circuits = {"intact": intact, "without T": intact.lesioned("T"), "without U": intact.lesioned("U")}
angles = [10, 30, 60, 90]
curves = {name: tilt_experiment(circuit, angles, step=1 * ms, steps=400) for name, circuit in circuits.items()}

# %%
# Positive shifts point away from the surround.

with style():
    figure, ax = plt.subplots(figsize=(5, 3.2))
    ax.axhline(0, color="0.7", linewidth=0.6)
    for name, curve in curves.items():
        ax.plot(curve.surround_angle, curve.tilt_shift, "o-", label=name)
    ax.set(xlabel="surround angle (degrees)", ylabel="shift of perceived orientation (degrees)", xticks=angles)
    ax.legend()
