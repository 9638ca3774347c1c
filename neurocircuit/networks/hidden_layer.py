"""Classifiers with one hidden layer, whose units may have learned without a teacher, and the linear control."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from neurocircuit.training import seeded

__all__ = ["HiddenLayer", "HiddenLayerClassifier", "linear_control", "new_read_out"]


class HiddenLayer(nn.Module):
    r"""Rectified currents to a power, :math:`h_\mu = s \, [\langle W_\mu, v\rangle]_+^n`.

    This is Eq. 1 of Krotov and Hopfield [1]_ with a scale *s* common to all units, which a read-out makes up for: large
    powers of small currents would be too small for the usual step sizes of an optimiser.

    Parameters
    ----------
    weights : (hidden, input) tensor
        ``weights[post, pre]``; copied.
    p : float
        Lebesgue norm of the inner product; see `neurocircuit.plasticity.currents`.
    power : float
        The power *n*; at least 1, below which the slope at 0 has no bound.
    scale : float
        The scale *s*; above 0.
    trained : bool
        Whether the weights are parameters that an optimiser changes. Otherwise they stay what they are.

    Raises
    ------
    ValueError
        If an argument is not allowed, or a weight is not finite.

    Notes
    -----
    The scale is a buffer and `p` and `power` are in the state too, so that a layer that a state is loaded into gives
    the numbers of the layer that it came from.

    References
    ----------
    .. [1] D. Krotov and J. J. Hopfield, "Unsupervised learning by competing hidden units", PNAS 116, 7723 (2019).

    Examples
    --------
    >>> HiddenLayer(torch.tensor([[1.0, 0.0], [-1.0, 0.0]]), power=2.0)(torch.tensor([[3.0, 4.0]]))
    tensor([[9., 0.]])
    """

    weights: Tensor
    scale: Tensor

    def __init__(
        self, weights: Tensor, *, p: float = 2.0, power: float = 1.0, scale: float = 1.0, trained: bool = False
    ) -> None:
        super().__init__()
        if weights.ndim != 2 or not weights.numel():
            raise ValueError(f"`weights` has the shape {tuple(weights.shape)}; it must be (hidden, input).")
        if not torch.isfinite(weights).all():
            raise ValueError("`weights` has values that are NaN or infinite; train the units again.")
        for name, value, least in (("p", p, 1), ("power", power, 1)):
            if not (value >= least and math.isfinite(value)):
                raise ValueError(f"`{name}` is {value}; it must be at least {least}.")
        if not (scale > 0 and math.isfinite(scale)):
            raise ValueError(f"`scale` is {scale}; it must be above 0.")
        copy = weights.detach().clone()
        if trained:
            self.weights = nn.Parameter(copy)
        else:
            self.register_buffer("weights", copy)
        self.register_buffer("scale", torch.tensor(float(scale), dtype=copy.dtype, device=copy.device))
        self.p, self.power = float(p), float(power)

    def get_extra_state(self) -> Tensor:
        """Return p and power, as a tensor because files of weights hold nothing else."""
        return torch.tensor([self.p, self.power], dtype=torch.float64)

    def set_extra_state(self, state: Tensor) -> None:
        """Take p and power from a state."""
        self.p, self.power = state.tolist()

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the activities, (batch, hidden), of flat inputs, (batch, input).

        Raises
        ------
        ValueError
            If they are NaN or infinite; not looked for while the weights are trained, where the loss shows it.
        """
        # Not at the top of the module: `import neurocircuit` gets here, and must not import scikit-learn as well.
        from neurocircuit.plasticity.rank_rule import currents

        found = currents(self.weights, inputs, self.p)
        activities = found.relu()
        if self.power != 1:
            activities = activities**self.power
        activities = self.scale * activities
        trained = self.training and isinstance(self.weights, nn.Parameter)
        # The currents too, because -inf is rectified to 0.
        if not trained and not (torch.isfinite(found).all() and torch.isfinite(activities).all()):
            raise ValueError(
                f"`inputs` give activities that are NaN or infinite, with the power {self.power:g}. Repair inputs that "
                "are not finite, and prepare all with `CentredUnitNorm`, which scales them to unit norm, or lower "
                "`power`."
            )
        return activities

    def scaled_to(self, inputs: Tensor, chunk: int = 1000) -> HiddenLayer:
        """Return the layer with the scale at which its activities over these inputs have a mean square of 1.

        Parameters
        ----------
        inputs : (batch, input) tensor
            Training images.
        chunk : int
            Images that are computed at a time.

        Raises
        ------
        ValueError
            If no unit answers any of them.
        """
        with torch.no_grad():
            squares = sum(self(part).double().square().sum().item() for part in torch.split(inputs, chunk))
        if not (squares > 0 and math.isfinite(squares)):
            raise ValueError(
                f"`inputs` give activities whose squares sum up to {squares}. Scale them to unit norm, or lower "
                f"`power` from {self.power:g}."
            )
        scale = float(self.scale) * math.sqrt(len(inputs) * len(self.weights) / squares)
        trained = isinstance(self.weights, nn.Parameter)
        return HiddenLayer(self.weights, p=self.p, power=self.power, scale=scale, trained=trained)

    def extra_repr(self) -> str:
        """Return sizes and settings."""
        hidden, inputs = self.weights.shape
        return f"{inputs}, {hidden}, p={self.p:g}, power={self.power:g}, scale={float(self.scale):.4g}"


class HiddenLayerClassifier(nn.Module):
    """A hidden layer and a linear read-out of its activities.

    With a hidden layer that is not trained, a read-out can be trained by itself on activities that are computed once;
    put together they give the same numbers as in one module.

    Parameters
    ----------
    hidden : HiddenLayer
        The hidden layer.
    read_out : nn.Linear, optional
        From hidden units to classes. Without one the model has no answers yet.

    Raises
    ------
    ValueError
        If the read-out is for another number of hidden units.
    """

    def __init__(self, hidden: HiddenLayer, read_out: nn.Linear | None = None) -> None:
        super().__init__()
        units = len(hidden.weights)
        if read_out is not None and read_out.in_features != units:
            raise ValueError(f"`read_out` is for {read_out.in_features} hidden units, but `hidden` has {units}.")
        self.hidden = hidden
        self.read_out = read_out

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the logits, (batch, class), of flat inputs, (batch, input).

        Raises
        ------
        ValueError
            If the model has no read-out.
        """
        if self.read_out is None:
            raise ValueError(
                "This model has no `read_out`, so that it cannot answer: train one on the activities of `hidden`, and "
                "make the model with it."
            )
        logits: Tensor = self.read_out(self.hidden(inputs))
        return logits


def new_read_out(n_hidden: int, n_classes: int, seed: int = 0) -> nn.Linear:
    """Return an untrained linear read-out with torch's usual start, which follows from the seed.

    Parameters
    ----------
    n_hidden, n_classes : int
        Numbers of inputs and outputs.
    seed : int
        At least 0.
    """
    with seeded(seed):
        return nn.Linear(n_hidden, n_classes)


def linear_control(n_inputs: int, n_classes: int, seed: int = 0) -> nn.Sequential:
    """Return the control without a hidden layer: batch norm of every input, and a linear read-out.

    Parameters
    ----------
    n_inputs, n_classes : int
        Numbers of inputs and outputs.
    seed : int
        At least 0.
    """
    return nn.Sequential(nn.BatchNorm1d(n_inputs), new_read_out(n_inputs, n_classes, seed))
