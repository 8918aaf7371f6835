"""
More rows than fit into memory
==============================

A folder of Parquet files is read in blocks, at every pass over the rows. Memory use does not grow with the number of
rows, and the result is that of a fit in memory.
"""

# %%
# Four files of 50,000 rows stand for a folder that is too large.

import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from softkmeans import SoftKMeans, make_blobs, write_assignments
from softkmeans.data import scan

folder = Path(tempfile.mkdtemp())
X = make_blobs(200_000, n_features=2, n_clusters=5, cluster_std=1.2, random_state=8)[0].numpy()
for i, part in enumerate(np.array_split(X, 4)):
    pq.write_table(pa.table({"width": part[:, 0], "height": part[:, 1]}), folder / f"part-{i}.parquet")

# %%
# ``scan`` describes the files and loads nothing. ``write_assignments`` writes a label and the memberships of every
# row to another file, block by block.

source = scan(folder)
model = SoftKMeans(5, random_state=0).fit(source)
write_assignments(model, source, folder / "labels.parquet")
labels = pq.read_table(folder / "labels.parquet")
print(source.n_rows, "rows,", model.n_iter_, "passes, columns of the result:", labels.column_names)

# %%
# To draw so many rows, count them in small squares.

figure, ax = plt.subplots(figsize=(7, 5), layout="constrained")
ax.hexbin(*X.T, gridsize=90, bins="log", cmap="Greys", linewidths=0)
ax.plot(*model.cluster_centers_.T, "o", color="#D55E00", markersize=10, markeredgecolor="white", label="centers")
ax.set(xlabel="width", ylabel="height", title="200,000 rows of four files")
ax.legend()

# %%
# A fit in memory finds the same centers.

in_memory = SoftKMeans(5, init=model.cluster_centers_).fit(X)
difference = float(np.abs(in_memory.cluster_centers_ - model.cluster_centers_).max())
print(f"largest difference of a center: {difference:.4f}")
assert difference < 0.01
