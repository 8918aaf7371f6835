"""What a fit works on: the scaled rows, the objective and the solver, prepared from the user's settings."""

from __future__ import annotations

__all__ = ["Problem", "prepare"]

from typing import NamedTuple

from torch import Tensor

from .._utils.checks import check_count
from ..data.scaling import Scaling
from ..data.source import Source
from ..distances import as_distance
from ..errors import InputError, Message, Setting
from ..model.params import Params
from ..settings import Settings
from ..objectives import FreeEnergy, Objective
from ..objectives.setup import initial_temperature, make_objective, with_center_update
from ..solvers import Solver, as_solver


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
        """Whether clusters keep the order in which the user gave them."""
        has_given_centers = not isinstance(self.settings.init, str) and not self.settings.local_search
        return has_given_centers or _has_cluster_settings(self.objective, self.settings)

    def start(self, centers: Tensor) -> Params:
        """Return the initial parameters for initial centers (k, d)."""
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
    view = scaling.view(source)
    return Problem(settings, n_clusters, source, view, objective, log_prior, solver, search_objective)


def choose_solver(solver: str | Solver, objective: Objective) -> Solver:
    """Return the solver, or raise an InputError if it does not support the objective."""
    if solver != "auto" or (objective.has_update and objective.has_gradient):
        method = as_solver(solver)
    else:
        method = as_solver("em" if objective.has_update else "adam")
    problem: str = ""
    hint: str = Message("choose ", Setting("solver", "adam"))
    if method.needs_update and not objective.has_update:
        problem = Message("does not support ", _not_minimized_by_em(objective))
    elif method.needs_gradient and objective.temperature.solves_equation:
        problem = "does not support temperatures defined by an equation ('calibrated', 'perplexity:...')"
        hint = "choose 'auto' or 'em'"
    elif method.needs_gradient and not objective.has_gradient:
        problem = Message("does not support ", Setting("update", "mean"), ", which minimizes no objective")
        hint = Message("choose ", Setting("solver", "em"))
    if problem:
        raise InputError(problem, parameter="solver", value=solver, hint=hint)
    return method


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
