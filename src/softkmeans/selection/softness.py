"""How soft the memberships of a fitted model are, in numbers and in words, and how to make them softer."""

from __future__ import annotations

__all__ = ["SURE", "Softness", "describe_softness", "is_nearly_hard", "remedy", "spread"]

import math
from typing import Any

from ..distances import as_distance
from ..errors import Message, Setting
from ..estimators.assigned_rows import AssignedBlock
from ..estimators.base import SoftClusterer
from ..temperature import as_temperature

SURE = 0.9  # a row is in doubt if its largest membership is smaller
# A row that is spread over at most this many clusters on average has, on average, a largest membership of 0.99: so it
# was for the data sets of scikit-learn and normal distributions of 2 to 300 features, between 0.985 and 1. It can't be
# below 0.982, 1 - H / (2 Σw log 2) (Hellman & Raviv, "Probability of error, equivocation, and the Chernoff bound",
# IEEE Trans. Inf. Theory 1970). The entropy H is known of every fit; the largest memberships would need another pass.
MAX_HARD_SPREAD = 1.025
MAX_FIRM_SPREAD = 1.25  # up to which the largest membership is above 0.9 on average, on the same data
SOFTER = "perplexity:1.5"


class Softness:
    """The largest memberships of rows, collected block by block.

    Attributes
    ----------
    mean_largest : float
        Weighted mean of the largest membership of a row. Noise counts as a cluster.
    in_doubt : float
        Fraction of the weight of rows whose largest membership is below 0.9.
    """

    def __init__(self) -> None:
        self._weight = self._largest = self._doubtful = 0.0

    def add(self, block: AssignedBlock) -> None:
        """Add the rows of a block."""
        largest = block.resp.max(1).clip(1 - block.resp.sum(1))
        self._weight += float(block.weights.sum())
        self._largest += float(block.weights @ largest)
        self._doubtful += float(block.weights @ (largest < SURE))

    @property
    def mean_largest(self) -> float:
        """The weighted mean of the largest memberships."""
        return self._largest / self._weight

    @property
    def in_doubt(self) -> float:
        """The fraction of the weight of rows that are in doubt."""
        return self._doubtful / self._weight


def spread(model: SoftClusterer) -> float:
    """Return over how many clusters a row is spread on average, exp(H / Σw); NaN if H is not known.

    Parameters
    ----------
    model : SoftKMeans or FuzzyCMeans
        A fitted model.

    Examples
    --------
    >>> from softkmeans import SoftKMeans
    >>> round(spread(SoftKMeans(2, temperature=4.0, random_state=0).fit([[0.0], [1.0], [4.0], [5.0]])), 2)
    1.14
    """
    fitted = vars(model)
    if not {"entropy_", "cluster_weights_"} <= fitted.keys():
        return math.nan
    return math.exp(fitted["entropy_"] / (fitted["cluster_weights_"].sum() + fitted.get("noise_weight_", 0.0)))


def is_nearly_hard(model: SoftClusterer) -> bool:
    """Return whether almost all rows belong to one cluster each; False if this is not known, or with one cluster.

    Parameters
    ----------
    model : SoftKMeans or FuzzyCMeans
        A fitted model.
    """
    return len(model.cluster_centers_) > 1 and spread(model) <= MAX_HARD_SPREAD


def describe_softness(model: SoftClusterer, softness: Softness | None = None) -> str:
    """Return how soft memberships are, in words and numbers; "" for one cluster, or if nothing is known.

    Parameters
    ----------
    model : SoftKMeans or FuzzyCMeans
        A fitted model.
    softness : Softness, optional
        The largest memberships of its rows.

    Examples
    --------
    >>> from softkmeans import SoftKMeans
    >>> describe_softness(SoftKMeans(2, temperature=1.0, random_state=0).fit([[0.0], [0.2], [9.0], [9.5]]))
    'nearly hard: a row is spread over 1.00 clusters on average'
    """
    found = spread(model)
    if len(model.cluster_centers_) == 1 or (math.isnan(found) and softness is None):
        return ""
    word = "nearly hard" if found <= MAX_HARD_SPREAD else "mostly firm" if found <= MAX_FIRM_SPREAD else "soft"
    kind = "" if math.isnan(found) else f"{word}: "
    if softness is None:
        return f"{kind}a row is spread over {found:.2f} clusters on average"
    mean, doubt = softness.mean_largest, softness.in_doubt
    rows = f"{100 * doubt:.2g} % of the rows are" if doubt else "no row is"
    return (
        f"{kind}the largest of a row is {mean:.{3 if mean > 0.985 else 2}f} on average; {rows} in doubt (below {SURE})"
    )


def remedy(model: SoftClusterer) -> Message | None:
    """Return which temperatures make memberships softer that are nearly hard; None if they are not, or by choice.

    Parameters
    ----------
    model : SoftKMeans or FuzzyCMeans
        A fitted model.

    Examples
    --------
    >>> from softkmeans import SoftKMeans
    >>> print(remedy(SoftKMeans(2, temperature=1.0, random_state=0).fit([[0.0], [0.2], [9.0], [9.5]])))
    temperature='calibrated', or temperature='perplexity:1.5' (which spreads a row over 1.5 clusters)
    """
    temperature: Any = model.get_params().get("temperature")
    if temperature is None or not is_nearly_hard(model):
        return None
    rule, by_spread = as_temperature(temperature), Setting("temperature", SOFTER)
    if rule.needs_entropy_slope:  # the user has said how soft they are to be
        return None
    is_calibrated = rule == as_temperature("calibrated")
    can_calibrate = as_distance(model.distance).is_squared and not is_calibrated
    first = (Setting("temperature", "calibrated"), ", or ") if can_calibrate else ()
    return Message(*first, by_spread, " (which spreads a row over 1.5 clusters)")
