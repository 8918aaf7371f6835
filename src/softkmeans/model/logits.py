"""The logits of the memberships: from parameters and model variant to what the kernels compute with."""

from __future__ import annotations

__all__ = ["Logits", "log_normalizer", "make_logits"]

import math
from typing import NamedTuple

import torch
from torch import Tensor

from .._utils.few_numbers import as_array, from_array
from ..distances import Distance
from .assignment import AssignmentRule
from .params import ModelSpec, Params


class Logits(NamedTuple):
    """The coefficients of the logits b_k - beta_k d_ik, and the rule that turns them into memberships.

    Attributes
    ----------
    beta : Tensor (k,)
        Inverse temperatures.
    b : Tensor (k,)
        Offsets, 0 for equal priors.
    rule : AssignmentRule
        The assignment rule, with the logit of the noise cluster if there is one.
    """

    beta: Tensor
    b: Tensor
    rule: AssignmentRule


def make_logits(params: Params, spec: ModelSpec, distance: Distance) -> Logits:
    """Return the logits at given parameters.

    Parameters
    ----------
    params : Params
        Centers, temperatures and priors.
    spec : ModelSpec
        The variant of the model.
    distance : Distance
        Distance between rows and centers. Its density is needed only if each cluster has a temperature.
    """
    beta, rule = params.temperature.reciprocal(), spec.rule
    if not rule.uses_temperature:
        return Logits(beta, torch.zeros_like(beta), rule if spec.noise is None else rule.with_noise(-spec.noise))
    b = from_array(as_array(params.log_prior) + math.log(params.log_prior.shape[0]))
    if spec.noise is not None:
        rule = rule.with_noise(float(b[-1] - spec.noise / params.temperature[0]))
        b = b[:-1]
    if spec.per_cluster:  # the densities have different normalization constants
        log_z = _log_partitions(params, distance)
        b = b - log_z + log_z.min()
    return Logits(beta, b, rule)


def log_normalizer(params: Params, spec: ModelSpec, distance: Distance) -> float:
    """Return the normalization constant of the mixture: a row's log-density is the logsumexp of its logits minus it."""
    if spec.per_cluster:
        log_z = float(_log_partitions(params, distance).min())
    else:
        log_z = distance.log_partition_at(params.shared_temperature, params.centers.shape[1])
    return math.log(params.log_prior.shape[0]) + log_z


def _log_partitions(params: Params, distance: Distance) -> Tensor:
    """Return log Z(T) (k,) for the temperature of each cluster."""
    log_z = distance.log_partitions(params.temperature.detach().cpu().double(), params.centers.shape[1])
    return log_z.to(params.temperature)
