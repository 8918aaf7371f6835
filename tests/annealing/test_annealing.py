"""Annealing paths, initialization by annealing, and the local search."""

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
    """Return an objective at T, the scaled rows, and a function that returns the parameters of given centers."""
    source = as_source(x, w)
    scaling = Scaling.of(source, as_distance(distance))
    spec = ModelSpec(noise=None if noise is None else noise / scaling.unit, learn_priors=True)
    goal = FreeEnergy(scaling, Fixed(t), spec)

    def params_of(c):
        n = len(c) + (noise is not None)
        scaled_t = torch.full((len(c),), t / scaling.unit, dtype=torch.float64)
        log_prior = torch.full((n,), -np.log(n), dtype=torch.float64)
        return Params(scaling.transform(torch.tensor(c)), scaled_t, log_prior)

    return goal, scaling.view(source), params_of


def memberships(x, c, t, distance="sqeuclidean", noise=None, log_prior=0.0):
    """Return the memberships (n, k), those in the noise cluster left out."""
    logits = log_prior - ref.distances(x, c, distance) / t
    if noise is not None:
        logits = np.hstack([logits, np.full((len(x), 1), -noise / t)])
    return np.exp(logits - logsumexp(logits, axis=1, keepdims=True))[:, : len(c)]


# Splits


@pytest.mark.parametrize("noise", [None, 12.0])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_growth_is_twice_the_largest_variance_over_the_temperature(dtype, weighted, noise):
    w, t, c = WEIGHTS if weighted else np.ones(300), 6.0, TILTED[[3, 50, 120]]
    goal, view, params_of = objective(TILTED.astype(dtype), t, w=w, noise=noise)
    directions = split_directions(goal, view, evaluate(goal, view, params_of(c)), max_passes=60)
    r = memberships(TILTED, c, t, noise=noise) * w[:, None]
    for k in range(3):
        values, vectors = np.linalg.eigh(np.cov(TILTED.T, bias=True, aweights=r[:, k]))
        assert float(directions.growth[k]) == pytest.approx(2 * values[-1] / t, rel=0.01)
        assert abs(directions.vector[k].numpy() @ vectors[:, -1]) > 0.99


@pytest.mark.parametrize(("distance", "t"), [("sqeuclidean", 6.0), ("euclidean", 1.0), ("cosine", 0.05)])
def test_growth_is_that_of_a_pair_in_an_em_step(distance, t):
    """Compare the growth with the spectral radius of the Jacobian of EM at the pair, by finite differences."""
    fitted = fit(
        TILTED, 3, temperature=t, distance=distance, priors="learned", random_state=0, tol=1e-12, max_iter=3000
    )
    c, p = fitted.centers.numpy(), fitted.priors.numpy()
    goal, view, params_of = objective(TILTED, t, distance)
    params = params_of(c)._replace(log_prior=torch.tensor(np.log(p)))
    directions = split_directions(goal, view, evaluate(goal, view, params), max_passes=100)
    unit = TILTED / np.linalg.norm(TILTED, axis=1, keepdims=True) if distance == "cosine" else TILTED

    def center_after_em(k, offset):
        pair = np.vstack([c, c[k] - offset])
        pair[k] += offset
        log_prior = np.log([*np.where(np.arange(3) == k, p / 2, p), p[k] / 2])
        r = memberships(TILTED, pair, t, distance, log_prior=log_prior)[:, k]
        r = r / ref.distances(TILTED, pair[k : k + 1], distance)[:, 0] if distance == "euclidean" else r
        mean = r @ unit / r.sum()
        return mean / np.linalg.norm(mean) if distance == "cosine" else mean

    for k in range(3):
        h = 1e-5 * np.linalg.norm(c[k])
        jacobian = np.array([(center_after_em(k, e) - center_after_em(k, -e)) / (2 * h) for e in h * np.eye(3)])
        if distance == "cosine":  # tangential to the sphere
            projection = np.eye(3) - np.outer(c[k], c[k]) / (c[k] @ c[k])
            jacobian = projection @ jacobian * np.linalg.norm(c[k])
        assert float(directions.growth[k]) == pytest.approx(np.abs(np.linalg.eigvals(jacobian)).max(), rel=0.02)


