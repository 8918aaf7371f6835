"""Soft k-means clustering for scikit-learn and PyTorch: every row gets a probability for every cluster."""

from importlib.util import find_spec

import lazy_loader

__version__ = "0.1.0"

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
_DRAWS = find_spec("matplotlib") is not None  # without it, `from softkmeans import *` takes what there is
__all__ = [name for name in __all__ if _DRAWS or not (name == "plots" or name.endswith("Display"))]
