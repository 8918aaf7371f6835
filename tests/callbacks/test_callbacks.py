"""Test that callbacks are called after every pass and can stop a fit, and that a fit keeps its best centers."""

import copy
import io
import logging
import pickle
import re
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.utils.validation import check_is_fitted
from tqdm import tqdm

import softkmeans
from helpers import reference as ref
from softkmeans import (
    Callback,
    EarlyStopping,
    FitInterrupted,
    InputError,
    LossLogger,
    LossPrinter,
    ProgressBar,
    SoftKMeans,
    Step,
    TimeLimit,
    fit,
)
from softkmeans.data import as_source
from softkmeans.errors import CallbackError
from softkmeans.temperature import Schedule

X = load_iris().data
CUT_SHORT = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


class Recorder(Callback):
    """Record all calls; optionally stop or interrupt the fit at a given pass."""

    def __init__(self, stop_at=None, interrupt_at=None, restart=0):
        self.stop_at, self.interrupt_at, self.restart = stop_at, interrupt_at, restart
        self.max_iters, self.steps, self.results = [], [], []

    def on_fit_begin(self, max_iter):
        self.max_iters.append(max_iter)

    def on_step(self, step):
        self.steps.append(step)
        if step.restart == self.restart and step.n_iter == self.interrupt_at:
            raise KeyboardInterrupt
        return step.restart == self.restart and step.n_iter == self.stop_at

    def on_fit_end(self, result):
        self.results.append(result)


def fitted(*callbacks, **parameters):
    defaults = {"n_clusters": 3, "temperature": 0.3, "tol": 0.0, "max_iter": 23, "random_state": 0}
    return SoftKMeans(**(defaults | parameters), callbacks=callbacks).fit(X)


@CUT_SHORT
@pytest.mark.parametrize(
    ("max_iter", "every", "printed"),
    [
        (23, 10, [1, 10, 20, 23]),
        (20, 10, [1, 10, 20]),
        (5, 10, [1, 5]),
        (1, 10, [1]),
        (4, 1, [1, 2, 3, 4]),
        (1, 1, [1]),
        (6, 4, [1, 4, 6]),
    ],
)
def test_the_loss_is_printed_at_the_first_and_last_pass_and_at_intervals(max_iter, every, printed):
    lines = []
    recorder = Recorder()
    fitted(LossPrinter(every, lines.append), recorder, max_iter=max_iter, solver="adam")
    matches = [re.fullmatch(r"step +(\d+) +loss (-?\d+\.\d+)", line).groups() for line in lines]
    assert [int(number) for number, _ in matches] == printed
    mean = {step.n_iter: step.mean for step in recorder.steps}
    assert [float(loss) for _, loss in matches] == pytest.approx([mean[n] for n in printed], abs=1e-6)


@CUT_SHORT
def test_restarts_are_numbered_and_their_first_and_last_pass_are_printed():
    lines, recorder = [], Recorder()
    model = fitted(LossPrinter(4, lines.append), recorder, n_init=3, max_iter=6, init="random")
    assert [(s.restart, s.n_iter) for s in recorder.steps] == [(r, n) for r in range(3) for n in range(1, 7)]
    assert recorder.max_iters == [6, 6, 6]
    assert [int(line.split()[1]) for line in lines] == [1, 4, 6] * 3
    assert model.free_energy_ == pytest.approx(min(result.free_energy for result in recorder.results), rel=1e-12)
    kept = {step.restart for step in model.history_}
    assert len(kept) == 1
    (best,) = kept
    assert recorder.results[best].free_energy == min(result.free_energy for result in recorder.results)


