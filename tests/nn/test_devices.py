"""The module and the estimator on other devices: the same results as on the CPU, and shapes without data.

``make test-gpu`` sets SOFTKMEANS_NEEDS_GPU, so that a machine without a GPU fails instead of skipping these tests.
"""

import copy
import os

import pytest
import torch

from softkmeans import SoftKMeans, SoftKMeansLayer, train_layer
from softkmeans.distances import DISTANCES

OBJECTIVES = ["free_energy", "distortion", "nll"]
MEMBERS = {
    "plain": {},
    "priors": {"priors": [0.2, 0.3, 0.5]},
    "noise": {"noise_distance": 3.0},
    "temperatures": {"temperature": [0.5, 1.0, 2.0]},
}


@pytest.fixture
def gpu():
    """Return a GPU; skip the test without one."""
    for name in ("cuda", "mps"):
        if getattr(torch, name).is_available():
            return torch.device(name)
    if os.environ.get("SOFTKMEANS_NEEDS_GPU"):
        pytest.fail("there is no GPU")
    return pytest.skip("there is no GPU")


def make_layer(distance="sqeuclidean", **options):
    generator = torch.Generator().manual_seed(0)
    return SoftKMeansLayer(3, 4, distance=distance, generator=generator, device="cpu", **options)


def rows(n=500):
    return torch.randn(n, 4, generator=torch.Generator().manual_seed(1)) + 3


def objectives(options):
    return [name for name in OBJECTIVES if name != "free_energy" or "temperature" not in options]


@pytest.mark.parametrize("member", MEMBERS)
@pytest.mark.parametrize("distance", DISTANCES)
def test_a_gpu_gives_the_results_of_the_cpu(gpu, distance, member):
    options = MEMBERS[member]
    module = make_layer(distance, **options)
    other, x = copy.deepcopy(module).to(gpu), rows()
    torch.testing.assert_close(other(x.to(gpu)).cpu(), module(x), rtol=1e-4, atol=1e-5)
    for objective in objectives(options):
        for one, data in ((module, x), (other, x.to(gpu))):
            one.zero_grad()
            one.loss(data, objective).backward()
        torch.testing.assert_close(other.centroids.grad.cpu(), module.centroids.grad, rtol=1e-4, atol=1e-5)


def test_training_and_fitting_on_a_gpu(gpu):
    x = rows()
    module, other = make_layer(), make_layer().to(gpu)
    train_layer(module, x, init="k-means++", random_state=0)
    train_layer(other, x.to(gpu), init="k-means++", random_state=0)
    assert other.loss(x.to(gpu)).item() == pytest.approx(module.loss(x).item(), rel=1e-3)
    found = SoftKMeans(3, random_state=0).fit(x.to(gpu))
    expected = SoftKMeans(3, random_state=0).fit(x)
    assert found.score(x.to(gpu)) == pytest.approx(expected.score(x), rel=1e-3)


@pytest.mark.parametrize("member", MEMBERS)
@pytest.mark.parametrize("distance", DISTANCES)
def test_shapes_without_data(distance, member):
    options = MEMBERS[member]
    if distance == "cosine" and "temperature" in options:
        return  # the density of directions is computed on the CPU
    module, x = make_layer(distance, **options).to("meta"), torch.empty(2, 5, 4, device="meta")
    assert module(x).shape == (2, 5, 3)
    for objective in [name for name in objectives(options) if distance != "cosine" or name != "nll"]:
        loss = module.loss(x, objective)
        assert (loss.shape, loss.device.type) == ((), "meta")
        loss.backward()
        assert module.centroids.grad.shape == module.centroids.shape


def test_a_layer_follows_the_default_device():
    torch.set_default_device("meta")
    try:
        assert SoftKMeansLayer(3, 2).centroids.is_meta
    finally:
        torch.set_default_device(None)
    assert SoftKMeansLayer(3, 2).centroids.isfinite().all()
