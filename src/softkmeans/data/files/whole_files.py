"""Table formats: each opens a file as named columns, whose values are read on demand."""

__all__ = [
    "OPENERS",
    "OpenTable",
    "arrow",
    "check_no_objects",
    "check_plain_file",
    "explain_csv",
    "find_suffix",
    "from_arrow",
    "has_no_rows",
    "is_headless",
    "is_number",
    "listing",
    "no_rows_error",
    "no_text_error",
    "one_line_errors",
    "open_table",
]

import codecs
import csv
import gzip
import importlib
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...errors import FileError, InputError, Message, MissingExtraError, Setting

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
# Versions of the NPY format. Version 3 differs from 2 only in the encoding of the names of fields.
NPY_HEADER_READERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
    (3, 0): np.lib.format.read_array_header_2_0,
}


def no_rows_error() -> FileError:
    """Return the error for a file without rows."""
    return FileError("the file has no rows of data", hint="give one with rows")


def no_text_error() -> FileError:
    """Return the error for a text file with another encoding."""
    return FileError("the file is not UTF-8 text", hint="save it as UTF-8")


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
        raise InputError(_one_line(Message(f"{path}: ", error.message))) from None
    except PermissionError as error:
        problem = f"{path}: the file can't be read: permission denied"
        raise FileError(problem, hint="change its permissions") from error
    except _READ_ERRORS as error:
        problem = _one_line(Message(f"{path}: the file can't be read: {error or type(error).__name__}"))
        hint = "check that it is complete and that its extension matches its format"
        raise FileError(problem, hint=hint) from error


def _one_line(message: Message) -> Message:
    """Return a message without line breaks, which names of files and errors of other libraries may have."""
    return Message(*(part if isinstance(part, Setting) else " ".join(part.splitlines()) for part in message.parts))


def open_table(path: Path) -> OpenTable:
    """Open a table by its extension, and check that it has a row."""
    opener = OPENERS[check_plain_file(path, OPENERS)]
    opened = opener(path)
    if not opened.n_rows:
        raise no_rows_error()
    return opened


def check_plain_file(path: Path, formats: Iterable[str]) -> str:
    """Return the suffix of a file; raise an InputError unless it is a non-empty file of one of the formats."""
    if not path.exists():
        raise FileError("there is no such file", hint="check its name and folder")
    if path.is_dir():
        raise FileError("this is a folder", hint="give a file in it")
    if not path.is_file():
        raise FileError("this is not a plain file", hint="save the data in a file")
    suffix = find_suffix(path, formats)
    if not path.stat().st_size:
        raise FileError("the file is empty", hint="give one with rows")
    return suffix


def find_suffix(path: Path, formats: Iterable[str]) -> str:
    """Return the suffix, one of the formats, that the name ends in."""
    match = next((suffix for suffix in formats if path.name.lower().endswith(suffix)), None)
    if match is None:
        hint = f"it must be one of {', '.join(formats)}"
        raise FileError(f"unknown extension {path.suffix!r} of {path.name!r}", hint=hint)
    return match


def arrow(module: str) -> Any:
    """Import a module of pyarrow; not at import time, because pyarrow is an optional dependency."""
    try:
        return importlib.import_module(f"pyarrow.{module}")
    except ModuleNotFoundError:
        raise MissingExtraError("reading or writing CSV and Parquet files", "pyarrow", "files") from None


def _open_csv(path: Path, delimiter: str) -> OpenTable:
    pyarrow = arrow("csv")
    parse = partial(pyarrow.ParseOptions, delimiter=delimiter, newlines_in_values=True)
    try:
        table = pyarrow.read_csv(path, parse_options=parse())
        names = [name.strip() for name in table.column_names]
    except arrow("lib").ArrowInvalid:
        if has_no_rows(path, delimiter):
            raise no_rows_error() from None
        explain_csv(path, parse)
        raise
    except UnicodeDecodeError:
        raise no_text_error() from None
    table = table.rename_columns(names)
    return from_arrow(table.num_rows, table.schema, table.select)._replace(headless=is_headless(names))


def is_headless(names: list[str]) -> bool:
    """Return whether the first row of a CSV holds numbers and not names."""
    return any(names) and all(is_number(name) for name in names if name)


