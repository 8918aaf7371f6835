"""Whole fits of batches, and gradients through converged fits, against definitions and unrolled iterations."""

import warnings

import numpy as np
import pytest
import torch
from sklearn.exceptions import ConvergenceWarning

from softkmeans import InputError, SoftKMeans, critical_temperature
from softkmeans.functional import assign, fits, implicit, soft_kmeans

ROUNDING = {torch.float32: 1e-6, torch.float64: 1e-12}


def draw(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def blobs(p, n, d, k, seed=0):
    """Return rows (p, n, d) around k centers 4 apart, in turn."""
    centers = 4 * torch.eye(max(k, d), dtype=torch.float64)[:k, :d]
    return draw(p, n, d, seed=seed) + centers[torch.arange(n) % k]


def unrolled(x, c, t, w, n_iter):
    """Return centers after iterations of EM, by the definitions, differentiable in everything."""
    for _ in range(n_iter):
        r = memberships(x, c, t) * w[..., None]
        c = r.mT @ x / r.sum(-2)[..., None]
    return c


def memberships(x, c, t):
    d = (x[..., :, None, :] - c[..., None, :, :]).square().sum(-1)
    log_z = x.shape[-1] / 2 * t.log() if t.shape[-1] > 1 else 0 * t
    return (-d / t[..., None, :] - log_z[..., None, :]).softmax(-1)


# Fits


@pytest.mark.parametrize("per", ["one", "problem", "cluster"])
def test_fits_are_fixed_points_of_em(per):
    x, w = blobs(6, 40, 3, 3), 0.5 + draw(6, 40, seed=1).abs()
    t = {"one": torch.ones(1), "problem": 0.5 + draw(6, 1, seed=2).square(), "cluster": 0.8 + 0.1 * draw(6, 3).abs()}[
        per
    ]
    result = soft_kmeans(x, 3, t.item() if per == "one" else t, sample_weight=w, tol=1e-24)
    assert result.converged.all()
    assert result.n_iter.shape == (6,)
    torch.testing.assert_close(unrolled(x, result.centers, t, w, 1), result.centers, rtol=0, atol=1e-11)
    torch.testing.assert_close(result.memberships, memberships(x, result.centers, t), rtol=1e-11, atol=1e-12)


def test_the_fit_is_that_of_the_estimator():
    x = blobs(1, 300, 4, 5)[0]
    result = soft_kmeans(x, x[:5], temperature=1.0)
    model = SoftKMeans(5, temperature=1.0, init=x[:5].numpy(), tol=0, max_iter=3000, n_init=1).fit(x.numpy())
    order = np.lexsort(result.centers.numpy().T), np.lexsort(model.cluster_centers_.T)
    np.testing.assert_allclose(result.centers.numpy()[order[0]], model.cluster_centers_[order[1]], atol=1e-5)


@pytest.mark.parametrize("dtype", ROUNDING)
@pytest.mark.parametrize("start", ["given", "seeded"])
def test_a_batch_equals_its_problems_one_by_one(start, dtype):
    x, t = (1e3 + blobs(30, 50, 3, 4)).to(dtype), 0.5 + draw(30, 1, seed=2).square()
    c0 = x[:, :4] if start == "given" else 4
    centers, resp = soft_kmeans(x, c0, t)
    for i in range(30):
        single = soft_kmeans(x[i], c0 if start == "seeded" else c0[i], t[i])
        torch.testing.assert_close(centers[i], single.centers, rtol=ROUNDING[dtype], atol=0)
        torch.testing.assert_close(resp[i], single.memberships, rtol=ROUNDING[dtype], atol=ROUNDING[dtype])
    assert centers.dtype == resp.dtype == dtype


@pytest.mark.parametrize("dtype", ROUNDING)
def test_problems_of_different_sizes(dtype):
    x = (10 + blobs(20, 60, 3, 4)).to(dtype)
    sizes = torch.arange(20) * 2 + 6
    mask = torch.arange(60) < sizes[:, None]
    w = 0.5 + draw(20, 60, seed=1).abs()
    padded = torch.where(mask[..., None], x, torch.nan)
    centers, resp = soft_kmeans(padded, 4, 1.5, sample_weight=torch.where(mask, w, torch.nan), mask=mask)
    assert not resp[~mask].any()
    for i, n in enumerate(sizes):
        single = soft_kmeans(x[i, :n], 4, 1.5, sample_weight=w[i, :n])
        torch.testing.assert_close(centers[i], single.centers, rtol=ROUNDING[dtype], atol=0)
        torch.testing.assert_close(resp[i, :n], single.memberships, rtol=ROUNDING[dtype], atol=ROUNDING[dtype])


def test_a_row_of_weight_two_is_two_rows():
    x = blobs(4, 30, 2, 3)
    w = 1.0 + (torch.arange(30) < 10).double().expand(4, 30)
    twice = soft_kmeans(torch.cat([x, x[:, :10]], 1), x[:, :3], 1.0)
    torch.testing.assert_close(soft_kmeans(x, x[:, :3], 1.0, sample_weight=w).centers, twice.centers, rtol=0, atol=1e-9)


def test_leading_dimensions_broadcast():
    x, c0 = blobs(6, 30, 2, 3).view(2, 3, 30, 2), blobs(6, 3, 2, 3, seed=1).view(2, 3, 3, 2)
    t = torch.tensor([[0.5], [1.0], [1.5]])
    expected = soft_kmeans(x[1].expand(2, 3, 30, 2), c0, t.expand(2, 3, 1))
    found = soft_kmeans(x[1], c0, t)
    assert found.centers.shape == (2, 3, 3, 2)
    assert found.n_iter.shape == (2, 3)
    assert torch.equal(found.centers, expected.centers)
    assert torch.equal(found.memberships, expected.memberships)


@pytest.mark.parametrize("scale", [1e-150, 1e-5, 1e150])
def test_units_of_the_data(scale):
    x = blobs(3, 40, 2, 3)
    centers = soft_kmeans(x, x[:, :3], 1.0).centers
    scaled = soft_kmeans(scale * x, scale * x[:, :3], scale**2 if scale < 1e100 else 1e300)
    torch.testing.assert_close(scaled.centers / scale, centers, rtol=1e-9, atol=1e-12)


def test_seeds():
    x = blobs(50, 40, 2, 4)
    first, again = (soft_kmeans(x, 4, 0.1, random_state=1) for _ in range(2))
    assert torch.equal(first.centers, again.centers)
    assert not torch.equal(first.centers, soft_kmeans(x, 4, 0.1, random_state=2).centers)
    far = 100 * torch.eye(4, dtype=torch.float64)[torch.arange(40) % 4] + draw(50, 40, 4)
    found = soft_kmeans(far, 4, 1.0).memberships.argmax(2)
    assert all(row[:4].unique().numel() == 4 for row in found)  # a center in each of the groups


def test_seeds_of_equal_rows():
    result = soft_kmeans(torch.ones(2, 5, 3), 3, 1.0)
    assert (result.centers == 1).all()
    assert result.converged.all()


def test_the_random_state_of_pytorch_is_left_alone():
    torch.manual_seed(0)
    before = torch.get_rng_state()
    soft_kmeans(blobs(2, 10, 2, 2), 2, 1.0, random_state=None)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.slow
def test_many_tiny_problems():
    x = draw(70_000, 4, 2).float()
    result = soft_kmeans(x, 2, 0.1)
    assert result.converged.all()
    single = soft_kmeans(x[-1], 2, 0.1)
    torch.testing.assert_close(result.centers[-1], single.centers, rtol=1e-6, atol=1e-7)


@pytest.fixture
def threads():
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


@pytest.mark.slow
def test_bits_do_not_depend_on_the_number_of_threads(threads):
    found = []
    for n_threads in (1, 2, 3):
        threads(n_threads)
        x = blobs(12_000, 6, 3, 2).requires_grad_()
        t = torch.tensor(1.0, dtype=torch.float64, requires_grad=True)
        result = soft_kmeans(x, 2, t)
        torch.autograd.backward(list(result), [draw(*part.shape) for part in result])
        found.append([result.centers, result.memberships, x.grad, t.grad])
    for other in found[1:]:
        assert all(map(torch.equal, found[0], other))


def test_fits_that_do_not_converge_warn():
    x = blobs(10, 50, 2, 3)
    with pytest.warns(
        ConvergenceWarning, match=r"10 of 10 problems have not converged in max_iter=2 iterations: raise"
    ):
        result = soft_kmeans(x, 3, 1.0, max_iter=2)
    assert not result.converged.any()
    assert (result.n_iter == 2).all()


# Gradients


@pytest.mark.parametrize("per", ["problem", "cluster"])
def test_gradients_are_those_of_unrolled_iterations(per):
    p, n, k, d = 20, 30, 3, 3
    x, w = blobs(p, n, d, k).requires_grad_(), (0.5 + draw(p, n, seed=1).abs()).requires_grad_()
    t = (0.8 + 0.1 * draw(p, 1 if per == "problem" else k, seed=2).abs()).requires_grad_()
    of_centers, of_resp = draw(p, k, d, seed=3), draw(p, n, k, seed=4)
    result = soft_kmeans(x, k, t, sample_weight=w)
    loss = (result.centers * of_centers).sum() + (result.memberships * of_resp).sum()
    found = torch.autograd.grad(loss, (x, w, t))
    centers = unrolled(x, result.centers.detach(), t, w, 400)
    loss = (centers * of_centers).sum() + (memberships(x, centers, t) * of_resp).sum()
    expected = torch.autograd.grad(loss, (x, w, t))
    for part, other in zip(found, expected, strict=True):
        torch.testing.assert_close(part, other, rtol=0, atol=1e-6 * float(other.abs().max()))
    solve = result.implicit
    assert solve.residual.shape == solve.n_steps.shape == (p,)
    assert (solve.residual <= 1e-9).all()
    assert (solve.n_steps <= 50).all()
    assert solve.is_convex.all()


@pytest.mark.slow
def test_gradcheck_of_masked_batches():
    x, w, t = blobs(3, 8, 2, 2), 0.5 + draw(3, 8, seed=1).abs(), 0.5 + 0.1 * draw(3, 1, seed=2).abs()
    mask = torch.arange(8) < torch.tensor([[8], [6], [5]])
    c0 = x[:, :2].clone()

    def function(x, t, w):
        return tuple(soft_kmeans(x, c0, t, sample_weight=w, mask=mask, tol=1e-24))

    assert torch.autograd.gradcheck(function, [part.requires_grad_() for part in (x, t, w)])


def test_gradients_in_float32():
    x = blobs(5, 40, 3, 3)
    gradients = []
    for dtype in ROUNDING:
        leaf = x.to(dtype).requires_grad_()
        soft_kmeans(leaf, x[:, :3].to(dtype), 1.0).centers[:, 0].square().sum().backward()
        gradients.append(leaf.grad.double())
    torch.testing.assert_close(*gradients, rtol=0, atol=1e-5 * float(gradients[1].abs().max()))


def test_centers_without_weight_have_no_gradient():
    x = torch.tensor([[0.0], [1.0], [4.0], [5.0]], dtype=torch.float64, requires_grad=True)
    c0 = torch.tensor([[0.5], [4.5], [1e4]], dtype=torch.float64)
    result = soft_kmeans(x, c0, 0.05)
    assert result.centers[2] == 1e4
    result.centers.sum().backward()
    torch.testing.assert_close(x.grad, torch.full_like(x, 0.5), rtol=0, atol=1e-6)


def test_memory_does_not_grow_with_iterations():
    def saved(tol):
        """Return the numbers that a fit keeps for the backward pass, and its iterations."""
        sizes = []
        x = (blobs(4, 50, 3, 4) / 2).requires_grad_()
        with torch.autograd.graph.saved_tensors_hooks(lambda a: sizes.append(a.numel()) or a, lambda a: a):
            n_iter = soft_kmeans(x, 4, 1.0, tol=tol).n_iter
        return sum(sizes), int(n_iter.min())

    (few, short), (many, long) = saved(1e-2), saved(1e-16)
    assert long > 4 * short
    assert few == many > 0


def test_double_backward_says_that_it_cannot():
    x = blobs(2, 20, 2, 2).requires_grad_()
    loss = soft_kmeans(x, 2, 1.0).centers.square().sum()
    (gradient,) = torch.autograd.grad(loss, x, create_graph=True)
    with pytest.raises(InputError, match="second derivatives of a fit are not supported"):
        gradient.square().sum().backward()


def test_a_saddle_warns_with_the_critical_temperature():
    x = blobs(3, 60, 2, 2)
    critical = critical_temperature(x[1].numpy())
    t = torch.tensor([[40.0], [0.9 * critical], [40.0]], dtype=torch.float64)
    leaf = x.clone().requires_grad_()
    result = soft_kmeans(leaf, x.mean(1, keepdim=True).expand(3, 2, 2), t)  # all centers at the mean
    message = rf"of problem 1 are not accurate.*positive curvature.*T is {0.9 * critical:.6g}.*{critical:.6g}"
    with pytest.warns(ConvergenceWarning, match=message):
        (result.centers * draw(3, 2, 2, seed=1)).sum().backward()
    assert result.implicit.is_convex.tolist() == [True, False, True]
    assert leaf.grad.isfinite().all()


def test_a_solution_that_is_not_accurate_warns(monkeypatch):
    monkeypatch.setattr(implicit, "MAX_STEPS", 1)
    x = (blobs(1, 60, 2, 3)[0] / 2).requires_grad_()
    result = soft_kmeans(x, 3, 1.0)
    with pytest.warns(ConvergenceWarning, match="of the fit are not accurate: conjugate gradients left"):
        result.centers[0].sum().backward()
    assert result.implicit.residual > 1e-9


def test_gradients_at_coinciding_centers_are_those_of_the_mean():
    x = blobs(1, 60, 2, 2)[0].requires_grad_()
    result = soft_kmeans(x, 2, 2 * critical_temperature(x.detach().numpy()))
    (result.centers[0] * torch.tensor([1.0, 2.0])).sum().backward()
    expected = torch.tensor([1.0, 2.0], dtype=torch.float64) / 60
    assert (result.centers - x.detach().mean(0)).abs().max() < 1e-4
    torch.testing.assert_close(x.grad.sum(0), 60 * expected, rtol=0, atol=1e-6)


@pytest.mark.slow
def test_a_feature_map_is_learned_through_converged_centers():
    """Two features tell three groups apart, four others are noise of a wider range: the map learns to leave it out."""
    generator, labels = torch.Generator().manual_seed(0), torch.arange(60) % 3
    groups = 3 * torch.tensor([[0.0, 1.0], [1.0, -0.5], [-1.0, -0.5]])
    same = (labels[:, None] == labels).float()

    def problems():
        rows = torch.randn(8, 60, 6, generator=generator) * torch.tensor([1.0, 1, 2, 2, 2, 2])
        rows[..., :2] += groups[labels]
        return rows

    def loss(rows):
        memberships = soft_kmeans(rows * weight, 3, 2.0).memberships
        together = memberships @ memberships.mT  # the probability that two rows share a cluster
        return torch.nn.functional.binary_cross_entropy(together.clamp(1e-4, 1 - 1e-4), same.expand_as(together))

    weight = torch.ones(6, requires_grad=True)
    optimizer, others = torch.optim.Adam([weight], lr=0.05), problems()
    before = loss(others).item()
    for _ in range(30):
        optimizer.zero_grad()
        loss(problems()).backward()
        optimizer.step()
    assert loss(others).item() < 0.5 * before
    assert weight[:2].abs().min() > 1.5 * weight[2:].abs().max()


# Bad input


X = blobs(5, 7, 3, 2)
BAD = {
    "k = 0": (lambda: soft_kmeans(X, 0, 1.0), "centers=0: give a whole number of 1 or more"),
    "no centers": (lambda: soft_kmeans(X, X[:, :0], 1.0), "k of 1 or more"),
    "too few rows": (lambda: soft_kmeans(X, 8, 1.0), "fewer rows of positive weight than centers=8 in problem 0"),
    "too few rows that count": (
        lambda: soft_kmeans(X, 2, 1.0, mask=torch.arange(7) < torch.tensor([[7], [7], [1], [7], [7]])),
        "fewer rows of positive weight than centers=2 in problem 2",
    ),
    "leading dimensions": (lambda: soft_kmeans(X, X[:3, :2], 1.0), r"do not fit together: \(5,\) of x, \(3,\) of c"),
    "no problems": (lambda: soft_kmeans(X[:0], 2, 1.0), "at least one problem"),
    "mask": (lambda: soft_kmeans(X, 2, 1.0, mask=torch.ones(5, 6).bool()), r"mask has shape \(5, 6\), .*\(5, 7\)"),
    "empty mask": (lambda: soft_kmeans(X, 2, 1.0, mask=torch.zeros(5, 7).bool()), "False for all rows of problem 0"),
    "NaN": (lambda: soft_kmeans(X.log(), 2, 1.0), "x contains NaN or infinity in problem 0"),
    "NaN in centers": (lambda: soft_kmeans(X, X[:, :2] / 0, 1.0), "centers contain NaN or infinity in problem 0"),
    "negative weight": (lambda: soft_kmeans(X, 2, 1.0, sample_weight=-X[..., 0].abs()), "sample_weight contains a neg"),
    "no weight": (lambda: soft_kmeans(X[0], 2, 1.0, sample_weight=0 * X[0, :, 0]), "there is no row of positive"),
    "T = 0": (lambda: soft_kmeans(X, 2, 0.0), "temperature=0.0: give a finite number above 0"),
    "negative T": (lambda: soft_kmeans(X, 2, torch.tensor([1.0, 1, 1, -1, 1])[:, None]), "not a finite .* problem 3"),
    "T of others": (lambda: soft_kmeans(X, 2, torch.ones(5, 3)), r"temperature has shape \(5, 3\)"),
    "max_iter": (lambda: soft_kmeans(X, 2, 1.0, max_iter=0), "max_iter=0"),
    "tol": (lambda: soft_kmeans(X, 2, 1.0, tol=-1.0), "tol=-1.0"),
    "integers": (lambda: soft_kmeans(X.long(), 2, 1.0), "x has dtype torch.int64"),
    "one dimension": (lambda: soft_kmeans(X[0, 0], 2, 1.0), r"x has shape \(3,\), expected \(\.\.\., n, d\)"),
    "random_state": (lambda: soft_kmeans(X, 2, 1.0, random_state="now"), "random_state='now'"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_an_error_before_anything_is_computed(name, monkeypatch):
    call, message = BAD[name]
    monkeypatch.setattr(fits, "over_pieces", None)  # which runs whatever is computed
    with warnings.catch_warnings(), pytest.raises(InputError, match=message):
        call()


def test_rows_of_a_wide_range_are_assigned_as_by_assign():
    x = blobs(2, 30, 2, 3)
    x[:, 0] += 1e6
    centers, resp = soft_kmeans(x, x[:, :3], 1.0)
    torch.testing.assert_close(resp, assign(x, centers, 1.0))
