"""Sources return the rows unchanged for every kind of array."""

import numpy as np
import pytest
import scipy
import torch

from softkmeans.data import block as block_module
from softkmeans.data import ordering
from softkmeans.data.convert import as_source
from softkmeans.data.scaling import Scaling
from softkmeans.data.source import MAX_KEPT_NUMBERS, ScaledSource
from softkmeans.distances import as_distance

X = np.arange(30.0).reshape(10, 3)


def frozen(x):
    x = x.copy()
    x.flags.writeable = False
    return x


HOLDERS = {
    "array": X,
    "list": X.tolist(),
    "float32": X.astype(np.float32),
    "integers": X.astype(np.int64),
    "booleans": X > 4,
    "fortran": np.asfortranarray(X),
    "strided": np.repeat(X, 2, axis=0)[::2],
    "read-only": frozen(X),
    "big-endian": X.astype(">f8"),
    "tensor": torch.tensor(X),
    "tensor with gradient": torch.tensor(X, requires_grad=True),
    "integer tensor": torch.tensor(X).long(),
    "transposed tensor": torch.tensor(X.T.copy()).T,
}


@pytest.mark.parametrize("holder", HOLDERS)
@pytest.mark.parametrize("block", [4, 2**20])
def test_blocks_contain_all_rows_once(monkeypatch, holder, block):
    monkeypatch.setattr(block_module, "BLOCK", block)
    source = as_source(HOLDERS[holder], np.arange(10))
    expected = np.asarray(X > 4, dtype=float) if holder == "booleans" else X
    rows = source.map(lambda b: b.x)
    np.testing.assert_array_equal(rows.numpy(), expected)
    assert rows.dtype == torch.float64
    assert not rows.requires_grad
    np.testing.assert_array_equal(source.map(lambda b: b.w).numpy(), np.arange(10))
    for total in (source.sum(lambda b: b.w @ b.x), source.sum(lambda block: block.sum(lambda b: b.w @ b.x))):
        np.testing.assert_allclose(total.numpy(), np.arange(10) @ expected)
    np.testing.assert_array_equal(source.take(torch.tensor([7, 0])).numpy(), expected[[7, 0]])


def test_memory_mapped_file(tmp_path):
    np.save(tmp_path / "x.npy", X)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    np.testing.assert_array_equal(as_source(mapped).map(lambda b: b.x).numpy(), X)


def test_views_scale_all_rows():
    view = ScaledSource(as_source(X), Scaling(as_distance("sqeuclidean"), torch.zeros(3, dtype=torch.float64), 0.5))
    np.testing.assert_array_equal(view.map(lambda b: b.x).numpy(), 2 * X)
    np.testing.assert_array_equal(view.sum(lambda b: b.x.sum(0)).numpy(), 2 * X.sum(0))
    np.testing.assert_array_equal(view.take(torch.tensor([3])).numpy(), 2 * X[[3]])


@pytest.mark.parametrize("weights", [None, np.arange(1.0, len(X) + 1)])
def test_few_rows_are_scaled_once(weights):
    scaling = Scaling(as_distance("sqeuclidean"), torch.ones(3, dtype=torch.float64), 0.5)
    view = scaling.view(as_source(X, weights))
    kept = view.kept()
    (block,), (expected,) = kept.blocks(), view.blocks()
    assert block.scaling is None
    assert torch.equal(block.x, expected.x)
    assert torch.equal(block.w, expected.w)
    assert torch.equal(kept.take(torch.tensor([3])), view.take(torch.tensor([3])))


def test_many_or_sparse_rows_are_scaled_in_every_pass():
    scaling = Scaling(as_distance("sqeuclidean"), torch.zeros(3, dtype=torch.float64), 0.5)
    many = scaling.view(as_source(np.zeros((MAX_KEPT_NUMBERS // 3 + 1, 3))))
    sparse = scaling.view(as_source(scipy.sparse.csr_array(X)))
    assert many.kept() is many
    assert sparse.kept() is sparse


@pytest.mark.parametrize("weights", [None, np.arange(40.0)])
def test_small_tables_are_sorted_as_large_ones(weights, monkeypatch):
    x = np.random.default_rng(0).integers(0, 3, (40, 3)).astype(float)
    at_once = ordering.sorted_rows(as_source(x, weights))
    monkeypatch.setattr(ordering, "MAX_SMALL_ENTRIES", 0)
    by_column = ordering.sorted_rows(as_source(x, weights))
    np.testing.assert_array_equal(x[at_once.order], x[by_column.order])
    assert torch.equal(at_once.begins, by_column.begins)
    assert at_once.n_distinct == by_column.n_distinct


def test_a_fit_does_not_depend_on_the_blocks(monkeypatch):
    from softkmeans import fit

    x = np.random.default_rng(0).normal(size=(200, 3))
    whole = fit(x, 3, random_state=0)
    monkeypatch.setattr(block_module, "BLOCK", 21)
    monkeypatch.setattr("softkmeans.kernels.reference.TILE_ENTRIES", 6)
    pieces = fit(x, 3, random_state=0)
    np.testing.assert_allclose(pieces.centers, whole.centers, rtol=1e-10)
    assert pieces.n_iter == whole.n_iter
