"""The study of recurrent recognisers: runs that go on, measurements that are kept, tables, and findings."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import xarray as xr

from neurocircuit.analysis import recogniser_study as experiment
from neurocircuit.analysis.decoding_settings import DecodingSettings
from neurocircuit.analysis.published_recogniser import published_cells, published_summary
from neurocircuit.analysis.recogniser_answers import name_targets
from neurocircuit.analysis.recogniser_findings import exact_checks, findings, recurrence_checks
from neurocircuit.analysis.recogniser_recipes import RECOGNISER_RECIPES, RECOGNISER_VARIANTS
from neurocircuit.analysis.recogniser_study import RecogniserStudy, scenes_of, train_recogniser
from neurocircuit.analysis.recogniser_tables import (
    accuracy_rows,
    by_network,
    connection_rows,
    decoding_curves,
    decoding_rows,
    importance_curves,
    perturbation_rows,
    variant_rows,
)
from neurocircuit.networks import RecogniserSettings, RecurrentRecogniser
from neurocircuit.stimuli import ClutterSettings, clutter_scenes, embedded_source
from neurocircuit.training import read_log
from neurocircuit.training.checkpoints import read_weights

EMBEDDED = RECOGNISER_RECIPES["embedded"]
TINY = replace(
    EMBEDDED,
    scenes=ClutterSettings(objects=4).resized(32),
    network=RecogniserSettings(input_size=32, channels=(2, 3), kernel=3, hidden=6),
    validation_scenes=8,
    test_scenes=30,
    decoding=DecodingSettings(scenes=120, repeats=1, variables=("row", "scale"), scene_kinds=("cluttered",)),
).with_training(steps=4, schedule="constant", batch_size=4, evaluate_every=2, checkpoint_every=1, log_every=1)


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """A study with two trained networks."""
    found = RecogniserStudy(recipe=TINY, folder=tmp_path_factory.mktemp("study"))
    found.each(found.train, ("0111", "0000"), (0,))
    return found


def weights(folder):
    return read_weights(folder / "best.safetensors")[0]


def test_the_published_recipe_is_the_published_training():
    recipe = RECOGNISER_RECIPES["published"]
    assert (recipe.training.steps, recipe.training.batch_size) == (300_000, 32)
    assert (recipe.training.optimizer, recipe.training.learning_rate, recipe.training.schedule) == (
        "adam",
        1e-4,
        "constant",
    )
    assert (recipe.validation_scenes, recipe.easy_scenes, recipe.training.evaluate_every) == (5000, 0, 1000)
    assert (recipe.scenes, recipe.network) == (ClutterSettings(), RecogniserSettings())
    assert recipe.decoding == DecodingSettings()


def test_scenes_that_do_not_fit_the_network_are_refused():
    with pytest.raises(ValueError, match="`scenes` are of 100 pixels and `network` takes 32"):
        replace(TINY, scenes=ClutterSettings())


def test_unknown_objects_and_counts_are_refused():
    with pytest.raises(ValueError, match="`objects` is 'faces'; it must be one of published, embedded"):
        replace(TINY, objects="faces")
    with pytest.raises(ValueError, match="`test_scenes` is 0; it must be at least 1"):
        replace(TINY, test_scenes=0)


def test_networks_see_the_scenes_of_their_seed_and_are_validated_on_the_same(monkeypatch, tmp_path):
    given = {}

    def fit(network, source, validation, config, folder, **others):
        given[network.settings.flags, config.seed] = source.batch(config.seed, range(3))[0], validation.inputs

    monkeypatch.setattr(experiment, "fit", fit)
    for flags, seed in (("0111", 0), ("0000", 0), ("0111", 1)):
        train_recogniser(flags, TINY, seed, tmp_path)
    assert torch.equal(given["0111", 0][0], given["0000", 0][0])
    assert not torch.equal(given["0111", 0][0], given["0111", 1][0])
    assert torch.equal(given["0111", 0][1], given["0111", 1][1])
    alone = clutter_scenes(embedded_source("validation"), TINY.scenes, 1_000_000, range(8))
    assert torch.equal(given["0000", 0][1], alone.images)


def test_a_seed_among_those_of_other_scenes_is_refused(tmp_path):
    with pytest.raises(ValueError, match="`seed` is 1000000; it must be below 1000000"):
        train_recogniser("0111", TINY, 1_000_000, tmp_path)


def test_a_run_that_was_stopped_goes_on_to_the_same_weights(study, tmp_path):
    train_recogniser("0111", TINY.with_training(steps=3), 0, tmp_path)
    result = train_recogniser("0111", TINY, 0, tmp_path)
    assert result.steps == 4
    known, found = weights(study.place("0111", 0)), weights(tmp_path)
    assert all(torch.equal(found[name], known[name]) for name in known)
    assert [line["step"] for line in read_log(tmp_path)] == [1, 2, 3, 4]


def test_a_finished_run_is_only_reported(study):
    before = study.place("0111", 0).joinpath("best.safetensors").stat().st_mtime_ns
    assert study.train("0111", 0).steps == 4
    assert study.place("0111", 0).joinpath("best.safetensors").stat().st_mtime_ns == before


def test_a_network_of_another_recipe_is_refused(study):
    other = replace(study, recipe=replace(TINY, scenes=replace(TINY.scenes, objects=8)))
    with pytest.raises(ValueError, match="was trained by another recipe; they differ in scenes"):
        other.load("0111", 0)


def test_a_network_that_is_not_trained_is_named(study):
    with pytest.raises(FileNotFoundError, match="seed5"):
        study.load("0111", 5)


def test_a_network_that_is_still_being_trained_is_refused(study):
    longer = replace(study, recipe=TINY.with_training(steps=9))
    with pytest.raises(ValueError, match="is of step 4 of 9: the training has not ended"):
        longer.evaluate("0111", 0)
    # It may end before its last step.
    assert replace(study, recipe=TINY.with_training(steps=9, patience=2)).load("0111", 0)


def test_an_evaluation_counts_right_answers_of_the_saved_weights(study):
    found = study.evaluate("0111", 0)
    scenes = clutter_scenes(embedded_source("test"), TINY.scenes, 2_000_000, range(30))
    network = RecurrentRecogniser(replace(TINY.network, flags="0111"))
    network.load_state_dict(weights(study.place("0111", 0)))
    for shown, images in (("cluttered", scenes.images), ("target_only", scenes.target_images)):
        with torch.no_grad():
            right = network(images).argmax(1).numpy() == scenes.labels["category"]
        assert float(found["accuracy"].sel(scenes=shown)) == pytest.approx(right.mean())
        assert found["low"].sel(scenes=shown) <= right.mean() <= found["high"].sel(scenes=shown)
    assert found["parameters"] == sum(parameter.numel() for parameter in network.parameters())


def test_a_measurement_is_kept_until_something_changes(study, monkeypatch):
    known = study.evaluate("0000", 0)
    monkeypatch.setattr(experiment, "name_targets", None)
    xr.testing.assert_identical(study.evaluate("0000", 0), known)
    other = replace(study, recipe=replace(TINY, test_scenes=31))
    with pytest.raises(TypeError, match="NoneType"):
        other.evaluate("0000", 0)


def test_decoding_is_of_test_scenes_and_kept(study, monkeypatch):
    found = study.decode("0111", (0,))
    assert found.attrs["objects"] == embedded_source("test").label
    assert dict(found["activations"].sizes) == {
        "network": 1, "repeat": 1, "scenes": 1, "layer": 4, "step": 4, "variable": 2
    }  # fmt: skip
    assert found["repeat"].values.tolist() == [3_000_000]
    monkeypatch.setattr("neurocircuit.analysis.decoding.decode_repeat", None)
    xr.testing.assert_identical(study.decode("0111", (0,)), found)


@pytest.mark.slow
def test_processes_do_not_change_a_run(study, tmp_path):
    together = RecogniserStudy(recipe=TINY, folder=tmp_path, jobs=2)
    together.each(together.train, ("0111", "0000"), (0,))
    for flags in ("0111", "0000"):
        known, found = weights(study.place(flags, 0)), weights(together.place(flags, 0))
        assert all(torch.equal(found[name], known[name]) for name in known)


class Fixed(torch.nn.Module):
    """A network that gives each scene the log-probabilities of its turn."""

    def __init__(self, probabilities):
        super().__init__()
        self.probabilities, self.seen = torch.tensor(probabilities), 0

    def forward(self, images):
        self.seen += len(images)
        return self.probabilities[self.seen - len(images) : self.seen].log()


def test_answers_name_mistakes_with_the_surest_first():
    scenes = clutter_scenes(embedded_source("test"), TINY.scenes, 0, range(4), category=[0, 1, 2, 2])
    found = name_targets(
        Fixed([[0.9, 0.05, 0.05], [0.5, 0.3, 0.2], [0.1, 0.2, 0.7], [0.1, 0.8, 0.1]]), scenes, batch_size=3
    )
    assert found.answers.tolist() == [0, 0, 2, 1]
    assert found.right.tolist() == [True, False, True, False]
    assert found.mistakes.tolist() == [3, 1]
    assert found.accuracy == 0.5
    assert found.interval == pytest.approx((0.150, 0.850), abs=1e-3)


def test_answers_of_a_network_for_other_objects_are_refused():
    scenes = clutter_scenes(embedded_source("test"), TINY.scenes, 0, range(2), category=[0, 7])
    with pytest.raises(ValueError, match="`scenes` have categories up to 7; `network` knows 3"):
        name_targets(Fixed([[0.2, 0.3, 0.5]] * 2), scenes)
    with pytest.raises(ValueError, match="`batch_size` is 0"):
        name_targets(Fixed([[0.2, 0.3, 0.5]] * 2), scenes, batch_size=0)
    with pytest.raises(ValueError, match="`scenes` is empty; draw at least one"):
        name_targets(Fixed([[0.2, 0.3, 0.5]]), clutter_scenes(embedded_source("test"), TINY.scenes, 0, []))


def test_chosen_labels_are_those_of_the_scenes():
    scenes = scenes_of(TINY, 6, category=3, row=0, scale=1)
    assert set(scenes.labels["category"]) == {3}
    assert set(scenes.labels["row"]) == {0}
    assert torch.equal(scenes.images, scenes_of(TINY, 6, category=3, row=0, scale=1).images)


def networks():
    return {flags: RecurrentRecogniser(replace(TINY.network, flags=flags)) for flags in RECOGNISER_VARIANTS}


def test_exact_checks_hold_for_every_variant():
    checks = exact_checks(networks(), scenes_of(TINY, 4).images)
    assert all(checks.values())
    # Own flows and counts of four recurrent variants; the same steps and the count of the feedforward one.
    assert len(checks) == 10


def test_exact_checks_find_a_connection_that_is_not_listed(monkeypatch):
    found = networks()
    whole = found["0111"].connections()
    monkeypatch.setattr(found["0111"], "connections", lambda: whole[1:])
    failed = [name for name, passed in exact_checks(found, scenes_of(TINY, 2).images).items() if not passed]
    assert len(failed) == 1
    assert failed[0].startswith("gain: ")
    assert "8 modulating connections" in failed[0]


def test_exact_checks_find_flows_that_are_not_put_back(monkeypatch):
    found = {"0111": networks()["0111"]}
    run = found["0111"].run

    def doubled(images, record=("activations", "flows"), replace=None):
        changed = {place: {"gain": 2 * flows["gain"]} for place, flows in (replace or {}).items()}
        return run(images, record, changed)

    monkeypatch.setattr(found["0111"], "run", doubled)
    assert list(exact_checks(found, scenes_of(TINY, 4).images).values()) == [False]


def evaluation(right, scenes=100):
    """An evaluation with so many right answers."""
    answer = np.where(np.arange(scenes) < right, 1, 0)
    return xr.Dataset(
        {
            **{name: ("scenes", [right / scenes, 0.9]) for name in ("accuracy", "low", "high")},
            "category": ("scene", np.ones(scenes, int)),
            "answer": ("scene", answer),
            "parameters": 5,
            "steps": 4,
            "minutes": 1.0,
        },
        {"scenes": ["cluttered", "target_only"]},
    )


MEASURED = {
    ("0111", 0): evaluation(80),
    ("0000", 0): evaluation(50),
    ("0111", 1): evaluation(70),
    ("0000", 1): evaluation(50),
}


def test_tables_have_means_over_networks_and_leads_over_seeds():
    assert [(row["variant"], row["seed"], row["cluttered"]) for row in accuracy_rows(MEASURED)] == [
        ("gain", 0, 0.8), ("feedforward", 0, 0.5), ("gain", 1, 0.7), ("feedforward", 1, 0.5)
    ]  # fmt: skip
    gain, feedforward = variant_rows(MEASURED)
    assert (gain["networks"], gain["cluttered"], gain["lead"]) == (2, pytest.approx(0.75), pytest.approx(0.25))
    # Student's t of one degree of freedom, at 97.5 %, times the standard error 0.05.
    assert gain["lead_half_width"] == pytest.approx(12.7062 * 0.05, rel=1e-4)
    assert feedforward["lead"] == 0
    assert by_network(MEASURED, "0111")["accuracy"].sel(scenes="cluttered").values.tolist() == [0.8, 0.7]


def test_recurrence_must_be_above_feedforward_beyond_chance():
    assert list(recurrence_checks(MEASURED).values()) == [True]
    close = MEASURED | {("0111", 0): evaluation(55), ("0111", 1): evaluation(54)}
    assert list(recurrence_checks(close).values()) == [False]
    assert recurrence_checks({("0111", 0): evaluation(80)}) == {}


def test_connections_are_listed_with_their_parameters():
    rows = connection_rows(networks())
    assert [sum(row["flags"] == flags for row in rows) for flags in RECOGNISER_VARIANTS] == [9, 9, 6, 12, 0]
    lateral = next(row for row in rows if row["flags"] == "1110" and row["target"] == "conv1")
    assert (lateral["source"], lateral["pathway"], lateral["parameters"]) == ("conv1", "lateral", 2 * 2 * 9 + 2)


def unpooled(table, dim, groups):
    """Replace the mean of a group by members that have it."""
    parts = []
    for name in table[dim].values:
        one = table.sel({dim: name}, drop=True)
        parts += [one.expand_dims({dim: [member]}) for member in groups.get(name, [name])]
    return xr.concat(parts, dim)


def published_results(flags):
    """The published means as results of two networks that agree; what is not published of them is NaN."""
    cluttered = {
        name: unpooled(published_summary(name, flags)["mean"], "variable", {"location": ["row", "column"]})
        .reindex(step=[1, 2, 3, 4])
        .expand_dims(network=2, repeat=1, scenes=["cluttered"])
        for name in ("activations", "flows")
    }
    flows = cluttered["flows"].expand_dims(kind=["gain"])
    untrained = {"activations_untrained": cluttered["activations"] - 0.1, "flows_untrained": flows - 0.02}
    decoded = xr.Dataset({"activations": cluttered["activations"], "flows": flows, **untrained})
    cost = published_summary("importance", flags)["mean"]
    cost = cost.sel(perturbation=["location", "orientation", "scale", "category"])
    groups = {"location": ["x", "y"], "category": ["category_within", "category_between"]}
    cost = unpooled(cost, "perturbation", groups).expand_dims(network=2, repeat=1)
    original = xr.full_like(cost.isel(perturbation=0, layer=0, step=0, drop=True), 0.8)
    return decoded, xr.Dataset({"original": original, "control": 0.75 + 0 * cost, "perturbed": 0.75 - 0.8 * cost})


@pytest.fixture(scope="module")
def published():
    """Published results of gain and bias networks: what is decoded, and what perturbations cost."""
    both = {flags: published_results(flags) for flags in ("0111", "1011")}
    return {flags: one[0] for flags, one in both.items()}, {flags: one[1] for flags, one in both.items()}


def test_the_published_numbers_replicate_the_published_findings(published):
    rows = findings({}, *published)
    assert len(rows) == 3 * 2 + 2 * 2 + 1
    for row in rows:
        assert row["replicates"], row
        if row["published"] != "not released" and not row["finding"].startswith("at the last step"):
            # Means of the printed cells, which are rounded, against printed means.
            numbers = [
                [float(word.strip(",")) for word in row[side].split() if "." in word] for side in ("published", "ours")
            ]
            assert numbers[1] == pytest.approx(numbers[0], abs=2e-3)


def test_neutralised_targets_are_not_compared_with_altered_ones_in_silence(published):
    for legacy in (0, 1):
        found = {flags: one.assign_attrs(legacy=legacy) for flags, one in published[1].items()}
        noted = [row["finding"] for row in findings({}, {}, found) if "neutralised, ours altered" in row["published"]]
        assert noted == ([] if legacy else ["of location, orientation and scale, location matters most"] * 2)


def test_findings_that_do_not_replicate_are_said_so(published):
    decoded, perturbed = ({flags: one.copy(deep=True) for flags, one in part.items()} for part in published)
    backwards = decoded["0111"]["activations"]
    backwards[...] = backwards.isel(layer=slice(None, None, -1), step=slice(None, None, -1)).values
    decoded["0111"]["flows_untrained"] -= 0.2
    cost = perturbed["0111"]["perturbed"]
    cost.loc[{"perturbation": "scale", "layer": "conv1"}] -= 0.7
    cost.loc[{"layer": "fc"}] -= 0.5
    perturbed["1011"]["perturbed"].loc[{"perturbation": ["x", "y"], "layer": "conv2"}] -= 0.7
    rows = findings({}, decoded, perturbed)
    assert [row["replicates"] for row in rows if row["variant"] == "gain"] == [False] * 5
    assert not rows[-1]["replicates"]


def test_recurrence_is_found_better_only_if_the_interval_of_the_lead_is_above_zero():
    assert [row["replicates"] for row in findings(MEASURED, {}, {})] == [False]
    surer = MEASURED | {("0111", 1): evaluation(79)}
    (row,) = findings(surer, {}, {})
    assert row["replicates"]
    assert row["ours"].startswith("+0.295")
    alone = {place: one for place, one in MEASURED.items() if place[1] == 0}
    (row,) = findings(alone, {}, {})
    assert (row["ours"], row["replicates"]) == ("+0.300, no interval with one network", False)


def test_tables_of_places_have_the_published_numbers(published):
    decoded, perturbed = published
    rows = {(row["flags"], row["variable"], row["layer"], row["step"]): row for row in decoding_rows(decoded)}
    cells = [cell for cell in published_cells() if cell.quantity == "activations" and cell.scenes == "cluttered"]
    assert len(rows) == len(cells)
    for cell in cells:
        row = rows[cell.flags, cell.variable, cell.layer, cell.step]
        assert row["activations"] == pytest.approx(cell.mean)
        assert row["activations_untrained"] == pytest.approx(cell.mean - 0.1)
        assert row["activations_half_width"] == pytest.approx(0, abs=1e-12)
    costs = {
        (row["flags"], row["perturbation"], row["layer"], row["step"]): row for row in perturbation_rows(perturbed)
    }
    assert costs["0111", "location", "conv1", 3]["importance"] == pytest.approx(0.672)
    assert costs["1011", "category", "conv1", 2]["importance"] == pytest.approx(0.777)
    assert costs["1011", "category", "conv1", 2]["perturbed"] == pytest.approx(0.75 - 0.8 * 0.777)


def test_two_kinds_of_flows_have_a_row_each_and_none_has_one_without(published):
    one = published[0]["0111"]
    both = one.drop_dims("kind")
    for name in ("flows", "flows_untrained"):
        both[name] = xr.concat([one[name], one[name] + 0.1], "kind").assign_coords(kind=["bias", "gain"])
    rows = decoding_rows({"1110": both})
    bias, gain = rows[len(rows) // 2 - 1], rows[-1]
    assert (bias["kind"], gain["kind"]) == ("bias", "gain")
    assert gain["flows"] == pytest.approx(bias["flows"] + 0.1)
    assert gain["activations"] == bias["activations"]
    rows = decoding_rows({"0000": one.isel(kind=slice(0))})
    assert {row["kind"] for row in rows} == {"none"}
    assert all(np.isnan(row["flows"]) for row in rows)
    assert decoding_curves({"0000": one.isel(kind=slice(0))}, "flows") == {}


def test_curves_are_the_means_that_are_tabled(published):
    decoded, perturbed = published
    activity = decoding_curves(decoded, "activations")["gain"]["mean"].sel(variable="location", layer="conv2")
    assert activity.values == pytest.approx([0.824, 0.919, 0.964, 0.973])
    flows = decoding_curves(decoded, "flows")["bias"]["mean"].sel(variable="category", layer="fc", step=4)
    assert float(flows) == pytest.approx(0.563)
    cost = importance_curves(perturbed)["bias"]["mean"].sel(perturbation="location", layer="conv1")
    assert cost.values == pytest.approx([0.369, 0.267, 0.066])


def test_places_without_flows_are_not_in_the_table(published):
    _, perturbed = published
    some = perturbed["0111"].copy(deep=True)
    some["perturbed"].loc[{"layer": "input"}] = np.nan
    assert {row["layer"] for row in perturbation_rows({"1101": some})} == {"conv1", "conv2", "fc"}
