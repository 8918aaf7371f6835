"""Plots of annealing paths and of selections of k, compared with positions computed by hand."""

from types import SimpleNamespace
from typing import NamedTuple

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from sklearn.datasets import load_wine
from sklearn.preprocessing import StandardScaler

from helpers.colors import difference
from helpers.pictures import boxes, overlaps
from softkmeans import annealing_path
from softkmeans.errors import InputError
from softkmeans.plots import BifurcationDisplay, EnergyDisplay, SelectionDisplay
from softkmeans.plots._colors import PALETTE


class Level(NamedTuple):
    temperature: float
    centers: np.ndarray
    weights: np.ndarray
    parents: np.ndarray
    free_energy: float = 0.0
    distortion: float = 0.0
    entropy: float = 0.0
    instability: np.ndarray | None = None


class Transition(NamedTuple):
    temperature: float
    level: int
    cluster: int
    kind: str


def level(t, centers, priors, parents, *energies):
    return Level(t, np.array(centers, float), np.array(priors, float), np.array(parents), *energies)


def path(**changes):
    """Return a path: one cluster at T = 8 and 4, a split at 3, a jump of cluster 1 at 1.5, and a merge at 0.8."""
    levels = (
        level(8.0, [[0, 1]], [1], [-1], 160.0, 160.0, 0.0),
        level(4.0, [[0, 1]], [1], [0], 160.0, 160.0, 0.0),
        level(2.0, [[-3, 1], [1, 1]], [0.25, 0.75], [0, 0], 120.0, 100.0, 10.0),
        level(1.0, [[-4, 1], [0, 1], [4, 1]], [0.25, 0.35, 0.4], [0, 1, 1], 60.0, 50.0, 20.0),
        level(0.5, [[-2, 1], [4, 1]], [0.6, 0.4], [0, 2], 40.0, 30.0, 5.0),
    )
    transitions = (Transition(3.0, 2, 0, "split"), Transition(1.5, 3, 1, "jump"), Transition(0.8, 4, 1, "merge"))
    found = {"levels": levels, "transitions": transitions, "critical_temperature": 3.0, "weight": 20.0} | changes
    found["temperatures"] = np.array([each.temperature for each in found["levels"]])
    found["n_clusters"] = np.array([len(each.weights) for each in found["levels"]])
    return SimpleNamespace(**found)


def figure(**kwargs):
    made = Figure(layout="constrained", **kwargs)
    FigureCanvasAgg(made)
    return made


def axes(**kwargs):
    return figure(**kwargs).add_subplot()


def tree(found=None, feature=0, **kwargs):
    return BifurcationDisplay.from_path(path() if found is None else found, feature, ax=axes(), **kwargs)


# --- the tree ---------------------------------------------------------------------------------------------------------


def test_branches_leave_their_parents_at_the_transitions():
    lines = [segment.tolist() for segment in tree().branches_.get_segments()]
    assert [[8, 0], [8, 0], [4, 0]] in lines
    assert [[4, 0], [3, 0], [2, -3]] in lines
    assert [[4, 0], [3, 0], [2, 1]] in lines
    assert [[2, 1], [1.5, 1], [1, 0]] in lines
    assert [[2, -3], [2, -3], [1, -4]] in lines
    assert [[1, 4], [1, 4], [0.5, 4]] in lines
    assert len(lines) == 1 + 2 + 3 + 2


def test_widths_are_proportional_to_the_weights():
    widths = np.array(tree().branches_.get_linewidths())
    np.testing.assert_allclose(widths / widths[0], [1, 0.25, 0.75, 0.25, 0.35, 0.4, 0.6, 0.4])


def test_clusters_of_tiny_weight_are_visible():
    levels = (level(2, [[0]], [1], [-1]), level(1, [[0], [5]], [1, 1e-9], [0, 0]))
    assert tree(path(levels=levels, transitions=())).branches_.get_linewidths()[1] > 0.5


def test_colors_are_those_of_the_heaviest_last_descendants():
    colors = tree().branches_.get_colors()[:, :3]
    blue, orange = (to_rgb(c) for c in PALETTE[:2])
    gray = (0.62, 0.62, 0.62)
    # cluster 0 of the last level (60 %) comes from 0, cluster 1 (40 %) from 2 and before from 1
    expected = [blue, blue, orange, blue, gray, orange, blue, orange]
    np.testing.assert_allclose(colors, expected, atol=0.01)
    np.testing.assert_allclose(tree(colors=["k", "r"]).branches_.get_colors()[-1, :3], (1, 0, 0), atol=1e-3)


