"""Run the command line, and send a signal to this process after a pass: ``SIGNAL PASS RANK ARGUMENT...``."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from helpers.signals import signal_after_pass
from softkmeans.__main__ import main

number, n_passes, rank, *arguments = sys.argv[1:]
signal_after_pass(int(number), int(n_passes), rank)
sys.argv = ["softkmeans", *arguments]
main()
