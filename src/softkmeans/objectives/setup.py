"""Build the objective, the model variant and the initial parameters from the user's settings."""

from __future__ import annotations

__all__ = [
    "OBJECTIVES",
    "initial_log_prior",
    "initial_temperature",
    "make_objective",
    "make_spec",
    "select_objective",
    "select_temperature_rule",
    "with_center_update",
]

import itertools
import math
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from .._utils.checks import check_known, check_positive
from .._utils.few_numbers import as_array, filled, from_array
from ..data.block import Block, as_tensor
from ..data.frames import as_vector
from ..data.scaling import Scaling
from ..data.source import Source
from ..distances import Distance, check_distance
from ..errors import InputError, Message, Setting
from ..kernels import nearest
from ..model.assignment import AssignmentRule, as_assignment, check_rule
from ..model.params import ModelSpec
from ..settings import Settings
from ..temperature import TEMPERATURES, NoTemperature, TemperatureRule, as_temperature
from . import Distortion, Equilibrium, FixedPoint, FreeEnergy, FuzzyDistortion, NegativeLogLikelihood, Objective

N_CHECKED_ROWS = 8  # on which a user's distance is checked
PRIORS = ("uniform", "learned")
UPDATES = ("exact", "mean")
CHOICES = (FreeEnergy, NegativeLogLikelihood, Distortion)  # the objectives that the parameter ``objective`` can name
OBJECTIVES: dict[str, type[Objective]] = {
    kind.name: kind for kind in (*CHOICES, FuzzyDistortion, FixedPoint, Equilibrium)
}


def with_center_update(distance: Distance, update: str) -> Distance:
    """Return the distance with a given center update: "exact" minimizes the objective, "mean" takes weighted means."""
    check_known("update", update, UPDATES)
    return distance if update == "exact" else distance.with_mean_update()


def make_objective(source: Source, scaling: Scaling, n_clusters: int, settings: Settings) -> tuple[Objective, Tensor]:
    """Return the objective to minimize on the scaled data, and the log of the initial priors."""
    rule = as_assignment(settings.assignment)
    rule.check(n_clusters)
    if not rule.is_tested:
        check_rule(rule, n_clusters)
    if not scaling.distance.is_tested:
        for rows in _first_rows(source, scaling):
            check_distance(scaling.distance, rows)
    temperature = select_temperature_rule(settings.temperature, rule)
    temperature = temperature.bind(scaling.view(source), scaling, n_clusters)
    spec = make_spec(settings, rule, scaling, temperature)
    selected = select_objective(settings.objective, scaling, temperature, spec)
    return selected, initial_log_prior(settings, n_clusters, spec, scaling)


def _first_rows(source: Source, scaling: Scaling) -> list[Tensor]:
    """Return a few rows, centered and scaled; none if this process has no rows."""
    blocks = itertools.islice((block for block in source.blocks() if len(block)), 1)
    return [(block.part(0, min(len(block), N_CHECKED_ROWS)).x - scaling.shift) / scaling.scale for block in blocks]


def select_temperature_rule(temperature: Any, rule: AssignmentRule) -> TemperatureRule:
    """Return the temperature rule for a parameter; some assignment rules have no temperature."""
    if rule.uses_temperature:
        return as_temperature(temperature)
    if not (isinstance(temperature, str) and temperature == Settings.temperature):
        raise InputError(
            f"is not supported with {rule.name} memberships",
            parameter="temperature",
            value=temperature,
            hint=Message("set ", Setting(rule.softness), " instead") if rule.softness else "leave it out",
        )
    return NoTemperature()


def make_spec(
    settings: Settings, rule: AssignmentRule, scaling: Scaling, temperature_rule: TemperatureRule
) -> ModelSpec:
    """Check the parameters of the model variant, and convert them to the units of the scaled data."""
    noise = None
    if settings.noise_distance is not None:
        noise = _scaled_noise_distance(settings.noise_distance, rule, scaling, temperature_rule)
    learn_priors = isinstance(settings.priors, str) and settings.priors == "learned"
    is_uniform = isinstance(settings.priors, str) and settings.priors == "uniform"
    if not is_uniform and (not rule.uses_temperature or (learn_priors and not rule.is_mixture)):
        raise InputError(
            f"is not supported with {rule.name} memberships",
            parameter="priors",
            value=settings.priors,
            hint="leave it at 'uniform'",
        )
    frozen = _frozen_mask(settings.frozen, settings.init, scaling)
    return ModelSpec(rule, learn_priors, noise, frozen)


