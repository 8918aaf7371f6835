"""Tables of PyArrow as open files."""

from __future__ import annotations

__all__ = ["open_arrow_table"]

from collections.abc import Callable
from typing import Any

from numpy.typing import NDArray

from .base import OpenTable
from .lists import Lists


def open_arrow_table(
    lists: Lists, n_rows: int, read: Callable[[list[str]], Any], carry: Callable[[list[str]], Any] | None = None
) -> OpenTable:
    """Return an open table; ``read`` returns the stored columns with some names as a pyarrow table.

    ``carry`` returns them as they are in the file, if that is something else.
    """

    def load(numbers: list[str], others: list[str]) -> dict[str, NDArray[Any]]:
        names = list(dict.fromkeys(numbers + others))
        table = lists.select(read(lists.stored(names)), names)
        return {name: table[name].to_numpy() for name in names}

    return OpenTable(lists.header, n_rows, load, carry=carry or read)
