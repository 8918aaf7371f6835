"""Commands on data read in blocks, by one process and by several, also interrupted, killed and resumed."""

import os
import re
import resource
import signal
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from datetime import timedelta
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from helpers.ranks import rank_environments
from helpers.signals import signal_after_pass, signal_after_piece
from helpers.waiting import HANG_SECONDS
from softkmeans import SoftKMeans, cli, load, make_blobs, save
from softkmeans.distances import DISTANCES

SOFTKMEANS = ["-m", "softkmeans"]
TORCHRUN = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
SIGNAL_IN_FIT = Path(__file__).parents[1] / "helpers" / "programs" / "signal_in_fit.py"
TOYS = SIGNAL_IN_FIT.with_name("toys.py")
K = 5
X = make_blobs(3000, 3, K, cluster_std=2.0, random_state=0)[0].double().numpy()
FRAME = pd.DataFrame(X, columns=["a", "b", "c"]).assign(w=np.arange(len(X)) % 3)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    (folder / "parts").mkdir()
    for i in range(3):
        FRAME[i * 1000 : (i + 1) * 1000].to_parquet(folder / "parts" / f"{i}.parquet", row_group_size=300)
    FRAME.to_csv(folder / "all.csv", index=False)
    (folder / "texts").mkdir()
    for name, last in [("1.csv", 0.5), ("2.csv", "?")]:
        FRAME.assign(b=[last if i == 2999 else b for i, b in enumerate(FRAME.b)]).to_csv(folder / "texts" / name)
    np.save(folder / "all.npy", X)
    np.save(folder / "nan.npy", np.where(np.arange(len(X))[:, None] == 2999, np.nan, X))
    return folder


def run(*command, by=SOFTKMEANS, status=0, **environment):
    """Run a command in a new process to its end; return its standard output and standard error."""
    done = subprocess.run(
        [sys.executable, *map(str, by), *map(str, command)],
        capture_output=True,
        text=True,
        check=False,
        timeout=HANG_SECONDS,
        env=os.environ | {"OMP_NUM_THREADS": "1"} | environment,
    )
    assert done.returncode == status, done.stderr
    return done.stdout, done.stderr


@pytest.fixture
def here(run):
    """Return a function like `run` of this file that runs in this process, where everything is imported."""

    def call(*command, status=0):
        returned, out, err = run(*command)
        assert returned == status, err
        return out, err

    return call


def forked(*command, out=os.devnull, prepare=None, **environment):
    """Start a command in a process forked from this one, and first call ``prepare``; its output goes to a file."""

    def main():
        os.environ.update(environment)
        if prepare:
            prepare()
        sys.argv = ["softkmeans", *map(str, command)]
        with Path(out).open("w") as file, redirect_stdout(file), redirect_stderr(file):
            cli.main()

    process = get_context("fork").Process(target=main)
    process.start()
    return process


def run_by_two(*command, folder, status=0):
    """Run a command by two forked processes; return the output of each."""
    outs = [folder / "out-0", folder / "out-1"]
    both = [forked(*command, out=out, **place) for out, place in zip(outs, rank_environments(2), strict=True)]
    for process in both:
        process.join(HANG_SECONDS)
    assert [process.exitcode for process in both] == [status, status]
    return [out.read_text() for out in outs]


def figures(out):
    """Return the printed results of a fit, with numbers rounded to five digits."""
    return re.sub(r"\d+\.\d+", lambda number: f"{float(number[0]):.5g}", out[out.index("cluster") :])


@pytest.mark.process
def test_results_do_not_depend_on_file_format_or_number_of_processes(data, tmp_path, here):
    options = ["-k", K, "--weight-column", "w", "--scale", "standard", "--tol", 1e-9, "--seed", 3]
    outs = {
        "folder": here("fit", data / "parts", *options, "--out", tmp_path / "model.safetensors")[0],
        "pattern": here("fit", data / "parts" / "*.parquet", *options)[0],
        "csv": here("fit", data / "all.csv", "--stream", *options)[0],
    }
    outputs = ["--out", tmp_path / "two.safetensors", "--assignments", tmp_path / "two.parquet"]
    outs["ranks"] = run("fit", data / "parts", *options, *outputs, by=[*TORCHRUN, *SOFTKMEANS])[0]
    assert outs["folder"].startswith("rows: 3000, features: 3, read in blocks\n")
    assert outs["ranks"].startswith("rows: 3000, features: 3, read in blocks by 2 processes\n")
    assert len({figures(out).split("wrote")[0] for out in outs.values()}) == 1
    one, two = load(tmp_path / "model.safetensors"), load(tmp_path / "two.safetensors")
    np.testing.assert_allclose(one.steps[1][1].cluster_centers_, two.steps[1][1].cluster_centers_, rtol=1e-9, atol=1e-9)
    assert two.feature_names_in_.tolist() == ["a", "b", "c"]
    found = pd.read_parquet(tmp_path / "two.parquet")
    frame = FRAME[["a", "b", "c"]]
    assert found.label.tolist() == two.predict(frame).tolist()
    np.testing.assert_allclose(found.iloc[:, 1:], two.predict_proba(frame), atol=1e-9)
    out, _ = here("predict", tmp_path / "two.safetensors", data / "parts")
    assert [int(line.split(",")[0]) for line in out.splitlines()[1:]] == found.label.tolist()


