"""The recurrent recogniser: a convolutional network that connections from its own past steps modulate."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import torch
from torch import Tensor, nn

from neurocircuit.cells.modulated import Flows, ModulatedStack, StackState, xavier
from neurocircuit.cells.modulated_settings import ModulatedStackSettings, Modulation
from neurocircuit.checks import check_whole
from neurocircuit.networks.recogniser_replacements import Replacements, check_replacements
from neurocircuit.tables import Row
from neurocircuit.training.seeding import seeded

__all__ = ["PUBLISHED_RECOGNISER", "RecogniserRun", "RecogniserSettings", "RecurrentRecogniser"]

#: What `RecurrentRecogniser.run` can keep.
RECORDS = ("activations", "flows")

_NONE: Replacements = MappingProxyType({})
_LEAST = 1e-10


@dataclass(frozen=True, kw_only=True)
class RecogniserSettings(ModulatedStackSettings):
    """Everything that defines a recurrent recogniser but its weights; the defaults are the published gain network.

    Raises
    ------
    ValueError
        If a value is not allowed, or the image is too small for a layer.
    TypeError
        If a size is not an integer, or the flags are no text.
    """

    classes: int = 20
    """Number of classes."""
    time_steps: int = 4
    """Number of sweeps; the last layer's output of all of them is read out."""

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "classes", check_whole("classes", self.classes, 2))
        object.__setattr__(self, "time_steps", check_whole("time_steps", self.time_steps))


#: The published network with gain modulation, with all the parameters that its files have.
PUBLISHED_RECOGNISER = RecogniserSettings(compat=True)


@dataclass(frozen=True)
class RecogniserRun:
    """What a network did with a batch of images; what was not asked for is empty."""

    log_probabilities: Tensor
    """(batch, class)"""
    activations: Mapping[str, Mapping[int, Tensor]]
    """Of each layer (input, conv1, conv2, ..., fc) at each step from 1: (batch, channel, y, x) after pooling, or
    (batch, unit)."""
    flows: Mapping[str, Mapping[int, Mapping[Modulation, Tensor]]]
    """Into each layer that is modulated, at each step from 2, by kind, bias or gain: the sum of its lateral and
    top-down connections, of the shape of the layer before pooling."""


