"""Streams: results do not depend on how the rows are divided into blocks, which can only be read in order."""

import functools

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.exceptions import ConvergenceWarning
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch.utils.data import DataLoader, TensorDataset

from helpers.fuzzing import examples
from helpers.streams import Stream
from softkmeans import FuzzyCMeans, InputError, SoftKMeans, make_blobs, select_n_clusters, write_assignments
from softkmeans.data import scan
from softkmeans.data.sampling import draw_rows
from softkmeans.data.scaling import Scaling
from softkmeans.distances import DISTANCES, as_distance
from softkmeans.estimators import fit_preprocessing, preprocess_source
from softkmeans.seeding import SEEDINGS, initial_centers

X = make_blobs(600, 3, 5, random_state=0, dtype=torch.float64)[0].numpy()
WEIGHTS = np.random.default_rng(0).integers(0, 4, len(X)).astype(float)
ENDS = st.lists(st.integers(1, len(X) - 1), max_size=6)


def seeded(name, source, k, distance, seed=3):
    scaling = Scaling.of(source, as_distance(distance))
    return [
        scaling.inverse_transform(start)
        for start in initial_centers(name, 2, k, source, scaling, np.random.default_rng(seed))
    ]


@functools.cache
def seeded_whole(name, distance):
    return seeded(name, Stream(X, w=WEIGHTS), 5, distance)


@pytest.mark.slow
@pytest.mark.parametrize("distance", DISTANCES)
@pytest.mark.parametrize("name", SEEDINGS)
@examples(4)
@given(ends=ENDS)
def test_initial_centers_do_not_depend_on_blocks(name, distance, ends):
    whole = seeded_whole(name, distance)
    cut = seeded(name, Stream(X, ends, w=WEIGHTS), 5, distance)
    for one, other in zip(whole, cut, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-9)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*centers coincide")
@examples(5)
@given(ends=ENDS, kind=st.sampled_from(["auto", "per-cluster", 2.0, "calibrated", "perplexity:1.5"]))
def test_fits_do_not_depend_on_blocks(ends, kind):
    settings = {"temperature": kind, "init": X[::120], "priors": "learned", "tol": 1e-8}
    array = SoftKMeans(5, **settings).fit(X, sample_weight=WEIGHTS)
    stream = SoftKMeans(5, **settings).fit(Stream(X, ends, w=WEIGHTS))
    np.testing.assert_allclose(stream.cluster_centers_, array.cluster_centers_, rtol=1e-7, atol=1e-7)
    np.testing.assert_allclose(stream.temperature_, array.temperature_, rtol=1e-7)
    assert stream.inertia_ == pytest.approx(array.inertia_, rel=1e-9)
    assert stream.score(Stream(X, ends)) == pytest.approx(array.score(X), rel=1e-7)
    assert stream.bic(Stream(X, ends)) == pytest.approx(array.bic(X), rel=1e-7)
    np.testing.assert_array_equal(stream.predict(Stream(X, ends)), array.predict(X))
    np.testing.assert_allclose(stream.predict_proba(Stream(X, ends)), array.predict_proba(X), atol=1e-6)


def test_labels_of_streams_are_not_stored():
    model = SoftKMeans(5, random_state=0).fit(X)
    assert hasattr(model, "labels_")
    assert not hasattr(model.fit(Stream(X)), "labels_")
    np.testing.assert_array_equal(model.fit_predict(Stream(X)), model.predict(X))


@pytest.mark.parametrize("name", SEEDINGS)
def test_initial_centers_include_all_distant_blobs(name):
    centers = np.arange(6)[:, None] * 1000.0
    rows = np.concatenate([centers + shift for shift in np.linspace(-1, 1, 50)])
    found = seeded(name, Stream(rows, [70, 200]), 6, "sqeuclidean")
    if name != "random":
        for start in found:
            assert np.array_equal(np.sort((start[:, 0].numpy() / 1000).round()), np.arange(6))
    assert len(np.unique(found[0][:, 0])) == 6


