import numpy as np
import pytest
import torch
import xarray as xr
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure

from neurocircuit.analysis import gradient_flow, hgru_activity, hgru_gates, kernel_summary, occlusion_map
from neurocircuit.networks import HGRUClassifier
from neurocircuit.plotting import (
    COLOURS,
    plot_activity,
    plot_gradient_flow,
    plot_parameter_gradients,
    plot_signed_map,
    plot_time_course,
)


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return HGRUClassifier(4, 5, 3)


@pytest.fixture(scope="module")
def image():
    return torch.rand(2, 1, 9, 11)


@pytest.fixture(scope="module")
def flow(network, image):
    return gradient_flow(network, image, torch.tensor([0, 1]))


@pytest.fixture
def ax():
    return Figure().subplots()


def test_activity_is_drawn_step_by_step_on_one_scale(network, image):
    h2 = hgru_activity(network, image).h2[:, 0, 1]
    axes = Figure().subplots(1, 4)
    plot_activity(h2, axes, label="activity (dimensionless)")
    for panel, field in zip(axes, h2, strict=True):
        np.testing.assert_array_equal(np.asarray(panel.images[0].get_array()), field)
        assert panel.get_title() == f"step {int(field.step)}"
    bound = float(abs(h2).max())
    assert {one.images[0].get_clim() for one in axes} == {(-bound, bound)}
    with pytest.raises(ValueError, match=r"`axes` has 3 panels; the activity has 4 steps"):
        plot_activity(h2, axes[:3], label="")


def test_a_time_course_is_a_line_per_channel(network, image, ax):
    mean = hgru_gates(network, image).mixing.mean(("batch", "y", "x"))
    plot_time_course(mean, ax, title="Mixing", label="gate (dimensionless)", colour=COLOURS["h2"])
    assert len(ax.lines) == 4
    for line, channel in zip(ax.lines, mean.T, strict=True):
        np.testing.assert_array_equal(line.get_xydata(), np.stack([[1, 2, 3], channel], 1))
        assert line.get_color() == COLOURS["h2"]


def test_kernels_and_evidence_are_drawn_at_their_pixels_around_zero(network, image):
    one, other, third = Figure().subplots(1, 3)
    within = kernel_summary(network.cell).within.sel(kernel="inhibition")
    plot_signed_map(within, one, title="W", label="weight (dimensionless)")
    np.testing.assert_array_equal(np.asarray(one.images[0].get_array()), within)
    assert one.images[0].get_extent() == [-2.5, 2.5, 2.5, -2.5]
    low, high = one.images[0].get_clim()
    assert -low == high == pytest.approx(float(abs(within).max()))
    fall = occlusion_map(network, image, stride=4)[0]
    plot_signed_map(fall, other, title="Occlusion", label="fall (dimensionless)")
    assert other.images[0].get_extent() == [-2, 10, 10, -2]
    plot_signed_map(xr.DataArray(np.zeros((1, 1)), dims=("y", "x")), third, title="Nothing", label="")
    assert third.images[0].get_clim() == (-1, 1)


def test_gradient_flow_is_drawn_for_both_states(flow, ax):
    plot_gradient_flow(flow, ax)
    assert ax.get_yscale() == "log"
    for line, name in zip(ax.lines, ("h1", "h2"), strict=True):
        np.testing.assert_array_equal(line.get_ydata(), flow[name])
        assert to_rgba(line.get_color()) == to_rgba(COLOURS[name])


def test_parameter_gradients_are_drawn_in_the_order_asked_for(flow, ax):
    names = ["cell.alpha", "filters.conv.weight"]
    plot_parameter_gradients(flow, ax, names)
    assert [label.get_text() for label in ax.get_yticklabels()] == names
    np.testing.assert_array_equal(ax.lines[0].get_xdata(), flow.parameter_gradient.sel(parameter=names))


def test_every_label_has_a_unit(network, image, flow):
    axes = Figure().subplots(1, 4)
    plot_gradient_flow(flow, axes[0])
    plot_parameter_gradients(flow, axes[1], ["cell.mu"])
    plot_signed_map(kernel_summary(network.cell).within[0], axes[2], title="", label="weight (dimensionless)")
    gates = hgru_gates(network, image).gain.mean(("batch", "y", "x"))
    plot_time_course(gates, axes[3], title="", label="gate (dimensionless)", colour="k")
    labels = [text for ax in axes for text in (ax.get_xlabel(), ax.get_ylabel()) if text]
    assert len(labels) == 7
    assert all(label.endswith(("(number)", "(pixels)", "(dimensionless)")) for label in labels)
