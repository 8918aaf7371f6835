"""What sets clusters apart equals weighted means and deviations computed by hand."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.datasets import load_wine
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from softkmeans import FuzzyCMeans, SoftKMeans, describe_clusters
from softkmeans.data import scan
from softkmeans.errors import InputError
from softkmeans.selection.description import effect_of

WINE = load_wine(as_frame=True).data


def by_hand(x, resp, w):
    """Mean, spread, those of the rest, and Cohen's d, (k, d) each, by NumPy's average."""
    rows = []
    for r in resp.T:
        parts = []
        for weight in (w * r, w * (1 - r)):
            mean = np.average(x, axis=0, weights=weight)
            parts += [mean, np.sqrt(np.average((x - mean) ** 2, axis=0, weights=weight))]
        pooled = np.sqrt(((w * r).sum() * parts[1] ** 2 + (w * (1 - r)).sum() * parts[3] ** 2) / w.sum())
        rows.append([*parts, (parts[0] - parts[2]) / pooled])
    return np.array(rows).swapaxes(0, 1)


MODELS = {
    "pipeline": lambda: make_pipeline(StandardScaler(), SoftKMeans(3, random_state=0)),
    "noise": lambda: make_pipeline(StandardScaler(), SoftKMeans(3, temperature=2.0, noise_distance=20, random_state=0)),
    "fuzzy": lambda: FuzzyCMeans(3, random_state=0),
}


@pytest.mark.parametrize("name", MODELS)
def test_numbers_are_those_by_hand(name):
    model = MODELS[name]().fit(WINE)
    w = np.random.default_rng(0).uniform(0.5, 2, len(WINE))
    found = describe_clusters(model, WINE, w).sort_values(["cluster", "feature"])
    order = np.argsort(WINE.columns)
    expected = by_hand(WINE.to_numpy(), model.predict_proba(WINE), w)[:, :, order]
    for column, values in zip(["mean", "spread", "rest_mean", "rest_spread", "effect_size"], expected, strict=True):
        np.testing.assert_allclose(found[column], values.ravel(), rtol=1e-7)
    np.testing.assert_allclose(found["difference"], found["mean"] - found["rest_mean"])


def test_ranks_order_the_effects():
    table = describe_clusters(MODELS["pipeline"]().fit(WINE), WINE)
    for _, group in table.groupby("cluster"):
        assert group["rank"].tolist() == list(range(1, 14))
        assert group["effect_size"].abs().is_monotonic_decreasing
        assert set(group["feature"]) == set(WINE.columns)


def test_small_numbers():
    x = [[0.0, 1.0], [2.0, 1.0], [10.0, 1.0]]
    model = SoftKMeans(init=[[1.0, 1.0], [10.0, 1.0]], n_clusters=2, temperature=1e-3).fit(x)
    table = describe_clusters(model, np.array(x))
    first = table[table["cluster"] == model.predict([[0.0, 1.0]])[0]].set_index("feature")
    assert first.loc[
        "feature 0", ["mean", "spread", "rest_mean", "rest_spread", "difference"]
    ].tolist() == pytest.approx([1, 1, 10, 0, -9])
    assert first.loc["feature 0", "effect_size"] == pytest.approx(-9 / np.sqrt(2 / 3))
    assert first.loc["feature 1", "effect_size"] == 0  # constant
    assert first.loc["feature 1", "effect"] == "negligible"


def test_rows_in_blocks_give_the_same(tmp_path):
    model = make_pipeline(StandardScaler(), SoftKMeans(3, random_state=0)).fit(WINE)
    WINE.to_csv(tmp_path / "wine.csv", index=False)
    pd.testing.assert_frame_equal(describe_clusters(model, scan(tmp_path / "wine.csv")), describe_clusters(model, WINE))


def test_missing_values_are_left_out():
    x = pd.DataFrame({"a": [0.0, 0.2, 9.0, 9.2, np.nan], "b": [1.0, 3.0, 2.0, 2.0, 2.0]})
    model = make_pipeline(SimpleImputer(), SoftKMeans(2, temperature=1e-2, random_state=0)).fit(x)
    table = describe_clusters(model, x)
    means = sorted(table.loc[table["feature"] == "a", "mean"])
    assert means[-1] == pytest.approx(9.1)


def test_a_frame_of_the_kind_of_the_data():
    frame = pl.from_pandas(WINE)
    assert isinstance(describe_clusters(SoftKMeans(2, random_state=0).fit(frame), frame), pl.DataFrame)
    assert isinstance(
        describe_clusters(SoftKMeans(2, random_state=0).fit(WINE.to_numpy()), WINE.to_numpy()), pd.DataFrame
    )


def test_printed_tables_show_the_features():
    with pd.option_context("display.width", 80, "display.max_columns", 0):
        shown = str(describe_clusters(SoftKMeans(3, random_state=0).fit(WINE), WINE))
    assert [name for name in WINE.columns if name not in shown] == []


def test_one_cluster_has_no_rest():
    table = describe_clusters(SoftKMeans(1).fit([[1.0], [3.0]]), [[1.0], [3.0]])
    assert table["mean"].tolist() == [2]
    assert np.isnan(table["rest_mean"]).all()
    assert table["effect_size"].tolist() == [0]


def test_equal_values_that_differ_between_clusters_have_an_infinite_effect():
    x = [[0.0], [0.0], [1.0], [1.0], [1.0]]
    table = describe_clusters(SoftKMeans(2, temperature=1e-3, random_state=0).fit(x), x)
    assert sorted(table["effect_size"]) == [-np.inf, np.inf]


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (WINE[["ash"]], "the column 'alcohol' is missing"),
        (WINE[:0], "0 rows|no rows|0 sample"),
    ],
)
def test_other_rows_are_an_error(X, message):
    with pytest.raises((InputError, ValueError), match=message):
        describe_clusters(SoftKMeans(2, random_state=0).fit(WINE), X)


@pytest.mark.parametrize(("value", "name"), [(0.1, "negligible"), (-0.2, "small"), (0.5, "medium"), (-np.inf, "large")])
def test_effects_have_names(value, name):
    assert effect_of(value) == name
