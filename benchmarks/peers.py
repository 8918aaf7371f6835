"""Those we compare with: each gives the seconds of one pass over a workload, and is checked before."""

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


class WrongError(AssertionError):
    """A contender's result is wrong: its times are worth nothing."""


def _demand(close, what):
    if not close:
        raise WrongError(what)


@functools.lru_cache(maxsize=2)
def _exact(w):
    """The pass in float64, by the reference kernel."""
    source = as_source(w.x)
    scaling = Scaling.of(source, as_distance("sqeuclidean"))
    c = torch.tensor(w.centers, dtype=torch.float64)
    beta = torch.full((len(c),), scaling.unit / w.temperature, dtype=torch.float64)
    (block,) = scaling.view(source).blocks()
    stats = reference.accumulate(block, scaling.transform(c), beta, torch.zeros_like(beta), scaling.distance)
    return scaling.inverse_transform_stats(stats)


def check_ours(w):
    """Our pass agrees with float64 in weights, centers and free energy."""
    stats, exact = softkmeans.accumulate(w.x, w.centers, w.temperature), _exact(w)
    alive = exact.weight > 1e-6
    centers, wanted = (s.weighted_sum[alive] / s.weight[alive, None] for s in (stats, exact))
    _demand((stats.weight - exact.weight).abs().max() <= 1e-5 * len(w.x), "weights")
    _demand((centers - wanted).abs().max() <= 1e-4 * wanted.abs().max(), "centers")
    _demand(abs(stats.objective - exact.objective) <= 1e-6 * exact.objective.abs() + 1e-6 * len(w.x), "free energy")


def ours(w):
    return lambda: timed(lambda: softkmeans.accumulate(w.x, w.centers, w.temperature))


def _hard_means(w):
    """Means of the rows nearest to each center, by NumPy."""
    c, pieces = w.centers.astype(float), np.array_split(w.x, max(1, len(w.x) // 10_000))
    label = np.concatenate([((c**2).sum(1) - 2 * piece @ c.T).argmin(1) for piece in pieces])
    order = label.argsort(kind="stable")
    begins = np.searchsorted(label[order], np.arange(len(c)))
    return np.add.reduceat(w.x[order].astype(float), begins) / np.bincount(label, minlength=len(c))[:, None]


def lloyd(w, few=2, many=8):
    """scikit-learn's hard Lloyd iteration."""

    def run(passes):
        return KMeans(len(w.centers), init=w.centers, n_init=1, max_iter=passes, tol=0).fit(w.x)

    wanted = _hard_means(w)
    _demand(np.abs(run(1).cluster_centers_ - wanted).max() <= 1e-2 * np.abs(wanted).max(), "first step")
    _demand(run(many).n_iter_ == many, "it ended before")
    return lambda: per_pass(run, few, many)


def mixture(w):
    """scikit-learn's spherical Gaussian mixture, from the mixture that soft k-means is."""
    k = len(w.centers)

    def run(passes):
        return GaussianMixture(
            k, covariance_type="spherical", means_init=w.centers, weights_init=np.full(k, 1 / k),
            precisions_init=np.full(k, 2 / w.temperature), max_iter=passes, tol=0, init_params="random_from_data",
        ).fit(w.x)  # fmt: skip

    exact = _exact(w)
    wanted = (exact.weighted_sum / exact.weight[:, None]).numpy()
    _demand(np.abs(run(1).means_ - wanted).max() <= 1e-2 * np.abs(wanted).max(), "first step")
    return lambda: per_pass(run, 1, 3)


def fuzzy(w):
    """scikit-fuzzy's c-means, m = 2."""
    data = w.x.T.astype(np.float64)
    u = np.random.default_rng(0).random((len(w.centers), len(w.x)))
    u /= u.sum(0)

    def run(passes):
        return cmeans(data, len(w.centers), 2, error=0, maxiter=passes, init=u)

    _demand(np.allclose(run(1)[1].sum(0), 1), "memberships")
    return lambda: per_pass(run, 1, 3)


class Naive(torch.nn.Module):
    """What one writes first: cdist, softmax, and the free energy as loss."""

    def __init__(self, centers, temperature):
        super().__init__()
        self.centers, self.temperature = torch.nn.Parameter(centers.clone()), temperature

    def forward(self, x):
        return -self.temperature * torch.logsumexp(-(torch.cdist(x, self.centers) ** 2) / self.temperature, 1).mean()


def naive(w):
    """The naive PyTorch module, a step of Adam on all rows."""
    x, module = torch.from_numpy(w.x), Naive(torch.from_numpy(w.centers), w.temperature)
    optimizer = torch.optim.Adam(module.parameters(), lr=1e-4)
    wanted = -w.temperature * float(_exact(w).objective) / len(x)
    _demand(abs(float(module(x).detach()) - wanted) <= 1e-3 * (abs(wanted) + w.temperature), "loss")

    def step():
        optimizer.zero_grad()
        module(x).backward()
        optimizer.step()

    return lambda: timed(step)


def torch_kmeans(w):
    """torch_kmeans' SoftKMeans."""
    x, c = torch.from_numpy(w.x)[None], torch.from_numpy(w.centers)[None, None]

    def run(passes):
        with torch.no_grad():
            model = TorchSoftKMeans(
                n_clusters=len(w.centers), max_iter=passes, tol=0, num_init=1, verbose=False, normalize=None
            )
            return model(x, centers=c)

    _demand(bool(torch.isfinite(run(1).centers).all()), "centers")
    return lambda: per_pass(run, 1, 3)


def faiss_kmeans(w):
    """faiss' hard k-means on all rows."""
    n, d, k = w.size

    def run(passes):
        model = faiss.Kmeans(d, k, niter=passes, max_points_per_centroid=n, seed=0)
        model.train(w.x, init_centroids=w.centers)
        return model

    _demand(len(run(1).obj) == 1, "passes")
    return lambda: per_pass(run, 2, 8)


SOFT_PEERS = {
    "GaussianMixture": mixture,
    "scikit-fuzzy": fuzzy,
    "naive torch + Adam": naive,
    "torch_kmeans": torch_kmeans,
}
