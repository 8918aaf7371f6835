"""A film of a training, read back from its file."""

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
from softkmeans.plots.animation import _Film, chosen_frames

CENTERS = np.array([[0.0, 0], [8, 0], [0, 8]])
X = np.random.default_rng(0).normal(size=(90, 2)) + CENTERS[np.arange(90) % 3]
START = CENTERS + np.array([[3.0, 1.0], [-1.0, 3.0], [2.0, -3.0]])


@pytest.fixture(scope="module")
def recorder():
    watcher = Recorder()
    SoftKMeans(3, temperature=2.0, init=START, solver="em", tol=0, max_iter=12, callbacks=[watcher]).fit(X)
    return watcher


def frames(path):
    with Image.open(path) as film:
        found, pauses = [], []
        for number in range(film.n_frames):
            film.seek(number)
            found.append(np.asarray(film.convert("RGB")).astype(int))
            pauses.append(film.info["duration"])
    return found, pauses


def test_the_film_has_a_frame_for_each_pass_and_rests_on_the_last(recorder, tmp_path):
    animate_training(recorder, X, tmp_path / "film.gif", fps=4, max_frames=5)
    found, pauses = frames(tmp_path / "film.gif")
    chosen = chosen_frames(recorder.centers, 5)
    assert 2 <= len(chosen) <= len(found) <= len(chosen) + 6  # alike ones may be put together
    assert sum(pauses) == 250 * (len(chosen) + 6)
    assert np.abs(found[0] - found[-1]).max() > 100
    assert [path.name for path in tmp_path.iterdir()] == ["film.gif"]
    assert not plt.get_fignums()


def test_colors_title_and_trails_are_of_their_pass(recorder):
    film = _Film(recorder, X, "sqeuclidean", None, None)
    last = len(recorder.steps) - 1
    film.show(last)
    np.testing.assert_allclose([line[-1] for line in film.trails.get_segments()], recorder.centers[-1])
    np.testing.assert_allclose([line[0] for line in film.trails.get_segments()], START)
    rows = [int(np.argmin(np.abs(X - place).sum(1))) for place in film.points.get_offsets()]
    sure = film.points.get_facecolors()[[rows.index(i) for i in range(3)], :3]
    np.testing.assert_allclose(sure, [to_rgb(c) for c in PALETTE[:3]], atol=0.05)
    title = film.ax.get_title(loc="left")
    number, of, loss = re.fullmatch(r"pass (\d+) of (\d+) +loss (\S+) +T 2", title).groups()
    assert (int(number), int(of)) == (last + 1, last + 1)
    assert float(loss) == pytest.approx(recorder.losses[-1], rel=1e-3)
    film.show(0)
    assert [len(line) for line in film.trails.get_segments()] == [1, 1, 1]
    assert len(film.ax.texts) == 3  # the numbers of the pass before are gone
    low, high = np.array([film.ax.get_xlim(), film.ax.get_ylim()]).T
    assert ((np.vstack([X, START]) > low) & (np.vstack([X, START]) < high)).all()
    plt.close(film.figure)


def test_a_layers_training_in_more_features(tmp_path):
    rows = torch.tensor(np.column_stack([X, X[:, :1] ** 2]), dtype=torch.float32)
    watcher, layer = Recorder(), SoftKMeansLayer(3, 3, temperature=2.0)
    train_layer(layer, rows, solver="em", tol=1e-2, random_state=0, init="k-means++", callbacks=[watcher])
    animate_training(watcher, rows, tmp_path / "film.GIF", fps=1, max_frames=2, feature_names=["a", "b", "c"])
    assert len(frames(tmp_path / "film.GIF")[0]) >= 2


def test_frames_follow_the_centers_way_and_the_time():
    way = np.concatenate([np.linspace(0, 10, 11), np.full(90, 10.0)])[:, None, None]
    chosen = chosen_frames(way, 21)
    assert (chosen[0], chosen[-1]) == (0, 100)
    assert 9 <= (chosen <= 10).sum() <= 12  # half of them in a tenth of the time, where all the way was made
    assert 18 <= len(chosen) <= 21
    assert chosen_frames(way, 200).tolist() == list(range(101))
    assert chosen_frames(np.zeros((9, 1, 1)), 3).tolist() == [0, 4, 8]


def test_a_film_that_fails_leaves_nothing_behind(recorder, tmp_path):
    with pytest.raises(InputError, match="distance"):
        animate_training(recorder, X, tmp_path / "film.gif", distance="none such")
    assert not list(tmp_path.iterdir())
    assert not plt.get_fignums()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"path": "film.mp4"}, "let it end with .gif"),
        ({"path": "nowhere/film.gif"}, "there is no folder"),
        ({"recorder": Recorder()}, "heard of no pass"),
        ({"X": X[:, :1]}, "X has 1 features and the centers 2"),
        ({"fps": 0}, "fps=0"),
        ({"max_frames": 0}, "max_frames=0"),
        ({"colors": ["red"]}, "1 colors for 3 clusters"),
        ({"feature_names": ["a"]}, "1 names for 2 features"),
    ],
)
def test_bad_input_is_explained(change, message, recorder, tmp_path):
    given = {"recorder": recorder, "X": X, "path": "film.gif"} | change
    given["path"] = tmp_path / given["path"]
    with pytest.raises(InputError, match=message):
        animate_training(**given)
    assert not list(tmp_path.iterdir())
    assert not plt.get_fignums()


def test_fuzzy_memberships_are_no_softmax(tmp_path):
    watcher = Recorder()
    FuzzyCMeans(2, random_state=0, callbacks=[watcher]).fit(X)
    with pytest.raises(InputError, match="without a temperature"):
        animate_training(watcher, X, tmp_path / "film.gif")
