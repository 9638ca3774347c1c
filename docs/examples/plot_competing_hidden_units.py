"""
Hidden units that learn by competition
======================================

Forty hidden units learn from small handwritten digits without ever seeing a label: each image is learned by the
unit that answers it most and unlearned by the runner-up. A linear read-out of what they found is compared with the
same network trained by backpropagation, with random hidden units and with none.
"""  # noqa: D205, D400

from tempfile import TemporaryDirectory

import torch
from matplotlib import pyplot as plt

from neurocircuit.analysis.hidden_unit_comparison import compare_hidden_units
from neurocircuit.analysis.hidden_unit_recipes import comparison_recipe
from neurocircuit.analysis.hidden_unit_results import comparison_rows
from neurocircuit.plotting import style
from neurocircuit.plotting.hidden_units import plot_confusion, plot_training_curves, plot_weight_mosaic
from neurocircuit.stimuli import load_image_set
from neurocircuit.tables import print_table

torch.set_num_threads(1)

# %%
# The digits are part of scikit-learn. A tenth of the training images is held out to choose the best epoch; the test
# images are used once, at the end. ``python sims/competing_hidden_units.py`` does the same with MNIST, Fashion-MNIST
# and CIFAR-10.

images = load_image_set("digits")
with TemporaryDirectory() as folder:
    found = compare_hidden_units(images, comparison_recipe("digits", 40), 0, folder)
print_table(
    images.label,
    [{key: row[key] for key in ("network", "test_accuracy", "low", "high")} for row in comparison_rows(found)],
)

# %%
# Units start with random weights of large norm. One that wins shrinks to a norm of 1, and then loses to others, so
# that all of them get a share of the images.

print(found.convergence)

# %%
# Weights of the first 25 units, each scaled to its own largest weight: red is positive, blue is negative. Competing
# units become strokes and parts of digits; what backpropagation makes of the same start looks like noise.

with style():
    figure, axes = plt.subplots(1, 2, figsize=(6.6, 3.5))
    for ax, name in zip(axes, ("bio", "bp"), strict=True):
        plot_weight_mosaic(found.hidden_weights(name)[:25], ax).set_title(name)

# %%
# Learning curves of the four networks, and the answers of BIO to the test images.

with style():
    figure, axes = plt.subplots(1, 3, figsize=(9, 3.2), width_ratios=(1, 1, 1.2))
    plot_training_curves({name: one.log for name, one in found.models.items()}, axes[:2])
    plot_confusion(found.models["bio"].confusion, images.class_names, axes[2])
