"""The layout shows the architecture: imports run one way, and nothing heavy is loaded before it is used."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import softkmeans

PACKAGE = Path(softkmeans.__file__).parent

# From the ground up; a module imports only from floors below its own, and inside a folder of its own.
FLOORS = [
    ["errors", "coloring", "sums", "forks", "interrupts"],
    ["checks", "atomic"],
    ["stats", "distances", "rules", "calibration"],
    ["blocks", "points"],
    ["kernels"],
    ["functional", "data", "callbacks"],
    ["space", "sorting", "reservoir", "validation", "metrics"],
    ["additive", "fingerprints"],
    ["ranks", "checkpoint_files"],
    ["checkpoints"],
    ["temperature"],
    ["objectives"],
    ["solvers", "family", "results"],
    ["loop", "inference", "layer", "plots"],
    ["paths", "watching"],
    ["seeding", "descent"],
    ["fit"],
    ["training", "incremental"],
    ["predictor"],
    ["clusterer"],
    ["mixture"],
    ["estimator", "fuzzy"],
    ["scaling", "selection"],
    ["saving", "summary", "deploy", "assignments"],
    ["cli"],
    ["__main__"],
]
FLOOR = {name: height for height, names in enumerate(FLOORS) for name in names}


def imports(path):
    """Yield the package's own top-level parts that a module imports, wherever in the file."""
    depth = len(path.relative_to(PACKAGE).parts)
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level == depth:
            yield from [node.module.split(".")[0]] if node.module else [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("softkmeans."):
            yield node.module.split(".")[1]


MODULES = sorted(p for p in PACKAGE.rglob("*.py") if p.relative_to(PACKAGE) != Path("__init__.py"))


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_run_one_way(path):
    own = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    assert own in FLOOR, f"give {own} a floor"
    above = [name for name in imports(path) if name != own and FLOOR[name] >= FLOOR[own]]
    assert not above


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
        "annealing_path",
        "callbacks",
        "critical_temperature",
        "data",
        "distances",
        "distributed",
        "export_onnx",
        "fit",
        "functional",
        "load",
        "make_blobs",
        "metrics",
        "paths",
        "plots",
        "read_table",
        "save",
        "scaling",
        "seeding",
        "select_n_clusters",
        "selection",
        "solvers",
        "sorting",
        "stability",
        "summarize",
        "summary",
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
