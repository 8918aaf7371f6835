"""Annealing paths, the seeding by annealing, and the local search."""

import numpy as np
import pytest
import torch
from scipy.optimize import brentq
from scipy.special import logsumexp
from sklearn.datasets import make_blobs

from helpers import reference as ref
from softkmeans import Callback, FitInterrupted, InputError, SoftKMeans, fit
from softkmeans.annealing import annealing_path
from softkmeans.annealing.pruning import removal_costs
from softkmeans.annealing.splitting import split_directions
from softkmeans.data import as_source
from softkmeans.data.scaling import Scaling
from softkmeans.distances import DISTANCES, as_distance
from softkmeans.errors import CallbackError
from softkmeans.model.params import ModelSpec, Params
from softkmeans.objectives import FreeEnergy
from softkmeans.solvers.loop import evaluate
from softkmeans.temperature import Fixed, Schedule

RNG = np.random.default_rng(0)
TILTED = RNG.normal(size=(300, 3)) * [3, 1.5, 1] @ np.linalg.qr(RNG.normal(size=(3, 3)))[0] + 4
WEIGHTS = RNG.uniform(0.1, 3, 300)
FIVE, LABELS = make_blobs(300, centers=5, cluster_std=0.6, center_box=(-15, 15), random_state=3)


def objective(x, t, distance="sqeuclidean", w=None, noise=None, n_clusters=3):
    """An objective at T, the rows seen from its space, and the point of given centers and equal priors."""
    source = as_source(x, w)
    scaling = Scaling.of(source, as_distance(distance))
    spec = ModelSpec(noise=None if noise is None else noise / scaling.unit, learn_priors=True)
    goal = FreeEnergy(scaling, Fixed(t), spec)

    def at(c):
        n = len(c) + (noise is not None)
        t_in_space = torch.full((len(c),), t / scaling.unit, dtype=torch.float64)
        log_prior = torch.full((n,), -np.log(n), dtype=torch.float64)
        return Params(scaling.transform(torch.tensor(c)), t_in_space, log_prior)

    return goal, scaling.view(source), at


def shares(x, c, t, distance="sqeuclidean", noise=None, log_prior=0.0):
    logits = log_prior - ref.distances(x, c, distance) / t
    if noise is not None:
        logits = np.hstack([logits, np.full((len(x), 1), -noise / t)])
    return np.exp(logits - logsumexp(logits, axis=1, keepdims=True))[:, : len(c)]


# Splits


@pytest.mark.parametrize("noise", [None, 12.0])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_growth_is_twice_the_largest_variance_of_a_cluster_over_the_temperature(dtype, weighted, noise):
    w, t, c = WEIGHTS if weighted else np.ones(300), 6.0, TILTED[[3, 50, 120]]
    goal, view, at = objective(TILTED.astype(dtype), t, w=w, noise=noise)
    found = split_directions(goal, view, evaluate(goal, view, at(c)), passes=60)
    r = shares(TILTED, c, t, noise=noise) * w[:, None]
    for k in range(3):
        values, vectors = np.linalg.eigh(np.cov(TILTED.T, bias=True, aweights=r[:, k]))
        assert float(found.growth[k]) == pytest.approx(2 * values[-1] / t, rel=0.01)
        assert abs(found.direction[k].numpy() @ vectors[:, -1]) > 0.99


