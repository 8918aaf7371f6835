"""Derivatives of the losses and memberships, in all modes, against automatic differentiation of the definitions."""

import itertools
import math
import warnings

import pytest
import torch
from torch.func import grad, hessian, jacfwd, jacrev, jvp, vmap

from softkmeans import InputError
from softkmeans.distances import DISTANCES
from softkmeans.functional import assign, distortion, free_energy, nll, small
from softkmeans.kernels import dispatch

# PyTorch loads parts that are compiled by torch.jit.
pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit.script:DeprecationWarning")

LOSSES = {"free_energy": free_energy, "distortion": distortion, "nll": nll}
MODELS = {
    "plain": {},
    "priors": {"log_prior": torch.tensor([0.1, 0.2, 0.3, 0.4], dtype=torch.float64).log()},
    "noise": {"noise_distance": 2.0},
    "priors of noise": {
        "noise_distance": 2.0,
        "log_prior": torch.tensor([0.1, 0.2, 0.3, 0.3, 0.1], dtype=torch.float64).log(),
    },
}
PER_CLUSTER = torch.tensor([0.5, 1.0, 2.0, 0.8], dtype=torch.float64)
POINTS = ["apart", "on a center", "equal centers", "far away"]


def problem(points="apart"):
    """Six rows and four centers in three dimensions."""
    generator = torch.Generator().manual_seed(0)
    x, c = (torch.randn(size, 3, generator=generator, dtype=torch.float64) for size in (6, 4))
    if points == "on a center":
        x[2] = c[1]
    elif points == "equal centers":
        c[3] = c[0]
    elif points == "far away":
        x[0] += 1e4
        c[1] -= 1e3
    return x, c


def distances(x, c, distance):
    """Return the distances by their definitions; at 0, the Euclidean distance has no derivative, and gets 0."""
    if distance == "cosine":
        x, c = (a / a.norm(dim=-1, keepdim=True) for a in (x, c))
    squared = (x[:, None] - c).square().sum(-1)
    if distance == "euclidean":
        return torch.where(squared > 0, squared, 1.0).sqrt() * (squared > 0)
    return squared / 2 if distance == "cosine" else squared


def by_definition(loss, x, c, t, w, distance, *, log_prior=None, noise_distance=None):
    """Return the weighted sum of a loss over the rows."""
    d, k = distances(x, c, distance), len(c)
    if noise_distance is not None:
        d, k = torch.cat([d, d.new_full((len(d), 1), noise_distance)], 1), k + 1
    b = torch.zeros(k, dtype=d.dtype) if log_prior is None else log_prior + math.log(k)
    log_z = 0.0
    if loss == "nll" or t.ndim:
        parts = [DISTANCES[distance].log_partition(part, x.shape[1]) for part in (t if t.ndim else [t])]
        log_z = torch.stack(parts) if t.ndim else parts[0]
    logits = b - d / t - (log_z if t.ndim else 0.0)
    if loss == "distortion":
        values = (logits.softmax(1) * d).sum(1)
    elif loss == "free_energy":
        values = -t * logits.logsumexp(1)
    else:
        values = (0.0 if t.ndim else log_z) + math.log(k) - logits.logsumexp(1)
    return w @ values


def pairs(loss, distance, model="plain"):
    """Return the library's loss and the definition, as functions of x, c, T and w."""
    options = MODELS[model]
    return (
        lambda x, c, t, w: LOSSES[loss](x, c, t, distance, sample_weight=w, reduction="sum", **options),
        lambda x, c, t, w: by_definition(loss, x, c, t, w, distance, **options),
    )


def assert_close(found, expected, rtol=1e-8):
    for one, other in zip(
        torch.utils._pytree.tree_leaves(found), torch.utils._pytree.tree_leaves(expected), strict=True
    ):
        torch.testing.assert_close(one, other, rtol=rtol, atol=rtol * (1 + float(other.detach().abs().max())))


