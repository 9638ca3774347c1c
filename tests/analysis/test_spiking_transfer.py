"""Transfer of a network to spikes: chosen on some trials, scored on others, and as the same network run by hand."""

import numpy as np
import pytest

from neurocircuit.analysis import FRESH_TRIALS, transfer_experiment
from neurocircuit.circuits import RateNetwork, transfer
from neurocircuit.networks import run_network
from neurocircuit.simulation import simulate_spiking
from neurocircuit.tasks import GoNoGo


def make_task(**settings):
    """Return go/no-go as short as in the tutorial: every millisecond costs twenty steps of Brian2."""
    return GoNoGo(**{**GoNoGo.tutorial_settings, **settings})


TASK = make_task(fixation=10.0, stimulus=40.0)

#: Far too many spikes for a rate of 1, so that the readout stays below its threshold; then two that suit the network.
SCALINGS = (500.0, 50.0, 40.0)


def make_rates(**changes):
    """Return a Dale network for go/no-go: silent without its input, which lifts it for longer than the stimulus."""
    excitatory = np.arange(10) < 8
    values = {
        "weights": np.where(excitatory, 0.05, -0.1) * (1 - np.eye(10)),
        "input_weights": np.full((10, 1), 20.0),
        "output_weights": [np.where(excitatory, 2 / 8, 0.0)],
        "bias": np.full(10, -8.0),
        "start": np.full(10, -8.0),
        "tau": 40.0,
        "step": 1.0,
        "excitatory": excitatory,
    }
    return RateNetwork(**{**values, **changes})


def experiment(**changes):
    options = {"trials": 12, "search_trials": 8, "scalings": SCALINGS, "seed": 3}
    return transfer_experiment(make_rates(), TASK, **{**options, **changes})


@pytest.fixture(scope="module")
def result():
    return experiment()


def test_a_network_that_solves_its_task_as_rates_solves_it_as_spikes(result):
    assert set(result.trials.conditions["choice"]) == {0, 1}
    assert result.rate.accuracy == 1
    assert result.spiking.accuracy == 1


def test_the_first_of_the_best_factors_is_taken(result):
    assert list(result.searched) == list(SCALINGS)
    assert result.scaling == 50
    assert result.searched[40.0] == result.searched[50.0] == 1
    # A readout that stays low is right when nothing is to be done.
    searched = TASK.sample(8, FRESH_TRIALS + 6, step=1.0)
    assert 0 < result.searched[500.0] == np.mean(searched.conditions["choice"] == 0) < 1


def test_it_is_judged_by_other_trials_than_it_was_chosen_by(monkeypatch):
    """No trial of the search comes back: with noise on the stimulus every trial is different."""
    import neurocircuit.analysis.spiking_transfer as module

    seen = []

    def search(network, inputs, score, *, scalings, **options):
        seen.append(np.asarray(inputs))
        return dict.fromkeys(scalings, 0.0)

    monkeypatch.setattr(module, "scaling_search", search)
    noisy = make_task(fixation=1.0, stimulus=5.0, response=4.0, noise=1.0)
    judged = []
    for seed in (0, 1):
        found = transfer_experiment(make_rates(), noisy, trials=6, search_trials=6, scalings=(50.0,), seed=seed)
        judged.append(found.trials.inputs)
    assert len(seen) == 2
    trials = np.concatenate([part.reshape(len(part), -1) for part in (*seen, *judged)])
    assert len(np.unique(trials, axis=0)) == 4 * 6


def test_scores_are_those_of_both_networks_run_by_hand(result):
    rates = TASK.score(run_network(make_rates(), result.trials.inputs).outputs, result.trials)
    np.testing.assert_array_equal(result.rate.choice, rates.choice)
    spiking = simulate_spiking(transfer(make_rates(), 50.0), result.trials.inputs, seed=4, record=(0,))
    np.testing.assert_array_equal(result.run["spike_time"], spiking["spike_time"])
    np.testing.assert_array_equal(result.run["output"], spiking["output"])
    scores = TASK.score(spiking["output"].values[:, 1:], result.trials)
    np.testing.assert_array_equal(result.spiking.choice, scores.choice)
    np.testing.assert_array_equal(result.spiking.reaction_time, scores.reaction_time)


def test_the_first_trial_is_recorded(result):
    np.testing.assert_array_equal(result.run["recorded"], [0])
    expected = result.run["trace"].values[0] @ make_rates().output_weights[0]
    np.testing.assert_allclose(expected, result.run["output"].values[0, :, 0], rtol=0, atol=1e-10)


def test_a_network_that_does_not_know_its_task_does_not_pass_as_spikes():
    """Without a readout it always holds still, which is right in the trials without a stimulus alone."""
    deaf = make_rates(output_weights=np.zeros((1, 10)))
    found = transfer_experiment(deaf, TASK, trials=12, search_trials=2, scalings=(50.0,), seed=3)
    assert found.spiking.accuracy == found.rate.accuracy == np.mean(found.trials.conditions["choice"] == 0)
    assert found.spiking.accuracy < 0.9


@pytest.mark.parametrize(
    ("network", "options", "message"),
    [
        ({"input_weights": np.ones((10, 2))}, {}, "`network` has 2 inputs and 1 outputs; the task gonogo has 1 and 1"),
        ({"output_weights": np.ones((2, 10))}, {}, "`network` has 1 inputs and 2 outputs"),
        ({"input_names": ("stop",)}, {}, "`network` has the input_names stop; the task gonogo has go"),
        ({"activation": "relu"}, {}, "form='current' and activation='sigmoid'"),
        ({"form": "rate"}, {}, "form='current' and activation='sigmoid'"),
        ({}, {"scalings": ()}, "`scalings` is empty"),
        ({}, {"scalings": (50.0, -1.0)}, "`scaling` is -1.0"),
        ({}, {"device": "gpu"}, "`device` is 'gpu'"),
        ({}, {"search_trials": 0}, "`n` is 0"),
    ],
)
def test_what_cannot_be_transferred_is_refused(network, options, message):
    with pytest.raises(ValueError, match=message):
        transfer_experiment(make_rates(**network), TASK, **options)
