"""Test the criteria as an extension point: a criterion of one's own is used wherever the library's are."""

import inspect
import math
import re

import matplotlib.pyplot as plt
import numpy as np
import pytest

from softkmeans import InputError, SoftKMeans, make_blobs, select_n_clusters
from softkmeans.errors import Setting
from softkmeans.plots import SelectionDisplay
from softkmeans.selection import CRITERIA, Criterion, first_within_error, highest, lowest

X, _ = make_blobs(90, 2, 3, cluster_std=0.4, random_state=1)
KS = [1, 2, 3, 4]


def inertias(fits):
    return np.array([model.inertia_ for model in fits.models.values()])


def bend(fits):
    return np.pad(np.diff(np.log(inertias(fits)), 2), 1, constant_values=math.nan)


TEXTS = {"label": "elbow of the inertia", "description": "Bend of the inertia; higher is better."}
ELBOW = Criterion(bend, highest, **TEXTS, short_label="elbow", number_format=".2f")


@pytest.fixture
def register():
    """Return `CRITERIA.register`; the criteria are removed again after the test."""
    before = set(CRITERIA)
    yield CRITERIA.register
    for name in set(CRITERIA) - before:
        CRITERIA.unregister(name)


def choose(**given):
    settings = {"estimator": SoftKMeans(), "cv": 0, "path": False, "n_resamples": 3, "random_state": 0}
    return select_n_clusters(X, KS, **settings | given)


# The library's own.


@pytest.mark.parametrize("name", CRITERIA)
def test_every_criterion_describes_itself(name):
    criterion = CRITERIA[name]
    assert isinstance(criterion, Criterion)
    assert criterion.label
    assert 0 < len(criterion.header) <= 12  # the table has a column for each
    assert criterion.description.endswith(".")
    assert "\n" not in criterion.description
    assert criterion.choose(np.array([1.0, 2.0, 3.0]), np.zeros(3)) in (0, 2)


def test_labels_are_different():
    labels = [text for criterion in CRITERIA.values() for text in {criterion.label, criterion.header}]
    assert len(set(labels)) == len(labels)


def test_the_docstring_lists_every_criterion():
    docstring = inspect.getdoc(select_n_clusters)
    listed = dict(re.findall(r'^    - "(\w+)": ((?:.|\n      )*)', docstring, re.MULTILINE))
    assert {name: " ".join(text.split()) for name, text in listed.items()} == {
        name: criterion.description for name, criterion in CRITERIA.items()
    }
    assert "{" not in docstring
    assert max(map(len, select_n_clusters.__doc__.splitlines())) <= 120


@pytest.mark.parametrize(
    ("choose_index", "values", "index"),
    [
        (lowest, [3.0, 1.0, 2.0], 1),
        (lowest, [math.nan, 3.0, 2.0], 2),
        (highest, [3.0, 4.0, 2.0], 1),
        (highest, [math.nan, 3.0, 2.0], 1),
        (first_within_error, [1.0, 3.0, 4.0], 2),
    ],
)
def test_choices_by_hand(choose_index, values, index):
    assert choose_index(np.array(values), np.full(3, 0.5)) == index


# A criterion of one's own.


def test_a_new_criterion_selects_and_is_in_table_and_plot(register):
    before = choose()
    register("elbow", ELBOW)
    found = choose(criterion="elbow")
    np.testing.assert_allclose(found.scores["elbow"], bend(found), rtol=1e-12)
    assert (found.criterion, found.n_clusters, found.choices["elbow"]) == ("elbow", 3, 3)
    assert "elbow" in found.table
    display = SelectionDisplay.from_selection(found)
    assert display.axes_["elbow"].get_title() == "elbow of the inertia: 3"
    np.testing.assert_array_equal(display.lines_["elbow"].get_ydata(), found.scores["elbow"])
    plt.close(display.figure_)
    for name, values in before.scores.items():
        np.testing.assert_array_equal(found.scores[name], values)
    assert found.choices == before.choices | {"elbow": 3}


def test_a_new_criterion_may_have_standard_errors_and_a_rule_of_its_own(register):
    seen = []

    def third(values, errors):
        seen.append((values.tolist(), errors.tolist()))
        return np.int64(2)

    register("own", Criterion(lambda fits: [1, 2, math.inf, 4], third, errors=lambda fits: [0, 1, 2, 3], **TEXTS))
    found = choose(criterion="own")
    assert found.n_clusters == KS[2]
    assert found.scores["own_se"].tolist() == [0, 1, 2, 3]
    np.testing.assert_equal(seen, [([1, 2, math.nan, 4], [0, 1, 2, 3])])


@pytest.mark.slow
def test_a_new_criterion_gets_all_fits(register):
    seen = []

    def values(fits):
        seen.append(fits)
        return fits.folds.scores.mean(0) + [fits.path.lifetimes().get(k, 0.0) for k in fits.models]

    register("own", Criterion(values, highest, needs=("cv", "path"), **TEXTS))
    w = np.random.default_rng(0).uniform(0.5, 2, len(X))
    found = choose(cv=2, path=True, sample_weight=w)
    (fits,) = seen
    assert fits.X is X
    assert fits.sample_weight is w
    assert fits.models == found.models
    assert fits.covariance_type == found.covariance_type
    np.testing.assert_array_equal(fits.bic, found.scores["bic"])
    assert fits.folds.scores.shape == (2, len(KS))
    assert fits.folds.weights.sum() == pytest.approx(w.sum())
    np.testing.assert_allclose(np.average(fits.folds.scores, 0, fits.folds.weights), found.scores["held_out"])
    assert isinstance(fits.rng, np.random.Generator)