# Paths


def transitions(path, kind="split"):
    """Return the transitions of one kind."""
    return [t for t in path.transitions if t.kind == kind]


@pytest.mark.parametrize("weighted", [False, True])
def test_a_path_begins_at_the_critical_temperature(weighted):
    w = WEIGHTS if weighted else None
    path = annealing_path(TILTED, max_clusters=2, n_temperatures=8, sample_weight=w)
    critical = 2 * np.linalg.eigvalsh(np.cov(TILTED.T, bias=True, aweights=w))[-1]
    assert path.critical_temperature == pytest.approx(critical, rel=0.01)
    assert transitions(path)[0].temperature == pytest.approx(critical, rel=0.01)
    assert path.n_clusters[0] == 1
    assert path.weight == pytest.approx(300 if w is None else w.sum())


@pytest.mark.parametrize("a", [1e-3, 2.0, 1e4])
def test_two_points_split_as_in_theory(a):
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


@pytest.mark.slow
@pytest.mark.parametrize("name", DATA)
def test_levels_are_consistent(name):
    x, w = DATA[name]
    levels = []
    path = annealing_path(x, n_temperatures=12, max_clusters=6, sample_weight=w, on_level=levels.append)
    assert tuple(levels) == path.levels
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
    assert weights @ r @ (step**2).sum(1) < 1e-4 * last.distortion  # an EM step lowers F by at least this
    np.testing.assert_allclose(path.perplexity, [np.exp(v.entropy / weights.sum()) for v in path.levels])
    temperatures = [t.temperature for t in path.transitions]
    assert temperatures == sorted(temperatures, reverse=True)


def assert_equivalent(one, other, factor=1.0, shift=0.0, rotation=None, rtol=2e-3):
    """Check that two paths are equal up to a rotation, a scaling and a shift of the data."""
    np.testing.assert_array_equal(one.n_clusters, other.n_clusters)
    np.testing.assert_allclose(other.temperatures, one.temperatures * factor**2, rtol=rtol)
    for a, b in zip(one.levels, other.levels, strict=True):
        expected = (a.centers if rotation is None else a.centers @ rotation) * factor + shift
        gaps = ref.distances(expected, b.centers)
        np.testing.assert_array_equal(np.sort(gaps.argmin(1)), np.arange(len(gaps)))
        assert np.sqrt(gaps.min(1).max()) < rtol * np.abs(expected).max()
        np.testing.assert_allclose(b.priors[gaps.argmin(1)], a.priors, atol=2e-3)


TEMPERATURES = np.geomspace(120, 3, 8)


def test_integer_weights_equal_repeated_rows_in_any_order():
    w = np.random.default_rng(2).integers(1, 4, len(FIVE))
    rows = np.random.default_rng(3).permutation(np.repeat(FIVE, w, axis=0))
    one, other = annealing_path(FIVE, TEMPERATURES, sample_weight=w), annealing_path(rows, TEMPERATURES)
    assert_equivalent(one, other, rtol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize(("factor", "shift"), [(1e-6, 0.0), (1e5, 0.0), (1.0, 1e4)])
def test_scaling_and_shifting_change_only_the_units(factor, shift):
    moved = annealing_path(FIVE * factor + shift, TEMPERATURES * factor**2)
    assert_equivalent(annealing_path(FIVE, TEMPERATURES), moved, factor, shift)


def test_a_rotation_changes_only_the_coordinates():
    rotation = np.array([[np.cos(0.7), -np.sin(0.7)], [np.sin(0.7), np.cos(0.7)]])
    one, other = annealing_path(FIVE, TEMPERATURES), annealing_path(FIVE @ rotation, TEMPERATURES)
    cold = [path._replace(levels=path.levels[-4:]) for path in (one, other)]  # far from any split
    assert_equivalent(*cold, rotation=rotation, rtol=0.01)
    assert transitions(other)[0].temperature == pytest.approx(transitions(one)[0].temperature, rel=0.01)


def test_there_are_at_most_as_many_clusters_as_distinct_rows():
    path = annealing_path([[0.0], [0.0], [1.0], [5.0]], max_clusters=10)
    assert path.n_clusters.max() == 3
    np.testing.assert_allclose(np.sort(path.levels[-1].centers[:, 0]), [0, 1, 5], atol=1e-6)


@pytest.mark.parametrize("distance", DISTANCES)
def test_a_path_ends_at_the_blobs_for_any_distance(distance):
    x = FIVE + 40 if distance != "cosine" else np.array([[np.cos(a), np.sin(a)] for a in LABELS + FIVE[:, 0] % 0.05])
    path = annealing_path(x, max_clusters=5, distance=distance, n_temperatures=20)
    assert path.n_clusters[-1] == 5
    nearest = ref.distances(x, path.levels[-1].centers, distance).argmin(1)
    assert {len(set(nearest[k == LABELS])) for k in range(5)} == {1}


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2))
def test_five_well_separated_blobs_have_the_longest_lifetime(seed):
    means = np.array([[np.cos(a), np.sin(a)] for a in np.arange(5) * 0.4 * np.pi]) * [10, 8]
    x, _ = make_blobs(200, centers=means, cluster_std=0.4, random_state=seed)
    lifetimes = annealing_path(x, max_clusters=7, n_temperatures=30).lifetimes()
    assert max(lifetimes, key=lifetimes.get) == 5
    assert 1 not in lifetimes


