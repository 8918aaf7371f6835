"""Signals that a process sends to itself in the middle of its work, however busy the machine is."""

import os
import signal

from softkmeans.checkpoint.resume import Checkpoints
from softkmeans.persistence import assignments


def handle_ctrl_c():
    """Handle SIGINT as Python does by default: a program that a shell starts in the background ignores it."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def signal_after_pass(number, n_passes, rank="0"):
    """Make this process send itself a signal after a pass of a fit with checkpoints, if it has the given rank."""

    def save(checkpoints, step, encode, original=Checkpoints.save):
        original(checkpoints, step, encode)
        if step is not None and checkpoints.content.step == n_passes and os.environ.get("RANK", "0") == rank:
            os.kill(os.getpid(), number)

    handle_ctrl_c()
    Checkpoints.save = save


def signal_after_piece(number, n_pieces):
    """Make this process send itself a signal when it has written some pieces of a table of assignments."""

    def pieces_of(*arguments, original=assignments._pieces):
        estimator, pieces = original(*arguments)

        def signaled():
            for n_written, piece in enumerate(pieces):
                if n_written == n_pieces:
                    os.kill(os.getpid(), number)
                yield piece

        return estimator, signaled()

    assignments._pieces = pieces_of
