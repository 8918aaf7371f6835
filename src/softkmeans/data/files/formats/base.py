"""The record of a file format, and what its functions may return to say more than a table does."""

from __future__ import annotations

__all__ = [
    "Format",
    "Header",
    "OpenTable",
    "Parts",
    "TableWriter",
    "arrow",
    "check_same_columns",
    "check_same_header",
    "check_unique",
    "import_package",
    "index_columns",
    "is_numeric",
]

import importlib
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, BinaryIO, NamedTuple, Protocol

from numpy.typing import NDArray

from ....errors import FileError, InputError, MissingExtraError
from ..errors import listing

EXTRAS = {"pyarrow": "files", "python_calamine": "excel"}  # extras of this package, by the module that they install
MAX_NAMES = 5  # column names listed for each difference in a message
DEFAULT_ROWS = 2**13  # rows at a time, where any number will do


class TableWriter(Protocol):
    """Writes tables to a file, as PyArrow's writers do."""

    def write_table(self, table: Any, /) -> object:
        """Write the next rows, a ``pyarrow.Table``."""

    def close(self) -> object:
        """Write the end of the file, which stays open."""


@dataclass(frozen=True)
class Format:
    r"""A format of data files: its suffixes, and functions that read and write such files.

    Register it, and `read_table`, `scan`, `write_table`, `table_writer` and the commands take files with its suffixes:
    ``FORMATS.register("lines", Format(...))``.

    Parameters
    ----------
    suffixes : tuple of str
        The ends of the file names, in lower case, such as ``(".lines",)``. A file whose suffix ends in ``.gz`` is
        compressed while it is written.
    read : callable
        ``read(path)`` returns the rows of the file at a ``pathlib.Path``: a table with named columns, which can be
        anything that narwhals supports (PyArrow, pandas, Polars), or an array (n, d).
    scan : callable, optional
        ``scan(path)`` returns an iterator of such tables: the same rows in parts, so that a file may be larger than the
        memory. It is called at every pass, and must yield the same rows in the same order. Without it, files can't be
        read in blocks.
    write : callable, optional
        ``write(file, schema)`` returns a writer to an open binary file, given the columns as a ``pyarrow.Schema``. Like
        PyArrow's writers, it has the methods ``write_table(table)``, which is called with one or more
        ``pyarrow.Table``, and ``close()``, which leaves the file open. Without it, files can't be written.
    needs : str, optional
        The package that these functions import, if it may be missing. The error then says what to install.
    takes_dialect : bool, default=False
        Whether ``read`` and ``scan`` take a `Dialect` as second argument, in which the user says how the text is
        written.
    in_folders : bool, default=True
        Whether files with these suffixes are read if they are in a folder that is read.

    Raises
    ------
    InputError
        If a suffix is not valid, or ``read``, ``scan`` or ``write`` is not a function.

    Examples
    --------
    >>> import json, tempfile
    >>> from pathlib import Path
    >>> import pyarrow as pa
    >>> from softkmeans.data import FORMATS, Format, read_table, write_table
    >>> def read(path):
    ...     return pa.Table.from_pylist([json.loads(line) for line in path.read_text().splitlines()])
    >>> class Writer:
    ...     def __init__(self, file, schema):
    ...         self.file = file
    ...     def write_table(self, table):
    ...         self.file.writelines(json.dumps(row).encode() + b"\n" for row in table.to_pylist())
    ...     def close(self):
    ...         pass
    >>> FORMATS.register("lines", Format((".lines",), read, write=Writer))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_table(Path(folder) / "t.lines", {"a": [1, 2], "b": [0.5, 1.5]})
    ...     read_table(Path(folder) / "t.lines").x.tolist()
    [[1.0, 0.5], [2.0, 1.5]]
    >>> FORMATS.unregister("lines")
    """

    suffixes: tuple[str, ...]
    read: Callable[..., Any]
    scan: Callable[..., Iterable[Any] | Parts] | None = None
    write: Callable[[BinaryIO, Any], TableWriter] | None = None
    needs: str | None = None
    takes_dialect: bool = False
    in_folders: bool = True

    def __post_init__(self) -> None:
        if not isinstance(self.suffixes, tuple) or not self.suffixes or not all(map(_is_suffix, self.suffixes)):
            expected = "a tuple of lower-case text that begins with a dot, such as ('.lines',)"
            raise InputError(parameter="suffixes", value=self.suffixes, expected=expected)
        for name in ("read", "scan", "write"):
            function = getattr(self, name)
            if not (callable(function) or (function is None and name != "read")):
                raise InputError(parameter=name, value=function, expected="a function")

    def check_installed(self) -> None:
        """Raise a MissingExtraError if the package that this format needs is not installed."""
        if self.needs is not None:
            import_package(self.needs, f"reading or writing {self.suffixes[0]} files")


