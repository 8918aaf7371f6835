"""The layout shows the architecture: imports run one way, and nothing heavy is loaded before it is used."""

import subprocess
import sys
from pathlib import Path

import pytest

import softkmeans

PACKAGE = Path(softkmeans.__file__).parent

MODULES = sorted(p for p in PACKAGE.rglob("*.py") if p.relative_to(PACKAGE) != Path("__init__.py"))


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_files_stay_small(path):
    assert len(path.read_text().splitlines()) <= 400


def test_public_names():
    assert set(softkmeans.__all__) == {
        "Callback",
        "Checkpoint",
        "ClusterDisplay",
        "EarlyStopping",
        "FitInterrupted",
        "FuzzyCMeans",
        "InputError",
        "LossDisplay",
        "LossLogger",
        "LossPrinter",
        "MissingExtraError",
        "ProgressBar",
        "RankLostError",
        "Result",
        "SoftKMeans",
        "SoftKMeansLayer",
        "Stats",
        "Step",
        "TimeLimit",
        "accumulate",
        "annealing",
        "annealing_path",
        "callbacks",
        "critical_temperature",
        "data",
        "distances",
        "distributed",
        "estimators",
        "export_onnx",
        "fit",
        "functional",
        "load",
        "make_blobs",
        "metrics",
        "plots",
        "read_table",
        "save",
        "seeding",
        "select_n_clusters",
        "selection",
        "solvers",
        "stability",
        "summarize",
        "temperature",
        "train_layer",
        "write_assignments",
    }
    for name in softkmeans.__all__:
        assert getattr(softkmeans, name) is not None


SMALL = """
from sklearn.datasets import load_digits
from softkmeans import SoftKMeans
x = load_digits().data
SoftKMeans(3, random_state=0).fit(x).predict_proba(x)
"""
HEAVY = ["torch", "sklearn", "scipy", "matplotlib", "pyarrow", "pandas"]


@pytest.mark.parametrize(
    ("statement", "unloaded"),
    [
        ("import softkmeans", HEAVY),
        ("import softkmeans.cli", HEAVY),
        ("from softkmeans import SoftKMeansLayer", ["sklearn", "matplotlib", "pyarrow", "pandas"]),
        (SMALL, ["matplotlib", "llvmlite", "dask", "distributed"]),  # scikit-learn itself looks for pandas
    ],
    ids=["the package", "the command line", "a layer", "an estimator of few rows"],
)
def test_nothing_heavy_is_loaded_before_it_is_used(statement, unloaded):
    code = f"import sys\n{statement}\nprint([m for m in {unloaded} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("[]\n", "")
