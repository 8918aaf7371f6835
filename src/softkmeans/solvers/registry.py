"""Solvers by name."""

from __future__ import annotations

__all__ = ["SOLVERS", "as_solver"]

from ..registries import SOLVERS
from .base import Solver


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
    return solver if isinstance(solver, Solver) else SOLVERS.find(solver)
