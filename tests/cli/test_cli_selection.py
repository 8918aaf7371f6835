"""The commands `select` and `anneal`, and the warnings of `fit`."""

import io
import re
import subprocess
import sys
import time
import warnings
from itertools import takewhile
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_iris, load_wine
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from typer.main import get_command

from helpers.commands import as_options, colors, figure, listing, succeeds
from softkmeans import SoftKMeans, annealing_path, load, select_n_clusters, stability
from softkmeans.annealing import Transition
from softkmeans.cli.anneal import _first_events
from softkmeans.cli.app import app
from softkmeans.cli.progress import progress
from softkmeans.plots import EnergyDisplay
from softkmeans.selection import CRITERIA, Criterion, highest
from softkmeans.selection.diagnostics import diagnose

mpl.use("Agg")

NAMES = ["sepal_length", "sepal_width", "petal_length", "petal_width"]
IRIS = pd.DataFrame(load_iris().data, columns=NAMES)
WEIGHTS = np.random.default_rng(0).uniform(0.5, 2, len(IRIS))
SMALL = {
    "one.csv": "a,b\n1,2\n",
    "constant.csv": "a,b\n" + "1,2\n" * 6,
    "few.csv": "a,b\n1,2\n3,1\n5,1\n1,2\n",
}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    IRIS.to_csv(folder / "iris.csv", index=False)
    IRIS.assign(w=WEIGHTS).to_csv(folder / "weighted.csv", index=False)
    np.save(folder / "iris.npy", IRIS.to_numpy())
    for name, content in SMALL.items():
        (folder / name).write_text(content)
    return folder


def rows_of(out, head):
    """Return the rows of the printed table under a header, as lists of words; rows start with numbers."""
    lines = out.splitlines()
    below = lines[next(i for i, line in enumerate(lines) if line.startswith(head)) + 2 :]
    return [line.split() for line in takewhile(lambda line: line[:1].isdigit(), below)]


# --- fit and info -----------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("scale", ["none", "standard"])
def test_stability_column_matches_the_library(scale, data, run):
    args = ("--stability", 4, "--scale", scale, "--weight-column", "w", "--seed", 1, "--out", "m.safetensors")
    status, out, err = run("fit", data / "weighted.csv", "-k", 7, *args)
    x = IRIS.to_numpy() if scale == "none" else StandardScaler().fit(IRIS, sample_weight=WEIGHTS).transform(IRIS)
    model = SoftKMeans(7, random_state=1).fit(x, sample_weight=WEIGHTS)
    found = stability(model, x, n_resamples=4, sample_weight=WEIGHTS, random_state=1)
    assert status == 0
    assert [line[2] for line in rows_of(out, "cluster")] == [f"{value:.2f}" for value in found.clusters]
    assert ("are not stable under resampling" in err) == bool(found.unstable)
    assert err == "".join(f"warning: {as_options(warning)}\n" for warning in diagnose(model, found))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("temperature", "parameter"), [("calibrated", "calibrated"), ("perplexity:1.3", "perplexity:1.3"), ("2", 2.0)]
)
def test_options_for_temperature_init_and_local_search(temperature, parameter, data, run):
    options = ("--temperature", temperature, "--init", "annealing", "--local-search")
    out = succeeds(run("fit", data / "iris.csv", "-k", 3, *options, "--out", "m.safetensors"))
    settings = {"temperature": parameter, "init": "annealing", "local_search": True, "random_state": 0}
    expected, found = SoftKMeans(3, **settings).fit(IRIS), load("m.safetensors")
    assert figure(out, "temperature") == f"{expected.temperature_:.6g}"
    np.testing.assert_allclose(found.cluster_centers_, expected.cluster_centers_, rtol=1e-6)
    assert {name: found.get_params()[name] for name in settings} == settings
    assert found.verbose == 0


@pytest.mark.parametrize(
    ("temperature", "warning"),
    [
        ("critical:2", "all 3 centers coincide"),
        ("1e-4", "memberships are hard.*choose --temperature 'calibrated', or --temp"),
    ],
)
def test_fit_and_info_print_the_same_warnings(temperature, warning, data, run):
    _, out, err = run("fit", data / "iris.csv", "-k", 3, "--temperature", temperature, "--out", "m.safetensors")
    assert re.fullmatch(rf"warning: [^\n]*{warning}\n?[^\n]*\n", err, re.MULTILINE)
    assert "warning" not in out
    status, out, again = run("info", "m.safetensors")
    assert (status, again) == (0, err)


