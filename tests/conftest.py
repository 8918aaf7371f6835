"""Fixtures, settings and checks that all tests share."""

import io
import math
import os
import sys
import warnings
from pathlib import Path

import pytest
import torch

from helpers.fuzzing import register_profiles
from softkmeans import cli, kernels

os.environ.setdefault("TORCHINDUCTOR_COMPILE_THREADS", "1")  # else it starts processes, each of which imports PyTorch

collect_ignore = ["fuzz", "helpers"]  # fuzzers, which run by themselves; shared tables and programs

register_profiles()

# The kernel backends: the amount of work from which the compiled kernels are used.
BACKENDS = {"reference": math.inf, "compiled": 0}

_processes: list[str] = []  # Python processes that the running test started


def _record_process(event, arguments):
    if event == "os.fork":
        _processes.append("a fork")
    elif event == "subprocess.Popen":
        program = Path(str(arguments[0])).name
        if program.startswith(("python", "softkmeans")):
            _processes.append(program)


sys.addaudithook(_record_process)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item):
    """Forget the processes of earlier tests."""
    _processes.clear()


@pytest.fixture(autouse=True)
def _processes_are_marked(request):
    """Fail if a test that is not marked ``process`` starts a process: `make test-fast` relies on the marker."""
    yield
    if _processes and not request.node.get_closest_marker("process"):
        pytest.fail(f"mark this test with pytest.mark.process: it started {', '.join(_processes)}")


@pytest.fixture(autouse=True, scope="session")
def _one_thread():
    """Compute with one thread: tests run in parallel processes, and threads would wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(autouse=True, scope="session")
def _own_cache(tmp_path_factory):
    """Keep compiled kernels in a folder of the test run, which its workers, and the processes of tests, share."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "cache"
    folder.mkdir(mode=0o700, exist_ok=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder))
        yield


@pytest.fixture(params=BACKENDS, scope="class")  # one value for each function, as Hypothesis requires
def backend(request):
    """Use one kernel backend for all that it supports, whatever the amount of work."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kernels.dispatch, "COMPILED_MIN_WORK", BACKENDS[request.param])
        yield request.param


@pytest.fixture
def run_here(monkeypatch):
    """Run a command in this process, and return its status, and what it wrote to its output of some encoding."""

    from matplotlib import pyplot

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


@pytest.fixture
def run(monkeypatch, capsysbinary, tmp_path):
    """Run the command line in this process, in an empty folder; return exit status, output and errors."""
    import matplotlib.pyplot as plt

    monkeypatch.chdir(tmp_path)

    def call(*args):
        monkeypatch.setattr(sys, "argv", ["softkmeans", *map(str, args)])
        monkeypatch.setattr(warnings, "formatwarning", warnings.formatwarning)  # restored afterward
        try:
            cli.main()
            status = 0
        except SystemExit as end:
            status = end.code or 0
        finally:
            plt.close("all")
        out, err = capsysbinary.readouterr()
        return status, out.decode(), err.decode()

    return call


@pytest.fixture(scope="session")
def made():
    """Return a function from the name of a model to the model, its rows and its report."""
    import numpy

    from helpers.reports import MODELS
    from softkmeans import report

    known = {}

    def get(name):
        if name not in known:
            model, x = MODELS[name]()
            weights = numpy.random.default_rng(0).uniform(0.5, 2, len(x)) if name == "weighted" else None
            labels = x["alcohol"].to_numpy() > 13 if name == "wine" else None
            page = report(
                model,
                x,
                sample_weight=weights,
                labels=labels,
                title=name,
                with_path=name == "wine",
                with_selection=False,
            )
            known[name] = model, x, page
        return known[name]

    return get


@pytest.fixture(scope="session")
def page():
    """Return a browser."""
    from helpers.browser import browser, require_browser

    require_browser()
    with browser() as started:
        yield started


@pytest.fixture
def opened(page, made, tmp_path):
    """Return a function that opens the report of a model; the console must stay silent."""

    def open_report(name):
        made(name)[2].save(tmp_path / "report.html")
        page.emulate()
        return page.open(tmp_path / "report.html")

    yield open_report
    assert [text for text in page.messages() if "willReadFrequently" not in text] == []  # which tests cause
