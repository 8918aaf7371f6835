"""Move clusters without weight, and initial centers that are equal, to the rows that are farthest from all centers."""

from __future__ import annotations

__all__ = ["Relocation", "relocate", "separate_equal_centers"]

import math
from typing import NamedTuple

import torch
from torch import Tensor

from ..data.block import Block
from ..data.source import Source
from ..data.top_rows import is_first, top_rows
from ..kernels import nearest
from ..model.params import Params
from ..objectives import Objective
from ..solvers import Solver
from ..solvers.loop import LoopResult, Position, evaluate


class Relocation(NamedTuple):
    """The clusters that a restart has moved, and the run to return to if this does not help.

    Attributes
    ----------
    before : LoopResult
        The result before the last move.
    has_moved : Tensor (k,) of bool
        Clusters that were moved in this restart; they are not moved again.
    """

    before: LoopResult
    has_moved: Tensor

    def best_of(self, after: LoopResult, objective: Objective) -> LoopResult:
        """Return the better result of those before and after the move, with the ending of the latter if it was cut."""
        values = [objective.selection_value(run.best.params, run.best.sums) for run in (self.before, after)]
        best = after if values[1] < values[0] else self.before
        return best._replace(ending=after.ending if after.was_cut else best.ending, n_passes=after.n_passes)


def separate_equal_centers(objective: Objective, source: Source, centers: Tensor) -> Tensor:
    """Return initial centers (k, d), where those that equal an earlier one are moved to the farthest rows.

    Every update moves equal centers alike, so they would never separate. Frozen centers stay.
    """
    if not _has_equal_rows(centers):
        return centers
    frozen = _frozen(objective, len(centers))
    # Of equal centers, a frozen one counts as the first.
    order = torch.cat([frozen.nonzero()[:, 0], (~frozen).nonzero()[:, 0]])
    is_repeated = torch.zeros_like(frozen)
    is_repeated[order] = ~is_first(centers[order])
    return _with_far_rows(objective, source, centers, is_repeated & ~frozen)[0]


def _has_equal_rows(centers: Tensor) -> bool:
    """Return whether two centers (k, d) are equal."""
    numbers = centers.cpu().numpy() + 0.0  # which turns -0 into 0
    return len({row.tobytes() for row in numbers}) < len(numbers)


def relocate(
    objective: Objective, source: Source, solver: Solver, run: LoopResult, has_moved: Tensor | None = None
) -> tuple[Relocation, Position] | None:
    """Move the clusters without weight to the farthest rows, and evaluate the result in a pass.

    A center without weight does not move by itself. At fixed priors, a move lowers the objective: the cluster adds to
    the likelihood of rows near its center, and took part in none before.

    Parameters
    ----------
    objective : Objective
        Objective to minimize.
    source : Source
        The rows, shifted and scaled.
    solver : Solver
        The solver, which starts again without memory.
    run : LoopResult
        The result of a run.
    has_moved : Tensor (k,) of bool, optional
        Clusters that must not be moved again.

    Returns
    -------
    tuple of (Relocation, Position) or None
        The position from which the fit continues; None if no cluster can be moved or the objective is not lower.
    """
    (centers, *_), stats = run.best.params, run.best.sums.stats
    is_empty = stats.weight <= torch.finfo(stats.weight.dtype).tiny
    if not bool(is_empty.any()):
        return None
    fixed = _frozen(objective, len(centers)) if has_moved is None else has_moved | _frozen(objective, len(centers))
    moved, has_moved_now = _with_far_rows(objective, source, centers, is_empty & ~fixed)
    if not bool(has_moved_now.any()):
        return None
    params = _with_new_clusters(objective, run.best.params._replace(centers=moved), stats.weight, has_moved_now, source)
    current = evaluate(objective, source, params)
    before, after = (objective.selection_value(at.params, at.sums) for at in (run.best, current))
    if not after < before:
        return None
    relocation = Relocation(run, has_moved_now if has_moved is None else has_moved | has_moved_now)
    return relocation, Position(solver.init(objective, params), current, current, run.n_passes + 1)


def _frozen(objective: Objective, n_clusters: int) -> Tensor:
    """Return whether each center (k,) is frozen."""
    frozen, device = objective.spec.frozen, objective.scaling.shift.device
    return torch.zeros(n_clusters, dtype=torch.bool, device=device) if frozen is None else frozen


def _with_far_rows(objective: Objective, source: Source, centers: Tensor, is_moved: Tensor) -> tuple[Tensor, Tensor]:
    """Return the centers with some (k,) moved to the farthest distinct rows, and which (k,) there were rows for.

    The farthest row has the largest weight times distance from the nearest of the other centers. Rows farther than the
    noise distance are left out.
    """
    if not bool(is_moved.any()) or bool(is_moved.all()):
        return centers, torch.zeros_like(is_moved)
    others, distance, noise = centers[~is_moved], objective.scaling.distance, objective.spec.noise

    def weighted_distances(block: Block) -> Tensor:
        d = nearest(block, others, distance)[1].to(block.w)
        return block.w * (d if noise is None else torch.where(d <= noise, d, 0.0))

    rows = top_rows(source, int(is_moved.sum()), weighted_distances)
    clusters = is_moved.nonzero()[: len(rows), 0]
    return centers.index_copy(0, clusters, rows.to(centers)), torch.zeros_like(is_moved).index_fill(0, clusters, True)


def _with_new_clusters(objective: Objective, params: Params, weight: Tensor, is_new: Tensor, source: Source) -> Params:
    """Return the parameters with a temperature and a prior for clusters that begin again with one row each.

    A prior that is learned begins with 1/n, a temperature per cluster with the mean of the others.
    """
    centers, t, log_prior = params
    if objective.temperature.learned and objective.temperature.per_cluster:
        t = torch.where(is_new, weight @ t / weight.sum(), t)
    if objective.spec.learn_priors:
        in_others = torch.ones_like(log_prior, dtype=torch.bool)
        in_others[: len(is_new)] = ~is_new
        left = 1 - int(is_new.sum()) / source.n_rows
        others = log_prior - log_prior[in_others].logsumexp(0) + math.log(left)
        log_prior = torch.where(in_others, others, -math.log(source.n_rows))
    return Params(centers, t, log_prior)