# --- select -----------------------------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:.*criteria select")
@pytest.mark.slow
@pytest.mark.parametrize("scale", ["none", "standard"])
def test_select_matches_the_library(scale, data, run):
    outputs = ("--out", "m.safetensors", "--table", "scores.csv", "--picture", "p.png")
    options = ("--k-range", "1, 2-4", "--cv", 3, "--weight-column", "w", "--scale", scale, "--seed", 2)
    out = succeeds(run("select", data / "weighted.csv", *options, *outputs))
    scaler = None if scale == "none" else StandardScaler().fit(IRIS, sample_weight=WEIGHTS)
    x = IRIS.to_numpy() if scaler is None else scaler.transform(IRIS)
    expected = select_n_clusters(x, [1, 2, 3, 4], cv=3, sample_weight=WEIGHTS, random_state=2)
    table = pd.read_csv("scores.csv")
    assert list(table) == list(expected.scores)
    for name, values in expected.scores.items():
        np.testing.assert_allclose(table[name], values, rtol=1e-6, atol=1e-12)
    printed = rows_of(out, "k ")
    assert [row[0] for row in printed] == ["1", "2", "3", "4"]
    assert [row[1].lstrip("*") for row in printed] == [f"{value:.1f}" for value in expected.scores["bic"]]
    assert [row[0] for row in printed if row[1].startswith("*")] == [str(expected.choices["bic"])]
    assert figure(out, "chosen") == f"k = {expected.n_clusters}, by BIC"
    assert figure(out, "confidence").startswith(f"{100 * expected.confidence:.0f} % (by resampled rows")
    chosen = [f"{k}" for k in expected.choices.values()]
    assert re.findall(r" (\d+)\b", figure(out, "by criterion")) == chosen
    assert expected.covariance_type != "spherical"
    assert figure(out, "covariance").endswith("; consider --temperature calibrated")
    model = load("m.safetensors")
    own = expected.model if scaler is None else make_pipeline(scaler, expected.model)
    rows = IRIS if scaler is not None else IRIS.to_numpy()
    np.testing.assert_allclose(model.predict_proba(IRIS), own.predict_proba(rows), rtol=1e-6, atol=1e-9)
    assert list(model.feature_names_in_) == NAMES
    assert colors("p.png") > 5
    assert [line for line in out.splitlines() if line.startswith("wrote")] == [
        f"wrote {name}" for name in outputs[1::2]
    ]


def test_select_skips_disabled_criteria(data, run):
    options = ("--k-range", "2,4", "--cv", 0, "--no-path", "--criterion", "xie_beni", "--temperature", "calibrated")
    out = succeeds(run("select", data / "iris.npy", *options, "--priors", "learned", "--distance", "sqeuclidean"))
    assert "held out" not in out
    assert "lifetime" not in out
    assert figure(out, "chosen") == "k = 2, by Xie-Beni"
    assert "--temperature" not in out  # not suggested, as it is already set


def test_select_reports_spherical_clusters(run):
    x = np.random.default_rng(0).normal(size=(200, 2)) + np.repeat([[0, 0], [20, 0]], 100, axis=0)
    np.save("round.npy", x)
    out = succeeds(run("select", "round.npy", "--k-range", "1-3", "--cv", 0))
    assert figure(out, "chosen") == "k = 2, by BIC"
    assert figure(out, "covariance") == "clusters are spherical"


@pytest.mark.slow
def test_select_uses_a_criterion_of_a_program(data, run):
    def bend(fits):
        inertia = [model.inertia_ for model in fits.models.values()]
        return np.pad(np.diff(np.log(inertia), 2), 1, constant_values=np.nan)

    errors = {"errors": lambda fits: np.full(len(fits.models), 0.25)}
    texts = {"label": "bend of the inertia", "short_label": "bend", "description": "Bend.", "number_format": ".2f"}
    CRITERIA.register("bend", Criterion(bend, highest, **texts, **errors))
    try:
        options = ("--k-range", "1-4", "--cv", 2, "--criterion", "bend", "--table", "t.csv", "--picture", "p.png")
        out = succeeds(run("select", data / "iris.npy", *options))
    finally:
        CRITERIA.unregister("bend")
    table = pd.read_csv("t.csv")
    chosen = int(table["n_clusters"][table["bend"].argmax()])
    heads, printed = next(line for line in out.splitlines() if line.startswith("k ")), rows_of(out, "k ")
    assert re.search(r" held out +± s.e. .* lifetime +bend +± s.e.$", heads)
    bends = [f"{'*' * (k == chosen)}{table['bend'][k - 1]:.2f}" for k in (2, 3)]
    assert [row[-2] for row in printed[1:3]] == bends
    assert [row[-1] for row in printed] == ["0.25"] * 4
    assert figure(out, "chosen") == f"k = {chosen}, by bend"
    assert figure(out, "by criterion").endswith(f", bend {chosen} (*)")


