"""Checkpoints and resuming.

A fit uses the data only through sums over rows (`Source.sum`), and everything else follows from these sums. So a
checkpoint holds the sums so far. A resumed fit runs again from the beginning, with these sums in place of passes over
the data. Whatever the solver, its result is bit for bit the same as that of an uninterrupted fit, and callbacks are
called for every pass.
"""

from __future__ import annotations

__all__ = ["Checkpoint", "Journal", "JournaledSource", "as_checkpoint", "resumable"]

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from importlib.metadata import version
from pathlib import Path
from typing import Any, Self, TypeVar

import numpy as np
import torch
from torch import Tensor
from typing_extensions import override

from .._utils.checks import check_count, check_positive
from .._utils.signals import terminable
from ..callbacks import Callback, Step
from ..data.block import Block
from ..data.flatten import build, kind_of, leaves
from ..data.source import Source, WrappedSource
from ..errors import InputError, Message, Setting, warn
from ..registries import CALLBACKS
from ..settings import RunOptions, Settings
from .files import Content, last_number, prepare_folder, read_latest, write
from .fingerprints import describe, fingerprint

T = TypeVar("T")

VERSIONS = {f"the version of {package}": version(package) for package in ("softkmeans", "numpy", "torch")}
SUMS_RTOL = 1e-9  # relative rounding error allowed between sums of the same rows, divided differently into blocks
MAX_WRITE_FRACTION = 0.05  # fraction of a fit's time spent on writing, if neither every nor seconds is given


