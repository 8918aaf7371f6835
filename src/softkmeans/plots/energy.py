"""Free energy, distortion and entropy along an annealing path."""

from __future__ import annotations

__all__ = ["EnergyDisplay"]

from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from ..errors import InputError, Message, Setting
from ._axes import Style, panels
from ._colors import PALETTE
from ._temperature_axis import draw_critical, draw_numbers_of_clusters, draw_temperatures

# ticks of the perplexity scale if the largest perplexity is small, and if it is large
SMALL_PERPLEXITY_TICKS = (1, 1.5, 2, 3, 4, 6)
LARGE_PERPLEXITY_TICKS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)


class EnergyDisplay:
    """A plot of free energy F and distortion E, and below them entropy H, per row, over falling temperature.

    The second scale of the entropy is the perplexity exp(H), the effective number of clusters of a row. The gray steps
    are the logarithm of the number of clusters. Usually created by :meth:`from_path`.

    Parameters
    ----------
    temperatures : array-like of shape (m,)
        Temperature of each level.
    free_energy, distortion, entropy : array-like of shape (m,)
        F, E and H per row.
    n_clusters : array-like of shape (m,)
        Number of clusters of each level.
    critical_temperature : float or None
        The temperature above which there is one cluster.

    Attributes
    ----------
    ax_, entropy_ax_, figure_ : Axes of F and E, Axes of H, and Figure
    free_energy_, distortion_, entropy_, limit_ : Line2D of F, E, H, and of log k.
    critical_ : list of two Line2D, or None

    Raises
    ------
    InputError
        If shapes don't match, or temperatures are not above 0.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> display = EnergyDisplay([4, 2, 1], [1.0, 0.8, 0.5], [1.0, 1.0, 0.6], [0.0, 0.1, 0.1], [1, 2, 2]).plot()
    >>> display.entropy_ax_.get_ylabel()
    'entropy H per row'
    >>> plt.close(display.figure_)
    """

    def __init__(
        self,
        temperatures: ArrayLike,
        free_energy: ArrayLike,
        distortion: ArrayLike,
        entropy: ArrayLike,
        n_clusters: ArrayLike,
        *,
        critical_temperature: float | None = None,
    ) -> None:
        columns = [
            np.asarray(column, np.float64) for column in (temperatures, free_energy, distortion, entropy, n_clusters)
        ]
        shapes = [column.shape for column in columns]
        if len(set(shapes)) > 1 or columns[0].ndim != 1 or not columns[0].size:
            problem = Message(
                Setting("temperatures"), ", F, E, H and ", Setting("n_clusters"), f" have shapes {shapes}"
            )
            raise InputError(problem, expected="(m,)", hint="give one value per level")
        if not (columns[0] > 0).all():
            lowest, hint = f"has values down to {columns[0].min():g}", "remove those levels"
            raise InputError(lowest, parameter="temperatures", expected="all above 0", hint=hint)
        self.temperatures, self.free_energy, self.distortion, self.entropy, k = columns
        self.n_clusters, self.critical_temperature = k.astype(np.int64), critical_temperature

    @classmethod
    def from_path(cls, path: Any, *, ax: Any = None, **kwargs: Any) -> Self:
        """Draw an annealing path.

        Parameters
        ----------
        path : object
            An `AnnealingPath`, or an object with ``levels``, ``temperatures`` (m,), ``n_clusters`` (m,),
            ``critical_temperature`` and ``weight``, the total weight of the rows, like it. Each level has
            ``free_energy``, ``distortion`` and ``entropy``, summed over the rows.
        ax, **kwargs
            Passed to :meth:`plot`.
        """
        energies = np.array([(level.free_energy, level.distortion, level.entropy) for level in path.levels])
        f, e, h = energies.T / path.weight
        critical = path.critical_temperature
        display = cls(path.temperatures, f, e, h, path.n_clusters, critical_temperature=critical)
        return display.plot(ax, **kwargs)

    def plot(self, ax: Any = None, **kwargs: Any) -> Self:
        """Draw the plot and return self.

        Parameters
        ----------
        ax : Axes, two Axes or None
            Axes to draw on; a single Axes is divided in two, and None creates a new figure.
        **kwargs
            Style of the three curves (``Axes.plot``).

        Raises
        ------
        InputError
            If the number of Axes is neither one nor two.
        """
        (self.ax_, self.entropy_ax_), self.figure_ = panels(ax, 2, 1, height_ratios=[3, 2])
        style: Style = {"linewidth": 1.5} | kwargs
        self._draw_energies(style)
        self._draw_entropy(style)
        draw_temperatures(self.ax_, self.temperatures, "")
        draw_temperatures(self.entropy_ax_, self.temperatures)
        self.ax_.tick_params(labelbottom=False)
        draw_numbers_of_clusters(self.ax_, self.temperatures, self.n_clusters, self.critical_temperature)
        upper_line = draw_critical(self.ax_, self.critical_temperature)
        lower_line = draw_critical(self.entropy_ax_, self.critical_temperature, label=False)
        self.critical_ = None if upper_line is None else [upper_line, lower_line]
        return self

    def _draw_energies(self, style: Style) -> None:
        ax, t = self.ax_, self.temperatures
        (self.distortion_,) = ax.plot(t, self.distortion, **_labeled("distortion E", PALETTE[3], style))
        (self.free_energy_,) = ax.plot(t, self.free_energy, **_labeled("free energy F", PALETTE[0], style))
        ax.set_ylabel("F and E per row")
        ax.legend(frameon=False, fontsize="small", loc="best")

    def _draw_entropy(self, style: Style) -> None:
        ax, t = self.entropy_ax_, self.temperatures
        gray: Style = {"color": "0.6", "linewidth": 1.0, "drawstyle": "steps-pre", "label": "log k"}
        (self.limit_,) = ax.plot(t, np.log(self.n_clusters), **gray)
        (self.entropy_,) = ax.plot(t, self.entropy, **_labeled("entropy H", PALETTE[2], style))
        ax.set_ylabel("entropy H per row")
        ax.legend(frameon=False, fontsize="small", loc="best")
        high = max(float(np.log(self.n_clusters).max()), float(self.entropy.max()), 0.1)
        ax.set_ylim(-0.05 * high, 1.1 * high)
        scale = ax.secondary_yaxis("right", functions=(np.exp, lambda p: np.log(np.maximum(p, 1e-9))))
        scale.set_ylabel("perplexity exp(H)")
        top = np.exp(1.1 * high)
        ticks = [value for value in (SMALL_PERPLEXITY_TICKS if top < 9 else LARGE_PERPLEXITY_TICKS) if value <= top]
        scale.set_yticks(ticks, labels=[f"{value:g}" for value in ticks])


def _labeled(label: str, color: str, style: Style) -> Style:
    return {"label": label, "color": color} | style
