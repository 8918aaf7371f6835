"""Choose between the compiled CPU kernels and the reference ones, for each pass over a block."""

from __future__ import annotations

__all__ = ["LARGE", "accumulate", "assign", "distances", "lognorm", "min_distances", "nearest"]

from collections.abc import Callable
from typing import Any, TypeVar

import torch
from torch import Tensor

from ..data.block import Block
from ..distances import Distance
from ..errors import PerformanceWarning, warn
from ..model.assignment import AssignmentRule
from ..model.stats import Stats
from . import reference
from .reference import PLAIN

T = TypeVar("T")

LARGE = 2e6  # a pass's n k (d + 8), in multiplications and exponentials, from which on a kernel is worth loading


_said: set[str] = set()  # what has been warned of in this process


def _best(
    block: Block,
    c: Tensor,
    distance: Distance,
    beta: Tensor | None,
    compiled: Callable[[Any], T],
    obvious: Callable[[], T],
    rule: AssignmentRule = PLAIN,
) -> T:
    """Do a pass by the compiled kernels, which come as a module, if they serve here, else the obvious way."""
    if block.device.type == "cpu" and len(block) * len(c) * (c.shape[1] + 8) >= LARGE:
        from .cpu import api  # loading LLVM takes time, too

        missing = api.lacks(distance, beta, rule)
        if missing:
            _say_once(missing)
        else:
            try:
                return compiled(api)
            except api.OutOfRangeError:
                pass
    return obvious()


def _say_once(missing: str) -> None:
    if missing not in _said:
        _said.add(missing)
        warn(f"the compiled kernels don't know {missing}: PyTorch does the work, more slowly", PerformanceWarning)


def accumulate(
    block: Block, c: Tensor, beta: Tensor, b: Tensor, distance: Distance, rule: AssignmentRule = PLAIN
) -> Stats:
    """See `reference.accumulate`."""
    found: Stats = _best(
        block, c, distance, beta,
        lambda api: api.accumulate(block, c, beta, b, distance),
        lambda: reference.accumulate(block, c, beta, b, distance, rule),
        rule,
    )  # fmt: skip
    return found


def assign(
    block: Block, c: Tensor, beta: Tensor, b: Tensor, distance: Distance, rule: AssignmentRule = PLAIN
) -> Tensor:
    """See `reference.assign`."""
    found: Tensor = _best(
        block, c, distance, beta,
        lambda api: api.describe(block, c, beta, b, distance, wanted=True).resp,
        lambda: reference.assign(block, c, beta, b, distance, rule),
        rule,
    )  # fmt: skip
    return found


def lognorm(
    block: Block, c: Tensor, beta: Tensor, b: Tensor, distance: Distance, rule: AssignmentRule = PLAIN
) -> Tensor:
    """See `reference.lognorm`."""
    found: Tensor = _best(
        block, c, distance, beta,
        lambda api: api.describe(block, c, beta, b, distance).lognorm,
        lambda: reference.lognorm(block, c, beta, b, distance, rule),
        rule,
    )  # fmt: skip
    return found


def nearest(block: Block, c: Tensor, distance: Distance) -> tuple[Tensor, Tensor]:
    """See `reference.nearest`."""
    found: tuple[Tensor, Tensor] = _best(
        block, c, distance, None,
        lambda api: api.describe(block, c, None, c.new_zeros(len(c)), distance)[:2],
        lambda: reference.nearest(block, c, distance),
    )  # fmt: skip
    return found


def min_distances(block: Block, c: Tensor, closest: Tensor, distance: Distance) -> tuple[Tensor, Tensor]:
    """See `reference.min_distances`."""
    found: tuple[Tensor, Tensor] = _best(
        block, c, distance, None,
        lambda api: api.min_distances(block, c, closest, distance),
        lambda: reference.min_distances(block, c, closest, distance),
    )  # fmt: skip
    return found


def distances(block: Block, c: Tensor, distance: Distance) -> Tensor:
    """See `reference.distances`."""
    nothing = torch.full((len(block),), torch.inf)
    found: Tensor = _best(
        block, c, distance, None,
        lambda api: api.min_distances(block, c, nothing, distance)[0].T.to(c.dtype),
        lambda: reference.distances(block, c, distance),
    )  # fmt: skip
    return found
