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

_SEVERAL = "give names with commas, or several, by repeating the option"


def _columns(
    columns: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAMES",
            help=f"Columns to use, for example a,b,c; by default all numeric columns; {_SEVERAL}.",
            show_default=False,
        ),
    ] = None,
    exclude: Annotated[
        list[str] | None,
        typer.Option(metavar="NAMES", help="Columns that are not features; as --columns.", show_default=False),
    ] = None,
    label_column: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="Column with known classes, used only to report agreement.", show_default=False
        ),
    ] = None,
    weight_column: Annotated[
        str | None, typer.Option(metavar="NAME", help="Column with the weights of the rows.", show_default=False)
    ] = None,
    id_column: Annotated[
        str | None,
        typer.Option(
            "--id",
            metavar="NAME",
            help="Column that names the rows: written with their memberships, and not a feature.",
            show_default=False,
        ),
    ] = None,
    keep: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAMES", help="Other columns to write with the memberships; as --columns.", show_default=False
        ),
    ] = None,
    delimiter: Annotated[
        str | None,
        typer.Option(help="Character between the cells of text files, or tab, or space.", show_default="found"),
    ] = None,
    decimal: Annotated[
        str | None, typer.Option(help="Decimal character of text files: a point or comma.", show_default="found")
    ] = None,
    thousands: Annotated[
        str | None,
        typer.Option(help="Character between thousands, as in 1,234,567; '' for none.", show_default="found"),
    ] = None,
    encoding: Annotated[
        str | None, typer.Option(help="Encoding of text files, for example cp1252.", show_default="found")
    ] = None,
    header: Annotated[
        bool | None,
        typer.Option("--header/--no-header", help="Whether the first row holds names.", show_default="found"),
    ] = None,
) -> None:
    """Declare the options; `with_row_options` copies them to commands."""


_OPTIONS = list(inspect.signature(_columns, eval_str=True).parameters.values())
_DIALECT = ("delimiter", "decimal", "thousands", "encoding", "header")


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
        """How text files are written, as far as the user said it."""
        from ..data.files.dialect import Dialect  # imported here to keep --help fast

        return Dialect(*(getattr(self, name) for name in _DIALECT))

    def for_rows(self, file: Path, *, blocks: bool = False) -> dict[str, Any]:
        """Return the arguments of `read_table`, or of `scan`, which knows no labels."""
        if blocks and self.label_column is not None:
            problem = "is not supported with rows that are read in blocks"
            raise InputError(problem, parameter="label_column", hint="exclude this column, or use --no-stream")
        columns = None if self.columns is None else self._split(file, self.columns)
        return self._arguments(file, blocks=blocks) | {"columns": columns}

    def for_model(self, file: Path, names: Sequence[str] | None, *, blocks: bool = False) -> dict[str, Any]:
        """Return the arguments that read the features of a model by their names, or by position if they have none."""
        if names is None:
            arguments = self.for_rows(file)
        else:
            if self.columns is not None:
                problem = "is not supported with a model that was fitted on named columns, which it reads"
                raise InputError(problem, parameter="columns", hint="remove it")
            # The other columns are left out, so that only those that are carried are looked for.
            arguments = self._arguments(file) | {"columns": list(names), "exclude": ()}
            arguments |= dict.fromkeys(("label_column", "weight_column"))
        if blocks:
            exclude = [arguments["label_column"]] if arguments["label_column"] is not None else []
            arguments["exclude"] = [*arguments["exclude"], *exclude]
            del arguments["label_column"]
        return arguments

    def _arguments(self, file: Path, *, blocks: bool = False) -> dict[str, Any]:
        return {
            "exclude": self._split(file, self.exclude or []),
            "weight_column": self.weight_column,
            "id_column": self.id_column,
            "keep": self._split(file, self.keep or []),
            "dialect": self.dialect,
        } | ({} if blocks else {"label_column": self.label_column})

    def _split(self, file: Path, values: list[str]) -> list[str]:
        """Return the names in values that are names, or names separated by commas."""
        known = _known_names(file, self.dialect) if any("," in value for value in values) else set()
        pieces = ([value] if value in known else value.split(",") for value in values)
        return [name if name in known else name.strip() for piece in pieces for name in piece]


def _known_names(file: Path, dialect: Any) -> set[str]:
    """Return the names of the columns of a file, or of the first file of a folder or pattern."""
    from ..data.files.paths import find_files  # imported here to keep --help fast
    from ..data.files.tables import column_names_of

    files = None if file.is_file() else find_files(file)
    return set(column_names_of(files[0].path if files else file, dialect))


def with_row_options(function: Callable[..., None]) -> Callable[..., None]:
    """Give a command these options in place of its parameter ``row_options``, which becomes a `RowOptions`."""

    @functools.wraps(function)
    def command(**arguments: Any) -> None:
        values = {option.name: arguments.pop(option.name) for option in _OPTIONS}
        function(**arguments, row_options=RowOptions(**values))

    parameters = inspect.signature(function, eval_str=True).parameters.values()
    own = [parameter for parameter in parameters if parameter.name != "row_options"]
    ordered = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in (*own, *_OPTIONS)]
    command.__signature__ = inspect.Signature(ordered)  # type: ignore[attr-defined]
    return command
