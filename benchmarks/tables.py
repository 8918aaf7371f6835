"""What is measured, part by part: a function's docstring is the text of its part, and it gives the lines below.

Titles are the docstrings' first lines.
"""

import functools
import itertools
import time
import warnings
from pathlib import Path

import floor
import numpy as np
import peers
import startup
import torch
import workloads
from measure import interleaved, median, peak_memory, per_pass, ratio, timed
from sklearn.cluster import KMeans
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_iris, load_wine
from sklearn.preprocessing import StandardScaler

import softkmeans
from softkmeans import SoftKMeans, fit

warnings.simplefilter("ignore")
HERE = Path(__file__).parent
IMAGES = HERE.parent / "docs" / "images"


def row(*cells):
    return "| " + " | ".join(str(cell) for cell in cells) + " |"


def table(header, rows):
    return [row(*header), row(*["---"] * len(header)), *(row(*cells) for cells in rows), ""]


def size_of(n, d, k):
    return f"{n:,} × {d}, k = {k}"


@functools.cache
def rates():
    return floor.measure()


def machine():
    """The floor

    A dense pass makes two matrix products, n k exponentials, and reads the rows once. No arithmetic in float32 does it
    faster than at these rates; sgemm shows what a BLAS reaches on such shapes.
    """
    r = rates()
    found = [
        ["FMA peak, a loop in registers", f"{r['fma'] / 1e9:.0f} GFLOP/s"],
        ["sgemm, NumPy, 10,000 × 128 by 128 × 256", f"{r['sgemm'] / 1e9:.0f} GFLOP/s"],
        ["exponentials, in cache", f"{r['exp'] / 1e9:.1f} · 10⁹ a second"],
        ["memory, copied", f"{r['copy'] / 1e9:.0f} GB/s"],
    ]
    return table([f"measured in this run, {r['threads']} threads", ""], found)


def passes(rounds=11):
    """A soft pass beside a hard one

    `softkmeans.accumulate(x, c, T)`, float32, beside scikit-learn's *hard* Lloyd iteration and faiss'. *Dense*: T at
    which a row is spread over half of the clusters, so that nothing can be skipped. *Sparse*: blobs at least 6 σ apart,
    T = 2 σ². Above 1, the soft pass is the quicker one. *Of the floor*: the least time that this machine needs, over
    what the dense pass took.
    """
    rows = []
    for size in workloads.SIZES:
        dense, sparse = (make(*size) for make in (workloads.dense, workloads.sparse))
        peers.check_ours(dense)
        peers.check_ours(sparse)
        large = np.prod(size) > 1e10
        contenders = {
            "ours": peers.ours(dense),
            "sparse": peers.ours(sparse),
            "lloyd": peers.lloyd(dense, 2, 5 if large else 10),
            "faiss": peers.faiss_kmeans(dense),
        }
        taken = interleaved(contenders, 5 if large else rounds)
        least = floor.seconds(rates(), *size)
        rows.append(
            [
                size_of(*size),
                f"**{ratio(taken, 'lloyd'):.2f}**",
                f"**{ratio(taken, 'lloyd', 'sparse'):.2f}**",
                f"{ratio(taken, 'faiss'):.1f}",
                f"{100 * least / median(taken['ours']):.0f} %",
                f"{median(taken['ours']) * 1e3:.1f}",
                f"{median(taken['sparse']) * 1e3:.1f}",
                f"{median(taken['lloyd']) * 1e3:.1f}",
            ]
        )
        print(rows[-1], flush=True)
    header = [
        "rows", "Lloyd ÷ ours, dense", "sparse", "faiss ÷ ours, dense", "of the floor", "ours, dense (ms)",
        "sparse (ms)", "Lloyd (ms)",
    ]  # fmt: skip
    return table(header, rows)


SOFT = {
    (10**6, 2, 5): ["GaussianMixture", "scikit-fuzzy", "naive torch + Adam", "torch_kmeans"],
    (10**6, 16, 64): ["GaussianMixture", "scikit-fuzzy", "naive torch + Adam", "torch_kmeans"],
    (10**5, 128, 256): ["GaussianMixture", "scikit-fuzzy", "naive torch + Adam"],
}


