"""How soft memberships are: compared with memberships computed from their formula."""

import math
import re

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_digits, load_iris, load_wine
from sklearn.preprocessing import StandardScaler

from softkmeans import FuzzyCMeans, SoftKMeans, SoftKMeansLayer, summarize
from softkmeans.errors import Message
from softkmeans.estimators.assigned_rows import AssignedRows
from softkmeans.selection import diagnose
from softkmeans.selection.diagnostics import softer
from softkmeans.selection.softness import (
    MAX_HARD_SPREAD,
    SURE,
    Softness,
    describe_softness,
    is_nearly_hard,
    remedy,
    spread,
)

RNG = np.random.default_rng(0)
X = np.vstack([RNG.normal(size=(60, 2)), RNG.normal([3.0, 0.0], size=(40, 2))])
WEIGHTS = RNG.uniform(0.5, 2.0, 100)
APART = np.vstack([X[:60], X[60:] + 100.0])


def memberships(model, x):
    """Compute the memberships (n, k) from their formula; with noise in a last column."""
    d = ((x[:, None] - model.cluster_centers_) ** 2).sum(2)
    if model.noise_distance is not None:
        d = np.hstack([d, np.full((len(x), 1), model.noise_distance)])
    r = np.exp(-(d - d.min(1, keepdims=True)) / model.temperature_)
    return r / r.sum(1, keepdims=True)


def softness_of(model, x, weights=None):
    softness = Softness()
    for block in AssignedRows(model, x, weights).blocks():
        softness.add(block)
    return softness


@pytest.mark.parametrize("noise_distance", [None, 2.0])
@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["alike", "weighted"])
def test_largest_memberships(noise_distance, weights):
    model = SoftKMeans(2, temperature=2.0, noise_distance=noise_distance, random_state=0)
    model.fit(X, sample_weight=weights)
    r, w = memberships(model, X), np.ones(100) if weights is None else weights
    found = softness_of(model, X, weights)
    assert found.mean_largest == pytest.approx(np.average(r.max(1), weights=w), rel=1e-9)
    assert found.in_doubt == pytest.approx(np.average(r.max(1) < 0.9, weights=w), rel=1e-9)
    entropy = -(w[:, None] * r * np.log(r)).sum()
    assert spread(model) == pytest.approx(math.exp(entropy / w.sum()), rel=1e-6)


DATA = {
    "wine": load_wine().data,
    "iris": load_iris().data,
    "cancer": load_breast_cancer().data,
    "digits": load_digits().data,
    **{f"normal {d}": np.random.default_rng(d).normal(size=(500, d)) for d in (2, 20, 300)},
}


@pytest.mark.slow
@pytest.mark.parametrize("scale", ["as it is", "standard"])
@pytest.mark.parametrize("name", DATA)
def test_nearly_hard_means_a_largest_membership_near_one(name, scale):
    x = DATA[name] if scale == "as it is" else StandardScaler().fit_transform(DATA[name])
    for k in (2, 3, 8):
        model = SoftKMeans(k, random_state=0).fit(x)
        largest = model.predict_proba(x).max(1).mean()
        assert largest >= 1 - math.log(spread(model)) / (2 * math.log(2)) - 1e-9  # Hellman and Raviv
        if is_nearly_hard(model):
            assert largest > 0.985
        elif spread(model) > 1.05:
            assert largest < 0.99


WORDS = [  # temperatures, and the words for them
    (0.05, "nearly hard: "),
    (0.7, "mostly firm: "),
    (5.0, "soft: "),
]


@pytest.mark.parametrize(("temperature", "word"), WORDS)
def test_words(temperature, word):
    model = SoftKMeans(2, temperature=temperature, random_state=0).fit(X)
    found = softness_of(model, X)
    short, long = describe_softness(model), describe_softness(model, found)
    assert short == f"{word}a row is spread over {spread(model):.2f} clusters on average"
    stated = re.fullmatch(rf"{word}the largest of a row is ([\d.]+) on average; .*", long)[1]
    assert float(stated) == pytest.approx(found.mean_largest, abs=0.0051)
    doubt = f"{100 * found.in_doubt:.2g} % of the rows are" if found.in_doubt else "no row is"
    assert long.endswith(f"; {doubt} in doubt (below {SURE})")


def test_what_is_not_known_is_not_said():
    assert describe_softness(SoftKMeans(1).fit(X)) == ""
    assert describe_softness(SoftKMeans.from_layer(SoftKMeansLayer(2, 2))) == ""
    fuzzy = FuzzyCMeans(2, random_state=0).fit(X)  # has no entropy
    assert describe_softness(fuzzy) == ""
    assert describe_softness(fuzzy, softness_of(fuzzy, X)).startswith("the largest of a row is 0.")
    assert remedy(fuzzy) is None
    assert "\nmemberships" not in summarize(SoftKMeans(1).fit(X))


CALIBRATED, BY_SPREAD = (
    "<temperature='calibrated'>",
    "<temperature='perplexity:1.5'> (which spreads a row over 1.5 clusters)",
)
REMEDIES = {
    "auto": ({}, f"{CALIBRATED}, or {BY_SPREAD}"),
    "per cluster": ({"temperature": "per-cluster"}, f"{CALIBRATED}, or {BY_SPREAD}"),
    "calibrated": ({"temperature": "calibrated"}, BY_SPREAD),
    "not squared": ({"distance": "euclidean"}, BY_SPREAD),
    "by choice": ({"temperature": "perplexity:1.01"}, None),
}


@pytest.mark.parametrize("name", REMEDIES)
def test_remedies_are_named_unless_it_is_by_choice(name):
    settings, expected = REMEDIES[name]
    model = SoftKMeans(2, random_state=0, **settings).fit(X if expected is None else APART)
    assert is_nearly_hard(model)
    found = remedy(model)
    assert (found and found.render(lambda setting: f"<{setting}>")) == expected
    assert diagnose(model) == []  # clusters that are far apart are no problem
    assert ("for softer ones" in summarize(model)) == (expected is not None)


def test_softer_memberships_need_no_remedy():
    model = SoftKMeans(2, random_state=0).fit(X)
    assert spread(model) > MAX_HARD_SPREAD
    assert remedy(model) is None
    assert "for softer ones" not in summarize(model)


@pytest.mark.parametrize("temperature", ["calibrated", "perplexity:1.5"])
def test_the_remedies_help(temperature):
    x = load_wine().data
    hard, soft = (SoftKMeans(3, temperature=t, random_state=0).fit(x) for t in ("auto", temperature))
    assert is_nearly_hard(hard)
    assert not is_nearly_hard(soft)


def test_one_thing_is_said_once():
    model = SoftKMeans(2, temperature=1e-3, random_state=0).fit(X)  # so low that a warning says it
    (warning,) = diagnose(model)
    assert isinstance(warning, Message)
    assert warning.endswith(str(remedy(model)))
    assert softer(model) is None
    assert summarize(model).count("calibrated") == 1
