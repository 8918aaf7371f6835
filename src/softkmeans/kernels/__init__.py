"""One pass over some rows: rows in, memberships or Stats out. Picks the backend.

The compiled kernels (`cpu`) serve rows on the CPU where there are enough of them; the reference serves all else.
"""

from __future__ import annotations

__all__ = ["accumulate", "assign", "distances", "lognorm", "nearest", "tiles", "working_dtype"]

from typing import Any

from torch import Tensor

from ..blocks import Block
from ..distances import Distance
from ..rules import Rule, softmax
from ..stats import Stats
from . import reference
from .reference import tiles, working_dtype

LARGE = 2e6  # multiplications of a pass from which on it is worth to load, or once to compile, a kernel


def _compiled(block: Block, c: Tensor, beta: Tensor, distance: Distance, rule: Rule = softmax) -> Any:
    """Give the compiled kernels if they serve here, else None."""
    if len(block) * c.numel() < LARGE or rule is not softmax or block.device.type != "cpu":
        return None
    from .cpu import engine

    return engine if engine.serves(block, beta, distance) else None


def accumulate(block: Block, c: Tensor, beta: Tensor, b: Tensor, distance: Distance, rule: Rule = softmax) -> Stats:
    """See `reference.accumulate`."""
    if engine := _compiled(block, c, beta, distance, rule):
        try:
            return engine.accumulate(block, c, beta, b, distance)
        except engine.OutOfRangeError:
            pass
    return reference.accumulate(block, c, beta, b, distance, rule)


def assign(block: Block, c: Tensor, beta: Tensor, b: Tensor, distance: Distance, rule: Rule = softmax) -> Tensor:
    """See `reference.assign`."""
    if engine := _compiled(block, c, beta, distance, rule):
        try:
            return engine.describe(block, c, beta, b, distance, wanted=True).resp
        except engine.OutOfRangeError:
            pass
    return reference.assign(block, c, beta, b, distance, rule)


def lognorm(block: Block, c: Tensor, beta: Tensor, b: Tensor, distance: Distance, rule: Rule = softmax) -> Tensor:
    """See `reference.lognorm`."""
    if engine := _compiled(block, c, beta, distance, rule):
        try:
            return engine.describe(block, c, beta, b, distance, wanted=False).lognorm
        except engine.OutOfRangeError:
            pass
    return reference.lognorm(block, c, beta, b, distance, rule)


def nearest(block: Block, c: Tensor, distance: Distance) -> tuple[Tensor, Tensor]:
    """See `reference.nearest`."""
    zero = c.new_zeros(len(c))
    if engine := _compiled(block, c, zero, distance):
        try:
            found = engine.describe(block, c, None, zero, distance, wanted=False)
            return found.label, found.distance
        except engine.OutOfRangeError:
            pass
    return reference.nearest(block, c, distance)


def distances(block: Block, c: Tensor, distance: Distance) -> Tensor:
    """See `reference.distances`."""
    if engine := _compiled(block, c, c.new_zeros(len(c)), distance):
        try:
            return engine.distances(block, c, distance)
        except engine.OutOfRangeError:
            pass
    return reference.distances(block, c, distance)
