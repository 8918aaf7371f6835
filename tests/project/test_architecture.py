"""The layout shows the architecture: imports run one way, and nothing heavy is loaded before it is used."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

import softkmeans

PACKAGE = Path(softkmeans.__file__).parent

MODULES = sorted(p for p in PACKAGE.rglob("*.py") if p.relative_to(PACKAGE) != Path("__init__.py"))


PAGE = Path(__file__).parents[2] / "docs" / "architecture.md"
ROOMS = sorted(path.parent for path in PACKAGE.glob("*/__init__.py"))


def named(text):
    """Names in backticks, folders without their slash."""
    return {name.strip("/") for name in re.findall(r"`(\w+/?)`", text)}


def files(folder):
    return {path.stem for path in folder.glob("*.py")} - {"__init__"}


def test_at_the_top_are_rooms():
    assert files(PACKAGE) == {"__main__", "errors", "functional", "registries", "settings"}
    rows = re.findall(r"^\| `(\w+)/` \|", PAGE.read_text(), re.MULTILINE)
    assert sorted(rows) == [room.name for room in ROOMS]


@pytest.mark.parametrize("room", ROOMS, ids=lambda path: path.name)
def test_the_page_names_the_files_of_a_room(room):
    (row,) = re.findall(rf"^\| `{room.name}/` \| [^|]* \| (.*) \|$", PAGE.read_text(), re.MULTILINE)
    folders = {path.parent.name for path in room.glob("*/__init__.py")}
    assert named(row) == files(room) | folders
    for folder in folders:
        assert files(room / folder) <= named(PAGE.read_text())


@pytest.mark.parametrize("room", [PACKAGE, *ROOMS], ids=lambda path: path.name)
def test_packages_only_re_export(room):
    allowed = (ast.Import, ast.ImportFrom, ast.Expr, ast.Assign, ast.Try)
    body = ast.parse((room / "__init__.py").read_text()).body
    assert all(isinstance(node, allowed) for node in body)


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


@pytest.mark.process
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
