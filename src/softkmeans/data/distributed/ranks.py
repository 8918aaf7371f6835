"""Rows shared out among the processes of torch.distributed, the ranks: each sums its own, and all get the total."""

from __future__ import annotations

__all__ = ["RankSource", "distributed", "together"]

import functools
import operator
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple, TypeVar

import numpy as np
import torch
import torch.distributed as dist
from numpy.typing import ArrayLike
from torch import Tensor
from typing_extensions import override

from ..._utils.signals import answer, is_pending
from ...errors import InputError, RankLostError, SharedError
from ..block import Block
from ..convert import as_source
from ..files.scan import Scan
from ..serialize import KINDS, build, kind_of, leaves
from ..source import Source

T = TypeVar("T")
Group = Any  # torch's ProcessGroup, where PyTorch is built with it


def distributed(
    data: ArrayLike | Tensor | Source | Callable[[], Source],
    sample_weight: ArrayLike | Tensor | None = None,
    *,
    group: Group | None = None,
) -> RankSource:
    """Make one source of the rows of all ranks.

    Every rank is to call this, and then the same methods in the same order.

    What is fitted to it is the same on every rank, and the same as in one process but for rounding.

    Parameters
    ----------
    data : Scan, or what as_source takes, or callable
        A scan of files is taken to be the same on every rank: each reads its part. All else, arrays, tensors, loaders,
        are the rank's own rows, of which there may be none (0, d). A callable gives one of these; what it raises on one
        rank is then raised on all.
    sample_weight : array-like or Tensor (n,), optional
        Weights of the rank's rows.
    group : ProcessGroup, optional
        The ranks; by default all of those that ``torch.distributed.init_process_group`` brought together.

    Returns
    -------
    RankSource
        Its ``n_rows`` counts the rows of all ranks; ``blocks`` gives this rank's.

    Raises
    ------
    InputError
        If there is no process group, or the rows of some rank can't be used: on all ranks, with that rank's words.
    RankLostError
        If a rank ends, or does not answer within the group's time-out.

    Examples
    --------
    With one rank; with more, ``torchrun`` starts them and says where they find each other.

    >>> import tempfile
    >>> from softkmeans import SoftKMeans
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     dist.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=0, world_size=1)
    ...     source = distributed([[0.0], [0.2], [5.0], [5.2]])
    ...     model = SoftKMeans(2, random_state=0).fit(source)
    ...     dist.destroy_process_group()
    >>> model.cluster_centers_.round(1).tolist()
    [[0.1], [5.1]]
    """
    if not dist.is_available() or not dist.is_initialized():
        raise InputError("there is no process group: start by torchrun, and call torch.distributed.init_process_group")
    return RankSource(lambda: _rows_of(data, sample_weight, group), group)


def _rows_of(data: Any, sample_weight: Any, group: Group | None) -> Source | tuple[int, int]:
    """Give this rank's rows; where there are none, their shape."""
    data = data() if callable(data) and not isinstance(data, Source) else data
    if isinstance(data, Scan):
        part = data.share(dist.get_rank(group), dist.get_world_size(group))
        return part if part.n_rows else (0, data.n_features)
    shape = tuple(getattr(data, "shape", ()))
    return shape if len(shape) == 2 and shape[0] == 0 else as_source(data, sample_weight)


class _About(NamedTuple):
    """What a rank says of its rows."""

    n_rows: int
    n_features: int
    columns: tuple[str, ...] | None
    example: Any  # its first row (d,)


def _look(rows: Source | tuple[int, int]) -> tuple[Source | None, _About]:
    """Give a rank's rows, if it has some, and what the others are to know of them."""
    if not isinstance(rows, Source):
        return None, _About(0, rows[1], None, None)
    first = next(iter(rows.blocks())).part(0, 1)
    return rows, _About(rows.n_rows, rows.n_features, rows.columns, first.x[0].cpu().numpy())


def _agreed(every: list[_About]) -> _About:
    """Give what a rank that has rows says of them, if all say the same."""
    if len({about.n_features for about in every}) > 1:
        found = ", ".join(f"{about.n_features} on rank {rank}" for rank, about in enumerate(every))
        raise SharedError(f"ranks differ in the number of features, {found}: give all the same columns")
    full = [about for about in every if about.n_rows]
    if not full:
        raise SharedError("no rank has any rows: give some")
    if len({about.columns for about in full}) > 1:
        raise SharedError("ranks differ in the names of their columns: give all the same, in the same order")
    return full[0]


