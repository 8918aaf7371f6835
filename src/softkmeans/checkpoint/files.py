"""Checkpoint files: one safetensors file each, written completely or not at all; the last two are kept."""

from __future__ import annotations

__all__ = ["Content", "last_number", "prepare_folder", "read_latest", "write"]

import hashlib
import json
import re
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import safetensors
import torch
from safetensors.torch import save as to_bytes
from torch import Tensor

from .._utils.atomic import atomic_write, check_writable
from ..callbacks import Step
from ..errors import FileError, InputError, Message, Setting, warn
from .encoding import Encoded
from .history import HistoryFile, Mark

FORMAT = "softkmeans checkpoint"
VERSION = 4
FILE_NAME = re.compile(r"\d{8}\.safetensors")
N_KEPT = 2  # checkpoints kept in a folder

# Errors that reading a damaged checkpoint raises.
_DAMAGE_ERRORS = (safetensors.SafetensorError, OSError, LookupError, RuntimeError, TypeError, ValueError)


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
        For each sum over the data that the preparation of the fit needs: the fingerprint of the function, the kind of
        the sum, and its tensors.
    position : Encoded or None
        Where the fit stands; None before the end of the first pass.
    mark : Mark
        The part of the history file that belongs to the checkpoint.
    """

    about: dict[str, str]
    seed: int
    step: int
    sums: list[tuple[str, str, list[Tensor]]]
    position: Encoded | None = None
    mark: Mark = Mark()


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


def read_latest(folder: Path, about: dict[str, str], history: HistoryFile) -> tuple[Content, tuple[Step, ...]] | None:
    """Read the last undamaged checkpoint and the passes before it; return None if the folder has none.

    Raises
    ------
    InputError
        If it is from another fit (the message names the first difference) or has the format of another version, or no
        checkpoint can be read.
    """
    _create(folder)
    files = _checkpoint_files(folder)
    reason = ""
    for file in reversed(files):
        try:
            content = _read(file)
            steps = history.read(content.mark)
        except FileError:  # of another version; it is also a ValueError
            raise
        except _DAMAGE_ERRORS as error:
            reason = " ".join(str(error).split())
            if file != files[0]:
                warn(f"{file} can't be read, trying the previous checkpoint: {reason}", UserWarning)
            continue
        _check_same_fit(folder, content.about, about)
        return content, steps
    if files:
        hint = "restore the files, or start a new fit in another folder"
        raise InputError(f"no checkpoint in {folder} can be read ({reason})", hint=hint)
    return None


def last_number(folder: Path) -> int:
    """Return the number of the last checkpoint, 0 if there is none."""
    files = _checkpoint_files(folder)
    return int(files[-1].stem) if files else 0


def write(folder: Path, content: Content, history: HistoryFile, steps: Sequence[Step]) -> None:
    """Append passes to the history, write a checkpoint, and delete all but the last two."""
    try:
        mark = history.append(steps)
        with atomic_write(folder / f"{last_number(folder) + 1:08d}.safetensors") as temporary:
            temporary.write_bytes(_to_bytes(content._replace(mark=mark)))
    except OSError as error:
        problem = f"can't write the checkpoint in {folder}: {error.strerror}"
        hint = "earlier checkpoints are kept; make room or give another folder" if folder.is_dir() else ""
        raise FileError(problem, hint=hint) from error
    for file in _checkpoint_files(folder)[:-N_KEPT]:
        file.unlink(missing_ok=True)


def _to_bytes(content: Content) -> bytes:
    in_sums = [tensor for *_, tensors in content.sums for tensor in tensors]
    in_position = [] if content.position is None else content.position.tensors
    own = torch.contiguous_format  # none shares memory, and all have ordinary strides
    tensors = {f"{n}": tensor.clone(memory_format=own) for n, tensor in enumerate(in_sums + in_position)}
    text = json.dumps({
        "about": content.about,
        "seed": content.seed,
        "step": content.step,
        "sums": [(key, kind, len(tensors)) for key, kind, tensors in content.sums],
        "position": None if content.position is None else content.position.json,
        "mark": content.mark,
    })  # fmt: skip
    metadata = {"format": FORMAT, "version": str(VERSION), "content": text, "digest": _digest(text, tensors)}
    return to_bytes(tensors, metadata)


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
    return sorted(file for file in folder.iterdir() if FILE_NAME.fullmatch(file.name) and file.is_file())


def _read(file: Path) -> Content:
    with safetensors.safe_open(file, framework="pt") as opened:
        metadata = opened.metadata() or {}
        tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118 -- not a dict
    if metadata["format"] != FORMAT:
        raise ValueError(f"its format is {metadata['format']!r}, expected {FORMAT!r}")
    if metadata["version"] != str(VERSION):
        raise FileError(
            f"{file} is a checkpoint of format version {metadata['version'][:20]}",
            expected=f"{VERSION}",
            hint="continue with the version of softkmeans that wrote it, or start a new fit in another folder",
        )
    if metadata["digest"] != _digest(metadata["content"], tensors):
        raise ValueError("its content does not match its digest")
    content = json.loads(metadata["content"])
    remaining = iter([tensors[f"{number}"] for number in range(len(tensors))])
    sums = [(key, kind, list(islice(remaining, n_tensors))) for key, kind, n_tensors in content["sums"]]
    position = None if content["position"] is None else Encoded(content["position"], list(remaining))
    mark = Mark(*content["mark"])
    return Content(content["about"], int(content["seed"]), int(content["step"]), sums, position, mark)


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


def _digest(text: str, tensors: dict[str, Tensor]) -> str:
    digest = hashlib.sha256(text.encode())
    for name in sorted(tensors):
        digest.update(tensors[name].flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()
