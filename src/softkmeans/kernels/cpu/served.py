"""Which combinations of a function of `kernels`, a distance and an assignment rule the compiled kernels serve."""

from __future__ import annotations

__all__ = ["FUNCTIONS", "RULES", "served_table", "serves", "unsupported_feature"]

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ...distances import DISTANCES, Distance, SquaredEuclidean
from ...model.assignment import AssignmentRule, Fuzzy, Softmax
from .kernels import KERNELS, kernel_name
from .prepare import COMPILED_DISTANCES, COMPILED_RULES, member_of

# What the kernels compute, by name.
FUNCTIONS = {
    "accumulate": "sums of a pass",
    "assign": "memberships, log-partition functions",
    "accumulate_distortion": "sums for the distortion, slope of the entropy",
    "row_gradient": "gradients of rows",
    "hessian_product": "products with the Hessian",
    "nearest": "nearest centers",
    "min_distances": "distances, seedings",
}

# Assignment rules as users know them: inverse temperatures of two clusters, and the rule.
RULES: dict[str, tuple[list[float], AssignmentRule]] = {
    "one temperature": ([1.0, 1.0], Softmax()),
    "temperature per cluster": ([1.0, 2.0], Softmax()),
    "noise": ([1.0, 1.0], Softmax(-1.0)),
    "fuzzy": ([1.0, 1.0], Fuzzy()),
}


def unsupported_feature(distance: Distance, rule: AssignmentRule) -> str:
    """Return the name of a requested feature that the compiled kernels do not support, or an empty string."""
    if type(distance) not in COMPILED_DISTANCES:
        return f"the {distance.name} distance"
    return "" if type(rule) in COMPILED_RULES else f"{rule.name} memberships"


def serves(function: str, distance: Distance, beta: ArrayLike | Any, rule: AssignmentRule) -> bool:
    """Return whether there is a kernel for a function, given distance, inverse temperatures (k,) and rule."""
    if unsupported_feature(distance, rule):
        return False
    if function in ("min_distances", "nearest"):  # which have no memberships
        beta, rule = 1.0, Softmax()
    if function == "nearest":  # every distance that is compiled increases with the squared one
        distance = SquaredEuclidean()
    if function == "row_gradient" and not distance.translates:  # rows would have to be divided by their lengths
        return False
    if function == "hessian_product" and rule.has_noise:
        return False
    return kernel_name(function, 1, member_of(distance, np.asarray(beta), rule)) in KERNELS


def served_table() -> str:
    """Return a Markdown table of the distances for which each function is served, by assignment rule."""
    lines = [["", *RULES], ["---"] * (1 + len(RULES))]
    for function, description in FUNCTIONS.items():
        cells = [
            ", ".join(name for name in DISTANCES if serves(function, DISTANCES[name], beta, rule)) or "–"
            for beta, rule in RULES.values()
        ]
        lines.append([description, *cells])
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
