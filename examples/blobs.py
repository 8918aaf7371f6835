"""
Gradient descent and EM, side by side
=====================================

The same blobs are clustered twice: by gradient descent with Adam on a PyTorch module, and by expectation-maximization
(EM), the default of the estimator. Both lower the same objective, the free energy, and reach the same optimum.
"""

# %%
# Four blobs of 150 rows each. Gradient descent needs a temperature that is given. With a standard deviation of 1, two
# times the variance is 2.

import matplotlib.pyplot as plt

from softkmeans import ClusterDisplay, SoftKMeans, SoftKMeansLayer, make_blobs, train_layer

X, y = make_blobs(600, n_features=2, n_clusters=4, cluster_std=1.0, random_state=3)
start = X[[0, 1, 2, 5]]  # four rows as the first centers of both

layer = SoftKMeansLayer(n_clusters=4, n_features=2, temperature=2.0, centroids=start)
by_adam = train_layer(layer, X)

model = SoftKMeans(n_clusters=4, temperature=2.0, init=start, solver="em").fit(X)

# %%
# EM needs far fewer passes over the rows, as each of its steps solves for the centers at the present memberships.

figure, (left, middle, right) = plt.subplots(1, 3, figsize=(13, 4), layout="constrained")
ClusterDisplay.from_estimator(SoftKMeans.from_layer(layer, by_adam), X, ax=left, key=False)
ClusterDisplay.from_estimator(model, X, ax=middle, key=False)
left.set_title("Adam")
middle.set_title("EM")
for name, history in {"Adam": by_adam.history, "EM": model.history_}.items():
    right.plot(
        [step.n_iter for step in history], [step.mean for step in history], label=f"{name}, {len(history)} passes"
    )
right.set(xlabel="pass", ylabel="free energy per row", xscale="log", title="The way there")
right.legend()

# %%
# The optimum is the same, up to the tolerance.

difference = by_adam.free_energy / model.free_energy_ - 1
print(f"free energy by Adam {by_adam.free_energy:.4f}, by EM {model.free_energy_:.4f}")
assert abs(difference) < 1e-4
