"""Test that SoftKMeansLayer behaves like any PyTorch module: training, saving, copying, compiling; error messages."""

import copy
import io
import math
import pickle
from functools import partial

import numpy as np
import pytest
import scipy
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import cdist

from helpers import reference as ref
from helpers.fuzzing import examples
from softkmeans import InputError, SoftKMeans, SoftKMeansLayer, functional, train_layer
from softkmeans.distances import DISTANCES, Distance, squared_distances

OBJECTIVES = ["free_energy", "distortion", "nll"]


def rows(seed=0, n=60, dtype=torch.float64):
    """Three blobs in the plane."""
    rng = np.random.default_rng(seed)
    middle = np.array([[0.0, 0.0], [5.0, 0.0], [0.0, 6.0]])
    return torch.tensor(rng.normal(size=(n, 2)) + middle[np.arange(n) % 3], dtype=dtype)


def layer(**arguments):
    generator = torch.Generator().manual_seed(0)
    standard = {"n_clusters": 3, "n_features": 2, "generator": generator, "dtype": torch.float64}
    return SoftKMeansLayer(**{**standard, **arguments})


@pytest.mark.parametrize("temperature", [0.05, 1.0, 30.0])
@pytest.mark.parametrize("distance", DISTANCES)
def test_forward_is_scipy_s_softmax(distance, temperature):
    module, x = layer(distance=distance, temperature=temperature), rows()
    resp = module(x).detach()
    expected = scipy.special.softmax(-cdist(x, module.centroids.detach(), distance) / temperature, axis=1)
    np.testing.assert_allclose(resp, expected, rtol=1e-9, atol=1e-14)
    np.testing.assert_allclose(resp.sum(1), 1.0, rtol=1e-12)


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_loss_is_the_closed_form(objective):
    module, x = layer(temperature=0.7), rows()
    a, c, n = x.numpy(), module.centroids.detach().numpy(), len(x)
    f = ref.free_energy(a, c, 0.7) / n
    expected = {
        "free_energy": f,
        "distortion": ref.distortion(a, c, 0.7) / n,
        "nll": f / 0.7 + math.log(3) + math.log(math.pi * 0.7),
    }
    assert module.loss(x, objective).item() == pytest.approx(expected[objective], rel=1e-12)
    assert module.loss(x).item() == pytest.approx(f, rel=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("distance", DISTANCES)
@pytest.mark.parametrize("objective", OBJECTIVES)
@examples(15)
@given(weights=st.lists(st.integers(0, 4), min_size=60, max_size=60).filter(any))
def test_an_integer_weight_is_a_repeated_row(objective, distance, weights):
    module, x, w = layer(distance=distance, temperature=0.7), rows(), torch.tensor(weights)
    repeated = module.loss(x.repeat_interleave(w, dim=0), objective)
    torch.testing.assert_close(module.loss(x, objective, sample_weight=w), repeated)
    torch.testing.assert_close(module.loss(x, objective, sample_weight=0.1 * w.double()), repeated)


@pytest.mark.parametrize("shape", [(4, 15), (2, 3, 10)])
def test_batch_dimensions(shape):
    module, x = layer(), rows()
    weight = torch.rand(60, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    stacked = x.view(*shape, 2)
    torch.testing.assert_close(module(stacked), module(x).view(*shape, 3))
    for objective in OBJECTIVES:
        torch.testing.assert_close(module.loss(stacked, objective), module.loss(x, objective))
        torch.testing.assert_close(
            module.loss(stacked, objective, sample_weight=weight.view(shape)),
            module.loss(x, objective, sample_weight=weight),
        )


@pytest.mark.parametrize("shape", [(60, 1), (1, 60), (1,), (59,), (60, 3)])
def test_weights_of_a_wrong_shape_are_refused(shape):
    with pytest.raises(ValueError, match="sample_weight"):
        layer().loss(rows(), sample_weight=torch.ones(shape, dtype=torch.float64))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("distance", DISTANCES)
def test_gradients_are_finite_on_a_centroid_and_where_centroids_coincide(distance, objective, dtype):
    x = rows(dtype=dtype)
    x[3] = 0
    module = layer(distance=distance, dtype=dtype, centroids=x[[0, 0, 3]], learn_temperature=objective == "nll")
    loss = module.loss(x, objective)
    loss.backward()
    assert loss.isfinite()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in module.parameters())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("temperature", [1e-300, 1e-50, 1e-12, 1e12, 1e50, 1e300])
def test_a_temperature_works_or_is_refused(temperature, dtype):
    """A temperature that the dtype cannot represent would give NaN memberships."""
    try:
        module = layer(temperature=temperature, dtype=dtype)
    except InputError as error:
        assert "temperature" in str(error)  # noqa: PT017 -- working and refusing are both right
        return
    assert float(module.temperature) == pytest.approx(temperature, rel=0.1 if dtype == torch.bfloat16 else 1e-3)
    assert module(rows(dtype=dtype)).isfinite().all()


@pytest.mark.parametrize(
    ("objective", "limit"), [("free_energy", "to infinity"), ("distortion", "to 0")], ids=["free_energy", "distortion"]
)
def test_only_the_likelihood_can_learn_a_temperature(objective, limit):
    module = layer(learn_temperature=True)
    with pytest.raises(InputError, match=f"cannot learn a temperature, which would go {limit} .* use objective='nll'"):
        module.loss(rows(), objective)
    assert module.loss(rows(), "nll").isfinite()
    assert layer().loss(rows(), objective).isfinite()


def test_the_derivatives_named_in_the_errors_have_these_signs():
    """Check by finite differences the signs of ∂F/∂T and ∂E/∂T that the error messages name."""
    x, step = rows(), 1e-6
    warm, cold = layer(temperature=1 + step), layer(temperature=1 - step)
    assert warm.loss(x, "free_energy") < cold.loss(x, "free_energy")
    assert warm.loss(x, "distortion") > cold.loss(x, "distortion")


def test_adam_on_the_likelihood_finds_the_variance_of_a_mixture():
    rng, sigma = np.random.default_rng(0), 0.7
    middle = np.array([[0.0, 0.0], [4.0, 0.0], [0.0, 5.0]])
    x = torch.tensor(middle.repeat(1000, axis=0) + sigma * rng.normal(size=(3000, 2)))
    module = layer(temperature=5.0, learn_temperature=True, centroids=torch.tensor(middle + 0.5))
    optimizer = torch.optim.Adam(module.parameters(), lr=0.05)
    for _ in range(300):
        optimizer.zero_grad()
        module.loss(x, "nll").backward()
        optimizer.step()
    assert module.temperature.item() == pytest.approx(2 * sigma**2, rel=0.05)
    np.testing.assert_allclose(module.centroids.detach(), middle, atol=0.1)


OPTIMIZERS = {
    "SGD": lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.9),
    "Adam": lambda p: torch.optim.Adam(p, lr=0.1),
    "AdamW": lambda p: torch.optim.AdamW(p, lr=0.1),
    "RMSprop": lambda p: torch.optim.RMSprop(p, lr=0.05),
    "LBFGS": lambda p: torch.optim.LBFGS(p, max_iter=5, line_search_fn="strong_wolfe"),
}


