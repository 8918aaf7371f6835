"""The command that clusters a file."""

from __future__ import annotations

__all__ = ["fit"]

import sys
import warnings
from pathlib import Path
from typing import Annotated, Any

import typer

import softkmeans as sk

from ..errors import FitInterrupted, InputError
from .inputs import check_rows, report_rows
from .options import (
    Clusters,
    Columns,
    Data,
    DistanceName,
    MaxIter,
    Out,
    Priors,
    Scale,
    Seed,
    Temperature,
    WeightColumn,
    number_or_name,
    split_names,
)
from .outputs import (
    MODELS,
    PICTURES,
    TABLES,
    check_outputs,
    draw_clusters,
    picture_of,
    write_and_say,
    write_assignments,
)
from .progress import progress
from .wording import warn_of


def fit(
    file: Data,
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
        float | None, typer.Option(help="Rows farther than this from all centres are noise.", show_default=False)
    ] = None,
    distance: DistanceName = "sqeuclidean",
    solver: Annotated[str, typer.Option(help="auto, em, lbfgs or adam.")] = "auto",
    init: Annotated[str, typer.Option(help="k-means++, k-means||, random or annealing.")] = "k-means++",
    n_init: Annotated[int, typer.Option(help="Restarts, the best of which is kept.")] = 1,
    local_search: Annotated[bool, typer.Option("--local-search", help="Move centres to where they help more.")] = False,
    max_iter: MaxIter = 300,
    tol: Annotated[float, typer.Option(help="Relative improvement that still counts.")] = 1e-4,
    growing_sample: Annotated[bool, typer.Option(help="Look at samples of the rows first.")] = False,
    stability: Annotated[int, typer.Option(help="Resamples by which to say how stable clusters are.", min=0)] = 0,
    seed: Seed = 0,
) -> None:
    """Cluster the rows of a file."""
    check_outputs(file, [(out, MODELS), (assignments, TABLES), (picture, PICTURES)])
    names = split_names(columns)
    table = sk.data.read_table(file, columns=names, label_column=label_column, weight_column=weight_column)
    check_rows(table.x, n_clusters)
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
        "verbose": int(sys.stderr.isatty()),
    }
    estimator: sk.SoftKMeans | sk.FuzzyCMeans
    if fuzzifier is None:
        settings |= {"temperature": number_or_name(temperature), "priors": priors, "local_search": local_search}
        estimator = sk.SoftKMeans(n_clusters, **settings)
    elif (temperature, priors, local_search) == ("auto", "uniform", False):
        estimator = sk.FuzzyCMeans(n_clusters, fuzzifier=fuzzifier, **settings)
    else:
        raise InputError("--fuzzifier goes with neither --temperature, --priors nor --local-search: leave one out")
    model = sk.scaling.with_scaling(estimator, scale)
    interrupted = not _fit(model, table)
    found = None if interrupted or not stability else _stability(model, table, stability, seed)
    report_rows(table)
    sk.summary.print_centers(model, found)
    known = {} if table.labels is None else sk.summary.agreement(table.labels, model.predict(table.frame()))
    sk.summary.print_figures(sk.summary.figures(model) | known)
    if not interrupted:  # which says enough
        warn_of(estimator, found)
    write_and_say(
        {
            out: lambda path: sk.save(model, path),
            assignments: lambda path: write_assignments(path, model, table.frame()),
            picture: picture_of(lambda: draw_clusters(model, table)),
        }
    )
    if interrupted:
        raise typer.Exit(130)


def _fit(model: Any, table: Any) -> bool:
    """Fit, and tell whether the fit came to its end; interrupted, the model has the best centres so far."""
    weights = {}
    if table.weights is not None:
        step = "" if isinstance(model, sk.SoftKMeans | sk.FuzzyCMeans) else f"{model.steps[-1][0]}__"
        weights = {f"{step}sample_weight": table.weights}
        if step:
            weights["standardscaler__sample_weight"] = table.weights
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "the fit did not converge")  # which is among the doubts
            model.fit(table.frame(), **weights)
    except FitInterrupted as interrupted:
        typer.echo(f"interrupted: {interrupted}", err=True)
        return False
    finally:
        sk.scaling.parts(model)[1].set_params(verbose=0)  # whether someone looked on is no part of a model
    return True


def _stability(model: Any, table: Any, n_resamples: int, seed: int) -> Any:
    """Fit resamples of the rows, as the model's last step sees them."""
    scaler, estimator = sk.scaling.parts(model)
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
