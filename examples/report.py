"""
A report to explore and to send
===============================

A report is one HTML file that shows a clustering: a map of the rows, a temperature to change, what sets each cluster
apart, and which rows are doubtful. It needs a browser and nothing else.
"""

# %%
# Wines with thirteen measurements, in three clusters.

from sklearn.datasets import load_wine

from softkmeans import SoftKMeans, report
from softkmeans.estimators import make_model
from softkmeans.plots import DescriptionDisplay

wine = load_wine(as_frame=True)
model = make_model(SoftKMeans(3, random_state=0), "standard").fit(wine.data)

# %%
# What sets the clusters apart, as a picture.

display = DescriptionDisplay.from_estimator(model, wine.data, n_features=8)

# %%
# The same and more in the report. In a notebook, it shows itself if it is the last line of a cell, as here. To write
# it to a file, give a name: ``report(model, wine.data, "wine.html")``.

page = report(model, wine.data, title="Wines", labels=wine.target)
assert page.content["n_rows"] == 178
page
