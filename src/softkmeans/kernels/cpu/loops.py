"""The loops over the rows of a chunk: tile by tile, and panel by panel."""

from __future__ import annotations

from collections.abc import Iterator

from ..compiler import Code, Value
from .arguments import PANEL_REGISTERS, PassArguments


def loop_tiles(code: Code, t: PassArguments) -> Iterator[tuple[Value, Value]]:
    """Loop over tiles: yield the index of the first row, and the number of rows."""
    for first in code.range(0, t.chunk_rows, t.tile_rows):
        yield first, code.select(t.chunk_rows - first < t.tile_rows, t.chunk_rows - first, t.tile_rows)


def loop_panels(code: Code, t: PassArguments, first: Value, rows: Value) -> Iterator[Value]:
    """Loop over the panels of a tile: yield where each begins in the tile."""
    size = PANEL_REGISTERS * code.lanes
    for start in code.range(0, rows, size):
        t.panel_start, t.first_row = start, first + start
        t.panel_rows = code.select(rows - start < size, rows - start, code.integer(size))
        yield start
