"""Answers for few rows by NumPy alone: those of the general way, without a PyTorch operation."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from scipy.sparse import csr_array
from torch.overrides import TorchFunctionMode

from softkmeans import FuzzyCMeans, InputError, SoftKMeans
from softkmeans.data import as_source
from softkmeans.estimators import row_map
from softkmeans.estimators.few_rows import few_rows

ROWS = np.random.default_rng(0).normal(size=(60, 3)) + np.repeat(np.eye(3) * 4, 20, 0)

MODELS = {
    "plain": SoftKMeans(3),
    "temperature per cluster, learned priors": SoftKMeans(3, temperature="per-cluster", priors="learned"),
    "noise": SoftKMeans(3, temperature=1.0, noise_distance=4.0),
    "Euclidean": SoftKMeans(3, temperature=1.0, distance="euclidean"),
    "cosine": SoftKMeans(3, temperature=0.1, distance="cosine"),
    "fuzzy": SoftKMeans(3, assignment="fuzzy"),
    "FuzzyCMeans": FuzzyCMeans(3, fuzzifier=1.7),
    "FuzzyCMeans with noise": FuzzyCMeans(3, noise_distance=3.0),
}


@pytest.fixture(params=MODELS)
def model(request):
    return MODELS[request.param].set_params(random_state=0).fit(ROWS)


@pytest.mark.parametrize("n", [1, 7, 60])
def test_answers_are_those_for_many_rows(monkeypatch, model, n):
    rows = ROWS[:n].copy()
    rows[0] *= 1e6  # far from all centers
    assert few_rows(model, as_source(rows)) is not None
    resp, labels, certain = model.predict_proba(rows), model.predict(rows), model.predict(rows, reject_below=0.9)
    assert resp.flags.writeable
    monkeypatch.setattr(row_map, "few_rows", lambda *_: None)
    np.testing.assert_allclose(resp, model.predict_proba(rows), rtol=1e-9, atol=1e-12)
    np.testing.assert_array_equal(labels, model.predict(rows))
    np.testing.assert_array_equal(certain, model.predict(rows, reject_below=0.9))
    assert resp.dtype == np.float64
    assert labels.dtype == np.int64


def test_no_operation_of_pytorch_is_called(model, monkeypatch):
    """Each one would give the interpreter's lock to another thread, and wait for it."""
    calls = []

    class Recorder(TorchFunctionMode):
        def __torch_function__(self, function, types, args=(), kwargs=None):
            calls.append(function)
            return function(*args, **(kwargs or {}))

    from_numpy = torch.from_numpy  # which no mode sees
    monkeypatch.setattr(torch, "from_numpy", lambda array: (calls.append(from_numpy), from_numpy(array))[1])
    model.predict(ROWS[:1])
    calls.clear()
    with Recorder():
        model.predict(ROWS[:1])
        model.predict_proba(ROWS[:1])
        assert not calls
        torch.from_numpy(ROWS).sum()  # the recorders record
    assert len(calls) == 2


@pytest.mark.parametrize("row", [[np.nan, 0.0, 1.0], [1e300, -1e300, 1e300], [0.0, 0.0, 0.0], [1.0, 2.0]], ids=str)
def test_bad_rows_get_the_same_error(monkeypatch, model, row):
    def error_of(call):
        try:
            call(np.array([[1.0, 2.0, 3.0][: len(row)], row]))
        except ValueError as error:
            return type(error), str(error)
        return None

    calls = model.predict, model.predict_proba
    found = [error_of(call) for call in calls]
    monkeypatch.setattr(row_map, "few_rows", lambda *_: None)
    assert found == [error_of(call) for call in calls]


def test_other_rows_and_models_go_the_general_way():
    model = SoftKMeans(3, random_state=0).fit(ROWS)
    others = [ROWS.astype(np.float32), torch.tensor(ROWS), csr_array(ROWS), np.zeros((10**6, 3))]
    assert [few_rows(model, as_source(rows)) for rows in others] == [None] * len(others)
    fitted_on_tensors = SoftKMeans(3, random_state=0).fit(torch.tensor(ROWS))
    assert few_rows(fitted_on_tensors, as_source(ROWS)) is None
    with pytest.raises(InputError, match="reject_below"):
        model.predict(ROWS, reject_below=2.0)


@pytest.mark.filterwarnings(
    "ignore:all 4 centers coincide", "ignore:the fit did not converge", "ignore:X does not have"
)
@pytest.mark.parametrize("kind", [np.ndarray.tolist, pd.DataFrame, pl.DataFrame, np.asfortranarray])
def test_tables_of_all_kinds_get_the_labels_of_the_fit(kind):
    """Rows are between centers, so that rounding decides."""
    rng = np.random.default_rng(1)
    rows = 1e3 + rng.integers(-2, 3, size=(80, 3)) * 0.25
    for distance in ("sqeuclidean", "cosine"):
        model = SoftKMeans(4, temperature=80.0, distance=distance, max_iter=3, random_state=0).fit(kind(rows))
        assert few_rows(model, as_source(kind(rows))) is not None
        np.testing.assert_array_equal(model.labels_, model.predict(rows))
        np.testing.assert_array_equal(model.predict(rows), model.predict(kind(rows)))
        np.testing.assert_array_equal(model.predict_proba(rows), model.predict_proba(kind(rows)))


def test_priors_of_another_type_are_converted(monkeypatch):
    model = SoftKMeans(3, priors="learned", random_state=0).fit(ROWS)
    model.priors_ = np.array([0.5, 0.25, 0.25], np.float32)
    resp = model.predict_proba(ROWS[:5])
    monkeypatch.setattr(row_map, "few_rows", lambda *_: None)
    np.testing.assert_allclose(resp, model.predict_proba(ROWS[:5]), rtol=1e-9, atol=1e-12)


def test_changed_centers_are_used():
    model = SoftKMeans(3, random_state=0).fit(ROWS)
    before = model.predict_proba(ROWS[:2])
    model.cluster_centers_[:] = model.cluster_centers_[::-1].copy()
    np.testing.assert_allclose(model.predict_proba(ROWS[:2]), before[:, ::-1], rtol=1e-9)
