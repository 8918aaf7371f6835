"""The record of FunctionTransformer, with the functions that files keep by name."""

from __future__ import annotations

__all__ = ["FUNCTION_TRANSFORMER", "NonnegativeLog", "make_log", "nonnegative_log1p"]

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import narwhals.stable.v2 as nw
import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.preprocessing import FunctionTransformer
from torch import Tensor, nn
from typing_extensions import override

from ...data.frames import as_frame, as_rows
from ...errors import InputError
from .record import BOOL, Leaf, Operation, Option, Undone, Words, one_of_options, undo_by

Array = NDArray[Any]


def nonnegative_log1p(X: Any) -> Any:
    """Return log(1 + x) of rows without negative values.

    Parameters
    ----------
    X : array-like or frame (n, d)
        The rows.

    Returns
    -------
    ndarray or frame (n, d)
        A frame of the same kind for a frame, else an array.

    Raises
    ------
    InputError
        If a value is negative; the error names its column.

    Examples
    --------
    >>> nonnegative_log1p([[0.0, 1.0]]).round(3).tolist()
    [[0.0, 0.693]]
    """
    frame, rows = as_frame(X), as_rows(X)
    rows = rows.toarray() if hasattr(rows, "toarray") else np.asarray(rows)
    _check_not_negative(rows, None if frame is None else frame.columns)
    logarithms = np.log1p(rows)
    if frame is None:
        return logarithms
    return nw.from_numpy(logarithms, schema=frame.columns, backend=frame.implementation).to_native()


def _check_not_negative(rows: Any, names: Sequence[str] | None) -> None:
    """Raise an InputError that names the first column of rows (n, d) with a negative value."""
    is_negative = (rows < 0).any(0)
    if not is_negative.any():
        return
    column = int(np.flatnonzero(np.asarray(is_negative.cpu() if isinstance(rows, Tensor) else is_negative))[0])
    name = f"feature {column}" if names is None else repr(str(names[column]))
    problem = f"the column {name} has negative values, such as {float(rows[:, column].min()):.6g}"
    raise InputError(problem, expected="0 or more for a logarithmic scale", hint="choose another scale for this data")


def make_log() -> FunctionTransformer:
    """Return a transformer of rows to log(1 + x), which refuses negative values."""
    # With feature_names_out="one-to-one", scikit-learn would rename the columns of a frame in another order, and the
    # next step could not refuse them.
    return FunctionTransformer(nonnegative_log1p, inverse_func=np.expm1, check_inverse=False)


class NonnegativeLog(nn.Module):
    """The logarithm of 1 + x, which refuses negative values unless it is part of an exported graph."""

    columns: Sequence[str] | None = None  # their names, for errors

    @override
    def forward(self, rows: Tensor) -> Tensor:
        if not torch.compiler.is_compiling():
            _check_not_negative(rows, self.columns)
        return rows.double().log1p().to(rows.dtype)


class _Function(NamedTuple):
    """A function that files keep by name."""

    function: Callable[[Any], Any]
    make_operation: Callable[[], nn.Module]
    inverse: str | None = None  # its name; None if there is no inverse on all that the function gives


def _by(function: Callable[[Tensor], Tensor]) -> Callable[[], nn.Module]:
    return lambda: Operation(function, wide=True)


FUNCTIONS = {
    "log1p": _Function(np.log1p, _by(torch.log1p), "expm1"),
    "expm1": _Function(np.expm1, _by(torch.expm1), "log1p"),
    "log": _Function(np.log, _by(torch.log), "exp"),
    "exp": _Function(np.exp, _by(torch.exp), "log"),
    "sqrt": _Function(np.sqrt, _by(torch.sqrt), "square"),
    "square": _Function(np.square, _by(torch.square)),
    "nonnegative_log1p": _Function(nonnegative_log1p, NonnegativeLog, "expm1"),
}


def _name_of(function: Any) -> str | None:
    return next((name for name, known in FUNCTIONS.items() if known.function is function), None)


FUNCTION = Option(
    lambda value: value is None or _name_of(value) is not None,
    _name_of,
    lambda name: None if name is None else FUNCTIONS[name].function,
)
NO_ARGUMENTS = Option(lambda value: not value, lambda value: None)


def _rename(transformer: Any, names: list[str]) -> list[str]:
    return names if transformer.func is None else [f"{_name_of(transformer.func)}({name})" for name in names]


def _inverse_of(transformer: Any) -> Callable[[Any], Any] | None:
    if transformer.func is None:
        return np.asarray
    if transformer.inverse_func is not None:
        return transformer.inverse_func  # type: ignore[no-any-return]
    name = FUNCTIONS[_name_of(transformer.func) or ""].inverse
    return None if name is None else FUNCTIONS[name].function


def _undo(transformer: Any, names: list[str], centers: Array) -> Undone:
    inverse = _inverse_of(transformer)
    if inverse is None:
        return Undone(_rename(transformer, names), centers, [None] * len(names))
    return undo_by(lambda _, rows: inverse(rows))(transformer, names, centers)


def _operation(transformer: Any, words: Words) -> nn.Module:
    if transformer.func is None:
        return nn.Identity()
    return FUNCTIONS[_name_of(transformer.func) or ""].make_operation()


class _FunctionRecord(Leaf):
    """A transformer that copies its columns if it has no function."""

    @override
    def copied_columns(self, transformer: Any) -> list[int | None]:
        n = transformer.n_features_in_
        return list(range(n)) if transformer.func is None else [None] * n


FUNCTION_TRANSFORMER = _FunctionRecord(
    FunctionTransformer,
    _operation,
    {
        "func": FUNCTION,
        "inverse_func": FUNCTION,
        "validate": BOOL,
        "accept_sparse": BOOL,
        "check_inverse": BOOL,
        "feature_names_out": one_of_options(None, "one-to-one"),
        "kw_args": NO_ARGUMENTS,
        "inv_kw_args": NO_ARGUMENTS,
    },
    undo_with=_undo,
    rename=_rename,
)
