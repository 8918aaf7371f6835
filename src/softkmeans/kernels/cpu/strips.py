"""Strips: the features in parts of three, two or one register, as the weighted sums of rows with many features lie.

The sums of a strip are contiguous in memory, (padded_k, width), so that the processor can prefetch them.
"""

from __future__ import annotations

__all__ = ["TABLE_WIDTHS", "WIDTHS", "join_strips", "split_features", "strip_counts", "table_columns", "table_strips"]

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

WIDTHS = (3, 2, 1)  # registers of a strip
TABLE_WIDTHS = (6, 3, 2, 1)  # of the table that kernels for CSR rows read: its strips need fewer registers at once


def strip_counts(n_registers: int) -> tuple[int, int, int]:
    """Return the number of strips of each of `WIDTHS`.

    A strip of one register occurs only if there is just one register: products of such narrow strips are slow.
    """
    if n_registers == 1:
        return 0, 0, 1
    n_twos = -n_registers % 3
    return (n_registers - 2 * n_twos) // 3, n_twos, 0


def table_columns(k: int, lanes: int) -> int:
    """Return the columns of the table that kernels for CSR rows read: one for each cluster, one more, and padding."""
    step = max(4, lanes)
    return -(-(k + 1) // step) * step


@cache
def table_strips(n_registers: int) -> tuple[int, ...]:
    """Return the number of strips of each of `TABLE_WIDTHS`; as few as possible, as each reads the rows anew."""
    counts = []
    for width in TABLE_WIDTHS:
        count, n_registers = divmod(n_registers, width)
        counts.append(count)
    return tuple(counts)


def split_features(
    counts: Sequence[Any],
    lanes: int,
    loop: Callable[[int, Any], Iterable[Any]] = range,
    widths: Sequence[int] = WIDTHS,
) -> Iterator[tuple[Any, int]]:
    """Yield each strip's first feature and number of registers.

    Kernels give the counts as values of the machine code, and ``Code.range`` as the loop.
    """
    begin: Any = 0
    for width, count in zip(widths, counts, strict=True):
        for strip in loop(0, count):
            yield (begin + strip * width) * lanes, width
        begin = begin + count * width


def join_strips(sums: NDArray[Any], lanes: int) -> NDArray[Any]:
    """Return sums (padded_k, padded_d) that lie strip by strip as an array of that shape."""
    padded_k, padded_d = sums.shape
    flat, strips = sums.reshape(-1), []
    for begin, n_registers in split_features(strip_counts(padded_d // lanes), lanes):
        width = n_registers * lanes
        strips.append(flat[begin * padded_k : (begin + width) * padded_k].reshape(padded_k, width))
    return np.concatenate(strips, axis=1)
