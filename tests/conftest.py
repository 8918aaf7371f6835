"""What all tests share."""

import math
import os
import sys
import warnings

import pytest
import torch

from softkmeans import cli, kernels

os.environ.setdefault("TORCHINDUCTOR_COMPILE_THREADS", "1")  # or it starts processes, each of which imports PyTorch

collect_ignore = ["helpers"]  # shared tables and programs, no tests

# The backends of the kernels: from which size on passes go to the compiled ones.
BACKENDS = {"reference": math.inf, "compiled": 0}


@pytest.fixture(autouse=True, scope="session")
def _one_thread():
    """Tests run side by side, where threads of these small sums would only wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(autouse=True, scope="session")
def _own_cache(tmp_path_factory):
    """Compiled kernels go to a folder of the tests' own, also in the processes they start."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(params=BACKENDS, scope="class")  # for each function, and Hypothesis lets it be
def backend(request):
    """Let one backend do all that it can, whatever the size."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kernels.dispatch, "LARGE", BACKENDS[request.param])
        yield request.param


@pytest.fixture
def run(monkeypatch, capsysbinary, tmp_path):
    """Run the command line here, in an empty folder; give exit status, standard output and standard error."""
    import matplotlib.pyplot as plt

    monkeypatch.chdir(tmp_path)

    def call(*args):
        monkeypatch.setattr(sys, "argv", ["softkmeans", *map(str, args)])
        monkeypatch.setattr(warnings, "formatwarning", warnings.formatwarning)  # put back afterward
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
