"""Pictures of pipelines: in the data's units where each feature has them, else what the estimator receives."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.decomposition import PCA
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, Normalizer, OneHotEncoder, PowerTransformer, StandardScaler

from helpers.pipelines import FRAME, MIXED, soft
from softkmeans.estimators import make_model
from softkmeans.plots import ClusterDisplay, LossDisplay, MembershipDisplay, SilhouetteDisplay, UncertaintyDisplay

TWO = FRAME[["length", "weight"]]
LABELS = {
    "data units": (lambda: make_model(soft(), "log"), TWO.abs(), ("length", "weight")),
    "powers": (lambda: make_pipeline(PowerTransformer(), PCA(2), soft()), TWO, ("length", "weight")),
    "one feature": (lambda: make_model(soft(), "robust"), TWO[["length"]], ("length", "jitter")),
    "without an inverse": (
        lambda: make_pipeline(Normalizer(), soft()),
        TWO,
        ("length (normalized) (transformed data)", "weight (normalized) (transformed data)"),
    ),
    "filled": (
        lambda: make_pipeline(SimpleImputer(), StandardScaler(), soft()),
        TWO.mask(TWO > 20),
        ("length (transformed data)", "weight (transformed data)"),
    ),
    "two of three": (
        lambda: make_pipeline(PCA(2), soft()),
        FRAME,
        ("pca0 (transformed data)", "pca1 (transformed data)"),
    ),
    "three features": (
        lambda: make_model(soft(), "standard"),
        FRAME,
        ("PC 1 of standardized data (", "PC 2 of standardized data ("),
    ),
    "texts": (
        lambda: make_pipeline(OneHotEncoder(), soft()),
        MIXED[["color", "size"]],
        ("PC 1 of transformed data (", "PC 2 of transformed data ("),
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("display", [ClusterDisplay, UncertaintyDisplay])
@pytest.mark.parametrize("case", LABELS)
def test_labels_say_what_is_drawn(case, display):
    make, rows, labels = LABELS[case]
    model = make().fit(rows)
    drawn = display.from_estimator(model, rows)
    found = [label.replace("\n", " ") for label in (drawn.ax_.get_xlabel(), drawn.ax_.get_ylabel())]
    assert all(text.startswith(label) for text, label in zip(found, labels, strict=True)), found
    assert all(label.endswith("(") or text == label for text, label in zip(found, labels, strict=True)), found
    plt.close(drawn.figure_)


@pytest.mark.parametrize("kind", [pd.DataFrame, pl.DataFrame])
@pytest.mark.parametrize("make", [lambda: make_model(soft(), "standard"), lambda: make_pipeline(Normalizer(), soft())])
def test_regions_are_those_of_the_pipeline(kind, make):
    rows = kind({name: TWO[name].to_numpy() for name in TWO})
    model = make().fit(rows)
    drawn = ClusterDisplay.from_estimator(model, rows, regions=True)
    left, right, bottom, _ = drawn.regions[0]
    shown = np.column_stack([np.linspace(left, right, 400), np.full(400, bottom)])
    is_data = drawn.xlabel == "length"
    expected = (
        model.predict_proba(kind(dict(zip(TWO, shown.T, strict=True)))) if is_data else model[-1].predict_proba(shown)
    )
    np.testing.assert_allclose(drawn.regions[1][0], expected, atol=1e-12)
    plt.close(drawn.figure_)


def test_silhouettes_are_of_what_is_clustered():
    model = make_model(soft(), "standard").fit(FRAME)
    drawn = SilhouetteDisplay.from_estimator(model, FRAME)
    expected = SilhouetteDisplay.from_estimator(model[-1], model[:-1].transform(FRAME))
    assert drawn.score == expected.score
    plt.close("all")


def test_losses_and_memberships_of_a_pipeline():
    model = make_model(soft(), "standard").fit(FRAME)
    assert LossDisplay.from_estimator(model).losses[-1] == model[-1].history_[-1].mean
    assert MembershipDisplay.from_estimator(model, FRAME).figure_ is not None
    plt.close("all")


@pytest.mark.slow
@pytest.mark.parametrize(
    "step", [FunctionTransformer(np.log), PowerTransformer("box-cox"), FunctionTransformer(np.sqrt)]
)
def test_maps_reach_beside_the_data_where_a_transformation_is_not_defined(step):
    rows = TWO.abs().to_numpy()
    drawn = UncertaintyDisplay.from_estimator(make_pipeline(step, soft()).fit(rows), rows)
    (left, _, bottom, _), uncertainty = drawn.field
    assert left < 0
    assert bottom < 0
    assert np.isfinite(uncertainty).all()
    plt.close(drawn.figure_)
