"""The solvers by name. To add one, write a class and register it in `SOLVERS`."""

from __future__ import annotations

__all__ = ["SOLVERS", "as_solver"]

from .._utils.checks import check_known
from .adam import Adam
from .base import Solver
from .em import Em
from .lbfgs import Lbfgs
from .online import Online

# "auto" starts with EM and changes to L-BFGS once EM becomes slow; "lbfgs" uses L-BFGS from the start; "online" steps
# after every batch of rows.
SOLVERS: dict[str, Solver] = {
    "auto": Lbfgs(),
    "em": Em(),
    "lbfgs": Lbfgs(slow=0.0),
    "adam": Adam(),
    "online": Online(),
}


def as_solver(solver: str | Solver) -> Solver:
    """Return the solver of a name; return a `Solver` unchanged.

    Parameters
    ----------
    solver : {"auto", "em", "lbfgs", "adam", "online"} or Solver
        Name of a solver, or a solver with its own settings.

    Raises
    ------
    InputError
        If no solver has that name.

    Examples
    --------
    >>> as_solver("adam")
    Adam(lr=0.1)
    """
    if isinstance(solver, Solver):
        return solver
    check_known("solver", solver, SOLVERS)
    return SOLVERS[solver]
