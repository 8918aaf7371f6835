"""Soft k-means as a PyTorch module, and a function that trains it."""
