"""Deep embedded clustering of scikit-learn's digits, beside k-means on the pixels.

An encoder maps each image to 10 numbers, from which a decoder predicts one of the 5 most similar images. Labels are not
used. Then the encoder and the centroids of a `SoftKMeansLayer` are trained together: the memberships of an image become
like the target distribution of a similar image. The target is the squared memberships divided by cluster sizes (Xie,
Girshick & Farhadi, "Unsupervised deep embedding for clustering analysis", ICML 2016). It is computed from the
memberships of all rows, not from those of a mini-batch, whose cluster sizes are left to chance.
"""

from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import torch
from sklearn.cluster import KMeans
from sklearn.datasets import load_digits
from sklearn.metrics import adjusted_rand_score
from sklearn.neighbors import NearestNeighbors
from torch import Tensor, nn
from torch.nn.functional import kl_div, mse_loss

from softkmeans import SoftKMeans

N_NEIGHBORS = 5  # with the image itself
BATCH = 256


class Scores(NamedTuple):
    """Adjusted Rand indices of three clusterings."""

    pixels: float
    embedding: float
    deep: float


def network(*widths: int) -> nn.Sequential:
    """Return linear layers with ReLU between them."""
    layers: list[nn.Module] = []
    for before, after in pairwise(widths):
        layers += [nn.Linear(before, after), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def batches(n_rows: int, n_epochs: int) -> Iterator[Tensor]:
    """Yield the indices of random batches."""
    for _ in range(n_epochs):
        yield from torch.randperm(n_rows).split(BATCH)


def target_of(resp: Tensor) -> Tensor:
    """Return the target distribution (n, k): memberships made sharper, and clusters of more equal size."""
    sharper = resp.square() / resp.sum(0)
    return sharper / sharper.sum(1, keepdim=True)


def cluster(seed: int, n_pretrain: int = 50, n_epochs: int = 60) -> Scores:
    """Train an embedding, then the embedding and its clustering together."""
    digits = load_digits()
    x, labels = torch.tensor(digits.data / 16, dtype=torch.float32), digits.target
    neighbors = torch.tensor(NearestNeighbors(n_neighbors=N_NEIGHBORS).fit(x).kneighbors(x, return_distance=False))
    torch.manual_seed(seed)
    encoder, decoder = network(64, 256, 256, 10), network(10, 256, 256, 64)
    optimizer = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()])

    def similar(rows: Tensor) -> Tensor:
        return neighbors[rows, torch.randint(N_NEIGHBORS, (len(rows),))]

    for rows in batches(len(x), n_pretrain):
        optimizer.zero_grad()
        mse_loss(decoder(encoder(x[rows])), x[similar(rows)]).backward()
        optimizer.step()
    with torch.no_grad():
        embedded = encoder(x)
    model = SoftKMeans(10, temperature="perplexity:1.5", n_init=5, random_state=seed).fit(embedded)
    layer = model.to_layer()
    optimizer.add_param_group({"params": layer.parameters()})
    for _ in range(n_epochs):
        with torch.no_grad():
            target = target_of(layer(encoder(x)))  # of all rows
        for rows in batches(len(x), 1):
            z = encoder(x[rows])
            log_resp = layer(z).clamp_min(1e-12).log()
            loss = kl_div(log_resp, target[similar(rows)], reduction="batchmean") + mse_loss(
                decoder(z), x[similar(rows)]
            )
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    with torch.no_grad():
        deep = layer(encoder(x)).argmax(1)
    pixels = KMeans(10, n_init=10, random_state=seed).fit_predict(x)
    found = (pixels, model.predict(embedded), deep)
    return Scores(*(float(adjusted_rand_score(labels, clusters)) for clusters in found))


def main() -> None:
    """Print the scores of 5 seeds and their means."""
    print("adjusted Rand index: k-means on pixels, soft k-means on the embedding, deep clustering")
    scores = []
    for seed in range(5):
        scores.append(cluster(seed))
        print(f"seed {seed}:  " + "  ".join(f"{score:.3f}" for score in scores[-1]))
    print("mean:    " + "  ".join(f"{score:.3f}" for score in np.mean(scores, axis=0)))


if __name__ == "__main__":
    main()
