"""Dask collections give the results of in-memory data, on threads and on clusters, also when a worker is killed."""

import functools
import os
import signal
import threading

import dask
import dask.array as da
import dask.dataframe as dd
import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import torch
from distributed import Client, LocalCluster
from psutil import pid_exists

from helpers.waiting import wait_until
from softkmeans import Callback, FuzzyCMeans, InputError, SoftKMeans, accumulate, make_blobs
from softkmeans.data import as_source
from softkmeans.data.distributed.dask_partitions import pack, unpack

pytestmark = pytest.mark.process
COINCIDENT = pytest.mark.filterwarnings("ignore:.*centers coincide")  # of fits that are only compared

X = make_blobs(600, 3, 5, random_state=0, dtype=torch.float64)[0].numpy()
W = np.random.default_rng(0).integers(0, 4, len(X)).astype(float)
INIT = X[[0, 100, 200, 300, 400]]
NAMES = ["a", "b", "c"]


def arrays(ends=(200, 400)):
    """Return a Dask array of X whose partitions end at the given rows."""
    sizes = np.diff([0, *ends, len(X)]).tolist()
    return da.from_array(X, chunks=(tuple(sizes), (2, 1)))


def frame(n_parts=4):
    return dd.from_pandas(pd.DataFrame(X, columns=NAMES), npartitions=n_parts)


COLLECTIONS = {
    "even": arrays,
    "uneven": lambda: arrays((1, 350, 590)),
    "empty partitions": lambda: arrays((0, 250, 250, 600)),
    "of unknown lengths": lambda: arrays()[arrays()[:, 0] > -np.inf],
    "sparse": lambda: arrays().rechunk({1: -1}).map_blocks(scipy.sparse.csr_matrix),
    "frame": frame,
    "frame of mixed types": lambda: frame().astype({"a": "float64", "b": "Float64"}),
    "many": lambda: da.from_array(X, chunks=(60, 3)),
}


@pytest.fixture(autouse=True)
def _threads():
    """Use Dask's threaded scheduler in tests without a cluster."""
    with dask.config.set(scheduler="threads", num_workers=2):
        yield


@pytest.fixture(scope="module")
def cluster():
    with LocalCluster(
        n_workers=2,
        threads_per_worker=1,
        dashboard_address=":0",  # any free port: by default it is a fixed one, which another cluster may use
        memory_limit="1GiB",
        silence_logs=50,
    ) as local_cluster:
        yield local_cluster


@pytest.fixture
def client(cluster):
    with Client(cluster) as dask_client, dask.config.set(scheduler=None):
        yield dask_client


def model(**settings):
    return SoftKMeans(5, **{"init": INIT, "tol": 1e-6, "temperature": 4.0} | settings)


@functools.cache
def in_memory(**settings):
    return model(**settings).fit(X)


@functools.cache
def named():
    return model().fit(pd.DataFrame(X, columns=NAMES))


def assert_same(fitted, expected, atol=1e-9):
    np.testing.assert_allclose(fitted.cluster_centers_, expected.cluster_centers_, rtol=0, atol=atol)
    np.testing.assert_allclose(fitted.objective_, expected.objective_, rtol=1e-12)
    np.testing.assert_allclose(fitted.inertia_, expected.inertia_, rtol=1e-9)
    assert fitted.n_iter_ == expected.n_iter_
    assert not hasattr(fitted, "labels_")


@pytest.mark.parametrize("name", COLLECTIONS)
def test_fits_equal_those_in_memory(name):
    assert_same(model().fit(COLLECTIONS[name]()), in_memory())


@COINCIDENT
@pytest.mark.parametrize("settings", [{"temperature": "auto", "priors": "learned"}, {"distance": "euclidean"}])
def test_fits_with_other_settings_equal_those_in_memory(settings):
    assert_same(model(**settings).fit(arrays()), in_memory(**settings))


