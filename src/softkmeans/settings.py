"""The parameters of a fit: the default, the check, the description and the help text of each, in one place.

`softkmeans.fit`, the estimators and the command line take defaults and descriptions from here.
"""

from __future__ import annotations

__all__ = ["RunOptions", "Settings", "describe", "documented"]

import inspect
import textwrap
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import Any, TypeVar

from ._utils.checks import check_bool, check_count, check_known, check_not_negative, check_positive
from ._utils.registry import one_of
from .registries import ASSIGNMENTS, CALLBACKS, DISTANCES, PARAMETRIC, SEEDINGS, SOLVERS, TEMPERATURES

T = TypeVar("T", bound=Callable[..., Any])

LINE_LENGTH = 120  # of docstrings
EMPTY_CLUSTERS = ("relocate", "keep")


def _setting(
    default: Any, kind: str, text: str, *, short: str = "", check: Callable[[str, Any], None] | None = None
) -> Any:
    """Return the field of a parameter.

    Parameters
    ----------
    default : object
        Default value.
    kind : str
        The types and values that are allowed, for docstrings.
    text : str
        Description for docstrings.
    short : str
        Description for the help of the command line.
    check : callable, optional
        Raises an InputError, given the name and an invalid value.
    """
    return field(default=default, metadata={"kind": kind, "text": text, "short": short, "check": check})


def _check_noise_distance(name: str, value: Any) -> None:
    if value is not None:
        check_positive(name, value, ", in the units of the distance")


