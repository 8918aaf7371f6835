"""Fit on every rank and write its results; test_ranks.py runs this program with a folder of data."""

import datetime
import json
import os
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import torch
import torch.distributed as dist

from softkmeans import InputError, SoftKMeans, distributed
from softkmeans.data import scan
from softkmeans.estimators import fit_preprocessing

folder = Path(sys.argv[1])
torch.set_num_threads(1)
dist.init_process_group("gloo", timeout=datetime.timedelta(seconds=300))
rank, size = dist.get_rank(), dist.get_world_size()
x, w = np.load(folder / "x.npy"), np.load(folder / "w.npy")
parts = {
    "uneven": np.split(np.arange(len(x)), [137, 500][: size - 1])[rank],
    "one empty": np.arange(len(x) if rank == 0 else 0),
    "first empty": np.arange(0 if rank == 0 else len(x))
    if size == 2
    else np.array_split(np.arange(len(x)), size)[rank],
}
results = {}


def record(name, model):
    results[name] = {
        "centers": model.cluster_centers_.tolist(),
        "objective": model.objective_,
        "inertia": model.inertia_,
        "n_iter": model.n_iter_,
    }


for name, rows in parts.items():
    source = distributed(x[rows], w[rows])
    record(f"{name}, given centers", SoftKMeans(5, init=x[::200], tol=1e-8).fit(source))
    poor = np.vstack([x[[0, 0]], x[:3] + np.array([[0, 1e4, 2e4]]).T])  # equal centers, and centers without rows
    source = distributed(x[rows], w[rows])
    record(f"{name}, poor centers", SoftKMeans(5, init=poor, temperature=1.0, tol=1e-8).fit(source))
    for init in ("k-means++", "random"):
        record(f"{name}, {init}", SoftKMeans(5, init=init, random_state=1, tol=1e-8).fit(distributed(x[rows], w[rows])))
source = distributed(x[parts["first empty"]])
record("online", SoftKMeans(5, solver="online", init=x[::200]).fit(source))
record("partial", SoftKMeans(5, init=x[::200]).partial_fit(source))
source = distributed(scan(folder / "x.npy"))
record("scan", SoftKMeans(5, init="k-means||", random_state=1, tol=1e-8).fit(source))
record("undrawn seed", SoftKMeans(5, max_iter=3, tol=0).fit(source))
model = SoftKMeans(5, init=x[::200], temperature="calibrated", checkpoint=folder / "kept").fit(source)
record("calibrated", model)
record(
    "resumed",
    SoftKMeans(5, init=x[::200], temperature="calibrated", checkpoint=folder / "kept", resume=True).fit(source),
)
labels = model.predict(source)
results["labels"] = labels.tolist()

table = pd.DataFrame({"a": x[:, 0], "w": 0.0})
weightless = scan(lambda: iter([table]), weight_column="w", rows_per_block=99)
errors = {
    "narrower": lambda: distributed(x[:, : 1 + rank]),
    "no rows": lambda: distributed(np.empty((0, 3))),
    "no weight": lambda: SoftKMeans(2).fit(distributed(weightless)),
    "no weight to scale": lambda: fit_preprocessing(distributed(weightless), "standard"),
    "nan": lambda: distributed(np.where(rank == 1, np.nan, x)),
    "missing file": lambda: distributed(lambda: scan(folder / ("x.npy" if rank == 0 else "nothing.npy"))),
    "kept already": lambda: SoftKMeans(5, checkpoint=folder / "kept").fit(source),
    "other data": lambda: SoftKMeans(
        5, init=x[::200], temperature="calibrated", checkpoint=folder / "kept", resume=True
    ).fit(distributed(x[: 600 if rank == 0 else 400] + rank)),
}
for name, act in errors.items():
    try:
        act()
    except InputError as error:
        results[name] = str(error)
(folder / f"{sys.argv[2]}-{rank}.json").write_text(json.dumps(results))
dist.destroy_process_group()
os._exit(0)  # skip the normal exit, where library threads that still run sometimes abort the process
