"""Records of Pipeline and ColumnTransformer, and the table of all records."""

from __future__ import annotations

__all__ = ["RECORDS", "check_preprocessing", "first_step", "from_node", "input_names", "n_inputs", "record_of"]

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn
from typing_extensions import override

from ..._utils.registry import one_of
from ...errors import InputError
from .categories import CATEGORICAL
from .columns import Names, column_indices, columns_from_json, columns_to_json
from .functions import FUNCTION_TRANSFORMER
from .numeric import NUMERIC
from .record import Node, Record, Undone, Words, checked_n_features, output_of, require, set_names, set_output

Array = NDArray[Any]

MAX_DEPTH = 20  # of pipelines and column transformers in each other, in a file


def record_of(transformer: Any) -> Record:
    """Return the record of a transformer of a known class."""
    return RECORDS[type(transformer).__name__]


def check_preprocessing(transformer: Any, name: str) -> None:
    """Raise an InputError, which names the step, unless a transformer is one that the library can keep.

    Parameters
    ----------
    transformer : object
        A transformer, fitted or not.
    name : str
        The name of its step; that of a step in a step is "outer__inner".

    Examples
    --------
    >>> from sklearn.preprocessing import QuantileTransformer
    >>> check_preprocessing(QuantileTransformer(), "ranks")
    Traceback (most recent call last):
    ...
    softkmeans.errors.InputError: the step 'ranks' is a QuantileTransformer, expected StandardScaler, MinMaxScaler, ...
    """
    record = RECORDS.get(type(transformer).__name__)
    if record is None or record.kind is not type(transformer):
        problem = f"the step {name!r} is a {type(transformer).__name__}"
        raise InputError(problem, expected=one_of(RECORDS), hint="transform the data before, without this step")
    record.check(transformer, name)


def _check_defaults(transformer: Any, name: str, defaults: Mapping[str, Any]) -> None:
    """Raise an InputError unless parameters have their defaults."""
    for parameter, default in defaults.items():
        value = getattr(transformer, parameter)
        if value is not default and value:
            problem = f"the step {name!r} has {parameter}={value!r}, which is not supported"
            raise InputError(problem, hint=f"use {parameter}={default!r}")


