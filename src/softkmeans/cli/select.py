"""The `select` command: choose the number of clusters."""

from __future__ import annotations

__all__ = ["select"]

import re
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

import softkmeans as sk

from ..errors import InputError
from .messages import print_warnings
from .options import (
    Columns,
    Data,
    DistanceName,
    Out,
    Priors,
    Scale,
    Seed,
    Temperature,
    WeightColumn,
    number_or_name,
    split_names,
)
from .outputs import MODELS, PICTURES, TABLES, check_outputs, figure_writer, write_and_report
from .progress import progress
from .row_checks import check_rows, report_rows, standardize

# The scores that are printed, with column header and number format; --table also has the others. BIC has one digit,
# as differences of 2 matter.
SCORES = {
    "bic": ("BIC", ".1f"),
    "icl": ("ICL", ".1f"),
    "held_out": ("held out", ".4f"),
    "held_out_se": ("± s.e.", ".4f"),
    "fuzzy_silhouette": ("silhouette", ".3f"),
    "xie_beni": ("Xie-Beni", ".3g"),
    "partition_coefficient": ("partition", ".3f"),
    "lifetime": ("lifetime", ".2f"),
}
SHAPES = {
    "spherical": "clusters are spherical",
    "diag": "clusters are elongated along the features",
    "tied": "clusters are elongated, all in the same directions",
}


def select(
    file: Data,
    k_range: Annotated[str, typer.Option(help="Numbers of clusters to try, for example 1-10 or 2,3,5.")] = "1-10",
    criterion: Annotated[
        str,
        typer.Option(
            help="Criterion: bic, icl, held_out, fuzzy_silhouette, xie_beni, partition_coefficient or lifetime."
        ),
    ] = "bic",
    cv: Annotated[int, typer.Option(help="Number of cross-validation folds; 0 skips cross-validation.", min=0)] = 5,
    path: Annotated[
        bool, typer.Option("--path/--no-path", help="Compute the annealing path, which gives the lifetimes.")
    ] = True,
    out: Out = None,
    table: Annotated[
        Path | None, typer.Option(help="Write all scores to this file (CSV, TSV or Parquet).", show_default=False)
    ] = None,
    picture: Annotated[
        Path | None, typer.Option(help="Plot the criteria to this file (PNG, PDF, SVG or JPG).", show_default=False)
    ] = None,
    columns: Columns = None,
    weight_column: WeightColumn = None,
    scale: Scale = "none",
    temperature: Temperature = "auto",
    priors: Priors = "uniform",
    distance: DistanceName = "sqeuclidean",
    seed: Seed = 0,
) -> None:
    """Fit models with different numbers of clusters, and choose one by a criterion."""
    check_outputs(file, [(out, MODELS), (table, TABLES), (picture, PICTURES)])
    ranges = _parse_ranges(k_range)
    data = sk.data.read_table(file, columns=split_names(columns), weight_column=weight_column)
    check_rows(data.x, ranges[-1][-1], "--k-range up to")
    scaler, rows = standardize(data, scale)
    settings: dict[str, Any] = {"temperature": number_or_name(temperature), "priors": priors, "distance": distance}
    ks = [k for part in ranges for k in part]
    with progress(len(ks), "numbers of clusters", "fit") as bar:
        selection = sk.select_n_clusters(
            rows,
            ks,
            estimator=sk.SoftKMeans(local_search=True, **settings),
            criterion=criterion,
            cv=cv,
            path=path,
            sample_weight=data.weights,
            random_state=seed,
            on_fit=_bar_updater(bar, ks[-1]),
        )
    report_rows(data)
    sk.selection.summary.print_columns(_score_table(selection))
    sk.selection.summary.print_figures(_summary(selection, temperature))
    print_warnings(selection.model)
    write_and_report(
        {
            out: lambda path: sk.save(_pipeline(scaler, selection.model), path),
            table: lambda path: sk.data.write_table(path, selection.scores),
            picture: figure_writer(lambda: sk.plots.SelectionDisplay.from_selection(selection)),
        }
    )


def _parse_ranges(text: str) -> list[Sequence[int]]:
    """Return the numbers and ranges in a comma-separated list; ranges may be huge, so don't expand them."""
    ends = [re.fullmatch(r" *(\d+) *(?:- *(\d+) *)?", part) for part in text.split(",")]
    ranges = [range(int(end[1]), int(end[2] or end[1]) + 1) for end in ends if end]
    is_increasing = all(ranges) and all(a[-1] < b[0] for a, b in pairwise(ranges))
    if len(ranges) < len(ends) or not is_increasing or ranges[0][0] < 1:
        raise InputError(
            f"--k-range {text!r}: expected increasing numbers of clusters from 1 on, for example 1-10 or 2,3,5"
        )
    return list(ranges)


def _bar_updater(bar: Any, last: int) -> Callable[[int], None]:
    """Return a callback that advances a bar, and shows after the last fit that the criteria are computed."""

    def update(k: int) -> None:
        bar.update()
        if k == last:
            bar.set_description("criteria")

    return update


def _pipeline(scaler: Any, model: Any) -> Any:
    """Return a pipeline of scaler and model, or the model if there is no scaler."""
    if scaler is None:
        return model
    from sklearn.pipeline import make_pipeline  # imported here to keep --help fast

    return make_pipeline(scaler, model)


def _score_table(selection: Any) -> dict[str, list[str]]:
    """Return the columns of the printed table: the scores, with the choice of each criterion marked by ``*``."""
    scores, ks = selection.scores, selection.scores["n_clusters"]
    columns = {"k": [str(k) for k in ks]}
    for name, (title, digits) in SCORES.items():
        if name in scores:
            values = [f"{value:{digits}}" if np.isfinite(value) else "" for value in scores[name]]
            chosen = [k == selection.choices.get(name) for k in ks]
            columns[title] = [f"*{v}" if is_chosen else v for v, is_chosen in zip(values, chosen, strict=True)]
    return columns


def _summary(selection: Any, temperature: str) -> dict[str, str]:
    """Return names and values: the choice, the choices of all criteria, the confidence, and the clusters' shape."""
    choices = ", ".join(f"{SCORES[name][0]} {k}" for name, k in selection.choices.items())
    suggests_calibrated = selection.shape != "spherical" and temperature != "calibrated"
    return {
        "chosen": f"k = {selection.n_clusters}, by {SCORES[selection.criterion][0]}",
        "by criterion": f"{choices} (*)",
        "confidence": f"BIC chooses {selection.n_clusters} in {100 * selection.confidence:.0f} % of resamples",
        "shape": SHAPES[selection.shape] + ("; consider --temperature calibrated" if suggests_calibrated else ""),
    }
