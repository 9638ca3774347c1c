"""Frozen parameter sets: each value with its unit, symbol, meaning, source and bounds."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, TypeVar

import brian2
import numpy as np

from neurocircuit.equations.symbols import Symbol

__all__ = ["ParameterSet", "from_float", "parameter", "to_float", "unit_name"]

_Self = TypeVar("_Self", bound="ParameterSet")
_METADATA = "neurocircuit"


def parameter(
    default: Any, *, latex: str, meaning: str, source: str, low: float | None = None, strictly_above: bool = False
) -> Any:
    """Declare one field of a `ParameterSet`.

    Parameters
    ----------
    default : Quantity or float
        Default value; its dimensions are the field's.
    latex, meaning, source : str
        Symbol, one-line description and where the default comes from.
    low : float, optional
        Smallest allowed value, in the base unit (ms for a time).
    strictly_above : bool
        Whether `low` itself is refused.
    """
    metadata = {
        "default": default,
        "latex": latex,
        "meaning": meaning,
        "source": source,
        "low": low,
        "strictly_above": strictly_above,
    }
    # A quantity is an array to dataclasses, which accept no array as a default value.
    return dataclasses.field(default_factory=lambda: default, metadata={_METADATA: metadata})


def time_exponent(value: Any, name: str) -> float:
    """Return the power of time in a quantity's dimensions, the only dimension circuits of rates have."""
    dimensions = brian2.get_dimensions(value)
    exponent = float(dimensions.get_dimension("time"))
    if dimensions != brian2.second.dim**exponent:
        raise ValueError(
            f"`{name}` has the dimensions {dimensions}; only dimensionless values and powers of time are supported. "
            "Express rates and drives as dimensionless numbers."
        )
    return exponent


def unit_name(value: Any) -> str:
    """Return the printed unit in which `to_float` gives a value: "ms", "ms^-1" or "" (dimensionless)."""
    exponent = time_exponent(value, "value")
    return "" if exponent == 0 else "ms" if exponent == 1 else f"ms^{exponent:g}"


def to_float(value: Any, name: str = "value") -> float:
    """Return a Brian2 quantity as a plain float: dimensionless, or with time counted in ms.

    Raises
    ------
    ValueError
        If the value has a dimension other than a power of time.
    """
    return float(np.asarray(value, dtype=float) * 1000.0 ** time_exponent(value, name))


def from_float(number: float, unit: Any) -> Any:
    """Return a plain float, with time counted in ms, as a quantity of the dimensions of `unit`; undoes `to_float`."""
    exponent = time_exponent(unit, "unit")
    return number * brian2.ms**exponent if exponent else number


@dataclasses.dataclass(frozen=True, kw_only=True)
class ParameterSet:
    """Base of every circuit's parameters. Subclasses declare fields with `parameter`.

    Raises
    ------
    TypeError
        If a value is not a single number.
    ValueError
        If a value is not finite, has the wrong unit or is out of bounds.
    """

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            _check(field, getattr(self, field.name))

    def replace(self: _Self, **changes: Any) -> _Self:
        """Return a copy with some values changed; an unknown name is an error that lists the known ones."""
        known = [f.name for f in dataclasses.fields(self)]
        for name in changes:
            if name not in known:
                raise ValueError(f"`{name}` is not a parameter of {type(self).__name__}; it has {', '.join(known)}.")
        return dataclasses.replace(self, **changes)

    def as_floats(self) -> dict[str, float]:
        """Return plain floats by name; times in ms."""
        return {f.name: to_float(getattr(self, f.name), f.name) for f in dataclasses.fields(self)}

    def quantities(self) -> dict[str, Any]:
        """Return the values by name as Brian2 quantities (dimensionless ones as floats)."""
        return {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}

    @classmethod
    def symbols(cls) -> tuple[Symbol, ...]:
        """Return one `Symbol` per parameter, for the equations and the documentation."""
        found = []
        for field in dataclasses.fields(cls):
            meta = field.metadata[_METADATA]
            unit = brian2.get_unit(brian2.get_dimensions(meta["default"]))
            found.append(
                Symbol(field.name, "parameter", meta["latex"], meta["meaning"], unit=unit, source=meta["source"])
            )
        return tuple(found)


def _check(field: dataclasses.Field[Any], value: Any) -> None:
    meta: Mapping[str, Any] = field.metadata[_METADATA]
    default = meta["default"]
    if isinstance(value, bool) or np.ndim(value) != 0 or np.asarray(value).dtype.kind not in "iuf":
        raise TypeError(f"`{field.name}` is {value!r}; it must be one number, such as {default}.")
    if brian2.get_dimensions(value) != brian2.get_dimensions(default):
        unit = unit_name(default)
        wanted = f"a quantity in units of time, such as 6*{unit}" if unit else "a number without unit"
        raise ValueError(f"`{field.name}` is {value!r}; it must be {wanted} (default {default}).")
    number = to_float(value, field.name)
    if not np.isfinite(number):
        raise ValueError(f"`{field.name}` is {value!r}; it must be finite (default {default}).")
    low = meta["low"]
    if low is not None and (number < low or (meta["strictly_above"] and number == low)):
        relation = "greater than" if meta["strictly_above"] else "at least"
        unit = unit_name(default)
        raise ValueError(
            f"`{field.name}` is {value!r}; it must be {relation} {low:g}{' ' + unit if unit else ''} "
            f"(default {default})."
        )
