"""NPZ files: an array (n, d) with labels and weights, or named columns."""

from __future__ import annotations

__all__ = ["NPZ"]

import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from ....errors import FileError
from .base import Format, Header, OpenTable, arrow
from .npy import check_no_objects, read_array_header

ROWS_NAMES = ("x", "X")
LABEL_NAMES = ("y", "labels")


def _read(path: Path) -> OpenTable:
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            with archive.open(name) as member:
                array_header = read_array_header(member)  # type: ignore[arg-type]
                if array_header is not None:
                    check_no_objects(array_header[2])
    with path.open("rb") as opened, np.lib.npyio.NpzFile(opened, allow_pickle=False) as file:
        arrays = {name: np.asarray(array) for name, array in file.items()}
    matrices = [name for name, array in arrays.items() if array.ndim == 2]
    rows_name = next((name for name in matrices if name in ROWS_NAMES or len(arrays) == 1), None)
    rows = None if rows_name is None else arrays.pop(rows_name)
    n_rows = max((len(array) for array in arrays.values() if array.ndim), default=0) if rows is None else len(rows)
    for name, array in arrays.items():
        if array.shape != (n_rows,):
            hint = f"it must be ({n_rows},): one array x of shape (n, d), and others of shape (n,)"
            raise FileError(f"the array {name!r} has shape {array.shape}", hint=hint)
    header = Header(
        {name: array.dtype.kind in "biuf" for name, array in arrays.items()},
        n_columns=None if rows is None else rows.shape[1],
        label=next((name for name in LABEL_NAMES if rows is not None and name in arrays), None),
    )

    def load(numbers: list[str], others: list[str]) -> dict[str, Any]:
        return {name: arrays[name] for name in numbers + others}

    def carry(names: list[str]) -> Any:
        return arrow("lib").table({name: arrays[name] for name in names})

    return OpenTable(header, n_rows, load, rows, carry)


NPZ = Format((".npz",), read=_read)
