"""Synthetic data with known clusters."""

__all__ = ["make_blobs"]

from collections.abc import Sequence
from numbers import Integral

import numpy as np
import torch
from sklearn import datasets

from .._utils.random import draw_seed
from ..errors import InputError, Message, Setting


def make_blobs(
    n_samples: int = 300,
    n_features: int = 2,
    n_clusters: int = 3,
    cluster_std: float | Sequence[float] = 1.0,
    *,
    center_box: tuple[float, float] = (-10.0, 10.0),
    random_state: int | np.random.Generator | np.random.RandomState | None = None,
    dtype: torch.dtype = torch.float32,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Draw samples from isotropic Gaussian clusters of equal size.

    The same call to :func:`sklearn.datasets.make_blobs` draws the same samples; this function returns tensors.

    Parameters
    ----------
    n_samples : int, default=300
        Number of samples ``n``, divided evenly among the clusters; at least one per cluster.
    n_features : int, default=2
        Number of features ``d``.
    n_clusters : int, default=3
        Number of clusters ``k``.
    cluster_std : float or sequence of k floats, default=1.0
        Standard deviation of all clusters, or of each one. The matching temperature is ``2 * cluster_std**2``.
    center_box : tuple of two floats, default=(-10.0, 10.0)
        Bounds of each coordinate of the centers, which are drawn uniformly.
    random_state : int, numpy.random.Generator, numpy.random.RandomState or None, default=None
        Seed or generator; an int gives the same samples at every call. ``None`` uses NumPy's global generator.
    dtype : torch.dtype, default=torch.float32
        Floating-point type of the samples.

    Returns
    -------
    x : torch.Tensor of shape (n, d) and type ``dtype``
        Samples, in random order.
    y : torch.Tensor of shape (n,) and type torch.int64
        Cluster of each sample, 0 to k - 1.

    Raises
    ------
    InputError
        If an argument is invalid; the message names it.

    Examples
    --------
    >>> from softkmeans.data import make_blobs
    >>> x, y = make_blobs(n_samples=6, n_clusters=2, random_state=0)
    >>> x.shape, x.dtype, sorted(y.tolist())
    (torch.Size([6, 2]), torch.float32, [0, 0, 0, 1, 1, 1])
    """
    _check_count("n_features", n_features, 1)
    _check_count("n_clusters", n_clusters, 1)
    _check_count("n_samples", n_samples, n_clusters, (" (", Setting("n_clusters"), ")"))
    if not isinstance(dtype, torch.dtype) or not dtype.is_floating_point:
        raise _error("dtype", "a floating-point torch.dtype such as torch.float32", dtype)
    std, box = _checked_std(cluster_std, n_clusters), _checked_box(center_box)
    try:
        x, y = datasets.make_blobs(
            n_samples,
            n_features,
            centers=n_clusters,
            cluster_std=std,
            center_box=box,
            random_state=draw_seed(random_state) if isinstance(random_state, np.random.Generator) else random_state,
        )
    except ValueError:
        raise _error("random_state", "an int, a Generator, a RandomState or None", random_state) from None
    return torch.from_numpy(x).to(dtype), torch.from_numpy(y).to(torch.int64)


def _error(name: str, expected: str, value: object) -> InputError:
    """Return an error that says what an argument must be."""
    return InputError(Message("must be ", expected, f", got {value!r}"), parameter=name)


def _check_count(name: str, value: object, minimum: int, meaning: tuple[str | Setting, ...] = ()) -> None:
    if isinstance(value, bool) or not isinstance(value, Integral) or int(value) < minimum:
        raise _error(name, Message(f"an int of at least {minimum}", *meaning), value)


def _checked_std(value: float | Sequence[float], n_clusters: int) -> list[float]:
    try:
        std = np.broadcast_to(np.asarray(value, dtype=float), n_clusters)
    except (TypeError, ValueError):
        raise _error("cluster_std", f"one number or one per cluster ({n_clusters})", value) from None
    if not (np.isfinite(std) & (std >= 0)).all():
        raise _error("cluster_std", "finite and not negative", value)
    return [float(each) for each in std]


def _checked_box(box: Sequence[float]) -> tuple[float, float]:
    try:
        low, high = (float(bound) for bound in box)
    except (TypeError, ValueError):
        raise _error("center_box", "two numbers (low, high)", box) from None
    if not -np.inf < low <= high < np.inf:
        raise _error("center_box", "finite with low <= high", box)
    return low, high
