"""Online expectation-maximization: a step after every batch of rows, ever smaller."""

from __future__ import annotations

__all__ = ["Online", "RunningStats", "stationary_stats"]

import math
from dataclasses import dataclass, replace
from numbers import Real
from typing import NamedTuple

import torch
from torch import Tensor
from typing_extensions import override

from .._utils.checks import check_share
from ..errors import InputError
from ..model.m_step import distortion_after
from ..model.params import Params, PassStats
from ..model.stats import Stats
from ..objectives import Objective
from ..objectives.base import each
from .base import Solver

TRACE = 1e-9  # what a first batch leaves of the start: clusters that it lacks keep their centers, and can come back
RARE = 0.01  # of an equal share of the rows: clusters that have less are still to be waited for
PATIENCE = 4  # for how many batches, at most


class RunningStats(NamedTuple):
    """What is known of all rows so far.

    Attributes
    ----------
    stats : Stats
        Their sums, per unit of weight, in which later rows count for more; the distortions are those at the present
        centers.
    seen : float
        Their weight.
    unit : float
        The weight of the first batch: one unit of time. 0 before there is one.
    """

    stats: Stats
    seen: float = 0.0
    unit: float = 0.0


class _State(NamedTuple):
    params: Params
    running: RunningStats
    whole: Stats | None = (
        None  # of all batches of this pass, each row as it was met; distortions at the present centers
    )
    guess: bool = False
    patience: int = 2


@dataclass(frozen=True)
class Online(Solver):
    """Stochastic EM: sums of each batch are blended into running ones, from which centers, T and priors follow.

    Time t goes by weight, and is 1 after the first batch, of which the running sums then consist. A short time dt later
    they have been replaced to a share of t^-kappa dt, so a batch of weight 2 counts for as much as that batch twice.
    While first batches lack a cluster, up to four are waited for before anything moves. From its second pass over the
    same rows on, a fit ends where EM leads from the sums of a whole pass: each row is in them once, and it does not
    matter which came last.

    What a pass finds, which callbacks are told and ``tol`` goes by, is what batches found as they were met, each at the
    centers of the time. Rows in memory are drawn into batches of up to 16384, at least 32, the same every time; other
    sources step after each of their blocks.

    Cappé & Moulines, "On-line expectation-maximization algorithm for latent data models", JRSS B 2009.

    Parameters
    ----------
    kappa : float
        Above 0.5 and at most 1: how fast steps shrink. With 1 all rows count the same for ever, those that went to
        another cluster when centers were elsewhere included; less forgets them sooner.
    forgetting : float
        From 0 to below 1: the share of all that is known which a batch of the first one's weight replaces at least. 0
        is for rows that stay alike; with more, centers follow rows that change, and never come to rest.
    """

    kappa: float = 0.6
    forgetting: float = 0.0
    needs_update = True
    needs_gradient = True  # or rather what comes with it, an objective that adds up over batches
    by_batches = True

    def __post_init__(self) -> None:
        if not isinstance(self.kappa, Real) or not 0.5 < self.kappa <= 1:
            raise InputError(f"kappa={self.kappa!r}: give a number above 0.5 and at most 1")
        check_share("forgetting", self.forgetting)
        if self.forgetting == 1:
            raise InputError("forgetting=1 leaves nothing of what is known: give a number below 1")

    @override
    def init(self, objective: Objective, params: Params, running: RunningStats | None = None) -> _State:
        """Give the state to start from; what is known already, if something is, goes with the point."""
        return _State(params, running or RunningStats(stationary_stats(objective, params)))

    @override
    def step(self, objective: Objective, state: _State, sums: PassStats) -> _State:
        stats, running = sums.stats, state.running
        n = float(stats.n)
        if not n > 0:
            return state
        whole = stats if state.whole is None else state.whole + stats
        unit = running.unit or n
        kept = self._kept(running.seen / unit, n / unit)
        blend = running.stats * kept + stats * ((1 - kept) / n)
        running = RunningStats(blend, running.seen + n, unit)
        if _waits(running):
            return state._replace(running=running, whole=whole)
        params = objective.update(state.params, PassStats(blend))
        blend, whole = (_carried(sums, params, state.params) for sums in (blend, whole))
        return state._replace(params=params, running=running._replace(stats=blend), whole=whole)

    @override
    def settle(self, objective: Objective, state: _State) -> tuple[_State, Params]:
        params, whole = state.params, state.whole
        if whole is not None and state.running.seen > 1.5 * float(whole.n) and not self.forgetting:
            params = objective.update(params, PassStats(whole))
        return state._replace(whole=None), params

    def _kept(self, t: float, dt: float) -> float:
        """Give what share of the running sums stays from time t to t + dt."""
        if t == 0:
            return TRACE
        power = 1 - self.kappa
        passed = ((t + dt) ** power - t**power) / power if power > 0 else math.log1p(dt / t)
        return math.exp(-max(passed, -math.log1p(-self.forgetting) * dt))


def _carried(stats: Stats, params: Params, before: Params) -> Stats:
    """Give the same sums, distortions taken at new centers: they alone depend on where the centers are."""
    return replace(stats, distortion=distortion_after(params.centers, before, stats))


def _waits(running: RunningStats) -> bool:
    rarest = float(running.stats.weight.min()) * len(running.stats.weight)
    return rarest < RARE and running.seen < PATIENCE * running.unit


def stationary_stats(
    objective: Objective, params: Params, shares: Tensor | None = None, mean_distance: float | None = None
) -> Stats:
    """Make up sums, per unit of weight, from which EM would lead to the point itself.

    Parameters
    ----------
    objective : Objective
        What is minimized.
    params : Params
        The point.
    shares : Tensor (k,), optional
        Each cluster's share of the weight; its prior by default.
    mean_distance : float, optional
        Of a row from its center, where T does not say it.
    """
    k, n_features = params.centers.shape
    share = params.log_prior[:k].exp() if shares is None else shares
    typical = each(lambda t: objective.scaling.distance.mean_distortion(t, n_features), params.temperature)
    if mean_distance is not None and not objective.temperature.learned:
        typical = torch.full_like(typical, mean_distance)
    irls_weight = share * objective.scaling.distance.slope(typical.clamp_min(1e-150))
    nothing = torch.zeros_like(share)
    return Stats(
        share,
        irls_weight,
        irls_weight[:, None] * params.centers,
        nothing,
        share * typical,
        nothing.sum(),
        nothing.sum() + 1,
    )
