"""The variants of the model: priors, a temperature per cluster, noise, frozen centers, fuzzy memberships."""

import subprocess
import sys
import warnings

import numpy as np
import pytest
import torch
from scipy.optimize import approx_fprime
from scipy.sparse import csr_array
from scipy.special import logsumexp
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import GridSearchCV

from helpers import reference as ref
from helpers.members import IRIS, MEMBERS, MONOTONE, START, W, member
from softkmeans import FuzzyCMeans, InputError, SoftKMeans, fit, kernels, load, save
from softkmeans.data import as_source
from softkmeans.data.scaling import Scaling
from softkmeans.distances import DISTANCES
from softkmeans.model.assignment import ASSIGNMENTS, Fuzzy
from softkmeans.model.params import ModelSpec, Params
from softkmeans.objectives.setup import select_objective
from softkmeans.temperature import Fixed, MaximumLikelihood, NoTemperature

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from skfuzzy import cmeans

# Many fits here reach max_iter on purpose.
pytestmark = pytest.mark.filterwarnings("ignore:the fit did not converge", "ignore:2 or more of 3 centers coincide")


@pytest.mark.filterwarnings("ignore:.*centers coincide", "ignore:the fit did not converge")
def test_learned_priors_of_float32_rows_can_be_saved(monkeypatch, tmp_path):
    """Check that they sum to 1 although the sums of the compiled kernels are rounded."""
    monkeypatch.setattr(kernels.dispatch, "COMPILED_MIN_WORK", 0)
    rng = np.random.default_rng(0)
    for _ in range(10):
        x = rng.normal(size=(69, 4)).astype(np.float32)
        model = SoftKMeans(5, temperature=100.0, priors="learned", max_iter=3, random_state=0).fit(x)
        assert model.priors_.sum() == pytest.approx(1, abs=1e-14)
        save(model, tmp_path / "model")
        np.testing.assert_array_equal(load(tmp_path / "model").predict_proba(x), model.predict_proba(x))


def test_restarts_with_textbook_updates_and_a_temperature_per_cluster_are_compared():
    common = {"temperature": [0.3, 0.5, 1.0], "distance": "euclidean", "update": "mean", "random_state": 0}
    model = SoftKMeans(3, n_init=4, init="random", **common).fit(IRIS)
    assert min(model.restarts_) == 0
    assert np.isfinite(model.restarts_).all()


# Comparison with other implementations


@pytest.mark.slow
@pytest.mark.parametrize("solver", ["em", "auto", "lbfgs"])
@pytest.mark.parametrize(("x", "k"), [(IRIS, 3), (IRIS * 100 - 1e4, 3), (IRIS[:, :1], 2)])
def test_learned_priors_and_temperatures_match_a_spherical_mixture(x, k, solver):
    start = x[[10, 60, 120]][:k] + x.std() / 100
    t0 = 2 * x.var()
    known = GaussianMixture(
        k, covariance_type="spherical", reg_covar=0, tol=1e-13, max_iter=50_000,
        means_init=start, weights_init=np.full(k, 1 / k), precisions_init=np.full(k, 2 / t0),
    ).fit(x)  # fmt: skip
    rule = MaximumLikelihood(per_cluster=True)
    found = fit(
        x, k, temperature=rule, priors="learned", init=start, init_temperature=t0, solver=solver, tol=1e-13,
        max_iter=50_000,
    )  # fmt: skip
    assert -found.objective / len(x) == pytest.approx(known.score(x), abs=1e-6)
    np.testing.assert_allclose(found.temperature / 2, known.covariances_, rtol=1e-4)
    np.testing.assert_allclose(found.priors, known.weights_, atol=1e-4)
    np.testing.assert_allclose(found.centers, known.means_, atol=1e-4 * x.std())