@pytest.mark.parametrize("solver", ["em", "adam", "lbfgs"])
def test_every_pass_is_seen_in_units_of_the_data(solver):
    start, recorder = X[[0, 60, 120]], Recorder()
    model = fitted(recorder, solver=solver, init=start, tol=1e-6, max_iter=2000)
    steps = recorder.steps
    assert all(isinstance(step, Step) for step in steps)
    assert [step.n_iter for step in steps] == list(range(1, model.n_iter_ + 1))
    assert tuple(step._replace(centers=None) for step in steps) == model.history_
    assert steps[0].objective == pytest.approx(ref.free_energy(X, start, 0.3), rel=1e-9)
    assert steps[0].distortion == pytest.approx(ref.distortion(X, start, 0.3), rel=1e-9)
    for step in steps:
        assert step.temperature == pytest.approx(0.3, rel=1e-12)
        assert step.mean == pytest.approx(step.objective / len(X), rel=1e-12)
    values = np.array([step.objective for step in steps])
    assert values[-1] < values[0]
    if solver == "em":
        assert (np.diff(values) <= 1e-9 * abs(values[:-1])).all()
        second = ref.em(X, start, 0.3, 1)
        assert steps[1].objective == pytest.approx(ref.free_energy(X, second, 0.3), rel=1e-9)
    (result,) = recorder.results
    assert result.n_iter == len(steps)
    np.testing.assert_allclose(result.centers, model.cluster_centers_)


@pytest.mark.parametrize("answer", [True, 1, np.True_, "yes"])
def test_a_true_answer_ends_the_fit_with_the_best_centers(answer):
    class Stopper(Callback):
        def on_step(self, step):
            return answer if step.n_iter == 4 else None

    start, after = X[[0, 60, 120]], Recorder()
    model = fitted(Stopper(), after, init=start)
    assert (model.n_iter_, model.converged_, len(after.steps)) == (4, False, 4)  # the last also to later callbacks
    np.testing.assert_allclose(model.cluster_centers_, ref.em(X, start, 0.3, 3), rtol=1e-9)


@CUT_SHORT
def test_a_stop_ends_its_restart_only():
    recorder = Recorder(stop_at=2, restart=1)
    fitted(recorder, n_init=3, max_iter=5, init="random")
    assert [sum(step.restart == r for step in recorder.steps) for r in range(3)] == [5, 2, 5]


FIGURES = ["labels_", "inertia_", "free_energy_", "distortion_", "entropy_", "cluster_weights_", "history_"]


@pytest.mark.parametrize("at", [1, 4])
@pytest.mark.parametrize("solver", ["em", "adam", "lbfgs"])
def test_ctrl_c_keeps_the_best_centers_so_far(solver, at):
    start, recorder = X[[0, 60, 120]], Recorder(interrupt_at=at)
    model = SoftKMeans(3, temperature=0.3, solver=solver, init=start, tol=0, callbacks=[recorder])
    with pytest.raises(FitInterrupted, match="best centers so far") as caught:
        model.fit(X)
    assert isinstance(caught.value, KeyboardInterrupt)
    check_is_fitted(model)
    assert all(hasattr(model, name) for name in FIGURES)
    assert (model.n_iter_, model.converged_) == (at, False)
    values = [step.objective for step in recorder.steps]
    assert ref.free_energy(X, model.cluster_centers_, 0.3) == pytest.approx(min(values), rel=1e-9)
    assert model.free_energy_ == pytest.approx(min(values), rel=1e-12)
    np.testing.assert_allclose(model.predict_proba(X), ref.resp(X, model.cluster_centers_, 0.3), atol=1e-9)
    np.testing.assert_array_equal(model.labels_, model.predict(X))
    np.testing.assert_allclose(caught.value.result.centers, model.cluster_centers_)
    assert len(recorder.results) == 1  # on_fit_end is called nevertheless


@CUT_SHORT
@pytest.mark.parametrize("at", [1, 3])
def test_ctrl_c_in_a_later_restart_keeps_the_best_of_all(at):
    """Restart 0 runs to its end, restart 1 is interrupted at a pass."""
    model = SoftKMeans(3, temperature=0.3, init="random", n_init=5, max_iter=30, random_state=0, tol=0)
    recorder = Recorder(interrupt_at=at, restart=1)
    with pytest.raises(FitInterrupted):
        model.set_params(callbacks=[recorder]).fit(X)
    assert {step.restart for step in recorder.steps} == {0, 1}
    best = min(step.objective for step in recorder.steps)
    assert model.free_energy_ <= best + 1e-9


