"""Centers that coincide are warned of by every fit, in one line that says why and what to do."""

import warnings

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from softkmeans import FuzzyCMeans, SoftKMeans, critical_temperature, fit, stability, summarize
from softkmeans.fitting import coincidence
from softkmeans.fitting.coincidence import coincident_clusters
from softkmeans.fitting.results import CoincidentCentersWarning
from softkmeans.model.assignment import Fuzzy, Softmax
from softkmeans.temperature import Schedule

RNG = np.random.default_rng(0)
X = np.concatenate([RNG.normal(at, 1.0, (60, 2)) for at in ([0, 0], [8, 0], [0, 8])]) + 1.0
CRITICAL = critical_temperature(X)  # 42.44
ABOVE = (
    rf"^all 3 centers coincide, because temperature 100 is above the critical temperature {CRITICAL:.4g}: lower the t"
)
TOO_HIGH = r"^all 3 centers coincide, because temperature .* is too high to separate clusters: lower the temperature$"
EQUAL = r"^2 or more of 3 centers coincide, because they are equal, and every update moves them alike: use other"
FUZZY = r"^all 3 centers coincide, because fuzzifier [24] is too high to separate clusters: lower fuzzifier$"
START = X[[0, 0, 60]]
CLOUD = RNG.normal(size=(100, 20))

# Fits whose centers coincide, and the warning.
FITS = {
    "one T": ({"temperature": 100.0}, ABOVE),
    "one T, learned priors": ({"temperature": 100.0, "priors": "learned"}, ABOVE),
    "one T each": ({"temperature": [100.0] * 3}, ABOVE),
    "critical": ({"temperature": "critical:2"}, "^all 3 centers coincide, because temperature 84.88 is above the crit"),
    "schedule": ({"temperature": Schedule([500.0, 100.0])}, ABOVE),
    "restarts": ({"temperature": 100.0, "n_init": 3}, ABOVE),
    "euclidean": ({"temperature": 100.0, "distance": "euclidean"}, TOO_HIGH),
    "cosine": ({"temperature": 10.0, "distance": "cosine"}, TOO_HIGH),
    "noise": ({"temperature": 100.0, "noise_distance": 1e3}, TOO_HIGH),
    "online": ({"temperature": 100.0, "solver": "online"}, ABOVE),
    "equal": ({"temperature": 1.0, "init": START, "empty_clusters": "keep"}, EQUAL),
    "equal, T learned": ({"init": START, "empty_clusters": "keep"}, EQUAL),
    "equal, online": ({"init": START, "solver": "online"}, EQUAL),
    "fuzzy": ({"assignment": Fuzzy(4.0)}, FUZZY),
    "fuzzy, euclidean": ({"assignment": Fuzzy(2.0), "distance": "euclidean"}, FUZZY),
    "fuzzy, equal": ({"assignment": "fuzzy", "init": START}, EQUAL),
}


@pytest.mark.parametrize("name", FITS)
def test_every_fit_warns(name):
    given, message = FITS[name]
    with pytest.warns(CoincidentCentersWarning, match=message) as caught:
        fit(CLOUD if message == FUZZY else X, 3, random_state=0, **given)
    assert len(caught) == 1
    assert "\n" not in str(caught[0].message)


def test_fuzzy_clusters_of_many_features():
    with pytest.warns(CoincidentCentersWarning, match="^all 10 centers coincide, because fuzzifier 2 is too high"):
        model = FuzzyCMeans(10, random_state=0).fit(load_digits().data)
    assert "centers coincide" in summarize(model)


def test_below_the_critical_temperature_other_centers_help():
    # So close to the unstable solution that EM stops at once.
    start = X.mean(0) + np.array([[0.0, 0.0], [1e-9, 0.0], [0.0, 1e-9]])
    message = "^all 3 centers coincide, although temperature 10 is below the critical temperature .*: use other initial"
    with pytest.warns(CoincidentCentersWarning, match=message):
        fit(X, 3, temperature=10.0, init=start)


DISTINCT = {
    "T learned": {},
    "T given": {"temperature": 1.0},
    "just below the critical temperature": {"temperature": "critical:0.8"},
    "fuzzy": {"assignment": "fuzzy"},
    "euclidean": {"distance": "euclidean"},
    "fuzzy, euclidean": {"assignment": "fuzzy", "distance": "euclidean"},
    "noise": {"temperature": 1.0, "noise_distance": 20.0},
    "schedule": {"temperature": Schedule([500.0, 100.0, 1.0])},  # they coincide at first
    "sample": {"growing_sample": True},
}


@pytest.mark.parametrize("name", DISTINCT)
def test_other_fits_do_not_warn(name):
    fit(X, 2 if name.startswith("just") else 3, random_state=0, **DISTINCT[name])


def test_resamples_do_not_warn():
    with pytest.warns(CoincidentCentersWarning):
        model = SoftKMeans(3, temperature=100.0, random_state=0).fit(X)
    stability(model, X, n_resamples=2, random_state=0)


@pytest.mark.parametrize("command", ["fit", "fit --stream"])
def test_a_command_warns_once(run, tmp_path, command):
    np.savetxt(tmp_path / "x.csv", X, delimiter=",", header="a,b", comments="")
    name, *options = command.split()
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        status, _, err = run(name, "x.csv", "--n-clusters", 3, "--temperature", 100, *options)
    assert status == 0
    assert err.count("coincide") == 1
    assert "all 3 centers coincide" in err


@pytest.mark.parametrize("rule", [Softmax(), Fuzzy(2.0)], ids=["softmax", "fuzzy"])
@pytest.mark.parametrize("equal_temperatures", [True, False])
def test_pairs_are_those_of_a_search_over_all(rule, equal_temperatures, monkeypatch):
    rng = np.random.default_rng(0)
    centers = torch.tensor(rng.normal(size=(80, 2)).round(1))
    beta = torch.ones(80).double() if equal_temperatures else torch.tensor(rng.uniform(0.1, 1.0, 80))
    expected = []
    for later in range(80):
        for earlier in range(later):
            apart = float((centers[later] - centers[earlier]).norm())
            logits = -torch.stack([beta[later] * 1.0, beta[earlier] * (1.0 + apart) ** 2])
            one, other = rule(logits).resp.tolist()
            if abs(one - other) < coincidence.MAX_MEMBERSHIP_DIFFERENCE:
                expected.append(later)
                break
    for block in (80, 300, 2**18):
        monkeypatch.setattr(coincidence, "BLOCK", block)
        assert coincident_clusters(centers, beta, 1.0, 2, rule) == expected
    assert expected
