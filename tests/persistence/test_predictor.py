"""The light predictor answers what the estimator answers, and imports no PyTorch."""

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest
import safetensors
import safetensors.numpy
import torch
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from helpers.members import IRIS, MEMBERS, member
from softkmeans import FuzzyCMeans, SoftKMeans, predictor, save
from softkmeans.distances import DISTANCES, Distance
from softkmeans.errors import InputError
from softkmeans.model import ASSIGNMENTS, Fuzzy
from softkmeans.persistence import predictor as module

ROWS = np.concatenate([IRIS, IRIS + np.random.default_rng(0).normal(size=IRIS.shape), 50 * IRIS])


@pytest.fixture
def reread(tmp_path):
    """Return a function that saves a model, and returns the predictor that is read from the file."""

    def save_and_read(model):
        save(model, tmp_path / "model.safetensors")
        return predictor(tmp_path / "model.safetensors")

    return save_and_read


def test_all_members_are_served():
    assert set(module.DISTANCES) == set(DISTANCES)
    assert set(module.FUZZIFIERS) == set(ASSIGNMENTS)


@pytest.mark.filterwarnings("ignore:2 or more of 3 centers coincide")
@pytest.mark.parametrize("name", MEMBERS)
def test_the_answers_are_those_of_the_estimator(name, reread):
    model = member(name).fit(IRIS)
    light = reread(model)
    np.testing.assert_allclose(light.predict_proba(ROWS), model.predict_proba(ROWS), rtol=0, atol=1e-12)
    np.testing.assert_array_equal(light.predict(ROWS), model.predict(ROWS))
    np.testing.assert_array_equal(light.predict(ROWS, 0.8), model.predict(ROWS, 0.8))
    np.testing.assert_array_equal(light.cluster_centers_, model.cluster_centers_)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_many_rows_and_features(dtype, reread):
    """The estimator uses its compiled kernels for so many rows."""
    rng = np.random.default_rng(0)
    X = rng.normal(rng.normal(size=(12, 9))[rng.integers(12, size=3000)] * 3, 1.0).astype(dtype)
    model = SoftKMeans(12, random_state=0).fit(X)
    light, expected = reread(model), model.predict_proba(X)
    found = light.predict_proba(X)
    assert found.dtype == expected.dtype == dtype
    np.testing.assert_allclose(found, expected, rtol=0, atol=2e-4 if dtype == np.float32 else 1e-9)
    assert (light.predict(X) == model.predict(X)).mean() > 0.999


def test_rows_far_from_the_origin_and_from_the_centers(reread):
    model = SoftKMeans(3, random_state=0).fit(IRIS + 1e7)
    rows = np.concatenate([IRIS + 1e7, IRIS * 1e8])
    light = reread(model)
    np.testing.assert_allclose(light.predict_proba(rows), model.predict_proba(rows), rtol=0, atol=1e-9)
    np.testing.assert_array_equal(light.predict(rows), model.predict(rows))


def test_settings_of_an_assignment_rule_are_read(reread):
    model = SoftKMeans(3, assignment=Fuzzy(1.3), random_state=0).fit(IRIS)
    np.testing.assert_allclose(reread(model).predict_proba(ROWS), model.predict_proba(ROWS), rtol=0, atol=1e-12)


@pytest.mark.parametrize("options", [{}, {"with_mean": False}, {"with_std": False}])
def test_a_standard_scaler_is_served(options, reread):
    model = make_pipeline(StandardScaler(**options), SoftKMeans(3, random_state=0)).fit(IRIS)
    light = reread(model)
    np.testing.assert_allclose(light.predict_proba(ROWS), model.predict_proba(ROWS), rtol=0, atol=1e-12)
    np.testing.assert_array_equal(light.predict(ROWS), model.predict(ROWS))


@pytest.mark.filterwarnings("ignore:a step of the fit raised the objective")
def test_what_needs_pytorch_is_named(reread):
    with pytest.raises(InputError, match=r"MinMaxScaler needs PyTorch and scikit-learn: use softkmeans\.load"):
        reread(make_pipeline(MinMaxScaler(), SoftKMeans(3, random_state=0)).fit(IRIS))

    class Cubed(Distance):
        name, power = "cubed", 6

        def of_squared(self, squared):
            return squared**3

    DISTANCES.register("cubed", Cubed)
    try:
        with pytest.raises(InputError, match=r"distance='cubed' needs PyTorch: use softkmeans\.load"):
            reread(SoftKMeans(2, distance="cubed", temperature=1.0, random_state=0).fit(IRIS))
    finally:
        DISTANCES.unregister("cubed")


