"""Commands that take a saved model take saved pipelines, too."""

import numpy as np
import pandas as pd
import pytest

from helpers.pipelines import FRAME, PIPELINES, fitted
from softkmeans import save
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