@pytest.mark.slow
@pytest.mark.parametrize("seed", [6, 15, 24])  # several clusters split, or pairs merge again, between two temperatures
def test_lifetimes_do_not_depend_on_the_maximum(seed):
    rng = np.random.default_rng(seed)
    n_features = int(rng.integers(1, 4))
    x = rng.normal(rng.normal(0, 4, (5, n_features))[rng.integers(5, size=80)], 1)
    whole = annealing_path(x, max_clusters=7, n_temperatures=25)
    assert len(whole.changes()) >= 4
    for most in (3, 4, 5):
        lifetimes = annealing_path(x, max_clusters=most, n_temperatures=25).lifetimes()
        for k in range(2, most):
            assert lifetimes.get(k, 0.0) == pytest.approx(whole.lifetimes().get(k, 0.0), rel=1e-9)


ALL_ROWS_EQUAL = "all rows are the same: an annealing path needs at least two distinct rows"
BAD = {
    "the same rows": (np.ones((5, 2)), {}, ALL_ROWS_EQUAL),
    "one row": ([[1.0, 2.0]], {}, ALL_ROWS_EQUAL),
    "weight on one row": ([[1.0], [2.0]], {"sample_weight": [0, 1]}, ALL_ROWS_EQUAL),
    "rising": (FIVE, {"temperatures": [1, 2]}, "give decreasing temperatures"),
    "nan": (FIVE, {"temperatures": [np.nan]}, "temperatures contain nan: give finite numbers above 0"),
    "none": (FIVE, {"temperatures": []}, "expected a sequence of temperatures"),
    "a word": (FIVE, {"temperatures": "auto"}, "expected a sequence of temperatures"),
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


@pytest.mark.slow
def test_an_optimum_that_disappears_is_a_jump():
    """As T falls, the light cluster, a distant row, suddenly takes another row from the heavy cluster."""
    x, w = np.array([[0.673], [1.792], [2.618], [3.079]]), np.array([0.5, 1, 5, 10])
    path = annealing_path(x, max_clusters=2, sample_weight=w, n_temperatures=60)
    (jump,) = transitions(path, "jump")
    start = path.levels[jump.level - 3]
    c, log_prior, moves = start.centers, np.log(start.priors), {}
    for t in np.geomspace(start.temperature, path.levels[jump.level + 1].temperature, 60):
        before = c
        for _ in range(20_000):  # EM with learned priors, until it converges
            r = memberships(x, c, t, log_prior=log_prior) * w[:, None]
            last, c, log_prior = c, r.T @ x / r.sum(0)[:, None], np.log(r.sum(0) / r.sum())
            if np.abs(c - last).max() < 1e-9:
                break
        moves[t] = np.abs(c - before).max() / np.sqrt(t / 2)
    jump_t = max(moves, key=moves.get)
    assert moves[jump_t] > 1
    assert sorted(moves.values())[-2] < 0.3
    assert jump.temperature == pytest.approx(jump_t, rel=0.05)
    light = path.levels[jump.level - 1].priors.argmin()
    assert jump.cluster == light


@pytest.mark.slow
def test_a_slow_separation_is_not_a_jump():
    for seed in range(5):
        rng = np.random.default_rng(seed)
        x, w = rng.normal(size=(6, 1)), rng.integers(1, 12, 6)
        assert not transitions(annealing_path(x, max_clusters=2, sample_weight=w, n_temperatures=30), "jump"), seed


# Initialization by annealing


@pytest.mark.slow
@pytest.mark.parametrize("side", [2, 4])
def test_annealing_finds_all_blobs(side):
    rng = np.random.default_rng(0)
    means = 10.0 * np.array([[i, j] for i in range(side) for j in range(side)])
    labels = np.repeat(np.arange(side**2), 15)
    x = means[labels] + rng.normal(size=(len(labels), 2))
    model = SoftKMeans(side**2, init="annealing").fit(x)
    assert len(set(zip(labels.tolist(), model.labels_.tolist(), strict=True))) == side**2
    again = SoftKMeans(side**2, init="annealing", random_state=7, n_init=3).fit(x)
    np.testing.assert_array_equal(model.cluster_centers_, again.cluster_centers_)


# Local search

NINE, _ = make_blobs(200, centers=9, cluster_std=1.5, random_state=5)


@pytest.mark.filterwarnings("ignore:.*centers coincide")
def test_a_local_search_finds_clusters_that_a_fit_misses():
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(50), 12)
    x = 10.0 * np.array([[i, j] for i in range(10) for j in range(5)])[labels] + rng.normal(size=(600, 2))
    n_missed = 0
    for seed in range(3):
        plain, searched = (
            SoftKMeans(50, init="random", random_state=seed, local_search=s).fit(x) for s in (False, True)
        )
        n_missed += len(set(zip(labels.tolist(), plain.labels_.tolist(), strict=True))) != 50
        assert len(set(zip(labels.tolist(), searched.labels_.tolist(), strict=True))) == 50
    assert n_missed >= 2


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


