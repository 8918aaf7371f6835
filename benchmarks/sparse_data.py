"""Passes over CSR matrices, and whole fits of texts, compared with scikit-learn."""

import functools
import itertools
import time
from pathlib import Path

import numpy as np
import peers
import workloads
from measure import interleaved, median, peak_memory, per_pass, ratio
from sklearn.cluster import KMeans

import softkmeans
from softkmeans import SoftKMeans, fit

HERE = Path(__file__).parent
CSR_SIZE = (10**5, 10**4, 20)


def passes(rounds=5):
    """Return the rows of a table of passes."""
    rows = []
    for dtype in (np.float64, np.float32):
        w = workloads.csr(*CSR_SIZE, dtype=dtype)
        _check_sparse_sums(w)
        contenders = {
            "ours": lambda w=w: per_pass(functools.partial(_em, w), 2, 22),
            "lloyd": peers.lloyd_of_csr(w, 2, 22),
        }
        times = interleaved(contenders, rounds)
        call = f"softkmeans.fit(x, {len(w.centers)}, init=w.centers, temperature=w.temperature, max_iter=8, tol=0)"
        cells = [f"{ratio(times, 'lloyd'):.2f}", f"{median(times['ours']) * 1e3:.1f}"]
        rows.append([np.dtype(dtype).name, *cells, f"{peak_memory(HERE, 'csr', CSR_SIZE, call):.0f} MB"])
        print(rows[-1], flush=True)
    return rows


def texts():
    """Return the rows of a table of fits."""
    x, seconds = workloads.texts(), {}
    runs = {
        "KMeans": lambda seed: KMeans(20, n_init=1, random_state=seed).fit(x),
        "ours": lambda seed: SoftKMeans(20, random_state=seed).fit(x),
        "calibrated": lambda seed: SoftKMeans(20, temperature="calibrated", random_state=seed).fit(x),
        "cosine": lambda seed: SoftKMeans(20, distance="cosine", random_state=seed).fit(x),
        "selection": lambda seed: softkmeans.select_n_clusters(x[:500], range(1, 11), random_state=seed),
    }
    for run in runs.values():
        run(0)
    for seed, (name, run) in itertools.product(range(3), runs.items()):
        seconds.setdefault(name, []).append(_seconds(functools.partial(run, seed)))
    return [
        ["a fit, T learned, ÷ KMeans", f"{ratio(seconds, 'ours', 'KMeans'):.1f}"],
        ["a fit, cosine, ÷ KMeans", f"{ratio(seconds, 'cosine', 'KMeans'):.1f}"],
        ["a fit, T calibrated, ÷ T learned", f"{ratio(seconds, 'calibrated'):.1f}"],
        ["selection of k", f"{median(seconds['selection']):.1f} s"],
    ]


def _em(w, passes):
    """Make passes of EM."""
    settings = {"init": w.centers, "temperature": w.temperature, "solver": "em", "tol": 0}
    result = fit(w.x, len(w.centers), max_iter=passes, **settings)
    if result.n_iter != passes:
        raise peers.WrongResultError(result.n_iter)


def _seconds(run):
    """Return the seconds of a call."""
    began = time.perf_counter()
    run()
    return time.perf_counter() - began


def _check_sparse_sums(w):
    """Raise an error unless the sums of some rows are those of the same rows as a dense array of float64."""
    some = w.x[:500]
    found, expected = (
        softkmeans.accumulate(rows, w.centers.astype(float), w.temperature)
        for rows in (some, some.toarray().astype(float))
    )
    for name in ("weight", "weighted_sum", "distortion", "objective"):
        np.testing.assert_allclose(getattr(found, name), getattr(expected, name), rtol=1e-9, atol=1e-9)
