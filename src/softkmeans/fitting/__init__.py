"""Fit a model from start to end: initialize, run the loop, return the result."""
