"""Colors of clusters, mixed by memberships, and positions of cluster numbers that do not overlap."""

__all__ = [
    "BACKGROUND",
    "PALETTE",
    "assign_colors",
    "blend",
    "color_graph",
    "contrasts",
    "separate_discs",
    "smallest_last",
    "to_lab",
    "to_rgb",
]

from itertools import pairwise

import numpy as np
from matplotlib.colors import to_rgba_array
from numpy.typing import NDArray
from scipy.spatial import Delaunay, cKDTree
from scipy.spatial.distance import cdist

Array = NDArray[np.float64]

# The palette of Okabe & Ito (2008), which color-blind readers can tell apart, without yellow, which is invisible on
# white, and with black lightened. Green and purple look most alike under deuteranopia, so both occur only from six
# clusters on.
PALETTE = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#56B4E9", "#CC79A7", "#404040")
# Colors are mixed in OKLab (Ottosson 2020), as it is perceptually uniform:
# linear RGB -> cone responses -> cube root -> (lightness, a, b)
RGB_TO_CONES = np.array(
    [[0.412221, 0.536333, 0.051446], [0.211903, 0.680700, 0.107397], [0.088302, 0.281719, 0.629979]]
)
CONES_TO_LAB = np.array(
    [[0.210454, 0.793618, -0.004072], [1.977999, -2.428592, 0.450594], [0.025904, 0.782772, -0.808676]]
)
# Normal vision, protanopia and deuteranopia, on linear RGB (Machado, Oliveira & Fernandes 2009, severity 1)
VISIONS = np.array(
    [
        np.eye(3),
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    ]
)
MAX_SHIFTS = 1000  # of discs that overlap
MAX_SWEEPS = 20  # over the vertices of a graph that is colored
CLEAR = 0.15  # distance in OKLab from which colors differ clearly; more is no better
# OKLab; uncertain samples fade to this gray, which is darker than white so that they stay visible
BACKGROUND = np.array([0.94, 0.0, 0.0])


def _to_linear(rgb: Array) -> Array:
    """Convert sRGB colors (..., 3) from 0 to 1 to linear RGB."""
    return np.asarray(np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4))


def to_lab(rgb: Array) -> Array:
    """Convert sRGB colors (..., 3) from 0 to 1 to OKLab."""
    return np.asarray(np.cbrt(_to_linear(rgb) @ RGB_TO_CONES.T) @ CONES_TO_LAB.T)


def contrasts(rgb: Array) -> Array:
    """Return the OKLab distances (c, c) of sRGB colors (c, 3), as seen with the vision that tells them apart least."""
    seen = np.clip(_to_linear(rgb) @ VISIONS.swapaxes(1, 2), 0, 1)
    lab = np.cbrt(seen @ RGB_TO_CONES.T) @ CONES_TO_LAB.T
    return np.asarray(np.linalg.norm(lab[:, :, None] - lab[:, None], axis=-1).min(axis=0))


def to_rgb(lab: Array) -> Array:
    """Convert OKLab colors (..., 3) to sRGB, clipped to the range from 0 to 1."""
    linear = np.clip((lab @ np.linalg.inv(CONES_TO_LAB.T)) ** 3 @ np.linalg.inv(RGB_TO_CONES.T), 0, 1)
    return np.clip(np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055), 0, 1)


def blend(resp: Array, lab: Array) -> Array:
    """Mix the colors `lab` (k, 3) by memberships `resp` (..., k); return RGB colors (..., 3).

    Colors fade as the margin between the two largest memberships shrinks.
    """
    first = resp.max(axis=-1, keepdims=True)
    second = np.partition(resp, -2, axis=-1)[..., -2:-1] if resp.shape[-1] > 1 else 0.0
    mixture = resp @ lab + (1 - resp.sum(axis=-1, keepdims=True)) * BACKGROUND
    return to_rgb(BACKGROUND + (0.45 + 0.55 * (first - second)) * (mixture - BACKGROUND))


def assign_colors(centers: Array) -> NDArray[np.int64]:
    """Return the number of a color of the palette for each center (k, 2).

    Neighbors in the plot have different colors, which differ clearly if possible; see `color_graph`.
    """
    k = len(centers)
    if k <= len(PALETTE):
        return np.arange(k)
    scaled = (centers - centers.mean(axis=0)) / np.maximum(np.ptp(centers, axis=0), 1e-300)
    # noise, as centers that coincide or lie on a line can't be triangulated
    starts, ends = Delaunay(scaled + 1e-6 * np.random.default_rng(0).normal(size=(k, 2))).vertex_neighbor_vertices
    return color_graph([set(ends[start:stop].tolist()) for start, stop in pairwise(starts)], cdist(scaled, scaled))


def color_graph(neighbors: list[set[int]], gaps: Array) -> NDArray[np.int64]:
    """Return the number of a color of the palette for each of k vertices, so that neighbors differ clearly.

    Up to as many vertices as colors get one each, in order. Others are colored one by one, in an order in which the
    vertices of a planar graph always find a color that no neighbor has (six suffice). Then vertices change their color
    while that lowers the sum of penalties of all pairs of neighbors. Of equally good colors, a vertex takes the one
    whose nearest vertex, by the distances ``gaps`` (k, k), is farthest.
    """
    k = len(neighbors)
    if k <= len(PALETTE):
        return np.arange(k)
    penalty = (CLEAR / np.clip(contrasts(to_rgba_array(PALETTE)[:, :3]), 1e-3, CLEAR)) ** 4
    colors, order = np.full(k, -1), smallest_last(neighbors)
    for _ in range(MAX_SWEEPS):
        before = colors.copy()
        for i in order:
            near = colors[list(neighbors[i])]
            penalties = penalty[:, near[near >= 0]].sum(axis=1)
            good = np.flatnonzero(penalties <= penalties.min() * (1 + 1e-9))
            if colors[i] not in good:
                nearest = [gaps[i, colors == color].min(initial=np.inf) for color in good]
                colors[i] = good[np.argmax(nearest)]
        if (colors == before).all():
            break
    return colors


def smallest_last(neighbors: list[set[int]]) -> list[int]:
    """Return the vertices of a planar graph in an order in which each has at most five neighbors before it.

    This is the smallest-last order of Matula & Beck (1983).
    """
    remaining, order = dict(enumerate(neighbors)), []
    while remaining:
        order.append(min(remaining, key=lambda i: len(remaining[i] & remaining.keys())))
        del remaining[order[-1]]
    return order[::-1]


def separate_discs(pixels: Array, width: float) -> Array:
    """Return positions of discs of diameter `width`, moved apart where they would overlap."""
    if not len(cKDTree(pixels).query_pairs(width)):
        return pixels
    # multiples of the golden angle move coinciding discs in different directions, and those on a line off it
    angle = np.arange(len(pixels)) * 2.4
    positions = pixels + 0.05 * width * np.column_stack([np.cos(angle), np.sin(angle)])
    for _ in range(MAX_SHIFTS):
        one, other = cKDTree(positions).query_pairs(width, output_type="ndarray").T
        if not len(one):
            break
        difference = positions[one] - positions[other]
        length = np.linalg.norm(difference, axis=1, keepdims=True)
        shift = difference / length * (1.02 * width - length) / 2
        np.add.at(positions, one, shift)
        np.add.at(positions, other, -shift)
    return positions