class RankSource(Source):
    """The rows of all ranks. See `distributed`."""

    in_memory = False

    def __init__(self, open_rows: Callable[[], Source | tuple[int, int]], group: Group | None) -> None:
        self.group, self.rank, self.size = group, dist.get_rank(group), dist.get_world_size(group)
        self.is_first = self.rank == 0
        (self.local, own), every = together(lambda: _look(open_rows()), group, say=operator.itemgetter(1))
        some = _agreed(every)
        self.n_rows, self.n_features, self.columns = sum(about.n_rows for about in every), own.n_features, some.columns
        knows_numbers = self.local is None or isinstance(self.local, Scan)  # of its rows among all
        self.paths = () if self.local is None else self.local.paths
        self.shift = 0 if knows_numbers else sum(about.n_rows for about in every[: self.rank])
        self.device = torch.device("cpu") if self.local is None else self.local.device
        self.dtype = torch.float64 if self.local is None else self.local.dtype
        # Stands in where this rank has no rows: one of another's, of no weight, which leaves every sum as it is.
        self.nobody = Block(some.example[None], np.zeros(1), self.device, self.dtype)

    @override
    def blocks(self) -> Iterator[Block]:
        blocks = iter(()) if self.local is None else self.local.blocks()
        return (block.starting_at(block.start + self.shift) for block in blocks)

    @override
    def map(self, fn: Callable[[Block], Tensor], width: int = 1) -> Tensor:
        """Join what a function of a block gives for this rank's own rows."""
        if self.local is None:
            return fn(self.nobody)[:0]
        return self.local.map(fn, width)

    @override
    def sum(self, fn: Callable[[Block], T]) -> T:
        return self._sum(lambda: super(RankSource, self).sum(fn) if self.local is not None else None, fn)

    def _sum(self, own: Callable[[], T | None], fn: Callable[[Block], T]) -> T:
        """Add up what the ranks have; if one of them fails, all do."""
        failure: BaseException | None = KeyboardInterrupt() if is_pending() else None
        value = None
        try:
            value = None if failure else own()
        except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 -- raised below, on all ranks
            failure = error
        value = fn(self.nobody) if value is None else value  # of the right shape, and nothing
        total, failed = _total(value, failure is not None, self.group)
        if failed:
            _raise_together(failure, self.group)
        return total

    @override
    def batches(self) -> Iterator[Source]:
        local = iter(()) if self.local is None else self.local.batches()
        while True:
            batch, every = together(lambda: next(local, None), self.group, say=lambda found: found is not None)
            if not any(every):
                return
            yield _RankBatch(self, batch)

    @override
    def everywhere(self, fn: Callable[[], T]) -> T:
        found: T = together(lambda: fn() if self.is_first else None, self.group, say=lambda found: found)[1][0]
        return found


class _RankBatch(Source):
    """A batch of each rank's rows, as far as it has any left."""

    in_memory = False

    def __init__(self, ranks: RankSource, batch: Source | None) -> None:
        self.ranks, self.batch = ranks, batch
        self.n_rows, self.n_features, self.columns = ranks.n_rows, ranks.n_features, ranks.columns
        self.device, self.dtype = ranks.device, ranks.dtype

    @override
    def blocks(self) -> Iterator[Block]:
        return iter(()) if self.batch is None else self.batch.blocks()

    @override
    def sum(self, fn: Callable[[Block], T]) -> T:
        batch = self.batch
        return self.ranks._sum(lambda: None if batch is None else batch.sum(fn), fn)


def together(
    work: Callable[[], T], group: Group | None = None, say: Callable[[T], Any] = lambda found: None
) -> tuple[T, list[Any]]:
    """Work on every rank; if it fails on one, it fails on all. Give what came of it, and what every rank says of that.

    Parameters
    ----------
    work : callable
        What to do.
    group : ProcessGroup, optional
        The ranks.
    say : callable
        Gives, of what came of the work, what the other ranks are to know.
    """
    failure: BaseException | None = None
    found: Any = None
    try:
        found = work()
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 -- raised below, on all ranks
        failure = error
    said = None if failure else say(found)
    every = _gathered((failure is not None, said), group)
    if any(failed for failed, _ in every):
        _raise_together(failure, group)
    return found, [said for _, said in every]


def _raise_together(failure: BaseException | None, group: Group | None) -> None:
    """Raise on every rank what the first that failed has to say."""
    words = " ".join(str(failure).split()) or type(failure).__name__
    interrupted = isinstance(failure, KeyboardInterrupt)
    every = _gathered(None if failure is None else (interrupted, words), group)
    if any(said is not None and said[0] for said in every):
        answer()
        raise KeyboardInterrupt from None
    rank, said = next((rank, said) for rank, said in enumerate(every) if said is not None)
    raise SharedError(f"rank {rank}: {said[1]}") from failure


def _gathered(said: Any, group: Group | None) -> list[Any]:
    """Give what every rank says."""
    every: list[Any] = [None] * dist.get_world_size(group)
    with _lost_ranks_named():
        dist.all_gather_object(every, said, group)
    return every


def _total(value: T, failed: bool, group: Group | None) -> tuple[T, bool]:
    """Add up the ranks' values in one exchange; say whether one of them failed."""
    kind, parts = kind_of(value), leaves(value)
    device = torch.device("cuda") if dist.get_backend(group) == "nccl" else torch.device("cpu")
    flat = torch.cat([part.to(device, torch.float64).flatten() for part in parts])
    flat = torch.cat([flat, flat.new_tensor([float(failed)])])

    def rebuilt(numbers: Tensor) -> Any:
        pieces = torch.split(numbers[:-1], [part.numel() for part in parts])
        return build(kind, iter([p.view(q.shape).to(q) for p, q in zip(pieces, parts, strict=True)]))

    with _lost_ranks_named():
        if KINDS[kind].elementwise:
            dist.all_reduce(flat, group=group)
            return rebuilt(flat), bool(flat[-1] > 0)
        every = [torch.empty_like(flat) for _ in range(dist.get_world_size(group))]
        dist.all_gather(every, flat, group=group)
    return functools.reduce(operator.add, map(rebuilt, every)), any(bool(one[-1] > 0) for one in every)


@contextmanager
def _lost_ranks_named() -> Iterator[None]:
    """Say in one line that a rank did not answer, whatever the words of the library underneath."""
    try:
        yield
    except RuntimeError as error:
        raise RankLostError(str(error).splitlines()[0]) from None
