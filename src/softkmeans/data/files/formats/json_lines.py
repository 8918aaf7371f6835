"""JSON lines files, also compressed: one object a line, whose names are the columns."""

from __future__ import annotations

__all__ = ["JSON_LINES"]

import io
import json
import reprlib
from bisect import bisect
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from typing_extensions import override

from ....errors import FileError
from ..compression import compression_of
from ..errors import no_rows_error
from .arrow_tables import open_arrow_table
from .base import Format, OpenTable, Parts, arrow, is_numeric
from .lists import Lists

BLOCK_SIZE = 2**20  # bytes that are parsed at a time; a longer line is a block of its own
MAX_LINE_SIZE = 2**26  # bytes
MAX_DEPTH = 60  # of lists and objects; the stack of the parser is bounded


class _JsonLines(Parts):
    """A JSON lines file, which must be read from its beginning; the first block determines the types of the columns."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @override
    @property
    def has_rows(self) -> bool:
        return self._first is not None

    @cached_property
    def _first(self) -> Any:
        """The first block as a table; None if there are no rows."""
        table = next(self._tables(None), None)
        if table is not None and not table.num_columns:
            raise FileError("the objects in its lines are empty", hint="give each line the columns as names")
        return table

    @cached_property
    def schema(self) -> Any:
        """The types of the columns: whole numbers may have decimals in later rows."""
        return arrow("lib").schema([(field.name, _widened(field.type)) for field in self._first.schema])

    @cached_property
    def lists(self) -> Lists:
        """The columns."""
        if self._first is None:
            raise no_rows_error()
        return Lists.of(self.schema, self._first.__getitem__)

    @property
    def header(self) -> Any:  # type: ignore[override] # computed when it is needed
        """The columns, as the first rows show them."""
        return self.lists.header

    @override
    def tables(self, names: list[str], start: int, stop: int | None, max_rows: int) -> Iterator[Any]:
        return self.lists.select_all(self.rows(), names)

    def rows(self) -> Iterator[Any]:
        """Yield all columns."""
        return self._tables(self.schema)

    @override
    def carry(self, names: list[str]) -> Iterator[Any]:
        types, lib = {name: self._first.schema.field(name).type for name in names}, arrow("lib")
        known = [(name, lib.string() if kind == lib.null() else kind) for name, kind in types.items()]
        return (table.select(names) for table in self._tables(lib.schema(known)))

    def _tables(self, schema: Any) -> Iterator[Any]:
        """Yield the rows of each block, with the types of a schema, or with those that pyarrow infers."""
        options = arrow("json").ParseOptions(
            explicit_schema=schema, unexpected_field_behavior="infer" if schema is None else "ignore"
        )
        row = 0
        for block in self._blocks():
            _check_objects(block, row)
            try:
                table = _parse(block, options)
            except arrow("lib").ArrowInvalid:
                _raise_for_wrong_line(block, row, options)
            row += len(table)
            if len(table):
                yield table

    def _blocks(self) -> Iterator[bytes]:
        """Yield whole lines."""
        with self.path.open("rb") as file:
            compression = compression_of(file)
        with arrow("lib").input_stream(str(self.path), compression=compression) as file:
            rest = b""
            while data := file.read(BLOCK_SIZE):
                rest += data
                end = rest.rfind(b"\n") + 1
                if end:
                    yield rest[:end]
                    rest = rest[end:]
                elif len(rest) > MAX_LINE_SIZE:
                    problem = f"a line has more than {MAX_LINE_SIZE // 2**20} MiB of text"
                    raise FileError(problem, hint="end each row with a line break")
            if rest.strip():
                yield rest


def _widened(kind: Any) -> Any:
    """Return float64 for whole numbers, also in lists; other types as they are."""
    types, lib = arrow("types"), arrow("lib")
    if types.is_list(kind):
        return lib.list_(_widened(kind.value_type))
    return lib.float64() if types.is_integer(kind) or types.is_null(kind) else kind


def _parse(block: bytes, options: Any) -> Any:
    """Return lines as a table."""
    library = arrow("json")
    read = library.ReadOptions(use_threads=False, block_size=max(BLOCK_SIZE, len(block) + 1))
    return library.read_json(io.BytesIO(block), read_options=read, parse_options=options)


def _check_objects(block: bytes, row: int) -> None:
    """Raise an InputError for the first line that is no object, or nested too deeply: pyarrow crashes on both.

    ``row`` is the number of rows before the block.
    """
    try:
        text = block.decode()
    except UnicodeDecodeError as error:
        number = row + block[: error.start].count(b"\n") + 1
        raise FileError(f"line {number} is not UTF-8 text", hint="save the file as UTF-8") from None
    if "\0" in text:
        raise FileError("the file is not UTF-8 text", hint="save it as UTF-8")
    lines = [line for line in map(bytes.strip, block.splitlines()) if line]
    for number, line in enumerate(lines, start=row + 1):
        if not line.removeprefix(b"\xef\xbb\xbf").startswith(b"{"):
            problem = f"row {number} of the data is {reprlib.repr(line.decode(errors='replace'))}"
            raise FileError(problem, expected="an object with the columns as names, in each line", hint="correct it")
    if _depth(block) > MAX_DEPTH:
        raise FileError(f"its objects are nested more than {MAX_DEPTH} times", hint="give flat objects")


def _depth(block: bytes) -> int:
    """Return how deeply lists and objects are nested, or a larger number if texts have brackets."""
    characters = np.frombuffer(block, np.uint8)
    opened = (characters == ord("{")) | (characters == ord("["))
    closed = (characters == ord("}")) | (characters == ord("]"))
    return int(np.cumsum(opened.astype(np.int32) - closed).max(initial=0))


def _raise_for_wrong_line(block: bytes, row: int, options: Any) -> NoReturn:
    """Raise an InputError for the first line that is not JSON, or that holds a value of another kind than before."""
    schema = options.explicit_schema
    kinds = {} if schema is None else {field.name: "a number" for field in schema if is_numeric(field.type)}
    lines = [line for line in map(bytes.strip, block.splitlines()) if line]
    for number, line in enumerate(lines, start=row + 1):
        try:
            values = json.loads(line)
        except (RecursionError, ValueError) as error:
            raise FileError(f"row {number} of the data is not JSON ({error})", hint="correct the line") from None
        for name, value in values.items():
            kind = kinds.setdefault(name, _kind(value)) if value is not None else None
            if kind not in (None, _kind(value)):
                problem = (
                    f"column {name!r} holds {reprlib.repr(value)} in row {number} of the data (rows counted from 1)"
                )
                raise FileError(problem, expected=f"{kind} as in other rows", hint="correct it")
    n_valid = bisect(range(1, len(lines) + 1), False, key=lambda n: not _can_parse(b"\n".join(lines[:n]), options))
    problem = f"row {row + n_valid + 1} of the data holds a value of another kind than the rows before, or no valid one"
    raise FileError(problem, hint="correct it")


def _can_parse(block: bytes, options: Any) -> bool:
    try:
        _parse(block, options)
    except arrow("lib").ArrowInvalid:
        return False
    return True


def _kind(value: Any) -> str:
    """Return what a value is called in JSON."""
    names = {bool: "true or false", int: "a number", float: "a number", str: "text", list: "a list", dict: "an object"}
    return names.get(type(value), "null")


def _read(path: Path) -> OpenTable:
    file = _JsonLines(path)
    if not file.has_rows:
        raise no_rows_error()

    def read(names: list[str]) -> Any:
        return arrow("lib").concat_tables([table.select(names) for table in file.rows()])

    def carry(names: list[str]) -> Any:
        return arrow("lib").concat_tables(list(file.carry(names)))

    return open_arrow_table(file.lists, 1, read, carry)


JSON_LINES = Format((".jsonl", ".jsonl.gz", ".ndjson", ".ndjson.gz"), read=_read, scan=_JsonLines, needs="pyarrow")