@CUT_SHORT
def test_ctrl_c_between_restarts_keeps_the_first_restart():
    class BetweenRestarts(Recorder):
        def on_fit_begin(self, max_iter):
            super().on_fit_begin(max_iter)
            if len(self.max_iters) == 2:
                raise KeyboardInterrupt

    model = SoftKMeans(3, temperature=0.3, n_init=3, max_iter=5, random_state=0, tol=0, callbacks=[BetweenRestarts()])
    with pytest.raises(KeyboardInterrupt) as caught:
        model.fit(X)
    assert isinstance(caught.value, FitInterrupted)
    assert model.n_iter_ == 5


def test_ctrl_c_on_a_tensor_keeps_a_tensor():
    model = SoftKMeans(3, temperature=0.3, random_state=0, callbacks=[Recorder(interrupt_at=2)])
    with pytest.raises(FitInterrupted):
        model.fit(torch.tensor(X, dtype=torch.float32))
    assert isinstance(model.cluster_centers_, torch.Tensor)
    assert model.cluster_centers_.dtype == torch.float32


class Broken(Callback):
    """Raise an error at an event of a restart; for ``on_step``, at the pass of a given number."""

    def __init__(self, event, n_iter=None, restart=0, error=ZeroDivisionError("mine")):  # noqa: B008 -- only raised
        self.moment, self.error = (event, restart, n_iter), error
        self.restart = -1

    def on_fit_begin(self, max_iter):
        self.restart += 1
        self.fail_at("on_fit_begin", None)

    def on_step(self, step):
        self.fail_at("on_step", step.n_iter)

    def on_fit_end(self, result):
        self.fail_at("on_fit_end", None)

    def fail_at(self, event, n_iter):
        if (event, self.restart, n_iter) == self.moment:
            raise self.error


MOMENTS = {  # when a callback fails: the number of passes that the others record in each restart
    ("on_fit_begin",): [0],
    ("on_step", 1): [1],
    ("on_step", 3): [3],
    ("on_fit_end",): [6],
    ("on_fit_begin", None, 1): [6, 0],
    ("on_step", 1, 1): [6, 1],
    ("on_step", 3, 1): [6, 3],
    ("on_fit_end", None, 1): [6, 6],
}
SETTINGS = {"temperature": 0.3, "init": "random", "n_init": 3, "max_iter": 6, "tol": 0, "random_state": 0}


@CUT_SHORT
@pytest.mark.parametrize("position", [0, 1])
@pytest.mark.parametrize("moment", MOMENTS, ids=str)
def test_an_exception_of_a_callback_ends_the_fit_and_keeps_the_best_so_far(moment, position):
    recorder, bar, broken = Recorder(), ProgressBar(0.0), Broken(*moment)
    callbacks = [recorder, bar]
    callbacks.insert(position, broken)
    model = SoftKMeans(3, **SETTINGS, callbacks=callbacks)
    with redirect_stderr(Terminal()), pytest.raises(ZeroDivisionError, match="mine") as caught:
        model.fit(X)
    assert caught.value is broken.error
    passes = MOMENTS[moment]
    assert [sum(step.restart == r for step in recorder.steps) for r in range(len(passes))] == passes
    assert len(recorder.results) == len(recorder.max_iters) == len(passes)
    assert not tqdm._instances  # the bar is closed
    check_is_fitted(model)
    assert all(hasattr(model, name) for name in FIGURES)
    assert not model.converged_
    assert model.free_energy_ == pytest.approx(ref.free_energy(X, model.cluster_centers_, 0.3), rel=1e-9)
    assert model.free_energy_ == pytest.approx(min(result.free_energy for result in recorder.results), rel=1e-9)
    np.testing.assert_allclose(model.predict_proba(X), ref.resp(X, model.cluster_centers_, 0.3), atol=1e-9)
    np.testing.assert_array_equal(model.labels_, model.predict(X))


@pytest.mark.parametrize(("moment", "n_steps"), [(("on_fit_begin",), 0), (("on_step", 1), 0), (("on_step", 3), 2)])
def test_the_centers_kept_are_those_of_the_pass_that_failed(moment, n_steps):
    start = X[[0, 60, 120]]
    model = SoftKMeans(3, temperature=0.3, init=start, solver="em", tol=0, callbacks=[Broken(*moment)])
    with pytest.raises(ZeroDivisionError):
        model.fit(X)
    np.testing.assert_allclose(model.cluster_centers_, ref.em(X, start, 0.3, n_steps), rtol=1e-9)


