"""Decoding from networks: right responses to the right labels, with nulls that see the same, kept and resumed."""

import numpy as np
import pytest
import torch
import xarray as xr

from neurocircuit.analysis import DecodingSettings, decode, decode_labels, over_networks, pool_variables
from neurocircuit.analysis.recogniser_repeats import weights_sha256
from neurocircuit.networks import RecogniserSettings, RecurrentRecogniser
from neurocircuit.stimuli import ClutterSettings, clutter_scenes, embedded_source

SCENES = ClutterSettings().resized(40)
FEW = DecodingSettings(scenes=250, repeats=1)


def network(flags="0111", seed=0, **changes):
    sizes = {"input_size": 40, "channels": (4, 6), "pools": (3, 2), "hidden": 16, "classes": 20, "time_steps": 3}
    return RecurrentRecogniser(RecogniserSettings(flags=flags, **{**sizes, **changes}), seed=seed).eval()


@pytest.fixture(scope="module")
def source():
    return embedded_source("test")


@pytest.fixture(scope="module")
def gain(source):
    return decode(network(), source, SCENES, FEW, seed=7)


def test_accuracies_are_those_of_a_decoder_on_the_network_s_own_run(gain, source):
    scenes = clutter_scenes(source, SCENES, 7, range(250))
    with torch.no_grad():
        run = network().run(scenes.images)
        clean = network().run(scenes.target_images)
    places = {
        "cluttered": [("activations", run.activations["conv1"][2]), ("flows", run.flows["conv1"][2]["gain"])],
        "target_only": [("activations", clean.activations["conv1"][2]), ("flows", clean.flows["conv1"][2]["gain"])],
    }
    classes = {"category": 20, "column": 2, "row": 2, "scale": 2, "rotation": 2, "domain": 2}
    for kind, found in places.items():
        for quantity, responses in found:
            features = responses.flatten(1).numpy()
            fitted = {name: scenes.labels[name][:200] for name in classes}
            answers = decode_labels(features[:200], features[200:], fitted, classes)
            own = gain[quantity].sel(scenes=kind, layer="conv1", step=2).squeeze()
            for name in classes:
                right = np.mean(answers[name] == scenes.labels[name][200:])
                # An answer on the border may turn by the rounding of other batches.
                assert float(own.sel(variable=name)) == pytest.approx(right, abs=0.021), (kind, quantity, name)
    right = np.mean(run.log_probabilities.argmax(1).numpy() == scenes.labels["category"])
    assert float(gain["accuracy"].sel(scenes="cluttered").squeeze()) == pytest.approx(right, abs=0.005)


def test_everything_is_measured_but_flows_at_the_first_step(gain):
    assert gain["activations"].notnull().all()
    assert gain["activations_untrained"].notnull().all()
    for name in ("flows", "flows_untrained"):
        assert gain[name].sel(step=1).isnull().all()
        assert gain[name].sel(step=[2, 3]).notnull().all()
    assert gain["kind"].values.tolist() == ["gain"]
    assert gain.attrs["tested"] == 50


def test_position_is_read_from_targets_alone_and_not_from_nothing(gain):
    location = pool_variables(gain["activations"]).sel(layer="conv1", step=1, variable="location").squeeze()
    assert float(location.sel(scenes="target_only")) > 0.9
    assert float(location.sel(scenes="target_only")) > float(location.sel(scenes="cluttered"))


def test_chance_is_the_most_frequent_class(gain, source):
    labels = clutter_scenes(source, SCENES, 7, range(250)).labels["category"]
    most = np.bincount(labels[:200]).argmax()
    assert float(gain["chance"].sel(variable="category").squeeze()) == np.mean(labels[200:] == most)


def test_the_first_input_is_the_image_trained_or_not(gain):
    at = {"layer": "input", "step": 1}
    np.testing.assert_array_equal(gain["activations"].sel(at), gain["activations_untrained"].sel(at))


def test_the_null_is_the_trained_activations_through_untrained_connections(source):
    """With connections into conv2 that send nothing, the flow tells nothing and the null still does."""
    silent = network()
    with torch.no_grad():
        for connection in silent.settings.connections():
            if connection.target == "conv2":
                for weights in silent.get_submodule(connection.name).parameters():
                    weights.zero_()
    settings = DecodingSettings(scenes=250, repeats=1, variables=("row", "column"), scene_kinds=("target_only",))
    found = decode(silent, source, SCENES, settings, seed=7).sel(layer="conv2", step=3, scenes="target_only")
    location = {name: float(pool_variables(found[name]).squeeze()) for name in ("flows", "flows_untrained")}
    # A flow that is always the same gives the most frequent class.
    assert location["flows"] == pytest.approx(float(found["chance"].mean()))
    assert location["flows_untrained"] > 0.8


