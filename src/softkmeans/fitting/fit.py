"""A fit from end to end: seed, descend by THE loop (`loop.minimize`), and say what was found."""

from __future__ import annotations

__all__ = ["fit"]

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from os import PathLike
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from .._utils.checks import check_count, check_tol
from ..callbacks import Callback, Step
from ..checkpoint.journal import Checkpoint, journaled
from ..data.convert import as_source
from ..data.scaling import Scaling
from ..data.source import Source
from ..distances import Distance, as_distance
from ..errors import CallbackError, FitInterrupted, InputError
from ..model.assignment import AssignmentRule
from ..model.params import Params
from ..objectives import Objective
from ..objectives.setup import first_temperature, make_objective, with_center_update
from ..seeding import initial_centers
from ..solvers import Solver, as_solver
from ..solvers.loop import Run
from ..temperature import Fixed, TemperatureRule
from .monitor import CallbackList, OnPass, run_monitored
from .results import Result, best_of, make_result, warn_about
from .stages import Stages, local_search_objective


@journaled
@torch.inference_mode(False)  # or tensors made here could not enter the gradients that some solvers take
@torch.no_grad()
def fit(
    x: ArrayLike | Tensor | Source,
    n_clusters: int,
    *,
    temperature: float | str | Sequence[float] | TemperatureRule = "auto",
    assignment: str | AssignmentRule = "softmax",
    priors: str | ArrayLike | Tensor = "uniform",
    noise_distance: float | None = None,
    frozen: ArrayLike | Tensor | None = None,
    update: str = "exact",
    objective: str | None = None,
    solver: str | Solver = "auto",
    init: str | ArrayLike | Tensor | Callable[..., Any] = "k-means++",
    init_temperature: float | ArrayLike | Tensor | None = None,
    init_priors: ArrayLike | Tensor | None = None,
    n_init: int = 1,
    max_iter: int = 300,
    tol: float = 1e-4,
    distance: str | Distance = "sqeuclidean",
    sample_weight: ArrayLike | Tensor | None = None,
    growing_sample: bool = False,
    local_search: bool = False,
    random_state: int | np.random.Generator | None = None,
    device: str | torch.device | None = None,
    callbacks: Sequence[Callback] = (),
    checkpoint: str | PathLike[str] | Checkpoint | None = None,
    resume: bool = False,
) -> Result:
    """Fit soft k-means to rows of data.

    Parameters
    ----------
    x : array-like, Tensor (n, d) or Source
        The rows.
    n_clusters : int
        k, from 1 to n.
    temperature : float, sequence of k floats, str or TemperatureRule
        T, which divides distances (squared ones by default) in the data's units; "auto" learns it by maximum
        likelihood, "per-cluster" one for each cluster; `softkmeans.temperature` has other rules: "calibrated",
        "perplexity:1.5" and "critical:0.5" among them.
    assignment : {"softmax", "fuzzy"} or AssignmentRule
        How logits become memberships. ``Fuzzy(fuzzifier)`` gives fuzzy c-means, which knows no temperature.
    priors : {"uniform", "learned"} or array-like (k,)
        Share of the rows that a cluster has before one looks at them.
    noise_distance : float, optional
        The distance at which one more cluster, of noise, is from every row: rows far from all centers belong to none.
    frozen : array-like (k,) of bool, optional
        Which of the centers given as ``init`` stay where they are.
    update : {"exact", "mean"}
        "exact" moves centers to where the objective is least; "mean" to weighted means, as in the textbook, which for
        the Euclidean distance lowers no objective: the fit then looks for where they stay.
    objective : {"free_energy", "nll", "distortion"}, optional
        What is minimized. By default F at a fixed temperature and NLL where it is learned; E, "distortion", is for
        ``solver="adam"`` and a fixed temperature.
    solver : {"auto", "em", "lbfgs", "adam", "online"} or Solver
        "auto" is expectation-maximization, accelerated by L-BFGS once it is slow (and Adam for the distortion); "em" is
        never accelerated, "lbfgs" from the start. "online" steps after every batch of rows (`solvers.Online`).
    init : {"k-means++", "k-means||", "random", "annealing"}, array-like (k, d) or callable
        Where centers start: "k-means||" takes few passes even where clusters are many. A callable takes
        ``(rows, n_clusters, random_state)``, the rows as a float64 ndarray, and gives such an array.
    init_temperature : float or array-like (k,), optional
        Where T starts if it is learned; by default its likeliest value for rows on their nearest starting center.
    init_priors : array-like (k,), optional
        Where priors start if they are learned; all the same by default.
    n_init : int
        Restarts, of which the one with the lowest objective is kept; a given array is one start.
    max_iter : int
        Passes over all rows in one restart, at most; if they run out, one more looks at where the last one led.
    tol : float
        A pass that lowers the objective by no more than this ends the fit: relative to E at a fixed temperature,
        to d Σw where T is learned. With 0, the fit runs on until nothing changes.
    distance : {"sqeuclidean", "euclidean", "cosine"} or Distance
        What is between rows and centers.
    sample_weight : array-like or Tensor (n,), optional
        Weights of the rows.
    growing_sample : bool
        Whether the first passes look at samples of the rows only, each four times as large as the one before: quicker
        on many rows, for an end that depends more on chance. ``Step.n_rows`` tells what each pass looked at.
    local_search : bool
        Whether to look for a better optimum from where the best restart ended: centers are moved, a few at a time, from
        where they are missed least to where they help most (`local_search`). Where clusters are many, it finds what
        restarts do not; its passes come on top of ``max_iter``.
    random_state : int, numpy Generator or None
        Where the starts and samples are drawn from.
    device : str or torch.device, optional
        Where the work is done; where x is, by default.
    callbacks : sequence of Callback
        Objects that watch the fit.
    checkpoint : str, path-like or Checkpoint, optional
        The folder where the fit keeps what it needs to go on, should it be stopped; see `checkpoints`. Ctrl-C and
        SIGTERM leave a checkpoint, too.
    resume : bool
        Whether to go on from the last checkpoint, if there is one: the fit ends with the same bits as if it had never
        been stopped. It is refused if the data, a parameter or a version is another.

    Returns
    -------
    Result
        Clusters come in order of falling weight Σ w r, those of equal weight (to a millionth) in lexicographic order
        of their centers; where ``init`` gave the centers and no search moved them, or priors or temperatures came one
        a cluster, in their order.

    Raises
    ------
    InputError
        If the data or a parameter can't be used.
    FitInterrupted
        On Ctrl-C, with the best result so far in ``result``.
    CallbackError
        If a callback raised, which is its ``__cause__``, with the best result so far in ``result``.

    Warns
    -----
    ConvergenceWarning
        If ``max_iter`` passes were not enough, if a cluster lost all its weight (its center stays where it was) or
        shrank to a point, or if there are fewer distinct rows than clusters (centers then coincide).

    Examples
    --------
    >>> result = fit([[0.0], [0.2], [5.0], [5.1], [5.2]], 2, random_state=0)
    >>> result.centers
    tensor([[5.1000],
            [0.1000]], dtype=torch.float64)
    """
    source = as_source(x, sample_weight, device=device)
    check_count("n_clusters", n_clusters, at_most=(source.n_rows, "rows of the data (n_samples)"))
    check_count("n_init", n_init)
    check_count("max_iter", max_iter)
    check_tol(tol)
    if not isinstance(local_search, bool | np.bool_):
        raise InputError(f"local_search={local_search!r}: give True or False")
    scaling = Scaling.of(source, with_center_update(as_distance(distance), update))
    goal, log_prior = make_objective(
        source, scaling, n_clusters, temperature=temperature, assignment=assignment, priors=priors,
        noise_distance=noise_distance, frozen=frozen, objective=objective, init=init, init_priors=init_priors,
    )  # fmt: skip
    view, rule = scaling.view(source), goal.temperature
    rng, runs = np.random.default_rng(random_state), list[Run]()
    descent = Stages(goal, view, _solver(solver, goal), max_iter, tol, rng)
    search = local_search_objective(goal, priors) if local_search else None
    named = not isinstance(priors, str) or (isinstance(rule, Fixed) and rule.per_cluster)
    ordered = named or (not isinstance(init, str) and not local_search)

    def so_far() -> Result:
        return make_result(best_of(runs, goal), goal, in_given_order=ordered, restarts=runs[:n_init])

    def keep(descend: Callable[[OnPass], Run], restart: int, history: tuple[Step, ...] = ()) -> None:
        audience = CallbackList(callbacks)
        runs.append(run_monitored(goal, audience, restart, max_iter, descend, history))
        if audience.failure:
            raise CallbackError(so_far()) from audience.failure
        if runs[-1].ending == "interrupted":
            raise KeyboardInterrupt

    try:
        for restart, centers in enumerate(initial_centers(init, n_init, n_clusters, source, scaling, rng)):
            start = Params(centers, first_temperature(init_temperature, rule, scaling, view, centers), log_prior)
            samples = _samples(view, n_clusters, rng) if growing_sample else ()
            keep(partial(descent.down, start, samples, rule.stages(scaling)), restart)
        if search is not None:
            best = best_of(runs, goal)
            keep(partial(descent.on, search, best), best.history[0].restart, best.history)
    except KeyboardInterrupt:  # it may also have come between restarts
        if not runs:
            raise
        raise FitInterrupted(so_far()) from None
    best = best_of(runs, goal)
    result = so_far()
    warn_about(result, best, goal, max_iter, source.n_rows)
    return result


def _solver(solver: str | Solver, goal: Objective) -> Solver:
    """Look a solver up that the objective can go with."""
    automatic = "auto" if goal.has_update and goal.has_gradient else "em" if goal.has_update else "adam"
    method = as_solver(automatic if solver == "auto" else solver)
    if method.needs_update and not goal.has_update:
        raise InputError(f"solver={solver!r} steps by EM, which does not lower the {goal.name}: choose solver='adam'")
    if method.needs_gradient and goal.temperature.solved:
        raise InputError(f"solver={solver!r} knows no temperature that solves an equation: choose 'auto' or 'em'")
    if method.needs_gradient and not goal.has_gradient:
        raise InputError(f"solver={solver!r} needs an objective, and update='mean' has none: choose solver='em'")
    return method


def _samples(view: Source, n_clusters: int, rng: np.random.Generator) -> Iterator[Source]:
    """Samples of the rows, each holding the one before and four times as large, up to a quarter of all."""
    order, size = rng.permutation(view.n_rows), 64 * n_clusters
    while size <= view.n_rows // 4:
        yield view.sample(torch.from_numpy(order[:size]))
        size *= 4
