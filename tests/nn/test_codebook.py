"""The codebook: quantization, learning from batches, usage, and its behavior as a PyTorch module."""

import copy
import io
import math
import pickle
import random

import numpy as np
import pytest
import scipy
import torch
from scipy.spatial.distance import cdist
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning
from torch.nn.functional import mse_loss

from softkmeans import InputError, SoftCodebook
from softkmeans.nn.first_codes import choose_codes
from softkmeans.nn.quantization import code_means
from softkmeans.temperature import Schedule


def vectors(n=200, d=3, seed=0, dtype=torch.float64):
    """Rows around 8 places."""
    rng = np.random.default_rng(seed)
    places = np.random.default_rng(99).normal(size=(8, d)) * 5
    return torch.tensor(places[rng.integers(8, size=n)] + rng.normal(size=(n, d)), dtype=dtype)


def codebook(**arguments):
    standard = {"dim": 3, "codebook_size": 8, "random_state": 0, "dtype": torch.float64}
    return SoftCodebook(**(standard | arguments))


def given(codes, **arguments):
    """Return a codebook with given codes."""
    module = codebook(codebook_size=len(codes), kmeans_init=False, **arguments)
    with torch.no_grad():
        module.codebook.copy_(codes)
    return module


def resp(x, c, t):
    return scipy.special.softmax(-(cdist(x, c) ** 2) / t, axis=1)


@pytest.mark.parametrize("n", [50, 9000], ids=["few rows", "compiled kernels"])
def test_means_of_codes_and_their_gradients(n):
    x, c, t = vectors(n), vectors(12, seed=1), torch.tensor(2.0, dtype=torch.float64)
    found, expected = ([part.clone().requires_grad_() for part in (x, c)] for _ in range(2))
    means = code_means(*found, t)
    reference = ((-(torch.cdist(*expected) ** 2) / t).softmax(1)) @ expected[1]
    np.testing.assert_allclose(means.detach(), resp(x, c, 2.0) @ c.numpy(), rtol=1e-6, atol=1e-6)
    cotangent = torch.randn(reference.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    for result in (means, reference):
        result.backward(cotangent)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one.grad, other.grad, rtol=1e-5, atol=1e-6)


def test_means_of_codes_without_gradients():
    x, c, t = vectors(), vectors(12, seed=1), torch.tensor(2.0, dtype=torch.float64)
    with torch.inference_mode():
        means = code_means(x.clone(), c.clone(), t.clone())
    assert not means.requires_grad
    np.testing.assert_allclose(means, resp(x, c, 2.0) @ c.numpy())


def saved_bytes(k):
    """Return how many bytes a quantization keeps for its backward pass."""
    x = vectors(20_000, dtype=torch.float32).requires_grad_()
    module = given(torch.randn(k, 3), dtype=torch.float32, temperature=1.0)
    seen = {}

    def count(tensor):
        seen[tensor.data_ptr()] = tensor.nbytes
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor):
        module(x).quantized.sum().backward()
    return sum(seen.values())


def test_memory_does_not_grow_with_the_number_of_codes():
    assert saved_bytes(512) < 1.2 * saved_bytes(8)


@pytest.mark.parametrize("options", [{}, {"straight_through": True}], ids=["soft", "straight_through"])
def test_evaluation_looks_up_the_nearest_codes(options):
    x, c = vectors(), vectors(9, seed=1)
    module = given(c, temperature=1.0, **options).eval()
    quantized, indices, loss = module(x)
    nearest = cdist(x, c).argmin(1)
    np.testing.assert_array_equal(indices, nearest)
    assert torch.equal(quantized, c[nearest])
    assert loss.item() == pytest.approx(((x - c[nearest]) ** 2).mean().item())
    assert torch.equal(module.get_output_from_indices(indices), quantized)


