"""The numbers of a report, as a plain dict: what the page shows and computes with."""

from __future__ import annotations

__all__ = ["MAX_EM_NUMBERS", "Extras", "collect"]

import math
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..data.convert import as_source
from ..distances import as_distance
from ..errors import InputError
from ..estimators.assigned_rows import AssignedRows
from ..estimators.data_units import centers_in_data_units, describe_scaling, transformed_names, units
from ..estimators.pipeline import Model, split_pipeline
from ..estimators.provenance import installed_versions, provenance_of
from ..selection.description import Description, strongest
from ..selection.diagnostics import diagnose
from ..selection.softness import SURE
from ..selection.summary import figures, fit_figures
from .encoding import encode, encode_columns
from .formula import critical_temperatures, formula, principal_axes, slider
from .overview import N_BINS, Overview, ShownRows, n_shown_rows, overview_of, shown_rows
from .structure import path_content, selection_content
from .training import training_curves

Array = NDArray[np.float64]

MAX_EM_NUMBERS = 1_200_000  # rows times features on which the page runs EM
MAX_CLUSTERS = 200
N_PROBED = 1000  # rows from which the size of the page is estimated
MAX_TEXT = 10_000  # characters of a text of the data


class Extras(NamedTuple):
    """Optional content of a report, in addition to the model and its rows.

    Attributes
    ----------
    title : str
        Title of the page.
    labels, ids : sequence of n or None
        Known classes and names of the rows, of rows in memory.
    label_name : str
        Name of the labels, such as that of their column.
    data : str
        Name of the data's file.
    data_hash : str
        SHA-256 of the data's file.
    with_path, with_selection : bool
        Whether to add the annealing path, and the criteria of the number of clusters.
    max_rows : int or None
        Maximum number of rows that the page shows.
    """

    title: str = ""
    labels: Any = None
    ids: Any = None
    label_name: str = "label"
    data: str = ""
    data_hash: str = ""
    with_path: bool = False
    with_selection: bool = False
    max_rows: int | None = None


def collect(model: Model, X: Any, sample_weight: Any = None, extras: Extras | None = None) -> dict[str, Any]:
    """Return the content of a report.

    Parameters
    ----------
    model : SoftKMeans, FuzzyCMeans or Pipeline
        A fitted model.
    X : array-like, sparse matrix, frame, Tensor (n, d), Dask array or frame, or Source
        The rows. Those that are not in memory are read three times.
    sample_weight : array-like (n,), optional
        Weights of the rows.
    extras : Extras, optional
        Title, labels and optional parts.

    Raises
    ------
    InputError
        If the rows do not have the columns of the model, or a page does not support its number of clusters or its
        assignment rule.

    Examples
    --------
    >>> from softkmeans import SoftKMeans
    >>> X = [[0.0], [0.2], [5.0], [5.1], [5.2]]
    >>> content = collect(SoftKMeans(2, temperature=0.1, random_state=0).fit(X), X)
    >>> content["n_rows"], content["formula"]["rule"], content["slider"]["fitted"]
    (5, 'softmax', 0.1)
    """
    extras = Extras() if extras is None else extras
    preprocessing, estimator = split_pipeline(model)
    rows = AssignedRows(model, X, sample_weight)
    k = rows.n_clusters
    if k > MAX_CLUSTERS:
        problem = f"has {k} clusters"
        raise InputError(problem, parameter="model", expected=f"at most {MAX_CLUSTERS}", hint="fit fewer clusters")
    distance = as_distance(estimator.distance)
    overview = overview_of(rows, metric_power=2 if distance.is_squared else 1)
    first = next(rows.blocks())
    is_stored = _affine(first.values[:N_PROBED], first.received[:N_PROBED]) is None
    bytes_per_row = 2 * len(rows.names) + 2 * first.received.shape[1] * is_stored + 4 * k + 8
    shown = shown_rows(rows, overview, n_shown_rows(overview.n_rows, bytes_per_row, extras.max_rows))
    critical = critical_temperatures(shown, distance.is_squared)
    weights = np.asarray(vars(estimator).get("cluster_weights_", overview.cluster_weights), dtype=np.float64)
    range_of_slider = slider(rows.clustering, weights, critical)
    description = Description.of(rows)
    names, centers = centers_in_data_units(model)
    for_selection = rows.received_source if rows.in_memory else as_source(shown.received)
    mean, directions, fractions = principal_axes(shown.received, shown.weights)
    return {
        "title": _text(extras.title) or "Clusters",
        "n_rows": overview.n_rows,
        "weight": overview.weight,
        "n_clusters": k,
        "is_sample": len(shown.index) < overview.n_rows,
        "features": {"names": [_text(name) for name in rows.names], "values": encode_columns(shown.values)},
        "rows": _rows(shown, overview, extras, rows.clustering.scaling.unit),
        "received": _received(shown, rows) | {"names": [_text(name) for name in transformed_names(model)]},
        "units": units(preprocessing),
        "distance": {"name": distance.name, "is_squared": distance.is_squared, "offset_free": distance.translates},
        "formula": formula(rows.clustering, np.array(range_of_slider["values"]), weights),
        "slider": range_of_slider,
        "centers": np.asarray(estimator.cluster_centers_, dtype=np.float64).tolist(),
        "centers_in_data_units": {"names": [_text(name) for name in names], "values": centers.tolist()},
        "axes": {"mean": mean.tolist(), "directions": directions.tolist(), "fractions": fractions.tolist()},
        "max_em_numbers": MAX_EM_NUMBERS,
        "overview": _overview(overview),
        "description": _description(description),
        "strongest": strongest(description),
        "figures": figures(model) | fit_figures(model),
        "warnings": [str(message) for message in diagnose(estimator)],
        "training": training_curves(estimator),
        "made": _made(model, extras),
        "path": path_content(rows.received_source, estimator, distance) if extras.with_path else None,
        "selection": selection_content(for_selection, sample_weight) if extras.with_selection else None,
        "scaling": describe_scaling(model),
    }