@pytest.mark.slow
@pytest.mark.parametrize(("need", "value"), [("cv", 0), ("path", False)])
def test_a_criterion_is_left_out_without_what_it_needs(need, value, register):
    register("own", Criterion(inertias, lowest, needs=(need,), **TEXTS))
    enabled = {"cv": 2, "path": True}
    assert "own" not in choose(**enabled | {need: value}).scores
    assert "own" in choose(**{"cv": 0, "path": False} | {need: enabled[need]}).scores
    with pytest.raises(InputError) as caught:
        choose(criterion="own", **enabled | {need: value})
    assert str(caught.value) == f"criterion='own' is not supported with {need}={value}: change one of the two"
    assert Setting(need, value) in caught.value.message.parts


def test_a_criterion_without_values_chooses_nothing(register):
    register("own", Criterion(lambda fits: np.full(len(KS), math.nan), lowest, **TEXTS))
    assert "own" not in choose().choices
    with pytest.raises(InputError, match=r"criterion='own' has no value for k_range=\[1, 2, 3, 4\]: choose another"):
        choose(criterion="own")


# Mistakes.


def broken(fits):
    return {}["no\nsuch key"]


def refused(fits):
    raise InputError("is too high", parameter="temperature", value=3)


FAULTY = {
    "raises": (broken, highest, r"can't be computed \(KeyError: '?no.*such key'?\)"),
    "raises an InputError": (refused, highest, r"can't be computed \(temperature=3 is too high\)"),
    "one value": (lambda fits: 3.0, highest, r"has values of shape \(\), expected \(4,\), one for each number of"),
    "too few": (lambda fits: [1, 2, 3], highest, r"has values of shape \(3,\), expected \(4,\)"),
    "texts": (lambda fits: ["a", "b", "c", "d"], highest, r"can't be computed \(ValueError: could not convert"),
    "a rule that raises": (inertias, lambda values, errors: 1 // 0, r"can't be computed \(ZeroDivisionError: "),
    "no index": (inertias, lambda values, errors: 0.5, r"can't be computed \(TypeError: "),
    "too large an index": (inertias, lambda values, errors: 4, "chooses index 4, expected 0 to 3"),
    "a negative index": (inertias, lambda values, errors: -1, "chooses index -1, expected 0 to 3"),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", FAULTY)
def test_a_faulty_criterion_is_named_in_one_line(name, register):
    values, choose_index, message = FAULTY[name]
    register("own", Criterion(values, choose_index, **TEXTS))
    with pytest.raises(InputError, match=f"^criterion='own' {message}") as caught:
        choose()
    assert str(caught.value).endswith(": correct its functions, or unregister it")
    assert (caught.value.__cause__ is not None) == message.startswith("can't be computed")
    assert "\n" not in str(caught.value)


def test_a_faulty_function_of_standard_errors_is_refused(register):
    register("own", Criterion(inertias, lowest, errors=lambda fits: [1.0], **TEXTS))
    with pytest.raises(InputError, match=r"criterion='own' has values of shape \(1,\), expected \(4,\)"):
        choose()


INVALID = {
    "no function": ({"values": [1, 2]}, "values is of type list, expected a function"),
    "no rule": ({"choose": "lowest"}, "choose is of type str, expected a function"),
    "no function of errors": ({"errors": 1.0}, "errors is of type float, expected a function"),
    "no label": ({"label": ""}, "label='': give a text"),
    "no description": ({"description": None}, "description=None: give a text"),
    "need as a text": ({"needs": "cv"}, r"needs='cv': expected a tuple of some of \('cv', 'path'\)"),
    "unknown need": ({"needs": ("gpu",)}, r"needs=\('gpu',\): expected a tuple of some of"),
    "format": ({"number_format": "%d"}, "number_format='%d': give the format of a number, such as '.3f'"),
}


@pytest.mark.parametrize("name", INVALID)
def test_an_invalid_criterion_is_refused(name):
    given, message = INVALID[name]
    with pytest.raises(InputError, match=message):
        Criterion(**{"values": inertias, "choose": lowest} | TEXTS | given)


@pytest.mark.parametrize("member", [bend, "elbow", Criterion])
def test_only_criteria_are_registered(member, register):
    with pytest.raises(InputError, match="criterion='elbow' "):
        register("elbow", member)
    assert "elbow" not in CRITERIA


@pytest.mark.parametrize("name", ["n_clusters", "inertia", "bic_tied", "held_out_se"])
def test_a_criterion_cannot_replace_another_column(name, register):
    register(name, ELBOW)
    with pytest.raises(InputError, match=f"criterion='{name}' is the name of another column of the scores: register"):
        choose(on_fit=lambda k: pytest.fail("it is refused before the fits"))