def soft(rounds=3):
    """A pass beside other soft clusterings

    How many times as long as ours one iteration takes on the same dense work.
    """
    rows = []
    for size, names in SOFT.items():
        w, cells = workloads.dense(*size), {}
        peers.check_ours(w)
        for name in names:
            slow = name == "torch_kmeans" and size[2] > 50
            peer = peers.SOFT_PEERS[name](w)
            taken = interleaved({"ours": peers.ours(w), name: peer}, 1 if slow else rounds)
            cells[name] = f"{ratio(taken, name):.0f}"
            print(size, name, cells[name], flush=True)
        rows.append([size_of(*size), *(cells.get(name, "not run: too large") for name in SOFT[10**6, 2, 5])])
    return table(["rows", *(f"{name} ÷ ours" for name in SOFT[10**6, 2, 5])], rows)


# Fewer passes


def grid(seeds=range(3)):
    """Blobs from 2 to 64 dimensions, separated to overlapping, and scikit-learn's own sets: (name, x, k, T, start)."""
    sets = {}
    for d, k, (name, spread) in itertools.product(
        (2, 4, 16, 64), (3, 8, 25), (("apart", 0.5), ("touching", 2.0), ("overlapping", 5.0))
    ):
        scaled = spread * max(1.0, 0.7 * np.sqrt(d / 4))
        sets[f"blobs {d} {k} {name}"] = workloads.overlapping(1500, d, k, d * 100 + k, scaled).x.astype(float), k
    for load, k in ((load_iris, 3), (load_digits, 10), (load_wine, 3), (load_breast_cancer, 3), (load_diabetes, 3)):
        x = load().data
        scaled = x if load in (load_iris, load_digits) else StandardScaler().fit_transform(x)
        sets |= {load.__name__: (scaled, k), f"{load.__name__} 6": (scaled, 6)}
    for (name, (x, k)), seed in itertools.product(sets.items(), seeds):
        start = x[np.random.default_rng(seed).choice(len(x), k, replace=False)]
        learned = fit(x, k, init=start, tol=1e-8, max_iter=3000).temperature
        yield from ((name, x, k, t, start) for t in ("auto", learned, 3 * learned))


class ReachedCallback(softkmeans.Callback):
    """Stop where an objective is reached."""

    def __init__(self, target):
        self.target = target

    def on_step(self, step):
        return step.objective <= self.target


def convergence():
    """Fewer passes

    Passes until the objective is no more than 10⁻⁶ E above the end, from the same start, beside those of plain EM, on
    blobs (2 to 64 features, from well apart to overlapping) and scikit-learn's own data sets, T fixed and learned.
    """
    found = {"auto": [], "lbfgs": []}
    for _, x, k, t, start in grid():
        common = {"temperature": t, "init": start, "max_iter": 20_000}
        em = fit(x, k, solver="em", tol=1e-12, **common)
        slack = 1e-6 * em.distortion / (em.temperature if t == "auto" else 1)  # of F, or of the NLL
        needed = next(s.n_iter for s in em.history if s.objective <= em.objective + slack)
        for solver, cases in found.items():
            end = fit(x, k, solver=solver, tol=1e-12, **common)
            target = ReachedCallback(max(em.objective, end.objective) + slack)
            reached = fit(x, k, solver=solver, tol=0, callbacks=[target], **common).n_iter
            cases.append((needed, reached, (end.objective - em.objective) / (slack * 1e6)))
    rows = []
    for solver, cases in found.items():
        needed, reached, above = np.array(cases).T
        same, slow = np.abs(above) < 1e-5, needed >= 20
        quick = same & ~slow
        rows.append(
            [
                f'`solver="{solver}"`',
                f"{(slow & same).sum()}",
                f"**{np.median((reached / needed)[slow & same]):.2f}**",
                f"{(reached / needed)[slow & same].max():.2f}",
                f"{quick.sum()}",
                f"{(reached - needed)[quick].max():.0f}",
                f"{(~same).sum()} of {len(same)}",
                f"{above.mean():+.1e} E",
            ]
        )
    header = [
        "", "fits where EM needs ≥ 20 passes", "passes ÷ EM's, median", "worst", "other fits",
        "passes above EM's, at most", "ends in another basin", "end above EM's, mean",
    ]  # fmt: skip
    return table(header, rows)


