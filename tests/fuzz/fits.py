"""Fuzz fits: random data and parameters; a fit raises an InputError, or its results are recomputed with NumPy."""

import tempfile
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import numpy as np

from softkmeans import FuzzyCMeans, InputError, SoftKMeans, kernels, load, save
from softkmeans.temperature import MaximumLikelihood, Schedule

from . import oracle, spoiled
from .oracle import assert_close

ROUNDOFF = {2: 2.0**-11, 4: 2.0**-24, 8: 2.0**-53}  # by the bytes of a float
MONOTONE_SOLVERS = ("em", "auto", "lbfgs")
INITS, INIT_FREQUENCIES = ["k-means++", "random", "k-means||", "annealing"], [0.5, 0.24, 0.24, 0.02]  # the last is slow
MAX_ONLINE_PASSES = 8  # each has 32 steps or more
FIXED_POINT_FACTOR = 100.0  # an EM step at a converged fit may lower the objective by this multiple of the tolerance
MAX_LOG_TEMPERATURE_ERROR = 0.011  # of a converged fit with a given perplexity, and a little for rounding
SUM_ERROR = 256  # units of roundoff of a sum in float32
MAX_IGNORED_NOISE = 1e-12  # share of the rows' weight below which that of the noise cluster is taken for rounding
WEIGHT_ROUNDING = 2e-6  # by which the weights of sorted clusters may increase


class Case(NamedTuple):
    """A fit: rows (n, d), weights (n,) or None, the estimator's class, its parameters, and whether kernels compile."""

    x: np.ndarray
    w: np.ndarray | None
    kind: type
    parameters: dict[str, Any]
    compiled: bool

    def fit(self, x=None, w=None):
        """Return a fitted estimator, of other rows if there are some."""
        model = self.kind(**self.parameters)
        return model.fit(self.x if x is None else x, sample_weight=self.w if x is None else w)

    @property
    def weights(self):
        """Weights of the rows, also if there are none."""
        return np.ones(len(self.x)) if self.w is None else self.w


def check(rng):
    """Fit a random model to random data, and check the result."""
    case = draw_case(rng)
    try:
        return check_case(rng, case)
    except Exception as error:
        error.add_note(describe(case))
        raise


def check_case(rng, case):
    """Check one of: a fit, the refusal of an invalid value, or two fits that must be equal."""
    with mock.patch.object(kernels.dispatch, "COMPILED_MIN_WORK", 0 if case.compiled else np.inf):
        kind = rng.random()
        if kind < 0.1:
            return check_refusal(rng, case)
        if kind < 0.2:
            return check_equal_fits(rng, case)
        try:
            model = case.fit()
        except InputError:
            return "refused"
        check_fit(case, model)
        return "fitted"


def describe(case):
    """Return the case as text."""
    x = case.x
    text = f"{case.kind.__name__}({', '.join(f'{n}={v!r}' for n, v in case.parameters.items())})"
    values = f"{len(x)} rows, {x.shape[1]} features, {x.dtype}, from {x.min():.6g} to {x.max():.6g}"
    return f"in {text} of {values}{'' if case.w is None else ', weighted'}{', compiled' if case.compiled else ''}"


# Drawing


def draw_case(rng):
    """Draw data, and an estimator with parameters that often go together."""
    n = int(rng.integers(1, 9)) if rng.random() < 0.2 else int(rng.integers(5, 150))
    d = int(rng.integers(1, 7)) if rng.random() < 0.8 else int(rng.integers(7, 25))
    x = draw_rows(rng, n, d)
    k = int(min(n, rng.integers(1, 7)))
    kind = FuzzyCMeans if rng.random() < 0.2 else SoftKMeans
    parameters = draw_common(rng, x, k)
    parameters |= {"fuzzifier": float(1 + 10 ** rng.uniform(-1.3, 0.7))} if kind is FuzzyCMeans else {}
    parameters |= draw_mixture(rng, x, k) if kind is SoftKMeans else {}
    return Case(x, draw_weights(rng, n), kind, parameters, bool(rng.random() < 0.3))


