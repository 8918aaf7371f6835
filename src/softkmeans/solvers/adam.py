"""Adam: gradient descent with an adaptive step size for each coordinate."""

from __future__ import annotations

__all__ = ["Adam"]

from dataclasses import dataclass
from typing import NamedTuple

import torch
from typing_extensions import override

from ..model.params import Params, PassStats
from ..objectives import Objective
from .base import Solver


class _State(NamedTuple):
    params: Params
    vector: torch.Tensor  # the flattened parameters, which the optimizer changes in place
    optimizer: torch.optim.Adam
    scheduler: torch.optim.lr_scheduler.ReduceLROnPlateau
    is_trial: bool = False
    patience: int = 60  # Adam overshoots and returns; it may need dozens of passes to improve on its best value


@dataclass(frozen=True)
class Adam(Solver):
    """Adam on the whole data. The step size is halved whenever the objective stops falling.

    Kingma & Ba, "Adam: a method for stochastic optimization", ICLR 2015.

    Parameters
    ----------
    lr : float, default=0.1
        Initial step size, in units of the spread of the data.
    """

    lr: float = 0.1

    @override
    def init(self, objective: Objective, params: Params) -> _State:
        vector = objective.pack(params).clone()
        optimizer = torch.optim.Adam([vector], lr=self.lr)
        scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(
            optimizer, factor=0.5, patience=20, threshold=0.0, threshold_mode="abs", eps=0.0
        )
        return _State(params, vector, optimizer, scheduler)

    @override
    def step(self, objective: Objective, state: _State, sums: PassStats) -> _State:
        state.vector.grad = objective.gradient(state.params, sums) / sums.stats.n
        state.optimizer.step()
        state.scheduler.step(objective.value(state.params, sums))
        params = objective.unpack(state.vector.clone(), state.params)  # the optimizer changes the vector in place
        state.vector.copy_(objective.pack(params))  # unpacking projects centers back to the sphere, if they lie on one
        return state._replace(params=params)
