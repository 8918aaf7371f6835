"""Write the requirements files from the ranges in pyproject.toml: `make pins`.

A pin that is in range stays. With `--upgrade` all pins but that of PyTorch become the newest versions. To move to
another PyTorch, change its line in requirements.txt first. The pins hold for every platform and Python version that
pyproject.toml allows: uv adds a marker where they differ.
"""

import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parents[1]


class Requirements(NamedTuple):
    """A requirements file: what it is for, what it pins, and its lines that are no pins."""

    purpose: str
    sets: list[str]  # extras and groups of pyproject.toml, as options of uv
    first: str = ""
    last: str = ""


BASE = "requirements.txt"
FILES = {
    BASE: Requirements(
        "What `make demo` installs: every dependency exactly, then the package itself from this folder.",
        ["pyproject.toml", "--extra=excel", "--extra=files", "--extra=plot"],
        last="-e .",
    ),
    "requirements-dev.txt": Requirements(
        "What `make test` and `make lint` add.",
        ["pyproject.toml", "--extra=all", "--group=dev"],
        first=f"-r {BASE}",
    ),
    "requirements-bench.txt": Requirements(
        "What `make bench` adds: those that we compare with.",
        ["pyproject.toml", "--extra=benchmarks"],
        first=f"-r {BASE}",
    ),
    "requirements-docs.txt": Requirements(
        "What `make site` adds, in an environment of its own.",
        ["pyproject.toml", "--group=docs"],
        first=f"-r {BASE}",
    ),
    "requirements-tools.txt": Requirements(
        "What `make pins`, `make wheel` and `make test-lowest` use, in an environment of their own.",
        ["--group=tools"],
    ),
}


def project() -> dict[str, Any]:
    """Return the table `project` of pyproject.toml."""
    table: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return table


def name(pin: str) -> str:
    """Return the name of the package that a line pins."""
    return pin.partition("==")[0].strip()


def read(file: str) -> list[str]:
    """Return the pins of a requirements file."""
    path = ROOT / file
    return [line for line in path.read_text(encoding="utf-8").splitlines() if "==" in line] if path.exists() else []


def solve(
    sets: Iterable[str], prefer: Iterable[str] = (), require: Iterable[str] = (), more: Iterable[str] = ()
) -> list[str]:
    """Return pins for the given extras and groups.

    Parameters
    ----------
    sets
        Extras and groups of pyproject.toml, as options of uv.
    prefer
        Pins to keep if they are in range.
    require
        Pins that must hold.
    more
        More options of uv.
    """
    python = project()["requires-python"].removeprefix(">=")
    with tempfile.TemporaryDirectory() as folder:
        output, constraints = Path(folder, "pins.txt"), Path(folder, "constraints.txt")
        output.write_text("\n".join(prefer))
        constraints.write_text("\n".join(require))
        command = [sys.executable, "-m", "uv", "pip", "compile", "--quiet", "--no-annotate", "--no-header"]
        command += [f"--python-version={python}", f"--output-file={output}", f"--constraints={constraints}"]
        command += [f"--excludes={ROOT / 'tools' / 'cuda-packages.txt'}", *more, *sets]
        subprocess.run(command, cwd=ROOT, check=True)
        return output.read_text(encoding="utf-8").splitlines()


def torch() -> list[str]:
    """Return the pin of PyTorch, which every environment of the project shares."""
    return [pin for pin in read(BASE) if name(pin) == "torch"]


def write(file: str, text: str) -> None:
    """Write a file, unless it is up to date: make installs what a newer file lists."""
    path = ROOT / file
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.write_text(text)
        print(f"wrote {file}")


def main() -> None:
    """Write all requirements files."""
    upgrade = sys.argv[1:] == ["--upgrade"]
    base: list[str] = []
    for file, wanted in FILES.items():
        prefer = [*base, *([] if upgrade else read(file))]
        pins = solve(wanted.sets, prefer, base if wanted.first else torch(), ["--universal", "--fork-strategy=fewest"])
        added = [pin for pin in pins if pin not in base]
        lines = [f"# {wanted.purpose}", "# Written by `make pins`.", wanted.first, *added, wanted.last]
        write(file, "".join(f"{line}\n" for line in lines if line))
        if file == BASE:
            base = pins


if __name__ == "__main__":
    main()