@pytest.mark.parametrize("name", SEEDINGS)
def test_rows_with_zero_weight_are_not_initial_centers(name):
    rows, weights = np.concatenate([X, X + 500]), np.repeat([1.0, 0.0], len(X))
    for start in seeded(name, Stream(rows, [100], w=weights), 5, "sqeuclidean"):
        assert start.max() < 100


@pytest.mark.slow
@pytest.mark.parametrize("name", SEEDINGS)
def test_fewer_distinct_rows_than_clusters(name):
    rows = np.repeat([[0.0, 1.0], [4.0, 4.0]], 20, axis=0)
    with pytest.warns(ConvergenceWarning, match="has 2 distinct rows, fewer than n_clusters=3"):
        found = seeded(name, Stream(rows, [7]), 3, "sqeuclidean")
    for start in found:
        assert start.shape == (3, 2)
        assert len(np.unique(start.numpy().round(6), axis=0)) == 2


@pytest.mark.slow
@pytest.mark.parametrize("size", [1, 3])
def test_rows_are_drawn_by_their_sampling_weight(size):
    """Compare with the probabilities of sequential draws without replacement."""
    weights = np.array([1.0, 2.0, 3.0, 4.0])
    source = Stream(np.arange(4.0)[:, None], [1, 3], w=weights)
    drawn = [draw_rows(source, size, lambda block: block.w, seed)[0][:, 0].int().tolist() for seed in range(2000)]
    frequencies = np.bincount([rows[0] for rows in drawn], minlength=4) / len(drawn)
    np.testing.assert_allclose(frequencies, weights / 10, atol=0.03)
    if size == 3:
        left_out = np.array([6 - sum(rows) for rows in drawn])
        expected = [0.0, 0.0, 0.0, 0.0]
        for a in range(4):
            for b in {0, 1, 2, 3} - {a}:
                for c in {0, 1, 2, 3} - {a, b}:
                    first, second, third = weights[[a, b, c]]
                    expected[6 - a - b - c] += first / 10 * second / (10 - first) * third / (10 - first - second)
        np.testing.assert_allclose(np.bincount(left_out, minlength=4) / len(drawn), expected, atol=0.03)


def test_weights_of_the_drawn_rows_are_returned():
    rows, weight = draw_rows(Stream(X, [50], w=WEIGHTS), 20, lambda block: block.w, seed=1)
    for row, w in zip(rows.numpy(), weight.tolist(), strict=True):
        (index,) = np.flatnonzero((row == X).all(1))
        assert WEIGHTS[index] == w > 0


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"growing_sample": True, "n_clusters": 1}, "needs rows by index, but a Stream only reads them in order"),
        ({"init": lambda x, k, random_state: x[:k]}, "init is a callable, which needs all rows at once"),
        ({"n_clusters": 601}, "n_clusters=601 is more than the 600 rows"),
    ],
)
def test_errors_of_methods_that_need_rows_by_index(settings, message):
    with pytest.raises(InputError, match=message):
        SoftKMeans(**({"n_clusters": 5} | settings)).fit(Stream(X))


WRONG_USES = {
    "X='x.npy' is a file name, expected rows: use softkmeans.data.scan": lambda: SoftKMeans(2).fit("x.npy"),
    "a generator yields its rows only once": lambda: SoftKMeans(2).fit(row for row in X),
    "sample_weight is not supported with a Source, which has its own": lambda: SoftKMeans(2).fit(
        Stream(X), sample_weight=WEIGHTS
    ),
    "device='meta' is not supported with a Source on cpu": lambda: SoftKMeans(2, device="meta").fit(Stream(X)),
    "expected an array, got a Stream": lambda: make_pipeline(StandardScaler(), SoftKMeans(2)).fit(Stream(X)),
    "this operation needs rows by index": lambda: select_n_clusters(Stream(X), [2, 3]),
}


@pytest.mark.parametrize("message", WRONG_USES)
def test_errors_of_wrong_uses(message):
    with pytest.raises(InputError, match=message):
        WRONG_USES[message]()


