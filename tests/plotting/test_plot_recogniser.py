"""Figures of recurrent recognisers show the numbers that they are given, and nothing that was not measured."""

from itertools import product

import numpy as np
import pytest
import xarray as xr
from matplotlib.colors import to_rgba

from neurocircuit.analysis import published_summary
from neurocircuit.plotting import style
from neurocircuit.plotting.recogniser import plot_decoding, plot_importance

GREY = to_rgba("0.72")


def curves(dim, names, steps=(1, 2, 3), missing=0, seed=0):
    rng = np.random.default_rng(seed)
    coords = {dim: list(names), "layer": ["input", "conv1", "fc"], "step": list(steps)}
    values = xr.DataArray(rng.uniform(0.5, 1, [len(own) for own in coords.values()]), coords, tuple(coords))
    values[..., :missing] = np.nan
    return xr.Dataset({"mean": values, "half_width": 0.1 * values})


def lines(ax, colour=None):
    """Return the curves of a panel, horizontal lines left out; of one colour, or of all but grey."""
    found = [line for line in ax.lines if len(line.get_xdata()) > 1 and line.get_transform() == ax.transData]
    found = [line for line in found if line.get_linestyle() != "None"]
    return [line for line in found if (to_rgba(line.get_color()) == GREY) == (colour is not None)]


def test_every_panel_has_the_accuracies_of_its_variable():
    variables = ["category", "scale"]
    ours = {label: curves("variable", variables, seed=seed) for seed, label in enumerate(("gain", "bias"))}
    with style():
        figure = plot_decoding(ours, chance={"category": 0.05})
    assert len(figure.axes) == 4
    assert [ax.get_title(loc="left") for ax in figure.axes[:2]] == ["category", "scale"]
    for ax, (label, variable) in zip(figure.axes, product(ours, variables), strict=True):
        drawn = np.array([line.get_ydata() for line in lines(ax)])
        np.testing.assert_array_equal(drawn, ours[label]["mean"].sel(variable=variable))


def test_the_order_of_variables_is_the_caller_s():
    ours = {"gain": curves("variable", ["category", "scale", "rotation"])}
    figure = plot_decoding(ours, variables=("rotation", "category"))
    np.testing.assert_array_equal(
        lines(figure.axes[0])[0].get_ydata(), ours["gain"]["mean"].sel(variable="rotation")[0]
    )


def test_published_curves_are_a_grey_ghost_behind_ours_and_nulls_are_dashed():
    ours, null = curves("variable", ["category"]), curves("variable", ["category"], seed=1)
    ghost = published_summary("flows", "1011")
    figure = plot_decoding({"bias": ours}, nulls={"bias": null}, ghosts={"bias": ghost})
    (ax,) = figure.axes
    grey = lines(ax, "grey")
    # The ghost has the layers that are drawn, at the steps that are published.
    drawn = np.array([line.get_ydata() for line in grey])
    np.testing.assert_array_equal(drawn, ghost["mean"].sel(variable="category", layer=["input", "conv1", "fc"]))
    solid = [line for line in lines(ax) if line.get_linestyle() == "-"]
    dashed = [line for line in lines(ax) if line.get_linestyle() == "--"]
    np.testing.assert_array_equal([line.get_ydata() for line in dashed], null["mean"].sel(variable="category"))
    assert max(line.get_zorder() for line in grey) < min(line.get_zorder() for line in dashed)
    assert max(line.get_zorder() for line in dashed) < min(line.get_zorder() for line in solid)
    texts = [text.get_text() for text in figure.legends[0].get_texts()]
    assert texts == ["input", "conv1", "fc", "untrained", "published"]


def test_steps_that_were_not_measured_are_left_out():
    figure = plot_decoding({"gain": curves("variable", ["scale"], missing=1)})
    assert [line.get_xdata().tolist() for line in lines(figure.axes[0])] == [[2, 3]] * 3
    assert figure.axes[0].get_xticks().tolist() == [2, 3]


def test_no_curve_is_cut_off_below():
    low = curves("variable", ["category", "scale"])
    low["mean"].loc[{"variable": "scale", "step": 2}] = 0.3
    figure = plot_decoding({"gain": low, "bias": curves("variable", ["category", "scale"])})
    bottoms = [ax.get_ylim()[0] for ax in figure.axes]
    assert bottoms[0] == bottoms[2] == 0
    # The interval is a tenth of the mean.
    assert bottoms[1] < 0.27
    assert bottoms[3] == pytest.approx(0.43, abs=0.02)


@pytest.mark.parametrize("names", [["category"], ["category", "scale", "rotation", "domain"]])
def test_the_legend_fits_the_figure(names):
    with style():
        own = curves("variable", names)
        figure = plot_decoding({"gain": own}, nulls={"gain": own}, ghosts={"gain": own})
        figure.draw_without_rendering()
        box = figure.legends[0].get_window_extent()
    assert box.x0 >= 0
    assert box.x1 <= figure.bbox.width
    assert box.y1 < figure.axes[0].get_window_extent().y0


def test_every_layer_has_a_colour_of_its_own():
    two = [curves("variable", ["scale"], seed=seed) for seed in (0, 1)]
    deep = xr.concat([two[0], two[1].assign_coords(layer=["conv3", "conv4", "conv5"])], "layer")
    colours = {to_rgba(line.get_color()) for line in lines(plot_decoding({"gain": deep}).axes[0])}
    assert len(colours) == 6


def test_importances_share_one_scale():
    ours = {flags: published_summary("importance", flags) for flags in ("0111", "1011")}
    figure = plot_importance(ours, ghosts={"0111": ours["1011"]}, perturbations=("location", "category"))
    assert len({ax.get_ylim() for ax in figure.axes}) == 1
    conv1 = ours["1011"]["mean"].sel(perturbation="category", layer="conv1")
    np.testing.assert_array_equal(lines(figure.axes[3])[1].get_ydata(), conv1)
    np.testing.assert_array_equal(lines(figure.axes[1], "grey")[1].get_ydata(), conv1)


@pytest.mark.parametrize(
    ("given", "options", "message"),
    [
        ({}, {}, "`curves` is empty"),
        ({"gain": curves("variable", ["scale"])}, {"variables": ("colour",)}, "'colour'; the curves have scale"),
        ({"gain": curves("variable", ["scale"])}, {"variables": ()}, "'nothing'; the curves have scale"),
        ({"gain": curves("variable", ["scale"], missing=3)}, {}, "`curves` hold NaN only"),
        (
            {"gain": curves("variable", ["scale"])},
            {"ghosts": {"bias": curves("variable", ["scale"])}},
            "published curves of 'bias' are given, but `curves` has gain",
        ),
    ],
)
def test_what_cannot_be_drawn_is_refused(given, options, message):
    with pytest.raises(ValueError, match=message):
        plot_decoding(given, **options)