def test_options_that_need_all_rows_are_refused(data, here):
    for option in (["--stability", "3"], ["--label-column", "a"]):
        _, err = here("fit", data / "parts", *option, status=2)
        remedy = "exclude this column, or use --no-stream" if option[0] == "--label-column" else "remove it"
        assert err == f"error: {option[0]} is not supported with rows that are read in blocks: {remedy}\n"


@pytest.mark.slow
def test_a_picture_shows_a_sample_of_the_rows(data, tmp_path, here):
    np.save(tmp_path / "many.npy", np.concatenate([X, X + 0.1]))
    out, _ = here("fit", tmp_path / "many.npy", "--stream", "-k", K, "--picture", tmp_path / "clusters.png")
    assert "the picture shows a random sample of 5000 rows\n" in out
    assert (tmp_path / "clusters.png").read_bytes().startswith(b"\x89PNG")


WRONG = {
    "fit {data}/nan.npy --stream": r"{data}/nan.npy: 3 missing or infinite values in these rows, the first in row 3000",
    "fit {data}/texts": r"{data}/texts/2.csv: column 'b'.* row 3000 .*'\?'",
    "fit {data}/parts --checkpoint {data}/all.npy": "can't create the checkpoint folder {data}/all.npy: File exists",
    "fit {data}/parts --resume": "--resume needs a checkpoint folder: set --checkpoint to the folder",
    "fit {data}/parts -k 3001": "--n-clusters 3001 is more than the 3000 rows",
    "fit {data}/none-*.npy": "{data}/none-.*: no file matches this pattern",
    "fit {data}/all.npy --checkpoint-every 3": "--checkpoint-every requires --checkpoint: set --checkpoint to a folder",
    "fit {data}/all.npy --checkpoint {data}/new --checkpoint-every 0": "--checkpoint-every 0: give a whole number",
    "fit {data}/all.npy --device cuda:99": "--device 'cuda:99' can't be used",
    "fit {data}/all.npy --stream --device cuda:99": "--device 'cuda:99' can't be used",
    "fit {data}/parts --assignments {data}/parts/0.parquet": "can't write {data}/parts/0.parquet: it is the input or",
    "fit {data}/parts/*.parquet --assignments {data}/parts/0.parquet": "can't write .*/0.parquet: it is the input or",
    "fit {data}/parts --assignments {data}/parts/new.csv": "parts/new.csv: the next run would read it as input from "
    "{data}/parts:",
    "predict {data}/all.npy {data}/p*/* --out {data}/parts/9.parquet": "run would read it as input from {data}/p./.:",
}


@pytest.mark.parametrize("line", WRONG)
def test_errors_are_one_line(line, data, here):
    before = sorted(data.rglob("*"))
    _, err = here(*line.format(data=data).split(), status=2)
    assert re.fullmatch(f"error: .*{WRONG[line].format(data=re.escape(str(data)))}[^\n]*\n", err)
    assert sorted(data.rglob("*")) == before


def own_lines(err):
    """Return the lines of this program on standard error, without those of torchrun."""
    return [line for line in err.splitlines() if line.startswith(("error: ", "warning: ", "interrupted"))]


@pytest.mark.process
def test_an_error_of_one_process_ends_all(data, tmp_path):
    said = "".join(run_by_two("fit", data / "nan.npy", "-k", K, folder=tmp_path, status=2))
    assert re.fullmatch(
        r"error: rank 1: .*nan.npy: 3 missing or infinite values in these rows, the first in row 3000.*\n", said
    )


@pytest.mark.process
def test_every_process_imports_plugins(data, tmp_path):
    options = [
        "-k",
        K,
        "--plugin",
        TOYS,
        "--distance",
        "cauchy",
        "--temperature",
        1,
        "--out",
        tmp_path / "m.safetensors",
    ]
    out, other = run_by_two("fit", data / "parts", *options, folder=tmp_path)
    assert out.startswith("rows: 3000, features: 4, read in blocks by 2 processes\n")
    assert other == ""
    assert "cauchy" not in DISTANCES  # the processes imported it, not this one
    assert b"cauchy" in (tmp_path / "m.safetensors").read_bytes()


@pytest.mark.process
def test_a_missing_process_is_an_error_after_the_timeout(data):
    _, err = run("fit", data / "parts", "--timeout", "3", status=2, **rank_environments(2)[0])
    assert re.match("error: another rank has ended, or did not answer within the timeout", own_lines(err)[0])