def test_fuzzy_fits_equal_those_in_memory():
    assert_same(FuzzyCMeans(5, init=INIT).fit(arrays()), FuzzyCMeans(5, init=INIT).fit(X))


WEIGHTS = {
    "in memory": (arrays, lambda: W),
    "in the same partitions": (arrays, lambda: da.from_array(W, chunks=200)),
    "in other partitions": (arrays, lambda: da.from_array(W, chunks=75)),
    "a column": (frame, lambda: dd.from_pandas(pd.Series(W), npartitions=4)),
    "a list": (lambda: arrays((0, 599)), W.tolist),
}


@pytest.mark.parametrize("name", WEIGHTS)
def test_weights(name):
    x, w = WEIGHTS[name]
    assert_same(model().fit(x(), sample_weight=w()), model().fit(X, sample_weight=W))


@COINCIDENT
@pytest.mark.parametrize("init", ["k-means++", "k-means||", "random"])
def test_seedings_do_not_depend_on_partitions(init):
    one, *others = (
        SoftKMeans(5, init=init, random_state=3).fit(COLLECTIONS[name]())
        for name in ("even", "uneven", "empty partitions", "frame")
    )
    for other in others:
        assert_same(other, one)


def test_blocks_and_batches():
    source = as_source(arrays((0, 100, 350)), W)
    assert (source.n_rows, source.n_features, source.in_memory) == (600, 3, False)
    assert [(block.start, len(block)) for block in source.blocks()] == [(0, 100), (100, 250), (350, 250)]
    np.testing.assert_array_equal(torch.cat([block.x for block in source.blocks()]), X)
    batches = list(source.batches())
    assert [batch.n_rows for batch in batches] == [100, 250, 250]
    sums = [batch.sum(lambda block: block.w.sum()) for batch in batches]
    assert torch.stack(sums).tolist() == [W[:100].sum(), W[100:350].sum(), W[350:].sum()]
    assert as_source(frame()).columns == tuple(NAMES)


def test_centers_have_the_type_of_the_rows():
    assert model().fit(arrays().astype("float32")).cluster_centers_.dtype == np.float32
    assert model().fit(frame().astype("float32")).cluster_centers_.dtype == np.float32
    fitted = model(dtype="float32").fit(frame())
    assert fitted.cluster_centers_.dtype == np.float32
    assert list(fitted.feature_names_in_) == NAMES


METHODS = {
    "predict": {},
    "predict_proba": {},
    "transform": {},
    "score_samples": {},
    "with rejects": {"reject_below": 0.9},
}


CASES = [("predict_proba", name) for name in COLLECTIONS] + [
    (method, name) for method in METHODS for name in ("empty partitions", "frame") if method != "predict_proba"
]


@pytest.mark.parametrize(("method", "name"), CASES)
def test_predictions_are_lazy_and_the_same(method, name):
    x, settings = COLLECTIONS[name](), METHODS[method]
    call = "predict" if settings else method
    fitted = named() if name.startswith("frame") else in_memory()
    result = getattr(fitted, call)(x, **settings)
    expected = getattr(in_memory(), call)(X, **settings)
    assert isinstance(result, da.Array)
    assert (result.dtype, result.ndim) == (expected.dtype, expected.ndim)
    assert result.numblocks[0] == (x.numblocks[0] if isinstance(x, da.Array) else x.npartitions)
    np.testing.assert_allclose(result.compute(), expected, rtol=0, atol=1e-9)


def test_predictions_compute_nothing_before_compute_is_called():
    def fail(block):
        raise AssertionError

    fitted = in_memory()
    x = arrays().rechunk({1: -1}).map_blocks(fail, dtype=float, meta=np.empty((0, 0)))
    for method in (fitted.predict, fitted.predict_proba, fitted.transform, fitted.score_samples):
        lazy = method(x)
        with pytest.raises(AssertionError):
            lazy.compute()


