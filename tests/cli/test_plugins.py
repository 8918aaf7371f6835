"""Plugins: the user's own distances, solvers and the like, by name, in every command."""

import re
import sys
from itertools import chain
from pathlib import Path

import numpy as np
import pytest

from helpers.commands import succeeds
from softkmeans import SoftKMeans, load, make_blobs
from softkmeans.cli.app import COMMANDS
from softkmeans.distances import DISTANCES
from softkmeans.registries import REGISTRIES

PLUGIN = (Path(__file__).parents[1] / "helpers" / "programs" / "toys.py").read_text()
OPTIONS = ("--distance", "cauchy", "--solver", "gradient-descent", "--temperature", 1.0)
X = make_blobs(200, 2, 3, random_state=0)[0].double().numpy()


LIBRARY = [set(registry) for registry in REGISTRIES]


def forget_plugins(folder):
    """Undo what the modules in a folder have registered, and that they are imported."""
    for registry, names in zip(REGISTRIES, LIBRARY, strict=True):
        for name in set(registry) - names:
            registry.unregister(name)
    for name, module in list(sys.modules.items()):
        if str(folder) in str(getattr(module, "__file__", "")):
            del sys.modules[name]


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Return a function that writes a module; what modules register is removed after the test."""
    monkeypatch.chdir(tmp_path)
    np.save("x.npy", X)

    def write_module(name, text=PLUGIN):
        file = tmp_path / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)

    yield write_module
    forget_plugins(tmp_path)


PLACES = {
    "after the command": ("fit", "x.npy", "--plugin", "mine"),
    "before the command": ("--plugin", "mine", "fit", "x.npy"),
    "an equals sign": ("fit", "--plugin=mine", "x.npy"),
    "a path": ("fit", "x.npy", "--plugin", "mine.py"),
    "a path in a folder": ("--plugin", "folder/mine.py", "fit", "x.npy"),
    "an absolute path": ("fit", "x.npy", "--plugin", "{folder}/folder/mine.py"),
    "a package": ("fit", "x.npy", "--plugin", "folder.mine"),
    "a name that is no identifier": ("fit", "x.npy", "--plugin", "my-plugin.py"),
    "twice": ("--plugin", "mine", "fit", "x.npy", "--plugin", "mine", "--plugin", "./mine.py"),
}


@pytest.mark.slow
@pytest.mark.parametrize("place", PLACES)
def test_names_of_a_plugin_are_options(place, write, run, tmp_path):
    for name in ("mine.py", "folder/mine.py", "my-plugin.py"):
        write(name)
    before = list(sys.path)
    words = [word.format(folder=tmp_path) for word in PLACES[place]]
    succeeds(run(*words, "-k", 3, *OPTIONS, "--out", "m.safetensors"))
    expected = SoftKMeans(3, distance="cauchy", solver="gradient-descent", temperature=1.0, random_state=0).fit(X)
    found = load("m.safetensors")
    np.testing.assert_allclose(found.cluster_centers_, expected.cluster_centers_, rtol=1e-9)
    assert found.n_iter_ == expected.n_iter_
    assert sys.path == before


def test_several_plugins(write, run):
    classes, registrations = PLUGIN.split("DISTANCES.register", 1)
    write("one.py", classes)
    write("two.py", f"from one import *\nDISTANCES.register{registrations}")  # the other one is found, too
    succeeds(run("--plugin", "one", "fit", "x.npy", "--plugin", "two", "-k", 3, *OPTIONS))


@pytest.mark.slow
@pytest.mark.parametrize("command", [command.__name__ for command in COMMANDS])
def test_every_command_imports_plugins(command, write, run):
    write("mine.py")
    succeeds(run(command, "--help", "--plugin", "mine"))
    assert "cauchy" in DISTANCES


@pytest.mark.slow
@pytest.mark.parametrize("words", [["fit", "--plugin", "mine", "--help"], ["fit", "--help", "--plugin", "mine"]])
def test_help_shows_the_names_of_a_plugin(words, write, run, monkeypatch):
    monkeypatch.setenv("COLUMNS", "300")
    assert "cauchy" not in succeeds(run("fit", "--help"))
    write("mine.py")
    out = succeeds(run(*words))
    assert "Distance between rows and centers: sqeuclidean, euclidean, cosine, cauchy or manhattan." in out
    assert "Solver: auto, em, lbfgs, adam, online or gradient-descent." in out


BROKEN = """
from softkmeans.callbacks import CALLBACKS, Callback
from softkmeans.distances import DISTANCES, Distance

class Broken(Callback):
    def on_step(self, step):
        return 1 / 0

class Wrong(Distance):
    name = "wrong"
    power = 1
    def of_squared(self, squared):
        return squared.nope()

