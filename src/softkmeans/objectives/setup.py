"""From parameters to the member of the family that is fitted: its objective, its variant, its first priors."""

from __future__ import annotations

__all__ = [
    "check_fuzzifier",
    "first_log_prior",
    "first_temperature",
    "make_objective",
    "make_spec",
    "make_temperature_rule",
    "select_objective",
    "with_center_update",
]

import math
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from .._utils.checks import check_known, check_positive
from .._utils.reductions import dot, total
from ..data.block import Block, as_tensor
from ..data.frames import as_vector
from ..data.scaling import Scaling
from ..data.source import Source
from ..distances import Distance, MeanUpdate
from ..errors import InputError
from ..kernels import nearest
from ..model.assignment import AssignmentRule, Fuzzy, as_assignment
from ..model.params import ModelSpec
from ..temperature import NoTemperature, TemperatureRule, as_temperature
from . import Distortion, Equilibrium, FixedPoint, FreeEnergy, FuzzyDistortion, NegativeLogLikelihood, Objective

PRIORS = ("uniform", "learned")
UPDATES = ("exact", "mean")


def with_center_update(distance: Distance, update: str) -> Distance:
    """Give the distance whose centers move as asked for: "exact", to where their objective is least, or "mean"."""
    check_known("update", update, UPDATES)
    is_mean_anyway = isinstance(distance.slope(torch.ones(1)), float)
    return distance if update == "exact" or is_mean_anyway else MeanUpdate(distance)


def make_objective(
    source: Source,
    scaling: Scaling,
    n_clusters: int,
    *,
    temperature: Any,
    assignment: str | AssignmentRule,
    priors: Any,
    noise_distance: float | None,
    frozen: Any,
    init: Any,
    init_priors: Any,
    objective: str | None = None,
) -> tuple[Objective, Tensor]:
    """Give what is minimized where rows are looked at from a space, and the log of the priors to begin with."""
    sharing = as_assignment(assignment)
    rule = make_temperature_rule(temperature, sharing).bind(scaling.view(source), scaling, n_clusters)
    spec = make_spec(sharing, priors, noise_distance, frozen, scaling, rule, init)
    goal = select_objective(objective, scaling, rule, spec)
    check_fuzzifier(sharing, n_clusters)
    return goal, first_log_prior(priors, init_priors, n_clusters, spec, scaling)


def check_fuzzifier(rule: AssignmentRule, n_clusters: int) -> None:
    """Raise an InputError if memberships of 1 / k to the power of the fuzzifier are nothing in float64."""
    if isinstance(rule, Fuzzy) and rule.fuzzifier * math.log(n_clusters) > 600:
        raise InputError(
            f"fuzzifier={rule.fuzzifier:g} with {n_clusters} clusters leaves nothing of memberships to that power: "
            "lower it"
        )


def make_temperature_rule(temperature: Any, rule: AssignmentRule) -> TemperatureRule:
    """Look a temperature up; fuzzy memberships know none."""
    if not isinstance(rule, Fuzzy):
        return as_temperature(temperature)
    if not (isinstance(temperature, str) and temperature == "auto"):
        raise InputError(f"temperature={temperature!r}: fuzzy memberships know no temperature, but a fuzzifier")
    return NoTemperature()


def make_spec(
    rule: AssignmentRule,
    priors: Any,
    noise_distance: float | None,
    frozen: Any,
    scaling: Scaling,
    temperature: TemperatureRule,
    init: Any,
) -> ModelSpec:
    """Check what is asked for, and say it in the units of the space a fit works in."""
    if noise_distance is not None:
        check_positive("noise_distance", noise_distance, ", in the units of the distance")
        if temperature.per_cluster:
            raise InputError("noise_distance needs one temperature: clusters here have each their own")
    uniform = isinstance(priors, str) and priors == "uniform"
    if isinstance(rule, Fuzzy) and not uniform:
        raise InputError(f"priors={priors!r}: fuzzy memberships know no priors, leave them 'uniform'")
    noise = None if noise_distance is None else float(noise_distance) / scaling.unit
    learn_priors = isinstance(priors, str) and priors == "learned"
    return ModelSpec(rule, learn_priors, noise, _mask(frozen, init, scaling))


def _mask(frozen: Any, init: Any, scaling: Scaling) -> Tensor | None:
    if frozen is None:
        return None
    if init is None or isinstance(init, str) or callable(init):
        raise InputError("frozen says which of the centers in init stay: give init an array (k, d)")
    mask = as_vector(frozen, "frozen")
    if "bool" not in str(mask.dtype) or tuple(mask.shape) != (len(init),):
        found = f"type {mask.dtype} and shape {tuple(mask.shape)}"
        raise InputError(f"frozen is of {found}, expected a bool for each of the {len(init)} centers")
    return as_tensor(mask).to(scaling.shift.device)


