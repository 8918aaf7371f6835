"""The first codes of a codebook: a few passes of soft k-means over the rows of its first batches."""

from __future__ import annotations

__all__ = [
    "ROWS_PER_CODE",
    "FirstCodes",
    "choose_codes",
    "draw_new_codes",
    "evaluate_codes",
    "rows_of_ranks",
]

from typing import NamedTuple

from torch import Tensor

from .._utils.random import as_generator
from ..data.convert import as_source
from ..data.distributed.ranks import distributed, rank_count
from ..data.sampling import draw_rows
from ..data.scaling import Scaling
from ..data.source import Source
from ..distances import as_distance
from ..errors import InputError
from ..fitting.fit import prepare
from ..fitting.results import make_result, warn_about
from ..kernels import nearest
from ..seeding import initial_centers
from ..settings import Settings
from ..solvers.loop import minimize

ROWS_PER_CODE = 32  # of the first batches, from which the codes are chosen
MIN_RELATIVE_TEMPERATURE = 1e-6  # relative to the variance of the rows, if all of them are codes


class FirstCodes(NamedTuple):
    """The first codes, and the means that belong to them.

    Attributes
    ----------
    codes : Tensor (k, d)
        The codes.
    share : Tensor (k,)
        Mean membership of the rows in each code.
    distortion : float
        Mean expected squared distance of the rows.
    """

    codes: Tensor
    share: Tensor
    distortion: float


def rows_of_ranks(x: Tensor) -> Source:
    """Return the rows of all ranks as a source; raise an InputError on all of them if a row is not finite."""
    return distributed(lambda: as_source(x)) if rank_count() > 1 else as_source(x)


def choose_codes(source: Source, codebook_size: int, temperature: float | None, max_iter: int, seed: int) -> FirstCodes:
    """Return codes chosen by k-means++ among random rows, and moved by soft k-means.

    All ranks draw the same rows, so that they choose the same codes.

    Parameters
    ----------
    source : Source
        The rows, of which at most `ROWS_PER_CODE` for each code are used.
    codebook_size : int
        Number of codes k.
    temperature : float or None
        T; None for E / d with the distortion at the centers of k-means++.
    max_iter : int
        Number of passes.
    seed : int
        Seed of the random numbers.
    """
    if source.n_rows < codebook_size:
        raise InputError(
            f"is more than the {source.n_rows} vectors of the first batch",
            parameter="codebook_size",
            value=codebook_size,
            hint="lower it, or begin with a larger batch",
        )
    rows = as_source(draw_rows(source, ROWS_PER_CODE * codebook_size, lambda block: block.w, seed)[0])
    scaling = Scaling.of(rows, as_distance("sqeuclidean"))
    (start,) = initial_centers("k-means++", 1, codebook_size, rows, scaling, as_generator(seed))
    is_given = temperature is not None
    if temperature is None:
        mean = evaluate_codes(rows, scaling.inverse_transform(start)).distortion
        lowest = MIN_RELATIVE_TEMPERATURE * (scaling.variance or 1.0) * scaling.unit
        temperature = max(mean / rows.n_features, lowest)
    problem = prepare(rows, codebook_size, Settings(temperature=temperature))
    run = minimize(
        problem.objective, problem.view, problem.start(start), problem.solver,
        max_iter=max_iter, tol=Settings.tol, on_pass=lambda *_: False,
    )  # fmt: skip
    result = make_result(run, problem.objective, in_given_order=False)
    if is_given:  # it may be too high; that the few passes did not converge needs no warning
        warn_about(result, run._replace(ending="stopped"), problem.objective, max_iter, problem.view)
    return FirstCodes(result.centers, result.weight / rows.n_rows, result.distortion / rows.n_rows)


def evaluate_codes(source: Source, codes: Tensor) -> FirstCodes:
    """Return given codes with equal shares, and the mean squared distance of the rows to the nearest of them."""
    given, distance = codes.detach().to(source.device, source.dtype), as_distance("sqeuclidean")
    distortion = source.sum(lambda block: nearest(block, given, distance)[1].sum())
    return FirstCodes(given, given.new_full((len(codes),), 1 / len(codes)), float(distortion) / source.n_rows)


def draw_new_codes(x: Tensor, codes: Tensor, size: int, seed: int) -> Tensor:
    """Draw at most ``size`` rows of all ranks, in proportion to their squared distance from the nearest code."""
    codes, distance = codes.detach().double(), as_distance("sqeuclidean")
    source = rows_of_ranks(x)
    rows, _ = draw_rows(source, size, lambda block: nearest(block, codes.to(block.dtype), distance)[1], seed)
    return rows
