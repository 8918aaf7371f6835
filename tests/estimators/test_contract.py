"""Test scikit-learn's conventions for all model variants, as scikit-learn's own tests do for KMeans."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
import sklearn
from sklearn.base import clone, is_clusterer
from sklearn.compose import ColumnTransformer
from sklearn.metrics import adjusted_rand_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import get_tags

from helpers.members import IRIS, MEMBERS, START, W, member
from softkmeans import FuzzyCMeans, SoftKMeans

KINDS = [SoftKMeans, FuzzyCMeans]

# Some data here have fewer distinct rows than clusters, or clusters of a single point.
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("out", "frame"), [("pandas", pd.DataFrame), ("polars", pl.DataFrame)])
@pytest.mark.parametrize("input_frame", [pd.DataFrame, pl.DataFrame])
def test_set_output(kind, out, frame, input_frame):
    x = input_frame(dict(zip("abcd", IRIS.T, strict=True)))
    model = kind(2, random_state=0).set_output(transform=out)
    distances = model.fit_transform(x)
    assert isinstance(distances, frame)
    assert (
        list(distances.columns)
        == list(model.get_feature_names_out())
        == [f"{kind.__name__.lower()}{k}" for k in (0, 1)]
    )
    np.testing.assert_allclose(distances.to_numpy(), kind(2, random_state=0).fit_transform(IRIS))
    assert list(model.feature_names_in_) == list("abcd")


@pytest.mark.parametrize("kind", KINDS)
def test_column_transformer(kind):
    x = pd.DataFrame(IRIS, columns=list("abcd"))
    transformer = ColumnTransformer([("soft", kind(2, random_state=0), ["a", "b"])], remainder="passthrough")
    transformed = transformer.set_output(transform="pandas").fit_transform(x)
    name = kind.__name__.lower()
    assert list(transformed.columns) == [f"soft__{name}0", f"soft__{name}1", "remainder__c", "remainder__d"]


@pytest.mark.parametrize("kind", KINDS)
def test_metadata_is_routed(kind):
    with sklearn.config_context(enable_metadata_routing=True):
        soft = kind(3, random_state=0).set_fit_request(sample_weight=True).set_score_request(sample_weight=True)
        soft.set_predict_request(reject_below=True)
        pipeline = make_pipeline(StandardScaler().set_fit_request(sample_weight=True), soft)
        pipeline.fit(IRIS, sample_weight=W)
        labels, score = pipeline.predict(IRIS, reject_below=0.9), pipeline.score(IRIS, sample_weight=W)
    scaled = StandardScaler().fit(IRIS, sample_weight=W).transform(IRIS)
    alone = kind(3, random_state=0).fit(scaled, sample_weight=W)
    np.testing.assert_array_equal(labels, alone.predict(scaled, reject_below=0.9))
    assert score == pytest.approx(alone.score(scaled, sample_weight=W))
    assert (labels == -1).any()


@pytest.mark.parametrize("kind", KINDS)
def test_the_html_representation_shows_parameters_and_fitted_attributes(kind):
    before, after = kind(3)._repr_html_(), kind(3).fit(IRIS)._repr_html_()
    for shown in ("n_clusters", "noise_distance", "random_state"):
        assert shown in before
    for fitted in ("cluster_centers_", "n_iter_", "objective_"):
        assert fitted in after
        assert fitted not in before


@pytest.mark.parametrize("kind", KINDS)
def test_tags(kind):
    tags = get_tags(kind())
    assert is_clusterer(kind())
    assert tags.input_tags.sparse
    assert not tags.target_tags.required
    assert tags.non_deterministic is False


@pytest.mark.parametrize("name", MEMBERS)
def test_clone_keeps_parameters_and_fit_does_not_change_the_data(name):
    x, w, start = IRIS.copy(), W.copy(), START.copy()
    model = clone(member(name, init=start)).fit(x, sample_weight=w)
    assert str(model.get_params()) == str(member(name).get_params())
    for kept, original in ((x, IRIS), (w, W), (start, START)):
        np.testing.assert_array_equal(kept, original)


LAYOUTS = {
    "fortran": np.asfortranarray,
    "backward": lambda x: x[::-1, ::-1].copy()[::-1, ::-1],
    "every other": lambda x: np.repeat(np.repeat(x, 2, 0), 2, 1)[::2, ::2],
    "list": np.ndarray.tolist,
    "frame": pd.DataFrame,
}


@pytest.mark.slow
@pytest.mark.parametrize("name", MEMBERS)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts_make_no_difference(name, layout):
    a, b = member(name).fit(IRIS), member(name).fit(LAYOUTS[layout](IRIS))
    np.testing.assert_allclose(a.cluster_centers_, b.cluster_centers_, rtol=1e-12)
    np.testing.assert_array_equal(a.labels_, b.labels_)


@pytest.mark.slow
@pytest.mark.parametrize("name", MEMBERS)
def test_fit_predict_is_predict_and_a_second_fit_is_the_same(name):
    model = member(name)
    labels = model.fit_predict(IRIS)
    np.testing.assert_array_equal(labels, model.predict(IRIS))
    centers = model.cluster_centers_.copy()
    np.testing.assert_array_equal(model.fit(IRIS).cluster_centers_, centers)


@pytest.mark.slow
@pytest.mark.parametrize("name", MEMBERS)
def test_the_order_of_the_rows_makes_no_difference(name):
    order = np.random.default_rng(0).permutation(len(IRIS))
    seeded = {} if member(name).frozen is not None else {"init": "k-means++"}
    a, b = member(name, **seeded).fit(IRIS), member(name, **seeded).fit(IRIS[order])
    np.testing.assert_allclose(a.predict_proba(IRIS), b.predict_proba(IRIS), atol=1e-6)


@pytest.mark.parametrize("name", MEMBERS)
def test_as_many_clusters_as_rows(name):
    x = START + np.eye(3, 4)
    model = member(name, init=x).fit(x)
    np.testing.assert_allclose(model.predict_proba(x).sum(1) <= 1 + 1e-12, True)
    assert np.isfinite(model.cluster_centers_).all()
    assert np.isfinite(model.predict_proba(x)).all()


@pytest.mark.parametrize("name", MEMBERS)
def test_duplicate_rows_have_the_same_memberships(name):
    x = np.repeat(IRIS[::10], 6, axis=0)
    resp = member(name).fit(x).predict_proba(x)
    np.testing.assert_allclose(resp[::6], resp[5::6], rtol=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("name", MEMBERS)
@pytest.mark.parametrize("value", [1.0, -3e5, 1e-30])
def test_constant_data(name, value):
    x = np.full((20, 4), value)
    model = member(name, init=np.full((3, 4), value)).fit(x)
    np.testing.assert_allclose(model.transform(x), 0, atol=1e-12)
    assert np.isfinite(model.predict_proba(x)).all()


@pytest.mark.parametrize("name", ["plain", "priors", "fuzzy", "crisp"])
def test_clear_clusters_are_found_whatever_the_seed(name):
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1, 2], 30)
    x = rng.normal(size=(90, 2)) + np.array([[0, 0], [20, 0], [0, 20]])[y]
    for seed in range(5):
        assert adjusted_rand_score(y, member(name, init="k-means++", random_state=seed).fit(x).labels_) == 1