def _rows(shown: ShownRows, overview: Overview, extras: Extras, unit: float) -> dict[str, Any]:
    """Return what the page knows of each row: its index, distances, weight, class and name."""
    distances = shown.distances / unit
    nearest = distances.min(1)
    excess = distances - nearest[:, None]
    n = len(shown.index)
    is_all = n == overview.n_rows
    return {
        "n": n,
        "index": None if is_all else encode(shown.index, "uint32"),
        "nearest": encode(nearest),
        "excess": encode(excess),
        "weights": None if (shown.weights == 1).all() else encode(shown.weights),
        "labels": _labels(extras, shown, overview.n_rows),
        "ids": None if extras.ids is None else [_text(str(extras.ids[i])) for i in shown.index],
    }


def _labels(extras: Extras, shown: ShownRows, n_rows: int) -> dict[str, Any] | None:
    labels = extras.labels
    if labels is None:
        return None
    if len(labels) != n_rows:
        problem = f"has {len(labels)} values"
        raise InputError(problem, parameter="labels", expected=f"one for each of the {n_rows} rows")
    names, codes = np.unique(np.asarray(labels).astype(str)[shown.index], return_inverse=True)
    texts = [_text(name) for name in names.tolist()]
    return {"name": _text(extras.label_name), "names": texts, "codes": encode(codes, "uint16")}


def _received(shown: ShownRows, rows: AssignedRows) -> dict[str, Any]:
    """Return how the page finds the rows that the estimator receives: from the features, or stored."""
    slope = _affine(shown.values, shown.received)
    if slope is not None:
        return {"slope": slope[0].tolist(), "offset": slope[1].tolist(), "values": None}
    return {"slope": None, "offset": None, "values": encode_columns(shown.received)}


def _affine(values: Array, received: Array) -> tuple[Array, Array] | None:
    """Return slopes and offsets (d,) if each column received is its value times a slope plus an offset; else None."""
    if values.shape != received.shape or not np.isfinite(values).all():
        return None
    low, high = values.argmin(0), values.argmax(0)
    columns = np.arange(values.shape[1])
    span = values[high, columns] - values[low, columns]
    slope = np.where(span > 0, (received[high, columns] - received[low, columns]) / np.where(span > 0, span, 1.0), 0.0)
    offset = received[low, columns] - slope * values[low, columns]
    error = np.abs(values * slope + offset - received).max(0)
    size = np.abs(received).max(0) + np.abs(offset)
    return (slope, offset) if bool((error <= 1e-7 * np.maximum(size, 1e-300)).all()) else None


def _overview(overview: Overview) -> dict[str, Any]:
    weight = overview.weight or 1.0
    return {
        "sizes": overview.cluster_weights.tolist(),
        "noise": max(0.0, float(weight - overview.cluster_weights.sum())),
        "rows": overview.cluster_rows.tolist(),
        "certainty": overview.certainty.tolist(),
        "silhouette": overview.silhouette.tolist(),
        "perplexity": math.exp(overview.entropy / weight),
        "distortion": overview.distortion,
        "entropy": overview.entropy,
        "sure": float(overview.certainty[round(SURE * N_BINS) :].sum() / weight),
        "ambiguous": overview.ambiguous.tolist(),
    }


def _description(description: Description) -> dict[str, Any]:
    parts = ("mean", "spread", "rest_mean", "rest_spread", "effect_size")
    return {part: encode(getattr(description, part)) for part in parts}


def _made(model: Model, extras: Extras) -> dict[str, Any]:
    """Return how model and report were made; the page says where it is not recorded."""
    made, estimator = provenance_of(model), split_pipeline(model)[1]
    parameters = {name: _text(str(value)) for name, value in estimator.get_params().items() if value is not None}
    hidden = ("callbacks", "checkpoint", "resume", "verbose", "device")
    return {
        "command": _text(made.command),
        "versions": made.versions,
        "data": _text(made.data),
        "data_hash": made.data_hash,
        "n_rows": made.n_rows,
        "report_data": _text(Path(extras.data).name),
        "report_hash": extras.data_hash,
        "report_versions": installed_versions(),
        "kind": type(estimator).__name__,
        "parameters": {name: value for name, value in parameters.items() if name not in hidden},
    }


def _text(text: str) -> str:
    return text if len(text) <= MAX_TEXT else text[:MAX_TEXT] + "…"
