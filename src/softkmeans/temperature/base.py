"""What a fit asks of a temperature rule."""

from __future__ import annotations

__all__ = ["TemperatureRule"]

from abc import ABC, abstractmethod
from collections.abc import Callable

from ..data.scaling import Scaling
from ..data.source import Source
from ..model.params import Params
from ..model.stats import Stats


class TemperatureRule(ABC):
    """How soft a fit is. Temperatures and distortions are in the units of the space the fit works in.

    Attributes
    ----------
    learned : bool
        Whether T is learned with the centers: the fit then minimizes the NLL, else the free energy.
    per_cluster : bool
        Whether each cluster has a T of its own: the fit then minimizes the NLL, learned or not.
    solved : bool
        Whether T solves an equation, by ``solve``: the fit then looks for where T and the centers stay.
    needs_entropy_slope : bool
        Whether it needs to know for that how the entropy answers to T.
    """

    learned: bool = False
    per_cluster: bool = False
    solved: bool = False
    needs_entropy_slope: bool = False

    def bind(self, view: Source, scaling: Scaling, n_clusters: int) -> TemperatureRule:
        """Take from the data, a source seen from the space, what the rule needs of it: in one pass.

        Or, where features are very many, in a few products with a vector.
        """
        return self

    def stages(self, scaling: Scaling) -> tuple[float, ...]:
        """Give the temperatures that a fit goes through before that of ``start``, falling."""
        return ()

    @abstractmethod
    def start(self, scaling: Scaling, mean_distortion: Callable[[], float]) -> float | tuple[float, ...]:
        """Give the first T, or one for each cluster.

        ``mean_distortion()`` makes a pass for the rows' mean distance to their nearest start.
        """

    def update(self, scaling: Scaling, temperature: float, mean_distortion: float) -> float:
        """Give the next T, if it is learned, from the last one and the mean expected distortion E / Σw."""
        return temperature

    def solve(
        self, scaling: Scaling, params: Params, stats: Stats, entropy: float, slope: float
    ) -> tuple[float, float]:
        """Say by how much log T is too low, and how much less that becomes as log T rises by 1, if T is solved for.

        Both go by the sums of a pass, the entropy H, and ∂H/∂log T at fixed centers if the rule needs it.
        """
        raise NotImplementedError
