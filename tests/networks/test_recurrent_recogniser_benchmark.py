"""The benchmark of the recurrent recogniser compares networks that do the same, and its tables say what they should."""

from __future__ import annotations

import csv
import gc
from dataclasses import replace

import pytest
import torch

from neurocircuit.networks import PUBLISHED_RECOGNISER, RecurrentRecogniser, count_parameters

SMALL = replace(PUBLISHED_RECOGNISER, input_size=40, hidden=4, compat=False)


@pytest.fixture(scope="module")
def benchmark(import_script):
    """Import the script, which lies outside the package."""
    return import_script("benchmarks", "recurrent_recogniser")


@pytest.fixture(autouse=True)
def nothing_old_to_collect():
    """Take what is imported out of the garbage collection before each measurement of memory, most of its time."""
    gc.freeze()
    yield
    gc.unfreeze()


def test_a_quick_benchmark_writes_its_tables(benchmark, tmp_path, monkeypatch):
    monkeypatch.setattr(benchmark, "FLAGS", ("0111",))
    benchmark.main(benchmark.Config(quick=True, output=tmp_path))

    def table(name):
        with (tmp_path / f"recurrent_recogniser_{name}.csv").open() as file:
            return list(csv.DictReader(file))

    ((time,), (memory,)) = table("time"), table("memory")
    assert time["flags"] == memory["flags"] == "0111"
    with torch.device("meta"):
        network = RecurrentRecogniser(replace(SMALL, hidden=16))
    assert int(time["parameters"]) == count_parameters(network)
    for what in ("forward", "step"):
        ratio = float(time[f"{what}_published_s"]) / float(time[f"{what}_library_s"])
        # Four digits are written.
        assert float(time[f"{what}_times_published"]) == pytest.approx(ratio, rel=2e-3)


@pytest.mark.parametrize("flags", ["0111", "1111"])
def test_sides_do_the_same_and_only_the_published_one_computes_what_has_no_effect(benchmark, flags):
    sides = benchmark.prepare(replace(SMALL, flags=flags))
    images, labels = benchmark.scenes(SMALL, 2)
    differences = benchmark.check_sides(sides, images, labels)
    assert 0 <= differences["difference"] < 1e-5
    assert 0 < differences["gradient_difference"] < 1e-9
    counts = {name: count_parameters(side) for name, side in sides.items()}
    assert counts["library"] == counts["live"] <= counts["published"]
    assert (counts["live"] == counts["published"]) == (flags == "1111")


@pytest.mark.parametrize(
    ("part", "match"), [("fc2", "log-probabilities of live"), (None, "gradient of fc1.weight of live")]
)
def test_a_side_with_another_output_or_gradient_stops_the_benchmark(benchmark, part, match):
    sides = benchmark.prepare(SMALL)
    network = sides["live"].network
    if part:
        with torch.no_grad():
            network.get_submodule(part).bias.add_(torch.arange(20))
    else:
        network.fc1.weight.register_hook(lambda gradient: 2 * gradient)
    with pytest.raises(SystemExit, match=match):
        benchmark.check_sides(sides, *benchmark.scenes(SMALL, 2))


def test_a_step_trains_with_the_published_learning_rate(benchmark):
    network = RecurrentRecogniser(SMALL)
    before = network.fc2.bias.detach().clone()
    benchmark.training_step(network, *benchmark.scenes(SMALL, 2))()
    # Adam's first step is the learning rate, whatever the gradient.
    assert float((network.fc2.bias.detach() - before).abs().max()) == pytest.approx(1e-4, rel=1e-3)