def arguments(points="apart", t=0.7):
    x, c = problem(points)
    w = torch.tensor([1.0, 0.5, 2.0, 0.0, 1.0, 3.0], dtype=torch.float64)
    return x, c, torch.as_tensor(t, dtype=torch.float64), w


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("distance", DISTANCES)
@pytest.mark.parametrize("loss", LOSSES)
def test_gradients_and_hessians_of_all_members(loss, distance, model):
    ours, definition = pairs(loss, distance, model)
    everything, given = (0, 1, 2, 3), arguments()
    assert_close(ours(*given), definition(*given))
    assert_close(grad(ours, everything)(*given), grad(definition, everything)(*given))
    assert_close(hessian(ours, everything)(*given), hessian(definition, everything)(*given))
    if model == "plain":
        assert_close(jacrev(jacrev(ours, everything), everything)(*given), hessian(definition, everything)(*given))


@pytest.mark.parametrize("t", [1e-8, 1e-3, 1e3, 1e8])
@pytest.mark.parametrize("points", POINTS)
@pytest.mark.parametrize("loss", LOSSES)
def test_gradients_at_all_temperatures_and_places(loss, points, t):
    ours, definition = pairs(loss, "sqeuclidean")
    x, c, t, w = arguments(points, t)
    t = t * (1e5 if points == "far away" else 1.0)
    assert_close(ours(x, c, t, w), definition(x, c, t, w))
    assert_close(grad(ours, (0, 1, 3))(x, c, t, w), grad(definition, (0, 1, 3))(x, c, t, w), 1e-6)


@pytest.mark.parametrize("points", POINTS[:3])
@pytest.mark.parametrize("distance", DISTANCES)
@pytest.mark.parametrize("loss", ["nll", "distortion"])
def test_a_temperature_for_each_cluster(loss, distance, points):
    ours, definition = pairs(loss, distance)
    given = arguments(points, PER_CLUSTER)
    assert_close(ours(*given), definition(*given))
    assert_close(grad(ours, (0, 1, 2, 3))(*given), grad(definition, (0, 1, 2, 3))(*given))


@pytest.fixture(params=[True, False], ids=["few rows", "operators"])
def few_rows(request, monkeypatch):
    """Compute losses of few rows by tensor operations, or by the operators, like those of many rows."""
    if not request.param:
        monkeypatch.setattr(small, "MAX_ENTRIES", 0)


@pytest.mark.slow
@pytest.mark.parametrize("reduction", ["mean", "none"])
@pytest.mark.parametrize("distance", DISTANCES)
@pytest.mark.parametrize("loss", LOSSES)
def test_gradcheck(few_rows, loss, distance, reduction):
    if distance != "sqeuclidean" and small.MAX_ENTRIES:
        return  # the operators serve these for few rows, too
    for points in POINTS[: 1 if distance == "euclidean" else 3]:  # on a center, that has no derivative
        x, c, t, w = arguments(points)
        leaves = [part.clone().requires_grad_() for part in (x[1:4], c[:3], t, w[:3])]

        def function(x, c, t, w):
            return LOSSES[loss](x, c, t, distance, sample_weight=w, reduction=reduction)

        assert torch.autograd.gradcheck(function, leaves, check_forward_ad=True)
        assert torch.autograd.gradgradcheck(function, leaves)


@pytest.mark.parametrize("distance", DISTANCES)
def test_gradcheck_of_memberships(few_rows, distance):
    if distance != "sqeuclidean" and small.MAX_ENTRIES:
        return  # the operators serve these for few rows, too
    x, c, t, _ = (part.requires_grad_() for part in arguments())
    for model in MODELS.values():
        assert torch.autograd.gradcheck(lambda x, c, t, m=model: assign(x, c, t, distance, **m), (x, c, t))
        assert torch.autograd.gradgradcheck(lambda x, c, t, m=model: assign(x, c, t, distance, **m), (x, c, t))


