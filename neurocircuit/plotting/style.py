"""The look of every figure, and the colours that mean the same thing in all of them."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path

import matplotlib.pyplot as plt

__all__ = ["COLOURS", "style"]

#: Colour by what is shown (Okabe and Ito's palette, which colour-blind readers can tell apart).
COLOURS = {"human": "#000000", "model": "#0072B2", "h1": "#D55E00", "h2": "#0072B2", "limit": "#888888"}


def style() -> AbstractContextManager[None]:
    """Return a context in which matplotlib uses the library's style; the caller's settings come back afterwards.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from neurocircuit.plotting import style
    >>> with style():
    ...     figure, axes = plt.subplots()
    """
    return plt.style.context(Path(__file__).with_name("neurocircuit.mplstyle"))
