"""Panels: rows in registers.

A panel is three registers of rows. ``t`` holds a kernel's arrays and numbers, which `arguments` describes, and the
position of the current panel.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..compiler import Array, Code, Value, Variable
from .arguments import MAX_DISTANCE, PANEL_REGISTERS, PassArguments


def load_panel(code: Code, array: Array, at: Any) -> list[Value]:
    """Load the registers of a panel."""
    return [array.load(at + v) for v in register_starts(code)]


def register_starts(code: Code) -> range:
    """Return where the registers of a panel begin."""
    return range(0, PANEL_REGISTERS * code.lanes, code.lanes)


def features(code: Code, t: PassArguments) -> Iterable[Any]:
    """Loop over the features; the loop is unrolled if their number is fixed."""
    return range(t.few) if t.few else code.range(0, t.d)


def variables(code: Code, value: Any = 0.0, number: int = PANEL_REGISTERS) -> list[Variable]:
    """Return variables that hold registers, with one initial value in all lanes."""
    return [code.variable(code.full(value)) for _ in range(number)]


def add_to(code: Code, array: Array, at: Any, pairs: list[tuple[Any, Any]]) -> None:
    """Add products x * y to a register in memory, or x if y is None."""
    total = array.load(at)
    for x, y in pairs:
        total = total + x if y is None else code.fma(x, y, total)
    array.store(at, total)


def add_lanes(code: Code, lanes: Array, totals: Array, number: Any) -> None:
    """Add the lanes of registers in memory to float64 totals, and set the registers to 0."""
    for i in code.range(0, number):
        totals[i] = totals[i] + code.sum_lanes(lanes.load(i * code.lanes))
        lanes.store(i * code.lanes, code.full(0.0))


def check_range(code: Code, t: PassArguments, distance: Value) -> None:
    """Set ``out_of_range`` if a distance is too large, or NaN."""
    with code.if_then(code.mask(distance < MAX_DISTANCE[code.bits]) < 2**code.lanes - 1):
        t.out_of_range[0] = code.integer(1)


# -- reading rows


def read_rows(code: Code, t: PassArguments) -> None:
    """Read the panel's rows, shifted and scaled, into ``z`` and, transposed, ``columns``; missing rows become 0."""
    size = PANEL_REGISTERS * code.lanes
    for p in code.range(0, t.panel_rows):
        _read_row(code, t, t.first_row + p, p * t.padded_d)
        t.row_scales[t.panel_start + p] = t.inverse_scale
        with code.if_then(t.normalize > 0):
            _normalize(code, t, p)
    for i in code.range(t.panel_rows * t.padded_d, t.padded_d * size, code.lanes):
        t.z.store(i, code.full(0.0))
    for v in register_starts(code):
        for j in code.range(0, t.padded_d, code.lanes):
            square = [t.z.load((v + lane) * t.padded_d + j) for lane in range(code.lanes)]
            for feature, column in enumerate(code.transpose(square)):
                t.columns.store((j + feature) * size + v, column)
    read_weights(code, t)


def _read_row(code: Code, t: PassArguments, row: Value, to: Value) -> None:
    """Read a row: (x - shift_high - shift_low) * inverse_scale."""
    x, full_registers = row * t.d, t.d - t.d % code.lanes
    for j in code.range(0, full_registers, code.lanes):
        _store_shifted(t, to, j, t.x.load(x + j))
    with code.if_then(full_registers < t.d):
        _store_shifted(t, to, full_registers, t.x.load_part(x + full_registers, t.d - full_registers))


def _store_shifted(t: PassArguments, to: Value, j: Value, x: Value) -> None:
    """Shift, scale and store a register of features from the j-th on; missing features are 0, like their shift."""
    t.z.store(to + j, (x - t.shift_high.load(j) - t.shift_low.load(j)) * t.inverse_scale)


def _normalize(code: Code, t: PassArguments, p: Value) -> None:
    """Divide row p of the panel by its length."""
    (square,) = variables(code, number=1)
    for j in code.range(0, t.padded_d, code.lanes):
        x = t.z.load(p * t.padded_d + j)
        square.set(code.fma(x, x, square))
    inverse = inverse_length(code, code.from_float64(code.sum_lanes(square)))
    t.row_scales[t.panel_start + p] = t.inverse_scale * inverse
    for j in code.range(0, t.padded_d, code.lanes):
        t.z.store(p * t.padded_d + j, t.z.load(p * t.padded_d + j) * inverse)


def inverse_length(code: Code, square: Value) -> Value:
    """Return 1 / √square, or NaN, which `check_range` finds, if the square has overflowed or underflowed."""
    in_range = (square < MAX_DISTANCE[code.bits]) & (square > 1 / MAX_DISTANCE[code.bits])
    return code.select(in_range, 1.0 / code.sqrt(square), float("nan"))


def read_few_features(code: Code, t: PassArguments) -> None:
    """Read the panel's rows, shifted and scaled, into ``columns`` only, for features too few to fill registers."""
    size = PANEL_REGISTERS * code.lanes
    with code.if_else(t.panel_rows.equals(size)) as (full, part):
        with full:
            for v in register_starts(code):
                for j, x in enumerate(code.load_strided(t.x, (t.first_row + v) * t.d, t.few)):
                    t.columns.store(j * size + v, (x - t.shift_high[j] - t.shift_low[j]) * t.inverse_scale)
        with part:
            for i in code.range(0, t.d * size, code.lanes):
                t.columns.store(i, code.full(1.0))  # missing rows have weight 0, but must not divide by 0
            for p in code.range(0, t.panel_rows):
                for j in features(code, t):
                    t.columns[j * size + p] = (
                        t.x[(t.first_row + p) * t.d + j] - t.shift_high[j] - t.shift_low[j]
                    ) * t.inverse_scale
    with code.if_then(t.normalize > 0):
        for v in register_starts(code):
            (square,) = variables(code, number=1)
            for j in features(code, t):
                square.set(code.fma(t.columns.load(j * size + v), t.columns.load(j * size + v), square))
            inverse = inverse_length(code, square)
            for j in features(code, t):
                t.columns.store(j * size + v, t.columns.load(j * size + v) * inverse)
    read_weights(code, t)


def read_weights(code: Code, t: PassArguments) -> None:
    """Read the weights of the panel's rows; missing rows have weight 0."""
    with code.if_else((t.has_weights < 1) & t.panel_rows.equals(PANEL_REGISTERS * code.lanes)) as (all_ones, other):
        with all_ones:
            for v in register_starts(code):
                t.w.store(t.panel_start + v, code.full(1.0))
        with other:
            for v in register_starts(code):
                t.w.store(t.panel_start + v, code.full(0.0))
            for p in code.range(0, t.panel_rows):
                t.w[t.panel_start + p] = 1.0
            with code.if_then(t.has_weights > 0):
                for p in code.range(0, t.panel_rows):
                    t.w[t.panel_start + p] = t.weights[t.first_row + p]
