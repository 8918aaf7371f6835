"""Estimators for the variants of the model, and data to fit them on."""

import numpy as np
from sklearn.datasets import load_iris

from softkmeans import FuzzyCMeans, SoftKMeans

IRIS = load_iris().data
START = IRIS[[10, 60, 120]] + 0.01
W = np.random.default_rng(3).uniform(0.2, 2, len(IRIS))

# Estimators by the names of the variants.
MEMBERS = {
    "plain": SoftKMeans(3),
    "warm": SoftKMeans(3, temperature=2.0),
    "priors": SoftKMeans(3, priors="learned"),
    "warm with priors": SoftKMeans(3, temperature=2.0, priors="learned"),
    "given priors": SoftKMeans(3, priors=[0.5, 0.3, 0.2]),
    "per cluster": SoftKMeans(3, temperature="per-cluster"),
    "spherical mixture": SoftKMeans(3, temperature="per-cluster", priors="learned"),
    "given temperatures": SoftKMeans(3, temperature=[0.2, 0.5, 1.0]),
    "noise": SoftKMeans(3, temperature=0.5, noise_distance=3.0),
    "noise, all learned": SoftKMeans(3, priors="learned", noise_distance=1.0),
    "frozen": SoftKMeans(3, frozen=[True, False, False]),
    "textbook": SoftKMeans(3, temperature=0.3, distance="euclidean", update="mean"),
    "euclidean mixture": SoftKMeans(3, temperature="per-cluster", priors="learned", distance="euclidean"),
    "cosine mixture": SoftKMeans(3, temperature=0.005, priors="learned", distance="cosine"),
    "fuzzy": FuzzyCMeans(3),
    "crisp": FuzzyCMeans(3, fuzzifier=1.2),
    "fuzzy with noise": FuzzyCMeans(3, noise_distance=3.0),
    "fuzzy euclidean": FuzzyCMeans(3, distance="euclidean"),
    "fuzzy frozen": FuzzyCMeans(3, frozen=[False, True, False]),
}


MONOTONE = [name for name in MEMBERS if name != "textbook"]  # whose updates never raise the objective


def member(name, **arguments):
    return MEMBERS[name].__class__(**(MEMBERS[name].get_params() | {"init": START, "random_state": 0} | arguments))
