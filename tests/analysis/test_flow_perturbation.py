"""Flows of altered scenes in the place of natural ones, against whole runs with the network's own replacement."""

import sys

import numpy as np
import pytest
import torch
import xarray as xr

from neurocircuit.analysis import (
    PerturbationSettings,
    altered_flows,
    perturb_flows,
    perturbation_experiment,
    shuffled_difference,
)
from neurocircuit.analysis.recogniser_steps import answers, next_sweep, sweeps
from neurocircuit.networks import RecogniserSettings, RecurrentRecogniser
from neurocircuit.stimuli import (
    ClutterSettings,
    altered_scenes,
    draw_scenes,
    embedded_source,
    render_scenes,
    unjittered,
)

SMALL = {"input_size": 30, "channels": (4, 6), "pools": (3, 2), "hidden": 12, "classes": 5}
LAYERS = ("input", "conv1", "conv2", "fc")


def network(flags="0111", seed=0, **changes):
    """Return a network whose flows are strong enough to change answers."""
    found = RecurrentRecogniser(RecogniserSettings(flags=flags, **{**SMALL, **changes}), seed=seed).eval()
    with torch.no_grad():
        for connection in found.settings.connections():
            for weights in found.get_submodule(connection.name).parameters():
                weights.mul_(4)
    return found


