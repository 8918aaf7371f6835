"""Formats of tables on disk: each opens a path as its columns, whose values are read on demand."""

__all__ = [
    "ENCODING",
    "NO_ROWS",
    "Opened",
    "arrow",
    "check_plain_file",
    "explain_csv",
    "find_suffix",
    "from_arrow",
    "is_headless",
    "is_number",
    "listing",
    "one_line_errors",
    "open_table",
]

import codecs
import gzip
import importlib
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...errors import InputError, MissingExtraError

# What a damaged file makes its reader raise; pyarrow's own exceptions are kinds of these.
_UNREADABLE = (
    OSError,
    ValueError,
    KeyError,
    EOFError,
    MemoryError,
    NotImplementedError,
    zipfile.BadZipFile,
    zlib.error,
)
NO_ROWS = "the file has no rows of data"
ENCODING = "the file is not UTF-8 text; save it as UTF-8"


class Opened(NamedTuple):
    """A file whose columns are known and whose values are read on demand."""

    rows: int
    numeric: dict[str, bool]  # the named columns in order: does each hold numbers?
    load: Callable[[list[str]], dict[str, NDArray[Any]]]
    matrix: NDArray[Any] | None = None  # (n, d), the points of a file that doesn't name their columns
    label: str | None = None  # the label column, where the format knows
    headless: bool = False  # a CSV whose "names" are all numbers


@contextmanager
def one_line_errors(path: Path) -> Iterator[None]:
    """Name the file in every error, and keep a reader's own words to one line."""
    try:
        yield
    except InputError as error:
        raise InputError(" ".join(f"{path}: {error}".splitlines())) from None
    except PermissionError as error:
        raise InputError(f"{path}: the file can't be read: you may not read it; change its permissions") from error
    except _UNREADABLE as error:
        reason = "it holds Python objects, which are never unpickled; save plain arrays of numbers or text"
        if "allow_pickle" not in str(error):
            reason = f"{error or type(error).__name__}; is it complete, and does its extension say what it is?"
        raise InputError(" ".join(f"{path}: the file can't be read: {reason}".splitlines())) from error


def open_table(path: Path) -> Opened:
    """Open a table by its extension; it has at least one row."""
    opener = _OPENERS[check_plain_file(path, _OPENERS)]
    opened = opener(path)
    if not opened.rows:
        raise InputError(NO_ROWS)
    return opened


def check_plain_file(path: Path, formats: Iterable[str]) -> str:
    """Raise an InputError unless this is a file of one of the formats with something in it; give its suffix."""
    if not path.exists():
        raise InputError("there is no such file")
    if not path.is_file():
        raise InputError("this is a folder; name a file in it" if path.is_dir() else "this is not a plain file")
    suffix = find_suffix(path, formats)
    if not path.stat().st_size:
        raise InputError("the file is empty")
    return suffix


def find_suffix(path: Path, formats: Iterable[str]) -> str:
    """Return the one of the formats that the name ends in."""
    found = next((suffix for suffix in formats if path.name.lower().endswith(suffix)), None)
    if found is None:
        raise InputError(f"unknown extension {path.suffix!r} of {path.name!r}; it must be one of {', '.join(formats)}")
    return found


def arrow(module: str) -> Any:
    """Import a module of pyarrow, late because pyarrow is an extra."""
    try:
        return importlib.import_module(f"pyarrow.{module}")
    except ModuleNotFoundError:
        raise MissingExtraError("reading or writing CSV and Parquet files", "pyarrow", "files") from None


def _open_csv(path: Path, delimiter: str) -> Opened:
    csv = arrow("csv")
    parse = partial(csv.ParseOptions, delimiter=delimiter, newlines_in_values=True)
    try:
        table = csv.read_csv(path, parse_options=parse())
        names = [name.strip() for name in table.column_names]
    except arrow("lib").ArrowInvalid as error:
        if "Empty CSV" in str(error):
            raise InputError(NO_ROWS) from None
        explain_csv(path, parse)
        raise
    except UnicodeDecodeError:
        raise InputError(ENCODING) from None
    table = table.rename_columns(names)
    return from_arrow(table.num_rows, table.schema, table.select)._replace(headless=is_headless(names))


def is_headless(names: list[str]) -> bool:
    """Tell whether the first row of a CSV holds numbers, and no names."""
    return any(names) and all(is_number(name) for name in names if name)


