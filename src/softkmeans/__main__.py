"""Entry point of ``python -m softkmeans`` and of the ``softkmeans`` command."""

from . import cli
from .cli.distributed import exit_process


def main() -> None:
    """Run the command line and exit."""
    try:
        cli.main()
    except SystemExit as end:
        exit_process(end.code if isinstance(end.code, int) else 0)


if __name__ == "__main__":
    main()
