"""Update a fitted model with further batches of rows, by online EM."""

from __future__ import annotations

__all__ = ["FittedModel", "OnlineState", "partial_fit"]

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from .._utils.checks import check_count
from .._utils.random import as_generator
from ..data.block import as_tensor
from ..data.scaling import Scaling
from ..data.source import Source
from ..distances import Distance, as_distance
from ..errors import InputError, Message, Setting
from ..model.assignment import as_assignment
from ..model.params import Params
from ..model.stats import Stats
from ..objectives import Objective
from ..objectives.setup import initial_temperature, make_objective, with_center_update
from ..seeding import initial_centers
from ..settings import Settings
from ..solvers import SOLVERS, Solver
from ..solvers.loop import LoopResult, evaluate
from ..solvers.online import RunningStats, stationary_stats
from ..temperature import as_temperature
from .results import Result, make_result, make_step


class OnlineState(NamedTuple):
    """State of online learning besides the model parameters: running statistics, and the scaling of the data.

    Attributes
    ----------
    kind : str
        The distance, the center update and the assignment rule that the statistics belong to.
    shift : Tensor (d,)
        Shift of the scaling, computed from the first batch.
    scale, variance : float
        Scale and variance of the scaling (see `Scaling`).
    running : RunningStats
        Running statistics over all rows so far.
    """

    kind: str
    shift: Tensor
    scale: float
    variance: float
    running: RunningStats

    def tensors(self) -> dict[str, Tensor]:
        """Return everything except the kind as tensors, by name."""
        numbers = [self.scale, self.variance, self.running.seen, self.running.unit]
        stats = {f.name: getattr(self.running.stats, f.name).cpu() for f in fields(Stats)}
        return {"shift": self.shift.cpu(), "numbers": torch.tensor(numbers, dtype=torch.float64, device="cpu")} | stats

    @classmethod
    def of(cls, kind: str, tensors: dict[str, Tensor]) -> OnlineState:
        """Build the state from its kind and the tensors that `tensors` returned."""
        scale, variance, seen, unit = tensors["numbers"].tolist()
        stats = Stats(*(tensors[f.name] for f in fields(Stats)))
        return cls(kind, tensors["shift"], scale, variance, RunningStats(stats, seen, unit))


class FittedModel(NamedTuple):
    """A fitted model to continue from, in the data's units.

    Attributes
    ----------
    centers : Tensor (k, d)
        Cluster centers.
    temperature : float or ndarray (k,)
        T, or the temperature of each cluster; not used for fuzzy memberships.
    weights : ndarray (k,) or None
        Weight Σ w r of each cluster over the rows of the fit, if known.
    n : float
        Total weight Σ w of these rows.
    distortion : float
        Distortion E of these rows.
    progress : OnlineState or None
        State of online learning, if the model has been updated by `partial_fit` before.
    """

    centers: Tensor
    temperature: Any
    weights: Any = None
    n: float = 0.0
    distortion: float = 0.0
    progress: OnlineState | None = None

    @classmethod
    def of(cls, attributes: Mapping[str, Any]) -> FittedModel | None:
        """Build the fitted model from the attributes of an estimator; return None if it is not fitted."""
        if "cluster_centers_" not in attributes:
            return None
        weights = attributes.get("cluster_weights_")  # missing if the estimator was built from a layer
        return cls(
            as_tensor(attributes["cluster_centers_"]),
            attributes.get("temperature_", 1.0),
            weights,
            0.0 if weights is None else float(weights.sum()) + attributes["noise_weight_"],
            attributes.get("distortion_", 0.0),
            attributes.get("_progress"),
        )


