"""The kernel that finds each row's nearest center. It computes no memberships."""

from __future__ import annotations

from typing import Any

from ..compiler import FLOAT, INT64, Code, Value
from . import csr
from .arguments import MAX_DISTANCE, PANEL_REGISTERS, Output, PassArguments, Scratch
from .distances import (
    add_squared_differences,
    difference_squared,
    product_distances,
    read_panel,
    squared_norms,
    squared_size,
)
from .loops import loop_panels, loop_tiles
from .panels import check_range, load_panel, register_starts, variables


class NearestArguments(PassArguments):
    """The arguments of `nearest`."""

    labels = Scratch(FLOAT, lambda p: (p.panel_rows,), "index of the nearest center")

    out_label = Output(INT64, lambda p: (p.chunk_rows,), "index of the nearest center, the lower one in a tie")
    out_distance = Output(FLOAT, lambda p: (p.chunk_rows,), "squared distance to the nearest center")


class _Nearest:
    """The nearest of the centers so far, for a panel's rows: its distance and index, and the second least distance."""

    def __init__(self, code: Code) -> None:
        self.code = code
        self.least = variables(code, MAX_DISTANCE[code.bits])
        self.second = variables(code, MAX_DISTANCE[code.bits])
        self.labels = variables(code)

    def add(self, q: Value, line: list[Any]) -> None:
        """Add center q, given the registers of its distances."""
        code, label = self.code, self.code.full(self.code.from_integer(q))
        for distance, least, second, nearest in zip(line, self.least, self.second, self.labels, strict=True):
            is_nearer = distance < least
            second.set(code.minimum(second, code.select(is_nearer, least, distance)))
            nearest.set(code.select(is_nearer, label, nearest))
            least.set(code.select(is_nearer, distance, least))


def nearest(code: Code, t: NearestArguments) -> None:
    """Write each row's nearest center, the first one in a tie, and its distance."""
    for first, rows in loop_tiles(code, t):
        for _ in loop_panels(code, t, first, rows):
            read_panel(code, t)
            (_find_by_differences if t.few else _find_by_product)(code, t)
            for min_dist in load_panel(code, t.min_dist, 0):
                check_range(code, t, min_dist)
            for p in code.range(0, t.panel_rows):
                t.out_label[t.first_row + p] = code.to_integer(t.labels[p])
                t.out_distance[t.first_row + p] = t.min_dist[p]


def _find_by_differences(code: Code, t: NearestArguments) -> None:
    """Find the nearest centers from differences of few features."""
    found = _Nearest(code)
    for q in code.range(0, t.k):
        sums = variables(code)
        add_squared_differences(code, t, [q], [sums])
        found.add(q, sums)
    for v, least, label in zip(register_starts(code), found.least, found.labels, strict=True):
        t.min_dist.store(v, least)
        t.labels.store(v, label)


def _find_by_product(code: Code, t: NearestArguments) -> None:
    """Find the nearest centers by a matrix product; compare centers again, from differences, that rounding may swap.

    The distance to the nearest center is computed from differences, too.
    """
    size, found = PANEL_REGISTERS * code.lanes, _Nearest(code)
    for q, line in product_distances(code, t):
        if not t.is_csr:
            for v, distance in zip(register_starts(code), line, strict=True):
                t.dist.store(q * size + v, distance)
        found.add(q, line)
    squares = squared_norms(code, t)
    for v, least, second, label, square in zip(
        register_starts(code), found.least, found.second, found.labels, squares, strict=True
    ):
        largest = squared_size(code, t, square)
        limit = code.fma(largest, 2.0 * t.product_error, least)
        t.labels.store(v, label)
        t.dist_limit.store(v, limit)
        t.min_dist.store(v, least + square)
        for lane in code.set_bits(code.mask(second <= limit)):
            _compare_again(code, t, v + lane)
        if isinstance(t, csr.CsrArguments):
            for lane in code.set_bits(code.mask(least + square < largest * t.small_ratio)):
                t.min_dist[v + lane] = difference_squared(code, t, code.to_integer(t.labels[v + lane]), v + lane)
        else:
            t.min_dist.store(v, _distances_to_nearest(code, t, v))


def _compare_again(code: Code, t: NearestArguments, p: Value) -> None:
    """Find the nearest of the centers within the limit of row p of the panel, from differences."""
    size, least, label = PANEL_REGISTERS * code.lanes, code.variable(MAX_DISTANCE[code.bits]), code.variable(0.0)
    for q in code.range(0, t.k):
        with code.if_then(t.dist[q * size + p] <= t.dist_limit[p]):
            distance = difference_squared(code, t, q, p)
            label.set(code.select(distance < least, code.from_integer(q), label))
            least.set(code.minimum(distance, least))
    t.labels[p], t.min_dist[p] = label, least


def _distances_to_nearest(code: Code, t: NearestArguments, v: int) -> Value:
    """Return a register of the distances of rows to their nearest centers, from differences."""
    sums = variables(code, number=code.lanes)
    centers = [code.to_integer(t.labels[v + lane]) * t.padded_d for lane in range(code.lanes)]
    for j in code.range(0, t.padded_d, code.lanes):
        for lane, (center, total) in enumerate(zip(centers, sums, strict=True)):
            difference = t.z.load((v + lane) * t.padded_d + j) - t.centers.load(center + j)
            total.set(code.fma(difference, difference, total))
    lines = code.transpose([total + 0.0 for total in sums])
    while len(lines) > 1:
        lines = [x + y for x, y in zip(lines[::2], lines[1::2], strict=True)]
    return lines[0]