@CUT_SHORT
@pytest.mark.parametrize("moment", MOMENTS, ids=str)
def test_ctrl_c_inside_a_callback_is_raised_whenever_it_comes(moment):
    bar, broken = ProgressBar(0.0), Broken(*moment, error=KeyboardInterrupt())
    with redirect_stderr(Terminal()), pytest.raises(KeyboardInterrupt):
        SoftKMeans(3, **SETTINGS, callbacks=[bar, broken]).fit(X)
    assert not tqdm._instances


@CUT_SHORT
@pytest.mark.parametrize("moment", MOMENTS, ids=str)
def test_the_error_of_the_function_fit_has_the_result(moment):
    broken, recorder = Broken(*moment), Recorder()
    with pytest.raises(CallbackError, match="a callback raised") as caught:
        fit(X, 3, **SETTINGS, callbacks=[broken, recorder])
    assert caught.value.__cause__ is broken.error
    centers = caught.value.result.centers.numpy()
    assert caught.value.result.free_energy == pytest.approx(ref.free_energy(X, centers, 0.3), rel=1e-9)
    assert caught.value.result.free_energy == pytest.approx(min(r.free_energy for r in recorder.results), rel=1e-9)


def test_of_several_errors_the_first_is_raised():
    first, second = Broken("on_step", 2), Broken("on_fit_end", error=ValueError("later"))
    with pytest.raises(ZeroDivisionError, match="mine"):
        SoftKMeans(3, random_state=0, callbacks=[second, first]).fit(X)


def test_an_error_in_a_sample_ends_the_fit_too():
    rows = np.random.default_rng(0).normal(size=(4000, 2))
    recorder = Recorder()
    model = SoftKMeans(3, random_state=0, growing_sample=True, callbacks=[Broken("on_step", 2), recorder])
    with pytest.raises(ZeroDivisionError):
        model.fit(rows)
    assert [step.n_rows for step in recorder.steps] == [192, 192]
    assert model.free_energy_ == pytest.approx(
        ref.free_energy(rows, model.cluster_centers_, model.temperature_), rel=1e-9
    )


@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
@pytest.mark.parametrize("after", [0, 1, 3])
def test_the_bar_is_closed_when_the_data_can_no_longer_be_read(after, error, monkeypatch):
    monkeypatch.setattr("softkmeans.data.source.MAX_KEPT_NUMBERS", 0)  # each pass reads the data
    source = as_source(X)

    def fail():
        raise error

    class Unplug(Callback):
        def on_fit_begin(self, max_iter):
            self.on_step(SimpleNamespace(n_iter=0))

        def on_step(self, step):
            if step.n_iter == after:
                source.blocks = fail

    bar, recorder = ProgressBar(0.0), Recorder()
    with redirect_stderr(Terminal()), pytest.raises(error):
        fit(source, 3, temperature=0.3, tol=0, random_state=0, callbacks=[bar, Unplug(), recorder])
    assert not tqdm._instances
    assert len(recorder.steps) == after
    assert [result is None for result in recorder.results] == [error is OSError or after == 0]


@CUT_SHORT
@pytest.mark.parametrize(("verbose", "printed"), [(0, []), (1, []), (2, [1, 10, 20, 23]), (3, [1, 10, 20, 23])])
def test_verbose(verbose, printed, capsys):
    fitted(verbose=verbose, solver="adam")
    out, err = capsys.readouterr()
    assert [int(line.split()[1]) for line in out.splitlines()] == printed
    assert err == ""  # a short fit shows no bar


class Slow(Callback):
    """Advance a clock by a number of seconds in each pass."""

    def __init__(self, clock, seconds):
        self.clock, self.seconds = clock, seconds

    def on_step(self, step):
        self.clock.now += self.seconds


class Terminal(io.StringIO):
    def isatty(self):
        return True


