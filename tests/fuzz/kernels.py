"""Fuzz the compiled kernels: random rows, centers, weights and logits; every result is compared with NumPy."""

from typing import Any, NamedTuple
from unittest import mock

import numpy as np
import scipy.sparse
import torch

from softkmeans import kernels
from softkmeans.data import as_source
from softkmeans.data.scaling import N_MEDIAN_CENTERS, Scaling
from softkmeans.distances import as_distance

from . import oracle
from .oracle import assert_close

ROUNDOFF = {32: 2.0**-24, 64: 2.0**-53}
TINY = {32: 1e-28, 64: 1e-270}  # memberships and weights that the kernels may round to 0
SKIPPED_FRACTION = {32: 2.0**-24, 64: 2.0**-52}  # of a cluster's weight
SUM_ERROR = 512  # units of roundoff of a sum: the rows of a tile, up to 384, are added one after the other
FAR_RATIO = 1e4 / 2  # of the squared distance of a row to the squared size of the set of centers, if the row is far
MIN_PRIOR = 1e-300  # which stands for a prior of 0


class Case(NamedTuple):
    """The input of a pass, and what NumPy needs of it.

    Attributes
    ----------
    block, distance, scaling
        The rows as the package sees them.
    centers, beta, b : ndarray
        Centers (k, d), transformed like the rows, and the coefficients (k,) of the logits.
    bits : int
        Size of the kernel's floats.
    z : ndarray (n, d)
        The rows, transformed by NumPy in extended precision.
    w : ndarray (n,)
        Weights.
    coordinate_error : float
        Error of the coordinates of z from the shift of the rows.
    """

    block: Any
    distance: Any
    scaling: Any
    centers: np.ndarray
    beta: np.ndarray
    b: np.ndarray
    bits: int
    z: np.ndarray
    w: np.ndarray
    coordinate_error: float


class Expected(NamedTuple):
    """Distances (n, k) and memberships by NumPy, and bounds of the errors of distances.

    Attributes
    ----------
    d, d_error : ndarray (n, k)
        Distances; computed from differences.
    pass_error : ndarray (n, k)
        Bounds of the errors of distances in sums, for which they may come from a matrix product.
    assigned, summed : Memberships
        Memberships, with the error bounds of both kinds of distances.
    """

    d: np.ndarray
    d_error: np.ndarray
    pass_error: np.ndarray
    assigned: oracle.Memberships
    summed: oracle.Memberships


def check(rng):
    """Run each pass of a random case, and compare it with NumPy."""
    case = draw_case(rng)
    expected = expect(case)
    with mock.patch.object(kernels.dispatch, "COMPILED_MIN_WORK", 0):
        for check_pass in (check_accumulate, check_assign, check_nearest, check_distances):
            try:
                check_pass(case, expected)
            except Exception as error:
                error.add_note(f"in {check_pass.__name__} of {describe(case)}")
                raise
    return case.distance.name


def describe(case):
    """Return the sizes of a case as text."""
    (n, d), k = case.z.shape, len(case.centers)
    weights = "weighted" if case.block.weights is not None else "not weighted"
    rows = type(case.block.rows).__name__, str(case.block.rows.dtype)
    return f"{n} rows {rows}, {d} features, {k} clusters, {case.distance.name}, beta={case.beta[0]:.3g}, {weights}"


# Drawing


def draw_case(rng):
    """Draw rows, centers, weights, temperature and priors."""
    n, d, k = draw_n(rng), draw_small(rng), draw_small(rng)
    name = "cosine" if d > 1 and rng.random() < 0.25 else "sqeuclidean"
    x, c = draw_rows_and_centers(rng, n, d, k)
    rows, w = draw_container(rng, x), draw_weights(rng, n)
    distance = as_distance(name)
    source = as_source(rows, w)
    scaling = draw_scaling(rng, source, distance, torch.tensor(c))
    (block,) = (scaling.view(source) if scaling else source).blocks()
    centers = scaling.transform(torch.tensor(c)).numpy() if scaling else c
    shift, scale = (scaling.shift.numpy(), scaling.scale) if scaling else (np.zeros(d), 1.0)
    exact = np.asarray(rows.todense() if scipy.sparse.issparse(rows) else rows, dtype=np.longdouble)
    z = (exact - shift) / scale
    z = np.asarray(oracle.unit_rows(z) if name == "cosine" else z, dtype=np.float64)
    spread = np.mean(oracle.squared_distances(z[:50], centers)) or 1.0
    beta = np.full(k, 10 ** rng.uniform(-7, 9) / spread)
    bits = 32 if rows.dtype.kind == "f" and rows.dtype.itemsize <= 4 else 64
    coordinate_error = 2.0**-51 * float(np.abs(shift).max()) / scale
    weights = np.ones(n) if w is None else w
    return Case(block, distance, scaling, centers, beta, draw_b(rng, k), bits, z, weights, coordinate_error)


