"""Test that train_layer reaches the optimum of a plain PyTorch loop, and changes the layer only on success."""

import functools

import numpy as np
import pytest
import torch

from helpers import reference as ref
from softkmeans import Callback, FitInterrupted, InputError, SoftKMeansLayer, train_layer
from softkmeans.distances import DISTANCES
from softkmeans.solvers import Adam

TEMPERATURES = {"sqeuclidean": 2.0, "euclidean": 0.7, "cosine": 0.15}


def rows(n=90, dtype=np.float64):
    """Three overlapping blobs away from the origin, in three dimensions."""
    rng = np.random.default_rng(3)
    middle = np.array([[2.0, 0.0, 1.0], [0.0, 3.0, 0.0], [-2.0, -1.0, 4.0]])
    return (rng.normal(size=(n, 3)) + middle[np.arange(n) % 3]).astype(dtype)


def layer(distance="sqeuclidean", **arguments):
    standard = {
        "temperature": TEMPERATURES[distance],
        "distance": distance,
        "centroids": torch.tensor(rows()[:3] + 0.3),
        "dtype": torch.float64,
    }
    return SoftKMeansLayer(3, 3, **{**standard, **arguments})


def directions(centroids, distance):
    c = centroids.detach().double()
    return c / c.norm(dim=1, keepdim=True) if distance == "cosine" else c


@functools.cache
def plain_loop(objective, distance, learn):
    """Train with the loop that a PyTorch user would write, long enough to converge."""
    module, x = layer(distance, learn_temperature=learn), torch.tensor(rows())
    optimizer = torch.optim.Adam(module.parameters(), lr=0.05)
    scheduler = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.992)
    for _ in range(1200):
        optimizer.zero_grad()
        module.loss(x, objective).backward()
        optimizer.step()
        scheduler.step()
    return module


@pytest.mark.slow
@pytest.mark.parametrize("distance", DISTANCES)
@pytest.mark.parametrize(
    ("objective", "learn", "solver"),
    [
        *[("free_energy", False, solver) for solver in ("adam", "em", "lbfgs")],
        *[("nll", True, solver) for solver in ("adam", "em", "lbfgs")],
        *[pytest.param("nll", False, solver, marks=pytest.mark.thorough) for solver in ("adam", "em", "lbfgs")],
        ("distortion", False, "adam"),
    ],
)
def test_the_optimum_is_that_of_a_plain_loop(objective, learn, solver, distance):
    module, x = layer(distance, learn_temperature=learn), torch.tensor(rows())
    result = train_layer(module, x, objective=objective, solver=solver, tol=1e-12, max_iter=5000)
    assert result.converged
    plain = plain_loop(objective, distance, learn)
    expected = plain.loss(x, objective).item()
    assert module.loss(x, objective).item() == pytest.approx(expected, rel=1e-5, abs=1e-6)
    np.testing.assert_allclose(
        directions(module.centroids, distance), directions(plain.centroids, distance), rtol=2e-3, atol=2e-3
    )
    assert module.temperature.item() == pytest.approx(plain.temperature.item(), rel=1e-3)
    # The result describes the trained layer.
    assert result.objective / len(x) == pytest.approx(module.loss(x, objective).item(), rel=1e-9)
    assert result.temperature == pytest.approx(module.temperature.item(), rel=1e-12)
    torch.testing.assert_close(result.centers, module.centroids.detach())


@pytest.mark.parametrize("learn", [False, True])
def test_there_are_no_warnings(learn):
    torch.set_warn_always(True)  # by default, PyTorch issues most warnings only once
    try:
        train_layer(layer(learn_temperature=learn), rows())
    finally:
        torch.set_warn_always(False)


@pytest.mark.slow
def test_the_default_objective_follows_the_layer():
    x = rows()
    for learn, objective in ((False, "free_energy"), (True, "nll")):
        given, default = layer(learn_temperature=learn), layer(learn_temperature=learn)
        train_layer(given, x, objective=objective)
        train_layer(default, x)
        assert torch.equal(given.centroids, default.centroids)
        assert torch.equal(given.temperature, default.temperature)


