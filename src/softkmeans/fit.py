"""The algorithm: seed, then pass over the data and step, until nothing improves. There is no other fit loop."""

from __future__ import annotations

__all__ = ["Result", "fit", "minimise"]

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike
from sklearn.exceptions import ConvergenceWarning
from torch import Tensor

from .blocks import Block
from .callbacks import Callback, Step
from .checks import check_count, check_known, check_positive, check_tol
from .data.arrays import as_source
from .data.source import Source
from .distances import Distance, as_distance
from .errors import FitInterrupted, InputError, warn
from .kernels import nearest
from .objectives import Distortion, FreeEnergy, NegativeLogLikelihood, Objective, Params, Summary
from .seeding import starts
from .solvers import Solver, as_solver
from .space import Space
from .sums import dot, total
from .temperature import TemperatureRule, as_temperature

SAMPLE_PASSES, SAMPLE_TOL = 10, 1e-2  # how long, and how closely, to look at a sample


class Result(NamedTuple):
    """What a fit found, in the data's units.

    Attributes
    ----------
    centers : Tensor (k, d)
        Float64.
    temperature : float
        T.
    objective : float
        What was minimised, summed over the rows: F at a fixed temperature, NLL where T is learned, or E.
    free_energy, distortion, entropy : float
        F, E and H at the centres, summed over the rows.
    weight : Tensor (k,)
        Each cluster's share Σ w r.
    n_iter : int
        Passes in the best restart, over samples of the data included.
    converged : bool
        Whether the last passes brought no improvement beyond ``tol``.
    history : tuple of Step
        One entry a pass of the best restart.
    """

    centers: Tensor
    temperature: float
    objective: float
    free_energy: float
    distortion: float
    entropy: float
    weight: Tensor
    n_iter: int
    converged: bool
    history: tuple[Step, ...]


class _Found(NamedTuple):
    """A point, the summary of all rows there, and the objective."""

    params: Params
    summary: Summary
    value: float


class _Run(NamedTuple):
    """One descent: the best point found, and how it ended ("converged", "exhausted", "stopped" or "interrupted")."""

    best: _Found
    ending: str
    history: tuple[Step, ...] = ()


def minimise(
    objective: Objective,
    source: Source,
    start: Params,
    solver: Solver,
    *,
    max_iter: int,
    tol: float,
    on_step: Callable[[int, _Found], bool],
) -> _Run:
    """THE loop: evaluate, remember the best, stop or step. Interrupted, it keeps the best so far."""
    state, best, stalled = solver.init(objective, start), None, 0
    try:
        for n_iter in range(1, max_iter + 1):
            found = _evaluate(objective, source, state.params)
            stalled = 0 if _improves(objective, found, best, tol) else stalled + 1
            in_vain = state.guess and best is not None and not found.value < best.value
            best = _better(objective, found, best)
            if on_step(n_iter, best if in_vain else found):
                return _Run(best, "stopped")
            if stalled >= state.patience:
                return _Run(best, "converged")
            state = solver.step(objective, state, found.summary)
        last = _evaluate(objective, source, state.params)  # where the last step led
        return _Run(_better(objective, last, best), "exhausted")
    except KeyboardInterrupt:
        if best is None:
            raise
        return _Run(best, "interrupted")


def _evaluate(objective: Objective, source: Source, params: Params) -> _Found:
    summary = source.sum(lambda block: objective.summarize(block, params))
    return _Found(params, summary, objective.value(params, summary))


def _improves(objective: Objective, found: _Found, best: _Found | None, tol: float) -> bool:
    return best is None or best.value - found.value > tol * objective.resolution(found.summary)


def _better(objective: Objective, found: _Found, best: _Found | None) -> _Found:
    """Keep the lower of two points; the later one, being more finished, where only rounding tells them apart."""
    rounding = 1e-12 * objective.resolution(found.summary)
    return found if best is None or found.value <= best.value + rounding else best


