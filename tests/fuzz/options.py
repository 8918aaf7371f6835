"""Fuzz the command line: any options for any file end with status 0 and all outputs, or with one line and none."""

import io
import sys
import tempfile
import warnings
from contextlib import chdir, redirect_stderr, redirect_stdout
from pathlib import Path

from matplotlib import pyplot

from helpers.messy import MESSY
from softkmeans import SoftKMeans, cli, save
from softkmeans.data import read_table

from .data_files import damaged

NAMES = ["a", "b", "Preis", "customer", "kind", "id", "vector", "vector[0]", "column_1", "none", "", "a,b", "=a"]
NUMBERS = ["0", "1", "2", "3", "-1", "1.5", "nan", "1e400", "x", ""]
FLAG = None
OUTPUTS = ["out.csv", "out.parquet", "out.safetensors", "out.png", "out.pkl", "out", "no/folder.csv", ".", ""]
ROWS = {
    **dict.fromkeys(["--columns", "--exclude", "--label-column", "--weight-column", "--id", "--keep"], NAMES),
    "--delimiter": [",", ";", "tab", "space", "ab", "", '"', "\n", "é"],
    "--decimal": [".", ",", ";", ""],
    "--thousands": [",", ".", "", " ", "'", "x"],
    "--encoding": ["utf-8", "cp1252", "utf-16", "base64", "x", ""],
    "--header": FLAG,
    "--no-header": FLAG,
}
BLOCKS = {"--stream": FLAG, "--no-stream": FLAG}
SCALES = {"--scale": ["none", "standard", "robust", "log", "x", ""], "--distance": ["euclidean", "cosine", "x"]}
FIT = {
    **dict.fromkeys(["--out", "--assignments", "--picture"], OUTPUTS),
    **dict.fromkeys(["--max-iter", "--tol", "--noise-distance", "--seed"], NUMBERS),
    "-k": ["1", "2", "3", "50", *NUMBERS],
    "--temperature": ["1", "calibrated", "perplexity:1.5", "perplexity:x", "per-cluster", *NUMBERS],
    "--solver": ["em", "adam", "x"],
    "--init": ["random", "annealing", "x"],
    "--fuzzifier": ["2", *NUMBERS],
    "--n-init": ["2", "0", "x"],
    "--priors": ["learned", "x"],
    "--stability": ["2", "-1"],
    "--unknown": ["1"],
}
SELECT = {
    **dict.fromkeys(["--out", "--table", "--picture"], OUTPUTS),
    "--k-range": ["1-3", "2", "3-1", "0-2", "x", ""],
    "--cv": ["0", "2", "99"],
    "--no-path": FLAG,
}
ANNEAL = {
    **dict.fromkeys(["--table", "--picture", "--energies"], OUTPUTS),
    "--max-clusters": ["1", "3", "0"],
    "--n-temperatures": ["5", "1", "0"],
    "--temperatures": ["5,1", "1,5", "x", ""],
}
COMMANDS = {
    "fit": ROWS | BLOCKS | SCALES | FIT,
    "select": ROWS | SCALES | SELECT,
    "anneal": ROWS | SCALES | ANNEAL,
    "predict": ROWS | BLOCKS | {"--out": OUTPUTS},
    "plot": ROWS | {"--out": OUTPUTS, "--regions": FLAG, "--loss": OUTPUTS},
    "info": {},
}
QUICK = {
    "fit": ["--max-iter", "20"],
    "select": ["--k-range", "1-3", "--cv", "0", "--no-path"],
    "anneal": ["--n-temperatures", "5"],
}
MAX_OPTIONS = 3


def check(rng):
    """Run a command with random options on a file that may be damaged; return how it ended."""
    command = str(rng.choice(list(COMMANDS)))
    messy = MESSY[list(MESSY)[rng.integers(len(MESSY))]]
    with tempfile.TemporaryDirectory() as folder, chdir(folder):
        content = damaged(rng, messy.content) if rng.random() < 0.2 else messy.content
        Path(messy.name).write_bytes(content)
        arguments = [command]
        if command in ("predict", "plot", "info"):
            write_model(messy, rng)
            arguments.append("model.safetensors")
        if command != "info":
            arguments.append(messy.name if rng.random() < 0.95 else str(rng.choice(["none.csv", ".", "*.csv", ""])))
        arguments += [*QUICK.get(command, []), *options(rng, COMMANDS[command])]
        before = contents()
        status, _, err = run(arguments)
        after = contents()
        command_line = " ".join(map(repr, arguments))
        assert "Traceback" not in err, f"{command_line}\n{err}"
        assert status in (0, 2), f"{command_line}: status {status}\n{err}"
        assert all(after.get(name) == content for name, content in before.items()), f"{command_line}: changed an input"
        errors = [line for line in err.splitlines() if not line.startswith("warning: ")]
        if status == 2:
            assert 1 <= len(errors) <= 2, f"{command_line}\n{err}"
            assert after == before, f"{command_line}: wrote {set(after) - set(before)}"
            return f"{command} refused"
        assert not any(name.startswith(".") for name in after), f"{command_line}: left {set(after)}"
        return f"{command} done"


def options(rng, known):
    """Draw options with their values."""
    if not known:
        return []
    drawn = []
    for name in rng.choice(list(known), size=rng.integers(MAX_OPTIONS + 1)):
        values = known[str(name)]
        drawn += [str(name)] if values is None else [str(name), str(rng.choice(values))]
    return drawn


def write_model(messy, rng):
    """Write a model of the rows of a file, with or without names."""
    Path("whole").mkdir()
    path = Path("whole") / messy.name
    path.write_bytes(messy.content)
    table = read_table(path)
    path.unlink()
    Path("whole").rmdir()
    rows = table.frame() if rng.random() < 0.7 else table.x
    save(SoftKMeans(2, random_state=0).fit(rows), "model.safetensors")


def contents():
    """Return the bytes of each file in the folder."""
    return {str(path): path.read_bytes() for path in Path().rglob("*") if path.is_file()}


def run(arguments):
    """Run a command in this process; return its status, and what it wrote to its output and to standard error."""
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8") for _ in range(2))
    before = sys.argv
    sys.argv = ["softkmeans", *arguments]
    try:
        with warnings.catch_warnings(), redirect_stdout(out), redirect_stderr(err):
            warnings.simplefilter("default")
            cli.main()
    except SystemExit as ended:
        status = ended.code or 0
    finally:
        sys.argv = before
        pyplot.close("all")
    texts = []
    for stream in (out, err):
        stream.flush()
        texts.append(stream.buffer.getvalue().decode())
    return status, *texts
