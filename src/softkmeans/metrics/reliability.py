"""Calibration of memberships: of the rows with membership 0.8 in a cluster, 80% should belong to its class."""

from __future__ import annotations

__all__ = ["Reliability", "expected_calibration_error", "reliability"]

from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from .._utils.brief import with_brief_repr
from .._utils.checks import check_count
from ..data.block import Block, as_tensor
from ..data.convert import as_source
from ..data.frames import as_vector
from ..data.source import Source
from ..errors import InputError, Message, Setting
from ._inputs import Table, aligned_blocks, as_memberships, check_same_rows, with_noise_column


@with_brief_repr
class Reliability(NamedTuple):
    """The values of a reliability diagram, and the expected calibration error.

    Attributes
    ----------
    stated : ndarray (b,)
        Mean largest membership of the rows in each bin that has weight, in increasing order.
    frequency : ndarray (b,)
        Fraction of these rows whose label is the cluster with the largest membership. It equals ``stated`` if the
        memberships are calibrated.
    weight : ndarray (b,)
        Total weight of these rows.
    error : float
        The expected calibration error, ``Σ weight |stated - frequency| / Σ weight``.
    """

    stated: NDArray[np.float64]
    frequency: NDArray[np.float64]
    weight: NDArray[np.float64]
    error: float


def reliability(
    resp: Table, labels: ArrayLike | Tensor, *, n_bins: int = 10, sample_weight: ArrayLike | Tensor | None = None
) -> Reliability:
    """Compare memberships with the frequencies of the true classes, for a reliability diagram.

    Rows are sorted into bins of equal width by their largest membership. In each bin, the mean of the largest
    memberships is compared with the fraction of rows whose class is the column with the largest membership. The order
    of clusters is arbitrary, so first match them to the classes with `align`, as in the example.

    Parameters
    ----------
    resp : array-like or Tensor (n, k)
        Memberships. If a row sums to less than 1, the rest counts as one more cluster, noise, with the label -1.
    labels : array-like or Tensor (n,)
        The rows' classes as column indices, 0 to k - 1; -1 for a row that belongs to none of them. Or classes that are
        text, which belong to the columns in sorted order, as in scikit-learn's ``classes_``.
    n_bins : int, default=10
        Number of bins that divide [0, 1]. The largest of k memberships is at least 1 / k, so the lower bins are empty.
    sample_weight : array-like or Tensor (n,), optional
        Weights of the rows, 0 or more; a weight of 2 is equivalent to a repeated row.

    Returns
    -------
    Reliability
        The bins that have weight, and the expected calibration error.

    Raises
    ------
    InputError
        If ``resp``, the labels, the weights or the number of bins are invalid.

    Notes
    -----
    A value on the border of two bins is in the lower bin. With few rows, bins contain few rows, too, and even perfectly
    calibrated memberships have an error of about √(bins / n) / 3.

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
    >>> resp = resp[:, align(np.eye(2)[labels], resp)]  # column 0 is now the cluster of class 0
    >>> result = reliability(resp, labels)
    >>> result.stated, result.frequency, result.weight
    (array([0.6, 0.9]), array([0.5, 1. ]), array([2., 3.]))
    >>> round(result.error, 12)  # (2 · 0.1 + 3 · 0.1) / 5
    0.1
    """
    check_count("n_bins", n_bins)
    source = as_memberships(resp, sample_weight)
    weight, stated_sum, hits = _bin_sums(source, _as_labels(labels, source.n_features), n_bins)
    has_weight = weight > 0
    weight, stated_sum, hits = weight[has_weight], stated_sum[has_weight], hits[has_weight]
    stated, frequency = stated_sum / weight, hits / weight
    return Reliability(stated, frequency, weight, float(np.average(np.abs(stated - frequency), weights=weight)))


