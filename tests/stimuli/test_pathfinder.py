import concurrent.futures
import importlib.util
import multiprocessing
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neurocircuit.analysis import marker_distance_score
from neurocircuit.stimuli import (
    DIFFICULTIES,
    METADATA_COLUMNS,
    PathfinderSettings,
    metadata_rows,
    pathfinder_batch,
)
from neurocircuit.training import accuracy_interval

SMALL = DIFFICULTIES["small"]


def reference():
    path = Path(__file__).parents[2] / "benchmarks" / "pathfinder_reference.py"
    spec = importlib.util.spec_from_file_location("pathfinder_reference", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def one_image(index):
    return pathfinder_batch(SMALL, 5, [index]).images[0]


@settings(max_examples=20)
@given(st.integers(0, 2**64 - 1), st.lists(st.integers(0, 2**40), min_size=1, max_size=5))
def test_image_does_not_depend_on_its_batch_or_order(seed, indices):
    together = pathfinder_batch(SMALL, seed, indices)
    for position, index in reversed(list(enumerate(indices))):
        alone = pathfinder_batch(SMALL, seed, [index])
        np.testing.assert_array_equal(together.images[position], alone.images[0])
        assert together.labels[position] == alone.labels[0]


def test_image_is_the_same_bytes_in_another_process():
    with concurrent.futures.ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as workers:
        elsewhere = list(workers.map(one_image, range(4)))
    np.testing.assert_array_equal(np.stack(elsewhere), pathfinder_batch(SMALL, 5, range(4)).images)


def test_other_seed_gives_other_images():
    first, second = (pathfinder_batch(SMALL, seed, range(50)) for seed in (0, 1))
    assert not np.any(np.all(first.images == second.images, axis=(1, 2)))
    assert len(np.unique(first.images, axis=0)) == 50


def test_labels_are_fair_and_both_halves_too():
    labels = pathfinder_batch(SMALL, 3, range(4000)).labels
    # Four standard deviations of a fair coin.
    assert abs(labels.mean() - 0.5) < 4 * 0.5 / 4000**0.5
    assert abs(np.corrcoef(labels[:-1], labels[1:])[0, 1]) < 4 / 4000**0.5


@pytest.mark.parametrize("name", DIFFICULTIES)
def test_images_are_bright_at_both_markers_and_their_distance_is_told(name):
    chosen = DIFFICULTIES[name]
    batch = pathfinder_batch(chosen, 0, range(20))
    assert batch.images.shape == (20, chosen.image_size, chosen.image_size)
    assert batch.images.dtype == np.uint8
    for image, *ends in zip(batch.images, batch.origin, batch.terminal, strict=True):
        assert all(image[tuple(np.rint(end).astype(int))] > 200 for end in ends)
    np.testing.assert_allclose(np.hypot(*(batch.origin - batch.terminal).T), batch.marker_distance, rtol=1e-12)


def test_delivered_image_is_the_mean_of_the_drawn_one():
    drawn = replace(DIFFICULTIES["6"], image_size=300)
    whole, halved = pathfinder_batch(drawn, 0, [3]), pathfinder_batch(DIFFICULTIES["6"], 0, [3])
    expected = whole.images[0].reshape(150, 2, 150, 2).mean((1, 3))
    assert whole.images.max() == 255
    assert np.abs(halved.images[0] - expected).max() <= 0.5
    third = pathfinder_batch(replace(drawn, image_size=128), 0, [3]).images[0]
    assert abs(third.mean() - expected.mean()) < 0.5


def test_white_share_is_the_published_one():
    for name, share in (("6", 0.0065), ("9", 0.0090), ("14", 0.0119)):
        images = pathfinder_batch(replace(DIFFICULTIES[name], image_size=300), 0, range(100)).images
        assert np.mean(images > 127) == pytest.approx(share, abs=0.0003)


def test_reference_in_plain_numpy_draws_the_same_distribution():
    slow, chosen = reference(), replace(DIFFICULTIES["6"], canvas_size=220, image_size=220, seed_border=40)
    rng = np.random.default_rng(0)
    drawings = [slow.draw_image(replace(chosen, distractors=3), rng) for _ in range(30)]
    fast = pathfinder_batch(replace(chosen, distractors=3), 0, range(300))
    positive = [drawing.distance for drawing in drawings if drawing.label]
    expected = fast.marker_distance[fast.labels == 1]
    # Four standard errors of the slow side, which is the smaller sample.
    assert abs(np.mean(positive) - expected.mean()) < 4 * expected.std() / len(positive) ** 0.5
    white = fast.images.mean((1, 2)) / 255
    slow_white = [drawing.image.mean() for drawing in drawings]
    assert abs(np.mean(slow_white) - white.mean()) < 4 * white.std() / 30**0.5
    redraws = np.mean([drawing.redraws for drawing in drawings])
    assert abs(redraws - fast.redraws.mean()) < 4 * fast.redraws.std() / 30**0.5


@pytest.mark.parametrize(("name", "accuracy", "pairs"), [("6", 0.876, 400), ("9", 0.805, 300), ("14", 0.595, 200)])
def test_published_negatives_leak_the_published_accuracy(name, accuracy, pairs):
    chosen = replace(DIFFICULTIES[name], image_size=2, distractors=0)
    batch = pathfinder_batch(chosen, 1, range(8000))
    found = marker_distance_score(batch.marker_distance, batch.labels)
    # The published figures scored half of the pairs. The four distances of a pair are not independent, so a pair
    # counts once, which makes their interval rather too wide than too narrow.
    low, high = accuracy_interval(round(accuracy * pairs / 2), pairs // 2)
    assert found.low <= high
    assert found.high >= low


def test_matched_negatives_leave_no_distance_to_read():
    batch = pathfinder_batch(SMALL, 7, range(20_000))
    for rule in ("window", "histogram"):
        assert marker_distance_score(batch.marker_distance, batch.labels, rule).accuracy <= 0.52


@pytest.mark.slow
@pytest.mark.parametrize("name", ["6", "9", "14"])
def test_matched_negatives_of_the_published_sizes_leave_no_distance_to_read(name):
    chosen = replace(DIFFICULTIES[name], image_size=2, distractors=0, negatives="distance_matched")
    batch = pathfinder_batch(chosen, 7, range(20_000))
    for rule in ("window", "histogram"):
        assert marker_distance_score(batch.marker_distance, batch.labels, rule).accuracy <= 0.52


def test_separate_targets_do_not_touch():
    chosen = replace(DIFFICULTIES["6"], separate_targets=True)
    plain = pathfinder_batch(replace(chosen, separate_targets=False), 0, range(200))
    assert pathfinder_batch(chosen, 0, range(200)).redraws.sum() > plain.redraws.sum()


def test_metadata_rows_have_the_fields_columns():
    rows = metadata_rows(DIFFICULTIES["9"], [1, 0], subpath="imgs/4", first=7)
    assert rows.shape == (2, len(METADATA_COLUMNS))
    assert list(rows[1]) == ["imgs/4", "sample_8.png", "8", "0", "1.8", "9", "3", "5", "2", "3", "1"]


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"image_size": 301}, ValueError, "`image_size` is 301, larger than the canvas of 300"),
        ({"contour_length": 1}, ValueError, "`contour_length` is 1; it must be at least 2"),
        ({"contour_length": 6.0}, TypeError, "`contour_length` is 6.0"),
        ({"distractors": -1}, ValueError, "`distractors` is -1"),
        ({"margin": float("nan")}, ValueError, "`margin` is nan"),
        ({"continuity": 0}, ValueError, "`continuity` is 0; it must be finite and above 0"),
        ({"paddle_width": 1.7}, ValueError, "product must be whole"),
        ({"seed_border": 150}, ValueError, "`seed_border` is 150, which leaves 0 pixels"),
        ({"padding": 148}, ValueError, "`padding` is 148, which leaves 4 pixels"),
        ({"contour_length": 1000}, ValueError, "`contour_length` is 1000: two such snakes need"),
        ({"negatives": "matched"}, ValueError, "`negatives` is 'matched'; use 'published' or 'distance_matched'"),
        ({"separate_targets": 1}, TypeError, "`separate_targets` is 1"),
    ],
)
def test_impossible_settings_are_refused(changes, error, message):
    with pytest.raises(error, match=message):
        PathfinderSettings(**changes)


def test_layout_that_is_never_found_is_an_error():
    crowded = replace(SMALL, contour_length=7, layout_tries=20)
    with pytest.raises(ValueError, match="image 0 of seed 0 found no layout for two snakes of `contour_length` = 7"):
        pathfinder_batch(crowded, 0, [0])


@pytest.mark.parametrize(
    ("seed", "indices", "error", "message"),
    [
        (-1, [0], ValueError, "`seed` is -1"),
        (2**64, [0], ValueError, "less than 2"),
        (0.0, [0], TypeError, "`seed` is 0.0"),
        (0, [-3], ValueError, "`indices` holds -3"),
        (0, [0.5], TypeError, "`indices` holds float64"),
        (0, [[0]], ValueError, r"shape \(1, 1\)"),
    ],
)
def test_bad_seed_or_index_is_refused(seed, indices, error, message):
    with pytest.raises(error, match=message):
        pathfinder_batch(SMALL, seed, indices)


def test_no_image_is_an_empty_batch():
    assert pathfinder_batch(SMALL, 0, []).images.shape == (0, 32, 32)


def test_numba_is_loaded_only_when_images_are_drawn():
    code = "import sys, neurocircuit.stimuli; sys.exit('numba' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
