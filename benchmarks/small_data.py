"""Whole fits of small tables, and answers for few rows, compared with scikit-learn."""

import functools
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
from measure import interleaved, median, ratio, timed
from sklearn.cluster import KMeans
from sklearn.datasets import load_digits, load_iris, load_wine, make_blobs
from sklearn.mixture import GaussianMixture
from sklearn.preprocessing import StandardScaler

from softkmeans import SoftKMeans, predictor, save, select_n_clusters, stability

N_SEEDS = 10  # that each timing of a fit goes through, as fits from different starts take different numbers of passes
BLOB_SIZES = [(1000, 2, 5), (10**4, 20, 10), (10**5, 10, 20)]
ROW_SIZES = [(1, 4, 3), (100, 4, 3), (10**5, 10, 20), (2 * 10**5, 50, 50)]
MEDIUM_SIZE = (2714, 5, 6)


class DisagreementError(Exception):
    """Raised if two ways to the same answer differ."""


def blobs(n, d, k):
    """Draw overlapping blobs, float64."""
    return make_blobs(n, d, centers=k, cluster_std=2.0, random_state=0)[0]


def fit_tables():
    """Return {name: (rows, k)} of the tables that are fitted."""
    sets = {"iris, 150 × 4, k = 3": (load_iris().data, 3), "digits, 1,797 × 64, k = 10": (load_digits().data, 10)}
    return sets | {f"{n:,} × {d}, k = {k}": (blobs(n, d, k), k) for n, d, k in BLOB_SIZES}


def fits(rounds=5):
    """Yield (name, milliseconds, time ÷ GaussianMixture's, time ÷ KMeans') of whole default fits."""
    for name, (x, k) in fit_tables().items():
        models = {
            "ours": lambda seed, k=k: SoftKMeans(k, random_state=seed),
            "mixture": lambda seed, k=k: GaussianMixture(k, covariance_type="spherical", random_state=seed),
            "KMeans": lambda seed, k=k: KMeans(k, n_init=1, random_state=seed),
        }
        contenders = {other: functools.partial(_timed_fits, make, x) for other, make in models.items()}
        times = interleaved(contenders, rounds)
        yield name, 1e3 * median(times["ours"]), 1 / ratio(times, "mixture"), 1 / ratio(times, "KMeans")


def _timed_fits(make, x):
    """Return the mean seconds of fits from several starts."""
    return timed(lambda: [make(seed).fit(x) for seed in range(N_SEEDS)]) / N_SEEDS


def answers(rounds=5):
    """Yield (size, and time ÷ scikit-learn's of predict, predict_proba and the light predictor) for fitted models.

    ``predict`` is compared with that of KMeans; memberships with those of GaussianMixture, of a single row also with
    the ``predict`` of KMeans.
    """
    for n, d, k in ROW_SIZES:
        x = blobs(max(n, 1000), d, k)
        some = x[:20_000]
        ours = SoftKMeans(k, random_state=0, max_iter=5).fit(some)
        hard = KMeans(k, n_init=1, max_iter=5, random_state=0).fit(some)
        mixture = GaussianMixture(k, covariance_type="spherical", init_params="random_from_data", max_iter=5).fit(some)
        light, rows = _light(ours), x[:n]
        if not np.allclose(light.predict_proba(rows[:5000]), ours.predict_proba(rows[:5000]), atol=1e-9):
            raise DisagreementError
        calls = {
            "predict": ours.predict, "ours": ours.predict_proba, "light": light.predict_proba,
            "KMeans": hard.predict, "mixture": mixture.predict_proba,
        }  # fmt: skip
        contenders = {name: functools.partial(timed, functools.partial(call, rows)) for name, call in calls.items()}
        times = interleaved(contenders, rounds)
        yield (
            f"{n:,} × {d}, k = {k}",
            1e6 * median(times["ours"]),
            1 / ratio(times, "KMeans", "predict"),
            1 / ratio(times, "KMeans"),
            1 / ratio(times, "mixture"),
            1 / ratio(times, "mixture", "light"),
        )


def _light(model):
    """Return the light predictor of a model."""
    with tempfile.TemporaryDirectory() as folder:
        save(model, Path(folder) / "model.safetensors")
        return predictor(Path(folder) / "model.safetensors")


def rows_per_second(n_threads, seconds=1.0):
    """Return how many single rows a second threads answer together."""
    x = load_iris().data
    model, counts = SoftKMeans(3, random_state=0).fit(x), []

    def answer():
        count, end = 0, time.perf_counter() + seconds
        while time.perf_counter() < end:
            model.predict_proba(x[:1])
            count += 1
        counts.append(count)

    threads = [threading.Thread(target=answer) for _ in range(n_threads)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(counts) / seconds


def selections(rounds=3):
    """Return {name: seconds} of choosing the number of clusters, and of measuring stability."""
    wine = StandardScaler().fit_transform(load_wine().data)
    model = SoftKMeans(3, random_state=0).fit(wine)
    calls = {
        "`select_n_clusters`, wine, k = 1 to 8": lambda: select_n_clusters(wine, range(1, 9), random_state=0),
        "`select_n_clusters`, 2,714 × 5, k = 1 to 10": lambda: select_n_clusters(
            blobs(*MEDIUM_SIZE), range(1, 11), random_state=0
        ),
        "`stability`, wine, k = 3": lambda: stability(model, wine, random_state=0),
    }
    contenders = {name: functools.partial(timed, call) for name, call in calls.items()}
    return {name: median(seconds) for name, seconds in interleaved(contenders, rounds).items()}
