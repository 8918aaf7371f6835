"""One toy of every kind of extension, registered when this module is imported: the examples of docs/architecture.md."""

import itertools
import json
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import torch

from softkmeans.callbacks import CALLBACKS, Callback
from softkmeans.data import FORMATS, Format
from softkmeans.distances import DISTANCES, Distance
from softkmeans.model import ASSIGNMENTS, Assignment, AssignmentRule
from softkmeans.seeding import SEEDINGS, Seeding
from softkmeans.selection import CRITERIA, Criterion, lowest
from softkmeans.solvers import SOLVERS, PlainState, Solver
from softkmeans.temperature import PARAMETRIC, TEMPERATURES, TemperatureRule


class Cauchy(Distance):
    """A distance that grows slowly, so that rows far away count little."""

    name = "cauchy"
    power = None  # log(1 + (s r)²) is no multiple of log(1 + r²)

    def of_squared(self, squared):
        return torch.log1p(squared)


class Manhattan(Distance):
    """A distance that is not a function of the Euclidean distance: fits use its gradient."""

    name = "manhattan"
    power = 1

    def between(self, z, c):
        return (z[..., None, :] - c).abs().sum(-1)


@dataclass(frozen=True)
class Sparsemax(AssignmentRule):
    """Memberships that are exactly 0 for distant clusters (Martins & Astudillo, ICML 2016)."""

    name = "sparsemax"

    def __call__(self, logits, dim=-1):
        z = logits.movedim(dim, -1)
        ordered = z.sort(-1, descending=True).values
        excess = (ordered.cumsum(-1) - 1) / torch.arange(1, z.shape[-1] + 1)
        support = (ordered > excess).sum(-1, keepdim=True)
        resp = (z - excess.gather(-1, support - 1)).clamp_min(0)
        objective = (resp * (z - resp / 2)).sum(-1) + 0.5
        resp = resp.movedim(-1, dim)
        return Assignment(resp, resp, objective)


@dataclass(frozen=True)
class FractionOfStart(TemperatureRule):
    """A fraction of the mean distance of rows from the nearest initial center."""

    fraction: float = 0.5

    def start(self, scaling, mean_distortion):
        return self.fraction * mean_distortion()


@dataclass(frozen=True)
class GradientDescent(Solver):
    """Gradient descent; a step size of 1 is nearly an EM step."""

    lr: float = 0.8

    def init(self, objective, params):
        return PlainState(params)

    def step(self, objective, state, sums):
        gradient = objective.gradient(state.params, sums)
        step = self.lr * objective.preconditioner(state.params, sums) * gradient
        return PlainState(objective.unpack(objective.pack(state.params) - step, state.params))


class FirstRows(Seeding):
    """The first rows of the data."""

    def centers(self, source, n_clusters, n_init, distance, rng):
        yield source.take(torch.arange(n_clusters))


class PassPrinter(Callback):
    """Print the number of each pass."""

    def on_step(self, step):
        print(f"pass {step.n_iter}")


def second_difference(fits):
    """Return how sharply the inertia bends at each number of clusters, with the sharpest bend lowest."""
    inertia = np.array([model.inertia_ for model in fits.models.values()])
    bend = np.full(len(inertia), np.nan)
    bend[1:-1] = -np.diff(inertia, 2)
    return bend


def read_lines(path):
    """Return the rows of a file with a JSON object in each line."""
    return pa.Table.from_pylist([json.loads(line) for line in path.read_text().splitlines()])


def scan_lines(path, rows_per_table=40):
    """Yield the same rows, some at a time."""
    with path.open() as lines:
        while part := [json.loads(line) for line in itertools.islice(lines, rows_per_table)]:
            yield pa.Table.from_pylist(part)


class LinesWriter:
    """Writes each row as a JSON object in a line of its own."""

    def __init__(self, file, schema):
        self.file = file

    def write_table(self, table):
        self.file.writelines(json.dumps(row).encode() + b"\n" for row in table.to_pylist())

    def close(self):
        """Such a file has no end."""


LINES = Format((".lines",), read_lines, scan_lines, LinesWriter)
BARE = Format((".blank",), lambda path: np.loadtxt(path, ndmin=2))  # neither blocks nor writing

ELBOW = Criterion(second_difference, lowest, label="elbow", description="where the inertia bends most.")

DISTANCES.register("cauchy", Cauchy)
DISTANCES.register("manhattan", Manhattan)
ASSIGNMENTS.register("sparsemax", Sparsemax)
TEMPERATURES.register("half-start", FractionOfStart)
PARAMETRIC.register("start", FractionOfStart)
SOLVERS.register("gradient-descent", GradientDescent)
SEEDINGS.register("first-rows", FirstRows)
CRITERIA.register("elbow", ELBOW)
CALLBACKS.register("pass-printer", PassPrinter)
FORMATS.register("lines", LINES)
FORMATS.register("blank", BARE)
