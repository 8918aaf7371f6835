"""The annealing path: from one cluster to many as the temperature falls, with all that happens on the way."""

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

from .._utils.checks import check_count, check_tol
from ..data.convert import as_source
from ..data.scaling import Scaling
from ..data.source import Source
from ..distances import Distance, as_distance
from ..errors import InputError
from ..model.params import ModelSpec
from ..objectives import FreeEnergy
from ..temperature import Fixed, Schedule
from .anneal import AnnealingState, anneal, initial_state, with_equal_priors

MANY, CLOSE, ROUGH = 10_000, 1e-5, 1e-3  # rows from which on passes are dear, and how closely to look
HOTTEST, COLDEST = 1.05, 1e-3  # in critical temperatures: where a path begins and ends by default


class Level(NamedTuple):
    """The optimum at a temperature.

    Attributes
    ----------
    temperature : float
        T, in the data's units.
    centers : ndarray (k, d)
        One for each distinct cluster.
    priors : ndarray (k,)
        The clusters' priors, learned; at the last level of a path all the same.
    shares : ndarray (k,)
        The clusters' weights Σ w r over Σw.
    parents : ndarray (k,) of int
        The cluster of the level before that each came from; -1 at the first level.
    instability : ndarray (k,)
        2 λ_max / T of each cluster, or what comes in its place for other distances: above 1, it splits. As it was last
        looked at, which is where the path ran out of room for more clusters.
    free_energy, distortion, entropy : float
        F = -T Σ w log Σ_k π_k exp(-d / T), with the masses π, E and H, summed over the rows. F does not change where a
        cluster becomes two in the same place; where masses are equal, plain soft k-means' F is lower by T Σw log k.
    """

    temperature: float
    centers: NDArray[np.float64]
    priors: NDArray[np.float64]
    shares: NDArray[np.float64]
    parents: NDArray[np.int64]
    instability: NDArray[np.float64]
    free_energy: float
    distortion: float
    entropy: float


class Transition(NamedTuple):
    """A change of the optimum that is more than a drift.

    Attributes
    ----------
    temperature : float
        Where it happens: for a split, where the cluster loses its stability.
    level : int
        Number of the first level after it.
    cluster : int
        Number of the cluster in the level before.
    kind : {"split", "jump"}
        A cluster lost its stability and became several; or its center is suddenly elsewhere, though it did not.
    """

    temperature: float
    level: int
    cluster: int
    kind: str


class AnnealingPath(NamedTuple):
    """Optima at falling temperatures, each followed from the one before.

    Attributes
    ----------
    levels : tuple of Level
        One for each temperature; the last with equal masses, as the optimum of plain soft k-means.
    transitions : tuple of Transition
        What happened between them, by falling temperature.
    critical_temperature : float
        T_c, below which one cluster is no longer stable.
    weight : float
        Σw, the number of rows where nothing is weighted.
    """

    levels: tuple[Level, ...]
    transitions: tuple[Transition, ...]
    critical_temperature: float
    weight: float

    @property
    def temperatures(self) -> NDArray[np.float64]:
        """T (m,) of the levels."""
        return np.array([level.temperature for level in self.levels])

    @property
    def n_clusters(self) -> NDArray[np.int64]:
        """How many distinct clusters (m,) there are at the levels."""
        return np.array([len(level.centers) for level in self.levels])

    @property
    def perplexity(self) -> NDArray[np.float64]:
        """Over how many clusters (m,) a row is spread: exp(H / Σw)."""
        return np.exp([level.entropy / self.weight for level in self.levels])

    def lifetimes(self) -> dict[int, float]:
        """Say for how long, in log temperature, there were k clusters, for each k that came and went.

        One cluster is left out, which there is up to any temperature, and so is the last number, which has no end.
        """
        found = dict[int, float]()
        for (hot, k), (cold, _) in pairwise(self.changes()):
            found[k] = found.get(k, 0.0) + math.log(hot / cold)
        return found

    def changes(self) -> list[tuple[float, int]]:
        """List the temperatures, falling, at which the number of clusters changes, and to what it does."""
        changes = list[tuple[float, int]]()
        for number, (before, after) in enumerate(pairwise(self.n_clusters.tolist()), 1):
            at = [t.temperature for t in self.transitions if (t.level, t.kind) == (number, "split")]
            if before != after:
                at = at or [self.levels[number].temperature]  # centers came to coincide
                counts = np.linspace(before, after, len(at) + 1).round().astype(int)[1:]
                changes += zip(at, counts.tolist(), strict=True)
        return changes


