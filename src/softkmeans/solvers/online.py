"""Online expectation-maximization: a step after every batch of rows, with decreasing step sizes."""

from __future__ import annotations

__all__ = ["Online", "RunningStats", "stationary_stats"]

import math
from dataclasses import dataclass, replace
from numbers import Real
from typing import NamedTuple

import torch
from torch import Tensor
from typing_extensions import override

from .._utils.checks import check_fraction
from ..errors import InputError
from ..model.m_step import distortion_after
from ..model.params import Params, PassStats
from ..model.stats import Stats
from ..objectives import Objective
from .base import Solver
from .loop import BatchPasses

# Fraction of the initial statistics that is kept after the first batch: a cluster without rows in it keeps its
# center, and can get rows later.
INITIAL_FRACTION = 1e-9
RARE_WEIGHT = 0.01  # a cluster is rare if its weight is below this fraction of the mean cluster weight
MAX_WAITING_BATCHES = 4  # maximum number of batches for which rare clusters delay the first step


class RunningStats(NamedTuple):
    """Running statistics over all batches so far.

    Attributes
    ----------
    stats : Stats
        Weighted mean of the statistics per unit of weight; later batches count for more. The distortions are those at
        the current centers.
    seen : float
        Total weight of all rows so far.
    unit : float
        Weight of the first batch, the unit of time; 0 before the first batch.
    """

    stats: Stats
    seen: float = 0.0
    unit: float = 0.0


class _State(NamedTuple):
    params: Params
    running: RunningStats
    pass_stats: Stats | None = None  # sums of this pass so far, with the distortions at the current centers
    is_trial: bool = False
    patience: int = 2


@dataclass(frozen=True)
class Online(Solver):
    """Online EM: blend the statistics of each batch into running statistics, and compute the parameters from these.

    Time t is the weight of all rows so far, divided by the weight of the first batch. After the first batch (t = 1),
    the running statistics are those of this batch. In a short time dt, a fraction t^-kappa dt of them is replaced, so
    that a batch of weight 2 counts as much as the same batch twice. If a cluster has almost no rows in the first
    batches, the first step waits for up to four batches. From the second pass over the same rows on, the final
    parameters are the EM update from the sums of the whole pass, in which each row counts once and the order of the
    rows does not matter.

    Callbacks and ``tol`` use the sum of the objective over the batches of a pass, each at the centers before its step.
    Rows in memory are split at random into at least 32 batches of at most 16384 rows, the same in every pass; for other
    sources, every block is a batch.

    Cappé & Moulines, "On-line expectation-maximization algorithm for latent data models", JRSS B 2009.

    Parameters
    ----------
    kappa : float, default=0.6
        How fast the step sizes decrease: above 0.5 and at most 1. With 1, all rows count the same, even early rows
        that were assigned by poor centers. With smaller values, early rows lose their influence sooner.
    forgetting : float, default=0.0
        Minimum fraction of the running statistics that a batch with the weight of the first one replaces: from 0 to
        below 1. Use 0 if the distribution of the rows does not change. With larger values, the centers follow a
        changing distribution, and do not converge.
    """

    kappa: float = 0.6
    forgetting: float = 0.0
    needs_update = True
    needs_gradient = True  # not used, but only objectives with a gradient are sums over batches
    supports_partial_fit = True
    passes = BatchPasses()

    def __post_init__(self) -> None:
        if not isinstance(self.kappa, Real) or not 0.5 < self.kappa <= 1:
            raise InputError(parameter="kappa", value=self.kappa, expected="a number above 0.5 and at most 1")
        check_fraction("forgetting", self.forgetting)
        if self.forgetting == 1:
            raise InputError(
                "would discard all earlier batches", parameter="forgetting", value=1, hint="give a number below 1"
            )

    @override
    def init(self, objective: Objective, params: Params, running: RunningStats | None = None) -> _State:
        """Return the initial state, with the running statistics of earlier batches if there are some."""
        return _State(params, running or RunningStats(stationary_stats(objective, params)))

    @override
    def step(self, objective: Objective, state: _State, sums: PassStats) -> _State:
        stats, running = sums.stats, state.running
        n = float(stats.n)
        if not n > 0:
            return state
        pass_stats = stats if state.pass_stats is None else state.pass_stats + stats
        unit = running.unit or n
        kept = self._kept_fraction(running.seen / unit, n / unit)
        blend = running.stats * kept + stats * ((1 - kept) / n)
        running = RunningStats(blend, running.seen + n, unit)
        if _must_wait(running):
            return state._replace(running=running, pass_stats=pass_stats)
        params = objective.update(state.params, PassStats(blend))
        return state._replace(
            params=params,
            running=running._replace(stats=_with_distortion_at(params, blend, state.params)),
            pass_stats=_with_distortion_at(params, pass_stats, state.params),
        )

    @override
    def finish_pass(self, objective: Objective, state: _State) -> tuple[_State, Params]:
        params, pass_stats = state.params, state.pass_stats
        is_second_pass = pass_stats is not None and state.running.seen > 1.5 * float(pass_stats.n)
        if pass_stats is not None and is_second_pass and not self.forgetting:
            params = objective.update(params, PassStats(pass_stats))
        return state._replace(pass_stats=None), params

    def _kept_fraction(self, t: float, dt: float) -> float:
        """Return the fraction of the running statistics that is kept from time t to t + dt."""
        if t == 0:
            return INITIAL_FRACTION
        power = 1 - self.kappa
        decay = ((t + dt) ** power - t**power) / power if power > 0 else math.log1p(dt / t)  # integral of t^-kappa
        return math.exp(-max(decay, -math.log1p(-self.forgetting) * dt))


def _with_distortion_at(params: Params, stats: Stats, old_params: Params) -> Stats:
    """Return the same statistics with the distortions at new centers; nothing else depends on the centers."""
    return replace(stats, distortion=distortion_after(params.centers, old_params, stats))


def _must_wait(running: RunningStats) -> bool:
    """Return whether the first step must wait for more batches, because a cluster has almost no rows yet."""
    rarest = float(running.stats.weight.min()) * len(running.stats.weight)
    return rarest < RARE_WEIGHT and running.seen < MAX_WAITING_BATCHES * running.unit


def stationary_stats(
    objective: Objective, params: Params, weights: Tensor | None = None, mean_distance: float | None = None
) -> Stats:
    """Return statistics, per unit of weight, for which an EM update leaves the parameters unchanged.

    Parameters
    ----------
    objective : Objective
        The objective.
    params : Params
        The parameters.
    weights : Tensor (k,), optional
        Fraction of the weight in each cluster; by default its prior.
    mean_distance : float, optional
        Mean distance of a row from its center, used if T is not learned; by default, it is computed from T.
    """
    k, n_features = params.centers.shape
    weight = params.log_prior[:k].exp() if weights is None else weights
    distance = objective.scaling.distance
    if mean_distance is not None and not objective.temperature.learned:
        typical = torch.full_like(params.temperature, mean_distance)
    elif distance.has_density:
        typical = distance.mean_distortions(params.temperature, n_features)
    else:
        typical = params.temperature
    if distance.constant_slope is None:
        irls_weight = weight * distance.with_slope(distance.to_squared(typical.clamp_min(1e-150)))[1]
    else:
        irls_weight = weight * distance.constant_slope
    zeros = torch.zeros_like(weight)
    return Stats(
        weight,
        irls_weight,
        irls_weight[:, None] * params.centers,
        zeros,
        weight * typical,
        zeros.sum(),
        zeros.sum() + 1,
    )