class StepList(Callback):
    def __init__(self):
        self.steps = []

    def on_step(self, step):
        self.steps.append(step)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:the fit did not converge")
@pytest.mark.parametrize("case", SEARCHES)
def test_a_local_search_never_ends_higher(case):
    x = np.repeat(NINE, 16, axis=0) if case == "samples" else NINE
    n_improved = 0
    for seed in range(1 if case in ("distortion", "cosine", "samples") else 2):
        step_list = StepList()
        common = {"n_clusters": 9, "random_state": seed, **SEARCHES[case]}
        plain = fit(x, **common)
        searched = fit(x, local_search=True, callbacks=[step_list], **common)
        if case in ("perplexity", "calibrated"):  # compared by the likelihood, as their temperatures differ
            likelihood = [r.free_energy / r.temperature + len(x) * np.log(r.temperature) for r in (plain, searched)]
            assert likelihood[1] <= likelihood[0] + 1e-6 * len(x)
            n_improved += likelihood[1] < likelihood[0] - 1
        else:
            assert searched.objective <= plain.objective + 1e-9 * abs(plain.objective)
            n_improved += searched.objective < plain.objective - 1e-3 * abs(plain.objective)
        assert searched.n_iter == len(searched.history)
        assert [s.n_iter for s in searched.history] == list(range(1, searched.n_iter + 1))
        steps = [s._replace(centers=None) for s in step_list.steps]
        assert [s for s in searched.history if s in steps] == list(searched.history)
        assert len(steps) > plain.n_iter
        if case != "given start":
            assert (np.diff(searched.weight.numpy()) <= 1e-5 * len(x)).all()
    if case in ("auto", "fixed", "noise", "given start", "euclidean"):
        assert n_improved


class StopDuringSearch(Callback):
    """Stops the fit, or raises an exception, a few passes into the local search."""

    def __init__(self, error=None):
        self.error, self.n_begun, self.n_passes = error, 0, 0

    def on_fit_begin(self, max_iter):
        self.n_begun += 1

    def on_step(self, step):
        self.n_passes += self.n_begun == 2  # the search begins after the first restart
        if self.n_passes == 12 and self.error is not None:
            raise self.error
        return self.n_passes >= 12