@pytest.mark.parametrize("steps", [1, 5])
def test_steps_match_a_spherical_gaussian_mixture(steps):
    common = {"covariance_type": "spherical", "reg_covar": 0, "tol": 0, "max_iter": steps}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        known = GaussianMixture(
            3, means_init=START, weights_init=np.full(3, 1 / 3), precisions_init=np.full(3, 2.0), **common
        ).fit(IRIS)
    found = fit(
        IRIS, 3, temperature="per-cluster", priors="learned", init=START, init_temperature=1.0, solver="em", tol=0,
        max_iter=steps,
    )  # fmt: skip
    np.testing.assert_allclose(found.centers, known.means_, rtol=1e-12)
    np.testing.assert_allclose(found.temperature, 2 * known.covariances_, rtol=1e-10)
    np.testing.assert_allclose(found.priors, known.weights_, rtol=1e-12)


def test_predictions_match_the_same_gaussian_mixture():
    model = member("spherical mixture").fit(IRIS)
    known = GaussianMixture(3, covariance_type="spherical")
    known.means_, known.weights_ = model.cluster_centers_, model.priors_
    known.covariances_ = model.temperature_ / 2
    known.precisions_cholesky_ = 1 / np.sqrt(known.covariances_)
    np.testing.assert_allclose(model.predict_proba(IRIS), known.predict_proba(IRIS), atol=1e-12)
    np.testing.assert_allclose(model.score_samples(IRIS), known.score_samples(IRIS), atol=1e-11)
    np.testing.assert_array_equal(model.predict(IRIS), known.predict(IRIS))
    assert model.bic(IRIS) == pytest.approx(known.bic(IRIS))
    assert model.aic(IRIS) == pytest.approx(known.aic(IRIS))


@pytest.mark.parametrize("fuzzifier", [1.3, 2.0, 3.0])
@pytest.mark.parametrize(("steps", "solver"), [(1, "em"), (7, "em"), (2000, "em"), (2000, "auto"), (2000, "lbfgs")])
def test_fuzzy_c_means_matches_scikit_fuzzy_from_the_same_start(fuzzifier, steps, solver):
    u0 = np.random.default_rng(1).dirichlet(np.ones(3), len(IRIS)).T
    # The first step of scikit-fuzzy computes centers from memberships; our fit starts from these centers.
    start = (u0**fuzzifier) @ IRIS / (u0**fuzzifier).sum(1)[:, None]
    known, u, *_ = cmeans(IRIS.T, 3, fuzzifier, error=1e-14, maxiter=steps + 1, init=u0)
    found = FuzzyCMeans(3, fuzzifier=fuzzifier, init=start, solver=solver, tol=0, max_iter=steps).fit(IRIS)
    np.testing.assert_allclose(found.cluster_centers_, known, atol=1e-6)
    np.testing.assert_allclose(found.predict_proba(IRIS), u.T, atol=1e-6)
    assert found.objective_ == pytest.approx((u.T**fuzzifier * ref.distances(IRIS, known)).sum(), rel=1e-6)


def test_fuzzy_memberships_on_centers():
    model = FuzzyCMeans(3, init=START).fit(IRIS)
    model.cluster_centers_ = np.array([[0.0, 0], [1.0, 0], [1.0, 0]])
    model.n_features_in_ = 2
    expected = [[1, 0, 0], [0, 0.5, 0.5], [1 / 3, 1 / 3, 1 / 3]]
    np.testing.assert_allclose(model.predict_proba([[0.0, 0], [1.0, 0], [0.5, 7]]), expected, atol=1e-12)


@pytest.mark.slow
def test_the_textbook_update_ends_at_a_fixed_point():
    c, t = START, 0.3
    for _ in range(3000):
        r = ref.resp(IRIS, c, t, "euclidean") * W[:, None]
        c = r.T @ IRIS / r.sum(0)[:, None]
    model = member("textbook", tol=1e-16, max_iter=3000).fit(IRIS, sample_weight=W)
    np.testing.assert_allclose(model.cluster_centers_, c, atol=1e-6)
    assert model.objective_ < 1e-12
    exact = member("textbook", update="exact", tol=1e-12, max_iter=3000).fit(IRIS, sample_weight=W)
    assert exact.free_energy_ < model.free_energy_ - 1e-4  # the means do not minimize F


@pytest.mark.parametrize("distance", ["sqeuclidean", "cosine"])
def test_the_textbook_update_is_exact_if_means_are_optimal(distance):
    a, b = (SoftKMeans(3, distance=distance, update=u, init=START).fit(IRIS) for u in ("mean", "exact"))
    np.testing.assert_array_equal(a.cluster_centers_, b.cluster_centers_)


