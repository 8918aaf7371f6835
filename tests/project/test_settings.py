"""Each parameter of a fit once: signatures and docstrings derive from `Settings` and `RunOptions`."""

import inspect
from dataclasses import fields

import pytest

from softkmeans import FuzzyCMeans, InputError, SoftKMeans, accumulate, annealing_path, fit, train_layer
from softkmeans.registries import ASSIGNMENTS, DISTANCES, SEEDINGS, SOLVERS
from softkmeans.settings import RunOptions, Settings, describe, documented

HOME = {field.name: field for kind in (Settings, RunOptions) for field in fields(kind)}
FACES = {f.__name__: f for f in (fit, SoftKMeans, FuzzyCMeans, train_layer, accumulate, annealing_path)}
# The module is trained to a closer tolerance, by backpropagation, and from its own centroids by default.
OWN_DEFAULTS = {"train_layer": {"tol": 1e-6, "solver": "adam", "init": None}, "accumulate": {"temperature": None}}
OWN_DEFAULTS["annealing_path"] = {"tol": None}


def parameters(face):
    return inspect.signature(face).parameters


@pytest.mark.parametrize("name", FACES)
def test_defaults_are_those_of_the_settings(name):
    own = OWN_DEFAULTS.get(name, {})
    for parameter in parameters(FACES[name]).values():
        if parameter.name in HOME and parameter.name not in own and parameter.default is not parameter.empty:
            assert parameter.default is HOME[parameter.name].default, parameter.name


def test_every_setting_can_be_given():
    assert {field.name for field in fields(Settings)} <= set(parameters(fit))
    own = {"fuzzifier"}
    for face in (SoftKMeans, FuzzyCMeans):
        assert set(parameters(face)) <= set(HOME) | own
    assert set(HOME) <= set(parameters(fit)) | set(parameters(SoftKMeans))


@pytest.mark.parametrize("name", ["fit", "SoftKMeans", "FuzzyCMeans"])
def test_descriptions_are_those_of_the_settings(name):
    doc = " ".join(inspect.getdoc(FACES[name]).split())
    for parameter in parameters(FACES[name]):
        if parameter in HOME:
            text = " ".join(HOME[parameter].metadata["text"].split())
            assert (f"{parameter} : {HOME[parameter].metadata['kind']}" in doc) or parameter == "n_clusters"
            assert text in doc or parameter == "n_clusters", parameter
    assert "{" + "parameters}" not in doc


def test_lists_in_docstrings_come_from_the_registries():
    doc = inspect.getdoc(fit)
    for registry in (ASSIGNMENTS, DISTANCES, SEEDINGS, SOLVERS):
        assert registry.quoted() in doc
        assert all(f'"{name}"' in registry.quoted() for name in registry)


def test_help_lists_the_registered_names():
    assert describe("solver") == "Solver: auto, em, lbfgs, adam or online."
    assert "perplexity:NUMBER" in describe("temperature")
    assert all(describe(name) for name in ("distance", "init", "assignment", "n_init", "tol"))


def test_documented_fills_in_single_entries_and_the_rest():
    @documented
    def function(x, tol=Settings.tol, n_init=3):
        """Do it.

        Parameters
        ----------
        {n_init}
        x : int
            The value.
        {parameters}
        """

    names = [line.split(" : ")[0] for line in inspect.getdoc(function).splitlines() if " : " in line]
    assert names == ["n_init", "x", "tol"]
    assert "n_init : int, default=3" in function.__doc__


INVALID = {
    "n_init": (0, "n_init=0: give a whole number of 1 or more"),
    "max_iter": (2.5, "max_iter=2.5: give a whole number of 1 or more"),
    "tol": (-1, "tol=-1: give a finite number of 0 or more"),
    "growing_sample": ("yes", "growing_sample='yes': expected True or False"),
    "local_search": (1, "local_search=1: expected True or False"),
}


@pytest.mark.parametrize("name", INVALID)
def test_values_are_checked_where_they_are_defined(name):
    value, message = INVALID[name]
    with pytest.raises(InputError, match=f"^{message}$"):
        Settings(**{name: value})
    with pytest.raises(InputError, match=f"^{message}$"):
        fit([[0.0], [1.0]], 1, **{name: value})
