"""Adam ends where it says: "converged" is believed only where the gradient is small."""

import numpy as np
import pytest

from softkmeans import fit
from softkmeans.objectives import FreeEnergy
from softkmeans.solvers import Adam


def groups(far, rng):
    """Four clusters of standard deviation 1, in two groups."""
    centers = np.array([[0.0, 0.0], [6.0, 0.0], [far, 0.0], [far + 6, 0.0]])
    return np.concatenate([center + rng.normal(size=(100, 2)) for center in centers])


def scales(rng):
    """Three clusters whose standard deviations differ by a factor of 3000."""
    return np.concatenate(
        [offset + size * rng.normal(size=(80, 2)) for size, offset in ((0.01, 0), (1, 20), (30, 500))]
    )


DATA = {
    "groups": lambda rng: (groups(6000.0, rng), 4),
    "scales": lambda rng: (scales(rng), 3),
    "a cloud": lambda rng: (rng.normal(size=(200, 2)), 5),
}


@pytest.mark.slow
@pytest.mark.parametrize("temperature", [0.1, 0.8])
@pytest.mark.parametrize("name", DATA)
@pytest.mark.parametrize("seed", range(3))
def test_where_adam_converges_em_gains_nothing(name, temperature, seed):
    x, k = DATA[name](np.random.default_rng(seed))
    start = x[np.random.default_rng(seed).choice(len(x), k, replace=False)]
    found = fit(x, k, temperature=temperature, solver="adam", init=start, tol=1e-6, max_iter=2000)
    assert found.converged
    polished = fit(x, k, temperature=temperature, solver="em", init=found.centers, tol=1e-9, empty_clusters="keep")
    assert found.free_energy - polished.free_energy <= 1e-4 * found.distortion


def test_a_start_that_is_no_optimum_is_not_called_one(monkeypatch):
    """With steps that are far too large and no smaller ones allowed, the fit ends, and says that it failed."""
    monkeypatch.setattr(Adam, "retry", lambda self, objective, state, best: None)
    monkeypatch.setattr(FreeEnergy, "length_scales", lambda self, params, sums: 1e9 + 0 * self.pack(params))
    x = groups(60.0, np.random.default_rng(0))
    with pytest.warns(UserWarning, match="no longer improves, but its gradient is not small"):
        found = fit(x, 4, temperature=2.0, solver="adam", init=x[[0, 1, 2, 3]] + 0.1, max_iter=500)
    assert not found.converged


def test_the_solver_tries_smaller_steps_before_it_gives_up():
    x = groups(60.0, np.random.default_rng(0))
    start = x[[0, 100, 200, 300]]
    expected = fit(x, 4, temperature=2.0, init=start, tol=1e-9)
    found = fit(x, 4, temperature=2.0, solver=Adam(lr=1e4), init=start, tol=1e-6, max_iter=3000)
    assert found.converged
    assert found.free_energy == pytest.approx(expected.free_energy, rel=1e-4)
