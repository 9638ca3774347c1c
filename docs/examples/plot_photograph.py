"""
A photograph before and after the circuit
=========================================

Pairs of Gabor filters turn a photograph into a drive for orientation channels. The circuit then weighs every contour
against its context.
"""  # noqa: D205, D400

from brian2 import ms
from matplotlib import pyplot as plt

from neurocircuit import mely_circuit
from neurocircuit.analysis import photograph_experiment
from neurocircuit.plotting import plot_map, style
from neurocircuit.stimuli import SAMPLE, load_photograph

# %%
# The sample is a portrait of Grace Hopper that ships with matplotlib; a path to any image does as well.

channels = 8
photograph = load_photograph(SAMPLE, longest_side=96)
result = photograph_experiment(mely_circuit(channels), photograph, channels=channels, step=1 * ms, steps=200)

# %%
# Energy is summed over the channels; the suppression is the pool T of the output.

with style():
    figure, axes = plt.subplots(1, 4, figsize=(8, 3.2))
    plot_map(result.photograph, axes[0], title="Photograph", label="grey level", cmap="gray")
    plot_map(result.energy_before_total, axes[1], title="Energy before", label="sum over channels")
    plot_map(result.energy_after_total, axes[2], title="Energy after", label="sum over channels")
    plot_map(result.tuned_suppression_total, axes[3], title="Tuned suppression", label="sum over channels")
