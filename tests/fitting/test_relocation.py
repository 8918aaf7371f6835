"""Empty clusters and equal initial centers: where they move, when a move is kept, and what keeps them."""

import itertools
import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning

from softkmeans import FuzzyCMeans, InputError, SoftKMeans, fit
from softkmeans.callbacks import Callback
from softkmeans.data import as_source, scan, write_table
from softkmeans.data.top_rows import top_rows
from softkmeans.solvers import SOLVERS, Adam, Lbfgs

RNG = np.random.default_rng(0)
BLOBS = np.concatenate([RNG.normal(at, 1.0, (60, 2)) for at in ([0, 0], [8, 0], [0, 8])])
MEANS = np.array([BLOBS[:60].mean(0), BLOBS[60:120].mean(0), BLOBS[120:].mean(0)])
LINE = np.array([[0.0], [1.0], [10.0], [11.0], [30.0]])
NOWHERE = 1e4  # so far away that all memberships are 0


def quiet(call, *args, **kwargs):
    """Call a function without its warnings about the fit."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return call(*args, **kwargs)


def sorted_centers(result):
    return np.sort(result.centers.numpy(), axis=0)


# Values computed by hand, at a temperature so low that memberships are hard. The row farthest from the other centers:
# start, weights -> centers.
BY_HAND = {
    "one": ([[0.0], [NOWHERE]], None, [[5.5], [30.0]]),
    "weights": ([[0.0], [NOWHERE]], [1, 1, 1, 9, 0.1], [[1 / 2], [(10 + 99 + 3) / 10.1]]),
    "no weight": ([[0.0], [NOWHERE]], [1, 1, 1, 1, 0], [[0.5], [10.5]]),
    "two": ([[0.0], [NOWHERE], [2 * NOWHERE]], None, [[0.5], [10.5], [30.0]]),
    "equal": ([[0.0], [0.0]], None, [[5.5], [30.0]]),
    "three equal": ([[0.0], [0.0], [0.0]], None, [[0.5], [10.5], [30.0]]),
}


@pytest.mark.parametrize("name", BY_HAND)
def test_moves_computed_by_hand(name):
    init, weights, centers = BY_HAND[name]
    result = fit(LINE, len(init), init=init, sample_weight=weights, temperature=1e-3)
    np.testing.assert_allclose(sorted_centers(result), centers, atol=1e-6)


STARTS = {
    "a cluster without rows": [[0.0, 0.0], [NOWHERE, NOWHERE], [8.0, 0.0]],
    "equal rows": [[0.0, 0.0], [0.0, 0.0], [8.0, 0.0]],
}
KINDS = {
    "T given": {"temperature": 1.0},
    "T learned": {},
    "T learned, one each": {"temperature": "per-cluster"},
    "T given, one each": {"temperature": [1.0, 2.0, 1.0]},
    "T from an equation": {"temperature": "perplexity:1.01"},
    "priors learned": {"priors": "learned"},
    "priors given": {"priors": [0.5, 0.2, 0.3]},
    "noise": {"temperature": 1.0, "noise_distance": 100.0},
    "euclidean": {"distance": "euclidean"},
    "mean": {"distance": "euclidean", "update": "mean", "temperature": 0.1},
    "em": {"solver": "em"},
    "lbfgs": {"solver": "lbfgs"},
    "adam": {"solver": "adam", "temperature": 1.0},
    "distortion": {"solver": "adam", "temperature": 1.0, "objective": "distortion"},
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("start", STARTS)
def test_the_blobs_are_found_from_a_poor_start(start, kind):
    result = fit(BLOBS, 3, init=STARTS[start], **KINDS[kind])
    assert result.converged
    np.testing.assert_allclose(sorted_centers(result), np.sort(MEANS, axis=0), atol=0.3)


@pytest.mark.parametrize("start", STARTS)
def test_kept_clusters_stay_and_are_warned_of(start):
    message = "have lost all their rows" if start == "a cluster without rows" else "2 or more of 3 centers coincide"
    with pytest.warns(ConvergenceWarning, match=message):
        model = SoftKMeans(3, temperature=1.0, init=STARTS[start], empty_clusters="keep").fit(BLOBS)
    if start == "equal rows":
        np.testing.assert_array_equal(model.cluster_centers_[0], model.cluster_centers_[1])
    else:
        np.testing.assert_array_equal(model.cluster_centers_[1], STARTS[start][1])


@pytest.mark.parametrize("start", STARTS)
def test_frozen_centers_do_not_move(start):
    frozen = [False, True, False] if start == "a cluster without rows" else [True, True, False]
    with pytest.warns(ConvergenceWarning, match="lost all their rows|coincide"):
        model = SoftKMeans(3, temperature=1.0, init=STARTS[start], frozen=frozen).fit(BLOBS)
    np.testing.assert_array_equal(model.cluster_centers_[frozen], np.array(STARTS[start])[frozen])


def test_of_equal_centers_the_frozen_one_stays():
    model = SoftKMeans(3, temperature=1.0, init=STARTS["equal rows"], frozen=[False, True, False]).fit(BLOBS)
    np.testing.assert_array_equal(model.cluster_centers_[1], [0.0, 0.0])
    np.testing.assert_allclose(model.cluster_centers_[[2, 0]], MEANS[1:], atol=0.3)


def test_noise_attracts_no_center():
    rows = np.vstack([LINE, [[1000.0]]])
    given = {"temperature": 1e-3, "noise_distance": 1000.0, "init": [[0.0], [NOWHERE]]}
    result = fit(rows, 2, **given)
    np.testing.assert_allclose(sorted_centers(result), [[5.5], [30.0]], atol=1e-6)
    assert result.noise_weight == pytest.approx(1.0)


def test_a_move_that_raises_the_objective_is_undone():
    # With a learned prior, a cluster that begins with 1/n costs every row more than one row gains.
    rows = np.repeat([[0.0], [0.1]], 50, axis=0)
    given = {"temperature": 1.0, "priors": "learned", "init": [[0.05], [NOWHERE]], "tol": 0.0}
    with pytest.warns(ConvergenceWarning, match="have lost all their rows"):
        result = fit(rows, 2, **given)
    assert result.centers[1] == NOWHERE


@pytest.mark.parametrize("fitted", ["online", "partial_fit", "fuzzy"])
def test_where_clusters_are_always_kept(fitted):
    init = [[0.0], [0.0]]
    model = FuzzyCMeans(2, init=init) if fitted == "fuzzy" else SoftKMeans(2, temperature=1.0, init=init)
    if fitted == "online":
        model.set_params(solver="online")
    quiet(model.partial_fit if fitted == "partial_fit" else model.fit, LINE)
    assert model.cluster_centers_[0] == model.cluster_centers_[1]


def test_centers_that_are_separated_above_the_critical_temperature_coincide_again():
    with pytest.warns(ConvergenceWarning, match="is above the critical temperature"):
        model = SoftKMeans(3, temperature=100.0, init=STARTS["equal rows"]).fit(BLOBS)
    assert np.ptp(model.cluster_centers_, axis=0).max() < 0.5


def test_fewer_distinct_rows_than_clusters():
    with pytest.warns(ConvergenceWarning, match="coincide, because they are equal"):
        result = fit([[0.0], [0.0], [5.0]], 3, temperature=0.1, init=[[0.0], [0.0], [5.0]])
    np.testing.assert_allclose(sorted_centers(result), [[0.0], [0.0], [5.0]], atol=1e-9)


class Recorder(Callback):
    """Record the steps, and stop at one of them."""

    def __init__(self, stop_at=0):
        self.steps, self.stop_at = [], stop_at

    def on_step(self, step):
        self.steps.append(step)
        return len(self.steps) == self.stop_at


def test_passes_are_recorded_and_counted_together():
    recorder, init = Recorder(), STARTS["a cluster without rows"]
    result = fit(BLOBS, 3, temperature=1.0, init=init, callbacks=[recorder])
    kept = quiet(fit, BLOBS, 3, temperature=1.0, init=init, empty_clusters="keep")
    assert kept.n_iter < result.n_iter == len(recorder.steps)
    losses = [step.objective for step in recorder.steps]
    assert all(after <= before + 1e-9 for before, after in itertools.pairwise(losses))
    for max_iter in range(1, result.n_iter + 1):
        assert quiet(fit, BLOBS, 3, temperature=1.0, init=init, max_iter=max_iter).n_iter <= max_iter
    for stop_at in range(1, result.n_iter + 1):
        assert fit_stopped_at(stop_at, init).n_iter == stop_at


def fit_stopped_at(stop_at, init):
    return quiet(fit, BLOBS, 3, temperature=1.0, init=init, callbacks=[Recorder(stop_at)])


@pytest.mark.parametrize("solver", [Lbfgs(slow=0.0), Adam(), "em"])
def test_solvers_start_again_without_memory(solver):
    method = SOLVERS.resolve(solver)
    started = []

    class Watched(type(method)):
        def init(self, objective, params):
            started.append(params)
            return super().init(objective, params)

    fit(BLOBS, 3, temperature=1.0, init=STARTS["a cluster without rows"], solver=Watched())
    assert len(started) == 2


@st.composite
def poor_starts(draw):
    """Draw rows in a few blobs, and initial centers some of which are equal or far away."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    k, d = draw(st.integers(2, 5)), draw(st.integers(1, 3))
    rows = rng.normal(rng.normal(0, 5, (4, d))[rng.integers(4, size=40)], 0.5)
    init = rows[rng.integers(40, size=k)].copy()
    init[rng.random(k) < 0.4] += NOWHERE * rng.integers(1, 3)
    return rows, init, rng.integers(0, 3, 40) + np.eye(40)[0]


