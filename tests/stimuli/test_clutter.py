import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import settings as budget
from hypothesis import strategies as st

from neurocircuit.stimuli import (
    ClutterSettings,
    ObjectSource,
    clutter_scenes,
    draw_scenes,
    embedded_source,
    render_scenes,
)
from neurocircuit.stimuli.clutter_device import paint_on
from neurocircuit.stimuli.clutter_draws import LABELS

SOURCE = embedded_source("validation")
SETTINGS = ClutterSettings()
#: Enough for the counts below.
MANY = draw_scenes(SOURCE, SETTINGS, 5, range(4000))


def noise_source(side=28, count=6):
    """Objects that are bright up to their edges, in three domains."""
    rng = np.random.default_rng(1)
    return ObjectSource(
        label="noise",
        images=rng.uniform(0.2, 1, (count, side, side)).astype(np.float32),
        labels=np.arange(count) % 5,
        domains=np.arange(count) % 3,
        class_names=tuple("abcde"),
        domain_names=tuple("xyz"),
    )


def equal(one, other):
    return torch.equal(one.images, other.images) and torch.equal(one.target_images, other.target_images)


@st.composite
def scene_settings(draw):
    canvas = draw(st.integers(40, 130))
    base = ClutterSettings().resized(canvas)
    return ClutterSettings(
        canvas=canvas,
        objects=draw(st.integers(4, 11)),
        scramble_grid=draw(st.integers(2, 4)),
        scale_small=(base.scale_small[0], draw(st.floats(*base.scale_small))),
        scale_large=(draw(st.floats(*base.scale_large)), base.scale_large[1]),
        rotation=(0.0, draw(st.floats(0, 180))),
        jitter=draw(st.floats(0, base.jitter)),
    )


@given(scene_settings(), st.sampled_from(["fast", "exact"]), st.integers(0, 2**64 - 1))
@budget(max_examples=15)
def test_scenes_go_from_0_to_1_and_nothing_is_painted_outside_the_boxes(settings, mode, seed):
    draws = draw_scenes(noise_source(), settings, seed, range(6))
    found = render_scenes(draws, mode)
    assert found.images.shape == found.target_images.shape == (6, 1, settings.canvas, settings.canvas)
    for images in (found.images, found.target_images):
        assert images.dtype == torch.float32
        np.testing.assert_allclose(images.amin((1, 2, 3)), 0)
        np.testing.assert_allclose(images.amax((1, 2, 3)), 1, atol=1e-6)
    half = settings.canvas // 2
    for scene in range(6):
        outside = np.ones(found.images.shape[2:], bool)
        for item, (top, bottom, left, right) in enumerate(found.boxes[scene]):
            row, column = draws.quadrant[scene, item] % 2, draws.quadrant[scene, item] // 2
            for low, high, place in ((top, bottom, row), (left, right, column)):
                assert place * half <= low < high <= (settings.canvas if place else half)
            outside[top:bottom, left:right] = False
            if item == found.target[scene]:
                alone = found.target_images[scene, 0].clone()
                assert alone[top:bottom, left:right].max() > 0
                alone[top:bottom, left:right] = 0
                assert not alone.any()
        # Outside is what is 0 before the last stretching, and the lowest value of all.
        assert not found.images[scene, 0].numpy()[outside].any()


def test_published_settings_paint_the_published_rows():
    boxes = MANY.boxes
    for low, high in ((boxes[..., 0], boxes[..., 1]), (boxes[..., 2], boxes[..., 3])):
        first = low < 50
        assert (low[first].min(), high[first].max() - 1) == (1, 49)
        assert (low[~first].min(), high[~first].max() - 1) == (51, 99)
    sizes = MANY.sizes[..., 1]
    assert np.unique(sizes[MANY.scale == 0]).tolist() == list(range(22, 29))
    assert np.unique(sizes[MANY.scale == 1]).tolist() == list(range(39, 46))
    np.testing.assert_array_equal(boxes[..., 1] - boxes[..., 0], sizes)
    angles = MANY.angles.sum(-1)
    for label, sign in ((0, 1), (1, -1)):
        turned = sign * angles[MANY.rotation == label]
        assert 25 <= turned.min() < 25.05
        assert 34.95 < turned.max() < 35


def within(counts, expected, deviations=4.5):
    """Tell whether counts are as a multinomial draw with these expectations."""
    total, expected = np.sum(counts), np.asarray(expected, float)
    return np.all(np.abs(counts - expected) <= deviations * np.sqrt(expected * (1 - expected / total)))


def test_everything_is_drawn_as_often_as_it_should_be():
    scenes, objects = MANY.image.shape
    moved, times = np.unique(MANY.jitter, return_counts=True)
    assert moved.tolist() == [-2, -1, 0, 1, 2]
    assert within(times, np.full(5, scenes * objects * 2 / 5))
    assert within(np.bincount(MANY.target, minlength=8), np.repeat([0.0, scenes / 4], 4))
    domain = SOURCE.domains[MANY.image]
    for coin in (domain, MANY.scale, MANY.rotation):
        assert within(np.bincount(coin.ravel()), np.full(2, coin.size / 2))
    for number in range(2):
        found = SOURCE.find(domain=number)
        counts = np.bincount(MANY.image[domain == number], minlength=len(SOURCE.labels))[found]
        assert within(counts, np.full(len(found), counts.sum() / len(found)))


