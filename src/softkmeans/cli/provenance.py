"""Record how a model was made: the command, the versions, the data, and what sets its clusters apart."""

from __future__ import annotations

__all__ = ["hash_data", "print_strongest", "record_provenance"]

import shlex
import sys
from pathlib import Path
from typing import Any

import typer

import softkmeans as sk

MAX_DESCRIBED = 24  # clusters whose features are printed


def record_provenance(model: Any, data: Path, rows: Any, sample_weight: Any = None) -> Any:
    """Keep in a fitted model how it was made, which `save` writes to the file; return its `Softness`."""
    from ..estimators.assigned_rows import AssignedRows  # imported here to keep --help fast
    from ..estimators.provenance import Provenance, installed_versions
    from ..selection.description import Description, strongest
    from ..selection.softness import Softness

    softness = Softness()
    assigned = AssignedRows(model, rows, sample_weight)
    sk.estimators.split_pipeline(model)[1]._provenance = Provenance(
        command=shlex.join(["softkmeans", *sys.argv[1:]])[:20_000],
        versions=installed_versions(),
        data=data.name,
        data_hash=hash_data(data),
        n_rows=assigned.n_rows,
        strongest=strongest(Description.of(assigned, softness.add)),
    )
    return softness


def hash_data(data: Path) -> str:
    """Return the SHA-256 of a file, or of the files of a folder or pattern."""
    from ..data.files.paths import find_files  # imported here to keep --help fast
    from ..estimators.provenance import hash_files

    return hash_files([data] if data.is_file() else [file.path for file in find_files(data) or ()])


def print_strongest(model: Any) -> None:
    """Print the features that set each cluster most apart; nothing if they are not recorded."""
    from ..estimators.provenance import provenance_of  # imported here to keep --help fast

    features = provenance_of(model).strongest
    if len(features) < 2:
        return
    names = list(dict.fromkeys(entry["feature"] for strongest in features for entry in strongest))
    short = dict(zip(names, sk.selection.summary.short_names(names), strict=True))
    rows = {f"cluster {k}": _describe(strongest, short) for k, strongest in enumerate(features[:MAX_DESCRIBED])}
    if len(features) > MAX_DESCRIBED:
        rows["..."] = f"and {len(features) - MAX_DESCRIBED} more clusters; `softkmeans report` shows all"
    typer.echo("what sets the clusters apart: mean of the cluster (and of the other rows)")
    sk.selection.summary.print_figures(rows)


def _describe(strongest: list[dict[str, Any]], short: dict[str, str]) -> str:
    """Return features by their short names, with their mean in a cluster and in the other rows."""
    texts = [f"{short[entry['feature']]} {entry['mean']:.4g} ({entry['rest_mean']:.4g})" for entry in strongest]
    return ", ".join(texts) or "no feature differs from the other rows"
