"""Measure expected calibration errors of memberships on known mixtures: `python benchmarks/calibration.py [SEEDS]`.

Rows are drawn from mixtures of normal distributions, with isotropic or with correlated features. The nearest two means
are `sep` standard deviations apart, along the line between them. Fits start from the true means and from the centers of
k-means; clusters are then matched with components. Some mixtures cannot be recovered by k-means, hard or soft, as a
strong factor spreads the rows more than the clusters do. A mixture counts as recovered if the accuracy of the
maximum-likelihood fit is at least 90% of that of linear discriminant analysis, which knows the components. Both groups
are summarized separately.
"""

import sys
import warnings
from dataclasses import dataclass

import numpy as np
from sklearn.cluster import KMeans
from sklearn.datasets import load_breast_cancer, load_digits, load_iris, load_wine
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.preprocessing import scale

from softkmeans import SoftKMeans
from softkmeans.metrics import align, expected_calibration_error, uncertainty

warnings.simplefilter("ignore")
SEEDS = 3
MAX_PASSES = 500
TOL = 1e-6
MIN_RELATIVE_ACCURACY = 0.9


def isotropic(rng, d):
    """Return the covariance of independent features, and the directions in which means differ."""
    return np.eye(d), np.eye(d)


def correlated(factors, strength=1.0, aligned=False):
    """Return a function that draws a factor model; means differ in all directions, or if aligned along the factors."""

    def draw(rng, d):
        loadings = rng.standard_normal((d, factors)) * np.sqrt(strength / factors)
        return loadings @ loadings.T + np.eye(d), loadings.T if aligned else np.eye(d)

    return draw


def wishart(rng, d):
    """Draw a covariance from a Wishart distribution."""
    root = rng.standard_normal((d, 2 * d)) / np.sqrt(2 * d)
    return root @ root.T, np.eye(d)


def neighbors(rng, d):
    """Return a covariance that falls off with the distance of features, as in a time series."""
    positions = np.arange(d)
    return 0.7 ** np.abs(positions[:, None] - positions), np.eye(d)


def copies(base, uneven=False):
    """Return a function for features that are copies of a few: each equally often, or, if uneven, mostly the last."""

    def draw(rng, d):
        source = np.minimum(np.arange(d), base - 1) if uneven else np.arange(d) % base
        copying = np.eye(base)[:, source]
        return copying.T @ copying + 0.01 * np.eye(d), copying

    return draw


@dataclass(frozen=True)
class Case:
    """A mixture of k components in d features.

    `kind` draws a covariance (d, d), and the directions (q, d) in which means differ. If `own`, each component has a
    covariance of its own. If `uneven`, components differ in size.
    """

    name: str
    kind: object
    n: int
    d: int
    k: int
    sep: float
    own: bool = False
    uneven: bool = False

    def __str__(self):
        marks = (", own covariances" if self.own else "") + (", uneven" if self.uneven else "")
        return f"{self.name}{marks}: {self.n} × {self.d}, k = {self.k}, sep = {self.sep:g}"

    def draw(self, seed):
        """Draw rows (n, d), and return them with their components (n,) and the means (k, d)."""
        rng = np.random.default_rng(seed)
        covariance, directions = self.kind(rng, self.d)
        own = [self.kind(rng, self.d)[0] if self.own else covariance for _ in range(self.k)]
        means = _means(rng, self.k, np.mean(own, 0), directions, self.sep)
        labels = rng.choice(self.k, self.n, p=rng.dirichlet(np.full(self.k, 5.0)) if self.uneven else None)
        roots = np.array([np.linalg.cholesky(part) for part in own])
        noise = rng.standard_normal((self.n, self.d))
        x = means[labels]
        for j, root in enumerate(roots):
            x[labels == j] += noise[labels == j] @ root.T
        return x, labels, means


