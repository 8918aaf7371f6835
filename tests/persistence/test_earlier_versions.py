"""Models saved by earlier versions of the library: they load and give the same results.

The files in the folder models were written by those versions and must never change. Each expected file holds the
results of the version that saved the model.
"""

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file
from sklearn.datasets import load_iris, load_wine
from sklearn.preprocessing import StandardScaler

from softkmeans import SoftKMeans, load

MODELS = Path(__file__).parent / "models"
DATA = {"version-1": load_wine().data, "version-2": load_iris().data}


def expected(version):
    return load_file(MODELS / f"{version}-expected.safetensors")


@pytest.mark.parametrize("version", DATA)
def test_memberships_equal_those_of_the_saving_version(version):
    model = load(MODELS / f"{version}.safetensors")
    np.testing.assert_allclose(model.predict_proba(DATA[version]), expected(version)["memberships"], rtol=1e-12)


def test_a_pipeline_of_version_1():
    scaler, estimator = (step for _, step in load(MODELS / "version-1.safetensors").steps)
    assert (type(scaler), type(estimator)) == (StandardScaler, SoftKMeans)
    np.testing.assert_allclose(scaler.mean_, load_wine().data.mean(0))
    assert (estimator.n_clusters, estimator.converged_, estimator.n_iter_) == (3, True, 8)
    np.testing.assert_array_equal(estimator.priors_, [1 / 3] * 3)  # version 1 had no other


def test_a_model_of_version_2_continues_to_learn():
    model = load(MODELS / "version-2.safetensors").partial_fit(load_iris().data[2::3])
    after = expected("version-2")
    np.testing.assert_allclose(model.cluster_centers_, after["centers_after"], rtol=1e-10)
    np.testing.assert_allclose(model.predict_proba(load_iris().data), after["memberships_after"], rtol=1e-9)
