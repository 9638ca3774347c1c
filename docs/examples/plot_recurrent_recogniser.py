"""
One scene, seen again and again
===============================

A recurrent recogniser :cite:p:`thorat2021` sees a cluttered scene in four sweeps. Its lateral and top-down connections
change from step to step what each layer makes of the same image: here by a gain, in a network that is not yet trained.
:doc:`/tutorials/lessons/plot_seeing_through_clutter` trains one.
"""  # noqa: D205, D400

import torch
from matplotlib import pyplot as plt

from neurocircuit.networks import RecogniserSettings, RecurrentRecogniser
from neurocircuit.plotting import plot_scene, plot_scene_activity, style
from neurocircuit.stimuli import ClutterSettings, clutter_scenes, embedded_source

torch.set_num_threads(1)

# %%
# The target is whole and lies on top of a scrambled object; the other objects are scrambled too. Any of its labels can
# be chosen: this one is a large letter "B" at the bottom right.

objects, settings = embedded_source("test"), ClutterSettings()
scene = clutter_scenes(objects, settings, 3, [0], category=objects.class_names.index("B"), row=1, column=1, scale=1)
with style():
    figure, (left, right) = plt.subplots(1, 2, figsize=(5, 2.6), layout="constrained")
    plot_scene(scene.images[0], left, title="scene", box=scene.boxes[0, scene.target[0]])
    plot_scene(scene.target_images[0], right, title="target alone")

# %%
# Rows are layers, columns steps. Of the convolutional layers the mean over channels is drawn, of the last one its
# units. Only the first step is purely feedforward.

network = RecurrentRecogniser(RecogniserSettings(flags="0111"), seed=0)
with torch.no_grad():
    run = network.run(scene.images, record=("activations",))
with style():
    plot_scene_activity(run, plt.figure(figsize=(5.5, 5), layout="constrained"))
