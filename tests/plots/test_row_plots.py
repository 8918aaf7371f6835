"""Plots of each row's memberships, compared with numpy and scikit-learn, and checked by their pixels."""

import io
from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from PIL import Image
from sklearn.metrics import silhouette_samples

from softkmeans import SoftKMeans
from softkmeans.errors import InputError
from softkmeans.plots import MembershipDisplay, ReliabilityDisplay, SilhouetteDisplay, UncertaintyDisplay
from softkmeans.plots._colors import PALETTE

RNG = np.random.default_rng(0)
CENTERS = np.array([[0.0, 0], [6, 0], [0, 6]])
X = RNG.normal(size=(60, 2)) + CENTERS[np.arange(60) % 3]


def soft(rows, centers=CENTERS, temperature=4.0):
    logits = -((rows[:, None] - centers) ** 2).sum(-1) / temperature
    return np.exp(logits) / np.exp(logits).sum(1, keepdims=True)


RESP = soft(X)


def axes(**kwargs):
    made = Figure(layout="constrained", **kwargs)
    FigureCanvasAgg(made)
    return made.add_subplot()


def model(**kwargs):
    return SimpleNamespace(predict_proba=soft, cluster_centers_=CENTERS, **kwargs)


def pixel(display, x, y):
    buffer = io.BytesIO()
    display.figure_.savefig(buffer, format="png", dpi=display.figure_.dpi)
    image = np.asarray(Image.open(buffer).convert("RGB"))
    column, row = display.ax_.transData.transform((x, y)).round().astype(int)
    return image[image.shape[0] - 1 - row, column] / 255


# --- memberships ------------------------------------------------------------------------------------------------------


def test_rows_are_sorted_by_cluster_and_then_by_certainty():
    display = MembershipDisplay.from_predictions(RESP, ax=axes())
    drawn = np.asarray(display.image_.get_array())
    np.testing.assert_array_equal(drawn, RESP[display.order_])
    assert sorted(display.order_) == list(range(60))
    labels, largest = drawn.argmax(1), drawn.max(1)
    assert (np.diff(labels) >= 0).all()
    assert all((np.diff(largest[labels == i]) <= 0).all() for i in range(3))


def test_separators_lie_between_clusters_and_numbers_in_their_middle():
    resp = np.array([[0.9, 0.1, 0], [0, 0, 1], [0.8, 0.2, 0], [0.1, 0, 0.9], [1, 0, 0]])  # cluster 1 is empty
    display = MembershipDisplay.from_predictions(resp, ax=axes())
    assert [segment[0][1] for segment in display.separators_.get_segments()] == [3]
    numbers = {text.get_text(): tick for tick, text in zip(display.ax_.get_yticks(), display.ax_.get_yticklabels())}  # noqa: B905
    assert numbers == {"0": 1.5, "2": 4.0}
    assert [text.get_text() for text in display.ax_.get_xticklabels()] == ["0", "1", "2"]


def test_many_rows_are_averaged_and_the_label_shows_it():
    resp = np.tile(RESP, (100, 1))
    display = MembershipDisplay.from_predictions(resp, ax=axes(figsize=(4, 3)))
    drawn = np.asarray(display.image_.get_array())
    assert 100 < len(drawn) < 300
    ordered = resp[display.order_]
    np.testing.assert_allclose(drawn[0], ordered[: round(6000 / len(drawn))].mean(0), atol=0.02)
    np.testing.assert_allclose(drawn.mean(0), ordered.mean(0), atol=0.005)
    assert f"6000 rows, each line a mean of {6000 / len(drawn):.2g}" in display.ax_.get_ylabel()
    assert display.image_.get_extent() == [-0.5, 2.5, 6000, 0]
    assert "mean" not in MembershipDisplay.from_predictions(RESP, ax=axes()).ax_.get_ylabel()