@pytest.mark.slow
@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("distance", DISTANCES)
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_any_optimizer_lowers_the_loss(name, distance, objective):
    x = rows()
    module = layer(distance=distance, temperature=0.5, centroids=x[:3] + 0.7, learn_temperature=objective == "nll")
    optimizer = OPTIMIZERS[name](module.parameters())

    def closure():
        optimizer.zero_grad()
        loss = module.loss(x, objective)
        loss.backward()
        return loss

    first = module.loss(x, objective).item()
    for _ in range(30):
        optimizer.step(closure)
    assert module.loss(x, objective).item() < first - 1e-3


def test_parameters_and_buffers():
    fixed, learned = layer(), layer(learn_temperature=True)
    assert set(dict(fixed.named_parameters())) == {"centroids"}
    assert set(dict(fixed.named_buffers())) == {"log_temperature"}
    assert set(dict(learned.named_parameters())) == {"centroids", "log_temperature"}
    assert fixed.state_dict().keys() == learned.state_dict().keys()
    assert learned.temperature.requires_grad
    assert not fixed.temperature.requires_grad


@pytest.mark.parametrize("learn", [False, True])
def test_to_changes_type_of_everything(learn):
    module = layer(dtype=torch.float32, temperature=0.3, learn_temperature=learn)
    before = module(rows(dtype=torch.float32))
    assert module.to(torch.float64) is module
    assert module.centroids.dtype == module.temperature.dtype == torch.float64
    torch.testing.assert_close(module(rows()), before.double(), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, None])
