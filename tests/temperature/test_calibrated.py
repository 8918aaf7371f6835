"""The calibrated temperature: closed forms, invariances, and the calibration of memberships."""

import numpy as np
import pytest
import torch
from scipy.linalg import block_diag
from scipy.stats import ortho_group

from softkmeans import accumulate
from softkmeans.metrics import align, expected_calibration_error
from softkmeans.temperature.calibrated import calibrated_temperature


def temperature(centers, weight, covariance):
    t = calibrated_temperature(*(torch.as_tensor(np.asarray(part, float)) for part in (centers, weight, covariance)))
    assert isinstance(t, float)
    return t


def line(*centers, weight=None, within=1.0):
    """Return centers, weights and covariance of clusters on a line."""
    c, w = np.array(centers, float), np.ones(len(centers)) if weight is None else np.array(weight, float)
    covariance = within + np.cov(c, aweights=w, bias=True)
    return c[:, None], w, np.atleast_2d(covariance)


def problem(seed=0, n=300, k=4, d=3):
    """Return centers, weights and covariance of random rows with random memberships."""
    rng = np.random.default_rng(seed)
    x, resp = rng.normal(size=(n, d)) @ rng.normal(size=(d, d)), rng.dirichlet(np.full(k, 0.1), n)
    return resp.T @ x / resp.sum(0)[:, None], resp.sum(0), np.cov(x.T, bias=True)


def spread_out(centers, weight, covariance):
    """Return the same clusters farther apart, with the same variance within."""
    between = np.cov(centers.T, aweights=weight, bias=True)
    return 9 * centers, weight, covariance + 80 * between


# Closed forms


@pytest.mark.parametrize("gap", [2.0, 3.0, 10.0, 1e3])
@pytest.mark.parametrize("weight", [(1, 1), (3, 1), (1, 1e-9)])
@pytest.mark.parametrize("within", [1e-6, 1.0, 50.0])
def test_two_clusters_on_a_line(gap, weight, within):
    s = np.sqrt(within)
    assert temperature(*line(0, gap * s, weight=weight, within=within)) == pytest.approx(2 * within, rel=1e-8)


@pytest.mark.parametrize("gap", [1e-3, 0.5, 1.0, 1.9])
def test_two_clusters_with_one_mode(gap):
    assert temperature(*line(0, gap)) == pytest.approx(1 + gap**2 / 4)  # half the critical temperature


def test_two_clusters_across_and_along():
    within, along = np.array([[2.0, 1.5], [1.5, 3.0]]), np.array([3.0, 4.0])
    covariance = within + np.outer(along, along)
    unit = along / 5
    assert temperature([-along, along], [1, 1], covariance) == pytest.approx(2 * unit @ within @ unit)


def test_pairs_are_weighted_by_their_overlap():
    within, c = np.diag([1.0, 4.0]), np.array([[0.0, 0.0], [3.0, 0.0], [0.0, 6.0]])
    weight = np.array([0.5, 0.2, 0.3])
    variances, gaps = np.array([1.0, 4.0, 1 / 5 + 4 * 4 / 5]), np.array([9.0, 36.0, 45.0])
    overlap = np.array([0.1, 0.15, 0.06]) * np.exp(-gaps / variances / 8)
    expected = 2 * overlap @ variances / overlap.sum()
    covariance = within + np.cov(c.T, aweights=weight, bias=True)
    assert temperature(c, 70 * weight, covariance) == pytest.approx(expected)


def test_far_clusters_have_no_effect():
    c, w, covariance = line(0, 3)
    far = np.append(c, [[1e6]], 0)
    between = np.cov(far.T, aweights=[1, 1, 1e-3], bias=True).reshape(1, 1)
    assert temperature(far, [*w, 1e-3], between + 1) == pytest.approx(temperature(c, w, covariance), rel=1e-3)
    assert temperature(*line(0, 1e4, 3e4)) == pytest.approx(2, rel=1e-6)  # also if all are far apart


# Invariances


@pytest.mark.parametrize("clusters", [problem(), spread_out(*problem(1)), problem(2, k=2), problem(3, k=8, d=2)])
def test_shift_rotation_scale_and_order(clusters):
    c, w, covariance = clusters
    expected = temperature(c, w, covariance)
    q = ortho_group.rvs(c.shape[1], random_state=0)
    order = np.random.default_rng(0).permutation(len(c))
    assert temperature(c + 100, w, covariance) == pytest.approx(expected, rel=1e-9)
    assert temperature(c @ q, w, q.T @ covariance @ q) == pytest.approx(expected, rel=1e-11)
    assert temperature(c[order], w[order], covariance) == pytest.approx(expected, rel=1e-11)
    assert temperature(c, w / w.sum(), covariance) == pytest.approx(expected, rel=1e-11)
    for scale in (1e-20, 1e20):
        assert temperature(c * scale, w, covariance * scale**2) == pytest.approx(expected * scale**2, rel=1e-11)


@pytest.mark.parametrize("clusters", [problem(4), spread_out(*problem(5))])
def test_features_in_which_centers_do_not_differ(clusters):
    c, w, covariance = clusters
    noise = np.full((len(c), 2), 7.0)
    more = block_diag(covariance, [[100.0, 30.0], [30.0, 10.0]])
    assert temperature(np.hstack([c, noise]), w, more) == pytest.approx(temperature(c, w, covariance), rel=1e-11)