def test_darker_is_more():
    display = MembershipDisplay.from_predictions([[1.0, 0.0], [0.5, 0.5], [0.1, 0.9]], ax=axes())
    shades = [pixel(display, x, y).mean() for x, y in [(0, 0.5), (0, 1.6), (0, 2.5), (1, 0.5)]]
    assert shades == sorted(shades)
    assert shades[0] < 0.4
    assert shades[-1] > 0.98


def test_memberships_from_an_estimator_of_tensors():
    display = MembershipDisplay.from_estimator(SimpleNamespace(predict_proba=lambda x: torch.tensor(soft(x))), X)
    np.testing.assert_allclose(display.resp, RESP)
    plt.close(display.figure_)
    assert not plt.get_fignums()
    assert MembershipDisplay.from_predictions(RESP[:, :1] * 0 + 1, ax=axes(), key=False).key_ is None


@pytest.mark.parametrize(
    ("resp", "message"), [(RESP * 3, "expected probabilities"), (RESP[0], "has shape"), ("no", "not numeric")]
)
def test_invalid_memberships_are_explained(resp, message):
    with pytest.raises(InputError, match=message):
        MembershipDisplay.from_predictions(resp)
    with pytest.raises(InputError, match="without predict_proba, expected a fitted"):
        MembershipDisplay.from_estimator(SimpleNamespace(), X)


# --- silhouettes ------------------------------------------------------------------------------------------------------


def widths_of(display, cluster):
    return np.array([path.vertices[:, 0].max() for path in display.bars_[cluster].get_paths()])


def test_bars_are_silhouettes_in_decreasing_order_per_cluster():
    labels = RESP.argmax(1)
    display = SilhouetteDisplay.from_predictions(X, np.eye(3)[labels], variant="exact", ax=axes())
    expected = silhouette_samples(X, labels)
    for i in range(3):
        np.testing.assert_allclose(widths_of(display, i), np.sort(expected[labels == i])[::-1], atol=1e-12)
    assert display.score == pytest.approx(expected.mean())
    assert display.score_.get_xdata() == [display.score] * 2
    assert display.score_.get_linestyle() == "--"
    assert display.ax_.get_legend().get_texts()[0].get_text() == f"fuzzy silhouette {expected.mean():.3f}"


def test_shades_are_the_margin_of_the_largest_membership():
    memberships = np.array([[1.0, 0.0], [0.75, 0.25], [0.5, 0.5], [0.2, 0.8], [0.25, 0.0]])
    display = SilhouetteDisplay.from_predictions([[0.0], [1.0], [2.0], [9.0], [0.5]], memberships, ax=axes())
    np.testing.assert_allclose(display.certainty, [1, 0.5, 0, 0.6, 1])  # relative to the sum of memberships
    bars = display.bars_[0].get_facecolors()[:, :3]
    margin = display.certainty[display.labels == 0][np.argsort(-display.widths[display.labels == 0], kind="stable")]
    paleness = bars.mean(1)
    assert np.corrcoef(paleness, margin)[0, 1] < -0.95
    np.testing.assert_allclose(bars[margin == 1], [to_rgb(PALETTE[0])] * 2, atol=2e-3)


def test_clusters_are_separate_from_top_to_bottom_and_numbered():
    display = SilhouetteDisplay.from_predictions(X, RESP, ax=axes())
    spans = [
        (y.min(), y.max()) for y in (np.array([p.vertices[:, 1] for p in bar.get_paths()]) for bar in display.bars_)
    ]
    assert all(one[1] < other[0] for one, other in zip(spans, spans[1:]))  # noqa: B905, RUF007
    bottom, top = display.ax_.get_ylim()
    assert bottom > top
    np.testing.assert_allclose(display.ax_.get_yticks(), np.mean(spans, axis=1))


def test_a_cluster_without_rows_and_negative_widths():
    rows = np.array([[0.0], [1.0], [8.0], [9.0]])
    memberships = np.array([[1, 0, 0], [0, 0, 1], [1, 0, 0], [0, 0, 1.0]])
    display = SilhouetteDisplay.from_predictions(rows, memberships, [[0.0], [4.0], [9.0]], ax=axes())
    assert display.bars_[1] is None
    assert display.widths.min() < -0.5
    assert display.ax_.get_xlim()[0] < display.widths.min()
    assert [text.get_text() for text in display.ax_.get_yticklabels()] == ["0", "1", "2"]


