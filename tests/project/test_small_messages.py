"""Messages for small mistakes name the row, the parameter and the remedy; there are none if nothing is wrong."""

import itertools
import subprocess
import sys
import warnings

import matplotlib as mpl
import numpy as np
import pytest

from softkmeans import FuzzyCMeans, InputError, LossPrinter, SoftKMeans, fit, plots, save

mpl.use("Agg")
X = np.random.default_rng(0).normal(size=(60, 2))


@pytest.mark.parametrize("row", [0, 17, 59])
def test_a_row_without_direction_is_named(row):
    zeros = X.copy()
    zeros[row] = 0
    with pytest.raises(InputError, match=rf"row {row} is all zeros \(counted from 0\), but the cosine distance"):
        SoftKMeans(2, distance="cosine").fit(zeros)
    model = SoftKMeans(2, distance="cosine", random_state=0).fit(X)
    with pytest.raises(InputError, match=rf"row {row} is all zeros"):
        model.predict_proba(zeros)


@pytest.mark.parametrize("callbacks", [LossPrinter(), "loss-printer", 3])
def test_callbacks_that_are_no_list_are_refused(callbacks):
    for estimator in (SoftKMeans(2, callbacks=callbacks), FuzzyCMeans(2, callbacks=callbacks)):
        with pytest.raises(InputError, match=r"callbacks is of type .*, expected a list: give a list of callbacks"):
            estimator.fit(X)
    with pytest.raises(InputError, match="callbacks is of type"):
        fit(X, 2, callbacks=callbacks)


@pytest.mark.parametrize("callbacks", [[], (), None])
def test_no_callbacks_are_the_default(tmp_path, callbacks):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        save(SoftKMeans(2, callbacks=callbacks, random_state=0).fit(X), tmp_path / "model.safetensors")


@pytest.mark.parametrize("name", ["model.pkl", "model.PICKLE", "model.joblib", "model.pt", "model.onnx", "model.json"])
def test_a_file_name_of_another_format_is_refused(tmp_path, name):
    model = SoftKMeans(2, random_state=0).fit(X)
    with pytest.raises(InputError, match=r"but the file would hold safetensors: use \.safetensors"):
        save(model, tmp_path / name)
    assert list(tmp_path.iterdir()) == []
    save(model, tmp_path / "model.v2.safetensors")
    save(model, tmp_path / "model")


@pytest.mark.process
def test_everything_can_be_imported_without_matplotlib():
    code = """
import sys
sys.modules["matplotlib"] = None
from softkmeans import *
SoftKMeans, SoftKMeansLayer, make_blobs, select_n_clusters
import softkmeans
assert "plots" in dir(softkmeans)
try:
    softkmeans.ClusterDisplay
except ImportError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "matplotlib" in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("n_clusters", [3, 30, 60])
def test_labels_of_many_clusters_do_not_overlap(n_clusters):
    x = np.random.default_rng(0).normal(size=(3 * n_clusters, 2))
    model = SoftKMeans(n_clusters, random_state=0).fit(x)
    figure = plots.SilhouetteDisplay.from_estimator(model, x).figure_
    figure.canvas.draw()
    (axes, *_) = figure.axes
    boxes = [text.get_window_extent() for text in axes.get_yticklabels()]
    assert 3 <= len(boxes) <= n_clusters
    assert not any(one.overlaps(other) for one, other in itertools.pairwise(boxes))
    mpl.pyplot.close(figure)
