"""Plugins: modules of the user, imported before a command runs, that register distances, solvers and the like."""

from __future__ import annotations

__all__ = ["import_plugin", "plugin_error"]

import importlib
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..errors import InputError

_plugins: dict[str, str] = {}  # the imported plugins, by their files


def plugin_error(error: Exception) -> InputError | None:
    """Return the error of a plugin if an exception comes from one while a command runs, else None."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename in _plugins]
    if not frames:
        return None
    file = frames[-1].filename
    return _error(_plugins[file], f"raised {_description(error)}", f"correct line {frames[-1].lineno} of {file}")


def import_plugin(plugin: str) -> None:
    """Import a plugin, unless it is imported already.

    Parameters
    ----------
    plugin : str
        Name of a module, which may be in the current folder; or the path of a file that ends in ``.py``.

    Raises
    ------
    InputError
        If there is no such module or file, if another module has its name, or if importing it raises an exception.
    """
    path = Path(plugin)
    is_path = path.suffix == ".py"
    folder, name = (path.parent, path.stem) if is_path else (Path(), plugin)
    parts = name.split(".")
    if not all(parts) or (is_path and len(parts) > 1):
        raise _error(plugin, "is not the name of a module", "give a name such as mine, or a file such as mine.py")
    if is_path and not path.is_file():
        raise _error(plugin, "is not found", "give the path of a file that exists")
    module = _imported(plugin, name, folder)
    module_file = str(getattr(module, "__file__", None))  # modules of the interpreter have none
    _plugins[module_file] = plugin
    file = folder.joinpath(*parts).with_suffix(".py")
    if file.is_file() and file.resolve() != Path(module_file).resolve():
        raise _error(plugin, f"has the name of another module, {name}", "rename the file")


def _imported(plugin: str, name: str, folder: Path) -> Any:
    """Return the module with a name; it may be in a folder."""
    try:
        with _searched_last(folder):
            return importlib.import_module(name)
    except (Exception, SystemExit) as error:  # whatever the user's code raises
        if isinstance(error, ModuleNotFoundError) and f"{name}.".startswith(f"{error.name}."):
            hint = "give a module of the current folder or an installed one, or the path of a file that ends in .py"
            raise _error(plugin, "is not found", hint) from None
        raise _error(plugin, f"raised {_description(error)}", f"correct {_place(error)}") from error


def _description(error: BaseException) -> str:
    """Return the type and the text of an exception."""
    text = " ".join((error.msg if isinstance(error, SyntaxError) else str(error)).split())
    return type(error).__name__ + (f" ({text})" if text else "")


@contextmanager
def _searched_last(folder: Path) -> Iterator[None]:
    """Search modules in a folder, too; last, so that a file there can't replace a module of Python or of a package."""
    importlib.invalidate_caches()
    entry = str(folder.resolve())
    sys.path.append(entry)
    try:
        yield
    finally:
        sys.path[:] = [other for other in sys.path if other is not entry]  # the folder may be there already


def _place(error: BaseException) -> str:
    """Return the line of the user's file where an exception was raised, as text."""
    if isinstance(error, SyntaxError):
        return f"line {error.lineno} of {error.filename}"
    stack = traceback.extract_tb(error.__traceback__)
    # The first frames are those of this file and of Python's import system.
    own = [
        frame for frame in stack if frame.filename not in (__file__, importlib.__file__) and frame.filename[0] != "<"
    ]
    lines = [frame.lineno for frame in own if frame.filename == own[0].filename]
    return f"line {lines[-1]} of {own[0].filename}" if own else "its file"


def _error(plugin: str, problem: str, hint: str) -> InputError:
    return InputError(problem, parameter="plugin", value=plugin, hint=hint)
