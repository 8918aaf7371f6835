"""The function `fit`: invariances, convergence, interruption, warnings, errors."""

import pickle

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.datasets import load_digits, load_iris, load_wine, make_blobs
from sklearn.exceptions import ConvergenceWarning
from torch.utils._python_dispatch import TorchDispatchMode

from helpers import reference as ref
from helpers.fuzzing import examples
from softkmeans import Callback, FitInterrupted, InputError, MissingExtraError, SoftKMeans, SoftKMeansLayer, fit
from softkmeans.data import as_source
from softkmeans.distances import as_distance
from softkmeans.objectives import FreeEnergy
from softkmeans.temperature import Schedule

IGNORE_NOT_CONVERGED = "ignore::sklearn.exceptions.ConvergenceWarning"

pytestmark = pytest.mark.usefixtures("backend")

BLOBS, _ = make_blobs(240, n_features=3, centers=5, cluster_std=1.5, random_state=1)
WEIGHTS = np.random.default_rng(1).uniform(0.1, 3, len(BLOBS))


@pytest.mark.slow
@pytest.mark.filterwarnings(IGNORE_NOT_CONVERGED)
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("passes", [1, 10])
@pytest.mark.parametrize(("dtype", "rtol"), [(np.float64, 1e-9), (np.float32, 1e-4)])
@pytest.mark.parametrize(("offset", "scale"), [(0, 1), (1e6, 1), (0, 1e-20), (0, 1e15), (1e6, 1e-20), (1e6, 1e15)])
def test_em_agrees_with_a_reference_in_any_units(backend, offset, scale, dtype, rtol, passes, weighted):
    if backend == "compiled" and dtype == np.float32 and passes == 10:
        rtol = 2e-4  # memberships have seven digits only, and here each pass doubles an error
    x = ((BLOBS + offset) * scale).astype(dtype)
    w = WEIGHTS if weighted else None
    start = x[[3, 60, 110, 160, 220]]
    result = fit(x, 5, temperature=4.0 * scale**2, init=start, max_iter=passes, tol=0, sample_weight=w, solver="em")
    expected = ref.em(x.astype(float), start.astype(float), 4.0 * scale**2, passes, w)
    spread = np.abs(expected - expected.mean(0)).max()
    error = np.abs(result.centers.numpy() - expected).max()
    assert error <= rtol * (np.abs(expected).max() if dtype == np.float64 else spread)


@pytest.mark.slow
@pytest.mark.parametrize(("offset", "scale"), [(1e6, 1), (0, 1e-20), (0, 1e15), (-7, 1e4)])
@pytest.mark.parametrize("temperature", ["auto", 4.0])
def test_translation_and_scaling_change_only_the_units(offset, scale, temperature):
    plain = fit(BLOBS, 5, temperature=temperature, random_state=0)
    t = temperature if temperature == "auto" else temperature * scale**2
    moved = fit((BLOBS + offset) * scale, 5, temperature=t, random_state=0)
    assert moved.n_iter == plain.n_iter
    np.testing.assert_allclose(moved.centers / scale - offset, plain.centers, atol=1e-6)
    assert moved.temperature == pytest.approx(plain.temperature * scale**2, rel=1e-6)
    assert moved.free_energy == pytest.approx(plain.free_energy * scale**2, rel=1e-6)
    assert moved.distortion == pytest.approx(plain.distortion * scale**2, rel=1e-6)
    assert moved.entropy == pytest.approx(plain.entropy, rel=1e-5)


