"""Options shared by several commands, and functions that parse their values."""

from __future__ import annotations

__all__ = [
    "Clusters",
    "Columns",
    "Data",
    "DataFiles",
    "DistanceName",
    "MaxIter",
    "ModelFile",
    "Out",
    "Priors",
    "Scale",
    "Seed",
    "Stream",
    "Temperature",
    "WeightColumn",
    "number_or_name",
    "split_names",
]

from pathlib import Path
from typing import Annotated

import typer

Data = Annotated[
    Path, typer.Argument(metavar="FILE", help="Data file: CSV, TSV, Parquet, NPY or NPZ.", show_default=False)
]
DataFiles = Annotated[
    Path,
    typer.Argument(
        metavar="FILE",
        help="Data: a CSV, TSV, Parquet, NPY or NPZ file, a folder of such files, or a quoted pattern of file names.",
        show_default=False,
    ),
]
Stream = Annotated[
    bool | None,
    typer.Option(
        "--stream/--no-stream",
        help="Read the rows in blocks on every pass; the default for several files and for files of 1 GiB or more.",
        show_default=False,
    ),
]
ModelFile = Annotated[
    Path, typer.Argument(metavar="MODEL", help="Model file written by fit, select or demo.", show_default=False)
]
Out = Annotated[Path | None, typer.Option(help="Write the model to this file (.safetensors).", show_default=False)]
Columns = Annotated[
    str | None,
    typer.Option(help="Columns to use, for example a,b,c; by default all numeric columns.", show_default=False),
]
WeightColumn = Annotated[str | None, typer.Option(help="Column with the weights of the rows.", show_default=False)]
Scale = Annotated[str, typer.Option(help="Scaling of the features: standard (mean 0, variance 1) or none.")]
Clusters = Annotated[int, typer.Option("--n-clusters", "-k", help="Number of clusters.")]
Temperature = Annotated[
    str,
    typer.Option(
        help="Temperature: a number above 0, auto, per-cluster, calibrated, perplexity:NUMBER or critical:NUMBER."
    ),
]
Priors = Annotated[str, typer.Option(help="Prior probabilities of the clusters: uniform or learned.")]
DistanceName = Annotated[str, typer.Option(help="Distance between rows and centers: sqeuclidean, euclidean or cosine.")]
Seed = Annotated[int, typer.Option(help="Seed of the random numbers.", min=0, max=2**32 - 1)]
MaxIter = Annotated[int, typer.Option(help="Maximum number of passes over the data.")]


def split_names(text: str | None) -> list[str] | None:
    """Return the names in a comma-separated list, or None for None."""
    return None if text is None else [name.strip() for name in text.split(",")]


def number_or_name(text: str) -> float | str:
    """Return the text as a number if possible, otherwise unchanged."""
    try:
        return float(text)
    except ValueError:
        return text
