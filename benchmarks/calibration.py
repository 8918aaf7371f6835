"""Do memberships mean what they say? Expected calibration errors on known mixtures: `python benchmarks/calibration.py`.

Rows are drawn from mixtures of normal distributions, isotropic ones and others whose features are correlated. The
nearest two means are `sep` standard deviations apart, along the line between them. Fits start from the true means and
from k-means' centers; clusters are then matched with components. Some of the mixtures can't be found by any k-means,
hard or soft, as a strong factor spreads rows more than the clusters do: those whose likeliest fit has less than 90% of
the hits of linear discriminant analysis, which knows the components, are counted apart.
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
SEEDS, PASSES, TOL, FOUND = 3, 500, 1e-6, 0.9


def isotropic(rng, d):
    return np.eye(d), np.eye(d)


def correlated(factors, strength=1.0, aligned=False):
    """Features share some factors; means differ in any direction, or where aligned by different factors."""

    def draw(rng, d):
        load = rng.standard_normal((d, factors)) * np.sqrt(strength / factors)
        return load @ load.T + np.eye(d), load.T if aligned else np.eye(d)

    return draw


def wishart(rng, d):
    root = rng.standard_normal((d, 2 * d)) / np.sqrt(2 * d)
    return root @ root.T, np.eye(d)


def neighbors(rng, d):
    """Features are alike the nearer they are, as in a time series."""
    places = np.arange(d)
    return 0.7 ** np.abs(places[:, None] - places), np.eye(d)


def copies(base, uneven=False):
    """Features are copies of a few, each as often as the others, or all further ones of the last."""

    def draw(rng, d):
        source = np.minimum(np.arange(d), base - 1) if uneven else np.arange(d) % base
        spread = np.eye(base)[:, source]
        return spread.T @ spread + 0.01 * np.eye(d), spread

    return draw


@dataclass(frozen=True)
class Case:
    """A mixture of k components in d features.

    `kind` draws a covariance (d, d) and directions (q, d) that means differ in. If `own`, each component has a
    covariance of its own; if `uneven`, components differ in size.
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
        """Rows (n, d), the numbers of their components (n,), and their means (k, d)."""
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
    """Of some random sets of means, the one whose nearest pair is least unlike the others."""
    q = min(len(directions), max(1, k - 1))
    best, least = 0.0, None
    for _ in range(tries):
        means = rng.standard_normal((k, q)) @ rng.standard_normal((q, len(directions))) @ directions
        lines = (means[:, None] - means)[np.triu_indices(k, 1)]
        apart = (lines**2).sum(1) / np.sqrt(np.einsum("pi,ij,pj->p", lines, covariance, lines))
        if apart.min() / np.median(apart) > best:
            best, least = apart.min() / np.median(apart), means * sep / apart.min()
    return least


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


ASSIGNMENTS = {"likeliest": "auto", "calibrated": "calibrated"}


def fitted(x, centers, rule):
    """Memberships (n, k), T, and after how many passes the fit had settled."""
    model = SoftKMeans(len(centers), temperature=rule, init=centers, solver="em", max_iter=PASSES, tol=TOL).fit(x)
    return model.predict_proba(x), model.temperature_, model.n_iter_


def judged(resp, labels):
    """Expected calibration error and hits, once clusters are matched with classes."""
    resp = resp[:, align(np.eye(resp.shape[1])[labels], resp)]
    return expected_calibration_error(resp, labels), (resp.argmax(1) == labels).mean()


def measured(case, seed):
    """Errors and passes by rule, for both starts: [{rule: (error, passes)}], and whether the mixture was found."""
    x, labels, means = case.draw(seed)
    discriminant = LinearDiscriminantAnalysis().fit(x, labels).score(x, labels)
    for start in (means, KMeans(case.k, n_init=5, random_state=seed).fit(x).cluster_centers_):
        found = {}
        for name, rule in ASSIGNMENTS.items():
            resp, _, passes = fitted(x, start, rule)
            found[name] = (*judged(resp, labels), passes)
        yield found, found["likeliest"][1] > FOUND * discriminant


def mixtures(title, cases, seeds):
    """Print a line for each case, means over seeds and starts, and what they come to."""
    print(f"## {title}\n\n| mixture | found | hits | error, likeliest T | error, calibrated T | passes |")
    print("|---|---|---|---|---|---|")
    everything = []
    for case in cases:
        results = [result for seed in range(seeds) for result in measured(case, seed)]
        everything += results
        error = {name: np.mean([result[name][0] for result, _ in results]) for name in ASSIGNMENTS}
        hits, passes = (np.mean([result["calibrated"][i] for result, _ in results]) for i in (1, 2))
        found = np.mean([found for _, found in results])
        cells = [case, f"{found:.0%}", f"{hits:.2f}", *(f"{error[name]:.3f}" for name in ASSIGNMENTS), f"{passes:.0f}"]
        print("| " + " | ".join(map(str, cells)) + " |", flush=True)
    for wanted, words in ((True, "found"), (False, "not found")):
        summed([result for result, found in everything if found == wanted], words)


def summed(results, words):
    if not results:
        return
    errors = {name: [result[name][0] for result in results] for name in ASSIGNMENTS}
    texts = [f"{name} {np.mean(e):.3f} on average, {max(e):.3f} at worst" for name, e in errors.items()]
    passes = [result["calibrated"][2] for result in results]
    print(f"\nMixtures {words} ({len(results)} fits): {'; '.join(texts)}.", end=" ")
    print(f"Settled after {np.median(passes):.0f} passes (median), {max(passes)} at most.")


def known():
    """Print what becomes of standardized tables with known classes."""
    print(
        "\n## Tables with known classes\n\n| table | T | its value | largest membership | perplexity | error | hits |"
    )
    print("|---|---|---|---|---|---|---|")
    for load, k in ((load_wine, 3), (load_digits, 10), (load_iris, 3), (load_breast_cancer, 2)):
        x, labels = load(return_X_y=True)
        x = scale(x)
        start = KMeans(k, n_init=10, random_state=0).fit(x).cluster_centers_
        for name, rule in ASSIGNMENTS.items():
            resp, t, _ = fitted(x, start, rule)
            sure = 1 - uncertainty(resp).mean()
            perplexity = np.exp(-(resp * np.log(np.where(resp > 0, resp, 1))).sum(1)).mean()
            error, hits = judged(resp, labels)
            cells = [load.__name__[5:], name, *(f"{value:.3g}" for value in (t, sure, perplexity, error, hits))]
            print("| " + " | ".join(cells) + " |", flush=True)


def main(seeds):
    print(f"# Calibration: {seeds} draws of each mixture, two starts\n")
    mixtures("Isotropic mixtures", ISOTROPIC, seeds)
    print()
    mixtures("Mixtures with correlated features", CORRELATED, seeds)
    known()


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else SEEDS)
