"""Writing of output files: either all files of a command are written, or none."""

from __future__ import annotations

__all__ = [
    "MODELS",
    "PAGES",
    "PICTURES",
    "TABLES",
    "OutputKind",
    "check_folder",
    "check_outputs",
    "draw_clusters",
    "figure_writer",
    "write_all",
    "write_and_report",
]

import os
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import typer

import softkmeans as sk

from .._utils.atomic import atomic_write, check_writable
from .._utils.registry import one_of
from ..data.files.formats.lookup import find_format, suffixes
from ..errors import InputError

Write = Callable[["os.PathLike[str]"], None]


class OutputKind(NamedTuple):
    """A kind of output file."""

    endings: Callable[[], tuple[str, ...]]  # that the file's name may have
    check_packages: Callable[[Path], object]  # raises an error if a package that writes the file is missing
    placeholder: str = ""  # for the endings in help texts, if plugins may add some

    def listed(self) -> str:
        """Return the endings as help texts list them."""
        return self.placeholder or one_of(self.endings())


TABLES = OutputKind(lambda: suffixes("write"), lambda path: find_format(path, "write"), "{writable}")
MODELS = OutputKind(lambda: (".safetensors",), lambda path: None)
PAGES = OutputKind(lambda: (".html", ".htm"), lambda path: None)
PICTURES = OutputKind(lambda: (".png", ".pdf", ".svg", ".jpg"), lambda path: sk.plots)  # loads Matplotlib


class _NamedTemporary(os.PathLike[str]):
    """A temporary file that messages call by the name of the file that it will become."""

    def __init__(self, temporary: Path, name: Path) -> None:
        self.temporary, self.name = temporary, name

    def __fspath__(self) -> str:
        return str(self.temporary)

    def __str__(self) -> str:
        return str(self.name)


def write_all(outputs: Mapping[Path, Write]) -> None:
    """Write all files, or none if one of them fails."""
    with ExitStack() as stack:
        for path, write in outputs.items():
            write(_NamedTemporary(stack.enter_context(atomic_write(path)), path))


def write_and_report(outputs: Mapping[Path | None, Write], print_results: Callable[[], object]) -> None:
    """Write the files whose path is not None, print the results, and then the files' names.

    Files come first: if the terminal or the pipe fails, no work is lost.
    """
    requested = {path: write for path, write in outputs.items() if path}
    write_all(requested)
    print_results()
    for path in requested:
        typer.echo(f"wrote {path}")


def figure_writer(display: Callable[[], Any]) -> Write:
    """Return a function that draws a display and writes its figure to a file."""
    return lambda path: display().figure_.savefig(path, dpi=150)


def draw_clusters(model: Any, table: Any, *, regions: bool = False) -> Any:
    """Draw rows and clusters: one or two features in the data's units, more on principal axes of what is clustered."""
    return sk.ClusterDisplay.from_estimator(model, table.frame(), regions=regions)


def check_outputs(source: Path, outputs: Iterable[tuple[Path | None, OutputKind]]) -> None:
    """Raise an InputError, before any computation, for an output that can't be written.

    It must have a supported ending, must not overwrite an input or another output, and must not become an input of the
    next run.
    """
    taken = _input_files(source)
    for path, kind in outputs:
        if path is None:
            continue
        if not path.name.lower().endswith(kind.endings()):
            hint = f"the file name must end with one of {', '.join(kind.endings())}"
            raise InputError(f"can't write {path}", hint=hint)
        if path.resolve() in taken:
            raise InputError(f"can't write {path}: it is the input or another output", hint="choose another name")
        if _is_future_input(path, source):
            problem = f"can't write {path}: the next run would read it as input from {source}"
            raise InputError(problem, hint="choose another folder")
        check_writable(path)
        taken.add(path.resolve())
        kind.check_packages(path)


def _input_files(source: Path) -> set[Path]:
    """Return the files that are read: one file, those in a folder, or those that match a pattern."""
    if source.exists() and not source.is_dir():
        return {source.resolve()}
    from ..data.files.paths import find_files

    return {file.path.resolve() for file in find_files(source) or ()}


def _is_future_input(path: Path, source: Path) -> bool:
    """Return whether an output, once written, would be among the files of a folder or pattern."""
    if source.is_dir():
        return path.resolve().is_relative_to(source.resolve()) and path.name.lower().endswith(suffixes("scan"))
    return not source.exists() and path.resolve().match(os.path.abspath(source))  # noqa: PTH100 - a pattern is not a file


def check_folder(path: Path) -> None:
    """Raise an InputError for an output folder that can't be created or written to; don't create it yet."""
    existing = next(folder for folder in (path, *path.absolute().parents) if folder.exists())
    check_writable(existing / "model.safetensors")
