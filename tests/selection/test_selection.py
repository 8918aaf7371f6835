"""Test the selection of the number of clusters against densities of scikit-learn and SciPy, and closed forms."""

import math
import sys
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_array
from scipy.special import logsumexp
from scipy.stats import multivariate_normal, norm
from sklearn.mixture import GaussianMixture

from helpers.fuzzing import examples
from softkmeans import (
    FuzzyCMeans,
    InputError,
    MissingExtraError,
    SoftKMeans,
    annealing_path,
    metrics,
    seeding,
    select_n_clusters,
)
from softkmeans.data import as_source
from softkmeans.selection import COVARIANCE_TYPES, CRITERIA, criterion, fits, result
from softkmeans.selection.information_criteria import candidates
from softkmeans.temperature import Calibrated

# Most tests here are about scores, and try few numbers of clusters.
pytestmark = pytest.mark.filterwarnings("ignore:.*are the end of the range", "ignore:.*criteria select")


def blobs(k, d=2, n=40, sep=8.0, seed=0):
    """Return spherical clusters of variance 1, n rows each; the distance of the nearest two means is `sep`."""
    rng = np.random.default_rng(seed)
    means = rng.normal(size=(k, d))
    gaps = np.linalg.norm(means[:, None] - means, axis=2) + np.diag(np.full(k, np.inf))
    return np.repeat(means * sep / gaps.min(), n, 0) + rng.normal(size=(k * n, d))


def choose(x, k_range=range(1, 6), *, cv=0, path=False, random_state=0, **given):
    """Select the number of clusters, with quick settings by default."""
    given = {"estimator": SoftKMeans()} | given
    return select_n_clusters(x, k_range, cv=cv, path=path, random_state=random_state, **given)


X = blobs(3)
W = np.random.default_rng(1).integers(0, 4, len(X))


@pytest.fixture(scope="module")
def full():
    return select_n_clusters(X, range(1, 6), cv=3, random_state=0)


# The selected number.


@pytest.mark.slow
@pytest.mark.parametrize(("k", "d"), [(2, 1), (3, 2), (4, 16)])
def test_criteria_select_the_number_of_well_separated_clusters(k, d):
    found = select_n_clusters(blobs(k, d), [k - 1, k, k + 1], cv=2, random_state=0)
    for name in ("bic", "icl", "held_out", "fuzzy_silhouette", "lifetime"):
        assert found.choices[name] == k, name
    assert found.choices.keys() == CRITERIA.keys()
    assert (found.n_clusters, found.criterion, found.covariance_type) == (k, "bic", "spherical")
    assert found.confidence > 0.8
    assert found.model is found.models[k]
    assert repr(found) == f"Selection(n_clusters={k}, criterion='bic', confidence={found.confidence:.2f})"


SPREADS = {
    "spherical": np.diag([1.0, 1.0, 1.0]),
    "tied_diag": np.diag([1.0, 5.0, 25.0]),
    "tied": np.array([[1.0, 0.9, 0.0], [0.9, 1.0, 0.3], [0.0, 0.3, 1.0]]),
}


@pytest.mark.slow
@pytest.mark.parametrize("shape", COVARIANCE_TYPES)
def test_one_cluster_of_any_shape_is_recognized(shape):
    x = np.random.default_rng(0).multivariate_normal([0, 0, 0], SPREADS[shape], 400)
    found = choose(x)
    assert found.choices["bic"] == found.choices["icl"] == 1
    assert found.covariance_type == shape


@pytest.mark.parametrize("shape", COVARIANCE_TYPES)
def test_clusters_of_any_shape(shape):
    y = np.repeat([0, 1, 2], 60)
    x = 20 * np.eye(3)[y] + np.random.default_rng(0).multivariate_normal([0, 0, 0], SPREADS[shape], 180)
    found = choose(x)
    assert (found.n_clusters, found.covariance_type) == (3, shape)
    assert found.scores["bic"].tolist() == found.scores[f"bic_{shape}"].tolist()
    assert found.suggests_calibrated == (shape != "spherical")


@pytest.mark.parametrize(
    ("temperature", "suggested"), [("auto", True), (2.0, True), ("calibrated", False), (Calibrated(), False)]
)
def test_calibrated_memberships_are_suggested_once(temperature, suggested):
    x = np.random.default_rng(0).multivariate_normal([0, 0, 0], SPREADS["tied"], 200)
    found = choose(x, [1, 2], estimator=SoftKMeans(temperature=temperature))
    assert found.covariance_type == "tied"
    assert found.suggests_calibrated == suggested


