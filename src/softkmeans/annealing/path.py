"""The annealing path: the optimum at a series of decreasing temperatures, with its splits and jumps."""

from __future__ import annotations

__all__ = ["AnnealingPath", "Level", "Transition", "annealing_path"]

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from .._utils.brief import with_brief_repr
from .._utils.checks import check_count, check_not_negative
from ..data.convert import as_source
from ..data.scaling import Scaling
from ..data.source import Source
from ..distances import Distance, as_distance
from ..errors import InputError
from ..model.params import ModelSpec
from ..objectives import FreeEnergy
from ..settings import RunOptions, Settings, documented
from ..temperature import Fixed, Schedule
from .anneal import AnnealingState, anneal, initial_state, with_equal_priors

LARGE_N_ROWS = 10_000  # with more rows, passes are expensive, and the default tolerance is larger
TOL_SMALL = 1e-5
TOL_LARGE = 1e-3
# First and last temperature of a path by default, in units of the critical temperature.
FIRST_TEMPERATURE = 1.05
LAST_TEMPERATURE = 1e-3
MIN_CRITICAL_TEMPERATURE = 1e-30  # in the units of the scaled data; below, all rows are equal up to rounding


@with_brief_repr
class Level(NamedTuple):
    """The optimum at one temperature of an annealing path.

    Attributes
    ----------
    temperature : float
        T, in the data's units.
    centers : ndarray (k, d)
        Centers of the distinct clusters.
    priors : ndarray (k,)
        Learned priors of the clusters; equal at the last level of a path.
    weights : ndarray (k,)
        Cluster weights Σ w r, divided by Σw.
    parents : ndarray (k,) of int
        For each cluster, its parent cluster in the previous level; -1 at the first level.
    instability : ndarray (k,)
        2 λ_max / T of each cluster, or the corresponding quantity for other distances: above 1, the cluster splits. It
        is no longer updated once the path has reached ``max_clusters``.
    free_energy, distortion, entropy : float
        F = -T Σ w log Σ_k π_k exp(-d / T) with the priors π, E and H, summed over the rows. F does not change if a
        cluster is replaced by two with the same center. If priors are equal, the F of plain soft k-means is lower by
        T Σw log k.
    """

    temperature: float
    centers: NDArray[np.float64]
    priors: NDArray[np.float64]
    weights: NDArray[np.float64]
    parents: NDArray[np.int64]
    instability: NDArray[np.float64]
    free_energy: float
    distortion: float
    entropy: float


@with_brief_repr
class Transition(NamedTuple):
    """A split of a cluster, or a jump of its center.

    Attributes
    ----------
    temperature : float
        Temperature of the transition; for a split, the temperature at which the cluster becomes unstable.
    level : int
        Number of the first level after the transition.
    cluster : int
        Number of the cluster in the previous level.
    kind : {"split", "jump"}
        "split": the cluster became unstable and was replaced by several. "jump": its center moved discontinuously,
        although it was stable.
    """

    temperature: float
    level: int
    cluster: int
    kind: str


@with_brief_repr
class AnnealingPath(NamedTuple):
    """The optima at a series of decreasing temperatures, each found from the one before.

    Attributes
    ----------
    levels : tuple of Level
        One level per temperature; the last one has equal priors and is an optimum of plain soft k-means.
    transitions : tuple of Transition
        Splits and jumps between the levels, by decreasing temperature.
    critical_temperature : float
        T_c, below which a single cluster is unstable.
    weight : float
        Total weight Σw; the number of rows if they have no weights.
    """

    levels: tuple[Level, ...]
    transitions: tuple[Transition, ...]
    critical_temperature: float
    weight: float

    @property
    def temperatures(self) -> NDArray[np.float64]:
        """Temperature (m,) of each level."""
        return np.array([level.temperature for level in self.levels])

    @property
    def n_clusters(self) -> NDArray[np.int64]:
        """Number of distinct clusters (m,) at each level."""
        return np.array([len(level.centers) for level in self.levels])

    @property
    def perplexity(self) -> NDArray[np.float64]:
        """Effective number of clusters (m,) that a row belongs to at each level: exp(H / Σw)."""
        return np.exp([level.entropy / self.weight for level in self.levels])

    def lifetimes(self) -> dict[int, float]:
        """Return the lifetime of each number of clusters k: the width of its temperature range in log T.

        One cluster and the last number of clusters are left out, because their temperature ranges are unbounded.
        """
        lifetimes = dict[int, float]()
        for (hot, k), (cold, _) in pairwise(self.changes()):
            lifetimes[k] = lifetimes.get(k, 0.0) + math.log(hot / cold)
        return lifetimes

    def changes(self) -> list[tuple[float, int]]:
        """Return the temperatures at which the number of clusters changes, in decreasing order, and the new numbers."""
        changes = list[tuple[float, int]]()
        for level, (before, after) in enumerate(pairwise(self.n_clusters.tolist()), 1):
            temperatures = [t.temperature for t in self.transitions if (t.level, t.kind) == (level, "split")]
            if before != after:
                temperatures = temperatures or [self.levels[level].temperature]  # without a split, clusters have merged
                counts = np.linspace(before, after, len(temperatures) + 1).round().astype(int)[1:]
                changes += zip(temperatures, counts.tolist(), strict=True)
        return changes