@pytest.mark.filterwarnings("ignore:.*centers coincide")
@pytest.mark.slow
@pytest.mark.parametrize("distance", ["sqeuclidean", "euclidean", "cosine"])
@pytest.mark.parametrize("init", ["k-means++", "random"])
@examples(5)
@given(seed=st.integers(0, 10**6))
def test_integer_weights_equal_repeated_rows_in_any_order(init, distance, seed):
    rng = np.random.default_rng(seed)
    x, w = rng.normal(size=(40, 2)).round(2) + 0.005, rng.integers(0, 4, 40)
    w[0] = 1
    common = {"init": init, "distance": distance, "random_state": seed, "max_iter": 2000}
    weighted = fit(x, 3, sample_weight=w, **common)
    repeated = fit(rng.permutation(np.repeat(x, w, axis=0)), 3, **common)
    np.testing.assert_allclose(weighted.centers, repeated.centers, rtol=1e-6, atol=1e-7)
    assert weighted.n_iter == repeated.n_iter
    # The Euclidean distance of a row on a center is the square root of a rounding error.
    rel = 1e-7 if distance == "euclidean" else 1e-9
    assert weighted.temperature == pytest.approx(repeated.temperature, rel=rel)
    assert weighted.objective == pytest.approx(repeated.objective, rel=rel, abs=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("load", [load_iris, load_wine, load_digits])
def test_float32_and_float64_agree_on_real_data(load):
    x = load().data
    double, single = fit(x, 3, random_state=0), fit(x.astype(np.float32), 3, random_state=0)
    assert single.n_iter == double.n_iter
    np.testing.assert_allclose(single.centers, double.centers, rtol=1e-5, atol=1e-5)


def test_result_is_consistent():
    result = fit(BLOBS, 5, temperature=4.0, sample_weight=WEIGHTS, random_state=0, tol=1e-10)
    c = result.centers.numpy()
    assert result.converged
    assert result.n_iter == len(result.history)
    assert [step.n_iter for step in result.history] == list(range(1, result.n_iter + 1))
    assert result.objective == result.free_energy == pytest.approx(ref.free_energy(BLOBS, c, 4.0, WEIGHTS), rel=1e-12)
    assert result.distortion == pytest.approx(ref.distortion(BLOBS, c, 4.0, WEIGHTS), rel=1e-12)
    assert result.entropy == pytest.approx(ref.entropy(BLOBS, c, 4.0, WEIGHTS), rel=1e-9)
    np.testing.assert_allclose(result.weight, (WEIGHTS[:, None] * ref.resp(BLOBS, c, 4.0)).sum(0), rtol=1e-10)
    assert result.history[-1].mean == pytest.approx(result.history[-1].objective / WEIGHTS.sum())


@pytest.mark.slow
def test_clusters_are_sorted_by_weight_for_any_seed_and_order_of_rows():
    results = [
        fit(np.random.default_rng(s).permutation(BLOBS), 5, n_init=5, random_state=s, tol=1e-10) for s in range(4)
    ]
    assert (np.diff(results[0].weight) <= 1e-3).all()
    for result in results[1:]:
        np.testing.assert_allclose(result.centers, results[0].centers, atol=1e-3)


def test_clusters_of_equal_weight_are_in_lexicographic_order():
    x = np.array([[0.0, 5.0], [0.0, 1.0], [-3.0, 9.0]] * 4)
    assert fit(x, 3, temperature=0.01, random_state=1).centers.tolist() == [[-3.0, 9.0], [0.0, 1.0], [0.0, 5.0]]


def test_given_centers_keep_their_order():
    start = np.array([[9.0], [0.0], [5.0]])
    x = np.array([[0.0], [0.1], [0.2], [5.0], [9.0], [9.1]])
    for init in (start, start.tolist(), torch.tensor(start), lambda rows, k, random_state: start):
        np.testing.assert_allclose(fit(x, 3, temperature=0.01, init=init).centers, [[9.05], [0.1], [5.0]], atol=1e-6)


@pytest.mark.slow
def test_restarts_keep_the_lowest_objective():
    runs = [fit(BLOBS, 7, init="random", n_init=n, random_state=3, temperature=1.0).objective for n in (1, 4, 12)]
    assert runs[0] >= runs[1] >= runs[2]
    assert runs[0] > runs[2]


@pytest.mark.parametrize(("temperature", "tol_scale"), [(4.0, "distortion"), ("auto", "dimensions")])
def test_tol_ends_the_fit_at_the_first_pass_that_improves_too_little(temperature, tol_scale):
    tol = 1e-5
    result = fit(BLOBS, 5, temperature=temperature, tol=tol, random_state=2, solver="em")
    values = [step.objective for step in result.history]
    scales = [step.distortion if tol_scale == "distortion" else BLOBS.size for step in result.history]
    is_improved = [
        before - after > tol * scale for before, after, scale in zip(values, values[1:], scales[1:], strict=False)
    ]
    assert is_improved == [True] * (len(is_improved) - 1) + [False]


def test_tol_zero_runs_until_nothing_changes():
    result = fit(BLOBS, 5, temperature=4.0, tol=0, random_state=2, max_iter=5000)
    after_step = ref.em_step(BLOBS, result.centers.numpy(), 4.0)
    np.testing.assert_allclose(after_step, result.centers, rtol=1e-6)
    assert result.converged


def test_max_iter_counts_steps_and_the_last_one_is_kept():
    start = BLOBS[[3, 60, 110, 160, 220]]
    with pytest.warns(ConvergenceWarning, match="did not converge in 2 passes: raise max_iter or tol"):
        result = fit(BLOBS, 5, temperature=4.0, init=start, tol=0, max_iter=2)
    assert (result.n_iter, result.converged) == (2, False)
    np.testing.assert_allclose(result.centers, ref.em(BLOBS, start, 4.0, 2), rtol=1e-10)
    assert result.free_energy == pytest.approx(ref.free_energy(BLOBS, result.centers.numpy(), 4.0))


def test_a_cluster_without_weight_that_is_kept_is_named():
    start = np.vstack([BLOBS[:2], [[1e4, 1e4, 1e4]]])
    message = r"clusters \[2\] have lost all their rows, and their centers no longer move"
    with pytest.warns(ConvergenceWarning, match=message):
        result = fit(BLOBS, 3, temperature=0.5, init=start, empty_clusters="keep")
    assert torch.isfinite(result.centers).all()
    np.testing.assert_allclose(result.centers[2], [1e4] * 3)
    assert result.weight[2] == 0


def test_one_cluster_is_the_mean():
    result = fit(BLOBS, 1, sample_weight=WEIGHTS)
    np.testing.assert_allclose(result.centers[0], np.average(BLOBS, axis=0, weights=WEIGHTS))
    assert result.temperature == pytest.approx(2 * np.average(np.var(BLOBS, axis=0)), rel=0.2)


@pytest.mark.filterwarnings("ignore:.*centers coincide")
@pytest.mark.parametrize("value", [0.0, 5.0, -1e8, 1e-30])
def test_constant_data(value):
    with pytest.warns(ConvergenceWarning, match="1 distinct rows"):
        result = fit(np.full((10, 3), value), 2, random_state=0)
    np.testing.assert_allclose(result.centers, value, rtol=1e-12)
    assert np.isfinite([result.temperature, result.free_energy, result.distortion]).all()
    assert result.temperature > 0


def test_as_many_clusters_as_rows():
    x = np.random.default_rng(0).normal(size=(12, 2))
    result = fit(x, 12, random_state=0)
    np.testing.assert_allclose(np.unique(result.centers.numpy(), axis=0), np.unique(x, axis=0), atol=1e-6)


def test_euclidean_centers_are_geometric_medians_even_on_a_row():
    x = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [-1.0, -1.0], [0.0, 0.0]])
    result = fit(x, 1, temperature=1.0, init=[[0.5, 0.5]], distance="euclidean", tol=0, max_iter=5000)
    np.testing.assert_allclose(result.centers[0], [0.0, 0.0], atol=1e-5)
    skewed = np.array([[0.0], [1.0], [2.0], [30.0], [31.0]])
    median = fit(skewed, 1, temperature=1.0, init=[[0.0]], distance="euclidean", tol=0, max_iter=5000)
    assert float(median.centers[0, 0]) == pytest.approx(2.0, abs=1e-4)


