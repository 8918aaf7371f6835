"""Measure how soft the memberships of each temperature rule are: `python benchmarks/softness.py`.

The texts are the docstrings of scientific libraries, which are installed with this one; their number depends on the
versions. Embeddings are made from their TF-IDF rows by a singular value decomposition, and have length 1.
"""

import importlib
import inspect
import warnings

import numpy as np
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_iris, load_wine
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.preprocessing import normalize, scale

from softkmeans import InputError, SoftKMeans

warnings.simplefilter("ignore")
MODULES = "numpy numpy.linalg scipy.stats scipy.signal scipy.linalg scipy.optimize sklearn.metrics sklearn.cluster"
MIN_CHARACTERS = 300
N_COMPONENTS = 100
RULES = ("auto", "calibrated", "perplexity:1.5", "critical:0.5")


def docstrings():
    """Return the long docstrings of the public functions and classes of some modules."""
    modules = [importlib.import_module(name) for name in MODULES.split()]
    things = [thing for module in modules for name, thing in inspect.getmembers(module) if not name.startswith("_")]
    texts = [text for text in (inspect.getdoc(thing) for thing in things) if text and len(text) >= MIN_CHARACTERS]
    return list(dict.fromkeys(texts))


def data_sets():
    """Yield a name, rows and a number of clusters."""
    yield "diabetes", scale(load_diabetes().data), 3
    yield "iris", load_iris().data, 3
    yield "wine", scale(load_wine().data), 3
    yield "breast cancer", scale(load_breast_cancer().data), 2
    yield "digits", load_digits().data, 10
    words = TfidfVectorizer(stop_words="english", max_df=0.5, min_df=2).fit_transform(docstrings())
    yield "embeddings", normalize(TruncatedSVD(N_COMPONENTS, random_state=0).fit_transform(words)), 10
    yield "TF-IDF", words, 10


def largest_membership(rule, x, n_clusters):
    """Return the mean largest membership of the rows, or None if the rule does not serve the data."""
    try:
        model = SoftKMeans(n_clusters, temperature=rule, n_init=3, random_state=0).fit(x)
    except InputError:
        return None
    return float(np.asarray(model.predict_proba(x)).max(axis=1).mean())


def main():
    print(f"| data | rows × features | k | {' | '.join(f'`{rule}`' for rule in RULES)} |")
    print("|" + "---|" * (3 + len(RULES)))
    for name, x, n_clusters in data_sets():
        values = [largest_membership(rule, x, n_clusters) for rule in RULES]
        cells = ["–" if value is None else f"{value:.3f}" for value in values]
        print(f"| {name} | {x.shape[0]} × {x.shape[1]} | {n_clusters} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
