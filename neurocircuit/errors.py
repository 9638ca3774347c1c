"""Errors and warnings of the library that Python has no name for."""

__all__ = ["BackendUnavailableError", "ConvergenceError", "NonFiniteError", "SettlingWarning", "StepSizeWarning"]


class NonFiniteError(ArithmeticError):
    """A simulation left the finite numbers."""


class ConvergenceError(ArithmeticError):
    """An iteration did not arrive at what it looks for, such as a fixed point."""


class BackendUnavailableError(RuntimeError):
    """A device was asked for that cannot run here; the message says what to install."""


class StepSizeWarning(UserWarning):
    """The step is so large that the iteration no longer follows the differential equation."""


class SettlingWarning(UserWarning):
    """A run ended in a cycle rather than at a fixed point."""