@pytest.mark.slow
@pytest.mark.parametrize("criterion", CRITERIA)
def test_the_given_criterion_selects(criterion):
    x = blobs(3, sep=3.2, n=30, seed=1)
    settings = {"cv": 2} if criterion == "held_out" else {"path": criterion == "lifetime"}
    found = choose(x, [1, 2, 3], criterion=criterion, n_resamples=2, **settings)
    assert (found.n_clusters, found.criterion) == (found.choices[criterion], criterion)


@pytest.mark.slow
def test_choices_are_the_best_values_of_their_columns(full):
    n_clusters, scores = full.scores["n_clusters"], full.scores
    for name in ("bic", "icl", "xie_beni"):
        assert full.choices[name] == n_clusters[np.nanargmin(scores[name])]
    for name in ("fuzzy_silhouette", "partition_coefficient", "lifetime"):
        assert math.isnan(scores[name][0])  # not defined for one cluster
        assert full.choices[name] == n_clusters[np.nanargmax(scores[name])]


@pytest.mark.parametrize(
    ("values", "errors", "index"),
    [
        ([1.0, 5.0, 5.4, 5.5], [1.0, 0.4, 0.2, 0.0], 2),  # 5.4 is within 0.2 of the best, 5.0 not within 0.4
        ([1.0, 5.0, 5.4, 5.5], [1.0, 0.5, 0.2, 0.0], 1),
        ([1.0, 5.0, 5.4, 5.5], [4.5, 0.0, 0.0, 0.0], 0),
        ([1.0, 5.0, 5.4, 5.5], [0.0, 0.0, 0.0, 0.0], 3),
        ([6.0, 5.0, 5.9, 5.5], [0.0, 2.0, 2.0, 2.0], 0),
        ([math.nan, 5.0, 5.9, math.nan], [math.nan, 0.5, 0.0, math.nan], 2),
    ],
)
def test_held_out_selects_the_smallest_number_within_a_standard_error(values, errors, index):
    assert CRITERIA["held_out"].choose(np.array(values), np.array(errors)) == index


# The likelihoods.


def reference(x, model, shape):
    """Return scikit-learn's mixture with the results of the fit, and covariances that are summed row by row."""
    k = len(model.cluster_centers_)
    resp = model.predict_proba(x).astype(float)
    means, fractions = (resp.T @ x) / resp.sum(0)[:, None], resp.mean(0)
    deviations = x[:, None] - means  # (n, k, d)
    within = np.einsum("nk,nki,nkj->ij", resp, deviations, deviations) / len(x)
    covariance, precision = {
        "spherical": lambda: (np.full(k, model.temperature_ / 2), np.full(k, (2 / model.temperature_) ** 0.5)),
        "tied_diag": lambda: (np.tile(within.diagonal(), (k, 1)), np.tile(within.diagonal() ** -0.5, (k, 1))),
        "tied": lambda: (within, np.linalg.cholesky(np.linalg.inv(within))),
    }[shape]()
    mixture = GaussianMixture(k, covariance_type="diag" if shape == "tied_diag" else shape)
    mixture.covariances_, mixture.precisions_cholesky_ = covariance, precision
    mixture.weights_, mixture.means_ = fractions, means
    if shape == "spherical":
        mixture.weights_, mixture.means_ = model.priors_, model.cluster_centers_
    return mixture


UNITS = {
    "unchanged": (0, 1),
    "far away": (1e3, 1),
    "small": (1e3, 1e-3),
    "large": (1e3, 1e6),
    "far and large": (-1e5, 1e6),
}


@pytest.mark.parametrize("units", UNITS)
@pytest.mark.parametrize("shape", COVARIANCE_TYPES)
@pytest.mark.parametrize("k", [3])
def test_log_densities_match_scikit_learn(k, shape, units):
    shift, scale = UNITS[units]
    x = (blobs(3, d=3, sep=3) @ np.array([[1, 0.5, 0], [0, 2, 0], [0, 0.3, 1]]) + shift) * scale
    model, source = SoftKMeans(k, random_state=0, tol=1e-9).fit(x), as_source(x)
    options = candidates(source, {k: fits.Mixtures(model, model)}, len(x))
    (option,) = (option for option in options if option.covariance_type == shape)
    rows = np.vstack([x[::7], x[:5] + 20 * scale])  # including rows that were not fitted
    (block,) = as_source(rows).blocks()
    expected = reference(x, model, shape).score_samples(rows)
    np.testing.assert_allclose(option.log_density(block).numpy(), expected, rtol=1e-6)


