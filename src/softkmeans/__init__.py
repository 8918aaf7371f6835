"""Soft k-means clustering for scikit-learn and PyTorch: every row gets a probability for every cluster."""

import lazy_loader

__version__ = "0.1.0"

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