@pytest.mark.parametrize(("distance", "t"), [("sqeuclidean", 6.0), ("euclidean", 1.0), ("cosine", 0.05)])
def test_growth_is_that_of_a_pair_in_a_step_of_em(distance, t):
    """By finite differences of EM at the pair, whose halves have the same weight: its Jacobian's spectral radius."""
    fitted = fit(
        TILTED, 3, temperature=t, distance=distance, priors="learned", random_state=0, tol=1e-12, max_iter=3000
    )
    c, p = fitted.centers.numpy(), fitted.priors.numpy()
    goal, view, at = objective(TILTED, t, distance)
    params = at(c)._replace(log_prior=torch.tensor(np.log(p)))
    found = split_directions(goal, view, evaluate(goal, view, params), passes=100)
    unit = TILTED / np.linalg.norm(TILTED, axis=1, keepdims=True) if distance == "cosine" else TILTED

    def half_of_pair(k, offset):
        pair = np.vstack([c, c[k] - offset])
        pair[k] += offset
        r = shares(TILTED, pair, t, distance, log_prior=np.log([*np.where(np.arange(3) == k, p / 2, p), p[k] / 2]))[
            :, k
        ]
        r = r / ref.distances(TILTED, pair[k : k + 1], distance)[:, 0] if distance == "euclidean" else r
        mean = r @ unit / r.sum()
        return mean / np.linalg.norm(mean) if distance == "cosine" else mean

    for k in range(3):
        h = 1e-5 * np.linalg.norm(c[k])
        jacobian = np.array([(half_of_pair(k, e) - half_of_pair(k, -e)) / (2 * h) for e in h * np.eye(3)])
        if distance == "cosine":  # along the sphere only
            across = np.eye(3) - np.outer(c[k], c[k]) / (c[k] @ c[k])
            jacobian = across @ jacobian * np.linalg.norm(c[k])
        assert float(found.growth[k]) == pytest.approx(np.abs(np.linalg.eigvals(jacobian)).max(), rel=0.02)


# Paths


def numbers(path, kind="split"):
    return [t for t in path.transitions if t.kind == kind]


@pytest.mark.parametrize("weighted", [False, True])
def test_a_path_begins_at_the_critical_temperature(weighted):
    w = WEIGHTS if weighted else None
    path = annealing_path(TILTED, max_clusters=2, n_temperatures=8, sample_weight=w)
    critical = 2 * np.linalg.eigvalsh(np.cov(TILTED.T, bias=True, aweights=w))[-1]
    assert path.critical_temperature == pytest.approx(critical, rel=0.01)
    assert numbers(path)[0].temperature == pytest.approx(critical, rel=0.01)
    assert path.n_clusters[0] == 1
    assert path.weight == pytest.approx(300 if w is None else w.sum())


@pytest.mark.parametrize("a", [1e-3, 2.0, 1e4])
def test_two_points_part_as_theory_has_it(a):
    path = annealing_path([[-a], [a]], (a**2 * np.geomspace(2.2, 0.01, 25)).tolist(), max_clusters=4)
    assert [(t.kind, t.cluster) for t in path.transitions] == [("split", 0)]
    assert path.transitions[0].temperature == pytest.approx(2 * a**2, rel=0.01)
    for level in path.levels:
        t = level.temperature
        if t > 2 * a**2:
            np.testing.assert_allclose(level.centers, [[0.0]], atol=1e-9 * a)
            continue
        c = brentq(lambda c, t=t: c - a * np.tanh(2 * a * c / t), 1e-6 * a, 2 * a)
        np.testing.assert_allclose(np.sort(level.centers[:, 0]), [-c, c], rtol=0.02)
        np.testing.assert_allclose(level.priors, 0.5, rtol=1e-3)


DATA = {
    "blobs": (FIVE, None),
    "weighted": (FIVE, np.random.default_rng(1).uniform(0.2, 3, 300)),
    "one feature": (FIVE[:, :1], None),
    "gaussian": (TILTED, None),
    "duplicates": (np.repeat(FIVE[::10], 4, axis=0), None),
}