def test_bic_by_covariance_and_its_number_of_parameters():
    n, d = X.shape
    found = choose(X, estimator=SoftKMeans(priors="learned"))
    for place, (k, model) in enumerate(found.models.items()):
        for shape, n_parameters in {
            "spherical": k * d + k,
            "tied_diag": k * d + k - 1 + d,
            "tied": k * d + k - 1 + 3,
        }.items():
            total = reference(X, model, shape).score_samples(X).sum()
            expected = n_parameters * math.log(n) - 2 * total
            assert found.scores[f"bic_{shape}"][place] == pytest.approx(expected, rel=1e-7)
        assert found.scores["bic_tied"][place] == pytest.approx(reference(X, model, "tied").bic(X), rel=1e-7)


TEMPLATES = {
    "default": {},
    "temperature given": {"temperature": 0.7},
    "a temperature each": {"temperature": "per-cluster"},
    "calibrated": {"temperature": "calibrated"},
    "half precision": {"dtype": "float16"},
    "noise": {"noise_distance": 30.0},
    "euclidean": {"distance": "euclidean"},
    "cosine": {"distance": "cosine"},
}


@pytest.mark.filterwarnings("ignore:.*centers coincide")
@pytest.mark.slow
@pytest.mark.parametrize("name", TEMPLATES)
def test_spherical_clusters_are_those_of_the_model_with_learned_priors(name):
    template = SoftKMeans(**TEMPLATES[name], priors="learned")
    found = choose(X, [1, 2, 4], estimator=template, sample_weight=W, weights="counts")
    kept = found.scores.get("bic_spherical", found.scores["bic"])
    for value, model in zip(kept, found.models.values(), strict=True):
        assert value == pytest.approx(model.bic(X, sample_weight=W), rel=1e-9)
        assert {n: v for n, v in model.get_params().items() if n in TEMPLATES[name]} == TEMPLATES[name]
    spherical_only = {"noise", "euclidean", "cosine"}
    assert ("bic_tied" in found.scores) == (name not in spherical_only)
    assert not hasattr(template, "cluster_centers_")
    assert template.get_params() == SoftKMeans(**TEMPLATES[name], priors="learned").get_params()


def test_icl_is_bic_plus_twice_the_entropy(full):
    for place, model in enumerate(full.models.values()):
        resp = model.predict_proba(X)
        entropy = -(resp * np.log(np.where(resp > 0, resp, 1))).sum()
        assert full.scores["icl"][place] - full.scores["bic"][place] == pytest.approx(2 * entropy, abs=1e-6)
        assert full.scores["perplexity"][place] == pytest.approx(math.exp(entropy / len(X)), rel=1e-9)
        assert full.scores["temperature"][place] == model.temperature_
        assert full.scores["inertia"][place] == model.inertia_


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("std", [1e-2, 1e-3])
def test_small_clusters_far_apart_and_far_from_the_origin(std, dtype):
    """With centers in float32, rounding errors would exceed the variance within clusters."""
    y = np.repeat([0, 1, 2, 3], 50)
    x = 1e2 + 10 * np.array([[0, 0], [0, 1], [1, 0], [1.3, 1.1]])[y]
    x = (x + std * np.random.default_rng(0).normal(size=x.shape) * [1, 3]).astype(dtype)
    found = choose(x)
    assert (found.n_clusters, found.covariance_type) == (4, "tied_diag")
    own = x.astype(float) - np.array([x[y == j].astype(float).mean(0) for j in range(4)])[y]
    density = norm.logpdf(own, scale=own.std(0)).sum() - 200 * math.log(4)
    assert found.scores["bic_tied_diag"][3] == pytest.approx((4 * 2 + 3 + 2) * math.log(200) - 2 * density, rel=1e-6)


@pytest.mark.slow
def test_clusters_of_very_small_variance_have_a_likelihood():
    x = np.repeat([[0.0, 0], [0, 1], [3, 0.5]], 30, 0) + 1e-5 * np.random.default_rng(0).normal(size=(90, 2))
    found = choose(x, [2, 3, 4], path=True)
    assert found.choices["lifetime"] == 3
    assert found.n_clusters == 3
    assert np.isfinite(found.scores["bic"]).all()


