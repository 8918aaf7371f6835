"""What `fit` and `info` print: sizes, centers, how soft the fit is, what speaks against it, and what was written."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_digits, load_wine

from helpers.commands import figure, succeeds
from softkmeans import SoftKMeans, load, save
from softkmeans.estimators import make_model

WINE = load_wine(as_frame=True).data
LONG = "average daily temperature of the outer wall of building {} in degrees Celsius"
RNG = np.random.default_rng(0)
BLOBS = RNG.normal(size=(300, 30)) + 6 * (np.arange(30) % 3 == np.arange(300)[:, None] % 3)
TABLES = {
    "wine": WINE,
    "blobs": pd.DataFrame(BLOBS[:, :2], columns=["x", "y"]),
    "wide": pd.DataFrame(BLOBS, columns=[f"f{j}" for j in range(30)]),
    "long": pd.DataFrame(BLOBS[:, :5], columns=[LONG.format(j) for j in range(5)]),
    "sixty": pd.DataFrame(8 * RNG.integers(0, 8, size=(900, 2)) + RNG.normal(size=(900, 2)), columns=["x", "y"]),
}
WORDS_OF_PHYSICS = ("free energy", "distortion", "entropy", "loss", "steps")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, frame in TABLES.items():
        frame.to_csv(f"{name}.csv", index=False)
    return tmp_path


def test_the_default_says_what_a_person_asks_first(folder, run):
    out = succeeds(run("fit", "blobs.csv", "-k", 3, "--out", "m.safetensors"))
    model = load("m.safetensors")
    largest = model.predict_proba(TABLES["blobs"]).max(1)
    found = re.search(r"the largest of a row is ([\d.]+) on average; ([\d.]+) % of the rows are in doubt", out)
    assert float(found[1]) == pytest.approx(largest.mean(), abs=0.006)
    assert float(found[2]) == pytest.approx(100 * (largest < 0.9).mean(), rel=0.05)
    for k in range(3):
        assert f"{model.cluster_weights_[k]:.1f}" in out
        assert all(f"{value:.4g}" in out for value in model.cluster_centers_[k])
    assert not any(word in out for word in WORDS_OF_PHYSICS)
    assert out.splitlines()[-1] == "wrote m.safetensors"
    assert "wrote nothing" not in out


def test_verbose_adds_the_objective_with_its_meaning(folder, run):
    plain, verbose = (succeeds(run("fit", "blobs.csv", "-k", 3, *more)) for more in ([], ["--verbose"]))
    assert not any(word in plain for word in WORDS_OF_PHYSICS)
    for name in ("loss per row", "free energy F", "distortion E", "entropy H", "steps"):
        assert re.fullmatch(r"[\d.e+-]+ .*[a-z].*", figure(verbose, name))
    assert plain.splitlines()[-1].startswith("wrote nothing: --out keeps the model")


def test_nearly_hard_memberships_are_said_with_options(folder, run):
    out = run("fit", "wine.csv", "-k", 3, "--out", "m.safetensors")[1]
    for text in (out, run("info", "m.safetensors")[1]):
        assert figure(text, "memberships").startswith("nearly hard: ")
        remedy = figure(text, "for softer ones")
        assert remedy.startswith("--temperature 'calibrated', or --temperature 'perplexity:1.5'")
    softer = run("fit", "wine.csv", "-k", 3, "--temperature", "perplexity:1.5")[1]
    assert "for softer ones" not in softer


@pytest.mark.parametrize("scale", ["none", "standard"])
@pytest.mark.parametrize("ending", [".csv", ".parquet", ".tsv"])
def test_centers_are_written_in_the_units_of_the_data(scale, ending, folder, run):
    out = succeeds(
        run("fit", "wide.csv", "-k", 3, "--scale", scale, "--out", "m.safetensors", "--centers", f"c{ending}")
    )
    assert out.splitlines()[-1] == f"wrote c{ending}"
    read = {".csv": pd.read_csv, ".parquet": pd.read_parquet, ".tsv": lambda path: pd.read_csv(path, sep="\t")}[ending]
    found = read(f"c{ending}")
    assert list(found) == ["cluster", "size", *TABLES["wide"].columns]
    expected = make_model(SoftKMeans(3, random_state=0), scale).fit(TABLES["wide"].to_numpy())
    estimator = expected if scale == "none" else expected[-1]
    centers = (
        estimator.cluster_centers_ if scale == "none" else expected[0].inverse_transform(estimator.cluster_centers_)
    )
    np.testing.assert_allclose(found.iloc[:, 2:], centers, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(found["size"], estimator.cluster_weights_, rtol=1e-6)
    again = succeeds(run("info", "m.safetensors", "--centers", "again.csv"))
    assert "wrote again.csv" in again
    np.testing.assert_allclose(pd.read_csv("again.csv"), found, rtol=1e-9)


def test_too_many_features_are_not_printed_but_named(folder, run):
    out = succeeds(run("fit", "wide.csv", "-k", 3))
    assert "of 30 features in 3 clusters, too many to print" in figure(out, "centers")
    assert "--centers" in figure(out, "centers")
    strongest = [line for line in out.splitlines() if re.match(r"cluster \d ", line)]
    assert len(strongest) == 3
    assert all(len(re.findall(r"f\d+ -?[\d.]+ \(-?[\d.]+\)", line)) == 3 for line in strongest)
    assert max(map(len, out.splitlines())) <= 150


def test_long_names_still_differ(folder, run):
    out = succeeds(run("fit", "long.csv", "-k", 3, "--centers", "c.csv"))
    assert LONG.format(0) not in out
    rows = [line for line in out.splitlines() if "building" in line and "(" not in line]
    assert len({line.split("  ")[0] for line in rows}) == 5
    assert list(pd.read_csv("c.csv"))[2:] == list(TABLES["long"])  # in full


def test_sixty_clusters(folder, run):
    out = succeeds(run("fit", "sixty.csv", "-k", 60))
    assert re.search(r"^59 +\d", out, re.MULTILINE)
    assert len(re.findall(r"^cluster \d+ ", out, re.MULTILINE)) == 24
    assert "and 36 more clusters" in out


def test_the_loss_of_adam_is_printed_at_intervals(folder, run):
    out = succeeds(run("fit", "blobs.csv", "-k", 3, "--solver", "adam", "--tol", "1e-9"))
    assert out.splitlines()[0] == "loss: what the fit minimizes, per row"
    steps = [int(step) for step in re.findall(r"^step +(\d+)   loss -?[\d.]+$", out, re.MULTILINE)]
    assert steps[:3] == [1, 20, 40]
    assert "loss" not in succeeds(run("fit", "blobs.csv", "-k", 3, "--solver", "em"))


def test_a_bad_name_for_centers_is_an_error_before_the_fit(folder, run):
    status, out, err = run("fit", "blobs.csv", "-k", 3, "--centers", "c.png")
    assert (status, out) == (2, "")
    assert "c.png" in err
    assert not Path("c.png").exists()


def test_info_lists_columns_of_digits_in_a_file(folder, run):
    save(SoftKMeans(10, max_iter=5, tol=0.1, random_state=0).fit(load_digits().data), "digits.safetensors")
    out = run("info", "digits.safetensors", "--centers", "c.csv")[1]
    assert "of 64 features in 10 clusters" in out
    assert pd.read_csv("c.csv").shape == (10, 66)