def test_many_rows_are_averaged_to_lines():
    display = SilhouetteDisplay.from_predictions(np.tile(X, (100, 1)), np.tile(RESP, (100, 1)), ax=axes(figsize=(4, 3)))
    assert 100 < sum(len(bar.get_paths()) for bar in display.bars_) < 300
    assert "6000 rows, each line a mean of" in display.ax_.get_ylabel()
    plain = SilhouetteDisplay.from_predictions(X, RESP, ax=axes())
    assert widths_of(display, 0).mean() == pytest.approx(widths_of(plain, 0).mean(), abs=0.02)


def test_silhouette_of_an_estimator_takes_its_centers():
    display = SilhouetteDisplay.from_estimator(model(), pd.DataFrame(X, columns=["a", "b"]).to_numpy(), ax=axes())
    distances = np.sort(np.linalg.norm(X[:, None] - CENTERS, axis=-1), axis=1)
    np.testing.assert_allclose(display.widths, 1 - distances[:, 0] / distances[:, 1])
    assert SilhouetteDisplay.from_estimator(model(), X, ax=axes(), colors=["r", "g", "b"], key=False).key_ is None


def test_invalid_silhouettes_are_explained():
    with pytest.raises(InputError, match="resp has one column, but separation is not defined for one cluster"):
        SilhouetteDisplay.from_predictions(X, np.ones((60, 1)))
    with pytest.raises(InputError, match="give one of each for every row"):
        SilhouetteDisplay(np.zeros(3), np.zeros(2, int), np.zeros(3), 0.0)
    with pytest.raises(InputError, match="1 colors for 3 clusters"):
        SilhouetteDisplay.from_predictions(X, RESP, ax=axes(), colors=["r"])


# --- uncertainty ------------------------------------------------------------------------------------------------------


def test_the_map_is_one_minus_the_largest_membership():
    display = UncertaintyDisplay.from_estimator(model(), X, ax=axes())
    left, right, bottom, top = display.field_.get_extent()
    grid = np.stack(np.meshgrid(np.linspace(left, right, 400), np.linspace(bottom, top, 400)), -1)
    expected = 1 - soft(grid.reshape(-1, 2)).max(1).reshape(400, 400)
    np.testing.assert_allclose(display.field_.get_array(), expected, atol=1e-12)
    assert (left < X[:, 0].min(), right > X[:, 0].max()) == (True, True)
    assert display.field_.get_clim() == (0, pytest.approx(2 / 3))
    np.testing.assert_allclose(display.dots_.get_offsets(), CENTERS)
    assert sorted(map(tuple, display.points_.get_offsets().tolist())) == sorted(map(tuple, X.tolist()))


def test_the_map_is_darkest_between_clusters():
    display = UncertaintyDisplay.from_estimator(model(), X, ax=axes())
    display.points_.set_visible(False)
    far_pixel, between = pixel(display, -2, -2), pixel(display, 3, 0.5)
    assert far_pixel.mean() > 0.95
    assert between.mean() < 0.8


def test_with_more_features_the_samples_are_colored():
    rows = np.column_stack([X, 0.1 * RNG.normal(size=(60, 2))])
    centers = np.column_stack([CENTERS, np.zeros((3, 2))])
    estimator = SimpleNamespace(predict_proba=lambda x: soft(x, centers), cluster_centers_=centers)
    display = UncertaintyDisplay.from_estimator(estimator, rows, ax=axes())
    assert display.field_ is None
    assert display.ax_.get_xlabel().startswith("PC 1")
    shades = display.points_.get_facecolors()[:, :3].mean(1)
    places = np.asarray(display.points_.get_offsets())
    rank = np.argsort(np.lexsort(places.T))
    uncertainty = display.uncertainty[np.lexsort(display.points.T)][rank]
    assert np.corrcoef(shades, uncertainty)[0, 1] < -0.9


