import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from neurocircuit.tasks import OneOf, TruncatedExponential, Uniform
from neurocircuit.tasks.epochs import check_duration, draw_layout, longest, shortest, whole_steps


@given(st.integers(1, 20), st.integers(1, 30), st.sampled_from([0.1, 1.0, 2.5, 20.0]), st.integers(0, 2**32))
def test_draws_stay_within_their_bounds(low, more, step, seed):
    rng = np.random.default_rng(seed)
    high = low + more
    for duration in (Uniform(low * step, high * step), TruncatedExponential(7 * step, low * step, high * step)):
        drawn = duration.draw(50, rng, step)
        assert drawn.dtype == np.int64
        assert low <= drawn.min() <= drawn.max() <= high
        assert (shortest(duration), longest(duration)) == (low * step, high * step)


def test_uniform_steps_are_equally_likely(rng):
    _, counts = np.unique(Uniform(20.0, 50.0).draw(40000, rng, 10.0), return_counts=True)
    assert len(counts) == 4
    assert abs(counts - 10000).max() < 5 * np.sqrt(40000 * 0.25 * 0.75)


def test_truncated_exponential_has_the_distribution_of_rejected_draws(rng):
    drawn = TruncatedExponential(330.0, 80.0, 1500.0).draw(200_000, rng, 1.0)
    candidates = rng.exponential(330.0, 800_000)
    kept = candidates[(candidates >= 80) & (candidates <= 1500)]
    for q in (0.1, 0.5, 0.9):
        assert abs(np.quantile(drawn, q) - np.quantile(kept, q)) < 6.0
    assert abs(drawn.mean() - kept.mean()) < 5 * kept.std() * np.sqrt(1 / len(drawn) + 1 / len(kept)) + 0.5


def test_one_of_a_list_is_drawn(rng):
    duration = OneOf((300.0, 100.0))
    assert set(duration.draw(100, rng, 50.0)) == {2, 6}
    assert (shortest(duration), longest(duration)) == (100.0, 300.0)


def test_epochs_follow_each_other(rng):
    layout = draw_layout({"a": 20.0, "b": Uniform(10.0, 30.0), "c": 10.0}, 50, rng, 10.0)
    assert layout.n_steps == 6
    np.testing.assert_array_equal(layout.windows["a"], [[0, 2]] * 50)
    np.testing.assert_array_equal(layout.windows["b"][:, 0], 2)
    np.testing.assert_array_equal(layout.windows["b"][:, 1], layout.windows["c"][:, 0])
    np.testing.assert_array_equal(np.diff(layout.windows["c"]), 1)
    assert set(np.diff(layout.windows["b"])[:, 0]) == {1, 2, 3}
    steps = [layout.during(name).sum(1) for name in "abc"]
    np.testing.assert_array_equal(layout.inside().sum(1), np.sum(steps, 0))
    np.testing.assert_array_equal(layout.before("c").sum(1), steps[0] + steps[1])
    np.testing.assert_array_equal(layout.during("a", "c").sum(1), 3)
    np.testing.assert_array_equal(layout.during("a", grace=1), [[False, True] + [False] * 4] * 50)


@pytest.mark.parametrize("kind", [int, float, np.int64, np.float32, np.float64])
def test_the_type_of_a_number_does_not_matter(kind):
    def layout(kind):
        durations = {
            "a": kind(20),
            "b": Uniform(kind(10), kind(30)),
            "c": TruncatedExponential(kind(20), kind(10), kind(40)),
            "d": OneOf((kind(10), kind(20))),
        }
        return repr(list(durations.values())[1:]), draw_layout(durations, 20, np.random.default_rng(0), kind(10))

    (text, found), (expected_text, expected) = layout(kind), layout(float)
    assert text == expected_text
    for name, window in expected.windows.items():
        np.testing.assert_array_equal(found.windows[name], window)


@pytest.mark.parametrize(("value", "step", "steps"), [(0.3, 0.1, 3), (200.0, 20.0, 10), (1000.0, 0.001, 1_000_000)])
def test_rounding_does_not_spoil_a_whole_number_of_steps(value, step, steps):
    assert whole_steps("stimulus", value, step) == steps


@pytest.mark.parametrize(
    ("value", "step", "message"),
    [(50.0, 20.0, "`step` is 20 ms, no divisor of `stimulus` of 50 ms"), (25.0, 50.0, "longer than `stimulus`")],
)
def test_an_epoch_that_is_no_whole_number_of_steps_is_refused(value, step, message):
    with pytest.raises(ValueError, match=message):
        whole_steps("stimulus", value, step)


@pytest.mark.parametrize(
    ("kind", "arguments"),
    [
        (Uniform, (300.0, 200.0)),
        (Uniform, (0.0, 200.0)),
        (Uniform, (100.0, np.inf)),
        (Uniform, (np.nan, 100.0)),
        (TruncatedExponential, (100.0, 300.0, 300.0)),
        (TruncatedExponential, (0.0, 100.0, 300.0)),
        (TruncatedExponential, (np.nan, 100.0, 300.0)),
        (OneOf, ((),)),
        (OneOf, ((100.0, 0.0),)),
        (OneOf, ((np.inf,),)),
    ],
)
def test_impossible_distributions_are_refused(kind, arguments):
    with pytest.raises(ValueError, match=kind.__name__):
        kind(*arguments)


@pytest.mark.parametrize(
    ("value", "error"), [(-1.0, ValueError), (np.nan, ValueError), ("long", TypeError), (True, TypeError)]
)
def test_what_is_no_duration_is_refused(value, error):
    with pytest.raises(error, match="`delay` is"):
        check_duration("delay", value)


@pytest.mark.parametrize("duration", [Uniform(25.0, 100.0), Uniform(20.0, 90.0), OneOf((40.0, 50.0))])
def test_bounds_that_are_no_whole_steps_are_refused(duration, rng):
    with pytest.raises(ValueError, match="`step` is 20 ms, no divisor of"):
        draw_layout({"delay": duration}, 3, rng, 20.0)


def test_epochs_longer_than_the_trial_are_refused(rng):
    with pytest.raises(ValueError, match=r"`length` is 100 ms, but the epochs a, b can last 120 ms"):
        draw_layout({"a": 20.0, "b": Uniform(50.0, 100.0)}, 3, rng, 10.0, 100.0)