@pytest.mark.parametrize("name", DATA)
def test_levels_are_consistent(name):
    x, w = DATA[name]
    told = []
    path = annealing_path(x, n_temperatures=12, max_clusters=6, sample_weight=w, on_level=told.append)
    assert tuple(told) == path.levels
    weights = np.ones(len(x)) if w is None else w
    assert (np.diff(path.temperatures) < 0).all()
    assert path.n_clusters.max() <= 6
    np.testing.assert_array_equal(path.levels[0].parents, [-1])
    for before, level in zip([None, *path.levels[:-1]], path.levels, strict=True):
        k, t = level.centers.shape[0], level.temperature
        assert level.centers.shape == (k, x.shape[1])
        assert level.priors.shape == level.parents.shape == level.instability.shape == (k,)
        assert level.priors.sum() == pytest.approx(1, rel=1e-9)
        if before is not None:
            assert set(level.parents) <= set(range(len(before.centers)))
        d, p = ref.distances(x, level.centers), level.priors
        logits = np.log(p) - d / t
        norm = logsumexp(logits, axis=1)
        r = np.exp(logits - norm[:, None])
        assert level.free_energy == pytest.approx(-t * weights @ norm, rel=1e-6, abs=1e-9 * weights.sum())
        assert level.distortion == pytest.approx(weights @ (r * d).sum(1), rel=1e-6, abs=1e-9)
        h = -weights @ np.where(r > 0, r * np.log(np.where(r > 0, r, 1)), 0).sum(1)
        assert level.entropy == pytest.approx(h, rel=1e-6, abs=1e-6 * weights.sum())
    last = path.levels[-1]
    np.testing.assert_allclose(last.priors, 1 / len(last.priors), rtol=1e-12)
    step = ref.em_step(x, last.centers, last.temperature, w) - last.centers
    r = ref.resp(x, last.centers, last.temperature)
    assert weights @ r @ (step**2).sum(1) < 1e-4 * last.distortion  # by which a step of EM lowers F at least
    np.testing.assert_allclose(path.perplexity, [np.exp(v.entropy / weights.sum()) for v in path.levels])
    lowest = [t.temperature for t in path.transitions]
    assert lowest == sorted(lowest, reverse=True)


def same(one, other, factor=1.0, shift=0.0, turn=None, rtol=2e-3):
    """Whether two paths tell the same of data and their image."""
    np.testing.assert_array_equal(one.n_clusters, other.n_clusters)
    np.testing.assert_allclose(other.temperatures, one.temperatures * factor**2, rtol=rtol)
    for a, b in zip(one.levels, other.levels, strict=True):
        expected = (a.centers if turn is None else a.centers @ turn) * factor + shift
        gaps = ref.distances(expected, b.centers)
        np.testing.assert_array_equal(np.sort(gaps.argmin(1)), np.arange(len(gaps)))
        assert np.sqrt(gaps.min(1).max()) < rtol * np.abs(expected).max()
        np.testing.assert_allclose(b.priors[gaps.argmin(1)], a.priors, atol=2e-3)


TEMPERATURES = np.geomspace(120, 3, 8)


def test_an_integer_weight_is_a_repeated_row_in_any_order():
    w = np.random.default_rng(2).integers(1, 4, len(FIVE))
    rows = np.random.default_rng(3).permutation(np.repeat(FIVE, w, axis=0))
    one, other = annealing_path(FIVE, TEMPERATURES, sample_weight=w), annealing_path(rows, TEMPERATURES)
    same(one, other, rtol=1e-6)


@pytest.mark.parametrize(("factor", "shift"), [(1e-6, 0.0), (1e5, 0.0), (1.0, 1e4)])
def test_scaling_and_shifting_change_nothing_else(factor, shift):
    moved = annealing_path(FIVE * factor + shift, TEMPERATURES * factor**2)
    same(annealing_path(FIVE, TEMPERATURES), moved, factor, shift)


def test_turning_changes_nothing_else():
    turn = np.array([[np.cos(0.7), -np.sin(0.7)], [np.sin(0.7), np.cos(0.7)]])
    one, other = annealing_path(FIVE, TEMPERATURES), annealing_path(FIVE @ turn, TEMPERATURES)
    cold = [path._replace(levels=path.levels[-4:]) for path in (one, other)]  # no split is near
    same(*cold, turn=turn, rtol=0.01)
    assert numbers(other)[0].temperature == pytest.approx(numbers(one)[0].temperature, rel=0.01)


