"""Measure fits of a batch of problems: `python benchmarks/batches.py`.

All contenders make the same number of iterations over as many rows: `soft_kmeans` on a batch, `softkmeans.accumulate`
on one large problem, and SoftKMeans of torch_kmeans on the batch, with its own similarity.
"""

import warnings

import torch
from measure import interleaved, ratio, timed
from torch_kmeans import SoftKMeans as TorchSoftKMeans

import softkmeans
from softkmeans.functional import soft_kmeans

SIZES = [(1000, 200, 8, 5), (70_000, 10, 2, 3)]  # problems, rows, features, clusters
N_ITER = 30
TEMPERATURE = 1.0  # so that few problems converge within these iterations
TEMPERATURE_OF_PRODUCTS = 5.0
MAX_ERROR = 1e-4  # of centers, relative to the largest number


class WrongResultError(AssertionError):
    """An error for a result that is wrong, so that its time means nothing."""


def problems(p, n, d, k):
    """Return the rows of a batch, and initial centers."""
    generator = torch.Generator().manual_seed(0)
    groups = torch.randn(p, k, d, generator=generator)
    x = groups[:, torch.arange(n) % k] + torch.randn(p, n, d, generator=generator)
    return x, x[:, :k].clone()


def expected(x, c, similarity, n_iter):
    """Return the centers after iterations of EM in float64, for memberships that are a softmax of a similarity."""
    x, c = x.double(), c.double()
    for _ in range(n_iter):
        r = similarity(x, c).softmax(2)
        c = r.mT @ x / r.sum(1)[..., None]
    return c


def minus_distance(x, c):
    """Return what `soft_kmeans` takes the softmax of."""
    return -torch.cdist(x, c, compute_mode="donot_use_mm_for_euclid_dist").square() / TEMPERATURE


def inner_product(x, c):
    """Return what torch_kmeans takes the softmax of: it calls it cosine similarity, and leaves out the lengths."""
    return x @ c.mT / TEMPERATURE_OF_PRODUCTS


def check(found, x, c, similarity, n_iter):
    """Raise WrongResultError unless the first problems have the right centers."""
    right = expected(x[:50], c[:50], similarity, n_iter)
    if not (found[:50] - right).abs().max() <= MAX_ERROR * right.abs().max():
        raise WrongResultError(similarity.__name__)


def contenders(size):
    """Return functions that time the contenders, after a check of their results."""
    x, c = problems(*size)
    flat, first = x.reshape(-1, size[2]).numpy(), c[0].numpy()

    def ours():
        return soft_kmeans(x, c, TEMPERATURE, max_iter=N_ITER, tol=0.0)

    def passes():
        for _ in range(N_ITER):
            softkmeans.accumulate(flat, first, TEMPERATURE)

    def theirs():  # it makes one more iteration than max_iter
        model = TorchSoftKMeans(
            n_clusters=size[3], max_iter=N_ITER - 1, tol=0, num_init=1, temp=1 / TEMPERATURE_OF_PRODUCTS,
            verbose=False, normalize=None,
        )  # fmt: skip
        with torch.no_grad():
            return model(x, centers=c[:, None].clone())

    found = ours()
    check(found.centers, x, c, minus_distance, N_ITER)
    if found.n_iter.double().mean() < 0.97 * N_ITER:
        raise WrongResultError("iterations")
    check(theirs().centers, x, c, inner_product, N_ITER)
    runs = {"ours": ours, "passes": passes, "theirs": theirs}
    return {name: lambda run=run: timed(run) for name, run in runs.items()}


def gradient(size):
    """Return functions that time a converged fit, and the same with its gradients."""
    x, c = problems(*size)
    leaf = x.clone().requires_grad_()

    def with_gradient():
        soft_kmeans(leaf, c, TEMPERATURE).centers.square().sum().backward()

    return {
        "fit": lambda: timed(lambda: soft_kmeans(x, c, TEMPERATURE)),
        "with gradient": lambda: timed(with_gradient),
    }


def table(rounds=5):
    """Return the table as lines of Markdown."""
    lines = [
        "| problems, rows, features, clusters | ms per iteration | ours ÷ passes over one problem "
        "| torch_kmeans ÷ ours | converged fit, ms | with gradients ÷ without |",
        "|---" * 6 + "|",
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the fits end before they have converged
        for size in SIZES:
            times = interleaved(contenders(size), rounds)
            fits = interleaved(gradient(size), rounds)
            own, converged = sorted(times["ours"])[rounds // 2], sorted(fits["fit"])[rounds // 2]
            cells = [
                ", ".join(f"{number:,}" for number in size),
                f"{1e3 * own / N_ITER:.2f}",
                f"**{1 / ratio(times, 'passes'):.2f}**",
                f"**{ratio(times, 'theirs'):.0f} ×**",
                f"{1e3 * converged:.0f}",
                f"{ratio(fits, 'with gradient', 'fit'):.1f}",
            ]
            lines.append(f"| {' | '.join(cells)} |")
            print(lines[-1], flush=True)
    return lines


if __name__ == "__main__":
    print(*table(), sep="\n")