# Noise


def test_memberships_with_noise_are_a_softmax_with_one_more_column():
    model = member("noise, all learned").fit(IRIS)
    far = np.vstack([IRIS, IRIS + 50])
    d = ref.distances(far, model.cluster_centers_)
    prior = np.append(model.priors_, 1 - model.priors_.sum())
    logits = np.log(prior) - np.column_stack([d, np.full(len(d), 1.0)]) / model.temperature_
    expected = np.exp(logits - logsumexp(logits, axis=1, keepdims=True))
    np.testing.assert_allclose(model.predict_proba(far), expected[:, :3], atol=1e-9)
    np.testing.assert_array_equal(model.predict(far), np.where(expected.argmax(1) == 3, -1, expected.argmax(1)))
    assert (model.predict(far)[len(IRIS) :] == -1).all()
    np.testing.assert_allclose(model.noise_weight_, expected[: len(IRIS), 3].sum(), rtol=1e-3)


def test_fuzzy_noise_is_one_more_cluster_at_a_fixed_distance():
    model = member("fuzzy with noise", tol=1e-12).fit(IRIS)
    d = np.column_stack([ref.distances(IRIS, model.cluster_centers_), np.full(len(IRIS), 3.0)])
    u = 1 / d / (1 / d).sum(1, keepdims=True)
    np.testing.assert_allclose(model.predict_proba(IRIS), u[:, :3], atol=1e-9)
    assert model.objective_ == pytest.approx((u**2 * d).sum(), rel=1e-9)
    np.testing.assert_allclose(model.cluster_centers_, (u**2).T[:3] @ IRIS / (u**2).sum(0)[:3, None], atol=1e-4)


def test_the_free_energy_with_noise():
    model = member("noise", tol=1e-10).fit(IRIS)
    d = np.column_stack([ref.distances(IRIS, model.cluster_centers_), np.full(len(IRIS), 3.0)])
    r = np.exp(-d / 0.5 - logsumexp(-d / 0.5, axis=1, keepdims=True))
    assert model.free_energy_ == pytest.approx(-0.5 * logsumexp(-d / 0.5, axis=1).sum(), rel=1e-12)
    assert model.distortion_ == pytest.approx((r * d).sum(), rel=1e-12)
    assert model.entropy_ == pytest.approx(-(r * np.log(r)).sum(), rel=1e-9)


def test_a_far_row_moves_no_center_if_there_is_noise():
    outlier = np.vstack([IRIS, [[1e3] * 4]])
    with_noise, without = (member("noise", tol=1e-12).fit(x).cluster_centers_ for x in (outlier, IRIS))
    np.testing.assert_allclose(with_noise, without, atol=1e-6)
    assert member("noise").fit(outlier).labels_[-1] == -1


# Properties of all variants