def explain_csv(path: Path, parse: Callable[..., Any]) -> None:
    """Raise an InputError that says what made pyarrow give up, if it is the encoding or a row's length."""
    _raise_for_no_text(path)
    _raise_for_uneven_row(path, parse)


def _raise_for_no_text(path: Path) -> None:
    opener = gzip.open if path.suffix.lower() == ".gz" else open
    with opener(path, "rb") as file:
        try:
            for part in codecs.iterdecode(file, "utf-8"):
                if "\0" in part:
                    raise InputError(ENCODING)
        except UnicodeDecodeError:
            raise InputError(ENCODING) from None


def _raise_for_uneven_row(path: Path, parse: Callable[..., Any]) -> None:
    """Read once more, for the number of the first row of another length: pyarrow counts rows on one thread only."""
    csv, uneven = arrow("csv"), []

    def note(row: Any) -> str:
        uneven.append(f"row {row.number - 1} of the data has {row.actual_columns} cells")
        return "error"

    with suppress(ValueError):
        options = csv.ReadOptions(use_threads=False)
        for _ in csv.open_csv(path, parse_options=parse(invalid_row_handler=note), read_options=options):
            pass
    if uneven:
        raise InputError(f"{uneven[0]}, which is not as many as the header has (rows counted from 1)")


def _open_parquet(path: Path) -> Opened:
    file = arrow("parquet").ParquetFile(path)
    return from_arrow(file.metadata.num_rows, file.schema_arrow, lambda names: file.read(columns=names))


def from_arrow(rows: int, schema: Any, read: Callable[[list[str]], Any]) -> Opened:
    """Open what pyarrow knows the columns of; ``read`` gives some of them as a table."""
    types = arrow("types")
    tests = (types.is_integer, types.is_floating, types.is_decimal, types.is_boolean)
    repeated = [name for name, count in Counter(schema.names).items() if count > 1]
    if repeated:
        raise InputError(f"several columns are named {listing(repeated)}; give each its own name")

    def load(names: list[str]) -> dict[str, NDArray[Any]]:
        table = read(names)
        return {name: table[name].to_numpy() for name in names}

    return Opened(rows, {field.name: any(test(field.type) for test in tests) for field in schema}, load)


def _open_npy(path: Path) -> Opened:
    with path.open("rb") as file:
        array = np.lib.format.read_array(file, allow_pickle=False)
    if array.ndim != 2:
        raise InputError(f"the array has shape {array.shape}; it must have two dimensions (points, features)")
    return Opened(len(array), {}, lambda _: {}, matrix=array)


def _open_npz(path: Path) -> Opened:
    with path.open("rb") as opened, np.lib.npyio.NpzFile(opened, allow_pickle=False) as file:
        arrays = {name: np.asarray(array) for name, array in file.items()}
    name = next((name for name, a in arrays.items() if a.ndim == 2 and (name in ("x", "X") or len(arrays) == 1)), None)
    matrix = None if name is None else arrays.pop(name)
    rows = len(matrix) if matrix is not None else max((len(a) for a in arrays.values() if a.ndim), default=0)
    for name, array in arrays.items():
        if array.shape != (rows,):
            expected = f"it must be ({rows},): one array x of shape (n, d), and others of shape (n,)"
            raise InputError(f"the array {name!r} has shape {array.shape}; {expected}")
    numeric = {name: array.dtype.kind in "biuf" for name, array in arrays.items()}
    label = next((name for name in ("y", "labels") if matrix is not None and name in arrays), None)
    return Opened(rows, numeric, lambda names: {name: arrays[name] for name in names}, matrix, label)


_OPENERS: dict[str, Callable[[Path], Opened]] = {
    ".csv": partial(_open_csv, delimiter=","),
    ".csv.gz": partial(_open_csv, delimiter=","),
    ".tsv": partial(_open_csv, delimiter="\t"),
    ".tsv.gz": partial(_open_csv, delimiter="\t"),
    ".parquet": _open_parquet,
    ".npy": _open_npy,
    ".npz": _open_npz,
}


def is_number(value: Any) -> bool:
    """Tell whether Python reads a number in this."""
    try:
        float(value)
    except (TypeError, ValueError):
        return False
    return True


def listing(names: Iterable[str], most: int = 20) -> str:
    """Write names for a message, the first few where there are many."""
    shown = [repr(name) for name in names]
    more = f" and {len(shown) - most} more" if len(shown) > most else ""
    return ", ".join(shown[:most]) + more
