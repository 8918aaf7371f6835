"""No text of a picture covers another or is cut, whatever the number of clusters and the names of the columns."""

from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from helpers.pictures import overlaps, texts_of
from softkmeans import SoftKMeans
from softkmeans.plots import (
    BifurcationDisplay,
    ClusterDisplay,
    DescriptionDisplay,
    EnergyDisplay,
    LossDisplay,
    MembershipDisplay,
    ReliabilityDisplay,
    SelectionDisplay,
    SilhouetteDisplay,
    UncertaintyDisplay,
)
from softkmeans.plots._labels import shorten
from softkmeans.registries import CRITERIA

NAMES = {
    "short": lambda j: f"x{j}",
    "long": lambda j: f"the mean amount of money spent in the shops of the town, no {j:02d}",
    "unbroken": lambda j: f"mean_amount_of_money_spent_in_the_shops_of_the_town_number_{j:02d}",
    "odd": lambda j: (
        ["cost $ of_x^2 $", "line\nbreak_{y}", "größe_µ (naïve)", "\\alpha_$", "a%b #c & ~d"][j % 5] + str(j)
    ),
}
CASES = [
    (2, 1, "short"),
    (2, 2, "odd"),
    (2, 3, "long"),
    (2, 40, "odd"),
    (10, 1, "long"),
    (10, 2, "unbroken"),
    (10, 3, "odd"),
    (10, 40, "long"),
    (60, 1, "odd"),
    (60, 2, "long"),
    (60, 3, "short"),
    (60, 40, "unbroken"),
]


@pytest.fixture(autouse=True)
def _close():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def fitted():
    """Return a function that fits a model, once for each case."""
    made = {}

    def fit(k, d, names):
        if (k, d, names) not in made:
            rng = np.random.default_rng(0)
            centers = 3 * k ** (1 / min(d, 3)) * rng.uniform(-1, 1, size=(k, d))
            x = centers[np.arange(max(100, 6 * k)) % k] + rng.normal(size=(max(100, 6 * k), d))
            frame = pd.DataFrame(x, columns=[NAMES[names](j) for j in range(d)])
            model = SoftKMeans(k, temperature=1.0, init=centers, tol=1e-1, random_state=0).fit(frame)
            made[k, d, names] = model, frame
        return made[k, d, names]

    return fit


def check(display):
    """Check that all texts are inside of the figure, and that none covers another."""
    figure = display.figure_
    texts = texts_of(figure)
    assert texts
    inside = figure.bbox.padded(1.5)
    found = [(text.get_text(), type(text).get_window_extent(text)) for text in texts]
    cut = [text for text, box in found if not (inside.contains(box.x0, box.y0) and inside.contains(box.x1, box.y1))]
    assert not cut
    assert not overlaps(texts, slack=0.5)


ROW_DISPLAYS = {
    "clusters": lambda model, x: ClusterDisplay.from_estimator(model, x),
    "regions": lambda model, x: ClusterDisplay.from_estimator(model, x, regions=x.shape[1] == 2),
    "uncertainty": UncertaintyDisplay.from_estimator,
    "memberships": MembershipDisplay.from_estimator,
    "silhouettes": SilhouetteDisplay.from_estimator,
    "description": DescriptionDisplay.from_estimator,
}


@pytest.mark.slow
@pytest.mark.parametrize("display", ROW_DISPLAYS)
@pytest.mark.parametrize(
    ("k", "d", "names"), [pytest.param(*case, marks=pytest.mark.thorough) if case[0] == 10 else case for case in CASES]
)
def test_texts_of_displays_of_rows(k, d, names, display, fitted):
    check(ROW_DISPLAYS[display](*fitted(k, d, names)))