def has_no_rows(path: Path, delimiter: str) -> bool:
    """Return whether a text file holds at most a header; pyarrow fails if that has no line end."""
    opener: Any = gzip.open if path.suffix.lower() == ".gz" else open
    with opener(path, "rt", encoding="utf-8-sig", errors="replace", newline="") as file, suppress(csv.Error):
        return len(list(islice(filter(None, csv.reader(file, delimiter=delimiter)), 2))) < 2
    return False


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
                    raise no_text_error()
        except UnicodeDecodeError:
            raise no_text_error() from None


def _raise_for_uneven_row(path: Path, parse: Callable[..., Any]) -> None:
    """Read the file again on one thread, where pyarrow counts rows, and raise for the first row of another length."""
    pyarrow = arrow("csv")
    uneven = []

    def record(row: Any) -> str:
        uneven.append((row.number - 1, row.actual_columns, row.expected_columns))
        return "error"

    with suppress(ValueError):
        options = pyarrow.ReadOptions(use_threads=False)
        for _ in pyarrow.open_csv(path, parse_options=parse(invalid_row_handler=record), read_options=options):
            pass
    if uneven:
        number, n_cells, n_columns = uneven[0]
        raise FileError(
            f"row {number} of the data has {n_cells} cells",
            expected=f"{n_columns} as in the header (rows counted from 1)",
            hint="correct the row",
        )


def _open_parquet(path: Path) -> OpenTable:
    file = arrow("parquet").ParquetFile(path)
    return from_arrow(file.metadata.num_rows, file.schema_arrow, lambda names: file.read(columns=names))


def from_arrow(n_rows: int, schema: Any, read: Callable[[list[str]], Any]) -> OpenTable:
    """Return a table with a pyarrow schema; ``read`` returns the columns of given names as a pyarrow table."""
    types = arrow("types")
    tests = (types.is_integer, types.is_floating, types.is_decimal, types.is_boolean)
    repeated = [name for name, count in Counter(schema.names).items() if count > 1]
    if repeated:
        raise FileError(f"several columns are named {listing(repeated)}", hint="give each its own name")

    def load(names: list[str]) -> dict[str, NDArray[Any]]:
        table = read(names)
        return {name: table[name].to_numpy() for name in names}

    return OpenTable(n_rows, {field.name: any(test(field.type) for test in tests) for field in schema}, load)


def _open_npy(path: Path) -> OpenTable:
    with path.open("rb") as file:
        _check_header(file)
        file.seek(0)
        array = np.lib.format.read_array(file, allow_pickle=False)
    if array.ndim != 2:
        raise FileError(f"the array has shape {array.shape}", hint="it must have two dimensions (rows, features)")
    return OpenTable(len(array), {}, lambda _: {}, matrix=array)


def _check_header(file: Any) -> None:
    """Raise an InputError if an open NPY file holds Python objects."""
    if file.read(len(np.lib.format.MAGIC_PREFIX)) == np.lib.format.MAGIC_PREFIX:
        file.seek(0)
        header = NPY_HEADER_READERS.get(np.lib.format.read_magic(file))
        if header is not None:
            check_no_objects(header(file)[2])


def check_no_objects(dtype: np.dtype[Any]) -> None:
    """Raise an InputError if arrays of this type hold Python objects."""
    if dtype.hasobject:
        problem = "the file can't be read: it holds Python objects, which are never unpickled"
        raise FileError(problem, hint="save plain arrays of numbers or text")


def _open_npz(path: Path) -> OpenTable:
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            with archive.open(name) as member:
                _check_header(member)
    with path.open("rb") as opened, np.lib.npyio.NpzFile(opened, allow_pickle=False) as file:
        arrays = {name: np.asarray(array) for name, array in file.items()}
    matrices = [name for name, array in arrays.items() if array.ndim == 2]
    matrix_name = next((name for name in matrices if name in ("x", "X") or len(arrays) == 1), None)
    matrix = None if matrix_name is None else arrays.pop(matrix_name)
    lengths = [len(array) for array in arrays.values() if array.ndim]
    n_rows = max(lengths, default=0) if matrix is None else len(matrix)
    for name, array in arrays.items():
        if array.shape != (n_rows,):
            hint = f"it must be ({n_rows},): one array x of shape (n, d), and others of shape (n,)"
            raise FileError(f"the array {name!r} has shape {array.shape}", hint=hint)
    numeric = {name: array.dtype.kind in "biuf" for name, array in arrays.items()}
    label = next((name for name in ("y", "labels") if matrix is not None and name in arrays), None)
    return OpenTable(n_rows, numeric, lambda names: {name: arrays[name] for name in names}, matrix, label)


OPENERS: dict[str, Callable[[Path], OpenTable]] = {
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
