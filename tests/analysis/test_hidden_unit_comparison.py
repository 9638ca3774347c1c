import json
import os
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch

from neurocircuit.analysis.hidden_unit_comparison import compare_hidden_units, prepare_images
from neurocircuit.analysis.hidden_unit_recipes import (
    HIDDEN_UNIT_RECIPES,
    PUBLISHED_ACCURACY,
    ComparisonRecipe,
    Passes,
    comparison_recipe,
)
from neurocircuit.analysis.hidden_unit_results import (
    HIDDEN_UNIT_NETWORKS,
    comparison_dataset,
    comparison_rows,
    confusion,
    outputs,
)
from neurocircuit.networks import HiddenLayer, HiddenLayerClassifier
from neurocircuit.plasticity import RankRule, currents
from neurocircuit.stimuli import ImageSet, digits_image_set, load_image_set
from neurocircuit.training import learning_rate_at

REAL = os.environ.get("NEUROCIRCUIT_DATA")

DIGITS = digits_image_set()
FEW = Passes(epochs=3, batch_size=20, learning_rate=1e-2)
SMALL = ComparisonRecipe(
    n_hidden=30, rule=RankRule(epochs=30, batch_size=20), power=2.0, read_out=FEW, end_to_end=FEW, linear=FEW
)


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """Return a comparison, its folder, and the images."""
    folder = tmp_path_factory.mktemp("comparison")
    return compare_hidden_units(DIGITS, SMALL, 3, folder), folder


def same_weights(first, second):
    own, other = first.state_dict(), second.state_dict()
    return own.keys() == other.keys() and all(torch.equal(own[name], other[name]) for name in own)


def test_images_are_prepared_by_what_the_training_images_say():
    data = prepare_images(DIGITS, SMALL, 3)
    train, held = DIGITS.split(SMALL.validation, 3)
    pixels = DIGITS.train_images.reshape(len(DIGITS.train_images), -1) / 255.0
    mean = pixels[train].mean(0)
    tests = DIGITS.test_images.reshape(len(DIGITS.test_images), -1) / 255.0
    for (images, labels), raw, expected in (
        (data.train, pixels[train], DIGITS.train_labels[train]),
        (data.validation, pixels[held], DIGITS.train_labels[held]),
        (data.test, tests, DIGITS.test_labels),
    ):
        centred = raw - mean
        np.testing.assert_allclose(images, centred / np.linalg.norm(centred, axis=1, keepdims=True), atol=2e-6)
        np.testing.assert_array_equal(labels, expected)


def test_every_network_is_scored_once_on_every_test_image(small):
    comparison, _ = small
    assert list(comparison.models) == list(HIDDEN_UNIT_NETWORKS)
    images, labels = prepare_images(DIGITS, SMALL, 3).test
    for one in comparison.models.values():
        with torch.no_grad():
            answers = one.model(images).argmax(1)
        expected = np.zeros((10, 10), int)
        for label, answer in zip(labels.tolist(), answers.tolist(), strict=True):
            expected[label, answer] += 1
        np.testing.assert_array_equal(one.confusion, expected)
        assert one.accuracy == pytest.approx(float((answers == labels).float().mean()))
        low, high = one.interval
        assert low < one.accuracy < high
        # Ten classes; all of them have learned something.
        assert low > 0.2


def test_bio_learned_its_hidden_units_without_labels(small, tmp_path):
    comparison, _ = small
    shuffled = replace(DIGITS, train_labels=DIGITS.train_labels[::-1].copy())
    other = compare_hidden_units(shuffled, SMALL, 3, tmp_path)
    np.testing.assert_array_equal(comparison.hidden_weights("bio"), other.hidden_weights("bio"))
    assert not np.array_equal(comparison.hidden_weights("bp"), other.hidden_weights("bp"))
    # It does learn from labels afterwards: wrong ones are of no use.
    assert other.models["bio"].accuracy < 0.3 < comparison.models["bio"].accuracy