def path(k, n_levels=20):
    """Return a path on which clusters split, to k of them."""
    rng = np.random.default_rng(0)
    numbers = np.unique(np.linspace(1, k, n_levels).astype(int))
    levels, transitions, centers = [], [], np.zeros((1, 2))
    for i, n in enumerate(numbers):
        parents = np.concatenate([np.arange(len(centers)), rng.integers(len(centers), size=n - len(centers))])
        centers = centers[parents] + rng.normal(size=(n, 2)) / (i + 1)
        t, weights = 100 * 0.8**i, rng.dirichlet(np.ones(n))
        energies = {"free_energy": 200 - i, "distortion": 100 - i, "entropy": 20 * np.log(n)}
        levels.append(
            SimpleNamespace(
                temperature=t, centers=centers, weights=weights, parents=parents if i else np.array([-1]), **energies
            )
        )
        if i:
            transitions.append(SimpleNamespace(temperature=1.05 * t, level=i, cluster=0, kind="split"))
    temperatures = np.array([level.temperature for level in levels])
    return SimpleNamespace(
        levels=levels,
        transitions=transitions,
        temperatures=temperatures,
        n_clusters=numbers,
        critical_temperature=90.0,
        weight=100.0,
    )


@pytest.mark.slow
@pytest.mark.parametrize("k", [2, 10, 60])
@pytest.mark.parametrize("display", [BifurcationDisplay, EnergyDisplay])
def test_texts_of_displays_of_paths(display, k):
    check(display.from_path(path(k)))


@pytest.mark.slow
@pytest.mark.parametrize("k", [2, 10, 60])
@pytest.mark.parametrize("names", [list(CRITERIA), ["bic"], [NAMES["long"](0), NAMES["odd"](0), NAMES["unbroken"](0)]])
def test_texts_of_selections(names, k):
    numbers = np.arange(1, k + 1)
    criteria = {name: 1e5 * np.cos(numbers + i) for i, name in enumerate(names)}
    choices = {name: k if i % 2 == 0 else 1 for i, name in enumerate(names)}
    check(SelectionDisplay(numbers, criteria, choices, k, criterion=names[0]).plot())


@pytest.mark.parametrize("n", [2, 10, 60])
def test_texts_of_losses_and_calibration(n):
    check(LossDisplay(np.arange(n), -1e5 / np.arange(1, n + 1), name=NAMES["long"](0)).plot())
    stated = np.linspace(0.2, 1, n)
    check(ReliabilityDisplay(stated, stated**2, np.arange(1, n + 1)).plot())


@pytest.mark.parametrize("k", [2, 10, 60])
def test_columns_are_numbered_evenly(k, fitted):
    model, x = fitted(k, 2, {2: "odd", 10: "unbroken", 60: "long"}[k])
    numbers = [int(text.get_text()) for text in MembershipDisplay.from_estimator(model, x).ax_.get_xticklabels()]
    assert numbers[0] == 0
    assert len(set(np.diff(numbers))) == 1
    assert len(numbers) == k if k <= 10 else 10 < len(numbers) < k


def test_means_are_left_out_where_columns_are_too_narrow(fitted):
    assert len(DescriptionDisplay.from_estimator(*fitted(10, 3, "odd")).numbers_) == 30
    many = DescriptionDisplay.from_estimator(*fitted(60, 3, "short"))
    assert many.numbers_ == []
    assert "means" not in many.key_.ax.get_ylabel()
    assert many.figure_.get_size_inches()[0] < 16


def test_a_shortened_name_keeps_its_end():
    assert shorten("width", 40) == "width"
    short = [shorten(NAMES["long"](j), 30) for j in (3, 4)]
    assert len(set(short)) == 2
    assert {len(name) for name in short} == {30}
    assert short[0].startswith("the mean")


def test_silhouettes_of_sixty_clusters_are_mostly_bars(fitted):
    display = SilhouetteDisplay.from_estimator(*fitted(60, 2, "long"))
    bottom, top = display.ax_.get_ylim()
    assert len(display.widths) > 0.7 * (bottom - top)
