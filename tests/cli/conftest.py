"""Fixtures of the tests of the command line."""

import io
import sys

import pytest
from matplotlib import pyplot

from softkmeans import cli


@pytest.fixture
def run_here(monkeypatch):
    """Run a command in this process, and return its status, and what it wrote to its output of some encoding."""

    def run_command(arguments, encoding="utf-8"):
        streams = [io.TextIOWrapper(io.BytesIO(), encoding=encoding) for _ in range(2)]
        monkeypatch.setattr(sys, "argv", ["softkmeans", *arguments])
        monkeypatch.setattr(sys, "stdout", streams[0])
        monkeypatch.setattr(sys, "stderr", streams[1])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        for stream in streams:
            stream.flush()
        return ended.value.code or 0, *(stream.buffer.getvalue().decode(encoding) for stream in streams)

    yield run_command
    pyplot.close("all")
