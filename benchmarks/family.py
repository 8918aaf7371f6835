"""The members of the family: the time of a pass of each, relative to that of a plain one.

A pass is what a fit does in it: the sums over all rows, and the parameters of the next pass. Before it is timed, the
sums are compared with those of the reference kernels in float64, on some of the rows.
"""

import math
from dataclasses import replace
from unittest import mock

import numpy as np
import torch
import workloads
from measure import interleaved, median, timed

from softkmeans import kernels
from softkmeans.data import as_source
from softkmeans.data.scaling import Scaling
from softkmeans.distances import as_distance
from softkmeans.model.assignment import Fuzzy
from softkmeans.model.params import Params
from softkmeans.objectives.setup import make_objective, with_center_update
from softkmeans.settings import Settings

SIZES = [(10**6, 2, 5), (2 * 10**5, 16, 64), (5 * 10**4, 64, 100)]
N_CHECKED_ROWS = 20_000
TOLERANCE = 3e-4  # of the sums, relative to the largest of their kind


def settings(w):
    """Return the settings of each member, at temperatures as soft as that of the workload."""
    t, k = w.temperature, len(w.centers)
    spread = np.geomspace(0.7, 1.4, k)
    root = math.sqrt(t)
    plain = Settings(temperature=t)
    return {
        "plain": plain,
        "priors": replace(plain, priors="learned"),
        "noise": replace(plain, noise_distance=8 * t),
        "temperature per cluster": replace(plain, temperature=t * spread, priors="learned"),
        "per cluster": replace(plain, temperature="per-cluster", priors="learned"),
        "cosine": replace(plain, distance="cosine", temperature=0.3),
        "cosine, per cluster": replace(plain, distance="cosine", temperature=0.3 * spread),
        "Euclidean": replace(plain, distance="euclidean", temperature=root),
        "Euclidean, mean update": replace(plain, distance="euclidean", temperature=root, update="mean"),
        "Euclidean, per cluster": replace(plain, distance="euclidean", temperature=root * spread),
        "fuzzy, m = 2": Settings(assignment=Fuzzy(2.0)),
        "fuzzy, m = 1.7": Settings(assignment=Fuzzy(1.7)),
        "fuzzy, m = 2, noise": Settings(assignment=Fuzzy(2.0), noise_distance=8 * t),
        "fuzzy, m = 2, Euclidean": Settings(assignment=Fuzzy(2.0), distance="euclidean"),
        "perplexity": replace(plain, temperature=f"perplexity:{1 + (k - 1) / 3:g}"),
        "calibrated": replace(plain, temperature="calibrated"),
    }


class Member:
    """An objective at some parameters."""

    def __init__(self, w, settings):

        source = as_source(w.x)
        distance = with_center_update(as_distance(settings.distance), settings.update)
        self.scaling = Scaling.of(source, distance)
        (self.block,) = self.scaling.view(source).blocks()
        centers = self.scaling.transform(torch.tensor(w.centers, dtype=torch.float64))
        k = len(centers)
        self.objective, log_prior = make_objective(source, self.scaling, k, settings)
        rule, unit = self.objective.temperature, self.scaling.unit
        fuzzy = settings.assignment != "softmax"
        t = 1.0 if fuzzy else w.temperature / unit
        if rule.is_given:
            t = rule.start(self.scaling, lambda: math.nan)
        self.params = Params(centers, torch.tensor(t, dtype=torch.float64).expand(k), log_prior)

    def run(self):
        """Make a pass, and return its sums."""
        sums = self.objective.accumulate(self.block, self.params)
        self.objective.value(self.params, sums)
        self.objective.update(self.params, sums)
        return sums

    def check(self):
        """Compare the sums of some rows with those of the reference kernels."""
        rows = self.block.part(0, N_CHECKED_ROWS)
        found = self.objective.accumulate(rows, self.params)
        with mock.patch.object(kernels.dispatch, "COMPILED_MIN_WORK", math.inf):
            expected = self.objective.accumulate(rows, self.params)
        for name in ("weight", "irls_weight", "weighted_sum", "distortion", "objective"):
            a, b = getattr(found.stats, name), getattr(expected.stats, name)
            if not (a - b).abs().max() <= TOLERANCE * b.abs().max():
                raise AssertionError(f"{name}: {(a - b).abs().max() / b.abs().max():.2g}")
        if not torch.allclose(found.extra, expected.extra, rtol=1e-2):
            raise AssertionError(f"entropy slope: {found.extra.tolist()}, {expected.extra.tolist()}")


def measure(size, rounds=7, names=None):
    """Return the medians of ratios to a plain pass by member, and the milliseconds of the plain one."""
    w = workloads.dense(*size)
    members = {name: Member(w, s) for name, s in settings(w).items() if names is None or name in ("plain", *names)}
    errors = {}
    for name, member in members.items():
        try:
            member.check()
        except AssertionError as error:
            errors[name] = str(error)
    times = interleaved({name: lambda m=m: timed(m.run, 0.05) for name, m in members.items()}, rounds)
    plain = times["plain"]
    ratios = {name: median(b / a for a, b in zip(plain, values, strict=True)) for name, values in times.items()}
    return ratios, median(plain) * 1e3, errors
