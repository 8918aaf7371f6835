"""Test reliability by hand, on memberships that are calibrated by construction, and with invalid input."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch

from softkmeans import InputError, metrics
from softkmeans.metrics import _inputs, expected_calibration_error, reliability


def calibrated(n=200_000, k=3, seed=0):
    """Return random memberships (n, k), and labels (n,) drawn from them."""
    rng = np.random.default_rng(seed)
    resp = rng.dirichlet(np.full(k, 0.5), n)
    return resp, (resp.cumsum(1) < rng.random((n, 1))).sum(1)


def test_by_hand():
    resp = [[0.95, 0.05], [0.15, 0.85], [0.85, 0.15], [0.45, 0.55], [0.6, 0.4], [0.93, 0.07]]
    found = reliability(resp, [0, 1, 1, 1, 0, 0])
    np.testing.assert_allclose(found.stated, [0.575, 0.85, 0.94], rtol=1e-14)
    np.testing.assert_allclose(found.frequency, [1, 0.5, 1], rtol=1e-14)
    np.testing.assert_array_equal(found.weight, [2, 2, 2])
    assert found.error == pytest.approx((0.425 + 0.35 + 0.06) / 3, rel=1e-14)


@pytest.mark.parametrize(
    ("resp", "labels", "error"),
    [
        (np.eye(3), [0, 1, 2], 0),
        (np.eye(3), [1, 2, 0], 1),
        (np.eye(2)[[0, 0, 1, 1]], [0, 0, 1, 0], 0.25),
        (np.full((4, 2), 0.5), [0, 1, 0, 1], 0),
        (np.full((4, 4), 0.25), [3, 2, 1, 0], 0),
        ([[1.0], [1.0]], [0, 0], 0),
    ],
)
def test_error_by_hand(resp, labels, error):
    assert expected_calibration_error(resp, labels) == pytest.approx(error, abs=1e-14)


def test_noise_is_one_more_cluster():
    resp = [[0.0, 0.0], [0.1, 0.1], [0.9, 0.0], [0.3, 0.3]]  # noise: 1, 0.8, 0.1, 0.4
    found = reliability(resp, [-1, 0, 0, -1], n_bins=5)
    np.testing.assert_allclose(found.stated, [0.4, 0.8, 0.95], rtol=1e-14)
    np.testing.assert_allclose(found.frequency, [1, 0, 1], rtol=1e-14)
    np.testing.assert_array_equal(found.weight, [1, 1, 2])


def test_rows_without_noise_never_match_the_label_of_noise():
    assert expected_calibration_error([[0.9, 0.1], [0.1, 0.9]], [-1, -1]) == pytest.approx(0.9)


@pytest.mark.slow
@pytest.mark.parametrize("k", [2, 3, 8])
@pytest.mark.parametrize("n_bins", [1, 10, 25])
def test_labels_drawn_from_the_memberships(k, n_bins):
    resp, labels = calibrated(k=k)
    found = reliability(resp, labels, n_bins=n_bins)
    np.testing.assert_array_less(np.abs(found.stated - found.frequency), 2.5 / np.sqrt(found.weight))
    assert found.error < 0.01
    assert found.weight.sum() == len(resp)
    assert (np.diff(found.stated) > 0).all()


@pytest.mark.parametrize("power", [0.3, 4.0])
def test_memberships_that_are_too_soft_or_too_hard_have_an_error(power):
    resp, labels = calibrated()
    distorted = resp**power / (resp**power).sum(1, keepdims=True)
    found = reliability(distorted, labels)
    low, high = (found.stated, found.frequency) if power < 1 else (found.frequency, found.stated)
    inner = (found.stated > 0.5) & (found.stated < 0.95)
    assert (low < high)[inner].all()
    assert found.error > 0.05


def test_aligned_clusters_match_the_classes():
    resp, labels = calibrated(2000)
    shuffled = resp[:, [2, 0, 1]]
    order = metrics.align(np.eye(3)[labels], shuffled)
    assert expected_calibration_error(shuffled[:, order], labels) == expected_calibration_error(resp, labels)


def test_a_weight_is_equivalent_to_a_repeated_row():
    (resp, labels), weight = calibrated(50), np.random.default_rng(1).integers(0, 4, 50)
    found = reliability(resp, labels, sample_weight=weight)
    expected = reliability(np.repeat(resp, weight, 0), np.repeat(labels, weight))
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12)


@pytest.mark.parametrize("form", [list, np.float32, np.int8, pd.Series, torch.tensor])
def test_forms_of_labels(form):
    resp, labels = calibrated(100)
    assert expected_calibration_error(resp, form(labels)) == expected_calibration_error(resp, labels)
    tensor = torch.tensor(resp, requires_grad=True)
    assert expected_calibration_error(tensor, form(labels)) == expected_calibration_error(resp, labels)


def test_small_blocks_change_nothing(monkeypatch):
    resp, labels = calibrated(1000)
    expected = reliability(resp, labels)
    monkeypatch.setattr(_inputs, "BLOCK", 64)
    for one, other in zip(reliability(resp, labels), expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12)


@pytest.mark.parametrize("form", [list, np.array, pd.Series, pl.Series, lambda labels: np.array(labels, object)])
def test_classes_that_are_text(form):
    resp, labels = calibrated(200)
    names = np.array(["apple", "banana", "cherry"])[labels].tolist()
    assert expected_calibration_error(resp, form(names)) == expected_calibration_error(resp, labels)


@pytest.mark.parametrize(
    ("labels", "settings", "message"),
    [
        ([0, 1, 3], {}, r"labels has 3 in row 2 \(counted from 0\): give the index of one of the 3 columns of resp"),
        ([0, -2, 1], {}, r"labels has -2 in row 1 .* 0 to 2, or -1 for no cluster"),
        ([0, 0.5, 1], {}, "labels has 0.5 in row 1"),
        ([0, np.nan, 1], {}, "labels has nan in row 1"),
        ([0, np.inf, 1], {}, "labels has inf in row 1"),
        (["a", "b", "c", "d"], {}, "labels has 4 classes: give at most one for each of the 3 columns of resp"),
        (["a", None, "c"], {}, "labels"),
        ([0, 1], {}, "resp has 3 rows and labels has 2 rows: give the same rows in both"),
        ([], {}, r"labels has shape \(0,\), expected \(n,\): give one label per row"),
        (np.eye(3), {}, r"labels has shape \(3, 3\), expected \(n,\)"),
        ([0, 1, 2], {"n_bins": 0}, "n_bins=0: give a whole number of 1 or more"),
        ([0, 1, 2], {"n_bins": 2.5}, "n_bins=2.5"),
        ([0, 1, 2], {"sample_weight": [1, 2]}, "sample_weight has shape"),
    ],
)
@pytest.mark.parametrize("function", [reliability, expected_calibration_error])
def test_bad_input(function, labels, settings, message):
    with pytest.raises(InputError, match=message) as caught:
        function(np.eye(3), labels, **settings)
    assert "\n" not in str(caught.value)


def test_two_classes_may_be_bools():
    resp, labels = np.array([[0.9, 0.1], [0.2, 0.8]]), np.array([False, True])
    assert reliability(resp, labels).error == pytest.approx(reliability(resp, labels.astype(int)).error)
