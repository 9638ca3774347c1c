"""What all tasks share: drawing trials from settings and a seed, and judging answers to them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neurocircuit.checks import check_number
from neurocircuit.tasks.conditions import Condition, Seed, Table, check_count, generator
from neurocircuit.tasks.epochs import Duration, Layout, Uniform, check_duration, draw_layout, shortest, whole_steps
from neurocircuit.tasks.trials import Scores, Trials

__all__ = ["DECISION_THRESHOLD", "NOISE_STEP", "Task", "Variant"]

Variant = Literal["standard", "tutorial"]
Signals = dict[str, NDArray[np.float32]]

#: The output at which a choice counts as made: halfway between the targets of holding still (0) and of a choice (1).
DECISION_THRESHOLD = 0.5

#: Step in ms at which `noise` is the standard deviation of each sample. With other steps h it is multiplied by
#: sqrt(NOISE_STEP/h), so that the noise averaged over a stimulus, and the best possible accuracy, stay the same.
NOISE_STEP = 1.0


@dataclass(frozen=True, kw_only=True)
class Task(ABC):
    """A cognitive task with one output: 0 until the response is due, then the choice.

    Every task has the settings below; its own come on top. Durations are numbers in ms or distributions
    (`Uniform`, `TruncatedExponential`, `OneOf`); 0 leaves out an epoch that the task can do without.

    Parameters
    ----------
    step : float, ms
        Length of a step, unless `sample` is given another.
    fixation : Duration, ms
        Time before the first stimulus.
    response : Duration, ms
        Time in which the choice is due.
    grace : float, ms
        First part of the response that counts neither in the loss nor in the choice: a network with time constants
        cannot answer at once. 100 ms, as in the public code of Yang et al. (2019).
    fixation_cue : bool
        Whether there is an input ``fixation`` that is 1 until the response is due: its end is the go cue, without
        which the time of the decision could not be known after a random delay.
    length : float, ms, optional
        Length of the arrays; by default that of the longest possible trial.

    Raises
    ------
    TypeError, ValueError
        If a setting is impossible.
    """

    name: ClassVar[str]
    tutorial_settings: ClassVar[Mapping[str, Any] | None] = None
    output_names: ClassVar[tuple[str, ...]] = ("choice",)
    choices: ClassVar[tuple[int, ...]] = (-1, 1)
    response_epoch: ClassVar[str] = "response"
    optional_epochs: ClassVar[tuple[str, ...]] = ("fixation", "delay", "wait", "after")

    step: float = 10.0
    fixation: Duration = field(default=Uniform(200.0, 400.0))
    response: Duration = 300.0
    grace: float = 100.0
    fixation_cue: bool = True
    length: float | None = None

    def __post_init__(self) -> None:
        for setting in fields(self):
            # So that a numpy scalar is drawn and described as the number it is.
            if isinstance(value := getattr(self, setting.name), np.generic):
                object.__setattr__(self, setting.name, value.item())
        for name in {"coherences", "frequencies"} & {setting.name for setting in fields(self)}:
            # An array or a list would make the task impossible to compare and to hash.
            object.__setattr__(self, name, tuple(np.asarray(getattr(self, name), np.float64).ravel().tolist()))
        for name, duration in self._durations().items():
            check_duration(name, duration)
            if duration == 0 and name not in self.optional_epochs:
                raise ValueError(f"`{name}` is 0 ms; task {self.name} cannot do without it.")
        for setting in fields(self):
            if setting.name in ("step", "length", "noise", "grace") and getattr(self, setting.name) is not None:
                range_ = {"at_least": 0} if setting.name in ("noise", "grace") else {"above": 0}
                check_number(setting.name, getattr(self, setting.name), **range_)
        least = shortest(self.durations[self.response_epoch])
        if self.grace >= least:
            raise ValueError(
                f"`grace` is {self.grace:g} ms, but `{self.response_epoch}` can be as short as {least:g} ms; the "
                "choice is read after the grace, so make it shorter."
            )
        for name, condition in self.conditions.items():
            if not condition.values:
                raise ValueError(f"task {self.name} has no values to draw `{name}` from; give at least one.")
            condition.check(name, np.asarray(condition.values), len(condition.values))

    @property
    @abstractmethod
    def conditions(self) -> dict[str, Condition]:
        """What can be fixed when trials are drawn."""

    @property
    @abstractmethod
    def channels(self) -> tuple[str, ...]:
        """Names of the inputs, but for the fixation cue."""

    @abstractmethod
    def _durations(self) -> dict[str, Duration]:
        """Return every epoch in order, those left out included."""

    @abstractmethod
    def _derive(self, table: Table, rng: np.random.Generator) -> Table:
        """Return the columns that follow from the drawn conditions, ``choice`` among them."""

    @abstractmethod
    def _signals(self, layout: Layout, table: Table, rng: np.random.Generator) -> Signals:
        """Return what each channel carries: (trial, time)."""

    @property
    def durations(self) -> dict[str, Duration]:
        """Epochs in order, in ms."""
        return {name: duration for name, duration in self._durations().items() if duration != 0}

    @property
    def condition_names(self) -> tuple[str, ...]:
        """Names of the conditions that `sample` takes."""
        return tuple(self.conditions)

    @property
    def input_names(self) -> tuple[str, ...]:
        """Names of the inputs, in order."""
        return ("fixation", *self.channels) if self.fixation_cue else self.channels

    @property
    def n_inputs(self) -> int:
        """Number of inputs."""
        return len(self.input_names)

    @property
    def n_outputs(self) -> int:
        """Number of outputs."""
        return len(self.output_names)

    @property
    def variant(self) -> Variant:
        """Tutorial if all settings, the default ones too, are those of the tutorial, else standard."""
        settings = self.tutorial_settings
        return "tutorial" if settings is not None and self == type(self)(**settings) else "standard"

    def sample(self, n: int, seed: Seed, step: float | None = None, **conditions: ArrayLike) -> Trials:
        """Draw trials.

        Parameters
        ----------
        n : int
            Number of trials.
        seed : int or numpy Generator
            The same seed gives the same trials; a generator is advanced.
        step : float, ms, optional
            Length of a step; by default the task's.
        **conditions : number or (n,) array
            Conditions to fix (see `condition_names`); the others are drawn, and stay the same whatever is fixed.

        Returns
        -------
        Trials
            Trials of equal array length; those with shorter epochs end earlier and have mask 0 from there on.

        Raises
        ------
        TypeError, ValueError
            If `n` is less than 1, a condition is unknown, not finite or not allowed, or an epoch is not a whole
            number of steps.
        """
        check_count(n)
        step = self.step if step is None else step
        check_number("step", step, above=0)
        grace = whole_steps("grace", self.grace, step)
        given = self._check_conditions(n, conditions)
        rng = generator(seed)
        table = self._draw(n, rng, given)
        table |= self._derive(table, rng)
        layout = draw_layout(self.durations, n, rng, step, self.length)
        signals = self._signals(layout, table, rng)
        if self.fixation_cue:
            signals["fixation"] = layout.before(self.response_epoch).astype(np.float32)
        responding = layout.during(self.response_epoch)
        waiting = responding & ~layout.during(self.response_epoch, grace=grace)
        return Trials(
            inputs=np.stack([signals[name] for name in self.input_names], 2),
            targets=(responding * table["choice"][:, None]).astype(np.float32)[..., None],
            mask=(layout.inside() & ~waiting).astype(np.float32),
            conditions=table,
            epochs=layout.times(),
            step=step,
            input_names=self.input_names,
            output_names=self.output_names,
            task=self.name,
            grace=self.grace,
        )

    def score(self, outputs: ArrayLike, trials: Trials) -> Scores:
        """Judge outputs.

        The choice is read from the output's mean over the response after the grace of the trials: its sign, or in
        go/no-go whether it is above `DECISION_THRESHOLD`. The reaction time runs from the start of the response to the
        end of the first step at which the output is at least `DECISION_THRESHOLD` from 0.

        Parameters
        ----------
        outputs : (trial, time, output) array
            Value k is the output at the end of step k.
        trials : Trials
            The trials of this task that were answered.

        Returns
        -------
        Scores
            Choice, whether it is right, and reaction time of every trial.

        Raises
        ------
        ValueError
            If the trials are of another task or other inputs, the shape is wrong, or an output is not finite.
        """
        output = self._checked(outputs, trials)
        choice = self._choose(output, trials)
        return Scores(choice, choice == trials.conditions["choice"], self._reaction_times(output, trials))

    def tutorial_score(self, outputs: ArrayLike, trials: Trials) -> NDArray[np.bool_]:
        """Return which trials the tutorial's own rule calls right: (trial,).

        It is kept for comparison with published numbers only; `score` is right where this is not.

        Raises
        ------
        ValueError
            If the task is not the tutorial's variant, or the tutorial has no rule for it.
        """
        if self.variant != "tutorial":
            raise ValueError(
                f"task {self.name} is not the tutorial's variant; use `score`, or make_task(..., 'tutorial')."
            )
        mean = self._mean_response(self._checked(outputs, trials), trials)
        return self._tutorial_rule(mean, trials.conditions["choice"])

    def _tutorial_rule(self, mean: NDArray[np.float64], choice: NDArray[Any]) -> NDArray[np.bool_]:
        raise ValueError(f"the tutorial has no rule for task {self.name} (its own raises an error); use `score`.")

    def _draw(self, n: int, rng: np.random.Generator, given: Table) -> Table:
        # Drawn even where given, so that fixing one condition leaves the others as they were.
        drawn = {name: condition.draw(n, rng) for name, condition in self.conditions.items()}
        return drawn | given

    def _check_conditions(self, n: int, conditions: Mapping[str, ArrayLike]) -> Table:
        known = self.conditions
        for name in conditions:
            if name not in known:
                raise ValueError(
                    f"`{name}` is not a condition of task {self.name} that can be given; those are "
                    f"{', '.join(known)}. Others, such as `choice`, follow from them."
                )
        return {name: known[name].check(name, value, n) for name, value in conditions.items()}

    def _checked(self, outputs: ArrayLike, trials: Trials) -> NDArray[np.float64]:
        if (trials.task, trials.input_names) != (self.name, self.input_names):
            raise ValueError(
                f"`trials` are of task {trials.task} with inputs {', '.join(trials.input_names)}, but this is "
                f"{self.name} with {', '.join(self.input_names)}; score them with the task that drew them."
            )
        trials.scored(self.response_epoch)
        array = np.asarray(outputs, np.float64)
        if array.shape != trials.targets.shape:
            raise ValueError(
                f"`outputs` has shape {array.shape}; the trials call for {trials.targets.shape}: (trial, time, output)."
            )
        if not np.isfinite(array).all():
            bad = int((~np.isfinite(array)).any((1, 2)).sum())
            raise ValueError(f"`outputs` is not finite in {bad} of {trials.n_trials} trials; the network has diverged.")
        return array[..., 0]

    def _mean_response(self, output: NDArray[np.float64], trials: Trials) -> NDArray[np.float64]:
        window = trials.scored(self.response_epoch)
        return np.asarray((output * window).sum(1) / window.sum(1))

    def _choose(self, output: NDArray[np.float64], trials: Trials) -> NDArray[np.int64]:
        return np.sign(self._mean_response(output, trials)).astype(np.int64)

    def _chosen(self, output: NDArray[np.float64]) -> NDArray[np.bool_]:
        return np.abs(output) >= DECISION_THRESHOLD

    def _reaction_times(self, output: NDArray[np.float64], trials: Trials) -> NDArray[np.float64]:
        crossed = self._chosen(output) & trials.during(self.response_epoch)
        end = (crossed.argmax(1) + 1) * trials.step
        return np.where(crossed.any(1), end - trials.epochs[self.response_epoch][:, 0], np.nan)