def _scaled_noise_distance(
    noise_distance: float, rule: AssignmentRule, scaling: Scaling, temperature_rule: TemperatureRule
) -> float:
    """Check the distance of the noise cluster, and convert it to the units of the scaled data."""
    problem, hint = "", ""
    if not rule.supports_noise:
        problem, hint = f"is not supported with {rule.name} memberships", "leave it out"
    if temperature_rule.per_cluster:
        problem, hint = "is not supported with a temperature per cluster", "use one temperature for all"
    if problem:
        raise InputError(problem, parameter="noise_distance", value=noise_distance, hint=hint)
    return scaling.transform_distance(float(noise_distance))


def _frozen_mask(frozen: Any, init: Any, scaling: Scaling) -> Tensor | None:
    if frozen is None:
        return None
    if isinstance(init, str) or not hasattr(init, "__len__"):  # a method, or none
        raise InputError(
            "needs initial centers",
            parameter="frozen",
            hint=Message("set ", Setting("init"), " to an array (k, d)"),
        )
    mask = as_vector(frozen, "frozen")
    if "bool" not in str(mask.dtype) or tuple(mask.shape) != (len(init),):
        raise InputError(
            f"has type {mask.dtype} and shape {tuple(mask.shape)}",
            parameter="frozen",
            expected=f"one bool for each of the {len(init)} centers",
        )
    return as_tensor(mask).to(scaling.shift.device)


def initial_log_prior(settings: Settings, n_clusters: int, spec: ModelSpec, scaling: Scaling) -> Tensor:
    """Return the log of the initial priors: (k,), or (k + 1,) with the noise cluster."""
    n = n_clusters + (spec.noise is not None)
    if settings.priors is not None and not isinstance(settings.priors, str):
        return _checked_priors(settings.priors, "priors", n_clusters, n).log().to(scaling.shift)
    check_known("priors", settings.priors, PRIORS, ", or an array (k,)")
    if settings.init_priors is None or settings.priors == "uniform":
        return scaling.shift.new_full((n,), -math.log(n))
    return _checked_priors(settings.init_priors, "init_priors", n_clusters, n).log().to(scaling.shift)


def _checked_priors(value: Any, name: str, n_clusters: int, n: int) -> Tensor:
    """Return priors (k,), or (k + 1,) with 1 minus their sum for the noise cluster."""
    priors = as_tensor(as_vector(value, name)).detach().cpu().double()
    if priors.shape != (n_clusters,) or not (priors > 0).all() or not priors.isfinite().all():
        raise InputError(parameter=name, value=value, hint=f"give {n_clusters} numbers above 0, one for each cluster")
    total = float(priors.sum())
    if n == n_clusters:
        if name == "priors" and not abs(total - 1) < 1e-6:
            raise InputError(f"sum to {total:.6g}", parameter=name, expected="1", hint="divide them by their sum")
        return priors / total
    # Priors from a fit without noise, or in which noise had no weight, sum to 1 up to rounding.
    if name == "init_priors" and not total < 1 - 1e-9:
        return torch.cat([priors / total * (n_clusters / n), priors.new_tensor([1 / n])])
    if not total < 1:
        raise InputError(
            f"sum to {total:.6g}",
            parameter=name,
            expected="less than 1",
            hint="the remainder is the prior of the noise",
        )
    return torch.cat([priors, priors.new_tensor([1 - total])])


def select_objective(name: str | None, scaling: Scaling, temperature: TemperatureRule, spec: ModelSpec) -> Objective:
    """Return the objective with a given name, or the default one of a model variant.

    A learned temperature has a finite positive optimum only under the likelihood.
    """
    required = _required_objective(scaling.distance, temperature, spec)
    if required is not None:
        if name is not None:
            setting, _ = required
            raise InputError(
                Message("is not supported with ", setting, ", which has its own"),
                parameter="objective",
                value=name,
                hint="leave it out",
            )
        return OBJECTIVES[required[1]](scaling, temperature, spec)
    default = "nll" if temperature.learned or temperature.per_cluster else spec.rule.default_objective
    if name is not None:
        check_known("objective", name, [kind.name for kind in CHOICES])
    chosen = OBJECTIVES[name or default]
    _check_objective(chosen, scaling.distance, temperature, spec)
    return chosen(scaling, temperature, spec)