def test_dtype_is_that_of_modules(dtype):
    module = SoftKMeansLayer(3, 2, dtype=dtype)
    assert module.centroids.dtype == module.log_temperature.dtype == (dtype or torch.get_default_dtype())
    assert SoftKMeansLayer(3, 2, centroids=rows()[:3]).centroids.dtype == torch.float64
    assert module.centroids.shape == (3, 2)


@pytest.mark.parametrize("distance", DISTANCES)
def test_shapes_on_the_meta_device(distance):
    module, x = layer(distance=distance, device="meta"), torch.empty(5, 7, 2, device="meta", dtype=torch.float64)
    assert module(x).shape == (5, 7, 3)
    assert module.loss(x).shape == ()


COPIES = {
    "deepcopy": copy.deepcopy,
    "pickle": lambda module: pickle.loads(pickle.dumps(module)),  # noqa: S301 -- our own bytes
    "state_dict": lambda module: _by_state_dict(module),
}


def _by_state_dict(module):
    file = io.BytesIO()
    torch.save(module.state_dict(), file)
    file.seek(0)
    other = SoftKMeansLayer(
        module.n_clusters, module.n_features, distance=module.distance, learn_temperature=True, dtype=torch.float64
    )
    assert other.load_state_dict(torch.load(file, weights_only=True)).missing_keys == []
    return other


@pytest.mark.parametrize("kind", COPIES)
@pytest.mark.parametrize("distance", DISTANCES)
def test_copies_are_equal_and_independent(kind, distance):
    module, x = layer(temperature=0.3, learn_temperature=True, distance=distance), rows()
    expected = module(x).detach()
    other = COPIES[kind](module)
    torch.testing.assert_close(other(x), expected, rtol=0, atol=0)
    with torch.no_grad():
        module.centroids.add_(1)
        module.log_temperature.add_(1)
    torch.testing.assert_close(other(x), expected, rtol=0, atol=0)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning:torch", "ignore::FutureWarning:torch")
@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
def test_compiling_a_custom_distance_in_one_graph_changes_no_result():
    module, x = layer(temperature=0.7, distance=Weighted()), rows()

    def run(x):
        return module(x), module.loss(x, "free_energy")

    results = []
    for function in (run, torch.compile(run, fullgraph=True, backend="aot_eager")):
        module.zero_grad()
        resp, loss = function(x)
        (loss + resp[:, 0].sum()).backward()
        results.append((resp.detach(), loss.detach(), *[p.grad.clone() for p in module.parameters()]))
    torch.testing.assert_close(*results)


def test_functional_call_and_vmap_over_modules():
    modules, x = [layer(generator=torch.Generator().manual_seed(seed)) for seed in range(4)], rows()
    parameters, buffers = torch.func.stack_module_state(modules)
    mapped = torch.vmap(lambda p, b: torch.func.functional_call(modules[0], (p, b), (x,)))(parameters, buffers)
    torch.testing.assert_close(mapped, torch.stack([module(x) for module in modules]))


def test_inside_a_network_gradients_reach_the_encoder():
    encoder = torch.nn.Linear(2, 2, dtype=torch.float64)
    network = torch.nn.Sequential(encoder, layer())
    network(rows())[:, 0].sum().backward()
    assert encoder.weight.grad.abs().sum() > 0


def test_inputs_are_not_changed_and_starts_are_copied():
    x, start = rows(), rows()[:3]
    before = x.clone()
    module = layer(centroids=start)
    optimizer = torch.optim.SGD(module.parameters(), lr=1.0)
    module.loss(x, sample_weight=torch.ones(60)).backward()
    optimizer.step()
    assert torch.equal(x, before)
    assert torch.equal(start, before[:3])
    assert not torch.equal(module.centroids, start)


def test_the_generator_is_used_and_the_global_one_is_not():
    state = torch.get_rng_state()
    first, again = layer(), layer()
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(first.centroids, again.centroids)
    layer(centroids=torch.zeros(3, 2), generator=None)
    assert torch.equal(torch.get_rng_state(), state)
    start = layer(n_clusters=2000, generator=torch.Generator().manual_seed(5)).centroids.detach()
    assert scipy.stats.kstest(start.flatten(), "norm").pvalue > 1e-3


