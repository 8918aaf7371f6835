"""How many clusters there are, by each of several criteria."""

from __future__ import annotations

__all__ = ["SelectionDisplay"]

import math
from collections.abc import Mapping
from typing import Any, Self

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike

from ..errors import InputError
from ._axes import Style, panels
from ._colors import PALETTE

NAMES = {"bic": "BIC", "aic": "AIC", "icl": "ICL", "held_out": "held-out score", "xie_beni": "Xie–Beni"}


class SelectionDisplay:
    """Criteria for the number of clusters, one small panel each, with what each would choose.

    The line through all panels is at the number that was chosen; the criterion that chose it has a bold title. Usually
    made by :meth:`from_selection`.

    Parameters
    ----------
    n_clusters : array-like of shape (m,)
        The numbers of clusters that were tried.
    criteria : mapping from name to array-like of shape (m,)
        Each criterion's values, NaN where it has none.
    choices : mapping from name to int
        The number of clusters that each criterion would choose.
    chosen : int
        The number that was chosen.
    criterion : str or None
        Name of the criterion that it was chosen by.
    errors : mapping from name to array-like of shape (m,)
        Standard errors of the criteria that have them.

    Attributes
    ----------
    ax_, axes_, figure_ : Axes of the first panel, dict from criterion to Axes, and Figure
    lines_, marks_, chosen_ : dicts from criterion to Line2D: the curve, the choice, and the line at the number chosen.

    Raises
    ------
    InputError
        If there is no criterion, or shapes don't match.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> display = SelectionDisplay([1, 2, 3], {"bic": [9.0, 4.0, 5.0]}, {"bic": 2}, 2).plot()
    >>> display.axes_["bic"].get_title()
    'BIC: 2'
    >>> plt.close(display.figure_)
    """

    def __init__(
        self,
        n_clusters: ArrayLike,
        criteria: Mapping[str, ArrayLike],
        choices: Mapping[str, int],
        chosen: int,
        *,
        criterion: str | None = None,
        errors: Mapping[str, ArrayLike] | None = None,
    ) -> None:
        self.n_clusters, self.choices, self.chosen = np.asarray(n_clusters), dict(choices), chosen
        self.criteria = {name: np.asarray(values, dtype=np.float64) for name, values in criteria.items()}
        self.errors = {name: np.asarray(values, dtype=np.float64) for name, values in (errors or {}).items()}
        self.criterion = criterion
        if not self.criteria:
            raise InputError("no criteria came, expected one or more; choose among them first")
        for name, values in (*self.criteria.items(), *self.errors.items()):
            if values.shape != self.n_clusters.shape or values.ndim != 1:
                found = f"{name} has shape {values.shape} and n_clusters {self.n_clusters.shape}"
                raise InputError(f"{found}; give one value for each number of clusters, (m,)")

    @classmethod
    def from_selection(cls, selection: Any, *, ax: Any = None, **kwargs: Any) -> Self:
        """Draw what a choice of the number of clusters was made by.

        Parameters
        ----------
        selection : object
            With ``table``, a frame with a column "n_clusters" and one for each criterion, perhaps with standard errors
            in one named like it and "_se"; ``choices``, a dict from criterion to number of clusters; ``n_clusters``
            and ``criterion``, what was chosen and by which.
        ax, **kwargs
            Passed to :meth:`plot`.
        """
        table = selection.table
        columns = [
            str(name) for name in getattr(table, "column_names", table)
        ]  # pyarrow's, or what others iterate over
        criteria = {name: np.asarray(table[name]) for name in columns if name in selection.choices}
        errors = {name: np.asarray(table[f"{name}_se"]) for name in criteria if f"{name}_se" in columns}
        k, by = np.asarray(table["n_clusters"]), selection.criterion
        display = cls(k, criteria, selection.choices, selection.n_clusters, criterion=by, errors=errors)
        return display.plot(ax, **kwargs)

    def plot(self, ax: Any = None, **kwargs: Any) -> Self:
        """Draw and return self.

        Parameters
        ----------
        ax : Axes, Axes for each panel, or None
            Where to draw; one is divided, and None makes a new figure.
        **kwargs
            Style of the curves (``Axes.plot``).

        Raises
        ------
        InputError
            If other than one Axes, or one a panel, came.
        """
        self._lay_out(ax)
        found = {name: self._draw_panel(name, kwargs) for name in self.criteria}
        self.lines_, self.marks_, self.chosen_ = ({name: each[i] for name, each in found.items()} for i in range(3))
        return self

    def _lay_out(self, ax: Any) -> None:
        n = len(self.criteria)
        at_most = 3 if n <= 6 else 4  # columns: seven criteria leave one place free, not two and a row
        rows = math.ceil(n / at_most) if ax is None or isinstance(ax, Axes) else 1
        columns = math.ceil(n / rows)
        drawn, self.figure_ = panels(ax, rows, columns, figsize=(2.2 * columns + 0.4, 1.7 * rows + 0.4))
        for spare in drawn[n:]:
            spare.remove()
        self.ax_, self.axes_ = drawn[0], dict(zip(self.criteria, drawn, strict=False))
        for panel in drawn[n - columns : n]:  # the lowest of each column
            panel.set_xlabel("number of clusters")
            panel.tick_params(labelbottom=True)

    def _draw_panel(self, name: str, kwargs: Style) -> tuple[Any, Any, Any]:
        ax, values, choice = self.axes_[name], self.criteria[name], self.choices.get(name)
        style: Style = {"color": PALETTE[0], "linewidth": 1.2, "marker": "o", "markersize": 3} | kwargs
        chosen = ax.axvline(self.chosen, color="0.6", linewidth=1.0, linestyle="--", zorder=0)
        if name in self.errors:
            ax.errorbar(self.n_clusters, values, self.errors[name], fmt="none", ecolor=style["color"], elinewidth=0.8)
        (line,) = ax.plot(self.n_clusters, values, **style)
        at = self.n_clusters == choice
        (mark,) = ax.plot(self.n_clusters[at], values[at], "o", color=PALETTE[3], markersize=7, zorder=3)
        ax.set_title(_title(name, choice), fontsize="medium", fontweight="bold" if name == self.criterion else None)
        ax.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
        ax.tick_params(labelsize="small")
        ax.spines[["top", "right"]].set_visible(False)
        return line, mark, chosen


def _title(name: str, choice: int | None) -> str:
    words = NAMES.get(name, name.replace("_", " "))
    return words if choice is None else f"{words}: {choice}"
