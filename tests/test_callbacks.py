"""What watches a fit sees every pass, can end it, and leaves the best centres behind however it ends."""

import io
import re
from contextlib import redirect_stderr, redirect_stdout

import numpy as np
import pytest
import torch
from sklearn.datasets import load_iris
from sklearn.utils.validation import check_is_fitted

import reference as ref
from softkmeans import Callback, FitInterrupted, LossPrinter, ProgressBar, SoftKMeans, Step

X = load_iris().data
CUT_SHORT = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


class Recorder(Callback):
    """Keeps all it hears, and answers True or raises at the pass it is told to."""

    def __init__(self, stop_at=None, interrupt_at=None, restart=0):
        self.stop_at, self.interrupt_at, self.restart = stop_at, interrupt_at, restart
        self.begun, self.steps, self.results = [], [], []

    def on_fit_begin(self, max_iter):
        self.begun.append(max_iter)

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
def test_the_loss_is_printed_at_the_first_pass_the_last_and_at_intervals(max_iter, every, printed):
    lines = []
    recorder = Recorder()
    fitted(LossPrinter(every, lines.append), recorder, max_iter=max_iter, solver="adam")
    found = [re.fullmatch(r"step +(\d+) +loss (-?\d+\.\d+)", line).groups() for line in lines]
    assert [int(number) for number, _ in found] == printed
    mean = {step.n_iter: step.mean for step in recorder.steps}
    assert [float(loss) for _, loss in found] == pytest.approx([mean[n] for n in printed], abs=1e-6)


@CUT_SHORT
def test_restarts_are_numbered_and_each_has_its_first_and_last_pass_printed():
    lines, recorder = [], Recorder()
    model = fitted(LossPrinter(4, lines.append), recorder, n_init=3, max_iter=6, init="random")
    assert [(s.restart, s.n_iter) for s in recorder.steps] == [(r, n) for r in range(3) for n in range(1, 7)]
    assert recorder.begun == [6, 6, 6]
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
    assert tuple(steps) == model.history_
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
def test_a_true_answer_ends_the_fit_with_the_best_centres(answer):
    class Stopper(Callback):
        def on_step(self, step):
            return answer if step.n_iter == 4 else None

    start, after = X[[0, 60, 120]], Recorder()
    model = fitted(Stopper(), after, init=start)
    assert (model.n_iter_, model.converged_, len(after.steps)) == (4, False, 4)  # those that come later hear of it, too
    np.testing.assert_allclose(model.cluster_centers_, ref.em(X, start, 0.3, 3), rtol=1e-9)


@CUT_SHORT
def test_a_stop_ends_its_restart_only():
    recorder = Recorder(stop_at=2, restart=1)
    fitted(recorder, n_init=3, max_iter=5, init="random")
    assert [sum(step.restart == r for step in recorder.steps) for r in range(3)] == [5, 2, 5]


FIGURES = ["labels_", "inertia_", "free_energy_", "distortion_", "entropy_", "cluster_weights_", "history_"]


@pytest.mark.parametrize("at", [1, 4])
@pytest.mark.parametrize("solver", ["em", "adam", "lbfgs"])
def test_ctrl_c_keeps_the_best_centres_so_far(solver, at):
    start, recorder = X[[0, 60, 120]], Recorder(interrupt_at=at)
    model = SoftKMeans(3, temperature=0.3, solver=solver, init=start, tol=0, callbacks=[recorder])
    with pytest.raises(FitInterrupted, match="best centres so far") as caught:
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
    assert len(recorder.results) == 1  # on_fit_end comes all the same


@CUT_SHORT
@pytest.mark.parametrize("at", [1, 3])
def test_ctrl_c_in_a_later_restart_keeps_the_best_of_all(at):
    """Restart 0 runs to its end, restart 1 is cut off at a pass."""
    model = SoftKMeans(3, temperature=0.3, init="random", n_init=5, max_iter=30, random_state=0, tol=0)
    recorder = Recorder(interrupt_at=at, restart=1)
    with pytest.raises(FitInterrupted):
        model.set_params(callbacks=[recorder]).fit(X)
    assert {step.restart for step in recorder.steps} == {0, 1}
    best = min(step.objective for step in recorder.steps)
    assert model.free_energy_ <= best + 1e-9


@CUT_SHORT
def test_ctrl_c_before_the_first_pass_of_a_later_restart_keeps_the_first_restart():
    class BetweenRestarts(Recorder):
        def on_fit_begin(self, max_iter):
            super().on_fit_begin(max_iter)
            if len(self.begun) == 2:
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


def test_an_error_in_a_callback_comes_through_and_leaves_no_half_fitted_model():
    class Broken(Callback):
        def on_step(self, step):
            raise ZeroDivisionError("mine")

    model = SoftKMeans(3, random_state=0, callbacks=[Broken()])
    with pytest.raises(ZeroDivisionError, match="mine"):
        model.fit(X)
    assert not hasattr(model, "cluster_centers_")


@CUT_SHORT
@pytest.mark.parametrize(("verbose", "printed"), [(0, []), (1, []), (2, [1, 10, 20, 23]), (3, [1, 10, 20, 23])])
def test_verbose(verbose, printed, capsys):
    fitted(verbose=verbose, solver="adam")
    out, err = capsys.readouterr()
    assert [int(line.split()[1]) for line in out.splitlines()] == printed
    assert err == ""  # a short fit shows no bar


class Slow(Callback):
    """Makes each pass last as long as the bar's clock says."""

    def __init__(self, clock, seconds):
        self.clock, self.seconds = clock, seconds

    def on_step(self, step):
        self.clock.now += self.seconds


class Clock:
    now = 1e6

    def __call__(self):
        return self.now


@pytest.mark.parametrize(("delay", "seconds", "shown"), [(1.0, 0.01, False), (1.0, 0.3, True), (0.0, 0.3, True)])
@CUT_SHORT
def test_the_bar_shows_only_after_its_delay_and_is_cleared_at_the_end(delay, seconds, shown, monkeypatch):
    clock = Clock()
    monkeypatch.setattr("tqdm.std.time", clock)
    with redirect_stderr(io.StringIO()) as err, redirect_stdout(io.StringIO()) as out:
        fitted(Slow(clock, seconds), ProgressBar(delay), max_iter=20)
    text = err.getvalue()
    assert out.getvalue() == ""
    assert ("soft k-means" in text) == shown
    if shown:
        assert "/20" in text
        assert "objective=" in text
        assert text.split("\r")[-2].strip() == ""  # the line is wiped, not left behind
        assert "\n" not in text


def test_the_bar_is_closed_by_ctrl_c(monkeypatch):
    clock = Clock()
    monkeypatch.setattr("tqdm.std.time", clock)
    bar = ProgressBar(0.0)
    with redirect_stderr(io.StringIO()) as err, pytest.raises(FitInterrupted):
        fitted(Slow(clock, 1.0), bar, Recorder(interrupt_at=3))
    assert bar._bar.disable  # tqdm's word for closed
    assert err.getvalue().split("\r")[-2].strip() == ""


def test_one_set_of_callbacks_serves_several_fits():
    lines = []
    model = SoftKMeans(3, temperature=0.3, random_state=0, callbacks=[LossPrinter(1000, lines.append)])
    model.fit(X)
    first = [*lines]
    model.fit(X)
    assert lines == first * 2
    assert [int(line.split()[1]) for line in first] == [1, model.n_iter_]
