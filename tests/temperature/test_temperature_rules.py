"""The temperature rules: perplexity, multiples of the critical temperature, schedules, calibration."""

import warnings

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import logsumexp, xlogy
from sklearn.base import clone
from sklearn.datasets import load_iris, load_wine, make_blobs
from sklearn.exceptions import ConvergenceWarning
from sklearn.preprocessing import scale

from helpers import reference as ref
from helpers.fuzzing import examples
from softkmeans import Callback, FitInterrupted, InputError, SoftKMeans, fit
from softkmeans.data import as_source
from softkmeans.distances import DISTANCES
from softkmeans.kernels import entropy_slope
from softkmeans.metrics import align, expected_calibration_error
from softkmeans.model.assignment import Softmax
from softkmeans.temperature import (
    PARAMETRIC,
    TEMPERATURES,
    Calibrated,
    Critical,
    Fixed,
    MaximumLikelihood,
    Perplexity,
    Schedule,
    as_temperature,
    critical_temperature,
)

# Some fits are above the critical temperature, or have few rows.
pytestmark = pytest.mark.filterwarnings("ignore:.*centers coincide")

OVERLAPPING, _ = make_blobs(400, n_features=2, centers=6, cluster_std=2.0, random_state=0)
APART, _ = make_blobs(300, n_features=3, centers=4, cluster_std=1.5, random_state=3)
SETS = {
    "blobs": (OVERLAPPING, 6),
    "iris": (load_iris().data, 3),
    "wine": (scale(load_wine().data), 5),
}


def memberships(x, model):
    """Return memberships (n, k), or (n, k + 1) with the noise cluster, by their definition."""
    t, p = model.temperature_, model.priors_
    logits = np.log(p) - ref.distances(x, model.cluster_centers_, model.distance) / t
    if model.noise_distance is not None:
        noise_logit = np.full((len(x), 1), np.log(max(1 - p.sum(), 1e-300)) - model.noise_distance / t)
        logits = np.hstack([logits, noise_logit])
    return np.exp(logits - logsumexp(logits, axis=1, keepdims=True))


def perplexity(x, model, w=None):
    """Return the mean perplexity of the memberships."""
    r = memberships(x, model)
    return np.exp(-np.average(xlogy(r, r).sum(1), weights=w))


# Perplexity


SETTINGS = {
    "plain": {},
    "weights": {"sample_weight": True},
    "noise": {"noise_distance": 4.0},
    "priors": {"priors": "learned"},
    "euclidean": {"distance": "euclidean"},
    "cosine": {"distance": "cosine"},
}


@pytest.mark.slow
@pytest.mark.parametrize("fraction", [0, 0.5, 0.97])
@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize("case", SETTINGS)
def test_memberships_have_the_given_perplexity(case, name, fraction):
    (x, k), options = SETS[name], dict(SETTINGS[case])
    if "noise_distance" in options:
        options["noise_distance"] *= x.var()
    w = np.random.default_rng(1).uniform(0.1, 3, len(x)) if options.pop("sample_weight", False) else None
    expected = max(1.02, fraction * k)
    if "priors" in options and fraction > 0.6:
        return  # not possible with learned priors: see the next test
    model = SoftKMeans(k, temperature=f"perplexity:{expected}", random_state=0, **options).fit(x, sample_weight=w)
    assert model.converged_
    assert perplexity(x, model, w) == pytest.approx(expected, rel=0.01)
    centers = model.cluster_centers_
    if not options:  # the centers are a fixed point of EM
        step = np.abs(ref.em_step(x, centers, model.temperature_, w) - centers).max()
        assert step < 0.02 * x.std()


@pytest.mark.parametrize("name", ["blobs", "iris"])
def test_a_perplexity_that_learned_priors_make_impossible_is_reported(name):
    x, k = SETS[name]
    with pytest.warns(ConvergenceWarning, match="found no temperature that satisfies the temperature rule"):
        model = SoftKMeans(k, temperature=f"perplexity:{0.97 * k}", priors="learned", random_state=0).fit(x)
    assert not model.converged_
    # Coinciding clusters with these priors have the largest possible perplexity.
    assert np.exp(-xlogy(model.priors_, model.priors_).sum()) < 0.97 * k


