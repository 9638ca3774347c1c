"""Exact scenes are those of the published generator, which the benchmark holds in a plain form with scipy."""

import importlib.util
import os
import random
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from neurocircuit.stimuli import (
    ClutterSettings,
    ObjectSource,
    altered_scenes,
    draw_scenes,
    embedded_source,
    published_source,
    render_scenes,
    unjittered,
)

REAL = os.environ.get("NEUROCIRCUIT_DATA")
needs_data = pytest.mark.skipif(REAL is None, reason="no data: NEUROCIRCUIT_DATA names no folder of image sets")
SETTINGS = ClutterSettings()


def load_reference():
    """Import the generator that lies beside the benchmarks, outside the package."""
    path = Path(__file__).parents[2] / "benchmarks" / "clutter_reference.py"
    spec = importlib.util.spec_from_file_location("clutter_reference", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


REFERENCE = load_reference()
EMBEDDED = embedded_source("validation")


def noise_source():
    """Objects that are bright up to their edges, where zooming by scipy has its oddities."""
    images = np.random.default_rng(1).uniform(0, 1, (8, 28, 28)).astype(np.float32)
    numbers = np.arange(8) % 2
    return ObjectSource(
        label="noise", images=images, labels=numbers, domains=numbers, class_names=("a", "b"), domain_names=("a", "b")
    )


def published_scenes(draws, *, levels=False):
    """Return scenes and targets alone, (scene, 2, y, x), by the published arithmetic."""
    canvas = draws.settings.canvas
    return np.stack(
        [
            REFERENCE.paint_things(REFERENCE.things_of(draws, scene, levels=levels), canvas)
            for scene in range(len(draws))
        ]
    )


def exact_scenes(draws, pixels="float"):
    found = render_scenes(draws, "exact", pixels=pixels)
    return torch.cat([found.images, found.target_images], 1).numpy()


def correlations(one, other):
    one, other = (part.reshape(len(part), -1).astype(float) for part in (one, other))
    one, other = one - one.mean(1, keepdims=True), other - other.mean(1, keepdims=True)
    return (one * other).sum(1) / np.sqrt((one**2).sum(1) * (other**2).sum(1))


@pytest.mark.parametrize("source", [EMBEDDED, noise_source()], ids=["embedded", "noise"])
@pytest.mark.parametrize("pixels", ["float", "uint8"])
def test_exact_scenes_equal_the_published_arithmetic(source, pixels):
    draws = draw_scenes(source, SETTINGS, 4, range(60))
    # All sizes occur, also those whose last row and column scipy leaves empty.
    assert len(np.unique(draws.sizes)) == 14
    expected = published_scenes(draws, levels=pixels == "uint8")
    np.testing.assert_allclose(exact_scenes(draws, pixels), expected, atol=1e-6)


@pytest.mark.parametrize(
    "settings",
    [
        ClutterSettings().resized(50),
        ClutterSettings(objects=5, scramble_grid=2, rotation=(0.0, 90.0)),
        ClutterSettings(canvas=150, scale_small=(1.0, 1.0), scale_large=(2.2, 2.3), scramble_grid=4, jitter=4.0),
    ],
)
def test_exact_scenes_of_other_settings_equal_the_published_arithmetic(settings):
    draws = draw_scenes(noise_source(), settings, 0, range(10))
    np.testing.assert_allclose(exact_scenes(draws), published_scenes(draws), atol=1e-6)


@pytest.mark.parametrize("pixels", ["float", "uint8"])
@pytest.mark.parametrize("kind", ["orientation", "scale"])
def test_published_alterations_rotate_and_enlarge_twice(kind, pixels):
    draws = altered_scenes(unjittered(draw_scenes(noise_source(), SETTINGS, 0, range(8))), kind, legacy=True)
    things = [REFERENCE.things_of(draws, scene, levels=False)[draws.target[scene]] for scene in range(8)]
    steps = {thing.angles if kind == "orientation" else thing.zooms for thing in things}
    assert steps <= ({(35, -35), (-35, 35)} if kind == "orientation" else {(0.8, 1.6), (1.6, 0.8)})
    expected = published_scenes(draws, levels=pixels == "uint8")
    np.testing.assert_allclose(exact_scenes(draws, pixels), expected, atol=1e-6)


def test_the_library_draws_what_the_published_generator_draws():
    # By their own random numbers: the moments of pixels and of positions agree.
    sets = [EMBEDDED.images[EMBEDDED.find(domain=domain)] for domain in range(2)]
    numbers, shuffler = np.random.RandomState(0), random.Random(0)
    things = [REFERENCE.draw_things(sets, numbers, shuffler) for _ in range(400)]
    draws = draw_scenes(EMBEDDED, SETTINGS, 0, range(400))
    ours = {
        "target": draws.target,
        "zoom": draws.scales,
        "angle": draws.angles.sum(-1),
        "row": draws.centres[..., 0],
        "column": draws.centres[..., 1],
    }
    theirs = {
        "target": [[thing.order is None for thing in scene].index(True) for scene in things],
        "zoom": [[thing.zooms[0] for thing in scene] for scene in things],
        "angle": [[thing.angles[0] for thing in scene] for scene in things],
        "row": [[thing.row for thing in scene] for scene in things],
        "column": [[thing.column for thing in scene] for scene in things],
    }
    for name, values in ours.items():
        other = np.asarray(theirs[name])
        for power in (1, 2):
            one, two = values.astype(float) ** power, other.astype(float) ** power
            error = np.sqrt((one.var(0) + two.var(0)) / 400)
            assert np.all(np.abs(one.mean(0) - two.mean(0)) <= 4.5 * error), name
    expected, found = published_scenes_of(things[:150]), exact_scenes(draws)[:150]
    error = np.sqrt((expected.mean((2, 3)).var(0) + found.mean((2, 3)).var(0)) / 150)
    assert np.all(np.abs(expected.mean((0, 2, 3)) - found.mean((0, 2, 3))) < 4 * error)


def published_scenes_of(things):
    return np.stack([REFERENCE.paint_things(scene) for scene in things])


def test_fast_scenes_resemble_exact_ones():
    draws = draw_scenes(EMBEDDED, SETTINGS, 0, range(600))
    r = correlations(render_scenes(draws).images.numpy(), render_scenes(draws, "exact").images.numpy())
    assert np.median(r) > 0.99
    assert r.min() > 0.95


@needs_data
def test_scenes_of_the_published_sets_differ_between_floats_and_bytes_as_published():
    draws = draw_scenes(published_source("test", REAL), SETTINGS, 1, range(600))
    found = {pixels: exact_scenes(draws, pixels) for pixels in ("float", "uint8")}
    difference = found["float"][:, 0] - found["uint8"][:, 0]
    # Published: root mean square 0.049, correlation .991, largest difference 0.45, and a faint haze.
    assert np.sqrt((difference**2).mean()) == pytest.approx(0.049, abs=0.004)
    pixels = [values[:, 0].reshape(1, -1) for values in found.values()]
    assert correlations(*pixels)[0] == pytest.approx(0.991, abs=0.002)
    assert 0.3 < np.abs(difference).max() < 0.6
    np.testing.assert_allclose(found["float"][:20], published_scenes(draws_of(draws, 20)), atol=1e-6)
    r = correlations(render_scenes(draws).images.numpy(), found["float"][:, :1])
    assert np.median(r) > 0.98
    assert r.min() > 0.95


def draws_of(draws, count):
    return draw_scenes(draws.source, draws.settings, 1, range(count))
