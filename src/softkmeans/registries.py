"""The extension points, with the members of the library by name.

To add a member to the library, write a class and add a line here. In a program of your own, call ``register``, for
example ``DISTANCES.register("cauchy", Cauchy)``. Importing this module imports nothing else, so that the command line
can list the names quickly.
"""

from __future__ import annotations

__all__ = [
    "ASSIGNMENTS",
    "CALLBACKS",
    "CRITERIA",
    "DISTANCES",
    "FORMATS",
    "PARAMETRIC",
    "REGISTRIES",
    "SEEDINGS",
    "SOLVERS",
    "TEMPERATURES",
]

from typing import TYPE_CHECKING, Any

from ._utils.registry import Registry

if TYPE_CHECKING:
    from .callbacks import Callback
    from .data.files.formats.base import Format
    from .distances import Distance
    from .model.assignment import AssignmentRule
    from .seeding import Seeding
    from .selection.criteria import Criterion
    from .solvers import Solver
    from .temperature import TemperatureRule

DISTANCES: Registry[Distance] = Registry(
    "distance",
    "softkmeans.distances.base:Distance",
    {
        "sqeuclidean": "softkmeans.distances.euclidean:SquaredEuclidean",
        "euclidean": "softkmeans.distances.euclidean:Euclidean",
        "cosine": "softkmeans.distances.cosine:Cosine",
    },
)
ASSIGNMENTS: Registry[AssignmentRule] = Registry(
    "assignment",
    "softkmeans.model.assignment:AssignmentRule",
    {
        "softmax": "softkmeans.model.assignment:Softmax",
        "fuzzy": "softkmeans.model.assignment:Fuzzy",
    },
)
TEMPERATURES: Registry[TemperatureRule] = Registry(
    "temperature",
    "softkmeans.temperature.base:TemperatureRule",
    {
        "auto": "softkmeans.temperature.maximum_likelihood:MaximumLikelihood",
        "per-cluster": "softkmeans.temperature.maximum_likelihood:PER_CLUSTER",
        "calibrated": "softkmeans.temperature.calibrated:Calibrated",
    },
)
# Temperature rules with a number, as in "perplexity:1.5".
PARAMETRIC: Registry[Any] = Registry(
    "temperature",
    "softkmeans.temperature.base:TemperatureRule",
    {
        "perplexity": "softkmeans.temperature.perplexity:Perplexity",
        "critical": "softkmeans.temperature.critical:Critical",
    },
    instances=False,
)
# "auto" starts with EM and changes to L-BFGS once EM becomes slow; "lbfgs" uses L-BFGS from the start.
SOLVERS: Registry[Solver] = Registry(
    "solver",
    "softkmeans.solvers.base:Solver",
    {
        "auto": "softkmeans.solvers.lbfgs:Lbfgs",
        "em": "softkmeans.solvers.em:Em",
        "lbfgs": "softkmeans.solvers.lbfgs:FROM_THE_START",
        "adam": "softkmeans.solvers.adam:Adam",
        "online": "softkmeans.solvers.online:Online",
    },
)
SEEDINGS: Registry[Seeding] = Registry(
    "init",
    "softkmeans.seeding.base:Seeding",
    {
        "k-means++": "softkmeans.seeding.registry:KMEANS_PLUSPLUS",
        "k-means||": "softkmeans.seeding.registry:KMEANS_PARALLEL",
        "random": "softkmeans.seeding.registry:RANDOM",
        "annealing": "softkmeans.seeding.registry:ANNEALING",
    },
)
CRITERIA: Registry[Criterion] = Registry(
    "criterion",
    "softkmeans.selection.criteria:Criterion",
    {
        "bic": "softkmeans.selection.criteria:BIC",
        "icl": "softkmeans.selection.criteria:ICL",
        "held_out": "softkmeans.selection.criteria:HELD_OUT",
        "fuzzy_silhouette": "softkmeans.selection.criteria:FUZZY_SILHOUETTE",
        "xie_beni": "softkmeans.selection.criteria:XIE_BENI",
        "partition_coefficient": "softkmeans.selection.criteria:PARTITION_COEFFICIENT",
        "lifetime": "softkmeans.selection.criteria:LIFETIME",
    },
)
# Callbacks that can be made without arguments.
CALLBACKS: Registry[type[Callback]] = Registry(
    "callbacks",
    "softkmeans.callbacks.base:Callback",
    {
        "early-stopping": "softkmeans.callbacks.stopping:EarlyStopping",
        "loss-printer": "softkmeans.callbacks.logging:LossPrinter",
        "progress-bar": "softkmeans.callbacks.progress:ProgressBar",
    },
    instances=False,
)
# Formats of data files. Users write their suffixes, not their names.
FORMATS: Registry[Format] = Registry(
    "format",
    "softkmeans.data.files.formats.base:Format",
    {
        "csv": "softkmeans.data.files.formats.text:CSV",
        "tsv": "softkmeans.data.files.formats.text:TSV",
        "txt": "softkmeans.data.files.formats.text:TXT",
        "json lines": "softkmeans.data.files.formats.json_lines:JSON_LINES",
        "excel": "softkmeans.data.files.formats.excel:EXCEL",
        "parquet": "softkmeans.data.files.formats.parquet:PARQUET",
        "arrow": "softkmeans.data.files.formats.ipc:ARROW",
        "npy": "softkmeans.data.files.formats.npy:NPY",
        "npz": "softkmeans.data.files.formats.npz:NPZ",
    },
    unique="suffixes",
)
REGISTRIES = (DISTANCES, ASSIGNMENTS, TEMPERATURES, PARAMETRIC, SOLVERS, SEEDINGS, CRITERIA, CALLBACKS, FORMATS)
