"""Soft k-means as a PyTorch module, and its training."""
