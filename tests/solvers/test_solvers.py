"""Every solver reaches the same optimum, for all objectives, distances and dtypes."""

import functools

import numpy as np
import pytest
import torch
from sklearn.datasets import load_iris, make_blobs

from softkmeans import Callback, fit
from softkmeans.data import as_source
from softkmeans.data.scaling import Scaling
from softkmeans.distances import DISTANCES
from softkmeans.errors import InputError
from softkmeans.model.params import ModelSpec, Params
from softkmeans.objectives.setup import select_objective
from softkmeans.solvers import SOLVERS, Adam, BatchPasses, as_solver, lbfgs
from softkmeans.temperature import MaximumLikelihood

X, _ = make_blobs(300, n_features=3, centers=4, cluster_std=2.0, random_state=3)
FIXED = {"sqeuclidean": 8.0, "euclidean": 1.0, "cosine": 0.05}


@functools.cache
def optimum(**settings):
    return fit(X, 4, solver="em", tol=1e-13, max_iter=5000, random_state=0, **settings)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:the fit did not converge")
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("learned", [False, True])
@pytest.mark.parametrize("distance", DISTANCES)
@pytest.mark.parametrize("solver", SOLVERS)
def test_every_solver_reaches_the_same_optimum(solver, distance, learned, dtype):
    settings = {"temperature": "auto" if learned else FIXED[distance], "distance": distance}
    best = optimum(**settings)
    by_batches = isinstance(as_solver(solver).passes, BatchPasses)  # here, of nine rows: it converges slowly
    passes, tolerance = (20, 5e-5) if by_batches else (5000, 1e-6)
    x = torch.tensor(X, dtype=dtype)
    result = fit(x, 4, solver=solver, max_iter=passes, random_state=0, tol=1e-10, **settings)
    gap = abs(result.objective - best.objective) / best.distortion
    assert gap < tolerance
    np.testing.assert_allclose(result.centers.numpy(), best.centers.numpy(), atol=2e-2)
    assert result.temperature == pytest.approx(best.temperature, rel=2e-3)


def test_adam_minimizes_the_distortion():
    start = X[[0, 50, 100, 150]]
    result = fit(X, 4, temperature=8.0, objective="distortion", solver="adam", init=start, tol=1e-9, max_iter=3000)
    c = torch.tensor(start, requires_grad=True)
    x = torch.tensor(X)
    optimizer = torch.optim.LBFGS([c], max_iter=500, tolerance_grad=1e-10, line_search_fn="strong_wolfe")

    def loss():
        optimizer.zero_grad()
        d = torch.cdist(x, c).square()
        value = (torch.softmax(-d / 8.0, 1) * d).sum()
        value.backward()
        return value

    optimizer.step(loss)
    assert result.objective == pytest.approx(float(loss().detach()), rel=1e-6)
    assert result.objective == pytest.approx(result.distortion, rel=1e-12)
    em = fit(X, 4, temperature=8.0, init=start, tol=0, max_iter=2000)
    assert result.distortion < em.distortion  # EM minimizes F instead


@pytest.mark.parametrize("solver", ["em", "lbfgs", "online"])
def test_only_adam_minimizes_the_distortion(solver):
    message = f"solver='{solver}' does not support objective='distortion'.*: choose solver='adam'"
    with pytest.raises(InputError, match=message):
        fit(X, 4, temperature=8.0, objective="distortion", solver=solver)


@pytest.mark.parametrize("seed", range(6))
def test_lbfgs_ends_at_most_rounding_above_em_on_iris(seed):
    x = load_iris().data
    start = x[np.random.default_rng(seed).choice(len(x), 3, replace=False)]
    em = fit(x, 3, temperature=0.3, init=start, tol=1e-12, max_iter=5000)
    lbfgs = fit(x, 3, temperature=0.3, init=start, tol=1e-12, max_iter=5000, solver="lbfgs")
    assert lbfgs.objective <= em.objective + 1e-6 * em.distortion
    assert lbfgs.n_iter <= em.n_iter


def test_lbfgs_survives_a_start_where_em_barely_moves():
    x = np.random.default_rng(0).normal(size=(200, 2))
    result = fit(x, 3, temperature=1.0, init=x.mean(0) + 1e-6 * np.eye(3, 2), solver="lbfgs", tol=0, max_iter=300)
    assert np.isfinite(result.objective)
    assert (np.diff(np.minimum.accumulate([s.objective for s in result.history])) <= 0).all()


OVERLAPPING, _ = make_blobs(1500, n_features=2, centers=8, cluster_std=4.0, random_state=0)