@pytest.mark.parametrize("times", [2, 5])
def test_repeated_features_do_not_change_memberships(times):
    c, w, covariance = problem(6)
    repeated = temperature(np.tile(c, times), w, np.tile(covariance, (times, times)))
    assert repeated == pytest.approx(times * temperature(c, w, covariance), rel=1e-11)  # like squared distances


def test_other_types_and_tensors_with_a_gradient():
    given = [torch.tensor(part, requires_grad=True) for part in problem()]
    expected = calibrated_temperature(*given)
    assert calibrated_temperature(*(part.detach().float() for part in given)) == pytest.approx(expected, rel=1e-5)


# Degenerate cases


@pytest.mark.parametrize("centers", [[[1.0, 2.0]], [[1.0, 2.0]] * 3, [[1.0, 2.0], [1.0 + 1e-12, 2.0]]])
def test_without_distinct_centers_it_is_twice_the_mean_variance(centers):
    assert temperature(centers, np.ones(len(centers)), [[1.0, 0.5], [0.5, 3.0]]) == pytest.approx(4)


def test_coinciding_centers_have_no_effect_on_the_others():
    assert temperature(*line(0, 0, 3)) == pytest.approx(2)


def test_an_empty_cluster_has_no_effect():
    c, w, covariance = problem()
    with_empty = np.append(c, [[1e3, -1e3, 5.0]], 0)
    assert temperature(with_empty, [*w, 0], covariance) == pytest.approx(temperature(c, w, covariance), rel=1e-12)
    assert temperature(with_empty, np.zeros(5), covariance) == pytest.approx(2 * np.trace(covariance) / 3)


def test_clusters_without_variance():
    assert temperature(*line(0, 3, within=0.0)) == pytest.approx(0, abs=1e-12)
    c, w, covariance = line(0, 3, within=-1e-3)  # these centers are not the means of the rows
    assert temperature(c, w, covariance) == 0
    assert temperature([[0.0], [0.0]], [1, 1], [[0.0]]) == 0


def test_a_thousand_clusters():
    assert np.isfinite(temperature(*problem(7, n=3000, k=1000, d=40)))


# Calibration of memberships


def calibrated(x, centers, passes=300):
    """Run EM with T recomputed in each pass; return T, the number of passes, and memberships (n, k)."""
    covariance, c, t = torch.tensor(np.cov(x.T, bias=True)).reshape(x.shape[1], -1), torch.tensor(centers), 1e-3
    for n_passes in range(1, passes + 1):  # noqa: B007 -- returned below
        stats = accumulate(x, c, t)
        c, last = stats.weighted_sum / stats.weight[:, None], t
        t = calibrated_temperature(c, stats.weight, covariance)
        if abs(t / last - 1) < 1e-9:
            break
    return t, n_passes, memberships(x, c, t)


def memberships(x, centers, t):
    d = ((x[:, None] - np.asarray(centers)) ** 2).sum(2)
    resp = np.exp(-(d - d.min(1, keepdims=True)) / t)
    return resp / resp.sum(1, keepdims=True)


def mixture(gap, copies, heavy=False, seed=0, n=4000):
    """Return two clusters on a line and a second feature, both repeated; heavy tails have 5 degrees of freedom."""
    rng = np.random.default_rng(seed)
    labels, x = rng.integers(2, size=n), rng.normal(size=(n, 2))
    x = x / np.sqrt(rng.chisquare(5, (n, 1)) / 3) if heavy else x
    x[:, 0] += gap * labels
    return np.tile(x, copies) + 0.1 * rng.normal(size=(n, 2 * copies)), labels


def error(resp, labels):
    return expected_calibration_error(resp[:, align(np.eye(2)[labels], resp)], labels)


@pytest.mark.parametrize("copies", [1, 8])
@pytest.mark.parametrize("gap", [2.5, 4.0])
def test_memberships_are_calibrated(gap, copies):
    x, labels = mixture(gap, copies)
    t, passes, resp = calibrated(x, x[[labels.argmin(), labels.argmax()]])
    assert t == pytest.approx(2 * copies, rel=0.15)
    assert passes < 300
    assert error(resp, labels) < 0.02
    if copies > 1:  # the maximum-likelihood temperature is 2
        assert error(memberships(x, [x[labels == j].mean(0) for j in (0, 1)], 2.0), labels) > 2 * error(resp, labels)


@pytest.mark.parametrize("gap", [2.0, 2.5])
def test_heavy_tails_do_not_merge_clusters(gap):
    x, labels = mixture(gap, 4, heavy=True)
    _, passes, resp = calibrated(x, x[[labels.argmin(), labels.argmax()]])
    assert passes < 300
    assert resp.max(1).mean() > 0.8
    assert error(resp, labels) < 0.08


def test_two_clusters_of_one_normal_distribution_have_soft_memberships():
    x = np.random.default_rng(1).normal(size=(4000, 1))
    t, _, resp = calibrated(x, np.array([[-1.0], [1.0]]))
    assert t == pytest.approx(1, rel=0.05)
    assert resp.max(1).mean() < 0.85


def test_a_fit_of_rescaled_and_rotated_rows_is_the_same():
    x, labels = mixture(3.0, 2)
    start = x[[labels.argmin(), labels.argmax()]]
    t, _, resp = calibrated(x, start)
    q = 1e3 * ortho_group.rvs(4, random_state=0)
    other, _, same = calibrated(x @ q, start @ q)
    assert other == pytest.approx(1e6 * t, rel=1e-6)
    np.testing.assert_allclose(same, resp, atol=1e-6)
