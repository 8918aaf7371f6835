"""The layout shows the architecture: imports run one way, and nothing heavy is loaded before it is used."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

import softkmeans
from softkmeans.data import FORMATS

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
    assert files(PACKAGE) == {"__main__", "errors", "registries", "settings"}
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


# Functions with many parameters that users call; a command's parameters are its options.
PUBLIC_FUNCTIONS = {
    "annealing/path.py": {"annealing_path"},
    "estimators/fuzzy_cmeans.py": {"__init__"},
    "estimators/soft_kmeans.py": {"__init__"},
    "fitting/fit.py": {"fit"},
    "functional/losses.py": {"distortion", "free_energy", "nll"},
    "nn/codebook.py": {"__init__"},
    "nn/layer.py": {"__init__"},
    "nn/training.py": {"train_layer"},
    "selection/n_clusters.py": {"select_n_clusters"},
}
MAX_PARAMETERS = 8


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_only_public_functions_have_many_parameters(path):
    name = path.relative_to(PACKAGE).as_posix()
    command = {path.stem} if path.parent.name == "cli" else set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef) and node.name not in PUBLIC_FUNCTIONS.get(name, set()) | command:
            arguments = (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)
            assert len([a for a in arguments if a.arg not in ("self", "cls")]) <= MAX_PARAMETERS, node.name


# The members of the extension points and the objectives, by the room that may tell them apart.
MEMBERS = {
    "distances": {"Cosine", "Euclidean", "SquaredEuclidean"},
    "model": {"Fuzzy", "Softmax"},
    "objectives": {"Distortion", "Equilibrium", "FixedPoint", "FreeEnergy", "FuzzyDistortion", "NegativeLogLikelihood"},
    "solvers": {"Adam", "Em", "Lbfgs", "Online"},
    "temperature": {
        "Calibrated", "Critical", "Fixed", "MaximumLikelihood", "NoTemperature", "Perplexity", "Schedule",
    },
}  # fmt: skip


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_members_are_not_told_apart_elsewhere(path):
    """Check that no isinstance and no comparison of types or names asks which member something is."""
    room = path.relative_to(PACKAGE).parts[0]
    members = set().union(*(names for owner, names in MEMBERS.items() if owner != room))
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("isinstance", "issubclass"):
            asked = {n.id for n in ast.walk(node.args[1]) if isinstance(n, ast.Name)}
            assert not asked & members, ast.unparse(node)
        if isinstance(node, ast.Compare):
            operands = [node.left, *node.comparators]
            assert not {o.id for o in operands if isinstance(o, ast.Name)} & members, ast.unparse(node)
            named = [o for o in operands if isinstance(o, ast.Attribute) and o.attr == "name"]
            assert not (named and any(isinstance(o, ast.Constant) for o in operands)), ast.unparse(node)


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
        "SoftCodebook",
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
        "describe_clusters",
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
        "predictor",
        "read_table",
        "report",
        "reports",
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


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_suffixes_of_files_are_known_to_their_formats_alone(path):
    if "formats" in path.relative_to(PACKAGE).parts:
        return
    texts = {node.value for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Constant)}
    assert not texts & {suffix for known in FORMATS.values() for suffix in known.suffixes}
