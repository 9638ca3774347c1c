"""What goes on inside an hGRU network: its activity, gates, kernels and gradients.

The functions leave the network as they found it: weights, gradients, running statistics and mode. Except for
`gradient_flow`, which is about training, they run it in evaluation mode.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
import xarray as xr
from torch import nn

from neurocircuit.cells import HGRUCell, HGRUState
from neurocircuit.networks import HGRUClassifier
from neurocircuit.training.evaluation import evaluating

__all__ = ["gradient_flow", "hgru_activity", "hgru_gates", "kernel_summary"]

_FIELD = ("step", "batch", "channel", "y", "x")


def hgru_activity(network: HGRUClassifier, image: torch.Tensor, steps: int | None = None) -> xr.Dataset:
    """Return both populations after every step.

    Parameters
    ----------
    network : HGRUClassifier
        The network.
    image : (batch, 1, y, x) tensor
        Grey images between 0 and 1.
    steps : int, optional
        Number of time steps; by default T.

    Returns
    -------
    xarray.Dataset
        ``h1`` and ``h2`` over (step, batch, channel, y, x), from step 0, the initial state; ``drive`` without step.
        Dimensionless.

    Raises
    ------
    ValueError
        If the image or the number of steps does not fit the network.
    """
    with evaluating(network), torch.no_grad():
        drive, states = _trajectory(network, image, steps)
    return _dataset({name: _stack(getattr(state, name) for state in states) for name in HGRUState._fields}).assign(
        drive=(_FIELD[1:], drive.cpu().numpy(), {"units": "1"})
    )


def hgru_gates(network: HGRUClassifier, image: torch.Tensor, steps: int | None = None) -> xr.Dataset:
    """Return both gates at every step.

    Parameters
    ----------
    network, image, steps
        As for `hgru_activity`.

    Returns
    -------
    xarray.Dataset
        ``gain`` (G1, which scales what inhibits) and ``mixing`` (G2, the share of H2 that is new) over (step, batch,
        channel, y, x), from step 1. Between 0 and 1.

    Raises
    ------
    ValueError
        If the image or the number of steps does not fit the network.
    """
    cell = network.cell
    with evaluating(network), torch.no_grad():
        _, states = _trajectory(network, image, steps)
        pairs = list(enumerate(itertools.pairwise(states)))
        gain = _stack(cell.gain(old.h2, step) for step, (old, _) in pairs)
        mixing = _stack(
            cell.mixing(new.h1 if cell.update == "staggered" else old.h1, step) for step, (old, new) in pairs
        )
    return _dataset({"gain": gain, "mixing": mixing}, first=1)


def kernel_summary(cell: HGRUCell) -> xr.Dataset:
    """Return the learned lateral kernels and what they amount to.

    Parameters
    ----------
    cell : HGRUCell
        The cell.

    Returns
    -------
    xarray.Dataset
        Over ``kernel`` (``shared``, or ``inhibition`` and ``excitation``) and offsets from the centre in pixels:
        ``weight`` (post, pre, y, x); ``within`` and ``between``, its mean (y, x) over equal and over different channels
        (NaN where there is one channel only); ``net``, its sum (post, pre) over space; ``strength``, the root of the
        sum of its squares (y, x) over channels.
    """
    laterals = {"inhibition": cell.inhibition, "excitation": cell.excitation}
    if cell.form.shared_kernel:
        laterals = {"shared": cell.inhibition}
    widest = max(lateral.weight.shape[-1] for lateral in laterals.values())
    with torch.no_grad():
        kernels = torch.stack([_widened(lateral.kernel(), widest) for lateral in laterals.values()])
    half = widest // 2
    weight = xr.DataArray(
        kernels.cpu().numpy(),
        dims=("kernel", "post", "pre", "y", "x"),
        coords={"kernel": list(laterals), "y": range(-half, half + 1), "x": range(-half, half + 1)},
    )
    same = weight.dims[1:3]
    own = xr.DataArray(torch.eye(cell.channels, dtype=torch.bool).numpy(), dims=same)
    summary = xr.Dataset(
        {
            "weight": weight,
            "within": weight.where(own).mean(same),
            "between": weight.where(~own).mean(same) if cell.channels > 1 else weight.mean(same) * float("nan"),
            "net": weight.sum(("y", "x")),
            "strength": (weight**2).sum(same) ** 0.5,
        }
    )
    for name in summary.data_vars:
        summary[name].attrs["units"] = "1"
    for axis in ("y", "x"):
        summary[axis].attrs["units"] = "pixel"
    return summary


def gradient_flow(network: HGRUClassifier, image: torch.Tensor, label: torch.Tensor) -> xr.Dataset:
    """Return how much of the gradient of the cross-entropy reaches every time step and every parameter.

    The network runs in the mode it is in, because batch norm's gradient differs between training and evaluation.

    Parameters
    ----------
    network : HGRUClassifier
        The network.
    image : (batch, 1, y, x) tensor
        Grey images between 0 and 1.
    label : (batch) tensor
        Classes.

    Returns
    -------
    xarray.Dataset
        Euclidean norms: ``h1`` and ``h2`` over step, from 1, of the gradient with respect to the state; and
        ``parameter_gradient`` over parameter. Dimensionless.

    Raises
    ------
    ValueError
        If the images or labels do not fit the network or one another.
    """
    if label.shape != image.shape[:1]:
        raise ValueError(
            f"`label` has the shape {tuple(label.shape)}; {image.shape[0]} images need ({image.shape[0]},)."
        )
    parameters = {name: value for name, value in network.named_parameters() if value.requires_grad}
    with _statistics_kept(network), torch.enable_grad():
        states = list(network.states(image))
        loss = nn.functional.cross_entropy(network.read_out(states[-1].h2), label)
        wanted = [field for state in states for field in state] + list(parameters.values())
        gradients = torch.autograd.grad(loss, wanted, allow_unused=True, materialize_grads=True)
    norms = [float(torch.linalg.vector_norm(gradient)) for gradient in gradients]
    count = 2 * len(states)
    return xr.Dataset(
        {
            "h1": ("step", norms[:count:2], {"units": "1"}),
            "h2": ("step", norms[1:count:2], {"units": "1"}),
            "parameter_gradient": ("parameter", norms[count:], {"units": "1"}),
        },
        {"step": range(1, len(states) + 1), "parameter": list(parameters)},
        {"loss": loss.item(), "mode": "training" if network.training else "evaluation"},
    )


def _trajectory(
    network: HGRUClassifier, image: torch.Tensor, steps: int | None
) -> tuple[torch.Tensor, list[HGRUState]]:
    drive = network.filters(image)
    start = network.cell.initial(drive)
    return drive, [start, *network.cell.unroll(drive, start, steps)]


def _stack(fields: Iterator[torch.Tensor]) -> Any:
    return torch.stack(list(fields)).detach().cpu().numpy()


def _dataset(fields: Mapping[str, Any], first: int = 0) -> xr.Dataset:
    data = {name: (_FIELD, values, {"units": "1"}) for name, values in fields.items()}
    count = len(next(iter(fields.values())))
    return xr.Dataset(data, {"step": range(first, first + count)})


def _widened(kernel: torch.Tensor, size: int) -> torch.Tensor:
    """Pad a kernel with zeros to a common size."""
    margin = (size - kernel.shape[-1]) // 2
    return nn.functional.pad(kernel, (margin,) * 4)


@contextmanager
def _statistics_kept(network: nn.Module) -> Iterator[None]:
    before = [buffer.clone() for buffer in network.buffers()]
    try:
        yield
    finally:
        with torch.no_grad():
            for buffer, value in zip(network.buffers(), before, strict=True):
                buffer.copy_(value)
