"""Test the stability of clusters against counts by hand, the diagnostics of a fit, and summaries."""

import importlib
import itertools
import re
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.sparse import csr_array
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from softkmeans import FuzzyCMeans, InputError, SoftKMeans, SoftKMeansLayer, load, save, summarize
from softkmeans.errors import Setting
from softkmeans.selection import RESAMPLES, Stability, stability
from softkmeans.selection.diagnostics import diagnose
from softkmeans.temperature import Fixed

module = importlib.import_module("softkmeans.selection.stability")  # the package attribute of this name is the function


def blobs(k, n=30, sep=8.0, seed=0, std=1.0):
    """Return spherical clusters of n rows each, with means on a zigzag line; their first features differ by `sep`."""
    rng = np.random.default_rng(seed)
    index = np.arange(k)
    means = sep * np.column_stack([index, index % 2])
    return np.repeat(means, n, 0) + std * rng.normal(size=(k * n, 2))


X = blobs(3)
FITTED = {
    "soft": SoftKMeans(3, n_init=3, random_state=0),
    "fuzzy": FuzzyCMeans(3, n_init=3, random_state=0),
    "noise": SoftKMeans(3, n_init=3, noise_distance=40.0, random_state=0),
}


# Stability.


@pytest.mark.slow
@pytest.mark.parametrize("resample", RESAMPLES)
@pytest.mark.parametrize("name", FITTED)
def test_well_separated_clusters_are_stable(name, resample):
    found = stability(FITTED[name].fit(X), X, n_resamples=8, resample=resample, random_state=0)
    assert found.clusters.shape == (3,)
    assert found.rows.shape == (90,)
    assert found.clusters.min() > 0.97
    assert found.rows.min() > (0.97 if name == "soft" else 0.6)
    assert found.unstable == []


@pytest.mark.slow
def test_more_clusters_than_blobs_are_not_stable():
    """Of four clusters on three blobs, two lie in the same blob."""
    model = SoftKMeans(4, n_init=3, random_state=0).fit(X)
    found = stability(model, X, n_resamples=10, random_state=0)
    blob = np.bincount(model.predict(X) * 3 + np.repeat([0, 1, 2], 30), minlength=12).reshape(4, 3)
    halves = np.flatnonzero(blob.max(1) < 29)
    assert len(halves) == 2
    assert set(found.clusters.argsort()[:2]) == set(halves)
    assert set(found.unstable) & set(halves)
    x = blobs(3, n=60)
    many = stability(SoftKMeans(6, n_init=3, random_state=0).fit(x), x, n_resamples=10, random_state=0)
    assert many.clusters.mean() < 0.85


def test_rows_between_clusters_are_less_stable_than_central_rows():
    x = blobs(2, n=60, sep=2.5)
    model = SoftKMeans(2, random_state=0).fit(x)
    rows, largest = stability(model, x, random_state=0).rows, model.predict_proba(x).max(1)
    assert (largest < 0.8).sum() > 3
    assert rows[largest < 0.8].max() < rows[largest > 0.99].min()


class Problem(NamedTuple):
    model: object
    rows: np.ndarray
    weight: np.ndarray | None


START = X[[0, 31, 62]]
BY_HAND = {
    "soft": Problem(SoftKMeans(3, init=START), blobs(3, sep=2.2), None),
    "soft, with weights": Problem(SoftKMeans(3, init=START), blobs(3, sep=2.2), np.arange(90) % 4 + 0.5),
    "noise": Problem(SoftKMeans(3, init=START, noise_distance=9.0), blobs(3, sep=2.2), None),
    "fuzzy": Problem(FuzzyCMeans(3, init=START[::-1].copy()), blobs(3, sep=2.2), None),
}


