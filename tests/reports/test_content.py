"""The numbers of a report equal those computed in another way, and rows are sampled as it says."""

import json
import re

import numpy as np
import pytest
import torch
from sklearn.datasets import load_wine
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from helpers.reports import MODELS
from softkmeans import InputError, SoftKMeans, critical_temperature, report
from softkmeans.data import as_source, scan, write_table
from softkmeans.metrics import silhouette_samples
from softkmeans.model.assignment import Assignment, AssignmentRule
from softkmeans.reports import Extras, collect
from softkmeans.reports.encoding import decode, encode, encode_columns, to_json
from softkmeans.reports.html import MODULES, bundle, page_file

WINE = load_wine(as_frame=True).data


@pytest.fixture(scope="module")
def large():
    rng = np.random.default_rng(0)
    sizes = np.array([30_000, 5_000, 25])
    x = np.concatenate([rng.normal([10 * k, 0, 0], 1, size=(n, 3)) for k, n in enumerate(sizes)])
    return SoftKMeans(3, temperature=2.0, init=[[0, 0, 0], [10, 0, 0], [20, 0, 0]]).fit(x), x[rng.permutation(len(x))]


def test_figures_are_of_all_rows(made):
    model, x, page = made("wine")
    resp, overview = model.predict_proba(x), page.content["overview"]
    np.testing.assert_allclose(overview["sizes"], resp.sum(0), rtol=1e-9)
    assert overview["distortion"] == pytest.approx(model[-1].distortion_, rel=1e-6)
    assert overview["entropy"] == pytest.approx(model[-1].entropy_, rel=1e-6)
    assert sum(overview["certainty"]) == pytest.approx(len(x))
    assert overview["sure"] == pytest.approx((resp.max(1) >= 0.9).mean())
    widths = silhouette_samples(model[:-1].transform(x), resp, model[-1].cluster_centers_)
    means = [widths[resp.argmax(1) == k].mean() for k in range(3)]
    np.testing.assert_allclose(overview["silhouette"], means, rtol=1e-6)


def test_marks_are_critical_temperatures(made):
    model, x, page = made("wine")
    marks = {mark["cluster"]: mark["value"] for mark in page.content["slider"]["marks"]}
    assert marks[None] == pytest.approx(critical_temperature(model[:-1].transform(x)))
    assert set(marks) == {None, 0, 1, 2}
    assert page.content["slider"]["fitted"] == pytest.approx(model[-1].temperature_)


def test_training_curves_end_at_the_fit(made):
    model, _, page = made("wine")
    estimator, curves = model[-1], page.content["training"]["curves"]
    for name, value in {
        "loss": estimator.objective_,
        "free energy F": estimator.free_energy_,
        "distortion E": estimator.distortion_,
        "entropy H": estimator.entropy_,
    }.items():
        assert curves[name][-1] == pytest.approx(value / 178, rel=1e-6)


def test_a_sample_is_stratified_and_keeps_the_ambiguous_rows(large):
    model, x = large
    content = collect(model, x, extras=Extras(max_rows=2_000))
    index = decode(content["rows"]["index"]).astype(int)
    assert content["is_sample"]
    assert 1_950 <= len(index) <= 2_060
    assert (np.diff(index) > 0).all()
    labels = model.predict(x)
    shown, all_rows = np.bincount(labels[index]), np.bincount(labels)
    assert shown[2] == 25 == all_rows[2]  # all rows of the small cluster
    np.testing.assert_allclose(shown[:2] / shown[:2].sum(), all_rows[:2] / all_rows[:2].sum(), atol=0.05)
    assert set(content["overview"]["ambiguous"]) <= set(index.tolist())
    ordered = np.sort(model.predict_proba(x), axis=1)
    margins = ordered[:, -1] - ordered[:, -2]
    assert set(content["overview"]["ambiguous"]) == set(np.argsort(margins, kind="stable")[:100].tolist())
    values = content["features"]["values"]
    columns = decode(values).reshape(3, -1).T * np.array(values["step"]) + np.array(values["low"])
    np.testing.assert_allclose(columns, x[index], atol=1e-5)


def test_rows_in_blocks_give_the_same_report(large, tmp_path):
    model, x = large
    half = len(x) // 2
    folder = tmp_path / "rows"
    folder.mkdir()
    for name, part in (("a", x[:half]), ("b", x[half:])):
        write_table(folder / f"{name}.parquet", {f"x{j}": part[:, j] for j in range(3)})
    extras = Extras(max_rows=1_000)
    one, other = collect(model, x, extras=extras), collect(model, scan(folder), extras=extras)
    assert one["rows"]["index"] == other["rows"]["index"]
    np.testing.assert_allclose(one["overview"]["sizes"], other["overview"]["sizes"])
    np.testing.assert_allclose(decode(one["rows"]["excess"]), decode(other["rows"]["excess"]), rtol=1e-5, atol=1e-5)


@pytest.mark.slow
def test_the_file_of_the_largest_report_is_small(tmp_path):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(20_000, 64)) + 3 * rng.normal(size=(20, 64))[rng.integers(20, size=20_000)]
    model = make_pipeline(StandardScaler(), SoftKMeans(20, tol=1e-2, random_state=0)).fit(x)
    report(model, x, tmp_path / "large.html")
    size = (tmp_path / "large.html").stat().st_size
    print(f"\n20,000 rows, 64 features, k = 20: {size:,} bytes")
    assert size <= 6_000_000
    content = collect(model, x)
    assert content["rows"]["n"] == 20_000
    assert content["features"]["values"]["type"] == "uint16"


