"""Exported models give the same results: in ONNX Runtime, in exported and compiled graphs, and with NumPy alone."""

import json
import logging
import re
import shutil
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import QuantileTransformer, StandardScaler

from helpers.marks import but_thorough
from softkmeans import FuzzyCMeans, InputError, MissingExtraError, SoftKMeans, SoftKMeansLayer, export_onnx, save
from softkmeans.distances import DISTANCES, Distance

ROOT = Path(__file__).parents[2]
RNG = np.random.default_rng(0)
BLOBS = 3.0 * RNG.integers(-1, 2, size=(400, 4)) + RNG.normal(size=(400, 4))


def known(x, k=5, temperature=1.0, distance="sqeuclidean", centers=None):
    """Return a model whose centers are the first k rows, or those given, and the rows."""
    centroids = torch.tensor(x[:k] if centers is None else np.asarray(centers, x.dtype))
    layer = SoftKMeansLayer(len(centroids), x.shape[1], temperature, distance=distance, centroids=centroids)
    return SoftKMeans.from_layer(layer), x


def scaled(x, **options):
    return make_pipeline(StandardScaler(**options), SoftKMeans(3, temperature=0.5, random_state=0)).fit(x), x


def fitted(kind, k=4, **parameters):
    return kind(k, **{"random_state": 0} | parameters).fit(BLOBS), BLOBS


def near_pair():
    """Return a model with two centers close together, and rows near them, where products of rows lose precision."""
    centers = np.array([[1.0, 1.0], [1.0 + 1e-7, 1.0], [-5.0, 0.0], [3.0, -4.0]])
    return known(centers[0] + 1e-7 * RNG.normal(size=(50, 2)), centers=centers, temperature=1e-14)


def by(distance, temperature=1.0, offset=0.0, dtype=np.float64):
    return lambda: known((BLOBS + offset).astype(dtype), temperature=temperature, distance=distance)


SCALE = {"sqeuclidean": 1.0, "euclidean": 1.0, "cosine": 0.1}  # a moderate temperature for each distance
CASES = {
    **{f"{name}, cold": by(name, 1e-3 * SCALE[name]) for name in DISTANCES},
    "sqeuclidean, far from zero": by("sqeuclidean", 1.0, 1e6),
    **{f"{name}, float32 far from zero": by(name, 1.0, 1e3, np.float32) for name in ("sqeuclidean", "euclidean")},
    "cosine, far from zero": by("cosine", 1e-12, 1e6),
    "cosine, float32 far from zero": by("cosine", 1e-6, 1e3, np.float32),
    "one cluster": lambda: known(BLOBS, k=1),
    "one feature": lambda: known(BLOBS[:, :1].copy(), temperature=0.1),
    "many rows": lambda: known(RNG.normal(size=(200_000, 4)), k=20),
    "many clusters": lambda: known(BLOBS, k=300, temperature=0.01),
    "tiny numbers": lambda: known(BLOBS * 1e-30, temperature=1e-60),
    "a pair of centers": near_pair,
    "pipeline": lambda: scaled(BLOBS * [1, 10, 100, 1e-3] + 7),
    "float32 pipeline": lambda: scaled((BLOBS * [1, 10, 100, 1e-3] + 7).astype(np.float32)),
    "pipeline without mean": lambda: scaled(BLOBS, with_mean=False),
    "pipeline without deviation": lambda: scaled(BLOBS, with_std=False),
    "a spherical mixture": lambda: fitted(SoftKMeans, temperature="per-cluster", priors="learned"),
    "noise": lambda: fitted(SoftKMeans, temperature=1.0, noise_distance=9.0),
    "weighted means": lambda: fitted(SoftKMeans, temperature=1.0, distance="euclidean", update="mean"),
    "cold, with noise": lambda: fitted(SoftKMeans, temperature=1.23e-5, noise_distance=9.1),
    "fuzzy, nearly equal": lambda: fitted(FuzzyCMeans, fuzzifier=4.0, distance="euclidean"),
    "fuzzy, nearly hard": lambda: fitted(FuzzyCMeans, fuzzifier=1.1),
    "fuzzy with noise": lambda: fitted(FuzzyCMeans, noise_distance=4.0),
    "fuzzy, rows on centers": lambda: fitted(FuzzyCMeans, fuzzifier=5.0, init=BLOBS[:4], frozen=[True] * 4),
    "fitted to a tensor": lambda: (SoftKMeans(3, random_state=0).fit(torch.tensor(BLOBS)), BLOBS),
    "float16": lambda: (SoftKMeans(3, temperature=1.0, random_state=0, dtype="float16").fit(BLOBS), BLOBS.astype("f4")),
}  # fmt: skip


