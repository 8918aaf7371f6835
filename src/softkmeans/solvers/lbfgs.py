"""L-BFGS whose first guess of the curvature is EM's, and which falls back on EM where a step fails."""

from __future__ import annotations

__all__ = ["Lbfgs"]

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from typing_extensions import override

from ..objectives import Objective, Params, Summary
from .base import Solver


class _State(NamedTuple):
    params: Params  # to evaluate next
    best: Params | None = None  # the last point that lowered the objective, with what was found there
    value: float = float("inf")
    gradient: Tensor | None = None
    em: Params | None = None
    pairs: tuple[tuple[Tensor, Tensor], ...] = ()  # the last moves and the changes of gradient they brought


@dataclass(frozen=True)
class Lbfgs(Solver):
    """Quasi-Newton steps of full length, preconditioned by EM; each must lower the objective, or EM steps instead.

    Nocedal, "Updating quasi-Newton matrices with limited storage", Math. Comp. 1980; Jamshidian & Jennrich,
    "Acceleration of the EM algorithm by using quasi-Newton methods", JRSS B 1997.

    Parameters
    ----------
    memory : int
        How many moves the curvature is estimated from.
    """

    memory: int = 10
    patience = 2
    needs_update = True

    @override
    def init(self, objective: Objective, params: Params) -> _State:
        return _State(params)

    @override
    def step(self, objective: Objective, state: _State, summary: Summary) -> _State:
        value = objective.value(state.params, summary)
        if state.em is not None and not value < state.value and state.params is not state.em:
            return state._replace(params=state.em, pairs=())  # EM can't fail
        gradient = objective.gradient(state.params, summary)
        em = objective.update(state.params, summary)
        pairs = self._remember(objective, state, gradient)
        direction = _two_loops(gradient, pairs, objective.preconditioner(state.params, summary))
        params = objective.unpack(objective.pack(state.params) - direction, state.params) if pairs else em
        return _State(params, state.params, value, gradient, em, pairs)

    def _remember(self, objective: Objective, state: _State, gradient: Tensor) -> tuple[tuple[Tensor, Tensor], ...]:
        if state.best is None or state.gradient is None:
            return ()
        move = objective.pack(state.params) - objective.pack(state.best)
        change = gradient - state.gradient
        if not move @ change > 1e-12 * torch.linalg.vector_norm(move) * torch.linalg.vector_norm(change):
            return state.pairs  # no curvature to learn from there
        return (*state.pairs, (move, change))[-self.memory :]


def _two_loops(gradient: Tensor, pairs: tuple[tuple[Tensor, Tensor], ...], inverse_curvature: Tensor) -> Tensor:
    """Inverse Hessian times gradient, by Nocedal's two-loop recursion."""
    direction, shares = gradient, []
    for move, change in reversed(pairs):
        share = (move @ direction) / (move @ change)
        direction = direction - share * change
        shares.append(share)
    direction = inverse_curvature * direction
    for (move, change), share in zip(pairs, reversed(shares), strict=True):
        direction = direction + (share - (change @ direction) / (move @ change)) * move
    return direction
