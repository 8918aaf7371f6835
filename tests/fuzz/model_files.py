"""Fuzz model files: `load` gives a model whose predictions are valid, or an InputError; it never runs code."""

import copy
import functools
import json
import struct
import sys
import tempfile
import warnings
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import safetensors.numpy
from sklearn.compose import make_column_transformer
from sklearn.decomposition import PCA
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, PowerTransformer, RobustScaler, StandardScaler

from softkmeans import FuzzyCMeans, InputError, SoftKMeans, load, save
from softkmeans.estimators import n_features_in
from softkmeans.solvers import Adam, Online
from softkmeans.temperature import Fixed, Schedule

ROWS = np.random.default_rng(0).normal(size=(30, 3)) + np.repeat([[0.0], [4.0], [9.0]], 10, axis=0)
START = ROWS[[2, 12, 22]]
SPHERE_ERROR = 1e-12
CALL = "__import__('os').system('exit 1')"
MAX_CHANGES = 3  # of a file

# Models whose files have all kinds of content.
MODELS = {
    "plain": lambda: SoftKMeans(3, random_state=0).fit(ROWS),
    "float32": lambda: SoftKMeans(3, random_state=0).fit(ROWS.astype(np.float32)),
    "float16": lambda: SoftKMeans(3, random_state=0, dtype="float16").fit(ROWS),
    "mixture": lambda: SoftKMeans(3, random_state=0, temperature="per-cluster", priors="learned").fit(ROWS),
    "given": lambda: SoftKMeans(
        3, init=START, temperature=[0.5, 1.0, 2.0], priors=[0.5, 0.3, 0.2], frozen=[True, False, False]
    ).fit(ROWS),
    "noise": lambda: SoftKMeans(3, random_state=0, temperature=0.5, noise_distance=3.0).fit(ROWS),
    "cosine": lambda: SoftKMeans(3, random_state=0, distance="cosine", temperature=Fixed(0.01)).fit(ROWS),
    "euclidean": lambda: SoftKMeans(3, random_state=0, distance="euclidean", solver=Adam(lr=0.05)).fit(ROWS),
    "schedule": lambda: SoftKMeans(2, random_state=0, temperature=Schedule([3.0, 1.0])).fit(ROWS),
    "fuzzy": lambda: FuzzyCMeans(3, random_state=0, fuzzifier=1.5, noise_distance=4.0).fit(ROWS),
    "online": lambda: SoftKMeans(3, random_state=0, solver=Online(), temperature=1.0).fit(ROWS).partial_fit(ROWS),
    "pipeline": lambda: make_pipeline(StandardScaler(), SoftKMeans(2, random_state=0)).fit(ROWS),
    "powers": lambda: make_pipeline(SimpleImputer(), PowerTransformer(), PCA(2), SoftKMeans(2, random_state=0)).fit(
        ROWS
    ),
    "columns": lambda: make_pipeline(
        make_column_transformer((OneHotEncoder(handle_unknown="ignore"), [0]), remainder=RobustScaler()),
        SoftKMeans(2, random_state=0),
    ).fit(np.column_stack([np.repeat([1.0, 2.0, 5.0], 10), ROWS])),
}

VALUES = [
    None, True, False, -1, 0, 1, 2, 10**400, 2**70, -0.0, 1.5, 1e-320, 1e300, float("nan"), float("inf"),
    float("-inf"), "", "x", "nan", CALL, "learned", "cosine", "float16", "cuda", [], [1], [[]], [0.1, 0.2], {},
    {"kind": "em"}, {"kind": "tensor"}, {"kind": "tensor", "name": "priors_"}, {"kind": "fixed", "settings": {}},
    {"kind": "fixed", "settings": {"value": 1e-300}}, {"kind": CALL, "settings": {}},
]  # fmt: skip
NUMBERS = [np.nan, np.inf, -np.inf, -1.0, 0.0, 1e-320, 1e-160, 1e155, 1e300, 1.7e308, -1e300, 2.0]
DTYPES = ["float16", "float32", "float64", "int64", "int8", "uint8", "bool", "complex64"]

_events: list[str] | None = None  # audit events that would be code of a file, while one is loaded
# A class found by a pickle, a shell, a process; code that is compiled or run.
FORBIDDEN = ("pickle.find_class", "os.system", "os.exec", "os.posix_spawn", "os.fork", "subprocess.Popen", "compile")


class File(NamedTuple):
    """The content of a model file: the texts of its metadata, the content decoded, and its tensors."""

    metadata: dict[str, Any]
    content: Any
    tensors: dict[str, np.ndarray]

    def bytes(self):
        """Return the file as bytes."""
        texts = {**self.metadata, "content": json.dumps(self.content)}
        texts = {str(name): text if isinstance(text, str) else json.dumps(text) for name, text in texts.items()}
        return safetensors.numpy.save(self.tensors, texts)


