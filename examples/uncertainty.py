"""
Which wines are doubtful?
=========================

Of 178 Italian wines, two measurements are clustered: the color and the alcohol. A map of the uncertainty shows where
the clusters meet, and the fit says which wines lie there.
"""

# %%
# The features have different units, so they are standardized first. The pipeline draws in the units of the data.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_wine

from softkmeans import SoftKMeans
from softkmeans.estimators import make_model
from softkmeans.plots import UncertaintyDisplay

wine = load_wine(as_frame=True)
X = wine.data[["alcohol", "color_intensity"]]
model = make_model(SoftKMeans(3, temperature="calibrated", random_state=0), "standard").fit(X)

# %%
# Dark areas are certain, bright ones are not. Along the bright lines, two memberships are equal.

display = UncertaintyDisplay.from_estimator(model, X)
display.figure_.set_size_inches(7.5, 5)

# %%
# The names of the cultivars were not used. The clusters agree with them where the memberships are certain.

resp = model.predict_proba(X)
counts = np.array([np.bincount(wine.target[resp.argmax(1) == k], minlength=3) for k in range(3)])
name = counts.argmax(1)
is_right = name[resp.argmax(1)] == wine.target
is_sure = resp.max(1) > 0.9
sure, unsure = is_right[is_sure].mean(), is_right[~is_sure].mean()
print(f"right: {sure:.0%} of {is_sure.sum()} certain wines, {unsure:.0%} of the others")
assert sure > 0.9 > unsure
plt.show()
