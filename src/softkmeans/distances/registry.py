"""The distances by name. A new distance is a class, and an entry in `DISTANCES`."""

from __future__ import annotations

__all__ = ["DISTANCES", "as_distance", "check_features", "distance_name", "name_or_distance"]

from .._utils.checks import check_known
from ..errors import InputError
from .base import Distance
from .cosine import Cosine
from .euclidean import Euclidean, SquaredEuclidean

DISTANCES: dict[str, Distance] = {d.name: d for d in (SquaredEuclidean(), Euclidean(), Cosine())}


def check_features(distance: Distance, n_features: int) -> None:
    """Raise an InputError if a distance has no meaning for so few features.

    Parameters
    ----------
    distance : Distance
        The distance.
    n_features : int
        How many features the data has.

    Examples
    --------
    >>> check_features(DISTANCES["cosine"], 1)
    Traceback (most recent call last):
    softkmeans.errors.InputError: the cosine distance needs 2 features or more, got 1
    """
    if n_features < distance.min_features:
        raise InputError(
            f"the {distance.name} distance needs {distance.min_features} features or more, got {n_features}"
        )


def as_distance(distance: object) -> Distance:
    """Look a distance up by name; a ``Distance`` passes through.

    Parameters
    ----------
    distance : {"sqeuclidean", "euclidean", "cosine"} or Distance
        Its name, or itself.

    Raises
    ------
    InputError
        If there is no distance of that name, or it is a callable, from which fits can't learn where centers move.

    Examples
    --------
    >>> as_distance("cosine").power
    0
    """
    if isinstance(distance, Distance):
        return distance
    if callable(distance) and not isinstance(distance, type):
        raise InputError(
            f"distance is the callable {distance_name(distance)}, by which fits can't move centers: give one of "
            f"{', '.join(DISTANCES)}, or a Distance, or train SoftKMeansLayer.loss(x) in a loop of your own"
        )
    check_known("distance", distance, DISTANCES)
    return DISTANCES[str(distance)]


def distance_name(distance: object) -> str:
    """Give the name of a distance: its own, or a function's, or else its type's.

    Parameters
    ----------
    distance : Distance or callable
        The distance.

    Examples
    --------
    >>> distance_name(DISTANCES["cosine"]), distance_name(torch.cdist), distance_name(torch.nn.PairwiseDistance())
    ('cosine', 'cdist', 'PairwiseDistance')
    """
    name = distance.name if isinstance(distance, Distance) else getattr(distance, "__name__", None)
    return name or type(distance).__name__


def name_or_distance(distance: Distance) -> str | Distance:
    """Return the name of a registered distance, and any other distance itself.

    Parameters
    ----------
    distance : Distance
        The distance.

    Examples
    --------
    >>> name_or_distance(DISTANCES["cosine"])
    'cosine'
    """
    return distance.name if type(DISTANCES.get(distance.name)) is type(distance) else distance