BAD = {
    "no clusters": ({"n_clusters": 0}, "n_clusters=0: give a whole number of 1 or more"),
    "negative clusters": ({"n_clusters": -1}, "n_clusters=-1"),
    "half a cluster": ({"n_clusters": 2.5}, "n_clusters=2.5"),
    "a Boolean number of clusters": ({"n_clusters": True}, "n_clusters=True"),
    "no features": ({"n_features": 0}, "n_features=0"),
    "cold": ({"temperature": 0.0}, "temperature=0.0: give a finite number above 0"),
    "negative": ({"temperature": -1.0}, "temperature=-1.0: give"),
    "nan": ({"temperature": math.nan}, "temperature=nan: give"),
    "infinite": ({"temperature": math.inf}, "temperature=inf: give"),
    "named temperature": ({"temperature": "auto"}, "temperature='auto'"),
    "no temperature": ({"temperature": None}, "temperature=None"),
    "distance": ({"distance": "l1"}, "distance='l1' is not known: choose one of sqeuclidean, euclidean, cosine"),
    "distance of another type": ({"distance": None}, "distance=None is not known"),
    "centroids": ({"centroids": torch.zeros(2, 2)}, r"centroids have shape \(2, 2\), expected \(3, 2\)"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_arguments_are_named(case):
    arguments, message = BAD[case]
    with pytest.raises(InputError, match=message) as caught:
        layer(**arguments)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("x", "shape"), [(torch.zeros(4, 3), r"\(4, 3\)"), (torch.zeros(2), r"\(2,\)"), (torch.zeros(()), r"\(\)")]
)
def test_rows_of_a_wrong_shape_are_refused(x, shape):
    for function in (layer(), layer().loss):
        with pytest.raises(InputError, match=rf"x has shape {shape}, expected \(..., n, 2\)"):
            function(x.double())


def test_an_unknown_objective_is_named():
    for module in (layer(), layer(learn_temperature=True)):
        with pytest.raises(
            InputError, match="objective='mse' is not known: choose one of free_energy, distortion, nll"
        ):
            module.loss(rows(), "mse")


def test_the_likelihood_of_directions_in_one_feature_is_refused():
    with pytest.raises(InputError, match="2 features"):
        layer(n_features=1, distance="cosine").loss(torch.ones(4, 1, dtype=torch.float64), "nll")


def test_repr_shows_the_arguments():
    assert repr(layer()) == "SoftKMeansLayer(3, 2, temperature=1.0, distance='sqeuclidean')"
    assert (
        repr(layer(learn_temperature=True))
        == "SoftKMeansLayer(3, 2, temperature=1.0, distance='sqeuclidean', learn_temperature=True)"
    )


def test_a_custom_distance():
    class Doubled(Distance):
        name = "doubled"
        power = 2

        def between(self, z, c):
            return 2 * squared_distances(z, c)

    own, plain = layer(distance=Doubled(), temperature=1.0), layer(temperature=0.5)
    torch.testing.assert_close(own(rows()), plain(rows()))


def projected(x, c):
    matrix = torch.linspace(-1, 1, 64).view(8, 8)
    return torch.cdist(x @ matrix, c @ matrix)


@pytest.mark.parametrize("distance", [*DISTANCES, projected])
def test_autocast_does_not_reduce_the_precision_of_distances(distance):
    x = torch.randn(200, 8, generator=torch.Generator().manual_seed(0)) + 30 * (torch.arange(200) % 2)[:, None]
    module = SoftKMeansLayer(2, 8, distance=distance, centroids=x[:2])
    expected = module(x)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        torch.testing.assert_close(module(x), expected)
        module(x.bfloat16())  # as a preceding layer would return


# Callables as distances


def cityblock(x, c):
    return (x[..., None, :] - c).abs().sum(-1)


class Weighted(torch.nn.Module):
    """Squared distance with learned feature weights that sum to 1."""

    def __init__(self):
        super().__init__()
        self.logits = torch.nn.Parameter(torch.zeros(2, dtype=torch.float64))

    def forward(self, x, c):
        return ((x[..., None, :] - c).square() * self.logits.softmax(-1)).sum(-1)


def test_forward_with_a_callable_is_scipy_s_softmax():
    module, x = layer(distance=cityblock, temperature=0.7), rows()
    d = cdist(x, module.centroids.detach(), "cityblock")
    np.testing.assert_allclose(module(x).detach(), scipy.special.softmax(-d / 0.7, axis=1), rtol=1e-9, atol=1e-14)
    f = -0.7 * scipy.special.logsumexp(-d / 0.7, axis=1).mean()
    assert module.loss(x).item() == pytest.approx(f, rel=1e-12)


def test_a_module_s_parameters_are_the_layer_s():
    module = layer(distance=Weighted())
    assert set(dict(module.named_parameters())) == {"centroids", "distance.logits"}
    assert module.to(torch.float32).distance.logits.dtype == torch.float32
    assert module(rows(dtype=torch.float32)).dtype == torch.float32


def test_a_module_learns_which_feature_varies_least_within_clusters():
    """The loss is about Σ a_j v_j, v_j the variance of a feature within clusters: the smallest v_j gets all weight."""
    rng = np.random.default_rng(0)
    x = torch.tensor(np.stack([rng.normal(size=200), np.repeat([0.0, 3.0], 100) + 0.1 * rng.normal(size=200)], 1))
    module = layer(n_clusters=2, distance=Weighted(), temperature=0.1, centroids=x[[0, -1]])
    optimizer = torch.optim.Adam(module.parameters(), lr=0.1)
    for _ in range(100):
        optimizer.zero_grad()
        module.loss(x).backward()
        optimizer.step()
    assert module.distance.logits.softmax(-1)[1] > 0.95
    torch.testing.assert_close(module.centroids[:, 1].detach(), x[:, 1].view(2, 100).mean(1), atol=0.05, rtol=0)


@pytest.mark.parametrize("kind", ["deepcopy", "pickle"])
@pytest.mark.parametrize("distance", [cityblock, Weighted()], ids=["function", "module"])
def test_copies_with_a_callable_are_equal_and_independent(kind, distance):
    module, x = layer(distance=distance, temperature=0.3), rows()
    expected = module(x).detach()
    other = COPIES[kind](module)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(torch.arange(2.0))
    torch.testing.assert_close(other(x), expected, rtol=0, atol=0)


def test_a_module_s_state_is_in_the_layer_s():
    module, other = layer(distance=Weighted()), layer(distance=Weighted(), centroids=rows()[:3])
    with torch.no_grad():
        module.distance.logits.copy_(torch.tensor([1.0, -1.0]))
    other.load_state_dict(module.state_dict())
    torch.testing.assert_close(other(rows()), module(rows()), rtol=0, atol=0)
    assert layer(distance=cityblock).state_dict().keys() == layer().state_dict().keys()


@pytest.mark.parametrize(
    ("distance", "name"), [(cityblock, "cityblock"), (Weighted(), "Weighted"), (partial(torch.cdist, p=1), "partial")]
)
def test_repr_names_a_callable(distance, name):
    assert layer(distance=distance).extra_repr() == f"3, 2, temperature=1.0, distance={name}"


CENTROIDS = rows()[:3]
BAD_CALLABLES = {
    "similarity": ({"distance": lambda x, c: -cityblock(x, c)}, "negative numbers or NaN .* not a similarity"),
    "nan": ({"distance": lambda x, c: cityblock(x, c) / 0 * 0}, "distance=<lambda> returned negative numbers or NaN"),
    "shape": ({"distance": lambda x, c: x - c}, r"returned shape \(3, 2\) .* expected a tensor of shape \(3, 3\)"),
    "learned": ({"distance": cityblock, "learn_temperature": True}, "learn_temperature=True needs the density"),
    "class": ({"distance": Weighted}, "distance=<class .*Weighted'> is not known"),
}


@pytest.mark.parametrize("case", BAD_CALLABLES)
def test_an_invalid_callable_is_refused(case):
    arguments, message = BAD_CALLABLES[case]
    with pytest.raises(InputError, match=message) as caught:
        layer(**arguments, centroids=CENTROIDS)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("centroids", [CENTROIDS, CENTROIDS[[0, 0, 0]], CENTROIDS[[0, 0, 1]]])
def test_a_callable_may_return_slightly_negative_distances_on_a_centroid(centroids):
    module = layer(distance=lambda x, c: cityblock(x, c) - 1e-9, centroids=centroids)
    assert module(rows()).isfinite().all()


def test_a_callable_is_not_called_at_once_where_it_may_be_undefined():
    """Random centroids may be negative, and a module may have parameters on another device until it is moved."""
    layer(distance=lambda x, c: cityblock(x.log(), c.log()))
    layer(distance=Weighted().to("meta"), centroids=CENTROIDS).to_empty(device="cpu")
    assert layer(distance=cityblock, device="meta", centroids=CENTROIDS).loss(rows().to("meta")).shape == ()


def test_a_callable_supports_neither_likelihood_nor_fit():
    module = layer(distance=cityblock)
    with pytest.raises(InputError, match=r"objective='nll' needs the density .* cityblock has none"):
        module.loss(rows(), "nll")
    with pytest.raises(InputError, match="callable"):
        train_layer(module, rows())
    with pytest.raises(
        InputError, match="distance=cityblock is a callable, for which fits have no center update: use one of"
    ):
        SoftKMeans(3, distance=cityblock).fit(rows())


# Priors, noise, temperatures per cluster


MEMBERS = {
    "a temperature for each cluster": {"temperature": "per-cluster"},
    "learned priors": {"priors": "learned"},
    "given priors": {"priors": [0.2, 0.3, 0.5], "temperature": 0.1},
    "noise": {"noise_distance": 8.0, "temperature": 1.0},
    "noise and learned priors": {"noise_distance": 8.0, "temperature": 1.0, "priors": "learned"},
    "noise and given priors": {"noise_distance": 8.0, "temperature": 1.0, "priors": [0.2, 0.3, 0.4]},
    "temperatures and priors": {"temperature": "per-cluster", "priors": "learned"},
}


@pytest.mark.parametrize("distance", DISTANCES)
@pytest.mark.parametrize("member", MEMBERS)
def test_every_estimator_becomes_a_layer_and_comes_back(member, distance):
    x, options = rows(n=200), MEMBERS[member]
    model = SoftKMeans(3, distance=distance, random_state=0, **options).fit(x.numpy())
    module = model.to_layer()
    np.testing.assert_allclose(module(x).detach(), model.predict_proba(x.numpy()), atol=1e-12)
    if "noise_distance" not in options:
        assert module.loss(x, "nll").item() == pytest.approx(-model.score(x.numpy()), rel=1e-10)
    again = SoftKMeans.from_layer(module)
    np.testing.assert_allclose(again.predict_proba(x.numpy()), model.predict_proba(x.numpy()), atol=1e-12)
    assert again.noise_distance == model.noise_distance


def test_training_learns_temperatures_and_priors():
    rng = np.random.default_rng(0)
    x = np.r_[rng.normal(size=(300, 2)), 8 + 0.3 * rng.normal(size=(100, 2))]
    expected = SoftKMeans(2, temperature="per-cluster", priors="learned", tol=1e-9, random_state=0).fit(x)
    module = SoftKMeansLayer(
        2, 2, [1.0, 1.0], learn_temperature=True, learn_priors=True, centroids=torch.tensor(x[[0, -1]])
    )
    names = {"centroids", "log_temperature", "prior_logits"}
    assert set(dict(module.named_parameters())) == names
    train_layer(module, x, tol=1e-9)
    order = module.centroids.detach()[:, 0].argsort()
    other = np.argsort(expected.cluster_centers_[:, 0])
    np.testing.assert_allclose(module.temperature.detach()[order], expected.temperature_[other], rtol=1e-3)
    np.testing.assert_allclose(module.log_prior.detach().exp()[order], expected.priors_[other], rtol=1e-3)
    by_hand = copy.deepcopy(module)
    by_hand.loss(torch.tensor(x)).backward()
    assert all(p.grad.abs().max() < 1e-3 for p in by_hand.parameters())


@pytest.mark.parametrize(
    ("options", "objective", "message"),
    [
        ({"learn_priors": True}, "distortion", "objective='distortion' cannot learn priors"),
        ({"temperature": [1.0, 2.0, 3.0]}, "free_energy", "the free energy needs one temperature"),
    ],
)
def test_objectives_that_a_member_does_not_have(options, objective, message):
    with pytest.raises(InputError, match=message):
        layer(**options).loss(rows(), objective)
    assert layer(**options).loss(rows()).isfinite()  # the default is one that it has


BAD_MEMBERS = {
    "temperatures": ({"temperature": [1.0, 2.0]}, "temperature has 2 values, expected one for each of the 3 clusters"),
    "a bad one": ({"temperature": [1.0, 2.0, -1.0]}, "temperature=-1.0: give a finite number above 0"),
    "noise": ({"noise_distance": 0.0}, "noise_distance=0.0: give a finite number above 0"),
    "noise and temperatures": ({"noise_distance": 1.0, "temperature": [1.0] * 3}, "noise_distance=1.0 is not"),
    "priors": ({"priors": [0.5, 0.5]}, r"priors have shape \(2,\), expected \(3,\)"),
    "negative": ({"priors": [0.5, 0.7, -0.2]}, "priors contain a number that is negative or not finite"),
    "their sum": ({"priors": [0.5, 0.7, 0.2]}, "priors sum to 1.4, expected 1: divide them by their sum"),
    "no noise left": ({"priors": [0.5, 0.3, 0.4], "noise_distance": 1.0}, "priors sum to 1.2, expected 1 or less"),
}


@pytest.mark.parametrize("case", BAD_MEMBERS)
def test_bad_members_are_named(case):
    arguments, message = BAD_MEMBERS[case]
    with pytest.raises(InputError, match=message) as caught:
        layer(**arguments)
    assert "\n" not in str(caught.value)


def test_the_temperature_can_be_set():
    module, several = layer(), layer(temperature=[1.0, 2.0, 3.0])
    module.temperature, several.temperature = 0.25, torch.tensor([3.0, 2.0, 1.0])
    assert module.temperature.item() == pytest.approx(0.25)
    assert several.temperature.tolist() == pytest.approx([3.0, 2.0, 1.0])
    several.temperature = 5.0
    assert several.temperature.tolist() == pytest.approx([5.0] * 3)
    for value in (0.0, -1.0, math.nan, "auto", [1.0, 2.0, 3.0]):
        with pytest.raises(InputError, match="temperature"):
            module.temperature = value
    assert module.temperature.item() == pytest.approx(0.25)


# Digits


@pytest.mark.parametrize("few", [True, False])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("apart", [1e2, 1e4, 1e6])
def test_near_centers_are_told_apart_where_others_are_far_away(monkeypatch, apart, dtype, few):
    if not few:
        monkeypatch.setattr(functional.small, "MAX_ENTRIES", 0)
    centers = torch.tensor([[apart, 0], [apart, 1], [-apart, 0], [-apart, 1]], dtype=dtype)
    x = torch.tensor([[apart, 0.4], [-apart, 0.1]], dtype=dtype)
    module = SoftKMeansLayer(4, 2, temperature=0.5, centroids=centers)
    expected = torch.softmax(-(x.double()[:, None] - centers.double()).square().sum(-1) / 0.5, -1)
    torch.testing.assert_close(module(x).detach().double(), expected, rtol=1e-6, atol=1e-7)
    energy = -0.5 * torch.logsumexp(-(x.double()[:, None] - centers.double()).square().sum(-1) / 0.5, -1).mean()
    assert module.loss(x).item() == pytest.approx(energy.item(), rel=1e-5)


@pytest.mark.parametrize("far", [1e2, 1e4, 1e6])
def test_far_rows_are_told_apart(far):
    centers = torch.tensor([[0.0, 1.0], [0.0, -1.0]])
    x = torch.tensor([[far, 0.01], [far, -0.02]])
    module = SoftKMeansLayer(2, 2, temperature=0.1, centroids=centers)
    expected = torch.sigmoid(4 * x[:, 1].double() / 0.1)
    torch.testing.assert_close(module(x).detach()[:, 0].double(), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_that_of_the_data_alone(dtype):
    generator = torch.Generator().manual_seed(0)
    x = (10 * torch.randn(50, 768, generator=generator)).to(dtype)  # squared distances exceed 65504
    module = SoftKMeansLayer(3, 768, temperature=2e4, centroids=x[:3].float()).to(dtype)
    exact = copy.deepcopy(module).double()
    assert exact.temperature.item() == pytest.approx(2e4, rel=1e-6)
    torch.testing.assert_close(module(x).double(), exact(x.double()), rtol=torch.finfo(dtype).eps, atol=1e-6)
    for objective in OBJECTIVES:
        loss = module.loss(x, objective)
        assert loss.dtype == torch.float32
        assert loss.item() == pytest.approx(exact.loss(x.double(), objective).item(), rel=1e-5)
        loss.backward()
        assert module.centroids.grad.dtype == dtype
        assert module.centroids.grad.isfinite().all()


@pytest.mark.parametrize("few", [True, False])
def test_the_second_derivative_is_right_where_a_row_is_on_a_centroid(monkeypatch, few):
    if not few:
        monkeypatch.setattr(functional.small, "MAX_ENTRIES", 0)
    for seed in range(20):
        c = torch.randn(4, 3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)

        def definition(x, c=c):
            return -torch.logsumexp(-(x[:, None] - c).square().sum(-1), 1).sum()

        x = c[:1].clone()
        expected = torch.autograd.functional.hessian(definition, x)
        found = torch.autograd.functional.hessian(lambda x, c=c: functional.free_energy(x, c, 1.0), x)
        torch.testing.assert_close(found, expected)


# Exports


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("dynamo", [True, False])
@pytest.mark.parametrize(
    ("distance", "options"),
    [
        *((name, {}) for name in DISTANCES),
        ("sqeuclidean", {"noise_distance": 2.0}),
        ("cosine", {"temperature": [1, 2, 3]}),
    ],
    ids=str,
)
def test_onnx_of_a_network(tmp_path, distance, options, dynamo):
    onnxruntime = pytest.importorskip("onnxruntime")
    network = torch.nn.Sequential(
        torch.nn.Linear(5, 2), layer(distance=distance, dtype=torch.float32, **options)
    ).eval()
    x = torch.randn(7, 5, generator=torch.Generator().manual_seed(0))
    names = {"input_names": ["x"], "output_names": ["resp"]}
    more = {"dynamic_shapes": ({0: torch.export.Dim("n")},)} if dynamo else {"dynamic_axes": {"x": {0: "n"}}}
    path = tmp_path / "network.onnx"
    torch.onnx.export(network, (x[:4],), path, dynamo=dynamo, verbose=False, **names, **more)
    (found,) = onnxruntime.InferenceSession(path).run(None, {"x": x.numpy()})
    np.testing.assert_allclose(found, network(x).detach(), atol=1e-6)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning", "ignore:.torch.jit:DeprecationWarning")
@pytest.mark.parametrize("distance", DISTANCES)
def test_export_and_trace_of_a_network(distance):
    network = torch.nn.Sequential(torch.nn.Linear(5, 2), layer(distance=distance, dtype=torch.float32)).eval()
    x = torch.randn(7, 5, generator=torch.Generator().manual_seed(0))
    shapes = ({0: torch.export.Dim("n")},)
    exported = torch.export.export(network, (x[:4],), dynamic_shapes=shapes).module()
    torch.testing.assert_close(exported(x), network(x))
    torch.testing.assert_close(torch.jit.trace(network, x[:4])(x), network(x))


# Learning rates


@pytest.mark.slow
@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_the_suggested_learning_rate_trains_in_any_units(scale):
    x = scale * rows(n=300)
    start = x[[0, 1, 2]]
    best = SoftKMeans(3, temperature=scale**2, init=start.numpy(), tol=1e-9).fit(x.numpy())
    module = layer(temperature=scale**2, centroids=start)
    optimizer = torch.optim.Adam(module.parameters(), lr=module.suggested_lr(x))
    scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.5, patience=10)
    for _ in range(300):
        optimizer.zero_grad()
        loss = module.loss(x)
        loss.backward()
        optimizer.step()
        scheduler.step(loss.item())
    np.testing.assert_allclose(module.centroids.detach() / scale, best.cluster_centers_ / scale, atol=0.01)


def test_a_learning_rate_needs_a_function_of_the_euclidean_distance():
    with pytest.raises(InputError, match="distance='cityblock' has no learning rate to suggest"):
        layer(distance=cityblock).suggested_lr(rows())
    cosine = layer(distance="cosine").suggested_lr(rows())
    assert 0 < cosine < 1