def test_the_help_lists_the_criteria():
    (option,) = (option for option in get_command(app).commands["select"].params if option.name == "criterion")
    assert re.findall(r"[a-z_]+", option.help.removeprefix("Criterion: ").replace(" or ", ", ")) == list(CRITERIA)


# --- anneal -----------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("scale", ["none", "standard"])
def test_anneal_matches_the_library(scale, data, run):
    outputs = ("--table", "path.parquet", "--picture", "tree.png", "--energies", "e.png")
    options = ("--max-clusters", 5, "--n-temperatures", 20, "--scale", scale, "--weight-column", "w")
    out = succeeds(run("anneal", data / "weighted.csv", *options, *outputs))
    scaler = None if scale == "none" else StandardScaler().fit(IRIS, sample_weight=WEIGHTS)
    x = IRIS.to_numpy() if scaler is None else scaler.transform(IRIS)
    path = annealing_path(x, max_clusters=5, n_temperatures=20, sample_weight=WEIGHTS)
    units = "" if scaler is None else " (of standardized data)"
    assert figure(out, "critical temperature").startswith(f"{path.critical_temperature:.6g}{units}; above it")
    longest = max(path.lifetimes(), key=path.lifetimes().get)
    fraction = np.exp(-path.lifetimes()[longest])
    lasts = f"{longest} clusters, until T is {fraction:.2f} times as high: "
    assert figure(out, "longest lifetime").startswith(lasts)
    events = [line.split() for line in out.splitlines() if re.search(r"^clusters? [\d, ]+ (split|jump)s?", line)]
    assert {words[-6] if words[-1] == "this" else words[-3] for words in events} == {
        f"{t.temperature:.4g}" for t in path.transitions
    }
    table = pd.read_parquet("path.parquet")
    assert len(table) == path.n_clusters.sum()
    for number, level in enumerate(path.levels):
        rows = table[table["level"] == number]
        assert rows["cluster"].tolist() == list(range(len(level.centers)))
        assert rows["parent"].tolist() == level.parents.tolist()
        for name in ("temperature", "free_energy", "distortion", "entropy"):
            np.testing.assert_allclose(rows[name], getattr(level, name), rtol=1e-6, atol=1e-9)
        np.testing.assert_allclose(rows["prior"], level.priors, rtol=1e-5)
        np.testing.assert_allclose(rows["instability"], level.instability, rtol=1e-5)
        centers = level.centers if scaler is None else scaler.inverse_transform(level.centers)
        np.testing.assert_allclose(rows[[f"center_{name}" for name in NAMES]], centers, rtol=1e-6)
    assert colors("tree.png") > 5
    assert colors("e.png") > 5


def test_anneal_names_no_lifetime_that_means_nothing(run):
    rng = np.random.default_rng(0)
    np.save("one.npy", rng.normal(size=(300, 5)))
    np.save("two.npy", rng.normal(size=(300, 5)) + 12 * (np.arange(300)[:, None] % 2))
    options = ("--max-clusters", 4, "--n-temperatures", 30)
    one, two = (succeeds(run("anneal", file, *options)) for file in ("one.npy", "two.npy"))
    assert figure(one, "longest lifetime").startswith("none that counts")
    assert "lasts until" not in one.partition("longest")[0]
    assert re.match(r"2 clusters, until T is 0\.\d\d times as high: a clear answer$", figure(two, "longest lifetime"))
    assert re.search(r"^cluster 0 splits .* 2 +0\.\d\d times this$", two, re.MULTILINE)


def test_anneal_prints_the_first_splits_and_all_if_asked(run):
    np.save("wine.npy", StandardScaler().fit_transform(load_wine().data))
    few, all_of_them = (succeeds(run("anneal", "wine.npy", *more)) for more in ((), ("--verbose",)))
    splits = {out: re.findall(r"^clusters? [\d, ]+ splits? .*$", out, re.MULTILINE) for out in (few, all_of_them)}
    assert [line.split() for line in splits[few]] == [line.split() for line in splits[all_of_them][:8]]
    hidden = int(re.search(r"^and (\d+) more at lower temperatures, which --verbose prints$", few, re.MULTILINE)[1])
    assert len(all_of_them.splitlines()) == len(few.splitlines()) + hidden - 1
    assert "more at lower" not in all_of_them
    verdict = r"3 clusters, until T is 0\.\d\d times as high: no clear answer; clear ones last until about 0.1"
    assert re.fullmatch(verdict, figure(few, "longest lifetime"))


