"""A source of rows in blocks, for tests."""

import numpy as np
import torch

from softkmeans.data.block import Block
from softkmeans.data.source import Source


class Stream(Source):
    """Rows in blocks that end at the given row indices."""

    in_memory = False
    device, dtype = torch.device("cpu"), torch.float64

    def __init__(self, x, ends=(), w=None):
        self.x, self.w = np.asarray(x), None if w is None else np.asarray(w, float)
        self.n_rows, self.n_features = self.x.shape
        self.ends = sorted({*(end for end in ends if 0 < end < len(self.x)), len(self.x)})

    def blocks(self):
        start = 0
        for end in self.ends:
            weights = None if self.w is None else self.w[start:end]
            yield Block(self.x[start:end], weights, self.device, self.dtype, start=start)
            start = end
