"""The benchmarks of docs/benchmarks.md: functions that return the lines of a section, after its text in `sections`."""

import functools
import itertools
import time
import warnings
from pathlib import Path

import batches as batch_fits
import family
import floor
import numpy as np
import peers
import pictures
import small_data
import sparse_data
import startup
import torch
import training as training_steps
import workloads
from measure import interleaved, median, peak_memory, per_pass, ratio, short, timed
from sklearn.cluster import KMeans
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_iris, load_wine
from sklearn.preprocessing import StandardScaler

import softkmeans
from softkmeans import SoftKMeans, fit

warnings.simplefilter("ignore")
HERE = Path(__file__).parent
IMAGES = HERE.parent / "docs" / "images"


def training(rounds=5):
    """Return the tables of a training step of the module."""
    return training_steps.table(rounds)


def batches(rounds=5):
    """Return the table of fits of batches of problems."""
    return batch_fits.table(rounds)


def row(*cells):
    """Return a line of a Markdown table."""
    return "| " + " | ".join(str(cell) for cell in cells) + " |"


def table(header, rows):
    """Return the lines of a Markdown table."""
    return [row(*header), row(*["---"] * len(header)), *(row(*cells) for cells in rows), ""]


def size_label(n, d, k):
    """Return the size of a workload in words."""
    return f"{n:,} × {d}, k = {k}"


@functools.cache
def rates():
    """Return the machine's peak rates, measured once."""
    return floor.measure()


def machine():
    """Return a table of the machine's peak rates."""
    r = rates()
    rows = [
        ["FMA peak, in registers", f"{r['fma'] / 1e9:.0f} GFLOP/s"],
        ["sgemm, NumPy, 10,000 × 128 by 128 × 256", f"{r['sgemm'] / 1e9:.0f} GFLOP/s"],
        ["exponentials, in cache", f"{r['exp'] / 1e9:.1f} · 10⁹ per second"],
        ["memory, copied", f"{r['copy'] / 1e9:.0f} GB/s"],
    ]
    return table([f"measured in this run, {r['threads']} threads", ""], rows)


def passes(rounds=11):
    """Return a table of the time of dense and sparse passes, relative to hard k-means."""
    rows = []
    for size in workloads.SIZES:
        dense, sparse = (draw(*size) for draw in (workloads.dense, workloads.sparse))
        peers.check_ours(dense)
        peers.check_ours(sparse)
        large = np.prod(size) > 1e10
        contenders = {
            "ours": peers.ours(dense),
            "sparse": peers.ours(sparse),
            "lloyd": peers.lloyd(dense, 2, 5 if large else 10),
            "faiss": peers.faiss_kmeans(dense),
        }
        times = interleaved(contenders, 5 if large else rounds)
        floor_seconds = floor.seconds(rates(), *size)
        rows.append(
            [
                size_label(*size),
                f"**{ratio(times, 'lloyd'):.2f}**",
                f"**{ratio(times, 'lloyd', 'sparse'):.2f}**",
                f"{ratio(times, 'faiss'):.1f}",
                f"{100 * floor_seconds / median(times['ours']):.0f} %",
                f"{median(times['ours']) * 1e3:.1f}",
                f"{median(times['sparse']) * 1e3:.1f}",
                f"{median(times['lloyd']) * 1e3:.1f}",
            ]
        )
        print(rows[-1], flush=True)
    header = [
        "rows", "Lloyd ÷ ours, dense", "sparse", "faiss ÷ ours, dense", "of the floor", "ours, dense (ms)",
        "sparse (ms)", "Lloyd (ms)",
    ]  # fmt: skip
    return table(header, rows)


HARD = "KMeans (hard)"
SOFT_PEERS_BY_SIZE = {
    (10**6, 2, 5): [HARD, "GaussianMixture", "scikit-fuzzy", "naive torch + Adam", "torch_kmeans"],
    (10**6, 16, 64): [HARD, "GaussianMixture", "scikit-fuzzy", "naive torch + Adam", "torch_kmeans"],
    (10**5, 128, 256): [HARD, "GaussianMixture", "scikit-fuzzy", "naive torch + Adam"],
}


