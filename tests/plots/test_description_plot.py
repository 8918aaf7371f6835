"""The plot of what sets clusters apart shows the effect sizes and means of the description."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from sklearn.datasets import load_wine

from softkmeans import InputError, SoftKMeans, describe_clusters
from softkmeans.plots import DescriptionDisplay

WINE = load_wine(as_frame=True).data


@pytest.fixture(autouse=True)
def _close():
    yield
    plt.close("all")


def test_colors_are_effect_sizes_and_numbers_are_means():
    model = SoftKMeans(3, random_state=0).fit(WINE)
    display = DescriptionDisplay.from_estimator(model, WINE, n_features=5)
    table = describe_clusters(model, WINE).set_index(["feature", "cluster"])
    names = [label.get_text() for label in display.ax_.get_yticklabels()]
    largest = table["effect_size"].abs().groupby("feature").max().sort_values(ascending=False)
    assert names == largest.index[:5].tolist()
    expected = [[table.loc[(name, k), "effect_size"] for k in range(3)] for name in names]
    np.testing.assert_allclose(display.image_.get_array(), np.clip(expected, -3, 3))
    means = [f"{table.loc[(name, k), 'mean']:.3g}" for name in names for k in range(3)]
    assert [number.get_text() for number in display.numbers_] == means
    assert display.key_ is not None


def test_given_axes_and_styles():
    ax = plt.figure().subplots()
    display = DescriptionDisplay.from_estimator(
        SoftKMeans(2, random_state=0).fit(WINE), WINE, ax=ax, key=False, cmap="RdBu", numbers_kw={"color": "red"}
    )
    assert display.ax_ is ax
    assert display.key_ is None
    assert display.numbers_[0].get_color() == "red"


def test_names_with_dollars_are_text():
    frame = WINE[["ash", "hue"]].set_axis(["$x^$", "a\nb"], axis=1)
    display = DescriptionDisplay.from_estimator(SoftKMeans(2, random_state=0).fit(frame), frame)
    display.figure_.canvas.draw()
    assert {label.get_text() for label in display.ax_.get_yticklabels()} == {"$x^$", "a\\nb"}


def test_no_features_are_an_error():
    with pytest.raises(InputError, match="n_features"):
        DescriptionDisplay.from_estimator(SoftKMeans(2, random_state=0).fit(WINE), WINE, n_features=0)
