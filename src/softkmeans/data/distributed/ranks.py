"""Rows distributed over the ranks of torch.distributed: each rank sums its rows, and all ranks get the total."""

from __future__ import annotations

__all__ = ["RankSource", "distributed", "rank_count", "run_on_all_ranks", "sum_over_ranks"]

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

from ..._utils.signals import clear_pending, is_pending
from ...errors import InputError, Message, RankLostError, Setting, SharedError
from ..block import Block
from ..convert import as_source
from ..files.scan import Scan
from ..flatten import KINDS, build, kind_of, leaves
from ..source import Source

T = TypeVar("T")
Group = Any  # torch.distributed.ProcessGroup, which only exists if PyTorch is built with it


def distributed(
    data: ArrayLike | Tensor | Source | Callable[[], Source],
    sample_weight: ArrayLike | Tensor | None = None,
    *,
    group: Group | None = None,
) -> RankSource:
    """Combine the rows of all ranks in one source.

    Every rank must call this function, and then the same methods in the same order. A fit has the same result on every
    rank, and the same result as in one process except for rounding.

    Parameters
    ----------
    data : Scan, any data that `as_source` supports, or callable
        A scan of files must be the same on every rank; each rank reads its part. All other data (arrays, tensors,
        loaders) are the rank's own rows; an array may have no rows (0, d). A callable returns one of these; if it
        raises an error on one rank, the error is raised on all ranks.
    sample_weight : array-like or Tensor (n,), optional
        Weights of the rank's rows.
    group : ProcessGroup, optional
        Process group of the ranks. The default is the group of ``torch.distributed.init_process_group``.

    Returns
    -------
    RankSource
        The rows of all ranks; ``n_rows`` is their total number. ``blocks`` yields only the rows of this rank.

    Raises
    ------
    InputError
        If there is no process group, or the rows of a rank are not valid; all ranks raise the error of that rank.
    RankLostError
        If a rank ends, or does not respond within the timeout of the group.

    Examples
    --------
    This example has one rank. ``torchrun`` starts several ranks and sets the variables that connect them.

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
        hint = "use torchrun, and call torch.distributed.init_process_group first"
        raise InputError("there is no process group", hint=hint)
    return RankSource(lambda: _rows_of(data, sample_weight, group), group)


def _rows_of(data: Any, sample_weight: Any, group: Group | None) -> Source | tuple[int, int]:
    """Return this rank's rows as a source, or their shape if there are none."""
    data = data() if callable(data) and not isinstance(data, Source) else data
    if isinstance(data, Scan):
        part = data.share(dist.get_rank(group), dist.get_world_size(group))
        return part if part.n_rows else (0, data.n_features)
    shape = tuple(getattr(data, "shape", ()))
    return shape if len(shape) == 2 and shape[0] == 0 else as_source(data, sample_weight)


class _RowsInfo(NamedTuple):
    """The information about a rank's rows that the other ranks need."""

    n_rows: int
    n_features: int
    columns: tuple[str, ...] | None
    example: Any  # the first row (d,)


def _with_info(rows: Source | tuple[int, int]) -> tuple[Source | None, _RowsInfo]:
    """Return a rank's rows, or None if it has none, and the information for the other ranks."""
    if not isinstance(rows, Source):
        return None, _RowsInfo(0, rows[1], None, None)
    first = next(iter(rows.blocks())).part(0, 1)
    return rows, _RowsInfo(rows.n_rows, rows.n_features, rows.columns, first.x[0].cpu().numpy())


def _check_agreement(infos: list[_RowsInfo]) -> _RowsInfo:
    """Return the information of the first rank that has rows; raise an error if ranks have different columns."""
    if len({info.n_features for info in infos}) > 1:
        counts = ", ".join(f"{info.n_features} on rank {rank}" for rank, info in enumerate(infos))
        problem = f"ranks differ in the number of features, {counts}"
        raise SharedError(problem, hint="use the same columns on all ranks")
    with_rows = [info for info in infos if info.n_rows]
    if not with_rows:
        raise SharedError("no rank has any rows", hint="give rows to at least one rank")
    if len({info.columns for info in with_rows}) > 1:
        hint = "use the same names in the same order on all ranks"
        raise SharedError("ranks differ in their column names", hint=hint)
    return with_rows[0]