# Held-out rows.


class Folds:
    """Replace scikit-learn's KFold: fold f has every row of index f modulo n_splits, for any seed."""

    def __init__(self, n_splits, *, shuffle, random_state):
        self.n_splits = n_splits

    def split(self, x):
        numbers = np.arange(len(x))
        return [
            (numbers[numbers % self.n_splits != f], numbers[numbers % self.n_splits == f]) for f in range(self.n_splits)
        ]


@pytest.mark.slow
@pytest.mark.parametrize(("shape", "weighted"), [("spherical", True), ("tied", False), ("tied", True)])
def test_held_out_by_hand(shape, weighted, monkeypatch):
    monkeypatch.setattr(fits, "KFold", Folds)
    x = np.random.default_rng(3).permutation(blobs(3, sep=5)) @ (
        np.eye(2) if shape == "spherical" else [[1, 0.9], [0, 1]]
    )
    w = np.random.default_rng(1).uniform(0.5, 2, len(x)) if weighted else np.ones(len(x))
    template = SoftKMeans(priors="learned")
    found = choose(x, [1, 3, 5], cv=3, sample_weight=w if weighted else None, estimator=template)
    assert found.covariance_type == shape
    scores = np.empty((3, 3))
    for fold in range(3):
        out = np.arange(len(x)) % 3 == fold
        for column, (k, model) in enumerate(found.models.items()):
            again = SoftKMeans(k, init=model.cluster_centers_, priors="learned").fit(x[~out], sample_weight=w[~out])
            resp = again.predict_proba(x[~out]) * w[~out, None]
            means, fractions = resp.T @ x[~out] / resp.sum(0)[:, None], resp.sum(0) / resp.sum()
            deviations = x[~out][:, None] - means
            within = np.einsum("nk,nki,nkj->ij", resp, deviations, deviations) / resp.sum()
            if shape == "spherical":
                within, means, fractions = again.temperature_ / 2, again.cluster_centers_, again.priors_
            parts = [multivariate_normal(mean, within).logpdf(x[out]) for mean in means]
            scores[fold, column] = np.average(logsumexp(parts, axis=0, b=fractions[:, None]), weights=w[out])
    mean = np.average(scores, axis=0, weights=[w[fold::3].sum() for fold in range(3)])
    below = scores[:, [mean.argmax()]] - scores
    np.testing.assert_allclose(found.scores["held_out"], mean, rtol=1e-6)
    np.testing.assert_allclose(found.scores["held_out_se"], below.std(0, ddof=1) / 3**0.5, atol=1e-6)
    first = int(np.argmax(mean >= mean.max() - below.std(0, ddof=1) / 3**0.5))
    assert found.choices["held_out"] == [1, 3, 5][first]


@pytest.mark.parametrize("scores", [[[-math.inf, -math.inf], [1.0, 2.0]], [[-math.inf, 2.0], [1.0, 3.0]]])
def test_standard_errors_of_infinite_scores_are_not_defined_and_warn_of_nothing(scores):
    """A feature that is constant in the other rows, such as a rare word, makes a held-out row impossible."""
    folds = criterion.Folds(np.array(scores), np.ones(2))
    errors = CRITERIA["held_out"].errors(SimpleNamespace(folds=folds))
    assert np.isnan(errors[0])
    assert CRITERIA["held_out"].choose(np.mean(scores, 0), errors) == (1 if scores[0][1] > 0 else 0)


def test_held_out_is_near_the_density_of_the_true_distribution():
    x = np.random.default_rng(0).normal(size=(1500, 2))
    found = choose(x, [1, 2], cv=5, criterion="held_out")
    assert found.scores["held_out"][0] == pytest.approx(-1 - math.log(2 * math.pi), abs=0.06)  # -entropy of the normal


def test_numbers_with_too_few_rows_outside_a_fold_have_no_held_out_score():
    x = np.random.default_rng(0).normal(size=(8, 20))
    held_out = choose(x, range(1, 8), cv=2).scores["held_out"]
    assert np.isfinite(held_out[:2]).all()  # with at least two of the four rows outside a fold for each cluster
    assert np.isnan(held_out[2:]).all()


def test_rows_without_weight_are_in_no_fold():
    w = np.r_[np.ones(60), np.zeros(60)]
    found = choose(X, [1, 2, 3], cv=4, sample_weight=w)
    alone = choose(X[:60], [1, 2, 3], cv=4)
    np.testing.assert_allclose(found.scores["held_out"], alone.scores["held_out"], rtol=1e-5)


