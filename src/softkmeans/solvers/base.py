"""What the fit loop asks of a solver."""

from __future__ import annotations

__all__ = ["Solver", "State"]

from abc import ABC, abstractmethod
from typing import Any, Protocol

from ..objectives import Objective, Params, Summary


class State(Protocol):
    """A solver's memory between passes; all the loop knows of it is where the next pass looks."""

    @property
    def params(self) -> Params:
        """The point to evaluate next."""
        ...


class Solver(ABC):
    """From the summary of a pass to the next point.

    Attributes
    ----------
    patience : int
        How many passes in a row may bring no improvement before the fit counts as converged: 1 for a solver whose
        every step is the best it can do, more for one that tries and errs.
    needs_update : bool
        Whether it builds on EM's update, which not every objective has.
    """

    patience: int
    needs_update = False

    @abstractmethod
    def init(self, objective: Objective, params: Params) -> Any:
        """Give the state (a `State`) to start from."""

    @abstractmethod
    def step(self, objective: Objective, state: Any, summary: Summary) -> Any:
        """Give the next state, from the summary of all rows at ``state.params``."""