class Clock:
    now = 1e6

    def __call__(self):
        return self.now


@pytest.mark.parametrize(("delay", "seconds", "shown"), [(1.0, 0.01, False), (1.0, 0.3, True), (0.0, 0.3, True)])
@CUT_SHORT
def test_the_bar_shows_only_after_its_delay_and_is_cleared_at_the_end(delay, seconds, shown, monkeypatch):
    clock = Clock()
    monkeypatch.setattr("tqdm.std.time", clock)
    with redirect_stderr(Terminal()) as err, redirect_stdout(io.StringIO()) as out:
        fitted(Slow(clock, seconds), ProgressBar(delay), max_iter=20)
    text = err.getvalue()
    assert out.getvalue() == ""
    assert ("soft k-means" in text) == shown
    if shown:
        assert "/20" in text
        assert "objective=" in text
        assert text.split("\r")[-2].strip() == ""  # the line is cleared
        assert "\n" not in text


def test_the_bar_is_closed_by_ctrl_c(monkeypatch):
    clock = Clock()
    monkeypatch.setattr("tqdm.std.time", clock)
    with redirect_stderr(Terminal()) as err, pytest.raises(FitInterrupted):
        fitted(Slow(clock, 1.0), ProgressBar(0.0), Recorder(interrupt_at=3))
    assert err.getvalue().split("\r")[-2].strip() == ""
    assert not tqdm._instances  # all bars are closed


@CUT_SHORT
def test_every_restart_and_every_fit_has_its_own_bar(monkeypatch):
    clock, bar = Clock(), ProgressBar(0.0)
    monkeypatch.setattr("tqdm.std.time", clock)
    texts = []
    for _ in range(2):
        with redirect_stderr(Terminal()) as err:
            fitted(Slow(clock, 1.0), bar, max_iter=4, n_init=3, init="random")
        texts.append(err.getvalue())
    assert texts[0] == texts[1]
    for restart in range(3):
        title = f"restart {restart}" if restart else "soft k-means"
        assert f"\r{title}: 100%" in texts[0]
    assert "\n" not in texts[0]
    assert not tqdm._instances


def test_the_bar_of_a_failed_fit_is_closed_by_the_next(monkeypatch):
    bar = ProgressBar(0.0)
    with redirect_stderr(Terminal()):
        bar.on_fit_begin(5)
        bar.on_step(Step(1, 1.0, 1.0, 1.0, 1.0))
        fitted(bar, max_iter=1000, tol=1e-2)
    assert not tqdm._instances


@pytest.mark.parametrize(("seconds", "seen"), [(0.3, []), (3.0, ["4/20", "8/20", "12/20", "16/20", "20/20"])])
@CUT_SHORT
def test_in_a_file_the_bar_is_written_every_ten_seconds(seconds, seen, monkeypatch):
    clock = Clock()
    monkeypatch.setattr("tqdm.std.time", clock)
    with redirect_stderr(io.StringIO()) as err:
        fitted(Slow(clock, seconds), ProgressBar(), max_iter=20)
    assert re.findall(r"\d+/20", err.getvalue()) == seen


@CUT_SHORT
def test_the_bar_needs_no_standard_error():
    with redirect_stderr(None):
        fitted(ProgressBar(0.0), max_iter=3)


NOTEBOOK_WITHOUT_WIDGETS = """
import sys, types
sys.modules["ipykernel"] = sys.modules["ipykernel.zmqshell"] = types.ModuleType("ipykernel")
sys.modules["IPython"] = types.ModuleType("IPython")
sys.modules["IPython"].get_ipython = lambda: None
sys.modules["ipywidgets"] = None
from softkmeans.callbacks import ProgressBar, Step
bar = ProgressBar(delay=0)
bar.on_fit_begin(7)
bar.on_step(Step(1, 1.0, 1.0, 1.0, 1.0))
bar.on_fit_end(None)
"""


@pytest.mark.process
def test_a_notebook_without_widgets_has_a_bar_of_text_and_no_warning():
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", NOTEBOOK_WITHOUT_WIDGETS], capture_output=True, text=True, check=True
    )
    assert "0/7" in run.stderr
    assert "arning" not in run.stderr


