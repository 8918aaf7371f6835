"""The command line gives the results of the library; every misuse is one line on standard error."""

import csv
import io
import re
import signal
import subprocess
import sys
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
import safetensors.numpy
import typer
from PIL import Image
from sklearn.datasets import load_digits, load_wine
from sklearn.metrics import adjusted_rand_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from typer.main import get_command

import softkmeans
from helpers.commands import COMMAND, as_options, colors, figure, listing, number, succeeds, without_column_warnings
from softkmeans import Callback, EarlyStopping, MissingExtraError, SoftKMeans, SoftKMeansLayer, cli, load, save
from softkmeans.data.files.formats.lookup import suffixes
from softkmeans.selection.diagnostics import diagnose
from softkmeans.solvers import Em, Lbfgs

mpl.use("Agg")

WINE, DIGITS = load_wine(as_frame=True), load_digits(as_frame=True)
FEATURES = list(WINE.data.columns)
FRAMES = {
    "wine": WINE.data.assign(kind=WINE.target_names[WINE.target]),
    "digits": DIGITS.data.assign(kind=DIGITS.target),
}
COMMANDS = ("demo", "fit", "select", "anneal", "predict", "plot", "info")
CLUSTERS = {"wine": 3, "digits": 10}
WEIGHTS = np.random.default_rng(0).uniform(0, 2, len(WINE.data))
REACHES_MAX_ITER = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def table_of(out):
    rows = list(csv.DictReader(io.StringIO(out)))
    names = [name for name in rows[0] if name != "label"]
    assert names == [f"p{k}" for k in range(len(names))]
    return np.array([int(row["label"]) for row in rows]), np.array([[float(row[n]) for n in names] for row in rows])


