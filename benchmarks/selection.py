"""Is the number of clusters found? Shares of draws in which criteria name it: `python benchmarks/selection.py`.

Rows are drawn from round normal distributions of variance 1, a hundred for each on average. Their means are drawn from
a normal distribution, and scaled so that the nearest two are `sep` standard deviations apart. One distribution, round
or of a random covariance, is to be found to be one.
"""

import argparse
import time
import warnings
from dataclasses import dataclass

import numpy as np
from scipy.spatial.distance import pdist

from softkmeans import select_n_clusters

SEEDS, ROWS, AROUND = 30, 100, 5
CRITERIA = ["bic", "icl", "fuzzy_silhouette", "lifetime"]
CLUSTERS, FEATURES = (2, 3, 5, 10, 20), (2, 8, 32)
APART = {"clear": 8.0, "moderate": 4.0}


@dataclass(frozen=True)
class Case:
    """A mixture of k round components in d features, or one component, which need not be round."""

    name: str
    k: int
    d: int
    sep: float = 0.0

    def draw(self, seed):
        """Rows (n, d)."""
        rng = np.random.default_rng([seed, self.k, self.d])
        noise = rng.standard_normal((ROWS * self.k, self.d))
        if self.k == 1:
            return noise if self.name == "round" else noise @ rng.standard_normal((self.d, self.d))
        means = rng.standard_normal((self.k, self.d))
        return noise + (means * self.sep / pdist(means).min())[rng.integers(self.k, size=len(noise))]

    @property
    def k_range(self):
        return range(max(1, self.k - AROUND), self.k + AROUND + 1)


CASES = {
    **{
        f"{name} clusters, the nearest {sep:g} standard deviations apart": [
            Case(name, k, d, sep) for k in CLUSTERS for d in FEATURES
        ]
        for name, sep in APART.items()
    },
    "One cluster": [Case(name, 1, d) for name in ("round", "random covariance") for d in FEATURES],
}


def measured(case, seeds, path):
    """Share of draws (by criterion) in which the number was named, and mean seconds of a selection."""
    hits, start = dict.fromkeys(CRITERIA, 0), time.perf_counter()
    for seed in range(seeds):
        choices = select_n_clusters(case.draw(seed), case.k_range, cv=0, path=path, random_state=seed).choices
        hits = {name: n + (choices.get(name) == case.k) for name, n in hits.items()}
    return {name: n / seeds for name, n in hits.items()}, (time.perf_counter() - start) / seeds


def main(seeds, path):
    print(f"# Choosing the number of clusters: {seeds} draws of each\n")
    for title, cases in CASES.items():
        one = cases[0].k == 1  # of which silhouettes and paths say nothing
        criteria = CRITERIA[:2] if one else CRITERIA
        print(f"## {title[0].upper()}{title[1:]}\n")
        print(f"| {'shape' if one else 'clusters'} | features | {' | '.join(criteria)} | seconds |")
        print("|---" * (3 + len(criteria)) + "|")
        for case in cases:
            shares, seconds = measured(case, seeds, path)
            cells = [case.name if one else case.k, case.d, *(f"{shares[name]:.0%}" for name in criteria)]
            print(f"| {' | '.join(map(str, cells))} | {seconds:.1f} |", flush=True)
        print()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=SEEDS, help="draws of each mixture")
    parser.add_argument("--no-path", action="store_true", help="leave out the annealing path, and lifetimes")
    warnings.simplefilter("ignore")
    given = parser.parse_args()
    main(given.seeds, not given.no_path)
