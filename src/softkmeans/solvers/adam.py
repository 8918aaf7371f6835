"""Adam: gradient descent with an adaptive step size for each coordinate."""

from __future__ import annotations

__all__ = ["Adam"]

import math
from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor
from typing_extensions import override

from ..model.params import Params, PassStats
from ..objectives import Objective
from .base import Solver

BETA_1, BETA_2 = 0.9, 0.999  # decay of the mean gradient and of the mean squared gradient
EPSILON = 1e-8  # added to the root of the mean squared gradient
MAX_PASSES_WITHOUT_DECREASE = 20  # after more of them, the step size is halved
RETRY_DIVISOR = 4  # of the step size, if the objective stops falling where its gradient is not small
MIN_LR_RATIO = 1e-6  # to the initial step size; smaller steps are not tried


class _State(NamedTuple):
    params: Params
    mean: Tensor  # moving average of the gradient
    mean_square: Tensor  # moving average of its square
    lr: float
    n_steps: int = 0
    lowest: float = math.inf  # lowest objective so far
    n_without_decrease: int = 0  # passes since then, or since the step size was halved
    is_trial: bool = False
    patience: int = 60  # Adam overshoots and returns; it may need dozens of passes to improve on its best value


@dataclass(frozen=True)
class Adam(Solver):
    """Adam on the whole data. The step size is halved whenever the objective stops falling.

    Steps are in units of the spread of the rows around each center, so that they suit clusters of all scales. If the
    objective no longer falls although its gradient is not small, Adam starts again from the best centers, with smaller
    steps.

    Kingma & Ba, "Adam: a method for stochastic optimization", ICLR 2015.

    Parameters
    ----------
    lr : float, default=0.1
        Initial step size, in units of the spread of the rows around a center.
    """

    lr: float = 0.1
    checks_gradient = True
    is_gradual = True

    @override
    def init(self, objective: Objective, params: Params) -> _State:
        zeros = objective.pack(params).mul(0)
        return _State(params, zeros, zeros, self.lr)

    @override
    def step(self, objective: Objective, state: _State, sums: PassStats) -> _State:
        gradient = objective.gradient(state.params, sums) / sums.stats.n
        mean = state.mean.lerp(gradient, 1 - BETA_1)
        mean_square = (state.mean_square * BETA_2).addcmul(gradient, gradient, value=1 - BETA_2)
        n_steps = state.n_steps + 1
        # Both averages start at 0; the divisions correct this bias.
        step_size = state.lr / (1 - BETA_1**n_steps)
        root = mean_square.sqrt() / math.sqrt(1 - BETA_2**n_steps)
        step = mean / (root + EPSILON) * objective.length_scales(state.params, sums)
        vector = objective.pack(state.params).sub(step, alpha=step_size)
        after = _with_next_lr(state, objective.value(state.params, sums))
        params = objective.unpack(vector, state.params)
        return after._replace(params=params, mean=mean, mean_square=mean_square, n_steps=n_steps)

    @override
    def retry(self, objective: Objective, state: _State, best: Params) -> _State | None:
        lr = min(state.lr, self.lr) / RETRY_DIVISOR
        if lr < self.lr * MIN_LR_RATIO:
            return None
        return self.init(objective, best)._replace(lr=lr, lowest=state.lowest)


def _with_next_lr(state: _State, value: float) -> _State:
    """Return the state with the step size halved if the objective has not fallen for many passes."""
    if value < state.lowest:
        return state._replace(lowest=value, n_without_decrease=0)
    if state.n_without_decrease < MAX_PASSES_WITHOUT_DECREASE:
        return state._replace(n_without_decrease=state.n_without_decrease + 1)
    return state._replace(lr=state.lr / 2, n_without_decrease=0)
