"""Test the warning of a choice that most of the other criteria do not share."""

import warnings

import numpy as np
import pytest
from sklearn.datasets import load_wine
from sklearn.preprocessing import StandardScaler

from softkmeans import select_n_clusters
from softkmeans.errors import Setting
from softkmeans.selection.choice_warnings import _warn_about_majority

CASES = {
    # the choices of the criteria, the selected number, and the number that the warning names
    "all the same": ([3, 3, 3, 3], 3, None),
    "half": ([3, 3, 5, 5], 3, 5),
    "most": ([3, 5, 5, 5], 3, 5),
    "less than half": ([3, 3, 3, 5, 5], 3, None),
    "different others": ([3, 4, 5, 6], 3, None),
    "half of an odd number": ([3, 7, 8, 5, 5], 3, None),
    "one of two": ([3, 5], 3, None),
    "two of two": ([5, 5], 3, 5),
    "none": ([], 3, None),
}


@pytest.mark.parametrize("case", CASES)
def test_a_number_that_half_of_the_criteria_agree_on(case):
    choices, selected, named = CASES[case]
    found = _warn_about_majority({f"c{i}": k for i, k in enumerate(choices)}, selected)
    assert len(found) == (named is not None)
    if found:
        names = ", ".join(f"c{i}" for i, k in enumerate(choices) if k == named)
        count = choices.count(named)
        assert found[0].startswith(f"{count} of {len(choices)} criteria select {named}, not {selected}: {names};")
        assert not any(isinstance(part, Setting) for part in found[0].parts)


def selected(x, criterion):
    """Return a selection and the texts of its warnings that name criteria."""
    with warnings.catch_warnings(record=True):
        warnings.simplefilter("always")
        found = select_n_clusters(x, range(1, 9), criterion=criterion, n_resamples=10, random_state=0)
    return found, [text for text in found.warnings if "criteria select" in text]


def test_a_choice_that_the_others_do_not_share():
    wine = StandardScaler().fit_transform(load_wine().data)
    found, said = selected(wine, "held_out")
    assert (found.n_clusters, found.choices["bic"]) == (7, 3)
    same = [name for name, k in found.choices.items() if k == 3]
    assert len(said) == 1
    assert said[0].startswith(f"{len(same)} of {len(found.choices)} criteria select 3, not 7: {', '.join(same)};")
    assert selected(wine, "bic")[1] == []


def test_criteria_that_are_not_defined_for_one_cluster_do_not_speak_against_it():
    cloud = np.random.default_rng(0).normal(size=(300, 3)) * [4, 2, 1]
    found, said = selected(cloud, "bic")
    without = [name for name in found.choices if np.isnan(found.scores[name][0])]
    assert found.n_clusters == 1
    assert 2 * len(without) >= len(found.choices) - 1
    assert said == []
