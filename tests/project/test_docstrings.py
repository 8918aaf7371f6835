"""Whatever is public says what it does, names its parameters, and shows how it is used."""

import inspect
import re
import types

import pytest

import softkmeans
from softkmeans import FuzzyCMeans, SoftCodebook, SoftKMeans, SoftKMeansLayer
from softkmeans.distances import Distance

FACES = (SoftKMeans, FuzzyCMeans, SoftCodebook, SoftKMeansLayer)  # whose methods users call: each is shown at work


def is_ours(thing):
    return (getattr(thing, "__module__", None) or "").partition(".")[0] == "softkmeans"


def contents(module):
    """Yield the public functions and classes of a module, and of the modules that it exports."""
    for name in module.__all__:
        thing = getattr(module, name)
        if isinstance(thing, types.ModuleType):
            yield from contents(thing)
        elif is_ours(thing) and (inspect.isfunction(thing) or inspect.isclass(thing)):
            yield thing


def methods(cls):
    """Yield the public methods and properties that a class has from this package, by name."""
    for name in dir(cls):
        found = inspect.getattr_static(cls, name)
        function = getattr(found, "fget", None) or getattr(found, "__func__", found)
        if not name.startswith("_") and inspect.isfunction(function) and is_ours(function):
            yield name, found


def sections(docstring):
    """Cut a numpydoc docstring into its sections, by their titles."""
    title, *parts = re.split(r"^(\w[\w ]*)\n-{3,}$", docstring, flags=re.MULTILINE)
    return {"": title} | dict(zip(parts[::2], parts[1::2], strict=True))


def documented(docstring):
    """Give the names that the sections of parameters and attributes have entries for."""
    found = sections(docstring)
    text = found.get("Parameters", "") + found.get("Attributes", "")
    entries = re.findall(r"^\S.*$", text, flags=re.MULTILINE)
    return {name.strip(" *`") for entry in entries for name in entry.split(" : ")[0].split(",")}


def parameters(thing):
    return set(inspect.signature(thing).parameters) - {"self", "cls"}


def is_made(cls):
    """Whether a class is made into objects by those who use it: not an interface, nor an exception, to be caught."""
    return not (inspect.isabstract(cls) or issubclass(cls, BaseException))


def is_shown(cls):
    """Whether a class needs an example: not a record, which is handed out, nor what a table has a name for."""
    is_entry = any(inspect.isabstract(base) or base is Distance for base in cls.__mro__[1:])
    return is_made(cls) and not is_entry and not issubclass(cls, tuple)


PUBLIC = {f"{thing.__module__}.{thing.__qualname__}": thing for thing in contents(softkmeans)}
CLASSES = {name: thing for name, thing in PUBLIC.items() if inspect.isclass(thing)}
METHODS = {f"{name}.{method}": found for name, cls in CLASSES.items() for method, found in methods(cls)}
CALLED = {
    f"{cls.__module__}.{cls.__qualname__}.{name}": getattr(cls, name)
    for cls in FACES
    for name, found in methods(cls)
    if not isinstance(found, property)
}
EXAMPLES = {n: thing for n, thing in PUBLIC.items() if not inspect.isclass(thing) or is_shown(thing)} | CALLED
PARAMETERS = {n: thing for n, thing in PUBLIC.items() if not inspect.isclass(thing) or is_made(thing)} | CALLED


def test_the_walk_finds_what_users_see():
    assert {"softkmeans.estimators.soft_kmeans.SoftKMeans", "softkmeans.data.synthetic.make_blobs"} <= set(EXAMPLES)
    assert {"softkmeans.nn.layer.SoftKMeansLayer.loss", "softkmeans.callbacks.stopping.TimeLimit.on_step"} <= set(
        METHODS
    )
    assert "softkmeans.estimators.soft_kmeans.SoftKMeans.fit" in CALLED


@pytest.mark.slow
@pytest.mark.parametrize("name", PUBLIC | METHODS)
def test_everything_has_a_docstring(name):
    cls, _, method = name.rpartition(".")
    docstring = inspect.getdoc(PUBLIC[name] if name in PUBLIC else getattr(CLASSES[cls], method))
    assert docstring
    assert docstring.splitlines()[0].strip().endswith((".", ":"))


@pytest.mark.parametrize("name", sorted(EXAMPLES))
def test_everything_called_is_shown_at_work(name):
    assert ">>> " in sections(inspect.getdoc(EXAMPLES[name])).get("Examples", "")


@pytest.mark.parametrize("name", sorted(PARAMETERS))
def test_every_parameter_is_documented(name):
    thing = PARAMETERS[name]
    assert parameters(thing) <= documented(inspect.getdoc(thing))
