"""The options of all commands that read rows: which columns are used for what, and how text files are written."""

from __future__ import annotations

__all__ = ["RowOptions", "with_row_options"]

import functools
import inspect
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer

from ..errors import InputError


class RowOptions(NamedTuple):
    """The values of the options, as the user wrote them."""

    columns: list[str] | None = None
    exclude: list[str] | None = None
    label_column: str | None = None
    weight_column: str | None = None
    id_column: str | None = None
    keep: list[str] | None = None
    delimiter: str | None = None
    decimal: str | None = None
    thousands: str | None = None
    encoding: str | None = None
    header: bool | None = None

    @property
    def dialect(self) -> Any:
        """The dialect of text files, as far as the user gave it."""
        from ..data.files.dialect import Dialect  # imported here to keep --help fast

        return Dialect(self.delimiter, self.decimal, self.thousands, self.encoding, self.header)

    def for_rows(self, file: Path, *, blocks: bool = False) -> dict[str, Any]:
        """Return the arguments of `read_table`, or of `scan`, which knows no labels."""
        if blocks and self.label_column is not None:
            problem = "is not supported with rows that are read in blocks"
            raise InputError(problem, parameter="label_column", hint="exclude this column, or use --no-stream")
        arguments = self._arguments(file)
        if blocks:
            del arguments["label_column"]
        return arguments

    def for_model(self, file: Path, names: Sequence[str] | None, *, blocks: bool = False) -> dict[str, Any]:
        """Return the arguments that read the features of a model by their names, or by position if they have none."""
        arguments = self._arguments(file)
        if names is not None:
            if self.columns is not None:
                problem = "is not supported with a model that was fitted on named columns, which it reads"
                raise InputError(problem, parameter="columns", hint="remove it")
            arguments |= {"columns": list(names), "exclude": [], "label_column": None, "weight_column": None}
        if blocks and (label := arguments.pop("label_column")) is not None:
            arguments["exclude"].append(label)
        return arguments

    def _arguments(self, file: Path) -> dict[str, Any]:
        identifier = [] if self.id_column is None else [self.id_column]
        return {
            "columns": None if self.columns is None else self._names(file, self.columns),
            "exclude": identifier + self._names(file, self.exclude),
            "label_column": self.label_column,
            "weight_column": self.weight_column,
            "carry": identifier + self._names(file, self.keep),
            "dialect": self.dialect,
        }

    def known_names(self, file: Path) -> set[str]:
        """Return the names of the columns of a file, or of the first file of a folder or pattern."""
        from ..data.files.paths import find_files  # imported here to keep --help fast
        from ..data.files.tables import column_names_of

        files = None if file.is_file() else find_files(file)
        return set(column_names_of(files[0].path if files else file, self.dialect))

    def _names(self, file: Path, values: list[str] | None) -> list[str]:
        """Return the names in values that are names, or names separated by commas."""
        known = self.known_names(file) if any("," in value for value in values or ()) else set()
        pieces = ([value] if value in known else value.split(",") for value in values or ())
        return [name if name in known else name.strip() for piece in pieces for name in piece]


def _several(text: str) -> Any:
    return Annotated[list[str] | None, typer.Option(metavar="NAMES", help=text, show_default=False)]


def _one(text: str, *names: str) -> Any:
    return Annotated[str | None, typer.Option(*names, metavar="NAME", help=text, show_default=False)]


def _found(text: str, *names: str, kind: Any = str) -> Any:
    """Return an option whose default is found by looking at the file."""
    return Annotated[kind | None, typer.Option(*names, help=text, show_default="found")]


_OPTIONS = {
    "columns": _several(
        "Columns to use, for example a,b,c; by default all numeric columns. The option can be repeated, for names with "
        "commas."
    ),
    "exclude": _several("Columns that are not features; as --columns."),
    "label_column": _one("Column with known classes, used only to report agreement."),
    "weight_column": _one("Column with the weights of the rows."),
    "id_column": _one("Column that names the rows: written with their memberships, and not a feature.", "--id"),
    "keep": _several("Other columns to write with the memberships; as --columns."),
    "delimiter": _found("Character between the cells of text files, or tab, or space."),
    "decimal": _found("Decimal character of text files: a point or comma."),
    "thousands": _found("Character between thousands, as in 1,234,567; '' for none."),
    "encoding": _found("Encoding of text files, for example cp1252."),
    "header": _found("Whether the first row holds names.", "--header/--no-header", kind=bool),
}


def with_row_options(function: Callable[..., None]) -> Callable[..., None]:
    """Replace the parameter ``row_options`` of a command, a `RowOptions`, by these options."""

    @functools.wraps(function)
    def command(**arguments: Any) -> None:
        values = {name: arguments.pop(name) for name in _OPTIONS}
        function(**arguments, row_options=RowOptions(**values))

    by_keyword = inspect.Parameter.KEYWORD_ONLY
    own = dict(inspect.signature(function, eval_str=True).parameters)
    del own["row_options"]
    parameters = [parameter.replace(kind=by_keyword) for parameter in own.values()]
    parameters += [inspect.Parameter(n, by_keyword, default=None, annotation=a) for n, a in _OPTIONS.items()]
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return command
