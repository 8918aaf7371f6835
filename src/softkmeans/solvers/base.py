"""The interface between the fit loop and a solver."""

from __future__ import annotations

__all__ = ["Solver", "State"]

from abc import ABC, abstractmethod
from typing import Any, Protocol

from ..model.params import Params, PassStats
from ..objectives import Objective


class State(Protocol):
    """The state of a solver between passes. The loop reads only these three properties."""

    @property
    def params(self) -> Params:
        """Return the parameters to evaluate next."""
        ...

    @property
    def is_trial(self) -> bool:
        """Return whether these parameters are a trial step, which is undone unless it lowers the objective."""
        ...

    @property
    def patience(self) -> int:
        """Return the number of consecutive passes without improvement, including this one, that mean convergence.

        It is 1 if a step leads to the best parameters that the solver can reach, and larger if it is a trial.
        """
        ...


class Solver(ABC):
    """An algorithm that computes the next parameters from the statistics of a pass.

    Attributes
    ----------
    needs_update : bool
        Whether the solver uses the EM update of the objective. Not every objective has one.
    needs_gradient : bool
        Whether the solver uses the gradient of the objective. Not every objective has one.
    by_batches : bool
        Whether the solver steps after every batch of rows instead of once per pass.
    """

    needs_update = False
    needs_gradient = True
    by_batches = False

    @abstractmethod
    def init(self, objective: Objective, params: Params) -> Any:
        """Return the initial state (a `State`) for some initial parameters."""

    @abstractmethod
    def step(self, objective: Objective, state: Any, sums: PassStats) -> Any:
        """Return the next state, from the statistics of all rows, or of one batch, at ``state.params``."""

    def finish_pass(self, objective: Objective, state: Any) -> tuple[Any, Params]:
        """Return the state for the next pass, and the parameters to keep if the fit ends here.

        Called after the last batch of a pass, if the solver steps by batches.
        """
        return state, state.params
