"""Fits that go on where they were stopped.

All that data says enters a fit through `Source.sum`, and everything else follows from that. So a checkpoint is the sums
so far; a fit goes on by being made again, with these sums in place of passes over the data. It ends with the same bits
as if it had never been stopped, whatever the solver, and callbacks hear of every pass.
"""

from __future__ import annotations

__all__ = ["Checkpoint", "Journal", "JournaledSource", "as_checkpoint", "journaled"]

import functools
import inspect
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, ParamSpec, Self, TypeVar

import numpy as np
import torch
from torch import Tensor
from typing_extensions import override

from .._utils.checks import check_count, check_positive
from .._utils.signals import terminable
from ..callbacks import Callback, Step
from ..data.block import Block
from ..data.convert import as_source
from ..data.serialize import build, kind_of, leaves
from ..data.source import Source, Wrapped
from ..errors import InputError, warn
from .files import Content, begin, last_number, read_latest, write
from .fingerprints import described, fingerprint

T = TypeVar("T")
P = ParamSpec("P")

VERSIONS = {f"the version of {package}": version(package) for package in ("softkmeans", "numpy", "torch")}
SAME = 1e-9  # relative: what rounding may do to sums of the same rows that are shared out otherwise
SHARE = 0.05  # of a fit's time, that goes into writing where nobody says how often


@dataclass(frozen=True)
class Checkpoint:
    """Where a fit keeps checkpoints, and how often it writes one.

    Parameters
    ----------
    folder : str or path-like
        Made if it is missing; it holds the last two checkpoints of one fit. Each has the sums of all passes so far,
        8 k (d + 4) bytes a pass.
    every : int, optional
        Passes over the data from one checkpoint to the next.
    seconds : float, optional
        Time from one to the next; with both, whatever is due first. With neither, there is a checkpoint whenever
        writing has taken no more than a twentieth of the fit's time.

    Examples
    --------
    >>> import tempfile
    >>> from softkmeans import SoftKMeans
    >>> X = [[0.0], [0.2], [5.0], [5.1], [5.2]]
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     model = SoftKMeans(2, random_state=0, checkpoint=Checkpoint(folder, every=1)).fit(X)
    ...     again = SoftKMeans(2, random_state=0, checkpoint=folder, resume=True).fit(X)
    >>> bool((again.cluster_centers_ == model.cluster_centers_).all())
    True
    """

    folder: Any
    every: int | None = None
    seconds: float | None = None

    def __post_init__(self) -> None:
        try:
            object.__setattr__(self, "folder", Path(self.folder))
        except TypeError:
            raise InputError(f"checkpoint={self.folder!r}: give the name of a folder") from None
        if self.every is not None:
            check_count("every", self.every)
        if self.seconds is not None:
            check_positive("seconds", self.seconds)


def as_checkpoint(checkpoint: Any, resume: bool) -> Checkpoint | None:
    """Make a `Checkpoint` of the name of a folder; None stays None."""
    if resume and checkpoint is None:
        raise InputError("resume=True came without a checkpoint: say where the fit keeps its checkpoints")
    return checkpoint if checkpoint is None or isinstance(checkpoint, Checkpoint) else Checkpoint(checkpoint)


class Journal(Callback):
    """The sums of a fit: those of an earlier run first, as long as they last. It writes a checkpoint after a pass.

    Parameters
    ----------
    checkpoint : Checkpoint
        Where they are kept.
    source : Source
        The rows, which say who writes.
    about : dict of str
        What is fitted to what, in words: a checkpoint of something else is refused.
    resume : bool
        Whether to go on from what is in the folder.
    """

    def __init__(self, checkpoint: Checkpoint, source: Source, about: dict[str, str], *, resume: bool) -> None:
        self.checkpoint, self.source = checkpoint, source
        about = about | VERSIONS

        def found() -> Content | None:
            if not resume:
                begin(checkpoint.folder)
                return None
            return read_latest(checkpoint.folder, about)

        self.content: Content = source.everywhere(found) or Content(about, source.everywhere(_any_seed), 0, [])
        self.number = last_number(checkpoint.folder) if source.is_first else 0  # of the last one there is to be
        self.resumed_at, self.step = self.content.step, 0
        self.found, self.place = len(self.content.sums), 0  # how many there were, and which comes next
        self.kept = self.found  # how many are on disk, or were to be
        self.written, self.written_at, self.cost = self.resumed_at, time.monotonic(), 0.0

    def sum(self, key: str, of: Callable[[], T]) -> T:
        """Give the next sum: what an earlier run found by the same function, or what this one gives."""
        place, self.place = self.place, self.place + 1
        if place < self.found:
            was, kind, parts = self.content.sums[place]
            if was == key:
                kept: T = build(kind, iter([part.to(self.source.device) for part in parts]))
                if place == 0:  # the data are looked at once, whether they are the same
                    _check_same(kept, of(), self.checkpoint.folder)
                return kept
            del self.content.sums[place:]  # a callback or Ctrl-C took the earlier run elsewhere from here on
            self.found = self.kept = place
        value = of()
        self.content.sums.append((key, kind_of(value), [leaf.cpu() for leaf in leaves(value)]))
        return value

    @override
    def on_step(self, step: Step) -> None:
        self.step += 1
        if self.place >= self.found and self._is_due():
            self.write()

    def _is_due(self) -> bool:
        passes, waited = self.step - self.written, time.monotonic() - self.written_at
        every, seconds = self.checkpoint.every, self.checkpoint.seconds
        if every is None and seconds is None:
            return self.cost <= SHARE * waited
        return (every is not None and passes >= every) or (seconds is not None and waited >= seconds)

    def write(self) -> None:
        """Write a checkpoint of all sums so far; of several processes, the first does."""
        began = time.monotonic()
        self.kept = self.place  # what can't be written now is not tried again when the fit has ended
        self.content = self.content._replace(step=self.step)
        if self.source.is_first:
            self._check_alone()
            write(self.checkpoint.folder, self.content)
        self.written, self.written_at = self.step, time.monotonic()
        self.cost = self.written_at - began

    def _check_alone(self) -> None:
        """Refuse to write where another fit does: of its checkpoints and ours, only two would be kept."""
        folder = self.checkpoint.folder
        last = last_number(folder) if folder.is_dir() else self.number
        if last not in (self.number, self.number - 1):  # the latter where writing failed
            raise InputError(f"another fit writes checkpoints to {folder}, too: give each a folder of its own")
        self.number = last + 1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        """Leave a checkpoint, however the fit ended. If that fails, what ended the fit is still what counts."""
        if self.place <= max(self.found, self.kept):
            return
        try:
            self.write()
        except InputError as failure:
            if error is None:
                raise
            warn(str(failure), UserWarning)


