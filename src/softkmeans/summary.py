"""What the command line says of a model: small tables of text."""

from __future__ import annotations

__all__ = ["agreement", "figures", "print_centers", "print_figures"]

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from rich import box
from rich.console import Console
from rich.table import Table
from sklearn.metrics import adjusted_rand_score

from .scaling import Model, centers_in_units, feature_names, parts

FEATURES = 6  # columns of centres that fit a terminal's width


def figures(model: Model) -> dict[str, str]:
    """Name and value of what a fit found; F, E and H are sums over the rows."""
    scaler, estimator = parts(model)
    found = {"temperature": f"{estimator.temperature_:.6g}" + ("" if scaler is None else " (of standardised data)")}
    if hasattr(estimator, "free_energy_"):
        perplexity = math.exp(estimator.entropy_ / estimator.cluster_weights_.sum())
        found |= {
            "free energy F": f"{estimator.free_energy_:.6g}",
            "distortion E": f"{estimator.distortion_:.6g}",
            "entropy H": f"{estimator.entropy_:.6g} (a row is spread over {perplexity:.2f} clusters)",
            "steps": f"{estimator.n_iter_} ({'converged' if estimator.converged_ else 'not converged'})",
        }
    return found


def agreement(known: ArrayLike, found: ArrayLike) -> dict[str, str]:
    """Name and value of the adjusted Rand index (1 for the same partition, 0 for chance) between two labelings (n,)."""
    return {"adjusted Rand index": f"{adjusted_rand_score(known, found):.4f}"}


def print_figures(rows: Mapping[str, str]) -> None:
    """Print names and values, one a line."""
    table = Table(box=None, show_header=False, pad_edge=False)
    for name, value in rows.items():
        table.add_row(name, value)
    _print(table)


def print_centers(model: Model) -> None:
    """Print a line for each cluster: its number, its size Σ w r where known, and its centre's first features."""
    centers, (_, estimator) = centers_in_units(model), parts(model)
    names = feature_names(model) or [f"feature {j}" for j in range(centers.shape[1])]
    sizes = getattr(estimator, "cluster_weights_", None)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in ("cluster", *(() if sizes is None else ("size",)), *names[:FEATURES]):
        table.add_column(column, justify="right", overflow="fold")
    for number, center in enumerate(centers.astype(np.float64)):
        size = () if sizes is None else (f"{sizes[number]:.1f}",)
        table.add_row(str(number), *size, *(f"{value:.4g}" for value in center[:FEATURES]))
    _print(table)
    if len(names) > FEATURES:
        _print(f"and {len(names) - FEATURES} more features")


def _print(what: Any) -> None:
    Console(highlight=False, markup=False, soft_wrap=True).print(what)
