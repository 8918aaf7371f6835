"""Where a fit stands after a pass: all that is needed to continue it later, as a checkpoint holds it."""

from __future__ import annotations

__all__ = ["FitPosition", "Phase", "SearchPhase", "StagePhase", "decode_position", "encode_position"]

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from torch import Tensor

from ..callbacks import Step
from ..checkpoint.encoding import Encoded, decode, encode, record_types
from ..errors import InputError
from ..model.params import Evaluation, Params, PassStats
from ..model.stats import Stats
from ..solvers import PlainState
from ..solvers.loop import LoopResult, Position
from .relocation import Relocation

if TYPE_CHECKING:
    from .fit import Problem


class StagePhase(NamedTuple):
    """One of the stages of a restart.

    Attributes
    ----------
    number : int
        Number of the stage, from 0.
    temperature : Tensor (k,)
        Initial temperature of the restart.
    relocation : Relocation or None
        The clusters without weight that were moved after the last stage.
    """

    number: int
    temperature: Tensor
    relocation: Relocation | None = None


class SearchPhase(NamedTuple):
    """A move of the local search, or the fit that continues from its result.

    Attributes
    ----------
    best : Evaluation
        The best evaluation so far.
    n_moved : int
        Number of centers that the move adds and removes; 0 after the search.
    is_pruned : bool
        Whether the move has removed centers already.
    """

    best: Evaluation
    n_moved: int
    is_pruned: bool = False


Phase: TypeAlias = StagePhase | SearchPhase


class FitPosition(NamedTuple):
    """Where a fit stands after a pass.

    Attributes
    ----------
    outcomes : tuple of (float, float)
        For each restart that has ended, the value by which restarts are compared, and its tolerance scale.
    best : LoopResult or None
        The best run so far, if one has ended.
    steps : tuple of Step
        Records of the passes of this run; for a local search, without those of the run that it continues.
    phase : StagePhase, SearchPhase or None
        What the fit is doing; None if it has ended.
    run : Position or None
        Where the run of the loop stands; None if the fit has ended.
    """

    outcomes: tuple[tuple[float, float], ...]
    best: LoopResult | None = None
    steps: tuple[Step, ...] = ()
    phase: Phase | None = None
    run: Position | None = None

    def in_stage(self) -> tuple[StagePhase, Position]:
        """Return the stage of a restart and where its run stands."""
        assert isinstance(self.phase, StagePhase) and self.run is not None  # noqa: S101, PT018 -- for mypy
        return self.phase, self.run

    def in_search(self) -> tuple[SearchPhase, Position]:
        """Return the move of the local search and where its run stands."""
        assert isinstance(self.phase, SearchPhase) and self.run is not None  # noqa: S101, PT018 -- for mypy
        return self.phase, self.run


# Types of records in a position, without those in the state of a solver.
RECORDS = (
    StagePhase, SearchPhase, Relocation, LoopResult, Position, Evaluation, Params, PassStats, Stats, PlainState,
)  # fmt: skip


def encode_position(position: FitPosition, problem: Problem) -> Encoded:
    """Encode the position of a fit, without the records of the passes, of which only the numbers are encoded.

    Raises
    ------
    InputError
        If the state of the solver can't be encoded.
    """
    outcomes, best, steps, phase, run = position
    best_run = best and (best.best, best.ending, _first_and_last(best.history))
    state = None if run is None else run.state
    place = (outcomes, best_run, _first_and_last(steps), phase, run and run._replace(state=None))
    try:
        # The state comes last: the rest must be known when it is decoded.
        return encode((place, state), _all_records(problem, run))
    except InputError as error:
        raise InputError(
            f"has a state that can't be saved: {error.problem}",
            parameter="solver",
            expected=error.expected,
            hint="use such a state, or leave checkpoints out",
        ) from None


def decode_position(encoded: Encoded, history: Sequence[Step], problem: Problem) -> FitPosition:
    """Return the position of a fit, with tensors on the device of the rows.

    ``history`` holds the records of all passes before.

    Raises
    ------
    InputError
        If the program has changed, so that the state of its solver has other fields.
    """
    # Fresh memory is aligned: the last bits of a sum may depend on that.
    tensors = [tensor.clone().to(problem.view.device) for tensor in encoded.tensors]
    place, state = encoded.json["tuple"]
    outcomes, best_run, steps, phase, run = decode(place, tensors, RECORDS)
    best = best_run and LoopResult(best_run[0], best_run[1], _select(history, best_run[2]))
    try:
        run = run and run._replace(state=decode(state, tensors, _all_records(problem, run)))
    except (LookupError, ValueError) as error:
        raise InputError(
            f"has another state than in the checkpoint: {error}",
            parameter="solver",
            hint="continue with the program that began the fit, or start a new fit in another folder",
        ) from None
    return FitPosition(outcomes, best, _select(history, steps), phase, run)


def _all_records(problem: Problem, run: Position | None) -> tuple[type, ...]:
    """Return the types of records in a position, also those in the state of the solver."""
    if run is None:
        return RECORDS
    return (*RECORDS, *record_types(problem.solver.init(problem.objective, run.current.params)))


def _first_and_last(steps: tuple[Step, ...]) -> tuple[int, int, int] | None:
    """Return the restart of some passes, and the numbers of the first and the last of them."""
    return (steps[0].restart, steps[0].n_iter, steps[-1].n_iter) if steps else None


def _select(history: Sequence[Step], numbers: tuple[int, int, int] | None) -> tuple[Step, ...]:
    """Return the passes with these numbers; of a pass that was made again after a resumption, the last record."""
    by_number = {(step.restart, step.n_iter): step for step in history}
    restart, first, last = numbers or (0, 1, 0)
    return tuple(by_number[restart, number] for number in range(first, last + 1))