def test_uncertainty_of_a_real_model_on_a_frame():
    frame = pd.DataFrame(X, columns=["length", "width"])
    display = UncertaintyDisplay.from_estimator(SoftKMeans(3, random_state=0).fit(frame), frame, ax=axes(), s=4)
    assert (display.ax_.get_xlabel(), display.ax_.get_ylabel()) == ("length", "width")
    assert display.points_.get_sizes().tolist() == [4]
    one = UncertaintyDisplay.from_estimator(SoftKMeans(1).fit(X[:, :1]), X[:, :1], ax=axes())
    assert one.ax_.get_ylabel() == "jitter"


def test_an_unfitted_estimator_is_explained():
    with pytest.raises(InputError, match="expected a fitted SoftKMeans"):
        UncertaintyDisplay.from_estimator(SimpleNamespace(predict_proba=soft), X)


# --- reliability ------------------------------------------------------------------------------------------------------


def test_observed_frequency_over_predicted_membership():
    resp = np.array([[0.1, 0.9], [0.1, 0.9], [0.4, 0.6], [0.4, 0.6], [0.9, 0.1]])
    display = ReliabilityDisplay.from_predictions(resp, [1, 1, 1, 0, 0], ax=axes())
    np.testing.assert_allclose(display.points_.get_offsets(), [[0.6, 0.5], [0.9, 1.0]])
    np.testing.assert_allclose(display.gaps_.get_segments(), [[[0.6, 0.5], [0.6, 0.6]], [[0.9, 1.0], [0.9, 0.9]]])
    assert display.diagonal_.get_xydata().tolist() == [[0, 0], [1, 1]]
    assert display.error == pytest.approx(0.1)
    words = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert words == ["perfect calibration", "expected calibration error 0.100"]
    small, large = display.points_.get_sizes()
    assert small < large


def test_the_axes_cover_the_whole_diagram():
    display = ReliabilityDisplay([0.35, 0.6, 1.0], [0.0, 0.7, 1.0], [1, 1, 8]).plot(axes())
    (low, high), other = display.ax_.get_xlim(), display.ax_.get_ylim()
    assert (low, high) == other
    assert low <= 0 < 1 < high
    assert ReliabilityDisplay([0.8, 0.9], [0.7, 1.0], [1, 1]).plot(axes()).ax_.get_xlim()[0] == 0.5
    assert display.ax_.get_aspect() == 1


def test_number_of_bins():
    resp = np.column_stack([np.linspace(0.5, 1, 101), np.linspace(0.5, 0, 101)])
    display = ReliabilityDisplay.from_predictions(resp, np.zeros(101, int), n_bins=20, ax=axes())
    assert 10 <= len(display.points_.get_offsets()) <= 11


@pytest.mark.parametrize("columns", [([0.5], [0.5, 0.6], [1.0]), ([0.5], [0.5], [0.0]), ([], [], []), (0.5, 0.5, 1.0)])
def test_invalid_bins_are_explained(columns):
    with pytest.raises(InputError, match="give one of each per bin"):
        ReliabilityDisplay(*columns)


# --- labels of thin clusters ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "draw",
    [
        MembershipDisplay.from_predictions,
        lambda r, ax: SilhouetteDisplay.from_predictions(np.arange(200.0)[:, None], r, ax=ax),
    ],
)
def test_numbers_of_thin_clusters_do_not_overlap(draw):
    resp = np.eye(9)[np.concatenate([np.arange(8), np.full(192, 8)])]
    display = draw(resp, ax=axes(figsize=(6, 4)))
    display.figure_.canvas.draw()
    texts = display.ax_.get_yticklabels()
    assert [text.get_text() for text in texts] == [str(i) for i in range(9)]
    heights = [text.get_window_extent() for text in texts]
    assert all(one.y0 >= other.y1 for one, other in zip(heights, heights[1:]))  # noqa: B905, RUF007
