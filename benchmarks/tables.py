"""What is measured: each function gives lines of Markdown, and may draw a picture."""

import functools
import itertools
import time
import warnings
from pathlib import Path

import floor
import numpy as np
import peers
import torch
import workloads
from measure import interleaved, median, peak_memory, per_pass, ratio, timed
from sklearn.cluster import KMeans
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_iris, load_wine
from sklearn.preprocessing import StandardScaler

import softkmeans
from softkmeans import SoftKMeans, SoftKMeansLayer
from softkmeans.fit import fit

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
    """The floor of this machine."""
    r = rates()
    return [
        f"Measured in this run, {r['threads']} threads: FMA peak {r['fma'] / 1e9:.0f} GFLOP/s (a loop in registers), sgemm "
        f"{r['sgemm'] / 1e9:.0f} GFLOP/s (NumPy, 10,000 × 128 by 128 × 256), {r['exp'] / 1e9:.1f} billion exponentials a "
        f"second in cache, {r['copy'] / 1e9:.0f} GB/s copied.",
        "",
    ]


def passes(rounds=15):
    """One pass of ours and one of the hard peers, side by side."""
    rows = []
    for size in workloads.SIZES:
        dense, sparse = (peers.Hashable(make(*size)) for make in (workloads.dense, workloads.sparse))
        peers.check_ours(dense)
        peers.check_ours(sparse)
        large = np.prod(size) > 1e10
        contenders = {
            "ours": lambda w=dense, m=large: peers.ours(w)(1 if m else 3),
            "sparse": lambda w=sparse, m=large: peers.ours(w)(1 if m else 3),
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
        "rows", "Lloyd ÷ ours, dense", "sparse", "faiss ÷ ours, dense", "of the floor", "ours, dense (ms)", "sparse (ms)",
        "Lloyd (ms)",
    ]  # fmt: skip
    return table(header, rows)


SOFT = {
    (10**6, 2, 5): ["GaussianMixture", "scikit-fuzzy", "naive torch + Adam", "torch_kmeans"],
    (10**6, 16, 64): ["GaussianMixture", "scikit-fuzzy", "naive torch + Adam", "torch_kmeans"],
    (10**5, 128, 256): ["GaussianMixture", "scikit-fuzzy", "naive torch + Adam"],
}


def soft(rounds=3):
    """One pass of ours and one of the soft peers."""
    rows = []
    for size, names in SOFT.items():
        w, cells = peers.Hashable(workloads.dense(*size)), {}
        peers.check_ours(w)
        for name in names:
            slow = name == "torch_kmeans" and size[2] > 50
            peer = peers.PEERS[name](w)
            taken = interleaved({"ours": lambda w=w: peers.ours(w)(5), name: peer}, 1 if slow else rounds)
            cells[name] = f"{ratio(taken, name):.0f}"
            print(size, name, cells[name], flush=True)
        rows.append([size_of(*size), *(cells.get(name, "does not fit in 24 GB") for name in SOFT[10**6, 2, 5])])
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
    """Passes to EM's own end, within 1e-6 E, from the same start."""
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
        "", "fits where EM needs ≥ 20 passes", "passes ÷ EM's, median", "worst", "other fits", "passes above EM's, at most",
        "ends in another basin", "end above EM's, mean",
    ]  # fmt: skip
    return table(header, rows)


ADAM = [(10**5, 2, 10), (5 * 10**4, 16, 20)]


def adam():
    """Whole fits to the same F: ours, and a layer trained by PyTorch's Adam from the same start."""
    rows = []
    for size in ADAM:
        w = workloads.overlapping(*size)
        x, start = torch.from_numpy(w.x), torch.from_numpy(w.centers)

        def ours(w=w, start=start):
            return fit(w.x, len(start), temperature=w.temperature, init=start, tol=1e-9, max_iter=3000)

        result = ours()
        target = (result.free_energy + 1e-5 * result.distortion) / len(x)

        def by_adam(x=x, start=start, w=w, target=target):
            layer = SoftKMeansLayer(len(start), x.shape[1], w.temperature, centroids=start)
            optimizer = torch.optim.Adam(layer.parameters(), lr=0.1)
            scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, patience=20, threshold=0, eps=0)
            for step in range(1, 3000):
                optimizer.zero_grad()
                loss = layer.loss(x)
                if loss.item() <= target:
                    return step
                loss.backward()
                optimizer.step()
                scheduler.step(loss.item())
            return None

        steps = by_adam()
        if steps is None:
            rows.append([size_of(*size), result.n_iter, "more than 3000", ""])
            continue
        taken = interleaved({"ours": lambda f=ours: timed(f), "adam": lambda f=by_adam: timed(f)}, 3)
        rows.append([size_of(*size), result.n_iter, steps, f"**{ratio(taken, 'adam'):.0f}**"])
        print(rows[-1], flush=True)
    return table(["rows, blobs that overlap", "our passes", "steps of Adam", "Adam's time ÷ ours"], rows)


# Whole fits


def fits(rounds=3):
    """Default fits as T goes to 0, and scikit-learn's KMeans with one start, to their ends: seeding included."""
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
        "rows", "KMeans' time ÷ ours", "our inertia ÷ KMeans'", "÷ `k-means||`, growing sample", "its inertia", "÷ faiss",
        "faiss' inertia", "ours (s)",
    ]  # fmt: skip
    return table(header, rows)


def memory():
    """Peak memory beside the data."""
    rows = []
    for size in workloads.SIZES:
        call = f"softkmeans.SoftKMeans({size[2]}, temperature=1e-6, random_state=0, max_iter=5).fit(x)"
        one = "softkmeans.accumulate(x, w.centers, w.temperature)"
        figures = [peak_memory(HERE, "sparse", size, call), peak_memory(HERE, "dense", size, one)]
        rows.append([size_of(*size), *(f"{figure:.0f}" for figure in figures)])
        print(rows[-1], flush=True)
    return table(["rows", "a whole fit (MB)", "a dense pass (MB)"], rows)


def growth():
    """Seconds of a pass as n, k and d grow, ours and Lloyd's; draws them."""
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
            dense, sparse = (peers.Hashable(make(*size)) for make in (workloads.dense, workloads.sparse))
            taken = interleaved(
                {
                    "softkmeans, dense": lambda w=dense: peers.ours(w)(2),
                    "softkmeans, sparse": lambda w=sparse: peers.ours(w)(2),
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
