"""Measure how often criteria choose the true number of clusters: `python benchmarks/selection.py`.

Rows are drawn from spherical normal distributions of variance 1, a hundred for each on average. Their means are drawn
from a normal distribution, and scaled so that the nearest two are `sep` standard deviations apart. Data from one
distribution, spherical or with a random covariance, must be recognized as one cluster. Round clusters of unequal sizes
must be found and called spherical, and a few rows of noise must not be called several clusters with confidence.
"""

import argparse
import time
import warnings
from dataclasses import dataclass

import numpy as np
from scipy.spatial.distance import pdist

from softkmeans import select_n_clusters

SEEDS = 30
ROWS_PER_CLUSTER = 100
K_RADIUS = 5  # k_range is the true k plus or minus this
CRITERIA = ["bic", "icl", "fuzzy_silhouette", "lifetime"]
N_CLUSTERS = (2, 3, 5, 10, 20)
N_FEATURES = (2, 8, 32)
SMALLEST_CLUSTER = 20  # rows
SIZE_RATIOS = (1, 3, 10, 30, 100)
N_NOISE_ROWS = (5, 8, 12, 20, 30)
MAX_CONFIDENCE = 0.9
SEPARATIONS = {"clear": 8.0, "moderate": 4.0}


@dataclass(frozen=True)
class Case:
    """A mixture of k spherical components in d features, or one component of any covariance."""

    name: str
    k: int
    d: int
    sep: float = 0.0

    def draw(self, seed):
        """Draw rows (n, d)."""
        rng = np.random.default_rng([seed, self.k, self.d])
        noise = rng.standard_normal((ROWS_PER_CLUSTER * self.k, self.d))
        if self.k == 1:
            return noise if self.name == "spherical" else noise @ rng.standard_normal((self.d, self.d))
        means = rng.standard_normal((self.k, self.d))
        return noise + (means * self.sep / pdist(means).min())[rng.integers(self.k, size=len(noise))]

    @property
    def k_range(self):
        """The numbers of clusters to choose from."""
        return range(max(1, self.k - K_RADIUS), self.k + K_RADIUS + 1)


CASES = {
    **{
        f"{name} clusters, the nearest {sep:g} standard deviations apart": [
            Case(name, k, d, sep) for k in N_CLUSTERS for d in N_FEATURES
        ]
        for name, sep in SEPARATIONS.items()
    },
    "One cluster": [Case(name, 1, d) for name in ("spherical", "random covariance") for d in N_FEATURES],
}


def measure(case, seeds, path):
    """Return the fraction of draws in which each criterion chose the true number, and mean seconds per selection."""
    hits, start = dict.fromkeys(CRITERIA, 0), time.perf_counter()
    for seed in range(seeds):
        choices = select_n_clusters(case.draw(seed), case.k_range, cv=0, path=path, random_state=seed).choices
        hits = {name: n + (choices.get(name) == case.k) for name, n in hits.items()}
    return {name: n / seeds for name, n in hits.items()}, (time.perf_counter() - start) / seeds


def measure_sizes(n_clusters, d, ratio, seeds):
    """Return the fraction of draws in which clusters of unequal sizes were found, and called spherical."""
    sizes = np.geomspace(SMALLEST_CLUSTER, SMALLEST_CLUSTER * ratio, n_clusters).round().astype(int)
    hits = 0
    for seed in range(seeds):
        rng = np.random.default_rng([seed, n_clusters, d, ratio])
        means = rng.standard_normal((n_clusters, d))
        means *= SEPARATIONS["clear"] / pdist(means).min()
        rows = np.repeat(means, sizes, 0) + rng.standard_normal((sizes.sum(), d))
        found = select_n_clusters(rows, range(1, n_clusters + 4), cv=0, path=False, random_state=seed)
        hits += (found.n_clusters, found.covariance_type) == (n_clusters, "spherical")
    return hits / seeds


def measure_noise(n, d, seeds):
    """Return the fraction of draws in which rows of noise are one cluster, or the choice is not confident."""
    hits = 0
    for seed in range(seeds):
        rows = np.random.default_rng([seed, n, d]).standard_normal((n, d))
        found = select_n_clusters(rows, range(1, min(10, n - 1) + 1), cv=0, path=False, random_state=seed)
        hits += found.n_clusters == 1 or found.confidence < MAX_CONFIDENCE
    return hits / seeds


def print_grid(title, measure_cell, names, rows, columns, seeds):
    """Print a table of fractions."""
    print(f"## {title}\n")
    print(f"| {names} | {' | '.join(map(str, columns))} |")
    print("|---" * (1 + len(columns)) + "|")
    for row in rows:
        cells = [f"{measure_cell(*row, column, seeds):.0%}" for column in columns]
        print(f"| {', '.join(map(str, row))} | {' | '.join(cells)} |", flush=True)
    print()


def main(seeds, path):
    """Print a table for each kind of mixture."""
    print(f"# Choosing the number of clusters: {seeds} draws of each\n")
    for title, cases in CASES.items():
        one_cluster = cases[0].k == 1  # for which silhouettes and lifetimes are not defined
        criteria = CRITERIA[:2] if one_cluster else CRITERIA
        print(f"## {title[0].upper()}{title[1:]}\n")
        print(f"| {'shape' if one_cluster else 'clusters'} | features | {' | '.join(criteria)} | seconds |")
        print("|---" * (3 + len(criteria)) + "|")
        for case in cases:
            fractions, seconds = measure(case, seeds, path)
            cells = [case.name if one_cluster else case.k, case.d, *(f"{fractions[name]:.0%}" for name in criteria)]
            print(f"| {' | '.join(map(str, cells))} | {seconds:.1f} |", flush=True)
        print()


def main_chance(seeds):
    """Print the tables of unequal sizes and of noise."""
    kinds = [(k, d) for k in (2, 5) for d in N_FEATURES]
    print_grid("Unequal sizes", measure_sizes, "clusters, features; sizes 1 to", kinds, SIZE_RATIOS, seeds)
    print_grid("Noise", measure_noise, "rows; features", [(n,) for n in N_NOISE_ROWS], (1, 2, 5, 10), seeds)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=SEEDS, help="number of draws of each mixture")
    parser.add_argument("--no-path", action="store_true", help="skip the annealing path, and lifetimes")
    parser.add_argument("--chance", action="store_true", help="only unequal sizes and noise")
    warnings.simplefilter("ignore")
    options = parser.parse_args()
    if not options.chance:
        main(options.seeds, not options.no_path)
    main_chance(options.seeds)