def _is_suffix(text: Any) -> bool:
    return isinstance(text, str) and len(text) > 1 and text[0] == "." and text == text.lower()


def import_package(name: str, feature: str) -> Any:
    """Import an optional package or a module of it; raise a MissingExtraError if it is not installed."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError:
        package = name.partition(".")[0]
        raise MissingExtraError(feature, package, EXTRAS.get(package, "")) from None


def arrow(module: str) -> Any:
    """Import a module of pyarrow; not at import time, because pyarrow is an optional dependency."""
    return import_package(f"pyarrow.{module}", "reading or writing tables with named columns")


class Header(NamedTuple):
    """What is known about the columns of a file before its values are read.

    Attributes
    ----------
    numeric : dict of str to bool
        For each named column, in order: whether it holds numbers.
    n_columns : int or None
        The number of columns of an array without column names; None if the columns have names. A file may have an array
        of rows and, beside it, named columns of labels and weights.
    row_names : frozenset of str
        Columns of row names, which are features only if they are chosen.
    label : str or None
        The label column, where the format defines one.
    mixed : mapping of str to tuple of int and str
        Columns of numbers that hold text in one row or a few: the first such row, from 1, and its text.
    filled : frozenset of str
        Columns of numbers that are known to have a value.
    groups : mapping of str to tuple of str
        Names that stand for several columns: those of lists, for their elements.
    notes : tuple of str
        How the file was read, where that is unusual.
    """

    numeric: dict[str, bool]
    n_columns: int | None = None
    row_names: frozenset[str] = frozenset()
    label: str | None = None
    mixed: Mapping[str, tuple[int, str]] = MappingProxyType({})
    filled: frozenset[str] = frozenset()
    groups: Mapping[str, tuple[str, ...]] = MappingProxyType({})
    notes: tuple[str, ...] = ()

    def names_in(self, names: Collection[str]) -> tuple[str, ...]:
        """Return some names in the order of the columns."""
        return tuple(name for name in self.numeric if name in names)


class OpenTable(NamedTuple):
    """A whole file whose columns are known and whose values are read on demand.

    `Format.read` may return it in place of a table, so that only the columns that are used are read.

    Attributes
    ----------
    header : Header
        The columns.
    n_rows : int
        The number of rows; it may be a lower bound of 1 or more until they are read.
    load : callable
        ``load(numbers, others)`` returns named columns: those in the first list as numbers, the others as they are.
    rows : numpy.ndarray of shape (n, d), or None
        The rows of a file without column names.
    carry : callable or None
        ``carry(names)`` returns named columns as a PyArrow table, without changes; None if no columns have names.
    """

    header: Header
    n_rows: int
    load: Callable[[list[str], list[str]], dict[str, NDArray[Any]]]
    rows: NDArray[Any] | None = None
    carry: Callable[[list[str]], Any] | None = None


class Parts(ABC):
    """A file that is read in parts, any number of times.

    `Format.scan` may return it in place of an iterator of tables, to read only the columns and rows that are used.

    Attributes
    ----------
    header : Header
        The columns. It is used only if the file has rows.
    n_rows : int or None
        The number of rows, or None if the file must be read to count them.
    cuts : sequence of int, or None
        The indices of rows, from 0 to ``n_rows``, at which reading can begin and end: a range if it can at any row,
        None if rows can't be reached without reading those before them.
    """

    header: Header
    n_rows: int | None = None
    cuts: Sequence[int] | None = None

    @property
    def has_rows(self) -> bool:
        """True if there is a row of data."""
        return self.n_rows != 0

    @property
    def notes(self) -> tuple[str, ...]:
        """Notes of what is unusual in how the file is written."""
        return self.header.notes

    @property
    def has_columns(self) -> bool:
        """True if the columns are known; a file without rows may have none."""
        return True

    @abstractmethod
    def tables(self, names: list[str], start: int, stop: int | None, max_rows: int) -> Iterator[Any]:
        """Yield rows, in order.

        Parameters
        ----------
        names : list of str
            The columns to read; not used for arrays.
        start, stop : int
            The indices of the first row and of the row after the last one. They are in ``cuts``; if there are no cuts,
            they are 0 and None, which stands for all rows.
        max_rows : int
            The number of rows that are used at a time. All parts but the last have as many if ``cuts`` is a range;
            otherwise the rows are copied to blocks of that length.

        Yields
        ------
        pyarrow.RecordBatch, pyarrow.Table or numpy.ndarray of shape (m, d)
            The next rows.
        """

    def carry(self, names: list[str]) -> Iterator[Any]:
        """Yield columns as they are, in order, as PyArrow tables or record batches: also text, dates and the like."""
        return self.tables(names, 0, None if self.cuts is None else self.n_rows, DEFAULT_ROWS)

    def check_like(self, first: Parts, used: list[str], first_name: str) -> None:
        """Raise an InputError unless this file has the columns of the first one, and the used ones are numeric."""
        check_same_header(self.header, first.header, used, first_name)


def check_same_header(header: Header, first: Header, used: list[str], first_name: str) -> None:
    """Raise an InputError unless rows have the columns of the first ones, and those that are used are numeric."""
    if first.n_columns is None:
        check_same_columns(header.numeric, first.numeric, used, first_name)
    elif header.n_columns != first.n_columns:
        raise FileError(
            f"the array has {header.n_columns or 'named'} columns",
            expected=f"{first.n_columns} as in {first_name}",
            hint="all files need the same columns",
        )


def check_same_columns(numeric: dict[str, bool], first: dict[str, bool], used: list[str], first_name: str) -> None:
    """Raise an InputError unless the columns are those of the first table, and the used ones are numeric."""
    missing = [name for name in first if name not in numeric]
    unexpected = [name for name in numeric if name not in first]
    not_numeric = [name for name in used if not numeric.get(name, True)]
    kinds = {"missing": missing, "unexpected": unexpected, "not numeric": not_numeric}
    differences = [f"{kind} {listing(names, MAX_NAMES)}" for kind, names in kinds.items() if names]
    if differences:
        problem = f"the columns differ from those of {first_name}: {', '.join(differences)}"
        raise FileError(problem, hint="all parts need the same columns")


def check_unique(names: Iterable[str]) -> None:
    """Raise an InputError if several columns have one name."""
    repeated = [name for name, count in Counter(names).items() if count > 1]
    if repeated:
        raise FileError(f"several columns are named {listing(repeated)}", hint="give each its own name")


def is_numeric(kind: Any) -> bool:
    """Return whether a pyarrow type is one of numbers or of true and false."""
    types = arrow("types")
    return any(test(kind) for test in (types.is_integer, types.is_floating, types.is_decimal, types.is_boolean))


def index_columns(schema: Any) -> frozenset[str]:
    """Return the columns that are the index of a pandas frame, as the metadata says that pandas writes."""
    metadata = schema.pandas_metadata
    index = metadata.get("index_columns") if isinstance(metadata, dict) else None
    # An index that is not stored, a range of numbers, is a dict there.
    return frozenset(name for name in index if isinstance(name, str)) if isinstance(index, list) else frozenset()