def run(path, rows):
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return session.run(["probabilities", "label"], {"rows": rows})


def is_special(model):
    return np.ndim(model.temperature_) or model.priors != "uniform" or model.noise_distance


def wide(model, rows):
    """Return memberships in float64: computed from differences by NumPy if the model is simple, else by the model."""
    if not isinstance(model, SoftKMeans) or model.distance == "cosine" or len(rows) > 1000 or is_special(model):
        return np.asarray(model.predict_proba(rows), np.float64)
    middle = np.asarray(model.cluster_centers_, np.float64)[0]
    z, c = rows - middle, np.asarray(model.cluster_centers_, np.float64) - middle
    d = np.sqrt(((z[:, None] - c) ** 2).sum(-1)) ** (1 if model.distance == "euclidean" else 2)
    weight = np.exp((d.min(1, keepdims=True) - d) / model.temperature_)
    return weight / weight.sum(1, keepdims=True)


USUAL = [
    "cosine, cold", "sqeuclidean, far from zero", "euclidean, float32 far from zero", "one feature", "many clusters",
    "a pair of centers", "pipeline", "a spherical mixture", "noise", "fuzzy with noise", "float16",
]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("case", but_thorough(CASES, USUAL))
def test_onnx_runtime_agrees_with_the_model(case, tmp_path):
    model, rows = CASES[case]()
    export_onnx(model, tmp_path / "model.onnx")
    onnx.checker.check_model(tmp_path / "model.onnx", full_check=True)
    assert [file.name for file in tmp_path.iterdir()] == ["model.onnx"]  # a single file
    for part in (rows, rows[:1], rows[:0]):
        probabilities, label = run(tmp_path / "model.onnx", part)
        assert probabilities.dtype == part.dtype
        assert label.dtype == np.int64
        assert probabilities.shape[0] == label.shape[0] == len(part)
    probabilities, label = run(tmp_path / "model.onnx", rows)
    tolerance = 1e-3 if case == "float16" else 1e-5
    np.testing.assert_allclose(probabilities, np.asarray(model.predict_proba(rows)), rtol=0, atol=tolerance)
    np.testing.assert_allclose(probabilities, wide(model, rows), rtol=0, atol=1e-5 if case != "float16" else 1e-3)
    np.testing.assert_array_equal(label, np.asarray(model.predict(rows)))


@pytest.mark.slow
def test_the_file_describes_its_input_and_holds_nothing_of_this_machine(tmp_path):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(BLOBS, columns=["mass", "length", "Größe", "w"])
    export_onnx(scaled(frame)[0], tmp_path / "model.onnx")
    proto = onnx.load(tmp_path / "model.onnx")
    (entry,) = proto.graph.input
    assert [axis.dim_param or axis.dim_value for axis in entry.type.tensor_type.shape.dim] == ["batch", 4]
    assert [(one.name, len(one.type.tensor_type.shape.dim)) for one in proto.graph.output] == [
        ("probabilities", 2),
        ("label", 1),
    ]
    (metadata,) = proto.metadata_props
    assert (metadata.key, json.loads(metadata.value)) == ("feature_names", list(frame.columns))
    content = (tmp_path / "model.onnx").read_bytes()
    assert proto.producer_name == "softkmeans"
    assert not re.search(rb"\.py|torch|Predictor|" + str(ROOT).encode(), content)