@pytest.mark.parametrize("distance", DISTANCES)
@pytest.mark.parametrize("loss", LOSSES)
def test_transforms_of_functions(loss, distance):
    ours, definition = pairs(loss, distance)
    x, c, t, w = arguments()
    xs, cs = torch.stack([x, x + 1, 2 * x]), torch.stack([c, c - 1, 3 * c])
    for in_dims, rows, centers in (((0, 0), xs, cs), ((0, None), xs, c), ((None, 0), x, cs)):
        of_both = [
            vmap(lambda x, c, f=f: grad(f, (0, 1))(x, c, t, w), in_dims)(rows, centers) for f in (ours, definition)
        ]
        assert_close(*of_both)
    tangents = (torch.ones_like(x), 2 * torch.ones_like(c), torch.ones_like(t), torch.ones_like(w))
    assert_close(jvp(ours, (x, c, t, w), tangents)[1], jvp(definition, (x, c, t, w), tangents)[1])
    each = [lambda x, c: LOSSES[loss](x, c, t, distance, reduction="none"),
            lambda x, c: vmap(lambda row: by_definition(loss, row[None], c, t, w[:1], distance))(x)]  # fmt: skip
    assert_close(*(jacrev(f, (0, 1))(x, c) for f in each))
    assert_close(*(jacfwd(f, (0, 1))(x, c) for f in each))


@pytest.mark.parametrize("distance", DISTANCES)
def test_transforms_of_memberships(distance):
    x, c, t, _ = arguments()

    def definition(x, c):
        return (-distances(x, c, distance) / t).softmax(1)

    def ours(x, c):
        return assign(x, c, t, distance)

    for transform in (jacrev, jacfwd):
        assert_close(transform(ours, (0, 1))(x, c), transform(definition, (0, 1))(x, c))
    assert_close(jacfwd(jacrev(ours, (0, 1)), (0, 1))(x, c), jacfwd(jacrev(definition, (0, 1)), (0, 1))(x, c))
    cs = torch.stack([c, c + 1])
    assert_close(vmap(ours, (None, 0))(x, cs), vmap(definition, (None, 0))(x, cs))


def test_a_third_derivative_is_refused():
    x, c, t, _ = arguments()
    with pytest.raises(InputError, match="third derivatives are not supported"):
        jacrev(hessian(lambda c: free_energy(x, c, t)))(c)


@pytest.mark.parametrize("model", ["plain", "priors"])
@pytest.mark.parametrize("points", POINTS)
@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
def test_few_rows_get_the_same_results_as_many(monkeypatch, dtype, points, model):
    x, c = (part.to(dtype) for part in problem(points))
    w, t, results = torch.rand(6, dtype=dtype), 0.7, []
    for entries in (2**15, 0):
        monkeypatch.setattr(small, "MAX_ENTRIES", entries)
        leaves = [part.clone().requires_grad_() for part in (x, c)]
        values = [loss(*leaves, t, sample_weight=w, **MODELS[model]) for loss in LOSSES.values()]
        values += [loss(*leaves, t, reduction="none", **MODELS[model]).sum() for loss in LOSSES.values()]
        resp = assign(*leaves, t, **MODELS[model])
        results.append([*values, resp, *torch.autograd.grad(sum(values) + resp[:, 0].sum(), leaves)])
    tolerance = {"rtol": 5e-3, "atol": 1e-3} if dtype == torch.float16 else {}
    for one, other in zip(*results, strict=True):
        torch.testing.assert_close(one, other, **tolerance)


@pytest.mark.parametrize("loss", ["free_energy", "distortion"])
def test_a_backward_pass_can_be_repeated(loss):
    x, c, t, w = arguments()
    x, c = x.requires_grad_(), c.requires_grad_()
    value = LOSSES[loss](x, c, t, sample_weight=w)
    first, second = (torch.autograd.grad(3 * value, (x, c), retain_graph=True) for _ in range(2))
    assert_close(first, second, 0)
    assert_close(first[0], 3 * torch.autograd.grad(value, x)[0])


# Large problems, which the compiled kernels serve, in the precision of the data.


SIZES = [(4000, 3, 12), (3000, 20, 40)]


def large(n, d, k, dtype):
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(n, d, generator=generator, dtype=torch.float64) + 4 * (torch.arange(n) % 3)[:, None]
    return x.to(dtype), x[:k].to(dtype) + 0.3


