"""Pipelines of scikit-learn's transformers and an estimator, with the rows that each is fitted to."""

import functools
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer, make_column_selector, make_column_transformer
from sklearn.decomposition import PCA
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    MaxAbsScaler,
    MinMaxScaler,
    Normalizer,
    OneHotEncoder,
    PowerTransformer,
    RobustScaler,
    StandardScaler,
)

from softkmeans import FuzzyCMeans, SoftKMeans
from softkmeans.estimators import make_model

RNG = np.random.default_rng(0)
GROUP = RNG.integers(0, 3, size=120)
X = np.column_stack([GROUP * 4 + RNG.normal(size=120), np.exp(GROUP + RNG.normal(size=120)), RNG.normal(size=120)])
POSITIVE = np.exp(np.clip(X, -8, 8) / 4)
HOLES = np.where(RNG.random(X.shape) < 0.1, np.nan, X)
CODES = np.column_stack([X, GROUP % 2, np.choose(GROUP, [1.5, 7.0, -2.0])])
FRAME = pd.DataFrame(X, columns=["length", "weight", "noise"])
MIXED = FRAME.assign(
    color=np.array(["red", "green", "blue"], dtype=object)[GROUP],
    size=np.array(["S", "L"], dtype=object)[(GROUP > 1).astype(int)],
    grade=GROUP * 10,
)
MIXED_HOLES = MIXED.mask(RNG.random(MIXED.shape) < 0.1).astype({"color": object, "size": object})
NUMBERS, TEXTS = ["length", "weight", "noise"], ["color", "size"]


class Case(NamedTuple):
    """A pipeline before its fit, and its rows; ``is_exact`` if the centers have data units in every column."""

    make: Callable[[], Any]
    rows: Any
    has_data_units: bool = True


def soft(**parameters):
    return SoftKMeans(3, **({"temperature": "critical:0.05", "random_state": 0} | parameters))


def one(*steps):
    return lambda: make_pipeline(*steps, soft())


def columns(*parts, **options):
    return make_column_transformer(*parts, **options)


def numbers_and_texts(**options):
    numbers = make_pipeline(SimpleImputer(strategy="median"), RobustScaler())
    texts = make_pipeline(SimpleImputer(strategy="most_frequent"), OneHotEncoder(handle_unknown="ignore"))
    return columns((numbers, NUMBERS), (texts, TEXTS), **options)