@torch.inference_mode(False)
@torch.no_grad()
def partial_fit(
    source: Source, n_clusters: int, fitted: FittedModel | None, settings: Settings, random_state: Any = None
) -> tuple[Result, OnlineState]:
    """Update a model with some rows by online EM, starting from a fitted model or from initial centers.

    Rows in memory are one batch. In other sources, every block is a batch.

    Parameters
    ----------
    source : Source
        The rows.
    n_clusters : int
        Number of clusters k.
    fitted : FittedModel or None
        Model to continue from. If None, the rows determine the initial centers.
    settings : Settings
        The settings of the model. A solver that does not support ``partial_fit`` is replaced by `Online`.
    random_state : int, numpy Generator or None
        Seed or random number generator for the initial centers.

    Returns
    -------
    result : Result
        Result for these rows at the updated parameters, with the clusters in their previous order.
    progress : OnlineState
        State to continue from in the next call.
    """
    distance = with_center_update(as_distance(settings.distance), settings.update)
    kind = f"{distance.name} {settings.update} {as_assignment(settings.assignment)}"
    _check_shapes(source, n_clusters, fitted)
    if fitted is not None:
        if fitted.progress is not None and fitted.progress.kind != kind:
            fitted = fitted._replace(progress=None)  # statistics of another distance or assignment rule are of no use
        settings = _after_fit(settings, fitted)
    scaling = _scaling(source, distance, fitted)
    objective, log_prior = make_objective(source, scaling, n_clusters, settings)
    _check_objective(objective)
    view = scaling.view(source).kept()
    if fitted is None:
        rng = as_generator(random_state)
        centers = next(iter(initial_centers(settings.init, 1, n_clusters, source, scaling, rng)))
    else:
        centers = scaling.transform(fitted.centers.to(scaling.shift))
    temperature = initial_temperature(settings.init_temperature, objective.temperature, scaling, view, centers)
    start = Params(centers, temperature, log_prior)
    running = None if fitted is None else _running_stats(objective, start, fitted)
    solver: Any = _online_solver(settings.solver)
    state = solver.init(objective, start, running)
    batches = [view] if source.in_memory else view.batches()
    state, _ = solver.passes.run_batches(solver, objective, batches, state)
    if not all(part.isfinite().all() for part in state.params):
        raise InputError(
            "rows are too far from the centers for float64 arithmetic", hint="check the data for wrong values"
        )
    final = evaluate(objective, view, state.params)
    run = LoopResult(final, "exhausted", (make_step(objective, 1, final, 0, source.n_rows),))
    progress = OnlineState(kind, scaling.shift, scaling.scale, scaling.variance, state.running)
    return make_result(run, objective, in_given_order=True), progress


def _after_fit(settings: Settings, fitted: FittedModel) -> Settings:
    """Return the settings with the temperature rule for further batches."""
    if not as_assignment(settings.assignment).uses_temperature:
        return settings
    return replace(settings, temperature=as_temperature(settings.temperature).after_fit(fitted.temperature))


def _online_solver(solver: Any) -> Solver:
    """Return the solver if it supports ``partial_fit``, else `Online` with its defaults."""
    method = SOLVERS.resolve(solver)
    return method if method.supports_partial_fit else SOLVERS["online"]


def _check_shapes(source: Source, n_clusters: int, fitted: FittedModel | None) -> None:
    """Raise an InputError unless the first batch has enough rows, or later ones match the fitted centers."""
    if fitted is None:
        check_count("n_clusters", n_clusters, at_most=(source.n_rows, "rows of the first batch (n_samples)"))
    elif tuple(fitted.centers.shape) != (n_clusters, source.n_features):
        raise InputError(
            f"partial_fit has centers of shape {tuple(fitted.centers.shape)} from earlier calls",
            expected=f"{(n_clusters, source.n_features)}",
            hint="call fit to start again",
        )


def _check_objective(objective: Objective) -> None:
    """Raise an InputError unless online EM supports the objective."""
    if objective.temperature.solves_equation:
        problem = Message(Setting("temperature", objective.temperature), ", which is defined by an equation")
        hint = Message("use a number or 'auto'")
    elif not objective.has_update:
        problem = Message(Setting("distance", objective.scaling.distance.name), ", which has no EM update")
        hint = Message("call fit")
    elif not objective.has_gradient:
        problem = Message(Setting("update", "mean"), ", which minimizes no objective")
        hint = Message("use ", Setting("update", "exact"), ", or call fit")
    else:
        return
    raise InputError(Message("partial_fit does not support ", problem), hint=hint)


def _scaling(source: Source, distance: Distance, fitted: FittedModel | None) -> Scaling:
    """Return the scaling of the first batch; for a model from a full fit, a scaling around its centers."""
    if fitted is None:
        return Scaling.of(source, distance)
    if fitted.progress is None:
        temperature = float(np.max(fitted.temperature))
        return Scaling.around(distance, fitted.centers.to(source.device, source.dtype), temperature)
    _, shift, scale, variance, _ = fitted.progress
    return Scaling(distance, shift.to(source.device, source.dtype), scale, variance)


def _running_stats(objective: Objective, start: Params, fitted: FittedModel) -> RunningStats | None:
    """Return the running statistics to continue from, if they are known.

    The rows of a full fit count as the first batch. Their statistics are approximated by statistics for which an EM
    update does not change the parameters.
    """
    if fitted.progress is not None:
        stats, seen, unit = fitted.progress.running
        return RunningStats(Stats(*(getattr(stats, f.name).to(start.centers) for f in fields(Stats))), seen, unit)
    if fitted.weights is None or not fitted.n > 0:
        return None
    weights = start.centers.new_tensor(fitted.weights) / fitted.n
    mean_distance = fitted.distortion / fitted.n / objective.scaling.unit
    return RunningStats(stationary_stats(objective, start, weights, mean_distance), fitted.n, fitted.n)
