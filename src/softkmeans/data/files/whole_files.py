"""Table formats: each opens a file as named columns, whose values are read on demand."""

__all__ = [
    "ENCODING",
    "NO_ROWS",
    "OpenTable",
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

# Errors that readers raise for damaged files; pyarrow's exceptions are subclasses of these.
_READ_ERRORS = (
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


class OpenTable(NamedTuple):
    """A table whose columns are known and whose values are read on demand."""

    n_rows: int
    numeric: dict[str, bool]  # for each named column, in order: whether it holds numbers
    load: Callable[[list[str]], dict[str, NDArray[Any]]]  # returns columns by name
    matrix: NDArray[Any] | None = None  # the rows (n, d) of a file without column names
    label: str | None = None  # the label column, where the format defines one
    headless: bool = False  # whether the first row of a CSV holds numbers and not names


@contextmanager
def one_line_errors(path: Path) -> Iterator[None]:
    """Raise every error of a reader as an InputError of one line that names the file."""
    try:
        yield
    except InputError as error:
        raise InputError(" ".join(f"{path}: {error}".splitlines())) from None
    except PermissionError as error:
        raise InputError(f"{path}: the file can't be read: permission denied; change its permissions") from error
    except _READ_ERRORS as error:
        reason = "it holds Python objects, which are never unpickled; save plain arrays of numbers or text"
        if "allow_pickle" not in str(error):
            reason = (
                f"{error or type(error).__name__}; check that it is complete and that its extension matches its format"
            )
        raise InputError(" ".join(f"{path}: the file can't be read: {reason}".splitlines())) from error


def open_table(path: Path) -> OpenTable:
    """Open a table by its extension, and check that it has a row."""
    opener = _OPENERS[check_plain_file(path, _OPENERS)]
    opened = opener(path)
    if not opened.n_rows:
        raise InputError(NO_ROWS)
    return opened


def check_plain_file(path: Path, formats: Iterable[str]) -> str:
    """Return the suffix of a file; raise an InputError unless it is a non-empty file of one of the formats."""
    if not path.exists():
        raise InputError("there is no such file")
    if not path.is_file():
        raise InputError("this is a folder; give a file in it" if path.is_dir() else "this is not a plain file")
    suffix = find_suffix(path, formats)
    if not path.stat().st_size:
        raise InputError("the file is empty")
    return suffix


def find_suffix(path: Path, formats: Iterable[str]) -> str:
    """Return the suffix, one of the formats, that the name ends in."""
    match = next((suffix for suffix in formats if path.name.lower().endswith(suffix)), None)
    if match is None:
        raise InputError(f"unknown extension {path.suffix!r} of {path.name!r}; it must be one of {', '.join(formats)}")
    return match


def arrow(module: str) -> Any:
    """Import a module of pyarrow; not at import time, because pyarrow is an optional dependency."""
    try:
        return importlib.import_module(f"pyarrow.{module}")
    except ModuleNotFoundError:
        raise MissingExtraError("reading or writing CSV and Parquet files", "pyarrow", "files") from None


def _open_csv(path: Path, delimiter: str) -> OpenTable:
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
    """Return whether the first row of a CSV holds numbers and not names."""
    return any(names) and all(is_number(name) for name in names if name)


def explain_csv(path: Path, parse: Callable[..., Any]) -> None:
    """Raise an InputError if the encoding or a row of another length made pyarrow fail."""
    _raise_for_encoding(path)
    _raise_for_uneven_row(path, parse)


def _raise_for_encoding(path: Path) -> None:
    opener = gzip.open if path.suffix.lower() == ".gz" else open
    with opener(path, "rb") as file:
        try:
            for part in codecs.iterdecode(file, "utf-8"):
                if "\0" in part:
                    raise InputError(ENCODING)
        except UnicodeDecodeError:
            raise InputError(ENCODING) from None


def _raise_for_uneven_row(path: Path, parse: Callable[..., Any]) -> None:
    """Read the file again on one thread, where pyarrow counts rows, and raise for the first row of another length."""
    csv = arrow("csv")
    messages = []

    def record(row: Any) -> str:
        cells = f"{row.actual_columns} cells, expected {row.expected_columns} as in the header"
        messages.append(f"row {row.number - 1} of the data has {cells} (rows counted from 1)")
        return "error"

    with suppress(ValueError):
        options = csv.ReadOptions(use_threads=False)
        for _ in csv.open_csv(path, parse_options=parse(invalid_row_handler=record), read_options=options):
            pass
    if messages:
        raise InputError(messages[0])


def _open_parquet(path: Path) -> OpenTable:
    file = arrow("parquet").ParquetFile(path)
    return from_arrow(file.metadata.num_rows, file.schema_arrow, lambda names: file.read(columns=names))


def from_arrow(n_rows: int, schema: Any, read: Callable[[list[str]], Any]) -> OpenTable:
    """Return a table with a pyarrow schema; ``read`` returns the columns of given names as a pyarrow table."""
    types = arrow("types")
    tests = (types.is_integer, types.is_floating, types.is_decimal, types.is_boolean)
    repeated = [name for name, count in Counter(schema.names).items() if count > 1]
    if repeated:
        raise InputError(f"several columns are named {listing(repeated)}; give each its own name")

    def load(names: list[str]) -> dict[str, NDArray[Any]]:
        table = read(names)
        return {name: table[name].to_numpy() for name in names}

    return OpenTable(n_rows, {field.name: any(test(field.type) for test in tests) for field in schema}, load)


def _open_npy(path: Path) -> OpenTable:
    with path.open("rb") as file:
        array = np.lib.format.read_array(file, allow_pickle=False)
    if array.ndim != 2:
        raise InputError(f"the array has shape {array.shape}; it must have two dimensions (rows, features)")
    return OpenTable(len(array), {}, lambda _: {}, matrix=array)


def _open_npz(path: Path) -> OpenTable:
    with path.open("rb") as opened, np.lib.npyio.NpzFile(opened, allow_pickle=False) as file:
        arrays = {name: np.asarray(array) for name, array in file.items()}
    matrices = [name for name, array in arrays.items() if array.ndim == 2]
    matrix_name = next((name for name in matrices if name in ("x", "X") or len(arrays) == 1), None)
    matrix = None if matrix_name is None else arrays.pop(matrix_name)
    lengths = [len(array) for array in arrays.values() if array.ndim]
    n_rows = max(lengths, default=0) if matrix is None else len(matrix)
    for name, array in arrays.items():
        if array.shape != (n_rows,):
            expected = f"it must be ({n_rows},): one array x of shape (n, d), and others of shape (n,)"
            raise InputError(f"the array {name!r} has shape {array.shape}; {expected}")
    numeric = {name: array.dtype.kind in "biuf" for name, array in arrays.items()}
    label = next((name for name in ("y", "labels") if matrix is not None and name in arrays), None)
    return OpenTable(n_rows, numeric, lambda names: {name: arrays[name] for name in names}, matrix, label)


_OPENERS: dict[str, Callable[[Path], OpenTable]] = {
    ".csv": partial(_open_csv, delimiter=","),
    ".csv.gz": partial(_open_csv, delimiter=","),
    ".tsv": partial(_open_csv, delimiter="\t"),
    ".tsv.gz": partial(_open_csv, delimiter="\t"),
    ".parquet": _open_parquet,
    ".npy": _open_npy,
    ".npz": _open_npz,
}


def is_number(value: Any) -> bool:
    """Return whether Python's ``float`` accepts this value."""
    try:
        float(value)
    except (TypeError, ValueError):
        return False
    return True


def listing(names: Iterable[str], max_names: int = 20) -> str:
    """Return names as text for a message, at most ``max_names`` of them."""
    quoted = [repr(name) for name in names]
    more = f" and {len(quoted) - max_names} more" if len(quoted) > max_names else ""
    return ", ".join(quoted[:max_names]) + more
