"""Soft k-means on NumPy arrays, without PyTorch: passes over few rows, and what a light predictor needs."""
