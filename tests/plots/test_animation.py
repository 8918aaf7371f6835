"""Animations of a training, read back from their files."""

import re

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from matplotlib.colors import to_rgb
from PIL import Image

from softkmeans import FuzzyCMeans, SoftKMeans, SoftKMeansLayer, train_layer
from softkmeans.callbacks import Recorder
from softkmeans.errors import InputError
from softkmeans.plots import animate_training
from softkmeans.plots._colors import PALETTE
from softkmeans.plots.animation import _TrainingFigure, choose_frames

CENTERS = np.array([[0.0, 0], [8, 0], [0, 8]])
X = np.random.default_rng(0).normal(size=(90, 2)) + CENTERS[np.arange(90) % 3]
START = CENTERS + np.array([[3.0, 1.0], [-1.0, 3.0], [2.0, -3.0]])


@pytest.fixture(scope="module")
def recorder():
    recorded = Recorder()
    SoftKMeans(3, temperature=2.0, init=START, solver="em", tol=0, max_iter=12, callbacks=[recorded]).fit(X)
    return recorded


def frames(path):
    with Image.open(path) as animation:
        images, pauses = [], []
        for number in range(animation.n_frames):
            animation.seek(number)
            images.append(np.asarray(animation.convert("RGB")).astype(int))
            pauses.append(animation.info["duration"])
    return images, pauses


@pytest.mark.slow
def test_the_animation_has_the_chosen_frames_and_pauses_on_the_last(recorder, tmp_path):
    animate_training(recorder, X, tmp_path / "training.gif", fps=4, max_frames=5)
    images, pauses = frames(tmp_path / "training.gif")
    chosen = choose_frames(recorder.centers, 5)
    assert 2 <= len(chosen) <= len(images) <= len(chosen) + 6  # equal frames may be merged
    assert sum(pauses) == 250 * (len(chosen) + 6)
    assert np.abs(images[0] - images[-1]).max() > 100
    assert [path.name for path in tmp_path.iterdir()] == ["training.gif"]
    assert not plt.get_fignums()


def test_colors_title_and_trails_belong_to_the_pass(recorder):
    animated = _TrainingFigure(recorder, X, "sqeuclidean", None, None)
    last = len(recorder.steps) - 1
    animated.show(last)
    np.testing.assert_allclose([line[-1] for line in animated.trails.get_segments()], recorder.centers[-1])
    np.testing.assert_allclose([line[0] for line in animated.trails.get_segments()], START)
    rows = [int(np.argmin(np.abs(X - place).sum(1))) for place in animated.points.get_offsets()]
    sure = animated.points.get_facecolors()[[rows.index(i) for i in range(3)], :3]
    np.testing.assert_allclose(sure, [to_rgb(c) for c in PALETTE[:3]], atol=0.05)
    title = animated.ax.get_title(loc="left")
    number, of, loss = re.fullmatch(r"pass (\d+) of (\d+) +loss (\S+) +T 2", title).groups()
    assert (int(number), int(of)) == (last + 1, last + 1)
    assert float(loss) == pytest.approx(recorder.losses[-1], rel=1e-3)
    animated.show(0)
    assert [len(line) for line in animated.trails.get_segments()] == [1, 1, 1]
    assert len(animated.ax.texts) == 3  # the numbers of the previous pass are removed
    low, high = np.array([animated.ax.get_xlim(), animated.ax.get_ylim()]).T
    assert ((np.vstack([X, START]) > low) & (np.vstack([X, START]) < high)).all()
    plt.close(animated.figure)


@pytest.mark.slow
def test_training_of_a_layer_with_more_features(tmp_path):
    rows = torch.tensor(np.column_stack([X, X[:, :1] ** 2]), dtype=torch.float32)
    recorded, layer = Recorder(), SoftKMeansLayer(3, 3, temperature=2.0)
    train_layer(layer, rows, solver="em", tol=1e-2, random_state=0, init="k-means++", callbacks=[recorded])
    animate_training(recorded, rows, tmp_path / "training.GIF", fps=1, max_frames=2, feature_names=["a", "b", "c"])
    assert len(frames(tmp_path / "training.GIF")[0]) >= 2


def test_frames_follow_movement_and_number_of_passes():
    path = np.concatenate([np.linspace(0, 10, 11), np.full(90, 10.0)])[:, None, None]
    chosen = choose_frames(path, 21)
    assert (chosen[0], chosen[-1]) == (0, 100)
    assert 9 <= (chosen <= 10).sum() <= 12  # half of them in the tenth of the passes with all the movement
    assert 18 <= len(chosen) <= 21
    assert choose_frames(path, 200).tolist() == list(range(101))
    assert choose_frames(np.zeros((9, 1, 1)), 3).tolist() == [0, 4, 8]


def test_a_failed_animation_leaves_no_file_and_no_figure(recorder, tmp_path):
    with pytest.raises(InputError, match="distance"):
        animate_training(recorder, X, tmp_path / "training.gif", distance="none such")
    assert not list(tmp_path.iterdir())
    assert not plt.get_fignums()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"path": "training.mp4"}, "give a name that ends with .gif"),
        ({"path": "nowhere/training.gif"}, "there is no folder"),
        ({"recorder": Recorder()}, "recorder has no recorded passes"),
        ({"X": X[:, :1]}, "X has 1 features and the centers 2"),
        ({"fps": 0}, "fps=0"),
        ({"max_frames": 0}, "max_frames=0"),
        ({"colors": ["red"]}, "1 colors for 3 clusters"),
        ({"feature_names": ["a"]}, "1 names for 2 features"),
    ],
)
def test_bad_input_is_explained(change, message, recorder, tmp_path):
    given = {"recorder": recorder, "X": X, "path": "training.gif"} | change
    given["path"] = tmp_path / given["path"]
    with pytest.raises(InputError, match=message):
        animate_training(**given)
    assert not list(tmp_path.iterdir())
    assert not plt.get_fignums()


def test_fuzzy_c_means_has_no_temperature_to_animate(tmp_path):
    recorded = Recorder()
    FuzzyCMeans(2, random_state=0, callbacks=[recorded]).fit(X)
    with pytest.raises(InputError, match="without a temperature"):
        animate_training(recorded, X, tmp_path / "training.gif")