def test_what_is_drawn_is_independent():
    columns = [SOURCE.domains[MANY.image], MANY.scale, MANY.scale_place, MANY.rotation, MANY.rotation_place]
    columns += [MANY.jitter_place[..., 0], MANY.jitter_place[..., 1], MANY.scramble[..., 0]]
    table = np.concatenate([MANY.target[:, None], MANY.alternative, *columns], axis=1).astype(float)
    # Neighbouring scenes and neighbouring seeds too.
    other = draw_scenes(SOURCE, SETTINGS, 6, range(4000))
    lines = [table[:-1], table[1:], np.column_stack([other.scale, other.target, other.jitter_place[..., 0]])[:-1]]
    r = np.corrcoef(np.column_stack(lines).T)
    assert np.abs(r[~np.eye(len(r), dtype=bool)]).max() < 5 / np.sqrt(len(MANY))


def test_scrambling_never_leaves_all_cells_and_on_average_one():
    order = MANY.scramble
    assert np.all(np.sort(order, -1) == np.arange(9))
    fixed = (order == np.arange(9)).sum(-1)
    assert fixed.max() < 9
    assert fixed.mean() == pytest.approx(1, abs=5 / np.sqrt(fixed.size))
    # Of four cells the identity is common, and drawn again: 23 permutations are left, all alike.
    few = draw_scenes(SOURCE, ClutterSettings(scramble_grid=2), 0, range(2000)).scramble.reshape(-1, 4)
    kinds, times = np.unique(few, axis=0, return_counts=True)
    assert len(kinds) == 23
    assert within(times, np.full(23, len(few) / 23))


@given(st.lists(st.integers(0, 2**63 - 1), min_size=1, max_size=6), st.sampled_from(["fast", "exact"]))
@budget(max_examples=15)
def test_a_scene_is_the_same_alone_and_in_a_batch(indices, mode):
    together = clutter_scenes(SOURCE, SETTINGS, 3, indices, mode)
    for position, index in enumerate(indices):
        alone = clutter_scenes(SOURCE, SETTINGS, 3, [index], mode)
        assert torch.equal(alone.images[0], together.images[position])
        assert torch.equal(alone.target_images[0], together.target_images[position])
        for kind in ("labels", "geometry"):
            for name, values in getattr(alone, kind).items():
                assert values[0] == getattr(together, kind)[name][position]


def test_other_seeds_and_indices_are_other_scenes():
    scenes = [clutter_scenes(SOURCE, SETTINGS, seed, [index]) for seed in (0, 1, 2**64 - 1) for index in (0, 1)]
    for position, one in enumerate(scenes):
        assert not any(equal(one, other) for other in scenes[position + 1 :])


@pytest.mark.parametrize("mode", ["fast", "exact"])
def test_labels_can_be_read_from_the_target_alone(mode):
    found = clutter_scenes(SOURCE, SETTINGS, 11, range(200), mode)
    alone = found.target_images[:, 0].numpy().astype(float)
    # Splines overshoot, which leaves a haze over the object's square.
    alone[alone < 0.1] = 0
    at = np.arange(100)
    weight = alone.sum((1, 2))
    rows, columns = (alone.sum(axis) @ at / weight for axis in (2, 1))
    np.testing.assert_array_equal(rows > 50, found.labels["row"])
    np.testing.assert_array_equal(columns > 50, found.labels["column"])
    np.testing.assert_array_equal(found.geometry["size_px"] > 33, found.labels["scale"])
    np.testing.assert_array_equal(found.geometry["angle"] < 0, found.labels["rotation"])
    # Near the middle of the square, and within it.
    boxes = found.boxes[np.arange(200), found.target]
    assert np.abs(rows - boxes[:, :2].mean(1)).max() < 8
    np.testing.assert_array_equal(boxes[:, 1] - boxes[:, 0], found.geometry["size_px"])
    middle = np.array([25, 75])
    for axis, name, label in ((0, "jitter_y", "row"), (2, "jitter_x", "column")):
        start = middle[found.labels[label]] + found.geometry[name] - found.geometry["size_px"] // 2
        np.testing.assert_array_equal(boxes[:, axis], start)


@pytest.mark.parametrize("mode", ["fast", "exact"])
def test_a_target_is_turned_counter_clockwise_for_a_positive_angle(mode):
    bar = np.zeros((1, 28, 28), np.float32)
    bar[0, 12:16, 2:26] = 1
    numbers = np.zeros(1, np.int64)
    source = ObjectSource(
        label="bar", images=bar, labels=numbers, domains=numbers, class_names=("bar",), domain_names=("bars",)
    )
    found = clutter_scenes(source, ClutterSettings(jitter=0), 0, range(8), mode, rotation=[0, 1] * 4, row=0, column=0)
    at = np.arange(100)
    for scene, angle in enumerate(found.geometry["angle"]):
        weight = found.target_images[scene, 0].numpy().astype(float) ** 2
        rows, columns = (at - (at * weight.sum(axis)).sum() / weight.sum() for axis in (1, 0))
        moment = rows @ weight @ columns
        spread = (rows**2) @ weight.sum(1) - (columns**2) @ weight.sum(0)
        # Rows grow downwards.
        assert np.rad2deg(0.5 * np.arctan2(-2 * moment, -spread)) == pytest.approx(angle, abs=1)