def test_a_step_follows_running_averages():
    """Compare with the formulas, written out in NumPy."""
    x, c = vectors(), vectors(9, seed=1)
    module = given(c, temperature=2.0, decay=0.7, threshold_ema_dead_code=0)
    quantized, indices, _ = module(x)
    r, n, k = resp(x, c, 2.0), len(x), len(c)
    np.testing.assert_allclose(quantized, r @ c.numpy())
    np.testing.assert_array_equal(indices, cdist(x, c).argmin(1))
    weight = 0.7 * n / k + 0.3 * r.sum(0)
    total = 0.7 * n / k * c.numpy() + 0.3 * r.T @ x.numpy()
    np.testing.assert_allclose(module.embed_weight, weight)
    np.testing.assert_allclose(module.codebook, total / weight[:, None])
    np.testing.assert_allclose(module.cluster_size, 0.7 * n / k + 0.3 * np.bincount(indices, minlength=k))
    d2 = cdist(x, c) ** 2
    distortion = 0.7 * d2.min(1).mean() + 0.3 * (r * d2).sum(1).mean()
    np.testing.assert_allclose(module.distortion, distortion)
    share = module.cluster_size / module.cluster_size.sum()
    assert module.perplexity.item() == pytest.approx(math.exp(scipy.stats.entropy(share)))


def test_without_decay_and_softness_a_step_is_one_of_hard_kmeans():
    x, c = vectors(), vectors(8)
    module = given(c, temperature=1e-6, decay=0.0, threshold_ema_dead_code=0)
    module(x)
    expected = KMeans(8, init=c.numpy(), n_init=1, max_iter=1, tol=0).fit(x.numpy())
    np.testing.assert_allclose(module.codebook, expected.cluster_centers_, atol=1e-9)


def test_the_straight_gradient_is_the_identity():
    x, c = vectors().requires_grad_(), vectors(9, seed=1)
    quantized, indices, _ = given(c, temperature=1.0, straight_through=True)(x)
    assert torch.equal(quantized.detach(), c[indices])
    (quantized**3).sum().backward()
    torch.testing.assert_close(x.grad, 3 * c[indices] ** 2)


@pytest.mark.parametrize("straight_through", [False, True])
def test_the_loss_pulls_vectors_to_their_quantized_values(straight_through):
    x, c = vectors().requires_grad_(), vectors(9, seed=1)
    module = given(c, temperature=1.0, straight_through=straight_through, commitment_weight=0.3)
    quantized, _, loss = module(x)
    assert loss.item() == pytest.approx(0.3 * ((x - quantized) ** 2).mean().item())
    loss.backward()
    torch.testing.assert_close(x.grad, 0.6 * (x - quantized).detach() / x.numel())


def test_codes_as_parameters_learn_by_the_free_energy():
    x, c = vectors(), vectors(9, seed=1)
    module = given(c, temperature=2.0, ema_update=False, commitment_weight=0.0)
    assert isinstance(module.codebook, torch.nn.Parameter)
    module(x).loss.backward()
    r = resp(x, c, 2.0)
    expected = 2 * (r.sum(0)[:, None] * c.numpy() - r.T @ x.numpy()) / x.numel()  # ∂F/∂c per number of x
    np.testing.assert_allclose(module.codebook.grad, expected, atol=1e-12)
    assert torch.equal(module.codebook, c)  # only an optimizer moves them


def test_an_optimizer_trains_codes_as_parameters():
    x = vectors(400)
    module = codebook(ema_update=False, temperature=0.5)
    optimizer = torch.optim.Adam(module.parameters(), lr=0.05)
    for _ in range(100):
        optimizer.zero_grad()
        module(x).loss.backward()
        optimizer.step()
    best = KMeans(8, n_init=5, random_state=0).fit(x.numpy()).inertia_ / x.numel()
    assert module.eval()(x).loss.item() < 1.1 * best


def test_the_default_temperature_follows_the_scale():
    x = vectors()
    module, scaled = codebook(), codebook()
    for _ in range(5):
        quantized, larger = module(x).quantized, scaled(1024 * x).quantized
        torch.testing.assert_close(1024 * quantized, larger)
    assert module.temperature.item() == pytest.approx(module.distortion.item() / 3)
    assert scaled.temperature.item() == pytest.approx(1024**2 * module.temperature.item())


def test_a_schedule_gives_the_temperature_of_each_step():
    module, x, found = codebook(temperature=Schedule([4.0, 2.0, 1.0])), vectors(), []
    for _ in range(5):
        module(x)
        found.append(module.temperature.item())
    assert found == pytest.approx([4, 2, 1, 1, 1])
    module.eval()(x)
    with pytest.raises(InputError, match="follows its schedule"):
        module.temperature = 1.0