def test_distinct_rows_are_as_many_clusters_as_there_are():
    path = annealing_path([[0.0], [0.0], [1.0], [5.0]], max_clusters=10)
    assert path.n_clusters.max() == 3
    np.testing.assert_allclose(np.sort(path.levels[-1].centers[:, 0]), [0, 1, 5], atol=1e-6)


@pytest.mark.parametrize("distance", DISTANCES)
def test_a_path_ends_at_the_blobs_for_any_distance(distance):
    x = FIVE + 40 if distance != "cosine" else np.array([[np.cos(a), np.sin(a)] for a in LABELS + FIVE[:, 0] % 0.05])
    path = annealing_path(x, max_clusters=5, distance=distance, n_temperatures=20)
    assert path.n_clusters[-1] == 5
    found = ref.distances(x, path.levels[-1].centers, distance).argmin(1)
    assert {len(set(found[k == LABELS])) for k in range(5)} == {1}


@pytest.mark.parametrize("seed", range(2))
def test_five_clear_blobs_live_longest(seed):
    around = np.array([[np.cos(a), np.sin(a)] for a in np.arange(5) * 0.4 * np.pi]) * [10, 8]
    x, _ = make_blobs(200, centers=around, cluster_std=0.4, random_state=seed)
    lives = annealing_path(x, max_clusters=7, n_temperatures=30).lifetimes()
    assert max(lives, key=lives.get) == 5
    assert 1 not in lives


