"""The README and the docs show what really happens: their commands and code are run, their outputs compared."""

import doctest
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import matplotlib.pyplot as plt
import pytest

ROOT = Path(__file__).parents[2]
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def console_blocks(page):
    return re.findall(r"```console\n(.*?)```", (ROOT / page).read_text(), re.DOTALL)


def commands(block):
    """Pairs of a command and the output shown for it."""
    parts = re.split(r"^\$ (.*)\n", block, flags=re.MULTILINE)[1:]
    return list(zip(parts[::2], parts[1::2], strict=True))


def check(command, expected, status, found):
    assert status == (2 if expected.startswith("error:") else 0), found
    assert doctest.OutputChecker().check_output(expected, found, FLAGS), f"$ {command}\n{found}"


APART = ("select", "info")  # other tests run the other commands in processes of their own


@pytest.mark.slow
def test_console_commands_print_what_the_readme_says(tmp_path, run):
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    shown = [pair for block in console_blocks("README.md") for pair in commands(block)]
    assert len(shown) >= 5
    for command, expected in shown:
        program, *words = shlex.split(command)
        if program == "softkmeans" and words[0] not in APART:
            status, out, err = run(*words)
        else:
            done = subprocess.run(  # noqa: S602 -- the commands are the README's own
                command,
                shell=True,
                cwd=tmp_path,
                env=os.environ | {"PATH": path},
                capture_output=True,
                text=True,
                check=False,
            )
            status, out, err = done.returncode, done.stdout, done.stderr
        check(command, expected, status, out + err)
    assert {"labels.csv", "wine.html", "wine.safetensors", "out"} <= {p.name for p in tmp_path.iterdir()}


NAMES = (
    "mathematics",
    "files",
    "recipes",
    "choosing",
    "deploying",
    "callbacks",
    "scaling",
    "report",
    "batches",
    "kernels",
    "index",
    "how-it-works",
    "which-method",
    "when-it-disappoints",
    "coming-from",
    "pytorch",
    "codebook",
)
DRAWING = ("choosing", "scaling", "how-it-works", "which-method")  # whose code makes their pictures
PAGES = ["README.md", *(f"docs/{name}.md" for name in NAMES)]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:all . centers coincide")  # docs/choosing.md shows such fits
@pytest.mark.filterwarnings(
    "ignore:.*(are the end of the range|found no temperature|only two values|few distinct values|skewed or heavy)"
)
@pytest.mark.filterwarnings("ignore:.*criteria select")
@pytest.mark.parametrize("page", PAGES)
def test_python_sessions_are_true(page, tmp_path, monkeypatch, run):
    monkeypatch.chdir(tmp_path)
    found = doctest.testfile(str(ROOT / page), module_relative=False, optionflags=FLAGS)
    plt.close("all")
    assert found.attempted
    assert not found.failed
    if page in (
        "docs/scaling.md",
        "docs/files.md",
        "docs/recipes.md",
        "docs/report.md",
        "docs/index.md",
    ):  # whose commands are for files that its code wrote
        for command, expected in [pair for block in console_blocks(page) for pair in commands(block)]:
            status, out, err = run(*shlex.split(command)[1:])
            check(command, expected, status, out + err)
    if Path(page).stem in DRAWING:
        shown = re.findall(r"\]\(images/(.*?)\)", (ROOT / page).read_text())
        assert sorted(shown) == sorted(made.name for made in tmp_path.glob("*.png"))


@pytest.mark.process
def test_command_line_reference_is_up_to_date(tmp_path):
    made = tmp_path / "cli.md"
    command = [
        sys.executable,
        "-m",
        "typer",
        "softkmeans.cli",
        "utils",
        "docs",
        "--name",
        "softkmeans",
        "--output",
        str(made),
    ]
    subprocess.run(command, check=True, capture_output=True)
    assert made.read_text() == (ROOT / "docs/cli.md").read_text(), "run: make docs"


def test_pins_cover_every_dependency():
    pinned = {re.split(r"[=\[]", line)[0].lower() for line in (ROOT / "requirements.txt").read_text().splitlines()}
    declared = re.findall(r'^  "([a-z-]+)>=', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert len(declared) >= 8
    assert set(declared) <= pinned
    exact = [line for line in (ROOT / "requirements.txt").read_text().splitlines() if line and line[0] not in "#-"]
    assert all(re.fullmatch(r"[a-z0-9-]+==[0-9][0-9.a-z]*( ; .*)?", line) for line in exact)
