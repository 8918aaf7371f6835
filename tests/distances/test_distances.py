"""The distances and their densities."""

from functools import partial

import numpy as np
import pytest
import torch
from scipy import integrate, stats
from scipy.spatial.distance import cdist

from softkmeans.distances import DISTANCES, Distance, as_distance
from softkmeans.distances.radial_density import RadialDensity
from softkmeans.errors import InputError

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("name", DISTANCES)
def test_distances_agree_with_scipy(name):
    x, c = torch.tensor(RNG.normal(size=(20, 4))), torch.tensor(RNG.normal(size=(3, 4)))
    d = as_distance(name).between(as_distance(name).embed(x), as_distance(name).embed(c))
    np.testing.assert_allclose(d.numpy(), cdist(x, c, name), rtol=1e-12, atol=1e-14)


OF_SQUARED = {"sqeuclidean": lambda q: q, "euclidean": np.sqrt, "cosine": lambda q: q / 2}


@pytest.mark.parametrize("name", DISTANCES)
def test_distances_are_functions_of_the_squared_distance(name):
    distance = as_distance(name)
    x, c = (distance.embed(torch.tensor(RNG.normal(size=(1, 3)))) for _ in range(2))
    squared = float((x - c).square().sum())
    assert float(distance.between(x, c)) == pytest.approx(OF_SQUARED[name](squared), rel=1e-12)


@pytest.mark.parametrize("owner", ["own", "default"])
@pytest.mark.parametrize("name", DISTANCES)
def test_slope_is_the_derivative_in_the_squared_distance(name, owner):
    distance, of_squared = as_distance(name), OF_SQUARED[name]
    squared = np.array([[1e-6, 0.3, 2.0]])
    numeric = (of_squared(squared * (1 + 1e-6)) - of_squared(squared * (1 - 1e-6))) / (2e-6 * squared)
    with_slope = distance.with_slope if owner == "own" else partial(Distance.with_slope, distance)
    d, slope = with_slope(torch.tensor(squared))
    np.testing.assert_allclose(d.numpy(), of_squared(squared), rtol=1e-14)
    np.testing.assert_allclose(slope.numpy(), numeric, rtol=1e-6)
    if distance.constant_slope is not None:
        np.testing.assert_allclose(numeric, distance.constant_slope, rtol=1e-6)


@pytest.mark.parametrize("owner", ["own", "default"])
@pytest.mark.parametrize("name", DISTANCES)
def test_to_squared_is_the_inverse(name, owner):
    distance = as_distance(name)
    to_squared = distance.to_squared if owner == "own" else partial(Distance.to_squared, distance)
    squared = torch.tensor([1e-30, 0.3, 2.0, 1e9], dtype=torch.float64)
    torch.testing.assert_close(to_squared(distance.of_squared(squared)), squared, rtol=1e-12, atol=0)


@pytest.mark.parametrize("n_features", [1, 2, 16, 500])
@pytest.mark.parametrize("t", [1e-6, 0.3, 1e4])
@pytest.mark.parametrize("name", ["sqeuclidean", "euclidean"])
def test_density_by_quadrature_against_closed_forms(name, t, n_features):
    distance = as_distance(name)
    density = RadialDensity(name, distance.of_squared, n_features)
    temperature = torch.tensor(t, dtype=torch.float64, requires_grad=True)
    log_z = density.log_partition(temperature)
    expected = float(distance.log_partition(temperature.detach(), n_features))
    assert float(log_z.detach()) == pytest.approx(expected, rel=1e-11)
    (slope,) = torch.autograd.grad(log_z, temperature)
    mean = distance.mean_distortion(t, n_features)
    assert float(slope) * t * t == pytest.approx(mean, rel=1e-11)
    assert density.mean_distortion(t) == pytest.approx(mean, rel=1e-11)
    assert density.likeliest_temperature(mean) == pytest.approx(t, rel=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["sqeuclidean", "euclidean"])
def test_samples_by_quadrature_have_the_right_distances(name):
    distance, t, d = as_distance(name), 0.7, 3
    density = RadialDensity(name, distance.of_squared, d)
    one = density.sample_around(np.ones(d), t, 20000, np.random.default_rng(0)) - 1
    other = distance.sample_around(np.zeros(d), t, 20000, np.random.default_rng(1))
    assert stats.ks_2samp(np.linalg.norm(one, axis=1), np.linalg.norm(other, axis=1)).pvalue > 0.01
    assert np.abs(one.mean(0)).max() < 0.05


class Cauchy(Distance):
    name = "cauchy"
    power = None

    def of_squared(self, squared):
        return squared.log1p()


def test_density_of_a_distance_that_grows_slowly():
    """Check that exp(-log(1 + r²) / T) is normalized up to T = 2 / d only, and is Student's t distribution below it."""
    t = torch.tensor(0.5, dtype=torch.float64)
    # With d = 1 and T = 1/2, the density is proportional to (1 + r²)^-2, whose integral is π / 2.
    assert float(Cauchy().log_partition(t, 1)) == pytest.approx(np.log(np.pi / 2), rel=1e-10)
    with pytest.raises(InputError, match="distance='cauchy' has no density in 1 dimensions at temperature 3"):
        Cauchy().log_partition(torch.tensor(3.0), 1)
    mean = Cauchy().mean_distortion(0.5, 1)
    assert Cauchy().likeliest_temperature(mean, 1) == pytest.approx(0.5, rel=1e-9)


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


@pytest.mark.parametrize("name", ["sqeuclidean", "euclidean", "cosine"])
def test_partition_function_of_one_and_of_several_temperatures(name):
    distance, temperatures = as_distance(name), torch.tensor([0.3, 4.0], dtype=torch.float64)
    found = [distance.log_partition_at(t, 3) for t in temperatures.tolist()]
    np.testing.assert_allclose(found, distance.log_partitions(temperatures, 3), rtol=1e-12)


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
