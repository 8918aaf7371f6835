"""The assignment rules, which turn logits into memberships."""

from __future__ import annotations

__all__ = ["ASSIGNMENTS", "Assignment", "AssignmentRule", "Fuzzy", "Softmax", "as_assignment", "check_rule", "softmax"]

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import NamedTuple, Self

import torch
from torch import Tensor
from typing_extensions import override

from .._utils.checks import is_number
from ..errors import InputError, Message, Setting
from ..registries import ASSIGNMENTS


class Assignment(NamedTuple):
    """The memberships of rows in clusters, their weights in the update of the centers, and the objective.

    Attributes
    ----------
    resp : Tensor (..., k)
        Memberships. Rows sum to 1, or to less if there is a noise cluster.
    update_weight : Tensor (..., k)
        Weight of a row in the sums that determine the centers; usually the memberships.
    objective : Tensor (...,)
        The objective of each row: the maximum of Σ_k r_k logit_k + Ω(r).
    """

    resp: Tensor
    update_weight: Tensor
    objective: Tensor


class AssignmentRule(ABC):
    """A function from logits b_k - d_ik / T to memberships.

    For each row, the memberships r maximize Σ_k r_k logit_k + Ω(r), where Ω is a concave function: the entropy, for the
    softmax. The maximum is the objective of the row. EM then never raises the free energy, which is -T times the sum of
    the objectives. A rule without a temperature gets the logits -d_ik.

    Attributes
    ----------
    name : str
        Name of the rule, under which it is registered in ``ASSIGNMENTS``.
    uses_temperature : bool
        Whether memberships depend on a temperature and on priors.
    is_mixture : bool
        Whether memberships are the posterior probabilities of a mixture model, so that there is a likelihood, and
        temperature and priors can be learned.
    is_tested : bool
        Whether the tests of the library cover the rule. Others are checked on a few logits before a fit.
    supports_noise : bool
        Whether there can be a noise cluster. The rule is then a dataclass with a field ``noise_logit``.
    default_objective : str
        Name of the objective that a fit minimizes at a fixed temperature.
    softness : str
        For a rule without a temperature: the name of the parameter that controls how soft memberships are.
    noise_logit : float
        The logit of the noise cluster, -inf if there is none.

    Examples
    --------
    >>> import torch
    >>> from softkmeans import SoftKMeans
    >>> class Sparsemax(AssignmentRule):  # Martins & Astudillo, ICML 2016
    ...     name = "sparsemax"
    ...     def __call__(self, logits, dim=-1):
    ...         z = logits.movedim(dim, -1)
    ...         ordered = z.sort(-1, descending=True).values
    ...         excess = (ordered.cumsum(-1) - 1) / torch.arange(1, z.shape[-1] + 1)
    ...         support = (ordered > excess).sum(-1, keepdim=True)
    ...         resp = (z - excess.gather(-1, support - 1)).clamp_min(0)
    ...         objective = (resp * (z - resp / 2)).sum(-1) + 0.5
    ...         resp = resp.movedim(-1, dim)
    ...         return Assignment(resp, resp, objective)
    >>> model = SoftKMeans(2, temperature=8.0, assignment=Sparsemax(), random_state=0)
    >>> model.fit([[0.0], [0.2], [5.0], [5.2], [3.0]]).predict_proba([[0.0], [3.0]]).round(2)
    array([[0.  , 1.  ],
           [0.79, 0.21]])
    """

    name: str
    uses_temperature: bool = True
    is_mixture: bool = False
    supports_noise: bool = False
    is_tested: bool = False
    default_objective: str = "free_energy"
    softness: str = ""
    noise_logit: float = -math.inf

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        parents = [base for base in cls.__bases__ if issubclass(base, AssignmentRule) and base is not AssignmentRule]
        if parents and "__call__" in vars(cls):
            # It would inherit a likelihood that belongs to another function.
            raise TypeError(f"the assignment rule {cls.__name__} redefines another rule: derive it from AssignmentRule")

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

    def with_noise(self, noise_logit: float) -> Self:
        """Return the rule with a noise cluster of a given logit."""
        return replace(self, noise_logit=noise_logit)  # type: ignore[type-var]

    @property
    def has_noise(self) -> bool:
        """True if there is a noise cluster."""
        return self.noise_logit > -math.inf

    def check(self, n_clusters: int) -> None:  # noqa: B027 -- most rules have nothing to check
        """Raise an InputError if the rule can't be used with this number of clusters."""


