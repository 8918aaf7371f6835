"""Commands run by several processes, started by torchrun: only the first process prints and writes."""

from __future__ import annotations

__all__ = ["exit_process", "has_several_processes", "process_group", "process_rank"]

import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, redirect_stdout
from datetime import timedelta
from pathlib import Path
from typing import NoReturn

from .._utils.checks import check_positive
from .._utils.signals import deferred
from ..errors import RankLostError

TORCHRUN_VARIABLES = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")  # torchrun sets these for each process
MAX_TIMEOUT = 10.0**8  # seconds, about three years; PyTorch does not accept arbitrarily long timeouts


def process_rank() -> int:
    """Return the rank of this process, 0 if it is the only one."""
    return int(os.environ.get("RANK", 0)) if has_several_processes() else 0


def has_several_processes() -> bool:
    """Return whether torchrun started this process, as one of several."""
    return all(name in os.environ for name in TORCHRUN_VARIABLES)


@contextmanager
def process_group(device: str | None, timeout: float) -> Iterator[str | None]:
    """Join the process group, if torchrun started this process; yield the device to use.

    All processes but the first print nothing. A signal stops all of them after the same pass.
    """
    if not has_several_processes():
        yield device
        return
    check_positive("timeout", timeout)
    limit = timedelta(seconds=min(timeout, MAX_TIMEOUT))
    import torch  # imported here to keep --help fast
    import torch.distributed as dist

    from ..data.distributed import ranks
    from ..data.files.scan import as_device

    is_gpu = device is not None and device.split(":")[0] == "cuda"
    if is_gpu:
        device = f"cuda:{int(os.environ.get('LOCAL_RANK', 0))}"
        torch.cuda.set_device(as_device(device))
    try:
        dist.init_process_group("nccl" if is_gpu else "gloo", timeout=limit)
    except (RuntimeError, ValueError) as error:
        raise RankLostError(str(error).splitlines()[0]) from None
    with ExitStack() as stack:
        stack.callback(dist.destroy_process_group)
        stack.enter_context(deferred())
        if process_rank():
            stack.enter_context(redirect_stdout(stack.enter_context(Path(os.devnull).open("w"))))
        yield device
        ranks.run_on_all_ranks(lambda: None)  # a process must not end while another still waits for it


def exit_process(status: int) -> NoReturn:
    """Exit with a status; if torchrun started this process, exit without Python's cleanup.

    Threads of libraries that still run during the cleanup can abort the process.
    """
    if has_several_processes():
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    sys.exit(status)
