"""The function `fit`: prepare, run the loop for each restart, and return the best result."""

from __future__ import annotations

__all__ = ["Problem", "fit", "fit_source"]

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import islice
from os import PathLike
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from .._utils.checks import check_count
from .._utils.random import as_generator
from ..callbacks import Callback
from ..checkpoint.resume import Checkpoint, resumable
from ..data.convert import as_source
from ..data.scaling import Scaling
from ..data.source import Source
from ..distances import Distance, as_distance
from ..errors import FitInterrupted, InputError, Message, Setting
from ..model.assignment import AssignmentRule
from ..model.params import Params
from ..objectives import FreeEnergy, Objective
from ..objectives.setup import initial_temperature, make_objective, with_center_update
from ..seeding import Seeding, initial_centers
from ..settings import RunOptions, Settings, documented
from ..solvers import SOLVERS, Solver
from ..solvers.loop import minimize
from ..temperature import TemperatureRule
from .local_search import search_from
from .monitor import Monitor
from .position import FitPosition, SearchPhase, StagePhase
from .relocation import separate_equal_centers
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
    empty_clusters: str = Settings.empty_clusters,
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
        If ``max_iter`` passes were not enough, if a cluster lost all its weight and was not moved (see
        ``empty_clusters``), if one collapsed to a point, if there are fewer distinct rows than clusters, or if centers
        coincide, as they do above the critical temperature.

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
        empty_clusters=empty_clusters, growing_sample=growing_sample, local_search=local_search,
    )  # fmt: skip
    options = RunOptions(random_state=random_state, callbacks=callbacks, checkpoint=checkpoint, resume=resume)
    return fit_source(as_source(x, sample_weight, device=device), n_clusters, settings, options)


@torch.inference_mode(False)  # some solvers need gradients, which inference tensors cannot have
@torch.no_grad()
def fit_source(source: Source, n_clusters: int, settings: Settings, options: RunOptions) -> Result:
    """Fit the rows of a source; see `fit` for what it returns and raises."""
    with resumable(source, n_clusters, settings, options) as checkpoints:
        with checkpoints.preparing(source, n_clusters) as rows:
            problem = prepare(rows, n_clusters, settings)
        monitor, rng = Monitor(problem, checkpoints), as_generator(checkpoints.seed)
        initial = initial_centers(settings.init, settings.n_init, n_clusters, rows, problem.objective.scaling, rng)
        rngs = _spawn(rng, settings.n_init)  # the restarts have their own, so that each can be resumed
        try:
            monitor.replay_best()
            for restart, start in _restarts(initial, settings.n_init, monitor):
                with monitor.restart(restart):
                    stages = Stages(problem, start, rngs[restart])
                    for stage in stages:
                        run = minimize(
                            problem.objective, stage.source, stage.start, problem.solver,
                            max_iter=stage.max_iter, tol=stage.tol, on_pass=partial(monitor.on_pass, phase=stage.phase),
                        )  # fmt: skip
                        stages.record(run)
                    monitor.record(stages.result)
            if problem.search_objective is not None and not monitor.has_ended:
                best = monitor.best
                with monitor.restart(best.history[0].restart, best.history):
                    monitor.record(search_from(problem, best, monitor.on_pass, monitor.resumed_in(SearchPhase)))
        except KeyboardInterrupt:  # may also be raised between restarts
            if not monitor.has_result:
                raise
            raise FitInterrupted(monitor.result()) from None
        result = monitor.finish()
        warn_about(result, monitor.best, problem.objective, settings.max_iter, problem.view)
        return result


def _spawn(rng: np.random.Generator, n: int) -> list[np.random.Generator]:
    """Return independent generators, which depend on the state or the seed of another."""
    try:
        return rng.spawn(n)
    except TypeError:  # it was made from a RandomState, which has no seed sequence
        return [np.random.default_rng(seed) for seed in rng.integers(2**63, size=n)]


def _restarts(initial: Iterable[Tensor], n_init: int, monitor: Monitor) -> Iterator[tuple[int, Tensor | FitPosition]]:
    """Yield the number of each restart that is left, and its initial centers, or where it stood."""
    n_ended = 0
    if monitor.resumed is not None:
        n_ended = len(monitor.resumed.outcomes)
        position = monitor.resumed_in(StagePhase)
        if position is None:  # all restarts have ended
            return
        yield n_ended, position
        n_ended += 1
    if n_ended < n_init:  # the initial centers of restarts that have ended are chosen again, and left out
        yield from islice(enumerate(initial), n_ended, None)