def _means(rng, k, covariance, directions, sep, tries=200):
    """Draw sets of means, and return the one in which the distances of pairs are most equal, scaled to `sep`."""
    q = min(len(directions), max(1, k - 1))
    best_ratio, best_means = 0.0, None
    for _ in range(tries):
        means = rng.standard_normal((k, q)) @ rng.standard_normal((q, len(directions))) @ directions
        lines = (means[:, None] - means)[np.triu_indices(k, 1)]
        separation = (lines**2).sum(1) / np.sqrt(np.einsum("pi,ij,pj->p", lines, covariance, lines))
        ratio = separation.min() / np.median(separation)
        if ratio > best_ratio:
            best_ratio, best_means = ratio, means * sep / separation.min()
    return best_means


ISOTROPIC = [
    Case("isotropic", isotropic, n, d, k, sep, uneven=uneven)
    for n, d, k, sep, uneven in [
        (2000, 2, 2, 2, False), (5000, 2, 3, 3, False), (10000, 2, 8, 4, False), (2000, 8, 2, 3, False),
        (5000, 8, 4, 2.5, False), (10000, 8, 8, 3, False), (2000, 32, 2, 4, False), (5000, 32, 4, 3, False),
        (10000, 32, 8, 2.5, False), (5000, 4, 3, 5, True), (10000, 16, 5, 3, True), (2000, 16, 3, 6, False),
    ]
]  # fmt: skip
CORRELATED = [
    Case("1 factor", correlated(1), 5000, 2, 2, 3),
    Case("1 factor", correlated(1), 5000, 4, 3, 4),
    Case("3 factors", correlated(3), 10000, 16, 4, 5),
    Case("4 factors", correlated(4), 10000, 32, 8, 5),
    Case("3 strong factors", correlated(3, 2), 5000, 32, 2, 6),
    Case("2 weak factors", correlated(2, 0.5), 10000, 16, 5, 4, uneven=True),
    Case("1 factor", correlated(1), 5000, 2, 2, 3, own=True),
    Case("2 factors", correlated(2), 10000, 8, 4, 4, own=True),
    Case("3 factors", correlated(3), 5000, 32, 3, 5, own=True),
    Case("2 weak factors", correlated(2, 0.5), 10000, 32, 8, 4, own=True),
    Case("1 factor, aligned", correlated(1, 2, True), 5000, 4, 2, 3),
    Case("2 factors, aligned", correlated(2, 2, True), 5000, 8, 3, 3),
    Case("2 factors, aligned", correlated(2, 1, True), 10000, 16, 4, 3),
    Case("4 factors, aligned", correlated(4, 2, True), 10000, 32, 8, 4),
    Case("3 factors, aligned", correlated(3, 2, True), 5000, 32, 2, 2.5),
    Case("3 factors, aligned", correlated(3, 2, True), 10000, 16, 5, 4, uneven=True),
    Case("Wishart", wishart, 5000, 4, 3, 3),
    Case("Wishart", wishart, 10000, 16, 6, 4),
    Case("Wishart", wishart, 10000, 32, 8, 4, own=True),
    Case("neighbors", neighbors, 5000, 8, 3, 5),
    Case("copies of 2", copies(2), 2000, 8, 2, 2),
    Case("copies of 4", copies(4), 5000, 16, 3, 3),
    Case("copies of 4", copies(4), 10000, 32, 5, 3),
    Case("copies of the last of 6", copies(6, uneven=True), 5000, 12, 4, 4),
]


TEMPERATURES = {"likelihood": "auto", "calibrated": "calibrated"}


def fit_memberships(x, centers, temperature):
    """Return memberships (n, k), T, and the number of passes until convergence."""
    model = SoftKMeans(
        len(centers), temperature=temperature, init=centers, solver="em", max_iter=MAX_PASSES, tol=TOL
    ).fit(x)
    return model.predict_proba(x), model.temperature_, model.n_iter_