def test_test_images_decide_nothing_but_the_scores(small, tmp_path):
    # Choosing an epoch, a scale or a mean by them would show.
    comparison, _ = small
    number = np.random.default_rng(0)
    other = replace(
        DIGITS,
        test_images=number.integers(0, 256, DIGITS.test_images.shape, np.uint8),
        test_labels=number.permutation(DIGITS.test_labels),
    )
    found = compare_hidden_units(other, SMALL, 3, tmp_path)
    for name, one in comparison.models.items():
        assert same_weights(one.model, found.models[name].model)
        assert one.training.best_step == found.models[name].training.best_step
        assert one.training.best == found.models[name].training.best
        assert [without_time(line) for line in one.log] == [without_time(line) for line in found.models[name].log]
        # Noise with labels by chance.
        assert found.models[name].accuracy < 0.2
    np.testing.assert_array_equal(comparison.convergence.wins, found.convergence.wins)


def without_time(line):
    return {name: value for name, value in line.items() if "second" not in name}


def test_the_epoch_that_is_kept_is_the_best_on_validation_images(small):
    comparison, _ = small
    images, labels = prepare_images(DIGITS, SMALL, 3).validation
    for one in comparison.models.values():
        # Of equal ones that with the smaller loss.
        best = max(one.log, key=lambda line: (line["validation_accuracy"], -line["validation_loss"]))
        assert one.training.best_step == best["step"]
        with torch.no_grad():
            share = float((one.model(images).argmax(1) == labels).float().mean())
        assert share == pytest.approx(best["validation_accuracy"], abs=0.01)


def test_weights_have_the_planes_of_colour_images(small):
    comparison, _ = small
    # Height and width differ, and pixel by pixel the first image is 1 in one place: its number says where.
    channels, height, width = 3, 4, 5
    where = [(0, 0, 4), (1, 3, 0), (2, 1, 2)]
    pictures = np.zeros((len(where), channels, height, width), np.uint8)
    for picture, place in zip(pictures, where, strict=True):
        picture[place] = 255
    labels = np.arange(len(where))
    colour = ImageSet("colour", "colour", pictures, labels, pictures, labels, ("a", "b", "c"))
    weights = torch.zeros(len(where), channels * height * width)
    for row, (channel, y, x) in zip(weights, where, strict=True):
        row[(channel * height + y) * width + x] = 1
    model = HiddenLayerClassifier(HiddenLayer(weights))
    known = replace(comparison, images=colour, models={"bio": replace(comparison.models["bio"], model=model)})
    # Each unit's picture is the image that it answers.
    np.testing.assert_array_equal(known.hidden_weights("bio"), pictures / 255)
    prepared = prepare_images(colour, replace(SMALL, validation=0.3), 0).test[0]
    assert (model.hidden(prepared).argmax(1) == torch.arange(3)).all()


def test_bio_is_relu_of_its_currents_to_the_recipes_power(small):
    comparison, _ = small
    data = prepare_images(DIGITS, SMALL, 3)
    model = comparison.models["bio"].model
    weights = torch.from_numpy(comparison.hidden_weights("bio").reshape(30, -1))
    activities = currents(weights, data.train[0], 2.0).relu() ** SMALL.power
    found = model.hidden(data.train[0])
    torch.testing.assert_close(found, activities / activities.square().mean().sqrt(), rtol=1e-4, atol=1e-5)
    norms = np.linalg.norm(comparison.hidden_weights("random").reshape(30, -1), axis=1)
    np.testing.assert_allclose(norms, 1, rtol=1e-5)
    assert (model.hidden.p, model.hidden.power) == (2.0, 2.0)
    assert comparison.models["random"].model.hidden.power == 1.0
    for name in ("linear", "other"):
        with pytest.raises(ValueError, match=f"`name` is '{name}'; it must be a network with hidden units"):
            comparison.hidden_weights(name)


def test_a_finished_comparison_is_only_reported_and_a_killed_one_goes_on_to_the_same_bits(small, tmp_path):
    comparison, folder = small
    again = compare_hidden_units(DIGITS, SMALL, 3, folder, resume=True)
    assert again.unit_seconds is None
    assert comparison.unit_seconds > 0
    # Killed when BIO's hidden units were two thirds done.
    part = tmp_path / "units"
    part.mkdir()
    from neurocircuit.plasticity import train_units

    data = prepare_images(DIGITS, SMALL, 3)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("neurocircuit.plasticity.unit_training._train_epoch", killed_after(20))
        with pytest.raises(KeyboardInterrupt):
            train_units(data.train[0], SMALL.rule, 30, 3, folder=part)
    resumed = compare_hidden_units(DIGITS, SMALL, 3, tmp_path, resume=True)
    for name in HIDDEN_UNIT_NETWORKS:
        for other in (again, resumed):
            assert same_weights(comparison.models[name].model, other.models[name].model)
            np.testing.assert_array_equal(comparison.models[name].confusion, other.models[name].confusion)


