"""Fits that are stopped, killed and resumed end with the same bits; checkpoints of another fit are refused."""

import csv
import json
import os
import re
import shutil
import signal
from dataclasses import dataclass, field
from multiprocessing import get_context
from typing import NamedTuple

import numpy as np
import pytest
import safetensors
import torch
from safetensors.torch import save_file

from helpers.marks import but_thorough
from helpers.signals import handle_ctrl_c
from helpers.streams import Stream
from helpers.waiting import HANG_SECONDS
from softkmeans import (
    Callback,
    Checkpoint,
    FitInterrupted,
    FuzzyCMeans,
    InputError,
    LossPrinter,
    SoftKMeans,
    SoftKMeansLayer,
    load,
    make_blobs,
    save,
    train_layer,
)
from softkmeans.callbacks import EarlyStopping, Recorder
from softkmeans.checkpoint import resume
from softkmeans.checkpoint.encoding import decode, encode, record_types
from softkmeans.checkpoint.fingerprints import describe
from softkmeans.fitting import monitor, position
from softkmeans.model.params import Params
from softkmeans.objectives import Objective
from softkmeans.solvers import SOLVERS, Adam, Em, PlainState, Solver
from softkmeans.temperature import Schedule

X = make_blobs(600, 3, 5, cluster_std=3.0, random_state=0)[0].double().numpy()
WEIGHTS = np.random.default_rng(0).integers(0, 4, len(X)).astype(float)

MODELS = {name: SoftKMeans(5, solver=name, random_state=0, tol=1e-6, max_iter=12) for name in SOLVERS} | {
    "restarts": SoftKMeans(5, n_init=3, random_state=0),
    "local search": SoftKMeans(8, local_search=True, random_state=0),
    "growing sample": SoftKMeans(2, growing_sample=True, random_state=0),
    "schedule": SoftKMeans(5, temperature=Schedule.geometric(200, 10, 4), random_state=0),
    "perplexity": SoftKMeans(5, temperature="perplexity:1.5", random_state=0),
    "calibrated": SoftKMeans(5, temperature="calibrated", priors="learned", random_state=0),
    "per cluster": SoftKMeans(5, temperature="per-cluster", random_state=0),
    "noise": SoftKMeans(5, noise_distance=30.0, priors="learned", random_state=0),
    "annealing": SoftKMeans(5, init="annealing", random_state=0),
    "fuzzy": FuzzyCMeans(5, random_state=0),
    "empty clusters": SoftKMeans(5, temperature=9.0, init=X[:5] + np.array([[0, 0, 1e4, 2e4, 0]]).T),
    "equal centers": SoftKMeans(5, temperature="per-cluster", init=X[[0, 1, 0, 1, 4]]),
}


class StopAfter(Callback):
    """Raise KeyboardInterrupt, as Ctrl-C does, after n passes."""

    def __init__(self, n):
        self.left = n

    def on_step(self, step):
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt


class Stop(Callback):
    """Ask to stop at a pass."""

    def __init__(self, at):
        self.at = at

    def on_step(self, step):
        return step.n_iter == self.at


def files_in(folder):
    """Return the checkpoints in a folder, oldest first."""
    return sorted(folder.glob("*.safetensors"))


def fitted(model, data=X, **settings):
    model = type(model)(**(model.get_params() | settings))
    return model.fit(data) if data is not X else model.fit(X, sample_weight=WEIGHTS)


def same_bits(one, other):
    assert np.array_equal(one.cluster_centers_, other.cluster_centers_)
    names = ("objective_", "inertia_", "n_iter_", "converged_", "history_", "restarts_", "distortion_")
    names += ("temperature_",) if isinstance(one, SoftKMeans) else ()
    for name in names:
        np.testing.assert_equal(getattr(one, name), getattr(other, name), name)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:the fit did not converge")