def error_and_accuracy(resp, labels):
    """Return the expected calibration error and the accuracy, after matching clusters with classes."""
    resp = resp[:, align(np.eye(resp.shape[1])[labels], resp)]
    return expected_calibration_error(resp, labels), (resp.argmax(1) == labels).mean()


def measure(case, seed):
    """Yield {temperature: (error, accuracy, passes)} for both starts, and whether the mixture was recovered."""
    x, labels, means = case.draw(seed)
    discriminant = LinearDiscriminantAnalysis().fit(x, labels).score(x, labels)
    for start in (means, KMeans(case.k, n_init=5, random_state=seed).fit(x).cluster_centers_):
        results = {}
        for name, temperature in TEMPERATURES.items():
            resp, _, passes = fit_memberships(x, start, temperature)
            results[name] = (*error_and_accuracy(resp, labels), passes)
        yield results, results["likelihood"][1] > MIN_RELATIVE_ACCURACY * discriminant


def print_mixtures(title, cases, seeds):
    """Print a line for each case, with means over seeds and starts, and a summary."""
    print(
        f"## {title}\n\n| mixture | recovered | accuracy | error, maximum-likelihood T | error, calibrated T | passes |"
    )
    print("|---|---|---|---|---|---|")
    everything = []
    for case in cases:
        results = [result for seed in range(seeds) for result in measure(case, seed)]
        everything += results
        error = {name: np.mean([result[name][0] for result, _ in results]) for name in TEMPERATURES}
        accuracy, passes = (np.mean([result["calibrated"][i] for result, _ in results]) for i in (1, 2))
        recovered = np.mean([recovered for _, recovered in results])
        errors = [f"{error[name]:.3f}" for name in TEMPERATURES]
        cells = [case, f"{recovered:.0%}", f"{accuracy:.2f}", *errors, f"{passes:.0f}"]
        print("| " + " | ".join(map(str, cells)) + " |", flush=True)
    for is_recovered, words in ((True, "recovered"), (False, "not recovered")):
        print_summary([result for result, recovered in everything if recovered == is_recovered], words)


def print_summary(results, words):
    """Print the mean and the largest error of a group of fits."""
    if not results:
        return
    errors = {name: [result[name][0] for result in results] for name in TEMPERATURES}
    texts = [f"{name} {np.mean(e):.3f} on average, {max(e):.3f} at most" for name, e in errors.items()]
    passes = [result["calibrated"][2] for result in results]
    print(f"\nMixtures {words} ({len(results)} fits): {'; '.join(texts)}.", end=" ")
    print(f"Convergence took {np.median(passes):.0f} passes (median), {max(passes)} at most.")


def print_tables_with_classes():
    """Print a table of results on standardized tables with known classes."""
    print("\n## Tables with known classes\n")
    print("| table | temperature | T | largest membership | perplexity | error | accuracy |")
    print("|---|---|---|---|---|---|---|")
    for load, k in ((load_wine, 3), (load_digits, 10), (load_iris, 3), (load_breast_cancer, 2)):
        x, labels = load(return_X_y=True)
        x = scale(x)
        start = KMeans(k, n_init=10, random_state=0).fit(x).cluster_centers_
        for name, temperature in TEMPERATURES.items():
            resp, t, _ = fit_memberships(x, start, temperature)
            largest = 1 - uncertainty(resp).mean()
            perplexity = np.exp(-(resp * np.log(np.where(resp > 0, resp, 1))).sum(1)).mean()
            error, accuracy = error_and_accuracy(resp, labels)
            cells = [load.__name__[5:], name, *(f"{value:.3g}" for value in (t, largest, perplexity, error, accuracy))]
            print("| " + " | ".join(cells) + " |", flush=True)


def main(seeds):
    """Print all tables."""
    print(f"# Calibration: {seeds} draws of each mixture, two starts\n")
    print_mixtures("Isotropic mixtures", ISOTROPIC, seeds)
    print()
    print_mixtures("Mixtures with correlated features", CORRELATED, seeds)
    print_tables_with_classes()


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else SEEDS)
