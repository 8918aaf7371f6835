"""A training, replayed."""

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
from ._axes import Array, lab_of, matrix
from ._colors import blend
from ._projection import draw_centers, draw_plane, draw_points, names_of, project, shuffled

PAUSE = 1.5  # seconds on the last frame
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
    """Write a recorded training as an animated GIF: points in the colors of their memberships, and centroids' ways.

    Memberships are those of the recorded centers and temperature, with equal priors. The file appears when it is whole.

    Parameters
    ----------
    recorder : Recorder
        That was among the callbacks of a fit or a training.
    X : array, tensor or table of shape (n, d)
        The data. Two features are drawn as they are, one is spread along y, more are projected by PCA.
    path : str or path-like
        Where to; it ends with ``.gif``.
    distance : {"sqeuclidean", "euclidean", "cosine"}, Distance or callable, default="sqeuclidean"
        What was between rows and centers.
    feature_names : d strings or None
        For the axis labels; by default the columns of a table.
    colors : k colors or None
        By default safe for color-blind readers.
    fps : float, default=10.0
        Frames a second.
    max_frames : int, default=100
        Of more passes than this, those are shown between which centers move and time goes by about evenly.

    Raises
    ------
    InputError
        If nothing was recorded, or nothing that memberships follow from, or an argument can't be used.

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
    film = _Film(recorder, X, distance, feature_names, colors)
    try:
        film.settle()
        with atomic_write(path) as temporary:
            writer = PillowWriter(fps=fps)  # type: ignore[arg-type]
            with writer.saving(film.figure, temporary, DPI):
                for number in chosen_frames(recorder.centers, max_frames):
                    film.show(number)
                    writer.grab_frame()
                for _ in range(round(PAUSE * fps)):
                    writer.grab_frame()
    finally:
        plt.close(film.figure)


def chosen_frames(centers: Array, at_most: int) -> NDArray[np.int64]:
    """Choose passes from centers (passes, k, d), the first and the last among them, about evenly by way and by time."""
    n = len(centers)
    if n <= at_most:
        return np.arange(n)
    moves = np.linalg.norm(np.diff(centers, axis=0), axis=(1, 2))
    way = np.append(0.0, np.cumsum(moves)) / max(float(moves.sum()), 1e-300)
    progress = way + np.linspace(0, 1, n)
    return np.unique(np.searchsorted(progress, np.linspace(0, progress[-1], at_most)))


class _Film:
    """A picture that can be set to any pass of a training."""

    def __init__(self, recorder: Recorder, X: Any, distance: Any, names: Iterable[str] | None, colors: Any) -> None:
        self.steps, self.centers, self.distance = recorder.steps, recorder.centers, distance
        passes, k, d = self.centers.shape
        names = names_of(X, names)
        rows = matrix(X, "X", f"(n, {d})")
        if rows.shape[1] != d:
            raise InputError(f"X has {rows.shape[1]} features and the centers {d}; give what was trained on")
        self.rows = torch.from_numpy(rows.copy())
        points, places, xlabel, ylabel = project(rows, self.centers.reshape(-1, d), names)
        self.places = places.reshape(passes, k, 2)
        self.lab = lab_of(colors, self.places[-1])
        self.ax, self.figure = draw_plane(None, np.vstack([points, places]), xlabel, ylabel)
        self.points = draw_points(self.ax, points, np.full((len(points), 3), 0.9), {})
        self.ax.update_datalim(places)
        self.ax.autoscale_view(scaley=ylabel is not None)
        self.ax.set_autoscale_on(False)
        self.trails = LineCollection([], colors="0.15", linewidths=1.0, zorder=2)
        self.ax.add_collection(self.trails, autolim=False)
        self.drawn: list[Any] = []

    def settle(self) -> None:
        """Lay the picture out once and for all: nothing is to move but the centroids."""
        self.show(0)
        self.figure.canvas.draw()
        self.figure.set_layout_engine("none")

    def show(self, number: int) -> None:
        """Show the pass with this index."""
        for artist in self.drawn:
            artist.remove()
        step, places = self.steps[number], self.places
        resp = assign(self.rows, torch.from_numpy(self.centers[number]), step.temperature, self.distance)
        self.points.set_facecolors(blend(resp.numpy(), self.lab)[shuffled(len(self.rows))])
        self.trails.set_segments(list(places[: number + 1].swapaxes(0, 1)))
        found = draw_centers(self.ax, places[number], {}, {})
        self.drawn = [found.dots, found.discs, found.leaders, *found.numbers]
        words = f"pass {step.n_iter} of {self.steps[-1].n_iter}   loss {step.mean:.4g}   T {step.temperature:.3g}"
        self.ax.set_title(Formatter.fix_minus(words), fontsize="medium", loc="left")


def _check_file(path: str | os.PathLike[str]) -> None:
    if Path(path).suffix.lower() != ".gif":
        raise InputError(f"path={os.fspath(path)!r} came, expected a GIF; let it end with .gif")
    check_writable(path)


def _check_recorded(recorder: Recorder) -> None:
    if not len(recorder.centers):
        raise InputError("the recorder has heard of no pass; give it to a fit: SoftKMeans(..., callbacks=[recorder])")
    if not np.isfinite(recorder.temperatures).all():
        raise InputError("a training without a temperature came, expected one of SoftKMeans or SoftKMeansLayer")
