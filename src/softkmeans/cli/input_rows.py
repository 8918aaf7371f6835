"""The rows of a command: in memory, or read in blocks by one process or several."""

from __future__ import annotations

__all__ = ["BlockRows", "Rows", "TableRows", "is_read_in_blocks", "open_rows"]

import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Any

import typer
from typing_extensions import override

import softkmeans as sk

from ..errors import FitInterrupted, InputError
from .column_warnings import warn_of_columns
from .distributed import has_several_processes
from .outputs import draw_clusters
from .provenance import record_provenance
from .report_page import make_report
from .row_checks import check_rows, check_scale, report_notes, report_rows
from .row_options import RowOptions

MIN_BLOCK_FILE_SIZE = 2**30  # bytes; larger files are read in blocks
N_ROWS_IN_PICTURE = 5000  # rows sampled for a picture if they are not all in memory


class Rows(ABC):
    """The rows of a command, and the operations on them.

    Attributes
    ----------
    is_first : bool
        Whether this process prints and writes files.
    table : Table or None
        The rows, if they are in memory.
    """

    is_first = True
    table: Any = None

    @abstractmethod
    def fit(self, estimator: Any, scale: str) -> tuple[Any, str]:
        """Fit an estimator.

        Return the estimator, or a pipeline of a scaler and the estimator, and the message of an interruption, or "".
        """

    @abstractmethod
    def report(self, scale: str) -> None:
        """Print how the rows were read, how many there are, and warnings of columns that should not be used so."""

    @abstractmethod
    def write(self, model: Any, target: Any) -> None:
        """Write the label and memberships of each row."""

    @abstractmethod
    def record(self, model: Any, file: Path) -> Any:
        """Keep in the model how it was made; return the `Softness` of the rows."""

    @abstractmethod
    def make_report(self, model: Any, file: Path, row_options: RowOptions) -> Any:
        """Return the report of a fitted model."""

    @abstractmethod
    def draw(self, model: Any) -> Any:
        """Draw the rows, colored by their memberships, and the centers."""


class TableRows(Rows):
    """Rows in memory."""

    def __init__(self, table: Any, device: str | None) -> None:
        self.table, self.device = table, device

    @override
    def fit(self, estimator: Any, scale: str) -> tuple[Any, str]:
        check_rows(self.table.x, estimator.n_clusters)
        check_scale(scale, self.table.weights)
        estimator.set_params(device=self.device)
        model = sk.estimators.make_model(estimator, scale)
        weights = sk.estimators.fit_weights(model, self.table.weights)
        return model, _interruption(lambda: model.fit(self.table.frame(), **weights))

    @override
    def report(self, scale: str) -> None:
        report_rows(self.table)
        warn_of_columns(self.table.x, self.table.columns, scale)

    @override
    def write(self, model: Any, target: Any) -> None:
        sk.write_assignments(model, self.table.frame(), target, carried=self.table.carried)

    @override
    def record(self, model: Any, file: Path) -> Any:
        return record_provenance(model, file, self.table.frame(), self.table.weights)

    @override
    def make_report(self, model: Any, file: Path, row_options: RowOptions) -> Any:
        return make_report(model, self.table.frame(), self.table, file, row_options)

    @override
    def draw(self, model: Any) -> Any:
        return draw_clusters(model, self.table)


class BlockRows(Rows):
    """Rows of files that are read in blocks.

    With several processes, each reads its share of the rows for the fit; the first process does everything else.
    """

    def __init__(self, open_scan: Callable[[], Any]) -> None:
        self.source: Any = sk.distributed(open_scan) if has_several_processes() else open_scan()
        self.scan: Any = open_scan() if has_several_processes() else self.source
        self.is_first = self.source.is_first

    @override
    def fit(self, estimator: Any, scale: str) -> tuple[Any, str]:
        preprocessing = sk.estimators.fit_preprocessing(self.source, scale)
        model = sk.estimators.with_preprocessing(estimator, preprocessing)
        source = sk.estimators.preprocess_source(self.source, preprocessing)
        return model, _interruption(lambda: estimator.fit(source))

    @override
    def report(self, scale: str) -> None:
        report_notes(self.scan)
        processes = f" by {self.source.size} processes" if has_several_processes() and self.source.size > 1 else ""
        typer.echo(f"rows: {self.source.n_rows}, features: {self.source.n_features}, read in blocks{processes}")
        first = next(iter(self.scan.blocks()))
        warn_of_columns(first.x.cpu().numpy(), self.scan.columns, scale)

    @override
    def write(self, model: Any, target: Any) -> None:
        sk.write_assignments(model, self.scan, target)

    @override
    def record(self, model: Any, file: Path) -> Any:
        return record_provenance(model, file, self.scan)

    @override
    def make_report(self, model: Any, file: Path, row_options: RowOptions) -> Any:
        return make_report(model, self.scan, None, file, row_options)

    @override
    def draw(self, model: Any) -> Any:
        from ..data.sampling import draw_rows  # imported here to keep --help fast

        rows, _ = draw_rows(self.scan, N_ROWS_IN_PICTURE, lambda block: block.w * 0 + 1, seed=0)
        if len(rows) < self.scan.n_rows:
            typer.echo(f"the picture shows a random sample of {len(rows)} rows")
        return draw_clusters(model, sk.data.Table(rows.cpu().numpy(), self.scan.columns))


def _interruption(fit: Callable[[], object]) -> str:
    """Run a fit; return the message if it is interrupted (the model then has the best centers so far), else ""."""
    from ..fitting.results import CoincidentCentersWarning, NotConvergedWarning  # imported here to keep --help fast

    try:
        with warnings.catch_warnings():
            for category in (CoincidentCentersWarning, NotConvergedWarning):
                warnings.simplefilter("ignore", category)  # print_warnings reports this
            fit()
    except FitInterrupted as interrupted:
        return str(interrupted)
    return ""


def is_read_in_blocks(file: Path, stream: bool | None) -> bool:
    """Return whether to read in blocks: if requested, with several processes, and for several or large files."""
    if stream is False and has_several_processes():
        problem = "is not supported with several processes, each of which reads its part of the rows"
        raise InputError(problem, parameter="stream", value=stream, hint="remove it")
    if stream is not None or has_several_processes():
        return stream or has_several_processes()
    several = file.is_dir() or (not file.exists() and any(sign in str(file) for sign in "*?["))
    return several or (file.is_file() and file.stat().st_size >= MIN_BLOCK_FILE_SIZE)


def open_rows(
    file: Path,
    stream: bool | None,
    row_options: RowOptions,
    *,
    device: str | None,
    in_memory_option: str | None,
) -> Rows:
    """Open a file, folder or pattern of file names.

    ``in_memory_option`` names a requested option that needs all rows in memory; reading in blocks then is an error.
    """
    if not is_read_in_blocks(file, stream):
        return TableRows(sk.data.read_table(file, **row_options.for_rows(file)), device)
    if in_memory_option:
        problem = "is not supported with rows that are read in blocks"
        raise InputError(problem, parameter=in_memory_option, hint="remove it")
    arguments = row_options.for_rows(file, blocks=True)
    return BlockRows(lambda: sk.data.scan(file, device=device, **arguments))
