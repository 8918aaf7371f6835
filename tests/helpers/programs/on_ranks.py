"""Fits on every rank, and writes what each found: run by torchrun in test_ranks.py, with a folder of data."""

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
from softkmeans.estimators import fitted_scaler

folder = Path(sys.argv[1])
torch.set_num_threads(1)
dist.init_process_group("gloo", timeout=datetime.timedelta(seconds=20))
rank, size = dist.get_rank(), dist.get_world_size()
x, w = np.load(folder / "x.npy"), np.load(folder / "w.npy")
parts = {
    "uneven": np.split(np.arange(len(x)), [137, 500][: size - 1])[rank],
    "one empty": np.arange(len(x) if rank == 0 else 0),
    "first empty": np.arange(0 if rank == 0 else len(x))
    if size == 2
    else np.array_split(np.arange(len(x)), size)[rank],
}
found = {}


def keep(name, model):
    found[name] = {
        "centers": model.cluster_centers_.tolist(),
        "objective": model.objective_,
        "inertia": model.inertia_,
        "n_iter": model.n_iter_,
    }


for name, rows in parts.items():
    given = distributed(x[rows], w[rows])
    keep(f"{name}, given centers", SoftKMeans(5, init=x[::200], tol=1e-8).fit(given))
    for init in ("k-means++", "random"):
        keep(f"{name}, {init}", SoftKMeans(5, init=init, random_state=1, tol=1e-8).fit(distributed(x[rows], w[rows])))
given = distributed(x[parts["first empty"]])
keep("online", SoftKMeans(5, solver="online", init=x[::200]).fit(given))
keep("partial", SoftKMeans(5, init=x[::200]).partial_fit(given))
given = distributed(scan(folder / "x.npy"))
keep("scan", SoftKMeans(5, init="k-means||", random_state=1, tol=1e-8).fit(given))
keep("undrawn seed", SoftKMeans(5, max_iter=3, tol=0).fit(given))
model = SoftKMeans(5, init=x[::200], temperature="calibrated", checkpoint=folder / "kept").fit(given)
keep("calibrated", model)
keep(
    "resumed",
    SoftKMeans(5, init=x[::200], temperature="calibrated", checkpoint=folder / "kept", resume=True).fit(given),
)
labels = model.predict(given)
found["labels"] = labels.tolist()

table = pd.DataFrame({"a": x[:, 0], "w": 0.0})
weightless = scan(lambda: iter([table]), weight_column="w", rows_per_block=99)
errors = {
    "narrower": lambda: distributed(x[:, : 1 + rank]),
    "no rows": lambda: distributed(np.empty((0, 3))),
    "no weight": lambda: SoftKMeans(2).fit(distributed(weightless)),
    "no weight to scale": lambda: fitted_scaler(distributed(weightless)),
    "nan": lambda: distributed(np.where(rank == 1, np.nan, x)),
    "missing file": lambda: distributed(lambda: scan(folder / ("x.npy" if rank == 0 else "nothing.npy"))),
    "kept already": lambda: SoftKMeans(5, checkpoint=folder / "kept").fit(given),
    "other data": lambda: SoftKMeans(
        5, init=x[::200], temperature="calibrated", checkpoint=folder / "kept", resume=True
    ).fit(distributed(x[: 600 if rank == 0 else 400] + rank)),
}
for name, do in errors.items():
    try:
        do()
    except InputError as error:
        found[name] = str(error)
(folder / f"{sys.argv[2]}-{rank}.json").write_text(json.dumps(found))
dist.destroy_process_group()
os._exit(0)  # threads of libraries that outlive Python's end can abort a process there
