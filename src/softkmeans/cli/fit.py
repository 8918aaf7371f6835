"""The command that clusters a file."""

from __future__ import annotations

__all__ = ["fit"]

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

import softkmeans as sk

from .._utils.signals import exit_status
from ..errors import InputError
from .distributed import joined, number
from .messages import warn_of
from .options import (
    Clusters,
    Columns,
    DataFiles,
    DistanceName,
    MaxIter,
    Out,
    Priors,
    Scale,
    Seed,
    Stream,
    Temperature,
    WeightColumn,
    number_or_name,
    split_names,
)
from .outputs import MODELS, PICTURES, TABLES, check_outputs, picture_of, write_and_say
from .progress import progress
from .rows import Rows, opened


class _ResumeTeller(sk.callbacks.Callback):
    """Print where a fit goes on."""

    def on_resume(self, n_passes: int) -> None:
        typer.echo(f"resumed at step {n_passes}" if n_passes else "no checkpoint yet: starting afresh")


def fit(
    file: DataFiles,
    n_clusters: Clusters = 8,
    out: Out = None,
    assignments: Annotated[
        Path | None, typer.Option(help="Write labels and probabilities here (CSV, TSV or Parquet).", show_default=False)
    ] = None,
    picture: Annotated[
        Path | None, typer.Option(help="Draw the clusters here (PNG, PDF, SVG or JPG).", show_default=False)
    ] = None,
    columns: Columns = None,
    label_column: Annotated[
        str | None, typer.Option(help="Known classes, only compared with.", show_default=False)
    ] = None,
    weight_column: WeightColumn = None,
    scale: Scale = "none",
    temperature: Temperature = "auto",
    priors: Priors = "uniform",
    fuzzifier: Annotated[
        float | None, typer.Option(help="Above 1: fuzzy c-means, without a temperature.", show_default=False)
    ] = None,
    noise_distance: Annotated[
        float | None, typer.Option(help="Rows farther than this from all centers are noise.", show_default=False)
    ] = None,
    distance: DistanceName = "sqeuclidean",
    solver: Annotated[str, typer.Option(help="auto, em, lbfgs, online or adam.")] = "auto",
    init: Annotated[str, typer.Option(help="k-means++, k-means||, random or annealing.")] = "k-means++",
    n_init: Annotated[int, typer.Option(help="Restarts, the best of which is kept.")] = 1,
    local_search: Annotated[bool, typer.Option("--local-search", help="Move centers to where they help more.")] = False,
    max_iter: MaxIter = 300,
    tol: Annotated[float, typer.Option(help="Relative improvement that still counts.")] = 1e-4,
    growing_sample: Annotated[bool, typer.Option(help="Look at samples of the rows first.")] = False,
    stability: Annotated[int, typer.Option(help="Resamples by which to say how stable clusters are.", min=0)] = 0,
    stream: Stream = None,
    checkpoint: Annotated[
        Path | None, typer.Option(help="Folder where the fit keeps what it needs to go on.", show_default=False)
    ] = None,
    checkpoint_every: Annotated[
        int | None,
        typer.Option(help="Passes between checkpoints; by default as often as takes little time.", show_default=False),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the last checkpoint.")] = False,
    device: Annotated[str | None, typer.Option(help="cpu or cuda; by default cpu.", show_default=False)] = None,
    timeout: Annotated[float, typer.Option(help="Seconds that processes of torchrun wait for each other.")] = 300.0,
    seed: Seed = 0,
) -> None:
    """Cluster the rows of a file, a folder of files, or files of a pattern; with torchrun, by several processes."""
    check_outputs(file, [(out, MODELS), (assignments, TABLES), (picture, PICTURES)])
    if checkpoint is None and checkpoint_every is not None:
        raise InputError("--checkpoint-every came without --checkpoint: say where the fit keeps its checkpoints")
    settings: dict[str, Any] = {
        "solver": solver,
        "init": init,
        "n_init": n_init,
        "max_iter": max_iter,
        "tol": tol,
        "distance": distance,
        "noise_distance": noise_distance,
        "growing_sample": growing_sample,
        "random_state": seed,
        "verbose": int(sys.stderr.isatty() and not number()),
        "callbacks": [_ResumeTeller()],
        "checkpoint": None if checkpoint is None else sk.Checkpoint(checkpoint, every=checkpoint_every),
        "resume": resume,
    }
    estimator: sk.SoftKMeans | sk.FuzzyCMeans
    if fuzzifier is None:
        settings |= {"temperature": number_or_name(temperature), "priors": priors, "local_search": local_search}
        estimator = sk.SoftKMeans(n_clusters, **settings)
    elif (temperature, priors, local_search) == ("auto", "uniform", False):
        estimator = sk.FuzzyCMeans(n_clusters, fuzzifier=fuzzifier, **settings)
    else:
        raise InputError("--fuzzifier goes with neither --temperature, --priors nor --local-search: leave one out")
    with joined(device, timeout) as place:
        names = {"columns": split_names(columns), "weight_column": weight_column}
        needs = "--label-column" if label_column else "--stability" if stability else None
        rows = opened(file, stream, device=place, label_column=label_column, needs=needs, **names)
        model, interruption = rows.fit(estimator, scale)
    left_out = {"verbose": 0, "callbacks": None, "checkpoint": None, "resume": False, "device": None}
    estimator.set_params(**left_out)  # which are no part of a model
    if not rows.is_first:
        raise typer.Exit(exit_status() if interruption else 0)
    if interruption:
        typer.echo(f"interrupted: {interruption}", err=True)
    found = _stability(model, rows.table, stability, seed) if stability and not interruption else None
    rows.report()
    sk.selection.summary.print_centers(model, found)
    sk.selection.summary.print_figures(sk.selection.summary.figures(model) | _agreement(rows, model))
    if not interruption:  # which says enough
        warn_of(estimator, found)
    write_and_say(
        {
            out: lambda path: sk.save(model, path),
            assignments: lambda path: rows.write(model, path),
            picture: picture_of(lambda: rows.draw(model)),
        }
    )
    if interruption:
        raise typer.Exit(exit_status())


def _agreement(rows: Rows, model: Any) -> dict[str, str]:
    """How well clusters agree with known classes, if there are some."""
    known = None if rows.table is None else rows.table.labels
    return {} if known is None else sk.selection.summary.agreement(known, model.predict(rows.table.frame()))


def _stability(model: Any, table: Any, n_resamples: int, seed: int) -> Any:
    """Fit resamples of the rows, as the model's last step sees them."""
    scaler, estimator = sk.estimators.parts(model)
    rows = table.frame() if scaler is None else scaler.transform(table.frame())
    with progress(n_resamples, "resamples", "fit") as bar:
        return sk.stability(
            estimator,
            rows,
            n_resamples=n_resamples,
            sample_weight=table.weights,
            random_state=seed,
            on_fit=lambda _: bar.update(),
        )