@pytest.mark.parametrize("name", SETS)
def test_a_converged_fit_has_the_perplexity(name):
    """With noise and learned priors, often one cluster gets all the weight, and then no T is a solution."""
    x, k = SETS[name]
    for fraction in (0.1, 0.4, 0.7):
        rule = Perplexity(1 + fraction * (k - 1))
        model = SoftKMeans(k, temperature=rule, priors="learned", noise_distance=4 * x.var(), random_state=0)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            warnings.filterwarnings("ignore", ".*centers coincide")
            model.fit(x)
        assert model.converged_ == (not caught)
        if model.converged_:
            assert perplexity(x, model) == pytest.approx(1 + fraction * (k - 1), rel=0.01)


def test_a_perplexity_within_a_jump_is_not_reached():
    """As T rises, a few far rows lose their cluster in a first-order transition, so that the perplexity jumps."""
    rng = np.random.default_rng(0)
    x = np.vstack([rng.normal(size=(200, 2)), rng.normal(size=(5, 2)) + 100])
    with pytest.warns(ConvergenceWarning, match="found no temperature"):
        model = SoftKMeans(2, temperature="perplexity:1.5", random_state=0).fit(x)
    assert not model.converged_
    for t in np.geomspace(100, 1e5, 25):
        warm = ref.em(x, np.array([[0.0, 0.0], [100.0, 100.0]]), t, 40)
        assert not 1.05 < np.exp(ref.entropy(x, warm, t) / len(x)) < 1.95