class RankSource(Source):
    """The rows of all ranks; see `distributed`."""

    in_memory = False

    def __init__(self, open_rows: Callable[[], Source | tuple[int, int]], group: Group | None) -> None:
        self.group, self.rank, self.size = group, dist.get_rank(group), dist.get_world_size(group)
        self.is_first = self.rank == 0
        (self.local, own), infos = run_on_all_ranks(
            lambda: _with_info(open_rows()), group, report=operator.itemgetter(1)
        )
        common = _check_agreement(infos)
        self.n_rows, self.n_features, self.columns = sum(info.n_rows for info in infos), own.n_features, common.columns
        self.paths = () if self.local is None else self.local.paths
        has_global_indices = self.local is None or isinstance(self.local, Scan)
        self.start = 0 if has_global_indices else sum(info.n_rows for info in infos[: self.rank])
        self.device = torch.device("cpu") if self.local is None else self.local.device
        self.dtype = torch.float64 if self.local is None else self.local.dtype
        # Used if this rank has no rows: a row of another rank, with weight 0 so that it changes no sum.
        self.zero_weight_block = Block(common.example[None], np.zeros(1), self.device, self.dtype)

    @override
    def blocks(self) -> Iterator[Block]:
        blocks = iter(()) if self.local is None else self.local.blocks()
        return (block.starting_at(block.start + self.start) for block in blocks)

    @override
    def map(self, fn: Callable[[Block], Tensor], width: int = 1) -> Tensor:
        """Concatenate a function's values (m, ...) for the rows of this rank."""
        if self.local is None:
            return fn(self.zero_weight_block)[:0]
        return self.local.map(fn, width)

    @override
    def sum(self, fn: Callable[[Block], T]) -> T:
        return self._sum(lambda: super(RankSource, self).sum(fn) if self.local is not None else None, fn)

    def _sum(self, local_sum: Callable[[], T | None], fn: Callable[[Block], T]) -> T:
        """Add the local sums of all ranks, None for a rank without rows; an error on one rank is raised on all."""
        failure: BaseException | None = KeyboardInterrupt() if is_pending() else None
        value = None
        try:
            value = None if failure else local_sum()
        except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 -- raised below, on all ranks
            failure = error
        value = fn(self.zero_weight_block) if value is None else value  # 0, in the right shape
        total, any_failed = _all_reduce(value, failure is not None, self.group)
        if any_failed:
            _raise_on_all_ranks(failure, self.group)
        return total

    @override
    def batches(self) -> Iterator[Source]:
        local = iter(()) if self.local is None else self.local.batches()
        while True:
            batch, have_batch = run_on_all_ranks(
                lambda: next(local, None), self.group, report=lambda batch: batch is not None
            )
            if not any(have_batch):
                return
            yield _RankBatch(self, batch)

    @override
    def broadcast(self, fn: Callable[[], T]) -> T:
        _, results = run_on_all_ranks(lambda: fn() if self.is_first else None, self.group, report=lambda result: result)
        first: T = results[0]
        return first


class _RankBatch(Source):
    """One batch from each rank that has batches left."""

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


def run_on_all_ranks(
    work: Callable[[], T], group: Group | None = None, report: Callable[[T], Any] = lambda result: None
) -> tuple[T, list[Any]]:
    """Run a function on every rank; an error on one rank is raised on all ranks.

    Parameters
    ----------
    work : callable
        The function; it may be different on every rank.
    group : ProcessGroup, optional
        Process group of the ranks.
    report : callable
        Computes, from the result of ``work``, a value for the other ranks.

    Returns
    -------
    result : object
        Result of ``work`` on this rank.
    reports : list
        Values of ``report`` on all ranks.
    """
    failure: BaseException | None = None
    result: Any = None
    try:
        result = work()
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 -- raised below, on all ranks
        failure = error
    own_report = None if failure else report(result)
    gathered = _all_gather((failure is not None, own_report), group)
    if any(failed for failed, _ in gathered):
        _raise_on_all_ranks(failure, group)
    return result, [rank_report for _, rank_report in gathered]


def _raise_on_all_ranks(failure: BaseException | None, group: Group | None) -> None:
    """Raise, on every rank, the error of the first rank that failed; interrupts have priority over other errors."""
    interrupted = isinstance(failure, KeyboardInterrupt)
    failures = _all_gather(None if failure is None else (interrupted, _portable_message(failure)), group)
    if any(other is not None and other[0] for other in failures):
        clear_pending()
        raise KeyboardInterrupt from None
    rank, (_, message) = next((rank, other) for rank, other in enumerate(failures) if other is not None)
    raise SharedError(Message(f"rank {rank}: ", message)) from failure


def _portable_message(failure: BaseException) -> Message:
    """Return the message of an error for the other ranks; of values that may not be picklable, it has only the text."""
    if not isinstance(failure, InputError):
        return Message(" ".join(str(failure).split()) or type(failure).__name__)
    parts = failure.message.parts
    return Message(*(part if not isinstance(part, Setting) or _is_plain(part) else str(part) for part in parts))


def _is_plain(setting: Setting) -> bool:
    return not setting.has_value or isinstance(setting.value, str | bool | int | float | None)


def _all_gather(value: Any, group: Group | None) -> list[Any]:
    """Return the values of all ranks."""
    values: list[Any] = [None] * dist.get_world_size(group)
    with _lost_ranks_reported():
        dist.all_gather_object(values, value, group)
    return values


def _all_reduce(value: T, failed: bool, group: Group | None) -> tuple[T, bool]:
    """Return the sum of the ranks' values, and whether any rank failed, in one exchange."""
    kind, parts = kind_of(value), leaves(value)
    device = torch.device("cuda") if dist.get_backend(group) == "nccl" else torch.device("cpu")
    flat = torch.cat([part.to(device, torch.float64).flatten() for part in parts])
    flat = torch.cat([flat, flat.new_tensor([float(failed)])])

    def unflatten(numbers: Tensor) -> Any:
        pieces = torch.split(numbers[:-1], [part.numel() for part in parts])
        return build(kind, iter([p.view(q.shape).to(q) for p, q in zip(pieces, parts, strict=True)]))

    with _lost_ranks_reported():
        if KINDS[kind].elementwise:
            dist.all_reduce(flat, group=group)
            return unflatten(flat), bool(flat[-1] > 0)
        gathered = [torch.empty_like(flat) for _ in range(dist.get_world_size(group))]
        dist.all_gather(gathered, flat, group=group)
    return functools.reduce(operator.add, map(unflatten, gathered)), any(bool(one[-1] > 0) for one in gathered)


def rank_count() -> int:
    """Return the number of ranks; 1 without a process group."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def sum_over_ranks(numbers: Tensor) -> Tensor:
    """Return the sum of the ranks' tensors, in place; all must be on the device of the process group."""
    if rank_count() > 1:
        with _lost_ranks_reported():
            dist.all_reduce(numbers)
    return numbers


@contextmanager
def _lost_ranks_reported() -> Iterator[None]:
    """Raise a RankLostError with one line, instead of the long errors of torch.distributed, if a rank is lost."""
    try:
        yield
    except RuntimeError as error:
        raise RankLostError(str(error).splitlines()[0]) from None