def annealing_path(
    X: ArrayLike | Tensor | Source,
    temperatures: Sequence[float] | Schedule | None = None,
    *,
    n_temperatures: int = 50,
    max_clusters: int = 32,
    tol: float | None = None,
    distance: str | Distance = "sqeuclidean",
    sample_weight: ArrayLike | Tensor | None = None,
    device: str | torch.device | None = None,
    on_level: Callable[[Level], Any] | None = None,
) -> AnnealingPath:
    """Follow the optimum from above the critical temperature down to hard clustering.

    There is one center for each distinct cluster, with a mass of its own; a cluster whose covariance's largest
    eigenvalue exceeds T / 2 is no longer stable and is split. Nothing is drawn at random, so that a path is always the
    same.

    Rose, "Deterministic annealing for clustering, compression, classification, regression, and related optimization
    problems", Proc. IEEE 1998, in the mass-constrained version.

    Parameters
    ----------
    X : array-like, sparse matrix, frame, Tensor (n, d) or Source
        Rows.
    temperatures : sequence of float or Schedule, optional
        Falling, in the data's units; by default ``n_temperatures`` from 1.05 to 0.001 times the critical one, each the
        same share of the one before.
    n_temperatures : int
        How many, if they are not given.
    max_clusters : int
        How many distinct clusters there are to be at most; once there are, the path goes on without splits.
    tol : float, optional
        A pass that lowers F by no more than this share of E is the last at a temperature. Near a transition clusters
        part slowly, and a low tol follows them closely, in more passes: by default it is 1e-5, and 1e-3 for more than
        10,000 rows.
    distance : {"sqeuclidean", "euclidean", "cosine"} or Distance
        What is between rows and centers.
    sample_weight : array-like or Tensor (n,), optional
        Weights of the rows.
    device : str or torch.device, optional
        Where the work is done; where X is, by default.
    on_level : callable, optional
        Is given every `Level` as soon as it is found.

    Returns
    -------
    AnnealingPath
        Levels, and the transitions between them.

    Raises
    ------
    InputError
        If the data or a parameter can't be used, temperatures rise, or all rows are the same.

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
    tol = (CLOSE if source.n_rows <= MANY else ROUGH) if tol is None else tol
    check_tol(tol)
    scaling = Scaling.of(source, as_distance(distance))
    goal, view = FreeEnergy(scaling, Fixed(1.0), ModelSpec(learn_priors=True)), scaling.view(source)
    start = initial_state(goal, view)
    critical = float(start.found.params.temperature[0])
    if critical < 1e-30:
        raise InputError("all rows are the same: there is one cluster at any temperature")
    if temperatures is None:
        schedule = np.geomspace(HOTTEST * critical, COLDEST * critical, n_temperatures).tolist()
    else:
        given = temperatures if isinstance(temperatures, Schedule) else Schedule(temperatures)
        schedule = [*given.stages(scaling), given.start(scaling, lambda: 0.0)]
    levels, transitions = list[Level](), list[Transition]()
    for state in anneal(goal, view, start, schedule, max_clusters, tol=tol):
        if len(levels) == len(schedule) - 1:
            state = with_equal_priors(scaling, view, state, tol)
        transitions += _transitions(state, len(levels), scaling.unit)
        levels.append(_level(goal, state, is_first=not levels))
        if on_level is not None:
            on_level(levels[-1])
    weight = float(start.found.sums.stats.n)
    return AnnealingPath(tuple(levels), tuple(transitions), critical * scaling.unit, weight)


def _level(goal: FreeEnergy, state: AnnealingState, *, is_first: bool) -> Level:
    params, sums, value = state.found
    unit, t = goal.scaling.unit, float(params.temperature[0])
    return Level(
        temperature=t * unit,
        centers=goal.scaling.inverse_transform(params.centers).cpu().numpy(),
        priors=params.log_prior.exp().cpu().numpy(),
        shares=(sums.stats.weight / sums.stats.n).cpu().numpy(),
        parents=np.full(len(params.centers), -1) if is_first else state.parents.cpu().numpy(),
        instability=state.directions.growth.cpu().numpy(),
        free_energy=(value + t * float(sums.stats.n) * math.log(len(params.centers))) * unit,
        distortion=goal.distortion(sums.stats) * unit,
        entropy=goal.entropy(params, sums),
    )


def _transitions(state: AnnealingState, level: int, unit: float) -> list[Transition]:
    """List what led to a level, hottest first."""
    kinds = {"split": state.splits, "jump": state.jumps}
    found = [Transition(t * unit, level, cluster, kind) for kind, events in kinds.items() for cluster, t in events]
    return sorted(found, key=lambda transition: -transition.temperature)
