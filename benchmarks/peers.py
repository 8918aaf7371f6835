"""The compared programs: each function checks one on a workload, and returns a function that times one pass of it."""

import functools
import warnings

import faiss
import numpy as np
import torch
from measure import per_pass, timed
from skfuzzy.cluster import cmeans
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture
from torch_kmeans import SoftKMeans as TorchSoftKMeans

import softkmeans
from softkmeans.data import as_source
from softkmeans.data.scaling import Scaling
from softkmeans.distances import as_distance
from softkmeans.kernels import reference

warnings.simplefilter("ignore", ConvergenceWarning)


class WrongResultError(AssertionError):
    """An error for a program whose result is wrong, so that its times mean nothing."""


def _check(is_close, quantity):
    """Raise WrongResultError if a quantity differs from what is expected."""
    if not is_close:
        raise WrongResultError(quantity)


@functools.lru_cache(maxsize=2)
def _exact(w):
    """Return the Stats of a pass in float64, by the reference kernels."""
    source = as_source(w.x)
    scaling = Scaling.of(source, as_distance("sqeuclidean"))
    c = torch.tensor(w.centers, dtype=torch.float64)
    beta = torch.full((len(c),), scaling.unit / w.temperature, dtype=torch.float64)
    (block,) = scaling.view(source).blocks()
    stats = reference.accumulate(block, scaling.transform(c), beta, torch.zeros_like(beta), scaling.distance)
    return scaling.inverse_transform_stats(stats)


def check_ours(w):
    """Check that our pass agrees with float64 in weights, centers and free energy."""
    stats, exact = softkmeans.accumulate(w.x, w.centers, w.temperature), _exact(w)
    alive = exact.weight > 1e-6
    centers, expected = (s.weighted_sum[alive] / s.weight[alive, None] for s in (stats, exact))
    _check((stats.weight - exact.weight).abs().max() <= 1e-5 * len(w.x), "weights")
    _check((centers - expected).abs().max() <= 1e-4 * expected.abs().max(), "centers")
    _check(abs(stats.objective - exact.objective) <= 1e-6 * exact.objective.abs() + 1e-6 * len(w.x), "free energy")


def ours(w):
    """Time our pass."""
    return lambda: timed(lambda: softkmeans.accumulate(w.x, w.centers, w.temperature))


def _hard_means(w):
    """Return the means of the rows nearest to each center, by NumPy."""
    c, pieces = w.centers.astype(float), np.array_split(w.x, max(1, len(w.x) // 10_000))
    label = np.concatenate([((c**2).sum(1) - 2 * piece @ c.T).argmin(1) for piece in pieces])
    order = label.argsort(kind="stable")
    begins = np.searchsorted(label[order], np.arange(len(c)))
    return np.add.reduceat(w.x[order].astype(float), begins) / np.bincount(label, minlength=len(c))[:, None]


def lloyd(w, few=2, many=8):
    """Time the hard Lloyd iteration of scikit-learn."""

    def run(passes):
        return KMeans(len(w.centers), init=w.centers, n_init=1, max_iter=passes, tol=0).fit(w.x)

    expected = _hard_means(w)
    _check(np.abs(run(1).cluster_centers_ - expected).max() <= 1e-2 * np.abs(expected).max(), "first step")
    _check(run(many).n_iter_ == many, "number of passes")
    return lambda: per_pass(run, few, many)


def lloyd_of_csr(w, few=2, many=22):
    """Time the hard Lloyd iteration of scikit-learn on a CSR matrix."""

    def run(passes):
        return KMeans(len(w.centers), init=w.centers, n_init=1, max_iter=passes, tol=0, algorithm="lloyd").fit(w.x)

    _check(run(many).n_iter_ == many, "number of passes")
    return lambda: per_pass(run, few, many)


def mixture(w):
    """Time the spherical Gaussian mixture of scikit-learn, started from the mixture that soft k-means is."""
    k = len(w.centers)

    def run(passes):
        return GaussianMixture(
            k, covariance_type="spherical", means_init=w.centers, weights_init=np.full(k, 1 / k),
            precisions_init=np.full(k, 2 / w.temperature), max_iter=passes, tol=0, init_params="random_from_data",
        ).fit(w.x)  # fmt: skip

    exact = _exact(w)
    expected = (exact.weighted_sum / exact.weight[:, None]).numpy()
    _check(np.abs(run(1).means_ - expected).max() <= 1e-2 * np.abs(expected).max(), "first step")
    return lambda: per_pass(run, 1, 3)


def fuzzy(w):
    """Time the c-means of scikit-fuzzy, m = 2."""
    data = w.x.T.astype(np.float64)
    u = np.random.default_rng(0).random((len(w.centers), len(w.x)))
    u /= u.sum(0)

    def run(passes):
        return cmeans(data, len(w.centers), 2, error=0, maxiter=passes, init=u)

    _check(np.allclose(run(1)[1].sum(0), 1), "memberships")
    return lambda: per_pass(run, 1, 3)


class Naive(torch.nn.Module):
    """The straightforward module: cdist, logsumexp, and the free energy as loss."""

    def __init__(self, centers, temperature):
        super().__init__()
        self.centers, self.temperature = torch.nn.Parameter(centers.clone()), temperature

    def forward(self, x):
        """Return the free energy per row."""
        return -self.temperature * torch.logsumexp(-(torch.cdist(x, self.centers) ** 2) / self.temperature, 1).mean()


def naive(w):
    """Time a step of Adam on all rows, with the naive PyTorch module."""
    x, module = torch.from_numpy(w.x), Naive(torch.from_numpy(w.centers), w.temperature)
    optimizer = torch.optim.Adam(module.parameters(), lr=1e-4)
    expected = -w.temperature * float(_exact(w).objective) / len(x)
    _check(abs(float(module(x).detach()) - expected) <= 1e-3 * (abs(expected) + w.temperature), "loss")

    def step():
        optimizer.zero_grad()
        module(x).backward()
        optimizer.step()

    return lambda: timed(step)


def torch_kmeans(w):
    """Time SoftKMeans of torch_kmeans."""
    x, c = torch.from_numpy(w.x)[None], torch.from_numpy(w.centers)[None, None]

    def run(passes):
        with torch.no_grad():
            model = TorchSoftKMeans(
                n_clusters=len(w.centers), max_iter=passes, tol=0, num_init=1, verbose=False, normalize=None
            )
            return model(x, centers=c)

    _check(bool(torch.isfinite(run(1).centers).all()), "centers")
    return lambda: per_pass(run, 1, 3)


def faiss_kmeans(w):
    """Time the hard k-means of faiss on all rows."""
    n, d, k = w.size

    def run(passes):
        model = faiss.Kmeans(d, k, niter=passes, max_points_per_centroid=n, seed=0)
        model.train(w.x, init_centroids=w.centers)
        return model

    _check(len(run(1).obj) == 1, "number of passes")
    return lambda: per_pass(run, 2, 8)


SOFT_PEERS = {
    "KMeans (hard)": lambda w: lloyd(w, 2, 10),
    "GaussianMixture": mixture,
    "scikit-fuzzy": fuzzy,
    "naive torch + Adam": naive,
    "torch_kmeans": torch_kmeans,
}
