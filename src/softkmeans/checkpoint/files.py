"""Checkpoint files: one safetensors file each, written completely or not at all; the last two are kept."""

from __future__ import annotations

__all__ = ["Content", "last_number", "prepare_folder", "read_latest", "write"]

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
from ..errors import FileError, InputError, Message, Setting, warn

FORMAT = "softkmeans checkpoint"
VERSION = 2
FILE_NAME = re.compile(r"\d{8}\.safetensors")
N_KEPT = 2  # checkpoints kept in a folder

# Errors that reading a damaged checkpoint raises.
_DAMAGE_ERRORS = (safetensors.SafetensorError, OSError, LookupError, RuntimeError, TypeError, ValueError)
_DTYPES = {"float32": torch.float32, "float64": torch.float64, "int64": torch.int64}


class Content(NamedTuple):
    """The content of a checkpoint.

    Attributes
    ----------
    about : dict of str
        The data and the settings of the fit, by name.
    seed : int
        The seed of the fit if its ``random_state`` is None.
    step : int
        The number of passes so far.
    sums : list of (str, str, list of Tensor)
        For each sum over the data: the fingerprint of the function, the kind of the sum, and its tensors.
    """

    about: dict[str, str]
    seed: int
    step: int
    sums: list[tuple[str, str, list[Tensor]]]


def prepare_folder(folder: Path) -> None:
    """Create the folder for the checkpoints of a new fit.

    Raises
    ------
    InputError
        If it holds checkpoints already, or can't be created or written.
    """
    _create(folder)
    if _checkpoint_files(folder):
        hint = Message("continue with ", Setting("resume", True), ", or give another folder")
        raise InputError(f"{folder} already holds checkpoints", hint=hint)


def read_latest(folder: Path, about: dict[str, str]) -> Content | None:
    """Read the last undamaged checkpoint; return None if the folder has none.

    Raises
    ------
    InputError
        If it is from another fit (the message names the first difference), or no checkpoint can be read.
    """
    _create(folder)
    files = _checkpoint_files(folder)
    for file in reversed(files):
        try:
            content = _read(file)
        except _DAMAGE_ERRORS as error:
            reason = " ".join(str(error).split())
            warn(f"{file} can't be read, trying the previous checkpoint: {reason}", UserWarning)
            continue
        _check_same_fit(folder, content.about, about)
        return content
    if files:
        raise InputError(f"no checkpoint in {folder} can be read", hint="start a new fit in another folder")
    return None


def last_number(folder: Path) -> int:
    """Return the number of the last checkpoint, 0 if there is none."""
    files = _checkpoint_files(folder)
    return int(files[-1].stem) if files else 0


def write(folder: Path, content: Content) -> None:
    """Write a checkpoint, and delete all but the last two."""
    tensors = [tensor for *_, tensors in content.sums for tensor in tensors]
    numbers = torch.cat([tensor.double().flatten() for tensor in tensors]) if tensors else torch.empty(0)
    sums = [
        (key, kind, [(tuple(tensor.shape), _dtype_name(tensor.dtype)) for tensor in tensors])
        for key, kind, tensors in content.sums
    ]
    text = json.dumps({"about": content.about, "seed": content.seed, "step": content.step, "sums": sums})
    metadata = {"format": FORMAT, "version": str(VERSION), "content": text, "digest": _digest(text, numbers)}
    try:
        with atomic_write(folder / f"{last_number(folder) + 1:08d}.safetensors") as temporary:
            temporary.write_bytes(to_bytes({"numbers": numbers}, metadata))
    except OSError as error:
        problem = f"can't write the checkpoint in {folder}: {error.strerror}"
        hint = "earlier checkpoints are kept; make room or give another folder" if folder.is_dir() else ""
        raise FileError(problem, hint=hint) from error
    for file in _checkpoint_files(folder)[:-N_KEPT]:
        file.unlink(missing_ok=True)


def _create(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        problem = f"can't create the checkpoint folder {folder}: {error.strerror}"
        raise FileError(problem, hint="give another folder") from None
    check_writable(folder / "00000000.safetensors")
    for temporary in folder.glob(".softkmeans-*.safetensors"):  # left by a fit that was killed while writing
        temporary.unlink(missing_ok=True)


def _checkpoint_files(folder: Path) -> list[Path]:
    """Return the checkpoints in a folder, in the order they were written."""
    return sorted(file for file in folder.iterdir() if FILE_NAME.fullmatch(file.name))


def _read(file: Path) -> Content:
    with safetensors.safe_open(file, framework="pt") as opened:
        metadata, numbers = opened.metadata() or {}, opened.get_tensor("numbers")
    if metadata["format"] != FORMAT or metadata["version"] != str(VERSION):
        raise ValueError(f"its format is {metadata['format']!r} {metadata['version']}, expected {FORMAT!r} {VERSION}")
    if metadata["digest"] != _digest(metadata["content"], numbers):
        raise ValueError("its content does not match its digest")
    content = json.loads(metadata["content"])
    pieces = iter(numbers.split([prod(shape) for *_, tensors in content["sums"] for shape, _ in tensors]))
    sums = [
        (key, kind, [next(pieces).view(shape).to(_DTYPES[dtype]) for shape, dtype in tensors])
        for key, kind, tensors in content["sums"]
    ]
    return Content(content["about"], int(content["seed"]), int(content["step"]), sums)


def _dtype_name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def _check_same_fit(folder: Path, before: dict[str, str], now: dict[str, str]) -> None:
    for name in now:
        if before.get(name) != now[name]:
            subject = Setting(name) if name.isidentifier() else name  # others are, say, "the number of rows"
            raise FileError(
                Message(
                    f"{folder} holds checkpoints of another fit: ",
                    subject,
                    f" was {before.get(name)} and is now {now[name]}",
                ),
                hint="use the same settings and data, or another folder",
            )


def _digest(text: str, numbers: Tensor) -> str:
    return hashlib.sha256(text.encode() + numbers.numpy().tobytes()).hexdigest()
