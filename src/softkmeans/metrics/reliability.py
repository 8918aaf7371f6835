"""Whether memberships mean what they say: of rows that are 80% of a cluster, 80% are to be of its class."""

from __future__ import annotations

__all__ = ["Reliability", "expected_calibration_error", "reliability"]

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from .._utils.checks import check_count
from ..data.block import Block, as_tensor
from ..data.convert import as_source
from ..data.frames import as_vector
from ..data.source import Source
from ..errors import InputError
from ._inputs import Table, as_memberships, check_same_rows, pieces, with_noise


class Reliability(NamedTuple):
    """How often rows are of the cluster they are said to be of: a reliability diagram, and what it comes to.

    Attributes
    ----------
    stated : ndarray (b,)
        Mean largest membership of the rows in each bin that has weight, in rising order.
    frequency : ndarray (b,)
        Share of these rows whose label is the cluster with the largest membership; equal to ``stated`` if memberships
        mean what they say.
    weight : ndarray (b,)
        Weight of these rows.
    error : float
        The expected calibration error, Σ weight |stated - frequency| / Σ weight.
    """

    stated: NDArray[np.float64]
    frequency: NDArray[np.float64]
    weight: NDArray[np.float64]
    error: float


def reliability(
    resp: Table, labels: ArrayLike | Tensor, *, n_bins: int = 10, sample_weight: ArrayLike | Tensor | None = None
) -> Reliability:
    """Compare what memberships state with how often it is so, where the rows' true classes are known.

    Rows are sorted into bins of equal width by their largest membership, and in each bin its mean is held against the
    share of rows that are of the class of that column. Clusters come in no order that classes know of: match them first
    with `align`, as below.

    Parameters
    ----------
    resp : array-like or Tensor (n, k)
        Memberships. What a row lacks to 1 counts as one more cluster, of noise, that of the label -1.
    labels : array-like or Tensor (n,)
        The rows' classes, as numbers of the columns, 0 to k - 1; -1 for a row that belongs to none of them.
    n_bins : int, default=10
        Into how many bins [0, 1] is cut. The largest of k memberships is at least 1 / k, so that the lower ones are
        empty.
    sample_weight : array-like or Tensor (n,), optional
        Weights of the rows, 0 or more; a weight of 2 is as good as a repeated row.

    Returns
    -------
    Reliability
        The bins that have weight, and the expected calibration error.

    Raises
    ------
    InputError
        If ``resp``, the labels, the weights or the number of bins can't be used.

    Notes
    -----
    A value on the border of two bins is in the lower one. Where rows are few, so are those of a bin, and even the best
    memberships have an error of about √(bins / n) / 3.

    References
    ----------
    Guo, Pleiss, Sun & Weinberger, "On calibration of modern neural networks", ICML 2017. Naeini, Cooper & Hauskrecht,
    "Obtaining well calibrated probabilities using Bayesian binning", AAAI 2015.

    Examples
    --------
    >>> import numpy as np
    >>> from softkmeans.metrics import align
    >>> labels = np.array([0, 0, 0, 1, 1])
    >>> resp = np.array([[0.1, 0.9], [0.1, 0.9], [0.4, 0.6], [0.4, 0.6], [0.9, 0.1]])
    >>> resp = resp[:, align(np.eye(2)[labels], resp)]  # column 0 is now the cluster that class 0 is in
    >>> found = reliability(resp, labels)
    >>> found.stated, found.frequency, found.weight
    (array([0.6, 0.9]), array([0.5, 1. ]), array([2., 3.]))
    >>> round(found.error, 12)  # (2 · 0.1 + 3 · 0.1) / 5
    0.1
    """
    check_count("n_bins", n_bins)
    source = as_memberships(resp, sample_weight)
    weight, stated, hits = _binned(source, _as_labels(labels, source.n_features), n_bins)
    seen = weight > 0
    weight, stated, frequency = weight[seen], stated[seen] / weight[seen], hits[seen] / weight[seen]
    return Reliability(stated, frequency, weight, float(np.average(np.abs(stated - frequency), weights=weight)))


def expected_calibration_error(
    resp: Table, labels: ArrayLike | Tensor, *, n_bins: int = 10, sample_weight: ArrayLike | Tensor | None = None
) -> float:
    """Give by how much memberships are off: the mean of |stated - frequency| over the bins of `reliability`.

    Parameters
    ----------
    resp : array-like or Tensor (n, k)
        Memberships, their columns matched with the classes: see `reliability`.
    labels : array-like or Tensor (n,)
        The rows' classes, 0 to k - 1, or -1 for a row that belongs to none of them.
    n_bins : int, default=10
        Into how many bins [0, 1] is cut.
    sample_weight : array-like or Tensor (n,), optional
        Weights of the rows, 0 or more; a weight of 2 is as good as a repeated row.

    Returns
    -------
    float
        From 0, which memberships have that mean what they say, to 1.

    Raises
    ------
    InputError
        If ``resp``, the labels, the weights or the number of bins can't be used.

    References
    ----------
    Guo, Pleiss, Sun & Weinberger, "On calibration of modern neural networks", ICML 2017.

    Examples
    --------
    >>> expected_calibration_error([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 1.0]], [0, 0, 1, 0])
    0.25
    """
    return reliability(resp, labels, n_bins=n_bins, sample_weight=sample_weight).error


def _binned(resp: Source, labels: Source, n_bins: int) -> NDArray[np.float64]:
    """Sum weight, stated membership and hits over the rows of each bin (3, n_bins)."""
    check_same_rows(resp=resp, labels=labels)
    sums = torch.zeros(3, n_bins, dtype=torch.float64)
    for piece, label in pieces(resp, labels):
        terms, bins = _judged(piece, label, n_bins)
        sums.index_add_(1, bins, terms)
    return sums.numpy()


def _judged(piece: Block, label: Block, n_bins: int) -> tuple[Tensor, Tensor]:
    """Weight, stated membership and hit, times weight, of some rows (3, m), and their bins (m,)."""
    stated, column = with_noise(piece).cpu().double().max(1)
    truth = label.x.cpu()[:, 0].long() % (piece.x.shape[1] + 1)  # -1 is the column of noise, the last
    bins = (stated * n_bins).ceil().long().clamp(1, n_bins) - 1
    return torch.stack([torch.ones_like(stated), stated, column == truth]) * piece.w.cpu(), bins


def _as_labels(labels: ArrayLike | Tensor, k: int) -> Source:
    """Make a source of labels (n, 1), which are found to be numbers of columns, or -1."""
    column = as_tensor(as_vector(labels, "labels")).detach()
    column = column.to(torch.int64) if column.dtype == torch.bool else column
    if column.ndim != 1 or not len(column):
        raise InputError(f"labels has shape {tuple(column.shape)}, expected (n,): give one label a row")
    wrong = ((column != column.round()) | (column < -1) | (column >= k)).nonzero()
    if len(wrong):
        row = int(wrong[0])
        raise InputError(
            f"labels has {column[row].item():g} in row {row} (counted from 0), expected the number of one of the {k} "
            f"columns of resp, 0 to {k - 1}, or -1 for none"
        )
    return as_source(column[:, None])
