"""Measure a training step of the PyTorch module, compared with a naive module: `python benchmarks/training.py`."""

import functools
import itertools

import torch
from measure import interleaved, ratio, timed
from workloads import dense

import softkmeans
from softkmeans import SoftKMeansLayer, train_layer

SIZES = [(1000, 32, 10), (10**5, 16, 64), (2 * 10**4, 128, 256), (10**6, 16, 64)]
TRAIN_SIZES = [(600, 2, 4), (10**4, 2, 5), (10**5, 16, 32)]
OBJECTIVES = ["free_energy", "distortion"]
MAX_ERROR = 1e-4  # of the naive module's float32 gradient, relative to the largest number


class WrongResultError(AssertionError):
    """An error for a gradient that is wrong, so that its time means nothing."""


def naive_loss(x, c, temperature, objective):
    """Return the loss as most people would write it."""
    d = torch.cdist(x, c).square()
    if objective == "free_energy":
        return -temperature * torch.logsumexp(-d / temperature, 1).mean()
    return ((-d / temperature).softmax(1) * d).sum(1).mean()


def step(loss, *leaves):
    """Compute a loss and its gradients."""
    for leaf in leaves:
        leaf.grad = None
    loss().backward()


def contenders(w, objective):
    """Return the steps to compare, after a check of their gradients."""
    x, layer = torch.from_numpy(w.x), SoftKMeansLayer(*w.size[:0:-1], w.temperature, centroids=torch.tensor(w.centers))
    rows, c = x.clone().requires_grad_(), torch.tensor(w.centers, requires_grad=True)
    steps = {
        "accumulate": lambda: softkmeans.accumulate(w.x, w.centers, w.temperature),
        "ours": lambda: step(lambda: layer.loss(x, objective), layer.centroids),
        "ours, with rows": lambda: step(lambda: layer.loss(rows, objective), layer.centroids, rows),
        "naive": lambda: step(lambda: naive_loss(x, c, w.temperature, objective), c),
    }
    for run in steps.values():
        run()
    if (layer.centroids.grad - c.grad).abs().max() > MAX_ERROR * c.grad.abs().max():
        raise WrongResultError(objective)
    return {name: lambda run=run: timed(run) for name, run in steps.items()}


def train_steps(w, objective="distortion", lr=0.1):
    """Return functions that time a step of `train_layer` and of the naive loop: of both with Adam."""
    x, k, d = torch.from_numpy(w.x), len(w.centers), w.size[1]
    n_steps = (20, 60) if len(x) > 10**4 else (50, 150)

    def ours(steps):
        layer = SoftKMeansLayer(k, d, w.temperature, centroids=torch.tensor(w.centers))
        return train_layer(layer, x, objective=objective, max_iter=steps, tol=0, callbacks=[]).n_iter

    def naive(steps):
        c = torch.tensor(w.centers, requires_grad=True)
        optimizer = torch.optim.Adam([c], lr=lr)
        for _ in range(steps):
            step(lambda: naive_loss(x, c, w.temperature, objective), c)
            optimizer.step()
        return steps

    def per_step(run):
        few, many = (timed(functools.partial(run, steps)) for steps in n_steps)
        return (many - few) / (n_steps[1] - n_steps[0])

    return {"ours": lambda: per_step(ours), "naive": lambda: per_step(naive)}


def table(rounds=5):
    """Return the tables as lines of Markdown."""
    lines = [
        "| rows, features, clusters | loss | step ÷ accumulate | with gradients of rows ÷ accumulate | naive ÷ ours |",
        "|---" * 5 + "|",
    ]
    for size, objective in itertools.product(SIZES, OBJECTIVES):
        times = interleaved(contenders(dense(*size), objective), rounds)
        own, rows = (ratio(times, name, "accumulate") for name in ("ours", "ours, with rows"))
        cells = [_label(size), objective, f"{own:.2f}", f"{rows:.2f}", f"**{ratio(times, 'naive'):.1f} ×**"]
        lines.append(f"| {' | '.join(cells)} |")
        print(lines[-1], flush=True)
    lines += ["", "| rows, features, clusters | step of `train_layer`, ms | naive ÷ ours |", "|---" * 3 + "|"]
    for size in TRAIN_SIZES:
        times = interleaved(train_steps(dense(*size)), rounds)
        own = sorted(times["ours"])[rounds // 2]
        lines.append(f"| {_label(size)} | {1e3 * own:.2f} | **{ratio(times, 'naive'):.1f} ×** |")
        print(lines[-1], flush=True)
    return lines


def _label(size):
    return ", ".join(f"{number:,}" for number in size)


if __name__ == "__main__":
    import warnings

    warnings.simplefilter("ignore")
    print(*table(), sep="\n")
