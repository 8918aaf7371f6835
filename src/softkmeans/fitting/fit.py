"""The function `fit`: choose initial centers, run the fit loop for each restart, and return the best result."""

from __future__ import annotations

__all__ = ["fit", "fit_source"]

from collections.abc import Callable, Sequence
from os import PathLike
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from ..callbacks import Callback
from ..checkpoint.resume import Checkpoint, resumable
from ..data.convert import as_source
from ..data.source import Source
from ..distances import Distance
from ..errors import FitInterrupted
from ..model.assignment import AssignmentRule
from ..settings import RunOptions, Settings, documented
from ..seeding import initial_centers
from ..solvers import Solver
from ..solvers.loop import minimize
from ..temperature import TemperatureRule
from .local_search import search_from
from .monitor import Monitor
from .problem import prepare
from .results import Result, warn_about
from .stages import Stages


@documented
def fit(
    x: ArrayLike | Tensor | Source,
    n_clusters: int,
    *,
    temperature: float | str | Sequence[float] | TemperatureRule = Settings.temperature,
    assignment: str | AssignmentRule = Settings.assignment,
    priors: str | ArrayLike | Tensor = Settings.priors,
    noise_distance: float | None = Settings.noise_distance,
    frozen: ArrayLike | Tensor | None = Settings.frozen,
    update: str = Settings.update,
    objective: str | None = Settings.objective,
    solver: str | Solver = Settings.solver,
    init: str | ArrayLike | Tensor | Callable[..., Any] = Settings.init,
    init_temperature: float | ArrayLike | Tensor | None = Settings.init_temperature,
    init_priors: ArrayLike | Tensor | None = Settings.init_priors,
    n_init: int = Settings.n_init,
    max_iter: int = Settings.max_iter,
    tol: float = Settings.tol,
    distance: str | Distance = Settings.distance,
    growing_sample: bool = Settings.growing_sample,
    local_search: bool = Settings.local_search,
    sample_weight: ArrayLike | Tensor | None = RunOptions.sample_weight,
    random_state: int | np.random.Generator | None = RunOptions.random_state,
    device: str | torch.device | None = RunOptions.device,
    callbacks: Sequence[Callback] | None = RunOptions.callbacks,
    checkpoint: str | PathLike[str] | Checkpoint | None = RunOptions.checkpoint,
    resume: bool = RunOptions.resume,
) -> Result:
    """Fit soft k-means to the rows of a data set.

    Parameters
    ----------
    x : array-like, Tensor (n, d) or Source
        The rows.
    n_clusters : int
        Number of clusters k, from 1 to n.
    {parameters}

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
    settings = Settings(
        temperature=temperature, assignment=assignment, priors=priors, noise_distance=noise_distance, frozen=frozen,
        update=update, objective=objective, solver=solver, init=init, init_temperature=init_temperature,
        init_priors=init_priors, n_init=n_init, max_iter=max_iter, tol=tol, distance=distance,
        growing_sample=growing_sample, local_search=local_search,
    )  # fmt: skip
    options = RunOptions(random_state=random_state, callbacks=callbacks, checkpoint=checkpoint, resume=resume)
    return fit_source(as_source(x, sample_weight, device=device), n_clusters, settings, options)


@torch.inference_mode(False)  # some solvers need gradients, which inference tensors cannot have
@torch.no_grad()
def fit_source(source: Source, n_clusters: int, settings: Settings, options: RunOptions) -> Result:
    """Fit the rows of a source; see `fit` for what it returns and raises."""
    with resumable(source, n_clusters, settings, options) as (rows, seed, callbacks):
        problem, rng = prepare(rows, n_clusters, settings), np.random.default_rng(seed)
        monitor = Monitor(problem, callbacks)
        starts = initial_centers(settings.init, settings.n_init, n_clusters, rows, problem.objective.scaling, rng)
        try:
            for restart, centers in enumerate(starts):
                with monitor.restart(restart):
                    stages = Stages(problem, centers, rng)
                    for stage in stages:
                        run = minimize(
                            problem.objective, stage.source, stage.params, problem.solver,
                            max_iter=stage.max_iter, tol=stage.tol, on_pass=monitor.on_pass,
                        )  # fmt: skip
                        stages.record(run)
                    monitor.record(stages.result)
            if problem.search_objective is not None:
                best = monitor.best
                with monitor.restart(best.history[0].restart, best.history):
                    monitor.record(search_from(problem, best, monitor.on_pass))
        except KeyboardInterrupt:  # may also be raised between restarts
            if not monitor.runs:
                raise
            raise FitInterrupted(monitor.result()) from None
        result = monitor.result()
        warn_about(result, monitor.best, problem.objective, settings.max_iter, source.n_rows)
        return result
