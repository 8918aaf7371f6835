"""Output wherever it goes: encodings without some characters, closed pipes, names that are escape sequences."""

import os
import subprocess
import sys

import numpy as np
import pytest

from helpers.commands import COMMAND
from softkmeans import load

NUMBERS = np.random.default_rng(0).normal(size=(60, 2)) + 10 * (np.arange(60) % 2)[:, None]
ROWS = "".join(f"{x},{y}\n" for x, y in NUMBERS)
COMMANDS = {
    "fit": (["fit", "rows.csv", "-k", "2", "--out", "out.safetensors"], "out.safetensors"),
    "select": (["select", "rows.csv", "--k-range", "1-3", "--out", "out.safetensors"], "out.safetensors"),
    "anneal": (["anneal", "rows.csv", "--table", "out.csv", "--max-clusters", "3"], "out.csv"),
}
ESCAPES = "\x1b]0;title\x07\x1b[31mred\u202e"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    (tmp_path / "rows.csv").write_text("a,b\n" + ROWS)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.slow
@pytest.mark.parametrize("encoding", ["cp1252", "ascii", "shift-jis"])
@pytest.mark.parametrize("name", COMMANDS)
def test_every_encoding_can_show_the_results(folder, run_here, name, encoding):
    arguments, file = COMMANDS[name]
    expected = run_here(arguments)[1]
    (folder / file).unlink()
    status, found, error = run_here(arguments, encoding)
    assert (status, error) == (0, "")
    assert (folder / file).exists()
    words = [[line.split()[0] for line in text.splitlines() if line.strip(" -─")] for text in (found, expected)]
    assert words[0] == words[1]


@pytest.mark.process
def test_a_program_whose_output_is_ascii(folder):
    environment = os.environ | {"PYTHONIOENCODING": "ascii"}
    done = subprocess.run([COMMAND, *COMMANDS["fit"][0]], env=environment, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"-----" in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("name", COMMANDS)
def test_files_are_written_before_anything_is_printed(folder, run_here, monkeypatch, name):
    arguments, file = COMMANDS[name]
    monkeypatch.setattr(
        "softkmeans.selection.summary.print_figures", lambda rows: sys.exit(int((folder / file).exists()))
    )
    assert run_here(arguments)[0] == 1


@pytest.mark.slow
def test_names_of_columns_do_nothing_in_a_terminal(folder, run_here):
    header = f'{ESCAPES},"b\nerror: forged line",{ESCAPES}text\n'
    (folder / "rows.csv").write_text(header + ROWS.replace("\n", ",word\n"), newline="")
    commands = COMMANDS["fit"][0], ["info", "out.safetensors"], COMMANDS["select"][0], ["fit", "rows.csv", "-k", "99"]
    for arguments in commands:
        _, *outputs = run_here(arguments)
        assert not set("".join(outputs)) & {"\x1b", "\x07", "\u202e"}
        assert not any(line.startswith("error: forged") for text in outputs for line in text.splitlines())
    run_here(COMMANDS["fit"][0])
    assert load(folder / "out.safetensors").feature_names_in_[0] == ESCAPES  # the name itself is kept


@pytest.mark.slow
@pytest.mark.parametrize("name", ["price $ (50% of $)", "a$b_$", "$\\frac{$", "x\x1b[31m$$"])
def test_names_of_columns_are_text_in_pictures(folder, run_here, name):
    (folder / "rows.csv").write_text(f'"{name}",b\n' + ROWS)
    status, _, error = run_here([*COMMANDS["fit"][0], "--picture", "picture.png"])
    assert (status, error) == (0, "")
    assert (folder / "picture.png").stat().st_size > 5000
