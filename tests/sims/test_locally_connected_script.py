"""The script that compares locally connected networks: its checks, its files, and what it refuses."""

import csv
import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import xarray as xr
from PIL import Image

from neurocircuit.analysis.spatial_recipes import SPATIAL_NETWORKS, SPATIAL_RECIPES, build_spatial
from neurocircuit.stimuli import digits_image_set


@pytest.fixture
def module(import_script):
    """The script, to call its functions."""
    return import_script("sims", "locally_connected")


@pytest.fixture(autouse=True)
def no_data(monkeypatch, tmp_path):
    """No image set is on disk, and none can be downloaded."""
    monkeypatch.delenv("NEUROCIRCUIT_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def test_a_quick_run_of_all_networks_needs_no_data_and_leaves_every_file(script, tmp_path):
    code, output, errors = script("locally_connected", "--quick", "--output", tmp_path, "--tables", tmp_path / "tables")
    assert (code, errors) == (0, "")
    assert "Images: digits of 8 x 8 pixels" in output
    assert "PASS  conv-matched has" in output
    for name in ("local", "local-random", "local-direct", "local-frozen"):
        # 6 x 6 positions of 8 channels with windows of 3 x 3, then 4 x 4 positions of 16.
        assert f"PASS  {name}: {36 * 8 * 9 + 16 * 16 * 8 * 9} weights in locally connected layers" in output
    folder = tmp_path / "digits_quick"
    for name in ("learning", "angles", "filters"):
        Image.open(folder / f"{name}.png").verify()
    with xr.open_dataset(folder / "curves.nc") as data:
        assert list(data["network"].values) == list(SPATIAL_NETWORKS)
        assert data["angle"].dims == ("network", "step", "layer")
        assert float(data["angle"].sel(network="local-random", layer=4).max()) == 0
        assert data["angle"].sel(network="local").isnull().all()
        assert data["validation_accuracy"].sel(step=[4, 8]).notnull().all()
        assert data.attrs["images"] == "digits of 8 x 8 pixels"
    header = json.loads((tmp_path / "tables" / "locally_connected_digits_quick.json").read_text())
    assert header["settings"]["images"] == "digits of 8 x 8 pixels"
    with (tmp_path / "tables" / header["tables"]["networks"]).open() as file:
        assert [row["network"] for row in csv.DictReader(file)] == list(SPATIAL_NETWORKS)


def test_a_run_is_refused_twice_and_resumed_with_networks_that_were_not_begun(script, tmp_path):
    flags = ("--quick", "--output", tmp_path, "--networks")
    code, output, _ = script("locally_connected", *flags, "conv")
    assert code == 0
    # Neither angles nor unshared filters.
    assert not (tmp_path / "digits_quick" / "angles.png").exists()
    first = output.splitlines()[1]
    code, _, errors = script("locally_connected", *flags, "conv")
    assert code == 2
    assert "already holds a run" in errors
    code, output, _ = script("locally_connected", *flags, "conv", "local-direct", "--resume")
    assert code == 0
    assert output.splitlines()[1] == first
    assert "local-direct: 8 steps" in output
    assert (tmp_path / "digits_quick" / "angles.png").exists()


def test_a_network_whose_filters_are_not_trained_can_be_run_alone(script, tmp_path):
    flags = ("--quick", "--output", tmp_path, "--seed", "2", "--steps", "4", "--networks", "local-frozen")
    code, output, errors = script("locally_connected", *flags)
    assert (code, errors) == (0, "")
    # Runs that go on lie together; what depends on seed and steps does not.
    assert (tmp_path / "digits_quick" / "local-frozen" / "seed2" / "result.json").exists()
    results = tmp_path / "digits_quick_4_seed2"
    assert {path.name for path in results.iterdir()} == {
        "curves.nc",
        "learning.png",
        "locally_connected_digits_quick_4_seed2.json",
        "locally_connected_digits_quick_4_seed2_networks.csv",
    }
    assert "local-frozen: 4 steps" in output


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--dataset", "imagenet"), "`name` is 'imagenet'; it must be one of mnist, fashion, cifar10, digits"),
        (("--quick", "--networks", "mlp"), "`networks` has ['mlp']; they must be among conv"),
        (("--quick", "--networks"), "`networks` is empty; name at least one of conv"),
        (("--quick", "--seed", "-1"), "`seed` is -1; it must be at least 0"),
        (("--quick", "--recipe", "large"), "`recipe` is 'large'; it must be one of notebook, small, digits"),
        (("--quick", "--resume"), "there is nothing to resume"),
        (("--quick", "--threads", "0"), "`threads` is 0"),
        (("--dataset", "cifar10", "--data", "missing"), "`data` is 'missing', which is not a folder"),
    ],
)
def test_what_cannot_be_run_is_told_in_one_line(script, tmp_path, flags, message):
    code, _, errors = script("locally_connected", "--output", tmp_path, *flags)
    assert code == 2
    assert len(errors.strip().splitlines()) == 1
    assert message in errors


@pytest.mark.parametrize(("dataset", "mirrored"), [("cifar10", True), ("fashion", True), ("mnist", False)])
def test_written_digits_are_not_mirrored(module, dataset, mirrored):
    assert module.Config(dataset=dataset).chosen()[2].flip == mirrored


