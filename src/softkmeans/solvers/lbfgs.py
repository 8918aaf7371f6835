"""L-BFGS preconditioned by EM: it starts with EM steps, and returns to them whenever a quasi-Newton step fails."""

from __future__ import annotations

__all__ = ["FROM_THE_START", "Lbfgs"]

import math
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from torch import Tensor
from typing_extensions import override

from .._utils.few_numbers import Numbers, as_array, from_array, inner, joined, quietly
from ..model.params import Params, PassStats
from ..objectives import Objective
from .base import Solver

MAX_STORED_NUMBERS = 2**20  # in the stored steps, and as many in the stored gradient changes: 16 MB in all
MIN_CURVATURE_COSINE = 1e-12  # of the angle between a step and its gradient change; below, the pair is not used


@dataclass(frozen=True)
class _Memory:
    """The last steps and the gradient changes along them.

    Attributes
    ----------
    pairs : tuple of Tensor (2, m)
        A step and the gradient change along it, divided by the root of their inner product.
    """

    pairs: tuple[Tensor, ...] = ()

    @cached_property
    def arrays(self) -> tuple[tuple[Numbers, Numbers], ...]:
        """The same pairs as arrays, kept because each step needs them."""
        return tuple((numbers[0], numbers[1]) for numbers in map(as_array, self.pairs))

    def with_pair(self, step: Numbers, change: Numbers, curvature: float, max_pairs: int) -> _Memory:
        """Return the memory with one more pair, whose inner product is the curvature; the oldest is dropped if full."""
        pair = joined([step, change]).reshape(2, -1) / math.sqrt(curvature)
        after = _Memory((*self.pairs, from_array(pair))[-max_pairs:])
        vars(after)["arrays"] = (*self.arrays, (pair[0], pair[1]))[-max_pairs:]
        return after


NOTHING = _Memory()


class _State(NamedTuple):
    params: Params  # to evaluate next
    is_trial: bool = False  # whether they are those of a quasi-Newton step
    best: Params | None = None  # the last parameters that lowered the objective; value and gradient are those there
    value: float = math.inf
    decrease: float = math.inf  # amount by which they lowered the objective
    vector: Tensor | None = None  # the best parameters as a vector
    gradient: Tensor | None = None
    em_params: Params | None = None  # EM update of the best parameters
    memory: _Memory = NOTHING
    is_accelerated: bool = False  # whether EM has become slow, so that quasi-Newton steps are tried
    n_failed: int = 0  # quasi-Newton steps in a row that did not lower the objective
    n_waiting: int = 0  # EM steps before the next quasi-Newton step
    radius: float = 1.0  # maximum length of a quasi-Newton step, relative to the EM step

    @property
    def patience(self) -> int:
        return 2 if self.is_trial else 1  # a failed trial is followed by the EM step, which may still improve


