"""Compare the optima and the times of annealing, local search and restarts: `python benchmarks/annealing.py`.

The first table has the inertia, relative to that of k-means with ten restarts, and seconds, on data sets with few and
many clusters. T is low, so that soft and hard k-means have nearly the same optima. The second table has how often a
known structure is recovered: each cluster of the data has a center of its own.
"""

import sys
import time
import warnings

import numpy as np
from sklearn.cluster import KMeans
from sklearn.datasets import load_digits

from softkmeans import SoftKMeans

warnings.simplefilter("ignore")
SEEDS = 20


def blobs(k, d, n_each=30, box=None, seed=0):
    """Draw clusters of variance 1, with means in a box that is just large enough for a distance of 5."""
    rng = np.random.default_rng(seed)
    side = box or 4 * k ** (1 / d) + 4
    means = np.zeros((0, d))
    while len(means) < k:
        candidate = rng.uniform(0, side, d)
        if not len(means) or ((means - candidate) ** 2).sum(1).min() > 5**2:
            means = np.vstack([means, candidate])
        else:
            side *= 1.0005
    labels = np.repeat(np.arange(k), n_each)
    return means[labels] + rng.normal(size=(len(labels), d)), labels


def overlapping():
    """Draw 15 clusters that touch, similar to the data set s2 of Fränti & Virmajoki."""
    rng = np.random.default_rng(1)
    means, labels = np.stack([np.arange(15) % 4, np.arange(15) // 4], 1) * 4.0, np.repeat(np.arange(15), 330)
    means = means + rng.uniform(-1, 1, means.shape)
    return means[labels] + rng.normal(size=(len(labels), 2)), labels


def unbalanced():
    """Draw three large, dense clusters and, far away, five small, wide ones."""
    rng = np.random.default_rng(2)
    means = np.array([[0, 0], [2, 3], [4, 0], [30, 5], [30, 20], [40, 12], [50, 5], [50, 20]], dtype=float)
    sizes, widths = [1000] * 3 + [50] * 5, np.array([0.5] * 3 + [1.5] * 5)
    labels = np.repeat(np.arange(8), sizes)
    return means[labels] + rng.normal(size=(len(labels), 2)) * widths[labels, None], labels


def grid():
    """Draw 100 clusters on a grid."""
    rng = np.random.default_rng(3)
    labels = np.repeat(np.arange(100), 30)
    return 6.0 * np.stack([labels % 10, labels // 10], 1) + rng.normal(size=(3000, 2)), labels


SETS = {
    "50 blobs, 2-D": (lambda: blobs(50, 2)[0], 50),
    "100 blobs, 8-D": (lambda: blobs(100, 8)[0], 100),
    "15 overlapping": (lambda: overlapping()[0], 15),
    "3 heavy, 5 light": (lambda: unbalanced()[0], 8),
    "10 × 10 grid": (lambda: grid()[0], 100),
    "digits": (lambda: load_digits().data, 10),
    "one Gaussian": (lambda: np.random.default_rng(4).normal(size=(2000, 2)), 20),
}


def contenders(k, temperature):
    """Return models by name; the temperature must be so low that soft k-means is nearly hard."""
    return {
        "annealing": lambda seed: SoftKMeans(k, temperature=temperature, init="annealing", random_state=seed),
        "10 restarts": lambda seed: SoftKMeans(k, temperature=temperature, n_init=10, random_state=seed),
        "local search": lambda seed: SoftKMeans(k, temperature=temperature, local_search=True, random_state=seed),
        "KMeans, 50 restarts": lambda seed: KMeans(k, n_init=50, random_state=seed),
    }


def timed(model, x):
    """Return the seconds of a fit."""
    began = time.perf_counter()
    model.fit(x)
    return time.perf_counter() - began


def inertia(x, centers):
    """Return the sum of squared distances of rows to their nearest centers."""
    return sum(((part[:, None] - centers) ** 2).sum(-1).min(1).sum() for part in np.array_split(x, 20))


def row(cells):
    """Return a line of a Markdown table."""
    return "| " + " | ".join(cells) + " |"


def compare_inertia(seeds=3):
    """Yield the lines of a table: inertia relative to KMeans(n_init=10), mean of the seeds, and median seconds."""
    names = list(contenders(2, 1.0))
    yield row(["set", *names, "KMeans, 10 restarts"])
    yield row(["---"] * (len(names) + 2))
    for name, (draw, k) in SETS.items():
        x = draw()
        baseline = KMeans(k, n_init=10, random_state=0)
        seconds = timed(baseline, x)
        temperature, cells = 0.2 * baseline.inertia_ / x.size, []
        for model in contenders(k, temperature).values():
            fits = [model(seed) for seed in range(seeds)]
            times = [timed(fit, x) for fit in fits]
            ratio = np.mean([inertia(x, fit.cluster_centers_) for fit in fits]) / inertia(x, baseline.cluster_centers_)
            cells.append(f"{ratio:.4f} ({np.median(times):.2f} s)")
        yield row([name, *cells, f"1 ({seconds:.2f} s)"])


def is_recovered(labels, model):
    """Return whether each cluster of the data has a center of its own."""
    counts = np.zeros((labels.max() + 1, model.labels_.max() + 1))
    np.add.at(counts, (labels, model.labels_), 1)
    best = counts.argmax(1)  # the center of most rows of each cluster
    return len(set(best.tolist())) == len(counts)


def compare_recovery(seeds=SEEDS):
    """Yield the lines of a table: for how many seeds the known structure was recovered, and median seconds."""
    names = list(contenders(2, 1.0))
    yield row(["clusters", *names])
    yield row(["---"] * (len(names) + 1))
    for k, d in ((50, 2), (50, 8), (100, 2), (100, 8)):
        results = {name: [] for name in names}
        for seed in range(seeds):
            x, labels = blobs(k, d, seed=seed)
            for name, model in contenders(k, 0.4).items():
                fit = model(seed)
                results[name].append((timed(fit, x), is_recovered(labels, fit)))
        cells = []
        for fits in results.values():
            n_recovered = sum(recovered for _, recovered in fits)
            cells.append(f"{n_recovered} of {seeds} ({np.median([seconds for seconds, _ in fits]):.2f} s)")
        yield row([f"{k}, {d}-D", *cells])


TABLES = {
    "inertia": ("Inertia relative to KMeans(n_init=10), mean of the seeds, and median seconds", compare_inertia),
    "recovery": ("How often the known structure is recovered, and median seconds", compare_recovery),
}

if __name__ == "__main__":
    for name in sys.argv[1:] or TABLES:
        title, lines = TABLES[name]
        print(f"\n## {title}\n")
        for line in lines():
            print(line, flush=True)