def test_scores_equal_those_in_memory():
    fitted = in_memory()
    for method in (fitted.score, fitted.bic, fitted.aic):
        assert method(arrays(), sample_weight=W) == pytest.approx(method(X, sample_weight=W), rel=1e-12)
    stats, expected = (accumulate(x, INIT, 4.0) for x in (arrays(), X))
    torch.testing.assert_close(stats.weighted_sum, expected.weighted_sum, rtol=1e-12, atol=1e-9)


def with_bad_value(row, column, value=np.nan):
    x = X.copy()
    x[row, column] = value
    return da.from_array(x, chunks=(250, 3))


def growing():
    """Return a collection whose first partition has one more row each time it is computed."""
    calls = []

    def compute(block):
        calls.append(1)
        return block[: 99 + len(calls)]

    return arrays((300,)).rechunk({1: -1}).map_blocks(compute, dtype=float, chunks=((np.nan,) * 2, (3,)))


DELAYED = dask.delayed(lambda: X)()
ERRORS = {
    "NaN": (
        lambda: model().fit(with_bad_value(257, 1)),
        r"the data contains NaN or infinity: 1 of 1800 entries, the first in row 257, column 1, which is row 7 of "
        r"partition 1 \(counted from 0\): fill in these values or drop the rows",
    ),
    "infinity": (lambda: model().fit(with_bad_value(3, 0, np.inf)), "row 3, column 0, which is row 3 of partition 0"),
    "NaN to predict": (
        lambda: in_memory().predict(with_bad_value(257, 1)).compute(),
        r"a partition contains NaN or infinity: 1 of 750 entries, the first in row 7, column 1",
    ),
    "text": (
        lambda: model().fit(dd.from_pandas(pd.DataFrame({"a": [1.0, 2.0], "b": ["x", "y"]}), npartitions=1)),
        "column 'b' .* is not numeric: leave it out or encode it",
    ),
    "one dimension": (lambda: as_source(arrays()[:, 0]), r"1 dimensions, expected \(n, d\): use x.reshape"),
    "a series": (lambda: as_source(frame()["a"]), r"1 dimensions, expected \(n, d\): use x.to_frame"),
    "a bag": (lambda: as_source(DELAYED), "a Dask Delayed, expected a Dask array or data frame"),
    "complex": (lambda: as_source(arrays().astype(complex)), "type complex128, expected real numbers"),
    "no rows": (lambda: as_source(arrays()[:0]), "at least one row and one feature are needed"),
    "no rows, found late": (lambda: as_source(arrays()[arrays()[:, 0] > 1e9]), "at least one row"),
    "no columns": (lambda: as_source(arrays()[:, :0]), "at least one row and one feature are needed"),
    "few weights": (lambda: as_source(arrays(), W[:5]), r"shape \(5,\), expected \(600,\)"),
    "few lazy weights": (lambda: as_source(arrays(), da.ones(5)), r"shape \(5,\), expected \(600,\)"),
    "weights in other partitions": (
        lambda: as_source(frame(), dd.from_pandas(pd.Series(W), npartitions=3)),
        "sample_weight has 3 partitions, but the data has 4: use the same for both",
    ),
    "weights of another number": (
        lambda: as_source(frame(), da.ones(604, chunks=151)),
        "sample_weight has 151 values in partition 0, expected 150",
    ),
    "weights in two dimensions": (lambda: as_source(arrays(), arrays()), "a Dask Array, expected .* series"),
    "negative weights": (lambda: as_source(arrays(), da.from_array(W - 1, chunks=200)), "negative values"),
    "no weight": (lambda: as_source(arrays(), da.zeros(600, chunks=200)), "zero for every row"),
    "weights of NaN": (lambda: as_source(arrays(), da.full(600, np.nan, chunks=200)), "sample_weight contains NaN"),
    "weights of text": (
        lambda: as_source(frame(), frame()["a"].astype(str)),
        "sample_weight is of type string, expected numbers",
    ),
    "other columns": (lambda: in_memory().predict(arrays()[:, :2]), "2 features, but SoftKMeans is expecting 3"),
    "top": (lambda: in_memory().predict_proba(arrays(), top=2), "top=2 is not supported with Dask collections"),
    "a device": (lambda: as_source(arrays(), device="meta"), "device='meta' is not supported with Dask data"),
    "rows that change": (
        lambda: as_source(growing()).sum(lambda block: block.x.sum()),
        "rows, but had .* in an earlier",
    ),
    "an error in a sum": (lambda: SoftKMeans(2, distance="cosine").fit(arrays() * 0), "all zeros|no direction"),
}