def _required_objective(
    distance: Distance, temperature: TemperatureRule, spec: ModelSpec
) -> tuple[Message | Setting, str] | None:
    """Return the only objective that a setting supports, and the setting; None if the objective can be chosen."""
    if not spec.rule.uses_temperature:
        if not distance.has_exact_update:
            raise InputError(
                f"is not supported with {spec.rule.name} memberships",
                parameter="update",
                value="mean",
                hint="leave it at 'exact'",
            )
        return Message(f"{spec.rule.name} memberships"), spec.rule.default_objective
    if not distance.has_exact_update:
        if temperature.learned or temperature.solves_equation or spec.learn_priors:
            raise InputError(
                "minimizes no objective by which temperature or priors could be learned",
                parameter="update",
                value="mean",
                hint="use fixed values for both",
            )
        return Setting("update", "mean"), FixedPoint.name
    if temperature.solves_equation:
        return Message(Setting("temperature"), f"={temperature!r}"), Equilibrium.name
    return None


def _check_objective(
    chosen: type[Objective], distance: Distance, temperature: TemperatureRule, spec: ModelSpec
) -> None:
    """Raise an InputError if an objective is not defined for a model variant."""
    is_likelihood, setting = chosen is NegativeLogLikelihood, {"parameter": "objective", "value": chosen.name}
    if temperature.learned and not is_likelihood:
        raise InputError(
            "needs a fixed temperature, as a learned one would diverge to infinity or go to 0",
            **setting,
            hint=Message("set ", Setting("temperature"), " to a number, or choose ", Setting("objective", "nll")),
        )
    if temperature.per_cluster and not is_likelihood:
        raise InputError(
            "needs one temperature for all clusters", **setting, hint=Message("choose ", Setting("objective", "nll"))
        )
    if is_likelihood and not (spec.rule.is_mixture and distance.has_density):
        raise _no_likelihood(distance, temperature, spec, setting)
    if chosen is Distortion and spec._replace(frozen=None) != ModelSpec():
        raise InputError(
            "does not support learned priors, a noise cluster or other memberships than the softmax",
            **setting,
            hint="leave them out",
        )


def _no_likelihood(
    distance: Distance, temperature: TemperatureRule, spec: ModelSpec, setting: dict[str, Any]
) -> InputError:
    """Return the error for a model variant that needs a likelihood and has none."""
    missing = (
        f"the distance {distance.name!r} has no known density"
        if spec.rule.is_mixture
        else f"{spec.rule.name} memberships belong to no mixture model"
    )
    if temperature.learned or temperature.per_cluster:
        value = TEMPERATURES.name_of(temperature) or temperature
        hint = Message("set ", Setting("temperature"), " to a number, such as 1.0")
        return InputError(f"needs a likelihood, but {missing}", parameter="temperature", value=value, hint=hint)
    return InputError(
        f"needs a likelihood, but {missing}", **setting, hint=Message("choose ", Setting("objective", "free_energy"))
    )


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
            return torch.stack([b.total(), b.total(nearest(b, centers, scaling.distance)[1])])

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
        raise InputError(f"has {len(values)} values", parameter=name, expected=expected)
    if not all(0 < value < math.inf for value in (values if several else [values])):
        problem, hint = f"starts with {values!r}", "return a finite number above 0 from start"
        raise InputError(problem, parameter="temperature", value=temperature_rule, hint=hint)
    return centers.new_tensor(values) if several else from_array(filled(as_array(centers), len(centers), values))


def _scaled_temperatures(temperature: Any, scaling: Scaling) -> list[float] | float:
    """Check temperatures in the data's units, and convert them to the units of the scaled data."""
    values = temperature.tolist() if hasattr(temperature, "tolist") else temperature
    for value in [values] if np.ndim(values) == 0 else values:
        check_positive("init_temperature", value)
    return values / scaling.unit if np.ndim(values) == 0 else [value / scaling.unit for value in values]
