"""Plots of clusters and losses, checked by pixels, numpy and a published model of color blindness."""

import builtins
import importlib
import io
from itertools import combinations
from types import SimpleNamespace

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from PIL import Image
from scipy.spatial import Delaunay

from helpers.colors import DEUTERANOPIA, cielab, difference, linear
from softkmeans.errors import InputError, MissingExtraError
from softkmeans.plots import ClusterDisplay, LossDisplay
from softkmeans.plots._colors import PALETTE, contrasts


def axes(**kwargs):
    figure = Figure(**kwargs)
    FigureCanvasAgg(figure)
    return figure.add_subplot()


def soft(X, centers, temperature=1.0):
    logits = -((X[:, None] - centers) ** 2).sum(-1) / temperature
    resp = np.exp(logits - logits.max(axis=1, keepdims=True))
    return resp / resp.sum(axis=1, keepdims=True)


def blobs(d=2, k=3, n=150, seed=0):
    rng = np.random.default_rng(seed)
    centers = rng.uniform(-6, 6, size=(k, d))
    X = centers[np.arange(n) % k] + rng.normal(size=(n, d))
    return X, soft(X, centers), centers


def draw(X, resp, centers, **kwargs):
    return ClusterDisplay.from_predictions(X, resp, centers, ax=axes(), **kwargs)


def pixels(figure, dpi=100):
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi)
    return np.asarray(Image.open(buffer).convert("RGB"))


def pixel_at(display, places):
    """Return the image at the figure's dpi, and the pixel rows and columns of positions in data units."""
    image = pixels(display.figure_, display.figure_.dpi)
    x, y = display.ax_.transData.transform(places).round().astype(int).T
    return image, image.shape[0] - 1 - y, x


def colors_of(resp):
    """Return the colors of the drawn samples, in the order of `resp`."""
    n, k = resp.shape
    X = np.column_stack([np.arange(n), np.arange(n)]).astype(float)
    display = draw(X, resp, np.column_stack([np.arange(k), np.zeros(k)]))
    rows = display.points_.get_offsets()[:, 0].astype(int)
    return display.points_.get_facecolors()[np.argsort(rows), :3]


# --- colors ---------------------------------------------------------------------------------------------------------


def test_certain_samples_have_the_clusters_colors():
    np.testing.assert_allclose(colors_of(np.eye(7)), [to_rgb(c) for c in PALETTE], atol=2e-3)


@pytest.mark.slow
@pytest.mark.parametrize(("a", "b"), list(combinations(range(7), 2)))
def test_a_tied_sample_has_the_middle_color_and_is_paler(a, b):
    tie = np.zeros((3, 7))
    tie[0, a] = tie[1, b] = 1
    tie[2, [a, b]] = 0.5
    first, second, tied = cielab(linear(colors_of(tie)))
    middle = (first + second) / 2
    fade = np.array([94, 0, 0]) - middle  # toward a very light gray
    share = (tied - middle) @ fade / (fade @ fade)
    assert 0.5 < share < 0.7  # clearly paler ...
    assert np.linalg.norm(tied - middle - share * fade) < 0.12 * np.linalg.norm(
        first - second
    )  # ... and halfway between
    assert tied[0] > middle[0] + 5  # in units of L*


def test_samples_are_paler_as_the_margin_shrinks():
    share = np.linspace(1, 0.5, 11)
    colors = cielab(linear(colors_of(np.column_stack([share, 1 - share]))))
    from_paper = np.linalg.norm(colors - [94, 0, 0], axis=1)
    assert (np.diff(from_paper) < 0).all()
    assert from_paper[-1] < 0.4 * from_paper[0]


def test_a_row_that_is_mostly_noise_fades():
    sure, noise = cielab(linear(colors_of(np.array([[1.0, 0], [0.05, 0]]))))
    assert noise[0] > sure[0] + 20
    assert np.hypot(*noise[1:]) < 0.3 * np.hypot(*sure[1:])


def test_contrasts_are_distances_as_the_worst_vision_sees_them():
    """Colors that a color-blind person confuses have little contrast, though others see it."""
    seen = contrasts(np.array([[1.0, 0.0, 0.0], [0.38, 0.33, 0.0], [0.0, 0.0, 1.0]]))
    np.testing.assert_allclose(seen, seen.T)
    assert seen[0, 1] < 0.5 * seen[0, 2]