@pytest.mark.parametrize("name", ERRORS)
def test_errors(name):
    act, message = ERRORS[name]
    with pytest.raises((InputError, ValueError), match=message) as raised:
        act()
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("persisted", [False, pytest.param(True, marks=pytest.mark.thorough)])
@pytest.mark.parametrize("name", ["uneven", "empty partitions", "frame", "many"])
def test_a_cluster_gives_the_same_results(client, name, persisted):
    with dask.config.set(scheduler="threads"):
        on_threads = model(tol=1e-4).fit(COLLECTIONS[name]())
    x = COLLECTIONS[name]().rechunk({1: -1}) if "frame" not in name else COLLECTIONS[name]()
    on_cluster = model(tol=1e-4).fit(x.persist() if persisted else x)
    assert_same(on_cluster, on_threads, atol=0)
    np.testing.assert_array_equal(on_cluster.predict(x).compute(), on_threads.predict(x).compute())


def test_weights_on_a_cluster(client):
    x, w = arrays().rechunk({1: -1}).persist(), da.from_array(W, chunks=200).persist()
    expected = model(tol=1e-4).fit(X, sample_weight=W)
    assert_same(model(tol=1e-4).fit(x, sample_weight=w), expected)
    assert_same(model(tol=1e-4).fit(x, sample_weight=W), expected)


def test_errors_of_workers_are_raised_unchanged(client):
    for name in ("NaN", "NaN to predict", "weights of text", "an error in a sum"):
        test_errors(name)


def test_large_functions_are_sent_as_tasks_of_their_own(client):
    table = torch.arange(20_000.0, dtype=torch.float64)
    source = as_source(arrays().rechunk({1: -1}).persist())
    assert source.sum(lambda block: table * len(block)).equal(table * 600)


class Killer(Callback):
    """Kill a process during the pass after the third."""

    def __init__(self, process):
        self.process, self.timers = process, []

    def on_step(self, step):
        if step.n_iter == 3:
            self.timers.append(threading.Timer(0.005, os.kill, (self.process, signal.SIGKILL)))
            self.timers[0].start()


@COINCIDENT
@pytest.mark.filterwarnings("ignore:the fit did not converge")
@pytest.mark.parametrize("persisted", [False, True])
def test_a_killed_worker_changes_nothing(client, persisted):
    x = da.random.default_rng(0).normal(size=(4000, 3), chunks=(500, 3))  # can be computed again
    with dask.config.set(scheduler="threads"):
        expected = model(max_iter=12, tol=0).fit(x)
    client.wait_for_workers(2)
    killer = Killer(next(iter(client.run(os.getpid).values())))
    fitted = model(max_iter=12, tol=0, callbacks=[killer]).fit(x.persist() if persisted else x)
    killer.timers[0].join()
    wait_until(lambda: not pid_exists(killer.process))
    assert_same(fitted, expected, atol=0)
    assert fitted.history_ == expected.history_


@pytest.mark.parametrize(
    "value", [torch.zeros(()), torch.arange(6.0).reshape(2, 3).T, torch.ones(3, dtype=torch.bfloat16)]
)
def test_tensors_are_packed_and_unpacked(value):
    unpacked = unpack(pack({"value": value}))["value"]
    assert (unpacked.dtype, unpacked.shape) == (value.dtype, value.shape)
    assert unpacked.equal(value)
