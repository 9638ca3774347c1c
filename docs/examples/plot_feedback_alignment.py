"""
Learning without weight sharing and without weight transport
============================================================

Locally connected layers do without the sharing of weights. Backpropagation through them still sends the error down
through the transpose of the weights that carried the activity up. Feedback alignment :cite:p:`lillicrap2016` sends it
through fixed random weights instead, direct feedback alignment :cite:p:`nokland2016` straight from the output to every
layer. Three small networks learn to read digits of 8 x 8 pixels.
"""  # noqa: D205, D400

from tempfile import TemporaryDirectory

import torch
from matplotlib import pyplot as plt

from neurocircuit.analysis import SPATIAL_RECIPES, filters_by_position, train_spatial
from neurocircuit.plotting import plot_gradient_angles, plot_local_filters, style
from neurocircuit.stimuli import load_image_set

torch.set_num_threads(1)

# %%
# The networks start with the same weights and see the same images.

images = load_image_set("digits")
recipe = SPATIAL_RECIPES["digits"].with_training(steps=250, evaluate_every=25)
names = {"local": "backpropagation", "local-random": "feedback alignment", "local-direct": "direct feedback alignment"}
trained = {}
with TemporaryDirectory() as folder:
    for name in names:
        trained[name] = train_spatial(name, recipe, images, 0, f"{folder}/{name}")
for name, label in names.items():
    row = trained[name].row
    print(f"{label}: {row['accuracy']:.1%} of {len(images.test_labels)} test images right")

# %%
# Why it works: at first the random weights send the error nowhere useful, and updates are at about a right angle to the
# gradient of the loss. As the layers above learn, the updates of the layers below come to point downhill, at less than
# 90 degrees. The last layer is left out: its update is the gradient.

with style():
    figure, axes = plt.subplots(1, 2, figsize=(7, 2.8), sharey=True, layout="constrained")
    for name, ax in zip(("local-random", "local-direct"), axes, strict=True):
        plot_gradient_angles(trained[name].angles, ax)
        ax.set_title(names[name].capitalize())

# %%
# Every position has filters of its own: here those of one channel of the first layer, after training. A convolution
# would have one filter, 36 times.

with style():
    figure, axes = plt.subplots(1, 3, figsize=(7, 2.5), layout="constrained")
    figure.get_layout_engine().set(wspace=0.15)
    for (name, label), ax in zip(names.items(), axes, strict=True):
        plot_local_filters(filters_by_position(trained[name].network.chain.layers[0])[:, :, 0], ax)
        ax.set_title(label.capitalize())