@pytest.mark.slow
@examples(8)
@given(seed=st.integers(0, 10**6), value=st.floats(1.1, 2.5), distance=st.sampled_from(sorted(DISTANCES)))
def test_an_integer_weight_is_a_repeated_row(seed, value, distance):
    rng = np.random.default_rng(seed)
    x, w = rng.normal(size=(40, 2)), rng.integers(1, 4, 40)
    common = {"temperature": Perplexity(value), "random_state": seed, "max_iter": 40, "distance": distance}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        weighted = fit(x, 3, sample_weight=w, **common)
        repeated = fit(rng.permutation(np.repeat(x, w, axis=0)), 3, **common)
    assert weighted.n_iter == repeated.n_iter
    assert weighted.temperature == pytest.approx(repeated.temperature, rel=1e-5)
    np.testing.assert_allclose(weighted.centers, repeated.centers, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("noise", [None, 2.0])
@pytest.mark.parametrize("distance", DISTANCES)
def test_entropy_slope_is_the_derivative_of_the_entropy(distance, noise):
    rng = np.random.default_rng(0)
    x, w, c, b = rng.normal(size=(50, 3)), rng.uniform(0, 2, 50), rng.normal(size=(4, 3)), rng.normal(size=5)
    if distance == "cosine":
        x, c = (a / np.linalg.norm(a, axis=1, keepdims=True) for a in (x, c))

    def entropy(log_t):
        t = np.exp(log_t)
        d = np.hstack([ref.distances(x, c, distance), np.full((50, 1), np.inf if noise is None else noise)])
        logits = b - d / t
        r = np.exp(logits - logsumexp(logits, axis=1, keepdims=True))
        return -w @ xlogy(r, r).sum(1)

    log_t, h = np.log(0.7), 1e-5
    expected = (entropy(log_t + h) - entropy(log_t - h)) / (2 * h)
    (block,) = as_source(x, w).blocks()
    rule = Softmax() if noise is None else Softmax(noise_logit=b[4] - noise / 0.7)
    beta, bias = torch.full((4,), 1 / 0.7, dtype=torch.float64), torch.tensor(b[:4])
    found = entropy_slope(block, torch.tensor(c), beta, bias, DISTANCES[distance], rule, (noise or 0.0) / 0.7)
    assert float(found) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("value", [0.5, 1, 4, 7.5])
def test_impossible_perplexities_are_refused(value):
    message = rf"temperature='perplexity:{value:g}' with 4 clusters: give a number between 1 and 4$"
    with pytest.raises(InputError, match=message):
        SoftKMeans(4, temperature=f"perplexity:{value}").fit(APART)


# Scales


ASSIGNMENTS = [
    *TEMPERATURES,
    *(f"{name}:{number}" for name in PARAMETRIC for number in (1.4, 0.3) if name != "perplexity" or number > 1),
]


@pytest.mark.slow
@pytest.mark.parametrize("factor", [1e-6, 1e-3, 1e3, 1e6])
@pytest.mark.parametrize("rule", [*ASSIGNMENTS, "schedule"])
def test_units_change_only_temperatures(rule, factor):
    def fitted(s):
        t = Schedule.geometric(30 * s**2, 2 * s**2, 6) if rule == "schedule" else rule
        return SoftKMeans(4, temperature=t, random_state=0).fit(APART * s)

    plain, scaled = fitted(1), fitted(factor)
    np.testing.assert_allclose(scaled.temperature_, np.multiply(plain.temperature_, factor**2), rtol=1e-6)
    np.testing.assert_allclose(scaled.predict_proba(APART * factor), plain.predict_proba(APART), atol=1e-6)
    assert scaled.n_iter_ == plain.n_iter_


# The critical temperature


def largest_eigenvalue(x, w=None):
    return np.linalg.eigvalsh(np.atleast_2d(np.cov(x.T, bias=True, aweights=w)))[-1]


@examples(25)
@given(seed=st.integers(0, 10**6), n=st.integers(2, 30), d=st.integers(1, 6), offset=st.sampled_from([0, 1e4]))
def test_critical_temperature_is_twice_the_largest_variance(seed, n, d, offset):
    rng = np.random.default_rng(seed)
    x, w = rng.normal(size=(n, d)) * rng.uniform(0.1, 10, d) + offset, rng.uniform(0.1, 3, n)
    assert critical_temperature(x) == pytest.approx(2 * largest_eigenvalue(x), rel=1e-8)
    assert critical_temperature(x, w) == pytest.approx(2 * largest_eigenvalue(x, w), rel=1e-8)


def test_critical_temperature_of_many_features():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(40, 1100)) * np.linspace(1, 3, 1100) + 7
    w = rng.uniform(0.1, 2, 40)
    centered = x - np.average(x, axis=0, weights=w)
    gram = np.sqrt(np.outer(w, w)) * (centered @ centered.T) / w.sum()  # it has the eigenvalues of the covariance
    assert critical_temperature(x, w) == pytest.approx(2 * np.linalg.eigvalsh(gram)[-1], rel=1e-5)


@pytest.mark.parametrize("d", [1, 3, 1100])
def test_critical_temperature_of_identical_rows_is_0(d):
    assert critical_temperature(np.full((5, d), 7.0)) == 0


@pytest.mark.parametrize("rule", [Critical(0.5), Calibrated(), Perplexity(1.5)])
def test_identical_rows_are_supported(rule):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = SoftKMeans(2, temperature=rule, random_state=0).fit(np.full((5, 1100), 7.0))
    assert np.isfinite(model.temperature_)
    assert model.temperature_ > 0
    np.testing.assert_allclose(model.cluster_centers_, 7.0)


@pytest.mark.slow
@pytest.mark.parametrize("factor", [0.99, 1.01])
def test_one_cluster_splits_only_below_the_critical_temperature(factor):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(400, 3)) * [3, 1, 1] + 5
    axis = np.linalg.eigh(np.cov(x.T, bias=True))[1][:, -1]
    start = x.mean(0) + 0.01 * np.outer([1, -1], axis)
    centers = fit(
        x, 2, temperature=factor * critical_temperature(x), init=start, solver="em", tol=0, max_iter=5000
    ).centers.numpy()
    gap = np.linalg.norm(centers[0] - centers[1])
    assert gap > 0.1 if factor < 1 else gap < 1e-4


