"""Commands run by several processes, as torchrun starts them: the first one speaks and writes for all."""

from __future__ import annotations

__all__ = ["is_one_of_several", "joined", "leave", "number"]

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

NAMES = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")  # what torchrun says to each process
LONGEST = 10.0**8  # seconds: three years, and not too many for PyTorch


def number() -> int:
    """Give this process's number, 0 if it is the only one."""
    return int(os.environ.get("RANK", 0)) if is_one_of_several() else 0


def is_one_of_several() -> bool:
    """Whether this process is one of several."""
    return all(name in os.environ for name in NAMES)


@contextmanager
def joined(device: str | None, timeout: float) -> Iterator[str | None]:
    """Meet the other processes, if there are any; give the device to work on.

    All but the first are silent. Signals end all of them after the same pass.
    """
    if not is_one_of_several():
        yield device
        return
    check_positive("timeout", timeout)
    patience = timedelta(seconds=min(timeout, LONGEST))
    import torch  # here, so that --help answers at once
    import torch.distributed as dist

    from ..data.distributed import ranks
    from ..data.files.scan import as_device

    is_gpu = device is not None and device.split(":")[0] == "cuda"
    if is_gpu:
        device = f"cuda:{int(os.environ.get('LOCAL_RANK', 0))}"
        torch.cuda.set_device(as_device(device))
    try:
        dist.init_process_group("nccl" if is_gpu else "gloo", timeout=patience)
    except (RuntimeError, ValueError) as error:
        raise RankLostError(str(error).splitlines()[0]) from None
    with ExitStack() as stack:
        stack.callback(dist.destroy_process_group)
        stack.enter_context(deferred())
        if number():
            stack.enter_context(redirect_stdout(stack.enter_context(Path(os.devnull).open("w"))))
        yield device
        ranks.together(lambda: None)  # none leaves while another still listens


def leave(status: int) -> NoReturn:
    """End this process, one of several at once: threads of libraries that outlive Python's end can abort it there."""
    if is_one_of_several():
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    sys.exit(status)
