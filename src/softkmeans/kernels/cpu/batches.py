"""A kernel for whole fits of many small problems: each is fitted from start to end before the next one.

The rows of a problem lie across the lanes, one register for each feature, and distances are computed from differences,
in float64. Problems do not share anything, so results do not depend on how they are distributed over threads.
"""

from __future__ import annotations

__all__ = ["FIT_BATCH", "BatchNumbers", "fit_batch"]

import math
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor

from .. import compiler
from ..compiler import FLOAT, INT64, Arguments, Call, Code, Kernel, Layout, Value, Variable, lanes, load_kernel
from .arguments import MAX_DISTANCE, PANEL_REGISTERS, round_up

Variables = list[Variable]  # one for each register of a panel

BITS = 64  # of the kernel's floats
MIN_WEIGHT = 1e-290  # the centers of clusters with a smaller weight stay where they are


class BatchNumbers(NamedTuple):
    """The numbers of a call; `BatchArguments` describes those that the kernel takes.

    Attributes
    ----------
    lanes : int
        Floats of a register.
    """

    n_problems: int
    n_rows: int
    d: int
    k: int
    max_iter: int
    tol: float
    lanes: int


Number = compiler.Number[BatchNumbers]
Setting = compiler.Setting[BatchNumbers]
Input = compiler.Input[BatchNumbers]
Output = compiler.Output[BatchNumbers]
Scratch = compiler.Scratch[BatchNumbers]


class BatchArguments(Arguments):
    """The arguments of the kernel. Logits are binary logarithms: 2^logit is the unnormalized membership."""

    n_problems = Number(lambda p: p.n_problems, "problems")
    n_rows = Number(lambda p: p.n_rows, "rows of a problem, with padding: a multiple of a panel's rows")
    d = Number(lambda p: p.d, "features")
    k = Number(lambda p: p.k, "clusters")
    max_iter = Number(lambda p: p.max_iter, "the largest number of iterations")
    tol = Setting(lambda p: p.tol, "a fit ends when the squared steps of the centers, over the distortion, are smaller")
    x = Input(FLOAT, lambda p: (p.n_problems, p.d, p.n_rows), "rows, by feature")
    weights = Input(FLOAT, lambda p: (p.n_problems, p.n_rows), "weights of the rows; those of padding are 0")
    beta = Input(FLOAT, lambda p: (p.n_problems, p.k), "factors of the squared distances in the logits")
    b = Input(FLOAT, lambda p: (p.n_problems, p.k), "constants of the logits")
    centers = Output(FLOAT, lambda p: (p.n_problems, p.k, p.d), "initial centers, which become the final ones")
    out_resp = Output(FLOAT, lambda p: (p.n_problems, p.k, p.n_rows), "memberships at the final centers, by cluster")
    n_iter = Output(INT64, lambda p: (p.n_problems,), "iterations")
    converged = Output(INT64, lambda p: (p.n_problems,), "whether the fit converged")
    resp = Scratch(
        FLOAT, lambda p: (p.k, PANEL_REGISTERS * p.lanes), "logits, then unnormalized memberships, of a panel"
    )
    sums = Scratch(FLOAT, lambda p: (p.k, p.d + 1, p.lanes), "weight and weighted sum of each cluster, by lane")


def write_fit_batch(code: Code, t: BatchArguments) -> None:
    """Fit each problem by EM until its centers stand still."""
    for problem in code.range(0, t.n_problems):
        is_running = code.variable(code.true())
        for i in code.range(0, t.max_iter):
            with code.if_then(is_running):
                for number in code.range(0, t.k * (t.d + 1)):
                    t.sums.store(number * code.lanes, code.full(0.0))
                distortion = code.variable(code.full(0.0))
                for start in code.range(0, t.n_rows, PANEL_REGISTERS * code.lanes):
                    _add_panel(code, t, problem, start, distortion)
                movement = _move_centers(code, t, problem)
                t.n_iter[problem] = i + 1
                with code.if_then(movement <= code.sum_lanes(distortion) * t.tol):
                    t.converged[problem] = 1
                    is_running.set(~code.true())
        for start in code.range(0, t.n_rows, PANEL_REGISTERS * code.lanes):
            _write_memberships(code, t, problem, start)


def _compute_memberships(code: Code, t: BatchArguments, problem: Value, start: Value) -> tuple[Variables, Variables]:
    """Write the unnormalized memberships of a panel; return their sums, and their sums times the terms beta d."""
    first, largest = problem * t.d * t.n_rows + start, _variables(code, -MAX_DISTANCE[BITS])
    for q in code.range(0, t.k):
        squared, center = _variables(code, 0.0), (problem * t.k + q) * t.d
        for j in code.range(0, t.d):
            c = t.centers[center + j]
            for total, v in zip(squared, _starts(code), strict=True):
                gap = t.x.load(first + j * t.n_rows + v) - c
                total.set(code.fma(gap, gap, total))
        beta, b = t.beta[problem * t.k + q], t.b[problem * t.k + q]
        for total, v, maximum in zip(squared, _starts(code), largest, strict=True):
            logit = b - beta * total
            t.resp.store(_in_panel(code, q, v), logit)
            maximum.set(code.select(logit > maximum, logit, maximum))
    totals, spreads = _variables(code, 0.0), _variables(code, 0.0)
    for q in code.range(0, t.k):
        b = t.b[problem * t.k + q]
        for total, spread, v, maximum in zip(totals, spreads, _starts(code), largest, strict=True):
            logit = t.resp.load(_in_panel(code, q, v))
            unnormalized = code.exp2(logit - maximum)
            total.set(total + unnormalized)
            spread.set(code.fma(unnormalized, b - logit, spread))
            t.resp.store(_in_panel(code, q, v), unnormalized)
    return totals, spreads