def test_palette_survives_deuteranopia():
    seen = cielab(linear([to_rgb(c) for c in PALETTE]) @ DEUTERANOPIA.T)
    apart = [np.linalg.norm(seen[i] - seen[j]) for i, j in combinations(range(len(PALETTE)), 2)]
    assert min(apart) > 8  # 2.3 is just noticeable
    naive = cielab(linear([[0.84, 0.15, 0.16], [0.17, 0.63, 0.17]]) @ DEUTERANOPIA.T)  # matplotlib's red and green ...
    assert min(apart[:3]) > np.linalg.norm(
        (naive[0] - naive[1])[1:]
    )  # ... differ less in hue than the first colors of the palette


@pytest.mark.slow
@pytest.mark.parametrize("layout", ["random", "grid", "clumps", "hub"])
def test_neighboring_centers_have_different_colors(layout):
    rng = np.random.default_rng(5)
    angle = np.linspace(0, 2 * np.pi, 49, endpoint=False)
    centers = {
        "random": rng.uniform(size=(50, 2)),
        "grid": np.stack(np.meshgrid(np.arange(10.0), np.arange(5.0)), -1).reshape(-1, 2),
        "clumps": np.repeat(rng.uniform(size=(5, 2)), 10, axis=0) + 0.01 * rng.normal(size=(50, 2)),
        "hub": np.vstack([[[0.0, 0.0]], np.column_stack([np.cos(angle), np.sin(angle)])]),
    }[layout]
    display = draw(centers, np.eye(50), centers)
    points = display.points_.get_offsets()
    rows = [int(np.argmin(np.linalg.norm(points - c, axis=1))) for c in centers]
    colors = display.points_.get_facecolors()[rows, :3].round(3)
    # checked on the given centers, without the noise and scaling that the package applies
    simplices = Delaunay(centers / np.ptp(centers, axis=0)).simplices
    edges = {tuple(sorted(edge)) for simplex in simplices for edge in combinations(simplex.tolist(), 2)}
    lengths = {edge: np.linalg.norm(centers[edge[0]] - centers[edge[1]]) for edge in edges}
    if layout == "grid":  # both diagonals of a square are valid in a triangulation
        edges = {edge for edge in edges if lengths[edge] < 1.1}
    assert len(edges) >= 49
    assert not [edge for edge in edges if (colors[edge[0]] == colors[edge[1]]).all()]
    assert 2 <= len(np.unique(colors, axis=0)) <= 7
    one, other = np.array(sorted(edges)).T
    apart = difference(colors[one], colors[other])
    assert apart.min() > 15
    assert np.median(apart) > 25


@pytest.mark.parametrize("centers", [np.zeros((12, 2)), np.column_stack([np.arange(12.0), np.zeros(12)])])
def test_many_centers_at_one_position_or_on_a_line(centers):
    display = draw(centers, np.eye(12), centers, key=False)
    if centers.any():
        order = np.argsort(display.points_.get_offsets()[:, 0])
        colors = display.points_.get_facecolors()[order]
        assert (np.abs(np.diff(colors, axis=0)).sum(axis=1) > 0.1).all()
    places = display.ax_.transData.transform(display.discs_.get_offsets())
    diameter = np.sqrt(display.discs_.get_sizes()[0]) * display.figure_.dpi / 72
    assert min(np.linalg.norm(a - b) for a, b in combinations(places, 2)) > diameter


def test_own_colors():
    display = draw(*blobs(k=2), colors=["red", "black"])
    assert (np.abs(display.points_.get_facecolors()[:, :3] - to_rgb("red")).sum(axis=1) < 0.01).any()
    with pytest.raises(InputError, match="1 colors for 2 clusters"):
        draw(*blobs(k=2), colors=["red"])


# --- pixels ----------------------------------------------------------------------------------------------------------