def first_log_prior(priors: Any, init_priors: Any, n_clusters: int, spec: ModelSpec, scaling: Scaling) -> Tensor:
    """Give the log of the priors to begin with: (k,), or (k + 1,) with a cluster of noise."""
    n = n_clusters + (spec.noise is not None)
    if priors is None or isinstance(priors, str):
        check_known("priors", priors, PRIORS, ", or an array (k,)")
        given, name = (None, "") if init_priors is None or priors == "uniform" else (init_priors, "init_priors")
    else:
        given, name = priors, "priors"
    if given is None:
        return scaling.shift.new_full((n,), -math.log(n))
    return _checked(given, name, n_clusters, n).log().to(scaling.shift)


def _checked(given: Any, name: str, n_clusters: int, n: int) -> Tensor:
    """Priors (k,), or (k + 1,) with what they leave for noise."""
    found = as_tensor(as_vector(given, name)).detach().cpu().double()
    if found.shape != (n_clusters,) or not (found > 0).all() or not found.isfinite().all():
        raise InputError(f"{name}={given!r}: give {n_clusters} numbers above 0, one for each cluster")
    total = float(found.sum())
    if n == n_clusters:
        if name == "priors" and not abs(total - 1) < 1e-6:
            raise InputError(f"{name} sum to {total:.6g}, expected 1: divide them by their sum")
        return found / total
    if name == "init_priors" and not total < 1 - 1e-9:  # but for rounding: there was no noise, or none was found
        return torch.cat([found / total * (n_clusters / n), found.new_tensor([1 / n])])
    if not total < 1:
        raise InputError(f"{name} sum to {total:.6g}, expected less than 1, which leaves a share for noise")
    return torch.cat([found, found.new_tensor([1 - total])])


def select_objective(name: str | None, scaling: Scaling, temperature: TemperatureRule, spec: ModelSpec) -> Objective:
    """Pair objective and variant: only under the likelihood has a learned temperature a sensible value."""
    if isinstance(spec.rule, Fuzzy):
        if isinstance(scaling.distance, MeanUpdate):
            raise InputError("update='mean' does not go with fuzzy memberships: leave it 'exact'")
        return _only("fuzzy memberships", FuzzyDistortion, name, scaling, temperature, spec)
    if isinstance(scaling.distance, MeanUpdate):
        if temperature.learned or temperature.solved or spec.learn_priors:
            raise InputError(
                "update='mean' follows no objective that temperature or priors could be learned by: fix them"
            )
        return _only("update='mean'", FixedPoint, name, scaling, temperature, spec)
    if temperature.solved:
        return _only(f"temperature={temperature!r}", Equilibrium, name, scaling, temperature, spec)
    objectives: dict[str, type[Objective]] = {
        kind.name: kind for kind in (FreeEnergy, NegativeLogLikelihood, Distortion)
    }
    chosen = name or ("nll" if temperature.learned or temperature.per_cluster else "free_energy")
    check_known("objective", chosen, objectives)
    if temperature.learned and chosen != "nll":
        raise InputError(
            f"objective={chosen!r} needs a fixed temperature: learned with it, T would run off to infinity or to 0; "
            "give temperature a number, or choose objective='nll'"
        )
    if temperature.per_cluster and chosen != "nll":
        raise InputError(f"objective={chosen!r} needs one temperature for all clusters: choose objective='nll'")
    if chosen == "distortion" and spec._replace(frozen=None) != ModelSpec():
        raise InputError("objective='distortion' knows neither learned priors nor a cluster of noise: leave them out")
    return objectives[chosen](scaling, temperature, spec)


def _only(
    what: str, kind: type[Objective], name: str | None, scaling: Scaling, temperature: TemperatureRule, spec: ModelSpec
) -> Objective:
    """Make the one objective that something goes with."""
    if name is not None:
        raise InputError(f"objective={name!r} does not go with {what}, which has its own: leave it out")
    return kind(scaling, temperature, spec)


def first_temperature(
    given: float | ArrayLike | Tensor | None, rule: TemperatureRule, scaling: Scaling, view: Source, centers: Tensor
) -> Tensor:
    """Temperatures (k,) to begin with."""

    def mean_distortion() -> float:
        def sums(b: Block) -> Tensor:
            return torch.stack([total(b.w), dot(b.w, nearest(b, centers, scaling.distance)[1])])

        weight, distance = view.sum(lambda block: block.sum(sums, width=1))
        return float(distance / weight)

    adapts = rule.learned or rule.solved
    found: Any = _given(given, scaling) if adapts and given is not None else rule.start(scaling, mean_distortion)
    several = np.ndim(found) > 0
    if several and (not rule.per_cluster or len(found) != len(centers)):
        expected = f"one for each of the {len(centers)} clusters" if rule.per_cluster else "one for all clusters"
        raise InputError(f"{len(found)} temperatures came, expected {expected}")
    return centers.new_tensor(found).expand(len(centers))


def _given(temperature: Any, scaling: Scaling) -> list[float] | float:
    """Check temperatures, and bring them into the space."""
    values = temperature.tolist() if hasattr(temperature, "tolist") else temperature
    for value in [values] if np.ndim(values) == 0 else values:
        check_positive("init_temperature", value)
    return values / scaling.unit if np.ndim(values) == 0 else [value / scaling.unit for value in values]
