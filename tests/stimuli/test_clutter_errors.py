import dataclasses

import numpy as np
import pytest

from neurocircuit.stimuli import ClutterSettings, clutter_scenes, draw_scenes, embedded_source, render_scenes

SOURCE = embedded_source("validation")
SETTINGS = ClutterSettings()
DRAWS = draw_scenes(SOURCE, SETTINGS, 0, range(2))


@pytest.mark.parametrize(
    "changes",
    [{"canvas": 97}, {"canvas": 60}, {"scale_large": (1.4, 1.7)}, {"jitter": 3.0}, {"source_size": 30}],
)
def test_objects_that_would_leave_their_quadrant_are_refused(changes):
    message = r"`canvas` is .*too small for the objects: they have up to \d+ pixels.*`resized|ClutterSettings\(\)"
    with pytest.raises(ValueError, match=message):
        ClutterSettings(**changes)


def test_a_resized_canvas_holds_its_objects_or_says_that_cells_are_too_small():
    for canvas in range(25, 201):
        ClutterSettings().resized(canvas)
    with pytest.raises(ValueError, match=r"`scramble_grid` is 3, but objects are as small as \d pixels.*2 or more"):
        ClutterSettings().resized(20)
    with pytest.raises(ValueError, match="`canvas` is 3; it must be at least 4"):
        ClutterSettings().resized(3)


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"objects": 3}, ValueError, "`objects` is 3; it must be at least 4"),
        ({"objects": 8.0}, TypeError, r"`objects` is 8\.0; it must be an integer"),
        ({"scramble_grid": 1}, ValueError, "`scramble_grid` is 1; it must be at least 2"),
        ({"scramble_grid": 12}, ValueError, "`scramble_grid` is 12, but objects are as small as 22 pixels"),
        ({"scale_small": (0.0, 1.0)}, ValueError, "`scale_small` is .*a scale must be more than 0"),
        ({"scale_small": (0.8, 1.4)}, ValueError, "`scale_small` is .* and `scale_large`.*must lie below"),
        ({"scale_large": (1.6, 1.4)}, ValueError, "`scale_large` is .*the least must come first"),
        ({"scale_large": 1.5}, TypeError, r"`scale_large` is 1\.5; it must be a pair"),
        ({"scale_large": (1.5, "2")}, TypeError, "`scale_large` is '2'; it must be a number"),
        ({"rotation": (25.0, 190.0)}, ValueError, "`rotation` is .*within 0 and 180"),
        ({"rotation": (-5.0, 5.0)}, ValueError, r"`rotation` is -5\.0; it must be finite and at least 0"),
        ({"jitter": float("nan")}, ValueError, "`jitter` is nan"),
        ({"jitter": True}, TypeError, "`jitter` is True; it must be a number"),
    ],
)
def test_impossible_settings_are_named(changes, error, message):
    with pytest.raises(error, match=message):
        ClutterSettings(**changes)


@pytest.mark.parametrize(
    ("seed", "indices", "error", "message"),
    [
        (-1, [0], ValueError, "`seed` is -1; it must be at least 0"),
        (0.0, [0], TypeError, r"`seed` is 0\.0; it must be an integer"),
        (2**64, [0], ValueError, r"`seed` is 18446744073709551616; it must be less than 2\*\*64"),
        (0, 3, ValueError, r"`indices` has shape \(\)"),
        (0, [0.5], TypeError, "`indices` holds float64"),
        (0, [3, -2], ValueError, "`indices` holds -2; scenes are numbered from 0"),
    ],
)
def test_impossible_seeds_and_indices_are_named(seed, indices, error, message):
    with pytest.raises(error, match=message):
        draw_scenes(SOURCE, SETTINGS, seed, indices)


