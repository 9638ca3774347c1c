"""Random rate networks, and training that is interrupted, for the tests of several modules."""

import numpy as np
import pytest

from neurocircuit.circuits.rate_network import RateNetwork


def random_network(rng, n, *, gain, inputs=2, form="current", activation="tanh"):
    """Return a network without Dale's law whose output is always zero."""
    return RateNetwork(
        weights=gain * rng.standard_normal((n, n)) / np.sqrt(n),
        input_weights=rng.standard_normal((n, inputs)),
        output_weights=np.zeros((1, n)),
        bias=rng.standard_normal(n),
        tau=rng.uniform(5, 30, n),
        step=1.0,
        form=form,
        activation=activation,
    )


def interrupted(monkeypatch, task, draws, train):
    """Call a function that trains on a task, and interrupt it when trials are drawn for the given time."""
    calls, sample = 0, type(task).sample

    def counted(*args, **kwargs):
        nonlocal calls
        calls += 1
        if calls == draws:
            raise KeyboardInterrupt
        return sample(*args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(type(task), "sample", counted)
        with pytest.raises(KeyboardInterrupt):
            train()