@settings(max_examples=30, deadline=None)
@given(poor_starts(), st.booleans())
def test_moved_clusters_never_raise_the_objective(start, learned):
    rows, init, weights = start
    distinct = np.unique(init, axis=0)
    given = {"init": init, "sample_weight": weights, "tol": 1e-6}
    given |= {} if learned else {"temperature": 0.01}
    kept = quiet(fit, rows, len(init), empty_clusters="keep", **given)
    moved = quiet(fit, rows, len(init), **given)
    if len(distinct) == len(init):  # otherwise the two fits begin with different centers
        assert moved.objective <= kept.objective + 1e-9 * abs(kept.objective)
    elif not learned:
        hard = KMeans(len(distinct), init=distinct, n_init=1, tol=0).fit(rows, sample_weight=weights)
        assert np.isfinite(moved.objective), hard.inertia_


@settings(max_examples=30, deadline=None)
@given(poor_starts())
def test_moved_clusters_never_raise_the_inertia_at_low_temperature(start):
    rows, init, _ = start
    init = np.unique(init, axis=0)
    given = {"init": init, "temperature": 1e-4, "tol": 1e-9}
    inertia = [
        quiet(SoftKMeans(len(init), empty_clusters=mode, **given).fit, rows).inertia_ for mode in ("relocate", "keep")
    ]
    assert inertia[0] <= inertia[1] * (1 + 1e-6)