def pictures(count=24, seed=0):
    return torch.rand(count, 1, 30, 30, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module")
def labels():
    return np.random.default_rng(0).integers(0, 5, 24)


@pytest.mark.parametrize("flags", ["0111", "1011", "1111", "1110", "1101"])
def test_step_by_step_is_the_network_s_own_run(flags):
    net, images = network(flags), pictures()
    with torch.no_grad():
        run, steps = net.run(images), sweeps(net, images)
        assert torch.equal(answers(net, [step.state for step in steps]), run.log_probabilities.argmax(1))
    for layer, by_step in run.flows.items():
        for step, flows in by_step.items():
            for kind, flow in flows.items():
                torch.testing.assert_close(steps[step - 1].flows[layer][kind], flow, rtol=0, atol=0)


@pytest.mark.parametrize("flags", ["0111", "1011", "1111"])
def test_accuracies_are_those_of_whole_runs_with_the_altered_flows(labels, flags):
    """The independent way: record the altered run, and give its flows to a run of the originals from the start."""
    net, images, others = network(flags), pictures(), pictures(seed=1)
    found = perturb_flows(net, images, labels, {"other": others}, batch_size=7)
    changed = 0
    with torch.no_grad():
        natural, altered = net.run(images), net.run(others)
        expected = natural.log_probabilities.argmax(1).numpy()
        assert float(found["original"]) == pytest.approx(np.mean(expected == labels))
        for layer in LAYERS:
            for step in (2, 3, 4):
                # The other layers get the stored flows of the original, as the published code has it.
                replace = {(other, step): natural.flows[other][step] for other in LAYERS}
                replace[layer, step] = altered.flows[layer][step]
                answer = net.run(images, (), replace).log_probabilities.argmax(1).numpy()
                changed += int((answer != expected).sum())
                own = float(found["perturbed"].sel(perturbation="other", layer=layer, step=step))
                assert own == pytest.approx(np.mean(answer == labels))
    assert changed > 10


def test_a_network_s_own_flows_change_no_answer(labels):
    net, images = network(), pictures()
    found = perturb_flows(net, images, labels, {"same": images})
    for what in ("perturbed", "control"):
        assert (found[what] == found["original"]).all()


def test_other_layers_keep_their_natural_flows_whether_these_are_stored_or_computed():
    """The flows into all layers at a step come from the step before, so that both are bit-equal."""
    net, images = network("1111"), pictures()
    with torch.no_grad():
        natural, other = sweeps(net, images), sweeps(net, pictures(seed=1))
        drive, before = net.conv1(images), natural[1].state
        given = {"conv1": other[2].flows["conv1"]}
        computed = next_sweep(net, images, drive, before, given)
        stored = next_sweep(net, images, drive, before, {**natural[2].flows, **given})
    for mine, theirs in zip(computed.state.activations().values(), stored.state.activations().values(), strict=True):
        assert torch.equal(mine, theirs)


def test_the_control_permutes_the_differences_of_each_scene():
    natural, altered = torch.zeros(3, 2, 4, 4), torch.arange(96.0).view(3, 2, 4, 4) + 1
    generators = [np.random.default_rng([0, scene]) for scene in range(3)]
    shuffled = shuffled_difference(natural + 5, altered + 5, generators) - 5
    for scene in range(3):
        assert not torch.equal(shuffled[scene], altered[scene])
        assert torch.equal(shuffled[scene].flatten().sort().values, altered[scene].flatten())
    orders = shuffled.flatten(1) - shuffled.flatten(1).min(1, keepdim=True).values
    assert not torch.equal(orders[0], orders[1])
    assert torch.equal(altered_flows(natural, altered, generators), altered)


def test_the_same_seed_gives_the_same_shuffles_whatever_the_batches_and_places(labels):
    net, images, others = network(), pictures(), {"other": pictures(seed=1)}
    found = perturb_flows(net, images, labels, others, seed=3)
    xr.testing.assert_identical(found, perturb_flows(net, images, labels, others, seed=3, batch_size=5))
    one = perturb_flows(net, images, labels, others, seed=3, places=[("conv2", 3)])
    at = {"layer": "conv2", "step": 3}
    xr.testing.assert_identical(found.sel(at), one.sel(at))
    assert int(one["control"].notnull().sum()) == 1
    seeds = [perturb_flows(net, images, labels, others, seed=seed)["control"] for seed in (4, 5, 6)]
    assert any(not control.equals(found["control"]) for control in seeds)


def test_a_replacement_of_one_s_own(labels):
    """Silence at the input of a bias network is the network without top-down connections to the input at that step."""
    net, images = network("1011"), pictures()

    def silence(natural, altered, generators):
        assert len(generators) == len(natural)
        return torch.zeros_like(natural)

    found = perturb_flows(net, images, labels, {"none": images}, {"silent": silence}, places=[("input", 4)])
    with torch.no_grad():
        zero = {("input", 4): {"bias": torch.zeros(24, 1, 30, 30)}}
        expected = net.run(images, (), zero).log_probabilities.argmax(1).numpy()
    assert float(found["silent"].sel(layer="input", step=4)[0]) == pytest.approx(np.mean(expected == labels))
    assert "control" not in found


def test_no_graph_is_kept(labels):
    kept = []

    def look(natural, altered, generators):
        kept.append(natural.requires_grad or altered.requires_grad or torch.is_grad_enabled())
        return natural

    perturb_flows(network(), pictures(), labels, {"same": pictures()}, {"look": look})
    assert kept
    assert not any(kept)


def test_layers_without_flows_are_nan(labels):
    found = perturb_flows(network("1110"), pictures(), labels, {"other": pictures(seed=1)})
    assert found["perturbed"].sel(layer="input").isnull().all()
    assert found["perturbed"].sel(layer=["conv1", "conv2", "fc"]).notnull().all()


@pytest.mark.parametrize(
    ("flags", "change", "message"),
    [
        ("0111", {"places": [("conv1", 1)]}, "step 1 for 'conv1'; flows come from the step before.*steps 2 to 4"),
        ("0111", {"places": [("conv1", 0)]}, "step 0 for 'conv1'"),
        ("0111", {"places": [("conv3", 2)]}, "layer 'conv3'; this network has input, conv1, conv2, fc"),
        ("1101", {"places": [("fc", 2)]}, "'fc', which nothing modulates under the flags 1101"),
        ("0000", {}, "nothing flows that could be perturbed"),
        ("0111", {"altered": {"other": pictures(23)}}, r"altered\['other'\]` has the shape \(23, 1, 30, 30\)"),
        ("0111", {"altered": {}}, "`altered` is empty"),
        ("0111", {"labels": [0, 1]}, r"`labels` has the shape \(2,\) for 24 scenes"),
        ("0111", {"replacements": {}}, "`replacements` has nothing"),
        ("0111", {"replacements": {"original": altered_flows}}, "`replacements` has .'original'."),
        ("0111", {"replacements": {"short": lambda n, a, g: n[:1]}}, r"shape \(1, 1, 30, 30\) for the gain of 'input'"),
        ("0111", {"replacements": {"none": lambda n, a, g: n / 0}}, "values for the gain of 'input'.*not finite"),
        ("0111", {"places": []}, r"`places` is \[\]; give pairs"),
        ("0111", {"places": "conv1"}, "`places` is 'conv1'; give pairs"),
        ("0111", {"labels": [5] * 24}, "`labels` are from 5 to 5; this network tells the classes 0 to 4 apart"),
        ("0111", {"images": 255 * pictures()}, "`images` holds values from 0.* must be from 0 to 1"),
        ("0111", {"altered": {"other": pictures() * float("nan")}}, "`images` holds values from nan"),
    ],
)
def test_bad_requests_are_refused(labels, flags, change, message):
    request = {"images": pictures(), "labels": labels, "altered": {"other": pictures(seed=1)}, **change}
    with pytest.raises(ValueError, match=message):
        perturb_flows(network(flags), **request)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labels": np.full(24, 0.5)}, "`labels` holds float64"),
        ({"places": [("conv1", 2.5)]}, "`places` is 2.5; it must be an integer"),
        ({"replacements": {"zero": lambda n, a, g: 0}}, "a replacement returned 0 for the gain of 'input' at step 2"),
        ({"replacements": {"double": lambda n, a, g: n.double()}}, "a tensor of torch.float64 for the gain"),
        ({"images": pictures().double(), "altered": {"other": pictures().double()}}, "`images` is of torch.float64"),
    ],
)
def test_requests_of_the_wrong_type_are_refused(labels, change, message):
    request = {"images": pictures(), "labels": labels, "altered": {"other": pictures(seed=1)}, **change}
    with pytest.raises(TypeError, match=message):
        perturb_flows(network(), **request)


