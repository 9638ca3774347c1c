"""Time of a training step of the CT-RNN, against a transcription of the layers of the field's tutorial.

Both sides run in one process on the same weights and inputs, and are checked to agree, without noise, before they are
timed with it.

Table written:

``step``
    Forward pass, backward pass and optimiser step of 200 units over 500 time steps with batches of 64 trials, for each
    activation. The transcription forms the signed weights by a product with the diagonal matrix of signs, and maps the
    inputs, at every time step.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
import torch.nn.functional as F
import tyro
from harness import Row, check_equal, median_times, print_table, save_tables

from neurocircuit import cli
from neurocircuit.equations import FUNCTIONS
from neurocircuit.networks import CTRNN, CTRNNSettings

SEED = 0
#: float32 over 500 steps.
TOLERANCE = 1e-4


@dataclass(frozen=True)
class Config:
    """Options of the benchmark."""

    output: Path = Path("outputs/benchmarks")
    """Folder for the tables."""
    quick: bool = False
    """A small network and few repeats, to see that everything runs; the times mean nothing."""
    repeats: int = 5
    """Timed calls of each side; the median counts."""


def main(config: Config) -> None:
    """Compare both sides, print the table and write it."""
    cli.check_output_folder(config.output)
    units, steps, trials = (20, 10, 4) if config.quick else (200, 500, 64)
    repeats = 1 if config.quick else config.repeats
    rows = [training_step(activation, units, steps, trials, repeats) for activation in ("sigmoid", "relu")]
    print_table(f"step ({torch.get_num_threads()} threads)", rows)
    settings = {"quick": config.quick, "repeats": repeats, "tolerance": TOLERANCE}
    save_tables(config.output, "ctrnn_step", {"step": rows}, seed=SEED, **settings)


def training_step(activation: str, units: int, steps: int, trials: int, repeats: int) -> Row:
    """Return the times of a training step of the library and of the transcription."""
    settings = CTRNNSettings(
        n_inputs=4,
        n_outputs=1,
        n_units=units,
        activation=activation,
        parametrisation="relu",
        noise_scaling="tutorial",
        readout="all",
    )
    network = CTRNN(settings, SEED)
    generator = torch.Generator().manual_seed(SEED)
    inputs = torch.randn((trials, steps, 4), generator=generator)
    targets = torch.randn((trials, steps, 1), generator=generator)
    optimizer = torch.optim.Adam([p for p in network.parameters() if p.requires_grad])
    network.eval()
    found, expected = network(inputs).detach(), transcription(network, inputs, noisy=False).detach()
    scale = float(expected.abs().max())
    difference = check_equal(f"outputs, {activation}", found / scale, expected / scale, TOLERANCE)
    network.train()

    def step(forward: Callable[[torch.Tensor], torch.Tensor]) -> None:
        optimizer.zero_grad()
        F.mse_loss(forward(inputs), targets).backward()
        optimizer.step()

    sides = {"library": network, "transcription": partial(transcription, network, noisy=True)}
    seconds = median_times({name: partial(step, forward) for name, forward in sides.items()}, repeats)
    return {
        "activation": activation,
        "units": units,
        "time_steps": steps,
        "trials": trials,
        "library_s": seconds["library"],
        "transcription_s": seconds["transcription"],
        "times_faster": seconds["transcription"] / seconds["library"],
        "difference": difference,
    }


def transcription(network: CTRNN, inputs: torch.Tensor, noisy: bool) -> torch.Tensor:
    """Return the outputs of a network, computed layer by layer at every time step as the tutorial does."""
    settings, raw = network.settings, network.recurrent.raw
    alpha = settings.step / network.tau
    signs = torch.diag(network.recurrent.sign)
    phi = FUNCTIONS["rectify" if settings.activation == "relu" else settings.activation].torch
    state = torch.zeros(inputs.shape[0], settings.n_units)
    rates = phi(state)
    outputs = []
    for at in range(inputs.shape[1]):
        effective = torch.relu(raw * network.recurrent.mask) @ signs
        recurrent = F.linear(rates, effective, network.bias)
        external = F.linear(inputs[:, at], network.input_weights, network.input_bias)
        state = state * (1 - alpha) + alpha * (recurrent + external)
        if noisy:
            state = state + alpha * settings.noise * torch.randn_like(state)
        rates = phi(state)
        if noisy:
            rates = rates + settings.rate_noise * torch.randn_like(rates)
        outputs.append(F.linear(rates, network.output_weights, network.output_bias))
    return torch.stack(outputs, 1)


if __name__ == "__main__":
    with cli.one_line_errors():
        main(tyro.cli(Config, description=__doc__))
