"""
Digits that could be two
========================

Some handwritten digits are hard to tell apart. A soft clustering says which: their memberships are divided between two
clusters.
"""

# %%
# The pictures have 8 × 8 pixels. The ten clusters know nothing of the digits' names.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

from softkmeans import SoftKMeans

digits = load_digits()
model = SoftKMeans(10, temperature="perplexity:1.3", n_init=5, random_state=0).fit(digits.data)
resp = model.predict_proba(digits.data)

# %%
# Each cluster is named after the digit that is most frequent in it. In the first row are the centers, which are
# averages of pictures. Below are the twelve pictures whose two largest memberships are most alike.

name = [int(np.bincount(digits.target, weights=r).argmax()) for r in resp.T]
order = np.sort(resp, axis=1)
doubtful = np.argsort(order[:, -1] - order[:, -2])[:20]

figure, axes = plt.subplots(3, 10, figsize=(13, 5), layout="constrained")
for ax, center, digit in zip(axes[0], model.cluster_centers_, name, strict=True):
    ax.imshow(center.reshape(8, 8), cmap="gray_r")
    ax.set_title(f"mostly {digit}", fontsize=9)
for ax, i in zip(axes[1:].flat, doubtful, strict=True):
    first, second = resp[i].argsort()[:-3:-1]
    ax.imshow(digits.images[i], cmap="gray_r")
    ax.set_title(f"{name[first]}: {resp[i, first]:.0%}  {name[second]}: {resp[i, second]:.0%}", fontsize=9)
for ax in axes.flat:
    ax.set_axis_off()

# %%
# Where one membership is large, the name of the cluster is usually the digit. Where it is not, it is wrong more
# often: the memberships know what is doubtful.

is_right = np.array(name)[resp.argmax(1)] == digits.target
is_sure = resp.max(1) > 0.9
sure, unsure = float(is_right[is_sure].mean()), float(is_right[~is_sure].mean())
print(f"right: {sure:.0%} of the {is_sure.sum()} sure ones, {unsure:.0%} of the {(~is_sure).sum()} others")
assert sure > unsure + 0.15
