"""The interface between the fit loop and a solver, and solvers by name."""

from __future__ import annotations

__all__ = ["SOLVERS", "PlainState", "Solver", "State", "as_solver"]

from abc import ABC, abstractmethod
from typing import Any, NamedTuple, Protocol

from ..model.params import Params, PassStats
from ..objectives import Objective
from ..registries import SOLVERS
from .loop import FullPasses


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
        """Return after how many passes in a row without improvement, including this one, the fit has converged.

        1 if a step never raises the objective; more if steps can fail or overshoot.
        """
        ...


class PlainState(NamedTuple):
    """The state of a solver that needs nothing but the parameters.

    Attributes
    ----------
    params : Params
        The parameters to evaluate next.
    is_trial : bool
        Whether these parameters are a trial step, which is undone unless it lowers the objective.
    patience : int
        After how many passes in a row without improvement the fit has converged: 1 if a step never raises the
        objective; 20 or more if steps overshoot, as with momentum.
    """

    params: Params
    is_trial: bool = False
    patience: int = 1


class Solver(ABC):
    """An algorithm that computes the next parameters from the statistics of a pass.

    A solver never loops and never reads rows. `init` returns a state, and `step` the next state, without changing the
    one before. Checkpoints can hold a state made of numbers, text, tensors, tuples, lists, dicts, named tuples and
    dataclasses; the state from ``init`` must contain each type of named tuple and dataclass. A step can use these
    functions of the parameters and sums: ``objective.value``, ``objective.gradient`` with respect to the vector of
    ``objective.pack``, ``objective.preconditioner``, and ``objective.update``, the EM update.

    Attributes
    ----------
    needs_update : bool
        Whether the solver uses the EM update of the objective. Not every objective has one.
    needs_gradient : bool
        Whether the solver uses the gradient of the objective. Not every objective has one.
    supports_partial_fit : bool
        Whether ``partial_fit`` can use the solver; otherwise it uses `Online`. The ``init`` of such a solver also takes
        the running statistics of earlier batches, as that of `Online` does.
    checks_gradient : bool
        Whether a fit has converged only if the gradient of the objective is small, too: for solvers whose steps may be
        too large to improve anything.
    is_gradual : bool
        Whether a fit takes many small steps, so that commands print the loss on the way.
    passes : FullPasses or BatchPasses
        Whether the solver steps after every pass, or after every batch of rows.

    Examples
    --------
    Gradient descent with a fixed step size, preconditioned so that a step size of 1 is nearly an EM step:

    >>> from dataclasses import dataclass
    >>> from softkmeans import SoftKMeans
    >>> @dataclass(frozen=True)
    ... class GradientDescent(Solver):
    ...     lr: float = 0.5
    ...     def init(self, objective, params):
    ...         return PlainState(params)
    ...     def step(self, objective, state, sums):
    ...         step = objective.preconditioner(state.params, sums) * objective.gradient(state.params, sums)
    ...         return PlainState(objective.unpack(objective.pack(state.params) - self.lr * step, state.params))
    >>> model = SoftKMeans(2, temperature=1.0, solver=GradientDescent(), random_state=0)
    >>> model.fit_predict([[0.0], [0.2], [5.0], [5.1], [5.2]])
    array([1, 1, 0, 0, 0])
    """

    needs_update = False
    needs_gradient = True
    supports_partial_fit = False
    checks_gradient = False
    is_gradual = False
    passes = FullPasses()

    @abstractmethod
    def init(self, objective: Objective, params: Params) -> Any:
        """Return the initial state (a `State`) for some initial parameters."""

    @abstractmethod
    def step(self, objective: Objective, state: Any, sums: PassStats) -> Any:
        """Return the next state, from the statistics of all rows, or of one batch, at ``state.params``."""

    def retry(self, objective: Objective, state: Any, best: Params) -> Any:
        """Return a state that continues from the best parameters with smaller steps, or None if there is none.

        Called if ``checks_gradient`` is True and the objective no longer improves, but its gradient is not small.
        """
        return None

    def finish_pass(self, objective: Objective, state: Any) -> tuple[Any, Params]:
        """Return the state for the next pass, and the parameters to keep if the fit ends here.

        Called after the last batch of a pass, if the solver steps by batches.
        """
        return state, state.params


def as_solver(solver: str | Solver) -> Solver:
    """Return the solver of a name; return a `Solver` unchanged.

    Parameters
    ----------
    solver : str or Solver
        Name of a registered solver, or a solver with its own settings.

    Raises
    ------
    InputError
        If no solver has that name.

    Examples
    --------
    >>> as_solver("adam")
    Adam(lr=0.1)
    """
    return SOLVERS.resolve(solver)