@pytest.mark.parametrize("factor", [0.2, 0.5, 1.5])
def test_a_multiple_of_the_critical_temperature(factor):
    w = np.random.default_rng(0).uniform(0.1, 2, len(APART))
    for rule in (Critical(factor), f"critical:{factor}"):
        model = SoftKMeans(3, temperature=rule, random_state=0).fit(APART, sample_weight=w)
        assert model.temperature_ == pytest.approx(factor * 2 * largest_eigenvalue(APART, w), rel=1e-9)


# Schedules


BAD_SCHEDULES = {
    "rises": (lambda: Schedule([3, 1, 2]), "go from 1 to 2: give decreasing temperatures"),
    "stays": (lambda: Schedule([3, 2, 2]), "go from 2 to 2: give decreasing temperatures"),
    "empty": (lambda: Schedule([]), r"temperatures have shape \(0,\), expected"),
    "a number": (lambda: Schedule(5.0), r"temperatures have shape \(\), expected"),
    "a table": (lambda: Schedule([[2, 1]]), r"temperatures have shape \(1, 2\), expected"),
    "a word": (lambda: Schedule("hot"), "temperatures 'hot' are not numeric, expected a sequence"),
    "negative": (lambda: Schedule([2, -1]), "temperatures contain -1: give finite numbers above 0"),
    "zero": (lambda: Schedule([2, 0]), "temperatures contain 0: give finite"),
    "nan": (lambda: Schedule([2, np.nan]), "temperatures contain nan: give finite"),
    "made rising": (lambda: Schedule.geometric(1, 2), "give decreasing temperatures"),
    "made of one": (lambda: Schedule.geometric(2, 1, 1), "number=1 is too few temperatures for 2 to 1: give 2 or more"),
    "made of half": (lambda: Schedule.geometric(2, 1, 2.5), "number=2.5: give a whole number"),
    "made of none": (lambda: Schedule.geometric(2, 1, -3), "number=-3: give a whole number"),
    "made to zero": (lambda: Schedule.geometric(2, 0), "last=0: give a finite number above 0"),
}


@pytest.mark.parametrize("case", BAD_SCHEDULES)
def test_invalid_schedules_are_refused(case):
    create, message = BAD_SCHEDULES[case]
    with pytest.raises(InputError, match=message) as caught:
        create()
    assert "\n" not in str(caught.value)


def test_a_geometric_schedule():
    assert Schedule.geometric(8, 1, 4).temperatures == pytest.approx((8, 4, 2, 1))
    assert len(Schedule.geometric(8, 1).temperatures) == 20


def temperatures_passed(history):
    """Return the temperatures of the passes, without consecutive repetitions."""
    t = [step.temperature for step in history]
    return [value for value, before in zip(t, [None, *t], strict=False) if value != before]


@pytest.mark.parametrize("distance", DISTANCES)
@pytest.mark.parametrize("solver", ["auto", "adam"])
def test_a_fit_runs_at_the_temperatures_of_a_schedule_in_order(solver, distance):
    scale_of = {"sqeuclidean": 9.0, "euclidean": 2.0, "cosine": 0.1}[distance]
    schedule = Schedule.geometric(4 * scale_of, scale_of / 4, 5)
    model = SoftKMeans(4, temperature=schedule, distance=distance, solver=solver, random_state=0, max_iter=100)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(APART)
    assert temperatures_passed(model.history_) == pytest.approx(schedule.temperatures)
    assert model.temperature_ == pytest.approx(schedule.temperatures[-1])
    assert model.n_iter_ == len(model.history_)
    assert {step.n_rows for step in model.history_} == {len(APART)}


def test_a_schedule_ends_at_a_fixed_point_of_em():
    found = fit(APART, 4, temperature=Schedule.geometric(40, 3, 6), random_state=0, tol=1e-9)
    c = found.centers.numpy()
    np.testing.assert_allclose(ref.em_step(APART, c, 3.0), c, atol=1e-3)
    assert found.free_energy == pytest.approx(ref.free_energy(APART, c, 3.0))