@pytest.mark.parametrize(("dtype", "rtol"), [(torch.float32, 1e-5), (torch.float64, 1e-10)])
@pytest.mark.parametrize("distance", ["sqeuclidean", "cosine"])
@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("loss", LOSSES)
def test_compiled_gradients_equal_the_definition(loss, size, distance, dtype, rtol):
    x, c = large(*size, dtype)
    assert size[0] * size[2] * (size[1] + 8) >= dispatch.COMPILED_MIN_WORK
    spread = float(distances(x[:200].double(), c.double(), distance).mean())
    w = torch.rand(len(x), generator=torch.Generator().manual_seed(2), dtype=torch.float64).to(dtype)
    for t, weights in itertools.product((0.1 * spread, spread), (w, w - 0.5)):
        leaves = [part.detach().requires_grad_() for part in (x, c, torch.tensor(t, dtype=torch.float64))]
        value = LOSSES[loss](*leaves, distance, sample_weight=weights, reduction="sum")
        reference = [leaf.detach().double().requires_grad_() for leaf in leaves]
        expected = by_definition(loss, *reference, weights.double(), distance)
        scale = weights.double().abs().sum() * spread
        assert abs(float(value.detach()) - float(expected.detach())) <= rtol * (
            1 + float(scale if loss != "nll" else scale / t)
        )
        found, wanted = torch.autograd.grad(value, leaves[:2]), torch.autograd.grad(expected, reference[:2])
        for one, other in zip(found, wanted, strict=True):
            assert one.dtype == dtype
            assert (one.double() - other).abs().max() <= rtol * other.abs().max()


@pytest.mark.parametrize(("dtype", "rtol"), [(torch.float32, 1e-5), (torch.float64, 1e-10)])
@pytest.mark.parametrize("distance", ["sqeuclidean", "cosine"])
@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("loss", LOSSES)
def test_compiled_products_with_the_hessian_equal_the_definition(loss, size, distance, dtype, rtol):
    x, c = large(*size, dtype)
    w = torch.rand(len(x), generator=torch.Generator().manual_seed(2), dtype=torch.float64).to(dtype)
    spread = float(distances(x[:200].double(), c.double(), distance).mean())
    t = torch.tensor(0.3 * spread, dtype=torch.float64)
    direction = torch.randn(c.shape, generator=torch.Generator().manual_seed(4), dtype=torch.float64)

    def product(function, x, c, t, w):
        leaves = [c.clone().requires_grad_(), t.clone().requires_grad_()]
        gradient = torch.autograd.grad(function(x, *leaves, w), leaves, create_graph=True)
        along = (gradient[0] * direction.to(c.dtype)).sum() + 0.3 * gradient[1]
        return torch.autograd.grad(along, leaves)

    ours, definition = pairs(loss, distance)
    found, expected = product(ours, x, c, t, w), product(definition, x.double(), c.double(), t, w.double())
    for one, other in zip(found, expected, strict=True):
        assert (one.double() - other).abs().max() <= 5 * rtol * other.abs().max()