@dataclass(frozen=True)
class Softmax(AssignmentRule):
    """The softmax of the logits, as in classical soft k-means. The objective is the log-partition function.

    Parameters
    ----------
    noise_logit : float
        The logit of the noise cluster.
    """

    noise_logit: float = -math.inf
    name = "softmax"
    is_tested = True
    is_mixture = True
    supports_noise = True

    @override
    def __call__(self, logits: Tensor, dim: int = -1) -> Assignment:
        # exp(logits - lognorm) would be inaccurate: for large logits, lognorm has no digits left for the sum.
        peak = logits.detach().amax(dim, keepdim=True).clamp_min(self.noise_logit)
        weight = torch.exp(logits - peak)
        total = weight.sum(dim, keepdim=True)
        if self.has_noise:
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
    name = "fuzzy"
    is_tested = True
    uses_temperature = False
    supports_noise = True
    default_objective = "fuzzy"
    softness = "fuzzifier"

    def __post_init__(self) -> None:
        value = self.fuzzifier
        if not is_number(value, lambda number: 1 < number < math.inf):
            raise InputError(parameter="fuzzifier", value=value, hint="give a finite number above 1")

    @override
    def check(self, n_clusters: int) -> None:
        """Raise an InputError if memberships of 1 / k to the power of the fuzzifier underflow in float64."""
        m = self.fuzzifier
        if m * math.log(n_clusters) > 600:
            problem = f"with {n_clusters} clusters underflows ({n_clusters} ** -{m:g})"
            hint = Message("use a smaller ", Setting("fuzzifier"))
            raise InputError(problem, parameter="fuzzifier", value=m, hint=hint)

    @override
    def __call__(self, logits: Tensor, dim: int = -1) -> Assignment:
        power = 1 / (self.fuzzifier - 1)
        d = 0.0 - logits  # not -logits, which is -0 for 0
        smallest = d.detach().amin(dim, keepdim=True).clamp_max(-self.noise_logit)  # (..., 1)
        positive = d > 0
        ratio = torch.where(positive, smallest / torch.where(positive, d, 1.0), 1.0)
        weight = ratio**power
        total = weight.sum(dim, keepdim=True)
        if self.has_noise:
            total = total + (smallest / -self.noise_logit) ** power
        resp = weight / total
        return Assignment(resp, resp**self.fuzzifier, -(smallest / total ** (self.fuzzifier - 1)).squeeze(dim))


def check_rule(rule: AssignmentRule, n_clusters: int) -> None:
    """Raise an InputError if a rule contradicts its description, on a few logits."""
    generator = torch.Generator().manual_seed(0)
    rows = -2 * torch.rand(5, n_clusters, generator=generator, dtype=torch.float64, device="cpu") - 0.1
    with torch.enable_grad():
        logits = rows.mT.clone().requires_grad_()
        one, other = rule(logits, 0), rule(rows, -1)  # clusters come first in the kernels
        if not isinstance(one, Assignment):
            raise _rule_error(rule, f"returned a {type(one).__name__}", "return an Assignment")
        shapes = [tuple(part.shape) for part in (*one, *other)]
        if shapes != [(n_clusters, 5)] * 2 + [(5,)] + [(5, n_clusters)] * 2 + [(5,)]:
            hint = "sum over the dimension dim, and return memberships and weights of the shape of the logits"
            raise _rule_error(rule, f"returned shapes {shapes[:3]} for logits {(n_clusters, 5)} with dim=0", hint)
        if not torch.allclose(one.resp.mT, other.resp) or not torch.allclose(one.objective, other.objective):
            raise _rule_error(rule, "depends on the order of dimensions", "sum over the dimension dim")
        if (one.resp < 0).any() or (one.resp.sum(0) > 1 + 1e-9).any():
            raise _rule_error(rule, "returned memberships below 0 or with a sum above 1", "correct them")
        derivative = (
            torch.autograd.grad(one.objective.sum(), logits, allow_unused=True)[0]
            if one.objective.requires_grad
            else None
        )
    # A rule that is not computed by PyTorch has no derivative to compare with.
    if derivative is not None and not torch.allclose(derivative, one.update_weight.detach(), atol=1e-6):
        problem = "has an objective that does not belong to its memberships: its derivative is not the update_weight"
        raise _rule_error(rule, problem, "return the maximum of Σ_k r_k logit_k + Ω(r)")


def _rule_error(rule: AssignmentRule, problem: str, hint: str) -> InputError:
    return InputError(problem, parameter="assignment", value=rule.name, hint=hint)


def as_assignment(rule: str | AssignmentRule) -> AssignmentRule:
    """Return the assignment rule with a given name; an `AssignmentRule` is returned unchanged.

    Parameters
    ----------
    rule : str or AssignmentRule
        Name of a registered rule, or the rule itself.

    Raises
    ------
    InputError
        If no rule has this name.

    Examples
    --------
    >>> as_assignment("fuzzy")
    Fuzzy(fuzzifier=2.0, noise_logit=-inf)
    """
    return ASSIGNMENTS.resolve(rule)


def softmax(logits: Tensor, dim: int = -1) -> tuple[Tensor, Tensor]:
    """Return the softmax (..., k) of logits (..., k), and their log-partition function (...,)."""
    assignment = Softmax()(logits, dim)
    return assignment.resp, assignment.objective
