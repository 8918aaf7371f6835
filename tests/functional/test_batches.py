"""Batches of problems: they equal their problems one by one, and wrong shapes are errors."""

import warnings

import pytest
import torch

from softkmeans import InputError
from softkmeans.distances import DISTANCES, Distance
from softkmeans.functional import assign, batches, distortion, free_energy, nll

# PyTorch loads parts that are compiled by torch.jit.
pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit.script:DeprecationWarning")

P, N, D, K = 5, 7, 3, 4
FUNCTIONS = {"assign": assign, "free_energy": free_energy, "distortion": distortion, "nll": nll}
ROUNDING = {torch.float32: 1e-6, torch.float64: 1e-12}


def draw(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def problem(lead=(P,)):
    """Return the rows and the centers of a batch."""
    return draw(*lead, N, D), draw(*lead, K, D, seed=1)


def temperatures(kind, lead=(P,)):
    shape = {"one": (), "problem": (*lead, 1), "cluster": (*lead, K), "same clusters": (K,)}[kind]
    return 0.5 + draw(*shape, seed=2).square()


def per_row(function, *arguments, **options):
    """Return memberships, or losses of all rows."""
    return function(*arguments, **options, **({} if function is assign else {"reduction": "none"}))


def of_problem(t, i):
    """Return the temperature of a problem as a problem alone takes it."""
    if t.ndim < 2:
        return t
    return t[i].squeeze() if t.shape[-1] == 1 else t[i]


@pytest.mark.parametrize("dtype", ROUNDING)
@pytest.mark.parametrize("kind", ["one", "problem", "cluster", "same clusters"])
@pytest.mark.parametrize("distance", DISTANCES)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_batch_equals_its_problems_one_by_one(name, distance, kind, dtype):
    if name == "free_energy" and "cluster" in kind:
        pytest.skip("there is no free energy with a temperature per cluster")
    (x, c), t = problem(), temperatures(kind)
    x, c = x.to(dtype), c.to(dtype)
    found = per_row(FUNCTIONS[name], x, c, t, distance)
    single = [per_row(FUNCTIONS[name], x[i], c[i], of_problem(t, i), distance) for i in range(P)]
    assert found.dtype == dtype
    torch.testing.assert_close(found, torch.stack(single), rtol=ROUNDING[dtype], atol=ROUNDING[dtype])


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("large", [False, True])
def test_priors_and_noise_in_batches(name, large, monkeypatch):
    if large:  # then problems are computed one by one, by the operators
        monkeypatch.setattr(batches, "MAX_ENTRIES", 0)
    (x, c), t = problem(), temperatures("problem")
    log_prior = draw(P, K + 1, seed=3).log_softmax(1)
    found = per_row(FUNCTIONS[name], x, c, t, log_prior=log_prior, noise_distance=2.0)
    for i in range(P):
        single = per_row(FUNCTIONS[name], x[i], c[i], t[i, 0], log_prior=log_prior[i], noise_distance=2.0)
        torch.testing.assert_close(found[i], single, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_leading_dimensions_broadcast(name):
    function, (x, c), t = FUNCTIONS[name], problem((2, 3)), temperatures("problem", (3,))
    everything = x.expand(2, 3, N, D), c[:1].expand(2, 3, K, D), t.expand(2, 3, 1)
    expected = per_row(function, *everything)
    assert expected.shape[:3] == (2, 3, N)
    torch.testing.assert_close(per_row(function, x, c[:1], t), expected)
    same_rows = per_row(function, x[0, 0], c, t)
    torch.testing.assert_close(same_rows[1, 2], per_row(function, x[0, 0], c[1, 2], t[2, 0]), rtol=1e-12, atol=1e-12)
    found, single = per_row(function, x[0], c[0, 0], t)[1], per_row(function, x[0, 1], c[0, 0], t[1, 0])
    torch.testing.assert_close(found, single, rtol=1e-12, atol=1e-12)


class City(Distance):
    """A distance that is not registered."""

    name = "city"
    power = 1

    def between(self, z, c):
        return (z[..., :, None, :] - c).abs().sum(-1)


@pytest.mark.parametrize("distance", [City(), lambda x, c: (x[..., :, None, :] - c[..., None, :, :]).abs().sum(-1)])
@pytest.mark.parametrize("name", ["assign", "free_energy", "distortion"])
def test_other_distances_in_batches(name, distance):
    (x, c), t = problem(), temperatures("problem")
    found = per_row(FUNCTIONS[name], x, c, t, distance)
    for i in range(P):
        single = per_row(FUNCTIONS[name], x[i], c[i], t[i, 0], distance)
        torch.testing.assert_close(found[i], single, rtol=1e-12, atol=1e-12)


def ragged():
    """Return numbers of rows, and a mask."""
    sizes = torch.tensor([N, 1, 3, 6, 2])
    return sizes, torch.arange(N) < sizes[:, None]


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_problems_of_different_sizes(name, weighted):
    (x, c), t, (sizes, mask) = problem(), temperatures("problem"), ragged()
    x = torch.where(mask[..., None], x, torch.nan)  # what is in other rows does not matter
    w = draw(P, N, seed=4).square()
    options = {"sample_weight": w} if weighted and name != "assign" else {}
    found = per_row(FUNCTIONS[name], x, c, t, mask=mask, **options)
    values = []
    for i, n in enumerate(sizes):
        cut = {"sample_weight": w[i, :n]} if options else {}
        values.append(per_row(FUNCTIONS[name], x[i, :n], c[i], t[i, 0], **cut))
        torch.testing.assert_close(found[i, :n], values[-1], rtol=1e-12, atol=1e-12)
        assert not found[i, n:].any()
    if name != "assign":
        total = sum(value.sum() for value in values)
        counts = sum((w if options else torch.ones_like(w))[i, :n].sum() for i, n in enumerate(sizes))
        for reduction, expected in (("sum", total), ("mean", total / counts)):
            reduced = FUNCTIONS[name](x, c, t, mask=mask, reduction=reduction, **options)
            torch.testing.assert_close(reduced, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_mask_of_a_single_problem(name):
    x, c = draw(N, D), draw(K, D, seed=1)
    mask = torch.arange(N) < 4
    found = per_row(FUNCTIONS[name], torch.where(mask[:, None], x, torch.nan), c, 1.0, mask=mask)
    torch.testing.assert_close(found[:4], per_row(FUNCTIONS[name], x[:4], c, 1.0))
    assert not found[4:].any()
    if name != "assign":
        torch.testing.assert_close(FUNCTIONS[name](x, c, 1.0, mask=mask), FUNCTIONS[name](x[:4], c, 1.0))


@pytest.mark.slow
@pytest.mark.parametrize(
    "distance", ["sqeuclidean", *(pytest.param(name, marks=pytest.mark.thorough) for name in ("euclidean", "cosine"))]
)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_gradients_of_masked_batches(name, distance):
    (x, c), t, (_, mask) = problem(), temperatures("problem"), ragged()
    w = draw(P, N, seed=4).square()

    def function(x, c, t, w):
        if name == "assign":
            return assign(x, c, t, distance, mask=mask) * w[..., None]
        return FUNCTIONS[name](x, c, t, distance, sample_weight=w, mask=mask)

    inputs = [part.requires_grad_() for part in (x, c, t, w)]
    assert torch.autograd.gradcheck(function, inputs)
    assert torch.autograd.gradgradcheck(function, inputs)
    (of_x,) = torch.autograd.grad(function(*inputs).sum(), x)
    assert not of_x[~mask].any()
    assert of_x[mask].any()


@pytest.mark.parametrize("name", FUNCTIONS)
def test_transformations_of_batches(name):
    (x, c), t = problem(), temperatures("problem")
    expected = per_row(FUNCTIONS[name], x, c, t)
    mapped = torch.vmap(lambda x, c, t: per_row(FUNCTIONS[name], x, c, t))(x[None], c[None], t[None])
    torch.testing.assert_close(mapped[0], expected)
    gradient = torch.func.grad(lambda c: per_row(FUNCTIONS[name], x, c, t).square().sum())(c)
    leaf = c.clone().requires_grad_()
    per_row(FUNCTIONS[name], x, leaf, t).square().sum().backward()
    torch.testing.assert_close(gradient, leaf.grad)


@pytest.fixture
def threads():
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


@pytest.mark.slow
@pytest.mark.parametrize("name", FUNCTIONS)
def test_bits_do_not_depend_on_the_number_of_threads(name, threads):
    found = []
    for n_threads in (1, 2, 3):
        threads(n_threads)
        x, c = draw(20_000, 3, 2).requires_grad_(), draw(20_000, 1, 2, seed=1).requires_grad_()
        t = torch.tensor(0.7, dtype=torch.float64, requires_grad=True)
        result = FUNCTIONS[name](x, c, t)
        weights = draw(*result.shape, seed=2)
        result.backward(weights)
        found.append([result, x.grad, c.grad, t.grad])
    for other in found[1:]:
        assert all(map(torch.equal, found[0], other))


def test_many_tiny_problems():
    x, c = draw(70_000, 4, 2).float(), draw(70_000, 3, 2, seed=1).float()
    resp = assign(x, c, 1.0)
    torch.testing.assert_close(resp[-1], assign(x[-1], c[-1], 1.0))
    torch.testing.assert_close(
        free_energy(x, c, 1.0, reduction="none")[-1], free_energy(x[-1], c[-1], 1.0, reduction="none")
    )


BAD = {
    "leading dimensions": (lambda x, c: assign(x, c[:3], 1.0), r"do not fit together: \(5,\) of x, \(3,\) of c"),
    "temperature of others": (lambda x, c: assign(x, c, torch.ones(2, 1)), r"\(5,\) of c, \(2,\) of temp"),
    "temperature": (lambda x, c: assign(x, c, torch.ones(P, 3)), r"has shape \(5, 3\), .*\(\.\.\., 4\)"),
    "negative temperature": (lambda x, c: assign(x, c, -torch.ones(P, 1)), "temperature is too small"),
    "centers": (lambda x, c: assign(x, c * torch.inf, 1.0), "the centers contain NaN or infinity"),
    "log_prior": (lambda x, c: assign(x, c, 1.0, log_prior=torch.zeros(P, 3)), r"log_prior has shape \(5, 3\)"),
    "features": (lambda x, c: assign(x, c[..., :2], 1.0), r"x has shape \(5, 7, 3\) and c \(5, 4, 2\)"),
    "no clusters": (lambda x, c: assign(x, c[:, :0], 1.0), "k of 1 or more"),
    "no problems": (lambda x, c: assign(x[:0], c[:0], 1.0), "at least one problem"),
    "weights": (lambda x, c: nll(x, c, 1.0, sample_weight=torch.ones(P)), r"sample_weight has shape \(5,\)"),
    "mask": (lambda x, c: nll(x, c, 1.0, mask=torch.ones(P, K).bool()), r"mask has shape \(5, 4\), .*\(5, 7\)"),
    "mask of numbers": (lambda x, c: nll(x, c, 1.0, mask=torch.ones(P, N)), "mask has dtype torch.float32"),
    "empty mask": (lambda x, c: nll(x, c, 1.0, mask=(torch.arange(P * N) // N != 2).view(P, N)), "rows of problem 2"),
    "empty mask of one": (lambda x, c: nll(x[0], c[0], 1.0, mask=torch.zeros(N).bool()), "False for all rows, "),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_an_error_before_anything_is_computed(name, monkeypatch):
    call, message = BAD[name]
    monkeypatch.setattr(batches, "over_pieces", None)  # which runs whatever is computed
    with warnings.catch_warnings(), pytest.raises(InputError, match=message):
        call(*problem())
