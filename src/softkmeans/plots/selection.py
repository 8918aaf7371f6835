"""A plot of criteria for the number of clusters."""

from __future__ import annotations

__all__ = ["SelectionDisplay"]

import math
import textwrap
from collections.abc import Mapping
from typing import Any, Self

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike

from ..errors import InputError, Message, Setting
from ..registries import CRITERIA
from ._axes import Style, panels
from ._colors import PALETTE
from ._labels import shorten

MAX_TITLE = 25  # characters of a line above a panel
MARK: Style = {"marker": "o", "color": PALETTE[3], "markersize": 7, "linestyle": "none", "zorder": 3, "clip_on": False}
# at the end of the range, where larger numbers may be better: open, and pointing out of the axes
MARK_AT_END: Style = {"marker": ">", "markerfacecolor": "white", "markeredgewidth": 1.5, "markersize": 9}


class SelectionDisplay:
    """A plot of criteria for the number of clusters, one panel each, with the choice of each criterion.

    The line through all panels is at the chosen number; the criterion used to choose it has a bold title. Usually
    created by :meth:`from_selection`. A choice at the end of the range is no answer, as larger
    numbers may be better: its title says so, and its mark is an open triangle that points out of the range.

    Parameters
    ----------
    n_clusters : array-like of shape (m,)
        The numbers of clusters that were fitted.
    criteria : mapping from name to array-like of shape (m,)
        The values of each criterion, NaN where it is undefined. Registered criteria are shown with their labels.
    choices : mapping from name to int
        The number of clusters that each criterion chooses.
    chosen : int
        The chosen number of clusters.
    criterion : str or None
        Name of the criterion used to choose it.
    errors : mapping from name to array-like of shape (m,)
        Standard errors, for the criteria that have them.

    Attributes
    ----------
    ax_, axes_, figure_ : Axes of the first panel, dict from criterion to Axes, and Figure
    lines_, marks_, chosen_ : dicts from criterion to Line2D: the curve, the choice, and the line at the chosen number.

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
            hint = "give the criteria of a selection"
            raise InputError("is empty", parameter="criteria", expected="one or more", hint=hint)
        for name, values in (*self.criteria.items(), *self.errors.items()):
            if values.shape != self.n_clusters.shape or values.ndim != 1:
                shapes = (f"{name} has shape {values.shape} and ", Setting("n_clusters"), f" {self.n_clusters.shape}")
                raise InputError(Message(*shapes), hint="give one value for each number of clusters, (m,)")

    @classmethod
    def from_selection(cls, selection: Any, *, ax: Any = None, **kwargs: Any) -> Self:
        """Draw the criteria of a selection of the number of clusters.

        Parameters
        ----------
        selection : object
            A `Selection`, or an object with ``table``, ``choices``, ``n_clusters`` and ``criterion`` like it. The table
            has a column "n_clusters", one for each criterion, and may have standard errors in columns that end with
            "_se"; ``choices`` is a dict from criterion to number of clusters.
        ax, **kwargs
            Passed to :meth:`plot`.
        """
        table = selection.table
        # pyarrow tables have column_names; data frames and dicts iterate over their columns
        columns = [str(name) for name in getattr(table, "column_names", table)]
        criteria = {name: np.asarray(table[name]) for name in columns if name in selection.choices}
        errors = {name: np.asarray(table[f"{name}_se"]) for name in criteria if f"{name}_se" in columns}
        k, by = np.asarray(table["n_clusters"]), selection.criterion
        display = cls(k, criteria, selection.choices, selection.n_clusters, criterion=by, errors=errors)
        return display.plot(ax, **kwargs)

    def plot(self, ax: Any = None, **kwargs: Any) -> Self:
        """Draw the plot and return self.

        Parameters
        ----------
        ax : Axes, Axes for each panel, or None
            Axes to draw on; a single Axes is divided, and None creates a new figure.
        **kwargs
            Style of the curves (``Axes.plot``).

        Raises
        ------
        InputError
            If the number of Axes is neither one nor that of the panels.
        """
        self._lay_out(ax)
        artists = {name: self._draw_panel(name, kwargs) for name in self.criteria}
        self.lines_, self.marks_, self.chosen_ = ({name: panel[i] for name, panel in artists.items()} for i in range(3))
        return self

    def _lay_out(self, ax: Any) -> None:
        n = len(self.criteria)
        max_columns = 3 if n <= 6 else 4  # with 4 columns, seven criteria leave only one panel empty
        rows = math.ceil(n / max_columns) if ax is None or isinstance(ax, Axes) else 1
        columns = math.ceil(n / rows)
        drawn, self.figure_ = panels(ax, rows, columns, figsize=(2.4 * columns + 0.4, 1.7 * rows + 0.4))
        for empty in drawn[n:]:
            empty.remove()
        self.ax_, self.axes_ = drawn[0], dict(zip(self.criteria, drawn, strict=False))
        for panel in drawn[n - columns : n]:  # the lowest panel of each column
            panel.set_xlabel("number of clusters")
            panel.tick_params(labelbottom=True)

    def _draw_panel(self, name: str, kwargs: Style) -> tuple[Any, Any, Any]:
        ax, values, choice = self.axes_[name], self.criteria[name], self.choices.get(name)
        style: Style = {"color": PALETTE[0], "linewidth": 1.2, "marker": "o", "markersize": 3} | kwargs
        chosen = ax.axvline(self.chosen, color="0.6", linewidth=1.0, linestyle="--", zorder=0)
        if name in self.errors:
            ax.errorbar(self.n_clusters, values, self.errors[name], fmt="none", ecolor=style["color"], elinewidth=0.8)
        (line,) = ax.plot(self.n_clusters, values, **style)
        is_choice, is_at_end = self.n_clusters == choice, choice == self.n_clusters.max()
        mark_style = MARK | (MARK_AT_END if is_at_end else {})
        (mark,) = ax.plot(self.n_clusters[is_choice], values[is_choice], **mark_style)
        title = _title(name, choice, is_at_end=bool(is_at_end))
        ax.set_title(title, parse_math=False, fontsize="medium", fontweight="bold" if name == self.criterion else None)
        ax.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
        ax.tick_params(labelsize="small")
        ax.spines[["top", "right"]].set_visible(False)
        return line, mark, chosen


def _title(name: str, choice: int | None, *, is_at_end: bool) -> str:
    """Return the title of a criterion's panel, with its choice if it has one, in lines that fit above the panel."""
    label = CRITERIA[name].label if name in CRITERIA else shorten(name.replace("_", " "), MAX_TITLE - 8)
    title = textwrap.fill(label if choice is None else f"{label}: {choice}", MAX_TITLE)
    return f"{title}\n(end of range)" if is_at_end else title