def test_png_shows_samples_and_centers():
    X, resp, centers = blobs(k=3, n=90)
    display = draw(X, resp, centers)
    image, rows, columns = pixel_at(display, centers)
    for color in PALETTE[:3]:
        near = np.abs(image / 255 - to_rgb(color)).max(axis=-1) < 0.03
        assert near.sum() > 200
    width = np.sqrt(display.discs_.get_sizes()[0]) * display.figure_.dpi / 72
    for row, column in zip(rows, columns, strict=True):
        y, x = np.ogrid[: image.shape[0], : image.shape[1]]
        disc = image[np.hypot(y - row, x - column) < 0.4 * width]
        assert (disc.min(axis=-1) > 240).mean() > 0.5  # a white disc
        assert (disc.max(axis=-1) < 120).mean() > 0.02  # with a dark number on it


def test_regions_take_the_color_of_their_cluster():
    X, resp, centers = blobs(k=3, n=60)
    display = draw(X, resp, centers, regions=True, predict_proba=lambda grid: soft(grid, centers), key=False)
    display.points_.set_visible(False)
    x0, x1, y0, y1 = display.regions_.get_extent()
    assert (x0 < X[:, 0].min()) & (x1 > X[:, 0].max()) & (y0 < X[:, 1].min()) & (y1 > X[:, 1].max())
    spots = np.random.default_rng(1).uniform([x0, y0], [x1, y1], size=(300, 2))
    certain = soft(spots, centers).max(axis=1) > 0.99
    image, rows, columns = pixel_at(display, spots)
    tint = cielab(linear(image[rows, columns] / 255))[:, 1:]
    hue = cielab(linear([to_rgb(c) for c in PALETTE[:3]]))[:, 1:]
    seen = certain & (np.linalg.norm(tint, axis=1) > 3)  # not covered by a disc
    cosine = tint @ (hue / np.linalg.norm(hue, axis=1, keepdims=True)).T  # up to a factor per position
    assert seen.sum() > 100
    truth = ((spots[:, None] - centers) ** 2).sum(-1).argmin(axis=1)
    np.testing.assert_array_equal(cosine.argmax(axis=1)[seen], truth[seen])


def key_columns(display):
    """Return the colors (101, columns, 3) of the key, from tied to sure."""
    (image,) = display.key_.get_images()
    return np.asarray(image.get_array())


def test_colors_of_the_key_are_those_of_the_samples():
    resp = np.array([[1.0, 0.0, 0.0], [0.6, 0.2, 0.2], [1 / 3, 1 / 3, 1 / 3], [0.2, 0.2, 0.6], [0.0, 0.0, 1.0]])
    X = np.column_stack([np.arange(5.0), np.arange(5.0)])
    display = draw(X, resp, np.array([[0.0, 0], [4, 0], [4, 4]]))
    drawn = display.points_.get_facecolors()[np.argsort(display.points_.get_offsets()[:, 0]), :3]
    key = key_columns(display)
    np.testing.assert_allclose(key[[100, 40, 0], 0], drawn[:3], atol=1e-6)  # memberships of cluster 0: 1, 0.6, 1/3
    np.testing.assert_allclose(key[[100, 40, 0], 2], drawn[[4, 3, 2]], atol=1e-6)
    assert [text.get_text() for text in display.key_.get_yticklabels()] == ["tied", "sure"]
    assert [text.get_text() for text in display.key_.get_xticklabels()] == ["0", "1", "2"]


@pytest.mark.parametrize("k", [2, 7, 10, 60])
def test_the_key_stands_for_all_clusters(k):
    X, resp, centers = blobs(k=k, n=20 * k)
    display = draw(X, np.eye(k)[resp.argmax(1)], centers)
    in_key = {tuple(color) for color in key_columns(display)[-1].round(4).tolist()}
    drawn = {tuple(color) for color in display.points_.get_facecolors()[:, :3].round(4).tolist()}
    assert drawn == in_key
    numbers = [text.get_text() for text in display.key_.get_xticklabels()]
    assert numbers == (list(map(str, range(k))) if k <= 7 else [])
    assert display.key_.get_xlabel() == ("cluster" if k <= 7 else "all clusters")


def test_the_key_of_many_own_colors_stays_small():
    own = plt.get_cmap("viridis")(np.linspace(0, 1, 60))
    X, resp, centers = blobs(k=60, n=240)
    display = ClusterDisplay.from_predictions(X, resp, centers, colors=own)
    display.figure_.canvas.draw()
    assert key_columns(display).shape == (101, 60, 3)
    assert display.key_.get_window_extent().width < 0.5 * display.ax_.get_window_extent().width
    plt.close(display.figure_)