@dataclass(frozen=True)
class Lbfgs(Solver):
    """L-BFGS with EM as preconditioner and fallback.

    The solver takes full quasi-Newton steps, without a line search. If a step does not lower the objective, the solver
    takes the EM step instead.

    Far from the optimum, EM makes fast progress, and the optimum that is reached should not depend on the solver. By
    default, quasi-Newton steps therefore begin only when EM is slow and close to the optimum.

    Nocedal, "Updating quasi-Newton matrices with limited storage", Math. Comp. 1980; Jamshidian & Jennrich,
    "Acceleration of the EM algorithm by using quasi-Newton methods", JRSS B 1997.

    Parameters
    ----------
    memory : int, default=10
        Number of steps from which the curvature is estimated; fewer if these steps have more than
        `MAX_STORED_NUMBERS` numbers.
    slow : float, default=0.4
        EM is slow if a pass lowers the objective by more than this fraction of the decrease in the pass before.
        With 0, quasi-Newton steps begin at once.
    soft : float, default=0.01
        Minimum mean entropy of a row, in nats, for quasi-Newton steps. If each row belongs to one cluster, the EM step
        already is the Newton step.
    late : float, default=0.01
        EM is close to the optimum if a pass lowers the objective by less than this, relative to the scale of ``tol``.
    radius : float, default=32.0
        Maximum length of the first quasi-Newton step, relative to the EM step. Each step that lowers the objective
        doubles it, and each other step divides it by four. The more quasi-Newton steps fail in a row, the more EM steps
        are taken before the next one.
    """

    memory: int = 10
    slow: float = 0.4
    soft: float = 0.01
    late: float = 0.01
    radius: float = 32.0
    needs_update = True

    @override
    def init(self, objective: Objective, params: Params) -> _State:
        return _State(params, is_accelerated=self.slow == 0, radius=self.radius)

    @override
    @quietly
    def step(self, objective: Objective, state: _State, sums: PassStats) -> _State:
        value = objective.value(state.params, sums)
        if state.is_trial and not value < state.value:
            return self._fall_back(state)
        gradient = objective.gradient(state.params, sums)
        decrease = state.value - value
        is_soft = state.is_accelerated or objective.mean_entropy(state.params, sums) > self.soft
        vector = objective.pack(state.params)
        memory = self._updated_memory(state, vector, gradient) if is_soft else NOTHING
        is_slow = math.isfinite(state.decrease) and decrease > self.slow * state.decrease  # needs two steps to compare
        is_late = decrease < self.late * objective.tolerance_scale(sums)
        is_accelerated = state.is_accelerated or (is_soft and is_slow and is_late)
        em_params = objective.update(state.params, sums)
        after_em = _State(
            params=em_params,
            best=state.params,
            value=value,
            decrease=decrease,
            vector=vector,
            gradient=gradient,
            em_params=em_params,
            memory=memory,
            is_accelerated=is_accelerated,
            n_failed=0 if state.is_trial else state.n_failed,
            n_waiting=max(0, state.n_waiting - 1),
            radius=2 * state.radius if state.is_trial else state.radius,
        )
        if is_accelerated and memory.pairs and not state.n_waiting:
            trial = _quasi_newton_params(objective, after_em, sums)
            return after_em if trial is None else after_em._replace(params=trial, is_trial=True)
        return after_em

    def _fall_back(self, state: _State) -> _State:
        """Return to the EM step, which cannot fail; after repeated failures, wait longer before the next trial."""
        assert state.em_params is not None  # noqa: S101 -- for mypy
        return state._replace(
            params=state.em_params,
            is_trial=False,
            memory=NOTHING,
            n_failed=state.n_failed + 1,
            n_waiting=state.n_failed,
            radius=max(1.0, state.radius / 4),
        )

    def _updated_memory(self, state: _State, vector: Tensor, gradient: Tensor) -> _Memory:
        """Return the memory with the last step, unless the curvature along it is not positive."""
        if state.vector is None or state.gradient is None:
            return NOTHING
        step, change = as_array(vector) - as_array(state.vector), as_array(gradient) - as_array(state.gradient)
        curvature = inner(step, change)
        if not curvature > MIN_CURVATURE_COSINE * math.sqrt(inner(step, step) * inner(change, change)):
            return state.memory
        max_pairs = min(self.memory, max(1, MAX_STORED_NUMBERS // len(step)))
        return state.memory.with_pair(step, change, curvature, max_pairs)


def _quasi_newton_params(objective: Objective, state: _State, sums: PassStats) -> Params | None:
    """Return the parameters after a quasi-Newton step from the best ones, shortened to the radius; None if it fails."""
    assert state.best is not None and state.em_params is not None  # noqa: S101, PT018 -- for mypy
    assert state.vector is not None and state.gradient is not None  # noqa: S101, PT018
    best = as_array(state.vector)
    inverse_curvature = as_array(objective.preconditioner(state.best, sums))
    direction = _inverse_hessian_product(as_array(state.gradient), state.memory, inverse_curvature)
    em_length = _length(as_array(objective.pack(state.em_params)) - best, inverse_curvature)
    newton_length = _length(direction, inverse_curvature)
    if not math.isfinite(newton_length):
        return None
    scale = min(1.0, state.radius * em_length / max(newton_length, 1e-300))
    return objective.unpack(from_array(best - direction * scale), state.best)


def _length(step: Numbers, inverse_curvature: Numbers) -> float:
    """Return the length of a step in the metric of the preconditioner."""
    return math.sqrt(inner(step, step / inverse_curvature))


def _inverse_hessian_product(gradient: Numbers, memory: _Memory, inverse_curvature: Numbers) -> Numbers:
    """Return the approximate inverse Hessian times the gradient, by Nocedal's two-loop recursion."""
    direction, coefficients = gradient, list[float]()
    for step, change in reversed(memory.arrays):
        coefficients.append(inner(step, direction))
        direction = direction - coefficients[-1] * change
    direction = inverse_curvature * direction
    for (step, change), coefficient in zip(memory.arrays, reversed(coefficients), strict=True):
        direction = direction + (coefficient - inner(change, direction)) * step
    return direction


FROM_THE_START = Lbfgs(slow=0.0)
