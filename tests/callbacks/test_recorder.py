"""Compare the records of a Recorder with EM written in NumPy, and with the fits it recorded."""

import pickle

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.datasets import load_iris

from helpers import reference as ref
from softkmeans import FuzzyCMeans, SoftKMeans, SoftKMeansLayer, train_layer
from softkmeans.callbacks import Callback, Recorder, Step

X = load_iris().data
START = X[[0, 60, 120]]


def fitted(recorder, **settings):
    defaults = {"n_clusters": 3, "temperature": 0.3, "tol": 1e-6, "random_state": 0, "callbacks": [recorder]}
    return SoftKMeans(**(defaults | settings)).fit(X)


def test_the_passes_of_em_are_those_of_the_textbook():
    recorder = Recorder()
    model = fitted(recorder, init=START, solver="em")
    expected = [ref.em(X, START, 0.3, n) for n in range(model.n_iter_)]
    assert len(expected) > 10
    np.testing.assert_allclose(recorder.centers, expected, rtol=1e-9)
    np.testing.assert_allclose(recorder.temperatures, 0.3)
    losses = [ref.free_energy(X, c, 0.3) / len(X) for c in expected]
    np.testing.assert_allclose(recorder.losses, losses, rtol=1e-9)


@pytest.mark.parametrize("solver", ["em", "lbfgs", "adam"])
def test_losses_match_the_centers_and_the_last_centers_are_the_fitted_ones(solver):
    recorder = Recorder()
    model = fitted(recorder, init=START, solver=solver, tol=1e-9, max_iter=3000)
    np.testing.assert_allclose([ref.free_energy(X, c, 0.3) / 150 for c in recorder.centers], recorder.losses, rtol=1e-6)
    np.testing.assert_allclose(recorder.centers[-1], model.cluster_centers_, atol=1e-3)


def test_of_several_restarts_the_best_is_kept_as_in_the_history():
    recorder = Recorder()
    model = fitted(recorder, n_init=5, init="random", temperature=0.01)
    assert {step.restart for step in recorder.steps} == {model.history_[0].restart}
    assert tuple(step._replace(centers=None) for step in recorder.steps) == model.history_
    assert all(step.centers is None for step in model.history_)


def test_every_fit_starts_a_new_record():
    recorder = Recorder()
    fitted(recorder, n_clusters=2)
    model = fitted(recorder, temperature=2.0)  # its objective may be higher than that of the fit before
    assert recorder.centers.shape == (model.n_iter_, 3, 4)
    assert (recorder.temperatures == 2.0).all()


def test_the_training_of_a_layer_is_recorded():
    recorder, layer = Recorder(), SoftKMeansLayer(3, 4, temperature=0.3)
    with torch.no_grad():
        layer.centroids.copy_(torch.tensor(START))
    result = train_layer(layer, torch.tensor(X), max_iter=2000, callbacks=[recorder])
    assert recorder.centers.shape == (result.n_iter, 3, 4)
    np.testing.assert_allclose(recorder.centers[0], START, rtol=1e-6)
    np.testing.assert_allclose(recorder.centers[-1], layer.centroids.detach().numpy(), atol=1e-2)
    assert (np.diff(recorder.losses)[:5] < 0).all()


def test_fuzzy_memberships_have_centers_and_no_temperature():
    recorder = Recorder()
    model = FuzzyCMeans(3, random_state=0, callbacks=[recorder]).fit(X)
    assert len(recorder.centers) == model.n_iter_
    assert np.isnan(recorder.temperatures).all()


@pytest.mark.filterwarnings("ignore:.*centers coincide")
@pytest.mark.parametrize("distance", ["sqeuclidean", "cosine"])
def test_changing_the_centers_of_a_step_does_not_change_the_fit(distance):
    class Overwrite(Callback):
        def on_step(self, step):
            step.centers.fill_(7.0)

    plain, overwritten = (fitted(callback, distance=distance) for callback in (Recorder(), Overwrite()))
    np.testing.assert_array_equal(plain.cluster_centers_, overwritten.cluster_centers_)


def test_a_failed_fit_is_recorded_up_to_the_failure():
    class Late(Callback):
        def on_step(self, step):
            if step.n_iter == 4:
                raise TimeoutError("enough")

    recorder = Recorder()
    with pytest.raises(TimeoutError):
        SoftKMeans(3, temperature=0.3, tol=0, random_state=0, callbacks=[recorder, Late()]).fit(X)
    assert len(recorder.steps) == 4


def test_a_new_recorder_is_empty():
    recorder = Recorder()
    assert (recorder.steps, len(recorder.centers), len(recorder.losses)) == ([], 0, 0)


def test_clone_and_pickle():
    recorder = Recorder()
    model = fitted(recorder)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(recorder)).centers, recorder.centers)  # noqa: S301
    assert len(clone(model).callbacks[0].steps) == model.n_iter_


def test_the_centers_of_a_step_are_last_and_optional():
    assert Step._fields[-1] == "centers"
    assert Step(1, 1.0, 1.0, 1.0, 1.0).centers is None