def test_a_temperature_can_be_set():
    module = codebook(temperature=2.0)
    module.temperature = 0.25
    module(vectors())
    assert module.temperature.item() == pytest.approx(0.25)
    with pytest.raises(InputError, match="temperature=-1"):
        module.temperature = -1
    with pytest.raises(InputError, match="follows the distortion"):
        codebook().temperature = 1.0


def test_sequences_and_images_are_rows():
    x = vectors(2 * 5 * 4).requires_grad_()
    rows, sequences, images = (codebook(threshold_ema_dead_code=0) for _ in range(3))
    quantized, indices, loss = rows(x)
    q, i, other = sequences(x.view(2, 20, 3))
    assert torch.equal(q, quantized.view(2, 20, 3))
    assert torch.equal(i, indices.view(2, 20))
    assert torch.equal(other, loss)
    q, i, other = images(x.view(2, 5, 4, 3).movedim(-1, 1))
    assert q.shape == (2, 3, 5, 4)
    assert torch.equal(q.movedim(1, -1).reshape(-1, 3), quantized)
    assert torch.equal(i, indices.view(2, 5, 4))
    assert images.get_output_from_indices(i).shape == q.shape
    assert torch.equal(other, loss)


def test_the_start_is_as_good_as_kmeans():
    x = vectors(500)
    module = codebook(codebook_size=32)
    module(x)
    best = KMeans(32, n_init=5, random_state=0).fit(x.numpy()).inertia_ / x.numel()
    assert module.eval()(x).loss.item() < 1.1 * best
    assert int(module.dead_codes.sum()) == 0


def test_the_first_batches_choose_the_codes(monkeypatch):
    """With 8 codes, up to 256 vectors choose them, 32 for each code."""
    found, choose = [], choose_codes

    def record(source, *arguments):
        found.append(source.n_rows)
        return choose(source, *arguments)

    monkeypatch.setattr("softkmeans.nn.codebook.choose_codes", record)
    module = codebook()
    for batch in vectors(40 * 12).split(40):
        module(batch)
    assert found == [40, 80, 160, 280]


def test_too_few_first_vectors():
    module = codebook()
    with pytest.raises(InputError, match="codebook_size=8 is more than the 7 vectors of the first batch: lower it"):
        module(vectors(7))
    module(vectors(8))
    assert module.eval()(vectors(8)).loss.item() == pytest.approx(0, abs=1e-9)


def test_equal_vectors_are_no_problem():
    x = torch.ones(64, 3, dtype=torch.float64)
    module = codebook(codebook_size=2)
    with pytest.warns(ConvergenceWarning, match="1 distinct rows, fewer than n_clusters=2"):
        module(x)
    for _ in range(3):
        quantized, _, loss = module(x)
    assert torch.equal(quantized, x)
    assert loss == 0
    later = vectors()
    for _ in range(60):  # until the code that no vector is nearest to is replaced
        module(later)
    assert module.perplexity > 1.5


def test_dead_codes_are_replaced_by_far_vectors():
    x = vectors()
    far = torch.full((3,), 1000.0, dtype=torch.float64)
    codes = torch.cat([vectors(5, seed=1), far.expand(3, 3)])
    module = given(codes, decay=0.0, temperature=1.0)
    module(x)
    assert int(module.dead_codes.sum()) == 0
    replaced = module.codebook[5:]
    assert (cdist(replaced, x).min(1) == 0).all()
    assert len(replaced.unique(dim=0)) == 3
    kept = given(
        torch.cat([vectors(5, seed=1), far.expand(3, 3)]), decay=0.0, temperature=1.0, threshold_ema_dead_code=0
    )
    kept(x)
    assert kept.dead_codes.tolist() == [False] * 5 + [True] * 3
    assert torch.equal(kept.codebook[5:], far.expand(3, 3))


@pytest.mark.parametrize("threshold", [0, 0.1])
def test_all_codes_are_used_after_a_shift(threshold):
    module = codebook(threshold_ema_dead_code=threshold)
    module(vectors(300))
    moved = vectors(300)
    moved = torch.where(moved[:, :1] > 0, moved, moved[:1]) + 100  # far from all codes, and fewer places
    for _ in range(60):
        module(moved)
    assert (module.perplexity > 5) == (threshold > 0)


def states(module):
    return copy.deepcopy(module.state_dict())


def assert_same_states(one, other):
    assert one.keys() == other.keys()
    for name in one:
        assert torch.equal(one[name], other[name]), name