@pytest.mark.parametrize("name", BY_HAND)
def test_jaccard_by_hand(name, monkeypatch):
    """Compare with two known resamples, where partners are found by trying all orders."""
    model, x, w = BY_HAND[name]
    times = [np.arange(90) % 3, (np.arange(90) * 7) % 5]
    draws = iter(times)
    monkeypatch.setitem(RESAMPLES, "known", lambda n, rng: next(draws).astype(float))
    model = model.fit(x, sample_weight=w)
    found = stability(model, x, n_resamples=2, resample="known", sample_weight=w)
    own, ones = model.predict_proba(x), np.ones(90) if w is None else w
    clusters, row_stability = np.zeros((2, 3)), np.zeros((2, 90))
    for draw, counts in enumerate(times):
        rows = np.repeat(np.arange(90), counts)  # instead of weights
        again = type(model)(**model.get_params()).fit(x[rows], sample_weight=ones[rows])
        resp = again.predict_proba(x)
        order = max(itertools.permutations(range(3)), key=lambda o: (ones[:, None] * own * resp[:, o]).sum())
        resp = resp[:, order]
        clusters[draw] = (ones @ np.minimum(own, resp)) / (ones @ np.maximum(own, resp))
        row_stability[draw] = resp[np.arange(90), own.argmax(1)]
    np.testing.assert_allclose(found.clusters, clusters.mean(0), atol=1e-5)
    np.testing.assert_allclose(found.rows, row_stability.mean(0), atol=1e-4)
    assert found.clusters.max() < 0.99  # the clusters are not perfectly stable


def test_partners_are_found_in_any_order_of_the_clusters(monkeypatch):
    """Clusters are ordered by weight, and each resample gives equal clusters different weights."""
    orders = list[tuple[int, ...]]()

    def align(own, other, **given):
        orders.append(tuple(module_align(own, other, **given).tolist()))
        return np.array(orders[-1])

    module_align = module.align
    monkeypatch.setattr(module, "align", align)
    found = stability(FITTED["soft"].fit(X), X, n_resamples=8, random_state=0)
    assert len(set(orders)) > 1
    assert found.clusters.min() > 0.99
    monkeypatch.setattr(module, "align", lambda own, other, **given: np.arange(3))
    assert stability(FITTED["soft"].fit(X), X, n_resamples=8, random_state=0).clusters.min() < 0.8


