"""The differentiable functions, compared with SciPy, closed forms and finite differences; gradients are finite."""

import math

import numpy as np
import pytest
import scipy
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.spatial.distance import cdist

from helpers import reference as ref
from helpers.fuzzing import examples
from softkmeans import InputError, functional
from softkmeans.functional import assign, distortion, free_energy, nll

DISTANCES = ["sqeuclidean", "euclidean", "cosine"]
OBJECTIVES = {"free_energy": free_energy, "distortion": distortion, "nll": nll}
DTYPES = [torch.float32, torch.float64]


def problem(seed=0, n=12, d=3, k=4, dtype=torch.float64):
    rng = np.random.default_rng(seed)
    return torch.tensor(rng.normal(size=(n, d)), dtype=dtype), torch.tensor(rng.normal(size=(k, d)), dtype=dtype)


def with_gradient(function, *arguments):
    """Return the value of a function, and its gradients in the arguments that require a gradient."""
    value = function(*arguments)
    return value.detach(), torch.autograd.grad(value, [a for a in arguments if torch.is_tensor(a) and a.requires_grad])


@pytest.mark.parametrize("temperature", [0.05, 0.7, 30.0])
@pytest.mark.parametrize("distance", DISTANCES)
def test_assign_matches_the_softmax_of_scipy(distance, temperature):
    x, c = problem()
    expected = scipy.special.softmax(-cdist(x, c, distance) / temperature, axis=1)
    resp = assign(x, c, temperature, distance)
    np.testing.assert_allclose(resp, expected, rtol=1e-10, atol=1e-14)
    np.testing.assert_allclose(assign(x, c, torch.tensor(temperature), distance), expected, rtol=1e-5, atol=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("distance", DISTANCES)
@examples(40)
@given(
    x=arrays(np.float64, (5, 3), elements=st.floats(-10, 10)),
    c=arrays(np.float64, (3, 3), elements=st.floats(-10, 10)),
    temperature=st.floats(1e-6, 1e6),
    single=st.booleans(),
)
def test_rows_sum_to_one_and_free_energy_lies_between_its_bounds(distance, x, c, temperature, single):
    x, c = (torch.tensor(a, dtype=torch.float32 if single else torch.float64) for a in (x, c))
    eps = torch.finfo(x.dtype).eps
    resp = assign(x, c, temperature, distance).double()
    assert (resp >= 0).all()
    np.testing.assert_allclose(resp.sum(-1), 1.0, atol=10 * eps)
    f, e = (
        function(x, c, temperature, distance, reduction="none").double().numpy()
        for function in (free_energy, distortion)
    )
    scale = 1 + float((x.abs().max() + c.abs().max()) ** 2) * 100 + 10 * temperature
    assert (f <= e + eps * scale).all()
    assert (f >= e - temperature * math.log(3) - eps * scale).all()  # 0 <= T H <= T log k


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("temperature", [1e-4, 1e-8, 1e-12])
@pytest.mark.parametrize("distance", DISTANCES)
def test_rows_sum_to_one_at_low_temperatures(distance, temperature, dtype):
    x = torch.tensor([[0.0, 1.0], [0.0, 3.0], [1.0, 0.1]], dtype=dtype)
    c = torch.tensor([[1.0, 1.0], [-1.0, 1.0]], dtype=dtype)
    resp = assign(x, c, temperature, distance)
    torch.testing.assert_close(resp, torch.tensor([[0.5, 0.5], [0.5, 0.5], [1.0, 0.0]], dtype=dtype))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_rows_sum_to_one_in_half_precision(dtype):
    x, c = problem(n=50, dtype=dtype)
    total = assign(5 * x, 5 * c, 1.0).float().sum(-1)
    torch.testing.assert_close(total, torch.ones(50), atol=4 * torch.finfo(dtype).eps, rtol=0)


@pytest.mark.parametrize("temperature", [0.1, 2.0])
@pytest.mark.parametrize("distance", DISTANCES)
def test_values_match_numpy(distance, temperature):
    x, c = problem()
    a, b = x.numpy(), c.numpy()
    n, k = len(a), len(b)
    f = ref.free_energy(a, b, temperature, distance=distance)
    assert free_energy(x, c, temperature, distance).item() == pytest.approx(f / n, rel=1e-10)
    assert free_energy(x, c, temperature, distance, reduction="sum").item() == pytest.approx(f, rel=1e-10)
    e = ref.distortion(a, b, temperature, distance=distance)
    assert distortion(x, c, temperature, distance).item() == pytest.approx(e / n, rel=1e-10)
    each = nll(x, c, temperature, distance, reduction="none")
    assert each.shape == (n,)
    log_z = nll(x[:1], c, temperature, distance).item() - math.log(k)
    log_z -= ref.free_energy(a[:1], b, temperature, distance=distance) / temperature
    np.testing.assert_allclose(nll(x, c, temperature, distance), f / n / temperature + math.log(k) + log_z, rtol=1e-10)


def log_density(x, c, t, distance):
    """Return the log-density (n,) of rows under one component, computed by scipy.stats."""
    d = x.shape[1]
    if distance == "sqeuclidean":
        return scipy.stats.multivariate_normal(c, t / 2).logpdf(x)
    if distance == "cosine":
        mu, x = c / np.linalg.norm(c), x / np.linalg.norm(x, axis=1, keepdims=True)
        return scipy.stats.vonmises_fisher(mu, 1 / t).logpdf(x)
    radius = np.linalg.norm(x - c, axis=1)
    sphere = math.log(2) + d / 2 * math.log(math.pi) - math.lgamma(d / 2)
    return scipy.stats.gamma(d, scale=t).logpdf(radius) - sphere - (d - 1) * np.log(radius)


@pytest.mark.parametrize("d", [2, 3, 8])
@pytest.mark.parametrize("temperature", [0.05, 1.0, 20.0])
@pytest.mark.parametrize("distance", DISTANCES)
def test_nll_matches_an_equal_mixture_of_scipy(distance, temperature, d):
    x, c = problem(d=d)
    parts = np.stack([log_density(x.numpy(), center, temperature, distance) for center in c.numpy()])
    expected = -(scipy.special.logsumexp(parts, axis=0) - math.log(len(c)))
    np.testing.assert_allclose(nll(x, c, temperature, distance, reduction="none"), expected, rtol=1e-8)


def test_euclidean_nll_in_one_dimension_matches_laplace():
    x = torch.linspace(-3, 3, 7, dtype=torch.float64)[:, None]
    each = nll(x, torch.zeros(1, 1, dtype=torch.float64), 0.8, "euclidean", reduction="none")
    np.testing.assert_allclose(each, -scipy.stats.laplace(scale=0.8).logpdf(x[:, 0]), rtol=1e-12)


# Gradients


def test_gradient_of_the_free_energy_in_closed_form():
    x, c = problem()
    resp = ref.resp(x.numpy(), c.numpy(), 0.7)
    expected = 2 * (resp.sum(0)[:, None] * c.numpy() - resp.T @ x.numpy()) / len(x)
    _, (gradient,) = with_gradient(lambda c: free_energy(x, c, 0.7), c.requires_grad_())
    np.testing.assert_allclose(gradient, expected, rtol=1e-9, atol=1e-13)


def test_gradient_of_the_distortion_repels_far_rows():
    x, c = problem()
    t, a, b = 0.7, x.numpy(), c.numpy()
    resp, d = ref.resp(a, b, t), ref.distances(a, b)
    sign = 1 - (d - (resp * d).sum(1, keepdims=True)) / t
    assert (sign < 0).any()
    expected = 2 * np.einsum("nk,nkd->kd", resp * sign, b - a[:, None]) / len(a)
    _, (gradient,) = with_gradient(lambda c: distortion(x, c, t), c.requires_grad_())
    np.testing.assert_allclose(gradient, expected, rtol=1e-9, atol=1e-13)


def test_distortion_with_detached_memberships_has_the_free_energy_gradient():
    x, c = problem()
    c.requires_grad_()
    loss = (assign(x, c, 0.7).detach() * torch.cdist(x, c).square()).sum(-1).mean()
    (detached,) = torch.autograd.grad(loss, c)
    _, (of_f,) = with_gradient(lambda c: free_energy(x, c, 0.7), c)
    _, (of_e,) = with_gradient(lambda c: distortion(x, c, 0.7), c)
    torch.testing.assert_close(detached, of_f)
    assert (of_e - of_f).abs().max() > 0.01


@pytest.mark.parametrize("distance", DISTANCES)
def test_gradients_in_the_temperature_are_entropy_and_variance(distance):
    x, c = problem()
    t = torch.tensor(0.7, dtype=torch.float64, requires_grad=True)
    a, b, n = x.numpy(), c.numpy(), len(x)
    resp, d = ref.resp(a, b, 0.7, distance), ref.distances(a, b, distance)
    _, (of_f,) = with_gradient(lambda t: free_energy(x, c, t, distance), t)
    assert of_f.item() == pytest.approx(-ref.entropy(a, b, 0.7, distance=distance) / n, rel=1e-9)
    _, (of_e,) = with_gradient(lambda t: distortion(x, c, t, distance), t)
    variance = ((resp * d**2).sum(1) - (resp * d).sum(1) ** 2).sum()
    assert of_e.item() == pytest.approx(variance / 0.7**2 / n, rel=1e-9)


@pytest.mark.parametrize("distance", DISTANCES)
@pytest.mark.parametrize("name", ["assign", *OBJECTIVES])
def test_gradcheck_in_rows_centers_and_temperature(name, distance):
    x, c = problem(n=4, k=3)
    log_t = torch.tensor(-0.2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(
        lambda x, c, log_t: getattr(functional, name)(x, c, log_t.exp(), distance),
        (x.requires_grad_(), c.requires_grad_(), log_t),
    )


@pytest.mark.parametrize("distance", DISTANCES)
def test_gradgradcheck_of_the_free_energy(distance):
    x, c = problem(n=4, k=3)
    assert torch.autograd.gradgradcheck(lambda c: free_energy(x, c, 0.8, distance), (c.requires_grad_(),))


SITUATIONS = {
    "row on a centroid": ([[1.0, 2.0], [0.0, 1.0]], [[1.0, 2.0], [3.0, 1.0]]),
    "every row on a centroid": ([[1.0, 2.0], [3.0, 1.0]], [[1.0, 2.0], [3.0, 1.0]]),
    "coinciding centroids": ([[1.0, 2.0], [0.0, 1.0]], [[3.0, 1.0], [3.0, 1.0]]),
    "coinciding centroids on a row": ([[3.0, 1.0], [0.0, 1.0]], [[3.0, 1.0], [3.0, 1.0]]),
    "row of zeros": ([[0.0, 0.0], [0.0, 1.0]], [[1.0, 2.0], [3.0, 1.0]]),
    "centroid of zeros": ([[1.0, 2.0], [0.0, 1.0]], [[0.0, 0.0], [3.0, 1.0]]),
    "all zeros": ([[0.0, 0.0], [0.0, 0.0]], [[0.0, 0.0], [0.0, 0.0]]),
    "one centroid": ([[1.0, 2.0], [0.0, 1.0]], [[1.0, 2.0]]),
    "far row": ([[1e5, 2.0], [0.0, 1.0]], [[1.0, 2.0], [3.0, 1.0]]),
    "tiny coordinates": ([[1e-15, 2e-15], [0.0, 1e-15]], [[1e-15, 2e-15], [3e-15, 1e-15]]),
}


@pytest.mark.slow
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("temperature", [1e-12, 1.0, 1e12])
@pytest.mark.parametrize("name", OBJECTIVES)
@pytest.mark.parametrize("distance", DISTANCES)
@pytest.mark.parametrize("situation", SITUATIONS)
def test_values_and_gradients_are_finite_everywhere(situation, distance, name, temperature, dtype):
    x, c = (torch.tensor(a, dtype=dtype, requires_grad=True) for a in SITUATIONS[situation])
    log_t = torch.tensor(math.log(temperature), dtype=dtype, requires_grad=True)
    value, gradients = with_gradient(lambda x, c, t: OBJECTIVES[name](x, c, t.exp(), distance), x, c, log_t)
    assert value.isfinite()
    assert all(gradient.isfinite().all() for gradient in gradients)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("temperature", [1e-12, 1.0, 1e12])
@pytest.mark.parametrize("distance", DISTANCES)
@pytest.mark.parametrize("situation", SITUATIONS)
def test_rows_sum_to_one_everywhere(situation, distance, temperature, dtype):
    x, c = (torch.tensor(a, dtype=dtype) for a in SITUATIONS[situation])
    torch.testing.assert_close(assign(x, c, temperature, distance).sum(-1), torch.ones(len(x), dtype=dtype))


@pytest.mark.parametrize(
    ("distance", "temperature", "tolerance"),
    [("sqeuclidean", 2.0, 1e-4), ("euclidean", 0.7, 1e-4), ("cosine", 0.5, 1e-5)],
)
@pytest.mark.parametrize("name", OBJECTIVES)
def test_float32_is_accurate_far_from_the_origin(name, distance, temperature, tolerance):
    x, c = problem(n=40, dtype=torch.float32)
    x, c = 3 * x + 1e6, 3 * c + 1e6  # rounded to float32; both precisions use the same numbers
    single = with_gradient(lambda c: OBJECTIVES[name](x, c, temperature, distance), c.clone().requires_grad_())
    x, c = x.double(), c.double()
    double = with_gradient(lambda c: OBJECTIVES[name](x, c, temperature, distance), c.clone().requires_grad_())
    np.testing.assert_allclose(single[0], double[0], rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(single[1][0], double[1][0], rtol=tolerance, atol=tolerance)


def test_float32_distortion_is_accurate_with_one_far_centroid():
    x, _ = problem(n=10, dtype=torch.float32)
    c = torch.tensor([[0.0, 0.0, 0.0], [1e6, 1e6, 1e6]])
    expected = ref.distortion(x.double().numpy(), c.double().numpy(), 1.0) / len(x)
    assert distortion(x, c, 1.0).item() == pytest.approx(expected, rel=1e-3)


@examples(50)
@given(scale=st.floats(-15, 15), seed=st.integers(0, 1000))
def test_units_do_not_change_memberships(scale, seed):
    """If rows and centers are multiplied by s, and T by s², memberships stay the same and F is multiplied by s²."""
    s = 10.0**scale
    x, c = problem(seed)
    torch.testing.assert_close(assign(s * x, s * c, 0.7 * s**2), assign(x, c, 0.7))
    torch.testing.assert_close(free_energy(s * x, s * c, 0.7 * s**2) / s**2, free_energy(x, c, 0.7))
    torch.testing.assert_close(assign(s * x, c, 0.7, "cosine"), assign(x, c, 0.7, "cosine"))


@pytest.mark.parametrize("size", [1e-25, 1e25])
def test_cosine_in_float32_depends_on_directions_only(size):
    x, c = problem(dtype=torch.float32)
    torch.testing.assert_close(assign(size * x, c, 0.7, "cosine"), assign(x, c, 0.7, "cosine"))


@examples(30)
@given(seed=st.integers(0, 10**6), temperature=st.floats(0.01, 100))
def test_an_em_step_never_raises_the_free_energy(seed, temperature):
    x, c = problem(seed)
    resp = assign(x, c, temperature)
    assume(bool((resp.sum(0) > 1e-9).all()))
    moved = resp.mT @ x / resp.sum(0)[:, None]
    assert free_energy(x, moved, temperature) <= free_energy(x, c, temperature) + 1e-12


# Shapes, types and transforms


@pytest.mark.parametrize("distance", DISTANCES)
@pytest.mark.parametrize("shape", [(2, 6), (3, 2, 2), (1, 12)])
def test_leading_dimensions_are_batches(shape, distance):
    x, c = problem()
    stacked = x.view(*shape, 3)
    torch.testing.assert_close(assign(stacked, c, 0.7, distance), assign(x, c, 0.7, distance).view(*shape, 4))
    for function in OBJECTIVES.values():
        each = function(stacked, c, 0.7, distance, reduction="none")
        torch.testing.assert_close(each, function(x, c, 0.7, distance, reduction="none").view(shape))
        torch.testing.assert_close(each.mean(), function(stacked, c, 0.7, distance))
        torch.testing.assert_close(each.sum(), function(stacked, c, 0.7, distance, reduction="sum"))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("distance", DISTANCES)
def test_dtype_is_kept_and_arguments_are_not_modified(distance, dtype):
    x, c = problem(dtype=dtype)
    before = x.clone(), c.clone()
    for function in (assign, *OBJECTIVES.values()):
        assert function(x, c, 0.7, distance).dtype == dtype
    assert torch.equal(x, before[0])
    assert torch.equal(c, before[1])


def test_vmap_and_jacrev():
    x, c = problem(n=4)
    stack = torch.stack([c, 2 * c, c + 1])
    mapped = torch.vmap(lambda c: free_energy(x, c, 0.7))(stack)
    torch.testing.assert_close(mapped, torch.stack([free_energy(x, c, 0.7) for c in stack]))
    jacobian = torch.func.jacrev(lambda c: assign(x, c, 0.7))(c)
    assert jacobian.shape == (4, 4, 4, 3)
    step = 1e-6 * torch.ones_like(c)
    change = (assign(x, c + step, 0.7) - assign(x, c - step, 0.7)) / 2
    torch.testing.assert_close(torch.einsum("nkjd,jd->nk", jacobian, step), change, atol=1e-11, rtol=1e-4)
    temperatures = torch.tensor([0.5, 2.0], dtype=torch.float64)
    mapped = torch.vmap(lambda t: nll(x, c, t))(temperatures)
    torch.testing.assert_close(mapped, torch.stack([nll(x, c, t) for t in temperatures]))


@pytest.mark.parametrize("name", OBJECTIVES)
def test_unknown_reduction_and_distance_are_refused(name):
    x, c = problem()
    with pytest.raises(InputError, match=r"reduction='avg' is not known: choose one of mean, sum, none"):
        OBJECTIVES[name](x, c, 0.7, reduction="avg")
    with pytest.raises(InputError, match=r"distance='l1' is not known: choose one of sqeuclidean, euclidean, cosine"):
        OBJECTIVES[name](x, c, 0.7, "l1")


# Callables as distances


def differences(x, c):
    return x[..., None, :] - c  # (..., n, k, d)


CALLABLES = {
    "sqeuclidean": lambda x, c: differences(x, c).square().sum(-1),
    "cityblock": lambda x, c: differences(x, c).abs().sum(-1),
    "chebyshev": lambda x, c: differences(x, c).abs().amax(-1),
    "braycurtis": lambda x, c: differences(x, c).abs().sum(-1) / (x[..., None, :] + c).abs().sum(-1),
}


@pytest.mark.parametrize("temperature", [0.05, 0.7, 30.0])
@pytest.mark.parametrize("metric", CALLABLES)
def test_values_with_a_callable_match_scipy(metric, temperature):
    x, c = problem()
    d = cdist(x, c, metric)
    resp = scipy.special.softmax(-d / temperature, axis=1)
    f = -temperature * scipy.special.logsumexp(-d / temperature, axis=1)
    function = CALLABLES[metric]
    np.testing.assert_allclose(assign(x, c, temperature, function), resp, rtol=1e-10, atol=1e-14)
    np.testing.assert_allclose(distortion(x, c, temperature, function), (resp * d).sum(1).mean(), rtol=1e-10)
    np.testing.assert_allclose(free_energy(x, c, temperature, function, reduction="none"), f, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", ["assign", "free_energy", "distortion"])
@pytest.mark.parametrize("metric", CALLABLES)
def test_gradcheck_through_a_callable_and_its_own_parameters(metric, name):
    x, c = problem(n=4, k=3)
    log_t, power = (torch.tensor(v, dtype=torch.float64, requires_grad=True) for v in (-0.2, 1.3))
    assert torch.autograd.gradcheck(
        lambda x, c, t, power: getattr(functional, name)(x, c, t.exp(), lambda x, c: CALLABLES[metric](x, c) ** power),
        (x.requires_grad_(), c.requires_grad_(), log_t, power),
    )


@pytest.mark.parametrize("metric", CALLABLES)
def test_a_callable_supports_batches_and_vmap(metric):
    x, c = problem()
    function = CALLABLES[metric]
    expected = assign(x, c, 0.7, function)
    torch.testing.assert_close(assign(x.view(3, 2, 2, 3), c, 0.7, function), expected.view(3, 2, 2, 4))
    stack = torch.stack([c, 2 * c])
    mapped = torch.vmap(lambda c: free_energy(x, c, 0.7, function))(stack)
    torch.testing.assert_close(mapped, torch.stack([free_energy(x, c, 0.7, function) for c in stack]))


def test_a_callable_receives_rows_and_centers_unchanged():
    x, c = problem(dtype=torch.float32)
    received = []

    def distance(x, c):
        received.extend([x, c])
        return torch.cdist(x, c)

    assert assign(x + 1e6, c, 0.7, distance).dtype == torch.float32
    assert torch.equal(received[0], x + 1e6)
    assert received[1] is c


BAD_CALLABLES = {
    "pairs": (lambda x, c: torch.cdist(c, x), r"distance=<lambda> returned shape \(4, 12\) for x of shape \(12, 3\)"),
    "one a row": (lambda x, c: x.sum(-1), r"returned shape \(12,\) .* expected a tensor of shape \(12, 4\)"),
    "features": (differences, r"distance=differences returned shape \(12, 4, 3\)"),
    "array": (lambda x, c: cdist(x, c), "returned a ndarray .* return distances"),
    "nothing": (lambda x, c: None, "returned a NoneType"),
    "a class": (torch.nn.PairwiseDistance, "distance=<class .*PairwiseDistance'> is not known: choose one of"),
}


@pytest.mark.parametrize("case", BAD_CALLABLES)
def test_a_callable_that_returns_something_else_is_refused(case):
    function, message = BAD_CALLABLES[case]
    for compute in (assign, free_energy, distortion):
        with pytest.raises(InputError, match=message) as caught:
            compute(*problem(), 0.7, function)
        assert "\n" not in str(caught.value)


def test_a_callable_has_no_likelihood():
    with pytest.raises(InputError, match=r"objective='nll' needs the density .* callable cdist has none: choose"):
        nll(*problem(), 0.7, torch.cdist)