@pytest.mark.slow
def test_a_temperature_that_is_not_learned_is_unchanged():
    for objective in ("free_energy", "nll", "distortion"):
        module = layer()
        before = module.log_temperature.clone()
        result = train_layer(module, rows(), objective=objective)
        assert torch.equal(module.log_temperature, before)
        assert result.temperature == pytest.approx(2.0), objective


def test_the_learned_temperature_is_the_closed_form_at_the_optimum():
    module, x = layer(learn_temperature=True), rows()
    result = train_layer(module, x, tol=1e-10, max_iter=3000)
    c, t = module.centroids.detach().numpy(), module.temperature.item()
    assert t == pytest.approx(2 * ref.distortion(x, c, t) / x.size, rel=1e-4)
    assert result.temperature == pytest.approx(t)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("objective", ["free_energy", "nll", "distortion"])
def test_any_floating_layer(objective, dtype):
    learn = objective == "nll"
    module, double = layer(learn_temperature=learn, dtype=dtype), layer(learn_temperature=learn)
    identity = id(module.centroids)
    train_layer(module, rows(), objective=objective)
    train_layer(double, rows(), objective=objective)
    assert module.centroids.dtype == dtype
    assert module.log_temperature.dtype == torch.promote_types(dtype, torch.float32)
    assert id(module.centroids) == identity  # optimizers and networks that refer to it see the change
    assert module.centroids.requires_grad
    tolerance = 0.03 if dtype == torch.bfloat16 else 1e-3
    np.testing.assert_allclose(module.centroids.detach().double(), double.centroids.detach(), tolerance, tolerance)


@pytest.mark.slow
@pytest.mark.parametrize("init", ["k-means++", "random"])
def test_initialization_ignores_the_centroids_and_follows_random_state(init):
    trained = []
    for start in (torch.zeros(3, 3), torch.full((3, 3), 100.0)):
        module = layer(centroids=start)
        train_layer(module, rows(), init=init, random_state=4)
        trained.append(module.centroids.detach())
    assert torch.equal(*trained)
    assert torch.isfinite(trained[0]).all()


def test_k_means_plus_plus_finds_separate_blobs_whatever_the_centroids():
    rng = np.random.default_rng(0)
    middle = np.array([[0.0, 0.0, 0.0], [50.0, 0.0, 0.0], [0.0, 50.0, 0.0]])
    x = middle.repeat(20, axis=0) + rng.normal(size=(60, 3))
    module = layer(centroids=torch.full((3, 3), 1e4))
    train_layer(module, x, init="k-means++", random_state=0)
    nearest = torch.cdist(torch.tensor(middle), module.centroids.detach()).min(1).values
    assert (nearest < 1).all()


def test_integer_weights_are_repeated_rows():
    x, w = rows(), np.random.default_rng(0).integers(0, 3, 90)
    weighted, repeated = layer(), layer()
    a = train_layer(weighted, x, solver="em", sample_weight=w)
    b = train_layer(repeated, np.repeat(x, w, axis=0), solver="em")
    torch.testing.assert_close(weighted.centroids, repeated.centroids)
    assert a.n_iter == b.n_iter
    assert a.objective == pytest.approx(b.objective)


@pytest.mark.parametrize("kind", ["float32 array", "float64 tensor", "float32 tensor", "list", "tensor with gradient"])
def test_rows_of_any_kind(kind):
    x = rows(dtype=np.float32)
    given = {
        "float32 array": x,
        "float64 tensor": torch.tensor(x).double(),
        "float32 tensor": torch.tensor(x),
        "list": x.tolist(),
        "tensor with gradient": torch.tensor(x, requires_grad=True),
    }[kind]
    module, expected = layer(), layer()
    train_layer(module, given, solver="em")
    train_layer(expected, x.astype(np.float64), solver="em")
    torch.testing.assert_close(module.centroids, expected.centroids)


def test_a_solver_with_settings_and_callbacks():
    seen = []

    class Watch(Callback):
        def on_step(self, step):
            seen.append(step)

    result = train_layer(layer(), rows(), solver=Adam(lr=0.02), callbacks=[Watch()])
    assert tuple(step._replace(centers=None) for step in seen) == result.history
    assert seen[-1].mean < seen[0].mean


