"""What commands write: files of every kind, all of them or none."""

from __future__ import annotations

__all__ = [
    "MODELS",
    "PICTURES",
    "TABLES",
    "check_folder",
    "check_outputs",
    "draw_clusters",
    "picture_of",
    "require",
    "write_all",
    "write_and_say",
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
from ..data.files.formats import arrow
from ..errors import InputError

TABLES = (".csv", ".csv.gz", ".tsv", ".tsv.gz", ".parquet")
MODELS = (".safetensors",)
PICTURES = (".png", ".pdf", ".svg", ".jpg")

Write = Callable[[Path], None]


def write_all(outputs: Mapping[Path, Write]) -> None:
    """Write all files or, if anything goes wrong with one, none."""
    with ExitStack() as stack:
        for path, write in outputs.items():
            temporary = stack.enter_context(atomic_write(path))
            try:
                write(temporary)
            except InputError as error:  # users know it by its name
                raise InputError(str(error).replace(str(temporary), str(path))) from error


def write_and_say(outputs: Mapping[Path | None, Write]) -> None:
    """Write the files that were asked for, and say which."""
    wanted = {path: write for path, write in outputs.items() if path}
    write_all(wanted)
    for path in wanted:
        typer.echo(f"wrote {path}")


def picture_of(display: Callable[[], Any]) -> Write:
    """Make a writer of what draws a display."""
    return lambda path: display().figure_.savefig(path, dpi=150)


def draw_clusters(model: Any, table: Any, *, regions: bool = False) -> Any:
    """Draw one or two features in their own units, more by the principal axes of what the model saw."""
    scaler, estimator = sk.estimators.parts(model)
    rows, centers = table.x, sk.estimators.centers_in_units(model)  # (n, d), (k, d)
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
    """Refuse, before any work, what can't be written, would be written over, or read as input the next time."""
    taken = _inputs(source)
    for path, endings in outputs:
        if path is None:
            continue
        if endings and not path.name.lower().endswith(endings):
            raise InputError(f"can't write {path}: its ending must be one of {', '.join(endings)}")
        if path.resolve() in taken:
            raise InputError(f"can't write {path}: it is the input, or another output; give it a name of its own")
        if _would_be_input(path, source):
            raise InputError(f"can't write {path}: it would be read as input of {source} next time; put it elsewhere")
        check_writable(path)
        taken.add(path.resolve())
        require(endings)


def _inputs(source: Path) -> set[Path]:
    """Give the files that are read, whether one, those of a folder or those of a pattern."""
    if source.exists() and not source.is_dir():
        return {source.resolve()}
    from ..data.files.readers.open import READERS  # here, so that --help answers at once
    from ..data.files.readers.paths import find_files

    return {file.path.resolve() for file in find_files(source, READERS) or ()}


def _would_be_input(path: Path, source: Path) -> bool:
    """Whether a file that is not there yet would be among those of a folder or a pattern."""
    if source.is_dir():
        return path.resolve().is_relative_to(source.resolve()) and path.name.lower().endswith((*TABLES, ".npy"))
    return not source.exists() and path.resolve().match(os.path.abspath(source))  # noqa: PTH100 - of no real file


def require(endings: tuple[str, ...]) -> None:
    """Say before any work if the package that writes such files is missing."""
    if endings == PICTURES:
        _ = sk.plots
    elif endings == TABLES:
        arrow("csv")


def check_folder(path: Path) -> None:
    """Refuse a folder for outputs that can't be made or written, without making it yet."""
    there = next(folder for folder in (path, *path.absolute().parents) if folder.exists())
    check_writable(there / "model.safetensors")
