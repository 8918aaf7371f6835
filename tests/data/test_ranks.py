"""Fits by several processes of torch.distributed equal those of one, for any division of the rows."""

import json
import os
import runpy
import subprocess
import sys
import warnings
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest
import torch.distributed as dist

from helpers.ranks import rank_environments
from helpers.streams import Stream
from helpers.waiting import HANG_SECONDS
from softkmeans import InputError, SoftKMeans, distributed, make_blobs
from softkmeans.data.distributed.ranks import run_on_all_ranks
from softkmeans.errors import Message, Setting, SharedError

pytestmark = pytest.mark.process

PROGRAMS = Path(__file__).parents[1] / "helpers" / "programs"
X = make_blobs(1000, 3, 5, random_state=0)[0].double().numpy()
W = np.random.default_rng(0).integers(0, 4, len(X)).astype(float)


def torchrun(size, *command, **settings):
    """Run a program on several ranks, which communicate over the loopback device."""
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    start = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(size)]
    return subprocess.run(
        [*start, *map(str, command)], capture_output=True, text=True, env=environment, timeout=HANG_SECONDS, **settings
    )


def forked(size, *command):
    """Run a program on several ranks, forked from this process, so that they need not import anything."""

    def main(environment):
        warnings.resetwarnings()  # pytest turns warnings into errors
        os.environ.update(environment)
        sys.argv = [str(word) for word in command]
        runpy.run_path(sys.argv[0])

    processes = [get_context("fork").Process(target=main, args=[each]) for each in rank_environments(size)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(HANG_SECONDS)
    assert [process.exitcode for process in processes] == [0] * size


@pytest.fixture(scope="module", params=[2, pytest.param(3, marks=pytest.mark.thorough)])
def ranks(request, tmp_path_factory):
    """Results of every rank, as on_ranks.py writes them."""
    folder = tmp_path_factory.mktemp("ranks")
    np.save(folder / "x.npy", X)
    np.save(folder / "w.npy", W)
    command = [PROGRAMS / "on_ranks.py", folder, "results"]
    if request.param == 2:
        completed = torchrun(2, *command)
        assert completed.returncode == 0, completed.stderr
    else:
        forked(request.param, *command)
    return [json.loads((folder / f"results-{rank}.json").read_text()) for rank in range(request.param)]


def test_all_ranks_have_the_same_results(ranks):
    for results in ranks[1:]:
        assert {**results, "labels": 0} == {**ranks[0], "labels": 0}


@pytest.mark.parametrize("init", ["given centers", "poor centers", "k-means++", "random"])
@pytest.mark.parametrize("division", ["uneven", "one empty", "first empty"])
def test_results_equal_those_of_one_process(ranks, division, init):
    poor = np.vstack([X[[0, 0]], X[:3] + np.array([[0, 1e4, 2e4]]).T])  # equal centers, and centers without rows
    initial = {"given centers": X[::200], "poor centers": poor}.get(init, init)
    settings = {"temperature": 1.0} if init == "poor centers" else {}
    single = SoftKMeans(5, init=initial, random_state=1, tol=1e-8, **settings).fit(Stream(X, [300], W))
    result = ranks[0][f"{division}, {init}"]
    np.testing.assert_allclose(result["centers"], single.cluster_centers_, rtol=1e-9, atol=1e-9)
    assert result["objective"] == pytest.approx(single.objective_, rel=1e-9)
    assert result["inertia"] == pytest.approx(single.inertia_, rel=1e-9)
    assert result["n_iter"] == single.n_iter_


def test_each_rank_reads_its_part_of_a_scan(ranks):
    single = SoftKMeans(5, init="k-means||", random_state=1, tol=1e-8).fit(Stream(X))
    np.testing.assert_allclose(ranks[0]["scan"]["centers"], single.cluster_centers_, rtol=1e-9, atol=1e-9)
    calibrated = SoftKMeans(5, init=X[::200], temperature="calibrated").fit(X)
    np.testing.assert_allclose(ranks[0]["calibrated"]["centers"], calibrated.cluster_centers_, rtol=1e-7)
    assert [label for results in ranks for label in results["labels"]] == calibrated.labels_.tolist()


def test_online_steps_use_the_batches_of_all_ranks(ranks):
    best = SoftKMeans(5, init=X[::200], tol=1e-8).fit(X)
    assert ranks[0]["online"]["objective"] == pytest.approx(best.objective_, rel=1e-4)
    assert ranks[0]["partial"]["objective"] == pytest.approx(best.objective_, rel=1e-2)


def test_a_checkpoint_covers_all_ranks(ranks):
    assert ranks[0]["resumed"] == ranks[0]["calibrated"]


@pytest.mark.parametrize(
    ("error", "message"),
    [
        ("narrower", "ranks differ in the number of features, 1 on rank 0, 2 on rank 1"),
        ("no rows", "no rank has any rows"),
        ("no weight", "sample_weight is zero for every row"),
        ("no weight to scale", "sample_weight is zero for every row"),
        ("nan", "rank 1: the data contains NaN or infinity: 3000 of 3000 entries"),
        ("missing file", "rank 1: "),
        ("kept already", "rank 0: .* already holds checkpoints: continue with resume=True"),
        ("other data", "kept holds checkpoints of (a fit to other data|another fit: the number of rows was 1000)"),
    ],
)
def test_an_error_of_one_rank_is_raised_on_all(ranks, error, message):
    for results in ranks:
        with pytest.raises(InputError, match=message):
            raise InputError(results[error])


class Other:
    def __repr__(self):
        return "Other()"

    def __reduce__(self):
        raise TypeError("can't be pickled")


@pytest.mark.parametrize("value", [None, True, 3, 0.5, "auto", Other()], ids=repr)
def test_errors_are_data_on_all_ranks(tmp_path, value):
    def fail():
        raise InputError("is wrong", parameter="tol", value=value, hint=Message("set ", Setting("n_init")))

    dist.init_process_group("gloo", init_method=f"file://{tmp_path}/meeting", rank=0, world_size=1)
    try:
        with pytest.raises(SharedError) as caught:
            run_on_all_ranks(fail)
    finally:
        dist.destroy_process_group()
    assert str(caught.value) == f"rank 0: tol={value!r} is wrong: set n_init"
    tol = "tol=Other()" if isinstance(value, Other) else Setting("tol", value)  # objects travel as text
    assert caught.value.message.parts == ("rank 0: ", tol, " ", "is wrong", ": ", "set ", Setting("n_init"))


def test_without_a_process_group():
    with pytest.raises(InputError, match="there is no process group: use torchrun, and call"):
        distributed(X)