class JournaledSource(Wrapped):
    """Another source's rows, whose sums a journal keeps."""

    def __init__(self, source: Source, journal: Journal) -> None:
        super().__init__(source)
        self.journal = journal

    @override
    def batches(self) -> Iterator[Source]:
        return (JournaledSource(batch, self.journal) for batch in self.source.batches())

    @override
    def sample(self, rows: Tensor, weight: Tensor | None = None) -> Source:
        return JournaledSource(self.source.sample(rows, weight), self.journal)

    @override
    def sum(self, fn: Callable[[Block], T]) -> T:
        key = fingerprint((self.n_rows, fn))
        return self.journal.sum(key, lambda: self.source.sum(fn))


def _any_seed() -> int:
    return int(np.random.SeedSequence().entropy)  # type: ignore[arg-type]


def journaled(fit: Callable[P, T]) -> Callable[P, T]:
    """Give a fit's arguments ``checkpoint`` and ``resume`` their meaning; the fit itself need not know of them.

    Parameters
    ----------
    fit : callable
        Takes ``x``, ``sample_weight`` and ``device``, of which it gets a Source, ``random_state`` and ``callbacks``.
    """
    signature = inspect.signature(fit)

    @functools.wraps(fit)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> T:
        given = signature.bind(*args, **kwargs)
        given.apply_defaults()
        named = given.arguments
        checkpoint = as_checkpoint(named["checkpoint"], named["resume"])
        source = as_source(named["x"], named["sample_weight"], device=named["device"])
        named |= {"sample_weight": None, "device": None, "x": source}
        if checkpoint is None:
            if named["random_state"] is None:
                named["random_state"] = source.everywhere(_any_seed)
            return fit(*given.args, **given.kwargs)
        with terminable(), Journal(checkpoint, source, _about(source, named), resume=named["resume"]) as journal:
            named["x"] = JournaledSource(source, journal)
            if named["random_state"] is None:
                named["random_state"] = journal.content.seed
            if named["resume"]:
                for callback in named["callbacks"]:
                    callback.on_resume(journal.resumed_at)
            named["callbacks"] = [journal, *named["callbacks"]]
            return fit(*given.args, **given.kwargs)

    return wrapped


def _about(source: Source, named: dict[str, Any]) -> dict[str, str]:
    """Say in words what is fitted to what."""
    columns = "none" if source.columns is None else ", ".join(source.columns)
    rows = {"the number of rows": source.n_rows, "that of features": source.n_features, "their names": columns}
    others = ("x", "sample_weight", "device", "callbacks", "checkpoint", "resume")
    settings = {name: described(value) for name, value in named.items() if name not in others}
    return {name: str(value) for name, value in rows.items()} | settings


def _check_same(kept: Any, found: Any, folder: Path) -> None:
    """Refuse other data than those a checkpoint is of, by their first sum: Σw, Σw |x| and Σwx."""
    same = all(
        one.shape == other.shape and torch.allclose(one, other, rtol=SAME, atol=SAME * float(one.abs().max()))
        for one, other in zip(leaves(kept), leaves(found), strict=True)
    )
    if not same:
        raise InputError(
            f"{folder} has checkpoints of a fit to other data, whose weights or values add up to something else: "
            "give the same data, or another folder"
        )