@torch.inference_mode(False)  # or tensors made here could not enter the gradients that some solvers take
@torch.no_grad()
def fit(
    x: ArrayLike | Tensor | Source,
    n_clusters: int,
    *,
    temperature: float | str | TemperatureRule = "auto",
    objective: str | None = None,
    solver: str | Solver = "auto",
    init: str | ArrayLike | Tensor | Callable[..., Any] = "k-means++",
    init_temperature: float | None = None,
    n_init: int = 1,
    max_iter: int = 300,
    tol: float = 1e-4,
    distance: str | Distance = "sqeuclidean",
    sample_weight: ArrayLike | Tensor | None = None,
    growing_sample: bool = False,
    random_state: int | np.random.Generator | None = None,
    device: str | torch.device | None = None,
    callbacks: Sequence[Callback] = (),
) -> Result:
    """Fit soft k-means to rows of data.

    Parameters
    ----------
    x : array-like, Tensor (n, d) or Source
        The rows.
    n_clusters : int
        k, from 1 to n.
    temperature : float, "auto" or TemperatureRule
        T, which divides distances (squared ones by default) in the data's units; "auto" learns it by maximum
        likelihood.
    objective : {"free_energy", "nll", "distortion"}, optional
        What is minimised. By default F at a fixed temperature and NLL where it is learned; E, "distortion", is for
        ``solver="adam"`` and a fixed temperature.
    solver : {"auto", "em", "lbfgs", "adam"} or Solver
        "auto" is expectation-maximisation, accelerated by L-BFGS once it is slow (and Adam for the distortion); "em" is
        never accelerated, "lbfgs" from the start.
    init : {"k-means++", "k-means||", "random"}, array-like (k, d) or callable
        Where centres start: "k-means||" takes few passes even where clusters are many. A callable takes
        ``(rows, n_clusters, random_state)``, the rows as a float64 ndarray, and gives such an array.
    init_temperature : float, optional
        Where T starts if it is learned; by default its likeliest value for rows on their nearest starting centre.
    n_init : int
        Restarts, of which the one with the lowest objective is kept; a given array is one start.
    max_iter : int
        Passes over all rows in one restart, at most; if they run out, one more looks at where the last one led.
    tol : float
        A pass that lowers the objective by no more than this ends the fit: relative to E at a fixed temperature,
        to d Σw where T is learned. With 0, the fit runs on until nothing changes.
    distance : {"sqeuclidean", "euclidean", "cosine"} or Distance
        What is between rows and centres.
    sample_weight : array-like or Tensor (n,), optional
        Weights of the rows.
    growing_sample : bool
        Whether the first passes look at samples of the rows only, each four times as large as the one before: quicker
        on many rows, for an end that depends more on chance. ``Step.n_rows`` tells what each pass looked at.
    random_state : int, numpy Generator or None
        Where the starts and samples are drawn from.
    device : str or torch.device, optional
        Where the work is done; where x is, by default.
    callbacks : sequence of Callback
        Objects that watch the fit.

    Returns
    -------
    Result
        Clusters come in order of falling weight Σ w r, those of equal weight (to a millionth) in lexicographic order
        of their centres; where ``init`` gave the centres, in the order given.

    Raises
    ------
    InputError
        If the data or a parameter can't be used.
    FitInterrupted
        On Ctrl-C, with the best result so far in ``result``.

    Warns
    -----
    ConvergenceWarning
        If ``max_iter`` passes were not enough, if a cluster lost all its weight (its centre stays where it was), or
        if there are fewer distinct rows than clusters (centres then coincide).

    Examples
    --------
    >>> result = fit([[0.0], [0.2], [5.0], [5.1], [5.2]], 2, random_state=0)
    >>> result.centers
    tensor([[5.1000],
            [0.1000]], dtype=torch.float64)
    """
    source = as_source(x, sample_weight, device=device)
    check_count("n_clusters", n_clusters, at_most=(source.n_rows, "rows"))
    check_count("n_init", n_init)
    check_count("max_iter", max_iter)
    check_tol(tol)
    rule = as_temperature(temperature)
    space = Space.of(source, as_distance(distance))
    goal = _objective(objective, space, rule)
    method = as_solver("adam" if solver == "auto" and not goal.has_update else solver)
    if method.needs_update and not goal.has_update:
        raise InputError(f"solver={solver!r} steps by EM, which does not lower the {goal.name}: choose solver='adam'")
    view = space.view(source)
    rng, runs = np.random.default_rng(random_state), list[_Run]()
    ordered = not isinstance(init, str)
    try:
        for centers in starts(init, n_init, n_clusters, source, space, rng):
            start = Params(centers, _first_temperature(init_temperature, rule, space, view, centers))
            samples = _samples(view, n_clusters, rng) if growing_sample else ()
            runs.append(_watched(goal, (*samples, view), start, method, max_iter, tol, callbacks, len(runs)))
            if runs[-1].ending == "interrupted":
                raise KeyboardInterrupt
    except KeyboardInterrupt:  # it may also have come between restarts
        if not runs:
            raise
        raise FitInterrupted(_result(_lowest(runs), goal, in_given_order=ordered)) from None
    best = _lowest(runs)
    result = _result(best, goal, in_given_order=ordered)
    _warn(result, best, max_iter, source.n_rows)
    return result


def _lowest(runs: Sequence[_Run]) -> _Run:
    return min(runs, key=lambda run: run.best.value)