def test_loaders_are_read_as_streams():
    rows = DataLoader(TensorDataset(torch.from_numpy(X)), batch_size=70)
    model = SoftKMeans(5, random_state=0, device="cpu").fit(rows)
    same = SoftKMeans(5, random_state=0).fit(Stream(X))
    np.testing.assert_allclose(model.cluster_centers_, same.cluster_centers_, rtol=1e-9, atol=1e-9)
    np.testing.assert_array_equal(model.predict(rows), model.predict(X))


def test_other_models_fit_streams():
    for model in (FuzzyCMeans(3, init=X[:3]), SoftKMeans(3, init=X[:3], noise_distance=30.0, local_search=True)):
        array = type(model)(**model.get_params()).fit(X)
        np.testing.assert_allclose(model.fit(Stream(X, [99])).cluster_centers_, array.cluster_centers_, atol=1e-5)


def test_feature_names():
    named = Stream(X, [10])
    named.columns = ("a", "b", "c")
    model = SoftKMeans(2, random_state=0).fit(named)
    assert model.feature_names_in_.tolist() == ["a", "b", "c"]
    named.columns = ("a", "c", "b")
    with pytest.raises(InputError, match=r"the columns are \['a', 'c', 'b'\], but the model was fitted on"):
        model.predict(named)
    with pytest.raises(ValueError, match="X has 2 features, but SoftKMeans is expecting 3"):
        SoftKMeans(2).fit(Stream(X)).predict(Stream(X[:, :2]))


@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_fitted_scalers_equal_those_of_scikit_learn(weights):
    rows = np.column_stack([X * [1.0, 1e-3, 1e6] + [0.0, 50.0, 1e9], np.full(len(X), 3.0)])
    expected = StandardScaler().fit(rows, sample_weight=weights)
    source = Stream(rows, [5, 300], weights)
    source.columns = ("a", "b", "c", "d")
    scaler = fit_preprocessing(source, "standard")
    for name in ("mean_", "var_", "scale_"):
        np.testing.assert_allclose(getattr(scaler, name), getattr(expected, name), rtol=1e-9, atol=1e-12)
    assert scaler.feature_names_in_.tolist() == ["a", "b", "c", "d"]
    blocks = preprocess_source(source, scaler).blocks()
    frame = pd.DataFrame(rows, columns=source.columns)
    np.testing.assert_allclose(np.concatenate([block.x for block in blocks]), scaler.transform(frame), atol=1e-12)


@pytest.mark.parametrize("ending", [".csv", ".parquet"])
def test_assignments_are_written_block_by_block(ending, tmp_path):
    names = ["a", "b", "c"]
    frame = pd.DataFrame(X, columns=names)
    frame.to_parquet(tmp_path / "rows.parquet", row_group_size=50)
    model = make_pipeline(StandardScaler(), SoftKMeans(3, random_state=0)).fit(frame)
    read = pd.read_csv if ending == ".csv" else pd.read_parquet
    write_assignments(model, frame, tmp_path / f"whole{ending}")
    write_assignments(model, scan(tmp_path / "rows.parquet", rows_per_block=70), tmp_path / f"blocks{ending}")
    whole, blocks = (read(tmp_path / f"{name}{ending}") for name in ("whole", "blocks"))
    pd.testing.assert_frame_equal(whole, blocks, atol=1e-12)
    assert whole.label.tolist() == model.predict(frame).tolist()
    np.testing.assert_allclose(whole[["p0", "p1", "p2"]], model.predict_proba(frame), atol=1e-15)


def test_input_files_are_not_overwritten(tmp_path):
    pd.DataFrame(X, columns=["a", "b", "c"]).to_parquet(tmp_path / "rows.parquet")
    before, source = (tmp_path / "rows.parquet").read_bytes(), scan(tmp_path)
    model = SoftKMeans(3, random_state=0).fit(source)
    (tmp_path / "link.parquet").symlink_to(tmp_path / "rows.parquet")
    for name in ("rows.parquet", "link.parquet"):
        with pytest.raises(InputError, match="it is an input file; choose another name"):
            write_assignments(model, source, tmp_path / name)
    assert (tmp_path / "rows.parquet").read_bytes() == before
