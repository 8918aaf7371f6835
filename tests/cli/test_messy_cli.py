"""Files as people have them, by every command: without options, with names of rows, and with columns left out."""

import json
import re

import numpy as np
import pandas as pd
import pytest

from helpers.messy import MESSY, N, X
from softkmeans import load


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def made(folder, name):
    messy = MESSY[name]
    (folder / messy.name).write_bytes(messy.content)
    return messy


@pytest.mark.slow
@pytest.mark.parametrize("stream", ["--stream", "--no-stream"])
@pytest.mark.parametrize("name", MESSY)
def test_one_command_without_options(folder, run_here, name, stream):
    messy = made(folder, name)
    identifier = ["--id", messy.id_column] if messy.id_column else []
    arguments = ["fit", messy.name, "-k", "3", "--out", "m.safetensors", "--assignments", "a.csv", *identifier]
    status, out, err = run_here([*arguments, stream] if messy.in_blocks else arguments)
    assert (status, "error" in err) == (0, False), err
    assert out.splitlines()[0] == messy.note if messy.note else not out.startswith("read")
    n_features = len(messy.columns) - (messy.id_column in messy.columns)
    assert f"rows: {N}, features: {n_features}" in out
    assert load("m.safetensors").feature_names_in_.tolist() == [n for n in messy.columns if n != messy.id_column]
    written = pd.read_csv("a.csv", dtype=str)
    assert written.columns.tolist() == [*identifier[1:], "label", "p0", "p1", "p2"]
    if identifier:
        assert written[messy.id_column].tolist() == list(map(str, messy.ids))
    run_here(
        ["predict", "m.safetensors", messy.name, "--out", "b.csv", *identifier, *([stream] if messy.in_blocks else [])]
    )
    pd.testing.assert_frame_equal(pd.read_csv("b.csv", dtype=str), written)
    status, _, err = run_here(["plot", "m.safetensors", messy.name, "--out", "p.png"])
    assert (status, (folder / "p.png").exists()) == (0, True), err


def test_predict_says_how_it_read(folder, run_here):
    made(folder, "a German spreadsheet")
    run_here(["fit", "obst.csv", "-k", "3", "--out", "m.safetensors"])
    status, out, err = run_here(["predict", "m.safetensors", "obst.csv"])
    assert (status, err) == (0, "read with ';', decimal commas and encoding cp1252\n")
    assert out.startswith('"label","p0","p1","p2"\n')


NAMES = 'Customer No,"size, mm",weight (kg),class,note\n'
ROWS = "".join(f"{i},{a},{b},{'ab'[i % 2]},n{i}\n" for i, (a, b) in enumerate(X))


@pytest.mark.parametrize(
    ("options", "features"),
    [
        (["--exclude", "Customer No"], ["size, mm", "weight (kg)"]),
        (["--columns", "size, mm", "--columns", "weight (kg)"], ["size, mm", "weight (kg)"]),
        (["--columns", "weight (kg), size, mm"], None),
        (["--columns", "size, mm"], ["size, mm"]),
        (["--columns", "weight (kg), Customer No"], ["weight (kg)", "Customer No"]),
        (["--id", "Customer No", "--weight-column", "weight (kg)"], ["size, mm"]),
        (["--exclude", "Customer No", "--exclude", "size, mm"], ["weight (kg)"]),
        (["--exclude", "Customer No,weight (kg)"], ["size, mm"]),
        (["--keep", "note", "--keep", "size, mm", "--exclude", "Customer No"], ["size, mm", "weight (kg)"]),
    ],
)
def test_names_with_commas_and_spaces(folder, run_here, options, features):
    (folder / "t.csv").write_text(NAMES + ROWS)
    status, _, err = run_here(
        ["fit", "t.csv", "-k", "2", "--out", "m.safetensors", "--label-column", "class", *options]
    )
    if features is None:
        assert (status, err) == (2, "error: t.csv: there is no column 'size' (did you mean 'size, mm'?); "
                                    "the columns are 'Customer No', "
                                    "'size, mm', 'weight (kg)', 'class', 'note'\n")  # fmt: skip
    else:
        assert (status, load("m.safetensors").feature_names_in_.tolist()) == (0, features), err


@pytest.mark.slow
@pytest.mark.parametrize(
    "command",
    [
        ["select", "t.csv", "--k-range", "1-5", "--no-path", "--cv", "0"],
        ["anneal", "t.csv", "--n-temperatures", "9"],
        ["fit", "t.csv", "-k", "2"],
    ],
    ids=lambda command: command[0],
)
def test_every_command_leaves_columns_out(folder, run_here, command):
    rows = "".join(f"{i},{a},{i % 2}\n" for i, (a, _) in enumerate(X))
    (folder / "t.csv").write_text("id,size,class\n" + rows)
    status, out, err = run_here([*command, "--id", "id", "--label-column", "class"])
    assert (status, err.count("identifier")) == (0, 0)
    assert f"rows: {N}, features: 1" in out
    assert ("adjusted Rand index" in out) == (command[0] != "anneal")