class RecurrentRecogniser(ModulatedStack):
    """The network of Thorat, Aldegheri and Kietzmann (2021), at any size.

    Parameters
    ----------
    settings : RecogniserSettings
        What it is.
    seed : int
        Of the weights; at least 0. The weights of live connections do not depend on `compat`.

    Raises
    ------
    TypeError, ValueError
        If the seed is no whole number of at least 0, or the settings are of another class.

    References
    ----------
    Thorat, Aldegheri and Kietzmann (2021), Category-orthogonal object features guide information processing in
    recurrent neural networks trained for object categorization, arXiv 2111.07898. :cite:p:`thorat2021`
    """

    settings: RecogniserSettings
    fc2: nn.Linear

    def __init__(self, settings: RecogniserSettings, *, seed: int = 0) -> None:
        if not isinstance(settings, RecogniserSettings):
            raise TypeError(f"`settings` is {settings!r}; it must be RecogniserSettings, such as PUBLISHED_RECOGNISER.")
        with seeded(check_whole("seed", seed, 0)):
            # Before the connections, of which there may be some without effect.
            read_out = xavier(nn.Linear(settings.time_steps * settings.hidden, settings.classes))
            super().__init__(settings)
        self.fc2 = read_out

    def forward(self, images: Tensor) -> Tensor:
        """Return the logarithms of the classes' probabilities, (batch, class), none below that of 1e-10.

        They are of single precision at least, also where the network is of half precision or runs under autocast.

        Parameters
        ----------
        images : Tensor
            Grey images (batch, 1, y, x), from 0 to 1.

        Raises
        ------
        ValueError
            If the images are of another size, or have other values.
        TypeError
            If they are no tensor, or of another dtype than the network.
        """
        return self._read_out([state.full for state in self._unroll(self.check_images(images), _NONE, None)])

    def run(
        self, images: Tensor, record: Collection[str] = RECORDS, replace: Replacements | None = None
    ) -> RecogniserRun:
        """Return what the network does, step by step; under ``torch.no_grad`` there is no graph of it.

        Parameters
        ----------
        images : Tensor
            Grey images (batch, 1, y, x), from 0 to 1.
        record : collection of {"activations", "flows"}
            What is kept.
        replace : mapping from (layer, step) to mapping from {"bias", "gain"} to Tensor, optional
            Flows that stand in for the network's own sums, such as those of another run; a kind that is left out stays.
            Steps before are as without, those after follow from it.

        Raises
        ------
        ValueError
            If the images are of another size or have other values, something unknown is to be recorded, or flows are to
            be replaced at an unknown layer, at a step that has none, of a kind that does not modulate the layer, or by
            some of another shape.
        TypeError
            If the images are no tensor or of another dtype than the network, or what is to be replaced is of another
            type than above.
        """
        unknown = [name for name in record if name not in RECORDS] if not isinstance(record, str) else [record]
        if unknown:
            raise ValueError(f"`record` has {unknown[0]!r}; it must be a collection of {', '.join(RECORDS)}.")
        images = self.check_images(images)
        replace = replace or _NONE
        check_replacements(self, replace, len(images), self.settings.time_steps)
        activations: dict[str, dict[int, Tensor]] = {}
        flows: dict[str, dict[int, Flows]] | None = {} if "flows" in record else None
        read = []
        for step, state in enumerate(self._unroll(images, replace, flows), 1):
            read.append(state.full)
            if "activations" in record:
                for layer, activation in state.activations().items():
                    activations.setdefault(layer, {})[step] = activation
        return RecogniserRun(self._read_out(read), activations, flows or {})

    def connections(self) -> list[Row]:
        """Return one row a connection that modulates, with its number of parameters."""
        return [
            {
                "name": connection.name,
                "source": connection.source,
                "target": connection.target,
                "pathway": connection.pathway,
                "modulation": connection.modulation,
                "live": connection.live,
                "parameters": sum(weight.numel() for weight in self.get_submodule(connection.name).parameters()),
            }
            for connection in self.settings.connections()
        ]

    def _unroll(
        self, images: Tensor, replace: Replacements, flows: dict[str, dict[int, Flows]] | None
    ) -> Iterator[StackState]:
        """Yield the state after every sweep, and note the flows in `flows` if they are wanted."""
        drive, senders = self.rise(1, images), self.senders()
        state = self.sweep(images, drive, lambda layer: {})
        yield state
        for step in range(2, self.settings.time_steps + 1):
            # Without modulation every sweep is the same.
            if self._into:
                before = state

                def into(layer: str, step: int = step, before: StackState = before) -> Flows:
                    own = replace.get((layer, step), {})
                    found: Flows = {
                        kind: own[kind] if kind in own else self.flow(before, layer, kind, senders)
                        for kind in self.modulations(layer)
                    }
                    if flows is not None and found:
                        flows.setdefault(layer, {})[step] = found
                    return found

                state = self.sweep(images, drive, into)
            yield state

    def _read_out(self, full: list[Tensor]) -> Tensor:
        found = self.fc2(torch.cat(full, 1))
        # In half precision the bound would be zero, and its logarithm infinite.
        probabilities = torch.softmax(found.to(torch.promote_types(found.dtype, torch.float32)), 1)
        return probabilities.clamp(_LEAST, 1).log()

    def check_images(self, images: Tensor) -> Tensor:
        """Return images that the network can take.

        Raises
        ------
        TypeError
            If they are no tensor, or of another dtype than the network.
        ValueError
            If they are of another size, or have values below 0 or above 1.
        """
        if not isinstance(images, Tensor):
            raise TypeError(f"`images` is a {type(images).__name__}; it must be a torch tensor, such as of from_numpy.")
        size = self.settings.input_size
        if images.ndim != 4 or tuple(images.shape[1:]) != (1, size, size):
            raise ValueError(
                f"`images` has the shape {tuple(images.shape)}; expected grey images, (batch, 1, {size}, {size}). "
                "Build the network with their `input_size`."
            )
        if images.dtype != self.fc2.weight.dtype:
            raise TypeError(
                f"`images` is of {images.dtype} and the network of {self.fc2.weight.dtype}. Convert one of them; "
                "divide 8-bit images by 255."
            )
        if not torch.compiler.is_compiling() and not bool(((images >= 0) & (images <= 1)).all()):
            raise ValueError(
                f"`images` holds values from {float(images.min()):g} to {float(images.max()):g}; they must be from 0 "
                "to 1. Divide 8-bit images by 255."
            )
        return images