def test_an_event_after_which_clusters_last_is_printed_however_late():
    events = [("cluster 0 splits", "1", "1", str(k), "0.10 times this" if k == 12 else "") for k in range(2, 20)]
    assert [row[3] for row in _first_events(events)] == [str(k) for k in range(2, 13)]
    assert len(_first_events(events[11:])) == 7


def test_a_jump_is_explained(data, run, monkeypatch):
    options = ("--max-clusters", 3, "--n-temperatures", 20)
    out = succeeds(run("anneal", data / "iris.csv", *options))
    assert "jump" not in out

    def with_jump(*args, **given):
        path = annealing_path(*args, **given)
        return path._replace(transitions=(*path.transitions, Transition(0.1, len(path.levels) - 1, 0, "jump")))

    monkeypatch.setattr("softkmeans.annealing_path", with_jump)
    out = succeeds(run("anneal", data / "iris.csv", *options))
    assert re.search(r"^cluster 0 jumps +0\.1 ", out, re.MULTILINE)
    assert figure(out, "jump").startswith("a center moved at once")


def test_a_path_may_start_at_any_temperature(data, run):
    out = succeeds(
        run("anneal", data / "iris.csv", "--temperatures", "3, 1", "--columns", "petal_length", "--table", "p.csv")
    )
    assert figure(out, "temperatures") == "2, from 3 to 1"
    table = pd.read_csv("p.csv")
    assert sorted(set(table["temperature"])) == [1, 3]
    assert table["parent"][0] == -1
    first = int((table["level"] == 0).sum())
    assert re.search(rf"^cluster 0 splits .* {first}\b", out, re.MULTILINE)  # on the way to the first level
    out = succeeds(run("anneal", data / "iris.npy", "--temperatures", "20", "--table", "p.csv"))
    assert figure(out, "clusters at the end").startswith("1 ")
    assert pd.read_csv("p.csv").columns[-1] == "center_3"


# --- Misuse -----------------------------------------------------------------------------------------------------------

SELECT = "select {data}/iris.csv --out m.safetensors --table t.csv --picture p.png "
ANNEAL = "anneal {data}/iris.csv --table t.csv --picture p.png --energies e.png "
FIT = "fit {data}/iris.csv -k 3 --out m.safetensors "
BAD = {
    **{
        SELECT + f"--k-range {text}": "--k-range '.*': expected increasing numbers of clusters"
        for text in ("5-2", "3,3", "a-b", "0-3", "2-", ",")
    },
    SELECT + "--k-range 1-1000000000000": "--k-range up to 1000000000000 is more than the 149 distinct rows",
    SELECT + "--k-range 140-150 --cv 0": "149 distinct rows",
    SELECT + "--criterion best": "--criterion 'best' is not known: choose one of bic, icl",
    SELECT + "--criterion held_out --cv 0": "--criterion 'held_out' is not supported with --cv 0",
    SELECT + "--criterion lifetime --no-path": "--criterion 'lifetime' is not supported with --no-path",
    SELECT + "--criterion xie_beni --k-range 1": r"--criterion 'xie_beni' has no value for --k-range \[1\]",
    SELECT + "--cv 1": "--cv 1",
    SELECT + "--cv 151": "--cv 151 .*150",
    SELECT + "--cv -1": "--cv",
    SELECT + "--temperature perplexity:9 --k-range 2-4": "--temperature 'perplexity:9' with 2 clusters",
    SELECT + "--temperature calibrated --distance cosine": "--temperature 'calibrated' needs squared",
    SELECT + "--priors none": "--priors 'none'",
    SELECT + "--scale cubic": "--scale 'cubic'",
    SELECT + "--columns nope": "no column 'nope'",
    "select {data}/none.csv": "no such file",
    "select {data}/one.csv": "--k-range up to 10 is more than the 1 distinct rows",
    "select {data}/one.csv --k-range 1 --cv 0 --table t.csv": "all rows are the same",
    "select {data}/constant.csv --k-range 1 --table t.csv": "all rows are the same",
    "select {data}/constant.csv --k-range 1 --scale standard": "all rows are the same",
    "select {data}/few.csv --k-range 1-3": "--cv 5 is more than the 4 rows",
    "select {data}/iris.csv --table nowhere/t.csv": "no folder .*nowhere",
    "select {data}/iris.csv --table t.xlsx": "t.xlsx.*must end",
    "select {data}/iris.csv --table {data}/iris.csv": "iris.csv: it is the input",
    ANNEAL + "--temperatures 2,5": "--temperatures.* 2 to 5: give decreasing temperatures",
    ANNEAL + "--temperatures 5,5": "--temperatures.* 5 to 5",
    ANNEAL + "--temperatures 5,x": "--temperatures '5,x'",
    ANNEAL + "--temperatures 5,-1": "--temperatures.*-1",
    ANNEAL + "--temperatures 5,nan": "--temperatures.*nan",
    ANNEAL + "--temperatures 5,1e-300": "too far from the scale of the data",
    ANNEAL + "--temperatures 5": "--picture is not supported with one temperature",
    ANNEAL + "--max-clusters 0": "--max-clusters 0",
    ANNEAL + "--n-temperatures 0": "--n-temperatures 0",
    ANNEAL + "--distance far": "--distance 'far'",
    ANNEAL + "--scale cubic": "--scale 'cubic'",
    "anneal {data}/one.csv --table t.csv": "all rows are the same",
    "anneal {data}/constant.csv --scale standard --picture p.png": "all rows are the same",
    "anneal {data}/iris.csv --picture p.bmp": "p.bmp",
    "anneal {data}/iris.csv --picture p.png --energies p.png": "p.png: it is the input or another output",
    FIT + "--temperature perplexity:9": "--temperature 'perplexity:9' with 3 clusters: give a number between 1 and 3",
    FIT + "--temperature perplexity:1": "--temperature 'perplexity:1' with 3 clusters",
    FIT + "--temperature perplexity:-9": "--temperature 'perplexity:-9",
    FIT + "--temperature perplexity": "--temperature 'perplexity': give",
    FIT + "--temperature critical:0": "--temperature 'critical:0",
    FIT + "--fuzzifier 2 --local-search": "--fuzzifier is not supported with --temperature, --priors or --local-search",
    FIT + "--fuzzifier 1": "--fuzzifier 1",
    FIT + "--stability -1": "--stability",
    FIT + "--noise-distance -1": "--noise-distance -1",
}


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("line", BAD)
def test_misuse_is_one_line_and_nothing_is_written(line, data, run, tmp_path, recwarn):
    before = listing(data, tmp_path)
    status, _, err = run(*(word.format(data=data) for word in line.split()))
    assert re.fullmatch(r"error: [^\n]+\n", err)
    assert re.search(BAD[line], err)
    assert status == 2
    assert not recwarn  # a Python warning would be a second line
    assert listing(data, tmp_path) == before


