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

from ..errors import InputError, Message, Setting
from ..registries import CRITERIA
from ..settings import Settings
from .column_warnings import warn_of_columns
from .messages import print_warnings
from .options import (
    Data,
    Out,
    Scale,
    Seed,
    number_or_name,
    output_option,
)
from .outputs import MODELS, PICTURES, TABLES, check_outputs, figure_writer, write_and_report
from .progress import progress
from .provenance import record_provenance
from .row_checks import check_rows, report_rows, standardize
from .row_options import RowOptions, with_row_options


@with_row_options
def select(
    context: typer.Context,
    file: Data,
    row_options: RowOptions,
    k_range: Annotated[str, typer.Option(help="Numbers of clusters to try, for example 1-10 or 2,3,5.")] = "1-10",
    grow: Annotated[
        bool,
        typer.Option("--grow", help="Try larger numbers as long as the largest one is chosen, up to four times it."),
    ] = False,
    criterion: str = "bic",
    cv: Annotated[int, typer.Option(help="Number of cross-validation folds; 0 skips cross-validation.", min=0)] = 5,
    path: Annotated[
        bool, typer.Option("--path/--no-path", help="Compute the annealing path, which gives the lifetimes.")
    ] = True,
    out: Out = None,
    table: Annotated[Path | None, output_option("Write all scores to this file", TABLES)] = None,
    picture: Annotated[Path | None, output_option("Plot the criteria to this file", PICTURES)] = None,
    weights: Annotated[
        str,
        typer.Option(help="Meaning of the weights: relative (a common factor changes nothing) or counts of rows."),
    ] = "relative",
    scale: Scale = "none",
    temperature: str = Settings.temperature,
    priors: str = Settings.priors,
    distance: str = Settings.distance,
    seed: Seed = 0,
) -> None:
    """Fit models with different numbers of clusters, and choose one by a criterion."""
    check_outputs(file, [(out, MODELS), (table, TABLES), (picture, PICTURES)])
    ranges = _parse_ranges(k_range)
    data = sk.data.read_table(file, **row_options.for_rows(file))
    last = ranges[-1][-1]
    check_rows(data.x, last, Message(Setting("k_range"), f" up to {last}"))
    scaler, rows = standardize(data, scale)
    settings: dict[str, Any] = {"temperature": number_or_name(temperature), "priors": priors, "distance": distance}
    ks = [k for part in ranges for k in part]
    with progress(len(ks), "numbers of clusters", "fit") as bar:
        selection = sk.select_n_clusters(
            rows,
            ks,
            grow=grow,
            estimator=sk.SoftKMeans(local_search=True, **settings),
            criterion=criterion,
            cv=cv,
            path=path,
            sample_weight=data.weights,
            weights=weights,
            random_state=seed,
            on_fit=_bar_updater(bar, ks[-1]),
        )

    model = sk.estimators.with_preprocessing(selection.model, scaler)
    record_provenance(model, file, data.frame(), data.weights)

    def print_results() -> None:
        report_rows(data)
        warn_of_columns(data.x, data.columns, scale)
        sk.selection.summary.print_columns(_score_table(selection))
        agreement = _agreement(data.labels, selection.model.predict(rows))
        sk.selection.summary.print_figures(_summary(selection) | agreement)
        print_warnings(context, selection.model)

    write_and_report(
        {
            out: lambda path: sk.save(model, path),
            table: lambda path: sk.data.write_table(path, selection.scores),
            picture: figure_writer(lambda: sk.plots.SelectionDisplay.from_selection(selection)),
        },
        print_results,
    )


def _parse_ranges(text: str) -> list[Sequence[int]]:
    """Return the numbers and ranges in a comma-separated list; ranges may be huge, so don't expand them."""
    ends = [re.fullmatch(r" *(\d+) *(?:- *(\d+) *)?", part) for part in text.split(",")]
    ranges = [range(int(end[1]), int(end[2] or end[1]) + 1) for end in ends if end]
    is_increasing = all(ranges) and all(a[-1] < b[0] for a, b in pairwise(ranges))
    if len(ranges) < len(ends) or not is_increasing or ranges[0][0] < 1:
        expected = "increasing numbers of clusters from 1 on, for example 1-10 or 2,3,5"
        raise InputError(parameter="k_range", value=text, expected=expected)
    return list(ranges)


def _agreement(known: Any, found: Any) -> dict[str, str]:
    """Return how well the clusters agree with the known classes; nothing if there are none."""
    return {} if known is None else sk.selection.summary.agreement(known, found)


def _bar_updater(bar: Any, last: int) -> Callable[[int], None]:
    """Return a callback that advances a bar, and shows after the last fit that the criteria are computed."""

    def update(k: int) -> None:
        bar.update()
        if k == last:
            bar.bar_format = "{desc} [{elapsed}]"  # how long this takes is not known
            bar.set_description_str("computing the criteria")

    return update


def _score_table(selection: Any) -> list[tuple[str, list[str]]]:
    """Return the columns of the printed table: the scores, with the choice of each criterion marked by ``*``."""
    scores, ks = selection.scores, selection.scores["n_clusters"]
    columns = [("k", [str(k) for k in ks])]
    for name, criterion in CRITERIA.items():
        if name in scores:
            values, choice = _formatted(scores[name], criterion.number_format), selection.choices.get(name)
            columns.append((criterion.header, [f"*{v}" if k == choice else v for k, v in zip(ks, values, strict=True)]))
        if f"{name}_se" in scores:
            columns.append(("± s.e.", _formatted(scores[f"{name}_se"], criterion.number_format)))
    return columns


def _formatted(values: Any, number_format: str) -> list[str]:
    """Return numbers as text; an empty text where they are not defined."""
    return [f"{value:{number_format}}" if np.isfinite(value) else "" for value in values]


def _summary(selection: Any) -> dict[str, str]:
    """Return names and values: the choice, the choices of all criteria, the confidence, and the covariance."""
    choices = ", ".join(f"{CRITERIA[name].header} {k}" for name, k in selection.choices.items())
    advice = "; consider --temperature calibrated" if selection.suggests_calibrated else ""
    by = CRITERIA[selection.criterion].header
    has_errors = any(f"{name}_se" in selection.scores for name in CRITERIA)
    return {
        "chosen": f"k = {selection.n_clusters}, by {by}"
        + (", the end of the range: no answer" if selection.at_end else ""),
        "by criterion": f"{choices} (*)",
        **(
            {"standard error": "(± s.e.) of the difference between a value, in the column to its left, and the best"}
            if has_errors
            else {}
        ),
        "confidence": "none: larger numbers may be better"
        if selection.at_end
        else f"{100 * selection.confidence:.0f} % (by resampled rows, and by simulated data with fewer clusters)",
        "covariance": f"{sk.selection.COVARIANCE_TYPES[selection.covariance_type].description}{advice}",
    }