class Problem(NamedTuple):
    """A fit, ready to run.

    Attributes
    ----------
    settings : Settings
        The user's settings.
    n_clusters : int
        Number of clusters k.
    source : Source
        All rows, in the data's units.
    view : Source
        All rows, centered and scaled.
    objective : Objective
        Objective to minimize.
    log_prior : Tensor (k,) or (k + 1,)
        Log of the initial priors.
    solver : Solver
        The solver.
    search_objective : Objective or None
        Objective that the local search minimizes, if there is one.
    """

    settings: Settings
    n_clusters: int
    source: Source
    view: Source
    objective: Objective
    log_prior: Tensor
    solver: Solver
    search_objective: Objective | None

    @property
    def in_given_order(self) -> bool:
        """True if clusters keep the order in which the user gave them."""
        has_given_centers = not isinstance(self.settings.init, str | Seeding) and not self.settings.local_search
        return has_given_centers or _has_cluster_settings(self.objective, self.settings)

    @property
    def relocates_empty(self) -> bool:
        """True if empty clusters are moved; with fuzzy memberships, every row is in all clusters."""
        can_relocate = self.solver.passes.compares_params and self.objective.spec.rule.uses_temperature
        return can_relocate and self.settings.empty_clusters == "relocate"

    def start(self, centers: Tensor) -> Params:
        """Return the initial parameters for initial centers (k, d)."""
        if self.relocates_empty:
            centers = separate_equal_centers(self.objective, self.view, centers)
        objective, given = self.objective, self.settings.init_temperature
        temperature = initial_temperature(given, objective.temperature, objective.scaling, self.view, centers)
        return Params(centers, temperature, self.log_prior)


def prepare(source: Source, n_clusters: int, settings: Settings) -> Problem:
    """Check the settings against the data, and return the fit to run.

    Raises
    ------
    InputError
        If a setting is invalid, or does not go with the data or another setting.
    """
    check_count("n_clusters", n_clusters, at_most=(source.n_rows, "rows of the data (n_samples)"))
    scaling = Scaling.of(source, with_center_update(as_distance(settings.distance), settings.update))
    objective, log_prior = make_objective(source, scaling, n_clusters, settings)
    solver = choose_solver(settings.solver, objective)
    search_objective = _search_objective(objective, settings) if settings.local_search else None
    view = scaling.view(source).kept()
    return Problem(settings, n_clusters, source, view, objective, log_prior, solver, search_objective)


def choose_solver(solver: str | Solver, objective: Objective) -> Solver:
    """Return the solver, or raise an InputError if it does not support the objective."""
    if solver != "auto" or (objective.has_update and objective.has_gradient):
        method = SOLVERS.resolve(solver)
    else:
        method = SOLVERS["em" if objective.has_update else "adam"]
    if not objective.has_update and not objective.has_gradient:
        problem = Message(f"needs an EM update, which the distance {objective.scaling.distance.name!r} does not have")
        raise InputError(problem, parameter="temperature", hint="set it to a number")
    if method.needs_update and not objective.has_update:
        problem = Message("does not support ", _not_minimized_by_em(objective))
        hint = Message("choose ", Setting("solver", "adam"))
    elif method.needs_gradient and objective.temperature.solves_equation:
        problem = Message("does not support temperatures defined by an equation ('calibrated', 'perplexity:...')")
        hint = Message("choose 'auto' or 'em'")
    elif method.needs_gradient and not objective.has_gradient:
        problem = Message("does not support ", Setting("update", "mean"), ", which minimizes no objective")
        hint = Message("choose ", Setting("solver", "em"))
    else:
        return method
    raise InputError(problem, parameter="solver", value=solver, hint=hint)


def _not_minimized_by_em(objective: Objective) -> Message:
    """Return the setting for which there is no EM update, as part of a sentence."""
    setting = Setting("objective", objective.name)
    if objective.minimized_by_em:
        setting = Setting("distance", objective.scaling.distance.name)
    return Message(setting, ", which EM does not minimize")


def _search_objective(objective: Objective, settings: Settings) -> Objective:
    """Return the objective that a local search minimizes: that of the fit if it has an update and a gradient, else F.

    Raises
    ------
    InputError
        If there are settings for single clusters, which a local search may replace, or if EM minimizes no objective.
    """
    problem: str = ""
    hint: str = "leave it out"
    if objective.spec.frozen is not None or _has_cluster_settings(objective, settings):
        problem = "does not support frozen centers, or priors or temperatures given for each cluster"
        hint = Message("leave these or ", Setting("local_search"), " out")
    elif not objective.has_free_energy:
        problem = Message(
            "does not support fuzzy memberships or ", Setting("update", "mean"), ", which have no free energy"
        )
    elif not objective.spec.rule.is_mixture or not objective.scaling.distance.has_update:
        problem = "supports only softmax memberships, and distances with an EM update"
    if problem:
        raise InputError(problem, parameter="local_search", hint=hint)
    if objective.has_update and objective.has_gradient:
        return objective
    return FreeEnergy(objective.scaling, objective.temperature, objective.spec)


def _has_cluster_settings(objective: Objective, settings: Settings) -> bool:
    """Return whether priors or temperatures are given for each cluster."""
    rule = objective.temperature
    return not isinstance(settings.priors, str) or (rule.is_given and rule.per_cluster)
