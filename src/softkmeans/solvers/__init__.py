"""Solvers, which compute the next parameters from the statistics of a pass, and the fit loop that runs them."""

from __future__ import annotations

__all__ = ["SOLVERS", "Adam", "BatchPasses", "Em", "FullPasses", "Lbfgs", "Online", "PlainState", "Solver", "as_solver"]

from .adam import Adam
from .base import SOLVERS, PlainState, Solver, as_solver
from .em import Em
from .lbfgs import Lbfgs
from .loop import BatchPasses, FullPasses
from .online import Online