def random_path(k, seed):
    """Return a path on which clusters split one by one and then cross, and the pairs of lines that must differ."""
    rng = np.random.default_rng(seed)
    centers, levels = np.zeros(1), [level(2.0**k, [[0]], [1], [-1])]
    for n in range(1, k):
        parents = np.append(np.arange(n), rng.integers(n))
        centers = centers[parents] + rng.normal(size=n + 1) * 3 * 0.93**n
        levels.append(level(2.0 ** (k - n), centers[:, None], rng.dirichlet(np.ones(n + 1)), parents))
    return path(levels=tuple(levels), transitions=(), critical_temperature=None)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("k", [8, 12, 60])
def test_neighbors_and_siblings_have_clearly_different_colors(k, seed):
    """Lines side by side at a level, and those that split from one, also as color-blind readers see them.

    Of 60 lines that cross each other often, seven colors can't part every pair.
    """
    found = random_path(k, seed)
    drawn = iter(tree(found).branches_.get_colors()[:, :3])
    apart = []
    for each in found.levels[1:]:
        colors = np.array([next(drawn) for _ in each.weights])
        order = np.argsort(each.centers[:, 0])
        apart.extend(difference(colors[order[1:]], colors[order[:-1]]))
        twins = np.array([(i, j) for i in range(len(colors)) for j in range(i) if each.parents[i] == each.parents[j]])
        apart.extend(difference(colors[twins[:, 0]], colors[twins[:, 1]]))
    is_clear = np.array(apart) > 15  # 2.3 is just noticeable
    assert is_clear.all() if k < 60 else is_clear.mean() > 0.99


@pytest.mark.slow
def test_the_lines_of_the_wine_path_differ():
    """The eight clusters of the guide's picture."""
    x = StandardScaler().fit_transform(load_wine().data)
    display = BifurcationDisplay.from_path(annealing_path(x, max_clusters=8), ax=axes())
    colors = np.array([text.get_color() for text in display.labels_])
    order = np.argsort(display.positions[-1])
    assert len(order) == 8
    assert difference(colors[order[1:]], colors[order[:-1]]).min() > 12
    assert len(np.unique(colors.round(3), axis=0)) >= 6


def test_transitions_are_drawn_at_the_previous_position():
    marks = {kind: drawn.get_offsets().tolist() for kind, drawn in tree().transitions_.items()}
    assert marks == {"split": [[3, 0]], "jump": [[1.5, 1]], "merge": [[0.8, 0]]}
    assert set(tree(path(transitions=path().transitions[:1])).transitions_) == {"split"}
    assert [text.get_text() for text in tree().legend_.get_texts()] == ["split", "jump", "merge", "25 % of the weight"]
    assert tree(path(transitions=())).legend_ is None


def test_splits_are_open_circles():
    split = tree().transitions_["split"]
    assert split.get_facecolors().tolist() == [[1, 1, 1, 1]]
    assert split.get_edgecolors().tolist() == [[0, 0, 0, 1]]


def test_temperature_falls_to_the_right():
    display = tree()
    left, right = display.ax_.get_xlim()
    assert left > 8 > 0.5 > right > 0
    assert display.ax_.get_xscale() == "log"
    assert display.critical_.get_xdata()[0] == 3.0
    assert tree(path(critical_temperature=100.0)).critical_ is None


def test_labels_have_number_and_percentage():
    assert [text.get_text() for text in tree().labels_] == ["0: 60 %", "1: 40 %"]


@pytest.mark.slow
@pytest.mark.parametrize("k", [20, 32])
def test_many_labels_keep_apart_in_the_order_of_their_branches(k):
    y = np.concatenate([np.linspace(0, 0.1, k - 1), [30.0]])
    levels = (level(2, [[0]], [1], [-1]), level(1, y[:, None], np.full(k, 1 / k), [0] * k))
    display = BifurcationDisplay.from_path(path(levels=levels, transitions=()), ax=axes(figsize=(6, 4)))
    assert not overlaps(display.labels_)
    assert min(text.get_fontsize() for text in display.labels_) > 6.5
    assert display.labels_[7].get_text() == ("7: 5 %" if k == 20 else "7")
    heights = [box.y0 for box in boxes(display.labels_)]
    assert (np.diff(heights) > 0).all()
    inside = display.figure_.bbox
    assert all(inside.y0 <= box.y0 and box.y1 <= inside.y1 and box.x1 <= inside.x1 for box in boxes(display.labels_))


def test_by_default_the_axis_is_that_of_the_largest_variance():
    turned = np.array([[0.6, -0.8], [0.8, 0.6]])
    levels = [each._replace(centers=each.centers @ turned) for each in path().levels]
    display = BifurcationDisplay.from_path(path(levels=levels), ax=axes())
    lines = np.concatenate(display.branches_.get_segments())[:, 1]
    expected = np.concatenate(tree().branches_.get_segments())[:, 1]
    sign = np.sign(np.corrcoef(lines, expected)[0, 1])
    np.testing.assert_allclose(sign * (lines - lines[0]), expected - expected[0], atol=1e-12)
    assert "axis" in display.ax_.get_ylabel()
    assert tree().ax_.get_ylabel() == "centers, feature 0"


