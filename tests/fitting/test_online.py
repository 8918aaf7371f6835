"""Online EM: the solver that steps after every batch, and `partial_fit`."""

import pickle

import numpy as np
import pytest
from scipy.special import logsumexp, softmax
from sklearn.datasets import make_blobs

from helpers.members import IRIS, MEMBERS, START, W, member
from helpers.streams import Stream
from softkmeans import Callback, FuzzyCMeans, InputError, SoftKMeans, SoftKMeansLayer, fit, load, save
from softkmeans.data import as_source
from softkmeans.solvers import Online
from softkmeans.temperature import Schedule

# Many runs stop before convergence on purpose.
pytestmark = pytest.mark.filterwarnings("ignore:the fit did not converge")

BLOBS = {std: make_blobs(3000, n_features=4, centers=6, cluster_std=std, random_state=1) for std in (1.0, 3.0)}
CENTERS = np.array([[0.0, 0.0], [6.0, 0.0], [0.0, 6.0]])


def draw(n, seed, centers=CENTERS):
    """Return rows of equal blobs around the centers."""
    rng = np.random.default_rng(seed)
    return centers[rng.integers(0, len(centers), n)] + rng.normal(size=(n, centers.shape[1]))


def fit_batches(batches, model=None, **settings):
    """Return a model after `partial_fit` of each of the batches."""
    model = model or SoftKMeans(3, random_state=0, **settings)
    for batch in batches:
        model.partial_fit(batch)
    return model


def distance_to(model, centers):
    """Return the largest distance of a true center from the nearest center of a model."""
    return np.abs(model.cluster_centers_[:, None] - centers[None]).sum(2).min(0).max()


# Convergence


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("temperature", [None, "auto"])
@pytest.mark.parametrize("std", BLOBS)
def test_online_em_converges_to_the_optimum_of_all_rows(std, temperature, seed):
    x, y = BLOBS[std]
    means = np.stack([x[y == label].mean(0) for label in range(6)])
    start = means + std * np.random.default_rng(seed).normal(size=means.shape)
    settings = {"temperature": temperature or 2 * std**2, "init": start}
    em = fit(x, 6, solver="em", tol=1e-13, max_iter=5000, **settings)
    runs = [fit(x, 6, solver="online", tol=0, max_iter=passes, **settings) for passes in (1, 5, 25)]
    scale = x.size if temperature else em.distortion
    gaps = [(run.objective - em.objective) / scale for run in runs]
    assert gaps[0] < 2e-2
    assert gaps[1] < 1e-3
    assert gaps[2] < 2e-5
    assert gaps[0] > gaps[1] > gaps[2] > -1e-7  # EM itself stops slightly above the optimum