ADAM = [(5 * 10**4, 2, 10, 2.0), (2 * 10**4, 16, 20, 6.0)]
USUAL, RATES, MOST = 0.1, (0.03, 0.1, 0.3, 1.0), 1500


def adam(rounds=3):
    """Beside Adam

    From the same start until the free energy is within 10⁻⁶ E of the same end, on blobs that overlap: ours, and the
    naive PyTorch module trained by Adam on all rows, halving its learning rate on plateaus. It starts at 0.1, or at the
    rate that turned out best for that very data.
    """
    rows = []
    for *size, spread in ADAM:
        w = workloads.overlapping(*size, spread=spread)
        given = {"temperature": w.temperature, "init": w.centers, "max_iter": 3000}
        end = fit(w.x, size[2], tol=1e-12, **given)
        target = end.free_energy + 1e-6 * end.distortion

        def ours(w=w, given=given, target=target):
            return fit(w.x, len(w.centers), tol=0, callbacks=[ReachedCallback(target)], **given).n_iter

        steps = {rate: _adam_steps(w, target, rate) for rate in RATES}
        best = min(RATES, key=steps.get)
        contenders = {"ours": functools.partial(timed, ours)} | {
            rate: functools.partial(timed, functools.partial(_adam_steps, w, target, rate)) for rate in (USUAL, best)
        }
        taken = interleaved(contenders, rounds)
        cells = [f"{_or_more(steps[rate], MOST)} steps, **{ratio(taken, rate):.0f} ×**" for rate in (USUAL, best)]
        rows.append([size_of(*size), f"{ours()} passes", cells[0], f"rate {best}: {cells[1]}"])
        print(rows[-1], flush=True)
    return table(["rows", "ours", "Adam, rate 0.1: how long it takes", "Adam, best rate"], rows)


def _or_more(number, most):
    return f"≥ {most}" if number == most else number


def _adam_steps(w, target, rate, most=MOST):
    """Train the naive module until its loss is there, or for so many steps: how many it took."""
    x, module = torch.from_numpy(w.x), peers.Naive(torch.from_numpy(w.centers), w.temperature)
    optimizer = torch.optim.Adam(module.parameters(), lr=rate)
    scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.5, patience=20, threshold=0, eps=0)
    for step in range(1, most):
        optimizer.zero_grad()
        loss = module(x)
        if loss.item() * len(x) <= target:
            return step
        loss.backward()
        optimizer.step()
        scheduler.step(loss.item())
    return most


# Whole fits


def fits(rounds=3):
    """Whole fits

    `SoftKMeans(k, temperature=1e-6)` beside `KMeans(k, n_init=1)`, seeding included, each to its own end, on separated
    blobs; above 1, ours is the quicker one. faiss makes 25 passes from random rows; `init="k-means||"` with
    `growing_sample=True` is our answer to that.
    """
    rows = []
    for size in workloads.SIZES:
        w, (_, _, k) = workloads.sparse(*size), size
        large = np.prod(size) > 1e10

        def ours(seed, w=w, k=k, **settings):
            return SoftKMeans(k, temperature=1e-6, random_state=seed, **settings).fit(w.x)

        def cheap(seed, ours=ours):
            return ours(seed, init="k-means||", growing_sample=True)

        def hard(seed, w=w, k=k):
            return KMeans(k, n_init=1, random_state=seed).fit(w.x)

        def by_faiss(seed, w=w, size=size):
            model = peers.faiss.Kmeans(size[1], size[2], niter=25, seed=seed, max_points_per_centroid=size[0])
            model.train(w.x)
            return model

        seconds, inertia = {}, {}
        ours(0, max_iter=1)
        for seed in range(1 if large else rounds):
            for name, run in {"ours": ours, "KMeans": hard, "cheap": cheap, "faiss": by_faiss}.items():
                began = time.perf_counter()
                model = run(seed)
                seconds.setdefault(name, []).append(time.perf_counter() - began)
                inertia.setdefault(name, []).append(float(model.obj[-1] if name == "faiss" else model.inertia_))
        best = np.mean(inertia["KMeans"])
        rows.append(
            [
                size_of(*size),
                f"**{ratio(seconds, 'KMeans'):.2f}**",
                f"{np.mean(inertia['ours']) / best:.3f}",
                f"{ratio(seconds, 'KMeans', 'cheap'):.2f}",
                f"{np.mean(inertia['cheap']) / best:.3f}",
                f"{ratio(seconds, 'KMeans', 'faiss'):.2f}",
                f"{np.mean(inertia['faiss']) / best:.3f}",
                f"{median(seconds['ours']):.2f}",
            ]
        )
        print(rows[-1], flush=True)
    header = [
        "rows", "KMeans' time ÷ ours", "our inertia ÷ KMeans'", "KMeans' time ÷ `k-means||`, growing sample",
        "its inertia ÷ KMeans'", "KMeans' time ÷ faiss'", "faiss' inertia ÷ KMeans'", "ours (s)",
    ]  # fmt: skip
    return table(header, rows)


