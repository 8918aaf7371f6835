"""How the rows of a block are read, and split into chunks and tiles."""

from __future__ import annotations

__all__ = ["csr_partition", "is_csr", "partition"]

import math
from typing import Any

from ...data.block import Block
from ..compiler import lanes
from .arguments import MAX_FEW_FEATURES, PANEL_REGISTERS, TILE_ROWS, round_up
from .strips import table_columns

MIN_CHUNK_ROWS = 8 * TILE_ROWS  # later tiles of a chunk skip memberships by the cluster weights of the earlier ones
MANY_SUMS = 2**18  # with more of them, setting the memory of a chunk to 0, and adding it up, takes as long as its rows
MAX_DENSE_ENTRIES = 2**22  # maximum size of a chunk of sparse rows, which are converted to dense: 32 MB per thread
MIN_CHUNK_CYCLES = 1e6  # minimum work of a chunk
MAX_CSR_DENSITY = 0.25  # with more stored values, rows are converted to dense ones, which take fewer cycles a value
CYCLES_OF_A_SUM = 175  # minimum work of a chunk for each register of its sums, which are set to 0 and added up


def _cycles_per_row(d: int, k: int, n_lanes: int) -> float:
    """Return about how many cycles a row takes: for reading it, distances, memberships, and sums."""
    if d <= MAX_FEW_FEATURES:
        return (k * (4 * d + 16) + 10 * d + 40) / n_lanes
    return k * (d + 16) / n_lanes + 2 * round_up(d, n_lanes) + 30


def is_csr(block: Block) -> bool:
    """Return whether the rows of a block are read as those of a CSR matrix: its stored values only."""
    rows: Any = block.rows
    n, d = rows.shape
    return block.is_sparse and d > MAX_FEW_FEATURES and bool(rows.nnz <= MAX_CSR_DENSITY * n * d)


def partition(block: Block, size: tuple[int, ...], bits: int) -> tuple[int, int]:
    """Return the rows of a chunk and of a tile, for centers of a size (k, d)."""
    (k, d), n_lanes = size, lanes(bits)
    padded_d = round_up(d, n_lanes)
    min_rows = max(1, min(MIN_CHUNK_ROWS, MAX_DENSE_ENTRIES // padded_d)) if block.is_sparse else MIN_CHUNK_ROWS
    min_rows *= 2 if k * padded_d > MANY_SUMS and not block.is_sparse else 1
    return _equal_chunks(len(block), max(min_rows, MIN_CHUNK_CYCLES / _cycles_per_row(d, k, n_lanes)), n_lanes)


def csr_partition(block: Block, size: tuple[int, ...], bits: int) -> tuple[int, int]:
    """Return the rows of a chunk and of a tile, for rows of a CSR matrix."""
    (k, d), n_lanes = size, lanes(bits)
    n_registers = table_columns(k, n_lanes) // n_lanes
    rows: Any = block.rows
    n_entries = rows.nnz / max(1, len(block))
    cycles_per_row = n_entries * (6 + 4 * n_registers) + k * 30 / n_lanes + 50
    min_cycles = max(MIN_CHUNK_CYCLES, CYCLES_OF_A_SUM * d * n_registers)
    return _equal_chunks(len(block), max(MIN_CHUNK_ROWS / 8, min_cycles / cycles_per_row), n_lanes)


def _equal_chunks(n: int, min_rows: float, n_lanes: int) -> tuple[int, int]:
    """Return the rows of a chunk and of a tile, for chunks of equal size.

    The number of chunks is 2^i or 3 · 2^i, which most numbers of threads divide.
    """
    max_chunks = max(1.0, n / min_rows)
    doublings = int(math.log2(max_chunks))
    use_three = doublings and max_chunks >= 1.5 * 2**doublings
    n_chunks = 3 * 2 ** (doublings - 1) if use_three else 2**doublings
    chunk_rows = -(-n // n_chunks)
    n_tiles = -(-chunk_rows // TILE_ROWS)
    return chunk_rows, round_up(-(-chunk_rows // n_tiles), PANEL_REGISTERS * n_lanes)
