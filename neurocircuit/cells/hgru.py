"""The horizontal gated recurrent unit (hGRU): the contextual circuit's recurrence with learned gates.

One step goes from the drive X and the last states to the new ones. The equations are in
`neurocircuit.cells.hgru_equations`; here is what they are applied to: kernels, gates, batch norms and their start.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from typing import Literal, get_args

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from neurocircuit.cells.hgru_circuit import circuit_coefficients, circuit_laterals
from neurocircuit.cells.hgru_equations import (
    COEFFICIENTS,
    FORMS,
    LESIONS,
    HGRUState,
    InitialState,
    Lesion,
    Shunt,
    UpdateOrder,
    Variant,
    excite,
    inhibit,
    mix,
)
from neurocircuit.cells.lateral import Convolution, LateralConv2d, Method
from neurocircuit.checks import check_whole
from neurocircuit.circuits import Circuit
from neurocircuit.connectivity import Boundary

__all__ = ["HGRUCell"]

# Batch norm of the notebook: scale at the start, epsilon, momentum (torch's sense).
_NORM_SCALE, _NORM_EPSILON, _NORM_MOMENTUM = 0.1, 1e-3, 0.1
# Which of a step's four batch norms stands where.
_GAIN, _INHIBITION, _MIX, _EXCITATION = range(4)


class HGRUCell(nn.Module):
    """One step of the hGRU, and its unrolling over time.

    Parameters
    ----------
    channels : int
        Number of feature channels K.
    kernel_size : int
        Width of the lateral kernel in pixels; odd. The default is the published one.
    steps : int
        Number T of time steps that the cell has batch norms, time gains and gate biases for.
    variant : {"paper", "batchnorm"}
        A key of `FORMS`. Cells of the third form, ``"circuit"``, are made by `from_circuit`, which has their weights.
    shunt : {"h2", "h1"}
        State in the shunting term: H2, as in the hGRU, or H1, as in the differential equation.
    update : {"staggered", "simultaneous"}
        Whether excitation sees the new H1 or the old one.
    symmetric : bool, optional
        Whether W is the same in both directions between two channels, by parametrisation; by default in ``"paper"``.
    boundary : {"zero", "reflect", "periodic"}
        What lies beyond the border; the published code pads with zeros.
    method : {"auto", "direct", "fft"}
        How the lateral convolution is computed; see `lateral_conv2d`.
    lesion : {"additive", "multiplicative"}, optional
        Holds mu and kappa, or alpha and omega, at zero. Without kappa the official code, which multiplies both, loses
        its linear excitation as well; here gamma stands alone.
    initial_state : {"zeros", "xavier", "learned"}
        H2 before the first step: zeros, as in the paper; noise, as in its code, of the standard deviation that
        Xavier's rule gives for a batch of any size (drawn anew at every call, so results differ from run to run); or a
        learned value per channel.
    gain_bias : {"official", "paper"}
        Sign of the chronos bias of the gain gate: ``-log u`` in the official code, ``log u`` in the paper, with u
        uniform between 1 and T - 1. The bias of the mixing gate is ``-log u`` in both, which retains memory.
    norm_bias : bool
        In ``"batchnorm"``, whether the chronos bias of the mixing gate is put where batch norm does not cancel it: on
        batch norm's own shift. Off, as published, the gates start near one half whatever their biases.
    recompute : bool
        Whether the backward pass computes each step anew instead of keeping it: less memory, more time.

    Raises
    ------
    TypeError, ValueError
        If an argument is not as described; the message names it.

    References
    ----------
    Linsley, Kim, Veerabadran and Serre (2018), NeurIPS. :cite:p:`linsley2018`
    """

    alpha: torch.Tensor
    mu: torch.Tensor
    gamma: torch.Tensor
    kappa: torch.Tensor
    omega: torch.Tensor
    drive_gain: torch.Tensor
    constant_mix: torch.Tensor

    def __init__(
        self,
        channels: int,
        kernel_size: int = 15,
        steps: int = 8,
        *,
        variant: Variant = "batchnorm",
        shunt: Shunt = "h2",
        update: UpdateOrder = "staggered",
        symmetric: bool | None = None,
        boundary: Boundary = "zero",
        method: Method = "auto",
        lesion: Lesion | None = None,
        initial_state: InitialState = "zeros",
        gain_bias: Literal["official", "paper"] = "official",
        norm_bias: bool = False,
        recompute: bool = False,
    ) -> None:
        super().__init__()
        _check_choices(variant=variant, shunt=shunt, update=update, initial_state=initial_state, gain_bias=gain_bias)
        if lesion is not None and lesion not in LESIONS:
            raise ValueError(f"`lesion` is {lesion!r}; it must be None or one of {', '.join(LESIONS)}.")
        check_whole("channels", channels)
        check_whole("steps", steps)
        form = FORMS[variant]
        if norm_bias and not form.norm:
            raise ValueError(f"`norm_bias` is True, but the variant {variant!r} has no batch norm; leave it False.")
        symmetric = variant == "paper" if symmetric is None else symmetric
        kernels = [
            LateralConv2d(channels, kernel_size, symmetric=symmetric, boundary=boundary, method=method)
            for _ in range(1 if form.shared_kernel else 2)
        ]
        self._build(
            variant,
            channels,
            steps,
            kernels[0],
            kernels[-1],
            shunt=shunt,
            update=update,
            lesion=lesion,
            initial_state=initial_state,
        )
        self.recompute = recompute
        self._reset(gain_bias, norm_bias)

    def _build(
        self,
        variant: str,
        channels: int,
        steps: int,
        inhibition: LateralConv2d,
        excitation: LateralConv2d,
        *,
        shunt: Shunt,
        update: UpdateOrder,
        lesion: Lesion | None = None,
        initial_state: InitialState = "zeros",
    ) -> None:
        """Make the parts of a cell of any form, with zeros or ones for weights where torch draws none."""
        self.form = FORMS[variant]
        self.channels, self.steps, self.variant, self.lesion = channels, steps, variant, lesion
        self.shunt, self.update, self.recompute = shunt, update, False
        self.initial_state = initial_state
        self.inhibition, self.excitation = inhibition, excitation
        for name in COEFFICIENTS:
            value = torch.zeros(channels, 1, 1)
            if lesion is not None and name in LESIONS[lesion]:
                self.register_buffer(name, value, persistent=False)
            else:
                self.register_parameter(name, nn.Parameter(value))
        if self.form.gated:
            self.gain_gate, self.mix_gate = nn.Conv2d(channels, channels, 1), nn.Conv2d(channels, channels, 1)
        else:
            self.register_buffer("drive_gain", torch.ones(()))
            self.register_buffer("constant_mix", torch.ones(()))
        if self.form.norm:
            self.norms = nn.ModuleList(_norm(channels) for _ in range(4 * steps))
        if self.form.time_gains:
            self.time_gains = nn.Parameter(torch.ones(steps))
        if initial_state == "learned":
            self.start = nn.Parameter(torch.zeros(channels, 1, 1))

    @torch.no_grad()
    def _reset(self, gain_bias: str, norm_bias: bool) -> None:
        """Draw the weights at the start; the table in docs/explanation/hgru.rst says where each rule comes from."""
        # One of them if they are shared.
        for kernel in dict.fromkeys((self.inhibition, self.excitation)):
            (nn.init.xavier_uniform_ if self.variant == "paper" else nn.init.orthogonal_)(kernel.weight)
        for gate in (self.gain_gate, self.mix_gate):
            (nn.init.xavier_uniform_ if self.variant == "paper" else nn.init.orthogonal_)(gate.weight)
        # The longest memory that T steps can show: a time constant between 1 and T - 1 steps.
        log_time = torch.empty(self.channels).uniform_(1, max(self.steps - 1, 1)).log_()
        _fill(self.gain_gate.bias, -log_time if gain_bias == "official" else log_time)
        _fill(self.mix_gate.bias, -log_time)
        if norm_bias:
            for step in range(self.steps):
                _fill(self._norm(step, _MIX).bias, -log_time)
        xavier = math.sqrt(6 / (1 + self.channels))
        published = {"alpha": 0.1, "gamma": 1.0, "kappa": 0.5, "omega": 0.5, "mu": 1.0}
        for name in COEFFICIENTS:
            if isinstance(value := getattr(self, name), nn.Parameter):
                value.uniform_(-xavier, xavier) if self.variant == "paper" else value.fill_(published[name])

    @classmethod
    def from_circuit(
        cls,
        circuit: Circuit,
        *,
        channels: int,
        shunt: Shunt = "h1",
        update: UpdateOrder = "simultaneous",
        mix_gate: float = 1.0,
        method: Method = "auto",
    ) -> HGRUCell:
        """Return the cell whose ungated limit is the two-pool circuit at the step ``eta / epsilon**2``.

        Parameters
        ----------
        circuit : Circuit
            A circuit of `neurocircuit.circuits.two_pool_circuit`.
        channels : int
            Number of feature channels K.
        shunt : {"h1", "h2"}
            State in the shunting term; ``"h1"`` is the circuit's, ``"h2"`` the hGRU's.
        update : {"simultaneous", "staggered"}
            Whether H2 is updated from the old H1 or from the new one.
        mix_gate : float
            Constant gate of H2, above 0 and at most 1. At 1 the recurrence is the circuit's; a gate of ``epsilon**2 h
            / eta`` is Euler's method with step h for H2, while H1 follows at once, as it does in the hGRU.
        method : {"auto", "direct", "fft"}
            How the lateral convolution is computed.

        Returns
        -------
        HGRUCell
            In float64.

        Raises
        ------
        TypeError, ValueError
            If the circuit is another one, a pool is lesioned, no step cancels both leaks, or another argument is not
            as described.
        """
        _check_choices(shunt=shunt, update=update)
        check_whole("channels", channels)
        if not 0 < mix_gate <= 1:
            raise ValueError(f"`mix_gate` is {mix_gate!r}; it must be above 0 and at most 1.")
        laterals = circuit_laterals(circuit, channels, method)
        values = circuit_coefficients(circuit) | {"constant_mix": mix_gate}
        # Not by the constructor, whose cells start from random weights.
        cell = cls.__new__(cls)
        nn.Module.__init__(cell)
        cell._build("circuit", channels, 1, *laterals, shunt=shunt, update=update)
        cell.double()
        with torch.no_grad():
            for name, value in values.items():
                getattr(cell, name).fill_(value)
        return cell

    def extra_repr(self) -> str:
        """Return what tells this cell from another."""
        return f"{self.channels}, steps={self.steps}, variant={self.variant!r}, lesion={self.lesion!r}"

    def initial(self, drive: torch.Tensor) -> HGRUState:
        """Return the states before the first step, of the shape of the drive."""
        nothing = torch.zeros_like(drive)
        if self.initial_state == "xavier":
            # Xavier's normal rule for a weight of the shape (channel, channel, y, x).
            fan = self.channels * drive.shape[-2] * drive.shape[-1]
            return HGRUState(nothing, torch.randn_like(drive) * math.sqrt(2 / (2 * fan)))
        if self.initial_state == "learned":
            return HGRUState(nothing, self.start.expand_as(drive))
        return HGRUState(nothing, nothing)

    def forward(self, drive: torch.Tensor, state: HGRUState | None = None, step: int = 0) -> HGRUState:
        """Take one step.

        Parameters
        ----------
        drive : (batch, channel, y, x) tensor
            X, constant in time.
        state : HGRUState, optional
            The last states; by default the initial ones.
        step : int
            Index of the time step, from 0; chooses batch norms and time gain.
        """
        self._check(drive, step + 1, state)
        return self._advance(drive, self.initial(drive) if state is None else state, step, *self._prepare(drive))

    def unroll(
        self, drive: torch.Tensor, state: HGRUState | None = None, steps: int | None = None
    ) -> Iterator[HGRUState]:
        """Return an iterator over the states after 1, 2, ... steps; the kernels are transformed once.

        Parameters
        ----------
        drive : (batch, channel, y, x) tensor
            X, constant in time.
        state : HGRUState, optional
            States before the first step.
        steps : int, optional
            Number of steps; by default T. A cell with batch norm or time gains has at most T.

        Raises
        ------
        ValueError
            If the drive does not fit the cell, or there are more steps than batch norms or time gains.
        """
        count = self.steps if steps is None else steps
        self._check(drive, count, state)
        state = self.initial(drive) if state is None else state
        convolutions = self._prepare(drive)
        return self._unrolled(drive, state, count, convolutions)

    def _unrolled(
        self, drive: torch.Tensor, state: HGRUState, count: int, convolutions: tuple[Convolution, Convolution]
    ) -> Iterator[HGRUState]:
        for step in range(count):
            if self.recompute and torch.is_grad_enabled():
                contexts = lambda step=step: (contextlib.nullcontext(), self._statistics_kept(step))  # noqa: E731
                found = checkpoint(
                    self._advance, drive, state, step, *convolutions, use_reentrant=False, context_fn=contexts
                )
                state = HGRUState(*found)
            else:
                state = self._advance(drive, state, step, *convolutions)
            yield state

    def _advance(
        self, drive: torch.Tensor, state: HGRUState, step: int, inhibition: Convolution, excitation: Convolution
    ) -> HGRUState:
        gated = state.h2
        if self.form.gated:
            gated = self.gain(state.h2, step) * state.h2
        c1 = self._normed(inhibition(gated), step, _INHIBITION)
        shunted = state.h1 if self.shunt == "h1" else state.h2
        x = drive if self.form.gated else self.drive_gain * drive
        h1 = inhibit(self.form, x, c1, shunted, self.alpha, self.mu)
        source = h1 if self.update == "staggered" else state.h1
        c2 = self._normed(excitation(source), step, _EXCITATION)
        candidate = excite(self.form, source, c2, self.gamma, self.kappa, self.omega)
        if self.form.gated:
            h2 = mix(state.h2, candidate, self.mixing(source, step))
        else:
            h2 = mix(state.h2, candidate, self.constant_mix)
        return HGRUState(h1, h2 * self.time_gains[step] if self.form.time_gains else h2)

    def gain(self, h2: torch.Tensor, step: int) -> torch.Tensor:
        """Return the gate G1 of a step, (batch, channel, y, x), from the last H2; a cell without gates has none."""
        return torch.sigmoid(self._normed(self.gain_gate(h2), step, _GAIN))

    def mixing(self, source: torch.Tensor, step: int) -> torch.Tensor:
        """Return the gate G2 of a step, (batch, channel, y, x), from the H1 that excites in it."""
        return torch.sigmoid(self._normed(self.mix_gate(source), step, _MIX))

    def _prepare(self, drive: torch.Tensor) -> tuple[Convolution, Convolution]:
        shape = (drive.shape[0], drive.shape[2], drive.shape[3])
        inhibition = self.inhibition.prepare(shape)
        return inhibition, inhibition if self.form.shared_kernel else self.excitation.prepare(shape)

    def _norm(self, step: int, place: int) -> nn.BatchNorm2d:
        norm = self.norms[4 * step + place]
        assert isinstance(norm, nn.BatchNorm2d | nn.SyncBatchNorm)
        return norm  # type: ignore[return-value]

    def _normed(self, field: torch.Tensor, step: int, place: int) -> torch.Tensor:
        if not self.form.norm:
            return field
        normed: torch.Tensor = self._norm(step, place)(field)
        return normed

    @contextlib.contextmanager
    def _statistics_kept(self, step: int) -> Iterator[None]:
        """Undo what computing a step anew would add to the running statistics of its batch norms a second time."""
        places = range(4) if self.form.norm else range(0)
        buffers = [buffer for place in places for buffer in self._norm(step, place).buffers()]
        before = [buffer.clone() for buffer in buffers]
        # Torch leaves the computation by an exception once it has all it needs, so what follows must not be skipped.
        try:
            yield
        finally:
            for buffer, value in zip(buffers, before, strict=True):
                buffer.copy_(value)

    def _check(self, drive: torch.Tensor, count: int, state: HGRUState | None) -> None:
        if drive.ndim != 4 or drive.shape[1] != self.channels:
            raise ValueError(
                f"`drive` has the shape {tuple(drive.shape)}; this cell needs (batch, {self.channels}, y, x)."
            )
        for name, values in () if state is None else zip(HGRUState._fields, state, strict=True):
            if values.shape != drive.shape:
                raise ValueError(
                    f"`state.{name}` has the shape {tuple(values.shape)}; it must be the drive's, {tuple(drive.shape)}."
                )
        limited = self.form.norm or self.form.time_gains
        if count < 1 or (limited and count > self.steps):
            what = "batch norms" if self.form.norm else "time gains"
            raise ValueError(
                f"`steps` is {count}; this cell has {what} for {self.steps} time steps. Use 1 to {self.steps}, or make "
                f"the cell with steps={count}."
            )


def _norm(channels: int) -> nn.BatchNorm2d:
    norm = nn.BatchNorm2d(channels, eps=_NORM_EPSILON, momentum=_NORM_MOMENTUM)
    nn.init.constant_(norm.weight, _NORM_SCALE)
    return norm


def _fill(parameter: torch.Tensor | None, values: torch.Tensor) -> None:
    assert parameter is not None
    parameter.copy_(values)


def _check_choices(**given: str) -> None:
    allowed = {
        "variant": get_args(Variant),
        "shunt": get_args(Shunt),
        "update": get_args(UpdateOrder),
        "initial_state": get_args(InitialState),
        "gain_bias": ("official", "paper"),
    }
    for name, value in given.items():
        if value not in allowed[name]:
            hint = " Use HGRUCell.from_circuit for the cell of a circuit." if value == "circuit" else ""
            raise ValueError(f"`{name}` is {value!r}; it must be one of {', '.join(allowed[name])}.{hint}")