def test_a_replacement_may_write_into_what_it_is_given(labels):
    net, images, others = network(), pictures(), {"other": pictures(seed=1)}

    def silence(natural, altered, generators):
        altered.zero_()
        return natural.zero_()

    places = [("conv1", 2), ("conv1", 3)]
    both = perturb_flows(net, images, labels, others, {"silent": silence, "perturbed": altered_flows}, places=places)
    alone = perturb_flows(net, images, labels, others, {"perturbed": altered_flows}, places=places)
    xr.testing.assert_identical(both[["original", "perturbed"]], alone)
    assert (both["silent"].sel(layer="conv1", step=[2, 3]) != both["original"]).any()


SCENES = ClutterSettings().resized(30)


def recogniser(flags="0111", seed=0):
    return network(flags, seed, classes=20)


@pytest.fixture(scope="module")
def source():
    return embedded_source("test")


def test_the_experiment_perturbs_unjittered_scenes_by_their_alterations(source):
    settings = PerturbationSettings(kinds=("x", "scale"), scenes=12, repeats=2)
    nets = [recogniser(seed=seed) for seed in (0, 1)]
    found = perturbation_experiment(nets, source, SCENES, settings, seed=5)
    assert found["perturbed"].shape == (2, 2, 2, 4, 3)
    draws = unjittered(draw_scenes(source, SCENES, 6, range(12)))
    original = render_scenes(draws)
    altered = {kind: render_scenes(altered_scenes(draws, kind)).images for kind in ("x", "scale")}
    alone = perturb_flows(nets[1], original.images, original.labels["category"], altered, seed=6)
    xr.testing.assert_equal(
        found.isel(network=1).sel(repeat=6)[["perturbed", "control"]].drop_vars(("network", "repeat")),
        alone[["perturbed", "control"]],
    )
    assert float(found["original"][1, 1]) == float(alone["original"])


def test_the_experiment_resumes_and_saves(source, tmp_path, monkeypatch):
    settings = PerturbationSettings(kinds=("category_within",), scenes=6, repeats=1)
    first = perturbation_experiment(recogniser(), source, SCENES, settings, cache=tmp_path / "cache")
    more = PerturbationSettings(kinds=("category_within",), scenes=6, repeats=2)
    both = perturbation_experiment(recogniser(), source, SCENES, more, cache=tmp_path / "cache")
    assert len(list((tmp_path / "cache").glob("perturbation-*.nc"))) == 2
    # By its file: the package has the function under the module's name.
    monkeypatch.setattr(sys.modules[perturbation_experiment.__module__], "perturb_flows", None)
    again = perturbation_experiment(recogniser(), source, SCENES, more, cache=tmp_path / "cache")
    xr.testing.assert_identical(both, again)
    xr.testing.assert_equal(both.isel(repeat=[0]), first)
    again.to_netcdf(tmp_path / "all.nc", engine="h5netcdf")
    with xr.open_dataset(tmp_path / "all.nc", engine="h5netcdf") as file:
        xr.testing.assert_equal(file.load(), again)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"kinds": ("z",)}, ValueError, "`kinds` is .'z',.*must be one or more of x, y"),
        ({"kinds": "x"}, TypeError, "`kinds` is 'x'; it must be a tuple"),
        ({"kinds": ()}, ValueError, "`kinds` is"),
        ({"legacy": 1}, TypeError, "`legacy` is 1"),
        ({"scenes": 0}, ValueError, "`scenes` is 0"),
        ({"mode": "slow"}, ValueError, "`mode` is 'slow'"),
    ],
)
def test_bad_settings_are_refused(change, error, message):
    with pytest.raises(error, match=message):
        PerturbationSettings(**change)


def test_networks_that_do_not_fit_are_refused(source):
    settings = PerturbationSettings(scenes=4, repeats=1)
    with pytest.raises(ValueError, match="`scenes` have 40 pixels a side and the networks' input 30"):
        perturbation_experiment(recogniser(), source, ClutterSettings().resized(40), settings)
    with pytest.raises(ValueError, match="`source` has 20 classes and the networks tell 5 apart"):
        perturbation_experiment(network(), source, SCENES, settings)
    with pytest.raises(ValueError, match="nothing flows"):
        perturbation_experiment(recogniser("0000"), source, SCENES, settings)
    with pytest.raises(ValueError, match="differ in their settings"):
        perturbation_experiment([recogniser(), recogniser("1011")], source, SCENES, settings)
    with pytest.raises(ValueError, match="`networks` is empty"):
        perturbation_experiment([], source, SCENES, settings)
