"""Training of competing hidden units: the order of the images from the seed, checkpoints, resuming."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor
from tqdm import tqdm

from neurocircuit.checks import check_whole
from neurocircuit.plasticity.convergence import NEAR
from neurocircuit.plasticity.images import check_images
from neurocircuit.plasticity.rank_rule import RankLearner, RankRule, initial_weights, unit_norms
from neurocircuit.training.checkpoints import has_run, load_newest, save_checkpoint, tidy
from neurocircuit.training.config import resolve_device
from neurocircuit.training.environment import run_environment, warn_of_changes
from neurocircuit.training.seeding import permutation

__all__ = ["Precision", "check_images", "train_units"]

Precision = Literal["float32", "float64"]


def train_units(
    images: ArrayLike | Tensor,
    rule: RankRule,
    n_hidden: int,
    seed: int,
    *,
    folder: str | Path | None = None,
    resume: bool = False,
    checkpoint_every: int = 1,
    device: str = "cpu",
    dtype: Precision = "float32",
) -> Tensor:
    """Train competing hidden units by the rank rule, from a standard normal start.

    Every epoch takes the images in a new order, in batches of equal size; the few that are left over wait for the next
    epoch's order. Start and orders follow from the seed alone. A progress bar shows the convergence so far.

    Parameters
    ----------
    images : (image, input) array or tensor
        Flat images. Prepare them with `CentredUnitNorm`, and later ones with the same.
    rule : RankRule
        All numbers of the rule.
    n_hidden : int
        Number of units.
    seed : int
        At least 0.
    folder : str or Path, optional
        Where checkpoints are written, each whole or not at all; None writes none.
    resume : bool
        Go on from the newest checkpoint in the folder; a finished run is only read. On the same machine, with the same
        packages and number of threads, the weights are to the bit those of a run that was never interrupted.
    checkpoint_every : int
        Epochs between checkpoints.
    device : str
        cpu, cuda or cuda:N.
    dtype : {"float32", "float64"}
        Type of weights and images.

    Returns
    -------
    (hidden, input) tensor
        On the device.

    Raises
    ------
    ValueError
        If there are fewer images than `batch_size` or fewer units than `k`, an image is not finite or its pixels are
        all equal, or the checkpoint is of another run.
    FileNotFoundError
        If there is nothing to resume.
    FileExistsError
        If the folder holds a run and `resume` is False.
    BackendUnavailableError
        If CUDA was asked for and is absent.
    NonFiniteError
        If an update is too large for the type.
    """
    check_whole("checkpoint_every", checkpoint_every)
    rule.check_units(n_hidden)
    place = resolve_device(device)
    data = _checked(images, rule, dtype)
    weights, done = initial_weights(n_hidden, data.shape[1], seed).to(data.dtype), 0
    run = None
    if folder is not None:
        run = _describe(Path(folder), data, rule, n_hidden, seed, place)
        weights, done = _load(run) if resume else _begin(run, weights)
    elif resume:
        raise ValueError("`resume` is True, but `folder` is None; give the folder of the run to go on with.")
    learner, data = RankLearner(weights.to(place), rule), data.to(place)
    with tqdm(total=rule.epochs, initial=done, unit="epoch", desc="units", disable=None) as bar:
        for epoch in range(done, rule.epochs):
            wins = _train_epoch(learner, data, seed, epoch)
            if not bar.disable:
                bar.set_postfix_str(_summary(learner, wins), refresh=False)
            bar.update()
            if run is not None and ((epoch + 1) % checkpoint_every == 0 or epoch + 1 == rule.epochs):
                _save(run, learner.weights, epoch + 1)
    return learner.weights


def _checked(images: ArrayLike | Tensor, rule: RankRule, dtype: Precision) -> Tensor:
    if dtype not in get_args(Precision):
        raise ValueError(f"`dtype` is {dtype!r}; it must be one of {', '.join(get_args(Precision))}.")
    if isinstance(images, Tensor):
        data = images.detach().to("cpu", getattr(torch, dtype))
    else:
        # A copy only where torch cannot share the memory, such as that of a read-only file.
        data = torch.from_numpy(np.require(images, dtype, ["C", "W"]))
    check_images(data)
    if len(data) < rule.batch_size:
        raise ValueError(
            f"`batch_size` is {rule.batch_size}, but there are {len(data)} images; lower it to their number at most, "
            "or give more images."
        )
    return data


def _train_epoch(learner: RankLearner, data: Tensor, seed: int, epoch: int) -> Tensor:
    """Update the weights by all batches of an epoch, and return how often each unit won."""
    rule = learner.rule
    order = torch.from_numpy(permutation(len(data), seed, epoch)).to(data.device)
    batches = len(data) // rule.batch_size
    winners = [
        learner.step(data.index_select(0, batch), rule.step_size(epoch))
        for batch in order[: batches * rule.batch_size].view(batches, -1)
    ]
    return torch.bincount(torch.cat(winners), minlength=len(learner.weights))


def _summary(learner: RankLearner, wins: Tensor) -> str:
    near = (unit_norms(learner.weights, learner.rule.p) - 1).abs() <= NEAR
    return (
        f"norm near 1: {float(near.float().mean()):.0%}, first wins {float(wins.max() / wins.sum()):.1%}, "
        f"never: {int((wins == 0).sum())}"
    )


@dataclass(frozen=True)
class _Run:
    """What tells a run from another, and where its checkpoints are."""

    folder: Path
    config: dict[str, Any]
    description: dict[str, Any]
    environment: dict[str, str]


def _describe(folder: Path, data: Tensor, rule: RankRule, n_hidden: int, seed: int, place: torch.device) -> _Run:
    description = {
        "n_hidden": int(n_hidden),
        "seed": int(seed),
        "dtype": str(data.dtype),
        "images": f"{tuple(data.shape)}, SHA-256 {hashlib.sha256(data.contiguous().numpy().data).hexdigest()}",
    }
    return _Run(folder, asdict(rule), description, run_environment(place))


def _begin(run: _Run, weights: Tensor) -> tuple[Tensor, int]:
    if has_run(run.folder):
        raise FileExistsError(
            f"`folder` is '{run.folder}', which already holds a run. Go on with resume=True, or use another folder."
        )
    # A run killed in its first epoch can be resumed too.
    _save(run, weights, 0)
    return weights, 0


def _save(run: _Run, weights: Tensor, epoch: int) -> None:
    # The format of every training run; the rule has no optimiser and no counters.
    state = {"model": {"weights": weights}, "optimizer": {}, "scaler": {}, "progress": {}}
    identity = {"config": run.config, "description": run.description, "environment": run.environment}
    save_checkpoint(run.folder, {"step": epoch, **state, **identity})


def _load(run: _Run) -> tuple[Tensor, int]:
    state = load_newest(run.folder)
    differing = [
        f"`{name}` was {found.get(name)!r} and is now {value!r}"
        for found, now in ((state["config"], run.config), (state["description"], run.description))
        for name, value in now.items()
        if found.get(name) != value
    ]
    if differing:
        raise ValueError(
            f"The checkpoint in '{run.folder}' is of another run: {'; '.join(differing)}. Use these, or another folder."
        )
    warn_of_changes(state["environment"], run.environment, stacklevel=4)
    tidy(run.folder, state["step"])
    return state["model"]["weights"], state["step"]