def test_drawing_resamples():
    rng = np.random.default_rng(0)
    counts = np.array([RESAMPLES["bootstrap"](50, rng) for _ in range(2000)])
    assert (counts.sum(1) == 50).all()
    np.testing.assert_allclose(counts.mean(0), 1, atol=0.12)
    assert (counts == 0).mean() == pytest.approx((1 - 1 / 50) ** 50, abs=0.01)
    for n in (1, 2, 7, 50):
        half = RESAMPLES["half"](n, rng)
        assert set(half) <= {0.0, 1.0}
        assert half.sum() == -(-n // 2)


@pytest.mark.parametrize("resample", RESAMPLES)
def test_rows_without_weight_are_in_no_resample(resample):
    x, w = np.vstack([X, 100 + X[:60]]), np.r_[np.ones(90), np.zeros(60)]
    given = {"n_resamples": 4, "resample": resample, "random_state": 0}
    whole = stability(SoftKMeans(4, random_state=0).fit(x, sample_weight=w), x, sample_weight=w, **given)
    alone = stability(SoftKMeans(4, random_state=0).fit(X), X, **given)
    np.testing.assert_allclose(whole.clusters, alone.clusters, atol=1e-3)
    np.testing.assert_allclose(whole.rows[:90], alone.rows, atol=1e-3)
    only = np.r_[1.0, np.zeros(50), 1.0, np.zeros(38)]  # any resample contains one of the two
    assert np.isfinite(stability(SoftKMeans(1).fit(X), X, sample_weight=only, **given).clusters).all()


@pytest.mark.parametrize("scale", [1e-6, 1e6])
def test_scaling_the_data_changes_nothing(scale):
    x = blobs(3, n=20, sep=3)
    plain, scaled = (
        stability(SoftKMeans(3, random_state=0).fit(s * x), s * x, n_resamples=4, random_state=0) for s in (1, scale)
    )
    np.testing.assert_allclose(scaled.clusters, plain.clusters, atol=1e-4)


def test_results_depend_on_the_seed_only_and_inputs_are_not_changed():
    model = SoftKMeans(3, random_state=0, warm_start=True).fit(X)
    centers, x, w = model.cluster_centers_.copy(), X.copy(), np.ones(90)
    before = np.random.get_state()[1].copy(), torch.get_rng_state()  # noqa: NPY002 -- must not change
    numbers = list[int]()
    first, second, other = (
        stability(model, x, sample_weight=w, n_resamples=3, random_state=seed, on_fit=numbers.append)
        for seed in (5, 5, 6)
    )
    np.testing.assert_array_equal(first.rows, second.rows)
    assert (first.rows != other.rows).any()
    assert numbers == 3 * [1, 2, 3]
    np.testing.assert_array_equal(np.random.get_state()[1], before[0])  # noqa: NPY002
    assert torch.equal(torch.get_rng_state(), before[1])
    np.testing.assert_array_equal(model.cluster_centers_, centers)
    np.testing.assert_array_equal(x, X)
    assert (w == 1).all()


FORMS = {
    "tensor": torch.tensor,
    "frame": lambda x: pd.DataFrame(x, columns=["a", "b"]),
    "CSR": csr_array,
    "list": np.ndarray.tolist,
}


@pytest.mark.parametrize("form", FORMS)
def test_forms_of_the_same_rows(form):
    plain, found = (
        stability(SoftKMeans(4, random_state=0).fit(x), x, n_resamples=3, random_state=0) for x in (X, FORMS[form](X))
    )
    assert isinstance(found.clusters, np.ndarray)
    np.testing.assert_allclose(found.clusters, plain.clusters, atol=1e-6)
    np.testing.assert_allclose(found.rows, plain.rows, atol=1e-6)


BAD = {
    "pipeline": (
        lambda: stability(make_pipeline(StandardScaler(), SoftKMeans(2)).fit(X), X),
        InputError,
        "model is of type Pipeline, expected a fitted SoftKMeans or FuzzyCMeans: for a pipeline, give its last step",
    ),
    "not fitted": (lambda: stability(SoftKMeans(2), X), NotFittedError, "not fitted"),
    "resample": (
        lambda: stability(FITTED["soft"].fit(X), X, resample="jackknife"),
        InputError,
        "resample='jackknife' is not known: choose one of bootstrap, half",
    ),
    "none": (lambda: stability(FITTED["soft"].fit(X), X, n_resamples=0), InputError, "n_resamples=0: give a whole"),
    "features": (lambda: stability(FITTED["soft"].fit(X), X[:, :1]), ValueError, "X has 1 features"),
    "weights": (lambda: stability(FITTED["soft"].fit(X), X, sample_weight=[1.0]), InputError, "expected \\(90,\\)"),
    "diagnostics of a pipeline": (
        lambda: diagnose(make_pipeline(SoftKMeans(2)).fit(X)),
        InputError,
        "model is of type Pipeline, expected a fitted SoftKMeans or FuzzyCMeans: for a pipeline, give its last step",
    ),
    "diagnostics before a fit": (lambda: diagnose(SoftKMeans(2)), NotFittedError, "not fitted"),
    "summary before a fit": (lambda: summarize(SoftKMeans(2)), NotFittedError, "not fitted"),
    "summary of a layer": (
        lambda: summarize(SoftKMeansLayer(2, 1)),
        InputError,
        "the model is of type SoftKMeansLayer, expected a",
    ),
}


@pytest.mark.parametrize("bad", BAD)
def test_errors_are_one_line(bad):
    call, kind, message = BAD[bad]
    with pytest.raises(kind, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)


# Diagnostics.

NEAR = blobs(3, sep=2.5)  # overlapping clusters, whose memberships are soft at the likeliest temperature


def started(*starts):
    """Return an init function that returns each of the starts in turn."""
    remaining = iter(starts)
    return lambda rows, n_clusters, random_state: next(remaining)


GOOD, POOR = X[[0, 31, 62]], X[[0, 1, 62]] + [[0, 0], [1, 1], [0, 0]]
# The second start has two of three centers in one of two blobs that are far from the third: EM cannot leave it.
FAR = np.vstack([X[:30], X[30:60] + 60, X[60:] + 70])
DISAGREEING_STARTS = FAR[[0, 31, 62]], FAR[[0, 1, 45]]
LAYER, EQUAL = torch.tensor([[0.0], [5.0], [5.001]]), torch.tensor([[0.0], [5.0], [5.0]])


def disagreeing(kind, **given):
    """Return a function that fits two restarts with different optima."""
    return lambda: kind(3, n_init=2, init=started(*DISAGREEING_STARTS), **given).fit(FAR)


def exhausted():
    """Return a model that did not converge."""
    with pytest.warns(ConvergenceWarning, match="did not converge"):
        return SoftKMeans(3, max_iter=1, random_state=0).fit(NEAR)


UNSTABLE = Stability(np.array([0.9, 0.31, 0.555]), np.ones(90))
WARNINGS = {
    "all coincide": (
        lambda: SoftKMeans(3, temperature=1e4, random_state=0).fit(X),
        "all 3 centers coincide, because temperature 1e+04 is too high to separate clusters: lower the temperature",
    ),
    "some coincide": (
        lambda: SoftKMeans.from_layer(SoftKMeansLayer(3, 1, centroids=LAYER, temperature=2.0)),
        "2 or more of 3 centers coincide, because temperature 2 is too high to separate clusters: lower the "
        "temperature",
    ),
    "equal": (
        lambda: SoftKMeans.from_layer(SoftKMeansLayer(3, 1, centroids=EQUAL, temperature=2.0)),
        "2 or more of 3 centers coincide, because they are equal, and every update moves them alike: use other initial "
        "centers, or lower n_clusters",
    ),
    "coincide, one T each": (
        lambda: SoftKMeans(3, temperature=[1e4] * 3, random_state=0).fit(X),
        "all 3 centers coincide, because temperature 1e+04 is too high to separate clusters: lower the temperature",
    ),
    "coincide, fuzzy": (
        lambda: FuzzyCMeans(10, fuzzifier=2.0, random_state=0).fit(load_digits().data),
        "all 10 centers coincide, because fuzzifier 2 is too high to separate clusters: lower fuzzifier",
    ),
    "coincide, T learned": (
        lambda: SoftKMeans.from_layer(SoftKMeansLayer(3, 1, centroids=LAYER, temperature=2.0, learn_temperature=True)),
        "2 or more of 3 centers coincide, because temperature 2 is too high to separate clusters: lower n_clusters",
    ),
    "hard": (
        lambda: SoftKMeans(3, temperature=1e-3, random_state=0).fit(NEAR),
        "the temperature given is so low that memberships are hard (a row is spread over 1.000",
    ),
    "hard by a rule": (
        lambda: SoftKMeans(3, temperature=Fixed(1e-3), random_state=0).fit(NEAR),
        "the temperature given is so low that memberships are hard",
    ),
    "hard, one each": (
        lambda: SoftKMeans(3, temperature=Fixed((1e-3, 1e-3, 2e-3)), random_state=0).fit(NEAR),
        "the temperature given is so low that memberships are hard",
    ),
    "hard, given as a list": (
        lambda: SoftKMeans(3, temperature=[1e-3, 1e-3, 2e-3], random_state=0).fit(NEAR),
        "the temperature given is so low that memberships are hard",
    ),
    "hard, Euclidean": (
        lambda: SoftKMeans(3, temperature=1e-3, distance="euclidean", random_state=0).fit(NEAR),
        "the temperature given is so low that memberships are hard",
    ),
    "hard, with noise": (
        lambda: SoftKMeans(3, temperature=1e-3, noise_distance=1.0, random_state=0).fit(NEAR),
        "the temperature given is so low that memberships are hard",
    ),
    "restarts": (
        disagreeing(SoftKMeans),
        "restarts disagree (only 1 of 2 reached the lowest objective): set local_search, or raise n_",
    ),
    "restarts, searched": (
        disagreeing(SoftKMeans, local_search=True),
        "restarts disagree (only 1 of 2 reached the lowest objective): raise n_init",
    ),
    "restarts, fuzzy": (
        disagreeing(FuzzyCMeans, fuzzifier=1.1),
        "restarts disagree (only 1 of 2 reached the lowest objective): raise n_init",
    ),
    "not converged": (exhausted, "the fit did not converge: raise max_iter"),
}


@pytest.mark.filterwarnings("ignore:.*centers coincide")
@pytest.mark.parametrize("name", WARNINGS)
def test_each_warning(name):
    make, message = WARNINGS[name]
    (found,) = diagnose(make())
    assert found.startswith(message)
    assert "\n" not in found


BY_SPREAD = "<temperature='perplexity:1.5'> (which spreads a row over 1.5 clusters)"
ADVICE = {
    "all coincide": "lower the temperature",
    "coincide, T learned": "lower <n_clusters>",
    "coincide, fuzzy": "lower <fuzzifier>",
    "hard": f"raise it, or choose <temperature='calibrated'>, or {BY_SPREAD}",
    "hard, one each": f"raise it, or choose <temperature='calibrated'>, or {BY_SPREAD}",
    "hard, Euclidean": f"raise it, or choose {BY_SPREAD}",  # "calibrated" needs squared distances
    "restarts": "set <local_search>, or raise <n_init>",
    "restarts, fuzzy": "raise <n_init>",
    "not converged": "raise <max_iter>",
}


@pytest.mark.filterwarnings("ignore:.*centers coincide")
@pytest.mark.parametrize("name", ADVICE)
def test_the_parameters_in_the_advice_are_data(name):
    (found,) = diagnose(WARNINGS[name][0]())
    assert found.render(lambda setting: f"<{setting}>").partition(": ")[2] == ADVICE[name]


def test_unstable_clusters_are_named():
    expected = "clusters [1, 2] are not stable under resampling (Jaccard index 0.31, 0.56, below 0.6): lower n_clusters"
    (found,) = diagnose(FITTED["soft"].fit(X), UNSTABLE)
    assert found == expected.replace("0.56", f"{0.555:.2f}")
    assert found.parts[-1] == Setting("n_clusters")
    assert UNSTABLE.unstable == [1, 2]
    assert Stability(np.array([0.6, 0.59999]), np.ones(2)).unstable == [1]


TRUSTED = {
    "fuzzy memberships": lambda: SoftKMeans(3, assignment="fuzzy", n_init=3, random_state=0).fit(X),
    "soft": lambda: FITTED["soft"].fit(X),
    "fuzzy": lambda: FITTED["fuzzy"].fit(X),
    "noise": lambda: FITTED["noise"].fit(X),
    "T learned, hard because clusters are well separated": lambda: SoftKMeans(3, n_init=2, random_state=0).fit(100 * X),
    "T given, hard because clusters are well separated": lambda: SoftKMeans(3, temperature=2.0, random_state=0).fit(X),
    "T learned each": lambda: SoftKMeans(3, temperature="per-cluster", random_state=0).fit(X),
    "calibrated": lambda: SoftKMeans(3, temperature="calibrated", random_state=0).fit(X),
    "one cluster": lambda: SoftKMeans(1, temperature=1e-3).fit(X),
    "cosine": lambda: SoftKMeans(2, distance="cosine", random_state=0).fit(X + np.array([1, 30])),
    "restarts that agree": lambda: SoftKMeans(3, n_init=2, init=started(GOOD, GOOD[::-1])).fit(X),
    "half precision": lambda: SoftKMeans(3, dtype=torch.float16, random_state=0).fit(torch.tensor(X)),
    "of a layer": lambda: SoftKMeans.from_layer(SoftKMeansLayer(2, 1, centroids=LAYER[:2])),
}


@pytest.mark.parametrize("name", TRUSTED)
def test_a_good_fit_has_no_warnings(name):
    model = TRUSTED[name]()
    assert diagnose(model) == []
    assert "warning" not in summarize(model)
    good = Stability(np.ones(len(model.cluster_centers_)), np.ones(90))
    assert diagnose(model, good) == []


def test_several_warnings_have_one_line_each():
    with pytest.warns(ConvergenceWarning):
        model = SoftKMeans(3, temperature=1e-3, max_iter=1, n_init=2, init=started(*DISAGREEING_STARTS)).fit(FAR)
    found = diagnose(model, UNSTABLE)
    begins = [
        "the temperature given",
        "restarts disagree",
        "the fit did not converge",
        "clusters [1, 2] are not stable",
    ]
    assert [line[: len(begin)] for line, begin in zip(found, begins, strict=True)] == begins
    text = summarize(model, UNSTABLE).splitlines()
    assert text[-4:] == [f"warning: {line}" for line in found]
    assert not [line for line in text[:-4] if "warning" in line]


# Saved and loaded, in pipelines, from layers.


@pytest.mark.filterwarnings("ignore:.*centers coincide")
@pytest.mark.parametrize("name", ["all coincide", "hard", "hard, one each", "hard, with noise", "not converged"])
def test_a_saved_model_has_the_same_warnings(name, tmp_path):
    model = WARNINGS[name][0]()
    save(model, tmp_path / "model.safetensors")
    again = load(tmp_path / "model.safetensors")
    assert diagnose(again) == diagnose(model)
    assert summarize(again) == summarize(model)


@pytest.mark.parametrize("name", FITTED)
def test_loaded_models_are_as_stable(name, tmp_path):
    model = FITTED[name].fit(X)
    save(model, tmp_path / "model.safetensors")
    again = load(tmp_path / "model.safetensors")
    assert diagnose(again) == []
    first, second = (stability(m, X, n_resamples=2, random_state=0) for m in (model, again))
    np.testing.assert_array_equal(first.rows, second.rows)


@pytest.mark.parametrize("missing", ["cluster_weights_", "noise_weight_", "restarts_", "converged_", "entropy_"])
def test_attributes_that_older_files_lack_cause_no_warning(missing):
    model = WARNINGS["hard"][0]()
    delattr(model, missing)
    assert len(diagnose(model)) == (missing not in ("cluster_weights_", "entropy_"))


def test_a_summary_of_a_pipeline_has_the_units_of_the_data():
    x = NEAR * [1, 1000] + [0, 5e4]
    model = make_pipeline(StandardScaler(), SoftKMeans(3, temperature=1e-4, random_state=0)).fit(x)
    text = summarize(model, UNSTABLE).splitlines()
    means = np.array([x[model.predict(x) == k].mean(0) for k in range(3)])
    cells = " ".join(text[:-2]).split()
    for mean in means.ravel():
        assert f"{mean:.4g}" in cells
    assert any(line.startswith("temperature") and "0.0001 (of standardized data)" in line for line in text)
    assert text[-2].startswith("warning: the temperature given is so low that memberships are hard")
    assert text[-1].startswith("warning: clusters [1, 2] are not stable under resampling")


def test_a_summary_of_a_fuzzy_model():
    text = summarize(FITTED["fuzzy"].fit(X), UNSTABLE).splitlines()
    assert text[0].split()[0] == "cluster"
    assert any(line.split() == ["fuzzifier", "2"] for line in text)
    assert not any(line.startswith(("temperature", "free energy")) for line in text)
    assert text[-1].startswith("warning: clusters [1, 2]")


def test_the_stability_of_another_model_raises():
    x = np.random.default_rng(0).normal(size=(40, 2))
    two, three = (SoftKMeans(k, random_state=0).fit(x) for k in (2, 3))
    with pytest.raises(InputError, match="stability has 2 clusters, expected the 3 of the model"):
        diagnose(three, stability(two, x, n_resamples=2, random_state=0))


def test_features_with_the_names_of_own_columns_are_kept_apart():
    names = ["cluster", "size", "stability", "temperature"]
    x = pd.DataFrame(np.random.default_rng(0).normal(size=(900, 4)), columns=names)
    model = SoftKMeans(6, temperature="per-cluster", max_iter=5, tol=1.0, random_state=0).fit(x)
    head, _, *rows = summarize(model).splitlines()
    features = [f"feature {name!r}" for name in names]
    assert [part.strip() for part in re.split(r"\s{2,}", head)] == ["cluster", "size", *features, "temperature"]
    for k in range(6):
        values = [f"{value:.4g}" for value in (*model.cluster_centers_[k], model.temperature_[k])]
        assert rows[k].split() == [str(k), f"{model.cluster_weights_[k]:.1f}", *values]


def test_a_summary_in_a_notebook_is_text(monkeypatch):
    model = SoftKMeans(2, random_state=0).fit([[0.0], [0.2], [9.0], [9.2]])
    monkeypatch.setattr("rich.console._is_jupyter", lambda: True)
    assert summarize(model).startswith("cluster")
