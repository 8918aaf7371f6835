"""Columns of lists of numbers, such as embeddings: one feature for each element."""

from __future__ import annotations

__all__ = ["Lists"]

from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ....errors import FileError
from .base import Header, arrow, check_unique, index_columns, is_numeric


class Lists(NamedTuple):
    """The columns of a table, of which some hold lists of numbers, all of one length.

    The elements of a column "a" are the columns "a[0]", "a[1]" and so on.

    Attributes
    ----------
    schema : pyarrow.Schema
        The columns as they are stored.
    elements : dict of str to tuple of str
        The names of the elements of each column of lists.
    """

    schema: Any
    elements: dict[str, tuple[str, ...]]

    @classmethod
    def of(cls, schema: Any, first_rows: Callable[[str], Any]) -> Lists:
        """Return the columns of a schema; ``first_rows`` returns some rows of a column, which show its length."""
        check_unique(schema.names)
        lengths = {field.name: _length(field, first_rows) for field in schema if _is_list_of_numbers(field.type)}
        return cls(schema, {name: tuple(f"{name}[{j}]" for j in range(n)) for name, n in lengths.items()})

    @property
    def header(self) -> Header:
        """The columns, with one for each element of the lists."""
        numeric: dict[str, bool] = {}
        for field in self.schema:
            if field.name in self.elements:
                numeric |= dict.fromkeys(self.elements[field.name], True)
            else:
                numeric[field.name] = is_numeric(field.type)
        check_unique([name for field in self.schema for name in self.elements.get(field.name, (field.name,))])
        return Header(numeric, row_names=index_columns(self.schema), groups=self.elements)

    def stored(self, names: Iterable[str]) -> list[str]:
        """Return the names of the stored columns that have these columns."""
        owners = {element: name for name, elements in self.elements.items() for element in elements}
        return list(dict.fromkeys(owners.get(name, name) for name in names))

    def select(self, table: Any, names: list[str], start: int = 0) -> Any:
        """Return columns, also elements of lists, of a table, of which ``start`` is the index of the first row."""
        if not self.elements:
            return table.select(names)
        columns = {name: table[name] for name in self.stored(names)}
        for name in set(columns) & set(self.elements):
            values = _matrix(columns[name], name, len(self.elements[name]), start)
            columns |= dict(zip(self.elements[name], values.T, strict=True))
        return arrow("lib").table({name: columns[name] for name in names})

    def select_all(self, batches: Iterable[Any], names: list[str], start: int = 0) -> Iterator[Any]:
        """Yield columns of record batches, in order; ``start`` is the index of the first row."""
        for batch in batches:
            yield self.select(batch, names, start)
            start += len(batch)


def _is_list_of_numbers(kind: Any) -> bool:
    types = arrow("types")
    tests = (types.is_list, types.is_large_list, types.is_fixed_size_list)
    return any(test(kind) for test in tests) and is_numeric(kind.value_type)


def _length(field: Any, first_rows: Callable[[str], Any]) -> int:
    """Return the number of elements of a column's lists, by its type or its first list."""
    if arrow("types").is_fixed_size_list(field.type):
        return int(field.type.list_size)
    lists = first_rows(field.name).drop_null()
    return len(lists[0]) if len(lists) else 0


def _counted(number: int) -> str:
    return f"{number} number{'' if number == 1 else 's'}"


def _matrix(column: Any, name: str, length: int, start: int) -> NDArray[Any]:
    """Return lists of one length as an array (m, length)."""
    compute = arrow("compute")
    if hasattr(column, "combine_chunks"):
        column = column.combine_chunks()
    lengths = compute.fill_null(compute.list_value_length(column), -1).to_numpy(zero_copy_only=False)
    wrong = np.flatnonzero(lengths != length)
    if len(wrong):
        row, found = start + int(wrong[0]) + 1, int(lengths[wrong[0]])
        raise FileError(
            f"column {name!r} has {_counted(found) if found >= 0 else 'no list'} in row {row} (counted from 1)",
            expected=f"{length} in every row",
            hint="correct it",
        )
    return compute.list_flatten(column).to_numpy(zero_copy_only=False).reshape(-1, length)  # type: ignore[no-any-return]
