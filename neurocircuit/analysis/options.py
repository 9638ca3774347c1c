"""Which options of a simulation an analysis sets itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["refuse_options"]


def refuse_options(options: Mapping[str, Any], *names: str) -> None:
    """Raise ValueError if an option is given that the analysis sets itself or cannot use."""
    given = [name for name in names if name in options]
    if given:
        raise ValueError(f"`{given[0]}` cannot be given here: this analysis sets it itself, or runs one circuit only.")
