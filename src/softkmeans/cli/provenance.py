"""Record how a model was made: the command, the versions, the data, and what sets its clusters apart."""

from __future__ import annotations

__all__ = ["hash_data", "record_provenance", "strongest_features"]

import shlex
import sys
from pathlib import Path
from typing import Any

import softkmeans as sk


def record_provenance(model: Any, data: Path, rows: Any, sample_weight: Any = None) -> None:
    """Keep in a fitted model how it was made; `save` writes it to the file."""
    from ..estimators.assigned_rows import AssignedRows  # imported here to keep --help fast
    from ..estimators.provenance import Provenance, installed_versions
    from ..selection.description import Description, strongest

    assigned = AssignedRows(model, rows, sample_weight)
    sk.estimators.split_pipeline(model)[1]._provenance = Provenance(
        command=shlex.join(["softkmeans", *sys.argv[1:]])[:20_000],
        versions=installed_versions(),
        data=data.name,
        data_hash=hash_data(data),
        n_rows=assigned.n_rows,
        strongest=strongest(Description.of(assigned)),
    )


def hash_data(data: Path) -> str:
    """Return the SHA-256 of a file, or of the files of a folder or pattern."""
    from ..data.files.paths import find_files  # imported here to keep --help fast
    from ..estimators.provenance import hash_files

    return hash_files([data] if data.is_file() else [file.path for file in find_files(data) or ()])


def strongest_features(model: Any) -> dict[str, str]:
    """Return the features that set each cluster most apart, as names and texts; nothing if they are not recorded."""
    from ..estimators.provenance import provenance_of  # imported here to keep --help fast

    features = provenance_of(model).strongest
    if len(features) < 2:
        return {}
    return {
        f"cluster {k}": ", ".join(_describe(feature) for feature in strongest) or "no feature differs from the rest"
        for k, strongest in enumerate(features)
    }


def _describe(feature: dict[str, Any]) -> str:
    """Return a feature with its mean, the mean of the rest, and the effect size."""
    name, mean, rest = feature["feature"], feature["mean"], feature["rest_mean"]
    return f"{name} {mean:.4g} (rest {rest:.4g}, d {feature['effect_size']:+.1f})"