def test_the_timeout_is_that_of_the_process_group(data, here, monkeypatch):
    """The test above cannot tell how long it waits: a busy machine is slow to start processes."""
    for name, value in rank_environments(2)[0].items():
        monkeypatch.setenv(name, value)
    timeouts = []

    def missing(backend, timeout):
        timeouts.append(timeout)
        raise RuntimeError("nobody answers")

    monkeypatch.setattr("torch.distributed.init_process_group", missing)
    _, err = here("fit", data / "parts", "--timeout", "3", status=2)
    assert timeouts == [timedelta(seconds=3)]
    assert err.startswith("error: another rank has ended, or did not answer")


LONG = ["-k", 60, "--solver", "adam", "--tol", 0, "--max-iter", 100, "--temperature", 0.5, "--checkpoint-every", 1]


@pytest.mark.slow
@pytest.mark.process
def test_a_fit_stopped_by_signals_can_be_resumed(data, tmp_path, here):
    command = ["fit", data / "all.npy", "--stream", *LONG, "--checkpoint", tmp_path / "kept", "--resume"]
    status = 128 + signal.SIGINT
    out, err = run(*command, by=[SIGNAL_IN_FIT, int(signal.SIGINT), 5, 0], status=status)
    assert out.startswith("no checkpoint yet")
    process = forked(*command, out=tmp_path / "out", prepare=lambda: signal_after_pass(signal.SIGTERM, 12))
    process.join(HANG_SECONDS)
    assert process.exitcode == 128 + signal.SIGTERM
    again = (tmp_path / "out").read_text()
    assert again.startswith("resumed at step 5\n")
    for printed in (err, again):
        assert "interrupted: the fit was interrupted; the best centers so far are kept\n" in printed
        assert "Traceback" not in printed
    out, _ = here(*command, "--out", tmp_path / "resumed.safetensors")
    assert out.startswith("resumed at step 12\n")
    here("fit", data / "all.npy", "--stream", *LONG[:-2], "--out", tmp_path / "whole.safetensors")
    resumed, whole = load(tmp_path / "resumed.safetensors"), load(tmp_path / "whole.safetensors")
    assert np.array_equal(resumed.cluster_centers_, whole.cluster_centers_)
    assert resumed.history_ == whole.history_


@pytest.mark.slow
@pytest.mark.process
def test_a_fit_with_a_killed_process_can_be_resumed(data, tmp_path):
    command = ["fit", data / "parts", *LONG, "--weight-column", "w", "--checkpoint", tmp_path / "kept"]
    killed = [*TORCHRUN, SIGNAL_IN_FIT, int(signal.SIGKILL), 5, 1]
    _, err = run(*command, "--timeout", "10", by=killed, status=1)
    assert "Traceback" not in "\n".join(own_lines(err))
    out, _ = run_by_two(*command, "--resume", "--out", tmp_path / "resumed.safetensors", folder=tmp_path)
    assert re.match(r"resumed at step [45]\n", out)  # the other process may be killed before it has written the last
    alone = ["fit", data / "parts", *LONG[:-2], "--weight-column", "w", "--out", tmp_path / "whole.safetensors"]
    run_by_two(*alone, folder=tmp_path)
    resumed, whole = load(tmp_path / "resumed.safetensors"), load(tmp_path / "whole.safetensors")
    assert np.array_equal(resumed.cluster_centers_, whole.cluster_centers_)


def test_resume_from_an_empty_folder_starts_a_new_fit(data, tmp_path, here):
    out, _ = here("fit", data / "parts", "-k", K, "--checkpoint", tmp_path / "kept", "--resume")
    assert out.startswith("no checkpoint yet: starting from the beginning\n")


@pytest.mark.process
def test_a_killed_command_leaves_no_partial_output(data, tmp_path):
    """After SIGKILL or SIGTERM in the middle of predict, there is no output file."""
    model = SoftKMeans(K, random_state=0).fit(FRAME[["a", "b", "c"]])
    save(model, tmp_path / "model.safetensors")
    np.save(tmp_path / "many.npy", np.tile(X, (300, 1)))
    out = tmp_path / "out.csv"
    command = ["predict", tmp_path / "model.safetensors", tmp_path / "many.npy", "--stream", "--out", out]
    for n_pieces in (0, 1, 9):
        process = forked(*command, prepare=lambda n=n_pieces: signal_after_piece(signal.SIGKILL, n))
        process.join(HANG_SECONDS)
        assert process.exitcode == -signal.SIGKILL
        assert not out.exists()
        for left in tmp_path.glob(".softkmeans-*"):
            left.unlink()
    process = forked(*command, out=tmp_path / "said", prepare=lambda: signal_after_piece(signal.SIGTERM, 1))
    process.join(HANG_SECONDS)
    assert process.exitcode == 128 + signal.SIGTERM
    assert (tmp_path / "said").read_text() == "interrupted: nothing was written\n"
    assert not out.exists()
    assert not list(tmp_path.glob(".softkmeans-*"))


def test_an_output_too_large_for_the_disk_is_named(data, tmp_path, here):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, before[1]))
    try:
        _, err = here("fit", data / "parts", "-k", K, "--assignments", tmp_path / "out.csv", status=2)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert err.endswith(f"error: can't write {tmp_path}/out.csv: file too large; make room or write somewhere else\n")
    assert not list(tmp_path.iterdir())