def test_chosen_labels_are_honoured_and_change_nothing_else():
    plain = draw_scenes(SOURCE, SETTINGS, 2, range(40))
    rng = np.random.default_rng(0)
    sizes = {"category": 20, "row": 2, "column": 2, "scale": 2, "rotation": 2}
    wanted = {name: rng.integers(0, size, 40) for name, size in sizes.items()}
    found = draw_scenes(SOURCE, SETTINGS, 2, range(40), **wanted)
    labels = found.labels()
    for name, values in wanted.items():
        np.testing.assert_array_equal(labels[name], values)
    np.testing.assert_array_equal(labels["domain"], wanted["category"] >= 10)
    assert set(labels) == set(LABELS)
    for name in ("jitter_place", "scale_place", "rotation_place", "scramble", "alternative"):
        np.testing.assert_array_equal(getattr(found, name), getattr(plain, name))
    clutter = np.arange(8) != found.target[:, None]
    for name in ("image", "scale", "rotation"):
        same = clutter & (np.arange(8) != plain.target[:, None])
        np.testing.assert_array_equal(getattr(found, name)[same], getattr(plain, name)[same])
    one = draw_scenes(SOURCE, SETTINGS, 2, range(40), row=1).labels()
    assert one["row"].tolist() == [1] * 40
    np.testing.assert_array_equal(one["column"], plain.labels()["column"])
    both = draw_scenes(SOURCE, SETTINGS, 2, range(40), domain=1, category=[13] * 40).labels()
    assert set(both["category"]) == {13}
    assert set(draw_scenes(SOURCE, SETTINGS, 2, range(40), domain=0).labels()["domain"]) == {0}


def test_images_of_a_chosen_category_are_all_used():
    draws = draw_scenes(SOURCE, SETTINGS, 0, range(1500), category=12)
    image = draws.of_target(draws.image)
    assert set(image) == set(np.flatnonzero(SOURCE.labels == 12))


@pytest.mark.parametrize("objects", [4, 6, 8, 9])
def test_the_target_is_the_topmost_of_its_quadrant(objects):
    draws = draw_scenes(SOURCE, ClutterSettings(objects=objects), 0, range(200))
    own = draws.of_target(draws.quadrant)
    last = objects - 1 - (draws.quadrant == own[:, None])[:, ::-1].argmax(1)
    np.testing.assert_array_equal(draws.target, last)
    assert set(own) == {0, 1, 2, 3}


def test_scenes_of_another_source_size_and_canvas():
    settings = ClutterSettings(source_size=20, canvas=80, scale_small=(0.8, 0.9), scale_large=(1.3, 1.6))
    found = clutter_scenes(noise_source(side=20), settings, 0, range(3), "exact")
    assert found.images.shape == (3, 1, 80, 80)
    half = ClutterSettings().resized(50)
    assert (half.scale_large, half.scale_small, half.jitter) == ((0.7, 0.8), (0.4, 0.5), 1.25)
    assert np.abs(draw_scenes(SOURCE, half, 0, range(100)).jitter).max() == 1


def test_no_scene_is_an_empty_batch():
    for mode in ("fast", "exact"):
        found = clutter_scenes(SOURCE, SETTINGS, 0, np.empty(0, int), mode)
        assert found.images.shape == (0, 1, 100, 100)
        assert len(found) == len(found.labels["row"]) == 0


@pytest.mark.parametrize("grid", [2, 3])
def test_the_form_for_graphics_processors_paints_the_same(grid):
    # Computed on the processor here; in float32, the compiled form in float64.
    settings = ClutterSettings(scramble_grid=grid, objects=9)
    for source in (SOURCE, noise_source()):
        draws = draw_scenes(source, settings, 0, range(30))
        found = render_scenes(draws)
        scenes, alone = paint_on(draws, torch.device("cpu"))
        np.testing.assert_allclose(scenes, found.images[:, 0], atol=2e-5)
        np.testing.assert_allclose(alone, found.target_images[:, 0], atol=2e-5)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_scenes_made_on_a_graphics_processor_are_the_same():
    on_cpu, on_gpu = (clutter_scenes(SOURCE, SETTINGS, 0, range(2000), device=device) for device in ("cpu", "cuda"))
    assert on_gpu.images.device.type == "cuda"
    np.testing.assert_allclose(on_gpu.images.cpu(), on_cpu.images, atol=1e-4)
    exact = clutter_scenes(SOURCE, SETTINGS, 0, range(2), "exact", device="cuda")
    assert exact.images.device.type == "cuda"
