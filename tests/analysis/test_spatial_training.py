"""Training on images without weight sharing and transport: data, resuming, results, and the filters learned."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from neurocircuit.analysis import locally_connected as experiment
from neurocircuit.analysis import spatial_cost
from neurocircuit.analysis.local_filters import filters_by_position, neighbour_correlation
from neurocircuit.analysis.locally_connected import CropAndFlip, train_spatial
from neurocircuit.analysis.spatial_cost import training_cost
from neurocircuit.analysis.spatial_recipes import (
    SPATIAL_NETWORKS,
    SPATIAL_RECIPES,
    SpatialRecipe,
    build_spatial,
    spatial_settings,
)
from neurocircuit.cells import LocallyConnected2d
from neurocircuit.networks import SPATIAL_LAYOUTS, spatial_parameters
from neurocircuit.stimuli import ImageSet, load_image_set
from neurocircuit.training import fit, load_weights

QUICK = SPATIAL_RECIPES["digits"].with_training(
    steps=4, evaluate_every=2, checkpoint_every=1, log_every=1, batch_size=8
)


@pytest.fixture(scope="module")
def digits():
    return load_image_set("digits")


def small_colour_set(rng, name="cifar10", n=40):
    images = rng.integers(0, 256, (n, 3, 8, 8), dtype=np.uint8)
    labels = np.arange(n, dtype=np.int64) % 10
    return ImageSet(name, name, images, labels, images[:10], labels[:10], tuple("abcdefghij"))


def test_every_network_is_what_its_description_says(digits):
    recipe = SPATIAL_RECIPES["digits"]
    found = {name: spatial_settings(name, recipe, digits) for name in SPATIAL_NETWORKS}
    assert {name: (one.kind, one.feedback) for name, one in found.items()} == {
        "conv": ("conv", "transpose"),
        "conv-matched": ("conv", "transpose"),
        "local": ("local", "transpose"),
        "local-random": ("local", "random"),
        "local-direct": ("local", "direct"),
        "local-frozen": ("local", "transpose"),
        "simple": ("local", "transpose"),
        "regular-conv": ("conv", "transpose"),
        "dense": ("dense", "transpose"),
    }
    assert found["conv"].spatial == found["local"].spatial == found["dense"].spatial
    matched, local = (spatial_parameters(found[name]) for name in ("conv-matched", "local"))
    assert matched == pytest.approx(local, rel=0.02)
    assert found["regular-conv"].full == SPATIAL_LAYOUTS["regular-conv"].full
    assert all(one.image_shape == (1, 8, 8) and one.classes == 10 for one in found.values())
    wide = spatial_settings("local", replace(recipe, width=2.0), digits)
    assert [layer.channels for layer in wide.spatial] == [16, 32]


def test_the_notebooks_recipe_is_five_epochs_of_adam():
    training = SPATIAL_RECIPES["notebook"].training
    assert (training.optimizer, training.learning_rate, training.batch_size) == ("adam", 3e-4, 64)
    assert training.steps == pytest.approx(5 * 45_000 / 64, abs=1)
    assert SPATIAL_RECIPES["notebook"].width == 1
    for recipe in SPATIAL_RECIPES.values():
        assert recipe.training.steps % recipe.training.evaluate_every == 0


def test_only_the_last_layer_of_the_frozen_network_is_trained(digits, tmp_path):
    start = build_spatial("local-frozen", QUICK, digits).state_dict()
    found = train_spatial("local-frozen", QUICK, digits, 0, tmp_path)
    end = found.network.state_dict()
    changed = {name for name in start if not torch.equal(start[name], end[name]) and "running" not in name}
    assert changed - {"chain.after.0.0.num_batches_tracked"} == {"chain.layers.3.weight", "chain.layers.3.bias"}
    # Frozen ones are counted too.
    assert found.row["parameters"] == sum(parameter.numel() for parameter in found.network.parameters())


@given(
    margin=st.integers(0, 3),
    flip=st.booleans(),
    seed=st.integers(0, 2**31),
    height=st.integers(1, 5),
    width=st.integers(1, 5),
)
def test_an_augmented_image_is_a_moved_and_perhaps_mirrored_one(margin, flip, seed, height, width):
    black = torch.tensor([-2.0, -5.0])[:, None, None]
    image = torch.arange(2 * height * width, dtype=torch.float32).view(2, height, width)
    augment = CropAndFlip(margin, flip, black)
    found, label = augment((image, 7), torch.Generator().manual_seed(seed))
    again, _ = augment((image, 7), torch.Generator().manual_seed(seed))
    assert label == 7
    assert torch.equal(found, again)
    possible = []
    for y in range(-margin, margin + 1):
        for x in range(-margin, margin + 1):
            moved = black.expand(2, height, width).clone()
            for row in range(height):
                for column in range(width):
                    if 0 <= row + y < height and 0 <= column + x < width:
                        moved[:, row, column] = image[:, row + y, column + x]
            possible += [moved, moved.flip(2)] if flip else [moved]
    assert any(torch.allclose(found, one) for one in possible)


def test_augmentation_moves_and_mirrors_evenly():
    image = torch.arange(9.0).view(1, 3, 3)
    augment = CropAndFlip(1, True)
    drawn = [augment((image, 0), torch.Generator().manual_seed(seed))[0] for seed in range(900)]
    kinds, counts = np.unique(torch.stack(drawn).flatten(1).numpy(), axis=0, return_counts=True)
    # Nine places times two; each 50 times on average.
    assert len(kinds) == 18
    assert counts.min() > 25


def captured_sources(monkeypatch, images, recipe, seed=0):
    """What `train_spatial` hands to the training loop."""
    found = {}

    class StopHereError(Exception):
        pass

    def stop(network, training, validation, **_):
        found.update(training=training, validation=validation)
        raise StopHereError

    monkeypatch.setattr(experiment, "fit", stop)
    with pytest.raises(StopHereError):
        train_spatial("local", recipe, images, seed, "unused")
    return found["training"], found["validation"]


def test_training_and_validation_images_are_apart_and_scaled_by_the_training_images(monkeypatch, rng):
    images = small_colour_set(rng, name="mine")
    training, validation = captured_sources(monkeypatch, images, replace(QUICK, crop_margin=0, flip=False), seed=5)
    kept, held = images.split(seed=5)
    assert (training.size, validation.size) == (len(kept), len(held)) == (36, 4)
    inputs, labels = training.batch(0, range(36))
    order = training.indices(0, range(36))
    levels = images.train_images[kept] / 255
    mean, deviation = levels.mean((0, 2, 3)), levels.std((0, 2, 3))

    def scaled(raw):
        return (raw / 255 - mean[:, None, None]) / deviation[:, None, None]

    np.testing.assert_allclose(inputs, scaled(images.train_images[kept])[order], atol=1e-4)
    np.testing.assert_array_equal(labels, images.train_labels[kept][order])
    inputs, labels = validation.batch(0, range(4))
    order = validation.indices(0, range(4))
    np.testing.assert_allclose(inputs, scaled(images.train_images[held])[order], atol=1e-4)
    np.testing.assert_array_equal(labels, images.train_labels[held][order])


def test_angles_are_measured_on_as_many_training_images_as_asked_for_as_they_are(digits, monkeypatch):
    seen = {}

    class StopHereError(Exception):
        pass

    def stop(network, inputs, targets, *, seed):
        seen.update(inputs=inputs.numpy(), targets=targets.numpy(), seed=seed)
        raise StopHereError

    monkeypatch.setattr(experiment, "gradient_angles", stop)
    with pytest.raises(StopHereError):
        train_spatial("local-direct", replace(QUICK, probe=37, crop_margin=3, flip=True), digits, 5, "unused")
    assert seen["seed"] == 5
    kept, _ = digits.split(seed=5)
    levels = digits.train_images[kept] / 255
    wanted = ((levels - levels.mean()) / levels.std()).astype(np.float32)
    found = [np.abs(wanted - image).max((1, 2, 3)).argmin() for image in seen["inputs"]]
    assert len(set(found)) == 37
    np.testing.assert_allclose(seen["inputs"], wanted[found], atol=1e-4)
    np.testing.assert_array_equal(seen["targets"], digits.train_labels[kept][found])


def test_cifar_is_scaled_by_the_notebooks_numbers_and_moved_in_black(monkeypatch, rng):
    images = small_colour_set(rng)
    training, validation = captured_sources(monkeypatch, images, replace(QUICK, crop_margin=4, flip=True))
    mean, deviation = (np.array(values)[:, None, None] for values in experiment.CIFAR10_NORMALISATION)
    _, held = images.split(seed=0)
    inputs, _ = validation.batch(0, range(4))
    wanted = (images.train_images[held] / 255 - mean) / deviation
    np.testing.assert_allclose(inputs, wanted[validation.indices(0, range(4))], atol=1e-5)
    moved, _ = training.batch(0, range(36))
    levels = (moved.numpy() * deviation + mean) * 255
    # Whatever comes in from beyond the border is black, not grey.
    assert levels.min() > -1e-3
    assert (np.abs(levels) < 1e-3).all(1).mean() > 0.1


def test_a_small_set_is_validated_on_all_that_it_holds_out(rng, tmp_path):
    recipe = QUICK.with_training(evaluation_samples=1000)
    found = train_spatial("local", recipe, small_colour_set(rng), 0, tmp_path)
    assert found.log[-1]["validation_samples"] == 4


def test_a_killed_run_resumes_to_the_same_weights_angles_and_result(digits, tmp_path, monkeypatch):
    whole = train_spatial("local-random", QUICK, digits, 3, tmp_path / "whole")
    steps = []

    def dies(*arguments, **named):
        steps.append(1)
        if len(steps) == 2:
            raise KeyboardInterrupt
        return experiment_angles(*arguments, **named)

    experiment_angles = experiment.gradient_angles
    with monkeypatch.context() as patch:
        patch.setattr(experiment, "gradient_angles", dies)
        with pytest.raises(KeyboardInterrupt):
            train_spatial("local-random", QUICK, digits, 3, tmp_path / "killed")
    assert not (tmp_path / "killed" / "angles.json").exists()
    resumed = train_spatial("local-random", QUICK, digits, 3, tmp_path / "killed", resume=True)
    for name, value in whole.network.state_dict().items():
        assert torch.equal(resumed.network.state_dict()[name], value), name
    assert resumed.angles.identical(whole.angles)
    assert list(whole.angles["step"].values) == [0, 2, 4]
    measured = {"minutes", "step_s", "peak_MiB"}
    assert {k: v for k, v in resumed.row.items() if k not in measured} == {
        k: v for k, v in whole.row.items() if k not in measured
    }


def test_a_finished_run_is_not_tested_again_unless_it_is_given_more_steps(digits, tmp_path, monkeypatch):
    first = train_spatial("local", QUICK, digits, 0, tmp_path)
    assert first.angles is None
    with monkeypatch.context() as patch:
        patch.setattr(experiment, "evaluate", lambda *_: pytest.fail("the test images are used a second time"))
        again = train_spatial("local", QUICK, digits, 0, tmp_path, resume=True)
    assert again.row == first.row
    longer = train_spatial("local", QUICK.with_training(steps=6), digits, 0, tmp_path, resume=True)
    assert longer.row["steps"] == 6
    assert json.loads((tmp_path / "result.json").read_text()) == longer.row


def test_the_row_is_that_of_the_best_weights_on_the_test_images(digits, tmp_path):
    found = train_spatial("conv", QUICK, digits, 3, tmp_path)
    network = build_spatial("conv", QUICK, digits, 1)
    load_weights(network, tmp_path / "best.safetensors")
    kept, _ = digits.split(seed=3)
    levels = digits.train_images[kept] / 255
    inputs = (digits.test_images / 255 - levels.mean()) / levels.std()
    network.eval()
    with torch.no_grad():
        answers = network(torch.from_numpy(inputs).float()).argmax(1).numpy()
    assert found.row["accuracy"] == (answers == digits.test_labels).mean()
    assert found.row["low"] < found.row["accuracy"] < found.row["high"]
    assert found.row["parameters"] == spatial_parameters(network.settings)
    assert found.row["validation"] == max(line.get("validation_accuracy", 0) for line in found.log)
    # The log rounds to milliseconds.
    assert 60 * found.row["minutes"] == pytest.approx(found.log[-1]["seconds"], abs=1e-3)


def test_a_run_whose_weights_got_worse_again_is_tested_with_the_best(digits, tmp_path, monkeypatch):
    def forgets(network, *arguments, **named):
        result = fit(network, *arguments, **named)
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.zero_()
        return result

    monkeypatch.setattr(experiment, "fit", forgets)
    found = train_spatial("conv", QUICK.with_training(steps=20), digits, 0, tmp_path)
    best = build_spatial("conv", QUICK, digits, 1)
    load_weights(best, tmp_path / "best.safetensors")
    for name, value in best.state_dict().items():
        assert torch.equal(found.network.state_dict()[name], value), name
    # Weights of zero give every image the same answer.
    same = max(np.bincount(digits.test_labels)) / len(digits.test_labels)
    assert found.row["accuracy"] > same


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"crop_margin": 2}, "'crop_margin': 1"),
        ({"flip": True}, "'flip': False"),
        ({"probe": 20}, "'probe': 256"),
        ({"label": "another set"}, "'images': 'digits of 8 x 8 pixels'"),
    ],
)
def test_a_run_does_not_go_on_with_other_images_or_other_measurements(begun, digits, change, told):
    label = change.get("label", digits.label)
    recipe = replace(QUICK, **{name: value for name, value in change.items() if name != "label"})
    with pytest.raises(ValueError, match="is of another run: `description` was .*" + told):
        train_spatial("simple", recipe, replace(digits, label=label), 0, begun, resume=True)


@pytest.fixture(scope="module")
def begun(digits, tmp_path_factory):
    """The folder of a run."""
    folder = tmp_path_factory.mktemp("begun")
    train_spatial("simple", QUICK, digits, 0, folder)
    return folder


def test_a_folder_with_a_run_is_refused_and_keeps_its_angles(digits, tmp_path):
    train_spatial("local-direct", QUICK, digits, 0, tmp_path)
    before = (tmp_path / "angles.json").read_text()
    with pytest.raises(FileExistsError, match="already holds a run"):
        train_spatial("local-direct", QUICK, digits, 1, tmp_path)
    assert (tmp_path / "angles.json").read_text() == before
    with pytest.raises(ValueError, match="is of another run"):
        train_spatial("local-random", QUICK, digits, 0, tmp_path, resume=True)


def test_the_cost_of_a_network_grows_with_its_parameters(digits):
    wide = replace(SPATIAL_RECIPES["digits"], width=6.0)
    dense, local = (training_cost(name, wide, digits) for name in ("dense", "local"))
    assert 0 < local["step_s"] < dense["step_s"]
    # Weights, gradients and Adam's two averages: 16 bytes a parameter.
    parameters = spatial_parameters(spatial_settings("dense", wide, digits))
    assert np.isnan(dense["peak_MiB"]) or dense["peak_MiB"] > 0.9 * 16 * parameters / 2**20


def test_what_is_loaded_at_the_first_step_does_not_count(digits, monkeypatch):
    happened = []
    loss = spatial_cost.classification_loss

    def step(*arguments):
        happened.append("step")
        return loss(*arguments)

    def measure(function):
        happened.append("measured")
        function()
        return 1.0

    monkeypatch.setattr(spatial_cost, "classification_loss", step)
    monkeypatch.setattr(spatial_cost, "peak_growth", measure)
    training_cost("simple", QUICK, digits)
    assert happened == ["step", "measured", "step", "step", "step", "step"]


def test_filters_are_sorted_by_position():
    conv = nn.Conv2d(2, 3, 3)
    assert filters_by_position(conv).shape == (1, 1, 3, 2, 3, 3)
    local = LocallyConnected2d.from_conv2d(conv, (6, 7))
    filters = filters_by_position(local)
    assert filters.shape == (4, 5, 3, 2, 3, 3)
    np.testing.assert_array_equal(filters, np.broadcast_to(conv.weight.detach().numpy(), filters.shape))
    with pytest.raises(TypeError, match="`layer` is a Linear; it must be a Conv2d or a LocallyConnected2d"):
        filters_by_position(nn.Linear(2, 2))


def test_neighbouring_filters_are_correlated_if_and_only_if_they_are_alike(rng):
    shared = np.broadcast_to(rng.standard_normal((1, 1, 2, 3, 3, 3)), (8, 8, 2, 3, 3, 3))
    own = rng.standard_normal((8, 8, 2, 3, 3, 3))
    assert neighbour_correlation(shared) == pytest.approx(1)
    assert neighbour_correlation(own) == pytest.approx(0, abs=0.05)
    common = shared.var()
    assert neighbour_correlation(shared + own) == pytest.approx(common / (common + 1), abs=0.05)
    # Where nothing has changed there is nothing to compare, and no warning.
    assert np.isnan(neighbour_correlation(np.zeros_like(own)))
    with pytest.raises(ValueError, match="has 1 x 1 positions"):
        neighbour_correlation(own[:1, :1])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda images: replace(QUICK, crop_margin=1.5), "`crop_margin` is 1.5; it must be an integer of at least 0"),
        (lambda images: replace(QUICK, probe=2.5), "`probe` is 2.5; it must be an integer of at least 2"),
        (lambda images: train_spatial("simple", QUICK, images, 1.5, "unused"), "`seed` is 1.5; it must be an integer"),
    ],
)
def test_numbers_that_count_are_whole(make, message, digits):
    with pytest.raises(TypeError, match=message):
        make(digits)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda images: spatial_settings("mlp", QUICK, images), "`network` is 'mlp'; it must be one of conv"),
        (lambda images: spatial_settings("local", SPATIAL_RECIPES["small"], images), "too small for spatial layer"),
        (lambda images: replace(QUICK, layout="huge"), "`layout` is 'huge'; it must be one of spatial-dense"),
        (lambda images: replace(QUICK, width=0.0), "`width` is 0.0; it must be above 0"),
        (lambda images: replace(QUICK, width=np.inf), "`width` is inf; it must be above 0 and finite"),
        (lambda images: train_spatial("simple", QUICK, images, -1, "unused"), "`seed` is -1; it must be at least 0"),
        (lambda images: replace(QUICK, crop_margin=-1), "`crop_margin` is -1; it must be at least 0"),
        (lambda images: SpatialRecipe(training=QUICK.training, probe=1), "`probe` is 1; it must be at least 2"),
    ],
)
def test_what_cannot_be_compared_is_refused(make, message, digits):
    with pytest.raises(ValueError, match=message):
        make(digits)
