"""
Seeing through clutter
======================

A network that sees an image once, from the bottom up, has to tell an object from the clutter around it in one sweep. A
recurrent network can look again: what its higher layers have found out changes what its lower layers do at the next
step. :cite:t:`thorat2021` asked two questions about such networks. Do their recurrent connections carry information
about *where* the object is, how large it is and how it is turned, although they are trained to name it only? And do
they *use* that information?

In this lesson we answer both with a network that is small enough to train while this page is built. The answers of
networks of a sensible size, and how to train your own, are in :doc:`/howto/recurrent_recogniser`.
"""  # noqa: D205, D400

from dataclasses import replace
from tempfile import TemporaryDirectory

import torch
from matplotlib import pyplot as plt

from neurocircuit.analysis import (
    DecodingSettings,
    altered_flows,
    decode,
    name_targets,
    over_repeats,
    perturb_flows,
    pool_variables,
    shuffled_difference,
)
from neurocircuit.intervals import accuracy_interval
from neurocircuit.networks import RecogniserSettings, RecurrentRecogniser
from neurocircuit.plotting import plot_answer, plot_scene, plot_scene_activity, style
from neurocircuit.stimuli import (
    ClutterSettings,
    altered_scenes,
    clutter_scenes,
    draw_scenes,
    embedded_source,
    render_scenes,
    unjittered,
)
from neurocircuit.training import SCENE_OBJECTIVE, TrainingConfig, clutter_set, clutter_stream, fit, load_weights

torch.set_num_threads(1)

# %%
# The scenes
# ----------
#
# A scene holds several objects. One of them, the target, is whole; the others are cut into nine pieces that change
# places. The published scenes have MNIST digits and Fashion-MNIST clothes, eight of them on 100 x 100 pixels, of random
# size, angle and place. Ours are easier to learn: digits and letters that come with the library's own dependencies,
# four of them, small or large, turned one way or the other, in the middle of the four quadrants.
#
# Any label of the target can be chosen. Here it is a large letter "C" (category 12) in each of the four quadrants.

scenes = ClutterSettings(objects=4).resized(32).unjittered()
letters = clutter_scenes(
    embedded_source("test"),
    scenes,
    seed=0,
    indices=range(4),
    category=12,
    scale=1,
    row=[0, 0, 1, 1],
    column=[0, 1, 0, 1],
)
with style():
    figure, axes = plt.subplots(1, 4, figsize=(7, 2), layout="constrained")
    for number, ax in enumerate(axes):
        plot_scene(letters.images[number], ax, box=letters.boxes[number, letters.target[number]])

# %%
# Two networks
# ------------
#
# Both networks have two convolutional layers and one layer with all connections, of which a read-out names the target.
# Four digits say what else there is: bias modulation, gain modulation, lateral connections, top-down connections.
# ``0000`` has none, so it does the same at each of its four steps. In ``0111`` the activity of each layer is multiplied
# by a gain, which lateral connections within the layer and top-down connections from the layers above it set, from
# their activity one step before. These are its connections:

sizes = RecogniserSettings(flags="0000", input_size=32, pools=(2, 2), hidden=32)
feedforward = RecurrentRecogniser(sizes, seed=0)
recurrent = RecurrentRecogniser(replace(sizes, flags="0111"), seed=0)
for row in recurrent.connections():
    print(f"{row['source']:>5} -> {row['target']:<5} {row['pathway']:<8} {row['parameters']:>6} parameters")

# %%
# Training
# --------
#
# Every batch has fresh scenes; the first ones show the target only, which speeds learning up. To save time the
# recurrent network takes over the layers that the feedforward one has learned, and learns its connections and its
# read-out only. So whatever its layers do from the second step on, its connections make them do.

config = TrainingConfig(
    steps=1000, learning_rate=4e-3, schedule="cosine", gradient_clip=5.0, evaluate_every=250, checkpoint_every=1000
)
again = replace(config, steps=240, batch_size=16, seed=1, evaluate_every=60)
training = embedded_source("train")
held_out = clutter_set(embedded_source("validation"), scenes, seed=1_000_000, count=300)
with TemporaryDirectory() as folder:
    first = fit(
        feedforward,
        clutter_stream(training, scenes, easy=4800),
        held_out,
        config,
        f"{folder}/feedforward",
        objective=SCENE_OBJECTIVE,
    )
    load_weights(feedforward, first.weights)
    recurrent.load_state_dict(feedforward.state_dict(), strict=False)
    for layer in (recurrent.conv1, recurrent.conv2, recurrent.fc1):
        layer.requires_grad_(False)
    second = fit(
        recurrent, clutter_stream(training, scenes), held_out, again, f"{folder}/recurrent", objective=SCENE_OBJECTIVE
    )
    load_weights(recurrent, second.weights)

# %%
# How often are they right, and where are they wrong?
# ---------------------------------------------------
#
# With fifty scenes the interval is wide, as it would be for fifty answers of a person. Guessing would be right once in
# twenty times.

fifty = clutter_scenes(embedded_source("test"), scenes, seed=1, indices=range(50))
for name, network in (("feedforward", feedforward), ("recurrent", recurrent)):
    answers = name_targets(network, fifty)
    low, high = answers.interval
    print(f"{name}: {answers.accuracy:.0%} right (95 % interval: {low:.0%} to {high:.0%})")

# %%
# This is the mistake of which the recurrent network was surest: the target is framed, and the bar of the right answer
# is green if it is among the five most probable ones.

