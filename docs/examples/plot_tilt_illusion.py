"""
The tilt illusion
=================

A surround of another orientation turns the orientation that is read at the centre: away from the surround when the two
differ by a little, towards it when they differ by a lot. Left, one of the displays; right, the circuit
:cite:p:`mely2018` beside human observers :cite:p:`otoole1977`.
"""  # noqa: D205, D400

from brian2 import ms
from matplotlib import pyplot as plt

from neurocircuit import mely_circuit
from neurocircuit.analysis import TILT_CHANNELS, tilt_displays, tilt_experiment
from neurocircuit.plotting import plot_display, plot_tilt_curve, style

# %%
# The experiment builds a display for every surround angle, encodes it, runs the circuit to its fixed point and decodes
# the output at the centre.

result = tilt_experiment(mely_circuit(TILT_CHANNELS), step=1 * ms, steps=400)
print(f"every run settled: {bool(result.converged.all())}")

# %%
# The circuit repels and attracts as observers do. Its peak is higher, and it peaks and crosses over to attraction at
# smaller angles than they do.

with style():
    figure, (left, right) = plt.subplots(1, 2, figsize=(7, 3))
    plot_display(tilt_displays([20])[0], left)
    plot_tilt_curve(result, right)
