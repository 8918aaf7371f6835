"""Print pins of the lowest versions in the ranges of pyproject.toml, and of what the tests need with them.

PyTorch keeps its pin: on Linux, registries have its old versions only as builds for CUDA, which are gigabytes.
"""

from collections.abc import Iterator

from packaging.requirements import Requirement
from pins import FILES, project, read, solve, torch


def lowest() -> Iterator[str]:
    """Yield a pin of the lower bound of each dependency."""
    extras = project()["optional-dependencies"]
    for line in [*project()["dependencies"], *(line for extra in extras.values() for line in extra)]:
        requirement = Requirement(line)
        for bound in requirement.specifier:
            if requirement.name != "torch":
                yield f"{requirement.name}=={bound.version}"


def main() -> None:
    """Print the pins."""
    usual = [pin for file in FILES for pin in read(file)]
    print(*solve(["pyproject.toml", "--extra=all", "--group=dev"], usual, [*lowest(), *torch()]), "-e .", sep="\n")


if __name__ == "__main__":
    main()
