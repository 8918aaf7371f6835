"""PyTorch's default device does not matter: everything runs on the device of the data."""

import subprocess
import sys

import pytest

CODE = """
import numpy as np
import torch
import softkmeans
from softkmeans import *

torch.set_default_device("meta")  # a tensor without a device would have no data
x = np.asarray(make_blobs(300, 3, 4, random_state=0)[0].numpy())
tensor = torch.from_numpy(x)
fits = [
    {}, {"temperature": "per-cluster", "priors": "learned"}, {"temperature": "perplexity:1.5"},
    {"temperature": "calibrated"}, {"temperature": "critical:0.5"}, {"temperature": 1.0, "noise_distance": 20.0},
    {"distance": "cosine"}, {"distance": "euclidean"}, {"solver": "adam", "temperature": 1.0}, {"solver": "online"},
    {"local_search": True}, {"init": "annealing"}, {"init": "k-means||"}, {"growing_sample": True},
]
for options in fits:
    model = SoftKMeans(4, random_state=0, max_iter=20, **options).fit(x)
    assert np.isfinite(model.predict_proba(x)).all()
    model.predict(x), model.score(x), model.to_layer()(tensor)
FuzzyCMeans(4, random_state=0).fit(x).predict_proba(x)
SoftKMeans(4, random_state=0).partial_fit(x)
SoftKMeans(4, random_state=0).fit(tensor)
annealing_path(x[:100], max_clusters=3)
select_n_clusters(x[:100], range(1, 4), random_state=0)
summarize(SoftKMeans(4, random_state=0).fit(x))
accumulate(x, x[:3], 1.0)
critical_temperature(x)
layer = SoftKMeansLayer(4, 3, device="cpu", learn_priors=True)
train_layer(layer, x, init="k-means++", random_state=0)
layer.loss(tensor.float()).backward()
assert SoftKMeansLayer(4, 3).centroids.is_meta  # a module follows the default device, as PyTorch's own
print("done")
"""


@pytest.mark.slow
@pytest.mark.process
def test_the_default_device_is_not_used():
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", CODE], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "done", done.stderr