# Soft indices and lifetimes.


@pytest.mark.filterwarnings("ignore:.*centers coincide")
@pytest.mark.parametrize("name", ["default", "noise", "cosine"])
def test_soft_indices_match_the_metrics(name):
    found = choose(X, [1, 2, 4], estimator=SoftKMeans(**TEMPLATES[name]), sample_weight=W)
    rows = X / np.linalg.norm(X, axis=1, keepdims=True) if name == "cosine" else X
    for place, model in enumerate(found.models.values()):
        resp = model.predict_proba(X)
        noise = 1 - resp.sum(1)
        parts = np.column_stack([resp, noise * (noise > 1e-12)])
        entropy = -(W[:, None] * parts * np.log(np.where(parts > 0, parts, 1))).sum() / W.sum()
        assert found.scores["perplexity"][place] == pytest.approx(math.exp(entropy), rel=1e-6)
        if place == 0:
            continue
        given = {"centers": model.cluster_centers_, "sample_weight": W}
        for score, expected in {
            "fuzzy_silhouette": metrics.fuzzy_silhouette(rows, resp, **given),
            "xie_beni": metrics.xie_beni(rows, resp, **given),
            "partition_coefficient": metrics.modified_partition_coefficient(resp, sample_weight=W),
        }.items():
            assert found.scores[score][place] == pytest.approx(expected, rel=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("distance", ["sqeuclidean", "euclidean"])
def test_lifetimes_match_the_annealing_path(distance):
    x = blobs(4, sep=5, seed=2)
    found = choose(x, [1, 2, 4], path=True, estimator=SoftKMeans(distance=distance))
    lifetimes = annealing_path(x, max_clusters=5, distance=distance).lifetimes()
    expected = [math.nan, *(lifetimes.get(k, 0.0) for k in (2, 4))]
    np.testing.assert_allclose(found.scores["lifetime"], expected, rtol=1e-9)
    assert found.choices["lifetime"] == max((2, 4), key=lambda k: lifetimes.get(k, 0.0))


@pytest.mark.slow
@pytest.mark.parametrize("std", [1e-1, 1e-4])
def test_the_lifetime_of_two_small_clusters(std):
    """It lasts from T = 2 λ of all rows to 2 λ of the larger cluster."""
    x = np.repeat([-1.0, 1.0], 50) + std * np.random.default_rng(0).normal(size=100)
    found = choose(x[:, None], [1, 2], path=True)
    expected = math.log(x.var() / max(x[:50].var(), x[50:].var()))
    assert found.scores["lifetime"][1] == pytest.approx(expected, abs=0.15)
    assert found.choices["lifetime"] == 2


# Confidence.


def test_confidence_is_high_for_well_separated_clusters_only():
    clear, unclear = choose(blobs(2, n=50)), choose(blobs(2, d=1, n=25, sep=3.2), [1, 2, 3])
    assert clear.confidence > 0.95
    assert 0 < unclear.confidence < 0.9


def test_confidence_is_that_of_the_selected_number():
    """If another criterion selects a number that BIC hardly ever selects, confidence is low."""
    x = np.random.default_rng(0).normal(size=(200, 2))
    found = choose(x, range(1, 5), criterion="partition_coefficient")
    assert found.choices["bic"] == 1 < found.n_clusters
    assert found.confidence < 0.1


# Invariances.

COUNTED = ("bic", "icl", "fuzzy_silhouette", "xie_beni", "partition_coefficient", "lifetime", "temperature", "inertia")


@pytest.mark.slow
def test_a_weight_is_equivalent_to_a_repeated_row():
    x = blobs(3, sep=4)
    weighted = choose(x, [1, 3, 4], path=True, sample_weight=W, weights="counts")
    repeated = choose(np.repeat(x, W, 0), [1, 3, 4], path=True)
    for name in (*COUNTED, "perplexity", "bic_tied_diag", "bic_tied"):
        np.testing.assert_allclose(weighted.scores[name], repeated.scores[name], rtol=1e-4, err_msg=name)
    assert weighted.choices == repeated.choices


@pytest.mark.slow
@pytest.mark.parametrize("scale", [1e-6, 1e6])
def test_scaling_the_data_changes_no_choice(scale):
    x = blobs(3, sep=3.5, n=20)
    plain, scaled = (choose(x * s, [2, 3], cv=2, path=True) for s in (1, scale))
    assert scaled.choices == plain.choices
    assert (scaled.confidence, scaled.covariance_type) == (plain.confidence, plain.covariance_type)
    for shape in COVARIANCE_TYPES:
        moved = scaled.scores[f"bic_{shape}"] - 2 * x.size * math.log(scale)
        np.testing.assert_allclose(moved, plain.scores[f"bic_{shape}"], rtol=1e-6)


@pytest.mark.slow
@examples(5)
@given(
    k=st.integers(1, 3),
    d=st.integers(1, 3),
    sep=st.floats(2, 8),
    seed=st.integers(0, 2**32 - 1),
    shift=st.sampled_from([0.0, -50.0, 1e4]),
)
@pytest.mark.filterwarnings("ignore:.*centers coincide")
def test_the_order_and_origin_of_the_rows_change_nothing(k, d, sep, seed, shift):
    x, rng = blobs(k, d, 15, sep, seed), np.random.default_rng(seed)
    plain, moved = (choose(rows, [1, 2, 4], n_resamples=9) for rows in (x, rng.permutation(x) + shift))
    for name in COUNTED:
        if name in plain.scores:
            np.testing.assert_allclose(moved.scores[name], plain.scores[name], rtol=1e-3, atol=1e-3, err_msg=name)
    for found in (plain, moved):
        assert set(found.choices.values()) <= {1, 2, 4}
        assert 0 <= found.confidence <= 1


@pytest.mark.parametrize("make", [lambda: 7, lambda: np.random.default_rng(7)])
def test_results_depend_on_the_seed_only_and_inputs_are_not_changed(make):
    x, w = X.copy(), W.copy()
    before = np.random.get_state()[1].copy(), torch.get_rng_state()  # noqa: NPY002 -- must not change
    first, second = (choose(x, [1, 3], cv=2, sample_weight=w, random_state=make()) for _ in range(2))
    for name, values in first.scores.items():
        np.testing.assert_array_equal(values, second.scores[name])
    assert first.confidence == second.confidence
    np.testing.assert_array_equal(np.random.get_state()[1], before[0])  # noqa: NPY002
    assert torch.equal(torch.get_rng_state(), before[1])
    np.testing.assert_array_equal(x, X)
    np.testing.assert_array_equal(w, W)


def test_different_seeds_give_different_results():
    x = blobs(2, d=1, n=25, sep=3.2)
    assert len({choose(x, [1, 2, 3], random_state=seed).confidence for seed in range(3)}) > 1


# Formats of tables.

FORMS = {
    "pandas": lambda x: pd.DataFrame(x, columns=["a", "b"]),
    "polars": lambda x: pl.DataFrame(x, schema=["a", "b"]),
    "pyarrow": lambda x: pa.table({"a": x[:, 0], "b": x[:, 1]}),
    "tensor with a gradient": lambda x: torch.tensor(x, requires_grad=True),
    "float32": lambda x: torch.tensor(x, dtype=torch.float32),
    "CSR": csr_array,
}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("form", "name"),
    [*((form, "default") for form in FORMS), ("pandas", "noise"), ("CSR", "cosine")],
)
def test_forms_of_the_same_rows(form, name):
    x, w = X[::4], W[::4] + 1
    plain, found = (
        choose(
            rows,
            [1, 3],
            cv=2 * (name == "default"),
            n_resamples=3,
            estimator=SoftKMeans(**TEMPLATES[name]),
            sample_weight=weight,
        )
        for rows, weight in ((x, w), (FORMS[form](x), pd.Series(w) if form == "pandas" else w.tolist()))
    )
    assert found.choices == plain.choices
    rtol = 1e-3 if form == "float32" else 1e-7
    for column, values in plain.scores.items():
        np.testing.assert_allclose(found.scores[column], values, rtol=rtol, atol=1e-3 * rtol, err_msg=column)
    assert found.models[3].predict(FORMS[form](X)).shape == (len(X),)


