"""The assignment rules: from logits to memberships. A new rule is a class and a line in the table."""

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
    """How rows are shared among clusters.

    Attributes
    ----------
    resp : Tensor (..., k)
        Memberships. Rows sum to 1, or to less where they may belong to no cluster.
    update_weight : Tensor (..., k)
        What a row counts for in the sums that centers are made of.
    objective : Tensor (...,)
        What the rule maximizes at given logits, row by row.
    """

    resp: Tensor
    update_weight: Tensor
    objective: Tensor


class AssignmentRule(ABC):
    """From logits b_k - β_k d_ik to memberships."""

    outside: float  # the logit of belonging to no cluster, -inf if every row belongs to some

    @abstractmethod
    def __call__(self, logits: Tensor, dim: int = -1) -> Assignment:
        """Share rows among clusters.

        Parameters
        ----------
        logits : Tensor (..., k)
            One a row and cluster.
        dim : int
            Along which the clusters lie, also in what is returned.
        """


@dataclass(frozen=True)
class Softmax(AssignmentRule):
    """Responsibilities exp(logits) over their sum, whose log is the objective: the classical soft k-means.

    Parameters
    ----------
    outside : float
        The logit of belonging to no cluster.
    """

    outside: float = -math.inf

    @override
    def __call__(self, logits: Tensor, dim: int = -1) -> Assignment:
        # Not exp(logits - lognorm): where the logits are large, lognorm has no digits left for the sum.
        peak = logits.detach().amax(dim, keepdim=True).clamp_min(self.outside)
        weight = torch.exp(logits - peak)
        total = weight.sum(dim, keepdim=True)
        if self.outside > -math.inf:
            total = total + torch.exp(self.outside - peak)
        resp = weight / total
        return Assignment(resp, resp, (peak + total.log()).squeeze(dim))


@dataclass(frozen=True)
class Fuzzy(AssignmentRule):
    """Fuzzy c-means: memberships u proportional to d ** (-1 / (m - 1)), the minimizers of Σ u^m d; logits are -d.

    Rows on a center belong to it alone, or in equal parts to all the centers there.

    Bezdek, "Pattern recognition with fuzzy objective function algorithms", 1981; the cluster of noise is Davé's,
    "Characterization and detection of noise in clustering", Pattern Recognition Letters 1991.

    Parameters
    ----------
    fuzzifier : float
        m > 1: how fuzzy; hard k-means as it goes to 1.
    outside : float
        Minus the distance of every row from the cluster of noise.
    """

    fuzzifier: float = 2.0
    outside: float = -math.inf

    def __post_init__(self) -> None:
        value = self.fuzzifier
        if isinstance(value, bool) or not (isinstance(value, Real) and 1 < value < math.inf):
            raise InputError(f"fuzzifier={value!r}: give a finite number above 1")

    @override
    def __call__(self, logits: Tensor, dim: int = -1) -> Assignment:
        power = 1 / (self.fuzzifier - 1)
        d = -logits
        nearest = d.detach().amin(dim, keepdim=True).clamp_max(-self.outside)  # (..., 1)
        apart = d > 0
        ratio = torch.where(apart, nearest / torch.where(apart, d, 1.0), 1.0)
        weight = ratio**power
        total = weight.sum(dim, keepdim=True)
        if self.outside > -math.inf:
            total = total + (nearest / -self.outside) ** power
        resp = weight / total
        return Assignment(resp, resp**self.fuzzifier, -(nearest / total ** (self.fuzzifier - 1)).squeeze(dim))


ASSIGNMENTS: dict[str, type[Softmax | Fuzzy]] = {"softmax": Softmax, "fuzzy": Fuzzy}


def as_assignment(rule: str | AssignmentRule) -> AssignmentRule:
    """Look a rule up by name; a ``AssignmentRule`` with settings of its own passes through.

    Parameters
    ----------
    rule : {"softmax", "fuzzy"} or AssignmentRule
        Its name, or itself.

    Raises
    ------
    InputError
        If there is no rule of that name.

    Examples
    --------
    >>> as_assignment("fuzzy")
    Fuzzy(fuzzifier=2.0, outside=-inf)
    """
    if isinstance(rule, AssignmentRule):
        return rule
    check_known("assignment", rule, ASSIGNMENTS)
    return ASSIGNMENTS[rule]()


def softmax(logits: Tensor, dim: int = -1) -> tuple[Tensor, Tensor]:
    """Give responsibilities (..., k) and the log of their normalizer (...,), from logits (..., k)."""
    shares = Softmax()(logits, dim)
    return shares.resp, shares.objective
