"""Expectation-maximization (EM), the fixed-point iteration of soft k-means."""

from __future__ import annotations

__all__ = ["Em"]

from dataclasses import dataclass

from typing_extensions import override

from ..model.params import Params, PassStats
from ..objectives import Objective
from .base import PlainState, Solver


@dataclass(frozen=True)
class Em(Solver):
    """Expectation-maximization: each center moves to the membership-weighted mean of the rows.

    The objective never increases.

    Dempster, Laird & Rubin, "Maximum likelihood from incomplete data via the EM algorithm", JRSS B 1977.
    """

    needs_update = True
    needs_gradient = False

    @override
    def init(self, objective: Objective, params: Params) -> PlainState:
        return PlainState(params, patience=objective.patience)

    @override
    def step(self, objective: Objective, state: PlainState, sums: PassStats) -> PlainState:
        return state._replace(params=objective.update(state.params, sums))
