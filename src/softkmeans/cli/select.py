"""The command that says how many clusters there are."""

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
from .inputs import check_rows, report_rows, standardized
from .messages import warn_of
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
from .outputs import MODELS, PICTURES, TABLES, check_outputs, picture_of, write_and_say
from .progress import progress

# A score: what it is called, and how it is written; others are in the file only. Differences of 2 in BIC are worth
# mentioning, hence one digit.
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
    "spherical": "clusters are round",
    "diag": "clusters are stretched along the features",
    "tied": "clusters are stretched in any direction",
}


def select(
    file: Data,
    k_range: Annotated[str, typer.Option(help="Numbers of clusters to try, as 1-10 or 2,3,5.")] = "1-10",
    criterion: Annotated[
        str,
        typer.Option(
            help="What chooses: bic, icl, held_out, fuzzy_silhouette, xie_beni, partition_coefficient or lifetime."
        ),
    ] = "bic",
    cv: Annotated[int, typer.Option(help="Folds of the cross-validation; 0 leaves it out.", min=0)] = 5,
    path: Annotated[bool, typer.Option("--path/--no-path", help="Follow the annealing path for lifetimes.")] = True,
    out: Out = None,
    table: Annotated[
        Path | None, typer.Option(help="Write all scores here (CSV, TSV or Parquet).", show_default=False)
    ] = None,
    picture: Annotated[
        Path | None, typer.Option(help="Draw the criteria here (PNG, PDF, SVG or JPG).", show_default=False)
    ] = None,
    columns: Columns = None,
    weight_column: WeightColumn = None,
    scale: Scale = "none",
    temperature: Temperature = "auto",
    priors: Priors = "uniform",
    distance: DistanceName = "sqeuclidean",
    seed: Seed = 0,
) -> None:
    """Fit several numbers of clusters, and choose among them."""
    check_outputs(file, [(out, MODELS), (table, TABLES), (picture, PICTURES)])
    ranges = _ranges(k_range)
    read = sk.data.read_table(file, columns=split_names(columns), weight_column=weight_column)
    check_rows(read.x, ranges[-1][-1], "the last of --k-range,")
    scaler, rows = standardized(read, scale)
    settings: dict[str, Any] = {"temperature": number_or_name(temperature), "priors": priors, "distance": distance}
    ks = [k for part in ranges for k in part]
    with progress(len(ks), "numbers of clusters", "fit") as bar:
        found = sk.select_n_clusters(
            rows,
            ks,
            estimator=sk.SoftKMeans(local_search=True, **settings),
            criterion=criterion,
            cv=cv,
            path=path,
            sample_weight=read.weights,
            random_state=seed,
            on_fit=_teller(bar, ks[-1]),
        )
    report_rows(read)
    sk.selection.summary.print_columns(_columns(found))
    sk.selection.summary.print_figures(_findings(found, temperature))
    warn_of(found.model)
    write_and_say(
        {
            out: lambda path: sk.save(_joined(scaler, found.model), path),
            table: lambda path: sk.data.write_table(path, found.scores),
            picture: picture_of(lambda: sk.plots.SelectionDisplay.from_selection(found)),
        }
    )


def _ranges(text: str) -> list[Sequence[int]]:
    """Take numbers and ranges of them apart, without writing out ranges that may be endless."""
    ends = [re.fullmatch(r" *(\d+) *(?:- *(\d+) *)?", part) for part in text.split(",")]
    ranges = [range(int(end[1]), int(end[2] or end[1]) + 1) for end in ends if end]
    rising = all(ranges) and all(a[-1] < b[0] for a, b in pairwise(ranges))
    if len(ranges) < len(ends) or not rising or ranges[0][0] < 1:
        raise InputError(f"--k-range {text!r}: give numbers of clusters that rise from 1 or more, as 1-10 or 2,3,5")
    return list(ranges)


def _teller(bar: Any, last: int) -> Callable[[int], None]:
    """Advance a bar, and say what takes time after the last fit."""

    def tell(k: int) -> None:
        bar.update()
        if k == last:
            bar.set_description("criteria")

    return tell


def _joined(scaler: Any, model: Any) -> Any:
    if scaler is None:
        return model
    from sklearn.pipeline import make_pipeline  # here, so that --help answers at once

    return make_pipeline(scaler, model)


def _columns(found: Any) -> dict[str, list[str]]:
    """Write the scores out, each criterion's choice marked."""
    scores, ks = found.scores, found.scores["n_clusters"]
    columns = {"k": [str(k) for k in ks]}
    for name, (title, digits) in SCORES.items():
        if name in scores:
            values = [f"{value:{digits}}" if np.isfinite(value) else "" for value in scores[name]]
            chosen = [k == found.choices.get(name) for k in ks]
            columns[title] = [f"*{v}" if is_chosen else v for v, is_chosen in zip(values, chosen, strict=True)]
    return columns


def _findings(found: Any, temperature: str) -> dict[str, str]:
    """Say what was chosen, what others would choose, and how sure that is."""
    others = ", ".join(f"{SCORES[name][0]} {k}" for name, k in found.choices.items())
    by, share = SCORES[found.criterion][0], f"{100 * found.confidence:.0f} %"
    stretched = found.shape != "spherical" and temperature != "calibrated"
    return {
        "chosen": f"k = {found.n_clusters}, by {by}",
        "by criterion": f"{others} (*)",
        "confidence": f"BIC names {found.n_clusters} in {share} of resamples",
        "shape": SHAPES[found.shape] + ("; --temperature calibrated is for that" if stretched else ""),
    }