def test_a_path_of_one_feature_and_one_level():
    only = path(levels=(level(1.0, [[2.0]], [1], [-1]),), transitions=())
    display = BifurcationDisplay.from_path(only, ax=axes())
    display.figure_.canvas.draw()
    assert [text.get_text() for text in display.labels_] == ["0: 100 %"]


def test_two_levels_may_be_at_one_temperature():
    levels = (*path().levels, level(0.5, [[-2, 1], [5, 1]], [0.5, 0.5], [0, 1]))
    display = tree(path(levels=levels))
    assert display.branches_.get_segments()[-1].tolist() == [[0.5, 4], [0.5, 4], [0.5, 5]]
    assert [text.get_text() for text in display.labels_] == ["0: 50 %", "1: 50 %"]


def test_a_tree_is_restyled():
    assert tree(linewidths=3.0).branches_.get_linewidths() == [3.0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([], [], [], []), "one or more"),
        (([2, 1], [[0.0]], [[1.0]], [[-1]]), "as many of each"),
        (([1, 2], [[0.0]] * 2, [[1.0]] * 2, [[-1], [0]]), "highest temperature first"),
        (([1, -2], [[0.0]] * 2, [[1.0]] * 2, [[-1], [0]]), "highest temperature first"),
        (([2, 1], [[0.0], [0.0, 1.0]], [[1.0], [1.0]], [[-1], [0, 0]]), "level 1 has 2 clusters"),
        (([2, 1], [[0.0], [0.0]], [[1.0], [1.0]], [[-1], [1]]), "parents from 0 to 0"),
    ],
)
def test_invalid_trees_are_explained(arguments, message):
    with pytest.raises(InputError, match=message):
        BifurcationDisplay(*arguments)


@pytest.mark.parametrize("feature", [2, -1])
def test_no_such_feature(feature):
    with pytest.raises(InputError, match=f"feature={feature} with centers of 2 features"):
        tree(feature=feature)


# --- energies ---------------------------------------------------------------------------------------------------------


def test_energies_are_per_row():
    display = EnergyDisplay.from_path(path(), ax=axes())
    t = [8, 4, 2, 1, 0.5]
    np.testing.assert_allclose(display.free_energy_.get_xydata(), np.column_stack([t, [8, 8, 6, 3, 2]]))
    np.testing.assert_allclose(display.distortion_.get_xydata(), np.column_stack([t, [8, 8, 5, 2.5, 1.5]]))
    np.testing.assert_allclose(display.entropy_.get_xydata(), np.column_stack([t, [0, 0, 0.5, 1, 0.25]]))
    np.testing.assert_allclose(display.limit_.get_ydata(), np.log([1, 1, 2, 3, 2]))
    assert [line.get_xdata()[0] for line in display.critical_] == [3.0, 3.0]


def test_the_second_scale_is_the_perplexity():
    display = EnergyDisplay.from_path(path(), ax=axes())
    display.figure_.canvas.draw()
    (scale,) = display.entropy_ax_.child_axes
    pixels = scale.transData.transform([(0, 3.0), (0, 1.0)])[:, 1]
    expected = display.entropy_ax_.transData.transform([(1, np.log(3)), (1, 0)])[:, 1]
    np.testing.assert_allclose(pixels, expected, atol=0.1)
    assert scale.get_ylabel() == "perplexity exp(H)"


def test_panels_share_their_x_and_lie_one_above_the_other():
    display = EnergyDisplay.from_path(path(), ax=axes())
    display.figure_.canvas.draw()
    assert display.ax_.get_xlim() == display.entropy_ax_.get_xlim()
    upper, lower = display.ax_.get_position(), display.entropy_ax_.get_position()
    assert upper.y0 > lower.y1
    assert upper.x0 == pytest.approx(lower.x0)


def test_two_axes_may_be_given():
    given = figure().subplots(2, 1)
    display = EnergyDisplay.from_path(path(), ax=given)
    assert (display.ax_, display.entropy_ax_) == tuple(given)


def test_invalid_axes_are_explained():
    with pytest.raises(InputError, match="ax has 3 Axes, expected 2"):
        EnergyDisplay.from_path(path(), ax=figure().subplots(3))
    with pytest.raises(InputError, match="ax has 1 Axes, expected 2"):
        EnergyDisplay.from_path(path(), ax=figure().add_axes((0, 0, 1, 1)))


@pytest.mark.parametrize("columns", [([1, 2], [1], [1], [1], [1]), ([], [], [], [], []), ([0], [1], [1], [0], [1])])
def test_invalid_energies_are_explained(columns):
    with pytest.raises(InputError, match=r"expected \(m,\)|expected all above 0"):
        EnergyDisplay(*columns)


