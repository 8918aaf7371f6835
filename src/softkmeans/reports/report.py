"""A report of a clustering: one HTML file to explore and to send to others."""

from __future__ import annotations

__all__ = ["Report", "report"]

import html
import os
from typing import Any

from .._utils.atomic import atomic_write
from ..errors import InputError
from ..estimators.pipeline import Model
from .content import Extras, collect
from .html import build_page


class Report:
    """A report, as HTML in memory. A notebook displays it.

    Parameters
    ----------
    content : dict
        The numbers that the page shows, as `reports.collect` returns them.

    Attributes
    ----------
    content : dict
        The numbers.
    html : str
        The page.

    Examples
    --------
    >>> from softkmeans import SoftKMeans, report
    >>> X = [[0.0], [0.2], [5.0], [5.1], [5.2]]
    >>> report(SoftKMeans(2, temperature=0.1, random_state=0).fit(X), X)
    Report(2 clusters, 5 rows)
    """

    def __init__(self, content: dict[str, Any]) -> None:
        self.content = content
        self.html = build_page(content)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the page to a file, completely or not at all.

        Parameters
        ----------
        path : str or path-like
            The file, which must end with ``.html``. An existing file is replaced.

        Raises
        ------
        InputError
            If the name ends differently, or the file can't be written.

        Examples
        --------
        >>> import tempfile
        >>> from pathlib import Path
        >>> from softkmeans import SoftKMeans, report
        >>> X = [[0.0], [0.2], [5.0], [5.1], [5.2]]
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     report(SoftKMeans(2, random_state=0).fit(X), X).save(Path(folder) / "report.html")
        ...     [path.name for path in Path(folder).iterdir()]
        ['report.html']
        """
        check_name(path)
        with atomic_write(path) as temporary:
            temporary.write_text(self.html, encoding="utf-8")

    def _repr_html_(self) -> str:
        frame = 'sandbox="allow-scripts" width="100%" height="720" title="Report of a clustering"'
        return f'<iframe {frame} style="border:0" srcdoc="{html.escape(self.html)}"></iframe>'

    def __repr__(self) -> str:
        return f"Report({self.content['n_clusters']} clusters, {self.content['n_rows']} rows)"


def check_name(path: str | os.PathLike[str]) -> None:
    """Raise an InputError unless a file name ends with .html."""
    if not os.fspath(path).lower().endswith((".html", ".htm")):
        raise InputError(f"can't write {os.fspath(path)}", hint="the file name must end with .html")


def report(
    model: Model,
    X: Any,
    path: str | os.PathLike[str] | None = None,
    *,
    sample_weight: Any = None,
    labels: Any = None,
    title: str = "",
    with_path: bool = False,
    with_selection: bool = False,
) -> Report:
    """Return a report: one HTML file that shows a clustering, with a map and a slider for the temperature.

    The file holds all that it shows and loads nothing, so it works offline and can be sent to others. It contains the
    values of the rows that it shows: all, or a sample of up to 20,000, stratified by cluster. Figures are computed from
    all rows.

    Parameters
    ----------
    model : SoftKMeans, FuzzyCMeans or Pipeline
        A fitted model.
    X : array-like, sparse matrix, frame, Tensor (n, d), Dask array or frame, or Source
        The rows. Rows that are not in memory are read block by block, three or four times.
    path : str or path-like, optional
        The file to write, with the extension ``.html``.
    sample_weight : array-like (n,), optional
        Weights of the rows.
    labels : array-like (n,), optional
        Known classes of the rows, which the page shows with each row, under their name if they are a column of a frame.
    title : str
        Title of the page.
    with_path : bool
        Whether to show how clusters split as the temperature falls (`annealing_path`).
    with_selection : bool
        Whether to show the criteria for 1 to 10 clusters (`select_n_clusters`), computed from up to 5,000 rows.

    Returns
    -------
    Report
        The report, with its ``html`` and ``save(path)``.

    Raises
    ------
    InputError
        If the rows are not those of the model, the assignment rule is not one of the library, or the file can't be
        written.

    Examples
    --------
    >>> from softkmeans import SoftKMeans, report
    >>> X = [[0.0, 1.0], [0.2, 0.0], [5.0, 1.0], [5.1, 0.0], [5.2, 1.0]]
    >>> page = report(SoftKMeans(2, temperature=0.1, random_state=0).fit(X), X, title="Five rows")
    >>> page.content["overview"]["rows"]
    [3, 2, 0]
    """
    if path is not None:
        check_name(path)
    name = getattr(labels, "name", None)  # of a column of a frame
    extras = Extras(
        title=title,
        labels=labels,
        label_name="label" if name is None else str(name),
        with_path=with_path,
        with_selection=with_selection,
    )
    made = Report(collect(model, X, sample_weight, extras))
    if path is not None:
        made.save(path)
    return made
