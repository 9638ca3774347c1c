"""The study of slow competition finds what exact integration, enumeration and the rank rule itself find."""

import numpy as np
import pytest
import torch
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.integrate import solve_ivp

from neurocircuit.analysis.slow_competition import compete
from neurocircuit.analysis.winner_tables import winner_checks, winner_tables
from neurocircuit.analysis.winners import STARTS, TIMES, ode_study
from neurocircuit.plasticity import currents, initial_weights
from neurocircuit.plasticity.rank_rule import RankLearner, RankRule
from neurocircuit.simulation import write_netcdf

HIDDEN, PIXELS, IMAGES = 12, 20, 60
STRENGTHS = (0.3, 0.6, 1.5)
TAU = 10.0


@pytest.fixture(scope="module")
def problem():
    rng = np.random.default_rng(4)
    images = rng.standard_normal((IMAGES, PIXELS))
    return initial_weights(HIDDEN, PIXELS, 2), images / np.linalg.norm(images, axis=1, keepdims=True)


@pytest.fixture(scope="module")
def study(problem):
    return ode_study(*problem, k=2, n_images=40, seed=3, inhibitions=STRENGTHS)


@pytest.fixture(scope="module")
def drive(problem, study):
    weights, images = problem
    return currents(weights, torch.from_numpy(images[study["image"].values]), 2.0).numpy()


def exact(currents, w_inh, duration, start=None):
    """Integrate Eq. 8 tightly; return the last state, and when the set of positive units last changed."""

    def change(_, h):
        rate = np.maximum(h, 0)
        return (currents - w_inh * (rate.sum() - rate) - h) / TAU

    begin = np.zeros(len(currents)) if start is None else start
    found = solve_ivp(change, (0, duration), begin, method="LSODA", rtol=1e-9, atol=1e-11, dense_output=True)
    times = np.linspace(0, duration, 6001)
    positive = found.sol(times) > 0
    changes = (positive[:, 1:] != positive[:, :-1]).any(0)
    return found.y[:, -1], times[1:][changes].max(initial=0.0)


@pytest.mark.parametrize("w_inh", [0.4, 1.5])
def test_competition_comes_to_the_rest_of_an_exact_integration_at_its_time(w_inh, rng):
    given_currents = rng.standard_normal((6, 8))
    start = rng.standard_normal((6, 8))
    found = compete(given_currents, start=start, w_inh=w_inh)
    assert found.settled.all()
    for item, row in enumerate(given_currents):
        end, decided = exact(row, w_inh, 600.0, start[item])
        np.testing.assert_allclose(found.activity[item], end, atol=1e-5)
        # Euler's steps are a fifth of the shortest time constant; errors of first order remain.
        assert found.decision_time[item] == pytest.approx(decided, rel=0.1, abs=0.1 * TAU)


def test_counts_over_time_are_those_of_an_exact_integration(rng):
    row = rng.standard_normal(30)
    found = compete(row[None], times=[1.0, 10.0, 40.0, 5000.0], w_inh=0.4)
    counts = [(exact(row, 0.4, time)[0] > 0).sum() for time in (1.0, 10.0, 40.0, 1000.0)]
    assert counts[0] > counts[2] > 1
    np.testing.assert_allclose(found.positive_at[:, 0], counts, atol=1)
    assert found.positive_at[3, 0] == counts[3]


def test_images_do_not_know_each_other(rng):
    several, start = rng.standard_normal((2, 5, 9))
    together = compete(several, start=start, times=[5.0], w_inh=0.7)
    for item in range(5):
        alone = compete(several[[item]], start=start[[item]], times=[5.0], w_inh=0.7)
        np.testing.assert_array_equal(alone.activity[0], together.activity[item])
        assert alone.decision_time[0] == together.decision_time[item]
        assert alone.positive_at[0, 0] == together.positive_at[0, item]


@settings(max_examples=25)
@given(
    arrays(float, st.integers(2, 7), elements=st.integers(-50, 50), unique=True),
    st.floats(1.05, 4),
    st.integers(0, 10**6),
)
def test_above_a_margin_of_1_minus_1_over_w_every_start_ends_in_the_largest_current(others, w_inh, seed):
    others = others / 50
    largest = max(others.max(), 0.02) / (0.99 * (1 / w_inh))  # a margin just above the bound
    row = np.append(others, largest)
    start = np.random.default_rng(seed).normal(0, 2 * largest, len(row))
    found = compete(row[None], start=start[None], w_inh=w_inh)
    assert found.settled.all()
    assert np.flatnonzero(found.activity[0] > 0).tolist() == [len(row) - 1]


