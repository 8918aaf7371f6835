"""Checkpoints on disk: a safetensors file each, whole or not at all, of which the last two are kept."""

from __future__ import annotations

__all__ = ["Content", "begin", "last_number", "read_latest", "write"]

import hashlib
import json
import re
from math import prod
from pathlib import Path
from typing import NamedTuple

import safetensors
import torch
from safetensors.torch import save as to_bytes
from torch import Tensor

from .._utils.atomic import atomic_write, check_writable
from ..errors import InputError, warn

FORMAT, VERSION = "softkmeans checkpoint", 1
NAME = re.compile(r"\d{8}\.safetensors")
KEPT = 2


class Content(NamedTuple):
    """What a checkpoint holds.

    Attributes
    ----------
    about : dict of str
        What is fitted to what.
    seed : int
        Where random numbers were drawn from, if the fit was given nothing.
    step : int
        How many passes were made.
    sums : list of (str, str, list of Tensor)
        The fingerprint of what was summed, the kind of the sum, and its numbers.
    """

    about: dict[str, str]
    seed: int
    step: int
    sums: list[tuple[str, str, list[Tensor]]]


def begin(folder: Path) -> None:
    """Make the folder ready for the checkpoints of a new fit.

    Raises
    ------
    InputError
        If there are checkpoints already, or it can't be made or written.
    """
    _make(folder)
    if _files(folder):
        raise InputError(f"{folder} has checkpoints already: go on from them with resume=True, or give another folder")


def read_latest(folder: Path, about: dict[str, str]) -> Content | None:
    """Read the last checkpoint that is whole, if there is one.

    Raises
    ------
    InputError
        If it is of another fit, the first difference being named, or none of those that are there can be read.
    """
    _make(folder)
    files = _files(folder)
    for file in reversed(files):
        try:
            content = _read(file)
        except _DAMAGE as error:
            warn(
                f"{file} can't be read, and the checkpoint before is taken: {' '.join(str(error).split())}", UserWarning
            )
            continue
        _refuse_others(folder, content.about, about)
        return content
    if files:
        raise InputError(f"no checkpoint in {folder} can be read: start afresh, in another folder")
    return None


def last_number(folder: Path) -> int:
    """Give the number of the last checkpoint, 0 if there is none."""
    files = _files(folder)
    return int(files[-1].stem) if files else 0


def write(folder: Path, content: Content) -> None:
    """Write a checkpoint, and let go of all but the last two."""
    parts = [part for *_, parts in content.sums for part in parts]
    numbers = torch.cat([part.double().flatten() for part in parts]) if parts else torch.empty(0)
    shapes = [(key, kind, [(tuple(p.shape), _name(p.dtype)) for p in parts]) for key, kind, parts in content.sums]
    said = json.dumps({"about": content.about, "seed": content.seed, "step": content.step, "sums": shapes})
    metadata = {"format": FORMAT, "version": str(VERSION), "content": said, "digest": _digest(said, numbers)}
    try:
        with atomic_write(folder / f"{last_number(folder) + 1:08d}.safetensors") as temporary:
            temporary.write_bytes(to_bytes({"numbers": numbers}, metadata))
    except OSError as error:
        kept = "; those before are kept" if folder.is_dir() else ""
        raise InputError(f"can't write the checkpoint in {folder}: {error.strerror}{kept}") from error
    for file in _files(folder)[:-KEPT]:
        file.unlink(missing_ok=True)


_DAMAGE = (safetensors.SafetensorError, OSError, LookupError, RuntimeError, TypeError, ValueError)


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"can't make the folder {folder} for checkpoints: {error.strerror}") from None
    check_writable(folder / "00000000.safetensors")
    for left in folder.glob(".softkmeans-*.safetensors"):  # of a fit that was killed while it wrote
        left.unlink(missing_ok=True)


def _files(folder: Path) -> list[Path]:
    """Checkpoints in a folder, in the order they were written."""
    return sorted(file for file in folder.iterdir() if NAME.fullmatch(file.name))


def _read(file: Path) -> Content:
    with safetensors.safe_open(file, framework="pt") as opened:
        metadata, numbers = opened.metadata() or {}, opened.get_tensor("numbers")
    if metadata["format"] != FORMAT or metadata["version"] != str(VERSION):
        raise ValueError(f"its format is {metadata['format']!r} {metadata['version']}, expected {FORMAT!r} {VERSION}")
    if metadata["digest"] != _digest(metadata["content"], numbers):
        raise ValueError("its content is not what was written")
    said = json.loads(metadata["content"])
    pieces = iter(numbers.split([prod(shape) for *_, parts in said["sums"] for shape, _ in parts]))
    sums = [
        (key, kind, [next(pieces).view(shape).to(_DTYPES[dtype]) for shape, dtype in parts])
        for key, kind, parts in said["sums"]
    ]
    return Content(said["about"], int(said["seed"]), int(said["step"]), sums)


_DTYPES = {"float32": torch.float32, "float64": torch.float64, "int64": torch.int64}


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def _refuse_others(folder: Path, was: dict[str, str], now: dict[str, str]) -> None:
    for name in now:
        if was.get(name) != now[name]:
            found = f"{name} was {was.get(name)}, and is {now[name]}"
            raise InputError(
                f"{folder} has checkpoints of another fit, where {found}: give the same, or another folder"
            )


def _digest(said: str, numbers: Tensor) -> str:
    return hashlib.sha256(said.encode() + numbers.numpy().tobytes()).hexdigest()
