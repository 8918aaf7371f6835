"""Temperatures and priors of the module, checked and converted to the tensors that hold them."""

from __future__ import annotations

__all__ = ["at_least_single", "checked_log_temperature", "given_temperatures", "prior_logits_of"]

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .._utils.checks import check_positive
from ..data.scaling import Scaling
from ..distances import as_distance
from ..errors import InputError
from ..model.params import MIN_PRIOR
from ..temperature import as_temperature


def at_least_single(dtype: torch.dtype) -> torch.dtype:
    """Return a floating type, or float32 if it has fewer bits."""
    return torch.promote_types(dtype, torch.float32)


def checked_log_temperature(temperature: Any, n_clusters: int, dtype: torch.dtype) -> Tensor:
    """Return log T () or (k,) in float64; raise an InputError if T is not valid."""
    values: Any = temperature.detach() if isinstance(temperature, Tensor) else temperature
    values = values.tolist() if isinstance(values, Tensor | np.ndarray | np.generic) else values
    several = isinstance(values, list | tuple)
    if several and len(values) != n_clusters:
        expected = f"one for each of the {n_clusters} clusters, or one for all"
        raise InputError(f"has {len(values)} values", parameter="temperature", expected=expected)
    dtype = at_least_single(dtype)
    smallest, largest = torch.finfo(dtype).tiny, torch.finfo(dtype).max
    for value in values if several else [values]:
        check_positive("temperature", value)
        if not smallest <= value <= largest:
            problem, hint = f"is out of the range of {dtype}", "use float64, or rescale the data"
            raise InputError(problem, parameter="temperature", value=value, hint=hint)
    return torch.tensor(values, dtype=torch.float64, device="cpu").log()


def prior_logits_of(priors: Any, n_clusters: int, *, has_noise: bool) -> Tensor:
    """Return the logarithms of priors; that of the noise, if there is one, is the last."""
    probabilities = torch.as_tensor(priors, device="cpu").detach().double()
    if probabilities.shape != (n_clusters,):
        raise InputError(f"have shape {tuple(probabilities.shape)}", parameter="priors", expected=f"({n_clusters},)")
    if not (probabilities.isfinite() & (probabilities >= 0)).all():
        raise InputError("contain a number that is negative or not finite", parameter="priors", expected="0 or more")
    total = float(probabilities.sum())
    if has_noise:
        if total > 1 + 1e-6:  # of a fitted model without noise, they sum to 1 up to rounding
            hint = "the remainder is the prior of the noise"
            raise InputError(f"sum to {total:.6g}", parameter="priors", expected="1 or less", hint=hint)
        probabilities = torch.cat([probabilities, probabilities.new_tensor([max(1 - total, 0.0)])])
    elif not abs(total - 1) < 1e-6:
        raise InputError(f"sum to {total:.6g}", parameter="priors", expected="1", hint="divide them by their sum")
    return probabilities.clamp_min(MIN_PRIOR).log()


def given_temperatures(temperature: Any, dtype: torch.dtype) -> tuple[float, ...]:
    """Return the temperatures of a number or a schedule; none for "auto".

    Raises
    ------
    InputError
        If a temperature is invalid, or if it is a rule that needs all rows or a temperature for each cluster.
    """
    if isinstance(temperature, str) and temperature == "auto":
        return ()
    rule = as_temperature(temperature)
    if rule.needs_rows or rule.per_cluster:
        problem, expected = "is not supported by a codebook", "a number, a Schedule or 'auto'"
        raise InputError(problem, parameter="temperature", value=temperature, expected=expected)
    unscaled = Scaling(as_distance("sqeuclidean"), torch.zeros(1, device="cpu"), 1.0)
    values: Any = (*rule.stages(unscaled), rule.start(unscaled, lambda: math.nan))
    for value in values:
        checked_log_temperature(value, 1, dtype)
    return tuple(values)