@pytest.mark.parametrize(
    ("settings", "names"),
    [
        ({}, ("cifar10", "cifar10_small", "cifar10_small")),
        ({"recipe": "notebook", "steps": 9}, ("cifar10", "cifar10_notebook", "cifar10_notebook_9")),
        ({"dataset": "digits", "seed": 3}, ("digits", "digits", "digits_seed3")),
        ({"quick": True}, ("digits", "digits_quick", "digits_quick")),
    ],
)
def test_results_of_other_steps_and_seeds_have_names_of_their_own(module, settings, names):
    config = module.Config(**settings)
    assert (*config.chosen()[:2], config.results()) == names


def test_first_filters_are_those_the_run_started_from_and_those_it_ended_with(module):
    images, recipe = digits_image_set(), SPATIAL_RECIPES["digits"]
    found = {
        name: SimpleNamespace(network=build_spatial(name, recipe, images, 8)) for name in ("local", "local-frozen")
    }
    (first,) = module.first_filters(found, recipe, images, 7).values()
    for seed, filters in ((7, first.start), (8, first.trained)):
        layer = build_spatial("local", recipe, images, seed).chain.layers[0]
        np.testing.assert_array_equal(filters, layer.kernels().detach())
    np.testing.assert_array_equal(first.change, first.trained - first.start)


def test_likeness_is_told_of_the_start_the_end_and_the_change(module, rng):
    own = rng.standard_normal((6, 6, 2, 1, 3, 3))
    shared = np.broadcast_to(rng.standard_normal((2, 1, 3, 3)), own.shape)
    filters = {"local": module.Filters(own, own + shared), "conv": module.Filters(own[:1, :1], own[:1, :1])}
    (row,) = module.filter_rows(filters)
    assert row["network"] == "local"
    assert abs(row["start"]) < 0.15 < row["trained"] < 0.95
    assert row["change"] == pytest.approx(1)


def test_angles_are_told_of_the_start_the_second_half_and_the_end(module):
    angles = xr.DataArray(
        [[90.0, 1.0], [80.0, 2.0], [70.0, 3.0], [50.0, 4.0]], dims=("step", "layer"), coords={"layer": [1, 2]}
    )
    found = {"local": SimpleNamespace(angles=None), "local-random": SimpleNamespace(angles=angles)}
    assert module.angle_rows(found) == [
        {"network": "local-random", "layer": 1, "start": 90.0, "second_half": 60.0, "end": 50.0},
        {"network": "local-random", "layer": 2, "start": 1.0, "second_half": 3.5, "end": 4.0},
    ]


def test_filters_are_drawn_of_the_channel_that_changed_most(module, rng):
    start = rng.standard_normal((3, 3, 4, 1, 2, 2))
    trained = start.copy()
    # A small change everywhere, and a large one in the third channel.
    trained += 0.01
    trained[:, :, 2] += 5.0
    figure = module.plot_filters({"local": module.Filters(start, trained)})
    left, right = figure.axes[:2]
    assert left.get_title() == "local, channel 3"
    for ax, filters in ((left, trained), (right, trained - start)):
        shown = ax.images[0].get_array()
        np.testing.assert_allclose(shown[:2, :2], filters[0, 0, 2, 0])
        np.testing.assert_allclose(shown[-2:, -2:], filters[2, 2, 2, 0])


def angled(angles, low, high=0.9):
    """A result without weight transport, as far as the checks look at it."""
    curve = xr.DataArray([[100.0] * len(angles), angles], dims=("step", "layer"))
    return SimpleNamespace(angles=curve, row={"accuracy": (low + high) / 2, "low": low, "high": high})


def outcomes(checks):
    return [passed for _, passed in sorted(checks.items())]


def test_the_checks_of_learning_fail_for_what_was_not_learned(module):
    frozen = SimpleNamespace(angles=None, row={"low": 0.2, "high": 0.3})
    good = {"local-random": angled([80.0, 89.0, 0.0], 0.4), "local-frozen": frozen}
    assert outcomes(module.learning_checks(good, 0.1)) == [True] * 3
    steep = {"local-random": angled([80.0, 91.0, 0.0], 0.4)}
    assert sorted(outcomes(module.learning_checks(steep, 0.1))) == [False, True]
    chance = {"local-random": angled([80.0, 80.0, 0.0], 0.09)}
    assert sorted(outcomes(module.learning_checks(chance, 0.1))) == [False, True]
    no_better = good | {"local-random": angled([80.0, 80.0, 0.0], 0.25)}
    assert sorted(outcomes(module.learning_checks(no_better, 0.1))) == [False, True, True]


def test_the_exact_checks_fail_for_weights_outside_windows_and_for_sizes_that_do_not_match(module):
    from neurocircuit.networks import SPATIAL_LAYOUTS, SpatialNet

    small = SPATIAL_LAYOUTS["small"]
    network = SpatialNet(replace(small, kind="dense"))
    network.settings = small
    wrong = {"local": SimpleNamespace(network=network, angles=None, row={"parameters": 100})}
    assert outcomes(module.exact_checks(wrong)) == [False]
    conv = SimpleNamespace(
        network=SpatialNet(replace(small, kind="conv")), angles=angled([80.0, 1.0], 0.5).angles, row={"parameters": 90}
    )
    checks = module.exact_checks(wrong | {"conv-matched": conv})
    assert outcomes(checks) == [False] * 3
