"""Writing of labels and memberships to a file, block by block."""

from __future__ import annotations

__all__ = ["write_assignments"]

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from numpy.typing import ArrayLike
from sklearn.pipeline import Pipeline
from torch import Tensor

from ..data.files.carried import CarriedColumns
from ..data.files.scan import Scan
from ..data.files.writing import table_writer
from ..data.frames import as_frame
from ..data.source import BlockSource, Source
from ..errors import FileError
from ..estimators.pipeline import Model, received_rows, split_pipeline
from ..estimators.preprocessing import preprocess_source


def write_assignments(
    model: Model,
    X: ArrayLike | Tensor | Source,
    target: str | os.PathLike[str] | BinaryIO,
    *,
    carried: Any = None,
) -> None:
    """Write the label of each row and its membership in every cluster, as columns ``label``, ``p0``, ``p1`` and so on.

    Parameters
    ----------
    model : SoftKMeans, FuzzyCMeans or Pipeline
        A fitted model. For rows of a Source, the steps of a pipeline must be those that `softkmeans.save` takes.
    X : array-like, sparse matrix, frame, Tensor (n, d) or Source
        The rows; those of a Source are read and processed block by block.
    target : str, path-like or binary file
        A file in a format that `softkmeans.data.write_table` writes, such as CSV or Parquet. It is written completely
        or not at all. An open binary file gets CSV.

    carried : pyarrow.Table of n rows, optional
        Columns to write before these, such as names of the rows. A `scan` with ``carry`` has its own.

    Raises
    ------
    InputError
        If the rows can't be used, a carried column has the name of a result column, or the file can't be written or is
        one of the input files.

    Examples
    --------
    >>> import io
    >>> from softkmeans import SoftKMeans
    >>> model = SoftKMeans(2, temperature=1.0, random_state=0).fit([[0.0], [0.2], [5.0], [5.1], [5.2]])
    >>> file = io.BytesIO()
    >>> write_assignments(model, [[9.0], [0.1]], file)
    >>> print(file.getvalue().decode())
    "label","p0","p1"
    0,1,...
    1,...
    """
    estimator, pieces = _pieces(model, X)
    if isinstance(X, Source) and isinstance(target, str | os.PathLike):
        _check_not_input(X, Path(target))
    others = CarriedColumns(X.carried() if isinstance(X, Scan) else None if carried is None else iter([carried]))
    with table_writer(target) as write:
        for rows in pieces:
            probabilities = estimator.predict_proba(rows)
            results = {"label": estimator.predict(rows)} | {f"p{k}": p for k, p in enumerate(probabilities.T)}
            write(others.beside(results, len(probabilities)))


def _check_not_input(source: Source, target: Path) -> None:
    if target.resolve() in {path.resolve() for path in source.paths}:
        raise FileError(f"can't write {target}: it is an input file", hint="choose another name")


def _pieces(model: Model, X: Any) -> tuple[Any, Iterator[Any]]:
    """Return the estimator of a model, and an iterator of pieces of the rows, transformed as the estimator expects."""
    if not isinstance(X, Source):
        frame = as_frame(X)
        is_arrow = frame is not None and frame.implementation.is_pyarrow() and isinstance(model, Pipeline)
        return (model[-1], iter([received_rows(model, X)])) if is_arrow else (model, iter([X]))
    preprocessing, estimator = split_pipeline(model)
    rows = preprocess_source(X, preprocessing)
    if rows is not X and hasattr(estimator, "feature_names_in_"):
        rows.columns = tuple(estimator.feature_names_in_)
    width = max(rows.n_features, len(estimator.cluster_centers_))
    return estimator, (BlockSource(piece, rows) for block in rows.blocks() for piece in block.pieces(width))