@pytest.mark.slow
@pytest.mark.usefixtures("backend")
@pytest.mark.parametrize("name", MEMBERS)
def test_memberships_sum_to_one_or_less_with_noise(name):
    model = member(name).fit(IRIS, sample_weight=W)
    resp = model.predict_proba(IRIS)
    total = resp.sum(1)
    assert (resp >= 0).all()
    if model.noise_distance is None:
        np.testing.assert_allclose(total, 1, atol=1e-12)
    else:
        assert (total < 1).all()
    likeliest = np.where(1 - total > resp.max(1), -1, resp.argmax(1))
    np.testing.assert_array_equal(model.predict(IRIS), likeliest)
    np.testing.assert_array_equal(model.labels_, likeliest)
    np.testing.assert_allclose(model.cluster_weights_.sum() + model.noise_weight_, W.sum(), rtol=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("name", MONOTONE)
@pytest.mark.parametrize("solver", ["em", "auto", "lbfgs"])
def test_the_objective_never_rises(name, solver):
    values = np.array(
        [s.objective for s in member(name, solver=solver, tol=0, max_iter=60).fit(IRIS, None, W).history_]
    )
    assert (np.diff(values) <= 1e-9 * (1 + np.abs(values[:-1]))).all()
    assert len(values) > 3


@pytest.mark.slow
@pytest.mark.parametrize("name", MONOTONE)
def test_solvers_agree(name):
    em, accelerated, adam = (
        member(name, solver=solver, tol=tol, max_iter=5000).fit(IRIS, sample_weight=W)
        for solver, tol in (("em", 1e-11), ("auto", 1e-11), ("adam", 1e-9))
    )
    for other in (accelerated, adam):
        assert other.objective_ == pytest.approx(em.objective_, abs=1e-5 * (em.distortion_ + abs(em.objective_)))


@pytest.mark.slow
@pytest.mark.parametrize("name", MEMBERS)
def test_an_integer_weight_is_a_repeated_row(name):
    w = np.random.default_rng(0).integers(0, 3, len(IRIS))
    weighted = member(name, tol=1e-10, max_iter=2000).fit(IRIS, sample_weight=w)
    repeated = member(name, tol=1e-10, max_iter=2000).fit(np.repeat(IRIS, w, axis=0))
    np.testing.assert_allclose(weighted.cluster_centers_, repeated.cluster_centers_, atol=1e-5)
    np.testing.assert_allclose(weighted.predict_proba(IRIS), repeated.predict_proba(IRIS), atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("name", [n for n in MEMBERS if n not in ("cosine mixture",)])
@pytest.mark.parametrize(("scale", "offset"), [(1e-6, 0.0), (1e5, 3e5)])
def test_units_change_no_membership(name, scale, offset):
    model = member(name)
    power = DISTANCES[model.distance].power
    moved = {
        key: value if isinstance(value, str) or value is None else np.asarray(value) * scale**power
        for key, value in model.get_params().items()
        if key in ("temperature", "noise_distance")
    }
    moved = {
        key: value.item() if np.ndim(value) == 0 and not isinstance(value, str | None) else value
        for key, value in moved.items()
    }
    there = member(name, init=START * scale + offset, **moved).fit(IRIS * scale + offset)
    here = model.fit(IRIS)
    np.testing.assert_allclose(there.predict_proba(IRIS * scale + offset), here.predict_proba(IRIS), atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("name", MEMBERS)
def test_a_saved_and_loaded_model_predicts_the_same(name, tmp_path):
    model = member(name).fit(IRIS, sample_weight=W)
    save(model, tmp_path / "m.safetensors")
    again = load(tmp_path / "m.safetensors")
    assert type(again) is type(model)
    np.testing.assert_array_equal(again.predict_proba(IRIS), model.predict_proba(IRIS))
    np.testing.assert_array_equal(again.predict(IRIS), model.predict(IRIS))
    assert again.score(IRIS) == model.score(IRIS)
    refitted = again.fit(IRIS, sample_weight=W)
    np.testing.assert_array_equal(refitted.cluster_centers_, model.cluster_centers_)


@pytest.mark.slow
@pytest.mark.parametrize("name", MEMBERS)
def test_tensors_are_returned_for_tensors_and_float32_agrees(name):
    model, of_tensor = member(name).fit(IRIS), member(name).fit(torch.tensor(IRIS, dtype=torch.float32))
    resp = of_tensor.predict_proba(torch.tensor(IRIS, dtype=torch.float32))
    assert (resp.dtype, of_tensor.labels_.dtype) == (torch.float32, torch.int64)
    np.testing.assert_allclose(resp.numpy(), model.predict_proba(IRIS), atol=2e-3)


@pytest.mark.slow
@pytest.mark.parametrize("name", MEMBERS)
def test_warm_start_at_the_optimum_ends_soon(name):
    model = member(name, warm_start=True, tol=1e-7, max_iter=2000).fit(IRIS)
    before = model.predict_proba(IRIS)
    assert model.fit(IRIS).n_iter_ <= 12
    np.testing.assert_allclose(model.predict_proba(IRIS), before, atol=1e-3)


@pytest.mark.parametrize(
    "given", [{"priors": [0.2, 0.8], "temperature": 1.0}, {"temperature": [1.0, 0.01]}], ids=["priors", "temperatures"]
)
def test_parameters_given_per_cluster_stay_with_their_cluster(given):
    x = [[0.0], [0.1], [0.2], [0.3], [5.0], [5.5]]
    for seed in range(4):
        model = SoftKMeans(2, warm_start=True, random_state=seed, **given).fit(x)
        np.testing.assert_allclose(model.priors_, given.get("priors", [0.5, 0.5]))
        np.testing.assert_allclose(model.temperature_, given["temperature"])
        before = model.objective_
        assert model.fit(x).objective_ <= before + 1e-9


@pytest.mark.parametrize("distance", [1e12, 1e17])
def test_noise_at_a_very_large_distance_has_no_effect(distance):
    without, far = SoftKMeans(3, init=START).fit(IRIS), SoftKMeans(3, init=START, noise_distance=distance).fit(IRIS)
    assert far.noise_weight_ == 0
    for name in ("temperature_", "distortion_", "entropy_"):
        assert getattr(far, name) == pytest.approx(getattr(without, name), rel=1e-9)


@pytest.mark.parametrize("fuzzifier", [1.01, 2.0])
def test_the_objective_of_far_rows_is_the_noise_distance(fuzzifier):
    model = FuzzyCMeans(3, fuzzifier=fuzzifier, noise_distance=3.0, init=START).fit(IRIS)
    assert model.score([[1e4] * 4]) == pytest.approx(-3.0, rel=1e-3)
    assert model.distortion_ == model.objective_ == model.history_[-1].distortion


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_the_largest_memberships_of_half_precision(dtype):
    x = torch.tensor(IRIS).to(dtype)
    found = SoftKMeans(3, init=START).fit(x).predict_proba(x, top=2)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found.sum(1), 1, atol=0.2)


ARRAYS = {
    "backward": lambda a: a[::-1],
    "big-endian": lambda a: a.astype(">f8"),
    "bfloat16": lambda a: torch.tensor(a.copy()).bfloat16(),
    "with a gradient": lambda a: torch.tensor(a.copy(), requires_grad=True),
    "long": lambda a: a.astype(np.longdouble),
    "list": np.ndarray.tolist,
}


@pytest.mark.parametrize("kind", ARRAYS)
def test_array_parameters_of_any_kind_are_saved(kind, tmp_path):
    convert = ARRAYS[kind]
    priors = convert(np.array([0.25, 0.25, 0.5]))
    model = SoftKMeans(3, init=convert(START), priors=priors, frozen=[True, False, False]).fit(IRIS)
    save(model, tmp_path / "m.safetensors")
    again = load(tmp_path / "m.safetensors").fit(IRIS)
    np.testing.assert_allclose(again.cluster_centers_, model.cluster_centers_, rtol=1e-12)


@pytest.mark.parametrize("fuzzifier", [2, np.int64(2), np.float32(2)])
def test_fuzzifiers_may_be_numbers_of_any_type(fuzzifier):
    centers = FuzzyCMeans(3, fuzzifier=fuzzifier, init=START).fit(IRIS).cluster_centers_
    np.testing.assert_array_equal(centers, FuzzyCMeans(3, init=START).fit(IRIS).cluster_centers_)


@pytest.mark.slow
@pytest.mark.parametrize("before", ["plain", "warm", "spherical mixture", "noise, all learned"])
@pytest.mark.parametrize("after", ["plain", "per cluster", "spherical mixture", "noise", "noise, all learned"])
def test_warm_start_of_another_variant(before, after):
    model = member(before, warm_start=True).fit(IRIS)
    model.set_params(**{key: member(after).get_params()[key] for key in ("temperature", "priors", "noise_distance")})
    warm, cold = model.set_params(tol=1e-10, max_iter=5000).fit(IRIS), member(after, tol=1e-10, max_iter=5000).fit(IRIS)
    assert warm.objective_ == pytest.approx(cold.objective_, rel=1e-4)
    assert (warm.noise_weight_ > 1) == (cold.noise_weight_ > 1)


def test_initial_priors_that_sum_to_one_up_to_rounding_allow_noise():
    found = member("spherical mixture").fit(IRIS)
    given = {"init": found.cluster_centers_, "init_priors": found.priors_ * (1 - 1e-15), "init_temperature": 0.27}
    assert fit(IRIS, 3, priors="learned", noise_distance=1.0, **given).noise_weight > 1


@pytest.mark.parametrize("name", ["frozen", "fuzzy frozen"])
@pytest.mark.parametrize("solver", ["em", "auto", "lbfgs", "adam"])
def test_frozen_centers_stay_and_the_others_do_not(name, solver):
    model = member(name, solver=solver).fit(IRIS)
    frozen = np.array(model.frozen)
    np.testing.assert_allclose(model.cluster_centers_[frozen], START[frozen], atol=1e-12)
    assert (np.abs(model.cluster_centers_ - START)[~frozen].max(1) > 0.01).all()


# Objectives

PROBLEM = np.random.default_rng(2).normal(size=(40, 3)), np.random.default_rng(3).normal(size=(4, 3))
GOALS = {
    "priors": (Fixed(1.7), ModelSpec(learn_priors=True)),
    "priors and T": (MaximumLikelihood(), ModelSpec(learn_priors=True)),
    "T each": (MaximumLikelihood(per_cluster=True), ModelSpec()),
    "given T each": (Fixed((0.5, 1.0, 2.0, 3.0)), ModelSpec(learn_priors=True)),
    "all": (MaximumLikelihood(per_cluster=True), ModelSpec(learn_priors=True)),
    "noise": (Fixed(1.7), ModelSpec(noise=2.0)),
    "noise, all learned": (MaximumLikelihood(), ModelSpec(learn_priors=True, noise=2.0)),
    "fuzzy": (NoTemperature(), ModelSpec(Fuzzy(2.0))),
    "fuzzier": (NoTemperature(), ModelSpec(Fuzzy(4.0), noise=1.0)),
}


@pytest.mark.parametrize("goal", GOALS)
@pytest.mark.parametrize("distance", ["sqeuclidean", "euclidean"])
def test_gradient_against_finite_differences(goal, distance):
    (x, c), (rule, spec) = PROBLEM, GOALS[goal]
    scaling = Scaling(DISTANCES[distance], torch.zeros(3, dtype=torch.float64), 1.0)
    objective = select_objective(None, scaling, rule, spec)
    n = 4 + (spec.noise is not None)
    t = [1.0] * 4 if isinstance(rule, NoTemperature) else [0.5, 1.0, 2.0, 3.0] if rule.per_cluster else [1.7] * 4
    prior = torch.log_softmax(torch.arange(n, dtype=torch.float64) / 3, 0)
    params = Params(torch.tensor(c), torch.tensor(t, dtype=torch.float64), prior)
    view = scaling.view(as_source(x, np.random.default_rng(4).uniform(0, 2, 40)))

    def value(vector):
        at = objective.unpack(torch.tensor(vector), params)
        return objective.value(at, view.sum(lambda block: objective.accumulate(block, at)))

    found = objective.gradient(params, view.sum(lambda block: objective.accumulate(block, params)))
    numeric = approx_fprime(objective.pack(params).numpy(), value, 1e-6)
    np.testing.assert_allclose(found.numpy(), numeric, rtol=2e-4, atol=2e-4)
    assert objective.unpack(objective.pack(params), params).temperature == pytest.approx(params.temperature)
    assert objective.unpack(objective.pack(params), params).log_prior == pytest.approx(params.log_prior)


def test_assignment_rules_are_softmax_and_powers():
    logits = -torch.tensor([[1.0, 4.0, 0.25]], dtype=torch.float64)
    expected = np.exp([-1.0, -4.0, -0.25]) / np.exp([-1.0, -4.0, -0.25]).sum()
    assert ASSIGNMENTS["softmax"](logits).resp[0].tolist() == pytest.approx(expected.tolist())
    assert ASSIGNMENTS["fuzzy"](logits).resp[0].tolist() == pytest.approx([1 / 5.25, 0.25 / 5.25, 4 / 5.25])
    assert float(ASSIGNMENTS["fuzzy"](logits).objective[0]) == pytest.approx(-1 / 5.25)


# Largest memberships, rejected rows


@pytest.mark.parametrize("name", ["plain", "noise", "fuzzy"])
@pytest.mark.parametrize("top", [1, 2, 3])
def test_the_largest_memberships(name, top):
    model = member(name).fit(IRIS)
    found, whole = model.predict_proba(IRIS, top=top), model.predict_proba(IRIS)
    assert isinstance(found, csr_array)
    assert (found.shape, found.nnz) == (whole.shape, top * len(whole))
    threshold = np.sort(whole, 1)[:, [-top]]
    np.testing.assert_array_equal(found.toarray(), np.where(whole >= threshold, whole, 0))
    assert found.has_canonical_format


@pytest.mark.parametrize("name", ["plain", "noise", "fuzzy", "spherical mixture"])
@pytest.mark.parametrize("threshold", [0.0, 0.6, 0.95, 1.0])
def test_uncertain_rows_are_rejected(name, threshold):
    model = member(name).fit(IRIS)
    resp = model.predict_proba(IRIS)
    expected = np.where(resp.max(1) < threshold, -1, model.predict(IRIS))
    np.testing.assert_array_equal(model.predict(IRIS, reject_below=threshold), expected)


# scikit-learn


@pytest.mark.slow
def test_a_grid_search_over_temperature_and_n_clusters():
    grid = {"n_clusters": [1, 2, 3], "temperature": [0.1, 0.5, "per-cluster"], "priors": ["learned"]}
    search = GridSearchCV(SoftKMeans(random_state=0), grid, cv=3).fit(IRIS)
    assert search.best_params_["n_clusters"] > 1
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


def test_a_grid_search_over_fuzzy_c_means():
    search = GridSearchCV(FuzzyCMeans(random_state=0), {"n_clusters": [2, 3]}, cv=3).fit(IRIS)
    assert search.best_params_ == {"n_clusters": 3}


# Bad input

BAD = {
    "priors": ({"priors": "equal"}, "priors='equal' is not known: choose one of uniform, learned, or an array"),
    "priors sum": ({"priors": [0.5, 0.5, 0.5]}, "priors sum to 1.5, expected 1"),
    "priors negative": ({"priors": [1.5, -0.25, -0.25]}, "give 3 numbers above 0"),
    "priors many": ({"priors": [0.5, 0.5]}, "give 3 numbers above 0, one for each cluster"),
    "priors leave nothing": ({"priors": [0.5, 0.3, 0.2], "noise_distance": 1.0}, "sum to 1, expected less than 1"),
    "temperatures many": (
        {"temperature": [1.0, 2.0]},
        "temperature has 2 values, expected one for each of the 3 clusters",
    ),
    "temperatures negative": ({"temperature": [1.0, 2.0, -1.0]}, "temperature=-1.0: give a finite number above 0"),
    "temperature unknown": ({"temperature": "each"}, "or one of auto, per-cluster"),
    "noise": ({"noise_distance": 0}, "noise_distance=0: give a finite number above 0, in the units of the distance"),
    "noise each": (
        {"noise_distance": 1.0, "temperature": "per-cluster"},
        "noise_distance=1.0 is not supported with a temperature per cluster",
    ),
    "frozen without start": ({"frozen": [True, False, False], "init": "k-means++"}, "set init to an array"),
    "frozen shape": ({"frozen": [True]}, "expected one bool for each of the 3 centers"),
    "frozen numbers": ({"frozen": [0, 1, 2]}, "expected one bool for each of the 3 centers"),
    "priors none": ({"priors": None}, "priors=None is not known: choose one of uniform, learned, or an array"),
    "priors text": ({"priors": ["a", "b", "c"]}, "priors is of type string, expected numbers"),
    "frozen text": ({"frozen": "yes"}, "frozen"),
    "frozen none": ({"frozen": [True] * 3, "init": None}, "set init to an array"),
    "init text": ({"init": [["a", "b", "c", "d"]] * 3}, "not numeric"),
    "update": ({"update": "median"}, "update='median' is not known: choose one of exact, mean"),
    "update learned": ({"update": "mean", "distance": "euclidean"}, "update='mean' minimizes no objective"),
    "update solver": (
        {"update": "mean", "distance": "euclidean", "temperature": 1.0, "solver": "lbfgs"},
        "solver='lbfgs' does not support update='mean', which minimizes no objective: choose solver='em'",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_parameters_are_refused(case):
    arguments, message = BAD[case]
    model = SoftKMeans(**({"n_clusters": 3, "init": START} | arguments))
    with pytest.raises(InputError, match=message) as caught:
        model.fit(IRIS)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("fuzzifier", [1, 1.0, 0.5, np.inf, np.nan, "2", None, True])
def test_bad_fuzzifiers_are_refused(fuzzifier):
    with pytest.raises(InputError, match=r"fuzzifier=.*: give a finite number above 1"):
        FuzzyCMeans(3, fuzzifier=fuzzifier).fit(IRIS)


FUZZY = {
    "temperature": ({"temperature": 2.0}, "temperature=2.0 is not supported with fuzzy memberships: set fuzzifier"),
    "priors": ({"priors": "learned"}, "priors='learned' is not supported with fuzzy memberships"),
    "objective": ({"objective": "nll"}, "objective='nll' is not supported with fuzzy memberships"),
    "update": ({"distance": "euclidean", "update": "mean"}, "update='mean' is not supported with fuzzy memberships"),
    "temperatures": ({"temperature": np.ones(3)}, "is not supported with fuzzy memberships: set fuzzifier"),
    "fuzzifier": (
        {"assignment": Fuzzy(800.0)},
        r"fuzzifier=800.0 with 3 clusters underflows \(3 \*\* -800\): use a smaller",
    ),
    "unknown": ({"assignment": "hard"}, "assignment='hard' is not known: choose one of softmax, fuzzy"),
}


@pytest.mark.parametrize("case", FUZZY)
def test_parameters_that_fuzzy_memberships_do_not_support_are_refused(case):
    arguments, message = FUZZY[case]
    with pytest.raises(InputError, match=message):
        fit(IRIS, 3, **({"assignment": "fuzzy"} | arguments))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"top": 0}, "top=0: give a whole number of 1 or more"),
        ({"top": 4}, "top=4 is more than the 3 clusters: lower it"),
        ({"top": 1.5}, "top=1.5: give a whole number"),
    ],
)
def test_bad_values_of_top_are_refused(arguments, message):
    with pytest.raises(InputError, match=message):
        member("plain").fit(IRIS).predict_proba(IRIS, **arguments)