def _objective(name: str | None, space: Space, rule: TemperatureRule) -> Objective:
    """Pair objective and temperature rule: only under the likelihood has a learned temperature a sensible value."""
    objectives: dict[str, type[Objective]] = {
        kind.name: kind for kind in (FreeEnergy, NegativeLogLikelihood, Distortion)
    }
    chosen = name or ("nll" if rule.learned else "free_energy")
    check_known("objective", chosen, objectives)
    if rule.learned and chosen != "nll":
        raise InputError(
            f"objective={chosen!r} needs a fixed temperature: learned with it, T would run off to infinity or to 0; "
            "give temperature a number, or choose objective='nll'"
        )
    return objectives[chosen](space, rule)


def _first_temperature(
    given: float | None, rule: TemperatureRule, space: Space, view: Source, centers: Tensor
) -> float:
    if given is not None and rule.learned:
        check_positive("init_temperature", given)
        return given / space.unit

    def mean_distortion() -> float:
        def sums(b: Block) -> Tensor:
            return torch.stack([total(b.w), dot(b.w, nearest(b, centers, space.distance)[1])])

        weight, distance = view.sum(lambda block: block.sum(sums, width=1))
        return float(distance / weight)

    return rule.start(space, mean_distortion)


def _samples(view: Source, n_clusters: int, rng: np.random.Generator) -> Iterator[Source]:
    """Samples of the rows, each holding the one before and four times as large, up to a quarter of all."""
    order, size = rng.permutation(view.n_rows), 64 * n_clusters
    while size <= view.n_rows // 4:
        yield view.sample(torch.from_numpy(order[:size]))
        size *= 4


def _watched(
    goal: Objective,
    sources: Iterable[Source],
    start: Params,
    solver: Solver,
    max_iter: int,
    tol: float,
    callbacks: Sequence[Callback],
    restart: int,
) -> _Run:
    """Run the loop on samples, if any, and on all rows, the last of the sources, telling the callbacks."""
    history: list[Step] = []
    *samples, everything = sources
    for callback in callbacks:
        callback.on_fit_begin(max_iter)

    def run_on(source: Source, params: Params, max_iter: int, tol: float) -> _Run:
        def on_step(_: int, found: _Found) -> bool:
            history.append(_step(goal, len(history) + 1, found, restart, source.n_rows))
            return any([callback.on_step(history[-1]) for callback in callbacks])  # noqa: C419 -- every one is to hear

        return minimise(goal, source, params, solver, max_iter=max_iter, tol=tol, on_step=on_step)

    cut_short = ""
    for sample in samples:
        run = run_on(sample, start, SAMPLE_PASSES, max(tol, SAMPLE_TOL))
        start = run.best.params
        if run.ending in ("stopped", "interrupted"):  # a pass over all rows says what has been reached
            max_iter, cut_short = 1, run.ending
            break
    run = run_on(everything, start, max_iter, tol)
    run = run._replace(ending=cut_short or run.ending, history=tuple(history))
    for callback in callbacks:
        callback.on_fit_end(_result(run, goal, in_given_order=True))
    return run


def _step(goal: Objective, n_iter: int, found: _Found, restart: int, n_rows: int) -> Step:
    stats, unit = found.summary.stats, goal.space.unit
    value = goal.in_units(found.value, found.summary)
    distortion = float(stats.distortion.sum()) * unit
    return Step(n_iter, value, value / float(stats.n), distortion, found.params.temperature * unit, restart, n_rows)


def _result(run: _Run, goal: Objective, *, in_given_order: bool) -> Result:
    params, summary, value = run.best
    stats, unit = summary.stats, goal.space.unit
    order = torch.arange(len(params.centers)) if in_given_order else _canonical(params.centers, stats.weight)
    return Result(
        centers=goal.space.leave(params.centers)[order],
        temperature=params.temperature * unit,
        objective=goal.in_units(value, summary),
        free_energy=-params.temperature * float(stats.objective) * unit,
        distortion=float(stats.distortion.sum()) * unit,
        entropy=goal.entropy(params, summary),
        weight=stats.weight[order],
        n_iter=len(run.history),
        converged=run.ending == "converged",
        history=run.history,
    )


def _canonical(centers: Tensor, weight: Tensor) -> Tensor:
    """Order (k,) by falling weight, then by centre; both to a millionth, so that rounding can't tell ties apart."""
    falling = -(weight / weight.sum() * 1e6).round()
    columns = (centers / centers.abs().max().clamp_min(1e-300) * 1e6).round().T.flip(0)
    return torch.from_numpy(np.lexsort((*columns.cpu().numpy(), falling.cpu().numpy())))


def _warn(result: Result, run: _Run, max_iter: int, n_rows: int) -> None:
    if run.ending == "exhausted":
        warn(f"the fit did not converge in {max_iter} passes: raise max_iter or tol", ConvergenceWarning)
    starved = (result.weight < 1e-6 * result.weight.sum() / n_rows).nonzero()[:, 0].tolist()
    if starved:
        stay = "have lost all their rows, and their centres stay where they were"
        warn(f"clusters {starved} {stay}: lower n_clusters, or start elsewhere", ConvergenceWarning)
