"""Tables are copied only where documented, and large ones are processed block by block."""

import subprocess
import sys
import tracemalloc
from pathlib import Path

import array_api_strict as xp
import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse as sp
import torch

from helpers.tables import ARRAYS, TENSORS, X
from softkmeans.data import as_source
from softkmeans.data.frames import as_rows


def shared(x, rows):
    """Return whether rows share the memory of x: an array, a tensor, or the entries of a sparse matrix."""
    if isinstance(rows, torch.Tensor):
        return rows.data_ptr() == torch.as_tensor(x).data_ptr()
    if sp.issparse(rows):
        return np.shares_memory(x.data, rows.data)
    return np.shares_memory(x, rows)


WHOLE = np.asfortranarray(X)
VIEWS = {
    **{kind: (x := make(X), x) for kind, make in ARRAYS.items()},
    **{f"tensor {kind}": (x := make(X), x) for kind, make in TENSORS.items() if "negated" not in kind},
    "csr": (x := sp.csr_array(X), x),
    "csr matrix": (x := sp.csr_matrix(X), x),
    "array API": (x := xp.asarray(X.copy()), x),
    "pandas of an array": (pd.DataFrame(WHOLE, copy=False), WHOLE),
    "pandas of rows": (pd.DataFrame(X, copy=False), X),
    "polars of an array": (pl.from_numpy(WHOLE), WHOLE),
}


@pytest.mark.parametrize("kind", VIEWS)
def test_tables_that_are_not_copied(kind):
    x, whole = VIEWS[kind]
    assert shared(whole, as_rows(x))
    assert shared(whole, as_source(x).x)


@pytest.mark.parametrize("dtype", ["int8", "float32", "float64"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_rows_are_checked_block_by_block(dtype, order):
    x = np.zeros((400_000, 20), dtype, order)
    tracemalloc.start()
    try:
        as_source(x)
        assert tracemalloc.get_traced_memory()[1] < 2e6
    finally:
        tracemalloc.stop()


DENSE = """
import math, numpy as np, scipy.sparse as sp, torch
from softkmeans import SoftKMeans, kernels
from softkmeans.data import as_source, count_distinct
from softkmeans.distances import as_distance

def fit(large, n=10_000):
    kernels.dispatch.COMPILED_MIN_WORK = large
    SoftKMeans(2, temperature=1.0, max_iter=1, init=x[:2].toarray()).fit(x[:n]).predict_proba(x[:n])

def peak():  # in kB, of this process alone: getrusage includes the peak of the process it was forked from
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))

rng = np.random.default_rng(0)  # scipy.sparse.random would allocate 400 MB and hide later peaks
positions = rng.integers(10_000, size=50_000), rng.integers(5_000, size=50_000)
x = sp.csr_matrix((rng.uniform(size=50_000), positions), shape=(10_000, 5_000))
fit(0, 9)  # compiles kernels and loads modules
block = as_source(x).blocks()
before = peak()
uses = {
    "compiled": lambda: fit(0),
    "reference": lambda: fit(math.inf),
    "sorting": lambda: count_distinct(x),
    "distances": lambda: kernels.reference.distances(
        *block, torch.ones(8, 5000).double(), as_distance("sqeuclidean")
    ),
}
for name, use in uses.items():
    use()
    print(name, (peak() - before) * 1024)
"""


@pytest.mark.thorough
@pytest.mark.process
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needed to measure the peak memory")
def test_sparse_rows_are_converted_to_dense_block_by_block():
    """Check the peak memory: all 10 000 x 5 000 numbers would take 400 MB."""
    command = [sys.executable, "-W", "ignore", "-c", DENSE]
    completed = subprocess.run(command, capture_output=True, text=True, check=True)
    peaks = dict(line.split() for line in completed.stdout.splitlines())
    assert list(peaks) == ["compiled", "reference", "sorting", "distances"]
    assert all(int(peak) < 100e6 for peak in peaks.values()), peaks


@pytest.mark.process
def test_arrays_load_no_data_frame_library():
    code = (  # scikit-learn may import pandas
        "import sys, sklearn.utils.validation; before = set(sys.modules); import numpy as np;"
        "from softkmeans import SoftKMeans; SoftKMeans(2).fit(np.arange(9.0)[:, None]);"
        "print([name for name in ('pandas', 'polars', 'pyarrow') if name in {*sys.modules} - before])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
