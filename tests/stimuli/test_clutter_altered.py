from typing import get_args

import numpy as np
import pytest
import torch

from neurocircuit.stimuli import (
    Alteration,
    ClutterSettings,
    ObjectSource,
    altered_scenes,
    draw_scenes,
    embedded_source,
    render_scenes,
    unjittered,
)

SOURCE = embedded_source("validation")
SETTINGS = ClutterSettings()
COUNT = 60
JITTERED = draw_scenes(SOURCE, SETTINGS, 9, range(COUNT))
PLAIN = unjittered(JITTERED)
#: The label that each kind changes.
CHANGED = {"x": {"column"}, "y": {"row"}, "orientation": {"rotation"}, "scale": {"scale"}}
CHANGED |= {"category_within": {"category"}, "category_between": {"category", "domain"}}
KINDS = get_args(Alteration)


@pytest.mark.parametrize("draws", [JITTERED, PLAIN], ids=["jittered", "unjittered"])
@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_changes_its_label_in_every_scene_and_no_other(draws, kind):
    before, after = draws.labels(), altered_scenes(draws, kind).labels()
    for name, values in before.items():
        changes = (after[name] != values).mean()
        assert changes == (1 if name in CHANGED[kind] else 0), name


@pytest.mark.parametrize("kind", KINDS)
def test_the_clutter_is_shared(kind):
    before, after = JITTERED, altered_scenes(JITTERED, kind)
    np.testing.assert_array_equal(after.target, before.target)
    np.testing.assert_array_equal(after.scramble, before.scramble)
    clutter = np.arange(8) != before.target[:, None]
    for name in ("image", "sizes", "angles", "jitter"):
        np.testing.assert_array_equal(getattr(after, name)[clutter], getattr(before, name)[clutter])
    moved = (after.quadrant != before.quadrant).sum(1)
    assert set(moved) == ({2} if kind in ("x", "y") else {0})
    # All quadrants but those concerned look the same, up to the last stretching of the whole scene.
    scenes = [render_scenes(draws, "exact").images[:, 0].numpy() for draws in (before, after)]
    concerned = {before.target[0]} | set(np.flatnonzero(after.quadrant[0] != before.quadrant[0]))
    quiet = set(range(4)) - {int(q[0, item]) for item in concerned for q in (before.quadrant, after.quadrant)}
    assert len(quiet) == (2 if kind in ("x", "y") else 3)
    for quadrant in quiet:
        rows, columns = (slice(50 * bit, 50 * bit + 50) for bit in (quadrant % 2, quadrant // 2))
        one, other = (scene[0, rows, columns] for scene in scenes)
        # Equal but for one factor.
        np.testing.assert_allclose(one * other.max(), other * one.max(), atol=1e-5)
    assert not np.allclose(*scenes)


@pytest.mark.parametrize("kind", ["x", "y", "orientation", "scale"])
def test_a_swap_made_twice_gives_the_original(kind):
    again = altered_scenes(altered_scenes(JITTERED, kind), kind)
    for name in ("quadrant", "scale", "rotation", "sizes", "angles", "boxes"):
        np.testing.assert_array_equal(getattr(again, name), getattr(JITTERED, name))
    assert torch.equal(render_scenes(again).images, render_scenes(JITTERED).images)


def test_the_target_changes_places_with_the_topmost_neighbour():
    for kind, axis in (("x", 1), ("y", 0)):
        after = altered_scenes(PLAIN, kind)
        for scene in range(COUNT):
            mover = PLAIN.target[scene]
            other = next(i for i in range(4, 8) if (PLAIN.centres[scene, i] == after.centres[scene, mover]).all())
            np.testing.assert_array_equal(after.centres[scene, other], PLAIN.centres[scene, mover])
            assert PLAIN.centres[scene, mover, 1 - axis] == after.centres[scene, mover, 1 - axis]
            assert abs(PLAIN.centres[scene, mover, axis] - after.centres[scene, mover, axis]) == 50
        # The bottom layer stays.
        np.testing.assert_array_equal(after.quadrant[:, :4], PLAIN.quadrant[:, :4])


def test_unjittered_scenes_have_exact_properties():
    assert set(np.unique(PLAIN.sizes)) == {22, 45}
    np.testing.assert_array_equal(PLAIN.scales, np.where(PLAIN.scale == 0, 0.8, 1.6))
    np.testing.assert_array_equal(PLAIN.angles.sum(-1), np.where(PLAIN.rotation == 0, 35, -35))
    assert set(np.unique(PLAIN.centres)) == {25, 75}
    assert not PLAIN.jitter.any()
    for name, values in JITTERED.labels().items():
        np.testing.assert_array_equal(PLAIN.labels()[name], values)
    np.testing.assert_array_equal(PLAIN.image, JITTERED.image)


def test_published_swaps_of_orientation_and_scale_are_neutral():
    labels = PLAIN.labels()
    upright, middle = (altered_scenes(PLAIN, kind, legacy=True) for kind in ("orientation", "scale"))
    assert not upright.geometry()["angle"].any()
    small = labels["scale"] == 0
    # 22 and 45 pixels become 35 and 36.
    np.testing.assert_array_equal(middle.geometry()["size_px"], np.where(small, 35, 36))
    for altered in (upright, middle):
        for name, values in labels.items():
            np.testing.assert_array_equal(altered.labels()[name], values)
    # The published orientation swap shows upright objects, which do not resemble a true swap.
    images = {
        "upright": render_scenes(upright, "exact").target_images,
        "swapped": render_scenes(altered_scenes(PLAIN, "orientation"), "exact").target_images,
        "untouched": render_scenes(
            draw_scenes(SOURCE, ClutterSettings(rotation=(0.0, 0.0)).unjittered(), 9, range(COUNT)), "exact"
        ).target_images,
    }
    flat = {name: np.asarray(values.flatten(1)) for name, values in images.items()}
    r = {name: [np.corrcoef(*pair)[0, 1] for pair in zip(flat["upright"], flat[name], strict=True)] for name in flat}
    assert np.median(r["untouched"]) > 0.98
    assert np.median(r["swapped"]) < 0.7
    for kind in ("x", "y", "category_within", "category_between"):
        one, other = (render_scenes(altered_scenes(PLAIN, kind, legacy)) for legacy in (False, True))
        assert torch.equal(one.images, other.images)


def test_images_of_other_categories_are_uniform_and_follow_from_seed_and_index():
    draws = draw_scenes(SOURCE, SETTINGS, 1, range(3000))
    own = draws.labels()["category"]
    within, between = (altered_scenes(draws, f"category_{kind}").labels() for kind in ("within", "between"))
    allowed = [SOURCE.find(category=category).size for category in range(20)]
    for shown, count in ((within["category"][own == 4], 9), (between["category"][own < 10], 10)):
        kinds, times = np.unique(shown, return_counts=True)
        assert len(kinds) == count
        share = np.array(allowed)[kinds] / np.array(allowed)[kinds].sum()
        assert np.all(np.abs(times - share * len(shown)) < 4.5 * np.sqrt(share * len(shown)))
    alone = altered_scenes(draw_scenes(SOURCE, SETTINGS, 1, [7]), "category_within")
    np.testing.assert_array_equal(alone.image[0], altered_scenes(draws, "category_within").image[7])


def one_domain_source(labels, domains):
    images = np.random.default_rng(0).uniform(0, 1, (len(labels), 28, 28)).astype(np.float32)
    return ObjectSource(
        label="few",
        images=images,
        labels=np.array(labels),
        domains=np.array(domains),
        class_names=("a", "b", "c"),
        domain_names=("only", "other"),
    )


def test_impossible_alterations_are_named():
    with pytest.raises(ValueError, match="`kind` is 'colour'; use 'x', 'y', 'orientation', 'scale', 'category_within'"):
        altered_scenes(PLAIN, "colour")
    alone = draw_scenes(one_domain_source([0, 1, 2], [0, 1, 1]), SETTINGS, 0, range(40))
    with pytest.raises(ValueError, match=r"`kind` is 'category_within', but few has no image of another category"):
        altered_scenes(alone, "category_within")
    only = one_domain_source([0, 1], [0, 0])
    single = ObjectSource(
        label="few", images=only.images, labels=only.labels, domains=only.domains, class_names=("a", "b"),
        domain_names=("only",),
    )  # fmt: skip
    with pytest.raises(
        ValueError, match=r"`kind` is 'category_between', but few has no image of another domain than only"
    ):
        altered_scenes(draw_scenes(single, SETTINGS, 0, range(4)), "category_between")
    large = ClutterSettings(canvas=140, scale_small=(1.2, 1.3), scale_large=(1.8, 2.0))
    with pytest.raises(
        ValueError, match=r"`legacy` enlarges targets twice, here to \d+ pixels, and `settings` have room"
    ):
        altered_scenes(draw_scenes(SOURCE, large, 0, range(20)), "scale", legacy=True)