ENDS = {
    "stopped": (None, None),
    "Ctrl-C": (KeyboardInterrupt(), FitInterrupted),
    "a callback fails": (ZeroDivisionError(), CallbackError),
}


@pytest.mark.parametrize("case", ENDS)
def test_a_stopped_search_returns_the_best_so_far(case):
    error, raised = ENDS[case]
    common = {"n_clusters": 9, "init": NINE[:9], "temperature": 1.0}
    plain, complete = fit(NINE, **common), fit(NINE, local_search=True, **common)
    callback = StopDuringSearch(error)
    if raised is None:
        result = fit(NINE, local_search=True, callbacks=[callback], **common)
    else:
        with pytest.raises(raised) as caught:
            fit(NINE, local_search=True, callbacks=[callback], **common)
        result = caught.value.result
    assert callback.n_begun == 2
    assert complete.objective - 1e-9 <= result.objective <= plain.objective
    assert result.objective == pytest.approx(ref.free_energy(NINE, result.centers.numpy(), 1.0), rel=1e-9)


CLUSTER_SETTINGS = "does not support frozen centers, or priors or temperatures given for each cluster"
NO_FREE_ENERGY = "does not support fuzzy memberships or update='mean', which have no free energy"
UNSUPPORTED = {
    "frozen": ({"init": NINE[:9], "frozen": [True] + [False] * 8}, CLUSTER_SETTINGS),
    "priors": ({"priors": [1 / 9] * 9}, CLUSTER_SETTINGS),
    "temperatures": ({"temperature": [1.0] * 9}, CLUSTER_SETTINGS),
    "fuzzy": ({"assignment": "fuzzy"}, NO_FREE_ENERGY),
    "mean": ({"update": "mean", "distance": "euclidean", "temperature": 1.0}, NO_FREE_ENERGY),
}


@pytest.mark.parametrize("case", UNSUPPORTED)
def test_a_search_rejects_unsupported_settings(case):
    options, message = UNSUPPORTED[case]
    with pytest.raises(InputError, match=f"local_search {message}") as caught:
        fit(NINE, 9, local_search=True, **options)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("noise", [None, 8.0])
@pytest.mark.parametrize(
    ("distance", "t"), [("sqeuclidean", 3.0), ("sqeuclidean", 1e-3), ("euclidean", 1.0), ("cosine", 0.05)]
)
def test_a_removal_cost_is_the_change_of_the_objective(distance, t, noise):
    goal, view, params_of = objective(TILTED, t, distance, w=WEIGHTS, noise=noise)
    c = TILTED[[3, 50, 120, 200]]
    params = params_of(c)
    costs = view.sum(lambda block: removal_costs(block, goal, params)).numpy()

    def log_likelihood(kept):
        logits = -ref.distances(TILTED, c[kept], distance) / t
        if noise is not None:
            logits = np.hstack([logits, np.full((300, 1), -noise / t)])
        return WEIGHTS @ logsumexp(logits, axis=1)

    expected = [log_likelihood(np.arange(4)) - log_likelihood(np.delete(np.arange(4), k)) for k in range(4)]
    np.testing.assert_allclose(costs, expected, rtol=1e-6)


@pytest.mark.slow
def test_a_path_works_if_rows_are_too_close_to_separate():
    x = np.random.default_rng(0).normal(size=(20, 2))
    path = annealing_path(x, np.geomspace(5, 1e-11, 40), max_clusters=30)
    assert path.n_clusters[-1] <= 20
    model = SoftKMeans(15, init="annealing").fit(x)  # annealing tries twice as many first
    assert model.cluster_centers_.shape == (15, 2)


def test_the_critical_temperature_of_wide_rows_comes_from_their_principal_axis():
    x = np.random.default_rng(0).normal(size=(30, 1500))
    largest = np.linalg.svd(x - x.mean(0), compute_uv=False)[0] ** 2 / 30
    assert annealing_path(x, n_temperatures=2, max_clusters=2).critical_temperature == pytest.approx(2 * largest)