class _PipelineRecord(Record):
    """Transformers one after the other."""

    kind = Pipeline

    @override
    def check(self, transformer: Any, name: str) -> None:
        _check_defaults(transformer, name, {"transform_input": None})
        for step_name, step in transformer.steps:
            if not _is_skipped(step):
                check_preprocessing(step, f"{name}__{step_name}" if name else step_name)

    @override
    def to_file(self, transformer: Any, at: str, tensors: dict[str, Tensor]) -> Node:
        steps = [
            {
                "name": name,
                "transformer": None if _is_skipped(step) else record_of(step).to_file(step, f"{at}{i}.", tensors),
            }
            for i, (name, step) in enumerate(transformer.steps)
        ]
        return {"class": "Pipeline", "steps": steps}

    @override
    def from_file(self, node: Node, at: str, tensors: Mapping[str, Tensor]) -> Any:
        steps = list[tuple[str, Any]]()
        width: int | None = None
        require(len(node["steps"]) > 0, "a Pipeline has no steps")
        for i, step in enumerate(node["steps"]):
            if step["transformer"] is None:
                steps.append((_name(step), "passthrough"))
                continue
            transformer = from_node(step["transformer"], f"{at}{i}.", tensors)
            n_features = n_inputs(transformer)
            require(width is None or n_features in (None, width), "a step has a wrong number of features")
            if n_features is not None:
                width = len(record_of(transformer).output_names(transformer, [""] * n_features))
            steps.append((_name(step), transformer))
        return Pipeline(steps)

    @override
    def output_names(self, transformer: Any, names: list[str]) -> list[str]:
        return self._stages(transformer, names)[-1]

    def _stages(self, transformer: Any, names: list[str]) -> list[list[str]]:
        """Return the names of the columns before each step, and after the last."""
        stages = [names]
        for step in _steps(transformer):
            stages.append(record_of(step).output_names(step, stages[-1]))
        return stages

    @override
    def undo(self, transformer: Any, names: list[str], centers: Array) -> Undone:
        stages, steps = self._stages(transformer, names), _steps(transformer)
        undone = Undone(stages[-1], centers, list(range(centers.shape[1])))
        for step, step_names in zip(reversed(steps), reversed(stages[:-1]), strict=True):
            record, columns = record_of(step), undone.columns
            if columns == list(range(len(columns))) and len(columns) == len(record.output_names(step, step_names)):
                undone = record.undo(step, step_names, undone.centers)
            else:  # columns that are left in units of their own stay; others go back as long as they are copies
                copies = record.copied_columns(step)
                undone = undone._replace(columns=[None if c is None else copies[c] for c in columns])
        named = [name if c is None else names[c] for name, c in zip(undone.names, undone.columns, strict=True)]
        return undone._replace(names=named)

    @override
    def operation(self, transformer: Any, words: Words) -> nn.Module:
        return nn.Sequential(*(record_of(step).operation(step, words) for step in _steps(transformer)))

    @override
    def copied_columns(self, transformer: Any) -> list[int | None]:
        copies: list[int | None] | None = None
        for step in _steps(transformer):
            own = record_of(step).copied_columns(step)
            copies = own if copies is None else [None if c is None else copies[c] for c in own]
        return copies or []

    @override
    def words(self, transformer: Any) -> set[str]:
        return set[str]().union(*(record_of(step).words(step) for step in _steps(transformer)))

    @override
    def unused_columns(self, transformer: Any) -> set[int]:
        first = next(iter(_steps(transformer)), None)
        return set() if first is None else record_of(first).unused_columns(first)

    @override
    def fills_missing(self, transformer: Any) -> bool:
        return any(record_of(step).fills_missing(step) for step in _steps(transformer))

    @override
    def text_columns(self, transformer: Any) -> set[int]:
        found, copies = set[int](), None
        for step in _steps(transformer):
            columns = record_of(step).text_columns(step)
            found |= {c for c in (columns if copies is None else (copies[i] for i in columns)) if c is not None}
            own = record_of(step).copied_columns(step)
            copies = own if copies is None else [None if c is None else copies[c] for c in own]
        return found