def without(*missing):
    """Return narwhals' from_dict as if some libraries were not installed."""
    known = result.nw.from_dict

    def from_dict(data, *, backend):
        if backend in missing:
            raise ModuleNotFoundError(backend)
        return known(data, backend=backend)

    return from_dict


@pytest.mark.parametrize(
    ("missing", "kind"), [((), pd.DataFrame), (("pandas",), pl.DataFrame), (("pandas", "polars"), pa.Table)]
)
def test_the_table_uses_the_first_installed_library(full, missing, kind, monkeypatch):
    monkeypatch.setattr(result.nw, "from_dict", without(*missing))
    table = full.table
    assert isinstance(table, kind)
    columns = list(table.column_names if kind is pa.Table else table.columns)
    assert columns == list(full.scores)
    assert columns[:4] == ["n_clusters", "bic", "icl", "held_out"]
    np.testing.assert_array_equal(np.asarray(table["bic"]), full.scores["bic"])


def test_a_table_needs_a_library_of_frames(full, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "pandas", None)  # narwhals then raises as if it were not installed
        assert isinstance(full.table, pl.DataFrame)
    monkeypatch.setattr(result.nw, "from_dict", without("pandas", "polars", "pyarrow"))
    with pytest.raises(MissingExtraError, match=r"a table needs pyarrow: pip install 'softkmeans\[files\]'"):
        _ = full.table