def test_cosine_centers_are_directions():
    x = np.array([[10.0, 0.1], [1.0, 0.02], [0.1, 10.0], [0.0, 2.0]])
    result = fit(x, 2, temperature=0.01, distance="cosine", random_state=0)
    np.testing.assert_allclose(np.linalg.norm(result.centers, axis=1), 1.0)
    np.testing.assert_allclose(sorted(result.centers[:, 0].tolist()), [0.005, 1.0], atol=1e-3)


class _InterruptAt(Callback):
    def __init__(self, n_iter):
        self.n_iter = n_iter

    def on_step(self, step):
        if step.n_iter == self.n_iter:
            raise KeyboardInterrupt


def test_an_interrupted_fit_keeps_the_best_so_far(monkeypatch):
    whole = fit(BLOBS, 5, temperature=4.0, tol=0, random_state=0, max_iter=3000)
    calls = []

    def accumulate(self, block, params, original=FreeEnergy.accumulate):
        calls.append(params)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return original(self, block, params)

    monkeypatch.setattr(FreeEnergy, "accumulate", accumulate)
    with pytest.raises(FitInterrupted) as caught:
        fit(BLOBS, 5, temperature=4.0, tol=0, random_state=0)
    result = caught.value.result
    assert (result.n_iter, result.converged) == (3, False)
    assert result.objective == whole.history[2].objective
    assert isinstance(caught.value, KeyboardInterrupt)


