"""The file with the record of all passes of a fit: one line a pass, appended before each checkpoint."""

from __future__ import annotations

__all__ = ["HistoryFile", "Mark"]

import csv
import hashlib
import io
import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from ..callbacks import Step

FILE_NAME = "history.csv"
COLUMNS = ("restart", "n_iter", "objective", "mean", "distortion", "temperature", "n_rows")  # fields of `Step`
HEADER = (",".join(COLUMNS) + "\n").encode()


class Mark(NamedTuple):
    """The part of the file that a checkpoint refers to.

    Attributes
    ----------
    n_bytes : int
        Its length.
    digest : str
        Its SHA-256 digest.
    """

    n_bytes: int = 0
    digest: str = ""


class HistoryFile:
    """The record of all passes of a fit.

    A checkpoint refers to the lines before it by their length and digest. Later lines, which a process that was killed
    may have left, are overwritten.

    Parameters
    ----------
    folder : Path
        The folder of the checkpoints.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE_NAME
        self.n_bytes, self.hash = 0, hashlib.sha256()

    def read(self, mark: Mark) -> tuple[Step, ...]:
        """Return the passes before a mark, and continue from there.

        Raises
        ------
        OSError or ValueError
            If the file is missing or damaged.
        """
        content = b""
        with suppress(FileNotFoundError), self.path.open("rb") as file:
            content = file.read(mark.n_bytes)
        self.n_bytes, self.hash = len(content), hashlib.sha256(content)
        if self._mark() != mark:
            raise ValueError(f"{FILE_NAME} beside it was changed or is missing")
        return tuple(map(_step, csv.DictReader(io.StringIO(content.decode()))))

    def append(self, steps: Sequence[Step]) -> Mark:
        """Write passes behind the last ones, and return the mark after them."""
        lines = "".join(",".join(repr(getattr(step, name)) for name in COLUMNS) + "\n" for step in steps)
        content = (b"" if self.n_bytes else HEADER) + lines.encode()
        with self.path.open("r+b" if self.n_bytes else "wb") as file:
            file.seek(self.n_bytes)
            file.truncate()
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        self.n_bytes += len(content)
        self.hash.update(content)
        return self._mark()

    def _mark(self) -> Mark:
        return Mark(self.n_bytes, self.hash.hexdigest())


def _step(line: dict[str, str]) -> Step:
    """Return the record of a pass from a line of the file."""
    objective, mean, distortion, temperature = (float(line[name]) for name in COLUMNS[2:6])
    return Step(
        int(line["n_iter"]), objective, mean, distortion, temperature, int(line["restart"]), int(line["n_rows"])
    )