def test_the_page_without_data_is_small():
    vendor = page_file("vendor/uPlot.iife.min.js")
    styles = page_file("page.css") + page_file("vendor/uPlot.min.css")
    assert len(bundle().encode()) <= 60_000
    size = len((vendor + styles + bundle() + page_file("page.html")).encode())
    print(f"\nmodules {len(bundle().encode()):,} bytes, page without data {size:,} bytes")
    assert size <= 200_000


def test_names_of_modules_do_not_clash():
    """The modules become one, so a name at the top of one must not be at the top of another."""
    names = re.findall(r"^(?:async )?(?:function|const|let|class) (\w+)", bundle(), re.MULTILINE)
    top = []
    for module in MODULES:
        text = page_file(f"{module}.js")
        top += re.findall(r"^(?:export )?(?:async )?(?:function|const|let|class) (\w+)", text, re.MULTILINE)
        for imported, other in re.findall(r"^import \{([^}]*)\} from \"\./(\w+)\.js\";", text, re.MULTILINE):
            assert MODULES.index(other) < MODULES.index(module)
            exported = re.findall(
                r"^export (?:async )?(?:function|const|let|class) (\w+)", page_file(f"{other}.js"), re.M
            )
            assert {name.strip() for name in imported.split(",")} <= set(exported)
    assert len(top) == len(set(top))
    assert set(top) <= set(names)
    assert not re.search(r"`[^`]*\$\{[^}`]*`", bundle())  # a template in a template, which would lose spaces
    assert "innerHTML" not in bundle()
    assert "eval" not in bundle()


@pytest.mark.parametrize("name", MODELS)
def test_the_content_is_plain(name, made):
    content = made(name)[2].content
    text = to_json(content)
    assert json.loads(text)["n_clusters"] == content["n_clusters"]
    assert not set("<>&") & set(text)


def test_columns_of_16_bits():
    rng = np.random.default_rng(0)
    values = np.column_stack(
        [
            rng.normal(size=200_000),
            rng.integers(-5, 60_000, size=200_000),
            np.full(200_000, 7.5),
            rng.normal(size=200_000),
        ]
    )
    values[3, 3] = np.nan
    encoded = encode_columns(values)
    codes = decode(encoded).reshape(4, -1).T
    found = np.where(codes == 65535, np.nan, np.array(encoded["low"]) + codes * np.array(encoded["step"]))
    np.testing.assert_array_equal(found[:, 1:3], values[:, 1:3])
    np.testing.assert_array_equal(np.isnan(found), np.isnan(values))
    assert np.nanmax(np.abs(found - values)[:, 0]) <= np.ptp(values[:, 0]) / 65534


def test_numbers_beyond_float32_become_its_largest():
    assert decode(encode([1e300, -1e300])).tolist() == [np.finfo(np.float32).max, np.finfo(np.float32).min]


class Halves(AssignmentRule):
    """Memberships that the page does not know."""

    name = "halves"

    def __call__(self, logits, dim=-1):
        resp = torch.softmax(2 * logits, dim)
        return Assignment(resp, resp, torch.logsumexp(2 * logits, dim) / 2)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m: report(m, WINE[["ash", "hue"]]), "the column 'alcohol' is missing"),
        (lambda m: report(m, WINE, "report.pdf"), "must end with .html"),
        (lambda m: report(m, WINE, "/nowhere/report.html"), "nowhere"),
        (lambda m: report(m, WINE, labels=[1, 2]), "labels has 2 values"),
        (
            lambda m: report(SoftKMeans(2, assignment=Halves(), temperature=1.0).fit(WINE), WINE),
            "not supported by reports",
        ),
        (lambda m: report(m, as_source(np.ones((3, 2)))), "features"),
    ],
)
def test_bad_input_is_an_error(call, message, made):
    with pytest.raises((InputError, ValueError), match=message):
        call(made("wine")[0])


def test_a_notebook_shows_the_report_in_a_frame(made):
    shown = made("demo")[2]._repr_html_()
    assert shown.startswith("<iframe")
    assert "allow-same-origin" not in shown


def test_selection_and_path():
    x = MODELS["demo"]()[1][::3]
    model = SoftKMeans(4, temperature=2.0, random_state=0).fit(x)
    content = report(model, x, with_path=True, with_selection=True).content
    assert content["path"]["critical"] == pytest.approx(critical_temperature(x))
    assert content["path"]["levels"][0]["parents"] == [-1]
    assert content["selection"]["chosen"] == 4


def test_selection_of_rows_in_blocks(tmp_path):
    x = MODELS["demo"]()[1][::3].astype(float)
    write_table(tmp_path / "x.csv", {"a": x[:, 0], "b": x[:, 1]})
    model = SoftKMeans(4, temperature=2.0, random_state=0).fit(x)
    assert report(model, scan(tmp_path / "x.csv"), with_selection=True).content["selection"]["chosen"] == 4


def test_two_rows_have_nothing_to_select():
    model = SoftKMeans(1, temperature=1.0).fit([[0.0], [1.0]])
    assert report(model, [[0.0], [1.0]], with_selection=True, with_path=True).content["selection"] is None