CALLBACKS.register("broken", Broken)
DISTANCES.register("wrong", Wrong)
"""
BROKEN_MEMBERS = {
    "a callback": (
        ["--callback", "broken"],
        r"raised ZeroDivisionError \(division by zero\): correct line 7 of \S+mine.py",
    ),
    "a distance": (["--distance", "wrong"], r"raised AttributeError \(.*'nope'\): correct line 13 of \S+mine.py"),
}


@pytest.mark.parametrize("member", BROKEN_MEMBERS)
def test_a_member_of_a_plugin_that_fails_in_a_fit_is_named_in_one_line(member, write, run):
    words, message = BROKEN_MEMBERS[member]
    write("mine.py", BROKEN)
    status, out, err = run("fit", "x.npy", "-k", 3, "--plugin", "mine.py", *words, "--out", "m.safetensors")
    assert (status, out) == (2, "")
    assert re.fullmatch(rf"error: --plugin 'mine.py' {message}\n", err)
    assert not Path("m.safetensors").exists()


FAILING = {
    "division.py": "def f():\n    return 1 / 0\n\nf()\n",
    "syntax.py": "x = 1\ny = = 2\n",
    "needs.py": "import not_installed\n",
    "exits.py": "import sys\n\nsys.exit()\n",
    "twice.py": PLUGIN + 'DISTANCES.register("euclidean",\n    Cauchy)\n',
    "wrong.py": "from softkmeans.distances import DISTANCES\nDISTANCES.register('mine', 3)\n",
    "json.py": PLUGIN,
    "dotted.name.py": PLUGIN,
    "helped.py": "from folder.failing import f\nf()\n",
    "folder/failing.py": "def f():\n    raise KeyError('x')\n",
}
RAISED = {
    "division": "ZeroDivisionError (division by zero): correct line 2 of {folder}/division.py",
    "syntax": "SyntaxError (invalid syntax): correct line 2 of {folder}/syntax.py",
    "needs": "ModuleNotFoundError (No module named 'not_installed'): correct line 1 of {folder}/needs.py",
    "exits": "SystemExit: correct line 3 of {folder}/exits.py",
    "twice": "InputError (distance='euclidean' is registered already: use another name): "
    f"correct line {PLUGIN.count(chr(10)) + 1} of {{folder}}/twice.py",
    "wrong": "InputError (distance='mine' is of type int, expected a Distance): correct line 2 of {folder}/wrong.py",
    "helped": "KeyError ('x'): correct line 2 of {folder}/helped.py",
}
NOT_FOUND = (
    "is not found: give a module of the current folder or an installed one, or the path of a file that ends in .py"
)
ERRORS = {plugin: f"raised {text}" for plugin, text in RAISED.items()} | {
    "nowhere": NOT_FOUND,
    "division.nowhere": "raised " + RAISED["division"],  # imported first, as the package of the module
    "softkmeans.nowhere": NOT_FOUND,
    "nowhere.py": "is not found: give the path of a file that exists",
    "": "is not the name of a module: give a name such as mine, or a file such as mine.py",
    ".division": "is not the name of a module: give a name such as mine, or a file such as mine.py",
    "dotted.name.py": "is not the name of a module: give a name such as mine, or a file such as mine.py",
    "json.py": "has the name of another module, json: rename the file",
    "json": "has the name of another module, json: rename the file",
}


@pytest.mark.slow
@pytest.mark.parametrize("plugin", ERRORS)
@pytest.mark.parametrize("before_the_command", [True, False])
def test_errors_are_one_line(plugin, before_the_command, write, run, tmp_path):
    for name, text in FAILING.items():
        write(name, text)
    words = [["--plugin", plugin], ["fit", "x.npy"]]
    status, out, err = run(*chain.from_iterable(words if before_the_command else words[::-1]))
    assert err == f"error: --plugin {plugin!r} {ERRORS[plugin].format(folder=tmp_path)}\n"
    assert (status, out) == (2, "")


def test_a_model_file_does_not_import_a_plugin(write, run, tmp_path):
    write("mine.py")
    outputs = ("--out", "m.safetensors", "--assignments", "a.csv")
    succeeds(run("fit", "x.npy", "-k", 3, "--plugin", "mine", *OPTIONS, *outputs))
    forget_plugins(tmp_path)
    status, out, err = run("predict", "m.safetensors", "x.npy")
    assert (status, out) == (2, "")
    assert re.fullmatch(r"error: m\.safetensors needs [^\n]*'cauchy'[^\n]* not registered: [^\n]*--plugin[^\n]*\n", err)
    assert succeeds(run("predict", "m.safetensors", "x.npy", "--plugin", "mine.py")) == Path("a.csv").read_text()