def soft(rounds=3):
    """Return a table of the time of a pass, relative to other programs, and draw it."""
    measured = {}
    for size, names in SOFT_PEERS_BY_SIZE.items():
        w = workloads.dense(*size)
        peers.check_ours(w)
        cells = measured[size_label(*size)] = {}
        for name in names:
            slow = name == "torch_kmeans" and size[2] > 50
            times = interleaved({"ours": peers.ours(w), name: peers.SOFT_PEERS[name](w)}, 1 if slow else rounds)
            cells[name] = ratio(times, name)
            print(size, name, short(cells[name]), flush=True)
    pictures.draw_peers(measured)
    names = SOFT_PEERS_BY_SIZE[10**6, 2, 5]
    rows = [
        [label, *(short(cells[name]) if name in cells else "not run: too large" for name in names)]
        for label, cells in measured.items()
    ]
    return [
        *table(["rows", *(f"{name} ÷ ours" for name in names)], rows),
        "![Time of an iteration of other programs, divided by that of softkmeans](images/benchmarks-peers.png)",
        "",
    ]


def members(rounds=7):
    """Return a table of the time of a pass of each member of the family, relative to a plain pass."""
    ratios, plain, errors = zip(*(family.measure(size, rounds) for size in family.SIZES), strict=True)
    if any(errors):
        raise peers.WrongResultError(errors)
    labels = [f"{size_label(*size)} ({ms:.1f} ms)" for size, ms in zip(family.SIZES, plain, strict=True)]
    return table(["member", *labels], [[name, *(f"{part[name]:.2f}" for part in ratios)] for name in ratios[0]])


RELATIVES = {
    "`FuzzyCMeans` and scikit-fuzzy": ("fuzzy, m = 2", "fuzzy"),
    '`temperature="per-cluster", priors="learned"` and `GaussianMixture("spherical")`': ("per cluster", "mixture"),
}


def relatives(rounds=3):
    """Return a table of the time of an iteration of other programs, relative to that of the same member of ours."""
    rows = []
    for name, (member, peer) in RELATIVES.items():
        cells = []
        for size in family.SIZES:
            w = workloads.dense(*size)
            ours = family.Member(w, family.settings(w)[member])
            ours.check()
            contenders = {"ours": lambda ours=ours: timed(ours.run), "peer": getattr(peers, peer)(w)}
            cells.append(f"{ratio(interleaved(contenders, rounds), 'peer'):.0f}")
        rows.append([name, *cells])
    return table(["programs", *(size_label(*size) for size in family.SIZES)], rows)


# Fewer passes


