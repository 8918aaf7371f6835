"""The `fit` command: cluster the rows of files."""

from __future__ import annotations

__all__ = ["fit"]

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

import softkmeans as sk

from .._utils.signals import exit_status
from ..errors import InputError, Message, Setting
from ..registries import CALLBACKS
from ..settings import RunOptions, Settings
from .distributed import process_group, process_rank
from .input_rows import Rows, open_rows
from .messages import print_fit_figures, print_warnings
from .options import (
    Centers,
    Clusters,
    DataFiles,
    Out,
    Scale,
    Seed,
    Stream,
    Verbose,
    number_or_name,
    output_option,
)
from .outputs import MODELS, PAGES, PICTURES, TABLES, check_outputs, figure_writer, write_and_report
from .progress import progress
from .provenance import print_strongest
from .report_page import print_shown
from .row_options import RowOptions, with_row_options

LOG_EVERY = 20  # passes between printed losses


class _ResumePrinter(sk.callbacks.Callback):
    """Print at which step a fit resumes."""

    def on_resume(self, n_passes: int) -> None:
        typer.echo(f"resumed at step {n_passes}" if n_passes else "no checkpoint yet: starting from the beginning")


class _LossPrinter(sk.LossPrinter):
    """Print what the loss is, and the loss at intervals."""

    def __init__(self) -> None:
        super().__init__(LOG_EVERY, _silent if process_rank() else typer.echo)

    def on_fit_begin(self, max_iter: int) -> None:
        super().on_fit_begin(max_iter)
        self.write("loss: what the fit minimizes, per row")


def _silent(text: str) -> None:
    """Print nothing, as the first process prints."""


