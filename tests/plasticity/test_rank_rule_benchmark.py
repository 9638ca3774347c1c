"""The benchmark of the rank rule compares what it says, and its tables say what they should."""

import csv
import gc
import json
import time

import numpy as np
import pytest
import torch
from literal_rank_rule import literal_step

from neurocircuit.plasticity import RankRule
from neurocircuit.plasticity.rank_rule import RankLearner


@pytest.fixture(scope="module")
def benchmark(import_script):
    """Import the script, which lies outside the package."""
    return import_script("benchmarks", "rank_rule")


@pytest.fixture(autouse=True)
def nothing_old_to_collect():
    """Take what is imported out of the garbage collection before each measurement of memory, most of its time."""
    gc.freeze()
    yield
    gc.unfreeze()


def test_a_quick_benchmark_writes_its_tables(benchmark, tmp_path):
    benchmark.main(benchmark.Config(quick=True, output=tmp_path, clock="processor"))

    def table(name):
        with (tmp_path / f"rank_rule_{name}.csv").open() as file:
            return list(csv.DictReader(file))

    assert [(row["p"], row["k"], row["batch"]) for row in table("epoch")] == [
        ("2", "2", "50"),
        ("3", "7", "50"),
        ("2", "2", "5"),
    ]
    for row in table("epoch"):
        assert float(row["difference"]) <= 1e-10
        for side in ("numpy", "torch"):
            # Four digits are written.
            ratio = float(row[f"{side}_s"]) / float(row["library_s"])
            assert float(row[f"times_{side}"]) == pytest.approx(ratio, rel=2e-3)
    for row in table("parts"):
        assert 2 <= int(row["touched_units"]) <= 20
        assert all(float(value) > 0 for name, value in row.items() if name.endswith("_ms"))
        share = float(row["product_ms"]) / float(row["step_ms"])
        assert float(row["product_share"]) == pytest.approx(share, rel=2e-3)
    assert [row["side"] for row in table("memory")] == ["numpy", "torch", "library", "library_float64"]
    assert json.loads((tmp_path / "rank_rule.json").read_text())["settings"]["clock"] == "processor"


@pytest.mark.parametrize(("name", "clock"), [("wall", time.perf_counter), ("processor", time.process_time)])
def test_every_time_is_read_from_the_clock_asked_for(benchmark, name, clock, tmp_path, monkeypatch):
    clocks, measure = [], benchmark.median_times

    def measured(sides, repeats, clock):
        clocks.append(clock)
        return measure(sides, repeats, clock)

    monkeypatch.setattr(benchmark, "median_times", measured)
    monkeypatch.setattr(benchmark, "peak_growth", lambda function: 0.0)
    benchmark.main(benchmark.Config(quick=True, output=tmp_path, clock=name))
    assert clocks == [clock] * 6


@pytest.mark.parametrize("p", [2.0, 3.0])
def test_every_side_is_an_epoch_of_the_rule_written_out(benchmark, p):
    rule = RankRule(p=p, k=3, batch_size=10)
    weights, images = benchmark.Case(8, 12, 30, rule).problem()
    expected = weights.double().numpy()
    for batch in images.double().numpy().reshape(3, 10, 12):
        expected = literal_step(expected, batch, rule, rule.learning_rate)
    before = weights.clone()
    for name, side in benchmark.sides(rule, weights, images).items():
        np.testing.assert_allclose(side(), expected, rtol=0, atol=1e-5, err_msg=name)
    assert torch.equal(weights, before)


def test_a_library_with_another_update_stops_the_benchmark(benchmark, monkeypatch):
    case = benchmark.Case(8, 12, 30, RankRule(batch_size=30))
    weights, images = case.problem()
    assert benchmark.agreement(case.rule, weights, images) <= benchmark.TOLERANCE
    step = RankLearner.step
    monkeypatch.setattr(RankLearner, "step", lambda learner, batch, size: step(learner, batch, 1.001 * size))
    with pytest.raises(SystemExit, match="NumPy and the library, float64: the two sides differ"):
        benchmark.agreement(case.rule, weights, images)