@pytest.mark.parametrize(
    ("name", "kind"),  # a stream has no access to rows by number
    [(name, kind) for name in MODELS for kind in ("array", "stream") if (name, kind) != ("growing sample", "stream")],
)
def test_resumed_fits_end_with_the_same_bits(name, kind, tmp_path):
    model, data = MODELS[name], X if kind == "array" else Stream(X, [100, 350], WEIGHTS)
    whole = fitted(model, data)
    for passes in (2, 3, 100):  # the third run continues from the second, and may end before it is stopped
        settings = {"checkpoint": Checkpoint(tmp_path / "kept", every=1), "resume": True}
        try:
            last = fitted(model, data, callbacks=[StopAfter(passes)], **settings)
        except KeyboardInterrupt:
            continue
    last = fitted(model, data, checkpoint=tmp_path / "kept", resume=True)
    same_bits(last, whole)
    assert len(files_in(tmp_path / "kept")) <= 2


@pytest.mark.parametrize("solver", ["auto", "adam"])
def test_a_fit_is_resumed_from_every_pass_after_a_cluster_has_moved(solver, tmp_path):
    settings = {"init": [[0.0], [1e4]], "temperature": 1.0, "solver": solver, "max_iter": 500}
    rows = X[:80, :1]
    whole = SoftKMeans(2, **settings).fit(rows)
    assert whole.cluster_centers_[1] < 1e3
    for passes in range(1, whole.n_iter_, 1 if solver == "auto" else 60):
        kept = {"checkpoint": Checkpoint(tmp_path / f"{passes}", every=1), "resume": True}
        with pytest.raises(KeyboardInterrupt):
            SoftKMeans(2, callbacks=[StopAfter(passes)], **settings, **kept).fit(rows)
        same_bits(SoftKMeans(2, **settings, **kept).fit(rows), whole)


FEW = [{}, {"solver": "adam"}, {"solver": "online"}, {"temperature": "per-cluster"}, {"priors": "learned"}]
FEW += [{"distance": "euclidean"}, {"temperature": "calibrated"}, {"noise_distance": 30.0}, {"local_search": True}]


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("settings", FEW, ids=str)
@pytest.mark.parametrize("n_features", [1, 3])
@pytest.mark.parametrize("n_clusters", [1, 2])
def test_fits_of_few_clusters_and_features_are_resumed(n_clusters, n_features, settings, tmp_path):
    x, settings = X[:80, :n_features], {"n_clusters": n_clusters, "random_state": 0, "max_iter": 8} | settings
    whole = SoftKMeans(**settings).fit(x)
    settings |= {"checkpoint": Checkpoint(tmp_path, every=1), "resume": True}
    with pytest.raises(KeyboardInterrupt):
        SoftKMeans(**settings, callbacks=[StopAfter(1)]).fit(x)
    same_bits(SoftKMeans(**settings).fit(x), whole)


def test_callbacks_see_every_pass_again(tmp_path):
    lines = []
    model = SoftKMeans(5, random_state=0, tol=0, max_iter=8, checkpoint=Checkpoint(tmp_path, every=1))
    with pytest.warns(match="did not converge"):
        model.set_params(callbacks=[LossPrinter(2, lines.append)]).fit(X)
    first, lines[:] = list(lines), []
    with pytest.warns(match="did not converge"):
        model.set_params(resume=True).fit(X)
    assert lines == ["resumed at step 8", *first]


def test_no_pass_is_repeated(tmp_path):
    class Counted(Stream):
        passes = 0

        def blocks(self):
            type(self).passes += 1
            return super().blocks()

    model = SoftKMeans(5, random_state=0, checkpoint=Checkpoint(tmp_path, every=1), tol=1e-8)
    with pytest.raises(FitInterrupted):
        model.set_params(callbacks=[StopAfter(4)]).fit(Counted(X))
    Counted.passes = 0
    model.set_params(callbacks=None, resume=True).fit(Counted(X))
    assert Counted.passes == 1 + (model.n_iter_ - 4) + 1  # one to compare the data, one for the inertia


def run_and_be_killed(model, path):
    model.fit(X, sample_weight=WEIGHTS)
    save(model, path)


LONG_FITS = {name: {"solver": name, "temperature": 4.0} for name in ("auto", "em", "adam", "online")} | {
    "restarts": {"n_init": 4, "init": "random"},
    "schedule": {"temperature": Schedule.geometric(200, 4, 12)},
    "growing sample": {"growing_sample": True, "n_clusters": 2},
    "local search": {"local_search": True},
}