@pytest.mark.slow
@pytest.mark.parametrize("distance", ["sqeuclidean", "euclidean", "cosine"])
def test_the_learned_temperature_is_that_of_em(distance):
    x = draw(2000, 0) + 10
    settings = {"distance": distance, "init": CENTERS + 10.5}
    em, online = (fit(x, 3, solver=name, tol=tol, **settings) for name, tol in (("em", 1e-12), ("online", 1e-4)))
    assert online.temperature == pytest.approx(em.temperature, rel=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("order", ["sorted", "cyclic"])
def test_the_order_of_rows_in_memory_makes_little_difference(order):
    x, _ = make_blobs([500] * 8, n_features=3, cluster_std=1.0, random_state=4, shuffle=False)
    x = x if order == "sorted" else x.reshape(8, 500, 3).swapaxes(0, 1).reshape(-1, 3)
    em, online = (fit(x, 8, solver=solver, random_state=0) for solver in ("em", "online"))
    assert online.objective < em.objective + 1e-4 * x.size


def test_the_result_is_evaluated_exactly():
    x = draw(500, 0)
    result = fit(x, 3, temperature=2.0, solver="online", max_iter=2, random_state=0)
    d = ((x[:, None] - result.centers.numpy()) ** 2).sum(2)
    assert result.objective == pytest.approx(-2.0 * logsumexp(-d / 2.0, axis=1).sum(), rel=1e-12)
    np.testing.assert_allclose(result.weight, softmax(-d / 2.0, axis=1).sum(0), rtol=1e-10)
    assert len(result.history) == result.n_iter == 2


def test_the_result_is_exact_if_a_callback_stops_the_fit():
    class StopAtTwo(Callback):
        def on_step(self, step):
            return step.n_iter == 2

    settings = {"temperature": 2.0, "solver": "online", "random_state": 0}
    stopped = fit(draw(500, 0), 3, callbacks=[StopAtTwo()], **settings)
    assert stopped.objective == fit(draw(500, 0), 3, max_iter=2, **settings).objective


@pytest.mark.slow
@pytest.mark.parametrize(
    "settings",
    [{"n_init": 3}, {"growing_sample": True}, {"local_search": True}, {"temperature": Schedule([20.0, 5.0, 2.0])}],
    ids=str,
)
def test_online_em_works_with_other_options_of_fit(settings):
    x = draw(3000, 0)
    result = fit(x, 3, solver="online", random_state=0, **{"temperature": 2.0} | settings)
    best = fit(x, 3, random_state=0, temperature=2.0, tol=1e-9)
    assert result.objective < best.objective + 1e-4 * best.distortion


@pytest.mark.slow
def test_many_clusters_in_small_batches_delay_the_first_step():
    x, _ = make_blobs(1000, n_features=8, centers=40, random_state=3)  # 31 rows per batch
    settings = {"priors": "learned", "random_state": 0}
    em, online = (SoftKMeans(40, solver=solver, **settings).fit(x) for solver in ("em", "online"))
    assert online.score(x) > em.score(x) - 0.01 * 8


# Steps


@pytest.mark.parametrize("temperature", [3.0, "auto"])
def test_one_batch_of_all_rows_is_an_em_step(temperature):
    x, w = draw(200, 0), np.random.default_rng(1).uniform(0.2, 2, 200)
    model = SoftKMeans(3, temperature=temperature, priors="learned", init=CENTERS + 0.5)
    model.partial_fit(x, sample_weight=w)
    d = ((x[:, None] - (CENTERS + 0.5)) ** 2).sum(2)
    t = temperature if temperature == 3.0 else w @ d.min(1) / w.sum()  # T = 2 E / (Σw d), with d = 2
    weighted_resp = w[:, None] * softmax(-d / t, axis=1)
    centers = weighted_resp.T @ x / weighted_resp.sum(0)[:, None]
    np.testing.assert_allclose(model.cluster_centers_, centers, rtol=1e-7)
    np.testing.assert_allclose(model.priors_, weighted_resp.sum(0) / w.sum(), rtol=1e-7)
    spread = (weighted_resp * ((x[:, None] - centers) ** 2).sum(2)).sum() / w.sum()
    assert model.temperature_ == pytest.approx(spread if temperature == "auto" else 3.0, rel=1e-7)


@pytest.mark.parametrize("kappa", [0.6, 1.0])
def test_a_second_batch_is_blended_in(kappa):
    first, second = draw(200, 0), draw(100, 1)
    model = SoftKMeans(3, temperature=2.0, init=CENTERS, solver=Online(kappa=kappa))
    resp = [softmax(-((first[:, None] - CENTERS) ** 2).sum(2) / 2.0, axis=1)]
    c = model.partial_fit(first).cluster_centers_
    resp.append(softmax(-((second[:, None] - c) ** 2).sum(2) / 2.0, axis=1))
    kept = 1 / 1.5 if kappa == 1 else np.exp(-(1.5**0.4 - 1) / 0.4)
    factors = kept / 200, (1 - kept) / 100
    weight = sum(factor * r.sum(0) for factor, r in zip(factors, resp, strict=True))
    sums = sum(factor * r.T @ x for factor, r, x in zip(factors, resp, (first, second), strict=True))
    np.testing.assert_allclose(model.partial_fit(second).cluster_centers_, sums / weight[:, None], rtol=1e-7)


def test_a_weight_of_two_equals_a_repeated_row():
    weighted, repeated = (SoftKMeans(3, random_state=0) for _ in range(2))
    for seed in range(4):
        x = draw(100, seed)
        weighted.partial_fit(x, sample_weight=np.full(100, 2.0))
        repeated.partial_fit(np.repeat(x, 2, axis=0))
        np.testing.assert_allclose(weighted.cluster_centers_, repeated.cluster_centers_, rtol=1e-9)
        assert weighted.temperature_ == pytest.approx(repeated.temperature_, rel=1e-9)


def test_the_scale_of_the_weights_does_not_matter():
    one, other = (SoftKMeans(3, random_state=0) for _ in range(2))
    for seed in range(4):
        w = np.random.default_rng(seed).uniform(0, 2, 100)
        one.partial_fit(draw(100, seed), sample_weight=w)
        other.partial_fit(draw(100, seed), sample_weight=1e6 * w)
    np.testing.assert_allclose(one.cluster_centers_, other.cluster_centers_, rtol=1e-9)


def test_rows_without_weight_change_nothing():
    plain, padded = (SoftKMeans(3, random_state=0) for _ in range(2))
    for seed in range(3):
        x = draw(100, seed)
        plain.partial_fit(x)
        padded.partial_fit(np.vstack([x, 40 + x[:7]]), sample_weight=np.repeat([1.0, 0.0], [100, 7]))
    np.testing.assert_allclose(plain.cluster_centers_, padded.cluster_centers_, rtol=1e-9)


def test_a_block_without_weight_is_skipped():
    x, w = draw(300, 0), np.repeat([1.0, 0.0, 1.0], 100)
    blocks = SoftKMeans(3, temperature=2.0, init=CENTERS).partial_fit(Stream(x, [100, 200], w))
    without = fit_batches([x[:100], x[200:]], temperature=2.0, init=CENTERS)
    np.testing.assert_allclose(blocks.cluster_centers_, without.cluster_centers_, rtol=1e-9)


def test_splitting_a_batch_changes_little():
    first, second = draw(1000, 0), draw(1000, 1)
    whole = fit_batches([first, second], temperature=2.0, init=CENTERS)
    split = fit_batches([first, *np.split(second, 10)], temperature=2.0, init=CENTERS)
    moved = np.abs(whole.cluster_centers_ - fit_batches([first], temperature=2.0, init=CENTERS).cluster_centers_).max()
    assert np.abs(whole.cluster_centers_ - split.cluster_centers_).max() < 0.2 * moved


def test_a_small_batch_moves_centers_little():
    model = fit_batches([draw(1000, 0)])
    before = model.cluster_centers_.copy()
    assert 0 < np.abs(model.partial_fit(draw(5, 1)).cluster_centers_ - before).max() < 0.02


def test_one_pass_of_a_fit_is_a_partial_fit_of_each_batch():
    x = draw(1280, 0)
    settings = {"temperature": 2.0, "init": CENTERS + 1}
    whole = SoftKMeans(3, solver="online", max_iter=1, **settings).fit(x)
    batches = [next(batch.blocks()).x.numpy() for batch in as_source(x).batches()]
    assert len(batches) == 32
    np.testing.assert_array_equal(np.sort(np.vstack(batches), 0), np.sort(x, 0))
    np.testing.assert_allclose(fit_batches(batches, **settings).cluster_centers_, whole.cluster_centers_, rtol=1e-9)


# Streams


def drifting():
    """Return 200 batches of blobs that move, and the final centers."""
    return [draw(100, step, CENTERS + 0.02 * step) for step in range(200)], CENTERS + 0.02 * 199


@pytest.mark.slow
def test_with_forgetting_centers_follow_changing_rows():
    batches, end = drifting()
    model = fit_batches(batches, solver=Online(forgetting=0.2), init=CENTERS)
    assert distance_to(model, end) < 0.5
    assert distance_to(fit_batches(batches, init=CENTERS), end) > 0.8


@pytest.mark.slow
def test_without_forgetting_centers_converge():
    batches = [draw(100, step) for step in range(200)]
    ends = [fit_batches(batches, solver=Online(forgetting=f), init=CENTERS).cluster_centers_ for f in (0.0, 0.2)]
    errors = [np.sqrt(((end - CENTERS) ** 2).mean()) for end in ends]
    assert errors[0] < 0.05 < errors[1]


def test_clusters_keep_their_numbers():
    model = SoftKMeans(3, init=CENTERS)
    for step in range(20):
        sizes = np.roll([60, 30, 10], step)
        model.partial_fit(np.repeat(CENTERS, sizes, axis=0) + np.random.default_rng(step).normal(size=(100, 2)))
        assert (np.abs(model.cluster_centers_ - CENTERS) < 1.5).all()
        assert (np.bincount(model.labels_) > 0.5 * sizes).all()


@pytest.mark.parametrize("settings", [{}, {"temperature": "per-cluster", "priors": "learned"}])
def test_a_cluster_without_rows_stays_finite_and_can_recover(settings):
    model = SoftKMeans(3, init=CENTERS, **settings)
    for seed in range(30):
        model.partial_fit(draw(100, seed, CENTERS[:2]))
    assert np.isfinite(model.predict_proba(draw(50, 0))).all()
    assert np.isfinite(model.temperature_).all()
    if settings:  # a wider cluster may have taken over its rows
        return
    for seed in range(60):
        model.partial_fit(draw(100, seed))
    assert distance_to(model, CENTERS) < 1.0


@pytest.mark.filterwarnings("ignore:.*centers coincide")
@pytest.mark.slow
@pytest.mark.parametrize("name", MEMBERS)
def test_every_model_variant_learns(name):
    model, batch = member(name), member(name).fit(IRIS, sample_weight=W)
    order = np.random.default_rng(0).permutation(len(IRIS))
    if name == "textbook":
        with pytest.raises(InputError, match="partial_fit does not support update='mean', which"):
            model.partial_fit(IRIS)
        return
    for _ in range(10):
        for rows in np.array_split(order, 3):
            model.partial_fit(IRIS[rows], sample_weight=W[rows])
    assert np.isfinite(model.cluster_centers_).all()
    assert model.score(IRIS, sample_weight=W) > batch.score(IRIS, sample_weight=W) - 0.06
    for rows in np.array_split(order, 3):  # partial_fit continues from a full fit without losing it
        batch.partial_fit(IRIS[rows], sample_weight=W[rows])
    assert batch.score(IRIS, sample_weight=W) > model.score(IRIS, sample_weight=W) - 0.06
    if model.frozen is not None:
        np.testing.assert_allclose(model.cluster_centers_[model.frozen], START[model.frozen], rtol=1e-12)


# Attributes, and continued learning


def test_attributes_are_those_of_the_last_batch():
    model = fit_batches([draw(200, 0)])
    labels = model.partial_fit(x := draw(120, 1)).labels_
    np.testing.assert_array_equal(labels, model.predict(x))
    d = model.transform(x) ** 2
    assert model.inertia_ == pytest.approx(d.min(1).sum())
    np.testing.assert_allclose(model.cluster_weights_, model.predict_proba(x).sum(0))
    assert model.distortion_ == pytest.approx(model.free_energy_ + model.temperature_ * model.entropy_)
    assert model.n_iter_ == model.history_[0].n_iter == 2
    assert not model.converged_
    assert model.n_features_in_ == 2


@pytest.mark.parametrize("kind", [SoftKMeans, FuzzyCMeans])
def test_learning_continues_bit_for_bit_from_a_file_and_a_pickle(kind, tmp_path):
    model = fit_batches([draw(100, seed).astype(np.float32) for seed in range(3)], kind(3, random_state=0))
    save(model, tmp_path / "model.safetensors")
    others = [load(tmp_path / "model.safetensors"), pickle.loads(pickle.dumps(model))]  # noqa: S301 -- pickled in the same line
    for seed in range(3, 6):
        for one in (model, *others):
            one.partial_fit(draw(100, seed).astype(np.float32))
        for other in others:
            np.testing.assert_array_equal(other.cluster_centers_, model.cluster_centers_)
            assert other.n_iter_ == model.n_iter_ == seed + 1


def test_settings_are_saved_and_damage_is_detected(tmp_path):
    model = fit_batches([draw(100, 0)], solver=Online(forgetting=0.1))
    save(model, tmp_path / "model.safetensors")
    assert load(tmp_path / "model.safetensors").solver == model.solver
    model._progress = model._progress._replace(shift=model._progress.shift[:1])
    save(model, tmp_path / "model.safetensors")
    with pytest.raises(InputError, match="another number of features"):
        load(tmp_path / "model.safetensors")


def test_the_rows_of_a_fit_count_in_later_partial_fits():
    model = SoftKMeans(3, random_state=0).fit(draw(1000, 0))
    before = model.cluster_centers_.copy()
    model.partial_fit(draw(10, 1))
    assert 0 < np.abs(model.cluster_centers_ - before).max() < 0.05
    assert model.n_iter_ > 1


def test_a_fit_forgets_earlier_partial_fits():
    x = draw(300, 0)
    again = fit_batches([draw(100, 5) + 3]).fit(x)
    np.testing.assert_array_equal(again.cluster_centers_, SoftKMeans(3, random_state=0).fit(x).cluster_centers_)
    same = SoftKMeans(3, random_state=0).fit(x).partial_fit(x[:50])
    np.testing.assert_array_equal(again.partial_fit(x[:50]).cluster_centers_, same.cluster_centers_)


def test_partial_fit_continues_from_the_centroids_of_a_layer():
    model = SoftKMeans.from_layer(SoftKMeansLayer(3, 2, temperature=2.0, centroids=CENTERS))
    assert distance_to(model.partial_fit(draw(500, 0)), CENTERS) < 0.5


def test_parameters_may_change_between_calls():
    model = fit_batches([draw(200, 0)], temperature=2.0, init=CENTERS)
    model.set_params(temperature=0.5).partial_fit(draw(200, 1))
    assert model.temperature_ == 0.5
    model.set_params(distance="euclidean", temperature="auto")
    model.partial_fit(draw(200, 2))  # the statistics of another distance are discarded
    assert distance_to(model, CENTERS) < 0.5


def test_each_block_of_a_source_is_a_batch():
    x = draw(400, 0)
    stream = SoftKMeans(3, init=CENTERS, temperature=2.0).partial_fit(Stream(x, [100, 200, 300]))
    batches = fit_batches(np.split(x, 4), init=CENTERS, temperature=2.0)
    np.testing.assert_allclose(stream.cluster_centers_, batches.cluster_centers_, rtol=1e-9)
    assert not hasattr(stream, "labels_")


# Errors


INVALID = {
    r"kappa=0\.5: expected a number above 0\.5": lambda: Online(kappa=0.5),
    r"kappa=1\.5: expected a number above 0\.5 and at most 1": lambda: Online(kappa=1.5),
    "forgetting=2": lambda: Online(forgetting=2),
    "forgetting=1 would discard all earlier batches": lambda: Online(forgetting=1),
    "more than the 2 rows of the first batch": lambda: SoftKMeans(3).partial_fit(draw(2, 0)),
    "partial_fit does not support temperature=": lambda: fit_batches([draw(50, 0)], temperature="calibrated"),
    "partial_fit does not support update='mean'": lambda: fit_batches(
        [draw(9, 0)], distance="euclidean", update="mean", temperature=1.0
    ),
    r"centers of shape \(3, 2\)": lambda: fit_batches([draw(50, 0)]).set_params(n_clusters=4).partial_fit(draw(50, 1)),
    "X has 1 features": lambda: fit_batches([draw(50, 0), draw(50, 0)[:, :1]]),
    "NaN": lambda: fit_batches([draw(50, 0), [[np.nan, 1.0]]]),
    "zero for every row": lambda: fit_batches([draw(50, 0)]).partial_fit(draw(5, 0), sample_weight=np.zeros(5)),
    "rows are too far from the centers": lambda: fit_batches([draw(50, 0), [[1e200, 0.0]]]),
    "solver='online' does not support objective='distortion'.*choose solver='adam'": lambda: fit(
        IRIS, 3, temperature=1.0, objective="distortion", solver="online"
    ),
    "solver='online' does not support temperatures defined by an equation": lambda: fit(
        IRIS, 3, temperature="calibrated", solver="online"
    ),
}


@pytest.mark.parametrize("message", INVALID)
def test_invalid_uses_raise(message):
    with pytest.raises(ValueError, match=message):
        INVALID[message]()


def test_a_rejected_batch_does_not_change_the_model():
    model, same = fit_batches([draw(50, 0)]), fit_batches([draw(50, 0)])
    for bad in ([[1e200, 0.0]], [[np.nan, 0.0]], [[1.0]]):
        with pytest.raises(ValueError, match=r"."):
            model.partial_fit(bad)
    x = draw(50, 1)
    np.testing.assert_array_equal(model.partial_fit(x).cluster_centers_, same.partial_fit(x).cluster_centers_)
