"""A stack of layers that lateral and top-down connections modulate, by a bias before rectification or a gain after it.

Every step is a whole sweep from the image to the last layer; what modulates it comes from the step before.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeVar

import torch
from torch import Tensor, nn

from neurocircuit.cells.modulated_operation import (
    convolution,
    linear_over_steps,
    pooled_maximum,
    transposed_convolution,
)
from neurocircuit.cells.modulated_settings import (
    FULL,
    INPUT,
    Connection,
    ModulatedStackSettings,
    Modulation,
    Pathway,
    upward_window,
)

__all__ = ["ModulatedStack", "StackState", "modulate", "modulate_image", "xavier"]

Flows = Mapping[Modulation, Tensor]
Senders = Mapping[str, Callable[[Tensor], Tensor]]

_Layer = TypeVar("_Layer", nn.Conv2d, nn.Linear)


def modulate(drive: Tensor, bias: Tensor | None = None, gain: Tensor | None = None) -> Tensor:
    """Return ReLU(drive + bias) (1 + gain), a layer's output before pooling.

    The gain is not rectified again, so that the output is negative where it is below -1.

    Parameters
    ----------
    drive : Tensor
        What the layer below brings.
    bias, gain : Tensor, optional
        Of the same shape; without one the layer is not modulated in this way.
    """
    rectified = torch.relu(drive if bias is None else drive + bias)
    return rectified if gain is None else rectified * (gain + 1)


def modulate_image(image: Tensor, bias: Tensor | None = None, gain: Tensor | None = None) -> Tensor:
    """Return (image + bias) (1 + gain), cut off at 0 and 1; arguments as for `modulate`."""
    if bias is not None:
        image = image + bias
    if gain is not None:
        image = image * (gain + 1)
    # The gradient at the bounds is that of the published ReLU(z) - ReLU(z - 1), which rounds above 1.
    return torch.relu(image).clamp(max=1) if bias is not None or gain is not None else image


class StackState(NamedTuple):
    """What all layers do at one step."""

    image: Tensor
    """(batch, 1, y, x), after modulation."""
    maps: tuple[Tensor, ...]
    """Each (batch, channel, y, x), before pooling: the source of lateral connections."""
    pooled: tuple[Tensor, ...]
    """Each (batch, channel, y, x)."""
    full: Tensor
    """(batch, unit)"""

    def source(self, layer: str, pathway: Pathway) -> Tensor:
        """Return what a layer sends on a pathway."""
        if layer == FULL:
            return self.full
        number = int(layer.removeprefix("conv")) - 1
        return self.maps[number] if pathway == "lateral" else self.pooled[number]

    def activations(self) -> dict[str, Tensor]:
        """Return what every layer hands on, by its name."""
        convolutions = {f"conv{number}": pooled for number, pooled in enumerate(self.pooled, 1)}
        return {INPUT: self.image, **convolutions, FULL: self.full}


class ModulatedStack(nn.Module):
    """The layers and their connections, without a loop over time and without a read-out.

    Modules have the published names: ``conv1``, ``conv2``, ..., ``fc1`` on the way up, and those of
    `ModulatedStackSettings.connections`. Convolutions and connections hold weights and are not called: hooks on them do
    nothing. Weights are drawn from torch's global generator: Xavier's uniform distribution, with biases of zero, for
    convolutions and full connections; torch's own for transposed convolutions.

    Parameters
    ----------
    settings : ModulatedStackSettings
        Sizes and flags.
    """

    conv1: nn.Conv2d
    fc1: nn.Linear

    def __init__(self, settings: ModulatedStackSettings) -> None:
        super().__init__()
        self.settings = settings
        maps, below = settings.maps(), 1
        for number, size in enumerate(maps, 1):
            self.add_module(f"conv{number}", xavier(nn.Conv2d(below, size.channels, settings.kernel)))
            below = size.channels
        self.fc1 = xavier(nn.Linear(below * maps[-1].pooled ** 2, settings.hidden))
        self._into: dict[tuple[str, Modulation], list[Connection]] = {}
        # Live ones first, so that those of a seed are the same whether there are others or not.
        for connection in sorted(settings.connections(), key=lambda connection: not connection.live):
            self.add_module(connection.name, _connecting(settings, connection))
            if connection.live:
                self._into.setdefault((connection.target, connection.modulation), []).append(connection)

    def modulations(self, layer: str) -> tuple[Modulation, ...]:
        """Return in which ways a layer is modulated under these flags.

        Raises
        ------
        ValueError
            If there is no such layer.
        """
        self._check_layer(layer)
        return tuple(modulation for target, modulation in self._into if target == layer)

    def senders(self) -> Senders:
        """Return what every live connection does to its source, by name, for the steps of one run."""
        live = (connection for connections in self._into.values() for connection in connections)
        return {connection.name: self._sender(connection) for connection in live}

    def _sender(self, connection: Connection) -> Callable[[Tensor], Tensor]:
        shape = self.shape(connection.target)
        module: Any = self.get_submodule(connection.name)
        weight, bias = module.weight, module.bias
        if isinstance(module, nn.Conv2d):
            return lambda source: convolution(source, weight, bias, self.settings.kernel // 2)
        if isinstance(module, nn.ConvTranspose2d):
            stride, _ = module.stride
            return lambda source: transposed_convolution(source, weight, bias, stride)
        connect = linear_over_steps(weight, bias)
        return lambda source: connect(source).view(len(source), *shape)

    def flow(self, state: StackState, layer: str, modulation: Modulation, senders: Senders | None = None) -> Tensor:
        """Return the sum of what the live connections bring into a layer in one way, of the shape of the layer.

        Parameters
        ----------
        state : StackState
            Of the step before.
        layer : str
            Layer that is modulated.
        modulation : {"bias", "gain"}
            One of ``modulations(layer)``.
        senders : mapping, optional
            What `senders` returned for this run, if there is more than one step.

        Raises
        ------
        ValueError
            If the layer is not modulated in this way.
        """
        if (layer, modulation) not in self._into:
            raise ValueError(
                f"`modulation` is {modulation!r} and `layer` {layer!r}, into which under the flags "
                f"{self.settings.flags} there is no such connection."
            )
        senders = senders or self.senders()
        total: Tensor | None = None
        for connection in self._into[layer, modulation]:
            sent = senders[connection.name](state.source(connection.source, connection.pathway))
            # Full connections, which send a view, come last: to add to a view in place costs autograd a copy.
            total = sent if total is None else total.add_(sent)
        assert total is not None
        return total

    def shape(self, layer: str) -> tuple[int, ...]:
        """Return the shape of a layer for one image, before pooling.

        Raises
        ------
        ValueError
            If there is no such layer.
        """
        self._check_layer(layer)
        if layer == FULL:
            return (self.settings.hidden,)
        if layer == INPUT:
            return 1, self.settings.input_size, self.settings.input_size
        size = self.settings.maps()[int(layer.removeprefix("conv")) - 1]
        return size.channels, size.pixels, size.pixels

    def _check_layer(self, layer: str) -> None:
        if layer not in self.settings.layers:
            raise ValueError(f"`layer` is {layer!r}; this network has {', '.join(self.settings.layers)}.")

    def rise(self, number: int, below: Tensor) -> Tensor:
        """Return what a convolution, counted from 1, gets from the layer below: its drive."""
        layer: Any = self.get_submodule(f"conv{number}")
        return convolution(below, layer.weight, layer.bias)

    def sweep(self, images: Tensor, drive: Tensor, flows: Callable[[str], Flows]) -> StackState:
        """Return the state after one sweep from the image to the last layer.

        Parameters
        ----------
        images : Tensor
            (batch, 1, y, x), from 0 to 1, not modulated.
        drive : Tensor
            ``rise(1, images)``, which is used where the image is not modulated.
        flows : callable
            Returns the flows into a layer by its name; it is asked for each layer once, from the image up.
        """
        own = flows(INPUT)
        image = modulate_image(images, own.get("bias"), own.get("gain"))
        below, maps, pooled = image, [], []
        for number, pool in enumerate(self.settings.pools, 1):
            if number > 1 or own:
                drive = self.rise(number, below)
            own = flows(f"conv{number}")
            maps.append(modulate(drive, own.get("bias"), own.get("gain")))
            below = pooled_maximum(maps[-1], pool)
            pooled.append(below)
        own = flows(FULL)
        full = modulate(self.fc1(below.flatten(1)), own.get("bias"), own.get("gain"))
        return StackState(image, tuple(maps), tuple(pooled), full)


def xavier(layer: _Layer) -> _Layer:
    """Return the layer with its weights drawn anew from Xavier's uniform distribution, and its biases at zero."""
    nn.init.xavier_uniform_(layer.weight)
    assert layer.bias is not None
    nn.init.zeros_(layer.bias)
    return layer


def _connecting(settings: ModulatedStackSettings, connection: Connection) -> nn.Module:
    """Return the module of a connection."""
    sizes = dict(zip(settings.layers[1:-1], settings.maps(), strict=True))
    source, target = sizes.get(connection.source), sizes.get(connection.target)
    if connection.pathway == "lateral" and source is not None:
        return xavier(nn.Conv2d(source.channels, source.channels, settings.kernel, padding=settings.kernel // 2))
    if target is None:
        units, channels, pixels = settings.hidden, 1, settings.input_size
    else:
        units, channels, pixels = target.channels * target.pixels**2, target.channels, target.pixels
    if source is not None:
        # As published it keeps torch's own start: its type is no subclass of the convolution's.
        return nn.ConvTranspose2d(source.channels, channels, *upward_window(source.pooled, pixels))
    units = settings.hidden if connection.target == FULL else channels * pixels**2
    return xavier(nn.Linear(settings.hidden, units))