def killed_after(epochs):
    from neurocircuit.plasticity import unit_training

    original = unit_training._train_epoch

    def train_epoch(learner, data, seed, epoch):
        if epoch == epochs:
            raise KeyboardInterrupt
        return original(learner, data, seed, epoch)

    return train_epoch


def test_a_folder_with_a_run_is_neither_overwritten_nor_taken_for_another(small):
    _, folder = small
    with pytest.raises(FileExistsError, match="already holds a run"):
        compare_hidden_units(DIGITS, SMALL, 3, folder)
    with pytest.raises(ValueError, match="of another run"):
        compare_hidden_units(DIGITS, replace(SMALL, power=3.0), 3, folder, resume=True)


def test_what_changes_one_network_leaves_the_others_resumable(small, tmp_path):
    comparison, folder = small
    shutil.copytree(folder, tmp_path / "copy")
    longer = replace(SMALL, end_to_end=replace(FEW, epochs=2))
    with pytest.raises(ValueError, match=r"/bp' is of another run: `steps` was \d+ and is now \d+\. Use"):
        compare_hidden_units(DIGITS, longer, 3, tmp_path / "copy", resume=True)
    shutil.rmtree(tmp_path / "copy" / "bp")
    found = compare_hidden_units(DIGITS, longer, 3, tmp_path / "copy", resume=True)
    assert len(found.models["bp"].log) == 2
    assert same_weights(found.models["bio"].model, comparison.models["bio"].model)
    assert found.models["bio"].training.seconds == comparison.models["bio"].training.seconds


@pytest.mark.parametrize("name", ["read_out", "end_to_end", "linear"])
def test_passes_that_do_not_fit_are_refused_before_anything_is_trained(tmp_path, name):
    recipe = replace(SMALL, **{name: replace(FEW, batch_size=2000)})
    with pytest.raises(ValueError, match="`batch_size` is 2000, but there are 1293 images"):
        compare_hidden_units(DIGITS, recipe, 3, tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"epochs": 0}, "`epochs` is 0; it must be at least 1"),
        ({"batch_size": 0}, "`batch_size` is 0; it must be at least 1"),
        ({"learning_rate": -1.0}, "`learning_rate` is -1"),
        ({"weight_decay": -1.0}, "`weight_decay` is -1"),
    ],
)
def test_impossible_passes_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        replace(FEW, **changes)
    with pytest.raises(TypeError, match=r"`epochs` is 1\.5; it must be an integer"):
        replace(FEW, epochs=1.5)


def test_outputs_that_are_not_finite_are_refused():
    images = torch.zeros(1500, 2)
    images[1200, 1] = torch.nan
    with pytest.raises(ValueError, match=r"1 image\(s\) whose answers are NaN .* row 1200.*CentredUnitNorm"):
        outputs(torch.nn.Linear(2, 3), images)


def test_units_that_were_trained_before_are_used(small, tmp_path):
    comparison, _ = small
    units = comparison.hidden_weights("bio").reshape(30, -1)
    found = compare_hidden_units(DIGITS, SMALL, 3, tmp_path, units=units)
    assert not (tmp_path / "units").exists()
    np.testing.assert_array_equal(found.models["bio"].confusion, comparison.models["bio"].confusion)
    assert found.unit_seconds is None
    # Nothing is known of how they learned.
    assert found.settings() == {**SMALL.describe(), "rule": {"p": 2.0}}
    assert json.loads(comparison_dataset(found).attrs["recipe"]) == found.settings()
    assert comparison.settings() == SMALL.describe()
    for wrong in (units[:5], units[:, :60]):
        with pytest.raises(ValueError, match=r"`units` has the shape .* it must be \(30, 64\)"):
            compare_hidden_units(DIGITS, SMALL, 3, tmp_path / "other", units=wrong)


