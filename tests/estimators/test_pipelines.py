"""Pipelines in front of an estimator: which are taken, what their centers are in the data's units, and in blocks."""

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from sklearn.cluster import KMeans
from sklearn.compose import make_column_transformer
from sklearn.decomposition import PCA
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    MinMaxScaler,
    Normalizer,
    OneHotEncoder,
    PowerTransformer,
    RobustScaler,
    StandardScaler,
)

from helpers.pipelines import FRAME, MIXED, PIPELINES, POSITIVE, X, fitted, soft
from helpers.streams import Stream
from softkmeans import InputError, SoftKMeans, SoftKMeansLayer, summarize, write_assignments
from softkmeans.estimators import (
    SCALES,
    centers_in_data_units,
    describe_scaling,
    feature_names,
    fit_preprocessing,
    fit_weights,
    has_data_units,
    make_model,
    make_preprocessing,
    n_features_in,
    preprocess_source,
    received_rows,
    split_pipeline,
    transformed_names,
    units,
)
from softkmeans.estimators.preprocessing import RECORDS, record_of

WEIGHTS = np.random.default_rng(0).uniform(size=len(X))


def test_every_record_is_in_a_case():
    used = set()
    for name in PIPELINES:
        text = str(fitted(name)) + str(getattr(fitted(name)[0], "transformers_", ""))
        used |= {kind for kind in RECORDS if f"{kind}(" in text}
    assert used == set(RECORDS)


@pytest.mark.parametrize("name", PIPELINES)
def test_a_pipeline_is_split(name):
    model, rows = fitted(name), PIPELINES[name].rows
    preprocessing, estimator = split_pipeline(model)
    assert estimator is model[-1]
    np.testing.assert_array_equal(estimator.predict(preprocessing.transform(rows)), model.predict(rows))
    assert n_features_in(model) == rows.shape[1]
    assert feature_names(model) == (list(rows.columns) if isinstance(rows, pd.DataFrame) else None)
    assert len(transformed_names(model)) == estimator.n_features_in_


NOT_MODELS = {
    "KMeans": (KMeans(2), "the model is of type KMeans, expected a SoftKMeans, a FuzzyCMeans or a pipeline that ends"),
    "a pipeline of KMeans": (
        make_pipeline(StandardScaler(), KMeans(2)),
        "the model is a pipeline that ends in a KMeans",
    ),
    "a layer": (SoftKMeansLayer(2, 2), "use SoftKMeans.from_layer to convert it"),
}


@pytest.mark.parametrize("case", NOT_MODELS)
def test_other_models_are_refused(case):
    model, message = NOT_MODELS[case]
    with pytest.raises(InputError, match=message):
        split_pipeline(model)


# --- Centers in the units of the data ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PIPELINES)
def test_centers_go_back_to_what_scikit_learn_gives(name):
    """Check that the centers, where each column has data units, transform to the centers of the estimator."""
    model, case = fitted(name), PIPELINES[name]
    assert has_data_units(model) == case.has_data_units
    names, centers = centers_in_data_units(model)
    assert len(names) == centers.shape[1]
    if not case.has_data_units:
        return
    assert names == (
        list(case.rows) if isinstance(case.rows, pd.DataFrame) else [f"feature {j}" for j in range(len(names))]
    )
    rows = pd.DataFrame(centers, columns=names) if isinstance(case.rows, pd.DataFrame) else centers
    again = np.asarray(model[:-1].transform(rows.astype(case.rows.dtypes) if isinstance(rows, pd.DataFrame) else rows))
    tolerance = 1e-4 if "float32" in name else 1e-7
    np.testing.assert_allclose(again, model[-1].cluster_centers_, rtol=tolerance, atol=tolerance)


INVERTED = [
    StandardScaler(), StandardScaler(with_std=False), MinMaxScaler(), RobustScaler(), PowerTransformer(), PCA(),
    PCA(whiten=True), FunctionTransformer(np.log, np.exp), FunctionTransformer(np.sqrt), make_preprocessing("log"),
    make_pipeline(StandardScaler(), PCA()), make_pipeline(RobustScaler(), "passthrough", MinMaxScaler()),
]  # fmt: skip


@pytest.mark.parametrize("transformer", INVERTED, ids=lambda transformer: type(transformer).__name__)
def test_rows_go_back_to_themselves(transformer):
    transformer.fit(POSITIVE)
    undone = record_of(transformer).undo(transformer, ["a", "b", "c"], transformer.transform(POSITIVE))
    assert (undone.names, undone.columns) == (["a", "b", "c"], [0, 1, 2])
    np.testing.assert_allclose(undone.centers, POSITIVE, rtol=1e-9)


