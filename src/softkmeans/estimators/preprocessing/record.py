"""What the library needs to know of scikit-learn's transformers: the interface of the records, and what they share."""

from __future__ import annotations

__all__ = [
    "BOOL",
    "NAME",
    "NUMBER",
    "Fitted",
    "Leaf",
    "Operation",
    "Option",
    "Record",
    "Undone",
    "Words",
    "one_of_options",
    "require",
    "undo_by",
]

import inspect
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from numbers import Real
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import sklearn
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn
from typing_extensions import override

from ...data.block import as_tensor
from ...errors import InputError

Array: TypeAlias = "NDArray[Any]"
Node: TypeAlias = "dict[str, Any]"  # the JSON that describes a transformer in a file

MAX_FEATURES = 2**24  # of a transformer in a file


def require(condition: bool, message: str) -> None:
    """Raise a ValueError, which `load` reports as damage, unless a condition holds."""
    if not condition:
        raise ValueError(message)


class Undone(NamedTuple):
    """Centers taken back toward the input of a transformer.

    Attributes
    ----------
    names : list of m str
        Names of the columns.
    centers : ndarray (k, m)
        The centers.
    columns : list of m int or None
        The input column that each one is, in the units of that input; None for columns that have no inverse.
    """

    names: list[str]
    centers: Array
    columns: list[int | None]


class Words:
    """The numbers that stand for texts in tensors: a category's number, NaN for a missing one."""

    def __init__(self, words: set[str]) -> None:
        self.codes = {word: float(number) for number, word in enumerate(sorted(words))}

    def code(self, value: Any) -> float:
        """Return the number of a value: that of a text, or the number itself."""
        if value is None:
            return math.nan
        return self.codes[value] if isinstance(value, str) else float(value)


class Operation(nn.Module):
    """A function of rows (n, d) and of arrays, by tensor operations.

    Parameters
    ----------
    function : callable
        Function of the rows and the arrays, which are tensors of the type of the rows, or integers.
    *arrays : ndarray
        The arrays.
    wide : bool, default=False
        Whether to compute in float64, whatever the type of the rows.
    """

    def __init__(self, function: Callable[..., Tensor], *arrays: Any, wide: bool = False) -> None:
        super().__init__()
        self.function, self.wide, self.names = function, wide, [f"array{i}" for i in range(len(arrays))]
        for name, array in zip(self.names, map(np.asarray, arrays), strict=True):
            is_whole = array.dtype.kind in "iub"
            self.register_buffer(name, as_tensor(array.astype(np.int64 if is_whole else np.float64)).clone())

    @override
    def forward(self, rows: Tensor) -> Tensor:
        x = rows.double() if self.wide else rows
        arrays = [getattr(self, name) for name in self.names]
        arrays = [array.to(x.dtype) if array.dtype.is_floating_point else array for array in arrays]
        return self.function(x, *arrays).to(rows.dtype)


class Record(ABC):
    """What the library needs to know of a class of transformers.

    Attributes
    ----------
    kind : type
        The class.
    """

    kind: type

    @abstractmethod
    def check(self, transformer: Any, name: str) -> None:
        """Raise an InputError if the transformer, fitted or not, can't be used; ``name`` is that of its step."""

    @abstractmethod
    def to_file(self, transformer: Any, at: str, tensors: dict[str, Tensor]) -> Node:
        """Return a fitted transformer as JSON; add its arrays to the tensors, under names that begin with ``at``."""

    @abstractmethod
    def from_file(self, node: Node, at: str, tensors: Mapping[str, Tensor]) -> Any:
        """Return a fitted transformer; raise a ValueError or similar if its JSON or tensors are not valid."""

    @abstractmethod
    def output_names(self, transformer: Any, names: list[str]) -> list[str]:
        """Return the names of the m output columns, given those of the d input columns."""

    @abstractmethod
    def undo(self, transformer: Any, names: list[str], centers: Array) -> Undone:
        """Take centers (k, m) back toward the input, whose columns have these names."""

    @abstractmethod
    def operation(self, transformer: Any, words: Words) -> nn.Module:
        """Return the transformation (n, d) to (n, m) as tensor operations."""

    def copied_columns(self, transformer: Any) -> list[int | None]:
        """Return the input column that each output column is a copy of; None for one that is something else."""
        return [None] * len(self.output_names(transformer, [""] * transformer.n_features_in_))

    def words(self, transformer: Any) -> set[str]:
        """Return the texts that occur in the fitted attributes."""
        return set()

    def text_columns(self, transformer: Any) -> set[int]:
        """Return the input columns that are text."""
        return set()

    def unused_columns(self, transformer: Any) -> set[int]:
        """Return the input columns that are dropped."""
        return set()

    def fills_missing(self, transformer: Any) -> bool:
        """Return whether missing values of some input columns are replaced."""
        return False


