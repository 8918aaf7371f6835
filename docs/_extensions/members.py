"""What the template of a class lists: the methods and properties that are the library's own."""

import inspect
from importlib import import_module

from sphinx.application import Sphinx


def own(fullname: str) -> list[tuple[str, str]]:
    """Return (directive, name) for each public method and property of a class, in the order of the source."""
    module, _, name = fullname.rpartition(".")
    cls = getattr(import_module(module), name)
    found: dict[str, str] = {}
    for base in cls.__mro__:
        for member, value in vars(base).items():
            function = getattr(value, "fget", None) or getattr(value, "__func__", value)
            is_own = (getattr(function, "__module__", None) or "").startswith("softkmeans")
            if is_own and inspect.isfunction(function) and not member.startswith("_"):
                found.setdefault(member, "autoproperty" if isinstance(value, property) else "automethod")
    return [(directive, member) for member, directive in found.items()]


def setup(app: Sphinx) -> dict[str, bool]:
    """Give the function to templates."""
    app.config.autosummary_context = {"own": own}
    return {"parallel_read_safe": True, "parallel_write_safe": True}
