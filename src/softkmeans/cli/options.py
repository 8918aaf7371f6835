"""Options that several commands have, and their texts taken apart."""

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

Data = Annotated[Path, typer.Argument(metavar="FILE", help="Rows: CSV, TSV, Parquet, NPY or NPZ.", show_default=False)]
DataFiles = Annotated[
    Path,
    typer.Argument(
        metavar="FILE",
        help="Rows: CSV, TSV, Parquet, NPY or NPZ; a folder of such files, or a pattern of their names in quotes.",
        show_default=False,
    ),
]
Stream = Annotated[
    bool | None,
    typer.Option(
        "--stream/--no-stream",
        help="Read the rows in blocks at every pass, as is done with files of 1 GiB or more, or several of them.",
        show_default=False,
    ),
]
ModelFile = Annotated[
    Path, typer.Argument(metavar="MODEL", help="A model that fit, select or demo wrote.", show_default=False)
]
Out = Annotated[Path | None, typer.Option(help="Write the model here (.safetensors).", show_default=False)]
Columns = Annotated[
    str | None, typer.Option(help="Columns to use, as a,b,c; by default all numeric ones.", show_default=False)
]
WeightColumn = Annotated[str | None, typer.Option(help="Weights of the rows.", show_default=False)]
Scale = Annotated[str, typer.Option(help="standard (mean 0, variance 1) or none.")]
Clusters = Annotated[int, typer.Option("--n-clusters", "-k", help="Number of clusters.")]
Temperature = Annotated[
    str,
    typer.Option(help="A number above 0, auto, per-cluster, calibrated, perplexity:NUMBER or critical:NUMBER."),
]
Priors = Annotated[str, typer.Option(help="uniform or learned.")]
DistanceName = Annotated[str, typer.Option(help="sqeuclidean, euclidean or cosine.")]
Seed = Annotated[int, typer.Option(help="Seed of all random numbers.", min=0, max=2**32 - 1)]
MaxIter = Annotated[int, typer.Option(help="Passes over the data, at most.")]


def split_names(text: str | None) -> list[str] | None:
    """Take a list of names apart."""
    return None if text is None else [name.strip() for name in text.split(",")]


def number_or_name(text: str) -> float | str:
    """Give a number, if it is one."""
    try:
        return float(text)
    except ValueError:
        return text