def expected_calibration_error(
    resp: Table, labels: ArrayLike | Tensor, *, n_bins: int = 10, sample_weight: ArrayLike | Tensor | None = None
) -> float:
    """Return the expected calibration error: the mean of ``|stated - frequency|`` over the bins of `reliability`.

    Parameters
    ----------
    resp : array-like or Tensor (n, k)
        Memberships, with columns matched to the classes: see `reliability`.
    labels : array-like or Tensor (n,)
        The rows' classes as column indices, 0 to k - 1; -1 for a row that belongs to none of them. Or classes that are
        text, which belong to the columns in sorted order, as in scikit-learn's ``classes_``.
    n_bins : int, default=10
        Number of bins that divide [0, 1].
    sample_weight : array-like or Tensor (n,), optional
        Weights of the rows, 0 or more; a weight of 2 is equivalent to a repeated row.

    Returns
    -------
    float
        From 0, for calibrated memberships, to 1.

    Raises
    ------
    InputError
        If ``resp``, the labels, the weights or the number of bins are invalid.

    References
    ----------
    Guo, Pleiss, Sun & Weinberger, "On calibration of modern neural networks", ICML 2017.

    Examples
    --------
    >>> expected_calibration_error([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 1.0]], [0, 0, 1, 0])
    0.25
    """
    return reliability(resp, labels, n_bins=n_bins, sample_weight=sample_weight).error


def _bin_sums(resp: Source, labels: Source, n_bins: int) -> NDArray[np.float64]:
    """Return the sums of weights, largest memberships and hits over the rows of each bin (3, n_bins)."""
    check_same_rows(resp=resp, labels=labels)
    sums = torch.zeros(3, n_bins, dtype=torch.float64, device="cpu")
    for block, label_block in aligned_blocks(resp, labels):
        terms, bins = _row_terms(block, label_block, n_bins)
        sums.index_add_(1, bins, terms)
    return sums.numpy()


def _row_terms(block: Block, label_block: Block, n_bins: int) -> tuple[Tensor, Tensor]:
    """Return 1, largest membership and hit of each row, times its weight (3, m), and its bin (m,)."""
    stated, column = with_noise_column(block).cpu().double().max(1)
    true_column = label_block.x.cpu()[:, 0].long() % (block.x.shape[1] + 1)  # -1 is the column of noise, the last one
    bins = (stated * n_bins).ceil().long().clamp(1, n_bins) - 1
    return torch.stack([torch.ones_like(stated), stated, column == true_column]) * block.w.cpu(), bins


def _codes_of_text(labels: Any, k: int) -> NDArray[np.int64] | None:
    """Return the index (n,) of each label among the sorted classes, if they are text; None for anything else."""
    values = None if isinstance(labels, Tensor) else np.asarray(labels)
    if values is None or values.ndim != 1 or not values.size or not all(isinstance(v, str) for v in values.tolist()):
        return None
    classes, codes = np.unique(values.astype(str), return_inverse=True)
    if len(classes) > k:
        hint = Message(f"give at most one for each of the {k} columns of ", Setting("resp"))
        raise InputError(f"has {len(classes)} classes", parameter="labels", hint=hint)
    return codes.astype(np.int64)


def _as_labels(labels: ArrayLike | Tensor, k: int) -> Source:
    """Convert labels to a source (n, 1), and check that each is a column index or -1."""
    codes = _codes_of_text(labels, k)
    column = as_tensor(as_vector(labels, "labels")).detach() if codes is None else torch.from_numpy(codes)
    column = column.to(torch.int64) if column.dtype == torch.bool else column
    if column.ndim != 1 or not len(column):
        problem = f"has shape {tuple(column.shape)}"
        raise InputError(problem, parameter="labels", expected="(n,)", hint="give one label per row")
    invalid = ((column != column.round()) | (column < -1) | (column >= k)).nonzero()
    if len(invalid):
        row = int(invalid[0])
        hint = Message(
            f"give the index of one of the {k} columns of ", Setting("resp"), f", 0 to {k - 1}, or -1 for no cluster"
        )
        problem = f"has {column[row].item():g} in row {row} (counted from 0)"
        raise InputError(problem, parameter="labels", hint=hint)
    return as_source(column[:, None])