@pytest.mark.slow
def test_exporting_prints_nothing_and_restores_global_state(tmp_path, capfd, caplog):
    before = torch.get_rng_state(), warnings.filters[:], logging.getLogger("torch.onnx").level
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        export_onnx(known(BLOBS)[0], tmp_path / "model.onnx")
    assert caught == []
    assert [record for record in caplog.records if record.levelno > logging.DEBUG] == []
    assert capfd.readouterr() == ("", "")
    after = torch.get_rng_state(), warnings.filters[:], logging.getLogger("torch.onnx").level
    assert torch.equal(before[0], after[0])
    assert before[1:] == after[1:]


@pytest.mark.process
def test_a_fresh_process_prints_nothing(tmp_path):
    code = "from softkmeans import SoftKMeans, export_onnx; export_onnx(SoftKMeans(1).fit([[0.0], [1.0]]), 'm.onnx')"
    done = subprocess.run([sys.executable, "-W", "always", "-c", code], cwd=tmp_path, capture_output=True, check=True)
    assert (done.stdout, done.stderr) == (b"", b"")


class Untraceable(Distance):
    """A distance that depends on values, which a graph does not support."""

    name = "untraceable"
    power = None

    def of_squared(self, squared):
        return squared if float(squared.max()) > 1 else 2 * squared


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "match"),
    [
        (lambda: KeyError(), "the model is of type KeyError, expected a SoftKMeans"),
        (
            lambda: make_pipeline(QuantileTransformer(n_quantiles=9), SoftKMeans(2)).fit(BLOBS),
            "the step 'quantiletransformer' is a QuantileTransformer, expected StandardScaler, MinMaxScaler",
        ),
        (lambda: known(np.zeros((20_000, 1)), k=20_000)[0], "20000 clusters .* more than 2 GB.*fewer clusters"),
        (
            lambda: known(BLOBS, distance=Untraceable())[0],
            "Untraceable can't be exported to ONNX .*use tensor operations only",
        ),
    ],
)
def test_export_errors_are_one_line_and_nothing_is_written(model, match, tmp_path, capfd):
    with pytest.raises(InputError, match=match) as caught:
        export_onnx(model(), tmp_path / "model.onnx")
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_unfitted_models_and_missing_folders_are_refused(tmp_path):
    with pytest.raises(NotFittedError):
        export_onnx(SoftKMeans(2), tmp_path / "model.onnx")
    with pytest.raises(InputError, match="there is no folder"):
        export_onnx(known(BLOBS)[0], tmp_path / "missing" / "model.onnx")


