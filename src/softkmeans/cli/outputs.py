"""Writing of output files: either all files of a command are written, or none."""

from __future__ import annotations

__all__ = [
    "MODELS",
    "PICTURES",
    "TABLES",
    "check_folder",
    "check_outputs",
    "check_packages",
    "draw_clusters",
    "figure_writer",
    "write_all",
    "write_and_report",
]

import os
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import typer

import softkmeans as sk

from .._utils.atomic import atomic_write, check_writable
from ..data.files.whole_files import arrow
from ..data.files.writing import WRITERS
from ..errors import InputError

TABLES = tuple(WRITERS)
MODELS = (".safetensors",)
PICTURES = (".png", ".pdf", ".svg", ".jpg")

Write = Callable[["os.PathLike[str]"], None]


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


def write_and_report(outputs: Mapping[Path | None, Write]) -> None:
    """Write the files whose path is not None, and print their names."""
    requested = {path: write for path, write in outputs.items() if path}
    write_all(requested)
    for path in requested:
        typer.echo(f"wrote {path}")


def figure_writer(display: Callable[[], Any]) -> Write:
    """Return a function that draws a display and writes its figure to a file."""
    return lambda path: display().figure_.savefig(path, dpi=150)


def draw_clusters(model: Any, table: Any, *, regions: bool = False) -> Any:
    """Draw rows and clusters: one or two features in the data's units, more on principal axes of the scaled data."""
    scaler, estimator = sk.estimators.split_pipeline(model)
    rows, centers = table.x, sk.estimators.centers_in_data_units(model)  # (n, d), (k, d)
    if scaler is not None and rows.shape[1] > 2:
        rows, centers = scaler.transform(table.frame()), np.asarray(estimator.cluster_centers_)
    return sk.ClusterDisplay.from_predictions(
        rows,
        model.predict_proba(table.frame()),
        centers,
        feature_names=table.columns,
        regions=regions,
        predict_proba=lambda grid: model.predict_proba(table._replace(x=grid).frame()),
    )


def check_outputs(source: Path, outputs: Iterable[tuple[Path | None, tuple[str, ...]]]) -> None:
    """Raise an InputError, before any computation, for an output that can't be written.

    It must have a supported ending, must not overwrite an input or another output, and must not become an input of the
    next run.
    """
    taken = _input_files(source)
    for path, endings in outputs:
        if path is None:
            continue
        if endings and not path.name.lower().endswith(endings):
            hint = f"the file name must end with one of {', '.join(endings)}"
            raise InputError(f"can't write {path}", hint=hint)
        if path.resolve() in taken:
            raise InputError(f"can't write {path}: it is the input or another output", hint="choose another name")
        if _is_future_input(path, source):
            problem = f"can't write {path}: the next run would read it as input from {source}"
            raise InputError(problem, hint="choose another folder")
        check_writable(path)
        taken.add(path.resolve())
        check_packages(endings)


def _input_files(source: Path) -> set[Path]:
    """Return the files that are read: one file, those in a folder, or those that match a pattern."""
    if source.exists() and not source.is_dir():
        return {source.resolve()}
    from ..data.files.block_readers.paths import find_files

    return {file.path.resolve() for file in find_files(source, _block_formats()) or ()}


def _block_formats() -> tuple[str, ...]:
    """Return the endings of the files that are read from a folder."""
    from ..data.files.block_readers.registry import READERS  # imported here to keep --help fast

    return tuple(READERS)


def _is_future_input(path: Path, source: Path) -> bool:
    """Return whether an output, once written, would be among the files of a folder or pattern."""
    if source.is_dir():
        return path.resolve().is_relative_to(source.resolve()) and path.name.lower().endswith(_block_formats())
    return not source.exists() and path.resolve().match(os.path.abspath(source))  # noqa: PTH100 - a pattern is not a file


def check_packages(endings: tuple[str, ...]) -> None:
    """Raise a MissingExtraError if the package that writes files with these endings is missing."""
    if endings == PICTURES:
        _ = sk.plots  # loads Matplotlib
    elif endings == TABLES:
        arrow("csv")


def check_folder(path: Path) -> None:
    """Raise an InputError for an output folder that can't be created or written to; don't create it yet."""
    existing = next(folder for folder in (path, *path.absolute().parents) if folder.exists())
    check_writable(existing / "model.safetensors")
