"""How an estimator shows itself in a notebook: key figures, a map of its centers, and its parameters."""

from __future__ import annotations

__all__ = ["NotebookMixin"]

import html
import importlib
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils._repr_html.estimator import estimator_html_repr

from ..data.block import as_tensor

Array = NDArray[np.float64]

SIZE = 220  # pixels of the map's sides
COLORS = ("#0072B2", "#E08E00", "#009E73", "#D55E00", "#4AA8E0", "#C0639A", "#777777", "#8A7A00")


class NotebookMixin:
    """The HTML representation of an estimator, and its plot."""

    _provenance: Any  # how the model was made

    def plot(self, X: Any, **kwargs: Any) -> Any:
        """Draw rows, colored by their memberships, and the centers.

        Parameters
        ----------
        X : array-like, frame or Tensor (n, d)
            Rows.
        **kwargs
            Passed to `ClusterDisplay.from_estimator`.

        Returns
        -------
        ClusterDisplay
            The display, with its ``figure_`` and ``ax_``.

        Examples
        --------
        >>> import matplotlib.pyplot as plt
        >>> from softkmeans import SoftKMeans
        >>> X = [[0.0], [0.2], [5.0], [5.1], [5.2]]
        >>> display = SoftKMeans(2, random_state=0).fit(X).plot(X)
        >>> len(display.numbers_)
        2
        >>> plt.close(display.figure_)
        """
        # Plots are optional, and lie above the estimators; they are loaded when asked for.
        return importlib.import_module("softkmeans.plots").ClusterDisplay.from_estimator(self, X, **kwargs)

    def _html_repr(self) -> str:
        """Return scikit-learn's representation, after key figures and a map of the centers if the model is fitted."""
        shown: str = estimator_html_repr(self)
        if not hasattr(self, "cluster_centers_"):
            return shown
        rows = "".join(
            f"<tr><td>{html.escape(n)}</td><td>{html.escape(v)}</td></tr>" for n, v in _figures(self).items()
        )
        table = f"<table style='font-size:13px'>{rows}</table>"
        box = "display:flex;gap:24px;align-items:center;flex-wrap:wrap"
        return f"<div><div style='{box}'>{_map(self)}{table}</div>{shown}</div>"


def _figures(estimator: Any) -> dict[str, str]:
    """Return key figures of a fitted estimator as names and texts."""
    fitted = vars(estimator)
    k, d = fitted["cluster_centers_"].shape
    found = {"clusters": f"{k} of {d} features"}
    t = fitted.get("temperature_")
    if t is not None:
        found["temperature"] = f"{t:.4g}" if np.ndim(t) == 0 else f"{np.min(t):.4g} to {np.max(t):.4g}, one per cluster"
    if "cluster_weights_" in fitted:
        weights = fitted["cluster_weights_"]
        sizes = ", ".join(f"{size:.4g}" for size in weights[:12]) + (", …" if k > 12 else "")
        weight = float(weights.sum() + fitted.get("noise_weight_", 0.0))
        found["sizes"] = sizes
        if "entropy_" in fitted and weight > 0:
            found["a row is spread over"] = f"{math.exp(fitted['entropy_'] / weight):.2f} clusters"
        found["passes"] = f"{fitted['n_iter_']}, {'converged' if fitted['converged_'] else 'not converged'}"
    return found


def _map(estimator: Any) -> str:
    """Return a picture of the centers on their principal plane, as discs with areas in proportion to their sizes."""
    centers = as_tensor(estimator.cluster_centers_).cpu().double().numpy()
    weights = np.asarray(vars(estimator).get("cluster_weights_", np.ones(len(centers))), dtype=float)
    points = _plane(centers)
    span = float(np.ptp(points, axis=0).max()) or 1.0
    pixels = SIZE / 2 + (points - (points.max(0) + points.min(0)) / 2) * ((SIZE - 60) / span)
    share = weights / weights.max() if weights.max() > 0 else np.ones_like(weights)
    radii = np.clip(26 * np.sqrt(share / math.sqrt(len(centers))), 3, 26)
    discs = []
    for k in np.argsort(-radii, kind="stable"):
        x, y, r = pixels[k, 0], SIZE - pixels[k, 1], radii[k]
        discs.append(f"<circle cx='{x:.1f}' cy='{y:.1f}' r='{r:.1f}' fill='{COLORS[k % len(COLORS)]}' opacity='.8'/>")
        if r >= 8:
            style = "font:600 12px sans-serif;fill:#fff;text-anchor:middle"
            discs.append(f"<text x='{x:.1f}' y='{y + 4:.1f}' style='{style}'>{k}</text>")
    label = "Map of the centers: the discs have areas in proportion to the sizes of the clusters"
    size = f"width='{SIZE}' height='{SIZE}'"
    return f"<svg {size} role='img' aria-label='{label}'><title>{label}</title>{''.join(discs)}</svg>"


def _plane(centers: Array) -> Array:
    """Return the centers (k, 2) on the plane of their largest variance; of two features or one as they are."""
    if centers.shape[1] == 1:
        return np.hstack([centers, np.zeros_like(centers)])
    if centers.shape[1] == 2:
        return centers
    centered = centers - centers.mean(0)
    directions = np.linalg.svd(centered, full_matrices=False)[2][:2]
    plane: Array = np.zeros((len(centers), 2))
    plane[:, : len(directions)] = centered @ directions.T
    return plane
