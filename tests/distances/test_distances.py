"""The distances and their densities."""

import numpy as np
import pytest
import torch
from scipy import integrate, stats
from scipy.spatial.distance import cdist

from softkmeans.distances import DISTANCES, as_distance
from softkmeans.errors import InputError

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("name", DISTANCES)
def test_distances_agree_with_scipy(name):
    x, c = torch.tensor(RNG.normal(size=(20, 4))), torch.tensor(RNG.normal(size=(3, 4)))
    d = as_distance(name).between(as_distance(name).embed(x), as_distance(name).embed(c))
    np.testing.assert_allclose(d.numpy(), cdist(x, c, name), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("name", DISTANCES)
def test_slope_is_the_derivative_in_the_squared_distance(name):
    distance = as_distance(name)
    x, c = (distance.embed(torch.tensor(RNG.normal(size=(1, 3)))) for _ in range(2))
    squared = float((x - c).square().sum())
    d = distance.between(x, c)
    of_squared = {"sqeuclidean": lambda q: q, "euclidean": np.sqrt, "cosine": lambda q: q / 2}[name]
    assert float(d) == pytest.approx(of_squared(squared), rel=1e-12)
    numeric = (of_squared(squared + 1e-6) - of_squared(squared - 1e-6)) / 2e-6
    assert float(torch.as_tensor(distance.slope(d))) == pytest.approx(numeric, rel=1e-6)


@pytest.mark.parametrize("d", [1, 2, 5])
@pytest.mark.parametrize("t", [0.3, 4.0])
@pytest.mark.parametrize(("name", "power"), [("sqeuclidean", 2), ("euclidean", 1)])
def test_partition_function_by_quadrature(name, power, d, t):
    area = (
        2 * np.pi ** (d / 2) / stats.gamma.moment(1, 1.0) / np.exp(float(torch.lgamma(torch.tensor(d / 2.0).double())))
    )
    integral, _ = integrate.quad(
        lambda r: area * r ** (d - 1) * np.exp(-(r**power) / t), 0, np.inf, epsabs=0, epsrel=1e-11
    )
    log_z = as_distance(name).log_partition(torch.tensor(t, dtype=torch.float64), d)
    assert float(log_z) == pytest.approx(np.log(integral), abs=1e-9)


@pytest.mark.parametrize("d", [2, 3, 4, 10, 64])
@pytest.mark.parametrize("t", [1e-6, 1e-2, 0.3, 2.0, 100.0])
def test_cosine_partition_function_matches_von_mises_fisher(d, t):
    pole = np.eye(d)[0]
    log_z = float(as_distance("cosine").log_partition(torch.tensor(t, dtype=torch.float64), d))
    assert log_z == pytest.approx(
        -float(np.squeeze(stats.vonmises_fisher(pole, 1 / t).logpdf(pole))), abs=1e-10, rel=1e-11
    )


@pytest.mark.parametrize("name", DISTANCES)
@pytest.mark.parametrize("d", [2, 7])
def test_likeliest_temperature_minimizes_the_negative_log_likelihood(name, d):
    distance, mean = as_distance(name), 0.35
    likeliest = distance.likeliest_temperature(mean, d)

    def nll(t):
        return mean / t + float(distance.log_partition(torch.tensor(t, dtype=torch.float64), d))

    assert nll(likeliest) < min(nll(likeliest * 0.99), nll(likeliest * 1.01))
    assert distance.mean_distortion(likeliest, d) == pytest.approx(mean, rel=1e-9)


@pytest.mark.parametrize("name", DISTANCES)
def test_samples_have_the_mean_distortion_of_the_density(name):
    distance, center = as_distance(name), np.array([0.6, 0.0, 0.8])
    rows = distance.sample_around(center, 0.2, 40_000, np.random.default_rng(0))
    d = distance.between(torch.tensor(rows), torch.tensor(center)[None])
    assert float(d.mean()) == pytest.approx(distance.mean_distortion(0.2, 3), rel=0.02)


@pytest.mark.parametrize("bad", ["manhattan", None, 2])
def test_unknown_distance(bad):
    with pytest.raises(InputError, match="choose one of sqeuclidean, euclidean, cosine"):
        as_distance(bad)
