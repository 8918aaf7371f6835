"""Test SoftKMeans against scikit-learn's conventions, and its results against SciPy, NumPy and hard k-means."""

import copy
import json
import math
import os
import pickle
import subprocess
import sys

import joblib
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import scipy
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import cdist
from sklearn.base import clone
from sklearn.cluster import KMeans, kmeans_plusplus
from sklearn.datasets import make_blobs
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.metrics import adjusted_rand_score
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import ClassifierTags, estimator_checks
from sklearn.utils.estimator_checks import parametrize_with_checks

from helpers import reference as ref
from helpers.fuzzing import examples
from softkmeans import FuzzyCMeans, InputError, SoftKMeans, SoftKMeansLayer, train_layer
from softkmeans.distances import SquaredEuclidean

# Some fits are above the critical temperature, or have few rows.
pytestmark = pytest.mark.filterwarnings("ignore:.*centers coincide")

DISTANCES = ["sqeuclidean", "euclidean", "cosine"]
METHODS = ["predict", "predict_proba", "transform", "score_samples"]


def blobs(n=(50, 40, 30), spread=1.0, seed=0):
    """Return three separate blobs of different sizes in two dimensions, and the blob of each row."""
    rng = np.random.default_rng(seed)
    middle = np.array([[0.0, 1.0], [9.0, 0.0], [0.0, 11.0]])
    y = np.repeat(np.arange(3), n)
    order = rng.permutation(len(y))
    return (middle[y] + spread * rng.normal(size=(len(y), 2)))[order], y[order]


X, Y = blobs()
W = np.random.default_rng(1).uniform(0, 2, len(X))


def model(**arguments):
    return SoftKMeans(**{"n_clusters": 3, "random_state": 0, **arguments})


def same(a, b):
    return adjusted_rand_score(np.asarray(a), np.asarray(b)) == 1.0


# scikit-learn's own checks

CHECKED = [
    SoftKMeans(),
    SoftKMeans(temperature=1.0, solver="em"),
    SoftKMeans(solver="lbfgs", n_clusters=3),
    SoftKMeans(distance="euclidean"),
    SoftKMeans(n_clusters=2, priors="learned", temperature=0.5, noise_distance=4.0),
    FuzzyCMeans(),
]

# These checks take estimators with predict_proba for classifiers: they need their tags, and four columns.
CLASSIFIER_CHECKS = ["check_estimator_sparse_array", "check_estimator_sparse_matrix"]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:the data has:sklearn.exceptions.ConvergenceWarning")  # some checks use few rows
@parametrize_with_checks(CHECKED)
def test_scikit_learn_s_checks(estimator, check):
    if check.func.__name__ in CLASSIFIER_CHECKS:
        pytest.skip("run below")
    check(estimator)


@pytest.mark.slow
@pytest.mark.parametrize("name", CLASSIFIER_CHECKS)
@pytest.mark.parametrize("kind", [SoftKMeans, FuzzyCMeans])
def test_scikit_learn_s_checks_that_assume_a_classifier(name, kind):
    class AsClassifier(kind):
        __init__ = kind.__init__

        def __sklearn_tags__(self):
            tags = super().__sklearn_tags__()
            tags.classifier_tags = ClassifierTags()
            return tags

    getattr(estimator_checks, name)("AsClassifier", AsClassifier(n_clusters=4, random_state=0))


