"""How long tests wait for other processes. No test depends on how fast these are."""

import time

HANG_SECONDS = 300  # a process that has not answered by then hangs, also on a busy machine


def wait_until(condition):
    """Wait until a condition holds, and fail if it never does."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < HANG_SECONDS
        time.sleep(0.01)