@pytest.mark.parametrize(
    ("chosen", "error", "message"),
    [
        ({"colour": 1}, ValueError, "`colour` is no label of a scene; choose from category, domain, row, column"),
        ({"row": 2}, ValueError, "`row` is 2; it must be 0 to 1"),
        ({"scale": [0, -1]}, ValueError, "`scale` is -1; it must be 0 to 1"),
        ({"category": 20}, ValueError, "`category` is 20; it must be 0 to 19"),
        ({"domain": 2}, ValueError, "`domain` is 2; it must be 0 to 1"),
        ({"row": 0.0}, TypeError, r"`row` is 0\.0; it must be a whole number, or one for each"),
        ({"row": [0, 1, 0]}, ValueError, r"`row` has the shape \(3,\); it must be one number, or one for each of 2"),
        (
            {"category": 3, "domain": 1},
            ValueError,
            r"`category` is 3 \(3\) and `domain` is 1 \(letters\), but .* no such",
        ),
    ],
)
def test_impossible_labels_are_named(chosen, error, message):
    with pytest.raises(error, match=message):
        clutter_scenes(SOURCE, SETTINGS, 0, range(2), **chosen)


def test_a_category_without_images_is_named():
    kept = SOURCE.labels != 12
    source = dataclasses.replace(
        SOURCE, images=SOURCE.images[kept], labels=SOURCE.labels[kept], domains=SOURCE.domains[kept]
    )
    with pytest.raises(
        ValueError, match=r"`category` is 12 \(C\), but small digits .* has images of the categories 0, 1"
    ):
        draw_scenes(source, SETTINGS, 0, range(2), category=[4, 12])
    assert 12 not in draw_scenes(source, SETTINGS, 0, range(300)).labels()["category"]


def test_settings_for_images_of_another_size_are_refused():
    with pytest.raises(ValueError, match=r"`source` has images of 28 pixels, but `settings\.source_size` is 20"):
        draw_scenes(SOURCE, ClutterSettings(source_size=20), 0, [0])


def test_unknown_ways_of_rendering_are_named():
    with pytest.raises(ValueError, match="`mode` is 'slow'; use 'fast' or 'exact'"):
        render_scenes(DRAWS, "slow")
    with pytest.raises(ValueError, match="`pixels` is 'uint16'; use 'float' or 'uint8'"):
        render_scenes(DRAWS, "exact", pixels="uint16")
    with pytest.raises(ValueError, match="`pixels` is 'uint8', which only exact scenes"):
        render_scenes(DRAWS, pixels="uint8")


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"images": np.zeros((2, 4, 4))}, TypeError, "`images` is of float64; it must be float32"),
        ({"images": np.zeros((2, 4, 5), np.float32)}, ValueError, r"`images` has the shape \(2, 4, 5\)"),
        ({"images": np.zeros((0, 4, 4), np.float32)}, ValueError, r"`images` has the shape \(0, 4, 4\)"),
        ({"images": np.full((2, 4, 4), np.nan, np.float32)}, ValueError, "`images` go from nan to nan"),
        ({"images": SOURCE.images * 255}, ValueError, r"`images` go from .* to 255\.0; they must be within 0 and 1"),
        ({"images": SOURCE.images * (np.arange(len(SOURCE.images)) != 7)[:, None, None].astype(np.float32)},
         ValueError, "`images` holds 1 that show nothing, the first at 7"),
        ({"labels": SOURCE.labels.astype(np.int32)}, TypeError, "`labels` is of int32; it must be int64"),
        ({"labels": SOURCE.labels[1:]}, ValueError, r"`labels` has the shape .*; there are \d+ images"),
        ({"domains": SOURCE.domains + 1}, ValueError, "`domains` go from 1 to 2; with 2 names they must be 0 to 1"),
        ({"class_names": ("a", "b")}, ValueError, "`labels` go from 0 to 19; with 2 names"),
    ],
)  # fmt: skip
def test_sources_that_do_not_fit_together_are_refused(changes, error, message):
    with pytest.raises(error, match=message):
        dataclasses.replace(SOURCE, **changes)
