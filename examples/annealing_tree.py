"""
A tree of clusters over the temperature
=======================================

At a high temperature there is one cluster. As the temperature falls, clusters split, one after the other. A number of
clusters that stays for a long time describes the data well.
"""

# %%
# Three groups, each of which consists of two. There are two good answers: three clusters and six.

import matplotlib.pyplot as plt
import numpy as np

from softkmeans import annealing_path
from softkmeans.plots import BifurcationDisplay

rng = np.random.default_rng(0)
groups = np.array([[0.0, 0.0], [14.0, 0.0], [7.0, 12.0]])
pairs = np.array([[-2.2, 0.0], [2.2, 0.0]])
X = (groups[:, None, None] + pairs[:, None] + 0.7 * rng.normal(size=(3, 2, 60, 2))).reshape(-1, 2)

path = annealing_path(X, max_clusters=8)

# %%
# The temperature falls to the right. Each branch is a cluster.

figure, (left, right) = plt.subplots(1, 2, figsize=(12, 4.6), width_ratios=[2, 3], layout="constrained")
left.scatter(*X.T, s=9, color="0.4")
left.set(title="the data", aspect="equal")
BifurcationDisplay.from_path(path, feature=0, ax=right)
right.set_title("its clusters over the temperature")

# %%
# The lifetime of a number of clusters is the width of its range of temperatures, as a logarithm. Three and six live
# longest.

lifetimes = path.lifetimes()
for k, lifetime in lifetimes.items():
    print(f"{k} clusters: {lifetime:.2f}")
longest = sorted(lifetimes, key=lifetimes.get)[-2:]
assert sorted(longest) == [3, 6]