answers = name_targets(recurrent, fifty)
worst = answers.mistakes[0]
with style():
    figure, (left, right) = plt.subplots(1, 2, figsize=(5.5, 2.3), layout="constrained")
    plot_scene(fifty.images[worst], left, box=fifty.boxes[worst, fifty.target[worst]])
    plot_answer(answers.probabilities[worst], answers.categories[worst], training.class_names, right)

# %%
# Activity over time
# ------------------
#
# What happens at each step in a scene that the network got right. The image in the first row is what the network lets
# through to the first layer: the gain of the top-down connections acts on the image too.

known = int(answers.right.nonzero()[0][0])
with torch.no_grad():
    run = recurrent.run(fifty.images[known : known + 1], record=("activations",))
with style():
    plot_scene_activity(run, plt.figure(figsize=(5.5, 5), layout="constrained"))

# %%
# Is there information about place, size and angle?
# -------------------------------------------------
#
# A linear decoder is fitted to the activity of each layer at each step, to tell row and column (*location*), size
# (*scale*) and angle (*rotation*) of the target, and is tested on other scenes. Dashed: the same decoder on a network
# that was not trained at all. What it finds there, no learning has put there. The bands are the 95 % intervals for the
# few scenes that the decoders are tested on: differences within them may be chance.

variables = ("row", "column", "scale", "rotation")
settings = DecodingSettings(scenes=400, repeats=1, variables=variables, scene_kinds=("cluttered",))
decoded = {
    name: decode(network, embedded_source("test"), scenes, settings, seed=2)
    for name, network in (("feedforward", feedforward), ("recurrent", recurrent))
}
shown = ("location", "scale", "rotation")
with style():
    figure, grid = plt.subplots(2, 3, figsize=(7.5, 4), sharex=True, sharey=True, layout="constrained")
    for (name, found), row in zip(decoded.items(), grid, strict=True):
        for quantity, line in (("activations", "-"), ("activations_untrained", "--")):
            accuracy = pool_variables(found[quantity].sel(network=0, scenes="cluttered"))
            curves = over_repeats(accuracy, settings.tested)
            for variable, ax in zip(shown, row, strict=True):
                for number, layer in enumerate(curves["layer"].values):
                    curve, colour = curves.sel(variable=variable, layer=layer), f"C{number}"
                    ax.plot(curve["step"], curve["mean"], line, color=colour, label=layer if line == "-" else None)
                    if line == "-":
                        ax.fill_between(curve["step"], curve["low"], curve["high"], color=colour, alpha=0.1, lw=0)
        row[0].set_ylabel(f"{name}:\naccuracy of decoders")
    for variable, ax in zip(shown, grid[0], strict=True):
        ax.set_title(variable)
    for ax in grid[1]:
        ax.set(xlabel="time step", xticks=range(1, 5))
    figure.legend(*grid[1, 2].get_legend_handles_labels(), loc="outside right center")

# %%
# Is it used?
# -----------
#
# That something can be decoded does not mean that the network uses it. To find out, give the network wrong information:
# run it on the same scene with another target in the same place, a letter where there was a digit, keep what its
# connections bring, and put that in the place of the flows into one layer at one step of the natural scene. If the
# answers get worse than with as large a change in random order (the *control*), then the network relies on what these
# flows say about the target.
#
# A replacement of your own is a function. Ours switches the flow off, which is a gain of 1: does the network need
# recurrence there at all?


def silent(natural, altered, generators):
    """No flow at all."""
    return torch.zeros_like(natural)


replacements = {"of another target": altered_flows, "control": shuffled_difference, "silent": silent}
draws = unjittered(draw_scenes(embedded_source("test"), scenes, seed=3, indices=range(300)))
original, other = render_scenes(draws), render_scenes(altered_scenes(draws, "category_between"))
labels = original.labels["category"]
effects = perturb_flows(recurrent, original.images, labels, {"other": other.images}, replacements, seed=3)

# %%
# The accuracy that is left, for each layer and step whose flows are replaced. Dotted: the network left alone, with its
# 95 % interval in grey. So small a network, trained for so short a time, relies on its connections a little at most:
# with 300 scenes nothing stands out from chance. What larger ones do is in :doc:`/howto/recurrent_recogniser`.

natural = float(effects["original"])
with style():
    figure, axes = plt.subplots(1, 3, figsize=(7.5, 2.6), sharey=True, layout="constrained")
    for name, ax in zip(replacements, axes, strict=True):
        for layer in effects["layer"].values:
            ax.plot(effects["step"], effects[name].sel(perturbation="other", layer=layer), marker="o", label=layer)
        ax.axhline(natural, color="0.4", linestyle=":")
        ax.axhspan(*accuracy_interval(round(natural * len(draws)), len(draws)), color="0.93", zorder=0)
        ax.set(title=f"flows {name}" if name != "control" else name, xlabel="time step", xticks=effects["step"].values)
    axes[0].set_ylabel("accuracy")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside right center", title="flows into")

# %%
# To go on
# --------
#
# * Replace ``"category_between"`` by ``"x"``, ``"scale"`` or ``"orientation"``. Which property does the network rely on
#   most, and where?
# * Build the recurrent network with the flags ``1011``. What do its connections do now, and how does the first row of
#   the figure of its activity change?
# * With four objects a target has no clutter beneath it. Use ``ClutterSettings(objects=8)`` and train for longer.