def test_lines_of_the_regions_are_where_the_largest_membership_is_nine_tenths():
    X, resp, centers = blobs(k=3, n=60)
    display = draw(X, resp, centers, regions=True, predict_proba=lambda grid: soft(grid, centers))
    points = np.concatenate([path.vertices for path in display.contours_.get_paths()])
    assert len(points) > 50
    np.testing.assert_allclose(soft(points, centers).max(axis=1), 0.9, atol=1e-2)
    assert [text.get_text() for text in display.ax_.get_legend().get_texts()] == ["largest membership 0.9"]


def test_no_line_where_no_membership_is_that_large():
    X, resp, centers = blobs(k=3, n=60)
    display = draw(X, resp, centers, regions=True, predict_proba=lambda grid: np.full((len(grid), 3), 1 / 3))
    assert display.contours_ is None
    assert display.ax_.get_legend() is None


def test_numbers_do_not_overlap_and_are_near_their_centers():
    X, resp, centers = blobs(k=50, n=500)
    display = draw(X, resp, centers)
    pixels(display.figure_)
    assert [text.get_text() for text in display.numbers_] == [str(i) for i in range(50)]
    boxes = [text.get_window_extent() for text in display.numbers_]
    assert not [pair for pair in combinations(boxes, 2) if pair[0].overlaps(pair[1])]
    np.testing.assert_allclose(display.dots_.get_offsets(), centers)
    there, here = (display.ax_.transData.transform(p) for p in (centers, display.discs_.get_offsets()))
    away = np.linalg.norm(there - here, axis=1)
    assert away.max() < 40


@pytest.mark.slow
def test_a_hundred_thousand_samples_make_a_small_pdf_with_all_of_them():
    X, resp, centers = blobs(k=4, n=100_000)
    display = draw(X, resp, centers)
    buffer = io.BytesIO()
    display.figure_.savefig(buffer, format="pdf")
    assert buffer.tell() < 1_000_000
    offsets = np.asarray(display.points_.get_offsets())
    np.testing.assert_array_equal(np.sort(offsets, axis=0), np.sort(X, axis=0))
    # the drawing order does not depend on certainty
    order = np.lexsort(X.T)[np.argsort(np.lexsort(offsets.T))]
    assert abs(np.corrcoef(np.arange(len(X)), resp.max(axis=1)[order])[0, 1]) < 0.02


def test_drawing_is_deterministic():
    np.testing.assert_array_equal(pixels(draw(*blobs(d=1)).figure_), pixels(draw(*blobs(d=1)).figure_))


# --- projections and labels ------------------------------------------------------------------------------------------


def test_projection_is_the_svd():
    X, resp, centers = blobs(d=5, k=4)
    display = draw(X + 1e6, resp, centers + 1e6)
    _, values, axes_ = np.linalg.svd(X - X.mean(axis=0), full_matrices=False)
    share = 100 * values**2 / np.sum(values**2)
    assert display.ax_.get_xlabel() == f"PC 1 ({share[0]:.0f} % of variance)"
    assert display.ax_.get_ylabel() == f"PC 2 ({share[1]:.0f} % of variance)"
    for drawn, given in [(display.points, X), (display.centers, centers)]:
        np.testing.assert_allclose(np.abs(drawn), np.abs((given - X.mean(axis=0)) @ axes_[:2].T), atol=1e-6)


def test_one_feature_is_spread_over_y():
    X, resp, centers = blobs(d=1)
    display = draw(X, resp, centers, feature_names=["length"])
    np.testing.assert_array_equal(display.points[:, 0], X[:, 0])
    assert np.ptp(display.points[:, 1]) > 1.5
    assert (display.ax_.get_xlabel(), display.ax_.get_ylabel(), len(display.ax_.get_yticks())) == (
        "length",
        "jitter",
        0,
    )
    np.testing.assert_array_equal(display.centers, np.column_stack([centers, np.zeros(3)]))


