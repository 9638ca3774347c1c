"""The one training loop of the library."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from torch import nn
from tqdm import tqdm

from neurocircuit.errors import NonFiniteError
from neurocircuit.files import atomic
from neurocircuit.training import checkpoints
from neurocircuit.training.config import TrainingConfig, learning_rate_at
from neurocircuit.training.evaluation import (
    Evaluation,
    Meter,
    Objective,
    autocast,
    evaluate,
    parameter_place,
    sample_count,
    to_place,
)
from neurocircuit.training.log import RunLog, require_tensorboard
from neurocircuit.training.processes import join_processes
from neurocircuit.training.seeding import Purpose, derived_seed, seeded
from neurocircuit.training.sources import Batch, Source, load_batches
from neurocircuit.training.state import Run, begin, identity, prepare, resume_run, save, save_best

__all__ = ["TrainingResult", "fit"]

#: A gradient that overflows although its loss was scaled down, not up, is not finite without scaling either.
_SMALLEST_SCALE = 1.0


@dataclass(frozen=True)
class TrainingResult:
    """How a run ended."""

    folder: Path
    """Where its files are; `read_log` reads the curves."""
    steps: int
    """Steps taken."""
    seconds: float
    """Time spent training, over all sessions of a resumed run."""
    stopped_early: bool
    """Whether patience or the target ended it."""
    best_step: int
    """Step after which the weights were best."""
    best: Evaluation
    """Validation then."""
    last: Evaluation
    """Validation at the last evaluation."""
    weights: Path
    """File of the best weights; `load_weights` reads it."""


def fit(
    model: nn.Module,
    source: Source,
    validation: Source,
    config: TrainingConfig,
    folder: str | Path,
    *,
    resume: bool = False,
    objective: Objective = Objective(),  # noqa: B008  (frozen)
    description: Mapping[str, Any] | None = None,
) -> TrainingResult:
    """Train a model, in place, and keep in a folder what is needed to go on after a crash.

    The folder gets ``config.json``, ``log.jsonl``, ``best.safetensors`` and the last two ``checkpoint_<step>.pt``.

    Parameters
    ----------
    model : torch module
        Outputs for a batch of inputs. Modules of it that are in evaluation mode, such as a frozen batch norm, stay in
        it. At the end it has the last weights, not the best.
    source : Source
        Training samples; step k takes positions ``k * batch_size`` and following.
    validation : Source
        Samples of the evaluations: the same ones each time, with another seed than training.
    config : TrainingConfig
        All settings.
    folder : str or Path
        Where the files go.
    resume : bool
        Go on from the newest checkpoint in the folder instead of starting; a finished run is only reported.
    objective : Objective
        Loss and rule of correctness; by default those of classification.
    description : mapping, optional
        What the model and the data are, as JSON: kept with the weights, and compared when a run is resumed.

    Returns
    -------
    TrainingResult
        How it ended.

    Raises
    ------
    ValueError
        If the checkpoint is of another configuration, description or model; if `model` is in evaluation mode or has
        nothing to train; if the batch cannot be shared equally by the processes.
    FileNotFoundError
        If there is nothing to resume.
    FileExistsError
        If the folder holds a run and `resume` is False.
    NonFiniteError
        If a loss, a gradient or a weight becomes NaN or infinite: with the step, the samples and the last checkpoint.
    BackendUnavailableError
        If a device or package that was asked for is missing.
    """
    folder = Path(folder)
    _check(model, validation, config)
    processes = join_processes(config.device)
    run = prepare(model, config, folder, processes, objective, json.loads(json.dumps(description or {})))
    if resume:
        resume_run(run)
    else:
        begin(run)
    _train(run, source, validation)
    # The files of the first process are complete when any process goes on.
    processes.wait()
    return _result(run)


def _check(model: nn.Module, validation: Source, config: TrainingConfig) -> None:
    sample_count(validation, config.evaluation_samples)
    if config.tensorboard:
        require_tensorboard()
    if not model.training:
        raise ValueError("`model` is in evaluation mode; call model.train() before fit.")


def _train(run: Run, source: Source, validation: Source) -> None:
    config, progress, processes = run.config, run.progress, run.processes
    size = config.batch_size
    shares = [processes.share(range(k * size, (k + 1) * size)) for k in range(progress.step, config.steps)]
    if _ended(run) or not shares:
        return
    on_gpu = processes.device.type == "cuda"
    loaded = load_batches(source, config.seed, shares, workers=config.workers, pin_memory=on_gpu)
    run.wrapped = processes.wrap(run.model)
    with closing(loaded) as batches, _open_log(run) as log, _progress_bar(run) as bar:
        started = time.perf_counter() - progress.seconds
        for positions, batch in zip(shares, batches, strict=True):
            norm = _step(run, source, positions, batch)
            progress.step += 1
            progress.seconds = time.perf_counter() - started
            last = progress.step == config.steps
            evaluated = last or progress.step % config.evaluate_every == 0
            if evaluated:
                _evaluate(run, validation)
            if evaluated or progress.step % config.log_every == 0:
                line = _line(run, norm, evaluated)
                if log is not None:
                    log.write(line)
                bar.set_postfix(loss=f"{line['loss']:.3f}", accuracy=f"{line['accuracy']:.3f}")
            bar.update()
            stop = _ended(run)
            if last or stop or progress.step % config.checkpoint_every == 0:
                save(run)
            if stop:
                break


def _step(run: Run, source: Source, positions: range, batch: Batch) -> float:
    """Take one optimiser step and return the norm of the gradient before clipping."""
    config, step = run.config, run.progress.step
    device, dtype = parameter_place(run.model)
    for group in run.optimizer.param_groups:
        group["lr"] = learning_rate_at(config, step)
    inputs, targets = to_place(batch, device, dtype)
    # Seeded anew each step: what is random in the model then needs no state to be saved, and no evaluation disturbs it.
    with seeded(derived_seed(config.seed, Purpose.STEP, step, run.processes.rank), device):
        with autocast(config.precision, device):
            outputs = run.wrapped(inputs)
            loss = run.objective.loss(outputs, targets)
        value = float(loss.detach())
        if not math.isfinite(value):
            raise _non_finite(run, f"the loss is {value}", source, positions)
        run.optimizer.zero_grad()
        run.scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
    run.scaler.unscale_(run.optimizer)
    # Without a bound the gradient is multiplied by exactly 1.
    bound = math.inf if config.gradient_clip is None else config.gradient_clip
    norm = float(nn.utils.clip_grad_norm_(run.model.parameters(), bound))
    scaling = run.scaler.is_enabled() and run.scaler.get_scale() >= _SMALLEST_SCALE
    if not (math.isfinite(norm) or scaling):
        raise _non_finite(run, f"the norm of the gradient is {norm}", source, positions)
    run.scaler.step(run.optimizer)
    run.scaler.update()
    run.progress.meter.add(value, run.objective.correct(outputs.detach(), targets))
    return norm


def _non_finite(run: Run, what: str, source: Source, positions: range) -> NonFiniteError:
    return NonFiniteError(
        f"Training stopped at step {run.progress.step + 1}: {what}. Samples of its batch: "
        f"{source.indices(run.config.seed, positions)} of seed {run.config.seed}. Last good checkpoint: "
        f"{checkpoints.newest_name(run.folder)}. Lower `learning_rate`, set `gradient_clip`, or check those samples."
    )


def _evaluate(run: Run, validation: Source) -> None:
    config, progress = run.config, run.progress
    # Each process has its own running statistics; those that are saved with the weights must be the ones measured.
    run.processes.agree(run.model)
    result = evaluate(
        run.model,
        validation,
        config.evaluation_samples,
        seed=derived_seed(config.seed, Purpose.VALIDATION),
        batch_size=config.batch_size,
        objective=run.objective,
        precision=config.precision,
        workers=config.workers,
        processes=run.processes,
    )
    progress.last = result
    progress.stale += 1
    if progress.best is None or _score(result, config) > _score(progress.best, config):
        progress.best, progress.best_step, progress.stale = result, progress.step, 0
        if run.processes.writes:
            progress.best_weights = checkpoints.copied_weights(run.model)
            save_best(run)


def _score(result: Evaluation, config: TrainingConfig) -> tuple[float, float]:
    return (result.accuracy if config.best == "accuracy" else 0.0, -result.loss)


def _ended(run: Run) -> bool:
    """Return whether patience is at its end or the target is reached, at the last evaluation."""
    config, last = run.config, run.progress.last
    reached = False
    if config.target is not None and last is not None:
        reached = last.accuracy >= config.target if config.best == "accuracy" else last.loss <= config.target
    return reached or (config.patience is not None and run.progress.stale >= config.patience)


def _line(run: Run, norm: float, evaluated: bool) -> dict[str, Any]:
    progress = run.progress
    training = progress.meter.result(run.processes)
    progress.meter = Meter()
    line = {
        "step": progress.step,
        "seconds": round(progress.seconds, 3),
        "loss": training.loss,
        "accuracy": training.accuracy,
        "learning_rate": learning_rate_at(run.config, progress.step - 1),
        # Half precision skips steps whose scaled gradient overflows; JSON has no infinity.
        "gradient_norm": norm if math.isfinite(norm) else None,
    }
    if evaluated and progress.last is not None:
        line |= {f"validation_{name}": value for name, value in asdict(progress.last).items()}
    return line


def _open_log(run: Run) -> AbstractContextManager[RunLog | None]:
    if not run.processes.writes:
        return nullcontext()
    with atomic(run.folder / "config.json") as partial:
        partial.write_text(json.dumps(identity(run), indent=2) + "\n")
    return RunLog(run.folder, run.progress.step, tensorboard=run.config.tensorboard)


def _progress_bar(run: Run) -> Any:
    hidden = None if run.processes.writes else True
    return tqdm(total=run.config.steps, initial=run.progress.step, unit="step", desc="train", disable=hidden)


def _result(run: Run) -> TrainingResult:
    progress = run.progress
    if progress.best is None or progress.last is None:
        raise ValueError(
            f"`steps` is {run.config.steps}, where the run in '{run.folder}' has stopped before its first evaluation. "
            "Use more steps."
        )
    return TrainingResult(
        run.folder,
        progress.step,
        progress.seconds,
        _ended(run),
        progress.best_step,
        progress.best,
        progress.last,
        run.weights_file,
    )