@functools.cache
def original(name):
    """Return the file of a model."""
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        path = Path(folder) / "model"
        save(MODELS[name](), path)
        raw = path.read_bytes()
        use(load(path))  # imports what it needs, so that later code is not that of imports
    (length,) = struct.unpack("<Q", raw[:8])
    metadata = json.loads(raw[8 : 8 + length])["__metadata__"]
    return File(metadata, json.loads(metadata["content"]), safetensors.numpy.load(raw))


def check(rng):
    """Load a changed model file, and check the outcome."""
    watch_code()
    name = list(MODELS)[rng.integers(len(MODELS))]
    file, drawn = copy.deepcopy(original(name)), rng.integers(len(CHANGES), size=rng.integers(1, MAX_CHANGES + 1))
    changes = [CHANGES[i](rng, file) for i in drawn]
    raw = file.bytes()
    if rng.random() < 0.25:
        raw, change = change_bytes(rng, raw)
        changes.append(change)
    try:
        return check_file(raw)
    except Exception as error:
        error.add_note(f"in the file of the model {name!r} with: {'; '.join(changes)}")
        raise


def check_file(raw):
    """Check what loading a file gives."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model"
        path.write_bytes(raw)
        try:
            model = load_watched(path)
        except InputError as error:
            return check_message(str(error))
        with warnings.catch_warnings():
            for expected in (UserWarning, RuntimeWarning):  # that rows have no names; a scaler divides by a tiny number
                warnings.simplefilter("ignore", expected)
            try:
                predictions = use(model)
            except ValueError as error:  # scikit-learn's own if numbers overflow between the steps of a pipeline
                if not isinstance(error, InputError) and "Input X contains" not in str(error):
                    raise
                return "loaded, but refused to predict"
            try:
                save(model, path)
            except InputError:  # an array parameter is no array; a fit would say so
                return "loaded, but refused to save"
            for one, other in zip(predictions, use(load_watched(path)), strict=True):
                assert np.array_equal(one, other), "the model predicts something else once it is saved again"
    return "loaded"


def check_message(message):
    """Check that an error has one line."""
    assert "\n" not in message, f"the error has several lines: {message}"
    return "refused"


# Watching


def watch_code():
    """Start to watch for code that is run, once in a process."""
    global _events
    if _events is None:
        _events = []
        sys.addaudithook(_record)


def _record(event, arguments):
    if event in FORBIDDEN and _events is not None and _is_watching:
        _events.append(f"{event} {arguments}")


_is_watching = False


def load_watched(path):
    """Load a model, and check that no code is run."""
    global _is_watching
    _is_watching = True
    try:
        return load(path)
    finally:
        _is_watching = False
        events, _events[:] = list(_events), []
        assert not events, f"loading ran code: {events}"


# Using


def use(model):
    """Return memberships, labels and distances of rows, after checking that they agree."""
    estimator = model[-1] if isinstance(model, Pipeline) else model
    x = np.resize(ROWS, (len(ROWS), n_features_in(model)))
    proba, labels, distances = (
        np.asarray(method(x)) for method in (model.predict_proba, model.predict, model.transform)
    )
    shape = len(x), len(estimator.cluster_centers_)
    assert proba.shape == shape, f"memberships have shape {proba.shape}, expected {shape}"
    assert np.isfinite(proba).all(), f"memberships are not finite: {proba}"
    rounding = 8 * max(shape[1] * float(np.finfo(proba.dtype).eps), SPHERE_ERROR)
    sums = proba.astype(np.float64).sum(1)
    least = 0 if estimator.noise_distance is not None else 1 - rounding
    assert (proba >= 0).all(), f"the least membership is {proba.min()}"
    assert ((sums >= least) & (sums <= 1 + rounding)).all(), f"memberships sum to {sums}"
    memberships = np.column_stack([proba, np.maximum(1 - sums, 0.0)])
    chosen = memberships[np.arange(len(x)), labels]  # -1, for noise, is the last column
    assert (chosen >= memberships.max(1) - 2 * rounding).all(), "labels are not those of the largest memberships"
    assert not np.isnan(distances).any(), f"distances are NaN: {distances}"
    assert (distances >= 0).all(), f"the least distance is {distances.min()}"
    return proba, labels, distances


# Changes: each function changes a file, and returns what it did


def change_value(rng, file):
    """Replace, remove or add a value in the content."""
    at, way = file.content, []
    while isinstance(at, dict | list) and len(at):
        keys = list(at) if isinstance(at, dict) else range(len(at))
        key = keys[rng.integers(len(keys))]
        way.append(str(key))
        if not isinstance(at[key], dict | list) or not at[key] or rng.random() < 0.2:
            break
        at = at[key]
    if not way:
        return "nothing"
    where, kind = ".".join(way), rng.random()
    if kind < 0.1:
        del at[key]
        return f"removed {where}"
    value = copy.deepcopy(VALUES[rng.integers(len(VALUES))])
    if kind < 0.2 and isinstance(at, dict):
        at["extra"] = value
        return f"added {value!r} beside {where}"
    at[key] = value
    return f"{where} = {str(value)[:50]!r}"


def change_parameter(rng, file):
    """Replace a parameter by another value of its kind."""
    if not isinstance(file.content, dict) or not isinstance(file.content.get("parameters"), dict):
        return "nothing"
    choices = {
        "temperature": ["auto", "per-cluster", "calibrated", "perplexity:1.5", 1e-300, 1e300, 5e-324],
        "distance": ["sqeuclidean", "euclidean", "cosine"], "noise_distance": [1e-300, 1e300, 5e-324, None, 1.0],
        "assignment": ["softmax", "fuzzy"], "fuzzifier": [1 + 1e-15, 1e300, 1.01], "n_clusters": [1, 2, 10**9],
        "update": ["mean", "exact"], "dtype": ["float16", "bfloat16", "float64"], "device": ["cpu", "cuda:99", "meta"],
        "priors": ["uniform", "learned"],
    }  # fmt: skip
    name = list(choices)[rng.integers(len(choices))]
    value = choices[name][rng.integers(len(choices[name]))]
    file.content["parameters"][name] = value
    return f"parameter {name} = {value!r}"


def change_metadata(rng, file):
    """Change the metadata beside the content."""
    name = ["format", "version", "extra", "content"][rng.integers(4)]
    value = ["", "1", "2", "3", "-1", "9" * 5000, CALL, "{}"][rng.integers(8)]
    if name == "content":
        return "nothing"
    file.metadata[name] = value
    return f"metadata {name} = {value[:50]!r}"


def change_entry(rng, file):
    """Change an entry of a tensor, or all."""
    name = pick_tensor(rng, file)
    value = NUMBERS[rng.integers(len(NUMBERS))]
    array = file.tensors[name]
    if not array.size:
        return "nothing"
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        value = np.asarray(value).astype(array.dtype)
    if rng.random() < 0.2:
        array = np.full_like(array, value)
    else:
        array = array.copy()
        array.flat[rng.integers(array.size)] = value
    file.tensors[name] = array
    return f"{name} has {value}"


def change_shape(rng, file):
    """Change the shape of a tensor."""
    name = pick_tensor(rng, file)
    array = np.atleast_1d(file.tensors[name])
    shapes = [array[:0], array[:1], array[..., :1], array.ravel(), array[None], np.concatenate([array, array])]
    shapes += [np.asarray(array.flat[0] if array.size else 0.0), array.T, array[..., :0], np.repeat(array, 2, axis=-1)]
    file.tensors[name] = np.ascontiguousarray(shapes[rng.integers(len(shapes))])
    return f"{name} has shape {file.tensors[name].shape}"


def change_dtype(rng, file):
    """Change the type of a tensor."""
    name, dtype = pick_tensor(rng, file), DTYPES[rng.integers(len(DTYPES))]
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        file.tensors[name] = file.tensors[name].astype(dtype)
    return f"{name} is {dtype}"


def change_names(rng, file):
    """Remove a tensor, or add one with the name or the values of another."""
    name, kind = pick_tensor(rng, file), rng.integers(3)
    names = [
        "extra",
        "init",
        "priors",
        "frozen",
        "temperature_",
        "priors_",
        "history_",
        "progress.shift",
        "preprocessing.mean_",
    ]
    new = names[rng.integers(len(names))]
    if kind == 0:
        del file.tensors[name]
        file.tensors.setdefault("extra", np.zeros(1))
        return f"removed {name}"
    file.tensors[new] = file.tensors[name].copy()
    return f"{new} has the values of {name}"


def pick_tensor(rng, file):
    """Return the name of a tensor."""
    return sorted(file.tensors)[rng.integers(len(file.tensors))]


def change_bytes(rng, raw):
    """Return other bytes: truncated, with more, or with some that are different."""
    kind = rng.integers(4)
    if kind == 0:
        length = int(rng.integers(len(raw)))
        return raw[:length], f"the first {length} bytes"
    if kind == 1:
        return raw + rng.bytes(int(rng.integers(1, 20))), "more bytes"
    changed, header = bytearray(raw), 8 + struct.unpack("<Q", raw[:8])[0]
    places = rng.integers(header if kind == 2 else len(raw), size=rng.integers(1, 5))
    for place in places:
        changed[place] = int(rng.integers(256))
    return bytes(changed), f"other bytes at {places.tolist()}"


CHANGES = [
    change_value, change_value, change_value, change_parameter, change_metadata, change_entry, change_entry,
    change_shape, change_dtype, change_names,
]  # fmt: skip