def steps(*means, **settings):
    return [Step(number, 10 * mean, mean, 1.0, 0.5, **settings) for number, mean in enumerate(means, start=1)]


def stopping_pass(callback, history, clock, seconds):
    """Return the number of the pass at which a callback asks to stop, or None."""
    callback.on_fit_begin(100)
    for number, step in enumerate(history, start=1):
        clock.now += seconds
        if callback.on_step(step):
            return number
    return None


PATIENT = {"patience": 2, "min_delta": 0.1}
SAMPLES = [*steps(9.0, 2.0, 2.0, n_rows=10), *steps(3.0, 3.0, n_rows=40)]


@pytest.mark.parametrize(
    ("settings", "history", "stop"),
    [
        (PATIENT, steps(9, 8, 7, 6, 5, 4), None),
        (PATIENT, steps(9, 5, 5, 5), 4),
        (PATIENT, steps(9, 5, 5, 4, 4, 4), 6),  # an improvement resets the count
        (PATIENT, steps(9, 5, 6, 7), 4),  # an increase is no improvement
        (PATIENT, steps(9, 5, 6, 5.5, 4), 4),  # nor is a decrease to an earlier value
        (PATIENT, steps(5, 6, 7), 3),  # already after the first pass
        (PATIENT, steps(9, 5, 4.7, 4.4), None),  # two small improvements: 0.6 of 4 in total
        (PATIENT, steps(9, 5, 4.7, 4.65), 4),  # too small: 0.35 of 4 in total
        (PATIENT, steps(-90, -130, -130.3, -130.3), 4),  # negative losses
        (PATIENT, steps(2, -2, -2.3, -2.35), 4),  # losses that cross 0
        (PATIENT, steps(1009, 1005, 1004.7, 1004.4), None),  # a shift of the loss changes nothing ...
        (PATIENT, steps(9e-9, 5e-9, 4.7e-9, 4.65e-9), 4),  # ... nor its units
        (PATIENT, SAMPLES, None),  # losses of different rows are not compared
        (PATIENT, [*SAMPLES, *steps(3.0, n_rows=40)], 6),
        ({"patience": 1, "min_delta": 0}, steps(9, 8.9, 8.89999, 8.89999), 4),
        ({"patience": 1}, steps(9, 5, 4.9995, 4.9992), 4),
        ({}, steps(9, 5, 5, 5, 5, 5), None),
        ({}, steps(9, 5, 5, 5, 5, 5, 5), 7),
    ],
)
def test_early_stopping_compares_improvements_with_the_total_decrease(settings, history, stop):
    stopping = EarlyStopping(**settings)
    for _ in range(2):  # every fit resets the state
        assert stopping_pass(stopping, history, Clock(), 0) == stop


@CUT_SHORT
def test_early_stopping_ends_each_restart():
    stopping, recorder = EarlyStopping(patience=3, min_delta=1e-3), Recorder()
    model = fitted(stopping, recorder, solver="adam", max_iter=2000, n_init=3, init="random")
    for restart in range(3):
        history = [step for step in recorder.steps if step.restart == restart]
        assert stopping_pass(EarlyStopping(3, 1e-3), history, Clock(), 0) == len(history) < 2000
        decrease = history[0].objective - recorder.results[restart].objective
        best = ref.free_energy(X, ref.em(X, recorder.results[restart].centers.numpy(), 0.3, 300), 0.3)
        assert decrease > 0.9 * (history[0].objective - best)
    assert not model.converged_


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    for module in ("logging", "stopping"):
        monkeypatch.setattr(f"softkmeans.callbacks.{module}.monotonic", clock)
    return clock


@pytest.mark.parametrize(
    ("limit", "seconds", "stop"),
    [(10, 1, 10), (10.5, 1, 11), (0.5, 1, 1), (10, 0, None), (1e9, 1, None), (np.float32(3), 1, 3)],
)
def test_time_limit(limit, seconds, stop, clock):
    callback = TimeLimit(limit)
    for _ in range(2):
        assert stopping_pass(callback, steps(*range(20, 0, -1)), clock, seconds) == stop