def grid(seeds=range(3)):
    """Yield (name, x, k, T, start): blobs in 2 to 64 dimensions, separated to overlapping, and data of scikit-learn."""
    sets = {}
    for d, k, (name, spread) in itertools.product(
        (2, 4, 16, 64), (3, 8, 25), (("separated", 0.5), ("touching", 2.0), ("overlapping", 5.0))
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


class TargetCallback(softkmeans.Callback):
    """A callback that stops the fit when the objective reaches a target."""

    def __init__(self, target):
        self.target = target

    def on_step(self, step):
        """Stop if the target is reached."""
        return step.objective <= self.target


def convergence():
    """Return a table of the number of passes of our solvers, relative to EM."""
    results = {"auto": [], "lbfgs": []}
    for _, x, k, t, start in grid():
        common = {"temperature": t, "init": start, "max_iter": 20_000}
        em = fit(x, k, solver="em", tol=1e-12, **common)
        tolerance = 1e-6 * em.distortion / (em.temperature if t == "auto" else 1)  # in units of F, or of the NLL
        needed = next(s.n_iter for s in em.history if s.objective <= em.objective + tolerance)
        for solver, cases in results.items():
            end = fit(x, k, solver=solver, tol=1e-12, **common)
            callback = TargetCallback(max(em.objective, end.objective) + tolerance)
            reached = fit(x, k, solver=solver, tol=0, callbacks=[callback], **common).n_iter
            cases.append((needed, reached, (end.objective - em.objective) / (tolerance * 1e6)))
    rows = []
    for solver, cases in results.items():
        needed, reached, above = np.array(cases).T
        same, slow = np.abs(above) < 1e-5, needed >= 20
        fast = same & ~slow
        rows.append(
            [
                f'`solver="{solver}"`',
                f"{(slow & same).sum()}",
                f"**{np.median((reached / needed)[slow & same]):.2f}**",
                f"{(reached / needed)[slow & same].max():.2f}",
                f"{fast.sum()}",
                f"{(reached - needed)[fast].max():.0f}",
                f"{(~same).sum()} of {len(same)}",
                f"{above.mean():+.1e} E",
            ]
        )
    header = [
        "", "fits where EM needs ≥ 20 passes", "passes ÷ EM's, median", "worst", "other fits",
        "passes above EM's, at most", "other optimum than EM's", "objective above EM's, mean",
    ]  # fmt: skip
    return table(header, rows)


ADAM_WORKLOADS = [(5 * 10**4, 2, 10, 2.0), (2 * 10**4, 16, 20, 6.0)]
DEFAULT_RATE = 0.1
RATES = (0.03, 0.1, 0.3, 1.0)
MAX_STEPS = 1500


def adam(rounds=3):
    """Return a table of the time of a fit, relative to Adam."""
    rows = []
    for *size, spread in ADAM_WORKLOADS:
        w = workloads.overlapping(*size, spread=spread)
        settings = {"temperature": w.temperature, "init": w.centers, "max_iter": 3000}
        end = fit(w.x, size[2], tol=1e-12, **settings)
        target = end.free_energy + 1e-6 * end.distortion

        def ours(w=w, settings=settings, target=target):
            return fit(w.x, len(w.centers), tol=0, callbacks=[TargetCallback(target)], **settings).n_iter

        steps = {rate: _adam_steps(w, target, rate) for rate in RATES}
        best = min(RATES, key=steps.get)
        contenders = {"ours": functools.partial(timed, ours)} | {
            rate: functools.partial(timed, functools.partial(_adam_steps, w, target, rate))
            for rate in (DEFAULT_RATE, best)
        }
        times = interleaved(contenders, rounds)
        cells = [f"{_format_steps(steps[rate])} steps, **{ratio(times, rate):.0f} ×**" for rate in (DEFAULT_RATE, best)]
        rows.append([size_label(*size), f"{ours()} passes", cells[0], f"rate {best}: {cells[1]}"])
        print(rows[-1], flush=True)
    return table(["rows", "ours", "Adam, rate 0.1: steps, time ÷ ours", "Adam, best rate"], rows)


def _format_steps(steps):
    """Return a number of steps as text, with ≥ if the limit was reached."""
    return f"≥ {MAX_STEPS}" if steps == MAX_STEPS else steps


def _adam_steps(w, target, rate):
    """Train the naive module until its loss reaches a target, and return the number of steps, `MAX_STEPS` at most."""
    x, module = torch.from_numpy(w.x), peers.Naive(torch.from_numpy(w.centers), w.temperature)
    optimizer = torch.optim.Adam(module.parameters(), lr=rate)
    scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.5, patience=20, threshold=0, eps=0)
    for step in range(1, MAX_STEPS):
        optimizer.zero_grad()
        loss = module(x)
        if loss.item() * len(x) <= target:
            return step
        loss.backward()
        optimizer.step()
        scheduler.step(loss.item())
    return MAX_STEPS


# Whole fits


def fits(rounds=3):
    """Return a table of the time and the inertia of whole fits, relative to hard k-means."""
    rows = []
    for size in workloads.SIZES:
        w, k = workloads.sparse(*size), size[2]
        large = np.prod(size) > 1e10

        def ours(seed, w=w, k=k, **settings):
            return SoftKMeans(k, temperature=1e-6, random_state=seed, **settings).fit(w.x)

        def sampled(seed, ours=ours):
            return ours(seed, init="k-means||", growing_sample=True)

        def kmeans(seed, w=w, k=k):
            return KMeans(k, n_init=1, random_state=seed).fit(w.x)

        def faiss_kmeans(seed, w=w, size=size):
            model = peers.faiss.Kmeans(size[1], size[2], niter=25, seed=seed, max_points_per_centroid=size[0])
            model.train(w.x)
            return model

        seconds, inertia = {}, {}
        ours(0, max_iter=1)
        for seed in range(1 if large else rounds):
            for name, run in {"ours": ours, "KMeans": kmeans, "sampled": sampled, "faiss": faiss_kmeans}.items():
                began = time.perf_counter()
                model = run(seed)
                seconds.setdefault(name, []).append(time.perf_counter() - began)
                inertia.setdefault(name, []).append(float(model.obj[-1] if name == "faiss" else model.inertia_))
        kmeans_inertia = np.mean(inertia["KMeans"])
        rows.append(
            [
                size_label(*size),
                f"**{ratio(seconds, 'KMeans'):.2f}**",
                f"{np.mean(inertia['ours']) / kmeans_inertia:.3f}",
                f"{ratio(seconds, 'KMeans', 'sampled'):.2f}",
                f"{np.mean(inertia['sampled']) / kmeans_inertia:.3f}",
                f"{ratio(seconds, 'KMeans', 'faiss'):.2f}",
                f"{np.mean(inertia['faiss']) / kmeans_inertia:.3f}",
                f"{median(seconds['ours']):.2f}",
            ]
        )
        print(rows[-1], flush=True)
    header = [
        "rows", "KMeans' time ÷ ours", "our inertia ÷ KMeans'", "KMeans' time ÷ `k-means||`, growing sample",
        "its inertia ÷ KMeans'", "KMeans' time ÷ faiss'", "faiss' inertia ÷ KMeans'", "ours (s)",
    ]  # fmt: skip
    return table(header, rows)


