"""Print pins of the lowest versions in the ranges of pyproject.toml, and of what the tests need with them.

PyTorch keeps its pin: on Linux, registries have its old versions only as builds for CUDA, which are gigabytes.
"""

from pins import FILES, read, solve, torch


def main() -> None:
    """Print the pins."""
    lowest = solve(["pyproject.toml", "--extra=all"], require=torch(), more=["--resolution=lowest-direct"])
    usual = [pin for file in FILES for pin in read(file)]
    print(*solve(["pyproject.toml", "--extra=all", "--group=dev"], usual, lowest), "-e .", sep="\n")


if __name__ == "__main__":
    main()