def test_names_of_columns_are_compared(reread):
    frame = pd.DataFrame(IRIS, columns=list("abcd"))
    light = reread(SoftKMeans(3, random_state=0).fit(frame))
    np.testing.assert_array_equal(light.predict(frame), light.predict(IRIS))
    with pytest.raises(InputError, match=r"the columns are \['d', 'c', 'b', 'a'\].*select these columns"):
        light.predict(frame[list("dcba")])


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([[1.0, 2.0]], r"has shape \(1, 2\), expected \(n, 4\)"),
        ([1.0, 2.0, 3.0, 4.0], r"has shape \(4,\)"),
        (np.empty((0, 4)), "at least one row"),
        ([[1.0, 2.0, 3.0, np.nan]], "NaN or infinity"),
        ([["a", "b", "c", "d"]], "expected a table of numbers"),
        ([[1e200, 0.0, 0.0, 0.0]], "away from the centers"),
    ],
)
def test_wrong_rows(rows, message, reread):
    with pytest.raises(InputError, match=message):
        reread(SoftKMeans(3, random_state=0).fit(IRIS)).predict_proba(rows)


def test_wrong_threshold_and_rows_without_direction(reread):
    light = reread(SoftKMeans(2, distance="cosine", random_state=0).fit(IRIS))
    with pytest.raises(InputError, match="reject_below=2"):
        light.predict(IRIS, reject_below=2)
    with pytest.raises(InputError, match="row 1 is all zeros"):
        light.predict([[1.0, 2.0, 3.0, 4.0], [0.0] * 4])


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("cluster_centers_", np.full((3, 4), np.nan)),
        ("cluster_centers_", np.zeros(3)),
        ("priors_", np.array([0.5, 0.9, -0.4])),
        ("temperature_", np.array([1.0, 2.0])),
        ("temperature_", np.array([1.0, 2.0, 0.0])),
    ],
)
def test_damaged_files(name, value, tmp_path):
    path = tmp_path / "model.safetensors"
    save(SoftKMeans(3, random_state=0).fit(IRIS), path)
    with safetensors.safe_open(path, framework="np") as file:
        metadata, tensors = file.metadata(), {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    safetensors.numpy.save_file(tensors | {name: value}, path, metadata)
    with pytest.raises(InputError, match="damaged, with inconsistent content"):
        predictor(path)
    content = json.loads(metadata["content"])
    safetensors.numpy.save_file(tensors, path, metadata | {"content": json.dumps(content | {"parameters": None})})
    with pytest.raises(InputError, match="damaged, with inconsistent content"):
        predictor(path)
    with pytest.raises(InputError, match="there is no such file"):
        predictor(tmp_path / "missing.safetensors")


def test_threads_get_the_same_answers(reread):
    light = reread(FuzzyCMeans(3, random_state=0).fit(IRIS))
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(light.predict_proba, [ROWS[i : i + 1] for i in range(len(ROWS))]))
    np.testing.assert_array_equal(np.concatenate(found), light.predict_proba(ROWS))


def test_a_model_of_tensors(reread):
    model = SoftKMeans(3, random_state=0).fit(torch.from_numpy(IRIS).float())
    np.testing.assert_allclose(reread(model).predict_proba(IRIS), model.predict_proba(IRIS), rtol=0, atol=1e-6)


PROGRAM = """
import sys
import softkmeans
print(softkmeans.predictor(sys.argv[1]).predict_proba([[5.1, 3.5, 1.4, 0.2]]).round(6).tolist())
print([name for name in ("torch", "sklearn", "scipy", "llvmlite", "narwhals", "pandas") if name in sys.modules])
"""


@pytest.mark.process
def test_pytorch_is_not_imported(tmp_path):
    path = tmp_path / "model.safetensors"
    model = SoftKMeans(3, random_state=0).fit(IRIS)
    save(model, path)
    found = subprocess.run([sys.executable, "-c", PROGRAM, path], capture_output=True, text=True, check=True)
    memberships, imported = found.stdout.splitlines()
    assert json.loads(memberships) == model.predict_proba(IRIS[:1]).round(6).tolist()
    assert imported == "[]"