@pytest.mark.slow
def test_a_late_error_writes_nothing_and_keeps_existing_files(data, run, monkeypatch):
    def broken(path):
        raise OSError("the disk is full")

    monkeypatch.setattr(EnergyDisplay, "from_path", broken)
    Path("t.csv").write_text("precious")
    args = ("--table", "t.csv", "--picture", "p.png", "--energies", "e.png", "--max-clusters", 3)
    status, _, err = run("anneal", data / "iris.csv", *args)
    assert (status, err) == (2, "error: the disk is full\n")
    assert {path.name: path.read_text() for path in Path().iterdir()} == {"t.csv": "precious"}


# --- Progress ---------------------------------------------------------------------------------------------------------


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.slow
@pytest.mark.parametrize("kind", [io.StringIO, Terminal])
def test_a_bar_is_shown_on_terminals_only_and_erased(kind, monkeypatch):
    monkeypatch.setattr(sys, "stderr", kind())
    with progress(3, "levels", "level") as bar:
        time.sleep(1.1)
        bar.update()
    shown = sys.stderr.getvalue()
    assert ("levels" in shown) == (kind is Terminal)
    assert shown.split("\r")[-1].strip() == ""


@pytest.mark.slow
def test_a_bar_appears_before_the_first_step_ends_and_warnings_after_it(monkeypatch):
    monkeypatch.setattr(sys, "stderr", Terminal())
    with warnings.catch_warnings(record=True, action="always") as shown:
        with progress(3, "levels", "level"):
            time.sleep(1.2)
            warnings.warn("a problem", UserWarning, stacklevel=1)
            assert "levels" in sys.stderr.getvalue()
            assert not shown
        assert [str(warning.message) for warning in shown] == ["a problem"]


def test_a_file_gets_no_bar_and_its_warnings_at_once(monkeypatch):
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    with progress(3, "levels", "level"), pytest.warns(UserWarning, match="a problem"):
        warnings.warn("a problem", UserWarning, stacklevel=1)
    assert sys.stderr.getvalue() == ""


@pytest.mark.process
def test_anneal_in_a_separate_process(data, tmp_path):
    command = [Path(sys.executable).with_name("softkmeans"), "anneal", data / "iris.csv", "--max-clusters", "3"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    assert figure(done.stdout, "clusters at the end").startswith("3 ")
