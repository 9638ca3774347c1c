"""Reading published results, and the averages and intervals that theirs and ours share."""

import numpy as np
import pytest
import xarray as xr
from scipy.stats import ttest_1samp

from neurocircuit.analysis import (
    auxiliary_averages,
    functional_importance,
    over_networks,
    over_repeats,
    pool_perturbations,
    pool_variables,
    published_cells,
    published_summary,
    read_published,
)
from neurocircuit.intervals import accuracy_interval

SHAPES = {
    "dec_accs": (2, 4, 4, 6, 2, 3),
    "out_accs": (2, 2, 3),
    "fbr_accs_all_comb": (2, 4, 3, 2, 6, 3),
    "original_accuracy": (2, 5, 1),
    "perturbed_accuracies": (2, 6, 2, 4, 3, 5),
}


@pytest.fixture
def arrays():
    rng = np.random.default_rng(0)
    return {name: rng.uniform(0.2, 1, shape) for name, shape in SHAPES.items()}


def test_arrays_are_labelled_as_the_authors_order_them(arrays):
    found = read_published(arrays)
    at = {"network": 1, "repeat": 2}
    activations = (
        found.decoding["activations"].isel(at).sel(layer="conv2", step=3, variable="row", scenes="target_only")
    )
    assert activations == arrays["dec_accs"][1, 2, 2, 2, 1, 2]
    flows = found.decoding["flows"].isel(at).sel(layer="fc", step=2, kind="gain", variable="domain", scenes="cluttered")
    assert flows == arrays["fbr_accs_all_comb"][1, 3, 0, 1, 5, 2]
    control = found.perturbation["control"].isel(at).sel(perturbation="category_between", layer="conv1", step=4)
    assert control == arrays["perturbed_accuracies"][1, 5, 1, 1, 2, 2]
    # Their x is what everything else here calls y.
    swapped = found.perturbation["perturbed"].isel(at).sel(perturbation="y", layer="conv1", step=4)
    assert swapped == arrays["perturbed_accuracies"][1, 0, 0, 1, 2, 2]
    assert found.perturbation["original"].isel(at) == arrays["original_accuracy"][1, 2, 0]


def test_what_was_not_measured_is_nan_and_nothing_else(arrays):
    flows = read_published(arrays).decoding["flows"]
    assert flows.sel(step=1).isnull().all()
    assert flows.sel(scenes="target_only").isnull().all()
    assert flows.sel(scenes="cluttered", step=[2, 3, 4]).notnull().all()


def test_bias_networks_use_the_branch_that_gain_networks_do_not(arrays):
    gain, bias = (read_published(arrays, flags).decoding for flags in ("0111", "1011"))
    assert gain["kind"].values.tolist() == ["gain"]
    assert bias["kind"].values.tolist() == ["bias"]
    np.testing.assert_array_equal(gain["flows"].values, bias["flows_untrained"].values)
    np.testing.assert_array_equal(gain["flows_untrained"].values, bias["flows"].values)


@pytest.mark.parametrize(
    ("change", "flags", "message"),
    [
        ({}, "1111", "`flags` is '1111'"),
        ({"out_accs": None}, "0111", "'out_accs' is missing"),
        ({"out_accs": np.ones((2, 3))}, "0111", r"out_accs.*shape \(2, 3\).*network, scenes 2, repeat"),
        ({"out_accs": np.full((2, 2, 3), 81.0)}, "0111", "no accuracies; they must be from 0 to 1"),
        ({"out_accs": np.full((2, 2, 3), np.nan)}, "0111", "no accuracies"),
    ],
)
def test_other_arrays_are_refused(arrays, change, flags, message):
    data = {name: array for name, array in {**arrays, **change}.items() if array is not None}
    with pytest.raises(ValueError, match=message):
        read_published(data, flags)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none\.npz"):
        read_published(tmp_path / "none.npz")


def test_the_table_has_no_place_twice_and_only_fractions():
    cells = published_cells()
    places = [(c.quantity, c.flags, c.scenes, c.kind, c.variable, c.layer, c.step) for c in cells]
    assert len(set(places)) == len(places) == 526
    assert all(-0.1 < cell.mean <= 1 for cell in cells)
    assert all(0 <= cell.half_width < 0.2 for cell in cells if cell.half_width is not None)
    assert {cell.digits for cell in cells} == {3, 5}