# Special data.


def test_fewer_rows_than_features():
    found = choose(np.random.default_rng(0).normal(size=(12, 30)), [1, 2, 3])
    assert np.isnan(found.scores["bic_tied"]).all()
    assert np.isfinite(found.scores["bic_spherical"]).all()
    assert found.covariance_type != "tied"


@pytest.mark.slow
def test_repeated_rows():
    """Five clusters of equal rows have a high, but finite, likelihood."""
    x = np.repeat(np.random.default_rng(0).normal(size=(5, 2)), 9, 0)
    with pytest.warns(UserWarning, match="the rows have only 5 distinct values, and each is taken for a cluster"):
        found = choose(x, [1, 3, 5], path=True)
    assert found.n_clusters == found.choices["lifetime"] == 5  # at low T the path has five clusters
    assert np.isfinite(found.scores["bic"]).all()
    assert not found.at_end  # the rows allow no more


def test_as_many_clusters_as_rows_have_no_likelihood():
    x = np.random.default_rng(0).normal(size=(5, 2))
    found = choose(x, [1, 2, 3, 5])
    np.testing.assert_array_equal(np.isnan(found.scores["bic_spherical"]), [False, False, True, True])
    with pytest.raises(InputError, match="5 rows can't be divided into 4 clusters that have a variance: lower k_range"):
        choose(x, [4, 5])


def test_with_too_many_features_only_the_spherical_shape_is_used(monkeypatch):
    monkeypatch.setattr("softkmeans.selection.information_criteria.MAX_COVARIANCE_FEATURES", 1)
    found = choose(X)
    assert found.n_clusters == 3
    assert not [name for name in found.scores if name.startswith("bic_")]


@pytest.mark.parametrize("k_range", [[1, 3, 6], np.array([2, 3, 4]), (2, np.int32(3)), [3], iter([1, 3])])
def test_types_of_k_range(k_range):
    fitted, ks = list[int](), [1, 3] if not hasattr(k_range, "__len__") else [int(k) for k in k_range]
    found = choose(X, k_range, on_fit=fitted.append)
    assert found.n_clusters == 3
    assert fitted == ks == list(found.models) == found.scores["n_clusters"].tolist()
    assert [len(model.cluster_centers_) for model in found.models.values()] == ks


def test_disabled_criteria_have_no_column(full):
    assert {"held_out", "held_out_se", "lifetime"} <= full.scores.keys()
    found = choose(X, [1, 2])
    assert not {"held_out", "held_out_se", "lifetime"} & (found.scores.keys() | found.choices.keys())


@pytest.mark.filterwarnings("ignore:.*centers coincide")
@pytest.mark.parametrize("poor_start", ["grown", "new"])
def test_the_likelier_fit_of_two_starts_is_kept(poor_start, monkeypatch):
    """EM cannot leave a start with two of three centers in one of the blobs, far from the others."""
    x = blobs(2, d=2, sep=6, n=40) + np.repeat([[0.0, 0], [40, 0]], 40, 0)
    x = np.vstack([x, x[40:] + np.array([9, 0])])
    stuck, good = x[[0, 1, 60]], x[[0, 41, 81]]
    grown, new = (stuck, good) if poor_start == "grown" else (good, stuck)
    monkeypatch.setattr(fits, "grow_centers", lambda mixture, source, rows, k, rng: grown[:k])

    class Known(seeding.Seeding):
        def centers(self, source, n_clusters, n_init, distance, rng):
            yield source.scaling.transform(torch.tensor(new[:n_clusters]))

    seeding.SEEDINGS.register("known", Known)
    try:
        model = choose(x, [2, 3], estimator=SoftKMeans(init="known")).models[3]
    finally:
        seeding.SEEDINGS.unregister("known")
    inertias = [SoftKMeans(3, init=start).fit(x).inertia_ for start in (stuck, good)]
    assert model.inertia_ == pytest.approx(inertias[1], rel=1e-3)
    assert inertias[0] > 1.5 * inertias[1]


