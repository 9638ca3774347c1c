"""Weights of two public PyTorch versions of the hGRU network, loaded strictly into the library's.

A layout says, for every key of the foreign file, which of our entries it fills and in which shape it is stored there.
Sizes are read from the weights. Anything missing, left over, of a wrong shape or not finite is reported at once.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import IO, Any, Literal, NamedTuple

import torch

from neurocircuit.networks.hgru import HGRUClassifier

__all__ = ["WeightsError", "load_notebook", "load_sg"]

State = Mapping[str, torch.Tensor]
Shape = tuple[int, ...]

_PREFIX = "module."
_NORM = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
_PAIR = ("weight", "bias")


class WeightsError(ValueError):
    """A file of weights does not fit its layout; the message lists every entry that does not."""


class _Entry(NamedTuple):
    """Where a foreign entry goes, and the shape it has there; None is that of ours."""

    ours: str
    shape: Shape | None = None


def load_notebook(source: str | Path | Mapping[str, Any]) -> HGRUClassifier:
    """Return the classifier with the weights of the authors' PyTorch notebook (the hgru-pytorch layout).

    The network is the ``"batchnorm"`` variant with W_I and W_E as they are stored, that is without the symmetry, which
    the notebook did not keep. The form without batch norm, whose file would hold ``unit1.n``, is refused: the
    notebook's code for it does not run, so nobody can have trained it.

    Parameters
    ----------
    source : path or mapping
        A file saved by torch, or what it holds: the state of the network, alone or under ``state_dict``. Keys may
        have the prefix ``module.`` of parallel training.

    Returns
    -------
    HGRUClassifier
        In evaluation mode, with the number of channels K, the kernel size and the number of steps T of the weights.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    WeightsError
        If the file is not one of weights alone, or an entry is missing, unknown, of a wrong shape or not finite.
    """
    state = read_state(source, "state_dict")
    if "unit1.n" in state:
        raise WeightsError(
            "`source` has time gains, `unit1.n`: it is the notebook's form without batch norm, whose published code "
            "does not run. Only the form with batch norm, `unit1.bn.*`, can be loaded."
        )
    norms = {int(key.split(".")[2]) for key in state if key.startswith("unit1.bn.") and key.split(".")[2].isdecimal()}
    # A number of norms that is not four per step leaves some missing, which is reported below.
    steps = max(-(-(max(norms) + 1) // 4), 1) if norms else _DEFAULT_STEPS
    network = _network(state, "conv0.weight", "unit1.w_gate_inh", steps, variant="batchnorm")
    layout = {
        **_renamed("conv0", "filters.conv", _PAIR),
        **_renamed("unit1.u1_gate", "cell.gain_gate", _PAIR),
        **_renamed("unit1.u2_gate", "cell.mix_gate", _PAIR),
        "unit1.w_gate_inh": _Entry("cell.inhibition.weight"),
        "unit1.w_gate_exc": _Entry("cell.excitation.weight"),
        **{f"unit1.{name}": _Entry(f"cell.{name}") for name in ("alpha", "gamma", "kappa", "mu")},
        "unit1.w": _Entry("cell.omega"),
        **{key: entry for i in range(4 * steps) for key, entry in _norm(f"unit1.bn.{i}", f"cell.norms.{i}").items()},
        **_norm("bn", "read_out.norm"),
        **_renamed("conv6", "read_out.conv", _PAIR),
        **_norm("bn2", "read_out.class_norm"),
        **_renamed("fc", "read_out.dense", _PAIR),
    }
    return _fill(network, state, layout)


def load_sg(
    source: str | Path | Mapping[str, Any], *, initial_state: Literal["zeros", "xavier"] = "zeros"
) -> HGRUClassifier:
    """Return the classifier with the weights of Saurav Garg's PyTorch version of the official code.

    The network is the ``"paper"`` variant; its W is loaded as it is stored, that is without the symmetry, which that
    code did not keep. The bias of its read-out convolution is folded into the running mean of the batch norm that
    follows the maximum: the result in evaluation mode is the same, and in training mode batch norm cancels it.

    Parameters
    ----------
    source : path or mapping
        A file saved by torch, or what it holds: the state of the network, alone or under ``model_state_dict``. Keys
        may have the prefix ``module.`` of parallel training.
    initial_state : {"zeros", "xavier"}
        H2 before the first step: zeros, so that results repeat, or noise drawn at every call, as in that code, where
        its size also depends on that of the batch.

    Returns
    -------
    HGRUClassifier
        In evaluation mode, with the number of channels K, the kernel size and the number of steps T of the weights.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the initial state is another one.
    WeightsError
        If the file is not one of weights alone, or an entry is missing, unknown, of a wrong shape or not finite.
    """
    if initial_state not in ("zeros", "xavier"):
        raise ValueError(f"`initial_state` is {initial_state!r}; these weights have 'zeros' or 'xavier'.")
    state = read_state(source, "model_state_dict")
    steps = _size(state, "hgru_unit.n", 1, _DEFAULT_STEPS)
    options = {"variant": "paper", "symmetric": False, "initial_state": initial_state}
    network = _network(state, "conv_feature_extractor.weight", "hgru_unit.w_gate", steps, **options)
    channels = network.cell.channels
    vector, bias = (1, channels, 1, 1), "conv_readout.bias"
    layout = {
        **_renamed("conv_feature_extractor", "filters.conv", _PAIR),
        "hgru_unit.gain_kernel.weight": _Entry("cell.gain_gate.weight"),
        "hgru_unit.gain_bias": _Entry("cell.gain_gate.bias", vector),
        "hgru_unit.mix_kernel.weight": _Entry("cell.mix_gate.weight"),
        "hgru_unit.mix_bias": _Entry("cell.mix_gate.bias", vector),
        "hgru_unit.w_gate": _Entry("cell.inhibition.weight"),
        "hgru_unit.n": _Entry("cell.time_gains", (1, steps)),
        **{f"hgru_unit.{n}": _Entry(f"cell.{n}", vector) for n in ("alpha", "mu", "gamma", "kappa", "omega")},
        **_norm("bn2_1", "read_out.norm"),
        "conv_readout.weight": _Entry("read_out.conv.weight"),
        bias: _Entry("read_out.class_norm.running_mean"),
        **_norm("bn2_2", "read_out.class_norm"),
        **_renamed("fc", "read_out.dense", _PAIR),
    }
    network = _fill(network, state, layout)
    with torch.no_grad():
        running_mean = network.read_out.class_norm.running_mean
        assert running_mean is not None
        running_mean -= state[bias]
    return network


_DEFAULT_CHANNELS, _DEFAULT_KERNEL, _DEFAULT_STEPS, _DEFAULT_FILTER = 25, 15, 8, 7


def _network(state: State, filters: str, kernel: str, steps: int, **options: Any) -> HGRUClassifier:
    """Return a network of the sizes of the weights; the published ones where a weight is missing."""
    size = _size(state, kernel, 3, _DEFAULT_KERNEL)
    width = _size(state, filters, 3, _DEFAULT_FILTER)
    for key, value in ((kernel, size), (filters, width)):
        if value % 2 == 0:
            raise WeightsError(f"`source` has kernels of {value} pixels in `{key}`; they must have an odd number.")
    channels = _size(state, filters, 0, _DEFAULT_CHANNELS)
    if channels < 2:
        raise WeightsError(f"`source` has {channels} filter in `{filters}`; a network has at least 2.")
    return HGRUClassifier(channels, size, steps, filter_size=width, **options)


def read_state(source: str | Path | Mapping[str, Any], name: str) -> State:
    """Return the entries of a file or mapping, without the wrapping dictionary and the prefix."""
    content: Any = source
    if not isinstance(source, Mapping):
        with Path(source).open("rb") as file:
            content = _unpickled(file, source)
    if isinstance(content, Mapping) and isinstance(content.get(name), Mapping):
        content = content[name]
    if not isinstance(content, Mapping) or not content:
        raise WeightsError(f"`source` holds a {type(content).__name__} where the entries of `{name}` are expected.")
    other = sorted(str(key) for key, value in content.items() if not isinstance(value, torch.Tensor))
    if other:
        raise WeightsError(
            f"`source` holds entries that are not tensors: {', '.join(other)}. Expected the state of a network, alone "
            f"or under `{name}`."
        )
    named = {str(key): value for key, value in content.items()}
    prefixed = all(key.startswith(_PREFIX) for key in named)
    return {key.removeprefix(_PREFIX) if prefixed else key: value for key, value in named.items()}


def _unpickled(file: IO[bytes], source: str | Path) -> Any:
    try:
        return torch.load(file, map_location="cpu", weights_only=True)
    # What torch raises depends on where the file is cut off.
    except (pickle.UnpicklingError, EOFError, OSError, RuntimeError, ValueError) as error:
        raise WeightsError(
            f"`source` is {str(source)!r}, which is not a whole file of weights saved by torch.save: {error}"
        ) from error


def _size(state: State, key: str, axis: int, default: int) -> int:
    found = state.get(key)
    return found.shape[axis] if found is not None and found.ndim > axis and found.shape[axis] else default


def _renamed(foreign: str, ours: str, names: Iterable[str]) -> dict[str, _Entry]:
    return {f"{foreign}.{name}": _Entry(f"{ours}.{name}") for name in names}


def _norm(foreign: str, ours: str) -> dict[str, _Entry]:
    return _renamed(foreign, ours, _NORM)


def _fill(network: HGRUClassifier, state: State, layout: Mapping[str, _Entry]) -> HGRUClassifier:
    """Load the entries into the network, or report everything that does not fit."""
    own = network.state_dict()
    shapes = {key: entry.shape or tuple(own[entry.ours].shape) for key, entry in layout.items()}
    check_layout(state, shapes)
    # The bias that goes to a running mean comes before the running mean itself, which replaces it.
    filled = {entry.ours: state[key].reshape(own[entry.ours].shape) for key, entry in layout.items()}
    # A shared kernel is listed twice.
    if network.cell.form.shared_kernel:
        filled["cell.excitation.weight"] = filled["cell.inhibition.weight"]
    network.to(state["fc.weight"].dtype).load_state_dict(filled)
    return network.eval()


def check_layout(state: State, shapes: Mapping[str, Shape]) -> None:
    """Raise WeightsError with every entry that does not fit."""
    common = [key for key in shapes if key in state]
    parts = {
        "missing": [key for key in shapes if key not in state],
        "unexpected": [key for key in state if key not in shapes],
        "wrong shape": [
            f"{key} is {tuple(state[key].shape)}, expected {shapes[key]}"
            for key in common
            if tuple(state[key].shape) != shapes[key]
        ],
        "not floating point": [
            key for key in common if not (state[key].is_floating_point() or key.endswith(_NORM[-1]))
        ],
        "not finite": [key for key in common if not state[key].isfinite().all()],
    }
    found = [f"{what}: {'; '.join(sorted(which))}" for what, which in parts.items() if which]
    if found:
        raise WeightsError("`source` does not fit the layout.\n" + "\n".join(found))
