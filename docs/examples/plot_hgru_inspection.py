"""
Inside an hGRU
==============

A small hGRU learns within seconds to tell upright from level bars among dots. Then we look inside: how its activity
unfolds, what its gates and kernels do, where the gradient goes, and which pixels the answer hangs on.
"""  # noqa: D205, D400

import torch
from matplotlib import pyplot as plt

from neurocircuit.analysis import (
    gradient_flow,
    hgru_activity,
    hgru_gates,
    input_gradient,
    kernel_summary,
    occlusion_map,
)
from neurocircuit.networks import HGRUClassifier
from neurocircuit.plotting import (
    COLOURS,
    plot_activity,
    plot_gradient_flow,
    plot_parameter_gradients,
    plot_signed_map,
    plot_time_course,
    style,
)

torch.manual_seed(3)
torch.set_num_threads(1)


def bars(count, size=24, length=9):
    """Return pictures of one bar each among dots, (count, 1, size, size), and whether it is upright."""
    pictures, upright = (torch.rand(count, 1, size, size) < 0.04).float(), torch.randint(2, (count,))
    for picture, label in zip(pictures, upright, strict=True):
        place, along = torch.randint(3, size - 3, ()), torch.randint(size - length, ())
        bar = picture[0].T if label else picture[0]
        bar[place, along : along + length] = 1
    return pictures, upright


# %%
# Sixty steps of Adam on fresh pictures, and the accuracy on pictures not seen before.

network = HGRUClassifier(channels=8, kernel_size=7, steps=5)
optimiser = torch.optim.Adam(network.parameters(), lr=0.01)
for _ in range(60):
    pictures, upright = bars(16)
    optimiser.zero_grad()
    torch.nn.functional.cross_entropy(network(pictures), upright).backward()
    optimiser.step()
network.eval()
pictures, upright = bars(200)
with torch.no_grad():
    accuracy = (network(pictures).argmax(1) == upright).float().mean()
print(f"accuracy on 200 new pictures: {accuracy:.1%}")

# %%
# The output population H2 after every step, for a picture with an upright bar: the channel that is most active in the
# end.

chosen = int(upright.nonzero()[0])
picture = pictures[chosen : chosen + 1]
activity = hgru_activity(network, picture).h2[:, 0]
channel = int(abs(activity[-1]).mean(("y", "x")).argmax("channel"))
with style():
    figure, axes = plt.subplots(1, 6, figsize=(8, 1.8), layout="constrained")
    plot_activity(activity[:, channel], axes, label="H2 (dimensionless)")

# %%
# Both gates, a line for every channel, and the gradient of the loss at every step and for the cell's parameters, those
# of batch norm left out.

gates = hgru_gates(network, pictures[:16]).mean(("batch", "y", "x"))
flow = gradient_flow(network, pictures[:16], upright[:16])
shown = [name for name in flow.parameter.values if name.startswith("cell.") and "norms" not in name]
with style():
    figure, axes = plt.subplots(1, 4, figsize=(11, 3), layout="constrained")
    plot_time_course(gates.gain, axes[0], title="Gain gate", label="mean of G1 (dimensionless)", colour=COLOURS["h1"])
    plot_time_course(
        gates.mixing, axes[1], title="Mixing gate", label="mean of G2 (dimensionless)", colour=COLOURS["h2"]
    )
    plot_gradient_flow(flow, axes[2])
    plot_parameter_gradients(flow, axes[3], shown)

# %%
# The learned kernels, averaged over pairs of equal and of different channels.

kernels = kernel_summary(network.cell)
with style():
    figure, axes = plt.subplots(1, 4, figsize=(10, 2.4), layout="constrained")
    for row, kernel in enumerate(kernels.kernel.values):
        for column, pairs in enumerate(("within", "between")):
            mean = kernels[pairs].sel(kernel=kernel)
            plot_signed_map(mean, axes[2 * row + column], title=f"{kernel}, {pairs}", label="weight (dimensionless)")

# %%
# The evidence for an upright bar is the difference of the two logits. It falls where covering the picture hurts.

with style():
    figure, axes = plt.subplots(1, 3, figsize=(9, 2.8), layout="constrained")
    axes[0].imshow(picture[0, 0], cmap="gray")
    axes[0].set(title="Picture", xlabel="x (pixels)", ylabel="y (pixels)")
    gradient, fall = input_gradient(network, picture)[0], occlusion_map(network, picture, size=5, stride=2)[0]
    plot_signed_map(gradient, axes[1], title="Input gradient", label="change of evidence (per grey level)")
    plot_signed_map(fall, axes[2], title="Occlusion", label="fall of evidence (dimensionless)")