@with_row_options
def fit(
    context: typer.Context,
    file: DataFiles,
    row_options: RowOptions,
    n_clusters: Clusters = RunOptions.n_clusters,
    out: Out = None,
    assignments: Annotated[
        Path | None, output_option("Write the label of each row, and its memberships p0, p1, ..., to this file", TABLES)
    ] = None,
    picture: Annotated[Path | None, output_option("Plot the clusters to this file", PICTURES)] = None,
    centers: Centers = None,
    report: Annotated[Path | None, output_option("Write a report to this file, to explore and send", PAGES)] = None,
    scale: Scale = "none",
    temperature: str = Settings.temperature,
    assignment: str = Settings.assignment,
    priors: str = Settings.priors,
    fuzzifier: Annotated[
        float | None,
        typer.Option(help="Fuzzifier above 1: fit fuzzy c-means, which has no temperature.", show_default=False),
    ] = None,
    noise_distance: float | None = Settings.noise_distance,
    distance: str = Settings.distance,
    update: str = Settings.update,
    solver: str = Settings.solver,
    init: str = Settings.init,
    empty_clusters: str = Settings.empty_clusters,
    n_init: int = Settings.n_init,
    local_search: Annotated[bool, typer.Option("--local-search")] = Settings.local_search,
    max_iter: int = Settings.max_iter,
    tol: float = Settings.tol,
    growing_sample: bool = Settings.growing_sample,
    callbacks: Annotated[list[str] | None, typer.Option("--callback", metavar="NAME")] = RunOptions.callbacks,
    stability: Annotated[
        int, typer.Option(help="Number of resamples for measuring the stability of the clusters.", min=0)
    ] = 0,
    stream: Stream = None,
    checkpoint: Path | None = RunOptions.checkpoint,
    checkpoint_every: Annotated[
        int | None,
        typer.Option(
            help="Passes between checkpoints; by default chosen so that writing takes at most 5 % of the time.",
            show_default=False,
        ),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume")] = RunOptions.resume,
    device: str | None = RunOptions.device,
    verbose: Verbose = False,
    timeout: Annotated[float, typer.Option(help="Seconds that torchrun processes wait for each other.")] = 300.0,
    seed: Seed = 0,
) -> None:
    """Cluster the rows of a file, a folder or a pattern of file names; with torchrun, on several processes."""
    check_outputs(file, [(out, MODELS), (assignments, TABLES), (centers, TABLES), (picture, PICTURES), (report, PAGES)])
    if checkpoint is None and checkpoint_every is not None:
        raise InputError(
            Message("requires ", Setting("checkpoint")),
            parameter="checkpoint_every",
            hint=Message("set ", Setting("checkpoint"), " to a folder"),
        )
    is_logged = sk.solvers.as_solver(solver).is_gradual and "loss-printer" not in (callbacks or ())
    estimator = _estimator(
        n_clusters,
        fuzzifier,
        {
            "temperature": number_or_name(temperature),
            "assignment": assignment,
            "priors": priors,
            "update": update,
            "empty_clusters": empty_clusters,
            "local_search": local_search,
        },
        solver=solver,
        init=init,
        n_init=n_init,
        max_iter=max_iter,
        tol=tol,
        distance=distance,
        noise_distance=noise_distance,
        growing_sample=growing_sample,
        random_state=seed,
        verbose=int(sys.stderr.isatty() and not process_rank() and not is_logged),
        callbacks=[
            _LossPrinter() if is_logged else _ResumePrinter(),
            *(CALLBACKS.find(name)() for name in callbacks or ()),
        ],
        checkpoint=None if checkpoint is None else sk.Checkpoint(checkpoint, every=checkpoint_every),
        resume=resume,
    )
    with process_group(device, timeout) as own_device:
        in_memory_option = "stability" if stability else None
        rows = open_rows(file, stream, row_options, device=own_device, in_memory_option=in_memory_option)
        model, interruption = rows.fit(estimator, scale)
    # the saved model must not contain settings that concern only this run
    estimator.set_params(verbose=0, callbacks=None, checkpoint=None, resume=False, device=None)
    if not rows.is_first:
        raise typer.Exit(exit_status() if interruption else 0)
    if interruption:
        typer.echo(f"interrupted: {interruption}", err=True)
    softness = None if interruption else rows.record(model, file)
    measured = _stability(model, rows.table, stability, seed) if stability and not interruption else None

    made: Any = rows.make_report(model, file, row_options) if report else None
    summary = sk.selection.summary

    def print_results() -> None:
        rows.report(scale)
        if made is not None:
            print_shown(made)
        summary.print_centers(model, measured)
        print_strongest(model)
        details = summary.fit_figures(model) if verbose else {}
        print_fit_figures(context, summary.figures(model, softness) | details | _agreement(rows, model))
        if not interruption:  # an interrupted fit has not converged, which needs no warning
            print_warnings(context, estimator, measured)

    outputs: dict[Path | None, Any] = {
        out: lambda path: sk.save(model, path),
        assignments: lambda path: rows.write(model, path),
        centers: lambda path: sk.data.write_table(path, summary.cluster_columns(model, measured)),
        picture: figure_writer(lambda: rows.draw(model)),
        report: lambda path: made.save(path),
    }
    write_and_report(outputs, print_results)
    if not any(outputs):
        typer.echo("wrote nothing: --out keeps the model, --assignments the memberships, --report a page to explore")
    if interruption:
        raise typer.Exit(exit_status())


def _estimator(n_clusters: int, fuzzifier: float | None, soft_settings: dict[str, Any], **settings: Any) -> Any:
    """Return a SoftKMeans, or a FuzzyCMeans if a fuzzifier is given, which has none of the soft settings."""
    if fuzzifier is None:
        return sk.SoftKMeans(n_clusters, **soft_settings, **settings)
    changed = {name for name, value in soft_settings.items() if value != getattr(Settings, name)}
    if soft_settings["assignment"] == "fuzzy":  # which the fuzzifier implies
        changed.remove("assignment")
    if changed & {"temperature", "priors", "local_search"}:
        wrong = Message(Setting("temperature"), ", ", Setting("priors"), " or ", Setting("local_search"))
    elif changed:
        wrong = Message(Setting(min(changed)))
    else:
        return sk.FuzzyCMeans(n_clusters, fuzzifier=fuzzifier, **settings)
    raise InputError(Message("is not supported with ", wrong), parameter="fuzzifier", hint="remove one of them")


def _agreement(rows: Rows, model: Any) -> dict[str, str]:
    """Return how well the clusters agree with the known classes; nothing if there are none."""
    known = None if rows.table is None else rows.table.labels
    return {} if known is None else sk.selection.summary.agreement(known, model.predict(rows.table.frame()))


def _stability(model: Any, table: Any, n_resamples: int, seed: int) -> Any:
    """Return the stability of the clusters, from fits to resamples of the rows, transformed as the model does."""
    preprocessing, estimator = sk.estimators.split_pipeline(model)
    rows = table.frame() if preprocessing is None else preprocessing.transform(table.frame())
    with progress(n_resamples, "resamples", "fit") as bar:
        return sk.stability(
            estimator,
            rows,
            n_resamples=n_resamples,
            sample_weight=table.weights,
            random_state=seed,
            on_fit=lambda _: bar.update(),
        )
