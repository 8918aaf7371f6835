"""An animation of a recorded fit or training."""

from __future__ import annotations

__all__ = ["animate_training"]

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.animation import PillowWriter
from matplotlib.collections import LineCollection
from matplotlib.ticker import Formatter
from numpy.typing import NDArray

from .._utils.atomic import atomic_write, check_writable
from .._utils.checks import check_count, check_positive
from ..callbacks import Recorder
from ..distances import Distance
from ..errors import InputError
from ..functional import DistanceFunction, assign
from ._axes import Array, as_matrix, cluster_colors
from ._colors import assign_colors, blend
from ._projection import draw_centers, draw_plane, draw_points, drawing_order, name_plane, names_of, project

FINAL_PAUSE = 1.5  # seconds on the last frame
DPI = 100


def animate_training(
    recorder: Recorder,
    X: Any,
    path: str | os.PathLike[str],
    *,
    distance: str | Distance | DistanceFunction = "sqeuclidean",
    feature_names: Iterable[str] | None = None,
    colors: Any = None,
    fps: float = 10.0,
    max_frames: int = 100,
) -> None:
    """Write an animated GIF of a recorded fit: samples colored by their memberships, and the paths of the centers.

    Memberships are computed from the recorded centers and temperature, with equal priors. The file appears only once
    it is complete.

    Parameters
    ----------
    recorder : Recorder
        A recorder that was among the callbacks of a fit or a training.
    X : array, tensor or table of shape (n, d)
        The data. Two features are plotted directly, a single one with random y positions, more after a PCA.
    path : str or path-like
        The file to write; its name must end with ``.gif``.
    distance : str, Distance or callable, default="sqeuclidean"
        Distance between rows and centers in the fit.
    feature_names : d strings or None
        Names for the axis labels; by default the column names of a table.
    colors : k colors or None
        Colors of the clusters; by default readable for color-blind people.
    fps : float, default=10.0
        Frames per second.
    max_frames : int, default=100
        Maximum number of frames. If there are more passes, frames are chosen so that the movement of the centers plus
        the number of passes is about equal between consecutive frames.

    Raises
    ------
    InputError
        If nothing was recorded, the fit has no temperature, or an argument is invalid.

    Examples
    --------
    >>> import tempfile
    >>> from softkmeans import SoftKMeans, make_blobs
    >>> from softkmeans.callbacks import Recorder
    >>> X, recorder = make_blobs(60, random_state=0)[0], Recorder()
    >>> model = SoftKMeans(3, init="random", max_iter=5, tol=0.1, callbacks=[recorder], random_state=0).fit(X)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     animate_training(recorder, X, Path(folder) / "training.gif", max_frames=3)
    """
    check_positive("fps", fps)
    check_count("max_frames", max_frames)
    _check_file(path)
    _check_recorded(recorder)
    animated = _TrainingFigure(recorder, X, distance, feature_names, colors)
    try:
        animated.freeze_layout()
        with atomic_write(path) as temporary:
            writer = PillowWriter(fps=fps)  # type: ignore[arg-type]
            with writer.saving(animated.figure, temporary, DPI):
                for number in choose_frames(recorder.centers, max_frames):
                    animated.show(number)
                    writer.grab_frame()
                for _ in range(round(FINAL_PAUSE * fps)):
                    writer.grab_frame()
    finally:
        plt.close(animated.figure)


def choose_frames(centers: Array, max_frames: int) -> NDArray[np.int64]:
    """Return the indices of passes to show, given centers (passes, k, d).

    They include the first and the last pass. Between them, the movement of the centers and the number of passes count
    equally.
    """
    n = len(centers)
    if n <= max_frames:
        return np.arange(n)
    moves = np.linalg.norm(np.diff(centers, axis=0), axis=(1, 2))
    movement = np.append(0.0, np.cumsum(moves)) / max(float(moves.sum()), 1e-300)
    progress = movement + np.linspace(0, 1, n)
    return np.unique(np.searchsorted(progress, np.linspace(0, progress[-1], max_frames)))


class _TrainingFigure:
    """A figure that can show any pass of a training."""

    def __init__(self, recorder: Recorder, X: Any, distance: Any, names: Iterable[str] | None, colors: Any) -> None:
        self.steps, self.centers, self.distance = recorder.steps, recorder.centers, distance
        passes, k, d = self.centers.shape
        names = names_of(X, names)
        rows = as_matrix(X, "X", f"(n, {d})")
        if rows.shape[1] != d:
            problem = f"has {rows.shape[1]} features and the centers {d}"
            raise InputError(problem, parameter="X", hint="give the data of the fit")
        self.rows = torch.from_numpy(rows.copy())
        points, positions, xlabel, ylabel = project(rows, self.centers.reshape(-1, d), names)
        self.positions = positions.reshape(passes, k, 2)
        self.lab = cluster_colors(colors, assign_colors(self.positions[-1]))
        self.ax, self.figure = draw_plane(None, np.vstack([points, positions]), ylabel)
        name_plane(self.ax, xlabel, ylabel)
        self.points = draw_points(self.ax, points, np.full((len(points), 3), 0.9), {})
        self.ax.update_datalim(positions)
        self.ax.autoscale_view(scaley=ylabel is not None)
        self.ax.set_autoscale_on(False)
        self.trails = LineCollection([], colors="0.15", linewidths=1.0, zorder=2)
        self.ax.add_collection(self.trails, autolim=False)
        self.center_artists: list[Any] = []

    def freeze_layout(self) -> None:
        """Compute the layout once, so that only the centers move."""
        self.show(0)
        self.figure.canvas.draw()
        self.figure.set_layout_engine("none")

    def show(self, number: int) -> None:
        """Show the pass with this index."""
        for artist in self.center_artists:
            artist.remove()
        step, positions = self.steps[number], self.positions
        resp = assign(self.rows, torch.from_numpy(self.centers[number]), step.temperature, self.distance)
        self.points.set_facecolors(blend(resp.numpy(), self.lab)[drawing_order(len(self.rows))])
        self.trails.set_segments(list(positions[: number + 1].swapaxes(0, 1)))
        centers = draw_centers(self.ax, positions[number], {}, {})
        self.center_artists = [centers.dots, centers.discs, centers.leaders, *centers.numbers]
        title = f"pass {step.n_iter} of {self.steps[-1].n_iter}   loss {step.mean:.4g}   T {step.temperature:.3g}"
        self.ax.set_title(Formatter.fix_minus(title), fontsize="medium", loc="left")


def _check_file(path: str | os.PathLike[str]) -> None:
    if Path(path).suffix.lower() != ".gif":
        hint = "give a name that ends with .gif"
        raise InputError("is not a GIF", parameter="path", value=os.fspath(path), hint=hint)
    check_writable(path)


def _check_recorded(recorder: Recorder) -> None:
    if not len(recorder.centers):
        hint = "give it to a fit: SoftKMeans(..., callbacks=[recorder])"
        raise InputError("has no recorded passes", parameter="recorder", hint=hint)
    if not np.isfinite(recorder.temperatures).all():
        hint = "give one from SoftKMeans or SoftKMeansLayer"
        raise InputError("is from a fit without a temperature", parameter="recorder", hint=hint)