@pytest.mark.parametrize("loss", ["free_energy", "distortion"])
def test_cotangents_of_both_signs(loss):
    x, c = large(*SIZES[0], torch.float32)
    g = torch.randn(len(x), generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    leaves = [part.requires_grad_() for part in (x, c)]
    found = torch.autograd.grad(LOSSES[loss](*leaves, 2.0, reduction="none"), leaves, g.float())
    reference = [leaf.detach().double().requires_grad_() for leaf in leaves]
    value = by_definition(loss, *reference, torch.tensor(2.0, dtype=torch.float64), g.float().double(), "sqeuclidean")
    for one, other in zip(found, torch.autograd.grad(value, reference), strict=True):
        assert (one.double() - other).abs().max() <= 1e-5 * other.abs().max()


# Graphs of compilers.


@pytest.mark.slow
@pytest.mark.parametrize("model", ["plain", "priors of noise"])
def test_one_compiled_graph_serves_all_batch_sizes(model):
    from torch._dynamo.testing import CompileCounterWithBackend

    torch._dynamo.reset()
    x, c = problem()
    t, counter = torch.tensor(0.7, dtype=torch.float64), CompileCounterWithBackend("aot_eager")

    def run(x, c):
        options = MODELS[model]
        resp = assign(x, c, t, **options)
        return resp[:, 0].sum() + free_energy(x, c, t, **options) + distortion(x, c, t, **options)

    compiled = torch.compile(run, fullgraph=True, backend=counter, dynamic=True)
    counts = []
    for n in (2, 3, 6):
        found, expected = ([part.detach().requires_grad_() for part in (x[:n], c)] for _ in range(2))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            value = compiled(*found)
        assert_close(value, run(*expected))
        assert_close(torch.autograd.grad(value, found), torch.autograd.grad(run(*expected), expected))
        counts.append(counter.frame_count)
    assert counts[0] == counts[-1]


# Bad input.


X, C = torch.zeros(3, 2), torch.zeros(4, 2)
BAD = {
    "no tensor": (([[0.0]], C, 1.0), {}, "x has type list, expected a tensor of floating-point numbers"),
    "integers": ((X.long(), C, 1.0), {}, "x has dtype torch.int64"),
    "shapes": ((X, torch.zeros(4, 3), 1.0), {}, r"x has shape \(3, 2\) and c \(4, 3\)"),
    "no centers": ((X, torch.zeros(0, 2), 1.0), {}, "k of 1 or more"),
    "types": ((X, C.double(), 1.0), {}, "x has dtype torch.float32 and c torch.float64, expected one dtype"),
    "devices": ((X, C.to("meta"), 1.0), {}, "x is on cpu and c on meta: move both to one device"),
    "T = 0": ((X, C, 0.0), {}, "temperature=0.0: give a finite number above 0"),
    "T < 0": ((X, C, -1.0), {}, "temperature=-1.0: give"),
    "T = nan": ((X, C, math.nan), {}, "temperature=nan: give"),
    "T = inf": ((X, C, math.inf), {}, "temperature=inf: give"),
    "a negative tensor": ((X, C, torch.tensor(-1.0)), {}, "temperature is too small, too large or not a number"),
    "a tensor of NaN": ((X, C, torch.tensor(math.nan)), {}, "temperature is too small, too large or not a number"),
    "temperatures": ((X, C, torch.ones(3)), {}, r"temperature has shape \(3,\), expected a tensor of shape \(4,\)"),
    "NaN in centers": ((X, C / 0, 1.0), {}, "the centers contain NaN or infinity"),
    "priors": ((X, C, 1.0), {"log_prior": torch.zeros(3)}, r"log_prior has shape \(3,\)"),
    "priors of noise": ((X, C, 1.0), {"log_prior": torch.zeros(4), "noise_distance": 1.0}, r"tensor of shape \(5,\)"),
    "noise": ((X, C, 1.0), {"noise_distance": 0.0}, "noise_distance=0.0: give a finite number above 0"),
    "noise and temperatures": ((X, C, torch.ones(4)), {"noise_distance": 1.0}, "noise_distance=1.0 is not supported"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_named(case):
    given, options, message = BAD[case]
    for function in (assign, distortion, nll, free_energy):
        with pytest.raises(InputError, match=message) as caught:
            function(*given, **options)
        assert "\n" not in str(caught.value)


def test_bad_input_of_losses():
    with pytest.raises(InputError, match=r"x has shape \(0, 2\), without rows, expected at least one row"):
        free_energy(X[:0], C, 1.0)
    assert free_energy(X[:0], C, 1.0, reduction="none").shape == (0,)
    assert assign(X[:0], C, 1.0).shape == (0, 4)
    with pytest.raises(InputError, match=r"sample_weight has shape \(2,\), expected a tensor of shape \(3,\)"):
        distortion(X, C, 1.0, sample_weight=torch.ones(2))
    with pytest.raises(InputError, match="reduction='all' is not known"):
        nll(X, C, 1.0, reduction="all")
    with pytest.raises(InputError, match=r"temperature has shape \(4,\), but the free energy needs one temperature"):
        free_energy(X, C, torch.ones(4))