def test_the_rank_rules_winner_is_the_winner_from_rest(problem, study, drive):
    weights, images = problem
    chosen = torch.from_numpy(images[study["image"].values])
    winners = RankLearner(weights.clone(), RankRule()).step(chosen, 0.0).numpy()
    for strength in STRENGTHS:
        activity = compete(drive, w_inh=strength).activity
        np.testing.assert_array_equal(activity.argmax(1), winners)
    assert (study["winner_rank"].sel(start="rest") == 1).all()
    assert (study["winner_current"].sel(start="rest") == 1).all()


def test_the_study_counts_what_its_definition_says(study, drive):
    ranked = -np.sort(-drive, axis=1)
    np.testing.assert_allclose(study["current"].values, ranked[:, :10])
    np.testing.assert_allclose(study["margin"].values, 1 - ranked[:, 1] / ranked[:, 0])
    np.testing.assert_allclose(study["time"].values, TAU * np.array(TIMES))
    for strength in STRENGTHS:
        rest = study.sel(start="rest", inhibition=strength)
        for item, row in enumerate(drive):
            end, _ = exact(row, strength, 1000.0)
            assert rest["positive"].values[item] == rest["predicted"].values[item] == (end > 1e-9).sum()
            np.testing.assert_allclose(rest["activity"].values[item], end[np.argsort(-row)][:10], atol=1e-5)
            # Eq. 9, unit by unit, against the rank rule with k = 2.
            h, threshold = end[np.argsort(-row)], float(rest["threshold"])
            g = [0.0 if x < 0 else -0.4 if x <= threshold + 1e-7 else 1.0 for x in h]
            assert rest["same_units"].values[item] == (g[:2] == [1.0, -0.4])
            assert rest["same_all"].values[item] == (g == [1.0, -0.4, *[0.0] * (HIDDEN - 2)])
            assert rest["learning"].values[item] == g.count(1.0)
            assert rest["unlearning"].values[item] == g.count(-0.4)


def test_the_threshold_is_the_best_of_all_for_the_images_it_is_chosen_on(study):
    for strength in (0.3, 0.6):
        rest = study.sel(start="rest", inhibition=strength)
        fitted = rest.isel(image=rest["fitted"].values)
        first, second = fitted["activity"].values[:, 0], fitted["activity"].values[:, 1]

        def agreeing(threshold, first=first, second=second):
            return ((second >= 0) & (second <= threshold) & (first > threshold)).sum()

        best = max(agreeing(threshold) for threshold in np.linspace(0, first.max(), 4001))
        assert 0 < best <= agreeing(float(rest["threshold"]))


def test_strong_inhibition_lets_starts_matter_and_nothing_unlearn(study):
    strong = study.sel(inhibition=1.5)
    assert (strong["winner_rank"].sel(start="random") != 1).any()
    assert (strong["positive"] <= 1).all()
    assert not strong["kth_unlearns"].any()
    weak = study.sel(inhibition=0.6)
    assert (weak["winner_rank"] == 1).all()


def test_a_rank_above_2_is_beyond_equation_9(problem):
    study = ode_study(*problem, k=4, n_images=20, seed=3, inhibitions=(0.1, 0.3))
    assert study["kth_unlearns"].any()
    assert not study["same_all"].any()


def test_the_same_seed_gives_the_same_study(problem, study):
    again = ode_study(*problem, k=2, n_images=40, seed=3, inhibitions=(1.5,))
    xr.testing.assert_identical(again, study.sel(inhibition=[1.5]))
    other = ode_study(*problem, k=2, n_images=40, seed=4, inhibitions=(1.5,))
    assert other["image"].values.tolist() != study["image"].values.tolist()


