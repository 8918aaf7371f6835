"""Pipelines on disk: loaded in a fresh process they predict the same bits, and exported ones give the same results."""

import json
import pickle
import struct
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pandas as pd
import pytest
import safetensors.numpy
from sklearn.compose import make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    OneHotEncoder,
    PolynomialFeatures,
    QuantileTransformer,
    StandardScaler,
)

from helpers.marks import but_thorough
from helpers.pipelines import MIXED, PIPELINES, TEXTS, X, fitted, soft
from softkmeans import InputError, SoftKMeans, export_onnx, load, save

FRESH = """
import pickle, sys
from pathlib import Path
from softkmeans import load
folder = Path(sys.argv[1])
outputs = {}
for name, rows in pickle.loads((folder / "inputs").read_bytes()).items():
    model = load(folder / f"{name}.safetensors")
    outputs[name] = (model.predict_proba(rows), model.predict(rows), model[:-1].transform(rows))
(folder / "outputs").write_bytes(pickle.dumps(outputs))
"""


def dense(rows):
    return rows.toarray() if hasattr(rows, "toarray") else np.asarray(rows)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Save all pipelines."""
    folder = tmp_path_factory.mktemp("models")
    for name in PIPELINES:
        save(fitted(name), folder / f"{name}.safetensors")
    return folder


@pytest.fixture(scope="module")
def fresh(folder):
    """Return what a fresh process predicts with the saved pipelines; warnings are errors there."""
    (folder / "inputs").write_bytes(pickle.dumps({name: case.rows for name, case in PIPELINES.items()}))
    subprocess.run([sys.executable, "-W", "error", "-c", FRESH, str(folder)], check=True)
    return pickle.loads((folder / "outputs").read_bytes())  # noqa: S301 -- written just above


@pytest.mark.process
@pytest.mark.parametrize("name", PIPELINES)
def test_a_fresh_process_predicts_bit_for_bit_the_same(name, fresh):
    model, rows = fitted(name), PIPELINES[name].rows
    proba, labels, transformed = fresh[name]
    np.testing.assert_array_equal(proba, model.predict_proba(rows))
    np.testing.assert_array_equal(labels, model.predict(rows))
    assert type(transformed) is type(model[:-1].transform(rows))
    np.testing.assert_array_equal(dense(transformed), dense(model[:-1].transform(rows)))


@pytest.mark.parametrize("name", PIPELINES)
def test_names_of_steps_and_columns_are_kept(name, folder):
    before, after = fitted(name), load(folder / f"{name}.safetensors")
    assert [step for step, _ in after.steps] == [step for step, _ in before.steps]
    for (_, old), (_, new) in zip(before.steps, after.steps, strict=True):
        assert list(getattr(new, "feature_names_in_", [])) == list(getattr(old, "feature_names_in_", []))
        assert getattr(new, "n_features_in_", None) == getattr(old, "n_features_in_", None)


@pytest.mark.parametrize("name", PIPELINES)
def test_saving_a_loaded_pipeline_writes_the_same_file(name, folder, tmp_path):
    path = folder / f"{name}.safetensors"
    save(load(path), tmp_path / "again.safetensors")
    before, after = parsed(path), parsed(tmp_path / "again.safetensors")
    assert str(before[0]) == str(after[0])  # as text, because NaN is not equal to itself
    assert before[1].keys() == after[1].keys()
    for key in before[1]:
        np.testing.assert_array_equal(before[1][key], after[1][key])


REFITTED = ["mixed, by type", "blocks", "nested", "log of a frame", "encoded, missing", "largest"]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:2 or more of 3 centers coincide")
@pytest.mark.parametrize("name", but_thorough(PIPELINES, REFITTED))
def test_a_loaded_pipeline_fits_again_to_the_same(name, folder):
    rows = PIPELINES[name].rows
    again = load(folder / f"{name}.safetensors").fit(rows)
    np.testing.assert_allclose(again.predict_proba(rows), fitted(name).predict_proba(rows), atol=1e-12)


def test_a_frame_with_other_columns_is_refused_as_before(folder):
    model, frame = load(folder / "log of a frame.safetensors"), PIPELINES["log of a frame"].rows
    with pytest.raises(ValueError, match="feature names should match"):
        model.predict(frame[frame.columns[::-1]])
    mixed = load(folder / "mixed, by type.safetensors")
    np.testing.assert_array_equal(mixed.predict(MIXED[MIXED.columns[::-1]]), mixed.predict(MIXED))  # found by name


# --- ONNX -------------------------------------------------------------------------------------------------------------


def feeds(session, rows):
    """Return the inputs of a session: a matrix, and a column for each text."""
    names = [entry.name for entry in session.get_inputs()]
    texts = [name for name in names if name != "rows"]
    found = {name: rows[[name]].to_numpy(dtype=object) for name in texts}
    if "rows" in names:
        kind = session.get_inputs()[names.index("rows")].type
        numbers = rows.drop(columns=texts) if texts else rows
        found["rows"] = np.asarray(numbers, dtype=np.float32 if kind == "tensor(float)" else np.float64)
    return found


USUAL = [
    "log of a frame", "min-max, clipped", "Yeo-Johnson, float32", "PCA, whitened", "imputed", "encoded, missing",
    "functions", "mixed", "mixed, by type", "nested",
]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("name", but_thorough(PIPELINES, USUAL))
def test_exported_pipelines_give_the_same_results(name, tmp_path):
    model, rows = fitted(name), PIPELINES[name].rows
    if isinstance(rows, pd.DataFrame):  # texts are never missing in ONNX
        rows = rows.fillna({column: "red" if column == "color" else "S" for column in rows if column in TEXTS})
    export_onnx(model, tmp_path / "model.onnx")
    onnx.checker.check_model(tmp_path / "model.onnx", full_check=True)
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx", providers=["CPUExecutionProvider"])
    given, expected = feeds(session, rows), model.predict_proba(rows)
    for n in (len(rows), 1):
        probabilities, label = session.run(["probabilities", "label"], {key: part[:n] for key, part in given.items()})
        assert probabilities.dtype == expected.dtype
        np.testing.assert_allclose(probabilities, expected[:n], rtol=0, atol=1e-5)
        np.testing.assert_array_equal(label, model.predict(rows)[:n])


@pytest.mark.slow
def test_unknown_texts_are_no_category(tmp_path):
    model = make_pipeline(OneHotEncoder(handle_unknown="ignore", sparse_output=False), soft()).fit(MIXED[TEXTS])
    export_onnx(model, tmp_path / "model.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx", providers=["CPUExecutionProvider"])
    rows = pd.DataFrame({"color": ["violet", "red"], "size": ["L", ""]}, dtype=object)
    (probabilities,) = session.run(["probabilities"], {name: rows[[name]].to_numpy() for name in TEXTS})
    np.testing.assert_allclose(probabilities, model.predict_proba(rows), atol=1e-12)


# --- Refused ----------------------------------------------------------------------------------------------------------

KNOWN = (
    "StandardScaler, MinMaxScaler, MaxAbsScaler, RobustScaler, Normalizer, PowerTransformer, PCA, SimpleImputer, "
    "OneHotEncoder, FunctionTransformer, Pipeline or ColumnTransformer"
)
REFUSED = {
    "QuantileTransformer": (
        lambda: make_pipeline(QuantileTransformer(n_quantiles=9), soft()),
        f"the step 'quantiletransformer' is a QuantileTransformer, expected {KNOWN}: "
        "transform the data before, without this step",
    ),
    "inside": (
        lambda: Pipeline([
            ("prepare", make_column_transformer((make_pipeline(PolynomialFeatures()), [0]), remainder="passthrough")),
            ("cluster", soft()),
        ]),
        f"the step 'prepare__pipeline__polynomialfeatures' is a PolynomialFeatures, expected {KNOWN}: "
        "transform the data before, without this step",
    ),
    "FeatureUnion": (
        lambda: make_pipeline(FeatureUnion([("one", StandardScaler())]), soft()),
        f"the step 'featureunion' is a FeatureUnion, expected {KNOWN}: transform the data before, without this step",
    ),
    "remainder": (
        lambda: make_pipeline(make_column_transformer((StandardScaler(), [0]), remainder=PolynomialFeatures()), soft()),
        f"the step 'columntransformer__remainder' is a PolynomialFeatures, expected {KNOWN}: "
        "transform the data before, without this step",
    ),
    "a function": (
        lambda: make_pipeline(FunctionTransformer(np.cbrt), soft()),
        "the step 'functiontransformer' has func=cbrt, which is not supported: "
        "use another value, such as the default None",
    ),
    "arguments": (
        lambda: make_pipeline(FunctionTransformer(np.square, kw_args={"dtype": float}), soft()),
        "the step 'functiontransformer' has kw_args={'dtype': <class 'float'>}, which is not supported: "
        "use another value, such as the default None",
    ),
    "rare categories": (
        lambda: make_pipeline(OneHotEncoder(min_frequency=3, handle_unknown="ignore"), soft()),
        "the step 'onehotencoder' has min_frequency=3, which is not supported: "
        "use another value, such as the default None",
    ),
    "indicators": (
        lambda: make_pipeline(SimpleImputer(add_indicator=True), soft()),
        "the step 'simpleimputer' has add_indicator=True, which is not supported: "
        "use another value, such as the default False",
    ),
    "a strategy": (
        lambda: make_pipeline(SimpleImputer(strategy=np.max), soft()),
        "the step 'simpleimputer' has strategy=max, which is not supported: "
        "use another value, such as the default 'mean'",
    ),
    "weights of columns": (
        lambda: make_pipeline(
            make_column_transformer((StandardScaler(), [0, 1, 2])).set_params(
                transformer_weights={"standardscaler": 2}
            ),
            soft(),
        ),
        "the step 'columntransformer' has transformer_weights={'standardscaler': 2}, which is not supported: "
        "use transformer_weights=None",
    ),
}  # fmt: skip


@pytest.mark.parametrize("write", [save, export_onnx])
@pytest.mark.parametrize("case", REFUSED)
def test_other_steps_are_refused_in_one_sentence(case, write, tmp_path):
    make, message = REFUSED[case]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of clusters that coincide
        model = make().fit(X)
    with pytest.raises(InputError) as caught:
        write(model, tmp_path / "model")
    assert str(caught.value) == message
    assert list(tmp_path.iterdir()) == []


def test_categories_of_other_types_are_refused(tmp_path):
    days = np.array(["2020-01-01", "2021-01-01"] * 5, dtype="datetime64[D]").astype(object)[:, None]
    model = make_pipeline(OneHotEncoder(), SoftKMeans(2)).fit(days)
    with pytest.raises(InputError, match=r"a value of type date, expected text or numbers: convert the column first"):
        save(model, tmp_path / "model")


# --- Forged files -----------------------------------------------------------------------------------------------------


def parsed(path):
    """Return the content of a file, and its tensors."""
    raw = Path(path).read_bytes()
    (length,) = struct.unpack("<Q", raw[:8])
    return json.loads(json.loads(raw[8 : 8 + length])["__metadata__"]["content"]), safetensors.numpy.load(raw)


def at(content, way):
    for key in way:
        content = content[key]
    return content


def put(*way, value):
    """Return a function that changes a value in the JSON of the transformer."""

    def change(content, tensors):
        at(content["preprocessing"], way[:-1])[way[-1]] = value

    return change


def array(name, function):
    """Return a function that changes a tensor of the transformer."""

    def change(content, tensors):
        tensors[f"preprocessing.{name}"] = np.ascontiguousarray(function(tensors[f"preprocessing.{name}"]))

    return change


def absent(name):
    return lambda content, tensors: tensors.pop(f"preprocessing.{name}")


OPENED = '{"class": "Pipeline", "steps": [{"name": "a", "transformer": '
MIXED_PARTS = ("parts", 1, "transformer")
FORGED = {
    "an unknown class": ("min-max", put("class", value="os.system")),
    "another class": ("min-max", put("class", value="PCA")),
    "no class": ("min-max", put("class", value=None)),
    "an unknown parameter": ("min-max", put("parameters", "color", value=1)),
    "a parameter of another type": ("min-max", put("parameters", "clip", value="yes")),
    "a range upside down": ("min-max", put("parameters", "feature_range", value=[1, 2, 3])),
    "no parameters": ("min-max", put("parameters", value=None)),
    "no columns": ("min-max", put("n_features", value=0)),
    "too many columns": ("min-max", put("n_features", value=10**12)),
    "another number of columns": ("min-max", put("n_features", value=2)),
    "columns that are true": ("min-max", put("n_features", value=True)),
    "too few names": ("min-max", put("feature_names", value=["a"])),
    "names that are numbers": ("min-max", put("feature_names", value=[1, 2, 3])),
    "another output": ("min-max", put("output", value="tensor")),
    "a scale of 0": ("min-max", array("scale_", lambda a: a * 0)),
    "a scale of NaN": ("min-max", array("scale_", lambda a: a * np.nan)),
    "a scale that is short": ("min-max", array("scale_", lambda a: a[:2])),
    "a scale of integers": ("min-max", array("scale_", lambda a: np.ones(3, dtype=int))),
    "no scale": ("min-max", absent("scale_")),
    "a scale in two dimensions": ("largest", array("scale_", lambda a: a[None])),
    "a negative scale": ("robust", array("scale_", lambda a: -a)),
    "a norm": ("normalized, l1", put("parameters", "norm", value="l3")),
    "an exponent of NaN": ("Yeo-Johnson", array("lambdas_", lambda a: a * np.nan)),
    "a negative count": ("min-max", put("n_samples_seen", value=-1)),
    "counts of other columns": ("min-max", put("n_samples_seen", value=[1, 2])),
    "no scaler of powers": ("Yeo-Johnson", absent("scaler.mean_")),
    "a negative scaler of powers": ("Yeo-Johnson", array("scaler.scale_", lambda a: -a)),
    "a method": ("Yeo-Johnson", put("parameters", "method", value="os.system")),
    "components of fewer columns": ("PCA", array("components_", lambda a: a[:, :2])),
    "fewer components": ("PCA", array("components_", lambda a: a[:2])),
    "negative variances": ("PCA", array("explained_variance_", lambda a: -a)),
    "a seed": ("PCA", put("parameters", "random_state", value=[1])),
    "a function": ("square", put("steps", 0, "transformer", "parameters", "func", value="os.system")),
    "a function's argument": ("square", put("steps", 0, "transformer", "parameters", "kw_args", value={"x": 1})),
    "a strategy": ("imputed", put("steps", 0, "transformer", "parameters", "strategy", value="eval")),
    "a type": ("imputed", put("steps", 0, "transformer", "dtype", value="datetime64[s]")),
    "statistics that are short": ("imputed", array("0.statistics_", lambda a: a[:2])),
    "statistics that are infinite": ("imputed", array("0.statistics_", lambda a: a * np.inf)),
    "statistics as text": (
        "imputed", put("steps", 0, "transformer", "statistics", value={"type": "text", "values": ["a", "b", "c"]})
    ),
    "a step of another width": ("imputed", put("steps", 1, "transformer", "n_features", value=2)),
    "no steps": ("imputed", put("steps", value=[])),
    "a step without a name": ("imputed", put("steps", 0, "name", value=3)),
    "a step in a step in a step": (
        "imputed",
        lambda content, tensors: content.update(preprocessing=json.loads(OPENED * 200 + "null" + "}]}" * 200)),
    ),
    "categories twice": (
        "mixed, by type",
        put("steps", 0, "transformer", *MIXED_PARTS, "categories", 0, "values", value=["red", "red", "blue"]),
    ),
    "categories of lists": (
        "mixed, by type",
        put("steps", 0, "transformer", *MIXED_PARTS, "categories", 0, "values", value=[["red"], "green", "blue"]),
    ),
    "fewer categories": (
        "mixed, by type",
        put("steps", 0, "transformer", *MIXED_PARTS, "categories", 0, "values", value=["red"]),
    ),
    "no categories": ("mixed, by type", put("steps", 0, "transformer", *MIXED_PARTS, "categories", value=[])),
    "categories not in order": ("encoded", array("0.categories_.1", lambda a: a[::-1])),
    "categories that are infinite": ("encoded", array("0.categories_.1", lambda a: a * np.inf)),
    "categories in two dimensions": ("encoded", array("0.categories_.1", lambda a: a[None])),
    "a type of the output": ("encoded", put("parts", 0, "transformer", "parameters", "dtype", value="object")),
    "columns that are not there": ("encoded", put("parts", 0, "columns", value=[3, 9])),
    "columns without a name": ("encoded", put("parts", 0, "columns", value=["a", "b"])),
    "columns as a number": ("encoded", put("parts", 0, "columns", value=3)),
    "other columns": ("encoded", put("parts", 0, "columns", value=[0, 1])),
    "more columns": ("encoded", put("parts", 0, "columns", value=[2, 3, 4])),
    "a remainder of other columns": ("encoded", put("parts", 1, "columns", value=[1, 2, 3])),
    "no remainder": ("encoded", put("has_remainder", value=False)),
    "a threshold": ("encoded", put("sparse_threshold", value="x")),
    "an output that is neither": ("encoded", put("sparse_output", value=1)),
    "a part without a transformer": ("encoded", put("parts", 1, "transformer", value=None)),
    "steps without names": ("min-max", lambda content, tensors: content.update(steps=None)),
    "steps of the same name": ("min-max", lambda content, tensors: content.update(steps=["a", "a"])),
    "more names of steps": ("min-max", lambda content, tensors: content.update(steps=["a", "b", "c"])),
    "names of steps that are numbers": ("min-max", lambda content, tensors: content.update(steps=[1, 2])),
    "other names of columns": ("largest", lambda content, tensors: content.update(feature_names=["a", "b", "c"])),
    "names of transformed columns": (
        "min-max", lambda content, tensors: content.update(transformed_names=["a"])
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", FORGED)
def test_forged_files_are_refused(case, folder, tmp_path):
    name, change = FORGED[case]
    content, tensors = parsed(folder / f"{name}.safetensors")
    change(content, tensors)
    texts = {"format": "softkmeans", "version": "3", "content": json.dumps(content)}
    safetensors.numpy.save_file(tensors, tmp_path / "forged.safetensors", texts)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        with pytest.raises(InputError, match="damaged, with inconsistent content") as caught:
            load(tmp_path / "forged.safetensors")
    assert "\n" not in str(caught.value)