def _check_empty_clusters(name: str, value: Any) -> None:
    check_known(name, value, EMPTY_CLUSTERS)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The parameters of a model and of its fit.

    Raises
    ------
    InputError
        If a value is invalid that can be checked without the data.
    """

    temperature: Any = _setting(
        "auto",
        "float, sequence of k floats, str or TemperatureRule",
        """\
        Temperature T > 0, in the units of the distance (squared data units, by default), or how to choose it:

        - "auto": learn T by maximum likelihood. On most real data, memberships are then nearly hard.
        - "per-cluster": learn one T for each cluster, as in a mixture of spherical Gaussians.
        - "calibrated": choose T so that memberships are realistic probabilities, also if features are correlated.
        - "perplexity:1.5": choose T so that exp(H / Σw) = 1.5: rows are spread over 1.5 clusters on average.
        - "critical:0.5": 0.5 times the critical temperature, at which a single cluster splits.
        - `temperature.Schedule`: decrease T through a series of values (annealing).""",
        short="Temperature: a number above 0, {temperatures}.",
    )
    assignment: Any = _setting(
        "softmax",
        f"{ASSIGNMENTS.quoted()} or AssignmentRule",
        "How logits become memberships. "
        '"fuzzy" and ``Fuzzy(fuzzifier)`` are the memberships of fuzzy c-means, which have no temperature.',
        short="Assignment rule, from logits to memberships: {assignments}.",
    )
    priors: Any = _setting(
        "uniform",
        '{"uniform", "learned"} or array-like (k,)',
        "Prior probability (mixing weight) of each cluster. With a noise cluster, 1 minus the sum of given priors is "
        "the prior of noise.",
        short="Prior probabilities of the clusters: uniform or learned.",
    )
    noise_distance: float | None = _setting(
        None,
        "float",
        "Distance (squared, by default) of an additional noise cluster from every row: rows far from all centers "
        "belong to the noise. Memberships then sum to less than 1.",
        short="Distance (squared, by default) to a noise cluster: rows farther than this from all centers are noise.",
        check=_check_noise_distance,
    )
    frozen: Any = _setting(
        None,
        "array-like (k,) of bool",
        "Mask of the centers given as ``init`` that must not move.",
    )
    update: str = _setting(
        "exact",
        '{"exact", "mean"}',
        'How centers are updated: "exact" minimizes the objective; "mean" takes the weighted mean of the rows whatever '
        'the distance, as in the textbook. They differ for distances such as "euclidean", where "mean" minimizes no '
        "objective and needs a fixed temperature.",
        short="Update of the centers: exact, which minimizes the objective, or mean, the weighted mean of the rows.",
    )
    objective: str | None = _setting(
        None,
        '{"free_energy", "nll", "distortion"}',
        "Objective to minimize. By default, F if the temperature is fixed, and NLL if it is learned. "
        '"distortion" (E) needs ``solver="adam"`` and a fixed temperature.',
        short="Objective: free_energy, nll or distortion.",
    )
    solver: Any = _setting(
        "auto",
        f"{SOLVERS.quoted()} or Solver",
        'Optimization algorithm. "auto" is expectation-maximization (EM), accelerated by L-BFGS once it becomes slow, '
        'and Adam for objectives that EM does not minimize. "em" is never accelerated; "lbfgs" is accelerated from the '
        'start. "online" takes a step after every batch of rows (see `solvers.Online`).',
        short="Solver: {solvers}.",
    )
    init: Any = _setting(
        "k-means++",
        f"{SEEDINGS.quoted()}, Seeding, array-like (k, d) or callable",
        'Initial centers, or the method to choose them. "k-means||" needs few passes even for many clusters. A '
        "callable takes ``(rows, n_clusters, random_state)``, with the rows as a float64 ndarray, and returns an array "
        "(k, d).",
        short="Initialization of the centers: {seedings}.",
    )
    init_temperature: Any = _setting(
        None,
        "float or array-like (k,)",
        "Initial T, if T is learned. By default, the maximum likelihood value if each row belongs to the nearest "
        "initial center.",
    )
    init_priors: Any = _setting(
        None,
        "array-like (k,)",
        "Initial priors, if they are learned. By default, they are equal.",
    )
    n_init: int = _setting(
        1,
        "int",
        "Number of restarts; the one with the lowest objective is kept. If ``init`` is an array, there is only one.",
        short="Number of restarts; the best one is kept.",
        check=check_count,
    )
    max_iter: int = _setting(
        300,
        "int",
        "Maximum number of passes over all rows per restart; if it is reached, one extra pass evaluates the final "
        "parameters.",
        short="Maximum number of passes over the data.",
        check=check_count,
    )
    tol: float = _setting(
        1e-4,
        "float",
        "Tolerance: the fit stops after a pass that lowers the objective by no more than ``tol`` times the expected "
        "distortion if the temperature is fixed, or ``tol`` times d Σw if it is learned. With 0, the fit runs until "
        "nothing changes.",
        short="Relative tolerance for convergence.",
        check=check_not_negative,
    )
    distance: Any = _setting(
        "sqeuclidean",
        f"{DISTANCES.quoted()} or Distance",
        'Distance between rows and centers. With "euclidean", centers are weighted geometric medians; with "cosine", '
        "they are directions.",
        short="Distance between rows and centers: {distances}.",
    )
    empty_clusters: str = _setting(
        "relocate",
        '{"relocate", "keep"}',
        "What to do about a cluster that has lost all its weight, and about centers in ``init`` that are equal. "
        '"relocate" moves such a center to the row with the largest weight times distance from the other centers; rows '
        "farther away than ``noise_distance`` are left out. Of equal initial centers, all but the first are moved "
        "before the first pass. A cluster without weight is moved when the fit has converged, at most once per "
        "restart, and only if that lowers the objective. Frozen centers are not moved. "
        '"keep" moves none: a center without weight stays where it is, and equal centers stay equal. With ``solver='
        '"online"``, in ``partial_fit`` and for fuzzy memberships, centers are always kept.',
        short="Clusters without weight and equal initial centers: relocate them to far rows, or keep them.",
        check=_check_empty_clusters,
    )
    growing_sample: bool = _setting(
        False,
        "bool",
        "Whether the first passes use random samples of the rows, each four times as large as the one before. This is "
        "faster for many rows, but the result depends more on chance. ``Step.n_rows`` is the number of rows of a pass.",
        short="Fit to a small sample of the rows first, and enlarge it until it has all rows.",
        check=check_bool,
    )
    local_search: bool = _setting(
        False,
        "bool",
        "Whether to continue with a local search from the best restart: split the clusters whose split gains most, and "
        "remove as many whose removal costs least, until this no longer lowers the objective. With many clusters, this "
        "finds better optima than restarts. Its passes are not counted in ``max_iter``.",
        short="After fitting, relocate a few centers at a time to escape local optima.",
        check=check_bool,
    )

    def __post_init__(self) -> None:
        for parameter in fields(self):
            check = parameter.metadata["check"]
            if check is not None:
                check(parameter.name, getattr(self, parameter.name))


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """The parameters of one run of a fit, which do not belong to the model."""

    n_clusters: int = _setting(
        8, "int", "Number of clusters k, from 1 to the number of rows.", short="Number of clusters."
    )
    sample_weight: Any = _setting(
        None,
        "array-like, Tensor (n,) or float",
        "Weights of the rows, 0 or more, or one for all rows; all 1 by default. A weight of 2 is equivalent to a "
        "repeated row.",
    )
    random_state: Any = _setting(
        None,
        "int or random number generator",
        "Seed or random number generator for initial centers and samples: a NumPy Generator or RandomState.",
    )
    warm_start: bool = _setting(
        False,
        "bool",
        "Whether ``fit`` starts from the centers of the previous fit, and from its T if T is learned.",
    )
    device: Any = _setting(
        None,
        "str or torch.device",
        "Device for the computation. By default, the device of the data if it is a tensor, else the CPU.",
        short="Device: cpu or cuda; by default cpu.",
    )
    dtype: Any = _setting(
        None,
        "numpy or torch floating dtype, or its name",
        "Type of the centers and probabilities. By default, the data's type, and float64 for integers.",
    )
    verbose: int = _setting(0, "int", "1 shows a progress bar for long fits, 2 prints the loss of every tenth pass.")
    callbacks: Any = _setting(
        None,
        "sequence of Callback or str",
        "Callbacks, or their registered names, called after every pass.",
        short="Callback to call after every pass: {callbacks}; can be given several times.",
    )
    checkpoint: Any = _setting(
        None,
        "str, path-like or Checkpoint",
        "Folder for checkpoints, from which an interrupted fit can be resumed; see `Checkpoint`. Ctrl-C and SIGTERM "
        "also write a checkpoint.",
        short="Folder for checkpoints, from which --resume continues.",
    )
    resume: bool = _setting(
        False,
        "bool",
        "Whether to resume from the last checkpoint, if there is one. The result is bit for bit the same as without "
        "the interruption. The checkpoint is rejected if the data, a parameter or a version has changed.",
        short="Continue from the last checkpoint.",
    )


_FIELDS = {parameter.name: parameter for kind in (Settings, RunOptions) for parameter in fields(kind)}


def describe(name: str) -> str:
    """Return the help text of a parameter for the command line, with the registered names."""
    names = {
        "assignments": ASSIGNMENTS.choices,
        "callbacks": CALLBACKS.choices,
        "distances": DISTANCES.choices,
        "seedings": SEEDINGS.choices,
        "solvers": SOLVERS.choices,
        "temperatures": _temperature_choices,
    }
    text: str = _FIELDS[name].metadata["short"]
    for placeholder, choices in names.items():
        text = text.replace(f"{{{placeholder}}}", choices())
    return text


def _temperature_choices() -> str:
    return one_of([*TEMPERATURES, *(f"{name}:NUMBER" for name in PARAMETRIC)])


def documented(function: T) -> T:
    """Insert the descriptions of parameters in the docstring of a function or class.

    A line such as ``{tol}`` stands for the entry of a parameter. ``{parameters}`` stands for the entries of all
    parameters of the signature that are fields of `Settings` or `RunOptions` and have no entry yet, in their order.
    """
    lines = (function.__doc__ or "").splitlines()
    parameters = inspect.signature(function).parameters
    written = {name.strip(" {}") for line in lines for name in line.split(" : ")[0].split(",")}
    names = [name for name in parameters if name in _FIELDS and name not in written]
    for i, line in enumerate(lines):
        placeholder = line.strip()
        if placeholder.startswith("{") and placeholder.endswith("}") and placeholder[1:-1].isidentifier():
            entries = names if placeholder == "{parameters}" else [placeholder[1:-1]]
            text = "\n".join(_entry(parameters[name]) for name in entries)
            lines[i] = textwrap.indent(text, line[: line.index("{")])
    function.__doc__ = "\n".join(lines)
    return function


def _entry(parameter: inspect.Parameter) -> str:
    """Return the entry of a parameter in a numpydoc section."""
    metadata = _FIELDS[parameter.name].metadata
    paragraphs = textwrap.dedent(metadata["text"]).split("\n\n")
    width = LINE_LENGTH - 8
    wrapped = [text if text.startswith("- ") else textwrap.fill(text, width) for text in paragraphs]
    default = "" if parameter.default is inspect.Parameter.empty else f", default={parameter.default!r}"
    text = textwrap.indent("\n\n".join(wrapped), "    ")
    return f"{parameter.name} : {metadata['kind']}{default.replace(chr(39), chr(34))}\n{text}"