@dataclass(frozen=True)
class Option:
    """A parameter that a file keeps: which values it may have, and how they are written.

    Attributes
    ----------
    is_valid : callable
        Returns whether a value can be kept.
    to_json, from_json : callable
        Convert a value to JSON and back.
    """

    is_valid: Callable[[Any], bool]
    to_json: Callable[[Any], Any] = lambda value: value.item() if isinstance(value, np.generic) else value
    from_json: Callable[[Any], Any] = lambda value: tuple(value) if isinstance(value, list) else value


def _is_number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)


BOOL = Option(lambda value: isinstance(value, bool | np.bool_))
NUMBER = Option(_is_number)
NAME = Option(lambda value: value is None or isinstance(value, str | bool) or _is_number(value))


def one_of_options(*values: Any) -> Option:
    """Return an option that has one of some values."""
    return Option(lambda value: isinstance(value, str | None) and value in values)


@dataclass(frozen=True)
class Fitted:
    """A fitted attribute of floats that a file keeps.

    Attributes
    ----------
    name : str
        Its name.
    shape : tuple of str or int
        Its shape: "d" is the number of input columns, any other text a number that is the same in all attributes.
    at_least, above : float or None
        Limits of its values.
    exists : callable
        Returns whether a transformer with the same parameters has it; else it is None.
    """

    name: str
    shape: tuple[str, ...] = ("d",)
    at_least: float | None = None
    above: float | None = None
    exists: Callable[[Any], bool] = lambda transformer: True

    def read(self, tensor: Tensor, kind: str, sizes: dict[str, int]) -> Any:
        """Return the values of a tensor after checking them."""
        what = f"{kind}'s {self.name}"
        require(tensor.dtype.is_floating_point, f"{what} must be floats")
        require(tensor.ndim == len(self.shape), f"{what} has a wrong shape")
        expected = tuple(sizes.setdefault(n, size) for n, size in zip(self.shape, tensor.shape, strict=True))
        require(tuple(tensor.shape) == expected, f"{what} has a wrong shape")
        require(bool(tensor.isfinite().all()), f"{what} is invalid")
        require(self.at_least is None or bool((tensor >= self.at_least).all()), f"{what} is invalid")
        require(self.above is None or bool((tensor > self.above).all()), f"{what} is invalid")
        return tensor.numpy() if tensor.ndim else tensor.item()


def undo_by(inverse: Callable[[Any, Array], Array]) -> Callable[[Any, list[str], Array], Undone]:
    """Return the `undo` of a transformer that has an inverse."""

    def undo(transformer: Any, names: list[str], centers: Array) -> Undone:
        with np.errstate(all="ignore"):  # a center may be outside of what the transformation can give: then it is NaN
            return Undone(names, np.asarray(inverse(transformer, centers)), list(range(len(names))))

    return undo


