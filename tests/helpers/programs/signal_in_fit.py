"""Run the command line, and send a signal to this process after a given pass of the fit.

``python signal_in_fit.py SIGNAL PASS RANK ARGUMENT...``: so the signal always arrives in the middle of the fit, however
busy the machine is. Only the process of the given rank gets it.
"""

import os
import sys

from softkmeans.__main__ import main
from softkmeans.checkpoint.journal import Journal

number, at, rank, *arguments = sys.argv[1:]


def on_step(journal, step, original=Journal.on_step):
    original(journal, step)
    if journal.step == int(at) and os.environ.get("RANK", "0") == rank:
        os.kill(os.getpid(), int(number))


Journal.on_step = on_step
sys.argv = ["softkmeans", *arguments]
main()
