"""The result of a selection of the number of clusters."""

from __future__ import annotations

__all__ = ["DESCRIPTIONS", "Selection"]

import math
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import narwhals as nw
import numpy as np
from numpy.typing import NDArray

from ..errors import MissingExtraError
from ..estimators.soft_kmeans import SoftKMeans
from ..temperature import as_temperature


def _mean_temperature(model: SoftKMeans) -> float:
    """Return T, or the mean of the clusters' temperatures weighted by the cluster weights."""
    t = model.temperature_
    return float(np.average(t, weights=model.cluster_weights_) if np.ndim(t) else t)


def _perplexity(model: SoftKMeans) -> float:
    """Return the effective number of clusters of a row."""
    return math.exp(model.entropy_ / (model.cluster_weights_.sum() + model.noise_weight_))


# Columns of the scores that describe the models and select nothing.
DESCRIPTIONS: dict[str, Callable[[SoftKMeans], float]] = {
    "perplexity": _perplexity,
    "temperature": _mean_temperature,
    "inertia": lambda model: model.inertia_,
}


class Selection(NamedTuple):
    """The selected number of clusters, with the choice and the scores of each criterion.

    Attributes
    ----------
    n_clusters : int
        The selected number of clusters.
    criterion : str
        The criterion that selected it.
    choices : dict of str to int
        The number of clusters that each criterion selects.
    confidence : float
        How much BIC supports this number k, from 0 to 1: the smaller one of two fractions. The first is the fraction of
        resamples of the rows in which BIC selects k, too. The second is about data sets that are drawn from the mixture
        with the next smaller number of clusters: the fraction of them in which k clusters improve BIC by less than they
        do on the rows. Data sets of more than 5 million values are not drawn. 0 if the choice is at the end of the
        range.
    covariance_type : {"spherical", "tied_diag", "tied"}
        The covariance within clusters with the best BIC, the same for all clusters: spherical, elongated along the
        features, or elongated in any direction. If it is not "spherical", use ``temperature="calibrated"`` to avoid
        overconfident memberships.
    scores : dict of str to ndarray (m,)
        The columns of ``table``.
    models : dict of int to SoftKMeans
        The fitted model for each number of clusters.
    at_end : bool
        Whether the choice is the largest number that was tried, although the rows allow more. It is then no answer,
        because larger numbers may be better.
    warnings : tuple of str
        What speaks against the choice; `select_n_clusters` also issues these as warnings.
    """

    n_clusters: int
    criterion: str
    choices: dict[str, int]
    confidence: float
    covariance_type: str
    scores: dict[str, NDArray[Any]]
    models: dict[int, SoftKMeans]
    at_end: bool = False
    warnings: tuple[str, ...] = ()

    @property
    def table(self) -> Any:
        """The scores as a frame of pandas, Polars or PyArrow: the first of these that is installed."""
        for backend in ("pandas", "polars", "pyarrow"):
            try:
                return nw.from_dict(self.scores, backend=backend).to_native()
            except ImportError:
                continue
        raise MissingExtraError("a table", "pyarrow", "files")

    @property
    def model(self) -> SoftKMeans:
        """The model with the selected number of clusters."""
        return self.models[self.n_clusters]

    @property
    def suggests_calibrated(self) -> bool:
        """True if memberships are too confident and ``temperature="calibrated"`` would correct this."""
        is_calibrated = as_temperature(self.model.temperature) == as_temperature("calibrated")
        return self.covariance_type != "spherical" and not is_calibrated

    @property
    def shape(self) -> str:
        """Deprecated name of ``covariance_type``."""
        warnings.warn("Selection.shape is deprecated: use covariance_type", DeprecationWarning, stacklevel=2)
        return self.covariance_type

    def __repr__(self) -> str:
        end = ", at_end=True" if self.at_end else ""
        return (
            f"Selection(n_clusters={self.n_clusters}, criterion={self.criterion!r}, "
            f"confidence={self.confidence:.2f}{end})"
        )
