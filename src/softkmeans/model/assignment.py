"""The assignment rules, which turn logits into memberships. A new rule is a class and an entry in `ASSIGNMENTS`."""

from __future__ import annotations

__all__ = ["ASSIGNMENTS", "Assignment", "AssignmentRule", "Fuzzy", "Softmax", "as_assignment", "softmax"]

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from numbers import Real
from typing import NamedTuple

import torch
from torch import Tensor
from typing_extensions import override

from .._utils.checks import check_known
from ..errors import InputError


class Assignment(NamedTuple):
    """The memberships of rows in clusters, and what follows from them for the centers and the objective.

    Attributes
    ----------
    resp : Tensor (..., k)
        Memberships. Rows sum to 1, or to less if there is a noise cluster.
    update_weight : Tensor (..., k)
        Weight of a row in the sums that determine the centers.
    objective : Tensor (...,)
        The largest value of the rule's objective for each row, at the given logits.
    """

    resp: Tensor
    update_weight: Tensor
    objective: Tensor


class AssignmentRule(ABC):
    """A function from logits b_k - β_k d_ik to memberships."""

    noise_logit: float  # the logit of the noise cluster, -inf if there is none

    @abstractmethod
    def __call__(self, logits: Tensor, dim: int = -1) -> Assignment:
        """Compute the memberships of rows in clusters.

        Parameters
        ----------
        logits : Tensor (..., k)
            One for each row and cluster.
        dim : int
            The dimension of the clusters, in the logits and in the memberships.
        """


@dataclass(frozen=True)
class Softmax(AssignmentRule):
    """The softmax of the logits, as in classical soft k-means. The objective is the log-partition function.

    Parameters
    ----------
    noise_logit : float
        The logit of the noise cluster.
    """

    noise_logit: float = -math.inf

    @override
    def __call__(self, logits: Tensor, dim: int = -1) -> Assignment:
        # exp(logits - lognorm) would be inaccurate: for large logits, lognorm has no digits left for the sum.
        peak = logits.detach().amax(dim, keepdim=True).clamp_min(self.noise_logit)
        weight = torch.exp(logits - peak)
        total = weight.sum(dim, keepdim=True)
        if self.noise_logit > -math.inf:
            total = total + torch.exp(self.noise_logit - peak)
        resp = weight / total
        return Assignment(resp, resp, (peak + total.log()).squeeze(dim))


@dataclass(frozen=True)
class Fuzzy(AssignmentRule):
    """The memberships u of fuzzy c-means, which minimize Σ u^m d: u is proportional to d ** (-1 / (m - 1)).

    The logits are -d. A row that coincides with centers has equal memberships in these, and 0 in all others.

    Bezdek, "Pattern recognition with fuzzy objective function algorithms", 1981. The noise cluster is from Davé,
    "Characterization and detection of noise in clustering", Pattern Recognition Letters 1991.

    Parameters
    ----------
    fuzzifier : float
        m > 1. The larger, the fuzzier the memberships; as m goes to 1 they become those of hard k-means.
    noise_logit : float
        Minus the distance of every row from the noise cluster.
    """

    fuzzifier: float = 2.0
    noise_logit: float = -math.inf

    def __post_init__(self) -> None:
        value = self.fuzzifier
        if isinstance(value, bool) or not (isinstance(value, Real) and 1 < value < math.inf):
            raise InputError(f"fuzzifier={value!r}: give a finite number above 1")

    @override
    def __call__(self, logits: Tensor, dim: int = -1) -> Assignment:
        power = 1 / (self.fuzzifier - 1)
        d = -logits
        smallest = d.detach().amin(dim, keepdim=True).clamp_max(-self.noise_logit)  # (..., 1)
        positive = d > 0
        ratio = torch.where(positive, smallest / torch.where(positive, d, 1.0), 1.0)
        weight = ratio**power
        total = weight.sum(dim, keepdim=True)
        if self.noise_logit > -math.inf:
            total = total + (smallest / -self.noise_logit) ** power
        resp = weight / total
        return Assignment(resp, resp**self.fuzzifier, -(smallest / total ** (self.fuzzifier - 1)).squeeze(dim))


ASSIGNMENTS: dict[str, type[Softmax | Fuzzy]] = {"softmax": Softmax, "fuzzy": Fuzzy}


def as_assignment(rule: str | AssignmentRule) -> AssignmentRule:
    """Return the assignment rule with a given name; an `AssignmentRule` is returned unchanged.

    Parameters
    ----------
    rule : {"softmax", "fuzzy"} or AssignmentRule
        Name of the rule, or the rule itself.

    Raises
    ------
    InputError
        If no rule has this name.

    Examples
    --------
    >>> as_assignment("fuzzy")
    Fuzzy(fuzzifier=2.0, noise_logit=-inf)
    """
    if isinstance(rule, AssignmentRule):
        return rule
    check_known("assignment", rule, ASSIGNMENTS)
    return ASSIGNMENTS[rule]()


def softmax(logits: Tensor, dim: int = -1) -> tuple[Tensor, Tensor]:
    """Return the softmax (..., k) of logits (..., k), and their log-partition function (...,)."""
    assignment = Softmax()(logits, dim)
    return assignment.resp, assignment.objective
