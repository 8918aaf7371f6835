"""Fits by several processes of torch.distributed: the same as by one, whoever has which rows."""

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

from helpers.ranks import places
from helpers.streams import Stream
from softkmeans import InputError, SoftKMeans, distributed, make_blobs

PROGRAMS = Path(__file__).parents[1] / "helpers" / "programs"
X = make_blobs(1000, 3, 5, random_state=0)[0].double().numpy()
W = np.random.default_rng(0).integers(0, 4, len(X)).astype(float)


def torchrun(size, *command, **settings):
    """Run a program by so many ranks that talk over the loopback device."""
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    start = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(size)]
    return subprocess.run(
        [*start, *map(str, command)], capture_output=True, text=True, env=environment, timeout=120, **settings
    )


def forked(size, *command):
    """Run a program by so many ranks that are forked off this process, which has everything loaded."""

    def main(place):
        warnings.resetwarnings()  # pytest's make errors of them
        os.environ.update(place)
        sys.argv = [str(word) for word in command]
        runpy.run_path(sys.argv[0])

    processes = [get_context("fork").Process(target=main, args=[place]) for place in places(size)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0] * size


@pytest.fixture(scope="module", params=[2, 3])
def ranks(request, tmp_path_factory):
    """What every rank found."""
    folder = tmp_path_factory.mktemp("ranks")
    np.save(folder / "x.npy", X)
    np.save(folder / "w.npy", W)
    command = [PROGRAMS / "on_ranks.py", folder, "found"]
    if request.param == 2:
        done = torchrun(2, *command)
        assert done.returncode == 0, done.stderr
    else:
        forked(request.param, *command)
    return [json.loads((folder / f"found-{rank}.json").read_text()) for rank in range(request.param)]


def test_all_ranks_find_the_same(ranks):
    for found in ranks[1:]:
        assert {**found, "labels": 0} == {**ranks[0], "labels": 0}


@pytest.mark.parametrize("init", ["given centers", "k-means++", "random"])
@pytest.mark.parametrize("shares", ["uneven", "one empty", "first empty"])
def test_one_process_finds_it_too(ranks, shares, init):
    start = X[::200] if init == "given centers" else init
    alone = SoftKMeans(5, init=start, random_state=1, tol=1e-8).fit(Stream(X, [300], W))
    found = ranks[0][f"{shares}, {init}"]
    np.testing.assert_allclose(found["centers"], alone.cluster_centers_, rtol=1e-9, atol=1e-9)
    assert found["objective"] == pytest.approx(alone.objective_, rel=1e-9)
    assert found["inertia"] == pytest.approx(alone.inertia_, rel=1e-9)
    assert found["n_iter"] == alone.n_iter_


def test_each_rank_reads_its_part_of_a_scan(ranks):
    alone = SoftKMeans(5, init="k-means||", random_state=1, tol=1e-8).fit(Stream(X))
    np.testing.assert_allclose(ranks[0]["scan"]["centers"], alone.cluster_centers_, rtol=1e-9, atol=1e-9)
    calibrated = SoftKMeans(5, init=X[::200], temperature="calibrated").fit(X)
    np.testing.assert_allclose(ranks[0]["calibrated"]["centers"], calibrated.cluster_centers_, rtol=1e-7)
    assert [label for found in ranks for label in found["labels"]] == calibrated.labels_.tolist()


def test_steps_after_batches_are_those_of_all_ranks(ranks):
    best = SoftKMeans(5, init=X[::200], tol=1e-8).fit(X)
    assert ranks[0]["online"]["objective"] == pytest.approx(best.objective_, rel=1e-4)
    assert ranks[0]["partial"]["objective"] == pytest.approx(best.objective_, rel=1e-2)


def test_a_checkpoint_is_that_of_all_ranks(ranks):
    assert ranks[0]["resumed"] == ranks[0]["calibrated"]


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("narrower", "ranks differ in the number of features, 1 on rank 0, 2 on rank 1"),
        ("no rows", "no rank has any rows"),
        ("no weight", "sample_weight is zero for every row"),
        ("no weight to scale", "sample_weight is zero for every row"),
        ("nan", "rank 1: the data contains NaN or infinity: 3000 of 3000 entries"),
        ("missing file", "rank 1: "),
        ("kept already", "rank 0: .* has checkpoints already: go on from them with resume=True"),
        ("other data", "kept has checkpoints of (a fit to other data|another fit, where the number of rows was 1000)"),
    ],
)
def test_an_error_of_one_rank_is_one_of_all(ranks, what, message):
    for found in ranks:
        with pytest.raises(InputError, match=message):
            raise InputError(found[what])


def test_without_a_process_group():
    with pytest.raises(InputError, match="there is no process group: start by torchrun"):
        distributed(X)
