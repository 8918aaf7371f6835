"""Colors that say which cluster and how surely, and room for the numbers of clusters: geometry that plots draw on."""

__all__ = ["PALETTE", "blend", "color_map", "smallest_last", "spread", "to_lab", "to_rgb"]

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import Delaunay, cKDTree
from scipy.spatial.distance import cdist

Array = NDArray[np.float64]

# Okabe & Ito (2008), which color-blind readers can tell apart; without their yellow, which vanishes on white, with
# black lightened, and ordered so that green and purple, nearest under deuteranopia, meet only from six clusters on.
PALETTE = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#56B4E9", "#CC79A7", "#404040")
# OKLab (Ottosson 2020), where mixtures look like mixtures: linear RGB -> cones -> cube root -> (lightness, a, b)
CONES = np.array([[0.412221, 0.536333, 0.051446], [0.211903, 0.680700, 0.107397], [0.088302, 0.281719, 0.629979]])
LAB = np.array([[0.210454, 0.793618, -0.004072], [1.977999, -2.428592, 0.450594], [0.025904, 0.782772, -0.808676]])
PAPER = np.array([0.94, 0.0, 0.0])  # OKLab; uncertain points fade to it. A little darker than white, so that they show


def to_lab(rgb: Array) -> Array:
    """Take sRGB colors (..., 3) from 0 to 1 to OKLab."""
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    return np.asarray(np.cbrt(linear @ CONES.T) @ LAB.T)


def to_rgb(lab: Array) -> Array:
    """Take OKLab colors (..., 3) to sRGB, clipped to what a screen shows."""
    linear = np.clip((lab @ np.linalg.inv(LAB.T)) ** 3 @ np.linalg.inv(CONES.T), 0, 1)
    return np.clip(np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055), 0, 1)


def blend(resp: Array, lab: Array) -> Array:
    """Mix the colors `lab` (k, 3) by `resp` (..., k), and fade as the margin shrinks: RGB of shape (..., 3)."""
    first = resp.max(axis=-1, keepdims=True)
    second = np.partition(resp, -2, axis=-1)[..., -2:-1] if resp.shape[-1] > 1 else 0.0
    mixture = resp @ lab + (1 - resp.sum(axis=-1, keepdims=True)) * PAPER
    return to_rgb(PAPER + (0.45 + 0.55 * (first - second)) * (mixture - PAPER))


def color_map(centers: Array, n_colors: int = len(PALETTE)) -> NDArray[np.int64]:
    """Give each centroid (k, 2) the number (k,) of a color that none of its neighbors on the picture has.

    Six colors are enough for any k; up to ``n_colors`` centroids get one each.
    """
    k = len(centers)
    if k <= n_colors:
        return np.arange(k)
    scaled = (centers - centers.mean(axis=0)) / np.maximum(np.ptp(centers, axis=0), 1e-300)
    # the shake keeps the triangulation whole where centroids coincide or lie on a line
    starts, ends = Delaunay(scaled + 1e-6 * np.random.default_rng(0).normal(size=(k, 2))).vertex_neighbor_vertices
    neighbors = [set(ends[start:stop].tolist()) for start, stop in pairwise(starts)]
    gaps, chosen = cdist(scaled, scaled), np.full(k, -1)
    for i in smallest_last(neighbors):
        free = sorted(set(range(n_colors)) - set(chosen[list(neighbors[i])].tolist()))
        far = [gaps[i, chosen == color].min(initial=np.inf) for color in free]
        chosen[i] = free[int(np.argmax(far))]
    return chosen


def smallest_last(neighbors: list[set[int]]) -> list[int]:
    """Order a planar graph so that no vertex has more than five neighbors before it (Matula & Beck 1983)."""
    left, order = dict(enumerate(neighbors)), []
    while left:
        order.append(min(left, key=lambda i: len(left[i] & left.keys())))
        del left[order[-1]]
    return order[::-1]


def spread(pixels: Array, width: float) -> Array:
    """Push apart discs of diameter `width` that overlap."""
    angle = np.arange(len(pixels)) * 2.4  # the golden angle, so that coinciding discs part in different directions
    places = pixels + 1e-3 * np.column_stack([np.cos(angle), np.sin(angle)])
    for step in range(300):
        one, other = cKDTree(places).query_pairs(width, output_type="ndarray").T
        if not len(one):
            return places if step else pixels
        apart = places[one] - places[other]
        length = np.linalg.norm(apart, axis=1, keepdims=True)
        push = apart / length * (1.02 * width - length) / 2
        np.add.at(places, one, push)
        np.add.at(places, other, -push)
    return places
