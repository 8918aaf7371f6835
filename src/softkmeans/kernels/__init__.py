"""One pass over some rows: rows in, memberships or Stats out. Picks the backend.

The compiled kernels (`cpu`) serve rows on the CPU where there are enough of them; the reference serves all else.
"""

from __future__ import annotations

__all__ = ["accumulate", "assign", "closer", "distances", "lognorm", "nearest", "tiles", "working_dtype"]

from collections.abc import Callable
from typing import Any, TypeVar

import torch
from torch import Tensor

from ..blocks import Block
from ..distances import Distance
from ..rules import Rule, softmax
from ..stats import Stats
from . import reference
from .reference import tiles, working_dtype

T = TypeVar("T")

LARGE = 2e6  # a pass's n k (d + 8), in multiplications and exponentials, from which on a kernel is worth loading


def _best(
    block: Block,
    c: Tensor,
    distance: Distance,
    beta: Tensor | None,
    compiled: Callable[[Any], T],
    obvious: Callable[[], T],
) -> T:
    """Do a pass by the compiled kernels, which come as a module, if they serve here, else the obvious way."""
    if block.device.type == "cpu" and len(block) * len(c) * (c.shape[1] + 8) >= LARGE:
        from .cpu import engine  # loading LLVM takes time, too

        if engine.serves(distance, beta):
            try:
                return compiled(engine)
            except engine.OutOfRangeError:
                pass
    return obvious()


def accumulate(block: Block, c: Tensor, beta: Tensor, b: Tensor, distance: Distance, rule: Rule = softmax) -> Stats:
    """See `reference.accumulate`."""

    def obvious() -> Stats:
        return reference.accumulate(block, c, beta, b, distance, rule)

    if rule is not softmax:
        return obvious()
    stats: Stats = _best(
        block, c, distance, beta, lambda engine: engine.accumulate(block, c, beta, b, distance), obvious
    )
    return stats


def assign(block: Block, c: Tensor, beta: Tensor, b: Tensor, distance: Distance) -> Tensor:
    """See `reference.assign`."""
    found: Tensor = _best(
        block, c, distance, beta,
        lambda engine: engine.describe(block, c, beta, b, distance, wanted=True).resp,
        lambda: reference.assign(block, c, beta, b, distance),
    )  # fmt: skip
    return found


def lognorm(block: Block, c: Tensor, beta: Tensor, b: Tensor, distance: Distance) -> Tensor:
    """See `reference.lognorm`."""
    found: Tensor = _best(
        block, c, distance, beta,
        lambda engine: engine.describe(block, c, beta, b, distance).lognorm,
        lambda: reference.lognorm(block, c, beta, b, distance),
    )  # fmt: skip
    return found


def nearest(block: Block, c: Tensor, distance: Distance) -> tuple[Tensor, Tensor]:
    """See `reference.nearest`."""
    found: tuple[Tensor, Tensor] = _best(
        block, c, distance, None,
        lambda engine: engine.describe(block, c, None, c.new_zeros(len(c)), distance)[:2],
        lambda: reference.nearest(block, c, distance),
    )  # fmt: skip
    return found


def closer(block: Block, c: Tensor, closest: Tensor, distance: Distance) -> tuple[Tensor, Tensor]:
    """See `reference.closer`."""
    found: tuple[Tensor, Tensor] = _best(
        block, c, distance, None,
        lambda engine: engine.closer(block, c, closest, distance),
        lambda: reference.closer(block, c, closest, distance),
    )  # fmt: skip
    return found


def distances(block: Block, c: Tensor, distance: Distance) -> Tensor:
    """See `reference.distances`."""
    nothing = torch.full((len(block),), torch.inf)
    found: Tensor = _best(
        block, c, distance, None,
        lambda engine: engine.closer(block, c, nothing, distance)[0].T.to(c.dtype),
        lambda: reference.distances(block, c, distance),
    )  # fmt: skip
    return found