def test_categories_are_shares_and_the_rest_is_in_data_units():
    hard = SoftKMeans(3, temperature=1e-3, random_state=0)
    columns = make_column_transformer((OneHotEncoder(), ["color"]), (StandardScaler(), ["length", "weight"]))
    model = make_pipeline(columns, hard).fit(MIXED)
    names, centers = centers_in_data_units(model)
    assert names == ["color_blue", "color_green", "color_red", "length", "weight"]
    table = pd.get_dummies(MIXED[["color", "length", "weight"]], columns=["color"])[[*names]].astype(float)
    expected = table.groupby(model.predict(MIXED)).mean()
    np.testing.assert_allclose(centers, expected, atol=1e-6)


def test_steps_before_one_without_an_inverse_stay():
    model = make_pipeline(StandardScaler(), Normalizer(), PCA(2), soft()).fit(FRAME)
    names, centers = centers_in_data_units(model)
    assert names == ["length (normalized)", "weight (normalized)", "noise (normalized)"]
    np.testing.assert_allclose(centers, model[2].inverse_transform(model[-1].cluster_centers_))
    names, centers = centers_in_data_units(make_pipeline(PCA(2), Normalizer(), soft()).fit(FRAME))
    assert names == ["pca0 (normalized)", "pca1 (normalized)"]


def test_columns_stay_in_data_units_where_earlier_steps_copy_them():
    rows = FRAME.assign(code=np.arange(len(FRAME)) % 3)
    first = make_column_transformer((SimpleImputer(), ["code", "noise"]), remainder="passthrough")
    second = make_column_transformer((OneHotEncoder(), [0]), (StandardScaler(), [1, 2, 3]))
    names, centers = centers_in_data_units(make_pipeline(first, second, soft()).fit(rows))
    assert names == ["code_0.0", "code_1.0", "code_2.0", "noise", "length", "weight"]
    assert abs(centers[:, -2].mean() - rows["length"].mean()) < 3


def test_a_center_that_has_no_inverse_is_nan_without_a_warning():
    model = make_pipeline(PowerTransformer("box-cox"), soft()).fit(POSITIVE)
    model[-1].cluster_centers_ = model[-1].cluster_centers_ - 1e3
    assert np.isnan(centers_in_data_units(model)[1]).any()


SUMMARIES = {
    "standard": " (of standardized data)",
    "robust": " (of robustly scaled data)",
    "log of a frame": " (of standardized logarithms)",
    "mixed": " (of transformed data)",
    "nothing": "",
}


@pytest.mark.parametrize("name", SUMMARIES)
def test_a_summary_says_what_the_temperature_is_of(name):
    model = fitted(name)
    text = summarize(model)
    (line,) = (line for line in text.splitlines() if line.startswith("temperature"))
    assert line.split(maxsplit=1)[1].strip() == f"{model[-1].temperature_:.6g}{SUMMARIES[name]}"
    names, centers = centers_in_data_units(model)
    for column, values in zip(names, centers.T, strict=True):
        (line,) = (line for line in text.splitlines() if line.startswith(column))
        np.testing.assert_allclose(
            [float(value) for value in line.removeprefix(column).split()], values, rtol=1e-3, atol=1e-8
        )


# --- Scales -----------------------------------------------------------------------------------------------------------

EXPECTED = {
    "standard": lambda rows: StandardScaler().fit_transform(rows),
    "robust": lambda rows: RobustScaler().fit_transform(rows),
    "log": lambda rows: StandardScaler().fit_transform(np.log1p(rows)),
}


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("kind", [np.asarray, pd.DataFrame, pl.DataFrame, pa.table], ids=lambda kind: kind.__module__)
def test_a_model_scales_every_kind_of_table(scale, kind):
    columns = dict(zip("abc", POSITIVE.T, strict=True))
    rows = POSITIVE if kind is np.asarray else kind(columns)
    model = make_model(soft(), scale).fit(rows)
    expected = soft().fit(EXPECTED[scale](POSITIVE) if scale != "none" else POSITIVE)
    np.testing.assert_allclose(
        model.predict_proba(rows),
        expected.predict_proba(EXPECTED[scale](POSITIVE) if scale != "none" else POSITIVE),
        atol=1e-9,
    )
    assert describe_scaling(model) == scale
    assert feature_names(model) == (None if kind is np.asarray else ["a", "b", "c"])


NEGATIVE = np.where(np.arange(3) == 1, -POSITIVE, POSITIVE)


@pytest.mark.parametrize("kind", ["array", "pandas", "polars", "arrow", "blocks"])
def test_negative_values_of_a_logarithmic_scale_are_named(kind):
    columns = dict(zip("abc", NEGATIVE.T, strict=True))
    tables = {"array": lambda _: NEGATIVE, "pandas": pd.DataFrame, "polars": pl.DataFrame, "arrow": pa.table}
    source = Stream(NEGATIVE, [50])
    source.columns = ("a", "b", "c")
    with pytest.raises(InputError) as caught:
        fit_preprocessing(source, "log") if kind == "blocks" else make_model(soft(), "log").fit(tables[kind](columns))
    name = "feature 1" if kind == "array" else "'b'"
    assert str(caught.value).startswith(f"the column {name} has negative values, such as -")
    assert str(caught.value).endswith(
        ", expected 0 or more for a logarithmic scale: choose another scale for this data"
    )
    with pytest.raises(InputError, match="has negative values"):
        fitted("log of a frame").predict(-PIPELINES["log of a frame"].rows)