@pytest.mark.parametrize("ema_update", [True, False])
def test_a_loaded_state_continues_the_same(ema_update):
    batches = vectors(400).split(100)
    module = codebook(ema_update=ema_update, codebook_size=3, threshold_ema_dead_code=30)  # codes are replaced, too
    module(batches[0])
    file = io.BytesIO()
    torch.save(module.state_dict(), file)
    file.seek(0)
    loaded = codebook(ema_update=ema_update, codebook_size=3, threshold_ema_dead_code=30, random_state=5)
    loaded.load_state_dict(torch.load(file, weights_only=True))
    for batch in batches[1:]:
        for one, other in zip(module(batch), loaded(batch), strict=True):
            assert torch.equal(one, other)
    assert_same_states(module.state_dict(), loaded.state_dict())


def test_a_state_without_codes_starts_anew():
    module = codebook()
    module(vectors())
    module.load_state_dict(codebook().state_dict())
    with pytest.raises(InputError, match=r"no codes yet.*training mode.*kmeans_init=False"):
        module.eval()(vectors())
    module.train()(vectors())
    assert module.eval()(vectors()).quantized.isfinite().all()


def test_the_same_seed_gives_the_same_codes_and_global_random_states_are_left_alone():
    before = torch.get_rng_state(), np.random.get_state()[1].tolist(), random.getstate()  # noqa: NPY002
    found = []
    for seed in (0, 0, 1):
        module = codebook(random_state=seed, threshold_ema_dead_code=20)
        for batch in vectors(600).split(100):
            module(batch)
        found.append(states(module))
    codebook(random_state=None)(vectors())
    after = torch.get_rng_state(), np.random.get_state()[1].tolist(), random.getstate()  # noqa: NPY002
    assert torch.equal(before[0], after[0])
    assert before[1:] == after[1:]
    assert_same_states(found[0], found[1])
    assert not torch.equal(found[0]["codebook"], found[2]["codebook"])


def test_evaluation_changes_nothing():
    module = codebook()
    module(vectors())
    before = states(module)
    module.eval()(vectors(seed=3))
    assert_same_states(before, module.state_dict())


@pytest.mark.parametrize("make", [copy.deepcopy, lambda module: pickle.loads(pickle.dumps(module))])  # noqa: S301
def test_copies_are_independent(make):
    module = codebook()
    module(vectors(60))
    copied = make(module)
    before = states(module)
    expected = copied.state_dict()
    copied(vectors(60, seed=1))
    assert_same_states(before, module.state_dict())
    module(vectors(60, seed=1))
    assert_same_states(expected, module.state_dict())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_keeps_precise_codes(dtype):
    module, x = codebook(dtype=torch.float32), vectors(dtype=dtype)
    module.to(dtype)
    quantized, _, loss = module(x)
    assert (quantized.dtype, loss.dtype, module.codebook.dtype) == (dtype, torch.float32, torch.float32)
    precise = codebook(dtype=torch.float32)
    expected = precise(x.float())
    torch.testing.assert_close(quantized, expected.quantized.to(dtype))
    assert module.double()(vectors()).quantized.dtype == torch.float64
    assert module.codebook.dtype == torch.float64


@pytest.mark.parametrize("options", [{}, {"straight_through": True}, {"ema_update": False}], ids=str)
def test_autocast_computes_in_full_precision(options):
    module, plain = (codebook(dtype=torch.float32, **options) for _ in range(2))
    x = vectors(dtype=torch.bfloat16)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        quantized, indices, loss = module(x)
    expected = plain(x.float())
    assert torch.equal(indices, expected.indices)
    assert torch.equal(loss, expected.loss)
    assert torch.equal(quantized, expected.quantized.bfloat16())


def test_shapes_without_data():
    module = codebook(kmeans_init=False, device="meta").eval()
    quantized, indices, loss = module(torch.empty(2, 3, 5, 4, device="meta", dtype=torch.float64))
    assert (quantized.shape, indices.shape, loss.shape) == ((2, 3, 5, 4), (2, 5, 4), ())


@pytest.mark.slow
@pytest.mark.parametrize("shape", [(50, 3), (5, 10, 3), (2, 3, 5, 5)], ids=str)
def test_evaluation_can_be_compiled_and_exported(shape):
    module = codebook()
    module(vectors())
    module.eval()
    x = vectors(50).view(shape)
    expected = module(x)
    compiled = torch.compile(module, fullgraph=True, backend="eager")
    exported = torch.export.export(module, (x,), dynamic_shapes=({0: torch.export.Dim("batch", min=1)},)).module()
    for other in (compiled(x), exported(x)):
        for one, part in zip(expected, other, strict=True):
            torch.testing.assert_close(one, part)
    assert torch.equal(exported(x[:2]).indices, expected.indices[:2])


