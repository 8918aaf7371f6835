"""What notebooks show of an estimator."""

import re
import xml.etree.ElementTree as ET

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from sklearn.base import clone

from softkmeans import ClusterDisplay, FuzzyCMeans, SoftKMeans

X = np.random.default_rng(0).normal(size=(60, 5)) + 4 * np.eye(5)[np.arange(60) % 3]
MODELS = {
    "soft": lambda: SoftKMeans(3, random_state=0).fit(X),
    "per cluster": lambda: SoftKMeans(3, temperature="per-cluster", random_state=0).fit(X),
    "fuzzy": lambda: FuzzyCMeans(3, random_state=0).fit(X),
    "tensor": lambda: SoftKMeans(3, random_state=0).fit(torch.from_numpy(X)),
    "one cluster of one feature": lambda: SoftKMeans(1).fit(X[:, :1]),
    "many clusters": lambda: SoftKMeans(20, random_state=0).fit(X[:, :2]),
}


@pytest.mark.parametrize("name", MODELS)
def test_a_fitted_estimator_shows_figures_and_its_centers(name):
    model = MODELS[name]()
    shown = model._repr_html_()
    assert "sk-top-container" in shown  # scikit-learn's own representation
    (picture,) = re.findall(r"<svg width='220'.*?</svg>", shown, re.DOTALL)
    circles = ET.fromstring(picture).findall("circle")  # noqa: S314 -- our own text
    assert len(circles) == len(model.cluster_centers_)
    assert all(0 <= float(circle.get(at)) <= 220 for circle in circles for at in ("cx", "cy"))
    assert f"{len(model.cluster_centers_)} of {model.n_features_in_} features" in shown
    assert "converged" in shown
    assert "text/html" in model._repr_mimebundle_()


def test_an_unfitted_estimator_shows_its_parameters_alone():
    assert "<svg width='220'" not in clone(MODELS["soft"]())._repr_html_()


def test_plot_gives_the_display():
    display = MODELS["soft"]().plot(X)
    assert isinstance(display, ClusterDisplay)
    plt.close("all")