def memory():
    """Memory

    Beside the data, at most, after a smaller call has loaded everything.
    """
    given = "random_state=0, max_iter=15).fit(x)"
    calls = {
        "a fit, sparse, T = 10⁻⁶": ("sparse", f"softkmeans.SoftKMeans(len(w.centers), temperature=1e-6, {given}"),
        "a fit, dense, soft": (
            "dense",
            f"softkmeans.SoftKMeans(len(w.centers), temperature=w.temperature / 4, {given}",
        ),
        "a dense pass": ("dense", "softkmeans.accumulate(x, w.centers, w.temperature)"),
    }
    rows = []
    for size in workloads.SIZES:
        cells = [peak_memory(HERE, kind, size, call) for kind, call in calls.values()]
        rows.append([size_of(*size), *(f"{cell:.0f} MB" for cell in cells)])
        print(rows[-1], flush=True)
    return table(["rows", *calls], rows)


def growth():
    """Growth

    The time of a pass, float32, as one of n, d and k grows. A call of ours costs about a millisecond besides its work:
    checks, and the way there and back between Python, PyTorch and the kernels.
    """
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    base = {"n": 100_000, "d": 16, "k": 64}
    ranges = {
        "n": [10_000, 30_000, 100_000, 300_000, 1_000_000],
        "d": [2, 4, 8, 16, 32, 64, 128],
        "k": [2, 8, 32, 128, 512],
    }
    figure, axes = plt.subplots(1, 3, figsize=(11, 3.6), sharey=True, layout="constrained")
    for axis, (name, values) in zip(axes, ranges.items(), strict=True):
        lines = {"softkmeans, dense": [], "softkmeans, sparse": [], "KMeans, hard": []}
        for value in values:
            size = tuple({**base, name: value}.values())
            dense, sparse = (make(*size) for make in (workloads.dense, workloads.sparse))
            taken = interleaved(
                {
                    "softkmeans, dense": peers.ours(dense),
                    "softkmeans, sparse": peers.ours(sparse),
                    "KMeans, hard": lambda w=dense: _lloyd_pass(w),
                },
                7,
            )
            for label, seconds in taken.items():
                lines[label].append(median(seconds) * 1e3)
        for (label, seconds), style in zip(lines.items(), ("o-", "s-", "^--"), strict=True):
            axis.plot(values, seconds, style, label=label, markersize=4)
        others = ", ".join(f"{key} = {base[key]:,}" for key in base if key != name)
        axis.set(xscale="log", yscale="log", xlabel=name, title=others)
        axis.grid(visible=True, which="major", alpha=0.3)
    axes[0].set_ylabel("a pass (ms)")
    axes[0].legend(frameon=False)
    figure.savefig(IMAGES / "benchmarks-growth.png", dpi=130)
    return ["![Time of a pass as n, d and k grow, on logarithmic axes](images/benchmarks-growth.png)", ""]


def _lloyd_pass(w):
    def run(passes):
        KMeans(len(w.centers), init=w.centers, n_init=1, max_iter=passes, tol=0).fit(w.x)

    return per_pass(run, 2, 6)


def starting():
    """Starting

    Commands in processes of their own; and what the first fit of 200,000 rows takes longer than a second one, on a new
    machine, where kernels are compiled, and in later processes, which load them. Small data needs neither.
    """
    rows = [[name, f"{seconds:.2f} s"] for name, seconds in startup.commands().items()]
    for d in (2, 16):
        rows += [[f"first fit {when}, d = {d}", f"{extra:.2f} s"] for when, extra in startup.first_fits(d).items()]
    return table(["", ""], rows)
