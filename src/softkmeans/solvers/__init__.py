"""The solvers, in a table: each gives ``init`` and ``step``, and never a loop of its own."""

from __future__ import annotations

__all__ = ["SOLVERS", "Adam", "Em", "Lbfgs", "Solver", "as_solver"]

from ..checks import check_known
from .adam import Adam
from .base import Solver
from .em import Em
from .lbfgs import Lbfgs

SOLVERS: dict[str, type[Solver]] = {"em": Em, "adam": Adam, "lbfgs": Lbfgs}


def as_solver(solver: str | Solver) -> Solver:
    """Look a solver up by name; a ``Solver`` with settings of its own passes through.

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
    return SOLVERS[solver]()