BAD = {
    "objective unknown": ({}, {"objective": "mse"}, "objective='mse' is not known"),
    "free energy can't learn T": (
        {"learn_temperature": True},
        {"objective": "free_energy"},
        "needs a fixed temperature",
    ),
    "distortion can't learn T": ({"learn_temperature": True}, {"objective": "distortion"}, "needs a fixed temperature"),
    "distortion by EM": ({}, {"objective": "distortion", "solver": "em"}, "choose solver='adam'"),
    "distortion by L-BFGS": ({}, {"objective": "distortion", "solver": "lbfgs"}, "choose solver='adam'"),
    "solver unknown": ({}, {"solver": "sgd"}, "solver='sgd' is not known"),
    "init unknown": ({}, {"init": "kmeans"}, "init='kmeans' is not known"),
    "max_iter": ({}, {"max_iter": 0}, "max_iter=0"),
    "tol": ({}, {"tol": -1.0}, "tol=-1.0"),
    "weights": ({}, {"sample_weight": np.ones(3)}, "sample_weight has shape"),
    "features": ({}, {"x": rows()[:, :2]}, "expected"),
    "one feature, seeded": ({}, {"x": rows()[:, :1], "init": "k-means++"}, "feature|shape"),
    "more features, seeded": ({}, {"x": np.hstack([rows(), rows()]), "init": "k-means++"}, "feature|shape"),
    "nan": ({}, {"x": np.full((5, 3), np.nan)}, "15 of 15 entries"),
    "too few rows": ({}, {"x": rows()[:2]}, "more than the 2 rows"),
    "one dimension": ({}, {"x": rows()[0]}, r"expected \(n, d\)"),
    "zero row for cosine": ({"distance": "cosine"}, {"x": np.vstack([rows(), np.zeros(3)])}, "all zeros"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_named_and_the_layer_is_unchanged(case):
    layer_arguments, arguments, message = BAD[case]
    module = layer(**layer_arguments)
    before = {name: value.clone() for name, value in module.state_dict().items()}
    with pytest.raises(InputError, match=message):
        train_layer(module, **{"x": rows(), **arguments})
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_the_layer_is_unchanged_after_interruption_or_failure(error):
    class Fail(Callback):
        def on_step(self, step):
            if step.n_iter == 5:
                raise error

    module = layer()
    before = module.centroids.detach().clone()
    with pytest.raises(error) as caught:
        train_layer(module, rows(), callbacks=[Fail()])
    assert torch.equal(module.centroids, before)
    if error is KeyboardInterrupt:
        assert isinstance(caught.value, FitInterrupted)
        assert caught.value.result.free_energy < ref.free_energy(rows(), before.numpy(), 2.0)


def test_data_weights_and_global_generators_are_unchanged():
    x, w = rows(), np.ones(90)
    x.flags.writeable = w.flags.writeable = False
    state = torch.get_rng_state()
    np.random.seed(7)  # noqa: NPY002 -- the global state is what is tested
    numpy_state = np.random.get_state()[1].copy()  # noqa: NPY002
    train_layer(layer(), x, sample_weight=w, init="k-means++", random_state=0)
    np.testing.assert_array_equal(x, rows())
    assert torch.equal(torch.get_rng_state(), state)
    assert (np.random.get_state()[1] == numpy_state).all()  # noqa: NPY002


@pytest.mark.slow
@pytest.mark.parametrize("mode", [torch.no_grad, torch.enable_grad, torch.inference_mode])
@pytest.mark.parametrize("objective", ["free_energy", "distortion", "nll"])
def test_the_gradient_mode_of_the_caller_makes_no_difference(mode, objective):
    module, expected = layer(learn_temperature=objective == "nll"), layer(learn_temperature=objective == "nll")
    train_layer(expected, rows(), objective=objective)
    with mode():
        train_layer(module, rows(), objective=objective)
    torch.testing.assert_close(module.centroids.detach().clone(), expected.centroids.detach(), rtol=0, atol=0)