def test_an_interrupt_in_a_callback():
    with pytest.raises(FitInterrupted) as caught:
        fit(BLOBS, 5, temperature=4.0, random_state=0, callbacks=[_InterruptAt(2)])
    assert caught.value.result.n_iter == 2
    model = SoftKMeans(5, temperature=4.0, random_state=0, callbacks=[_InterruptAt(2)])
    with pytest.raises(KeyboardInterrupt):
        model.fit(BLOBS)
    assert model.predict(BLOBS).shape == (len(BLOBS),)


NAN = np.where(np.arange(BLOBS.size).reshape(BLOBS.shape) == 100, np.nan, BLOBS)

BAD = {
    "NaN": ({"x": NAN}, "1 of 720 entries, the first in row 33, column 1"),
    "infinity": ({"x": np.where(BLOBS > 8, np.inf, BLOBS)}, "contains NaN or infinity: "),
    "one dimension": ({"x": BLOBS[:, 0]}, r"shape \(240,\), expected \(n, d\)"),
    "no rows": ({"x": BLOBS[:0]}, "at least one row"),
    "text": ({"x": np.array([["a", "b"]])}, r"columns 0 \(string\) and 1 \(string\) are not numeric"),
    "complex": ({"x": BLOBS.astype(complex)}, "expected real numbers"),
    "too large": ({"x": BLOBS * 1e306}, "too large"),
    "no clusters": ({"n_clusters": 0}, "n_clusters=0: give a whole number of 1 or more"),
    "half a cluster": ({"n_clusters": 2.5}, "n_clusters=2.5"),
    "too many clusters": ({"n_clusters": 241}, "n_clusters=241 is more than the 240 rows"),
    "cold": ({"temperature": 0}, "temperature=0: give a finite number above 0"),
    "negative temperature": ({"temperature": -1.0}, "temperature=-1.0"),
    "infinite temperature": ({"temperature": np.inf}, "temperature=inf"),
    "temperature nan": ({"temperature": np.nan}, "temperature=nan"),
    "temperature unknown": ({"temperature": "warm"}, "one of auto"),
    "temperature out of range": ({"temperature": 1e-300}, "too far from the scale of the data"),
    "init of wrong shape": ({"init": np.zeros((5, 2))}, r"init has shape \(5, 2\), expected .* \(5, 3\)"),
    "init with nan": ({"init": np.full((5, 3), np.nan)}, "init contains NaN"),
    "init unknown": ({"init": "kmeans"}, "choose one of k-means\\+\\+, k-means\\|\\|, random"),
    "solver unknown": ({"solver": "sgd"}, "solver='sgd' is not known"),
    "distance unknown": ({"distance": "l1"}, "distance='l1' is not known"),
    "objective unknown": ({"objective": "loss"}, "objective='loss' is not known"),
    "objective that can't learn T": ({"objective": "free_energy"}, "needs a fixed temperature"),
    "n_init": ({"n_init": 0}, "n_init=0"),
    "max_iter": ({"max_iter": 0}, "max_iter=0"),
    "tol": ({"tol": -1.0}, "tol=-1.0"),
    "tol nan": ({"tol": np.nan}, "tol=nan"),
    "weights of wrong shape": ({"sample_weight": np.ones(3)}, r"shape \(3,\), expected \(240,\)"),
    "huge weights": ({"sample_weight": WEIGHTS * 1e290}, r"sample_weight has the sum [\de+.]+, expected 1e-290 to 1e"),
    "overflowing weights": ({"sample_weight": WEIGHTS * 0 + 1.7e308}, "sample_weight has the sum inf, expected"),
    "tiny weights": ({"sample_weight": WEIGHTS * 1e-305}, "sample_weight has the sum .*only on their ratios"),
    "negative weights": ({"sample_weight": -WEIGHTS}, "240 negative values"),
    "zero weights": ({"sample_weight": np.zeros(240)}, "zero for every row"),
    "weights with nan": ({"sample_weight": np.full(240, np.nan)}, "sample_weight contains NaN or infinity: 240 of 240"),
    "random_state text": ({"random_state": "x"}, "random_state='x': expected an integer from 0 to"),
    "random_state negative": ({"random_state": -1}, "random_state=-1: expected"),
    "cosine of zeros": ({"x": np.vstack([BLOBS, np.zeros((1, 3))]), "distance": "cosine"}, "all zeros"),
    "cosine of one feature": ({"x": BLOBS[:, :1], "distance": "cosine"}, "needs at least 2 features"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_named_in_one_line(case):
    arguments, message = BAD[case]
    with pytest.raises(InputError, match=message) as caught:
        fit(**{"x": BLOBS, "n_clusters": 5, **arguments})
    assert "\n" not in str(caught.value)


class _LargestTensor(TorchDispatchMode):
    """Records the number of elements of the largest tensor that any operation returns."""

    def __init__(self):
        super().__init__()
        self.numel = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        tensors = [t for t in (out if isinstance(out, (tuple, list)) else [out]) if isinstance(t, torch.Tensor)]
        self.numel = max([self.numel, *(t.numel() for t in tensors)])
        return out


@pytest.mark.slow
@pytest.mark.filterwarnings(IGNORE_NOT_CONVERGED)
@pytest.mark.parametrize("objective", ["nll", "distortion"])
def test_no_array_of_rows_by_clusters_is_allocated(objective):
    """Besides the data, a fit allocates only blocks, tiles, and arrays with one entry per row."""
    x = np.random.default_rng(0).normal(size=(250_000, 4)).astype(np.float32)
    fixed = {"temperature": 1.0, "solver": "adam", "objective": "distortion"} if objective == "distortion" else {}
    with _LargestTensor() as largest:
        fit(x, 30, max_iter=2, random_state=0, **fixed)
    assert len(x) <= largest.numel <= 5 * len(x)  # seeding compares five candidates at once


def test_only_the_memberships_are_as_large_as_rows_by_clusters():
    x = np.random.default_rng(0).normal(size=(100_000, 2))
    model = SoftKMeans.from_layer(SoftKMeansLayer(50, 2))
    with _LargestTensor() as largest:
        model.predict(x)
        assert largest.numel <= 2**20
        memberships = model.predict_proba(x)
    assert largest.numel == memberships.size
    assert memberships.dtype == np.float32


@pytest.mark.parametrize("separation", [1e3, 1e6, 3e7])
def test_distant_clusters_cost_no_digits(separation):
    x = np.random.default_rng(0).normal(size=(400, 2))
    x[200:] += separation
    result, model = fit(x, 2, random_state=0), SoftKMeans(2, random_state=0).fit(x)
    within = sum(((part - part.mean(0)) ** 2).sum() for part in (x[:200], x[200:]))
    assert result.temperature == pytest.approx(2 * within / x.size, rel=1e-6)
    assert result.distortion == pytest.approx(within, rel=1e-6)
    assert model.inertia_ == pytest.approx(within, rel=1e-6)
    assert result.free_energy <= model.inertia_ * (1 + 1e-9) <= result.distortion * (1 + 2e-9)


def test_an_outlier_does_not_merge_the_clusters():
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.normal(0, 0.3, (100, 1)), rng.normal(3, 0.3, (100, 1)), [[1e6]]])
    result = fit(x, 3, random_state=0)
    np.testing.assert_allclose(sorted(result.centers[:, 0].tolist()), [0, 3, 1e6], atol=0.2)
    assert result.temperature == pytest.approx(2 * 0.3**2, rel=0.3)


