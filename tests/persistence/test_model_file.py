"""Saved models: loaded in a fresh process, they predict the same bits; no file runs code or crashes the process."""

import copy
import io
import json
import os
import pickle
import stat
import struct
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import safetensors.numpy
import safetensors.torch
import torch
from hypothesis import HealthCheck, given
from hypothesis import strategies as st
from sklearn.cluster import KMeans
from sklearn.datasets import load_iris
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import QuantileTransformer, StandardScaler

from helpers.fuzzing import examples
from softkmeans import Callback, FuzzyCMeans, InputError, SoftKMeans, SoftKMeansLayer, load, save, train_layer
from softkmeans.estimators.provenance import Provenance, installed_versions, provenance_of
from softkmeans.solvers import Adam, Em, Lbfgs
from softkmeans.temperature import Calibrated, Critical, Fixed, MaximumLikelihood, Perplexity, Schedule

FRAME = load_iris(as_frame=True).data
X = FRAME.to_numpy()
LAYER = SoftKMeansLayer(3, 4, 0.3, centroids=torch.tensor(X[[0, 60, 120]]))


def soft(x=X, **parameters):
    return SoftKMeans(**({"n_clusters": 3, "random_state": 0} | parameters)).fit(x)


def shared():
    model = soft()
    return model.set_params(init=model.cluster_centers_)


def trained():
    layer = copy.deepcopy(LAYER)
    return SoftKMeans.from_layer(layer, train_layer(layer, X, objective="distortion"))


def scaled(x, scaler=None, **parameters):
    return make_pipeline(scaler or StandardScaler(), SoftKMeans(3, random_state=0, **parameters)).fit(x)


MODELS = {
    "array": (soft, X),
    "float32": (lambda: soft(X.astype(np.float32)), X.astype(np.float32)),
    "float16": (lambda: soft(X.astype(np.float16)), X.astype(np.float16)),
    "tensor": (lambda: soft(torch.tensor(X)), torch.tensor(X)),
    "float32 tensor": (lambda: soft(torch.tensor(X).float()), torch.tensor(X).float()),
    "dtype as a type": (lambda: soft(dtype=np.float32), X),
    "dtype as torch's": (lambda: soft(dtype=torch.float32), X),
    "dtype as a name": (lambda: soft(dtype="float32"), X),
    "device": (lambda: soft(device=torch.device("cpu")), X),
    "frame": (lambda: soft(FRAME), FRAME),
    "one cluster": (lambda: soft(n_clusters=1), X),
    "pipeline": (lambda: scaled(X), X),
    "pipeline with names": (lambda: scaled(FRAME), FRAME),
    "pipeline of a frame without spread": (lambda: scaled(FRAME.assign(same=1.0)), FRAME.assign(same=1.0)),
    "euclidean": (lambda: soft(distance="euclidean", temperature=0.2), X),
    "cosine": (lambda: soft(distance="cosine", temperature=0.001), X),
    "given start": (lambda: soft(init=X[[5, 70, 140]]), X),
    "start as a list": (lambda: soft(init=X[[5, 70, 140]].tolist()), X),
    "start as a tensor": (lambda: soft(init=torch.tensor(X[[5, 70, 140]])), X),
    "numpy numbers": (lambda: soft(n_clusters=np.int64(3), temperature=np.float32(0.3), tol=np.float64(1e-5)), X),
    "Adam": (lambda: soft(solver=Adam(lr=0.05), temperature=Fixed(0.3)), X),
    "Em": (lambda: soft(solver=Em(), temperature=MaximumLikelihood(floor=1e-6)), X),
    "Perplexity": (lambda: soft(temperature=Perplexity(1.2)), X),
    "Critical": (lambda: soft(temperature=Critical(0.2)), X),
    "Schedule": (lambda: soft(temperature=Schedule([2.0, 1.0, 0.5])), X),
    "Calibrated": (lambda: soft(temperature=Calibrated()), X),
    "a rule's name": (lambda: soft(temperature="perplexity:1.3"), X),
    "Lbfgs": (lambda: soft(solver=Lbfgs(), temperature=0.4), X),
    "start that is also the result": (shared, X),
    "layer": (lambda: SoftKMeans.from_layer(LAYER), X),
    "trained layer": (trained, X),
}