def test_clusters_that_coincide_at_a_high_temperature_separate_later():
    high = 3 * critical_temperature(APART)
    coinciding = fit(APART, 4, temperature=high, random_state=0, tol=1e-9).centers
    assert np.ptp(coinciding.numpy(), axis=0).max() < 1e-3
    found = fit(APART, 4, temperature=Schedule([high, 30.0, 3.0]), random_state=0)
    direct = min(fit(APART, 4, temperature=3.0, random_state=s).free_energy for s in range(5))
    assert found.free_energy == pytest.approx(direct, rel=1e-3)


def test_a_schedule_of_one_is_a_fixed_temperature():
    one, fixed = (fit(APART, 4, temperature=t, random_state=0) for t in (Schedule([3.0]), 3.0))
    assert one.history == fixed.history
    assert torch.equal(one.centers, fixed.centers)


def test_a_growing_sample_runs_the_schedule_and_all_rows_only_its_end():
    repeated = np.repeat(APART, 30, axis=0)
    schedule = Schedule.geometric(60, 3, 5)
    found = fit(repeated, 4, temperature=schedule, random_state=0, growing_sample=True)
    assert temperatures_passed(found.history) == pytest.approx(schedule.temperatures)
    sizes = [step.n_rows for step in found.history]
    assert sizes == sorted(sizes)
    assert {step.n_rows for step in found.history if step.temperature > 3.001} == {256, 1024}
    assert {step.n_rows for step in found.history if step.temperature < 3.001} == {9000}
    assert found.free_energy == pytest.approx(ref.free_energy(repeated, found.centers.numpy(), 3.0))


class StopAt(Callback):
    def __init__(self, n_iter, error=None):
        self.n_iter, self.error = n_iter, error

    def on_step(self, step):
        if step.n_iter >= self.n_iter and self.error is not None:
            raise self.error
        return step.n_iter >= self.n_iter


def test_a_fit_stopped_within_a_schedule_is_evaluated_at_its_end():
    schedule = Schedule.geometric(60, 3, 5)
    stopped = fit(APART, 4, temperature=schedule, random_state=0, callbacks=[StopAt(3)])
    with pytest.raises(FitInterrupted) as caught:
        fit(APART, 4, temperature=schedule, random_state=0, callbacks=[StopAt(3, KeyboardInterrupt())])
    for found in (stopped, caught.value.result):
        assert not found.converged
        assert found.temperature == pytest.approx(3.0)
        assert found.free_energy == pytest.approx(ref.free_energy(APART, found.centers.numpy(), 3.0))


# Calibration