def test_a_constant_column_of_huge_numbers_changes_nothing():
    rng = np.random.default_rng(0)
    clusters = np.concatenate([rng.normal(0, 0.5, (50, 1)), rng.normal(5, 0.5, (50, 1))])
    extended = np.hstack([clusters, np.full((100, 1), 1.7e18)])
    plain, result = (fit(x, 2, temperature=0.5, random_state=0) for x in (clusters, extended))
    np.testing.assert_allclose(result.centers[:, 0], plain.centers[:, 0], rtol=1e-6)


@pytest.mark.filterwarnings(IGNORE_NOT_CONVERGED)
@pytest.mark.parametrize("distance", ["sqeuclidean", "cosine"])
def test_an_em_step_updates_centers_and_temperature_together(distance):
    start = BLOBS[[3, 60, 110, 160, 220]]
    first = fit(BLOBS, 5, init=start, max_iter=1, tol=0, distance=distance).history[0].temperature
    result = fit(BLOBS, 5, init=start, max_iter=1, tol=0, distance=distance)
    r = ref.resp(BLOBS, start, first, distance)
    mean = (r * ref.distances(BLOBS, result.centers.numpy(), distance)).sum() / len(BLOBS)
    assert result.temperature == pytest.approx(as_distance(distance).likeliest_temperature(mean, 3), rel=1e-9)


