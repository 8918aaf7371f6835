"""L-BFGS whose first guess of the curvature is EM's, which begins as EM, and falls back on EM where a step fails."""

from __future__ import annotations

__all__ = ["Lbfgs"]

import math
from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor
from typing_extensions import override

from .._utils.reductions import dot
from ..model.params import Params, PassStats
from ..objectives import Objective
from .base import Solver

Pairs = tuple[tuple[Tensor, Tensor], ...]

MOST_NUMBERS = 2**20  # that are remembered of moves, and as many of gradients: 16 MB


class _State(NamedTuple):
    params: Params  # to evaluate next
    best: Params | None = None  # the last point that lowered the objective, with what was found there
    value: float = math.inf
    fall: float = math.inf  # how much it lowered it
    gradient: Tensor | None = None
    em: Params | None = None
    pairs: Pairs = ()  # the last moves and the changes of gradient they brought
    begun: bool = False  # whether EM has become slow
    failed: int = 0  # quasi-Newton steps, one after the other
    rest: int = 0  # steps of EM before the next is tried
    radius: float = 1.0  # how far to go, at most, in lengths of EM's step

    @property
    def guess(self) -> bool:
        return self.em is not None and self.params is not self.em

    @property
    def patience(self) -> int:
        return 2 if self.guess else 1  # EM's step is the best it can do


@dataclass(frozen=True)
class Lbfgs(Solver):
    """Quasi-Newton steps of full length, preconditioned by EM; each must lower the objective, or EM steps instead.

    Early on, far from the optimum, EM makes great strides, and where it leads should not depend on the solver. So with
    the defaults quasi-Newton steps begin when EM is both slow and no longer far away.

    Nocedal, "Updating quasi-Newton matrices with limited storage", Math. Comp. 1980; Jamshidian & Jennrich,
    "Acceleration of the EM algorithm by using quasi-Newton methods", JRSS B 1997.

    Parameters
    ----------
    memory : int
        How many moves the curvature is estimated from; fewer where they have more than `MOST_NUMBERS` numbers.
    slow : float
        EM is slow when a pass lowers the objective by more than this share of what the pass before did.
    soft : float
        What the mean entropy of a row, in nats, must exceed: where each belongs to one cluster, EM's is Newton's step.
    late : float
        EM is not far away when a pass lowers the objective by less than this, relative to what ``tol`` is relative to.
    radius : float
        How far the first quasi-Newton step may lead, in lengths of EM's step. Each that lowers the objective
        doubles it, each that does not divides it by four. The more fail one after the other, the longer EM steps
        before the next.
    """

    memory: int = 10
    slow: float = 0.4
    soft: float = 0.01
    late: float = 0.01
    radius: float = 32.0
    needs_update = True

    @override
    def init(self, objective: Objective, params: Params) -> _State:
        return _State(params, begun=self.slow == 0, radius=self.radius)

    @override
    def step(self, objective: Objective, state: _State, sums: PassStats) -> _State:
        value = objective.value(state.params, sums)
        if state.guess and not value < state.value:
            return self._fall_back(state)
        gradient, fall = objective.gradient(state.params, sums), state.value - value
        soft = state.begun or objective.mean_entropy(state.params, sums) > self.soft
        pairs = self._remember(objective, state, gradient) if soft else ()
        slow = math.isfinite(state.fall) and fall > self.slow * state.fall  # never before two steps, to compare
        late = fall < self.late * objective.tolerance_scale(sums)
        begun = state.begun or (soft and slow and late)
        radius, failed = (2 * state.radius, 0) if state.guess else (state.radius, state.failed)
        em = objective.update(state.params, sums)
        rest = max(0, state.rest - 1)
        found = _State(em, state.params, value, fall, gradient, em, pairs, begun, failed, rest, radius)
        is_ready = begun and pairs and not state.rest
        return found._replace(params=_quasi_newton(objective, found, sums)) if is_ready else found

    def _fall_back(self, state: _State) -> _State:
        """Give EM's step, which can't fail, and try less often what has failed repeatedly."""
        assert state.em is not None  # noqa: S101 -- for mypy
        radius = max(1.0, state.radius / 4)
        return state._replace(params=state.em, pairs=(), failed=state.failed + 1, rest=state.failed, radius=radius)

    def _remember(self, objective: Objective, state: _State, gradient: Tensor) -> Pairs:
        if state.best is None or state.gradient is None:
            return ()
        move = objective.pack(state.params) - objective.pack(state.best)
        change = gradient - state.gradient
        if not dot(move, change) > 1e-12 * (dot(move, move) * dot(change, change)).sqrt():
            return state.pairs  # no curvature to learn from there
        return (*state.pairs, (move, change))[-min(self.memory, max(1, MOST_NUMBERS // len(move))) :]


def _quasi_newton(objective: Objective, state: _State, sums: PassStats) -> Params:
    """Give the point that the curvature seen so far leads to, no farther than the radius."""
    assert state.best is not None and state.em is not None and state.gradient is not None  # noqa: S101, PT018 -- for mypy
    here, inverse_curvature = objective.pack(state.best), objective.preconditioner(state.best, sums)
    direction = _two_loops(state.gradient, state.pairs, inverse_curvature)
    by_em, by_newton = (
        float(dot(step, step / inverse_curvature).sqrt()) for step in (objective.pack(state.em) - here, direction)
    )
    if not math.isfinite(by_newton):
        return state.em
    return objective.unpack(here - direction * min(1.0, state.radius * by_em / max(by_newton, 1e-300)), state.best)


def _two_loops(gradient: Tensor, pairs: Pairs, inverse_curvature: Tensor) -> Tensor:
    """Inverse Hessian times gradient, by Nocedal's two-loop recursion."""
    direction, shares = gradient, []
    for move, change in reversed(pairs):
        share = dot(move, direction) / dot(move, change)
        direction = direction - share * change
        shares.append(share)
    direction = inverse_curvature * direction
    for (move, change), share in zip(pairs, reversed(shares), strict=True):
        direction = direction + (share - dot(change, direction) / dot(move, change)) * move
    return direction
