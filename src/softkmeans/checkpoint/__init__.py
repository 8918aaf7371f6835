"""Checkpoints: what an interrupted fit needs to continue, on disk."""
