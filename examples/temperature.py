"""
One temperature after the other
===============================

The temperature says how soft a clustering is. Here, the same rows are clustered at four temperatures.
"""

# %%
# Three blobs, two of which touch. The temperature is measured in units of the critical temperature, at which the
# first cluster splits.

import warnings

import matplotlib.pyplot as plt
import numpy as np

from softkmeans import ClusterDisplay, SoftKMeans, critical_temperature

rng = np.random.default_rng(1)
X = np.repeat([[0.0, 0.0], [4.0, 0.0], [3.0, 7.0]], 100, axis=0) + rng.normal(size=(300, 2))

fractions = (0.01, 0.15, 0.4, 1.1)
print(f"critical temperature: {critical_temperature(X):.1f}")

# %%
# Colors are mixed as the memberships are. At a low temperature, every row belongs to one cluster. As the temperature
# rises, clusters join: the two that touch first, then all. The fit warns of centers in the same place, which is what
# we want to see here.

figure, axes = plt.subplots(1, 4, figsize=(14, 3.8), layout="constrained")
effective = []
for ax, fraction in zip(axes, fractions, strict=True):
    temperature = fraction * critical_temperature(X)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = SoftKMeans(3, temperature=temperature, random_state=0).fit(X)
    resp = model.predict_proba(X)
    effective.append(np.exp(model.entropy_ / len(X)))
    ClusterDisplay.from_predictions(X, resp, model.cluster_centers_, ax=ax, key=False)
    ax.set_title(f"T = {temperature:.1f}: a row is in {effective[-1]:.2f} clusters", fontsize=10)

# %%
# The number of clusters that a row is spread over grows from 1 to 3.

print([round(float(value), 2) for value in effective])
assert effective[0] < 1.01
assert effective == sorted(effective)
assert effective[-1] > 2.9
