"""Where the command line begins and ends: the commands, and what becomes of their errors."""

from __future__ import annotations

__all__ = ["app", "main"]

import functools
import sys
import warnings
from collections.abc import Callable
from typing import Annotated, Any

import typer

import softkmeans as sk

from .._utils.signals import exit_status, terminable
from ..errors import InputError, MissingExtraError, RankLostError, SharedError
from .anneal import anneal
from .demo import demo
from .distributed import number
from .fit import fit
from .info import info
from .messages import as_options
from .plot import plot
from .predict import predict
from .select import select

app = typer.Typer(
    help="Soft k-means clustering: a probability for every cluster.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

COMMANDS = (demo, fit, select, anneal, predict, plot, info)


def _interruptible(command: Callable[..., Any]) -> Callable[..., Any]:
    """Have interruptions come to `main`: Typer would end without a word, by the status of Ctrl-C for SIGTERM too."""

    @functools.wraps(command)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        try:
            return command(*args, **kwargs)
        except KeyboardInterrupt:
            raise typer.Abort from None

    return wrapped


for _command in COMMANDS:
    app.command()(_interruptible(_command))


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"softkmeans {sk.__version__}")
        raise typer.Exit


@app.callback()
def _common(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    pass


def main() -> None:
    """Run the command line: errors are one line on standard error, with exit status 2."""
    warnings.formatwarning = lambda message, *_, **__: f"warning: {message}\n"
    try:
        with terminable():
            sys.exit(app(standalone_mode=False))
    except typer.TyperException as error:
        *names, last = [command.__name__ for command in COMMANDS]
        _fail(error.format_message() or f"give a command: {', '.join(names)} or {last}")
    except SharedError as error:
        if number():  # the first says it
            sys.exit(2)
        _fail(as_options(str(error)))
    except (InputError, MissingExtraError, OSError, RankLostError) as error:
        _fail(as_options(str(error)))
    except (KeyboardInterrupt, typer.Abort):
        if not number():  # the first says it
            typer.echo("interrupted: nothing was written", err=True)
        sys.exit(exit_status())


def _fail(message: str) -> None:
    typer.echo(f"error: {' '.join(message.split())}", err=True)
    sys.exit(2)
