"""Does annealing, or a local search, find better optima? And at what price? `python benchmarks/annealing.py`.

First the inertia, relative to that of k-means with ten restarts, and the seconds it takes, on sets with many clusters
or few. T is low, so that soft and hard k-means look for the same. Then how often a known structure is found: every
cluster of the data has a center of its own, and none shares it.
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
    """Clusters of variance 1 with means in a box that holds them apart, if only just."""
    rng = np.random.default_rng(seed)
    side = box or 4 * k ** (1 / d) + 4
    means = np.zeros((0, d))
    while len(means) < k:
        one = rng.uniform(0, side, d)
        if not len(means) or ((means - one) ** 2).sum(1).min() > 5**2:
            means = np.vstack([means, one])
        else:
            side *= 1.0005
    labels = np.repeat(np.arange(k), n_each)
    return means[labels] + rng.normal(size=(len(labels), d)), labels


def overlapping():
    """Much like the set s2 of Fränti & Virmajoki: 15 clusters that touch."""
    rng = np.random.default_rng(1)
    means, labels = np.stack([np.arange(15) % 4, np.arange(15) // 4], 1) * 4.0, np.repeat(np.arange(15), 330)
    means = means + rng.uniform(-1, 1, means.shape)
    return means[labels] + rng.normal(size=(len(labels), 2)), labels


def unbalanced():
    """Three heavy, dense clusters and five light, wide ones, far away."""
    rng = np.random.default_rng(2)
    means = np.array([[0, 0], [2, 3], [4, 0], [30, 5], [30, 20], [40, 12], [50, 5], [50, 20]], dtype=float)
    sizes, widths = [1000] * 3 + [50] * 5, np.array([0.5] * 3 + [1.5] * 5)
    labels = np.repeat(np.arange(8), sizes)
    return means[labels] + rng.normal(size=(len(labels), 2)) * widths[labels, None], labels


def grid():
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


def contenders(k, cold):
    """Models by name; a temperature far below the clusters' own makes soft k-means all but hard."""
    return {
        "annealing": lambda seed: SoftKMeans(k, temperature=cold, init="annealing", random_state=seed),
        "10 restarts": lambda seed: SoftKMeans(k, temperature=cold, n_init=10, random_state=seed),
        "local search": lambda seed: SoftKMeans(k, temperature=cold, local_search=True, random_state=seed),
        "KMeans, 50 restarts": lambda seed: KMeans(k, n_init=50, random_state=seed),
    }


def timed(model, x):
    begun = time.perf_counter()
    model.fit(x)
    return time.perf_counter() - begun


def inertia(x, centers):
    return sum(((part[:, None] - centers) ** 2).sum(-1).min(1).sum() for part in np.array_split(x, 20))


def row(cells):
    return "| " + " | ".join(cells) + " |"


def compared(seeds=3):
    """Inertia relative to KMeans(n_init=10), the mean of some seeds, and seconds."""
    names = list(contenders(2, 1.0))
    yield row(["set", *names, "KMeans, 10 restarts"])
    yield row(["---"] * (len(names) + 2))
    for name, (make, k) in SETS.items():
        x = make()
        known = KMeans(k, n_init=10, random_state=0)
        seconds = timed(known, x)
        cold, cells = 0.2 * known.inertia_ / x.size, []
        for model in contenders(k, cold).values():
            fits = [model(seed) for seed in range(seeds)]
            spent = [timed(fit, x) for fit in fits]
            ratio = np.mean([inertia(x, fit.cluster_centers_) for fit in fits]) / inertia(x, known.cluster_centers_)
            cells.append(f"{ratio:.4f} ({np.median(spent):.2f} s)")
        yield row([name, *cells, f"1 ({seconds:.2f} s)"])


def is_found(labels, model):
    counts = np.zeros((labels.max() + 1, model.labels_.max() + 1))
    np.add.at(counts, (labels, model.labels_), 1)
    best = counts.argmax(1)  # each cluster's own center, the few rows that stray left aside
    return len(set(best.tolist())) == len(counts)


def found(seeds=SEEDS):
    """How often, of some seeds, the known structure was found, and the median of the seconds."""
    names = list(contenders(2, 1.0))
    yield row(["clusters", *names])
    yield row(["---"] * (len(names) + 1))
    for k, d in ((50, 2), (50, 8), (100, 2), (100, 8)):
        hits = {name: [] for name in names}
        for seed in range(seeds):
            x, labels = blobs(k, d, seed=seed)
            for name, model in contenders(k, 0.4).items():
                fit = model(seed)
                hits[name].append((timed(fit, x), is_found(labels, fit)))
        cells = [f"{sum(h for _, h in v)} of {seeds} ({np.median([t for t, _ in v]):.2f} s)" for v in hits.values()]
        yield row([f"{k}, {d}-D", *cells])


PARTS = {"compared": compared, "found": found}

if __name__ == "__main__":
    for part in sys.argv[1:] or PARTS:
        print(f"\n## {PARTS[part].__doc__}\n")
        for line in PARTS[part]():
            print(line, flush=True)
