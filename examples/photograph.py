"""
The colors of a photograph
==========================

A pixel is a row of three numbers: red, green and blue. The centers of a clustering are the colors that describe the
picture best. Memberships mix these colors, so that soft edges stay soft.
"""

# %%
# The fit sees every eighth pixel in both directions. That is enough to find seven colors.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_sample_image

from softkmeans import SoftKMeans

picture = load_sample_image("flower.jpg")[20:400:2, 120:560:2] / 255
pixels = picture.reshape(-1, 3)
model = SoftKMeans(7, temperature="perplexity:1.3", random_state=0).fit(pixels[::16])

# %%
# Two pictures are painted with these seven colors: each pixel in the nearest one, and each pixel in the mixture that
# its memberships give.

colors = model.cluster_centers_
hard = colors[model.predict(pixels)].reshape(picture.shape)
soft = (model.predict_proba(pixels) @ colors).reshape(picture.shape)

figure, axes = plt.subplots(1, 4, figsize=(13, 3.6), width_ratios=[3, 3, 3, 0.5], layout="constrained")
for ax, shown, title in zip(axes, (picture, hard, soft), ("photograph", "nearest color", "mixed colors"), strict=False):
    ax.imshow(shown.clip(0, 1))
    ax.set_title(title)
axes[3].imshow(colors[colors.sum(1).argsort()][:, None], aspect="auto")
axes[3].set_title("colors")
for ax in axes:
    ax.set_axis_off()

# %%
# The mixed colors are closer to the photograph.


def distance(painted):
    """Return the root mean squared difference from the photograph."""
    return float(np.sqrt(((painted - picture) ** 2).mean()))


print(f"difference from the photograph: nearest color {distance(hard):.3f}, mixed colors {distance(soft):.3f}")
assert distance(soft) < 0.95 * distance(hard)