def test_the_inertia_is_that_of_scikit_learn_where_it_moves_the_cluster_to_the_same_row():
    init = np.array(STARTS["a cluster without rows"])
    ours = SoftKMeans(3, temperature=1e-3, init=init).fit(BLOBS).inertia_
    assert ours == pytest.approx(KMeans(3, init=init, n_init=1).fit(BLOBS).inertia_, rel=1e-3)


TIES = np.array([[0.0], [5.0], [-5.0], [5.0], [3.0], [-5.0], [4.0]])


@pytest.mark.parametrize("rows_per_block", [1, 2, 3, 7])
def test_far_rows_do_not_depend_on_blocks(rows_per_block, tmp_path):
    write_table(tmp_path / "rows.csv", {"x": TIES[:, 0]})
    source = scan(tmp_path / "rows.csv", rows_per_block=rows_per_block)
    rows = top_rows(source, 3, lambda block: block.x[:, 0].abs())
    assert rows[:, 0].tolist() == [5.0, -5.0, 4.0]
    result = fit(source, 3, init=[[0.0], [0.0], [0.0]], temperature=1e-3)
    whole = fit(TIES, 3, init=[[0.0], [0.0], [0.0]], temperature=1e-3)
    np.testing.assert_allclose(result.centers, whole.centers, atol=1e-9)


def test_many_equal_rows_count_once():
    rows = np.repeat([[9.0], [7.0], [1.0], [0.0]], 500_000, axis=0)
    top = top_rows(as_source(rows), 5, lambda block: block.x[:, 0])
    assert top[:, 0].tolist() == [9.0, 7.0, 1.0]


@pytest.mark.parametrize("name", ["drop", "", None, 1])
def test_other_values_are_refused(name):
    with pytest.raises(InputError, match=r"empty_clusters=.* is not known: choose one of relocate, keep"):
        fit(LINE, 2, empty_clusters=name)


def test_tensors_of_single_precision():
    model = SoftKMeans(3, temperature=1.0, init=STARTS["equal rows"]).fit(torch.tensor(BLOBS, dtype=torch.float32))
    np.testing.assert_allclose(model.cluster_centers_[[0, 2, 1]], MEANS, atol=0.3)