def _fit_to_target(x, k, solver, target=-np.inf, **settings):
    """Return the result of a fit that stops when the objective reaches a target."""

    class Reached(Callback):
        def on_step(self, step):
            return step.objective <= target

    return fit(x, k, solver=solver, tol=0, max_iter=5000, callbacks=[Reached()], **settings)


@pytest.mark.slow
@pytest.mark.parametrize("temperature", [16.0, "auto"])
@pytest.mark.parametrize("seed", range(3))
def test_auto_needs_at_most_half_of_the_passes_of_em_if_clusters_overlap(seed, temperature):
    start = OVERLAPPING[np.random.default_rng(seed).choice(len(OVERLAPPING), 8, replace=False)]
    settings = {"temperature": temperature, "init": start}
    end = fit(OVERLAPPING, 8, solver="em", tol=1e-13, max_iter=20_000, **settings)
    slack = 1e-6 * end.distortion / (end.temperature if temperature == "auto" else 1)
    em, auto = (_fit_to_target(OVERLAPPING, 8, solver, end.objective + slack, **settings) for solver in ("em", "auto"))
    assert em.n_iter > 50
    assert auto.n_iter <= em.n_iter / 2


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_auto_equals_em_until_em_is_slow():
    settings = {"temperature": 16.0, "init": OVERLAPPING[:8], "tol": 0, "max_iter": 200}
    em, auto = (fit(OVERLAPPING, 8, solver=solver, **settings) for solver in ("em", "auto"))
    values = [[step.objective for step in result.history] for result in (em, auto)]
    same = [a == b for a, b in zip(*values, strict=False)]
    assert all(same[:3])
    assert not all(same)


def test_auto_equals_em_if_each_row_belongs_to_one_cluster():
    settings = {"temperature": 1e-3, "random_state": 0, "tol": 0}
    em, auto = (fit(X, 4, solver=solver, **settings) for solver in ("em", "auto"))
    assert torch.equal(em.centers, auto.centers)
    assert em.history == auto.history


@pytest.mark.slow
@pytest.mark.parametrize("solver", ["auto", "lbfgs"])
def test_accelerated_fits_never_report_an_increase(solver):
    for seed in range(5):
        result = fit(OVERLAPPING, 8, temperature=10.0, solver=solver, random_state=seed, tol=0, max_iter=300)
        values = np.array([step.objective for step in result.history])
        assert (np.diff(values) <= 1e-12 * result.distortion).all()


def test_auto_uses_adam_for_the_distortion():
    auto, adam = (
        fit(X, 4, temperature=8.0, objective="distortion", solver=solver, random_state=0, tol=1e-3)
        for solver in ("auto", "adam")
    )
    assert torch.equal(auto.centers, adam.centers)


def test_lbfgs_stores_fewer_steps_if_they_are_large(monkeypatch):
    settings = {"temperature": 16.0, "init": OVERLAPPING[:8], "tol": 1e-12, "max_iter": 5000, "solver": "lbfgs"}
    plain = fit(OVERLAPPING, 8, **settings)
    monkeypatch.setattr(lbfgs, "MAX_STORED_NUMBERS", 40)  # a step has 16
    short = fit(OVERLAPPING, 8, **settings)
    assert short.objective == pytest.approx(plain.objective, rel=1e-9)
    assert short.n_iter != plain.n_iter


def test_solver_objects_and_names():
    assert as_solver(Adam(lr=0.5)).lr == 0.5
    with pytest.raises(InputError, match="choose one of auto, em, lbfgs, adam, online"):
        as_solver("newton")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("distance", DISTANCES)
def test_quasi_newton_temperatures_stay_within_those_of_em(distance):
    """Noise far from all rows makes a T without bound the likeliest one; EM then lowered T again, which was worse."""
    rule, x = MaximumLikelihood(), np.random.default_rng(0).integers(-3, 4, (58, 6)) + 0.5
    settings = {"temperature": rule, "distance": distance, "noise_distance": 11.5, "priors": "learned", "tol": 0.0}
    result = fit(x, 1, solver="lbfgs", max_iter=60, random_state=0, **settings)
    values = np.array([step.objective for step in result.history])
    assert (np.diff(values) <= 1e-9 * np.abs(values[:-1])).all()
    objective = select_objective(None, Scaling.of(as_source(x), DISTANCES[distance]), rule, ModelSpec())
    params = Params(torch.ones(1, 6).double(), torch.ones(1).double(), torch.zeros(1).double())
    after = objective.unpack(torch.tensor([1.0] * 6 + [900.0]).double(), params)
    assert float(after.temperature[0]) <= DISTANCES[distance].likeliest_temperature(1e300, 6)