@pytest.mark.filterwarnings("ignore:.*centers coincide")
@pytest.mark.process
@pytest.mark.filterwarnings("ignore:the fit did not converge")
@pytest.mark.parametrize("name", but_thorough(LONG_FITS, ["auto", "restarts", "local search", "schedule"]))
def test_killed_at_random_moments(name, tmp_path):
    """Kill the fit with SIGKILL, which can't be handled, at twenty random moments; each time it continues."""
    settings = {"n_clusters": 20, "random_state": 0, "tol": 0, "max_iter": 150} | LONG_FITS[name]
    model = SoftKMeans(**settings)
    whole = fitted(model)
    checkpoint = Checkpoint(tmp_path / "kept", every=1)
    keeping = SoftKMeans(**settings, checkpoint=checkpoint, resume=True)
    rng = np.random.default_rng(0)
    for _ in range(20):
        child = get_context("fork").Process(target=run_and_be_killed, args=(keeping, tmp_path / "model.safetensors"))
        child.start()
        child.join(rng.uniform(0.005, 0.08))
        if child.is_alive():
            os.kill(child.pid, signal.SIGKILL)
        child.join(HANG_SECONDS)
        assert child.exitcode is not None
    last = fitted(keeping)
    same_bits(last, whole)
    assert sorted(file.suffix for file in (tmp_path / "kept").iterdir()) == [".csv"] + [".safetensors"] * 2


def n_bytes(tensors):
    return sum(tensor.nbytes for tensor in tensors)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:the fit did not converge")
@pytest.mark.parametrize("name", MODELS)
def test_the_size_of_checkpoints_is_bounded(name, tmp_path, monkeypatch):
    """Check that no checkpoint holds more than four times the state of the solver and the sums of a pass."""
    limits, sizes = [], []

    def encode_and_measure(at, problem, original=monitor.encode_position):
        if at.run is not None:
            types = [*position.RECORDS, *record_types(at.run.state)]
            limits.append(4 * n_bytes(encode((at.run.state, at.run.current.sums), types).tensors))
        return original(at, problem)

    def write_and_measure(folder, content, *others, original=resume.write):
        sizes.append(n_bytes([tensor for *_, tensors in content.sums for tensor in tensors]))
        sizes[-1] += n_bytes(content.position.tensors)
        original(folder, content, *others)

    monkeypatch.setattr(monitor, "encode_position", encode_and_measure)
    monkeypatch.setattr(resume, "write", write_and_measure)
    fitted(MODELS[name], checkpoint=Checkpoint(tmp_path, every=1), max_iter=60, tol=1e-9)
    assert len(limits) > 10
    assert all(size <= limit for size, limit in zip(sizes, limits, strict=False))


class Patient(Em):
    """EM that does not end."""

    def init(self, objective, params):
        return PlainState(params, patience=10**9)


@pytest.mark.filterwarnings("ignore:.*centers coincide")
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:the fit did not converge")
@pytest.mark.parametrize(
    "solver", ["online", *(pytest.param(solver, marks=pytest.mark.thorough) for solver in (Patient(), "adam"))]
)
def test_checkpoints_do_not_grow_with_the_passes(solver, tmp_path):
    sizes = []
    for n_passes in (10, 100, 300):
        folder = tmp_path / str(n_passes)
        model = SoftKMeans(5, solver=solver, temperature=30.0, tol=0, random_state=0, max_iter=n_passes)
        model.set_params(checkpoint=Checkpoint(folder, every=n_passes), callbacks=[Stop(n_passes)]).fit(X[:40])
        assert model.n_iter_ == n_passes
        sizes.append(files_in(folder)[0].stat().st_size)
    assert max(sizes) - min(sizes) <= 64  # digits of numbers


class Momentum(NamedTuple):
    params: Params
    velocity: torch.Tensor
    rates: tuple
    is_trial: bool = False
    patience: int = 30


@dataclass(frozen=True)
class Rate:
    lr: float
    notes: dict


@dataclass(frozen=True)
class HeavyBall(Solver):
    """A solver of a user, whose state is a named tuple with a dataclass in it."""

    extra: object = None

    def init(self, objective, params):
        return Momentum(params, torch.zeros_like(objective.pack(params)), (Rate(0.2, {"steps": [0]}), self.extra))

    def step(self, objective, state, sums):
        rate, extra = state.rates
        step = objective.preconditioner(state.params, sums) * objective.gradient(state.params, sums)
        velocity = 0.5 * state.velocity - rate.lr * step
        params = objective.unpack(objective.pack(state.params) + velocity, state.params)
        rate = Rate(rate.lr * 0.999, {"steps": [rate.notes["steps"][0] + 1]})
        return state._replace(params=params, velocity=velocity, rates=(rate, extra))


