"""
Fixed points and a line attractor
=================================

Two networks whose dynamics are known beforehand: the search for fixed points has to find what is there. The second one
solves the context task :cite:p:`mante2013`, along a line of points where its state stays.
"""  # noqa: D205, D400

import numpy as np
import xarray as xr
from matplotlib import pyplot as plt

from neurocircuit.analysis import (
    condition_averages,
    context_dynamics,
    context_integrator,
    find_fixed_points,
    linearise,
    rank_one_network,
    state_space,
)
from neurocircuit.networks import run_network
from neurocircuit.plotting import plot_eigenvalues, plot_fixed_points, plot_state_space, style
from neurocircuit.tasks import make_task

# %%
# A network of rank one has three fixed points, in closed form. Every one of 16 starts ends at one of them.

exact = rank_one_network()
rng = np.random.default_rng(0)
starts = rng.uniform(-2, 2, (16, 1)) * exact.points[1] + 0.5 * rng.standard_normal((16, exact.network.n_units))
found = find_fixed_points(exact.network, starts, iterations=200)
away = abs(found.state.values[:, None] - exact.points).max(axis=2)
leading = linearise(exact.network, found.state.values).eigenvalues[:, 0]
print(f"fixed points found: {len(set(away.argmin(axis=1)))} of 3")
print(f"largest error of a point: {away.min(axis=1).max():.1e}")
print(f"largest error of a leading eigenvalue: {abs(leading - exact.leading[away.argmin(axis=1)]).max():.1e}")

# %%
# A network made by hand integrates the cued stimulus. Its trials, averaged over those of one context and choice, drawn
# in their two main dimensions, and (dots) the states in which it stands still while a cue is on and no stimulus.

task = make_task("mante")
network = context_integrator(task)
trials = task.sample(200, 0)
run = run_network(network, trials.inputs)
columns = {name: trials.conditions[name] for name in ("context", "choice")}
averages = condition_averages(run.rates, columns, step=network.step)
space = state_space(averages)
dynamics = context_dynamics(network, task, starts=24, iterations=200)

# %%
# In either context the points lie on a line along which one mode does not decay, while all others do.

with style():
    figure, (left, right) = plt.subplots(1, 2, figsize=(7.5, 3.4), layout="constrained")
    projected = xr.DataArray(space.project(averages.values), averages.coords, ("condition", "time", "component"))
    plot_state_space(projected, left, colour_by="choice")
    for one in dynamics.values():
        points = network.rates(one.points.state.values)
        plot_fixed_points(space.project(points), one.points.kind.values, left)
    plot_eigenvalues({f"{name} cued": one.linear.to_dataset() for name, one in dynamics.items()}, right)