@dataclass(frozen=True)
class Checkpoint:
    """The folder in which a fit keeps checkpoints, and how often it writes one.

    Parameters
    ----------
    folder : str or path-like
        Created if it is missing; it holds the last two checkpoints of one fit. Each holds the sums of all passes so
        far, 8 k (d + 4) bytes a pass.
    every : int, optional
        Number of passes over the data between checkpoints.
    seconds : float, optional
        Time between checkpoints in seconds; if ``every`` is given too, whichever comes first. If neither is given,
        checkpoints are written so often that writing takes at most about a twentieth of the fit's time.

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
            expected = "the name of a folder"
            raise InputError(parameter="checkpoint", value=self.folder, expected=expected) from None
        if self.every is not None:
            check_count("every", self.every)
        if self.seconds is not None:
            check_positive("seconds", self.seconds)


def as_checkpoint(checkpoint: Any, resume: bool) -> Checkpoint | None:
    """Return a `Checkpoint` for a folder name; None stays None."""
    if resume and checkpoint is None:
        hint = Message("set ", Setting("checkpoint"), " to the folder of the fit to continue")
        raise InputError("needs a checkpoint folder", parameter="resume", value=True, hint=hint)
    return checkpoint if checkpoint is None or isinstance(checkpoint, Checkpoint) else Checkpoint(checkpoint)


class Journal(Callback):
    """The sums of a fit, beginning with those of the run that it resumes; writes a checkpoint when one is due.

    Parameters
    ----------
    checkpoint : Checkpoint
        The folder of the checkpoints, and how often they are written.
    source : Source
        The rows. With several processes, the source determines which of them writes.
    about : dict of str
        The data and the settings of the fit, by name: a checkpoint of another fit is refused.
    resume : bool
        Whether to continue from the checkpoints in the folder.
    """

    def __init__(self, checkpoint: Checkpoint, source: Source, about: dict[str, str], *, resume: bool) -> None:
        self.checkpoint, self.source = checkpoint, source
        about = about | VERSIONS

        def open_folder() -> Content | None:
            if not resume:
                prepare_folder(checkpoint.folder)
                return None
            return read_latest(checkpoint.folder, about)

        self.content: Content = source.broadcast(open_folder) or Content(about, source.broadcast(_any_seed), 0, [])
        # Number of the last checkpoint that this fit expects in the folder.
        self.number = last_number(checkpoint.folder) if source.is_first else 0
        self.resumed_at = self.content.step
        self.step = 0
        self.n_earlier = len(self.content.sums)  # sums of the earlier run
        self.next_sum = 0  # index of the sum that is requested next
        self.n_written = self.n_earlier  # sums on disk, or in a checkpoint that could not be written
        self.written_step = self.resumed_at
        self.written_at = time.monotonic()
        self.write_seconds = 0.0

    def sum(self, key: str, compute: Callable[[], T]) -> T:
        """Return the next sum: the recorded one if it is of the same function, otherwise the computed one."""
        index = self.next_sum
        self.next_sum += 1
        if index < self.n_earlier:
            earlier_key, kind, tensors = self.content.sums[index]
            if earlier_key == key:
                earlier: T = build(kind, iter([tensor.to(self.source.device) for tensor in tensors]))
                if index == 0:  # compute one sum anyway, to check that the data is the same
                    _check_same_data(earlier, compute(), self.checkpoint.folder)
                return earlier
            # The earlier run differs from here on, for example because of a callback or Ctrl-C.
            del self.content.sums[index:]
            self.n_earlier = self.n_written = index
        value = compute()
        self.content.sums.append((key, kind_of(value), [leaf.cpu() for leaf in leaves(value)]))
        return value

    @override
    def on_step(self, step: Step) -> None:
        self.step += 1
        if self.next_sum >= self.n_earlier and self._is_due():
            self.write()

    def _is_due(self) -> bool:
        n_passes = self.step - self.written_step
        elapsed = time.monotonic() - self.written_at
        every, seconds = self.checkpoint.every, self.checkpoint.seconds
        if every is None and seconds is None:
            return self.write_seconds <= MAX_WRITE_FRACTION * elapsed
        return (every is not None and n_passes >= every) or (seconds is not None and elapsed >= seconds)

    def write(self) -> None:
        """Write a checkpoint of all sums so far; of several processes, only the first writes."""
        began, n_before = time.monotonic(), self.n_written
        try:
            self.n_written = self.next_sum  # if writing fails now, do not try again at the end of the fit
            self.content = self.content._replace(step=self.step)
            if self.source.is_first:
                self._check_only_writer()
                write(self.checkpoint.folder, self.content)
        except KeyboardInterrupt:  # writing did not fail: the checkpoint is written at the end of the fit
            self.n_written = n_before
            raise
        self.written_step = self.step
        self.written_at = time.monotonic()
        self.write_seconds = self.written_at - began

    def _check_only_writer(self) -> None:
        """Raise an InputError if another fit writes to the folder: only two checkpoints of both fits would be kept."""
        folder = self.checkpoint.folder
        last = last_number(folder) if folder.is_dir() else self.number
        if last not in (self.number, self.number - 1):  # the latter if writing failed
            problem = f"another fit is writing checkpoints to {folder}"
            raise InputError(problem, hint="use a separate folder for each fit")
        self.number = last + 1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        """Write a last checkpoint, however the fit ended; if writing fails after an error of the fit, only warn."""
        if self.next_sum <= max(self.n_earlier, self.n_written):
            return
        try:
            self.write()
        except InputError as failure:
            if error is None:
                raise
            warn(failure.message, UserWarning)


class JournaledSource(WrappedSource):
    """The rows of another source, with the sums recorded in a journal."""

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


def _as_callback(callback: Any) -> Callback:
    """Return a callback as it is, or an object of the class with a registered name."""
    if isinstance(callback, str):
        return CALLBACKS.find(callback)()
    if not hasattr(callback, "on_step"):
        problem = f"contains an object of type {type(callback).__name__}"
        raise InputError(problem, parameter="callbacks", expected="Callback objects or registered names")
    made: Callback = callback
    return made


def _any_seed() -> int:
    return int(np.random.SeedSequence().entropy)  # type: ignore[arg-type]


@contextmanager
def resumable(
    source: Source, n_clusters: int, settings: Settings, options: RunOptions
) -> Iterator[tuple[Source, Any, Sequence[Callback]]]:
    """Write checkpoints of a fit, and resume it if that is asked for.

    Yields
    ------
    source : Source
        The rows; their sums are recorded if there are checkpoints.
    seed : int or Generator
        The seed of the fit; if it is not given, it is drawn, or taken from the checkpoint.
    callbacks : sequence of Callback
        The callbacks to call.
    """
    checkpoint = as_checkpoint(options.checkpoint, options.resume)
    seed, callbacks = options.random_state, tuple(map(_as_callback, options.callbacks or ()))
    if checkpoint is None:
        yield source, source.broadcast(_any_seed) if seed is None else seed, callbacks
        return
    about = _about(source, n_clusters, settings, seed)
    with terminable(), Journal(checkpoint, source, about, resume=options.resume) as journal:
        if options.resume:
            for callback in callbacks:
                callback.on_resume(journal.resumed_at)
        seed = journal.content.seed if seed is None else seed
        yield JournaledSource(source, journal), seed, (journal, *callbacks)


def _about(source: Source, n_clusters: int, settings: Settings, seed: Any) -> dict[str, str]:
    """Return descriptions of the data and of the settings of a fit, by name."""
    data = {
        "the number of rows": str(source.n_rows),
        "the number of features": str(source.n_features),
        "the names of the features": "none" if source.columns is None else ", ".join(source.columns),
    }
    chosen = {field.name: getattr(settings, field.name) for field in fields(settings)}
    parameters = {"n_clusters": n_clusters, **chosen, "random_state": seed}
    return data | {name: describe(value) for name, value in parameters.items()}


def _check_same_data(earlier: Any, current: Any, folder: Path) -> None:
    """Raise an InputError if the first sums of two fits (Σw, Σw |x| and Σwx) differ, because the data differs."""
    same = all(
        one.shape == other.shape and torch.allclose(one, other, rtol=SUMS_RTOL, atol=SUMS_RTOL * float(one.abs().max()))
        for one, other in zip(leaves(earlier), leaves(current), strict=True)
    )
    if not same:
        raise InputError(
            f"{folder} holds checkpoints of a fit to other data (the weighted sums differ)",
            hint="use the same data, or another folder",
        )
