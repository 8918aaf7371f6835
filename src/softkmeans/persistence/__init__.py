"""Models and assignments on disk."""