def test_rows_name_the_images_and_the_published_numbers_with_their_size(small):
    comparison, _ = small
    rows = {row["network"]: row for row in comparison_rows(comparison)}
    assert rows["bio"]["images"] == DIGITS.label
    assert rows["linear"]["hidden"] == 0
    assert (rows["bio"]["published"], rows["bio"]["published_units"]) == ("-", "-")
    assert 1 <= rows["bio"]["best_epoch"] <= 3
    # PNAS 116, 7723: test error 1.46 % and 1.5 % on MNIST; beside a result of any size.
    expected = {"mnist": {"bio": 0.9854, "bp": 0.985}, "cifar10": {"bio": 0.5075, "bp": 0.5525}}
    assert expected == PUBLISHED_ACCURACY
    for name, accuracies in expected.items():
        named = replace(comparison, images=replace(DIGITS, name=name))
        for row in comparison_rows(named):
            accuracy = accuracies.get(row["network"], "-")
            assert (row["published"], row["published_units"]) == (accuracy, "-" if accuracy == "-" else 2000)
            assert row["hidden"] in (0, 30)


def test_the_data_set_has_all_curves_and_says_what_made_it(small):
    comparison, _ = small
    found = comparison_dataset(comparison)
    assert found["validation_accuracy"].shape == (4, 3)
    best = found["validation_accuracy"].max("epoch")
    for name, one in comparison.models.items():
        assert float(best.sel(network=name)) == pytest.approx(one.training.best.accuracy)
    assert int(found["confusion"].sel(network="bp").sum()) == len(DIGITS.test_labels)
    assert int(found["wins"].sum()) == len(DIGITS.split()[0])
    assert found.attrs["images"] == DIGITS.label
    assert json.loads(found.attrs["recipe"])["n_hidden"] == 30


def test_passes_validate_once_an_epoch_and_end_at_a_rate_of_zero():
    config = Passes(epochs=4, batch_size=10, learning_rate=0.1).config(53, seed=2)
    assert (config.steps, config.evaluate_every) == (20, 5)
    assert learning_rate_at(config, 0) == pytest.approx(0.1)
    assert learning_rate_at(config, 10) == pytest.approx(0.05)
    assert learning_rate_at(config, 20) == pytest.approx(0, abs=1e-12)
    with pytest.raises(ValueError, match="`batch_size` is 10, but there are 9 images"):
        Passes(epochs=1, batch_size=10).config(9, seed=0)


def test_recipes_are_named_and_can_be_written_as_json():
    for name, recipe in HIDDEN_UNIT_RECIPES.items():
        assert comparison_recipe(name) == recipe
        assert json.loads(json.dumps(recipe.describe()))["rule"]["p"] == recipe.rule.p
    assert comparison_recipe("mnist", 17) == replace(HIDDEN_UNIT_RECIPES["mnist"], n_hidden=17).with_rule(k=2)
    assert comparison_recipe("mnist", 1000) == replace(HIDDEN_UNIT_RECIPES["mnist"], n_hidden=1000)
    with pytest.raises(ValueError, match="`dataset` is 'svhn'; it must be one of mnist"):
        comparison_recipe("svhn")


def test_a_confusion_matrix_counts_true_classes_in_rows():
    logits = torch.eye(3)[[2, 2, 0]]
    found = confusion(torch.nn.Identity(), logits, torch.tensor([0, 0, 1]), 3)
    assert found.tolist() == [[0, 0, 2], [1, 0, 0], [0, 0, 0]]


@pytest.mark.slow
@pytest.mark.skipif(REAL is None, reason="no data: NEUROCIRCUIT_DATA names no folder of image sets")
def test_on_mnist_100_units_are_above_92_percent_and_4_points_above_random_ones(tmp_path):
    recipe = comparison_recipe("mnist", 100)
    recipe = replace(recipe, end_to_end=Passes(epochs=1), linear=Passes(epochs=1))
    found = compare_hidden_units(load_image_set("mnist", REAL), recipe, 0, tmp_path)
    assert found.models["bio"].accuracy > 0.92
    assert found.models["bio"].accuracy >= found.models["random"].accuracy + 0.04
