"""Errors and warnings of the library as a command prints them: parameters are written as options."""

from __future__ import annotations

__all__ = ["options_in_messages", "print_fit_figures", "print_warnings"]

import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import typer
from typer.core import TyperOption

import softkmeans as sk

from .._utils.text import printable
from ..errors import InputError, Message, Setting, SharedError
from .distributed import process_rank
from .options import OPTIONS_BY_PARAMETER


@contextmanager
def options_in_messages(command: Any) -> Iterator[None]:
    """Write parameters in errors and warnings as options of a command.

    An InputError becomes a TyperException with the text to print, and KeyboardInterrupt a typer.Abort: Typer itself
    would exit silently, with the status of Ctrl-C for SIGTERM, too.
    """
    write_setting, before = _option_writer(command), warnings.formatwarning
    warnings.formatwarning = lambda warning, *_, **__: _line(_message_of(warning).render(write_setting))
    try:
        yield
    except InputError as error:
        if isinstance(error, SharedError) and process_rank():  # the first process prints the error for all
            raise typer.Exit(2) from None
        raise typer.TyperException(error.message.render(write_setting)) from error
    except KeyboardInterrupt:
        raise typer.Abort from None
    finally:
        warnings.formatwarning = before


def print_warnings(context: typer.Context, estimator: Any, stability: Any = None) -> None:
    """Print the warnings of `selection.diagnose` on standard error, with parameters as options of `fit`."""
    write_setting = _writer_of_fit(context)
    for warning in sk.selection.diagnose(estimator, stability):
        typer.echo(_line(Message(warning).render(write_setting)), err=True, nl=False)


def print_fit_figures(context: typer.Context, figures: Mapping[str, str]) -> None:
    """Print names and values, with parameters as options of `fit`."""
    write_setting = _writer_of_fit(context)
    rendered = {name: _message_of(value).render(write_setting) for name, value in figures.items()}
    sk.selection.summary.print_figures(rendered)


def _writer_of_fit(context: typer.Context) -> Callable[[Setting], str]:
    """Return a function that writes a parameter as an option of `fit`."""
    app: Any = context.find_root().command
    return _option_writer(app.commands["fit"])


def _line(warning: str) -> str:
    """Return the text of a warning as a line, in which names of columns can do nothing."""
    return f"warning: {printable(warning)}\n"


def _option_writer(command: Any) -> Callable[[Setting], str]:
    """Return a function that writes a parameter as an option of a command, or as Python does if there is none."""
    options = {option.name: option for option in command.params if isinstance(option, TyperOption)}

    def write_setting(setting: Setting) -> str:
        option = options.get(setting.name) or options.get(OPTIONS_BY_PARAMETER.get(setting.name, ""))
        if option is None:
            return str(setting)
        names = option.secondary_opts if option.is_flag and setting.value is False else option.opts
        name = next((name for name in names if name.startswith("--")), None)
        if name is None:  # a flag without a negative form
            return str(setting)
        return f"{name} {setting.value!r}" if setting.has_value and not option.is_flag else name

    return write_setting


def _message_of(warning: Warning | str) -> Message:
    """Return the text of a warning; texts of the library keep their parameters as data."""
    text = warning.args[0] if isinstance(warning, Warning) and warning.args else warning
    return text if isinstance(text, Message) else Message(str(warning))