@pytest.mark.parametrize("missing", ["onnx", "onnxscript"])
def test_without_the_extra_the_error_names_it(missing, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(MissingExtraError) as caught:
        export_onnx(known(BLOBS)[0], tmp_path / "model.onnx")
    assert str(caught.value) == "export_onnx needs onnx and onnxscript: pip install 'softkmeans[onnx]'"
    assert list(tmp_path.iterdir()) == []


# --- Graphs of the layer ----------------------------------------------------------------------------------------------


class Loss(torch.nn.Module):
    """The loss of a layer as a module, which export needs."""

    def __init__(self, layer, objective):
        super().__init__()
        self.layer, self.objective = layer, objective

    def forward(self, x):
        return self.layer.loss(x, self.objective)


def module(distance, objective):
    start, learn = torch.tensor(BLOBS[:3]), objective == "nll"
    layer = SoftKMeansLayer(3, 4, 0.7, distance=distance, learn_temperature=learn, centroids=start)
    return layer if objective is None else Loss(layer, objective)


def with_gradients(function, parameters, x):
    x = x.clone().requires_grad_()
    values = function(x)
    weight = torch.linspace(1, 2, values.numel(), dtype=x.dtype).reshape(values.shape)
    return [values, *torch.autograd.grad((values * weight).sum(), [x, *parameters], allow_unused=True)]


GRAPHS = [(distance, objective) for distance in DISTANCES for objective in (None, "free_energy", "distortion", "nll")]
SIZES = (400, 7, 1)
DYNAMIC = ({0: torch.export.Dim("batch")},)


@pytest.mark.slow
@pytest.mark.parametrize(("distance", "objective", "strict"), [*((*g, False) for g in GRAPHS), ("cosine", "nll", True)])
def test_exported_graphs_agree_with_the_layer(distance, objective, strict):
    eager, x = module(distance, objective), torch.tensor(BLOBS)
    graph = torch.export.export(eager, (x,), dynamic_shapes=DYNAMIC, strict=strict).module()
    for n in SIZES:
        expected = with_gradients(eager, list(eager.parameters()), x[:n])
        torch.testing.assert_close(with_gradients(graph, list(graph.parameters()), x[:n]), expected)


# Every distance and every objective once; the test above exports all pairs, the test below compiles to machine code.
@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")  # of PyTorch's compiler
@pytest.mark.slow
@pytest.mark.parametrize(
    ("distance", "objective"),
    [("sqeuclidean", None), ("euclidean", "free_energy"), ("cosine", "distortion"), ("euclidean", "nll")],
)
def test_compiled_graphs_agree_with_the_layer(distance, objective):
    torch.compiler.reset()
    eager, x = module(distance, objective), torch.tensor(BLOBS)
    graph = torch.compile(eager, fullgraph=True, backend="aot_eager", dynamic=True)
    for n in SIZES:
        expected = with_gradients(eager, list(eager.parameters()), x[:n])
        torch.testing.assert_close(with_gradients(graph, list(eager.parameters()), x[:n]), expected)


class Several(torch.nn.Module):
    """Memberships and losses of two layers in one module, to run the compiler only once."""

    def __init__(self):
        super().__init__()
        self.one, self.other = module("sqeuclidean", "nll").layer, module("cosine", "nll").layer

    def forward(self, x):
        return torch.cat([self.one(x).flatten(), torch.stack([self.one.loss(x, "nll"), self.other.loss(x, "nll")])])


@pytest.mark.thorough
@pytest.mark.process
@pytest.mark.skipif(not (shutil.which("c++") or shutil.which("g++")), reason="inductor needs a C++ compiler")
@pytest.mark.filterwarnings("ignore::DeprecationWarning:torch", "ignore::FutureWarning:torch")
@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
def test_machine_code_agrees_with_the_layer():
    torch.compiler.reset()
    eager, x = Several(), torch.tensor(BLOBS)
    graph = torch.compile(eager, fullgraph=True)
    expected = with_gradients(eager, list(eager.parameters()), x)
    torch.testing.assert_close(with_gradients(graph, list(eager.parameters()), x), expected)


# --- The model file without the library -------------------------------------------------------------------------------

ALONE = """
import sys
sys.modules["softkmeans"] = sys.modules["torch"] = sys.modules["safetensors"] = None
{script}
np.save("probabilities.npy", predict_proba(np.load("rows.npy")))
"""


@pytest.mark.process
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_the_script_in_the_docs_reads_a_model_with_numpy_alone(dtype, tmp_path):
    (script,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs/deploying.md").read_text(), re.DOTALL)
    assert len(script.splitlines()) <= 15
    model = SoftKMeans(3, temperature=2.0, random_state=0).fit(BLOBS.astype(dtype))
    save(model, tmp_path / "model.safetensors")
    np.save(tmp_path / "rows.npy", BLOBS)
    subprocess.run([sys.executable, "-W", "error", "-c", ALONE.format(script=script)], cwd=tmp_path, check=True)
    expected = model.predict_proba(BLOBS)
    assert expected.dtype == dtype
    tolerance = 1e-9 if dtype == np.float64 else 1e-7  # the precision of a float32 probability
    np.testing.assert_allclose(np.load(tmp_path / "probabilities.npy"), expected, rtol=0, atol=tolerance)