@pytest.mark.process
def test_scikit_learn_s_checks_with_the_array_api():
    code = (
        "import json, warnings; warnings.simplefilter('ignore')\n"
        "from sklearn.utils.estimator_checks import check_estimator\n"
        "from softkmeans import FuzzyCMeans, SoftKMeans\n"
        "for model in (SoftKMeans(), FuzzyCMeans()):\n"
        "    print(json.dumps({r['check_name']: r['status'] for r in check_estimator(model, on_fail=None)}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "SCIPY_ARRAY_API": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    statuses = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(statuses) == 2
    for status in statuses:
        assert len(status) > 40
        assert {name for name, result in status.items() if result != "passed"} == set(CLASSIFIER_CHECKS)
        assert "check_array_api_input" in status


def test_clone_pickle_and_copy():
    fitted = model(temperature=2.0).fit(X)
    assert clone(fitted).get_params() == fitted.get_params()
    with pytest.raises(NotFittedError):
        clone(fitted).predict(X)
    for other in (pickle.loads(pickle.dumps(fitted)), copy.deepcopy(fitted)):  # noqa: S301 -- our own bytes
        np.testing.assert_array_equal(other.predict_proba(X), fitted.predict_proba(X))
    tensor_model = model().fit(torch.tensor(X))
    again = pickle.loads(pickle.dumps(tensor_model))  # noqa: S301 -- our own bytes
    assert torch.equal(again.predict_proba(torch.tensor(X)), tensor_model.predict_proba(torch.tensor(X)))


@pytest.mark.parametrize("method", [*METHODS, "score", "bic", "aic", "sample", "to_layer"])
def test_methods_of_an_unfitted_estimator_raise(method):
    with pytest.raises(NotFittedError):
        getattr(model(), method)(*([] if method in ("sample", "to_layer") else [X]))


# Numbers


@pytest.mark.parametrize("distance", DISTANCES)
@pytest.mark.parametrize("temperature", ["auto", 0.1])
def test_attributes_agree_with_numpy(temperature, distance):
    fitted = model(temperature=temperature, distance=distance).fit(X, sample_weight=W)
    c, t = fitted.cluster_centers_, fitted.temperature_
    assert temperature in ("auto", t)
    assert fitted.inertia_ == pytest.approx(ref.inertia(X, c, W, distance))
    assert fitted.free_energy_ == pytest.approx(ref.free_energy(X, c, t, W, distance), rel=1e-9)
    assert fitted.distortion_ == pytest.approx(ref.distortion(X, c, t, W, distance), rel=1e-9)
    assert fitted.entropy_ == pytest.approx(ref.entropy(X, c, t, W, distance), rel=1e-5, abs=1e-8)
    assert fitted.distortion_ == pytest.approx(fitted.free_energy_ + t * fitted.entropy_)
    np.testing.assert_allclose(fitted.cluster_weights_, W @ ref.resp(X, c, t, distance))
    np.testing.assert_array_equal(fitted.labels_, ref.distances(X, c, distance).argmin(1))
    np.testing.assert_allclose(fitted.predict_proba(X), ref.resp(X, c, t, distance), rtol=1e-7, atol=1e-12)
    assert fitted.n_iter_ == len(fitted.history_)
    assert fitted.converged_
    assert fitted.beta_ == pytest.approx(1 / t)
    assert fitted.sigma_ == pytest.approx(math.sqrt(t / 2))


@pytest.mark.parametrize("distance", DISTANCES)
def test_transform_is_the_distance(distance):
    fitted = model(distance=distance).fit(X)
    metric = "cosine" if distance == "cosine" else "euclidean"
    expected = cdist(X, fitted.cluster_centers_, metric)
    np.testing.assert_allclose(fitted.transform(X), expected, rtol=1e-9, atol=1e-12)
    np.testing.assert_array_equal(fitted.fit_transform(X), fitted.transform(X))


@pytest.mark.parametrize("offset", [0.0, 1e6, -1e9])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_center_has_distance_zero_to_itself(dtype, offset):
    fitted = model(dtype=dtype).fit(X + offset)
    distances = fitted.transform(fitted.cluster_centers_)
    assert (np.diag(distances) == 0).all()
    assert (distances[~np.eye(3, dtype=bool)] > 1).all() or (dtype == np.float32 and offset == -1e9)


def log_density(x, c, t, distance):
    if distance == "sqeuclidean":
        return scipy.stats.multivariate_normal(c, t / 2).logpdf(x)
    if distance == "cosine":
        x = x / np.linalg.norm(x, axis=1, keepdims=True)
        return scipy.stats.vonmises_fisher(c / np.linalg.norm(c), 1 / t).logpdf(x)
    radius = np.linalg.norm(x - c, axis=1)
    sphere = 2 * math.pi ** (len(c) / 2) / math.gamma(len(c) / 2)
    return scipy.stats.gamma(len(c), scale=t).logpdf(radius) - np.log(sphere * radius ** (len(c) - 1))


@pytest.mark.slow
@pytest.mark.parametrize("n_features", [2, 4])
@pytest.mark.parametrize("temperature", ["auto", 0.5, 20.0])
@pytest.mark.parametrize("distance", DISTANCES)
def test_scores_are_scipy_s_log_densities(distance, temperature, n_features):
    x = np.random.default_rng(0).normal(size=(60, n_features)) * 3 + 2
    held_out, w = np.random.default_rng(1).normal(size=(20, n_features)) * 3, np.arange(20.0)
    fitted = model(distance=distance, temperature=temperature).fit(x)
    t = fitted.temperature_
    parts = np.stack([log_density(held_out, c, t, distance) for c in fitted.cluster_centers_])
    expected = scipy.special.logsumexp(parts, axis=0) - math.log(3)
    np.testing.assert_allclose(fitted.score_samples(held_out), expected, rtol=1e-8, atol=1e-8)
    assert fitted.score(held_out) == pytest.approx(expected.mean(), rel=1e-8)
    assert fitted.score(held_out, sample_weight=w) == pytest.approx(np.average(expected, weights=w), rel=1e-8)
    n_parameters = 3 * (n_features - (distance == "cosine")) + (temperature == "auto")
    for weights, n in ((None, 20), (w, w.sum())):
        total = n * np.average(expected, weights=weights)
        bic, aic = fitted.bic(held_out, sample_weight=weights), fitted.aic(held_out, sample_weight=weights)
        assert bic == pytest.approx(n_parameters * math.log(n) - 2 * total, rel=1e-8)
        assert aic == pytest.approx(2 * n_parameters - 2 * total, rel=1e-8)


def test_the_score_is_free_energy_s_likelihood():
    fitted = model(temperature=3.0).fit(X)
    nll = fitted.free_energy_ / 3.0 + len(X) * (math.log(3) + math.log(math.pi * 3.0))
    assert fitted.score(X) == pytest.approx(-nll / len(X), rel=1e-9)


def test_the_learned_temperature_is_twice_the_variance():
    x = np.random.default_rng(0).normal(scale=0.7, size=(3000, 2)) + np.repeat([[0, 0], [9, 0], [0, 9]], 1000, axis=0)
    assert model().fit(x).temperature_ == pytest.approx(2 * 0.7**2, rel=0.05)
    one = model(n_clusters=1).fit(x)
    assert one.temperature_ == pytest.approx(2 * x.var(0).mean(), rel=1e-9)
    np.testing.assert_allclose(one.cluster_centers_, [x.mean(0)], rtol=1e-9)


@pytest.mark.parametrize(("distance", "temperature"), [("sqeuclidean", 2.0), ("euclidean", 0.5), ("cosine", 0.2)])
def test_sample_draws_from_the_mixture(distance, temperature):
    centers = np.array([[30.0, 0.0, 1.0], [0.0, 20.0, 0.0], [0.0, 1.0, -30.0]])
    given = SoftKMeansLayer(3, 3, temperature, distance=distance, centroids=torch.tensor(centers), dtype=torch.float64)
    fitted = SoftKMeans.from_layer(given)
    rows, labels = fitted.sample(30_000, random_state=0)
    assert rows.shape == (30_000, 3)
    assert scipy.stats.chisquare(np.bincount(labels)).pvalue > 1e-4
    for k, center in enumerate(centers):
        own = rows[labels == k]
        if distance == "cosine":
            np.testing.assert_allclose(np.linalg.norm(own, axis=1), 1.0)
            mean = own @ center / np.linalg.norm(center)
            assert mean.mean() == pytest.approx(1 / math.tanh(1 / temperature) - temperature, abs=0.01)
            continue
        np.testing.assert_allclose(own.mean(0), center, atol=0.1)
        if distance == "sqeuclidean":
            np.testing.assert_allclose(np.cov(own.T), np.eye(3) * temperature / 2, atol=0.06)
        radius = np.linalg.norm(own - center, axis=1)
        law = scipy.stats.gamma(3, scale=temperature) if distance == "euclidean" else None
        law = law or scipy.stats.chi(3, scale=math.sqrt(temperature / 2))
        assert scipy.stats.kstest(radius, law.cdf).pvalue > 1e-4
    again = fitted.sample(30_000, random_state=0)
    np.testing.assert_array_equal(again[0], rows)
    assert not np.array_equal(fitted.sample(30_000, random_state=1)[0], rows)


@pytest.mark.parametrize("n_samples", [1, 2, 5])
@pytest.mark.parametrize("distance", DISTANCES)
def test_sample_may_leave_clusters_out(distance, n_samples):
    rows, labels = model(distance=distance).fit(X).sample(n_samples, random_state=0)
    assert rows.shape == (n_samples, 2)
    assert labels.shape == (n_samples,)
    assert np.isfinite(rows).all()


@pytest.mark.parametrize("n_samples", [0, -1, 2.5, True])
def test_sample_of_no_rows_is_refused(n_samples):
    with pytest.raises(InputError, match=f"n_samples={n_samples}: give a whole number of 1 or more"):
        model().fit(X).sample(n_samples)


@pytest.mark.slow
@examples(8)
@given(weights=st.lists(st.integers(0, 3), min_size=len(X), max_size=len(X)).filter(lambda w: sum(map(bool, w)) > 20))
@pytest.mark.parametrize("distance", DISTANCES)
def test_an_integer_weight_is_a_repeated_row(distance, weights):
    w = np.array(weights)
    x = X.round(2) + 0.005
    repeated = np.repeat(x, w, axis=0)
    one, other = model(distance=distance).fit(x, sample_weight=w), model(distance=distance).fit(repeated)
    np.testing.assert_allclose(one.cluster_centers_, other.cluster_centers_, rtol=1e-7, atol=1e-9)
    np.testing.assert_array_equal(np.repeat(one.labels_, w), other.labels_)
    assert one.n_iter_ == other.n_iter_
    for name in ("temperature_", "free_energy_", "inertia_", "distortion_"):
        assert getattr(one, name) == pytest.approx(getattr(other, name), rel=1e-8, abs=1e-9)
    assert one.score(x, sample_weight=w) == pytest.approx(other.score(repeated), rel=1e-9)
    assert one.bic(x, sample_weight=w) == pytest.approx(other.bic(repeated), rel=1e-9)


@pytest.mark.parametrize("seed", range(4))
def test_the_limit_of_low_temperature_is_hard_k_means(seed):
    x = make_blobs(200, n_features=4, centers=6, cluster_std=3.0, random_state=seed)[0]
    start = x[np.random.default_rng(seed).choice(200, 6, replace=False)]
    hard = KMeans(6, init=start, n_init=1, tol=0, max_iter=1000).fit(x)
    soft = SoftKMeans(6, init=start, temperature=1e-8, tol=0, max_iter=1000).fit(x)
    np.testing.assert_array_equal(soft.labels_, hard.labels_)
    np.testing.assert_allclose(soft.cluster_centers_, hard.cluster_centers_, rtol=1e-9)
    for value in (soft.inertia_, soft.free_energy_, soft.distortion_):
        assert value == pytest.approx(hard.inertia_, rel=1e-9)
    assert soft.entropy_ == pytest.approx(0, abs=1e-3)
    np.testing.assert_array_equal(soft.predict(x[::2] + 0.1), hard.predict(x[::2] + 0.1))


@pytest.mark.parametrize("temperature", [1e-12, 1e-15, 1e-18])
def test_rows_sum_to_one_at_low_temperatures(temperature):
    """Test rows half-way between two centers, whose logits are huge and equal."""
    x = np.array([[0.0, 1.0], [1.0, 0.0], [-1.0, 0.0]] * 5)
    fitted = SoftKMeans(2, temperature=temperature, init=[[1.0, 0.0], [-1.0, 0.0]]).fit(x)
    np.testing.assert_allclose(fitted.predict_proba(x).sum(1), 1.0)
    assert fitted.cluster_weights_.sum() == pytest.approx(15)
    assert fitted.distortion_ == pytest.approx(fitted.inertia_)


@pytest.mark.parametrize("temperature", [1e-6, 1e-12, 1e-15, 1e-18])
def test_the_entropy_stays_within_its_bounds_at_low_temperatures(temperature):
    """Test 0 <= H <= n log k, which (E - F) / T would violate if T is below the rounding error of E."""
    fitted = model(temperature=temperature).fit(X)
    assert fitted.entropy_ == pytest.approx(ref.entropy(X, fitted.cluster_centers_, temperature), abs=1e-3)


def test_the_limit_of_high_temperature_is_one_cluster():
    fitted = model(temperature=1e6).fit(X)
    np.testing.assert_allclose(fitted.cluster_centers_, np.tile(X.mean(0), (3, 1)), atol=1e-3)
    np.testing.assert_allclose(fitted.predict_proba(X), 1 / 3, atol=1e-6)


@pytest.mark.parametrize("far", [1e10, 1e17, 1e30, 1e150])
def test_far_rows_have_memberships_too(far):
    proba = model(temperature=1.0).fit(X).predict_proba([[far, 0.0], [0.0, far]])
    np.testing.assert_allclose(proba.sum(1), 1.0)


def test_rows_too_far_to_square_are_refused():
    with pytest.raises(InputError, match="check the data for wrong values"):
        model(temperature=1.0).fit(X).predict_proba([[1e200, 0.0]])


# Kinds of data


def kinds(x):
    return {
        "float32 array": x.astype(np.float32),
        "float64 array": x,
        "integers": (x * 1000).astype(np.int64),
        "float32 tensor": torch.tensor(x, dtype=torch.float32),
        "float64 tensor": torch.tensor(x),
        "integer tensor": torch.tensor((x * 1000).astype(np.int64)),
        "tensor with gradient": torch.tensor(x, requires_grad=True),
        "list": x.tolist(),
    }


@pytest.mark.slow
@pytest.mark.parametrize("kind", kinds(X))
@pytest.mark.parametrize("device", [None, "cpu", torch.device("cpu")])
def test_arrays_give_arrays_and_tensors_give_tensors(kind, device):
    x = kinds(X)[kind]
    fitted = model(device=device).fit(x)
    tensor = isinstance(x, torch.Tensor)
    single = "float32" in kind
    floating = (torch.float32 if single else torch.float64) if tensor else np.dtype("f4" if single else "f8")
    expected = {
        "labels_": torch.int64 if tensor else np.dtype("int64"),
        "cluster_centers_": floating,
        "predict": torch.int64 if tensor else np.dtype("int64"),
        "predict_proba": floating,
        "transform": floating,
        "score_samples": torch.float64 if tensor else np.dtype("f8"),
    }
    for name, dtype in expected.items():
        value = getattr(fitted, name)(x) if name in METHODS else getattr(fitted, name)
        assert type(value) is (torch.Tensor if tensor else np.ndarray), name
        assert value.dtype == dtype, name
        assert not (tensor and value.requires_grad), name
    rows, labels = fitted.sample(4, random_state=0)
    assert (rows.dtype, labels.dtype) == (floating, expected["labels_"])
    scale = 1000 if "integer" in kind else 1
    reference = model().fit(X)
    np.testing.assert_allclose(np.asarray(fitted.cluster_centers_) / scale, reference.cluster_centers_, atol=2e-3)
    np.testing.assert_array_equal(np.asarray(fitted.labels_), reference.labels_)
    assert type(fitted.score(x)) is type(fitted.bic(x)) is type(fitted.inertia_) is float


def test_the_type_of_results_is_that_of_the_predicted_rows():
    by_array, by_tensor = model().fit(X), model().fit(torch.tensor(X))
    for method in METHODS:
        assert isinstance(getattr(by_array, method)(torch.tensor(X)), torch.Tensor)
        assert isinstance(getattr(by_tensor, method)(X), np.ndarray)
        np.testing.assert_array_equal(getattr(by_array, method)(torch.tensor(X)), getattr(by_tensor, method)(X))


@pytest.mark.parametrize(
    ("dtype", "expected"),
    [
        ("float32", "float32"),
        (np.float32, "float32"),
        (torch.float32, "float32"),
        (np.dtype("float32"), "float32"),
        ("torch.float32", "float32"),
        (torch.float64, "float64"),
        (float, "float64"),
        ("float", "float64"),
        ("f4", "float32"),
    ],
    ids=str,
)
def test_dtype_of_results(dtype, expected):
    for x in (X, X.astype(np.float32)):
        fitted = model(dtype=dtype).fit(x)
        assert fitted.cluster_centers_.dtype == fitted.predict_proba(x).dtype == np.dtype(expected)


@pytest.mark.parametrize("dtype", ["int32", np.int64, torch.int8, "number", "complex64", None.__class__], ids=str)
def test_other_types_are_refused(dtype):
    with pytest.raises(InputError, match="is not a floating-point type: use one, such as 'float32'"):
        model(dtype=dtype).fit(X)


def test_bfloat16():
    x = torch.tensor(X, dtype=torch.bfloat16)
    fitted = model().fit(x)
    assert fitted.cluster_centers_.dtype == fitted.predict_proba(x).dtype == torch.bfloat16
    assert same(fitted.labels_, Y)
    with pytest.raises(InputError, match="dtype"):  # NumPy has no such type
        model(dtype="bfloat16").fit(X)


LAYOUTS = {
    "Fortran order": np.asfortranarray,
    "every second column": lambda x: np.repeat(x, 2, axis=1)[:, ::2],
    "read-only": lambda x: _frozen(x),
    "big-endian": lambda x: x.astype(">f8"),
    "reversed rows twice": lambda x: x[::-1].copy()[::-1],
    "reversed columns twice": lambda x: x[:, ::-1].copy()[:, ::-1],
}


def _frozen(x):
    x = x.copy()
    x.flags.writeable = False
    return x


@pytest.mark.parametrize("layout", LAYOUTS)
def test_any_memory_layout_gives_the_same(layout):
    plain = model().fit(X, sample_weight=W)
    x = LAYOUTS[layout](X)
    w = np.ascontiguousarray(LAYOUTS[layout](np.stack([W, W], 1)))[:, 0]
    fitted = model().fit(x, sample_weight=w)
    np.testing.assert_allclose(fitted.cluster_centers_, plain.cluster_centers_, rtol=1e-12)
    for method in METHODS:
        np.testing.assert_allclose(getattr(fitted, method)(x), getattr(plain, method)(X), rtol=1e-9, atol=1e-12)


def test_weights_with_negative_strides():
    backward = model().fit(X, sample_weight=W[::-1])
    np.testing.assert_array_equal(
        backward.cluster_centers_, model().fit(X, sample_weight=W[::-1].copy()).cluster_centers_
    )


def test_memory_maps(tmp_path):
    np.save(tmp_path / "x.npy", X)
    x = np.load(tmp_path / "x.npy", mmap_mode="r")
    np.testing.assert_array_equal(model().fit(x).cluster_centers_, model().fit(X).cluster_centers_)
    np.testing.assert_array_equal(model().fit(X).predict(x), model().fit(X).predict(X))


def test_a_model_whose_centers_are_read_only_works(tmp_path):
    """Test models as joblib passes them to its workers."""
    fitted = model().fit(X)
    expected = fitted.predict_proba(X)
    joblib.dump(fitted, tmp_path / "model.joblib")
    mapped = joblib.load(tmp_path / "model.joblib", mmap_mode="r")
    fitted.cluster_centers_.flags.writeable = False
    torch.set_warn_always(True)  # by default, PyTorch issues most warnings only once
    try:
        for one in (fitted, mapped):
            np.testing.assert_array_equal(one.predict_proba(X), expected)
            one.to_layer()
            one.sample(3)
            one.set_params(warm_start=True).fit(X)
    finally:
        torch.set_warn_always(False)


def test_data_weights_and_starts_are_not_changed():
    x, w, start = X.copy(), W.copy(), X[:3].copy()
    fitted = model(init=start).fit(x, sample_weight=w)
    for method in [*METHODS, "score"]:
        getattr(fitted, method)(x)
    for now, before in ((x, X), (w, W), (start, X[:3]), (fitted.init, X[:3])):
        np.testing.assert_array_equal(now, before)
    assert not np.array_equal(fitted.cluster_centers_, start)


# Frames


def frame(kind):
    columns = {"height": X[:, 0], "weight": X[:, 1]}
    return pa.table(columns) if kind == "arrow" else pd.DataFrame(columns, index=range(7, 7 + len(X)))


@pytest.mark.parametrize("kind", ["pandas", "arrow"])
def test_column_names_of_frames_become_feature_names(kind):
    data, plain = frame(kind), model().fit(X)
    fitted = model().fit(data)
    assert fitted.feature_names_in_.tolist() == ["height", "weight"]
    assert fitted.n_features_in_ == 2
    np.testing.assert_allclose(fitted.cluster_centers_, plain.cluster_centers_)
    for method in METHODS:
        np.testing.assert_allclose(getattr(fitted, method)(data), getattr(plain, method)(X), atol=1e-12)
    assert (fitted.score(data), fitted.bic(data)) == pytest.approx((plain.score(X), plain.bic(X)))
    with pytest.warns(UserWarning, match="feature names"):
        fitted.predict(X)
    fitted.fit(torch.tensor(X))
    assert not hasattr(fitted, "feature_names_in_")


def test_frames_with_other_columns_are_refused():
    fitted = model().fit(frame("pandas"))
    with pytest.raises(ValueError, match="feature names"):
        fitted.predict(frame("pandas").rename(columns={"height": "size"}))


@pytest.mark.parametrize("method", ["score", "bic", "aic"])
def test_weights_may_be_a_series_of_any_index(method):
    data = frame("pandas")
    weights = pd.Series(W, index=data.index)
    fitted = model().fit(data, sample_weight=weights)
    np.testing.assert_allclose(fitted.cluster_centers_, model().fit(X, sample_weight=W).cluster_centers_)
    assert getattr(fitted, method)(data, sample_weight=weights) == getattr(fitted, method)(data, sample_weight=W)


def test_names_of_output_features():
    fitted = model().set_output(transform="pandas").fit(X)
    assert fitted.transform(X).columns.tolist() == ["softkmeans0", "softkmeans1", "softkmeans2"]


# Units


@pytest.mark.parametrize(("offset", "scale"), [(0, 1e-20), (0, 1e15), (1e6, 1), (-3e5, 1e-9)])
@pytest.mark.parametrize("distance", DISTANCES)
def test_units_change_neither_labels_nor_memberships(distance, offset, scale):
    if distance == "cosine" and offset:
        pytest.skip("directions depend on the origin")
    plain, moved = model(distance=distance).fit(X), model(distance=distance).fit((X + offset) * scale)
    np.testing.assert_array_equal(moved.labels_, plain.labels_)
    np.testing.assert_allclose(moved.predict_proba((X + offset) * scale), plain.predict_proba(X), atol=1e-6)
    assert moved.n_iter_ == plain.n_iter_


@pytest.mark.parametrize("scale", [1e-200, 1e-170, 1e170])
def test_the_cosine_distance_ignores_lengths(scale):
    fitted = model(distance="cosine").fit(X * scale)
    np.testing.assert_allclose(fitted.predict_proba(X * scale), model(distance="cosine").fit(X).predict_proba(X), 1e-6)


@pytest.mark.parametrize("offset", [0.0, 1e6])
def test_float32_finds_what_float64_finds(offset):
    x = (X + offset).astype(np.float32)
    single, double = model().fit(x), model().fit(x.astype(np.float64))
    np.testing.assert_array_equal(single.labels_, double.labels_)
    assert single.temperature_ == pytest.approx(double.temperature_, rel=1e-9)
    np.testing.assert_allclose(single.cluster_centers_, double.cluster_centers_, rtol=1e-6)


# Order, starts and restarts


def test_labels_depend_neither_on_the_seed_nor_on_the_row_order():
    labels, *others = [model(random_state=seed).fit(X).labels_ for seed in range(5)]
    assert same(labels, Y)
    np.testing.assert_array_equal(np.bincount(labels), [50, 40, 30])  # in order of decreasing weight
    for other in others:
        np.testing.assert_array_equal(other, labels)
    order = np.random.default_rng(3).permutation(len(X))
    np.testing.assert_array_equal(model().fit(X[order]).labels_, labels[order])


@pytest.mark.parametrize(
    "convert", [np.asarray, torch.tensor, np.ndarray.tolist, pd.DataFrame], ids=lambda f: f.__name__
)
def test_given_centers_keep_their_order(convert):
    start = np.array([[0.0, 10.0], [1.0, 1.0], [8.0, 0.0]])
    fitted = model(init=convert(start)).fit(X)
    assert cdist(start, fitted.cluster_centers_).argmin(1).tolist() == [0, 1, 2]
    np.testing.assert_array_equal(fitted.labels_, np.array([1, 2, 0])[Y])


def test_a_callable_init_is_called_as_in_scikit_learn():
    seen = []

    def start(rows, n_clusters, random_state):
        seen.append((rows, n_clusters, random_state))
        return kmeans_plusplus(rows, n_clusters, random_state=random_state)[0]

    fitted = model(init=start, n_init=3).fit(X)
    assert same(fitted.labels_, Y)
    assert len(seen) == 3
    assert all(np.array_equal(rows, X) and k == 3 for rows, k, _ in seen)
    np.testing.assert_array_equal(model(init=start, n_init=3).fit(X).cluster_centers_, fitted.cluster_centers_)


@pytest.mark.parametrize("temperature", [0.5, "auto"])
def test_restarts_keep_the_lowest_objective(temperature):
    x = make_blobs(150, centers=9, random_state=3)[0]
    common = {"n_clusters": 9, "init": "random", "temperature": temperature, "max_iter": 2000}
    objectives = [model(**common, n_init=n, random_state=5).fit(x).history_[-1].objective for n in (1, 3, 10)]
    assert objectives[0] >= objectives[1] >= objectives[2]
    assert objectives[0] > objectives[2]


def test_random_state_is_used_and_the_global_generators_are_not():
    np.random.seed(7)  # noqa: NPY002 -- the global state is what is tested
    state, torch_state = np.random.get_state()[1].copy(), torch.get_rng_state()  # noqa: NPY002
    first = model(init="random", temperature=0.2).fit(X)
    again = model(init="random", temperature=0.2).fit(X)
    first.sample(5, random_state=0)
    assert (np.random.get_state()[1] == state).all()  # noqa: NPY002
    assert torch.equal(torch.get_rng_state(), torch_state)
    np.testing.assert_array_equal(first.cluster_centers_, again.cluster_centers_)
    for random_state in (None, np.random.RandomState(0)):
        assert same(model(random_state=random_state, n_init=5).fit(X).labels_, Y)


@pytest.mark.parametrize("temperature", ["auto", 4.0])
def test_warm_start_continues(temperature):
    x = make_blobs(300, centers=6, cluster_std=3.0, random_state=0)[0]
    common = {"n_clusters": 6, "temperature": temperature, "tol": 0, "init": x[:6], "solver": "em"}
    with pytest.warns(ConvergenceWarning):
        whole = model(**common, max_iter=8).fit(x)
    parts = model(**common, max_iter=4, warm_start=True)
    for _ in range(2):
        with pytest.warns(ConvergenceWarning):
            parts.fit(x)
    np.testing.assert_allclose(parts.cluster_centers_, whole.cluster_centers_, rtol=1e-9)
    assert parts.temperature_ == pytest.approx(whole.temperature_, rel=1e-9)
    cold = model(**common, max_iter=4)
    for _ in range(2):
        with pytest.warns(ConvergenceWarning):
            cold.fit(x)
    assert not np.allclose(cold.cluster_centers_, whole.cluster_centers_)


def test_warm_start_at_the_optimum_takes_few_passes():
    fitted = model(warm_start=True, tol=1e-6).fit(X)
    centers = fitted.cluster_centers_
    assert fitted.fit(X).n_iter_ <= 3
    np.testing.assert_allclose(fitted.cluster_centers_, centers, atol=1e-3)


def test_fit_predict_is_predict():
    fitted = model()
    np.testing.assert_array_equal(fitted.fit_predict(X), fitted.predict(X))
    np.testing.assert_array_equal(fitted.labels_, fitted.predict(X))
    np.testing.assert_array_equal(fitted.predict_proba(X).argmax(1), fitted.labels_)
    np.testing.assert_array_equal(model().fit_predict(X, sample_weight=W), model().fit(X, sample_weight=W).labels_)


# Together with other estimators


def test_in_a_pipeline():
    x = X * [1.0, 1000.0]
    pipeline = make_pipeline(StandardScaler(), model())
    assert same(pipeline.fit_predict(x), Y)
    scaled = StandardScaler().fit_transform(x)
    np.testing.assert_allclose(pipeline.transform(x), model().fit(scaled).transform(scaled))
    assert pipeline.score(x) == pytest.approx(model().fit(scaled).score(scaled))


@pytest.mark.slow
def test_grid_search_scores_the_held_out_likelihood():
    grid = {"n_clusters": [1, 2, 3], "temperature": [0.02, 2.0, 200.0]}
    folds = KFold(4, shuffle=True, random_state=0)
    search = GridSearchCV(model(n_init=3), grid, cv=folds, error_score="raise").fit(X)
    assert search.best_params_ == {"n_clusters": 3, "temperature": 2.0}  # the blobs have variance 1, so T = 2
    scores = []
    for train, test in folds.split(X):
        centers = model(n_init=3, temperature=2.0).fit(X[train]).cluster_centers_
        parts = np.stack([scipy.stats.multivariate_normal(c, 1.0).logpdf(X[test]) for c in centers])
        scores.append((scipy.special.logsumexp(parts, axis=0) - math.log(3)).mean())
    assert search.best_score_ == pytest.approx(np.mean(scores), rel=1e-9)


def test_bic_finds_the_number_of_clusters():
    x = make_blobs(400, centers=4, cluster_std=1.0, random_state=0, center_box=(-30, 30))[0]
    bic = [SoftKMeans(k, n_init=5, random_state=0).fit(x).bic(x) for k in range(1, 8)]
    assert np.argmin(bic) + 1 == 4


@pytest.mark.parametrize("distance", DISTANCES)
@pytest.mark.parametrize("kind", ["float32 array", "float64 array", "float64 tensor"])
def test_to_layer_and_from_layer(kind, distance):
    x = kinds(X)[kind]
    fitted = model(distance=distance, temperature=0.3).fit(x)
    layer = fitted.to_layer()
    tolerance = 1e-4 if "32" in kind else 1e-9
    proba = np.asarray(fitted.predict_proba(x))
    np.testing.assert_allclose(layer(torch.as_tensor(x)).detach(), proba, atol=tolerance)
    back = SoftKMeans.from_layer(layer)
    np.testing.assert_allclose(back.predict_proba(np.asarray(x)), proba, atol=tolerance)
    assert back.get_params()["distance"] == distance
    before = fitted.cluster_centers_.copy() if isinstance(x, np.ndarray) else fitted.cluster_centers_.clone()
    with torch.no_grad():
        layer.centroids.add_(1)  # a copy: it changes neither estimator
    np.testing.assert_array_equal(fitted.cluster_centers_, before)
    np.testing.assert_array_equal(back.cluster_centers_, before)
    assert fitted.to_layer(learn_temperature=True).loss(torch.as_tensor(x), "nll").item() == pytest.approx(
        -fitted.score(x), rel=1e-4
    )


@pytest.mark.slow
def test_from_layer_keeps_the_result_of_the_training():
    layer = SoftKMeansLayer(3, 2, 2.0, learn_temperature=True, dtype=torch.float64)
    result = train_layer(layer, X, init="k-means++", random_state=0)
    torch.set_warn_always(True)  # by default, PyTorch issues most warnings only once
    try:
        back = SoftKMeans.from_layer(layer, result)
    finally:
        torch.set_warn_always(False)
    assert (back.free_energy_, back.n_iter_, back.converged_) == (result.free_energy, result.n_iter, result.converged)
    assert same(back.predict(X), Y)
    assert back.get_params()["temperature"] == "auto"
    assert back.bic(X) == pytest.approx(7 * math.log(len(X)) - 2 * len(X) * back.score(X))


def test_from_layer_keeps_a_custom_distance():
    class Own(SquaredEuclidean):
        name = "own"

    layer = SoftKMeansLayer(3, 2, distance=Own(), centroids=torch.tensor(X[:3]))
    np.testing.assert_allclose(SoftKMeans.from_layer(layer).predict_proba(X), layer(torch.tensor(X)).detach())


def test_from_a_layer_of_half_precision():
    layer = SoftKMeansLayer(3, 2, dtype=torch.bfloat16)
    expected = ref.resp(X, layer.centroids.detach().double().numpy(), 1.0)
    np.testing.assert_allclose(SoftKMeans.from_layer(layer).predict_proba(X), expected, atol=1e-2)


# Edge cases


def test_as_many_clusters_as_rows():
    x = X[:10]
    fitted = model(n_clusters=10).fit(x)
    assert sorted(fitted.labels_) == list(range(10))
    np.testing.assert_allclose(fitted.cluster_centers_[fitted.labels_], x, atol=1e-6)
    assert fitted.temperature_ > 0
    assert math.isfinite(fitted.score(x))
    one = model(n_clusters=1).fit(x[:1])
    np.testing.assert_array_equal(one.cluster_centers_, x[:1])


def test_more_clusters_than_rows_is_refused():
    with pytest.raises(ValueError, match="n_clusters=3 is more than the 2 rows"):
        model().fit(X[:2])


@pytest.mark.parametrize("init", ["k-means++", "k-means||", "random"])
@pytest.mark.parametrize("temperature", ["auto", 0.01])
def test_fewer_distinct_rows_than_clusters(temperature, init):
    x = np.repeat([[0.0, 1.0], [5.0, 5.0]], 10, axis=0)
    with pytest.warns(ConvergenceWarning, match="the data has 2 distinct rows, fewer than n_clusters=4"):
        fitted = model(n_clusters=4, temperature=temperature, init=init).fit(x)
    assert np.isfinite(fitted.cluster_centers_).all()
    np.testing.assert_allclose(np.unique(fitted.cluster_centers_.round(4), axis=0), [[0.0, 1.0], [5.0, 5.0]])
    assert fitted.inertia_ == pytest.approx(0, abs=1e-8)
    np.testing.assert_allclose(fitted.predict_proba(x).sum(1), 1.0)


@pytest.mark.slow
@pytest.mark.parametrize("value", [0.0, 3.0, -1e8, 1e-30, 1e-150, 1e-300, 1e150])
@pytest.mark.parametrize("solver", ["em", "adam", "lbfgs"])
def test_constant_data(solver, value):
    x = np.full((10, 2), value)
    with pytest.warns(ConvergenceWarning, match="1 distinct rows"):
        fitted = model(n_clusters=2, solver=solver).fit(x)
    np.testing.assert_allclose(fitted.cluster_centers_, x[:2], rtol=1e-12)
    np.testing.assert_allclose(fitted.predict_proba(x), 0.5)
    assert fitted.temperature_ > 0
    assert math.isfinite(fitted.score(x))
    assert (fitted.labels_ == 0).all()


def test_one_feature():
    x = np.array([0.0, 0.1, 0.2, 5.0, 5.1])[:, None]
    fitted = model(n_clusters=2).fit(x)
    np.testing.assert_array_equal(fitted.labels_, [0, 0, 0, 1, 1])
    np.testing.assert_allclose(fitted.cluster_centers_, [[0.1], [5.05]], atol=1e-6)


def with_bad_entries(value, *entries):
    x = X.copy()
    for entry in entries:
        x[entry] = value
    return x


@pytest.mark.parametrize("convert", [np.asarray, torch.tensor, pd.DataFrame], ids=["array", "tensor", "frame"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_nan_and_infinity_are_counted_and_the_first_is_named(value, convert):
    x = convert(with_bad_entries(value, (17, 1), (30, 0), (17, 0)))
    message = r"3 of 240 entries, the first in row 17, column 0 \(counted from 0\)"
    with pytest.raises(ValueError, match=message):
        model().fit(x)
    fitted = model().fit(convert(X))
    for method in [*METHODS, "score", "bic"]:
        with pytest.raises(ValueError, match=message):
            getattr(fitted, method)(x)


BAD = {
    "n_clusters": ({"n_clusters": 0}, "n_clusters=0: give a whole number of 1 or more"),
    "n_clusters text": ({"n_clusters": "3"}, "n_clusters='3'"),
    "temperature": (
        {"temperature": 0},
        "temperature=0: give a finite number above 0, one for each cluster, or one of auto, per-cluster",
    ),
    "temperature name": ({"temperature": "warm"}, "temperature='warm'"),
    "solver": ({"solver": "sgd"}, "solver='sgd' is not known: choose one of auto, em, lbfgs, adam"),
    "init": ({"init": "kmeans"}, r"init='kmeans' is not known: choose one of k-means\+\+, k-means\|\|, random"),
    "init shape": ({"init": X[:2]}, r"init has shape \(2, 2\), expected .* \(3, 2\)"),
    "init none": ({"init": None}, "init"),
    "n_init": ({"n_init": 0}, "n_init=0"),
    "max_iter": ({"max_iter": 0.5}, "max_iter=0.5"),
    "tol": ({"tol": -1}, "tol=-1"),
    "distance": ({"distance": "l1"}, "distance='l1' is not known"),
    "random_state text": ({"random_state": "x"}, "random_state='x': expected an integer from 0 to"),
    "random_state negative": ({"random_state": -1}, "random_state=-1: expected"),
    "device without numbers": ({"device": "meta"}, "device='meta' can't be used"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_parameters_are_named(case):
    arguments, message = BAD[case]
    with pytest.raises(InputError, match=message) as caught:
        model(**arguments).fit(X)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (torch.zeros(5), r"shape \(5,\), expected \(n, d\): use x.reshape\(-1, 1\)"),
        (torch.zeros(5, 2, 2), r"shape \(5, 2, 2\)"),
        (torch.zeros(0, 2), "at least one row"),
        (torch.zeros(5, 0), "at least one row and one feature"),
        (torch.zeros(5, 2, dtype=torch.complex64), "expected real numbers"),
        (torch.eye(4).to_sparse(), "sparse|dense"),
    ],
    ids=["one dimension", "three dimensions", "no rows", "no features", "complex", "sparse"],
)
def test_bad_tensors_are_named(x, message):
    with pytest.raises(InputError, match=message):
        model().fit(x)


def test_a_wrong_number_of_features_is_refused():
    for x in (X, torch.tensor(X)):
        fitted = model().fit(x)
        with pytest.raises(ValueError, match=r"X has 1 features, but SoftKMeans (is expecting|was fitted with) 2"):
            fitted.predict(x[:, :1])


def test_silent_by_default(capfd):
    fitted = model(n_init=2).fit(X)
    for method in [*METHODS, "score", "bic", "aic"]:
        getattr(fitted, method)(X)
    fitted.sample(3)
    assert capfd.readouterr() == ("", "")
    model(verbose=2).fit(X)
    out, err = capfd.readouterr()
    assert "loss" in out
    assert err == ""


@pytest.mark.parametrize("verbose", [0, 1, 2])
def test_verbosity_changes_no_number(verbose):
    np.testing.assert_array_equal(model(verbose=verbose).fit(X).cluster_centers_, model().fit(X).cluster_centers_)


@pytest.mark.slow
@pytest.mark.parametrize("solver", ["adam", "em", "lbfgs"])
@pytest.mark.parametrize("distance", DISTANCES)
@pytest.mark.parametrize("temperature", ["auto", 0.3])
def test_solvers_agree(temperature, distance, solver):
    common = {"distance": distance, "temperature": temperature, "tol": 1e-10, "max_iter": 5000}
    fitted, em = model(solver=solver, **common).fit(X), model(**common).fit(X)
    np.testing.assert_allclose(fitted.predict_proba(X), em.predict_proba(X), atol=1e-3)
    assert fitted.score(X) == pytest.approx(em.score(X), rel=1e-6)
    assert fitted.converged_


@pytest.mark.slow
@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
@pytest.mark.parametrize("distance", DISTANCES)
@pytest.mark.parametrize("solver", ["em", "adam"])
def test_the_gradient_mode_of_the_caller_makes_no_difference(solver, distance, mode):
    expected = model(solver=solver, distance=distance).fit(X)
    with mode():
        fitted = model(solver=solver, distance=distance).fit(X)
        score = fitted.score(X)
    assert score == expected.score(X)
    np.testing.assert_array_equal(fitted.cluster_centers_, expected.cluster_centers_)


def test_scaling_all_weights_changes_nothing():
    plain = model().fit(X, sample_weight=W)
    for factor in (1e-200, 1e12, 1e200):
        fitted = model().fit(X, sample_weight=W * factor)
        np.testing.assert_allclose(fitted.cluster_centers_, plain.cluster_centers_, rtol=1e-9)
        assert fitted.n_iter_ == plain.n_iter_


def test_rows_of_zero_weight_are_ignored_but_get_labels():
    w = (Y != 2).astype(float)
    fitted = model(n_clusters=2).fit(X, sample_weight=w)
    without = model(n_clusters=2).fit(X[Y != 2])
    np.testing.assert_allclose(fitted.cluster_centers_, without.cluster_centers_, rtol=1e-9)
    np.testing.assert_array_equal(fitted.labels_, without.predict(X))


NO_SPREAD = {
    "one cluster": SoftKMeans(1, temperature=1e-6),
    "soft": SoftKMeans(2, temperature=1e-6, random_state=0),
    "fuzzy": FuzzyCMeans(2, random_state=0),
}


@pytest.mark.parametrize("name", NO_SPREAD)
def test_no_figure_is_minus_zero(name):
    model = NO_SPREAD[name]
    x = np.array([[1.0, 2.0], [3.0, 4.0]][: model.n_clusters]).repeat(5, axis=0)
    model.fit(x)
    names = ("objective_", "distortion_", "inertia_", "free_energy_", "entropy_")
    figures = [getattr(model, name) for name in names if hasattr(model, name)]
    values = np.array([*figures, *model.predict_proba(x).ravel()])
    assert not np.signbit(values[values == 0]).any()
    assert (values == 0).any()


@pytest.mark.parametrize("model", [SoftKMeans(3), FuzzyCMeans(3)], ids=lambda model: type(model).__name__)
def test_a_generator_is_a_random_state_and_a_number_a_weight_of_all_rows(model):
    one, other = (clone(model).set_params(random_state=np.random.default_rng(3)) for _ in range(2))
    one.fit(X)
    other.fit(X, sample_weight=2.5)
    np.testing.assert_allclose(one.cluster_centers_, other.cluster_centers_, rtol=1e-9)
    assert other.cluster_weights_.sum() == pytest.approx(2.5 * len(X))
    with pytest.raises(InputError, match=r"sample_weight has \d+ negative values"):
        other.fit(X, sample_weight=-1.0)


@pytest.mark.parametrize("change", ["centers in place", "centers", "temperature", "priors", "distance", "noise"])
def test_answers_follow_attributes_that_change(change):
    """Small models are kept between calls; not if one of their numbers is another."""
    X = np.random.default_rng(0).normal(size=(60, 2))
    model = SoftKMeans(3, priors="learned", random_state=0).fit(X)
    before = model.predict_proba(X)
    np.testing.assert_array_equal(model.predict_proba(X), before)
    match change:
        case "centers in place":
            model.cluster_centers_ += [[1.0, 0.0], [0.0, 0.0], [0.0, 0.0]]
        case "centers":
            model.cluster_centers_ = model.cluster_centers_[::-1]
        case "temperature":
            model.temperature_ *= 2
        case "priors":
            model.priors_ = np.array([0.1, 0.1, 0.8])
        case "distance":
            model.distance = "euclidean"
        case "noise":
            model.noise_distance, model.priors_ = 1.0, model.priors_ * 0.9
    after = model.predict_proba(X)
    assert np.abs(after - before).max() > 1e-3
    again = copy.deepcopy(model)
    again.cluster_centers_ = again.cluster_centers_ + 1e-300  # another key, the same model
    np.testing.assert_allclose(again.predict_proba(X), after, rtol=0, atol=1e-12)