def _write_memberships(code: Code, t: BatchArguments, problem: Value, start: Value) -> None:
    """Write the memberships of a panel's rows."""
    totals, _ = _compute_memberships(code, t, problem, start)
    for q in code.range(0, t.k):
        for v, total in zip(_starts(code), totals, strict=True):
            resp = t.resp.load(_in_panel(code, q, v)) / total
            t.out_resp.store((problem * t.k + q) * t.n_rows + start + v, resp)


def _add_panel(code: Code, t: BatchArguments, problem: Value, start: Value, distortion: Variable) -> None:
    """Add a panel's rows to the sums of the clusters, and Σ w r beta d to the distortion."""
    first, (totals, spreads) = problem * t.d * t.n_rows + start, _compute_memberships(code, t, problem, start)
    factors = [
        t.weights.load(problem * t.n_rows + start + v) / total for v, total in zip(_starts(code), totals, strict=True)
    ]
    for factor, spread in zip(factors, spreads, strict=True):
        distortion.set(code.fma(factor, spread, distortion))
    for q in code.range(0, t.k):
        resp = [t.resp.load(_in_panel(code, q, v)) * factor for v, factor in zip(_starts(code), factors, strict=True)]
        weight = q * (t.d + 1) * code.lanes
        t.sums.store(weight, t.sums.load(weight) + sum(resp[1:], resp[0]))
        for j in code.range(0, t.d):
            at = weight + (j + 1) * code.lanes
            weighted = t.sums.load(at)
            for r, v in zip(resp, _starts(code), strict=True):
                weighted = code.fma(r, t.x.load(first + j * t.n_rows + v), weighted)
            t.sums.store(at, weighted)


def _move_centers(code: Code, t: BatchArguments, problem: Value) -> Variable:
    """Move the centers to the weighted means; return the sum of their squared steps, times weights and beta."""
    movement = code.variable(0.0)
    for q in code.range(0, t.k):
        sums, center = q * (t.d + 1) * code.lanes, (problem * t.k + q) * t.d
        weight = code.sum_lanes(t.sums.load(sums))
        with code.if_then(weight > MIN_WEIGHT):
            squared_step = code.variable(0.0)
            for j in code.range(0, t.d):
                moved = code.sum_lanes(t.sums.load(sums + (j + 1) * code.lanes)) / weight
                step = moved - t.centers[center + j]
                squared_step.set(code.fma(step, step, squared_step))
                t.centers[center + j] = moved
            movement.set(movement + weight * t.beta[problem * t.k + q] * squared_step)
    return movement


def _starts(code: Code) -> Iterator[int]:
    """Yield where the registers of a panel begin."""
    return iter(range(0, PANEL_REGISTERS * code.lanes, code.lanes))


def _in_panel(code: Code, q: Value, v: int) -> Value:
    """Return the index of a register of cluster q in an array (clusters, rows of a panel)."""
    return q * (PANEL_REGISTERS * code.lanes) + v


def _variables(code: Code, value: float) -> list[Variable]:
    """Return a variable for each register of a panel."""
    return [code.variable(code.full(value)) for _ in _starts(code)]


FIT_BATCH = Kernel("fit_batch", write_fit_batch, BatchArguments)


@lru_cache(maxsize=32)
def _layout(sizes: BatchNumbers) -> Layout:
    """Return the layout of a call's memory, which takes long to compute compared with a small fit."""
    return Layout(BatchArguments, sizes, BITS)


def fit_batch(
    x: Tensor, weights: Tensor, beta: Tensor, b: Tensor, centers: Tensor, max_iter: int, tol: float
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Fit a batch of problems in the calling thread: see `batches.fit`.

    Parameters
    ----------
    x : Tensor (p, n, d)
        Rows in float64, centered and scaled.
    weights : Tensor (p, n)
        Weights of the rows, 0 or more.
    beta, b : Tensor (p, k)
        Coefficients of the logits.
    centers : Tensor (p, k, d)
        Initial centers.
    max_iter : int
        The largest number of iterations.
    tol : float
        Tolerance.
    """
    (n_problems, n, d), k, width = x.shape, beta.shape[1], lanes(BITS)
    n_rows = round_up(n, PANEL_REGISTERS * width)
    by_feature = x.new_zeros(n_problems, d, n_rows)
    by_feature[:, :, :n] = x.mT
    padded_weights = x.new_zeros(n_problems, n_rows)
    padded_weights[:, :n] = weights
    centers, binary = centers.clone(memory_format=torch.contiguous_format), 1 / math.log(2)
    n_iter, converged = (torch.zeros(n_problems, dtype=torch.int64, device=x.device) for _ in range(2))
    resp = x.new_empty(n_problems, k, n_rows)
    numbers = BatchNumbers(n_problems, n_rows, d, k, max_iter, tol, width)
    arrays = {
        "x": by_feature, "weights": padded_weights, "beta": beta * binary, "b": b * binary, "centers": centers,
        "out_resp": resp, "n_iter": n_iter, "converged": converged,
    }  # fmt: skip
    layout = _layout(numbers._replace(n_problems=0, n_rows=0, max_iter=0, tol=0.0))
    call = Call(load_kernel(FIT_BATCH, BITS, __package__), numbers, layout)
    call(layout.allocate(), numbers, **{name: array.contiguous().numpy() for name, array in arrays.items()})
    return centers, resp[:, :, :n].mT, n_iter, converged.bool()
