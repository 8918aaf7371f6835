"""Parameter checks that several modules share."""

from __future__ import annotations

__all__ = [
    "check_bool",
    "check_count",
    "check_fraction",
    "check_known",
    "check_not_negative",
    "check_positive",
    "is_number",
]

import math
from collections.abc import Callable, Iterable
from numbers import Integral, Real
from typing import Any

from ..errors import InputError, Message, PythonOnly


def check_count(name: str, value: Any, *, at_most: tuple[int, str] | None = None) -> None:
    """Raise an InputError unless value is an integer of 1 or more; ``at_most`` is a limit and what it counts."""
    if not isinstance(value, Integral) or isinstance(value, bool) or int(value) < 1:
        raise InputError(parameter=name, value=value, hint="give a whole number of 1 or more")
    if at_most is not None and int(value) > at_most[0]:
        problem = f"is more than the {at_most[0]} {at_most[1]}"
        raise InputError(problem, parameter=name, value=int(value), hint="lower it")


def check_known(name: str, value: Any, options: Iterable[str], otherwise: str = "") -> None:
    """Raise an InputError unless value is one of the options; ``otherwise`` describes other values, valid in Python."""
    known = list(options)
    if not isinstance(value, str) or value not in known:
        hint = Message(f"choose one of {', '.join(known)}", PythonOnly(otherwise))
        raise InputError("is not known", parameter=name, value=value, hint=hint)


def check_bool(name: str, value: Any) -> None:
    """Raise an InputError unless value is True or False."""
    if type(value).__name__ not in ("bool", "bool_"):  # NumPy's own, too, without importing NumPy
        raise InputError(parameter=name, value=value, expected="True or False")


def is_number(value: Any, condition: Callable[[float], bool]) -> bool:
    """Return whether value is a real number, but no bool, that fulfills a condition."""
    if not isinstance(value, Real) or isinstance(value, bool):
        return False
    try:
        return condition(float(value))
    except OverflowError:  # an integer beyond the range of floats
        return False


def check_positive(name: str, value: Any, otherwise: str = "") -> None:
    """Raise an InputError unless value is a finite number above 0; ``otherwise`` describes other valid values."""
    if not is_number(value, lambda number: 0 < number < math.inf):
        raise InputError(parameter=name, value=value, hint=Message("give a finite number above 0", otherwise))


def check_not_negative(name: str, value: Any) -> None:
    """Raise an InputError unless value is a finite number of 0 or more."""
    if not is_number(value, lambda number: 0 <= number < math.inf):
        raise InputError(parameter=name, value=value, hint="give a finite number of 0 or more")


def check_fraction(name: str, value: Any) -> None:
    """Raise an InputError unless value is a number from 0 to 1."""
    if not is_number(value, lambda number: 0 <= number <= 1):
        raise InputError(parameter=name, value=value, hint="give a number from 0 to 1")
