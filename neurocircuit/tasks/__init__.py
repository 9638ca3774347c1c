"""Cognitive tasks: trials with conditions and epochs drawn from a seed, and correct scores of the answers to them."""

from neurocircuit.tasks.conditions import Condition
from neurocircuit.tasks.context import ContextIntegration
from neurocircuit.tasks.dmts import DelayedMatchToSample
from neurocircuit.tasks.epochs import Duration, OneOf, TruncatedExponential, Uniform
from neurocircuit.tasks.evidence import EvidenceTask, ideal_accuracy
from neurocircuit.tasks.gonogo import GoNoGo
from neurocircuit.tasks.memory import ParametricWorkingMemory
from neurocircuit.tasks.multisensory import MultisensoryIntegration
from neurocircuit.tasks.perceptual import PerceptualDecision, ReactionTimeDecision, VariablePerceptualDecision
from neurocircuit.tasks.registry import TASKS, make_environment, make_task
from neurocircuit.tasks.task import DECISION_THRESHOLD, NOISE_STEP, Task
from neurocircuit.tasks.trials import Scores, Trials

__all__ = [
    "DECISION_THRESHOLD",
    "NOISE_STEP",
    "TASKS",
    "Condition",
    "ContextIntegration",
    "DelayedMatchToSample",
    "Duration",
    "EvidenceTask",
    "GoNoGo",
    "MultisensoryIntegration",
    "OneOf",
    "ParametricWorkingMemory",
    "PerceptualDecision",
    "ReactionTimeDecision",
    "Scores",
    "Task",
    "Trials",
    "TruncatedExponential",
    "Uniform",
    "VariablePerceptualDecision",
    "ideal_accuracy",
    "make_environment",
    "make_task",
]
