"""A network whose weights have 4 bits each, by differentiable k-means.

Each layer of a small network gets 16 values, so that a weight is the index of one of them. A `SoftCodebook` of single
numbers replaces the weights by soft means of the values while the network is trained further, and by the nearest value
afterwards, as in Cho, Alizadeh-Vahid, Adya & Rastegari, "DKM: Differentiable k-means clustering layer for neural
network compression", ICLR 2022. The memory for this is compared with that of a plain implementation, which keeps the
memberships of all weights.
"""

import copy
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.nn.utils import parametrize

from softkmeans import SoftCodebook

BITS = (4, 2)
BATCH = 128


class Data(NamedTuple):
    """Images and digits for training and for testing."""

    train_x: Tensor
    test_x: Tensor
    train_y: Tensor
    test_y: Tensor


class Accuracies(NamedTuple):
    """Test accuracies with weights of 32 bits, with clustered weights, and with these trained further."""

    full: float
    clustered: float
    trained: float


class SharedValues(nn.Module):
    """Replace weights by a few values; the values are means of the weights, and follow them."""

    def __init__(self, n_values: int, seed: int) -> None:
        super().__init__()
        self.codebook = SoftCodebook(1, n_values, decay=0.0, random_state=seed)

    def forward(self, weight: Tensor) -> Tensor:
        """Return the soft means of the values for each weight; in evaluation mode, the nearest value."""
        quantized: Tensor = self.codebook(weight.reshape(-1, 1)).quantized
        return quantized.view_as(weight)


def read_digits(seed: int) -> Data:
    """Return scikit-learn's digits, 30 % of them for testing."""
    digits = load_digits()
    x, y = torch.tensor(digits.data / 16, dtype=torch.float32), torch.tensor(digits.target)
    return Data(*train_test_split(x, y, test_size=0.3, random_state=seed, stratify=y))


def train(net: nn.Module, data: Data, n_epochs: int, lr: float = 1e-3) -> None:
    """Train a network with Adam."""
    optimizer = torch.optim.Adam(net.parameters(), lr=lr)
    net.train()
    for _ in range(n_epochs):
        for rows in torch.randperm(len(data.train_x)).split(BATCH):
            optimizer.zero_grad()
            cross_entropy(net(data.train_x[rows]), data.train_y[rows]).backward()
            optimizer.step()


@torch.no_grad()
def accuracy(net: nn.Module, data: Data) -> float:
    """Return the share of test images whose digit a network finds."""
    net.eval()
    return float((net(data.test_x).argmax(1) == data.test_y).float().mean())


def share_weights(net: nn.Sequential, n_values: int, seed: int) -> None:
    """Replace the weights of each linear layer by a few values."""
    net.train()  # so that the codebooks begin with the weights
    for layer in net:
        if isinstance(layer, nn.Linear):
            parametrize.register_parametrization(layer, "weight", SharedValues(n_values, seed))


def compress(seed: int, bits: int, n_epochs: int = 30, n_more: int = 10) -> Accuracies:
    """Train a network, cluster its weights, and train it further."""
    data = read_digits(seed)
    torch.manual_seed(seed)
    net = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 128), nn.ReLU(), nn.Linear(128, 10))
    train(net, data, n_epochs)
    shared = copy.deepcopy(net)
    share_weights(shared, 2**bits, seed)
    clustered = accuracy(shared, data)
    train(shared, data, n_more)
    train(net, data, n_more)  # as long as the other, so that the weights alone differ
    return Accuracies(accuracy(net, data), clustered, accuracy(shared, data))


def by_codebook(weights: Tensor, n_values: int) -> Tensor:
    """Return soft means of the values, from a codebook."""
    quantized: Tensor = SoftCodebook(1, n_values, random_state=0)(weights).quantized
    return quantized


def by_memberships(weights: Tensor, n_values: int) -> Tensor:
    """Return soft means of the values, from the memberships of all weights in all values."""
    values = torch.linspace(-2, 2, n_values)
    resp = (-((weights - values) ** 2) / 0.01).softmax(1)
    return resp @ values[:, None]


def peak_memory(quantize: Callable[[Tensor, int], Tensor], n_weights: int, n_values: int) -> float:
    """Return by how many megabytes a quantization and its backward pass raise the memory of this process, on Linux."""
    quantize(torch.randn(20_000, 1, requires_grad=True), n_values).sum().backward()  # loads what is loaded once
    weights = torch.randn(n_weights, 1, requires_grad=True)
    Path("/proc/self/clear_refs").write_text("5")  # the peak so far is forgotten
    before = _memory("VmRSS")
    quantize(weights, n_values).sum().backward()
    return _memory("VmHWM") - before


def _memory(name: str) -> float:
    """Return an entry of the status of this process in megabytes."""
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(name))
    return int(line.split()[1]) / 1024


def in_new_process(quantize: Callable[[Tensor, int], Tensor], n_weights: int, n_values: int) -> float:
    """Return the peak memory of a new process, in which nothing else has run."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(peak_memory, quantize, n_weights, n_values).result()


def main(n_weights: int = 2_000_000) -> None:
    """Print accuracies and memory."""
    print("test accuracy: weights of 32 bits, clustered, clustered and trained further")
    for bits in BITS:
        found = [compress(seed, bits) for seed in range(5)]
        for seed, accuracies in enumerate(found):
            print(f"{bits} bits, seed {seed}:  " + "  ".join(f"{value:.3f}" for value in accuracies))
        print(f"{bits} bits, mean:    " + "  ".join(f"{value:.3f}" for value in np.mean(found, axis=0)))
    print(f"peak memory of a forward and a backward pass, {n_weights:,} weights: codebook, all memberships")
    for n_values in (16, 64):
        ours, plain = (in_new_process(quantize, n_weights, n_values) for quantize in (by_codebook, by_memberships))
        print(f"{n_values} values:  {ours:,.0f} MB  {plain:,.0f} MB")


if __name__ == "__main__":
    main()
