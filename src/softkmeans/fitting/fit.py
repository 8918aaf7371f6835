"""The function `fit`: choose initial centers, run the fit loop for each restart, and return the best result."""

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

from .._utils.checks import check_count, check_not_negative
from ..callbacks import Callback, Step
from ..checkpoint.resume import Checkpoint, journaled
from ..data.convert import as_source
from ..data.scaling import Scaling
from ..data.source import Source
from ..distances import Distance, as_distance
from ..errors import CallbackError, FitInterrupted, InputError
from ..model.assignment import AssignmentRule
from ..model.params import Params
from ..objectives import Objective
from ..objectives.setup import initial_temperature, make_objective, with_center_update
from ..seeding import initial_centers
from ..solvers import Solver, as_solver
from ..solvers.loop import LoopResult
from ..temperature import Fixed, TemperatureRule
from .monitor import CallbackList, OnPass, run_monitored
from .results import Result, best_of, make_result, warn_about
from .stages import Stages, local_search_objective

FIRST_SAMPLE_ROWS_PER_CLUSTER = 64
SAMPLE_GROWTH = 4  # each sample has this many times the rows of the one before


@journaled
@torch.inference_mode(False)  # some solvers need gradients, which inference tensors cannot have
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
    """Fit soft k-means to the rows of a data set.

    Parameters
    ----------
    x : array-like, Tensor (n, d) or Source
        The rows.
    n_clusters : int
        Number of clusters k, from 1 to n.
    temperature : float, sequence of k floats, str or TemperatureRule, default="auto"
        Temperature T > 0, which divides the distances (squared distances, by default), in the data's units. "auto"
        learns T by maximum likelihood, "per-cluster" learns one T for each cluster. `softkmeans.temperature` has other
        rules, such as "calibrated", "perplexity:1.5" and "critical:0.5".
    assignment : {"softmax", "fuzzy"} or AssignmentRule, default="softmax"
        How logits become memberships. ``Fuzzy(fuzzifier)`` fits fuzzy c-means, which has no temperature.
    priors : {"uniform", "learned"} or array-like (k,), default="uniform"
        Prior probability (mixing weight) of each cluster.
    noise_distance : float, default=None
        Distance of an additional noise cluster from every row: rows far from all centers belong to the noise.
    frozen : array-like (k,) of bool, default=None
        Mask of the centers given as ``init`` that must not move.
    update : {"exact", "mean"}, default="exact"
        How centers are updated: "exact" minimizes the objective; "mean" takes weighted means whatever the distance, as
        in the textbook. For the Euclidean distance, "mean" minimizes no objective: the fit then searches for a fixed
        point.
    objective : {"free_energy", "nll", "distortion"}, default=None
        Objective to minimize. By default, F if the temperature is fixed, and NLL if it is learned. "distortion" (E)
        needs ``solver="adam"`` and a fixed temperature.
    solver : {"auto", "em", "lbfgs", "adam", "online"} or Solver, default="auto"
        Optimization algorithm. "auto" is expectation-maximization (EM), accelerated by L-BFGS once it becomes slow, and
        Adam for the distortion. "em" is never accelerated; "lbfgs" is accelerated from the start. "online" takes a step
        after every batch of rows (see `solvers.Online`).
    init : {"k-means++", "k-means||", "random", "annealing"}, array-like (k, d) or callable, default="k-means++"
        Initial centers, or the method to choose them. "k-means||" needs few passes even for many clusters. A callable
        takes ``(rows, n_clusters, random_state)``, with the rows as a float64 ndarray, and returns an array (k, d).
    init_temperature : float or array-like (k,), default=None
        Initial T, if T is learned. By default, the maximum likelihood value if each row belongs to the nearest initial
        center.
    init_priors : array-like (k,), default=None
        Initial priors, if they are learned. By default, they are equal.
    n_init : int, default=1
        Number of restarts; the one with the lowest objective is kept. If ``init`` is an array, there is only one.
    max_iter : int, default=300
        Maximum number of passes over all rows per restart; if it is reached, one extra pass evaluates the final
        parameters.
    tol : float, default=1e-4
        Tolerance: the fit stops after a pass that lowers the objective by no more than ``tol`` times E if the
        temperature is fixed, or ``tol`` times d Σw if it is learned. With 0, the fit runs until nothing changes.
    distance : {"sqeuclidean", "euclidean", "cosine"} or Distance, default="sqeuclidean"
        Distance between rows and centers.
    sample_weight : array-like or Tensor (n,), default=None
        Weights of the rows; all 1 by default.
    growing_sample : bool, default=False
        Whether the first passes use random samples of the rows, each four times as large as the one before. This is
        faster for many rows, but the result depends more on chance. ``Step.n_rows`` is the number of rows of a pass.
    local_search : bool, default=False
        Whether to continue with a local search from the best restart: split the clusters whose split gains most, and
        remove as many whose removal costs least, until this no longer lowers the objective. With many clusters, this
        finds better optima than restarts. Its passes are not counted in ``max_iter``.
    random_state : int, numpy Generator or None, default=None
        Seed or random number generator for initial centers and samples.
    device : str or torch.device, default=None
        Device for the computation; by default, the device of x.
    callbacks : sequence of Callback, default=()
        Callbacks, called after every pass.
    checkpoint : str, path-like or Checkpoint, default=None
        Folder for checkpoints, from which an interrupted fit can be resumed; see `Checkpoint`. Ctrl-C and SIGTERM also
        write a checkpoint.
    resume : bool, default=False
        Whether to resume from the last checkpoint, if there is one. The result is bit for bit the same as without the
        interruption. The checkpoint is rejected if the data, a parameter or a version has changed.

    Returns
    -------
    Result
        Clusters are sorted by decreasing weight Σ w r; those of equal weight (to a millionth) are sorted by the
        coordinates of their centers. If ``init`` gave the centers and no local search moved them, or if priors or
        temperatures were given for each cluster, the given order is kept.

    Raises
    ------
    InputError
        If the data or a parameter is invalid.
    FitInterrupted
        On Ctrl-C, with the best result so far in ``result``.
    CallbackError
        If a callback raised an exception, which is its ``__cause__``, with the best result so far in ``result``.

    Warns
    -----
    ConvergenceWarning
        If ``max_iter`` passes were not enough, if a cluster lost all its weight (its center then stays where it was) or
        collapsed to a point, or if there are fewer distinct rows than clusters (some centers then coincide).

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
    check_not_negative("tol", tol)
    if not isinstance(local_search, bool | np.bool_):
        raise InputError(f"local_search={local_search!r}: expected True or False")
    scaling = Scaling.of(source, with_center_update(as_distance(distance), update))
    goal, log_prior = make_objective(
        source, scaling, n_clusters, temperature=temperature, assignment=assignment, priors=priors,
        noise_distance=noise_distance, frozen=frozen, objective=objective, init=init, init_priors=init_priors,
    )  # fmt: skip
    view, temperature_rule = scaling.view(source), goal.temperature
    rng = np.random.default_rng(random_state)
    stages = Stages(goal, view, _solver(solver, goal), max_iter, tol, rng)
    search_objective = local_search_objective(goal, priors) if local_search else None
    has_cluster_settings = not isinstance(priors, str) or (
        isinstance(temperature_rule, Fixed) and temperature_rule.per_cluster
    )
    in_given_order = has_cluster_settings or (not isinstance(init, str) and not local_search)
    runs = list[LoopResult]()  # one for each restart, and one for the local search

    def result_so_far() -> Result:
        return make_result(best_of(runs, goal), goal, in_given_order=in_given_order, restarts=runs[:n_init])

    def add_run(run: Callable[[OnPass], LoopResult], restart: int, history: tuple[Step, ...] = ()) -> None:
        callback_list = CallbackList(callbacks)
        runs.append(run_monitored(goal, callback_list, restart, max_iter, run, history))
        if callback_list.failure:
            raise CallbackError(result_so_far()) from callback_list.failure
        if runs[-1].ending == "interrupted":
            raise KeyboardInterrupt

    try:
        for restart, centers in enumerate(initial_centers(init, n_init, n_clusters, source, scaling, rng)):
            first_t = initial_temperature(init_temperature, temperature_rule, scaling, view, centers)
            start = Params(centers, first_t, log_prior)
            samples = _samples(view, n_clusters, rng) if growing_sample else ()
            add_run(partial(stages.run, start, samples, temperature_rule.stages(scaling)), restart)
        if search_objective is not None:
            best = best_of(runs, goal)
            add_run(partial(stages.run_local_search, search_objective, best), best.history[0].restart, best.history)
    except KeyboardInterrupt:  # may also be raised between restarts
        if not runs:
            raise
        raise FitInterrupted(result_so_far()) from None
    result = result_so_far()
    warn_about(result, best_of(runs, goal), goal, max_iter, source.n_rows)
    return result


def _solver(solver: str | Solver, goal: Objective) -> Solver:
    """Return the solver, or raise an InputError if it does not support the objective."""
    if solver != "auto" or (goal.has_update and goal.has_gradient):
        method = as_solver(solver)
    else:
        method = as_solver("em" if goal.has_update else "adam")
    if method.needs_update and not goal.has_update:
        raise InputError(
            f"solver={solver!r} does not support objective={goal.name!r}, which EM does not minimize: "
            "choose solver='adam'"
        )
    if method.needs_gradient and goal.temperature.solves_equation:
        raise InputError(
            f"solver={solver!r} does not support temperatures defined by an equation ('calibrated', 'perplexity:...'): "
            "choose 'auto' or 'em'"
        )
    if method.needs_gradient and not goal.has_gradient:
        raise InputError(
            f"solver={solver!r} does not support update='mean', which minimizes no objective: choose solver='em'"
        )
    return method


def _samples(view: Source, n_clusters: int, rng: np.random.Generator) -> Iterator[Source]:
    """Yield random samples of the rows, each four times as large as the one before, up to a quarter of all rows.

    Each sample contains the one before.
    """
    order = rng.permutation(view.n_rows)
    size = FIRST_SAMPLE_ROWS_PER_CLUSTER * n_clusters
    while size <= view.n_rows // SAMPLE_GROWTH:
        yield view.sample(torch.from_numpy(order[:size]))
        size *= SAMPLE_GROWTH