@dataclass(frozen=True)
class Leaf(Record):
    """A transformer without other transformers in it.

    Attributes
    ----------
    kind : type
        The class.
    make_operation : callable
        Returns the tensor operations of a transformer, given the numbers of texts.
    parameters : dict of str to Option
        Parameters that a file keeps. Others must have their defaults.
    fitted : tuple of Fitted
        Fitted attributes that a file keeps.
    undo_with : callable or None
        How centers are taken back toward the input; None for a transformer without an inverse.
    rename : callable
        Returns the output names, by default the input names.
    write, read : callable or None
        For fitted attributes of other kinds: ``write`` adds them to the JSON and the tensors, and ``read`` sets them.
    """

    kind: type
    make_operation: Callable[[Any, Words], nn.Module]
    parameters: Mapping[str, Option] = field(default_factory=dict)
    fitted: tuple[Fitted, ...] = ()
    undo_with: Callable[[Any, list[str], Array], Undone] | None = None
    rename: Callable[[Any, list[str]], list[str]] = lambda transformer, names: names
    write: Callable[[Any, Node, str, dict[str, Tensor]], None] | None = None
    read: Callable[[Any, Node, str, Mapping[str, Tensor]], None] | None = None

    @override
    def check(self, transformer: Any, name: str) -> None:
        for parameter, value in transformer.get_params(deep=False).items():
            default = inspect.signature(self.kind).parameters[parameter].default
            option = self.parameters.get(parameter)
            is_kept = _are_equal(value, default) if option is None else option.is_valid(value)
            if not is_kept:
                shown = getattr(value, "__name__", None) or repr(value)
                problem = f"the step {name!r} has {parameter}={' '.join(shown.split())}, which is not supported"
                raise InputError(problem, hint=f"use another value, such as the default {default!r}")

    @override
    def to_file(self, transformer: Any, at: str, tensors: dict[str, Tensor]) -> Node:
        check_is_fitted(transformer)
        values = transformer.get_params(deep=False)
        node: Node = {
            "class": self.kind.__name__,
            "parameters": {name: option.to_json(values[name]) for name, option in self.parameters.items()},
            "n_features": int(transformer.n_features_in_),
            "feature_names": list(getattr(transformer, "feature_names_in_", [])),
            "output": output_of(transformer),
            "column_major": [],
        }
        for attribute in self.fitted:
            if attribute.exists(transformer):
                array = np.asarray(getattr(transformer, attribute.name))
                tensors[at + attribute.name] = as_tensor(array)
                if array.ndim == 2 and array.strides[0] < array.strides[1]:
                    node["column_major"].append(attribute.name)  # products round as they do in this layout
        if self.write is not None:
            self.write(transformer, node, at, tensors)
        return node

    @override
    def from_file(self, node: Node, at: str, tensors: Mapping[str, Tensor]) -> Any:
        n_features, kind = checked_n_features(node), self.kind.__name__
        require(node["parameters"].keys() <= self.parameters.keys(), f"{kind} has unknown parameters")
        values = {name: self.parameters[name].from_json(value) for name, value in node["parameters"].items()}
        for name, value in values.items():
            require(self.parameters[name].is_valid(value), f"{kind}'s {name} is invalid")
        transformer = self.kind(**values)
        transformer._validate_params()  # as a fit does
        sizes = {"d": n_features}
        for attribute in self.fitted:
            exists = attribute.exists(transformer)
            value = attribute.read(tensors[at + attribute.name], kind, sizes) if exists else None
            is_column_major = attribute.name in node.get("column_major", ())
            setattr(transformer, attribute.name, np.asfortranarray(value) if is_column_major else value)
        transformer.n_features_in_ = n_features
        if self.read is not None:
            self.read(transformer, node, at, tensors)
        set_names(transformer, node)
        set_output(transformer, node)
        return transformer

    @override
    def output_names(self, transformer: Any, names: list[str]) -> list[str]:
        return self.rename(transformer, names)

    @override
    def undo(self, transformer: Any, names: list[str], centers: Array) -> Undone:
        if self.undo_with is not None:
            return self.undo_with(transformer, names, centers)
        return Undone(self.output_names(transformer, names), centers, [None] * centers.shape[1])

    @override
    def operation(self, transformer: Any, words: Words) -> nn.Module:
        return self.make_operation(transformer, words)


def checked_n_features(node: Node) -> int:
    """Return the number of input columns in a file."""
    n_features = node["n_features"]
    is_whole = isinstance(n_features, int) and not isinstance(n_features, bool)
    require(is_whole and 1 <= n_features <= MAX_FEATURES, "n_features is invalid")
    return int(n_features)


def set_names(transformer: Any, node: Node) -> None:
    """Set the names of the input columns, if a file has any."""
    names = node["feature_names"]
    require(isinstance(names, list) and all(isinstance(name, str) for name in names), "feature_names must be texts")
    require(len(names) in (0, transformer.n_features_in_), "feature_names has a wrong length")
    if names:
        transformer.feature_names_in_ = np.array(names, dtype=object)


def output_of(transformer: Any) -> str:
    """Return what a transformer returns: "default" (arrays), "pandas" or "polars"."""
    own = getattr(transformer, "_sklearn_output_config", {})  # scikit-learn has no public attribute for it
    return str(own.get("transform") or sklearn.get_config()["transform_output"])


def set_output(transformer: Any, node: Node) -> None:
    """Set what a transformer returns."""
    output = node.get("output", "default")
    require(output in ("default", "pandas", "polars"), "the output is invalid")
    if output != "default":
        transformer.set_output(transform=output)


def _are_equal(value: Any, default: Any) -> bool:
    """Return whether a parameter has its default."""
    return value is default or (type(value) is type(default) and not callable(value) and bool(np.all(value == default)))
