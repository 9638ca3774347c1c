"""
A network learns to hold back
=============================

Trials of two cognitive tasks, and a small network of excitatory and inhibitory units that learns the shorter one within
seconds: answer one stimulus, hold still after the other.
"""  # noqa: D205, D400

import numpy as np
import torch
from matplotlib import pyplot as plt

from neurocircuit.analysis import network_outputs
from neurocircuit.networks import CTRNN, CTRNNSettings
from neurocircuit.plotting import plot_trial, style
from neurocircuit.tasks import make_task
from neurocircuit.training import masked_mse

torch.manual_seed(0)
torch.set_num_threads(1)

# %%
# A trial is what the network sees, what it should answer, and where that counts. In the context task of
# :cite:t:`mante2013` a cue says which of two noisy stimuli decides. Here motion counts and speaks for the choice 1,
# colour for the choice -1. The target is drawn where it counts in the loss.

mante = make_task("mante")
trials = mante.sample(1, 0, context=0, coherence_motion=0.5, coherence_colour=-0.5)
with style():
    figure, (above, below) = plt.subplots(2, 1, figsize=(6, 4), sharex=True, layout="constrained")
    for number, name in enumerate(trials.input_names):
        above.plot(trials.time, trials.inputs[0, :, number] - 2 * number, linewidth=0.8, label=name)
    above.set(ylabel="input, shifted", yticks=[])
    above.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    below.plot(trials.time, np.where(trials.mask[0] > 0, trials.targets[0, :, 0], np.nan))
    below.set(xlabel="time (ms)", ylabel="target")

# %%
# The network and its training. The library's own loop, ``sims/ctrnn_tasks.py``, keeps checkpoints and stops at a
# criterion; the essence is a loss on fresh trials.

task = make_task("gonogo", step=20.0)
settings = CTRNNSettings(
    n_inputs=task.n_inputs, n_outputs=task.n_outputs, n_units=50, tau=100.0, step=task.step, p_rec=0.5
)
network = CTRNN(settings, seed=0)
optimiser = torch.optim.Adam((p for p in network.parameters() if p.requires_grad), lr=0.01)
for step in range(400):
    trials = task.sample(32, step)
    inputs, targets, mask = (torch.from_numpy(x) for x in (trials.inputs, trials.targets, trials.mask))
    optimiser.zero_grad()
    masked_mse(network(inputs), targets, mask).backward()
    optimiser.step()

# %%
# The trained network as plain arrays, on trials it has not seen. Its weights still obey Dale's law, or
# `neurocircuit.circuits.RateNetwork` would refuse them.

trained = network.network(task.input_names, task.output_names)
trials = task.sample(200, 1000)
outputs = network_outputs(trained, trials)
print(f"accuracy on 200 new trials: {task.score(outputs, trials).accuracy:.1%}")

# %%
# One trial of either kind. Grey lines are the beginnings of its epochs; the target is dashed where it counts.

go = trials.conditions["go"]
with style():
    figure, axes = plt.subplots(2, 2, figsize=(7, 4), sharex="col", sharey="row", layout="constrained")
    for column, (value, title) in enumerate(((1, "Go"), (0, "No-go"))):
        plot_trial(trials, outputs, int((go == value).argmax()), axes[:, column])
        axes[0, column].set_title(title)
    axes[0, 0].legend()
    axes[1, 0].legend()
