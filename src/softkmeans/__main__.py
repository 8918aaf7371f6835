"""``python -m softkmeans`` and the ``softkmeans`` command."""

from . import cli
from .cli.distributed import leave


def main() -> None:
    """Run the command line to the end of this process."""
    try:
        cli.main()
    except SystemExit as end:
        leave(end.code if isinstance(end.code, int) else 0)


if __name__ == "__main__":
    main()