@CUT_SHORT
def test_the_time_limit_applies_to_all_restarts_together(clock):
    model = SoftKMeans(3, temperature=0.3, tol=0, max_iter=4, n_init=4, init="random", random_state=0)
    for _ in range(2):  # every fit has its own time
        recorder = Recorder()
        model.set_params(callbacks=[Slow(clock, 1.0), TimeLimit(6), recorder]).fit(X)
        assert [sum(step.restart == r for step in recorder.steps) for r in range(4)] == [4, 2, 1, 1]


BEGIN = "fit begins (at most 100 passes)"


def line(number):
    return f"restart 0, pass {number}: loss {20 - number}.5, temperature 0.5"


@pytest.mark.parametrize(
    ("settings", "logged"),
    [
        ({}, [10]),
        ({"every": 4}, [4, 8, 12]),
        ({"every": 1}, range(1, 13)),
        ({"every": 13}, []),
        ({"seconds": 5}, [5, 10]),
        ({"seconds": 4.5}, [5, 10]),
        ({"seconds": 0.1}, range(1, 13)),
        ({"seconds": 100}, []),
        ({"every": 4, "seconds": 3}, [3, 4, 7, 8, 11, 12]),
    ],
)
@pytest.mark.parametrize(
    ("logger", "name"), [(None, "softkmeans"), ("mine", "mine"), (logging.getLogger("a.b"), "a.b")]
)
def test_the_log_has_the_start_the_end_and_lines_at_intervals(settings, logged, logger, name, clock, caplog):
    callback = LossLogger(**settings, **({} if logger is None else {"logger": logger}))
    with caplog.at_level(logging.INFO, logger=name):
        stopping_pass(callback, steps(*(19.5 - i for i in range(12))), clock, 1.0)
        callback.on_fit_end(SimpleNamespace(n_iter=12, converged=True, objective=85.0))
        callback.on_fit_end(SimpleNamespace(n_iter=12, converged=False, objective=-1 / 3))
        callback.on_fit_end(None)
    ends = [
        "fit ends after 12 passes, converged: objective 85",
        "fit ends after 12 passes, not converged: objective -0.33333333",
        "fit ends without a result",
    ]
    assert caplog.messages == [BEGIN, *map(line, logged), *ends]
    assert {(record.name, record.levelno) for record in caplog.records} == {(name, logging.INFO)}


@CUT_SHORT
def test_the_log_of_a_fit(caplog):
    with caplog.at_level(logging.DEBUG, logger="softkmeans"):
        model = fitted(LossLogger(every=2, level=logging.DEBUG), max_iter=5, n_init=2, init="random")
    assert [message.partition(":")[0] for message in caplog.messages] == [
        *("fit begins (at most 5 passes)", "restart 0, pass 2", "restart 0, pass 4"),
        "fit ends after 5 passes, not converged",
        *("fit begins (at most 5 passes)", "restart 1, pass 2", "restart 1, pass 4"),
        "fit ends after 5 passes, not converged",
    ]
    best = model.history_[0].restart
    assert caplog.messages[4 * best + 3].endswith(f"objective {model.free_energy_:.8g}")
    assert f"loss {model.history_[1].mean:.8g}, temperature 0.3" in caplog.messages[4 * best + 1]


def test_messages_that_are_not_shown_are_not_formatted(caplog):
    class Unformattable:
        def __getattr__(self, name):
            return self

        def __format__(self, spec):
            raise AssertionError

        __str__ = __float__ = __int__ = __format__

    logger = logging.getLogger("softkmeans")
    caplog.set_level(logging.WARNING, logger="softkmeans")
    before = (logger.handlers[:], logger.level, logger.propagate)
    callback, silent = LossLogger(every=1), Unformattable()
    callback.on_fit_begin(silent)
    callback.on_step(Step(1, silent, silent, silent, silent, silent))
    callback.on_fit_end(silent)
    assert caplog.messages == []
    assert (logger.handlers, logger.level, logger.propagate) == before