def test_a_network_without_recurrence_has_no_flows_and_the_same_at_every_step(source, tmp_path):
    found = decode(network("0000"), source, SCENES, FEW, seed=7)
    assert found.sizes["kind"] == 0
    for step in (2, 3):
        np.testing.assert_array_equal(found["activations"].sel(step=step), found["activations"].sel(step=1))
    found.to_netcdf(tmp_path / "none.nc", engine="h5netcdf")


@pytest.mark.parametrize(("flags", "without"), [("1110", "input"), ("1101", "fc")])
def test_layers_that_nothing_flows_into_are_nan(source, flags, without):
    settings = DecodingSettings(scenes=250, repeats=1, variables=("row",), scene_kinds=("cluttered",))
    found = decode(network(flags), source, SCENES, settings)
    assert found["kind"].values.tolist() == ["bias", "gain"]
    others = [layer for layer in found["layer"].values if layer != without]
    for name in ("flows", "flows_untrained"):
        assert found[name].sel(layer=without).isnull().all()
        assert found[name].sel(layer=others, step=[2, 3]).notnull().all()


# Processes take longer to start than all the rest.
@pytest.mark.parametrize("jobs", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_repeats_and_networks_are_independent_of_their_number_and_of_processes(source, tmp_path, jobs):
    settings = DecodingSettings(scenes=200, repeats=2, variables=("row", "scale"), scene_kinds=("cluttered",))
    nets = [network(seed=seed) for seed in (0, 1)]
    both = decode(nets, source, SCENES, settings, seed=3, jobs=jobs)
    alone = decode(nets[1], source, SCENES, DecodingSettings(**{**vars(settings), "repeats": 1}), seed=4)
    xr.testing.assert_equal(both.isel(network=[1], repeat=[1]).drop_vars("network"), alone.drop_vars("network"))
    assert both["repeat"].values.tolist() == [3, 4]
    assert over_networks(both["activations"]).sizes["step"] == 3
    both.to_netcdf(tmp_path / "all.nc", engine="h5netcdf")
    with xr.open_dataset(tmp_path / "all.nc", engine="h5netcdf") as file:
        xr.testing.assert_equal(file.load(), both)


def test_the_cache_is_resumed_and_knows_what_it_holds(source, tmp_path, monkeypatch):
    settings = DecodingSettings(scenes=200, repeats=1, variables=("row",), scene_kinds=("cluttered",))
    found = decode(network(), source, SCENES, settings, cache=tmp_path)
    assert [path.suffix for path in tmp_path.iterdir()] == [".nc"]
    others = [
        {"networks": network(seed=1)},
        {"seed": 1},
        {"scenes": ClutterSettings(canvas=40, scale_small=(0.3, 0.4), scale_large=(0.5, 0.6), jitter=1.0)},
        {"settings": DecodingSettings(**{**vars(settings), "decoder": "logistic"})},
        {"source": embedded_source("validation")},
    ]

    def computed(*_):
        raise RuntimeError("computed")

    monkeypatch.setattr("neurocircuit.analysis.decoding.decode_repeat", computed)
    request = {"networks": network(), "source": source, "scenes": SCENES, "settings": settings, "cache": tmp_path}
    xr.testing.assert_identical(decode(**request), found)
    for other in others:
        with pytest.raises(RuntimeError, match="computed"):
            decode(**{**request, **other})


def test_weights_are_told_apart_by_value_and_name():
    assert weights_sha256(network()) == weights_sha256(network())
    assert weights_sha256(network()) != weights_sha256(network(seed=1))


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"scenes": 4}, ValueError, "`scenes` is 4; it must be at least 5"),
        ({"repeats": 1.5}, TypeError, "`repeats` is 1.5"),
        ({"decoder": "forest"}, ValueError, "`decoder` is 'forest'; it must be one of ridge, logistic, svm"),
        ({"variables": ("colour",)}, ValueError, "`variables` is .'colour',.*one or more of category, column"),
        ({"variables": "row"}, TypeError, "`variables` is 'row'; it must be a tuple"),
        ({"scene_kinds": ()}, ValueError, "`scene_kinds` is"),
        ({"mode": "slow"}, ValueError, "`mode` is 'slow'; it must be one of fast, exact"),
    ],
)
def test_bad_settings_are_refused(change, error, message):
    with pytest.raises(error, match=message):
        DecodingSettings(**change)


def test_too_few_scenes_for_the_classes_are_refused_before_anything_runs(source):
    with pytest.raises(ValueError, match=r"is 16, fewer samples than 'category' has classes \(20\)"):
        decode(network(), source, SCENES, DecodingSettings(scenes=20))
    with pytest.raises(ValueError, match="of 'category' has none of the 24 training samples"):
        decode(network(), source, SCENES, DecodingSettings(scenes=30))
    with pytest.raises(ValueError, match="`scenes` have 50 pixels"):
        decode(network(), source, ClutterSettings().resized(50))
