"""Open files by their format; a table or array that a user's function returns becomes what the library works with."""

from __future__ import annotations

__all__ = ["as_matrix", "open_parts", "open_table"]

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import scipy  # loads its submodules when they are used
from numpy.typing import NDArray
from torch import Tensor
from typing_extensions import override

from ....errors import FileError, InputError
from ...frames import as_frame, as_rows
from ..dialect import ANY_DIALECT, Dialect
from ..errors import no_rows_error
from ..paths import check_plain_file
from .arrow_tables import open_arrow_table
from .base import Format, Header, OpenTable, Parts, check_same_header
from .lists import Lists
from .lookup import find_format


def open_table(path: Path, dialect: Dialect = ANY_DIALECT) -> OpenTable:
    """Open a file to read it whole, and check that it has a row."""
    check_plain_file(path)
    used = find_format(path, "read")
    opened = used.read(path, *_dialect_for(used, dialect))
    table = opened if isinstance(opened, OpenTable) else _as_open_table(_as_piece(opened))
    if not table.n_rows:
        raise no_rows_error()
    return table


def open_parts(path: Path, dialect: Dialect = ANY_DIALECT) -> Parts:
    """Open a file to read it in parts."""
    used = find_format(path, "scan")
    assert used.scan is not None  # noqa: S101 -- find_format checked it
    scan = partial(used.scan, path, *_dialect_for(used, dialect))
    opened = scan()
    return opened if isinstance(opened, Parts) else _Tables(scan)


def _dialect_for(used: Format, dialect: Dialect) -> tuple[Dialect, ...]:
    """Return the dialect as an argument for a format that takes one; raise an InputError if it would be ignored."""
    given = dialect.given()
    if given and not used.takes_dialect:
        problem = f"is not supported with {used.suffixes[0]} files, which are not text"
        raise FileError(problem, parameter=given[0], value=getattr(dialect, given[0]), hint="remove it")
    return (dialect,) if used.takes_dialect else ()


class _Tables(Parts):
    """A file whose format yields one table or array after the other."""

    def __init__(self, scan: Callable[[], Any]) -> None:
        self.scan = scan
        self.last: Any = None  # what it returned at the last call
        first = next((piece for piece in self._pieces() if len(piece)), None)
        self.header = Header({}) if first is None else _header(first)
        self._has_rows = first is not None

    @override
    @property
    def has_rows(self) -> bool:
        return self._has_rows

    @override
    @property
    def has_columns(self) -> bool:
        return self._has_rows

    @override
    def tables(self, names: list[str], start: int, stop: int | None, max_rows: int) -> Iterator[Any]:
        n_read = 0
        for piece in self._pieces():
            if len(piece):
                check_same_header(_header(piece), self.header, names, "the first table of the file")
                yield piece if isinstance(piece, np.ndarray) else _lists(piece).select(piece, names, n_read)
                n_read += len(piece)

    @override
    def carry(self, names: list[str]) -> Iterator[Any]:
        return (piece.select(names) for piece in self._pieces() if len(piece))

    def _pieces(self) -> Iterator[Any]:
        pieces = self.scan()
        if as_frame(pieces) is not None or not isinstance(pieces, Iterable):
            raise InputError(f"its scan function returned a {type(pieces).__name__}", expected="an iterator of tables")
        if isinstance(pieces, Iterator) and pieces is self.last:
            problem, hint = "its scan function returned the same iterator twice", "return a new one at every call"
            raise InputError(problem, hint=hint)
        self.last = pieces
        return map(_as_piece, pieces)


def _as_piece(table: Any) -> Any:
    """Convert what a user's function returned to a PyArrow table, or an array (m, d) if its columns have no names."""
    frame = as_frame(table)
    if frame is not None:
        return frame.to_arrow()
    return as_matrix(as_rows(table), "return a table with named columns, or an array (m, d)")


def _lists(piece: Any) -> Lists:
    return Lists.of(piece.schema, piece.__getitem__)


def _header(piece: Any) -> Header:
    return Header({}, n_columns=piece.shape[1]) if isinstance(piece, np.ndarray) else _lists(piece).header


def _as_open_table(piece: Any) -> OpenTable:
    if isinstance(piece, np.ndarray):
        return OpenTable(_header(piece), len(piece), lambda numbers, others: {}, piece)
    return open_arrow_table(_lists(piece), len(piece), piece.select)


def as_matrix(rows: Any, hint: str) -> NDArray[Any]:
    """Convert an array, a tensor or a sparse matrix to an array (m, d) of real numbers; ``hint`` is for errors.

    Raises
    ------
    InputError
        If it has another shape or type.
    """
    if scipy.sparse.issparse(rows):
        rows = rows.toarray()
    if isinstance(rows, Tensor):
        if rows.is_floating_point() and rows.element_size() < 4:
            rows = rows.float()  # NumPy has no bfloat16
        rows = rows.cpu().resolve_conj().resolve_neg().numpy()
    if rows.ndim != 2:
        raise InputError(f"it has shape {rows.shape}", expected="(m, d)", hint=hint)
    if rows.dtype.kind not in "biuf" or not rows.shape[1]:
        problem = f"it has {rows.shape[1]} columns of type {rows.dtype}"
        raise InputError(problem, expected="one or more columns of real numbers")
    return rows  # type: ignore[no-any-return]