BAD = {
    "the same rows": (np.ones((5, 2)), {}, "all rows are the same"),
    "one row": ([[1.0, 2.0]], {}, "all rows are the same"),
    "weight on one row": ([[1.0], [2.0]], {"sample_weight": [0, 1]}, "all rows are the same"),
    "rising": (FIVE, {"temperatures": [1, 2]}, "give temperatures that fall"),
    "nan": (FIVE, {"temperatures": [np.nan]}, "finite number above 0"),
    "none": (FIVE, {"temperatures": []}, "expected a series of temperatures"),
    "a word": (FIVE, {"temperatures": "auto"}, "expected a series of temperatures"),
    "nan among rows": ([[1.0], [np.nan]], {}, "contains NaN"),
    "no levels": (FIVE, {"n_temperatures": 0}, "n_temperatures=0: give a whole number"),
    "no clusters": (FIVE, {"max_clusters": 0}, "max_clusters=0: give a whole number"),
    "distance": (FIVE, {"distance": "taxi"}, "distance='taxi' is not known"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_named_in_one_line(case):
    x, options, message = BAD[case]
    with pytest.raises(InputError, match=message) as caught:
        annealing_path(x, **options)
    assert "\n" not in str(caught.value)


# Jumps


def test_an_optimum_that_disappears_is_a_jump():
    """As T falls, the light cluster, a row far off, all at once takes in another that was the heavy one's."""
    x, w = np.array([[0.673], [1.792], [2.618], [3.079]]), np.array([0.5, 1, 5, 10])
    path = annealing_path(x, max_clusters=2, sample_weight=w, n_temperatures=60)
    (jump,) = numbers(path, "jump")
    start = path.levels[jump.level - 3]
    c, log_prior, far = start.centers, np.log(start.priors), {}
    for t in np.geomspace(start.temperature, path.levels[jump.level + 1].temperature, 60):
        before = c
        for _ in range(20_000):  # EM with masses, to its end
            r = shares(x, c, t, log_prior=log_prior) * w[:, None]
            last, c, log_prior = c, r.T @ x / r.sum(0)[:, None], np.log(r.sum(0) / r.sum())
            if np.abs(c - last).max() < 1e-9:
                break
        far[t] = np.abs(c - before).max() / np.sqrt(t / 2)
    where = max(far, key=far.get)
    assert far[where] > 1
    assert sorted(far.values())[-2] < 0.3
    assert jump.temperature == pytest.approx(where, rel=0.05)
    light = path.levels[jump.level - 1].priors.argmin()
    assert jump.cluster == light


def test_slow_parting_is_no_jump():
    for seed in range(5):
        rng = np.random.default_rng(seed)
        x, w = rng.normal(size=(6, 1)), rng.integers(1, 12, 6)
        assert not numbers(annealing_path(x, max_clusters=2, sample_weight=w, n_temperatures=30), "jump"), seed


# Seeding by annealing


@pytest.mark.parametrize("side", [2, 4])
def test_annealing_finds_all_blobs(side):
    rng = np.random.default_rng(0)
    places = 10.0 * np.array([[i, j] for i in range(side) for j in range(side)])
    labels = np.repeat(np.arange(side**2), 15)
    x = places[labels] + rng.normal(size=(len(labels), 2))
    model = SoftKMeans(side**2, init="annealing").fit(x)
    assert len(set(zip(labels.tolist(), model.labels_.tolist(), strict=True))) == side**2
    again = SoftKMeans(side**2, init="annealing", random_state=7, n_init=3).fit(x)
    np.testing.assert_array_equal(model.cluster_centers_, again.cluster_centers_)


# Local search

NINE, _ = make_blobs(200, centers=9, cluster_std=1.5, random_state=5)


def test_a_local_search_finds_what_a_fit_misses():
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(50), 12)
    x = 10.0 * np.array([[i, j] for i in range(10) for j in range(5)])[labels] + rng.normal(size=(600, 2))
    missed = 0
    for seed in range(3):
        plain, searched = (
            SoftKMeans(50, init="random", random_state=seed, local_search=s).fit(x) for s in (False, True)
        )
        missed += len(set(zip(labels.tolist(), plain.labels_.tolist(), strict=True))) != 50
        assert len(set(zip(labels.tolist(), searched.labels_.tolist(), strict=True))) == 50
    assert missed >= 2


SEARCHES = {
    "auto": {},
    "fixed": {"temperature": 1.0},
    "perplexity": {"temperature": "perplexity:1.3"},
    "calibrated": {"temperature": "calibrated"},
    "schedule": {"temperature": Schedule([20.0, 1.0])},
    "per cluster": {"temperature": "per-cluster"},
    "priors": {"priors": "learned"},
    "noise": {"temperature": 1.0, "noise_distance": 9.0},
    "euclidean": {"distance": "euclidean"},
    "cosine": {"distance": "cosine"},
    "distortion": {"temperature": 1.0, "objective": "distortion", "solver": "adam", "max_iter": 20},
    "given start": {"init": NINE[:9]},
    "restarts": {"n_init": 3},
    "samples": {"growing_sample": True},
}


class Listener(Callback):
    def __init__(self):
        self.steps = []

    def on_step(self, step):
        self.steps.append(step)


@pytest.mark.filterwarnings("ignore:the fit did not converge")
@pytest.mark.parametrize("case", SEARCHES)
def test_a_local_search_never_ends_higher(case):
    x = np.repeat(NINE, 16, axis=0) if case == "samples" else NINE
    gained = 0
    for seed in range(1 if case in ("distortion", "cosine", "samples") else 2):
        listener = Listener()
        common = {"n_clusters": 9, "random_state": seed, **SEARCHES[case]}
        plain = fit(x, **common)
        found = fit(x, local_search=True, callbacks=[listener], **common)
        if case in ("perplexity", "calibrated"):  # judged by the likelihood, at temperatures of their own
            likelihood = [r.free_energy / r.temperature + len(x) * np.log(r.temperature) for r in (plain, found)]
            assert likelihood[1] <= likelihood[0] + 1e-6 * len(x)
            gained += likelihood[1] < likelihood[0] - 1
        else:
            assert found.objective <= plain.objective + 1e-9 * abs(plain.objective)
            gained += found.objective < plain.objective - 1e-3 * abs(plain.objective)
        assert found.n_iter == len(found.history)
        assert [s.n_iter for s in found.history] == list(range(1, found.n_iter + 1))
        heard = [s._replace(centers=None) for s in listener.steps]
        assert [s for s in found.history if s in heard] == list(found.history)
        assert len(heard) > plain.n_iter
        if case != "given start":
            assert (np.diff(found.weight.numpy()) <= 1e-5 * len(x)).all()
    if case in ("auto", "fixed", "noise", "given start", "euclidean"):
        assert gained


class AfterFirst(Callback):
    """Does something a few passes into the search, which is the second descent."""

    def __init__(self, error=None):
        self.error, self.begun, self.passes = error, 0, 0

    def on_fit_begin(self, max_iter):
        self.begun += 1

    def on_step(self, step):
        self.passes += self.begun == 2
        if self.passes == 12 and self.error is not None:
            raise self.error
        return self.passes >= 12


ENDS = {
    "stopped": (None, None),
    "Ctrl-C": (KeyboardInterrupt(), FitInterrupted),
    "a callback fails": (ZeroDivisionError(), CallbackError),
}


@pytest.mark.parametrize("case", ENDS)
def test_cut_short_a_search_leaves_the_best_so_far(case):
    error, raised = ENDS[case]
    common = {"n_clusters": 9, "init": NINE[:9], "temperature": 1.0}
    plain, whole = fit(NINE, **common), fit(NINE, local_search=True, **common)
    callback = AfterFirst(error)
    if raised is None:
        found = fit(NINE, local_search=True, callbacks=[callback], **common)
    else:
        with pytest.raises(raised) as caught:
            fit(NINE, local_search=True, callbacks=[callback], **common)
        found = caught.value.result
    assert callback.begun == 2
    assert whole.objective - 1e-9 <= found.objective <= plain.objective
    assert found.objective == pytest.approx(ref.free_energy(NINE, found.centers.numpy(), 1.0), rel=1e-9)


REFUSED = {
    "frozen": ({"init": NINE[:9], "frozen": [True] + [False] * 8}, "moves any center"),
    "priors": ({"priors": [1 / 9] * 9}, "moves any center"),
    "temperatures": ({"temperature": [1.0] * 9}, "moves any center"),
    "fuzzy": ({"assignment": "fuzzy"}, "goes by the free energy"),
    "mean": ({"update": "mean", "distance": "euclidean", "temperature": 1.0}, "goes by the free energy"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_search_refuses_what_it_cannot_keep(case):
    options, message = REFUSED[case]
    with pytest.raises(InputError, match=f"local_search {message}") as caught:
        fit(NINE, 9, local_search=True, **options)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("noise", [None, 8.0])
@pytest.mark.parametrize(
    ("distance", "t"), [("sqeuclidean", 3.0), ("sqeuclidean", 1e-3), ("euclidean", 1.0), ("cosine", 0.05)]
)
def test_a_loss_is_what_the_objective_lacks_without_the_cluster(distance, t, noise):
    goal, view, at = objective(TILTED, t, distance, w=WEIGHTS, noise=noise)
    c = TILTED[[3, 50, 120, 200]]
    params = at(c)
    found = view.sum(lambda block: removal_costs(block, goal, params)).numpy()

    def whole(kept):
        logits = -ref.distances(TILTED, c[kept], distance) / t
        if noise is not None:
            logits = np.hstack([logits, np.full((300, 1), -noise / t)])
        return WEIGHTS @ logsumexp(logits, axis=1)

    expected = [whole(np.arange(4)) - whole(np.delete(np.arange(4), k)) for k in range(4)]
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_rows_too_near_each_other_to_part_end_a_path():
    x = np.random.default_rng(0).normal(size=(20, 2))
    path = annealing_path(x, np.geomspace(5, 1e-11, 40), max_clusters=30)
    assert path.n_clusters[-1] <= 20
    model = SoftKMeans(15, init="annealing").fit(x)  # which looks for twice as many first
    assert model.cluster_centers_.shape == (15, 2)


def test_wide_rows_have_the_critical_temperature_of_their_principal_axis():
    x = np.random.default_rng(0).normal(size=(30, 1500))
    largest = np.linalg.svd(x - x.mean(0), compute_uv=False)[0] ** 2 / 30
    assert annealing_path(x, n_temperatures=2, max_clusters=2).critical_temperature == pytest.approx(2 * largest)