class _Columns(Record):
    """Transformers of some columns each, side by side."""

    kind = ColumnTransformer

    @override
    def check(self, transformer: Any, name: str) -> None:
        _check_defaults(transformer, name, {"transformer_weights": None})
        if callable(transformer.verbose_feature_names_out):
            problem = f"the step {name!r} has a function for verbose_feature_names_out, which is not supported"
            raise InputError(problem, hint="use True or False")
        parts = [(part, step) for part, step, _ in transformer.transformers] + [("remainder", transformer.remainder)]
        for part, step in parts:
            if not isinstance(step, str):
                check_preprocessing(step, f"{name}__{part}")

    @override
    def to_file(self, transformer: Any, at: str, tensors: dict[str, Tensor]) -> Node:
        check_is_fitted(transformer)
        parts = list[Node]()
        for i, (name, step, columns) in enumerate(transformer.transformers_):
            is_used = len(column_indices(transformer, columns)) > 0 and not isinstance(
                step, str
            )  # else it is not fitted
            part = record_of(step).to_file(step, f"{at}{i}.", tensors) if is_used else None
            parts.append({"name": name, "columns": columns_to_json(columns), "transformer": part})
        return {
            "class": "ColumnTransformer",
            "n_features": int(transformer.n_features_in_),
            "feature_names": list(getattr(transformer, "feature_names_in_", [])),
            "output": output_of(transformer),
            "sparse_threshold": float(transformer.sparse_threshold),
            "sparse_output": bool(transformer.sparse_output_),
            "verbose_feature_names_out": transformer.verbose_feature_names_out,
            "parts": parts,
            "has_remainder": len(transformer.transformers_) > len(transformer.transformers),
        }

    @override
    def from_file(self, node: Node, at: str, tensors: Mapping[str, Tensor]) -> Any:
        n_features, parts = checked_n_features(node), node["parts"]
        for name in ("sparse_output", "has_remainder"):
            require(isinstance(node[name], bool), f"{name} is invalid")
        require(isinstance(node["verbose_feature_names_out"], bool | str), "verbose_feature_names_out is invalid")
        steps, given = list[Any](), [columns_from_json(part["columns"]) for part in parts]
        columns = [column_indices(Names(n_features, node["feature_names"]), part) for part in given]
        for i, (part, indices) in enumerate(zip(parts, columns, strict=True)):
            step = None if part["transformer"] is None else from_node(part["transformer"], f"{at}{i}.", tensors)
            require(step is None or n_inputs(step) in (None, len(indices)), "a step has a wrong number of features")
            steps.append(step)
        names = [_name(part) for part in parts]
        # A fit of stand-ins, which give as many columns, sets what follows from the columns.
        stand_ins = [(n, _stand_in(s, cols), cols) for n, s, cols in zip(names, steps, columns, strict=True)]
        rest = stand_ins.pop() if node["has_remainder"] else ("remainder", "drop", [])
        transformer = ColumnTransformer(
            stand_ins,
            remainder=rest[1],
            sparse_threshold=node["sparse_threshold"],
            verbose_feature_names_out=node["verbose_feature_names_out"],
        ).fit(np.zeros((1, n_features)))
        require(
            [column_indices(transformer, c) for _, _, c in transformer.transformers_] == columns, "columns are invalid"
        )
        transformer.sparse_output_ = node["sparse_output"]
        entries = [(n, "drop" if s is None else s, c) for n, s, c in zip(names, steps, given, strict=True)]
        transformer.transformers_ = list(entries)
        if node["has_remainder"]:
            transformer.remainder = entries.pop()[1]
        transformer.transformers = entries
        set_names(transformer, node)
        set_output(transformer, node)
        return transformer

    def _parts(self, transformer: Any) -> list[tuple[Any, list[int]]]:
        """Return the transformers that have output columns, and the indices of their input columns."""
        parts = [(step, column_indices(transformer, columns)) for _, step, columns in transformer.transformers_]
        return [(step, columns) for step, columns in parts if columns and not isinstance(step, str)]

    @override
    def output_names(self, transformer: Any, names: list[str]) -> list[str]:
        parts = self._parts(transformer)
        return [name for step, cols in parts for name in record_of(step).output_names(step, [names[c] for c in cols])]

    @override
    def undo(self, transformer: Any, names: list[str], centers: Array) -> Undone:
        start, blocks = 0, list[Undone]()
        for step, columns in self._parts(transformer):
            own = [names[c] for c in columns]
            width = len(record_of(step).output_names(step, own))
            block = record_of(step).undo(step, own, centers[:, start : start + width])
            blocks.append(block._replace(columns=[None if c is None else columns[c] for c in block.columns]))
            start += width
        undone = Undone(
            [name for block in blocks for name in block.names],
            np.hstack([block.centers for block in blocks]) if blocks else centers,
            [c for block in blocks for c in block.columns],
        )
        known = [c for c in undone.columns if c is not None]
        if len(known) < len(undone.columns) or len(set(known)) < len(known):
            return undone
        order = np.argsort(known)  # all columns go back: in the order of the data
        return Undone([undone.names[i] for i in order], undone.centers[:, order], [known[i] for i in order])

    @override
    def operation(self, transformer: Any, words: Words) -> nn.Module:
        return _SideBySide([(record_of(step).operation(step, words), c) for step, c in self._parts(transformer)])

    @override
    def copied_columns(self, transformer: Any) -> list[int | None]:
        parts = [(record_of(step).copied_columns(step), columns) for step, columns in self._parts(transformer)]
        return [None if c is None else columns[c] for own, columns in parts for c in own]

    @override
    def words(self, transformer: Any) -> set[str]:
        return set[str]().union(*(record_of(step).words(step) for step, _ in self._parts(transformer)))

    @override
    def unused_columns(self, transformer: Any) -> set[int]:
        return set(range(transformer.n_features_in_)) - {c for _, columns in self._parts(transformer) for c in columns}

    @override
    def fills_missing(self, transformer: Any) -> bool:
        return any(record_of(step).fills_missing(step) for step, _ in self._parts(transformer))

    @override
    def text_columns(self, transformer: Any) -> set[int]:
        parts = self._parts(transformer)
        return {columns[c] for step, columns in parts for c in record_of(step).text_columns(step)}


