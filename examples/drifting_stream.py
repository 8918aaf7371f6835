"""
Rows that arrive over time
==========================

Rows arrive in batches, and the clusters move: their distribution drifts. ``partial_fit`` takes one batch at a time.
With ``forgetting``, it gives old batches less weight, so that the centers follow.
"""

# %%
# Three clusters walk in a circle, while 60 batches of 100 rows arrive. One model forgets 30 % of what it knows with
# each batch, the other remembers everything.

import matplotlib.pyplot as plt
import numpy as np

from softkmeans import SoftKMeans
from softkmeans.solvers import Online

rng = np.random.default_rng(0)
angles = np.linspace(0, 1.5, 60)[:, None] + np.array([0.0, 2.1, 4.2])
true = 6 * np.stack([np.cos(angles), np.sin(angles)], axis=-1)  # batches, clusters, features
batches = [rng.permutation((c[:, None] + rng.normal(size=(3, 33, 2))).reshape(-1, 2)) for c in true]

models = {
    "forgetting 0.3": SoftKMeans(3, temperature=2.0, solver=Online(forgetting=0.3), random_state=0),
    "remembers all": SoftKMeans(3, temperature=2.0, random_state=0),
}
paths = {name: [] for name in models}
for batch in batches:
    for name, model in models.items():
        paths[name].append(model.partial_fit(batch).cluster_centers_.copy())

# %%
# Gray is where the clusters really are. The centers of the model that forgets are close behind; those of the other
# stay back.

figure, axes = plt.subplots(1, 2, figsize=(11, 5), sharex=True, sharey=True, layout="constrained")
errors = {}
for ax, (name, centers) in zip(axes, paths.items(), strict=True):
    centers = np.array(centers)
    distances = np.linalg.norm(centers[-1][:, None] - true[-1], axis=-1)
    errors[name] = float(distances.min(axis=0).mean())
    ax.scatter(*np.concatenate(batches[-5:]).T, s=6, color="0.8", label="the last rows")
    ax.plot(true[..., 0], true[..., 1], color="0.5", linewidth=5, alpha=0.5)
    for color, path in zip(("#0072B2", "#D55E00", "#009E73"), centers.swapaxes(0, 1), strict=True):
        ax.plot(*path.T, color=color)
        ax.plot(*path[-1], "o", color=color, markersize=9)
    ax.set(title=f"{name}: {errors[name]:.1f} behind", aspect="equal")

# %%

print({name: round(error, 2) for name, error in errors.items()})
assert errors["forgetting 0.3"] < 0.5 < errors["remembers all"]