def check_assignments(labels, proba, model, x):
    np.testing.assert_array_equal(labels, model.predict(x))
    np.testing.assert_allclose(proba, model.predict_proba(x), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(proba.sum(1), 1, rtol=1e-9)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Return a folder with real data as CSV and Parquet, models fitted on them, and invalid files."""
    folder = tmp_path_factory.mktemp("data")
    for name, frame in FRAMES.items():
        frame.to_csv(folder / f"{name}.csv", index=False)
        frame.to_parquet(folder / f"{name}.parquet")
    WINE.data.assign(w=WEIGHTS).to_csv(folder / "weighted.csv", index=False)
    shuffled = FRAMES["wine"][["kind", *FEATURES[::-1]]].assign(extra=1.5)
    shuffled.to_csv(folder / "shuffled.csv", index=False)
    np.save(folder / "wine.npy", WINE.data.to_numpy())
    np.save(folder / "five.npy", WINE.data.to_numpy()[:, :5])
    WINE.data[FEATURES[:2]].to_csv(folder / "two.csv", index=False)
    for name, content in BAD_FILES.items():
        (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    model = SoftKMeans(3, random_state=0).fit(WINE.data)
    save(model, folder / "wine.safetensors")
    save(make_pipeline(StandardScaler(), SoftKMeans(3, random_state=0)).fit(WINE.data), folder / "scaled.safetensors")
    save(SoftKMeans(3, random_state=0).fit(WINE.data.to_numpy()), folder / "nameless.safetensors")
    save(SoftKMeans(3, random_state=0).fit(WINE.data[FEATURES[:2]]), folder / "two.safetensors")
    save(SoftKMeans.from_layer(SoftKMeansLayer(3, 13)), folder / "layer.safetensors")
    raw = (folder / "wine.safetensors").read_bytes()
    (folder / "cut.safetensors").write_bytes(raw[: len(raw) // 2])
    (folder / "newer.safetensors").write_bytes(raw.replace(b'"version":"4"', b'"version":"5"'))
    safetensors.numpy.save_file({"weight": np.ones((3, 13))}, folder / "foreign.safetensors")
    return folder


BAD_FILES = {
    "empty.csv": "",
    "header.csv": "a,b\n",
    "text.csv": "a,b\nx,y\nz,w\n",
    "holes.csv": "a,b\n1,2\n3,inf\n,5\nnan,6\n7,8\n",
    "uneven.csv": "a,b\n1,2\n3,4\n5\n6,7\n",
    "negative.csv": "a,w\n1,1\n2,1\n3,-1\n",
    "zero.csv": "a,w\n1,0\n2,0\n3,0\n",
    "repeated.csv": "a,b\n1,2\n1,2\n3,4\n3,4\n",
    "constant.csv": "a,b,c\n1,2,3\n1,2,3\n1,2,3\n",
    "bytes.csv": bytes(range(256)) * 10,
    "latin.csv": "größe,b\n1,2\n".encode("latin1"),
    "huge.csv": "a,b\n1e200,2e200\n-3e200,1e200\n2e200,-1e200\n",
    "larger.csv": "a,b\n1e308,1e308\n-1e308,1e308\n1e308,-1e308\n",
    "tiny.csv": "a,b\n1e-200,2e-200\n-3e-200,1e-200\n2e-200,-1e-200\n",
    "null_row.csv": "a,b\n1,2\n0,0\n3,1\n",
    "random.safetensors": bytes(range(255, -1, -1)) * 20,
    "empty.safetensors": "",
    "text.parquet": "a,b\n1,2\n",
}


# --- fit, predict, plot, info -----------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
@pytest.mark.parametrize("name", FRAMES)
def test_fit_and_predict_agree_with_the_library(name, suffix, data, run):
    frame, k = FRAMES[name], CLUSTERS[name]
    x = frame.drop(columns="kind")
    expected = SoftKMeans(k, random_state=4).fit(x.to_numpy())
    file = data / f"{name}{suffix}"
    out = succeeds(run("fit", file, "-k", k, "--label-column", "kind", "--seed", 4, "--out", "m.safetensors", "-v"))
    model = load("m.safetensors")
    np.testing.assert_allclose(model.cluster_centers_, expected.cluster_centers_, rtol=1e-9, atol=1e-12)
    assert model.feature_names_in_.tolist() == list(x.columns)
    assert model.temperature_ == pytest.approx(expected.temperature_, rel=1e-9)
    assert number(out, "adjusted Rand index") == f"{adjusted_rand_score(frame['kind'], expected.labels_):.4f}"
    assert number(out, "free energy F") == f"{expected.free_energy_:.6g}"
    assert number(out, "distortion E") == f"{expected.distortion_:.6g}"
    assert number(out, "entropy H") == f"{expected.entropy_:.6g}"
    assert figure(out, "temperature") == f"{expected.temperature_:.6g}"
    assert figure(out, "steps") == f"{expected.n_iter_} passes over the rows (converged)"
    assert f"rows: {len(x)}, features: {x.shape[1]}" in out
    assert "wrote m.safetensors" in out
    assert "ignored" not in out
    check_assignments(*table_of(succeeds(run("predict", "m.safetensors", file))), expected, x.to_numpy())


@pytest.mark.slow
@pytest.mark.parametrize("ending", [".csv", ".csv.gz", ".tsv", ".parquet"])
def test_assignments_in_every_format(ending, data, run):
    succeeds(run("fit", data / "wine.csv", "-k", 3, "--assignments", f"fit{ending}"))
    assert succeeds(run("predict", data / "wine.safetensors", data / "wine.csv", "--out", f"predict{ending}")) == ""
    expected = load(data / "wine.safetensors")
    for file in (f"fit{ending}", f"predict{ending}"):
        frame = (
            pd.read_parquet(file) if ending == ".parquet" else pd.read_csv(file, sep="\t" if ending == ".tsv" else ",")
        )
        assert list(frame.columns) == ["label", "p0", "p1", "p2"]
        check_assignments(frame["label"].to_numpy(), frame.to_numpy()[:, 1:], expected, WINE.data)


def test_standardization_matches_scikit_learn_and_centers_are_in_data_units(data, run):
    expected = make_pipeline(StandardScaler(), SoftKMeans(3, random_state=0)).fit(WINE.data)
    args = ("--scale", "standard", "--label-column", "kind", "--out", "m.safetensors")
    out = succeeds(run("fit", data / "wine.csv", "-k", 3, *args))
    about = succeeds(run("info", "m.safetensors"))
    centers = expected[0].inverse_transform(expected[1].cluster_centers_)
    for text in (out, about):
        printed = set(text.split())
        assert {f"{value:.4g}" for value in centers[:, :2].ravel()} <= printed
        assert {f"{size:.1f}" for size in expected[1].cluster_weights_} <= printed
        assert {"alcohol", "malic_acid"} <= printed
        assert figure(text, "temperature") == f"{expected[1].temperature_:.6g} (of standardized data)"
    assert figure(about, "scaling") == "standard"
    assert figure(about, "features") == "13"
    assert figure(about, "distance") == "sqeuclidean"
    index = adjusted_rand_score(WINE.target, expected.predict(WINE.data))
    assert number(out, "adjusted Rand index") == f"{index:.4f}"
    check_assignments(*table_of(succeeds(run("predict", "m.safetensors", data / "wine.csv"))), expected, WINE.data)


@pytest.mark.parametrize("scale", ["none", "standard"])
def test_weight_column_is_used_as_sample_weights_only(scale, data, run):
    args = ("--weight-column", "w", "--scale", scale, "--out", "m.safetensors")
    succeeds(run("fit", data / "weighted.csv", "-k", 3, *args))
    x, found = WINE.data.to_numpy(), load("m.safetensors")
    if scale == "standard":
        scaler = StandardScaler().fit(x, sample_weight=WEIGHTS)
        np.testing.assert_allclose(found[0].mean_, scaler.mean_, rtol=1e-12)
        np.testing.assert_allclose(found[0].scale_, scaler.scale_, rtol=1e-12)
        x, found = scaler.transform(x), found[1]
    expected = SoftKMeans(3, random_state=0).fit(x, sample_weight=WEIGHTS)
    np.testing.assert_allclose(found.cluster_centers_, expected.cluster_centers_, rtol=1e-8, atol=1e-10)
    assert found.cluster_weights_.sum() == pytest.approx(WEIGHTS.sum(), rel=1e-9)


def test_columns_are_used_in_the_order_given(data, run):
    names = ["proline", "alcohol", "hue"]
    succeeds(run("fit", data / "wine.csv", "-k", 3, "--columns", "proline, alcohol,hue", "--out", "m.safetensors"))
    expected = SoftKMeans(3, random_state=0).fit(WINE.data[names].to_numpy())
    found = load("m.safetensors")
    assert found.feature_names_in_.tolist() == names
    np.testing.assert_allclose(found.cluster_centers_, expected.cluster_centers_, rtol=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "parameters"),
    [
        (["--temperature", "500"], {"temperature": 500.0}),
        (["--temperature", "1e3", "--solver", "lbfgs"], {"temperature": 1000.0, "solver": "lbfgs"}),
        (["--distance", "euclidean"], {"distance": "euclidean"}),
        (["--distance", "cosine"], {"distance": "cosine"}),
        (["--init", "random", "--n-init", "4"], {"init": "random", "n_init": 4}),
        (["--solver", "adam", "--tol", "1e-3"], {"solver": "adam", "tol": 1e-3}),
        (["--init", "k-means||", "--growing-sample"], {"init": "k-means||", "growing_sample": True}),
        (["--max-iter", "2"], {"max_iter": 2}),
        (["--assignment", "fuzzy"], {"assignment": "fuzzy"}),
        (
            ["--update", "mean", "--distance", "euclidean", "--temperature", "100"],
            {"update": "mean", "distance": "euclidean", "temperature": 100.0},
        ),
        (["--seed", "11"], {"random_state": 11}),
        (["--n-clusters", "5"], {"n_clusters": 5}),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
@REACHES_MAX_ITER
def test_options_are_the_estimators_parameters(options, parameters, data, run):
    expected = SoftKMeans(**({"n_clusters": 3, "random_state": 0} | parameters)).fit(WINE.data.to_numpy())
    status, _, err = run("fit", data / "wine.parquet", "-k", 3, *options, "--out", "m.safetensors")
    assert status == 0
    assert without_column_warnings(err) == "".join(f"warning: {as_options(text)}\n" for text in diagnose(expected))
    found = load("m.safetensors")
    np.testing.assert_allclose(found.cluster_centers_, expected.cluster_centers_, rtol=1e-6)
    assert found.n_iter_ == expected.n_iter_
    for name, value in parameters.items():
        assert getattr(found, name) == value


def test_saved_history_shows_the_growing_sample(data, run):
    succeeds(
        run(
            "fit",
            data / "digits.parquet",
            "-k",
            4,
            "--label-column",
            "kind",
            "--growing-sample",
            "--out",
            "m.safetensors",
        )
    )
    expected = SoftKMeans(4, growing_sample=True, random_state=0).fit(DIGITS.data.to_numpy())
    found = load("m.safetensors")
    assert [step.n_rows for step in found.history_] == [step.n_rows for step in expected.history_]
    assert {step.n_rows for step in found.history_} == {256, 1797}


def test_text_columns_are_ignored_and_named(run):
    text = 'name,a,"a note, quoted",b,\n"x, y",1,"say ""hi""",2,r1\nz,3,"two\nlines",4,r2\nw,5,,7,r3\n'
    Path("notes.csv").write_text(text)
    out = succeeds(run("fit", "notes.csv", "-k", 2, "--out", "m.safetensors"))
    (line,) = [line for line in out.splitlines() if line.startswith("ignored columns:")]
    assert line == "ignored columns: name, a note, quoted, (unnamed)"
    assert "rows: 3, features: 2" in out
    assert load("m.safetensors").feature_names_in_.tolist() == ["a", "b"]


@pytest.mark.parametrize("file", ["shuffled.csv", "wine.parquet", "wine.npy"])
@pytest.mark.parametrize("model", ["wine", "scaled"])
def test_predict_takes_columns_by_name_or_by_position(file, model, data, run):
    out = succeeds(run("predict", data / f"{model}.safetensors", data / file))
    check_assignments(*table_of(out), load(data / f"{model}.safetensors"), WINE.data)


@pytest.mark.parametrize("file", ["wine.csv", "wine.npy"])
def test_a_model_without_names_takes_columns_by_position(file, data, run):
    out = succeeds(run("predict", data / "nameless.safetensors", data / file))
    check_assignments(*table_of(out), load(data / "nameless.safetensors"), WINE.data.to_numpy())


STARTS = {".png": b"\x89PNG", ".pdf": b"%PDF-", ".svg": b"<?xml", ".jpg": b"\xff\xd8\xff"}


@pytest.mark.slow
@pytest.mark.parametrize("ending", STARTS)
@pytest.mark.parametrize("model", ["wine", "scaled", "two"])
def test_pictures(model, ending, data, run):
    succeeds(
        run(
            *("plot", data / f"{model}.safetensors", data / "wine.csv"),
            *("--out", f"clusters{ending}", "--loss", f"loss{ending}"),
        )
    )
    for name in ("clusters", "loss"):
        assert Path(f"{name}{ending}").read_bytes().startswith(STARTS[ending])
    if ending == ".png":
        assert colors("clusters.png") > 50
        assert colors("loss.png") > 5


@pytest.mark.slow
def test_regions_shade_the_plane(data, run):
    for name, more in (("plain.png", []), ("shaded.png", ["--regions"])):
        succeeds(run("plot", data / "two.safetensors", data / "two.csv", "--out", name, *more))
    white = []
    for name in ("plain.png", "shaded.png"):
        with Image.open(name) as picture:
            white.append((np.asarray(picture.convert("RGB")) == 255).all(-1).mean())
    assert white[0] > 0.5
    assert white[1] < 0.8 * white[0]


@pytest.mark.slow
def test_fit_writes_a_picture(data, run):
    out = succeeds(run("fit", data / "wine.csv", "-k", 3, "--scale", "standard", "--picture", "p.png"))
    assert "wrote p.png" in out
    assert colors("p.png") > 50


def test_info_of_a_bare_layer(data, run):
    out = succeeds(run("info", data / "layer.safetensors"))
    assert (figure(out, "features"), figure(out, "scaling"), figure(out, "temperature")) == ("13", "none", "1")


def test_callbacks_by_name(data, run):
    options = ("--solver", "adam", "--tol", 0, "--callback", "early-stopping", "--callback", "loss-printer")
    status, out, _ = run("fit", data / "wine.csv", "-k", 3, *options, "--out", "m.safetensors")
    expected = SoftKMeans(3, solver="adam", tol=0, callbacks=[EarlyStopping()], random_state=0).fit(
        WINE.data.to_numpy()
    )
    assert status == 0
    assert load("m.safetensors").n_iter_ == expected.n_iter_ < 300
    steps, values = losses(out)
    assert steps[0] == 1
    assert values[0] == pytest.approx(expected.history_[0].mean, rel=1e-6)


def test_a_fuzzifier_may_be_given_with_the_fuzzy_assignment(data, run):
    words = ("fit", data / "wine.csv", "-k", 3, "--fuzzifier", 3)
    assert succeeds(run(*words, "--assignment", "fuzzy")) == succeeds(run(*words))


def test_a_fit_that_reaches_max_iter_warns_once(data, run):
    _, out, err = run("fit", data / "wine.csv", "-k", 3, "--max-iter", 2, "--verbose")
    assert without_column_warnings(err) == "warning: the fit did not converge: raise --max-iter\n"
    assert figure(out, "steps") == "2 passes over the rows (not converged)"


# --- demo -------------------------------------------------------------------------------------------------------------


def losses(out):
    found = re.findall(r"^step +(\d+) +loss (-?[\d.]+)$", out, re.MULTILINE)
    return [int(n) for n, _ in found], [float(loss) for _, loss in found]


def check_demo(out, folder, n, k):
    files = ["assignments.csv", "blobs.csv", "clusters.png", "loss.png", "model.safetensors"]
    assert sorted(p.name for p in folder.iterdir()) == files
    steps, values = losses(out)
    assert steps == sorted(set(steps))
    assert steps[0] == 1
    assert values[-1] < values[0]
    assert number(out, "steps") == str(steps[-1])
    for name in ("temperature", "free energy F", "distortion E", "entropy H", "seconds", "adjusted Rand index"):
        assert np.isfinite(float(number(out, name)))
    model = load(folder / "model.safetensors")
    lowest = 0.5 if model.n_features_in_ > 1 else 0.1  # clusters on a line overlap
    assert float(number(out, "adjusted Rand index")) > lowest
    assert {f"{size:.1f}" for size in model.cluster_weights_} <= set(out.split())
    assert {f"{value:.4g}" for value in model.cluster_centers_.ravel()} <= set(out.split())
    labels, proba = table_of((folder / "assignments.csv").read_text())
    assert proba.shape == (n, k)
    np.testing.assert_allclose(proba.sum(1), 1, atol=1e-6)
    np.testing.assert_array_equal(labels, proba.argmax(1))
    assert colors(folder / "clusters.png") > 50
    assert colors(folder / "loss.png") > 5
    return labels, proba


@pytest.mark.process
def test_demo_in_a_separate_process(tmp_path):
    args = ["--n-samples", "240", "--n-clusters", "3", "--log-every", "7"]
    done = subprocess.run(
        [COMMAND, "demo", *args],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
        env={"PATH": "/usr/bin:/bin"},
    )
    assert done.stderr == ""
    check_demo(done.stdout, tmp_path / "demo", 240, 3)
    assert "training: adam on the distortion, temperature 2" in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "objective"),
    [
        (["--solver", "em"], "em on the free_energy"),
        (["--solver", "em", "--log-every", "2", "--temperature", "3"], "em on the free_energy, temperature 3"),
        (["--solver", "lbfgs", "--log-every", "3"], "lbfgs on the free_energy"),
        (["--objective", "free_energy"], "adam on the free_energy"),
        (["--objective", "distortion", "--log-every", "50"], "adam on the distortion"),
        (["--n-features", "1"], "adam on the distortion"),
        (["--n-features", "5", "--cluster-std", "0.5"], "adam on the distortion, temperature 0.5"),
        (["--seed", "3", "--n-clusters", "2"], "adam on the distortion"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_demo(options, objective, run):
    given = dict(zip(options[::2], options[1::2], strict=True))
    out = succeeds(run("demo", "--n-samples", 300, *options, "--out-dir", "deep/er"))
    assert f"training: {objective}" in out
    k, every = int(given.get("--n-clusters", 4)), int(given.get("--log-every", 20))
    labels, proba = check_demo(out, Path("deep/er"), 300, k)
    steps, values = losses(out)
    assert all(n % every == 0 for n in steps[1:-1])
    assert len(steps) == len({1, *range(every, steps[-1] + 1, every), steps[-1]})
    if "free_energy" in objective:
        model = load("deep/er/model.safetensors")
        assert values[-1] * 300 == pytest.approx(model.free_energy_, rel=1e-3, abs=1e-2)
    assert len(labels) == len(proba)


@pytest.mark.slow
def test_demo_is_reproducible(run):
    for folder in ("one", "two"):
        succeeds(run("demo", "--n-samples", 100, "--seed", 5, "--out-dir", folder))
    assert Path("one/assignments.csv").read_bytes() == Path("two/assignments.csv").read_bytes()
    succeeds(run("demo", "--n-samples", 100, "--seed", 6, "--out-dir", "two"))  # overwrites the existing files
    assert Path("one/assignments.csv").read_bytes() != Path("two/assignments.csv").read_bytes()


# --- Misuse -----------------------------------------------------------------------------------------------------------

FIT = "fit {data}/wine.csv -k 3 --out m.safetensors --assignments a.csv --picture p.png "
ON = "--out m.safetensors --assignments a.csv --picture p.png"
SWAPPED = "wine.csv is not a model file, but .*wine.safetensors is: the model comes first, and then the data\n"
BAD = {
    "fit {data}/none.csv": "none.csv.*no such file",
    "fit {data}": "empty.csv: the file is empty",
    "fit {data}/empty.csv": "empty.csv: the file is empty",
    "fit {data}/header.csv": "no rows",
    "fit {data}/text.csv": "no feature column holds numbers.*'a', 'b'",
    "fit {data}/holes.csv": "3 missing or infinite values, the first in row 2 .*'b' .*, or use --exclude 'b'\n",
    "fit {data}/holes.csv --stream": "3 missing or infinite values .*'b' .*, or use --exclude 'b'\n",
    "fit {data}/holes.csv --columns b": "missing or infinite values.* docs/recipes.md, or remove the rows\n",
    "fit {data}/uneven.csv": "row 3 of the data has 1 cells",
    "fit {data}/bytes.csv": "bytes.csv",
    "fit {data}/latin.csv --encoding utf-8": "the header is not UTF-8 text; .* or give its --encoding",
    "fit {data}/latin.csv --encoding klingon": "--encoding 'klingon': expected the name of an encoding",
    "fit {data}/wine.csv --delimiter ab": "--delimiter 'ab': expected one character",
    "fit {data}/wine.csv --decimal , --thousands ,": "--thousands ',' is also the decimal character",
    "fit {data}/wine.csv -k 3 --scale robust --weight-column hue": "'robust' is not supported with --weight-column",
    "select {data}/wine.csv --scale robust --weight-column hue": "'robust' is not supported with --weight-column",
    "fit {data}/wine.csv -k 3 --scale robust --stream": "--scale 'robust' ",
    "fit {data}/negative.csv -k 2 --scale log": "the column 'w' has negative values, such as -1",
    "fit {data}/wine.csv --exclude none": "there is no column 'none'",
    "fit {data}/wine.csv --id none": "there is no column 'none'",
    "fit {data}/wine.csv --columns alcohol --exclude alcohol": "column 'alcohol' is chosen and excluded",
    "predict {data}/wine.safetensors {data}/wine.csv --keep none": "there is no column 'none'",
    "predict {data}/wine.safetensors {data}/wine.csv --columns alcohol": "--columns is not supported with a model that",
    "fit {data}/text.parquet": "text.parquet",
    "fit {data}/random.safetensors": "unknown extension",
    f"fit {{data}}/repeated.csv -k 3 {ON}": "--n-clusters 3 is more than the 2 distinct rows",
    f"fit {{data}}/repeated.csv {ON}": "--n-clusters 8 is more than the 2 distinct rows",
    f"fit {{data}}/huge.csv -k 2 {ON}": "too large|too far from the scale of the data|scale",
    f"fit {{data}}/larger.csv -k 2 {ON}": "too large",
    f"fit {{data}}/larger.csv -k 2 --scale standard {ON}": "too large|NaN or infinity",
    f"fit {{data}}/tiny.csv -k 2 {ON}": "rescale",
    f"fit {{data}}/null_row.csv -k 2 --distance cosine {ON}": "row 1 is all zeros",
    f"fit {{data}}/constant.csv -k 1 {ON}": "X has 3 equal rows",
    FIT + "--columns nope": "no column 'nope'",
    FIT + "--columns alcohl": "did you mean 'alcohol'",
    FIT + "--columns hue,hue": "'hue' is chosen twice",
    FIT + "--columns hue,kind": "'kind' is not numeric: row 1 of the data holds 'class_0'; leave it out, or encode",
    FIT + "--label-column nope": "no column 'nope'",
    FIT + "--label-column hue --weight-column hue": "'hue' is chosen twice",
    FIT + "--weight-column kind": "'kind' is not numeric",
    "fit {data}/negative.csv -k 2 --weight-column w": "'w' must be finite and not negative: row 3",
    "fit {data}/zero.csv -k 2 --weight-column w": "'w' is zero in every row",
    FIT + "-k 0": "--n-clusters 0",
    FIT + "-k -2": "--n-clusters -2",
    FIT + "-k 179": "178 distinct rows",
    FIT + "--temperature 0": "--temperature 0",
    FIT + "--temperature -1": "--temperature -1",
    FIT + "--temperature nan": "--temperature nan",
    FIT + "--temperature inf": "--temperature inf",
    FIT + "--temperature warm": "--temperature 'warm'.*auto",
    FIT + "--temperature 1e-300": "too far from the scale of the data",
    FIT + "--solver sgd": "'sgd'.*auto, em, lbfgs, adam",
    FIT + "--distance far": "'far'.*sqeuclidean, euclidean, cosine",
    FIT + "--init best": "'best'.*k-means\\+\\+, k-means\\|\\|, random",
    FIT + "--scale cubic": "'cubic'.*none, standard",
    FIT + "--callback loud": "--callback 'loud' is not known: choose one of early-stopping, loss-printer, progress-bar",
    FIT + "--assignment hard": "--assignment 'hard' is not known: choose one of softmax, fuzzy",
    FIT + "--assignment fuzzy --temperature 3": "--temperature 3.0 is not supported with fuzzy .*: set --fuzzifier",
    FIT + "--fuzzifier 2 --assignment softmin": "--fuzzifier is not supported with --assignment: remove one of them",
    FIT + "--fuzzifier 2 --update mean": "--fuzzifier is not supported with --update: remove one of them",
    FIT + "--update half": "--update 'half' is not known: choose one of exact, mean",
    FIT + "--n-init 0": "--n-init 0",
    FIT + "--max-iter 0": "--max-iter 0",
    FIT + "--tol -1": "--tol -1",
    FIT + "--tol nan": "--tol nan",
    FIT + "--seed 4294967296": "--seed",
    "fit {data}/wine.csv -k 3 --out nowhere/m.safetensors": "no folder .*nowhere",
    "fit {data}/wine.csv -k 3 --out {data}/wine.csv/m.safetensors": "wine.csv is not a folder",
    "fit {data}/wine.csv -k 3 --out {data}": "the file name must end with one of .safetensors",
    "fit {data}/wine.csv -k 3 --out /proc/m.safetensors": "/proc",
    "fit {data}/wine.csv -k 3 --assignments a.xlsx": "a.xlsx.*.csv, .csv.gz, .tsv, .tsv.gz, .parquet",
    "fit {data}/wine.csv -k 3 --picture p.bmp": "p.bmp.*.png, .pdf, .svg, .jpg",
    "fit {data}/wine.csv -k 3 --out same.csv --assignments same.csv": "same.csv",
    "fit {data}/wine.csv -k 3 --assignments {data}/wine.csv": "wine.csv",
    "fit {data}/wine.csv -k 3 --out {data}/wine.csv": "wine.csv",
    "predict {data}/wine.safetensors {data}/two.csv": "no column 'ash'",
    "predict {data}/wine.safetensors {data}/five.npy": "5 numeric columns.*13",
    "predict {data}/nameless.safetensors {data}/two.csv": "2 numeric columns.*13",
    "predict {data}/nameless.safetensors {data}/weighted.csv": "14 numeric columns.*13",
    "predict {data}/two.safetensors {data}/holes.csv": "no column 'alcohol'",
    "predict {data}/wine.safetensors {data}/none.csv": "no such file",
    "predict {data}/wine.safetensors {data}/wine.csv --out p.txt": "p.txt.*.csv",
    "predict {data}/wine.safetensors {data}/wine.csv --out nowhere/p.csv": "no folder .*nowhere",
    "predict {data}/wine.csv {data}/wine.safetensors": SWAPPED,
    "plot {data}/wine.csv {data}/wine.safetensors": SWAPPED,
    "report {data}/wine.csv {data}/wine.safetensors": SWAPPED,
    "predict {data}/wine.csv {data}/random.safetensors": "wine.csv is not a model file, or is truncated",
    "predict {data}/none.csv {data}/wine.safetensors": "none.csv: there is no such file",
    "predict {data}/wine.csv {data}/two.csv": "wine.csv is not a model file, or is truncated",
    "plot {data}/wine.safetensors {data}/wine.csv --out p.bmp": "p.bmp",
    "plot {data}/wine.safetensors {data}/wine.csv --out p.png --loss nowhere/l.png": "no folder",
    "plot {data}/wine.safetensors {data}/wine.csv --out p.png --loss p.png": "p.png",
    "plot {data}/wine.safetensors {data}/wine.csv --regions": "regions is not supported with 13 features(?!.*0x)",
    "plot {data}/wine.safetensors {data}/five.npy --regions": "5 numeric columns",
    "plot {data}/layer.safetensors {data}/wine.npy --loss loss.png": "--loss .* is not supported with .*/layer",
    "demo --temperature 0": "--temperature 0",
    "demo --temperature -1": "--temperature -1",
    "demo --n-clusters 0": "--n-clusters",
    "demo --n-samples 3": "--n-samples",
    "demo --n-features 0": "--n-features",
    "demo --cluster-std -1": "--cluster-std",
    "demo --objective joy": "'joy'",
    "demo --objective distortion --solver em": "distortion",
    "demo --objective distortion --solver lbfgs": "distortion",
    "demo --solver sgd": "'sgd'",
    "demo --max-iter 0": "--max-iter 0",
    "demo --seed 4294967296": "--seed",
    "demo --out-dir {data}/wine.csv": "wine.csv",
    "demo --out-dir {data}/wine.csv/x": "wine.csv",
} | {
    f"{command} {{data}}/{file}.safetensors{more}": match
    for command, more in (("info", ""), ("predict", " {data}/wine.csv"), ("plot", " {data}/wine.csv"))
    for file, match in (
        ("cut", "cut.safetensors is not a model file, or is truncated or damaged"),
        ("random", "is not a model file"),
        ("foreign", "not a softkmeans model"),
        ("newer", "version 5.*upgrade"),
        ("empty", "is not a model file"),
        ("none", "no such file"),
    )
}
BAD["info {data}"] = "folder|can't be read"


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("line", BAD)
def test_misuse_is_one_line_and_nothing_is_written(line, data, run, tmp_path, recwarn, monkeypatch):
    before = listing(data, tmp_path)
    monkeypatch.setattr(sys, "unraisablehook", lambda ignored: print("Exception ignored in", ignored, file=sys.stderr))
    try:
        status, out, err = run(*(word.format(data=data) for word in line.split()))
        assert re.fullmatch(r"error: [^\n]+\n", err)
        assert re.search(BAD[line], err)
        assert status == 2
        assert "Traceback" not in out + err
        assert not recwarn  # a Python warning would be a second line
        assert listing(data, tmp_path).keys() == before.keys()
        assert listing(data, tmp_path) == before
    finally:
        for path, content in before.items():  # undo changes, as other cases use the same files
            if content and Path(path).read_bytes() != content:
                Path(path).write_bytes(content)


@pytest.mark.parametrize(
    ("line", "match"),
    [
        ("fit", "Missing argument"),
        ("predict {data}/wine.safetensors", "Missing argument"),
        ("fit {data}/wine.csv -k three", "valid integer"),
        ("fit {data}/wine.csv --tol small", "--tol"),
        ("fit {data}/wine.csv --seed -1", "--seed"),
        ("fit {data}/wine.csv --cluster 3", "No such option"),
        ("fit {data}/wine.csv {data}/two.csv", "unexpected extra"),
        ("demo --log-every 0", "--log-every"),
        ("dance", "No such command"),
    ],
)
def test_unparsable_command_lines_are_explained(line, match, data, run, tmp_path):
    status, out, err = run(*(word.format(data=data) for word in line.split()))
    assert (status, out) == (2, "")
    assert match in " ".join(err.split())
    assert "Traceback" not in err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("ending", [*suffixes("read"), ".xls", ".sav"])
@pytest.mark.parametrize("command", ["fit", "select", "anneal", "predict", "plot", "report"])
def test_a_missing_file_is_missing_whatever_its_name(command, ending, data, run):
    model = [data / "wine.safetensors"] if command in ("predict", "plot", "report") else []
    status, _, err = run(command, *model, f"none{ending}")
    assert (status, err) == (2, f"error: none{ending}: there is no such file; check its name and folder\n")


def test_an_unknown_file_is_told_all_that_can_be_read(run):
    Path("table.sav").write_text("a,b\n1,2\n")
    status, _, err = run("fit", "table.sav")
    assert (status, [ending for ending in suffixes("read") if f" {ending}" not in err]) == (2, [])


def test_a_late_error_keeps_the_existing_files(data, run):
    for name in ("m.safetensors", "a.csv", "p.png"):
        Path(name).write_bytes(b"precious")
    status, _, err = run(*("fit", data / "constant.csv", "-k", 1), *ON.split())
    assert (status, err.count("\n")) == (2, 1)
    assert {p.name: p.read_bytes() for p in Path().iterdir()} == dict.fromkeys(
        ("m.safetensors", "a.csv", "p.png"), b"precious"
    )


# --- Interrupts, pipes, start -----------------------------------------------------------------------------------------

INTERRUPTED = """
import os, signal, sys
from softkmeans.solvers import Lbfgs
from softkmeans.cli import main
step, passes = Lbfgs.step, []
def step_and_interrupt(*args):
    passes.append(1)
    if len(passes) == 3:
        os.kill(os.getpid(), signal.SIGINT)
    return step(*args)
Lbfgs.step = step_and_interrupt
main()
"""


def interrupted_at(number, step):
    passes = []

    def interrupted(*args):
        passes.append(1)
        if len(passes) == number:
            raise KeyboardInterrupt
        return step(*args)

    return interrupted


class StopAtThree(Callback):
    def on_step(self, step):
        return step.n_iter == 3


@pytest.mark.process
@pytest.mark.parametrize("scale", ["none", "standard"])
def test_ctrl_c_writes_the_best_centers_so_far(scale, data, tmp_path, run, monkeypatch):
    args = ["fit", data / "digits.csv", "-k", "10", "--tol", "0", "--max-iter", "100000", "--scale", scale]
    args += ["--out", "m.safetensors", "--assignments", "a.csv", "--verbose"]
    if scale == "standard":
        done = subprocess.run(
            [sys.executable, "-c", INTERRUPTED, *args], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        status, out, err = done.returncode, done.stdout, done.stderr
    else:
        monkeypatch.setattr(Lbfgs, "step", interrupted_at(3, Lbfgs.step))
        status, out, err = run(*args)
    assert status == 128 + signal.SIGINT
    assert re.fullmatch(
        r"interrupted: the fit was interrupted; the best centers so far are kept\n\s*", without_column_warnings(err)
    )
    assert figure(out, "steps") == "3 passes over the rows (not converged)"
    assert "wrote m.safetensors" in out
    x = FRAMES["digits"]  # includes the numeric class column, as no label column was given
    expected = SoftKMeans(10, random_state=0, tol=0, callbacks=[StopAtThree()])
    pipe = make_pipeline(StandardScaler(), expected) if scale == "standard" else expected
    pipe.fit(x)
    labels, proba = table_of((tmp_path / "a.csv").read_text())
    check_assignments(labels, proba, load(tmp_path / "m.safetensors"), x)
    np.testing.assert_allclose(proba, pipe.predict_proba(x), rtol=1e-6, atol=1e-9)


def test_ctrl_c_in_a_demo_ends_it_without_a_traceback(run, monkeypatch):
    step = Em.step

    def interrupted(self, objective, state, summary):
        if summary.stats.n < 0 or next(passes) == 2:
            raise KeyboardInterrupt
        return step(self, objective, state, summary)

    passes = iter(range(10))
    monkeypatch.setattr(Em, "step", interrupted)
    status, out, err = run("demo", "--solver", "em", "--n-samples", 200)
    assert status == 130
    assert "step     1" in out
    assert "Traceback" not in err


def test_ctrl_c_before_the_fit_writes_nothing(data, run, monkeypatch, tmp_path):
    def interrupted(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr("softkmeans.data.read_table", interrupted)
    status, _, err = run("fit", data / "wine.csv", "--out", "m.safetensors")
    assert status == 130
    assert "Traceback" not in err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.process
def test_a_closed_pipe_causes_no_traceback(data, tmp_path):
    pd.concat([WINE.data] * 200).to_parquet(tmp_path / "long.parquet")  # larger than the buffer of a pipe
    command = [sys.executable, "-m", "softkmeans", "predict", data / "wine.safetensors", tmp_path / "long.parquet"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        head = process.stdout.readline()
        process.stdout.close()
        err = process.stderr.read()
    assert head == '"label","p0","p1","p2"\n'
    assert err == ""


LOADED = """
import sys
from softkmeans.cli import main
try:
    main()
finally:
    heavy = ["torch", "sklearn", "scipy", "matplotlib", "pyarrow", "pandas"]
    print([name for name in heavy if name in sys.modules], file=sys.stderr)
"""


@pytest.mark.process
@pytest.mark.parametrize("words", [["--help"], ["fit", "--help"]], ids=" ".join)
def test_help_loads_nothing_heavy(words):
    done = subprocess.run([sys.executable, "-c", LOADED, *words], capture_output=True, text=True, check=True)
    assert done.stderr == "[]\n"
    assert "Usage:" in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("flag", ["--help", "-h"])
def test_every_command_has_help(command, flag, run):
    out = succeeds(run(command, flag))
    assert "Usage:" in out
    assert command in out


def test_every_option_has_a_help_text():
    app = get_command(cli.app)
    for command in (app, *(app.commands[name] for name in COMMANDS)):
        params = command.get_params(typer.Context(command))
        assert {param.name for param in params} >= {"plugin", "help"}
        assert all(re.fullmatch(r"[A-Z][^{}]+\.", param.help) for param in params), command.name


def test_no_arguments_show_the_help(run):
    status, out, err = run()
    assert status in (0, 2)
    assert "Usage:" in out + err
    assert all(command in out + err for command in COMMANDS)


def test_version(run):
    assert succeeds(run("--version")) == f"softkmeans {softkmeans.__version__}\n"


@pytest.mark.slow
def test_other_commands_accept_the_files_of_the_demo(run):
    assert run("demo", "--out-dir", "d", "--solver", "em")[0] == 0
    succeeds(run("predict", "d/model.safetensors", "d/blobs.csv", "--out", "again.csv"))
    assert Path("again.csv").read_text().splitlines()[0] == '"label","p0","p1","p2","p3"'
    with Path("again.csv").open() as again, Path("d/assignments.csv").open() as first:
        assert [row["label"] for row in csv.DictReader(again)] == [row["label"] for row in csv.DictReader(first)]
    assert "adjusted Rand index" in succeeds(run("fit", "d/blobs.csv", "-k", "4", "--label-column", "blob"))


@pytest.mark.slow
@pytest.mark.parametrize("line", ["demo --out-dir d", "fit {data}/wine.npy -k 3 --assignments a.csv"])
def test_a_missing_extra_is_named_before_any_work(line, data, run, monkeypatch):
    def missing(package, feature):
        raise MissingExtraError(feature, package, "files")

    monkeypatch.setattr("softkmeans.data.files.formats.base.import_package", missing)
    status, out, err = run(*line.format(data=data).split())
    assert (status, out) == (2, "")
    assert err.endswith("pip install 'softkmeans[files]'\n")


def test_printed_loss_is_that_of_the_model_when_max_iter_is_reached(data, run):
    out = run("fit", data / "wine.csv", "-k", "3", "--temperature", "500", "--max-iter", "1", "--tol", "0", "-v")[1]
    assert float(number(out, "loss per row")) == pytest.approx(float(number(out, "free energy F")) / 178, rel=1e-5)
