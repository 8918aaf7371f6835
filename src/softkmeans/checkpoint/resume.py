"""Checkpoints and resuming.

A checkpoint holds where a fit stands after a pass: the state of the solver, the last and the best evaluation. Its size
does not depend on the number of passes; their records are appended to another file. What precedes the first pass, such
as mean and spread of the data, is computed from a few sums over the rows: these sums are in the checkpoint, too.
Everything else follows from the settings and the seed, so a resumed fit ends with the same bits as one that was not
interrupted.
"""

from __future__ import annotations

__all__ = ["Checkpoint", "Checkpoints", "NoCheckpoints", "as_callbacks", "as_checkpoint", "resumable"]

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from importlib.metadata import version
from pathlib import Path
from typing import Any, Self, TypeVar

import numpy as np
import torch
from torch import Tensor
from typing_extensions import override

from .._utils.checks import check_bool, check_count, check_positive
from .._utils.signals import terminable
from ..callbacks import Callback, Step
from ..data.block import Block
from ..data.flatten import build, kind_of, leaves
from ..data.source import Source, WrappedSource
from ..errors import InputError, Message, Setting, warn
from ..registries import CALLBACKS, SOLVERS
from ..settings import RunOptions, Settings
from .encoding import Encoded
from .files import Content, last_number, prepare_folder, read_latest, write
from .fingerprints import describe, fingerprint
from .history import HistoryFile

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
        Created if it is missing. It holds the last two checkpoints of one fit, and ``history.csv``, with a line for
        each pass. A checkpoint has the size of the solver's state and of at most four times the sums of a pass.
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
    check_bool("resume", resume)
    if resume and checkpoint is None:
        hint = Message("set ", Setting("checkpoint"), " to the folder of the fit to continue")
        raise InputError("needs a checkpoint folder", parameter="resume", value=True, hint=hint)
    return checkpoint if checkpoint is None or isinstance(checkpoint, Checkpoint) else Checkpoint(checkpoint)


class NoCheckpoints:
    """What a fit needs to know of its checkpoints, if it writes none.

    Parameters
    ----------
    seed : int or Generator
        The seed of the fit.
    callbacks : sequence of Callback
        The callbacks to call.

    Attributes
    ----------
    position : Encoded or None
        Where the fit stood that is resumed.
    history : tuple of Step
        The passes that it had made.
    """

    def __init__(self, seed: Any, callbacks: Sequence[Callback]) -> None:
        self.seed, self.callbacks = seed, callbacks
        self.position: Encoded | None = None
        self.history: tuple[Step, ...] = ()

    @contextmanager
    def preparing(self, source: Source, n_clusters: int) -> Iterator[Source]:
        """Return the rows, which are used to prepare the fit first."""
        yield source

    def save(self, step: Step | None, encode: Callable[[], Encoded] | None) -> None:
        """Store a pass, or the end of the fit, and the position after it.

        Parameters
        ----------
        step : Step or None
            The record of the pass; None at the end of the fit.
        encode : callable or None
            Returns the encoded position; None if a resumed fit must not continue from here.
        """