@pytest.mark.parametrize("call", [lambda x: fit(x, 3, max_iter=1), lambda x: SoftKMeans(3, max_iter=1).fit(x)])
def test_warnings_point_at_the_caller(call):
    with pytest.warns(ConvergenceWarning) as caught:
        call(BLOBS)
    assert caught[0].filename == __file__


@pytest.mark.parametrize("error", [InputError("no"), MissingExtraError("this", "that", "extra"), FitInterrupted(3)])
def test_errors_survive_a_process_pool(error):
    loaded = pickle.loads(pickle.dumps(error))  # noqa: S301 -- pickled in the same line
    assert (type(loaded), str(loaded)) == (type(error), str(error))
    assert vars(loaded) == vars(error)


def test_a_source_has_its_own_weights_and_device():
    for extra in ({"sample_weight": WEIGHTS}, {"device": "meta"}):
        with pytest.raises(InputError, match="is not supported with a Source"):
            fit(as_source(BLOBS), 3, **extra)
    weighted = fit(as_source(BLOBS, WEIGHTS), 3, random_state=0)
    assert weighted.objective == fit(BLOBS, 3, random_state=0, sample_weight=WEIGHTS).objective


@pytest.mark.parametrize("value", [0, -1.0, np.nan])
def test_an_invalid_initial_temperature_is_rejected(value):
    with pytest.raises(InputError, match="init_temperature="):
        fit(BLOBS, 3, init_temperature=value)


def test_threads_and_global_random_state_are_not_changed():
    threads, torch_state = torch.get_num_threads(), torch.get_rng_state()
    np.random.seed(7)  # noqa: NPY002 -- the test is about the global state
    state = np.random.get_state()[1].copy()  # noqa: NPY002
    x = BLOBS.copy()
    fit(x, 5, random_state=0)
    assert torch.get_num_threads() == threads
    assert torch.equal(torch.get_rng_state(), torch_state)
    assert (np.random.get_state()[1] == state).all()  # noqa: NPY002
    np.testing.assert_array_equal(x, BLOBS)


