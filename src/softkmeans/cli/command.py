"""What all commands share: the option --plugin, help texts with registered names, and messages that name options."""

from __future__ import annotations

__all__ = ["Command", "Group", "Plugin", "with_plugins"]

import functools
import inspect
from collections.abc import Callable
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup
from typing_extensions import override

from ..errors import InputError
from .messages import options_in_messages
from .options import describe_option, with_suffixes
from .plugins import import_plugin, plugin_error

Plugin = Annotated[
    list[str] | None,
    typer.Option(
        metavar="MODULE",
        help="Python module to import first, in which you register distances, solvers or the like: its name, or the "
        "path of its .py file; can be given several times.",
    ),
]


class Command(TyperCommand):
    """A command that imports plugins before anything else, and describes the options without a help text of their own.

    Descriptions list registered names and the suffixes of file formats, so they are filled in again when plugins are
    imported.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._help_texts = [(param, getattr(param, "help", None)) for param in self.params]
        self._describe_options()

    def _describe_options(self) -> None:
        for option, text in self._help_texts:
            described = describe_option(option.name) if text is None else with_suffixes(text)
            option.help = described  # type: ignore[attr-defined]

    @override
    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        _import_plugins(self, ctx, args)
        self._describe_options()
        return super().parse_args(ctx, args)

    @override
    def invoke(self, ctx: Any) -> Any:
        with options_in_messages(self):
            try:
                return super().invoke(ctx)
            except (InputError, typer.Exit, typer.TyperException):
                raise
            except Exception as error:
                blamed = plugin_error(error)
                if blamed is None:
                    raise
                raise blamed from error


class Group(TyperGroup):
    """The program: imports plugins that are given before the command."""

    @override
    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        _import_plugins(self, ctx, args)
        return super().parse_args(ctx, args)


def _import_plugins(command: Any, ctx: Any, args: list[str]) -> None:
    """Import the plugins in the arguments of a command, wherever they are, before its other options take effect."""
    options, _, _ = command.make_parser(ctx).parse_args(args=list(args))
    with options_in_messages(command):
        for plugin in options.get("plugin") or ():
            import_plugin(plugin)


def with_plugins(function: Callable[..., None]) -> Callable[..., None]:
    """Add the option --plugin, which the class `Command` handles, to the function of a command."""

    @functools.wraps(function)
    def command(*, plugin: Any = None, **arguments: Any) -> None:
        function(**arguments)

    signature = inspect.signature(function, eval_str=True)
    option = inspect.Parameter("plugin", inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Plugin)
    parameters = [*signature.parameters.values(), option]
    command.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    return command