class Checkpoints(NoCheckpoints):
    """The checkpoints of a fit, and those of the run that it resumes.

    Parameters
    ----------
    checkpoint : Checkpoint
        The folder of the checkpoints, and how often they are written.
    source : Source
        The rows. With several processes, the source determines which of them writes.
    about : dict of str
        The data and the settings of the fit, by name: a checkpoint of another fit is refused.
    seed : int, Generator or None
        The seed of the fit; if None, it is drawn, or taken from the checkpoint.
    callbacks : sequence of Callback
        The callbacks to call.
    resume : bool
        Whether to continue from the checkpoints in the folder.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        source: Source,
        about: dict[str, str],
        seed: Any,
        callbacks: Sequence[Callback],
        *,
        resume: bool,
    ) -> None:
        self.checkpoint, self.source = checkpoint, source
        about = about | VERSIONS

        history_file = HistoryFile(checkpoint.folder)

        def open_folder() -> tuple[Content, tuple[Step, ...]] | None:
            if not resume:
                prepare_folder(checkpoint.folder)
                return None
            return read_latest(checkpoint.folder, about, history_file)

        opened = source.broadcast(open_folder)
        self.content, history = opened or (Content(about, source.broadcast(_any_seed), 0, []), ())
        super().__init__(self.content.seed if seed is None else seed, callbacks)
        self.position, self.history, self.history_file = self.content.position, history, history_file
        # Number of the last checkpoint that this fit expects in the folder.
        self.number = last_number(checkpoint.folder) if source.is_first else 0
        self.resumed_at = self.written_step = self.content.step
        self.encode: Callable[[], Encoded] | None = None  # encodes the last position if no checkpoint has it
        self.steps: list[Step] = []  # passes that are not in the history file yet
        self.is_repeated = self.position is not None  # whether the next pass is the one in the checkpoint
        self.written_at = time.monotonic()
        self.write_seconds = 0.0

    @override
    @contextmanager
    def preparing(self, source: Source, n_clusters: int) -> Iterator[Source]:
        """Return the rows; while the fit is prepared, their sums come from the checkpoint if it has them."""
        # About as many as the sums of a pass have; enough for the first sum, by which other data is recognized.
        max_numbers = (n_clusters + 3) * (source.n_features + 1)
        rows = _RecordedSource(source, self.content.sums, max_numbers, self.checkpoint.folder)
        yield rows
        rows.is_recording = False
        self.content = self.content._replace(sums=rows.recorded)

    @override
    def save(self, step: Step | None, encode: Callable[[], Encoded] | None) -> None:
        if step is not None and self.is_repeated:
            self.is_repeated = False
            return
        if step is not None:
            self.steps.append(step)
            self.content = self.content._replace(step=self.content.step + 1)
        if encode is not None:
            self.encode = encode
            if step is not None and self._is_due():
                self.write()

    def _is_due(self) -> bool:
        n_passes = self.content.step - self.written_step
        elapsed = time.monotonic() - self.written_at
        every, seconds = self.checkpoint.every, self.checkpoint.seconds
        if every is None and seconds is None:
            return self.write_seconds <= MAX_WRITE_FRACTION * elapsed
        return (every is not None and n_passes >= every) or (seconds is not None and elapsed >= seconds)

    def write(self) -> None:
        """Write a checkpoint of the last position; of several processes, only the first writes."""
        began, encode, steps = time.monotonic(), self.encode, self.steps
        if encode is None:
            return
        try:
            self.encode, self.steps = None, []  # if writing fails now, do not try again at the end of the fit
            if self.source.is_first:
                content = self.content._replace(position=encode())
                self._check_only_writer()
                write(self.checkpoint.folder, content, self.history_file, steps)
        except KeyboardInterrupt:  # writing did not fail: the checkpoint is written at the end of the fit
            self.encode, self.steps = encode, steps
            raise
        self.written_step = self.content.step
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
        try:
            self.write()
        except InputError as failure:
            if error is None:
                raise
            warn(failure.message, UserWarning)


class _RecordedSource(WrappedSource):
    """The rows of another source; sums are recorded, and those of an earlier run are not computed again.

    Parameters
    ----------
    source : Source
        The rows.
    earlier : list of (str, str, list of Tensor)
        The sums of the earlier run, see `Content`.
    max_numbers : int
        Numbers that the recorded sums may have together. Larger sums, such as a covariance (d, d), are computed again.
    folder : Path
        The folder of the checkpoints, for messages.

    Attributes
    ----------
    recorded : list of (str, str, list of Tensor)
        The sums so far.
    is_recording : bool
        Whether sums are recorded; afterwards, they are just computed.
    """

    def __init__(
        self, source: Source, earlier: list[tuple[str, str, list[Tensor]]], max_numbers: int, folder: Path
    ) -> None:
        super().__init__(source)
        self.earlier, self.max_numbers, self.folder = earlier, max_numbers, folder
        self.recorded: list[tuple[str, str, list[Tensor]]] = []
        self.is_recording = True

    @override
    def batches(self) -> Iterator[Source]:
        return self.source.batches()

    @override
    def sample(self, rows: Tensor, weight: Tensor | None = None) -> Source:
        return self.source.sample(rows, weight)

    @override
    def sum(self, fn: Callable[[Block], T]) -> T:
        if not self.is_recording:
            return self.source.sum(fn)
        index, key = len(self.recorded), fingerprint((self.n_rows, fn))
        if index < len(self.earlier) and self.earlier[index][0] != key:
            self.earlier = self.earlier[:index]  # the earlier run differs from here on
        tensors = self.earlier[index][2] if index < len(self.earlier) else []
        if not tensors:
            value = self.source.sum(fn)
            tensors = [leaf.cpu() for leaf in leaves(value)]
            self.max_numbers -= sum(tensor.numel() for tensor in tensors)
            self.recorded.append((key, kind_of(value), tensors if self.max_numbers >= 0 else []))
            return value
        self.recorded.append(self.earlier[index])
        earlier: T = build(self.earlier[index][1], iter([tensor.to(self.device) for tensor in tensors]))
        if index == 0:
            _check_same_data(earlier, self.source.sum(fn), self.folder)
        return earlier


def as_callbacks(callbacks: Any) -> tuple[Callback, ...]:
    """Return the callbacks of a parameter: objects, or registered names; None stands for none.

    Raises
    ------
    InputError
        If the parameter is no sequence, or contains something else.
    """
    if callbacks is None:
        return ()
    if isinstance(callbacks, str) or not isinstance(callbacks, Iterable):
        problem, hint = f"is of type {type(callbacks).__name__}", "give a list of callbacks"
        raise InputError(problem, parameter="callbacks", expected="a list", hint=hint)
    return tuple(map(_as_callback, callbacks))


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
) -> Iterator[NoCheckpoints | Checkpoints]:
    """Write checkpoints of a fit, and resume it, if that is asked for."""
    checkpoint = as_checkpoint(options.checkpoint, options.resume)
    seed, callbacks = options.random_state, as_callbacks(options.callbacks)
    if checkpoint is None:
        yield NoCheckpoints(source.broadcast(_any_seed) if seed is None else seed, callbacks)
        return
    about = _about(source, n_clusters, settings, seed)
    with (
        terminable(),
        Checkpoints(checkpoint, source, about, seed, callbacks, resume=options.resume) as checkpoints,
    ):
        if options.resume:
            for callback in callbacks:
                callback.on_resume(checkpoints.resumed_at)
        yield checkpoints


def _about(source: Source, n_clusters: int, settings: Settings, seed: Any) -> dict[str, str]:
    """Return descriptions of the data and of the settings of a fit, by name."""
    data = {
        "the number of rows": str(source.n_rows),
        "the number of features": str(source.n_features),
        "the names of the features": "none" if source.columns is None else ", ".join(source.columns),
    }
    chosen = {field.name: getattr(settings, field.name) for field in fields(settings)}
    chosen["solver"] = SOLVERS.resolve(settings.solver)  # what the name stands for, as that may change
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