def test_an_interrupt_in_a_later_restart_keeps_the_earlier_ones(monkeypatch):
    class InterruptSecond(Callback):
        def on_fit_begin(self, max_iter):
            self.n_begun = getattr(self, "n_begun", 0) + 1
            if self.n_begun == 2:
                raise KeyboardInterrupt

    first = fit(BLOBS, 5, temperature=4.0, random_state=0)
    with pytest.raises(FitInterrupted) as caught:
        fit(BLOBS, 5, temperature=4.0, random_state=0, n_init=3, callbacks=[InterruptSecond()])
    assert caught.value.result.objective == first.objective


# -- growing samples

LARGE, _ = make_blobs(8000, n_features=3, centers=5, random_state=2)


class _StopAt(Callback):
    def __init__(self, n_iter):
        self.n_iter = n_iter

    def on_step(self, step):
        return step.n_iter >= self.n_iter


def test_growing_samples_are_fitted_first_and_all_rows_last():
    whole = fit(LARGE, 5, temperature=2.0, random_state=0, tol=1e-9)
    result = fit(LARGE, 5, temperature=2.0, random_state=0, tol=1e-9, growing_sample=True)
    sizes = [step.n_rows for step in result.history]
    assert sorted(set(sizes)) == [320, 1280, 8000]
    assert sizes == sorted(sizes)
    assert [step.n_iter for step in result.history] == list(range(1, len(sizes) + 1))
    assert result.n_iter == len(sizes)
    assert sizes.count(8000) < whole.n_iter
    np.testing.assert_allclose(result.centers, whole.centers, atol=1e-3)
    assert result.objective == pytest.approx(whole.objective, rel=1e-7)
    assert float(result.weight.sum()) == pytest.approx(len(LARGE))


def test_a_growing_sample_keeps_rows_and_their_weights_together():
    weights = np.where(LARGE[:, 0] > np.median(LARGE[:, 0]), 1.0, 1e-9)
    result = fit(LARGE, 2, temperature="auto", sample_weight=weights, random_state=0, growing_sample=True)
    plain = fit(LARGE[weights == 1], 2, temperature="auto", init=result.centers, tol=1e-8)
    np.testing.assert_allclose(result.centers, plain.centers, atol=1e-2)


def test_few_rows_are_not_sampled():
    plain, sampled = (fit(BLOBS, 5, temperature=4.0, random_state=0, growing_sample=g) for g in (False, True))
    assert plain.history == sampled.history
    assert torch.equal(plain.centers, sampled.centers)


def test_a_fit_stopped_during_samples_is_evaluated_on_all_rows(recwarn):
    result = fit(LARGE, 5, temperature=2.0, random_state=0, growing_sample=True, callbacks=[_StopAt(1)])
    assert [step.n_rows for step in result.history] == [320, 8000]
    assert not result.converged
    assert not [w for w in recwarn if issubclass(w.category, ConvergenceWarning)]
    assert float(result.weight.sum()) == pytest.approx(len(LARGE))


def test_a_fit_interrupted_during_samples_keeps_the_best_so_far():
    with pytest.raises(FitInterrupted) as caught:
        fit(LARGE, 5, temperature=2.0, random_state=0, growing_sample=True, callbacks=[_InterruptAt(2)])
    result = caught.value.result
    assert [step.n_rows for step in result.history] == [320, 320, 8000]
    assert float(result.weight.sum()) == pytest.approx(len(LARGE))


@pytest.mark.filterwarnings("ignore:.*centers coincide")
@pytest.mark.parametrize("make", [np.random.default_rng, np.random.RandomState])
def test_a_generator_is_a_random_state(make):
    schedule = Schedule.geometric(200, 10, 4)  # draws noise for each temperature
    one, other = (fit(BLOBS, 5, temperature=schedule, n_init=2, random_state=make(3)) for _ in range(2))
    assert torch.equal(one.centers, other.centers)