class _SideBySide(nn.Module):
    """Operations on some columns each, with their results side by side."""

    def __init__(self, parts: Sequence[tuple[nn.Module, list[int]]]) -> None:
        super().__init__()
        self.operations = nn.ModuleList([operation for operation, _ in parts])
        for i, (_, columns) in enumerate(parts):
            self.register_buffer(f"columns{i}", torch.tensor(columns, dtype=torch.int64, device="cpu"))

    @override
    def forward(self, rows: Tensor) -> Tensor:
        return torch.cat([op(rows[:, getattr(self, f"columns{i}")]) for i, op in enumerate(self.operations)], 1)


def from_node(node: Node, at: str, tensors: Mapping[str, Tensor]) -> Any:
    """Return the fitted transformer that the JSON of a file describes.

    Raises
    ------
    ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError or ValueError
        If the JSON or the tensors are not valid.
    """
    require(at.count(".") <= MAX_DEPTH, "the steps are nested too deep")
    return RECORDS[node["class"]].from_file(node, at, tensors)


def n_inputs(transformer: Any) -> int | None:
    """Return the number of input columns; None if a pipeline has no transformers, and takes any number."""
    if not isinstance(transformer, Pipeline):
        return int(transformer.n_features_in_)
    sizes = (n_inputs(step) for step in _steps(transformer))
    return next((n for n in sizes if n is not None), None)


def input_names(transformer: Any) -> list[str] | None:
    """Return the names of the columns that a transformer was fitted to; None if they had no names."""
    first = first_step(transformer)
    names = getattr(first, "feature_names_in_", None)
    return None if names is None else [str(name) for name in names]


def first_step(transformer: Any) -> Any:
    """Return the transformer itself, or the first one of a pipeline; None if a pipeline has none."""
    if not isinstance(transformer, Pipeline):
        return transformer
    return next(iter([step for step in map(first_step, _steps(transformer)) if step is not None]), None)


def _steps(pipeline: Any) -> list[Any]:
    """Return the transformers of a pipeline that do something."""
    return [step for _, step in pipeline.steps if not _is_skipped(step)]


def _is_skipped(step: Any) -> bool:
    return step is None or step == "passthrough"


def _name(entry: Node) -> str:
    """Return the name of a step in a file."""
    name = entry["name"]
    require(isinstance(name, str) and "__" not in name, "the name of a step is invalid")
    return str(name)


def _stand_in(step: Any, columns: list[int]) -> Any:
    """Return a transformer that gives as many columns as a step, whatever its input."""
    if step is None or not columns:
        return "drop"
    width = len(record_of(step).output_names(step, [""] * len(columns)))
    return FunctionTransformer(partial(_zeros, width=width))


def _zeros(rows: Any, width: int) -> Array:
    return np.zeros((len(rows), width))


RECORDS: dict[str, Record] = {
    record.kind.__name__: record
    for record in (*NUMERIC, *CATEGORICAL, FUNCTION_TRANSFORMER, _PipelineRecord(), _Columns())
}
