"""Commands that take a saved model take saved pipelines, too."""

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from helpers.pipelines import FRAME, PIPELINES, fitted
from softkmeans import SoftKMeans, save
from softkmeans.estimators import describe_scaling

NAMES = ["PCA, whitened", "log of a frame", "names of columns", "a column dropped", "normalized, l1", "nothing"]


@pytest.fixture
def files(request, tmp_path):
    """Return a pipeline, its file, and one with its rows."""
    model, rows = fitted(request.param), PIPELINES[request.param].rows
    save(model, tmp_path / "model.safetensors")
    pd.DataFrame(rows, columns=FRAME.columns).to_csv(tmp_path / "rows.csv", index=False)
    return model, tmp_path / "model.safetensors", tmp_path / "rows.csv"


@pytest.mark.parametrize("files", NAMES, indirect=True)
def test_info_describes_the_scaling(files, run):
    model, path, _ = files
    status, out, _ = run("info", path)
    assert status == 0
    lines = [line.split(maxsplit=1) for line in out.splitlines()]
    assert [line[1].strip() for line in lines if line[0] == "scaling"] == [describe_scaling(model)]
    assert [line[1].strip() for line in lines if line[0] == "features"] == ["3"]


@pytest.mark.parametrize("files", NAMES, indirect=True)
@pytest.mark.parametrize("stream", [[], ["--stream"]], ids=["in memory", "in blocks"])
def test_predictions_are_those_of_the_pipeline(files, stream, run, tmp_path):
    model, path, rows = files
    status, _, err = run("predict", path, rows, *stream, "--out", tmp_path / "labels.csv")
    assert (status, err) == (0, "")
    found, frame = pd.read_csv(tmp_path / "labels.csv"), pd.read_csv(rows)
    given = (
        frame if hasattr(model, "feature_names_in_") or hasattr(model[-1], "feature_names_in_") else frame.to_numpy()
    )
    np.testing.assert_array_equal(found["label"], model.predict(given))
    np.testing.assert_allclose(found[["p0", "p1", "p2"]], model.predict_proba(given), atol=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("files", NAMES, indirect=True)
def test_pictures_are_drawn(files, run, tmp_path):
    _, path, rows = files
    status, _, err = run("plot", path, rows, "--out", tmp_path / "picture.png", "--loss", tmp_path / "loss.png")
    assert (status, err) == (0, "")
    assert (tmp_path / "picture.png").stat().st_size > 10_000


@pytest.mark.parametrize("scale", ["log", "robust"])
def test_a_model_with_a_scale_predicts_as_it_was_fitted(scale, run, tmp_path):
    FRAME.abs().to_csv(tmp_path / "rows.csv", index=False)
    files = ["--out", tmp_path / "model.safetensors", "--assignments", tmp_path / "labels.csv"]
    assert run("fit", tmp_path / "rows.csv", "-k", "3", "--scale", scale, *files)[0] == 0
    assert (
        run("predict", tmp_path / "model.safetensors", tmp_path / "rows.csv", "--out", tmp_path / "again.csv")[0] == 0
    )
    assert (tmp_path / "labels.csv").read_text() == (tmp_path / "again.csv").read_text()


def test_negative_values_of_a_logarithmic_scale_are_one_line(run, tmp_path):
    FRAME.to_csv(tmp_path / "rows.csv", index=False)
    for stream in ([], ["--stream"]):
        status, _, err = run("fit", tmp_path / "rows.csv", "-k", "3", "--scale", "log", *stream)
        assert status == 2
        assert err.startswith("error: the column 'length' has negative values, such as -")
        assert err.count("\n") == 1


MIXED = pd.DataFrame(
    {
        "customer": [f"C{i}" for i in range(40)],
        "color": np.array(["red", "blue", "dark, green"])[np.arange(40) % 3],
        "size": np.where(np.arange(40) % 7 == 0, np.nan, np.arange(40) % 3 * 4.0),
    }
)


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".jsonl", ".xlsx"])
def test_text_and_missing_values_are_read_for_models_that_take_them(suffix, run, tmp_path):
    numbers = make_pipeline(SimpleImputer(), StandardScaler())
    columns = [("numbers", numbers, ["size"]), ("texts", OneHotEncoder(), ["color"])]
    model = make_pipeline(ColumnTransformer(columns), SoftKMeans(3, random_state=0)).fit(MIXED)
    save(model, tmp_path / "m.safetensors")
    path = tmp_path / f"t{suffix}"
    write = {
        ".csv": lambda: MIXED.to_csv(path, index=False),
        ".parquet": lambda: MIXED.to_parquet(path),
        ".jsonl": lambda: MIXED.to_json(path, orient="records", lines=True),
        ".xlsx": lambda: MIXED.to_excel(path, index=False),
    }
    write[suffix]()
    status, _, err = run(
        "predict", tmp_path / "m.safetensors", path, "--id", "customer", "--out", tmp_path / "a.parquet"
    )
    assert (status, err) == (0, "")
    found = pd.read_parquet(tmp_path / "a.parquet")
    assert found["customer"].tolist() == MIXED["customer"].tolist()
    np.testing.assert_array_equal(found["label"], model.predict(MIXED))
    assert run("plot", tmp_path / "m.safetensors", path, "--out", tmp_path / "p.png")[0] == 0


def test_a_text_among_the_numbers_of_such_a_model_is_told(run, tmp_path):
    columns = [("numbers", SimpleImputer(), ["size"]), ("texts", OneHotEncoder(), ["color"])]
    save(
        make_pipeline(ColumnTransformer(columns), SoftKMeans(3, random_state=0)).fit(MIXED), tmp_path / "m.safetensors"
    )
    (tmp_path / "t.csv").write_text("color,size\nred,1\nblue,oops\nred,2\nred,3\n")
    status, _, err = run("predict", tmp_path / "m.safetensors", tmp_path / "t.csv")
    assert (status, "column 'size' is not numeric: row 2 of the data holds 'oops'" in err) == (2, True), err
    status, _, err = run("predict", tmp_path / "m.safetensors", tmp_path / "t.csv", "--stream")
    assert (status, len(err.splitlines())) == (2, 1), err


def test_an_unknown_category_is_told_in_one_line(run, tmp_path):
    columns = [("texts", OneHotEncoder(), ["color"])]
    model = make_pipeline(ColumnTransformer(columns), SoftKMeans(2, random_state=0)).fit(MIXED)
    save(model, tmp_path / "m.safetensors")
    (tmp_path / "t.csv").write_text("color\nred\npink\n")
    status, _, err = run("predict", tmp_path / "m.safetensors", tmp_path / "t.csv")
    assert (status, len(err.splitlines())) == (2, 1), err
    assert "t.csv: the model can't take these rows (Found unknown categories ['pink']" in err