PIPELINES = {
    "standard": Case(lambda: make_model(soft(), "standard"), X),
    "robust": Case(lambda: make_model(soft(), "robust"), FRAME),
    "log": Case(lambda: make_model(soft(), "log"), POSITIVE),
    "log of a frame": Case(lambda: make_model(soft(), "log"), FRAME.abs()),
    "min-max": Case(one(MinMaxScaler()), X),
    "min-max, clipped": Case(one(MinMaxScaler((-1, 2), clip=True)), X),
    "float32": Case(one(MinMaxScaler()), X.astype(np.float32)),
    "largest": Case(one(MaxAbsScaler()), FRAME),
    "largest, clipped": Case(one(MaxAbsScaler(clip=True)), X),
    "robust without centering": Case(one(RobustScaler(with_centering=False, quantile_range=(10, 90))), X),
    "robust without scaling": Case(one(RobustScaler(with_scaling=False)), X),
    **{f"normalized, {norm}": Case(one(Normalizer(norm)), X, False) for norm in ("l1", "l2", "max")},
    "a column without spread": Case(one(RobustScaler(), StandardScaler()), np.column_stack([X, np.full(120, 7.0)])),
    "Yeo-Johnson": Case(one(PowerTransformer()), X),
    "Yeo-Johnson, float32": Case(one(PowerTransformer()), X.astype(np.float32)),
    "Box-Cox": Case(one(PowerTransformer("box-cox", standardize=False)), POSITIVE),
    "PCA": Case(one(PCA()), X),
    "PCA, whitened": Case(one(StandardScaler(), PCA(2, whiten=True, random_state=0)), FRAME),
    "PCA, float32": Case(one(PCA(2)), X.astype(np.float32)),
    "imputed": Case(one(SimpleImputer(), StandardScaler()), HOLES),
    "imputed, median": Case(one(SimpleImputer(strategy="median"), PCA(2)), HOLES),
    "imputed, constant": Case(one(SimpleImputer(strategy="constant", fill_value=-1.0), StandardScaler()), HOLES),
    "imputed, number": Case(one(SimpleImputer(missing_values=0.0), StandardScaler()), np.nan_to_num(HOLES)),
    "imputed, empty column": Case(
        one(SimpleImputer(keep_empty_features=True), StandardScaler()), np.column_stack([HOLES, np.full(120, np.nan)])
    ),
    "encoded": Case(
        lambda: make_pipeline(columns((OneHotEncoder(), [3, 4]), remainder=StandardScaler()), soft()), CODES, False
    ),
    "encoded, one dropped": Case(
        lambda: make_pipeline(columns((OneHotEncoder(drop="first"), [-1, -2]), remainder="passthrough"), soft()),
        CODES,
        False,
    ),
    "encoded, sparse": Case(one(OneHotEncoder(handle_unknown="ignore"), MaxAbsScaler()), CODES[:, 3:], False),
    "encoded, one dropped of two": Case(one(OneHotEncoder(drop="if_binary", dtype=np.float32)), CODES[:, 3:], False),
    "encoded, missing": Case(
        one(OneHotEncoder(categories=[[0.0, 1.0, 2.0, np.nan]])), np.where(X[:, 2:] > 1, np.nan, GROUP[:, None]), False
    ),
    "functions": Case(
        one(
            FunctionTransformer(np.sqrt, inverse_func=np.square),
            FunctionTransformer(np.log1p, validate=True),
            FunctionTransformer(np.expm1),
            FunctionTransformer(),
        ),
        POSITIVE,
    ),
    "square": Case(one(FunctionTransformer(np.square), StandardScaler()), X, False),
    "logarithm": Case(one(FunctionTransformer(np.log), FunctionTransformer(np.exp), StandardScaler()), POSITIVE),
    "blocks": Case(
        lambda: make_pipeline(
            columns((StandardScaler(), [2]), (PowerTransformer(), slice(0, 2)), remainder="drop"), soft()
        ),
        X,
    ),
    "blocks with a mask": Case(
        lambda: make_pipeline(columns((PCA(1), [True, True, False]), ("passthrough", [2])), soft()), X
    ),
    "a column twice": Case(
        lambda: make_pipeline(columns((StandardScaler(), [0, 1]), (MinMaxScaler(), [1, 2])), soft()), X, False
    ),
    "a column dropped": Case(
        lambda: make_pipeline(columns((StandardScaler(), ["weight"]), ("passthrough", ["length"])), soft()),
        FRAME,
        False,
    ),
    "names of columns": Case(
        lambda: make_pipeline(
            columns((MinMaxScaler(), slice("weight", "noise")), remainder="passthrough"), PCA(2), soft()
        ),
        FRAME,
    ),
    "no columns": Case(
        lambda: make_pipeline(
            columns((StandardScaler(), NUMBERS), (OneHotEncoder(), make_column_selector(dtype_include="datetime"))),
            soft(),
        ),
        FRAME,
    ),
    "mixed": Case(lambda: make_pipeline(numbers_and_texts(), soft()), MIXED_HOLES, False),
    "mixed, by type": Case(
        lambda: Pipeline([
            ("prepare", ColumnTransformer([
                ("numbers", PowerTransformer(), make_column_selector(dtype_include="number")),
                ("texts", OneHotEncoder(sparse_output=False), make_column_selector(dtype_exclude="number")),
            ], verbose_feature_names_out=False)),
            ("project", PCA(4, random_state=0)),
            ("cluster", soft()),
        ]),
        MIXED,
        False,
    ),
    "mixed, sparse": Case(
        lambda: make_pipeline(columns((OneHotEncoder(), TEXTS), sparse_threshold=1.0), soft()), MIXED, False
    ),
    "nested": Case(
        lambda: Pipeline([
            ("first", Pipeline([("fill", SimpleImputer()), ("none", "passthrough"), ("scale", MinMaxScaler())])),
            ("rotate", PCA(3)),
            ("none", None),
            ("cluster", FuzzyCMeans(3, random_state=0)),
        ]),
        HOLES,
    ),
    "one nested pipeline": Case(
        lambda: Pipeline([("prepare", make_pipeline(SimpleImputer(), StandardScaler())), ("cluster", soft())]), HOLES
    ),
    "columns of pipelines": Case(
        lambda: make_pipeline(
            columns((numbers_and_texts(sparse_threshold=0), [*NUMBERS, *TEXTS]), (StandardScaler(), ["grade"])), soft()
        ),
        MIXED_HOLES.assign(grade=MIXED["grade"]),
        False,
    ),
    "nothing": Case(lambda: Pipeline([("none", "passthrough"), ("cluster", soft())]), FRAME),
    "pandas between the steps": Case(
        lambda: make_pipeline(StandardScaler(), PCA(2), soft()).set_output(transform="pandas"), FRAME
    ),
}  # fmt: skip


@functools.cache
def fitted(name):
    """Return a fitted pipeline, which must not be changed."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of functions that are no inverses, and categories that are missing
        return PIPELINES[name].make().fit(PIPELINES[name].rows)
