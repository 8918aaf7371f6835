"""Colors of clusters, mixed by memberships, and positions of cluster numbers that do not overlap."""

__all__ = ["BACKGROUND", "PALETTE", "assign_colors", "blend", "separate_discs", "smallest_last", "to_lab", "to_rgb"]

from itertools import pairwise

import numpy as np
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
# OKLab; uncertain samples fade to this gray, which is darker than white so that they stay visible
BACKGROUND = np.array([0.94, 0.0, 0.0])


def to_lab(rgb: Array) -> Array:
    """Convert sRGB colors (..., 3) from 0 to 1 to OKLab."""
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    return np.asarray(np.cbrt(linear @ RGB_TO_CONES.T) @ CONES_TO_LAB.T)


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


def assign_colors(centers: Array, n_colors: int = len(PALETTE)) -> NDArray[np.int64]:
    """Return the number of a color for each center (k, 2), such that neighbors in the plot have different colors.

    Six colors suffice for any k; up to ``n_colors`` centers get one each.
    """
    k = len(centers)
    if k <= n_colors:
        return np.arange(k)
    scaled = (centers - centers.mean(axis=0)) / np.maximum(np.ptp(centers, axis=0), 1e-300)
    # noise, as centers that coincide or lie on a line can't be triangulated
    starts, ends = Delaunay(scaled + 1e-6 * np.random.default_rng(0).normal(size=(k, 2))).vertex_neighbor_vertices
    neighbors = [set(ends[start:stop].tolist()) for start, stop in pairwise(starts)]
    gaps, chosen = cdist(scaled, scaled), np.full(k, -1)
    for i in smallest_last(neighbors):
        free = sorted(set(range(n_colors)) - set(chosen[list(neighbors[i])].tolist()))
        nearest_same_color = [gaps[i, chosen == color].min(initial=np.inf) for color in free]
        chosen[i] = free[int(np.argmax(nearest_same_color))]
    return chosen


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
    angle = np.arange(len(pixels)) * 2.4  # multiples of the golden angle move coinciding discs in different directions
    positions = pixels + 1e-3 * np.column_stack([np.cos(angle), np.sin(angle)])
    for step in range(300):
        one, other = cKDTree(positions).query_pairs(width, output_type="ndarray").T
        if not len(one):
            return positions if step else pixels
        difference = positions[one] - positions[other]
        length = np.linalg.norm(difference, axis=1, keepdims=True)
        shift = difference / length * (1.02 * width - length) / 2
        np.add.at(positions, one, shift)
        np.add.at(positions, other, -shift)
    return positions