@pytest.mark.parametrize(
    ("make", "settings", "message"),
    [
        (ProgressBar, {"delay": -1}, "delay=-1: give a finite number of 0 or more"),
        (ProgressBar, {"delay": "soon"}, "delay='soon'"),
        (LossPrinter, {"every": 0}, "every=0: give a whole number of 1 or more"),
        (LossPrinter, {"every": 2.5}, "every=2.5"),
        (LossLogger, {"every": 0}, "every=0"),
        (LossLogger, {"every": True}, "every=True"),
        (LossLogger, {"seconds": 0}, "seconds=0: give a finite number above 0"),
        (LossLogger, {"seconds": float("nan")}, "seconds=nan"),
        (LossLogger, {"logger": print}, "expected a logger of the logging module, or its name"),
        (LossLogger, {"level": "INFO"}, "level='INFO': give a whole number"),
        (EarlyStopping, {"patience": 0}, "patience=0"),
        (EarlyStopping, {"patience": 1.0}, "patience=1.0"),
        (EarlyStopping, {"min_delta": -1e-9}, "min_delta=-1e-09: give a finite number of 0 or more"),
        (EarlyStopping, {"min_delta": float("inf")}, "min_delta=inf"),
        (TimeLimit, {"seconds": 0}, "seconds=0"),
        (TimeLimit, {"seconds": "60"}, "seconds='60'"),
    ],
)
def test_wrong_settings_are_refused_at_once(make, settings, message):
    with pytest.raises(InputError, match=re.escape(message)):
        make(**settings)


COPIES = {
    "clone": lambda callback: clone(SoftKMeans(callbacks=[callback])).callbacks[0],
    "deepcopy": copy.deepcopy,
    "copy": copy.copy,
    "pickle": lambda callback: pickle.loads(pickle.dumps(callback)),  # noqa: S301 -- our own
}
CALLBACKS = {
    "ProgressBar": (lambda: ProgressBar(0.5), ["delay"]),
    "LossPrinter": (lambda: LossPrinter(3), ["every", "write"]),
    "LossLogger": (lambda: LossLogger(3, 2.0, "mine", 5), ["every", "seconds", "logger", "level"]),
    "LossLogger to a logger": (lambda: LossLogger(logger=logging.getLogger("mine")), ["logger"]),
    "EarlyStopping": (lambda: EarlyStopping(3, 0.5), ["patience", "min_delta"]),
    "TimeLimit": (lambda: TimeLimit(1e9), ["seconds"]),
}


@pytest.mark.slow
@CUT_SHORT
@pytest.mark.parametrize("how", COPIES)
@pytest.mark.parametrize("name", CALLBACKS)
@pytest.mark.parametrize("moment", ["new", "in a fit", "after a fit"])
def test_callbacks_are_copied(name, how, moment, capsys):
    make, settings = CALLBACKS[name]
    original, copies = make(), []

    class Copier(Callback):
        def on_step(self, step):
            copies.append(COPIES[how](original))

    if moment == "new":
        copies.append(COPIES[how](original))
    else:
        fitted(original, *([Copier()] if moment == "in a fit" else []), max_iter=5)
        copies.append(COPIES[how](original))
    for copied in copies:
        assert type(copied) is type(original)
        assert copied is not original
        assert [getattr(copied, setting) for setting in settings] == [getattr(original, s) for s in settings]
        fitted(copied, max_iter=5)  # the copy works
    assert not tqdm._instances


def test_callbacks_can_be_used_for_several_fits():
    lines = []
    model = SoftKMeans(3, temperature=0.3, random_state=0, callbacks=[LossPrinter(1000, lines.append)])
    model.fit(X)
    first = [*lines]
    model.fit(X)
    assert lines == first * 2
    assert [int(line.split()[1]) for line in first] == [1, model.n_iter_]


def test_early_stopping_treats_every_temperature_of_a_schedule_separately():
    x, _ = softkmeans.make_blobs(300, 2, 4, random_state=0)
    cooling = Schedule.geometric(60, 1, 20)  # F rises as T falls
    model = SoftKMeans(4, temperature=cooling, callbacks=[EarlyStopping()], random_state=0).fit(x)
    assert len({step.temperature for step in model.history_}) == 20
    assert model.temperature_ == pytest.approx(1)
