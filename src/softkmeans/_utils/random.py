"""Generators and seeds from any kind of random state."""

from __future__ import annotations

__all__ = ["as_generator", "draw_seed"]

import threading
from numbers import Integral
from typing import Any

import numpy as np

from ..errors import InputError

_local = threading.local()


def as_generator(random_state: Any) -> np.random.Generator:
    """Return a generator from a seed, a Generator or a RandomState, which it continues; NumPy 2.1 has no such function.

    Examples
    --------
    >>> one, other = (as_generator(np.random.RandomState(0)) for _ in range(2))
    >>> bool(one.normal() == other.normal())
    True
    """
    if isinstance(random_state, np.random.RandomState):
        return np.random.Generator(random_state._bit_generator)
    try:
        return np.random.default_rng(random_state)
    except (TypeError, ValueError):
        raise _error(random_state) from None


def draw_seed(random_state: Any) -> int:
    """Draw a seed from a random state: a NumPy Generator, or what scikit-learn accepts.

    Examples
    --------
    >>> draw_seed(0) == draw_seed(0), draw_seed(np.random.default_rng(0)) == draw_seed(np.random.default_rng(0))
    (True, True)
    """
    from sklearn.utils import check_random_state  # imported late, since layers need no scikit-learn

    if isinstance(random_state, np.random.Generator):
        return int(random_state.integers(2**31))
    try:
        generator = _seeded(random_state) if isinstance(random_state, Integral) else check_random_state(random_state)
    except (TypeError, ValueError):
        raise _error(random_state) from None
    return int(generator.randint(2**31))


def _seeded(seed: Any) -> np.random.RandomState:
    """Return this thread's RandomState with a seed; to make a new one takes as long as several passes over few rows."""
    if not hasattr(_local, "random_state"):
        _local.random_state = np.random.RandomState()
    generator: np.random.RandomState = _local.random_state
    generator.seed(seed)
    return generator


def _error(random_state: Any) -> InputError:
    expected = "an integer from 0 to 2**32 - 1, a NumPy Generator or RandomState, or None"
    return InputError(parameter="random_state", value=random_state, expected=expected)
