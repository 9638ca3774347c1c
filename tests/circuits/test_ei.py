"""The rate equation's two forms, networks as arrays, and what is refused at the door."""

import numpy as np
import pytest
from safetensors.numpy import save_file

from neurocircuit.circuits import RateNetwork, ei_system
from neurocircuit.circuits.ei import ACTIVATIONS
from neurocircuit.equations import equations_latex

GOOD = {
    "weights": [[0.0, -1.0], [2.0, 0.0]],
    "input_weights": [[1.0], [0.5]],
    "output_weights": [[1.0, 0.0]],
    "tau": 20.0,
    "step": 1.0,
    "excitatory": [True, False],
}


def test_the_text_is_the_fields_equation():
    assert ei_system("current").expressions() == {"x": "(-x + rec + drive)/tau"}
    assert ei_system("rate", "relu").expressions() == {"r": "(-r + rectify(rec + drive))/tau"}
    assert ei_system("current", noise=True).odes.stochastic_variables == {"xi"}
    assert r"\tau" in equations_latex(ei_system("current"))


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_rates_are_the_activation_of_the_current(activation):
    x = np.linspace(-3, 3, 7)
    expected = {
        "sigmoid": 1 / (1 + np.exp(-x)),
        "relu": np.maximum(x, 0),
        "tanh": np.tanh(x),
        "softplus": np.log(1 + np.exp(x)),
    }[activation]
    network = RateNetwork(**{**GOOD, "activation": activation})
    np.testing.assert_allclose(network.rates(x), expected, rtol=1e-14, atol=1e-15)
    np.testing.assert_array_equal(network.replace(form="rate").rates(x), x)


def test_drive_and_readout_are_linear():
    network = RateNetwork(**GOOD, bias=[0.1, 0.2], output_bias=[3.0])
    np.testing.assert_allclose(network.drive([[2.0]]), [[2.1, 1.2]])
    np.testing.assert_allclose(network.readout([[0.5, 9.0]]), [[3.5]])
    assert (network.n_units, network.n_inputs, network.n_outputs) == (2, 1, 1)
    assert (network.input_names, network.output_names) == (("in0",), ("out0",))


def test_a_network_comes_back_from_its_file_to_the_bit(tmp_path, rng):
    network = RateNetwork(
        weights=np.abs(rng.normal(size=(3, 3))) * [1, 1, -1],
        input_weights=rng.normal(size=(3, 2)),
        output_weights=rng.normal(size=(1, 3)),
        tau=[20.0, 30.0, 40.0],
        step=0.1,
        excitatory=[True, True, False],
        activation="tanh",
        form="rate",
        noise=0.01,
        input_names=("left", "right"),
        output_names=("choice",),
    )
    back = RateNetwork.load(network.save(tmp_path / "net.safetensors"))
    for name in ("weights", "input_weights", "output_weights", "tau", "bias", "excitatory", "noise", "start"):
        np.testing.assert_array_equal(getattr(back, name), getattr(network, name))
    for name in ("step", "activation", "form", "input_names", "output_names"):
        assert getattr(back, name) == getattr(network, name)
    files = [network.save(tmp_path / f"{number}.safetensors").read_bytes() for number in range(5)]
    assert len(set(files)) == 1
    free = network.replace(excitatory=None)
    assert RateNetwork.load(free.save(tmp_path / "free.safetensors")).excitatory is None


def test_weights_that_break_dales_law_are_refused_on_load(tmp_path):
    path = RateNetwork(**{**GOOD, "excitatory": None}).save(tmp_path / "net.safetensors")
    from safetensors import safe_open

    with safe_open(path, framework="numpy") as file:
        arrays, texts = {name: file.get_tensor(name) for name in file.keys()}, file.metadata()  # noqa: SIM118
    save_file({**arrays, "excitatory": np.array([False, False])}, tmp_path / "bad.safetensors", metadata=texts)
    with pytest.raises(
        ValueError, match=r"breaks Dale's law at 1 places: weights\[1, 0\] is 2, but unit 0 is inhibitory"
    ):
        RateNetwork.load(tmp_path / "bad.safetensors")


def test_other_files_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="There is no file"):
        RateNetwork.load(tmp_path / "none.safetensors")
    (tmp_path / "text.safetensors").write_text("hello")
    save_file({"weights": np.eye(2)}, tmp_path / "other.safetensors")
    for name in ("text", "other"):
        with pytest.raises(ValueError, match="is not a network saved with"):
            RateNetwork.load(tmp_path / f"{name}.safetensors")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"weights": [[0.0, 1.0], [2.0, 0.0]]}, r"weights\[0, 1\] is 1, but unit 1 is inhibitory"),
        ({"weights": [[0.0, np.nan], [2.0, 0.0]]}, "`weights` has NaN"),
        ({"weights": [[0.0, -1.0]]}, r"`weights` has the shape \(1, 2\)"),
        ({"input_weights": [[1.0]]}, "`input_weights` is for 1 units"),
        ({"output_weights": [[1.0]]}, "`output_weights` is for 1 units"),
        ({"input_weights": [1.0, 2.0]}, "must have 2 axes"),
        ({"step": 21.0}, "`step` is 21 ms but a unit has `tau` 20 ms"),
        ({"step": 0.0}, "`step` is 0.0"),
        ({"step": float("nan")}, "`step` is nan"),
        ({"tau": -1.0}, "`tau` is -1"),
        ({"tau": [1.0, 2.0, 3.0]}, r"`tau` has the shape \(3,\)"),
        ({"noise": -0.1}, "`noise` is -0.1"),
        ({"excitatory": [-1, 1]}, "it must hold True and False"),
        ({"excitatory": [True]}, r"`excitatory` has the shape \(1,\)"),
        ({"activation": "swish"}, "`activation` is 'swish'"),
        ({"form": "current-ish"}, "`form` is 'current-ish'"),
        ({"input_names": ("a", "b")}, "`input_names` has 2 names"),
    ],
)
def test_what_is_no_network_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        RateNetwork(**{**GOOD, **changes})


def test_what_was_checked_does_not_change_with_the_callers_array():
    weights = np.array(GOOD["weights"])
    network = RateNetwork(**{**GOOD, "weights": weights})
    weights[0, 1] = 5.0
    assert network.weights[0, 1] == -1.0


def test_rates_and_readout_of_no_number_are_refused():
    network = RateNetwork(**GOOD)
    for call in (network.rates, network.readout, network.drive):
        with pytest.raises(ValueError, match="NaN or infinite"):
            call([np.nan, 0.0])


def test_text_is_not_an_array():
    with pytest.raises(TypeError, match="`weights` is not an array"):
        RateNetwork(**{**GOOD, "weights": "many"})