def mixture(kind, seed=0):
    """Return rows of three normal components; isotropic, or with each of two coordinates measured four times."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, 6000)
    x = np.array([[0, 0], [3, 0], [0, 3.5]])[labels] + rng.normal(size=(6000, 2))
    if kind == "isotropic":
        return x, labels
    return x @ np.kron(np.eye(2), np.ones((1, 4))) + 0.3 * rng.normal(size=(6000, 8)), labels


def calibration_error(x, labels, temperature):
    resp = SoftKMeans(3, temperature=temperature, random_state=0).fit(x).predict_proba(x)
    return expected_calibration_error(resp[:, align(np.eye(3)[labels], resp)], labels)


@pytest.mark.parametrize(("kind", "limit"), [("isotropic", 0.02), ("correlated", 0.05)])
def test_memberships_are_calibrated(kind, limit):
    x, labels = mixture(kind)
    calibrated, likeliest = (calibration_error(x, labels, t) for t in ("calibrated", "auto"))
    assert calibrated < limit
    if kind == "correlated":
        assert calibrated < likeliest / 4


@pytest.mark.parametrize("distance", sorted(set(DISTANCES) - {"sqeuclidean"}))
@pytest.mark.parametrize("rule", ["calibrated", "critical:0.5"])
def test_rules_for_squared_distances_refuse_others(rule, distance):
    message = f"temperature='{rule}' needs squared Euclidean distances, not '{distance}': use another temperature"
    with pytest.raises(InputError, match=message):
        SoftKMeans(3, temperature=rule, distance=distance).fit(APART)


# Names


NAMES = {
    "auto": MaximumLikelihood(),
    "per-cluster": MaximumLikelihood(per_cluster=True),
    "calibrated": Calibrated(),
    "perplexity:1.5": Perplexity(1.5),
    "perplexity:2": Perplexity(2.0),
    "critical:0.5": Critical(0.5),
    "critical:1e-3": Critical(1e-3),
}


@pytest.mark.parametrize("name", NAMES)
def test_names_are_rules(name):
    assert as_temperature(name) == NAMES[name]
    assert as_temperature(NAMES[name]) is NAMES[name]


def test_every_rule_has_a_name():
    assert {name.partition(":")[0] for name in NAMES} == {*TEMPERATURES, *PARAMETRIC}


KNOWN = "one of auto, per-cluster, calibrated, perplexity:NUMBER, critical:NUMBER"
BAD_NAMES = {
    "perplexity": KNOWN,
    "perplexity:": KNOWN,
    "perplexity:x": KNOWN,
    "perplexity:1:2": KNOWN,
    "perplexity:-2": "temperature='perplexity:-2.0': give a finite number above 0 after the colon",
    "perplexity:nan": "temperature='perplexity:nan': give a finite number above 0 after the colon",
    "critical": KNOWN,
    "critical:-1": "temperature='critical:-1.0': give a finite number above 0 after the colon",
    "critical:0": "temperature='critical:0.0': give a finite number above 0 after the colon",
    "critical:inf": "temperature='critical:inf': give a finite number above 0 after the colon",
    "nonsense:2": KNOWN,
    "auto:2": KNOWN,
    "": KNOWN,
}


@pytest.mark.parametrize("name", BAD_NAMES)
def test_unknown_names_are_refused(name):
    with pytest.raises(InputError, match=BAD_NAMES[name]) as caught:
        as_temperature(name)
    assert "\n" not in str(caught.value)


REFUSED = {
    "lbfgs": (
        {"temperature": "perplexity:1.5", "solver": "lbfgs"},
        "solver='lbfgs' does not support temperatures defined by an equation",
    ),
    "adam": (
        {"temperature": "calibrated", "solver": "adam"},
        "solver='adam' does not support temperatures defined by an equation",
    ),
    "objective": ({"temperature": "calibrated", "objective": "nll"}, "objective='nll' is not supported with"),
    "mean": (
        {"temperature": "perplexity:1.5", "update": "mean", "distance": "euclidean"},
        "update='mean' minimizes no objective by which temperature",
    ),
    "fuzzy": (
        {"temperature": "critical:0.5", "assignment": "fuzzy"},
        "temperature='critical:0.5' is not supported with fuzzy memberships",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_unsupported_combinations_are_refused(case):
    options, message = REFUSED[case]
    with pytest.raises(InputError, match=message) as caught:
        fit(APART, 3, **options)
    assert "\n" not in str(caught.value)


# Rules as parameters of the estimator


OBJECTS = [*NAMES, *NAMES.values(), Schedule([3.0, 1.0]), Schedule([2.0]), Fixed(2.0)]


@pytest.mark.slow
@pytest.mark.parametrize("rule", OBJECTS, ids=str)
def test_rules_are_estimator_parameters(rule):
    model = SoftKMeans(3, temperature=rule, random_state=0)
    assert model.get_params()["temperature"] is rule
    copy = clone(model)
    assert copy.get_params()["temperature"] == rule
    assert rule == "auto" or str(rule) in repr(model)  # defaults are not shown
    assert clone(model).set_params(temperature=2.0).temperature == 2.0
    np.testing.assert_array_equal(model.fit(APART).predict(APART), copy.fit(APART).predict(APART))


@pytest.mark.parametrize(
    ("rule", "free"), [("perplexity:1.4", 1), ("calibrated", 1), ("auto", 1), (2.0, 0), (Schedule([4.0, 2.0]), 0)]
)
def test_a_learned_or_solved_temperature_counts_as_a_parameter(rule, free):
    model = SoftKMeans(3, temperature=rule, random_state=0).fit(APART)
    likelihood = model.score(APART) * len(APART)
    assert (model.aic(APART) + 2 * likelihood) / 2 == pytest.approx(3 * 3 + free)
    assert (model.bic(APART) + 2 * likelihood) / np.log(len(APART)) == pytest.approx(3 * 3 + free)