def test_a_published_summary_holds_the_cells_where_they_belong():
    found = published_summary("flows", "0111", kind="bias")
    assert float(found["mean"].sel(variable="category", layer="conv1", step=4)) == 0.373
    assert float(found["half_width"].sel(variable="category", layer="conv1", step=4)) == 0.023
    importance = published_summary("importance", "1011")
    assert float(importance["mean"].sel(perturbation="category", layer="conv1", step=2)) == 0.777
    assert importance["mean"].sel(perturbation="category_within", layer="fc").isnull().all()
    with pytest.raises(ValueError, match="no table of 'flows', '0000'"):
        published_summary("flows", "0000")


def test_intervals_over_networks():
    values = xr.DataArray([[0.5, 0.7], [0.6, 0.8], [0.9, 0.7]], dims=("network", "repeat"))
    means = np.array([0.6, 0.7, 0.8])
    published = over_networks(values)
    assert float(published["mean"]) == pytest.approx(0.7)
    assert float(published["half_width"]) == pytest.approx(1.96 * means.std() / np.sqrt(3))
    student = over_networks(values, "student")
    low, high = ttest_1samp(means, 0).confidence_interval(0.95)
    assert float(student["half_width"]) == pytest.approx((high - low) / 2)
    assert float(published["half_width"] / student["half_width"]) == pytest.approx(0.37, abs=0.005)


def test_one_network_has_no_interval_and_none_is_refused():
    assert over_networks(xr.DataArray([0.5], dims="network"), "student")["half_width"].isnull()
    with pytest.raises(ValueError, match="one must be `network`"):
        over_networks(xr.DataArray([0.5], dims="repeat"))
    with pytest.raises(ValueError, match="`interval` is 'wide'"):
        over_networks(xr.DataArray([0.5], dims="network"), "wide")


def test_intervals_over_repeats_count_all_answers():
    values = xr.DataArray([[0.5, np.nan], [0.6, np.nan]], dims=("repeat", "layer"))
    found = over_repeats(values, 20)
    assert (float(found["low"][0]), float(found["high"][0])) == accuracy_interval(22, 40)
    assert found.isel(layer=1).to_array().isnull().all()


def test_location_is_the_mean_of_row_and_column():
    values = xr.DataArray([0.1, 0.6, 0.8, 0.3], coords={"variable": ["category", "column", "row", "scale"]})
    pooled = pool_variables(values)
    assert pooled["variable"].values.tolist() == ["category", "location", "scale"]
    np.testing.assert_allclose(pooled, [0.1, 0.7, 0.3])
    # One of the two is no location.
    alone = pool_variables(values.sel(variable=["row", "scale"]))
    assert alone["variable"].values.tolist() == ["row", "scale"]


def test_pooled_perturbations_stand_beside_their_parts():
    values = xr.DataArray(
        [1.0, 3.0, 5.0, 9.0], coords={"perturbation": ["x", "y", "category_within", "category_between"]}
    )
    pooled = pool_perturbations(values)
    assert float(pooled.sel(perturbation="location")) == 2
    assert float(pooled.sel(perturbation="category")) == 7
    assert float(pooled.sel(perturbation="x")) == 1


def test_auxiliary_averages_leave_out_category_and_domain():
    names = ["category", "column", "row", "scale", "rotation", "domain"]
    values = xr.DataArray(
        np.zeros((1, 2, 3, 6, 2)),
        dims=("network", "layer", "step", "variable", "repeat"),
        coords={"variable": names, "layer": ["input", "fc"], "step": [1, 2, 3]},
    )
    values.loc[{"variable": ["category", "domain"]}] = 1
    values.loc[{"variable": "row", "layer": "fc"}] = 0.6
    found = auxiliary_averages(values)
    # Row counts half of one of three variables.
    np.testing.assert_allclose(found["over_depth"], [[0, 0.1]])
    np.testing.assert_allclose(found["over_time"], [[0.05, 0.05, 0.05]])


def test_importance_divides_each_network_by_its_own_accuracy():
    perturbed = xr.DataArray([[0.2, 0.4], [0.1, 0.1]], dims=("network", "repeat"))
    control = xr.DataArray([[0.6, 0.6], [0.5, 0.5]], dims=("network", "repeat"))
    original = xr.DataArray([[0.6, 0.6], [0.4, 0.4]], dims=("network", "repeat"))
    np.testing.assert_allclose(functional_importance(perturbed, control, original), [0.5, 1.0])


def test_importance_is_undefined_for_a_network_that_is_never_right():
    left = xr.DataArray([0.0, 0.1], dims="network")
    found = functional_importance(
        left, xr.DataArray([0.2, 0.3], dims="network"), xr.DataArray([0.0, 0.4], dims="network")
    )
    np.testing.assert_allclose(found, [np.nan, 0.5])
