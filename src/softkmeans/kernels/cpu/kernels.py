"""The kernels: passes over rows, panel by panel.

Each has a form for any one small number of features, which it knows beforehand and subtracts, and one for many, which
multiplies.
"""

from __future__ import annotations

__all__ = ["ARGUMENTS", "KERNELS"]

from collections.abc import Callable, Iterator
from functools import partial
from types import SimpleNamespace
from typing import Any

from . import common, dense, outputs, panels, sparse
from .codegen import Code, Value

# What a kernel is called with: arrays of its floats, of float64 and of integers, and integers; `api` says what of.
ARGUMENTS = {
    "floats": [
        "x", "weights", "high", "low", "centers", "blocks", "bias", "squares", "settings",
        "z", "columns", "scales", "w", "strip", "dist", "least", "limit", "offset", "reach",
        "y", "total", "depth", "factor", "label", "shares", "weight", "distortion", "moment",
        "closest", "out_distance", "out_log_total", "out_resp",
    ],
    "doubles": ["weight_total", "distortion_total", "moment_total", "objective", "sums"],
    "integers": ["listed", "far", "out_label"],
    "numbers": ["stop", "n", "d", "padded", "k", "fours", "size", "stride", "weighted", "unit", "wanted"],
}  # fmt: skip
SETTINGS = ["scale", "beta", "rounding", "largest", "roughness", "flush", "skip"]


def _begin(code: Code, t: Any, few: int) -> None:
    if few:
        t.d, t.padded = few, -(-few // code.lanes) * code.lanes
    for i, name in enumerate(SETTINGS):
        setattr(t, name, t.settings[i])
    t.near = code.variable(code.whole(0))


def _tiles(code: Code, t: Any) -> Iterator[tuple[Value, Value]]:
    """Loop over tiles: the number of the first row, and how many there are."""
    for first in code.range(0, t.stop, t.size):
        yield first, code.select(t.stop - first < t.size, t.stop - first, t.size)


def _panels(code: Code, t: Any, first: Value, rows: Value) -> Iterator[Value]:
    """Loop over the panels of a tile: where each is in it."""
    panel = panels.PANEL * code.lanes
    for place in code.range(0, rows, panel):
        t.place, t.row = place, first + place
        t.m = code.select(rows - place < panel, rows - place, code.whole(panel))
        yield place


def _look(code: Code, t: Any, few: int) -> None:
    """Read the panel and take its distances."""
    if few:
        panels.fill_few(code, t)
        panels.subtract(code, t)
    else:
        panels.fill(code, t)
        panels.multiply(code, t)


def accumulate(code: Code, t: Any, few: int) -> None:
    """Add up rows into what makes `Stats`."""
    _begin(code, t, few)
    crowded = code.variable(~code.true())
    for first, rows in _tiles(code, t):
        common.set_reach(code, t)
        for place in _panels(code, t, first, rows):
            _look(code, t, few)
            with code.when(place < 1):
                crowded.set(dense.is_crowded(code, t, rows=not few))
            precise = panels.is_precise(code, t) if not few else code.true()
            with code.either(crowded & precise) as (everyone, near):
                with everyone:
                    dense.weigh_all(code, t)
                    common.share_out(code, t)
                    dense.share_all(code, t, columns=bool(few))
                with near:
                    sparse.find_near(code, t)
                    with code.when(~precise):
                        sparse.refine_near(code, t)
                    sparse.weigh_near(code, t)
                    common.share_out(code, t)
                    sparse.share_near(code, t, columns=bool(few))
                    with code.when(crowded):
                        dense.share_none(code, t)
        if not few:
            with code.when(crowded):
                dense.add_products(code, t, first, rows)
        panels.flush(code, t.weight, t.weight_total, t.k)
        panels.flush(code, t.distortion, t.distortion_total, t.k)
        panels.flush(code, t.moment, t.moment_total, t.k * t.d if few else code.whole(0))
        common.sum_up(code, t, rows)


def describe(code: Code, t: Any, few: int) -> None:
    """Say of each row which cluster is nearest, how far it is, and if wanted how much the row belongs to each."""
    _begin(code, t, few)
    common.set_reach(code, t)
    for first, rows in _tiles(code, t):
        for _ in _panels(code, t, first, rows):
            _look(code, t, few)
            sparse.find_near(code, t)
            if not few:
                sparse.refine_near(code, t)
            sparse.weigh_near(code, t)
            outputs.put_nearest(code, t)
            with code.when(t.wanted > 0):
                outputs.put_memberships(code, t)


def min_distances(code: Code, t: Any, few: int) -> None:
    """Compare the rows' distances to a few centers with what they have, and add up what would be left."""
    _begin(code, t, few)
    for first, rows in _tiles(code, t):
        for _ in _panels(code, t, first, rows):
            (panels.fill_few if few else panels.fill)(code, t)
            panels.subtract(code, t)
            outputs.put_closer(code, t)
        panels.flush(code, t.weight, t.weight_total, t.k)


Kernel = Callable[[Code, SimpleNamespace], None]
KERNELS: dict[str, Kernel] = {
    f"{verb.__name__}_{few or 'many'}": partial(verb, few=few)
    for verb in (accumulate, describe, min_distances)
    for few in range(panels.FEW + 1)
}