def test_inertia_decreases_with_more_clusters(full):
    for before, after in pairwise(full.scores["inertia"]):
        assert after < before


# Errors.


def spoilt():
    x = X.copy()
    x[3, 1] = np.nan
    return x


BAD = {
    "no number": (
        {"k_range": []},
        r"k_range=\[\] contains no number of clusters: give at least one, as in range\(1, 11\)",
    ),
    "a number": ({"k_range": 3}, "k_range=3 contains no number of clusters"),
    "falling": ({"k_range": [1, 3, 2]}, "k_range goes from 3 to 2: give numbers of clusters in increasing order"),
    "twice": ({"k_range": [2, 2]}, "k_range goes from 2 to 2: give numbers of clusters in increasing order"),
    "zero": ({"k_range": range(3)}, "a number of clusters in k_range=0: give a whole number of 1 or more"),
    "floats": ({"k_range": [1.0, 2.0]}, "a number of clusters in k_range=1.0: give a whole number"),
    "truth": ({"k_range": [True, 2]}, "a number of clusters in k_range=True: give a whole number"),
    "lists": ({"k_range": [[1], [2, 3]]}, r"a number of clusters in k_range=\[1\]: give a whole number"),
    "too many": (
        {"k_range": [1, 121]},
        "k_range goes up to 121 clusters, expected at most the 120 distinct rows: lower its end",
    ),
    "weights of few": (
        {"sample_weight": np.r_[1, 1, np.zeros(118)], "cv": 0},
        "k_range goes up to 5 clusters, expected at most the 2 distinct rows",
    ),
    "criterion": ({"criterion": "aic"}, "criterion='aic' is not known: choose one of bic, icl, held_out"),
    "no folds": (
        {"criterion": "held_out", "cv": 0},
        "criterion='held_out' is not supported with cv=0: change one of the two",
    ),
    "no path": ({"criterion": "lifetime", "path": False}, "criterion='lifetime' is not supported with path=False"),
    "one cluster": ({"k_range": [1], "criterion": "xie_beni"}, r"criterion='xie_beni' has no value for k_range=\[1\]"),
    "one fold": ({"cv": 1}, "cv=1 leaves no rows to fit: give 2 folds or more, or 0"),
    "many folds": ({"cv": 121}, "cv=121 is more than the 120 rows that have weight: lower it"),
    "folds by name": ({"cv": "five"}, "cv='five': give a whole number of 1 or more"),
    "resamples": ({"n_resamples": 0}, "n_resamples=0: give a whole number of 1 or more"),
    "fuzzy": (
        {"estimator": FuzzyCMeans()},
        "estimator is of type FuzzyCMeans, expected a SoftKMeans whose init is the name",
    ),
    "centers": ({"estimator": SoftKMeans(2, init=X[:2])}, "estimator has an init of type ndarray, expected"),
    "no mixture": (
        {"estimator": SoftKMeans(assignment="fuzzy")},
        "estimator has assignment='fuzzy', and so no likelihood: use assignment='softmax'",
    ),
    "NaN": ({"X": spoilt()}, "the data contains NaN or infinity: 1 of 240 entries, the first in row 3, column 1"),
    "one row": (
        {"X": np.ones((9, 2))},
        "all rows are the same, expected 2 distinct rows or more: they can only form one cluster",
    ),
    "weights": ({"sample_weight": np.ones(3)}, r"sample_weight has shape \(3,\), expected \(120,\)"),
}


@pytest.mark.parametrize("bad", BAD)
def test_errors_are_one_line_and_raised_before_the_fits(bad):
    given, message = BAD[bad]
    fitted = list[int]()
    with pytest.raises(InputError, match=message) as caught:
        select_n_clusters(**{"X": X, "k_range": range(1, 6), "path": True, "on_fit": fitted.append} | given)
    assert "\n" not in str(caught.value)
    assert fitted == ([1] if bad == "one cluster" else [])