@documented
def annealing_path(
    X: ArrayLike | Tensor | Source,
    temperatures: Sequence[float] | Schedule | None = None,
    *,
    n_temperatures: int = 50,
    max_clusters: int = 32,
    tol: float | None = None,
    distance: str | Distance = Settings.distance,
    sample_weight: ArrayLike | Tensor | None = RunOptions.sample_weight,
    device: str | torch.device | None = RunOptions.device,
    on_level: Callable[[Level], Any] | None = None,
) -> AnnealingPath:
    """Follow the optimum from above the critical temperature down to hard clustering.

    There is one center for each distinct cluster, with its own prior. A cluster is unstable and is split when the
    largest eigenvalue of its covariance exceeds T / 2. The path is deterministic: it does not depend on random numbers.

    Rose, "Deterministic annealing for clustering, compression, classification, regression, and related optimization
    problems", Proc. IEEE 1998, in the mass-constrained version.

    Parameters
    ----------
    X : array-like, sparse matrix, frame, Tensor (n, d) or Source
        The rows.
    temperatures : sequence of float or Schedule, default=None
        Decreasing temperatures, in the data's units. By default, ``n_temperatures`` values in geometric progression
        from 1.05 to 0.001 times the critical temperature.
    n_temperatures : int, default=50
        Number of temperatures, if they are not given.
    max_clusters : int, default=32
        Maximum number of distinct clusters. Once it is reached, the path continues without splits.
    tol : float, default=None
        Tolerance: the fit at each temperature stops after a pass that lowers F by no more than ``tol`` times E. Near a
        transition, clusters separate slowly; a small ``tol`` follows them closely, but needs more passes. By default,
        1e-5, or 1e-3 for more than 10,000 rows.
    {distance}
    {sample_weight}
    {device}
    on_level : callable, default=None
        Called with every `Level` as soon as it is computed.

    Returns
    -------
    AnnealingPath
        The levels, and the transitions between them.

    Raises
    ------
    InputError
        If the data or a parameter is invalid, if the temperatures do not decrease, or if all rows are the same.

    Examples
    --------
    >>> from softkmeans import annealing_path
    >>> path = annealing_path([[-3.1], [-2.9], [2.9], [3.1]], max_clusters=2, n_temperatures=8)
    >>> path.n_clusters
    array([1, 2, 2, 2, 2, 2, 2, 2])
    >>> [(t.kind, round(t.temperature, 1), round(path.critical_temperature, 1)) for t in path.transitions]
    [('split', 18.0, 18.0)]
    """
    source = as_source(X, sample_weight, device=device)
    check_count("n_temperatures", n_temperatures)
    check_count("max_clusters", max_clusters)
    if tol is None:
        tol = TOL_SMALL if source.n_rows <= LARGE_N_ROWS else TOL_LARGE
    check_not_negative("tol", tol)
    scaling = Scaling.of(source, as_distance(distance))
    goal, view = FreeEnergy(scaling, Fixed(1.0), ModelSpec(learn_priors=True)), scaling.view(source)
    start = initial_state(goal, view)
    critical = float(start.evaluation.params.temperature[0])
    if critical < MIN_CRITICAL_TEMPERATURE:
        raise InputError("all rows are the same", hint="an annealing path needs at least two distinct rows")
    if temperatures is None:
        first, last = FIRST_TEMPERATURE * critical, LAST_TEMPERATURE * critical
        schedule = np.geomspace(first, last, n_temperatures).tolist()
    else:
        rule = Schedule.of(temperatures)
        schedule = [*rule.stages(scaling), rule.start(scaling, lambda: 0.0)]
    levels, transitions = list[Level](), list[Transition]()
    for state in anneal(goal, view, start, schedule, max_clusters, tol=tol):
        if len(levels) == len(schedule) - 1:
            state = with_equal_priors(scaling, view, state, tol)
        transitions += _transitions(state, len(levels), scaling.unit)
        levels.append(_level(goal, state, is_first=not levels))
        if on_level is not None:
            on_level(levels[-1])
    weight = float(start.evaluation.sums.stats.n)
    return AnnealingPath(tuple(levels), tuple(transitions), critical * scaling.unit, weight)


def _level(goal: FreeEnergy, state: AnnealingState, *, is_first: bool) -> Level:
    """Return a level of the path, in the data's units."""
    params, sums, value = state.evaluation
    unit, t = goal.scaling.unit, float(params.temperature[0])
    return Level(
        temperature=t * unit,
        centers=goal.scaling.inverse_transform(params.centers).cpu().numpy(),
        priors=params.log_prior.exp().cpu().numpy(),
        weights=(sums.stats.weight / sums.stats.n).cpu().numpy(),
        parents=np.full(len(params.centers), -1) if is_first else state.parents.cpu().numpy(),
        instability=state.directions.growth.cpu().numpy(),
        free_energy=(value + t * float(sums.stats.n) * math.log(len(params.centers))) * unit,
        distortion=goal.distortion(sums.stats) * unit,
        entropy=goal.entropy(params, sums),
    )


def _transitions(state: AnnealingState, level: int, unit: float) -> list[Transition]:
    """Return the transitions from the previous level to this one, by decreasing temperature."""
    splits = [Transition(t * unit, level, cluster, "split") for cluster, t in state.splits]
    jumps = [Transition(t * unit, level, cluster, "jump") for cluster, t in state.jumps]
    return sorted(splits + jumps, key=lambda transition: -transition.temperature)