def test_the_output_holds_the_carried_columns_first(folder, run_here):
    (folder / "t.csv").write_text(NAMES + ROWS)
    options = ["--id", "note", "--keep", "class", "--keep", "Customer No", "--exclude", "Customer No"]
    run_here(["fit", "t.csv", "-k", "2", "--assignments", "a.parquet", "--out", "m.safetensors", *options])
    frame = pd.read_parquet("a.parquet")
    assert frame.columns.tolist() == ["note", "class", "Customer No", "label", "p0", "p1"]
    assert frame["note"].tolist() == [f"n{i}" for i in range(N)]
    assert frame["Customer No"].tolist() == [str(i) for i in range(N)]
    run_here(["predict", "m.safetensors", "t.csv", "--out", "b.parquet", "--stream", *options])
    pd.testing.assert_frame_equal(pd.read_parquet("b.parquet"), frame)


@pytest.mark.parametrize("stream", ["--stream", "--no-stream"])
def test_columns_that_a_model_does_not_use_are_not_looked_at(folder, run_here, stream):
    (folder / "t.csv").write_text("ticket,x\n" + "".join(f"{'A7' if i == 9 else i},{i % 3}\n" for i in range(30)))
    assert run_here(["fit", "t.csv", "-k", "2", "--exclude", "ticket", "--out", "m.safetensors"])[0] == 0
    assert run_here(["predict", "m.safetensors", "t.csv", "--out", "a.csv", stream])[::2] == (0, "")
    assert len(pd.read_csv("a.csv")) == 30


def test_carried_columns_that_are_named_like_results(folder, run_here):
    (folder / "t.csv").write_text("label,x\na,1\nb,2\nc,4\n")
    status, _, err = run_here(["fit", "t.csv", "-k", "2", "--id", "label", "--assignments", "a.csv"])
    assert status == 2
    assert err == "error: column 'label' can't be written beside the results, which have one of this name; rename it\n"
    assert not (folder / "a.csv").exists()


RNG = np.random.default_rng(0)
COLUMNS = {
    # name of the column: its values, and the warnings
    "customer_id": (RNG.permutation(40) + 10_000, "looks like an identifier, but is a feature: use --id customer_id"),
    "Order No": (
        RNG.permutation(40) + 10_000,
        "looks like an identifier, but is a feature: use --id 'Order No' to carry it along, or --exclude",
    ),
    "plain": (np.arange(40) + 5, "column 'plain' looks like an identifier"),
    "age": (RNG.permutation(40) + 20, None),
    "id": (RNG.normal(size=40), None),
    "size": (np.full(40, 3.5), "column 'size' is constant, and separates no clusters: use --exclude size"),
    "income": (
        RNG.normal(size=40) * 1e4,
        "varies 1e.04 times as much as the others, .*: use --scale standard or robust$",
    ),
}


@pytest.mark.parametrize("stream", ["--stream", "--no-stream"])
@pytest.mark.parametrize("name", COLUMNS)
def test_unusual_columns_get_one_line(folder, run_here, name, stream):
    values, warning = COLUMNS[name]
    frame = pd.DataFrame({"a": RNG.normal(size=40), name: values, "b": RNG.normal(size=40)})
    if name == "income":
        frame[["a", "b"]] /= frame[["a", "b"]].std(ddof=0)
        frame[name] *= 1e4 / frame[name].std(ddof=0)
    frame.to_csv("t.csv", index=False)
    status, _, err = run_here(["fit", "t.csv", "-k", "2", stream])
    lines = [line for line in err.splitlines() if "column" in line]
    assert status == 0
    if warning is None:
        assert not any("identifier" in line for line in lines)
    else:
        (line,) = (line for line in lines if "identifier" in warning or "identifier" not in line)
        assert line.startswith(f"warning: column {name!r}")

        assert re.search(warning, line)
    if name == "income":
        assert "column" not in run_here(["fit", "t.csv", "-k", "2", stream, "--scale", "standard"])[2]


SKEWED = np.exp(12 + RNG.normal(size=40))
LOGARITHMS = {
    # the column that varies much, the other ones, and whether logarithms are proposed
    "skewed": (SKEWED, RNG.random((40, 2)), True),
    "not skewed": (1e6 * (10 + RNG.normal(size=40)), RNG.random((40, 2)), False),
    "skewed to the left": (SKEWED.max() - SKEWED, RNG.random((40, 2)), False),
    "beside negative values": (SKEWED, RNG.random((40, 2)) - 0.5, False),  # which have no logarithms
}


@pytest.mark.parametrize("case", LOGARITHMS)
def test_logarithms_are_proposed_for_skewed_columns(folder, run_here, case):
    values, others, proposed = LOGARITHMS[case]
    pd.DataFrame({"income": values, "a": others[:, 0], "b": others[:, 1]}).to_csv("t.csv", index=False)
    _, _, err = run_here(["fit", "t.csv", "-k", "2"])
    (line,) = (line for line in err.splitlines() if "varies" in line)
    assert line.endswith("standard, robust or, as its values are skewed, log" if proposed else "standard or robust")
    if proposed:
        assert run_here(["fit", "t.csv", "-k", "2", "--scale", "log"])[0] == 0


def test_json_lines_of_the_output_hold_text(folder, run_here):
    """Whole numbers of JSON stay whole in what is carried."""
    lines = [json.dumps({"user": 2**53 + 1 + i, "x": float(i % 3)}) for i in range(30)]
    (folder / "t.jsonl").write_text("\n".join(lines))
    run_here(["fit", "t.jsonl", "-k", "2", "--id", "user", "--assignments", "a.parquet"])
    assert pd.read_parquet("a.parquet")["user"].tolist() == [2**53 + 1 + i for i in range(30)]
