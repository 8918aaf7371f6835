"""What the fit loop asks of a solver."""

from __future__ import annotations

__all__ = ["Solver", "State"]

from abc import ABC, abstractmethod
from typing import Any, Protocol

from ..model.params import Params, PassStats
from ..objectives import Objective


class State(Protocol):
    """A solver's memory between passes; all that the loop knows of it is this."""

    @property
    def params(self) -> Params:
        """The point to evaluate next."""
        ...

    @property
    def guess(self) -> bool:
        """Whether the solver takes the point back if it does not lower the objective."""
        ...

    @property
    def patience(self) -> int:
        """How many passes in a row, that at this point included, may bring no improvement before the fit has converged.

        1 where the point is the best a step could do, more where it is a guess.
        """
        ...


class Solver(ABC):
    """From the summary of a pass to the next point.

    Attributes
    ----------
    needs_update : bool
        Whether it builds on EM's update, which not every objective has.
    needs_gradient : bool
        Whether it needs a gradient, which there is not without an objective.
    by_batches : bool
        Whether it steps after every batch of a pass, and not once after all of them.
    """

    needs_update = False
    needs_gradient = True
    by_batches = False

    @abstractmethod
    def init(self, objective: Objective, params: Params) -> Any:
        """Give the state (a `State`) to start from."""

    @abstractmethod
    def step(self, objective: Objective, state: Any, sums: PassStats) -> Any:
        """Give the next state, from the summary of all rows, or those of a batch, at ``state.params``."""

    def settle(self, objective: Objective, state: Any) -> tuple[Any, Params]:
        """End a pass by batches: give the state for the next, and where a fit would end that ends here."""
        return state, state.params