def test_the_state_of_a_users_solver_is_resumed(tmp_path):
    model = SoftKMeans(5, solver=HeavyBall(), random_state=0, tol=1e-9, temperature=4.0)
    whole = fitted(model)
    for passes in (3, 9):
        with pytest.raises(KeyboardInterrupt):
            fitted(model, checkpoint=Checkpoint(tmp_path, every=1), resume=True, callbacks=[StopAfter(passes)])
    same_bits(fitted(model, checkpoint=tmp_path, resume=True), whole)


NOT_SAVED = {
    r"a SGD, expected numbers, text and tensors, in tuples": torch.optim.SGD([torch.zeros(1)], lr=0.1),
    r"a ndarray \(use torch.as_tensor\), expected": np.zeros(2),
    r"a dict with other keys than text, expected": {1: 2.0},
}


@pytest.mark.parametrize("message", NOT_SAVED)
def test_a_state_that_a_checkpoint_cannot_hold_is_refused(message, tmp_path):
    model = SoftKMeans(5, solver=HeavyBall(NOT_SAVED[message]), random_state=0, temperature=4.0)
    with pytest.raises(InputError, match=f"solver has a state that can't be saved: a checkpoint can't hold {message}"):
        fitted(model, checkpoint=tmp_path)
    assert not list(tmp_path.iterdir())
    assert fitted(model).n_iter_ > 3


def test_records_are_restored_by_the_names_of_their_fields():
    @dataclass(kw_only=True)
    class Before:
        one: float
        other: torch.Tensor
        counted: int = field(init=False, default=3)

    before = Before(one=1.0, other=torch.ones(2))
    before.counted = 7
    encoded = encode(before, [Before])
    after = decode(encoded.json, encoded.tensors, [Before])
    assert (after.one, after.other.tolist(), after.counted) == (1.0, [1.0, 1.0], 7)

    @dataclass
    class Swapped:
        counted: int
        other: torch.Tensor
        one: float

    Swapped.__module__, Swapped.__qualname__ = Before.__module__, Before.__qualname__
    after = decode(encoded.json, encoded.tensors, [Swapped])
    assert (after.one, after.other.tolist(), after.counted) == (1.0, [1.0, 1.0], 7)


def test_a_solver_that_has_changed_is_refused(tmp_path, monkeypatch):
    model = SoftKMeans(5, solver=HeavyBall(), random_state=0, temperature=4.0)
    with pytest.raises(KeyboardInterrupt):
        fitted(model, checkpoint=Checkpoint(tmp_path, every=1), callbacks=[StopAfter(3)])

    class Renamed(Momentum):
        pass

    monkeypatch.setitem(globals(), "Momentum", Renamed)
    with pytest.raises(
        InputError, match=r"solver has another state than in the checkpoint: .*Momentum.*: continue with"
    ):
        fitted(model, checkpoint=tmp_path, resume=True)


def test_the_settings_of_a_registered_solver_are_compared(tmp_path):
    SOLVERS.register("fast-adam", Adam(lr=0.3))
    try:
        model = SoftKMeans(5, solver="fast-adam", random_state=0, checkpoint=tmp_path).fit(X)
        SOLVERS.unregister("fast-adam")
        SOLVERS.register("fast-adam", Adam(lr=0.05))
        with pytest.raises(InputError, match=r"solver was Adam\(lr=0\.3\) and is now Adam\(lr=0\.05\)"):
            model.set_params(resume=True).fit(X)
    finally:
        SOLVERS.unregister("fast-adam")


class Resumed(Callback):
    """Keep the number of passes at which a fit resumed."""

    n_passes = None

    def on_resume(self, n_passes):
        self.n_passes = n_passes


def resumed_at(model):
    callback = Resumed()
    model.set_params(callbacks=[callback]).fit(X)
    return callback.n_passes


