"""The rows a command works on: in memory, or too many for that and read in blocks, by one process or several."""

from __future__ import annotations

__all__ = ["BlockRows", "Rows", "TableRows", "is_read_in_blocks", "opened"]

import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Any

import typer
from typing_extensions import override

import softkmeans as sk

from ..errors import FitInterrupted, InputError
from .distributed import is_one_of_several
from .inputs import check_rows, report_rows
from .outputs import draw_clusters

LARGE = 2**30  # bytes of a file from which on it is read in blocks
DRAWN = 5000  # rows of a picture, where they are not all in memory


class Rows(ABC):
    """The rows of a command, and what is done with them.

    Attributes
    ----------
    is_first : bool
        Whether this process speaks and writes for all.
    table : Table or None
        The rows, if they are in memory.
    """

    is_first = True
    table: Any = None

    @abstractmethod
    def fit(self, estimator: Any, scale: str) -> tuple[Any, str]:
        """Fit an estimator; give it, or a pipeline of a scaler and it, and what interrupted the fit, if anything."""

    @abstractmethod
    def report(self) -> None:
        """Print how many rows there are."""

    @abstractmethod
    def write(self, model: Any, target: Any) -> None:
        """Write what a model says of each row."""

    @abstractmethod
    def draw(self, model: Any) -> Any:
        """Draw the rows as a model clusters them."""


class TableRows(Rows):
    """Rows in memory."""

    def __init__(self, table: Any, device: str | None) -> None:
        self.table, self.device = table, device

    @override
    def fit(self, estimator: Any, scale: str) -> tuple[Any, str]:
        check_rows(self.table.x, estimator.n_clusters)
        estimator.set_params(device=self.device)
        model = sk.estimators.with_scaling(estimator, scale)
        weights = {}
        if self.table.weights is not None:
            step = "" if model is estimator else f"{model.steps[-1][0]}__"
            weights = {f"{step}sample_weight": self.table.weights}
            if step:
                weights["standardscaler__sample_weight"] = self.table.weights
        return model, _interruption(lambda: model.fit(self.table.frame(), **weights))

    @override
    def report(self) -> None:
        report_rows(self.table)

    @override
    def write(self, model: Any, target: Any) -> None:
        sk.write_assignments(model, self.table.frame(), target)

    @override
    def draw(self, model: Any) -> Any:
        return draw_clusters(model, self.table)


class BlockRows(Rows):
    """Rows of files that are read in blocks; of several processes, each fits its share, and the first does the rest."""

    def __init__(self, open_scan: Callable[[], Any]) -> None:
        self.source: Any = sk.distributed(open_scan) if is_one_of_several() else open_scan()
        self.scan: Any = open_scan() if is_one_of_several() else self.source
        self.is_first = self.source.is_first

    @override
    def fit(self, estimator: Any, scale: str) -> tuple[Any, str]:
        model, source = estimator, self.source
        if scale != "none":
            model = sk.estimators.with_scaling(estimator, scale)
            model.steps[0] = ("standardscaler", scaler := sk.estimators.fitted_scaler(source))
            source = sk.estimators.scaled(source, scaler)
        return model, _interruption(lambda: estimator.fit(source))

    @override
    def report(self) -> None:
        if self.scan.ignored:
            typer.echo(f"left out, not numeric: {', '.join(name or '(unnamed)' for name in self.scan.ignored)}")
        shared = f" by {self.source.size} processes" if is_one_of_several() and self.source.size > 1 else ""
        typer.echo(f"rows: {self.source.n_rows}, features: {self.source.n_features}, read in blocks{shared}")

    @override
    def write(self, model: Any, target: Any) -> None:
        sk.write_assignments(model, self.scan, target)

    @override
    def draw(self, model: Any) -> Any:
        from ..data.sampling import draw_rows  # here, so that --help answers at once

        rows, _ = draw_rows(self.scan, DRAWN, lambda block: block.w * 0 + 1, seed=0)
        if len(rows) < self.scan.n_rows:
            typer.echo(f"the picture shows {len(rows)} of the rows, drawn at random")
        return draw_clusters(model, sk.data.Table(rows.cpu().numpy(), self.scan.columns, None, None, ()))


def _interruption(fit: Callable[[], object]) -> str:
    """Fit, and say what interrupted it, if anything did; the model then has the best centers so far."""
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "the fit did not converge")  # which is among the doubts
            fit()
    except FitInterrupted as interrupted:
        return str(interrupted)
    return ""


def is_read_in_blocks(file: Path, stream: bool | None) -> bool:
    """Whether rows are read in blocks: if asked to, by several processes, and files that are many or large."""
    if stream is False and is_one_of_several():
        raise InputError("--no-stream does not go with several processes, each of which reads its part: leave it out")
    if stream is not None or is_one_of_several():
        return stream or is_one_of_several()
    several = file.is_dir() or (not file.exists() and any(sign in str(file) for sign in "*?["))
    return several or (file.is_file() and file.stat().st_size >= LARGE)


def opened(
    file: Path, stream: bool | None, *, device: str | None, label_column: str | None, needs: str | None, **choice: Any
) -> Rows:
    """Open a file, folder or pattern of names; ``needs`` says which option has to have all rows in memory."""
    if not is_read_in_blocks(file, stream):
        return TableRows(sk.data.read_table(file, label_column=label_column, **choice), device)
    if needs:
        raise InputError(f"{needs} needs all rows in memory, and these are read in blocks: leave it out")
    return BlockRows(lambda: sk.data.scan(file, device=device, **choice))