@pytest.mark.parametrize("threshold", [-0.1, 1.1, np.nan, "a", True])
def test_bad_values_of_reject_below_are_refused(threshold):
    with pytest.raises(InputError, match=r"reject_below=.*: give a number from 0 to 1"):
        member("plain").fit(IRIS).predict(IRIS, reject_below=threshold)


def test_a_cluster_that_collapses_to_a_point_is_reported():
    x = np.vstack([IRIS, np.full((5, 4), 50.0)])
    with pytest.warns(UserWarning, match=r"clusters \[2\] have collapsed to a point.*floor"):
        SoftKMeans(3, temperature="per-cluster", init=[*START[:2], [50.0] * 4]).fit(x)


@pytest.mark.process
def test_a_missing_compiled_kernel_is_reported_once():
    code = (
        "import torch, warnings, numpy as np; from softkmeans import SoftKMeans\n"
        "from softkmeans.distances import Distance\n"
        "class Cauchy(Distance):\n"
        "    name, power, of_squared = 'cauchy', None, lambda self, squared: torch.log1p(squared)\n"
        "X = np.random.default_rng(0).normal(size=(50_000, 4))\n"
        "with warnings.catch_warnings(record=True) as caught:\n"
        "    warnings.simplefilter('always')\n"
        "    for distance in (Cauchy(), 'euclidean', Cauchy()):\n"
        "        SoftKMeans(5, temperature=1.0, distance=distance, random_state=0, tol=1e-2).fit(X).predict_proba(X)\n"
        "print([f'{w.category.__name__}: {w.message}' for w in caught if 'kernels' in str(w.message)])"
    )
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert output == (
        "['PerformanceWarning: the compiled kernels do not support the cauchy distance: "
        "using the slower PyTorch implementation']\n"
    )
