"""The Typer application: its commands, and how their errors are printed."""

from __future__ import annotations

__all__ = ["app", "main"]

import sys
from typing import Annotated

import typer

import softkmeans as sk

from .._utils.registry import one_of
from .._utils.signals import exit_status, terminable
from .._utils.text import printable
from ..errors import MissingExtraError, RankLostError
from .anneal import anneal
from .command import Command, Group, Plugin, with_plugins
from .demo import demo
from .distributed import process_rank
from .fit import fit
from .info import info
from .plain_text import replace_unsupported_characters
from .plot import plot
from .predict import predict
from .report import report
from .select import select

app = typer.Typer(
    cls=Group,
    help="Soft k-means clustering: the probability of every cluster for every row.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

COMMANDS = (demo, fit, select, anneal, predict, plot, report, info)

for _command in COMMANDS:
    app.command(cls=Command)(with_plugins(_command))


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"softkmeans {sk.__version__}")
        raise typer.Exit


@app.callback()
def _common(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_print_version, is_eager=True)
    ] = False,
    plugin: Plugin = None,
) -> None:
    pass


def main() -> None:
    """Run the command line; print an error as one line on standard error, and exit with status 2."""
    replace_unsupported_characters()
    try:
        with terminable():
            sys.exit(app(standalone_mode=False))
    except typer.TyperException as error:
        names = [command.__name__ for command in COMMANDS]
        _fail(error.format_message() or f"no command given: choose {one_of(names)}")
    except (MissingExtraError, OSError, RankLostError) as error:
        _fail(str(error))
    except (KeyboardInterrupt, typer.Abort):
        if not process_rank():  # only the first process prints
            typer.echo("interrupted: nothing was written", err=True)
        sys.exit(exit_status())


def _fail(message: str) -> None:
    typer.echo(f"error: {printable(' '.join(message.split()))}", err=True)
    sys.exit(2)