def small():
    """Return the tables of small tables and single rows."""
    fits = [[name, f"{ms:.1f}", f"**{m:.2f}**", f"{km:.1f}"] for name, ms, m, km in small_data.fits()]
    rows = [[name, f"{us:,.0f}", *(f"{r:.2f}" for r in ratios)] for name, us, *ratios in small_data.answers()]
    one, eight = (small_data.rows_per_second(n) for n in (1, 8))
    header = [
        "rows", "`predict_proba` (µs)", "`predict` ÷ KMeans' `predict`", "`predict_proba` ÷ KMeans' `predict`",
        "`predict_proba` ÷ GaussianMixture's", "the light predictor ÷ GaussianMixture's",
    ]  # fmt: skip
    return [
        *table(["fit", "ours (ms)", "ours ÷ GaussianMixture", "ours ÷ KMeans"], fits),
        *table(header, rows),
        f"Single rows a second: {one:,.0f} by one thread, {eight:,.0f} by eight threads together.",
        "",
        *table(["", ""], [[name, f"{seconds:.2f} s"] for name, seconds in small_data.selections().items()]),
    ]


def sparse_rows():
    """Return tables of passes and fits of CSR matrices."""
    return [
        *table(["a pass", "Lloyd ÷ ours", "ours (ms)", "memory of a fit, float64"], sparse_data.passes()),
        *table(["texts", ""], sparse_data.texts()),
    ]


def memory():
    """Return a table of peak memory."""
    settings = "random_state=0, max_iter=15).fit(x)"
    calls = {
        "a fit, sparse, T = 10⁻⁶": ("sparse", f"softkmeans.SoftKMeans(len(w.centers), temperature=1e-6, {settings}"),
        "a fit, dense, soft": (
            "dense",
            f"softkmeans.SoftKMeans(len(w.centers), temperature=w.temperature / 4, {settings}",
        ),
        "a dense pass": ("dense", "softkmeans.accumulate(x, w.centers, w.temperature)"),
    }
    rows = []
    for size in workloads.SIZES:
        cells = [peak_memory(HERE, kind, size, call) for kind, call in calls.values()]
        rows.append([size_label(*size), *(f"{cell:.0f} MB" for cell in cells)])
        print(rows[-1], flush=True)
    return table(["rows", *calls], rows)


def growth():
    """Plot the time of a pass against n, d and k, and return a link to the picture."""
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
            dense, sparse = (draw(*size) for draw in (workloads.dense, workloads.sparse))
            times = interleaved(
                {
                    "softkmeans, dense": peers.ours(dense),
                    "softkmeans, sparse": peers.ours(sparse),
                    "KMeans, hard": lambda w=dense: _lloyd_pass(w),
                },
                7,
            )
            for label, seconds in times.items():
                lines[label].append(median(seconds) * 1e3)
        for (label, seconds), style in zip(lines.items(), ("o-", "s-", "^--"), strict=True):
            axis.plot(values, seconds, style, label=label, markersize=4)
        others = ", ".join(f"{key} = {base[key]:,}" for key in base if key != name)
        axis.set(xscale="log", yscale="log", xlabel=name, title=others)
        axis.grid(visible=True, which="major", alpha=0.3)
    axes[0].set_ylabel("time of a pass (ms)")
    axes[0].legend(frameon=False)
    figure.savefig(IMAGES / "benchmarks-growth.png", dpi=130)
    return ["![Time of a pass as n, d and k grow, on logarithmic axes](images/benchmarks-growth.png)", ""]


def _lloyd_pass(w):
    """Return the seconds of a hard Lloyd iteration of scikit-learn."""

    def run(passes):
        KMeans(len(w.centers), init=w.centers, n_init=1, max_iter=passes, tol=0).fit(w.x)

    return per_pass(run, 2, 6)


def starting():
    """Return a table of the time of commands, and of first fits."""
    rows = [[name, f"{seconds:.2f} s"] for name, seconds in startup.commands().items()]
    for d in (2, 16):
        rows += [[f"first fit {when}, d = {d}", f"{extra:.2f} s"] for when, extra in startup.first_fits(d).items()]
    return table(["", ""], rows)
