"""Temperature rules by name."""

from __future__ import annotations

__all__ = ["PARAMETRIC", "TEMPERATURES", "as_temperature"]

import numpy as np

from .._utils.checks import check_positive
from ..errors import InputError
from ..registries import PARAMETRIC, TEMPERATURES
from .base import TemperatureRule
from .fixed import Fixed


def as_temperature(temperature: object) -> TemperatureRule:
    """Return the temperature rule for a number, a sequence of k numbers, or a name; a rule is returned unchanged.

    Parameters
    ----------
    temperature : float, sequence of k floats, str or TemperatureRule
        T > 0 in the data's units; or a name from `TEMPERATURES`; or a name from `PARAMETRIC` with a number, as in
        "perplexity:1.5".

    Raises
    ------
    InputError
        If a number is not positive and finite, or if no rule has this name.

    Examples
    --------
    >>> as_temperature(2.0)
    Fixed(value=2.0)
    >>> as_temperature("critical:0.5")
    Critical(factor=0.5)
    """
    if isinstance(temperature, TemperatureRule):
        return temperature
    if isinstance(temperature, str):
        return _rule_by_name(temperature)
    several = np.ndim(temperature) == 1  # type: ignore[arg-type]
    for value in temperature if several else [temperature]:  # type: ignore[attr-defined]
        check_positive("temperature", value.item() if hasattr(value, "item") else value, _expected())
    return Fixed(tuple(map(float, temperature)) if several else float(temperature))  # type: ignore[arg-type,call-overload]


def _rule_by_name(name: str) -> TemperatureRule:
    if name in TEMPERATURES:
        return TEMPERATURES[name]
    rule, _, number = name.partition(":")
    try:
        value = float(number)
        kind = PARAMETRIC[rule]
    except (KeyError, ValueError):
        hint = f"give a finite number above 0{_expected()}"
        raise InputError(parameter="temperature", value=name, hint=hint) from None
    made: TemperatureRule = kind(value)
    return made


def _expected() -> str:
    with_number = [f"{name}:NUMBER" for name in PARAMETRIC]
    return f", one for each cluster, or one of {', '.join([*TEMPERATURES, *with_number])}"
