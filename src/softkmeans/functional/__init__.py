"""The differentiable functions of soft k-means, on which `SoftKMeansLayer` is built, and fits of batches of problems.

``distance`` may also be a callable that maps rows (..., n, d) and centers (k, d) to distances (..., n, k); in a batch
of problems, centers are (..., k, d). Gradients flow through it, also to parameters of its own. It receives rows and
centers unchanged, neither centered nor scaled, so its numerical accuracy is up to the caller. With a registered
distance, all functions compute in float64 (float32 in the compiled kernels), whatever the type of the rows. The losses
need no memory for n times k numbers, except for that of a piece of a batch.
"""

from __future__ import annotations

__all__ = ["BatchFit", "DistanceFunction", "assign", "distortion", "free_energy", "nll", "soft_kmeans"]

from .callables import DistanceFunction
from .fits import BatchFit, soft_kmeans
from .losses import assign, distortion, free_energy, nll