@pytest.mark.slow
@pytest.mark.parametrize("d", [1, 2, 5])
@pytest.mark.parametrize("k", [1, 2, 9])
def test_any_number_of_features_and_clusters(d, k):
    display = draw(*blobs(d=d, k=k))
    assert len(np.unique(pixels(display.figure_).reshape(-1, 3), axis=0)) > 10
    assert len(display.numbers_) == k
    assert (display.key_ is None) == (k == 1)


def test_scales_are_equal_unless_the_plot_would_be_too_narrow():
    X, resp, centers = blobs()
    assert draw(X, resp, centers).ax_.get_aspect() == 1
    assert draw(X * [1, 100], resp, centers * [1, 100]).ax_.get_aspect() == "auto"


# --- inputs ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "convert",
    [
        lambda a: torch.tensor(a, requires_grad=True),
        lambda a: pd.DataFrame(a, columns=[f"c{i}" for i in range(a.shape[1])]),
        lambda a: pa.table({f"c{i}": column for i, column in enumerate(a.T)}),
        lambda a: a.tolist(),
    ],
    ids=["tensor", "pandas", "pyarrow", "list"],
)
def test_any_container_gives_the_same_picture(convert):
    data = blobs()
    converted, plain = draw(*map(convert, data)), draw(*data)
    np.testing.assert_array_equal(converted.points_.get_offsets(), plain.points_.get_offsets())
    np.testing.assert_array_equal(converted.points_.get_facecolors(), plain.points_.get_facecolors())
    named = hasattr(convert(data[0]), "columns")
    assert converted.ax_.get_xlabel() == ("c0" if named else "feature 0")


def test_half_precision_tensors():
    X, resp, centers = (torch.tensor(a, dtype=torch.bfloat16) for a in blobs())
    resp = torch.nn.functional.one_hot(resp.argmax(1), 3)
    np.testing.assert_array_equal(draw(X, resp, centers).points, X.float().numpy())


@pytest.mark.parametrize("d", [1, 2, 5])
def test_inputs_and_global_state_are_unchanged(d):
    data = blobs(d=d, k=9)
    copies = [a.copy() for a in data]
    for array in data:
        array.flags.writeable = False
    rc, state = dict(mpl.rcParams), np.random.get_state()[1].copy()  # noqa: NPY002
    pixels(draw(*data).figure_)
    LossDisplay([0, 1], [2, 1]).plot(axes())
    for array, copy in zip(data, copies, strict=True):
        np.testing.assert_array_equal(array, copy)
    assert dict(mpl.rcParams) == rc
    np.testing.assert_array_equal(np.random.get_state()[1], state)  # noqa: NPY002
    assert not plt.get_fignums()


def test_a_new_figure_only_without_axes():
    display = ClusterDisplay.from_predictions(*blobs())
    assert plt.get_fignums() == [display.figure_.number]
    plt.close(display.figure_)


def test_restyling():
    ax = axes()
    display = ClusterDisplay.from_predictions(
        *blobs(), ax=ax, s=7, c="red", centers_kw={"s": 99}, numbers_kw={"color": "blue"}, key=False
    )
    assert display.ax_ is ax
    assert display.key_ is None
    assert display.points_.get_sizes().tolist() == [7]
    assert display.points_.get_facecolors().tolist() == [[1, 0, 0, 1]]
    assert display.discs_.get_sizes().tolist() == [99]
    assert display.numbers_[0].get_color() == "blue"


class Estimator:
    """A fitted estimator that requires column names, like those of scikit-learn."""

    def __init__(self, centers, names):
        self.cluster_centers_, self.feature_names_in_ = centers, np.array(names, dtype=object)

    def predict_proba(self, X):
        assert list(X.columns) == list(self.feature_names_in_)
        return soft(X.to_numpy(), self.cluster_centers_)


def test_from_estimator():
    X, resp, centers = blobs()
    frame = pd.DataFrame(X, columns=["length", "width"])
    display = ClusterDisplay.from_estimator(Estimator(centers, frame.columns), frame, ax=axes(), regions=True, s=3)
    assert (display.ax_.get_xlabel(), display.ax_.get_ylabel()) == ("length", "width")
    np.testing.assert_allclose(display.resp, resp)
    assert display.regions_.get_array().shape[-1] == 3
    assert display.points_.get_sizes().tolist() == [3]


