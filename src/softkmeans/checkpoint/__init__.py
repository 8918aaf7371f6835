"""Checkpoints on disk, from which an interrupted fit continues."""
