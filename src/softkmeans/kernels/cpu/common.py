"""What dense and sparse memberships have in common: what is within reach, a row's total, the order of the sums."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from .codegen import Code, Value
from .panels import FAR, note_far, places, variables


def set_reach(code: Code, t: Any) -> None:
    """How much farther than the nearest a cluster may be from a row that counts for it.

    A membership is at most 2^-(beta (distance - least)). Those skipped of a cluster, in all rows of a chunk, add up to
    no more than `arguments.SKIP` of the weight that it has in the chunk already.
    """
    for q in code.range(0, t.k, code.lanes):
        weight = code.rounded(t.weight_total.load(q))
        exponent = code.minimum(-code.log2(weight * t.skip), code.full(t.flush))
        t.reach.store(q, code.minimum(exponent / t.beta, code.full(FAR[code.bits])))


def share_out(code: Code, t: Any) -> None:
    """Each row's factor w / total from memberships to shares."""
    for v in places(code):
        t.factor.store(v, t.w.load(t.place + v) / t.total.load(t.place + v))
        t.depth.store(t.place + v, t.least.load(v) + t.offset.load(v))


def sum_up(code: Code, t: Any, rows: Value) -> None:
    """Add up a tile's Σ w log2 total, Σ w least distance and Σ w; note whether arithmetic held."""
    entropic, distant, number = variables(code)
    for p in code.range(0, rows, code.lanes):
        w, least = t.w.load(p), t.depth.load(p)
        entropic.set(code.fma(w, code.log2(t.total.load(p)), entropic))
        distant.set(code.fma(w, least, distant))
        number.set(number + w)
        note_far(code, t, least)
    for i, total in enumerate((entropic, distant, number)):
        t.objective[i] = t.objective[i] + code.total(total)


def strips(code: Code, t: Any) -> Iterator[tuple[Value, int]]:
    """Split the features into strips of three registers, then two, then one: give where each begins, and its width.

    A single register is left only where there is no other: products of so narrow a strip are slow.
    """
    left = t.padded // code.lanes
    threes = code.select((left % 3).same(1), code.select(left > 1, left // 3 - 1, code.whole(0)), left // 3)
    rest = left - threes * 3
    for width, begin, number in (
        (3, code.whole(0), threes),
        (2, threes * 3, rest // 2),
        (1, threes * 3 + rest // 2 * 2, rest % 2),
    ):
        for s in code.range(0, number):
            yield (begin + s * width) * code.lanes, width