def draw_rows(rng, n, d):
    """Draw rows (n, d): blobs, repeated rows, constant columns, integers, heavy tails, offsets and scales."""
    x = rng.normal(size=(4, d))[rng.integers(4, size=n)] * rng.choice([0.0, 3.0, 30.0]) + rng.normal(size=(n, d))
    if rng.random() < 0.2:
        x = x[rng.integers(max(1, n // 4), size=n)]
    if rng.random() < 0.15:
        x[:, rng.integers(d)] = rng.choice([0.0, 1.5])
    if rng.random() < 0.15:
        x *= 10 ** rng.uniform(-2, 4, size=(n, 1))
    if rng.random() < 0.2:
        x = np.round(x)
    if rng.random() < 0.05:
        x[:] = x[0]
    x = (x + rng.choice([0.0, 0.0, 0.0, 1e3, -1e6])) * 10.0 ** rng.choice([0, 0, 0, 0, -8, 8])
    dtype = rng.choice(["float64", "float64", "float32", "float16", "int64"])
    fits_int, fits_half = np.abs(x).max() < 1e15, np.abs(x).max() < 6e4
    return x.astype("float64" if dtype == "int64" and not fits_int else dtype if fits_half else "float32")


def draw_weights(rng, n):
    """Draw weights: none, moderate, with zeros, or of very different sizes."""
    kind = rng.integers(6)
    if kind > 2:
        return None
    w = rng.uniform(0.1, 3, n)
    w = [w, w * (rng.random(n) < 0.6), w * 10 ** rng.uniform(-9, 9, n)][kind]
    w[rng.integers(n)] = 1.0
    return w


def draw_common(rng, x, k):
    """Draw the parameters that both estimators have."""
    parameters = {
        "n_clusters": k,
        "solver": rng.choice(["auto", "auto", "em", "em", "lbfgs", "adam", "online"]).item(),
        "init": rng.choice(INITS, p=INIT_FREQUENCIES).item(),
        "n_init": int(rng.choice([1, 1, 1, 3])),
        "max_iter": int(rng.choice([1, 3, 40, 300, 300])),
        "tol": float(rng.choice([0.0, 1e-4, 1e-4, 1e-8])),
        "distance": rng.choice(["sqeuclidean"] * 4 + ["euclidean", "cosine"]).item(),
        "random_state": int(rng.integers(1000)),
    }
    if parameters["solver"] == "online":
        parameters["max_iter"] = min(parameters["max_iter"], MAX_ONLINE_PASSES)
    if rng.random() < 0.3:
        parameters["init"] = x[rng.integers(len(x), size=k)] + rng.normal(size=(k, x.shape[1])) * rng.choice([0.0, 0.1])
        if rng.random() < 0.5:
            parameters["frozen"] = rng.random(k) < 0.4
    if rng.random() < 0.2:
        parameters["noise_distance"] = spread(x, parameters["distance"]) * 10 ** rng.uniform(-2, 2)
    if rng.random() < 0.2:
        parameters["dtype"] = rng.choice(["float64", "float32", "float16"]).item()
    if rng.random() < 0.1:
        parameters["growing_sample"] = True
    return parameters


def draw_mixture(rng, x, k):
    """Draw the parameters of temperature and priors."""
    size = spread(x, "sqeuclidean")
    parameters = {"temperature": draw_temperature(rng, size, k)}
    if rng.random() < 0.3:
        priors = rng.dirichlet(np.ones(k)) * rng.choice([1.0, 0.9])
        parameters["priors"] = "learned" if rng.random() < 0.6 else priors
    if rng.random() < 0.05:
        parameters["update"] = "mean"
    if rng.random() < 0.1:
        parameters["local_search"] = True
    if rng.random() < 0.03:
        parameters["assignment"] = "fuzzy"
    return parameters


def draw_temperature(rng, size, k):
    """Draw a temperature for data of a mean squared spread, or a rule for it."""
    kind = rng.integers(10)
    if kind < 3:
        return float(size * 10 ** rng.uniform(-6, 4)) if kind else float(10 ** rng.uniform(-3, 1))
    cold = size * 10 ** rng.uniform(-3, 0)
    rules = ["auto", "auto", "per-cluster", "calibrated", f"perplexity:{rng.uniform(1, max(k, 1.1)):.3f}"]
    rules += [f"critical:{rng.uniform(0.05, 2):.3f}", Schedule([size * 3, size, cold * 0.3])]
    rules += [MaximumLikelihood(floor=1e-4), (cold * rng.uniform(0.5, 2, k)).tolist()]
    return rules[rng.integers(len(rules))]


def spread(x, distance):
    """Return the mean squared distance of rows from their mean, or a typical distance; never 0."""
    x = x.astype(np.float64)
    squared = float(np.square(x - x.mean(0)).sum(1).mean()) or 1.0
    return {"sqeuclidean": squared, "euclidean": squared**0.5, "cosine": 0.5}[distance]


# Checking


class Recomputed(NamedTuple):
    """What NumPy computes from the centers, the temperature and the priors of a fitted model.

    Attributes
    ----------
    d, d_error : ndarray (n, k)
        Distances, and bounds of the errors of those that the fit computed at its own centers.
    memberships : Memberships
        Memberships, with the error bounds of the fit.
    predicted : Memberships
        The same with those of the fitted model, whose centers may have been rounded to another type.
    temperature : ndarray (k,) or None
        Temperatures.
    noise : float
        Distance of the noise cluster, or infinity.
    """

    d: np.ndarray
    d_error: np.ndarray
    memberships: oracle.Memberships
    predicted: oracle.Memberships
    temperature: np.ndarray | None
    noise: float


def check_fit(case, model):
    """Check all that a fitted model says of itself, its predictions, and a copy that is saved and loaded."""
    check_finite(model)
    recomputed = recompute(case, model)
    check_figures(case, model, recomputed)
    check_predictions(case, model, recomputed)
    check_order(case, model)
    check_history(case, model, recomputed)
    check_fixed_point(case, model, recomputed)
    check_saved(case, model)


def is_fuzzy(case):
    """Return whether memberships are those of fuzzy c-means."""
    return case.kind is FuzzyCMeans or case.parameters.get("assignment") == "fuzzy"


def check_finite(model):
    """Check that no attribute is NaN or infinite, except a free energy that is not defined."""
    for name, value in vars(model).items():
        if name.endswith("_") and name not in ("history_", "free_energy_", "feature_names_in_"):
            assert np.isfinite(np.asarray(value, dtype=np.float64)).all(), f"{name} is not finite: {value}"
    per_cluster = np.ndim(getattr(model, "temperature_", 0.0)) > 0
    assert per_cluster == bool(np.isnan(getattr(model, "free_energy_", 0.0))), f"F is {model.free_energy_}"


def recompute(case, model):
    """Compute distances and memberships at the centers of a model."""
    x, c, name = case.x.astype(np.longdouble), model.cluster_centers_.astype(np.longdouble), model.distance
    origin = np.average(x, axis=0, weights=case.weights)
    if name == "cosine":
        x, c, origin = oracle.unit_rows(x), oracle.unit_rows(c), 0.0
    x, c = np.float64(x - origin), np.float64(c - origin)
    squared = oracle.squared_distances(x, c)
    coordinates = np.abs(np.float64(origin)).max() + np.abs(c).max()
    rounded = rounding_of(model.cluster_centers_, coordinates)
    t = np.broadcast_to(model.temperature_, len(c)) if hasattr(model, "temperature_") else None
    errors = [squared_errors(case, x, c, squared, t, e) for e in (rounded + 1e-15 * coordinates, 1e-15 * coordinates)]
    d = {"sqeuclidean": squared, "euclidean": np.sqrt(squared), "cosine": squared / 2}[name]
    d_errors = [distance_errors(name, squared, error) for error in errors]
    noise = np.inf if model.noise_distance is None else model.noise_distance
    fit, predicted = (memberships(case, model, d, error, t, noise) for error in d_errors)
    return Recomputed(d, d_errors[0], fit, predicted, t, noise)


def squared_errors(case, x, c, squared, t, center_error):
    """Return bounds (n, k) of the errors of squared distances, for rows and centers shifted by the mean of the rows."""
    median = np.median(c, axis=0)
    shifts = [0.0, median] if case.parameters["distance"] != "cosine" else [0.0]
    errors = [oracle.product_errors(x - shift, c - shift, 2 * ROUNDOFF[8]) for shift in shifts]
    error = np.maximum(*errors) if len(errors) > 1 else errors[0]
    error = error + 2 * np.sqrt(squared) * center_error * x.shape[1] ** 0.5 + x.shape[1] * center_error**2
    if not uses_doubles(case):
        u, shift = ROUNDOFF[4], shifts[-1]
        error += oracle.squared_distance_errors(squared, x - shift, c - shift, u)
        product = oracle.product_errors(x - shift, c - shift, u)
        error += np.minimum(product, oracle.MAX_PRODUCT_ERROR * (2 if t is None else 2 * t.max()))
    return error


def uses_doubles(case):
    """Return whether the fit computes in float64 only."""
    return not (case.compiled and case.x.dtype.kind == "f" and case.x.dtype.itemsize <= 4)


def rounding_of(centers, size):
    """Return the error of coordinates of a size if they are rounded to the type of the centers."""
    return ROUNDOFF[centers.dtype.itemsize] * float(size) + float(np.finfo(centers.dtype).smallest_subnormal)


def sum_error(case):
    """Return the relative error of a sum over rows."""
    return 1e-9 if uses_doubles(case) else SUM_ERROR * ROUNDOFF[4]


def distance_errors(name, squared, error):
    """Return bounds of the errors of distances, for those of the squared distances."""
    if name == "euclidean":
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.minimum(np.sqrt(error), np.where(squared > 0, error / np.sqrt(squared), np.inf))
    return error / 2 if name == "cosine" else error


def memberships(case, model, d, d_error, t, noise):
    """Return the memberships at distances whose errors are bounded."""
    if is_fuzzy(case):
        power = 1 / (getattr(model, "fuzzifier", 2.0) - 1)
        positive = np.maximum(d, 1e-300)
        logits, error = -power * np.log(positive), power * np.minimum(d_error, 1e6 * positive) / positive
        return oracle.soft_memberships(logits, error + 1e-14 * power, -power * np.log(noise))
    b, n_priors = logit_offsets(case, model, t, noise), len(t) + np.isfinite(noise)
    with np.errstate(divide="ignore"):
        rest = np.log(max(0.0, 1 - model.priors_.sum()) * n_priors)
    noise_logit = rest - noise / t[0] if np.isfinite(noise) else -np.inf
    rounding = 1e-14 if uses_doubles(case) else 8 * ROUNDOFF[4]
    logits, error = b - d / t, d_error / t + rounding * (1 + np.abs(b) + d / t)
    found = oracle.soft_memberships(logits, error, noise_logit)
    if np.isfinite(noise):  # the prior of noise is 1 minus the others, up to rounding
        noise_error = np.expm1(np.minimum(0, np.log(1e-14 * n_priors) - noise / t[0] - found.lognorm)) + 1
        found = found._replace(
            lognorm_error=found.lognorm_error + noise_error,
            resp_error=np.minimum(1.0, found.resp_error + noise_error[:, None]),
        )
    return found


def logit_offsets(case, model, t, noise):
    """Return what the logits have in addition to -d / T (k,): priors, and normalization constants if they differ."""
    with np.errstate(divide="ignore"):
        b = np.log(model.priors_) + np.log(len(t) + np.isfinite(noise))
    if np.ndim(model.temperature_):
        log_z = oracle.log_partition(model.distance, t, case.x.shape[1])
        b = b - log_z + log_z.min()
    return b


def check_figures(case, model, recomputed):
    """Check the weights of the clusters, and the sums that describe the fit."""
    w, d, d_error, found = case.weights, recomputed.d, recomputed.d_error, recomputed.memberships
    rounding = sum_error(case) * w.sum()
    noise = recomputed.noise if np.isfinite(recomputed.noise) else 0.0
    error = w @ found.resp_error
    assert_close("cluster_weights_", model.cluster_weights_, w @ found.resp, error + rounding)
    assert_close("noise_weight_", model.noise_weight_, w @ found.noise, error.sum() + rounding)
    nearest = np.take_along_axis(d_error, d.argmin(1)[:, None], 1)[:, 0]
    assert_close("inertia_", model.inertia_, w @ d.min(1), w @ (nearest + 1e-9 * d.min(1)))
    if is_fuzzy(case):
        m = getattr(model, "fuzzifier", 2.0)
        um = found.resp**m
        j = w @ ((um * d).sum(1) + found.noise**m * noise)
        bound = w @ ((um * d_error).sum(1) + nearest) + 1e-9 * j
        assert_close("distortion_", model.distortion_, j, bound)
        assert_close("objective_", model.objective_, j, bound)
        return
    e = w @ ((found.resp * d).sum(1) + found.noise * noise)
    e_error = w @ (found.resp_error * (d + noise) + (found.resp + found.resp_error) * d_error).sum(1) + 1e-9 * e
    everything = np.column_stack([found.resp, found.noise])
    h = -w @ (everything * np.log(np.where(everything > 0, everything, 1.0))).sum(1)
    e_error += noise * MAX_IGNORED_NOISE * w.sum()
    if case.compiled:  # the kernels add b T to distances
        b = np.maximum(logit_offsets(case, model, recomputed.temperature, recomputed.noise), -1e300)
        roundoff = SUM_ERROR * ROUNDOFF[8 if uses_doubles(case) else 4]
        e_error += roundoff * recomputed.temperature.max() * (w @ found.resp) @ np.abs(b)
    assert_close("distortion_", model.distortion_, e, e_error)
    scaled = (
        (found.resp_error * (d + noise) + (found.resp + found.resp_error) * d_error) / recomputed.temperature
    ).sum(1)
    slack = (1e-12 if uses_doubles(case) else sum_error(case)) * w @ (
        (found.resp * d / recomputed.temperature).sum(1)
    ) + rounding * (1 + b_size(model))
    h_error = w @ (scaled + found.lognorm_error + found.resp_error.sum(1) * (1 + b_size(model))) + slack
    assert_close("entropy_", model.entropy_, h, h_error)
    check_objective(case, model, recomputed, e)


def check_objective(case, model, recomputed, e):
    """Check the free energy and the objective."""
    w, found, t = case.weights, recomputed.memberships, recomputed.temperature
    lognorm = w @ found.lognorm
    rounding = sum_error(case) * (np.abs(w * found.lognorm).sum() + e / t.min() + w.sum() * (1 + b_size(model)))
    error = w @ found.lognorm_error + rounding
    if not np.ndim(model.temperature_):
        assert_close("free_energy_", model.free_energy_, -t[0] * lognorm, t[0] * error)
    if (is_learned(model) or np.ndim(model.temperature_)) and minimizes(model):
        d = case.x.shape[1]
        log_z = oracle.log_partition(model.distance, t, d).min()
        n_priors = len(t) + np.isfinite(recomputed.noise)
        constant = w.sum() * (log_z + np.log(n_priors))
        bound = error + sum_error(case) * (abs(constant) + w.sum() * d * (1 + np.abs(np.log(t)).max()))
        assert_close("objective_", model.objective_, constant - lognorm, bound)
    elif minimizes_free_energy(model):
        assert model.objective_ == model.free_energy_, f"objective_={model.objective_}, F={model.free_energy_}"
    if isinstance(model.temperature, str) and model.temperature.startswith("perplexity") and model.converged_:
        target = float(model.temperature.partition(":")[2])
        log_error = abs(np.log(np.log(target)) - np.log(model.entropy_ / w.sum()))
        assert log_error <= MAX_LOG_TEMPERATURE_ERROR, f"converged at perplexity {np.exp(model.entropy_ / w.sum())}"


def b_size(model):
    """Return the largest absolute logarithm of a prior."""
    return np.abs(np.log(np.maximum(model.priors_, 1e-300))).max()


def is_learned(model):
    """Return whether the temperature is learned by maximum likelihood."""
    t = model.temperature if hasattr(model, "temperature_") else None
    return isinstance(t, MaximumLikelihood) or (isinstance(t, str) and t in ("auto", "per-cluster"))


def minimizes_free_energy(model):
    """Return whether the objective is the free energy."""
    t = getattr(model, "temperature", None)
    is_fixed = not isinstance(t, str) or t.startswith("critical")
    return is_fixed and minimizes(model) and not is_learned(model) and not np.ndim(model.temperature_)


def minimizes(model):
    """Return whether the update of the centers minimizes an objective."""
    return model.distance == "sqeuclidean" or getattr(model, "update", "exact") == "exact"


def check_predictions(case, model, recomputed):
    """Check memberships, labels and distances of the rows."""
    c = model.cluster_centers_
    u, found = ROUNDOFF[c.dtype.itemsize], recomputed.predicted
    error = found.resp_error + 4 * u + (4 * ROUNDOFF[4] if case.compiled else 0.0)
    proba, labels = model.predict_proba(case.x), model.predict(case.x)
    assert proba.dtype == c.dtype, f"predict_proba returned {proba.dtype} for centers of {c.dtype}"
    assert (proba >= 0).all(), f"the least membership is {proba.min()}"
    assert_close("memberships", proba, found.resp, error)
    if np.isinf(recomputed.noise):
        sums = proba.astype(np.float64).sum(1)
        assert_close("sums of memberships", sums, np.ones(len(proba)), 4 * len(c) * u + 1e-6 * case.compiled)
    assert np.array_equal(labels, model.labels_), "labels_ differ from those of predict"
    everything = np.column_stack([found.resp, found.noise])
    chosen = everything[np.arange(len(labels)), labels]  # -1 is the last column
    largest = np.where(labels < 0, error.sum(1), error[np.arange(len(labels)), labels]) + error.max(1)
    assert_close("the membership of the label", chosen, everything.max(1), largest)
    distances = model.transform(case.x)
    expected = np.sqrt(recomputed.d) if model.distance == "sqeuclidean" else recomputed.d
    bound = distance_errors("euclidean", recomputed.d, recomputed.d_error)
    bound = bound if model.distance == "sqeuclidean" else recomputed.d_error
    fits = expected < np.finfo(c.dtype).max / 2  # larger ones may be infinite in half precision
    bound = bound + 4 * u * expected + (1e-4 if u > 1e-4 else 0)
    assert_close("distances", distances[fits], expected[fits], bound[fits])


def check_order(case, model):
    """Check the order of the clusters, and that frozen centers have not moved."""
    c, init = model.cluster_centers_, case.parameters["init"]
    if isinstance(init, np.ndarray):
        frozen = case.parameters.get("frozen")
        if frozen is not None:
            start = init.astype(np.float64)
            start = oracle.unit_rows(start) if model.distance == "cosine" else start
            bound = 4 * rounding_of(c, np.abs(start).max()) + 1e-15 * np.abs(case.x.astype(float)).max()
            assert_close("frozen centers", c[frozen], start[frozen], bound)
        return
    has_own = np.ndim(model.get_params().get("temperature", 0.0)) or isinstance(
        case.parameters.get("priors"), np.ndarray
    )
    rise = np.diff(model.cluster_weights_)
    assert has_own or (rise <= WEIGHT_ROUNDING * case.weights.sum()).all(), f"weights {model.cluster_weights_}"


def check_history(case, model, recomputed):
    """Check that the history ends with the fit, and that the objective has never risen beyond rounding."""
    p, steps = case.parameters, model.history_
    assert len(steps) == model.n_iter_, f"{len(steps)} passes in the history, n_iter_={model.n_iter_}"
    assert min(model.restarts_) == 0, f"restarts_={model.restarts_}"
    has_objective = is_fuzzy(case) or is_learned(model) or minimizes_free_energy(model)
    has_objective |= np.ndim(getattr(model, "temperature_", 0.0)) > 0 and minimizes(model)
    several = isinstance(p.get("temperature"), Schedule) or p.get("growing_sample") or p.get("local_search")
    if p["solver"] not in MONOTONE_SOLVERS or several or not has_objective:
        return
    values = np.array([step.objective for step in steps] + [model.objective_])
    assert np.isfinite(values).all(), f"the history is {values}"
    error, scale = case.weights @ recomputed.d_error.max(1), case.weights @ recomputed.d.max(1)
    relative = 1e-10 if uses_doubles(case) else sum_error(case)
    bound = relative * (scale + np.abs(values[:-1])) + error
    if is_learned(model) or np.ndim(getattr(model, "temperature_", 0.0)):
        coldest = min([step.temperature for step in steps] + [recomputed.temperature.min()])
        bound = sum_error(case) * (np.abs(values[:-1]) + case.weights.sum() * (1 + case.x.shape[1])) + error / coldest
    rise = np.diff(values) - bound
    assert rise.max() <= 0, f"the objective rises after pass {rise.argmax() + 1}: {values[rise.argmax() :][:2]}"


def check_fixed_point(case, model, recomputed):
    """Check that an EM step from a converged fit, computed with NumPy, hardly moves the centers."""
    p, found, w = case.parameters, recomputed.memberships, case.weights
    converged = model.converged_ and p["solver"] in MONOTONE_SOLVERS and p["distance"] == "sqeuclidean"
    if not converged or not (is_fuzzy(case) or is_learned(model) or minimizes_free_energy(model)):
        return
    if np.ndim(getattr(model, "temperature_", 0.0)):
        return
    m = getattr(model, "fuzzifier", 2.0) if is_fuzzy(case) else 1.0
    wr = w[:, None] * found.resp**m
    wr_error = m * w[:, None] * found.resp_error
    mean = np.average(case.x.astype(np.longdouble), axis=0, weights=w)
    x, c = np.float64(case.x - mean), np.float64(model.cluster_centers_ - mean)
    frozen = p.get("frozen", np.zeros(len(c), dtype=bool))
    weight = wr.sum(0)
    moves = ~frozen & (weight > 1e-9 * weight.sum())
    step = (wr.T @ x - weight[:, None] * c)[moves] / weight[moves, None]
    lowered = np.sqrt(weight[moves] @ np.square(step).sum(1))
    offsets = np.sqrt(oracle.squared_distances(x, c))
    center_error = rounding_of(model.cluster_centers_, np.abs(model.cluster_centers_).max())
    rounding = (wr_error * offsets).sum(0)[moves] / weight[moves] + center_error * x.shape[1] ** 0.5 * 4
    scale = model.temperature_ * x.shape[1] * w.sum() if is_learned(model) else model.distortion_
    bound = np.sqrt(FIXED_POINT_FACTOR * max(p["tol"], 1e-12) * scale) + np.sqrt(weight[moves] @ rounding**2)
    size = 1e-9 * np.sqrt(weight @ np.square(c).sum(1))
    assert lowered <= bound + size, f"a converged fit moves: {lowered} > {bound}, by {step.tolist()}"


def check_saved(case, model):
    """Check that a saved and loaded model predicts the same bits."""
    with tempfile.TemporaryDirectory() as folder:
        save(model, Path(folder) / "model")
        again = load(Path(folder) / "model")
    for method in ("predict_proba", "predict", "transform"):
        before, after = getattr(model, method)(case.x), getattr(again, method)(case.x)
        assert before.dtype == after.dtype, f"{method} of the loaded model returns {after.dtype}"
        assert np.array_equal(before, after), f"{method} of the loaded model differs"


def check_refusal(rng, case):
    """Check that an invalid value is an InputError."""
    where, value = spoiled.draw(rng, case)
    x, w, parameters = case.x, case.w, dict(case.parameters)
    if where == "X":
        x = value
    elif where == "sample_weight":
        w = value
    else:
        parameters |= value
    try:
        case.kind(**parameters).fit(x, sample_weight=w)
    except InputError:
        return "refused as invalid"
    raise AssertionError(f"a fit with an invalid {where} did not fail: {value!r}")


def check_equal_fits(rng, case):
    """Check that weights are equivalent to repeated rows, and that the order of the rows does not matter."""
    x = rng.normal(size=(4, 3))[rng.integers(4, size=40)] * 3 + rng.normal(size=(40, 3))
    distance = rng.choice(["sqeuclidean", "sqeuclidean", "euclidean", "cosine"]).item()
    size = spread(x, distance)
    parameters = {
        "n_clusters": 3, "init": x[:3] + 0.01, "max_iter": 6, "tol": 0.0, "solver": "em", "distance": distance,
    }  # fmt: skip
    if rng.random() < 0.5:
        parameters["noise_distance"] = size * rng.uniform(0.5, 3)
    kind = FuzzyCMeans if rng.random() < 0.3 else SoftKMeans
    if kind is SoftKMeans:
        parameters["temperature"] = size * rng.uniform(0.3, 3)
        parameters["priors"] = rng.choice(["uniform", "learned"]).item()
    case = Case(x, None, kind, parameters, case.compiled)
    counts = rng.integers(0, 4, len(x))
    counts[:3] += 1
    order = rng.permutation(len(x))
    weighted = case.fit(x, counts.astype(float))
    for other in (case.fit(np.repeat(x, counts, axis=0)), case.fit(x[order], counts[order].astype(float))):
        assert_close("equivalent centers", other.cluster_centers_, weighted.cluster_centers_, 1e-7)
        assert_close("equivalent objectives", other.objective_, weighted.objective_, 1e-7 * (1 + counts.sum()))
    return "fitted several times"
