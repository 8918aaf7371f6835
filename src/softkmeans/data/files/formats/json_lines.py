"""JSON lines files, also compressed: one object a line, whose names are the columns."""

from __future__ import annotations

__all__ = ["JSON_LINES"]

import io
import json
import reprlib
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

from typing_extensions import override

from ....errors import FileError
from ..compression import compression_of
from ..errors import no_rows_error
from .arrow_tables import open_arrow_table
from .base import Format, OpenTable, Parts, arrow, is_numeric
from .lists import Lists

BLOCK_SIZE = 2**20  # bytes that are parsed at a time; a longer line is a block of its own
MAX_LINE_SIZE = 2**26  # bytes


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
        return self.lists.select_all(self._tables(self.schema), names)

    @override
    def carry(self, names: list[str]) -> Iterator[Any]:
        types, lib = {name: self._first.schema.field(name).type for name in names}, arrow("lib")
        known = [(name, lib.string() if kind == lib.null() else kind) for name, kind in types.items()]
        return (table.select(names) for table in self._tables(lib.schema(known)))

    def _tables(self, schema: Any) -> Iterator[Any]:
        """Yield the rows of each block, with the types of a schema, or with those that pyarrow infers."""
        library = arrow("json")
        options = library.ParseOptions(
            explicit_schema=schema, unexpected_field_behavior="infer" if schema is None else "ignore"
        )
        row = 0
        for block in self._blocks():
            read = library.ReadOptions(use_threads=False, block_size=max(BLOCK_SIZE, len(block) + 1))
            try:
                table = library.read_json(io.BytesIO(block), read_options=read, parse_options=options)
            except arrow("lib").ArrowInvalid as error:
                _raise_for_wrong_line(block, row, schema)
                raise FileError(" ".join(str(error).split()), hint="correct the file") from None
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


def _raise_for_wrong_line(block: bytes, row: int, schema: Any) -> None:
    """Raise an InputError for the first line that is not JSON, or that holds a value of another kind than before."""
    kinds = {} if schema is None else {field.name: "number" for field in schema if is_numeric(field.type)}
    for line in filter(None, map(bytes.strip, block.splitlines())):
        row += 1
        try:
            values = json.loads(line)
        except ValueError as error:
            raise FileError(f"row {row} of the data is not JSON ({error})", hint="correct the line") from None
        if not isinstance(values, dict):
            problem = f"row {row} of the data is {_kind(values)}"
            raise FileError(problem, expected="an object with the columns as names, in each line", hint="correct it")
        for name, value in values.items():
            kind = kinds.setdefault(name, _kind(value)) if value is not None else None
            if kind not in (None, _kind(value)):
                problem = f"column {name!r} holds {reprlib.repr(value)} in row {row} of the data (rows counted from 1)"
                raise FileError(problem, expected=f"a {kind} as in other rows", hint="correct it")


def _kind(value: Any) -> str:
    """Return what a value is called in JSON."""
    names = {bool: "true or false", int: "number", float: "number", str: "text", list: "list", dict: "object"}
    return names.get(type(value), "null")


def _read(path: Path) -> OpenTable:
    file = _JsonLines(path)
    if not file.has_rows:
        raise no_rows_error()

    def read(names: list[str]) -> Any:
        return arrow("lib").concat_tables(list(file.carry(names)))

    return open_arrow_table(file.lists, 1, read)


JSON_LINES = Format((".jsonl", ".jsonl.gz", ".ndjson", ".ndjson.gz"), read=_read, scan=_JsonLines, needs="pyarrow")
