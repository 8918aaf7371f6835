"""The solvers by name. A new solver is a class, and an entry in `SOLVERS`."""

from __future__ import annotations

__all__ = ["SOLVERS", "as_solver"]

from .._utils.checks import check_known
from .adam import Adam
from .base import Solver
from .em import Em
from .lbfgs import Lbfgs
from .online import Online

# "auto" is EM until that is slow, and then L-BFGS; "lbfgs" does not wait; "online" steps after every batch of rows.
SOLVERS: dict[str, Solver] = {
    "auto": Lbfgs(),
    "em": Em(),
    "lbfgs": Lbfgs(slow=0.0),
    "adam": Adam(),
    "online": Online(),
}


def as_solver(solver: str | Solver) -> Solver:
    """Look a solver up by name; a ``Solver`` with settings of its own passes through.

    Parameters
    ----------
    solver : {"auto", "em", "lbfgs", "adam", "online"} or Solver
        Its name, or itself.

    Raises
    ------
    InputError
        If there is no solver of that name.

    Examples
    --------
    >>> as_solver("adam")
    Adam(lr=0.1)
    """
    if isinstance(solver, Solver):
        return solver
    check_known("solver", solver, SOLVERS)
    return SOLVERS[solver]
