"""Mathematical properties of soft k-means, checked on Stats and objectives."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.optimize import approx_fprime
from sklearn.cluster import KMeans
from sklearn.mixture import GaussianMixture

from helpers import reference as ref
from helpers.fuzzing import examples
from softkmeans import fit
from softkmeans.data.convert import as_source
from softkmeans.data.scaling import Scaling
from softkmeans.distances import DISTANCES
from softkmeans.model.params import Params
from softkmeans.objectives import Distortion, FreeEnergy, NegativeLogLikelihood
from softkmeans.temperature import Fixed, MaximumLikelihood

# Many fits here reach max_iter on purpose.
pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.usefixtures("backend"),
]

KINDS = {"free_energy": FreeEnergy, "nll": NegativeLogLikelihood, "distortion": Distortion}


def problem(seed=0, n=40, d=3, k=4):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, d)) * 2 + 1, rng.normal(size=(k, d)), rng.uniform(0, 2, n)


def plain(distance="sqeuclidean", d=3):
    """Return a scaling that changes nothing, so that values can be compared directly."""
    return Scaling(DISTANCES[distance], torch.zeros(d, dtype=torch.float64), 1.0)


def uniform(centers, t):
    """Return parameters with one temperature and equal priors."""
    k = len(centers)
    return Params(centers, centers.new_full((k,), t), centers.new_full((k,), -np.log(k)))


def sums(kind, x, c, t, w, distance="sqeuclidean"):
    rule = MaximumLikelihood() if kind == "nll" else Fixed(t)
    objective = KINDS[kind](plain(distance, x.shape[1]), rule)
    params = uniform(DISTANCES[distance].embed(torch.tensor(c)), t)
    view = plain(distance, x.shape[1]).view(as_source(x, w))
    return objective, params, view.sum(lambda block: objective.accumulate(block, params))


@pytest.mark.parametrize("distance", DISTANCES)
@pytest.mark.parametrize("t", [1e-3, 0.3, 2.0, 1e3])
def test_free_energy_distortion_and_entropy_agree_with_their_definitions(distance, t):
    x, c, w = problem()
    objective, params, found = sums("free_energy", x, c, t, w, distance)
    f, e = objective.value(params, found), float(found.stats.distortion.sum())
    assert f == pytest.approx(ref.free_energy(x, c, t, w, distance), rel=1e-12)
    assert e == pytest.approx(ref.distortion(x, c, t, w, distance), rel=1e-12)
    assert e == pytest.approx(f + t * ref.entropy(x, c, t, w, distance), rel=1e-12)


@examples(60)
@given(
    x=arrays(np.float64, (12, 2), elements=st.floats(-50, 50)),
    c=arrays(np.float64, (3, 2), elements=st.floats(-50, 50)),
    t=st.floats(1e-3, 1e3),
)
def test_free_energy_lies_within_its_bounds(x, c, t):
    objective, params, found = sums("free_energy", x, c, t, None)
    f, e, hard = objective.value(params, found), float(found.stats.distortion.sum()), ref.inertia(x, c)
    slack = 1e-9 * (1 + abs(f) + e)
    assert f <= hard + slack
    assert hard <= e + slack
    assert f >= hard - t * np.log(3) * 12 - slack


@pytest.mark.slow
@examples(20)
@given(seed=st.integers(0, 10**6), t=st.floats(0.01, 50), distance=st.sampled_from(sorted(DISTANCES)))
def test_no_solver_raises_the_free_energy(seed, t, distance):
    x, c, w = problem(seed)
    common = {"temperature": t, "init": c, "tol": 0, "max_iter": 30, "sample_weight": w, "distance": distance}
    for solver in ("em", "auto", "lbfgs"):
        values = np.array([step.objective for step in fit(x, 4, solver=solver, **common).history])
        assert (np.diff(values) <= 1e-10 * (1 + np.abs(values[:-1]))).all()


@pytest.mark.slow
@pytest.mark.parametrize("solver", ["em", "auto", "lbfgs"])
@pytest.mark.parametrize("distance", DISTANCES)
def test_no_solver_raises_the_nll_with_a_learned_temperature(distance, solver):
    x, c, w = problem(5)
    common = {"init": c, "tol": 0, "max_iter": 60, "sample_weight": w, "distance": distance}
    values = np.array([s.objective for s in fit(x, 4, solver=solver, **common).history])
    assert (np.diff(values) <= 1e-9 * np.abs(values[:-1])).all()


def test_em_may_raise_the_distortion_so_it_is_stopped_on_f():
    x, c, _ = problem(1)
    distortions = [step.distortion for step in fit(x, 4, temperature=3.0, init=c, tol=0, max_iter=40).history]
    assert max(np.diff(distortions)) > 0


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("distance", ["sqeuclidean", "euclidean"])
def test_gradient_against_finite_differences(kind, distance):
    x, c, w = problem(2)
    objective, params, found = sums(kind, x, c, 1.7, w, distance)

    def value(vector):
        at = objective.unpack(torch.tensor(vector), params)
        total = plain(distance).view(as_source(x, w)).sum(lambda block: objective.accumulate(block, at))
        return objective.value(at, total)

    numeric = approx_fprime(objective.pack(params).numpy(), value, 1e-6)
    np.testing.assert_allclose(objective.gradient(params, found).numpy(), numeric, rtol=2e-4, atol=2e-4)


@pytest.mark.parametrize("kind", ["free_energy", "distortion"])
def test_gradient_on_the_sphere_is_the_tangent_part(kind):
    x, c, w = problem(3)
    objective, params, found = sums(kind, x, c, 0.4, w, "cosine")
    gradient = objective.gradient(params, found).view_as(params.centers)
    assert float((gradient * params.centers).sum(1).abs().max()) < 1e-12
    value = {"free_energy": ref.free_energy, "distortion": ref.distortion}[kind]
    flat = params.centers.numpy().ravel()
    numeric = approx_fprime(flat, lambda v: value(x, v.reshape(4, 3), 0.4, w, "cosine"), 1e-7)
    np.testing.assert_allclose(gradient.numpy().ravel(), numeric, rtol=1e-4, atol=1e-4)


def test_gradient_of_the_free_energy_in_closed_form():
    x, c, w = problem(4)
    objective, params, found = sums("free_energy", x, c, 2.5, w)
    r = ref.resp(x, c, 2.5) * w[:, None]
    closed = 2 * (r.sum(0)[:, None] * c - r.T @ x)
    np.testing.assert_allclose(objective.gradient(params, found).numpy(), closed.ravel(), rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(objective.update(params, found).centers.numpy(), ref.em_step(x, c, 2.5, w), rtol=1e-12)


def test_gradient_of_the_distortion_repels_far_rows():
    x, c, w = problem(4)
    objective, params, found = sums("distortion", x, c, 2.5, w)
    d, r = ref.distances(x, c), ref.resp(x, c, 2.5)
    factor = w[:, None] * r * (1 - (d - (r * d).sum(1, keepdims=True)) / 2.5)
    assert (factor < 0).any()
    closed = 2 * (factor.sum(0)[:, None] * c - factor.T @ x)
    np.testing.assert_allclose(objective.gradient(params, found).numpy(), closed.ravel(), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("t", [0.5, 4.0])
def test_one_em_step_matches_an_equal_spherical_mixture(t):
    x, c, _ = problem(6)
    k = len(c)
    mixture = GaussianMixture(
        k, covariance_type="spherical", means_init=c, weights_init=np.full(k, 1 / k), precisions_init=np.full(k, 2 / t),
        max_iter=1,
    )  # fmt: skip
    mixture.fit(x)
    result = fit(x, k, temperature=t, init=c, max_iter=1, tol=0)
    np.testing.assert_allclose(result.centers.numpy(), mixture.means_, rtol=1e-13, atol=1e-14)


def test_nll_matches_the_gaussian_mixture():
    x, c, _ = problem(7)
    objective, params, found = sums("nll", x, c, 3.0, None)
    mixture = GaussianMixture(4, covariance_type="spherical")
    mixture.weights_, mixture.means_ = np.full(4, 0.25), c
    mixture.covariances_, mixture.precisions_cholesky_ = np.full(4, 1.5), np.full(4, 1.5**-0.5)
    assert objective.value(params, found) == pytest.approx(-mixture.score_samples(x).sum(), rel=1e-12)


def test_learned_temperature_is_twice_the_distortion_over_the_dimensions():
    x, _, w = problem(8, n=200)
    result = fit(x, 3, sample_weight=w, tol=0, max_iter=3000, random_state=0)
    assert result.temperature == pytest.approx(2 * result.distortion / (w.sum() * 3), rel=1e-9)


def test_learned_temperature_has_a_floor():
    result = fit([[0.0, 0.0], [3.0, 0.0], [0.0, 4.0]], 3, random_state=0)
    assert 0 < result.temperature < 1e-6
    assert np.isfinite([result.objective, result.free_energy, result.entropy]).all()


@pytest.mark.parametrize("seed", range(5))
def test_cold_soft_kmeans_is_hard_kmeans_from_the_same_start(seed):
    rng = np.random.default_rng(seed)
    x = np.concatenate([rng.normal(m, 1.0, (60, 2)) for m in rng.uniform(-8, 8, (5, 2))])
    start = x[rng.choice(len(x), 5, replace=False)]
    hard = KMeans(5, init=start, n_init=1, tol=0, max_iter=1000).fit(x)
    soft = fit(x, 5, temperature=1e-7, init=start, tol=0, max_iter=1000)
    np.testing.assert_allclose(soft.centers.numpy(), hard.cluster_centers_, rtol=1e-9)
    assert soft.free_energy == pytest.approx(hard.inertia_, rel=1e-6)


@pytest.mark.parametrize(("factor", "n_distinct"), [(1.05, 1), (0.95, 2)])
def test_one_center_becomes_unstable_at_the_critical_temperature(factor, n_distinct):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(400, 2)) * [2.0, 0.5]
    critical = 2 * np.linalg.eigvalsh(np.cov(x.T, bias=True)).max()
    start = x.mean(0) + 1e-3 * rng.normal(size=(2, 2))
    result = fit(x, 2, temperature=factor * critical, init=start, tol=0, max_iter=3000)
    gap = float(torch.linalg.vector_norm(result.centers[0] - result.centers[1]))
    assert (gap > 0.1) == (n_distinct == 2)
    assert gap > 0.1 or gap < 1e-3