def test_tables_count_the_study(study):
    tables = winner_tables(study)
    assert list(tables) == ["winners", "margins", "assignment"]
    assert [(row["start"], row["w_inh"]) for row in tables["winners"]] == [(s, w) for w in STRENGTHS for s in STARTS]
    (row,) = [row for row in tables["winners"] if row["start"] == "random" and row["w_inh"] == 1.5]
    same = study["winner_rank"].sel(start="random", inhibition=1.5).values == 1
    assert row["same_winner"] == same.mean() < 1
    assert row["low"] < row["same_winner"] < row["high"]
    assert {row["w_inh"] for row in tables["margins"]} == {1.5}
    assert sum(row["images"] for row in tables["margins"]) == 40
    margins = [(row["margin_from"], row["margin_to"]) for row in tables["margins"]]
    assert all(low <= high for low, high in margins)
    assert margins == sorted(margins)
    differing = sum(row["differ_random"] * row["images"] for row in tables["margins"])
    assert differing == pytest.approx((~same).sum())
    tested = study.sel(inhibition=0.6, start="rest").isel(image=~study["fitted"].sel(inhibition=0.6).values)
    (row,) = [row for row in tables["assignment"] if row["w_inh"] == 0.6]
    assert row["images"] == 20
    assert row["all_as_rule"] == tested["same_all"].values.mean()
    assert row["k_positive"] == (tested["positive"].values == 2).mean()


def test_tables_without_strong_inhibition_have_no_margins(study):
    assert list(winner_tables(study.sel(inhibition=[0.3]))) == ["winners", "assignment"]


def test_the_checks_pass_and_each_can_fail(study, tmp_path):
    write_netcdf(study, tmp_path / "study.nc")
    read = xr.load_dataset(tmp_path / "study.nc", engine="h5netcdf")
    assert all(winner_checks(study).values())
    assert list(winner_checks(read)) == list(winner_checks(study))
    broken = {
        "winner_rank": study["winner_rank"].where(study["margin"] > study["margin"].min(), 2),
        "predicted": study["predicted"] + 1,
        "winner_current": study["winner_current"] * 0.1,
        "settled": study["settled"] & False,
    }
    outcomes = [list(winner_checks(study.assign({name: values})).values()) for name, values in broken.items()]
    for name, value in {"brian_same_winner": 3, "brian_max_difference": 1e-9}.items():
        outcomes.append(list(winner_checks(study.assign_attrs({name: value})).values()))
    assert [outcome.index(False) for outcome in outcomes] == [1, 2, 3, 0, 4, 5]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"n_images": 61}, "`n_images` is 61, but `inputs` has 60 images"),
        ({"n_images": 3}, "`n_images` is 3; it must be at least 4"),
        ({"p": 0.5}, "`p` is 0.5; it must be"),
        ({"k": 1}, "`k` is 1; it must be at least 2"),
        ({"k": 13}, "`k` is 13, but there are 12 hidden units"),
        ({"delta": -0.1}, "`delta` is -0.1; it must be"),
        ({"seed": -1}, "`seed` is -1; it must be at least 0"),
        ({"inhibitions": ()}, "`inhibitions` is empty"),
        ({"inhibitions": (-1.0,)}, r"`w_inh` is -1\.0; it must be at least 0"),
    ],
)
def test_bad_arguments_of_the_study_are_refused_by_name(problem, changes, message):
    with pytest.raises(ValueError, match=message):
        ode_study(*problem, **({"n_images": 10} | changes))


def test_images_without_a_winner_are_refused(problem):
    weights, images = problem
    for value in (0, 2):
        blank = images.copy()
        blank[7] = value
        message = rf"`inputs` has 1 image\(s\) whose pixels are all equal, the first in row 7 with the value {value}"
        with pytest.raises(ValueError, match=message):
            ode_study(weights, blank, n_images=10)
    with pytest.raises(ValueError, match="`inputs` has images of 19 pixels"):
        ode_study(weights, images[:, 1:], n_images=10)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"currents": np.ones(3)}, r"`currents` has the shape \(3,\)"),
        ({"currents": np.full((2, 3), np.nan)}, "`currents` has the shape .* must be a finite array"),
        ({"currents": np.ones((2, 3)), "start": np.ones((1, 3))}, r"`start` has the shape \(1, 3\); the currents"),
        ({"currents": np.ones((2, 3)), "times": [0.0]}, r"`times` is \(0\.0,\); it must hold positive times"),
    ],
)
def test_bad_arguments_of_the_competition_are_refused_by_name(arguments, message):
    with pytest.raises(ValueError, match=message):
        compete(**arguments)