def test_weights_reach_every_step_that_takes_them():
    model = make_model(soft(), "log")
    model.fit(POSITIVE, **fit_weights(model, WEIGHTS))
    scaler = StandardScaler().fit(np.log1p(POSITIVE), sample_weight=WEIGHTS)
    np.testing.assert_allclose(model[1].mean_, scaler.mean_)
    assert fit_weights(model, None) == {}
    assert list(fit_weights(make_model(soft(), "robust"), WEIGHTS)) == ["softkmeans__sample_weight"]
    assert list(fit_weights(soft(), WEIGHTS)) == ["sample_weight"]
    assert list(fit_weights(make_preprocessing("standard"), WEIGHTS)) == ["sample_weight"]


@pytest.mark.parametrize("make", [lambda: make_model(soft(), "cubic"), lambda: fit_preprocessing(Stream(X), "cubic")])
def test_unknown_scales_are_refused(make):
    with pytest.raises(InputError) as caught:
        make()
    assert str(caught.value) == "scale='cubic' is not known: choose one of none, standard, robust, log"


# --- Blocks -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("weights", [None, WEIGHTS])
@pytest.mark.parametrize("scale", ["standard", "log"])
def test_a_scale_of_blocks_equals_that_of_rows_in_memory(scale, weights):
    source = Stream(POSITIVE, [50], weights)
    preprocessing, expected = fit_preprocessing(source, scale), make_preprocessing(scale)
    expected.fit(POSITIVE, **fit_weights(expected, weights))
    np.testing.assert_allclose(preprocessing.transform(POSITIVE), expected.transform(POSITIVE), atol=1e-12)
    assert units(preprocessing) == units(expected)


def test_no_scale_of_blocks_leaves_the_source():
    source = Stream(X, [50])
    assert fit_preprocessing(source, "none") is None
    assert preprocess_source(source, None) is source


def test_a_robust_scale_needs_all_rows():
    with pytest.raises(InputError) as caught:
        fit_preprocessing(Stream(X, [50]), "robust")
    message = "scale='robust' needs the medians of all rows, which are read in blocks: use one of none, standard, log"
    assert str(caught.value) == message


IN_BLOCKS = [name for name, case in PIPELINES.items() if np.issubdtype(np.asarray(case.rows).dtype, np.floating)]


@pytest.mark.parametrize("name", IN_BLOCKS)
def test_blocks_are_transformed_as_by_scikit_learn(name):
    model, rows = fitted(name), np.asarray(PIPELINES[name].rows)
    preprocessing, _ = split_pipeline(model)
    source = preprocess_source(Stream(rows, [50, 7]), preprocessing)
    found = np.concatenate([block.x.numpy() for block in source.blocks()])
    expected = preprocessing.transform(PIPELINES[name].rows)
    expected = expected.toarray() if hasattr(expected, "toarray") else np.asarray(expected)
    assert found.shape == (len(rows), source.n_features)
    np.testing.assert_allclose(
        found, expected, rtol=1e-5 if "float32" in name else 1e-9, atol=1e-5 if "float32" in name else 1e-9
    )


@pytest.mark.parametrize("name", ["names of columns", "pandas between the steps", "nothing", "a column dropped"])
def test_assignments_of_blocks_and_of_arrow_equal_those_of_rows_in_memory(name, tmp_path):
    model = fitted(name)
    source = Stream(FRAME.to_numpy(), [50])
    source.columns = tuple(FRAME.columns)
    tables = {"whole": FRAME, "blocks": source, "arrow": pa.table(dict(FRAME))}
    for kind, table in tables.items():
        write_assignments(model, table, tmp_path / f"{kind}.csv")
    whole, *others = (pd.read_csv(tmp_path / f"{kind}.csv") for kind in tables)
    for other in others:
        pd.testing.assert_frame_equal(whole, other, atol=1e-9)


def test_rows_with_other_columns_are_refused():
    model, source = fitted("names of columns"), Stream(FRAME.to_numpy())
    source.columns = ("length", "noise", "weight")
    with pytest.raises(
        InputError, match=r"the columns are \['length', 'noise', 'weight'\], but the model was fitted on"
    ):
        preprocess_source(source, split_pipeline(model)[0])
    with pytest.raises(InputError, match="the rows have 2 features, expected the 3 that the model was fitted on"):
        preprocess_source(Stream(X[:, :2]), split_pipeline(fitted("PCA"))[0])
    with pytest.raises(InputError, match="the column 'weight' is missing"):
        received_rows(model, pa.table(dict(FRAME[["length", "noise"]])))


def test_blocks_have_no_texts():
    with pytest.raises(
        InputError, match="the model takes columns of text, and rows that are read in blocks are numbers"
    ):
        preprocess_source(Stream(np.hstack([X, X])), Pipeline(fitted("mixed").steps[:-1]))
