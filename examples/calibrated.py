"""
Memberships as probabilities
============================

Of the rows with a membership of 0.8, 80 % should belong to that cluster. Then memberships are calibrated. Where
features are correlated, the temperature of maximum likelihood is too low for that, and ``temperature="calibrated"``
corrects it.
"""

# %%
# Two clusters that overlap, with eight features that measure much the same: they are strongly correlated.

import matplotlib.pyplot as plt
import numpy as np

from softkmeans import SoftKMeans, metrics
from softkmeans.plots import ReliabilityDisplay

rng = np.random.default_rng(0)
y = rng.integers(2, size=4000)
shared = rng.normal(size=(4000, 1))
X = np.outer(2 * y - 1, np.full(8, 1.3)) + shared + 0.5 * rng.normal(size=(4000, 8))

# %%
# A reliability diagram compares the stated membership with the observed frequency.

figure, axes = plt.subplots(1, 2, figsize=(9.5, 4.6), layout="constrained")
errors = {}
for ax, temperature in zip(axes, ("auto", "calibrated"), strict=True):
    model = SoftKMeans(2, temperature=temperature, random_state=0).fit(X)
    resp = model.predict_proba(X)
    resp = resp[:, metrics.align(np.eye(2)[y], resp)]  # clusters in the order of the classes
    errors[temperature] = metrics.expected_calibration_error(resp, y)
    ReliabilityDisplay.from_predictions(resp, y, ax=ax)
    ax.set_title(f'temperature="{temperature}", T = {model.temperature_:.2f}')

# %%
# The eight features together say hardly more than one. The fit that takes them for eight independent pieces of
# evidence is overconfident.

print({name: round(error, 3) for name, error in errors.items()})
assert errors["calibrated"] < errors["auto"] / 3
