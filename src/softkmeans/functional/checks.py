"""Checks of the arguments of memberships, losses and fits."""

from __future__ import annotations

__all__ = [
    "batch_shape",
    "check_rows",
    "check_shape",
    "check_tensors",
    "checked_log_prior",
    "checked_temperature",
    "first_true",
    "weighted_rows",
]

import math

import torch
from torch import Tensor

from .._utils.checks import is_number
from ..errors import InputError
from .graphs import is_plain


def checked_temperature(temperature: float | Tensor, k: int) -> float | Tensor:
    """Return a temperature; raise an InputError unless it is a number above 0 or a tensor (), (..., 1) or (..., k)."""
    if isinstance(temperature, Tensor):
        if temperature.ndim and temperature.shape[-1] not in (1, k):
            expected = f"a tensor of shape {(k,)}, (..., 1) or (..., {k})"
            raise InputError(f"has shape {tuple(temperature.shape)}", parameter="temperature", expected=expected)
    elif not is_number(temperature, lambda number: 0 < number < math.inf):
        raise InputError(parameter="temperature", value=temperature, hint="give a finite number above 0")
    return temperature


def checked_log_prior(log_prior: Tensor, n_logits: int) -> Tensor:
    """Return log-priors; raise an InputError unless they are a tensor (..., n_logits)."""
    if not isinstance(log_prior, Tensor) or log_prior.ndim < 2:
        check_shape("log_prior", log_prior, (n_logits,))
    elif log_prior.shape[-1] != n_logits:
        problem, expected = f"has shape {tuple(log_prior.shape)}", f"a tensor of shape (..., {n_logits})"
        raise InputError(problem, parameter="log_prior", expected=expected)
    return log_prior


def check_tensors(x: Tensor, c: Tensor) -> None:
    """Raise an InputError if rows and centers are no floating-point tensors that fit together."""
    check_rows(x, "x")
    check_rows(c, "c")
    if x.shape[-1] != c.shape[-1] or not c.shape[-2]:
        problem = f"x has shape {tuple(x.shape)} and c {tuple(c.shape)}"
        raise InputError(problem, expected="(..., n, d) and (k, d) or (..., k, d) with k of 1 or more")
    if x.dtype != c.dtype:
        raise InputError(f"x has dtype {x.dtype} and c {c.dtype}", expected="one dtype")
    if x.device != c.device:
        raise InputError(f"x is on {x.device} and c on {c.device}", hint="move both to one device")


def check_rows(array: Tensor, name: str) -> None:
    """Raise an InputError unless an argument is a floating-point tensor with two dimensions or more."""
    if not isinstance(array, Tensor) or not array.is_floating_point():
        found = f"dtype {array.dtype}" if isinstance(array, Tensor) else f"type {type(array).__name__}"
        raise InputError(f"{name} has {found}", expected="a tensor of floating-point numbers")
    if array.ndim < 2:
        expected = "(..., n, d)" if name == "x" else "(k, d) or (..., k, d)"
        raise InputError(f"{name} has shape {tuple(array.shape)}", expected=expected)


def check_shape(parameter: str, array: Tensor, *expected: tuple[int, ...]) -> None:
    """Raise an InputError if an argument is no tensor of one of the expected shapes."""
    if not isinstance(array, Tensor) or not any(tuple(array.shape) == shape for shape in expected):
        found = f"shape {tuple(array.shape)}" if isinstance(array, Tensor) else f"type {type(array).__name__}"
        shapes = " or ".join(map(str, dict.fromkeys(expected)))
        raise InputError(f"has {found}", parameter=parameter, expected=f"a tensor of shape {shapes}")


def batch_shape(**leading: torch.Size) -> tuple[int, ...]:
    """Return the shape of a batch of problems, given the leading dimensions of arguments by name.

    Raises
    ------
    InputError
        If the dimensions do not broadcast, or one of them is 0.
    """
    try:
        batch = tuple(torch.broadcast_shapes(*leading.values()))  # type: ignore[no-untyped-call]
    except RuntimeError:
        found = ", ".join(f"{tuple(shape)} of {name}" for name, shape in leading.items() if shape)
        raise InputError(
            f"the leading dimensions do not fit together: {found}",
            expected="dimensions that are equal, 1 or missing",
            hint="give each problem its rows (n, d) and its centers (k, d)",
        ) from None
    if 0 in batch:
        raise InputError(f"the batch has the leading dimensions {batch}", expected="at least one problem")
    return batch


def weighted_rows(
    x: Tensor, batch: tuple[int, ...] | None, sample_weight: Tensor | None, mask: Tensor | None
) -> tuple[Tensor, Tensor | None]:
    """Return rows, with zeros in place of those that do not count, and the weights of all rows, None if they are 1.

    Raises
    ------
    InputError
        If weights or mask have a wrong shape, or the mask leaves a problem without rows.
    """
    shapes = [tuple(x.shape[:-1]), *([] if batch is None else [(*batch, x.shape[-2])])]
    if sample_weight is not None:
        check_shape("sample_weight", sample_weight, *shapes)
    if mask is None:
        return x, sample_weight
    check_shape("mask", mask, *shapes)
    if mask.dtype != torch.bool:
        raise InputError(f"has dtype {mask.dtype}", parameter="mask", expected="torch.bool", hint="use mask.bool()")
    if is_plain(mask) and not mask.is_meta:
        counts = mask.any() if batch is None else mask.any(-1)
        if not counts.all():
            which = f" of problem {first_true(~counts)}" if counts.ndim else ""
            raise InputError(f"is False for all rows{which}", parameter="mask", expected="True for at least one row")
    weights = mask.to(x.dtype) if sample_weight is None else torch.where(mask, sample_weight, 0)
    return torch.where(mask[..., None], x, 0), weights


def first_true(flags: Tensor) -> tuple[int, ...] | int:
    """Return the index of the first True, a tuple if there are several dimensions."""
    index = tuple(flags.nonzero()[0].tolist())
    return index[0] if len(index) == 1 else index
