"""
How many clusters?
==================

``select_n_clusters`` fits each number of clusters and compares them by several criteria. ``stability`` says whether
the clusters come back in other samples of the rows.
"""

# %%
# Five blobs with four features.

import matplotlib.pyplot as plt

from softkmeans import make_blobs, select_n_clusters, stability
from softkmeans.plots import SelectionDisplay

X, y = make_blobs(400, n_features=4, n_clusters=5, cluster_std=1.5, random_state=1)
selection = select_n_clusters(X, range(1, 9), random_state=0)
print(selection)

# %%
# Each panel is a criterion, with its choice marked.

display = SelectionDisplay.from_selection(selection)
plt.show()

# %%
# A cluster whose stability is above 0.75 is found again and again.

found = stability(selection.model, X, random_state=0)
print(found.clusters.round(2))
assert selection.n_clusters == 5
assert found.clusters.min() > 0.75
