"""
The same network as rates and as spikes
=======================================

A small balanced network of excitatory and inhibitory units is driven by a pulse. It runs as rates in torch and in
Brian2, which agree to rounding. Then, with its weights divided by the firing rate that stands for a rate of 1, it runs
as integrate-and-fire neurons.
"""  # noqa: D205, D400

import numpy as np
from matplotlib import pyplot as plt

from neurocircuit.circuits import RateNetwork, transfer
from neurocircuit.connectivity import dale_weights
from neurocircuit.plotting import plot_raster, plot_rate_and_trace, style
from neurocircuit.simulation import simulate_network, simulate_spiking

# %%
# Forty units, one input that is on for 100 ms, and the mean rate of the excitatory units as output.

rng = np.random.default_rng(0)
recurrent = dale_weights(40, rng, p_rec=0.3)
network = RateNetwork(
    weights=recurrent.weights,
    excitatory=recurrent.excitatory,
    input_weights=rng.uniform(4, 12, (40, 1)),
    bias=np.full(40, -4.0),
    start=np.full(40, -4.0),
    output_weights=recurrent.excitatory[None] / recurrent.excitatory.sum(),
    tau=30.0,
    step=1.0,
)
time = np.arange(250)
inputs = ((time >= 50) & (time < 150)).astype(float)[None, :, None]

# %%
# Two devices, one equation.

rates, in_brian = (simulate_network(network, inputs, device=device) for device in ("torch", "numpy"))
print(f"largest difference of the states: {float(abs(rates.x - in_brian.x).max()):.1e}")

# %%
# The spiking counterpart. A scaling factor is found by search for trained networks, see
# `neurocircuit.simulation.scaling_search`; here it is given.

spiking = simulate_spiking(transfer(network, 50.0), inputs, seed=1, record=(0,))

# %%
# Its spikes; the rate of every unit over the trial against its filtered spikes, which stand for it; and both outputs.
# A neuron's firing rate is a sigmoid only roughly.

with style():
    figure, axes = plt.subplots(1, 3, figsize=(9, 3), layout="constrained")
    plot_raster(spiking, axes[0])
    plot_rate_and_trace(rates.rate[0], spiking, axes[1])
    axes[2].plot(rates.time, rates.output[0, :, 0], "--", label="rates")
    axes[2].plot(spiking.time, spiking.output[0, :, 0], label="spikes")
    axes[2].axvspan(50, 150, color="0.92", zorder=0)
    axes[2].set(xlabel="time (ms)", ylabel="output (dimensionless)")
    axes[2].legend()