FRESH = """
import pickle, sys
from pathlib import Path
from softkmeans import load
folder = Path(sys.argv[1])
inputs, outputs = pickle.loads((folder / "inputs").read_bytes()), {}
for name, x in inputs.items():
    model = load(folder / f"{name}.safetensors")
    outputs[name] = (model.predict_proba(x), model.predict(x), model.score(x), model.transform(x))
(folder / "outputs").write_bytes(pickle.dumps(outputs))
"""


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Save all models; return the folder and the models."""
    folder = tmp_path_factory.mktemp("models")
    made = {name: make() for name, (make, _) in MODELS.items()}
    for name, model in made.items():
        save(model, folder / f"{name}.safetensors")
    return folder, made


@pytest.fixture(scope="module")
def fresh_predictions(models):
    """Return the predictions of a fresh process that loaded the saved models."""
    folder, _ = models
    (folder / "inputs").write_bytes(pickle.dumps({name: x for name, (_, x) in MODELS.items()}))
    subprocess.run([sys.executable, "-W", "error", "-c", FRESH, str(folder)], check=True)
    return pickle.loads((folder / "outputs").read_bytes())  # noqa: S301 -- written just above


@pytest.mark.process
@pytest.mark.parametrize("name", MODELS)
def test_a_fresh_process_predicts_bit_for_bit_the_same(name, models, fresh_predictions):
    model, x = models[1][name], MODELS[name][1]
    proba, labels, score, distances = fresh_predictions[name]
    for got, expected in ((proba, model.predict_proba(x)), (labels, model.predict(x)), (distances, model.transform(x))):
        assert type(got) is type(expected)
        assert got.dtype == expected.dtype
        np.testing.assert_array_equal(np.asarray(got), np.asarray(expected))
    assert score == model.score(x)


ATTRIBUTES = [
    "temperature_",
    "inertia_",
    "free_energy_",
    "distortion_",
    "entropy_",
    "n_iter_",
    "converged_",
    "history_",
    "n_features_in_",
]


@pytest.mark.parametrize("name", MODELS)
def test_attributes_names_and_parameters_are_restored(name, models):
    folder, made = models
    before, after = made[name], load(folder / f"{name}.safetensors")
    assert type(after) is type(before)
    assert list(getattr(after, "feature_names_in_", [])) == list(getattr(before, "feature_names_in_", []))
    if isinstance(before, Pipeline):
        for attribute in ("mean_", "scale_", "var_", "n_features_in_"):
            np.testing.assert_array_equal(getattr(after[0], attribute), getattr(before[0], attribute))
        np.testing.assert_array_equal(after[0].transform(MODELS[name][1]), before[0].transform(MODELS[name][1]))
        before, after = before[-1], after[-1]
    for attribute in ATTRIBUTES:
        assert hasattr(after, attribute) == hasattr(before, attribute), attribute
        assert getattr(after, attribute, None) == getattr(before, attribute, None), attribute
    if hasattr(before, "cluster_weights_"):
        np.testing.assert_array_equal(after.cluster_weights_, before.cluster_weights_)
    np.testing.assert_array_equal(np.asarray(after.cluster_centers_), np.asarray(before.cluster_centers_))
    old, new = before.get_params(), after.get_params()
    assert new.keys() == old.keys()
    for key in old:
        if key == "init" and not isinstance(old[key], str):
            np.testing.assert_array_equal(np.asarray(new[key]), np.asarray(old[key]))
        elif key in ("dtype", "device") and old[key] is not None:
            assert str(new[key]) in str(old[key])
        else:
            assert new[key] == old[key], key
            assert type(new[key]) is type(old[key]) or isinstance(old[key], np.generic)


@pytest.mark.parametrize("name", ["array", "tensor", "frame", "Adam", "given start", "cosine"])
def test_a_loaded_model_fits_again_to_the_same(name, models):
    folder, made = models
    again = load(folder / f"{name}.safetensors").fit(MODELS[name][1])
    np.testing.assert_array_equal(np.asarray(again.cluster_centers_), np.asarray(made[name].cluster_centers_))


@pytest.mark.parametrize("name", MODELS)
def test_saving_a_loaded_model_writes_the_same_file(name, models, tmp_path):
    folder, _ = models
    original = folder / f"{name}.safetensors"
    save(load(original), tmp_path / "again.safetensors")
    first, second = parsed(original), parsed(tmp_path / "again.safetensors")
    assert first[0] == second[0]
    assert first[1].keys() == second[1].keys()
    for key, values in first[1].items():
        np.testing.assert_array_equal(values, second[1][key])


@pytest.mark.parametrize(
    "options", [{"with_mean": False}, {"with_std": False}, {"with_mean": False, "with_std": False}]
)
def test_a_scaler_with_other_settings_is_restored_or_refused(options, tmp_path):
    model = scaled(X, StandardScaler(**options))
    try:
        save(model, tmp_path / "m.safetensors")
    except InputError:
        assert list(tmp_path.iterdir()) == []
        return
    np.testing.assert_array_equal(load(tmp_path / "m.safetensors").predict_proba(X), model.predict_proba(X))


@pytest.mark.parametrize(
    ("parameters", "name", "default"),
    [
        ({"init": lambda rows, k, random_state: rows[:k]}, "init", "k-means++"),
        ({"callbacks": [Callback()]}, "callbacks", None),
        ({"random_state": np.random.RandomState(0)}, "random_state", None),
    ],
)
def test_parameters_that_cannot_be_saved_warn_and_load_as_the_default(parameters, name, default, tmp_path):
    model = soft(**parameters)
    with pytest.warns(
        UserWarning, match=f"parameter {name}=.* can't be saved; the loaded model has the default value"
    ) as caught:
        save(model, tmp_path / "m.safetensors")
    assert len(caught) == 1
    assert caught[0].filename == __file__  # the line that saved
    after = load(tmp_path / "m.safetensors")
    assert after.get_params()[name] == default
    np.testing.assert_array_equal(after.predict_proba(X), model.predict_proba(X))


# --- The format -------------------------------------------------------------------------------------------------------


def parsed(path):
    """Return the metadata of a file, parsed by hand and with its content decoded, and the tensors."""
    raw = Path(path).read_bytes()
    (length,) = struct.unpack("<Q", raw[:8])
    metadata = json.loads(raw[8 : 8 + length])["__metadata__"]
    return metadata | {"content": json.loads(metadata["content"])}, safetensors.numpy.load_file(path)


def unparsed(path, metadata, tensors):
    content = metadata.get("content")
    texts = metadata if content is None or isinstance(content, str) else metadata | {"content": json.dumps(content)}
    safetensors.numpy.save_file(tensors, path, texts)


@pytest.mark.parametrize("name", ["array", "pipeline with names", "given start", "layer"])
def test_the_file_is_plain_safetensors(name, models):
    folder, made = models
    metadata, tensors = parsed(folder / f"{name}.safetensors")
    model = made[name]
    estimator = model[-1] if isinstance(model, Pipeline) else model
    assert (metadata["format"], metadata["version"]) == ("softkmeans", "4")
    content = metadata["content"]
    keys = {"kind", "parameters", "attributes", "feature_names", "tensor", "steps", "preprocessing", "made"}
    assert content.keys() == keys | ({"transformed_names"} if estimator is not model else set())
    assert content["attributes"]["temperature_"] == estimator.temperature_
    assert content["feature_names"] == list(getattr(model, "feature_names_in_", []))
    expected = {"cluster_centers_", "priors_"}
    expected |= {"cluster_weights_", "history_"} if hasattr(estimator, "history_") else set()
    expected |= {f"preprocessing.{name}_" for name in ("mean", "scale", "var")} if estimator is not model else set()
    expected |= {"init"} if name == "given start" else set()
    assert tensors.keys() == expected
    np.testing.assert_array_equal(tensors["cluster_centers_"], estimator.cluster_centers_)
    assert tensors["cluster_centers_"].dtype == estimator.cluster_centers_.dtype


@pytest.fixture(scope="module")
def saved(models):
    """Return the bytes of a file with all parts: names, scaler, history, parameters."""
    return (models[0] / "pipeline with names.safetensors").read_bytes()


def refused(path, match=None):
    """Check that loading the file, or predicting with the loaded model, raises an InputError of one line."""
    with pytest.raises(InputError, match=match or None) as caught:
        load(path).predict_proba(FRAME)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("fraction", np.linspace(0, 0.999, 30))
def test_a_truncated_file_is_refused(fraction, saved, tmp_path):
    path = tmp_path / "cut.safetensors"
    path.write_bytes(saved[: int(fraction * len(saved))])
    refused(path, "cut.safetensors is not a model file, or is truncated or damaged")


def test_a_file_with_extra_bytes_is_refused(saved, tmp_path):
    (tmp_path / "long.safetensors").write_bytes(saved + b"more")
    refused(tmp_path / "long.safetensors", "damaged")


@examples(100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_flipped_bytes_give_an_input_error_or_a_model(data, saved, tmp_path):
    raw = bytearray(saved)
    header = 8 + struct.unpack("<Q", saved[:8])[0]
    positions = st.one_of(st.integers(0, header - 1), st.integers(0, len(raw) - 1))
    for position in data.draw(st.lists(positions, min_size=1, max_size=4)):
        raw[position] = data.draw(st.integers(0, 255))
    path = tmp_path / "flipped.safetensors"
    path.write_bytes(raw)
    try:
        model = load(path)
    except InputError:
        return
    assert isinstance(model, SoftKMeans | Pipeline)


@examples(100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_other_values_in_the_content_give_an_input_error_or_a_model(data, models, tmp_path):
    """Replace one value in the header by a value of another type; the header stays valid JSON."""
    metadata, tensors = parsed(models[0] / "Adam.safetensors")
    value = data.draw(
        st.sampled_from(
            [None, True, -1, 0, 10**400, 1.5, float("nan"), float("inf"), "", "x", [], [1], [[]], {}, {"kind": "em"}]
        )
    )
    at = metadata["content"]
    while True:
        keys = list(at) if isinstance(at, dict) else range(len(at))
        key = data.draw(st.sampled_from(keys))
        if not isinstance(at[key], dict | list) or not at[key] or data.draw(st.booleans()):
            break
        at = at[key]
    at[key] = value
    unparsed(tmp_path / "other.safetensors", metadata, tensors)
    try:
        model = load(tmp_path / "other.safetensors")
    except InputError:
        return
    assert isinstance(model, SoftKMeans | Pipeline)


def other(**changes):
    """Return a function that changes metadata; each key is a path of names joined by two underscores."""

    def change(metadata, tensors):
        for path, value in changes.items():
            *way, last = path.split("__")
            at = metadata
            for step in way:
                at = at[step]
            if value is None:
                del at[last]
            else:
                at[last] = value

    return change


def tensor(name, value):
    """Return a function that replaces a tensor by a value or by the result of a function, or removes it."""

    def change(metadata, tensors):
        if value is None:
            del tensors[name]
        else:
            tensors[name] = np.ascontiguousarray(value(tensors[name]) if callable(value) else value)

    return change


def with_nan(array):
    return np.where(np.arange(array.size).reshape(array.shape) == 1, np.nan, array)


DEEP = "[" * 100_000 + "]" * 100_000
TAMPERED = {
    "made of other fields": (other(content__made__cmd="x"), "damaged"),
    "made by a number": (other(content__made__command=3), "damaged"),
    "made of a long text": (other(content__made__data="x" * 30_000), "damaged"),
    "made of rows in words": (other(content__made__n_rows="many"), "damaged"),
    "made with features of other clusters": (other(content__made__strongest=[[]]), "damaged"),
    "made with features in words": (other(content__made__strongest=["a"] * 3), "damaged"),
    "foreign": (other(format="pt"), "not a softkmeans model"),
    "no format": (other(format=None), "not a softkmeans model"),
    "newer": (other(version="5"), "has format version 5, expected 4 or lower: upgrade softkmeans"),
    "much newer": (other(version="1000"), "upgrade"),
    "an endless version": (other(version="9" * 5000), ""),
    "version in words": (other(version="one"), "version"),
    "version negative": (other(version="-1"), "version"),
    "no version": (other(version=None), "version"),
    "no content": (other(content=None), "damaged"),
    "content not JSON": (other(content="{"), "damaged"),
    "content a list": (other(content="[]"), "damaged"),
    "content deep": (other(content=DEEP), ""),
    "content in Python": (other(content="__import__('os').system('true')"), "damaged"),
    "no parameters": (other(content__parameters=None), "damaged"),
    "unknown parameter": (other(content__parameters__color=1), "damaged"),
    "unknown setting": (other(content__parameters__solver={"kind": "eval", "settings": {}}), "which is not registered"),
    "setting of another": (other(content__parameters__solver={"kind": "em", "settings": {"lr": 1}}), "damaged"),
    "setting out of range": (
        other(content__parameters__solver={"kind": "online", "settings": {"kappa": 7}}),
        r"damaged, .*kappa=7",
    ),
    "start missing": (other(content__parameters__init={"kind": "tensor"}), "damaged"),
    "unknown distance": (other(content__parameters__distance="far"), "distance='far', which is not registered"),
    "tolerance text": (other(content__parameters__tol="x"), "damaged, .*tol='x'"),
    "passes true": (other(content__parameters__max_iter=True), "damaged, .*max_iter=True"),
    "noise NaN": (other(content__parameters__noise_distance=float("nan")), "damaged, .*noise_distance=nan"),
    "noise 0": (other(content__parameters__noise_distance=0), "damaged, .*noise_distance=0"),
    "noise text": (other(content__parameters__noise_distance="x"), "damaged, .*noise_distance='x'"),
    "noise huge": (other(content__parameters__noise_distance=10**400), "damaged, .*noise_distance=1000"),
    "device a number": (other(content__parameters__device=2**70), "damaged, .*device"),
    "device unknown": (other(content__parameters__device="abacus"), "damaged"),
    "temperature rule of 0": (other(content__parameters__temperature="perplexity:0"), "damaged, .*perplexity:0"),
    "entropy a list": (other(content__attributes__entropy_=[]), "damaged"),
    "entropy huge": (other(content__attributes__entropy_=2**70), "damaged, .*entropy_"),
    "free energy text": (other(content__attributes__free_energy_="x"), "damaged"),
    "inertia infinite": (other(content__attributes__inertia_=float("inf")), "damaged, .*inertia_"),
    "converged a number": (other(content__attributes__converged_=1), "damaged, .*converged_"),
    "passes a float": (other(content__attributes__n_iter_=3.0), "damaged, .*n_iter_"),
    "no temperature": (other(content__attributes__temperature_=None), "damaged"),
    "temperature 0": (other(content__attributes__temperature_=0), "damaged"),
    "temperature text": (other(content__attributes__temperature_="1"), "damaged"),
    "temperature infinite": (other(content__attributes__temperature_=float("inf")), "damaged"),
    "temperature NaN": (other(content__attributes__temperature_=float("nan")), "damaged"),
    "temperature too long": (other(content__attributes__temperature_=10**400), ""),
    "names too few": (other(content__feature_names=["a"]), ""),
    "no centers": (tensor("cluster_centers_", None), "damaged"),
    "centers NaN": (tensor("cluster_centers_", with_nan), "damaged"),
    "centers flat": (tensor("cluster_centers_", np.ravel), "damaged"),
    "centers none": (tensor("cluster_centers_", lambda c: c[:0]), "damaged"),
    "centers without features": (tensor("cluster_centers_", lambda c: c[:, :0]), ""),
    "centers complex": (tensor("cluster_centers_", lambda c: c.astype(np.complex64)), ""),
    "centers of fewer features": (tensor("cluster_centers_", lambda c: c[:, :2]), ""),
    "scaler short": (tensor("preprocessing.mean_", lambda m: m[:2]), ""),
    "scaler half there": (tensor("preprocessing.scale_", None), "damaged"),
    "scaler NaN": (tensor("preprocessing.scale_", with_nan), ""),
    "scaler of 0": (tensor("preprocessing.scale_", lambda s: s * 0), "damaged, .*scale_ is invalid"),
    "scaler of negative variances": (tensor("preprocessing.var_", lambda v: -v), "damaged, .*var_ is invalid"),
    "priors huge": (tensor("priors_", lambda p: p * 1.7e308), "damaged, .*priors"),
    "type of the centers an object": (other(content__parameters__dtype={"kind": "em"}), "damaged, .*dtype"),
    "history without columns": (tensor("history_", lambda h: h[:, :0]), "damaged"),
    "history narrow": (tensor("history_", lambda h: h[:, :3]), "damaged"),
    "history flat": (tensor("history_", np.ravel), "damaged"),
    "history infinite": (tensor("history_", lambda h: h * np.inf), "damaged"),
    "history NaN": (tensor("history_", lambda h: h * np.nan), "damaged"),
    "history without weights": (tensor("cluster_weights_", None), "damaged"),
    "weights of other clusters": (tensor("cluster_weights_", lambda w: np.ones(99)), ""),
}


TINY = {
    "temperature": (SoftKMeans(3), other(content__attributes__temperature_=1e-320)),
    "noise distance": (SoftKMeans(3, noise_distance=2.0), other(content__parameters__noise_distance=5e-324)),
    "fuzzy": (FuzzyCMeans(3, noise_distance=2.0), other(content__parameters__noise_distance=5e-324)),
}


@pytest.mark.parametrize("case", TINY)
def test_tiny_distances_and_temperatures_give_finite_memberships(case, tmp_path):
    model, change = TINY[case]
    save(model.set_params(random_state=0).fit(X), tmp_path / "m.safetensors")
    metadata, tensors = parsed(tmp_path / "m.safetensors")
    change(metadata, tensors)
    unparsed(tmp_path / "tiny.safetensors", metadata, tensors)
    assert np.isfinite(load(tmp_path / "tiny.safetensors").predict_proba(X)).all()


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("case", TAMPERED)
def test_a_file_that_was_tampered_with_is_refused(case, models, tmp_path):
    change, match = TAMPERED[case]
    metadata, tensors = parsed(models[0] / "pipeline with names.safetensors")
    change(metadata, tensors)
    unparsed(tmp_path / "changed.safetensors", metadata, tensors)
    refused(tmp_path / "changed.safetensors", match)


@pytest.mark.parametrize("dtype", ["float8_e4m3fn", "bfloat16", "bool", "int64"])
def test_centers_of_odd_types_are_refused_or_work(dtype, models, tmp_path):
    tensors = {"cluster_centers_": torch.tensor(X[[0, 60, 120]]).to(getattr(torch, dtype))}
    metadata, _ = parsed(models[0] / "layer.safetensors")
    safetensors.torch.save_file(
        tensors, tmp_path / "odd.safetensors", metadata | {"content": json.dumps(metadata["content"])}
    )
    try:
        model = load(tmp_path / "odd.safetensors")
    except InputError:
        return
    np.testing.assert_allclose(np.asarray(model.predict_proba(X), dtype=float).sum(1), 1, atol=0.05)


class Bomb:
    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return (Path.touch, (self.marker,))


def npy_of(thing):
    file = io.BytesIO()
    np.save(file, np.array([thing], dtype=object))
    return file.getvalue()


def bombs(saved, marker):
    """Yield functions that write files which would create the marker if they were unpickled or evaluated."""
    charge = pickle.dumps(Bomb(marker))
    metadata, tensors = saved
    call = f"__import__('pathlib').Path({str(marker)!r}).touch()"
    text = charge.decode("latin1")
    yield "a pickle", lambda path: path.write_bytes(charge)
    yield "PyTorch's pickle", lambda path: torch.save({"cluster_centers_": Bomb(marker)}, path)
    yield "NumPy's pickle", lambda path: path.write_bytes(npy_of(Bomb(marker)))
    for words in (text, call):
        for change in (
            other(content=words),
            other(content__parameters__init=words),
            other(content__parameters__solver=words),
            other(content__parameters__solver={"kind": words, "settings": {}}),
            other(content__parameters__solver={"kind": "adam", "settings": {"lr": words}}),
            other(content__parameters__random_state=words),
            other(content__parameters__dtype=words),
            other(content__parameters__device=words),
            other(content__parameters__callbacks=[words]),
            other(content__feature_names=[words] * 4),
            other(content__attributes__temperature_=words),
            other(extra=words),
        ):
            now, more = copy.deepcopy(metadata), dict(tensors)
            change(now, more)
            yield words, lambda path, now=now, more=more: unparsed(path, now, more)
    for name in ("init", "cluster_centers_", "history_"):
        more = tensors | {name: np.frombuffer(charge, dtype=np.uint8)}
        yield name, lambda path, more=more: unparsed(path, metadata, more)


def test_nothing_is_ever_unpickled_or_evaluated(models, tmp_path):
    marker, path = tmp_path / "boom", tmp_path / "bomb.safetensors"
    pickle.loads(pickle.dumps(Bomb(marker)))  # noqa: S301 -- the charge works
    assert marker.exists()
    marker.unlink()
    outcomes = []
    for _, write in bombs(parsed(models[0] / "frame.safetensors"), marker):
        write(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                outcomes.append(type(load(path)))
            except InputError:
                outcomes.append(InputError)
        assert not marker.exists()
    assert set(outcomes) == {SoftKMeans, InputError}


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda path: None, "no such file"),
        (lambda path: path.mkdir(), "is a folder"),
        (lambda path: path.write_bytes(b""), "not a model file"),
        (lambda path: path.write_bytes(bytes(range(256)) * 20), "not a model file"),
        (lambda path: path.write_text("a,b\n1,2\n"), "not a model file"),
        (lambda path: path.write_bytes(struct.pack("<Q", 2**63) + b"{}"), "not a model file"),
        (lambda path: safetensors.numpy.save_file({"weight": X}, path), "not a softkmeans model"),
        (lambda path: safetensors.numpy.save_file({}, path, {"format": "softkmeans", "version": "1"}), "damaged"),
        (lambda path: path.symlink_to(path), "m.safetensors"),
    ],
    ids=["missing", "folder", "empty", "random", "text", "huge header", "foreign", "only metadata", "circular link"],
)
def test_other_files_are_refused_in_one_line(make, match, tmp_path):
    path = tmp_path / "m.safetensors"
    make(path)
    refused(path, match)


# --- Writing ----------------------------------------------------------------------------------------------------------


def listing(folder):
    return {p.name: p.read_bytes() for p in folder.iterdir() if p.is_file()}


@pytest.mark.parametrize(
    ("model", "error"),
    [
        (SoftKMeans(3), NotFittedError),
        (make_pipeline(StandardScaler(), SoftKMeans(3)), NotFittedError),
        (KMeans(3, n_init=1, random_state=0).fit(X), InputError),
        (make_pipeline(QuantileTransformer(n_quantiles=9), SoftKMeans(3, random_state=0)).fit(X), InputError),
        (make_pipeline(StandardScaler(), KMeans(3, n_init=1, random_state=0)).fit(X), InputError),
        (LAYER, InputError),
        ({"a": 1}, InputError),
        (None, InputError),
        (SoftKMeans, InputError),
    ],
    ids=[
        "unfitted",
        "pipeline",
        "KMeans",
        "QuantileTransformer",
        "pipeline of KMeans",
        "layer",
        "dict",
        "None",
        "class",
    ],
)
def test_other_objects_are_refused_and_the_existing_file_stays(model, error, tmp_path):
    path = tmp_path / "m.safetensors"
    path.write_bytes(b"precious")
    with pytest.raises(error):
        save(model, path)
    assert listing(tmp_path) == {"m.safetensors": b"precious"}


@pytest.mark.slow
@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt(), MemoryError()])
def test_a_failing_save_keeps_the_existing_file(error, tmp_path, monkeypatch, models):
    path = tmp_path / "m.safetensors"
    path.write_bytes(b"precious")

    def breaks_off(self, data, original=Path.write_bytes):
        original(self, data[: len(data) // 2])
        raise error

    monkeypatch.setattr(Path, "write_bytes", breaks_off)
    with pytest.raises(type(error)):
        save(models[1]["array"], path)
    monkeypatch.undo()
    assert listing(tmp_path) == {"m.safetensors": b"precious"}


@pytest.mark.parametrize(
    ("where", "match"),
    [("nowhere/m.safetensors", "no folder"), ("file/m.safetensors", "not a folder"), ("folder", "a folder")],
)
def test_errors_name_a_path_that_cannot_be_written(where, match, tmp_path, models):
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "folder").mkdir()
    with pytest.raises(InputError, match=match):
        save(models[1]["array"], tmp_path / where)
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["file", "folder"]


@pytest.mark.parametrize("path_of", [str, Path, lambda p: p])
def test_a_file_is_replaced_for_every_type_of_path(path_of, tmp_path, models):
    path = tmp_path / "m.safetensors"
    path.write_bytes(b"old")
    save(models[1]["array"], path_of(path))
    np.testing.assert_array_equal(load(path_of(path)).predict(X), models[1]["array"].predict(X))
    assert [p.name for p in tmp_path.iterdir()] == ["m.safetensors"]


@pytest.mark.skipif(os.name != "posix", reason="POSIX permissions")
@pytest.mark.parametrize("before", [None, 0o600, 0o640, 0o664])
def test_permissions_are_those_of_open_or_of_the_replaced_file(before, tmp_path, models):
    path, plain = tmp_path / "m.safetensors", tmp_path / "plain"
    plain.write_bytes(b"")
    if before is not None:
        path.write_bytes(b"old")
        path.chmod(before)
    save(models[1]["array"], path)
    expected = plain.stat().st_mode if before is None else before
    assert stat.S_IMODE(path.stat().st_mode) == stat.S_IMODE(expected)


def test_unusual_column_names_are_restored(tmp_path):
    names = ["größe, cm", 'say "x"', "two\nlines", "\N{GREEK SMALL LETTER BETA}\x00"]
    frame = pd.DataFrame(X, columns=names)
    save(soft(frame), tmp_path / "m.safetensors")
    after = load(tmp_path / "m.safetensors")
    assert after.feature_names_in_.tolist() == names
    np.testing.assert_array_equal(after.predict(frame), soft(frame).predict(frame))


def test_a_model_of_version_1_is_read(models, tmp_path):
    folder, made = models
    metadata, tensors = parsed(folder / "given start.safetensors")
    del metadata["content"]["kind"], metadata["content"]["attributes"]["noise_weight_"], tensors["priors_"]
    for name in ("priors", "update", "noise_distance", "frozen"):
        del metadata["content"]["parameters"][name]
    metadata["content"]["parameters"]["init"] = {"kind": "tensor"}
    unparsed(tmp_path / "old.safetensors", metadata | {"version": "1"}, tensors)
    again = load(tmp_path / "old.safetensors")
    np.testing.assert_array_equal(again.predict_proba(X), made["given start"].predict_proba(X))
    assert again.priors_.tolist() == [1 / len(again.priors_)] * len(again.priors_)
    assert again.get_params().keys() == made["given start"].get_params().keys()


def test_a_pipeline_of_version_2_is_read(models, tmp_path):
    folder, made = models
    metadata, tensors = parsed(folder / "pipeline with names.safetensors")
    content = metadata["content"]
    for name in ("steps", "transformed_names"):
        del content[name]
    content["scaler"] = {name: content["preprocessing"]["parameters"][name] for name in ("with_mean", "with_std")}
    del content["preprocessing"]
    old = {name.replace("preprocessing", "scaler"): values for name, values in tensors.items()}
    unparsed(tmp_path / "old.safetensors", metadata | {"version": "2"}, old)
    again = load(tmp_path / "old.safetensors")
    np.testing.assert_array_equal(again.predict_proba(FRAME), made["pipeline with names"].predict_proba(FRAME))
    assert [name for name, _ in again.steps] == ["standardscaler", "softkmeans"]


def test_a_model_of_version_3_has_no_record_of_how_it_was_made(models, tmp_path):
    folder, made = models
    metadata, tensors = parsed(folder / "array.safetensors")
    del metadata["content"]["made"]
    unparsed(tmp_path / "old.safetensors", metadata | {"version": "3"}, tensors)
    again = load(tmp_path / "old.safetensors")
    np.testing.assert_array_equal(again.predict_proba(X), made["array"].predict_proba(X))
    assert provenance_of(again) == Provenance()


def test_how_a_model_was_made_is_restored(tmp_path):
    model = SoftKMeans(1).fit(X)
    feature = {"feature": "</script>", "mean": 1.0, "rest_mean": float("nan"), "effect_size": float("inf")}
    made = Provenance("softkmeans fit x.csv", {"softkmeans": "0"}, "x.csv", "ab" * 32, 7, [[feature]])
    model._provenance = made
    save(model, tmp_path / "m.safetensors")
    again = provenance_of(load(tmp_path / "m.safetensors"))
    assert str(again) == str(made)  # NaN is not equal to itself
    assert provenance_of(model.fit(X)) == Provenance()


def test_the_versions_that_save_a_model_are_recorded(tmp_path):
    save(SoftKMeans(1).fit(X), tmp_path / "m.safetensors")
    assert provenance_of(load(tmp_path / "m.safetensors")).versions == installed_versions()


def test_the_error_for_a_newer_version_says_what_to_do(models, tmp_path):
    metadata, tensors = parsed(models[0] / "array.safetensors")
    unparsed(tmp_path / "m.safetensors", metadata | {"version": "7"}, tensors)
    with pytest.raises(InputError) as caught:
        load(tmp_path / "m.safetensors")
    assert "version 7" in str(caught.value)
    assert "upgrade softkmeans" in str(caught.value)


def test_an_interrupted_pipeline_can_be_saved(tmp_path):
    class Stop(Callback):
        def on_step(self, step):
            if step.n_iter == 2:
                raise KeyboardInterrupt

    pipe = make_pipeline(StandardScaler(), SoftKMeans(3, random_state=0, tol=0, callbacks=[Stop()]))
    with pytest.raises(KeyboardInterrupt):
        pipe.fit(X)
    pipe[-1].set_params(callbacks=None)
    save(pipe, tmp_path / "m.safetensors")
    np.testing.assert_array_equal(load(tmp_path / "m.safetensors").predict_proba(X), pipe.predict_proba(X))


def test_read_only_centers_are_saved_without_a_warning(tmp_path):
    model = SoftKMeans(3, random_state=0).fit(X)
    model.cluster_centers_.flags.writeable = model.cluster_weights_.flags.writeable = False
    save(model, tmp_path / "m.safetensors")
    np.testing.assert_array_equal(load(tmp_path / "m.safetensors").cluster_centers_, model.cluster_centers_)
