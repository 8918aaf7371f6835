"""Models that go on learning, batch by batch, from rows that come later."""

from __future__ import annotations

__all__ = ["FittedModel", "OnlineState", "partial_fit"]

from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from .._utils.checks import check_count
from ..data.block import as_tensor
from ..data.scaling import Scaling
from ..data.source import Source
from ..distances import Distance, as_distance
from ..errors import InputError
from ..model.assignment import AssignmentRule, as_assignment
from ..model.params import Params
from ..model.stats import Stats
from ..objectives import Objective
from ..objectives.setup import first_temperature, make_objective, with_center_update
from ..seeding import initial_centers
from ..solvers import Online
from ..solvers.loop import Run, evaluate, run_batches
from ..solvers.online import RunningStats, stationary_stats
from ..temperature import Critical, Fixed, as_temperature
from .results import Result, make_result, make_step


class OnlineState(NamedTuple):
    """What a model that learns batch by batch knows besides its parameters, and the space that is said in.

    Attributes
    ----------
    kind : str
        Of which distance and rule the sums are.
    shift : Tensor (d,)
        That of the space, which is the first batch's.
    scale, variance : float
        And what else it has.
    running : RunningStats
        The sums of all rows so far.
    """

    kind: str
    shift: Tensor
    scale: float
    variance: float
    running: RunningStats

    def tensors(self) -> dict[str, Tensor]:
        """Give all of it but the kind as tensors, by name."""
        numbers = [self.scale, self.variance, self.running.seen, self.running.unit]
        stats = {f.name: getattr(self.running.stats, f.name).cpu() for f in fields(Stats)}
        return {"shift": self.shift.cpu(), "numbers": torch.tensor(numbers, dtype=torch.float64)} | stats

    @classmethod
    def of(cls, kind: str, tensors: dict[str, Tensor]) -> OnlineState:
        """Put together again what `tensors` took apart."""
        scale, variance, seen, unit = tensors["numbers"].tolist()
        stats = Stats(*(tensors[f.name] for f in fields(Stats)))
        return cls(kind, tensors["shift"], scale, variance, RunningStats(stats, seen, unit))


