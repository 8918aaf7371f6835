"""Kernels for batches of problems: compiled fits compared with tensor operations, and products with the Hessian."""

import pytest
import torch

from softkmeans.distances import as_distance
from softkmeans.kernels import batches, second_order
from softkmeans.kernels.batches import Evaluation, Problems
from softkmeans.kernels.compiler.arguments import Argument, ArrayArgument, Number
from softkmeans.kernels.cpu.batches import BatchArguments, BatchNumbers

SIZES = [(1, 1, 1, 1), (3, 7, 1, 2), (4, 24, 3, 3), (2, 25, 9, 5), (5, 100, 2, 8), (300, 60, 8, 5)]


def problems(size, seed=0):
    """Return random problems, some of whose rows do not count, and initial centers."""
    p, n, d, k = size
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape):
        return torch.rand(*shape, generator=generator, dtype=torch.float64)

    x = 5 + 3 * draw(p, n, d)
    weights = draw(p, n) * (draw(p, n) < 0.8)
    weights[:, 0] = 1
    made = Problems.of(x, weights, 0.5 + draw(p, k), draw(p, k))
    return made, made.x[:, torch.arange(k) % n] + 0.01 * draw(p, k, d)


def em(made, c, n_iter):
    """Return centers after iterations of EM, by the definitions."""
    for _ in range(n_iter):
        d = (made.x[:, :, None] - c[:, None]).square().sum(-1)
        r = (made.b[:, None] - made.beta[:, None] * d).softmax(2) * made.weights[..., None]
        c = torch.einsum("pik,pid->pkd", r, made.x) / r.sum(1)[..., None]
    return c


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("fit", [batches.fit, batches.fit_by_tensors])
def test_iterations_are_those_of_em(fit, size):
    made, start = problems(size)
    centers, resp, n_iter, converged = fit(made, start, 5, 0.0)
    torch.testing.assert_close(centers, em(made, start, 5), rtol=0, atol=1e-13)
    d = (made.x[:, :, None] - centers[:, None]).square().sum(-1)
    torch.testing.assert_close(resp, (made.b[:, None] - made.beta[:, None] * d).softmax(2), rtol=1e-11, atol=1e-13)
    assert (n_iter[~converged] == 5).all()
    assert (n_iter[converged] <= 5).all()  # steps that are exactly 0


@pytest.mark.parametrize("fit", [batches.fit, batches.fit_by_tensors])
def test_each_problem_ends_when_its_own_steps_are_small(fit):
    made, start = problems((40, 50, 2, 3))
    centers, _, n_iter, converged = fit(made, start, 2000, 1e-10)
    assert converged.all()
    assert n_iter.unique().numel() > 5
    for i in (0, 7, 39):
        steps = [
            em(made.take(torch.tensor([i])), start[i : i + 1], int(n) - j)[0] for n in [n_iter[i]] for j in (2, 1, 0)
        ]
        torch.testing.assert_close(centers[i], steps[2], rtol=0, atol=1e-12)
        before, last = (steps[j + 1] - steps[j] for j in (0, 1))
        at = Evaluation.of(made.take(torch.tensor([i])), steps[1][None])
        limit = 1e-10 * float((made.beta[i] * (made.weights[i, :, None] * at.resp[0] * at.distances[0]).sum(0)).sum())
        factor = (made.beta[i] * at.weight[0])[:, None]
        assert (factor * last.square()).sum() <= limit < 1.5 * (factor * before.square()).sum()


@pytest.mark.parametrize("fit", [batches.fit, batches.fit_by_tensors])
def test_centers_without_weight_stay(fit):
    x = torch.tensor([[[0.0], [1.0]]], dtype=torch.float64)
    made = Problems.of(x, torch.ones(1, 2, dtype=torch.float64), *torch.tensor([[[1e3, 1e3]], [[0, 0]]]).double())
    start = torch.tensor([[[0.0], [40.0]]], dtype=torch.float64)
    centers, _, _, converged = fit(made, start, 100, 1e-12)
    assert centers.flatten().tolist() == [0.0, 40.0]
    assert converged.all()


@pytest.mark.parametrize("size", SIZES[:4], ids=str)
def test_products_with_the_hessian_are_those_of_the_reference(size):
    made, centers = problems(size)
    at = Evaluation.of(made, centers)
    v = torch.randn(centers.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    found = batches.hessian_product(at, v), *batches.mixed_product(at, v)
    for i in range(len(centers)):
        x, weights, beta, b = (part[i] for part in made[:4])
        distance = as_distance("sqeuclidean")
        inputs = second_order.Inputs(x, centers[i], beta, b, weights, None, distance, False, False)
        none = torch.zeros_like(beta)
        along = second_order.Direction(None, v[i], none, none, None)
        of_x, of_c, of_beta, of_b, of_weights = second_order.hessian_product(inputs, along)
        for part, expected in zip(found, (-of_c, of_x, of_weights, of_beta, of_b), strict=True):
            torch.testing.assert_close(part[i], expected, rtol=1e-10, atol=1e-12)


def test_every_argument_is_described_and_has_a_shape_or_a_value():
    numbers = BatchNumbers(n_problems=2, n_rows=48, d=3, k=4, max_iter=10, tol=1e-6, lanes=8)
    declared = BatchArguments.declared(Argument)
    assert set(numbers._fields) - {argument.name for argument in declared} == {"lanes"}
    for argument in declared:
        assert argument.description
        if isinstance(argument, ArrayArgument):
            assert all(isinstance(length, int) for length in argument.shape(numbers))
        else:
            assert isinstance(argument.value(numbers), int if isinstance(argument, Number) else float)
