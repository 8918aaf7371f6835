"""The PyTorch operators: their declarations, and that graphs without data get the right shapes and types."""

import pytest
import torch

from softkmeans.distances import DISTANCES
from softkmeans.kernels import operators

pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit.script:DeprecationWarning")
N, D, K = 7, 3, 4
OPERATORS = [
    operators.sums,
    operators.row_values,
    operators.row_gradient,
    operators.hessian_product,
    operators.memberships,
    operators.membership_gradient,
]


def arguments(op, dtype=torch.float64, distance="sqeuclidean", noise=None, weighted=True):
    """Return random arguments of an operator."""
    generator = torch.Generator().manual_seed(0)

    def draw(*shape, of=torch.float64):
        return torch.rand(*shape, generator=generator, dtype=torch.float64).to(of)

    k = K + (noise is not None)
    weights = draw(N) if weighted else None
    inputs = [draw(N, D, of=dtype), draw(K, D, of=dtype), 1 + draw(k), draw(k), weights, noise, distance, False, False]
    if op is operators.hessian_product:
        inputs += [True, draw(N, D), draw(K, D), draw(k), draw(k), draw(N)]
    if op is operators.membership_gradient:
        inputs += [draw(N, K).softmax(1) / (1 if noise is None else 2), draw(N, K)]
    return tuple(inputs)


@pytest.mark.slow
@pytest.mark.parametrize("noise", [None, 1.0])
@pytest.mark.parametrize("distance", DISTANCES)
@pytest.mark.parametrize("op", OPERATORS, ids=lambda op: op.name())
def test_declarations(op, distance, noise):
    """Check schema, aliases, and shapes without data, also as symbols; gradients are those of `functional`."""
    result = torch.library.opcheck(op, arguments(op, distance=distance, noise=noise))
    assert set(result.values()) == {"SUCCESS"}


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("op", OPERATORS, ids=lambda op: op.name())
def test_results_without_data_have_the_same_shapes_and_types(op, dtype):
    given = arguments(op, dtype)
    found = op(*given)
    empty = op(*(part.to("meta") if isinstance(part, torch.Tensor) else part for part in given))
    for one, other in zip(*((r if isinstance(r, tuple) else (r,)) for r in (found, empty)), strict=True):
        assert (one.shape, one.dtype, other.device.type) == (other.shape, other.dtype, "meta")


@pytest.mark.parametrize("op", OPERATORS, ids=lambda op: op.name())
def test_a_batch_is_computed_one_by_one(op):
    given = arguments(op)
    tensors = [i for i, part in enumerate(given) if isinstance(part, torch.Tensor)]
    other = [part + 0.1 if isinstance(part, torch.Tensor) else part for part in given]

    def call(*parts):
        filled = list(given)
        for i, part in zip(tensors, parts, strict=True):
            filled[i] = part
        return op(*filled)

    batch = torch.vmap(call)(*(torch.stack([given[i], other[i]]) for i in tensors))
    for i, single in enumerate((given, other)):
        expected, found = op(*single), batch
        pairs = zip(expected, found, strict=True) if isinstance(expected, tuple) else [(expected, found)]
        for one, member in pairs:
            torch.testing.assert_close(member[i], one)


@pytest.mark.parametrize("op", OPERATORS, ids=lambda op: op.name())
def test_inputs_are_not_changed(op):
    given = arguments(op)
    before = [part.clone() if isinstance(part, torch.Tensor) else part for part in given]
    op(*given)
    for one, other in zip(given, before, strict=True):
        assert torch.equal(one, other) if isinstance(one, torch.Tensor) else one == other


def test_parts_of_rows_are_left_out_if_they_are_not_needed():
    given = list(arguments(operators.hessian_product))
    expected = operators.hessian_product(*given)
    given[9] = False
    found = operators.hessian_product(*given)
    empty = operators.hessian_product(*(part.to("meta") if isinstance(part, torch.Tensor) else part for part in given))
    for one, other, shape in zip(found[1:4], expected[1:4], empty[1:4], strict=True):
        assert torch.equal(one, other)
        assert one.shape == shape.shape
    assert found[0].shape == found[-1].shape == empty[0].shape == empty[-1].shape == (0,)
