"""Solvers x objectives x distances x dtypes: one optimum."""

import numpy as np
import pytest
import torch
from sklearn.datasets import load_iris, make_blobs

from softkmeans.distances import DISTANCES
from softkmeans.errors import InputError
from softkmeans.fit import fit
from softkmeans.solvers import SOLVERS, Adam, as_solver

X, _ = make_blobs(300, n_features=3, centers=4, cluster_std=2.0, random_state=3)
FIXED = {"sqeuclidean": 8.0, "euclidean": 1.0, "cosine": 0.05}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("learned", [False, True])
@pytest.mark.parametrize("distance", DISTANCES)
@pytest.mark.parametrize("solver", SOLVERS)
def test_every_solver_reaches_the_same_optimum(solver, distance, learned, dtype):
    settings = {
        "temperature": "auto" if learned else FIXED[distance],
        "distance": distance,
        "random_state": 0,
        "tol": 1e-10,
    }
    best = fit(X, 4, solver="em", max_iter=5000, **settings | {"tol": 1e-13})
    found = fit(torch.tensor(X, dtype=dtype), 4, solver=solver, max_iter=5000, **settings)
    gap = abs(found.objective - best.objective) / best.distortion
    assert gap < 1e-6
    np.testing.assert_allclose(found.centers.numpy(), best.centers.numpy(), atol=2e-2)
    assert found.temperature == pytest.approx(best.temperature, rel=2e-3)


def test_adam_on_the_distortion_finds_its_own_optimum():
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
    assert result.distortion < em.distortion  # what EM minimises is F


@pytest.mark.parametrize("solver", ["em", "lbfgs"])
def test_only_adam_minimises_the_distortion(solver):
    with pytest.raises(InputError, match="choose solver='adam'"):
        fit(X, 4, temperature=8.0, objective="distortion", solver=solver)


@pytest.mark.parametrize("seed", range(6))
def test_lbfgs_never_ends_above_em_by_more_than_rounding_on_iris(seed):
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


def test_solver_objects_and_names():
    assert as_solver(Adam(lr=0.5)).lr == 0.5
    with pytest.raises(InputError, match="choose one of auto, em, lbfgs, adam"):
        as_solver("newton")
