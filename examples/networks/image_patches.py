"""A codebook of image patches, beside k-means with the same number of codes.

Patches of 4 x 4 pixels of scikit-learn's two photographs are replaced by their nearest code. The codebook reads batches
of 2,048 patches; k-means reads all patches in every iteration. With 256 codes, a patch of 48 bytes becomes one byte.
"""

from typing import NamedTuple

import numpy as np
import torch
from sklearn.cluster import KMeans
from sklearn.datasets import load_sample_image
from torch import Tensor

from softkmeans import SoftCodebook

PHOTOGRAPHS = ("china.jpg", "flower.jpg")
SIDE = 4
BATCH = 2048


class Errors(NamedTuple):
    """Mean squared errors of the reconstruction, and the number of codes that the codebook uses."""

    codebook: float
    kmeans: float
    used: int


def read_patches() -> Tensor:
    """Return all patches (n, 48) of the photographs, which do not overlap; colors are from 0 to 1."""
    parts = []
    for name in PHOTOGRAPHS:
        image = torch.tensor(load_sample_image(name) / 255, dtype=torch.float32)
        rows, columns = image.shape[0] // SIDE, image.shape[1] // SIDE
        cut = image[: rows * SIDE, : columns * SIDE].reshape(rows, SIDE, columns, SIDE, 3)
        parts.append(cut.movedim(2, 1).reshape(-1, SIDE * SIDE * 3))
    return torch.cat(parts)


def compress(patches: Tensor, n_codes: int, seed: int, n_epochs: int = 5) -> Errors:
    """Train a codebook and k-means, and reconstruct the patches."""
    codebook = SoftCodebook(patches.shape[1], n_codes, random_state=seed)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for _ in range(n_epochs):
            for rows in torch.randperm(len(patches), generator=generator).split(BATCH):
                codebook(patches[rows])
        quantized, indices, _ = codebook.eval()(patches)
    kmeans = KMeans(n_codes, n_init=1, random_state=seed).fit(patches)
    error = float((quantized - patches).square().mean())
    return Errors(error, kmeans.inertia_ / patches.numel(), len(indices.unique()))


def main() -> None:
    """Print the errors of 5 seeds and their means."""
    patches = read_patches()
    print(f"mean squared error of {len(patches):,} patches: codebook, k-means, ratio, codes used")
    for n_codes in (64, 256):
        found = [compress(patches, n_codes, seed) for seed in range(5)]
        for seed, (ours, kmeans, used) in enumerate(found):
            print(f"{n_codes} codes, seed {seed}:  {ours:.6f}  {kmeans:.6f}  {ours / kmeans:.3f}  {used}")
        ours, kmeans, _ = np.mean(found, axis=0)
        print(f"{n_codes} codes, mean:    {ours:.6f}  {kmeans:.6f}  {ours / kmeans:.3f}")


if __name__ == "__main__":
    main()