def test_a_path_at_one_temperature_only():
    EnergyDisplay([1.0], [1.0], [1.0], [0.0], [1]).plot(axes()).figure_.canvas.draw()


# --- the number of clusters -------------------------------------------------------------------------------------------

TABLE = {
    "n_clusters": [1, 2, 3, 4],
    "held_out": [-9.0, -5.0, -4.0, -4.2],
    "held_out_se": [0.1, 0.2, 0.3, 0.4],
    "bic": [90.0, 40.0, 45.0, 50.0],
    "fuzzy_silhouette": [np.nan, 0.5, 0.8, 0.6],
    "seconds": [1.0, 1.0, 2.0, 3.0],
}
CHOICES = {"held_out": 3, "bic": 2, "fuzzy_silhouette": 3}


def selection(convert=pd.DataFrame):
    return SimpleNamespace(table=convert(TABLE), choices=CHOICES, n_clusters=3, criterion="held_out")


@pytest.mark.parametrize("convert", [pd.DataFrame, pa.table, dict], ids=["pandas", "pyarrow", "dict"])
def test_a_panel_for_each_criterion(convert):
    display = SelectionDisplay.from_selection(selection(convert), ax=axes())
    assert list(display.axes_) == ["held_out", "bic", "fuzzy_silhouette"]
    for name, panel in display.axes_.items():
        np.testing.assert_array_equal(display.lines_[name].get_xdata(), TABLE["n_clusters"])
        np.testing.assert_array_equal(display.lines_[name].get_ydata(), TABLE[name])
        (x,), (y,) = display.marks_[name].get_data()
        assert (x, y) == (CHOICES[name], TABLE[name][CHOICES[name] - 1])
        assert display.chosen_[name].get_xdata() == [3, 3]
        assert panel.get_title().endswith(f": {CHOICES[name]}")
    assert [panel.get_title().split(":")[0] for panel in display.axes_.values()] == [
        "held-out score",
        "BIC",
        "fuzzy silhouette",
    ]


def test_the_criterion_used_is_bold():
    display = SelectionDisplay.from_selection(selection(), ax=axes())
    assert [panel.title.get_fontweight() for panel in display.axes_.values()] == ["bold", "normal", "normal"]


def test_standard_errors_are_drawn():
    display = SelectionDisplay.from_selection(selection(), ax=axes())
    (bars,) = display.axes_["held_out"].collections
    ends = np.array(bars.get_segments())[:, :, 1]
    np.testing.assert_allclose(ends.T, [[-9.1, -5.2, -4.3, -4.6], [-8.9, -4.8, -3.7, -3.8]])
    assert not display.axes_["bic"].collections


@pytest.mark.slow
@pytest.mark.parametrize("n", [1, 4, 5])
def test_any_number_of_criteria(n):
    criteria = {f"criterion {i}": [3.0, 1.0, 2.0] for i in range(n)}
    display = SelectionDisplay([1, 2, 3], criteria, dict.fromkeys(criteria, 2), 2).plot()
    display.figure_.canvas.draw()
    assert len(display.figure_.axes) == n
    texts = [panel.title for panel in display.figure_.axes] + [panel.xaxis.label for panel in display.figure_.axes]
    assert not overlaps([text for text in texts if text.get_text()])
    assert sum(panel.get_xlabel() != "" for panel in display.figure_.axes) == min(n, -(-n // -(-n // 3)))
    plt.close(display.figure_)


@pytest.mark.parametrize(("last", "is_open"), [(3, False), (4, True)])
def test_a_choice_at_the_end_of_the_range_looks_like_one(last, is_open):
    values = [9.0, 5.0, 4.0, 3.0]
    display = SelectionDisplay([1, 2, 3, 4], {"bic": values}, {"bic": last}, last).plot(axes())
    mark = display.marks_["bic"]
    assert (mark.get_marker() == ">") == is_open
    assert (mark.get_markerfacecolor() == "white") == is_open
    assert ("end of range" in display.axes_["bic"].get_title()) == is_open
    assert not mark.get_clip_on()


def test_invalid_criteria_are_explained():
    with pytest.raises(InputError, match="criteria is empty"):
        SelectionDisplay([1, 2], {}, {}, 1)
    with pytest.raises(InputError, match=r"bic has shape \(3,\) and n_clusters \(2,\)"):
        SelectionDisplay([1, 2], {"bic": [1, 2, 3]}, {"bic": 1}, 1)


@pytest.mark.parametrize("draw", [BifurcationDisplay.from_path, EnergyDisplay.from_path])
def test_a_new_figure_only_without_axes(draw):
    draw(path(), ax=axes())
    assert not plt.get_fignums()
    display = draw(path())
    assert plt.get_fignums() == [display.figure_.number]
    plt.close(display.figure_)
