"""Distances by name."""

from __future__ import annotations

__all__ = ["DISTANCES", "as_distance", "check_features", "distance_name", "name_or_distance"]

from ..errors import InputError, Message, Setting
from ..registries import DISTANCES
from .base import Distance


def check_features(distance: Distance, n_features: int) -> None:
    """Raise an InputError if a distance is not defined for this number of features.

    Parameters
    ----------
    distance : Distance
        The distance.
    n_features : int
        Number of features of the data.

    Examples
    --------
    >>> check_features(DISTANCES["cosine"], 1)
    Traceback (most recent call last):
    softkmeans.errors.InputError: distance='cosine' needs at least 2 features, got 1: use another distance
    """
    if n_features < distance.min_features:
        raise InputError(
            f"needs at least {distance.min_features} features, got {n_features}",
            parameter="distance",
            value=distance.name,
            hint="use another distance",
        )


def as_distance(distance: object) -> Distance:
    """Return the distance with a given name; a `Distance` is returned unchanged.

    Parameters
    ----------
    distance : str or Distance
        Name of a registered distance, or the distance itself.

    Raises
    ------
    InputError
        If no distance has this name, or if it is a callable: a fit would not know how to update the centers.

    Examples
    --------
    >>> as_distance("cosine").power
    0
    """
    if isinstance(distance, Distance):
        return distance
    if callable(distance) and not isinstance(distance, type):
        raise InputError(
            Message(
                Setting("distance"), f"={distance_name(distance)} is a callable, for which fits have no center update"
            ),
            hint=f"use one of {', '.join(DISTANCES)}, or a Distance, or train SoftKMeansLayer.loss(x) in your own loop",
        )
    return DISTANCES.find(distance)


def distance_name(distance: object) -> str:
    """Return the name of a distance: its ``name``, the name of a function, or the name of its type.

    Parameters
    ----------
    distance : Distance or callable
        The distance.

    Examples
    --------
    >>> import torch
    >>> distance_name(DISTANCES["cosine"]), distance_name(torch.cdist), distance_name(torch.nn.PairwiseDistance())
    ('cosine', 'cdist', 'PairwiseDistance')
    """
    name = distance.name if isinstance(distance, Distance) else getattr(distance, "__name__", None)
    return name or type(distance).__name__


def name_or_distance(distance: Distance) -> str | Distance:
    """Return the name of a registered distance; return any other distance unchanged.

    Parameters
    ----------
    distance : Distance
        The distance.

    Examples
    --------
    >>> name_or_distance(DISTANCES["cosine"])
    'cosine'
    """
    return DISTANCES.name_of(distance) or distance
