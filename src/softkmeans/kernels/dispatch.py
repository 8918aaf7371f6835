"""Choose the kernels for each pass over a block: the compiled ones, those for few rows, or the reference."""

from __future__ import annotations

__all__ = [
    "COMPILED_MIN_WORK",
    "accumulate",
    "accumulate_distortion",
    "assign",
    "distances",
    "entropy_slope",
    "hessian_product",
    "lognorm",
    "min_distances",
    "nearest",
    "row_gradient",
]

from collections.abc import Callable
from typing import Any, TypeVar

import torch
from torch import Tensor

from ..data.block import Block
from ..distances import Distance
from ..errors import PerformanceWarning, warn
from ..model.assignment import AssignmentRule
from ..model.stats import DistortionStats, Stats
from . import gradients, reference, small
from .gradients import Logits
from .reference import SOFTMAX

T = TypeVar("T")

COMPILED_MIN_WORK = 5e5  # n k (d + 8), roughly the operations of a pass, below which loading a kernel does not pay off

FALLS_BACK = True  # whether the reference kernels serve what is out of range; tests set it to False

_warned: set[str] = set()  # the unsupported features that this process has warned of


def _dispatch(
    block: Block,
    c: Tensor,
    distance: Distance,
    beta: Tensor | None,
    run_compiled: Callable[[Any], T],
    run_python: Callable[[Any], T],
    rule: AssignmentRule = SOFTMAX,
    function: str = "accumulate",
) -> T:
    """Run the compiled kernels if the block is large and they support the request, else those for few rows.

    The reference kernels serve the rest. ``run_compiled`` is called with the module `cpu.api`, and ``run_python`` with
    `small` or `reference`.
    """
    if uses_compiled(block, c, distance, beta, rule, function):
        from .cpu import api

        try:
            return run_compiled(api)
        except api.OutOfRangeError:
            if not FALLS_BACK:
                raise
    elif small.serves(block, c, distance, rule):
        return run_python(small)
    return run_python(reference)


def uses_compiled(
    block: Block,
    c: Tensor,
    distance: Distance,
    beta: Tensor | None,
    rule: AssignmentRule = SOFTMAX,
    function: str = "accumulate",
) -> bool:
    """Return whether the compiled kernels serve a request, unless its numbers are out of their range.

    The parameters are those of `reference.assign`, and the name of a kernel. If a block is large enough, but there are
    no kernels for its distance or its assignment rule, a warning says so.
    """
    k, d = c.shape
    if len(block) * k * (d + 8) < COMPILED_MIN_WORK or block.device.type != "cpu":
        return False
    from .cpu import api  # imported late, since it loads LLVM

    feature = api.unsupported_feature(distance, rule)
    if feature:
        _warn_once(feature)
    supported: bool = api.serves(function, distance, 1.0 if beta is None else beta, rule)
    return supported


def _warn_once(feature: str) -> None:
    """Warn of a feature that the compiled kernels do not support, once per process."""
    if feature not in _warned:
        _warned.add(feature)
        warn(
            f"the compiled kernels do not support {feature}: using the slower PyTorch implementation",
            PerformanceWarning,
        )


def accumulate(
    block: Block, c: Tensor, beta: Tensor, b: Tensor, distance: Distance, rule: AssignmentRule = SOFTMAX
) -> Stats:
    """Return the sufficient statistics of a block's rows: see `reference.accumulate`."""
    stats: Stats = _dispatch(
        block, c, distance, beta,
        lambda api: api.accumulate(block, c, beta, b, distance, rule, signed=_has_negative_weights(block)),
        lambda module: module.accumulate(block, c, beta, b, distance, rule),
        rule,
    )  # fmt: skip
    return stats


def accumulate_distortion(block: Block, logits: Logits) -> DistortionStats:
    """Return the statistics of a block's rows for the distortion: see `gradients.accumulate_distortion`."""
    c, beta, _, distance, rule, _ = logits
    stats: DistortionStats = _dispatch(
        block, c, distance, beta,
        lambda api: api.accumulate_distortion(block, logits, signed=_has_negative_weights(block)),
        lambda _: gradients.accumulate_distortion(block, logits),
        rule, "accumulate_distortion",
    )  # fmt: skip
    return stats


def row_gradient(block: Block, logits: Logits, *, of_distortion: bool) -> Tensor:
    """Return the gradient with respect to each row: see `gradients.row_gradient`."""
    c, beta, _, distance, rule, _ = logits
    gradient: Tensor = _dispatch(
        block, c, distance, beta,
        lambda api: api.row_gradient(block, logits, of_distortion=of_distortion),
        lambda _: gradients.row_gradient(block, logits, of_distortion=of_distortion),
        rule, "row_gradient",
    )  # fmt: skip
    return gradient


def hessian_product(
    block: Block, logits: Logits, direction: tuple[Tensor, Tensor, Tensor]
) -> tuple[Tensor, Tensor, Tensor] | None:
    """Return the product of the Hessian of the log-partition functions with a direction in c, beta and b.

    None if the compiled kernels do not serve it: the reference, `second_order`, takes rows that are not prepared.
    """
    c, beta, b, distance, rule, _ = logits
    products: tuple[Tensor, Tensor, Tensor] | None = _dispatch(
        block, c, distance, beta,
        lambda api: api.hessian_product(
            block, c, beta, b, distance, direction, signed=_has_negative_weights(block)
        ),
        lambda _: None,
        rule, "hessian_product",
    )  # fmt: skip
    return products


