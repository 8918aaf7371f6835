"""Detect centers that coincide: clusters that no row tells apart. Describe why, and what to do."""

from __future__ import annotations

__all__ = ["coincident_clusters", "coincident_in_fit", "critical_temperature_of_fit", "describe_coincidence"]

import torch
from torch import Tensor

from .._utils.few_numbers import as_array, from_array, joined, quietly, sum_of, where
from .._utils.reductions import pairwise_distances
from ..data.block import BLOCK
from ..data.source import Source
from ..errors import Message, Setting
from ..kernels.small import memberships
from ..model.assignment import AssignmentRule
from ..model.params import Evaluation
from ..model.stats import Stats
from ..objectives import Objective
from ..temperature.moments import MAX_EIGH_FEATURES, largest_variance

MAX_MEMBERSHIP_DIFFERENCE = 0.02  # of a typical row in two clusters that coincide


@quietly
def coincident_clusters(
    centers: Tensor, beta: Tensor, typical_distance: float, degree: int, rule: AssignmentRule
) -> list[int]:
    """Return the clusters whose center coincides with that of an earlier cluster.

    Two centers coincide if a row at the typical distance from the one, and as much farther from the other as the
    centers are apart, has nearly equal memberships in both.

    Parameters
    ----------
    centers : Tensor (k, d)
        Centers.
    beta : Tensor (k,)
        Inverse temperatures; 1 for an assignment rule without a temperature.
    typical_distance : float
        Mean distance of a row from the centers.
    degree : int
        The power of the Euclidean distance that the distance is proportional to.
    rule : AssignmentRule
        The assignment rule.

    Examples
    --------
    >>> from softkmeans.model.assignment import Softmax
    >>> centers, beta = torch.tensor([[0.0], [5.0], [0.001]]), torch.ones(3)
    >>> coincident_clusters(centers, beta, 1.0, 2, Softmax())
    [2]
    """
    found, k, numbers, betas = list[int](), len(centers), as_array(centers), as_array(beta)
    has_one_beta = bool((betas == betas[0]).all())
    index = torch.arange(k, device=centers.device)
    for start in range(0, k, n_tile := max(1, BLOCK // k)):  # memory for all pairs at once would grow with k²
        tile = as_array(index[start : start + n_tile])
        earlier = as_array(index) < tile[:, None]  # (m, k)
        if has_one_beta:  # if the nearest of the earlier centers does not coincide, no other does
            apart = as_array(pairwise_distances(centers[start : start + n_tile], centers))
            later, other = (part[start == 0 :] for part in (tile, where(earlier, apart, torch.inf).argmin(1)))
        else:
            rows, other = map(as_array, from_array(earlier).nonzero(as_tuple=True))
            later = tile[rows]
        steps = numbers[later] - numbers[other]
        farther = (typical_distance ** (1 / degree) + (steps * steps).sum(1) ** 0.5) ** degree
        logits = joined([-betas[later] * typical_distance, -betas[other] * farther]).reshape(2, -1)
        resp = as_array(memberships(from_array(logits), rule))
        coincides = abs(resp[0] - resp[1]) < MAX_MEMBERSHIP_DIFFERENCE
        found += sorted(set(later[coincides].tolist()))
    return found


def coincident_in_fit(objective: Objective, best: Evaluation) -> list[int]:
    """Return the clusters of a fit whose center coincides with that of an earlier cluster."""
    stats, distance, rule = best.sums.stats, objective.scaling.distance, objective.spec.rule
    typical = _typical_distance(objective, stats)
    return coincident_clusters(best.params.centers, 1 / best.params.temperature, typical, distance.degree, rule)


def _typical_distance(objective: Objective, stats: Stats) -> float:
    """Return the mean distance of a row from the centers; 0 if all clusters are empty."""
    distance, rule = objective.scaling.distance, objective.spec.rule
    distortion, weight, irls_weight = map(sum_of, (stats.distortion, stats.weight, stats.irls_weight))
    if rule.uses_temperature or not distance.is_radial:
        total = weight if rule.uses_temperature else irls_weight
        return distortion / total if total > 0 else 0.0
    # The sums of other rules have the weights u^m, whose total is not known: solve d / (∂d/∂‖x - c‖²) = E / A for d.
    ratio = distortion / irls_weight if irls_weight > 0 else 0.0
    if distance.constant_slope is not None:
        return ratio * distance.constant_slope
    typical: float = (ratio * distance.degree / 2) ** (distance.degree / 2)
    return typical


def critical_temperature_of_fit(objective: Objective, view: Source) -> float | None:
    """Return T_c in the units of the scaled data; None if it is unknown, or is expensive to compute."""
    is_known = objective.scaling.distance.is_squared and objective.spec.noise is None
    return 2 * largest_variance(view) if is_known and view.n_features <= MAX_EIGH_FEATURES else None


def describe_coincidence(
    centers: Tensor,
    coincident: list[int],
    name: str,
    value: float,
    critical: float | None = None,
    *,
    is_learned: bool = False,
) -> Message:
    """Describe which centers coincide, why they do, and what to do, in one line.

    Parameters
    ----------
    centers : Tensor (k, d)
        Centers.
    coincident : list of int
        The result of `coincident_clusters`, not empty.
    name, value : str, float
        The parameter that makes memberships soft: the temperature, or the parameter of an assignment rule without one.
    critical : float, optional
        The critical temperature, if all centers coincide at a given temperature.
    is_learned : bool
        Whether the temperature is learned.

    Examples
    --------
    >>> describe_coincidence(torch.tensor([[0.0], [0.1]]), [1], "temperature", 9.0, critical=5.0)
    'all 2 centers coincide, because temperature 9 is above the critical temperature 5: lower the temperature'
    """
    k = len(centers)
    hint = Message("lower ", "the temperature" if name == "temperature" else Setting(name))
    if is_learned:
        hint = Message("lower ", Setting("n_clusters"))
    other_start = "use other initial centers, or lower "
    if critical is not None and value > critical:
        reason = f"because {name} {value:.4g} is above the critical temperature {critical:.4g}"
    elif _n_equal(centers) == len(coincident):
        reason = "because they are equal, and every update moves them alike"
        hint = Message(other_start, Setting("n_clusters"))
    elif critical is not None:
        reason = f"although {name} {value:.4g} is below the critical temperature {critical:.4g}"
        hint = Message(other_start, Setting("tol"))
    else:
        reason = f"because {name} {value:.4g} is too high to separate clusters"
    count = f"all {k}" if len(coincident) == k - 1 else f"{len(coincident) + 1} or more of {k}"
    return Message(f"{count} centers coincide, {reason}: ", hint)


def _n_equal(centers: Tensor) -> int:
    """Return the number of centers that are equal to an earlier one."""
    return len(centers) - len(torch.unique(centers, dim=0))
