"""
Rows that belong to no cluster
==============================

A few rows far away pull centers toward them. A noise cluster, which has no place and the same distance from every row,
takes these rows.
"""

# %%
# Three clusters, and 40 rows anywhere.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.metrics import adjusted_rand_score

from softkmeans import ClusterDisplay, SoftKMeans

rng = np.random.default_rng(4)
centers = np.array([[-5.0, 0.0], [5.0, 0.0], [0.0, 7.0]])
X = np.concatenate([np.repeat(centers, 80, axis=0) + rng.normal(size=(240, 2)), rng.uniform(-16, 16, size=(40, 2))])
y = np.repeat([0, 1, 2, -1], [80, 80, 80, 40])

# %%
# ``noise_distance`` is in the units of the distance, here of squared differences: 9 is a distance of three standard
# deviations. Rows that are farther from every center are noise, and get the label -1.

plain = SoftKMeans(3, temperature=2.0, random_state=0).fit(X)
model = SoftKMeans(3, temperature=2.0, noise_distance=9.0, random_state=0).fit(X)

figure, axes = plt.subplots(1, 2, figsize=(11, 4.8), sharex=True, sharey=True, layout="constrained")
for ax, fitted, title in zip(axes, (plain, model), ("without noise", "with a noise cluster"), strict=True):
    ClusterDisplay.from_estimator(fitted, X, ax=ax, key=False)
    ax.plot(*centers.T, "+", color="black", markersize=14, label="true centers")
    ax.set_title(title)
axes[0].legend(loc="lower left")

# %%
# The rows far away have pale colors on the right: their memberships sum to less than 1.

scores = [adjusted_rand_score(y, fitted.labels_) for fitted in (plain, model)]
print(f"adjusted Rand index: {scores[0]:.2f} without noise, {scores[1]:.2f} with it")
assert scores[1] > scores[0] + 0.05
assert (model.labels_ == -1).sum() > 20
