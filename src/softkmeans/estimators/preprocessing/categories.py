"""Records of OneHotEncoder and SimpleImputer, which also take text."""

from __future__ import annotations

__all__ = ["CATEGORICAL"]

import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.impute import SimpleImputer
from sklearn.preprocessing import OneHotEncoder
from torch import Tensor
from typing_extensions import override

from ...data.block import as_tensor
from ...errors import InputError
from .record import BOOL, NAME, Leaf, Node, Operation, Option, Undone, Words, one_of_options, require

Array = NDArray[Any]

PLAIN = (str, bool, int, float, type(None))  # values in arrays of objects that a file keeps


def _write_array(array: Array, name: str, node: Node, tensors: dict[str, Tensor]) -> Any:
    """Return an array of numbers as a reference to a tensor, and one of texts or objects as JSON."""
    if array.dtype.kind in "fiub":
        tensors[name] = as_tensor(array)
        return {"tensor": True}
    values = [value.item() if isinstance(value, np.generic) else value for value in array.tolist()]
    odd = [value for value in values if not isinstance(value, PLAIN)]
    if odd:
        problem = f"the {node['class']} has {odd[0]!r}, a value of type {type(odd[0]).__name__}"
        raise InputError(problem, expected="text or numbers", hint="convert the column first")
    return {"type": "text" if array.dtype.kind == "U" else "object", "values": values}


def _read_array(entry: Mapping[str, Any], name: str, tensors: Mapping[str, Tensor]) -> Array:
    """Return an array that `_write_array` wrote, after checking it."""
    if "tensor" in entry:
        array: Array = tensors[name].numpy()
    else:
        values = entry["values"]
        require(isinstance(values, list) and all(isinstance(value, PLAIN) for value in values), f"{name} is invalid")
        is_text = entry["type"] == "text"
        require(not is_text or all(isinstance(value, str) for value in values), f"{name} must be texts")
        array = np.array(values, dtype=str if is_text else object)
    require(array.ndim == 1 and array.dtype.kind in "fiubUO", f"{name} has a wrong shape")
    return array


def _is_missing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))


def _texts(values: Iterable[Any]) -> set[str]:
    return {str(value) for value in values if isinstance(value, str)}


# --- SimpleImputer ----------------------------------------------------------------------------------------------------


def _kept(imputer: Any) -> list[int]:
    """Return the columns that are not left out: those with values when the imputer was fitted."""
    values = imputer.statistics_.tolist()
    return [i for i, value in enumerate(values) if imputer.keep_empty_features or not _is_missing(value)]


def _impute(imputer: Any, words: Words) -> Operation:
    kept = _kept(imputer)
    fill = np.array([words.code(imputer.statistics_[i]) for i in kept])
    missing = imputer.missing_values

    def replace(x: Tensor, columns: Tensor, fill: Tensor) -> Tensor:
        x = x[:, columns]
        return fill.where(x.isnan() if _is_missing(missing) else x == words.codes.get(missing, missing), x)

    return Operation(replace, np.array(kept, dtype=np.int64), fill)


def _write_imputer(imputer: Any, node: Node, at: str, tensors: dict[str, Tensor]) -> None:
    node["statistics"] = _write_array(imputer.statistics_, at + "statistics_", node, tensors)
    node["dtype"] = imputer._fit_dtype.name  # scikit-learn has no public attribute for it


def _read_imputer(imputer: Any, node: Node, at: str, tensors: Mapping[str, Tensor]) -> None:
    dtype, n_features = np.dtype(node["dtype"]), imputer.n_features_in_
    require(dtype.kind in "fiubO", "SimpleImputer's dtype is invalid")
    statistics = _read_array(node["statistics"], at + "statistics_", tensors)
    require(statistics.shape == (n_features,), "SimpleImputer's statistics_ has a wrong shape")
    is_finite = all(not isinstance(v, float) or not math.isinf(v) for v in statistics.tolist())
    require(is_finite, "SimpleImputer's statistics_ is invalid")
    require(dtype.kind == "O" or not _texts(statistics.tolist()), "SimpleImputer's statistics_ must be numbers")
    filler: Any = "" if dtype.kind == "O" else 0
    imputer.fit(np.full((1, n_features), filler, dtype=dtype))  # for what follows from the type of the data
    imputer.statistics_ = statistics


def _undo_imputer(imputer: Any, names: list[str], centers: Array) -> Undone:
    kept = _kept(imputer)
    return Undone([names[i] for i in kept], centers, list(kept))


class _ImputerRecord(Leaf):
    """A transformer that copies what is not missing."""

    @override
    def copied_columns(self, transformer: Any) -> list[int | None]:
        return list(_kept(transformer))

    @override
    def words(self, transformer: Any) -> set[str]:
        return _texts(transformer.statistics_.tolist())

    @override
    def fills_missing(self, transformer: Any) -> bool:
        return True

    @override
    def text_columns(self, transformer: Any) -> set[int]:
        return {i for i, value in enumerate(transformer.statistics_.tolist()) if isinstance(value, str)}


