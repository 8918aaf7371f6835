"""The command that writes reports."""

import re

import numpy as np
import pytest
from sklearn.datasets import load_wine

from helpers.commands import listing, succeeds

WINE = load_wine(as_frame=True).frame


@pytest.fixture
def files(run, tmp_path):
    WINE.to_csv("wine.csv", index=False)
    succeeds(run("fit", "wine.csv", "-k", 3, "--scale", "standard", "--exclude", "target", "--out", "m.safetensors"))


@pytest.mark.slow
@pytest.mark.parametrize("options", [(), ("--title", "A </title> b"), ("--label-column", "target"), ("--stream",)])
def test_a_report_is_written(options, run, files, tmp_path):
    out = succeeds(run("report", "m.safetensors", "wine.csv", "-o", "r.html", *options))
    assert "wrote r.html" in out
    text = (tmp_path / "r.html").read_text()
    assert "default-src 'none'" in text
    title = "A &lt;/title&gt; b" if "--title" in options else "wine.csv"
    assert f"<title>{title}</title>" in text
    assert ('"labels":{"name":"target","names":["0","1","2"]' in text) == ("--label-column" in options)
    assert "softkmeans fit wine.csv" in text
    assert len(re.findall(r'"data_hash":"([0-9a-f]{64})"', text)) == 1


@pytest.mark.slow
def test_fit_writes_a_report(run, tmp_path):
    WINE.to_csv("wine.csv", index=False)
    out = succeeds(
        run("fit", "wine.csv", "-k", 3, "--scale", "standard", "--label-column", "target", "--report", "r.html")
    )
    assert "wrote r.html" in out
    assert re.search(r"^cluster 0 +\w+ [\d.]+ \([\d.]+\)", out, re.MULTILINE)
    assert "SoftKMeans" in (tmp_path / "r.html").read_text()


@pytest.mark.slow
def test_a_folder_of_files(run, tmp_path):
    (tmp_path / "rows").mkdir()
    x = np.random.default_rng(0).normal(size=(30_000, 2))
    for i in range(3):
        np.save(tmp_path / "rows" / f"{i}.npy", x[i::3] + 4 * i)
    out = succeeds(run("fit", "rows", "-k", 3, "--out", "m.safetensors", "--report", "r.html"))
    assert "the report shows a stratified random sample of" in out
    assert "of 30000 rows" in out


def test_info_says_how_a_model_was_made(run, files):
    out = succeeds(run("info", "m.safetensors"))
    assert re.search(r"^made by +softkmeans fit wine.csv -k 3", out, re.MULTILINE)
    assert re.search(r"^made from +wine.csv, 178 rows, SHA-256 [0-9a-f]{12}", out, re.MULTILINE)
    assert len(re.findall(r"^cluster \d +\S+ [\d.]+ \([\d.]+\)", out, re.MULTILINE)) == 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("m.safetensors", "other.csv"), "alcohol"),
        (("m.safetensors", "none.csv"), "none.csv"),
        (("m.safetensors", "empty.csv"), "empty.csv"),
        (("m.safetensors", "wine.csv", "-o", "r.pdf"), "can't write r.pdf"),
        (("m.safetensors", "wine.csv", "-o", "no/folder/r.html"), "r.html"),
        (("m.safetensors", "wine.csv", "-o", "wine.csv"), "wine.csv"),
        (("wine.csv", "wine.csv"), "wine.csv"),
    ],
)
def test_bad_input_is_one_line_and_writes_nothing(arguments, message, run, files, tmp_path):
    (tmp_path / "other.csv").write_text("a,b\n1,2\n3,4\n")
    (tmp_path / "empty.csv").write_text(",".join(WINE.columns) + "\n")
    before = listing(tmp_path)
    status, out, err = run("report", *arguments)
    assert (status, out) == (2, "")
    assert err.startswith("error: ")
    assert len(err.splitlines()) == 1
    assert message in err
    assert listing(tmp_path) == before