BAD_ARGUMENTS = {
    "dim": 0,
    "codebook_size": 0,
    "temperature": "perplexity:1.5",
    "decay": 1.0,
    "commitment_weight": -1.0,
    "kmeans_init": "yes",
    "kmeans_iters": 0,
    "threshold_ema_dead_code": -0.5,
    "straight_through": 1,
    "ema_update": None,
    "random_state": "seed",
}


@pytest.mark.parametrize("name", BAD_ARGUMENTS)
def test_a_bad_argument_is_named(name):
    with pytest.raises(InputError, match=f"^{name}="):
        codebook(**{name: BAD_ARGUMENTS[name]})


@pytest.mark.parametrize("temperature", [0, -1.0, math.inf, [1.0, 2.0], "hot", "per-cluster"], ids=str)
def test_bad_temperatures(temperature):
    with pytest.raises(InputError, match="temperature"):
        codebook(temperature=temperature)


BAD_VECTORS = {
    "has type list": [[0.0, 0.0, 0.0]],
    "has dtype torch.int64": torch.zeros(9, 3, dtype=torch.int64),
    r"has shape \(9, 4\), expected \(n, 3\), \(b, n, 3\) or \(b, 3, h, w\)": torch.zeros(9, 4),
    r"has shape \(3,\)": torch.zeros(3),
    r"has shape \(2, 5, 5, 3\).*move the channels by x.movedim\(-1, 1\)": torch.zeros(2, 5, 5, 3),
    r"has shape \(0, 3\), without vectors": torch.zeros(0, 3),
    r"has dtype torch.float64.*codebook.to\(torch.float64\)": torch.zeros(9, 3, dtype=torch.float64),
}


@pytest.mark.parametrize("message", BAD_VECTORS)
def test_bad_vectors(message):
    for module in (codebook(dtype=torch.float32), codebook(dtype=torch.float32, kmeans_init=False).eval()):
        with pytest.raises(InputError, match=f"^x {message}"):
            module(BAD_VECTORS[message])


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_vectors_that_are_not_finite_change_nothing(value):
    x = vectors()
    module = codebook()
    module(x)
    before, bad = states(module), x.clone()
    bad[3, 1] = value
    for mode in (module.train(), module.eval()):
        with pytest.raises(InputError, match="NaN or infinity"):
            mode(bad)
    assert_same_states(before, module.state_dict())
    with pytest.raises(InputError, match="NaN or infinity"):
        codebook()(bad)


def test_a_given_temperature_that_is_too_high_is_told():
    module = codebook(temperature=1e4)
    with pytest.warns(UserWarning, match="temperature 1e\\+04 is above"):
        module(vectors())


def autoencoder_usage(**options):
    """Return how many of 64 codes a small autoencoder of 2,000 rows uses after training."""
    rng = np.random.default_rng(0)
    hidden = rng.normal(size=(2000, 4))
    x = torch.tensor(np.tanh(hidden @ rng.normal(size=(4, 16))), dtype=torch.float32)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        encoder = torch.nn.Sequential(torch.nn.Linear(16, 32), torch.nn.ReLU(), torch.nn.Linear(32, 4))
        decoder = torch.nn.Sequential(torch.nn.Linear(4, 32), torch.nn.ReLU(), torch.nn.Linear(32, 16))
    module = SoftCodebook(4, 64, random_state=0, **options)
    optimizer = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], lr=1e-3)
    for _ in range(10):
        for rows in x.split(250):
            quantized, _, loss = module(encoder(rows))
            optimizer.zero_grad()
            (mse_loss(decoder(quantized), rows) + loss).backward()
            optimizer.step()
    return len(module.eval()(encoder(x)).indices.unique())


@pytest.mark.slow
def test_the_default_start_uses_the_codebook():
    assert autoencoder_usage() >= 60
    assert autoencoder_usage(straight_through=True) >= 60
    assert autoencoder_usage(kmeans_init=False, threshold_ema_dead_code=0, temperature=1e-3) < 60