class SignalAfter(Callback):
    """Send a signal to this process after a given pass, so that it arrives in the middle of the fit."""

    def __init__(self, number, n_iter):
        self.number, self.n_iter = number, n_iter

    def on_step(self, step):
        if step.n_iter == self.n_iter:
            os.kill(os.getpid(), self.number)


LONG = {"solver": "adam", "tol": 0, "max_iter": 60, "random_state": 0}


def signal_in_pass(number, n_iter):
    """Make this process send itself a signal in the middle of a pass."""
    n_calls = 0

    def accumulate(objective, block, params, original=Objective.accumulate):
        nonlocal n_calls
        n_calls += 1
        if n_calls == n_iter:
            os.kill(os.getpid(), number)
        return original(objective, block, params)

    Objective.accumulate = accumulate


def interrupted_by(number, during, path):
    handle_ctrl_c()
    if during == "pass":
        signal_in_pass(number, 31)
    callbacks = [SignalAfter(number, 30)] if during == "callback" else []
    try:
        SoftKMeans(20, **LONG, checkpoint=path, callbacks=callbacks).fit(X)
    except FitInterrupted:
        os._exit(7)
    os._exit(0)


@pytest.mark.process
@pytest.mark.filterwarnings("ignore:the fit did not converge")
@pytest.mark.parametrize("during", ["callback", "pass"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signals_leave_a_checkpoint(number, during, tmp_path):
    child = get_context("fork").Process(target=interrupted_by, args=(number, during, tmp_path / "kept"))
    child.start()
    child.join(HANG_SECONDS)
    assert child.exitcode == 7
    model = SoftKMeans(20, **LONG, checkpoint=tmp_path / "kept", resume=True)
    assert resumed_at(model) == 30
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_an_interruption_while_a_checkpoint_is_written_leaves_one(tmp_path, monkeypatch):
    """Ctrl-C during the very first checkpoint: it is written when the fit ends."""

    def interrupted(*_, original=resume.write):
        monkeypatch.setattr(resume, "write", original)
        raise KeyboardInterrupt

    monkeypatch.setattr(resume, "write", interrupted)
    model = SoftKMeans(5, random_state=0, tol=0, checkpoint=Checkpoint(tmp_path, every=3))
    with pytest.raises(FitInterrupted):
        model.fit(X)
    assert resumed_at(model.set_params(resume=True)) == 3


REFUSED = {
    "n_clusters was 5 and is now 4; use the same settings and data, or another folder": ({"n_clusters": 4}, X),
    "tol was 0.0001 and is now 0.001": ({"tol": 1e-3}, X),
    "random_state was [0-9]+ and is now [0-9]+": ({"random_state": 2}, X),
    "temperature was 'auto' and is now 3.0": ({"temperature": 3.0}, X),
    r"init was 'k-means\+\+' and is now an array of shape \(5, 3\)": ({"init": X[:5]}, X),
    "the number of rows was 600 and is now 599": ({}, X[1:]),
    "the number of features was 3 and is now 2": ({}, X[:, :2]),
    r"a fit to other data \(the weighted sums differ\)": ({}, X + np.array([0.0, 0.0, 1e-3])),
}


@pytest.mark.parametrize("message", REFUSED)
def test_checkpoints_of_another_fit_are_refused(message, tmp_path):
    model = SoftKMeans(5, random_state=0, checkpoint=tmp_path).fit(X)
    settings, data = REFUSED[message]
    with pytest.raises(InputError, match=message):
        model.set_params(resume=True, **settings).fit(data)


@pytest.mark.parametrize("n_clusters", [1, 2])
def test_other_data_is_refused_however_few_clusters_there_are(n_clusters, tmp_path):
    model = SoftKMeans(n_clusters, random_state=0, checkpoint=tmp_path).fit(X)
    with pytest.raises(InputError, match=r"the weighted sums differ"):
        model.set_params(resume=True).fit(X + 1e-3)


def test_another_version_is_refused(tmp_path, monkeypatch):
    model = SoftKMeans(5, random_state=0, checkpoint=tmp_path).fit(X)
    monkeypatch.setattr("softkmeans.checkpoint.resume.VERSIONS", {"the version of softkmeans": "99"})
    with pytest.raises(InputError, match=r"the version of softkmeans was .* and is now 99"):
        model.set_params(resume=True).fit(X)


def test_a_random_seed_is_kept(tmp_path):
    model = SoftKMeans(5, init="random", checkpoint=Checkpoint(tmp_path, every=1), callbacks=[StopAfter(3)], max_iter=4)
    with pytest.raises(FitInterrupted):
        model.fit(X)
    begun = model.history_
    with pytest.warns(match="did not converge"):
        model.set_params(callbacks=None, resume=True).fit(X)
    assert model.history_[:2] == begun[:2]


def test_existing_checkpoints_are_not_overwritten(tmp_path):
    SoftKMeans(5, random_state=0, checkpoint=tmp_path).fit(X)
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    with pytest.raises(InputError, match="already holds checkpoints: continue with resume=True, or give another"):
        SoftKMeans(4, checkpoint=tmp_path).fit(X)
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before


def cut(file):
    file.write_bytes(file.read_bytes()[:-40])


def flip(file):
    content = bytearray(file.read_bytes())
    content[-9] ^= 1
    file.write_bytes(content)


def read(file):
    """Return the metadata and the tensors of a checkpoint."""
    with safetensors.safe_open(file, "pt") as opened:
        return opened.metadata(), {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118


def changed(file):
    """Write a valid file with other content but the old digest."""
    metadata, tensors = read(file)
    content = json.loads(metadata["content"])
    content["step"] += 1
    save_file(tensors, file, metadata | {"content": json.dumps(content)})


def without_a_tensor(file):
    metadata, tensors = read(file)
    save_file(dict(list(tensors.items())[1:]), file, metadata)


def emptied(file):
    file.write_bytes(b"")


@pytest.mark.parametrize("damage", [cut, flip, changed, without_a_tensor, emptied])
def test_a_damaged_checkpoint_is_skipped(damage, tmp_path):
    model = SoftKMeans(5, random_state=0, checkpoint=Checkpoint(tmp_path, every=1)).fit(X)
    centers = model.cluster_centers_
    _, newer = files_in(tmp_path)
    damage(newer)
    with pytest.warns(UserWarning, match="can't be read, trying the previous checkpoint"):
        again = model.set_params(resume=True).fit(X)
    assert np.array_equal(again.cluster_centers_, centers)
    for file in files_in(tmp_path):
        emptied(file)
    with pytest.warns(UserWarning, match="read"), pytest.raises(InputError, match=r"no checkpoint in .* can be read"):
        model.fit(X)


def test_a_disk_that_fills_up(tmp_path, monkeypatch):
    """Check that earlier checkpoints stay, and no incomplete file."""
    model = SoftKMeans(5, random_state=0, tol=1e-8, checkpoint=Checkpoint(tmp_path / "kept", every=1))
    full = []

    def fsync(_):
        if len(full) > 4:
            raise OSError(28, "No space left on device")
        full.append(1)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fsync)
        with pytest.raises(
            InputError, match=r"can't write the checkpoint .*: No space left on device; earlier checkpoints are"
        ):
            model.fit(X)
    *checkpoints, history = sorted(file.name for file in (tmp_path / "kept").iterdir())
    assert len(checkpoints) == 2
    assert all(re.fullmatch(r"\d{8}\.safetensors", name) for name in checkpoints)
    assert history == "history.csv"
    same_bits(model.set_params(resume=True).fit(X), SoftKMeans(5, random_state=0, tol=1e-8).fit(X))


def test_concurrent_fits_need_separate_folders(tmp_path):
    class Start(Callback):
        def on_step(self, step):
            if step.n_iter == 2:
                shutil.copy(tmp_path / "00000001.safetensors", tmp_path / "00000002.safetensors")

    model = SoftKMeans(5, random_state=0, checkpoint=Checkpoint(tmp_path, every=2), callbacks=[Start()])
    with pytest.raises(InputError, match=f"another fit is writing checkpoints to {tmp_path}: use a separate folder"):
        model.fit(X)


def test_a_folder_that_is_moved(tmp_path):
    class MoveFolder(Callback):
        def on_step(self, step):
            (tmp_path / "kept").rename(tmp_path / "elsewhere")

    model = SoftKMeans(5, random_state=0, checkpoint=Checkpoint(tmp_path / "kept", every=1), callbacks=[MoveFolder()])
    with pytest.raises(InputError, match=r"can't write the checkpoint in .*kept: No such file or directory$"):
        model.fit(X)


def test_a_disk_that_is_full_when_a_fit_is_interrupted(tmp_path, monkeypatch):
    """Check that the model keeps the result of the interrupted fit."""

    def fsync(_):
        raise OSError(28, "No space left on device")

    model = SoftKMeans(5, random_state=0, checkpoint=Checkpoint(tmp_path, every=99), callbacks=[StopAfter(4)])
    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.warns(UserWarning, match="can't write the checkpoint"), pytest.raises(FitInterrupted):
        model.fit(X)
    assert len(model.history_) == 4
    assert not files_in(tmp_path)


BAD = {
    "resume=True needs a checkpoint folder": {"resume": True},
    "resume='yes': expected True or False": {"resume": "yes", "checkpoint": "{folder}/new"},
    "checkpoint=3: expected the name of a folder": {"checkpoint": 3},
    "can't create the checkpoint folder .*taken/kept: ": {"checkpoint": "{folder}/taken/kept"},
    "can't create the checkpoint folder .*taken: ": {"checkpoint": "{folder}/taken"},
}


@pytest.mark.parametrize("message", BAD)
def test_bad_folders(message, tmp_path):
    (tmp_path / "taken").write_text("")
    settings = {n: v.format(folder=tmp_path) if isinstance(v, str) else v for n, v in BAD[message].items()}
    with pytest.raises(InputError, match=message):
        SoftKMeans(5, **settings).fit(X)


@pytest.mark.parametrize("settings", [{"every": 0}, {"every": 1.5}, {"seconds": 0}, {"seconds": "1"}])
def test_bad_intervals(settings):
    with pytest.raises(InputError, match=next(iter(settings))):
        Checkpoint("kept", **settings)


@pytest.mark.parametrize(
    ("interval", "n_files"),
    [({"every": 3}, 2), ({"every": 8}, 1), ({"seconds": 1e6}, 1), ({"every": 9, "seconds": 9e6}, 1)],
)
def test_intervals(interval, n_files, tmp_path):
    """Stop after eight passes; the last checkpoint always holds all of them."""
    model = SoftKMeans(5, random_state=0, tol=0, checkpoint=Checkpoint(tmp_path, **interval), callbacks=[StopAfter(8)])
    with pytest.raises(FitInterrupted):
        model.fit(X)
    assert len(files_in(tmp_path)) == n_files
    lines = []
    with pytest.raises(FitInterrupted):
        model.set_params(resume=True, callbacks=[LossPrinter(write=lines.append), StopAfter(1)]).fit(X)
    assert lines[0] == "resumed at step 8"


def test_a_fit_that_a_callback_stopped_continues(tmp_path):
    """Check that another callback, which stops later, gets what it would have got in an uninterrupted fit."""
    model = SoftKMeans(5, init="random", random_state=0, checkpoint=Checkpoint(tmp_path, every=1))
    for at in (3, 5, 99):
        model.set_params(callbacks=[Stop(at)], resume=True).fit(X)
        same_bits(model, SoftKMeans(5, init="random", random_state=0, callbacks=[Stop(at)]).fit(X))


@pytest.mark.slow
@pytest.mark.parametrize("passes", [2, 5, 12, 17, 25])
def test_callbacks_with_a_state_act_as_in_an_uninterrupted_fit(passes, tmp_path):
    def fitted_with(**settings):
        callbacks = [EarlyStopping(2, 0.1), *settings.pop("callbacks", ())]
        return SoftKMeans(8, n_init=4, tol=0, init="random", random_state=0, callbacks=callbacks, **settings).fit(X)

    whole, lines = fitted_with(), []
    with pytest.raises(KeyboardInterrupt):
        fitted_with(checkpoint=Checkpoint(tmp_path, every=1), callbacks=[StopAfter(passes)])
    settings = {"checkpoint": tmp_path, "resume": True, "callbacks": [LossPrinter(1, lines.append)]}
    same_bits(fitted_with(**settings), whole)
    assert lines[0] == f"resumed at step {passes}"


def test_a_recorder_has_the_passes_since_the_fit_was_resumed(tmp_path):
    model = SoftKMeans(5, random_state=0, tol=1e-8, checkpoint=Checkpoint(tmp_path, every=1))
    with pytest.raises(KeyboardInterrupt):
        model.set_params(callbacks=[StopAfter(4)]).fit(X)
    recorder = Recorder()
    model.set_params(callbacks=[recorder], resume=True).fit(X)
    assert [step[:7] for step in recorder.steps] == [step[:7] for step in model.history_[3:]]
    assert len(recorder.centers) == len(recorder.losses) == len(recorder.temperatures) == model.n_iter_ - 3


def test_checkpoints_of_the_format_before_are_refused(tmp_path):
    model = SoftKMeans(5, random_state=0, checkpoint=tmp_path).fit(X)
    file = files_in(tmp_path)[-1]
    metadata, _ = read(file)
    save_file({"numbers": torch.zeros(3)}, file, metadata | {"version": "3"})
    message = r"safetensors is a checkpoint of format version 3, expected 4; continue with the version of soft"
    with pytest.raises(InputError, match=message):
        model.set_params(resume=True).fit(X)


def test_the_history_is_a_table_that_can_be_read_during_the_fit(tmp_path):
    model = SoftKMeans(5, n_init=2, random_state=0, checkpoint=Checkpoint(tmp_path, every=1)).fit(X)
    lines = list(csv.DictReader((tmp_path / "history.csv").read_text().splitlines()))
    restart = str(model.history_[0].restart)
    losses = [float(line["mean"]) for line in lines if line["restart"] == restart]
    assert losses == [step.mean for step in model.history_]


@pytest.mark.parametrize("damage", [emptied, cut, lambda file: file.unlink()])
def test_a_damaged_history_is_not_used(damage, tmp_path):
    model = SoftKMeans(5, random_state=0, checkpoint=Checkpoint(tmp_path, every=1)).fit(X)
    damage(tmp_path / "history.csv")
    refused = pytest.raises(InputError, match=r"no checkpoint in .* can be read \(history\.csv beside it was changed")
    with pytest.warns(UserWarning, match=r"can't be read, trying the previous .*history\.csv"), refused:
        model.set_params(resume=True).fit(X)


def test_lines_of_a_killed_process_are_overwritten(tmp_path):
    # A process may be killed after it has written the history, and before the checkpoint.
    model = SoftKMeans(5, random_state=0, tol=1e-9, checkpoint=Checkpoint(tmp_path, every=1), callbacks=[StopAfter(4)])
    with pytest.raises(FitInterrupted):
        model.fit(X)
    with (tmp_path / "history.csv").open("a") as file:
        file.write("0,5,1.0,1.0,1.0,1.0,600\n0,6,1.")
    same_bits(model.set_params(callbacks=None, resume=True).fit(X), SoftKMeans(5, random_state=0, tol=1e-9).fit(X))
    assert len((tmp_path / "history.csv").read_text().splitlines()) == 1 + model.n_iter_


def test_saved_models_do_not_hold_the_folder(tmp_path):
    model = SoftKMeans(5, random_state=0, checkpoint=tmp_path / "kept").fit(X)
    save(model, tmp_path / "model.safetensors")
    again = load(tmp_path / "model.safetensors")
    assert again.checkpoint is None
    assert not again.resume


def test_training_of_a_module_is_resumed(tmp_path):
    def trained(**settings):
        layer = SoftKMeansLayer(5, 3, temperature=4.0, dtype=torch.float64)
        train_layer(layer, torch.from_numpy(X), init="k-means++", random_state=0, max_iter=30, tol=0, **settings)
        return layer.centroids

    with pytest.warns(match="did not converge"):
        whole = trained()
    with pytest.raises(KeyboardInterrupt):
        trained(checkpoint=tmp_path, callbacks=[StopAfter(7)])
    with pytest.warns(match="did not converge"):
        assert torch.equal(trained(checkpoint=tmp_path, resume=True), whole)


def test_descriptions_of_parameters():
    a, b = np.arange(6.0).reshape(2, 3), np.arange(6.0).reshape(3, 2)
    assert describe(a) == describe(torch.from_numpy(a)) == describe(a.copy(order="F"))
    assert describe(a) != describe(b)
    assert describe(a) != describe(a + 1e-12)
    assert describe(np.random.default_rng(0)) != describe(np.random.default_rng(1))
    assert describe(make_blobs) == "softkmeans.data.synthetic.make_blobs"