def entropy_slope(
    block: Block,
    c: Tensor,
    beta: Tensor,
    b: Tensor,
    distance: Distance,
    rule: AssignmentRule = SOFTMAX,
    noise: float = 0.0,
) -> Tensor:
    """Return the derivative (1,) of a block's entropy in log T: see `reference.entropy_slope`."""
    shared = float(beta[0])

    def run_compiled(api: Any) -> Tensor:
        """Compute Σ w Cov_r(β d, β d - b) from the covariances of distances, and of distances and priors."""
        stats: DistortionStats = api.accumulate_distortion(block, Logits(c, beta, b, distance, rule, noise / shared))
        slope = shared * stats.slope_distortion.sum() - b @ stats.slope
        if rule.has_noise:  # whose slope is minus the sum of the others
            slope = slope + stats.slope.sum() * rule.noise_logit
        return shared * slope[None]

    slope: Tensor = _dispatch(
        block, c, distance, beta,
        run_compiled,
        lambda module: module.entropy_slope(block, c, beta, b, distance, rule, noise),
        rule, "accumulate_distortion",
    )  # fmt: skip
    return slope


def _has_negative_weights(block: Block) -> bool:
    """Return whether a row has a negative weight, as cotangents may be."""
    return block.weights is not None and bool((block.weights < 0).any())


def assign(
    block: Block, c: Tensor, beta: Tensor, b: Tensor, distance: Distance, rule: AssignmentRule = SOFTMAX
) -> Tensor:
    """Return the memberships of rows in clusters: see `reference.assign`."""
    resp: Tensor = _dispatch(
        block, c, distance, beta,
        lambda api: _assign_with_far_rows(block, c, beta, b, distance, rule, api),
        lambda module: module.assign(block, c, beta, b, distance, rule),
        rule,
    )  # fmt: skip
    return resp


def _assign_with_far_rows(
    block: Block, c: Tensor, beta: Tensor, b: Tensor, distance: Distance, rule: AssignmentRule, api: Any
) -> Tensor:
    """Return memberships from the compiled kernels, those of far rows from the reference kernels."""
    resp, least = api.assign(block, c, beta, b, distance, rule)
    far = small.far_rows(least, c, distance)
    if len(far) and reference.has_far_memberships(beta, rule):
        resp[far] = reference.assign(block.take(torch.from_numpy(far)), c, beta, b, distance).numpy()
    return torch.from_numpy(resp)


def lognorm(
    block: Block, c: Tensor, beta: Tensor, b: Tensor, distance: Distance, rule: AssignmentRule = SOFTMAX
) -> Tensor:
    """Return the log-normalizer of each row's memberships: see `reference.lognorm`."""
    log_normalizer: Tensor = _dispatch(
        block, c, distance, beta,
        lambda api: torch.from_numpy(api.lognorm(block, c, beta, b, distance, rule)),
        lambda module: module.lognorm(block, c, beta, b, distance, rule),
        rule,
    )  # fmt: skip
    return log_normalizer


def nearest(block: Block, c: Tensor, distance: Distance) -> tuple[Tensor, Tensor]:
    """Return the index and the distance of each row's nearest center: see `reference.nearest`."""
    label_and_distance: tuple[Tensor, Tensor] = _dispatch(
        block, c, distance, None,
        lambda api: _nearest_with_far_rows(block, c, distance, api),
        lambda module: module.nearest(block, c, distance),
        function="nearest",
    )  # fmt: skip
    return label_and_distance


def _nearest_with_far_rows(block: Block, c: Tensor, distance: Distance, api: Any) -> tuple[Tensor, Tensor]:
    """Return labels and distances from the compiled kernels, those of far rows from the reference kernels."""
    label, least = map(torch.from_numpy, api.nearest(block, c, distance))
    far = torch.from_numpy(small.far_rows(least.numpy(), c, distance))
    if len(far):
        label[far], least[far] = reference.nearest(block.take(far), c, distance)
    return label, least


def min_distances(block: Block, c: Tensor, closest: Tensor, distance: Distance) -> tuple[Tensor, Tensor]:
    """Evaluate candidates for the next center: see `reference.min_distances`."""
    distances_and_potential: tuple[Tensor, Tensor] = _dispatch(
        block, c, distance, None,
        lambda api: api.min_distances(block, c, closest, distance),
        lambda module: module.min_distances(block, c, closest, distance),
    )  # fmt: skip
    return distances_and_potential


def distances(block: Block, c: Tensor, distance: Distance) -> Tensor:
    """Return the distances of a block's rows to centers: see `reference.distances`."""
    no_center_yet = torch.full((len(block),), torch.inf, device="cpu")
    d: Tensor = _dispatch(
        block, c, distance, None,
        lambda api: api.min_distances(block, c, no_center_yet, distance)[0].T.to(c.dtype),
        lambda module: module.distances(block, c, distance),
    )  # fmt: skip
    return d
