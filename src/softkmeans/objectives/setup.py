"""Build the objective, the model variant and the initial parameters from the user's settings."""

from __future__ import annotations

__all__ = [
    "check_fuzzifier",
    "initial_log_prior",
    "initial_temperature",
    "make_objective",
    "make_spec",
    "select_objective",
    "select_temperature_rule",
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
    """Return the distance with a given center update: "exact" minimizes the objective, "mean" takes weighted means."""
    check_known("update", update, UPDATES)
    exact_is_mean = isinstance(distance.slope(torch.ones(1)), float)
    return distance if update == "exact" or exact_is_mean else MeanUpdate(distance)


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
    """Return the objective to minimize on the scaled data, and the log of the initial priors."""
    assignment_rule = as_assignment(assignment)
    temperature_rule = select_temperature_rule(temperature, assignment_rule)
    temperature_rule = temperature_rule.bind(scaling.view(source), scaling, n_clusters)
    spec = make_spec(assignment_rule, priors, noise_distance, frozen, scaling, temperature_rule, init)
    selected = select_objective(objective, scaling, temperature_rule, spec)
    check_fuzzifier(assignment_rule, n_clusters)
    return selected, initial_log_prior(priors, init_priors, n_clusters, spec, scaling)


def check_fuzzifier(assignment_rule: AssignmentRule, n_clusters: int) -> None:
    """Raise an InputError if memberships of 1 / k to the power of the fuzzifier underflow in float64."""
    if isinstance(assignment_rule, Fuzzy) and assignment_rule.fuzzifier * math.log(n_clusters) > 600:
        m = f"{assignment_rule.fuzzifier:g}"
        raise InputError(
            f"fuzzifier={m} with {n_clusters} clusters underflows ({n_clusters} ** -{m}): use a smaller fuzzifier"
        )


def select_temperature_rule(temperature: Any, assignment_rule: AssignmentRule) -> TemperatureRule:
    """Return the temperature rule for a parameter; fuzzy memberships have no temperature."""
    if not isinstance(assignment_rule, Fuzzy):
        return as_temperature(temperature)
    if not (isinstance(temperature, str) and temperature == "auto"):
        raise InputError(f"temperature={temperature!r} is not supported with fuzzy memberships: set fuzzifier instead")
    return NoTemperature()


def make_spec(
    assignment_rule: AssignmentRule,
    priors: Any,
    noise_distance: float | None,
    frozen: Any,
    scaling: Scaling,
    temperature_rule: TemperatureRule,
    init: Any,
) -> ModelSpec:
    """Check the parameters of the model variant, and convert them to the units of the scaled data."""
    if noise_distance is not None:
        check_positive("noise_distance", noise_distance, ", in the units of the distance")
        if temperature_rule.per_cluster:
            raise InputError(
                f"noise_distance={noise_distance:g} is not supported with a temperature per cluster: "
                "use one temperature for all"
            )
    uniform = isinstance(priors, str) and priors == "uniform"
    if isinstance(assignment_rule, Fuzzy) and not uniform:
        raise InputError(f"priors={priors!r} is not supported with fuzzy memberships: leave it at 'uniform'")
    noise = None if noise_distance is None else float(noise_distance) / scaling.unit
    learn_priors = isinstance(priors, str) and priors == "learned"
    return ModelSpec(assignment_rule, learn_priors, noise, _frozen_mask(frozen, init, scaling))


def _frozen_mask(frozen: Any, init: Any, scaling: Scaling) -> Tensor | None:
    if frozen is None:
        return None
    if init is None or isinstance(init, str) or callable(init):
        raise InputError("frozen needs initial centers: set init to an array (k, d)")
    mask = as_vector(frozen, "frozen")
    if "bool" not in str(mask.dtype) or tuple(mask.shape) != (len(init),):
        raise InputError(
            f"frozen has type {mask.dtype} and shape {tuple(mask.shape)}, "
            f"expected one bool for each of the {len(init)} centers"
        )
    return as_tensor(mask).to(scaling.shift.device)


def initial_log_prior(priors: Any, init_priors: Any, n_clusters: int, spec: ModelSpec, scaling: Scaling) -> Tensor:
    """Return the log of the initial priors: (k,), or (k + 1,) with the noise cluster."""
    n = n_clusters + (spec.noise is not None)
    if priors is not None and not isinstance(priors, str):
        return _checked_priors(priors, "priors", n_clusters, n).log().to(scaling.shift)
    check_known("priors", priors, PRIORS, ", or an array (k,)")
    if init_priors is None or priors == "uniform":
        return scaling.shift.new_full((n,), -math.log(n))
    return _checked_priors(init_priors, "init_priors", n_clusters, n).log().to(scaling.shift)


def _checked_priors(value: Any, name: str, n_clusters: int, n: int) -> Tensor:
    """Return priors (k,), or (k + 1,) with 1 minus their sum for the noise cluster."""
    priors = as_tensor(as_vector(value, name)).detach().cpu().double()
    if priors.shape != (n_clusters,) or not (priors > 0).all() or not priors.isfinite().all():
        raise InputError(f"{name}={value!r}: give {n_clusters} numbers above 0, one for each cluster")
    total = float(priors.sum())
    if n == n_clusters:
        if name == "priors" and not abs(total - 1) < 1e-6:
            raise InputError(f"{name} sum to {total:.6g}, expected 1: divide them by their sum")
        return priors / total
    # Priors from a fit without noise, or in which noise had no weight, sum to 1 up to rounding.
    if name == "init_priors" and not total < 1 - 1e-9:
        return torch.cat([priors / total * (n_clusters / n), priors.new_tensor([1 / n])])
    if not total < 1:
        raise InputError(f"{name} sum to {total:.6g}, expected less than 1: the remainder is the prior of the noise")
    return torch.cat([priors, priors.new_tensor([1 - total])])


def select_objective(name: str | None, scaling: Scaling, temperature: TemperatureRule, spec: ModelSpec) -> Objective:
    """Return the objective with a given name, or the default one of a model variant.

    A learned temperature has a finite positive optimum only under the likelihood.
    """
    if isinstance(spec.rule, Fuzzy):
        if isinstance(scaling.distance, MeanUpdate):
            raise InputError("update='mean' is not supported with fuzzy memberships: leave it at 'exact'")
        return _required_objective("fuzzy memberships", FuzzyDistortion, name, scaling, temperature, spec)
    if isinstance(scaling.distance, MeanUpdate):
        if temperature.learned or temperature.solves_equation or spec.learn_priors:
            raise InputError(
                "update='mean' minimizes no objective by which temperature or priors could be learned: "
                "use fixed values for both"
            )
        return _required_objective("update='mean'", FixedPoint, name, scaling, temperature, spec)
    if temperature.solves_equation:
        return _required_objective(f"temperature={temperature!r}", Equilibrium, name, scaling, temperature, spec)
    objectives: dict[str, type[Objective]] = {cls.name: cls for cls in (FreeEnergy, NegativeLogLikelihood, Distortion)}
    chosen = name or ("nll" if temperature.learned or temperature.per_cluster else "free_energy")
    check_known("objective", chosen, objectives)
    if temperature.learned and chosen != "nll":
        raise InputError(
            f"objective={chosen!r} needs a fixed temperature, as a learned one would diverge to infinity or go to 0: "
            "set temperature to a number, or choose objective='nll'"
        )
    if temperature.per_cluster and chosen != "nll":
        raise InputError(f"objective={chosen!r} needs one temperature for all clusters: choose objective='nll'")
    if chosen == "distortion" and spec._replace(frozen=None) != ModelSpec():
        raise InputError("objective='distortion' does not support learned priors or a noise cluster: leave them out")
    return objectives[chosen](scaling, temperature, spec)


def _required_objective(
    setting: str,
    cls: type[Objective],
    name: str | None,
    scaling: Scaling,
    temperature: TemperatureRule,
    spec: ModelSpec,
) -> Objective:
    """Return the only objective that a setting supports."""
    if name is not None:
        raise InputError(f"objective={name!r} is not supported with {setting}, which has its own: leave it out")
    return cls(scaling, temperature, spec)


def initial_temperature(
    given: float | ArrayLike | Tensor | None,
    temperature_rule: TemperatureRule,
    scaling: Scaling,
    view: Source,
    centers: Tensor,
) -> Tensor:
    """Return the initial temperatures (k,): the given ones if the rule updates them, otherwise its own."""

    def mean_distortion() -> float:
        def sums(b: Block) -> Tensor:
            return torch.stack([total(b.w), dot(b.w, nearest(b, centers, scaling.distance)[1])])

        weight, distance = view.sum(lambda block: block.sum(sums, width=1))
        return float(distance / weight)

    use_given = given is not None and (temperature_rule.learned or temperature_rule.solves_equation)
    start = temperature_rule.start
    values: Any = _scaled_temperatures(given, scaling) if use_given else start(scaling, mean_distortion)
    several = np.ndim(values) > 0
    per_cluster = temperature_rule.per_cluster
    if several and (not per_cluster or len(values) != len(centers)):
        name = "init_temperature" if use_given else "temperature"
        expected = f"one for each of the {len(centers)} clusters" if per_cluster else "one for all clusters"
        raise InputError(f"{name} has {len(values)} values, expected {expected}")
    return centers.new_tensor(values).expand(len(centers))


def _scaled_temperatures(temperature: Any, scaling: Scaling) -> list[float] | float:
    """Check temperatures in the data's units, and convert them to the units of the scaled data."""
    values = temperature.tolist() if hasattr(temperature, "tolist") else temperature
    for value in [values] if np.ndim(values) == 0 else values:
        check_positive("init_temperature", value)
    return values / scaling.unit if np.ndim(values) == 0 else [value / scaling.unit for value in values]