class FittedModel(NamedTuple):
    """A fitted model to go on from, in the data's units.

    Attributes
    ----------
    centers : Tensor (k, d)
        Its centers.
    temperature : float or ndarray (k,)
        T, or that of each cluster; without meaning for fuzzy memberships.
    weights : ndarray (k,) or None
        Each cluster's share Σ w r of the rows it was fitted to, if that is known.
    n : float
        Σ w of these rows.
    distortion : float
        E of these rows.
    progress : OnlineState or None
        What it has learned batch by batch.
    """

    centers: Tensor
    temperature: Any
    weights: Any = None
    n: float = 0.0
    distortion: float = 0.0
    progress: OnlineState | None = None

    @classmethod
    def of(cls, attributes: Mapping[str, Any]) -> FittedModel | None:
        """Take what there is to go on from, if there is something, from the attributes of an estimator."""
        if "cluster_centers_" not in attributes:
            return None
        weights = attributes.get("cluster_weights_")  # what came from a layer has none
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
    source: Source,
    n_clusters: int,
    fitted: FittedModel | None,
    *,
    temperature: Any = "auto",
    assignment: str | AssignmentRule = "softmax",
    priors: Any = "uniform",
    noise_distance: float | None = None,
    frozen: Any = None,
    update: str = "exact",
    solver: Any = "online",
    init: str | Tensor | Callable[..., Any] = "k-means++",
    init_temperature: Any = None,
    init_priors: Any = None,
    distance: str | Distance = "sqeuclidean",
    random_state: Any = None,
) -> tuple[Result, OnlineState]:
    """Step from a fitted model, or from a start that the rows give, by online EM.

    Rows in memory are one batch. Others are as many as they come in blocks.

    Parameters
    ----------
    source : Source
        The rows.
    n_clusters : int
        k.
    fitted : FittedModel or None
        What to go on from.
    solver : str or Solver
        An `Online` with settings of its own, or anything else for one without.
    temperature, assignment, priors, noise_distance, frozen, update, init, init_temperature, init_priors, distance, random_state
        As for `fit`.

    Returns
    -------
    result : Result
        What the rows look like from where the steps led, clusters in the order they had.
    progress : OnlineState
        What to go on with.
    """  # noqa: E501
    found, rule = with_center_update(as_distance(distance), update), as_assignment(assignment)
    kind = f"{found.name} {update} {rule}"
    _check(source, n_clusters, fitted)
    if fitted is not None and fitted.progress is not None and fitted.progress.kind != kind:
        fitted = fitted._replace(progress=None)  # sums of another distance or rule say nothing here
    if fitted is not None and isinstance(as_temperature(temperature), Critical):
        temperature = Fixed(fitted.temperature)  # as it came out for the first batch
    scaling = _scaling(source, found, fitted)
    goal, log_prior = make_objective(
        source, scaling, n_clusters, temperature=temperature, assignment=rule, priors=priors,
        noise_distance=noise_distance, frozen=frozen, init=init, init_priors=init_priors,
    )  # fmt: skip
    _check_goal(goal)
    method, view = solver if isinstance(solver, Online) else Online(), scaling.view(source)
    if fitted is None:
        centers = next(iter(initial_centers(init, 1, n_clusters, source, scaling, np.random.default_rng(random_state))))
    else:
        centers = scaling.transform(fitted.centers.to(scaling.shift))
    start = Params(centers, first_temperature(init_temperature, goal.temperature, scaling, view, centers), log_prior)
    state = (
        method.init(goal, start) if fitted is None else method.init(goal, start, _running_stats(goal, start, fitted))
    )
    state, _ = run_batches(goal, [view] if source.in_memory else view.batches(), method, state)
    if not all(part.isfinite().all() for part in state.params):
        raise InputError("rows lie too far from the centers for float64 arithmetic: look for wrong values")
    end = evaluate(goal, view, state.params)
    run = Run(end, "exhausted", (make_step(goal, 1, end, 0, source.n_rows),))
    progress = OnlineState(kind, scaling.shift, scaling.scale, scaling.variance, state.running)
    return make_result(run, goal, in_given_order=True), progress


def _check(source: Source, n_clusters: int, fitted: FittedModel | None) -> None:
    if fitted is None:
        check_count("n_clusters", n_clusters, at_most=(source.n_rows, "rows of the first batch (n_samples)"))
    elif tuple(fitted.centers.shape) != (n_clusters, source.n_features):
        shape = f"centers of shape {tuple(fitted.centers.shape)} from what was learned before"
        raise InputError(f"partial_fit has {shape}, expected {(n_clusters, source.n_features)}: call fit to begin anew")


def _check_goal(goal: Objective) -> None:
    if goal.temperature.solved:
        raise InputError(f"partial_fit can't solve for temperature={goal.temperature!r}: give a number, or 'auto'")
    if not goal.has_gradient:
        raise InputError("partial_fit needs an objective, and update='mean' has none: leave it 'exact', or call fit")


def _scaling(source: Source, distance: Distance, fitted: FittedModel | None) -> Scaling:
    """Give the space of the first batch; where there was none, one in which the fitted centers lie well."""
    if fitted is None:
        return Scaling.of(source, distance)
    if fitted.progress is None:
        size = float(np.max(fitted.temperature))
        return Scaling.around(distance, fitted.centers.to(source.device, source.dtype), size)
    _, shift, scale, variance, _ = fitted.progress
    return Scaling(distance, shift.to(source.device, source.dtype), scale, variance)


def _running_stats(goal: Objective, start: Params, fitted: FittedModel) -> RunningStats | None:
    """Give what is known already: a fit is as good as a first batch of its rows, were they where its centers are."""
    if fitted.progress is not None:
        stats, seen, unit = fitted.progress.running
        return RunningStats(Stats(*(getattr(stats, f.name).to(start.centers) for f in fields(Stats))), seen, unit)
    if fitted.weights is None or not fitted.n > 0:
        return None
    shares = start.centers.new_tensor(fitted.weights) / fitted.n
    return RunningStats(
        stationary_stats(goal, start, shares, fitted.distortion / fitted.n / goal.scaling.unit), fitted.n, fitted.n
    )
