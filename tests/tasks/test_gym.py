"""Tasks as Gymnasium environments."""

import sys

import numpy as np
import pytest

from neurocircuit.errors import BackendUnavailableError
from neurocircuit.tasks import TASKS, make_environment, make_task

TUTORIALS = [(name, "tutorial") for name in TASKS if TASKS[name].tutorial_settings is not None]
EVERY = [*((name, "standard") for name in TASKS), *TUTORIALS]


@pytest.fixture
def gymnasium():
    return pytest.importorskip("gymnasium", reason="gymnasium is not installed (pip install '.[gym]')")


# Gaussian noise has no bounds, so the space of observations has none, and what is not registered has no `spec`.
@pytest.mark.filterwarnings("ignore:.*Box observation space m.*imum value is -?infinity:UserWarning")
@pytest.mark.filterwarnings("ignore:.*not having a spec:UserWarning")
@pytest.mark.parametrize(("name", "variant"), EVERY)
def test_gymnasiums_own_check_passes(gymnasium, name, variant):
    from gymnasium.utils.env_checker import check_env

    check_env(make_environment(make_task(name, variant)))


def play(environment, policy, **reset):
    """Run a trial; return what was observed, the rewards and the last information."""
    observation, info = environment.reset(**reset)
    seen, rewards, ended = [], [], False
    while not ended:
        seen.append(observation)
        observation, reward, ended, truncated, info = environment.step(policy(observation, info))
        rewards.append(reward)
        assert not truncated
    return np.array(seen), rewards, info


def hold(observation, info):
    return np.int64(0)


def follow(observation, info):
    """Give the right answer as soon as it is due."""
    return np.int64(info["actions"].index(int(info["target"])))


@pytest.mark.parametrize(("name", "variant"), EVERY)
def test_observations_are_the_inputs_of_the_trial(gymnasium, name, variant):
    task = make_task(name, variant)
    environment = make_environment(task)
    seen, rewards, info = play(environment, hold, seed=5)
    # Gymnasium seeds its generator in its own way; the trial is the one that this generator draws.
    generator, _ = gymnasium.utils.seeding.np_random(5)
    trials = task.sample(1, generator)
    np.testing.assert_array_equal(seen, trials.inputs[0, : len(seen)])
    assert len(seen) * task.step == trials.epochs[task.response_epoch][0, 1]
    assert info["choice"] == trials.conditions["choice"][0]
    assert rewards[-1] == (1.0 if info["choice"] == 0 else 0.0)
    assert not any(rewards[:-1])


@pytest.mark.parametrize(("name", "variant"), EVERY)
def test_following_the_target_earns_the_reward_and_the_opposite_does_not(gymnasium, name, variant):
    task = make_task(name, variant)
    environment = make_environment(task)
    for seed in range(6):
        _, rewards, info = play(environment, follow, seed=seed)
        assert rewards[-1] == 1.0
        assert info["correct"]
        if info["choice"] != 0:
            due = list(environment.actions)

            def opposite(observation, info, due=due):
                return np.int64(due.index(-int(info["target"])) if -int(info["target"]) in due else 0)

            _, rewards, info = play(environment, opposite, seed=seed)
            assert rewards[-1] == 0.0
            assert not info["correct"]


def test_an_answer_before_it_is_due_ends_the_trial_with_a_penalty(gymnasium):
    environment = make_environment(make_task("mante"))
    seen, rewards, info = play(environment, lambda observation, info: np.int64(1), seed=0)
    assert (len(seen), rewards, info["correct"]) == (1, [-0.1], False)


@pytest.mark.parametrize("settings", [{"variant": "tutorial"}, {"after": 200.0}])
def test_after_the_response_there_is_no_step_in_which_to_answer(gymnasium, settings):
    task = make_task("dmts", **settings)
    environment = make_environment(task)
    for seed in range(4):
        _, rewards, info = play(environment, hold, seed=seed)
        end = len(rewards)
        assert rewards[-1] == 0.0
        assert not info["correct"]

        # The answer in the last step of the trial is right: nothing of it comes after the response.
        environment.reset(seed=seed)
        for _ in range(end - 1):
            *_, info = environment.step(np.int64(0))
        _, reward, ended, _, info = environment.step(follow(None, info))
        assert (reward, ended, info["correct"]) == (1.0, True, True)
        with pytest.raises(RuntimeError, match="call `reset`"):
            environment.step(np.int64(1))


def test_conditions_and_the_step_can_be_fixed(gymnasium):
    environment = make_environment(make_task("perceptual"), step=20.0)
    _, info = environment.reset(seed=0, options={"coherence": -0.3})
    assert (info["coherence"], info["choice"]) == (-0.3, -1)
    _, rewards, _ = play(environment, hold, seed=0)
    generator, _ = gymnasium.utils.seeding.np_random(0)
    trials = make_task("perceptual").sample(1, generator, 20.0)
    assert len(rewards) == round(trials.epochs["response"][0, 1] / 20.0)
    with pytest.raises(ValueError, match="`coherance` is not a condition"):
        environment.reset(options={"coherance": 0.1})


def test_a_step_outside_a_trial_and_an_unknown_action_are_refused(gymnasium):
    environment = make_environment(make_task("gonogo"))
    with pytest.raises(RuntimeError, match="call `reset`"):
        environment.step(np.int64(0))
    environment.reset(seed=0)
    with pytest.raises(ValueError, match="`action` is 2; it must be a whole number from 0 to 1"):
        environment.step(2)
    play(environment, hold)
    with pytest.raises(RuntimeError, match="call `reset`"):
        environment.step(np.int64(0))


def test_without_gymnasium_the_message_says_what_to_install(monkeypatch):
    monkeypatch.delitem(sys.modules, "neurocircuit.tasks.environments", raising=False)
    monkeypatch.setitem(sys.modules, "gymnasium", None)
    with pytest.raises(BackendUnavailableError, match=r"pip install '.\[gym\]'"):
        make_environment(make_task("gonogo"))