# --- OneHotEncoder ----------------------------------------------------------------------------------------------------


def _kept_categories(encoder: Any) -> list[list[Any]]:
    """Return the categories of each input column that have an output column."""
    categories = [values.tolist() for values in encoder.categories_]
    dropped = encoder.drop_idx_ if encoder.drop_idx_ is not None else [None] * len(categories)
    return [
        [value for i, value in enumerate(values) if i != drop] for values, drop in zip(categories, dropped, strict=True)
    ]


def _encode(encoder: Any, words: Words) -> Operation:
    pairs = [(column, words.code(v)) for column, values in enumerate(_kept_categories(encoder)) for v in values]
    columns, codes = np.array([c for c, _ in pairs], dtype=np.int64), np.array([code for _, code in pairs])

    def compare(x: Tensor, columns: Tensor, codes: Tensor, is_nan: Tensor) -> Tensor:
        x = x[:, columns]
        return ((x == codes) | (x.isnan() & (is_nan > 0))).to(x.dtype)

    return Operation(compare, columns, codes, np.isnan(codes).astype(np.int64))


def _encoded_names(encoder: Any, names: list[str]) -> list[str]:
    pairs = zip(names, _kept_categories(encoder), strict=True)
    return [f"{name}_{value}" for name, values in pairs for value in values]


def _write_encoder(encoder: Any, node: Node, at: str, tensors: dict[str, Tensor]) -> None:
    node["categories"] = [
        _write_array(values, f"{at}categories_.{i}", node, tensors) for i, values in enumerate(encoder.categories_)
    ]
    node["given"] = not isinstance(encoder.categories, str)


def _read_encoder(encoder: Any, node: Node, at: str, tensors: Mapping[str, Tensor]) -> None:
    entries, given = node["categories"], node["given"]
    require(isinstance(given, bool), "OneHotEncoder's categories are invalid")
    require(isinstance(entries, list) and len(entries) == encoder.n_features_in_, "categories have a wrong length")
    categories = [_read_array(entry, f"{at}categories_.{i}", tensors) for i, entry in enumerate(entries)]
    for values in categories:
        listed = values.tolist()
        distinct = {(type(v) is str, "missing" if _is_missing(v) else v, v is None) for v in listed}
        require(listed != [] and len(distinct) == len(listed), "OneHotEncoder's categories must differ")
        is_last = [i for i, v in enumerate(listed) if _is_missing(v)]
        require(all(i >= len(listed) - 2 for i in is_last), "missing categories must be last")
        numbers = [v for v in listed if not isinstance(v, str) and not _is_missing(v)]
        require(not numbers or not _texts(listed), "OneHotEncoder's categories must be texts or numbers, not both")
        require(all(math.isfinite(v) for v in numbers), "OneHotEncoder's categories must be finite")
        is_sorted = values.dtype.kind in "UO" or numbers == sorted(numbers)
        require(is_sorted, "OneHotEncoder's categories must be sorted")
    # A fit to as many other categories sets what follows from their numbers.
    longest = max(map(len, categories))
    table = [[min(row, len(values) - 1) for values in categories] for row in range(longest)]
    encoder.fit(np.array(table, dtype=object))
    encoder.categories_ = categories
    if given:
        encoder.categories = categories


class _EncoderRecord(Leaf):
    """A transformer of categories to columns of 0 and 1."""

    @override
    def words(self, transformer: Any) -> set[str]:
        return set[str]().union(*(_texts(values.tolist()) for values in transformer.categories_))

    @override
    def text_columns(self, transformer: Any) -> set[int]:
        return {i for i, values in enumerate(transformer.categories_) if _texts(values.tolist())}


def _is_missing_marker(value: Any) -> bool:
    return NAME.is_valid(value) and not isinstance(value, bool)


CATEGORICAL = (
    _ImputerRecord(
        SimpleImputer,
        _impute,
        {
            "missing_values": Option(_is_missing_marker),
            "strategy": one_of_options("mean", "median", "most_frequent", "constant"),
            "fill_value": NAME,
            "copy": BOOL,
            "keep_empty_features": BOOL,
        },
        undo_with=_undo_imputer,
        rename=lambda imputer, names: [names[i] for i in _kept(imputer)],
        write=_write_imputer,
        read=_read_imputer,
    ),
    _EncoderRecord(
        OneHotEncoder,
        _encode,
        {
            "drop": one_of_options(None, "first", "if_binary"),
            "sparse_output": BOOL,
            "dtype": Option(
                lambda value: np.dtype(value).kind in "fiub",
                lambda value: np.dtype(value).name,
                lambda name: np.dtype(name).type,
            ),
            "handle_unknown": one_of_options("error", "ignore", "infrequent_if_exist", "warn"),
            # Written with the fitted categories.
            "categories": Option(lambda value: True, lambda value: "auto", lambda value: "auto"),
        },
        rename=_encoded_names,
        write=_write_encoder,
        read=_read_encoder,
    ),
)
