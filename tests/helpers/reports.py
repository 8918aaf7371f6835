"""Models of every kind that a report can show, with their rows."""

import numpy as np
import pandas as pd
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_digits, load_wine
from sklearn.decomposition import PCA
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from softkmeans import FuzzyCMeans, SoftKMeans, SoftKMeansLayer, make_blobs

WINE = load_wine(as_frame=True)


def wine():
    return make_pipeline(StandardScaler(), SoftKMeans(3, random_state=0)).fit(WINE.data), WINE.data


def digits():
    x = load_digits().data
    return make_pipeline(PCA(10, random_state=0), SoftKMeans(10, random_state=0)).fit(x), x


def demo():
    x = make_blobs(600, 2, 4, 1.0, random_state=0)[0].numpy()
    return SoftKMeans(4, temperature=2.0, random_state=0).fit(x), x


def fuzzy():
    model = make_pipeline(StandardScaler(), FuzzyCMeans(3, fuzzifier=1.7, random_state=0))
    return model.fit(WINE.data), WINE.data


def cosine():
    return SoftKMeans(3, distance="cosine", random_state=0).fit(WINE.data), WINE.data


def per_cluster():
    model = make_pipeline(StandardScaler(), SoftKMeans(3, temperature="per-cluster", priors="learned", random_state=0))
    return model.fit(WINE.data), WINE.data


def noise():
    x = demo()[1]
    return SoftKMeans(4, temperature=1.5, noise_distance=6.0, random_state=0).fit(x), x


def fuzzy_noise():
    x = demo()[1]
    return FuzzyCMeans(4, noise_distance=6.0, random_state=0).fit(x), x


def cosine_per_cluster():
    return SoftKMeans(3, distance="cosine", temperature="per-cluster", random_state=0).fit(WINE.data), WINE.data


def wide():
    x = np.random.default_rng(0).normal(size=(400, 300)) + 2 * np.eye(4).repeat(75, 1)[np.arange(400) % 4]
    return SoftKMeans(4, random_state=0).fit(x), x


def one_cluster():
    return SoftKMeans(1, temperature=1.0).fit([[0.0], [1.0], [3.0]]), np.array([[0.0], [1.0], [3.0]])


def missing():
    x = demo()[1].copy()
    x[::7, 1] = np.nan
    return make_pipeline(SimpleImputer(), SoftKMeans(4, random_state=0)).fit(x), x


def text():
    x = pd.DataFrame(demo()[1], columns=["a", "b"]).assign(color=np.array(["red", "green", "<b>"])[np.arange(600) % 3])
    columns = make_column_transformer((StandardScaler(), ["a", "b"]), (OneHotEncoder(sparse_output=False), ["color"]))
    return make_pipeline(columns, SoftKMeans(3, temperature=0.5, random_state=0)).fit(x), x


def far():
    x = demo()[1].astype(float) + 1e7
    return SoftKMeans(4, random_state=0).fit(x), x


def huge():
    x = demo()[1].astype(float) * 1e60
    return SoftKMeans(4, random_state=0).fit(x), x


def euclidean():
    x = demo()[1]
    return SoftKMeans(4, distance="euclidean", temperature=0.5, random_state=0).fit(x), x


def layer():
    return SoftKMeans.from_layer(SoftKMeansLayer(3, 2, 1.0)), demo()[1]


def many_clusters():
    x = demo()[1]
    return SoftKMeans(60, temperature=0.05, random_state=0).fit(x), x


def one_row():
    return SoftKMeans(1, temperature=1.0).fit([[1.0, 2.0]]), np.array([[1.0, 2.0]])


def weighted():
    x = demo()[1]
    return SoftKMeans(4, temperature=2.0, random_state=0).fit(x), x


MODELS = {
    made.__name__.replace("_", " "): made
    for made in (
        wine,
        digits,
        demo,
        fuzzy,
        cosine,
        per_cluster,
        noise,
        fuzzy_noise,
        cosine_per_cluster,
        wide,
        one_cluster,
        missing,
        text,
        far,
        huge,
        euclidean,
        layer,
        many_clusters,
        one_row,
        weighted,
    )
}
