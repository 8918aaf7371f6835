"""Results show themselves in a few lines, however large they are."""

import importlib
import inspect
import pkgutil

import numpy as np
import pytest
import torch

import softkmeans
from softkmeans import Checkpoint, InputError, SoftKMeans, SoftKMeansLayer
from softkmeans._utils.brief import brief
from softkmeans.annealing import AnnealingPath, Level, Transition
from softkmeans.callbacks import Step
from softkmeans.data import Table
from softkmeans.data.files.tables import Frame
from softkmeans.errors import FitInterrupted
from softkmeans.estimators.provenance import Provenance
from softkmeans.fitting.results import Result
from softkmeans.metrics.reliability import Reliability
from softkmeans.model.stats import DistortionStats, Stats
from softkmeans.reports import Report
from softkmeans.selection import Description, Fits, Folds, Selection, Stability

MAX_LINES, MAX_WIDTH = 10, 120
N, K, D = 5000, 300, 200
LONG = "a column with a name that is rather long, number"
ROWS, CENTERS, PER_CLUSTER = np.ones((N, D)), np.ones((K, D)), np.ones(K)
TENSORS = {"many": torch.ones(K, D), "one": torch.ones(K), "scalar": torch.tensor(1.0)}
STEP = Step(123, 123456.789012345, 12.3456789012345, 123456.789012345, 1234.56789012345, 10, N, torch.ones(K, D))
LEVEL = Level(1234.5678901234, CENTERS, *[PER_CLUSTER] * 4, -1e9 / 7, 1e9 / 7, 1e9 / 7)
SPLIT = Transition(1234.56789012345678, 49, 299, "split")
PATH = AnnealingPath((LEVEL,) * 200, (SPLIT,) * 300, 1e5 / 3, float(N))
RESULT = Result(
    *(torch.ones(K, D), torch.ones(K), torch.ones(K)),
    *[1e9 / 7] * 4,
    *(torch.ones(K), 1 / 3, 300, False, (STEP,) * 300, (1 / 3,) * 50),
)
MODEL = SoftKMeans(K, init=CENTERS, temperature=list(PER_CLUSTER))
FEATURE = {"feature": LONG, "mean": 1.0, "rest_mean": 1.0, "effect_size": 1.0}
NAMES = [f"{LONG} {j}" for j in range(D)]
LARGE = {
    "Result": RESULT,
    "Step": STEP,
    "AnnealingPath": PATH,
    "Level": LEVEL,
    "Transition": SPLIT,
    "Stability": Stability(PER_CLUSTER, np.ones(N)),
    "Description": Description(NAMES, *[CENTERS] * 6),
    "Reliability": Reliability(*[np.ones(50)] * 3, 1 / 3),
    "Selection": Selection(
        K, "fuzzy_silhouette", {f"criterion {i}": i for i in range(20)}, 1 / 3, "tied_diag",
        {f"criterion {i}": np.ones(50) for i in range(20)}, dict.fromkeys(range(50), MODEL), True, (LONG,) * 20,
    ),
    "Fits": Fits(ROWS, np.ones(N), dict.fromkeys(range(50), MODEL), "tied", np.ones(50), 1.0, None, PATH, None),
    "Folds": Folds(np.ones((5, 50)), np.ones(5)),
    "Stats": Stats(TENSORS["one"], TENSORS["one"], TENSORS["many"], *[TENSORS["one"]] * 2, *[TENSORS["scalar"]] * 2),
    "DistortionStats": DistortionStats(
        *[TENSORS["one"]] * 2, TENSORS["many"], *[TENSORS["one"]] * 2, *[TENSORS["scalar"]] * 2, TENSORS["many"],
        TENSORS["one"],
    ),
    "Table": Table(ROWS, tuple(NAMES), np.array([LONG] * N), np.ones(N), tuple(NAMES), ROWS, (LONG,) * 9),
    "Frame": Frame(ROWS, ROWS, (LONG,) * 9),
    "Provenance": Provenance(
        f"softkmeans {LONG * 300}", dict.fromkeys("abcde", "1.2.3"), LONG, "f" * 64, N, [[FEATURE] * 3] * K
    ),
    "Report": Report({"n_clusters": K, "n_rows": N, "title": LONG * 10}),
    "Checkpoint": Checkpoint(f"/folder/{'long/' * 10}", every=10, seconds=60.0),
    "FitInterrupted": FitInterrupted(RESULT),
    "SoftKMeansLayer": SoftKMeansLayer(K, D, torch.linspace(0.5, 2.0, K), learn_temperature=True, learn_priors=True),
}  # fmt: skip


@pytest.mark.parametrize("name", LARGE)
def test_large_results_fit_in_ten_lines(name):
    assert type(LARGE[name]).__name__ == name
    lines = repr(LARGE[name]).splitlines()
    assert lines[0].startswith(f"{name}(")
    assert len(lines) <= MAX_LINES
    assert max(map(len, lines)) <= MAX_WIDTH


def public_records():
    """Return the named tuples and dataclasses with results that the public packages list, by name."""
    found = {}
    for info in pkgutil.iter_modules(softkmeans.__path__):
        if info.ispkg and not info.name.startswith("_") and info.name not in ("cli", "kernels"):
            module = importlib.import_module(f"softkmeans.{info.name}")
            members = [getattr(module, name) for name in getattr(module, "__all__", ())]
            found |= {m.__name__: m for m in members if inspect.isclass(m) and issubclass(m, tuple)}
    return found


NO_RESULTS = {  # records of settings, and what solvers and callers pass on
    "Assignment", "BatchPasses", "Evaluation", "Extras", "FullPasses", "Logits", "ModelSpec", "Params", "PassStats",
    "PlainState", "Scaling",
}  # fmt: skip


def test_each_public_result_is_tested():
    assert set(public_records()) - NO_RESULTS <= set(LARGE)


VALUES = [
    (np.array([0.5, 1 / 3]), "[0.5, 0.333333]"),
    (torch.zeros(7), "<tensor (7,)>"),
    (torch.zeros(3, device="meta"), "<tensor (3,)>"),
    (np.zeros((2, 1)), "<array (2, 1)>"),
    (np.float64(0.25), "np.float64(0.25)"),
    (list(range(6)), "[0, 1, 2, 3, 4, 5]"),
    (list(range(7)), "<list of 7>"),
    ({}, "{}"),
    ({"a": np.zeros(9)}, "{'a': <array (9,)>}"),
    (dict.fromkeys(range(9)), "<dict of 9>"),
    (1 / 3, "0.333333"),
    ("short", "'short'"),
    ("long" * 20, "<str>"),
    (None, "None"),
]


@pytest.mark.parametrize(("value", "expected"), VALUES, ids=lambda value: type(value).__name__)
def test_values(value, expected):
    assert brief(value) == expected


def test_short_records_show_their_values():
    assert repr(Stability(np.array([0.5, 0.25]), np.ones(9))) == "Stability(clusters=[0.5, 0.25], rows=<array (9,)>)"
    assert repr(SPLIT) == "Transition(temperature=1234.57, level=49, cluster=299, kind='split')"


def test_the_representation_of_a_layer_says_the_temperature():
    assert "temperature=0.25," in repr(SoftKMeansLayer(3, 2, 0.25))
    assert "temperature=0.5 to 2.0," in repr(SoftKMeansLayer(3, 2, torch.tensor([0.5, 2.0, 1.0])))


def test_an_error_that_carries_a_result_is_short():
    assert len(str(InputError(parameter="n_clusters", value=0, hint="raise it"))) < MAX_WIDTH