def draw_n(rng):
    """Draw a number of rows, often next to a multiple of lanes, panels, tiles or chunks."""
    if rng.random() < 0.4:
        return int(rng.integers(1, 800))
    unit, most = [(2, 60), (6, 40), (12, 30), (48, 20), (384, 4), (3072, 2)][rng.integers(6)]
    return max(1, int(unit * rng.integers(0, most + 1) + rng.integers(-1, 2)))


def draw_small(rng):
    """Draw a number of features or clusters."""
    return int(rng.integers(1, 11 if rng.random() < 0.5 else 71))


def draw_rows_and_centers(rng, n, d, k):
    """Draw rows (n, d) of some blobs, and centers (k, d), as float64."""
    means = rng.normal(size=(3, d)) * 10 ** rng.uniform(-1, 2)
    x = means[rng.integers(3, size=n)] + rng.normal(size=(n, d))
    if rng.random() < 0.2:
        x = x[rng.integers(max(1, n // 5), size=n)]  # repeated rows
    if rng.random() < 0.2:
        x *= 10 ** rng.uniform(-1, 3, size=(n, 1))  # heavy tails
    if rng.random() < 0.2:
        x = np.round(x)
    x += rng.choice([0.0, 0.0, 3.0, -1e3, 1e6])
    c = x[rng.integers(n, size=k)] + rng.normal(size=(k, d)) * rng.choice([0.0, 1e-6, 0.1, 3.0])
    scale = 10.0 ** rng.choice([0, 0, 0, -8, 8])
    x, c = x * scale, c * scale
    x[~x.any(1)] = scale  # no directions
    c[~c.any(1)] = scale
    return x, c


def draw_container(rng, x):
    """Return the rows as an array of some type and layout, or as a sparse matrix."""
    dtype = rng.choice(["float64", "float32", "float64", "float32", "float16", "int64"])
    largest = np.abs(x).max()
    if dtype == "float16" and not 1e-2 < largest < 1e4:
        dtype = "float32"
    if dtype == "int64" and not 1 < largest < 1e15:
        dtype = "float64"
    x = x.astype(dtype)
    if rng.random() < 0.2:
        x = np.asfortranarray(x)
    x[~x.any(1)] = 1
    return scipy.sparse.csr_array(x) if rng.random() < 0.1 and x.dtype.itemsize >= 4 else x


def draw_weights(rng, n):
    """Draw weights: none, moderate, with zeros, of very different sizes, all huge or all tiny."""
    kind = rng.integers(6)
    if kind == 0:
        return None
    w = rng.uniform(0.1, 3, n)
    if kind == 1:
        w[rng.random(n) < 0.7] = 0.0
    if kind == 2:
        w *= 10 ** rng.uniform(-25, 25, n)
    if kind >= 3:
        w *= 10.0 ** [0, -30, 30][kind - 3]
    w[rng.integers(n)] = w.max() or 1.0
    return w


def draw_scaling(rng, source, distance, c):
    """Return the scaling of a fit, that of a fitted model, or none."""
    kind = rng.integers(5)
    if kind == 0 and distance.translates:  # otherwise a scaling normalizes the rows
        return None
    return Scaling.around(distance, c, 1e-3) if kind == 1 else Scaling.of(source, distance)


def draw_b(rng, k):
    """Draw the logarithms (k,) of priors, some of which may be 0."""
    if rng.random() < 0.4:
        return np.zeros(k)
    priors = rng.dirichlet(np.full(k, rng.choice([0.05, 1.0])))
    priors[rng.random(k) < rng.choice([0.0, 0.3])] = 0.0
    return np.log(np.maximum(priors, MIN_PRIOR)) + np.log(k)


# Checking


def expect(case):
    """Compute distances and memberships with NumPy, and the bounds of rounding errors."""
    u, c = ROUNDOFF[case.bits], case.centers
    factor = 0.5 if case.distance.name == "cosine" else 1.0
    some = c[:: -(-len(c) // N_MEDIAN_CENTERS)]
    origin = 0.0 if case.distance.name == "cosine" else np.median(some, axis=0)
    squared = oracle.squared_distances(case.z, c)
    zo, co = case.z - origin, c - origin
    coordinate_error = case.coordinate_error + 2.0**-52 * float(np.abs(origin).max())
    d_error = factor * oracle.squared_distance_errors(squared, zo, co, u, coordinate_error)
    d, beta = factor * squared, case.beta[0]
    from_product = np.minimum(factor * oracle.product_errors(zo, co, u), oracle.MAX_PRODUCT_ERROR / beta)
    pass_error = d_error + (from_product if c.shape[1] > 8 else 0.0)
    logits = case.b - beta * d
    rounding = 8 * u * (1 + np.abs(case.b) + beta * d)
    assigned = oracle.soft_memberships(logits, beta * d_error + rounding)
    summed = oracle.soft_memberships(logits, beta * pass_error + rounding)
    return Expected(d, d_error, pass_error, assigned, summed)


def arguments(case):
    """Return the arguments that the passes share: block, centers, beta, b and distance."""
    return case.block, *map(torch.tensor, (case.centers, case.beta, case.b)), case.distance


def check_accumulate(case, expected):
    """Check the sufficient statistics."""
    stats = kernels.accumulate(*arguments(case))
    u, w, z, memberships = ROUNDOFF[case.bits], case.w, case.z, expected.summed
    d, beta, b = expected.d, case.beta[0], case.b
    factor = 0.5 if case.distance.name == "cosine" else 1.0
    wr, tiny = w[:, None] * memberships.resp, TINY[case.bits] * w.max() * len(w)
    wr_error = w[:, None] * memberships.resp_error
    may_be_skipped = np.where(wr <= SKIPPED_FRACTION[case.bits] * wr.sum(0), wr, 0.0)
    wr_error += np.minimum(may_be_skipped, SKIPPED_FRACTION[case.bits] * wr.sum(0))
    wr_error += SUM_ERROR * u * (wr + wr_error)
    total = w.sum()
    assert_close("n", stats.n, total, SUM_ERROR * u * total)
    assert_close("the sum of weight", stats.weight.sum(), total, SUM_ERROR * u * total)
    exact_weight = wr.sum(0, dtype=np.longdouble)
    assert_close("weight", stats.weight, exact_weight, wr_error.sum(0) + tiny)
    assert_close("irls_weight", stats.irls_weight, factor * stats.weight, 1e-15 * total)
    size = np.abs(z) + np.abs(case.centers).max(0)
    bound = wr_error.T @ size + tiny * size.max() + 4 * total * case.coordinate_error
    assert_close("weighted_sum", stats.weighted_sum, factor * wr.T @ z, factor * bound)
    bias = SUM_ERROR * u * np.abs(b) / beta * (wr.sum(0) + wr_error.sum(0))
    bound = (wr_error * d + (wr + wr_error) * expected.pass_error).sum(0) + bias + tiny * d.max()
    assert_close("distortion", stats.distortion, (wr * d).sum(0), bound)
    terms = np.abs(memberships.lognorm) + beta * d.min(1) + np.abs(b).max() + np.log(len(b))
    bound = w @ (memberships.lognorm_error + SUM_ERROR * u * terms) + tiny * terms.max()
    assert_close("objective", stats.objective, w @ memberships.lognorm, bound)


def check_assign(case, expected):
    """Check memberships and log-normalizers."""
    u, memberships = ROUNDOFF[case.bits], expected.assigned
    resp = kernels.assign(*arguments(case)).numpy()
    assert_close("memberships", resp, memberships.resp, memberships.resp_error + 16 * u)
    assert_close("sums of memberships", resp.sum(1), np.ones(len(resp)), SUM_ERROR * u)
    lognorm = kernels.lognorm(*arguments(case))
    bound = memberships.lognorm_error + 16 * u * (1 + np.abs(memberships.lognorm))
    assert_close("lognorm", lognorm, memberships.lognorm, bound)


def check_nearest(case, expected):
    """Check labels, and the distances to the nearest centers."""
    block, c, _, _, distance = arguments(case)
    label, near = kernels.nearest(block, c, distance)
    d, error = expected.d, expected.d_error
    rows = np.arange(len(d))
    # The distances of rows far from all centers come from a matrix product in float64.
    far = d.min(1) > FAR_RATIO * np.square(case.centers - case.centers[0]).sum(1).max()
    far_error = np.where(far, oracle.product_errors(case.z, case.centers, ROUNDOFF[64])[:, 0], 0.0)
    assert_close("the distance of the label", d[rows, label], d.min(1), error[rows, label] + error[rows, d.argmin(1)])
    assert_close("the nearest distance", near, d.min(1), error[rows, d.argmin(1)] + far_error + TINY[case.bits])


def check_distances(case, expected):
    """Check all distances, and the evaluation of candidates in k-means++."""
    block, c, _, _, distance = arguments(case)
    d, error = expected.d, expected.d_error + 8 * ROUNDOFF[case.bits] * expected.d + TINY[case.bits]
    assert_close("distances", kernels.distances(block, c, distance), d, error)
    closest = np.quantile(d, 0.5, axis=1) * 1.01
    updated, potential = kernels.min_distances(block, c, torch.tensor(closest), distance)
    expected_updated = np.minimum(d, closest[:, None]).T
    bound = error.T + 8 * ROUNDOFF[case.bits] * closest
    assert_close("min_distances", updated, expected_updated, bound)
    rounding = SUM_ERROR * ROUNDOFF[case.bits] * expected_updated + TINY[case.bits] * case.w.max()
    assert_close("potential", potential, expected_updated @ case.w, (bound + rounding) @ case.w)