X, RESP, CENTERS = blobs()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"X": X[:, 0]}, r"X has shape \(150,\), expected \(n, d\)"),
        ({"X": X[:0]}, r"X has shape \(0, 2\)"),
        ({"X": np.where(X > 5, np.nan, X)}, "X has missing or infinite"),
        ({"X": X.astype(str) + "a"}, "X is not numeric"),
        ({"X": X[:-1]}, r"resp has shape \(150, 3\), expected \(149, 3\)"),
        ({"centers": CENTERS[:, :1]}, "X has 2 features and centers 1"),
        ({"centers": CENTERS[:2]}, r"resp has shape \(150, 3\), expected \(150, 2\)"),
        ({"resp": RESP.T}, r"resp has shape \(3, 150\)"),
        ({"resp": RESP * 2}, "add up to 2, expected probabilities"),
        ({"resp": RESP - 1}, "down to -1"),
        ({"feature_names": ["one"]}, "1 names for 2 features"),
        ({"regions": True}, "2 features and no predict_proba"),
        ({"regions": True, "predict_proba": lambda grid: grid}, r"predict_proba\(grid\) has shape \(160000, 2\)"),
        (
            {"X": X[:, :1], "centers": CENTERS[:, :1], "regions": True, "predict_proba": soft},
            "regions=True with 1",
        ),
        ({"X": np.ones((150, 4)), "centers": np.ones((3, 4))}, "150 equal rows, expected some variance"),
    ],
)
def test_bad_input_is_explained(change, message):
    with pytest.raises(InputError, match=message):
        draw(**({"X": X, "resp": RESP, "centers": CENTERS} | change))


# --- loss ------------------------------------------------------------------------------------------------------------


def test_loss_curve_and_its_last_value():
    losses = 3 + np.exp(-np.arange(30) / 5)
    history = [SimpleNamespace(n_iter=i, mean=loss) for i, loss in enumerate(losses)]
    display = LossDisplay.from_estimator(SimpleNamespace(history_=history), name="free energy", ax=axes(), color="red")
    np.testing.assert_array_equal(display.line_.get_xydata(), np.column_stack([np.arange(30), losses]))
    assert display.last_.get_text() == f"{losses[-1]:.6g}"
    assert display.last_.xy == (29, losses[-1])
    assert (display.ax_.get_xlabel(), display.ax_.get_ylabel()) == ("step", "free energy")
    assert display.ax_.get_yscale() == "linear"
    image, rows, columns = pixel_at(display, [[29, losses[-1]]])
    assert image[rows[0], columns[0]].tolist() == [255, 0, 0]


def test_the_whole_curve_is_shown():
    losses = 3 + np.exp(-np.arange(30) / 5)
    low, high = LossDisplay(range(30), losses).plot(axes()).ax_.get_ylim()
    assert low < losses.min()
    assert high > losses.max()


@pytest.mark.parametrize("losses", [[5.0], [5.0, 5.0], [9.0, 5.0], [np.inf, np.nan, 4.0, 5.0]])
def test_short_and_broken_curves(losses):
    display = LossDisplay(range(len(losses)), losses).plot(axes())
    pixels(display.figure_)
    assert display.last_.get_text() == "5"
    assert np.isfinite(display.line_.get_ydata()).all()


@pytest.mark.parametrize(("steps", "losses"), [([], []), ([1], [np.nan]), ([1, 2], [1.0]), ([[1]], [[1.0]])])
def test_nothing_to_draw_is_explained(steps, losses):
    with pytest.raises(InputError, match="give"):
        LossDisplay(steps, losses)


def test_without_matplotlib_the_extra_is_named(monkeypatch):
    true_import = builtins.__import__

    def no_matplotlib(name, *args, **kwargs):
        if name.startswith("matplotlib"):
            raise ModuleNotFoundError(name)
        return true_import(name, *args, **kwargs)

    spec = importlib.util.find_spec("softkmeans.plots")
    fresh = importlib.util.module_from_spec(spec)  # a new module object, so that the imported module stays unchanged
    monkeypatch.setattr(builtins, "__import__", no_matplotlib)
    with pytest.raises(MissingExtraError, match=r"matplotlib: pip install 'softkmeans\[plot\]'"):
        spec.loader.exec_module(fresh)
